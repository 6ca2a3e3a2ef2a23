/* test_manifest.c - the root file: what is written is read back, damage is told, swaps are atomic. */
#include "support.h"

#include "base/checksum.h"
#include "store/manifest.h"

static struct allocator allocator;

static int make(void **state)
{
    allocator_init(&allocator, 0);
    return test_folder_make(state);
}

static int clean(void **state)
{
    assert_int_equal(allocator.bytes_used, 0);
    return test_folder_remove(state);
}

static struct manifest_segment segments[] = {{(const uint8_t *)"abc", 3}, {NULL, 0}};

/* A schema with unique constraints, and no primary key. */
static struct schema *unique_schema(void)
{
    const struct column_definition columns[] = {
        {"a", {.id = OMEN_TYPE_INTEGER}, true, NULL},
        {"b", {.id = OMEN_TYPE_VARCHAR, .length_max = 9}, true, "'x'"},
        {"c", {.id = OMEN_TYPE_BIGINT}, false, NULL}};
    const uint32_t places[] = {2, 0, 1};
    const struct unique_definition uniques[] = {{"t_c_a_key", places, 2},
                                                {"\xC3\xA9t\xC3\xA9", places + 1, 2}};
    const struct schema_definition definition = {
        .columns = columns, .column_count = 3, .uniques = uniques, .unique_count = 2};
    struct schema *schema;
    assert_int_equal(schema_define(&allocator, &definition, &schema, NULL), OMEN_OK);
    return schema;
}

/* A manifest of two tables; its schemas are the caller's. */
static struct manifest sample(struct manifest_table tables[2])
{
    tables[0] = (struct manifest_table){
        .definition = {.id = 7, .name = "orders", .schema = test_schema(&allocator, 0)},
        .group_number_next = 12,
        .hidden_key_next = 1,
        .segments = segments,
        .segment_count = 2,
    };
    tables[1] = (struct manifest_table){
        .definition = {.id = 3, .name = "a \"b\"", .schema = unique_schema()},
        .group_number_next = 1,
        .hidden_key_next = INT64_MAX,
    };
    return (struct manifest){
        .database_id = "0123456789abcde",
        .generation = 5,
        .timestamp = 77,
        .start_lsn = 4096,
        .proven_lsn = 8192,
        .written_us = -3,
        .table_id_next = 8,
        .tables = tables,
        .table_count = 2,
    };
}

static void release(struct manifest_table tables[2])
{
    definition_release(&tables[0].definition);
    definition_release(&tables[1].definition);
}

static void encode(struct byte_writer *writer)
{
    struct manifest_table tables[2];
    struct manifest manifest = sample(tables);
    *writer = (struct byte_writer){.allocator = &allocator};
    manifest_encode(writer, &manifest);
    assert_false(writer->failed);
    release(tables);
}

static void test_round_trip(void **state)
{
    struct byte_writer writer, again = {.allocator = &allocator};
    struct manifest manifest;
    encode(&writer);
    assert_int_equal(
        manifest_decode(writer.data, writer.length, &allocator, "m", &manifest, NULL), OMEN_OK);
    assert_int_equal(manifest.generation, 5);
    assert_int_equal(manifest.table_count, 2);
    assert_int_equal(manifest.tables[0].segment_count, 2);
    assert_memory_equal(manifest.tables[0].segments[0].facts, "abc", 3);
    const struct schema *schema = manifest.tables[0].definition.schema;
    assert_int_equal(schema->key.count, 2);
    assert_string_equal(schema->columns[schema->key.columns[0]].name, "\xC3\xA9t\xC3\xA9");
    assert_string_equal(schema->columns[1].default_text, "'x' || 'y'");
    assert_string_equal(schema->columns[4].default_text, "");
    assert_true(manifest.tables[1].definition.schema->key_hidden);
    schema = manifest.tables[1].definition.schema;
    assert_int_equal(schema->unique_count, 2);
    assert_string_equal(schema->uniques[0].name, "t_c_a_key");
    assert_int_equal(schema->uniques[0].count, 2);
    assert_int_equal(schema->uniques[0].columns[0], 2);
    assert_int_equal(schema->uniques[0].columns[1], 0);
    assert_string_equal(schema->uniques[1].name, "\xC3\xA9t\xC3\xA9");
    assert_int_equal(schema->uniques[1].kind, INDEX_BYTES);
    assert_true(schema->columns[0].nullable);
    manifest_encode(&again, &manifest);
    assert_int_equal(again.length, writer.length);
    assert_memory_equal(again.data, writer.data, writer.length);
    manifest_release(&manifest);
    byte_writer_release(&again);
    byte_writer_release(&writer);
}

/* What needs nothing new is written so that an older build opens it. */
static void test_writes_the_oldest_format_that_will_do(void **state)
{
    struct manifest_table tables[2];
    struct manifest manifest = sample(tables);
    for (uint32_t count = 1; count <= 2; count++) {
        struct byte_writer writer = {.allocator = &allocator};
        manifest.table_count = count;
        manifest_encode(&writer, &manifest);
        assert_false(writer.failed);
        assert_int_equal(bytes_get_u32(writer.data + 8), count); /* the second has constraints */
        byte_writer_release(&writer);
    }
    release(tables);
}

static omen_status decode(const uint8_t *data, size_t length, omen_error *error)
{
    struct manifest manifest;
    omen_status status = manifest_decode(data, length, &allocator, "d/manifest", &manifest, error);
    manifest_release(&manifest);
    return status;
}

/* Any bit flipped, any length cut, anything appended: CORRUPTED, saying which file. */
static void test_damage_is_told(void **state)
{
    struct byte_writer writer;
    encode(&writer);
    omen_error error;
    for (size_t bit = 0; bit < writer.length * 8; bit++) {
        writer.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(decode(writer.data, writer.length, &error), OMEN_CORRUPTED);
        assert_string_equal(error.sqlstate, "XX001");
        assert_non_null(strstr(error.message, "d/manifest"));
        writer.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < writer.length; cut++)
        assert_int_equal(decode(writer.data, cut, &error), OMEN_CORRUPTED);
    byte_writer_u8(&writer, 0);
    assert_int_equal(decode(writer.data, writer.length, &error), OMEN_CORRUPTED);
    assert_int_equal(decode(writer.data, writer.length - 1, &error), OMEN_OK);
    byte_writer_release(&writer);
}

static void test_newer_format_is_refused(void **state)
{
    struct byte_writer writer;
    encode(&writer);
    bytes_put_u32(writer.data + 8, MANIFEST_FORMAT + 1);
    bytes_put_u64(writer.data + 56, checksum64(writer.data, 56, 0));
    memset(writer.data + 64, 0xAA, 20); /* whatever that format says */
    omen_error error;
    assert_int_equal(decode(writer.data, writer.length, &error), OMEN_NOT_SUPPORTED);
    assert_string_equal(error.sqlstate, "0A000");
    assert_string_equal(error.message, "\"d/manifest\" has format 3, which a newer OmenDB wrote; "
                                       "this one reads formats up to 2");
    byte_writer_release(&writer);
}

/* Running out of memory anywhere is told and loses none. */
static void test_failing_memory(void **state)
{
    struct byte_writer writer;
    encode(&writer);
    for (uint64_t nth = 1;; nth++) {
        allocator_fail_at(&allocator, nth, 0);
        omen_status status = decode(writer.data, writer.length, NULL);
        bool failed = allocator_has_failed(&allocator);
        allocator_fail_at(&allocator, 0, 0);
        assert_int_equal(status, failed ? OMEN_OUT_OF_MEMORY : OMEN_OK);
        if (!failed)
            break;
    }
    byte_writer_release(&writer);
}

/* --- files; an operating system whose calls are noted and fail on request --- */

static struct os os;
static char calls[256];
static char fail_call; /* the first letter of the call that fails; 0: none */
static omen_status fail_status;

static omen_status noted(char call, omen_error *error)
{
    size_t length = strlen(calls);
    calls[length] = call, calls[length + 1] = '\0';
    return call == fail_call ? error_set(error, fail_status, "failed as planned") : OMEN_OK;
}

static omen_status write_at(const struct os *self, int64_t file, const void *data, size_t length,
                            uint64_t offset, omen_error *error)
{
    OMEN_TRY(noted('w', error));
    return os_real.file_write_at(self, file, data, length, offset, error);
}

static omen_status sync_file(const struct os *self, int64_t file, omen_error *error)
{
    OMEN_TRY(noted('s', error));
    return os_real.file_sync(self, file, error);
}

static omen_status rename_file(const struct os *self, const char *from, const char *to,
                               omen_error *error)
{
    OMEN_TRY(noted('r', error));
    return os_real.file_rename(self, from, to, error);
}

static omen_status open_directory(const struct os *self, const char *path, int64_t *directory,
                                  omen_error *error)
{
    OMEN_TRY(noted('o', error));
    return os_real.directory_open(self, path, directory, error);
}

static omen_status sync_directory(const struct os *self, int64_t directory, omen_error *error)
{
    OMEN_TRY(noted('d', error));
    return os_real.directory_sync_open(self, directory, error);
}

static omen_status write_generation(uint64_t generation, enum manifest_state *manifest_state,
                                    omen_error *error)
{
    os = os_real;
    os.file_write_at = write_at;
    os.file_sync = sync_file;
    os.file_rename = rename_file;
    os.directory_open = open_directory;
    os.directory_sync_open = sync_directory;
    calls[0] = '\0';
    struct manifest_table tables[2];
    struct manifest manifest = sample(tables);
    manifest.generation = generation;
    omen_status status =
        manifest_write(&os, test_folder, &allocator, &manifest, manifest_state, error);
    release(tables);
    return status;
}

static uint64_t read_generation(void)
{
    struct manifest manifest;
    assert_int_equal(manifest_read(&os_real, test_folder, &allocator, &manifest, NULL), OMEN_OK);
    uint64_t generation = manifest.generation;
    manifest_release(&manifest);
    return generation;
}

static void test_swap_order(void **state)
{
    enum manifest_state kept;
    fail_call = 0;
    assert_int_equal(write_generation(1, &kept, NULL), OMEN_OK);
    assert_string_equal(calls, "owsrd");
    assert_int_equal(kept, MANIFEST_NEW);
    assert_int_equal(test_file_mode(test_path("manifest")), 0600);
    assert_int_equal(test_file_mode(test_path("manifest.new")), -1);
    assert_int_equal(read_generation(), 1);
    test_file_write(test_path("manifest.new"), "left behind", 11);
    assert_int_equal(write_generation(2, &kept, NULL), OMEN_OK);
    assert_int_equal(read_generation(), 2);
}

/* R8.4: what counts after each failure. */
static void test_r8_4_failed_swaps(void **state)
{
    static const struct {
        char call;
        omen_status status;
        const char *calls;
        enum manifest_state kept;
        uint64_t generation;
    } cases[] = {
        {'o', OMEN_INSUFFICIENT_RESOURCES, "o", MANIFEST_OLD, 1},
        {'o', OMEN_OUT_OF_MEMORY, "o", MANIFEST_OLD, 1},
        {'w', OMEN_DISK_FULL, "ow", MANIFEST_OLD, 1},
        {'w', OMEN_IO_ERROR, "ow", MANIFEST_OLD, 1},
        {'s', OMEN_IO_ERROR, "ows", MANIFEST_OLD, 1},
        {'r', OMEN_DISK_FULL, "owsr", MANIFEST_OLD, 1},
        {'r', OMEN_OUT_OF_MEMORY, "owsr", MANIFEST_OLD, 1},
        {'r', OMEN_IO_ERROR, "owsr", MANIFEST_UNKNOWN, 1},
        {'d', OMEN_IO_ERROR, "owsrd", MANIFEST_UNKNOWN, 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum manifest_state kept;
        omen_error error;
        fail_call = 0;
        assert_int_equal(write_generation(1, &kept, NULL), OMEN_OK);
        fail_call = cases[i].call;
        fail_status = cases[i].status;
        assert_int_equal(write_generation(9, &kept, &error), cases[i].status);
        assert_string_equal(calls, cases[i].calls);
        assert_int_equal(kept, cases[i].kept);
        assert_int_equal(read_generation(), cases[i].generation);
    }
}

static void test_no_manifest(void **state)
{
    struct manifest manifest;
    omen_error error;
    assert_int_equal(manifest_read(&os_real, test_folder, &allocator, &manifest, &error),
                     OMEN_FILE_NOT_FOUND);
    manifest_release(&manifest);
    test_file_write(test_path("manifest"), "", 0);
    assert_int_equal(manifest_read(&os_real, test_folder, &allocator, &manifest, &error),
                     OMEN_CORRUPTED);
    manifest_release(&manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, make, clean),
        cmocka_unit_test_setup_teardown(test_writes_the_oldest_format_that_will_do, make, clean),
        cmocka_unit_test_setup_teardown(test_damage_is_told, make, clean),
        cmocka_unit_test_setup_teardown(test_newer_format_is_refused, make, clean),
        cmocka_unit_test_setup_teardown(test_failing_memory, make, clean),
        cmocka_unit_test_setup_teardown(test_swap_order, make, clean),
        cmocka_unit_test_setup_teardown(test_r8_4_failed_swaps, make, clean),
        cmocka_unit_test_setup_teardown(test_no_manifest, make, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
