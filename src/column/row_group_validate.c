/* row_group_validate.c - checking every invariant of a row group. For tests; the writer rests. */
#include <inttypes.h>

#include "column/decimal.h"
#include "column/float_order.h"
#include "column/row_group_private.h"
#include "column/time_range.h"
#include "column/utf8.h"

#define BROKEN(error, ...) error_set(error, OMEN_CORRUPTED, __VA_ARGS__)

static omen_status validate_view(const struct row_group *group, const struct column *column,
                                 uint32_t slot, omen_error *error)
{
    const struct view *view = (const struct view *)column->values + slot;
    if (view->length > VIEW_INLINE_BYTES) {
        const struct heap_window *window = &column->windows[slot / BATCH_ROWS];
        uint32_t chunk = view->as.place.chunk;
        if (chunk >= window->chunk_count || (group_is_frozen(group) && chunk != 0))
            return BROKEN(error, "slot %u: its string is in chunk %u, which is not there", slot,
                          chunk);
        if ((uint64_t)view->as.place.offset + view->length > window->chunks[chunk].used)
            return BROKEN(error, "slot %u: its string ends beyond its chunk", slot);
        if (memcmp(view->as.place.prefix, view_data(column, slot, view), 4) != 0)
            return BROKEN(error, "slot %u: the prefix is not the string's", slot);
    } else {
        for (uint32_t i = view->length; i < VIEW_INLINE_BYTES; i++)
            if (view->as.bytes[i] != 0)
                return BROKEN(error, "slot %u: a short string is not padded with zeros", slot);
    }
    if (column->type.id != OMEN_TYPE_BYTEA &&
        !utf8_is_valid(view_data(column, slot, view), view->length))
        return BROKEN(error, "slot %u: the text is not UTF-8", slot);
    return OMEN_OK;
}

static bool is_canonical(const struct column *column, uint32_t slot)
{
    if (column->type.id == OMEN_TYPE_REAL) {
        float stored = ((const float *)column->values)[slot];
        float canonical = float_canonical(stored);
        return memcmp(&stored, &canonical, sizeof stored) == 0;
    }
    if (column->type.id == OMEN_TYPE_DOUBLE) {
        double stored = ((const double *)column->values)[slot];
        double canonical = double_canonical(stored);
        return memcmp(&stored, &canonical, sizeof stored) == 0;
    }
    if (column->type.id == OMEN_TYPE_DECIMAL)
        return decimal_fits(decimal_to_integer(((const omen_decimal *)column->values)[slot]),
                            column->type.precision);
    omen_value value = {.type = column->type};
    if (column->width == 4)
        value.as.i32 = ((const int32_t *)column->values)[slot];
    else if (column->width == 8)
        value.as.i64 = ((const int64_t *)column->values)[slot];
    return value_time_in_range(&value);
}

static bool cell_is_zero(const struct column *column, uint32_t slot)
{
    static const uint8_t zeros[16];
    if (column->type.id == OMEN_TYPE_BOOLEAN)
        return !column_truth(column, slot);
    return memcmp((const uint8_t *)column->values + (size_t)slot * column->width, zeros,
                  column->width) == 0;
}

static omen_status validate_cells(const struct row_group *group, const struct column *column,
                                  omen_error *error)
{
    uint32_t rows = rows_published(group);
    uint32_t packed = rows_packed(group);
    for (uint32_t slot = 0; slot < rows; slot++) {
        bool has_value = column_has_value(column, slot);
        if (slot < packed && column->valid != NULL &&
            (column->valid[slot] > 1 || bit_get(column->validity, slot) != has_value))
            return BROKEN(error, "slot %u: the validity bit is not its byte", slot);
        if (slot < packed && column->truth != NULL &&
            (column->truth[slot] > 1 ||
             bit_get(column->values, slot) != (column->truth[slot] != 0)))
            return BROKEN(error, "slot %u: the truth bit is not its byte", slot);
        if (!has_value && !cell_is_zero(column, slot))
            return BROKEN(error, "slot %u: a NULL's cell is not zero", slot);
        if (!is_canonical(column, slot))
            return BROKEN(error, "slot %u: the value is not in its one form", slot);
        if (column->windows != NULL)
            OMEN_TRY(validate_view(group, column, slot, error));
    }
    return OMEN_OK;
}

/* Rows that the zone must cover: all, or in a frozen group those that had begun (a dead row
 * there may have been an unbegun one). */
static bool must_cover(const struct row_group *group, uint32_t slot)
{
    return !group_is_frozen(group) || row_group_has_begun(group, slot);
}

static omen_status validate_zone(const struct row_group *group, uint32_t position, int32_t vector,
                                 omen_error *error)
{
    struct zone zone;
    row_group_zone(group, vector, position, &zone);
    uint32_t first = vector < 0 ? 0 : (uint32_t)vector * VECTOR_ROWS;
    uint32_t packed = rows_packed(group);
    uint32_t end = vector < 0 ? packed : (uint32_t)size_min(packed, first + VECTOR_ROWS);
    if (vector < 0 && row_group_state_of(group) == ROW_GROUP_OPEN)
        return zone.row_count == 0 ? OMEN_OK : BROKEN(error, "an open group has a zone");
    uint32_t nulls = 0, rows = 0;
    for (uint32_t slot = first; slot < end; slot++) {
        if (!must_cover(group, slot))
            continue;
        omen_value value;
        row_group_read(group, slot, position, &value);
        rows++;
        nulls += value.is_null;
        if (value.is_null || (vector < 0 && !zone.known && group->origin != NULL))
            continue;
        if (!zone.known || value_compare(&value, &zone.min) < 0 ||
            value_compare(&value, &zone.max) > 0)
            return BROKEN(error, "slot %u of column %u lies outside its zone", slot, position);
    }
    if (zone.row_count < rows || zone.null_count < nulls)
        return BROKEN(error,
                      "the zone of vector %d of column %u counts %u rows and %u NULLs, "
                      "but there are %u and %u",
                      vector, position, zone.row_count, zone.null_count, rows, nulls);
    return OMEN_OK;
}

static omen_status validate_column(const struct row_group *group, uint32_t position,
                                   omen_error *error)
{
    OMEN_TRY(validate_cells(group, &group->columns[position], error));
    OMEN_TRY(validate_zone(group, position, -1, error));
    for (uint32_t v = 0; v < vectors_for(rows_packed(group)); v++)
        OMEN_TRY(validate_zone(group, position, (int32_t)v, error));
    return OMEN_OK;
}

static omen_status validate_begins(const struct row_group *group, omen_error *error)
{
    if (group_is_frozen(group))
        return OMEN_OK;
    uint32_t rows = rows_published(group);
    uint64_t max = 0;
    uint32_t unbegun = 0;
    for (uint32_t v = 0; v < vectors_for(rows); v++) {
        uint32_t first = v * VECTOR_ROWS;
        uint32_t end = (uint32_t)size_min(rows, first + VECTOR_ROWS);
        uint64_t vector_max = 0;
        uint32_t prefix = 0;
        for (uint32_t slot = first; slot < end; slot++) {
            uint64_t begin = row_group_begin(group, slot);
            vector_max = size_max(vector_max, begin);
            unbegun += begin == TIMESTAMP_PENDING;
            prefix += begin != TIMESTAMP_PENDING && prefix == slot - first;
        }
        max = size_max(max, vector_max);
        if (group->begins[v].max < vector_max || group->begins[v].prefix != prefix)
            return BROKEN(error, "vector %u: %u leading slots have begun, the summary says %u", v,
                          prefix, group->begins[v].prefix);
    }
    if (row_group_unbegun_count(group) != unbegun)
        return BROKEN(error, "%u slots have not begun, the count says %u", unbegun,
                      row_group_unbegun_count(group));
    if (row_group_max_begin(group) < max)
        return BROKEN(error, "the largest begin is %" PRIu64 ", the group says %" PRIu64, max,
                      row_group_max_begin(group));
    return OMEN_OK;
}

static omen_status validate_ends(const struct row_group *group, omen_error *error)
{
    const struct row_ends *ends = group_ends(group);
    if (ends == NULL)
        return OMEN_OK;
    uint32_t rows = rows_published(group);
    uint32_t total = 0;
    for (uint32_t v = 0; v < vectors_for(rows); v++) {
        uint32_t count = 0;
        uint32_t end = (uint32_t)size_min(rows, (v + 1) * VECTOR_ROWS);
        for (uint32_t slot = v * VECTOR_ROWS; slot < end; slot++) {
            uint64_t stamp = row_group_end(group, slot);
            bool ended = stamp != TIMESTAMP_INFINITY;
            count += ended;
            if (ended != (ends->bits[slot / 64] >> (slot % 64) & 1))
                return BROKEN(error, "slot %u: the end bit is not its end", slot);
            if (ended && ends->vectors[v].max < stamp)
                return BROKEN(error, "slot %u ended after the vector's largest end", slot);
        }
        if (ends->vectors[v].count != count)
            return BROKEN(error, "vector %u: %u slots ended, the summary says %u", v, count,
                          ends->vectors[v].count);
        total += count;
    }
    return row_group_ended_count(group) == total
               ? OMEN_OK
               : BROKEN(error, "%u slots ended, the count says %u", total,
                        row_group_ended_count(group));
}

omen_status row_group_validate(const struct row_group *group, omen_error *error)
{
    uint32_t rows = rows_published(group);
    uint32_t packed = rows_packed(group);
    bool open = row_group_state_of(group) == ROW_GROUP_OPEN;
    if (rows > group->capacity || packed != (open ? rows / VECTOR_ROWS * VECTOR_ROWS : rows))
        return BROKEN(error, "%u rows, %u of them packed, room for %u", rows, packed,
                      group->capacity);
    if (group_is_frozen(group) != (row_group_state_of(group) == ROW_GROUP_FROZEN))
        return BROKEN(error, "the state is not that of the buffers");
    for (uint32_t i = 0; i < group->schema->stored_count; i++)
        if (column_is_loaded(group, i))
            OMEN_TRY(validate_column(group, i, error));
    OMEN_TRY(validate_begins(group, error));
    return validate_ends(group, error);
}
