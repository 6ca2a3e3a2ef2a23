/* test_files.c - files and directories of the real operating system. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/os.h"

static const struct os *const os = &os_real;
static char folder[64], path[128], other[128];

static int make_folder(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/omendb-os-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    return 0;
}

static int remove_folder(void **state)
{
    unlink(path);
    unlink(other);
    return rmdir(folder);
}

static void test_write_and_read_at(void **state)
{
    int64_t file;
    char buffer[16] = {0};
    size_t got;
    uint64_t bytes;
    assert_int_equal(os->file_open(os, path, OS_OPEN_CREATE_NEW, &file, NULL), OMEN_OK);
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    assert_int_equal(os->file_write_at(os, file, "world", 5, 6, NULL), OMEN_OK);
    assert_int_equal(os->file_write_at(os, file, "hello ", 6, 0, NULL), OMEN_OK);
    assert_int_equal(os->file_sync(os, file, NULL), OMEN_OK);
    assert_int_equal(os->file_read_at(os, file, buffer, sizeof buffer, 0, &got, NULL), OMEN_OK);
    assert_int_equal(got, 11);
    assert_memory_equal(buffer, "hello world", 11);
    assert_int_equal(os->file_read_at(os, file, buffer, 4, 11, &got, NULL), OMEN_OK);
    assert_int_equal(got, 0);
    assert_int_equal(os->file_reserve(os, file, 100, NULL), OMEN_OK);
    assert_int_equal(os->file_reserve(os, file, 50, NULL), OMEN_OK);
    assert_int_equal(os->file_size(os, file, &bytes, NULL), OMEN_OK);
    assert_int_equal(bytes, 100);
    assert_int_equal(os->file_read_at(os, file, buffer, 4, 90, &got, NULL), OMEN_OK);
    assert_memory_equal(buffer, "\0\0\0\0", 4);
    assert_int_equal(os->file_truncate(os, file, 5, NULL), OMEN_OK);
    assert_int_equal(os->file_size(os, file, &bytes, NULL), OMEN_OK);
    assert_int_equal(bytes, 5);
    os->file_close(os, file);
}

static void test_open_says_what_is_wrong(void **state)
{
    int64_t file;
    omen_error error = {0};
    assert_int_equal(os->file_open(os, other, OS_OPEN_READ, &file, &error), OMEN_FILE_NOT_FOUND);
    assert_non_null(strstr(error.message, other));
    assert_int_equal(os->file_open(os, path, OS_OPEN_CREATE_NEW, &file, &error),
                     OMEN_OBJECT_IN_USE);
    assert_non_null(strstr(error.message, "create"));
    assert_int_equal(os->file_open(os, folder, OS_OPEN_READ, &file, &error), OMEN_WRONG_OBJECT_TYPE);
    assert_int_equal(os->file_open(os, other, OS_OPEN_WRITE, &file, &error), OMEN_FILE_NOT_FOUND);
    assert_int_equal(os->directory_create(os, folder, &error), OMEN_OBJECT_IN_USE);
}

static void test_one_lock(void **state)
{
    int64_t first, second;
    assert_int_equal(os->file_open(os, path, OS_OPEN_WRITE, &first, NULL), OMEN_OK);
    assert_int_equal(os->file_open(os, path, OS_OPEN_WRITE, &second, NULL), OMEN_OK);
    assert_int_equal(os->file_lock(os, first, NULL), OMEN_OK);
    assert_int_equal(os->file_lock(os, second, NULL), OMEN_OBJECT_IN_USE);
    os->file_close(os, first);
    assert_int_equal(os->file_lock(os, second, NULL), OMEN_OK);
    os->file_close(os, second);
}

static omen_status count_name(void *context, const char *name)
{
    int *count = context;
    ++*count;
    assert_true(strcmp(name, "file") == 0 || strcmp(name, "other") == 0);
    return *count == 2 ? OMEN_END_OF_DATA : OMEN_OK;
}

static void test_names(void **state)
{
    int64_t file;
    int count = 0;
    assert_int_equal(os->directory_list(os, folder, count_name, &count, NULL), OMEN_OK);
    assert_int_equal(count, 1);
    assert_int_equal(os->file_open(os, other, OS_OPEN_CREATE_NEW, &file, NULL), OMEN_OK);
    os->file_close(os, file);
    count = 0;
    assert_int_equal(os->directory_list(os, folder, count_name, &count, NULL), OMEN_END_OF_DATA);
    assert_int_equal(os->file_rename(os, path, other, NULL), OMEN_OK);
    assert_int_equal(os->directory_sync(os, folder, NULL), OMEN_OK);
    assert_int_equal(os->directory_open(os, other, &file, NULL), OMEN_FILE_NOT_FOUND);
    assert_int_equal(os->directory_open(os, folder, &file, NULL), OMEN_OK);
    assert_int_equal(os->directory_sync_open(os, file, NULL), OMEN_OK);
    os->file_close(os, file);
    assert_int_equal(os->file_open(os, path, OS_OPEN_READ, &file, NULL), OMEN_FILE_NOT_FOUND);
    assert_int_equal(os->file_remove(os, other, NULL), OMEN_OK);
    assert_int_equal(os->file_remove(os, other, NULL), OMEN_FILE_NOT_FOUND);
    assert_int_equal(os->directory_list(os, other, count_name, &count, NULL), OMEN_FILE_NOT_FOUND);
}

static void test_following_links(void **state)
{
    char buffer[128], relative[128];
    snprintf(relative, sizeof relative, "%s/../%s/other", folder, strrchr(folder, '/') + 1);
    assert_int_equal(os->path_follow(os, path, buffer, sizeof buffer, NULL), OMEN_OK);
    assert_string_equal(buffer, path);
    assert_int_equal(symlink("file", other), 0);
    assert_int_equal(os->path_follow(os, other, buffer, sizeof buffer, NULL), OMEN_OK);
    assert_string_equal(buffer, path);
    assert_int_equal(os->path_follow(os, relative, buffer, sizeof buffer, NULL), OMEN_OK);
    assert_string_equal(strrchr(buffer, '/'), "/file");
    assert_int_equal(os->path_follow(os, other, buffer, strlen(path), NULL), OMEN_LIMIT_EXCEEDED);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(os->path_follow(os, other, buffer, sizeof buffer, NULL), OMEN_IO_ERROR);
    unlink(path);
    unlink(other);
}

static void test_taking_a_mode(void **state)
{
    int64_t file;
    struct stat facts;
    assert_int_equal(os->file_open(os, path, OS_OPEN_CREATE_OUT, &file, NULL), OMEN_OK);
    os->file_close(os, file);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(os->file_open(os, other, OS_OPEN_CREATE_NEW, &file, NULL), OMEN_OK);
    assert_int_equal(os->file_take_mode(os, file, path, NULL), OMEN_OK);
    assert_int_equal(stat(other, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0640);
    unlink(path);
    assert_int_equal(os->file_take_mode(os, file, path, NULL), OMEN_FILE_NOT_FOUND);
    os->file_close(os, file);
    unlink(other);
}

static void test_random_bytes_differ(void **state)
{
    uint8_t first[32] = {0}, second[32] = {0};
    os->random_bytes(os, first, sizeof first);
    os->random_bytes(os, second, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read_at), cmocka_unit_test(test_open_says_what_is_wrong),
        cmocka_unit_test(test_one_lock),          cmocka_unit_test(test_names),
        cmocka_unit_test(test_following_links),   cmocka_unit_test(test_taking_a_mode),
        cmocka_unit_test(test_random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
