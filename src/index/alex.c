/* alex.c - the index as a whole: life, point writes, cursors, statistics. See alex.h. */
#include "index/alex.h"

#include "base/assert.h"
#include "index/alex_private.h"

omen_status alex_init(struct alex *alex, struct allocator *allocator)
{
    *alex = (struct alex){.search = alex_search_number(0)};
    node_heap_init(&alex->heap, allocator);
    struct alex_builder builder = {.alex = alex};
    if (!alex_build_subtree(&builder, (struct alex_run){0}, &alex->root))
        return OMEN_OUT_OF_MEMORY;
    alex->first = builder.first;
    alex->last = builder.last;
    return OMEN_OK;
}

void alex_release(struct alex *alex)
{
    alex_free_inners(alex, &alex->root);
    while (alex->first != NULL) {
        struct alex_leaf *leaf = alex->first;
        alex->first = leaf->next;
        alex_leaf_free(alex, leaf);
    }
    allocator_free(alex->heap.allocator, alex->scratch,
                   alex->scratch_entries * 2 * sizeof *alex->scratch);
    node_heap_release(&alex->heap);
}

omen_status alex_bulk_load_words(struct alex *alex, const uint64_t *words, const uint64_t *row_ids,
                                 size_t count)
{
    if (alex->stats.entries != 0)
        return OMEN_INVALID_ARGUMENT;
    for (size_t at = 1; at < count; at++) {
        if (words[at] <= words[at - 1])
            return OMEN_INVALID_ARGUMENT;
    }
    if (count == 0)
        return OMEN_OK;
    struct alex_builder builder = {.alex = alex, .fill = FILL_DENSE};
    struct alex_entry root;
    if (!alex_build_subtree(&builder, (struct alex_run){words, row_ids, count}, &root)) {
        alex_builder_abandon(&builder);
        return OMEN_OUT_OF_MEMORY;
    }
    alex_free_inners(alex, &alex->root);
    for (struct alex_leaf *leaf = alex->first; leaf != NULL;) {
        struct alex_leaf *next = leaf->next;
        alex_leaf_free(alex, leaf);
        leaf = next;
    }
    alex->root = root;
    alex->first = builder.first;
    alex->last = builder.last;
    alex->stats.entries = count;
    return OMEN_OK;
}

omen_status alex_bulk_load(struct alex *alex, const struct index_key *keys, const uint64_t *row_ids,
                           size_t count)
{
    if (count == 0)
        return alex->stats.entries == 0 ? OMEN_OK : OMEN_INVALID_ARGUMENT;
    struct allocator *allocator = alex->heap.allocator;
    uint64_t *words = allocator_alloc(allocator, count * sizeof *words);
    if (words == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (size_t at = 0; at < count; at++)
        words[at] = keys[at].word;
    omen_status status = alex_bulk_load_words(alex, words, row_ids, count);
    allocator_free(allocator, words, count * sizeof *words);
    return status;
}

index_lookup_function *alex_lookup_function(const struct alex *alex)
{
    return alex->search->lookup;
}

void alex_lookup_batch(const struct alex *alex, const struct index_key *keys, size_t count,
                       uint64_t *row_ids)
{
    alex->search->lookup_batch(alex, keys, count, row_ids);
}

struct alex_leaf *alex_leaf_of(const struct alex *alex, uint64_t key)
{
    const struct alex_entry *entry = &alex->root;
    while (entry->kind == ALEX_INNER)
        entry = entry_descend(entry, key);
    return entry->child;
}

struct alex_leaf *alex_path_to(const struct alex *alex, uint64_t key, struct alex_path *path)
{
    path->length = 0;
    const struct alex_entry *entry = &alex->root;
    while (entry->kind == ALEX_INNER) {
        if (path->length == DEPTH_MAX)
            return NULL;
        path->nodes[path->length] = entry->child;
        path->slots[path->length] = (uint32_t)entry_slot(entry, key);
        path->length++;
        entry = entry_descend(entry, key);
    }
    return entry->child;
}

/* The slot of `key` in the block, or BLOCK_SLOTS. */
static unsigned block_find(const struct alex_block *block, uint64_t key)
{
    unsigned found = BLOCK_SLOTS;
    for (unsigned slot = BLOCK_SLOTS; slot-- > 0;)
        found = block->keys[slot] == key ? slot : found;
    return found < BLOCK_SLOTS && block->row_ids[found] != ROW_ID_NONE ? found : BLOCK_SLOTS;
}

/* The leaf and place of a key; slot = BLOCK_SLOTS where it is absent. */
struct place {
    const struct alex_entry *entry;
    struct alex_leaf *leaf;
    uint32_t block;
    unsigned slot;
};

/* Starts loading the header and what the search reads first: the entry knows where they are. */
static void prefetch_for_write(const struct alex_entry *entry, uint64_t key)
{
    const struct alex_leaf *leaf = entry->child;
    __builtin_prefetch(leaf, 1);
    if (entry->kind == ALEX_MODEL) {
        size_t at = model_block(entry->base, entry->multiplier, entry->last, key);
        __builtin_prefetch(leaf->blocks[at].keys, 1);
        __builtin_prefetch(leaf->blocks[at].row_ids, 1);
        return;
    }
    const uint64_t *fences = (const uint64_t *)(const void *)leaf - leaf_fences(entry->last + 1);
    for (; fences < (const uint64_t *)(const void *)leaf; fences += BLOCK_SLOTS)
        __builtin_prefetch(fences);
}

static struct place find_place(const struct alex *alex, uint64_t key)
{
    const struct alex_entry *entry = &alex->root;
    while (entry->kind == ALEX_INNER)
        entry = entry_descend(entry, key);
    prefetch_for_write(entry, key);
    struct place place = {.entry = entry, .leaf = entry->child};
    place.block = leaf_locate(place.leaf, key);
    place.slot = block_find(&place.leaf->blocks[place.block], key);
    return place;
}

omen_status alex_put(struct alex *alex, uint64_t key, uint64_t row_id, uint64_t *replaced)
{
    OMEN_DCHECK((row_id & ROW_ID_OCCUPIED) != 0);
    if (replaced != NULL)
        *replaced = ROW_ID_NONE;
    struct place place = find_place(alex, key);
    if (place.slot < BLOCK_SLOTS) {
        uint64_t *held = &place.leaf->blocks[place.block].row_ids[place.slot];
        if (replaced != NULL)
            *replaced = *held;
        *held = row_id;
        return OMEN_OK;
    }
    if (!leaf_insert(place.leaf, place.block, key, row_id))
        OMEN_TRY(alex_grow(alex, key, row_id));
    else if (place.entry->forward && !place.leaf->forward)
        alex_refresh_entry(alex, key);
    alex->stats.entries++;
    return OMEN_OK;
}

bool alex_repoint(struct alex *alex, uint64_t key, uint64_t expected, uint64_t row_id)
{
    struct place place = find_place(alex, key);
    if (place.slot == BLOCK_SLOTS)
        return false;
    uint64_t *held = &place.leaf->blocks[place.block].row_ids[place.slot];
    if (*held != expected)
        return false;
    *held = row_id;
    return true;
}

bool alex_erase(struct alex *alex, uint64_t key)
{
    struct place place = find_place(alex, key);
    if (place.slot == BLOCK_SLOTS)
        return false;
    leaf_remove(place.leaf, place.block, place.slot);
    alex->stats.entries--;
    if (leaf_is_sparse(place.leaf))
        alex_shrink(alex, key);
    return true;
}

/* ---- cursors: a leaf and the number of slots before the position ---- */

void alex_seek(const struct alex *alex, const uint64_t *key, struct index_cursor *cursor)
{
    cursor->node = alex->first;
    cursor->position = 0;
    if (key == NULL)
        return;
    const struct alex_leaf *leaf = alex_leaf_of(alex, *key);
    uint32_t at = leaf_locate(leaf, *key);
    const struct alex_block *block = &leaf->blocks[at];
    unsigned count = block_entries(block);
    unsigned rank = 0;
    while (rank < count && block->keys[rank] < *key)
        rank++;
    cursor->node = leaf;
    cursor->position = (size_t)at * BLOCK_SLOTS + rank;
}

void alex_seek_last(const struct alex *alex, const uint64_t *key, struct index_cursor *cursor)
{
    if (key == NULL) {
        cursor->node = alex->last;
        cursor->position = (size_t)alex->last->block_count * BLOCK_SLOTS;
        return;
    }
    alex_seek(alex, key, cursor);
    const struct alex_leaf *leaf = cursor->node;
    const struct alex_block *block = &leaf->blocks[cursor->position / BLOCK_SLOTS];
    unsigned slot = (unsigned)(cursor->position % BLOCK_SLOTS);
    if (cursor->position < (size_t)leaf->block_count * BLOCK_SLOTS &&
        block->row_ids[slot] != ROW_ID_NONE && block->keys[slot] == *key)
        cursor->position++;
}

static void take_entry(const struct alex_block *block, unsigned slot, struct index_entry *entry)
{
    entry->key = index_key_word(block->keys[slot]);
    entry->row_id = block->row_ids[slot];
}

bool alex_next(struct index_cursor *cursor, struct index_entry *entry)
{
    const struct alex_leaf *leaf = cursor->node;
    size_t position = cursor->position;
    for (;;) {
        for (; position < (size_t)leaf->block_count * BLOCK_SLOTS;
             position = position / BLOCK_SLOTS * BLOCK_SLOTS + BLOCK_SLOTS) {
            const struct alex_block *block = &leaf->blocks[position / BLOCK_SLOTS];
            unsigned slot = (unsigned)(position % BLOCK_SLOTS);
            if (block->row_ids[slot] == ROW_ID_NONE)
                continue;
            take_entry(block, slot, entry);
            cursor->node = leaf;
            cursor->position = position + 1;
            return true;
        }
        if (leaf->next == NULL)
            break;
        leaf = leaf->next;
        position = 0;
    }
    cursor->node = leaf;
    cursor->position = (size_t)leaf->block_count * BLOCK_SLOTS;
    return false;
}

bool alex_previous(struct index_cursor *cursor, struct index_entry *entry)
{
    const struct alex_leaf *leaf = cursor->node;
    size_t position = cursor->position;
    for (;;) {
        while (position > 0) {
            const struct alex_block *block = &leaf->blocks[(position - 1) / BLOCK_SLOTS];
            unsigned before = (unsigned)((position - 1) % BLOCK_SLOTS) + 1;
            unsigned count = block_entries(block);
            position = (position - 1) / BLOCK_SLOTS * BLOCK_SLOTS;
            if (count == 0)
                continue;
            unsigned slot = (before < count ? before : count) - 1;
            take_entry(block, slot, entry);
            cursor->node = leaf;
            cursor->position = position + slot;
            return true;
        }
        if (leaf->previous == NULL)
            break;
        leaf = leaf->previous;
        position = (size_t)leaf->block_count * BLOCK_SLOTS;
    }
    cursor->node = leaf;
    cursor->position = 0;
    return false;
}

/* ---- statistics ---- */

uint64_t alex_depth_below(const struct alex_entry *entry)
{
    if (entry->kind != ALEX_INNER)
        return 1;
    const struct alex_inner *inner = entry->child;
    uint64_t deepest = 0;
    for (uint32_t slot = 0; slot < inner->slot_count; slot++) {
        if (slot > 0 && inner->entries[slot].child == inner->entries[slot - 1].child)
            continue;
        uint64_t depth = alex_depth_below(&inner->entries[slot]);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

uint64_t alex_bytes(const struct alex *alex)
{
    return alex->heap.bytes + alex->scratch_entries * 2 * sizeof *alex->scratch;
}

void alex_stats_of(const struct alex *alex, struct index_stats *stats)
{
    *stats = alex->stats;
    stats->depth_max = alex_depth_below(&alex->root);
    stats->bytes = alex_bytes(alex);
}

bool alex_probe_of(const struct alex *alex, uint64_t key, struct index_probe *probe)
{
    struct alex_path path;
    const struct alex_leaf *leaf = alex_path_to(alex, key, &path);
    if (leaf == NULL)
        return false;
    uint32_t at = leaf_locate(leaf, key);
    uint32_t predicted = leaf->kind == ALEX_SORTED ? at : leaf_predict(leaf, key);
    probe->depth = path.length + 1;
    probe->block_distance = at > predicted ? at - predicted : predicted - at;
    return true;
}
