/* own_writes_private.h - what the files own_writes*.c share.
 *
 *   groups    [private rows ...] [private rows ...]    slots beside them: begin, end, older
 *   targets   shared rows that have been ended, in the order that was done
 *   index     key -> newest node: a private row, or the end of a shared one
 *                      └─older──> the node of this key before it
 *   steps     what was done, in order: rows begun | a row ended | a shared row ended
 *   uniques   of each unique key: key -> the newest private row that has or had it, or
 *             OWN_NODE_TARGET: a shared row had it and was ended, or has another key now
 *
 * Begin and end of a private row are numbers of commands. They lie beside the row group, whose own
 * lifetimes stay unset: so a group can become the table's as it is, while views still read it. A
 * view copies what it needs to know of them when it is opened.
 *
 * Undo. Steps are undone last first: entries go back to the older node, rows of undone steps have
 * begin 0 for ever. Putting an entry back and erasing one allocate nothing; what encoding a byte
 * key needs is kept ready (undo_arena).
 *
 * Unique keys have steps of their own, each with the key and what its entry held. A key without an
 * entry is the table's business still; a key with one is not, since whoever made it had found the
 * key free, or freed it, and holds its lock; or the row under it, which no other can leave the key,
 * was replaced.
 *
 * Concurrency: `lock` guards all but `table`, `references` and `rows`. The transaction's thread
 * changes things with it held, and reads without; a scan that is opened on another thread asks the
 * index with it held.
 */
#ifndef OMEN_TABLE_OWN_WRITES_PRIVATE_H
#define OMEN_TABLE_OWN_WRITES_PRIVATE_H

#include "os/thread.h"
#include "table/own_writes.h"
#include "table/table_private.h"

#define OWN_NODE_NONE   UINT32_MAX
#define OWN_NODE_TARGET UINT32_C(0x80000000) /* the rest is the number of a target */

enum {
    OWN_GROUPS_MAX = 0x7FFF,      /* their numbers fit a node beside a slot */
    OWN_TARGETS_MAX = 0x7FFFFFFE, /* and those of targets */
    OWN_GROUP_NONE = UINT16_MAX,  /* no group */
    OWN_ROWS_COPIED_MAX = 8192,   /* a set of more rows moves over, group by group */
    OWN_GROUP_CAPACITY_MIN = 16,
};

/* A private row's lifetime, in commands. */
struct own_slot {
    uint32_t begin; /* 0: never, or undone */
    uint32_t end;   /* 0: not ended */
    uint32_t older; /* node of the same key, or OWN_NODE_NONE */
};

struct own_group {
    struct row_group *group; /* NULL: all of it was undone, and it takes no more rows */
    struct own_slot *slots;
    uint32_t slot_capacity;
    uint32_t begun, live;  /* slots with a begin, and of those without an end */
    uint32_t last_command; /* newest begin or end among the slots; never less */
};

struct own_target {
    uint64_t row_id; /* where it was last seen: a copy may have taken its place */
    uint64_t begin;  /* of the version, as it was then */
    struct index_key key;
    uint32_t command; /* that ended it */
    uint32_t older;   /* as of a slot */
};

/* The shared rows of one group that have been ended: a bit for each of its slots. */
struct own_hidden {
    uint64_t number;
    uint64_t *bits;
};

enum own_step_kind { OWN_STEP_ROWS, OWN_STEP_END, OWN_STEP_TARGET };

struct own_step {
    uint16_t kind;
    uint16_t group; /* not for targets */
    uint32_t first; /* slot */
    uint32_t count; /* OWN_STEP_ROWS: so many have begun */
    uint32_t command;
};

/* An entry of a unique key has been put. */
struct own_unique_step {
    const uint8_t *bytes; /* in keys_arena; NULL: a word */
    uint64_t word;        /* or how many bytes */
    uint32_t number;      /* of the key */
    uint32_t older;       /* node that the entry held, or OWN_NODE_NONE */
};

struct own_writes {
    struct table *table;
    atomic_uint references;
    _Atomic uint64_t rows;
    uint64_t acted_on; /* newest commit whose doing was built upon */
    struct mutex lock;
    uint64_t epoch;  /* grows when what a view may have seen is undone, and when all is forgotten */
    uint32_t viewed; /* largest command that a view was opened with */
    struct index *index;
    struct index **uniques; /* one a unique key; NULL: there are none, or `index` is NULL */

    struct own_group *groups;
    size_t group_count, group_capacity;
    uint32_t last; /* group that takes more rows, or OWN_GROUP_NONE */

    struct own_target *targets;
    size_t target_count, target_capacity;
    struct arena keys_arena; /* byte keys of targets, and of unique steps */

    struct own_step *steps;
    size_t step_count, step_capacity;

    struct own_unique_step *unique_steps;
    size_t unique_step_count, unique_step_capacity;

    struct own_hidden *hidden; /* ascending by number */
    size_t hidden_count, hidden_capacity;
    size_t hidden_targets; /* so many of the targets are in it */
    uint64_t hidden_moves; /* the table's, when it was made */

    struct arena scratch;    /* byte keys in the making */
    struct arena undo_arena; /* has room for any byte key of a private row */
    size_t undo_room;
};

/* --- nodes --- */

static inline uint32_t own_node_of(size_t group, uint32_t slot)
{
    return (uint32_t)group << 16 | slot;
}

static inline uint64_t own_node_id(uint32_t node)
{
    return ROW_ID_OCCUPIED | node;
}

/* What an entry of the index leads to. */
static inline uint32_t own_id_node(uint64_t id)
{
    return id == ROW_ID_NONE ? OWN_NODE_NONE : (uint32_t)id;
}

static inline struct own_slot *own_slot_of(const struct own_writes *own, uint32_t node)
{
    return &own->groups[node >> 16].slots[node & 0xFFFF];
}

/* Whether a node is a private row that lives. */
static inline bool own_node_lives(const struct own_writes *own, uint32_t node)
{
    return node < OWN_NODE_TARGET && own_slot_of(own, node)->begin != 0 &&
           own_slot_of(own, node)->end == 0;
}

static inline bool own_slot_visible(const struct own_slot *slot, uint32_t command)
{
    return slot->begin != 0 && slot->begin < command && (slot->end == 0 || slot->end >= command);
}

/* The private group that a row id names, or NULL. */
const struct own_group *own_group_find(const struct own_writes *own, uint64_t row_id);

/* Frees what is in it. Its number is not given again: views may know rows by it. */
void own_group_release(struct own_writes *own, struct own_group *group);

/* own_writes_undo with the lock held. */
void own_undo(struct own_writes *own, struct own_mark mark);

/* The index, and those of unique keys, empty. On failure there are none. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status own_indexes_create(struct own_writes *own);
void own_indexes_destroy(struct own_writes *own);

/* --- unique keys (own_writes_unique.c): as the parts of adding, undoing and committing --- */

/* The keys that the set frees become the transaction's. After its targets have ended. */
OMEN_MUST_CHECK omen_status own_uniques_free(struct own_writes *own, const struct write_set *set,
                                             omen_error *error);

/* Rows of a private group have begun: their keys must be free. As the writer. Errors:
 * DUPLICATE_KEY, OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status own_uniques_take(struct own_writes *own, const struct write_set *set,
                                             size_t group, uint32_t first, uint32_t count,
                                             omen_error *error);

/* Puts the entries back, down to so many steps. Cannot fail. */
void own_uniques_undo(struct own_writes *own, size_t steps);

/* Tells the set which keys no private row has any more; bytes are in keys_arena. Errors:
 * OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status own_uniques_commit(struct own_writes *own, struct write_set *set);

/* Makes it empty. The lock is held. */
void own_clear(struct own_writes *own);

struct own_writes *own_retain(struct own_writes *own);
void own_release(struct own_writes *own); /* NULL does nothing; any thread */

/* The newest copy of a target, or ROW_ID_NONE where it is gone. Under the table's lock or as the
 * writer. */
uint64_t own_target_place(const struct table *table, uint64_t row_id, struct index_key key,
                          uint64_t begin);

/* --- which shared rows are ended (own_writes_hidden.c); the lock is held --- */

/* Brings the bits up to what a statement of `command` sees; `*usable` false: they are those of a
 * later one. The table's lock is held for reading. Errors: OUT_OF_MEMORY, and what is there is
 * right. */
OMEN_MUST_CHECK omen_status own_hidden_update(struct own_writes *own, uint32_t command,
                                              bool *usable);

/* A group's; NULL where there are none. */
const uint64_t *own_hidden_bits(const struct own_writes *own, uint64_t number);

/* Target `number`, the last one, is undone. */
void own_hidden_undo(struct own_writes *own, size_t number);
void own_hidden_clear(struct own_writes *own);

/* own_writes_get with the lock held. */
enum own_answer own_lookup(const struct own_writes *own, uint32_t command, struct index_key key,
                           struct row_ref *out);

#endif
