/* wal_read.h - walking over the batches of a log's files. One thread at a time. */
#ifndef OMEN_WAL_WAL_READ_H
#define OMEN_WAL_WAL_READ_H

#include "wal/wal_files.h"

struct wal_reader {
    struct wal_folder *folder;
    const struct wal_file *file; /* in whose list `lsn` lies */
    int64_t handle;              /* of that file; -1 */
    uint64_t lsn;                /* of the next batch */
    uint8_t *window;             /* bytes of the file */
    uint64_t window_lsn;
    size_t window_length;
};

/* A reader of nothing yet. Errors: OUT_OF_MEMORY. wal_reader_release in any case. */
omen_status wal_reader_init(struct wal_reader *reader, struct wal_folder *folder,
                            omen_error *error);
void wal_reader_release(struct wal_reader *reader);

/* Goes to `lsn`, which lies in one of `files`. Errors: CORRUPTED where it does not. */
omen_status wal_reader_seek(struct wal_reader *reader, const struct wal_file *files, uint64_t lsn,
                            omen_error *error);

/* Reads the batch at reader->lsn and moves behind it. `*records` is NULL where there is no valid
 * batch: the reader stays. Else it has batch->length bytes, which live until the next call, and
 * whose records are well-formed. Errors: IO_ERROR; CORRUPTED for what is valid and yet
 * nonsense. */
omen_status wal_reader_next(struct wal_reader *reader, struct wal_batch *batch,
                            const uint8_t **records, omen_error *error);

/* The highest LSN that anything valid behind reader->lsn proves to have been durable; 0 where
 * nothing is. Leaves the reader of no more use. Errors: IO_ERROR. */
omen_status wal_reader_proof(struct wal_reader *reader, uint64_t *proven_lsn, omen_error *error);

#endif
