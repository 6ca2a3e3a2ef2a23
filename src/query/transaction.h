/* transaction.h - a session's transaction: what its statements see, write and lock until it ends.
 *
 *   BEGIN --> command 1 --> command 2 --> ... --> COMMIT
 *             sees    a snapshot (READ COMMITTED: its own, REPEATABLE READ: the transaction's),
 *                     and over it what earlier commands have written (own_writes)
 *             writes  into own_writes, after all keys are locked and found unchanged
 *
 * COMMIT makes of all tables' own_writes one commit of the pipeline (txn.h). A statement that fails
 * has written nothing, but the transaction accepts no other until it ends, or is rolled back to a
 * savepoint.
 *
 * Outside BEGIN ... COMMIT a statement commits by itself and locks nothing, unless it meets the
 * lock of somebody else: then it waits by taking the locks that it needs, and gives them up at its
 * end.
 *
 * Concurrency: the connection's thread, but for what a view was opened from, and the locks. While
 * it waits for the next statement, and idle_in_transaction_session_timeout says how long, the
 * transaction rests (store/activity.h): once its time is over any thread may end it. So whatever
 * looks at it between statements takes it back first, by transaction_resume.
 */
#ifndef OMEN_QUERY_TRANSACTION_H
#define OMEN_QUERY_TRANSACTION_H

#include "query/settings.h"
#include "store/activity.h"
#include "store/catalog.h"
#include "table/own_writes.h"
#include "table/table.h"
#include "txn/txn.h"
#include "txn/txn_lock.h"

struct session;

enum transaction_state {
    TRANSACTION_NONE, /* each statement is one */
    TRANSACTION_OPEN,
    TRANSACTION_FAILED, /* a statement has: nothing but its end, or a savepoint, helps */
};

/* What BEGIN and SET TRANSACTION say; negative: nothing. */
struct transaction_modes {
    int isolation; /* enum isolation */
    int read_only;
};

struct savepoint {
    struct savepoint *outer;
    char name[SCHEMA_NAME_BYTES_MAX + 1];
    uint64_t locks; /* lock_mark */
    struct settings settings, session_settings;
    size_t table_count; /* changes of tables before */
    size_t write_count; /* tables written before; their marks: */
    struct own_mark marks[];
};

/* All zero: none. */
struct transaction {
    enum transaction_state state;
    bool shifts_reads; /* a point read is not that of the newest published version */
    bool keeps_locks;  /* until its commit is published: some are not on rows that it writes */
    bool has_run;      /* a statement that reads or writes: the isolation is fixed */
    struct txn_ticket rests_on; /* what it has changed before that was published */
    uint32_t command;
    uint64_t serial;            /* of the session's transactions, and of the times between them */
    struct snapshot snapshot;   /* REPEATABLE READ, once needed */
    struct lock_owner *locks;   /* NULL until needed; statements outside use it too */
    struct own_writes **writes; /* of the tables written */
    size_t write_count, write_capacity;
    struct catalog_changes *tables; /* created and dropped; NULL: none */
    uint64_t tables_version;        /* by which plans notice that those are others */
    int64_t began_us;               /* wall clock: what now() says in it */
    bool rests; /* until its thread takes it back; all but the state and settings may be ended */
    bool ended; /* it was: nothing is left but to say so */
    struct savepoint *savepoint;      /* the innermost */
    struct settings settings_before;  /* what ROLLBACK gives back */
    struct settings session_settings; /* what COMMIT keeps: without those of SET LOCAL */
};

/* Gives back all that it holds; with the session. */
void transaction_destroy(struct session *session);

/* Something has changed that says whether a prepared point query may read the newest published
 * version, as if there were no transaction. */
void transaction_note_reads(struct session *session);

/* --- statements --- */

/* Whether a statement is accepted. Errors: FAILED_TRANSACTION unless it may end one (`ends`);
 * IDLE_IN_TRANSACTION_TIMEOUT where it comes too late: the transaction is then rolled back. */
OMEN_MUST_CHECK omen_status transaction_check(struct session *session, bool ends,
                                              omen_error *error);

/* A statement begins. Errors: as above; READ_ONLY_TRANSACTION where it writes, naming it by `tag`
 * (NULL: it only reads); LIMIT_EXCEEDED. */
OMEN_MUST_CHECK omen_status transaction_begin_statement(struct session *session, bool ends,
                                                        const char *tag, omen_error *error);

/* It is over, or could not even be prepared: a failure fails the transaction. Gives `status`. */
omen_status transaction_end_statement(struct session *session, omen_status status);

/* The connection's thread looks at the transaction, without a statement that begins. Gives whether
 * it rested: then transaction_note_idle follows. */
bool transaction_resume(struct session *session);

/* It waits for its next statement: nothing that follows looks at it. */
void transaction_note_idle(struct session *session);

/* Ends a transaction that rests too long; activity->end. */
void transaction_end_resting(struct activity *activity);

/* What now() says: when the transaction began, or just now. */
int64_t transaction_now(struct session *session);

/* What a statement reads at. Registered; release it. */
OMEN_MUST_CHECK omen_status transaction_snapshot(struct session *session, struct snapshot *out,
                                                 omen_error *error);

/* Whether all statements read at one snapshot: a conflict cannot be helped by running one again. */
bool transaction_keeps_snapshot(const struct session *session);

/* What the transaction has written to the table, or NULL. */
struct own_writes *transaction_writes(const struct session *session, const struct table *table);

/* A view of the table for the running statement. */
OMEN_MUST_CHECK omen_status transaction_view(struct session *session, struct table *table,
                                             const struct snapshot *snapshot,
                                             struct table_view **out);

/* The row with this key for the running statement: own, else the table's at the snapshot.
 * NOT_FOUND, of which `error` is not told; errors of reading. */
OMEN_MUST_CHECK omen_status transaction_get(struct session *session, struct table *table,
                                            uint64_t snapshot, struct index_key key,
                                            struct row_ref *out);

/* --- locks: to the end of the transaction or, outside one, of the statement --- */

/* A point to give locks back to that turn out not to be needed. */
uint64_t transaction_lock_mark(const struct session *session);
void transaction_unlock_to(struct session *session, uint64_t mark);

/* Locks anything. */
OMEN_MUST_CHECK omen_status transaction_lock(struct session *session, struct lock_target target,
                                             enum lock_mode mode, const char *relation,
                                             uint64_t deadline_ns, omen_error *error);

/* Locks a table, waiting for its turn until the deadline (monotonic; 0 = never), lock_timeout or an
 * interrupt. Errors: as lock_acquire; UNDEFINED_TABLE where it has been dropped meanwhile: what is
 * to be done is then begun again, with the table that has the name now, if there is one. */
OMEN_MUST_CHECK omen_status transaction_lock_table(struct session *session, struct table *table,
                                                   enum lock_mode mode, enum lock_wait wait,
                                                   uint64_t deadline_ns, omen_error *error);

/* Locks a key, present or not, and before it its table as the mode demands; a unique key always as
 * ROW_LOCK_UPDATE. `*taken` (may be NULL unless LOCK_SKIP) as of lock_acquire. */
OMEN_MUST_CHECK omen_status transaction_lock_key(struct session *session, struct table *table,
                                                 struct numbered_key key, enum lock_mode mode,
                                                 enum lock_wait wait, uint64_t deadline_ns,
                                                 bool *taken, omen_error *error);

/* Whether somebody else has locked the key, so that `mode` of it (of a unique key ROW_LOCK_UPDATE)
 * cannot be had now. The caller holds the writer lock. */
bool transaction_key_is_locked(const struct session *session, const struct table *table,
                               struct numbered_key key, enum lock_mode mode);

/* Whether somebody else can have locked any key of the table. As above. */
bool transaction_keys_are_locked(const struct session *session, const struct table *table);

/* The first of these keys, which write_set_keys gave, that somebody else has locked, or `count`. As
 * above; takes as long as there are keys, or locks if those are fewer. */
size_t transaction_find_locked_key(const struct session *session, const struct table *table,
                                   const struct numbered_key *keys, size_t count,
                                   enum lock_mode mode);

/* The same for the whole table. */
bool transaction_table_is_locked(const struct session *session, const struct table *table);

/* A statement outside a transaction is about to need `mode` of the table, which it does not
 * register: waits while somebody has what conflicts with it. Errors: as transaction_lock_table. */
OMEN_MUST_CHECK omen_status transaction_await_table(struct session *session, struct table *table,
                                                    enum lock_mode mode, uint64_t deadline_ns,
                                                    omen_error *error);

/* Whether anybody has locked anything: as above. */
bool transaction_any_locked(const struct session *session);

/* The transaction has taken locks on what it may not write: whoever has one next must see all that
 * it did, so they are given up when that is published. */
void transaction_keep_locks(struct session *session);

/* --- writing --- */

/* Whether statements write into a transaction. */
static inline bool transaction_is_open(const struct transaction *transaction)
{
    return transaction->state != TRANSACTION_NONE;
}

/* Locks the whole table against writers instead of `count` keys more, where those that the
 * transaction holds would be too many; `*covered` tells whether it has. */
OMEN_MUST_CHECK omen_status transaction_cover_keys(struct session *session, struct table *table,
                                                   size_t count, uint64_t deadline_ns,
                                                   bool *covered, omen_error *error);

/* Locks keys, in order: where they are many, the table. */
OMEN_MUST_CHECK omen_status transaction_lock_keys(struct session *session, struct table *table,
                                                  const struct numbered_key *keys, size_t count,
                                                  enum lock_mode row_mode, uint64_t deadline_ns,
                                                  omen_error *error);

/* What the keys of a set are locked by. */
enum lock_mode transaction_set_mode(const struct write_set *set);

/* Locks all keys that the set writes: where they are many, the table. */
OMEN_MUST_CHECK omen_status transaction_lock_set(struct session *session, struct write_set *set,
                                                 uint64_t deadline_ns, omen_error *error);

/* Adds what a statement has gathered to the transaction. Errors: as own_writes_add; those of
 * waiting for locks. SERIALIZATION_FAILURE: a row has changed since it was chosen; by what, is
 * published. */
OMEN_MUST_CHECK omen_status transaction_add(struct session *session, struct write_set *set,
                                            uint64_t deadline_ns, omen_error *error);

/* The same for a set whose keys are locked; the caller holds the writer lock. */
OMEN_MUST_CHECK omen_status transaction_add_locked(struct session *session, struct write_set *set,
                                                   omen_error *error);

/* A set for the running statement. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status transaction_create_set(struct session *session, struct table *table,
                                                   struct write_set **out, omen_error *error);

/* The same for a statement that runs often: outside a transaction the set that its last run has
 * left at `*kept`, if there is one (of this table). `kept` NULL: as transaction_create_set. */
OMEN_MUST_CHECK omen_status transaction_take_set(struct session *session, struct table *table,
                                                 struct write_set **kept, struct write_set **out,
                                                 omen_error *error);

/* Gives such a set up (NULL does nothing): it is left at `*kept`, empty, for the next run. */
void transaction_leave_set(struct session *session, struct write_set **kept, struct write_set *set);

/* The snapshot that a statement changes rows at: TXN_NEWEST, or the one that REPEATABLE READ reads
 * at. */
uint64_t transaction_target_snapshot(const struct session *session);

/* Takes the snapshot of a REPEATABLE READ transaction, if it has none yet: before it waits for
 * anybody. */
OMEN_MUST_CHECK omen_status transaction_fix_snapshot(struct session *session, omen_error *error);

/* Whether the rows that the set is to end, which are locked by `mode`, are still the newest
 * versions; own ones always are. As transaction_add would find. KEY SHARE at one snapshot demands
 * no more than that their keys are still there. */
OMEN_MUST_CHECK omen_status transaction_check_targets(struct session *session,
                                                      struct write_set *set, enum lock_mode mode,
                                                      uint64_t deadline_ns, omen_error *error);

/* Waits until everything that has been committed is published. */
OMEN_MUST_CHECK omen_status transaction_settle_newest(struct session *session, uint64_t deadline_ns,
                                                      omen_error *error);

/* --- tables --- */

/* The transaction's own tables have become others. */
void transaction_note_tables(struct session *session);

/* The table of this name as the session sees it. As catalog_find. */
OMEN_MUST_CHECK omen_status transaction_find_table(const struct session *session, const char *name,
                                                   size_t length, struct table **out,
                                                   omen_error *error);

/* The table of this name, locked; a view (table_is_view) is not. Where it is dropped while that is
 * waited for, the next one of the name. Errors: as catalog_find, as transaction_lock_table. */
OMEN_MUST_CHECK omen_status transaction_find_locked(struct session *session, const char *name,
                                                    enum lock_mode mode, uint64_t deadline_ns,
                                                    struct table **out, omen_error *error);

/* Locks the tables that a statement of a transaction names, so that nobody drops them before it
 * ends. Errors: as transaction_lock_table. */
OMEN_MUST_CHECK omen_status transaction_lock_reads(struct session *session,
                                                   struct table *const *tables, size_t count,
                                                   uint64_t deadline_ns, omen_error *error);

/* Creates an empty table: with the transaction, or at once. Errors: as database_create_table; those
 * of waiting for whoever is making one of the same name. */
OMEN_MUST_CHECK omen_status transaction_create_table(struct session *session, const char *name,
                                                     struct schema *schema, uint64_t deadline_ns,
                                                     omen_error *error);

/* The same for a table that was made beforehand, and its first rows. */
OMEN_MUST_CHECK omen_status transaction_create_filled(struct session *session, struct table *table,
                                                      struct write_set *set, uint64_t deadline_ns,
                                                      omen_error *error);

/* Drops tables when no other transaction uses them any more: all of them, or none. With
 * `missing_ok` names that are not there are passed over; a name given twice counts once. Errors:
 * UNDEFINED_TABLE; as transaction_find_locked and catalog_commit. */
OMEN_MUST_CHECK omen_status transaction_drop_tables(struct session *session,
                                                    const char *const *names, size_t count,
                                                    bool missing_ok, uint64_t deadline_ns,
                                                    omen_error *error);

/* --- its ends --- */

OMEN_MUST_CHECK omen_status transaction_begin(struct session *session,
                                              const struct transaction_modes *modes,
                                              omen_error *error);

/* Modes of the transaction that is open. Errors: ACTIVE_TRANSACTION where it has read already. */
OMEN_MUST_CHECK omen_status transaction_set_modes(struct session *session,
                                                  const struct transaction_modes *modes,
                                                  omen_error *error);

/* Commits, or rolls back where it has failed (`*committed` false). Whatever is returned, it is
 * over. */
OMEN_MUST_CHECK omen_status transaction_commit(struct session *session, uint64_t deadline_ns,
                                               bool *committed, omen_error *error);
void transaction_rollback(struct session *session);

/* Whether SET may change this setting now. Errors: ACTIVE_TRANSACTION for the isolation of a
 * transaction that has read already. */
OMEN_MUST_CHECK omen_status transaction_check_setting(const struct session *session,
                                                      const char *name, const char *value,
                                                      omen_error *error);

/* The session's settings have changed. */
void transaction_note_settings(struct session *session);

OMEN_MUST_CHECK omen_status transaction_savepoint(struct session *session, const char *name,
                                                  omen_error *error);
OMEN_MUST_CHECK omen_status transaction_release_savepoint(struct session *session, const char *name,
                                                          omen_error *error);
OMEN_MUST_CHECK omen_status transaction_rollback_to(struct session *session, const char *name,
                                                    omen_error *error);

#endif
