/* test_engine_functions.c - what the engine has beyond DataFusion: calls of the core's functions,
 * single_value and checked arithmetic. Skipped (77) where OMENDB_ENGINE names no engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine_driver.h"
#include "fake_host.h"
#include "sql/engine_text.h"

/* The signature of the core's function of this name from TEXT, or of the cast from TEXT. */
static const char *signature_of(const char *name, omen_type_id result, struct arena *arena)
{
    static struct expression argument = {.type = {.id = OMEN_TYPE_TEXT}};
    static struct expression *arguments[] = {&argument};
    struct expression call = {
        .kind = EXPRESSION_CALL, .type = {.id = result}, .arguments = arguments, .argument_count = 1,
        .explicit_cast = name == NULL};
    const char *signature = NULL;
    for (uint32_t i = 0; i < semantics_line_count && call.line == NULL; i++) {
        const struct semantics_line *line = &semantics_lines[i];
        bool same = name == NULL ? line->name == NULL && line->result == result
                                 : line->name != NULL && strcmp(line->name, name) == 0;
        if (same && line->argument_count == 1 && line->arguments[0] == OMEN_TYPE_TEXT)
            call.line = line;
    }
    assert_non_null(call.line);
    assert_int_equal(engine_call_write(&call, arena, &signature, NULL), OMEN_OK);
    return signature;
}

/* core(): one call a batch, by the core's own function; constants, columns, NULLs, errors. */
static void test_core_functions(void **state)
{
    char sql[512];
    struct allocator allocator;
    struct arena arena;
    allocator_init(&allocator, 0);
    arena_init(&arena, &allocator);
    const char *lower = signature_of("lower", OMEN_TYPE_TEXT, &arena);
    const char *number = signature_of(NULL, OMEN_TYPE_INTEGER, &arena);
    snprintf(sql, sizeof sql, "SELECT core('%s', 'ABC'), core('%s', '42') + CAST(1 AS INT)", lower,
             number);
    expect(sql, "abc|43");
    snprintf(sql, sizeof sql,
             "SELECT core('%s', upper(name)) FROM t WHERE id IN (5, 6, -7) ORDER BY id", lower);
    expect(sql, "minus seven\nfive\n" FAKE_NAME_LONG);
    snprintf(sql, sizeof sql, "SELECT count(DISTINCT core('%s', name)), count(*) FROM big", lower);
    expect(sql, "200000|200000");
    snprintf(sql, sizeof sql, "SELECT core('%s', name) FROM t WHERE id = 5", number);
    expect_error(sql, "22P02", "invalid input syntax for type integer: \"five\"");
    /* Computed for the rows that need it alone. */
    snprintf(sql, sizeof sql,
             "SELECT CASE WHEN id = 42 THEN core('%s', name) ELSE CAST(0 AS INT) END FROM t WHERE "
             "id > 4 ORDER BY id",
             number);
    expect(sql, "0\n0\n42\n0");
    expect("SELECT id FROM t WHERE id > 4 AND whole(CASE WHEN id = 5 THEN 0 WHEN 10 / (id - 5) > 5 THEN 1 ELSE "
           "0 END) = 1",
           "6");
    expect_error("SELECT core('lower', name) FROM t", "XX000", "no function of the core");
    expect_error("SELECT core(name) FROM t", "XX000", "signature");
    arena_release(&arena);
}

static void test_single_value(void **state)
{
    expect("SELECT single_value(id) FROM t WHERE id = 5", "5");
    expect("SELECT single_value(id) FROM t WHERE id = 7", "NULL");
    expect("SELECT count(*) FROM (SELECT single_value(amount) AS x FROM big GROUP BY id) y",
           "200000");
    expect_error("SELECT single_value(id) FROM t", "21000",
                 "more than one row returned by a subquery used as an expression");
    expect_error("SELECT amount, single_value(id) FROM big GROUP BY amount", "21000", "");
}

static void test_checked_floats(void **state)
{
    expect_error("SELECT CAST('1e300' AS DOUBLE) * CAST('1e300' AS DOUBLE)", "22003",
                 "value out of range: overflow");
    expect_error("SELECT CAST('1e-300' AS DOUBLE) * CAST('1e-300' AS DOUBLE)", "22003",
                 "value out of range: underflow");
    expect_error("SELECT CAST(id AS DOUBLE) / CAST('0' AS DOUBLE) FROM t", "22012", "");
    expect("SELECT CAST('Infinity' AS DOUBLE) - CAST('Infinity' AS DOUBLE) = CAST('NaN' AS DOUBLE), "
           "CAST('0' AS DOUBLE) * CAST('-1' AS DOUBLE) = CAST('0' AS DOUBLE), CAST('NaN' AS DOUBLE) / "
           "CAST('0' AS DOUBLE)",
           "true|true|nan");
    expect_error("SELECT CAST(99999999999999999999999999999999999999 AS DECIMAL(38, 0)) + "
                 "CAST(1 AS DECIMAL(38, 0))",
                 "0A000", "38 digits");
}

static int set_up(void **state)
{
    driver_open(0, 4);
    return 0;
}

static int tear_down(void **state)
{
    driver_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_core_functions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_single_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_checked_floats, set_up, tear_down),
    };
    return driver_load(NULL) == NULL ? 77 : cmocka_run_group_tests(tests, NULL, NULL);
}
