/* test_engine_commits.c - UPDATE and DELETE by the engine while commits are in flight: what they
 * conflict with is published before they run again (R7.3). The log is the test's own and syncs when the
 * test says so. The engine is the library that OMENDB_ENGINE names; exit status 77 where there is none.
 */
#include "engine_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_private.h"
#include "fake_log.h"

static const char *engine_path;

struct client {
    omen_connection *connection;
    const char *sql;
    char result[64];
    pthread_t thread;
};

struct scene {
    struct fixture fixture;
    struct fake_log log;
    struct client clients[4];
    unsigned syncs;
};

static void scene_open(struct scene *scene)
{
    *scene = (struct scene){.fixture = open_with(engine_path)};
    omen_connection *c = scene->fixture.connection;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, n int)", "");
    expect(c, "INSERT INTO t VALUES (1, 0), (2, 0)", "2 rows\n");
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            omen_connect(scene->fixture.database, &scene->clients[i].connection, NULL), OMEN_OK);
    fake_log_open(&scene->log, ((struct session *)c)->database->manager);
    scene->log.held = true;
}

static void scene_close(struct scene *scene)
{
    for (int i = 0; i < 4; i++)
        omen_disconnect(scene->clients[i].connection);
    fake_log_close(&scene->log);
    fixture_close(&scene->fixture);
}

static void *client_main(void *argument)
{
    struct client *client = argument;
    strncpy(client->result, run(client->connection, client->sql), sizeof client->result - 1);
    return NULL;
}

/* Returns once one more sync than before has been asked for. */
static void await_sync(struct scene *scene)
{
    fake_log_await(&scene->log, ++scene->syncs);
}

static void begin(struct scene *scene, int number, const char *sql)
{
    scene->clients[number].sql = sql;
    assert_int_equal(pthread_create(&scene->clients[number].thread, NULL, client_main,
                                    &scene->clients[number]),
                     0);
}

static void start(struct scene *scene, int number, const char *sql)
{
    begin(scene, number, sql);
    await_sync(scene);
}

static void finish(struct scene *scene, int number, const char *expected)
{
    pthread_join(scene->clients[number].thread, NULL);
    assert_string_equal(scene->clients[number].result, expected);
}

static const char by_key[] = "UPDATE t SET n = n + 1 WHERE id = 1";

static void test_r7_3_the_next_run_sees_what_it_conflicted_with(void **state)
{
    struct scene scene;
    scene_open(&scene);
    start(&scene, 0, by_key);
    start(&scene, 1, "UPDATE t SET n = n + 10 WHERE n >= 0");
    assert_int_equal(scene.log.commits, 1); /* it waits without a commit of its own */
    fake_log_durable(&scene.log, scene.log.ends[0]);
    finish(&scene, 0, "1 rows\n");
    await_sync(&scene);
    assert_int_equal(scene.log.commits, 2);
    fake_log_durable(&scene.log, scene.log.ends[1]);
    finish(&scene, 1, "2 rows\n");
    expect(scene.fixture.connection, "SELECT n FROM t WHERE id = 1", "11\n");
    expect(scene.fixture.connection, "SELECT n FROM t WHERE id = 2", "10\n");
    scene_close(&scene);
}

/* After a conflict what was chosen is locked: nobody comes between again and again. */
static void test_r7_3_what_was_chosen_is_locked(void **state)
{
    struct scene scene;
    scene_open(&scene);
    start(&scene, 0, by_key);
    start(&scene, 1, "DELETE FROM t WHERE n >= 0");
    start(&scene, 2, by_key);
    fake_log_durable(&scene.log, scene.log.ends[0]);
    await_sync(&scene); /* the second run has met the second update */
    begin(&scene, 3, by_key); /* waits for the lock */
    fake_log_durable(&scene.log, scene.log.ends[1]);
    await_sync(&scene);
    assert_int_equal(scene.log.commits, 3);
    fake_log_durable(&scene.log, scene.log.ends[2]);
    finish(&scene, 0, "1 rows\n");
    finish(&scene, 1, "2 rows\n");
    finish(&scene, 2, "1 rows\n");
    finish(&scene, 3, "");
    expect(scene.fixture.connection, "SELECT count(*) FROM t", "0\n");
    scene_close(&scene);
}

static void test_a_conflict_with_what_the_log_lost(void **state)
{
    struct scene scene;
    scene_open(&scene);
    start(&scene, 0, by_key);
    start(&scene, 1, "UPDATE t SET n = n + 10 WHERE n >= 0");
    fake_log_fail(&scene.log);
    finish(&scene, 0, "ERROR 08007");
    finish(&scene, 1, "ERROR 58030");
    expect(scene.fixture.connection, "SELECT sum(n) FROM t", "0\n");
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r7_3_the_next_run_sees_what_it_conflicted_with),
        cmocka_unit_test(test_r7_3_what_was_chosen_is_locked),
        cmocka_unit_test(test_a_conflict_with_what_the_log_lost),
    };
    engine_path = getenv("OMENDB_ENGINE");
    if (engine_path == NULL || engine_path[0] == '\0')
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
