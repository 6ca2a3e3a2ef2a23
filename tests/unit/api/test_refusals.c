/* test_refusals.c - damage met by a statement: the error says which file, and where in it.
 *
 * Databases of plain segments on the real file system, so that no engine is needed.
 */
#define _GNU_SOURCE
#include "support.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/database.h"

static void make_database(void)
{
    struct fixture fixture = open_plain(&os_real);
    expect(fixture.connection, "CREATE TABLE t (id int PRIMARY KEY, v text)", "");
    expect(fixture.connection, "INSERT INTO t VALUES (1, 'one'), (2, 'two')", "2 rows\n");
    fixture_close(&fixture);
}

/* The first file that matches, below the database. */
static const char *find_file(const char *pattern)
{
    static char found[256];
    char whole[160];
    glob_t names;
    snprintf(whole, sizeof whole, "%s/%s", test_path, pattern);
    assert_int_equal(glob(whole, 0, NULL, &names), 0);
    snprintf(found, sizeof found, "%s", names.gl_pathv[0]);
    globfree(&names);
    return found;
}

static void flip_byte(const char *name, long offset)
{
    FILE *file = fopen(name, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    assert_int_equal(fclose(file), 0);
}

static void expect_damage(const char *result, const char *name)
{
    assert_string_equal(result, "ERROR XX001");
    assert_non_null(strstr(last_error()->message, name));
    assert_non_null(strstr(last_error()->message, "the 4 KiB at byte 0"));
}

/* Whatever way a statement takes to the row. */
static void test_errors_name_the_damaged_file_and_page(void **state)
{
    omen_statement *statement;
    omen_value key = value_integer(2);
    make_database();
    const char *name = find_file("data/*.plain");
    flip_byte(name, 20);
    struct fixture fixture = open_plain(&os_real);
    expect_damage(run(fixture.connection, "SELECT v FROM t WHERE id = 2"), name);
    expect_damage(run(fixture.connection, "UPDATE t SET v = v || '!' WHERE id = 2"), name);
    assert_int_equal(omen_prepare(fixture.connection, "SELECT v FROM t WHERE id = $1", SIZE_MAX,
                                  &statement, NULL),
                     OMEN_OK);
    for (int i = 0; i < 3; i++)
        expect_damage(run_prepared(statement, &key, 1), name);
    omen_statement_release(statement);
    fixture_close(&fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_errors_name_the_damaged_file_and_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
