/* own_writes_commit.c - the write set that commits what a transaction has written.
 *
 * Groups of which every row lives are handed over as they are, and the large ones can be attached
 * to the table as they are: the rows' lifetimes in the groups have never been set. Of other groups
 * the live rows are copied. Rows that died within the transaction are left behind, so neither the
 * index nor the log ever hears of them.
 *
 * A shared row that ended frees its key unless a private row now has it: then the log says nothing
 * of the end, because the new row takes the old one's place.
 *
 * Concurrency: the transaction's thread.
 */
#include <string.h>

#include "base/bits.h"
#include "table/own_writes_private.h"

/* The live slots of a group. */
static uint32_t live_slots(const struct own_group *group, uint16_t *slots)
{
    uint32_t rows = row_group_row_count(group->group), count = 0;
    for (uint32_t slot = 0; slot < rows; slot++) {
        slots[count] = (uint16_t)slot;
        count += group->slots[slot].begin != 0 && group->slots[slot].end == 0;
    }
    return count;
}

static bool wholly_live(const struct own_group *group)
{
    return group->live > 0 && group->live == row_group_row_count(group->group);
}

static omen_status copy_live(const struct own_writes *own, struct write_set *set)
{
    struct allocator *allocator = own->table->allocator;
    size_t bytes = ROW_GROUP_ROWS * sizeof(uint16_t);
    uint16_t *slots = allocator_alloc(allocator, bytes);
    omen_status status = slots == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
    for (size_t i = 0; i < own->group_count && status == OMEN_OK; i++) {
        const struct own_group *group = &own->groups[i];
        if (group->live == 0 || wholly_live(group))
            continue;
        uint32_t count = live_slots(group, slots);
        OMEN_ASSERT(count == group->live);
        status = write_set_add_slots(set, group->group, slots, count);
    }
    allocator_free(allocator, slots, bytes);
    return status;
}

/* Copies come first: the set goes on filling its last group. */
static omen_status commit_rows(const struct own_writes *own, struct write_set *set)
{
    bool copies = false;
    for (size_t i = 0; i < own->group_count; i++)
        copies |= own->groups[i].live > 0 && !wholly_live(&own->groups[i]);
    if (copies)
        OMEN_TRY(copy_live(own, set));
    for (size_t i = 0; i < own->group_count; i++)
        if (wholly_live(&own->groups[i]))
            OMEN_TRY(write_set_take_group(set, own->groups[i].group));
    return OMEN_OK;
}

static omen_status commit_targets(const struct own_writes *own, struct write_set *set)
{
    for (size_t i = 0; i < own->target_count; i++) {
        const struct own_target *target = &own->targets[i];
        uint32_t newest = own_id_node(index_lookup(own->index, target->key));
        OMEN_TRY(write_set_add_target(
            set, (struct write_target){.row_id = target->row_id,
                                       .stale_id = ROW_ID_NONE,
                                       .key = target->key,
                                       .begin = target->begin,
                                       .key_freed = !own_node_lives(own, newest),
                                       .read_earlier = true}));
    }
    return OMEN_OK;
}

static omen_status fill(struct own_writes *own, struct write_set *set)
{
    OMEN_TRY(commit_rows(own, set));
    OMEN_TRY(commit_targets(own, set));
    OMEN_TRY(own_uniques_commit(own, set));
    set->row_count = own_writes_row_count(own);
    return OMEN_OK;
}

/* Groups that nobody reads get numbers of the table's, so that they can be attached. */
static void number_groups(struct write_set *set)
{
    for (size_t i = 0; i < set->group_count; i++) {
        struct row_group *group = set->groups[i];
        if ((row_group_number(group) & OWN_GROUP_BIT) != 0 &&
            row_group_capacity(group) == ROW_GROUP_ROWS && !row_group_is_shared(group))
            row_group_renumber(group, group_number_take(set->table));
    }
}

omen_status own_writes_commit_set(struct own_writes *own, struct write_set **out, omen_error *error)
{
    *out = NULL;
    struct write_set *set;
    bool live = own->target_count > 0;
    for (size_t i = 0; i < own->group_count; i++)
        live |= own->groups[i].live > 0;
    omen_status status = live ? write_set_create(own->table, &set) : OMEN_OK;
    if (status != OMEN_OK)
        return error_set_default(error, status);
    mutex_lock(&own->lock);
    status = live ? fill(own, set) : OMEN_OK;
    if (status == OMEN_OK && live) {
        set->target_keys = own->keys_arena;
        arena_init(&own->keys_arena, own->table->allocator);
    }
    if (status == OMEN_OK)
        own_clear(own);
    mutex_unlock(&own->lock);
    if (status != OMEN_OK) {
        write_set_destroy(set);
        return error_set_default(error, status);
    }
    if (live) {
        number_groups(set);
        *out = set;
    }
    return OMEN_OK;
}
