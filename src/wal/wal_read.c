/* wal_read.c - batches out of files, through a window of two batches' length.
 *
 * No length that was read is trusted before the checksum over it is right, and none is used to
 * allocate.
 */
#include "wal/wal_read.h"

#include <inttypes.h>

#include "base/bits.h"

enum { WINDOW_BYTES = 2 * WAL_BATCH_BYTES_MAX };

omen_status wal_reader_init(struct wal_reader *reader, struct wal_folder *folder, omen_error *error)
{
    *reader = (struct wal_reader){.folder = folder, .handle = -1};
    reader->window = allocator_alloc(folder->allocator, WINDOW_BYTES);
    return reader->window != NULL ? OMEN_OK : error_set_default(error, OMEN_OUT_OF_MEMORY);
}

static void leave_file(struct wal_reader *reader)
{
    if (reader->handle >= 0)
        reader->folder->os->file_close(reader->folder->os, reader->handle);
    reader->handle = -1;
    reader->window_length = 0;
}

void wal_reader_release(struct wal_reader *reader)
{
    if (reader->folder == NULL)
        return;
    leave_file(reader);
    allocator_free(reader->folder->allocator, reader->window, WINDOW_BYTES);
}

omen_status wal_reader_seek(struct wal_reader *reader, const struct wal_file *files, uint64_t lsn,
                            omen_error *error)
{
    leave_file(reader);
    while (files != NULL && files->next != NULL && files->end_lsn <= lsn)
        files = files->next;
    if (files == NULL || lsn < files->first_lsn || lsn > files->end_lsn)
        return error_set(error, OMEN_CORRUPTED, "the log lacks the file that holds LSN %" PRIx64,
                         lsn);
    reader->file = files;
    reader->lsn = lsn;
    return OMEN_OK;
}

/* Makes the window begin at `lsn` unless it holds `length` bytes from there on; `*got` says how
 * many it then holds, fewer only where the file or its part of the log ends. */
static omen_status look_at(struct wal_reader *reader, uint64_t lsn, size_t length,
                           const uint8_t **bytes, size_t *got, omen_error *error)
{
    const struct os *os = reader->folder->os;
    const struct wal_file *file = reader->file;
    uint64_t skip = lsn - reader->window_lsn;
    if (lsn < reader->window_lsn || skip > reader->window_length ||
        reader->window_length - skip < length) {
        if (reader->handle < 0)
            OMEN_TRY(os->file_open(os, wal_folder_file_path(reader->folder, file->first_lsn),
                                   OS_OPEN_READ, &reader->handle, error));
        reader->window_length = 0;
        OMEN_TRY(os->file_read_at(
            os, reader->handle, reader->window, size_min(WINDOW_BYTES, file->end_lsn - lsn),
            WAL_HEADER_BYTES + lsn - file->first_lsn, &reader->window_length, error));
        reader->window_lsn = lsn;
        skip = 0;
    }
    *bytes = reader->window + skip;
    *got = reader->window_length - skip;
    return OMEN_OK;
}

/* The batch at `lsn` of the current file, if a valid one lies there. */
static omen_status batch_at(struct wal_reader *reader, uint64_t lsn, struct wal_batch *batch,
                            const uint8_t **bytes, omen_error *error)
{
    const struct wal_file *file = reader->file;
    const uint8_t *found;
    size_t got;
    *bytes = NULL;
    OMEN_TRY(look_at(reader, lsn, sizeof(struct wal_batch_bytes), &found, &got, error));
    size_t length = wal_batch_bytes(found, got, lsn, file->end_lsn - lsn);
    if (length == 0)
        return OMEN_OK;
    OMEN_TRY(look_at(reader, lsn, length, &found, &got, error));
    if (got >= length && wal_batch_decode(found, length, lsn, file->header.salt, batch))
        *bytes = found;
    return OMEN_OK;
}

static bool batch_makes_sense(const struct wal_batch *batch, const uint8_t *records)
{
    struct wal_record record;
    bool malformed;
    size_t at = 0;
    while (wal_record_next(records, batch->length, &at, &record, &malformed))
        continue;
    return !malformed && batch->durable_lsn <= batch->lsn &&
           (batch->flags & ~(uint32_t)WAL_BATCH_CLOSE) == 0;
}

omen_status wal_reader_next(struct wal_reader *reader, struct wal_batch *batch,
                            const uint8_t **records, omen_error *error)
{
    const uint8_t *bytes;
    *records = NULL;
    if (reader->lsn == reader->file->end_lsn) {
        const struct wal_file *next = reader->file->next;
        if (next == NULL || next->first_lsn != reader->lsn)
            return OMEN_OK;
        leave_file(reader);
        reader->file = next;
    }
    OMEN_TRY(batch_at(reader, reader->lsn, batch, &bytes, error));
    if (bytes == NULL)
        return OMEN_OK;
    if (!batch_makes_sense(batch, bytes + sizeof(struct wal_batch_bytes)))
        return error_set(error, OMEN_CORRUPTED, "the log's batch at LSN %" PRIx64 " is malformed",
                         reader->lsn);
    *records = bytes + sizeof(struct wal_batch_bytes);
    reader->lsn += sizeof(struct wal_batch_bytes) + batch->length;
    return OMEN_OK;
}

/* The same for one file: from `lsn` on at every place where a batch may begin. */
static omen_status file_proof(struct wal_reader *reader, uint64_t lsn, uint64_t *proven_lsn,
                              omen_error *error)
{
    uint64_t end = reader->file->end_lsn;
    while (lsn < end && end - lsn >= sizeof(struct wal_batch_bytes)) {
        struct wal_batch batch;
        const uint8_t *bytes;
        OMEN_TRY(batch_at(reader, lsn, &batch, &bytes, error));
        if (bytes != NULL && batch.durable_lsn <= lsn && batch.durable_lsn > *proven_lsn)
            *proven_lsn = batch.durable_lsn;
        lsn += bytes != NULL ? sizeof(struct wal_batch_bytes) + batch.length : 8;
    }
    return OMEN_OK;
}

omen_status wal_reader_proof(struct wal_reader *reader, uint64_t *proven_lsn, omen_error *error)
{
    *proven_lsn = 0;
    OMEN_TRY(file_proof(reader, reader->lsn, proven_lsn, error));
    while (reader->file->next != NULL) {
        leave_file(reader);
        reader->file = reader->file->next;
        if (reader->file->header.proven_lsn > *proven_lsn)
            *proven_lsn = reader->file->header.proven_lsn;
        OMEN_TRY(file_proof(reader, reader->file->first_lsn, proven_lsn, error));
    }
    return OMEN_OK;
}
