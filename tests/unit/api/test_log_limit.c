/* test_log_limit.c - writers that outrun checkpoints: the log stays bounded, whatever becomes of
 * them.
 *
 * Checkpoints are held up, or made to fail, where they create a data file.
 */
#define _GNU_SOURCE
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/api_private.h"
#include "os/os.h"
#include "os/thread.h"
#include "store/storage_private.h"

enum {
    TEXT_BYTES = 32 * 1024,
    CHECKPOINT_BYTES = 1 << 20,
    HELD_BYTES = LOG_HELD * CHECKPOINT_BYTES,
    SLACK_BYTES = 2 * TEXT_BYTES, /* a commit beyond the limit, by each who was let in */
    WRITERS = 4,
    COMMITS = 120,
};

static struct mutex gate;
static atomic_bool failing;
static struct os os;
static char folder[64], path[96];
static omen_database *database;
static char text[TEXT_BYTES + 1];

static omen_status create(const struct os *self, const char *name, enum os_open how, int64_t *file,
                          omen_error *error)
{
    if (how == OS_OPEN_CREATE_NEW && strstr(name, "/data/") != NULL) {
        if (failing)
            return error_set(error, OMEN_IO_ERROR, "no file today");
        mutex_lock(&gate);
        mutex_unlock(&gate);
    }
    return os_real.file_open(&os_real, name, how, file, error);
}

static atomic_uint_fast64_t bytes_to_live; /* of this process; 0: it is not to end */

/* The process ends in the middle of a large commit. */
static omen_status write_and_die(const struct os *self, int64_t file, const void *buffer,
                                 size_t length, uint64_t offset, omen_error *error)
{
    omen_status status = os_real.file_write_at(&os_real, file, buffer, length, offset, error);
    uint64_t left = bytes_to_live;
    if (left > 0 && left <= length)
        _exit(0);
    if (left > 0)
        bytes_to_live = left - length; /* one thread writes then */
    return status;
}

static omen_connection *connect(void)
{
    omen_connection *connection;
    assert_int_equal(omen_connect(database, &connection, NULL), OMEN_OK);
    return connection;
}

static void open_database(void)
{
    omen_options options;
    omen_options_init(&options);
    options.log_file_bytes = 256 * 1024;
    options.checkpoint_bytes = CHECKPOINT_BYTES;
    options.engine_path = "/nowhere";
    os = os_real;
    os.file_open = create;
    os.file_write_at = write_and_die;
    assert_int_equal(api_open(&os, path, &options, &database, NULL), OMEN_OK);
}

static int begin(void **state)
{
    failing = false;
    bytes_to_live = 0;
    mutex_init(&gate);
    memset(text, 'x', TEXT_BYTES);
    snprintf(folder, sizeof folder, "/tmp/omendb-log-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/db", folder);
    open_database();
    omen_connection *connection = connect();
    expect(connection, "CREATE TABLE t (id int PRIMARY KEY, s text)", "");
    omen_disconnect(connection);
    return 0;
}

static int end(void **state)
{
    char command[128];
    assert_int_equal(omen_close(database, NULL), OMEN_OK);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    mutex_destroy(&gate);
    return 0;
}

static const char *insert(omen_connection *connection, int id)
{
    static _Thread_local char sql[TEXT_BYTES + 100];
    snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, '%s')", id, text);
    return run(connection, sql);
}

static uint64_t log_bytes(void)
{
    struct storage *storage = ((struct database *)database)->storage;
    return wal_bytes_since(storage->wal, storage->log_start);
}

/* Nobody makes room: commits go on up to the limit, and then wait; readers do not. */
static void test_commits_wait_for_the_checkpoint(void **state)
{
    omen_connection *connection = connect();
    int id = 0;
    mutex_lock(&gate);
    expect(connection, "SET statement_timeout = '300ms'", "");
    const char *outcome;
    while (strcmp(outcome = insert(connection, id), "1 rows\n") == 0) {
        assert_true(log_bytes() <= HELD_BYTES + SLACK_BYTES);
        id++;
    }
    assert_string_equal(outcome, "ERROR 57014");
    assert_in_range(log_bytes(), HELD_BYTES, HELD_BYTES + SLACK_BYTES);
    expect(connection, "SELECT id FROM t WHERE id = 5", "5\n");
    mutex_unlock(&gate);
    expect(connection, "SET statement_timeout = 0", "");
    assert_string_equal(insert(connection, id), "1 rows\n");
    assert_true(log_bytes() < HELD_BYTES);
    omen_disconnect(connection);
}

static void *write_rows(void *argument)
{
    omen_connection *connection = connect();
    int first = (int)(intptr_t)argument * COMMITS;
    for (int id = first; id < first + COMMITS; id++) {
        assert_string_equal(insert(connection, id), "1 rows\n");
        assert_true(log_bytes() <= HELD_BYTES + WRITERS * SLACK_BYTES);
    }
    omen_disconnect(connection);
    return NULL;
}

static void test_many_writers(void **state)
{
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        pthread_create(&threads[i], NULL, write_rows, (void *)(intptr_t)i);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(((struct database *)database)->storage->checkpoints >= 2);
}

/* No checkpoint can be made: writes are refused with the reason once the log is full, and accepted
 * again once one could. */
static void test_writes_are_refused_where_checkpoints_fail(void **state)
{
    omen_connection *connection = connect();
    int id = 0;
    failing = true;
    const char *outcome;
    while (strcmp(outcome = insert(connection, id), "1 rows\n") == 0) {
        assert_true(log_bytes() <= HELD_BYTES + SLACK_BYTES);
        id++;
    }
    assert_string_equal(outcome, "ERROR 58030");
    expect(connection, "SELECT id FROM t WHERE id = 5", "5\n");
    failing = false;
    while (strcmp(insert(connection, id), "1 rows\n") != 0)
        continue; /* it is tried again every second */
    assert_true(log_bytes() < HELD_BYTES);
    omen_disconnect(connection);
}

/* One commit is longer than the log may be, and is cut off: what lies there needs no checkpoint,
 * and holds nobody up. */
static void test_a_large_commit_that_was_cut_off(void **state)
{
    enum { ROWS = 2 * HELD_BYTES / TEXT_BYTES };
    assert_int_equal(omen_close(database, NULL), OMEN_OK);
    pid_t child = fork();
    if (child == 0) {
        static omen_value values[2 * ROWS];
        open_database();
        omen_connection *writer = connect();
        for (int i = 0; i < ROWS; i++) {
            values[2 * i] = value_integer(i);
            values[2 * i + 1] = value_text(text);
        }
        bytes_to_live = HELD_BYTES + (1 << 20);
        _exit(omen_insert(writer, "t", values, ROWS, NULL) == OMEN_OK ? 1 : 2);
    }
    int outcome = -1;
    assert_int_equal(waitpid(child, &outcome, 0), child);
    assert_int_equal(outcome, 0);
    open_database();
    omen_connection *connection = connect();
    expect(connection, "SET statement_timeout = '20s'", "");
    assert_string_equal(insert(connection, 1), "1 rows\n");
    omen_disconnect(connection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commits_wait_for_the_checkpoint, begin, end),
        cmocka_unit_test_setup_teardown(test_many_writers, begin, end),
        cmocka_unit_test_setup_teardown(test_a_large_commit_that_was_cut_off, begin, end),
        cmocka_unit_test_setup_teardown(test_writes_are_refused_where_checkpoints_fail, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
