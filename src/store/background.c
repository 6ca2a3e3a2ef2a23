/* background.c - what is done beside the statements: one thread, bounded steps, a bounded rate.
 *
 *   each turn   the log synced, where commits did not wait for it (every 200 ms)
 *               transactions ended that have waited too long for their next statement
 *               a step of maintenance: freezing, compacting, dropping, repointing
 *               columns let go, where those that lie in segments take more than their share
 *               a step of a checkpoint, where one is due: by the log's length, or by time
 *
 * A turn is a plain function (storage_step), so that tests call turns where they like; the thread
 * calls them and rests. After a turn it rests for as long as the turn took, so that it takes half a
 * core at most, unless the log has become twice as long as it should be: then it makes checkpoints
 * alone, without rest. Who commits meanwhile is slowed down, and at twice that length waits
 * (admission.c).
 *
 * Concurrency: `work` is held while a turn or a CHECKPOINT statement runs. `lock` guards
 * `stopping`, and is never held meanwhile.
 */
#include "base/bits.h"
#include "store/storage_private.h"

enum { STEP_ROWS = 8192, IDLE_MS = 100, REST_MS_MAX = 100, SYNC_MS = 200, RETRY_MS = 1000 };

static const uint64_t NS_PER_MS = 1000000;

static uint64_t now_ms(const struct storage *storage)
{
    return storage->os->monotonic_ns(storage->os) / NS_PER_MS;
}

/* --- checkpoints. `work` is held. --- */

uint64_t storage_log_bytes(const struct storage *storage)
{
    return wal_end(storage->wal) == storage->quiet_lsn
               ? 0
               : wal_bytes_since(storage->wal, storage->start_lsn);
}

static bool checkpoint_due(const struct storage *storage, uint64_t now)
{
    const struct storage_settings *settings = &storage->database->settings;
    uint64_t bytes = storage_log_bytes(storage);
    if (bytes == 0 || storage->manifest_unknown || now < storage->retry_ms)
        return false;
    if (wal_is_short(storage->wal)) /* it frees the log's files */
        return true;
    /* Relaxed: they order nothing. */
    return bytes >= atomic_load_explicit(&settings->checkpoint_bytes, memory_order_relaxed) ||
           now - storage->checkpoint_ms >=
               atomic_load_explicit(&settings->checkpoint_ms, memory_order_relaxed);
}

static void end_checkpoint(struct storage *storage, omen_status status, const omen_error *reason)
{
    checkpoint_destroy(storage->checkpoint);
    storage->checkpoint = NULL;
    storage->checkpoint_ms = now_ms(storage);
    storage->failure_status = status;
    if (status == OMEN_OK) {
        storage->checkpoints++;
        storage->failure[0] = '\0';
        reserve_make(storage);
    } else {
        storage->retry_ms = storage->checkpoint_ms + RETRY_MS;
        storage->checkpoint_failures++;
        memcpy(storage->failure, reason->message, sizeof storage->failure);
    }
    storage_note_facts(storage);
}

/* Room for writers on a full disk, where no checkpoint would bring any. */
static void help_writers(struct storage *storage)
{
    if (wal_is_short(storage->wal) && storage_log_bytes(storage) == 0)
        (void)reserve_lend(storage);
}

/* One step of the checkpoint under way, or the first of a new one. */
static omen_status step_checkpoint(struct storage *storage, omen_error *error)
{
    bool more = true;
    omen_status status = OMEN_OK;
    if (storage->checkpoint == NULL)
        status = checkpoint_begin(storage, &storage->checkpoint, error);
    else
        status = checkpoint_step(storage->checkpoint, &more, error);
    if (status == OMEN_OK && !more)
        status = checkpoint_finish(storage->checkpoint, error);
    if (status != OMEN_OK || !more)
        end_checkpoint(storage, status, error);
    return status;
}

/* A whole checkpoint of the state now: one that is under way may have begun before. */
static omen_status run_checkpoint(struct storage *storage, omen_error *error)
{
    omen_status status = OMEN_OK;
    while (status == OMEN_OK && storage->checkpoint != NULL)
        status = step_checkpoint(storage, error);
    if (status != OMEN_OK || storage_log_bytes(storage) == 0)
        return status;
    do
        status = step_checkpoint(storage, error);
    while (status == OMEN_OK && storage->checkpoint != NULL);
    return status;
}

omen_status storage_checkpoint(struct storage *storage, omen_error *error)
{
    omen_error reason = {.message = ""};
    mutex_lock(&storage->work);
    omen_status status = run_checkpoint(storage, &reason);
    if (status == OMEN_DISK_FULL && reserve_give(storage))
        status = run_checkpoint(storage, &reason);
    help_writers(storage);
    mutex_unlock(&storage->work);
    return status == OMEN_OK ? OMEN_OK : error_set(error, status, "%s", reason.message);
}

/* --- facts --- */

void storage_note_facts(struct storage *storage)
{
    struct storage_facts facts = {
        .start_lsn = storage->start_lsn,
        .quiet_lsn = storage->quiet_lsn,
        .checkpoints = storage->checkpoints,
        .checkpoint_failures = storage->checkpoint_failures,
        .checkpoint_us = storage->checkpoint_us,
        .failure_status = storage->failure_status,
    };
    memcpy(facts.failure, storage->failure, sizeof facts.failure);
    for (size_t i = 0; i < storage->file_count; i++)
        for (size_t j = 0; j < storage->files[i].count; j++) {
            const struct segment_facts *segment = &storage->files[i].attachments[j].facts;
            facts.segments++;
            facts.segment_bytes += segment->data_bytes + segment->keys_bytes + segment->ends_bytes;
        }
    mutex_lock(&storage->lock);
    storage->facts = facts;
    condition_wake_all(&storage->noted);
    mutex_unlock(&storage->lock);
    /* Relaxed: a number to compare with. */
    atomic_store_explicit(&storage->log_start, size_max(storage->start_lsn, storage->quiet_lsn),
                          memory_order_relaxed);
}

void storage_facts_of(struct storage *storage, struct storage_facts *out)
{
    mutex_lock(&storage->lock);
    *out = storage->facts;
    mutex_unlock(&storage->lock);
}

/* --- turns --- */

/* Commits that nobody waits for become durable soon, and what a full disk held up is tried again.
 */
static void sync_log(struct storage *storage, uint64_t now)
{
    uint64_t end = wal_end(storage->wal);
    if (now - storage->sync_ms < SYNC_MS || wal_durable(storage->wal) >= end)
        return;
    storage->sync_ms = now;
    (void)!wal_sync(storage->wal, end, NULL); /* who waits is told; the log knows */
}

static bool turn(struct storage *storage)
{
    uint64_t now = now_ms(storage);
    bool more = false;
    omen_error reason = {.message = ""};
    sync_log(storage, now);
    help_writers(storage);
    database_end_overdue(storage->database);
    if (!storage_log_is_long(storage))
        (void)!database_maintain(storage->database, STEP_ROWS, &more); /* tried again next time */
    more |= storage_trim_cache(storage);
    if (storage->checkpoint == NULL && !checkpoint_due(storage, now))
        return more;
    omen_status status = step_checkpoint(storage, &reason);
    if (status == OMEN_DISK_FULL && reserve_give(storage))
        storage->retry_ms = 0;
    return more || storage->checkpoint != NULL;
}

bool storage_step(struct storage *storage)
{
    mutex_lock(&storage->work);
    bool more = turn(storage);
    mutex_unlock(&storage->work);
    return more;
}

/* --- the thread --- */

/* One turn, and how long to rest after it. */
static uint64_t turn_and_rest_ms(struct storage *storage)
{
    uint64_t start = now_ms(storage);
    bool more = storage_step(storage);
    if (!more)
        return IDLE_MS;
    return storage_log_is_long(storage)
               ? 0
               : size_max(size_min(now_ms(storage) - start, REST_MS_MAX), 1);
}

static void *run_background(void *argument)
{
    struct storage *storage = argument;
    mutex_lock(&storage->lock);
    while (!storage->stopping) {
        mutex_unlock(&storage->lock);
        uint64_t rest = turn_and_rest_ms(storage);
        mutex_lock(&storage->lock);
        if (!storage->stopping && rest > 0)
            condition_wait_ms(&storage->wake, &storage->lock, rest);
    }
    mutex_unlock(&storage->lock);
    return NULL;
}

bool storage_start(struct storage *storage)
{
    storage->running = thread_start(&storage->thread, run_background, storage);
    return storage->running;
}

void storage_stop(struct storage *storage)
{
    if (!storage->running)
        return;
    mutex_lock(&storage->lock);
    storage->stopping = true;
    condition_wake_all(&storage->wake);
    mutex_unlock(&storage->lock);
    thread_join(&storage->thread);
    storage->running = false;
}
