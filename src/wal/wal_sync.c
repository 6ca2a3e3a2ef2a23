/* wal_sync.c - the log's way to the disk: turns, group commit, failure.
 *
 * Who finds nobody busy takes the turn. A leader seals what was appended, writes it, syncs once,
 * tells that it is durable, and gives the turn back; whoever appended and waits meanwhile is in the
 * next batch, and one of them leads it. So each waits for at most two syncs.
 *
 * Who was in the last batch will soon be back, so a leader first waits until as many threads need a
 * sync as the last one was for and came meanwhile: half as many syncs, each for all. It waits for
 * as long as a sync takes at most, and less where waiting has not brought them lately.
 *
 * Waiting threads stand on one of two conditions, for the sync under way and for the next. When a
 * sync ends all of the first are done and are woken; of the second, one is, to lead. The two then
 * change places.
 */
#include "wal/wal_private.h"

#include "base/assert.h"
#include "base/bits.h"

enum {
    ZERO_AHEAD_BYTES = 1024 * 1024,
    ZERO_CHUNK_BYTES = 64 * 1024,
    SMALL_BATCH_BYTES = 64 * 1024,
    PATIENCE_PARTS = 16, /* of a sync, to try whether gathering pays */
    WAIT_MS_MAX = 1000,  /* some versions of glibc can lose a wake-up: then they look again */
};

/* --- failure. Lock held. --- */

omen_status wal_failure(struct wal *wal, omen_status status, omen_error *error)
{
    if (status == OMEN_COMMIT_UNKNOWN)
        return error_set(error, status, "commit outcome unknown: %s", wal->failure.message);
    return error_set(error, status, "the write-ahead log has failed: %s", wal->failure.message);
}

void wal_fail(struct wal *wal, const omen_error *failure)
{
    if (!wal->failed)
        wal->failure = *failure;
    wal->failed = true;
    condition_wake_all(&wal->turn[0]);
    condition_wake_all(&wal->turn[1]);
    condition_wake_all(&wal->idle);
    condition_wake_all(&wal->gathered);
}

/* --- writing. Turn taken; no lock held. --- */

/* Syncs the file written to so far; what was written to it is then durable. */
static omen_status sync_file(struct wal *wal, omen_error *reason)
{
    omen_status status = wal->os->file_sync(wal->os, wal->write_file->handle, reason);
    if (status != OMEN_OK)
        return status == OMEN_DISK_FULL ? OMEN_IO_ERROR : status; /* never recoverable in a sync */
    mutex_lock(&wal->lock);
    wal->synced_lsn = wal->written_lsn;
    mutex_unlock(&wal->lock);
    return OMEN_OK;
}

/* The same, with a failure that never passes, whatever the system calls it. */
static omen_status sync_finally(struct wal *wal, omen_error *reason)
{
    omen_status status = sync_file(wal, reason);
    return wal_is_passing(status) ? OMEN_IO_ERROR : status;
}

/* Writes zeros where the next batches will come, once for many of them: the file system then only
 * overwrites, and their syncs have no metadata to write (decision 0013). Large batches would gain
 * nothing by being written twice. */
static omen_status zero_ahead(struct wal *wal, struct wal_file *file, uint64_t lsn, size_t length,
                              omen_error *reason)
{
    static const uint8_t zeros[ZERO_CHUNK_BYTES];
    if (lsn > file->zeroed_lsn)
        file->zeroed_lsn = lsn;
    if (lsn < file->zeroed_lsn || length > SMALL_BATCH_BYTES)
        return OMEN_OK;
    uint64_t until = size_min(lsn + ZERO_AHEAD_BYTES, file->end_lsn);
    for (uint64_t at = lsn; at < until;) {
        size_t chunk = size_min(sizeof zeros, until - at);
        omen_status status = wal_file_write(&wal->folder, file, at, zeros, chunk, reason);
        if (wal_is_passing(status))
            return OMEN_OK; /* the batches themselves may still find room */
        if (status != OMEN_OK)
            return status;
        at += chunk;
        file->zeroed_lsn = at;
    }
    return OMEN_OK;
}

/* Writes the pending batch. The file before is synced first, so that what is not proven durable
 * never reaches back over more than one file's end. */
static omen_status write_pending(struct wal *wal, omen_error *reason)
{
    struct wal_buffer *batch = wal->pending;
    if (batch->file != wal->write_file) {
        OMEN_TRY(sync_finally(wal, reason));
        mutex_lock(&wal->lock);
        int64_t done = wal->write_file->handle;
        wal->write_file->handle = -1; /* however long the log is, few of its files are open */
        wal->write_file = batch->file;
        mutex_unlock(&wal->lock);
        wal->os->file_close(wal->os, done);
    }
    struct wal_batch facts = {
        .lsn = batch->lsn,
        .durable_lsn = wal->synced_lsn,
        .length = (uint32_t)(batch->length - sizeof(struct wal_batch_bytes)),
        .flags = batch->flags,
    };
    wal_batch_encode(&facts, batch->file->header.salt, batch->bytes);
    OMEN_TRY(
        wal_file_write(&wal->folder, batch->file, batch->lsn, batch->bytes, batch->length, reason));
    return zero_ahead(wal, batch->file, batch->lsn + batch->length, batch->length, reason);
}

/* --- turns. Lock held. --- */

/* Seals and writes until everything before `lsn` is in its file. The lock is given up meanwhile. */
static omen_status write_out(struct wal *wal, uint64_t lsn, omen_error *reason)
{
    /* A commit that is given up meanwhile takes the end back. */
    while (wal->written_lsn < size_min(lsn, wal_position(wal)) && !wal->failed) {
        if (wal->pending == NULL)
            wal_seal(wal);
        mutex_unlock(&wal->lock);
        omen_status status = write_pending(wal, reason);
        mutex_lock(&wal->lock);
        if (status != OMEN_OK)
            return status;
        wal->written_lsn = wal->pending->lsn + wal->pending->length;
        wal->pending = NULL;
        wal->is_short = false;
        if (wal->idle_waiters > 0)
            condition_wake_all(&wal->idle); /* wal_mark */
    }
    return OMEN_OK;
}

static void take_turn(struct wal *wal, uint64_t leading_lsn)
{
    wal->busy = true;
    wal->leading_lsn = leading_lsn;
}

/* Wakes those whom the turn was for, and one to have the next. */
static void give_turn(struct wal *wal)
{
    wal->busy = false;
    wal->leading_lsn = 0;
    condition_wake_all(&wal->turn[wal->parity]);
    wal->parity ^= 1;
    condition_wake_one(&wal->turn[wal->parity]);
    if (wal->idle_waiters > 0)
        condition_wake_all(&wal->idle);
}

/* Whoever leads does not wait for others now. */
static void stop_gathering(struct wal *wal)
{
    wal->expected = 0;
    if (wal->gathering)
        condition_wake_one(&wal->gathered);
}

omen_status wal_flush(struct wal *wal, omen_error *error)
{
    while (wal->busy && !wal->failed) {
        stop_gathering(wal);
        wal->idle_waiters++;
        condition_wait(&wal->idle, &wal->lock);
        wal->idle_waiters--;
    }
    if (wal->failed)
        return wal_failure(wal, OMEN_IO_ERROR, error);
    omen_error reason = {0};
    take_turn(wal, 0);
    omen_status status = write_out(wal, wal_position(wal), &reason);
    wal->is_short |= status == OMEN_DISK_FULL;
    if (wal_is_passing(status))
        error_set(error, status, "%s", reason.message);
    else if (status != OMEN_OK)
        wal_fail(wal, &reason);
    give_turn(wal);
    if (wal->failed)
        return wal_failure(wal, OMEN_IO_ERROR, error);
    return status;
}

/* --- gathering. Lock held. --- */

static uint64_t now_ns(const struct wal *wal)
{
    return wal->os->monotonic_ns(wal->os);
}

/* A thread needs the log durable up to `lsn`. Whether the sync under way, or one that is over, is
 * for it. */
static bool arrive(struct wal *wal, uint64_t lsn)
{
    if (wal->durable_lsn >= lsn)
        return true;
    if (!wal->gathering && lsn <= wal->leading_lsn) {
        wal->served++;
        return true;
    }
    if (++wal->arrived >= wal->expected && wal->gathering)
        condition_wake_one(&wal->gathered);
    return false;
}

/* The leader waits for who was here lately and is not here yet, as long as that has paid lately. */
static void gather(struct wal *wal)
{
    uint32_t missing = wal->expected > wal->arrived ? wal->expected - wal->arrived : 0;
    if (missing == 0)
        return;
    uint64_t start = now_ns(wal), waited = 0;
    wal->gathering = true;
    while (wal->arrived < wal->expected && waited < wal->patience_ns && !wal->failed) {
        condition_wait_ns(&wal->gathered, &wal->lock, wal->patience_ns - waited);
        waited = now_ns(wal) - start;
    }
    wal->gathering = false;
    bool paid = wal->arrived + missing / 2 >= wal->expected;
    wal->patience_ns = paid ? wal->patience_ns * 2 : wal->patience_ns / 2;
}

/* A sync took so long. Whom it was for, and who came meanwhile, may all be there for the next. */
static void learn(struct wal *wal, uint64_t took_ns)
{
    wal->sync_ns = wal->sync_ns == 0 ? took_ns : (7 * wal->sync_ns + took_ns) / 8;
    wal->patience_ns = size_max(wal->patience_ns, wal->sync_ns / PATIENCE_PARTS);
    wal->patience_ns = size_min(wal->patience_ns, wal->sync_ns);
    wal->expected = wal->served + wal->arrived;
}

/* Makes durable what was appended so far. Errors: those that pass, and the batch is kept; another
 * has failed the log. */
static omen_status lead(struct wal *wal, omen_error *error)
{
    omen_error reason = {0};
    take_turn(wal, UINT64_MAX);
    gather(wal);
    uint64_t led = wal->leading_lsn = wal_position(wal), start = now_ns(wal);
    wal->sync_number++;
    wal->served = wal->arrived;
    wal->arrived = 0;
    omen_status status = write_out(wal, led, &reason);
    if (status == OMEN_OK && !wal->failed) {
        mutex_unlock(&wal->lock);
        status = sync_finally(wal, &reason);
        if (status == OMEN_OK && wal->durable != NULL)
            wal->durable(wal->durable_context, wal->synced_lsn);
        mutex_lock(&wal->lock);
        if (status == OMEN_OK)
            wal->durable_lsn = wal->synced_lsn;
        learn(wal, now_ns(wal) - start);
        /* A batch kept from a full disk went first: commits of the next turn came along. */
        if (wal->durable_lsn > led)
            condition_wake_all(&wal->turn[wal->parity ^ 1]);
    }
    wal->is_short |= status == OMEN_DISK_FULL;
    if (wal_is_passing(status)) {
        error_set(error, status, "%s", reason.message);
        condition_wake_all(&wal->turn[wal->parity ^ 1]);
    } else if (status != OMEN_OK) {
        wal_fail(wal, &reason);
        status = OMEN_OK; /* the caller looks at the log */
    }
    give_turn(wal);
    return status;
}

uint64_t wal_join(struct wal *wal, uint64_t lsn)
{
    mutex_lock(&wal->lock);
    bool under_way = arrive(wal, lsn);
    uint64_t number = wal->sync_number + !under_way;
    mutex_unlock(&wal->lock);
    return number;
}

omen_status wal_sync(struct wal *wal, uint64_t lsn, omen_error *error)
{
    (void)wal_join(wal, lsn);
    return wal_sync_joined(wal, lsn, error);
}

omen_status wal_sync_joined(struct wal *wal, uint64_t lsn, omen_error *error)
{
    omen_status status = OMEN_OK;
    mutex_lock(&wal->lock);
    OMEN_ASSERT(lsn <= wal_position(wal));
    while (status == OMEN_OK && wal->durable_lsn < lsn) {
        if (wal->failed)
            status = wal_failure(wal, OMEN_COMMIT_UNKNOWN, error);
        else if (!wal->busy)
            status = lead(wal, error);
        else
            condition_wait_ms(&wal->turn[lsn <= wal->leading_lsn ? wal->parity : wal->parity ^ 1],
                              &wal->lock, WAIT_MS_MAX);
    }
    mutex_unlock(&wal->lock);
    return status;
}

omen_status wal_cut(struct wal *wal, uint64_t *lsn, omen_error *error)
{
    mutex_lock(&wal->lock);
    OMEN_ASSERT(!wal->in_commit);
    uint64_t position = wal_position(wal);
    stop_gathering(wal); /* the caller holds all writers up */
    mutex_unlock(&wal->lock);
    OMEN_TRY(wal_sync(wal, position, error));
    /* Behind `position` where the batch was padded to its file's end. Nobody else appends. */
    *lsn = wal_durable(wal);
    return OMEN_OK;
}

omen_status wal_mark(struct wal *wal, uint64_t *lsn, omen_error *error)
{
    omen_status status = OMEN_OK;
    mutex_lock(&wal->lock);
    OMEN_ASSERT(!wal->in_commit);
    while (wal->filling->length > 0 && wal->pending != NULL && wal->busy && !wal->failed) {
        wal->idle_waiters++;
        condition_wait(&wal->idle, &wal->lock);
        wal->idle_waiters--;
    }
    bool more = wal->filling->length > 0;
    bool kept = more && wal->pending != NULL; /* by a full disk, or by another mark */
    if (wal->failed)
        status = wal_failure(wal, OMEN_COMMIT_UNKNOWN, error);
    else if (more && !kept)
        wal_seal(wal); /* whoever leads next writes it first */
    *lsn = wal->filling->lsn;
    mutex_unlock(&wal->lock);
    return status == OMEN_OK && kept ? wal_cut(wal, lsn, error) : status;
}
