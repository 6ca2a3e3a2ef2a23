/* support.c - folders, files and schemas that the tests of src/store share. */
#define _GNU_SOURCE
#include "support.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checksum.h"

char test_folder[64];

int test_folder_make(void **state)
{
    snprintf(test_folder, sizeof test_folder, "/tmp/omendb-store-XXXXXX");
    return mkdtemp(test_folder) == NULL;
}

static void remove_tree(const char *path)
{
    DIR *directory = opendir(path);
    char name[4096];
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (unlink(name) != 0)
            remove_tree(name);
    }
    if (directory != NULL)
        closedir(directory);
    rmdir(path);
}

int test_folder_remove(void **state)
{
    remove_tree(test_folder);
    return 0;
}

const char *test_path(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", test_folder, name);
    return path;
}

void test_file_write(const char *path, const void *data, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

long test_file_read(const char *path, void *data, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return -1;
    size_t length = fread(data, 1, capacity, file);
    fclose(file);
    return (long)length;
}

int test_file_mode(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 ? (int)(facts.st_mode & 0777) : -1;
}

uint64_t test_digest(const char *path)
{
    uint64_t digest = checksum64(path, strlen(path), 0);
    DIR *directory = opendir(path);
    if (directory == NULL) {
        static uint8_t data[1 << 20];
        long length = test_file_read(path, data, sizeof data);
        return length < 0 ? 0 : checksum64(data, (size_t)length, digest);
    }
    uint64_t sum = 0; /* the order of names is the system's */
    char name[4096];
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        sum += test_digest(name);
    }
    closedir(directory);
    return digest + sum;
}

struct schema *test_schema(struct allocator *allocator, int hidden)
{
    static const struct column_definition columns[] = {
        {.name = "id", .type.id = OMEN_TYPE_BIGINT},
        {.name = "name", .type = {.id = OMEN_TYPE_VARCHAR, .length_max = 40}, .nullable = true,
         .default_text = "'x' || 'y'"},
        {.name = "price", .type = {.id = OMEN_TYPE_DECIMAL, .precision = 12, .scale = 2}},
        {.name = "seen \"at\"", .type.id = OMEN_TYPE_TIMESTAMPTZ, .nullable = true},
        {.name = "\xC3\xA9t\xC3\xA9", .type.id = OMEN_TYPE_TEXT, .nullable = true,
         .default_text = ""},
    };
    static const uint32_t key[] = {4, 0};
    struct schema *schema;
    assert_int_equal(
        schema_create(allocator, columns, 5, key, hidden ? 0 : 2, &schema, NULL), OMEN_OK);
    return schema;
}
