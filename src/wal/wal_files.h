/* wal_files.h - the log's folder: files made, named, kept for use again, and taken away.
 *
 *     new                     being made: not part of the log
 *     spare-SSSSSSSSSSSSSSSS  once the log file of that sequence, room for another one
 *     NNNNNNNNNNNNNNNN        a log file (wal_format.h)
 *     again-NNNNNNNNNNNNNNNN  the same while it is given its name anew (wal_file_name_again)
 *
 * A file is made under the name "new", filled, synced, and only then renamed. One thread at a
 * time, except where a function says otherwise.
 */
#ifndef OMEN_WAL_WAL_FILES_H
#define OMEN_WAL_WAL_FILES_H

#include "base/bytes.h"
#include "wal/wal.h"
#include "wal/wal_format.h"

/* One file of the log, in a list of rising LSNs. */
struct wal_file {
    struct wal_file *next;
    int64_t handle; /* -1 while it is not open */
    uint64_t first_lsn;
    uint64_t end_lsn;    /* first_lsn + capacity, or where a file of higher sequence begins */
    uint64_t zeroed_lsn; /* up to here its blocks have been written since it was made */
    struct wal_header header;
};

#define WAL_LSN_NONE UINT64_MAX

struct wal_folder {
    const struct os *os;
    struct allocator *allocator;
    char *directory;
    char *path, *other_path; /* scratch for one path each */
    size_t path_bytes;
    uint8_t database_id[WAL_ID_BYTES];
    uint64_t sequence;      /* the highest that a file here bears */
    uint64_t again_lsn;     /* of the log file that lies under "again-"; WAL_LSN_NONE */
    struct wal_file *spare; /* at most one, renamed durably; NULL */
};

/* Errors: OUT_OF_MEMORY. wal_folder_release in any case; it closes and forgets the spare. */
omen_status wal_folder_init(struct wal_folder *folder, const struct wal_options *options,
                            omen_error *error);
void wal_folder_release(struct wal_folder *folder);

enum { LSN_NAME_BYTES = 17 };

/* A log file's name, with its zero. */
void wal_file_name(char name[LSN_NAME_BYTES], uint64_t first_lsn);

/* Bytes of batches that a new file has room for. */
uint64_t wal_file_capacity(const struct wal_options *options);

/* The same of a file for little more than `bytes`, for a disk that is nearly full. */
uint64_t wal_small_capacity(uint64_t bytes);

/* `name` in the folder, in the folder's scratch until the next call. */
const char *wal_folder_path(struct wal_folder *folder, const char *name);
const char *wal_folder_file_path(struct wal_folder *folder, uint64_t first_lsn);

/* Begins to make a file for LSNs from `first_lsn` on with room for `capacity` bytes of batches: its
 * header and length are written, not synced. Takes the spare where that fits.
 * Errors: DISK_FULL, OUT_OF_MEMORY, INSUFFICIENT_PRIVILEGE, IO_ERROR; then nothing is left. */
omen_status wal_file_begin(struct wal_folder *folder, uint64_t first_lsn, uint64_t capacity,
                           uint64_t proven_lsn, struct wal_file **file, omen_error *error);

/* Syncs the file and gives it its name, durably. On failure the file is gone, and whether its name
 * is there after a crash is unknown. Errors: DISK_FULL, IO_ERROR. */
omen_status wal_file_finish(struct wal_folder *folder, struct wal_file *file, omen_error *error);

/* Gives a file up that is being made. */
void wal_file_undo(struct wal_folder *folder, struct wal_file *file);

/* Both. */
omen_status wal_file_make(struct wal_folder *folder, uint64_t first_lsn, uint64_t capacity,
                          uint64_t proven_lsn, struct wal_file **file, omen_error *error);

/* Makes the name of a log file durable that may not be: after a directory's sync that failed, the
 * cache may show a name that the disk lacks and that no later sync brings there. So the file gets
 * another name and then its own again, each durably; a crash in between leaves it under "again-",
 * where it is part of the log all the same. The file is not open. Needs no room.
 * Errors: IO_ERROR; the file then has one of its names. */
omen_status wal_file_name_again(struct wal_folder *folder, const struct wal_file *file,
                                omen_error *error);

/* Gives the file that was found under "again-" its name, not durably. Errors: IO_ERROR. */
omen_status wal_folder_end_again(struct wal_folder *folder, omen_error *error);

/* Writes the bytes of the LSNs from `lsn` on. Any thread. Errors: DISK_FULL, IO_ERROR. */
omen_status wal_file_write(const struct wal_folder *folder, const struct wal_file *file,
                           uint64_t lsn, const void *bytes, size_t length, omen_error *error);

/* Closes the file and frees what stands for it; the list and the disk stay as they are. */
void wal_file_free(struct wal_folder *folder, struct wal_file *file);
void wal_files_free(struct wal_folder *folder, struct wal_file *files);

/* Takes files off the disk: a list that is no longer part of the log, which is freed. Where there
 * is no spare, one that was written to its end and has `capacity` becomes it. Errors: IO_ERROR. */
omen_status wal_files_retire(struct wal_folder *folder, struct wal_file *files, uint64_t capacity,
                             omen_error *error);

/* Reads the folder. `*files` becomes the log's files in order, closed, those left out that a file
 * of higher sequence replaces. All names of the log's that are no part of it (remains of
 * recoveries, of releases and of files being made) go to `remains`, each with its zero.
 * Errors: CORRUPTED and NOT_SUPPORTED for headers; OUT_OF_MEMORY, IO_ERROR. */
omen_status wal_folder_scan(struct wal_folder *folder, uint64_t start_lsn, struct wal_file **files,
                            struct byte_writer *remains, omen_error *error);

/* Removes the spares, and what was being made, of such a list of names; whether there were any. */
bool wal_folder_drop_spares(struct wal_folder *folder, const struct byte_writer *remains);

/* Removes the files of such a list of names, but not the log file that begins at `keep_lsn`, which
 * may have taken one of them; what cannot be removed stays. */
void wal_folder_sweep(struct wal_folder *folder, const struct byte_writer *remains,
                      uint64_t keep_lsn);

#endif
