/* txn_lock.h - locks on keys and tables, held to the end of a transaction.
 *
 * A lock is on a table or on one of its keys, present or absent, never on a row id: ids change,
 * keys do not. The modes and their conflicts are PostgreSQL's: four for keys, eight for tables. A
 * transaction is a lock_owner. Requests that conflict wait in a queue of the object, first come,
 * first served; an owner that holds the object already and wants more goes before those that hold
 * nothing of it. A request that would close a circle of waiting fails at once, and its statement
 * with it: the others go on.
 *
 * Who writes without registering a lock (a statement of its own, under the writer lock) asks
 * lock_held_by_others. That is enough, if who takes a lock looks at its row again under the writer
 * lock afterwards: then either the lock was there when the other asked, or the other's change is
 * there to be seen.
 *
 * Waiting for a lock happens with no other lock held, the writer's included. All else in here is
 * short, and may be called with any lock held.
 */
#ifndef OMEN_TXN_TXN_LOCK_H
#define OMEN_TXN_TXN_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/status.h"
#include "index/index.h"
#include "txn/txn.h"

/* All locks of one database; owned by the transaction manager (txn_locks). Any thread. */
struct lock_table;

/* One transaction's locks, in the order they were taken. One thread at a time. */
struct lock_owner;

/* Weakest first: of the keys' each covers those before it. */
enum lock_mode {
    ROW_LOCK_KEY_SHARE,
    ROW_LOCK_SHARE,
    ROW_LOCK_NO_KEY_UPDATE, /* changes the row, not its key */
    ROW_LOCK_UPDATE,        /* inserts, deletes, changes the key */
    TABLE_LOCK_ACCESS_SHARE,
    TABLE_LOCK_ROW_SHARE,
    TABLE_LOCK_ROW_EXCLUSIVE,
    TABLE_LOCK_SHARE_UPDATE_EXCLUSIVE,
    TABLE_LOCK_SHARE,
    TABLE_LOCK_SHARE_ROW_EXCLUSIVE,
    TABLE_LOCK_EXCLUSIVE,
    TABLE_LOCK_ACCESS_EXCLUSIVE,
};
enum { LOCK_MODES = 12 };

/* As SQL spells it: "NO KEY UPDATE", "ACCESS SHARE". Static string. */
const char *lock_mode_name(enum lock_mode mode);

/* Whether two transactions cannot hold both at once; false for a key's and a table's. */
bool lock_modes_conflict(enum lock_mode one, enum lock_mode other);

/* What is locked. A key whose `bytes` are NULL is its word. */
struct lock_target {
    uint64_t table; /* table_identity */
    bool has_key;
    uint32_t index;       /* which of the table's unique keys; 0: the primary one */
    struct index_key key; /* bytes borrowed for the call */
};

static inline struct lock_target lock_target_table(uint64_t table)
{
    return (struct lock_target){.table = table};
}

static inline struct lock_target lock_target_key(uint64_t table, uint32_t index,
                                                 struct index_key key)
{
    return (struct lock_target){.table = table, .has_key = true, .index = index, .key = key};
}

enum lock_wait {
    LOCK_WAIT,   /* until it is there */
    LOCK_NOWAIT, /* fail instead */
    LOCK_SKIP,   /* not taking it is an answer too */
};

struct lock_request {
    struct lock_target target;
    enum lock_mode mode; /* of the target's kind */
    enum lock_wait wait;
    const char *relation;                /* the table's name, for messages */
    uint64_t timeout_ns;                 /* lock_timeout of this wait; 0: none */
    const struct txn_patience *patience; /* asked every few milliseconds; NULL: endless */
};

/* --- life --- */

/* Beyond `bytes_max` of locks nothing more is locked; 0: no limit but the allocator's. */
OMEN_MUST_CHECK omen_status lock_table_create(struct allocator *allocator, uint64_t bytes_max,
                                              struct lock_table **out);
void lock_table_destroy(struct lock_table *locks); /* NULL does nothing; no owner is left */

/* An owner that holds nothing. `transaction` names it in messages and views. */
OMEN_MUST_CHECK omen_status lock_owner_create(struct lock_table *locks, uint64_t transaction,
                                              struct lock_owner **out);
void lock_owner_destroy(struct lock_owner *owner); /* releases all; NULL does nothing */

/* The owner's next transaction; it holds nothing. */
void lock_owner_rename(struct lock_owner *owner, uint64_t transaction);
uint64_t lock_owner_transaction(const struct lock_owner *owner);
uint64_t lock_owner_count(const struct lock_owner *owner); /* locks it holds */

/* --- taking and releasing --- */

/* Takes the lock, waiting for its turn. What the owner holds already, or holds stronger, costs
 * little. `taken` (may be NULL unless LOCK_SKIP) tells whether the owner has it now. Errors, with
 * nothing taken: LOCK_NOT_AVAILABLE (LOCK_NOWAIT, timeout_ns); DEADLOCK_DETECTED, its hint says who
 * waits for whom; what `patience` answers; OUT_OF_MEMORY. What was held before stays held. */
OMEN_MUST_CHECK omen_status lock_acquire(struct lock_owner *owner,
                                         const struct lock_request *request, bool *taken,
                                         omen_error *error);

/* A point to go back to, for savepoints and for statements that are undone. */
uint64_t lock_mark(const struct lock_owner *owner);

/* Releases what was taken after the mark, and makes weaker again what was made stronger. */
void lock_release_to(struct lock_owner *owner, uint64_t mark);
void lock_release_all(struct lock_owner *owner);

/* --- for who registers no lock --- */

/* Whether anybody holds a lock that can be in the way of writing rows: any on a key, or on a table
 * from SHARE on. One load. Meant for the holder of the writer lock, which orders it. */
bool lock_any_held(const struct lock_table *locks);

/* Whether anybody but `owner` (may be NULL) holds what conflicts with `mode` on the target: on the
 * key, or on its table with what a statement of that mode locks it by (ROW EXCLUSIVE, or ROW SHARE
 * where the mode shares). Who waits does not count. */
bool lock_held_by_others(struct lock_table *locks, const struct lock_owner *owner,
                         const struct lock_target *target, enum lock_mode mode);

/* How many keys and tables are locked or waited for, about. */
uint64_t lock_target_count(struct lock_table *locks);

/* Whether, of the table's keys on which anybody but `owner` holds what conflicts with `mode`, there
 * is one that is `wanted`. Looks at all targets that there are, wherever they are fewer than the
 * keys that one would ask for with lock_held_by_others. `wanted` is called with a mutex of `locks`
 * held. */
bool lock_find_held_by_others(struct lock_table *locks, const struct lock_owner *owner,
                              uint64_t table, enum lock_mode mode,
                              bool (*wanted)(void *context, const struct lock_target *target),
                              void *context);

/* --- looking at them --- */

struct lock_info {
    uint64_t transaction;
    struct lock_target target; /* its bytes belong to the list */
    enum lock_mode mode;
    bool granted;
    uint64_t waiting_since_ns; /* monotonic; 0 where granted */
    const uint64_t *waits_for; /* the transactions in its way, holders first; may repeat one */
    size_t waits_for_count;
};

struct lock_list {
    const struct lock_info *locks; /* an object's locks together: holders, then its queue */
    size_t count;
    void *block; /* private */
    size_t block_bytes;
    struct allocator *allocator;
};

/* All locks held and waited for at one moment. The caller's until lock_list_release.
 * Errors: OUT_OF_MEMORY. Thread-safe. */
OMEN_MUST_CHECK omen_status lock_list_take(struct lock_table *locks, struct allocator *allocator,
                                           struct lock_list *out);
void lock_list_release(struct lock_list *list); /* twice is once */

/* --- simulation --- */

/* How owners wait, where many of them are one thread's. Default: a condition variable each, and
 * the monotonic clock. */
struct lock_hooks {
    /* Returns when `transaction` was woken, or after at most `ns`; or earlier. Called with no lock
     * held. Where other threads wake, a wake that came before the sleep must end it. */
    void (*sleep)(void *context, uint64_t transaction, uint64_t ns);
    /* What `transaction` waits for is its own now. Called with locks held: only takes a note. */
    void (*wake)(void *context, uint64_t transaction);
    uint64_t (*now)(void *context); /* nanoseconds that never go back */
    void *context;
};

/* `hooks` is borrowed; NULL: the default. While nobody holds or waits. */
void lock_table_set_hooks(struct lock_table *locks, const struct lock_hooks *hooks);

/* Checks the invariants of all locks, with the reason on stderr; for tests. */
bool lock_table_is_valid(struct lock_table *locks);

#endif
