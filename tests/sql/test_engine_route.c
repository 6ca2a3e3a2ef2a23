/* test_engine_route.c - statements that go to a SQL engine: what it is given to read, and what
 * comes back. The first argument is the stub engine, whose few forms are always tested; the
 * DataFusion engine that OMENDB_ENGINE names is tested where there is one (argument `real`, exit
 * status 77 where not).
 */
#include "engine_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *engine_path;

/* --- with any engine, the stub too --- */

static void test_fresh_and_counted(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    expect(c, "SELECT count(*) FROM t", "0\n");
    insert_rows(c, "t", 0, 100);
    expect(c, "SELECT count(*) FROM t", "100\n");
    expect(c, "SELECT count(*) FROM t;", "100\n");
    assert_int_equal(query_rows(c, "SELECT * FROM t"), 100);
    for (int i = 0; i < 30; i++) {
        omen_value key = value_bigint(i);
        assert_int_equal(omen_delete(c, "t", &key, 1, NULL), OMEN_OK);
    }
    const char *column = "name";
    for (int i = 30; i < 60; i++) {
        omen_value key = value_bigint(i), value = value_text("changed");
        assert_int_equal(omen_update(c, "t", &key, 1, &column, &value, 1, NULL), OMEN_OK);
    }
    expect(c, "SELECT count(*) FROM t", "70\n"); /* no superseded or deleted version counts */
    assert_int_equal(query_rows(c, "SELECT * FROM t"), 70);
    expect(c, "SELECT name FROM t WHERE id = 30", "changed\n");
    omen_counters counters = counters_of(c);
    assert_int_equal(counters.route_engine, 6);
    assert_int_equal(counters.route_index, 1);
    fixture_close(&fixture);
}

static omen_progress progress_of(const omen_connection *connection)
{
    omen_progress progress = {.struct_bytes = sizeof progress};
    omen_progress_of(connection, &progress);
    return progress;
}

static void test_progress(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    assert_int_equal(progress_of(c).steps_total, 0);
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(c, "t", 0, 100000);
    assert_int_equal(omen_query(c, "SELECT * FROM t", SIZE_MAX, &stream, NULL, NULL), OMEN_OK);
    assert_true(progress_of(c).steps_done < 100000);
    uint64_t before = 0;
    while (stream.get_next(&stream, &batch) == 0 && batch.release != NULL) {
        batch.release(&batch);
        omen_progress progress = progress_of(c);
        assert_true(progress.steps_done >= before && progress.steps_done <= progress.steps_total);
        assert_true(progress.steps_total <= 100000);
        before = progress.steps_done;
    }
    stream.release(&stream);
    assert_int_equal(progress_of(c).steps_total, 100000);
    assert_int_equal(progress_of(c).steps_done, 100000);
    /* a caller of an older header, and of none */
    omen_progress older = {.struct_bytes = sizeof(uint32_t), .steps_total = 7};
    omen_progress_of(c, &older);
    omen_progress_of(NULL, &older);
    assert_int_equal(older.steps_total, 7);
    fixture_close(&fixture);
}

static void test_stream_outlives_database(void **state)
{
    struct fixture fixture = open_with(engine_path);
    struct ArrowArrayStream stream;
    struct ArrowArray batch, next;
    expect(fixture.connection, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(fixture.connection, "t", 0, 1000);
    assert_int_equal(omen_query(fixture.connection, "SELECT * FROM t", SIZE_MAX, &stream, NULL, NULL),
                     OMEN_OK);
    assert_int_equal(stream.get_next(&stream, &batch), 0);
    assert_true(batch.length > 0);
    expect(fixture.connection, "DROP TABLE t", "");
    fixture_close(&fixture);
    int64_t sum = 0;
    for (int64_t i = 0; i < batch.length; i++)
        sum += ((const int64_t *)batch.children[0]->buffers[1])[batch.children[0]->offset + i];
    assert_true(sum > 0);
    if (stream.get_next(&stream, &next) == 0 && next.release != NULL)
        next.release(&next);
    stream.release(&stream);
    batch.release(&batch);
}

static void test_types_through_engine(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (a smallint, b integer, c bigint, d real, e double precision, "
              "f numeric(38,10), g text, h varchar(5), i char(3), j bytea, k date, l timestamp, "
              "m timestamptz, n uuid, o boolean)", "");
    static const char *const row =
        "-1|-2|-3|0.1|1e+300|-1234567890123456789012345678.0123456789|a text beyond twelve|abc|x  |"
        "\\x00ff|1815-12-10|1969-12-31 23:59:59.999999|2024-01-02 00:00:00+00|"
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|t\n"
        "null|null|null|null|null|null|null|null|null|null|null|null|null|null|null\n";
    expect(c, "INSERT INTO t VALUES (-1, -2, -3, 0.1, '1e300', "
              "-1234567890123456789012345678.0123456789, 'a text beyond twelve', 'abc', 'x', "
              "'\\x00ff', '1815-12-10', '1969-12-31 23:59:59.999999', '2024-01-02Z', "
              "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', true), "
              "(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
           "ERROR 22007");
    expect(c, "INSERT INTO t VALUES (-1, -2, -3, 0.1, '1e300', "
              "-1234567890123456789012345678.0123456789, 'a text beyond twelve', 'abc', 'x', "
              "'\\x00ff', '1815-12-10', '1969-12-31 23:59:59.999999', '2024-01-02 00:00Z', "
              "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', true), "
              "(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
           "2 rows\n");
    expect(c, "SELECT * FROM t", row);
    fixture_close(&fixture);
}

static void test_explain(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY)", "");
    const char *plan = run(c, "EXPLAIN SELECT count(*) FROM t");
    assert_memory_equal(plan, "route: engine\nreason: ", 22);
    assert_true(strchr(strstr(plan, "reason") + 8, '\n')[1] != '\0'); /* the engine's lines */
    assert_int_equal(counters_of(c).route_engine, 0);
    fixture_close(&fixture);
}

/* A library that is no engine, and none at all: clear words, and the database goes on. */
static void test_bad_libraries(void **state)
{
    struct fixture fixture = open_with("libc.so.6");
    expect(fixture.connection, "SELECT count(*)", "ERROR 58000");
    assert_non_null(strstr(last_error()->message, "libc.so.6"));
    assert_non_null(strstr(last_error()->message, "omen_engine_entry"));
    expect(fixture.connection, "CREATE TABLE t (id int PRIMARY KEY)", "");
    expect(fixture.connection, "SELECT * FROM t WHERE id = 1", "");
    fixture_close(&fixture);
    fixture = open_with("/nonexistent/engine.so");
    expect(fixture.connection, "SELECT count(*)", "ERROR 58000");
    assert_non_null(strstr(last_error()->message, "/nonexistent/engine.so"));
    fixture_close(&fixture);
}

/* What needs no engine works without one; anything else says so and changes nothing. */
static void test_without_engine(void **state)
{
    static const char *const needs_engine[] = {
        "SELECT count(*) FROM t",
        "SELECT * FROM t WHERE id > 1",
        "SELECT * FROM t a JOIN t b ON a.id = b.id",
        "SELECT (SELECT max(id) FROM t)",
        "INSERT INTO t SELECT id + 10, v FROM t",
        "UPDATE t SET v = 'all'",
        "UPDATE t SET v = (SELECT max(v) FROM t) WHERE id = 1",
        "DELETE FROM t WHERE v = 'one'",
        "DELETE FROM t",
    };
    struct fixture fixture = open_with("/nonexistent/engine.so");
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL DEFAULT 'none')", "");
    expect(c, "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')", "3 rows\n");
    expect(c, "INSERT INTO t (id) VALUES (2 + 2)", "1 rows\n");
    expect(c, "SELECT v, id FROM t WHERE id = 2", "two|2\n");
    expect(c, "UPDATE t SET v = 'zwei' WHERE id = 2", "1 rows\n");
    expect(c, "DELETE FROM t WHERE id = 3", "1 rows\n");
    for (size_t i = 0; i < sizeof needs_engine / sizeof *needs_engine; i++) {
        expect(c, needs_engine[i], "ERROR 58000");
        assert_non_null(strstr(last_error()->message, "needs the SQL engine"));
    }
    expect(c, "SELECT v FROM t WHERE id = 1", "one\n");
    expect(c, "SELECT v FROM t WHERE id = 2", "zwei\n");
    expect(c, "SELECT v FROM t WHERE id = 3", "");
    expect(c, "SELECT v FROM t WHERE id = 4", "none\n");
    expect(c, "SELECT v FROM t WHERE id = 11", "");
    assert_int_equal(counters_of(c).route_engine, 0);
    fixture_close(&fixture);
}

/* --- with DataFusion --- */

static void test_three_checks(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE hundred (id bigint PRIMARY KEY, name text NOT NULL, g int)", "");
    insert_rows(c, "hundred", 0, 100);
    expect(c, "SELECT name FROM hundred WHERE id = 42", "row 42\n");
    expect(c, "SELECT count(*) FROM hundred WHERE id > 50", "49\n");
    expect(c, "CREATE TABLE fifty (id bigint PRIMARY KEY, v double precision)", "");
    for (int i = 0; i < 50; i++) {
        omen_value row[] = {value_bigint(i), value_double(100)};
        assert_int_equal(omen_insert(c, "fifty", row, 1, NULL), OMEN_OK);
    }
    expect(c, "SELECT sum(v) FROM fifty", "5000\n");
    fixture_close(&fixture);
}

/* The index/engine border: the same question asked in ways that the core answers and ways that
 * the engine does. */
static void test_border(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(c, "t", 0, 100);
    expect(c, "INSERT INTO t VALUES (200, NULL, 200)", "1 rows\n");
    expect(c, "SELECT id FROM t WHERE id = 5 OR id = 6 ORDER BY id", "5\n6\n");
    expect(c, "SELECT count(*) FROM t WHERE NOT id = 5", "100\n");
    expect(c, "SELECT id FROM t WHERE id IN (5, NULL)", "5\n");
    expect(c, "SELECT count(*) FROM t WHERE id NOT IN (5, NULL)", "0\n");
    expect(c, "SELECT id FROM t WHERE id = 5 AND name = 'x'", "");
    expect(c, "SELECT id FROM t WHERE id = 5 AND name = 'row 5'", "5\n");
    expect(c, "SELECT count(*) FROM t WHERE id = g", "11\n");
    expect(c, "SELECT id, g, id AS x FROM t WHERE id IN (7) AND g = 7", "7|7|7\n");
    expect(c, "SELECT name, id FROM t WHERE id = 7 LIMIT 0", "");
    expect(c, "SELECT count(*) FROM t WHERE name IS NULL", "1\n");
    expect(c, "SELECT count(*) FROM t WHERE name = NULL", "0\n");
    expect(c, "SELECT max(id), min(id), count(name) FROM t", "200|0|100\n");
    expect(c, "SELECT a.id, b.name FROM t a JOIN t b ON a.id = b.id WHERE a.id = 9", "9|row 9\n");
    expect(c, "SELECT id FROM t WHERE id = (SELECT max(id) FROM t)", "200\n");
    omen_counters before = counters_of(c);
    expect(c, "SELECT g + 1 FROM t WHERE id IN (5, 500)", "6\n");
    omen_counters after = counters_of(c);
    assert_int_equal(after.engine_index_scans, before.engine_index_scans + 1);
    assert_int_equal(after.engine_scans, before.engine_scans);
    omen_value five = value_bigint(5);
    assert_int_equal(omen_delete(c, "t", &five, 1, NULL), OMEN_OK);
    expect(c, "SELECT count(*), max(id), min(id) FROM t WHERE id < 10", "9|9|0\n");
    expect(c, "SELECT g + 1 FROM t WHERE id IN (5, 500)", "");
    expect(c, "SELECT nope FROM t", "ERROR 42703");
    fixture_close(&fixture);
}

/* Types that PostgreSQL has no operator for, which DataFusion would cast until they meet. */
static void test_operators_that_do_not_exist(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, s text, d date, b bytea)", "");
    expect(c, "INSERT INTO t VALUES (1, '05', '1970-01-06', '5'), (2, '7', NULL, NULL)",
           "2 rows\n");
    static const char *const conditions[] = {
        "s = 5", "5 < s", "s IN (5, 6)", "s BETWEEN 1 AND 9", "s + 1 = 6", "d = 5", "id = d",
        "s = d", "b = s", "id = 5::text", "id = CAST(id AS text)",
    };
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT id FROM t WHERE %s", conditions[i]);
        expect(c, sql, "ERROR 42883");
    }
    expect(c, "SELECT coalesce(s, 5) FROM t", "ERROR 42804");
    expect(c, "SELECT CASE WHEN id = 1 THEN s ELSE 5 END FROM t", "ERROR 42804");
    expect(c, "SELECT id FROM t WHERE s = NULL OR id = NULL OR id = 2", "2\n");
    fixture_close(&fixture);
}

/* A string constant takes the type of what it meets, in every form that INSERT takes. Each
 * condition is asked of the core and, with a further term, of the engine. */
static void test_string_constants(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    static const struct {
        const char *type, *stored, *same, *other, *bad, *error;
    } cases[] = {
        {"boolean", "true", "yes", "off", "maybe", "ERROR 22P02"},
        {"smallint", "7", " 7 ", "8", "7.0", "ERROR 22P02"},
        {"int", "7", "+7", "8", "9999999999", "ERROR 22003"},
        {"bigint", "-9007199254740993", "-9007199254740993", "-9007199254740992", "x",
         "ERROR 22P02"},
        {"real", "0.1", "1e-1", "0.11", "1e99", "ERROR 22003"},
        {"double precision", "NaN", "nan", "0", "1e999", "ERROR 22003"},
        {"decimal(10,2)", "1.50", "1.5000", "1.505", "1.5x", "ERROR 22P02"},
        {"bytea", "\\x00ff", "\\x00FF", "\\x00", "\\x0", "ERROR 22023"},
        {"date", "2020-01-05", "2020-1-5", "20200106", "2020-13-01", "ERROR 22008"},
        {"timestamp", "2020-01-05 10:00:00", "2020-01-05 10:00", "2020-01-05", "2020-13-01",
         "ERROR 22008"},
        {"timestamptz", "2020-01-05 10:00:00+00", "2020-01-05 12:00+02", "2020-01-05 12:00",
         "2020-13-01", "ERROR 22008"},
        {"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}",
         "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12", "a0", "ERROR 22P02"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[256];
        snprintf(sql, sizeof sql, "CREATE TABLE t%zu (k %s PRIMARY KEY, v int)", i, cases[i].type);
        expect(c, sql, "");
        snprintf(sql, sizeof sql, "INSERT INTO t%zu VALUES ('%s', 1)", i, cases[i].stored);
        expect(c, sql, "1 rows\n");
        const char *asked[] = {cases[i].same, cases[i].other, cases[i].bad};
        const char *answers[] = {"1\n", "", cases[i].error};
        for (size_t form = 0; form < 4; form++)
            for (size_t j = 0; j < 3; j++) {
                static const char *const forms[] = {
                    "SELECT v FROM t%zu WHERE k = '%s'",
                    "SELECT v FROM t%zu WHERE k = '%s' AND v = 1",
                    "SELECT v FROM t%zu WHERE '%s' = k AND v + 0 = 1",
                    "SELECT v FROM (SELECT * FROM t%zu LIMIT 9) q WHERE k IN ('%s')",
                };
                snprintf(sql, sizeof sql, forms[form], i, asked[j]);
                expect(c, sql, answers[j]);
            }
    }
    fixture_close(&fixture);
}

static void test_char_columns(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, c char(4), s text)", "");
    expect(c, "INSERT INTO t VALUES (1, 'ab', 'ab'), (2, '', 'ab  '), (3, NULL, '')", "3 rows\n");
    expect(c, "CREATE TABLE u (k char(6) PRIMARY KEY, z int)", "");
    expect(c, "INSERT INTO u VALUES ('ab', 10), ('cd', 20)", "2 rows\n");
    expect(c, "SELECT id FROM t WHERE c = 'ab'", "1\n");
    expect(c, "SELECT id FROM t WHERE c = 'ab      '", "1\n");
    expect(c, "SELECT id FROM t WHERE c IN ('x', 'ab ')", "1\n");
    expect(c, "SELECT id FROM t WHERE c BETWEEN 'aa' AND 'ab'", "1\n");
    expect(c, "SELECT id FROM t WHERE c <> 'ab'", "2\n");
    expect(c, "SELECT id FROM t WHERE c = s", "1\n");
    expect(c, "SELECT id FROM t WHERE c LIKE 'ab'", "");
    expect(c, "SELECT id, z FROM t JOIN u ON c = k", "1|10\n");
    expect(c, "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE k = c)", "1\n");
    expect(c, "SELECT z FROM u WHERE k = 'cd' AND z = 20", "20\n");
    expect(c, "SELECT length(c), c || '.' AS x, c::text || '.' AS y FROM t WHERE id = 1",
           "2|ab.|ab.\n");
    expect(c, "SELECT c FROM t WHERE id < 2", "ab  \n");
    expect(c, "SELECT x.c FROM (SELECT c FROM t) x WHERE x.c = 'ab'", "ab  \n");
    fixture_close(&fixture);
}

/* Casts that DataFusion does otherwise, or takes for something else. */
static void test_casts(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, n decimal(10,2), f double precision, "
              "r real, d date, ts timestamp)", "");
    expect(c, "INSERT INTO t VALUES (1, 2.50, 2.5, 16777216, '0001-01-01', '0001-01-01'), "
              "(2, -2.50, 3.5, 0.1, '2020-01-01', '2020-01-01 10:00'), "
              "(3, NULL, NULL, NULL, NULL, NULL)", "3 rows\n");
    expect(c, "SELECT n::int, f::int, r::bigint FROM t ORDER BY id",
           "3|2|16777216\n-3|4|0\nnull|null|null\n");
    expect(c, "SELECT 'abcdef'::varchar(3), CAST('é日x' AS character varying(2))", "abc|é日\n");
    expect(c, "SELECT f::text, ts::text, ts || '', d::text FROM t WHERE id = 2",
           "3.5|2020-01-01 10:00:00|2020-01-01 10:00:00|2020-01-01\n");
    expect(c, "SELECT CAST(r AS text), 1e20::float8::text, '\\x4A'::bytea::text FROM t "
              "WHERE id = 1", "1.6777216e+07|1e+20|\\x4a\n");
    expect(c, "SELECT f::text FROM t WHERE id = 3", "null\n");
    expect(c, "SELECT x.s::bytea AS a, x.s::text AS b FROM "
              "(SELECT concat('\\x4', 'A') AS s FROM t) x LIMIT 1",
           "\\x4a|\\x4A\n");
    expect(c, "SELECT x.s::timestamp FROM (SELECT concat('2020-1-', id) AS s FROM t) x LIMIT 1",
           "2020-01-01 00:00:00\n");
    expect(c, "SELECT f / 0 FROM t", "ERROR 22012");
    expect(c, "SELECT f / NULL, NULL / f, f / 2 FROM t WHERE id = 1", "null|null|1.25\n");
    expect(c, "SELECT length(now()::text) > 18 AND now() > '2020-1-1'", "t\n");
    expect(c, "SELECT 'ab'::char(3)", "ab \n");
    expect(c, "SELECT 'ab' SIMILAR TO 'a%'", "ERROR 0A000");
    expect(c, "SELECT to_char(d, 'YYYY') FROM t WHERE d > '2000-01-01'", "2020\n");
    expect(c, "SELECT to_date(d::text, 'YYYY') FROM t", "ERROR 0A000");
    expect(c, "SELECT id FROM t WHERE r = 16777217", "");
    expect(c, "SELECT id FROM t WHERE r = 16777216", "1\n");
    expect(c, "SELECT id FROM t WHERE d = ts", "1\n");
    expect(c, "SELECT id FROM t WHERE d < ts", "2\n");
    fixture_close(&fixture);
}

/* A NULL parameter, whatever type it names, compares with every column. */
static void test_null_parameters(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    static const char *const types[] = {"int",  "text", "bytea",     "date",
                                        "uuid", "bool", "timestamp", "decimal(5,2)"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char sql[128];
        omen_statement *statement;
        snprintf(sql, sizeof sql, "CREATE TABLE t%zu (id int PRIMARY KEY, x %s)", i, types[i]);
        expect(c, sql, "");
        snprintf(sql, sizeof sql, "INSERT INTO t%zu VALUES (1, NULL)", i);
        expect(c, sql, "1 rows\n");
        snprintf(sql, sizeof sql, "SELECT id FROM t%zu WHERE x = $1 OR x IN ($1) OR id = 1", i);
        assert_int_equal(omen_prepare(c, sql, SIZE_MAX, &statement, NULL), OMEN_OK);
        omen_value untyped = value_null(), text = {.is_null = true, .type.id = OMEN_TYPE_TEXT};
        assert_string_equal(run_prepared(statement, &untyped, 1), "1\n");
        assert_string_equal(run_prepared(statement, &text, 1), "1\n");
        omen_statement_release(statement);
    }
    fixture_close(&fixture);
}

/* The same by text, prepared, and again and again. */
static void test_prepared(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    omen_statement *statement;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(c, "t", 0, 100);
    assert_int_equal(omen_prepare(c, "SELECT count(*) AS n FROM t WHERE id > $1 AND name <> $2",
                                  SIZE_MAX, &statement, NULL), OMEN_OK);
    assert_int_equal(omen_statement_parameter_count(statement), 2);
    for (int i = 0; i < 12; i++) {
        omen_value values[] = {value_bigint(50 + i), value_text("row 99")};
        char expected[16];
        snprintf(expected, sizeof expected, "%d\n", 48 - i);
        assert_string_equal(run_prepared(statement, values, 2), expected);
        assert_string_equal(omen_statement_route(statement), "engine");
        assert_string_equal(omen_statement_column_name(statement, 0), "n");
        assert_int_equal(omen_statement_column_type(statement, 0).id, OMEN_TYPE_BIGINT);
    }
    omen_statement_release(statement);
    fixture_close(&fixture);
}

/* One statement sees one moment, however many tables and references it has. */
struct writer {
    omen_database *database;
    _Atomic bool done;
};

static void *move_rows(void *argument)
{
    struct writer *writer = argument;
    omen_connection *connection;
    const char *column = "v";
    if (omen_connect(writer->database, &connection, NULL) != OMEN_OK)
        return NULL;
    for (int i = 0; !writer->done; i++) {
        omen_value key = value_bigint(i % 100), value = value_bigint(i);
        if (omen_update(connection, "t", &key, 1, &column, &value, 1, NULL) != OMEN_OK)
            break;
    }
    omen_disconnect(connection);
    return NULL;
}

static void test_one_moment(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    struct writer writer = {.database = fixture.database};
    pthread_t thread;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, v bigint)", "");
    for (int i = 0; i < 100; i++) {
        omen_value row[] = {value_bigint(i), value_bigint(0)};
        assert_int_equal(omen_insert(c, "t", row, 1, NULL), OMEN_OK);
    }
    assert_int_equal(pthread_create(&thread, NULL, move_rows, &writer), 0);
    for (int i = 0; i < 100; i++)
        expect(c, "SELECT count(*), sum(a.v - b.v) FROM t a JOIN t b ON a.id = b.id", "100|0\n");
    writer.done = true;
    pthread_join(thread, NULL);
    fixture_close(&fixture);
}

/* The same text again: its plan may be the one of before, its answer is today's. */
static void test_same_text_again(void **state)
{
    static const char *const sql = "SELECT count(*), min(id), max(id), sum(g) FROM t";
    static const char *const join = "SELECT sum(a.g) FROM t a JOIN t b ON a.id = b.id "
                                    "WHERE b.id IN (SELECT max(id) FROM t)";
    static const char *const all = "SELECT * FROM t ORDER BY 1 LIMIT 2";
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    expect(c, sql, "0|null|null|null\n");
    expect(c, join, "null\n");
    insert_rows(c, "t", 0, 100000);
    for (int i = 0; i < 2; i++) {
        expect(c, sql, "100000|0|99999|450000\n");
        expect(c, join, "9\n");
        expect(c, all, "0|row 0|0\n1|row 1|1\n");
    }
    /* While a stream of the same plan is being read. */
    assert_int_equal(omen_query(c, "SELECT id FROM t WHERE g = 5", SIZE_MAX, &stream, NULL, NULL),
                     OMEN_OK);
    assert_int_equal(stream.get_next(&stream, &batch), 0);
    int64_t rows = batch.length;
    batch.release(&batch);
    expect(c, "UPDATE t SET g = 7 WHERE id % 10 = 5", "10000 rows\n");
    expect(c, "DELETE FROM t WHERE id = 0 OR id = 99999", "2 rows\n");
    expect(c, "SELECT id FROM t WHERE g = 5", "");
    expect(c, sql, "99998|1|99998|469991\n");
    expect(c, join, "8\n");
    while (stream.get_next(&stream, &batch) == 0 && batch.release != NULL) {
        rows += batch.length;
        batch.release(&batch);
    }
    assert_int_equal(rows, 10000);
    /* Another table of the same name, with other columns, and with the same. */
    expect(c, "DROP TABLE t", "");
    stream.release(&stream);
    expect(c, all, "ERROR 42P01");
    expect(c, "CREATE TABLE t (g text, id bigint PRIMARY KEY)", "");
    expect(c, "INSERT INTO t VALUES ('x', 3)", "1 rows\n");
    expect(c, all, "x|3\n");
    expect(c, sql, "ERROR 42883");
    expect(c, "SELECT id FROM t WHERE g = '5'", "");
    expect(c, "DROP TABLE t", "");
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    expect(c, all, "");
    expect(c, sql, "0|null|null|null\n");
    insert_rows(c, "t", 5, 1);
    for (int i = 0; i < 2; i++)
        expect(c, sql, "1|5|5|5\n");
    /* The clock is a parameter, chance is drawn each time. */
    expect(c, "SELECT count(*) FROM t WHERE now() > '2020-01-01 00:00Z'", "1\n");
    char first[64];
    snprintf(first, sizeof first, "%s", run(c, "SELECT now(), count(*) FROM t"));
    assert_string_not_equal(run(c, "SELECT now(), count(*) FROM t"), first);
    snprintf(first, sizeof first, "%s", run(c, "SELECT random(), count(*) FROM t"));
    assert_string_not_equal(run(c, "SELECT random(), count(*) FROM t"), first);
    fixture_close(&fixture);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest any_engine[] = {
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_fresh_and_counted),    cmocka_unit_test(test_stream_outlives_database),
        cmocka_unit_test(test_types_through_engine), cmocka_unit_test(test_explain),
        cmocka_unit_test(test_bad_libraries),        cmocka_unit_test(test_without_engine),
    };
    const struct CMUnitTest real_engine[] = {
        cmocka_unit_test(test_three_checks), cmocka_unit_test(test_border),
        cmocka_unit_test(test_operators_that_do_not_exist),
        cmocka_unit_test(test_string_constants), cmocka_unit_test(test_char_columns),
        cmocka_unit_test(test_casts),        cmocka_unit_test(test_null_parameters),
        cmocka_unit_test(test_prepared),     cmocka_unit_test(test_one_moment),
        cmocka_unit_test(test_same_text_again),
    };
    engine_path = count > 1 ? arguments[1] : getenv("OMENDB_ENGINE");
    if (engine_path == NULL || engine_path[0] == '\0')
        return 77;
    int failures = cmocka_run_group_tests(any_engine, NULL, NULL);
    if (count == 1)
        failures += cmocka_run_group_tests(real_engine, NULL, NULL);
    return failures;
}
