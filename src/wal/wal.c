/* wal.c - the log's interface while its parts are being put together: refuses to be opened. */
#include "wal/wal.h"

#include "base/assert.h"

static omen_status not_yet(omen_error *error)
{
    return error_set(error, OMEN_NOT_SUPPORTED, "the write-ahead log is not there yet");
}

omen_status wal_create(const struct wal_options *options, struct wal **wal, omen_error *error)
{
    *wal = NULL;
    return not_yet(error);
}

omen_status wal_recover(const struct wal_options *options, const struct wal_replay *replay,
                        struct wal **wal, omen_error *error)
{
    *wal = NULL;
    return not_yet(error);
}

omen_status wal_verify(const struct wal_options *options, uint64_t *end_lsn, omen_error *error)
{
    *end_lsn = options->start_lsn;
    return not_yet(error);
}

omen_status wal_reserve(struct wal *wal, uint64_t payload_bytes, omen_error *error)
{
    return not_yet(error);
}

omen_status wal_append(struct wal *wal, const void *data, size_t length, omen_error *error)
{
    return not_yet(error);
}

uint64_t wal_commit(struct wal *wal)
{
    assert_failed("the write-ahead log is there", __FILE__, __LINE__);
}

void wal_abandon(struct wal *wal)
{
}

omen_status wal_sync(struct wal *wal, uint64_t lsn, omen_error *error)
{
    return not_yet(error);
}

uint64_t wal_end(struct wal *wal)
{
    return 0;
}

uint64_t wal_durable(struct wal *wal)
{
    return 0;
}

omen_status wal_failed(struct wal *wal, omen_error *error)
{
    return not_yet(error);
}

uint64_t wal_bytes_since(struct wal *wal, uint64_t lsn)
{
    return 0;
}

uint64_t wal_disk_bytes(struct wal *wal)
{
    return 0;
}

omen_status wal_release(struct wal *wal, uint64_t lsn, omen_error *error)
{
    return not_yet(error);
}

omen_status wal_close(struct wal *wal, omen_error *error)
{
    return OMEN_OK;
}
