/* own_writes_unique.c - unique keys in what a transaction has written: own_writes_private.h.
 *
 * A key is taken if its entry leads to a private row that lives. Without an entry the table
 * decides: its row keeps the key unless the statement at hand ends that very row, whose new version
 * may have the key again.
 *
 *   INSERT k       -> row                    entry: the row
 *   DELETE of it   -> the row has an end     entry: as it is; the key is free, and the commit says
 * so shared row: k becomes l                  entries: k OWN_NODE_TARGET, l the new version
 *
 * Concurrency: the transaction's thread, the own writes' lock held.
 */
#include <string.h>

#include "table/own_writes_private.h"
#include "table/table_uniques.h"

/* --- indexes --- */

omen_status own_indexes_create(struct own_writes *own)
{
    struct allocator *allocator = own->table->allocator;
    const struct schema *schema = own->table->schema;
    omen_status status = index_create(allocator, schema->key.kind, &own->index);
    if (status != OMEN_OK || schema->unique_count == 0)
        return status;
    own->uniques = allocator_alloc_zeroed(allocator, schema->unique_count * sizeof(struct index *));
    status = own->uniques == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
    for (uint32_t i = 0; i < schema->unique_count && status == OMEN_OK; i++)
        status = index_create(allocator, schema->uniques[i].kind, &own->uniques[i]);
    if (status != OMEN_OK)
        own_indexes_destroy(own);
    return status;
}

void own_indexes_destroy(struct own_writes *own)
{
    uint32_t count = own->table->schema->unique_count;
    index_destroy(own->index);
    own->index = NULL;
    if (own->uniques == NULL)
        return;
    for (uint32_t i = 0; i < count; i++)
        index_destroy(own->uniques[i]);
    allocator_free(own->table->allocator, own->uniques, count * sizeof(struct index *));
    own->uniques = NULL;
}

/* --- steps --- */

/* Leads the entry of a key to a node, so that it can be undone; `*older` gets what it held. */
static omen_status put(struct own_writes *own, struct numbered_key key, uint32_t node,
                       uint32_t *older)
{
    struct own_unique_step step = {.number = key.number};
    struct index_key kept = key.key;
    if (!array_reserve(own->table->allocator, (void **)&own->unique_steps,
                       &own->unique_step_capacity, own->unique_step_count + 1,
                       sizeof *own->unique_steps, NULL))
        return OMEN_OUT_OF_MEMORY;
    OMEN_TRY(key_keep(&own->keys_arena, &kept));
    step.bytes = kept.bytes;
    step.word = kept.bytes != NULL ? kept.length : kept.word;
    uint64_t replaced;
    OMEN_TRY(index_put(own->uniques[key.number - 1], key.key, own_node_id(node), &replaced));
    *older = step.older = own_id_node(replaced);
    own->unique_steps[own->unique_step_count++] = step;
    return OMEN_OK;
}

void own_uniques_undo(struct own_writes *own, size_t steps)
{
    while (own->unique_step_count > steps) {
        const struct own_unique_step *step = &own->unique_steps[--own->unique_step_count];
        struct index *index = own->uniques[step->number - 1];
        struct index_key key = index_key_word(step->word);
        if (step->bytes != NULL)
            key = (struct index_key){.bytes = step->bytes, .length = (size_t)step->word};
        bool undone =
            step->older == OWN_NODE_NONE
                ? index_erase(index, key)
                : index_repoint(index, key, index_lookup(index, key), own_node_id(step->older));
        OMEN_ASSERT(undone);
    }
}

/* --- adding --- */

omen_status own_uniques_free(struct own_writes *own, const struct write_set *set, omen_error *error)
{
    for (size_t i = 0; i < set->freed_count; i++) {
        const struct numbered_key *key = &set->freed[i];
        uint32_t none;
        if (index_lookup(own->uniques[key->number - 1], key->key) != ROW_ID_NONE)
            continue; /* of a private row, which has ended */
        omen_status status = put(own, *key, OWN_NODE_TARGET, &none);
        if (status != OMEN_OK)
            return error_set_default(error, status);
    }
    return OMEN_OK;
}

/* Whether the table leaves a key to the transaction, which has not written to it before. */
static bool shared_is_free(struct own_writes *own, const struct write_set *set,
                           struct numbered_key key)
{
    const struct table *table = own->table;
    if (!uniques_built(table))
        return true; /* it is the key of the row that is being replaced */
    if (!write_set_key_is_free(set, index_lookup(table->uniques[key.number - 1], key.key)))
        return false;
    /* Perhaps by a commit that is not published yet. */
    if (table->unique_freed_at > own->acted_on)
        own->acted_on = table->unique_freed_at;
    return true;
}

static omen_status take(struct own_writes *own, const struct write_set *set, size_t number,
                        uint32_t slot, struct numbered_key key, omen_error *error)
{
    uint32_t older;
    bool free;
    omen_status status = put(own, key, own_node_of(number, slot), &older);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    if (older == OWN_NODE_NONE)
        free = shared_is_free(own, set, key);
    else
        free = !own_node_lives(own, older);
    return free ? OMEN_OK
                : duplicate_key_error(own->table, key.number, own->groups[number].group, slot,
                                      error);
}

omen_status own_uniques_take(struct own_writes *own, const struct write_set *set, size_t group,
                             uint32_t first, uint32_t count, omen_error *error)
{
    uint32_t keys = own->table->schema->unique_count;
    for (uint32_t slot = first; slot < first + count; slot++)
        for (uint32_t number = 1; number <= keys; number++) {
            struct numbered_key key = {.number = number};
            bool whole;
            arena_reset(&own->scratch);
            omen_status status = row_group_key_of(own->groups[group].group, number, slot,
                                                  &own->scratch, &key.key, &whole);
            if (status != OMEN_OK)
                return key_error(own->table, number, status, error);
            if (whole)
                OMEN_TRY(take(own, set, group, slot, key, error));
        }
    return OMEN_OK;
}

/* --- committing --- */

omen_status own_uniques_commit(struct own_writes *own, struct write_set *set)
{
    uint32_t count = own->uniques == NULL ? 0 : own->table->schema->unique_count;
    set->commits_own = true;
    for (uint32_t number = 1; number <= count; number++) {
        struct index_cursor cursor;
        struct index_entry entry;
        index_seek(own->uniques[number - 1], NULL, &cursor);
        while (index_next(&cursor, &entry)) {
            struct numbered_key key = {.number = number, .key = entry.key};
            if (own_node_lives(own, own_id_node(entry.row_id)))
                continue;
            OMEN_TRY(key_keep(&own->keys_arena, &key.key));
            OMEN_TRY(uniques_note_freed(set, key));
        }
    }
    return OMEN_OK;
}
