/* alex_leaf.c - one leaf: how an entry comes in and goes out.
 *
 * A new entry goes into the block that leaf_locate names. Where that block is full, or where
 * the model expects the key in another block nearby, invariant 3 allows other places:
 *
 *     [a b c d e f g h] [k k k . . . . .] [p q . . . . . .]     full block, gap to the right:
 *     [a b c d e f g h] ------ push ----> [h k k k . . . .]     last entries move one block on
 *
 * The writer holds the index alone. Source: ALEX sections 3.2 and 4.3; blocks instead of slots.
 */
#include <string.h>

#include "base/assert.h"
#include "index/alex_private.h"

/* The least key a gap at the end of `block` may copy: the next block's first, or the maximum. */
static uint64_t key_after(const struct alex_leaf *leaf, uint32_t block)
{
    return block + 1 < leaf->block_count ? leaf->blocks[block + 1].keys[0] : UINT64_MAX;
}

static void fill_gaps(struct alex_block *block, unsigned from, uint64_t key)
{
    for (unsigned slot = from; slot < BLOCK_SLOTS; slot++)
        block->keys[slot] = key;
}

/* Restores invariants 1 and 3 for the gaps of a block that got a new last entry. */
static void settle_gaps(struct alex_leaf *leaf, uint32_t at)
{
    struct alex_block *block = &leaf->blocks[at];
    unsigned count = block_entries(block);
    if (count > 0 && count < BLOCK_SLOTS && block->keys[count] <= block->keys[count - 1])
        fill_gaps(block, count, key_after(leaf, at));
}

static void block_insert(struct alex_block *block, unsigned count, unsigned slot, uint64_t key,
                         uint64_t row_id)
{
    for (unsigned at = count; at > slot; at--) {
        block->keys[at] = block->keys[at - 1];
        block->row_ids[at] = block->row_ids[at - 1];
    }
    block->keys[slot] = key;
    block->row_ids[slot] = row_id;
}

/* Takes the first entry of a full block out; the last slot is left to the caller. */
static void block_shift_left(struct alex_block *block)
{
    memmove(block->keys, block->keys + 1, (BLOCK_SLOTS - 1) * sizeof *block->keys);
    memmove(block->row_ids, block->row_ids + 1, (BLOCK_SLOTS - 1) * sizeof *block->row_ids);
}

static unsigned block_rank(const struct alex_block *block, unsigned count, uint64_t key)
{
    unsigned rank = 0;
    for (unsigned slot = 0; slot < count; slot++)
        rank += block->keys[slot] < key;
    return rank;
}

/* Moves the last entry of each block in [block, target) one block on. The entry (key, row id)
 * enters `block` at `slot`; slot = BLOCK_SLOTS: it enters block + 1 in front. */
static void push_right(struct alex_leaf *leaf, uint32_t block, uint32_t target, unsigned slot,
                       uint64_t key, uint64_t row_id)
{
    struct alex_block *blocks = leaf->blocks;
    for (uint32_t at = target; at > block + 1; at--) {
        unsigned count = at == target ? block_entries(&blocks[at]) : BLOCK_SLOTS - 1;
        block_insert(&blocks[at], count, 0, blocks[at - 1].keys[BLOCK_SLOTS - 1],
                     blocks[at - 1].row_ids[BLOCK_SLOTS - 1]);
    }
    unsigned count = target == block + 1 ? block_entries(&blocks[target]) : BLOCK_SLOTS - 1;
    if (slot == BLOCK_SLOTS) {
        block_insert(&blocks[block + 1], count, 0, key, row_id);
    } else {
        block_insert(&blocks[block + 1], count, 0, blocks[block].keys[BLOCK_SLOTS - 1],
                     blocks[block].row_ids[BLOCK_SLOTS - 1]);
        block_insert(&blocks[block], BLOCK_SLOTS - 1, slot, key, row_id);
    }
    settle_gaps(leaf, target);
}

/* Moves the first entry of each block in (target, block] one block back. The entry goes before
 * `slot` of `block`; slot = 0: it ends the block before. */
static void push_left(struct alex_leaf *leaf, uint32_t block, uint32_t target, unsigned slot,
                      uint64_t key, uint64_t row_id)
{
    struct alex_block *blocks = leaf->blocks;
    unsigned free_slot = block_entries(&blocks[target]);
    for (uint32_t at = target; at + 1 < block; at++) {
        blocks[at].keys[free_slot] = blocks[at + 1].keys[0];
        blocks[at].row_ids[free_slot] = blocks[at + 1].row_ids[0];
        block_shift_left(&blocks[at + 1]);
        free_slot = BLOCK_SLOTS - 1;
    }
    if (slot == 0) {
        blocks[block - 1].keys[free_slot] = key;
        blocks[block - 1].row_ids[free_slot] = row_id;
    } else {
        blocks[block - 1].keys[free_slot] = blocks[block].keys[0];
        blocks[block - 1].row_ids[free_slot] = blocks[block].row_ids[0];
        for (unsigned at = 0; at + 1 < slot; at++) {
            blocks[block].keys[at] = blocks[block].keys[at + 1];
            blocks[block].row_ids[at] = blocks[block].row_ids[at + 1];
        }
        blocks[block].keys[slot - 1] = key;
        blocks[block].row_ids[slot - 1] = row_id;
    }
    settle_gaps(leaf, target);
}

static bool has_gap(const struct alex_leaf *leaf, uint32_t block)
{
    return leaf->blocks[block].row_ids[BLOCK_SLOTS - 1] == ROW_ID_NONE;
}

/* The next block with a gap within reach of `block`, or block_count. */
static uint32_t gap_after(const struct alex_leaf *leaf, uint32_t block)
{
    for (uint32_t at = block + 1; at < leaf->block_count && at - block <= PUSH_BLOCKS_MAX; at++) {
        if (has_gap(leaf, at))
            return at;
    }
    return leaf->block_count;
}

static uint32_t gap_before(const struct alex_leaf *leaf, uint32_t block)
{
    for (uint32_t distance = 1; distance <= block && distance <= PUSH_BLOCKS_MAX; distance++) {
        if (has_gap(leaf, block - distance))
            return block - distance;
    }
    return leaf->block_count;
}

/* The block with a gap to push entries to from a full one, or block_count. Entries pushed left
 * may come to stand before their prediction, so with a model a gap to the right is taken first. */
static uint32_t nearest_gap(const struct alex_leaf *leaf, uint32_t block)
{
    uint32_t after = gap_after(leaf, block);
    if (after < leaf->block_count && (leaf->kind == ALEX_MODEL || after == block + 1))
        return after;
    uint32_t before = gap_before(leaf, block);
    if (before == leaf->block_count || after == leaf->block_count)
        return before < after ? before : after;
    return after - block <= block - before ? after : before;
}

/* The gaps of blocks [low, high] copy a key that is inserted behind them. */
static void lower_gaps(struct alex_leaf *leaf, uint32_t low, uint32_t high, uint64_t key)
{
    for (uint32_t at = low; at <= high; at++)
        fill_gaps(&leaf->blocks[at], block_entries(&leaf->blocks[at]), key);
}

/* Puts the entry alone into the empty block `at`; blocks behind `before` are empty up to there. */
static void insert_alone(struct alex_leaf *leaf, uint32_t before, uint32_t at, uint64_t key,
                         uint64_t row_id)
{
    struct alex_block *block = &leaf->blocks[at];
    fill_gaps(block, 1, key_after(leaf, at));
    block->keys[0] = key;
    block->row_ids[0] = row_id;
    lower_gaps(leaf, before, at - 1, key);
}

/* Puts the entry into an empty block, or one to its left: empty blocks before it hold low keys, as
 * in the room kept for descending inserts. False where `block` is not empty. */
static bool insert_before(struct alex_leaf *leaf, uint32_t block, uint32_t predicted, uint64_t key,
                          uint64_t row_id)
{
    struct alex_block *blocks = leaf->blocks;
    if (blocks[block].row_ids[0] != ROW_ID_NONE)
        return false;
    uint32_t at = block;
    while (at > predicted && block - at < SPREAD_BLOCKS_MAX &&
           blocks[at - 1].row_ids[0] == ROW_ID_NONE)
        at--;
    uint64_t after = key_after(leaf, block);
    blocks[at].keys[0] = key;
    blocks[at].row_ids[0] = row_id;
    fill_gaps(&blocks[at], 1, after);
    for (uint32_t passed = at + 1; passed <= block; passed++)
        fill_gaps(&blocks[passed], 0, after);
    return true;
}

static void count_insert(struct alex_leaf *leaf, uint64_t key)
{
    leaf->entry_count++;
    leaf->inserts++;
    if (key >= leaf->key_max) {
        leaf->key_max = key;
        leaf->appends++;
    }
    if (key <= leaf->key_min) {
        leaf->key_min = key;
        leaf->prepends++;
    }
}

static void update_fences(struct alex_leaf *leaf, uint32_t low, uint32_t high)
{
    if (leaf->kind != ALEX_SORTED)
        return;
    uint64_t *fences = leaf_fence(leaf);
    for (uint32_t block = low; block <= high; block++)
        fences[block] = leaf->blocks[block].keys[0];
}

/* A leaf filled beyond this is due for a rebuild, which also refits the model. */
static bool is_filled(const struct alex_leaf *leaf)
{
    return (uint64_t)leaf->entry_count * 100 >= (uint64_t)leaf->block_count * BLOCK_SLOTS * 82;
}

/* Puts the entry in front of those of block `at`, pushing to the right where that is full; blocks
 * behind `before` are empty up to there. False where there is no gap to push to. */
static bool insert_in_front(struct alex_leaf *leaf, uint32_t before, uint32_t at, uint64_t key,
                            uint64_t row_id)
{
    uint32_t target = at;
    if (!has_gap(leaf, at))
        target = is_filled(leaf) ? leaf->block_count : gap_after(leaf, at);
    if (target == leaf->block_count)
        return false;
    push_right(leaf, at - 1, target, BLOCK_SLOTS, key, row_id);
    lower_gaps(leaf, before, at - 1, key);
    return true;
}

/* A full block: the entry enters it, or a neighbour, by pushing towards the nearest gap. */
static bool insert_pushing(struct alex_leaf *leaf, uint32_t block, unsigned slot, uint64_t key,
                           uint64_t row_id)
{
    if (is_filled(leaf))
        return false;
    uint32_t target = nearest_gap(leaf, block);
    if (target == leaf->block_count)
        return false;
    if (target > block) {
        push_right(leaf, block, target, slot, key, row_id);
        update_fences(leaf, block, target);
    } else {
        push_left(leaf, block, target, slot, key, row_id);
        update_fences(leaf, target, block);
        leaf->forward = false;
    }
    return true;
}

/* For a key above all entries of block `at` that the model expects elsewhere: behind it, beyond
 * empty blocks or in front of the next block's entries, or before it, where it is empty. */
static bool insert_as_predicted(struct alex_leaf *leaf, uint32_t at, uint32_t predicted,
                                uint64_t key, uint64_t row_id)
{
    const struct alex_block *blocks = leaf->blocks;
    if (predicted <= at)
        return predicted < at && insert_before(leaf, at, predicted, key, row_id);
    uint32_t empty = at;
    while (empty < predicted && empty - at < SPREAD_BLOCKS_MAX &&
           blocks[empty + 1].row_ids[0] == ROW_ID_NONE)
        empty++;
    uint32_t place = empty;
    if (empty < predicted && blocks[empty + 1].row_ids[0] != ROW_ID_NONE &&
        insert_in_front(leaf, at, empty + 1, key, row_id))
        place = empty + 1;
    else if (empty > at)
        insert_alone(leaf, at, empty, key, row_id);
    else
        return false;
    leaf->forward &= place >= predicted;
    return true;
}

bool leaf_insert(struct alex_leaf *leaf, uint32_t at, uint64_t key, uint64_t row_id)
{
    struct alex_block *block = &leaf->blocks[at];
    unsigned count = block_entries(block);
    unsigned slot = block_rank(block, count, key);
    uint32_t predicted = leaf->kind == ALEX_MODEL ? leaf_predict(leaf, key) : at;
    bool done = slot == count && insert_as_predicted(leaf, at, predicted, key, row_id);
    if (!done && count < BLOCK_SLOTS) {
        block_insert(block, count, slot, key, row_id);
        settle_gaps(leaf, at);
        update_fences(leaf, at, at);
        leaf->forward &= predicted <= at;
        done = true;
    }
    if (!done) {
        done = insert_pushing(leaf, at, slot, key, row_id);
        leaf->forward &= !done || predicted <= at;
    }
    if (done)
        count_insert(leaf, key);
    return done;
}

void leaf_remove(struct alex_leaf *leaf, uint32_t at, unsigned slot)
{
    struct alex_block *block = &leaf->blocks[at];
    unsigned count = block_entries(block);
    OMEN_DCHECK(slot < count);
    uint64_t after = count < BLOCK_SLOTS ? block->keys[count] : key_after(leaf, at);
    for (unsigned next = slot + 1; next < count; next++) {
        block->keys[next - 1] = block->keys[next];
        block->row_ids[next - 1] = block->row_ids[next];
    }
    block->keys[count - 1] = after;
    block->row_ids[count - 1] = ROW_ID_NONE;
    leaf->entry_count--;
    update_fences(leaf, at, at);
}
