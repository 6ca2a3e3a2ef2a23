/* test_verify.c - what verifying finds in a whole database, and in damaged ones; that it changes nothing.
 */
#include "support.h"

#include <stdlib.h>

#include "api/api_private.h"
#include "crash/sim_disk.h"
#include "store/manifest.h"
#include "table/table.h"

enum { LINES_BYTES = 16384, FILES_MAX = 32, PATH_BYTES = 128 };

static struct sim_disk *disk;
static const struct os *os;
static char lines[LINES_BYTES];

static void take_line(void *context, const char *line)
{
    size_t used = strlen(lines);
    snprintf(lines + used, sizeof lines - used, "%s\n", line);
}

static omen_status verify(uint64_t *faults, omen_error *error)
{
    lines[0] = '\0';
    return api_verify(os, "/db", NULL, take_line, NULL, faults, error);
}

static void expect_faults(uint64_t expected)
{
    uint64_t faults;
    omen_error error;
    uint64_t hash = sim_disk_hash(disk);
    omen_status status = verify(&faults, &error);
    if (status != OMEN_OK || faults != expected)
        print_error("%s%s\n", lines, status == OMEN_OK ? "" : error.message);
    assert_int_equal(status, OMEN_OK);
    assert_int_equal(faults, expected);
    assert_int_equal(sim_disk_hash(disk), hash);
    assert_int_equal(sim_disk_open_count(disk), 0);
}

static omen_database *database;
static omen_connection *connection;

static void open_database(void)
{
    omen_options options;
    omen_options_init(&options);
    options.log_file_bytes = 64 * 1024;
    options.no_background = true;
    assert_int_equal(api_open(os, "/db", &options, &database, NULL), OMEN_OK);
    assert_int_equal(omen_connect(database, &connection, NULL), OMEN_OK);
}

static void run(const char *sql)
{
    struct ArrowArrayStream stream;
    omen_error error;
    omen_status status = omen_query(connection, sql, strlen(sql), &stream, NULL, &error);
    if (status != OMEN_OK)
        print_error("%s: %s\n", sql, error.message);
    assert_int_equal(status, OMEN_OK);
    stream.release(&stream);
}

static void close_database(void)
{
    omen_disconnect(connection);
    assert_int_equal(omen_close(database, NULL), OMEN_OK);
}

/* Two tables with segments, ends and, where the power went, a log. */
static int make(void **state)
{
    char sql[128];
    disk = sim_disk_create(1);
    os = sim_disk_os(disk);
    open_database();
    run("CREATE TABLE t (id int PRIMARY KEY, v numeric(10,2), s text)");
    run("CREATE TABLE u (a text, b bytea, PRIMARY KEY (b, a))");
    for (int i = 0; i < 100; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, %d.5, 'text number %d')", i, i, i);
        run(sql);
        snprintf(sql, sizeof sql, "INSERT INTO u VALUES ('a%d', '\\x%04x')", i, i % 7);
        run(sql);
    }
    close_database();
    open_database();
    run("DELETE FROM t WHERE id = 5");
    run("UPDATE t SET v = 0 WHERE id = 6");
    run("CHECKPOINT");
    run("INSERT INTO t VALUES (1000, NULL, NULL)");
    run("DELETE FROM t WHERE id = 7");
    struct sim_disk *image = sim_disk_draw(disk, SIM_KEEP, 1);
    close_database();
    sim_disk_destroy(disk);
    disk = image;
    os = sim_disk_os(disk);
    return 0;
}

static int clean(void **state)
{
    sim_disk_destroy(disk);
    return 0;
}

static void test_a_whole_database(void **state)
{
    expect_faults(0);
    assert_non_null(strstr(lines, "table \"t\": 2 segments\n"));
    assert_non_null(strstr(lines, "log: 2 commits\n"));
    open_database();
    close_database();
    expect_faults(0);
    assert_non_null(strstr(lines, "log: 0 commits\n"));
}

/* Appends a group of its own, too large to be merged with a neighbour. */
static void insert_group(int first, int rows)
{
    static char sql[1000 * 200];
    struct table *table;
    for (int done = 0; done < rows; done += 1000) {
        int length = snprintf(sql, sizeof sql, "INSERT INTO w VALUES ");
        for (int i = 0; i < 1000; i++)
            length += snprintf(sql + length, sizeof sql - (size_t)length, "%s(%d, '%0100d')",
                               i > 0 ? ", " : "", first + done + i, i);
        run(sql);
    }
    struct catalog *catalog = ((struct database *)database)->catalog;
    assert_int_equal(catalog_find(catalog, "w", 1, &table, NULL), OMEN_OK);
    table_seal_open(table);
    table_release(table);
}

/* A segment of more columns than there is memory. */
static void test_memory_is_bounded(void **state)
{
    enum { GROUPS = 12, ROWS = 17000, MEMORY = 16 << 20 };
    bool more = true;
    open_database();
    run("CREATE TABLE w (id int PRIMARY KEY, s text)");
    for (int i = 0; i < GROUPS; i++)
        insert_group(i * ROWS, ROWS);
    while (more)
        assert_int_equal(omen_maintain(database, 1 << 20, &more, NULL), OMEN_OK);
    assert_true(omen_memory_bytes(database) > 3 * MEMORY / 2);
    close_database();
    omen_options options;
    omen_options_init(&options);
    options.memory_bytes_max = MEMORY;
    uint64_t faults = 1;
    omen_error error;
    lines[0] = '\0';
    omen_status status = api_verify(os, "/db", &options, take_line, NULL, &faults, &error);
    if (status != OMEN_OK || faults > 0)
        print_error("%s\n", lines);
    assert_int_equal(status, OMEN_OK);
    assert_int_equal(faults, 0);
    assert_non_null(strstr(lines, "table \"w\": 1 segments\n"));
}

static void test_what_cannot_be_verified(void **state)
{
    uint64_t faults;
    omen_error error;
    struct sim_disk *other = sim_disk_create(2);
    open_database();
    assert_int_equal(verify(&faults, &error), OMEN_OBJECT_IN_USE);
    close_database();
    uint64_t hash = sim_disk_hash(other);
    assert_int_equal(
        api_verify(sim_disk_os(other), "/db", NULL, take_line, NULL, &faults, &error),
        OMEN_FILE_NOT_FOUND);
    assert_int_equal(sim_disk_hash(other), hash);
    sim_disk_destroy(other);
}

/* --- damage --- */

static char files[FILES_MAX][PATH_BYTES];
static uint64_t lengths[FILES_MAX];
static size_t file_count;
static const char *wanted; /* in their paths */

static void note_file(void *context, const char *path, uint64_t bytes)
{
    if (strstr(path, wanted) == NULL || bytes == 0)
        return;
    assert_true(file_count < FILES_MAX && strlen(path) < PATH_BYTES);
    memcpy(files[file_count], path, strlen(path) + 1);
    lengths[file_count++] = bytes;
}

static void find_files(const char *part)
{
    wanted = part;
    file_count = 0;
    sim_disk_each(disk, note_file, NULL);
}

static void flip(const char *path, uint64_t offset, uint8_t mask)
{
    int64_t file;
    uint8_t byte;
    size_t got;
    assert_int_equal(os->file_open(os, path, OS_OPEN_WRITE, &file, NULL), OMEN_OK);
    assert_int_equal(os->file_read_at(os, file, &byte, 1, offset, &got, NULL), OMEN_OK);
    byte ^= mask;
    assert_int_equal(os->file_write_at(os, file, &byte, 1, offset, NULL), OMEN_OK);
    os->file_close(os, file);
}

/* A bit anywhere in a file of data/: one fault, which names the segment. */
static void test_every_file_is_summed(void **state)
{
    uint64_t faults;
    find_files("/data/");
    assert_int_equal(file_count, 3 * 2 + 1);
    for (size_t i = 0; i < file_count; i++) {
        for (uint64_t offset = 0; offset < lengths[i]; offset += 1 + lengths[i] / 17) {
            flip(files[i], offset, (uint8_t)(1 << offset % 8));
            assert_int_equal(verify(&faults, NULL), OMEN_OK);
            assert_int_equal(faults, 1);
            assert_non_null(strstr(lines, "fault in table \""));
            assert_non_null(strstr(lines, strrchr(files[i], '.') + 1));
            assert_non_null(strstr(lines, "XX001"));
            flip(files[i], offset, (uint8_t)(1 << offset % 8));
        }
    }
    expect_faults(0);
}

static void test_a_damaged_manifest(void **state)
{
    flip("/db/manifest", 90, 4);
    expect_faults(1);
    assert_non_null(strstr(lines, "fault in manifest: \"/db/manifest\" is damaged"));
}

/* The first commit behind the checkpoint: what comes after proves that it was durable. */
static void test_a_damaged_log(void **state)
{
    find_files("/log/");
    struct manifest manifest;
    struct allocator allocator;
    allocator_init(&allocator, 0);
    assert_int_equal(manifest_read(os, "/db", &allocator, &manifest, NULL), OMEN_OK);
    flip(files[0], 4096 + manifest.start_lsn - strtoull(strrchr(files[0], '/') + 1, NULL, 16) + 40, 1);
    manifest_release(&manifest);
    uint64_t faults;
    assert_int_equal(verify(&faults, NULL), OMEN_OK);
    if (faults > 0)
        assert_non_null(strstr(lines, "fault in log: "));
    else /* or the tail is torn there */
        assert_non_null(strstr(lines, "log: 0 commits"));
}

static void test_a_missing_file(void **state)
{
    find_files(".keys");
    assert_int_equal(os->file_remove(os, files[0], NULL), OMEN_OK);
    expect_faults(1);
    assert_non_null(strstr(lines, "58P01"));
    assert_non_null(strstr(lines, files[0]));
}

/* Files that are whole and do not fit together: a segment named twice, so that keys come twice. */
static void test_index_entries_are_checked(void **state)
{
    struct manifest manifest;
    struct allocator allocator;
    enum manifest_state kept;
    allocator_init(&allocator, 0);
    assert_int_equal(manifest_read(os, "/db", &allocator, &manifest, NULL), OMEN_OK);
    struct manifest_table *table = &manifest.tables[0];
    assert_int_equal(table->segment_count, 2);
    table->segments[1] = table->segments[0];
    assert_int_equal(manifest_write(os, "/db", &allocator, &manifest, &kept, NULL), OMEN_OK);
    manifest_release(&manifest);
    expect_faults(1);
    assert_non_null(strstr(lines, "fault in table \"t\": "));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_whole_database),    TEST(test_what_cannot_be_verified),
        TEST(test_memory_is_bounded), TEST(test_every_file_is_summed), TEST(test_a_damaged_manifest),
        TEST(test_a_damaged_log),       TEST(test_a_missing_file),
        TEST(test_index_entries_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
