/* table_unique_commit.c - unique keys of a write set: what is noted of them while it is gathered,
 * and its part in the commit.
 *
 *   gather     freed: keys that a target has and loses      taken: keys that its new version gets
 *              replacing: numbers of the rows that are new versions; all other rows are inserted
 *   validate   every whole key of the new rows is free, or held by a row that the set ends
 *   reserve    entries lead to the new rows, those of unchanged keys too; what they held is kept
 *   apply      freed keys whose entries still lead to a row that the set ended lose them
 *   abort      entries back to what they were
 *
 * An entry's old row id is the target's whose key this was, or nothing; so undoing allocates
 * nothing, as with the primary index. Byte keys are kept encoded for the length of the commit.
 *
 * Concurrency: gathering is the set's thread's own; the rest happens with the writer lock held.
 */
#include <string.h>

#include "base/bits.h"
#include "column/key.h"
#include "table/table_uniques.h"

/* Of one unique key, during a commit. */
struct set_unique {
    struct index_key *keys; /* byte keys of all rows; `bytes` NULL: not whole */
    uint64_t *replaced;     /* what each row's entry held before */
    uint64_t put_count;     /* rows whose entry has been put */
};

/* --- notes --- */

static omen_status note(struct write_set *set, struct numbered_key **keys, size_t *count,
                        size_t *capacity, struct numbered_key key)
{
    if (!array_reserve(set->table->allocator, (void **)keys, capacity, *count + 1, sizeof **keys,
                       NULL))
        return OMEN_OUT_OF_MEMORY;
    (*keys)[(*count)++] = key;
    return OMEN_OK;
}

omen_status uniques_note_freed(struct write_set *set, struct numbered_key key)
{
    return note(set, &set->freed, &set->freed_count, &set->freed_capacity, key);
}

void uniques_release(struct write_set *set)
{
    struct allocator *allocator = set->table->allocator;
    array_release(allocator, set->freed, set->freed_capacity, sizeof *set->freed, NULL);
    array_release(allocator, set->taken, set->taken_capacity, sizeof *set->taken, NULL);
    array_release(allocator, set->replacing, set->replacing_capacity, sizeof *set->replacing, NULL);
}

/* Whether the row's value differs from the stored one. */
static bool differs(const struct row_group *group, uint32_t slot, uint32_t column,
                    const omen_value *value)
{
    omen_value stored;
    row_group_read(group, slot, column, &stored);
    if (stored.is_null || value->is_null)
        return stored.is_null != value->is_null;
    return value_compare(&stored, value) != 0;
}

static bool key_changes(const struct schema_key *key, const struct row_group *group, uint32_t slot,
                        const omen_value *row)
{
    bool changes = false;
    for (uint32_t i = 0; i < key->count && !changes; i++)
        changes = differs(group, slot, key->columns[i], &row[key->columns[i]]);
    return changes;
}

omen_status uniques_compare(const struct table *table, uint64_t one, uint64_t other, bool *same,
                            omen_error *error)
{
    const struct schema *schema = table->schema;
    uint64_t ids[] = {row_id_canonical(table, one), row_id_canonical(table, other)};
    const struct group_entry *entries[] = {directory_find(table, row_id_group(ids[0])),
                                           directory_find(table, row_id_group(ids[1]))};
    *same = ids[0] == ids[1];
    if (*same || entries[0] == NULL || entries[1] == NULL)
        return OMEN_OK;
    for (int i = 0; i < 2; i++)
        OMEN_TRY(row_group_ensure_uniques(entries[i]->group, error));
    *same = true;
    for (uint32_t number = 1; number <= schema->unique_count && *same; number++) {
        const struct schema_key *key = schema_key_of(schema, number);
        for (uint32_t i = 0; i < key->count && *same; i++) {
            omen_value value;
            row_group_read(entries[1]->group, row_id_slot(ids[1]), key->columns[i], &value);
            *same = !differs(entries[0]->group, row_id_slot(ids[0]), key->columns[i], &value);
        }
    }
    return OMEN_OK;
}

/* The key of stored values. */
static omen_status key_of_row(const struct schema *schema, const struct schema_key *key,
                              const omen_value *row, struct arena *arena, struct index_key *out,
                              bool *whole)
{
    omen_value values[SCHEMA_KEY_COLUMNS_MAX];
    *whole = true;
    for (uint32_t i = 0; i < key->count; i++) {
        values[i] = row[key->columns[i]];
        *whole = *whole && !values[i].is_null;
    }
    return *whole ? key_encode_of(schema, key, values, arena, out, NULL) : OMEN_OK;
}

static omen_status note_key(struct write_set *set, uint32_t number, const struct row_group *group,
                            uint32_t slot, const omen_value *row)
{
    const struct schema *schema = set->table->schema;
    struct numbered_key old = {.number = number}, new = {.number = number};
    bool whole;
    OMEN_TRY(row_group_key_of(group, number, slot, &set->target_keys, &old.key, &whole));
    if (whole)
        OMEN_TRY(uniques_note_freed(set, old));
    if (row == NULL)
        return OMEN_OK;
    OMEN_TRY(key_of_row(schema, schema_key_of(schema, number), row, &set->target_keys, &new.key,
                        &whole));
    return whole ? note(set, &set->taken, &set->taken_count, &set->taken_capacity, new) : OMEN_OK;
}

omen_status uniques_note_change(struct write_set *set, const struct row_group *group, uint32_t slot,
                                const omen_value *row, omen_error *error)
{
    const struct schema *schema = set->table->schema;
    struct unique_mark mark = uniques_mark(set);
    uint32_t number = 1;
    omen_status status = OMEN_OK;
    for (; number <= schema->unique_count && status == OMEN_OK; number++)
        if (row == NULL || key_changes(schema_key_of(schema, number), group, slot, row))
            status = note_key(set, number, group, slot, row);
    if (status == OMEN_OK && row != NULL) {
        if (array_reserve(set->table->allocator, (void **)&set->replacing, &set->replacing_capacity,
                          set->replacing_count + 1, sizeof *set->replacing, NULL))
            set->replacing[set->replacing_count++] = write_set_private_rows(set);
        else
            status = OMEN_OUT_OF_MEMORY;
    }
    if (status == OMEN_OK)
        return OMEN_OK;
    uniques_forget(set, mark);
    return key_error(set->table, number - 1, status, error);
}

/* Whether the indexes are needed to keep it: some row is new, or gets another unique key. */
bool write_set_needs_uniques(const struct write_set *set)
{
    return set->taken_count > 0 ||
           (!set->commits_own && write_set_private_rows(set) > set->replacing_count);
}

omen_status uniques_ready(struct write_set *set, omen_error *error)
{
    return write_set_needs_uniques(set) ? uniques_build_locked(set->table, error) : OMEN_OK;
}

/* --- keys to lock --- */

size_t uniques_keys_at_most(const struct write_set *set)
{
    size_t inserted = write_set_private_rows(set) - set->replacing_count;
    return set->freed_count + set->taken_count + inserted * set->table->schema->unique_count;
}

/* Appends the noted keys of this number. */
static omen_status noted_keys(const struct numbered_key *noted, size_t noted_count, uint32_t number,
                              struct arena *arena, struct index_key *keys, size_t *count)
{
    for (size_t i = 0; i < noted_count; i++) {
        struct index_key key = noted[i].key;
        if (noted[i].number != number)
            continue;
        OMEN_TRY(key_keep(arena, &key));
        keys[(*count)++] = key;
    }
    return OMEN_OK;
}

/* Appends the whole keys of this number of the rows that are inserted. */
static omen_status inserted_keys(const struct write_set *set, uint32_t number, struct arena *arena,
                                 struct index_key *keys, size_t *count)
{
    uint64_t ordinal = 0;
    size_t replacing = 0;
    for (size_t i = 0; i < set->group_count; i++) {
        uint32_t rows = row_group_row_count(set->groups[i]);
        for (uint32_t slot = 0; slot < rows; slot++, ordinal++) {
            bool whole;
            if (replacing < set->replacing_count && set->replacing[replacing] == ordinal) {
                replacing++;
                continue;
            }
            OMEN_TRY(row_group_key_of(set->groups[i], number, slot, arena, &keys[*count], &whole));
            *count += whole;
        }
    }
    return OMEN_OK;
}

omen_status uniques_keys(const struct write_set *set, struct arena *arena,
                         struct numbered_key *keys, size_t *count, omen_error *error)
{
    const struct schema *schema = set->table->schema;
    if (schema->unique_count == 0)
        return OMEN_OK;
    size_t inserted = write_set_private_rows(set) - set->replacing_count;
    size_t room = set->freed_count + set->taken_count + inserted;
    struct index_key *some = arena_alloc(arena, room * sizeof *some);
    if (some == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t number = 1; number <= schema->unique_count; number++) {
        size_t found = 0;
        omen_status status = noted_keys(set->freed, set->freed_count, number, arena, some, &found);
        if (status == OMEN_OK)
            status = noted_keys(set->taken, set->taken_count, number, arena, some, &found);
        if (status == OMEN_OK)
            status = inserted_keys(set, number, arena, some, &found);
        if (status != OMEN_OK)
            return key_error(set->table, number, status, error);
        found = keys_make_distinct(schema_key_of(schema, number)->kind, some, found);
        for (size_t i = 0; i < found; i++)
            keys[(*count)++] = (struct numbered_key){.number = number, .key = some[i]};
    }
    return OMEN_OK;
}

/* --- the commit: keys of new rows --- */

/* Key `number` of row number `ordinal` of the set, which is at `slot` of `group`; false where it is
 * not whole. */
static bool set_key(const struct write_set *set, uint32_t number, const struct row_group *group,
                    uint32_t slot, uint64_t ordinal, struct index_key *out)
{
    bool whole;
    if (set->uniques[number - 1].keys != NULL) {
        *out = set->uniques[number - 1].keys[ordinal];
        return out->bytes != NULL;
    }
    omen_status status = row_group_key_of(group, number, slot, NULL, out, &whole);
    OMEN_ASSERT(status == OMEN_OK); /* a word needs no memory */
    return whole;
}

static omen_status encode_keys(struct write_set *set, uint32_t number, uint64_t rows)
{
    struct set_unique *unique = &set->uniques[number - 1];
    unique->replaced = arena_alloc(&set->keys_arena, rows * sizeof *unique->replaced);
    if (unique->replaced == NULL)
        return OMEN_OUT_OF_MEMORY;
    if (schema_key_of(set->table->schema, number)->kind != INDEX_BYTES)
        return OMEN_OK;
    struct index_key *key = arena_alloc(&set->keys_arena, rows * sizeof *key);
    if (key == NULL)
        return OMEN_OUT_OF_MEMORY;
    unique->keys = key;
    for (size_t i = 0; i < set->group_count; i++) {
        uint32_t count = row_group_row_count(set->groups[i]);
        bool whole;
        for (uint32_t slot = 0; slot < count; slot++)
            OMEN_TRY(
                row_group_key_of(set->groups[i], number, slot, &set->keys_arena, key++, &whole));
    }
    return OMEN_OK;
}

static omen_status encode_all(struct write_set *set, omen_error *error)
{
    uint32_t count = set->table->schema->unique_count;
    uint64_t rows = write_set_private_rows(set);
    if (rows == 0)
        return OMEN_OK;
    struct set_unique *uniques = arena_alloc(&set->keys_arena, count * sizeof *uniques);
    if (uniques == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    memset(uniques, 0, count * sizeof *uniques);
    set->uniques = uniques;
    for (uint32_t number = 1; number <= count; number++) {
        omen_status status = encode_keys(set, number, rows);
        if (status != OMEN_OK)
            return key_error(set->table, number, status, error);
    }
    return OMEN_OK;
}

/* --- validate --- */

static omen_status validate_batch(const struct write_set *set, uint32_t number,
                                  const struct row_group *group, uint32_t first, uint32_t count,
                                  uint64_t ordinal, omen_error *error)
{
    struct index_key keys[LOOKUP_BATCH];
    uint32_t slots[LOOKUP_BATCH], whole = 0;
    uint64_t row_ids[LOOKUP_BATCH];
    for (uint32_t i = 0; i < count; i++)
        if (set_key(set, number, group, first + i, ordinal + i, &keys[whole]))
            slots[whole++] = first + i;
    index_lookup_batch(set->table->uniques[number - 1], keys, whole, row_ids);
    for (uint32_t i = 0; i < whole; i++)
        if (!write_set_key_is_free(set, row_ids[i]))
            return duplicate_key_error(set->table, number, group, slots[i], error);
    return OMEN_OK;
}

omen_status uniques_validate(struct write_set *set, omen_error *error)
{
    const struct table *table = set->table;
    set->uniques = NULL;
    OMEN_TRY(uniques_ready(set, error));
    if (!uniques_built(table))
        return OMEN_OK; /* nothing changes that they would say */
    OMEN_TRY(encode_all(set, error));
    uint64_t ordinal = 0;
    for (size_t i = 0; i < set->group_count; i++) {
        uint32_t rows = row_group_row_count(set->groups[i]);
        for (uint32_t first = 0; first < rows; first += LOOKUP_BATCH) {
            uint32_t count = (uint32_t)size_min(LOOKUP_BATCH, rows - first);
            for (uint32_t number = 1; number <= table->schema->unique_count; number++)
                OMEN_TRY(validate_batch(set, number, set->groups[i], first, count, ordinal + first,
                                        error));
        }
        ordinal += rows;
    }
    return OMEN_OK;
}

/* --- reserve --- */

static omen_status put_rows(struct write_set *set, uint32_t number,
                            const struct placement *placement, omen_error *error)
{
    struct table *table = set->table;
    struct set_unique *unique = &set->uniques[number - 1];
    struct row_group *group = placement->entry->group;
    for (uint32_t i = 0; i < placement->count; i++) {
        uint32_t slot = placement->first + i;
        uint64_t row_id = row_id_make(placement->entry->number, slot), replaced = ROW_ID_NONE;
        struct index_key key;
        if (set_key(set, number, group, slot, unique->put_count, &key)) {
            omen_status status = index_put(table->uniques[number - 1], key, row_id, &replaced);
            if (status != OMEN_OK)
                return error_set_default(error, status);
        }
        unique->replaced[unique->put_count++] = replaced;
        if (replaced != ROW_ID_NONE && row_is_pending(table, replaced))
            return duplicate_key_error(table, number, group, slot, error); /* twice in this set */
    }
    return OMEN_OK;
}

omen_status uniques_put(struct write_set *set, omen_error *error)
{
    for (uint32_t number = 1; number <= set->table->schema->unique_count; number++)
        for (size_t p = 0; p < set->placement_count; p++)
            OMEN_TRY(put_rows(set, number, &set->placements[p], error));
    return OMEN_OK;
}

/* --- undo and apply --- */

/* Gives the entries of one key back what they held, last first. */
static void undo_key(struct write_set *set, uint32_t number)
{
    struct index *index = set->table->uniques[number - 1];
    struct set_unique *unique = &set->uniques[number - 1];
    uint64_t ordinal = 0;
    for (size_t p = 0; p < set->placement_count; p++)
        ordinal += set->placements[p].count;
    for (size_t p = set->placement_count; p-- > 0;) {
        const struct placement *placement = &set->placements[p];
        for (uint32_t i = placement->count; i-- > 0;) {
            struct index_key key;
            uint32_t slot = placement->first + i;
            if (--ordinal >= unique->put_count ||
                !set_key(set, number, placement->entry->group, slot, ordinal, &key))
                continue;
            uint64_t row_id = row_id_make(placement->entry->number, slot);
            bool undone = unique->replaced[ordinal] == ROW_ID_NONE
                              ? index_erase(index, key)
                              : index_repoint(index, key, row_id, unique->replaced[ordinal]);
            OMEN_ASSERT(undone);
        }
    }
    unique->put_count = 0;
}

void uniques_undo(struct write_set *set)
{
    for (uint32_t number = 1; number <= set->table->schema->unique_count; number++)
        undo_key(set, number);
}

void uniques_apply(struct write_set *set, uint64_t timestamp)
{
    struct table *table = set->table;
    for (size_t i = 0; i < set->freed_count; i++) {
        const struct numbered_key *freed = &set->freed[i];
        struct index *index = table->uniques[freed->number - 1];
        uint64_t row_id = index_lookup(index, freed->key);
        if (row_id == ROW_ID_NONE || !write_set_targets(set, row_id_canonical(table, row_id)))
            continue; /* another row of the set has it now */
        index_erase(index, freed->key);
        table->unique_freed_at = timestamp;
    }
    uniques_count_bytes(table);
}
