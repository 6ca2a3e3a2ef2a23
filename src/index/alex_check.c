/* alex_check.c - the validator: every invariant of alex_private.h, for tests. */
#include <inttypes.h>

#include "base/status.h"
#include "index/alex_private.h"

struct check {
    const struct alex *alex;
    omen_error *error;
    const struct alex_leaf *leaf_before; /* the last leaf seen, in key order */
    uint64_t key_before;
    bool has_key_before;
    uint64_t entries;
    uint64_t leaves;
    uint64_t sorted_leaves;
    uint64_t inner_nodes;
};

#define BROKEN(check, ...) error_set((check)->error, OMEN_CORRUPTED, __VA_ARGS__)

/* Invariants 1 to 3 for one block; `floor` is the greatest key so far in the leaf. */
static omen_status check_block(struct check *check, const struct alex_leaf *leaf, uint32_t at)
{
    const struct alex_block *block = &leaf->blocks[at];
    unsigned count = block_entries(block);
    for (unsigned slot = 0; slot < BLOCK_SLOTS; slot++) {
        uint64_t key = block->keys[slot];
        uint64_t before = slot > 0 ? block->keys[slot - 1]
                          : at > 0 ? leaf->blocks[at - 1].keys[BLOCK_SLOTS - 1]
                                   : 0;
        if (key < before)
            return BROKEN(check, "block %" PRIu32 " slot %u: keys descend", at, slot);
        if ((slot < count) != (block->row_ids[slot] != ROW_ID_NONE))
            return BROKEN(check, "block %" PRIu32 " slot %u: a gap before an entry", at, slot);
        if (slot < count && (block->row_ids[slot] & ROW_ID_OCCUPIED) == 0)
            return BROKEN(check, "block %" PRIu32 " slot %u: no row id", at, slot);
        /* Also for gaps: they lie above every entry before them. */
        if (check->has_key_before && key <= check->key_before && leaf->entry_count > 0 &&
            !(slot >= count && key == UINT64_MAX) && !(slot >= count && check->leaf_before != leaf))
            return BROKEN(check, "block %" PRIu32 " slot %u: key not above the one before", at,
                          slot);
        if (slot >= count)
            continue;
        check->key_before = key;
        check->has_key_before = true;
        check->leaf_before = leaf;
        check->entries++;
    }
    return OMEN_OK;
}

static omen_status check_home(struct check *check, const struct alex_leaf *leaf, uint32_t at)
{
    const struct alex_block *block = &leaf->blocks[at];
    for (unsigned slot = 0; slot < block_entries(block); slot++) {
        uint64_t key = block->keys[slot];
        if (alex_leaf_of(check->alex, key) != leaf)
            return BROKEN(check, "key %" PRIu64 " descends to another leaf", key);
        if (leaf->forward && (leaf->kind != ALEX_MODEL || leaf_predict(leaf, key) > at))
            return BROKEN(check, "key %" PRIu64 " stands before its predicted block", key);
        if (leaf_locate(leaf, key) != at)
            return BROKEN(check, "key %" PRIu64 " is not in the block located", key);
        if (key < leaf->key_min || key > leaf->key_max)
            return BROKEN(check, "key %" PRIu64 " outside its leaf's bounds", key);
    }
    return OMEN_OK;
}

static omen_status check_fences(struct check *check, const struct alex_leaf *leaf)
{
    const uint64_t *fences = leaf_fence(leaf);
    if (leaf->block_count > SORTED_BLOCKS_MAX)
        return BROKEN(check, "a sorted leaf of %" PRIu32 " blocks", leaf->block_count);
    for (size_t at = 0; at < leaf_fences(leaf->block_count); at++) {
        uint64_t expected = at < leaf->block_count ? leaf->blocks[at].keys[0] : UINT64_MAX;
        if (fences[at] != expected)
            return BROKEN(check, "fence %zu differs from its block", at);
    }
    return OMEN_OK;
}

static omen_status check_leaf(struct check *check, const struct alex_entry *entry,
                              const struct alex_leaf *expected)
{
    const struct alex_leaf *leaf = entry->child;
    if (leaf != expected)
        return BROKEN(check, "the leaf chain differs from the tree's order");
    if (leaf->base != entry->base || leaf->multiplier != entry->multiplier ||
        leaf->block_count != entry->last + 1 || leaf->kind != entry->kind ||
        leaf->forward != entry->forward)
        return BROKEN(check, "an entry's model differs from its leaf's");
    uint64_t before = check->entries;
    for (uint32_t at = 0; at < leaf->block_count; at++) {
        OMEN_TRY(check_block(check, leaf, at));
        OMEN_TRY(check_home(check, leaf, at));
    }
    if (check->entries - before != leaf->entry_count)
        return BROKEN(check, "a leaf counts %" PRIu32 " entries and holds %" PRIu64,
                      leaf->entry_count, check->entries - before);
    if (leaf->kind == ALEX_SORTED)
        OMEN_TRY(check_fences(check, leaf));
    check->leaves++;
    check->sorted_leaves += leaf->kind == ALEX_SORTED;
    return OMEN_OK;
}

/* Checks the subtree; `chain` is the leaf expected next and moves on. */
static omen_status check_subtree(struct check *check, const struct alex_entry *entry,
                                 const struct alex_leaf **chain)
{
    if (entry->kind != ALEX_INNER) {
        OMEN_TRY(check_leaf(check, entry, *chain));
        const struct alex_leaf *leaf = *chain;
        if (leaf->next != NULL && leaf->next->previous != leaf)
            return BROKEN(check, "the leaf chain's links disagree");
        *chain = leaf->next;
        return OMEN_OK;
    }
    const struct alex_inner *inner = entry->child;
    if (inner->base != entry->base || inner->shift != entry->shift ||
        inner->slot_count != entry->last + 1)
        return BROKEN(check, "an entry's model differs from its model node's");
    if ((inner->base & ((UINT64_C(1) << inner->shift) - 1)) != 0)
        return BROKEN(check, "a model node's base is not aligned to its slots");
    if (inner->slot_count - 1 > (UINT64_MAX - inner->base) >> inner->shift)
        return BROKEN(check, "a model node's slots reach beyond the key space");
    uint32_t children = 0;
    for (uint32_t slot = 0; slot < inner->slot_count; slot++) {
        if (slot > 0 && inner->entries[slot].child == inner->entries[slot - 1].child)
            continue;
        children++;
        OMEN_TRY(check_subtree(check, &inner->entries[slot], chain));
    }
    if (children != inner->child_count)
        return BROKEN(check, "a model node counts %" PRIu32 " children and has %" PRIu32,
                      inner->child_count, children);
    check->inner_nodes++;
    return OMEN_OK;
}

omen_status alex_validate(const struct alex *alex, omen_error *error)
{
    struct check check = {.alex = alex, .error = error};
    const struct alex_leaf *chain = alex->first;
    OMEN_TRY(check_subtree(&check, &alex->root, &chain));
    if (chain != NULL || alex->last->next != NULL || alex->first->previous != NULL)
        return BROKEN(&check, "the leaf chain has ends outside the tree");
    if (check.entries != alex->stats.entries || check.leaves != alex->stats.leaves ||
        check.sorted_leaves != alex->stats.sorted_leaves ||
        check.inner_nodes != alex->stats.inner_nodes)
        return BROKEN(&check, "the index counts %" PRIu64 " entries and holds %" PRIu64,
                      alex->stats.entries, check.entries);
    return OMEN_OK;
}
