/* test_directory.c - what a path is, who holds it, and that refusals change nothing. */
#include "support.h"

#include <unistd.h>

#include "store/directory.h"

static const struct os *const os = &os_real;

static omen_status open_at(const char *name, struct directory *directory, omen_error *error)
{
    return directory_open(directory, os, test_path(name), error);
}

/* Opening must fail like this, with this message behind the path, and leave all as it is. */
static void expect_refusal(const char *name, omen_status status, const char *sqlstate,
                           const char *before, const char *after)
{
    struct directory directory;
    omen_error error;
    char message[512];
    uint64_t digest = test_digest(test_folder);
    assert_int_equal(open_at(name, &directory, &error), status);
    assert_string_equal(error.sqlstate, sqlstate);
    snprintf(message, sizeof message, "%s\"%s\"%s", before, test_path(name), after);
    assert_string_equal(error.message, message);
    assert_false(directory.locked);
    assert_int_equal(test_digest(test_folder), digest);
}

static void make_folder(const char *name)
{
    assert_int_equal(os->directory_create(os, test_path(name), NULL), OMEN_OK);
}

static void test_new_directory(void **state)
{
    struct directory directory;
    assert_int_equal(open_at("d", &directory, NULL), OMEN_OK);
    assert_true(directory.fresh && directory.locked);
    assert_int_equal(test_file_mode(test_path("d")), 0700);
    assert_int_equal(test_file_mode(test_path("d/lock")), 0600);
    assert_int_equal(directory_create_begin(&directory, NULL), OMEN_OK);
    assert_int_equal(test_file_mode(test_path("d/creating")), 0600);
    assert_int_equal(test_file_mode(test_path("d/log")), 0700);
    assert_int_equal(test_file_mode(test_path("d/data")), 0700);
    /* A crash here: the next open begins anew, whatever lies there. */
    directory_close(&directory);
    test_file_write(test_path("d/log/0001"), "x", 1);
    test_file_write(test_path("d/data/x.parquet"), "x", 1);
    assert_int_equal(open_at("d//", &directory, NULL), OMEN_OK);
    assert_true(directory.fresh);
    assert_int_equal(directory_create_begin(&directory, NULL), OMEN_OK);
    assert_int_equal(test_file_mode(test_path("d/log/0001")), -1);
    assert_int_equal(test_file_mode(test_path("d/data/x.parquet")), -1);
    test_file_write(test_path("d/manifest"), "m", 1);
    directory_create_end(&directory);
    assert_int_equal(test_file_mode(test_path("d/creating")), -1);
    directory_close(&directory);
    directory_close(&directory);
    assert_int_equal(open_at("d", &directory, NULL), OMEN_OK);
    assert_false(directory.fresh);
    directory_close(&directory);
}

static void test_not_a_database(void **state)
{
    test_file_write(test_path("file"), "x", 1);
    expect_refusal("file", OMEN_WRONG_OBJECT_TYPE, "42809", "",
                   " is not a database: it is no directory");
    make_folder("home");
    test_file_write(test_path("home/letter.txt"), "x", 1);
    expect_refusal("home", OMEN_WRONG_OBJECT_TYPE, "42809", "",
                   " is not a database: it is a directory with other files");
    /* An unfinished creation among other files is no reason to remove anything either. */
    test_file_write(test_path("home/creating"), "", 0);
    expect_refusal("home", OMEN_WRONG_OBJECT_TYPE, "42809", "",
                   " is not a database: it is a directory with other files");
    expect_refusal("no/parent", OMEN_FILE_NOT_FOUND, "58P01", "could not create directory ",
                   ": No such file or directory");
}

/* A database without its manifest is never taken for a new one. */
static void test_lost_manifest(void **state)
{
    make_folder("d");
    make_folder("d/log");
    expect_refusal("d", OMEN_CORRUPTED, "XX001", "database ", " lacks its manifest");
}

static void test_one_holder(void **state)
{
    struct directory directory, second;
    omen_error error;
    char expected[128];
    assert_int_equal(open_at("d", &directory, NULL), OMEN_OK);
    assert_int_equal(open_at("d", &second, &error), OMEN_OBJECT_IN_USE);
    assert_string_equal(error.sqlstate, "55006");
    assert_non_null(strstr(error.message, " is in use by another process"));
    directory_sign(&directory);
    assert_int_equal(open_at("d", &second, &error), OMEN_OBJECT_IN_USE);
    snprintf(expected, sizeof expected, " is in use by process %ld (test_store_dire", (long)getpid());
    assert_non_null(strstr(error.message, expected));
    assert_non_null(strstr(error.message, " since 20"));
    directory_close(&directory);
    assert_int_equal(open_at("d", &second, &error), OMEN_OK);
    directory_sign(&second); /* over a longer or shorter name */
    directory_close(&second);
}

/* What stands in the lock file is not believed. */
static void test_lock_text_is_hostile(void **state)
{
    struct directory directory, second;
    omen_error error;
    assert_int_equal(open_at("d", &directory, NULL), OMEN_OK);
    test_file_write(test_path("d/lock"), "\x1B[2J\xFF\0process", 13);
    assert_int_equal(open_at("d", &second, &error), OMEN_OBJECT_IN_USE);
    assert_non_null(strstr(error.message, " is in use by another process"));
    directory_close(&directory);
}

/* --- read-only, which root would not notice --- */

static omen_status open_read_only(const struct os *self, const char *path, enum os_open how,
                                  int64_t *file, omen_error *error)
{
    if (how != OS_OPEN_READ)
        return error_set(error, OMEN_INSUFFICIENT_PRIVILEGE,
                         "could not open file for writing \"%s\": Read-only file system", path);
    return os_real.file_open(self, path, how, file, error);
}

static void test_read_only(void **state)
{
    struct directory directory;
    struct os read_only = os_real;
    omen_error error;
    char expected[512];
    make_folder("d");
    test_file_write(test_path("d/lock"), "", 0);
    test_file_write(test_path("d/manifest"), "m", 1);
    uint64_t digest = test_digest(test_folder);
    read_only.file_open = open_read_only;
    assert_int_equal(directory_open(&directory, &read_only, test_path("d"), &error),
                     OMEN_INSUFFICIENT_PRIVILEGE);
    assert_string_equal(error.sqlstate, "42501");
    snprintf(expected, sizeof expected,
             "database \"%s\" is read-only: could not open file for writing \"%s\": Read-only file "
             "system",
             test_path("d"), test_path("d/lock"));
    assert_string_equal(error.message, expected);
    assert_int_equal(test_digest(test_folder), digest);
}

/* --- the order in which names become durable --- */

static char calls[64];

static omen_status note_create(const struct os *self, const char *path, omen_error *error)
{
    strcat(calls, "m");
    return os_real.directory_create(self, path, error);
}

static omen_status note_sync(const struct os *self, const char *path, omen_error *error)
{
    strcat(calls, strcmp(path, test_folder) == 0 ? "P" : "D");
    return os_real.directory_sync(self, path, error);
}

static omen_status note_open(const struct os *self, const char *path, enum os_open how,
                             int64_t *file, omen_error *error)
{
    omen_status status = os_real.file_open(self, path, how, file, error);
    if (how == OS_OPEN_CREATE_NEW && status == OMEN_OK)
        strcat(calls, strstr(path, "creating") != NULL ? "c" : "l");
    return status;
}

/* The mark is durable before anything that a later creation would remove. */
static void test_creation_order(void **state)
{
    struct directory directory;
    struct os noting = os_real;
    noting.directory_create = note_create;
    noting.directory_sync = note_sync;
    noting.file_open = note_open;
    calls[0] = '\0';
    assert_int_equal(directory_open(&directory, &noting, test_path("d"), NULL), OMEN_OK);
    assert_int_equal(directory_create_begin(&directory, NULL), OMEN_OK);
    assert_string_equal(calls, "mlcDmmDP");
    directory_close(&directory);
}

/* --- the moment without a name --- */

static struct directory second;

/* Another process comes when the directory has its other name. */
static omen_status rename_and_come(const struct os *self, const char *from, const char *to,
                                   omen_error *error)
{
    OMEN_TRY(os_real.file_rename(self, from, to, error));
    if (strcmp(from, test_path("d")) == 0) {
        omen_error reason;
        assert_int_equal(directory_open(&second, &os_real, test_path("d"), &reason),
                         OMEN_OBJECT_IN_USE);
        strcat(calls, "2");
    }
    return OMEN_OK;
}

static void begin_unfinished(struct directory *directory, const struct os *with)
{
    assert_int_equal(directory_open(directory, &os_real, test_path("d"), NULL), OMEN_OK);
    assert_int_equal(directory_create_begin(directory, NULL), OMEN_OK);
    directory_close(directory);
    assert_int_equal(directory_open(directory, with, test_path("d"), NULL), OMEN_OK);
    assert_true(directory->fresh && directory->unfinished);
}

static void test_nobody_makes_another_meanwhile(void **state)
{
    struct directory directory;
    struct os busy = os_real;
    busy.file_rename = rename_and_come;
    calls[0] = '\0';
    begin_unfinished(&directory, &busy);
    assert_int_equal(directory_create_begin(&directory, NULL), OMEN_OK);
    assert_string_equal(calls, "2");
    assert_int_equal(test_file_mode(test_path("d.creating")), -1);
    assert_int_equal(test_file_mode(test_path("d/creating")), 0600);
    directory_close(&directory);
}

static void test_a_name_left_aside_is_brought_back(void **state)
{
    struct directory directory;
    begin_unfinished(&directory, &os_real);
    directory_close(&directory);
    assert_int_equal(os_real.file_rename(&os_real, test_path("d"), test_path("d.creating"), NULL),
                     OMEN_OK);
    assert_int_equal(directory_open(&directory, &os_real, test_path("d"), NULL), OMEN_OK);
    assert_true(directory.unfinished);
    assert_int_equal(test_file_mode(test_path("d.creating")), -1);
    directory_close(&directory);
    /* But nothing that somebody else has put there. */
    assert_int_equal(os_real.directory_create(&os_real, test_path("e.creating"), NULL), OMEN_OK);
    test_file_write(test_path("e.creating/mine"), "x", 1);
    assert_int_equal(directory_open(&directory, &os_real, test_path("e"), NULL), OMEN_OK);
    assert_false(directory.unfinished);
    assert_int_equal(test_file_mode(test_path("e.creating/mine")) > 0, 1);
    directory_close(&directory);
}

/* A name that cannot be renewed is no durable one. */
static void test_what_is_in_the_way_is_told(void **state)
{
    struct directory directory;
    omen_error error;
    begin_unfinished(&directory, &os_real);
    assert_int_equal(os_real.directory_create(&os_real, test_path("d.creating"), NULL), OMEN_OK);
    test_file_write(test_path("d.creating/mine"), "x", 1);
    assert_int_equal(directory_create_begin(&directory, &error), OMEN_OBJECT_IN_USE);
    assert_non_null(strstr(error.message, "is in the way"));
    directory_close(&directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_directory, test_folder_make, test_folder_remove),
        cmocka_unit_test_setup_teardown(test_not_a_database, test_folder_make, test_folder_remove),
        cmocka_unit_test_setup_teardown(test_lost_manifest, test_folder_make, test_folder_remove),
        cmocka_unit_test_setup_teardown(test_one_holder, test_folder_make, test_folder_remove),
        cmocka_unit_test_setup_teardown(test_lock_text_is_hostile, test_folder_make,
                                        test_folder_remove),
        cmocka_unit_test_setup_teardown(test_read_only, test_folder_make, test_folder_remove),
        cmocka_unit_test_setup_teardown(test_creation_order, test_folder_make, test_folder_remove),
        cmocka_unit_test_setup_teardown(test_nobody_makes_another_meanwhile, test_folder_make,
                                        test_folder_remove),
        cmocka_unit_test_setup_teardown(test_a_name_left_aside_is_brought_back, test_folder_make,
                                        test_folder_remove),
        cmocka_unit_test_setup_teardown(test_what_is_in_the_way_is_told, test_folder_make,
                                        test_folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
