/* Export: nothing is copied where nothing moves, batches outlive everything, builders gather. */
#include <pthread.h>

#include "arrow_test.h"

enum { TEXT_LIMIT = 200 };

static void all_columns(uint32_t *columns)
{
    for (uint32_t c = 0; c < ALL_TYPES_COLUMNS; c++)
        columns[c] = c;
}

static void check_addresses(const struct ArrowArray *batch, const struct row_group *group,
                            const struct schema *schema, uint32_t first, bool same)
{
    for (uint32_t c = 0; c < ALL_TYPES_COLUMNS; c++) {
        omen_type type = schema->columns[c].type;
        size_t offset = type.id == OMEN_TYPE_BOOLEAN ? first / 8
                                                     : (size_t)first * type_width(type.id);
        const uint8_t *own = (const uint8_t *)row_group_values(group, c) + offset;
        assert_int_equal(batch->children[c]->buffers[1] == own, same);
    }
}

static void check_range(struct row_group *group, const struct schema *schema, uint32_t first,
                        uint32_t count)
{
    uint32_t columns[ALL_TYPES_COLUMNS];
    all_columns(columns);
    struct ArrowArray batch;
    assert_ok(row_group_export(group, first, count, columns, ALL_TYPES_COLUMNS, &batch));
    check_batch(&batch, group, first, columns, ALL_TYPES_COLUMNS, schema);
    assert_int_equal(batch.length, count);
    check_addresses(&batch, group, schema, first, first + count <= row_group_packed_count(group));
    batch.release(&batch);
    assert_null(batch.release);
}

static void test_every_state(void **state)
{
    struct random random = test_random(51);
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct row_group *group, *grown, *frozen;
    assert_ok(row_group_create(&allocator, schema, 1, 12000, &group));
    append_random(&random, group, schema, 10500, TEXT_LIMIT);
    for (int round = 0; round < 3; round++) {
        check_range(group, schema, 0, 8192);
        check_range(group, schema, 8192, 2048);
        check_range(group, schema, 8192, 10500 - 8192);
        check_range(group, schema, 10240, 260);
        check_range(group, schema, 1024, 0);
        check_range(group, schema, 3072, 517);
        if (round == 0) {
            assert_ok(row_group_grow(group, 20000, &grown));
            row_group_release(group);
            group = grown;
        } else if (round == 1) {
            row_group_seal(group);
            check_range(group, schema, 8192, 10500 - 8192); /* packed: not copied any more */
            assert_ok(row_group_freeze(group, 0, &frozen));
            row_group_release(group);
            group = frozen;
        }
    }
    row_group_release(group);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

/* Strings that defeat every estimate: small ones, then ever larger ones. */
static void test_many_chunks(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    const struct column_definition columns[] = {{"t", {.id = OMEN_TYPE_TEXT}, false, NULL}};
    struct schema *schema;
    assert_ok(schema_create(&allocator, columns, 1, NULL, 0, &schema, NULL));
    struct row_group *group;
    assert_ok(row_group_create(&allocator, schema, 1, 8192, &group));
    static uint8_t text[3000];
    memset(text, 'x', sizeof text);
    for (uint32_t i = 0; i < 8192; i++) {
        omen_value row[2] = {{.type = columns[0].type, .as.bytes = {text, i * 3000 / 8192}},
                             {.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = i}};
        assert_ok(row_group_append_values(group, row));
    }
    const uint32_t column = 0;
    struct ArrowArray batch;
    for (uint32_t first = 0; first < 8192; first += 1024) {
        assert_ok(row_group_export(group, first, 8192 - first, &column, 1, &batch));
        check_batch(&batch, group, first, &column, 1, schema);
        batch.release(&batch);
    }
    row_group_release(group);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

static void *release_elsewhere(void *batch)
{
    ((struct ArrowArray *)batch)->release(batch);
    return NULL;
}

/* The batch keeps the group; a child moved out keeps it, too; any thread may let go. */
static void test_batches_outlive_groups(void **state)
{
    struct random random = test_random(52);
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct row_group *group, *copy;
    assert_ok(row_group_create(&allocator, schema, 1, 2048, &group));
    append_random(&random, group, schema, 2048, TEXT_LIMIT);
    assert_ok(row_group_create(&allocator, schema, 1, 2048, &copy));
    assert_ok(row_group_append_slots(copy, group, 0, 2048));
    uint32_t columns[ALL_TYPES_COLUMNS];
    all_columns(columns);
    struct ArrowArray batch;
    assert_ok(row_group_export(group, 0, 2048, columns, ALL_TYPES_COLUMNS, &batch));
    row_group_release(group);
    check_batch(&batch, copy, 0, columns, ALL_TYPES_COLUMNS, schema);
    struct ArrowArray text = *batch.children[9];
    batch.children[9]->release = NULL;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, release_elsewhere, &batch), 0);
    pthread_join(thread, NULL);
    for (int64_t i = 0; i < 2048; i++) {
        omen_value stored, shown = arrow_value(&text, all_types[9].type, i);
        row_group_read(copy, (uint32_t)i, 9, &stored);
        assert_true(same_value(&stored, &shown));
    }
    text.release(&text);
    row_group_release(copy);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

static void test_length_only(void **state)
{
    struct random random = test_random(53);
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct row_group *group;
    assert_ok(row_group_create(&allocator, schema, 1, 2048, &group));
    append_random(&random, group, schema, 2000, TEXT_LIMIT);
    struct ArrowArray batch;
    assert_ok(row_group_export(group, 0, 2000, NULL, 0, &batch));
    assert_int_equal(batch.length, 2000);
    assert_int_equal(batch.n_children, 0);
    batch.release(&batch);
    size_t used = allocator.bytes_used;
    allocator_fail_at(&allocator, 1, 0);
    assert_int_equal(row_group_export(group, 0, 2000, NULL, 0, &batch), OMEN_OUT_OF_MEMORY);
    assert_null(batch.release);
    assert_int_equal(allocator.bytes_used, used);
    row_group_release(group);
    schema_release(schema);
}

/* A frozen group without any NULL. */
static struct row_group *full_group(struct random *random, struct allocator *allocator,
                                    struct schema *schema)
{
    uint8_t buffers[ALL_TYPES_COLUMNS * TEXT_LIMIT];
    omen_value row[ALL_TYPES_COLUMNS];
    struct row_group *open, *frozen;
    assert_ok(row_group_create(allocator, schema, 3, 2000, &open));
    for (uint32_t i = 0; i < 2000; i++) {
        bool has_null = true;
        while (has_null) {
            random_row(random, schema, i, buffers, TEXT_LIMIT, row);
            has_null = false;
            for (uint32_t column = 0; column < schema->stored_count; column++)
                has_null |= row[column].is_null;
        }
        assert_ok(row_group_append_values(open, row));
    }
    row_group_seal(open);
    assert_ok(row_group_freeze(open, 0, &frozen));
    row_group_release(open);
    return frozen;
}

static void test_builder(void **state)
{
    struct random random = test_random(54);
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct row_group *groups[4], *picked;
    groups[3] = full_group(&random, &allocator, schema);
    assert_ok(row_group_create(&allocator, schema, 1, 3000, &groups[0]));
    append_random(&random, groups[0], schema, 3000, TEXT_LIMIT);
    assert_ok(row_group_create(&allocator, schema, 2, 3000, &groups[1]));
    append_random(&random, groups[1], schema, 2100, TEXT_LIMIT);
    row_group_seal(groups[1]);
    assert_ok(row_group_freeze(groups[1], 0, &groups[2]));
    uint32_t columns[ALL_TYPES_COLUMNS];
    all_columns(columns);
    struct batch_builder *builder;
    assert_ok(batch_builder_create(&allocator, schema, columns, ALL_TYPES_COLUMNS, 8192, &builder));
    for (int round = 0; round < 3; round++) {
        assert_ok(row_group_create(&allocator, schema, 9, 8192, &picked));
        uint32_t limit = round == 1 ? 0 : 8192;
        while (batch_builder_row_count(builder) < limit) {
            uint16_t slots[700];
            uint32_t room = 8192 - batch_builder_row_count(builder);
            uint32_t count = (uint32_t)random_below(&random, 700);
            count = count < room ? count : room;
            const struct row_group *source = groups[random_below(&random, 4)];
            uint32_t gap = (uint32_t)random_below(&random, 60);
            for (uint32_t i = 0; i < count; i++) /* all over, or most of a run */
                slots[i] = (uint16_t)(gap < 30 ? random_below(&random, row_group_row_count(source))
                                               : i + i / gap);
            assert_ok(batch_builder_add(builder, source, slots, count));
            assert_ok(row_group_append_chosen(picked, source, slots, count));
        }
        struct ArrowArray batch;
        assert_ok(batch_builder_finish(builder, &batch));
        assert_int_equal(batch.length, limit);
        assert_int_equal(batch_builder_row_count(builder), 0);
        check_batch(&batch, picked, 0, columns, ALL_TYPES_COLUMNS, schema);
        batch.release(&batch);
        row_group_release(picked);
    }
    batch_builder_destroy(builder);
    for (int i = 0; i < 4; i++)
        row_group_release(groups[i]);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

/* Every nth allocation fails: what was gathered stays, and the builder goes on. */
static void test_builder_out_of_memory(void **state)
{
    struct random random = test_random(55);
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct row_group *group;
    assert_ok(row_group_create(&allocator, schema, 1, 600, &group));
    append_random(&random, group, schema, 600, TEXT_LIMIT);
    uint32_t columns[ALL_TYPES_COLUMNS];
    all_columns(columns);
    uint16_t slots[300];
    for (uint32_t i = 0; i < 300; i++)
        slots[i] = (uint16_t)i;
    size_t used = allocator.bytes_used;
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        allocator_fail_at(&allocator, nth, 0);
        struct batch_builder *builder;
        struct ArrowArray batch = {.length = -1};
        omen_status status = batch_builder_create(&allocator, schema, columns, ALL_TYPES_COLUMNS,
                                                  1000, &builder);
        if (status == OMEN_OK)
            status = batch_builder_add(builder, group, slots, 300);
        if (status == OMEN_OK)
            status = batch_builder_finish(builder, &batch);
        failed = allocator_has_failed(&allocator);
        assert_int_equal(status, failed ? OMEN_OUT_OF_MEMORY : OMEN_OK);
        allocator_fail_at(&allocator, 0, 0);
        if (failed && builder != NULL) {
            if (batch_builder_row_count(builder) == 0)
                assert_ok(batch_builder_add(builder, group, slots, 300));
            assert_ok(batch_builder_finish(builder, &batch));
        }
        if (builder != NULL) {
            check_batch(&batch, group, 0, columns, ALL_TYPES_COLUMNS, schema);
            batch.release(&batch);
        }
        batch_builder_destroy(builder);
        assert_int_equal(allocator.bytes_used, used);
    }
    row_group_release(group);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_state),
        cmocka_unit_test(test_many_chunks),
        cmocka_unit_test(test_batches_outlive_groups),
        cmocka_unit_test(test_length_only),
        cmocka_unit_test(test_builder),
        cmocka_unit_test(test_builder_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
