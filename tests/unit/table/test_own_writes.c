/* What a transaction has written to a table: its statements, and its commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "column/key.h"
#include "fake_log.h"
#include "support_own.h"

/* --- commands --- */

static void test_r7_4_a_statement_sees_earlier_commands_alone(void **state)
{
    struct fixture fixture;
    struct snapshot snapshot;
    open_fixture(&fixture);
    insert(&fixture, 0, 10);
    assert_int_equal(snapshot_acquire(fixture.manager, &snapshot), OMEN_OK);
    assert_true(own_writes_empty(fixture.own));
    assert_int_equal(own_insert(&fixture, 10, 5, 1), OMEN_OK); /* command 1 */
    assert_int_equal(own_update(&fixture, 3, 30), OMEN_OK);    /* 2 */
    assert_int_equal(own_update(&fixture, 12, 2), OMEN_OK);    /* 3 */
    assert_int_equal(own_delete(&fixture, 4), OMEN_OK);        /* 4 */
    assert_int_equal(own_delete(&fixture, 12), OMEN_OK);       /* 5 */
    assert_int_equal(own_writes_row_count(fixture.own), 9);
    static const struct {
        int32_t n3, n4, n12;
        uint64_t rows;
    } expected[] = {{3, 4, -1, 10}, {3, 4, -1, 10}, {3, 4, 1, 15}, {30, 4, 1, 15},
                    {30, 4, 2, 15}, {30, -1, 2, 14}, {30, -1, -1, 13}};
    for (uint32_t command = 1; command <= 6; command++) {
        struct table_view *view = view_at(&fixture, &snapshot, command);
        assert_int_equal(n_in(view, 3), expected[command].n3);
        assert_int_equal(n_in(view, 4), expected[command].n4);
        assert_int_equal(n_in(view, 12), expected[command].n12);
        assert_int_equal(read_all(view, 3).rows, expected[command].rows);
        table_view_release(view);
    }
    /* Nobody else sees any of it. */
    struct table_view *others;
    assert_int_equal(table_view_open(fixture.table, &snapshot, &others), OMEN_OK);
    assert_int_equal(read_all(others, 1).rows, 10);
    assert_int_equal(n_in(others, 3), 3);
    table_view_release(others);
    snapshot_release(&snapshot);
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    assert_int_equal(n_of(&fixture, 3), 30);
    assert_int_equal(n_of(&fixture, 4), -1);
    assert_int_equal(n_of(&fixture, 12), -1);
    assert_int_equal(n_of(&fixture, 14), 1);
    close_fixture(&fixture);
}

static void test_rows_come_and_go_and_come(void **state)
{
    struct fixture fixture;
    open_fixture(&fixture);
    insert(&fixture, 0, 3);
    /* A shared row: deleted, inserted, updated, deleted, inserted. */
    assert_int_equal(own_delete(&fixture, 1), OMEN_OK);
    assert_int_equal(n_of(&fixture, 1), -1);
    assert_int_equal(own_insert(&fixture, 1, 1, 100), OMEN_OK);
    assert_int_equal(n_of(&fixture, 1), 100);
    assert_int_equal(own_update(&fixture, 1, 101), OMEN_OK);
    assert_int_equal(own_delete(&fixture, 1), OMEN_OK);
    assert_int_equal(n_of(&fixture, 1), -1);
    assert_int_equal(own_insert(&fixture, 1, 1, 102), OMEN_OK);
    assert_int_equal(n_of(&fixture, 1), 102);
    /* A private one. */
    assert_int_equal(own_insert(&fixture, 7, 1, 70), OMEN_OK);
    assert_int_equal(own_delete(&fixture, 7), OMEN_OK);
    assert_int_equal(n_of(&fixture, 7), -1);
    assert_int_equal(own_insert(&fixture, 7, 1, 71), OMEN_OK);
    /* What is not there cannot be changed. */
    struct write_set *set = begin(&fixture);
    assert_int_equal(take(set, 8), OMEN_NOT_FOUND);
    assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    assert_int_equal(n_of(&fixture, 0), 0);
    assert_int_equal(n_of(&fixture, 1), 102);
    assert_int_equal(n_of(&fixture, 7), 71);
    assert_int_equal(table_row_count_estimate(fixture.table), 4);
    close_fixture(&fixture);
}

static void test_keys_move(void **state)
{
    struct fixture fixture;
    open_fixture(&fixture);
    insert(&fixture, 0, 4);
    assert_int_equal(own_insert(&fixture, 10, 2, 5), OMEN_OK);
    /* Unique at the end: a swap of two shared rows, then of a shared and a private one. */
    struct write_set *set = begin(&fixture);
    assert_int_equal(move(set, 1, 2), OMEN_OK);
    assert_int_equal(move(set, 2, 1), OMEN_OK);
    assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
    assert_int_equal(n_of(&fixture, 1), 2);
    set = begin(&fixture);
    assert_int_equal(move(set, 1, 10), OMEN_OK);
    assert_int_equal(move(set, 10, 1), OMEN_OK);
    assert_int_equal(move(set, 3, 30), OMEN_OK);
    assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
    assert_int_equal(n_of(&fixture, 1), 5);
    assert_int_equal(n_of(&fixture, 2), 1);
    assert_int_equal(n_of(&fixture, 10), 2);
    assert_int_equal(n_of(&fixture, 3), -1);
    assert_int_equal(n_of(&fixture, 30), 3);
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    assert_int_equal(n_of(&fixture, 1), 5);
    assert_int_equal(n_of(&fixture, 2), 1);
    assert_int_equal(n_of(&fixture, 3), -1);
    assert_int_equal(n_of(&fixture, 30), 3);
    close_fixture(&fixture);
}

static void test_duplicates_are_named_and_change_nothing(void **state)
{
    struct fixture fixture;
    omen_error error;
    open_fixture(&fixture);
    insert(&fixture, 0, 4);
    assert_int_equal(own_insert(&fixture, 10, 3, 1), OMEN_OK);
    assert_int_equal(own_delete(&fixture, 3), OMEN_OK);
    static const int64_t taken[] = {2, 11, 20}; /* shared, private, twice in the statement */
    for (int i = 0; i < 3; i++) {
        struct write_set *set = begin(&fixture);
        put(set, 19, 2, 7); /* 19 and 20 */
        assert_int_equal(set_n(set, 1, 77), OMEN_OK);
        assert_int_equal(set_n(set, 10, 77), OMEN_OK);
        put(set, 3, 1, 7); /* free */
        put(set, taken[i], 1, 7);
        assert_int_equal(finish(&fixture, set, &error), OMEN_DUPLICATE_KEY);
        char message[128];
        snprintf(message, sizeof message,
                 "duplicate key value violates unique constraint \"t_pkey\": key (id)=(%d) already "
                 "exists",
                 (int)taken[i]);
        assert_string_equal(error.message, message);
        assert_string_equal(error.sqlstate, "23505");
        assert_int_equal(own_writes_row_count(fixture.own), 4);
        static const int32_t expected[][2] = {{1, 1},   {2, 2},   {3, -1}, {10, 1},
                                              {11, 1}, {19, -1}, {20, -1}};
        for (size_t k = 0; k < sizeof expected / sizeof expected[0]; k++)
            assert_int_equal(n_of(&fixture, expected[k][0]), expected[k][1]);
    }
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    assert_int_equal(table_row_count_estimate(fixture.table), 6);
    close_fixture(&fixture);
}

/* A shared row deleted, updated, moved; a private one updated, deleted: all of it after a savepoint. */
static void test_a_savepoint_brings_everything_back(void **state)
{
    struct fixture fixture;
    open_fixture(&fixture);
    insert(&fixture, 0, 6);
    assert_int_equal(own_insert(&fixture, 10, 4, 1), OMEN_OK);
    assert_int_equal(own_delete(&fixture, 5), OMEN_OK);
    struct own_mark savepoint = own_writes_mark(fixture.own);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(own_delete(&fixture, 1), OMEN_OK);
        assert_int_equal(own_insert(&fixture, 1, 1, 50), OMEN_OK);
        assert_int_equal(own_update(&fixture, 2, 20), OMEN_OK);
        assert_int_equal(own_insert(&fixture, 5, 1, 55), OMEN_OK);
        struct write_set *set = begin(&fixture);
        assert_int_equal(move(set, 3, 33), OMEN_OK);
        assert_int_equal(move(set, 10, 3), OMEN_OK);
        assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
        assert_int_equal(own_delete(&fixture, 11), OMEN_OK);
        assert_int_equal(own_update(&fixture, 12, 2), OMEN_OK);
        assert_int_equal(own_insert(&fixture, 40, 30, 9), OMEN_OK);
        struct table_view *inside = view_now(&fixture);
        own_writes_undo(fixture.own, savepoint);
        assert_int_equal(own_writes_row_count(fixture.own), 5);
        static const int32_t expected[][2] = {{0, 0},  {1, 1},  {2, 2},  {3, 3},   {4, 4},
                                              {5, -1}, {10, 1}, {11, 1}, {12, 1},  {13, 1},
                                              {40, -1}, {33, -1}, {69, -1}};
        for (size_t k = 0; k < sizeof expected / sizeof expected[0]; k++)
            assert_int_equal(n_of(&fixture, expected[k][0]), expected[k][1]);
        /* Who opened a view in between goes on seeing what was there. */
        assert_int_equal(read_all(inside, 2).rows, 39);
        assert_int_equal(n_in(inside, 1), 50);
        assert_int_equal(n_in(inside, 2), 20);
        assert_int_equal(n_in(inside, 3), 1);
        assert_int_equal(n_in(inside, 5), 55);
        assert_int_equal(n_in(inside, 11), -1);
        table_view_release(inside);
    }
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    assert_int_equal(n_of(&fixture, 1), 1);
    assert_int_equal(n_of(&fixture, 5), -1);
    assert_int_equal(n_of(&fixture, 13), 1);
    assert_int_equal(table_row_count_estimate(fixture.table), 9);
    close_fixture(&fixture);
}

/* --- REPEATABLE READ --- */

static void test_repeatable_read_refuses_what_changed_behind_it(void **state)
{
    struct fixture fixture;
    struct snapshot snapshot;
    omen_error error;
    open_fixture(&fixture);
    insert(&fixture, 0, 6);
    assert_int_equal(snapshot_acquire(fixture.manager, &snapshot), OMEN_OK);
    fixture.snapshot = snapshot.timestamp;
    change_n(&fixture, 1, 100);
    change_n(&fixture, 2, -1);
    insert(&fixture, 10, 1);
    for (int64_t id = 1; id <= 2; id++)
        for (int deletes = 0; deletes < 2; deletes++) {
            struct write_set *set = begin(&fixture);
            assert_int_equal(deletes ? take(set, id) : set_n(set, id, 5), OMEN_OK);
            assert_int_equal(finish(&fixture, set, &error), OMEN_SERIALIZATION_FAILURE);
            assert_string_equal(error.sqlstate, "40001");
        }
    /* Unseen, so there is nothing to change; but taken. */
    struct write_set *set = begin(&fixture);
    assert_int_equal(take(set, 10), OMEN_NOT_FOUND);
    assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
    assert_int_equal(own_insert(&fixture, 10, 1, 1), OMEN_DUPLICATE_KEY);
    /* Seen, though it is gone: not to stand beside a new one. */
    assert_int_equal(own_insert(&fixture, 2, 1, 1), OMEN_SERIALIZATION_FAILURE);
    assert_int_equal(own_update(&fixture, 3, 30), OMEN_OK);
    struct table_view *view = view_at(&fixture, &snapshot, fixture.command + 1);
    assert_int_equal(read_all(view, 1).rows, 6);
    assert_int_equal(n_in(view, 1), 1);
    assert_int_equal(n_in(view, 3), 30);
    table_view_release(view);
    snapshot_release(&snapshot);
    /* READ COMMITTED takes the newest. */
    fixture.snapshot = OWN_SNAPSHOT_NONE;
    assert_int_equal(own_update(&fixture, 1, 101), OMEN_OK);
    assert_int_equal(own_insert(&fixture, 2, 1, 22), OMEN_OK);
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    assert_int_equal(n_of(&fixture, 1), 101);
    assert_int_equal(n_of(&fixture, 2), 22);
    close_fixture(&fixture);
}

/* --- row ids --- */

static omen_status set_n_of_row(struct write_set *set, uint64_t row_id, int32_t n)
{
    const uint32_t column = N;
    omen_value value = integer(n);
    return write_set_update_row(set, row_id, &column, &value, 1, NULL);
}

static void test_rows_change_by_ids_that_views_give(void **state)
{
    struct fixture fixture;
    open_fixture(&fixture);
    insert(&fixture, 0, 4);
    assert_int_equal(own_insert(&fixture, 10, 4, 1), OMEN_OK);
    struct table_view *view = view_now(&fixture);
    uint64_t shared = read_one(view, 2).row_id, private = read_one(view, 12).row_id;
    assert_true((row_id_group(private) & OWN_GROUP_BIT) != 0);
    assert_true((row_id_group(shared) & OWN_GROUP_BIT) == 0);
    table_view_release(view);
    struct write_set *set = begin(&fixture);
    assert_int_equal(set_n_of_row(set, shared, 20), OMEN_OK);
    assert_int_equal(set_n_of_row(set, private, 21), OMEN_OK);
    assert_int_equal(set_n_of_row(set, private, 22), OMEN_OK); /* the first wins */
    assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
    assert_int_equal(n_of(&fixture, 2), 20);
    assert_int_equal(n_of(&fixture, 12), 21);
    /* The same ids again name what is no longer there. */
    for (int i = 0; i < 2; i++) {
        set = begin(&fixture);
        assert_int_equal(write_set_delete_row(set, i == 0 ? shared : private, NULL), OMEN_OK);
        assert_int_equal(finish(&fixture, set, NULL), OMEN_SERIALIZATION_FAILURE);
    }
    /* One of another transaction's leads nowhere. */
    struct write_set *plain;
    assert_int_equal(write_set_create(fixture.table, &plain), OMEN_OK);
    assert_int_equal(set_n_of_row(plain, private, 9), OMEN_SERIALIZATION_FAILURE);
    assert_int_equal(write_set_delete_row(plain, private, NULL), OMEN_SERIALIZATION_FAILURE);
    write_set_destroy(plain);
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    assert_int_equal(n_of(&fixture, 12), 21);
    close_fixture(&fixture);
}

static void test_keys_to_lock_are_all_that_is_written(void **state)
{
    struct fixture fixture;
    struct arena arena;
    struct numbered_key *keys;
    size_t count;
    open_fixture(&fixture);
    insert(&fixture, 0, 6);
    assert_int_equal(own_insert(&fixture, 10, 1, 1), OMEN_OK);
    struct write_set *set = begin(&fixture);
    assert_int_equal(move(set, 4, 40), OMEN_OK);
    assert_int_equal(set_n(set, 10, 2), OMEN_OK);
    assert_int_equal(take(set, 1), OMEN_OK);
    put(set, 1, 1, 1);
    put(set, 7, 1, 1);
    arena_init(&arena, &fixture.allocator);
    assert_int_equal(write_set_keys(set, &arena, &keys, &count, NULL), OMEN_OK);
    static const int64_t expected[] = {1, 4, 7, 10, 40};
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++) {
        omen_value value = bigint(expected[i]);
        assert_int_equal(keys[i].number, 0);
        assert_int_equal(keys[i].key.word, key_word(&value));
    }
    arena_release(&arena);
    assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
    close_fixture(&fixture);
}

/* --- the log --- */

static void test_the_log_hears_of_what_is_left_alone(void **state)
{
    struct fixture fixture;
    struct fake_log log;
    open_fixture(&fixture);
    table_set_id(fixture.table, 7);
    insert(&fixture, 0, 10);
    fake_log_open(&log, fixture.manager);
    change_n(&fixture, 1, 5);
    size_t one_update = log.length;
    /* One update in ten commands, and much that comes to nothing. */
    for (int32_t n = 0; n < 10; n++)
        assert_int_equal(own_update(&fixture, 1, n), OMEN_OK);
    struct own_mark mark = own_writes_mark(fixture.own);
    assert_int_equal(own_insert(&fixture, 100, 100, 1), OMEN_OK);
    assert_int_equal(own_delete(&fixture, 2), OMEN_OK);
    own_writes_undo(fixture.own, mark);
    assert_int_equal(own_insert(&fixture, 50, 1, 1), OMEN_OK);
    assert_int_equal(own_delete(&fixture, 50), OMEN_OK);
    assert_int_equal(own_commit(&fixture), OMEN_OK);
    assert_int_equal(log.commits, 2);
    assert_int_equal(log.length, 2 * one_update);
    /* And nothing at all. */
    struct write_set *set;
    assert_int_equal(own_insert(&fixture, 60, 1, 1), OMEN_OK);
    assert_int_equal(own_delete(&fixture, 60), OMEN_OK);
    assert_int_equal(own_writes_commit_set(fixture.own, &set, NULL), OMEN_OK);
    assert_null(set);
    assert_true(own_writes_empty(fixture.own));
    assert_int_equal(n_of(&fixture, 1), 9);
    fake_log_close(&log);
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r7_4_a_statement_sees_earlier_commands_alone),
        cmocka_unit_test(test_rows_come_and_go_and_come),
        cmocka_unit_test(test_keys_move),
        cmocka_unit_test(test_duplicates_are_named_and_change_nothing),
        cmocka_unit_test(test_a_savepoint_brings_everything_back),
        cmocka_unit_test(test_repeatable_read_refuses_what_changed_behind_it),
        cmocka_unit_test(test_rows_change_by_ids_that_views_give),
        cmocka_unit_test(test_keys_to_lock_are_all_that_is_written),
        cmocka_unit_test(test_the_log_hears_of_what_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
