/* own_writes.h - what one transaction has written to one table, private until it commits.
 *
 *   statement --gathers--> write_set --own_writes_add--> own_writes --own_writes_commit_set-->
 *   write_set --> txn_commit
 *
 * A statement gathers into a write set, so that it reads its targets as they were (R7.2, R7.4). In
 * a transaction the set is then added to what the transaction has written, with the statement's
 * command number, and only the commit makes it everybody's. A statement of command c sees what
 * commands before c have written: rows with begin < c and not end < c, and of the shared rows those
 * that no command before c has ended.
 *
 * Row ids of private rows have OWN_GROUP_BIT in their group number, and mean one row as long as the
 * transaction lasts: UPDATE and DELETE through the engine name rows by them.
 *
 * Concurrency: changed by the transaction's thread alone. Views that were opened with it stay right
 * whatever is added, undone, committed or destroyed later, and are read by any thread. Its lock is
 * taken after the writer lock and before the table's.
 */
#ifndef OMEN_TABLE_OWN_WRITES_H
#define OMEN_TABLE_OWN_WRITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table/table.h"

/* In the group number of a private row's id: no group of a table gets that far. */
#define OWN_GROUP_BIT (UINT64_C(1) << 46)

/* What READ COMMITTED gives for a snapshot: whatever is newest counts. */
#define OWN_SNAPSHOT_NONE UINT64_MAX

struct own_writes;

/* Nothing written yet. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status own_writes_create(struct table *table, struct own_writes **out);

/* Forgets everything; views live on. NULL does nothing. */
void own_writes_destroy(struct own_writes *own);

struct table *own_writes_table(const struct own_writes *own); /* borrowed */

/* Rows inserted, updated and deleted so far, less what was undone. Any thread. */
uint64_t own_writes_row_count(const struct own_writes *own);

/* Whether nothing is written: a view needs nothing of it, a commit neither. */
bool own_writes_empty(const struct own_writes *own);

/* From here on the set also takes ids of private rows for its targets, and finds rows by key as a
 * statement of `command` sees them: own ones first, then the table's at `snapshot`, which is
 * registered (REPEATABLE READ), or the newest (OWN_SNAPSHOT_NONE). By key it may then give a row
 * that is not the newest: own_writes_add finds out. `own` (may be NULL: nothing changes) outlives
 * the set. As before, who updates or deletes by key holds the writer lock. */
void write_set_read_own(struct write_set *set, struct own_writes *own, uint32_t command,
                        uint64_t snapshot);

/* The keys that keeping the set would write, to be locked; encoded, by number and in key order,
 * each once; in the arena. Of the primary key: those of its new rows and those of its targets; of a
 * table with a hidden key not those of new rows, which nobody else can name. Of unique keys: those
 * that inserted rows have, that deleted rows had, and that an update takes away or gives; not those
 * that it leaves as they are. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status write_set_keys(const struct write_set *set, struct arena *arena,
                                           struct numbered_key **keys, size_t *count,
                                           omen_error *error);

/* How many those are, at least: without looking at them. */
size_t write_set_keys_at_least(const struct write_set *set);

/* The primary keys of its targets, in key order, each once. */
OMEN_MUST_CHECK omen_status write_set_target_keys(const struct write_set *set, struct arena *arena,
                                                  struct index_key **keys, size_t *count,
                                                  omen_error *error);

/* Whether a primary key of the table is among these, which the above gave. */
bool table_key_among(const struct table *table, const struct index_key *keys, size_t count,
                     struct index_key key);

/* The place of a key among these, which write_set_keys gave, or `count`. */
size_t numbered_keys_find(const struct numbered_key *keys, size_t count, struct numbered_key key);

/* Whether the set does more than give rows new values: inserts, ends or moves some, or gives them
 * other unique keys. */
bool write_set_changes_keys(const struct write_set *set);

/* Adds what a statement has gathered: its targets end, its rows begin, at `command` (above 0, never
 * less than before). All or nothing; either way the set is used up and is to be destroyed. Keys are
 * unique at the end, not in between. Targets are shared rows, or private ones that `command` sees.
 * Rows of large sets move over without a copy.
 *
 * `snapshot` of REPEATABLE READ: a target, or what lies behind a primary key to be inserted, must
 * not have changed since; OWN_SNAPSHOT_NONE: READ COMMITTED. A unique key is free whose row has
 * gone since.
 *
 * The caller holds the locks of the keys, to the end of the transaction, and the writer lock, which
 * it has not had all the time when this returns: large sets let others have it in between. It acts
 * on the newest versions, published or not: before another statement of the transaction takes its
 * snapshot, own_writes_acted_on must be published (txn_settle). Errors: DUPLICATE_KEY, naming the
 * key; SERIALIZATION_FAILURE where a target is not the newest live version, or not as the snapshot
 * saw it; NOT_READY for a view; LIMIT_EXCEEDED beyond 2^31 rows; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status own_writes_add(struct own_writes *own, struct write_set *set,
                                           uint32_t command, uint64_t snapshot, omen_error *error);

/* Whether a row was written and has gone again, so that the commit says nothing of its key. */
bool own_writes_any_died(const struct own_writes *own);

/* The newest commit that ended or began something that was built upon; 0: none. */
uint64_t own_writes_acted_on(const struct own_writes *own);

/* What a statement of `command` finds under a key among the own writes. */
enum own_answer {
    OWN_UNKNOWN, /* nothing: ask the table */
    OWN_ROW,     /* a row */
    OWN_GONE     /* that there is none, whatever the table says */
};

/* Asks for a key; OWN_ROW comes pinned in `out`. `own` may be NULL. Thread-safe. */
enum own_answer own_writes_get(struct own_writes *own, uint32_t command, struct index_key key,
                               struct row_ref *out);

/* table_get_encoded with own writes (may be NULL) as of view->command. */
OMEN_MUST_CHECK omen_status table_get_own(struct table *table, const struct read_view *view,
                                          struct own_writes *own, struct index_key key,
                                          struct row_ref *out);

/* A point in what was written, to come back to: before a statement, or a savepoint. */
struct own_mark {
    size_t steps, unique_steps;
    uint64_t rows;
};
struct own_mark own_writes_mark(const struct own_writes *own);

/* Undoes everything added after the mark, which later marks do not survive. Cannot fail. */
void own_writes_undo(struct own_writes *own, struct own_mark mark);

/* table_view_open as a statement of `command` sees it (`own` may be NULL or empty: as
 * table_view_open). Row counts and summaries of such a view are never exact. Errors: OUT_OF_MEMORY.
 */
OMEN_MUST_CHECK omen_status table_view_open_own(struct table *table,
                                                const struct snapshot *snapshot,
                                                struct own_writes *own, uint32_t command,
                                                struct table_view **out);

/* The write set that commits it; NULL where there is nothing to commit. `own` is then empty: if the
 * set is destroyed uncommitted the writes are gone. Where rows died meanwhile the others are
 * copied, so it is best called without locks. Errors: OUT_OF_MEMORY, and then `own` is as before.
 */
OMEN_MUST_CHECK omen_status own_writes_commit_set(struct own_writes *own, struct write_set **out,
                                                  omen_error *error);

#endif
