/* Freezing, compaction and dropping: what views and point reads see meanwhile. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "support.h"
#include "table/table_private.h"

static struct table_stats stats_of(struct model *model)
{
    struct table_stats stats;
    table_stats_of(model->table, &stats);
    return stats;
}

static void check_view(struct model *model, struct table_view *view, uint64_t snapshot)
{
    assert_int_equal(check_scan(model, view, snapshot, NULL, 0, true), OMEN_OK);
}

/* A reader at an old snapshot: registered, with a view opened then. */
struct old_reader {
    struct snapshot snapshot;
    struct table_view *view;
};

static struct old_reader reader_open(struct model *model)
{
    struct old_reader reader;
    assert_int_equal(snapshot_acquire(model->manager, &reader.snapshot), OMEN_OK);
    assert_int_equal(table_view_open(model->table, &reader.snapshot, &reader.view), OMEN_OK);
    return reader;
}

/* Checks the old view, a new view of the same snapshot, and point reads. */
static void reader_check(struct model *model, struct old_reader *reader, int32_t kid_max)
{
    struct table_view *again;
    check_view(model, reader->view, reader->snapshot.timestamp);
    assert_int_equal(table_view_open(model->table, &reader->snapshot, &again), OMEN_OK);
    check_view(model, again, reader->snapshot.timestamp);
    table_view_release(again);
    for (int32_t kid = 0; kid <= kid_max; kid++)
        assert_int_equal(check_point(model, &reader->snapshot, kid), OMEN_OK);
}

static void reader_close(struct old_reader *reader)
{
    snapshot_release(&reader->snapshot);
    table_view_release(reader->view);
}

/* Freezing keeps number and slots, waits for begins, and carries ends over. */
static void test_r5_2_freezing(void **state)
{
    struct model model;
    model_open(&model, KEY_TEXT);
    struct old_reader empty = reader_open(&model);
    model_insert(&model, 0, 2000);
    for (int32_t kid = 0; kid < 100; kid++)
        model_delete(&model, kid);
    struct old_reader reader = reader_open(&model);
    model_update(&model, 500, 500);
    table_seal_open(model.table);
    uint64_t number = model.table->first->number;
    maintain_fully(&model, NULL);
    assert_int_equal(stats_of(&model).groups_frozen, 0); /* its begins are above `empty` */
    reader_close(&empty);
    maintain_fully(&model, NULL);
    assert_int_equal(stats_of(&model).groups_frozen, 0); /* and one is above `reader` */
    reader_check(&model, &reader, 2010);
    reader_close(&reader);
    struct old_reader later = reader_open(&model);
    maintain_fully(&model, NULL);
    assert_int_equal(stats_of(&model).groups_frozen, 1);
    assert_int_equal(model.table->first->number, number);
    assert_int_equal(row_group_row_count(model.table->first->group), 2001);
    check_all(&model, 2010);
    /* the first delete in a frozen group without ends */
    model_insert(&model, 3000, 50);
    table_seal_open(model.table);
    maintain_fully(&model, NULL);
    model_delete(&model, 3001);
    reader_check(&model, &later, 2010);
    check_all(&model, 3060);
    reader_close(&later);
    model_close(&model);
}

/* Views at S < Tc see the old groups, at S >= Tc the new one; point reads the same, at every step
 * of repointing; changes meanwhile reach both copies. */
static void test_r5_3_compaction_under_readers(void **state)
{
    struct model model;
    struct maintain_report report = {0};
    model_open(&model, KEY_MIXED);
    model_insert(&model, 0, 1000);
    table_seal_open(model.table);
    struct old_reader first = reader_open(&model);
    for (int32_t kid = 0; kid < 1000; kid += 3)
        model_delete(&model, kid);
    struct old_reader second = reader_open(&model);
    reader_close(&first); /* now the deletes count */
    maintain_fully(&model, &report);
    assert_int_equal(report.groups_compacted, 1);
    assert_int_equal(report.entries_repointed, 666);
    assert_int_equal(report.groups_dropped, 0); /* `second` is older than Tc */
    assert_int_equal(stats_of(&model).groups_retired, 1);
    struct old_reader third = reader_open(&model);
    for (int32_t kid = 1; kid < 1000; kid += 6)
        model_update(&model, kid, kid);
    reader_check(&model, &second, 1000);
    reader_check(&model, &third, 1000);
    check_all(&model, 1000);
    reader_close(&second);
    maintain_fully(&model, &report);
    assert_int_equal(report.groups_dropped, 1);
    reader_check(&model, &third, 1000);
    reader_close(&third);
    maintain_fully(&model, NULL);
    check_all(&model, 1000);
    model_close(&model);
}

static void test_r5_3_changes_before_repointing(void **state)
{
    struct model model;
    struct maintain_report report = {0};
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 1000);
    for (int32_t kid = 0; kid < 1000; kid += 3)
        model_delete(&model, kid);
    table_seal_open(model.table);
    while (report.groups_compacted == 0)
        assert_int_equal(table_maintain(model.table, 400, &report), OMEN_OK);
    assert_int_equal(report.entries_repointed, 0); /* the step's budget is used up */
    struct old_reader reader = reader_open(&model);
    for (int32_t kid = 1; kid < 1000; kid += 9)
        model_delete(&model, kid);
    for (int32_t kid = 2; kid < 1000; kid += 9)
        model_update(&model, kid, kid);
    for (int32_t kid = 4; kid < 1000; kid += 9)
        model_update(&model, kid, kid + 2000);
    check_all(&model, 3000);
    while (report.more) {
        assert_int_equal(table_maintain(model.table, 50, &report), OMEN_OK);
        reader_check(&model, &reader, 3000);
        check_all(&model, 3000);
    }
    assert_true(report.entries_repointed > 0);
    reader_close(&reader);
    maintain_fully(&model, &report);
    check_all(&model, 3000);
    model_close(&model);
}

/* The old copies had no ends at all: the first delete makes them, in both. */
static void test_r5_3_first_deletes_before_repointing(void **state)
{
    struct model model;
    struct maintain_report report = {0};
    model_open(&model, KEY_TEXT);
    struct old_reader old = reader_open(&model); /* keeps the groups from freezing one by one */
    for (int32_t i = 0; i < 3; i++) {
        model_insert(&model, i * 200, 200);
        table_seal_open(model.table);
    }
    reader_close(&old);
    assert_int_equal(table_maintain(model.table, 100, &report), OMEN_OK);
    assert_int_equal(report.groups_compacted, 3);
    assert_int_equal(report.entries_repointed, 0);
    struct old_reader reader = reader_open(&model);
    for (int32_t kid = 0; kid < 600; kid += 50)
        model_delete(&model, kid);
    reader_check(&model, &reader, 600);
    check_all(&model, 600);
    maintain_fully(&model, NULL);
    reader_check(&model, &reader, 600);
    reader_close(&reader);
    maintain_fully(&model, NULL);
    check_all(&model, 600);
    model_close(&model);
}

/* The same with frozen sources, which have no room for ends until somebody prepares it. */
static void test_r5_3_first_deletes_in_frozen_sources(void **state)
{
    struct model model;
    struct maintain_report report = {0};
    model_open(&model, KEY_PAIR);
    /* two frozen groups, kept apart by one that is too large to merge with, which then goes */
    model_insert(&model, 0, 200);
    table_seal_open(model.table);
    maintain_fully(&model, &report);
    model_insert(&model, 1000, 20000);
    table_seal_open(model.table);
    maintain_fully(&model, &report);
    model_insert(&model, 400, 200);
    table_seal_open(model.table);
    maintain_fully(&model, &report);
    assert_int_equal(report.groups_frozen, 3);
    assert_int_equal(report.groups_compacted, 0);
    struct test_txn txn;
    assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
    for (int32_t kid = 1000; kid < 21000; kid++)
        assert_int_equal(test_txn_delete(&txn, kid), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
    while (report.groups_compacted == 0)
        assert_int_equal(table_maintain(model.table, 399, &report), OMEN_OK);
    assert_int_equal(report.groups_compacted, 2);
    assert_int_equal(report.entries_repointed, 0);
    model_delete(&model, 5);
    model_update(&model, 6, 6);
    model_update(&model, 407, 9000);
    check_all(&model, 700);
    maintain_fully(&model, &report);
    check_all(&model, 700);
    model_close(&model);
}

/* Ends of a frozen group are stamps until every reader is beyond them and nothing has come for some
 * steps; then the stamps' memory comes back, in an open table. */
static void test_r5_2_ends_fold_beneath_the_oldest_reader(void **state)
{
    struct model model;
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 20000);
    table_seal_open(model.table);
    maintain_fully(&model, NULL);
    size_t before = stats_of(&model).lifetime_bytes;
    /* A reader that does not see the ends yet, and holds no group. */
    struct old_reader reader = reader_open(&model);
    table_view_release(reader.view);
    for (int32_t kid = 0; kid < 20000; kid += 100)
        model_update(&model, kid, kid);
    for (int step = 0; step < 20; step++)
        maintain_fully(&model, NULL);
    assert_true(stats_of(&model).lifetime_bytes >= before + 20000 * 8);
    assert_int_equal(table_view_open(model.table, &reader.snapshot, &reader.view), OMEN_OK);
    reader_check(&model, &reader, 200);
    reader_close(&reader);
    /* A reader that sees the ends, but holds the group: it is not folded beneath it. */
    reader = reader_open(&model);
    for (int step = 0; step < 20; step++)
        maintain_fully(&model, NULL);
    assert_true(stats_of(&model).lifetime_bytes >= before + 20000 * 8);
    reader_check(&model, &reader, 200);
    reader_close(&reader);
    for (int step = 0; step < 20; step++)
        maintain_fully(&model, NULL);
    assert_true(stats_of(&model).lifetime_bytes <= before + 20000 * 8 / 2);
    check_all(&model, 20000);
    model_delete(&model, 1);
    model_update(&model, 2, 2);
    check_all(&model, 20000);
    model_close(&model);
}

/* A table that is changed for ever takes as much memory after many rounds as after a few. */
static void test_r5_2_memory_of_a_churned_table_stays_flat(void **state)
{
    enum { ROUNDS = 60, SETTLED = 20, KIDS = 30000 };
    struct model model;
    size_t bytes = 0, most = 0;
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, KIDS);
    table_seal_open(model.table);
    for (int round = 0; round < ROUNDS; round++) {
        struct test_txn txn;
        assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
        for (int32_t kid = round % 50; kid < KIDS; kid += 50)
            assert_int_equal(test_txn_update(&txn, kid, kid, 2), OMEN_OK);
        assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
        table_seal_open(model.table);
        for (int step = 0; step < 10; step++)
            maintain_fully(&model, NULL);
        if (round < SETTLED)
            bytes = size_max(bytes, model.allocator.bytes_used);
        else
            most = size_max(most, model.allocator.bytes_used);
    }
    assert_in_range(most, 1, bytes + bytes / 20);
    assert_in_range(stats_of(&model).lifetime_bytes, 1, KIDS * 4);
    check_all(&model, KIDS);
    model_close(&model);
}

/* While an old reader lives compaction waits, once; when it goes, memory comes back. */
static void test_r5_3_an_old_reader_blocks_only_while_it_lives(void **state)
{
    struct model model;
    struct maintain_report report = {0};
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 5000);
    table_seal_open(model.table);
    maintain_fully(&model, NULL);
    size_t bytes_before = model.allocator.bytes_used;
    struct old_reader reader = reader_open(&model);
    for (int round = 0; round < 5; round++) {
        struct test_txn txn;
        assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
        for (int32_t kid = 0; kid < 5000; kid++)
            assert_int_equal(test_txn_update(&txn, kid, kid, 2), OMEN_OK);
        assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
        table_seal_open(model.table);
        maintain_fully(&model, &report);
    }
    assert_int_equal(report.groups_compacted, 0); /* it would free nothing */
    reader_check(&model, &reader, 5000);
    reader_close(&reader);
    maintain_fully(&model, &report);
    struct table_stats stats = stats_of(&model);
    assert_int_equal(stats.groups_frozen + stats.groups_sealed + stats.groups_open, 1);
    assert_int_equal(stats.groups_retired, 0);
    assert_in_range(model.allocator.bytes_used, bytes_before / 2, bytes_before * 5 / 4);
    check_all(&model, 5000);
    model_close(&model);
}

/* A wholly dead group stays until nobody can read it. */
static void test_r5_3_dead_groups_are_dropped(void **state)
{
    struct model model;
    struct maintain_report report = {0};
    model_open(&model, KEY_PAIR);
    model_insert(&model, 0, 300);
    table_seal_open(model.table);
    model_insert(&model, 300, 10);
    struct old_reader reader = reader_open(&model);
    for (int32_t kid = 0; kid < 300; kid++)
        model_delete(&model, kid);
    maintain_fully(&model, &report);
    assert_int_equal(report.groups_dropped, 0);
    reader_check(&model, &reader, 320);
    reader_close(&reader);
    maintain_fully(&model, &report);
    assert_int_equal(report.groups_dropped, 1);
    assert_int_equal(report.entries_erased, 300);
    check_all(&model, 320);
    model_insert(&model, 0, 300);
    check_all(&model, 320);
    model_close(&model);
}

/* Dead by updates alone: no key is queued, only the ends hold the group. */
static void test_r5_3_superseded_groups_wait_for_readers(void **state)
{
    struct model model;
    struct maintain_report report = {0};
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 50);
    table_seal_open(model.table);
    struct old_reader reader = reader_open(&model);
    for (int32_t kid = 0; kid < 50; kid++)
        model_update(&model, kid, kid);
    maintain_fully(&model, &report);
    assert_int_equal(report.groups_dropped, 0);
    reader_check(&model, &reader, 60);
    reader_close(&reader);
    maintain_fully(&model, &report);
    assert_int_equal(report.groups_dropped, 1);
    check_all(&model, 60);
    model_close(&model);
}

/* Versions born and superseded while one old reader lives are no use to it: their groups go, and
 * the reader still finds its own versions behind them. */
static void test_r5_4_an_old_reader_does_not_keep_what_it_cannot_read(void **state)
{
    struct model model;
    struct maintain_report report = {0};
    model_open(&model, KEY_MIXED);
    model_insert(&model, 0, 100);
    struct old_reader reader = reader_open(&model);
    table_seal_open(model.table);
    for (int round = 0; round < 8; round++) {
        for (int32_t kid = 0; kid < 50; kid++)
            for (int i = 0; i < 3; i++)
                model_update(&model, kid, kid);
        table_seal_open(model.table);
        while (table_maintain(model.table, 20, &report) == OMEN_OK && report.more)
            report.more = false;
        reader_check(&model, &reader, 100);
        check_all(&model, 100);
    }
    maintain_fully(&model, &report);
    assert_in_range(report.groups_dropped, 7, 8);
    struct table_stats stats = stats_of(&model);
    assert_true(stats.groups_open + stats.groups_sealed + stats.groups_frozen <= 3);
    reader_check(&model, &reader, 100);
    for (int32_t kid = 0; kid < 50; kid++)
        model_delete(&model, kid);
    maintain_fully(&model, &report);
    reader_check(&model, &reader, 100);
    reader_close(&reader);
    maintain_fully(&model, &report);
    check_all(&model, 100);
    model_close(&model);
}

static void test_small_neighbours_are_merged(void **state)
{
    struct model model;
    struct maintain_report report = {0};
    model_open(&model, KEY_BIGINT);
    for (int32_t i = 0; i < 10; i++) {
        model_insert(&model, i * 20, 20);
        table_seal_open(model.table);
    }
    maintain_fully(&model, &report);
    assert_int_equal(report.groups_compacted, 10);
    assert_int_equal(stats_of(&model).groups_frozen, 1);
    check_all(&model, 210);
    /* in the order they came */
    const struct row_group *group = model.table->first->group;
    for (uint32_t slot = 0; slot < 200; slot++) {
        omen_value value;
        row_group_read(group, slot, COLUMN_KID, &value);
        assert_int_equal(value.as.i32, slot);
    }
    model_close(&model);
}

/* A step touches about as many rows as it may. */
static void test_steps_are_bounded(void **state)
{
    struct model model;
    struct maintain_report report = {0};
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 1000);
    for (int32_t kid = 0; kid < 500; kid++)
        model_delete(&model, kid);
    assert_int_equal(table_maintain(model.table, 10, &report), OMEN_OK);
    assert_int_equal(report.entries_erased, 10);
    assert_true(report.more);
    assert_int_equal(table_maintain(model.table, 100, &report), OMEN_OK);
    assert_int_equal(report.entries_erased, 110);
    check_all(&model, 1000);
    model_close(&model);
}

/* --- commits while a group is being rewritten --- */

struct beside {
    struct model *model;
    _Atomic int stop;
    _Atomic uint64_t commits;
};

static void *deleter_main(void *argument)
{
    struct beside *beside = argument;
    for (int32_t kid = 1; kid < 60000 && !beside->stop; kid += 2) {
        if (kid % 4 == 1)
            model_delete(beside->model, kid);
        else
            model_update(beside->model, kid, kid);
        beside->commits++;
    }
    return NULL;
}

/* Ends stamped between copying and Tc, or while a group is frozen, are carried over. */
static uint64_t rewrite_beside_commits(bool compacts)
{
    struct model model;
    struct maintain_report report = {0};
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 60000);
    if (compacts) {
        struct test_txn txn;
        assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
        for (int32_t kid = 0; kid < 60000; kid += 2)
            assert_int_equal(test_txn_delete(&txn, kid), OMEN_OK);
        assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
    }
    table_seal_open(model.table);
    struct beside beside = {.model = &model};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, deleter_main, &beside), 0);
    while (beside.commits < 10)
        ;
    uint64_t before = beside.commits;
    while (report.groups_compacted + report.groups_frozen == 0)
        assert_int_equal(table_maintain(model.table, 100000, &report), OMEN_OK);
    uint64_t during = beside.commits - before;
    beside.stop = 1;
    pthread_join(thread, NULL);
    check_all(&model, 300);
    maintain_fully(&model, NULL);
    check_all(&model, 300);
    model_close(&model);
    return during;
}

/* Whether a commit falls into the rewriting is up to the scheduler; usually it soon does. */
static void repeat_until_overlap(bool compacts)
{
    for (int round = 0; round < 20; round++)
        if (rewrite_beside_commits(compacts) > 0)
            break;
}

static void test_r5_3_commits_during_compaction(void **state)
{
    repeat_until_overlap(true);
}

static void test_r5_2_commits_during_freezing(void **state)
{
    repeat_until_overlap(false);
}

/* Deletes the rows that are left as soon as their group is being copied. */
static void *last_rows_main(void *argument)
{
    struct beside *beside = argument;
    struct model *model = beside->model;
    struct test_txn txn;
    uint64_t calls = atomic_load(&model->allocator.calls);
    beside->commits = 1;
    while (atomic_load(&model->allocator.calls) == calls)
        ;
    assert_int_equal(test_txn_begin(model, &txn), OMEN_OK);
    for (int32_t kid = 24000; kid < 30000; kid++)
        assert_int_equal(test_txn_delete(&txn, kid), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
    return NULL;
}

/* The entries of rows that were deleted while they were copied go before the copy does. Says
 * whether the deletes fell into the copying. */
static bool delete_while_copying(void)
{
    struct model model;
    struct test_txn txn;
    struct maintain_report report = {0};
    pthread_t thread;
    omen_error error = {0};
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 30000);
    assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
    for (int32_t kid = 0; kid < 24000; kid++)
        assert_int_equal(test_txn_delete(&txn, kid), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
    table_seal_open(model.table);
    while (model.table->deleted.count > 0)
        assert_int_equal(table_maintain(model.table, model.table->deleted.count, NULL), OMEN_OK);
    struct beside beside = {.model = &model};
    assert_int_equal(pthread_create(&thread, NULL, last_rows_main, &beside), 0);
    while (beside.commits == 0)
        ;
    assert_int_equal(table_maintain(model.table, 1, &report), OMEN_OK);
    pthread_join(thread, NULL);
    const struct group_entry *copy = model.table->first;
    bool overlapped = report.groups_compacted == 1 && copy->map == NULL && copy->next != NULL &&
                      row_group_ended_count(copy->group) == 6000;
    for (int step = 0; step < 3; step++) {
        if (table_validate(model.table, &error) != OMEN_OK)
            fail_msg("%s", error.message);
        assert_int_equal(table_maintain(model.table, 2500, &report), OMEN_OK);
    }
    maintain_fully(&model, NULL);
    check_all(&model, 0);
    model_close(&model);
    return overlapped;
}

static void test_r5_4_rows_deleted_while_copied(void **state)
{
    for (int round = 0; round < 20; round++)
        if (delete_while_copying())
            return;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r5_2_freezing),
        cmocka_unit_test(test_r5_3_compaction_under_readers),
        cmocka_unit_test(test_r5_3_changes_before_repointing),
        cmocka_unit_test(test_r5_3_first_deletes_before_repointing),
        cmocka_unit_test(test_r5_3_first_deletes_in_frozen_sources),
        cmocka_unit_test(test_r5_2_ends_fold_beneath_the_oldest_reader),
        cmocka_unit_test(test_r5_2_memory_of_a_churned_table_stays_flat),
        cmocka_unit_test(test_r5_3_an_old_reader_blocks_only_while_it_lives),
        cmocka_unit_test(test_r5_3_dead_groups_are_dropped),
        cmocka_unit_test(test_r5_3_superseded_groups_wait_for_readers),
        cmocka_unit_test(test_r5_4_an_old_reader_does_not_keep_what_it_cannot_read),
        cmocka_unit_test(test_small_neighbours_are_merged),
        cmocka_unit_test(test_steps_are_bounded),
        cmocka_unit_test(test_r5_3_commits_during_compaction),
        cmocka_unit_test(test_r5_2_commits_during_freezing),
        cmocka_unit_test(test_r5_4_rows_deleted_while_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
