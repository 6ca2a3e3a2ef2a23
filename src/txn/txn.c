/* txn.c - snapshot slots, the watermark, and the writer lock.
 *
 * Why no registered snapshot is missed. A reader stores P into its slot and then reads
 * `published` again; it keeps P only if that still says P. Whoever looks for snapshots reads
 * `published` first (W) and the slots after. All four accesses are sequentially consistent. If
 * P < W, the reader's second read came before the store of W, so its slot was written before
 * that, and the search sees it. Later readers get at least W. A slot may for a moment hold an
 * older value than its owner will keep: the watermark is then too low, which only delays, so
 * nobody may rely on it rising steadily.
 *
 * Sharing puts an old timestamp into a new slot, which the argument does not cover: a search
 * could pass the new slot before the store and the old one after its release. So a share counts
 * itself between its store and its return, and a search that sees the count move starts again.
 *
 * Source: Diaconu et al., Hekaton (SIGMOD 2013), section 3, for timestamps and watermark.
 */
#include "base/assert.h"
#include "txn/txn_lock.h"
#include "txn/txn_private.h"

enum {
    WAIT_NS = 10 * 1000 * 1000,
    YIELD_NS = 100 * 1000,
    SPINS_MAX = 200, /* some microseconds: most commits hold the writer lock for one or two */
};

/* Of locks, which is a million keys and more: who wants more of them locks the table. */
#define LOCK_BYTES_MAX (UINT64_C(256) << 20)

omen_status txn_manager_create(struct allocator *allocator, struct txn_manager **out)
{
    *out = NULL;
    struct txn_manager *manager = allocator_alloc_zeroed(allocator, sizeof *manager);
    if (manager == NULL)
        return OMEN_OUT_OF_MEMORY;
    omen_status status = lock_table_create(allocator, LOCK_BYTES_MAX, &manager->locks);
    if (status != OMEN_OK) {
        allocator_free(allocator, manager, sizeof *manager);
        return status;
    }
    manager->allocator = allocator;
    mutex_init(&manager->growth);
    flights_init(&manager->flights);
    manager->last = 1;
    atomic_store(&manager->published, 1);
    *out = manager;
    return OMEN_OK;
}

static struct snapshot_chunk *chunk_next(const struct snapshot_chunk *chunk)
{
    return atomic_load_explicit(&chunk->next, memory_order_acquire);
}

void txn_manager_destroy(struct txn_manager *manager)
{
    if (manager == NULL)
        return;
    OMEN_ASSERT(txn_snapshot_count(manager) == 0);
    struct snapshot_chunk *chunk = chunk_next(&manager->first);
    while (chunk != NULL) {
        struct snapshot_chunk *next = chunk_next(chunk);
        allocator_free(manager->allocator, chunk, sizeof *chunk);
        chunk = next;
    }
    mutex_destroy(&manager->growth);
    flights_destroy(&manager->flights, manager->allocator);
    lock_table_destroy(manager->locks);
    allocator_free(manager->allocator, manager, sizeof *manager);
}

struct lock_table *txn_locks(const struct txn_manager *manager)
{
    return manager->locks;
}

/* --- snapshots --- */

/* Where this thread starts to look for a free slot, so that threads keep to lines of their own:
 * those that come one after the other lie far apart. */
static uint32_t slot_hint(void)
{
    static _Atomic uint64_t threads;
    static _Thread_local uint64_t number; /* of this thread; 0: it has none yet */
    if (number == 0)
        number = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) + 1;
    return (uint32_t)((number * UINT64_C(0x9E3779B97F4A7C15)) >> 58);
}

_Static_assert(CHUNK_SLOTS == 1 << (64 - 58), "the hint covers a chunk");

static struct snapshot_slot *claim_in_chunk(struct snapshot_chunk *chunk, uint64_t timestamp)
{
    uint32_t hint = slot_hint();
    for (uint32_t i = 0; i < CHUNK_SLOTS; i++) {
        struct snapshot_slot *slot = &chunk->slots[(hint + i) % CHUNK_SLOTS];
        uint64_t expected = 0;
        if (atomic_load_explicit(&slot->timestamp, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(&slot->timestamp, &expected, timestamp))
            return slot;
    }
    return NULL;
}

/* Adds a chunk unless somebody did meanwhile; false where memory is exhausted. */
static bool grow_slots(struct txn_manager *manager, struct snapshot_chunk *last)
{
    mutex_lock(&manager->growth);
    bool grown = chunk_next(last) != NULL;
    if (!grown) {
        struct snapshot_chunk *chunk = allocator_alloc_zeroed(manager->allocator, sizeof *chunk);
        if (chunk != NULL) {
            atomic_store_explicit(&last->next, chunk, memory_order_release);
            grown = true;
        }
    }
    mutex_unlock(&manager->growth);
    return grown;
}

/* A slot of the caller's own that holds `timestamp`, or NULL. */
static struct snapshot_slot *claim_slot(struct txn_manager *manager, uint64_t timestamp)
{
    struct snapshot_chunk *chunk = &manager->first;
    for (;;) {
        struct snapshot_slot *slot = claim_in_chunk(chunk, timestamp);
        if (slot != NULL)
            return slot;
        if (chunk_next(chunk) == NULL && !grow_slots(manager, chunk))
            return NULL;
        chunk = chunk_next(chunk);
    }
}

omen_status snapshot_acquire(struct txn_manager *manager, struct snapshot *out)
{
    *out = (struct snapshot){0};
    uint64_t timestamp = atomic_load(&manager->published);
    struct snapshot_slot *slot = claim_slot(manager, timestamp);
    if (slot == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (;;) {
        uint64_t now = atomic_load(&manager->published);
        if (now == timestamp)
            break;
        timestamp = now;
        atomic_store(&slot->timestamp, timestamp);
    }
    *out = (struct snapshot){.timestamp = timestamp, .slot = slot};
    return OMEN_OK;
}

/* No search can pass it by: one that takes a later timestamp for published comes after a commit
 * that comes after the slot was taken, for the writer lock is held. Until it is published the
 * watermark, which is what is published or less, is below it. */
omen_status snapshot_acquire_newest(struct txn_manager *manager, struct snapshot *out)
{
    *out = (struct snapshot){0};
    struct snapshot_slot *slot = claim_slot(manager, manager->last);
    if (slot == NULL)
        return OMEN_OUT_OF_MEMORY;
    *out = (struct snapshot){.timestamp = manager->last, .slot = slot};
    return OMEN_OK;
}

omen_status snapshot_share(struct txn_manager *manager, const struct snapshot *held,
                           struct snapshot *out)
{
    *out = (struct snapshot){0};
    OMEN_ASSERT(held->slot != NULL);
    struct snapshot_slot *slot = claim_slot(manager, held->timestamp);
    if (slot == NULL)
        return OMEN_OUT_OF_MEMORY;
    atomic_fetch_add(&manager->shares, 1);
    *out = (struct snapshot){.timestamp = held->timestamp, .slot = slot};
    return OMEN_OK;
}

void snapshot_release(struct snapshot *snapshot)
{
    if (snapshot->slot == NULL)
        return;
    /* Release: what was read under the snapshot happens before the slot is seen free. */
    atomic_store_explicit(&snapshot->slot->timestamp, 0, memory_order_release);
    snapshot->slot = NULL;
}

uint64_t txn_published(const struct txn_manager *manager)
{
    return atomic_load(&manager->published);
}

const _Atomic uint64_t *txn_published_place(const struct txn_manager *manager)
{
    return &manager->published;
}

/* The oldest registered snapshot in [begin, end), or `end`. */
static uint64_t oldest_between(const struct txn_manager *manager, uint64_t begin, uint64_t end)
{
    for (;;) {
        uint64_t shares = atomic_load(&manager->shares);
        uint64_t oldest = end;
        const struct snapshot_chunk *chunk = &manager->first;
        for (; chunk != NULL; chunk = chunk_next(chunk)) {
            for (uint32_t i = 0; i < CHUNK_SLOTS; i++) {
                uint64_t timestamp = atomic_load(&chunk->slots[i].timestamp);
                if (timestamp != 0 && timestamp >= begin && timestamp < oldest)
                    oldest = timestamp;
            }
        }
        if (atomic_load(&manager->shares) == shares)
            return oldest;
    }
}

uint64_t txn_watermark(const struct txn_manager *manager)
{
    uint64_t published = atomic_load(&manager->published);
    return oldest_between(manager, 0, published);
}

uint32_t txn_snapshot_count(const struct txn_manager *manager)
{
    uint32_t count = 0;
    const struct snapshot_chunk *chunk = &manager->first;
    for (; chunk != NULL; chunk = chunk_next(chunk))
        for (uint32_t i = 0; i < CHUNK_SLOTS; i++)
            count += atomic_load(&chunk->slots[i].timestamp) != 0;
    return count;
}

bool txn_lifetime_readable(const struct txn_manager *manager, uint64_t begin, uint64_t end)
{
    if (end > atomic_load(&manager->published))
        return true;
    return oldest_between(manager, begin, end) != end;
}

/* --- writing --- */

static bool writer_try(struct txn_manager *manager)
{
    uint32_t expected = WRITER_FREE;
    /* Acquire pairs with the release in txn_writer_unlock. */
    return atomic_load_explicit(&manager->writer, memory_order_relaxed) == WRITER_FREE &&
           atomic_compare_exchange_strong_explicit(&manager->writer, &expected, WRITER_HELD,
                                                   memory_order_acquire, memory_order_relaxed);
}

omen_status txn_writer_lock_patiently(struct txn_manager *manager,
                                      const struct txn_patience *patience, omen_error *error)
{
    for (int i = 0; i < SPINS_MAX; i++) {
        if (writer_try(manager))
            return OMEN_OK;
        spin_pause();
    }
    /* Whoever has slept leaves it AWAITED: others may sleep still. Acquire as above. */
    while (atomic_exchange_explicit(&manager->writer, WRITER_AWAITED, memory_order_acquire) !=
           WRITER_FREE) {
        word_wait(&manager->writer, WRITER_AWAITED, WAIT_NS);
        if (atomic_load_explicit(&manager->writer, memory_order_relaxed) != WRITER_FREE)
            OMEN_TRY(patience->ask(patience->context, error));
    }
    return OMEN_OK;
}

static omen_status endless(void *context, omen_error *error)
{
    (void)context, (void)error;
    return OMEN_OK;
}

void txn_writer_lock(struct txn_manager *manager)
{
    const struct txn_patience patience = {.ask = endless};
    omen_status status = txn_writer_lock_patiently(manager, &patience, NULL);
    OMEN_ASSERT(status == OMEN_OK);
}

void txn_writer_yield(struct txn_manager *manager)
{
    uint32_t before = atomic_exchange_explicit(&manager->writer, WRITER_FREE, memory_order_release);
    OMEN_ASSERT(before != WRITER_FREE);
    if (before == WRITER_AWAITED) { /* who sleeps takes a while to come */
        word_wake_one(&manager->writer);
        word_wait(&manager->writer, WRITER_FREE, YIELD_NS);
    }
    /* As in txn_writer_lock_patiently: having slept on the word, perhaps in somebody's stead. */
    while (atomic_exchange_explicit(&manager->writer, WRITER_AWAITED, memory_order_acquire) !=
           WRITER_FREE)
        word_wait(&manager->writer, WRITER_AWAITED, WAIT_NS);
}

void txn_writer_unlock(struct txn_manager *manager)
{
    uint32_t before = atomic_exchange_explicit(&manager->writer, WRITER_FREE, memory_order_release);
    OMEN_ASSERT(before != WRITER_FREE);
    if (before == WRITER_AWAITED)
        word_wake_one(&manager->writer);
}
