/* test_sample.c - samples of a table: spread over it, and only of rows that are seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/allocator.h"
#include "table/table.h"
#include "txn/txn.h"

enum { ROWS = 150000, SAMPLED = 1000 };

static struct allocator allocator;
static struct txn_manager *manager;
static struct table *table;

static omen_value integer(int32_t number)
{
    return (omen_value){.type = {.id = OMEN_TYPE_INTEGER}, .as.i32 = number};
}

static int set_up(void **state)
{
    static const struct column_definition columns[] = {{.name = "id", .type = {.id = OMEN_TYPE_INTEGER}}};
    static const uint32_t key[] = {0};
    struct schema *schema;
    allocator_init(&allocator, 0);
    if (txn_manager_create(&allocator, &manager) != OMEN_OK ||
        schema_create(&allocator, columns, 1, key, 1, &schema, NULL) != OMEN_OK ||
        table_create(&allocator, manager, "t", schema, &table) != OMEN_OK)
        return 1;
    schema_release(schema);
    return 0;
}

static int tear_down(void **state)
{
    table_release(table);
    txn_manager_destroy(manager);
    return allocator.bytes_used == 0 ? 0 : 1;
}

static void insert(int32_t first, int32_t end)
{
    struct write_set *set;
    assert_int_equal(write_set_create(table, &set), OMEN_OK);
    for (int32_t i = first; i < end; i++) {
        omen_value value = integer(i);
        assert_int_equal(write_set_insert(set, &value, NULL), OMEN_OK);
    }
    assert_int_equal(write_set_commit(set, false, NULL), OMEN_OK);
    write_set_destroy(set);
}

/* Ends the rows whose id is a multiple of `step`. */
static void delete_each(int32_t step)
{
    struct write_set *set;
    txn_writer_lock(manager);
    assert_int_equal(write_set_create(table, &set), OMEN_OK);
    for (int32_t i = 0; i < ROWS; i += step) {
        omen_value key = integer(i);
        assert_int_equal(write_set_delete(set, &key, NULL), OMEN_OK);
    }
    assert_int_equal(write_set_commit(set, true, NULL), OMEN_OK);
    write_set_destroy(set);
}

static int32_t value_at(const struct table_sample *sample, uint32_t position)
{
    omen_value value;
    row_group_read(sample->rows[position].group, sample->rows[position].slot, 0, &value);
    return value.as.i32;
}

static void test_sample(void **state)
{
    struct arena arena;
    struct table_sample sample;
    arena_init(&arena, &allocator);
    assert_int_equal(table_sample_take(table, SAMPLED, &arena, &sample), OMEN_OK);
    assert_int_equal(sample.row_count, 0);
    assert_true(sample.complete);
    table_sample_release(&sample);

    insert(0, SAMPLED);
    assert_int_equal(table_sample_take(table, SAMPLED, &arena, &sample), OMEN_OK);
    assert_int_equal(sample.row_count, SAMPLED);
    assert_true(sample.complete);
    for (uint32_t i = 0; i < SAMPLED; i++)
        assert_int_equal(value_at(&sample, i), i);
    table_sample_release(&sample);

    insert(SAMPLED, ROWS);
    assert_int_equal(table_sample_take(table, SAMPLED, &arena, &sample), OMEN_OK);
    assert_int_equal(sample.row_count, SAMPLED);
    assert_false(sample.complete);
    for (int32_t i = 0; i < SAMPLED; i++)
        assert_int_equal(value_at(&sample, (uint32_t)i) / (ROWS / SAMPLED), i);
    table_sample_release(&sample);

    delete_each(3);
    assert_int_equal(table_sample_take(table, SAMPLED, &arena, &sample), OMEN_OK);
    assert_in_range(sample.row_count, SAMPLED / 2, 4 * SAMPLED / 5);
    for (uint32_t i = 0; i < sample.row_count; i++)
        assert_int_not_equal(value_at(&sample, i) % 3, 0);
    table_sample_release(&sample);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sample)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
