/* table_validate.c - checks index against rows, and rows against lifetimes, groups and maps.
 *
 * Invariants, beside those of the index and of each group:
 *   - the directory and the list hold the same groups, each under its own number
 *   - every index entry leads to a row that has begun and has this key; if that row has ended,
 *     a queued deleted key waits for it
 *   - every live row is what the entry of its key leads to; so live rows = live entries = the count
 *   - a copied row and its copy have the same key, and the same end where the copy has one
 *   - erasures counts the queued keys of each group
 *   - every live row is what the entries of its whole unique keys lead to, and there are no others
 *
 * Columns that are loaded to look at them are let go again, group by group, so that a table of any
 * size can be checked. For the same reason the key of an index entry is compared with its row's
 * only where the row has ended: each live row has been found by its key, so where there are as many
 * entries of live rows as live rows, no entry has another key.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bits.h"
#include "table/table_uniques.h"

struct check {
    struct table *table;
    struct arena scratch;
    omen_error *error;
    uint64_t unique_rows[SCHEMA_UNIQUES_MAX]; /* live rows that have the key */
};

#define FAIL(check, ...) return error_set((check)->error, OMEN_CORRUPTED, __VA_ARGS__)

static bool same_key(const struct table *table, struct index_key a, struct index_key b)
{
    if (table->schema->key.kind == INDEX_WORD)
        return a.word == b.word;
    return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

static omen_status check_list(struct check *check)
{
    struct table *table = check->table;
    uint64_t listed = 0, filed = 0;
    const struct group_entry *before = NULL;
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next) {
        if (entry->previous != before)
            FAIL(check, "group %" PRIu64 ": the list is not linked both ways", entry->number);
        if (row_group_number(entry->group) != entry->number ||
            directory_find(table, entry->number) != entry)
            FAIL(check, "group %" PRIu64 " is not filed under its number", entry->number);
        if ((entry->map == NULL) != (entry->valid_until == TIMESTAMP_INFINITY))
            FAIL(check, "group %" PRIu64 ": retired without a map", entry->number);
        OMEN_TRY(row_group_validate(entry->group, check->error));
        before = entry;
        listed++;
    }
    if (table->last != before)
        FAIL(check, "the list's end is wrong");
    for (size_t i = 0; i < table->chunk_count; i++)
        filed += table->chunks[i] == NULL ? 0 : table->chunks[i]->used;
    if (listed != filed)
        FAIL(check, "%" PRIu64 " groups in the list, %" PRIu64 " in the directory", listed, filed);
    if (table->open != NULL && (directory_find(table, table->open->number) != table->open ||
                                row_group_state_of(table->open->group) != ROW_GROUP_OPEN))
        FAIL(check, "the open group is not open");
    return OMEN_OK;
}

/* The unique keys of a live row. */
static omen_status check_row_uniques(struct check *check, const struct row_group *group,
                                     uint32_t slot)
{
    struct table *table = check->table;
    uint64_t own_id = row_id_make(row_group_number(group), slot);
    for (uint32_t number = 1; number <= table->schema->unique_count; number++) {
        struct index_key key;
        bool whole;
        OMEN_TRY(row_group_key_of(group, number, slot, &check->scratch, &key, &whole));
        if (!whole)
            continue;
        uint64_t row_id = index_lookup(table->uniques[number - 1], key);
        if (row_id == ROW_ID_NONE || row_id_canonical(table, row_id) != own_id)
            FAIL(check, "group %" PRIu64 " slot %u is live but not what its key of \"%s\" leads to",
                 row_group_number(group), slot, table->schema->uniques[number - 1].name);
        check->unique_rows[number - 1]++;
    }
    return OMEN_OK;
}

static omen_status check_uniques(struct check *check)
{
    const struct table *table = check->table;
    for (uint32_t i = 0; i < table->schema->unique_count; i++) {
        struct index_stats stats;
        OMEN_TRY(index_validate(table->uniques[i], check->error));
        index_stats_of(table->uniques[i], &stats);
        if (stats.entries != check->unique_rows[i])
            FAIL(check, "%" PRIu64 " rows have a key of \"%s\", which has %" PRIu64 " entries",
                 check->unique_rows[i], table->schema->uniques[i].name, stats.entries);
    }
    return OMEN_OK;
}

/* The live rows of one group that views see now. */
static omen_status check_rows(struct check *check, const struct group_entry *entry, uint64_t *live)
{
    struct table *table = check->table;
    const struct row_group *group = entry->group;
    uint32_t rows = row_group_row_count(group);
    for (uint32_t slot = 0; slot < rows; slot++) {
        uint64_t begin = row_group_begin(group, slot), end = row_group_end(group, slot);
        if (begin == TIMESTAMP_PENDING)
            continue;
        if (end != TIMESTAMP_INFINITY) {
            if (end > entry->last_end && row_group_state_of(group) != ROW_GROUP_FROZEN)
                FAIL(check, "group %" PRIu64 " slot %u ended after the group's last end",
                     entry->number, slot);
            continue;
        }
        struct index_key key;
        OMEN_TRY(row_group_key(group, slot, &check->scratch, &key));
        uint64_t row_id = index_lookup(table->index, key);
        if (row_id == ROW_ID_NONE ||
            row_id_canonical(table, row_id) != row_id_make(entry->number, slot))
            FAIL(check, "group %" PRIu64 " slot %u is live but not what its key leads to",
                 entry->number, slot);
        OMEN_TRY(check_row_uniques(check, group, slot));
        ++*live;
    }
    arena_release(&check->scratch);
    return OMEN_OK;
}

static omen_status check_map(struct check *check, const struct group_entry *entry)
{
    struct table *table = check->table;
    for (uint32_t slot = 0; slot < row_group_row_count(entry->group); slot++) {
        uint64_t copy = slot_map_find(entry->map, slot);
        if (copy == ROW_ID_NONE)
            continue;
        const struct group_entry *target = directory_find(table, row_id_group(copy));
        if (target == NULL)
            continue; /* compacted again and gone */
        struct index_key old_key, new_key;
        OMEN_TRY(row_group_key(entry->group, slot, &check->scratch, &old_key));
        OMEN_TRY(row_group_key(target->group, row_id_slot(copy), &check->scratch, &new_key));
        if (!same_key(table, old_key, new_key))
            FAIL(check, "group %" PRIu64 " slot %u was copied to another key", entry->number, slot);
        uint64_t old_end = row_group_end(entry->group, slot);
        if (old_end != TIMESTAMP_INFINITY &&
            row_group_end(target->group, row_id_slot(copy)) != old_end)
            FAIL(check, "group %" PRIu64 " slot %u and its copy end apart", entry->number, slot);
    }
    arena_release(&check->scratch);
    return OMEN_OK;
}

/* Entries lead to rows of their key; counts those whose row is live. */
static omen_status check_entries(struct check *check, uint64_t *live, uint64_t *ended)
{
    struct table *table = check->table;
    struct index_cursor cursor;
    struct index_entry found;
    index_seek(table->index, NULL, &cursor);
    while (index_next(&cursor, &found)) {
        uint64_t row_id = row_id_canonical(table, found.row_id);
        const struct group_entry *entry = directory_find(table, row_id_group(row_id));
        uint32_t slot = row_id_slot(row_id);
        if (entry == NULL || slot >= row_group_row_count(entry->group))
            FAIL(check, "an index entry leads to group %" PRIu64 " slot %u, which is not there",
                 row_id_group(row_id), slot);
        if (row_group_begin(entry->group, slot) == TIMESTAMP_PENDING)
            FAIL(check, "an index entry leads to group %" PRIu64 " slot %u, which never began",
                 row_id_group(row_id), slot);
        if (row_group_end(entry->group, slot) == TIMESTAMP_INFINITY) {
            ++*live;
            continue;
        }
        ++*ended;
        struct index_key key;
        OMEN_TRY(row_group_key(entry->group, slot, &check->scratch, &key));
        if (!same_key(table, key, found.key))
            FAIL(check, "an index entry leads to group %" PRIu64 " slot %u of another key",
                 row_id_group(row_id), slot);
        arena_release(&check->scratch);
    }
    return OMEN_OK;
}

static omen_status check_queue(struct check *check, const struct deleted_keys *queue)
{
    uint64_t before = 0;
    const struct deleted_chunk *chunk = queue->head;
    size_t position = queue->first;
    for (size_t i = 0; i < queue->count; i++, position++) {
        if (position == sizeof chunk->keys / sizeof chunk->keys[0]) {
            chunk = chunk->next;
            position = 0;
        }
        const struct deleted_key *deleted = &chunk->keys[position];
        const struct group_entry *entry =
            directory_find(check->table, row_id_group(deleted->row_id));
        if (entry == NULL || deleted->end < before ||
            row_group_end(entry->group, row_id_slot(deleted->row_id)) != deleted->end)
            FAIL(check, "a queued deleted key does not match its row");
        before = deleted->end;
    }
    return OMEN_OK;
}

/* Queued keys are counted by their groups, in commit order; gives how many there are. */
static omen_status check_deleted(struct check *check, uint64_t *queued)
{
    struct table *table = check->table;
    uint64_t counted = 0;
    *queued = table->deleted.count;
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next) {
        counted += entry->erasures;
        *queued += entry->stalled.count;
        OMEN_TRY(check_queue(check, &entry->stalled));
    }
    if (counted != *queued)
        FAIL(check, "%" PRIu64 " deleted keys counted by groups, %" PRIu64 " queued", counted,
             *queued);
    return check_queue(check, &table->deleted);
}

/* The rows of one group. What is loaded for it goes again. */
static omen_status check_group(struct check *check, struct group_entry *entry, uint64_t *live_rows)
{
    bool was_absent = row_group_column_bytes(entry->group) == 0;
    uint64_t freed;
    if (entry->map != NULL)
        return check_map(check, entry);
    OMEN_TRY(check_rows(check, entry, live_rows));
    return was_absent ? group_unload(check->table, entry, &freed) : OMEN_OK;
}

static omen_status check_all(struct check *check)
{
    struct table *table = check->table;
    uint64_t live_rows = 0, live_entries = 0, ended_entries = 0, queued;
    OMEN_TRY(check_list(check));
    OMEN_TRY(index_validate(table->index, check->error));
    if (table->schema->unique_count > 0)
        OMEN_TRY(uniques_build_locked(table, check->error));
    for (struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        OMEN_TRY(check_group(check, entry, &live_rows));
    OMEN_TRY(check_entries(check, &live_entries, &ended_entries));
    if (live_rows != live_entries || live_rows != table_row_count_estimate(table))
        FAIL(check, "%" PRIu64 " live rows, %" PRIu64 " live entries, %" PRIu64 " counted",
             live_rows, live_entries, table_row_count_estimate(table));
    OMEN_TRY(check_uniques(check));
    OMEN_TRY(check_deleted(check, &queued));
    if (ended_entries > queued)
        FAIL(check, "%" PRIu64 " entries of ended rows, but %" PRIu64 " deleted keys queued",
             ended_entries, queued);
    return OMEN_OK;
}

omen_status table_validate(struct table *table, omen_error *error)
{
    struct check check = {.table = table, .error = error};
    arena_init(&check.scratch, table->allocator);
    mutex_lock(&table->maintenance);
    txn_writer_lock(table->manager);
    omen_status status = check_all(&check);
    txn_writer_unlock(table->manager);
    mutex_unlock(&table->maintenance);
    arena_release(&check.scratch);
    return status;
}
