/* own_writes.c - the life of a transaction's own writes: asking for a key, marks, undo. The
 * structure: own_writes_private.h. Adding, committing and viewing have files of their own.
 */
#include <string.h>

#include "table/own_writes_private.h"
#include "table/table_uniques.h"

/* --- life --- */

omen_status own_writes_create(struct table *table, struct own_writes **out)
{
    *out = NULL;
    struct own_writes *own = allocator_alloc_zeroed(table->allocator, sizeof *own);
    if (own == NULL)
        return OMEN_OUT_OF_MEMORY;
    own->table = table;
    omen_status status = own_indexes_create(own);
    if (status != OMEN_OK) {
        allocator_free(table->allocator, own, sizeof *own);
        return status;
    }
    table_retain(table);
    atomic_init(&own->references, 1);
    mutex_init(&own->lock);
    own->last = OWN_GROUP_NONE;
    arena_init(&own->keys_arena, table->allocator);
    arena_init(&own->scratch, table->allocator);
    arena_init(&own->undo_arena, table->allocator);
    *out = own;
    return OMEN_OK;
}

void own_group_release(struct own_writes *own, struct own_group *group)
{
    row_group_release(group->group);
    allocator_free(own->table->allocator, group->slots,
                   group->slot_capacity * sizeof *group->slots);
    *group = (struct own_group){0};
}

void own_clear(struct own_writes *own)
{
    struct allocator *allocator = own->table->allocator;
    for (size_t i = 0; i < own->group_count; i++)
        own_group_release(own, &own->groups[i]);
    array_release(allocator, own->groups, own->group_capacity, sizeof *own->groups, NULL);
    array_release(allocator, own->targets, own->target_capacity, sizeof *own->targets, NULL);
    array_release(allocator, own->steps, own->step_capacity, sizeof *own->steps, NULL);
    array_release(allocator, own->unique_steps, own->unique_step_capacity,
                  sizeof *own->unique_steps, NULL);
    own_hidden_clear(own);
    arena_release(&own->keys_arena);
    arena_release(&own->scratch);
    arena_release(&own->undo_arena);
    own_indexes_destroy(own);
    own->groups = NULL;
    own->targets = NULL;
    own->steps = NULL;
    own->unique_steps = NULL;
    own->group_count = own->group_capacity = own->target_count = own->target_capacity = 0;
    own->step_count = own->step_capacity = own->undo_room = 0;
    own->unique_step_count = own->unique_step_capacity = 0;
    own->last = OWN_GROUP_NONE;
    own->epoch++;
    atomic_store_explicit(&own->rows, 0, memory_order_relaxed);
}

struct own_writes *own_retain(struct own_writes *own)
{
    /* Relaxed: whoever retains already holds a reference. */
    atomic_fetch_add_explicit(&own->references, 1, memory_order_relaxed);
    return own;
}

void own_release(struct own_writes *own)
{
    /* Release pairs with the acquire of the last one out: every use comes before the free. */
    if (own == NULL || atomic_fetch_sub_explicit(&own->references, 1, memory_order_acq_rel) != 1)
        return;
    struct table *table = own->table;
    own_clear(own);
    mutex_destroy(&own->lock);
    allocator_free(table->allocator, own, sizeof *own);
    table_release(table);
}

void own_writes_destroy(struct own_writes *own)
{
    if (own == NULL)
        return;
    mutex_lock(&own->lock);
    own_clear(own); /* views hold the structure, but need nothing that is in it */
    mutex_unlock(&own->lock);
    own_release(own);
}

struct table *own_writes_table(const struct own_writes *own)
{
    return own->table;
}

uint64_t own_writes_row_count(const struct own_writes *own)
{
    return atomic_load_explicit(&own->rows, memory_order_relaxed);
}

bool own_writes_any_died(const struct own_writes *own)
{
    bool died = false;
    for (size_t i = 0; i < own->group_count && !died; i++)
        died = own->groups[i].begun != own->groups[i].live;
    return died;
}

uint64_t own_writes_acted_on(const struct own_writes *own)
{
    return own->acted_on;
}

bool own_writes_empty(const struct own_writes *own)
{
    return own->step_count == 0;
}

/* --- asking --- */

const struct own_group *own_group_find(const struct own_writes *own, uint64_t row_id)
{
    uint64_t number = row_id_group(row_id);
    if ((number & OWN_GROUP_BIT) == 0 || (number & ~OWN_GROUP_BIT) >= own->group_count)
        return NULL;
    const struct own_group *group = &own->groups[number & ~OWN_GROUP_BIT];
    return group->group != NULL && row_id_slot(row_id) < row_group_row_count(group->group) ? group
                                                                                           : NULL;
}

enum own_answer own_lookup(const struct own_writes *own, uint32_t command, struct index_key key,
                           struct row_ref *out)
{
    *out = (struct row_ref){0};
    uint32_t node = own->index == NULL ? OWN_NODE_NONE : own_id_node(index_lookup(own->index, key));
    while (node < OWN_NODE_TARGET) {
        const struct own_slot *slot = own_slot_of(own, node);
        if (slot->begin < command) {
            if (!own_slot_visible(slot, command))
                return OWN_GONE;
            out->group = row_group_retain(own->groups[node >> 16].group);
            out->slot = node & 0xFFFF;
            return OWN_ROW;
        }
        node = slot->older;
    }
    if (node == OWN_NODE_NONE)
        return OWN_UNKNOWN;
    return own->targets[node & ~OWN_NODE_TARGET].command < command ? OWN_GONE : OWN_UNKNOWN;
}

enum own_answer own_writes_get(struct own_writes *own, uint32_t command, struct index_key key,
                               struct row_ref *out)
{
    *out = (struct row_ref){0};
    if (own == NULL)
        return OWN_UNKNOWN;
    mutex_lock(&own->lock);
    enum own_answer answer = own_lookup(own, command, key, out);
    mutex_unlock(&own->lock);
    return answer;
}

omen_status table_get_own(struct table *table, const struct read_view *view, struct own_writes *own,
                          struct index_key key, struct row_ref *out)
{
    switch (own_writes_get(own, view->command, key, out)) {
    case OWN_ROW:
        return OMEN_OK;
    case OWN_GONE:
        return OMEN_NOT_FOUND;
    case OWN_UNKNOWN:
        break;
    }
    return table_get_encoded(table, view, key, out);
}

uint64_t own_target_place(const struct table *table, uint64_t row_id, struct index_key key,
                          uint64_t begin)
{
    uint64_t newest = row_id_canonical(table, row_id);
    if (directory_find(table, row_id_group(newest)) != NULL)
        return newest;
    /* Compacted, and no snapshot held the old group: the index leads to the copy. Nobody else has
     * changed the row, whose key is locked; where its begin is still known it says so. */
    newest = row_id_canonical(table, index_lookup(table->index, key));
    const struct group_entry *entry = directory_find(table, row_id_group(newest));
    if (entry == NULL)
        return ROW_ID_NONE;
    bool frozen = row_group_state_of(entry->group) == ROW_GROUP_FROZEN;
    return frozen || row_group_begin(entry->group, row_id_slot(newest)) == begin ? newest
                                                                                 : ROW_ID_NONE;
}

/* --- keys to lock --- */

/* The old keys of the set's targets. */
static omen_status target_keys(const struct write_set *set, struct arena *arena,
                               struct index_key *keys, omen_error *error)
{
    for (size_t i = 0; i < set->target_count; i++) {
        keys[i] = set->targets[i].key;
        if (key_keep(arena, &keys[i]) != OMEN_OK)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
    }
    return OMEN_OK;
}

/* The keys of the private rows. */
static omen_status row_keys(const struct write_set *set, struct arena *arena,
                            struct index_key *keys, omen_error *error)
{
    for (size_t i = 0; i < set->group_count; i++) {
        uint32_t slots = row_group_row_count(set->groups[i]);
        for (uint32_t slot = 0; slot < slots; slot++) {
            omen_status status = row_group_key(set->groups[i], slot, arena, keys++);
            if (status != OMEN_OK)
                return key_error(set->table, 0, status, error);
        }
    }
    return OMEN_OK;
}

static omen_status collect_keys(const struct write_set *set, uint64_t rows, struct arena *arena,
                                struct index_key **keys, size_t *count, omen_error *error)
{
    *count = 0;
    *keys = arena_alloc(arena, (rows + set->target_count) * sizeof **keys);
    if (*keys == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    OMEN_TRY(target_keys(set, arena, *keys, error));
    if (rows > 0)
        OMEN_TRY(row_keys(set, arena, *keys + set->target_count, error));
    *count = keys_make_distinct(set->table->schema->key.kind, *keys, set->target_count + rows);
    return OMEN_OK;
}

/* Rows whose keys others can name. */
static uint64_t keyed_rows(const struct write_set *set)
{
    return set->table->schema->key_hidden ? 0 : write_set_private_rows(set);
}

size_t write_set_keys_at_least(const struct write_set *set)
{
    uint64_t rows =
        keyed_rows(set); /* each key once; those of new versions may be their targets' */
    return rows > set->target_count ? rows : set->target_count;
}

omen_status write_set_keys(const struct write_set *set, struct arena *arena,
                           struct numbered_key **keys, size_t *count, omen_error *error)
{
    struct index_key *primary;
    size_t primary_count;
    *count = 0;
    OMEN_TRY(collect_keys(set, keyed_rows(set), arena, &primary, &primary_count, error));
    *keys = arena_alloc(arena, (primary_count + uniques_keys_at_most(set)) * sizeof **keys);
    if (*keys == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (; *count < primary_count; ++*count)
        (*keys)[*count] = (struct numbered_key){.key = primary[*count]};
    return uniques_keys(set, arena, *keys, count, error);
}

omen_status write_set_target_keys(const struct write_set *set, struct arena *arena,
                                  struct index_key **keys, size_t *count, omen_error *error)
{
    return collect_keys(set, 0, arena, keys, count, error);
}

bool write_set_changes_keys(const struct write_set *set)
{
    bool changes = write_set_private_rows(set) != set->target_count || set->freed_count > 0 ||
                   set->taken_count > 0;
    for (size_t i = 0; i < set->target_count && !changes; i++)
        changes = set->targets[i].key_freed;
    return changes;
}

/* --- undo --- */

struct own_mark own_writes_mark(const struct own_writes *own)
{
    return (struct own_mark){.steps = own->step_count,
                             .unique_steps = own->unique_step_count,
                             .rows = own_writes_row_count(own)};
}

/* Gives the entry of a key, which leads to `node`, back what it was before. */
static void entry_back(struct own_writes *own, struct index_key key, uint32_t node, uint32_t older)
{
    bool undone = older == OWN_NODE_NONE
                      ? index_erase(own->index, key)
                      : index_repoint(own->index, key, own_node_id(node), own_node_id(older));
    OMEN_ASSERT(undone);
}

static void undo_rows(struct own_writes *own, const struct own_step *step)
{
    struct own_group *group = &own->groups[step->group];
    for (uint32_t slot = step->first + step->count; slot-- > step->first;) {
        struct index_key key;
        arena_reset(&own->undo_arena);
        omen_status status = row_group_key(group->group, slot, &own->undo_arena, &key);
        OMEN_ASSERT(status == OMEN_OK); /* its room is there */
        uint32_t older = group->slots[slot].older;
        OMEN_ASSERT(group->slots[slot].end == 0);
        entry_back(own, key, own_node_of(step->group, slot), older);
        group->slots[slot] = (struct own_slot){.older = OWN_NODE_NONE};
    }
    group->begun -= step->count;
    group->live -= step->count;
    if (group->begun == 0 && own->last != step->group)
        own_group_release(own, group);
}

static void undo_step(struct own_writes *own, const struct own_step *step)
{
    switch ((enum own_step_kind)step->kind) {
    case OWN_STEP_ROWS:
        undo_rows(own, step);
        break;
    case OWN_STEP_END:
        own->groups[step->group].slots[step->first].end = 0;
        own->groups[step->group].live++;
        break;
    case OWN_STEP_TARGET: {
        size_t number = --own->target_count;
        own_hidden_undo(own, number);
        const struct own_target *target = &own->targets[number];
        entry_back(own, target->key, OWN_NODE_TARGET | (uint32_t)number, target->older);
        break;
    }
    }
}

void own_undo(struct own_writes *own, struct own_mark mark)
{
    OMEN_ASSERT(mark.steps <= own->step_count);
    /* Commands only grow: the first step tells whether a view can have seen any. */
    own->epoch += mark.steps < own->step_count && own->steps[mark.steps].command < own->viewed;
    while (own->step_count > mark.steps)
        undo_step(own, &own->steps[--own->step_count]);
    own_uniques_undo(own, mark.unique_steps);
    atomic_store_explicit(&own->rows, mark.rows, memory_order_relaxed);
}

void own_writes_undo(struct own_writes *own, struct own_mark mark)
{
    mutex_lock(&own->lock);
    own_undo(own, mark);
    mutex_unlock(&own->lock);
}
