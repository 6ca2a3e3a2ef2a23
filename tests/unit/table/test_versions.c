/* Versions, keys and their chains: duplicates, deletes, moves, old readers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "column/key.h"
#include "support.h"
#include "table/table_private.h"

/* Versions reachable from the key's index entry. */
static uint32_t chain_length(struct model *model, int32_t kid)
{
    struct test_row row;
    omen_value key[2];
    test_key_fill(model, kid, &row, key);
    struct arena scratch;
    arena_init(&scratch, &model->allocator);
    struct index_key encoded;
    assert_int_equal(key_encode(model->schema, key, &scratch, &encoded, NULL), OMEN_OK);
    uint32_t length = 0;
    uint64_t row_id = index_lookup(model->table->index, encoded);
    while (row_id != ROW_ID_NONE) {
        const struct group_entry *entry = directory_find(model->table, row_id_group(row_id));
        if (entry == NULL)
            break;
        length++;
        row_id = row_group_previous(entry->group, row_id_slot(row_id));
    }
    arena_release(&scratch);
    return length;
}

static void test_insert_is_refused_while_the_key_lives(void **state)
{
    struct model model;
    struct test_txn txn;
    omen_error error;
    model_open(&model, KEY_MIXED);
    model_insert(&model, 0, 20);
    assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
    assert_int_equal(test_txn_insert(&txn, 30), OMEN_OK);
    assert_int_equal(test_txn_insert(&txn, 7), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, &error), OMEN_DUPLICATE_KEY);
    assert_string_equal(error.sqlstate, "23505");
    assert_string_equal(error.message, "duplicate key value violates unique constraint "
                                       "\"thing_pkey\": key (k1, k2)=(1, 0) already exists");
    check_all(&model, 40); /* 30 is not there either */
    model_close(&model);
}

static void test_duplicates_within_one_set(void **state)
{
    struct model model;
    struct test_txn txn;
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 10);
    static const int32_t distances[] = {0, 5, 70, 3000};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
        assert_int_equal(test_txn_insert(&txn, 20), OMEN_OK);
        for (int32_t kid = 21; kid <= 20 + distances[i]; kid++)
            assert_int_equal(test_txn_insert(&txn, kid), OMEN_OK);
        assert_int_equal(test_txn_insert(&txn, 20), OMEN_OK);
        assert_int_equal(test_txn_commit(&txn, NULL), OMEN_DUPLICATE_KEY);
        check_all(&model, 30);
    }
    model_insert(&model, 20, 100); /* all of them are free */
    check_all(&model, 130);
    model_close(&model);
}

static void test_delete_then_insert_of_the_same_key(void **state)
{
    struct model model;
    struct test_txn txn;
    model_open(&model, KEY_TEXT);
    model_insert(&model, 0, 5);
    /* in one transaction, and in two */
    assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
    assert_int_equal(test_txn_delete(&txn, 1), OMEN_OK);
    assert_int_equal(test_txn_insert(&txn, 1), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
    check_all(&model, 6);
    model_delete(&model, 2);
    check_all(&model, 6);
    model_insert(&model, 2, 1);
    check_all(&model, 6);
    maintain_fully(&model, NULL);
    check_all(&model, 6);
    model_close(&model);
}

static void test_a_target_twice_keeps_its_first_change(void **state)
{
    struct model model;
    struct test_txn txn;
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 3);
    assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
    assert_int_equal(test_txn_update(&txn, 1, 1, 0), OMEN_OK);
    assert_int_equal(test_txn_update(&txn, 1, 1, 1), OMEN_OK);
    assert_int_equal(test_txn_delete(&txn, 1), OMEN_OK);
    assert_int_equal(test_txn_delete(&txn, 2), OMEN_OK);
    assert_int_equal(test_txn_update(&txn, 2, 2, 2), OMEN_OK);
    assert_int_equal(write_set_row_count(txn.set), 2);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
    check_all(&model, 3);
    model_close(&model);
}

static void test_update_of_the_key_column(void **state)
{
    struct model model;
    struct test_txn txn;
    struct snapshot before;
    model_open(&model, KEY_PAIR);
    model_insert(&model, 0, 4);
    assert_int_equal(snapshot_acquire(model.manager, &before), OMEN_OK);
    model_update(&model, 0, 50);
    check_all(&model, 60);
    /* two rows change places */
    assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
    assert_int_equal(test_txn_update(&txn, 1, 2, 2), OMEN_OK);
    assert_int_equal(test_txn_update(&txn, 2, 1, 2), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
    check_all(&model, 60);
    /* onto a key that is taken */
    assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
    assert_int_equal(test_txn_update(&txn, 1, 3, 2), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_DUPLICATE_KEY);
    for (int32_t kid = 0; kid < 60; kid++)
        assert_int_equal(check_point(&model, &before, kid), OMEN_OK);
    snapshot_release(&before);
    maintain_fully(&model, NULL);
    check_all(&model, 60);
    model_close(&model);
}

static void test_missing_targets_and_bad_values(void **state)
{
    struct model model;
    struct test_txn txn;
    struct test_row row;
    omen_value key[2];
    omen_error error;
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 2);
    assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
    assert_int_equal(test_txn_update(&txn, 9, 9, 2), OMEN_NOT_FOUND);
    assert_int_equal(test_txn_delete(&txn, 9), OMEN_NOT_FOUND);
    test_key_fill(&model, 0, &row, key);
    uint32_t column = COLUMN_K1;
    omen_value null = {.type.id = OMEN_TYPE_BIGINT, .is_null = true};
    assert_int_equal(write_set_update(txn.set, key, &column, &null, 1, &error),
                     OMEN_NOT_NULL_VIOLATION);
    column = COLUMN_COUNT;
    assert_int_equal(write_set_update(txn.set, key, &column, &null, 1, &error),
                     OMEN_INVALID_ARGUMENT);
    test_row_fill(&model, 5, 1, 1, &row);
    row.values[COLUMN_FIRST_TYPE].type.id = OMEN_TYPE_DATE;
    assert_int_equal(write_set_insert(txn.set, row.values, &error), OMEN_TYPE_MISMATCH);
    assert_int_equal(write_set_row_count(txn.set), 0);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
    check_all(&model, 10);
    model_close(&model);
}

/* Text must be UTF-8; -0.0 and NaN have one form, so that they are one key. */
static void test_r5_8_values_are_canonical(void **state)
{
    struct model model;
    struct test_txn txn;
    struct test_row row;
    omen_error error;
    model_open(&model, KEY_DOUBLE);
    assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
    test_row_fill(&model, 1, 1, 1, &row);
    row.values[COLUMN_FIRST_TYPE + 4] = (omen_value){
        .type.id = OMEN_TYPE_TEXT, .as.bytes = {(const uint8_t *)"a\xC3", 2}};
    assert_int_equal(write_set_insert(txn.set, row.values, &error), OMEN_INVALID_ENCODING);
    assert_string_equal(error.sqlstate, "22021");
    static const double values[] = {0.0, -0.0, __builtin_nan("1"), -__builtin_nan("77")};
    for (int i = 0; i < 4; i += 2) {
        test_row_fill(&model, 1, 1, 1, &row);
        row.values[COLUMN_K1].as.f64 = values[i];
        assert_int_equal(write_set_insert(txn.set, row.values, &error), OMEN_OK);
    }
    assert_int_equal(write_set_commit(txn.set, true, &error), OMEN_OK);
    test_txn_rollback(&txn);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
        test_row_fill(&model, 1, 1, 1, &row);
        row.values[COLUMN_K1].as.f64 = values[i];
        omen_value key = row.values[COLUMN_K1];
        struct read_view view = {.snapshot = txn_published(model.manager)};
        struct arena scratch;
        struct row_ref found;
        arena_init(&scratch, &model.allocator);
        assert_int_equal(table_get(model.table, &view, &key, &scratch, &found), OMEN_OK);
        row_ref_release(&found);
        arena_release(&scratch);
        assert_int_equal(write_set_insert(txn.set, row.values, &error), OMEN_OK);
        assert_int_equal(write_set_commit(txn.set, true, &error), OMEN_DUPLICATE_KEY);
        test_txn_rollback(&txn);
    }
    check_valid(&model);
    model_close(&model);
}

/* Hidden keys grow, are assigned at statement time, and leave gaps. */
static void test_r5_6_hidden_keys(void **state)
{
    struct model model;
    struct test_txn first, second;
    model_open(&model, KEY_HIDDEN);
    assert_int_equal(table_schema(model.table)->column_count, COLUMN_COUNT); /* not shown */
    assert_int_equal(schema_find(model.schema, "", 0), -1);
    model_insert(&model, 0, 3);
    assert_int_equal(test_txn_begin(&model, &first), OMEN_OK);
    assert_int_equal(test_txn_insert(&first, 0), OMEN_OK);
    test_txn_rollback(&first);
    assert_int_equal(test_txn_begin(&model, &second), OMEN_OK);
    int32_t next = model_hidden_next(&model);
    assert_int_equal(next, 5); /* the rolled back row's is not used again */
    static const int32_t unused[40];
    assert_int_equal(test_txn_insert_arrow(&second, unused, 40), OMEN_OK);
    assert_int_equal(test_txn_commit(&second, NULL), OMEN_OK);
    assert_non_null(model_live(&model, 44));
    check_all(&model, 50);
    model_update(&model, 44, 44);
    model_delete(&model, 2);
    check_all(&model, 50);
    model_close(&model);
}

/* A deleted key keeps its entry while a snapshot can read it; then the entry goes, unless the
 * key has been inserted again. */
static void test_r5_4_entries_of_deleted_keys(void **state)
{
    struct model model;
    struct snapshot before;
    struct maintain_report report = {0};
    struct table_stats stats;
    struct index_stats index_stats;
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 10);
    assert_int_equal(snapshot_acquire(model.manager, &before), OMEN_OK);
    model_delete(&model, 3);
    model_delete(&model, 4);
    model_insert(&model, 4, 1);
    maintain_fully(&model, &report);
    assert_int_equal(report.entries_erased, 0);
    assert_int_equal(check_point(&model, &before, 3), OMEN_OK);
    assert_int_equal(check_point(&model, &before, 4), OMEN_OK);
    snapshot_release(&before);
    maintain_fully(&model, &report);
    assert_int_equal(report.entries_erased, 1);
    index_stats_of(model.table->index, &index_stats);
    assert_int_equal(index_stats.entries, 9);
    check_all(&model, 10);
    table_stats_of(model.table, &stats);
    assert_int_equal(stats.rows_estimate, 9);
    model_close(&model);
}

/* However often a row is updated under old readers, its chain has a version for each of them, the
 * newest, and the one before. */
static void test_r5_4_chains_stay_short_under_old_readers(void **state)
{
    struct model model;
    struct snapshot readers[3];
    const char *updates_text = getenv("OMEN_UPDATES");
    int32_t updates = updates_text != NULL ? atoi(updates_text) : 20000;
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 3);
    for (int r = 0; r < 3; r++) {
        assert_int_equal(snapshot_acquire(model.manager, &readers[r]), OMEN_OK);
        for (int32_t i = 0; i < updates / 3; i++)
            model_update(&model, 1, 1);
        assert_in_range(chain_length(&model, 1), 2, (uint32_t)r + 3);
    }
    for (int r = 0; r < 3; r++) {
        for (int32_t kid = 0; kid < 3; kid++)
            assert_int_equal(check_point(&model, &readers[r], kid), OMEN_OK);
        snapshot_release(&readers[r]);
    }
    model_update(&model, 1, 1);
    assert_in_range(chain_length(&model, 1), 1, 2);
    check_all(&model, 4);
    model_close(&model);
}

/* One row updated very often does not fill memory: groups of dead versions are dropped, under an
 * old reader too, which goes on seeing its own. */
static void update_one_row(bool old_reader)
{
    struct model model;
    struct snapshot reader;
    const char *updates_text = getenv("OMEN_UPDATES");
    int32_t updates = updates_text != NULL ? atoi(updates_text) : 200000;
    struct maintain_report report = {0};
    size_t bytes_max = 0;
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 2);
    if (old_reader)
        assert_int_equal(snapshot_acquire(model.manager, &reader), OMEN_OK);
    struct test_row row;
    omen_value key[2];
    test_key_fill(&model, 1, &row, key);
    uint32_t column = COLUMN_FIRST_TYPE + 3;
    for (int32_t i = 0; i < updates; i++) {
        struct write_set *set;
        omen_value value = {.type.id = OMEN_TYPE_BIGINT, .as.i64 = i};
        txn_writer_lock(model.manager);
        assert_int_equal(write_set_create(model.table, &set), OMEN_OK);
        assert_int_equal(write_set_update(set, key, &column, &value, 1, NULL), OMEN_OK);
        assert_int_equal(write_set_commit(set, true, NULL), OMEN_OK);
        txn_writer_unlock(model.manager);
        write_set_destroy(set);
        if (i % 10000 == 0) {
            assert_int_equal(table_maintain(model.table, 20000, &report), OMEN_OK);
            size_t used = model.allocator.bytes_used;
            bytes_max = used > bytes_max ? used : bytes_max;
        }
    }
    struct table_stats stats;
    maintain_fully(&model, &report);
    table_stats_of(model.table, &stats);
    assert_true(stats.groups_open + stats.groups_sealed + stats.groups_frozen <= 3);
    assert_true(report.groups_dropped + 1 >= (uint64_t)updates / ROW_GROUP_ROWS);
    assert_in_range(chain_length(&model, 1), 1, old_reader ? 3 : 2);
    if (old_reader) {
        for (int32_t kid = 0; kid < 2; kid++)
            assert_int_equal(check_point(&model, &reader, kid), OMEN_OK);
        snapshot_release(&reader);
    }
    assert_true(bytes_max < 3u * ROW_GROUP_ROWS * 400); /* three groups of these rows */
    struct read_view view = {.snapshot = txn_published(model.manager)};
    struct arena scratch;
    struct row_ref found;
    omen_value value;
    arena_init(&scratch, &model.allocator);
    assert_int_equal(table_get(model.table, &view, key, &scratch, &found), OMEN_OK);
    row_group_read(found.group, found.slot, column, &value);
    assert_int_equal(value.as.i64, updates - 1);
    row_ref_release(&found);
    arena_release(&scratch);
    check_valid(&model);
    model_close(&model);
}

static void test_one_row_updated_a_million_times(void **state)
{
    update_one_row(false);
}

static void test_one_row_updated_a_million_times_under_an_old_reader(void **state)
{
    update_one_row(true);
}

/* What is pinned outlives the table's interest in it. */
static void test_r5_5_pinned_rows_stay(void **state)
{
    struct model model;
    struct snapshot snapshot;
    struct row_ref found;
    struct arena scratch;
    struct test_row row;
    omen_value key[2], value;
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 2);
    test_key_fill(&model, 1, &row, key);
    arena_init(&scratch, &model.allocator);
    assert_int_equal(snapshot_acquire(model.manager, &snapshot), OMEN_OK);
    struct read_view view = {.snapshot = snapshot.timestamp};
    assert_int_equal(table_get(model.table, &view, key, &scratch, &found), OMEN_OK);
    snapshot_release(&snapshot);
    model_delete(&model, 0);
    model_delete(&model, 1);
    table_seal_open(model.table);
    struct maintain_report report = {0};
    maintain_fully(&model, &report);
    assert_int_equal(report.groups_dropped, 1);
    row_group_read(found.group, found.slot, COLUMN_KID, &value);
    assert_int_equal(value.as.i32, 1);
    row_ref_release(&found);
    arena_release(&scratch);
    model_close(&model);
}

/* A large set is attached group by group, not copied; the open group is closed for it. */
static void test_large_sets_are_attached(void **state)
{
    struct model model;
    struct test_txn txn;
    struct table_stats stats;
    model_open(&model, KEY_BIGINT);
    model_insert(&model, 0, 10);
    assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
    for (int32_t kid = 10; kid < 70010; kid++)
        assert_int_equal(test_txn_insert(&txn, kid), OMEN_OK);
    const struct row_group *first = txn.set->groups[0];
    assert_int_equal(row_group_row_count(first), ROW_GROUP_ROWS);
    const void *values = row_group_values(first, COLUMN_TAG);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
    table_stats_of(model.table, &stats);
    assert_int_equal(stats.groups_open, 1);
    assert_int_equal(stats.groups_sealed, 2);
    assert_ptr_equal(row_group_values(model.table->first->next->group, COLUMN_TAG), values);
    check_all(&model, 100);
    /* again, with a duplicate in the second group: nothing stays */
    assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
    for (int32_t kid = 100000; kid < 170000; kid++)
        assert_int_equal(test_txn_insert(&txn, kid), OMEN_OK);
    assert_int_equal(test_txn_insert(&txn, 100000), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_DUPLICATE_KEY);
    check_all(&model, 100);
    maintain_fully(&model, NULL);
    check_all(&model, 100);
    model_close(&model);
}

/* A set of few rows takes no memory for as many again; others are as new. */
static void test_a_cleared_set_keeps_the_memory_of_few_rows(void **state)
{
    struct model model;
    struct write_set *set;
    struct test_row row;
    model_open(&model, KEY_TEXT);
    test_row_fill(&model, 5, 1, 1, &row);
    assert_int_equal(write_set_create(model.table, &set), OMEN_OK);
    assert_int_equal(write_set_insert(set, row.values, NULL), OMEN_OK);
    for (int32_t kid = 0; kid < 100; kid++) {
        uint64_t calls = model.allocator.calls;
        struct row_group *group = set->groups[0];
        write_set_clear(set);
        assert_int_equal(write_set_row_count(set), 0);
        assert_int_equal(write_set_private_rows(set), 0);
        assert_int_equal(write_set_insert(set, row.values, NULL), OMEN_OK);
        assert_ptr_equal(set->groups[0], group);
        assert_int_equal(model.allocator.calls, calls);
    }
    row_group_retain(set->groups[0]); /* who holds a group keeps its rows */
    struct row_group *held = set->groups[0];
    write_set_clear(set);
    assert_int_equal(row_group_row_count(held), 1);
    assert_int_equal(set->group_count, 0);
    row_group_release(held);
    for (int i = 0; i < 17; i++)
        assert_int_equal(write_set_insert(set, row.values, NULL), OMEN_OK);
    write_set_clear(set);
    assert_int_equal(set->group_count, 0);
    write_set_destroy(set);
    model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_insert_is_refused_while_the_key_lives),
        cmocka_unit_test(test_duplicates_within_one_set),
        cmocka_unit_test(test_delete_then_insert_of_the_same_key),
        cmocka_unit_test(test_a_target_twice_keeps_its_first_change),
        cmocka_unit_test(test_update_of_the_key_column),
        cmocka_unit_test(test_missing_targets_and_bad_values),
        cmocka_unit_test(test_r5_8_values_are_canonical),
        cmocka_unit_test(test_r5_6_hidden_keys),
        cmocka_unit_test(test_r5_4_entries_of_deleted_keys),
        cmocka_unit_test(test_r5_4_chains_stay_short_under_old_readers),
        cmocka_unit_test(test_one_row_updated_a_million_times),
        cmocka_unit_test(test_one_row_updated_a_million_times_under_an_old_reader),
        cmocka_unit_test(test_r5_5_pinned_rows_stay),
        cmocka_unit_test(test_large_sets_are_attached),
        cmocka_unit_test(test_a_cleared_set_keeps_the_memory_of_few_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
