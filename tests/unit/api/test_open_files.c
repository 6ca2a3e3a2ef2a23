/* test_open_files.c - a process that may have few files open: far more tables than files, and what
 * happens where not one more can be opened.
 *
 * Databases of plain segments on the real file system, so that no engine is needed; nothing is
 * synced, which would only take time.
 */
#define _GNU_SOURCE
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "store/database.h"

enum { TABLES = 2000, FILES_MAX = 256, SQL_BYTES = 128 };

static struct rlimit before;
static struct os hasty; /* the real one without syncs */

static omen_status sync_nothing(const struct os *os, int64_t file, omen_error *error)
{
    return OMEN_OK;
}

static omen_status sync_no_directory(const struct os *os, const char *directory, omen_error *error)
{
    return OMEN_OK;
}

static omen_status sync_no_open_directory(const struct os *os, int64_t directory,
                                          omen_error *error)
{
    return OMEN_OK;
}

static int begin(void **state)
{
    hasty = os_real;
    hasty.file_sync = sync_nothing;
    hasty.directory_sync = sync_no_directory;
    hasty.directory_sync_open = sync_no_open_directory;
    return getrlimit(RLIMIT_NOFILE, &before) != 0 || make_folder(state) != 0;
}

static void allow_files(rlim_t count)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){count, before.rlim_max}), 0);
}

static int end(void **state)
{
    allow_files(before.rlim_cur);
    return remove_folder(state);
}

static void expect_table(struct fixture *fixture, const char *format, int table, const char *result)
{
    char sql[SQL_BYTES];
    snprintf(sql, sizeof sql, format, table);
    expect(fixture->connection, sql, result);
}

static void make_tables(int count)
{
    struct fixture fixture = open_plain(&hasty);
    expect(fixture.connection, "SET synchronous_commit = off", "");
    for (int i = 0; i < count; i++) {
        expect_table(&fixture, "CREATE TABLE t%d (id int PRIMARY KEY, v text)", i, "");
        expect_table(&fixture, "INSERT INTO t%d VALUES (1, 'one'), (2, 'two')", i, "2 rows\n");
    }
    fixture_close(&fixture);
}

static void test_far_more_tables_than_files(void **state)
{
    allow_files(FILES_MAX);
    make_tables(TABLES);
    struct fixture fixture = open_plain(&hasty);
    for (int i = 0; i < TABLES; i++)
        expect_table(&fixture, "SELECT v FROM t%d WHERE id = 2", i, "two\n");
    expect(fixture.connection, "SET synchronous_commit = off", "");
    for (int i = 0; i < TABLES; i += 2)
        expect_table(&fixture, "UPDATE t%d SET v = 'second' WHERE id = 2", i, "1 rows\n");
    expect(fixture.connection, "CHECKPOINT", "");
    for (int i = 0; i < TABLES; i++)
        expect_table(&fixture, "SELECT v FROM t%d WHERE id = 2", i,
                     i % 2 == 0 ? "second\n" : "two\n");
    fixture_close(&fixture);
    fixture = open_plain(&hasty);
    for (int i = 0; i < TABLES; i += 7)
        expect_table(&fixture, "SELECT v FROM t%d WHERE id = 2", i,
                     i % 2 == 0 ? "second\n" : "two\n");
    fixture_close(&fixture);
}

/* Descriptors of this process: not one more than these can be had after allow_files(that). */
static rlim_t highest_open(void)
{
    rlim_t highest = 0;
    DIR *listing = opendir("/proc/self/fd");
    assert_non_null(listing);
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        rlim_t number = strtoul(entry->d_name, NULL, 10);
        if (number > highest && (int)number != dirfd(listing))
            highest = number;
    }
    closedir(listing);
    return highest;
}

/* Fills all descriptors up to the highest one, so that the limit leaves none. */
static size_t take_all(FILE *taken[FILES_MAX])
{
    size_t count = 0;
    allow_files(highest_open() + 1);
    while (count < FILES_MAX && (taken[count] = fopen("/dev/null", "r")) != NULL)
        count++;
    assert_true(count < FILES_MAX);
    return count;
}

static void give_back(FILE *taken[FILES_MAX], size_t count)
{
    while (count > 0)
        fclose(taken[--count]);
    allow_files(before.rlim_cur);
}

static void test_no_file_to_read_with_is_no_damage(void **state)
{
    FILE *taken[FILES_MAX];
    make_tables(1);
    struct fixture fixture = open_plain(&hasty);
    size_t count = take_all(taken);
    expect(fixture.connection, "SELECT v FROM t0 WHERE id = 2", "ERROR 53000");
    assert_non_null(strstr(last_error()->message, ".plain"));
    give_back(taken, count);
    expect(fixture.connection, "SELECT v FROM t0 WHERE id = 2", "two\n");
    fixture_close(&fixture);
}

static void test_no_file_to_open_with_is_no_damage(void **state)
{
    FILE *taken[FILES_MAX];
    struct fixture fixture = {0};
    omen_error error = {.message = ""};
    make_tables(1);
    size_t count = take_all(taken);
    for (size_t spare = 0; spare < count; spare++) { /* one more each time until it opens */
        omen_status status = try_open_plain(&hasty, &fixture, &error);
        if (status == OMEN_OK)
            break;
        if (fixture.database != NULL)
            fixture_close(&fixture);
        assert_int_equal(status, OMEN_INSUFFICIENT_RESOURCES);
        assert_string_equal(error.sqlstate, "53000");
        fixture = (struct fixture){0};
        fclose(taken[--count]);
    }
    give_back(taken, count);
    if (fixture.database == NULL)
        fixture = open_plain(&hasty);
    expect(fixture.connection, "SELECT v FROM t0 WHERE id = 2", "two\n");
    fixture_close(&fixture);
}

/* The next log file cannot be opened: the commit is refused, and a later one is made. */
static void test_no_file_for_the_log_refuses_commits_for_as_long(void **state)
{
    FILE *taken[FILES_MAX];
    char sql[SQL_BYTES];
    int key = 10;
    make_tables(1);
    struct fixture fixture = open_plain(&hasty);
    expect(fixture.connection, "SELECT v FROM t0 WHERE id = 2", "two\n"); /* loads it */
    size_t count = take_all(taken);
    const char *result = "1 rows\n";
    for (; key < 2000 && strcmp(result, "1 rows\n") == 0; key++) {
        snprintf(sql, sizeof sql, "INSERT INTO t0 VALUES (%d, repeat('x', 1000))", key);
        result = run(fixture.connection, sql);
    }
    assert_string_equal(result, "ERROR 53000");
    give_back(taken, count);
    expect(fixture.connection, sql, "1 rows\n");
    fixture_close(&fixture);
    fixture = open_plain(&hasty);
    expect_table(&fixture, "SELECT 1 FROM t0 WHERE id = %d", key - 1, "1\n");
    fixture_close(&fixture);
}

/* --- files that go in the middle of a checkpoint --- */

static FILE *taken_meanwhile[FILES_MAX];
static size_t taken_count;
static bool was_taken; /* though perhaps none was left to take */

/* Somebody else takes the last files just when the manifest has got its name. */
static omen_status rename_and_take_all(const struct os *os, const char *from, const char *to,
                                       omen_error *error)
{
    OMEN_TRY(os_real.file_rename(os, from, to, error));
    if (strstr(from, "manifest.new") != NULL && !was_taken) {
        taken_count = take_all(taken_meanwhile);
        was_taken = true;
    }
    return OMEN_OK;
}

/* That the directory could not be synced for want of a file would stop all checkpoints. */
static void test_no_file_in_a_checkpoint_is_no_failed_sync(void **state)
{
    make_tables(1);
    struct os crowded = os_real;
    struct fixture fixture = open_plain(&crowded);
    crowded.file_rename = rename_and_take_all;
    expect(fixture.connection, "INSERT INTO t0 VALUES (3, 'three')", "1 rows\n");
    was_taken = false;
    const char *result = run(fixture.connection, "CHECKPOINT");
    assert_true(strcmp(result, "") == 0 || strcmp(result, "ERROR 53000") == 0);
    assert_true(was_taken);
    give_back(taken_meanwhile, taken_count);
    expect(fixture.connection, "INSERT INTO t0 VALUES (4, 'four')", "1 rows\n");
    expect(fixture.connection, "CHECKPOINT", "");
    fixture_close(&fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_far_more_tables_than_files),
        TEST(test_no_file_to_read_with_is_no_damage),
        TEST(test_no_file_to_open_with_is_no_damage),
        TEST(test_no_file_for_the_log_refuses_commits_for_as_long),
        TEST(test_no_file_in_a_checkpoint_is_no_failed_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
