/* byte_tree.c - the B+-tree over byte strings. See byte_tree.h.
 *
 *   node    [ slot slot slot ... ]      sorted; slot = head, offset, length, row id or child
 *   heap    [ key bytes | garbage | key bytes | free ]     one growing block per node
 *
 * The head is the key's first eight bytes as a big-endian word: most comparisons end there.
 * A leaf holds whole keys; an inner slot holds the shortest string that parts its child from
 * the one before. Keys below every slot go to the first.
 *
 * Invariants: slots ascend strictly; an inner slot's key is <= every key below its child and
 * above every key of the child before (the first slot's key counts as minus infinity); leaves
 * are chained in key order; only the root may be empty, and only as a leaf.
 *
 * A full node is split on the way down, so a put changes nothing after its last allocation.
 * Source: Bayer and Unterauer, Prefix B-Trees, TODS 1977.
 */
#include "index/byte_tree.h"

#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

enum { NODE_SLOTS = 32, HEAP_BYTES_MIN = 256, KEY_BYTES_LIMIT = 1 << 30, PATH_MAX_LENGTH = 64 };

struct byte_slot {
    uint64_t head;
    uint32_t offset;
    uint32_t length;
    union {
        uint64_t row_id;
        struct byte_node *child;
    };
};

struct byte_node {
    bool is_leaf;
    uint32_t count;
    uint8_t *heap;
    size_t heap_capacity;
    size_t heap_used; /* garbage included */
    size_t heap_live;
    struct byte_node *previous; /* leaves only */
    struct byte_node *next;
    struct byte_slot slots[NODE_SLOTS];
};

/* ---- keys ---- */

static uint64_t head_of(const uint8_t *bytes, size_t length)
{
    uint64_t head = 0;
    for (size_t at = 0; at < 8 && at < length; at++)
        head |= (uint64_t)bytes[at] << (56 - 8 * at);
    return head;
}

static int compare_bytes(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length)
{
    size_t shared = size_min(a_length, b_length);
    int order = shared == 0 ? 0 : memcmp(a, b, shared);
    if (order != 0)
        return order;
    return (a_length > b_length) - (a_length < b_length);
}

static const uint8_t *slot_bytes(const struct byte_node *node, uint32_t slot)
{
    return node->heap + node->slots[slot].offset;
}

/* The sign of slot's key minus `key`, whose head is given. */
static int compare_slot(const struct byte_node *node, uint32_t slot, struct index_key key,
                        uint64_t head)
{
    if (node->slots[slot].head != head)
        return node->slots[slot].head < head ? -1 : 1;
    return compare_bytes(slot_bytes(node, slot), node->slots[slot].length, key.bytes, key.length);
}

/* The first slot with a key >= `key` (strict: > `key`). */
static uint32_t find_slot(const struct byte_node *node, struct index_key key, bool strict)
{
    uint64_t head = head_of(key.bytes, key.length);
    uint32_t low = 0;
    uint32_t high = node->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = compare_slot(node, middle, key, head);
        if (order < 0 || (strict && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The slot of an inner node whose child `key` belongs to. */
static uint32_t child_slot(const struct byte_node *node, struct index_key key)
{
    uint32_t above = find_slot(node, key, true);
    return above > 0 ? above - 1 : 0;
}

static const struct byte_node *leaf_of(const struct byte_tree *tree, struct index_key key)
{
    const struct byte_node *node = tree->root;
    while (!node->is_leaf)
        node = node->slots[child_slot(node, key)].child;
    return node;
}

static bool holds(const struct byte_node *leaf, uint32_t slot, struct index_key key)
{
    return slot < leaf->count && compare_slot(leaf, slot, key, head_of(key.bytes, key.length)) == 0;
}

/* ---- nodes ---- */

static struct byte_node *node_create(struct byte_tree *tree, bool is_leaf, size_t heap_bytes)
{
    struct byte_node *node = allocator_alloc(tree->allocator, sizeof *node);
    if (node == NULL)
        return NULL;
    *node = (struct byte_node){.is_leaf = is_leaf,
                               .heap_capacity = size_max(heap_bytes, HEAP_BYTES_MIN)};
    node->heap = allocator_alloc(tree->allocator, node->heap_capacity);
    if (node->heap == NULL) {
        allocator_free(tree->allocator, node, sizeof *node);
        return NULL;
    }
    tree->stats.bytes += sizeof *node + node->heap_capacity;
    tree->stats.leaves += is_leaf;
    tree->stats.inner_nodes += !is_leaf;
    return node;
}

static void node_free(struct byte_tree *tree, struct byte_node *node)
{
    tree->stats.bytes -= sizeof *node + node->heap_capacity;
    tree->stats.leaves -= node->is_leaf;
    tree->stats.inner_nodes -= !node->is_leaf;
    allocator_free(tree->allocator, node->heap, node->heap_capacity);
    allocator_free(tree->allocator, node, sizeof *node);
}

/* Moves the live keys into a heap of `capacity` bytes. */
static bool heap_rebuild(struct byte_tree *tree, struct byte_node *node, size_t capacity)
{
    uint8_t *heap = allocator_alloc(tree->allocator, capacity);
    if (heap == NULL)
        return false;
    size_t used = 0;
    for (uint32_t slot = 0; slot < node->count; slot++) {
        memcpy(heap + used, slot_bytes(node, slot), node->slots[slot].length);
        node->slots[slot].offset = (uint32_t)used;
        used += node->slots[slot].length;
    }
    allocator_free(tree->allocator, node->heap, node->heap_capacity);
    tree->stats.bytes += capacity;
    tree->stats.bytes -= node->heap_capacity;
    node->heap = heap;
    node->heap_capacity = capacity;
    node->heap_used = used;
    node->heap_live = used;
    return true;
}

/* Room for `bytes` more key bytes; offsets are 32 bits wide. */
static bool heap_reserve(struct byte_tree *tree, struct byte_node *node, size_t bytes)
{
    if (node->heap_capacity - node->heap_used >= bytes)
        return true;
    size_t capacity = size_max((node->heap_live + bytes) * 3 / 2, HEAP_BYTES_MIN);
    return capacity <= UINT32_MAX && heap_rebuild(tree, node, capacity);
}

/* Puts a key into the node at `slot`; the heap has room. The payload is left to the caller. */
static struct byte_slot *slot_insert(struct byte_node *node, uint32_t slot, const uint8_t *bytes,
                                     size_t length)
{
    memmove(node->slots + slot + 1, node->slots + slot, (node->count - slot) * sizeof *node->slots);
    node->count++;
    if (length > 0)
        memcpy(node->heap + node->heap_used, bytes, length);
    node->slots[slot] = (struct byte_slot){.head = head_of(bytes, length),
                                           .offset = (uint32_t)node->heap_used,
                                           .length = (uint32_t)length};
    node->heap_used += length;
    node->heap_live += length;
    return &node->slots[slot];
}

static void slot_remove(struct byte_node *node, uint32_t slot)
{
    node->heap_live -= node->slots[slot].length;
    node->count--;
    memmove(node->slots + slot, node->slots + slot + 1, (node->count - slot) * sizeof *node->slots);
    if (node->count == 0)
        node->heap_used = 0;
}

/* Appends slots [from, end) of `source` to `target`, whose heap has room. */
static void slots_append(struct byte_node *target, const struct byte_node *source, uint32_t from)
{
    for (uint32_t slot = from; slot < source->count; slot++) {
        struct byte_slot *copy = slot_insert(target, target->count, slot_bytes(source, slot),
                                             source->slots[slot].length);
        if (source->is_leaf)
            copy->row_id = source->slots[slot].row_id;
        else
            copy->child = source->slots[slot].child;
    }
}

static size_t key_bytes_from(const struct byte_node *node, uint32_t from)
{
    size_t bytes = 0;
    for (uint32_t slot = from; slot < node->count; slot++)
        bytes += node->slots[slot].length;
    return bytes;
}

/* ---- splitting ---- */

/* The length of the shortest prefix of slot's key that is above the key of the slot before. */
static size_t separator_length(const struct byte_node *node, uint32_t slot)
{
    const uint8_t *low = slot_bytes(node, slot - 1);
    const uint8_t *high = slot_bytes(node, slot);
    size_t shared = 0;
    while (shared < node->slots[slot - 1].length && low[shared] == high[shared])
        shared++;
    return node->is_leaf ? shared + 1 : node->slots[slot].length;
}

/* Splits the full child at `slot` of a parent that has room for one more slot. An ascending
 * load leaves full nodes behind. */
static bool split_child(struct byte_tree *tree, struct byte_node *parent, uint32_t slot,
                        bool ascending)
{
    struct byte_node *left = parent->slots[slot].child;
    uint32_t from = ascending ? NODE_SLOTS - 1 : NODE_SLOTS / 2;
    size_t separator = separator_length(left, from);
    if (!heap_reserve(tree, parent, separator))
        return false;
    struct byte_node *right = node_create(tree, left->is_leaf, key_bytes_from(left, from));
    if (right == NULL)
        return false;
    slots_append(right, left, from);
    slot_insert(parent, slot + 1, slot_bytes(left, from), separator)->child = right;
    left->heap_live -= key_bytes_from(left, from);
    left->count = from;
    if (left->is_leaf) {
        right->next = left->next;
        right->previous = left;
        if (right->next != NULL)
            right->next->previous = right;
        left->next = right;
    }
    tree->stats.splits++;
    return true;
}

/* Puts a new root above a full one. */
static bool grow_root(struct byte_tree *tree)
{
    struct byte_node *root = node_create(tree, false, 0);
    if (root == NULL)
        return false;
    slot_insert(root, 0, NULL, 0)->child = tree->root;
    tree->root = root;
    return true;
}

/* Descends to the leaf for `key`, splitting full nodes, and reserves room for it. */
static struct byte_node *leaf_for_insert(struct byte_tree *tree, struct index_key key)
{
    if (tree->root->count == NODE_SLOTS && !grow_root(tree))
        return NULL;
    struct byte_node *node = tree->root;
    bool rightmost = true;
    while (!node->is_leaf) {
        uint32_t slot = child_slot(node, key);
        rightmost = rightmost && slot + 1 == node->count;
        struct byte_node *child = node->slots[slot].child;
        if (child->count == NODE_SLOTS) {
            bool ascending = rightmost && find_slot(child, key, false) == NODE_SLOTS;
            if (!split_child(tree, node, slot, ascending))
                return NULL;
            slot = child_slot(node, key);
            rightmost = rightmost && slot + 1 == node->count;
        }
        node = node->slots[slot].child;
    }
    return heap_reserve(tree, node, key.length) ? node : NULL;
}

/* ---- the interface ---- */

omen_status byte_tree_init(struct byte_tree *tree, struct allocator *allocator)
{
    *tree = (struct byte_tree){.allocator = allocator};
    tree->root = node_create(tree, true, 0);
    return tree->root != NULL ? OMEN_OK : OMEN_OUT_OF_MEMORY;
}

static void free_subtree(struct byte_tree *tree, struct byte_node *node)
{
    if (!node->is_leaf) {
        for (uint32_t slot = 0; slot < node->count; slot++)
            free_subtree(tree, node->slots[slot].child);
    }
    node_free(tree, node);
}

void byte_tree_release(struct byte_tree *tree)
{
    free_subtree(tree, tree->root);
    tree->root = NULL;
}

uint64_t byte_tree_lookup(const struct byte_tree *tree, struct index_key key)
{
    const struct byte_node *leaf = leaf_of(tree, key);
    uint32_t slot = find_slot(leaf, key, false);
    return holds(leaf, slot, key) ? leaf->slots[slot].row_id : ROW_ID_NONE;
}

/* The slot that holds `key`, or NULL. */
static struct byte_slot *find_entry(struct byte_tree *tree, struct index_key key)
{
    struct byte_node *node = tree->root;
    while (!node->is_leaf)
        node = node->slots[child_slot(node, key)].child;
    uint32_t slot = find_slot(node, key, false);
    return holds(node, slot, key) ? &node->slots[slot] : NULL;
}

omen_status byte_tree_put(struct byte_tree *tree, struct index_key key, uint64_t row_id,
                          uint64_t *replaced)
{
    struct byte_slot *held = find_entry(tree, key);
    if (replaced != NULL)
        *replaced = held != NULL ? held->row_id : ROW_ID_NONE;
    if (held != NULL) {
        held->row_id = row_id;
        return OMEN_OK;
    }
    if (key.length >= KEY_BYTES_LIMIT)
        return OMEN_OUT_OF_MEMORY;
    struct byte_node *leaf = leaf_for_insert(tree, key);
    if (leaf == NULL)
        return OMEN_OUT_OF_MEMORY;
    slot_insert(leaf, find_slot(leaf, key, false), key.bytes, key.length)->row_id = row_id;
    tree->stats.entries++;
    return OMEN_OK;
}

omen_status byte_tree_bulk_load(struct byte_tree *tree, const struct index_key *keys,
                                const uint64_t *row_ids, size_t count)
{
    if (tree->stats.entries != 0)
        return OMEN_INVALID_ARGUMENT;
    for (size_t at = 1; at < count; at++) {
        if (compare_bytes(keys[at - 1].bytes, keys[at - 1].length, keys[at].bytes,
                          keys[at].length) >= 0)
            return OMEN_INVALID_ARGUMENT;
    }
    struct byte_tree loaded;
    OMEN_TRY(byte_tree_init(&loaded, tree->allocator));
    for (size_t at = 0; at < count; at++) {
        omen_status status = byte_tree_put(&loaded, keys[at], row_ids[at], NULL);
        if (status != OMEN_OK) {
            byte_tree_release(&loaded);
            return status;
        }
    }
    byte_tree_release(tree);
    *tree = loaded;
    return OMEN_OK;
}

bool byte_tree_repoint(struct byte_tree *tree, struct index_key key, uint64_t expected,
                       uint64_t row_id)
{
    struct byte_slot *held = find_entry(tree, key);
    if (held == NULL || held->row_id != expected)
        return false;
    held->row_id = row_id;
    return true;
}

/* ---- erasing ---- */

static void unchain(struct byte_node *leaf)
{
    if (leaf->previous != NULL)
        leaf->previous->next = leaf->next;
    if (leaf->next != NULL)
        leaf->next->previous = leaf->previous;
}

/* Merges the children at `slot` and `slot + 1` if both are half empty and memory allows. */
static void merge_children(struct byte_tree *tree, struct byte_node *parent, uint32_t slot)
{
    struct byte_node *left = parent->slots[slot].child;
    struct byte_node *right = parent->slots[slot + 1].child;
    if (left->count + right->count > NODE_SLOTS / 2)
        return;
    /* An inner node's first key counts as minus infinity; below its new neighbour it must be
     * the separator that stood in the parent. */
    const struct byte_slot *separator = &parent->slots[slot + 1];
    size_t bytes = key_bytes_from(right, 0) + (right->is_leaf ? 0 : separator->length);
    if (!heap_reserve(tree, left, bytes))
        return;
    if (right->is_leaf) {
        unchain(right);
        slots_append(left, right, 0);
    } else {
        slot_insert(left, left->count, slot_bytes(parent, slot + 1), separator->length)->child =
            right->slots[0].child;
        slots_append(left, right, 1);
    }
    slot_remove(parent, slot + 1);
    node_free(tree, right);
    tree->stats.merges++;
}

bool byte_tree_erase(struct byte_tree *tree, struct index_key key)
{
    struct byte_node *path[PATH_MAX_LENGTH];
    uint32_t slots[PATH_MAX_LENGTH];
    size_t length = 0;
    struct byte_node *node = tree->root;
    while (!node->is_leaf) {
        OMEN_ASSERT(length < PATH_MAX_LENGTH);
        path[length] = node;
        slots[length] = child_slot(node, key);
        node = node->slots[slots[length++]].child;
    }
    uint32_t slot = find_slot(node, key, false);
    if (!holds(node, slot, key))
        return false;
    slot_remove(node, slot);
    tree->stats.entries--;
    if (node->heap_live * 4 < node->heap_capacity && node->heap_capacity > HEAP_BYTES_MIN * 4)
        (void)!heap_rebuild(tree, node, size_max(node->heap_live * 3 / 2, HEAP_BYTES_MIN));
    for (; length > 0; node = path[length]) {
        length--;
        struct byte_node *parent = path[length];
        if (node->count == 0) {
            if (node->is_leaf)
                unchain(node);
            slot_remove(parent, slots[length]);
            node_free(tree, node);
            tree->stats.merges++;
        } else if (node->count < NODE_SLOTS / 4) {
            if (slots[length] + 1 < parent->count)
                merge_children(tree, parent, slots[length]);
            else if (slots[length] > 0)
                merge_children(tree, parent, slots[length] - 1);
        }
    }
    while (!tree->root->is_leaf && tree->root->count == 1) {
        struct byte_node *root = tree->root;
        tree->root = root->slots[0].child;
        node_free(tree, root);
    }
    return true;
}

/* ---- cursors: a leaf and the slot before which the position lies ---- */

static const struct byte_node *edge_leaf(const struct byte_tree *tree, bool last)
{
    const struct byte_node *node = tree->root;
    while (!node->is_leaf)
        node = node->slots[last ? node->count - 1 : 0].child;
    return node;
}

void byte_tree_seek(const struct byte_tree *tree, const struct index_key *key,
                    struct index_cursor *cursor)
{
    const struct byte_node *leaf = key == NULL ? edge_leaf(tree, false) : leaf_of(tree, *key);
    cursor->node = leaf;
    cursor->position = key == NULL ? 0 : find_slot(leaf, *key, false);
}

void byte_tree_seek_last(const struct byte_tree *tree, const struct index_key *key,
                         struct index_cursor *cursor)
{
    const struct byte_node *leaf = key == NULL ? edge_leaf(tree, true) : leaf_of(tree, *key);
    cursor->node = leaf;
    cursor->position = key == NULL ? leaf->count : find_slot(leaf, *key, true);
}

static void take_entry(const struct byte_node *leaf, uint32_t slot, struct index_entry *entry)
{
    entry->key =
        (struct index_key){.bytes = slot_bytes(leaf, slot), .length = leaf->slots[slot].length};
    entry->row_id = leaf->slots[slot].row_id;
}

bool byte_tree_next(struct index_cursor *cursor, struct index_entry *entry)
{
    const struct byte_node *leaf = cursor->node;
    if (cursor->position >= leaf->count && leaf->next != NULL) {
        leaf = leaf->next;
        cursor->node = leaf;
        cursor->position = 0;
    }
    if (cursor->position >= leaf->count)
        return false;
    take_entry(leaf, (uint32_t)cursor->position, entry);
    cursor->position++;
    return true;
}

bool byte_tree_previous(struct index_cursor *cursor, struct index_entry *entry)
{
    const struct byte_node *leaf = cursor->node;
    if (cursor->position == 0 && leaf->previous != NULL) {
        leaf = leaf->previous;
        cursor->node = leaf;
        cursor->position = leaf->count;
    }
    if (cursor->position == 0)
        return false;
    cursor->position--;
    take_entry(leaf, (uint32_t)cursor->position, entry);
    return true;
}

void byte_tree_stats_of(const struct byte_tree *tree, struct index_stats *stats)
{
    *stats = tree->stats;
    stats->depth_max = 1;
    for (const struct byte_node *node = tree->root; !node->is_leaf; node = node->slots[0].child)
        stats->depth_max++;
}

/* ---- the validator ---- */

struct byte_check {
    omen_error *error;
    const struct byte_node *leaf_before;
    uint64_t entries;
    uint64_t leaves;
    uint64_t inner_nodes;
    uint64_t bytes;
    uint64_t leaf_depth;
};

#define BROKEN(check, ...) error_set((check)->error, OMEN_CORRUPTED, __VA_ARGS__)

static struct index_key slot_key(const struct byte_node *node, uint32_t slot)
{
    return (struct index_key){.bytes = slot_bytes(node, slot), .length = node->slots[slot].length};
}

static int compare_keys(struct index_key a, struct index_key b)
{
    return compare_bytes(a.bytes, a.length, b.bytes, b.length);
}

/* Checks the subtree whose keys lie in [low, high); NULL: no bound. */
static omen_status check_node(struct byte_check *check, const struct byte_node *node,
                              const struct index_key *low, const struct index_key *high,
                              uint64_t depth)
{
    size_t live = key_bytes_from(node, 0);
    if (live != node->heap_live || node->heap_used > node->heap_capacity ||
        node->heap_live > node->heap_used)
        return BROKEN(check, "a node's heap counts wrongly");
    for (uint32_t slot = node->is_leaf ? 0 : 1; slot < node->count; slot++) {
        struct index_key key = slot_key(node, slot);
        if (node->slots[slot].head != head_of(key.bytes, key.length))
            return BROKEN(check, "slot %u: head differs from key", slot);
        if (slot > (node->is_leaf ? 0u : 1u) && compare_keys(slot_key(node, slot - 1), key) >= 0)
            return BROKEN(check, "slot %u: keys do not ascend", slot);
        if ((low != NULL && compare_keys(key, *low) < 0) ||
            (high != NULL && compare_keys(key, *high) >= 0))
            return BROKEN(check, "slot %u: key outside its node's range", slot);
    }
    check->bytes += sizeof *node + node->heap_capacity;
    if (node->is_leaf) {
        if (node->previous != check->leaf_before ||
            (check->leaf_before != NULL && check->leaf_before->next != node))
            return BROKEN(check, "the leaf chain differs from the tree's order");
        if (check->leaves > 0 && (check->leaf_depth != depth || node->count == 0))
            return BROKEN(check, "an empty leaf, or leaves at different depths");
        check->leaf_before = node;
        check->leaf_depth = depth;
        check->leaves++;
        check->entries += node->count;
        return OMEN_OK;
    }
    check->inner_nodes++;
    if (node->count == 0)
        return BROKEN(check, "an inner node without children");
    for (uint32_t slot = 0; slot < node->count; slot++) {
        struct index_key first = slot_key(node, slot);
        struct index_key end = slot + 1 < node->count ? slot_key(node, slot + 1) : first;
        OMEN_TRY(check_node(check, node->slots[slot].child, slot == 0 ? low : &first,
                            slot + 1 < node->count ? &end : high, depth + 1));
    }
    return OMEN_OK;
}

omen_status byte_tree_validate(const struct byte_tree *tree, omen_error *error)
{
    struct byte_check check = {.error = error};
    OMEN_TRY(check_node(&check, tree->root, NULL, NULL, 1));
    if (check.leaf_before->next != NULL)
        return BROKEN(&check, "the leaf chain goes on beyond the tree");
    if (check.entries != tree->stats.entries || check.leaves != tree->stats.leaves ||
        check.inner_nodes != tree->stats.inner_nodes || check.bytes != tree->stats.bytes)
        return BROKEN(&check, "the tree's counters differ from its nodes");
    return OMEN_OK;
}
