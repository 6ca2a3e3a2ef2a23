/* Memory that runs out: at every allocation of every kind of write, of scans and maintenance.
 *
 * The nth allocation is made to fail, n = 1, 2, ..., until one run needs fewer. Each failure must
 * come back as 53200 and leave table and model equal and valid; then the same must succeed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"
#include "table/table_private.h"

static enum key_kind kind;

static void model_prepare(struct model *model)
{
    model_open(model, kind);
    model_insert(model, 0, 60);
    for (int32_t kid = 10; kid < 20; kid++)
        model_delete(model, kid);
    table_seal_open(model->table);
    maintain_fully(model, NULL); /* a frozen group without ends */
    model_insert(model, 60, 40);
    for (int32_t kid = 60; kid < 70; kid++)
        model_update(model, kid, kid);
}

typedef omen_status (*attempt)(struct model *model);

/* Runs the attempt with ever later failures; gives how many allocations it made. */
static uint64_t fail_each(attempt run, int and_all_after)
{
    for (uint64_t nth = 1;; nth++) {
        struct model model;
        model_prepare(&model);
        allocator_fail_at(&model.allocator, nth, and_all_after);
        omen_status status = run(&model);
        bool failed = allocator_has_failed(&model.allocator);
        allocator_fail_at(&model.allocator, 0, 0);
        if (failed && status != OMEN_OK)
            assert_int_equal(status, OMEN_OUT_OF_MEMORY);
        if (!failed)
            assert_int_equal(status, OMEN_OK);
        check_all(&model, 260);
        if (status != OMEN_OK)
            assert_int_equal(run(&model), OMEN_OK);
        maintain_fully(&model, NULL);
        check_all(&model, 260);
        model_close(&model);
        if (!failed)
            return nth - 1;
    }
}

#define TRY(call)                       \
    do {                                \
        omen_status try_ = (call);      \
        if (try_ != OMEN_OK) {          \
            test_txn_rollback(&txn);    \
            return try_;                \
        }                               \
    } while (0)

static omen_status insert_some(struct model *model)
{
    struct test_txn txn;
    OMEN_TRY(test_txn_begin(model, &txn));
    for (int32_t kid = 100; kid < 240; kid++)
        TRY(test_txn_insert(&txn, kid));
    TRY(test_txn_insert(&txn, 15)); /* deleted before */
    TRY(test_txn_commit(&txn, NULL));
    return OMEN_OK;
}

static omen_status insert_arrow_batches(struct model *model)
{
    struct test_txn txn;
    int32_t kids[90];
    for (int32_t i = 0; i < 90; i++)
        kids[i] = 100 + i;
    OMEN_TRY(test_txn_begin(model, &txn));
    TRY(test_txn_insert_arrow(&txn, kids, 50));
    TRY(test_txn_insert_arrow(&txn, kids + 50, 40)); /* 14 fill the group, 26 a new one */
    TRY(test_txn_commit(&txn, NULL));
    return OMEN_OK;
}

static omen_status update_some(struct model *model)
{
    struct test_txn txn;
    OMEN_TRY(test_txn_begin(model, &txn));
    for (int32_t kid = 20; kid < 80; kid++)
        TRY(test_txn_update(&txn, kid, kid % 5 || model->kind == KEY_HIDDEN ? kid : kid + 150,
                            kid % 3));
    TRY(test_txn_commit(&txn, NULL));
    return OMEN_OK;
}

static omen_status delete_some(struct model *model)
{
    struct test_txn txn;
    OMEN_TRY(test_txn_begin(model, &txn));
    for (int32_t kid = 20; kid < 80; kid++)
        TRY(test_txn_delete(&txn, kid));
    TRY(test_txn_commit(&txn, NULL));
    return OMEN_OK;
}

/* The commit alone fails; the same set is committed again afterwards. */
static omen_status commit_again(struct model *model)
{
    struct test_txn txn;
    uint64_t fail_at = model->allocator.fail_at, calls = model->allocator.calls;
    allocator_fail_at(&model->allocator, 0, 0);
    assert_int_equal(test_txn_begin(model, &txn), OMEN_OK);
    for (int32_t kid = 100; kid < 130; kid++)
        assert_int_equal(test_txn_insert(&txn, kid), OMEN_OK);
    for (int32_t kid = 30; kid < 40; kid++)
        assert_int_equal(test_txn_update(&txn, kid, kid, 2), OMEN_OK);
    for (int32_t kid = 40; kid < 50; kid++)
        assert_int_equal(test_txn_delete(&txn, kid), OMEN_OK);
    model->allocator.fail_at = fail_at == 0 ? 0 : model->allocator.calls + (fail_at - calls);
    omen_status status = test_txn_commit(&txn, NULL);
    if (status == OMEN_OUT_OF_MEMORY) {
        allocator_fail_at(&model->allocator, 0, 0);
        assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
        atomic_store(&model->allocator.fail_at, 1); /* it did fire */
    }
    return OMEN_OK;
}

/* A hidden key's update has no key to move; tests of keys skip it. */
static omen_status scan_and_look_up(struct model *model)
{
    struct snapshot snapshot;
    struct table_view *view = NULL;
    omen_status status = snapshot_acquire(model->manager, &snapshot);
    if (status == OMEN_OK)
        status = table_view_open(model->table, &snapshot, &view);
    if (status == OMEN_OK)
        status = check_scan(model, view, snapshot.timestamp, NULL, 0, true);
    struct test_row rows[3];
    omen_value list[3], key[2];
    for (int32_t i = 0; i < 3; i++) {
        test_row_fill(model, 20 + 20 * i, 1, 1, &rows[i]);
        list[i] = rows[i].values[COLUMN_K1];
    }
    uint32_t parts = test_key_fill(model, 20, &rows[0], key);
    omen_predicate in[] = {{COLUMN_K1, OMEN_IN, list, 3}, {COLUMN_K2, OMEN_EQ, &key[1], 1}};
    if (status == OMEN_OK && model->kind != KEY_HIDDEN)
        status = check_scan(model, view, snapshot.timestamp, in, parts, true);
    for (int32_t kid = 0; kid < 80 && status == OMEN_OK; kid += 7)
        status = check_point(model, &snapshot, kid);
    table_view_release(view);
    snapshot_release(&snapshot);
    return status;
}

static omen_status maintain_some(struct model *model)
{
    static bool prepared;
    uint64_t fail_at = model->allocator.fail_at, calls = model->allocator.calls;
    if (fail_at == 0 && !prepared)
        fail_at = calls;
    allocator_fail_at(&model->allocator, 0, 0);
    if (model_live(model, 21) != NULL) {
        for (int32_t kid = 21; kid < 40; kid++)
            model_delete(model, kid);
        for (int32_t kid = 80; kid < 95; kid++)
            model_update(model, kid, kid);
        table_seal_open(model->table);
    }
    if (fail_at > calls)
        model->allocator.fail_at = model->allocator.calls + (fail_at - calls);
    struct maintain_report report;
    omen_status status;
    do {
        report = (struct maintain_report){0};
        status = table_maintain(model->table, 30, &report);
    } while (status == OMEN_OK && report.more);
    return status;
}

static void fail_everything(enum key_kind with)
{
    static const attempt attempts[] = {insert_some, insert_arrow_batches, update_some,
                                       delete_some, commit_again,         scan_and_look_up,
                                       maintain_some};
    kind = with;
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        uint64_t once = fail_each(attempts[i], 0);
        uint64_t after = fail_each(attempts[i], 1);
        printf("kind %d, attempt %zu: %llu and %llu allocations\n", (int)with, i,
               (unsigned long long)once, (unsigned long long)after);
        assert_true(once > 0 && after > 0);
    }
}

static void test_r7_1_word_keys(void **state)
{
    fail_everything(KEY_PAIR);
}

static void test_r7_1_byte_keys(void **state)
{
    fail_everything(KEY_MIXED);
}

static void test_r7_1_hidden_keys(void **state)
{
    fail_everything(KEY_HIDDEN);
}

/* A failure in the middle of a large set: whole groups have been attached by then. */
static void test_r7_1_large_set(void **state)
{
    struct model model;
    kind = KEY_BIGINT;
    model_prepare(&model);
    struct test_txn txn;
    assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
    for (int32_t kid = 1000; kid < 68000; kid++)
        assert_int_equal(test_txn_insert(&txn, kid), OMEN_OK);
    uint64_t failures = 0;
    for (uint64_t nth = 1;; nth += nth < 20 ? 1 : 37) {
        allocator_fail_at(&model.allocator, nth, 0);
        omen_error error;
        omen_status status = test_txn_commit(&txn, &error);
        if (status == OMEN_OK)
            break;
        allocator_fail_at(&model.allocator, 0, 0);
        assert_string_equal(error.sqlstate, "53200");
        failures++;
        txn_writer_unlock(model.manager);
        check_valid(&model);
        txn_writer_lock(model.manager);
    }
    allocator_fail_at(&model.allocator, 0, 0);
    assert_true(failures > 5);
    check_all(&model, 2000);
    maintain_fully(&model, NULL);
    check_all(&model, 2000);
    model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r7_1_word_keys),
        cmocka_unit_test(test_r7_1_byte_keys),
        cmocka_unit_test(test_r7_1_hidden_keys),
        cmocka_unit_test(test_r7_1_large_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
