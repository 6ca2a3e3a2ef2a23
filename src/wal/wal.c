/* wal.c - the log's life: made, closed, asked about, and freed of what a checkpoint has made
 * needless. */
#include "wal/wal_private.h"

#include "base/assert.h"
#include "wal/wal_read.h"

/* --- opening --- */

static void free_memory(struct wal *wal)
{
    for (size_t i = 0; i < 2; i++)
        allocator_free(wal->allocator, wal->buffers[i].bytes, WAL_BATCH_BYTES_MAX);
    allocator_free(wal->allocator, wal, sizeof *wal);
}

omen_status wal_open(const struct wal_options *options, struct wal_folder *folder,
                     struct wal_file *files, uint64_t lsn, struct wal **wal, omen_error *error)
{
    struct wal *made = allocator_alloc_zeroed(options->allocator, sizeof *made);
    if (made != NULL) {
        made->allocator = options->allocator;
        made->buffers[0].bytes = allocator_alloc(options->allocator, WAL_BATCH_BYTES_MAX);
        made->buffers[1].bytes = allocator_alloc(options->allocator, WAL_BATCH_BYTES_MAX);
    }
    if (made == NULL || made->buffers[0].bytes == NULL || made->buffers[1].bytes == NULL) {
        if (made != NULL)
            free_memory(made);
        wal_files_free(folder, files);
        wal_folder_release(folder);
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    }
    made->os = options->os;
    made->capacity = wal_file_capacity(options);
    made->durable = options->durable;
    made->durable_context = options->durable_context;
    made->folder = *folder;
    mutex_init(&made->folder_lock);
    mutex_init(&made->lock);
    condition_init(&made->turn[0]);
    condition_init(&made->turn[1]);
    condition_init(&made->idle);
    condition_init(&made->gathered);
    made->files = made->last_file = files;
    while (made->last_file->next != NULL)
        made->last_file = made->last_file->next;
    made->write_file = made->fill_file = made->last_file;
    made->filling = &made->buffers[0];
    made->filling->lsn = lsn;
    made->end_lsn = made->written_lsn = made->synced_lsn = made->durable_lsn = lsn;
    *wal = made;
    return OMEN_OK;
}

/* Whether any of the files holds a batch. */
static omen_status refuse_batches(struct wal_folder *folder, const struct wal_file *files,
                                  omen_error *error)
{
    struct wal_reader reader;
    omen_status status = wal_reader_init(&reader, folder, error);
    for (const struct wal_file *file = files; status == OMEN_OK && file != NULL;
         file = file->next) {
        struct wal_batch batch;
        const uint8_t *records;
        status = wal_reader_seek(&reader, file, file->first_lsn, error);
        if (status == OMEN_OK)
            status = wal_reader_next(&reader, &batch, &records, error);
        if (status == OMEN_OK && records != NULL)
            status = error_set(error, OMEN_OBJECT_IN_USE, "\"%s\" holds a log with commits",
                               folder->directory);
    }
    wal_reader_release(&reader);
    return status;
}

/* Empties the folder of what was never used. */
static omen_status clear_folder(struct wal_folder *folder, omen_error *error)
{
    struct byte_writer remains = {.allocator = folder->allocator};
    struct wal_file *files = NULL;
    omen_status status = wal_folder_scan(folder, 0, &files, &remains, error);
    if (status == OMEN_OK)
        status = refuse_batches(folder, files, error);
    if (status == OMEN_OK)
        wal_folder_sweep(folder, &remains, WAL_LSN_MAX);
    for (struct wal_file *file = files; status == OMEN_OK && file != NULL; file = file->next)
        status = folder->os->file_remove(folder->os, wal_folder_file_path(folder, file->first_lsn),
                                         error);
    wal_files_free(folder, files);
    byte_writer_release(&remains);
    return status;
}

omen_status wal_create(const struct wal_options *options, struct wal **wal, omen_error *error)
{
    struct wal_folder folder;
    struct wal_file *file = NULL;
    *wal = NULL;
    omen_status status = wal_folder_init(&folder, options, error);
    if (status == OMEN_OK)
        status = options->os->directory_create(options->os, options->directory, error);
    if (status == OMEN_OBJECT_IN_USE)
        status = clear_folder(&folder, error);
    if (status == OMEN_OK)
        status = wal_file_make(&folder, options->start_lsn, wal_file_capacity(options),
                               options->start_lsn, &file, error);
    if (status == OMEN_OK)
        return wal_open(options, &folder, file, options->start_lsn, wal, error);
    wal_folder_release(&folder);
    return status;
}

/* --- closing --- */

/* Writes that everything before is durable. Where there is no room for it, it is left out: all it
 * does is to make damage tellable from a torn end. */
static omen_status record_end(struct wal *wal, omen_error *error)
{
    if (wal->filling->lsn == wal->last_file->end_lsn &&
        wal_add_file(wal, WAL_ROOM_MIN, NULL) != OMEN_OK)
        return OMEN_OK;
    mutex_lock(&wal->lock);
    wal_begin_batch(wal);
    wal->filling->flags = WAL_BATCH_CLOSE;
    uint64_t lsn = wal_position(wal);
    mutex_unlock(&wal->lock);
    return wal_sync(wal, lsn, error);
}

/* Nobody tries again: what passes otherwise is final here. */
static omen_status sync_last(struct wal *wal, omen_error *error)
{
    omen_error reason = {.message = ""};
    omen_status status = wal_sync(wal, wal_position(wal), &reason);
    if (status == OMEN_OK)
        return OMEN_OK;
    return error_set(error, OMEN_COMMIT_UNKNOWN, "commit outcome unknown: %.400s", reason.message);
}

omen_status wal_close(struct wal *wal, omen_error *error)
{
    omen_status status = OMEN_OK;
    if (wal == NULL)
        return OMEN_OK;
    wal_abandon(wal);
    if (!wal->failed)
        status = sync_last(wal, error);
    if (!wal->failed && status == OMEN_OK)
        status = record_end(wal, error);
    wal_files_free(&wal->folder, wal->files);
    wal_folder_release(&wal->folder);
    condition_destroy(&wal->idle);
    condition_destroy(&wal->gathered);
    condition_destroy(&wal->turn[0]);
    condition_destroy(&wal->turn[1]);
    mutex_destroy(&wal->lock);
    mutex_destroy(&wal->folder_lock);
    free_memory(wal);
    return status;
}

/* --- releasing --- */

omen_status wal_release(struct wal *wal, uint64_t lsn, omen_error *error)
{
    mutex_lock(&wal->folder_lock);
    mutex_lock(&wal->lock);
    OMEN_ASSERT(lsn <= wal->synced_lsn);
    struct wal_file *released = wal->files, *last = NULL;
    while (wal->files != wal->write_file && wal->files->end_lsn <= lsn) {
        last = wal->files;
        wal->files = last->next;
        wal->is_short = false;
    }
    bool failed = wal->failed;
    mutex_unlock(&wal->lock);
    omen_status status = OMEN_OK;
    if (last != NULL) {
        last->next = NULL;
        if (failed)
            wal_files_free(&wal->folder, released);
        else
            status = wal_files_retire(&wal->folder, released, wal->capacity, error);
    }
    mutex_unlock(&wal->folder_lock);
    return status;
}

/* --- asking --- */

uint64_t wal_end(struct wal *wal)
{
    mutex_lock(&wal->lock);
    uint64_t lsn = wal->end_lsn;
    mutex_unlock(&wal->lock);
    return lsn;
}

uint64_t wal_durable(struct wal *wal)
{
    mutex_lock(&wal->lock);
    uint64_t lsn = wal->durable_lsn;
    mutex_unlock(&wal->lock);
    return lsn;
}

uint64_t wal_bytes_since(struct wal *wal, uint64_t lsn)
{
    uint64_t end = wal_end(wal);
    return end > lsn ? end - lsn : 0;
}

bool wal_is_short(struct wal *wal)
{
    mutex_lock(&wal->lock);
    bool is_short = wal->is_short;
    mutex_unlock(&wal->lock);
    return is_short;
}

void wal_note_room(struct wal *wal)
{
    mutex_lock(&wal->lock);
    wal->is_short = false;
    mutex_unlock(&wal->lock);
}

omen_status wal_failed(struct wal *wal, omen_error *error)
{
    mutex_lock(&wal->lock);
    omen_status status = wal->failed ? wal_failure(wal, OMEN_IO_ERROR, error) : OMEN_OK;
    mutex_unlock(&wal->lock);
    return status;
}

uint64_t wal_disk_bytes(struct wal *wal)
{
    uint64_t bytes = 0;
    mutex_lock(&wal->folder_lock);
    mutex_lock(&wal->lock);
    for (const struct wal_file *file = wal->files; file != NULL; file = file->next)
        bytes += WAL_HEADER_BYTES + file->end_lsn - file->first_lsn;
    mutex_unlock(&wal->lock);
    if (wal->folder.spare != NULL)
        bytes += WAL_HEADER_BYTES + wal->folder.spare->header.capacity;
    mutex_unlock(&wal->folder_lock);
    return bytes;
}
