/* test_os.c - an operating system that fails: read errors in COPY, interrupts and timeouts while it
 * reads, engines of other versions.
 */
#include "support.h"

#include <string.h>

#include "api/api_private.h"
#include "omendb_engine.h"

static const char *content;  /* of every file */
static size_t fail_at;       /* the read at this offset fails */
static size_t offset;
static int files_open;

static omen_status open_file(const struct os *os, const char *path, enum os_open how,
                             int64_t *file, omen_error *error)
{
    offset = 0;
    files_open++;
    *file = 7;
    return OMEN_OK;
}

static omen_connection *interrupted; /* by every read, unless NULL */
static uint64_t now_ns;

static uint64_t one_second_later(const struct os *os)
{
    return now_ns += 1000000000;
}

static omen_status read_file(const struct os *os, int64_t file, void *buffer, size_t capacity,
                             size_t *length, omen_error *error)
{
    size_t left = strlen(content) - offset;
    assert_int_equal(file, 7);
    omen_interrupt(interrupted);
    if (offset >= fail_at)
        return error_set(error, OMEN_IO_ERROR, "could not read file: the disk is on fire");
    *length = left < 5 ? left : 5;
    memcpy(buffer, content + offset, *length);
    offset += *length;
    return OMEN_OK;
}

static void close_file(const struct os *os, int64_t file)
{
    files_open--;
}

static omen_status open_library(const struct os *os, const char *path, void **library,
                                omen_error *error)
{
    *library = (void *)1;
    return OMEN_OK;
}

static void close_library(const struct os *os, void *library)
{
}

static omen_engine other_engine;

static const omen_engine *refuse_version(uint32_t abi_version)
{
    return NULL;
}

static const omen_engine *ignore_version(uint32_t abi_version)
{
    return &other_engine;
}

static omen_engine_entry_function entry;

static void *find_symbol(const struct os *os, void *library, const char *name)
{
    void *symbol;
    assert_string_equal(name, "omen_engine_entry");
    memcpy(&symbol, &entry, sizeof symbol);
    return symbol;
}

static const char *no_environment(const struct os *os, const char *name)
{
    return NULL;
}

static struct fixture open_over(const struct os *os)
{
    struct fixture fixture = {0};
    omen_options options;
    omen_options_init(&options);
    options.file_access = true;
    assert_int_equal(api_open(os, NULL, &options, &fixture.database, NULL), OMEN_OK);
    assert_int_equal(omen_connect(fixture.database, &fixture.connection, NULL), OMEN_OK);
    return fixture;
}

static void test_read_error_in_copy(void **state)
{
    struct os os = os_real;
    os.file_open = open_file, os.file_read = read_file, os.file_close = close_file;
    struct fixture fixture = open_over(&os);
    omen_connection *c = fixture.connection;
    content = "1,one\n2,two\n3,three\n";
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, v text)", "");
    for (fail_at = 0; fail_at <= strlen(content); fail_at += 5) {
        expect(c, "COPY t FROM 'x' (FORMAT csv)", "ERROR 58030");
        assert_non_null(strstr(last_error()->message, "on fire"));
        expect(c, "SELECT v FROM t WHERE id = 1", "");
        assert_int_equal(files_open, 0);
    }
    fail_at = SIZE_MAX;
    expect(c, "COPY t FROM 'x' (FORMAT csv)", "3 rows\n");
    expect(c, "SELECT v FROM t WHERE id = 3", "three\n");
    assert_int_equal(files_open, 0);
    fixture_close(&fixture);
}

static void test_copy_is_cancelled(void **state)
{
    struct os os = os_real;
    os.file_open = open_file, os.file_read = read_file, os.file_close = close_file;
    os.monotonic_ns = one_second_later;
    struct fixture fixture = open_over(&os);
    omen_connection *c = fixture.connection;
    content = "1,one\n2,two\n3,three\n";
    fail_at = SIZE_MAX;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, v text)", "");
    interrupted = c;
    expect(c, "COPY t FROM 'x' (FORMAT csv)", "ERROR 57014");
    assert_non_null(strstr(last_error()->message, "user request"));
    interrupted = NULL;
    expect(c, "SET statement_timeout = '2s'", "");
    expect(c, "COPY t FROM 'x' (FORMAT csv)", "ERROR 57014");
    assert_non_null(strstr(last_error()->message, "statement timeout"));
    expect(c, "SELECT v FROM t WHERE id = 1", "");
    assert_int_equal(files_open, 0);
    expect(c, "SET statement_timeout = '1min'", "");
    expect(c, "COPY t FROM 'x' (FORMAT csv)", "3 rows\n");
    fixture_close(&fixture);
}

static void test_engine_versions(void **state)
{
    struct os os = os_real;
    os.library_open = open_library, os.library_symbol = find_symbol;
    os.library_close = close_library, os.environment = no_environment;
    struct fixture fixture = open_over(&os);
    omen_connection *c = fixture.connection;
    entry = NULL;
    expect(c, "SELECT count(*)", "ERROR 58000");
    assert_non_null(strstr(last_error()->message, "omen_engine_entry"));
    assert_non_null(strstr(last_error()->message, "/libomendb_engine.so"));
    entry = refuse_version;
    expect(c, "SELECT count(*)", "ERROR 58000");
    assert_non_null(strstr(last_error()->message, "version"));
    entry = ignore_version;
    other_engine.abi_version = OMEN_ENGINE_ABI_VERSION + 1;
    other_engine.struct_bytes = sizeof other_engine;
    expect(c, "SELECT count(*)", "ERROR 58000");
    assert_non_null(strstr(last_error()->message, "version"));
    other_engine.abi_version = OMEN_ENGINE_ABI_VERSION;
    other_engine.struct_bytes--;
    expect(c, "SELECT count(*)", "ERROR 58000");
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_error_in_copy),
        cmocka_unit_test(test_copy_is_cancelled),
        cmocka_unit_test(test_engine_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
