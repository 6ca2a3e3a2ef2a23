/* txn_lock_private.h - what the files of the lock table share.
 *
 *   lock table: [shard] ...                        by the target's hash; a mutex each
 *   shard:      buckets -> object -> object        what is locked or waited for, nothing else
 *   object:     holders: entry = entry = ...       in no order
 *               queue:   entry -> entry -> ...     the first has the next turn
 *   owner:      tables, keys: entry -> entry ...   newest first; what it holds
 *               waiting: entry                     at most one
 *
 * An entry is one owner's one mode on one object. Making a lock stronger adds an entry, so that
 * going back to a mark only takes entries away.
 *
 * A shard's mutex guards its objects, their entries, and `waiting` of the owners that wait in it.
 * An owner's two lists are its thread's. Who begins to wait holds all shards, taken in order:
 * then the graph of who waits for whom stands still.
 */
#ifndef OMEN_TXN_TXN_LOCK_PRIVATE_H
#define OMEN_TXN_TXN_LOCK_PRIVATE_H

#include <stddef.h>

#include "os/thread.h"
#include "txn/txn_lock.h"

enum {
    LOCK_SHARDS = 16,
    LOCK_BUCKETS_MIN = 16,
    LOCK_KEY_INLINE_BYTES = 24,
    LOCK_OBJECT_MODES = 8, /* of one kind */
};

struct lock_slab;

/* Records of one size, cut from slabs. */
struct lock_pool {
    struct lock_slab *partial; /* slabs that have a free record */
    uint32_t record_bytes;
    uint32_t slabs, slabs_empty; /* all; of those with a free record */
};

enum lock_kind { LOCK_KIND_TABLE, LOCK_KIND_WORD, LOCK_KIND_BYTES };

struct lock_object {
    struct lock_slab *slab;
    struct lock_object *next; /* in its bucket */
    uint64_t hash;
    uint64_t table;
    union {
        uint64_t word;
        uint8_t near[LOCK_KEY_INLINE_BYTES]; /* bytes that fit */
        uint8_t *far;
    } key;
    uint32_t length; /* of bytes */
    uint32_t index;
    struct lock_entry *holders;
    struct lock_entry *queue, *queue_last;
    uint32_t counts[LOCK_OBJECT_MODES]; /* of the holders' modes */
    uint16_t held;                      /* modes whose count is not 0, a bit each */
    uint8_t kind;
};

struct lock_entry {
    struct lock_slab *slab;
    struct lock_object *object;
    struct lock_owner *owner;
    struct lock_entry *next, *previous; /* among holders or in the queue */
    struct lock_entry *below;           /* the owner's next older one */
    uint64_t sequence;                  /* when the owner got it */
    uint8_t mode;
    bool granted;
    bool upgrade; /* its owner holds the object already */
};

_Static_assert(sizeof(struct lock_object) <= 128 && sizeof(struct lock_entry) <= 64, "slabs");

struct lock_shard {
    _Alignas(64) struct mutex mutex;
    struct lock_object **buckets;
    uint32_t bucket_count; /* a power of two */
    uint32_t object_count;
    struct lock_pool objects, entries;
    struct lock_object *buckets_min[LOCK_BUCKETS_MIN];
};

struct lock_table {
    struct lock_shard shards[LOCK_SHARDS];
    /* Owners that hold what can be in the way of writing. Relaxed: the writer lock orders it. */
    _Alignas(64) _Atomic uint64_t blocking;
    _Atomic uint64_t bytes_used; /* relaxed: a limit */
    uint64_t bytes_max;
    struct allocator *allocator;
    const struct lock_hooks *hooks; /* NULL: the default */
    uint64_t search;                /* number of the last one; all shards */
};

struct lock_owner {
    struct lock_table *locks;
    uint64_t transaction;
    uint64_t sequence;
    struct lock_entry *tables, *keys;
    uint64_t count;    /* of entries held */
    uint64_t blocking; /* of those, what can be in the way of writing */
    struct condition woken;
    /* While it waits; guarded by the shard it waits in. */
    struct lock_entry *waiting;
    const char *relation; /* of the request */
    uint64_t waiting_since_ns;
    /* Of the search with this number; all shards. */
    uint64_t search;
    struct lock_owner *search_next;   /* to be looked at after this one */
    struct lock_owner *search_parent; /* who waits for this one */
    uint64_t spared_search;
    uint16_t spared; /* modes ahead of it and held whose owners that search has found already */
};

/* Modes that conflict with each mode, a bit each. */
extern const uint16_t lock_conflicts[LOCK_MODES];

/* A mode's place in lock_object.counts. */
static inline uint32_t lock_count_index(uint32_t mode)
{
    return mode >= TABLE_LOCK_ACCESS_SHARE ? mode - TABLE_LOCK_ACCESS_SHARE : mode;
}

static inline uint16_t lock_bit(uint32_t mode)
{
    return (uint16_t)(1u << mode);
}

/* --- objects and memory (txn_lock_table.c); the shard's mutex is held --- */

uint64_t lock_hash(const struct lock_target *target);

static inline struct lock_shard *lock_shard_of(struct lock_table *locks, uint64_t hash)
{
    return &locks->shards[hash >> 60];
}
_Static_assert(LOCK_SHARDS == 1 << (64 - 60), "the hash's top bits name a shard");

void lock_every_shard(struct lock_table *locks);
void unlock_every_shard_but(struct lock_table *locks, const struct lock_shard *kept);

/* NULL where nobody holds it nor waits for it. */
struct lock_object *lock_object_find(struct lock_shard *shard, const struct lock_target *target,
                                     uint64_t hash);

/* One that is there or is new; NULL where memory is exhausted. */
struct lock_object *lock_object_obtain(struct lock_table *locks, struct lock_shard *shard,
                                       const struct lock_target *target, uint64_t hash);

/* Away with it if nobody holds it nor waits for it. */
void lock_object_drop_idle(struct lock_table *locks, struct lock_shard *shard,
                           struct lock_object *object);

struct lock_entry *lock_entry_create(struct lock_table *locks, struct lock_shard *shard);
void lock_entry_destroy(struct lock_table *locks, struct lock_shard *shard,
                        struct lock_entry *entry);

/* Borrowed from the object. */
struct lock_target lock_object_target(const struct lock_object *object);

/* --- taking (txn_lock.c); the shard's mutex is held --- */

enum lock_try {
    LOCK_TRY_HELD,    /* covered by what the owner has */
    LOCK_TRY_GRANTED, /* the entry is the owner's, to be pushed */
    LOCK_TRY_BLOCKED,
    LOCK_TRY_NO_MEMORY,
};

/* Takes what is to be had without waiting. Blocked with `enqueue`: the entry waits in the queue. */
enum lock_try lock_try(struct lock_owner *owner, struct lock_shard *shard,
                       const struct lock_request *request, uint64_t hash, bool enqueue,
                       struct lock_entry **entry);

/* Whether somebody else holds what conflicts with the mode. */
bool lock_holder_conflicts(const struct lock_object *object, const struct lock_owner *owner,
                           uint32_t mode);

void lock_queue_put_first(struct lock_entry *entry);
void lock_queue_remove(struct lock_entry *entry);
void lock_grant(struct lock_entry *entry); /* in no list before */

/* Takes an entry away, held or waiting, and gives their turn to those it was in the way of. */
void lock_entry_withdraw(struct lock_table *locks, struct lock_shard *shard,
                         struct lock_entry *entry);

/* --- waiting (txn_lock_wait.c) --- */

/* The request's way where it could not be had at once. No mutex is held. `*entry` NULL: covered. */
omen_status lock_acquire_waiting(struct lock_owner *owner, const struct lock_request *request,
                                 uint64_t hash, struct lock_entry **entry, omen_error *error);

/* Whether the owner, which waits, waits for itself in the end; search_parent then leads around the
 * circle. All shards are held. */
bool lock_waits_for_itself(struct lock_table *locks, struct lock_owner *start);

/* What the owner waits for is there. The shard's mutex is held. */
void lock_wake(struct lock_table *locks, struct lock_owner *owner);

#endif
