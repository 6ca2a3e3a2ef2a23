/* Filters against naive evaluation, on random data of every type in every state. */
#include "base/bits.h"
#include "column/filter.h"
#include "column/filter_kernels.h"
#include "column_test.h"

enum { ROWS = 2500, TEXT_LIMIT = 40, PREDICATES_MAX = 4, IN_MAX = 20 };

static bool naive(const omen_value *row, const omen_predicate *predicate)
{
    if (predicate->op == OMEN_IS_NULL)
        return row->is_null;
    if (predicate->op == OMEN_IS_NOT_NULL)
        return !row->is_null;
    if (row->is_null)
        return false;
    for (size_t i = 0; i < predicate->value_count; i++) {
        const omen_value *value = &predicate->values[i];
        if (value->is_null)
            continue;
        int order = value_compare(row, value);
        if ((predicate->op == OMEN_EQ && order == 0) || (predicate->op == OMEN_NE && order != 0) ||
            (predicate->op == OMEN_LT && order < 0) || (predicate->op == OMEN_LE && order <= 0) ||
            (predicate->op == OMEN_GT && order > 0) || (predicate->op == OMEN_GE && order >= 0) ||
            (predicate->op == OMEN_IN && order == 0))
            return true;
    }
    return false;
}

static bool naive_all(const struct row_group *group, uint32_t slot,
                      const omen_predicate *predicates, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        omen_value value;
        row_group_read(group, slot, predicates[i].column, &value);
        if (!naive(&value, &predicates[i]))
            return false;
    }
    return true;
}

static void check(struct random *random, const struct row_group *group,
                  const struct filter *filter, const omen_predicate *predicates, size_t count)
{
    uint32_t rows = row_group_row_count(group);
    bool any_in_group = false;
    for (uint32_t vector = 0; vector <= (rows - 1) / VECTOR_ROWS; vector++) {
        uint64_t before[VECTOR_ROWS / 64] = {0}, selection[VECTOR_ROWS / 64];
        bool dense = random_below(random, 2) == 0;
        for (uint32_t i = 0; i < VECTOR_ROWS && vector * VECTOR_ROWS + i < rows; i++)
            if (dense || random_below(random, 10) == 0)
                bit_set(before, i);
        memcpy(selection, before, sizeof before);
        uint32_t left = filter_apply(filter, group, vector, selection);
        uint32_t expected = 0;
        bool any = false;
        for (uint32_t i = 0; i < VECTOR_ROWS; i++) {
            uint32_t slot = vector * VECTOR_ROWS + i;
            bool passes = slot < rows && naive_all(group, slot, predicates, count);
            any = any || passes;
            if (slot < rows)
                assert_int_equal(filter_passes(filter, group, slot), passes);
            passes = passes && bit_get(before, i);
            expected += passes;
            if (bit_get(selection, i) != passes)
                fail_msg("slot %u, column %u, op %d, %zu predicates", slot, predicates[0].column,
                         predicates[0].op, count);
        }
        assert_int_equal(left, expected);
        any_in_group = any_in_group || any;
        assert_false(any && filter_prunes(filter, group, (int32_t)vector));
        assert_false(any && filter_is_empty(filter));
    }
    assert_false(any_in_group && filter_prunes(filter, group, -1));
}

static void random_predicate(struct random *random, const struct schema *schema,
                             const struct row_group *group, omen_predicate *predicate,
                             omen_value *values, uint8_t *buffers)
{
    uint32_t column = (uint32_t)random_below(random, schema->column_count);
    *predicate = (omen_predicate){.column = column,
                                  .op = (omen_compare_op)(1 + random_below(random, 9)),
                                  .values = values};
    if (predicate->op >= OMEN_IS_NULL)
        return;
    predicate->value_count = predicate->op == OMEN_IN ? random_below(random, IN_MAX) : 1;
    for (size_t i = 0; i < predicate->value_count; i++) {
        omen_type type = schema->columns[column].type;
        if (random_below(random, 2) == 0)
            row_group_read(group, (uint32_t)random_below(random, row_group_row_count(group)),
                           column, &values[i]);
        else
            values[i] = random_value(random, type, buffers + i * TEXT_LIMIT, TEXT_LIMIT);
        if (random_below(random, 30) == 0)
            values[i] = (omen_value){.is_null = true};
    }
}

static void test_against_naive(void **state)
{
    struct random random = test_random(21);
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct row_group *groups[3];
    assert_ok(row_group_create(&allocator, schema, 1, ROWS, &groups[0]));
    append_random(&random, groups[0], schema, ROWS, TEXT_LIMIT);
    assert_ok(row_group_create(&allocator, schema, 1, ROWS, &groups[1]));
    assert_ok(row_group_append_slots(groups[1], groups[0], 0, ROWS - 7));
    row_group_stamp_begin(groups[1], 0, ROWS - 7, 1);
    row_group_seal(groups[1]);
    assert_ok(row_group_freeze(groups[1], 1, &groups[2]));
    static omen_value values[PREDICATES_MAX][IN_MAX];
    static uint8_t buffers[PREDICATES_MAX][IN_MAX * TEXT_LIMIT];
    for (int round = 0; round < 1500; round++) {
        omen_predicate predicates[PREDICATES_MAX];
        size_t count = random_below(&random, 3) == 0 ? random_below(&random, PREDICATES_MAX + 1) : 1;
        for (size_t i = 0; i < count; i++) {
            random_predicate(&random, schema, groups[0], &predicates[i], values[i], buffers[i]);
            if (i > 0 && random_below(&random, 2) == 0 && predicates[0].op < OMEN_IN) {
                predicates[i] = predicates[0]; /* the same column twice: x > a AND x < b */
                predicates[i].op = (omen_compare_op)(1 + random_below(&random, 6));
            }
        }
        struct filter *filter;
        assert_ok(filter_create(&allocator, schema, predicates, count, &filter, NULL));
        check(&random, groups[round % 3], filter, predicates, count);
        filter_destroy(filter);
    }
    for (int i = 0; i < 3; i++)
        row_group_release(groups[i]);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

static void test_prunes(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    const struct column_definition columns[] = {{"id", {.id = OMEN_TYPE_BIGINT}, false, NULL},
                                                {"text", {.id = OMEN_TYPE_TEXT}, true, NULL}};
    const uint32_t key = 0;
    struct schema *schema;
    assert_ok(schema_create(&allocator, columns, 2, &key, 1, &schema, NULL));
    struct row_group *group;
    assert_ok(row_group_create(&allocator, schema, 1, 4096, &group));
    for (int64_t i = 0; i < 3000; i++) {
        char text[32];
        snprintf(text, sizeof text, "a rather long text %06d", (int)i);
        omen_value row[2] = {
            {.type = columns[0].type, .as.i64 = i},
            {.type = columns[1].type, .as.bytes = {(uint8_t *)text, strlen(text)}}};
        assert_ok(row_group_append_values(group, row));
    }
    const omen_value number = {.type = columns[0].type, .as.i64 = 1500};
    const omen_value text = {.type = columns[1].type,
                             .as.bytes = {(const uint8_t *)"a rather long text 000100", 25}};
    const omen_predicate cases[] = {{0, OMEN_EQ, &number, 1},
                                    {0, OMEN_LT, &number, 1},
                                    {1, OMEN_EQ, &text, 1},
                                    {1, OMEN_IS_NULL, NULL, 0}};
    const bool prunes[][3] = {{true, false, false}, {false, false, false},
                              {false, true, false}, {true, true, false}};
    for (int i = 0; i < 4; i++) {
        struct filter *filter;
        assert_ok(filter_create(&allocator, schema, &cases[i], 1, &filter, NULL));
        for (int32_t v = 0; v < 3; v++) /* the third is unfinished: never pruned */
            assert_int_equal(filter_prunes(filter, group, v), prunes[i][v]);
        assert_false(filter_prunes(filter, group, -1));
        filter_destroy(filter);
    }
    row_group_seal(group);
    struct filter *filter;
    const omen_value beyond = {.type = columns[0].type, .as.i64 = 3000};
    const omen_predicate predicate = {0, OMEN_GE, &beyond, 1};
    assert_ok(filter_create(&allocator, schema, &predicate, 1, &filter, NULL));
    assert_true(filter_prunes(filter, group, -1));
    assert_true(filter_prunes(filter, group, 2));
    filter_destroy(filter);
    row_group_release(group);
    schema_release(schema);
}

static void test_refuses(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct filter *filter;
    omen_error error;
    const omen_value number = {.type = {.id = OMEN_TYPE_INTEGER}, .as.i32 = 1};
    const omen_value null = {.is_null = true};
    const struct {
        omen_predicate predicate;
        omen_status status;
    } cases[] = {
        {{99, OMEN_EQ, &number, 1}, OMEN_INVALID_ARGUMENT},
        {{3, (omen_compare_op)77, &number, 1}, OMEN_INVALID_ARGUMENT},
        {{3, OMEN_EQ, &number, 0}, OMEN_INVALID_ARGUMENT},
        {{3, OMEN_EQ, NULL, 1}, OMEN_INVALID_ARGUMENT},
        {{4, OMEN_EQ, &number, 1}, OMEN_TYPE_MISMATCH},
        {{9, OMEN_EQ, &number, 1}, OMEN_TYPE_MISMATCH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(
            filter_create(&allocator, schema, &cases[i].predicate, 1, &filter, &error),
            cases[i].status);
    const omen_predicate empties[] = {{3, OMEN_EQ, &null, 1}, {3, OMEN_IN, NULL, 0},
                                      {3, OMEN_IN, &null, 1}};
    for (size_t i = 0; i < 3; i++) {
        assert_ok(filter_create(&allocator, schema, &empties[i], 1, &filter, &error));
        assert_true(filter_is_empty(filter));
        filter_destroy(filter);
    }
    allocator_fail_at(&allocator, 1, 0);
    assert_int_equal(filter_create(&allocator, schema, empties, 1, &filter, &error),
                     OMEN_OUT_OF_MEMORY);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

/* The fast kernels and the plain ones agree bit for bit, every length. */
static void test_kernel_twins(void **state)
{
    struct random random = test_random(22);
    const struct filter_kernels *fast = filter_kernels_best(), *plain = filter_kernels_scalar();
    static int64_t values[2 * VECTOR_ROWS];
    for (uint32_t i = 0; i < 2 * VECTOR_ROWS; i++)
        values[i] = random_integer(&random, 64);
    for (uint32_t count = 1; count <= VECTOR_ROWS; count += 1 + count / 16) {
        uint64_t a[VECTOR_ROWS / 64], b[VECTOR_ROWS / 64];
        int64_t low = random_integer(&random, 64), high = random_integer(&random, 64);
#define COMPARE(kernel, type)                                                                 \
    fast->kernel((const type *)values, count, (type)low, (type)high, a);                      \
    plain->kernel((const type *)values, count, (type)low, (type)high, b);                     \
    assert_memory_equal(a, b, bit_words(count) * 8);
        COMPARE(range_i16, int16_t)
        COMPARE(range_i32, int32_t)
        COMPARE(range_i64, int64_t)
        COMPARE(range_f32, int32_t)
        COMPARE(range_f64, int64_t)
        COMPARE(range_decimal, int64_t)
    }
}

/* An operand of any 128 bits: nothing is smaller than the smallest, or greater than the
 * greatest. */
static void test_decimal_operands_beyond_all_columns(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    const omen_type type = {.id = OMEN_TYPE_DECIMAL, .precision = 38, .scale = 0};
    const struct column_definition columns[] = {{"d", type, false, NULL}};
    struct schema *schema;
    struct row_group *group;
    assert_ok(schema_create(&allocator, columns, 1, NULL, 0, &schema, NULL));
    assert_ok(row_group_create(&allocator, schema, 1, 1, &group));
    omen_value row[2] = {{.type = type, .as.decimal = {.low = 7}},
                         {.type.id = OMEN_TYPE_BIGINT, .as.i64 = 1}};
    assert_ok(row_group_append_values(group, row));
    const omen_value operands[] = {
        {.type = type, .as.decimal = {.low = 0, .high = INT64_MIN}},
        {.type = type, .as.decimal = {.low = UINT64_MAX, .high = INT64_MAX}}};
    for (int i = 0; i < 2; i++) {
        for (omen_compare_op op = OMEN_EQ; op <= OMEN_GE; op++) {
            const omen_predicate predicate = {0, op, &operands[i], 1};
            struct filter *filter;
            assert_ok(filter_create(&allocator, schema, &predicate, 1, &filter, NULL));
            uint64_t selection[VECTOR_ROWS / 64] = {1};
            assert_int_equal(filter_apply(filter, group, 0, selection),
                             naive(&row[0], &predicate));
            filter_destroy(filter);
        }
    }
    row_group_release(group);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_naive),
        cmocka_unit_test(test_prunes),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_decimal_operands_beyond_all_columns),
        cmocka_unit_test(test_kernel_twins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
