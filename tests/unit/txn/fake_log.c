/* fake_log.c - see fake_log.h. */
#include "fake_log.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static omen_status reserve(void *self, uint64_t bytes, omen_error *error)
{
    struct fake_log *log = self;
    omen_status status = OMEN_OK;
    mutex_lock(&log->lock);
    if (log->failed)
        status = error_set(error, OMEN_IO_ERROR, "the disk is gone");
    else if (log->full)
        status = error_set(error, OMEN_DISK_FULL, "no room in the log");
    mutex_unlock(&log->lock);
    return status;
}

static omen_status append(void *self, const void *data, size_t length, omen_error *error)
{
    struct fake_log *log = self;
    mutex_lock(&log->lock);
    log->appends++;
    omen_status status = OMEN_OK;
    if (log->append_fails) {
        log->append_fails = false;
        log->length = log->committed;
        status = error_set(error, OMEN_DISK_FULL, "no room in the log after all");
    } else {
        while (log->capacity - log->length < length) {
            log->capacity = log->capacity == 0 ? 1 << 16 : 2 * log->capacity;
            log->bytes = realloc(log->bytes, log->capacity);
            OMEN_ASSERT(log->bytes != NULL);
        }
        memcpy(log->bytes + log->length, data, length);
        log->length += length;
    }
    mutex_unlock(&log->lock);
    return status;
}

static uint64_t commit(void *self)
{
    struct fake_log *log = self;
    mutex_lock(&log->lock);
    OMEN_ASSERT(log->length > log->committed);
    log->committed = log->length;
    log->ends = realloc(log->ends, (log->commits + 1) * sizeof *log->ends);
    OMEN_ASSERT(log->ends != NULL);
    log->ends[log->commits++] = log->length;
    uint64_t end = log->length;
    mutex_unlock(&log->lock);
    return end;
}

static void make_durable(struct fake_log *log, uint64_t lsn)
{
    if (lsn <= log->durable)
        return;
    log->durable = lsn;
    txn_durable(log->manager, lsn);
    condition_wake_all(&log->changed);
}

static uint64_t join(void *self, uint64_t lsn)
{
    struct fake_log *log = self;
    mutex_lock(&log->lock);
    log->joined++;
    condition_wake_all(&log->changed);
    mutex_unlock(&log->lock);
    return 0;
}

static omen_status sync_to(void *self, uint64_t lsn, omen_error *error)
{
    struct fake_log *log = self;
    omen_status status = OMEN_OK;
    mutex_lock(&log->lock);
    log->syncs++;
    condition_wake_all(&log->changed);
    bool passes = log->sync_fails != OMEN_OK;
    uint64_t led = log->committed;
    if (log->slow) {
        mutex_unlock(&log->lock);
        sched_yield();
        mutex_lock(&log->lock);
    }
    if (!log->held && !log->failed && !passes)
        make_durable(log, led);
    while (log->durable < lsn && !log->failed && !passes)
        condition_wait(&log->changed, &log->lock);
    if (log->durable < lsn && passes)
        status = error_set(error, log->sync_fails, "not now");
    else if (log->durable < lsn)
        status = error_set(error, OMEN_COMMIT_UNKNOWN, "the disk is gone");
    mutex_unlock(&log->lock);
    return status;
}

static omen_status failure(void *self, omen_error *error)
{
    struct fake_log *log = self;
    mutex_lock(&log->lock);
    bool failed = log->failed;
    mutex_unlock(&log->lock);
    return failed ? error_set(error, OMEN_IO_ERROR, "the disk is gone") : OMEN_OK;
}

static const struct txn_log_ops fake_log_ops = {reserve, append, commit, join, sync_to, failure};

void fake_log_open(struct fake_log *log, struct txn_manager *manager)
{
    *log = (struct fake_log){.manager = manager};
    mutex_init(&log->lock);
    condition_init(&log->changed);
    txn_set_log(manager, &fake_log_ops, log, 0);
}

void fake_log_close(struct fake_log *log)
{
    txn_set_log(log->manager, NULL, NULL, 0);
    mutex_destroy(&log->lock);
    condition_destroy(&log->changed);
    free(log->bytes);
    free(log->ends);
}

void fake_log_durable(struct fake_log *log, uint64_t lsn)
{
    mutex_lock(&log->lock);
    make_durable(log, lsn);
    mutex_unlock(&log->lock);
}

void fake_log_fail(struct fake_log *log)
{
    mutex_lock(&log->lock);
    log->failed = true;
    condition_wake_all(&log->changed);
    mutex_unlock(&log->lock);
}

void fake_log_await(struct fake_log *log, unsigned count)
{
    mutex_lock(&log->lock);
    while (log->joined < count)
        condition_wait(&log->changed, &log->lock);
    mutex_unlock(&log->lock);
}

void fake_log_await_syncs(struct fake_log *log, unsigned count)
{
    mutex_lock(&log->lock);
    while (log->syncs < count)
        condition_wait(&log->changed, &log->lock);
    mutex_unlock(&log->lock);
}

uint64_t fake_log_end(struct fake_log *log, unsigned after)
{
    uint64_t end = 0;
    mutex_lock(&log->lock);
    for (unsigned i = 0; i < log->commits && after > 0; i++) {
        if (log->ends[i] <= log->durable)
            continue;
        end = log->ends[i];
        after--;
    }
    mutex_unlock(&log->lock);
    return end;
}
