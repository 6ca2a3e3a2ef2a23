/* test_commits.c - statements while commits are in flight: what they see, what they build on, and what
 * they wait for. The log is the test's own and syncs when the test says so, so every order is the
 * test's. Meant for the thread sanitizer too.
 */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_private.h"
#include "fake_log.h"

enum { CLIENTS = 8, INCREMENTS = 300 };

struct client {
    omen_connection *connection;
    const char *sql; /* NULL: `call` */
    omen_status (*call)(omen_connection *connection, omen_error *error);
    char result[64];
    omen_error error;
    pthread_t thread;
};

struct scene {
    struct fixture fixture;
    struct fake_log log;
    omen_connection *reader;
    struct client clients[CLIENTS];
};

static void scene_open(struct scene *scene)
{
    *scene = (struct scene){.fixture = fixture_open_without_engine()};
    omen_connection *c = scene->fixture.connection;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, n int)", "");
    expect(c, "INSERT INTO t VALUES (1, 0), (2, 0)", "2 rows\n");
    assert_int_equal(omen_connect(scene->fixture.database, &scene->reader, NULL), OMEN_OK);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(
            omen_connect(scene->fixture.database, &scene->clients[i].connection, NULL), OMEN_OK);
    fake_log_open(&scene->log, ((struct session *)c)->database->manager);
    scene->log.held = true;
}

static void scene_close(struct scene *scene)
{
    for (int i = 0; i < CLIENTS; i++)
        omen_disconnect(scene->clients[i].connection);
    omen_disconnect(scene->reader);
    fake_log_close(&scene->log);
    fixture_close(&scene->fixture);
}

static void *client_main(void *argument)
{
    struct client *client = argument;
    if (client->sql != NULL)
        strncpy(client->result, run(client->connection, client->sql), sizeof client->result - 1);
    else if (client->call(client->connection, &client->error) != OMEN_OK)
        snprintf(client->result, sizeof client->result, "ERROR %s", client->error.sqlstate);
    return NULL;
}

/* Starts the statement and returns once it waits for the log. */
static void start(struct scene *scene, int number, const char *sql)
{
    scene->clients[number].sql = sql;
    assert_int_equal(pthread_create(&scene->clients[number].thread, NULL, client_main,
                                    &scene->clients[number]),
                     0);
    fake_log_await(&scene->log, (unsigned)number + 1);
}

static void finish(struct scene *scene, int number, const char *expected)
{
    pthread_join(scene->clients[number].thread, NULL);
    assert_string_equal(scene->clients[number].result, expected);
}

static void sync_all(struct scene *scene)
{
    fake_log_durable(&scene->log, scene->log.committed);
}

/* --- what is seen, what is built on --- */

static void test_nobody_sees_what_is_in_flight(void **state)
{
    struct scene scene;
    scene_open(&scene);
    start(&scene, 0, "INSERT INTO t VALUES (3, 0)");
    start(&scene, 1, "UPDATE t SET n = 5 WHERE id = 1");
    start(&scene, 2, "DELETE FROM t WHERE id = 2");
    expect(scene.reader, "SELECT n FROM t WHERE id = 3", "");
    expect(scene.reader, "SELECT n FROM t WHERE id = 1", "0\n");
    expect(scene.reader, "SELECT n FROM t WHERE id = 2", "0\n");
    sync_all(&scene);
    for (int i = 0; i < 3; i++)
        finish(&scene, i, "1 rows\n");
    expect(scene.reader, "SELECT n FROM t WHERE id = 3", "0\n");
    expect(scene.reader, "SELECT n FROM t WHERE id = 1", "5\n");
    expect(scene.reader, "SELECT n FROM t WHERE id = 2", "");
    scene_close(&scene);
}

static void test_updates_build_on_what_is_in_flight(void **state)
{
    struct scene scene;
    scene_open(&scene);
    for (int i = 0; i < 3; i++)
        start(&scene, i, "UPDATE t SET n = n + 1 WHERE id = 1");
    expect(scene.reader, "SELECT n FROM t WHERE id = 1", "0\n");
    fake_log_durable(&scene.log, scene.log.ends[1]);
    finish(&scene, 0, "1 rows\n");
    finish(&scene, 1, "1 rows\n");
    expect(scene.reader, "SELECT n FROM t WHERE id = 1", "2\n");
    sync_all(&scene);
    finish(&scene, 2, "1 rows\n");
    expect(scene.reader, "SELECT n FROM t WHERE id = 1", "3\n");
    scene_close(&scene);
}

/* A key whose row is being deleted is free: the insert lies behind the deletion in the log. */
static void test_a_key_freed_in_flight_can_be_used(void **state)
{
    struct scene scene;
    scene_open(&scene);
    start(&scene, 0, "DELETE FROM t WHERE id = 1");
    start(&scene, 1, "INSERT INTO t VALUES (1, 7)");
    start(&scene, 2, "UPDATE t SET id = 3 WHERE id = 2");
    start(&scene, 3, "INSERT INTO t VALUES (2, 8)");
    expect(scene.reader, "SELECT n FROM t WHERE id = 1", "0\n");
    fake_log_durable(&scene.log, scene.log.ends[0]);
    finish(&scene, 0, "1 rows\n");
    expect(scene.reader, "SELECT n FROM t WHERE id = 1", "");
    sync_all(&scene);
    for (int i = 1; i < 4; i++)
        finish(&scene, i, "1 rows\n");
    expect(scene.reader, "SELECT n FROM t WHERE id = 1", "7\n");
    expect(scene.reader, "SELECT n FROM t WHERE id = 2", "8\n");
    scene_close(&scene);
}

/* --- answers without a commit --- */

static omen_status update_missing(omen_connection *connection, omen_error *error)
{
    const char *column = "n";
    omen_value key = value_integer(2), value = value_integer(1);
    return omen_update(connection, "t", &key, 1, &column, &value, 1, error);
}

static omen_status delete_missing(omen_connection *connection, omen_error *error)
{
    omen_value key = value_integer(2);
    return omen_delete(connection, "t", &key, 1, error);
}

static omen_status insert_taken(omen_connection *connection, omen_error *error)
{
    omen_value row[] = {value_integer(3), value_integer(0)};
    return omen_insert(connection, "t", row, 1, error);
}

static const struct {
    const char *sql;
    omen_status (*call)(omen_connection *connection, omen_error *error);
    const char *answer;
} answers[] = {
    {"INSERT INTO t VALUES (3, 1)", NULL, "ERROR 23505"},
    {"UPDATE t SET id = 3 WHERE id = 1", NULL, "ERROR 23505"},
    {"UPDATE t SET n = 1 WHERE id = 2", NULL, ""},
    {"DELETE FROM t WHERE id = 2", NULL, ""},
    {"UPDATE t SET n = 1 / n WHERE id = 3", NULL, "ERROR 22012"},
    {NULL, update_missing, "ERROR 02000"},
    {NULL, delete_missing, "ERROR 02000"},
    {NULL, insert_taken, "ERROR 23505"},
};

/* Two commits in flight, and a statement whose answer rests on them. */
static void start_answer(struct scene *scene, size_t number)
{
    start(scene, 0, "INSERT INTO t VALUES (3, 0)");
    start(scene, 1, "DELETE FROM t WHERE id = 2");
    scene->clients[2].call = answers[number].call;
    start(scene, 2, answers[number].sql);
}

static void test_answers_wait_for_what_they_rest_on(void **state)
{
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct scene scene;
        scene_open(&scene);
        start_answer(&scene, i);
        assert_int_equal(scene.log.commits, 2); /* it has none of its own */
        sync_all(&scene);
        finish(&scene, 0, "1 rows\n");
        finish(&scene, 1, "1 rows\n");
        finish(&scene, 2, answers[i].answer);
        scene_close(&scene);
    }
}

static void test_answers_are_not_given_where_the_log_fails(void **state)
{
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct scene scene;
        scene_open(&scene);
        start_answer(&scene, i);
        fake_log_fail(&scene.log);
        finish(&scene, 0, "ERROR 08007");
        finish(&scene, 1, "ERROR 08007");
        finish(&scene, 2, "ERROR 58030");
        /* Writes are refused from now on; reads go on. */
        expect(scene.reader, "INSERT INTO t VALUES (9, 9)", "ERROR 58030");
        expect(scene.reader, "UPDATE t SET n = 9 WHERE id = 1", "ERROR 58030");
        expect(scene.reader, "DELETE FROM t WHERE id = 1", "ERROR 58030");
        expect(scene.reader, "SELECT n FROM t WHERE id = 1", "0\n");
        expect(scene.reader, "SELECT n FROM t WHERE id = 2", "0\n");
        expect(scene.reader, "SELECT n FROM t WHERE id = 3", "");
        scene_close(&scene);
    }
}

static void test_answers_do_not_wait_where_nothing_is_in_flight(void **state)
{
    struct scene scene;
    scene_open(&scene);
    expect(scene.reader, "INSERT INTO t VALUES (1, 1)", "ERROR 23505");
    expect(scene.reader, "UPDATE t SET n = 1 WHERE id = 77", "");
    assert_int_equal(scene.log.syncs, 0);
    scene_close(&scene);
}

/* --- the disk --- */

static void test_a_full_disk_is_over_when_there_is_room(void **state)
{
    struct scene scene;
    scene_open(&scene);
    scene.log.held = false;
    scene.log.full = true;
    expect(scene.reader, "INSERT INTO t VALUES (5, 5)", "ERROR 53100");
    expect(scene.reader, "UPDATE t SET n = 5 WHERE id = 1", "ERROR 53100");
    expect(scene.reader, "SELECT n FROM t WHERE id = 1", "0\n");
    scene.log.full = false;
    expect(scene.reader, "INSERT INTO t VALUES (5, 5)", "1 rows\n");
    expect(scene.reader, "UPDATE t SET n = 5 WHERE id = 1", "1 rows\n");
    expect(scene.reader, "SELECT n FROM t WHERE id = 5", "5\n");
    scene_close(&scene);
}

/* --- synchronous_commit --- */

static void test_synchronous_commit_off(void **state)
{
    struct scene scene;
    scene_open(&scene);
    omen_connection *relaxed = scene.fixture.connection;
    expect(relaxed, "SET synchronous_commit = off", "");
    expect(relaxed, "INSERT INTO t VALUES (3, 1)", "1 rows\n");
    expect(relaxed, "UPDATE t SET n = n + 1 WHERE id = 3", "1 rows\n");
    expect(scene.reader, "SELECT n FROM t WHERE id = 3", "2\n");
    assert_int_equal(scene.log.syncs, 0);
    /* Behind a commit that somebody waits for it is that one's turn first. */
    start(&scene, 0, "INSERT INTO t VALUES (4, 1)");
    omen_connection *own = scene.clients[1].connection;
    scene.clients[1].connection = relaxed;
    start(&scene, 1, "INSERT INTO t VALUES (5, 1)");
    expect(scene.reader, "SELECT n FROM t WHERE id = 4", "");
    expect(scene.reader, "SELECT n FROM t WHERE id = 5", "");
    sync_all(&scene);
    finish(&scene, 0, "1 rows\n");
    finish(&scene, 1, "1 rows\n");
    expect(scene.reader, "SELECT n FROM t WHERE id = 5", "1\n");
    scene.clients[1].connection = own;
    scene_close(&scene);
}

/* --- tables that go --- */

static void test_a_table_dropped_while_commits_are_in_flight(void **state)
{
    struct scene scene;
    scene_open(&scene);
    start(&scene, 0, "INSERT INTO t VALUES (3, 0)");
    start(&scene, 1, "UPDATE t SET n = 1 WHERE id = 1");
    start(&scene, 2, "DROP TABLE t");
    start(&scene, 3, "CREATE TABLE t (id int PRIMARY KEY)");
    start(&scene, 4, "CREATE TABLE u (id int PRIMARY KEY)");
    /* Until that is durable there is the old table alone. */
    expect(scene.reader, "SELECT n FROM t WHERE id = 1", "0\n");
    expect(scene.reader, "SHOW TABLES", "t\n");
    expect(scene.reader, "SELECT * FROM u WHERE id = 1", "ERROR 42P01");
    sync_all(&scene);
    finish(&scene, 0, "1 rows\n");
    finish(&scene, 1, "1 rows\n");
    for (int i = 2; i < 5; i++)
        finish(&scene, i, "");
    expect(scene.reader, "SHOW TABLES", "t\nu\n");
    expect(scene.reader, "SELECT id FROM t WHERE id = 3", "");
    scene_close(&scene);
}

/* --- locks that tell nothing of what was written elsewhere --- */

struct locker {
    omen_connection *connection;
    const char *lock;
    char seen[64];
    atomic_bool done;
};

/* Takes a lock, and then reads another row. */
static void *lock_and_read(void *argument)
{
    struct locker *locker = argument;
    expect(locker->connection, "BEGIN", "");
    (void)run(locker->connection, locker->lock);
    strncpy(locker->seen, run(locker->connection, "SELECT n FROM t WHERE id = 1"),
            sizeof locker->seen - 1);
    locker->done = true;
    return NULL;
}

/* Until somebody waits: for a lock, or for the log. */
static void await_waiting(struct scene *scene, const struct locker *locker, unsigned before)
{
    struct txn_manager *manager = ((struct session *)locker->connection)->database->manager;
    for (bool waits = false; !waits && !locker->done;) {
        struct lock_list list;
        assert_int_equal(
            lock_list_take(txn_locks(manager), ((struct session *)locker->connection)->database->allocator, &list),
            OMEN_OK);
        for (size_t i = 0; i < list.count; i++)
            waits = waits || !list.locks[i].granted;
        lock_list_release(&list);
        mutex_lock(&scene->log.lock);
        waits = waits || scene->log.joined > before;
        mutex_unlock(&scene->log.lock);
    }
}

/* Whoever has the lock next sees what its last holder did, elsewhere too. */
static void test_the_next_holder_of_a_lock_sees_all(void **state)
{
    static const char *const locks[] = {"LOCK TABLE u IN EXCLUSIVE MODE",
                                        "SELECT n FROM u WHERE id = 1 FOR UPDATE",
                                        "UPDATE u SET n = n WHERE id = 1"};
    for (size_t i = 0; i < 9; i++) {
        struct scene scene;
        pthread_t thread;
        scene_open(&scene);
        scene.log.held = false;
        expect(scene.reader, "CREATE TABLE u (id int PRIMARY KEY, n int)", "");
        expect(scene.reader, "INSERT INTO u VALUES (1, 0)", "1 rows\n");
        scene.log.held = true;
        struct locker locker = {.connection = scene.clients[1].connection, .lock = locks[i % 3]};
        omen_connection *first = scene.clients[0].connection;
        expect(first, "BEGIN", "");
        (void)run(first, locks[i / 3]);
        expect(first, "UPDATE t SET n = 7 WHERE id = 1", "1 rows\n");
        unsigned joined = scene.log.joined;
        scene.clients[0].sql = "COMMIT";
        assert_int_equal(
            pthread_create(&scene.clients[0].thread, NULL, client_main, &scene.clients[0]), 0);
        fake_log_await(&scene.log, joined + 1);
        assert_int_equal(pthread_create(&thread, NULL, lock_and_read, &locker), 0);
        await_waiting(&scene, &locker, joined + 1);
        sync_all(&scene);
        finish(&scene, 0, "");
        pthread_join(thread, NULL);
        assert_string_equal(locker.seen, "7\n");
        scene_close(&scene);
    }
}

/* --- many clients, maintenance beside them --- */

static void *increment_main(void *argument)
{
    struct client *client = argument;
    for (int i = 0; i < INCREMENTS; i++) {
        const char *result = run(client->connection, "UPDATE t SET n = n + 1 WHERE id = 1");
        if (strcmp(result, "1 rows\n") != 0) {
            strncpy(client->result, result, sizeof client->result - 1);
            break;
        }
    }
    return NULL;
}

struct maintenance {
    omen_database *database;
    atomic_bool stop;
};

static void *maintain_main(void *argument)
{
    struct maintenance *maintenance = argument;
    while (!maintenance->stop)
        (void)!omen_maintain(maintenance->database, 100000, NULL, NULL);
    return NULL;
}

static void test_no_update_is_lost(void **state)
{
    struct scene scene;
    pthread_t maintainer;
    scene_open(&scene);
    scene.log.held = false;
    struct maintenance maintenance = {.database = scene.fixture.database};
    assert_int_equal(pthread_create(&maintainer, NULL, maintain_main, &maintenance), 0);
    for (int i = 0; i < CLIENTS; i++) {
        if (i == 0)
            expect(scene.clients[i].connection, "SET synchronous_commit = off", "");
        assert_int_equal(pthread_create(&scene.clients[i].thread, NULL, increment_main,
                                        &scene.clients[i]),
                         0);
    }
    for (int i = 0; i < CLIENTS; i++)
        finish(&scene, i, "");
    maintenance.stop = true;
    pthread_join(maintainer, NULL);
    char expected[32];
    snprintf(expected, sizeof expected, "%d\n", CLIENTS * INCREMENTS);
    expect(scene.reader, "SELECT n FROM t WHERE id = 1", expected);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_sees_what_is_in_flight),
        cmocka_unit_test(test_updates_build_on_what_is_in_flight),
        cmocka_unit_test(test_a_key_freed_in_flight_can_be_used),
        cmocka_unit_test(test_answers_wait_for_what_they_rest_on),
        cmocka_unit_test(test_answers_are_not_given_where_the_log_fails),
        cmocka_unit_test(test_answers_do_not_wait_where_nothing_is_in_flight),
        cmocka_unit_test(test_a_full_disk_is_over_when_there_is_room),
        cmocka_unit_test(test_synchronous_commit_off),
        cmocka_unit_test(test_a_table_dropped_while_commits_are_in_flight),
        cmocka_unit_test(test_the_next_holder_of_a_lock_sees_all),
        cmocka_unit_test(test_no_update_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
