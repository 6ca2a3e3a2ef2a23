/* row_group_zone.c - zone maps: for each column and vector, where the extremes are.
 *
 * A zone keeps the slots of its smallest and largest value rather than copies of them: slots
 * never change while the group lives, so the values stay exact, text of any length included.
 * Written once, when a vector is packed or the group is sealed; read-only from then on.
 */
#include "column/decimal.h"
#include "column/float_order.h"
#include "column/row_group_private.h"

/* --- order of two slots --- */

static int compare_views(const struct column *column, uint32_t left, uint32_t right)
{
    const struct view *left_view = (const struct view *)column->values + left;
    const struct view *right_view = (const struct view *)column->values + right;
    uint32_t left_prefix = view_prefix(left_view), right_prefix = view_prefix(right_view);
    if (left_prefix != right_prefix)
        return left_prefix < right_prefix ? -1 : 1;
    uint32_t common = (uint32_t)size_min(left_view->length, right_view->length);
    int order =
        memcmp(view_data(column, left, left_view), view_data(column, right, right_view), common);
    return order != 0 ? order
                      : (left_view->length > right_view->length) -
                            (left_view->length < right_view->length);
}

#define ORDER_OF(left, right) (((left) > (right)) - ((left) < (right)))

static int compare_decimals(const struct column *column, uint32_t left, uint32_t right)
{
    const omen_decimal *values = column->values;
    wide_integer left_value = decimal_to_integer(values[left]);
    wide_integer right_value = decimal_to_integer(values[right]);
    return ORDER_OF(left_value, right_value);
}

static int compare_uuids(const struct column *column, uint32_t left, uint32_t right)
{
    const uint8_t(*values)[16] = column->values;
    return memcmp(values[left], values[right], 16);
}

static int compare_truths(const struct column *column, uint32_t left, uint32_t right)
{
    return (int)column_truth(column, left) - (int)column_truth(column, right);
}

/* --- extremes --- */

typedef int (*slot_order)(const struct column *column, uint32_t left, uint32_t right);

/* The slots to look at: all of [first, first + count), or those with a bit in `mask`, which
 * starts at `first`. */
struct slot_range {
    uint32_t first;
    uint32_t count;
    const uint64_t *mask;
};

static bool range_has(const struct slot_range *range, uint32_t position)
{
    return range->mask == NULL || bit_get(range->mask, position);
}

static void extremes_by_order(const struct column *column, const struct slot_range *range,
                              slot_order order, struct zone_slots *out)
{
    for (uint32_t i = 0; i < range->count; i++) {
        if (!range_has(range, i))
            continue;
        uint32_t slot = range->first + i;
        if (!out->known) {
            out->min_slot = out->max_slot = (uint16_t)slot;
            out->known = true;
        } else if (order(column, slot, out->min_slot) < 0) {
            out->min_slot = (uint16_t)slot;
        } else if (order(column, slot, out->max_slot) > 0) {
            out->max_slot = (uint16_t)slot;
        }
    }
}

#define SAME(value) (value)

/* The extremes of an array of numbers whose ORDERED() form compares as they do. Without a mask
 * the first loop is free of branches, so the compiler makes vector instructions of it. */
#define DEFINE_EXTREMES(name, type, ORDERED)                                                       \
    static void name(const struct column *column, const struct slot_range *range,                  \
                     struct zone_slots *out)                                                       \
    {                                                                                              \
        const type *values = (const type *)column->values + range->first;                          \
        uint32_t start = 0;                                                                        \
        while (start < range->count && !range_has(range, start))                                   \
            start++;                                                                               \
        if (start == range->count)                                                                 \
            return;                                                                                \
        type min = ORDERED(values[start]), max = min;                                              \
        if (range->mask == NULL) {                                                                 \
            for (uint32_t i = 0; i < range->count; i++) {                                          \
                type value = ORDERED(values[i]);                                                   \
                min = value < min ? value : min;                                                   \
                max = value > max ? value : max;                                                   \
            }                                                                                      \
        } else {                                                                                   \
            for (uint32_t i = start; i < range->count; i++) {                                      \
                type value = bit_get(range->mask, i) ? ORDERED(values[i]) : min;                   \
                min = value < min ? value : min;                                                   \
                max = value > max ? value : max;                                                   \
            }                                                                                      \
        }                                                                                          \
        uint32_t min_at = start, max_at = start;                                                   \
        while (!range_has(range, min_at) || ORDERED(values[min_at]) != min)                        \
            min_at++;                                                                              \
        while (!range_has(range, max_at) || ORDERED(values[max_at]) != max)                        \
            max_at++;                                                                              \
        out->min_slot = (uint16_t)(range->first + min_at);                                         \
        out->max_slot = (uint16_t)(range->first + max_at);                                         \
        out->known = true;                                                                         \
    }

DEFINE_EXTREMES(extremes_i16, int16_t, SAME)
DEFINE_EXTREMES(extremes_i32, int32_t, SAME)
DEFINE_EXTREMES(extremes_i64, int64_t, SAME)
DEFINE_EXTREMES(extremes_f32, int32_t, float_order_bits)
DEFINE_EXTREMES(extremes_f64, int64_t, double_order_bits)

static void find_extremes(const struct column *column, const struct slot_range *range,
                          struct zone_slots *out)
{
    switch (column->type.id) {
    case OMEN_TYPE_SMALLINT:
        extremes_i16(column, range, out);
        break;
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_DATE:
        extremes_i32(column, range, out);
        break;
    case OMEN_TYPE_BIGINT:
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        extremes_i64(column, range, out);
        break;
    case OMEN_TYPE_REAL:
        extremes_f32(column, range, out);
        break;
    case OMEN_TYPE_DOUBLE:
        extremes_f64(column, range, out);
        break;
    case OMEN_TYPE_BOOLEAN:
        extremes_by_order(column, range, compare_truths, out);
        break;
    case OMEN_TYPE_DECIMAL:
        extremes_by_order(column, range, compare_decimals, out);
        break;
    case OMEN_TYPE_UUID:
        extremes_by_order(column, range, compare_uuids, out);
        break;
    default:
        extremes_by_order(column, range, compare_views, out);
        break;
    }
}

void zone_compute(const struct column *column, uint32_t first, uint32_t count,
                  const uint64_t *begun, struct zone_slots *out)
{
    OMEN_DCHECK(first % VECTOR_ROWS == 0 && count <= VECTOR_ROWS);
    *out = (struct zone_slots){.row_count = count};
    uint64_t mask[VECTOR_WORDS];
    const uint64_t *validity = column->validity == NULL ? NULL : column->validity + first / 64;
    uint32_t value_count = validity == NULL ? count : (uint32_t)bit_count_set(validity, count);
    bool masked = begun != NULL || value_count < count;
    if (masked) {
        for (uint32_t word = 0; word < bit_words(count); word++)
            mask[word] = (validity == NULL ? UINT64_MAX : validity[word]) &
                         (begun == NULL ? UINT64_MAX : begun[first / 64 + word]);
        value_count = (uint32_t)bit_count_set(mask, count);
    }
    if (begun != NULL)
        out->row_count = (uint32_t)bit_count_set(begun + first / 64, count);
    out->null_count = out->row_count - value_count;
    struct slot_range range = {first, count, masked ? mask : NULL};
    if (value_count > 0)
        find_extremes(column, &range, out);
}

/* --- merging and giving --- */

int column_compare(const struct column *column, uint32_t left, uint32_t right)
{
    switch (column->type.id) {
    case OMEN_TYPE_SMALLINT: {
        const int16_t *values = column->values;
        return ORDER_OF(values[left], values[right]);
    }
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_DATE: {
        const int32_t *values = column->values;
        return ORDER_OF(values[left], values[right]);
    }
    case OMEN_TYPE_REAL: {
        const int32_t *values = column->values;
        return ORDER_OF(float_order_bits(values[left]), float_order_bits(values[right]));
    }
    case OMEN_TYPE_DOUBLE: {
        const int64_t *values = column->values;
        return ORDER_OF(double_order_bits(values[left]), double_order_bits(values[right]));
    }
    case OMEN_TYPE_BIGINT:
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ: {
        const int64_t *values = column->values;
        return ORDER_OF(values[left], values[right]);
    }
    case OMEN_TYPE_BOOLEAN:
        return compare_truths(column, left, right);
    case OMEN_TYPE_DECIMAL:
        return compare_decimals(column, left, right);
    case OMEN_TYPE_UUID:
        return compare_uuids(column, left, right);
    default:
        return compare_views(column, left, right);
    }
}

void zone_merge(const struct column *column, uint32_t vector_count, struct zone_slots *out)
{
    *out = (struct zone_slots){0};
    for (uint32_t vector = 0; vector < vector_count; vector++) {
        const struct zone_slots *zone = &column->zones[vector];
        out->row_count += zone->row_count;
        out->null_count += zone->null_count;
        if (!zone->known)
            continue;
        if (!out->known || column_compare(column, zone->min_slot, out->min_slot) < 0)
            out->min_slot = zone->min_slot;
        if (!out->known || column_compare(column, zone->max_slot, out->max_slot) > 0)
            out->max_slot = zone->max_slot;
        out->known = true;
    }
}

void row_group_zone(const struct row_group *group, int32_t vector, uint32_t column_index,
                    struct zone *out)
{
    OMEN_ASSERT(column_index < group->schema->stored_count);
    const struct column *column = &group->columns[column_index];
    const struct zone_slots *slots = &column->zone;
    *out = (struct zone){0};
    if (vector < 0 ? row_group_state_of(group) == ROW_GROUP_OPEN
                   : (uint32_t)vector * VECTOR_ROWS >= rows_packed(group))
        return;
    /* Of the whole: what stays, whatever happens to the columns. */
    if (vector < 0 && group->origin != NULL)
        *out = group->origin->zones[column_index];
    if (vector < 0 ? group->origin != NULL : !column_is_loaded(group, column_index))
        return;
    if (vector >= 0)
        slots = &column->zones[vector];
    out->known = slots->known;
    out->exact = slots->known;
    out->null_count = slots->null_count;
    out->row_count = slots->row_count;
    if (!slots->known)
        return;
    row_group_read(group, slots->min_slot, column_index, &out->min);
    row_group_read(group, slots->max_slot, column_index, &out->max);
}

/* --- bitmaps of vectors, packed or not --- */

static const uint64_t *vector_words(const struct row_group *group, const uint64_t *packed,
                                    const uint8_t *bytes, uint32_t vector, uint64_t *scratch)
{
    uint32_t first = vector * VECTOR_ROWS;
    if (first < rows_packed(group))
        return packed + first / 64;
    uint32_t rows = rows_published(group);
    uint32_t count = rows <= first ? 0 : (uint32_t)size_min(VECTOR_ROWS, rows - first);
    memset(scratch, 0, VECTOR_WORDS * sizeof *scratch);
    bits_from_bytes(scratch, bytes + first, count);
    return scratch;
}

const uint64_t *column_validity_words(const struct row_group *group, const struct column *column,
                                      uint32_t vector, uint64_t *scratch)
{
    if (column->validity == NULL)
        return NULL;
    return vector_words(group, column->validity, column->valid, vector, scratch);
}

const uint64_t *column_truth_words(const struct row_group *group, const struct column *column,
                                   uint32_t vector, uint64_t *scratch)
{
    return vector_words(group, column->values, column->truth, vector, scratch);
}
