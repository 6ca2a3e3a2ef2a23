/* column_export.c - a shared object that hands batches of column storage to a Python consumer.
 *
 * Built from the sources of src/base and src/column; check_layouts.py loads it by ctypes and
 * lets pyarrow validate what comes out. Values are a function of the row, so both sides know
 * them: row i of a nullable column is NULL where (i + column) % 7 == 0.
 */
#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "column/row_group.h"

#define EXPORT __attribute__((visibility("default")))

enum { COLUMNS = 15 };

/* Builds a group of `rows` rows: state 0 open, 1 sealed, 2 frozen. 0 on success. */
EXPORT int column_export_open(uint32_t rows, int state);
EXPORT int column_export_schema(struct ArrowSchema *out);
EXPORT int column_export_batch(uint32_t first, uint32_t count, struct ArrowArray *out);
/* Every third row, through a builder. */
EXPORT int column_export_gathered(uint32_t rows, struct ArrowArray *out);
/* Appends a batch of the same columns to a new group and compares `rows` rows with the group's
 * from `first` on. Consumes nothing. 0 where all is equal. */
EXPORT int column_export_import_back(const struct ArrowSchema *arrow_schema,
                                     const struct ArrowArray *array, uint32_t first,
                                     uint32_t rows);
/* Lets the group go; returns the bytes still in use (batches that live on). */
EXPORT size_t column_export_close(void);
EXPORT size_t column_export_bytes_used(void);

static const struct column_definition columns[COLUMNS] = {
    {"bigint", {.id = OMEN_TYPE_BIGINT}, false, NULL},
    {"boolean", {.id = OMEN_TYPE_BOOLEAN}, true, NULL},
    {"smallint", {.id = OMEN_TYPE_SMALLINT}, true, NULL},
    {"integer", {.id = OMEN_TYPE_INTEGER}, true, NULL},
    {"real", {.id = OMEN_TYPE_REAL}, true, NULL},
    {"double", {.id = OMEN_TYPE_DOUBLE}, true, NULL},
    {"decimal", {.id = OMEN_TYPE_DECIMAL, .precision = 20, .scale = 2}, true, NULL},
    {"text", {.id = OMEN_TYPE_TEXT}, true, NULL},
    {"varchar", {.id = OMEN_TYPE_VARCHAR, .length_max = 60}, true, NULL},
    {"bytea", {.id = OMEN_TYPE_BYTEA}, true, NULL},
    {"date", {.id = OMEN_TYPE_DATE}, true, NULL},
    {"timestamp", {.id = OMEN_TYPE_TIMESTAMP}, true, NULL},
    {"timestamptz", {.id = OMEN_TYPE_TIMESTAMPTZ}, true, NULL},
    {"uuid", {.id = OMEN_TYPE_UUID}, true, NULL},
    {"text_short", {.id = OMEN_TYPE_TEXT}, false, NULL},
};

static struct allocator allocator;
static struct schema *schema;
static struct row_group *group;

static omen_value value_of(uint32_t column, int64_t row, char *text, size_t limit)
{
    omen_value value = {.type = columns[column].type};
    value.is_null = columns[column].nullable && (row + column) % 7 == 0;
    switch (value.type.id) {
    case OMEN_TYPE_BOOLEAN:
        value.as.boolean = row % 3 == 0;
        break;
    case OMEN_TYPE_SMALLINT:
        value.as.i16 = (int16_t)(row % 60000 - 30000);
        break;
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_DATE:
        value.as.i32 = (int32_t)row - 100;
        break;
    case OMEN_TYPE_REAL:
        value.as.f32 = (float)row / 4;
        break;
    case OMEN_TYPE_DOUBLE:
        value.as.f64 = (double)row / 8;
        break;
    case OMEN_TYPE_DECIMAL:
        value.as.decimal = (omen_decimal){(uint64_t)-row, row == 0 ? 0 : -1};
        break;
    case OMEN_TYPE_UUID:
        memcpy(value.as.uuid + 8, &row, sizeof row);
        memset(value.as.uuid, 0, 8);
        break;
    case OMEN_TYPE_BIGINT:
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        value.as.i64 = row * 1000003;
        break;
    default:
        snprintf(text, limit, row % 2 && column != 14 ? "row number %d, long enough" : "%d",
                 (int)row);
        value.as.bytes = (omen_bytes){(const uint8_t *)text, strlen(text)};
        break;
    }
    return value;
}

int column_export_open(uint32_t rows, int state)
{
    const uint32_t key = 0;
    allocator_init(&allocator, 0);
    if (schema_create(&allocator, columns, COLUMNS, &key, 1, &schema, NULL) != OMEN_OK ||
        row_group_create(&allocator, schema, 1, rows, &group) != OMEN_OK)
        return 1;
    for (uint32_t i = 0; i < rows; i++) {
        omen_value row[COLUMNS];
        char text[COLUMNS][64];
        for (uint32_t c = 0; c < COLUMNS; c++)
            row[c] = value_of(c, i, text[c], sizeof text[c]);
        if (row_group_append_values(group, row) != OMEN_OK)
            return 1;
    }
    if (state >= 1)
        row_group_seal(group);
    if (state < 2)
        return 0;
    struct row_group *frozen;
    if (row_group_freeze(group, 0, &frozen) != OMEN_OK)
        return 1;
    row_group_release(group);
    group = frozen;
    return 0;
}

int column_export_schema(struct ArrowSchema *out)
{
    return schema_to_arrow(schema, NULL, 0, out);
}

int column_export_batch(uint32_t first, uint32_t count, struct ArrowArray *out)
{
    uint32_t wanted[COLUMNS];
    for (uint32_t c = 0; c < COLUMNS; c++)
        wanted[c] = c;
    return row_group_export(group, first, count, wanted, COLUMNS, out);
}

int column_export_gathered(uint32_t rows, struct ArrowArray *out)
{
    uint32_t wanted[COLUMNS];
    for (uint32_t c = 0; c < COLUMNS; c++)
        wanted[c] = c;
    struct batch_builder *builder;
    if (batch_builder_create(&allocator, schema, wanted, COLUMNS, rows, &builder) != OMEN_OK)
        return 1;
    omen_status status = OMEN_OK;
    for (uint32_t i = 0; i < rows && status == OMEN_OK; i += 3)
        status = batch_builder_add(builder, group, &(uint16_t){(uint16_t)i}, 1);
    if (status == OMEN_OK)
        status = batch_builder_finish(builder, out);
    batch_builder_destroy(builder);
    return status;
}

int column_export_import_back(const struct ArrowSchema *arrow_schema,
                                     const struct ArrowArray *array, uint32_t first,
                                     uint32_t rows)
{
    struct row_group *target;
    omen_error error;
    if (row_group_create(&allocator, schema, 2, rows, &target) != OMEN_OK)
        return 1;
    int result = row_group_append_arrow(target, arrow_schema, array, 0, rows, 0, &error);
    if (result != OMEN_OK)
        fprintf(stderr, "%s\n", error.message);
    for (uint32_t i = 0; i < rows && result == 0; i++)
        for (uint32_t c = 0; c < COLUMNS && result == 0; c++) {
            omen_value left, right;
            row_group_read(target, i, c, &left);
            row_group_read(group, first + i, c, &right);
            if (left.is_null != right.is_null ||
                (!left.is_null && value_compare(&left, &right) != 0))
                result = 2;
        }
    row_group_release(target);
    return result;
}

size_t column_export_close(void)
{
    row_group_release(group);
    schema_release(schema);
    group = NULL;
    schema = NULL;
    return allocator.bytes_used;
}

size_t column_export_bytes_used(void)
{
    return allocator.bytes_used;
}
