/* txn_wal.c - src/wal as the log of the pipeline. */
#include "txn/txn.h"
#include "wal/wal.h"

static omen_status reserve(void *log, uint64_t bytes, omen_error *error)
{
    return wal_reserve(log, bytes, error);
}

static omen_status append(void *log, const void *data, size_t length, omen_error *error)
{
    return wal_append(log, data, length, error);
}

static uint64_t commit(void *log)
{
    return wal_commit(log);
}

static uint64_t join(void *log, uint64_t lsn)
{
    return wal_join(log, lsn);
}

static omen_status sync_to(void *log, uint64_t lsn, omen_error *error)
{
    return wal_sync_joined(log, lsn, error);
}

static omen_status failure(void *log, omen_error *error)
{
    return wal_failed(log, error);
}

static const struct txn_log_ops wal_ops = {.reserve = reserve,
                                           .append = append,
                                           .commit = commit,
                                           .join = join,
                                           .sync = sync_to,
                                           .failure = failure};

void txn_set_wal(struct txn_manager *manager, struct wal *wal)
{
    if (wal == NULL)
        txn_set_log(manager, NULL, NULL, 0);
    else
        txn_set_log(manager, &wal_ops, wal, wal_durable(wal));
}
