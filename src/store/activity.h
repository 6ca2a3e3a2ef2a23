/* activity.h - what others may see of a session's transaction, for omen_transactions.
 *
 * Concurrency: a session adds itself to its database's list when it is made, and takes itself out
 * with its last reference; a mutex guards the list alone. The fields are atomics that the session's
 * thread writes and anybody reads: each is right for a moment that has just passed, and together
 * they may be of two moments.
 */
#ifndef OMEN_STORE_ACTIVITY_H
#define OMEN_STORE_ACTIVITY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/status.h"
#include "os/thread.h"

enum activity_state {
    ACTIVITY_NONE,   /* no transaction is open */
    ACTIVITY_ACTIVE, /* one of its statements is running */
    ACTIVITY_IDLE,   /* it waits for the next one */
    ACTIVITY_FAILED, /* and will refuse it */
};

/* All but the state mean nothing where that is ACTIVITY_NONE. Written relaxed, but the state, which
 * is stored last (release) when a transaction begins, and loaded first (acquire). */
struct activity {
    struct activity *previous, *next;
    uint64_t transaction; /* the session's id; never changes */
    atomic_uint state;    /* enum activity_state */
    atomic_bool read_only;
    _Atomic(const char *) isolation; /* static string */
    atomic_int_fast64_t began_us;    /* wall clock */
    atomic_uint_fast64_t snapshot;   /* what all its statements read at; 0: none */
    atomic_uint_fast64_t rows_written;
};

/* The sessions of one database. */
struct activity_list {
    struct mutex lock;
    struct activity *first;
    size_t count;
};

/* A look at one of them. */
struct activity_info {
    uint64_t transaction;
    enum activity_state state;
    bool read_only;
    const char *isolation;
    int64_t began_us;
    uint64_t snapshot, rows_written;
};

void activity_list_init(struct activity_list *list);
void activity_list_destroy(struct activity_list *list); /* it is empty */

/* All zero before, but the transaction. Thread-safe, as the others. */
void activity_add(struct activity_list *list, struct activity *activity);
void activity_remove(struct activity_list *list, struct activity *activity);

/* All sessions' now, ascending by transaction, in an array of `*count` that the caller gives back
 * to the allocator. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status activity_list_take(struct activity_list *list,
                                               struct allocator *allocator,
                                               struct activity_info **out, size_t *count);

#endif
