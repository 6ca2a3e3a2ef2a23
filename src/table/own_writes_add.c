/* own_writes_add.c - adding a statement's write set to what its transaction has written.
 *
 *   1  targets end: shared ones get a node in the index, private ones an end
 *   2  rows begin: copied behind the last private group, or, of large sets, group by group as they
 *      are; then the index leads to them, one by one
 *
 * As the targets have ended by then, a new row's key is free where the newest node of the key does
 * not live; and, where there is no node, where the table has no live row. Whatever fails is undone
 * by the steps that have been noted: each step is noted, or its room reserved, before it is done.
 *
 * Large sets are added in pieces, between which others may have the writer lock: the keys are
 * locked, so what is found of one stays as it is; maintenance may move rows, as at any time before
 * the commit. But not those of tables with unique keys, whose targets are looked up by the ids that
 * they have now.
 *
 * Concurrency: the transaction's thread, which holds the writer lock.
 */
#include <string.h>

#include "base/bits.h"
#include "table/own_writes_private.h"
#include "table/table_uniques.h"

enum { PIECE_ROWS = 8192 }; /* about half a millisecond */

/* What is being done. */
struct adding {
    struct own_writes *own;
    struct write_set *set;
    uint32_t command;
    uint64_t snapshot;
    omen_error *error;
    uint32_t piece; /* targets ended and rows begun since the writer lock was given up */
};

/* So many were done. Others have a chance to become the writer from time to time; the order of the
 * locks is the writer's first. */
static void note_done(struct adding *adding, uint32_t count)
{
    adding->piece += count;
    if (adding->piece < PIECE_ROWS || adding->own->uniques != NULL)
        return;
    adding->piece = 0;
    mutex_unlock(&adding->own->lock);
    txn_writer_yield(adding->own->table->manager);
    mutex_lock(&adding->own->lock);
}

static omen_status fail(const struct adding *adding, omen_status status)
{
    return error_set_default(adding->error, status);
}

static omen_status changed(const struct adding *adding)
{
    return error_set(adding->error, OMEN_SERIALIZATION_FAILURE,
                     "a row of table \"%s\" has changed since it was chosen",
                     adding->own->table->name);
}

/* Room for one step more, so that noting it cannot fail. */
static omen_status step_reserve(struct own_writes *own)
{
    return array_reserve(own->table->allocator, (void **)&own->steps, &own->step_capacity,
                         own->step_count + 1, sizeof *own->steps, NULL)
               ? OMEN_OK
               : OMEN_OUT_OF_MEMORY;
}

/* Something that this commit did has been acted on. */
static void note_commit(struct own_writes *own, uint64_t timestamp)
{
    if (timestamp > own->acted_on)
        own->acted_on = timestamp;
}

/* --- ends --- */

static omen_status end_private(struct adding *adding, uint64_t row_id)
{
    struct own_writes *own = adding->own;
    if (own_group_find(own, row_id) == NULL)
        return changed(adding);
    size_t number = row_id_group(row_id) & ~OWN_GROUP_BIT;
    struct own_group *group = &own->groups[number];
    struct own_slot *slot = &group->slots[row_id_slot(row_id)];
    if (slot->begin == 0 || slot->begin >= adding->command || slot->end != 0)
        return changed(adding);
    omen_status status = step_reserve(own);
    if (status != OMEN_OK)
        return fail(adding, status);
    own->steps[own->step_count++] = (struct own_step){.kind = OWN_STEP_END,
                                                      .group = (uint16_t)number,
                                                      .first = row_id_slot(row_id),
                                                      .command = adding->command};
    slot->end = adding->command;
    group->live--;
    group->last_command = adding->command;
    return OMEN_OK;
}

/* The row that a target names, if it is the newest live version, and as the snapshot saw it. */
static omen_status resolve_shared(struct adding *adding, const struct write_target *target,
                                  struct own_target *out)
{
    const struct table *table = adding->own->table;
    uint64_t newest = row_id_canonical(table, target->row_id);
    const struct group_entry *entry = directory_find(table, row_id_group(newest));
    uint32_t slot = row_id_slot(newest);
    if (entry == NULL || entry->map != NULL || slot >= row_group_row_count(entry->group))
        return changed(adding);
    uint64_t begin = row_group_begin(entry->group, slot);
    if (begin == TIMESTAMP_PENDING || begin > adding->snapshot ||
        row_group_end(entry->group, slot) != TIMESTAMP_INFINITY)
        return changed(adding);
    note_commit(adding->own, begin);
    *out = (struct own_target){.row_id = newest, .begin = begin, .command = adding->command};
    out->key = target->key;
    omen_status status = key_keep(&adding->own->keys_arena, &out->key);
    return status == OMEN_OK ? OMEN_OK : fail(adding, status);
}

static omen_status end_shared(struct adding *adding, struct write_target *ended)
{
    struct own_writes *own = adding->own;
    struct own_target target;
    OMEN_TRY(resolve_shared(adding, ended, &target));
    ended->row_id = target.row_id;
    if (own->target_count >= OWN_TARGETS_MAX)
        return fail(adding, OMEN_LIMIT_EXCEEDED);
    omen_status status = step_reserve(own);
    if (status == OMEN_OK &&
        !array_reserve(own->table->allocator, (void **)&own->targets, &own->target_capacity,
                       own->target_count + 1, sizeof *own->targets, NULL))
        status = OMEN_OUT_OF_MEMORY;
    if (status != OMEN_OK)
        return fail(adding, status);
    /* With a node the key has been written to before, and its shared row is gone for us. */
    if (index_lookup(own->index, target.key) != ROW_ID_NONE)
        return changed(adding);
    target.older = OWN_NODE_NONE;
    uint32_t node = OWN_NODE_TARGET | (uint32_t)own->target_count;
    status = index_put(own->index, target.key, own_node_id(node), NULL);
    if (status != OMEN_OK)
        return fail(adding, status);
    own->targets[own->target_count++] = target;
    own->steps[own->step_count++] =
        (struct own_step){.kind = OWN_STEP_TARGET, .command = adding->command};
    return OMEN_OK;
}

static omen_status end_targets(struct adding *adding)
{
    struct write_set *set = adding->set;
    bool moved = false;
    for (size_t i = 0; i < set->target_count; i++) {
        struct write_target *target = &set->targets[i];
        note_done(adding, 1);
        if ((row_id_group(target->row_id) & OWN_GROUP_BIT) != 0) {
            OMEN_TRY(end_private(adding, target->row_id));
            continue;
        }
        uint64_t read = target->row_id;
        OMEN_TRY(end_shared(adding, target));
        moved |= target->row_id != read;
    }
    if (adding->own->uniques == NULL)
        return OMEN_OK;
    if (moved)
        write_set_rehash(set); /* unique keys ask whose row they belong to */
    return own_uniques_free(adding->own, set, adding->error);
}

/* --- private groups --- */

/* Room for the lifetimes of `capacity` rows. */
static omen_status slots_reserve(struct own_writes *own, struct own_group *group, uint32_t capacity)
{
    struct allocator *allocator = own->table->allocator;
    if (group->slot_capacity >= capacity)
        return OMEN_OK;
    struct own_slot *slots = allocator_alloc(allocator, capacity * sizeof *slots);
    if (slots == NULL)
        return OMEN_OUT_OF_MEMORY;
    if (group->slot_capacity > 0)
        memcpy(slots, group->slots, group->slot_capacity * sizeof *slots);
    for (uint32_t slot = group->slot_capacity; slot < capacity; slot++)
        slots[slot] = (struct own_slot){.older = OWN_NODE_NONE};
    allocator_free(allocator, group->slots, group->slot_capacity * sizeof *slots);
    group->slots = slots;
    group->slot_capacity = capacity;
    return OMEN_OK;
}

/* Takes a group into the own writes, as the last; with a reference of its own. */
static omen_status group_add(struct own_writes *own, struct row_group *group)
{
    if (own->group_count >= OWN_GROUPS_MAX)
        return OMEN_LIMIT_EXCEEDED;
    if (!array_reserve(own->table->allocator, (void **)&own->groups, &own->group_capacity,
                       own->group_count + 1, sizeof *own->groups, NULL))
        return OMEN_OUT_OF_MEMORY;
    struct own_group *added = &own->groups[own->group_count];
    *added = (struct own_group){.group = NULL};
    OMEN_TRY(slots_reserve(own, added, row_group_capacity(group)));
    row_group_renumber(group, OWN_GROUP_BIT | own->group_count);
    added->group = row_group_retain(group);
    if (own->last != OWN_GROUP_NONE && own->groups[own->last].begun == 0)
        own_group_release(own, &own->groups[own->last]);
    own->last = (uint32_t)own->group_count++;
    return OMEN_OK;
}

/* The last group with room for a row at least, made or grown for `wanted` more. */
static omen_status group_ready(struct own_writes *own, uint32_t wanted)
{
    struct own_group *last = own->last == OWN_GROUP_NONE ? NULL : &own->groups[own->last];
    uint32_t rows = last == NULL ? 0 : row_group_row_count(last->group);
    uint32_t capacity = last == NULL ? OWN_GROUP_CAPACITY_MIN : row_group_capacity(last->group);
    if (last != NULL && rows < capacity)
        return OMEN_OK;
    bool fresh = last == NULL || capacity == ROW_GROUP_ROWS;
    struct row_group *group;
    if (fresh) {
        capacity = OWN_GROUP_CAPACITY_MIN;
        rows = 0;
    }
    while (capacity < ROW_GROUP_ROWS && capacity < rows + wanted)
        capacity = (uint32_t)size_min((size_t)capacity * 8, ROW_GROUP_ROWS);
    if (!fresh) {
        OMEN_TRY(slots_reserve(own, last, capacity));
        OMEN_TRY(row_group_grow(last->group, capacity, &group));
        row_group_release(last->group); /* views keep the old form */
        last->group = group;
        return OMEN_OK;
    }
    OMEN_TRY(row_group_create(own->table->allocator, own->table->schema, GROUP_NUMBER_NONE,
                              capacity, &group));
    omen_status status = group_add(own, group);
    row_group_release(group); /* `own` holds it now */
    return status;
}

/* --- rows --- */

/* Keeps room for encoding the key again, when it is undone. */
static omen_status undo_reserve(struct own_writes *own, const struct index_key *key)
{
    if (own->table->schema->key.kind != INDEX_BYTES || key->length <= own->undo_room)
        return OMEN_OK;
    struct arena larger;
    arena_init(&larger, own->table->allocator);
    if (arena_alloc(&larger, key->length) == NULL)
        return OMEN_OUT_OF_MEMORY; /* what there is is still needed */
    arena_release(&own->undo_arena);
    own->undo_arena = larger;
    own->undo_room = key->length;
    return OMEN_OK;
}

/* Whether the table's row `row_id` leaves its key to a row of this transaction, which has not
 * written to the key before. */
static omen_status check_shared(const struct adding *adding, const struct row_group *group,
                                uint32_t slot, uint64_t row_id)
{
    const struct table *table = adding->own->table;
    uint64_t newest = row_id_canonical(table, row_id);
    const struct group_entry *entry = directory_find(table, row_id_group(newest));
    if (row_id == ROW_ID_NONE || entry == NULL)
        return OMEN_OK; /* never there, or ended long ago */
    uint64_t end = row_group_end(entry->group, row_id_slot(newest));
    if (end == TIMESTAMP_INFINITY)
        return duplicate_key_error(table, 0, group, slot, adding->error);
    note_commit(adding->own, end);
    /* What the snapshot may still see must not come to stand beside the new row. */
    return end > adding->snapshot ? changed(adding) : OMEN_OK;
}

/* Leads the index to one row, and lets it begin. */
static omen_status begin_row(struct adding *adding, struct own_step *step, struct index_key key,
                             uint64_t shared)
{
    struct own_writes *own = adding->own;
    struct own_group *group = &own->groups[step->group];
    uint32_t slot = step->first + step->count;
    uint64_t replaced;
    omen_status status = undo_reserve(own, &key);
    if (status == OMEN_OK)
        status = index_put(own->index, key, own_node_id(own_node_of(step->group, slot)), &replaced);
    if (status != OMEN_OK)
        return fail(adding, status);
    uint32_t older = own_id_node(replaced);
    bool taken = older != OWN_NODE_NONE && own_node_lives(own, older);
    group->slots[slot] = (struct own_slot){.begin = adding->command, .older = older};
    group->begun++;
    group->live++;
    step->count++; /* from here on it can be undone */
    if (taken)
        return duplicate_key_error(own->table, 0, group->group, slot, adding->error);
    return older == OWN_NODE_NONE ? check_shared(adding, group->group, slot, shared) : OMEN_OK;
}

/* Lets the rows from `first` on of a private group begin, up to its last. */
static omen_status begin_slots(struct adding *adding, size_t number, uint32_t first, uint32_t count)
{
    struct own_writes *own = adding->own;
    struct own_group *group = &own->groups[number];
    struct index_key keys[LOOKUP_BATCH];
    uint64_t shared[LOOKUP_BATCH];
    omen_status status = step_reserve(own);
    if (status != OMEN_OK)
        return fail(adding, status);
    struct own_step *step = &own->steps[own->step_count++];
    *step = (struct own_step){.kind = OWN_STEP_ROWS,
                              .group = (uint16_t)number,
                              .first = first,
                              .command = adding->command};
    group->last_command = adding->command;
    for (uint32_t done = 0; done < count; done += LOOKUP_BATCH) {
        uint32_t batch = (uint32_t)size_min(LOOKUP_BATCH, count - done);
        arena_reset(&own->scratch);
        for (uint32_t i = 0; i < batch; i++) {
            status = row_group_key(group->group, first + done + i, &own->scratch, &keys[i]);
            if (status != OMEN_OK)
                return key_error(own->table, 0, status, adding->error);
        }
        index_lookup_batch(own->table->index, keys, batch, shared);
        for (uint32_t i = 0; i < batch; i++)
            OMEN_TRY(begin_row(adding, step, keys[i], shared[i]));
        if (own->uniques != NULL)
            OMEN_TRY(
                own_uniques_take(own, adding->set, number, first + done, batch, adding->error));
        note_done(adding, batch);
    }
    return OMEN_OK;
}

/* Copies the rows behind the last group, and on into further ones. */
static omen_status copy_rows(struct adding *adding, const struct row_group *source)
{
    struct own_writes *own = adding->own;
    uint32_t rows = row_group_row_count(source);
    for (uint32_t done = 0; done < rows;) {
        omen_status status = group_ready(own, rows - done);
        if (status != OMEN_OK)
            return fail(adding, status);
        size_t number = own->last;
        struct row_group *group = own->groups[number].group;
        uint32_t first = row_group_row_count(group);
        uint32_t count = (uint32_t)size_min(rows - done, row_group_capacity(group) - first);
        status = row_group_append_slots(group, source, done, count);
        if (status == OMEN_LIMIT_EXCEEDED && first > 0) {
            own->last = OWN_GROUP_NONE; /* its text is at the limit */
            continue;
        }
        if (status != OMEN_OK)
            return fail(adding, status);
        OMEN_TRY(begin_slots(adding, number, first, count));
        done += count;
    }
    return OMEN_OK;
}

/* Whether more rows fit into the last group, grown or as it is. */
static bool last_takes_more(const struct own_writes *own)
{
    return own->last != OWN_GROUP_NONE &&
           row_group_row_count(own->groups[own->last].group) < ROW_GROUP_ROWS;
}

static omen_status begin_rows(struct adding *adding)
{
    struct own_writes *own = adding->own;
    for (size_t i = 0; i < adding->set->group_count; i++) {
        struct row_group *group = adding->set->groups[i];
        uint32_t rows = row_group_row_count(group);
        bool moves = rows > OWN_ROWS_COPIED_MAX || !last_takes_more(own);
        if (rows == 0)
            continue;
        if (!moves || row_group_is_shared(group)) {
            OMEN_TRY(copy_rows(adding, group));
            continue;
        }
        omen_status status = group_add(own, group);
        if (status != OMEN_OK)
            return fail(adding, status);
        OMEN_TRY(begin_slots(adding, own->last, 0, rows));
    }
    return OMEN_OK;
}

/* --- the whole --- */

omen_status own_writes_add(struct own_writes *own, struct write_set *set, uint32_t command,
                           uint64_t snapshot, omen_error *error)
{
    struct adding adding = {own, set, command, snapshot, error, 0};
    OMEN_ASSERT(!set->committed && set->table == own->table && command > 0);
    if (own->table->is_view)
        return error_set(error, OMEN_NOT_READY, "cannot change view \"%s\"", own->table->name);
    if (own->table->is_dropped)
        return error_set(error, OMEN_UNDEFINED_TABLE, "relation \"%s\" does not exist",
                         own->table->name);
    if (own->table->schema->unique_count > 0)
        OMEN_TRY(uniques_ready(set, error));
    mutex_lock(&own->lock);
    struct own_mark mark = own_writes_mark(own);
    omen_status status = OMEN_OK;
    if (own->index == NULL) /* what was written before has been committed */
        status = own_indexes_create(own);
    if (status == OMEN_OK)
        status = end_targets(&adding);
    else
        status = fail(&adding, status);
    if (status == OMEN_OK)
        status = begin_rows(&adding);
    if (status == OMEN_OK)
        atomic_fetch_add_explicit(&own->rows, set->row_count, memory_order_relaxed);
    else
        own_undo(own, mark);
    mutex_unlock(&own->lock);
    set->committed = true; /* its groups have been renumbered */
    return status;
}
