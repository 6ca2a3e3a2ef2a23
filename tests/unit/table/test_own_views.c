/* Views with what their transaction has written: compaction, large sets, statistics, threads. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/thread.h"
#include "support_own.h"

static uint64_t groups_of(struct fixture *fixture)
{
    struct table_stats stats;
    table_stats_of(fixture->table, &stats);
    return stats.groups_open + stats.groups_sealed + stats.groups_frozen + stats.groups_retired;
}

/* --- compaction --- */

enum { ROWS = 3000 };

/* Targets were ended before the compaction; views come after it, at snapshots from before and
 * after. And the other way round. Twice, so that copies are copied. */
static void test_r5_3_ended_rows_are_hidden_in_sources_and_copies(void **state)
{
    struct fixture fixture;
    struct snapshot snapshots[3];
    open_fixture(&fixture);
    insert(&fixture, 0, ROWS);
    table_seal_open(fixture.table);
    delete_most(&fixture, 0, ROWS, 2);
    insert(&fixture, ROWS, 10); /* so that the group is not alone */
    assert_int_equal(own_delete(&fixture, 100), OMEN_OK);
    assert_int_equal(snapshot_acquire(fixture.manager, &snapshots[0]), OMEN_OK);
    assert_true(maintain(&fixture) > 0);
    assert_int_equal(own_update(&fixture, 200, 7), OMEN_OK);
    assert_int_equal(snapshot_acquire(fixture.manager, &snapshots[1]), OMEN_OK);
    /* The old snapshot keeps the dead rows from being worth it: those of the copy must be older. */
    delete_most(&fixture, ROWS, 10, 100000);
    for (int64_t id = 0; id < ROWS; id += 6)
        if (id != 300 && id != 600 && id != 100 && id != 200)
            change_n(&fixture, id, -1);
    assert_int_equal(own_delete(&fixture, 300), OMEN_OK);
    assert_int_equal(snapshot_acquire(fixture.manager, &snapshots[2]), OMEN_OK);
    maintain(&fixture);
    assert_int_equal(own_delete(&fixture, 600), OMEN_OK);
    for (int i = 0; i < 3; i++) {
        struct table_view *plain, *view = view_at(&fixture, &snapshots[i], fixture.command + 1);
        assert_int_equal(table_view_open(fixture.table, &snapshots[i], &plain), OMEN_OK);
        struct totals all = read_all(plain, 1), seen = read_all(view, 1);
        /* 100, 300 and 600 are gone, 200 has another n. */
        assert_int_equal(seen.rows, all.rows - 3);
        assert_int_equal(seen.ids, all.ids - 1000);
        assert_int_equal(seen.ns, all.ns - 1000 - 200 + 7);
        assert_int_equal(n_in(view, 100), -1);
        assert_int_equal(n_in(view, 200), 7);
        assert_int_equal(n_in(view, 300), -1);
        assert_int_equal(n_in(view, 600), -1);
        assert_int_equal(n_in(plain, 600), 600);
        table_view_release(plain);
        table_view_release(view);
        snapshot_release(&snapshots[i]);
    }
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    assert_int_equal(n_of(&fixture, 100), -1);
    assert_int_equal(n_of(&fixture, 200), 7);
    assert_int_equal(n_of(&fixture, 300), -1);
    close_fixture(&fixture);
}

/* Between statements no snapshot holds the groups: they are gone when the row is looked for. */
static void test_ended_rows_are_found_when_their_group_is_gone(void **state)
{
    for (int round = 0; round < 2; round++) {
        struct fixture fixture;
        open_fixture(&fixture);
        insert(&fixture, 0, ROWS);
        table_seal_open(fixture.table);
        delete_most(&fixture, 0, ROWS, 2);
        insert(&fixture, ROWS, 10);
        assert_int_equal(own_delete(&fixture, 100), OMEN_OK);
        assert_int_equal(own_update(&fixture, 200, 7), OMEN_OK);
        uint64_t groups = groups_of(&fixture);
        assert_true(maintain(&fixture) > 0);
        assert_true(groups_of(&fixture) <= groups); /* the source has gone */
        if (round == 0) { /* looked for by a view; else by the commit */
            struct table_view *view = view_now(&fixture);
            assert_int_equal(read_all(view, 2).rows, ROWS / 2 + 9);
            table_view_release(view);
            assert_int_equal(n_of(&fixture, 100), -1);
            assert_int_equal(n_of(&fixture, 200), 7);
        }
        assert_int_equal(own_commit(&fixture), OMEN_OK);
        assert_int_equal(n_of(&fixture, 100), -1);
        assert_int_equal(n_of(&fixture, 200), 7);
        assert_int_equal(table_row_count_estimate(fixture.table), ROWS / 2 + 9);
        close_fixture(&fixture);
    }
}

/* --- large sets --- */

enum { LARGE = 70000 };

static const void *values_of(struct fixture *fixture, uint64_t row_id)
{
    const struct group_entry *entry = directory_find(fixture->table, row_id_group(row_id));
    return entry == NULL ? NULL : row_group_values(entry->group, ID);
}

static void test_large_sets_are_never_copied(void **state)
{
    struct fixture fixture;
    open_fixture(&fixture);
    struct write_set *set = begin(&fixture);
    put(set, 0, LARGE, 1);
    assert_int_equal(set->group_count, 2);
    const void *gathered[] = {row_group_values(set->groups[0], ID),
                              row_group_values(set->groups[1], ID)};
    assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
    struct table_view *view = view_now(&fixture);
    assert_int_equal(read_all(view, 3).rows, LARGE);
    assert_int_equal(view->group_count, 2);
    assert_ptr_equal(row_group_values(view->groups[0].group, ID), gathered[0]);
    table_view_release(view);
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    view = view_now(&fixture);
    assert_int_equal(read_all(view, 3).rows, LARGE);
    uint64_t first = read_one(view, 0).row_id, last = read_one(view, LARGE - 1).row_id;
    assert_true((row_id_group(first) & OWN_GROUP_BIT) == 0);
    assert_ptr_equal(values_of(&fixture, first), gathered[0]);
    assert_ptr_equal(values_of(&fixture, last), gathered[1]);
    table_view_release(view);
    insert(&fixture, LARGE, 10); /* behind them */
    assert_int_equal(n_of(&fixture, LARGE), LARGE);
    close_fixture(&fixture);
}

static void test_views_outlive_the_commit_of_large_sets(void **state)
{
    struct fixture fixture;
    open_fixture(&fixture);
    assert_int_equal(own_insert(&fixture, 0, LARGE, 1), OMEN_OK);
    struct table_view *view = view_now(&fixture);
    uint64_t row_id = read_one(view, 5).row_id;
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    struct totals before = read_all(view, 3);
    assert_int_equal(before.rows, LARGE);
    change_n(&fixture, 5, 1000);
    insert(&fixture, LARGE, 100);
    assert_true(totals_equal(read_all(view, 2), before));
    assert_int_equal(read_one(view, 5).row_id, row_id);
    assert_int_equal(n_of(&fixture, 5), 1000);
    table_view_release(view);
    close_fixture(&fixture);
}

/* Several private groups, of which one is undone whole and one in part has dead rows. */
static void test_groups_that_were_undone_leave_a_gap(void **state)
{
    struct fixture fixture;
    open_fixture(&fixture);
    assert_int_equal(own_insert(&fixture, 0, 10000, 1), OMEN_OK);
    assert_int_equal(own_insert(&fixture, 10000, 10000, 2), OMEN_OK);
    struct own_mark mark = own_writes_mark(fixture.own);
    assert_int_equal(own_insert(&fixture, 20000, 20000, 3), OMEN_OK);
    struct table_view *undone = view_now(&fixture);
    uint64_t row_id = read_one(undone, 25000).row_id;
    own_writes_undo(fixture.own, mark);
    assert_int_equal(own_insert(&fixture, 20000, 20000, 4), OMEN_OK);
    /* The id of a row that was undone never means another. */
    struct write_set *set = begin(&fixture);
    assert_int_equal(write_set_delete_row(set, row_id, NULL), OMEN_SERIALIZATION_FAILURE);
    assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
    set = begin(&fixture);
    for (int64_t id = 0; id < 10000; id += 3)
        assert_int_equal(take(set, id), OMEN_OK);
    assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
    assert_int_equal(n_of(&fixture, 25000), 4);
    assert_int_equal(read_all(undone, 2).rows, 40000);
    assert_int_equal(n_in(undone, 25000), 3);
    assert_int_equal(n_in(undone, 3), 1);
    table_view_release(undone);
    struct table_view *view = view_now(&fixture);
    struct totals before = read_all(view, 3);
    assert_int_equal(before.rows, 40000 - 3334);
    assert_int_equal(before.ns, 10000 - 3334 + 2 * 10000 + 4 * 20000);
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    assert_true(totals_equal(read_all(view, 3), before));
    table_view_release(view);
    view = view_now(&fixture);
    assert_true(totals_equal(read_all(view, 3), before));
    bool exact;
    assert_int_equal(table_view_row_count(view, &exact), before.rows);
    table_view_release(view);
    close_fixture(&fixture);
}

/* Undone is the end of one private group, and all of the next. */
static void test_half_a_group_is_undone(void **state)
{
    struct fixture fixture;
    open_fixture(&fixture);
    assert_int_equal(own_insert(&fixture, 0, 100, 1), OMEN_OK);
    struct own_mark mark = own_writes_mark(fixture.own);
    assert_int_equal(own_insert(&fixture, 100, 50, 2), OMEN_OK);
    assert_int_equal(own_insert(&fixture, 1000, 10000, 3), OMEN_OK);
    own_writes_undo(fixture.own, mark);
    struct table_view *view = view_now(&fixture);
    assert_int_equal(read_all(view, 2).rows, 100);
    assert_int_equal(n_in(view, 99), 1);
    assert_int_equal(n_in(view, 100), -1);
    table_view_release(view);
    assert_int_equal(own_insert(&fixture, 90, 30, 4), OMEN_DUPLICATE_KEY);
    assert_int_equal(own_insert(&fixture, 100, 30, 4), OMEN_OK);
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    assert_int_equal(table_row_count_estimate(fixture.table), 130);
    close_fixture(&fixture);
}

/* --- statistics --- */

static void test_r11_2_nothing_is_exact_with_own_writes(void **state)
{
    struct fixture fixture;
    struct column_summary summary;
    bool exact;
    open_fixture(&fixture);
    insert(&fixture, 0, 2048);
    table_seal_open(fixture.table);
    maintain(&fixture);
    struct table_view *view = view_now(&fixture);
    assert_int_equal(table_view_row_count(view, &exact), 2048);
    table_view_column(view, ID, &summary);
    assert_true(exact && summary.complete && summary.has_range);
    table_view_release(view);
    for (int round = 0; round < 2; round++) { /* rows that come, rows that go */
        struct own_mark mark = own_writes_mark(fixture.own);
        if (round == 0)
            assert_int_equal(own_insert(&fixture, 5000, 10, 1), OMEN_OK);
        else
            assert_int_equal(own_delete(&fixture, 0), OMEN_OK);
        view = view_now(&fixture);
        assert_int_equal(table_view_row_count(view, &exact), round == 0 ? 2058 : 2047);
        table_view_column(view, ID, &summary);
        assert_true(!exact && !summary.complete && !summary.has_range);
        table_view_release(view);
        own_writes_undo(fixture.own, mark);
    }
    assert_true(own_writes_empty(fixture.own));
    view = view_now(&fixture);
    table_view_row_count(view, &exact);
    assert_true(exact);
    table_view_release(view);
    close_fixture(&fixture);
}

/* --- threads --- */

struct reading {
    struct fixture *fixture;
    struct mutex lock;
    struct table_view *view; /* the newest */
    uint64_t rows;           /* that it has */
    atomic_bool stop;
};

static void *read_views(void *argument)
{
    struct reading *reading = argument;
    uint32_t i = 0;
    while (!atomic_load(&reading->stop)) {
        mutex_lock(&reading->lock);
        struct table_view *view = table_view_retain(reading->view);
        uint64_t rows = reading->rows;
        mutex_unlock(&reading->lock);
        if (read_all(view, 1 + i % 3).rows != rows || read_one(view, i % 100).rows > 1)
            abort();
        i++;
        table_view_release(view);
    }
    return NULL;
}

static void *keep_house(void *argument)
{
    struct reading *reading = argument;
    while (!atomic_load(&reading->stop)) {
        table_seal_open(reading->fixture->table);
        if (table_maintain(reading->fixture->table, 1 << 20, NULL) != OMEN_OK)
            abort();
    }
    return NULL;
}

static void show(struct reading *reading, uint64_t rows)
{
    struct table_view *view = view_now(reading->fixture);
    mutex_lock(&reading->lock);
    struct table_view *before = reading->view;
    reading->view = view;
    reading->rows = rows;
    mutex_unlock(&reading->lock);
    table_view_release(before);
}

static void test_views_are_read_while_the_transaction_goes_on(void **state)
{
    struct fixture fixture;
    struct thread threads[3];
    open_fixture(&fixture);
    insert(&fixture, 0, 1000);
    struct reading reading = {.fixture = &fixture};
    mutex_init(&reading.lock);
    show(&reading, 1000);
    assert_true(thread_start(&threads[0], read_views, &reading));
    assert_true(thread_start(&threads[1], read_views, &reading));
    assert_true(thread_start(&threads[2], keep_house, &reading));
    for (int round = 0; round < 30; round++) {
        int64_t id = 10000 + round * 1000;
        struct own_mark mark = own_writes_mark(fixture.own);
        assert_int_equal(own_insert(&fixture, id, 100, 1), OMEN_OK);
        show(&reading, 1100);
        assert_int_equal(own_delete(&fixture, round), OMEN_OK);
        assert_int_equal(own_delete(&fixture, id + 1), OMEN_OK);
        assert_int_equal(own_update(&fixture, 500 + round, 1), OMEN_OK);
        show(&reading, 1098);
        own_writes_undo(fixture.own, mark);
        show(&reading, 1000);
        assert_int_equal(own_update(&fixture, round, round), OMEN_OK);
        assert_int_equal(own_update(&fixture, round, round + 1), OMEN_OK);
        show(&reading, 1000);
        if (round % 5 == 4)
            assert_int_equal(own_commit(&fixture), OMEN_OK);
    }
    atomic_store(&reading.stop, true);
    for (int i = 0; i < 3; i++)
        thread_join(&threads[i]);
    table_view_release(reading.view);
    mutex_destroy(&reading.lock);
    close_fixture(&fixture);
}

/* --- many small statements --- */

/* The rows `id` * 7 for `id` below `count` have n = 1, the others n = id; how the next statement, or one
 * of an earlier command, sees it. */
static void expect_changed(struct table_view *view, int64_t rows, int64_t count)
{
    struct totals all = read_all(view, 1);
    int64_t sum = rows * (rows - 1) / 2;
    assert_int_equal(all.rows, rows);
    assert_int_equal(all.ns, sum - 7 * count * (count - 1) / 2 + count);
    table_view_release(view);
}

/* What a view hides is kept for the next one: it follows undo, rows that move, earlier commands. */
static void test_views_of_a_transaction_that_changes_many_rows(void **state)
{
    enum { CHANGES = 900, GROUP = 4000, ALL = 2 * GROUP, MARK = 500, UNDONE = 600, MOVED = 700 };
    struct fixture fixture;
    struct own_mark mark = {0};
    bool undone = false;
    open_fixture(&fixture);
    insert(&fixture, 0, GROUP);
    table_seal_open(fixture.table);
    insert(&fixture, GROUP, GROUP);
    insert(&fixture, ALL, GROUP);
    for (int changes = 0; changes < CHANGES; changes++) {
        if (changes == MARK)
            mark = own_writes_mark(fixture.own);
        if (changes == UNDONE && !undone) {
            own_writes_undo(fixture.own, mark);
            undone = true;
            changes = MARK;
        }
        if (changes == MOVED) {
            struct table_view *held = view_now(&fixture);
            delete_most(&fixture, ALL, GROUP, INT64_C(1) << 40);
            table_seal_open(fixture.table);
            assert_true(maintain(&fixture) > 0);
            expect_changed(held, ALL + GROUP, changes);
        }
        assert_int_equal(own_update(&fixture, changes * 7, 1), OMEN_OK);
        if (changes % 10 > 2)
            continue;
        struct snapshot snapshot;
        uint32_t command = fixture.command;
        int64_t rows = changes < MOVED ? ALL + GROUP : ALL;
        assert_int_equal(snapshot_acquire(fixture.manager, &snapshot), OMEN_OK);
        expect_changed(view_at(&fixture, &snapshot, command + 1), rows, changes + 1);
        expect_changed(view_at(&fixture, &snapshot, command), rows, changes);
        expect_changed(view_at(&fixture, &snapshot, command + 1), rows, changes + 1);
        snapshot_release(&snapshot);
    }
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    assert_int_equal(n_of(&fixture, 7 * (CHANGES - 1)), 1);
    close_fixture(&fixture);
}

/* --- large sets and other writers --- */

struct contender {
    struct txn_manager *manager;
    atomic_bool stop;
    atomic_uint turns;
};

static void *take_turns(void *argument)
{
    struct contender *contender = argument;
    while (!atomic_load(&contender->stop)) {
        txn_writer_lock(contender->manager);
        atomic_fetch_add(&contender->turns, 1);
        txn_writer_unlock(contender->manager);
        sched_yield();
    }
    return NULL;
}

/* Others become the writer while a large set is added, not only afterwards. */
static void test_others_write_while_a_large_set_is_added(void **state)
{
    enum { SET_ROWS = 100000, TRIES = 50 };
    struct fixture fixture;
    open_fixture(&fixture);
    struct contender contender = {.manager = fixture.manager};
    pthread_t thread;
    unsigned turns = 0;
    assert_int_equal(pthread_create(&thread, NULL, take_turns, &contender), 0);
    for (int i = 0; i < TRIES && turns == 0; i++) {
        struct write_set *set = begin(&fixture);
        put(set, (int64_t)i * SET_ROWS, SET_ROWS, i);
        unsigned before = atomic_load(&contender.turns);
        assert_int_equal(
            own_writes_add(fixture.own, set, fixture.command, fixture.snapshot, NULL), OMEN_OK);
        turns = atomic_load(&contender.turns) - before;
        txn_writer_unlock(fixture.manager);
        write_set_destroy(set);
    }
    assert_true(turns > 0);
    atomic_store(&contender.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views_of_a_transaction_that_changes_many_rows),
        cmocka_unit_test(test_others_write_while_a_large_set_is_added),
        cmocka_unit_test(test_r5_3_ended_rows_are_hidden_in_sources_and_copies),
        cmocka_unit_test(test_ended_rows_are_found_when_their_group_is_gone),
        cmocka_unit_test(test_large_sets_are_never_copied),
        cmocka_unit_test(test_views_outlive_the_commit_of_large_sets),
        cmocka_unit_test(test_groups_that_were_undone_leave_a_gap),
        cmocka_unit_test(test_half_a_group_is_undone),
        cmocka_unit_test(test_r11_2_nothing_is_exact_with_own_writes),
        cmocka_unit_test(test_views_are_read_while_the_transaction_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
