/* table_private.h - what the files of src/table share.
 *
 *   table ── index (key -> newest row id)
 *     │
 *     ├─ directory: group number -> entry      [chunk of 256] [chunk of 256] ...
 *     ├─ list of entries in the order of their rows:  first <-> ... <-> last
 *     │     entry: group (its present form), [valid_from, valid_until), slot map, counters
 *     ├─ open: the entry that small commits append to
 *     └─ deleted: (row id, end) of keys whose index entry may go, oldest first
 *
 * Locks, in the order they are taken: maintenance (one table_maintain at a time), the manager's
 * writer lock (one writer of rows, lifetimes and everything here), `lock` (readers-writer).
 *
 * `lock` is held for writing only while index entries, the directory or the list change, and for
 * reading by a point lookup until the visible version is pinned and by a view while it captures
 * its groups. Only the holder of the writer lock changes anything, so that holder reads without
 * taking `lock`.
 */
#ifndef OMEN_TABLE_TABLE_PRIVATE_H
#define OMEN_TABLE_TABLE_PRIVATE_H

#include <stdatomic.h>

#include "base/allocator.h"
#include "base/arena.h"
#include "index/index.h"
#include "os/biased_lock.h"
#include "table/table.h"

enum {
    DIRECTORY_CHUNK_ENTRIES = 256,
    LOOKUP_BATCH = 64, /* keys looked up, or entries changed, at once */
    OPEN_CAPACITY_MIN = 1024,
    POINT_READS_SAMPLED = 64, /* of so many reads by a slot one is counted, for all */
    SMALL_SET = 4,            /* changes a write set holds without arrays of its own */
    GROUP_NUMBER_NONE = 0,    /* of a private group that will never be attached */
};

/* --- deleted keys --- */

struct deleted_key {
    uint64_t row_id; /* the version that ended */
    uint64_t end;
};

struct deleted_chunk {
    struct deleted_chunk *next;
    struct deleted_key keys[255];
};

/* A queue in commit order. Room is reserved before a commit applies, so that pushing cannot
 * fail. */
struct deleted_keys {
    struct deleted_chunk *head, *tail;
    size_t first; /* of the head chunk */
    size_t count;
    size_t capacity; /* slots of all chunks */
};

bool deleted_keys_reserve(struct deleted_keys *queue, struct allocator *allocator, size_t extra);
void deleted_keys_push(struct deleted_keys *queue, struct deleted_key key);
const struct deleted_key *deleted_keys_peek(const struct deleted_keys *queue); /* or NULL */
void deleted_keys_pop(struct deleted_keys *queue, struct allocator *allocator);
void deleted_keys_destroy(struct deleted_keys *queue, struct allocator *allocator);

/* --- compacted groups --- */

/* Where the rows of a compacted group went: those of `copied` lie, in slot order, from
 * `target_first` on in group `target`. rank[w] counts the bits before word w. */
struct slot_map {
    uint64_t target;
    uint32_t target_first;
    uint64_t copied[ROW_GROUP_ROWS / 64];
    uint16_t rank[ROW_GROUP_ROWS / 64];
};

/* One group of the table. Fields change only under the writer lock; those marked * also only
 * under `lock` held for writing, because readers look at them. */
struct group_entry {
    struct row_group *group;   /* * present form; others replace it: grown, frozen, unloaded */
    struct row_group *backing; /* a form without columns, from the segment; NULL: none, or `group`
                                * comes from one */
    uint64_t number;
    uint64_t valid_from;         /* * views at a snapshot in [valid_from, valid_until) capture it */
    uint64_t valid_until;        /* * TIMESTAMP_INFINITY until compacted */
    struct slot_map *map;        /* where the rows went; NULL until compacted */
    uint32_t repointed;          /* slots of a compacted group whose entries have been repointed */
    uint32_t unlinked;           /* slots of an unreadable group that no chain leads to any more */
    uint32_t erasures;           /* queued deleted keys whose row lies here */
    uint64_t last_end;           /* newest end stamped here */
    uint64_t counted_at;         /* watermark at which `reclaimable` was counted */
    uint32_t reclaimable;        /* dead rows that nobody can read any more */
    uint32_t retry_in;           /* steps of maintenance that its columns are not tried for; then */
    uint32_t retry_wait;         /* how many it was the last time; 0: they could be read */
    uint32_t apart_in;           /* steps that it is not compacted with those before it: too much */
    uint32_t apart_wait;         /* how many it was the last time */
    struct deleted_keys stalled; /* deleted keys of its rows whose entries wait for that */
    uint64_t quiet_end;          /* `last_end` when it was last looked at, */
    uint32_t quiet_steps;        /* and for how many steps it has been that */
    struct group_entry *next, *previous; /* * */
};

struct directory_chunk {
    uint32_t used;
    struct group_entry *entries[DIRECTORY_CHUNK_ENTRIES];
};

/* --- the table --- */

struct table {
    struct allocator *allocator;
    struct txn_manager *manager;
    const _Atomic uint64_t *published; /* the manager's */
    struct schema *schema;
    uint64_t identity;
    uint64_t id; /* persistent */
    bool is_view;
    bool is_dropped; /* changed by the writer, who has the table's lock alone (txn_lock.h) */
    atomic_uint references;
    char name[SCHEMA_NAME_BYTES_MAX + 1];

    struct biased_lock lock;
    struct index *index;
    struct directory_chunk **chunks;
    size_t chunk_count;
    struct group_entry *first, *last;
    uint64_t moves; /* grows when rows get other ids, by copies, or when groups go */

    struct group_entry *open; /* guarded by the writer lock, as is what follows */
    struct deleted_keys deleted;
    struct mutex maintenance;

    size_t merged_bytes_max; /* of columns that compaction puts together; tests lower it */
    uint64_t unload_hand;    /* number of the group that was looked at last; maintenance lock */

    struct index **uniques;        /* of unique keys (table_uniques.h); NULL until built */
    uint64_t unique_freed_at;      /* the newest commit by which a unique key became free */
    _Atomic bool uniques_built;    /* set with the writer lock held, once */
    _Atomic uint64_t unique_bytes; /* relaxed */

    _Atomic uint64_t group_number_next;
    _Atomic int64_t hidden_key_next;
    _Atomic uint64_t rows;
    _Atomic uint64_t groups_damaged; /* relaxed: groups that maintenance could not read */
    _Atomic uint64_t point_reads, scans, index_scans; /* relaxed */
};

/* --- groups (table_groups.c) --- */

/* The entry of a group, or NULL where there is none (any more). Under `lock` or as the writer. */
static inline struct group_entry *directory_find(const struct table *table, uint64_t number)
{
    uint64_t chunk = number / DIRECTORY_CHUNK_ENTRIES;
    if (chunk >= table->chunk_count || table->chunks[chunk] == NULL)
        return NULL;
    return table->chunks[chunk]->entries[number % DIRECTORY_CHUNK_ENTRIES];
}

uint64_t group_number_take(struct table *table);

/* Makes `group` (retained) part of the table, before `before` or last where that is NULL.
 * Takes `lock`. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status group_attach(struct table *table, struct row_group *group,
                                         struct group_entry *before, uint64_t valid_from,
                                         struct group_entry **out);

/* As group_attach for an entry prepared by group_entry_create; cannot fail; `lock` is held. */
OMEN_MUST_CHECK omen_status group_entry_create(struct table *table, struct row_group *group,
                                               struct group_entry **out);
void group_link(struct table *table, struct group_entry *entry, struct group_entry *before);
void group_entry_destroy(struct table *table, struct group_entry *entry);

/* Takes the group out of the table. Nothing may lead to its rows any more. Takes `lock`. */
void group_detach(struct table *table, struct group_entry *entry);

/* Puts another form of the same group in its place; takes over the caller's reference.
 * Takes `lock`. */
void group_swap(struct table *table, struct group_entry *entry, struct row_group *group);

/* Lets go the columns of a group that lies in a segment, if nobody has pinned it; gives the bytes
 * that became free. As the writer. Takes `lock`. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status group_unload(struct table *table, struct group_entry *entry,
                                         uint64_t *freed);

/* Whether it does not matter when rows of the group ended, for all who see that they have: no
 * queued key names one, and none is a copy of a row that older readers see elsewhere, which is to
 * end alike. As the writer. */
bool group_may_fold(const struct table *table, const struct group_entry *group);

/* The row's newest copy: `row_id` itself unless its group has been compacted. As the writer. */
uint64_t row_id_canonical(const struct table *table, uint64_t row_id);

/* The new id of a row of a compacted group, ROW_ID_NONE where it was not copied. */
uint64_t slot_map_find(const struct slot_map *map, uint32_t slot);

/* Shared end of a row: TIMESTAMP_INFINITY where live. As the writer; the group exists. */
uint64_t row_end(const struct table *table, uint64_t row_id);

/* The version that the snapshot sees, from `row_id` along `previous`; retained into `out`.
 * False where it sees none. Under `lock` or as the writer. */
bool version_resolve(const struct table *table, uint64_t row_id, uint64_t snapshot,
                     struct row_ref *out);

/* --- write sets (table_write.c gathers, table_commit.c commits) --- */

/* A row that the set ends. */
struct write_target {
    uint64_t row_id;      /* its newest copy */
    uint64_t stale_id;    /* an older copy that the index still leads to, or ROW_ID_NONE */
    struct index_key key; /* read when the target was added, so that no commit has to load it;
                             bytes are in `target_keys`; unset in a replay */
    bool key_freed;       /* deleted, or moved to another key */
    bool read_earlier;    /* chosen at a snapshot: its ids are made right when it is validated */
    uint64_t begin;       /* the version's, where a transaction ended it long before; else 0 */
};

/* Where a run of the set's rows lies in the table. */
struct placement {
    struct group_entry *entry;
    uint32_t first, count;
    bool attached; /* the private group itself became part of the table */
};

struct set_unique;

struct write_set {
    struct table *table;
    struct row_group **groups; /* private rows in the order they came */
    size_t group_count, group_capacity;
    struct write_target *targets;
    size_t target_count, target_capacity;
    uint32_t *buckets; /* open addressing: position in targets + 1; 0 = free */
    size_t bucket_count;
    uint64_t row_count;
    bool committed;
    struct row_group *source; /* of the last row read by its id; retained, or NULL */
    struct arena target_keys; /* byte keys of targets */

    /* Of a table with unique keys: those that targets have and lose, and those that their new
     * versions get; bytes are in `target_keys`. And which rows are new versions, ascending. */
    struct numbered_key *freed, *taken;
    size_t freed_count, freed_capacity, taken_count, taken_capacity;
    uint64_t *replacing;
    size_t replacing_count, replacing_capacity;
    bool commits_own; /* it is what a transaction has written: checked when that was added */

    /* Of a statement in a transaction. */
    struct own_writes *own; /* borrowed; NULL: none */
    uint32_t command;
    uint64_t snapshot; /* by key, what it sees; OWN_SNAPSHOT_NONE: the newest */

    /* From here on: during a commit. */
    struct arena keys_arena;
    struct index_key *keys; /* byte keys of all rows; word keys are made on the fly */
    size_t keys_capacity;
    uint64_t *replaced; /* what each index entry held before */
    size_t replaced_capacity;
    struct set_unique *uniques;   /* one a unique key, in keys_arena; NULL: nothing to be put */
    size_t put_count;             /* entries put so far */
    size_t ended_count;           /* targets whose key is freed: only with a log */
    struct index_key *ended_keys; /* byte keys of those, in keys_arena */
    struct placement *placements;
    size_t placement_count, placement_capacity;

    /* What the arrays above are while a set is small: no allocation for one row. */
    struct {
        struct row_group *groups[1];
        struct write_target targets[SMALL_SET];
        uint32_t buckets[2 * SMALL_SET];
        uint64_t replaced[SMALL_SET];
        struct placement placements[1];
    } small;
};

/* Takes the versions that nobody can read out of the key's chain, but not its head. Says whether
 * the chain now leads past group `number`. As the writer. */
bool chain_unlink(const struct table *table, uint64_t watermark, struct index_key key,
                  uint64_t number);

extern const struct txn_participant_ops write_set_ops;

/* The redo (table_redo.c). Encoding comes in reserve, and may fail with OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status redo_encode_ends(struct write_set *set);
uint64_t write_set_redo_bytes(void *self);
void write_set_redo(void *self, struct txn_redo *redo);

bool write_set_targets(const struct write_set *set, uint64_t row_id);

/* Makes the group of a row, the table's or an own one, set->source. Errors: SERIALIZATION_FAILURE
 * where it is gone. */
OMEN_MUST_CHECK omen_status write_set_source(struct write_set *set, uint64_t row_id,
                                             omen_error *error);

/* --- for transactions: a set made of what they have written --- */

/* Adds copies of the chosen slots of a group of the table's schema. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status write_set_add_slots(struct write_set *set,
                                                const struct row_group *group,
                                                const uint16_t *slots, uint32_t count);

/* Adds a group as it is (retained); no rows may be added to the set from then on. */
OMEN_MUST_CHECK omen_status write_set_take_group(struct write_set *set, struct row_group *group);

/* Puts a copy of the key's bytes, if it has any, into the arena, and the key leads there. */
OMEN_MUST_CHECK omen_status key_keep(struct arena *arena, struct index_key *key);

/* Sorts the keys, leaves each once, and gives how many are left. */
size_t keys_make_distinct(enum index_kind kind, struct index_key *keys, size_t count);

/* --- for replay: sets that are filled in bulk --- */

/* Makes sure that the last private group has room for `count` rows. */
OMEN_MUST_CHECK omen_status write_set_ready(struct write_set *set, uint32_t count);

/* Adds an empty private group that can be attached whole. */
OMEN_MUST_CHECK omen_status write_set_add_group(struct write_set *set);

OMEN_MUST_CHECK omen_status write_set_add_target(struct write_set *set, struct write_target target);

/* Byte keys of all private rows; then write_set_key gives that of row number `ordinal` of the set,
 * which is at `slot` of `group`. */
OMEN_MUST_CHECK omen_status write_set_encode_keys(struct write_set *set);
struct index_key write_set_key(const struct write_set *set, const struct row_group *group,
                               uint32_t slot, uint64_t ordinal);

/* Files the targets under their present row ids. Allocates nothing. */
void write_set_rehash(struct write_set *set);
uint64_t write_set_private_rows(const struct write_set *set);

/* Frees what only a commit needs. */
void write_set_forget_commit(struct write_set *set);

/* Grows an array of `width`-byte elements to at least `needed`; `small` (may be NULL) is the array
 * it starts as, which is not allocated. False where memory is out. */
bool array_reserve(struct allocator *allocator, void **array, size_t *capacity, size_t needed,
                   size_t width, const void *small);
void array_release(struct allocator *allocator, void *array, size_t capacity, size_t width,
                   const void *small);

/* Fills `error` with why key `number` could not be encoded, and gives the status: LIMIT_EXCEEDED is
 * that it is too long. */
omen_status key_error(const struct table *table, uint32_t number, omen_status status,
                      omen_error *error);

/* Fills `error` with key `number` of this row, which is there twice, and gives DUPLICATE_KEY. */
omen_status duplicate_key_error(const struct table *table, uint32_t number,
                                const struct row_group *group, uint32_t slot, omen_error *error);

/* Whether the key whose entry, in any index of the table, holds `row_id` may be inserted by the
 * set. As the writer. */
bool write_set_key_is_free(const struct write_set *set, uint64_t row_id);

/* Whether the row has not begun: one that is being committed now. As the writer. */
bool row_is_pending(const struct table *table, uint64_t row_id);

/* --- views (table_view.c) and scans --- */

struct view_group {
    struct row_group *group; /* held: pinned by who looks at columns (row_group_hold) */
    uint32_t row_count;
    bool own;         /* private rows: seen whatever their lifetimes say, unless hidden */
    uint64_t *hidden; /* bits of slots that are not seen, of whole vectors; NULL: none */
};

struct table_view {
    struct table *table;
    struct snapshot snapshot;
    atomic_uint references;

    /* Of a statement in a transaction that has written to the table: */
    struct own_writes *own; /* retained; NULL: nothing was written */
    uint64_t own_epoch;     /* as of when it was opened */
    uint32_t command;
    uint64_t own_rows, hidden_rows; /* private ones seen, shared ones not seen */

    size_t group_count, group_capacity;
    struct view_group groups[];
};

/* A view of the shared groups, with room for `extra` others, that has no snapshot yet. Under the
 * table's lock. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status view_capture(struct table *table, uint64_t snapshot, size_t extra,
                                         struct table_view **out);

/* Makes the bits of hidden slots for a group of a view that nobody else knows: none of them set, or
 * as in `bits`, which has one for each row. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status view_hide_none(struct table_view *view, struct view_group *group);
OMEN_MUST_CHECK omen_status view_hide(struct table_view *view, struct view_group *group,
                                      const uint64_t *bits);

/* Whether every row of the group is seen. */
bool view_sees_whole(const struct table_view *view, const struct view_group *group);

#endif
