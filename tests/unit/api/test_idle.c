/* test_idle.c - idle_in_transaction_session_timeout: a transaction that waits too long for its next
 * statement is in nobody's way, and says so itself when that comes. No engine. Meant for the thread
 * sanitizer too.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/api_private.h"
#include "os/os.h"
#include "support.h"

/* A database in a folder, without an engine and without a thread of its own, t of (1, 10) and
 * (2, 20), and a second connection. */
struct scene {
    struct fixture fixture;
    omen_connection *a, *b;
};

/* A clock that can be set forward. */
static uint64_t forward_ns;

static uint64_t forward_clock(const struct os *os)
{
    return os_real.monotonic_ns(&os_real) + forward_ns;
}

static void pause_minutes(uint64_t minutes)
{
    forward_ns += minutes * 60 * 1000000000;
}

static struct scene open_scene(void)
{
    static struct os os;
    os = os_real;
    os.monotonic_ns = forward_clock;
    struct scene scene = {.fixture = open_plain(&os)};
    scene.a = scene.fixture.connection;
    assert_int_equal(omen_connect(scene.fixture.database, &scene.b, NULL), OMEN_OK);
    expect(scene.a, "CREATE TABLE t (id int PRIMARY KEY, v int)", "");
    expect(scene.a, "INSERT INTO t VALUES (1, 10), (2, 20)", "2 rows\n");
    expect(scene.a, "SET idle_in_transaction_session_timeout = '5min'", "");
    return scene;
}

static void close_scene(struct scene *scene)
{
    omen_disconnect(scene->b);
    fixture_close(&scene->fixture);
}

static omen_status insert(omen_connection *connection, int id, int v)
{
    const omen_value values[] = {value_integer(id), value_integer(v)};
    return omen_insert(connection, "t", values, 1, NULL);
}

/* --- what its own connection finds --- */

static void test_idle_timeout(void **state)
{
    static const char *const statements[] = {"COMMIT", "ROLLBACK", "SELECT v FROM t WHERE id = 1",
                                             "UPDATE t SET v = 1 WHERE id = 2", "SAVEPOINT s"};
    struct scene scene = open_scene();
    omen_statement *prepared;
    const omen_value key = value_integer(1);
    assert_int_equal(
        omen_prepare(scene.a, "SELECT v FROM t WHERE id = $1", SIZE_MAX, &prepared, NULL),
        OMEN_OK);
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        expect(scene.a, "BEGIN", "");
        pause_minutes(4);
        expect(scene.a, "UPDATE t SET v = 11 WHERE id = 1", "1 rows\n");
        pause_minutes(6);
        expect(scene.a, statements[i], "ERROR 25P03");
        expect(scene.b, "UPDATE t SET v = 10 WHERE id = 1", "1 rows\n"); /* nobody holds it */
        expect(scene.a, "SELECT v FROM t WHERE id = 1", "10\n");
    }
    expect(scene.a, "BEGIN", ""); /* one that has only read, by the short way */
    assert_string_equal(run_prepared(prepared, &key, 1), "10\n");
    pause_minutes(6);
    assert_string_equal(run_prepared(prepared, &key, 1), "ERROR 25P03");
    expect(scene.a, "BEGIN", ""); /* a failed one */
    expect(scene.a, "nonsense", "ERROR 42601");
    pause_minutes(6);
    expect(scene.a, "SELECT v FROM t WHERE id = 1", "ERROR 25P03");
    expect(scene.a, "BEGIN", ""); /* calls */
    assert_int_equal(insert(scene.a, 7, 70), OMEN_OK);
    pause_minutes(6);
    assert_int_equal(insert(scene.a, 8, 80), OMEN_IDLE_IN_TRANSACTION_TIMEOUT);
    pause_minutes(6); /* outside a transaction any pause is right */
    expect(scene.a, "SELECT v FROM t WHERE id = 2", "20\n");
    expect(scene.a, "SET idle_in_transaction_session_timeout = 0", "");
    expect(scene.a, "BEGIN", "");
    pause_minutes(6);
    expect(scene.a, "SET LOCAL idle_in_transaction_session_timeout = '10min'", "");
    pause_minutes(6);
    expect(scene.a, "COMMIT", "");
    omen_statement_release(prepared);
    close_scene(&scene);
}

/* --- what others find --- */

/* A transaction that has written, created, and whose time is over. */
static void leave_behind(struct scene *scene)
{
    expect(scene->a, "BEGIN", "");
    expect(scene->a, "UPDATE t SET v = 11 WHERE id = 1", "1 rows\n");
    expect(scene->a, "SAVEPOINT s", "");
    expect(scene->a, "INSERT INTO t VALUES (3, 30)", "1 rows\n");
    expect(scene->a, "CREATE TABLE u (id int)", "");
    pause_minutes(6);
}

static void test_statements_do_not_meet_it(void **state)
{
    static const struct {
        const char *sql, *result;
    } statements[] = {
        {"UPDATE t SET v = 12 WHERE id = 1", "1 rows\n"},
        {"SELECT v FROM t WHERE id = 1 FOR UPDATE NOWAIT", "10\n"},
        {"SELECT v FROM t WHERE id = 1 FOR UPDATE SKIP LOCKED", "10\n"},
        {"INSERT INTO t VALUES (3, 31)", "1 rows\n"},
        {"CREATE TABLE u (id int)", ""},
        {"DROP TABLE t", ""},
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        struct scene scene = open_scene();
        expect(scene.b, "SET lock_timeout = '1min'", "");
        leave_behind(&scene);
        expect(scene.b, statements[i].sql, statements[i].result);
        expect(scene.a, "SELECT v FROM t WHERE id = 2", "ERROR 25P03");
        close_scene(&scene);
        assert_int_equal(remove_folder(NULL), 0);
        assert_int_equal(make_folder(NULL), 0);
    }
}

/* The time is over only when others wait already. */
static void test_who_waits_ends_it(void **state)
{
    static const char *const statements[] = {"UPDATE t SET v = 12 WHERE id = 1",
                                             "SELECT v FROM t WHERE id = 1 FOR SHARE",
                                             "INSERT INTO t VALUES (3, 31)", "CREATE TABLE u (id int)",
                                             "LOCK TABLE t", "DROP TABLE t"};
    struct scene scene = open_scene();
    expect(scene.a, "SET idle_in_transaction_session_timeout = '30ms'", "");
    expect(scene.b, "SET lock_timeout = '1min'", "");
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        expect(scene.a, "BEGIN", "");
        expect(scene.a, "UPDATE t SET v = 11 WHERE id = 1", "1 rows\n");
        assert_int_equal(insert(scene.a, 3, 30), OMEN_OK);
        expect(scene.a, "CREATE TABLE u (id int)", "");
        expect(scene.b, "BEGIN", "");
        assert_true(strncmp(run(scene.b, statements[i]), "ERROR", 5) != 0);
        expect(scene.b, "ROLLBACK", "");
        expect(scene.a, "COMMIT", "ERROR 25P03");
        expect(scene.a, "SELECT v FROM t WHERE id = 1", "10\n");
        expect(scene.a, "SELECT v FROM t WHERE id = 3", "");
        expect(scene.a, "DROP TABLE u", "ERROR 42P01");
    }
    close_scene(&scene);
}

/* What it could see is kept no longer, though nobody waits. */
static void test_its_snapshot_goes(void **state)
{
    struct scene scene = open_scene();
    struct txn_manager *manager = session_of(scene.a)->database->manager;
    expect(scene.a, "BEGIN ISOLATION LEVEL REPEATABLE READ", "");
    expect(scene.a, "SELECT v FROM t WHERE id = 1", "10\n");
    expect(scene.b, "UPDATE t SET v = 12 WHERE id = 1", "1 rows\n");
    assert_int_equal(omen_maintain(scene.fixture.database, 0, NULL, NULL), OMEN_OK);
    assert_true(txn_watermark(manager) < txn_published(manager));
    pause_minutes(6);
    assert_int_equal(omen_maintain(scene.fixture.database, 0, NULL, NULL), OMEN_OK);
    assert_int_equal(txn_watermark(manager), txn_published(manager));
    expect(scene.a, "SELECT v FROM t WHERE id = 1", "ERROR 25P03");
    close_scene(&scene);
}

/* Looking at the transaction between statements is none, and does not harm it. */
static void test_calls_between(void **state)
{
    struct scene scene = open_scene();
    omen_table_statistics statistics = {.struct_bytes = sizeof statistics};
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    struct ArrowArray array;
    expect(scene.a, "BEGIN", "");
    expect(scene.a, "CREATE TABLE u (id int)", "");
    assert_int_equal(insert(scene.a, 3, 30), OMEN_OK);
    assert_int_equal(omen_scan(scene.a, "t", NULL, &stream, NULL), OMEN_OK);
    pause_minutes(4);
    assert_int_equal(omen_table_statistics_of(scene.a, "u", &statistics, NULL), OMEN_OK);
    pause_minutes(6);
    expect(scene.b, "UPDATE t SET v = 31 WHERE id = 3", ""); /* which ends it */
    assert_int_equal(omen_table_schema(scene.a, "u", &schema, NULL), OMEN_UNDEFINED_TABLE);
    assert_int_equal(stream.get_next(&stream, &array), 0); /* is as it was */
    int64_t rows = array.length;
    array.release(&array);
    assert_int_equal(stream.get_next(&stream, &array), 0);
    rows += array.release != NULL ? array.length : 0;
    if (array.release != NULL)
        array.release(&array);
    assert_int_equal(rows, 3);
    stream.release(&stream);
    assert_int_equal(omen_transaction_state_of(scene.a), OMEN_TRANSACTION_OPEN); /* nobody has said */
    expect(scene.a, "SELECT id FROM u WHERE id = 1", "ERROR 25P03");
    assert_int_equal(omen_transaction_state_of(scene.a), OMEN_TRANSACTION_NONE);
    leave_behind(&scene);
    omen_disconnect(scene.b); /* who would have ended it */
    assert_int_equal(omen_connect(scene.fixture.database, &scene.b, NULL), OMEN_OK);
    leave_behind(&(struct scene){.a = scene.b}); /* has no limit: it stays */
    expect(scene.a, "COMMIT", "ERROR 25P03");
    expect(scene.b, "COMMIT", "");
    close_scene(&scene);
}

/* --- many at once --- */

enum { CLIENTS = 4, TURNS = 300 };

/* Transactions over two of four rows, in one order, whose time is over about when they end. */
static void *take_turns(void *argument)
{
    omen_connection *connection = argument;
    static const char *const statements[] = {
        "BEGIN ISOLATION LEVEL REPEATABLE READ",      "SELECT v FROM t WHERE id = 2",
        "COMMIT",                                     "BEGIN",
        "UPDATE t SET v = v + 1 WHERE id = 1",        "CREATE TABLE mine (id int)",
        "SELECT v FROM t WHERE id = 2 FOR NO KEY UPDATE", "UPDATE t SET v = v + 1 WHERE id = 2",
        "COMMIT",
    };
    size_t count = sizeof statements / sizeof *statements;
    expect(connection, "SET idle_in_transaction_session_timeout = 1", "");
    for (int turn = 0; turn < TURNS; turn++) {
        struct timespec rest = {.tv_nsec = turn % 4 * 400000};
        bool open = true;
        for (size_t i = 0; i < count && open; i++) {
            const char *result = run(connection, statements[i]);
            open = strncmp(result, "ERROR", 5) != 0;
            if (!open && strcmp(result, "ERROR 25P03") != 0)
                (void)run(connection, "ROLLBACK"); /* which may be too late in turn */
            if (turn % 4 > 0 && i % 3 == (size_t)turn % 3)
                nanosleep(&rest, NULL); /* so that some are too late; nothing depends on which */
        }
        (void)run(connection, "DROP TABLE mine");
    }
    omen_disconnect(connection);
    return NULL;
}

static void test_ended_while_others_run(void **state)
{
    struct fixture fixture = fixture_open_without_engine();
    pthread_t threads[CLIENTS];
    expect(fixture.connection, "CREATE TABLE t (id int PRIMARY KEY, v int)", "");
    expect(fixture.connection, "INSERT INTO t VALUES (1, 0), (2, 0)", "2 rows\n");
    for (int i = 0; i < CLIENTS; i++) {
        omen_connection *connection;
        assert_int_equal(omen_connect(fixture.database, &connection, NULL), OMEN_OK);
        assert_int_equal(pthread_create(&threads[i], NULL, take_turns, connection), 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    const char *first = run(fixture.connection, "SELECT v FROM t WHERE id = 1");
    char both[32];
    snprintf(both, sizeof both, "%s", first);
    expect(fixture.connection, "SELECT v FROM t WHERE id = 2", both);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_idle_timeout, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_statements_do_not_meet_it, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_who_waits_ends_it, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_its_snapshot_goes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_calls_between, make_folder, remove_folder),
        cmocka_unit_test(test_ended_while_others_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
