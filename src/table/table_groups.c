/* table_groups.c - the list of row groups: finding, attaching, replacing, following versions.
 *
 * A group is found by number through chunks of 256 entries; numbers are never reused, so a row id
 * means one row for ever, or nothing once its group is gone. The list keeps the order in which
 * rows came: a compacted group lies where its sources lay.
 *
 * Why the end of a chain is where its group is gone. A group is dropped only when no chain leads
 * into it (table_maintain.c, unlink_group), or when every version in it ended at or below the
 * watermark or was copied and its index entry repointed. A reader
 * that follows `previous` into it holds a snapshot S at or above the watermark, so it cannot see
 * the version there, nor any version further down, which ended earlier still. (A copied row was
 * live when its group was compacted; whatever replaced it since points at the copy.)
 *
 * Concurrency: see table_private.h.
 */
#include "table/table_private.h"

uint64_t group_number_take(struct table *table)
{
    return atomic_fetch_add_explicit(&table->group_number_next, 1, memory_order_relaxed);
}

/* --- directory --- */

/* Makes room for entry `number`. Readers may be at work: a grown array is swapped in. */
static omen_status directory_reserve(struct table *table, uint64_t number)
{
    size_t position = number / DIRECTORY_CHUNK_ENTRIES;
    if (position >= table->chunk_count) {
        size_t old_count = table->chunk_count;
        size_t count = old_count < 8 ? 8 : old_count * 2;
        if (count <= position)
            count = position + 1;
        struct directory_chunk **chunks =
            allocator_alloc_zeroed(table->allocator, count * sizeof *chunks);
        if (chunks == NULL)
            return OMEN_OUT_OF_MEMORY;
        for (size_t i = 0; i < old_count; i++)
            chunks[i] = table->chunks[i];
        struct directory_chunk **old = table->chunks;
        biased_lock_write_lock(&table->lock);
        table->chunks = chunks;
        table->chunk_count = count;
        biased_lock_write_unlock(&table->lock);
        allocator_free(table->allocator, old, old_count * sizeof *old);
    }
    if (table->chunks[position] == NULL) {
        struct directory_chunk *chunk = allocator_alloc_zeroed(table->allocator, sizeof *chunk);
        if (chunk == NULL)
            return OMEN_OUT_OF_MEMORY;
        biased_lock_write_lock(&table->lock);
        table->chunks[position] = chunk;
        biased_lock_write_unlock(&table->lock);
    }
    return OMEN_OK;
}

omen_status group_entry_create(struct table *table, struct row_group *group,
                               struct group_entry **out)
{
    *out = NULL;
    uint64_t number = row_group_number(group);
    OMEN_TRY(directory_reserve(table, number));
    struct group_entry *entry = allocator_alloc_zeroed(table->allocator, sizeof *entry);
    if (entry == NULL)
        return OMEN_OUT_OF_MEMORY;
    entry->group = row_group_retain(group);
    entry->number = number;
    entry->valid_until = TIMESTAMP_INFINITY;
    *out = entry;
    return OMEN_OK;
}

void group_entry_destroy(struct table *table, struct group_entry *entry)
{
    if (entry == NULL)
        return;
    row_group_release(entry->group);
    row_group_release(entry->backing);
    deleted_keys_destroy(&entry->stalled, table->allocator);
    if (entry->map != NULL)
        allocator_free(table->allocator, entry->map, sizeof *entry->map);
    allocator_free(table->allocator, entry, sizeof *entry);
}

void group_link(struct table *table, struct group_entry *entry, struct group_entry *before)
{
    entry->next = before;
    entry->previous = before != NULL ? before->previous : table->last;
    if (entry->previous != NULL)
        entry->previous->next = entry;
    else
        table->first = entry;
    if (before != NULL)
        before->previous = entry;
    else
        table->last = entry;
    struct directory_chunk *chunk = table->chunks[entry->number / DIRECTORY_CHUNK_ENTRIES];
    OMEN_ASSERT(chunk->entries[entry->number % DIRECTORY_CHUNK_ENTRIES] == NULL);
    chunk->entries[entry->number % DIRECTORY_CHUNK_ENTRIES] = entry;
    chunk->used++;
}

omen_status group_attach(struct table *table, struct row_group *group, struct group_entry *before,
                         uint64_t valid_from, struct group_entry **out)
{
    OMEN_TRY(group_entry_create(table, group, out));
    (*out)->valid_from = valid_from;
    biased_lock_write_lock(&table->lock);
    group_link(table, *out, before);
    biased_lock_write_unlock(&table->lock);
    return OMEN_OK;
}

void group_detach(struct table *table, struct group_entry *entry)
{
    size_t position = entry->number / DIRECTORY_CHUNK_ENTRIES;
    struct directory_chunk *empty = NULL;
    biased_lock_write_lock(&table->lock);
    table->moves++;
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        table->first = entry->next;
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
    else
        table->last = entry->previous;
    struct directory_chunk *chunk = table->chunks[position];
    chunk->entries[entry->number % DIRECTORY_CHUNK_ENTRIES] = NULL;
    if (--chunk->used == 0) {
        table->chunks[position] = NULL;
        empty = chunk;
    }
    biased_lock_write_unlock(&table->lock);
    if (empty != NULL)
        allocator_free(table->allocator, empty, sizeof *empty);
    group_entry_destroy(table, entry);
}

void group_swap(struct table *table, struct group_entry *entry, struct row_group *group)
{
    struct row_group *old = entry->group;
    biased_lock_write_lock(&table->lock);
    entry->group = group;
    biased_lock_write_unlock(&table->lock);
    row_group_release(old);
}

/* --- copies --- */

bool group_may_fold(const struct table *table, const struct group_entry *group)
{
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        if (entry->map != NULL && entry->map->target == group->number)
            return false;
    return group->erasures == 0;
}

uint64_t slot_map_find(const struct slot_map *map, uint32_t slot)
{
    uint64_t word = map->copied[slot / 64];
    uint64_t bit = UINT64_C(1) << (slot % 64);
    if ((word & bit) == 0)
        return ROW_ID_NONE;
    uint32_t rank = map->rank[slot / 64] + (uint32_t)__builtin_popcountll(word & (bit - 1));
    return row_id_make(map->target, map->target_first + rank);
}

uint64_t row_id_canonical(const struct table *table, uint64_t row_id)
{
    for (;;) {
        const struct group_entry *entry = directory_find(table, row_id_group(row_id));
        if (entry == NULL || entry->map == NULL)
            return row_id;
        uint64_t copy = slot_map_find(entry->map, row_id_slot(row_id));
        if (copy == ROW_ID_NONE)
            return row_id;
        row_id = copy;
    }
}

uint64_t row_end(const struct table *table, uint64_t row_id)
{
    const struct group_entry *entry = directory_find(table, row_id_group(row_id));
    OMEN_ASSERT(entry != NULL);
    return row_group_end(entry->group, row_id_slot(row_id));
}

/* --- versions --- */

bool version_resolve(const struct table *table, uint64_t row_id, uint64_t snapshot,
                     struct row_ref *out)
{
    while (row_id != ROW_ID_NONE) {
        const struct group_entry *entry = directory_find(table, row_id_group(row_id));
        if (entry == NULL)
            return false;
        uint32_t slot = row_id_slot(row_id);
        uint64_t begin = row_group_begin(entry->group, slot);
        if (begin != TIMESTAMP_PENDING && begin <= snapshot) {
            /* Older versions ended before this one began: no need to look further. */
            if (row_group_end(entry->group, slot) <= snapshot)
                return false;
            out->group = row_group_retain(entry->group);
            out->slot = slot;
            return true;
        }
        row_id = row_group_previous(entry->group, slot);
    }
    return false;
}
