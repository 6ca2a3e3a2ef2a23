/* test_unload.c - columns that lie in segments are let go, and come back where they are needed. */
#include "segment_fixture.h"

#include "column/key.h"
#include "table/table_adopt.h"
#include "table/table_private.h"
#include "unit/txn/fake_log.h"

static void make_loaded_of(struct fixture *fixture, enum key_kind kind, int groups, int rows)
{
    fixture_make(fixture, kind);
    fixture->groups_per_segment = 1;
    for (int32_t i = 0; i < groups; i++) {
        model_insert(&fixture->model, i * rows, rows);
        table_seal_open(fixture->model.table);
    }
    fixture_reopen(fixture);
    assert_int_equal(fixture->segment_count, groups);
    assert_int_equal(table_loaded_bytes(fixture->model.table), 0);
    check_all(&fixture->model, 0);
}

static void make_loaded(struct fixture *fixture, int groups, int rows)
{
    make_loaded_of(fixture, KEY_BIGINT, groups, rows);
}

static void unload(struct fixture *fixture, uint64_t bytes, uint64_t least, uint64_t most)
{
    uint64_t freed, before = table_loaded_bytes(fixture->model.table);
    size_t used = fixture->model.allocator.bytes_used;
    assert_int_equal(table_unload(fixture->model.table, bytes, 2, &freed), OMEN_OK);
    assert_in_range(freed, least, most);
    assert_int_equal(table_loaded_bytes(fixture->model.table), before - freed);
    assert_true(fixture->model.allocator.bytes_used + freed * 3 / 4 <= used);
}

/* The columns of these groups alone are here. */
static void expect_loaded(struct fixture *fixture, const char *expected)
{
    const struct group_entry *entry = fixture->model.table->first;
    for (; *expected != '\0'; expected++, entry = entry->next)
        assert_int_equal(row_group_column_bytes(entry->group) > 0, *expected == 'x');
}

/* Those that were not looked at go first; all of them come back where they are needed. */
static void test_columns_are_let_go_and_come_back(void **state)
{
    (void)state;
    struct fixture fixture;
    make_loaded(&fixture, 6, 2000);
    uint64_t all = table_loaded_bytes(fixture.model.table), one = all / 6;
    expect_loaded(&fixture, "xxxxxx");
    unload(&fixture, 1, one / 2, one * 2); /* nobody was asked before: the first one goes */
    expect_loaded(&fixture, "-xxxxx");
    struct snapshot snapshot;
    assert_int_equal(snapshot_acquire(fixture.model.manager, &snapshot), OMEN_OK);
    assert_int_equal(check_point(&fixture.model, &snapshot, 2001), OMEN_OK);
    assert_int_equal(check_point(&fixture.model, &snapshot, 6001), OMEN_OK);
    snapshot_release(&snapshot);
    unload(&fixture, one * 3 - one / 2, one * 2, one * 4);
    expect_loaded(&fixture, "-x-x--");
    unload(&fixture, UINT64_MAX, one, all);
    expect_loaded(&fixture, "------");
    unload(&fixture, UINT64_MAX, 0, 0);
    check_all(&fixture.model, 12000);
    expect_loaded(&fixture, "xxxxxx");
    fixture_destroy(&fixture);
}

static const uint32_t read_columns[] = {COLUMN_KID, COLUMN_TAG, COLUMN_FIRST_TYPE + 9};

static struct scan *open_scan(struct table_view *view)
{
    struct scan *scan;
    const struct scan_spec spec = {.columns = read_columns,
                                   .column_count = 3,
                                   .limit = UINT64_MAX,
                                   .partition_count = 1};
    assert_int_equal(table_scan_open(view, &spec, &scan, NULL), OMEN_OK);
    return scan;
}

static struct table_view *open_view(struct fixture *fixture, struct snapshot *snapshot)
{
    struct table_view *view;
    assert_int_equal(snapshot_acquire(fixture->model.manager, snapshot), OMEN_OK);
    assert_int_equal(table_view_open(fixture->model.table, snapshot, &view), OMEN_OK);
    return view;
}

/* The rows of a batch are those of kids from `first` on. */
static void expect_kids(const struct ArrowArray *batch, int32_t first)
{
    const int32_t *kids = batch->children[0]->buffers[1];
    for (int64_t i = 0; i < batch->length; i++)
        assert_int_equal(kids[i], first + i);
}

/* What somebody reads stays, and what he has been given; a view alone keeps nothing. */
static void test_what_is_read_stays(void **state)
{
    (void)state;
    struct fixture fixture;
    struct snapshot snapshot;
    struct ArrowArray first, second;
    make_loaded(&fixture, 4, 1000);
    struct table_view *view = open_view(&fixture, &snapshot);
    unload(&fixture, UINT64_MAX, 1, UINT64_MAX);
    expect_loaded(&fixture, "----");
    struct scan *scan = open_scan(view);
    assert_int_equal(table_scan_next(scan, &first), OMEN_OK);
    assert_int_equal(table_scan_next(scan, &second), OMEN_OK);
    unload(&fixture, UINT64_MAX, 0, 0);
    expect_loaded(&fixture, "xx--");
    first.release(&first);
    unload(&fixture, UINT64_MAX, 1, UINT64_MAX);
    expect_loaded(&fixture, "-x--");
    table_scan_close(scan);
    table_view_release(view);
    expect_kids(&second, 1000);
    unload(&fixture, UINT64_MAX, 0, 0);
    second.release(&second);
    unload(&fixture, UINT64_MAX, 1, UINT64_MAX);
    expect_loaded(&fixture, "----");
    snapshot_release(&snapshot);
    check_all(&fixture.model, 4000);
    fixture_destroy(&fixture);
}

enum { MANY = 20, MANY_ROWS = 2000 };

/* A scan of a table that is much larger than the cache holds what it has given out and not got
 * back, and one group more; and leaves in the cache no more than fits. */
static void test_a_scan_holds_what_it_reads(void **state)
{
    (void)state;
    struct fixture fixture;
    struct snapshot snapshot;
    struct ArrowArray batches[MANY];
    make_loaded(&fixture, MANY, MANY_ROWS);
    unload(&fixture, UINT64_MAX, 1, UINT64_MAX);
    unload(&fixture, UINT64_MAX, 0, UINT64_MAX); /* 16 at once */
    assert_int_equal(fixture.cache->loaded, 0);
    struct table_view *view = open_view(&fixture, &snapshot);
    struct scan *scan = open_scan(view);
    uint64_t one = 0;
    for (int batch = 0; batch < MANY; batch++) {
        if (batch == 1) {
            one = fixture.cache->loaded;
            fixture.cache_bytes = 4 * one;
        }
        assert_int_equal(table_scan_next(scan, &batches[batch]), OMEN_OK);
        expect_kids(&batches[batch], batch * MANY_ROWS);
        if (batch >= 4 && batch < 12) /* these are given back at once */
            batches[batch].release(&batches[batch]);
        if (batch == 11)
            assert_in_range(fixture.cache->loaded, 4 * one, 5 * one);
    }
    assert_in_range(fixture.cache->loaded, 12 * one, 13 * one);
    assert_in_range(table_loaded_bytes(fixture.model.table), 4 * one, 5 * one);
    for (int batch = 12; batch < MANY; batch++) {
        expect_kids(&batches[batch], batch * MANY_ROWS);
        batches[batch].release(&batches[batch]);
    }
    assert_in_range(fixture.cache->loaded, 4 * one, 5 * one);
    assert_in_range(column_cache_take_passed(fixture.cache), 15 * one, 17 * one);
    for (int batch = 0; batch < 4; batch++)
        batches[batch].release(&batches[batch]);
    table_scan_close(scan);
    table_view_release(view);
    snapshot_release(&snapshot);
    check_all(&fixture.model, MANY * MANY_ROWS);
    fixture_destroy(&fixture);
    assert_int_equal(one > 0, true);
}

/* Reads the row of a kid by its key; its group is pinned by nobody afterwards. */
static void read_row(struct fixture *fixture, int32_t kid)
{
    struct model *model = &fixture->model;
    struct test_row row;
    omen_value key[2], values[3];
    uint8_t texts[3][ROW_COPY_TEXT_BYTES];
    struct index_key encoded;
    struct arena scratch;
    struct row_copy copy = {
        .columns = read_columns, .column_count = 3, .values = values, .texts = texts};
    for (int i = 0; i < 3; i++)
        values[i] = (omen_value){.type = model->schema->columns[read_columns[i]].type};
    arena_init(&scratch, &model->allocator);
    test_key_fill(model, kid, &row, key);
    assert_int_equal(key_encode(model->schema, key, &scratch, &encoded, NULL), OMEN_OK);
    assert_int_equal(table_read(model->table, NULL, encoded.word, &copy, NULL), OMEN_OK);
    assert_int_equal(values[0].as.i32, kid);
    row_group_release(copy.pinned);
    arena_release(&scratch);
}

/* Rows that are asked for one by one load what fits, and a quarter more. */
static void test_rows_hold_little_more_than_fits(void **state)
{
    (void)state;
    struct fixture fixture;
    make_loaded(&fixture, MANY, MANY_ROWS);
    unload(&fixture, UINT64_MAX, 1, UINT64_MAX);
    unload(&fixture, UINT64_MAX, 0, UINT64_MAX);
    read_row(&fixture, 0);
    uint64_t one = fixture.cache->loaded;
    assert_true(one > 0);
    fixture.cache_bytes = 4 * one;
    for (int32_t kid = 1; kid < MANY * MANY_ROWS; kid += MANY_ROWS)
        read_row(&fixture, kid);
    assert_in_range(fixture.cache->loaded, 5 * one, 6 * one);
    assert_in_range(table_loaded_bytes(fixture.model.table), 5 * one, 6 * one);
    for (int32_t kid = MANY * MANY_ROWS - 1; kid > 0; kid -= MANY_ROWS)
        read_row(&fixture, kid);
    check_all(&fixture.model, 100);
    fixture_destroy(&fixture);
}

/* Every answer is the same past a cache that takes nothing: with and without filters, ends, rows
 * that never began, and where only some columns are in the cache. */
static void test_scans_past_the_cache_are_right(void **state)
{
    (void)state;
    for (uint64_t limit = 0; limit < 200000; limit += 40000) {
        struct fixture fixture;
        struct snapshot snapshot;
        struct model *model = &fixture.model;
        fixture_make(&fixture, KEY_TEXT);
        fixture_churn(&fixture, 1500, 1);
        table_seal_open(model->table);
        fixture_churn(&fixture, 1500, 2);
        fixture_reopen(&fixture);
        fixture.cache_bytes = limit;
        struct table_view *view = open_view(&fixture, &snapshot);
        for (int round = 0; round < 2; round++)
            for (int32_t kid = 0; kid < 1500; kid += 300) {
                const omen_value value = {.type = {.id = OMEN_TYPE_INTEGER}, .as.i32 = kid};
                const omen_predicate predicate = {
                    .column = COLUMN_KID, .op = OMEN_GE, .values = &value, .value_count = 1};
                assert_int_equal(
                    check_scan(model, view, snapshot.timestamp, &predicate, 1, false), OMEN_OK);
                if (kid % 600 == 0 && model_live(model, kid) != NULL)
                    model_update(model, kid, kid);
            }
        table_view_release(view);
        snapshot_release(&snapshot);
        check_all(model, 1510);
        fixture_destroy(&fixture);
    }
}

/* Without memory a scan fails, and goes on once there is some. */
static void test_scans_past_the_cache_without_memory(void **state)
{
    (void)state;
    struct fixture fixture;
    struct snapshot snapshot;
    make_loaded(&fixture, 3, 1000);
    unload(&fixture, UINT64_MAX, 1, UINT64_MAX);
    fixture.cache_bytes = 0;
    struct table_view *view = open_view(&fixture, &snapshot);
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        struct ArrowArray batch;
        struct scan *scan = open_scan(view);
        int64_t rows = 0;
        allocator_fail_at(&fixture.model.allocator, nth, 0);
        omen_status status;
        do {
            status = table_scan_next(scan, &batch);
            if (status != OMEN_OK)
                continue;
            expect_kids(&batch, (int32_t)rows);
            rows += batch.length;
            batch.release(&batch);
        } while (status == OMEN_OK || status == OMEN_OUT_OF_MEMORY);
        assert_int_equal(status, OMEN_END_OF_DATA);
        assert_int_equal(rows, 3000);
        failed = allocator_has_failed(&fixture.model.allocator);
        allocator_fail_at(&fixture.model.allocator, 0, 0);
        table_scan_close(scan);
        assert_true(nth < 1000);
    }
    assert_int_equal(fixture.cache->loaded, 0);
    table_view_release(view);
    snapshot_release(&snapshot);
    fixture_destroy(&fixture);
}

/* Ends stay, seen by those who are to see them, and rows go on ending. */
static void test_readers_and_ends_survive_letting_go(void **state)
{
    (void)state;
    struct fixture fixture;
    struct model *model = &fixture.model;
    struct snapshot snapshot, old;
    struct table_view *view;
    make_loaded(&fixture, 3, 1000);
    assert_int_equal(snapshot_acquire(model->manager, &snapshot), OMEN_OK);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(snapshot_acquire(model->manager, &old), OMEN_OK);
        for (int32_t kid = round; kid < 3000; kid += 90)
            if (kid % 2 == 0)
                model_delete(model, kid);
            else
                model_update(model, kid, kid);
        unload(&fixture, UINT64_MAX, 1, UINT64_MAX); /* `old` does not see the ends */
        assert_int_equal(table_view_open(model->table, &old, &view), OMEN_OK);
        assert_int_equal(check_scan(model, view, old.timestamp, NULL, 0, true), OMEN_OK);
        table_view_release(view);
        for (int32_t kid = 0; kid < 3000; kid += 15)
            assert_int_equal(check_point(model, &snapshot, kid), OMEN_OK);
        check_all(model, 3000);
        snapshot_release(&old);
    }
    snapshot_release(&snapshot);
    unload(&fixture, UINT64_MAX, 1, UINT64_MAX);
    check_all(model, 3000);
    maintain_fully(model, NULL);
    check_all(model, 3000);
    fixture_destroy(&fixture);
}

/* Checking a table leaves no more in memory than there was. */
static void test_validating_lets_go(void **state)
{
    (void)state;
    struct fixture fixture;
    make_loaded(&fixture, 3, 1000);
    unload(&fixture, UINT64_MAX, 1, UINT64_MAX);
    check_valid(&fixture.model);
    expect_loaded(&fixture, "---");
    fixture_destroy(&fixture);
}

static void test_unloading_without_memory(void **state)
{
    (void)state;
    struct fixture fixture;
    uint64_t freed;
    make_loaded(&fixture, 3, 1000);
    model_delete(&fixture.model, 5);
    for (uint64_t nth = 1;; nth++) {
        allocator_fail_at(&fixture.model.allocator, nth, 0);
        omen_status status = table_unload(fixture.model.table, UINT64_MAX, 2, &freed);
        bool failed = allocator_has_failed(&fixture.model.allocator);
        allocator_fail_at(&fixture.model.allocator, 0, 0);
        assert_int_equal(status, failed ? OMEN_OUT_OF_MEMORY : OMEN_OK);
        check_all(&fixture.model, 100);
        if (!failed)
            break;
        assert_true(nth < 100);
    }
    fixture_destroy(&fixture);
}

/* What a commit needs of the rows it ends was read when they were chosen: it waits for no disk, and
 * fails by none, with the writer lock held. */
static void commit_ends_without_a_disk(enum key_kind kind)
{
    struct fixture fixture;
    struct write_set *set;
    struct fake_log log;
    struct table_stats stats;
    make_loaded_of(&fixture, kind, 3, 1000);
    struct table *table = fixture.model.table;
    fake_log_open(&log, fixture.model.manager); /* the keys go to it */
    unload(&fixture, UINT64_MAX, 1, UINT64_MAX);
    assert_int_equal(write_set_create(table, &set), OMEN_OK);
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        for (uint32_t slot = 0; slot < 1000; slot += 100)
            assert_int_equal(write_set_delete_row(set, row_id_make(entry->number, slot), NULL),
                             OMEN_OK);
    unload(&fixture, UINT64_MAX, 1, UINT64_MAX);
    expect_loaded(&fixture, "--"); /* the set still holds the last one */
    sim_disk_fail(fixture.disk,
                  &(struct sim_fault){SIM_READ, SIM_KIND_COUNT, 1, true, OMEN_IO_ERROR});
    assert_int_equal(write_set_commit(set, false, NULL), OMEN_OK);
    sim_disk_mend(fixture.disk);
    write_set_destroy(set);
    fake_log_close(&log);
    table_stats_of(table, &stats);
    assert_int_equal(stats.rows_estimate, 3000 - 30);
    fixture_destroy(&fixture);
}

static void test_a_commit_of_ends_reads_nothing(void **state)
{
    (void)state;
    commit_ends_without_a_disk(KEY_BIGINT);
    commit_ends_without_a_disk(KEY_TEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_let_go_and_come_back),
        cmocka_unit_test(test_what_is_read_stays),
        cmocka_unit_test(test_a_scan_holds_what_it_reads),
        cmocka_unit_test(test_rows_hold_little_more_than_fits),
        cmocka_unit_test(test_scans_past_the_cache_are_right),
        cmocka_unit_test(test_scans_past_the_cache_without_memory),
        cmocka_unit_test(test_readers_and_ends_survive_letting_go),
        cmocka_unit_test(test_validating_lets_go),
        cmocka_unit_test(test_unloading_without_memory),
        cmocka_unit_test(test_a_commit_of_ends_reads_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
