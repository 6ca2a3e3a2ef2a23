/* support.h - folders, files and schemas that the tests of src/store share. */
#ifndef OMEN_TESTS_STORE_SUPPORT_H
#define OMEN_TESTS_STORE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "column/schema.h"

/* A folder for one test, absolute, empty; gone with all that is in it after test_folder_remove. */
extern char test_folder[64];
int test_folder_make(void **state);
int test_folder_remove(void **state);

/* "<test_folder>/<name>", in one of a few static buffers. */
const char *test_path(const char *name);

/* Whole small files. `read` gives the length, or -1 where there is no such file. */
void test_file_write(const char *path, const void *data, size_t length);
long test_file_read(const char *path, void *data, size_t capacity);
int test_file_mode(const char *path); /* of permissions, -1 where there is none */

/* All names below a folder with their content, summed: two equal digests, nothing changed. */
uint64_t test_digest(const char *path);

/* A table of every type, with defaults and a composite key; or one with a hidden key. */
struct schema *test_schema(struct allocator *allocator, int hidden);

#endif
