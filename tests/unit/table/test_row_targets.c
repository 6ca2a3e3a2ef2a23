/* Updates and deletes of rows by their row ids, read at a snapshot before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "column/key.h"
#include "support_own.h"

/* The id of the row's newest version: what a scan at a new snapshot gives. */
static uint64_t row_id_of(const struct fixture *fixture, int64_t id)
{
    omen_value key = bigint(id);
    uint64_t row_id = index_lookup(fixture->table->index, index_key_word(key_word(&key)));
    return row_id_canonical(fixture->table, row_id);
}

/* n of the row with this id; -1 where there is none. */
static int32_t newest_n(const struct fixture *fixture, int64_t id)
{
    omen_value key = bigint(id), n;
    struct row_ref row;
    struct read_view view = {.snapshot = txn_published(fixture->manager)};
    struct arena scratch;
    arena_init(&scratch, fixture->table->allocator);
    omen_status status = table_get(fixture->table, &view, &key, &scratch, &row);
    arena_release(&scratch);
    if (status == OMEN_NOT_FOUND)
        return -1;
    assert_int_equal(status, OMEN_OK);
    row_group_read(row.group, row.slot, N, &n);
    row_ref_release(&row);
    return n.is_null ? -2 : n.as.i32;
}

static struct write_set *gather(struct fixture *fixture)
{
    struct write_set *set;
    assert_int_equal(write_set_create(fixture->table, &set), OMEN_OK);
    return set;
}

static omen_status set_n_of(struct write_set *set, uint64_t row_id, int32_t n)
{
    const uint32_t column = N;
    omen_value value = integer(n);
    return write_set_update_row(set, row_id, &column, &value, 1, NULL);
}

static omen_status set_id_of(struct write_set *set, uint64_t row_id, int64_t id)
{
    const uint32_t column = ID;
    omen_value value = bigint(id);
    return write_set_update_row(set, row_id, &column, &value, 1, NULL);
}

static void commit(struct write_set *set, omen_status expected, omen_error *error)
{
    assert_int_equal(write_set_commit(set, false, error), expected);
    write_set_destroy(set);
}

static void test_rows_change_by_their_ids(void **state)
{
    struct fixture fixture;
    open_fixture(&fixture);
    insert(&fixture, 0, 100);
    struct write_set *set = gather(&fixture);
    assert_int_equal(set_n_of(set, row_id_of(&fixture, 5), 50), OMEN_OK);
    /* As a BIGINT without the mark of the index too. */
    assert_int_equal(set_n_of(set, row_id_of(&fixture, 6) & ~ROW_ID_OCCUPIED, 60), OMEN_OK);
    assert_int_equal(write_set_delete_row(set, row_id_of(&fixture, 7), NULL), OMEN_OK);
    assert_int_equal(write_set_row_count(set), 3);
    commit(set, OMEN_OK, NULL);
    assert_int_equal(newest_n(&fixture, 5), 50);
    assert_int_equal(newest_n(&fixture, 6), 60);
    assert_int_equal(newest_n(&fixture, 7), -1);
    assert_int_equal(newest_n(&fixture, 8), 8);
    close_fixture(&fixture);
}

static void test_r7_4_a_row_id_twice_keeps_its_first_change(void **state)
{
    struct fixture fixture;
    open_fixture(&fixture);
    insert(&fixture, 0, 3);
    struct write_set *set = gather(&fixture);
    uint64_t row_id = row_id_of(&fixture, 1);
    assert_int_equal(set_n_of(set, row_id, 10), OMEN_OK);
    assert_int_equal(set_n_of(set, row_id, 20), OMEN_OK);
    assert_int_equal(write_set_delete_row(set, row_id, NULL), OMEN_OK);
    assert_int_equal(write_set_row_count(set), 1);
    commit(set, OMEN_OK, NULL);
    assert_int_equal(newest_n(&fixture, 1), 10);
    close_fixture(&fixture);
}

static void test_a_row_changed_meanwhile_fails_the_commit(void **state)
{
    struct fixture fixture;
    open_fixture(&fixture);
    insert(&fixture, 0, 3);
    for (int deleted = 0; deleted < 2; deleted++) {
        omen_error error;
        struct write_set *set = gather(&fixture), *other = gather(&fixture);
        assert_int_equal(set_n_of(set, row_id_of(&fixture, 0), 100), OMEN_OK);
        assert_int_equal(set_n_of(set, row_id_of(&fixture, 1), 100), OMEN_OK);
        if (deleted)
            assert_int_equal(write_set_delete_row(other, row_id_of(&fixture, 1), NULL), OMEN_OK);
        else
            assert_int_equal(set_n_of(other, row_id_of(&fixture, 1), 7), OMEN_OK);
        commit(other, OMEN_OK, NULL);
        commit(set, OMEN_SERIALIZATION_FAILURE, &error);
        assert_string_equal(error.sqlstate, "40001");
        assert_int_equal(newest_n(&fixture, 0), 0); /* all or nothing */
        assert_int_equal(newest_n(&fixture, 1), deleted ? -1 : 7);
    }
    close_fixture(&fixture);
}

static void test_keys_move_through_each_other(void **state)
{
    enum { ROWS = 20000 };
    struct fixture fixture;
    struct snapshot before;
    open_fixture(&fixture);
    insert(&fixture, 0, ROWS);
    assert_int_equal(snapshot_acquire(fixture.manager, &before), OMEN_OK);
    struct write_set *set = gather(&fixture);
    for (int64_t id = 0; id < ROWS; id++)
        assert_int_equal(set_id_of(set, row_id_of(&fixture, id), id + 1), OMEN_OK);
    commit(set, OMEN_OK, NULL);
    assert_int_equal(newest_n(&fixture, 0), -1);
    for (int64_t id = 1; id <= ROWS; id++)
        assert_int_equal(newest_n(&fixture, id), id - 1);
    /* The old reader still sees the rows where they were. */
    struct read_view view = {.snapshot = before.timestamp};
    omen_value key = bigint(0), n;
    struct row_ref row;
    assert_int_equal(table_get(fixture.table, &view, &key, NULL, &row), OMEN_OK);
    row_group_read(row.group, row.slot, N, &n);
    assert_int_equal(n.as.i32, 0);
    row_ref_release(&row);
    snapshot_release(&before);
    /* A swap, and back. */
    for (int round = 0; round < 2; round++) {
        set = gather(&fixture);
        assert_int_equal(set_id_of(set, row_id_of(&fixture, 3), 4), OMEN_OK);
        assert_int_equal(set_id_of(set, row_id_of(&fixture, 4), 3), OMEN_OK);
        commit(set, OMEN_OK, NULL);
        assert_int_equal(newest_n(&fixture, 3), round == 0 ? 3 : 2);
    }
    struct maintain_report report = {.more = true};
    while (report.more) {
        report.more = false;
        assert_int_equal(table_maintain(fixture.table, 1 << 20, &report), OMEN_OK);
    }
    assert_int_equal(newest_n(&fixture, ROWS), ROWS - 1);
    close_fixture(&fixture);
}

static void test_keys_that_meet_are_duplicates(void **state)
{
    struct fixture fixture;
    omen_error error;
    open_fixture(&fixture);
    insert(&fixture, 0, 10);
    /* Two rows to one key, far apart in the set too. */
    struct write_set *set = gather(&fixture);
    assert_int_equal(set_id_of(set, row_id_of(&fixture, 1), 50), OMEN_OK);
    assert_int_equal(set_id_of(set, row_id_of(&fixture, 2), 50), OMEN_OK);
    commit(set, OMEN_DUPLICATE_KEY, &error);
    assert_string_equal(error.message, "duplicate key value violates unique constraint "
                                       "\"t_pkey\": key (id)=(50) already exists");
    /* A row to a key that stays taken. */
    set = gather(&fixture);
    assert_int_equal(set_id_of(set, row_id_of(&fixture, 1), 2), OMEN_OK);
    commit(set, OMEN_DUPLICATE_KEY, &error);
    assert_string_equal(error.sqlstate, "23505");
    for (int64_t id = 0; id < 10; id++)
        assert_int_equal(newest_n(&fixture, id), id);
    close_fixture(&fixture);
}

static void test_a_null_key_is_refused(void **state)
{
    struct fixture fixture;
    omen_error error;
    open_fixture(&fixture);
    insert(&fixture, 0, 2);
    struct write_set *set = gather(&fixture);
    const uint32_t column = ID;
    omen_value null = {.is_null = true};
    assert_int_equal(
        write_set_update_row(set, row_id_of(&fixture, 1), &column, &null, 1, &error),
        OMEN_NOT_NULL_VIOLATION);
    assert_string_equal(error.message, "null value in column \"id\" of relation \"t\" violates "
                                       "not-null constraint");
    assert_int_equal(write_set_row_count(set), 0);
    write_set_destroy(set);
    close_fixture(&fixture);
}

/* Row ids taken before a group was frozen or compacted still mean the same rows. */
static void test_rows_that_moved_are_found(void **state)
{
    enum { ROWS = 30000 };
    struct fixture fixture;
    struct snapshot snapshot;
    open_fixture(&fixture);
    insert(&fixture, 0, ROWS);
    table_seal_open(fixture.table);
    insert(&fixture, ROWS, 10);
    assert_int_equal(snapshot_acquire(fixture.manager, &snapshot), OMEN_OK);
    uint64_t old_id = row_id_of(&fixture, 100), gone_id = row_id_of(&fixture, 101);
    struct write_set *set = gather(&fixture);
    for (int64_t id = 101; id < ROWS; id++)
        if (id % 4 != 0)
            assert_int_equal(write_set_delete_row(set, row_id_of(&fixture, id), NULL), OMEN_OK);
    commit(set, OMEN_OK, NULL);
    set = gather(&fixture);
    struct write_set *late = gather(&fixture);
    assert_int_equal(set_n_of(set, old_id, 1000), OMEN_OK);
    assert_int_equal(set_n_of(late, gone_id, 1000), OMEN_OK);
    snapshot_release(&snapshot);
    struct maintain_report report = {.more = true};
    while (report.more) {
        report.more = false;
        assert_int_equal(table_maintain(fixture.table, 1 << 20, &report), OMEN_OK);
    }
    assert_true(report.groups_compacted > 0);
    commit(late, OMEN_SERIALIZATION_FAILURE, NULL);
    /* The group the set read from may be gone by now: then the statement runs again. */
    omen_status status = write_set_commit(set, false, NULL);
    write_set_destroy(set);
    if (status == OMEN_SERIALIZATION_FAILURE) {
        set = gather(&fixture);
        assert_int_equal(set_n_of(set, row_id_of(&fixture, 100), 1000), OMEN_OK);
        commit(set, OMEN_OK, NULL);
    }
    assert_int_equal(newest_n(&fixture, 100), 1000);
    close_fixture(&fixture);
}

/* The same with the snapshot held across: the map is still there, so the commit must succeed. */
static void test_rows_are_followed_into_their_copies(void **state)
{
    enum { ROWS = 30000 };
    struct fixture fixture;
    struct snapshot snapshot;
    open_fixture(&fixture);
    insert(&fixture, 0, ROWS);
    table_seal_open(fixture.table);
    insert(&fixture, ROWS, 10);
    struct write_set *set = gather(&fixture);
    for (int64_t id = 0; id < ROWS; id++)
        if (id % 4 != 0)
            assert_int_equal(write_set_delete_row(set, row_id_of(&fixture, id), NULL), OMEN_OK);
    commit(set, OMEN_OK, NULL);
    assert_int_equal(snapshot_acquire(fixture.manager, &snapshot), OMEN_OK);
    set = gather(&fixture);
    uint64_t before = row_id_of(&fixture, 100);
    assert_int_equal(set_n_of(set, before, 1000), OMEN_OK);
    struct maintain_report report = {0};
    for (int i = 0; i < 20; i++)
        assert_int_equal(table_maintain(fixture.table, 1 << 20, &report), OMEN_OK);
    assert_true(report.groups_compacted > 0);
    assert_true(row_id_of(&fixture, 100) != before);
    commit(set, OMEN_OK, NULL);
    snapshot_release(&snapshot);
    assert_int_equal(newest_n(&fixture, 100), 1000);
    assert_int_equal(newest_n(&fixture, 104), 104);
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_change_by_their_ids),
        cmocka_unit_test(test_r7_4_a_row_id_twice_keeps_its_first_change),
        cmocka_unit_test(test_a_row_changed_meanwhile_fails_the_commit),
        cmocka_unit_test(test_keys_move_through_each_other),
        cmocka_unit_test(test_keys_that_meet_are_duplicates),
        cmocka_unit_test(test_a_null_key_is_refused),
        cmocka_unit_test(test_rows_that_moved_are_found),
        cmocka_unit_test(test_rows_are_followed_into_their_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
