/* A SQL engine seen from the core: right answers, exact predicates, errors, ownership.
 *
 * The first group holds for every engine, the stub too; the second for DataFusion. Without an
 * engine (OMENDB_ENGINE unset or not loadable) the program is skipped.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "engine_driver.h"
#include "fake_host.h"

static const omen_engine *engine;

static int open_engine(void **state)
{
    driver_open(0, 2);
    return 0;
}

static int close_engine(void **state)
{
    driver_close();
    return 0;
}

static void expect_pushed(const char *sql, int predicate_count, const char *answer)
{
    expect(sql, answer);
    if (fake_host.predicate_count != predicate_count)
        fail_msg("%s: %d predicates were pushed, not %d", sql, fake_host.predicate_count,
                 predicate_count);
}

/* --- every engine ------------------------------------------------------------------------------ */

static void test_all_rows(void **state)
{
    expect("SELECT * FROM t",
           "-9223372036854775808||-1|false\n-7|minus seven|NULL|true\n1|one|10|true\n"
           "2|NULL|20|NULL\n5|five|50|false\n6|" FAKE_NAME_LONG "|NULL|true\n42|42|42|NULL\n"
           "9223372036854775807|largest|7|true");
    expect("SELECT count(*) FROM t", "8");
    expect("SELECT count(*) FROM big", "200000");
}

static void test_host_errors(void **state)
{
    expect_error("SELECT * FROM missing", "42P01", "relation \"missing\" does not exist");
    expect_error("SELECT * FROM unopenable", "58030", "the disk is gone");
    expect_error("SELECT count(*) FROM failing", "XX001", "page 7 of segment 3 is damaged");
    expect_error("SELECT * FROM failing_big", "XX001", "page 7 of segment 3 is damaged");
}

static void test_only_queries(void **state)
{
    expect_error("DROP TABLE t", "0A000", "");
    expect_error("SET omen.route = 'scan'", "0A000", "");
    expect_error("EXPLAIN SELECT * FROM t", "0A000", "");
    assert_int_equal(fake_host.scan_count, 0);
}

static void test_explain_runs_nothing(void **state)
{
    const char *plan = driver_explain("SELECT count(*) FROM t");
    assert_true(strlen(plan) > 0);
    assert_int_equal(fake_host.scan_count, 0);
}

/* Batches and even the stream outlive the engine. */
static void test_release_after_close(void **state)
{
    struct ArrowArrayStream stream;
    struct ArrowArray first;
    struct ArrowSchema schema;
    const char *sql = "SELECT * FROM big";
    omen_error error;
    assert_int_equal(driver_start(sql, &stream, &error), OMEN_OK);
    assert_int_equal(stream.get_next(&stream, &first), 0);
    assert_true(first.length > 0);
    driver_close_early();
    assert_int_equal(stream.get_schema(&stream, &schema), 0);
    assert_int_equal(schema.n_children, 4);
    schema.release(&schema);
    struct ArrowArray second;
    assert_int_equal(stream.get_next(&stream, &second), 0);
    assert_non_null(second.release);
    stream.release(&stream);
    assert_int_equal(fake_host.cursors_alive, 0);
    assert_int_equal(fake_host.tables_alive, 0);
    assert_true(fake_host.arrays_alive > 0);
    assert_int_equal(second.children[0]->length, second.length);
    assert_true(((const int64_t *)first.children[0]->buffers[1])[0] >= 0);
    second.release(&second);
    first.release(&first);
    assert_int_equal(fake_host.arrays_alive, 0);
}

static void test_close_nothing(void **state)
{
    engine->close(NULL);
    assert_non_null(engine->name());
}

/* --- DataFusion -------------------------------------------------------------------------------- */

static void test_pushed_predicates(void **state)
{
    expect_pushed("SELECT name FROM t WHERE id = 5", 1, "five");
    assert_int_equal(fake_host.column_count, 1);
    expect_pushed("SELECT name FROM t WHERE 5 = id", 1, "five");
    expect_pushed("SELECT id FROM t WHERE 5 > id AND id > -8 ORDER BY id", 2, "-7\n1\n2");
    expect_pushed("SELECT id FROM t WHERE id BETWEEN 2 AND 6 ORDER BY id", 2, "2\n5\n6");
    expect_pushed("SELECT id FROM t WHERE id IN (42, 5) ORDER BY id", 1, "5\n42");
    expect_pushed("SELECT id FROM t WHERE id IN (42, 5, 6, 77, 1) ORDER BY id", 1, "1\n5\n6\n42");
    expect_pushed("SELECT id FROM t WHERE id = 5 OR id = 6 ORDER BY id", 1, "5\n6");
    expect_pushed("SELECT id FROM t WHERE NOT id = 5 AND id > 4 ORDER BY id", 2,
                  "6\n42\n9223372036854775807");
    expect_pushed("SELECT id FROM t WHERE amount IS NULL ORDER BY id", 1, "-7\n6");
    expect_pushed("SELECT count(*) FROM t WHERE amount IS NOT NULL", 1, "6");
    expect_pushed("SELECT count(*) FROM t WHERE name IS NULL", 1, "1");
    expect_pushed("SELECT id FROM t WHERE flag AND id > 1 ORDER BY id", 2,
                  "6\n9223372036854775807");
    expect_pushed("SELECT id FROM t WHERE NOT flag ORDER BY id", 1, "-9223372036854775808\n5");
    expect_pushed("SELECT id FROM t WHERE amount <> 10 AND id < 10 ORDER BY id", 2,
                  "-9223372036854775808\n2\n5");
    expect_pushed("SELECT count(*) FROM t WHERE id = 5", 1, "1");
    assert_int_equal(fake_host.column_count, 0);
}

/* Literals of other types: whatever is pushed, the answer is PostgreSQL's. */
static void test_unconvertible_literals(void **state)
{
    expect_pushed("SELECT id FROM t WHERE id = 42.5", 0, "");
    expect("SELECT id FROM t WHERE id = 42.0", "42");
    expect("SELECT id FROM t WHERE id = '42'", "42");
    expect("SELECT id FROM t WHERE id < '5' AND id > '-7' ORDER BY id", "1\n2");
    expect("SELECT id FROM t WHERE id > 5.5 AND id < 42.5 ORDER BY id", "6\n42");
    expect("SELECT id FROM t WHERE id IN (5, NULL)", "5");
    expect("SELECT id FROM t WHERE id IN (5, 6, 7, 8, NULL) ORDER BY id", "5\n6");
    expect("SELECT id FROM t WHERE id NOT IN (5, NULL)", "");
    expect("SELECT id FROM t WHERE id NOT IN (5, 6, 7, 8, NULL)", "");
    expect("SELECT id FROM t WHERE id = NULL", "");
    expect("SELECT id FROM t WHERE id = 5 AND id = 6", "");
    expect("SELECT id FROM t WHERE id = 5 AND id IN (6, 7, 8, 9)", "");
    expect("SELECT count(*) FROM t WHERE NOT id = 5", "7");
    expect("SELECT count(*) FROM t WHERE id < 9223372036854775808", "8");
    expect("SELECT count(*) FROM t WHERE id = 9223372036854775808", "0");
    expect("SELECT count(*) FROM t WHERE id > -99999999999999999999", "8");
    expect("SELECT id FROM t WHERE id = 9223372036854775807", "9223372036854775807");
    expect("SELECT id FROM t WHERE id = -9223372036854775808", "-9223372036854775808");
    expect_pushed("SELECT id FROM t WHERE id = amount", 0, "42");
    expect_pushed("SELECT id FROM t WHERE amount + 1 = 51", 0, "5");
    expect_pushed("SELECT id FROM t WHERE name = '42'", 0, "42");
    expect("SELECT id FROM t WHERE id = 5 AND name = 'x'", "");
    expect_pushed("SELECT id FROM t WHERE id = 5 AND name = 'five'", 1, "5");
    expect("SELECT id FROM t WHERE id = 5 OR name = 'one' ORDER BY id", "1\n5");
    expect("SELECT id FROM t WHERE amount = 10 OR amount IS NULL ORDER BY id", "-7\n1\n6");
    expect_error("SELECT id FROM t WHERE id = 'x'", "22P02", "");
}

static void test_projections(void **state)
{
    expect("SELECT amount, id FROM t WHERE id = 5", "50|5");
    expect("SELECT id AS c0, id AS c1 FROM t WHERE id = 5", "5|5");
    expect("SELECT name FROM t WHERE id = 6", FAKE_NAME_LONG);
    expect("SELECT count(*) FROM t", "8");
    assert_int_equal(fake_host.column_count, 0);
    expect("SELECT 1 FROM t WHERE id > 5", "1\n1\n1");
    expect("SELECT count(name), count(amount), sum(amount) FROM t", "7|6|128");
    expect("SELECT min(id), max(id) FROM t", "-9223372036854775808|9223372036854775807");
    expect("SELECT DISTINCT flag FROM t ORDER BY flag", "false\ntrue\nNULL");
    expect("SELECT a.id FROM t a JOIN t b ON a.id = b.amount ORDER BY 1", "42");
    expect("SELECT ID FROM T WHERE Id = 5", "5");
    expect("SELECT x.n FROM (SELECT name AS n FROM t WHERE id = 5) x", "five");
    expect("WITH w AS (SELECT id FROM t WHERE id > 5) SELECT count(*) FROM w", "3");
    expect("SELECT count(*) FROM generate_series(1, 10)", "10");
    /* One table version a statement, however often it is named. */
    expect("SELECT count(*) FROM t a, t b WHERE a.id = 5 AND b.id IN (SELECT id FROM t)", "8");
    assert_int_equal(fake_host.resolve_count, 1);
}

/* What passes a plan untouched is the host's own memory. */
static void test_no_copies(void **state)
{
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    omen_error error;
    assert_int_equal(driver_start("SELECT name, id FROM t", &stream, &error), OMEN_OK);
    assert_int_equal(stream.get_next(&stream, &batch), 0);
    assert_int_equal(batch.length, 8);
    assert_ptr_equal(batch.children[0]->buffers[1], fake_host.values[1]);
    assert_ptr_equal(batch.children[1]->buffers[1], fake_host.values[0]);
    batch.release(&batch);
    stream.release(&stream);
}

static void test_limit(void **state)
{
    expect("SELECT count(*) FROM (SELECT id FROM big LIMIT 10) x", "10");
    assert_int_equal(fake_host.limit, 10);
    assert_true(fake_host.rows_delivered <= 40);
    expect("SELECT count(*) FROM (SELECT id FROM big LIMIT 10 OFFSET 199995) x", "5");
    expect("SELECT id FROM t WHERE id > 0 ORDER BY id LIMIT 2", "1\n2");
    expect("SELECT count(*) FROM (SELECT id FROM t WHERE name <> '' LIMIT 3) x", "3");
    assert_int_equal(fake_host.limit, -1);
    expect("SELECT count(*) FROM (SELECT id FROM t LIMIT 0) x", "0");
}

static void test_partitions(void **state)
{
    expect("SELECT count(*), sum(id), min(id), max(id) FROM big", "200000|19999900000|0|199999");
    /* Cut into more shares than partitions; each partition reads at least its own. */
    assert_int_equal(fake_host.partition_count, 4);
    assert_int_equal(fake_host.scan_count, 4);
    assert_int_equal(fake_host.partition_rows[0], 50000);
    assert_int_equal(fake_host.partition_rows[1], 50000);
    expect_pushed("SELECT name FROM big WHERE id = 123456", 1, "name of row 123456");
    assert_int_equal(fake_host.partition_count, 1);
    expect_pushed("SELECT count(*) FROM big WHERE id IN (1, 2, 3, 4, 1000000)", 1, "4");
    assert_int_equal(fake_host.partition_count, 1);
    expect("SELECT count(*) FROM t", "8");
    assert_int_equal(fake_host.partition_count, 1);
    expect("SELECT amount, count(*) FROM big WHERE amount < 3 GROUP BY amount ORDER BY amount",
           "0|200\n1|200\n2|200");
    expect("SELECT count(*) FROM big a JOIN big b ON a.id = b.amount", "200000");
}

static void test_parameters(void **state)
{
    omen_value five = {.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = 5};
    omen_value small = {.type = {.id = OMEN_TYPE_INTEGER}, .as.i32 = 5};
    omen_value none = {.type = {.id = OMEN_TYPE_BIGINT}, .is_null = true};
    omen_value untyped = {.is_null = true};
    omen_value text = {.type = {.id = OMEN_TYPE_TEXT},
                       .as.bytes = {(const uint8_t *)"five", strlen("five")}};
    omen_value half = {.type = {.id = OMEN_TYPE_DOUBLE}, .as.f64 = 42.5};
    omen_value both[] = {five, text};
    assert_string_equal(driver_run_with("SELECT name FROM t WHERE id = $1", &five, 1), "five");
    assert_int_equal(fake_host.predicate_count, 1);
    assert_string_equal(driver_run_with("SELECT name FROM t WHERE id = $1", &small, 1), "five");
    assert_int_equal(fake_host.predicate_count, 1);
    assert_string_equal(driver_run_with("SELECT name FROM t WHERE id = $1", &none, 1), "");
    assert_string_equal(driver_run_with("SELECT name FROM t WHERE id = $1", &untyped, 1), "");
    assert_string_equal(driver_run_with("SELECT name FROM t WHERE id = $1", &half, 1), "");
    assert_string_equal(
        driver_run_with("SELECT id FROM t WHERE name = $2 AND id = $1", both, 2), "5");
    assert_string_equal(driver_run_with("SELECT $1 + 1, $2 || '!', $1", both, 2), "6|five!|5");
    assert_string_equal(driver_run_with("SELECT sum($1) FROM t", &five, 1), "40");
    expect_error("SELECT name FROM t WHERE id = $1", "22023", "$1");
}

static omen_value decimal_of(int64_t unscaled, uint8_t precision, int8_t scale)
{
    return (omen_value){
        .type = {.id = OMEN_TYPE_DECIMAL, .precision = precision, .scale = scale},
        .as.decimal = {(uint64_t)unscaled, unscaled < 0 ? -1 : 0},
    };
}

static void test_types(void **state)
{
    omen_value values[] = {
        decimal_of(-12345, 10, 2),
        {.type = {.id = OMEN_TYPE_DATE}, .as.i32 = -1},
        {.type = {.id = OMEN_TYPE_TIMESTAMP}, .as.i64 = -1},
        {.type = {.id = OMEN_TYPE_TIMESTAMPTZ}, .as.i64 = 1},
        {.type = {.id = OMEN_TYPE_BOOLEAN}, .as.boolean = true},
        {.type = {.id = OMEN_TYPE_SMALLINT}, .as.i16 = -3},
        {.type = {.id = OMEN_TYPE_DOUBLE}, .as.f64 = 0.5},
    };
    assert_string_equal(driver_run_with("SELECT $1, $2, $3, $4, $5, $6, $7", values, 7),
                        "-12345(10,2)|-1|-1|1|true|-3|0.5");
    expect("SELECT TIMESTAMP '1970-01-01 00:00:01'", "1000000");
    expect("SELECT TIMESTAMPTZ '1970-01-01 02:00:00+02'", "0");
    expect("SELECT DATE '1969-12-31'", "-1");
    expect("SELECT 42.50", "4250(4,2)");
    expect("SELECT NULL", "NULL");
    expect("SELECT upper(name) FROM t WHERE id = 5", "FIVE");
    expect("SELECT row_number() OVER (ORDER BY id) FROM t WHERE id BETWEEN 1 AND 2", "1\n2");
    expect("SELECT now() IS NOT NULL", "true");
    expect_error("SELECT INTERVAL '1 day'", "0A000", "type");
}

static void expect_predicates(const char *condition, const omen_value *parameter,
                              const char *predicates)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM typed WHERE %s", condition);
    assert_string_equal(driver_run_with(sql, parameter, parameter != NULL), "0");
    if (strcmp(fake_host.predicate_text, predicates) != 0)
        fail_msg("%s pushes \"%s\", not \"%s\"", condition, fake_host.predicate_text, predicates);
}

/* The fake host aborts on a value that isn't of its column's type. */
static void test_predicate_values(void **state)
{
    omen_value uuid = {.type = {.id = OMEN_TYPE_UUID}, .as.uuid = {0xAB, [15] = 0xCD}};
    omen_value bytes = {.type = {.id = OMEN_TYPE_BYTEA}, .as.bytes = {(const uint8_t *)"xyz", 3}};
    omen_value zero = {.type = {.id = OMEN_TYPE_DOUBLE}, .as.f64 = -0.0};
    omen_value nan = {.type = {.id = OMEN_TYPE_DOUBLE}, .as.f64 = __builtin_nan("")};
    omen_value dear = decimal_of(-150, 10, 2);
    expect_predicates("small = 5", NULL, "small = 5");
    expect_predicates("small = 70000", NULL, "");
    expect_predicates("whole IN (1, 2, 3, 4)", NULL, "whole in 1 2 3 4");
    expect_predicates("whole = 5000000000", NULL, "");
    expect_predicates("whole = 5.0", NULL, "whole = 5");
    expect_predicates("whole = 5.5", NULL, "");
    expect_predicates("ratio > CAST('0.5' AS DOUBLE)", NULL, "ratio > 0.5");
    expect_predicates("ratio = $1", &zero, "ratio = 0");
    expect_predicates("ratio <= $1", &nan, "ratio <= nan");
    expect_predicates("ratio IN (CAST('0.5' AS DOUBLE), CAST('3.5' AS DOUBLE))", NULL,
                      "ratio in 0.5 3.5");
    expect_predicates("ratio BETWEEN CAST('0.5' AS DOUBLE) AND CAST('1.5' AS DOUBLE)", NULL, "ratio >= 0.5; ratio <= 1.5");
    expect_predicates("single = CAST('0.5' AS REAL)", NULL, "single = 0.5");
    expect_predicates("price >= 1.5", NULL, "price >= 0/150");
    expect_predicates("price = $1", &dear, "price = -1/-150");
    expect_predicates("price = 1.555", NULL, "");
    expect_predicates("price = 3", NULL, "price = 0/300");
    expect_predicates("price = 12345678901.5", NULL, "");
    expect_predicates("bytes = $1", &bytes, "bytes = xyz");
    expect_predicates("day = DATE '1969-12-31'", NULL, "day = -1");
    expect_predicates("day >= '1970-01-03'", NULL, "day >= 2");
    expect_predicates("moment < TIMESTAMP '1970-01-01 00:00:00.5'", NULL, "moment < 500000");
    expect_predicates("instant = TIMESTAMPTZ '1970-01-01 02:00:00+02'", NULL, "instant = 0");
    expect_predicates("label = $1", &uuid, "label = ab..cd");
    expect_predicates("day IS NULL AND price IS NOT NULL", NULL, "day null; price not null");
    expect("SELECT * FROM typed", "");
}

/* A filter that the host took and then no longer takes is applied above the scan. */
static void test_fickle_host(void **state)
{
    expect_pushed("SELECT name FROM fickle WHERE id = 5", 0, "five");
    expect_pushed("SELECT count(*) FROM fickle WHERE id = 5", 0, "1");
    expect("SELECT count(*) FROM (SELECT id FROM fickle WHERE id > 5 LIMIT 2) x", "2");
}

/* `head`, then `count` times `part`, then `tail`. */
static const char *repeated(const char *head, const char *part, int count, const char *tail)
{
    static char sql[1 << 17];
    size_t used = (size_t)snprintf(sql, sizeof sql, "%s", head);
    for (int i = 0; i < count; i++)
        used += (size_t)snprintf(sql + used, sizeof sql - used, "%s", part);
    assert_true(used + strlen(tail) < sizeof sql);
    snprintf(sql + used, sizeof sql - used, "%s", tail);
    return sql;
}

/* What would overrun the stack is refused, what is merely long is not. */
static void test_long_statements(void **state)
{
    expect(repeated("SELECT count(*) FROM t WHERE id = 1", " OR id = 5", 300, ""), "2");
    expect(repeated("SELECT 1", " + 2 - 1", 400, ""), "401");
    expect(repeated("SELECT id", " + amount", 400, " FROM t WHERE id = 1"), "4001");
    expect(repeated("SELECT count(*) FROM t WHERE id IN (1", ", 5", 20000, ")"), "2");
    expect("SELECT ((((((((((((((((((((1))))))))))))))))))))", "1");
    expect_error(repeated("SELECT ", "(", 5000, "1"), "54001", "");
    expect_error(repeated("SELECT 1", " + 1", 20000, ""), "54001", "");
    expect_error(repeated("SELECT 1", "+(1", 20000, ""), "54001", "");
    expect_error(repeated("SELECT ", "- ", 20000, "1"), "54001", "");
    expect_error(repeated("SELECT 1", " UNION ALL SELECT 1", 3000, ""), "54001", "");
    expect_error(repeated("SELECT 1 FROM t", ", t", 3000, ""), "54001", "");
}

static void test_planning_errors(void **state)
{
    /* Names and types are the core's: a text that doesn't plan is too much for the engine. */
    expect_error("SELECT nothing FROM t", "0A000", "nothing");
    expect_error("SELECT id FROM t a, t b", "0A000", "");
    expect_error("SELECT no_such_function(id) FROM t", "0A000", "no_such_function");
    expect_error("SELECT id, count(*) FROM t", "0A000", "");
    expect_error("SELEC id FROM t", "42601", "");
    expect_error("SELECT id FROM t WHERE", "42601", "");
    expect_error("", "42601", "empty");
    expect_error("SELECT id FROM t; SELECT id FROM t", "0A000", "");
    expect_error("SELECT * FROM elsewhere.t", "42P01", "");
    expect_error("SELECT * FROM 'file.parquet'", "42P01", "");
    expect_error("SELECT id FROM t WHERE name", "0A000", "");
    expect_error("SELECT id FROM t LIMIT -1", "2201W", "");
    expect_error("SELECT id FROM t LIMIT 1 OFFSET -1", "2201X", "");
    expect_error("SELECT (SELECT id FROM t)", "21000", "");
    /* The stream's names are quoted back; nothing of the text is lost. */
    expect_error("SELECT * FROM \"Missing\"", "42P01", "relation \"Missing\" does not exist");
}

static void test_refused_statements(void **state)
{
    expect_error("INSERT INTO t SELECT * FROM t", "0A000", "");
    expect_error("DELETE FROM t", "0A000", "");
    expect_error("CREATE TABLE x AS SELECT 1", "0A000", "");
    expect_error("SELECT id INTO x FROM t", "0A000", "");
    expect_error("COPY t TO 'x.csv'", "0A000", "");
    expect_error("SHOW TABLES", "0A000", "");
    expect_error("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION 'x.csv'", "0A000", "");
    expect_error("SELECT id FROM t FOR UPDATE", "0A000", "row locks");
    expect_error("SELECT * FROM (SELECT id FROM t FOR SHARE) x", "0A000", "row locks");
    expect_error("WITH w AS (DELETE FROM t RETURNING id) SELECT * FROM w", "0A000", "");
    expect_error("EXECUTE x", "0A000", "");
    assert_int_equal(fake_host.scan_count, 0);
}

static void test_running_errors(void **state)
{
    expect_error("SELECT 1 / 0", "22012", "division by zero");
    expect_error("SELECT id / (id - id) FROM t", "22012", "division by zero");
    expect_error("SELECT CAST('abc' AS BIGINT)", "22P02", "abc");
    expect_error("SELECT CAST(name AS BIGINT) FROM t WHERE id = 5", "22P02", "five");
    expect_error("SELECT CAST(id AS SMALLINT) FROM t WHERE id = 9223372036854775807", "22003", "");
    expect_error("SELECT 9223372036854775807 + 1", "22003", "out of range");
    expect_error("SELECT id + 1 FROM t", "22003", "out of range");
    expect_error("SELECT id - 1 FROM t", "22003", "out of range");
    expect_error("SELECT count(*) FROM t WHERE id * 2 > 5", "22003", "out of range");
    expect_error("SELECT -id FROM t", "22003", "out of range");
    expect_error("SELECT id / -1 FROM t", "22003", "out of range");
    expect_error("SELECT CAST(id AS SMALLINT) * CAST(10000 AS SMALLINT) FROM t WHERE id = 5",
                 "22003", "out of range");
    expect("SELECT -id, id + 1, id * 2, id - amount, 2 - 3 FROM t WHERE id = 5", "-5|6|10|-45|-1");
    expect("SELECT 10 - 3 - 2 * 2 + 1, 10 - (3 - 2), -(-id) FROM t WHERE id = 5", "4|9|5");
    expect("SELECT sum(id + amount), sum(id - amount) FROM t WHERE id BETWEEN 1 AND 5", "88|-72");
    expect("SELECT CAST(1 AS SMALLINT) + CAST(2 AS SMALLINT), CAST(1 AS SMALLINT) - CAST(2 AS INT)",
           "3|-1");
    expect("SELECT id FROM t WHERE id = 2 + 3", "5");
    assert_int_equal(fake_host.predicate_count, 1);
    expect_error("SELECT DATE '2020-13-45'", "22007", "");
    expect_error("SELECT count(*) FROM failing_big a JOIN t b ON a.id = b.id", "XX001", "page 7");
}

/* Panics inside the engine, and a host that breaks its promises, end the statement only. */
static void test_panics_and_malformed_streams(void **state)
{
    expect_error("SELECT * FROM null_format", "XX000", "panicked");
    expect_error("SELECT * FROM null_buffers", "XX000", "panicked");
    expect_error("SELECT a.id FROM null_buffers a JOIN big b ON a.id = b.id", "XX000", "panicked");
    expect_error("SELECT * FROM short_batch", "XX000", "malformed");
    expect("SELECT name FROM t WHERE id = 5", "five");
}

static void test_explain_text(void **state)
{
    const char *plan = driver_explain("SELECT name FROM t WHERE id = 5");
    assert_non_null(strstr(plan, "table=t, columns=[name], predicates=[id = 5], access=index"));
    plan = driver_explain("SELECT name FROM t WHERE amount > 5");
    assert_non_null(strstr(plan, "columns=[name], predicates=[amount > 5], access=scan"));
    plan = driver_explain("SELECT id FROM t WHERE name = 'x'");
    assert_non_null(strstr(plan, "columns=[id, name], predicates=[], access=scan"));
    assert_non_null(strstr(plan, "FilterExec"));
    plan = driver_explain("SELECT * FROM t a JOIN big b ON a.id = b.id WHERE b.id IN (1, 2)");
    assert_non_null(strstr(plan, "predicates=[id IN (1, 2)], access=index"));
    assert_int_equal(fake_host.scan_count, 0);
}

/* Each partition sorts its own, with every key: the branches' constants differ. */
static void test_sorted_partitions(void **state)
{
    const char *plan = driver_explain("SELECT id FROM big ORDER BY amount, id LIMIT 3");
    assert_non_null(strstr(plan, "SortPreservingMergeExec"));
    assert_non_null(strstr(plan, "preserve_partitioning=[true]"));
    expect("SELECT amount, id FROM big ORDER BY amount DESC, id LIMIT 2", "999|999\n999|1999");
    expect("SELECT id FROM big ORDER BY id DESC LIMIT 2 OFFSET 199997", "2\n1");
    plan = driver_explain("SELECT 7 AS k, id FROM big UNION ALL SELECT 9, id FROM big ORDER BY 1 DESC, 2 LIMIT 3");
    assert_non_null(strstr(plan, "preserve_partitioning=[true]"));
    expect("SELECT 7 AS k, id FROM big UNION ALL SELECT 9, id FROM big ORDER BY 1 DESC, 2 LIMIT 3",
           "9|0\n9|1\n9|2");
    expect("SELECT 7 AS k, id FROM big UNION ALL SELECT 9, id FROM big ORDER BY 1, 2 DESC LIMIT 3",
           "7|199999\n7|199998\n7|199997");
}

static void test_memory_limit(void **state)
{
    driver_close_early();
    driver_open(4 << 20, 2);
    expect_error("SELECT count(*) FROM (SELECT DISTINCT a.name, b.name AS other FROM big a "
                 "JOIN big b ON a.name = b.name) x",
                 "53200", "");
    expect("SELECT count(*) FROM t", "8");
}

/* What doesn't fit into memory goes to disk, and the answers are the same. */
static void test_spilling(void **state)
{
    driver_close_early();
    driver_open(16 << 20, 2);
    expect("SELECT v FROM (SELECT value * 7919 % 2000003 AS v FROM generate_series(1, 2000000)) x "
           "ORDER BY v DESC OFFSET 1999999", "1");
    uint64_t sorted = driver_counters().spilled_bytes;
    assert_true(sorted > 0);
    expect("SELECT count(*), sum(n) FROM (SELECT name, count(*) AS n FROM big GROUP BY name) x",
           "200000|200000");
    assert_true(driver_counters().spilled_bytes > sorted);
}

/* Releasing a stream in the middle cancels what runs behind it. */
static void test_cancel(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct ArrowArrayStream stream;
        struct ArrowArray batch;
        const char *sql = "SELECT a.name FROM big a JOIN big b ON a.amount = b.amount";
        omen_error error;
        assert_int_equal(driver_start(sql, &stream, &error), OMEN_OK);
        if (i % 2 == 1) {
            assert_int_equal(stream.get_next(&stream, &batch), 0);
            batch.release(&batch);
        }
        stream.release(&stream);
    }
}

/* Whatever runs, and for however long one step of it does: the caller gets its thread back. The
 * engine's own threads then stop too, or closing it would hang. */
static void test_interrupts(void **state)
{
    static const char *const endless[] = {
        "SELECT count(*) FROM big a, big b, big c",
        "SELECT a.id FROM big a, big b, big c WHERE a.name = c.name || b.name || a.name",
        "SELECT count(*) FROM big a JOIN big b USING (amount) JOIN big c USING (amount)",
        "SELECT count(*) FROM generate_series(1, 100000000000)",
        "WITH RECURSIVE w AS (SELECT 1 AS n UNION ALL SELECT n FROM w) SELECT count(*) FROM w",
    };
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        driver_interrupt(5, 0);
        expect_error(endless[i], "57014", "due to user request");
        driver_interrupt(-1, 60);
        expect_error(endless[i], "57014", "due to statement timeout");
    }
    /* While planning, and before. */
    driver_interrupt(1, 0);
    expect_error("SELECT * FROM t", "57014", "");
    assert_int_equal(fake_host.scan_count, 0);
    driver_interrupt(-1, 0);
    uint64_t queries = driver_counters().queries;
    expect("SELECT count(*) FROM t", "8");
    driver_explain("SELECT count(*) FROM t");
    assert_int_equal(driver_counters().queries, queries + 1);
}

/* Once nobody waits any more, scans stop at the next batch, however long what is made of them
 * takes: closing waits for one step and not for the table. */
static void test_interrupted_scans_stop(void **state)
{
    driver_interrupt(-1, 50);
    expect_error("SELECT count(*) FROM big WHERE repeat(name, 500) LIKE '%x%y%z%'", "57014",
                 "due to statement timeout");
    driver_interrupt(-1, 0);
    driver_close_early();
    assert_true(fake_host.rows_delivered < 200000);
}

static void *run_queries(void *argument)
{
    const char *sql = "SELECT amount, count(*) FROM big WHERE amount < 7 GROUP BY amount";
    int64_t *failures = argument;
    for (int i = 0; i < 10; i++) {
        struct ArrowArrayStream stream;
        struct ArrowArray batch;
        omen_error error;
        int64_t row_count = 0;
        omen_status status = driver_start(sql, &stream, &error);
        *failures += status != OMEN_OK;
        while (status == OMEN_OK && stream.get_next(&stream, &batch) == 0 && batch.release != NULL) {
            row_count += batch.length;
            batch.release(&batch);
        }
        if (status == OMEN_OK)
            stream.release(&stream);
        *failures += row_count != 7;
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    int64_t failures[4] = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_queries, &failures[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(failures[i], 0);
    }
}

/* --- dynamic filters: the host leaves out what it is told to, and the answer is the same --------- */

/* `form` with `table` for each @. */
static const char *about(const char *form, const char *table)
{
    static char sql[512];
    size_t used = 0;
    for (const char *next = form; *next != '\0'; next++) {
        used += (size_t)snprintf(sql + used, sizeof sql - used, "%.*s", *next == '@' ? 16 : 1,
                                 *next == '@' ? table : next);
        assert_true(used < sizeof sql);
    }
    return sql;
}

static void expect_same(const char *form)
{
    char wanted[1024];
    snprintf(wanted, sizeof wanted, "%s", driver_run(about(form, "plain")));
    assert_int_equal(fake_host.prune_count, 0);
    expect(about(form, "drip"), wanted);
}

static void test_dynamic_filters(void **state)
{
    static const char *const columns[] = {"id", "amount", "flag"};
    static const char *const orders[] = {"ASC NULLS LAST", "ASC NULLS FIRST", "DESC NULLS LAST",
                                         "DESC NULLS FIRST"};
    long long pruned = 0;
    for (int i = 0; i < 3 * 4 * 3 * 4; i++) {
        char form[256];
        snprintf(form, sizeof form, "SELECT %s, %s AS other FROM @ ORDER BY %s %s, %s %s LIMIT %d",
                 columns[i % 3], columns[i / 12 % 3], columns[i % 3], orders[i / 3 % 4],
                 columns[i / 12 % 3], orders[i / 36 % 4], 1 + i % 5);
        expect_same(form);
        pruned += fake_host.rows_pruned;
    }
    assert_true(pruned > 100);
    static const char *const joins[] = {
        "SELECT x.id, d.amount FROM @ x JOIN @ d ON x.amount = d.id ORDER BY 1",
        "SELECT x.id, d.id FROM @ x JOIN @ d ON x.amount = d.amount ORDER BY 1, 2",
        "SELECT d.id FROM @ x RIGHT JOIN @ d ON x.amount = d.id ORDER BY 1",
        "SELECT x.id, d.id FROM @ x LEFT JOIN @ d ON x.amount = d.id ORDER BY 1",
        "SELECT x.id, d.id FROM @ x FULL JOIN @ d ON x.amount = d.id ORDER BY 1, 2",
        "SELECT d.id FROM @ d WHERE d.id IN (SELECT amount FROM @) ORDER BY 1",
        "SELECT d.id FROM @ d WHERE d.amount NOT IN (SELECT id FROM @) ORDER BY 1",
        "SELECT d.id FROM @ d WHERE NOT EXISTS (SELECT 1 FROM @ x WHERE x.amount = d.id) ORDER BY 1",
        "SELECT d.id FROM @ x JOIN @ d ON x.amount IS NOT DISTINCT FROM d.amount ORDER BY 1",
        "SELECT d.id FROM @ x JOIN @ d ON x.id = d.id WHERE x.name = 'none' ORDER BY 1",
        "SELECT min(id), max(id) FROM @",
        "SELECT min(amount), max(amount) FROM @",
    };
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++)
        expect_same(joins[i]);
    assert_true(driver_counters().dynamic_filters > 100);
    /* Partitioned build sides: the range of all of them. */
    expect("SELECT count(*), min(b.id), max(b.id) FROM big a JOIN big b ON a.id = b.id "
           "WHERE a.name LIKE '%77777%' AND b.name LIKE '%7'",
           "2|77777|177777");
    assert_true(fake_host.prune_count > 0);
    assert_true(fake_host.rows_pruned > 0);
}

/* --- random filters: the host's and DataFusion's answers are the same --------------------------- */

static struct random generator;

static uint32_t pick(uint32_t bound)
{
    return (uint32_t)random_below(&generator, bound);
}

static const char *random_literal(bool is_flag)
{
    static const char *const numbers[] = {
        "-9223372036854775808", "-7", "1", "5", "6", "42", "9223372036854775807", "7", "10", "50",
        "NULL", "5.0", "42.5", "'42'", "1e30", "-1", "20", "CAST(6 AS SMALLINT)",
    };
    static const char *const flags[] = {"true", "false", "NULL"};
    return is_flag ? flags[pick(3)] : numbers[pick(18)];
}

static size_t random_condition(char *out, size_t room)
{
    static const char *const operators[] = {"=", "<>", "<", "<=", ">", ">="};
    static const char *const columns[] = {"id", "amount", "flag"};
    uint32_t column = pick(3);
    const char *name = columns[column];
    const char *first = random_literal(column == 2);
    const char *second = random_literal(column == 2);
    const char *not = pick(3) == 0 ? "NOT " : "";
    const char *operator = operators[pick(6)];
    switch (pick(6)) {
    case 0:
        return (size_t)snprintf(out, room, "%s%s IS NULL", not, name);
    case 1:
        return (size_t)snprintf(out, room, "%s%s BETWEEN %s AND %s", not, name, first, second);
    case 2:
        return (size_t)snprintf(out, room, "%s%s IN (%s, %s, 2)", not, column == 2 ? "id" : name,
                                column == 2 ? "6" : first, column == 2 ? "NULL" : second);
    case 3:
        return (size_t)snprintf(out, room, "%s%s %s %s", not, first, operator, name);
    default:
        return (size_t)snprintf(out, room, "%s%s %s %s", not, name, operator, first);
    }
}

static void test_random_filters(void **state)
{
    const char *given = getenv("OMEN_SEED");
    generator = random_seeded(given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL));
    print_message("seed %llu (OMEN_SEED)\n", (unsigned long long)generator.state);
    for (int i = 0; i < 300; i++) {
        char condition[1024];
        char sql[1100];
        char wanted[1024];
        size_t used = random_condition(condition, sizeof condition);
        for (uint32_t part = pick(4); part > 0; part--) {
            used += (size_t)snprintf(condition + used, sizeof condition - used, " %s ",
                                     pick(2) == 0 ? "AND" : "OR");
            used += random_condition(condition + used, sizeof condition - used);
        }
        snprintf(sql, sizeof sql, "SELECT id FROM plain WHERE %s ORDER BY id", condition);
        snprintf(wanted, sizeof wanted, "%s", driver_run(sql));
        assert_int_equal(fake_host.predicate_count, 0);
        snprintf(sql, sizeof sql, "SELECT id FROM t WHERE %s ORDER BY id", condition);
        expect(sql, wanted);
    }
}

#define WITH_ENGINE(test) cmocka_unit_test_setup_teardown(test, open_engine, close_engine)

int main(int argument_count, char **arguments)
{
    engine = driver_load(argument_count > 1 ? arguments[1] : NULL);
    if (engine == NULL) {
        fprintf(stderr, "skipped: OMENDB_ENGINE names no engine\n");
        return 77;
    }
    const struct CMUnitTest every_engine[] = {
        WITH_ENGINE(test_all_rows),       WITH_ENGINE(test_host_errors),
        WITH_ENGINE(test_only_queries),   WITH_ENGINE(test_explain_runs_nothing),
        WITH_ENGINE(test_release_after_close), cmocka_unit_test(test_close_nothing),
    };
    const struct CMUnitTest datafusion[] = {
        WITH_ENGINE(test_pushed_predicates), WITH_ENGINE(test_unconvertible_literals),
        WITH_ENGINE(test_projections),       WITH_ENGINE(test_limit),
        WITH_ENGINE(test_no_copies),
        WITH_ENGINE(test_partitions),        WITH_ENGINE(test_parameters),
        WITH_ENGINE(test_types),             WITH_ENGINE(test_predicate_values),
        WITH_ENGINE(test_fickle_host),       WITH_ENGINE(test_long_statements),
        WITH_ENGINE(test_planning_errors),
        WITH_ENGINE(test_refused_statements), WITH_ENGINE(test_running_errors),
        WITH_ENGINE(test_panics_and_malformed_streams),
        WITH_ENGINE(test_explain_text),
        WITH_ENGINE(test_sorted_partitions),      WITH_ENGINE(test_memory_limit),
        WITH_ENGINE(test_spilling),          WITH_ENGINE(test_interrupts),
        WITH_ENGINE(test_interrupted_scans_stop),
        WITH_ENGINE(test_dynamic_filters),
        WITH_ENGINE(test_cancel),            WITH_ENGINE(test_threads),
        WITH_ENGINE(test_random_filters),
    };
    int failed = cmocka_run_group_tests(every_engine, NULL, NULL);
    if (strncmp(engine->name(), "stub", 4) != 0)
        failed += cmocka_run_group_tests(datafusion, NULL, NULL);
    return failed;
}
