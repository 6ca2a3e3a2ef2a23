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
#include "txn/txn.h"

enum { CHUNK_SLOTS = 64 };

struct snapshot_slot {
    _Alignas(64) _Atomic uint64_t timestamp;
};

struct snapshot_chunk {
    struct snapshot_slot slots[CHUNK_SLOTS];
    _Atomic(struct snapshot_chunk *) next; /* release; pairs with the acquire in chunk_next */
};

/* A commit that is applied and not published. */
struct flight {
    uint64_t timestamp;
    uint64_t lsn; /* published once the log is durable up to here; 0 = as soon as it is first */
};

/* The commits in flight, oldest first, as a ring. Guarded by `lock`, which is held for a few
 * instructions: by the writer to add one, by whoever learns that the log has become durable. */
struct flights {
    struct mutex lock;
    struct flight *ring;
    size_t capacity; /* a power of two, or 0 */
    size_t first, count;
    uint64_t durable; /* as far as anyone has told */
};

struct txn_manager {
    struct snapshot_chunk first; /* holds the alignment */
    _Alignas(64) _Atomic uint64_t published;
    _Atomic uint64_t shares;
    _Alignas(64) struct mutex turn; /* guards `writing` */
    struct condition turn_over;
    bool writing;                      /* somebody holds the writer lock, which guards: */
    uint64_t last;                     /* newest timestamp given out */
    const struct txn_log_ops *log_ops; /* NULL: there is no log */
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
