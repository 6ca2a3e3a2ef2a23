/* table_write.c - gathering rows to insert, update and delete, private to one transaction.
 *
 *   groups:   [private rows ...] [private rows ...]   inserts, and the new versions of updates
 *   targets:  row ids that end at the commit, found again through a hash table
 *
 * A small set grows one group of no number: its rows will be copied into the table's open group.
 * From 8,192 rows on a group has a number of the table's, so that it can be attached whole.
 *
 * Concurrency: one thread. Updates and deletes by key look for the newest committed version, so
 * their caller holds the writer lock from the first of them to the commit. Those by row id take a
 * version that a snapshot saw; whether it is the newest is for the commit to find out.
 */
#include <string.h>

#include "base/bits.h"
#include "column/key.h"
#include "table/own_writes_private.h"
#include "table/table_uniques.h"

enum {
    PRIVATE_CAPACITY_MIN = 16,
    PRIVATE_CAPACITY_COPIED_MAX = 8192, /* larger groups are numbered and attached */
    KEPT_BYTES_MAX = 64 * 1024,         /* of a group that a cleared set keeps */
};

bool array_reserve(struct allocator *allocator, void **array, size_t *capacity, size_t needed,
                   size_t width, const void *small)
{
    if (needed <= *capacity)
        return true;
    size_t grown = *capacity < 8 ? 16 : *capacity * 2;
    if (grown < needed)
        grown = needed;
    void *moved = allocator_alloc(allocator, grown * width);
    if (moved == NULL)
        return false;
    if (*capacity > 0)
        memcpy(moved, *array, *capacity * width);
    array_release(allocator, *array, *capacity, width, small);
    *array = moved;
    *capacity = grown;
    return true;
}

void array_release(struct allocator *allocator, void *array, size_t capacity, size_t width,
                   const void *small)
{
    if (array != small)
        allocator_free(allocator, array, capacity * width);
}

/* What only a commit needs is the small arrays again. */
static void reset_commit(struct write_set *set)
{
    set->keys = NULL;
    set->keys_capacity = 0;
    set->replaced = set->small.replaced;
    set->replaced_capacity = SMALL_SET;
    set->placements = set->small.placements;
    set->placement_capacity = 1;
    set->put_count = set->placement_count = 0;
    set->uniques = NULL;
    set->ended_count = 0;
    set->ended_keys = NULL;
}

/* Makes the set, which is all zero, an empty one of the table, which it takes over. */
static void init_set(struct write_set *set, struct table *table)
{
    set->table = table;
    arena_init(&set->keys_arena, table->allocator);
    arena_init(&set->target_keys, table->allocator);
    set->groups = set->small.groups;
    set->group_capacity = 1;
    set->targets = set->small.targets;
    set->target_capacity = SMALL_SET;
    set->buckets = set->small.buckets;
    set->bucket_count = 2 * SMALL_SET;
    reset_commit(set);
}

omen_status write_set_create(struct table *table, struct write_set **out)
{
    *out = NULL;
    struct write_set *set = allocator_alloc_zeroed(table->allocator, sizeof *set);
    if (set == NULL)
        return OMEN_OUT_OF_MEMORY;
    init_set(set, table_retain(table));
    *out = set;
    return OMEN_OK;
}

void write_set_forget_commit(struct write_set *set)
{
    struct allocator *allocator = set->table->allocator;
    arena_release(&set->keys_arena);
    array_release(allocator, set->keys, set->keys_capacity, sizeof *set->keys, NULL);
    array_release(allocator, set->replaced, set->replaced_capacity, sizeof *set->replaced,
                  set->small.replaced);
    array_release(allocator, set->placements, set->placement_capacity, sizeof *set->placements,
                  set->small.placements);
    reset_commit(set);
}

/* Gives up all that the set holds but its table. */
static void release_set(struct write_set *set)
{
    struct allocator *allocator = set->table->allocator;
    write_set_forget_commit(set);
    row_group_release(set->source);
    arena_release(&set->target_keys);
    for (size_t i = 0; i < set->group_count; i++)
        row_group_release(set->groups[i]);
    array_release(allocator, set->groups, set->group_capacity, sizeof *set->groups,
                  set->small.groups);
    array_release(allocator, set->targets, set->target_capacity, sizeof *set->targets,
                  set->small.targets);
    array_release(allocator, set->buckets, set->bucket_count, sizeof *set->buckets,
                  set->small.buckets);
    if (set->table->schema->unique_count > 0)
        uniques_release(set);
}

void write_set_clear(struct write_set *set)
{
    struct table *table = set->table;
    struct row_group *group = set->group_count == 1 ? row_group_retain(set->groups[0]) : NULL;
    release_set(set);
    *set = (struct write_set){0};
    init_set(set, table);
    if (group != NULL && row_group_capacity(group) == PRIVATE_CAPACITY_MIN &&
        row_group_bytes(group) <= KEPT_BYTES_MAX && row_group_clear(group))
        set->groups[set->group_count++] = group;
    else
        row_group_release(group);
}

void write_set_destroy(struct write_set *set)
{
    if (set == NULL)
        return;
    struct table *table = set->table;
    release_set(set);
    allocator_free(table->allocator, set, sizeof *set);
    table_release(table);
}

struct table *write_set_table(const struct write_set *set)
{
    return set->table;
}

uint64_t write_set_row_count(const struct write_set *set)
{
    return set->row_count;
}

uint64_t write_set_private_rows(const struct write_set *set)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < set->group_count; i++)
        rows += row_group_row_count(set->groups[i]);
    return rows;
}

/* --- private groups --- */

/* A group for `rows` rows to come, not yet part of the set. */
static omen_status private_group_create(struct write_set *set, uint64_t rows,
                                        struct row_group **out)
{
    struct table *table = set->table;
    uint64_t number = GROUP_NUMBER_NONE;
    uint32_t capacity = PRIVATE_CAPACITY_MIN;
    while (capacity < rows && capacity < PRIVATE_CAPACITY_COPIED_MAX)
        capacity *= 2;
    if (rows > PRIVATE_CAPACITY_COPIED_MAX) {
        capacity = ROW_GROUP_ROWS;
        number = group_number_take(table);
    }
    return row_group_create(table->allocator, table->schema, number, capacity, out);
}

/* Appends an empty group to the set. */
static omen_status private_group_add(struct write_set *set, uint64_t rows)
{
    if (!array_reserve(set->table->allocator, (void **)&set->groups, &set->group_capacity,
                       set->group_count + 1, sizeof *set->groups, set->small.groups))
        return OMEN_OUT_OF_MEMORY;
    OMEN_TRY(private_group_create(set, rows, &set->groups[set->group_count]));
    set->group_count++;
    return OMEN_OK;
}

/* Replaces the last group by a larger one with the same rows. */
static omen_status private_group_grow(struct write_set *set)
{
    struct row_group **last = &set->groups[set->group_count - 1];
    uint32_t capacity = row_group_capacity(*last);
    struct row_group *larger = NULL;
    if (capacity < PRIVATE_CAPACITY_COPIED_MAX) {
        uint32_t wanted =
            capacity * 8 < PRIVATE_CAPACITY_COPIED_MAX ? capacity * 8 : PRIVATE_CAPACITY_COPIED_MAX;
        OMEN_TRY(row_group_grow(*last, wanted, &larger));
    } else {
        OMEN_TRY(private_group_create(set, ROW_GROUP_ROWS, &larger));
        omen_status status = row_group_append_slots(larger, *last, 0, row_group_row_count(*last));
        if (status != OMEN_OK) {
            row_group_release(larger);
            return status;
        }
    }
    row_group_release(*last);
    *last = larger;
    return OMEN_OK;
}

/* Rows the last group can take, after making sure that it is at least one. */
static omen_status private_room(struct write_set *set, uint64_t rows, uint32_t *room)
{
    if (set->group_count == 0) {
        OMEN_TRY(private_group_add(set, rows));
    } else {
        const struct row_group *last = set->groups[set->group_count - 1];
        uint32_t capacity = row_group_capacity(last);
        if (row_group_row_count(last) == capacity) {
            if (capacity == ROW_GROUP_ROWS)
                OMEN_TRY(private_group_add(set, ROW_GROUP_ROWS));
            else
                OMEN_TRY(private_group_grow(set));
        }
    }
    const struct row_group *last = set->groups[set->group_count - 1];
    *room = row_group_capacity(last) - row_group_row_count(last);
    return OMEN_OK;
}

omen_status write_set_ready(struct write_set *set, uint32_t count)
{
    if (set->group_count == 0)
        OMEN_TRY(private_group_add(set, count));
    for (;;) {
        const struct row_group *last = set->groups[set->group_count - 1];
        uint32_t capacity = row_group_capacity(last);
        if (capacity - row_group_row_count(last) >= count)
            return OMEN_OK;
        if (capacity == ROW_GROUP_ROWS)
            OMEN_TRY(private_group_add(set, ROW_GROUP_ROWS));
        else
            OMEN_TRY(private_group_grow(set));
    }
}

omen_status write_set_add_group(struct write_set *set)
{
    return private_group_add(set, ROW_GROUP_ROWS);
}

omen_status write_set_add_slots(struct write_set *set, const struct row_group *group,
                                const uint16_t *slots, uint32_t count)
{
    while (count > 0) {
        uint32_t room;
        OMEN_TRY(private_room(set, count, &room));
        struct row_group *last = set->groups[set->group_count - 1];
        uint32_t part = (uint32_t)size_min(count, room);
        omen_status status = row_group_append_chosen(last, group, slots, part);
        if (status == OMEN_LIMIT_EXCEEDED && row_group_row_count(last) > 0) {
            OMEN_TRY(private_group_add(set, ROW_GROUP_ROWS)); /* its text is at the limit */
            continue;
        }
        OMEN_TRY(status);
        slots += part;
        count -= part;
    }
    return OMEN_OK;
}

omen_status write_set_take_group(struct write_set *set, struct row_group *group)
{
    if (!array_reserve(set->table->allocator, (void **)&set->groups, &set->group_capacity,
                       set->group_count + 1, sizeof *set->groups, set->small.groups))
        return OMEN_OUT_OF_MEMORY;
    set->groups[set->group_count++] = row_group_retain(group);
    return OMEN_OK;
}

/* Appends one row of stored_count checked values. */
static omen_status append_row(struct write_set *set, const omen_value *values)
{
    uint32_t room;
    OMEN_TRY(private_room(set, 1, &room));
    struct row_group *last = set->groups[set->group_count - 1];
    omen_status status = row_group_append_values(last, values);
    if (status != OMEN_LIMIT_EXCEEDED || row_group_row_count(last) == 0)
        return status;
    /* The group's text is at its limit: go on in another. */
    OMEN_TRY(private_group_add(set, ROW_GROUP_ROWS));
    status = row_group_append_values(set->groups[set->group_count - 1], values);
    if (status != OMEN_OK)
        row_group_release(set->groups[--set->group_count]);
    return status;
}

/* --- inserts --- */

/* Memory for one row of values: on the stack where it is narrow. */
struct row_buffer {
    omen_value *values;
    size_t bytes; /* allocated; 0 = on the stack */
    omen_value on_stack[32];
};

static bool row_buffer_init(struct row_buffer *row, const struct table *table)
{
    row->values = row->on_stack;
    row->bytes = 0;
    if (table->schema->stored_count <= 32)
        return true;
    row->bytes = table->schema->stored_count * sizeof *row->values;
    row->values = allocator_alloc(table->allocator, row->bytes);
    return row->values != NULL;
}

static void row_buffer_release(struct row_buffer *row, const struct table *table)
{
    if (row->bytes != 0)
        allocator_free(table->allocator, row->values, row->bytes);
}

static int64_t hidden_keys_take(struct table *table, int64_t count)
{
    return atomic_fetch_add_explicit(&table->hidden_key_next, count, memory_order_relaxed);
}

/* As schema_check_value, naming the table too. */
static omen_status check_value(const struct write_set *set, uint32_t column, omen_value *value,
                               omen_error *error)
{
    const struct schema *schema = set->table->schema;
    omen_status status = schema_check_value(schema, column, value, error);
    if (status != OMEN_NOT_NULL_VIOLATION)
        return status;
    return error_set(error, status,
                     "null value in column \"%s\" of relation \"%s\" violates not-null constraint",
                     schema->columns[column].name, set->table->name);
}

omen_status write_set_insert(struct write_set *set, omen_value *values, omen_error *error)
{
    struct table *table = set->table;
    const struct schema *schema = table->schema;
    OMEN_ASSERT(!set->committed);
    for (uint32_t column = 0; column < schema->column_count; column++)
        OMEN_TRY(check_value(set, column, &values[column], error));
    omen_status status;
    if (!schema->key_hidden) {
        status = append_row(set, values);
    } else {
        struct row_buffer row;
        if (!row_buffer_init(&row, table))
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        memcpy(row.values, values, schema->column_count * sizeof *values);
        row.values[schema->column_count] =
            (omen_value){.type = schema->columns[schema->column_count].type,
                         .as.i64 = hidden_keys_take(table, 1)};
        status = append_row(set, row.values);
        row_buffer_release(&row, table);
    }
    if (status != OMEN_OK)
        return error_set_default(error, status);
    set->row_count++;
    return OMEN_OK;
}

struct arrow_input {
    const struct ArrowSchema *schema;
    const struct ArrowArray *array;
    int64_t hidden_key_first;
};

static omen_status append_arrow(struct row_group *group, const struct arrow_input *input,
                                uint64_t first, uint32_t count, omen_error *error)
{
    return row_group_append_arrow(group, input->schema, input->array, (uint32_t)first, count,
                                  input->hidden_key_first + (int64_t)first, error);
}

/* Adds groups with the rows from `first` on. On failure some may have been added. */
static omen_status append_arrow_groups(struct write_set *set, const struct arrow_input *input,
                                       uint64_t first, omen_error *error)
{
    uint64_t rows = (uint64_t)input->array->length;
    while (first < rows) {
        omen_status status = private_group_add(set, rows - first);
        if (status != OMEN_OK)
            return error_set_default(error, status);
        struct row_group *group = set->groups[set->group_count - 1];
        uint64_t count = size_min(rows - first, row_group_capacity(group));
        status = append_arrow(group, input, first, (uint32_t)count, error);
        /* Too much text for one group: fewer rows. */
        while (status == OMEN_LIMIT_EXCEEDED && count > 1) {
            count /= 2;
            status = append_arrow(group, input, first, (uint32_t)count, error);
        }
        OMEN_TRY(status);
        first += count;
    }
    return OMEN_OK;
}

omen_status write_set_insert_arrow(struct write_set *set, const struct ArrowSchema *arrow_schema,
                                   const struct ArrowArray *array, omen_error *error)
{
    struct table *table = set->table;
    OMEN_ASSERT(!set->committed);
    if (array->length < 0 || array->length > UINT32_MAX)
        return error_set(error, OMEN_INVALID_ARGUMENT, "an Arrow array of %lld rows",
                         (long long)array->length);
    if (array->length == 0)
        return OMEN_OK;
    struct arrow_input input = {.schema = arrow_schema, .array = array};
    if (table->schema->key_hidden)
        input.hidden_key_first = hidden_keys_take(table, array->length);

    uint64_t rows = (uint64_t)array->length;
    size_t groups_before = set->group_count;
    uint64_t filled = 0; /* rows that go into the group that is there already */
    if (groups_before > 0) {
        uint32_t room;
        omen_status status = private_room(set, rows, &room);
        if (status != OMEN_OK)
            return error_set_default(error, status);
        groups_before = set->group_count;
        filled = size_min(rows, room);
    }
    /* New groups first, because they can be given back; the rows of a group cannot. */
    omen_status status = append_arrow_groups(set, &input, filled, error);
    if (status == OMEN_OK && filled > 0) {
        status = append_arrow(set->groups[groups_before - 1], &input, 0, (uint32_t)filled, error);
        if (status == OMEN_LIMIT_EXCEEDED) {
            while (set->group_count > groups_before)
                row_group_release(set->groups[--set->group_count]);
            status = append_arrow_groups(set, &input, 0, error);
        }
    }
    if (status != OMEN_OK) {
        while (set->group_count > groups_before)
            row_group_release(set->groups[--set->group_count]);
        return status;
    }
    set->row_count += rows;
    return OMEN_OK;
}

/* --- targets --- */

static size_t bucket_of(const struct write_set *set, uint64_t row_id)
{
    uint64_t mixed = row_id * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(mixed >> 32) & (set->bucket_count - 1);
}

bool write_set_targets(const struct write_set *set, uint64_t row_id)
{
    if (set->target_count == 0)
        return false;
    size_t bucket = bucket_of(set, row_id);
    while (set->buckets[bucket] != 0) {
        if (set->targets[set->buckets[bucket] - 1].row_id == row_id)
            return true;
        bucket = (bucket + 1) & (set->bucket_count - 1);
    }
    return false;
}

static void bucket_insert(struct write_set *set, uint32_t target)
{
    size_t bucket = bucket_of(set, set->targets[target].row_id);
    while (set->buckets[bucket] != 0)
        bucket = (bucket + 1) & (set->bucket_count - 1);
    set->buckets[bucket] = target + 1;
}

void write_set_rehash(struct write_set *set)
{
    memset(set->buckets, 0, set->bucket_count * sizeof *set->buckets);
    for (size_t i = 0; i < set->target_count; i++)
        bucket_insert(set, (uint32_t)i);
}

/* Room for one target more, so that adding it cannot fail. */
static omen_status target_reserve(struct write_set *set)
{
    struct allocator *allocator = set->table->allocator;
    if (set->target_count >= UINT32_MAX - 1)
        return OMEN_LIMIT_EXCEEDED;
    if (!array_reserve(allocator, (void **)&set->targets, &set->target_capacity,
                       set->target_count + 1, sizeof *set->targets, set->small.targets))
        return OMEN_OUT_OF_MEMORY;
    if ((set->target_count + 1) * 2 <= set->bucket_count)
        return OMEN_OK;
    size_t count = set->bucket_count * 2;
    uint32_t *buckets = allocator_alloc_zeroed(allocator, count * sizeof *buckets);
    if (buckets == NULL)
        return OMEN_OUT_OF_MEMORY;
    array_release(allocator, set->buckets, set->bucket_count, sizeof *set->buckets,
                  set->small.buckets);
    set->buckets = buckets;
    set->bucket_count = count;
    write_set_rehash(set);
    return OMEN_OK;
}

static void target_add(struct write_set *set, struct write_target target)
{
    set->targets[set->target_count] = target;
    bucket_insert(set, (uint32_t)set->target_count);
    set->target_count++;
    set->row_count++;
}

omen_status write_set_add_target(struct write_set *set, struct write_target target)
{
    OMEN_TRY(target_reserve(set));
    target_add(set, target);
    return OMEN_OK;
}

void write_set_read_own(struct write_set *set, struct own_writes *own, uint32_t command,
                        uint64_t snapshot)
{
    set->own = own;
    set->command = command;
    set->snapshot = snapshot;
}

/* The row of the table that a statement in a transaction sees under a key. */
static omen_status find_at_snapshot(struct write_set *set, struct index_key key,
                                    struct write_target *out)
{
    struct row_ref row;
    struct table *table = set->table;
    enum own_answer answer = own_writes_get(set->own, set->command, key, &row);
    if (answer == OWN_UNKNOWN &&
        !version_resolve(table, index_lookup(table->index, key),
                         (uint64_t)size_min(set->snapshot, TXN_NEWEST), &row))
        return OMEN_NOT_FOUND;
    if (answer == OWN_GONE)
        return OMEN_NOT_FOUND;
    *out = (struct write_target){.row_id = row_id_make(row_group_number(row.group), row.slot),
                                 .stale_id = ROW_ID_NONE,
                                 .key = key,
                                 .read_earlier = true};
    row_ref_release(&row);
    return OMEN_OK;
}

static omen_status find_newest(const struct write_set *set, struct index_key key,
                               struct write_target *out)
{
    const struct table *table = set->table;
    uint64_t row_id = index_lookup(table->index, key);
    uint64_t newest = row_id_canonical(table, row_id);
    if (row_id == ROW_ID_NONE || directory_find(table, row_id_group(newest)) == NULL ||
        row_end(table, newest) != TIMESTAMP_INFINITY)
        return OMEN_NOT_FOUND;
    *out = (struct write_target){
        .row_id = newest, .stale_id = row_id == newest ? ROW_ID_NONE : row_id, .key = key};
    return OMEN_OK;
}

/* The live row with this key, or NOT_FOUND. The caller is the writer. */
static omen_status target_find(struct write_set *set, const omen_value *key,
                               struct write_target *out)
{
    const struct schema *schema = set->table->schema;
    omen_value checked[SCHEMA_KEY_COLUMNS_MAX];
    for (uint32_t i = 0; i < schema->key.count; i++) {
        checked[i] = key[i];
        omen_status status = schema_check_value(schema, schema->key.columns[i], &checked[i], NULL);
        if (status != OMEN_OK)
            return status == OMEN_TYPE_MISMATCH ? status : OMEN_NOT_FOUND;
    }
    struct index_key encoded;
    omen_status status = key_encode(schema, checked, &set->target_keys, &encoded, NULL);
    if (status == OMEN_OK)
        status =
            set->own != NULL ? find_at_snapshot(set, encoded, out) : find_newest(set, encoded, out);
    else if (status != OMEN_OUT_OF_MEMORY)
        status = OMEN_NOT_FOUND;
    return status;
}

/* Reads the whole row, puts the new values in, and says whether its key changes. */
static bool merge_row(const struct table *table, const struct row_group *group, uint32_t slot,
                      const uint32_t *columns, const omen_value *values, uint32_t column_count,
                      omen_value *row)
{
    const struct schema *schema = table->schema;
    for (uint32_t column = 0; column < schema->stored_count; column++)
        row_group_read(group, slot, column, &row[column]);
    bool moved = false;
    for (uint32_t i = 0; i < column_count; i++) {
        for (uint32_t k = 0; k < schema->key.count; k++)
            moved |= schema->key.columns[k] == columns[i] &&
                     value_compare(&row[columns[i]], &values[i]) != 0;
        row[columns[i]] = values[i];
    }
    return moved;
}

static omen_status check_changes(const struct write_set *set, const uint32_t *columns,
                                 omen_value *values, uint32_t column_count, omen_error *error)
{
    OMEN_ASSERT(!set->committed);
    for (uint32_t i = 0; i < column_count; i++) {
        if (columns[i] >= set->table->schema->column_count)
            return error_set(error, OMEN_INVALID_ARGUMENT, "no column number %u", columns[i]);
        OMEN_TRY(check_value(set, columns[i], &values[i], error));
    }
    return OMEN_OK;
}

/* Appends the new version of the row at `slot` of `group`. */
static omen_status append_version(struct write_set *set, const struct row_group *group,
                                  uint32_t slot, const omen_value *row, omen_error *error)
{
    struct unique_mark mark = uniques_mark(set);
    if (set->table->schema->unique_count > 0)
        OMEN_TRY(uniques_note_change(set, group, slot, row, error));
    omen_status status = append_row(set, row);
    if (status == OMEN_OK)
        return OMEN_OK;
    uniques_forget(set, mark);
    return error_set_default(error, status);
}

/* Adds the target and its new version, which is the row at `slot` of `group` with the values. */
static omen_status update_target(struct write_set *set, struct write_target target,
                                 const struct row_group *group, uint32_t slot,
                                 const uint32_t *columns, const omen_value *values,
                                 uint32_t column_count, omen_error *error)
{
    struct row_buffer row;
    OMEN_TRY(row_group_ensure_all(group, error));
    if (!row_buffer_init(&row, set->table))
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_status status = target_reserve(set);
    if (status != OMEN_OK) {
        error_set_default(error, status);
    } else {
        target.key_freed =
            merge_row(set->table, group, slot, columns, values, column_count, row.values);
        status = append_version(set, group, slot, row.values, error);
    }
    row_buffer_release(&row, set->table);
    if (status == OMEN_OK)
        target_add(set, target);
    return status;
}

/* Adds the target, which is the row at `slot` of `group`. */
static omen_status delete_target(struct write_set *set, struct write_target target,
                                 const struct row_group *group, uint32_t slot, omen_error *error)
{
    omen_status status = target_reserve(set);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    if (set->table->schema->unique_count > 0) {
        OMEN_TRY(row_group_ensure_uniques(group, error));
        OMEN_TRY(uniques_note_change(set, group, slot, NULL, error));
    }
    target.key_freed = true;
    target_add(set, target);
    return OMEN_OK;
}

/* The group of a row that was found by its key. */
static omen_status target_group(struct write_set *set, uint64_t row_id,
                                const struct row_group **out, omen_error *error)
{
    if (set->own != NULL) {
        OMEN_TRY(write_set_source(set, row_id, error));
        *out = set->source;
    } else {
        *out = directory_find(set->table, row_id_group(row_id))->group;
    }
    return OMEN_OK;
}

omen_status write_set_update(struct write_set *set, const omen_value *key, const uint32_t *columns,
                             omen_value *values, uint32_t column_count, omen_error *error)
{
    struct write_target target;
    OMEN_TRY(check_changes(set, columns, values, column_count, error));
    omen_status status = target_find(set, key, &target);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    if (write_set_targets(set, target.row_id))
        return OMEN_OK;
    const struct row_group *group;
    OMEN_TRY(target_group(set, target.row_id, &group, error));
    return update_target(set, target, group, row_id_slot(target.row_id), columns, values,
                         column_count, error);
}

omen_status write_set_delete(struct write_set *set, const omen_value *key, omen_error *error)
{
    OMEN_ASSERT(!set->committed);
    struct write_target target;
    omen_status status = target_find(set, key, &target);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    if (write_set_targets(set, target.row_id))
        return OMEN_OK;
    const struct row_group *group = NULL;
    if (set->table->schema->unique_count > 0)
        OMEN_TRY(target_group(set, target.row_id, &group, error));
    return delete_target(set, target, group, row_id_slot(target.row_id), error);
}

/* --- targets by row id --- */

/* The group is retained by the set until the next: rows of one group come together. */
omen_status write_set_source(struct write_set *set, uint64_t row_id, omen_error *error)
{
    struct table *table = set->table;
    struct row_group *source = set->source;
    if (source != NULL && row_group_number(source) == row_id_group(row_id) &&
        row_id_slot(row_id) < row_group_row_count(source))
        return OMEN_OK;
    if ((row_id_group(row_id) & OWN_GROUP_BIT) != 0) {
        const struct own_group *group = set->own == NULL ? NULL : own_group_find(set->own, row_id);
        set->source = group == NULL ? NULL : row_group_retain(group->group);
    } else {
        biased_lock_read_lock(&table->lock);
        const struct group_entry *entry = directory_find(table, row_id_group(row_id));
        set->source = entry == NULL ? NULL : row_group_retain(entry->group);
        biased_lock_read_unlock(&table->lock);
    }
    row_group_release(source);
    if (set->source != NULL && row_id_slot(row_id) < row_group_row_count(set->source))
        return OMEN_OK;
    return error_set_default(error, OMEN_SERIALIZATION_FAILURE);
}

/* The row's group, and the row's key: its columns may have to be read from the disk, and no commit
 * may wait for that, or fail by it, with the writer lock. */
static omen_status source_key(struct write_set *set, struct write_target *target, omen_error *error)
{
    OMEN_TRY(write_set_source(set, target->row_id, error));
    OMEN_TRY(row_group_ensure_key(set->source, error));
    omen_status status =
        row_group_key(set->source, row_id_slot(target->row_id), &set->target_keys, &target->key);
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}

omen_status write_set_update_row(struct write_set *set, uint64_t row_id, const uint32_t *columns,
                                 omen_value *values, uint32_t column_count, omen_error *error)
{
    struct write_target target = {.row_id = row_id | ROW_ID_OCCUPIED, .read_earlier = true};
    if (write_set_targets(set, target.row_id))
        return OMEN_OK;
    OMEN_TRY(check_changes(set, columns, values, column_count, error));
    OMEN_TRY(source_key(set, &target, error));
    return update_target(set, target, set->source, row_id_slot(row_id), columns, values,
                         column_count, error);
}

omen_status write_set_delete_row(struct write_set *set, uint64_t row_id, omen_error *error)
{
    struct write_target target = {.row_id = row_id | ROW_ID_OCCUPIED, .read_earlier = true};
    OMEN_ASSERT(!set->committed);
    if (write_set_targets(set, target.row_id))
        return OMEN_OK;
    OMEN_TRY(source_key(set, &target, error));
    return delete_target(set, target, set->source, row_id_slot(row_id), error);
}
