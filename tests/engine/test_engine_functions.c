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

/* Whoever computes a function for a batch learns that nobody waits for it any more. */
static void test_stopped_functions(void **state)
{
    char sql[256];
    struct allocator allocator;
    struct arena arena;
    allocator_init(&allocator, 0);
    arena_init(&arena, &allocator);
    snprintf(sql, sizeof sql, "SELECT core('%s', name) FROM t",
             signature_of("lower", OMEN_TYPE_TEXT, &arena));
    fake_host.call_endless = true;
    driver_interrupt(-1, 50);
    expect_error(sql, "57014", "due to statement timeout");
    driver_interrupt(-1, 0);
    driver_close_early();
    assert_int_equal(fake_host.calls_stopped, 1);
    fake_host.call_endless = false;
    arena_release(&arena);
}

/* Sums over frames that rows leave: NaN and infinities leave too, and so do large numbers. The
 * second window runs the other way, and must not turn the first around. */
static void test_framed_sums(void **state)
{
    static const struct {
        const char *call, *frame, *answers;
    } cases[] = {
        {"framed_sum(x)", "1 PRECEDING AND CURRENT ROW",
         "1|9\nnan|8\nnan|7\n1e+300|6\n1.5|5\n-2|4\ninf|3\ninf|2\n7|1"},
        {"framed_sum(x)", "UNBOUNDED PRECEDING AND CURRENT ROW",
         "1|9\nnan|8\nnan|7\nnan|6\nnan|5\nnan|4\nnan|3\nnan|2\nnan|1"},
        {"framed_sum(x)", "CURRENT ROW AND UNBOUNDED FOLLOWING",
         "nan|9\nnan|8\ninf|7\ninf|6\ninf|5\ninf|4\ninf|3\n7|2\n4|1"},
        {"framed_sum(x)", "4 PRECEDING AND 3 PRECEDING",
         "NULL|9\nNULL|8\nNULL|7\n1|6\nnan|5\nnan|4\n1e+300|3\n1.5|2\n-2|1"},
        {"framed_avg(x)", "2 PRECEDING AND 1 PRECEDING",
         "NULL|9\n1|8\nnan|7\nnan|6\n5e+299|5\n1.5|4\n-2|3\ninf|2\ninf|1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[1024];
        snprintf(sql, sizeof sql,
                 "SELECT %s OVER (ORDER BY k ASC NULLS LAST ROWS BETWEEN %s), row_number() OVER "
                 "(ORDER BY k DESC NULLS LAST) FROM (VALUES (1, CAST('1' AS DOUBLE)), (2, CAST('NaN' "
                 "AS DOUBLE)), (3, CAST('1e300' AS DOUBLE)), (4, CAST('1.5' AS DOUBLE)), (5, "
                 "CAST(NULL AS DOUBLE)), (6, CAST('-2' AS DOUBLE)), (7, CAST('Infinity' AS DOUBLE)), "
                 "(8, CAST('3' AS DOUBLE)), (9, CAST('4' AS DOUBLE))) AS v(k, x) ORDER BY k",
                 cases[i].call, cases[i].frame);
        expect(sql, cases[i].answers);
    }
    /* Frames too long to be added up anew, of a column and of a constant. */
    expect("SELECT count(*), sum(CASE WHEN s = expected THEN 0 ELSE 1 END) FROM (SELECT framed_sum(CAST("
           "id AS DOUBLE)) OVER (ORDER BY id ROWS BETWEEN 99 PRECEDING AND CURRENT ROW) AS s, "
           "CAST(CASE WHEN id < 100 THEN id * (id + 1) / 2 ELSE 100 * id - 4950 END AS DOUBLE) AS "
           "expected FROM big) x",
           "200000|0");
    expect("SELECT count(*), sum(CASE WHEN s = expected THEN 0 ELSE 1 END) FROM (SELECT "
           "framed_avg(CAST(id AS DOUBLE)) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND UNBOUNDED "
           "FOLLOWING) AS s, CAST(id + 199999 AS DOUBLE) / CAST(2 AS DOUBLE) AS expected FROM big) x",
           "200000|0");
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
        cmocka_unit_test_setup_teardown(test_stopped_functions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_framed_sums, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_single_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_checked_floats, set_up, tear_down),
    };
    return driver_load(NULL) == NULL ? 77 : cmocka_run_group_tests(tests, NULL, NULL);
}
