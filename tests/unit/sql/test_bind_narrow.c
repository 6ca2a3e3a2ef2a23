/* test_bind_narrow.c - a comparison narrowed to its column's type answers as the one written.
 *
 * Random columns, values and constants near each other, all six comparisons, IN and IS DISTINCT
 * FROM; both forms are computed by the evaluator. OMEN_SEED=n repeats a run.
 */
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
#include "bound_text.h"
#include "sql/bind.h"
#include "sql/cast.h"
#include "sql/evaluate.h"
#include "sql/value_text.h"

static const struct {
    omen_type column, wide;
} pairs[] = {
    {{.id = OMEN_TYPE_SMALLINT}, {.id = OMEN_TYPE_INTEGER}},
    {{.id = OMEN_TYPE_SMALLINT}, {.id = OMEN_TYPE_DOUBLE}},
    {{.id = OMEN_TYPE_INTEGER}, {.id = OMEN_TYPE_BIGINT}},
    {{.id = OMEN_TYPE_INTEGER}, {.id = OMEN_TYPE_DECIMAL, .precision = 12, .scale = 1}},
    {{.id = OMEN_TYPE_INTEGER}, {.id = OMEN_TYPE_DOUBLE}},
    {{.id = OMEN_TYPE_BIGINT}, {.id = OMEN_TYPE_DECIMAL, .precision = 22, .scale = 1}},
    {{.id = OMEN_TYPE_BIGINT}, {.id = OMEN_TYPE_DOUBLE}},
    {{.id = OMEN_TYPE_REAL}, {.id = OMEN_TYPE_DOUBLE}},
    {{.id = OMEN_TYPE_DECIMAL, .precision = 5, .scale = 2},
     {.id = OMEN_TYPE_DECIMAL, .precision = 8, .scale = 3}},
    {{.id = OMEN_TYPE_DECIMAL, .precision = 5, .scale = 2},
     {.id = OMEN_TYPE_DECIMAL, .precision = 4, .scale = 1}},
    {{.id = OMEN_TYPE_VARCHAR, .length_max = 2}, {.id = OMEN_TYPE_TEXT}},
    {{.id = OMEN_TYPE_CHAR, .length_max = 2}, {.id = OMEN_TYPE_CHAR}},
    {{.id = OMEN_TYPE_DATE}, {.id = OMEN_TYPE_TIMESTAMP}},
    {{.id = OMEN_TYPE_DATE}, {.id = OMEN_TYPE_TIMESTAMPTZ}},
    {{.id = OMEN_TYPE_TIMESTAMP}, {.id = OMEN_TYPE_TIMESTAMPTZ}},
};

/* A value of the type, often at an edge of the narrower type or between two of its values. */
static omen_value random_value(struct random *random, omen_type type, struct arena *arena)
{
    static const char *const numbers[] = {
        "0", "1", "-1", "2", "32767", "32768", "-32768", "-32769", "2147483647", "2147483648",
        "-2147483648", "-2147483649", "9007199254740991", "9007199254740992", "9007199254740993",
        "9223372036854775807", "-9223372036854775808", "0.5", "1.5", "-0.5", "0.1", "99.99",
        "999.99", "-999.99", "0.001", "16777216", "16777217", "1e10", "3.4e38"};
    static const char *const words[] = {"",   " ",   "a",   "a ",   "ab",  "ab ", "abc",
                                        "b",  "a\x01", "a\xC3\xA9", "\xC3\xA9", "aa", "A"};
    static const char *const moments[] = {
        "1998-09-01", "1998-09-02 00:00", "1998-09-02 00:00:00.000001", "1998-09-02 23:59:59.999999",
        "1969-12-31 23:00", "1969-12-31", "1970-01-01", "0001-01-01 00:00", "0001-01-01 12:00"};
    bool text = type.id == OMEN_TYPE_VARCHAR || type.id == OMEN_TYPE_CHAR ||
                type.id == OMEN_TYPE_TEXT;
    for (;;) {
        omen_value value;
        const char *source = text ? words[random_below(random, sizeof words / sizeof *words)]
                                  : numbers[random_below(random, sizeof numbers / sizeof *numbers)];
        if (random_below(random, 16) == 0)
            return (omen_value){.type = type, .is_null = true};
        if (type.id >= OMEN_TYPE_DATE && type.id <= OMEN_TYPE_TIMESTAMPTZ)
            source = moments[random_below(random, sizeof moments / sizeof *moments)];
        if ((type.id == OMEN_TYPE_REAL || type.id == OMEN_TYPE_DOUBLE) &&
            random_below(random, 12) == 0)
            source = random_below(random, 2) == 0 ? "NaN" : "-Infinity";
        if (value_from_text(type, source, strlen(source), arena, &value, NULL) == OMEN_OK)
            return value;
    }
}

static omen_status read_row(void *row, const struct expression *column, omen_value *out,
                            omen_error *error)
{
    *out = *(const omen_value *)row;
    return OMEN_OK;
}

static omen_value compute(struct expression *expression, omen_value *row, struct arena *arena)
{
    struct evaluation evaluation = {.arena = arena, .read_column = read_row, .row = row};
    omen_error error = {.message = ""};
    omen_value out = {.is_null = true};
    if (evaluate(expression, &evaluation, &out, &error) != OMEN_OK)
        fail_msg("%s", error.message);
    return out;
}

struct made {
    struct expression nodes[8], *arguments[6], *cast_argument;
    struct relation relation;
    struct relation_column column;
};

/* CAST(column AS wide) compared with constants, as the binder makes it. */
static struct expression *make_comparison(struct made *made, struct random *random, size_t pair,
                                          struct arena *arena)
{
    static const char *const names[] = {"=", "<>", "<", "<=", ">", ">="};
    omen_type column_type = pairs[pair].column, wide = pairs[pair].wide;
    struct expression *root = &made->nodes[0], *cast = &made->nodes[1], *column = &made->nodes[2];
    memset(made, 0, sizeof *made);
    made->column = (struct relation_column){.name = "k", .type = column_type};
    made->relation = (struct relation){.columns = &made->column, .column_count = 1};
    *column = (struct expression){.kind = EXPRESSION_COLUMN, .type = column_type};
    column->column.relation = &made->relation;
    made->cast_argument = column;
    *cast = (struct expression){.kind = EXPRESSION_CALL,
                                .type = wide,
                                .arguments = &made->cast_argument,
                                .argument_count = 1};
    cast->line = semantics_find_cast(column_type.id, wide.id, CONTEXT_EXPLICIT);
    if (wide.id == OMEN_TYPE_DECIMAL && column_type.id != OMEN_TYPE_DECIMAL)
        cast->type = semantics_decimal_of(column_type);
    made->arguments[0] = column_type.id == wide.id ? column : cast;
    unsigned form = (unsigned)random_below(random, 8);
    root->kind = form < 6 ? EXPRESSION_CALL : form == 6 ? EXPRESSION_IN : EXPRESSION_DISTINCT_FROM;
    root->type.id = OMEN_TYPE_BOOLEAN;
    root->arguments = made->arguments;
    root->argument_count = form == 6 ? 2 + (uint32_t)random_below(random, 3) : 2;
    root->negated = form >= 6 && random_below(random, 2) == 0;
    assert_int_equal(
        semantics_find_operator(names[form < 6 ? form : 0], &wide, &wide, &root->line, NULL),
        OMEN_OK);
    for (uint32_t i = 1; i < root->argument_count; i++) {
        struct expression *constant = &made->nodes[2 + i];
        constant->kind = EXPRESSION_CONSTANT;
        constant->value = random_value(random, wide, arena);
        constant->type = constant->value.type;
        made->arguments[i] = constant;
    }
    if (form < 6 && random_below(random, 2) == 0) {
        made->arguments[2] = made->arguments[0];
        made->arguments[0] = made->arguments[1];
        made->arguments[1] = made->arguments[2];
    }
    return root;
}

static void test_same_answers(void **state)
{
    const char *given = getenv("OMEN_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 20260101;
    struct allocator allocator;
    struct arena arena;
    uint32_t narrowed_count = 0;
    printf("OMEN_SEED=%llu\n", (unsigned long long)seed);
    struct random random = random_seeded(seed);
    allocator_init(&allocator, 0);
    arena_init(&arena, &allocator);
    for (int round = 0; round < 100000; round++) {
        struct made made;
        size_t pair = random_below(&random, sizeof pairs / sizeof *pairs);
        struct expression *written = make_comparison(&made, &random, pair, &arena);
        struct expression *narrowed = written;
        bind_narrow(&narrowed, &arena);
        narrowed_count += narrowed != written;
        omen_value row = random_value(&random, pairs[pair].column, &arena);
        omen_value one = compute(written, &row, &arena), two = compute(narrowed, &row, &arena);
        if (one.is_null != two.is_null || (!one.is_null && one.as.boolean != two.as.boolean)) {
            char first[256], second[256], value[64];
            size_t length = 0;
            bound_text(written, first, sizeof first);
            bound_text(narrowed, second, sizeof second);
            if (!row.is_null)
                assert_int_equal(value_to_text(&row, value, sizeof value, &length), OMEN_OK);
            fail_msg("round %d: %s differs from %s for %.*s", round, first, second, (int)length,
                     value);
        }
        arena_reset(&arena);
    }
    arena_release(&arena);
    /* The test tests something. */
    assert_true(narrowed_count > 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
