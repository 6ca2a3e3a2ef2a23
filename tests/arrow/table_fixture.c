/* A table of every type behind a few plain C functions, for tests/arrow/check_streams.py (ctypes).
 *
 * Row `id` has, in every nullable column c, NULL where (id + c) % 7 == 0, else the value that the
 * Python side computes from id as well. Rows with id % 10 == 3 of the later groups are deleted.
 *
 *   group 0: frozen, unchanged      group 1: frozen, a tenth deleted
 *   group 2: open, a tenth deleted
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "omendb_status.h"
#include "table/table_private.h"

enum { COLUMNS = 17, ROWS_PER_GROUP = 20000 };

struct fixture {
    struct allocator allocator;
    struct txn_manager *manager;
    struct schema *schema;
    struct table *table;
};

OMEN_EXPORT struct fixture *fixture_open(void);
OMEN_EXPORT void fixture_close_table(struct fixture *fixture);
OMEN_EXPORT size_t fixture_close(struct fixture *fixture);
OMEN_EXPORT int fixture_stream(struct fixture *fixture, int above, uint64_t limit,
                               struct ArrowArrayStream *out);
OMEN_EXPORT int fixture_insert(struct fixture *fixture, struct ArrowSchema *schema,
                               struct ArrowArray *array);
OMEN_EXPORT const void *fixture_values(struct fixture *fixture, uint32_t group, uint32_t column);
OMEN_EXPORT uint32_t fixture_rows_per_group(void);

static const struct column_definition columns[COLUMNS] = {
    {.name = "id", .type.id = OMEN_TYPE_BIGINT},
    {.name = "boolean", .type.id = OMEN_TYPE_BOOLEAN, .nullable = true},
    {.name = "smallint", .type.id = OMEN_TYPE_SMALLINT, .nullable = true},
    {.name = "integer", .type.id = OMEN_TYPE_INTEGER, .nullable = true},
    {.name = "bigint", .type.id = OMEN_TYPE_BIGINT, .nullable = true},
    {.name = "real", .type.id = OMEN_TYPE_REAL, .nullable = true},
    {.name = "double", .type.id = OMEN_TYPE_DOUBLE, .nullable = true},
    {.name = "decimal", .type = {.id = OMEN_TYPE_DECIMAL, .precision = 38, .scale = 4},
     .nullable = true},
    {.name = "text", .type.id = OMEN_TYPE_TEXT, .nullable = true},
    {.name = "varchar", .type = {.id = OMEN_TYPE_VARCHAR, .length_max = 40}, .nullable = true},
    {.name = "char", .type = {.id = OMEN_TYPE_CHAR, .length_max = 8}, .nullable = true},
    {.name = "bytea", .type.id = OMEN_TYPE_BYTEA, .nullable = true},
    {.name = "date", .type.id = OMEN_TYPE_DATE, .nullable = true},
    {.name = "timestamp", .type.id = OMEN_TYPE_TIMESTAMP, .nullable = true},
    {.name = "timestamptz", .type.id = OMEN_TYPE_TIMESTAMPTZ, .nullable = true},
    {.name = "uuid", .type.id = OMEN_TYPE_UUID, .nullable = true},
    {.name = "always", .type.id = OMEN_TYPE_INTEGER},
};

#define MUST(call)                                                                     \
    do {                                                                               \
        omen_status must_ = (call);                                                    \
        if (must_ != OMEN_OK) {                                                        \
            fprintf(stderr, "%s: %s\n", #call, omen_status_text(must_));               \
            abort();                                                                   \
        }                                                                              \
    } while (0)

static void set_bytes(omen_value *value, const char *text, int length)
{
    value->as.bytes = (omen_bytes){.data = (const uint8_t *)text, .length = (size_t)length};
}

static void fill_row(int64_t id, omen_value *values, char text[][64])
{
    memset(values, 0, COLUMNS * sizeof *values);
    for (uint32_t c = 0; c < COLUMNS; c++) {
        values[c].type = columns[c].type;
        values[c].is_null = columns[c].nullable && (id + c) % 7 == 0;
    }
    values[0].as.i64 = id;
    values[1].as.boolean = id % 3 == 1;
    values[2].as.i16 = (int16_t)(id % 30000 - 15000);
    values[3].as.i32 = (int32_t)(id * 1000 - 7000000);
    values[4].as.i64 = id * INT64_C(1000000007) - INT64_C(4000000000000);
    values[5].as.f32 = (float)id / 4;
    values[6].as.f64 = (double)id / 8 - 1000;
    values[7].as.decimal = (omen_decimal){.low = (uint64_t)(id - 5000),
                                          .high = id < 5000 ? -1 : 0};
    static const char *const formats[] = {"t%lld", "v%lld", "%-8lld", "%032lld",
                                          "a text too long to be inline: %lld"};
    for (uint32_t i = 0; i < 4; i++) {
        const char *format = formats[i == 0 && id % 2 == 0 ? 4 : i];
        set_bytes(&values[8 + i], text[i], snprintf(text[i], 64, format, (long long)id));
    }
    values[11].as.bytes.length = (size_t)(id % 33);
    values[12].as.i32 = (int32_t)(id - 10000);
    values[13].as.i64 = (id - 10000) * INT64_C(3600000000) + id;
    values[14].as.i64 = (id - 10000) * INT64_C(7200000000) + id;
    memset(values[15].as.uuid, (int)(id % 256), 16);
    memcpy(values[15].as.uuid, &id, 8);
    values[16].as.i32 = (int32_t)id;
}

static void insert_rows(struct fixture *fixture, int64_t first, int64_t count)
{
    struct write_set *set;
    MUST(write_set_create(fixture->table, &set));
    for (int64_t id = first; id < first + count; id++) {
        omen_value values[COLUMNS];
        char text[4][64];
        fill_row(id, values, text);
        MUST(write_set_insert(set, values, NULL));
    }
    MUST(write_set_commit(set, false, NULL));
    write_set_destroy(set);
}

static void delete_rows(struct fixture *fixture, int64_t first, int64_t count)
{
    struct write_set *set;
    txn_writer_lock(fixture->manager);
    MUST(write_set_create(fixture->table, &set));
    for (int64_t id = first; id < first + count; id++) {
        omen_value key = {.type.id = OMEN_TYPE_BIGINT, .as.i64 = id};
        if (id % 10 == 3)
            MUST(write_set_delete(set, &key, NULL));
    }
    MUST(write_set_commit(set, true, NULL));
    txn_writer_unlock(fixture->manager);
    write_set_destroy(set);
}

struct fixture *fixture_open(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    const uint32_t key = 0;
    allocator_init(&fixture->allocator, 0);
    MUST(txn_manager_create(&fixture->allocator, &fixture->manager));
    MUST(schema_create(&fixture->allocator, columns, COLUMNS, &key, 1, &fixture->schema, NULL));
    MUST(table_create(&fixture->allocator, fixture->manager, "all_types", fixture->schema,
                      &fixture->table));
    for (int64_t group = 0; group < 3; group++) {
        insert_rows(fixture, group * ROWS_PER_GROUP, ROWS_PER_GROUP);
        if (group < 2) {
            table_seal_open(fixture->table);
            MUST(table_maintain(fixture->table, UINT64_MAX, NULL));
        }
    }
    delete_rows(fixture, ROWS_PER_GROUP, 2 * ROWS_PER_GROUP);
    return fixture;
}

uint32_t fixture_rows_per_group(void)
{
    return ROWS_PER_GROUP;
}

/* Rows with id > above, up to the limit; above < 0: no filter at all. */
int fixture_stream(struct fixture *fixture, int above, uint64_t limit,
                   struct ArrowArrayStream *out)
{
    struct snapshot snapshot;
    struct table_view *view;
    uint32_t all[COLUMNS];
    for (uint32_t c = 0; c < COLUMNS; c++)
        all[c] = c;
    omen_value bound = {.type.id = OMEN_TYPE_BIGINT, .as.i64 = above};
    omen_predicate predicate = {0, OMEN_GT, &bound, 1};
    struct scan_spec spec = {.columns = all,
                             .column_count = COLUMNS,
                             .predicates = &predicate,
                             .predicate_count = above >= 0,
                             .limit = limit,
                             .partition_count = 1};
    MUST(snapshot_acquire(fixture->manager, &snapshot));
    MUST(table_view_open(fixture->table, &snapshot, &view));
    omen_status status = table_scan_stream(view, &spec, out, NULL);
    table_view_release(view);
    snapshot_release(&snapshot);
    return (int)status;
}

/* Inserts a batch that the other side made; releases it. */
int fixture_insert(struct fixture *fixture, struct ArrowSchema *schema, struct ArrowArray *array)
{
    struct write_set *set;
    omen_error error = {0};
    MUST(write_set_create(fixture->table, &set));
    omen_status status = write_set_insert_arrow(set, schema, array, &error);
    if (status == OMEN_OK)
        status = write_set_commit(set, false, &error);
    if (status != OMEN_OK)
        fprintf(stderr, "insert: %s\n", error.message);
    write_set_destroy(set);
    schema->release(schema);
    array->release(array);
    return (int)status;
}

/* Where the table itself keeps the column of the nth group. */
const void *fixture_values(struct fixture *fixture, uint32_t group, uint32_t column)
{
    const struct group_entry *entry = fixture->table->first;
    while (group-- > 0 && entry != NULL)
        entry = entry->next;
    return entry == NULL ? NULL : row_group_values(entry->group, column);
}

/* The caller's reference alone: streams and batches live on. */
void fixture_close_table(struct fixture *fixture)
{
    table_release(fixture->table);
    fixture->table = NULL;
}

/* Gives the bytes that are still in use: 0 unless something leaked. */
size_t fixture_close(struct fixture *fixture)
{
    table_release(fixture->table);
    schema_release(fixture->schema);
    txn_manager_destroy(fixture->manager);
    size_t left = fixture->allocator.bytes_used;
    free(fixture);
    return left;
}
