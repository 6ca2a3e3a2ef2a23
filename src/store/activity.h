/* activity.h - what others may see of a session's transaction, for omen_transactions, and when they
 * may end it.
 *
 * Concurrency: a session adds itself to its database's list when it is made, and takes itself out
 * with its last reference; a mutex guards the list alone. The fields are atomics that the session's
 * thread writes and anybody reads: each is right for a moment that has just passed, and together
 * they may be of two moments.
 *
 * A transaction that waits for its next statement, and may not wait for ever, rests: it can then be
 * taken, by its own thread, which goes on with it, or by whoever finds that its time is over, and
 * ends it. Who changes `rests_until` from a time to 0 has taken it, and all that is its; the other
 * one touches nothing. Ending takes long where much was written, so it is done with no lock held;
 * meanwhile `ending` keeps the session from going on, and from going away.
 */
#ifndef OMEN_STORE_ACTIVITY_H
#define OMEN_STORE_ACTIVITY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/status.h"
#include "os/os.h"
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
    atomic_uint_fast64_t rests_until; /* monotonic ns; 0: it is not to be taken */
    /* Lets go of all that the transaction holds; by any thread, with no lock held. Set before the
     * session is added. */
    void (*end)(struct activity *activity);
    bool ending;                  /* under the list's lock */
    struct activity *ending_next; /* of those that one thread ends */
};

/* The sessions of one database. */
struct activity_list {
    struct mutex lock;
    struct condition ended; /* some `ending` is false again */
    struct activity *first;
    size_t count;
    /* No transaction's rest is over before; 0: none rests. Earlier than the earliest once that one
     * has gone on. */
    atomic_uint_fast64_t earliest_ns;
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

/* The session's thread leaves its transaction to rest until then (monotonic, not 0). */
void activity_rest(struct activity_list *list, struct activity *activity, uint64_t until_ns);

/* It takes the transaction back. Gives until when it might have rested, or 0 where it has been
 * ended; that is done then. */
uint64_t activity_take_back(struct activity_list *list, struct activity *activity);

/* Ends the transactions whose rest is over. One load where none is. Thread-safe; the caller holds
 * no lock that ending one may take. */
void activity_list_end_overdue(struct activity_list *list, const struct os *os);

/* All sessions' now, ascending by transaction, in an array of `*count` that the caller gives back
 * to the allocator. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status activity_list_take(struct activity_list *list,
                                               struct allocator *allocator,
                                               struct activity_info **out, size_t *count);

#endif
