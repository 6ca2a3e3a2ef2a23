/* test_statements.c - INSERT ... SELECT, UPDATE and DELETE through the engine, forced routes, names
 * of columns, EXPLAIN. Needs the DataFusion engine that OMENDB_ENGINE names; exit status 77 where
 * there is none.
 */
#include "../unit/api/support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fixture open_with_rows(int rows)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    char sql[200];
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, n int, x text DEFAULT 'none')", "");
    snprintf(sql, sizeof sql, "INSERT INTO t (id, n) SELECT i, i * 10 FROM generate_series(1, %d) g(i)",
             rows);
    char expected[32];
    snprintf(expected, sizeof expected, "%d rows\n", rows);
    expect(c, sql, expected);
    return fixture;
}

static void test_insert_from_queries(void **state)
{
    struct fixture fixture = open_with_rows(3);
    omen_connection *c = fixture.connection;
    expect(c, "SELECT * FROM t ORDER BY id", "1|10|none\n2|20|none\n3|30|none\n");
    expect(c, "INSERT INTO t SELECT id + 100, n, x || id FROM t", "3 rows\n");
    expect(c, "INSERT INTO t (x, id) SELECT 'one', 50", "1 rows\n");
    expect(c, "INSERT INTO t SELECT id + 1000, n FROM t WHERE id = 50", "1 rows\n");
    expect(c, "INSERT INTO t (id, n) SELECT 7, 1 UNION ALL SELECT 8, (SELECT max(n) FROM t WHERE id < 4)", "2 rows\n");
    expect(c, "SELECT * FROM t WHERE id > 3 ORDER BY id",
           "7|1|none\n8|30|none\n50|null|one\n101|10|none1\n102|20|none2\n103|30|none3\n"
           "1050|null|none\n");
    expect(c, "INSERT INTO t SELECT 1, 1", "ERROR 23505");
    expect(c, "INSERT INTO t SELECT id + 2000 FROM t UNION ALL SELECT 2001", "ERROR 23505");
    expect(c, "INSERT INTO t SELECT NULL::int FROM t", "ERROR 23502");
    expect(c, "INSERT INTO t (id, n) SELECT id + 5000, 1000000000 * n FROM t WHERE n = 30", "ERROR 22003");
    expect(c, "INSERT INTO t (id, n) SELECT id + 5000, n::bigint * 1000000000 FROM t WHERE n = 30",
           "ERROR 22003");
    expect(c, "INSERT INTO t SELECT 1, 2, 'x', 4", "ERROR 42601");
    expect(c, "INSERT INTO t SELECT true", "ERROR 42804");
    expect(c, "SELECT count(*) FROM t", "10\n");
    expect(c, "INSERT INTO t SELECT * FROM t WHERE false", "");
    fixture_close(&fixture);
}

static void test_updates_by_the_engine(void **state)
{
    struct fixture fixture = open_with_rows(5);
    omen_connection *c = fixture.connection;
    expect(c, "UPDATE t SET n = n + 1, x = DEFAULT WHERE n BETWEEN 20 AND 30", "2 rows\n");
    expect(c, "UPDATE t SET n = 0 WHERE false", "");
    expect(c, "UPDATE t SET n = NULL WHERE x IS NULL", "");
    expect(c, "SELECT n FROM t ORDER BY id", "10\n21\n31\n40\n50\n");
    /* Keys move through each other: unique at the end. */
    expect(c, "UPDATE t SET id = id + 1", "5 rows\n");
    expect(c, "UPDATE t SET id = 8 - id WHERE id BETWEEN 2 AND 6", "5 rows\n");
    expect(c, "SELECT id, n FROM t ORDER BY id", "2|50\n3|40\n4|31\n5|21\n6|10\n");
    expect(c, "UPDATE t SET id = 3", "ERROR 23505");
    expect(c, "UPDATE t SET id = NULL", "ERROR 23502");
    expect(c, "UPDATE t SET n = n / (n - 31)", "ERROR 22012");
    expect(c, "UPDATE t SET n = n + 2147483600", "ERROR 22003");
    expect(c, "SELECT id, n FROM t ORDER BY id", "2|50\n3|40\n4|31\n5|21\n6|10\n");
    /* The same row found more than once changes once. */
    expect(c, "CREATE TABLE u (k int, v int)", "");
    expect(c, "INSERT INTO u VALUES (2, 7), (2, 7), (3, 8), (9, 9)", "4 rows\n");
    expect(c, "UPDATE t SET n = v FROM u WHERE k = id", "2 rows\n");
    expect(c, "UPDATE t AS a SET x = b.x || '!' FROM t b WHERE b.id = a.id + 1", "4 rows\n");
    expect(c, "UPDATE t SET n = (SELECT count(*) FROM u WHERE k = t.id) WHERE id > 3", "3 rows\n");
    expect(c, "SELECT * FROM t ORDER BY id",
           "2|7|none!\n3|8|none!\n4|0|none!\n5|0|none!\n6|0|none\n");
    fixture_close(&fixture);
}

static void test_deletes_by_the_engine(void **state)
{
    struct fixture fixture = open_with_rows(9);
    omen_connection *c = fixture.connection;
    expect(c, "DELETE FROM t WHERE false", "");
    expect(c, "DELETE FROM t WHERE id IN (SELECT id FROM t WHERE n > 80)", "1 rows\n");
    expect(c, "DELETE FROM t WHERE EXISTS (SELECT 1 FROM t u WHERE u.id = t.id AND u.n = 80)",
           "1 rows\n");
    expect(c, "DELETE FROM t WHERE NOT EXISTS (SELECT 1 FROM t u WHERE u.id = t.id)", "");
    expect(c, "DELETE FROM t WHERE id = NULL OR n IS NULL", "");
    expect(c, "DELETE FROM t USING t u WHERE t.id = u.id + 1 AND u.id = 6", "1 rows\n");
    expect(c, "DELETE FROM t AS z WHERE z.id IN (1, 2, 2, NULL)", "2 rows\n");
    expect(c, "SELECT id FROM t ORDER BY id", "3\n4\n5\n6\n");
    expect(c, "DELETE FROM t WHERE 1 / (id - 4) = 1", "ERROR 22012");
    expect(c, "DELETE FROM t", "4 rows\n");
    expect(c, "SELECT count(*) FROM t", "0\n");
    expect(c, "INSERT INTO t (id) VALUES (3)", "1 rows\n");
    expect(c, "CREATE TABLE heap (a int)", "");
    expect(c, "INSERT INTO heap VALUES (1), (1), (2)", "3 rows\n");
    expect(c, "UPDATE heap SET a = a + 1 WHERE a = 1", "2 rows\n");
    expect(c, "DELETE FROM heap WHERE a = 2", "3 rows\n");
    fixture_close(&fixture);
}

static void test_forced_routes(void **state)
{
    struct fixture fixture = open_with_rows(5);
    omen_connection *c = fixture.connection;
    const omen_counters start = counters_of(c);
    expect(c, "SET omen.route = engine", "");
    expect(c, "SELECT n FROM t WHERE id = 3", "30\n");
    expect(c, "SELECT n FROM t WHERE id = 3 AND id = 4", "");
    expect(c, "SELECT n FROM t WHERE id = 2.5", "");
    expect(c, "SELECT n + 1, 'x' FROM t WHERE id = 3.0", "31|x\n");
    expect(c, "SELECT 1 + 1", "2\n");
    expect(c, "UPDATE t SET n = 31 WHERE id = 3", "1 rows\n");
    expect(c, "DELETE FROM t WHERE id = 5", "1 rows\n");
    omen_counters now = counters_of(c);
    assert_int_equal(now.route_engine - start.route_engine, 7);
    assert_int_equal(now.route_index, start.route_index);
    assert_int_equal(now.route_fallbacks, 0);
    assert_true(now.engine_index_scans - start.engine_index_scans >= 3); /* by the index inside */
    expect(c, "SET omen.route = index", "");
    expect(c, "SELECT n FROM t WHERE id = 3", "31\n");
    expect(c, "SELECT count(*) FROM t", "4\n");
    expect(c, "SELECT 1", "1\n");
    omen_counters last = counters_of(c);
    assert_int_equal(last.route_index - now.route_index, 1);
    assert_int_equal(last.route_fallbacks, 2);
    expect(c, "SET omen.route_strict = on", "");
    expect(c, "SELECT count(*) FROM t", "ERROR 55000");
    expect(c, "SELECT 1", "ERROR 55000");
    expect(c, "DELETE FROM t", "ERROR 55000");
    expect(c, "SELECT n FROM t WHERE id = 3", "31\n");
    expect(c, "INSERT INTO t VALUES (9, 9)", "1 rows\n"); /* no choice of routes */
    assert_int_equal(counters_of(c).route_fallbacks, 2);
    expect(c, "RESET ALL", "");
    expect(c, "SELECT count(*) FROM t", "5\n");
    fixture_close(&fixture);
}

static void test_names_and_types(void **state)
{
    struct fixture fixture = open_with_rows(2);
    omen_connection *c = fixture.connection;
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    omen_statement *statement;
    static const char sql[] = "SELECT id, id, n + 1, count(*) AS \"how many\", max(x), "
                              "CAST('a' AS varchar(5)) FROM t GROUP BY id, n ORDER BY id";
    static const char *const names[] = {"id", "id", "?column?", "how many", "max", "varchar"};
    assert_int_equal(omen_query(c, sql, SIZE_MAX, &stream, NULL, NULL), OMEN_OK);
    assert_int_equal(stream.get_schema(&stream, &schema), 0);
    assert_int_equal(schema.n_children, 6);
    for (int i = 0; i < 6; i++)
        assert_string_equal(schema.children[i]->name, names[i]);
    schema.release(&schema);
    stream.release(&stream);
    assert_int_equal(omen_prepare(c, sql, SIZE_MAX, &statement, NULL), OMEN_OK);
    for (int run = 0; run < 2; run++) { /* known before it runs, too */
        assert_int_equal(omen_statement_column_count(statement), 6);
        for (size_t i = 0; i < 6; i++)
            assert_string_equal(omen_statement_column_name(statement, i), names[i]);
        assert_int_equal(omen_statement_column_type(statement, 0).id, OMEN_TYPE_INTEGER);
        assert_int_equal(omen_statement_column_type(statement, 3).id, OMEN_TYPE_BIGINT);
        assert_int_equal(omen_statement_column_type(statement, 5).id, OMEN_TYPE_VARCHAR);
        assert_int_equal(omen_statement_column_type(statement, 5).length_max, 5);
        assert_int_equal(omen_execute(statement, NULL, 0, NULL), OMEN_OK);
        assert_int_equal(omen_step(statement, NULL), OMEN_OK);
        assert_int_equal(omen_statement_value(statement, 5).type.id, OMEN_TYPE_VARCHAR);
    }
    omen_statement_release(statement);
    fixture_close(&fixture);
}

static void test_explain(void **state)
{
    struct fixture fixture = open_with_rows(2);
    omen_connection *c = fixture.connection;
    static const struct {
        const char *sql, *start;
    } cases[] = {
        {"EXPLAIN SELECT * FROM t WHERE id = 1", "route: index\nreason: the condition fixes"},
        {"EXPLAIN SELECT 1", "route: core\n"},
        {"EXPLAIN INSERT INTO t VALUES (1)", "route: core\n"},
        {"EXPLAIN INSERT INTO t SELECT * FROM t", "route: engine\n"},
        {"EXPLAIN UPDATE t SET n = 1 WHERE id = 1", "route: index\n"},
        {"EXPLAIN UPDATE t SET n = 1", "route: engine\n"},
        {"EXPLAIN DELETE FROM t WHERE n = 1", "route: engine\n"},
        {"EXPLAIN SELECT count(*) FROM t GROUP BY n", "route: engine\nreason: it groups"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = run(c, cases[i].sql);
        if (strncmp(got, cases[i].start, strlen(cases[i].start)) != 0)
            fail_msg("%s gave %s", cases[i].sql, got);
        bool engine = strstr(cases[i].start, "engine") != NULL;
        assert_int_equal(strstr(got, "t.0") != NULL, engine); /* the engine's plan names the table */
    }
    expect(c, "SELECT count(*) FROM t", "2\n");
    omen_statement *statement;
    omen_value two = value_integer(2);
    assert_int_equal(omen_prepare(c, "EXPLAIN SELECT n FROM t WHERE n > $1", SIZE_MAX, &statement,
                                  NULL), OMEN_OK);
    assert_memory_equal(run_prepared(statement, &two, 1), "route: engine\n", 14);
    omen_statement_release(statement);
    expect(c, "EXPLAIN ANALYZE SELECT 1", "ERROR 0A000");
    fixture_close(&fixture);
}

/* A parameter beside a NUMERIC column has the column's digits; a value with more is not rounded. */
static void test_digits_of_parameters(void **state)
{
    struct fixture fixture = open_with_rows(1);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE p (id int PRIMARY KEY, price decimal(10,2))", "");
    expect(c, "INSERT INTO p VALUES (1, 1.00), (2, 1.01), (3, NULL)", "3 rows\n");
    static const struct {
        const char *sql, *values[2], *expected;
    } cases[] = {
        {"SELECT id FROM p WHERE price = $1", {"1.005"}, ""},
        {"SELECT id FROM p WHERE price = $1", {"1.010"}, "2\n"},
        {"SELECT id FROM p WHERE price < $1", {"1.005"}, "1\n"},
        {"SELECT id FROM p WHERE price < $1", {"1.0100001"}, "1\n2\n"},
        {"SELECT id FROM p WHERE price < $1", {"123456789012345"}, "1\n2\n"},
        {"SELECT id FROM p WHERE price > $1", {"1e-30"}, "1\n2\n"},
        {"SELECT id FROM p WHERE price > $1", {"1e-50"}, "ERROR 0A000"},
        {"SELECT id FROM p WHERE price > $1", {"one"}, "ERROR 22P02"},
        {"SELECT id FROM p WHERE price IN ($1, $2)", {"1.001", "1.01"}, "2\n"},
        {"SELECT id FROM p WHERE price BETWEEN $1 AND $2", {"1.0099", "1.0101"}, "2\n"},
        {"SELECT id FROM p WHERE id = $1 AND price > $2", {"2", "1.009"}, "2\n"},
        {"INSERT INTO p VALUES ($1, $2)", {"4", "2.345"}, "1 rows\n"},
        {"SELECT price FROM p WHERE id = $1", {"4"}, "2.35\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        omen_statement *statement;
        omen_value values[2];
        size_t count = 0;
        for (; count < 2 && cases[i].values[count] != NULL; count++)
            values[count] = value_text(cases[i].values[count]);
        assert_int_equal(omen_prepare(c, cases[i].sql, SIZE_MAX, &statement, NULL), OMEN_OK);
        for (int again = 0; again < (cases[i].sql[0] == 'I' ? 1 : 2); again++) {
            const char *got = run_prepared(statement, values, count);
            if (strcmp(got, cases[i].expected) != 0)
                fail_msg("%s with %s gave %s", cases[i].sql, cases[i].values[0], got);
        }
        omen_statement_release(statement);
    }
    omen_statement *statement;
    omen_value decimal = value_decimal(1005, 4, 3);
    assert_int_equal(omen_prepare(c, "SELECT id FROM p WHERE price < $1", SIZE_MAX, &statement,
                                  NULL), OMEN_OK);
    assert_string_equal(run_prepared(statement, &decimal, 1), "1\n");
    omen_statement_release(statement);
    fixture_close(&fixture);
}

/* --- writers that meet --- */

enum { WRITERS = 3, STATEMENTS = 15, ROWS = 200 };

struct writer {
    omen_database *database;
    const char *sql;
    atomic_int failures;
};

static void *write_often(void *argument)
{
    struct writer *writer = argument;
    omen_connection *connection;
    struct ArrowArrayStream stream;
    if (omen_connect(writer->database, &connection, NULL) != OMEN_OK)
        abort();
    for (int i = 0; i < STATEMENTS; i++) {
        uint64_t rows;
        omen_error error = {.message = ""};
        if (omen_query(connection, writer->sql, SIZE_MAX, &stream, &rows, &error) != OMEN_OK) {
            fprintf(stderr, "%s: %s %s\n", writer->sql, error.sqlstate, error.message);
            atomic_fetch_add(&writer->failures, 1);
            continue;
        }
        stream.release(&stream);
        if (rows != ROWS)
            atomic_fetch_add(&writer->failures, 1);
    }
    omen_disconnect(connection);
    return NULL;
}

/* Each statement changes all rows as they are then: no change is lost, no conflict surfaces. */
static void test_conflicts_never_surface(void **state)
{
    struct fixture fixture = open_with_rows(ROWS);
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    char expected[32];
    expect(fixture.connection, "UPDATE t SET n = 0", "200 rows\n");
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.database = fixture.database,
                                     .sql = i == 0 ? "UPDATE t SET n = n + 1, id = 201 - id"
                                                   : "UPDATE t SET n = n + 1"};
        assert_int_equal(pthread_create(&threads[i], NULL, write_often, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&writers[i].failures), 0);
    }
    snprintf(expected, sizeof expected, "%d|%d|200\n", WRITERS * STATEMENTS, WRITERS * STATEMENTS);
    expect(fixture.connection, "SELECT min(n), max(n), count(DISTINCT id) FROM t", expected);
    fixture_close(&fixture);
}

static void test_closed_connections(void **state)
{
    struct fixture fixture = open_with_rows(2);
    omen_statement *statement;
    omen_error error;
    assert_int_equal(omen_prepare(fixture.connection, "SELECT count(*) FROM t", SIZE_MAX, &statement,
                                  NULL), OMEN_OK);
    omen_disconnect(fixture.connection);
    assert_int_equal(omen_close(fixture.database, NULL), OMEN_OK);
    assert_int_equal(omen_execute(statement, NULL, 0, &error), OMEN_NOT_READY);
    assert_string_equal(error.message, "the connection is closed");
    omen_statement_release(statement);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_insert_from_queries),
        cmocka_unit_test(test_updates_by_the_engine),
        cmocka_unit_test(test_deletes_by_the_engine),
        cmocka_unit_test(test_forced_routes),
        cmocka_unit_test(test_names_and_types),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_digits_of_parameters),
        cmocka_unit_test(test_conflicts_never_surface),
        cmocka_unit_test(test_closed_connections),
    };
    const char *engine = getenv("OMENDB_ENGINE");
    if (engine == NULL || access(engine, R_OK) != 0)
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
