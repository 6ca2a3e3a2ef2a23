/* arrow_import.c - appending rows of an imported Arrow array to an open group.
 *
 * Column after column is checked and converted straight into the slots behind row_count; the
 * rows appear all at once when every column is through. Arrow data comes from outside: pointers,
 * lengths, offsets and views are checked as far as the interface makes that possible (it does
 * not say how long a buffer is, save for the data buffers of views).
 *
 * Integers and times pass through blocks of int64, so that n source types and m column types
 * need n loaders and m stores rather than n x m loops.
 */
#include <inttypes.h>

#include "column/decimal.h"
#include "column/float_order.h"
#include "column/row_group_private.h"
#include "column/schema_private.h"
#include "column/time_range.h"

enum { BLOCK_ROWS = 1024 };

#define DAY_MS INT64_C(86400000)

struct import {
    struct row_group *group;
    const struct column_definition *definition;
    struct column *column;
    struct arrow_format format;
    const struct ArrowArray *array;
    int64_t at;   /* position of the first row in the array's buffers */
    uint32_t row; /* of the first row, for messages */
    uint32_t count;
    uint32_t slot;
    omen_error *error;
};

/* --- messages --- */

static omen_status bad_array(const struct import *import, const char *what)
{
    return error_set(import->error, OMEN_INVALID_ARGUMENT, "Arrow column \"%s\": %s",
                     import->definition->name, what);
}

static omen_status out_of_range(const struct import *import, uint32_t i, omen_status status)
{
    return error_set(import->error, status,
                     "value out of range for column \"%s\" of type %s, row %" PRIu64,
                     import->definition->name, type_name(import->definition->type.id),
                     (uint64_t)import->row + i + 1);
}

/* Adds the row to the message that a check of a single value left. */
static omen_status name_row(const struct import *import, uint32_t i, omen_status status)
{
    if (import->error != NULL) {
        omen_error inner = *import->error;
        error_set(import->error, status, "%s, row %" PRIu64, inner.message,
                  (uint64_t)import->row + i + 1);
    }
    return status;
}

/* --- shape --- */

static bool is_text_kind(enum arrow_kind kind)
{
    return kind == ARROW_UTF8 || kind == ARROW_LARGE_UTF8 || kind == ARROW_UTF8_VIEW;
}

static bool is_binary_kind(enum arrow_kind kind)
{
    return kind == ARROW_BINARY || kind == ARROW_LARGE_BINARY || kind == ARROW_BINARY_VIEW;
}

static bool is_view_kind(enum arrow_kind kind)
{
    return kind == ARROW_UTF8_VIEW || kind == ARROW_BINARY_VIEW;
}

static bool format_suits(const struct arrow_format *format, const omen_type *type)
{
    switch (type->id) {
    case OMEN_TYPE_BOOLEAN:
        return format->kind == ARROW_BOOL;
    case OMEN_TYPE_SMALLINT:
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_BIGINT:
        return format->kind >= ARROW_INT8 && format->kind <= ARROW_UINT64;
    case OMEN_TYPE_REAL:
        return format->kind == ARROW_FLOAT;
    case OMEN_TYPE_DOUBLE:
        return format->kind == ARROW_FLOAT || format->kind == ARROW_DOUBLE;
    case OMEN_TYPE_DECIMAL:
        return format->kind == ARROW_DECIMAL128 && format->scale <= type->scale;
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR:
        return is_text_kind(format->kind);
    case OMEN_TYPE_BYTEA:
        return is_binary_kind(format->kind);
    case OMEN_TYPE_DATE:
        return format->kind == ARROW_DATE32 || format->kind == ARROW_DATE64;
    case OMEN_TYPE_TIMESTAMP:
        return format->kind == ARROW_TIMESTAMP && !format->zoned;
    case OMEN_TYPE_TIMESTAMPTZ:
        return format->kind == ARROW_TIMESTAMP && format->zoned;
    case OMEN_TYPE_UUID:
        return format->kind == ARROW_FIXED_BINARY && format->width == 16;
    case OMEN_TYPE_NONE:
        break;
    }
    return false;
}

static omen_status check_format(struct import *import, const struct ArrowSchema *schema)
{
    if (schema == NULL || schema->release == NULL || schema->format == NULL)
        return bad_array(import, "the schema is missing or released");
    if (schema->dictionary != NULL || (import->array != NULL && import->array->dictionary != NULL))
        return error_set(import->error, OMEN_NOT_SUPPORTED,
                         "column \"%s\": dictionary-encoded Arrow data is not supported",
                         import->definition->name);
    if (!arrow_format_parse(schema->format, &import->format))
        return error_set(import->error, OMEN_NOT_SUPPORTED,
                         "column \"%s\": the Arrow format \"%s\" is not supported",
                         import->definition->name, schema->format);
    if (import->format.kind != ARROW_NULL &&
        !format_suits(&import->format, &import->definition->type))
        return error_set(import->error, OMEN_TYPE_MISMATCH,
                         "column \"%s\" is of type %s but the Arrow data has the format \"%s\"",
                         import->definition->name, type_name(import->definition->type.id),
                         schema->format);
    return OMEN_OK;
}

static omen_status check_buffers(const struct import *import)
{
    const struct ArrowArray *array = import->array;
    enum arrow_kind kind = import->format.kind;
    if (kind == ARROW_NULL)
        return OMEN_OK;
    bool view = is_view_kind(kind);
    bool offsets = !view && (is_text_kind(kind) || is_binary_kind(kind));
    int64_t wanted = offsets || view ? 3 : 2;
    if (view ? array->n_buffers < wanted : array->n_buffers != wanted)
        return bad_array(import, "wrong number of buffers");
    if (array->buffers == NULL)
        return bad_array(import, "no buffers");
    if (array->null_count > 0 && array->buffers[0] == NULL)
        return bad_array(import, "NULLs but no validity buffer");
    if (import->count > 0 && array->buffers[1] == NULL)
        return bad_array(import, "values but no value buffer");
    if (view && array->n_buffers > 3 && array->buffers[array->n_buffers - 1] == NULL)
        return bad_array(import, "data buffers without sizes");
    return OMEN_OK;
}

/* `rows_before` of the struct come before the first row in question. */
static omen_status check_child(struct import *import, const struct ArrowSchema *schema,
                               const struct ArrowArray *array, int64_t rows_before)
{
    import->array = array;
    OMEN_TRY(check_format(import, schema));
    if (array == NULL || array->release == NULL)
        return bad_array(import, "the array is missing or released");
    if (array->length < 0 || array->offset < 0 || array->offset > INT64_MAX / 64 ||
        rows_before > array->length || array->length - rows_before < import->count)
        return bad_array(import, "shorter than its struct");
    import->at = array->offset + rows_before;
    return check_buffers(import);
}

/* --- validity --- */

static bool source_bit(const void *bitmap, int64_t index)
{
    return ((const uint8_t *)bitmap)[index / 8] >> (index % 8) & 1;
}

static bool slot_is_null(const struct import *import, uint32_t i)
{
    return import->column->valid != NULL && import->column->valid[import->slot + i] == 0;
}

static omen_status import_validity(const struct import *import)
{
    struct column *column = import->column;
    const void *bitmap = import->format.kind == ARROW_NULL ? NULL : import->array->buffers[0];
    if (import->format.kind != ARROW_NULL && (bitmap == NULL || import->array->null_count == 0)) {
        if (column->valid != NULL)
            memset(column->valid + import->slot, 1, import->count);
        return OMEN_OK;
    }
    for (uint32_t i = 0; i < import->count; i++) {
        bool has_value = bitmap != NULL && source_bit(bitmap, import->at + i);
        if (column->valid != NULL)
            column->valid[import->slot + i] = has_value;
        else if (!has_value)
            return error_set(import->error, OMEN_NOT_NULL_VIOLATION,
                             "null value in column \"%s\" violates not-null constraint, "
                             "row %" PRIu64,
                             import->definition->name, (uint64_t)import->row + i + 1);
    }
    return OMEN_OK;
}

/* A NULL's cell is zero, whatever the source had there. */
static void clear_nulls(const struct import *import)
{
    if (import->column->valid == NULL)
        return;
    for (uint32_t i = 0; i < import->count; i++)
        if (slot_is_null(import, i))
            column_put_null(import->column, import->slot + i);
}

/* --- integers, dates, times --- */

#define LOAD(type)                                                                                 \
    for (uint32_t i = 0; i < count; i++) {                                                         \
        type value;                                                                                \
        memcpy(&value, source + (size_t)(at + i) * sizeof value, sizeof value);                    \
        out[i] = (int64_t)value;                                                                   \
    }

/* `count` numbers from position `at` on. False where a UINT64 exceeds int64; its row in *bad. */
static bool load_integers(const struct import *import, int64_t at, uint32_t count, int64_t *out,
                          uint32_t *bad)
{
    const uint8_t *source = import->array->buffers[1];
    switch (import->format.kind) {
    case ARROW_INT8:
        LOAD(int8_t)
        break;
    case ARROW_UINT8:
        LOAD(uint8_t)
        break;
    case ARROW_INT16:
        LOAD(int16_t)
        break;
    case ARROW_UINT16:
        LOAD(uint16_t)
        break;
    case ARROW_INT32:
    case ARROW_DATE32:
        LOAD(int32_t)
        break;
    case ARROW_UINT32:
        LOAD(uint32_t)
        break;
    default:
        LOAD(int64_t)
        break;
    }
    for (*bad = 0; import->format.kind == ARROW_UINT64 && *bad < count; (*bad)++)
        if (out[*bad] < 0 && !slot_is_null(import, (uint32_t)(at - import->at) + *bad))
            return false;
    return true;
}

/* Brings a time of the source's unit to the column's; false where that would lose or overflow. */
static bool convert_time(const struct arrow_format *format, int64_t *value)
{
    if (format->kind == ARROW_DATE64) {
        bool whole = *value % DAY_MS == 0;
        *value /= DAY_MS;
        return whole;
    }
    if (format->kind != ARROW_TIMESTAMP || format->units_per_second == 1000000)
        return true;
    if (format->units_per_second > 1000000) {
        bool whole = *value % 1000 == 0;
        *value /= 1000;
        return whole;
    }
    return !__builtin_mul_overflow(*value, 1000000 / format->units_per_second, value);
}

static bool fits_width(int64_t value, uint32_t width)
{
    return width == 8 || (width == 4 ? value == (int32_t)value : value == (int16_t)value);
}

static void store_integer(struct column *column, uint32_t slot, int64_t value)
{
    if (column->width == 2)
        ((int16_t *)column->values)[slot] = (int16_t)value;
    else if (column->width == 4)
        ((int32_t *)column->values)[slot] = (int32_t)value;
    else
        ((int64_t *)column->values)[slot] = value;
}

/* Whether the source's numbers are the column's, bit for bit. */
static bool same_integers(const struct import *import)
{
    switch (import->format.kind) {
    case ARROW_INT16:
        return import->column->width == 2;
    case ARROW_INT32:
    case ARROW_DATE32:
        return import->column->width == 4;
    case ARROW_INT64:
        return import->column->width == 8;
    case ARROW_TIMESTAMP:
        return import->format.units_per_second == 1000000;
    default:
        return false;
    }
}

static omen_status import_integers(const struct import *import)
{
    struct column *column = import->column;
    size_t width = column->width;
    if (same_integers(import)) {
        memcpy((uint8_t *)column->values + import->slot * width,
               (const uint8_t *)import->array->buffers[1] + (size_t)import->at * width,
               import->count * width);
        return OMEN_OK;
    }
    bool time = import->format.kind == ARROW_TIMESTAMP || import->format.kind == ARROW_DATE64;
    omen_status range_status = time ? OMEN_DATETIME_OVERFLOW : OMEN_OUT_OF_RANGE;
    int64_t block[BLOCK_ROWS];
    for (uint32_t done = 0; done < import->count; done += BLOCK_ROWS) {
        uint32_t count = (uint32_t)size_min(BLOCK_ROWS, import->count - done);
        uint32_t bad;
        if (!load_integers(import, import->at + done, count, block, &bad))
            return out_of_range(import, done + bad, range_status);
        for (uint32_t i = 0; i < count; i++) {
            int64_t value = block[i];
            bool good = convert_time(&import->format, &value) && fits_width(value, column->width);
            if (!good && !slot_is_null(import, done + i))
                return out_of_range(import, done + i, range_status);
            store_integer(column, import->slot + done + i, value);
        }
    }
    return OMEN_OK;
}

/* Times that the calendar does not have, in rows that are no NULLs. */
static omen_status check_times(const struct import *import)
{
    const struct column *column = import->column;
    for (uint32_t i = 0; i < import->count; i++) {
        omen_value value = {.type = import->definition->type};
        if (column->width == 4)
            value.as.i32 = ((const int32_t *)column->values)[import->slot + i];
        else
            value.as.i64 = ((const int64_t *)column->values)[import->slot + i];
        if (!value_time_in_range(&value) && !slot_is_null(import, i))
            return out_of_range(import, i, OMEN_DATETIME_OVERFLOW);
    }
    return OMEN_OK;
}

/* --- the other fixed widths --- */

static void import_booleans(const struct import *import)
{
    for (uint32_t i = 0; i < import->count; i++)
        import->column->truth[import->slot + i] =
            source_bit(import->array->buffers[1], import->at + i);
}

static void import_floats(const struct import *import)
{
    float *target = (float *)import->column->values + import->slot;
    const uint8_t *source =
        (const uint8_t *)import->array->buffers[1] + (size_t)import->at * sizeof *target;
    for (uint32_t i = 0; i < import->count; i++) {
        float value;
        memcpy(&value, source + i * sizeof value, sizeof value);
        target[i] = float_canonical(value);
    }
}

static void import_doubles(const struct import *import)
{
    double *target = (double *)import->column->values + import->slot;
    bool narrow = import->format.kind == ARROW_FLOAT;
    size_t width = narrow ? sizeof(float) : sizeof(double);
    const uint8_t *source = (const uint8_t *)import->array->buffers[1] + (size_t)import->at * width;
    for (uint32_t i = 0; i < import->count; i++) {
        double value;
        float narrow_value;
        if (narrow) {
            memcpy(&narrow_value, source + i * width, width);
            value = narrow_value;
        } else {
            memcpy(&value, source + i * width, width);
        }
        target[i] = double_canonical(value);
    }
}

static omen_status import_decimals(const struct import *import)
{
    const omen_type *type = &import->definition->type;
    uint32_t raise = (uint32_t)(type->scale - import->format.scale);
    bool only_zero = raise > type->precision;
    wide_integer bound = decimal_power(only_zero ? 0 : type->precision - raise);
    wide_integer factor = only_zero ? 0 : decimal_power(raise);
    omen_decimal *target = (omen_decimal *)import->column->values + import->slot;
    const uint8_t *source =
        (const uint8_t *)import->array->buffers[1] + (size_t)import->at * sizeof *target;
    for (uint32_t i = 0; i < import->count; i++) {
        if (slot_is_null(import, i))
            continue;
        omen_decimal decimal;
        memcpy(&decimal, source + i * sizeof decimal, sizeof decimal);
        wide_integer value = decimal_to_integer(decimal);
        if (value <= -bound || value >= bound)
            return out_of_range(import, i, OMEN_OUT_OF_RANGE);
        target[i] = decimal_from_integer(value * factor);
    }
    return OMEN_OK;
}

/* --- text and bytes --- */

static int64_t load_offset(const struct import *import, int64_t index)
{
    const uint8_t *offsets = import->array->buffers[1];
    if (import->format.kind == ARROW_UTF8 || import->format.kind == ARROW_BINARY) {
        int32_t offset;
        memcpy(&offset, offsets + (size_t)index * sizeof offset, sizeof offset);
        return offset;
    }
    int64_t offset;
    memcpy(&offset, offsets + (size_t)index * sizeof offset, sizeof offset);
    return offset;
}

/* The string at position `index`; false where its place makes no sense. */
static bool load_by_offset(const struct import *import, int64_t index, omen_bytes *out)
{
    int64_t start = load_offset(import, index);
    int64_t end = load_offset(import, index + 1);
    const uint8_t *data = import->array->buffers[2];
    if (start < 0 || end < start || (end > start && data == NULL))
        return false;
    *out = (omen_bytes){end > start ? data + start : NULL, (size_t)(end - start)};
    return true;
}

static bool load_view(const struct import *import, int64_t index, omen_bytes *out)
{
    const uint8_t *cell =
        (const uint8_t *)import->array->buffers[1] + (size_t)index * sizeof(struct view);
    struct view view;
    memcpy(&view, cell, sizeof view);
    if (view.length > INT32_MAX)
        return false;
    if (view.length <= VIEW_INLINE_BYTES) {
        *out = (omen_bytes){cell + sizeof view.length, view.length};
        return true;
    }
    int64_t data_buffers = import->array->n_buffers - 3;
    if (view.as.place.chunk >= data_buffers || view.as.place.offset > INT32_MAX)
        return false;
    const uint8_t *sizes = import->array->buffers[import->array->n_buffers - 1];
    int64_t size;
    memcpy(&size, sizes + view.as.place.chunk * sizeof size, sizeof size);
    const uint8_t *data = import->array->buffers[2 + view.as.place.chunk];
    if (data == NULL || (int64_t)view.as.place.offset + view.length > size)
        return false;
    *out = (omen_bytes){data + view.as.place.offset, view.length};
    return true;
}

static omen_status import_text(const struct import *import)
{
    bool view = is_view_kind(import->format.kind);
    for (uint32_t i = 0; i < import->count; i++) {
        if (slot_is_null(import, i))
            continue;
        omen_bytes bytes = {NULL, 0};
        if (!(view ? load_view(import, import->at + i, &bytes)
                   : load_by_offset(import, import->at + i, &bytes)))
            return name_row(import, i, bad_array(import, "a string lies outside its buffer"));
        size_t padding;
        omen_status status = schema_check_text(import->definition, bytes.data, bytes.length,
                                               &padding, import->error);
        if (status != OMEN_OK)
            return name_row(import, i, status);
        status = column_put_text(import->group, import->column, import->slot + i, bytes.data,
                                 bytes.length, padding);
        if (status != OMEN_OK)
            return error_set_default(import->error, status);
    }
    return OMEN_OK;
}

/* --- columns --- */

static omen_status import_values(const struct import *import)
{
    switch (import->definition->type.id) {
    case OMEN_TYPE_BOOLEAN:
        import_booleans(import);
        return OMEN_OK;
    case OMEN_TYPE_REAL:
        import_floats(import);
        return OMEN_OK;
    case OMEN_TYPE_DOUBLE:
        import_doubles(import);
        return OMEN_OK;
    case OMEN_TYPE_DECIMAL:
        return import_decimals(import);
    case OMEN_TYPE_UUID:
        memcpy((uint8_t *)import->column->values + import->slot * 16,
               (const uint8_t *)import->array->buffers[1] + (size_t)import->at * 16,
               (size_t)import->count * 16);
        return OMEN_OK;
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR:
    case OMEN_TYPE_BYTEA:
        return import_text(import);
    case OMEN_TYPE_DATE:
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        OMEN_TRY(import_integers(import));
        return check_times(import);
    default:
        return import_integers(import);
    }
}

static omen_status import_column(struct import *import)
{
    OMEN_TRY(import_validity(import));
    if (import->format.kind != ARROW_NULL && import->count > 0)
        OMEN_TRY(import_values(import));
    clear_nulls(import);
    return OMEN_OK;
}

omen_status column_import_arrow(struct row_group *group, uint32_t position, uint32_t slot,
                                const struct ArrowSchema *arrow_schema,
                                const struct ArrowArray *array, int64_t first, uint32_t count,
                                omen_error *error)
{
    struct import import = {
        .group = group,
        .definition = &group->schema->columns[position],
        .column = &group->columns[position],
        .row = slot,
        .count = count,
        .slot = slot,
        .error = error,
    };
    OMEN_TRY(check_child(&import, arrow_schema, array, first));
    return import_column(&import);
}

static omen_status check_struct(const struct row_group *group, const struct ArrowSchema *schema,
                                const struct ArrowArray *array, uint32_t first, uint32_t count,
                                omen_error *error)
{
    if (schema == NULL || array == NULL || schema->release == NULL || array->release == NULL)
        return error_set(error, OMEN_INVALID_ARGUMENT, "the Arrow data is missing or released");
    if (schema->format == NULL || strcmp(schema->format, "+s") != 0)
        return error_set(error, OMEN_INVALID_ARGUMENT, "the Arrow data is not a struct");
    int64_t columns = group->schema->column_count;
    if (schema->n_children != columns || array->n_children != columns ||
        (columns > 0 && (schema->children == NULL || array->children == NULL)))
        return error_set(error, OMEN_INVALID_ARGUMENT,
                         "the Arrow data has %" PRId64 " columns, the table has %" PRId64,
                         array->n_children, columns);
    if (array->length < 0 || array->offset < 0 || array->offset > INT64_MAX / 64 ||
        first > array->length || array->length - first < count)
        return error_set(error, OMEN_INVALID_ARGUMENT, "the Arrow data has too few rows");
    const void *validity =
        array->n_buffers < 1 || array->buffers == NULL ? NULL : array->buffers[0];
    for (uint32_t i = 0; validity != NULL && array->null_count != 0 && i < count; i++)
        if (!source_bit(validity, array->offset + first + i))
            return error_set(error, OMEN_INVALID_ARGUMENT,
                             "row %" PRIu64 " of the Arrow data is NULL", (uint64_t)first + i + 1);
    return OMEN_OK;
}

static void fill_hidden_key(struct row_group *group, uint32_t count, int64_t hidden_key_first)
{
    int64_t *keys = group->columns[group->schema->column_count].values;
    uint32_t slot = rows_published(group);
    for (uint32_t i = 0; i < count; i++)
        keys[slot + i] = hidden_key_first + i;
}

omen_status row_group_append_arrow(struct row_group *group, const struct ArrowSchema *arrow_schema,
                                   const struct ArrowArray *array, uint32_t first, uint32_t count,
                                   int64_t hidden_key_first, omen_error *error)
{
    OMEN_ASSERT(row_group_state_of(group) == ROW_GROUP_OPEN);
    OMEN_TRY(check_struct(group, arrow_schema, array, first, count, error));
    if (count > group->capacity - rows_published(group))
        return error_set_default(error, OMEN_LIMIT_EXCEEDED);
    for (uint32_t i = 0; i < group->schema->column_count; i++) {
        struct import import = {
            .group = group,
            .definition = &group->schema->columns[i],
            .column = &group->columns[i],
            .row = first,
            .count = count,
            .slot = rows_published(group),
            .error = error,
        };
        omen_status status = check_child(&import, arrow_schema->children[i], array->children[i],
                                         array->offset + first);
        if (status == OMEN_OK)
            status = import_column(&import);
        if (status != OMEN_OK) {
            row_group_undo(group);
            return status;
        }
    }
    if (group->schema->key_hidden)
        fill_hidden_key(group, count, hidden_key_first);
    row_group_publish(group, count);
    return OMEN_OK;
}
