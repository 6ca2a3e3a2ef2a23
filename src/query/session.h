/* session.h - what the statements of one connection share: the database and its counters.
 *
 * Reference counted, because streams count what they read after the connection is gone.
 * Concurrency: the counters and the interrupt are atomic; what is set by the connection is used by
 * its thread alone; the rest never changes.
 */
#ifndef OMEN_QUERY_SESSION_H
#define OMEN_QUERY_SESSION_H

#include <stdatomic.h>

#include "query/settings.h"
#include "query/transaction.h"
#include "store/database.h"
#include "table/table.h"

struct session {
    atomic_uint references;
    struct database *database; /* retained */
    /* Set by omen_interrupt from any thread, cleared where a statement or a writing call begins;
     * relaxed, because it orders nothing else. */
    atomic_bool interrupted;
    atomic_bool closed;       /* by omen_disconnect: statements that are left run no more */
    struct settings settings; /* the connection's */
    uint64_t id;              /* of this session alone as long as the process lives */
    struct transaction transaction;
    struct activity activity;   /* what others see of it */
    omen_status warning;        /* what its statements warned of last: */
    const char *warning_text;   /* static string; NULL: of nothing, or it has been asked for */
    struct reader_slot *reader; /* the connection's; NULL where all are taken */
    /* Statistics: relaxed. Routes taken by the core are counted by the connection's thread alone,
     * the others by any thread of the engine. */
    atomic_uint_fast64_t route_index, route_engine, route_core, route_fallbacks;
    atomic_uint_fast64_t engine_index_scans, engine_scans, engine_scan_parts, groups_pruned;
    /* How far the statement is, for who asks meanwhile: rows that scans have to read, or bytes of a
     * file. Relaxed: a look at a moment that has passed. */
    atomic_uint_fast64_t steps_done, steps_total;
};

/* A session with one reference. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status session_create(struct database *database, struct session **out,
                                           omen_error *error);
struct session *session_retain(struct session *session);
void session_release(struct session *session); /* NULL does nothing; any thread */

/* A statement or a writing call begins: interrupts so far were not for it. */
static inline void session_begin(struct session *session)
{
    atomic_store_explicit(&session->interrupted, false, memory_order_relaxed);
}

/* Notes a warning of the running statement, for omen_warning_take. `text` is static. */
static inline void session_warn(struct session *session, omen_status status, const char *text)
{
    session->warning = status;
    session->warning_text = text;
}

/* Whether what the session runs may go on. Errors: CANCELLED where it was interrupted, or where the
 * clock has reached `deadline_ns` (monotonic; 0 = never). */
OMEN_MUST_CHECK omen_status session_check(const struct session *session, uint64_t deadline_ns,
                                          omen_error *error);

/* What somebody asks who waits for this session; both live as long as the wait. */
struct session_waiter {
    const struct session *session;
    uint64_t deadline_ns;
};
struct txn_patience session_patience(const struct session *session, uint64_t deadline_ns,
                                     struct session_waiter *waiter);

/* What synchronous_commit says. */
enum txn_durability session_durability(const struct session *session);

/* Waits for the writer lock, to look or to gather: what is committed under it must be admitted to
 * the log, as session_writer_lock does. Errors: as session_check, and then it is not held. */
OMEN_MUST_CHECK omen_status session_writer_enter(const struct session *session,
                                                 uint64_t deadline_ns, omen_error *error);

/* Waits for the writer lock. Errors: as session_check, and then it is not held. */
OMEN_MUST_CHECK omen_status session_writer_lock(const struct session *session, uint64_t deadline_ns,
                                                omen_error *error);

/* Gives the writer lock up, and waits as the outcome of what was done under it demands: for its
 * commit, or, where it failed or committed nothing (`ticket` NULL), until what it has seen is
 * published. Gives `status`, or why waiting failed. */
OMEN_MUST_CHECK omen_status session_writer_unlock(const struct session *session, omen_status status,
                                                  const struct txn_ticket *ticket,
                                                  omen_error *error);

/* Commits a write set as synchronous_commit says; the caller holds the writer lock, and knows that
 * nobody has locked its keys. */
OMEN_MUST_CHECK omen_status session_commit_locked(const struct session *session,
                                                  struct write_set *set, struct txn_ticket *ticket,
                                                  omen_error *error);

/* Keeps what a statement has gathered: in the open transaction or, outside one, by a commit, which
 * waits until nobody else has locked its keys. Errors: as session_check while it waits; as
 * transaction_add, as write_set_commit. */
OMEN_MUST_CHECK omen_status session_keep(struct session *session, uint64_t deadline_ns,
                                         struct write_set *set, omen_error *error);

/* How a statement changes the one row that it has found by its key. */
struct row_change {
    /* Puts the change of the pinned row into `set`, by its key; leaves the set empty where the row
     * is not to be changed. May be asked again, with another version and an empty set. */
    omen_status (*gather)(void *context, struct row_ref *row, struct write_set *set,
                          omen_error *error);
    void *context;
    enum lock_mode mode;     /* of the row: ROW_LOCK_UPDATE where a key of it may change or go */
    bool deletes;            /* so that no key is to be given to the row */
    struct write_set **kept; /* as for transaction_take_set; NULL: none is kept */
};

/* Changes the row with this key, if there is one, as session_keep does: the newest version, or the
 * one that a REPEATABLE READ transaction sees. `*rows` gets 1 or 0. Errors: as session_keep, of
 * reading; those of `change`. */
OMEN_MUST_CHECK omen_status session_change_row(struct session *session, uint64_t deadline_ns,
                                               struct table *table, struct index_key key,
                                               const struct row_change *change, uint64_t *rows,
                                               omen_error *error);

static inline void session_count(atomic_uint_fast64_t *counter, uint64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

/* The same for a counter that only the caller's thread writes: no locked instruction. */
static inline void session_count_own(atomic_uint_fast64_t *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* A statement begins that has steps. Those of the last one are forgotten only here, so that short
 * statements pay nothing. */
static inline void session_progress_begin(struct session *session)
{
    atomic_store_explicit(&session->steps_done, 0, memory_order_relaxed);
    atomic_store_explicit(&session->steps_total, 0, memory_order_relaxed);
}

#endif
