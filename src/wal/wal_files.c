/* wal_files.c - making, naming and taking away log files. What the names mean: wal_files.h. */
#include "wal/wal_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

static const char name_new[] = "new";

enum { NAME_BYTES = 32, SMALL_ROOM_BYTES = 64 * 1024 };

omen_status wal_folder_init(struct wal_folder *folder, const struct wal_options *options,
                            omen_error *error)
{
    *folder = (struct wal_folder){.os = options->os, .allocator = options->allocator};
    folder->again_lsn = WAL_LSN_NONE;
    memcpy(folder->database_id, options->database_id, sizeof folder->database_id);
    size_t length = strlen(options->directory);
    folder->path_bytes = length + NAME_BYTES;
    folder->directory = allocator_alloc(options->allocator, folder->path_bytes);
    folder->path = allocator_alloc(options->allocator, folder->path_bytes);
    folder->other_path = allocator_alloc(options->allocator, folder->path_bytes);
    if (folder->directory == NULL || folder->path == NULL || folder->other_path == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    memcpy(folder->directory, options->directory, length + 1);
    return OMEN_OK;
}

void wal_folder_release(struct wal_folder *folder)
{
    wal_file_free(folder, folder->spare);
    allocator_free(folder->allocator, folder->directory, folder->path_bytes);
    allocator_free(folder->allocator, folder->path, folder->path_bytes);
    allocator_free(folder->allocator, folder->other_path, folder->path_bytes);
}

void wal_file_name(char name[LSN_NAME_BYTES], uint64_t first_lsn)
{
    snprintf(name, LSN_NAME_BYTES, "%016" PRIx64, first_lsn);
}

uint64_t wal_file_capacity(const struct wal_options *options)
{
    uint64_t bytes = options->file_bytes != 0 ? options->file_bytes : WAL_FILE_BYTES_DEFAULT;
    OMEN_ASSERT(bytes % WAL_HEADER_BYTES == 0 && bytes >= WAL_FILE_BYTES_MIN);
    return bytes - WAL_HEADER_BYTES;
}

uint64_t wal_small_capacity(uint64_t bytes)
{
    return (bytes + SMALL_ROOM_BYTES) / WAL_CAPACITY_MIN * WAL_CAPACITY_MIN;
}

const char *wal_folder_path(struct wal_folder *folder, const char *name)
{
    snprintf(folder->path, folder->path_bytes, "%s/%s", folder->directory, name);
    return folder->path;
}

const char *wal_folder_file_path(struct wal_folder *folder, uint64_t first_lsn)
{
    const char *prefix = first_lsn == folder->again_lsn ? "again-" : "";
    snprintf(folder->path, folder->path_bytes, "%s/%s%016" PRIx64, folder->directory, prefix,
             first_lsn);
    return folder->path;
}

static const char *spare_path(struct wal_folder *folder, const struct wal_file *file)
{
    snprintf(folder->other_path, folder->path_bytes, "%s/spare-%016" PRIx64, folder->directory,
             file->header.sequence);
    return folder->other_path;
}

/* Where a file lies that is being made: it has a name of its own only while it is the spare. */
static const char *making_path(struct wal_folder *folder, const struct wal_file *file)
{
    if (file == folder->spare)
        return spare_path(folder, file);
    snprintf(folder->other_path, folder->path_bytes, "%s/%s", folder->directory, name_new);
    return folder->other_path;
}

void wal_file_free(struct wal_folder *folder, struct wal_file *file)
{
    if (file == NULL)
        return;
    if (file->handle >= 0)
        folder->os->file_close(folder->os, file->handle);
    allocator_free(folder->allocator, file, sizeof *file);
}

void wal_files_free(struct wal_folder *folder, struct wal_file *files)
{
    while (files != NULL) {
        struct wal_file *next = files->next;
        wal_file_free(folder, files);
        files = next;
    }
}

/* --- making --- */

/* An empty file named "new", of full length. */
static omen_status file_create(struct wal_folder *folder, uint64_t capacity, struct wal_file **file,
                               omen_error *error)
{
    const struct os *os = folder->os;
    struct wal_file *made = allocator_alloc_zeroed(folder->allocator, sizeof *made);
    if (made == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    made->handle = -1;
    const char *path = making_path(folder, made);
    omen_status status = os->file_remove(os, path, error);
    if (status == OMEN_OK || status == OMEN_FILE_NOT_FOUND)
        status = os->file_open(os, path, OS_OPEN_CREATE_NEW, &made->handle, error);
    bool created = status == OMEN_OK;
    if (created)
        status = os->file_reserve(os, made->handle, WAL_HEADER_BYTES + capacity, error);
    if (status == OMEN_OK) {
        *file = made;
        return OMEN_OK;
    }
    wal_file_free(folder, made);
    if (created)
        (void)os->file_remove(os, path, NULL);
    return status;
}

void wal_file_undo(struct wal_folder *folder, struct wal_file *file)
{
    (void)folder->os->file_remove(folder->os, making_path(folder, file), NULL);
    if (file == folder->spare)
        folder->spare = NULL;
    wal_file_free(folder, file);
}

omen_status wal_file_begin(struct wal_folder *folder, uint64_t first_lsn, uint64_t capacity,
                           uint64_t proven_lsn, struct wal_file **file, omen_error *error)
{
    struct wal_file *made = folder->spare;
    if (made == NULL || made->header.capacity != capacity)
        OMEN_TRY(file_create(folder, capacity, &made, error));
    struct wal_header header = {
        .first_lsn = first_lsn,
        .capacity = capacity,
        .proven_lsn = proven_lsn,
        .sequence = folder->sequence + 1,
    };
    memcpy(header.database_id, folder->database_id, sizeof header.database_id);
    folder->os->random_bytes(folder->os, &header.salt, sizeof header.salt);
    uint8_t bytes[sizeof(struct wal_header_bytes)];
    wal_header_encode(&header, bytes);
    omen_status status =
        folder->os->file_write_at(folder->os, made->handle, bytes, sizeof bytes, 0, error);
    if (status != OMEN_OK) {
        wal_file_undo(folder, made);
        return status;
    }
    made->first_lsn = first_lsn;
    made->end_lsn = first_lsn + capacity;
    made->zeroed_lsn = made == folder->spare ? made->end_lsn : first_lsn;
    if (made != folder->spare)
        made->header = header;
    else
        made->header.first_lsn = first_lsn, made->header.salt = header.salt;
    folder->sequence++;
    *file = made;
    return OMEN_OK;
}

omen_status wal_file_finish(struct wal_folder *folder, struct wal_file *file, omen_error *error)
{
    const struct os *os = folder->os;
    omen_status status = os->file_sync(os, file->handle, error);
    if (status == OMEN_OK)
        status = os->file_rename(os, making_path(folder, file),
                                 wal_folder_file_path(folder, file->first_lsn), error);
    if (status != OMEN_OK) {
        wal_file_undo(folder, file);
        return status;
    }
    if (file == folder->spare)
        folder->spare = NULL;
    file->header.sequence = folder->sequence;
    status = os->directory_sync(os, folder->directory, error);
    if (status != OMEN_OK)
        wal_file_free(folder, file);
    return status;
}

omen_status wal_folder_end_again(struct wal_folder *folder, omen_error *error)
{
    uint64_t lsn = folder->again_lsn;
    if (lsn == WAL_LSN_NONE)
        return OMEN_OK;
    snprintf(folder->other_path, folder->path_bytes, "%s", wal_folder_file_path(folder, lsn));
    folder->again_lsn = WAL_LSN_NONE;
    omen_status status = folder->os->file_rename(folder->os, folder->other_path,
                                                 wal_folder_file_path(folder, lsn), error);
    if (status != OMEN_OK)
        folder->again_lsn = lsn;
    return status;
}

omen_status wal_file_name_again(struct wal_folder *folder, const struct wal_file *file,
                                omen_error *error)
{
    const struct os *os = folder->os;
    snprintf(folder->other_path, folder->path_bytes, "%s/again-%016" PRIx64, folder->directory,
             file->first_lsn);
    OMEN_TRY(os->file_rename(os, wal_folder_file_path(folder, file->first_lsn), folder->other_path,
                             error));
    folder->again_lsn = file->first_lsn;
    OMEN_TRY(os->directory_sync(os, folder->directory, error));
    OMEN_TRY(wal_folder_end_again(folder, error));
    return os->directory_sync(os, folder->directory, error);
}

omen_status wal_file_make(struct wal_folder *folder, uint64_t first_lsn, uint64_t capacity,
                          uint64_t proven_lsn, struct wal_file **file, omen_error *error)
{
    struct wal_file *made = NULL;
    OMEN_TRY(wal_file_begin(folder, first_lsn, capacity, proven_lsn, &made, error));
    OMEN_TRY(wal_file_finish(folder, made, error));
    *file = made;
    return OMEN_OK;
}

omen_status wal_file_write(const struct wal_folder *folder, const struct wal_file *file,
                           uint64_t lsn, const void *bytes, size_t length, omen_error *error)
{
    return folder->os->file_write_at(folder->os, file->handle, bytes, length,
                                     WAL_HEADER_BYTES + lsn - file->first_lsn, error);
}

/* --- taking away --- */

/* A file to be used again keeps its content until then: under the spare's name nobody reads it. */
static omen_status make_spare(struct wal_folder *folder, struct wal_file *file, omen_error *error)
{
    const struct os *os = folder->os;
    const char *path = wal_folder_file_path(folder, file->first_lsn);
    if (file->handle < 0)
        OMEN_TRY(os->file_open(os, path, OS_OPEN_WRITE, &file->handle, error));
    return os->file_rename(os, path, spare_path(folder, file), error);
}

omen_status wal_files_retire(struct wal_folder *folder, struct wal_file *files, uint64_t capacity,
                             omen_error *error)
{
    const struct os *os = folder->os;
    omen_status status = OMEN_OK;
    struct wal_file *spare = NULL;
    if (files == NULL)
        return OMEN_OK;
    for (struct wal_file *file = files, *next; file != NULL; file = next) {
        next = file->next;
        file->next = NULL;
        if (file->end_lsn == file->first_lsn) { /* its name is that of the next one */
            wal_file_free(folder, file);
            continue;
        }
        bool whole = file->header.capacity == capacity &&
                     file->end_lsn == file->first_lsn + capacity &&
                     file->zeroed_lsn == file->end_lsn;
        if (status == OMEN_OK && whole && folder->spare == NULL && spare == NULL) {
            status = make_spare(folder, file, error);
            if (status == OMEN_OK) {
                spare = file;
                continue;
            }
        } else if (status == OMEN_OK) {
            status = os->file_remove(os, wal_folder_file_path(folder, file->first_lsn), error);
            if (status == OMEN_FILE_NOT_FOUND)
                status = OMEN_OK;
        }
        wal_file_free(folder, file);
    }
    if (status == OMEN_OK)
        status = os->directory_sync(os, folder->directory, error);
    if (status == OMEN_OK && spare != NULL)
        folder->spare = spare;
    else
        wal_file_free(folder, spare);
    return status;
}

bool wal_folder_drop_spares(struct wal_folder *folder, const struct byte_writer *remains)
{
    bool dropped = false;
    for (size_t at = 0; at < remains->length;) {
        const char *name = (const char *)remains->data + at;
        if (strcmp(name, name_new) == 0 || strncmp(name, "spare-", 6) == 0)
            dropped |=
                folder->os->file_remove(folder->os, wal_folder_path(folder, name), NULL) == OMEN_OK;
        at += strlen(name) + 1;
    }
    return dropped;
}

void wal_folder_sweep(struct wal_folder *folder, const struct byte_writer *remains,
                      uint64_t keep_lsn)
{
    char keep[LSN_NAME_BYTES];
    wal_file_name(keep, keep_lsn);
    for (size_t at = 0; at < remains->length;) {
        const char *name = (const char *)remains->data + at;
        if (strcmp(name, keep) != 0)
            (void)folder->os->file_remove(folder->os, wal_folder_path(folder, name), NULL);
        at += strlen(name) + 1;
    }
}
