/* alex_private.h - the nodes of ALEX and what its files share.
 *
 *   root entry -> inner: entry entry entry entry ...        a model node: slot = (key-base)>>shift
 *                          |     |     \____/
 *                          |     v        v                 neighbouring slots may share a child
 *                          v    leaf     leaf
 *                        inner
 *
 *   leaf        [ fences ][ header ][ block ][ block ] ...  fences only where it has no model
 *   block       k k k k k g g g | r r r r r 0 0 0           8 keys, 8 row ids, 2 cache lines
 *
 * Invariants:
 *  1. Keys of a leaf never descend from slot to slot, gaps included.
 *  2. Entries of a block come first, its gaps after them. A slot is a gap where its row id is 0.
 *  3. A gap's key is above every entry before it (the gaps after an entry with the largest
 *     key of all excepted) and at most the next entry's. So the last block whose first key is
 *     <= k is the only one that can hold k; k = UINT64_MAX: the last block with an entry.
 *  4. An entry's model and `forward` equal its child's header. Keys outside a node's range go
 *     to its ends.
 *  5. Fence b of a sorted leaf is the first key of block b; unused fences are UINT64_MAX.
 *  6. Leaves are chained in key order, and every key descends to the leaf that holds it.
 *  7. The slots of a model node lie within the key space, at multiples of their width.
 */
#ifndef OMEN_INDEX_ALEX_PRIVATE_H
#define OMEN_INDEX_ALEX_PRIVATE_H

#include "index/alex.h"

__extension__ typedef unsigned __int128 uint128;

enum {
    BLOCK_SLOTS = 8,
    LEAF_KEYS_MAX = 4096,  /* of a leaf as it is built; it may fill its gaps beyond this */
    SORTED_KEYS_MAX = 176, /* at most this many keys need no model */
    SORTED_BLOCKS_MAX = 32,
    PUSH_BLOCKS_MAX = 16,   /* how far an insert looks for a gap */
    SPREAD_BLOCKS_MAX = 32, /* how many empty blocks an insert may cross to its prediction */
    DEPTH_MAX = 96
};

enum alex_kind { ALEX_INNER, ALEX_MODEL, ALEX_SORTED };

struct alex_block {
    uint64_t keys[BLOCK_SLOTS];
    uint64_t row_ids[BLOCK_SLOTS];
};

struct alex_leaf {
    struct alex_leaf *previous;
    struct alex_leaf *next;
    uint64_t base;
    uint64_t multiplier;
    uint32_t block_count;
    uint32_t entry_count;
    uint32_t inserts;  /* since it was built */
    uint32_t appends;  /* of those, above all before */
    uint32_t prepends; /* of those, below all before */
    uint8_t kind;
    bool chunked;
    bool forward; /* no entry stands before the block predicted for it; once false, it stays so */
    uint64_t key_min; /* bounds of all keys since it was built */
    uint64_t key_max;
    uint64_t spare[7]; /* a header takes two cache lines; room for a sequence lock */
    struct alex_block blocks[];
};

_Static_assert(sizeof(struct alex_block) == 128, "a block is two cache lines");
_Static_assert(sizeof(struct alex_leaf) == 128, "blocks stay aligned");

struct alex_inner {
    uint64_t base;
    uint32_t slot_count;
    uint32_t child_count; /* runs of slots with one child */
    uint8_t shift;
    bool chunked;
    struct alex_inner *link; /* used while building */
    uint32_t leaves;         /* below it, when flattening last looked at it; 0: never */
    uint32_t splits;         /* below it, since then */
    uint64_t spare[3];
    struct alex_entry entries[];
};

_Static_assert(sizeof(struct alex_inner) == 64, "entries start on a cache line");
_Static_assert(sizeof(struct alex_entry) == 32, "two entries to a cache line");

/* The way from the root to a leaf: inner nodes and the slot taken in each. */
struct alex_path {
    struct alex_inner *nodes[DEPTH_MAX];
    uint32_t slots[DEPTH_MAX];
    uint32_t length;
};

/* The lookups for one instruction set (alex_search.c), chosen once per index. */
struct alex_search {
    const char *name;
    index_lookup_function *lookup; /* of a struct alex */
    void (*lookup_batch)(const struct alex *alex, const struct index_key *keys, size_t count,
                         uint64_t *row_ids);
};

/* The searches this CPU can run, the fastest at number 0; NULL behind the last. */
const struct alex_search *alex_search_number(unsigned number);

static inline uint64_t high_product(uint64_t a, uint64_t b)
{
    return (uint64_t)(((uint128)a * b) >> 64);
}

/* The slot of an inner entry's child that `key` belongs to. The offset of a key below the base
 * wraps around; with a base divisible by the slots' width and no slot beyond the key space
 * (invariant 7) its slot is above the last, so one comparison finds keys on either side. */
static inline size_t entry_slot(const struct alex_entry *entry, uint64_t key)
{
    uint64_t slot = (key - entry->base) >> entry->shift;
    if (__builtin_expect(slot > entry->last, 0))
        return key < entry->base ? 0 : entry->last;
    return slot;
}

/* Spelt with bytes, as predict_block in alex_search.c: subscripts make gcc compute the address
 * twice, and the few instructions more cost a tenth of a lookup. */
static inline const struct alex_entry *entry_descend(const struct alex_entry *entry, uint64_t key)
{
    const char *entries = (const char *)entry->child + sizeof(struct alex_inner);
    return (const struct alex_entry *)(const void *)entries + entry_slot(entry, key);
}

/* The block a model predicts for `key`. A key below the base wraps around to a block above the
 * last and ends at 0; only where the model spans nearly all keys may it be any block. That is
 * a bad guess, not a wrong answer: a search may start from every block. */
static inline size_t model_block(uint64_t base, uint64_t multiplier, uint32_t last, uint64_t key)
{
    uint64_t block = high_product(key - base, multiplier);
    if (__builtin_expect(block > last, 0))
        return key < base ? 0 : last;
    return block;
}

static inline uint32_t leaf_predict(const struct alex_leaf *leaf, uint64_t key)
{
    return (uint32_t)model_block(leaf->base, leaf->multiplier, leaf->block_count - 1, key);
}

/* How many entries a block holds; they come first. */
static inline unsigned block_entries(const struct alex_block *block)
{
    const uint64_t *row_ids = block->row_ids;
    unsigned count = (unsigned)(row_ids[3] >> 63) * 4;
    count += (unsigned)(row_ids[count + 1] >> 63) * 2;
    count += (unsigned)(row_ids[count] >> 63);
    return count + (unsigned)(row_ids[count] >> 63);
}

static inline size_t leaf_fences(uint32_t block_count)
{
    return ((size_t)block_count + BLOCK_SLOTS - 1) / BLOCK_SLOTS * BLOCK_SLOTS;
}

/* The fences of a sorted leaf lie before its header. */
static inline uint64_t *leaf_fence(const struct alex_leaf *leaf)
{
    return (uint64_t *)(uintptr_t)leaf - leaf_fences(leaf->block_count);
}

/* The only block that can hold `key` (invariant 3), searched from a predicted one. */
uint32_t leaf_locate(const struct alex_leaf *leaf, uint64_t key);

/* The leaf `key` belongs to. */
struct alex_leaf *alex_leaf_of(const struct alex *alex, uint64_t key);

/* The same, noting the way. False where the way is too long to note. */
struct alex_leaf *alex_path_to(const struct alex *alex, uint64_t key, struct alex_path *path);

/* A place for `key` in the leaf's blocks, or false where no gap is near: then nothing changed.
 * `block` is leaf_locate(key), where key is not. Updates the leaf's own counters. */
bool leaf_insert(struct alex_leaf *leaf, uint32_t block, uint64_t key, uint64_t row_id);

/* Takes the entry at block and slot out. */
void leaf_remove(struct alex_leaf *leaf, uint32_t block, unsigned slot);

/* ---- building (alex_build.c) ---- */

/* Sorted entries on their way into nodes. */
struct alex_run {
    const uint64_t *keys;
    const uint64_t *row_ids;
    size_t count;
};

enum alex_fill {
    FILL_LOOSE,  /* room for inserts anywhere */
    FILL_DENSE,  /* no room where the model is exact, else as loose: bulk load */
    FILL_SEALED, /* no room where the model is exact, else little: inserts have moved on */
    FILL_APPEND, /* room for inserts at the end */
    FILL_PREPEND /* and at the start */
};

struct alex_plan {
    uint64_t base;
    uint64_t multiplier;
    uint32_t block_count;
    uint8_t kind;
};

/* The nodes built so far, for linking in or for taking back. */
struct alex_builder {
    struct alex *alex;
    struct alex_leaf *first;
    struct alex_leaf *last;
    struct alex_inner *inners;
    enum alex_fill fill;
};

/* Slots [first, first + count) of a model node that starts at `base`. */
struct alex_slots {
    uint64_t base;
    uint8_t shift;
    uint32_t first;
    uint32_t count;
};

/* Chooses size and model for one leaf with all of `run`; false where no model fits well
 * enough and there are too many keys to do without. */
bool alex_plan_leaf(struct alex_run run, enum alex_fill fill, struct alex_plan *plan);

/* One leaf as planned, chained behind the builder's last. `entry` gets its entry. */
bool alex_build_leaf(struct alex_builder *builder, struct alex_run run,
                     const struct alex_plan *plan, struct alex_entry *entry);

/* Leaves and inner nodes for `run`, one entry per slot. run.count > 0. */
bool alex_build_slots(struct alex_builder *builder, struct alex_run run, struct alex_slots slots,
                      struct alex_entry *entries);

/* How many of the run's keys are below `key`. */
size_t alex_run_rank(struct alex_run run, uint64_t key);

/* The run's entries [from, to). */
static inline struct alex_run alex_run_part(struct alex_run run, size_t from, size_t to)
{
    return (struct alex_run){run.keys + from, run.row_ids + from, to - from};
}

/* The part of the run below the start of `slot`. */
static inline size_t alex_slot_rank(struct alex_run run, uint64_t base, uint8_t shift,
                                    uint32_t slot)
{
    uint128 boundary = (uint128)base + ((uint128)slot << shift);
    return boundary > UINT64_MAX ? run.count : alex_run_rank(run, (uint64_t)boundary);
}

/* How many runs of slots with one child there are. */
uint32_t alex_count_children(const struct alex_entry *entries, uint32_t slot_count);

/* A subtree for `run`; `entry` gets its root. An empty run gives an empty leaf. */
bool alex_build_subtree(struct alex_builder *builder, struct alex_run run,
                        struct alex_entry *entry);

/* Frees all that was built. */
void alex_builder_abandon(struct alex_builder *builder);

/* An inner node for slots [0, slot_count) from `base`; entries and child_count unset. */
struct alex_inner *alex_inner_create(struct alex *alex, uint64_t base, uint8_t shift,
                                     uint32_t slot_count);
void alex_inner_free(struct alex *alex, struct alex_inner *inner);
/* Frees the inner nodes of a subtree, not its leaves. */
void alex_free_inners(struct alex *alex, const struct alex_entry *entry);
void alex_leaf_free(struct alex *alex, struct alex_leaf *leaf);
struct alex_entry alex_inner_entry(struct alex_inner *inner);
struct alex_entry alex_leaf_entry(struct alex_leaf *leaf);
/* Nodes from the entry's child to the deepest leaf, both included. */
uint64_t alex_depth_below(const struct alex_entry *entry);

/* ---- changing shape (alex_shape.c) ---- */

/* Rebuilds the leaf with one more entry: larger, refitted or split. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status alex_grow(struct alex *alex, uint64_t key, uint64_t row_id);

/* Writes the entry of the leaf that `key` belongs to anew, from its header. */
void alex_refresh_entry(struct alex *alex, uint64_t key);

/* After an erase: contracts or merges the sparse leaf that `key` belongs to, if it can. */
void alex_shrink(struct alex *alex, uint64_t key);

static inline bool leaf_is_sparse(const struct alex_leaf *leaf)
{
    return leaf->entry_count == 0 ||
           (leaf->block_count > 1 && leaf->entry_count * 5 < leaf->block_count * BLOCK_SLOTS);
}

#endif
