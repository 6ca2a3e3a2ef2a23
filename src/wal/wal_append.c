/* wal_append.c - the writer's side: room, records, commits.
 *
 * A commit's bytes go into the batch that is being filled, as one record or, where a batch or a
 * file ends in between or somebody takes the batch to write it, as several.
 */
#include "wal/wal_private.h"

#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

enum {
    HEADER = sizeof(struct wal_batch_bytes),
    RECORD = sizeof(struct wal_record_bytes),
    CONTENT_MAX = WAL_BATCH_BYTES_MAX - WAL_ROOM_MIN, /* the rest is for padding */
    END_ROOM = 2 * WAL_ROOM_MIN, /* what a file keeps for the record that ends a commit */
    FEW_BYTES = 1024 * 1024,     /* of a commit that small files are made for */
};

/* --- files --- */

/* Bytes that fit from here on into the files that there are. Lock held. */
static uint64_t room_left(const struct wal *wal)
{
    return wal->last_file->end_lsn - wal_position(wal);
}

/* Makes a file of full length, or a small one. */
static omen_status make_file(struct wal *wal, uint64_t bytes, uint64_t first_lsn,
                             uint64_t proven_lsn, struct wal_file **file, omen_error *error)
{
    uint64_t small = wal_small_capacity(bytes);
    omen_status status =
        wal_file_make(&wal->folder, first_lsn, wal->capacity, proven_lsn, file, error);
    if (status == OMEN_DISK_FULL && bytes <= FEW_BYTES && small < wal->capacity)
        status = wal_file_make(&wal->folder, first_lsn, small, proven_lsn, file, error);
    return status;
}

omen_status wal_add_file(struct wal *wal, uint64_t bytes, omen_error *error)
{
    omen_error reason = {0};
    mutex_lock(&wal->folder_lock);
    mutex_lock(&wal->lock);
    uint64_t first_lsn = wal->last_file->end_lsn, proven_lsn = wal->synced_lsn;
    omen_status status = wal->failed ? wal_failure(wal, OMEN_IO_ERROR, error) : OMEN_OK;
    mutex_unlock(&wal->lock);
    if (status != OMEN_OK) {
        mutex_unlock(&wal->folder_lock);
        return status;
    }
    struct wal_file *file = NULL;
    status = make_file(wal, bytes, first_lsn, proven_lsn, &file, &reason);
    /* It may have its name, and nothing is in it. That of a file without room is its own. */
    if (wal_is_passing(status) && first_lsn > wal->last_file->first_lsn)
        (void)wal->os->file_remove(wal->os, wal_folder_file_path(&wal->folder, first_lsn), NULL);
    mutex_lock(&wal->lock);
    if (status == OMEN_OK) {
        wal->last_file->next = file;
        wal->last_file = file;
        wal->is_short = false;
    } else if (wal_is_passing(status)) {
        error_set(error, status, "%s", reason.message);
        wal->is_short |= status == OMEN_DISK_FULL && bytes <= FEW_BYTES;
    } else {
        wal_fail(wal, &reason);
        status = wal_failure(wal, OMEN_IO_ERROR, error);
    }
    mutex_unlock(&wal->lock);
    mutex_unlock(&wal->folder_lock);
    return status;
}

/* Takes back the files made for a commit that found no room, but for the first. */
static void drop_spare_files(struct wal *wal)
{
    mutex_lock(&wal->folder_lock);
    mutex_lock(&wal->lock);
    struct wal_file *keep = wal->fill_file->next, *drop = NULL;
    if (keep != NULL) {
        drop = keep->next;
        keep->next = NULL;
        wal->last_file = keep;
    }
    mutex_unlock(&wal->lock);
    (void)wal_files_retire(&wal->folder, drop, 0, NULL);
    mutex_unlock(&wal->folder_lock);
}

omen_status wal_reserve(struct wal *wal, uint64_t payload_bytes, omen_error *error)
{
    omen_status status = OMEN_OK;
    mutex_lock(&wal->lock);
    if (wal->failed)
        status = wal_failure(wal, OMEN_IO_ERROR, error);
    else if (wal->pending != NULL && !wal->busy)
        status = wal_flush(wal, error); /* the disk was full, say */
    /* Headers, padding, and what a batch loses that is taken before it is full. */
    uint64_t batches = payload_bytes / (WAL_BATCH_BYTES_MAX / 8) + 2;
    uint64_t needed = payload_bytes + batches * (HEADER + RECORD + WAL_ROOM_MIN) + END_ROOM;
    while (status == OMEN_OK && room_left(wal) < needed) {
        uint64_t missing = needed - room_left(wal);
        mutex_unlock(&wal->lock);
        status = wal_add_file(wal, missing, error);
        if (status != OMEN_OK)
            drop_spare_files(wal);
        mutex_lock(&wal->lock);
    }
    mutex_unlock(&wal->lock);
    return status;
}

/* --- batches. Lock held. --- */

/* Sets the length and flags of the record being filled, and pads it. */
static void close_record(struct wal *wal, uint32_t flags)
{
    struct wal_buffer *filling = wal->filling;
    uint8_t *record = filling->bytes + wal->record_at;
    uint32_t length = (uint32_t)(filling->length - wal->record_at - RECORD);
    flags |= bytes_get_u32(record + offsetof(struct wal_record_bytes, flags));
    bytes_put_u32(record + offsetof(struct wal_record_bytes, length), length);
    bytes_put_u32(record + offsetof(struct wal_record_bytes, flags), flags);
    size_t end = wal_align8(filling->length);
    memset(filling->bytes + filling->length, 0, end - filling->length);
    filling->length = end;
    wal->record_at = 0;
}

void wal_begin_batch(struct wal *wal)
{
    struct wal_buffer *filling = wal->filling;
    if (filling->lsn == wal->fill_file->end_lsn) {
        OMEN_ASSERT(wal->fill_file->next != NULL);
        wal->fill_file = wal->fill_file->next;
    }
    filling->file = wal->fill_file;
    filling->flags = 0;
    filling->length = HEADER;
}

/* Begins a record; false where the batch or its file has no room for one with a byte in it. */
static bool open_record(struct wal *wal)
{
    struct wal_buffer *filling = wal->filling;
    if (filling->length == 0)
        wal_begin_batch(wal);
    uint64_t limit = filling->file->end_lsn - filling->lsn;
    if (filling->length + RECORD + 8 > size_min(limit, CONTENT_MAX))
        return false;
    wal->record_at = filling->length;
    if (wal->first_record) {
        wal->begun_here = true;
        wal->commit_at = wal->record_at;
    }
    uint8_t *record = filling->bytes + wal->record_at;
    bytes_put_u32(record + offsetof(struct wal_record_bytes, flags),
                  wal->first_record ? WAL_RECORD_FIRST : 0);
    wal->first_record = false;
    filling->length += RECORD;
    return true;
}

void wal_seal(struct wal *wal)
{
    struct wal_buffer *sealed = wal->filling;
    OMEN_ASSERT(wal->pending == NULL && sealed->length > 0);
    if (wal->record_at != 0)
        close_record(wal, 0);
    uint64_t left = sealed->file->end_lsn - sealed->lsn - sealed->length;
    if (left < WAL_ROOM_MIN) {
        memset(sealed->bytes + sealed->length, 0, left);
        sealed->length += left;
    }
    wal->pending = sealed;
    wal->filling = sealed == &wal->buffers[0] ? &wal->buffers[1] : &wal->buffers[0];
    wal->filling->lsn = sealed->lsn + sealed->length;
    wal->filling->length = 0;
    wal->begun_here = false;
}

/* Copies what fits into the batch being filled; 0 where nothing does. */
static size_t fill(struct wal *wal, const uint8_t *data, size_t length)
{
    if (wal->record_at == 0 && !open_record(wal))
        return 0;
    struct wal_buffer *filling = wal->filling;
    size_t limit = size_min(filling->file->end_lsn - filling->lsn, CONTENT_MAX);
    size_t taken = size_min(length, limit - filling->length);
    memcpy(filling->bytes + filling->length, data, taken);
    filling->length += taken;
    return taken;
}

/* --- commits --- */

/* Forgets the commit under way. What of it was sealed is given up by the FIRST of the next. */
static void abandon(struct wal *wal)
{
    if (!wal->in_commit)
        return;
    if (wal->begun_here) {
        wal->filling->length = wal->commit_at;
        wal->record_at = 0;
        if (wal->commit_at == HEADER)
            wal->filling->length = 0;
    } else if (wal->record_at != 0) {
        close_record(wal, 0);
    }
    wal->in_commit = wal->begun_here = false;
}

omen_status wal_append(struct wal *wal, const void *data, size_t length, omen_error *error)
{
    const uint8_t *next = data;
    omen_status status = OMEN_OK;
    mutex_lock(&wal->lock);
    if (!wal->in_commit)
        wal->in_commit = wal->first_record = true, wal->begun_here = false;
    for (;;) {
        if (wal->failed)
            status = wal_failure(wal, OMEN_IO_ERROR, error);
        if (status != OMEN_OK)
            break;
        if (room_left(wal) < END_ROOM) {
            mutex_unlock(&wal->lock);
            status = wal_add_file(wal, END_ROOM, error);
            mutex_lock(&wal->lock);
            continue;
        }
        if (length == 0)
            break;
        size_t taken = fill(wal, next, length);
        if (taken == 0)
            status = wal_flush(wal, error);
        next += taken, length -= taken;
    }
    if (status != OMEN_OK)
        abandon(wal);
    mutex_unlock(&wal->lock);
    return status;
}

uint64_t wal_commit(struct wal *wal)
{
    mutex_lock(&wal->lock);
    OMEN_ASSERT(wal->in_commit);
    if (wal->record_at == 0) {
        bool opened = open_record(wal); /* never full: see wal_append */
        OMEN_ASSERT(opened);
    }
    close_record(wal, WAL_RECORD_LAST);
    wal->in_commit = wal->begun_here = false;
    uint64_t lsn = wal->end_lsn = wal_position(wal);
    mutex_unlock(&wal->lock);
    return lsn;
}

void wal_abandon(struct wal *wal)
{
    mutex_lock(&wal->lock);
    abandon(wal);
    mutex_unlock(&wal->lock);
}
