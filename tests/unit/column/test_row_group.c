/* Row groups: appending, growing, sealing, freezing, reading back, zone maps. */
#include "column_test.h"

enum { TEXT_LIMIT = 300 };

static void check_zones(const struct row_group *group, uint32_t column_count)
{
    /* row_group_validate compares every row with its zones; here only that they are there. */
    uint32_t vectors = row_group_packed_count(group) / VECTOR_ROWS;
    for (uint32_t c = 0; c < column_count; c++)
        for (uint32_t v = 0; v < vectors; v++) {
            struct zone zone;
            row_group_zone(group, (int32_t)v, c, &zone);
            assert_int_equal(zone.row_count, VECTOR_ROWS);
            assert_true(zone.known && zone.exact);
        }
}

static void test_append_and_read_back(void **state)
{
    struct random random = test_random(1);
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct row_group *group;
    assert_ok(row_group_create(&allocator, schema, 7, 3000, &group));
    uint8_t *buffers = malloc(3000 * ALL_TYPES_COLUMNS * TEXT_LIMIT);
    omen_value *rows = malloc(3000 * ALL_TYPES_COLUMNS * sizeof *rows);
    for (uint32_t i = 0; i < 3000; i++) {
        omen_value *row = rows + i * ALL_TYPES_COLUMNS;
        random_row(&random, schema, i, buffers + i * ALL_TYPES_COLUMNS * TEXT_LIMIT, TEXT_LIMIT,
                   row);
        assert_ok(row_group_append_values(group, row));
    }
    assert_int_equal(row_group_append_values(group, rows), OMEN_LIMIT_EXCEEDED);
    assert_int_equal(row_group_row_count(group), 3000);
    assert_int_equal(row_group_packed_count(group), 2048);
    assert_int_equal(row_group_unbegun_count(group), 3000);
    assert_valid(group);
    for (uint32_t i = 0; i < 3000; i++)
        for (uint32_t c = 0; c < ALL_TYPES_COLUMNS; c++) {
            omen_value value;
            row_group_read(group, i, c, &value);
            assert_true(same_value(&value, &rows[i * ALL_TYPES_COLUMNS + c]));
        }
    check_zones(group, ALL_TYPES_COLUMNS);
    row_group_release(group);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
    free(rows);
    free(buffers);
}

/* Grows from one row up, seals, freezes; every form must hold the same rows, and the old forms
 * stay right. */
static void test_life(void **state)
{
    struct random random = test_random(2);
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct row_group *group;
    assert_ok(row_group_create(&allocator, schema, 3, 1, &group));
    const uint32_t capacities[] = {64, 1000, 1024, 5000, 8192, 11000};
    for (uint32_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        uint32_t room = row_group_capacity(group) - row_group_row_count(group);
        append_random(&random, group, schema, room - (i == 2 ? 100 : 0), TEXT_LIMIT);
        for (uint32_t slot = 0; slot < row_group_row_count(group); slot += 3)
            if (row_group_begin(group, slot) == 0)
                row_group_stamp_begin(group, slot, 1, 10 + i);
        row_group_stamp_end(group, row_group_row_count(group) / 2, 100 + i);
        row_group_set_previous(group, 0, row_id_make(5, 5));
        struct row_group *larger;
        assert_ok(row_group_grow(group, capacities[i], &larger));
        assert_int_equal(row_group_number(larger), 3);
        assert_int_equal(row_group_row_count(larger), row_group_row_count(group));
        assert_int_equal(row_group_previous(larger, 0), row_id_make(5, 5));
        for (uint32_t slot = 0; slot < row_group_row_count(group); slot++) {
            assert_int_equal(row_group_begin(group, slot), row_group_begin(larger, slot));
            assert_int_equal(row_group_end(group, slot), row_group_end(larger, slot));
            assert_same_slot(group, slot, larger, slot, ALL_TYPES_COLUMNS);
        }
        assert_valid(larger);
        assert_valid(group);
        row_group_release(group);
        group = larger;
    }
    append_random(&random, group, schema, 2000, TEXT_LIMIT);
    struct row_group *frozen;
    row_group_seal(group);
    assert_int_equal(row_group_state_of(group), ROW_GROUP_SEALED);
    assert_int_equal(row_group_packed_count(group), row_group_row_count(group));
    assert_valid(group);
    assert_int_equal(row_group_freeze(group, 14, &frozen), OMEN_NOT_READY);
    assert_ok(row_group_freeze(group, 15, &frozen));
    assert_int_equal(row_group_state_of(frozen), ROW_GROUP_FROZEN);
    assert_valid(frozen);
    assert_true(row_group_bytes(frozen) < row_group_bytes(group));
    for (uint32_t slot = 0; slot < row_group_row_count(group); slot++) {
        assert_same_slot(group, slot, frozen, slot, ALL_TYPES_COLUMNS);
        for (uint64_t snapshot = 15; snapshot < 110; snapshot += 5)
            assert_int_equal(row_group_visible(group, slot, snapshot),
                             row_group_visible(frozen, slot, snapshot));
    }
    row_group_release(group);
    row_group_release(frozen);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

/* Slots copied from open, sealed and frozen groups, in runs and chosen. */
static void test_append_from_groups(void **state)
{
    struct random random = test_random(3);
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct row_group *source, *frozen, *target;
    assert_ok(row_group_create(&allocator, schema, 1, 10000, &source));
    append_random(&random, source, schema, 9500, TEXT_LIMIT);
    row_group_stamp_begin(source, 0, 9500, 1);
    assert_ok(row_group_create(&allocator, schema, 2, 20000, &target));
    assert_ok(row_group_append_slots(target, source, 100, 9000));
    for (uint32_t i = 0; i < 9000; i++)
        assert_same_slot(target, i, source, 100 + i, ALL_TYPES_COLUMNS);
    row_group_seal(source);
    assert_ok(row_group_freeze(source, 1, &frozen));
    uint16_t slots[3000];
    for (uint32_t i = 0; i < 3000; i++)
        slots[i] = (uint16_t)random_below(&random, 9500);
    assert_ok(row_group_append_chosen(target, frozen, slots, 3000));
    for (uint32_t i = 0; i < 3000; i++)
        assert_same_slot(target, 9000 + i, source, slots[i], ALL_TYPES_COLUMNS);
    assert_int_equal(row_group_append_slots(target, frozen, 0, 9500), OMEN_LIMIT_EXCEEDED);
    assert_int_equal(row_group_row_count(target), 12000);
    assert_valid(target);
    row_group_release(source);
    row_group_release(frozen);
    row_group_release(target);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

/* Zones of a frozen group cover only rows that began. */
static void test_frozen_zones_are_exact(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    const struct column_definition columns[] = {{"id", {.id = OMEN_TYPE_INTEGER}, false, NULL}};
    const uint32_t key = 0;
    struct schema *schema;
    assert_ok(schema_create(&allocator, columns, 1, &key, 1, &schema, NULL));
    struct row_group *group, *frozen;
    assert_ok(row_group_create(&allocator, schema, 1, 2000, &group));
    for (int32_t i = 0; i < 1500; i++) {
        omen_value value = {.type = columns[0].type, .as.i32 = i};
        assert_ok(row_group_append_values(group, &value));
    }
    row_group_stamp_begin(group, 10, 1400, 5);
    row_group_seal(group);
    struct zone zone;
    row_group_zone(group, -1, 0, &zone);
    assert_int_equal(zone.min.as.i32, 0);
    assert_int_equal(zone.max.as.i32, 1499);
    assert_ok(row_group_freeze(group, 5, &frozen));
    row_group_zone(frozen, -1, 0, &zone);
    assert_int_equal(zone.min.as.i32, 10);
    assert_int_equal(zone.max.as.i32, 1409);
    assert_int_equal(zone.row_count, 1400);
    assert_int_equal(row_group_ended_count(frozen), 100);
    assert_false(row_group_visible(frozen, 9, UINT64_MAX - 1));
    assert_true(row_group_visible(frozen, 10, 5));
    row_group_release(group);
    row_group_release(frozen);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

static void test_empty_group(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct row_group *group, *frozen;
    assert_ok(row_group_create(&allocator, schema, 1, 1, &group));
    row_group_seal(group);
    assert_ok(row_group_freeze(group, 0, &frozen));
    assert_valid(frozen);
    assert_true(row_group_wholly_visible(frozen, 0, 1));
    struct ArrowArray array;
    const uint32_t columns[] = {0, 1, 9};
    assert_ok(row_group_export(frozen, 0, 0, columns, 3, &array));
    assert_int_equal(array.length, 0);
    array.release(&array);
    row_group_release(group);
    row_group_release(frozen);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

/* Every nth allocation fails in turn: OUT_OF_MEMORY, the group unchanged, nothing leaked. */
static void test_out_of_memory(void **state)
{
    struct random random = test_random(4);
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct row_group *source, *target, *made;
    assert_ok(row_group_create(&allocator, schema, 1, 4000, &source));
    append_random(&random, source, schema, 4000, TEXT_LIMIT);
    row_group_stamp_begin(source, 0, 3990, 1);
    row_group_stamp_end(source, 7, 2);
    size_t used = allocator.bytes_used;
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        allocator_fail_at(&allocator, nth, 0);
        omen_status status = row_group_create(&allocator, schema, 1, 9000, &target);
        failed = allocator_has_failed(&allocator);
        assert_int_equal(status, failed ? OMEN_OUT_OF_MEMORY : OMEN_OK);
        if (failed)
            assert_int_equal(allocator.bytes_used, used);
    }
    allocator_fail_at(&allocator, 0, 0);
    assert_ok(row_group_append_slots(target, source, 0, 10));
    failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        allocator_fail_at(&allocator, nth, 0);
        omen_status status = row_group_append_slots(target, source, 0, 3000);
        failed = allocator_has_failed(&allocator);
        allocator_fail_at(&allocator, 0, 0);
        assert_int_equal(status, failed ? OMEN_OUT_OF_MEMORY : OMEN_OK);
        assert_int_equal(row_group_row_count(target), failed ? 10 : 3010);
        assert_valid(target);
        for (uint32_t i = 0; i < 10; i++)
            assert_same_slot(target, i, source, i, ALL_TYPES_COLUMNS);
    }
    for (uint32_t i = 0; i < 3000; i++)
        assert_same_slot(target, i + 10, source, i, ALL_TYPES_COLUMNS);
    used = allocator.bytes_used;
    for (int grow = 0; grow < 2; grow++) {
        if (!grow)
            row_group_seal(source);
        failed = true;
        for (uint64_t nth = 1; failed; nth++) {
            allocator_fail_at(&allocator, nth, 0);
            omen_status status = grow ? row_group_grow(target, 10000, &made)
                                      : row_group_freeze(source, 1, &made);
            failed = allocator_has_failed(&allocator);
            assert_int_equal(status, failed ? OMEN_OUT_OF_MEMORY : OMEN_OK);
            if (failed)
                assert_int_equal(allocator.bytes_used, used);
        }
        assert_valid(made);
        row_group_release(made);
    }
    allocator_fail_at(&allocator, 0, 0);
    row_group_release(source);
    row_group_release(target);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

/* A foreign caller's true may be any byte; packed as it came, it would spill into the rows beside
 * it. */
static void test_truths_of_any_byte(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    const struct column_definition columns[] = {{"b", {.id = OMEN_TYPE_BOOLEAN}, false, NULL}};
    struct schema *schema;
    struct row_group *group;
    assert_ok(schema_create(&allocator, columns, 1, NULL, 0, &schema, NULL));
    assert_ok(row_group_create(&allocator, schema, 1, 64, &group));
    for (int i = 0; i < 64; i++) {
        omen_value row[2] = {{.type.id = OMEN_TYPE_BOOLEAN},
                             {.type.id = OMEN_TYPE_BIGINT, .as.i64 = i}};
        memset(&row[0].as, i % 4 == 0 ? 0xFF - i : 0, 1);
        assert_ok(schema_check_value(schema, 0, &row[0], NULL));
        assert_ok(row_group_append_values(group, row));
    }
    row_group_seal(group);
    assert_valid(group);
    assert_int_equal(*(const uint64_t *)row_group_values(group, 0),
                     UINT64_C(0x1111111111111111));
    row_group_release(group);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_and_read_back),
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_append_from_groups),
        cmocka_unit_test(test_frozen_zones_are_exact),
        cmocka_unit_test(test_empty_group),
        cmocka_unit_test(test_truths_of_any_byte),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
