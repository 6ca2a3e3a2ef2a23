/* arrow_test.h - reading exported Arrow arrays as a consumer does, and checking their shape. */
#ifndef OMEN_TEST_ARROW_TEST_H
#define OMEN_TEST_ARROW_TEST_H

#include "column_test.h"

static inline bool arrow_bit(const void *bitmap, int64_t index)
{
    return ((const uint8_t *)bitmap)[index / 8] >> (index % 8) & 1;
}

/* The value at `row` of an exported column of the given type; text points into the array. */
static inline omen_value arrow_value(const struct ArrowArray *array, omen_type type, int64_t row)
{
    omen_value value = {.type = type};
    if (array->buffers[0] != NULL && !arrow_bit(array->buffers[0], row)) {
        value.is_null = true;
        return value;
    }
    const uint8_t *values = array->buffers[1];
    uint32_t width = type_width(type.id);
    if (type.id == OMEN_TYPE_BOOLEAN) {
        value.as.boolean = arrow_bit(values, row);
    } else if (!type_is_view(type.id)) {
        memcpy(&value.as, values + row * width, width);
    } else {
        uint32_t parts[4];
        memcpy(parts, values + row * 16, 16);
        value.as.bytes.length = parts[0];
        if (parts[0] <= 12) {
            value.as.bytes.data = values + row * 16 + 4;
        } else {
            assert_true(parts[2] < array->n_buffers - 3);
            const int64_t *sizes = array->buffers[array->n_buffers - 1];
            assert_true((int64_t)parts[3] + parts[0] <= sizes[parts[2]]);
            value.as.bytes.data = (const uint8_t *)array->buffers[2 + parts[2]] + parts[3];
            assert_memory_equal(&parts[1], value.as.bytes.data, 4);
        }
    }
    return value;
}

/* Offset 0, aligned buffers, a NULL count that is right, few data buffers. */
static inline void check_shape(const struct ArrowArray *array, omen_type type,
                               int64_t data_buffers_max)
{
    assert_int_equal(array->offset, 0);
    assert_int_equal(array->n_children, 0);
    assert_null(array->dictionary);
    for (int64_t b = 0; b < array->n_buffers; b++) {
        assert_int_equal((uintptr_t)array->buffers[b] % 64, 0);
        assert_true(b == 0 || array->buffers[b] != NULL);
    }
    int64_t nulls = 0;
    for (int64_t i = 0; i < array->length && array->buffers[0] != NULL; i++)
        nulls += !arrow_bit(array->buffers[0], i);
    assert_int_equal(array->null_count, nulls);
    assert_int_equal(array->n_buffers >= 4, type_is_view(type.id));
    int64_t filled = 0;
    for (int64_t b = 2; b < array->n_buffers - 1; b++)
        filled += ((const int64_t *)array->buffers[array->n_buffers - 1])[b - 2] > 0;
    assert_true(filled <= data_buffers_max);
}

/* Rows of an exported batch against slots [first, ...) of a group. */
static inline void check_batch(const struct ArrowArray *batch, const struct row_group *group,
                               uint32_t first, const uint32_t *columns, uint32_t column_count,
                               const struct schema *schema)
{
    assert_int_equal(batch->n_children, column_count);
    assert_int_equal(batch->offset, 0);
    for (uint32_t c = 0; c < column_count; c++) {
        omen_type type = schema->columns[columns[c]].type;
        bool frozen = row_group_state_of(group) == ROW_GROUP_FROZEN;
        check_shape(batch->children[c], type, frozen ? 1 : 2);
        if (frozen && type_is_view(type.id))
            assert_int_equal(batch->children[c]->n_buffers, 4);
        assert_int_equal(batch->children[c]->length, batch->length);
        for (int64_t i = 0; i < batch->length; i++) {
            omen_value stored, shown = arrow_value(batch->children[c], type, i);
            row_group_read(group, first + (uint32_t)i, columns[c], &stored);
            assert_true(same_value(&stored, &shown));
        }
    }
}

#endif
