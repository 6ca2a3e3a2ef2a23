/* test_waits.c - writers that wait for another one: they get their turn, are interrupted, run out of
 * time. The test is the other one: it holds the writer lock itself, so nothing depends on who is
 * faster. Meant for the thread sanitizer too.
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

struct writer {
    omen_connection *connection;
    void (*write)(struct writer *writer);
    const char *sql; /* of write_sql */
    omen_error error;
    char result[64];
    atomic_bool done;
};

static void write_sql(struct writer *writer)
{
    strncpy(writer->result, run(writer->connection, writer->sql), sizeof writer->result - 1);
    writer->error = *last_error();
}

static void insert_row(struct writer *writer)
{
    omen_value row[] = {value_integer(3), value_text("three")};
    (void)!omen_insert(writer->connection, "t", row, 1, &writer->error);
}

static void insert_arrow(struct writer *writer)
{
    insert_arrow_of(writer->connection, "t", 1, "t", &writer->error);
}

static void update_row(struct writer *writer)
{
    const char *column = "v";
    omen_value key = value_integer(1), value = value_text("changed");
    (void)!omen_update(writer->connection, "t", &key, 1, &column, &value, 1, &writer->error);
}

static void delete_row(struct writer *writer)
{
    omen_value key = value_integer(1);
    (void)!omen_delete(writer->connection, "t", &key, 1, &writer->error);
}

static void *write_on_thread(void *argument)
{
    struct writer *writer = argument;
    writer->write(writer);
    atomic_store(&writer->done, true);
    return NULL;
}

static char csv_path[] = "/tmp/omendb-waits-XXXXXX";

static struct fixture open_table(void)
{
    struct fixture fixture = fixture_open();
    expect(fixture.connection, "CREATE TABLE t (id int PRIMARY KEY, v text)", "");
    expect(fixture.connection, "INSERT INTO t VALUES (1, 'one'), (2, 'two')", "2 rows\n");
    return fixture;
}

static void expect_unchanged(omen_connection *c)
{
    expect(c, "SELECT v FROM t WHERE id = 1", "one\n");
    expect(c, "SELECT v FROM t WHERE id = 2", "two\n");
    expect(c, "SELECT v FROM t WHERE id = 3", "");
}

/* Runs the writer on a thread of its own while the lock is held; interrupts it until it is over. */
static void run_interrupted(struct fixture *fixture, struct writer *writer, bool interrupt)
{
    struct txn_manager *manager = database_of(fixture->database)->manager;
    pthread_t thread;
    txn_writer_lock(manager);
    assert_int_equal(pthread_create(&thread, NULL, write_on_thread, writer), 0);
    while (!atomic_load(&writer->done)) {
        if (interrupt)
            omen_interrupt(writer->connection);
        sched_yield();
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    txn_writer_unlock(manager);
}

static char copy_sql[sizeof csv_path + 32];

static void test_waits_are_interrupted(void **state)
{
    struct fixture fixture = open_table();
    snprintf(copy_sql, sizeof copy_sql, "COPY t FROM '%s' (FORMAT csv)", csv_path);
    const struct {
        void (*write)(struct writer *writer);
        const char *sql;
    } cases[] = {
        {write_sql, "INSERT INTO t VALUES (3, 'three')"},
        {write_sql, "UPDATE t SET v = 'changed' WHERE id = 1"},
        {write_sql, "DELETE FROM t WHERE id = 2"},
        {write_sql, copy_sql},
        {insert_row, NULL},
        {insert_arrow, NULL},
        {update_row, NULL},
        {delete_row, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct writer writer = {
            .connection = fixture.connection, .write = cases[i].write, .sql = cases[i].sql};
        run_interrupted(&fixture, &writer, true);
        assert_string_equal(writer.error.sqlstate, "57014");
        assert_non_null(strstr(writer.error.message, "canceling statement due to user request"));
        expect_unchanged(fixture.connection);
    }
    /* An interrupt is for what runs, not for what comes after. */
    omen_interrupt(fixture.connection);
    struct writer writer = {.connection = fixture.connection};
    insert_row(&writer);
    assert_int_equal(writer.error.status, OMEN_OK);
    fixture_close(&fixture);
}

static void test_waits_run_out_of_time(void **state)
{
    struct fixture fixture = open_table();
    expect(fixture.connection, "SET statement_timeout = 1", "");
    static const char *const statements[] = {
        "INSERT INTO t VALUES (3, 'three')",
        "UPDATE t SET v = 'changed' WHERE id = 1",
        "DELETE FROM t WHERE id = 2",
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        struct writer writer = {
            .connection = fixture.connection, .write = write_sql, .sql = statements[i]};
        run_interrupted(&fixture, &writer, false);
        assert_string_equal(writer.error.sqlstate, "57014");
        assert_string_equal(writer.error.message, "canceling statement due to statement timeout");
    }
    expect(fixture.connection, "SET statement_timeout = 0", "");
    expect_unchanged(fixture.connection);
    fixture_close(&fixture);
}

/* Several wait; each gets its turn once. */
static void test_waits_end(void **state)
{
    enum { WRITERS = 4 };
    struct fixture fixture = open_table();
    struct txn_manager *manager = database_of(fixture.database)->manager;
    struct writer writers[WRITERS] = {0};
    pthread_t threads[WRITERS];
    static const char *const statements[WRITERS] = {
        "INSERT INTO t VALUES (3, 'three')", "UPDATE t SET v = v || '!' WHERE id = 1",
        "UPDATE t SET v = v || '!' WHERE id = 1", "DELETE FROM t WHERE id = 2"};
    txn_writer_lock(manager);
    for (int i = 0; i < WRITERS; i++) {
        writers[i].write = write_sql;
        writers[i].sql = statements[i];
        assert_int_equal(omen_connect(fixture.database, &writers[i].connection, NULL), OMEN_OK);
        assert_int_equal(pthread_create(&threads[i], NULL, write_on_thread, &writers[i]), 0);
    }
    txn_writer_unlock(manager);
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_string_equal(writers[i].result, "1 rows\n");
        omen_disconnect(writers[i].connection);
    }
    expect(fixture.connection, "SELECT v FROM t WHERE id = 1", "one!!\n");
    expect(fixture.connection, "SELECT v FROM t WHERE id = 2", "");
    expect(fixture.connection, "SELECT v FROM t WHERE id = 3", "three\n");
    fixture_close(&fixture);
}

/* Waits until somebody waits for a lock. */
static void await_waiter(struct fixture *fixture)
{
    struct database *database = database_of(fixture->database);
    for (bool waits = false; !waits; sched_yield()) {
        struct lock_list list;
        assert_int_equal(
            lock_list_take(txn_locks(database->manager), database->allocator, &list), OMEN_OK);
        for (size_t i = 0; i < list.count; i++)
            waits = waits || !list.locks[i].granted;
        lock_list_release(&list);
    }
}

/* The table is dropped, and made again, while they wait for it: they write to the new one. */
static void test_waits_for_a_table_made_again(void **state)
{
    struct fixture fixture = open_table();
    omen_connection *other;
    snprintf(copy_sql, sizeof copy_sql, "COPY t FROM '%s' (FORMAT csv)", csv_path);
    const struct {
        void (*write)(struct writer *writer);
        const char *sql;
        int id;
        const char *result;
    } cases[] = {
        {write_sql, "INSERT INTO t VALUES (3, 'three')", 3, "three\n"},
        {write_sql, "UPDATE t SET v = v || '!' WHERE id = 1", 1, "uno!\n"},
        {write_sql, "DELETE FROM t WHERE id = 1", 1, ""},
        {write_sql, "UPDATE t SET v = v || '!' WHERE id = 9", 9, "nueve!\n"},
        {write_sql, copy_sql, 3, "three\n"},
        {insert_row, NULL, 3, "three\n"},
        {update_row, NULL, 1, "changed\n"},
        {delete_row, NULL, 1, ""},
    };
    assert_int_equal(omen_connect(fixture.database, &other, NULL), OMEN_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct writer writer = {
            .connection = other, .write = cases[i].write, .sql = cases[i].sql};
        omen_connection *c = fixture.connection;
        char select[64];
        pthread_t thread;
        expect(c, "BEGIN", "");
        expect(c, "DROP TABLE t", "");
        expect(c, "CREATE TABLE t (id int PRIMARY KEY, v text)", "");
        expect(c, "INSERT INTO t VALUES (1, 'uno'), (9, 'nueve')", "2 rows\n");
        assert_int_equal(pthread_create(&thread, NULL, write_on_thread, &writer), 0);
        await_waiter(&fixture);
        expect(c, "COMMIT", "");
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(writer.error.status, OMEN_OK);
        snprintf(select, sizeof select, "SELECT v FROM t WHERE id = %d", cases[i].id);
        expect(c, select, cases[i].result);
    }
    omen_disconnect(other);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_are_interrupted),
        cmocka_unit_test(test_waits_run_out_of_time),
        cmocka_unit_test(test_waits_end),
        cmocka_unit_test(test_waits_for_a_table_made_again),
    };
    int file = mkstemp(csv_path);
    if (file < 0 || write(file, "3,three\n", 8) != 8 || close(file) != 0)
        return 1;
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(csv_path);
    return failures;
}
