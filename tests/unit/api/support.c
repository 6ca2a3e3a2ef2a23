/* support.c - see support.h. */
#define _GNU_SOURCE
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/database.h"

char test_folder[64], test_path[96];

static _Thread_local char result[1 << 20];
static _Thread_local omen_error failure;

struct fixture fixture_open_with(const omen_options *options)
{
    struct fixture fixture = {0};
    assert_int_equal(omen_open(NULL, options, &fixture.database, NULL), OMEN_OK);
    assert_int_equal(omen_connect(fixture.database, &fixture.connection, NULL), OMEN_OK);
    return fixture;
}

int make_folder(void **state)
{
    snprintf(test_folder, sizeof test_folder, "/tmp/omendb-test-XXXXXX");
    if (mkdtemp(test_folder) == NULL)
        return 1;
    snprintf(test_path, sizeof test_path, "%s/db", test_folder);
    return 0;
}

int remove_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", test_folder);
    return system(command);
}

omen_status try_open_plain(const struct os *os, struct fixture *fixture, omen_error *error)
{
    const struct database_options options = {.path = test_path,
                                             .log_file_bytes = 64 * 1024,
                                             .no_background = true,
                                             .plain_segments = true};
    struct database *database;
    *fixture = (struct fixture){0};
    omen_status status = database_open(os, &options, &database, error);
    if (status != OMEN_OK)
        return status;
    fixture->database = (omen_database *)database;
    return omen_connect(fixture->database, &fixture->connection, error);
}

struct fixture open_plain(const struct os *os)
{
    struct fixture fixture;
    omen_error error = {.message = ""};
    if (try_open_plain(os, &fixture, &error) != OMEN_OK)
        fail_msg("%s", error.message);
    return fixture;
}

struct fixture fixture_open(void)
{
    omen_options options;
    omen_options_init(&options);
    options.file_access = true;
    return fixture_open_with(&options);
}

struct fixture fixture_open_without_engine(void)
{
    omen_options options;
    omen_options_init(&options);
    options.engine_path = "/nonexistent/libomendb_engine.so";
    return fixture_open_with(&options);
}

void fixture_close(struct fixture *fixture)
{
    omen_disconnect(fixture->connection);
    assert_int_equal(omen_close(fixture->database, NULL), OMEN_OK);
}

const omen_error *last_error(void)
{
    return &failure;
}

omen_counters counters_of(omen_connection *connection)
{
    omen_counters counters = {.struct_bytes = sizeof counters};
    omen_counters_of(connection, &counters);
    return counters;
}

static const char *failed(void)
{
    snprintf(result, sizeof result, "ERROR %s", failure.sqlstate);
    return result;
}

static size_t append_value(size_t length, const omen_value *value)
{
    size_t taken;
    if (value->is_null)
        return length + (size_t)snprintf(result + length, sizeof result - length, "null");
    assert_int_equal(omen_value_to_text(value, result + length, sizeof result - length, &taken),
                     OMEN_OK);
    return length + taken;
}

static const char *collect(omen_statement *statement)
{
    size_t length = 0;
    omen_status status;
    while ((status = omen_step(statement, &failure)) == OMEN_OK) {
        for (size_t i = 0; i < omen_statement_column_count(statement); i++) {
            omen_value value = omen_statement_value(statement, i);
            if (i > 0)
                result[length++] = '|';
            length = append_value(length, &value);
            assert_true(length + 64 < sizeof result);
        }
        result[length++] = '\n';
    }
    if (status != OMEN_END_OF_DATA)
        return failed();
    if (omen_statement_rows_affected(statement) > 0)
        length = (size_t)snprintf(result, sizeof result, "%llu rows\n",
                                  (unsigned long long)omen_statement_rows_affected(statement));
    result[length] = '\0';
    return result;
}

const char *run_prepared(omen_statement *statement, const omen_value *parameters, size_t count)
{
    memset(&failure, 0, sizeof failure);
    if (omen_execute(statement, parameters, count, &failure) != OMEN_OK)
        return failed();
    return collect(statement);
}

const char *run(omen_connection *connection, const char *sql)
{
    omen_statement *statement;
    memset(&failure, 0, sizeof failure);
    if (omen_prepare(connection, sql, SIZE_MAX, &statement, &failure) != OMEN_OK) {
        assert_null(statement);
        return failed();
    }
    const char *text = run_prepared(statement, NULL, 0);
    omen_statement_release(statement);
    return text;
}

uint64_t query_rows(omen_connection *connection, const char *sql)
{
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    uint64_t rows = 0;
    assert_int_equal(omen_query(connection, sql, SIZE_MAX, &stream, NULL, &failure), OMEN_OK);
    for (;;) {
        assert_int_equal(stream.get_next(&stream, &batch), 0);
        if (batch.release == NULL)
            break;
        rows += (uint64_t)batch.length;
        batch.release(&batch);
    }
    stream.release(&stream);
    return rows;
}

void expect(omen_connection *connection, const char *sql, const char *expected)
{
    const char *got = run(connection, sql);
    if (strcmp(got, expected) == 0)
        return;
    fail_msg("%.300s\n  gave     %.300s (%s)\n  expected %.300s", sql, got, failure.message,
             expected);
}

omen_value value_bigint(int64_t value)
{
    return (omen_value){.type.id = OMEN_TYPE_BIGINT, .as.i64 = value};
}

omen_value value_integer(int32_t value)
{
    return (omen_value){.type.id = OMEN_TYPE_INTEGER, .as.i32 = value};
}

omen_value value_smallint(int16_t value)
{
    return (omen_value){.type.id = OMEN_TYPE_SMALLINT, .as.i16 = value};
}

omen_value value_double(double value)
{
    return (omen_value){.type.id = OMEN_TYPE_DOUBLE, .as.f64 = value};
}

omen_value value_real(float value)
{
    return (omen_value){.type.id = OMEN_TYPE_REAL, .as.f32 = value};
}

omen_value value_text(const char *text)
{
    return (omen_value){.type.id = OMEN_TYPE_TEXT,
                        .as.bytes = {(const uint8_t *)text, strlen(text)}};
}

omen_value value_null(void)
{
    return (omen_value){.type.id = OMEN_TYPE_NONE, .is_null = true};
}

omen_value value_decimal(int64_t unscaled, uint8_t precision, int8_t scale)
{
    return (omen_value){.type = {.id = OMEN_TYPE_DECIMAL, .precision = precision, .scale = scale},
                        .as.decimal = {.low = (uint64_t)unscaled, .high = unscaled < 0 ? -1 : 0}};
}

void insert_arrow_of(omen_connection *connection, const char *from, int32_t id, const char *into,
                     omen_error *error)
{
    struct ArrowSchema schema;
    struct ArrowArray batch;
    omen_value key = value_integer(id);
    omen_row *row = NULL;
    assert_int_equal(omen_table_schema(connection, from, &schema, NULL), OMEN_OK);
    assert_int_equal(omen_get(connection, from, NULL, &key, 1, &row, NULL), OMEN_OK);
    assert_int_equal(omen_row_arrow(row, &batch, NULL), OMEN_OK);
    (void)!omen_insert_arrow(connection, into, &schema, &batch, error);
    batch.release(&batch);
    schema.release(&schema);
    omen_row_release(row);
}
