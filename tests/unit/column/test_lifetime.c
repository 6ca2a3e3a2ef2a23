/* Visibility: random stamps against a plain model, at many snapshots, in every state. */
#include "base/bits.h"
#include "column_test.h"

enum { ROWS = 5000 };

struct model {
    uint64_t begin[ROWS];
    uint64_t end[ROWS];
};

static bool model_visible(const struct model *model, uint32_t slot, uint64_t snapshot)
{
    return model->begin[slot] != 0 && model->begin[slot] <= snapshot && snapshot < model->end[slot];
}

static void check(const struct row_group *group, const struct model *model, uint32_t row_count,
                  uint64_t snapshot)
{
    bool all = true;
    for (uint32_t vector = 0; vector <= row_count / VECTOR_ROWS; vector++) {
        uint64_t selection[VECTOR_ROWS / 64];
        memset(selection, 0xA5, sizeof selection);
        uint32_t found =
            row_group_select_visible(group, vector, row_count, snapshot, selection);
        uint32_t expected = 0;
        for (uint32_t i = 0; i < VECTOR_ROWS; i++) {
            uint32_t slot = vector * VECTOR_ROWS + i;
            bool visible = slot < row_count && model_visible(model, slot, snapshot);
            expected += visible;
            all = all && (visible || slot >= row_count);
            if (bit_get(selection, i) != visible)
                fail_msg("slot %u at snapshot %llu", slot, (unsigned long long)snapshot);
            if (slot < row_count)
                assert_int_equal(row_group_visible(group, slot, snapshot), visible);
        }
        assert_int_equal(found, expected);
    }
    /* May answer no out of caution only where something is ended, and never yes wrongly. */
    bool wholly = row_group_wholly_visible(group, row_count, snapshot);
    assert_true(!wholly || all);
    if (all && row_group_ended_count(group) == 0 && row_group_max_begin(group) <= snapshot)
        assert_true(wholly);
}

static struct row_group *make(struct allocator *allocator, struct schema *schema)
{
    struct row_group *group;
    assert_ok(row_group_create(allocator, schema, 1, ROWS, &group));
    for (int64_t i = 0; i < ROWS; i++) {
        omen_value row[2] = {{.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = i}};
        assert_ok(row_group_append_values(group, row));
    }
    return group;
}

static void test_against_model(void **state)
{
    struct random random = test_random(11);
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema;
    assert_ok(schema_create(&allocator, NULL, 0, NULL, 0, &schema, NULL));
    for (int round = 0; round < 20; round++) {
        struct row_group *group = make(&allocator, schema);
        struct model model = {{0}, {0}};
        for (uint32_t i = 0; i < ROWS; i++)
            model.end[i] = UINT64_MAX;
        uint64_t now = 1;
        uint32_t begun = 0;
        while (begun < ROWS) {
            now += random_below(&random, 3);
            uint64_t count_max = random_below(&random, 4) == 0 ? 2000 : 30;
            uint32_t count = 1 + (uint32_t)random_below(&random, count_max);
            count = count < ROWS - begun ? count : ROWS - begun;
            bool skip = random_below(&random, 20) == 0; /* aborted: never begins */
            if (!skip) {
                row_group_stamp_begin(group, begun, count, now);
                for (uint32_t i = 0; i < count; i++)
                    model.begin[begun + i] = now;
            }
            begun += count;
            for (uint64_t i = random_below(&random, 20); i > 0; i--) {
                uint32_t slot = (uint32_t)random_below(&random, begun);
                if (model.begin[slot] == 0 || model.end[slot] != UINT64_MAX)
                    continue;
                now += random_below(&random, 2);
                row_group_stamp_end(group, slot, now);
                model.end[slot] = now;
            }
        }
        assert_valid(group);
        for (int i = 0; i < 40; i++)
            check(group, &model, 1 + (uint32_t)random_below(&random, ROWS),
                  random_below(&random, now + 3));
        check(group, &model, ROWS, now);
        check(group, &model, ROWS, 0);
        row_group_seal(group);
        struct row_group *frozen;
        assert_ok(row_group_freeze(group, now, &frozen));
        assert_ok(row_group_prepare_ends(frozen));
        for (int i = 0; i < 10; i++) {
            uint32_t slot = (uint32_t)random_below(&random, ROWS);
            if (model.begin[slot] == 0 || model.end[slot] != UINT64_MAX)
                continue;
            row_group_stamp_end(group, slot, ++now);
            model.end[slot] = now;
        }
        assert_ok(row_group_copy_ends(group, frozen));
        assert_valid(frozen);
        for (uint64_t snapshot = now - 8; snapshot < now + 2; snapshot++) {
            check(group, &model, ROWS, snapshot);
            if (snapshot >= row_group_max_begin(group))
                check(frozen, &model, ROWS, snapshot);
        }
        row_group_release(group);
        row_group_release(frozen);
    }
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

/* The first delete in a frozen group: allocated once, before it can no longer fail. */
static void test_ends_of_a_frozen_group(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema;
    assert_ok(schema_create(&allocator, NULL, 0, NULL, 0, &schema, NULL));
    struct row_group *group = make(&allocator, schema);
    row_group_stamp_begin(group, 0, ROWS, 3);
    row_group_seal(group);
    struct row_group *frozen;
    assert_ok(row_group_freeze(group, 3, &frozen));
    row_group_release(group);
    assert_true(row_group_wholly_visible(frozen, ROWS, 3));
    size_t used = allocator.bytes_used;
    allocator_fail_at(&allocator, 1, 0);
    assert_int_equal(row_group_prepare_ends(frozen), OMEN_OUT_OF_MEMORY);
    assert_int_equal(allocator.bytes_used, used);
    assert_ok(row_group_prepare_ends(frozen));
    assert_ok(row_group_prepare_ends(frozen));
    assert_true(row_group_wholly_visible(frozen, ROWS, 3));
    row_group_stamp_end(frozen, 4000, 9);
    assert_int_equal(row_group_ended_count(frozen), 1);
    assert_true(row_group_visible(frozen, 4000, 8));
    assert_false(row_group_visible(frozen, 4000, 9));
    assert_false(row_group_wholly_visible(frozen, ROWS, 9));
    row_group_release(frozen);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

/* Once nobody can be below an end the stamps go: which slots have ended, and which never began, is
 * known as before, and stamps come back with the next end. */
static void test_r5_2_folded_ends(void **state)
{
    struct allocator allocator;
    struct row_group *frozen;
    static struct model model;
    enum { LAST = 40 };
    allocator_init(&allocator, 0);
    const struct column_definition columns[] = {{"id", {.id = OMEN_TYPE_BIGINT}, false, NULL}};
    const uint32_t key = 0;
    struct schema *schema;
    assert_ok(schema_create(&allocator, columns, 1, &key, 1, &schema, NULL));
    for (int unbegun = 0; unbegun < 2; unbegun++) {
        struct row_group *group = make(&allocator, schema);
        for (uint32_t slot = 0; slot < ROWS; slot++) {
            bool begins = unbegun == 0 || slot % 700 != 3;
            model.begin[slot] = begins ? 2 : 0;
            model.end[slot] = UINT64_MAX;
            if (begins)
                row_group_stamp_begin(group, slot, 1, 2);
        }
        row_group_seal(group);
        assert_ok(row_group_freeze(group, 2, &frozen));
        row_group_release(group);
        assert_int_equal(row_group_has_stamps(frozen), unbegun);
        for (int round = 0; round < 3; round++) {
            uint64_t last = (uint64_t)(LAST + 20 * round);
            assert_ok(row_group_prepare_ends(frozen));
            for (uint32_t slot = (uint32_t)round; slot < ROWS; slot += 977) {
                if (model.begin[slot] == 0 || model.end[slot] != UINT64_MAX)
                    continue;
                model.end[slot] = last - slot % 7;
                row_group_stamp_end(frozen, slot, model.end[slot]);
            }
            check(frozen, &model, ROWS, last - 3);
            uint32_t ended = row_group_ended_count(frozen);
            size_t bytes = row_group_bytes(frozen);
            struct row_group *held = row_group_retain(frozen);
            assert_ok(row_group_fold_ends(frozen)); /* somebody may be reading them */
            assert_true(row_group_has_stamps(frozen));
            row_group_release(held);
            assert_ok(row_group_fold_ends(frozen));
            assert_false(row_group_has_stamps(frozen));
            assert_true(row_group_bytes(frozen) + ROWS * 8 - 2048 <= bytes);
            assert_int_equal(row_group_ended_count(frozen), ended);
            check(frozen, &model, ROWS, last);
            check(frozen, &model, ROWS, last + 10);
            assert_ok(row_group_validate(frozen, NULL));
            for (uint32_t slot = 0; slot < ROWS; slot++)
                assert_int_equal(row_group_has_begun(frozen, slot), model.begin[slot] != 0);
        }
        row_group_release(frozen);
    }
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

/* Ends that were prepared for a commit that failed go altogether. */
static void test_r5_2_prepared_and_unused(void **state)
{
    struct allocator allocator;
    struct row_group *frozen;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct row_group *group;
    assert_ok(row_group_create(&allocator, schema, 1, 10, &group));
    row_group_seal(group);
    assert_ok(row_group_freeze(group, 2, &frozen));
    size_t bytes = row_group_bytes(frozen);
    assert_ok(row_group_prepare_ends(frozen));
    assert_ok(row_group_fold_ends(frozen));
    assert_int_equal(row_group_bytes(frozen), bytes);
    row_group_release(group);
    row_group_release(frozen);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_ends_of_a_frozen_group),
        cmocka_unit_test(test_r5_2_folded_ends),
        cmocka_unit_test(test_r5_2_prepared_and_unused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
