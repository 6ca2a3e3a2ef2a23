/* test_threads.c - several connections reading beside one that writes, DDL under prepared
 * statements, and writers of the same rows. Meant for the thread sanitizer too. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READERS = 3, ROUNDS = 2000 };

struct shared {
    omen_database *database;
    atomic_int written; /* rows 0 .. written - 1 are committed */
    atomic_bool done;
};

/* Every committed row must be found, by both routes there are without an engine. */
static void *read_rows(void *argument)
{
    struct shared *shared = argument;
    omen_connection *connection;
    omen_statement *statement;
    uint64_t seed = (uintptr_t)&connection;
    if (omen_connect(shared->database, &connection, NULL) != OMEN_OK ||
        omen_prepare(connection, "SELECT v FROM t WHERE id = $1", SIZE_MAX, &statement, NULL) !=
            OMEN_OK)
        return (char *)(uintptr_t)"cannot connect";
    const char *failure = NULL;
    while (failure == NULL && !atomic_load(&shared->done)) {
        int written = atomic_load(&shared->written);
        if (written == 0)
            continue;
        seed = seed * 6364136223846793005u + 1;
        int64_t id = (int64_t)((seed >> 33) % (uint64_t)written);
        omen_value key = value_bigint(id);
        if (omen_execute(statement, &key, 1, NULL) != OMEN_OK ||
            omen_step(statement, NULL) != OMEN_OK ||
            omen_statement_value(statement, 0).as.i64 < id)
            failure = "a committed row was not found";
    }
    omen_statement_release(statement);
    omen_disconnect(connection);
    return (void *)failure;
}

/* A scan sees one moment: as many rows as its first batch's snapshot promised, all distinct. */
static void *scan_rows(void *argument)
{
    struct shared *shared = argument;
    omen_connection *connection;
    if (omen_connect(shared->database, &connection, NULL) != OMEN_OK)
        return (char *)(uintptr_t)"cannot connect";
    const char *failure = NULL;
    while (failure == NULL && !atomic_load(&shared->done)) {
        struct ArrowArrayStream stream;
        struct ArrowArray batch;
        int before = atomic_load(&shared->written);
        if (omen_scan(connection, "t", NULL, &stream, NULL) != OMEN_OK)
            return (char *)(uintptr_t)"cannot scan";
        int64_t rows = 0, sum = 0;
        while (stream.get_next(&stream, &batch) == 0 && batch.release != NULL) {
            for (int64_t i = 0; i < batch.length; i++)
                sum += ((const int64_t *)batch.children[0]->buffers[1])[i];
            rows += batch.length;
            batch.release(&batch);
        }
        stream.release(&stream);
        if (rows < before || sum != rows * (rows - 1) / 2)
            failure = "a scan saw half a change";
    }
    omen_disconnect(connection);
    return (void *)failure;
}

static void test_readers_beside_a_writer(void **state)
{
    struct fixture fixture = fixture_open();
    struct shared shared = {.database = fixture.database};
    pthread_t threads[READERS + 1];
    expect(fixture.connection, "CREATE TABLE t (id bigint PRIMARY KEY, v bigint)", "");
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_rows, &shared), 0);
    assert_int_equal(pthread_create(&threads[READERS], NULL, scan_rows, &shared), 0);
    omen_statement *insert;
    assert_int_equal(omen_prepare(fixture.connection, "INSERT INTO t VALUES ($1, $2)", SIZE_MAX,
                                  &insert, NULL), OMEN_OK);
    const char *column = "v";
    for (int i = 0; i < ROUNDS; i++) {
        omen_value row[] = {value_bigint(i), value_bigint(i)};
        assert_int_equal(omen_execute(insert, row, 2, NULL), OMEN_OK);
        atomic_store(&shared.written, i + 1);
        omen_value key = value_bigint(i / 2), value = value_bigint(i);
        assert_int_equal(omen_update(fixture.connection, "t", &key, 1, &column, &value, 1, NULL),
                         OMEN_OK);
        if (i % 100 == 0)
            assert_int_equal(omen_maintain(fixture.database, 0, NULL, NULL), OMEN_OK);
    }
    atomic_store(&shared.done, true);
    for (int i = 0; i <= READERS; i++) {
        void *failure;
        pthread_join(threads[i], &failure);
        if (failure != NULL)
            fail_msg("%s", (const char *)failure);
    }
    omen_statement_release(insert);
    fixture_close(&fixture);
}

/* Tables come and go under prepared statements of another thread: the row or 42P01. */
static void *query_changing_table(void *argument)
{
    struct shared *shared = argument;
    omen_connection *connection;
    if (omen_connect(shared->database, &connection, NULL) != OMEN_OK)
        return (char *)(uintptr_t)"cannot connect";
    const char *failure = NULL;
    omen_statement *statement = NULL;
    while (failure == NULL && !atomic_load(&shared->done)) {
        omen_error error;
        if (statement == NULL && omen_prepare(connection, "SELECT v FROM x WHERE id = 1", SIZE_MAX,
                                              &statement, &error) != OMEN_OK) {
            failure = error.status == OMEN_UNDEFINED_TABLE ? NULL : "another error in prepare";
            continue;
        }
        omen_status status = omen_execute(statement, NULL, 0, &error);
        if (status == OMEN_OK)
            status = omen_step(statement, &error);
        if (status != OMEN_OK && status != OMEN_END_OF_DATA && status != OMEN_UNDEFINED_TABLE)
            failure = "another error";
    }
    omen_statement_release(statement);
    omen_disconnect(connection);
    return (void *)failure;
}

static void test_ddl_under_statements(void **state)
{
    struct fixture fixture = fixture_open();
    struct shared shared = {.database = fixture.database};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, query_changing_table, &shared), 0);
    for (int i = 0; i < 300; i++) {
        expect(fixture.connection, "CREATE TABLE x (id int PRIMARY KEY, v text)", "");
        expect(fixture.connection, "INSERT INTO x VALUES (1, 'v')", "1 rows\n");
        expect(fixture.connection, "DROP TABLE x", "");
    }
    atomic_store(&shared.done, true);
    for (int i = 0; i < 2; i++) {
        void *failure;
        pthread_join(threads[i], &failure);
        if (failure != NULL)
            fail_msg("%s", (const char *)failure);
    }
    fixture_close(&fixture);
}

/* Streams of one thread are released by another, after everything is closed. */
static void *release_stream(void *argument)
{
    struct ArrowArrayStream *stream = argument;
    struct ArrowArray batch;
    while (stream->get_next(stream, &batch) == 0 && batch.release != NULL)
        batch.release(&batch);
    stream->release(stream);
    return NULL;
}

static void test_release_elsewhere(void **state)
{
    for (int round = 0; round < 20; round++) {
        struct fixture fixture = fixture_open();
        struct ArrowArrayStream streams[2];
        pthread_t thread;
        expect(fixture.connection, "CREATE TABLE t (id int PRIMARY KEY, v text)", "");
        expect(fixture.connection, "INSERT INTO t VALUES (1, 'a')", "1 rows\n");
        assert_int_equal(omen_scan(fixture.connection, "t", NULL, &streams[0], NULL), OMEN_OK);
        assert_int_equal(omen_query(fixture.connection, "SELECT * FROM t WHERE id = 1", SIZE_MAX,
                                    &streams[1], NULL, NULL), OMEN_OK);
        assert_int_equal(pthread_create(&thread, NULL, release_stream, &streams[0]), 0);
        fixture_close(&fixture);
        release_stream(&streams[1]);
        pthread_join(thread, NULL);
    }
}

/* Counts up rows by key, and moves them to the key of the other sign and back. */
static void *count_up(void *argument)
{
    struct shared *shared = argument;
    omen_connection *connection;
    omen_statement *add = NULL, *move = NULL;
    const char *failure = "cannot connect";
    if (omen_connect(shared->database, &connection, NULL) != OMEN_OK)
        return (void *)failure;
    if (omen_prepare(connection, "UPDATE t SET v = v + 1 WHERE id = $1", SIZE_MAX, &add, NULL) ==
            OMEN_OK &&
        omen_prepare(connection, "UPDATE t SET id = -id, v = v + 1 WHERE id = $1", SIZE_MAX, &move,
                     NULL) == OMEN_OK)
        failure = NULL;
    for (int i = 0; failure == NULL && i < ROUNDS; i++) {
        int64_t id = i % 4 - 2;
        omen_value key = value_bigint(id < 0 ? id : id + 1);
        omen_statement *statement = i % 3 == 0 ? move : add;
        if (omen_execute(statement, &key, 1, NULL) != OMEN_OK)
            failure = "an update failed";
        else
            atomic_fetch_add(&shared->written, (int)omen_statement_rows_affected(statement));
    }
    omen_statement_release(add);
    omen_statement_release(move);
    omen_disconnect(connection);
    return (void *)failure;
}

/* What all say they have counted is there, with as many rows as before. */
static void test_no_update_is_lost(void **state)
{
    struct fixture fixture = fixture_open();
    struct shared shared = {.database = fixture.database};
    omen_connection *c = fixture.connection;
    pthread_t threads[READERS];
    char sql[64];
    int64_t total = 0;
    int rows = 0;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, v bigint)", "");
    expect(c, "INSERT INTO t VALUES (1, 0), (2, 0)", "2 rows\n");
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, &shared), 0);
    for (int i = 0; i < READERS; i++) {
        void *failure;
        pthread_join(threads[i], &failure);
        assert_null(failure);
    }
    for (int id = -2; id <= 2; id++) {
        snprintf(sql, sizeof sql, "SELECT v FROM t WHERE id = %d", id);
        const char *text = run(c, sql);
        rows += text[0] != '\0';
        total += strtoll(text, NULL, 10);
    }
    assert_int_equal(rows, 2);
    assert_int_equal(total, atomic_load(&shared.written));
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_beside_a_writer),
        cmocka_unit_test(test_ddl_under_statements),
        cmocka_unit_test(test_release_elsewhere),
        cmocka_unit_test(test_no_update_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
