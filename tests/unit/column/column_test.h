/* column_test.h - random values, schemas and a plain model, shared by the column tests. */
#ifndef OMEN_TEST_COLUMN_TEST_H
#define OMEN_TEST_COLUMN_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "column/row_group.h"
#include "column/schema.h"
#include "column/time_range.h"

#define assert_ok(call) assert_int_equal((call), OMEN_OK)

/* Every type, NULLs allowed, behind a BIGINT key. */
enum { ALL_TYPES_COLUMNS = 19 };

static const struct column_definition all_types[ALL_TYPES_COLUMNS] = {
    {"id", {.id = OMEN_TYPE_BIGINT}, false, NULL},
    {"boolean", {.id = OMEN_TYPE_BOOLEAN}, true, NULL},
    {"smallint", {.id = OMEN_TYPE_SMALLINT}, true, NULL},
    {"integer", {.id = OMEN_TYPE_INTEGER}, true, NULL},
    {"bigint", {.id = OMEN_TYPE_BIGINT}, true, NULL},
    {"real", {.id = OMEN_TYPE_REAL}, true, NULL},
    {"double", {.id = OMEN_TYPE_DOUBLE}, true, NULL},
    {"decimal", {.id = OMEN_TYPE_DECIMAL, .precision = 15, .scale = 2}, true, NULL},
    {"decimal_wide", {.id = OMEN_TYPE_DECIMAL, .precision = 38, .scale = 10}, true, NULL},
    {"text", {.id = OMEN_TYPE_TEXT}, true, NULL},
    {"varchar", {.id = OMEN_TYPE_VARCHAR, .length_max = 40}, true, NULL},
    {"char", {.id = OMEN_TYPE_CHAR, .length_max = 20}, true, NULL},
    {"bytea", {.id = OMEN_TYPE_BYTEA}, true, NULL},
    {"date", {.id = OMEN_TYPE_DATE}, true, NULL},
    {"timestamp", {.id = OMEN_TYPE_TIMESTAMP}, true, NULL},
    {"timestamptz", {.id = OMEN_TYPE_TIMESTAMPTZ}, true, NULL},
    {"uuid", {.id = OMEN_TYPE_UUID}, true, NULL},
    {"boolean_filled", {.id = OMEN_TYPE_BOOLEAN}, false, NULL},
    {"text_filled", {.id = OMEN_TYPE_TEXT}, false, NULL},
};

/* OMEN_SEED, or the given default; printed, so that a failure can be replayed. */
static inline struct random test_random(uint64_t fallback)
{
    const char *text = getenv("OMEN_SEED");
    uint64_t seed = text == NULL ? fallback : strtoull(text, NULL, 0);
    printf("seed %llu\n", (unsigned long long)seed);
    return random_seeded(seed);
}

static inline struct schema *all_types_schema(struct allocator *allocator)
{
    const uint32_t key = 0;
    struct schema *schema;
    assert_ok(schema_create(allocator, all_types, ALL_TYPES_COLUMNS, &key, 1, &schema, NULL));
    return schema;
}

/* Texts from a small alphabet (so that equal ones and prefixes occur), short and long, into
 * `buffer` of `limit` bytes. CHAR values come padded. */
static inline omen_bytes random_text(struct random *random, omen_type type, uint8_t *buffer,
                                     size_t limit)
{
    size_t length = random_below(random, random_below(random, 8) == 0 ? limit : 16);
    if (type.id == OMEN_TYPE_CHAR)
        length = type.length_max;
    else if (type.length_max > 0 && length > type.length_max)
        length = type.length_max;
    for (size_t i = 0; i < length; i++)
        buffer[i] = type.id == OMEN_TYPE_BYTEA ? (uint8_t)(random_below(random, 3) * 127)
                                               : (uint8_t)("\0ab~"[random_below(random, 4)]);
    if (type.id == OMEN_TYPE_CHAR)
        memset(buffer + random_below(random, length), ' ', 1);
    return (omen_bytes){buffer, length};
}

static inline double random_double(struct random *random)
{
    static const double edges[] = {0.0,       -0.0,  INFINITY, -INFINITY, NAN,    1.0,
                                   -1.0,      1e300, -1e300,   5e-324,    -5e-324, 0.1,
                                   4503599627370497.5};
    if (random_below(random, 3) == 0)
        return edges[random_below(random, sizeof edges / sizeof *edges)];
    return (random_unit(random) - 0.5) * 100;
}

static inline int64_t random_integer(struct random *random, int bits)
{
    int64_t min = bits == 64 ? INT64_MIN : -(INT64_C(1) << (bits - 1));
    switch (random_below(random, 6)) {
    case 0:
        return random_below(random, 2) == 0 ? min : -(min + 1);
    case 1: {
        uint64_t any = random_next(random) >> (64 - bits);
        return (int64_t)any + (bits == 64 ? 0 : min);
    }
    default:
        return (int64_t)random_below(random, 40) - 20;
    }
}

static inline omen_decimal random_decimal(struct random *random, uint8_t precision)
{
    __extension__ __int128 value = 0;
    uint64_t digits = random_below(random, 3) == 0 ? precision : 2;
    for (uint64_t i = 0; i < digits; i++)
        value = value * 10 + (int)random_below(random, 10);
    if (random_below(random, 2) == 0)
        value = -value;
    omen_decimal decimal;
    memcpy(&decimal, &value, sizeof decimal);
    return decimal;
}

/* A value of the type, not NULL; text goes to `buffer`. Not canonical yet. */
static inline omen_value random_value(struct random *random, omen_type type, uint8_t *buffer,
                                      size_t limit)
{
    omen_value value = {.type = type};
    switch (type.id) {
    case OMEN_TYPE_BOOLEAN:
        value.as.boolean = random_below(random, 2) == 0;
        break;
    case OMEN_TYPE_SMALLINT:
        value.as.i16 = (int16_t)random_integer(random, 16);
        break;
    case OMEN_TYPE_INTEGER:
        value.as.i32 = (int32_t)random_integer(random, 32);
        break;
    case OMEN_TYPE_DATE:
        value.as.i32 = (int32_t)random_integer(random, 32);
        if (value.as.i32 < DATE_MIN)
            value.as.i32 = DATE_MIN;
        else if (value.as.i32 >= DATE_END)
            value.as.i32 = DATE_END - 1;
        break;
    case OMEN_TYPE_BIGINT:
        value.as.i64 = random_integer(random, 64);
        break;
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        value.as.i64 = random_integer(random, 64);
        if (value.as.i64 < TIMESTAMP_MIN)
            value.as.i64 = TIMESTAMP_MIN;
        break;
    case OMEN_TYPE_REAL:
        value.as.f32 = (float)random_double(random);
        break;
    case OMEN_TYPE_DOUBLE:
        value.as.f64 = random_double(random);
        break;
    case OMEN_TYPE_DECIMAL:
        value.as.decimal = random_decimal(random, type.precision);
        break;
    case OMEN_TYPE_UUID:
        for (int i = 0; i < 16; i++)
            value.as.uuid[i] = (uint8_t)(random_below(random, 3) * 100);
        break;
    default:
        value.as.bytes = random_text(random, type, buffer, limit);
        break;
    }
    return value;
}

/* A row for `schema`, checked and canonical; text in `buffers` (one of `limit` bytes a column). */
static inline void random_row(struct random *random, const struct schema *schema, int64_t key,
                              uint8_t *buffers, size_t limit, omen_value *row)
{
    for (uint32_t c = 0; c < schema->stored_count; c++) {
        const struct column_definition *column = &schema->columns[c];
        row[c] = random_value(random, column->type, buffers + c * limit, limit);
        if (column->nullable && random_below(random, 5) == 0)
            row[c] = (omen_value){.type = column->type, .is_null = true};
        if (c == schema->key.columns[0])
            row[c].as.i64 = key;
        assert_ok(schema_check_value(schema, c, &row[c], NULL));
    }
}

static inline bool same_value(const omen_value *left, const omen_value *right)
{
    if (left->is_null || right->is_null)
        return left->is_null && right->is_null;
    return value_compare(left, right) == 0;
}

static inline void assert_same_slot(const struct row_group *left, uint32_t left_slot,
                                    const struct row_group *right, uint32_t right_slot,
                                    uint32_t column_count)
{
    for (uint32_t c = 0; c < column_count; c++) {
        omen_value a, b;
        row_group_read(left, left_slot, c, &a);
        row_group_read(right, right_slot, c, &b);
        assert_true(same_value(&a, &b));
    }
}

static inline void assert_valid(const struct row_group *group)
{
    omen_error error = {.status = OMEN_OK};
    if (row_group_validate(group, &error) != OMEN_OK)
        fail_msg("%s", error.message);
}

/* Appends `count` random rows. */
static inline void append_random(struct random *random, struct row_group *group,
                                 const struct schema *schema, uint32_t count, size_t text_limit)
{
    uint8_t *buffers = malloc(schema->stored_count * text_limit);
    omen_value *row = malloc(schema->stored_count * sizeof *row);
    for (uint32_t i = 0; i < count; i++) {
        random_row(random, schema, (int64_t)row_group_row_count(group), buffers, text_limit, row);
        assert_ok(row_group_append_values(group, row));
    }
    free(row);
    free(buffers);
}

#endif
