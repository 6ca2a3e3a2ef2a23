/* test_point.c - point queries through SQL: what `key = constant` finds, and by which route. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* As expect, and the core must have answered it through the index. */
static void expect_index(omen_connection *connection, const char *sql, const char *expected)
{
    uint64_t before = counters_of(connection).route_index;
    expect(connection, sql, expected);
    if (counters_of(connection).route_index != before + 1)
        fail_msg("%s was not answered by the index", sql);
}

/* The core must leave it to the engine, which is missing here. */
static void expect_engine(omen_connection *connection, const char *sql)
{
    uint64_t before = counters_of(connection).route_index;
    expect(connection, sql, "ERROR 58000");
    assert_int_equal(counters_of(connection).route_index, before);
}

static void test_integer_key(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE users (id bigint PRIMARY KEY, name text, age integer)", "");
    expect(c, "INSERT INTO users VALUES (42, 'Ada', 36), (5, 'Eve', NULL), (-1, '', 0), "
              "(9223372036854775807, 'max', 1), (-9223372036854775808, 'min', 2), "
              "(9007199254740993, 'beyond', 3)",
           "6 rows\n");
    expect_index(c, "SELECT * FROM users WHERE id = 42", "42|Ada|36\n");
    expect_index(c, "SELECT * FROM users WHERE 42 = id;", "42|Ada|36\n");
    expect_index(c, "SELECT name, id, id AS x, name FROM users WHERE id = 5", "Eve|5|5|Eve\n");
    expect_index(c, "SELECT u.*, age FROM users AS u WHERE u.id = 5", "5|Eve|null|null\n");
    expect_index(c, "SELECT age FROM public.users WHERE users.id = 5", "null\n");
    expect_index(c, "SELECT name FROM users WHERE id = -1", "\n");
    expect_index(c, "SELECT name FROM users WHERE id = 9223372036854775807", "max\n");
    expect_index(c, "SELECT name FROM users WHERE id = -9223372036854775808", "min\n");
    expect_index(c, "SELECT name FROM users WHERE id = 9007199254740993", "beyond\n");
    expect_index(c, "SELECT name FROM users WHERE id = 9007199254740992", "");
    expect_index(c, "SELECT name FROM users WHERE id = 42.0", "Ada\n");
    expect_index(c, "SELECT name FROM users WHERE id = 4.2e1", "Ada\n");
    expect_index(c, "SELECT name FROM users WHERE id = 42.5", "");
    expect_index(c, "SELECT name FROM users WHERE id = 9223372036854775808", "");
    expect_index(c, "SELECT name FROM users WHERE id = 1e30", "");
    expect_index(c, "SELECT name FROM users WHERE id = '42'", "Ada\n");
    expect_index(c, "SELECT name FROM users WHERE id = ' 42 '", "Ada\n");
    expect_index(c, "SELECT name FROM users WHERE id = '42'::smallint", "Ada\n");
    expect_index(c, "SELECT name FROM users WHERE id = CAST(42 AS bigint)", "Ada\n");
    expect_index(c, "SELECT name FROM users WHERE id = 42.4::int", "Ada\n");
    expect_index(c, "SELECT name FROM users WHERE id = 42::numeric", "Ada\n");
    expect_index(c, "SELECT name FROM users WHERE id = 42::float8", "Ada\n");
    expect_index(c, "SELECT name FROM users WHERE id = NULL", "");
    expect_index(c, "SELECT name FROM users WHERE id = NULL::bigint", "");
    expect(c, "SELECT name FROM users WHERE id = 'abc'", "ERROR 22P02");
    assert_int_equal(last_error()->position, 35);
    expect(c, "SELECT name FROM users WHERE id = '42.0'", "ERROR 22P02");
    expect(c, "SELECT name FROM users WHERE id = ''", "ERROR 22P02");
    expect(c, "SELECT name FROM users WHERE id = '9223372036854775808'", "ERROR 22003");
    expect(c, "SELECT name FROM users WHERE id = 'abc'::int", "ERROR 22P02");
    expect_index(c, "SELECT name FROM users WHERE id = 5 AND id = 6", "");
    expect_index(c, "SELECT name FROM users WHERE id = 5 AND id = 5", "Eve\n");
    expect_index(c, "SELECT name FROM users WHERE id = 5 AND id = 5.5", "");
    expect_index(c, "SELECT name FROM users WHERE id = 5 AND id = NULL", "");
    expect(c, "SELECT name FROM users WHERE id = 5 AND id = 'abc'", "ERROR 22P02");
    fixture_close(&fixture);
}

/* What the core must not answer by itself. */
static void test_left_to_engine(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, other bigint)", "");
    expect(c, "CREATE TABLE heap (id bigint)", "");
    expect(c, "INSERT INTO t VALUES (5, 'Eve', 5)", "1 rows\n");
    static const char *const statements[] = {
        "SELECT * FROM t", "SELECT * FROM t WHERE id > 5", "SELECT * FROM t WHERE id = other",
        "SELECT * FROM t WHERE id = 5 OR id = 6", "SELECT * FROM t WHERE NOT id = 5",
        "SELECT * FROM t WHERE id IN (5, NULL)", "SELECT * FROM t WHERE id <> 5",
        "SELECT * FROM t WHERE name = 'Eve'", "SELECT DISTINCT id FROM t WHERE id = 5",
        "SELECT count(*) FROM t WHERE id = 5", "SELECT id FROM t WHERE id = 5 GROUP BY id",
        "SELECT 1 FROM t WHERE id = 5 HAVING true", "SELECT id FROM t WHERE id = 5 UNION SELECT 1",
        "SELECT * FROM t, t u WHERE t.id = 5", "SELECT id FROM t WHERE id = (SELECT 5)",
        "WITH t AS (SELECT 1 AS id) SELECT * FROM t WHERE id = 5",
        "SELECT id FROM t WHERE id = 9007199254740993::float8", "SELECT * FROM heap WHERE id = 5",
        "SELECT id FROM t WHERE id IS NOT DISTINCT FROM 5",
        "SELECT * FROM (SELECT * FROM t) t WHERE id = 5", "DELETE FROM t", "UPDATE t SET name = 'x'",
        "INSERT INTO t SELECT * FROM t", "EXPLAIN SELECT * FROM t",
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        expect_engine(c, statements[i]);
    fixture_close(&fixture);
}

/* What the core answers beside plain points, without any engine. */
static void test_computed_by_the_core(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, other bigint)", "");
    expect(c, "INSERT INTO t VALUES (5, 'Eve', 5), (7, 'Ida', NULL)", "2 rows\n");
    static const struct {
        const char *sql, *rows;
    } by_index[] = {
        {"SELECT * FROM t WHERE id = 5 AND name = 'x'", ""},
        {"SELECT * FROM t WHERE id = 5 AND name = 'Eve'", "5|Eve|5\n"},
        {"SELECT id FROM t WHERE id = 5 AND id = other", "5\n"},
        {"SELECT id FROM t WHERE id = 7 AND other IS NULL", "7\n"},
        {"SELECT id FROM t WHERE id = 7 AND other = 7", ""},
        {"SELECT * FROM t WHERE id = 5 LIMIT 0", ""},
        {"SELECT name FROM t WHERE id = 5 LIMIT 1", "Eve\n"},
        {"SELECT name FROM t WHERE id = 5 OFFSET 1", ""},
        {"SELECT name FROM t WHERE id = 5 LIMIT NULL OFFSET 0", "Eve\n"},
        {"SELECT name FROM t WHERE id = 5 ORDER BY id", "Eve\n"},
        {"SELECT id + 1, name || '!', id FROM t WHERE id = 5", "6|Eve!|5\n"},
        {"SELECT id FROM t WHERE id = 2 + 3", "5\n"},
        {"SELECT id FROM t WHERE id = abs(-5)", "5\n"},
        {"SELECT a FROM t u(a, b) WHERE a = 5", "5\n"},
        {"SELECT 5 FROM t WHERE id = 6", ""},
        {"SELECT 5 FROM t WHERE id IN (7)", "5\n"},
        {"SELECT CASE WHEN other IS NULL THEN 'none' ELSE 'some' END FROM t WHERE id = 7", "none\n"},
        {"SELECT id FROM t WHERE (id, 1) = (5, 1)", "5\n"},
    };
    for (size_t i = 0; i < sizeof by_index / sizeof *by_index; i++)
        expect_index(c, by_index[i].sql, by_index[i].rows);
    omen_counters before = counters_of(c);
    expect(c, "SELECT 1 + 1, 'a' || 'b', NULL, 1 = 2", "2|ab|null|f\n");
    expect(c, "SELECT 1 WHERE false", "");
    expect(c, "SELECT 7 AS x, 7 AS x ORDER BY 1", "7|7\n");
    expect(c, "VALUES (1, 'a'), (2, NULL)", "1|a\n2|null\n");
    omen_counters after = counters_of(c);
    assert_int_equal(after.route_core - before.route_core, 4);
    assert_int_equal(after.route_engine, 0);
    expect(c, "SELECT 1 / 0", "ERROR 22012");
    expect(c, "SELECT 2147483647 + 1", "ERROR 22003");
    expect(c, "SELECT 1 LIMIT -1", "ERROR 2201W");
    expect(c, "SELECT 1 OFFSET -1", "ERROR 2201X");
    expect(c, "SELECT name FROM t WHERE id = 5 LIMIT -1", "ERROR 2201W");
    expect(c, "SELECT * FROM t WHERE id = 1 / 0", "ERROR 22012");
    expect(c, "SELECT 1 / other FROM t WHERE id = 7", "null\n");
    expect(c, "SELECT id FROM t WHERE id = 5 AND 1 / (other - 5) = 1", "ERROR 22012");
    expect(c, "SELECT id FROM t WHERE id = 6 AND 1 / (other - 5) = 1", ""); /* no such row */
    expect(c, "SELECT id FROM t WHERE id = 5 AND 1 / (other - 5) = 1 AND other <> 5", "");
    expect(c, "SELECT id FROM t WHERE id = 5 AND 1 / (other - 5) > 1 AND other + 0 * other <> 5",
           "ERROR 22012"); /* it computes as much as the one before it */
    expect(c, "SELECT id FROM t WHERE id = true", "ERROR 42883");
    expect(c, "SELECT id FROM t WHERE id = '5'::text", "ERROR 42883");
    expect(c, "SELECT id FROM t WHERE id = date '2024-01-01'", "ERROR 42883");
    expect(c, "SELECT id FROM t WHERE id = 5 HAVING true", "ERROR 42803");
    expect(c, "SELECT * FROM t u WHERE t.id = 5", "ERROR 42P01");
    fixture_close(&fixture);
}

/* UPDATE and DELETE by key, without any engine. */
static void test_changes_by_key(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    omen_connection *c = fixture.connection;
    omen_statement *statement;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 3, x varchar(3))", "");
    expect(c, "INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, NULL)", "3 rows\n");
    expect_index(c, "UPDATE t SET n = n + id, x = upper(x) WHERE id = 2", "1 rows\n");
    expect_index(c, "UPDATE t AS u SET n = 0 WHERE u.id = 9", "");
    expect_index(c, "UPDATE t SET n = 0 WHERE id = 1 AND n = 11", "");
    expect_index(c, "UPDATE t SET n = DEFAULT WHERE id = 3 AND x IS NULL", "1 rows\n");
    expect_index(c, "UPDATE t SET id = id + 10 WHERE id = 1", "1 rows\n");
    expect_index(c, "SELECT * FROM t WHERE id = 1", "");
    expect_index(c, "SELECT * FROM t WHERE id = 11", "11|10|a\n");
    expect_index(c, "SELECT * FROM t WHERE id = 2", "2|22|B\n");
    expect_index(c, "SELECT * FROM t WHERE id = 3", "3|3|null\n");
    expect(c, "UPDATE t SET id = 2 WHERE id = 3", "ERROR 23505");
    expect(c, "UPDATE t SET n = NULL WHERE id = 3", "ERROR 23502");
    expect(c, "UPDATE t SET n = 1 / (n - 3) WHERE id = 3", "ERROR 22012");
    expect(c, "UPDATE t SET x = 'long' WHERE id = 3", "ERROR 22001");
    expect(c, "UPDATE t SET n = 2147483647 + n WHERE id = 3", "ERROR 22003");
    expect(c, "UPDATE t SET n = 'x' WHERE id = 3", "ERROR 22P02");
    expect(c, "UPDATE t SET n = true WHERE id = 3", "ERROR 42804");
    expect(c, "UPDATE t SET nope = 1 WHERE id = 3", "ERROR 42703");
    expect(c, "UPDATE t SET n = 1, n = 2 WHERE id = 3", "ERROR 42601");
    expect_index(c, "SELECT * FROM t WHERE id = 3", "3|3|null\n");
    expect_index(c, "DELETE FROM t WHERE id = 2 AND n = 0", "");
    expect_index(c, "DELETE FROM t WHERE id = 2", "1 rows\n");
    expect_index(c, "DELETE FROM t WHERE id = 2", "");
    expect_index(c, "SELECT * FROM t WHERE id = 2", "");
    assert_int_equal(omen_prepare(c, "UPDATE t SET n = n + $2 WHERE id = $1", SIZE_MAX, &statement,
                                  NULL), OMEN_OK);
    for (int i = 0; i < 3; i++) {
        const omen_value values[] = {value_integer(3), value_integer(5)};
        assert_string_equal(run_prepared(statement, values, 2), "1 rows\n");
    }
    const omen_value texts[] = {value_text("3"), value_text("-1")};
    assert_string_equal(run_prepared(statement, texts, 2), "1 rows\n");
    const omen_value wrong[] = {value_text("3"), value_text("x")};
    assert_string_equal(run_prepared(statement, wrong, 2), "ERROR 22P02");
    const omen_value none[] = {value_null(), value_null()};
    assert_string_equal(run_prepared(statement, none, 2), "");
    assert_string_equal(omen_statement_tag(statement), "UPDATE");
    omen_statement_release(statement);
    expect_index(c, "SELECT n FROM t WHERE id = 3", "17\n");
    fixture_close(&fixture);
}

static void test_refusals(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text)", "");
    static const char *const refused[] = {
        "SELECT DISTINCT id FROM t FOR UPDATE", "SELECT * INTO x FROM t WHERE id = 5",
        "WITH w AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM w", "PREPARE TRANSACTION 'x'", "CREATE INDEX i ON t (id)",
        "TRUNCATE t", "ALTER TABLE t ADD COLUMN x int", "EXPLAIN ANALYZE SELECT * FROM t",
        "EXPLAIN CREATE TABLE x AS SELECT 1", "CREATE VIEW v AS SELECT 1", "CREATE MATERIALIZED VIEW x AS SELECT 1",
        "VACUUM", "DELETE FROM t RETURNING id", "EXPLAIN (FORMAT json) SELECT 1", "DO $$ $$",
        "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "DROP VIEW t", "PREPARE p AS SELECT 1",
        "INSERT INTO t VALUES (1) RETURNING id", "COPY t TO 'x'", "COPY t FROM STDIN",
        "COPY t FROM PROGRAM 'ls' (FORMAT csv)", "COPY t FROM 'x'",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        expect(c, refused[i], "ERROR 0A000");
    expect(c, "SELECT * FROM nope WHERE id = 5", "ERROR 42P01");
    assert_int_equal(last_error()->position, 15);
    expect(c, "SELECT nope FROM t WHERE id = 5", "ERROR 42703");
    assert_int_equal(last_error()->position, 8);
    expect(c, "SELECT * FROM t WHERE nope = 5", "ERROR 42703");
    expect(c, "SELECT * FROM other.t WHERE id = 5; SELECT 1", "ERROR 42601");
    expect(c, "SELEC", "ERROR 42601");
    expect(c, "SELECT 'open", "ERROR 42601");
    expect(c, "-- only a comment", "");
    expect(c, ";;", "");
    fixture_close(&fixture);
}

static void test_quoted_names(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE \"Users\" (\"Id\" int PRIMARY KEY, id int, \"a\"\"b\" text)", "");
    expect(c, "INSERT INTO \"Users\" VALUES (1, 2, 'x')", "1 rows\n");
    expect_index(c, "SELECT id, \"Id\", \"a\"\"b\" FROM \"Users\" WHERE \"Id\" = 1", "2|1|x\n");
    expect(c, "SELECT * FROM users WHERE id = 1", "ERROR 42P01");
    expect(c, "SELECT Id, ID FROM \"Users\" \"U\" WHERE \"U\".\"Id\" = 1", "2|2\n");
    expect(c, "CREATE TABLE UPPER (ID int PRIMARY KEY)", "");
    expect(c, "INSERT INTO upper (id) VALUES (1)", "1 rows\n");
    expect_index(c, "SELECT Id FROM Upper WHERE iD = 1", "1\n");
    omen_statement *statement;
    assert_int_equal(omen_prepare(c, "SELECT id AS \"X\", id FROM upper WHERE id = 1", SIZE_MAX,
                                  &statement, NULL), OMEN_OK);
    assert_int_equal(omen_execute(statement, NULL, 0, NULL), OMEN_OK);
    assert_string_equal(omen_statement_column_name(statement, 0), "X");
    assert_string_equal(omen_statement_column_name(statement, 1), "id");
    assert_null(omen_statement_column_name(statement, 2));
    assert_int_equal(omen_statement_column_type(statement, 0).id, OMEN_TYPE_INTEGER);
    omen_statement_release(statement);
    fixture_close(&fixture);
}

static void test_other_keys(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    omen_connection *c = fixture.connection;
    static const struct {
        const char *type, *inserted, *found, *missed;
    } cases[] = {
        {"text", "'', 'a', 'ab', 'b'", "'a'", "'abc'"},
        {"text", "'x', 'it''s'", "E'it\\'s'", "'X'"},
        {"varchar(3)", "'abc', 'ab'", "'abc'", "'abcd'"},
        {"varchar(3)", "'abc', 'ab'", "'ab'", "'ab '"},
        {"char(4)", "'ab', 'abcd'", "'ab  '", "'abcde'"},
        {"char(4)", "'ab', 'abcd'", "'ab'", "'a'"},
        {"double precision", "1.5, -0.0, 'NaN', 'Infinity', -1e300", "0", "1.25"},
        {"double precision", "1.5, 0.0, 'NaN'", "'-0'", "'-Infinity'"},
        {"double precision", "1.5, 'NaN'", "'nan'", "1"},
        {"double precision", "0.1, 0.2", "0.1", "0.3"},
        {"real", "0.1, 0.5", "'0.1'", "0.1"},
        {"real", "0.5, 1", "0.5", "0.1::float8"},
        {"real", "0.1, 1", "0.1::real", "2"},
        {"numeric(10,2)", "1.50, -2.25, 100", "1.5", "1.505"},
        {"numeric(10,2)", "1.50, 100", "'100.000'", "'1.501'"},
        {"numeric(10,2)", "1.50, 100", "100", "100000000000"},
        {"numeric(38,0)", "99999999999999999999999999999999999999, 1",
         "99999999999999999999999999999999999999", "99999999999999999999999999999999999998"},
        {"numeric(38,10)", "-1234567890123456789012345678.0123456789, 2",
         "-1234567890123456789012345678.0123456789", "-1234567890123456789012345678.0123456788"},
        {"boolean", "true, false", "false", "NULL"},
        {"boolean", "true", "'yes'", "'no'"},
        {"date", "'2024-02-29', '0044-03-15 BC'", "'2024-02-29'", "'2024-03-01'"},
        {"date", "'2024-02-29'", "DATE '2024-02-29'", "TIMESTAMP '2024-02-29 00:00:01'"},
        {"date", "'1969-12-31'", "TIMESTAMP '1969-12-31 00:00:00'", "DATE '1969-12-30'"},
        {"timestamp", "'1969-12-31 23:59:59.999999', '2024-01-01'", "'1969-12-31 23:59:59.999999'",
         "'1969-12-31 23:59:59.999998'"},
        {"timestamp", "'2024-01-01 00:00:00'", "DATE '2024-01-01'", "DATE '2024-01-02'"},
        {"timestamptz", "'2024-01-01 02:00:00+02'", "'2024-01-01 00:00:00Z'", "'2024-01-01 02:00:00'"},
        {"uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'{A0EEBC999C0B4EF8BB6D6BB9BD380A11}'",
         "'00000000-0000-0000-0000-000000000000'"},
        {"bytea", "'\\x00ff', '', '\\x00'", "'\\x00ff'", "'\\x00fe'"},
        {"smallint", "1, -32768", "'-32768'", "32768"},
        {"integer", "1, 2147483647", "2147483647", "2147483648"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[512];
        snprintf(sql, sizeof sql, "CREATE TABLE k (k %s PRIMARY KEY, n int)", cases[i].type);
        expect(c, sql, "");
        /* VALUES (a, 1), (b, 1), ... */
        const char *at = cases[i].inserted;
        while (*at != '\0') {
            const char *comma = strstr(at, ", ");
            int length = comma == NULL ? (int)strlen(at) : (int)(comma - at);
            snprintf(sql, sizeof sql, "INSERT INTO k VALUES (%.*s, 1)", length, at);
            expect(c, sql, "1 rows\n");
            at += length + (comma == NULL ? 0 : 2);
        }
        snprintf(sql, sizeof sql, "SELECT n FROM k WHERE k = %s", cases[i].found);
        expect_index(c, sql, "1\n");
        snprintf(sql, sizeof sql, "SELECT n FROM k WHERE k = %s", cases[i].missed);
        expect_index(c, sql, "");
        expect(c, "DROP TABLE k", "");
    }
    fixture_close(&fixture);
}

static void test_composite_key(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE c (a int, b text, v int, PRIMARY KEY (b, a))", "");
    expect(c, "INSERT INTO c VALUES (1, 'x', 10), (1, 'xx', 11), (2, 'x', 20)", "3 rows\n");
    expect_index(c, "SELECT v FROM c WHERE a = 1 AND b = 'xx'", "11\n");
    expect_index(c, "SELECT v FROM c WHERE b = 'x' AND (a = 2)", "20\n");
    expect_index(c, "SELECT v FROM c WHERE b = 'x' AND a = 2 AND b = 'x'", "20\n");
    expect_index(c, "SELECT v FROM c WHERE b = 'x' AND a = 2 AND b = 'y'", "");
    expect_index(c, "SELECT v FROM c WHERE b = 'x' AND a = NULL", "");
    expect_engine(c, "SELECT v FROM c WHERE a = 1");
    expect_index(c, "SELECT v FROM c WHERE a = 1 AND b = 'x' AND v = 10", "10\n");
    expect(c, "INSERT INTO c VALUES (2, 'x', 0)", "ERROR 23505");
    expect(c, "INSERT INTO c VALUES (NULL, 'x', 0)", "ERROR 23502");
    fixture_close(&fixture);
}

static void expect_run(omen_statement *statement, omen_value parameter, const char *expected)
{
    const char *got = run_prepared(statement, &parameter, 1);
    if (strcmp(got, expected) != 0)
        fail_msg("gave %s (%s), expected %s", got, last_error()->message, expected);
}

/* A row stays what it was until the next run, whatever becomes of it: a short text, one just too
 * long to be copied, and NULL. */
static void test_prepared_row_is_kept(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    omen_connection *c = fixture.connection;
    omen_statement *statement;
    omen_value key = value_smallint(1);
    static const size_t lengths[] = {0, 12, 13, 64, 65, 5000};
    expect(c, "CREATE TABLE kept (id smallint PRIMARY KEY, a text, n numeric(9, 2), b text)", "");
    assert_int_equal(omen_prepare(c, "SELECT b, n, a, id, b FROM kept WHERE id = $1", SIZE_MAX,
                                  &statement, NULL), OMEN_OK);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char text[5001] = "", sql[6000];
        bool more = true;
        memset(text, 'a' + (int)i, lengths[i]);
        snprintf(sql, sizeof sql, "INSERT INTO kept VALUES (1, NULL, -2.5, '%s')", text);
        expect(c, sql, "1 rows\n");
        assert_int_equal(omen_execute(statement, &key, 1, NULL), OMEN_OK);
        assert_true(omen_statement_value(statement, 0).is_null); /* not stepped to */
        assert_int_equal(omen_step(statement, NULL), OMEN_OK);
        expect(c, "DELETE FROM kept WHERE id = 1", "1 rows\n");
        while (more)
            assert_int_equal(omen_maintain(fixture.database, 0, &more, NULL), OMEN_OK);
        for (size_t column = 0; column < 5; column += 4) {
            omen_value value = omen_statement_value(statement, column);
            assert_false(value.is_null);
            assert_int_equal(value.as.bytes.length, lengths[i]);
            assert_memory_equal(value.as.bytes.data, text, lengths[i]);
        }
        assert_int_equal(omen_statement_value(statement, 1).as.decimal.low, (uint64_t)-250);
        assert_true(omen_statement_value(statement, 2).is_null);
        assert_int_equal(omen_statement_value(statement, 3).as.i16, 1);
        assert_true(omen_statement_value(statement, 5).is_null);
        assert_int_equal(omen_step(statement, NULL), OMEN_END_OF_DATA);
        assert_true(omen_statement_value(statement, 3).is_null);
        assert_int_equal(omen_step(statement, NULL), OMEN_END_OF_DATA);
        assert_string_equal(run_prepared(statement, &key, 1), "");
    }
    omen_statement_release(statement);
    fixture_close(&fixture);
}

/* The same by text, prepared, and after many executions; parameters of every type. */
static void test_prepared(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    omen_connection *c = fixture.connection;
    omen_statement *statement;
    expect(c, "CREATE TABLE users (id integer PRIMARY KEY, name text)", "");
    for (int i = 0; i < 1000; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "INSERT INTO users VALUES (%d, 'name %d')", i * 3, i);
        expect(c, sql, "1 rows\n");
    }
    assert_int_equal(omen_prepare(c, "SELECT name FROM users WHERE id = $1", SIZE_MAX, &statement,
                                  NULL), OMEN_OK);
    assert_int_equal(omen_statement_parameter_count(statement), 1);
    assert_string_equal(omen_statement_tag(statement), "SELECT");
    for (int i = 0; i < 3000; i++) {
        char expected[32] = "";
        if (i % 3 == 0)
            snprintf(expected, sizeof expected, "name %d\n", i / 3);
        expect_run(statement, value_integer(i), expected);
        assert_string_equal(omen_statement_route(statement), "index");
    }
    expect_run(statement, value_smallint(3), "name 1\n");
    expect_run(statement, value_bigint(3), "name 1\n");
    expect_run(statement, value_bigint(INT64_C(3) << 32), "");
    expect_run(statement, value_double(3), "name 1\n");
    expect_run(statement, value_double(3.5), "");
    expect_run(statement, value_double(NAN), "");
    expect_run(statement, value_double(INFINITY), "");
    expect_run(statement, value_real(3), "name 1\n");
    expect_run(statement, value_decimal(300, 10, 2), "name 1\n");
    expect_run(statement, value_decimal(301, 10, 2), "");
    expect_run(statement, value_text("3"), "name 1\n");
    expect_run(statement, value_text("x"), "ERROR 22P02");
    expect_run(statement, value_null(), "");
    omen_value boolean = {.type.id = OMEN_TYPE_BOOLEAN, .as.boolean = true};
    expect_run(statement, boolean, "ERROR 42883");
    omen_value unsound = {.type.id = OMEN_TYPE_NONE};
    expect_run(statement, unsound, "ERROR 22023");
    unsound.type.id = (omen_type_id)99;
    expect_run(statement, unsound, "ERROR 22023");
    unsound = (omen_value){.type.id = OMEN_TYPE_TEXT, .as.bytes.length = 5};
    expect_run(statement, unsound, "ERROR 22023");
    unsound.as.bytes.length = 0;
    expect_run(statement, unsound, "ERROR 22P02");
    expect_run(statement, value_integer(6), "name 2\n");
    omen_value two[2] = {value_integer(1), value_integer(2)};
    assert_string_equal(run_prepared(statement, two, 2), "ERROR 22023");
    assert_string_equal(run_prepared(statement, NULL, 0), "ERROR 22023");

    /* The table changes under it. */
    expect(c, "DROP TABLE users", "");
    expect_run(statement, value_integer(6), "ERROR 42P01");
    expect(c, "CREATE TABLE users (name integer, id bigint PRIMARY KEY)", "");
    expect(c, "INSERT INTO users VALUES (7, 6)", "1 rows\n");
    expect_run(statement, value_integer(6), "7\n");
    omen_statement_release(statement);

    assert_int_equal(omen_prepare(c, "SELECT name FROM users WHERE id = $1::int AND id = $2 AND id = 6",
                                  SIZE_MAX, &statement, NULL), OMEN_OK);
    two[0] = value_text("6"), two[1] = value_bigint(6);
    assert_string_equal(run_prepared(statement, two, 2), "7\n");
    two[1] = value_bigint(7);
    assert_string_equal(run_prepared(statement, two, 2), "");
    omen_statement_release(statement);
    fixture_close(&fixture);
}

/* A prepared point query that has run once takes no memory any more, byte keys included. */
static void test_prepared_allocates_nothing(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    omen_connection *c = fixture.connection;
    omen_statement *by_number, *by_text;
    expect(c, "CREATE TABLE n (id bigint PRIMARY KEY, v text)", "");
    expect(c, "CREATE TABLE s (id text PRIMARY KEY, v text)", "");
    expect(c, "INSERT INTO n VALUES (1, 'one')", "1 rows\n");
    expect(c, "INSERT INTO s VALUES ('a longer key than a word', 'one')", "1 rows\n");
    assert_int_equal(omen_prepare(c, "SELECT v FROM n WHERE id = $1", SIZE_MAX, &by_number, NULL),
                     OMEN_OK);
    assert_int_equal(omen_prepare(c, "SELECT v FROM s WHERE id = $1", SIZE_MAX, &by_text, NULL),
                     OMEN_OK);
    expect_run(by_number, value_bigint(1), "one\n");
    expect_run(by_text, value_text("a longer key than a word"), "one\n");
    omen_test_fail_allocation(fixture.database, 1, true);
    for (int i = 0; i < 10; i++) {
        expect_run(by_number, value_bigint(1), "one\n");
        expect_run(by_text, value_text("a longer key than a word"), "one\n");
        expect_run(by_number, value_bigint(2), "");
    }
    omen_test_fail_allocation(fixture.database, 0, false);
    omen_statement_release(by_number);
    omen_statement_release(by_text);
    fixture_close(&fixture);
}

/* The stream form: names, types, one batch, alive after everything is closed. */
static void test_query_stream(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    struct ArrowArrayStream stream, none;
    struct ArrowSchema schema;
    struct ArrowArray batch, end;
    uint64_t rows = 99;
    expect(fixture.connection, "CREATE TABLE t (id bigint PRIMARY KEY, v text)", "");
    assert_int_equal(omen_query(fixture.connection, "INSERT INTO t VALUES (1, 'a text longer than twelve')",
                                SIZE_MAX, &none, &rows, NULL), OMEN_OK);
    assert_int_equal(rows, 1);
    assert_int_equal(omen_query(fixture.connection, "SELECT v AS x, id, v FROM t WHERE id = 1",
                                SIZE_MAX, &stream, &rows, NULL), OMEN_OK);
    assert_int_equal(rows, 0);
    expect(fixture.connection, "DROP TABLE t", "");
    fixture_close(&fixture);

    assert_int_equal(stream.get_schema(&stream, &schema), 0);
    assert_int_equal(schema.n_children, 3);
    assert_string_equal(schema.children[0]->name, "x");
    assert_string_equal(schema.children[0]->format, "vu");
    assert_string_equal(schema.children[1]->name, "id");
    assert_string_equal(schema.children[2]->name, "v");
    struct ArrowSchema moved = *schema.children[1]; /* a consumer may move a child out */
    schema.children[1]->release = NULL;
    schema.release(&schema);
    assert_string_equal(moved.format, "l");
    moved.release(&moved);
    assert_int_equal(stream.get_next(&stream, &batch), 0);
    assert_int_equal(batch.length, 1);
    assert_int_equal(((const int64_t *)batch.children[1]->buffers[1])[0], 1);
    assert_int_equal(stream.get_next(&stream, &end), 0);
    assert_null(end.release);
    stream.release(&stream);
    batch.release(&batch);
    assert_int_equal(none.get_schema(&none, &schema), 0);
    assert_int_equal(schema.n_children, 0);
    schema.release(&schema);
    assert_int_equal(none.get_next(&none, &end), 0);
    assert_null(end.release);
    none.release(&none);
}

/* A prepared statement's result as a stream: with parameters, again and again, between runs that
 * step, alive after the statement. */
static void test_prepared_stream(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    struct ArrowArrayStream streams[3], refused;
    struct ArrowArray batch;
    omen_statement *statement, *insert;
    omen_error error;
    expect(fixture.connection, "CREATE TABLE t (id bigint PRIMARY KEY, n int)", "");
    assert_int_equal(omen_prepare(fixture.connection, "INSERT INTO t VALUES ($1, $2)", SIZE_MAX,
                                  &insert, NULL), OMEN_OK);
    assert_int_equal(omen_prepare(fixture.connection, "SELECT n FROM t WHERE id = $1", SIZE_MAX,
                                  &statement, NULL), OMEN_OK);
    for (int i = 0; i < 2; i++) {
        omen_value row[] = {value_bigint(i), value_integer(10 * i)};
        assert_int_equal(omen_execute_stream(insert, row, 2, &streams[0], NULL), OMEN_OK);
        assert_int_equal(omen_statement_rows_affected(insert), 1);
        streams[0].release(&streams[0]);
    }
    for (int i = 0; i < 3; i++) {
        omen_value key = value_bigint(i);
        assert_int_equal(omen_execute(statement, &key, 1, NULL), OMEN_OK);
        assert_int_equal(omen_execute_stream(statement, &key, 1, &streams[i], NULL), OMEN_OK);
        assert_string_equal(omen_statement_route(statement), "index");
        assert_int_equal(omen_step(statement, NULL), OMEN_END_OF_DATA);
        expect_run(statement, key, i == 0 ? "0\n" : i == 1 ? "10\n" : "");
    }
    assert_int_equal(omen_execute_stream(statement, NULL, 0, &refused, &error), OMEN_INVALID_ARGUMENT);
    assert_null(refused.release);
    omen_statement_release(statement);
    omen_statement_release(insert);
    fixture_close(&fixture);
    for (int i = 0; i < 3; i++) {
        int64_t length = 0;
        while (streams[i].get_next(&streams[i], &batch) == 0 && batch.release != NULL) {
            assert_int_equal(((const int32_t *)batch.children[0]->buffers[1])[0], 10 * i);
            length += batch.length;
            batch.release(&batch);
        }
        assert_int_equal(length, i < 2 ? 1 : 0);
        streams[i].release(&streams[i]);
    }
}

static void test_explain(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, v text)", "");
    expect(c, "EXPLAIN SELECT * FROM t WHERE id = 1",
           "route: index\nreason: the condition fixes the whole primary key\n");
    expect(c, "EXPLAIN SELECT * FROM t WHERE id = 1 AND id = NULL",
           "route: index\nreason: the condition on the key can match no row\n");
    assert_int_equal(counters_of(c).route_index, 0);
    expect(c, "EXPLAIN SELECT * FROM t", "ERROR 58000");
    assert_non_null(strstr(last_error()->message, "/nonexistent/libomendb_engine.so"));
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer_key),
        cmocka_unit_test(test_left_to_engine),
        cmocka_unit_test(test_computed_by_the_core),
        cmocka_unit_test(test_changes_by_key),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_quoted_names),
        cmocka_unit_test(test_other_keys),
        cmocka_unit_test(test_composite_key),
        cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_prepared_row_is_kept),
        cmocka_unit_test(test_prepared_allocates_nothing),
        cmocka_unit_test(test_query_stream),
        cmocka_unit_test(test_prepared_stream),
        cmocka_unit_test(test_explain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
