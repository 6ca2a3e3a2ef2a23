/* test_background.c - many clients of a database in a directory, while its background thread freezes,
 * compacts, lets columns go and makes one checkpoint after another; and who closes it beside streams.
 * Meant for the thread sanitizer too.
 */
#define _GNU_SOURCE
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_private.h"
#include "store/verify.h"

enum { WRITERS = 4, ROWS = 50, ROUNDS = 15 };

static char folder[64], path[96];
static omen_database *database;
static atomic_bool stopping;

static void open_database(void)
{
    omen_options options;
    omen_error error = {.message = ""};
    omen_options_init(&options);
    options.log_file_bytes = 64 * 1024;
    options.checkpoint_bytes = 8 * 1024;
    if (omen_open(path, &options, &database, &error) != OMEN_OK)
        print_error("%s\n", error.message);
    assert_non_null(database);
}

static omen_connection *connect(void)
{
    omen_connection *connection;
    assert_int_equal(omen_connect(database, &connection, NULL), OMEN_OK);
    return connection;
}

/* Keeps rows of its own, each with the round it was last written in; every third goes and comes. */
static void *write_rows(void *argument)
{
    int first = (int)(intptr_t)argument * ROWS;
    omen_connection *connection = connect();
    char sql[128];
    for (int round = 1; round <= ROUNDS; round++)
        for (int id = first; id < first + ROWS; id++) {
            if (round > 1 && id % 3 == 0) {
                snprintf(sql, sizeof sql, "DELETE FROM t WHERE id = %d", id);
                assert_string_equal(run(connection, sql), "1 rows\n");
            }
            if (round > 1 && id % 3 != 0)
                snprintf(sql, sizeof sql, "UPDATE t SET v = %d WHERE id = %d", round, id);
            else
                snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, %d, 'text of row %d')", id,
                         round, id);
            assert_string_equal(run(connection, sql), "1 rows\n");
        }
    omen_disconnect(connection);
    return NULL;
}

static uint64_t scan(omen_connection *connection, const char *table)
{
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    uint64_t rows = 0;
    assert_int_equal(omen_scan(connection, table, NULL, &stream, NULL), OMEN_OK);
    while (assert_int_equal(stream.get_next(&stream, &array), 0), array.release != NULL) {
        rows += (uint64_t)array.length;
        array.release(&array);
    }
    stream.release(&stream);
    return rows;
}

static void *read_all(void *argument)
{
    omen_connection *connection = connect();
    while (!stopping) {
        assert_in_range(scan(connection, "t"), 0, WRITERS * ROWS);
        assert_int_equal(scan(connection, "omen_storage"), 1);
    }
    omen_disconnect(connection);
    return NULL;
}

static void *define_tables(void *argument)
{
    omen_connection *connection = connect();
    while (!stopping) {
        expect(connection, "CREATE TABLE u (id int PRIMARY KEY)", "");
        expect(connection, "INSERT INTO u VALUES (1), (2)", "2 rows\n");
        expect(connection, "CHECKPOINT", "");
        expect(connection, "DROP TABLE u", "");
    }
    omen_disconnect(connection);
    return NULL;
}

static void check_rows(omen_connection *connection)
{
    char sql[64], expected[64];
    for (int id = 0; id < WRITERS * ROWS; id++) {
        snprintf(sql, sizeof sql, "SELECT v, s FROM t WHERE id = %d", id);
        snprintf(expected, sizeof expected, "%d|text of row %d\n", ROUNDS, id);
        expect(connection, sql, expected);
    }
    assert_int_equal(scan(connection, "t"), WRITERS * ROWS);
}

/* --- closing beside streams --- */

struct draining {
    struct ArrowArrayStream stream;
    uint64_t rows;
    int failures;
};

static void *drain(void *argument)
{
    struct draining *draining = argument;
    struct ArrowArray array;
    while (draining->stream.get_next(&draining->stream, &array) == 0 && array.release != NULL) {
        draining->rows += (uint64_t)array.length;
        array.release(&array);
    }
    draining->stream.release(&draining->stream);
    return NULL;
}

/* Closes the database while streams of it are read and released elsewhere (R5.5). */
static void close_beside_streams(omen_connection *connection)
{
    enum { STREAMS = 3 };
    static struct draining drainings[STREAMS];
    pthread_t threads[STREAMS];
    memset(drainings, 0, sizeof drainings);
    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(omen_scan(connection, "t", NULL, &drainings[i].stream, NULL), OMEN_OK);
    omen_disconnect(connection);
    for (int i = 0; i < STREAMS; i++)
        pthread_create(&threads[i], NULL, drain, &drainings[i]);
    assert_int_equal(omen_close(database, NULL), OMEN_OK);
    for (int i = 0; i < STREAMS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(drainings[i].rows, WRITERS * ROWS);
    }
}

static void print_line(void *context, const char *line)
{
    print_message("%s\n", line);
}

static void test_clients_beside_checkpoints(void **state)
{
    pthread_t threads[WRITERS + 2];
    snprintf(folder, sizeof folder, "/tmp/omendb-background-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/db", folder);
    open_database();
    omen_connection *connection = connect();
    expect(connection, "CREATE TABLE t (id int PRIMARY KEY, v int, s text)", "");
    expect(connection, "SET shared_buffers = '1B'", ""); /* columns come and go all the time */
    for (int i = 0; i < WRITERS; i++)
        pthread_create(&threads[i], NULL, write_rows, (void *)(intptr_t)i);
    pthread_create(&threads[WRITERS], NULL, read_all, NULL);
    pthread_create(&threads[WRITERS + 1], NULL, define_tables, NULL);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    stopping = true;
    pthread_join(threads[WRITERS], NULL);
    pthread_join(threads[WRITERS + 1], NULL);
    check_rows(connection);
    close_beside_streams(connection);
    uint64_t faults = 1;
    assert_int_equal(omen_verify(path, NULL, print_line, NULL, &faults, NULL), OMEN_OK);
    assert_int_equal(faults, 0);
    open_database();
    connection = connect();
    check_rows(connection);
    close_beside_streams(connection); /* whose columns have not all been loaded */
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clients_beside_checkpoints)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
