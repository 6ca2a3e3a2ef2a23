/* txn_private.h - what the files of src/txn share.
 *
 *   manager: published | shares | writer lock, last | in flight | slots: [chunk of 64] -> ...
 *   slot:    one cache line; 0 = free, else the registered timestamp
 *
 * Chunks are only ever added, so a slot can be read and released without a lock.
 */
#ifndef OMEN_TXN_TXN_PRIVATE_H
#define OMEN_TXN_TXN_PRIVATE_H

#include <stdatomic.h>

#include "os/thread.h"
#include "os/wait_word.h"
#include "txn/txn.h"

enum { CHUNK_SLOTS = 64 };

struct snapshot_slot {
    _Alignas(64) _Atomic uint64_t timestamp;
};

struct snapshot_chunk {
    struct snapshot_slot slots[CHUNK_SLOTS];
    _Atomic(struct snapshot_chunk *) next; /* release; pairs with the acquire in chunk_next */
};

/* Whether the writer lock is held. Who sees AWAITED wakes one of those who sleep there. */
enum { WRITER_FREE, WRITER_HELD, WRITER_AWAITED };

/* A thread that waits for its flight, on its stack: in the ring, or among those that have landed.
 * Who takes it out of there changes `state` to FLIGHT_LANDED, and touches it no more after that. */
struct flight_waiter {
    _Atomic uint32_t state;
    struct flight_waiter *next; /* of those that have landed */
};

enum {
    FLIGHT_UP,     /* waits, awake */
    FLIGHT_LANDED, /* published */
    FLIGHT_ASLEEP, /* and up: sleeps at places[state - FLIGHT_ASLEEP] until that changes */
    FLIGHT_PLACES = 4,
};

/* A commit that is applied and not published. */
struct flight {
    uint64_t timestamp;
    uint64_t lsn; /* published once the log is durable up to here; 0 = as soon as it is first */
    struct flight_waiter *waiter; /* NULL: nobody sleeps until it is published */
};

/* The commits in flight, oldest first, as a ring. Guarded by `lock`, which is held for a few
 * instructions: by the writer to add one, by whoever learns that the log has become durable. */
struct flights {
    struct mutex lock;
    struct flight *ring;
    size_t capacity; /* a power of two, or 0 */
    size_t first, count;
    uint64_t durable;             /* as far as anyone has told */
    struct flight_waiter *landed; /* of published flights, not let go yet */
    atomic_bool led; /* somebody syncs the log for all who wait; changed under the lock */
    /* Who is in the same sync sleeps at the same place, so that one call wakes them all. */
    _Atomic uint32_t places[FLIGHT_PLACES];
};

struct txn_manager {
    struct snapshot_chunk first; /* holds the alignment */
    _Alignas(64) _Atomic uint64_t published;
    _Atomic uint64_t shares;
    _Alignas(64) _Atomic uint32_t writer; /* the writer lock, which guards: */
    uint64_t last;                        /* newest timestamp given out */
    const struct txn_log_ops *log_ops;    /* NULL: there is no log */
    void *log;
    uint64_t last_lsn; /* end of the newest commit in the log */
    struct flights flights;
    struct mutex growth; /* guards the making of chunks */
    struct lock_table *locks;
    struct allocator *allocator;
};

/* Room for one more flight, so that adding it cannot fail. The writer. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status flight_reserve(struct txn_manager *manager);

/* Adds a commit that has been applied, and publishes what is ready. The writer. */
void flight_add(struct txn_manager *manager, struct flight flight);

void flights_init(struct flights *flights);
void flights_destroy(struct flights *flights, struct allocator *allocator);

#endif
