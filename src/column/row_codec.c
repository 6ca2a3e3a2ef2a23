/* row_codec.c - rows as bytes: see row_codec.h for the layout.
 *
 * A column without NULLs whose stored form is that of the block is written from its buffer and read
 * into it whole, so that a large commit costs a copy. Everything else goes value by value through a
 * buffer on the stack.
 */
#include "column/row_codec.h"

#include "column/decimal.h"
#include "column/float_order.h"
#include "column/row_group_private.h"
#include "column/schema_private.h"
#include "column/time_range.h"

enum { BITMAP_BYTES_MAX = ROW_BLOCK_ROWS_MAX / 8, NULLS_BYTES_MAX = (SCHEMA_COLUMNS_MAX + 8) / 8 };

/* Bytes of one value of a fixed width; 0: bits, or text. */
static uint32_t value_bytes(const struct column *column)
{
    switch (column->type.id) {
    case OMEN_TYPE_BOOLEAN:
        return 0;
    case OMEN_TYPE_DECIMAL:
        return column->type.precision <= 9 ? 4 : column->type.precision <= 18 ? 8 : 16;
    default:
        return column->windows != NULL ? 0 : column->width;
    }
}

static uint32_t bits_bytes(uint32_t count)
{
    return (count + 7) / 8;
}

/* --- what of a column is to be written --- */

struct slots {
    uint32_t first, count;
    uint32_t present; /* slots that have a value */
};

static struct slots slots_of(const struct column *column, uint32_t first, uint32_t count)
{
    struct slots slots = {first, count, count};
    if (column->valid != NULL || column->validity != NULL) {
        slots.present = 0;
        for (uint32_t slot = first; slot < first + count; slot++)
            slots.present += column_has_value(column, slot);
    }
    return slots;
}

static uint32_t nullable_count(const struct schema *schema)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < schema->stored_count; i++)
        count += schema->columns[i].nullable;
    return count;
}

static uint64_t text_bytes(const struct column *column, const struct slots *slots)
{
    const struct view *views = column->values;
    uint64_t bytes = 0;
    for (uint32_t slot = slots->first; slot < slots->first + slots->count; slot++)
        if (slots->present == slots->count || column_has_value(column, slot))
            bytes += varint_bytes(views[slot].length) + views[slot].length;
    return bytes;
}

uint64_t row_codec_bytes(const struct row_group *group, uint32_t first, uint32_t count)
{
    OMEN_DCHECK(count <= ROW_BLOCK_ROWS_MAX);
    const struct schema *schema = group->schema;
    uint64_t bytes = bits_bytes(nullable_count(schema));
    for (uint32_t i = 0; i < schema->stored_count; i++) {
        const struct column *column = &group->columns[i];
        struct slots slots = slots_of(column, first, count);
        bytes += slots.present < count ? bits_bytes(count) : 0;
        if (column->windows != NULL)
            bytes += text_bytes(column, &slots);
        else if (column->type.id == OMEN_TYPE_BOOLEAN)
            bytes += bits_bytes(slots.present);
        else
            bytes += (uint64_t)slots.present * value_bytes(column);
    }
    return bytes;
}

/* --- writing --- */

static void put_bits(const struct column *column, const struct slots *slots, bool validity,
                     const struct row_sink *sink)
{
    uint8_t bits[BITMAP_BYTES_MAX] = {0};
    uint32_t position = 0;
    for (uint32_t slot = slots->first; slot < slots->first + slots->count; slot++) {
        bool has_value = column_has_value(column, slot);
        bool bit = validity ? has_value : column_truth(column, slot);
        bits[position / 8] |= (uint8_t)((bit && (validity || has_value)) << position % 8);
        position += validity || has_value;
    }
    sink->put(sink->context, bits, bits_bytes(position));
}

static void put_fixed(const struct column *column, const struct slots *slots,
                      const struct row_sink *sink)
{
    const uint8_t *values = column->values;
    uint32_t width = value_bytes(column);
    if (width == column->width && slots->present == slots->count) {
        sink->put(sink->context, values + (size_t)slots->first * width,
                  (size_t)slots->count * width);
        return;
    }
    uint8_t buffer[1024];
    size_t used = 0;
    for (uint32_t slot = slots->first; slot < slots->first + slots->count; slot++) {
        if (!column_has_value(column, slot))
            continue;
        if (used + width > sizeof buffer) {
            sink->put(sink->context, buffer, used);
            used = 0;
        }
        /* A shorter DECIMAL is the low end of the longer. */
        memcpy(buffer + used, values + (size_t)slot * column->width, width);
        used += width;
    }
    sink->put(sink->context, buffer, used);
}

static void put_texts(const struct column *column, const struct slots *slots,
                      const struct row_sink *sink)
{
    const struct view *views = column->values;
    uint8_t lengths[1024];
    size_t used = 0;
    for (uint32_t slot = slots->first; slot < slots->first + slots->count; slot++) {
        if (!column_has_value(column, slot))
            continue;
        if (used + VARINT_BYTES_MAX > sizeof lengths) {
            sink->put(sink->context, lengths, used);
            used = 0;
        }
        used += varint_put(lengths + used, views[slot].length);
    }
    sink->put(sink->context, lengths, used);
    for (uint32_t slot = slots->first; slot < slots->first + slots->count; slot++)
        if (column_has_value(column, slot) && views[slot].length > 0)
            sink->put(sink->context, view_data(column, slot, &views[slot]), views[slot].length);
}

void row_codec_write(const struct row_group *group, uint32_t first, uint32_t count,
                     const struct row_sink *sink)
{
    const struct schema *schema = group->schema;
    uint8_t nulls[NULLS_BYTES_MAX];
    uint32_t nullable = 0;
    memset(nulls, 0, bits_bytes(nullable_count(schema)));
    for (uint32_t i = 0; i < schema->stored_count; i++) {
        if (!schema->columns[i].nullable)
            continue;
        bool has_null = slots_of(&group->columns[i], first, count).present < count;
        nulls[nullable / 8] |= (uint8_t)(has_null << nullable % 8);
        nullable++;
    }
    sink->put(sink->context, nulls, bits_bytes(nullable));
    for (uint32_t i = 0; i < schema->stored_count; i++) {
        const struct column *column = &group->columns[i];
        struct slots slots = slots_of(column, first, count);
        if (slots.present < count)
            put_bits(column, &slots, true, sink);
        if (column->windows != NULL)
            put_texts(column, &slots, sink);
        else if (column->type.id == OMEN_TYPE_BOOLEAN)
            put_bits(column, &slots, false, sink);
        else
            put_fixed(column, &slots, sink);
    }
}

/* --- reading --- */

/* Where the bytes of one column go. */
struct filling {
    struct row_group *group;
    const struct column_definition *definition;
    struct column *column;
    uint32_t first, count;
    const uint8_t *present; /* a bit per row; NULL: all rows have a value */
    uint32_t present_count;
    const uint8_t *at, *end; /* of the block */
};

static const uint8_t *take(struct filling *filling, size_t length)
{
    if ((size_t)(filling->end - filling->at) < length)
        return NULL;
    const uint8_t *taken = filling->at;
    filling->at += length;
    return taken;
}

static bool bit_at(const uint8_t *bits, uint32_t position)
{
    return bits[position / 8] >> position % 8 & 1;
}

/* The next `count` bits, of which those behind must be 0. */
static const uint8_t *take_bits(struct filling *filling, uint32_t count)
{
    const uint8_t *bits = take(filling, bits_bytes(count));
    return bits != NULL && count % 8 != 0 && bits[count / 8] >> count % 8 != 0 ? NULL : bits;
}

static bool row_has_value(const struct filling *filling, uint32_t row)
{
    return filling->present == NULL || bit_at(filling->present, row);
}

/* Which rows have a value, and the NULLs of the others. */
static omen_status read_validity(struct filling *filling, bool has_null)
{
    struct column *column = filling->column;
    filling->present = NULL;
    filling->present_count = filling->count;
    if (column->valid != NULL)
        memset(column->valid + filling->first, 1, filling->count);
    if (!has_null)
        return OMEN_OK;
    filling->present = take_bits(filling, filling->count);
    if (filling->present == NULL)
        return OMEN_CORRUPTED;
    filling->present_count = 0;
    for (uint32_t row = 0; row < filling->count; row++) {
        if (bit_at(filling->present, row))
            filling->present_count++;
        else
            column_put_null(column, filling->first + row);
    }
    return OMEN_OK;
}

static omen_status read_truth(struct filling *filling)
{
    const uint8_t *bits = take_bits(filling, filling->present_count);
    if (bits == NULL)
        return OMEN_CORRUPTED;
    uint32_t position = 0;
    for (uint32_t row = 0; row < filling->count; row++)
        if (row_has_value(filling, row))
            filling->column->truth[filling->first + row] = bit_at(bits, position++);
    return OMEN_OK;
}

static omen_status read_decimals(struct filling *filling, const uint8_t *bytes, uint32_t width)
{
    uint32_t precision = filling->definition->type.precision;
    wide_integer bound = decimal_power(precision);
    omen_decimal *values = (omen_decimal *)filling->column->values + filling->first;
    for (uint32_t row = 0; row < filling->count; row++) {
        if (!row_has_value(filling, row))
            continue;
        omen_decimal value = {0};
        memcpy(&value, bytes, width);
        if (width == 4)
            value.low = (uint64_t)(int64_t)(int32_t)(uint32_t)value.low;
        if (width < sizeof value)
            value.high = (int64_t)value.low >> 63;
        wide_integer unscaled = decimal_to_integer(value);
        if (unscaled <= -bound || unscaled >= bound)
            return OMEN_CORRUPTED;
        values[row] = value;
        bytes += width;
    }
    return OMEN_OK;
}

/* Whether every value of a column that is now in place is one that a row can have. */
static bool values_are_right(const struct filling *filling)
{
    const void *values =
        (const uint8_t *)filling->column->values + (size_t)filling->first * filling->column->width;
    bool right = true;
    uint32_t count = filling->count;
    switch (filling->definition->type.id) {
    case OMEN_TYPE_REAL:
        for (uint32_t i = 0; i < count; i++) {
            float value = ((const float *)values)[i], canonical = float_canonical(value);
            right &= memcmp(&value, &canonical, sizeof value) == 0;
        }
        return right;
    case OMEN_TYPE_DOUBLE:
        for (uint32_t i = 0; i < count; i++) {
            double value = ((const double *)values)[i], canonical = double_canonical(value);
            right &= memcmp(&value, &canonical, sizeof value) == 0;
        }
        return right;
    case OMEN_TYPE_DATE:
        for (uint32_t i = 0; i < count; i++)
            right &= date_in_range(((const int32_t *)values)[i]);
        return right;
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        for (uint32_t i = 0; i < count; i++)
            right &= ((const int64_t *)values)[i] >= TIMESTAMP_MIN;
        return right;
    default:
        return true;
    }
}

static omen_status read_fixed(struct filling *filling)
{
    struct column *column = filling->column;
    uint32_t width = value_bytes(column);
    const uint8_t *bytes = take(filling, (size_t)filling->present_count * width);
    if (bytes == NULL)
        return OMEN_CORRUPTED;
    if (column->type.id == OMEN_TYPE_DECIMAL)
        return read_decimals(filling, bytes, width);
    uint8_t *values = (uint8_t *)column->values + (size_t)filling->first * width;
    if (filling->present == NULL) {
        memcpy(values, bytes, (size_t)filling->count * width);
    } else {
        for (uint32_t row = 0; row < filling->count; row++)
            if (row_has_value(filling, row)) {
                memcpy(values + (size_t)row * width, bytes, width);
                bytes += width;
            }
    }
    return values_are_right(filling) ? OMEN_OK : OMEN_CORRUPTED;
}

static omen_status read_text(struct filling *filling, uint32_t row, const uint8_t *text,
                             size_t length)
{
    size_t padding;
    if (schema_check_text(filling->definition, text, length, &padding, NULL) != OMEN_OK ||
        padding > 0)
        return OMEN_CORRUPTED;
    return column_put_text(filling->group, filling->column, filling->first + row, text, length, 0);
}

static omen_status read_texts(struct filling *filling)
{
    const uint8_t *lengths = filling->at;
    uint64_t length, total = 0;
    for (uint32_t i = 0; i < filling->present_count; i++) {
        filling->at = varint_get(filling->at, filling->end, &length);
        if (filling->at == NULL || length > HEAP_BYTES_MAX)
            return OMEN_CORRUPTED;
        total += length; /* cannot wrap: 1,024 times 1 GiB */
    }
    const uint8_t *lengths_end = filling->at;
    const uint8_t *text = take(filling, total);
    if (text == NULL)
        return OMEN_CORRUPTED;
    for (uint32_t row = 0; row < filling->count; row++) {
        if (!row_has_value(filling, row))
            continue;
        lengths = varint_get(lengths, lengths_end, &length);
        OMEN_TRY(read_text(filling, row, text, length));
        text += length;
    }
    return OMEN_OK;
}

static omen_status read_column(struct filling *filling, bool has_null)
{
    OMEN_TRY(read_validity(filling, has_null));
    if (filling->column->windows != NULL)
        return read_texts(filling);
    return filling->column->type.id == OMEN_TYPE_BOOLEAN ? read_truth(filling)
                                                         : read_fixed(filling);
}

static omen_status read_columns(struct filling *filling)
{
    struct row_group *group = filling->group;
    const struct schema *schema = group->schema;
    uint32_t nullable = 0;
    const uint8_t *nulls = take_bits(filling, nullable_count(schema));
    if (nulls == NULL)
        return OMEN_CORRUPTED;
    for (uint32_t i = 0; i < schema->stored_count; i++) {
        filling->definition = &schema->columns[i];
        filling->column = &group->columns[i];
        bool has_null = filling->definition->nullable && bit_at(nulls, nullable);
        nullable += filling->definition->nullable;
        OMEN_TRY(read_column(filling, has_null));
    }
    return filling->at == filling->end ? OMEN_OK : OMEN_CORRUPTED;
}

omen_status row_codec_append(struct row_group *group, uint32_t count, const uint8_t *data,
                             size_t length)
{
    OMEN_ASSERT(row_group_state_of(group) == ROW_GROUP_OPEN);
    uint32_t first = rows_published(group);
    if (count == 0 || count > ROW_BLOCK_ROWS_MAX)
        return OMEN_CORRUPTED;
    if (count > group->capacity - first)
        return OMEN_LIMIT_EXCEEDED;
    struct filling filling = {
        .group = group, .first = first, .count = count, .at = data, .end = data + length};
    omen_status status = read_columns(&filling);
    if (status != OMEN_OK) {
        row_group_undo(group);
        return status;
    }
    row_group_publish(group, count);
    return OMEN_OK;
}
