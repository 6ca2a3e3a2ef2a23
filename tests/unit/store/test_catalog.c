/* test_catalog.c - tables by name, versions, and what failing memory leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "os/os.h"
#include "store/database.h"

static struct database *open_database(void)
{
    const struct database_options options = {0};
    struct database *database;
    assert_int_equal(database_open(&os_real, &options, &database, NULL), OMEN_OK);
    return database;
}

static struct schema *make_schema(struct database *database)
{
    const struct column_definition column = {.name = "a", .type.id = OMEN_TYPE_INTEGER};
    const uint32_t key = 0;
    struct schema *schema;
    assert_int_equal(schema_create(database->allocator, &column, 1, &key, 1, &schema, NULL),
                     OMEN_OK);
    return schema;
}

static void test_names(void **state)
{
    struct database *database = open_database();
    struct schema *schema = make_schema(database);
    struct table *table;
    omen_error error;
    char name[32];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "t%d", i * 37 % 200);
        assert_int_equal(database_create_table(database, name, schema, NULL), OMEN_OK);
    }
    for (int i = 0; i < 200; i++) {
        size_t length = (size_t)snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(catalog_find(database->catalog, name, length, &table, NULL), OMEN_OK);
        assert_string_equal(table_name(table), name);
        table_release(table);
        assert_int_equal(catalog_find(database->catalog, "T0", 2, &table, &error),
                         OMEN_UNDEFINED_TABLE);
        assert_null(table);
    }
    assert_int_equal(database_create_table(database, "t7", schema, &error), OMEN_DUPLICATE_TABLE);
    assert_int_equal(database_create_table(database, "", schema, &error), OMEN_INVALID_TABLE);
    assert_int_equal(database_create_table(database, "\xFF", schema, &error),
                     OMEN_INVALID_ENCODING);
    char large[65];
    memset(large, 'n', 64), large[64] = '\0';
    assert_int_equal(database_create_table(database, large, schema, &error), OMEN_NAME_TOO_LONG);
    large[63] = '\0';
    assert_int_equal(database_create_table(database, large, schema, &error), OMEN_OK);
    schema_release(schema);
    assert_int_equal(database_close(database, NULL), OMEN_OK);
}

/* Commits that these tables go. */
static omen_status drop(struct database *database, struct table *const *tables, size_t count,
                        omen_error *error)
{
    struct catalog_changes *changes;
    assert_int_equal(catalog_changes_create(database->catalog, &changes), OMEN_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(catalog_changes_drop(changes, tables[i]), OMEN_OK);
    omen_status status = catalog_commit(changes, error);
    catalog_changes_destroy(changes);
    return status;
}

static void test_drop_is_all_or_nothing(void **state)
{
    struct database *database = open_database();
    struct schema *schema = make_schema(database);
    struct table *tables[2], *found;
    omen_error error;
    for (int i = 0; i < 2; i++) {
        const char name[] = {(char)('a' + i), '\0'};
        assert_int_equal(database_create_table(database, name, schema, NULL), OMEN_OK);
        assert_int_equal(catalog_find(database->catalog, name, 1, &tables[i], NULL), OMEN_OK);
    }
    assert_int_equal(drop(database, &tables[1], 1, &error), OMEN_OK);
    uint64_t version = catalog_version(database->catalog);
    assert_int_equal(drop(database, tables, 2, &error), OMEN_UNDEFINED_TABLE);
    assert_int_equal(catalog_version(database->catalog), version);
    assert_int_equal(catalog_find(database->catalog, "a", 1, &found, NULL), OMEN_OK);
    table_release(found);
    assert_int_equal(drop(database, tables, 1, &error), OMEN_OK);
    assert_true(catalog_version(database->catalog) > version);
    assert_int_equal(catalog_find(database->catalog, "a", 1, &found, NULL), OMEN_UNDEFINED_TABLE);
    /* References outlive the names. */
    assert_string_equal(table_name(tables[0]), "a");
    for (int i = 0; i < 2; i++)
        table_release(tables[i]);
    schema_release(schema);
    assert_int_equal(database_close(database, NULL), OMEN_OK);
}

/* A create that runs out of memory anywhere leaves no table, and then succeeds. */
static void test_failing_memory(void **state)
{
    struct database *database = open_database();
    struct schema *schema = make_schema(database);
    struct table *table;
    for (uint64_t nth = 1;; nth++) {
        omen_error error = {.status = OMEN_OK};
        uint64_t version = catalog_version(database->catalog);
        allocator_fail_at(database->allocator, nth, 0);
        omen_status status = database_create_table(database, "t", schema, &error);
        allocator_fail_at(database->allocator, 0, 0);
        if (status == OMEN_OK)
            break;
        assert_int_equal(status, OMEN_OUT_OF_MEMORY);
        assert_string_equal(error.sqlstate, "53200");
        assert_int_equal(catalog_version(database->catalog), version);
        assert_int_equal(catalog_find(database->catalog, "t", 1, &table, NULL),
                         OMEN_UNDEFINED_TABLE);
        assert_true(nth < 1000);
    }
    assert_int_equal(catalog_find(database->catalog, "t", 1, &table, NULL), OMEN_OK);
    table_release(table);
    schema_release(schema);
    assert_int_equal(database_close(database, NULL), OMEN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_drop_is_all_or_nothing),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
