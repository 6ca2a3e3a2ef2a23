/* test_durable.c - databases in a directory: what was acknowledged is there after a close and after
 * a kill; what cannot be opened says why, and stays as it was.
 *
 * Rows are read by key and by scan, so no engine is needed.
 */
#define _GNU_SOURCE
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- opening --- */

static omen_status try_open(struct fixture *fixture, omen_error *error)
{
    omen_options options;
    omen_options_init(&options);
    options.log_file_bytes = 1 << 20;
    *fixture = (struct fixture){0};
    omen_status status = omen_open(test_path, &options, &fixture->database, error);
    if (status == OMEN_OK)
        status = omen_connect(fixture->database, &fixture->connection, error);
    return status;
}

static struct fixture open_directory(void)
{
    struct fixture fixture;
    omen_error error = {.message = ""};
    omen_status status = try_open(&fixture, &error);
    if (status != OMEN_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, OMEN_OK);
    return fixture;
}

static void do_all(omen_connection *connection, const char *const *statements)
{
    for (; *statements != NULL; statements++) {
        const char *result = run(connection, *statements);
        if (strncmp(result, "ERROR", 5) == 0)
            print_error("%s: %s\n", *statements, last_error()->message);
        assert_int_not_equal(strncmp(result, "ERROR", 5), 0);
    }
}

/* Runs statements in another process, which then kills itself: nothing is closed. */
static void do_and_die(const char *const *statements)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct fixture fixture = open_directory();
        do_all(fixture.connection, statements);
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void do_and_close(const char *const *statements)
{
    struct fixture fixture = open_directory();
    do_all(fixture.connection, statements);
    fixture_close(&fixture);
}

/* --- reading --- */

static uint64_t rows_of(struct fixture *fixture, const char *table)
{
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    uint64_t rows = 0;
    assert_int_equal(omen_scan(fixture->connection, table, NULL, &stream, NULL), OMEN_OK);
    for (;;) {
        assert_int_equal(stream.get_next(&stream, &array), 0);
        if (array.release == NULL)
            break;
        rows += (uint64_t)array.length;
        array.release(&array);
    }
    stream.release(&stream);
    return rows;
}

static const char *const changes[] = {
    "CREATE TABLE t (id int PRIMARY KEY, name text DEFAULT 'none', price numeric(10,2), at "
    "timestamp)",
    "INSERT INTO t VALUES (1, 'one', 1.25, '2026-01-01 00:00:00'), (2, NULL, NULL, NULL)",
    "INSERT INTO t (id) VALUES (3)",
    "UPDATE t SET price = 2.5, name = 'two' WHERE id = 2",
    "UPDATE t SET id = 30 WHERE id = 3",
    "INSERT INTO t VALUES (4, 'four', -4, NULL)",
    "DELETE FROM t WHERE id = 1",
    "DELETE FROM t WHERE id = 4",
    "INSERT INTO t VALUES (4, 'again', 0, NULL)",
    "CREATE TABLE log (line text, weight double precision)",
    "INSERT INTO log VALUES ('a', 1), ('b', NULL), (NULL, 'NaN')",
    "CREATE TABLE gone (id uuid PRIMARY KEY)",
    "INSERT INTO gone VALUES ('00000000-0000-0000-0000-000000000001')",
    "DROP TABLE gone",
    "CREATE TABLE \"Two Keys\" (a text, b bigint, c bytea, PRIMARY KEY (b, a))",
    "INSERT INTO \"Two Keys\" VALUES ('x', 1, '\\x00ff'), ('', -1, '')",
    NULL,
};

static void expect_changes(struct fixture *fixture)
{
    omen_connection *c = fixture->connection;
    expect(c, "SELECT * FROM t WHERE id = 1", "");
    expect(c, "SELECT * FROM t WHERE id = 2", "2|two|2.50|null\n");
    expect(c, "SELECT * FROM t WHERE id = 3", "");
    expect(c, "SELECT * FROM t WHERE id = 30", "30|none|null|null\n");
    expect(c, "SELECT * FROM t WHERE id = 4", "4|again|0.00|null\n");
    assert_int_equal(rows_of(fixture, "t"), 3);
    assert_int_equal(rows_of(fixture, "log"), 3);
    expect(c, "SELECT * FROM \"Two Keys\" WHERE a = 'x' AND b = 1", "x|1|\\x00ff\n");
    expect(c, "SELECT c FROM \"Two Keys\" WHERE a = '' AND b = -1", "\\x\n");
    expect(c, "SELECT * FROM gone WHERE id = '00000000-0000-0000-0000-000000000001'",
           "ERROR 42P01");
    expect(c, "SHOW TABLES", "Two Keys\nlog\nt\n");
    expect(c, "DESCRIBE t",
           "id|integer|NO|PRI|null\nname|text|YES|null|'none'\nprice|numeric(10,2)|YES|null|null\n"
           "at|timestamp|YES|null|null\n");
}

static void test_all_is_there_after_a_close(void **state)
{
    do_and_close(changes);
    for (int i = 0; i < 3; i++) {
        struct fixture fixture = open_directory();
        expect_changes(&fixture);
        fixture_close(&fixture);
    }
}

static void test_all_is_there_after_a_kill(void **state)
{
    do_and_die(changes);
    static const char *const none[] = {NULL};
    for (int i = 0; i < 3; i++) {
        struct fixture fixture = open_directory();
        expect_changes(&fixture);
        fixture_close(&fixture);
        do_and_die(none);
    }
}

/* What is replayed can be changed, and those changes replayed, over and over. */
static void test_changes_on_top_of_changes(void **state)
{
    static const char *const first[] = {"CREATE TABLE n (id int PRIMARY KEY, v bigint)",
                                        "INSERT INTO n VALUES (1, 0), (2, 0), (3, 0)", NULL};
    static const char *const more[] = {
        "UPDATE n SET v = v + 1 WHERE id = 1", "UPDATE n SET v = v + 1 WHERE id = 1",
        "DELETE FROM n WHERE id = 2",          "INSERT INTO n VALUES (2, 7)",
        "UPDATE n SET v = v * 2 WHERE id = 2", NULL};
    char expected[32];
    do_and_die(first);
    for (int round = 1; round <= 6; round++) {
        (round % 2 == 0 ? do_and_die : do_and_close)(more);
        struct fixture fixture = open_directory();
        snprintf(expected, sizeof expected, "%d\n", 2 * round);
        expect(fixture.connection, "SELECT v FROM n WHERE id = 1", expected);
        expect(fixture.connection, "SELECT v FROM n WHERE id = 2", "14\n");
        expect(fixture.connection, "SELECT v FROM n WHERE id = 3", "0\n");
        expect(fixture.connection, "INSERT INTO n VALUES (2, 7)", "ERROR 23505");
        assert_int_equal(rows_of(&fixture, "n"), 3);
        fixture_close(&fixture);
    }
}

/* R5.6: hidden keys go on where they were, so no row replaces another. */
static void test_r5_6_hidden_keys_go_on(void **state)
{
    static const char *const make[] = {"CREATE TABLE h (v int)", NULL};
    static const char *const add[] = {"INSERT INTO h VALUES (1), (2)", NULL};
    do_and_close(make);
    for (uint64_t round = 1; round <= 4; round++) {
        (round % 2 == 0 ? do_and_die : do_and_close)(add);
        struct fixture fixture = open_directory();
        assert_int_equal(rows_of(&fixture, "h"), 2 * round);
        fixture_close(&fixture);
    }
}

/* A name that was dropped and created anew has the new table's rows only. */
static void test_names_come_again(void **state)
{
    static const char *const statements[] = {"CREATE TABLE a (id int PRIMARY KEY)",
                                             "INSERT INTO a VALUES (1), (2)",
                                             "DROP TABLE a",
                                             "CREATE TABLE a (id int PRIMARY KEY, v text)",
                                             "INSERT INTO a VALUES (2, 'new')",
                                             "CREATE TABLE b (id int PRIMARY KEY)",
                                             "DROP TABLE b, a",
                                             "CREATE TABLE a (id text PRIMARY KEY)",
                                             "INSERT INTO a VALUES ('third')",
                                             NULL};
    do_and_die(statements);
    struct fixture fixture = open_directory();
    assert_int_equal(rows_of(&fixture, "a"), 1);
    expect(fixture.connection, "SELECT * FROM a WHERE id = 'third'", "third\n");
    expect(fixture.connection, "SHOW TABLES", "a\n");
    fixture_close(&fixture);
}

/* Keys of a full row group that go on from its last slot to its first. */
static void test_a_group_whose_keys_wrap(void **state)
{
    enum { ROWS = 65536, FIRST = 30000 };
    static omen_value values[2 * ROWS];
    struct fixture fixture = open_directory();
    expect(fixture.connection, "CREATE TABLE t (id int PRIMARY KEY, n int)", "");
    for (int i = 0; i < ROWS; i++) {
        values[2 * i] = value_integer((i + FIRST) % ROWS);
        values[2 * i + 1] = value_integer(i);
    }
    assert_int_equal(omen_insert(fixture.connection, "t", values, ROWS, NULL), OMEN_OK);
    fixture_close(&fixture);
    fixture = open_directory();
    expect(fixture.connection, "SELECT n FROM t WHERE id = 0", "35536\n");
    expect(fixture.connection, "SELECT n FROM t WHERE id = 30000", "0\n");
    fixture_close(&fixture);
}

/* More than a file of the log holds, and a commit larger than its buffer. */
static void test_long_logs(void **state)
{
    struct fixture fixture = open_directory();
    do_all(fixture.connection,
           (const char *const[]){"CREATE TABLE big (id int PRIMARY KEY, v text)", NULL});
    enum { COUNT = 20000, TEXT = 200 };
    static char text[TEXT + 1];
    static omen_value values[2 * COUNT];
    memset(text, 'x', TEXT);
    for (int i = 0; i < COUNT; i++) {
        values[2 * i] = value_integer(i);
        values[2 * i + 1] = value_text(text);
    }
    assert_int_equal(omen_insert(fixture.connection, "big", values, COUNT, NULL), OMEN_OK);
    for (int i = 0; i < 100; i++) {
        values[0] = value_integer(COUNT + i);
        assert_int_equal(omen_insert(fixture.connection, "big", values, 1, NULL), OMEN_OK);
    }
    fixture_close(&fixture);
    fixture = open_directory();
    assert_int_equal(rows_of(&fixture, "big"), COUNT + 100);
    expect(fixture.connection, "SELECT id FROM big WHERE id = 20099", "20099\n");
    fixture_close(&fixture);
}

/* A stream that is still being read when its database is closed goes on (R5.5). */
static void test_r5_5_close_with_streams_outstanding(void **state)
{
    do_and_close(changes);
    struct fixture fixture = open_directory();
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    assert_int_equal(omen_scan(fixture.connection, "t", NULL, &stream, NULL), OMEN_OK);
    fixture_close(&fixture);
    fixture = open_directory(); /* it is free for others */
    fixture_close(&fixture);
    assert_int_equal(stream.get_next(&stream, &array), 0);
    assert_int_equal(array.length, 3);
    stream.release(&stream);
    array.release(&array);
}

/* --- omen_storage, and when checkpoints are made --- */

/* A number in the view's row. */
static int64_t view_number(struct fixture *fixture, const char *column)
{
    const omen_scan_options options = {
        .struct_bytes = sizeof options, .columns = &column, .column_count = 1};
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    assert_int_equal(omen_scan(fixture->connection, "omen_storage", &options, &stream, NULL),
                     OMEN_OK);
    assert_int_equal(stream.get_next(&stream, &array), 0);
    assert_int_equal(array.length, 1);
    int64_t number = ((const int64_t *)array.children[0]->buffers[1])[0];
    array.release(&array);
    stream.release(&stream);
    return number;
}

static void test_omen_storage(void **state)
{
    struct fixture fixture = open_directory();
    omen_connection *c = fixture.connection;
    do_all(c, changes);
    assert_true(view_number(&fixture, "log_bytes") > 500);
    assert_int_equal(view_number(&fixture, "row_count"), 8);
    assert_int_equal(view_number(&fixture, "segments"), 0);
    assert_int_equal(view_number(&fixture, "checkpoints"), 0);
    expect(c, "CHECKPOINT", "");
    assert_int_equal(view_number(&fixture, "log_bytes"), 0);
    assert_int_equal(view_number(&fixture, "segments"), 3);
    assert_true(view_number(&fixture, "segment_bytes") > 500);
    assert_int_equal(view_number(&fixture, "checkpoints"), 1);
    assert_int_equal(view_number(&fixture, "checkpoint_failures"), 0);
    assert_int_equal(view_number(&fixture, "snapshots"), 0);
    omen_snapshot *snapshot;
    assert_int_equal(omen_snapshot_create(c, &snapshot, NULL), OMEN_OK);
    do_all(c,
           (const char *const[]){"DELETE FROM t WHERE id = 2", "DELETE FROM t WHERE id = 4", NULL});
    assert_int_equal(view_number(&fixture, "snapshots"), 1);
    assert_int_equal(view_number(&fixture, "oldest_snapshot_age"), 2);
    omen_snapshot_release(snapshot);
    assert_int_equal(view_number(&fixture, "oldest_snapshot_age"), 0);
    expect(c, "INSERT INTO omen_storage (segments) VALUES (1)", "ERROR 55000");
    expect(c, "CREATE TABLE omen_storage (a int)", "ERROR 42P07");
    expect(c, "DROP TABLE omen_storage", "ERROR 42P01");
    assert_int_equal(view_number(&fixture, "segments"), 3);
    fixture_close(&fixture);
}

static void test_settings_of_checkpoints(void **state)
{
    struct fixture fixture = open_directory();
    omen_connection *c = fixture.connection, *other;
    expect(c, "SHOW omen.checkpoint_bytes", "64MB\n");
    expect(c, "SHOW omen.checkpoint_interval", "5min\n");
    expect(c, "SET omen.checkpoint_bytes = '1536 kB'", "");
    expect(c, "SET omen.checkpoint_interval = '30s'", "");
    assert_int_equal(omen_connect(fixture.database, &other, NULL), OMEN_OK);
    expect(other, "SHOW omen.checkpoint_bytes", "1536kB\n");
    expect(other, "SHOW omen.checkpoint_interval", "30s\n");
    expect(other, "SET omen.checkpoint_bytes = 12345", "");
    expect(c, "SHOW omen.checkpoint_bytes", "12345B\n");
    expect(c, "RESET omen.checkpoint_bytes", "");
    expect(c, "SET shared_buffers = '3MB'", "");
    expect(other, "SHOW shared_buffers", "3MB\n");
    expect(c, "SET shared_buffers = 0", "ERROR 22023");
    expect(c, "RESET shared_buffers", "");
    expect(c, "SHOW omen.checkpoint_bytes", "64MB\n");
    expect(c, "SET omen.checkpoint_bytes = 0", "ERROR 22023");
    expect(c, "SET omen.checkpoint_bytes = '1 lb'", "ERROR 22023");
    expect(c, "SET omen.checkpoint_interval = 0", "ERROR 22023");
    omen_disconnect(other);
    fixture_close(&fixture);
}

/* The background thread makes one by itself. */
static void test_checkpoints_come_by_themselves(void **state)
{
    struct fixture fixture = open_directory();
    do_all(fixture.connection, (const char *const[]){"SET omen.checkpoint_bytes = 1",
                                                     "CREATE TABLE t (id int PRIMARY KEY)",
                                                     "INSERT INTO t VALUES (1)", NULL});
    while (view_number(&fixture, "log_bytes") > 0)
        continue;
    assert_true(view_number(&fixture, "checkpoints") > 0);
    do_all(fixture.connection, (const char *const[]){"INSERT INTO t VALUES (2)", NULL});
    while (view_number(&fixture, "log_bytes") > 0)
        continue;
    fixture_close(&fixture);
    fixture = open_directory();
    assert_int_equal(view_number(&fixture, "replayed_commits"), 0);
    assert_int_equal(rows_of(&fixture, "t"), 2);
    fixture_close(&fixture);
}

/* --- what is refused --- */

static void expect_refusal(omen_status status, const char *sqlstate, const char *part)
{
    struct fixture fixture;
    omen_error error;
    assert_int_equal(try_open(&fixture, &error), status);
    assert_null(fixture.database);
    assert_string_equal(error.sqlstate, sqlstate);
    if (strstr(error.message, part) == NULL)
        print_error("\"%s\" is not in \"%s\"\n", part, error.message);
    assert_non_null(strstr(error.message, part));
    assert_non_null(strstr(error.message, test_path));
}

static void write_file(const char *name, const char *content, size_t length)
{
    char file_path[160];
    snprintf(file_path, sizeof file_path, "%s%s", test_path, name);
    FILE *file = fopen(file_path, "r+b");
    if (file == NULL)
        file = fopen(file_path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void test_refusals(void **state)
{
    write_file("", "text", 4);
    expect_refusal(OMEN_WRONG_OBJECT_TYPE, "42809", "is not a database: it is no directory");
    assert_int_equal(unlink(test_path), 0);
    do_and_close(changes);
    struct fixture fixture = open_directory();
    expect_refusal(OMEN_OBJECT_IN_USE, "55006", "is in use by process");
    fixture_close(&fixture);
    write_file("/manifest", "something else", 14);
    expect_refusal(OMEN_CORRUPTED, "XX001", "it does not begin as a manifest");
    char manifest[160];
    snprintf(manifest, sizeof manifest, "%s/manifest", test_path);
    assert_int_equal(unlink(manifest), 0);
    expect_refusal(OMEN_CORRUPTED, "XX001", "lacks its manifest");
}

static void test_files_are_private(void **state)
{
    char command[256];
    mode_t before = umask(0);
    do_and_close(changes);
    umask(before);
    snprintf(command, sizeof command, "test -z \"$(find '%s' -perm /077)\"", test_path);
    assert_int_equal(system(command), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_is_there_after_a_close),
        TEST(test_all_is_there_after_a_kill),
        TEST(test_changes_on_top_of_changes),
        TEST(test_r5_6_hidden_keys_go_on),
        TEST(test_names_come_again),
        TEST(test_a_group_whose_keys_wrap),
        TEST(test_long_logs),
        TEST(test_r5_5_close_with_streams_outstanding),
        TEST(test_omen_storage),
        TEST(test_settings_of_checkpoints),
        TEST(test_checkpoints_come_by_themselves),
        TEST(test_refusals),
        TEST(test_files_are_private),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
