/* test_memory.c - every allocation of every operation fails once: 53200, nothing changed, nothing
 * lost, and the same operation then succeeds. */
#include "api/api_private.h"
#include "store/storage_private.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/omendb-memory-XXXXXX";

/* Each operation works on table t (id int primary key, v text) with rows 1 and 2, and undoes
 * what it did when it succeeds. It gives the first status that is not OMEN_OK. */
typedef omen_status (*operation)(omen_connection *connection, omen_error *error);

static omen_status run_query(omen_connection *connection, const char *sql, int64_t rows,
                             omen_error *error)
{
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    struct ArrowArray batch;
    omen_status status = omen_query(connection, sql, SIZE_MAX, &stream, NULL, error);
    if (status != OMEN_OK) {
        assert_null(stream.release);
        return status;
    }
    int code = stream.get_schema(&stream, &schema);
    if (code == 0)
        schema.release(&schema);
    while (code == 0 && (code = stream.get_next(&stream, &batch)) == 0 && batch.release != NULL) {
        rows -= batch.length;
        batch.release(&batch);
    }
    if (code != 0) {
        assert_memory_equal(stream.get_last_error(&stream), "53200 ", 6);
        status = OMEN_OUT_OF_MEMORY;
        memcpy(error->sqlstate, "53200", 6);
    } else {
        assert_int_equal(rows, 0);
    }
    stream.release(&stream);
    return status;
}

static omen_status create_and_drop(omen_connection *connection, omen_error *error)
{
    omen_status status = run_query(
        connection, "CREATE TABLE other (a int, b text, PRIMARY KEY (b, a))", 0, error);
    if (status != OMEN_OK && status != OMEN_DUPLICATE_TABLE)
        return status;
    return run_query(connection, "DROP TABLE other", 0, error);
}

static omen_status insert_sql(omen_connection *connection, omen_error *error)
{
    omen_value key = {.type.id = OMEN_TYPE_INTEGER, .as.i32 = 3};
    omen_status status = run_query(
        connection, "INSERT INTO t VALUES (3, 'a text longer than twelve bytes')", 0, error);
    if (status != OMEN_OK && status != OMEN_DUPLICATE_KEY)
        return status;
    return omen_delete(connection, "t", &key, 1, error);
}

static omen_status insert_rows(omen_connection *connection, omen_error *error)
{
    omen_value row[] = {value_integer(4), value_text("a text longer than twelve bytes")};
    omen_status status = omen_insert(connection, "t", row, 1, error);
    if (status != OMEN_OK && status != OMEN_DUPLICATE_KEY)
        return status;
    return omen_delete(connection, "t", row, 1, error);
}

static omen_status update_row(omen_connection *connection, omen_error *error)
{
    omen_value key = value_integer(1), value = value_text("another text longer than twelve");
    const char *column = "v";
    return omen_update(connection, "t", &key, 1, &column, &value, 1, error);
}

static omen_status get_row(omen_connection *connection, omen_error *error)
{
    omen_row *row;
    struct ArrowArray array;
    omen_value key = value_integer(2);
    omen_status status = omen_get(connection, "t", NULL, &key, 1, &row, error);
    if (status != OMEN_OK)
        return status;
    status = omen_row_arrow(row, &array, error);
    if (status == OMEN_OK)
        array.release(&array);
    omen_row_release(row);
    return status;
}

static omen_status scan_table(omen_connection *connection, omen_error *error)
{
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    omen_value two = value_integer(2);
    omen_predicate predicate = {.column = 0, .op = OMEN_LE, .values = &two, .value_count = 1};
    omen_scan_options options = {.struct_bytes = sizeof options, .predicates = &predicate,
                                 .predicate_count = 1};
    omen_status status = omen_scan(connection, "t", &options, &stream, error);
    if (status != OMEN_OK)
        return status;
    int code = 0;
    while ((code = stream.get_next(&stream, &batch)) == 0 && batch.release != NULL)
        batch.release(&batch);
    if (code != 0) {
        assert_memory_equal(stream.get_last_error(&stream), "53200 ", 6);
        memcpy(error->sqlstate, "53200", 6);
        status = OMEN_OUT_OF_MEMORY;
    }
    stream.release(&stream);
    return status;
}

static omen_status select_row(omen_connection *connection, omen_error *error)
{
    return run_query(connection, "SELECT v, id, v AS x FROM t WHERE id = 2", 1, error);
}

static omen_status explain(omen_connection *connection, omen_error *error)
{
    return run_query(connection, "EXPLAIN SELECT v FROM t WHERE id = 2", 2, error);
}

static omen_status compute_row(omen_connection *connection, omen_error *error)
{
    return run_query(connection, "SELECT v || '!', id + 1, 'x' AS x FROM t WHERE id = 1 + 1 LIMIT 1",
                     1, error);
}

static omen_status compute_values(omen_connection *connection, omen_error *error)
{
    return run_query(connection, "VALUES (1, 'a text longer than twelve bytes'), (2, NULL)", 2,
                     error);
}

static omen_status change_row(omen_connection *connection, omen_error *error)
{
    return run_query(connection, "UPDATE t SET v = v || '' WHERE id = 1", 0, error);
}

static omen_status delete_row(omen_connection *connection, omen_error *error)
{
    omen_status status =
        run_query(connection, "INSERT INTO t VALUES (20, upper('x')), (21, DEFAULT)", 0, error);
    if (status != OMEN_OK && status != OMEN_DUPLICATE_KEY)
        return status;
    status = run_query(connection, "DELETE FROM t WHERE id = 20", 0, error);
    if (status != OMEN_OK)
        return status;
    return run_query(connection, "DELETE FROM t WHERE id = 10 + 11", 0, error);
}

static omen_status describe(omen_connection *connection, omen_error *error)
{
    return run_query(connection, "DESCRIBE t", 2, error);
}

/* Only the engine could run it. */
static omen_status summarize(omen_connection *connection, omen_error *error)
{
    omen_statement *statement;
    omen_status status = omen_prepare(connection, "SUMMARIZE t", SIZE_MAX, &statement, error);
    if (status == OMEN_OK)
        assert_int_equal(omen_statement_column_count(statement), 9);
    omen_statement_release(statement);
    return status;
}

static omen_status prepared(omen_connection *connection, omen_error *error)
{
    omen_statement *statement;
    omen_value key = value_text("2");
    omen_status status = omen_prepare(connection, "SELECT v FROM t WHERE id = $1 AND id = 2",
                                      SIZE_MAX, &statement, error);
    if (status != OMEN_OK)
        return status;
    status = omen_execute(statement, &key, 1, error);
    if (status == OMEN_OK)
        status = omen_step(statement, error);
    omen_statement_release(statement);
    return status;
}

static omen_status copy_rows(omen_connection *connection, omen_error *error)
{
    char sql[200];
    snprintf(sql, sizeof sql, "COPY t FROM '%s' (FORMAT csv)", path);
    omen_status status = run_query(connection, sql, 0, error);
    if (status != OMEN_OK && status != OMEN_DUPLICATE_KEY)
        return status;
    for (int i = 10; i < 12; i++) {
        omen_value key = value_integer(i);
        status = omen_delete(connection, "t", &key, 1, error);
        if (status != OMEN_OK && status != OMEN_NOT_FOUND)
            return status;
    }
    return OMEN_OK;
}

static omen_status sessions(omen_connection *connection, omen_error *error)
{
    omen_snapshot *snapshot;
    omen_status status = omen_snapshot_create(connection, &snapshot, error);
    if (status == OMEN_OK)
        omen_snapshot_release(snapshot);
    return status;
}

static const struct {
    const char *name;
    operation run;
} operations[] = {
    {"create and drop", create_and_drop}, {"insert by SQL", insert_sql},
    {"insert rows", insert_rows},         {"update", update_row},
    {"get", get_row},                     {"scan", scan_table},
    {"select", select_row},               {"explain", explain},
    {"prepare", prepared},                {"copy", copy_rows},
    {"compute", compute_row},             {"compute rows", compute_values},
    {"update by SQL", change_row},        {"delete by SQL", delete_row},
    {"describe", describe},               {"snapshot", sessions},
    {"summarize", summarize},
};

/* The rows as every operation leaves them. */
static void check_rows(omen_connection *connection)
{
    expect(connection, "SELECT v FROM t WHERE id = 2", "two\n");
    expect(connection, "SELECT v FROM t WHERE id = 10", "");
    expect(connection, "SELECT id FROM t WHERE id = 1", "1\n");
}

static void sweep(struct fixture *fixture, size_t which, bool and_all_after)
{
    omen_connection *connection = fixture->connection;
    uint64_t failures = 0;
    for (uint64_t nth = 1;; nth++) {
        omen_error error = {.sqlstate = "none"};
        omen_test_fail_allocation(fixture->database, nth, and_all_after);
        omen_status status = operations[which].run(connection, &error);
        omen_test_fail_allocation(fixture->database, 0, false);
        if (status == OMEN_OK)
            break;
        if (status != OMEN_OUT_OF_MEMORY || strcmp(error.sqlstate, "53200") != 0)
            fail_msg("%s, allocation %llu: status %d %s %s", operations[which].name,
                     (unsigned long long)nth, status, error.sqlstate, error.message);
        failures++;
        assert_true(nth < 10000);
    }
    omen_error error;
    assert_int_equal(operations[which].run(connection, &error), OMEN_OK);
    check_rows(connection);
    if (failures == 0)
        fail_msg("%s allocates nothing?", operations[which].name);
}

static void test_sweep(void **state)
{
    close(mkstemp(path));
    FILE *file = fopen(path, "w");
    fputs("10,ten\n11,\"eleven, which is long enough\"\n", file);
    fclose(file);
    for (int all = 0; all < 2; all++)
        for (size_t which = 0; which < sizeof operations / sizeof *operations; which++) {
            struct fixture fixture = fixture_open();
            expect(fixture.connection, "CREATE TABLE t (id int PRIMARY KEY, v text)", "");
            expect(fixture.connection, "INSERT INTO t VALUES (1, 'one'), (2, 'two')", "2 rows\n");
            sweep(&fixture, which, all != 0);
            fixture_close(&fixture);
        }
    unlink(path);
}

/* Failed operations leave the memory in use where it was. */
static void test_level_after_failures(void **state)
{
    struct fixture fixture = fixture_open();
    static const operation reading[] = {get_row,     scan_table,     select_row, explain, prepared,
                                        compute_row, compute_values, describe,   sessions};
    omen_error error;
    expect(fixture.connection, "CREATE TABLE t (id int PRIMARY KEY, v text)", "");
    expect(fixture.connection, "INSERT INTO t VALUES (1, 'one'), (2, 'two')", "2 rows\n");
    for (size_t i = 0; i < sizeof reading / sizeof *reading; i++) {
        assert_int_equal(reading[i](fixture.connection, &error), OMEN_OK);
        uint64_t before = omen_memory_bytes(fixture.database);
        for (uint64_t nth = 1; nth < 40; nth++) {
            omen_test_fail_allocation(fixture.database, nth, nth % 2);
            (void)!reading[i](fixture.connection, &error);
            omen_test_fail_allocation(fixture.database, 0, false);
            assert_int_equal(omen_memory_bytes(fixture.database), before);
        }
    }
    fixture_close(&fixture);
}

/* A budget is a limit, told as 53200, and what was there before stays readable. */
static void test_budget(void **state)
{
    omen_options options;
    omen_options_init(&options);
    options.memory_bytes_max = 8 << 20;
    struct fixture fixture = fixture_open_with(&options);
    expect(fixture.connection, "CREATE TABLE t (id bigint PRIMARY KEY, v text)", "");
    static char text[1000];
    memset(text, 'x', sizeof text - 1);
    omen_status status = OMEN_OK;
    int64_t count = 0;
    while (status == OMEN_OK && count < 100000) {
        omen_value row[] = {value_bigint(count), value_text(text)};
        status = omen_insert(fixture.connection, "t", row, 1, NULL);
        count += status == OMEN_OK;
    }
    assert_int_equal(status, OMEN_OUT_OF_MEMORY);
    assert_true(count > 100);
    for (int64_t i = 0; i < count; i += 97) {
        omen_row *row;
        omen_value key = value_bigint(i);
        assert_int_equal(omen_get(fixture.connection, "t", NULL, &key, 1, &row, NULL), OMEN_OK);
        omen_row_release(row);
    }
    assert_true(omen_memory_bytes(fixture.database) <= 8 << 20);
    fixture_close(&fixture);
    options.memory_bytes_max = 100;
    assert_int_equal(omen_open(NULL, &options, &fixture.database, NULL), OMEN_OUT_OF_MEMORY);
}

/* --- the cache --- */

enum { GROUPS = 12, TEXT_BYTES = 20000 };

static struct database *core_of(const struct fixture *fixture)
{
    return (struct database *)fixture->database;
}

/* One row in each of many groups, all of which lie in segments alone. */
static struct fixture open_many_groups(void)
{
    static char text[TEXT_BYTES];
    struct fixture fixture = open_plain(&os_real);
    memset(text, 'x', sizeof text - 1);
    expect(fixture.connection, "CREATE TABLE t (id int PRIMARY KEY, v text)", "");
    for (int i = 0; i < GROUPS; i++) {
        struct table *table;
        const omen_value row[] = {value_integer(i), value_text(text)};
        assert_int_equal(omen_insert(fixture.connection, "t", row, 1, NULL), OMEN_OK);
        assert_int_equal(catalog_find(core_of(&fixture)->catalog, "t", 1, &table, NULL),
                         OMEN_OK);
        table_seal_open(table);
        table_release(table);
    }
    fixture_close(&fixture);
    return open_plain(&os_real);
}

static size_t loaded_bytes(const struct fixture *fixture)
{
    return core_of(fixture)->storage->segments.cache->loaded;
}

/* Rows that are read without SQL load what fits and a quarter more, though nobody lets any go. */
static void test_rows_pass_a_full_cache(void **state)
{
    struct fixture fixture = open_many_groups();
    size_t one = 0;
    for (int i = 0; i < GROUPS; i++) {
        omen_row *row;
        const omen_value key = value_integer(i);
        assert_int_equal(omen_get(fixture.connection, "t", NULL, &key, 1, &row, NULL), OMEN_OK);
        assert_int_equal(omen_row_value(row, 0).as.i32, i);
        assert_int_equal(omen_row_value(row, 1).as.bytes.length, TEXT_BYTES - 1);
        omen_row_release(row);
        if (i > 0)
            continue;
        one = loaded_bytes(&fixture);
        assert_true(one >= TEXT_BYTES);
        core_of(&fixture)->settings.cache_bytes = 4 * one;
    }
    assert_in_range(loaded_bytes(&fixture), 5 * one, 6 * one);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_level_after_failures),
        cmocka_unit_test(test_budget),
        cmocka_unit_test_setup_teardown(test_rows_pass_a_full_cache, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
