/* test_semantics_table.c - what every line of semantics.def must keep to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sql/semantics.h"

static const char *name_of(const struct semantics_line *line)
{
    return line->name == NULL ? "cast" : line->name;
}

static bool is_type(uint32_t type)
{
    return (type >= OMEN_TYPE_BOOLEAN && type <= OMEN_TYPE_UUID) || type == SQL_TYPE_INTERVAL ||
           type == SQL_TYPE_ANY;
}

static void test_lines_are_whole(void **state)
{
    for (uint32_t i = 0; i < semantics_line_count; i++) {
        const struct semantics_line *line = &semantics_lines[i];
        assert_true(is_type(line->result));
        assert_true(line->argument_count <= SEMANTICS_ARGUMENTS_MAX);
        for (uint32_t j = 0; j < SEMANTICS_ARGUMENTS_MAX; j++)
            if (j < line->argument_count ? !is_type(line->arguments[j]) : line->arguments[j] != 0)
                fail_msg("%s: argument %u", name_of(line), j + 1);
        if ((line->name == NULL) != (line->kind == SEMANTICS_CAST))
            fail_msg("%s: a name belongs to all but casts", name_of(line));
        if (line->kind == SEMANTICS_OPERATOR)
            assert_in_range(line->argument_count, 1, 2);
        if (line->kind == SEMANTICS_CAST)
            assert_int_equal(line->argument_count, 1);
        if (line->rule == RESULT_SAME || line->rule == RESULT_SAME_2)
            assert_true(line->argument_count > (line->rule == RESULT_SAME_2));
        if (line->flags & SEMANTICS_VARIADIC)
            assert_true(line->argument_count > 0);
    }
}

/* Two lines for the same call would make its meaning depend on their order. */
static void test_lines_differ(void **state)
{
    for (uint32_t i = 0; i < semantics_line_count; i++) {
        const struct semantics_line *one = &semantics_lines[i];
        for (uint32_t j = i + 1; j < semantics_line_count; j++) {
            const struct semantics_line *other = &semantics_lines[j];
            bool both_casts = one->kind == SEMANTICS_CAST && other->kind == SEMANTICS_CAST;
            bool operators = one->kind == SEMANTICS_OPERATOR, operators_too =
                                                                  other->kind == SEMANTICS_OPERATOR;
            if (both_casts ? one->result != other->result
                           : one->name == NULL || other->name == NULL ||
                                 operators != operators_too || strcmp(one->name, other->name) != 0)
                continue;
            if (one->argument_count == other->argument_count &&
                memcmp(one->arguments, other->arguments, sizeof one->arguments) == 0)
                fail_msg("%s is there twice, at %u and %u", name_of(one), i, j);
        }
    }
}

/* Templates name arguments that exist and close what they open. */
static void test_templates(void **state)
{
    for (uint32_t i = 0; i < semantics_line_count; i++) {
        const struct semantics_line *line = &semantics_lines[i];
        bool aggregate = line->kind == SEMANTICS_AGGREGATE || line->kind == SEMANTICS_WINDOW;
        if (line->engine == NULL)
            continue;
        int depth = 0;
        for (const char *at = line->engine; *at != '\0'; at++) {
            depth += (*at == '(') - (*at == ')');
            assert_true(depth >= 0);
            if (*at != '$')
                continue;
            char part = *++at;
            bool known = (part >= '1' && part < '1' + line->argument_count) || part == '*' ||
                         part == 'T' || (aggregate && strchr("DFW", part) != NULL);
            if (!known)
                fail_msg("%s: $%c in %s", line->name, part, line->engine);
        }
        assert_int_equal(depth, 0);
        if (aggregate && strstr(line->engine, "$F") == NULL)
            fail_msg("%s: no place for OVER in %s", line->name, line->engine);
    }
}

/* What neither the core nor the engine computes is an aggregate that is refused. */
static void test_somebody_computes(void **state)
{
    for (uint32_t i = 0; i < semantics_line_count; i++) {
        const struct semantics_line *line = &semantics_lines[i];
        if (line->evaluate == NULL && line->engine == NULL)
            assert_int_equal(line->kind, SEMANTICS_AGGREGATE);
        if (line->flags & SEMANTICS_VOLATILE)
            assert_null(line->evaluate);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_whole),
        cmocka_unit_test(test_lines_differ),
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_somebody_computes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
