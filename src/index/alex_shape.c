/* alex_shape.c - leaves grow, split, contract and merge; model nodes widen and collapse.
 *
 * Every change builds new nodes beside the old ones, links them in when all memory is there, and
 * only then frees the old ones: a failure leaves the index as it was.
 *
 * A leaf without room is rebuilt larger; if it has too many keys, its slots are shared out:
 *
 *     one slot:      its model node gets twice the slots, if they are well used, else the leaf
 *                    becomes a model node below it
 *     several slots: its keys are built anew over them (alex_build_slots)
 *     append tail:   the slots before the newest key's are sealed in dense leaves, the model
 *                    node gets more slots to the right, and a new tail leaf takes them. The same
 *                    to the left for descending inserts.
 *
 * Splits below one another make chains of model nodes. A subtree with a long one is built anew in
 * one go, but never more than 65,536 entries: a millisecond or two.
 *
 * The thresholds lie far apart - full at 82 %, rebuilt at 62 %, sparse at 20 % - so inserts and
 * deletes in turns don't rebuild in turns. Source: ALEX sections 4.3-4.6.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "index/alex_private.h"

enum {
    MERGED_KEYS_MAX = LEAF_KEYS_MAX / 2,
    SLOT_COUNT_MAX = 1 << 24,
    FLATTEN_DEPTH_MIN = 4,        /* model nodes in a chain that are worth a rebuild */
    FLATTEN_ENTRIES_MAX = 1 << 16 /* and the most entries that one may move */
};

/* ---- gathering ---- */

static bool reserve_scratch(struct alex *alex, size_t entries)
{
    if (entries <= alex->scratch_entries)
        return true;
    size_t wanted = size_max(entries, alex->scratch_entries * 2);
    wanted = size_max(wanted, 64);
    uint64_t *scratch = allocator_alloc(alex->heap.allocator, wanted * 2 * sizeof *scratch);
    if (scratch == NULL)
        return false;
    allocator_free(alex->heap.allocator, alex->scratch,
                   alex->scratch_entries * 2 * sizeof *scratch);
    alex->scratch = scratch;
    alex->scratch_entries = wanted;
    return true;
}

static struct alex_run scratch_run(const struct alex *alex, size_t count)
{
    return (struct alex_run){alex->scratch, alex->scratch + alex->scratch_entries, count};
}

/* Copies the leaf's entries in order; returns their number. */
static size_t gather(const struct alex_leaf *leaf, uint64_t *keys, uint64_t *row_ids)
{
    size_t count = 0;
    for (uint32_t at = 0; at < leaf->block_count; at++) {
        const struct alex_block *block = &leaf->blocks[at];
        unsigned entries = block_entries(block);
        for (unsigned slot = 0; slot < BLOCK_SLOTS; slot++) {
            keys[count + slot] = block->keys[slot];
            row_ids[count + slot] = block->row_ids[slot];
        }
        count += entries;
    }
    return count;
}

/* The leaf's entries and one more, in the scratch space, which has room for them. */
static struct alex_run gather_with(struct alex *alex, const struct alex_leaf *leaf, uint64_t key,
                                   uint64_t row_id)
{
    uint64_t *keys = alex->scratch;
    uint64_t *row_ids = keys + alex->scratch_entries;
    size_t count = gather(leaf, keys, row_ids);
    size_t rank = alex_run_rank(scratch_run(alex, count), key);
    memmove(keys + rank + 1, keys + rank, (count - rank) * sizeof *keys);
    memmove(row_ids + rank + 1, row_ids + rank, (count - rank) * sizeof *row_ids);
    keys[rank] = key;
    row_ids[rank] = row_id;
    return scratch_run(alex, count + 1);
}

/* ---- linking ---- */

/* Slots [first, end) of the path's last node that lead to one child. */
struct span {
    uint32_t first;
    uint32_t end;
};

static struct span span_of(const struct alex_inner *inner, uint32_t slot)
{
    const void *child = inner->entries[slot].child;
    struct span span = {slot, slot + 1};
    while (span.first > 0 && inner->entries[span.first - 1].child == child)
        span.first--;
    while (span.end < inner->slot_count && inner->entries[span.end].child == child)
        span.end++;
    return span;
}

static struct alex_inner *path_node(const struct alex_path *path)
{
    return path->length > 0 ? path->nodes[path->length - 1] : NULL;
}

/* Makes `entry` the child at `level` of the path, in all its slots; level 0 is the root. */
static void set_child(struct alex *alex, const struct alex_path *path, uint32_t level,
                      struct alex_entry entry)
{
    if (level == 0) {
        alex->root = entry;
        return;
    }
    struct alex_inner *inner = path->nodes[level - 1];
    struct span span = span_of(inner, path->slots[level - 1]);
    for (uint32_t slot = span.first; slot < span.end; slot++)
        inner->entries[slot] = entry;
}

void alex_refresh_entry(struct alex *alex, uint64_t key)
{
    struct alex_inner *inner = NULL;
    const struct alex_entry *entry = &alex->root;
    size_t slot = 0;
    while (entry->kind == ALEX_INNER) {
        inner = entry->child;
        slot = entry_slot(entry, key);
        entry = &inner->entries[slot];
    }
    struct alex_entry fresh = alex_leaf_entry(entry->child);
    if (inner == NULL) {
        alex->root = fresh;
        return;
    }
    struct span span = span_of(inner, (uint32_t)slot);
    for (uint32_t at = span.first; at < span.end; at++)
        inner->entries[at] = fresh;
}

/* Puts the builder's leaves where leaves [first, last] were in the chain. */
static void link_leaves(struct alex *alex, const struct alex_builder *builder,
                        const struct alex_leaf *first, const struct alex_leaf *last)
{
    builder->first->previous = first->previous;
    builder->last->next = last->next;
    if (first->previous != NULL)
        first->previous->next = builder->first;
    else
        alex->first = builder->first;
    if (last->next != NULL)
        last->next->previous = builder->last;
    else
        alex->last = builder->last;
}

/* ---- model nodes ---- */

/* Puts `wider` in the place of the path's last node and adds `shift` to the path's slot. */
static void replace_inner(struct alex *alex, struct alex_path *path, struct alex_inner *wider)
{
    struct alex_inner *inner = path_node(path);
    wider->child_count = inner->child_count;
    set_child(alex, path, path->length - 1, alex_inner_entry(wider));
    path->nodes[path->length - 1] = wider;
    alex_inner_free(alex, inner);
}

static bool may_double(const struct alex_inner *inner)
{
    return inner->shift > 0 && inner->child_count * 2 >= inner->slot_count &&
           inner->slot_count <= SLOT_COUNT_MAX / 2;
}

/* Twice as many slots, each half as wide. */
static bool double_inner(struct alex *alex, struct alex_path *path, uint64_t key)
{
    const struct alex_inner *inner = path_node(path);
    struct alex_inner *wider =
        alex_inner_create(alex, inner->base, (uint8_t)(inner->shift - 1), inner->slot_count * 2);
    if (wider == NULL)
        return false;
    for (uint32_t slot = 0; slot < inner->slot_count; slot++) {
        wider->entries[2 * slot] = inner->entries[slot];
        wider->entries[2 * slot + 1] = inner->entries[slot];
    }
    replace_inner(alex, path, wider);
    struct alex_entry entry = alex_inner_entry(wider);
    path->slots[path->length - 1] = (uint32_t)entry_slot(&entry, key);
    return true;
}

/* How many slots the node lacks for `key`, to its left or right; 0 if it has one. */
static uint64_t slots_missing(const struct alex_inner *inner, uint64_t key)
{
    if (key < inner->base)
        return ((inner->base - 1 - key) >> inner->shift) + 1;
    uint64_t slot = (key - inner->base) >> inner->shift;
    return slot < inner->slot_count ? 0 : slot - inner->slot_count + 1;
}

/* How many slots there are between the node's last and the end of the key space. */
static uint64_t slots_above(const struct alex_inner *inner)
{
    return (UINT64_MAX >> inner->shift) - (inner->base >> inner->shift) - (inner->slot_count - 1);
}

/* Adds slots at the end where `key` lies, so that inserts marching on find more of them. The
 * new slots lead to the child at that end. False only without memory; nothing happens where
 * the key is too far away. */
static bool widen_inner(struct alex *alex, struct alex_path *path, uint64_t key)
{
    const struct alex_inner *inner = path_node(path);
    uint64_t missing = slots_missing(inner, key);
    uint64_t added = size_max((size_t)missing, inner->slot_count / 4 + 4);
    bool left = key < inner->base;
    uint64_t room = left ? inner->base >> inner->shift : slots_above(inner);
    if (added > room)
        added = room;
    if (missing == 0 || missing > added || missing > inner->slot_count / 2 + 8 ||
        inner->slot_count + added > SLOT_COUNT_MAX ||
        inner->slot_count > inner->child_count * UINT64_C(16) + 64)
        return true;
    uint64_t base = left ? inner->base - (added << inner->shift) : inner->base;
    uint32_t offset = left ? (uint32_t)added : 0;
    struct alex_inner *wider =
        alex_inner_create(alex, base, inner->shift, inner->slot_count + (uint32_t)added);
    if (wider == NULL)
        return false;
    memcpy(wider->entries + offset, inner->entries, inner->slot_count * sizeof *inner->entries);
    struct alex_entry end = inner->entries[left ? 0 : inner->slot_count - 1];
    uint32_t fresh = left ? 0 : inner->slot_count;
    for (uint32_t slot = 0; slot < added; slot++)
        wider->entries[fresh + slot] = end;
    replace_inner(alex, path, wider);
    struct alex_entry entry = alex_inner_entry(wider);
    path->slots[path->length - 1] = (uint32_t)entry_slot(&entry, key);
    return true;
}

/* A model node with one child gives way to it. */
static void collapse_inner(struct alex *alex, struct alex_path *path)
{
    struct alex_inner *inner = path_node(path);
    if (inner->child_count > 1)
        return;
    set_child(alex, path, path->length - 1, inner->entries[0]);
    path->length--;
    alex_inner_free(alex, inner);
}

/* ---- splitting ---- */

/* Where to cut the span of an append (prepend) tail: the slots before (behind) the cut are
 * sealed. A cut at a multiple of a large power of two keeps slots and leaves aligned; at least
 * half of the keys are sealed. 0 where there is no such cut. */
static uint32_t tail_cut(struct alex_run run, const struct alex_inner *inner, struct span span,
                         enum alex_fill fill, uint32_t newest)
{
    for (unsigned bit = 24; bit-- > 0;) {
        uint64_t cut = (uint64_t)(newest >> bit) + (fill == FILL_PREPEND ? 1 : 0);
        cut <<= bit;
        if (cut <= span.first || cut >= span.end)
            continue;
        size_t below = alex_slot_rank(run, inner->base, inner->shift, (uint32_t)cut);
        size_t sealed = fill == FILL_APPEND ? below : run.count - below;
        if (sealed * 2 >= run.count && sealed < run.count)
            return (uint32_t)cut;
    }
    return 0;
}

static bool build_tail(struct alex_builder *builder, struct alex_run run,
                       const struct alex_inner *inner, struct span span, uint32_t cut,
                       enum alex_fill fill, struct alex_entry *entries)
{
    size_t rank = alex_slot_rank(run, inner->base, inner->shift, cut);
    struct alex_slots low = {inner->base, inner->shift, span.first, cut - span.first};
    struct alex_slots high = {inner->base, inner->shift, cut, span.end - cut};
    builder->fill = fill == FILL_APPEND ? FILL_SEALED : fill;
    if (!alex_build_slots(builder, alex_run_part(run, 0, rank), low, entries))
        return false;
    builder->fill = fill == FILL_APPEND ? fill : FILL_SEALED;
    return alex_build_slots(builder, alex_run_part(run, rank, run.count), high,
                            entries + low.count);
}

/* Builds `run` over the span of the path's last node and links it in for `leaf`. */
static omen_status split_span(struct alex *alex, struct alex_path *path, struct alex_leaf *leaf,
                              struct alex_run run, enum alex_fill fill)
{
    struct alex_inner *inner = path_node(path);
    struct span span = span_of(inner, path->slots[path->length - 1]);
    uint32_t count = span.end - span.first;
    struct alex_builder builder = {.alex = alex, .fill = FILL_LOOSE};
    size_t bytes = count * sizeof(struct alex_entry);
    struct alex_entry *entries = allocator_alloc(alex->heap.allocator, bytes);
    if (entries == NULL)
        return OMEN_OUT_OF_MEMORY;
    uint32_t cut =
        fill == FILL_LOOSE ? 0 : tail_cut(run, inner, span, fill, path->slots[path->length - 1]);
    struct alex_slots slots = {inner->base, inner->shift, span.first, count};
    bool built = cut != 0 ? build_tail(&builder, run, inner, span, cut, fill, entries)
                          : alex_build_slots(&builder, run, slots, entries);
    if (built) {
        memcpy(inner->entries + span.first, entries, bytes);
        inner->child_count += alex_count_children(entries, count) - 1;
        link_leaves(alex, &builder, leaf, leaf);
        alex_leaf_free(alex, leaf);
        alex->stats.splits++;
    } else {
        alex_builder_abandon(&builder);
    }
    allocator_free(alex->heap.allocator, entries, bytes);
    return built ? OMEN_OK : OMEN_OUT_OF_MEMORY;
}

/* Puts a subtree for `run` in the leaf's place. */
static omen_status split_below(struct alex *alex, const struct alex_path *path,
                               struct alex_leaf *leaf, struct alex_run run)
{
    struct alex_builder builder = {.alex = alex, .fill = FILL_LOOSE};
    struct alex_entry entry;
    if (!alex_build_subtree(&builder, run, &entry)) {
        alex_builder_abandon(&builder);
        return OMEN_OUT_OF_MEMORY;
    }
    set_child(alex, path, path->length, entry);
    link_leaves(alex, &builder, leaf, leaf);
    alex_leaf_free(alex, leaf);
    alex->stats.splits++;
    return OMEN_OK;
}

static omen_status split(struct alex *alex, struct alex_path *path, struct alex_leaf *leaf,
                         struct alex_run run, uint64_t key, enum alex_fill fill)
{
    if (path->length == 0)
        return split_below(alex, path, leaf, run);
    if (fill != FILL_LOOSE && !widen_inner(alex, path, key))
        return OMEN_OUT_OF_MEMORY;
    struct span span = span_of(path_node(path), path->slots[path->length - 1]);
    if (span.end - span.first == 1) {
        if (!may_double(path_node(path)))
            return split_below(alex, path, leaf, run);
        if (!double_inner(alex, path, key))
            return OMEN_OUT_OF_MEMORY;
    }
    return split_span(alex, path, leaf, run, fill);
}

/* ---- rebuilding ---- */

/* Puts one leaf, as planned, in the place of the path's leaf. */
static bool replace_leaf(struct alex *alex, const struct alex_path *path, struct alex_leaf *leaf,
                         struct alex_run run, const struct alex_plan *plan)
{
    struct alex_builder builder = {.alex = alex};
    struct alex_entry entry;
    if (!alex_build_leaf(&builder, run, plan, &entry))
        return false;
    set_child(alex, path, path->length, entry);
    link_leaves(alex, &builder, leaf, leaf);
    if (plan->block_count > leaf->block_count)
        alex->stats.expansions++;
    else if (plan->block_count < leaf->block_count)
        alex->stats.contractions++;
    else
        alex->stats.retrains++;
    alex_leaf_free(alex, leaf);
    return true;
}

/* ---- flattening ---- */

/* The leaves of a subtree, in the chain's order. */
struct leaf_range {
    struct alex_leaf *first;
    struct alex_leaf *last;
    size_t leaves;
    size_t entries;
};

/* Counts up to more than FLATTEN_ENTRIES_MAX entries; false where there are as many. */
static bool range_of(const struct alex_inner *inner, struct leaf_range *range)
{
    const struct alex_entry *first = &inner->entries[0];
    const struct alex_entry *last = &inner->entries[inner->slot_count - 1];
    while (first->kind == ALEX_INNER)
        first = &((const struct alex_inner *)first->child)->entries[0];
    while (last->kind == ALEX_INNER) {
        const struct alex_inner *node = last->child;
        last = &node->entries[node->slot_count - 1];
    }
    *range = (struct leaf_range){.first = first->child, .last = last->child};
    for (const struct alex_leaf *leaf = range->first;; leaf = leaf->next) {
        range->leaves++;
        range->entries += leaf->entry_count;
        if (range->entries > FLATTEN_ENTRIES_MAX)
            return false;
        if (leaf == range->last)
            return true;
    }
}

static void free_leaves(struct alex *alex, struct alex_leaf *first, const struct alex_leaf *end)
{
    while (first != end) {
        struct alex_leaf *next = first->next;
        alex_leaf_free(alex, first);
        first = next;
    }
}

/* Builds the subtree at `level` of the path anew, as a bulk load would, from its leaves. Keeps
 * the old one where the new one is as deep and large, or memory is short; says whether it did. */
static bool rebuild_subtree(struct alex *alex, const struct alex_path *path, uint32_t level,
                            const struct leaf_range *range)
{
    struct alex_inner *inner = path->nodes[level];
    struct alex_entry old = alex_inner_entry(inner);
    size_t capacity = range->entries + BLOCK_SLOTS;
    size_t bytes = capacity * 2 * sizeof(uint64_t);
    uint64_t *keys = allocator_alloc(alex->heap.allocator, bytes);
    if (keys == NULL)
        return false;
    size_t count = 0;
    const struct alex_leaf *end = range->last->next;
    for (const struct alex_leaf *leaf = range->first; leaf != end; leaf = leaf->next)
        count += gather(leaf, keys + count, keys + capacity + count);
    struct alex_builder builder = {.alex = alex, .fill = FILL_LOOSE};
    struct alex_entry entry;
    bool better =
        alex_build_subtree(&builder, (struct alex_run){keys, keys + capacity, count}, &entry) &&
        alex_depth_below(&entry) < alex_depth_below(&old);
    if (better) {
        set_child(alex, path, level, entry);
        link_leaves(alex, &builder, range->first, range->last);
        alex_free_inners(alex, &old);
        free_leaves(alex, range->first, end);
        alex->stats.retrains++;
    } else {
        alex_builder_abandon(&builder);
    }
    allocator_free(alex->heap.allocator, keys, bytes);
    return better;
}

/* After a split: where the way to `key` goes through a chain of model nodes, each grown below
 * the one before, the largest subtree that may be rebuilt in one go is. A node is looked at again
 * only after as many splits as it has leaves, so an insert pays for a few entries' rebuild. */
static void flatten(struct alex *alex, uint64_t key)
{
    struct alex_path path;
    if (alex_path_to(alex, key, &path) == NULL)
        return;
    for (uint32_t level = 0; level < path.length; level++) {
        struct alex_inner *inner = path.nodes[level];
        inner->splits++;
        if (path.length - level < FLATTEN_DEPTH_MIN || inner->splits < inner->leaves)
            continue;
        struct leaf_range range;
        bool small = range_of(inner, &range);
        inner->splits = 0;
        inner->leaves = (uint32_t)range.leaves;
        if (small && rebuild_subtree(alex, &path, level, &range))
            return;
    }
}

/* Whether the inserts since the leaf was built, and this one, march off one of its ends. */
static enum alex_fill growth_of(const struct alex_leaf *leaf, uint64_t key)
{
    if (leaf->inserts < BLOCK_SLOTS)
        return FILL_LOOSE;
    if (key > leaf->key_max && leaf->appends * UINT64_C(10) >= leaf->inserts * UINT64_C(9))
        return FILL_APPEND;
    if (key < leaf->key_min && leaf->prepends * UINT64_C(10) >= leaf->inserts * UINT64_C(9))
        return FILL_PREPEND;
    return FILL_LOOSE;
}

omen_status alex_grow(struct alex *alex, uint64_t key, uint64_t row_id)
{
    struct alex_path path;
    struct alex_leaf *leaf = alex_path_to(alex, key, &path);
    if (leaf == NULL || !reserve_scratch(alex, leaf->entry_count + BLOCK_SLOTS + 1))
        return OMEN_OUT_OF_MEMORY;
    struct alex_run run = gather_with(alex, leaf, key, row_id);
    enum alex_fill fill = growth_of(leaf, key);
    size_t keys_max = fill == FILL_LOOSE ? LEAF_KEYS_MAX : LEAF_KEYS_MAX / 4 * 3;
    struct alex_plan plan;
    if (run.count <= keys_max && alex_plan_leaf(run, fill, &plan))
        return replace_leaf(alex, &path, leaf, run, &plan) ? OMEN_OK : OMEN_OUT_OF_MEMORY;
    OMEN_TRY(split(alex, &path, leaf, run, key, fill));
    flatten(alex, key);
    return OMEN_OK;
}

/* ---- shrinking ---- */

/* Hands an empty leaf's slots to a neighbour. Needs no memory. */
static void drop_empty(struct alex *alex, struct alex_path *path, struct alex_leaf *leaf)
{
    struct alex_inner *inner = path_node(path);
    struct span span = span_of(inner, path->slots[path->length - 1]);
    struct alex_entry neighbour = inner->entries[span.first > 0 ? span.first - 1 : span.end];
    for (uint32_t slot = span.first; slot < span.end; slot++)
        inner->entries[slot] = neighbour;
    if (leaf->previous != NULL)
        leaf->previous->next = leaf->next;
    else
        alex->first = leaf->next;
    if (leaf->next != NULL)
        leaf->next->previous = leaf->previous;
    else
        alex->last = leaf->previous;
    alex_leaf_free(alex, leaf);
    inner->child_count--;
    alex->stats.merges++;
    collapse_inner(alex, path);
}

/* Merges two neighbouring leaves, of which `span` covers the slots; false if it can't. */
static bool merge(struct alex *alex, struct alex_path *path, struct alex_leaf *left,
                  struct alex_leaf *right, struct span span)
{
    size_t total = (size_t)left->entry_count + right->entry_count;
    struct alex_plan plan;
    if (total > MERGED_KEYS_MAX || !reserve_scratch(alex, total + BLOCK_SLOTS))
        return false;
    uint64_t *keys = alex->scratch;
    uint64_t *row_ids = keys + alex->scratch_entries;
    size_t count = gather(left, keys, row_ids);
    count += gather(right, keys + count, row_ids + count);
    struct alex_run run = scratch_run(alex, count);
    if (!alex_plan_leaf(run, FILL_LOOSE, &plan) ||
        (plan.kind == ALEX_SORTED && count > SORTED_KEYS_MAX / 2))
        return false;
    struct alex_builder builder = {.alex = alex};
    struct alex_entry entry;
    if (!alex_build_leaf(&builder, run, &plan, &entry))
        return false;
    struct alex_inner *inner = path_node(path);
    for (uint32_t slot = span.first; slot < span.end; slot++)
        inner->entries[slot] = entry;
    link_leaves(alex, &builder, left, right);
    alex_leaf_free(alex, left);
    alex_leaf_free(alex, right);
    inner->child_count--;
    alex->stats.merges++;
    collapse_inner(alex, path);
    return true;
}

static bool merge_with_neighbour(struct alex *alex, struct alex_path *path, struct alex_leaf *leaf)
{
    struct alex_inner *inner = path_node(path);
    struct span span = span_of(inner, path->slots[path->length - 1]);
    if (span.end < inner->slot_count && inner->entries[span.end].kind != ALEX_INNER) {
        struct span both = {span.first, span_of(inner, span.end).end};
        if (merge(alex, path, leaf, inner->entries[span.end].child, both))
            return true;
    }
    if (span.first > 0 && inner->entries[span.first - 1].kind != ALEX_INNER) {
        struct span both = {span_of(inner, span.first - 1).first, span.end};
        return merge(alex, path, inner->entries[span.first - 1].child, leaf, both);
    }
    return false;
}

void alex_shrink(struct alex *alex, uint64_t key)
{
    struct alex_path path;
    struct alex_leaf *leaf = alex_path_to(alex, key, &path);
    if (leaf == NULL)
        return;
    if (leaf->entry_count == 0 && path.length > 0) {
        drop_empty(alex, &path, leaf);
        return;
    }
    if (path.length > 0 && merge_with_neighbour(alex, &path, leaf))
        return;
    if (leaf->block_count == 1 || !reserve_scratch(alex, leaf->entry_count + BLOCK_SLOTS))
        return;
    size_t count = gather(leaf, alex->scratch, alex->scratch + alex->scratch_entries);
    struct alex_run run = scratch_run(alex, count);
    struct alex_plan plan;
    if (!alex_plan_leaf(run, FILL_LOOSE, &plan)) {
        (void)!split_below(alex, &path, leaf, run);
        return;
    }
    if (plan.block_count < leaf->block_count)
        (void)replace_leaf(alex, &path, leaf, run, &plan);
}
