/* alex_build.c - from sorted entries to nodes: model fitting, leaves, model nodes.
 *
 * A leaf's model maps keys to blocks, not to slots: the keys predicted for a block go into it in
 * order, and only where more than eight are predicted does one spill into the next block. So an
 * error below a block's width costs nothing.
 *
 * A range of slots becomes one leaf if a linear model fits its keys, or if they are few enough to
 * do without one; else it is halved, down to one slot, whose keys get a model node of their own.
 * An empty half is left to its neighbour: no leaf is built without keys. ALEX sections 4.4-4.6
 * choose fanouts by a cost model; here the cost is the simulated distance in blocks.
 *
 * One thread; the nodes are private until the caller links them in.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "index/alex_private.h"

enum {
    SLOT_KEYS_EASY = 2048, /* keys per slot where models fit: half of a leaf */
    SLOT_KEYS_HARD = 64,   /* and where they don't */
    SLOTS_HARD_MIN = 4,
    SLOTS_MAX = 1 << 24,
    COST_SHARE = 2,       /* a model fits if keys are off by less than 1/2 block on average */
    COST_SHARE_DENSE = 32 /* and, packed tightly, by less than 1/32 */
};

/* ---- models ---- */

/* Walks blocks as keys are placed in order. */
struct placer {
    size_t block_count;
    size_t keys_left; /* the next one included */
    size_t block;
    size_t used;
};

/* The block for the next key, as near to the prediction as the keys before and after allow. */
static inline size_t placer_next(struct placer *placer, size_t predicted)
{
    if (predicted > placer->block) {
        size_t needed = (placer->keys_left + BLOCK_SLOTS - 1) / BLOCK_SLOTS;
        size_t limit = placer->block_count - needed;
        size_t target = size_min(predicted, limit);
        if (target > placer->block) {
            placer->block = target;
            placer->used = 0;
        }
    }
    if (placer->used == BLOCK_SLOTS) {
        placer->block++;
        placer->used = 0;
    }
    placer->used++;
    placer->keys_left--;
    return placer->block;
}

/* Sum over the keys of the distance, in blocks, from prediction to place; gives up above
 * `limit`. */
static size_t plan_cost(struct alex_run run, const struct alex_plan *plan, size_t limit)
{
    struct placer placer = {.block_count = plan->block_count, .keys_left = run.count};
    size_t cost = 0;
    for (size_t at = 0; at < run.count && cost <= limit; at++) {
        size_t predicted =
            model_block(plan->base, plan->multiplier, plan->block_count - 1, run.keys[at]);
        size_t block = placer_next(&placer, predicted);
        cost += block > predicted ? block - predicted : predicted - block;
    }
    return cost;
}

/* The multiplier that spreads offsets [0, range] over `blocks` blocks. */
static uint64_t multiplier_for(uint64_t range, uint64_t blocks)
{
    uint128 multiplier = ((uint128)blocks << 64) / ((uint128)range + 1);
    return multiplier > UINT64_MAX ? UINT64_MAX : (uint64_t)multiplier;
}

/* The line through the first and the last key. */
static void fit_ends(struct alex_run run, struct alex_plan *plan)
{
    plan->base = run.keys[0];
    plan->multiplier = multiplier_for(run.keys[run.count - 1] - run.keys[0], plan->block_count);
}

/* The line through two inner quantiles: a few far keys at the ends don't spoil it. */
static void fit_trimmed(struct alex_run run, struct alex_plan *plan)
{
    size_t low = run.count / 16;
    size_t high = run.count - 1 - low;
    uint64_t range = run.keys[high] - run.keys[low];
    uint64_t before = (uint64_t)((uint128)range * low / (high - low));
    plan->base = run.keys[low] > before ? run.keys[low] - before : 0;
    uint128 whole = (uint128)range * run.count / (high - low);
    plan->multiplier =
        multiplier_for(whole > UINT64_MAX ? UINT64_MAX : (uint64_t)whole, plan->block_count);
}

/* Tries both lines at the plan's size; the better one stays. True if it fits. */
static bool fit(struct alex_run run, size_t share, struct alex_plan *plan)
{
    size_t limit = run.count / share;
    plan->kind = ALEX_MODEL;
    fit_ends(run, plan);
    if (plan_cost(run, plan, limit) <= limit)
        return true;
    if (run.count < 64)
        return false;
    fit_trimmed(run, plan);
    return plan_cost(run, plan, limit) <= limit;
}

/* Blocks for `keys` keys, `keys_per_100_blocks` / 100 in each. */
static uint32_t blocks_for(size_t keys, size_t keys_per_100_blocks)
{
    size_t blocks = (keys * 100 + keys_per_100_blocks - 1) / keys_per_100_blocks;
    return (uint32_t)size_max(blocks, 1);
}

/* Room for keys to come at one end: the model of the keys at hand, extrapolated. */
static bool plan_growing(struct alex_run run, enum alex_fill fill, struct alex_plan *plan)
{
    size_t room = size_min(run.count * 4, LEAF_KEYS_MAX);
    if (run.count < 32 || room < run.count + run.count / 8)
        return false;
    size_t block_count = blocks_for(room, 660);
    plan->block_count = blocks_for(run.count, 660);
    if (!fit(run, COST_SHARE, plan))
        return false;
    if (fill == FILL_PREPEND) {
        uint64_t range = run.keys[run.count - 1] - run.keys[0];
        uint128 more = (uint128)range * (block_count - plan->block_count) / plan->block_count;
        if (more > plan->base)
            return false;
        plan->base -= (uint64_t)more;
    }
    plan->block_count = (uint32_t)block_count;
    return plan_cost(run, plan, run.count / COST_SHARE) <= run.count / COST_SHARE;
}

bool alex_plan_leaf(struct alex_run run, enum alex_fill fill, struct alex_plan *plan)
{
    *plan = (struct alex_plan){.block_count = 1, .kind = ALEX_MODEL};
    if (run.count == 0)
        return true;
    if ((fill == FILL_APPEND || fill == FILL_PREPEND) && plan_growing(run, fill, plan))
        return true;
    if (fill == FILL_DENSE || fill == FILL_SEALED) {
        plan->block_count = blocks_for(run.count, 800);
        if (fit(run, COST_SHARE_DENSE, plan))
            return true;
    }
    if (fill == FILL_SEALED) {
        plan->block_count = blocks_for(run.count, 660);
        if (fit(run, COST_SHARE, plan))
            return true;
    }
    plan->block_count = blocks_for(run.count, run.count <= 16 ? 400 : 512);
    if (fit(run, COST_SHARE, plan))
        return true;
    if (run.count > SORTED_KEYS_MAX)
        return false;
    plan->kind = ALEX_SORTED;
    plan->base = 0;
    plan->multiplier = 0;
    plan->block_count = (uint32_t)size_min(blocks_for(run.count, 560), SORTED_BLOCKS_MAX);
    return true;
}

/* ---- nodes ---- */

static size_t leaf_bytes(uint32_t block_count, uint8_t kind)
{
    size_t fences = kind == ALEX_SORTED ? leaf_fences(block_count) * sizeof(uint64_t) : 0;
    return fences + sizeof(struct alex_leaf) + (size_t)block_count * sizeof(struct alex_block);
}

static struct alex_leaf *leaf_create(struct alex *alex, const struct alex_plan *plan)
{
    bool chunked;
    char *memory =
        node_heap_alloc(&alex->heap, leaf_bytes(plan->block_count, plan->kind), &chunked);
    if (memory == NULL)
        return NULL;
    if (plan->kind == ALEX_SORTED)
        memory += leaf_fences(plan->block_count) * sizeof(uint64_t);
    struct alex_leaf *leaf = (struct alex_leaf *)(void *)memory;
    *leaf = (struct alex_leaf){.base = plan->base,
                               .multiplier = plan->multiplier,
                               .block_count = plan->block_count,
                               .kind = plan->kind,
                               .chunked = chunked,
                               .key_min = UINT64_MAX};
    alex->stats.leaves++;
    alex->stats.sorted_leaves += plan->kind == ALEX_SORTED;
    return leaf;
}

void alex_leaf_free(struct alex *alex, struct alex_leaf *leaf)
{
    alex->stats.leaves--;
    alex->stats.sorted_leaves -= leaf->kind == ALEX_SORTED;
    void *memory = leaf->kind == ALEX_SORTED ? (void *)leaf_fence(leaf) : (void *)leaf;
    node_heap_free(&alex->heap, memory, leaf_bytes(leaf->block_count, leaf->kind), leaf->chunked);
}

struct alex_inner *alex_inner_create(struct alex *alex, uint64_t base, uint8_t shift,
                                     uint32_t slot_count)
{
    bool chunked;
    size_t bytes = sizeof(struct alex_inner) + (size_t)slot_count * sizeof(struct alex_entry);
    struct alex_inner *inner = node_heap_alloc(&alex->heap, bytes, &chunked);
    if (inner == NULL)
        return NULL;
    *inner = (struct alex_inner){
        .base = base, .slot_count = slot_count, .shift = shift, .chunked = chunked};
    alex->stats.inner_nodes++;
    return inner;
}

void alex_inner_free(struct alex *alex, struct alex_inner *inner)
{
    size_t bytes =
        sizeof(struct alex_inner) + (size_t)inner->slot_count * sizeof(struct alex_entry);
    alex->stats.inner_nodes--;
    node_heap_free(&alex->heap, inner, bytes, inner->chunked);
}

void alex_free_inners(struct alex *alex, const struct alex_entry *entry)
{
    if (entry->kind != ALEX_INNER)
        return;
    struct alex_inner *inner = entry->child;
    const void *before = NULL;
    for (uint32_t slot = 0; slot < inner->slot_count; slot++) {
        if (inner->entries[slot].child != before)
            alex_free_inners(alex, &inner->entries[slot]);
        before = inner->entries[slot].child;
    }
    alex_inner_free(alex, inner);
}

struct alex_entry alex_inner_entry(struct alex_inner *inner)
{
    return (struct alex_entry){.child = inner,
                               .base = inner->base,
                               .last = inner->slot_count - 1,
                               .kind = ALEX_INNER,
                               .shift = inner->shift};
}

struct alex_entry alex_leaf_entry(struct alex_leaf *leaf)
{
    return (struct alex_entry){.child = leaf,
                               .base = leaf->base,
                               .multiplier = leaf->multiplier,
                               .last = leaf->block_count - 1,
                               .kind = leaf->kind,
                               .forward = leaf->forward};
}

/* Turns slots [low, high) of the leaf, counted from its start, into gaps that copy `key`. */
static void clear_slots(struct alex_leaf *leaf, size_t low, size_t high, uint64_t key)
{
    for (size_t at = low; at < high; at++) {
        leaf->blocks[at / BLOCK_SLOTS].keys[at % BLOCK_SLOTS] = key;
        leaf->blocks[at / BLOCK_SLOTS].row_ids[at % BLOCK_SLOTS] = ROW_ID_NONE;
    }
}

static void fill_leaf(struct alex_leaf *leaf, struct alex_run run)
{
    struct placer placer = {.block_count = leaf->block_count, .keys_left = run.count};
    size_t next = 0; /* the first slot not written yet */
    uint64_t gap_key = 0;
    leaf->forward = leaf->kind == ALEX_MODEL;
    for (size_t at = 0; at < run.count; at++) {
        uint64_t key = run.keys[at];
        size_t predicted =
            leaf->kind == ALEX_MODEL ? leaf_predict(leaf, key) : at * leaf->block_count / run.count;
        size_t block = placer_next(&placer, predicted);
        leaf->forward &= block >= predicted;
        size_t slot = block * BLOCK_SLOTS + placer.used - 1;
        if (at > 0)
            gap_key = key;
        if (next < slot)
            clear_slots(leaf, next, slot, gap_key);
        leaf->blocks[block].keys[placer.used - 1] = key;
        leaf->blocks[block].row_ids[placer.used - 1] = run.row_ids[at];
        next = slot + 1;
    }
    clear_slots(leaf, next, (size_t)leaf->block_count * BLOCK_SLOTS, UINT64_MAX);
    leaf->entry_count = (uint32_t)run.count;
    if (run.count > 0) {
        leaf->key_min = run.keys[0];
        leaf->key_max = run.keys[run.count - 1];
    }
    if (leaf->kind == ALEX_SORTED) {
        uint64_t *fences = leaf_fence(leaf);
        for (size_t fence = 0; fence < leaf_fences(leaf->block_count); fence++)
            fences[fence] = fence < leaf->block_count ? leaf->blocks[fence].keys[0] : UINT64_MAX;
    }
}

bool alex_build_leaf(struct alex_builder *builder, struct alex_run run,
                     const struct alex_plan *plan, struct alex_entry *entry)
{
    struct alex_leaf *leaf = leaf_create(builder->alex, plan);
    if (leaf == NULL)
        return false;
    fill_leaf(leaf, run);
    leaf->previous = builder->last;
    if (builder->last != NULL)
        builder->last->next = leaf;
    else
        builder->first = leaf;
    builder->last = leaf;
    *entry = alex_leaf_entry(leaf);
    return true;
}

/* ---- trees ---- */

size_t alex_run_rank(struct alex_run run, uint64_t key)
{
    size_t low = 0;
    for (size_t length = run.count; length > 0;) {
        size_t half = length / 2;
        if (run.keys[low + half] < key) {
            low += half + 1;
            length -= half + 1;
        } else {
            length = half;
        }
    }
    return low;
}

/* The slot inside (first, first + count) that is divisible by the largest power of two. */
static uint32_t middle_slot(uint32_t first, uint32_t count)
{
    uint32_t last = first + count - 1;
    unsigned bit = 31u - (unsigned)__builtin_clz(first ^ last);
    return last >> bit << bit;
}

static void repeat_entry(struct alex_entry *entries, uint32_t from, uint32_t to,
                         struct alex_entry entry)
{
    for (uint32_t slot = from; slot < to; slot++)
        entries[slot] = entry;
}

static bool build_halves(struct alex_builder *builder, struct alex_run run, struct alex_slots slots,
                         struct alex_entry *entries)
{
    uint32_t middle = middle_slot(slots.first, slots.count);
    uint32_t left = middle - slots.first;
    size_t rank = alex_slot_rank(run, slots.base, slots.shift, middle);
    struct alex_slots low = {slots.base, slots.shift, slots.first, left};
    struct alex_slots high = {slots.base, slots.shift, middle, slots.count - left};
    if (rank > 0 && !alex_build_slots(builder, alex_run_part(run, 0, rank), low, entries))
        return false;
    if (rank < run.count &&
        !alex_build_slots(builder, alex_run_part(run, rank, run.count), high, entries + left))
        return false;
    if (rank == 0)
        repeat_entry(entries, 0, left, entries[left]);
    if (rank == run.count)
        repeat_entry(entries, left, slots.count, entries[left - 1]);
    return true;
}

bool alex_build_slots(struct alex_builder *builder, struct alex_run run, struct alex_slots slots,
                      struct alex_entry *entries)
{
    struct alex_plan plan;
    if (run.count <= LEAF_KEYS_MAX && alex_plan_leaf(run, builder->fill, &plan)) {
        if (!alex_build_leaf(builder, run, &plan, &entries[0]))
            return false;
        repeat_entry(entries, 1, slots.count, entries[0]);
        return true;
    }
    if (slots.count == 1)
        return alex_build_subtree(builder, run, &entries[0]);
    return build_halves(builder, run, slots, entries);
}

/* The smallest shift at which the run's keys span fewer than `slots_max` slots. */
static uint8_t shift_for(struct alex_run run, uint64_t slots_max)
{
    uint64_t low = run.keys[0];
    uint64_t high = run.keys[run.count - 1];
    uint8_t shift = 0;
    while ((high >> shift) - (low >> shift) >= slots_max)
        shift++;
    return shift;
}

static bool is_skewed(struct alex_run run, uint8_t shift)
{
    return run.keys[run.count / 4] >> shift == run.keys[run.count / 4 * 3] >> shift;
}

/* Slots for a model node over `run`: as few as make easy slots into half a leaf. Where most keys
 * would fall into one slot, the outermost keys are left to the slots at the ends, and if that
 * isn't enough, there are more slots. */
static struct alex_slots choose_slots(struct alex_run run)
{
    size_t slots_max = SLOTS_HARD_MIN;
    if (run.count > LEAF_KEYS_MAX) {
        slots_max = 4;
        while (slots_max * SLOT_KEYS_EASY < run.count && slots_max < SLOTS_MAX)
            slots_max *= 2;
    } else {
        while (slots_max * SLOT_KEYS_HARD < run.count)
            slots_max *= 2;
    }
    uint8_t shift = shift_for(run, slots_max);
    if (is_skewed(run, shift)) {
        run = alex_run_part(run, run.count / 64, run.count - run.count / 64);
        shift = shift_for(run, slots_max);
    }
    while (is_skewed(run, shift) && slots_max * 8 <= run.count && slots_max < SLOTS_MAX / 8) {
        slots_max *= 8;
        shift = shift_for(run, slots_max);
    }
    uint64_t low = run.keys[0] >> shift;
    return (struct alex_slots){.base = low << shift,
                               .shift = shift,
                               .count = (uint32_t)((run.keys[run.count - 1] >> shift) - low + 1)};
}

uint32_t alex_count_children(const struct alex_entry *entries, uint32_t slot_count)
{
    uint32_t children = 1;
    for (uint32_t slot = 1; slot < slot_count; slot++)
        children += entries[slot].child != entries[slot - 1].child;
    return children;
}

bool alex_build_subtree(struct alex_builder *builder, struct alex_run run, struct alex_entry *entry)
{
    struct alex_plan plan;
    if (run.count <= LEAF_KEYS_MAX && alex_plan_leaf(run, builder->fill, &plan))
        return alex_build_leaf(builder, run, &plan, entry);
    struct alex_slots slots = choose_slots(run);
    OMEN_ASSERT(slots.count > 1);
    struct alex_inner *inner =
        alex_inner_create(builder->alex, slots.base, slots.shift, slots.count);
    if (inner == NULL)
        return false;
    inner->link = builder->inners;
    builder->inners = inner;
    if (!build_halves(builder, run, slots, inner->entries))
        return false;
    inner->child_count = alex_count_children(inner->entries, inner->slot_count);
    *entry = alex_inner_entry(inner);
    return true;
}

void alex_builder_abandon(struct alex_builder *builder)
{
    while (builder->first != NULL) {
        struct alex_leaf *leaf = builder->first;
        builder->first = leaf->next;
        alex_leaf_free(builder->alex, leaf);
    }
    while (builder->inners != NULL) {
        struct alex_inner *inner = builder->inners;
        builder->inners = inner->link;
        alex_inner_free(builder->alex, inner);
    }
    builder->last = NULL;
}
