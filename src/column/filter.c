/* filter.c - compiling predicates, and applying them to vectors, zones and single slots.
 *
 * Every comparison of numbers (BOOLEAN, integers, floats in float_order.h's form, dates, times,
 * DECIMAL) becomes a closed range of integers: x < 5 is [min, 4]. Ranges over one column
 * are intersected while compiling, so BETWEEN is one pass over the values. <> is the complement
 * of a one-value range. Text, bytes and UUID keep their operator and operand.
 *
 * A vector is tested test by test, the cheap types first; whatever is no longer selected is not
 * looked at again, and each test's result is masked with the column's validity.
 *
 * Immutable once created; any number of threads.
 */
#include "column/filter.h"

#include <stdlib.h>

#include "column/filter_kernels.h"
#include "column/row_group_private.h"
#include "column/schema_private.h"

enum test_kind {
    TEST_RANGE, /* numbers */
    TEST_NOT_EQUAL,
    TEST_NUMBER_IN,
    TEST_ORDER, /* text, bytes, UUID */
    TEST_VALUE_IN,
    TEST_NULL, /* from here on the value does not matter */
    TEST_NOT_NULL,
};

enum {
    DECIMAL_PRECISION_64 = 18, /* values of columns up to this precision are within 64 bits */
    DENSE_SHARE = 8, /* a vector's decimals are all read where so many of them are selected, 1 in */
};

/* Up to so many members an IN is a few passes of the range kernel; beyond, a binary search. */
enum { IN_PASSES_MAX = 8 };

struct test {
    uint32_t column;
    enum test_kind kind;
    omen_type_id type;
    omen_compare_op op;     /* TEST_ORDER */
    wide_integer low, high; /* TEST_RANGE; TEST_NOT_EQUAL: low */
    wide_integer *numbers;  /* TEST_NUMBER_IN: ascending, distinct */
    omen_value *values;     /* TEST_ORDER: one; TEST_VALUE_IN: ascending */
    uint32_t prefix;        /* TEST_ORDER over text: view_prefix of the operand */
    uint32_t count;         /* of numbers or values */
};

struct filter {
    struct allocator *allocator;
    size_t bytes;
    bool empty;
    const struct filter_kernels *kernels;
    uint32_t test_count;
    struct test tests[];
};

/* --- numbers --- */

static bool is_numeric(omen_type_id type)
{
    return !type_is_view(type) && type != OMEN_TYPE_UUID;
}

/* The numbers a type's values can have. */
static void number_limits(omen_type_id type, wide_integer *min, wide_integer *max)
{
    uint32_t bits = type_width(type) * 8;
    if (type == OMEN_TYPE_BOOLEAN) {
        *min = 0;
        *max = 1;
    } else if (type == OMEN_TYPE_DECIMAL) {
        *max = decimal_power(DECIMAL_PRECISION_MAX) - 1;
        *min = -*max;
    } else {
        *max = ((wide_integer)1 << (bits - 1)) - 1;
        *min = -*max - 1;
    }
}

static wide_integer number_at(const struct column *column, uint32_t slot)
{
    switch (column->type.id) {
    case OMEN_TYPE_BOOLEAN:
        return column_truth(column, slot);
    case OMEN_TYPE_SMALLINT:
        return ((const int16_t *)column->values)[slot];
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_DATE:
        return ((const int32_t *)column->values)[slot];
    case OMEN_TYPE_REAL:
        return float_order_bits(((const int32_t *)column->values)[slot]);
    case OMEN_TYPE_DOUBLE:
        return double_order_bits(((const int64_t *)column->values)[slot]);
    case OMEN_TYPE_DECIMAL:
        return decimal_to_integer(((const omen_decimal *)column->values)[slot]);
    default:
        return ((const int64_t *)column->values)[slot];
    }
}

static int compare_numbers(const void *left, const void *right)
{
    const wide_integer *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* Position of the first member >= `number`. */
static uint32_t number_search(const struct test *test, wide_integer number)
{
    uint32_t low = 0, high = test->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (test->numbers[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool number_is_member(const struct test *test, wide_integer number)
{
    uint32_t at = number_search(test, number);
    return at < test->count && test->numbers[at] == number;
}

/* --- values --- */

static int compare_values(const void *left, const void *right)
{
    return value_compare(left, right);
}

static uint32_t value_search(const struct test *test, const omen_value *value)
{
    uint32_t low = 0, high = test->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (value_compare(&test->values[middle], value) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool order_satisfies(omen_compare_op op, int order)
{
    switch (op) {
    case OMEN_EQ:
        return order == 0;
    case OMEN_NE:
        return order != 0;
    case OMEN_LT:
        return order < 0;
    case OMEN_LE:
        return order <= 0;
    case OMEN_GT:
        return order > 0;
    default:
        return order >= 0;
    }
}

/* --- compiling --- */

static omen_status check_predicate(const struct schema *schema, const omen_predicate *predicate,
                                   omen_error *error)
{
    if (predicate->column >= schema->stored_count)
        return error_set(error, OMEN_INVALID_ARGUMENT, "predicate on column %u, which is not there",
                         predicate->column);
    if (predicate->op < OMEN_EQ || predicate->op > OMEN_IS_NOT_NULL)
        return error_set(error, OMEN_INVALID_ARGUMENT, "unknown comparison %d", (int)predicate->op);
    bool null_test = predicate->op >= OMEN_IS_NULL;
    if (predicate->op < OMEN_IN && predicate->value_count != 1)
        return error_set(error, OMEN_INVALID_ARGUMENT, "a comparison takes one value");
    if ((!null_test && predicate->value_count > 0 && predicate->values == NULL) ||
        predicate->value_count > UINT32_MAX)
        return error_set(error, OMEN_INVALID_ARGUMENT, "a predicate without its values");
    const struct column_definition *column = &schema->columns[predicate->column];
    for (size_t i = 0; !null_test && i < predicate->value_count; i++) {
        const omen_value *value = &predicate->values[i];
        if (!value->is_null && !schema_value_matches(&column->type, &value->type))
            return error_set(error, OMEN_TYPE_MISMATCH,
                             "column \"%s\" is of type %s but is compared with %s", column->name,
                             type_name(column->type.id), type_name(value->type.id));
    }
    return OMEN_OK;
}

static void compile_range(struct test *test, const omen_predicate *predicate)
{
    wide_integer min, max, number = value_order_number(&predicate->values[0]);
    number_limits(test->type, &min, &max);
    /* Any 128 bits can come as a DECIMAL operand; one beyond the limits says as much as all. */
    number = number < min ? min - 1 : number > max ? max + 1 : number;
    test->kind = predicate->op == OMEN_NE ? TEST_NOT_EQUAL : TEST_RANGE;
    test->low = predicate->op == OMEN_LT || predicate->op == OMEN_LE ? min : number;
    test->high = predicate->op == OMEN_GT || predicate->op == OMEN_GE ? max : number;
    test->low += predicate->op == OMEN_GT;
    test->high -= predicate->op == OMEN_LT;
    if (test->kind == TEST_NOT_EQUAL)
        return;
    /* The kernels narrow only what fits. */
    test->low = test->low < min ? min : test->low;
    test->high = test->high > max ? max : test->high;
}

static void compile_numbers(struct test *test, const omen_predicate *predicate, uint8_t **memory)
{
    test->kind = TEST_NUMBER_IN;
    test->numbers = (wide_integer *)*memory;
    for (size_t i = 0; i < predicate->value_count; i++)
        if (!predicate->values[i].is_null)
            test->numbers[test->count++] = value_order_number(&predicate->values[i]);
    qsort(test->numbers, test->count, sizeof *test->numbers, compare_numbers);
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < test->count; i++)
        if (distinct == 0 || test->numbers[distinct - 1] != test->numbers[i])
            test->numbers[distinct++] = test->numbers[i];
    test->count = distinct;
    *memory += predicate->value_count * sizeof *test->numbers;
}

static void compile_values(struct test *test, const omen_predicate *predicate, uint8_t **memory,
                           uint8_t **text)
{
    test->kind = predicate->op == OMEN_IN ? TEST_VALUE_IN : TEST_ORDER;
    test->op = predicate->op;
    test->values = (omen_value *)*memory;
    for (size_t i = 0; i < predicate->value_count; i++) {
        if (predicate->values[i].is_null)
            continue;
        omen_value *value = &test->values[test->count++];
        *value = predicate->values[i];
        if (!type_is_view(test->type))
            continue;
        if (value->as.bytes.length > 0)
            memcpy(*text, value->as.bytes.data, value->as.bytes.length);
        value->as.bytes.data = *text;
        *text += value->as.bytes.length;
    }
    if (test->kind == TEST_ORDER && type_is_view(test->type))
        test->prefix = bytes_prefix(test->values[0].as.bytes.data, test->values[0].as.bytes.length);
    if (test->kind == TEST_VALUE_IN)
        qsort(test->values, test->count, sizeof *test->values, compare_values);
    *memory += predicate->value_count * sizeof *test->values;
}

/* Narrows an earlier range of the same column instead of adding a test; false where none is. */
static bool intersect(struct filter *filter, const struct test *test)
{
    for (uint32_t i = 0; test->kind == TEST_RANGE && i < filter->test_count; i++) {
        struct test *earlier = &filter->tests[i];
        if (earlier->kind != TEST_RANGE || earlier->column != test->column)
            continue;
        earlier->low = earlier->low > test->low ? earlier->low : test->low;
        earlier->high = earlier->high < test->high ? earlier->high : test->high;
        filter->empty = filter->empty || earlier->low > earlier->high;
        return true;
    }
    return false;
}

static void compile_test(struct filter *filter, const struct schema *schema,
                         const omen_predicate *predicate, uint8_t **memory, uint8_t **text)
{
    struct test test = {.column = predicate->column,
                        .type = schema->columns[predicate->column].type.id};
    if (predicate->op >= OMEN_IS_NULL) {
        test.kind = predicate->op == OMEN_IS_NULL ? TEST_NULL : TEST_NOT_NULL;
    } else if (predicate->op != OMEN_IN && predicate->values[0].is_null) {
        filter->empty = true;
        return;
    } else if (!is_numeric(test.type)) {
        compile_values(&test, predicate, memory, text);
    } else if (predicate->op == OMEN_IN) {
        compile_numbers(&test, predicate, memory);
    } else {
        compile_range(&test, predicate);
    }
    if ((test.kind == TEST_RANGE && test.low > test.high) ||
        ((test.kind == TEST_NUMBER_IN || test.kind == TEST_VALUE_IN) && test.count == 0))
        filter->empty = true;
    if (!intersect(filter, &test))
        filter->tests[filter->test_count++] = test;
}

/* Cheap tests first: NULL tests, then ranges of narrow types, then what goes slot by slot. */
static int compare_costs(const void *left, const void *right)
{
    const struct test *tests[2] = {left, right};
    int cost[2];
    for (int i = 0; i < 2; i++) {
        bool slot_by_slot = !is_numeric(tests[i]->type) || tests[i]->type == OMEN_TYPE_DECIMAL;
        cost[i] = tests[i]->kind >= TEST_NULL ? 0 : (int)type_width(tests[i]->type);
        cost[i] += tests[i]->kind == TEST_NUMBER_IN ? 100 : 0;
        cost[i] += tests[i]->kind < TEST_NULL && slot_by_slot ? 1000 : 0;
    }
    return cost[0] - cost[1];
}

omen_status filter_create(struct allocator *allocator, const struct schema *schema,
                          const omen_predicate *predicates, size_t count, struct filter **out,
                          omen_error *error)
{
    *out = NULL;
    size_t head = sizeof(struct filter) + count * sizeof(struct test);
    head = (head + 15) / 16 * 16;
    size_t value_bytes = 0, text_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        OMEN_TRY(check_predicate(schema, &predicates[i], error));
        if (predicates[i].op >= OMEN_IS_NULL)
            continue;
        bool view = type_is_view(schema->columns[predicates[i].column].type.id);
        value_bytes += predicates[i].value_count * sizeof(omen_value);
        for (size_t v = 0; view && v < predicates[i].value_count; v++)
            if (!predicates[i].values[v].is_null)
                text_bytes += predicates[i].values[v].as.bytes.length;
    }
    static_assert(sizeof(omen_value) >= sizeof(wide_integer), "room for either");
    value_bytes = (value_bytes + count * 16 + 15) / 16 * 16;
    size_t bytes = head + value_bytes + text_bytes;
    struct filter *filter = allocator_alloc_zeroed(allocator, bytes);
    if (filter == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    filter->allocator = allocator;
    filter->bytes = bytes;
    filter->kernels = filter_kernels_best();
    uint8_t *memory = (uint8_t *)filter + head;
    uint8_t *text = memory + value_bytes;
    for (size_t i = 0; i < count; i++) {
        compile_test(filter, schema, &predicates[i], &memory, &text);
        memory = (uint8_t *)(((uintptr_t)memory + 15) / 16 * 16);
    }
    qsort(filter->tests, filter->test_count, sizeof *filter->tests, compare_costs);
    *out = filter;
    return OMEN_OK;
}

void filter_destroy(struct filter *filter)
{
    if (filter != NULL)
        allocator_free(filter->allocator, filter, filter->bytes);
}

bool filter_is_empty(const struct filter *filter)
{
    return filter->empty;
}

/* --- one slot --- */

static omen_value value_at(const struct column *column, uint32_t slot)
{
    omen_value value = {.type = column->type};
    if (column->type.id == OMEN_TYPE_UUID) {
        memcpy(value.as.uuid, (const uint8_t *)column->values + (size_t)slot * 16, 16);
    } else {
        const struct view *view = (const struct view *)column->values + slot;
        value.as.bytes = (omen_bytes){view_data(column, slot, view), view->length};
    }
    return value;
}

/* Whether the text of a slot satisfies a TEST_ORDER. Most rows are decided by the length and the
 * four bytes that the view itself holds. */
static inline bool text_satisfies(const struct test *test, const struct column *column,
                                  uint32_t slot)
{
    const struct view *view = (const struct view *)column->values + slot;
    omen_bytes text = test->values[0].as.bytes;
    uint32_t prefix = view_prefix(view);
    bool equality = test->op == OMEN_EQ || test->op == OMEN_NE;
    if (prefix != test->prefix)
        return equality ? test->op == OMEN_NE
                        : order_satisfies(test->op, prefix < test->prefix ? -1 : 1);
    if (equality && view->length != text.length)
        return test->op == OMEN_NE;
    size_t common = size_min(view->length, text.length);
    int order = memcmp(view_data(column, slot, view), text.data, common);
    if (order == 0)
        order = (view->length > text.length) - (view->length < text.length);
    return order_satisfies(test->op, order);
}

/* Whether a slot that has a value passes. */
static bool test_value(const struct test *test, const struct column *column, uint32_t slot)
{
    switch (test->kind) {
    case TEST_RANGE: {
        wide_integer number = number_at(column, slot);
        return number >= test->low && number <= test->high;
    }
    case TEST_NOT_EQUAL:
        return number_at(column, slot) != test->low;
    case TEST_NUMBER_IN:
        return number_is_member(test, number_at(column, slot));
    case TEST_ORDER: {
        if (type_is_view(test->type))
            return text_satisfies(test, column, slot);
        omen_value value = value_at(column, slot);
        return order_satisfies(test->op, value_compare(&value, &test->values[0]));
    }
    case TEST_VALUE_IN: {
        omen_value value = value_at(column, slot);
        uint32_t at = value_search(test, &value);
        return at < test->count && value_compare(&test->values[at], &value) == 0;
    }
    default:
        return test->kind == TEST_NOT_NULL;
    }
}

bool filter_passes(const struct filter *filter, const struct row_group *group, uint32_t slot)
{
    if (filter->empty)
        return false;
    for (uint32_t i = 0; i < filter->test_count; i++) {
        const struct test *test = &filter->tests[i];
        const struct column *column = &group->columns[test->column];
        bool has_value = column_has_value(column, slot);
        if (!(has_value ? test_value(test, column, slot) : test->kind == TEST_NULL))
            return false;
    }
    return true;
}

/* --- one vector --- */

/* What the tests of one vector share. */
struct vector_run {
    const struct filter *filter;
    const struct row_group *group;
    uint32_t vector;
    uint32_t first;
    uint32_t count; /* published slots of the vector */
    uint32_t words;
    uint64_t *selection;
    uint32_t selected; /* bits in it */
};

/* Decimals that fit 64 bits; the bounds need not. */
static void decimal_range_bits(const struct vector_run *run, const struct column *column,
                               wide_integer low, wide_integer high, uint64_t *bits)
{
    const int64_t *halves = (const int64_t *)column->values + (size_t)2 * run->first;
    if (low > INT64_MAX || high < INT64_MIN) {
        memset(bits, 0, run->words * sizeof *bits);
        return;
    }
    run->filter->kernels->range_decimal(halves, run->count,
                                        low < INT64_MIN ? INT64_MIN : (int64_t)low,
                                        high > INT64_MAX ? INT64_MAX : (int64_t)high, bits);
}

static void range_bits(const struct vector_run *run, const struct column *column, wide_integer low,
                       wide_integer high, uint64_t *bits)
{
    const struct filter_kernels *kernels = run->filter->kernels;
    uint32_t first = run->first, count = run->count;
    switch (column->type.id) {
    case OMEN_TYPE_SMALLINT:
        kernels->range_i16((const int16_t *)column->values + first, count, (int16_t)low,
                           (int16_t)high, bits);
        break;
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_DATE:
        kernels->range_i32((const int32_t *)column->values + first, count, (int32_t)low,
                           (int32_t)high, bits);
        break;
    case OMEN_TYPE_REAL:
        kernels->range_f32((const int32_t *)column->values + first, count, (int32_t)low,
                           (int32_t)high, bits);
        break;
    case OMEN_TYPE_DOUBLE:
        kernels->range_f64((const int64_t *)column->values + first, count, (int64_t)low,
                           (int64_t)high, bits);
        break;
    case OMEN_TYPE_DECIMAL:
        decimal_range_bits(run, column, low, high, bits);
        break;
    default:
        kernels->range_i64((const int64_t *)column->values + first, count, (int64_t)low,
                           (int64_t)high, bits);
        break;
    }
}

static void truth_bits(const struct vector_run *run, const struct column *column, bool when_false,
                       bool when_true, uint64_t *bits)
{
    uint64_t scratch[VECTOR_WORDS];
    const uint64_t *truth = column_truth_words(run->group, column, run->vector, scratch);
    for (uint32_t w = 0; w < run->words; w++)
        bits[w] = (when_true ? truth[w] : 0) | (when_false ? ~truth[w] : 0);
}

static void slot_bits(const struct vector_run *run, const struct test *test,
                      const struct column *column, uint64_t *bits)
{
    bool text = test->kind == TEST_ORDER && type_is_view(test->type);
    for (uint32_t w = 0; w < run->words; w++) {
        bits[w] = 0;
        for (uint64_t left = run->selection[w]; left != 0; left &= left - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(left);
            uint32_t slot = run->first + w * 64 + bit;
            bool passes =
                text ? text_satisfies(test, column, slot) : test_value(test, column, slot);
            bits[w] |= (uint64_t)passes << bit;
        }
    }
}

static void member_bits(const struct vector_run *run, const struct test *test,
                        const struct column *column, uint64_t *bits)
{
    uint64_t member[VECTOR_WORDS];
    memset(bits, 0, run->words * sizeof *bits);
    for (uint32_t i = 0; i < test->count; i++) {
        range_bits(run, column, test->numbers[i], test->numbers[i], member);
        for (uint32_t w = 0; w < run->words; w++)
            bits[w] |= member[w];
    }
}

/* The values that pass, as if none were NULL. */
static void value_bits(const struct vector_run *run, const struct test *test,
                       const struct column *column, uint64_t *bits)
{
    bool kernel = is_numeric(test->type);
    /* Decimals are wide: where few are asked for, only those are read. */
    if (test->type == OMEN_TYPE_DECIMAL)
        kernel = column->type.precision <= DECIMAL_PRECISION_64 &&
                 run->selected >= run->count / DENSE_SHARE;
    if (test->type == OMEN_TYPE_BOOLEAN) {
        wide_integer low = test->low, high = test->high;
        if (test->kind == TEST_NUMBER_IN)
            truth_bits(run, column, number_is_member(test, 0), number_is_member(test, 1), bits);
        else if (test->kind == TEST_NOT_EQUAL)
            truth_bits(run, column, low != 0, low != 1, bits);
        else
            truth_bits(run, column, low <= 0 && high >= 0, low <= 1 && high >= 1, bits);
    } else if (kernel && test->kind == TEST_RANGE) {
        range_bits(run, column, test->low, test->high, bits);
    } else if (kernel && test->kind == TEST_NOT_EQUAL) {
        range_bits(run, column, test->low, test->low, bits);
        for (uint32_t w = 0; w < run->words; w++)
            bits[w] = ~bits[w];
    } else if (kernel && test->count <= IN_PASSES_MAX) {
        member_bits(run, test, column, bits);
    } else {
        slot_bits(run, test, column, bits);
    }
}

static void apply_test(const struct vector_run *run, const struct test *test)
{
    const struct column *column = &run->group->columns[test->column];
    uint64_t scratch[VECTOR_WORDS];
    const uint64_t *validity = column_validity_words(run->group, column, run->vector, scratch);
    if (validity != NULL)
        for (uint32_t w = 0; w < run->words; w++)
            run->selection[w] &= test->kind == TEST_NULL ? ~validity[w] : validity[w];
    else if (test->kind == TEST_NULL)
        memset(run->selection, 0, run->words * sizeof *run->selection);
    if (test->kind >= TEST_NULL)
        return;
    uint64_t bits[VECTOR_WORDS];
    value_bits(run, test, column, bits);
    for (uint32_t w = 0; w < run->words; w++)
        run->selection[w] &= bits[w];
}

uint32_t filter_apply(const struct filter *filter, const struct row_group *group, uint32_t vector,
                      uint64_t *selection)
{
    uint32_t first = vector * VECTOR_ROWS;
    uint32_t rows = rows_published(group);
    uint32_t count = rows <= first ? 0 : (uint32_t)size_min(VECTOR_ROWS, rows - first);
    struct vector_run run = {filter,    group, vector, first, count, (uint32_t)bit_words(count),
                             selection, 0};
    if (filter->empty || count == 0) {
        memset(selection, 0, VECTOR_WORDS * sizeof *selection);
        return 0;
    }
    run.selected = (uint32_t)bit_count_set(selection, VECTOR_ROWS);
    for (uint32_t i = 0; i < filter->test_count && run.selected > 0; i++) {
        apply_test(&run, &filter->tests[i]);
        run.selected = (uint32_t)bit_count_set(selection, VECTOR_ROWS);
    }
    return run.selected;
}

omen_status filter_ensure(const struct filter *filter, const struct row_group *group,
                          omen_error *error)
{
    if (!row_group_wants_ensure(group))
        return OMEN_OK;
    for (uint32_t i = 0; i < filter->test_count; i++)
        OMEN_TRY(row_group_ensure(group, &filter->tests[i].column, 1, error));
    return OMEN_OK;
}

bool filter_lacks(const struct filter *filter, const struct row_group *group)
{
    for (uint32_t i = 0; i < filter->test_count; i++)
        if (row_group_lacks(group, &filter->tests[i].column, 1))
            return true;
    return false;
}

/* --- zones --- */

static bool numbers_prune(const struct test *test, wide_integer min, wide_integer max)
{
    if (test->kind == TEST_RANGE)
        return max < test->low || min > test->high;
    if (test->kind == TEST_NOT_EQUAL)
        return min == max && min == test->low;
    uint32_t at = number_search(test, min);
    return at == test->count || test->numbers[at] > max;
}

static bool values_prune(const struct test *test, const omen_value *min, const omen_value *max)
{
    if (test->kind == TEST_VALUE_IN) {
        uint32_t at = value_search(test, min);
        return at == test->count || value_compare(&test->values[at], max) > 0;
    }
    int min_order = value_compare(min, &test->values[0]);
    int max_order = value_compare(max, &test->values[0]);
    switch (test->op) {
    case OMEN_EQ:
        return min_order > 0 || max_order < 0;
    case OMEN_NE:
        return min_order == 0 && max_order == 0;
    case OMEN_LT:
    case OMEN_LE:
        return !order_satisfies(test->op, min_order);
    default:
        return !order_satisfies(test->op, max_order);
    }
}

static bool test_prunes(const struct test *test, const struct zone *zone)
{
    if (test->kind == TEST_NULL)
        return zone->null_count == 0;
    if (zone->null_count == zone->row_count)
        return true;
    if (test->kind == TEST_NOT_NULL || !zone->known)
        return false;
    if (is_numeric(test->type))
        return numbers_prune(test, value_order_number(&zone->min), value_order_number(&zone->max));
    return values_prune(test, &zone->min, &zone->max);
}

bool filter_prunes(const struct filter *filter, const struct row_group *group, int32_t vector)
{
    if (filter->empty)
        return true;
    for (uint32_t i = 0; i < filter->test_count; i++) {
        struct zone zone;
        row_group_zone(group, vector, filter->tests[i].column, &zone);
        if (zone.row_count > 0 && test_prunes(&filter->tests[i], &zone))
            return true;
    }
    return false;
}
