/* test_refusals.c - what cannot be opened: each error says exactly why, and nothing changes: not a
 * bit of any file, not a name.
 *
 * On a simulated disk, whose hash covers all names and contents. A database with two tables, segments
 * with ends, and a log with commits behind the last checkpoint.
 */
#include "support.h"

#include <stdlib.h>

#include "api/api_private.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "crash/sim_disk.h"
#include "store/storage_private.h"
#include "wal/wal_format.h"

enum { PATH_BYTES = 256 };

static struct sim_disk *disk;
static omen_database *database;
static omen_connection *connection;

static omen_status try_open(const char *path, omen_error *error)
{
    const struct database_options options = {
        .path = path, .log_file_bytes = 64 * 1024, .no_background = true, .plain_segments = true};
    struct database *opened;
    OMEN_TRY(database_open(sim_disk_os(disk), &options, &opened, error));
    database = (omen_database *)opened;
    return omen_connect(database, &connection, error);
}

static void open_it(void)
{
    omen_error error = {.message = ""};
    if (try_open("/db", &error) != OMEN_OK)
        fail_msg("%s", error.message);
}

static omen_status close_it(void)
{
    omen_disconnect(connection);
    return omen_close(database, NULL);
}

static void run(const char *sql)
{
    struct ArrowArrayStream stream;
    omen_error error;
    if (omen_query(connection, sql, SIZE_MAX, &stream, NULL, &error) != OMEN_OK)
        fail_msg("%s: %s", sql, error.message);
    stream.release(&stream);
}

/* The database as it is after the power has failed. */
static int make(void **state)
{
    disk = sim_disk_create(3);
    open_it();
    run("CREATE TABLE t (id int PRIMARY KEY, v text)");
    run("CREATE TABLE u (id int PRIMARY KEY)");
    run("INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')");
    run("INSERT INTO u VALUES (1)");
    run("CHECKPOINT");
    run("DELETE FROM t WHERE id = 3");
    run("CHECKPOINT");
    for (int i = 10; i < 20; i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, 'behind the checkpoint')", i);
        run(sql);
    }
    struct sim_disk *image = sim_disk_draw(disk, SIM_KEEP, 1);
    assert_int_equal(close_it(), OMEN_OK);
    sim_disk_destroy(disk);
    disk = image;
    return 0;
}

static int destroy(void **state)
{
    assert_int_equal(sim_disk_open_count(disk), 0);
    sim_disk_destroy(disk);
    return 0;
}

/* --- files --- */

struct finding {
    const char *part;
    char path[PATH_BYTES];
};

static void match(void *context, const char *path, uint64_t bytes)
{
    struct finding *finding = context;
    if (strstr(path, finding->part) != NULL && strlen(path) < PATH_BYTES &&
        (finding->path[0] == '\0' || strcmp(path, finding->path) > 0))
        memcpy(finding->path, path, strlen(path) + 1);
}

/* The last of the files whose path has this part. */
static const char *find(const char *part)
{
    static struct finding finding;
    finding = (struct finding){.part = part};
    sim_disk_each(disk, match, &finding);
    assert_int_not_equal(finding.path[0], '\0');
    return finding.path;
}

static size_t get(const char *path, uint8_t *bytes, size_t capacity)
{
    const struct os *os = sim_disk_os(disk);
    int64_t file;
    size_t got;
    assert_int_equal(os->file_open(os, path, OS_OPEN_READ, &file, NULL), OMEN_OK);
    assert_int_equal(os->file_read_at(os, file, bytes, capacity, 0, &got, NULL), OMEN_OK);
    os->file_close(os, file);
    return got;
}

static void put(const char *path, uint64_t offset, const void *bytes, size_t length)
{
    const struct os *os = sim_disk_os(disk);
    int64_t file;
    if (os->file_open(os, path, OS_OPEN_WRITE, &file, NULL) != OMEN_OK)
        assert_int_equal(os->file_open(os, path, OS_OPEN_CREATE_NEW, &file, NULL), OMEN_OK);
    assert_int_equal(os->file_write_at(os, file, bytes, length, offset, NULL), OMEN_OK);
    os->file_close(os, file);
}

static void flip(const char *path, uint64_t offset)
{
    static uint8_t bytes[1 << 17];
    assert_true(get(path, bytes, sizeof bytes) > offset);
    bytes[offset] ^= 0x10;
    put(path, offset, &bytes[offset], 1);
}

static void move_away(const char *path)
{
    const struct os *os = sim_disk_os(disk);
    assert_int_equal(os->file_remove(os, path, NULL), OMEN_OK);
}

/* --- refusals --- */

/* Opening fails so, twice, and everything is as it was. */
static void expect_refusal(const char *path, omen_status status, const char *message)
{
    for (int i = 0; i < 2; i++) {
        omen_error error = {.message = ""};
        uint64_t hash = sim_disk_hash(disk);
        omen_status got = try_open(path, &error);
        if (got != status || strstr(error.message, message) == NULL)
            fail_msg("%d %s, not %d %s", got, error.message, status, message);
        assert_string_equal(error.sqlstate, omen_status_sqlstate(status));
        assert_true(sim_disk_hash(disk) == hash);
    }
}

static void test_what_is_no_database(void **state)
{
    const struct os *os = sim_disk_os(disk);
    put("/letter", 0, "text", 4);
    expect_refusal("/letter", OMEN_WRONG_OBJECT_TYPE,
                   "\"/letter\" is not a database: it is no directory");
    assert_int_equal(os->directory_create(os, "/home", NULL), OMEN_OK);
    put("/home/letter", 0, "text", 4);
    expect_refusal("/home", OMEN_WRONG_OBJECT_TYPE,
                   "\"/home\" is not a database: it is a directory with other files");
}

static void test_what_is_newer(void **state)
{
    static uint8_t bytes[1 << 16], before[1 << 16];
    size_t length = get("/db/manifest", bytes, sizeof bytes);
    memcpy(before, bytes, length);
    bytes_put_u32(bytes + 8, MANIFEST_FORMAT + 1);
    bytes_put_u64(bytes + 56, checksum64(bytes, 56, 0));
    put("/db/manifest", 0, bytes, length);
    expect_refusal("/db", OMEN_NOT_SUPPORTED,
                   "\"/db/manifest\" has format 3, which a newer OmenDB wrote");
    put("/db/manifest", 0, before, length);
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s", find("/log/0"));
    bytes_put_u32(bytes, WAL_FORMAT_VERSION + 1);
    put(path, 8, bytes, 4);
    expect_refusal("/db", OMEN_NOT_SUPPORTED, path);
    expect_refusal("/db", OMEN_NOT_SUPPORTED, "\" has format 2, which a newer OmenDB wrote");
}

/* A manifest with these facts of its only segment of the first table that has one. */
static void name_keys(const char *path, const uint8_t *keys, size_t length)
{
    struct allocator *allocator = allocator_create(0);
    struct manifest manifest;
    struct byte_writer writer = {.allocator = allocator}, facts = {.allocator = allocator};
    assert_int_equal(manifest_read(sim_disk_os(disk), "/db", allocator, &manifest, NULL), OMEN_OK);
    for (size_t i = 0; i < manifest.table_count; i++)
        for (size_t j = 0; j < manifest.tables[i].segment_count; j++) {
            struct manifest_segment *segment = &manifest.tables[i].segments[j];
            struct segment_facts known;
            char name[SEGMENT_PATH_BYTES_MAX];
            assert_true(segment_facts_take(segment->facts, segment->facts_bytes, &known));
            segment_path("/db/data", &known, SEGMENT_KEYS, name);
            if (strcmp(name, path) != 0)
                continue;
            known.keys_checksum = checksum64(keys, length, 0);
            segment_facts_put(&facts, &known);
            segment->facts = facts.data;
        }
    assert_true(facts.length > 0);
    manifest_encode(&writer, &manifest);
    put("/db/manifest", 0, writer.data, writer.length);
    byte_writer_release(&writer);
    byte_writer_release(&facts);
    manifest_release(&manifest);
    allocator_retire(allocator);
}

static void test_what_has_a_newer_sidecar(void **state)
{
    static uint8_t bytes[1 << 16];
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s", find(".keys"));
    size_t length = get(path, bytes, sizeof bytes);
    bytes_put_u32(bytes + 8, 2);
    bytes_put_u64(bytes + length - 8, checksum64(bytes, length - 8, 0));
    put(path, 0, bytes, length);
    name_keys(path, bytes, length);
    expect_refusal("/db", OMEN_NOT_SUPPORTED, path);
    expect_refusal("/db", OMEN_NOT_SUPPORTED, "has format 2, which is newer than this version of OmenDB");
}

static void test_what_is_read_only(void **state)
{
    sim_disk_set_read_only(disk, true);
    expect_refusal("/db", OMEN_INSUFFICIENT_PRIVILEGE, "database \"/db\" is read-only: ");
    sim_disk_set_read_only(disk, false);
}

static void test_what_is_held(void **state)
{
    open_it();
    expect_refusal("/db", OMEN_OBJECT_IN_USE, "database \"/db\" is in use by process ");
    assert_int_equal(close_it(), OMEN_OK);
}

static void test_what_lacks_a_file(void **state)
{
    static const struct {
        const char *part;
        omen_status status;
        const char *message; /* NULL: the path */
    } files[] = {{".plain", OMEN_FILE_NOT_FOUND, NULL},
                 {".keys", OMEN_FILE_NOT_FOUND, NULL},
                 {".ends", OMEN_FILE_NOT_FOUND, NULL},
                 {"/log/0", OMEN_CORRUPTED, "the log lacks the file that holds LSN "},
                 {"/db/manifest", OMEN_CORRUPTED, "database \"/db\" lacks its manifest"}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct sim_disk *whole = sim_disk_draw(disk, SIM_KEEP, 1);
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "%s", find(files[i].part));
        move_away(path);
        expect_refusal("/db", files[i].status, files[i].message == NULL ? path : files[i].message);
        sim_disk_destroy(disk);
        disk = whole;
    }
}

static void test_what_is_damaged(void **state)
{
    static const struct {
        const char *part;
        uint64_t offset;
        const char *message; /* beside the path */
    } places[] = {
        {"/db/manifest", 0, "\" is damaged: it does not begin as a manifest"},
        {"/db/manifest", 40, "\" is damaged: the checksum of its header is wrong"},
        {"/db/manifest", 70, "\" is damaged: the checksum of its content is wrong"},
        {".keys", 0, "\" is damaged: its checksum is wrong"},
        {".keys", 100, "\" is damaged: its checksum is wrong"},
        {".ends", 40, "\" is damaged: its checksum is wrong"},
        {"/log/0", 30, "damaged"}, /* the file's header */
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct sim_disk *whole = sim_disk_draw(disk, SIM_KEEP, 1);
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "%s", find(places[i].part));
        flip(path, places[i].offset);
        expect_refusal("/db", OMEN_CORRUPTED, path);
        expect_refusal("/db", OMEN_CORRUPTED, places[i].message);
        sim_disk_destroy(disk);
        disk = whole;
    }
}

/* A batch that later ones prove to have been durable. */
static void test_what_has_a_damaged_log(void **state)
{
    static uint8_t bytes[1 << 17];
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s", find("/log/0"));
    size_t length = get(path, bytes, sizeof bytes), at = 0;
    static const char text[] = "behind the checkpoint";
    while (at + sizeof text < length && memcmp(bytes + at, text, sizeof text - 1) != 0)
        at++;
    assert_true(at + sizeof text < length);
    flip(path, at);
    expect_refusal("/db", OMEN_CORRUPTED, "the log is damaged at LSN ");
    flip(path, at);
    open_it();
    assert_int_equal(close_it(), OMEN_OK);
}

/* A log whose batches are all right, and which says what cannot be. */
static void test_what_has_a_log_that_makes_no_sense(void **state)
{
    static uint8_t bytes[1 << 17];
    char path[PATH_BYTES];
    struct wal_header header;
    struct wal_batch batch;
    snprintf(path, sizeof path, "%s", find("/log/0"));
    get(path, bytes, sizeof bytes);
    assert_int_equal(wal_header_decode(bytes, WAL_HEADER_BYTES, path, &header, NULL), OMEN_OK);
    uint64_t lsn = header.first_lsn;
    for (;; lsn += sizeof(struct wal_batch_bytes) + batch.length) {
        uint8_t *at = bytes + WAL_HEADER_BYTES + (lsn - header.first_lsn);
        size_t length = wal_batch_bytes(at, (size_t)(bytes + sizeof bytes - at), lsn, 1 << 16);
        assert_true(length != 0 && wal_batch_decode(at, length, lsn, header.salt, &batch));
        uint8_t *record = at + sizeof(struct wal_batch_bytes), *commit = record + 8;
        static const char text[] = "behind the checkpoint";
        bool found = false;
        for (size_t i = 0; i + sizeof text <= batch.length + 1 && !found; i++)
            found = memcmp(record + i, text, sizeof text - 1) == 0;
        if (!found)
            continue;
        commit[8 + 2] = 0x7F; /* timestamp | kind, length | the table's id */
        wal_batch_encode(&batch, header.salt, at);
        put(path, (uint64_t)(at - bytes), at, length);
        break;
    }
    expect_refusal("/db", OMEN_CORRUPTED, "the log has rows of a table that never was");
}

/* A whole log, which ends where it ended before: closing could make no checkpoint, and says in the
 * manifest how far the log goes. */
static void test_what_has_a_former_log(void **state)
{
    static uint8_t former[1 << 17];
    char path[PATH_BYTES];
    open_it();
    run("INSERT INTO t VALUES (30, 'kept in the former log')");
    snprintf(path, sizeof path, "%s", find("/log/0"));
    size_t length = get(path, former, sizeof former);
    run("INSERT INTO t VALUES (31, 'and this is not')");
    sim_disk_fail(disk, &(struct sim_fault){SIM_CREATE, SIM_PARQUET, 1, true, OMEN_IO_ERROR});
    assert_int_equal(close_it(), OMEN_OK);
    assert_true(sim_disk_failures(disk, SIM_CREATE, SIM_PARQUET) > 0);
    sim_disk_mend(disk);
    struct sim_disk *closed = sim_disk_draw(disk, SIM_KEEP, 1);
    put(path, 0, former, length);
    expect_refusal("/db", OMEN_CORRUPTED, "although it was durable up to LSN ");
    sim_disk_destroy(disk);
    disk = closed;
    open_it();
    omen_value key = {.type.id = OMEN_TYPE_INTEGER, .as.i32 = 31};
    omen_row *row;
    assert_int_equal(omen_get(connection, "t", NULL, &key, 1, &row, NULL), OMEN_OK);
    omen_row_release(row);
    assert_int_equal(close_it(), OMEN_OK);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_no_database),
        TEST(test_what_is_newer),
        TEST(test_what_has_a_newer_sidecar),
        TEST(test_what_is_read_only),
        TEST(test_what_is_held),
        TEST(test_what_lacks_a_file),
        TEST(test_what_is_damaged),
        TEST(test_what_has_a_damaged_log),
        TEST(test_what_has_a_log_that_makes_no_sense),
        TEST(test_what_has_a_former_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
