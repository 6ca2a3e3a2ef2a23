/* test_transactions.c - transactions over several statements through the C API: what schedules of
 * SQL (tests/isolation) do not reach. No engine.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "os/os.h"
#include "support.h"

/* A database without an engine, t of (1, 10) and (2, 20), and a second connection. */
struct scene {
    struct fixture fixture;
    omen_connection *a, *b;
};

static struct scene open_scene_at(struct fixture fixture)
{
    struct scene scene = {.fixture = fixture};
    scene.a = scene.fixture.connection;
    assert_int_equal(omen_connect(scene.fixture.database, &scene.b, NULL), OMEN_OK);
    expect(scene.a, "CREATE TABLE t (id int PRIMARY KEY, v int)", "");
    expect(scene.a, "INSERT INTO t VALUES (1, 10), (2, 20)", "2 rows\n");
    return scene;
}

static struct scene open_scene(void)
{
    return open_scene_at(fixture_open_without_engine());
}

static void close_scene(struct scene *scene)
{
    omen_disconnect(scene->b);
    fixture_close(&scene->fixture);
}

/* --- calls without SQL --- */

/* The value of v, or -1 where there is no such row. */
static int get(omen_connection *connection, int id)
{
    omen_row *row;
    omen_value key = value_integer(id);
    omen_status status = omen_get(connection, "t", NULL, &key, 1, &row, NULL);
    if (status == OMEN_NOT_FOUND)
        return -1;
    assert_int_equal(status, OMEN_OK);
    int value = omen_row_value(row, 1).as.i32;
    omen_row_release(row);
    return value;
}

static int scan(omen_connection *connection)
{
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    int rows = 0;
    assert_int_equal(omen_scan(connection, "t", NULL, &stream, NULL), OMEN_OK);
    while (stream.get_next(&stream, &array) == 0 && array.release != NULL) {
        rows += (int)array.length;
        array.release(&array);
    }
    stream.release(&stream);
    return rows;
}

static omen_status insert(omen_connection *connection, int id, int v)
{
    const omen_value values[] = {value_integer(id), value_integer(v)};
    return omen_insert(connection, "t", values, 1, NULL);
}

static omen_status update(omen_connection *connection, int id, int v)
{
    const char *column = "v";
    omen_value key = value_integer(id), value = value_integer(v);
    return omen_update(connection, "t", &key, 1, &column, &value, 1, NULL);
}

static omen_status delete(omen_connection *connection, int id)
{
    omen_value key = value_integer(id);
    return omen_delete(connection, "t", &key, 1, NULL);
}

static void test_calls_take_part(void **state)
{
    struct scene scene = open_scene();
    expect(scene.a, "BEGIN", "");
    assert_int_equal(insert(scene.a, 3, 30), OMEN_OK);
    assert_int_equal(update(scene.a, 1, 11), OMEN_OK);
    assert_int_equal(update(scene.a, 3, 31), OMEN_OK);
    assert_int_equal(delete(scene.a, 2), OMEN_OK);
    assert_int_equal(delete(scene.a, 2), OMEN_NOT_FOUND); /* an answer: nothing has failed */
    assert_int_equal(get(scene.a, 1), 11);
    assert_int_equal(get(scene.a, 2), -1);
    assert_int_equal(get(scene.a, 3), 31);
    assert_int_equal(scan(scene.a), 2);
    assert_int_equal(get(scene.b, 1), 10);
    assert_int_equal(get(scene.b, 2), 20);
    assert_int_equal(get(scene.b, 3), -1);
    assert_int_equal(scan(scene.b), 2);
    expect(scene.a, "COMMIT", "");
    assert_int_equal(get(scene.b, 1), 11);
    assert_int_equal(get(scene.b, 2), -1);
    assert_int_equal(get(scene.b, 3), 31);
    close_scene(&scene);
}

static void test_a_failed_call_fails_the_transaction(void **state)
{
    struct scene scene = open_scene();
    omen_error error;
    omen_row *row;
    omen_value key = value_integer(1);
    expect(scene.a, "BEGIN", "");
    assert_int_equal(update(scene.a, 1, 11), OMEN_OK);
    assert_int_equal(insert(scene.a, 2, 0), OMEN_DUPLICATE_KEY);
    assert_int_equal(insert(scene.a, 4, 0), OMEN_IN_FAILED_TRANSACTION);
    assert_int_equal(omen_get(scene.a, "t", NULL, &key, 1, &row, &error),
                     OMEN_IN_FAILED_TRANSACTION);
    assert_string_equal(omen_status_sqlstate(error.status), "25P02");
    assert_int_equal(get(scene.b, 1), 10);
    assert_int_equal(update(scene.b, 1, 12), OMEN_OK); /* its locks are gone already */
    expect(scene.a, "COMMIT", "");
    assert_int_equal(get(scene.a, 1), 12);
    close_scene(&scene);
}

static void test_a_given_snapshot_has_no_own_writes(void **state)
{
    struct scene scene = open_scene();
    omen_snapshot *snapshot;
    omen_row *row;
    omen_value key = value_integer(1);
    expect(scene.a, "BEGIN", "");
    assert_int_equal(update(scene.a, 1, 11), OMEN_OK);
    assert_int_equal(omen_snapshot_create(scene.a, &snapshot, NULL), OMEN_OK);
    assert_int_equal(omen_get(scene.a, "t", snapshot, &key, 1, &row, NULL), OMEN_OK);
    assert_int_equal(omen_row_value(row, 1).as.i32, 10);
    omen_row_release(row);
    omen_snapshot_release(snapshot);
    expect(scene.a, "ROLLBACK", "");
    close_scene(&scene);
}

/* --- prepared point queries, which have a way of their own --- */

static void test_prepared_point_queries_see_own_writes(void **state)
{
    struct scene scene = open_scene();
    omen_statement *select;
    omen_value one = value_integer(1);
    assert_int_equal(omen_prepare(scene.a, "SELECT v FROM t WHERE id = $1", SIZE_MAX, &select, NULL),
                     OMEN_OK);
    assert_string_equal(run_prepared(select, &one, 1), "10\n");
    expect(scene.a, "BEGIN", "");
    assert_string_equal(run_prepared(select, &one, 1), "10\n");
    expect(scene.a, "UPDATE t SET v = 11 WHERE id = 1", "1 rows\n");
    assert_string_equal(run_prepared(select, &one, 1), "11\n");
    expect(scene.a, "ROLLBACK", "");
    assert_string_equal(run_prepared(select, &one, 1), "10\n");
    expect(scene.a, "BEGIN ISOLATION LEVEL REPEATABLE READ", "");
    assert_string_equal(run_prepared(select, &one, 1), "10\n");
    expect(scene.b, "UPDATE t SET v = 12 WHERE id = 1", "1 rows\n");
    assert_string_equal(run_prepared(select, &one, 1), "10\n");
    expect(scene.a, "SELECT nothing", "ERROR 42703");
    assert_string_equal(run_prepared(select, &one, 1), "ERROR 25P02");
    expect(scene.a, "ROLLBACK", "");
    assert_string_equal(run_prepared(select, &one, 1), "12\n");
    omen_statement_release(select);
    close_scene(&scene);
}

/* A plan that was made for a transaction's own table does not outlive it. */
static void test_plans_of_own_tables(void **state)
{
    struct scene scene = open_scene();
    omen_statement *select;
    omen_value one = value_integer(1);
    expect(scene.a, "BEGIN", "");
    expect(scene.a, "CREATE TABLE u (id int PRIMARY KEY, v int)", "");
    expect(scene.a, "INSERT INTO u VALUES (1, 100)", "1 rows\n");
    assert_int_equal(omen_prepare(scene.a, "SELECT v FROM u WHERE id = $1", SIZE_MAX, &select, NULL),
                     OMEN_OK);
    assert_string_equal(run_prepared(select, &one, 1), "100\n");
    expect(scene.b, "SELECT v FROM u WHERE id = 1", "ERROR 42P01");
    expect(scene.a, "ROLLBACK", "");
    assert_string_equal(run_prepared(select, &one, 1), "ERROR 42P01");
    expect(scene.a, "CREATE TABLE u (id int PRIMARY KEY, v int)", "");
    assert_string_equal(run_prepared(select, &one, 1), "");
    omen_statement_release(select);
    close_scene(&scene);
}

static void test_own_tables_through_calls(void **state)
{
    struct scene scene = open_scene();
    expect(scene.a, "BEGIN", "");
    assert_int_equal(omen_table_drop(scene.a, "t", NULL), OMEN_OK);
    assert_int_equal(insert(scene.a, 5, 0), OMEN_UNDEFINED_TABLE);
    expect(scene.a, "ROLLBACK", "");
    assert_int_equal(insert(scene.a, 5, 50), OMEN_OK);
    expect(scene.a, "BEGIN", "");
    expect(scene.a, "SAVEPOINT s", "");
    assert_int_equal(omen_table_drop(scene.a, "t", NULL), OMEN_OK);
    expect(scene.a, "SHOW TABLES", "");
    expect(scene.a, "ROLLBACK TO s", "");
    expect(scene.a, "SHOW TABLES", "t\n");
    expect(scene.a, "DROP TABLE t", "");
    expect(scene.a, "CREATE TABLE t (id int PRIMARY KEY, v int)", "");
    expect(scene.a, "INSERT INTO t VALUES (7, 70)", "1 rows\n");
    assert_int_equal(scan(scene.b), 3);
    expect(scene.a, "COMMIT", "");
    assert_int_equal(scan(scene.b), 1);
    assert_int_equal(get(scene.b, 7), 70);
    close_scene(&scene);
}

/* --- its end --- */

static void test_disconnecting_rolls_back(void **state)
{
    struct scene scene = open_scene();
    omen_connection *c;
    assert_int_equal(omen_connect(scene.fixture.database, &c, NULL), OMEN_OK);
    expect(c, "BEGIN", "");
    expect(c, "UPDATE t SET v = 11 WHERE id = 1", "1 rows\n");
    expect(scene.b, "SET lock_timeout = '20ms'", "");
    expect(scene.b, "UPDATE t SET v = 12 WHERE id = 1", "ERROR 55P03");
    omen_disconnect(c);
    expect(scene.b, "UPDATE t SET v = 13 WHERE id = 1", "1 rows\n");
    assert_int_equal(get(scene.a, 1), 13);
    close_scene(&scene);
}

static void test_state_of_a_connection(void **state)
{
    struct scene scene = open_scene();
    assert_int_equal(omen_transaction_state_of(NULL), OMEN_TRANSACTION_NONE);
    assert_int_equal(omen_transaction_state_of(scene.a), OMEN_TRANSACTION_NONE);
    expect(scene.a, "BEGIN", "");
    assert_int_equal(omen_transaction_state_of(scene.a), OMEN_TRANSACTION_OPEN);
    assert_int_equal(omen_transaction_state_of(scene.b), OMEN_TRANSACTION_NONE);
    expect(scene.a, "nonsense", "ERROR 42601");
    assert_int_equal(omen_transaction_state_of(scene.a), OMEN_TRANSACTION_FAILED);
    expect(scene.a, "ROLLBACK", "");
    assert_int_equal(omen_transaction_state_of(scene.a), OMEN_TRANSACTION_NONE);
    close_scene(&scene);
}

/* What the statement warns of: its SQLSTATE, or "". */
static const char *warning_of(omen_connection *connection, const char *sql)
{
    static omen_error warning;
    expect(connection, sql, "");
    if (!omen_warning_take(connection, &warning))
        return "";
    assert_true(warning.message[0] != '\0');
    return warning.sqlstate;
}

static void test_warnings(void **state)
{
    struct scene scene = open_scene();
    omen_error warning;
    assert_string_equal(warning_of(scene.a, "COMMIT"), "25P01");
    assert_string_equal(warning_of(scene.a, "ROLLBACK"), "25P01");
    assert_string_equal(warning_of(scene.a, "SET TRANSACTION READ ONLY"), "25P01");
    assert_string_equal(warning_of(scene.a, "SET LOCAL lock_timeout = 1"), "25P01");
    assert_string_equal(warning_of(scene.a, "BEGIN"), "");
    assert_string_equal(warning_of(scene.a, "SET LOCAL lock_timeout = 1"), "");
    assert_string_equal(warning_of(scene.a, "BEGIN"), "25001");
    expect(scene.a, "BEGIN ISOLATION LEVEL REPEATABLE READ", "");
    assert_false(omen_warning_take(scene.b, &warning)); /* another's */
    expect(scene.a, "UPDATE t SET v = 11 WHERE id = 1", "1 rows\n");
    assert_true(omen_warning_take(scene.a, &warning)); /* until it is asked for, and once */
    assert_string_equal(warning.message, "there is already a transaction in progress");
    assert_int_equal(warning.status, OMEN_ACTIVE_TRANSACTION);
    assert_false(omen_warning_take(scene.a, &warning));
    assert_string_equal(warning_of(scene.a, "COMMIT"), "");
    expect(scene.a, "COMMIT AND CHAIN", "ERROR 25P01"); /* as an error */
    assert_false(omen_warning_take(scene.a, &warning));
    assert_false(omen_warning_take(NULL, &warning));
    close_scene(&scene);
}

static void test_reset_all(void **state)
{
    struct scene scene = open_scene();
    expect(scene.a, "SET default_transaction_isolation = 'repeatable read'", "");
    expect(scene.a, "SET default_transaction_read_only = on", "");
    expect(scene.a, "SHOW transaction_isolation", "repeatable read\n");
    expect(scene.a, "INSERT INTO t VALUES (3, 30)", "ERROR 25006");
    expect(scene.a, "RESET ALL", "");
    expect(scene.a, "SHOW transaction_isolation", "read committed\n");
    expect(scene.a, "INSERT INTO t VALUES (3, 30)", "1 rows\n");
    close_scene(&scene);
}

static void test_tags(void **state)
{
    struct scene scene = open_scene();
    omen_statement *commit;
    assert_int_equal(omen_prepare(scene.a, "COMMIT", SIZE_MAX, &commit, NULL), OMEN_OK);
    expect(scene.a, "BEGIN", "");
    assert_int_equal(omen_execute(commit, NULL, 0, NULL), OMEN_OK);
    assert_string_equal(omen_statement_tag(commit), "COMMIT");
    expect(scene.a, "BEGIN", "");
    expect(scene.a, "SELECT 1 / 0", "ERROR 22012");
    assert_int_equal(omen_execute(commit, NULL, 0, NULL), OMEN_OK);
    assert_string_equal(omen_statement_tag(commit), "ROLLBACK");
    omen_statement_release(commit);
    close_scene(&scene);
}

/* Memory that cannot be had fails a statement, and never leaves half of one. */
static void test_failing_allocations(void **state)
{
    struct scene scene = open_scene();
    for (int nth = 1; nth < 120; nth++) {
        int v = get(scene.b, 1);
        omen_test_fail_allocation(scene.fixture.database, (uint64_t)nth, false);
        (void)run(scene.a, "BEGIN");
        (void)run(scene.a, "UPDATE t SET v = v + 1 WHERE id = 1");
        (void)run(scene.a, "SAVEPOINT s");
        (void)run(scene.a, "INSERT INTO t VALUES (9, 0)");
        (void)run(scene.a, "ROLLBACK TO s");
        (void)run(scene.a, "UPDATE t SET v = v - 1 WHERE id = 2");
        (void)run(scene.a, "COMMIT");
        (void)run(scene.a, "ROLLBACK");
        omen_test_fail_allocation(scene.fixture.database, 0, false);
        assert_in_range(get(scene.b, 1), v, v + 1);
        assert_true(get(scene.b, 9) == -1 || get(scene.b, 9) == 0);
        expect(scene.b, "DELETE FROM t WHERE id = 9", get(scene.b, 9) == 0 ? "1 rows\n" : "");
        expect(scene.b, "UPDATE t SET v = 20 WHERE id = 2", "1 rows\n"); /* nothing is locked */
    }
    close_scene(&scene);
}

/* A statement alone of many rows, or of one, meets the key that somebody has locked, and no other. */
static void test_inserts_meet_locked_keys(void **state)
{
    enum { ROWS = 1000 };
    static omen_value rows[ROWS * 2];
    struct scene scene = open_scene();
    for (int i = 0; i < ROWS * 2; i += 2) {
        rows[i] = value_integer(100 + i / 2);
        rows[i + 1] = value_integer(0);
    }
    expect(scene.a, "CREATE TABLE u (id text, v int, PRIMARY KEY (v, id))", "");
    expect(scene.b, "SET lock_timeout = '20ms'", "");
    expect(scene.a, "BEGIN", "");
    expect(scene.a, "INSERT INTO t VALUES (500, 1), (2000, 1)", "2 rows\n");
    expect(scene.a, "INSERT INTO u VALUES ('x', 1), ('', 2), ('yy', 2)", "3 rows\n");
    assert_int_equal(omen_insert(scene.b, "t", rows, ROWS, NULL), OMEN_LOCK_NOT_AVAILABLE);
    assert_int_equal(omen_insert(scene.b, "t", rows, 400, NULL), OMEN_OK); /* up to 499 */
    assert_int_equal(insert(scene.b, 500, 1), OMEN_LOCK_NOT_AVAILABLE);
    assert_int_equal(insert(scene.b, 2000, 1), OMEN_LOCK_NOT_AVAILABLE);
    assert_int_equal(insert(scene.b, 2001, 1), OMEN_OK);
    expect(scene.b, "INSERT INTO u SELECT '', 2", "ERROR 55P03");
    expect(scene.b,
           "INSERT INTO u VALUES ('a', 1), ('b', 1), ('c', 1), ('d', 1), ('e', 1), ('f', 1), "
           "('g', 1), ('', 2), ('h', 1), ('i', 1), ('j', 1), ('k', 1)",
           "ERROR 55P03");
    expect(scene.b,
           "INSERT INTO u VALUES ('a', 1), ('b', 1), ('c', 1), ('d', 1), ('e', 1), ('f', 1), "
           "('g', 1), ('z', 2), ('h', 1), ('i', 1), ('j', 1), ('k', 1)",
           "12 rows\n");
    expect(scene.a, "ROLLBACK", "");
    assert_int_equal(omen_insert(scene.b, "t", rows + 800, ROWS - 400, NULL), OMEN_OK);
    close_scene(&scene);
}

/* --- many at once --- */

enum { ACCOUNTS = 8, CLIENTS = 4, TRANSFERS = 150 };

struct client {
    omen_database *database;
    int number;
    pthread_t thread;
    int committed;
};

/* Runs a statement; false where the transaction has failed, by a deadlock or because it could not be
 * serialized: nothing else may happen. */
static bool runs(omen_connection *connection, const char *sql)
{
    const char *result = run(connection, sql);
    if (strncmp(result, "ERROR", 5) != 0)
        return true;
    assert_true(strcmp(result, "ERROR 40P01") == 0 || strcmp(result, "ERROR 40001") == 0);
    return false;
}

static bool transfer(omen_connection *connection, int from, int to, bool repeatable)
{
    char sql[3][100];
    snprintf(sql[0], sizeof sql[0], "UPDATE t SET v = v - 1 WHERE id = %d", from);
    snprintf(sql[1], sizeof sql[1], "UPDATE t SET v = v + 2 WHERE id = %d", to);
    snprintf(sql[2], sizeof sql[2], "UPDATE t SET v = v - 1 WHERE id = %d", to);
    return runs(connection, repeatable ? "BEGIN ISOLATION LEVEL REPEATABLE READ" : "BEGIN") &&
           runs(connection, sql[0]) && runs(connection, "SAVEPOINT s") && runs(connection, sql[1]) &&
           runs(connection, "ROLLBACK TO s") && runs(connection, sql[1]) &&
           runs(connection, sql[2]) && runs(connection, "COMMIT");
}

static void *transfer_often(void *argument)
{
    struct client *client = argument;
    omen_connection *connection;
    unsigned random = (unsigned)client->number + 1;
    assert_int_equal(omen_connect(client->database, &connection, NULL), OMEN_OK);
    for (int i = 0; i < TRANSFERS; i++) {
        random = random * 1103515245 + 12345;
        int from = (int)(random >> 16) % ACCOUNTS, to = (from + 1 + (int)(random >> 8) % 7) % ACCOUNTS;
        if (transfer(connection, from, to, random >> 30 == 0))
            client->committed++;
        else
            expect(connection, "ROLLBACK", "");
        if (i % 16 == 0) /* alone, among the others */
            expect(connection, "UPDATE t SET v = v WHERE id = 3", "1 rows\n");
    }
    omen_disconnect(connection);
    return NULL;
}

static void test_transfers_keep_the_sum(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    omen_connection *c = fixture.connection;
    struct client clients[CLIENTS];
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, v int)", "");
    for (int i = 0; i < ACCOUNTS; i++)
        assert_int_equal(insert(c, i, 100), OMEN_OK);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.database = fixture.database, .number = i};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, transfer_often, &clients[i]), 0);
    }
    int sum = 0, committed = 0;
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        committed += clients[i].committed;
    }
    for (int i = 0; i < ACCOUNTS; i++)
        sum += get(c, i);
    assert_int_equal(sum, 100 * ACCOUNTS);
    assert_true(committed > CLIENTS * TRANSFERS / 4);
    fixture_close(&fixture);
}

/* --- in a directory --- */

static void test_committed_together_and_reopened(void **state)
{
    struct fixture fixture = open_plain(&os_real);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, v int)", "");
    expect(c, "BEGIN", "");
    expect(c, "INSERT INTO t VALUES (1, 10), (2, 20)", "2 rows\n");
    expect(c, "CREATE TABLE u (id text PRIMARY KEY)", "");
    expect(c, "INSERT INTO u VALUES ('x')", "1 rows\n");
    expect(c, "UPDATE t SET id = 3 WHERE id = 1", "1 rows\n");
    expect(c, "COMMIT", "");
    expect(c, "BEGIN", "");
    expect(c, "INSERT INTO t VALUES (9, 90)", "1 rows\n");
    expect(c, "DROP TABLE u", "");
    fixture_close(&fixture); /* and with it the transaction */
    fixture = open_plain(&os_real);
    c = fixture.connection;
    expect(c, "SELECT v FROM t WHERE id = 3", "10\n");
    expect(c, "SELECT v FROM t WHERE id = 1", "");
    expect(c, "SELECT v FROM t WHERE id = 9", "");
    expect(c, "SELECT id FROM u WHERE id = 'x'", "x\n");
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_take_part),
        cmocka_unit_test(test_a_failed_call_fails_the_transaction),
        cmocka_unit_test(test_a_given_snapshot_has_no_own_writes),
        cmocka_unit_test(test_prepared_point_queries_see_own_writes),
        cmocka_unit_test(test_plans_of_own_tables),
        cmocka_unit_test(test_own_tables_through_calls),
        cmocka_unit_test(test_disconnecting_rolls_back),
        cmocka_unit_test(test_state_of_a_connection),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_reset_all),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_inserts_meet_locked_keys),
        cmocka_unit_test(test_transfers_keep_the_sum),
        cmocka_unit_test_setup_teardown(test_committed_together_and_reopened, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
