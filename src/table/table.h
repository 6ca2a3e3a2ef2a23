/* table.h - one table: index, row groups and versions; the one source of truth for its rows.
 *
 *            key ----> index (TableIndex) ----> newest row id
 *                                                   |
 *   row groups (TableStorage):  [open] [sealed] [frozen] ...   slot: begin, end, previous
 *
 * Writes gather rows in private row groups (a write set) and become visible together through
 * the commit pipeline of src/txn. Reads see the versions with begin <= snapshot < end.
 *
 * Concurrency: any number of readers beside one writer. A readers-writer lock guards the index
 * and the list of groups; a point read holds it for the lookup only, a scan only to capture
 * its groups. Rows themselves need no lock: they never change.
 */
#ifndef OMEN_TABLE_TABLE_H
#define OMEN_TABLE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "column/filter.h"
#include "column/row_group.h"
#include "column/schema.h"
#include "omendb_arrow.h"
#include "omendb_types.h"
#include "txn/txn.h"

struct reader_slot; /* os/biased_lock.h */
struct table;

/* A key of a table and which one: 0 is the primary key, n unique key n - 1 of its schema. */
struct numbered_key {
    uint32_t number;
    struct index_key key;
};

static inline struct numbered_key primary_key(struct index_key key)
{
    return (struct numbered_key){.key = key};
}

/* --- life --- */

/* An empty table (schema retained, name copied). The manager and the allocator outlive it. */
OMEN_MUST_CHECK omen_status table_create(struct allocator *allocator, struct txn_manager *manager,
                                         const char *name, struct schema *schema,
                                         struct table **out);
struct table *table_retain(struct table *table);
void table_release(struct table *table); /* NULL does nothing; any thread */

struct schema *table_schema(const struct table *table); /* borrowed */
const char *table_name(const struct table *table);      /* borrowed */

/* Of this table alone as long as the process lives, whatever is dropped and created. */
uint64_t table_identity(const struct table *table);

/* An encoded key of the table as text: "(a, b)=(1, x)", in the arena; long values are cut. Errors:
 * CORRUPTED where it is no key of this table; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status table_key_text(const struct table *table, struct numbered_key key,
                                           struct arena *arena, const char **out);

/* Live rows, about: committed inserts less deletes, whatever the snapshot. */
uint64_t table_row_count_estimate(const struct table *table);

/* --- point reads --- */

/* One row version, pinned: its values can be read until it is released. */
struct row_ref {
    struct row_group *group; /* NULL: none */
    uint32_t slot;
};
void row_ref_release(struct row_ref *row);

/* The version of the row with this key that the view sees. `key` holds key_count values of the
 * key columns' types, in key order, none NULL. `scratch` holds byte keys during the call.
 * Errors: NOT_FOUND; TYPE_MISMATCH; OUT_OF_MEMORY. Thread-safe. */
OMEN_MUST_CHECK omen_status table_get(struct table *table, const struct read_view *view,
                                      const omen_value *key, struct arena *scratch,
                                      struct row_ref *out);

/* The same for an encoded key; the fast path of prepared point queries. */
OMEN_MUST_CHECK omen_status table_get_encoded(struct table *table, const struct read_view *view,
                                              struct index_key key, struct row_ref *out);

/* Copies columns of the newest committed version of the row with this key, of a table whose keys
 * are words: the shortest way to one row. `slot` (may be NULL) is the calling thread's alone.
 * `copy` as for row_group_copy. Errors: NOT_FOUND, of which `error` is not told; OUT_OF_MEMORY;
 * those of row_group_ensure. Thread-safe. */
OMEN_MUST_CHECK omen_status table_read(struct table *table, struct reader_slot *slot,
                                       uint64_t key_word, struct row_copy *copy, omen_error *error);

/* --- writes --- */

/* Rows to insert, update and delete in one transaction; private until committed. One thread. */
struct write_set;
OMEN_MUST_CHECK omen_status write_set_create(struct table *table, struct write_set **out);
void write_set_destroy(struct write_set *set); /* NULL does nothing */

/* Makes the set empty, as after write_set_create, for other rows of its table: a set of few rows
 * keeps the memory that they took. Cannot fail. */
void write_set_clear(struct write_set *set);

/* Adds one row of column_count values in schema order; borrowed for the call; values are
 * canonicalised in place. Errors: as schema_check_value; OUT_OF_MEMORY. On failure the set
 * is as before. */
OMEN_MUST_CHECK omen_status write_set_insert(struct write_set *set, omen_value *values,
                                             omen_error *error);

/* Adds all rows of an Arrow struct array (read, not consumed). All or nothing. */
OMEN_MUST_CHECK omen_status write_set_insert_arrow(struct write_set *set,
                                                   const struct ArrowSchema *arrow_schema,
                                                   const struct ArrowArray *array,
                                                   omen_error *error);

/* Replaces the given columns of the row with this key by new values (NULLs too; key columns
 * too: then the row moves). The newest committed version counts: the caller holds the writer
 * lock. Errors: NOT_FOUND; as write_set_insert. A key targeted twice keeps its first change. */
OMEN_MUST_CHECK omen_status write_set_update(struct write_set *set, const omen_value *key,
                                             const uint32_t *columns, omen_value *values,
                                             uint32_t column_count, omen_error *error);

/* Ends the row with this key. As write_set_update. */
OMEN_MUST_CHECK omen_status write_set_delete(struct write_set *set, const omen_value *key,
                                             omen_error *error);

/* The same for a row that a snapshot saw, by its row id: the caller needs no lock, but keeps that
 * snapshot registered until it has added its last row. Whether the row is still the newest version
 * is found out by the commit, which fails with SERIALIZATION_FAILURE where it is not; then the
 * statement runs again with a new set and snapshot. A row id given twice keeps its first change.
 * Errors: as write_set_insert; SERIALIZATION_FAILURE where the row is gone already. */
OMEN_MUST_CHECK omen_status write_set_update_row(struct write_set *set, uint64_t row_id,
                                                 const uint32_t *columns, omen_value *values,
                                                 uint32_t column_count, omen_error *error);
OMEN_MUST_CHECK omen_status write_set_delete_row(struct write_set *set, uint64_t row_id,
                                                 omen_error *error);

/* Builds the indexes of the table's unique keys, if there are such keys and this has not been done:
 * before a statement that inserts into the table, or changes a unique key, takes the writer lock.
 * A commit that finds none builds them too, but with the lock held. Takes the maintenance lock, and
 * the writer lock for moments. Errors: OUT_OF_MEMORY; those of row_group_ensure; CORRUPTED where
 * two live rows have one key. Thread-safe. */
OMEN_MUST_CHECK omen_status table_prepare_uniques(struct table *table, omen_error *error);

/* Whether keeping the set looks into those indexes: it inserts rows, or gives some a unique key. */
bool write_set_needs_uniques(const struct write_set *set);

struct table *write_set_table(const struct write_set *set); /* borrowed */
uint64_t write_set_row_count(const struct write_set *set);  /* rows inserted, updated, deleted */

/* Whether the rows that the set is to end, which are the table's, still are the newest versions.
 * The caller holds the writer lock. Errors: SERIALIZATION_FAILURE; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status write_set_check_targets(struct write_set *set, omen_error *error);

/* Whether their keys are still those of rows: of the same, of newer versions, or of others that
 * have come in their place; and those have the same unique keys. As above; errors of reading. */
OMEN_MUST_CHECK omen_status write_set_check_target_keys(struct write_set *set, omen_error *error);

/* The set as a participant of txn_commit. DUPLICATE_KEY names the key in its message. */
struct txn_participant write_set_participant(struct write_set *set);

/* Commits this one set. The caller holds the writer lock, gives it up and then waits for the ticket
 * (txn_outcome). Keys are unique at the end, not in between: a set may move rows to keys that
 * others of it leave. Errors: as txn_commit, DUPLICATE_KEY and SERIALIZATION_FAILURE among them. */
OMEN_MUST_CHECK omen_status write_set_commit_locked(struct write_set *set,
                                                    enum txn_durability durability,
                                                    struct txn_ticket *ticket, omen_error *error);

/* The same, durable and waited for; takes the writer lock unless `locked`. */
OMEN_MUST_CHECK omen_status write_set_commit(struct write_set *set, bool locked, omen_error *error);

/* --- scans --- */

/* A table as one statement sees it: its groups captured once, its snapshot registered. Scans and
 * partitions of one statement all come from one view, so they are disjoint and complete. */
struct table_view;
OMEN_MUST_CHECK omen_status table_view_open(struct table *table, const struct snapshot *snapshot,
                                            struct table_view **out);
struct table_view *table_view_retain(struct table_view *view);
void table_view_release(struct table_view *view);              /* any thread */
struct table *table_view_table(const struct table_view *view); /* borrowed */

/* Rows that the view sees; `*exact` where that is no estimate. */
uint64_t table_view_row_count(const struct table_view *view, bool *exact);

/* What is known of a column without reading it. Of the rows that the view sees, and perhaps of
 * others: exact where the row count is and the summary is complete. */
struct column_summary {
    bool complete;       /* every group was asked */
    bool has_range;      /* min and max hold; never for floats and CHAR */
    uint64_t null_count; /* about, where not complete */
    omen_value min, max; /* text borrowed as long as the view */
};
void table_view_column(const struct table_view *view, uint32_t column, struct column_summary *out);

/* Some rows that a new snapshot sees, spread evenly over the table: always the same ones of the
 * same table. Their groups are pinned. */
struct table_sample {
    struct table_view *view;
    struct row_ref *rows;
    uint32_t row_count;
    bool complete; /* they are all there are */
};

/* Takes about `row_count_max` rows; the array is the arena's. Rows whose columns are not in memory
 * are hardly among them, so that looking at them (row_group_ensure first) reads little from disk.
 * The caller releases it, after failure too. Errors: OUT_OF_MEMORY. Thread-safe. */
OMEN_MUST_CHECK omen_status table_sample_take(struct table *table, uint32_t row_count_max,
                                              struct arena *arena, struct table_sample *out);
void table_sample_release(struct table_sample *sample);

struct scan_spec {
    /* The projection in output order; all borrowed for the open call. ROW_ID_COLUMN gives the id
     * of the row version that was read: BIGINT, its bits those of row_id_make. Where the row's
     * group has been compacted since, it names the old copy (see row_id_canonical). */
    const uint32_t *columns;
    uint32_t column_count;
    const omen_predicate *predicates;
    size_t predicate_count;
    uint64_t limit;                      /* UINT64_MAX = none */
    uint32_t partition, partition_count; /* contiguous shares of the groups; 0 of 1 = all */
    bool key_lookup; /* answer a fixed key through the index (false only to compare in tests) */
};

/* Whether the predicates fix every key column by = or IN, so that the index answers. */
bool table_predicates_fix_key(const struct schema *schema, const omen_predicate *predicates,
                              size_t count);

struct scan;
struct scan_counters {
    bool by_index;
    uint64_t groups, groups_pruned;   /* of this partition */
    uint64_t vectors, vectors_pruned; /* of the groups read */
    uint64_t rows;                    /* delivered */
};

/* Opens a scan; it keeps the view alive. Errors: as filter_create; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status table_scan_open(struct table_view *view, const struct scan_spec *spec,
                                            struct scan **out, omen_error *error);

/* The next non-empty batch; END_OF_DATA after the last. The batch keeps its groups alive by
 * itself. One thread at a time. Errors: OUT_OF_MEMORY; those of row_group_ensure. */
OMEN_MUST_CHECK omen_status table_scan_next(struct scan *scan, struct ArrowArray *out);

/* Fills `error` with what table_scan_next, which has just failed with `status`, had to say. */
omen_status table_scan_error(const struct scan *scan, omen_status status, omen_error *error);

/* Replaces what groups and vectors not yet read are pruned by: rows that do not satisfy the
 * predicates (borrowed for the call) are not needed, but may come.
 * Errors: as filter_create, and then nothing changes. */
OMEN_MUST_CHECK omen_status table_scan_prune(struct scan *scan, const omen_predicate *predicates,
                                             size_t count, omen_error *error);
void table_scan_counters(const struct scan *scan, struct scan_counters *out);
void table_scan_close(struct scan *scan); /* NULL does nothing; any thread */

/* The scan as an Arrow C stream that owns it; errors come as "SQLSTATE message". */
OMEN_MUST_CHECK omen_status table_scan_stream(struct table_view *view, const struct scan_spec *spec,
                                              struct ArrowArrayStream *out, omen_error *error);

/* One pinned row as an Arrow batch of length 1. */
OMEN_MUST_CHECK omen_status table_row_arrow(struct table *table, const struct row_ref *row,
                                            const uint32_t *columns, uint32_t column_count,
                                            struct ArrowArray *out);

/* --- maintenance --- */

struct maintain_report {
    uint64_t groups_frozen, groups_compacted, groups_dropped;
    uint64_t entries_erased, entries_repointed;
    bool more; /* another step would find work now */
};

/* Closes the open group: later rows go to a new one, and this one can be frozen before it is full
 * (a checkpoint, an idle table, tests). Takes the writer lock. Cannot fail. */
void table_seal_open(struct table *table);

/* One bounded step: erases index entries of rows deleted before the watermark, freezes sealed
 * groups, compacts groups with too many dead rows, repoints the index, drops dead groups. At most
 * about `rows_max` rows are touched. Takes the writer lock. Adds to `report` (may be NULL).
 * Errors: OUT_OF_MEMORY, and then nothing is lost: the step can be tried again; CORRUPTED, IO_ERROR
 * and the like, once, where it turns out that the columns of a group cannot be read. The group is
 * then left alone for a while, and all others are maintained as ever: the next step goes on. */
OMEN_MUST_CHECK omen_status table_maintain(struct table *table, uint64_t rows_max,
                                           struct maintain_report *report);

/* --- facts --- */

struct table_stats {
    uint64_t groups_open, groups_sealed, groups_frozen, groups_retired;
    uint64_t groups_damaged; /* that maintenance could not read */
    uint64_t rows_estimate, dead_rows;
    uint64_t column_bytes, lifetime_bytes, index_bytes, bytes;
    /* Since creation; relaxed counters. Point reads by a reader's slot are sampled. */
    uint64_t point_reads, scans, index_scans;
};
void table_stats_of(struct table *table, struct table_stats *out);

/* Makes it a view: nothing can be written to it any more (NOT_READY), and it is not what it was the
 * next time somebody asks for it by name. Before anybody else knows the table. */
void table_protect(struct table *table);
bool table_is_view(const struct table *table);

/* It has been dropped: what is still gathered for it fails to commit (UNDEFINED_TABLE). As the
 * writer. */
void table_mark_dropped(struct table *table);

/* Whether it is. Where nobody can be dropping it: with a lock on it (txn_lock.h), or as the writer.
 */
bool table_is_dropped(const struct table *table);

/* --- what is persistent --- */

/* The table's id in the log and the manifest: of this table alone in its database, for ever. Set
 * once, before anybody else knows the table; 0 until then. */
void table_set_id(struct table *table, uint64_t id);
uint64_t table_id(const struct table *table);

/* Bounds of what was given out (R5.4, R5.6): group numbers and hidden keys from these on are new.
 */
struct table_counters {
    uint64_t group_number_next;
    int64_t hidden_key_next;
};
void table_counters_of(const struct table *table, struct table_counters *out);

/* Raises them to at least these. */
void table_raise_counters(struct table *table, const struct table_counters *counters);

/* Checks index against rows, rows against lifetimes, groups and maps. Takes the writer lock. */
OMEN_MUST_CHECK omen_status table_validate(struct table *table, omen_error *error);

#endif
