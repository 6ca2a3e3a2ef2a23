/* test_unique.c - UNIQUE through the API: how constraints are declared, named and shown, what violates
 * them, and who waits for whom, on every way that rows come in.
 *
 * The test holds a key in a transaction of its own, and lets it go only when the other is seen to
 * wait, so nothing depends on who is faster. Meant for the thread sanitizer too.
 */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api_private.h"

static char csv_path[] = "/tmp/omendb-unique-XXXXXX";

static void expect_error(omen_connection *c, const char *sql, const char *message)
{
    assert_string_equal(run(c, sql), "ERROR 23505");
    assert_string_equal(last_error()->message, message);
}

/* Index entries and rows agree. */
static void expect_valid(struct fixture *fixture)
{
    struct table *table;
    omen_error error = {.status = OMEN_OK};
    assert_int_equal(catalog_find(database_of(fixture->database)->catalog, "t", 1, &table, NULL), OMEN_OK);
    if (table_validate(table, &error) != OMEN_OK)
        fail_msg("%s", error.message);
    table_release(table);
}

/* The unique constraints that SHOW CREATE TABLE has, one a line. */
static const char *uniques_of(omen_connection *c, const char *table)
{
    static char found[2000];
    char sql[200];
    size_t length = 0;
    snprintf(sql, sizeof sql, "SHOW CREATE TABLE %s", table);
    found[0] = '\0';
    for (const char *at = run(c, sql); (at = strstr(at, "CONSTRAINT ")) != NULL;) {
        at += strlen("CONSTRAINT ");
        size_t end = strcspn(at, "\n") - (at[strcspn(at, "\n") - 1] == ',');
        length += (size_t)snprintf(found + length, sizeof found - length, "%.*s\n", (int)end, at);
    }
    return found;
}

static void expect_uniques(omen_connection *c, const char *definition, const char *expected)
{
    char sql[600];
    snprintf(sql, sizeof sql, "CREATE TABLE t (%s)", definition);
    expect(c, sql, "");
    assert_string_equal(uniques_of(c, "t"), expected);
    expect(c, "DROP TABLE t", "");
}

static void test_names(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    expect_uniques(c, "a int UNIQUE, b int", "\"t_a_key\" UNIQUE (\"a\")\n");
    expect_uniques(c, "a int CONSTRAINT mine UNIQUE, b int NULL UNIQUE NOT DEFERRABLE",
                   "\"mine\" UNIQUE (\"a\")\n\"t_b_key\" UNIQUE (\"b\")\n");
    expect_uniques(c, "a int, b int, UNIQUE (b, a), CONSTRAINT \"Two\" UNIQUE (a, b)",
                   "\"t_b_a_key\" UNIQUE (\"b\", \"a\")\n\"Two\" UNIQUE (\"a\", \"b\")\n");
    /* In the order they are written in, wherever that is. */
    expect_uniques(c, "UNIQUE (b), a int UNIQUE, b int, UNIQUE (a, b)",
                   "\"t_b_key\" UNIQUE (\"b\")\n\"t_a_key\" UNIQUE (\"a\")\n"
                   "\"t_a_b_key\" UNIQUE (\"a\", \"b\")\n");
    /* What says nothing new goes, and leaves its name. */
    expect_uniques(c, "a int UNIQUE PRIMARY KEY", "");
    expect_uniques(c, "a int, b int, UNIQUE (b, a), PRIMARY KEY (b, a)", "");
    expect_uniques(c, "a int CONSTRAINT one UNIQUE CONSTRAINT other UNIQUE", "\"one\" UNIQUE (\"a\")\n");
    expect_uniques(c, "a int UNIQUE CONSTRAINT other UNIQUE", "\"other\" UNIQUE (\"a\")\n");
    /* A name that is taken gets a number. */
    expect_uniques(c, "a int, b int CONSTRAINT t_a_key UNIQUE, UNIQUE (a)",
                   "\"t_a_key\" UNIQUE (\"b\")\n\"t_a_key1\" UNIQUE (\"a\")\n");
    expect_uniques(c, "p int PRIMARY KEY, a int CONSTRAINT t_b_key UNIQUE, b_key1 int CONSTRAINT "
                      "t_b_key1 UNIQUE, b int UNIQUE",
                   "\"t_b_key\" UNIQUE (\"a\")\n\"t_b_key1\" UNIQUE (\"b_key1\")\n"
                   "\"t_b_key2\" UNIQUE (\"b\")\n");
    expect(c, "CREATE TABLE t (a int CONSTRAINT x UNIQUE, b int CONSTRAINT x UNIQUE)", "ERROR 42P07");
    expect(c, "CREATE TABLE t (a int, b int UNIQUE, CONSTRAINT t_b_key UNIQUE (a))", "ERROR 42P07");
    expect(c, "CREATE TABLE t (a int CONSTRAINT t UNIQUE)", "ERROR 42P07");
    expect(c, "CREATE TABLE t (a int CONSTRAINT t_pkey UNIQUE, b int PRIMARY KEY)", "ERROR 42P07");
    expect(c, "CREATE TABLE t (a int, UNIQUE (a, a))", "ERROR 42701");
    expect(c, "CREATE TABLE t (a int, UNIQUE (b))", "ERROR 42703");
    fixture_close(&fixture);
}

/* As PostgreSQL cuts them. */
static void test_long_names(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
#define TABLE "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define FIRST "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SECOND "ccccccccccccccccccccccccccccccc"
    expect(c, "CREATE TABLE " TABLE " (" FIRST " int UNIQUE, " SECOND " int, UNIQUE (" FIRST ", " SECOND "))",
           "");
    assert_string_equal(uniques_of(c, TABLE),
                        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbb_key\" UNIQUE (\"" FIRST
                        "\")\n\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbb_key1\" UNIQUE (\"" FIRST
                        "\", \"" SECOND "\")\n");
#undef TABLE
#undef FIRST
#undef SECOND
    fixture_close(&fixture);
}

static void test_shown(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, a int UNIQUE NOT NULL, b text, \"C\" int, UNIQUE (b, \"C\"))",
           "");
    expect(c, "DESCRIBE t",
           "id|integer|NO|PRI|null\na|integer|NO|UNI|null\nb|text|YES|UNI|null\nC|integer|YES|UNI|null\n");
    static const char shown[] = "t|CREATE TABLE \"t\" (\n"
                                "  \"id\" integer,\n"
                                "  \"a\" integer NOT NULL,\n"
                                "  \"b\" text,\n"
                                "  \"C\" integer,\n"
                                "  PRIMARY KEY (\"id\"),\n"
                                "  CONSTRAINT \"t_a_key\" UNIQUE (\"a\"),\n"
                                "  CONSTRAINT \"t_b_C_key\" UNIQUE (\"b\", \"C\")\n);\n";
    expect(c, "SHOW CREATE TABLE t", shown);
    expect(c, "DROP TABLE t", "");
    expect(c, shown + 2, ""); /* which makes the same */
    expect(c, "SHOW CREATE TABLE t", shown);
    expect(c, "CREATE TABLE u (a int UNIQUE)", "");
    expect(c, "SHOW CREATE TABLE u",
           "u|CREATE TABLE \"u\" (\n  \"a\" integer,\n  CONSTRAINT \"u_a_key\" UNIQUE (\"a\")\n);\n");
    fixture_close(&fixture);
}

static void test_violations(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, a int UNIQUE, b text, c int, CONSTRAINT bc UNIQUE (b, c))", "");
    expect(c, "INSERT INTO t VALUES (1, 10, 'x', 1), (2, NULL, 'x', 2), (3, NULL, NULL, 1), (4, NULL, NULL, 1)",
           "4 rows\n");
    expect_error(c, "INSERT INTO t VALUES (5, 10, 'y', 1)",
                 "duplicate key value violates unique constraint \"t_a_key\": key (a)=(10) already exists");
    expect_error(c, "INSERT INTO t VALUES (5, 11, 'x', 2)",
                 "duplicate key value violates unique constraint \"bc\": key (b, c)=(x, 2) already exists");
    expect_error(c, "UPDATE t SET a = 10 WHERE id = 2",
                 "duplicate key value violates unique constraint \"t_a_key\": key (a)=(10) already exists");
    expect_error(c, "INSERT INTO t VALUES (5, 50, 'z', 1), (6, 50, 'z', 2)",
                 "duplicate key value violates unique constraint \"t_a_key\": key (a)=(50) already exists");
    expect(c, "UPDATE t SET a = 10 WHERE id = 1", "1 rows\n"); /* its own */
    expect(c, "UPDATE t SET b = 'w' WHERE id = 1", "1 rows\n");
    expect(c, "INSERT INTO t VALUES (5, 20, 'x', 1)", "1 rows\n");
    expect(c, "DELETE FROM t WHERE id = 1", "1 rows\n");
    expect(c, "INSERT INTO t VALUES (6, 10, 'w', 1)", "1 rows\n");
    expect_error(c, "INSERT INTO t VALUES (6, 10, 'w', 1)",
                 "duplicate key value violates unique constraint \"t_pkey\": key (id)=(6) already exists");
    /* In a transaction: at once, not at COMMIT. */
    expect(c, "BEGIN", "");
    expect(c, "INSERT INTO t VALUES (7, 70, 'v', 1)", "1 rows\n");
    expect(c, "SAVEPOINT s", "");
    expect(c, "INSERT INTO t VALUES (8, 70, 'v', 2)", "ERROR 23505");
    expect(c, "ROLLBACK TO s", "");
    expect(c, "INSERT INTO t VALUES (8, 20, 'v', 2)", "ERROR 23505");
    expect(c, "ROLLBACK TO s", "");
    expect(c, "DELETE FROM t WHERE id = 5", "1 rows\n");
    expect(c, "INSERT INTO t VALUES (8, 20, 'v', 2)", "1 rows\n");
    expect(c, "UPDATE t SET a = NULL WHERE id = 7", "1 rows\n");
    expect(c, "UPDATE t SET a = 70 WHERE id = 8", "1 rows\n");
    expect(c, "INSERT INTO t VALUES (9, 20, NULL, 2)", "1 rows\n");
    expect(c, "COMMIT", "");
    expect(c, "SELECT a FROM t WHERE id = 8", "70\n");
    expect(c, "SELECT a FROM t WHERE id = 9", "20\n");
    expect_valid(&fixture);
    fixture_close(&fixture);
}

/* --- waiting --- */

struct writer {
    omen_connection *connection;
    void (*write)(struct writer *writer);
    const char *sql;
    bool within; /* a transaction */
    omen_error error;
    atomic_bool done;
};

static void write_sql(struct writer *writer)
{
    if (strncmp(run(writer->connection, writer->sql), "ERROR", 5) == 0)
        writer->error = *last_error();
}

static void write_prepared(struct writer *writer)
{
    omen_statement *statement;
    const omen_value values[] = {value_integer(5), value_integer(40), value_text("five")};
    assert_int_equal(omen_prepare(writer->connection, "INSERT INTO t VALUES ($1, $2, $3)", SIZE_MAX,
                                  &statement, &writer->error), OMEN_OK);
    (void)!omen_execute(statement, values, 3, &writer->error);
    omen_statement_release(statement);
}

static void insert_row(struct writer *writer)
{
    const omen_value row[] = {value_integer(5), value_integer(40), value_text("five")};
    (void)!omen_insert(writer->connection, "t", row, 1, &writer->error);
}

static void insert_arrow(struct writer *writer)
{
    insert_arrow_of(writer->connection, "s", 5, "t", &writer->error);
}

static void update_row(struct writer *writer)
{
    const char *column = "a";
    omen_value key = value_integer(2), value = value_integer(40);
    (void)!omen_update(writer->connection, "t", &key, 1, &column, &value, 1, &writer->error);
}

static void *write_on_thread(void *argument)
{
    struct writer *writer = argument;
    writer->write(writer);
    atomic_store(&writer->done, true);
    return NULL;
}

static bool somebody_waits(struct fixture *fixture)
{
    struct database *database = database_of(fixture->database);
    struct lock_list list;
    bool waits = false;
    assert_int_equal(lock_list_take(txn_locks(database->manager), database->allocator, &list), OMEN_OK);
    for (size_t i = 0; i < list.count; i++)
        waits |= !list.locks[i].granted;
    lock_list_release(&list);
    return waits;
}

/* The key 40 is held by a transaction that has `change`d it, and the writer wants it. `taken`: whether
 * it is somebody's when that transaction has ended with `end`. */
static void play(struct writer writer, const char *before, const char *change, const char *end, bool taken)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    pthread_t thread;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, a int UNIQUE, v text)", "");
    expect(c, "CREATE TABLE s (id int PRIMARY KEY, a int, v text)", "");
    expect(c, "INSERT INTO s VALUES (5, 40, 'five')", "1 rows\n");
    expect(c, "INSERT INTO t VALUES (2, 20, 'two')", "1 rows\n");
    expect(c, before, "1 rows\n");
    assert_int_equal(omen_connect(fixture.database, &writer.connection, NULL), OMEN_OK);
    expect(c, "BEGIN", "");
    expect(c, change, "1 rows\n");
    if (writer.within)
        expect(writer.connection, "BEGIN ISOLATION LEVEL REPEATABLE READ", "");
    if (writer.within)
        expect(writer.connection, "SELECT v FROM t WHERE id = 2", "two\n");
    assert_int_equal(pthread_create(&thread, NULL, write_on_thread, &writer), 0);
    while (!atomic_load(&writer.done) && !somebody_waits(&fixture))
        sched_yield();
    assert_false(atomic_load(&writer.done)); /* it waited */
    expect(c, end, "");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(writer.error.status, taken ? OMEN_DUPLICATE_KEY : OMEN_OK);
    if (writer.within)
        expect(writer.connection, "COMMIT", "");
    omen_disconnect(writer.connection);
    bool found = strcmp(run(c, "SELECT a FROM t WHERE id = 5"), "40\n") == 0 ||
                 strcmp(run(c, "SELECT a FROM t WHERE id = 2"), "40\n") == 0;
    assert_int_equal(found, !taken);
    expect_valid(&fixture);
    fixture_close(&fixture);
}

static void test_waits(void **state)
{
    static char copy_sql[sizeof csv_path + 32];
    snprintf(copy_sql, sizeof copy_sql, "COPY t FROM '%s' (FORMAT csv)", csv_path);
    const struct writer writers[] = {
        {.write = write_sql, .sql = "INSERT INTO t VALUES (5, 40, 'five')"},
        {.write = write_sql, .sql = "UPDATE t SET a = 40 WHERE id = 2"},
        {.write = write_sql, .sql = copy_sql},
        {.write = write_prepared},
        {.write = insert_row},
        {.write = insert_arrow},
        {.write = update_row},
    };
    static const char free_key[] = "INSERT INTO t VALUES (3, 30, 'three')";
    static const char taken_key[] = "INSERT INTO t VALUES (1, 40, 'one')";
    static const char *const changes[] = {"DELETE FROM t WHERE id = 1", "UPDATE t SET a = 41 WHERE id = 1",
                                          "UPDATE t SET a = NULL WHERE id = 1"};
    for (size_t i = 0; i < 2 * sizeof writers / sizeof *writers; i++) {
        struct writer writer = writers[i / 2];
        writer.within = i % 2 == 1;
        play(writer, free_key, "INSERT INTO t VALUES (9, 40, 'x')", "COMMIT", true);
        play(writer, free_key, "INSERT INTO t VALUES (9, 40, 'x')", "ROLLBACK", false);
        play(writer, free_key, "UPDATE t SET a = 40 WHERE id = 3", "COMMIT", true);
        for (size_t j = 0; j < sizeof changes / sizeof *changes; j++) {
            play(writer, taken_key, changes[j], "COMMIT", false);
            play(writer, taken_key, changes[j], "ROLLBACK", true);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),      cmocka_unit_test(test_long_names), cmocka_unit_test(test_shown),
        cmocka_unit_test(test_violations), cmocka_unit_test(test_waits),
    };
    int file = mkstemp(csv_path);
    if (file < 0 || write(file, "5,40,five\n", 10) != 10 || close(file) != 0)
        return 1;
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(csv_path);
    return failures;
}
