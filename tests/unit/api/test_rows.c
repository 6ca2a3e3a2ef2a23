/* test_rows.c - the row interface: insert, get, update, delete, scan, snapshots, and misuse. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void create(omen_connection *connection, const char *sql)
{
    expect(connection, sql, "");
}

static uint64_t scan_rows(omen_connection *connection, const char *table,
                          const omen_scan_options *options)
{
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    uint64_t rows = 0;
    assert_int_equal(omen_scan(connection, table, options, &stream, NULL), OMEN_OK);
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

static void test_life_of_a_row(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    omen_row *row, *old;
    omen_snapshot *snapshot;
    create(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, n numeric(5,2), c char(3))");
    omen_value values[] = {value_smallint(1), value_text("Ada"), value_decimal(15, 3, 1),
                           value_text("x"),
                           value_bigint(2), value_null(), value_integer(7), value_null()};
    assert_int_equal(omen_insert(c, "t", values, 2, NULL), OMEN_OK);
    omen_value key = value_integer(1);
    assert_int_equal(omen_get(c, "t", NULL, &key, 1, &row, NULL), OMEN_OK);
    assert_int_equal(omen_row_column_count(row), 4);
    assert_int_equal(omen_row_value(row, 0).as.i64, 1);
    assert_memory_equal(omen_row_value(row, 1).as.bytes.data, "Ada", 3);
    assert_int_equal(omen_row_value(row, 2).as.decimal.low, 150);
    assert_memory_equal(omen_row_value(row, 3).as.bytes.data, "x  ", 3);
    assert_true(omen_row_value(row, 4).is_null);
    assert_int_equal(omen_row_value(row, 4).type.id, OMEN_TYPE_NONE);

    assert_int_equal(omen_snapshot_create(c, &snapshot, NULL), OMEN_OK);
    const char *columns[] = {"name", "id"};
    omen_value changed[] = {value_text("Ada Lovelace"), value_bigint(10)};
    assert_int_equal(omen_update(c, "t", &key, 1, columns, changed, 2, NULL), OMEN_OK);
    assert_int_equal(omen_get(c, "t", NULL, &key, 1, &old, NULL), OMEN_NOT_FOUND);
    assert_int_equal(omen_get(c, "t", snapshot, &key, 1, &old, NULL), OMEN_OK);
    assert_int_equal(omen_row_value(old, 1).as.bytes.length, 3);
    omen_row_release(old);
    key = value_bigint(10);
    assert_int_equal(omen_get(c, "t", NULL, &key, 1, &old, NULL), OMEN_OK);
    assert_int_equal(omen_row_value(old, 1).as.bytes.length, 12);
    struct ArrowArray array;
    assert_int_equal(omen_row_arrow(old, &array, NULL), OMEN_OK);
    assert_int_equal(array.length, 1);
    assert_int_equal(array.n_children, 4);
    omen_row_release(old);
    assert_int_equal(omen_delete(c, "t", &key, 1, NULL), OMEN_OK);
    assert_int_equal(omen_delete(c, "t", &key, 1, NULL), OMEN_NOT_FOUND);
    assert_int_equal(scan_rows(c, "t", NULL), 1);
    omen_scan_options options = {.struct_bytes = sizeof options, .snapshot = snapshot};
    assert_int_equal(scan_rows(c, "t", &options), 2);
    assert_int_equal(omen_insert(c, "t", values, 1, NULL), OMEN_OK);
    omen_snapshot_release(snapshot);

    create(c, "DROP TABLE t");
    assert_int_equal(omen_row_value(row, 0).as.i64, 1); /* pinned */
    omen_disconnect(c);
    assert_int_equal(omen_close(fixture.database, NULL), OMEN_OK);
    assert_memory_equal(omen_row_value(row, 1).as.bytes.data, "Ada", 3);
    omen_row_release(row);
    assert_int_equal(((const int64_t *)array.children[0]->buffers[1])[0], 10);
    array.release(&array);
}

static void test_insert_checks(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    omen_error error;
    create(c, "CREATE TABLE t (id integer PRIMARY KEY, v varchar(3), r real)");
    omen_value bad[][3] = {
        {value_bigint(1), value_null(), value_null()},
        {value_text("1"), value_null(), value_null()},
        {value_integer(1), value_integer(2), value_null()},
        {value_integer(1), value_null(), value_double(1)},
        {value_integer(1), value_null(), value_integer(1)},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(omen_insert(c, "t", bad[i], 1, &error), OMEN_TYPE_MISMATCH);
        assert_string_equal(error.sqlstate, "42804");
    }
    omen_value row[] = {value_integer(1), value_text("abc"), value_smallint(3),
                        value_integer(2), value_text("abcd"), value_null()};
    assert_int_equal(omen_insert(c, "t", row, 2, NULL), OMEN_STRING_TOO_LONG);
    assert_int_equal(scan_rows(c, "t", NULL), 0);
    row[4] = value_text("\xFF");
    assert_int_equal(omen_insert(c, "t", row, 2, NULL), OMEN_INVALID_ENCODING);
    row[4] = value_null(), row[3] = value_null();
    assert_int_equal(omen_insert(c, "t", row, 2, NULL), OMEN_NOT_NULL_VIOLATION);
    row[3] = value_integer(1);
    assert_int_equal(omen_insert(c, "t", row, 2, &error), OMEN_DUPLICATE_KEY);
    assert_non_null(strstr(error.message, "1"));
    assert_int_equal(scan_rows(c, "t", NULL), 0);
    row[3] = value_integer(2);
    assert_int_equal(omen_insert(c, "t", row, 2, NULL), OMEN_OK);
    assert_int_equal(omen_insert(c, "t", row, 1, NULL), OMEN_DUPLICATE_KEY);
    assert_int_equal(omen_insert(c, "t", NULL, 0, NULL), OMEN_OK);
    assert_int_equal(scan_rows(c, "t", NULL), 2);
    fixture_close(&fixture);
}

/* Keys of text with zero bytes, prefixes, emptiness and length; keys that no row can have. */
static void test_text_keys(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    static char large[10000];
    memset(large, 'k', sizeof large);
    create(c, "CREATE TABLE t (id text PRIMARY KEY, n int)");
    const struct {
        const char *data;
        size_t length;
    } keys[] = {{"", 0}, {"\0", 1}, {"a", 1}, {"a\0", 2}, {"a\0b", 3}, {"ab", 2},
                {large, sizeof large}, {large, sizeof large - 1}};
    for (int i = 0; i < 8; i++) {
        omen_value row[] = {value_text(""), value_integer(i)};
        row[0].as.bytes = (omen_bytes){(const uint8_t *)keys[i].data, keys[i].length};
        assert_int_equal(omen_insert(c, "t", row, 1, NULL), OMEN_OK);
    }
    for (int i = 0; i < 8; i++) {
        omen_row *row;
        omen_value key = value_text("");
        key.as.bytes = (omen_bytes){(const uint8_t *)keys[i].data, keys[i].length};
        assert_int_equal(omen_get(c, "t", NULL, &key, 1, &row, NULL), OMEN_OK);
        assert_int_equal(omen_row_value(row, 1).as.i32, i);
        omen_row_release(row);
    }
    omen_row *row;
    omen_value key = value_text("b");
    assert_int_equal(omen_get(c, "t", NULL, &key, 1, &row, NULL), OMEN_NOT_FOUND);
    key = value_null();
    assert_int_equal(omen_get(c, "t", NULL, &key, 1, &row, NULL), OMEN_NOT_FOUND);
    key = value_integer(1);
    assert_int_equal(omen_get(c, "t", NULL, &key, 1, &row, NULL), OMEN_TYPE_MISMATCH);
    fixture_close(&fixture);
}

static void test_scan_options(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    omen_error error;
    create(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, age int)");
    for (int i = 0; i < 100; i++) {
        omen_value row[] = {value_bigint(i), value_text("n"), value_integer(i % 10)};
        assert_int_equal(omen_insert(c, "t", row, 1, NULL), OMEN_OK);
    }
    const char *columns[] = {"age", "id", "age"};
    omen_value three = value_integer(3);
    omen_predicate predicate = {.column = 2, .op = OMEN_EQ, .values = &three, .value_count = 1};
    omen_scan_options options = {.struct_bytes = sizeof options, .columns = columns,
                                 .column_count = 3, .predicates = &predicate,
                                 .predicate_count = 1};
    assert_int_equal(scan_rows(c, "t", &options), 10);
    assert_int_equal(omen_scan(c, "t", &options, &stream, NULL), OMEN_OK);
    assert_int_equal(stream.get_schema(&stream, &schema), 0);
    assert_int_equal(schema.n_children, 3);
    assert_string_equal(schema.children[2]->name, "age");
    schema.release(&schema);
    stream.release(&stream);
    options.limit = 4;
    assert_int_equal(scan_rows(c, "t", &options), 4);
    columns[1] = "nope";
    assert_int_equal(omen_scan(c, "t", &options, &stream, &error), OMEN_UNDEFINED_COLUMN);
    assert_null(stream.release);
    columns[1] = "id";
    predicate.column = 3;
    assert_int_equal(omen_scan(c, "t", &options, &stream, &error), OMEN_UNDEFINED_COLUMN);
    predicate.column = 0; /* an integer for a bigint */
    assert_int_equal(omen_scan(c, "t", &options, &stream, &error), OMEN_TYPE_MISMATCH);
    predicate.values = NULL;
    assert_int_equal(omen_scan(c, "t", &options, &stream, &error), OMEN_INVALID_ARGUMENT);
    assert_int_equal(omen_scan(c, "nope", NULL, &stream, &error), OMEN_UNDEFINED_TABLE);
    omen_table_statistics statistics = {.struct_bytes = sizeof statistics};
    assert_int_equal(omen_table_statistics_of(c, "t", &statistics, NULL), OMEN_OK);
    assert_int_equal(statistics.rows_estimate, 100);
    bool more;
    assert_int_equal(omen_maintain(fixture.database, 0, &more, NULL), OMEN_OK);
    fixture_close(&fixture);
}

/* NULL arguments are errors, wrong order of closing is refused, later releases are safe. */
static void test_misuse(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    struct ArrowSchema schema;
    omen_database *database = (omen_database *)1;
    omen_connection *connection = (omen_connection *)1;
    omen_options options = {0};
    omen_error error;
    const omen_status invalid = OMEN_INVALID_ARGUMENT;
    create(c, "CREATE TABLE t (id int PRIMARY KEY)");
    assert_int_equal(omen_open(NULL, NULL, NULL, &error), invalid);
    assert_int_equal(omen_open("/some/where", NULL, &database, &error), OMEN_FILE_NOT_FOUND);
    assert_null(database);
    assert_int_equal(omen_open(NULL, &options, &database, &error), invalid);
    assert_int_equal(omen_connect(NULL, &connection, &error), invalid);
    assert_null(connection);
    assert_int_equal(omen_connect(fixture.database, NULL, NULL), invalid);
    assert_int_equal(omen_close(NULL, NULL), OMEN_OK);
    assert_int_equal(omen_close(fixture.database, NULL), OMEN_OBJECT_IN_USE);
    omen_disconnect(NULL);
    omen_options_init(NULL);
    assert_int_equal(omen_table_create(NULL, "x", &schema, NULL, 0, NULL), invalid);
    assert_int_equal(omen_table_create(c, NULL, &schema, NULL, 0, NULL), invalid);
    assert_int_equal(omen_table_create(c, "x", NULL, NULL, 0, NULL), invalid);
    assert_int_equal(omen_table_drop(c, NULL, NULL), invalid);
    assert_int_equal(omen_table_drop(c, "nope", NULL), OMEN_UNDEFINED_TABLE);
    assert_int_equal(omen_table_schema(c, "t", NULL, NULL), invalid);
    fixture_close(&fixture);
}

/* Dates and times beyond the calendar get in by no way, nor are they found. */
static void test_times_out_of_range(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    omen_error error;
    const char *names[] = {"at"};
    expect(c, "CREATE TABLE times (d date PRIMARY KEY, at timestamp)", "");
    omen_value row[] = {{.type.id = OMEN_TYPE_DATE, .as.i32 = -2440589},
                        {.type.id = OMEN_TYPE_TIMESTAMP, .as.i64 = 0}};
    assert_int_equal(omen_insert(c, "times", row, 1, &error), OMEN_DATETIME_OVERFLOW);
    assert_string_equal(error.sqlstate, "22008");
    assert_non_null(strstr(error.message, "\"d\""));
    row[0].as.i32 = INT32_MAX;
    assert_int_equal(omen_insert(c, "times", row, 1, &error), OMEN_DATETIME_OVERFLOW);
    omen_row *found;
    assert_int_equal(omen_get(c, "times", NULL, row, 1, &found, &error), OMEN_NOT_FOUND);
    assert_int_equal(omen_delete(c, "times", row, 1, &error), OMEN_NOT_FOUND);
    row[0].as.i32 = 0;
    row[1].as.i64 = INT64_MIN;
    assert_int_equal(omen_insert(c, "times", row, 1, &error), OMEN_DATETIME_OVERFLOW);
    expect(c, "SELECT * FROM times WHERE d = date '1970-01-01'", "");
    row[1].as.i64 = INT64_C(-210866803200000000);
    assert_int_equal(omen_insert(c, "times", row, 1, &error), OMEN_OK);
    row[1].as.i64--;
    assert_int_equal(omen_update(c, "times", row, 1, names, &row[1], 1, &error),
                     OMEN_DATETIME_OVERFLOW);
    expect(c, "SELECT * FROM times WHERE d = date '1970-01-01'",
           "1970-01-01|4714-11-24 00:00:00 BC\n");
    fixture_close(&fixture);
}

/* Also where the parameter is exactly of the column's type. */
static void test_times_without_text(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    omen_statement *statement;
    expect(c, "CREATE TABLE times (id int PRIMARY KEY, d date, at timestamptz)", "");
    assert_int_equal(omen_prepare(c, "INSERT INTO times VALUES (1, $1, $2)", SIZE_MAX, &statement,
                                  NULL), OMEN_OK);
    omen_value times[] = {{.type.id = OMEN_TYPE_DATE, .as.i32 = INT32_MAX},
                          {.type.id = OMEN_TYPE_TIMESTAMPTZ, .as.i64 = 0}};
    assert_int_equal(omen_execute(statement, times, 2, NULL), OMEN_DATETIME_OVERFLOW);
    times[0].as.i32 = 0, times[1].as.i64 = INT64_MIN;
    assert_int_equal(omen_execute(statement, times, 2, NULL), OMEN_DATETIME_OVERFLOW);
    times[1].as.i64 = 0;
    assert_int_equal(omen_execute(statement, times, 2, NULL), OMEN_OK);
    omen_statement_release(statement);
    fixture_close(&fixture);
}

static void test_misuse_of_rows(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    omen_statement *statement = (omen_statement *)1;
    omen_row *row = (omen_row *)1;
    omen_snapshot *snapshot = (omen_snapshot *)1;
    omen_value value = value_integer(1);
    const omen_status invalid = OMEN_INVALID_ARGUMENT;
    create(c, "CREATE TABLE t (id int PRIMARY KEY)");
    assert_int_equal(omen_insert(c, "t", NULL, 1, NULL), invalid);
    assert_int_equal(omen_insert(c, NULL, &value, 1, NULL), invalid);
    assert_int_equal(omen_insert_arrow(c, "t", NULL, NULL, NULL), invalid);
    assert_int_equal(omen_update(c, "t", &value, 1, NULL, NULL, 1, NULL), invalid);
    assert_int_equal(omen_update(c, "t", NULL, 0, NULL, NULL, 0, NULL), invalid);
    assert_int_equal(omen_delete(c, "t", NULL, 1, NULL), invalid);
    assert_int_equal(omen_delete(c, "t", &value, 2, NULL), invalid);
    assert_int_equal(omen_get(c, "t", NULL, NULL, 1, &row, NULL), invalid);
    assert_null(row);
    assert_int_equal(omen_get(c, "t", NULL, &value, 1, NULL, NULL), invalid);
    assert_int_equal(omen_snapshot_create(NULL, &snapshot, NULL), invalid);
    assert_null(snapshot);
    omen_snapshot_release(NULL);
    assert_int_equal(omen_scan(c, NULL, NULL, &stream, NULL), invalid);
    assert_null(stream.release);
    assert_int_equal(omen_scan(c, "t", NULL, NULL, NULL), invalid);
    assert_int_equal(omen_query(c, NULL, 0, &stream, NULL, NULL), invalid);
    assert_int_equal(omen_query(NULL, "SELECT 1", SIZE_MAX, &stream, NULL, NULL), invalid);
    assert_int_equal(omen_prepare(c, NULL, 0, &statement, NULL), invalid);
    assert_null(statement);
    assert_int_equal(omen_execute(NULL, NULL, 0, NULL), invalid);
    assert_int_equal(omen_step(NULL, NULL), invalid);
    assert_int_equal(omen_statement_column_count(NULL), 0);
    assert_null(omen_statement_column_name(NULL, 0));
    assert_true(omen_statement_value(NULL, 0).is_null);
    omen_statement_release(NULL);
    omen_row_release(NULL);
    assert_int_equal(omen_row_column_count(NULL), 0);
    assert_int_equal(omen_row_arrow(NULL, &array, NULL), invalid);
    omen_counters_of(NULL, NULL);
    assert_int_equal(omen_table_statistics_of(c, "t", NULL, NULL), invalid);
    assert_int_equal(omen_maintain(NULL, 0, NULL, NULL), invalid);
    assert_int_equal(omen_memory_bytes(NULL), 0);
    omen_test_fail_allocation(NULL, 1, true);
    size_t length;
    assert_int_equal(omen_value_to_text(NULL, NULL, 0, &length), invalid);
    assert_int_equal(omen_statement_split(NULL, 0, NULL, NULL), 0);
    assert_int_equal(omen_statement_split("a;b", SIZE_MAX, NULL, NULL), 1);

    struct fixture other = fixture_open();
    assert_int_equal(omen_snapshot_create(other.connection, &snapshot, NULL), OMEN_OK);
    assert_int_equal(omen_get(c, "t", snapshot, &value, 1, &row, NULL), invalid);
    omen_snapshot_release(snapshot);
    fixture_close(&other);

    /* Misuse of a statement leaves it usable. */
    assert_int_equal(omen_prepare(c, "SELECT id FROM t WHERE id = $1", SIZE_MAX, &statement, NULL),
                     OMEN_OK);
    assert_int_equal(omen_execute(statement, &value, 1, NULL), OMEN_OK);
    assert_int_equal(omen_execute(statement, NULL, 1, NULL), invalid);
    assert_int_equal(omen_step(statement, NULL), OMEN_END_OF_DATA);
    assert_int_equal(omen_step(statement, NULL), OMEN_END_OF_DATA);
    omen_statement_release(statement);
    fixture_close(&fixture);
}

/* Everything taken is given back: the level after is the level before. */
static void test_no_leaks(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    uint64_t before = omen_memory_bytes(fixture.database);
    enum { FIRST_ROUNDS = 100 }; /* the catalog's list and parts of the lock table come to stay */
    for (int round = 0; round < FIRST_ROUNDS + 3; round++) {
        create(c, "CREATE TABLE t (id int PRIMARY KEY, v text)");
        expect(c, "INSERT INTO t VALUES (1, 'a text that is longer than twelve'), (2, 'b')", "2 rows\n");
        expect(c, "SELECT v FROM t WHERE id = 2", "b\n");
        expect(c, "SELECT v FROM t WHERE id = 'x'", "ERROR 22P02");
        assert_int_equal(scan_rows(c, "t", NULL), 2);
        create(c, "DROP TABLE t");
        if (round < FIRST_ROUNDS)
            before = omen_memory_bytes(fixture.database);
        assert_int_equal(omen_memory_bytes(fixture.database), before);
    }
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_a_row), cmocka_unit_test(test_insert_checks),
        cmocka_unit_test(test_text_keys),     cmocka_unit_test(test_scan_options),
        cmocka_unit_test(test_misuse),        cmocka_unit_test(test_misuse_of_rows),
        cmocka_unit_test(test_times_out_of_range),
        cmocka_unit_test(test_times_without_text),
        cmocka_unit_test(test_no_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
