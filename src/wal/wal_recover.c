/* wal_recover.c - from what lies on the disk back to commits, and on from there.
 *
 *        start_lsn                 proven          end
 *     ------|-------- batches --------|--- tail ---|  torn or empty
 *
 * 1. Find the end: the first place from start_lsn on where no valid batch lies.
 * 2. Find what is proven: the highest `durable` of the batches and `proven` of the files, those
 *    behind the end too, and what the caller knows. Beyond the end it means damage, not a torn
 *    tail: refuse. (Batches behind the end that prove nothing are writes that overtook others.)
 * 3. Replay, checking everything once more. Nothing has been changed so far.
 * 4. Copy the tail to a new file, synced, that begins at `proven` and from there on replaces all
 *    others: after a failed sync the page cache may show batches that the disk lacks. The new file
 *    has a new salt, so what lay behind the end can't come back. If what is read now is not what
 *    was replayed, because the cache has lost it meanwhile, the recovery fails, and may be
 * repeated.
 *
 * Where the disk has no room for a new file, the tail is written and synced where it lies: the same
 * bytes, so that a crash does no harm, and into room that is there. Nothing is appended behind it,
 * where batches may lie that overtook others: the log goes on in a file made once there is room.
 * If the tail is all there is of its file, it may have been copied there by a recovery whose sync
 * of the directory failed: then the disk may lack the file's name, and a sync that succeeds now
 * brings it no more than one of the file would bring pages. So the file is given its name anew.
 */
#include "wal/wal_private.h"

#include <inttypes.h>

#include "base/bits.h"
#include "wal/wal_read.h"

struct recovery {
    const struct wal_options *options;
    struct wal_folder folder;
    struct wal_file *files;
    struct byte_writer remains;
    struct wal_reader reader;
    uint64_t end_lsn, proven_lsn;
};

static omen_status begin(struct recovery *recovery, const struct wal_options *options,
                         omen_error *error)
{
    *recovery = (struct recovery){.options = options, .remains = {.allocator = options->allocator}};
    OMEN_TRY(wal_folder_init(&recovery->folder, options, error));
    omen_status status = wal_folder_scan(&recovery->folder, options->start_lsn, &recovery->files,
                                         &recovery->remains, error);
    if (status == OMEN_FILE_NOT_FOUND)
        return error_set(error, OMEN_CORRUPTED, "there is no log in \"%s\"", options->directory);
    OMEN_TRY(status);
    return wal_reader_init(&recovery->reader, &recovery->folder, error);
}

static void end(struct recovery *recovery)
{
    wal_reader_release(&recovery->reader);
    byte_writer_release(&recovery->remains);
}

/* --- finding the end --- */

/* Files are made in full length before they get their name: a short one was cut by somebody. */
static omen_status check_lengths(struct recovery *recovery, omen_error *error)
{
    struct wal_folder *folder = &recovery->folder;
    const struct os *os = folder->os;
    for (const struct wal_file *file = recovery->files; file != NULL; file = file->next) {
        const char *path = wal_folder_file_path(folder, file->first_lsn);
        int64_t handle;
        uint64_t bytes;
        OMEN_TRY(os->file_open(os, path, OS_OPEN_READ, &handle, error));
        omen_status status = os->file_size(os, handle, &bytes, error);
        os->file_close(os, handle);
        OMEN_TRY(status);
        if (bytes < WAL_HEADER_BYTES + file->end_lsn - file->first_lsn)
            return error_set(error, OMEN_CORRUPTED, "log file \"%s\" has been cut short", path);
    }
    return OMEN_OK;
}

static void prove(struct recovery *recovery, uint64_t lsn)
{
    if (lsn > recovery->proven_lsn)
        recovery->proven_lsn = lsn;
}

static omen_status find_end(struct recovery *recovery, omen_error *error)
{
    const struct wal_options *options = recovery->options;
    struct wal_reader *reader = &recovery->reader;
    struct wal_batch batch;
    const uint8_t *records;
    uint64_t proof;
    OMEN_TRY(check_lengths(recovery, error));
    prove(recovery, options->start_lsn);
    prove(recovery, options->proven_lsn);
    OMEN_TRY(wal_reader_seek(reader, recovery->files, options->start_lsn, error));
    prove(recovery, reader->file->header.proven_lsn);
    for (;;) {
        OMEN_TRY(wal_reader_next(reader, &batch, &records, error));
        if (records == NULL)
            break;
        prove(recovery, batch.durable_lsn);
        prove(recovery, reader->file->header.proven_lsn);
    }
    recovery->end_lsn = reader->lsn;
    const struct wal_file *file = reader->file;
    OMEN_TRY(wal_reader_proof(reader, &proof, error));
    prove(recovery, proof);
    if (recovery->proven_lsn <= recovery->end_lsn)
        return OMEN_OK;
    return error_set(error, OMEN_CORRUPTED,
                     "the log is damaged at LSN %" PRIx64
                     " (%s \"%s\"), although it was durable up to LSN %" PRIx64,
                     recovery->end_lsn, recovery->end_lsn < file->end_lsn ? "in" : "the file after",
                     wal_folder_file_path(&recovery->folder, file->first_lsn),
                     recovery->proven_lsn);
}

/* --- the tail --- */

static omen_status changed(omen_error *error, uint64_t lsn)
{
    return error_set(error, OMEN_CORRUPTED, "the log changed at LSN %" PRIx64 " while it was read",
                     lsn);
}

/* Copies the batches from what is proven to the end, for the salt of `file`. */
static omen_status copy_batches(struct recovery *recovery, struct wal_file *file, omen_error *error)
{
    struct wal_reader *reader = &recovery->reader;
    OMEN_TRY(wal_reader_seek(reader, recovery->files, recovery->proven_lsn, error));
    while (reader->lsn < recovery->end_lsn) {
        struct wal_batch batch;
        const uint8_t *records;
        OMEN_TRY(wal_reader_next(reader, &batch, &records, error));
        if (records == NULL)
            return changed(error, reader->lsn);
        size_t header = sizeof(struct wal_batch_bytes);
        uint8_t *bytes = reader->window + (records - header - reader->window);
        wal_batch_encode(&batch, file->header.salt, bytes);
        OMEN_TRY(wal_file_write(&recovery->folder, file, batch.lsn, bytes, header + batch.length,
                                error));
    }
    return OMEN_OK;
}

/* Ends the list where the new file begins; what lay behind is no part of the log any more. */
static omen_status cut_files(struct recovery *recovery, struct wal_file *made, omen_error *error)
{
    uint64_t lsn = made->first_lsn;
    struct wal_file **at = &recovery->files;
    while (*at != NULL && (*at)->first_lsn < lsn) {
        (*at)->end_lsn = size_min((*at)->end_lsn, lsn);
        at = &(*at)->next;
    }
    for (const struct wal_file *file = *at; file != NULL; file = file->next) {
        char name[LSN_NAME_BYTES];
        wal_file_name(name, file->first_lsn);
        byte_writer_put(&recovery->remains, name, sizeof name);
    }
    wal_files_free(&recovery->folder, *at);
    *at = made;
    return recovery->remains.failed ? error_set_default(error, OMEN_OUT_OF_MEMORY) : OMEN_OK;
}

/* Gives back the room behind a file's last batch. Only room: failure does no harm. */
static void shorten(struct recovery *recovery, const struct wal_file *file)
{
    struct wal_folder *folder = &recovery->folder;
    const struct os *os = folder->os;
    int64_t handle;
    if (os->file_open(os, wal_folder_file_path(folder, file->first_lsn), OS_OPEN_WRITE, &handle,
                      NULL) != OMEN_OK)
        return;
    (void)os->file_truncate(os, handle, WAL_HEADER_BYTES + file->end_lsn - file->first_lsn, NULL);
    os->file_close(os, handle);
}

/* Begins a file of that capacity with a copy of the tail. */
static omen_status begin_copy(struct recovery *recovery, uint64_t capacity, struct wal_file **file,
                              omen_error *error)
{
    uint64_t first_lsn = recovery->proven_lsn;
    /* The file proves no more than is proven without it: if making its name durable fails, the
     * next recovery may see a name that the disk lacks, and must copy the tail once more. */
    OMEN_TRY(wal_file_begin(&recovery->folder, first_lsn, capacity, first_lsn, file, error));
    omen_status status = copy_batches(recovery, *file, error);
    if (status != OMEN_OK)
        wal_file_undo(&recovery->folder, *file);
    return status;
}

/* The same, with less room where the disk has little. */
static omen_status begin_some_copy(struct recovery *recovery, struct wal_file **file,
                                   omen_error *error)
{
    uint64_t tail_bytes = recovery->end_lsn - recovery->proven_lsn;
    uint64_t capacity = wal_file_capacity(recovery->options);
    uint64_t small = wal_small_capacity(tail_bytes);
    if (capacity < tail_bytes + WAL_CAPACITY_MIN)
        capacity = (tail_bytes + 2 * WAL_CAPACITY_MIN) / WAL_CAPACITY_MIN * WAL_CAPACITY_MIN;
    omen_status status = begin_copy(recovery, capacity, file, error);
    if (status == OMEN_DISK_FULL && wal_folder_drop_spares(&recovery->folder, &recovery->remains))
        status = begin_copy(recovery, capacity, file, error);
    if (status == OMEN_DISK_FULL && small < capacity)
        status = begin_copy(recovery, small, file, error);
    return status;
}

/* Writes a batch where it was read, and syncs the file before where this is in another. `*at` is
 * the file written to, open. */
static omen_status write_again(struct recovery *recovery, const struct wal_batch *batch,
                               const uint8_t *records, const struct wal_file **at, int64_t *handle,
                               omen_error *error)
{
    struct wal_folder *folder = &recovery->folder;
    const struct os *os = folder->os;
    const struct wal_file *file = recovery->reader.file;
    size_t header = sizeof(struct wal_batch_bytes);
    if (file != *at) {
        if (*handle >= 0)
            OMEN_TRY(os->file_sync(os, *handle, error));
        if (*handle >= 0)
            os->file_close(os, *handle);
        *handle = -1;
        OMEN_TRY(os->file_open(os, wal_folder_file_path(folder, file->first_lsn), OS_OPEN_WRITE,
                               handle, error));
        *at = file;
    }
    return os->file_write_at(os, *handle, records - header, header + batch->length,
                             WAL_HEADER_BYTES + batch->lsn - file->first_lsn, error);
}

/* Makes the tail durable where it is. */
static omen_status rewrite_tail(struct recovery *recovery, omen_error *error)
{
    struct wal_reader *reader = &recovery->reader;
    const struct os *os = recovery->folder.os;
    const struct wal_file *at = NULL;
    int64_t handle = -1;
    omen_status status = wal_reader_seek(reader, recovery->files, recovery->proven_lsn, error);
    while (status == OMEN_OK && reader->lsn < recovery->end_lsn) {
        struct wal_batch batch;
        const uint8_t *records;
        status = wal_reader_next(reader, &batch, &records, error);
        if (status == OMEN_OK && records == NULL)
            status = changed(error, reader->lsn);
        if (status == OMEN_OK)
            status = write_again(recovery, &batch, records, &at, &handle, error);
    }
    if (status == OMEN_OK && handle >= 0)
        status = os->file_sync(os, handle, error);
    if (handle >= 0)
        os->file_close(os, handle);
    return status;
}

/* The log as it is, up to its end and with no room behind it. */
static omen_status stay(struct recovery *recovery, omen_error *error)
{
    struct wal_folder *folder = &recovery->folder;
    OMEN_TRY(rewrite_tail(recovery, error));
    struct wal_file *last = recovery->files;
    while (last->next != NULL && last->next->first_lsn < recovery->end_lsn)
        last = last->next;
    wal_files_free(folder, last->next);
    last->next = NULL;
    last->end_lsn = recovery->end_lsn;
    /* Something after its beginning is proven only of a file that has a durable name. */
    if (last->first_lsn >= recovery->proven_lsn)
        OMEN_TRY(wal_file_name_again(folder, last, error));
    return folder->os->file_open(folder->os, wal_folder_file_path(folder, last->first_lsn),
                                 OS_OPEN_WRITE, &last->handle, error);
}

/* Makes the file that the log goes on in, beginning with a copy of the tail. */
static omen_status copy_tail(struct recovery *recovery, bool keep, omen_error *error)
{
    struct wal_folder *folder = &recovery->folder;
    uint64_t first_lsn = recovery->proven_lsn;
    struct wal_file *file = NULL;
    OMEN_TRY(wal_folder_end_again(folder, error));
    omen_status status = begin_some_copy(recovery, &file, error);
    if (status == OMEN_DISK_FULL)
        return stay(recovery, error);
    OMEN_TRY(status);
    OMEN_TRY(wal_file_finish(folder, file, error));
    OMEN_TRY(cut_files(recovery, file, error));
    for (const struct wal_file *cut = recovery->files; cut != file; cut = cut->next)
        if (cut->next == file && cut->end_lsn < cut->first_lsn + cut->header.capacity)
            shorten(recovery, cut);
    if (!keep)
        wal_folder_sweep(folder, &recovery->remains, first_lsn);
    return OMEN_OK;
}

/* --- replay --- */

struct replaying {
    const struct wal_replay *replay;
    bool in_commit;
};

static omen_status replay_record(struct replaying *state, const struct wal_record *record,
                                 uint64_t end_lsn, omen_error *error)
{
    const struct wal_replay *replay = state->replay;
    bool first = record->flags & WAL_RECORD_FIRST;
    if (first && state->in_commit)
        replay->discard(replay->context);
    if (!first && !state->in_commit)
        return error_set(error, OMEN_CORRUPTED,
                         "the log's commit that ends at LSN %" PRIx64 " has no beginning", end_lsn);
    state->in_commit = true;
    if (record->length > 0)
        OMEN_TRY(replay->data(replay->context, record->bytes, record->length, error));
    if (!(record->flags & WAL_RECORD_LAST))
        return OMEN_OK;
    state->in_commit = false;
    return replay->commit(replay->context, end_lsn, error);
}

static omen_status replay_commits(struct recovery *recovery, const struct wal_replay *replay,
                                  omen_error *error)
{
    struct wal_reader *reader = &recovery->reader;
    struct replaying state = {.replay = replay};
    OMEN_TRY(wal_reader_seek(reader, recovery->files, recovery->options->start_lsn, error));
    while (reader->lsn < recovery->end_lsn) {
        struct wal_batch batch;
        struct wal_record record;
        const uint8_t *records;
        size_t at = 0;
        bool malformed;
        OMEN_TRY(wal_reader_next(reader, &batch, &records, error));
        if (records == NULL)
            return changed(error, reader->lsn);
        uint64_t records_lsn = batch.lsn + sizeof(struct wal_batch_bytes);
        while (wal_record_next(records, batch.length, &at, &record, &malformed))
            OMEN_TRY(replay_record(&state, &record, records_lsn + record.end, error));
    }
    if (state.in_commit)
        replay->discard(replay->context);
    return OMEN_OK;
}

omen_status wal_recover(const struct wal_options *options, const struct wal_replay *replay,
                        struct wal **wal, omen_error *error)
{
    struct recovery recovery;
    bool keep = false;
    *wal = NULL;
    omen_status status = begin(&recovery, options, error);
    if (status == OMEN_OK)
        status = find_end(&recovery, error);
    if (status == OMEN_OK)
        status = replay_commits(&recovery, replay, error);
    if (status == OMEN_OK && replay->accept != NULL)
        status = replay->accept(replay->context, &keep, error);
    if (status == OMEN_OK)
        status = copy_tail(&recovery, keep, error);
    end(&recovery);
    if (status == OMEN_OK)
        return wal_open(options, &recovery.folder, recovery.files, recovery.end_lsn, wal, error);
    wal_files_free(&recovery.folder, recovery.files);
    wal_folder_release(&recovery.folder);
    return status;
}

/* --- looking only --- */

static omen_status ignore_data(void *context, const void *bytes, size_t length, omen_error *error)
{
    return OMEN_OK;
}

static omen_status ignore_commit(void *context, uint64_t lsn, omen_error *error)
{
    return OMEN_OK;
}

static void ignore_discard(void *context)
{
}

omen_status wal_verify(const struct wal_options *options, const struct wal_replay *replay,
                       uint64_t *end_lsn, omen_error *error)
{
    const struct wal_replay nothing = {
        .data = ignore_data, .commit = ignore_commit, .discard = ignore_discard};
    struct recovery recovery;
    *end_lsn = options->start_lsn;
    omen_status status = begin(&recovery, options, error);
    if (status == OMEN_OK)
        status = find_end(&recovery, error);
    if (status == OMEN_OK)
        status = replay_commits(&recovery, replay != NULL ? replay : &nothing, error);
    if (status == OMEN_OK)
        *end_lsn = recovery.end_lsn;
    end(&recovery);
    wal_files_free(&recovery.folder, recovery.files);
    wal_folder_release(&recovery.folder);
    return status;
}
