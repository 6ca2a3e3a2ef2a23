/* admission.c - writers that come faster than checkpoints are made.
 *
 *   log since the last checkpoint   0 ----- c ----------- 2c ---------------- 4c
 *                                       one is due     commits slowed      commits wait
 *
 * c is checkpoint_bytes. What was begun is finished, so the log can become longer than 4c by what
 * those write who are past this gate already. Where checkpoints fail the log cannot go: then writes
 * are refused with the reason, until one succeeds.
 *
 * Concurrency: no lock is held but the facts', to wait for news.
 */
#include "base/bits.h"
#include "store/storage_private.h"

enum { SLOWED_MS_MAX = 10, WAIT_MS = 10 };

/* The length at which commits wait. */
static uint64_t held_bytes(const struct storage *storage)
{
    const struct storage_settings *settings = &storage->database->settings;
    /* Relaxed: a number to compare with. */
    uint64_t due = atomic_load_explicit(&settings->checkpoint_bytes, memory_order_relaxed);
    return due > UINT64_MAX / LOG_HELD ? UINT64_MAX : size_max(due * LOG_HELD, LOG_HELD_BYTES_MIN);
}

static uint64_t log_bytes(const struct storage *storage)
{
    return wal_bytes_since(storage->wal,
                           atomic_load_explicit(&storage->log_start, memory_order_relaxed));
}

static bool is_long(uint64_t bytes, uint64_t held)
{
    return bytes >= held / LOG_HELD * LOG_SLOWED;
}

bool storage_log_is_long(const struct storage *storage)
{
    return is_long(log_bytes(storage), held_bytes(storage));
}

/* Wakes the thread, and waits for news. */
static void wait_for_news(struct storage *storage, uint64_t ms)
{
    mutex_lock(&storage->lock);
    condition_wake_all(&storage->wake);
    condition_wait_ms(&storage->noted, &storage->lock, ms);
    mutex_unlock(&storage->lock);
}

static omen_status ask_checkpoint(struct storage *storage, omen_error *error)
{
    struct storage_facts facts;
    storage_facts_of(storage, &facts);
    if (facts.failure_status == OMEN_OK)
        return OMEN_OK;
    return error_set(error, facts.failure_status,
                     "the log has reached its limit, and the last checkpoint failed: %.380s",
                     facts.failure);
}

omen_status storage_admit(struct storage *storage, const struct txn_patience *patience,
                          omen_error *error)
{
    uint64_t held = held_bytes(storage), bytes = log_bytes(storage);
    if (__builtin_expect(!is_long(bytes, held), 1) || !storage->running)
        return OMEN_OK;
    if (bytes < held) {
        uint64_t slowed = held / LOG_HELD * LOG_SLOWED;
        wait_for_news(storage, 1 + (bytes - slowed) * SLOWED_MS_MAX / (held - slowed));
        return OMEN_OK;
    }
    while (log_bytes(storage) >= held_bytes(storage)) {
        OMEN_TRY(ask_checkpoint(storage, error));
        wait_for_news(storage, WAIT_MS);
        OMEN_TRY(patience->ask(patience->context, error));
    }
    return OMEN_OK;
}
