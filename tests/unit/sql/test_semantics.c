/* test_semantics.c - which operator, function, cast and common type PostgreSQL's rules choose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sql/semantics.h"

#define UNKNOWN OMEN_TYPE_NONE
#define BOOLEAN OMEN_TYPE_BOOLEAN
#define SMALLINT OMEN_TYPE_SMALLINT
#define INTEGER OMEN_TYPE_INTEGER
#define BIGINT OMEN_TYPE_BIGINT
#define REAL OMEN_TYPE_REAL
#define DOUBLE OMEN_TYPE_DOUBLE
#define DECIMAL OMEN_TYPE_DECIMAL
#define TEXT OMEN_TYPE_TEXT
#define VARCHAR OMEN_TYPE_VARCHAR
#define CHAR OMEN_TYPE_CHAR
#define BYTEA OMEN_TYPE_BYTEA
#define DATE OMEN_TYPE_DATE
#define TIMESTAMP OMEN_TYPE_TIMESTAMP
#define TIMESTAMPTZ OMEN_TYPE_TIMESTAMPTZ
#define UUID OMEN_TYPE_UUID
#define ANY SQL_TYPE_ANY
#define NONE 255 /* no left operand */

static omen_type type_of(unsigned id)
{
    omen_type type = {.id = (omen_type_id)id};
    if (id == DECIMAL) {
        type.precision = 10;
        type.scale = 2;
    }
    return type;
}

static void test_operators(void **state)
{
    static const struct {
        const char *name;
        unsigned left, right, want_left, want_right;
        const char *message;
    } cases[] = {
        {"+", INTEGER, INTEGER, INTEGER, INTEGER, ""},
        {"+", SMALLINT, INTEGER, INTEGER, INTEGER, ""},
        {"+", SMALLINT, SMALLINT, SMALLINT, SMALLINT, ""},
        {"+", INTEGER, BIGINT, BIGINT, BIGINT, ""},
        {"+", INTEGER, DECIMAL, DECIMAL, DECIMAL, ""},
        {"+", DECIMAL, DOUBLE, DOUBLE, DOUBLE, ""},
        {"+", REAL, REAL, REAL, REAL, ""},
        {"+", REAL, INTEGER, DOUBLE, DOUBLE, ""},
        {"+", DECIMAL, REAL, DOUBLE, DOUBLE, ""},
        {"+", REAL, DOUBLE, DOUBLE, DOUBLE, ""},
        {"+", INTEGER, UNKNOWN, INTEGER, INTEGER, ""},
        {"+", UNKNOWN, DECIMAL, DECIMAL, DECIMAL, ""},
        {"+", NONE, BIGINT, NONE, BIGINT, ""},
        {"-", NONE, TEXT, 0, 0, "operator does not exist: - text"},
        {"+", TEXT, INTEGER, 0, 0, "operator does not exist: text + integer"},
        {"+", BOOLEAN, UNKNOWN, 0, 0, "operator does not exist: boolean + unknown"},
        {"%", DOUBLE, DOUBLE, 0, 0, "operator does not exist: double precision % double precision"},
        {"@@@", INTEGER, INTEGER, 0, 0, "operator does not exist: integer @@@ integer"},
        {"=", UNKNOWN, UNKNOWN, TEXT, TEXT, ""},
        {"=", VARCHAR, UNKNOWN, TEXT, TEXT, ""},
        {"=", VARCHAR, VARCHAR, TEXT, TEXT, ""},
        {"=", CHAR, UNKNOWN, CHAR, CHAR, ""},
        {"=", CHAR, CHAR, CHAR, CHAR, ""},
        {"=", CHAR, TEXT, TEXT, TEXT, ""},
        {"=", CHAR, VARCHAR, CHAR, CHAR, ""},
        {"<", DATE, UNKNOWN, DATE, DATE, ""},
        {"<", DATE, TIMESTAMP, TIMESTAMP, TIMESTAMP, ""},
        {"<", DATE, TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ, ""},
        {"<", TIMESTAMP, TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ, ""},
        {"=", INTEGER, BOOLEAN, 0, 0, "operator does not exist: integer = boolean"},
        {"=", TIMESTAMP, INTEGER, 0, 0,
         "operator does not exist: timestamp without time zone = integer"},
        {"=", UUID, UNKNOWN, UUID, UUID, ""},
        {"||", TEXT, TEXT, TEXT, TEXT, ""},
        {"||", UNKNOWN, UNKNOWN, TEXT, TEXT, ""},
        {"||", VARCHAR, UNKNOWN, TEXT, TEXT, ""},
        {"||", INTEGER, TEXT, ANY, TEXT, ""},
        {"||", TEXT, DATE, TEXT, ANY, ""},
        {"||", INTEGER, INTEGER, 0, 0, "operator does not exist: integer || integer"},
        {"~~", VARCHAR, UNKNOWN, TEXT, TEXT, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct semantics_line *line;
        omen_error error = {.message = ""};
        omen_type left = type_of(cases[i].left), right = type_of(cases[i].right);
        bool prefix = cases[i].left == NONE;
        omen_status status =
            semantics_find_operator(cases[i].name, prefix ? NULL : &left, &right, &line, &error);
        if ((status == OMEN_OK) != (cases[i].message[0] == '\0') ||
            strcmp(error.message, cases[i].message) != 0)
            fail_msg("case %zu: %s", i, error.message);
        if (status != OMEN_OK)
            continue;
        assert_int_equal(line->argument_count, prefix ? 1 : 2);
        if (!prefix)
            assert_int_equal(line->arguments[0], cases[i].want_left);
        assert_int_equal(line->arguments[prefix ? 0 : 1], cases[i].want_right);
    }
}

static void test_functions(void **state)
{
    static const struct {
        const char *name;
        unsigned count, arguments[3], want[3];
        const char *message;
    } cases[] = {
        {"abs", 1, {INTEGER}, {INTEGER}, ""},
        {"abs", 1, {UNKNOWN}, {DOUBLE}, ""},
        {"pg_catalog.abs", 1, {DECIMAL}, {DECIMAL}, ""},
        {"sqrt", 1, {INTEGER}, {DOUBLE}, ""},
        {"round", 2, {INTEGER, INTEGER}, {DECIMAL, INTEGER}, ""},
        {"round",
         2,
         {DOUBLE, INTEGER},
         {0},
         "function round(double precision, integer) does not exist"},
        {"lower", 1, {VARCHAR}, {TEXT}, ""},
        {"lower", 1, {CHAR}, {TEXT}, ""},
        {"lower", 1, {UNKNOWN}, {TEXT}, ""},
        {"lower", 1, {INTEGER}, {0}, "function lower(integer) does not exist"},
        {"lower", 0, {0}, {0}, "function lower() does not exist"},
        {"pg_catalog.lower", 1, {DATE}, {0}, "function pg_catalog.lower(date) does not exist"},
        {"nosuch", 2, {UNKNOWN, BIGINT}, {0}, "function nosuch(unknown, bigint) does not exist"},
        {"count", 1, {UUID}, {ANY}, ""},
        {"max", 1, {SMALLINT}, {SMALLINT}, ""},
        {"max", 1, {VARCHAR}, {TEXT}, ""},
        {"max", 1, {BOOLEAN}, {0}, "function max(boolean) does not exist"},
        {"concat", 3, {INTEGER, TEXT, UNKNOWN}, {ANY, ANY, ANY}, ""},
        {"concat", 0, {0}, {0}, "function concat() does not exist"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct semantics_line *line;
        omen_error error = {.message = ""};
        omen_type types[3];
        for (unsigned j = 0; j < 3; j++)
            types[j] = type_of(cases[i].arguments[j]);
        omen_status status =
            semantics_find_function(cases[i].name, types, cases[i].count, false, &line, &error);
        if (strcmp(error.message, cases[i].message) != 0)
            fail_msg("case %zu: %s", i, error.message);
        for (unsigned j = 0; status == OMEN_OK && j < cases[i].count && j < line->argument_count;
             j++)
            assert_int_equal(line->arguments[j], cases[i].want[j]);
        if (status != OMEN_OK)
            assert_int_equal(status, OMEN_UNDEFINED_FUNCTION);
    }
    const struct semantics_line *line;
    assert_int_equal(semantics_find_function("count", NULL, 0, true, &line, NULL), OMEN_OK);
    assert_int_equal(line->kind, SEMANTICS_AGGREGATE);
}

static void test_casts(void **state)
{
    static const struct {
        unsigned from, to;
        int widest; /* the strictest context that has it; CONTEXT_EXPLICIT + 1: none */
    } cases[] = {
        {INTEGER, BIGINT, CONTEXT_IMPLICIT},   {BIGINT, INTEGER, CONTEXT_ASSIGNMENT},
        {DOUBLE, DECIMAL, CONTEXT_ASSIGNMENT}, {DECIMAL, DOUBLE, CONTEXT_IMPLICIT},
        {VARCHAR, TEXT, CONTEXT_IMPLICIT},     {CHAR, TEXT, CONTEXT_IMPLICIT},
        {INTEGER, TEXT, CONTEXT_ASSIGNMENT},   {TEXT, INTEGER, CONTEXT_EXPLICIT},
        {INTEGER, BOOLEAN, CONTEXT_EXPLICIT},  {DATE, TIMESTAMP, CONTEXT_IMPLICIT},
        {TIMESTAMP, DATE, CONTEXT_ASSIGNMENT}, {TIMESTAMPTZ, TIMESTAMP, CONTEXT_ASSIGNMENT},
        {INTEGER, DATE, CONTEXT_EXPLICIT + 1}, {BIGINT, BOOLEAN, CONTEXT_EXPLICIT + 1},
        {UNKNOWN, TEXT, CONTEXT_EXPLICIT + 1}, {UUID, BYTEA, CONTEXT_EXPLICIT + 1},
        {DECIMAL, DECIMAL, CONTEXT_IMPLICIT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int context = CONTEXT_IMPLICIT; context <= CONTEXT_EXPLICIT; context++) {
            const struct semantics_line *line = semantics_find_cast(
                (omen_type_id)cases[i].from, (omen_type_id)cases[i].to, (enum cast_context)context);
            if ((line != NULL) != (context >= cases[i].widest))
                fail_msg("case %zu, context %d", i, context);
            if (line != NULL)
                assert_int_equal(line->result, cases[i].to);
        }
}

static void test_common_types(void **state)
{
    static const struct {
        unsigned count;
        omen_type types[3], want;
        const char *message;
    } cases[] = {
        {1, {{.id = UNKNOWN}}, {.id = TEXT}, ""},
        {2, {{.id = UNKNOWN}, {.id = DATE}}, {.id = DATE}, ""},
        {2, {{.id = INTEGER}, {.id = BIGINT}}, {.id = BIGINT}, ""},
        {2, {{.id = BIGINT}, {.id = SMALLINT}}, {.id = BIGINT}, ""},
        {2, {{.id = DOUBLE}, {.id = DECIMAL, .precision = 10}}, {.id = DOUBLE}, ""},
        {3,
         {{.id = INTEGER}, {.id = DECIMAL, .precision = 6, .scale = 4}, {.id = UNKNOWN}},
         {.id = DECIMAL, .precision = 14, .scale = 4},
         ""},
        {2,
         {{.id = DECIMAL, .precision = 38, .scale = 2},
          {.id = DECIMAL, .precision = 5, .scale = 5}},
         {.id = DECIMAL, .precision = 38, .scale = 5},
         ""},
        {2, {{.id = VARCHAR, .length_max = 5}, {.id = TEXT}}, {.id = VARCHAR}, ""},
        {2,
         {{.id = VARCHAR, .length_max = 5}, {.id = VARCHAR, .length_max = 5}},
         {.id = VARCHAR, .length_max = 5},
         ""},
        {2,
         {{.id = VARCHAR, .length_max = 5}, {.id = VARCHAR, .length_max = 6}},
         {.id = VARCHAR},
         ""},
        {2, {{.id = VARCHAR, .length_max = 5}, {.id = UNKNOWN}}, {.id = VARCHAR}, ""},
        {2, {{.id = DATE}, {.id = TIMESTAMPTZ}}, {.id = TIMESTAMPTZ}, ""},
        {3,
         {{.id = UNKNOWN}, {.id = INTEGER}, {.id = TEXT}},
         {0},
         "UNION types integer and text cannot be matched"},
        {2,
         {{.id = TIMESTAMP}, {.id = BOOLEAN}},
         {0},
         "UNION types timestamp without time zone and boolean cannot be matched"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        omen_error error = {.message = ""};
        omen_type type;
        omen_status status =
            semantics_common_type(cases[i].types, cases[i].count, "UNION", &type, &error);
        if (strcmp(error.message, cases[i].message) != 0 ||
            (status == OMEN_OK &&
             (type.id != cases[i].want.id || type.precision != cases[i].want.precision ||
              type.scale != cases[i].want.scale || type.length_max != cases[i].want.length_max)))
            fail_msg("case %zu: %d(%d,%d)%u %s", i, type.id, type.precision, type.scale,
                     type.length_max, error.message);
    }
}

static void test_result_types(void **state)
{
    static const struct {
        enum result_rule rule;
        uint8_t precision1, precision2;
        int8_t scale1, scale2;
        int32_t digits;
        uint8_t precision; /* 0: refused */
        int8_t scale;
    } cases[] = {
        {RESULT_DECIMAL_ADD, 10, 5, 2, 4, 0, 13, 4},
        {RESULT_DECIMAL_ADD, 38, 38, 0, 0, 0, 38, 0},
        {RESULT_DECIMAL_MULTIPLY, 10, 5, 2, 4, 0, 15, 6},
        {RESULT_DECIMAL_MULTIPLY, 38, 38, 20, 20, 0, 0, 0},
        {RESULT_DECIMAL_DIVIDE, 10, 5, 2, 0, 0, 28, 20},
        {RESULT_DECIMAL_DIVIDE, 38, 5, 30, 0, 0, 38, 30},
        {RESULT_DECIMAL_SUM, 10, 0, 2, 0, 0, 38, 2},
        {RESULT_DECIMAL_WHOLE, 10, 0, 2, 0, 0, 38, 0},
        {RESULT_DECIMAL_DIGITS, 10, 0, 2, 0, 5, 38, 5},
        {RESULT_DECIMAL_DIGITS, 10, 0, 2, 0, -3, 38, 0},
        {RESULT_DECIMAL_DIGITS, 10, 0, 2, 0, 39, 0, 0},
        {RESULT_SAME, 10, 5, 2, 4, 0, 10, 2},
        {RESULT_SAME_2, 10, 5, 2, 4, 0, 5, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct semantics_line line = {.rule = cases[i].rule, .result = DECIMAL};
        const omen_type types[2] = {
            {.id = DECIMAL, .precision = cases[i].precision1, .scale = cases[i].scale1},
            {.id = DECIMAL, .precision = cases[i].precision2, .scale = cases[i].scale2}};
        omen_type type = {.id = DECIMAL};
        omen_status status = semantics_result_type(&line, types, cases[i].precision2 > 0 ? 2 : 1,
                                                   cases[i].digits, &type, NULL);
        if (cases[i].precision == 0) {
            assert_int_equal(status, OMEN_NOT_SUPPORTED);
            continue;
        }
        assert_int_equal(status, OMEN_OK);
        if (type.precision != cases[i].precision || type.scale != cases[i].scale)
            fail_msg("case %zu: (%d,%d)", i, type.precision, type.scale);
    }
}

/* Every line can be found by exactly its own argument types, unless it takes any. */
static void test_every_line_is_found(void **state)
{
    for (uint32_t i = 0; i < semantics_line_count; i++) {
        const struct semantics_line *line = &semantics_lines[i], *found = NULL;
        omen_type types[SEMANTICS_ARGUMENTS_MAX];
        bool any = false;
        for (uint32_t j = 0; j < line->argument_count; j++) {
            types[j] = type_of(line->arguments[j]);
            any |= line->arguments[j] == ANY;
        }
        if (any)
            continue;
        if (line->kind == SEMANTICS_CAST)
            found = semantics_find_cast((omen_type_id)line->arguments[0],
                                        (omen_type_id)line->result, CONTEXT_EXPLICIT);
        else if (line->kind != SEMANTICS_OPERATOR)
            assert_int_equal(semantics_find_function(line->name, types, line->argument_count, false,
                                                     &found, NULL),
                             OMEN_OK);
        else
            assert_int_equal(
                semantics_find_operator(line->name, line->argument_count > 1 ? &types[0] : NULL,
                                        &types[line->argument_count - 1], &found, NULL),
                OMEN_OK);
        if (found != line)
            fail_msg("line %u, %s", i, line->name != NULL ? line->name : "a cast");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operators),    cmocka_unit_test(test_functions),
        cmocka_unit_test(test_casts),        cmocka_unit_test(test_common_types),
        cmocka_unit_test(test_result_types), cmocka_unit_test(test_every_line_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
