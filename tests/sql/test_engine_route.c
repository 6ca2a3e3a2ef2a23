/* test_engine_route.c - statements that go to a SQL engine: what it is given to read, and what
 * comes back. The first argument is the stub engine, whose few forms are always tested; the
 * DataFusion engine that OMENDB_ENGINE names is tested where there is one (argument `real`, exit
 * status 77 where not).
 */
#include "../unit/api/support.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static const char *engine_path;

static struct fixture open_with(const char *path)
{
    struct fixture fixture = {0};
    omen_options options;
    omen_options_init(&options);
    options.engine_path = path;
    options.engine_thread_count = 2;
    assert_int_equal(omen_open(NULL, &options, &fixture.database, NULL), OMEN_OK);
    assert_int_equal(omen_connect(fixture.database, &fixture.connection, NULL), OMEN_OK);
    return fixture;
}

static omen_counters counters_of(omen_connection *connection)
{
    omen_counters counters = {.struct_bytes = sizeof counters};
    omen_counters_of(connection, &counters);
    return counters;
}

static void insert_rows(omen_connection *connection, const char *table, int first, int count)
{
    omen_value *values = calloc((size_t)count * 3, sizeof *values);
    char (*names)[16] = calloc((size_t)count, sizeof *names);
    for (int i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "row %d", first + i);
        values[3 * i] = value_bigint(first + i);
        values[3 * i + 1] = value_text(names[i]);
        values[3 * i + 2] = value_integer((first + i) % 10);
    }
    assert_int_equal(omen_insert(connection, table, values, (size_t)count, NULL), OMEN_OK);
    free(values);
    free(names);
}

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
    expect(c, "SELECT to_char(d, 'YYYY') FROM t", "ERROR 0A000");
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

/* --- statistics, pruning, interrupts --- */

static void expect_plan(omen_connection *c, const char *sql, const char *part, bool present)
{
    char text[512];
    snprintf(text, sizeof text, "EXPLAIN %s", sql);
    const char *plan = run(c, text);
    if ((strstr(plan, part) != NULL) != present)
        fail_msg("%s: \"%s\" is%s in the plan\n%s", sql, part, present ? " not" : "", plan);
}

/* Conditions that are computed first, or of another type than the column, reach the scan. */
static void test_pushed_constants(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, d date, n numeric(10,2), r real)", "");
    static const char *const cases[][2] = {
        {"d <= DATE '1998-12-01' - INTERVAL '90 days'", "[d <= 1998-09-02]"},
        {"d < TIMESTAMP '1998-09-02 12:00:00'", "[d <= 1998-09-02]"},
        {"TIMESTAMPTZ '1998-09-02 12:00:00+00' <= d", "[d > 1998-09-02]"},
        {"n BETWEEN 0.06 - 0.01 AND 0.06 + 0.01", "[n >= 0.05 AND n <= 0.07]"},
        {"id > 2 * 3.0", "[id > 6]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[256];
        snprintf(sql, sizeof sql, "SELECT n FROM t WHERE %s", cases[i][0]);
        expect_plan(c, sql, cases[i][1], true);
        snprintf(sql, sizeof sql, "SELECT max(n) FROM t WHERE %s GROUP BY r", cases[i][0]);
        expect_plan(c, sql, cases[i][1], true);
        snprintf(sql, sizeof sql, "SELECT 1 WHERE 1 = (SELECT count(*) FROM t WHERE %s)", cases[i][0]);
        expect_plan(c, sql, cases[i][1], true);
    }
    expect_plan(c, "SELECT n FROM t WHERE id = 2 + 3", "route: index", true);
    fixture_close(&fixture);
}

/* COUNT, MIN and MAX come from what is known without reading, where that is exact: not with a
 * filter, not with dead rows, not with a group that is still open, never of floats. */
static void test_exact_statistics(void **state)
{
    enum { GROUP_ROWS = 65536 };
    static const char scan[] = "DataSourceExec";
    static const char counts[] = "SELECT count(*), count(name) FROM t";
    static const char ranges[] = "SELECT count(*), min(id), max(id), max(name), min(g) FROM t";
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    expect(c, "CREATE TABLE f (id bigint PRIMARY KEY, x double precision)", "");
    expect(c, "SELECT count(*), min(id) FROM t", "0|null\n");
    insert_rows(c, "t", 0, 2 * GROUP_ROWS);
    expect(c, counts, "131072|131072\n");
    expect(c, ranges, "131072|0|131071|row 99999|0\n");
    expect_plan(c, "SELECT count(*) FROM t", scan, false);
    expect_plan(c, ranges, scan, false);
    expect_plan(c, "SELECT count(*) FROM t WHERE id >= 0", scan, true);
    expect(c, "SELECT count(*), max(id) FROM t WHERE id < 70000", "70000|69999\n");
    expect(c, "SELECT count(*) FROM (SELECT id FROM t LIMIT 5) x", "5\n");
    expect(c, "SELECT count(*), max(id) FROM (SELECT id FROM t WHERE g = 3) x", "13107|131063\n");
    omen_value row[] = {value_bigint(1), value_double(2)};
    assert_int_equal(omen_insert(c, "f", row, 1, NULL), OMEN_OK);
    expect_plan(c, "SELECT max(x) FROM f", scan, true);
    expect_plan(c, "SELECT count(*) FROM f", scan, false); /* all of an open group is visible */
    /* More rows: the third group is open, and has no least and largest value yet. */
    insert_rows(c, "t", 2 * GROUP_ROWS, 10);
    expect(c, ranges, "131082|0|131081|row 99999|0\n");
    expect_plan(c, ranges, scan, true);
    expect_plan(c, "SELECT count(*) FROM t", scan, false);
    /* Dead rows: the ends of all ranges. */
    omen_value first = value_bigint(0), last = value_bigint(131081), third = value_bigint(2);
    const char *column = "name";
    omen_value changed = value_text("zzz");
    assert_int_equal(omen_delete(c, "t", &first, 1, NULL), OMEN_OK);
    assert_int_equal(omen_delete(c, "t", &last, 1, NULL), OMEN_OK);
    assert_int_equal(omen_update(c, "t", &third, 1, &column, &changed, 1, NULL), OMEN_OK);
    expect(c, ranges, "131080|1|131080|zzz|0\n");
    expect_plan(c, "SELECT count(*) FROM t", scan, true);
    assert_int_equal(omen_update(c, "t", &third, 1, &column, &(omen_value){.is_null = true}, 1,
                                 NULL),
                     OMEN_OK);
    expect(c, counts, "131080|131079\n");
    fixture_close(&fixture);
}

/* What a filter, a join's build side or the best rows so far rule out is not read. */
static void test_pruned_groups(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    expect(c, "CREATE TABLE few (k bigint PRIMARY KEY, v bigint)", "");
    for (int i = 0; i < 8; i++)
        insert_rows(c, "t", i * 65536, 65536);
    omen_value rows[] = {value_bigint(1), value_bigint(200001), value_bigint(2),
                         value_bigint(200005)};
    assert_int_equal(omen_insert(c, "few", rows, 2, NULL), OMEN_OK);
    static const struct {
        const char *sql, *answer;
        uint64_t groups_min;
    } cases[] = {
        {"SELECT count(*) FROM t WHERE id > 500000", "24287\n", 7},
        {"SELECT count(*) FROM t WHERE id BETWEEN 65536 AND 65545 AND g = 6", "1\n", 7},
        {"SELECT t.id, name FROM few JOIN t ON t.id = few.v ORDER BY 1",
         "200001|row 200001\n200005|row 200005\n", 7},
        {"SELECT t.id FROM t WHERE t.id IN (SELECT v FROM few WHERE k = 1)", "200001\n", 7},
        {"SELECT id FROM t ORDER BY id LIMIT 3", "0\n1\n2\n", 5},
        {"SELECT id FROM t ORDER BY id + 0 LIMIT 1", "0\n", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        omen_counters before = counters_of(c);
        expect(c, cases[i].sql, cases[i].answer);
        uint64_t pruned = counters_of(c).groups_pruned - before.groups_pruned;
        if (pruned < cases[i].groups_min || pruned > 8)
            fail_msg("%s: %d groups were pruned", cases[i].sql, (int)pruned);
    }
    fixture_close(&fixture);
}

/* A scan that has begun goes on at its moment; the next one sees what was committed. */
static void test_one_stream_one_moment(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection, *other;
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    assert_int_equal(omen_connect(fixture.database, &other, NULL), OMEN_OK);
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(c, "t", 0, 200000);
    expect(c, "SELECT sum(g), count(*) FROM t", "900000|200000\n");
    assert_int_equal(omen_query(c, "SELECT g FROM t", SIZE_MAX, &stream, NULL, NULL), OMEN_OK);
    int64_t sum = 0, rows = 0;
    for (bool first = true;; first = false) {
        assert_int_equal(stream.get_next(&stream, &batch), 0);
        if (batch.release == NULL)
            break;
        for (int64_t i = 0; i < batch.length; i++)
            sum += ((const int32_t *)batch.children[0]->buffers[1])[i];
        rows += batch.length;
        batch.release(&batch);
        if (!first)
            continue;
        const char *column = "g";
        omen_value changed = value_integer(1000000);
        for (int i = 0; i < 20; i++) {
            omen_value key = value_bigint(i * 9999), deleted = value_bigint(i * 9999 + 1);
            assert_int_equal(omen_update(other, "t", &key, 1, &column, &changed, 1, NULL), OMEN_OK);
            assert_int_equal(omen_delete(other, "t", &deleted, 1, NULL), OMEN_OK);
        }
        insert_rows(other, "t", 200000, 100);
    }
    stream.release(&stream);
    assert_int_equal(sum, 900000);
    assert_int_equal(rows, 200000);
    expect(c, "SELECT sum(g) > 20000000, count(*) FROM t", "t|200080\n");
    omen_disconnect(other);
    fixture_close(&fixture);
}

static omen_connection *_Atomic interrupted_connection;

static void on_alarm(int number)
{
    omen_interrupt(interrupted_connection);
}

/* omen_interrupt from a signal handler, while a query runs that would take for ever. The timer
 * repeats, because a signal may come before the statement begins, and is then forgotten. */
static void test_interrupt(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART}, old;
    const struct itimerval every = {{0, 50000}, {0, 50000}}, never = {{0, 0}, {0, 0}};
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(c, "t", 0, 100000);
    interrupted_connection = c;
    assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
    expect(c, "SELECT sum(a.g + b.g + c.g) FROM t a, t b, t c", "ERROR 57014");
    expect(c, "SELECT count(*) FROM t a JOIN t b ON a.g + b.g = -1 JOIN t c ON c.g + b.g = -1",
           "ERROR 57014");
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
    expect(c, "SELECT count(*) FROM t", "100000\n");
    omen_interrupt(c); /* where nothing runs, nothing */
    expect(c, "SELECT count(*) FROM t WHERE g = 1", "10000\n");
    fixture_close(&fixture);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest any_engine[] = {
        cmocka_unit_test(test_fresh_and_counted),    cmocka_unit_test(test_stream_outlives_database),
        cmocka_unit_test(test_types_through_engine), cmocka_unit_test(test_explain),
        cmocka_unit_test(test_bad_libraries),
    };
    const struct CMUnitTest real_engine[] = {
        cmocka_unit_test(test_three_checks), cmocka_unit_test(test_border),
        cmocka_unit_test(test_operators_that_do_not_exist),
        cmocka_unit_test(test_string_constants), cmocka_unit_test(test_char_columns),
        cmocka_unit_test(test_casts),        cmocka_unit_test(test_null_parameters),
        cmocka_unit_test(test_prepared),     cmocka_unit_test(test_one_moment),
        cmocka_unit_test(test_pushed_constants),
        cmocka_unit_test(test_exact_statistics), cmocka_unit_test(test_pruned_groups),
        cmocka_unit_test(test_one_stream_one_moment), cmocka_unit_test(test_interrupt),
    };
    engine_path = count > 1 ? arguments[1] : getenv("OMENDB_ENGINE");
    if (engine_path == NULL || engine_path[0] == '\0')
        return 77;
    int failures = cmocka_run_group_tests(any_engine, NULL, NULL);
    if (count == 1)
        failures += cmocka_run_group_tests(real_engine, NULL, NULL);
    return failures;
}
