/* test_segments.c - row groups that go to segments and come back: the same rows, or an error. */
#include "segment_fixture.h"
#include "table/table_adopt.h"

#include "base/random.h"
#include "table/table_private.h"

enum { KIDS = 1500 };

static void make_churned(struct fixture *fixture, enum key_kind kind)
{
    fixture_make(fixture, kind);
    fixture_churn(fixture, KIDS, kind + 1);
    table_seal_open(fixture->model.table);
    fixture_churn(fixture, KIDS, kind + 100);
    if (kind % 2 == 0)
        maintain_fully(&fixture->model, NULL);
    fixture_churn(fixture, KIDS, kind + 200);
}

/* --- the same rows --- */

static void round_trip(enum key_kind kind)
{
    struct fixture fixture;
    make_churned(&fixture, kind);
    for (int round = 0; round < 3; round++) {
        fixture_reopen(&fixture);
        check_all(&fixture.model, KIDS + 20);
        fixture_churn(&fixture, KIDS, kind + 300 + (uint64_t)round);
        check_all(&fixture.model, KIDS + 20);
        maintain_fully(&fixture.model, NULL);
        check_all(&fixture.model, KIDS + 20);
    }
    fixture_destroy(&fixture);
}

static void test_round_trip_of_every_kind_of_key(void **state)
{
    (void)state;
    for (int kind = 0; kind < KEY_KINDS; kind++)
        round_trip((enum key_kind)kind);
}

static void test_full_groups_come_back(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_make(&fixture, KEY_BIGINT);
    model_insert(&fixture.model, 0, 150000);
    maintain_fully(&fixture.model, NULL);
    for (int32_t kid = 0; kid < 150000; kid += 3000)
        model_delete(&fixture.model, kid);
    fixture_reopen(&fixture);
    check_all(&fixture.model, 1000);
    fixture_destroy(&fixture);
}

/* --- columns come when they are needed --- */

static uint32_t absent_columns(const struct table *table)
{
    uint32_t absent = 0;
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        absent += row_group_absent_count(entry->group);
    return absent;
}

static void scan_one_column(struct fixture *fixture, uint32_t column,
                            const omen_predicate *predicate, uint64_t *rows,
                            struct scan_counters *counters)
{
    struct snapshot snapshot;
    struct table_view *view;
    struct scan *scan;
    struct scan_spec spec = {.columns = &column, .column_count = 1, .predicates = predicate,
                             .predicate_count = predicate != NULL, .limit = UINT64_MAX,
                             .partition_count = 1};
    assert_int_equal(snapshot_acquire(fixture->model.manager, &snapshot), OMEN_OK);
    assert_int_equal(table_view_open(fixture->model.table, &snapshot, &view), OMEN_OK);
    assert_int_equal(table_scan_open(view, &spec, &scan, NULL), OMEN_OK);
    struct ArrowArray batch;
    *rows = 0;
    while (table_scan_next(scan, &batch) == OMEN_OK) {
        *rows += (uint64_t)batch.length;
        batch.release(&batch);
    }
    table_scan_counters(scan, counters);
    table_scan_close(scan);
    table_view_release(view);
    snapshot_release(&snapshot);
}

static void test_opening_reads_no_column_and_scans_read_theirs(void **state)
{
    (void)state;
    struct fixture fixture;
    make_churned(&fixture, KEY_BIGINT);
    fixture_reopen(&fixture);
    struct table *table = fixture.model.table;
    uint32_t all = 0, groups = 0;
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next, groups++)
        all += COLUMN_COUNT;
    assert_true(groups >= 2);
    assert_int_equal(absent_columns(table), all);
    assert_int_equal(sim_disk_calls(fixture.disk, SIM_READ, SIM_PARQUET), 0);

    /* Zone maps alone rule every group out. */
    uint64_t rows;
    struct scan_counters counters;
    omen_value beyond = {.type = {.id = OMEN_TYPE_INTEGER}, .as.i32 = 1000000};
    omen_predicate predicate = {COLUMN_KID, OMEN_GT, &beyond, 1};
    scan_one_column(&fixture, COLUMN_TAG, &predicate, &rows, &counters);
    assert_int_equal(rows, 0);
    assert_int_equal(counters.groups_pruned, groups);
    assert_int_equal(absent_columns(table), all);

    /* Without a filter: the one column; with one, its column too. */
    scan_one_column(&fixture, COLUMN_TAG, NULL, &rows, &counters);
    assert_int_equal(rows, table_row_count_estimate(table));
    assert_int_equal(absent_columns(table), all - groups);
    beyond.as.i32 = 10;
    scan_one_column(&fixture, COLUMN_TAG, &predicate, &rows, &counters);
    assert_int_equal(absent_columns(table), all - 2 * groups);
    check_all(&fixture.model, KIDS + 20);
    assert_int_equal(absent_columns(table), 0);
    fixture_destroy(&fixture);
}

static void test_r11_2_statistics_are_those_of_the_loaded_table(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_make(&fixture, KEY_TEXT);
    model_insert(&fixture.model, 0, KIDS);
    table_seal_open(fixture.model.table);
    maintain_fully(&fixture.model, NULL);
    assert_int_equal(fixture_write(&fixture, NULL), OMEN_OK);
    struct table *opened, *tables[2] = {fixture.model.table, NULL};
    assert_int_equal(fixture_open(&fixture, &opened, NULL), OMEN_OK);
    tables[1] = opened;
    struct table_view *views[2];
    struct snapshot snapshot;
    assert_int_equal(snapshot_acquire(fixture.model.manager, &snapshot), OMEN_OK);
    bool exact[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(table_view_open(tables[i], &snapshot, &views[i]), OMEN_OK);
    assert_int_equal(table_view_row_count(views[0], &exact[0]),
                     table_view_row_count(views[1], &exact[1]));
    assert_true(exact[0] && exact[1]);
    for (uint32_t column = 0; column < COLUMN_COUNT; column++) {
        struct column_summary summary[2];
        table_view_column(views[0], column, &summary[0]);
        table_view_column(views[1], column, &summary[1]);
        assert_int_equal(summary[0].complete, summary[1].complete);
        assert_int_equal(summary[0].has_range, summary[1].has_range);
        assert_int_equal(summary[0].null_count, summary[1].null_count);
        if (summary[0].has_range) {
            assert_true(value_equal(&summary[0].min, &summary[1].min));
            assert_true(value_equal(&summary[0].max, &summary[1].max));
        }
    }
    assert_int_equal(absent_columns(opened), COLUMN_COUNT);
    for (int i = 0; i < 2; i++)
        table_view_release(views[i]);
    snapshot_release(&snapshot);
    table_release(opened);
    fixture_destroy(&fixture);
}

/* --- rules --- */

static void test_r5_2_freezing_keeps_numbers_and_slots_and_ends_are_persisted(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_make(&fixture, KEY_BIGINT);
    model_insert(&fixture.model, 0, KIDS);
    table_seal_open(fixture.model.table);
    uint64_t number = fixture.model.table->first->number;
    maintain_fully(&fixture.model, NULL);
    assert_int_equal(fixture_write(&fixture, NULL), OMEN_OK);
    assert_int_equal(fixture.facts[0].ends_bytes, 0); /* nothing has ended: no file */
    model_delete(&fixture.model, 7);
    model_delete(&fixture.model, 8);
    /* The same segment, another ends file. */
    struct row_group *group = fixture.model.table->first->group;
    struct segment_facts facts = fixture.facts[0];
    assert_int_equal(segment_write_ends(&fixture.options, txn_published(fixture.model.manager),
                                        &group, 1, &fixture.facts[0], NULL),
                     OMEN_OK);
    assert_memory_equal(facts.uuid, fixture.facts[0].uuid, sizeof facts.uuid);
    assert_true(fixture.facts[0].ends_bytes > 0);
    /* As of an earlier moment they had not ended. */
    assert_int_equal(segment_write_ends(&fixture.options,
                                        txn_published(fixture.model.manager) - 2, &group, 1,
                                        &facts, NULL),
                     OMEN_OK);
    assert_int_equal(facts.ends_bytes, 0);
    struct table *opened;
    assert_int_equal(fixture_open(&fixture, &opened, NULL), OMEN_OK);
    table_release(fixture.model.table);
    fixture.model.table = opened;
    assert_int_equal(opened->first->number, number);
    assert_int_equal(row_group_row_count(opened->first->group), KIDS);
    assert_int_equal(row_group_ended_count(opened->first->group), 2);
    /* The ends are a bitmap until a delete comes; then each slot has one of its own. */
    size_t folded = row_group_bytes(opened->first->group);
    check_all(&fixture.model, KIDS);
    model_delete(&fixture.model, 9);
    assert_true(row_group_bytes(opened->first->group) > folded + KIDS * sizeof(uint64_t));
    check_all(&fixture.model, KIDS);
    fixture_destroy(&fixture);
}

static void test_r5_4_group_numbers_are_never_reused(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_make(&fixture, KEY_BIGINT);
    uint64_t highest = 0;
    for (int32_t round = 0; round < 4; round++) {
        model_insert(&fixture.model, round * 100, 100);
        uint64_t number = fixture.model.table->last->number;
        assert_true(number > highest);
        highest = number;
        fixture_reopen(&fixture);
        assert_int_equal(fixture.model.table->group_number_next, highest + 1);
    }
    /* A manifest that knows too little is refused. */
    fixture.counters.group_number_next = highest;
    struct table *opened;
    omen_error error;
    fixture_forget_segments(&fixture);
    assert_int_equal(fixture_write(&fixture, NULL), OMEN_OK);
    fixture.counters.group_number_next = highest;
    assert_int_equal(fixture_open(&fixture, &opened, &error), OMEN_CORRUPTED);
    assert_non_null(strstr(error.message, "was never issued"));
    fixture_destroy(&fixture);
}

static void test_r5_6_hidden_keys_are_stored_and_bounded(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_make(&fixture, KEY_HIDDEN);
    model_insert(&fixture.model, 0, 500);
    int64_t bound = fixture.model.table->hidden_key_next;
    fixture_reopen(&fixture);
    assert_int_equal(fixture.model.table->hidden_key_next, bound);
    assert_int_equal(fixture.model.schema->stored_count, COLUMN_COUNT + 1);
    model_insert(&fixture.model, 500, 100); /* keys that no row has */
    check_all(&fixture.model, 620);
    fixture_destroy(&fixture);
}

static void test_r8_6_segments_hold_dead_rows(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_make(&fixture, KEY_BIGINT);
    model_insert(&fixture.model, 0, 100);
    for (int32_t kid = 0; kid < 50; kid++)
        model_delete(&fixture.model, kid);
    fixture_reopen(&fixture);
    const struct row_group *group = fixture.model.table->first->group;
    assert_int_equal(row_group_row_count(group), 100);
    assert_int_equal(row_group_ended_count(group), 50);
    assert_int_equal(row_group_ensure_all(group, NULL), OMEN_OK);
    for (uint32_t slot = 0; slot < 100; slot++) {
        omen_value kid;
        row_group_read(group, slot, COLUMN_KID, &kid);
        assert_int_equal(kid.as.i32, slot); /* the dead ones too */
    }
    fixture_destroy(&fixture);
}

/* --- pins --- */

static size_t count_files(struct fixture *fixture);

static void count_file(void *context, const char *path, uint64_t bytes)
{
    (void)path, (void)bytes;
    ++*(size_t *)context;
}

static size_t count_files(struct fixture *fixture)
{
    size_t count = 0;
    sim_disk_each(fixture->disk, count_file, &count);
    return count;
}

static void test_files_stay_while_anybody_may_read_them(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_make(&fixture, KEY_BIGINT);
    model_insert(&fixture.model, 0, 1000);
    fixture_reopen(&fixture);
    assert_int_equal(count_files(&fixture), 2);
    assert_true(segment_is_pinned(fixture.segments[0]));
    /* A batch taken from the table outlives it, and the removal of its segment. */
    struct row_group *group = row_group_retain(fixture.model.table->first->group);
    uint32_t column = COLUMN_TAG;
    struct ArrowArray batch;
    assert_int_equal(row_group_export(group, 0, 1000, &column, 1, &batch), OMEN_OK);
    row_group_release(group);
    table_release(fixture.model.table);
    fixture.model.table = NULL;
    assert_true(segment_is_pinned(fixture.segments[0]));
    segment_remove(fixture.segments[0]);
    fixture_forget_segments(&fixture);
    assert_int_equal(count_files(&fixture), 2);
    for (int64_t row = 0; row < batch.length; row++)
        assert_true(((const int64_t *)batch.children[0]->buffers[1])[row] > 0);
    batch.release(&batch);
    assert_int_equal(count_files(&fixture), 0);
    fixture_destroy(&fixture);
}

/* --- damage --- */

/* Flips a bit in every page of a segment's data, or flips them back. */
static void flip_pages(struct fixture *fixture, size_t segment)
{
    for (uint64_t byte = 100; byte < fixture->facts[segment].data_bytes; byte += 4096)
        fixture_flip(fixture, segment, SEGMENT_DATA, byte, 0x40);
}

static void delete_third(struct model *model, int32_t first, int32_t count)
{
    struct test_txn txn;
    assert_int_equal(test_txn_begin(model, &txn), OMEN_OK);
    for (int32_t kid = first; kid < first + count; kid += 3)
        assert_int_equal(test_txn_delete(&txn, kid), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
}

/* A group whose columns cannot be read is told of once and left as it is; keys of the others are
 * erased, and they are compacted. Once its disk works again it is maintained too. */
static void test_a_damaged_group_does_not_hold_up_the_others(void **state)
{
    (void)state;
    enum { ROWS = 18000, GROUPS = 3 }; /* too many to be merged with a neighbour */
    struct fixture fixture;
    struct model *model = &fixture.model;
    struct maintain_report report = {.more = true};
    struct table_stats stats;
    int told = 0;
    fixture_make(&fixture, KEY_BIGINT);
    fixture.groups_per_segment = 1;
    for (int32_t i = 0; i < GROUPS; i++) {
        model_insert(model, i * ROWS, ROWS);
        table_seal_open(model->table);
    }
    fixture_reopen(&fixture);
    assert_int_equal(fixture.segment_count, GROUPS);
    flip_pages(&fixture, 0);
    for (int32_t i = 0; i < GROUPS; i++)
        delete_third(model, i * ROWS, ROWS);
    for (int step = 0; step < 20; step++) {
        omen_status status = table_maintain(model->table, 100000, &report);
        told += status != OMEN_OK;
        assert_true(status == OMEN_OK || status == OMEN_CORRUPTED);
    }
    assert_int_equal(told, 1);
    assert_false(report.more);
    assert_int_equal(report.entries_erased, (GROUPS - 1) * ROWS / 3);
    assert_int_equal(report.groups_compacted, GROUPS - 1);
    assert_int_equal(report.groups_dropped, GROUPS - 1);
    table_stats_of(model->table, &stats);
    assert_int_equal(stats.groups_damaged, 1);
    model_insert(model, 0, 1); /* a deleted key of the damaged group */
    flip_pages(&fixture, 0);
    for (int step = 0; step < 100; step++)
        assert_int_equal(table_maintain(model->table, 100000, &report), OMEN_OK);
    assert_int_equal(report.entries_erased, GROUPS * ROWS / 3 - 1);
    assert_int_equal(report.groups_compacted, GROUPS);
    table_stats_of(model->table, &stats);
    assert_int_equal(stats.groups_damaged, 0);
    check_all(model, GROUPS * ROWS);
    fixture_destroy(&fixture);
}

/* Small groups whose text shows to be too much for one only once it has been loaded. */
static void test_too_much_to_compact_is_no_damage(void **state)
{
    (void)state;
    enum { ROWS = 1000, GROUPS = 3 };
    struct fixture fixture;
    struct model *model = &fixture.model;
    struct maintain_report report = {.more = true};
    struct table_stats stats;
    fixture_make(&fixture, KEY_BIGINT);
    fixture.groups_per_segment = 1;
    for (int32_t i = 0; i < GROUPS; i++) {
        model_insert(model, i * ROWS, ROWS);
        table_seal_open(model->table);
    }
    fixture_reopen(&fixture);
    assert_int_equal(fixture.segment_count, GROUPS);
    model->table->merged_bytes_max = 1000;
    for (int step = 0; step < 20; step++) {
        assert_int_equal(table_maintain(model->table, 100000, &report), OMEN_OK);
        table_stats_of(model->table, &stats);
        assert_int_equal(stats.groups_damaged, 0);
    }
    assert_int_equal(report.groups_compacted, 0);
    assert_true(row_group_column_bytes(model->table->first->group) > 1000); /* it was tried */
    model->table->merged_bytes_max = 1 << 30;
    for (int step = 0; step < 100; step++)
        assert_int_equal(table_maintain(model->table, 100000, &report), OMEN_OK);
    assert_int_equal(report.groups_compacted, GROUPS);
    check_all(model, GROUPS * ROWS);
    fixture_destroy(&fixture);
}

static void test_r8_5_damage_fails_what_needs_it_and_nothing_else(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_make(&fixture, KEY_BIGINT);
    fixture.groups_per_segment = 1;
    model_insert(&fixture.model, 0, 1000);
    table_seal_open(fixture.model.table);
    model_insert(&fixture.model, 1000, 1000);
    fixture_reopen(&fixture);
    assert_int_equal(fixture.segment_count, 2);
    fixture_flip(&fixture, 0, SEGMENT_DATA, 100, 0x40); /* the first column of the first group */
    omen_error error;
    uint32_t kid_column = COLUMN_KID, text_column = COLUMN_FIRST_TYPE + 9;
    const struct row_group *damaged = fixture.model.table->first->group;
    for (int again = 0; again < 2; again++) {
        assert_int_equal(row_group_ensure(damaged, &kid_column, 1, &error), OMEN_CORRUPTED);
        assert_non_null(strstr(error.message, "wrong checksum of the 4 KiB at byte 0"));
    }
    assert_int_equal(row_group_ensure(damaged, &text_column, 1, &error), OMEN_OK);
    assert_int_equal(segment_verify(fixture.segments[0], &error), OMEN_CORRUPTED);
    assert_int_equal(segment_verify(fixture.segments[1], &error), OMEN_OK);
    /* A row of the other group is read as ever, one of this group found and refused. */
    struct snapshot snapshot;
    assert_int_equal(snapshot_acquire(fixture.model.manager, &snapshot), OMEN_OK);
    assert_int_equal(check_point(&fixture.model, &snapshot, 1500), OMEN_OK);
    assert_int_equal(check_point(&fixture.model, &snapshot, 500), OMEN_CORRUPTED);
    /* A scan over both fails with the reason; a whole statement never skips rows. */
    struct table_view *view;
    struct scan *scan;
    struct scan_spec spec = {.columns = &kid_column, .column_count = 1, .limit = UINT64_MAX,
                             .partition_count = 1};
    struct ArrowArray batch;
    assert_int_equal(table_view_open(fixture.model.table, &snapshot, &view), OMEN_OK);
    assert_int_equal(table_scan_open(view, &spec, &scan, NULL), OMEN_OK);
    assert_int_equal(table_scan_next(scan, &batch), OMEN_CORRUPTED);
    table_scan_error(scan, OMEN_CORRUPTED, &error);
    assert_non_null(strstr(error.message, "wrong checksum"));
    table_scan_close(scan);
    /* So does a change of one of its rows; maintenance goes on with the rest. */
    struct test_row row;
    omen_value key[2];
    struct write_set *set;
    assert_int_equal(write_set_create(fixture.model.table, &set), OMEN_OK);
    test_key_fill(&fixture.model, 500, &row, key);
    uint32_t tag = COLUMN_TAG;
    omen_value new_tag = {.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = 1};
    txn_writer_lock(fixture.model.manager);
    assert_int_equal(write_set_update(set, key, &tag, &new_tag, 1, &error), OMEN_CORRUPTED);
    txn_writer_unlock(fixture.model.manager);
    write_set_destroy(set);
    /* To delete a row its key is read, for the log. */
    assert_int_equal(write_set_create(fixture.model.table, &set), OMEN_OK);
    txn_writer_lock(fixture.model.manager);
    assert_int_equal(write_set_delete(set, key, &error), OMEN_OK);
    txn_writer_unlock(fixture.model.manager);
    write_set_destroy(set);
    table_view_release(view);
    snapshot_release(&snapshot);
    /* What was broken for a moment is read again. */
    fixture_flip(&fixture, 0, SEGMENT_DATA, 100, 0x40);
    check_all(&fixture.model, 2000);
    fixture_destroy(&fixture);
}

static void test_any_flipped_bit_gives_the_right_rows_or_an_error(void **state)
{
    (void)state;
    struct fixture fixture;
    make_churned(&fixture, KEY_MIXED);
    assert_int_equal(fixture_write(&fixture, NULL), OMEN_OK);
    struct random random = random_seeded(5);
    const char *steps = getenv("OMEN_STEPS");
    int count = steps == NULL ? 60 : atoi(steps);
    int refused = 0;
    struct table *original = fixture.model.table;
    for (int i = 0; i < count; i++) {
        size_t segment = random_below(&random, fixture.segment_count);
        const struct segment_facts *facts = &fixture.facts[segment];
        enum segment_file what = (enum segment_file)random_below(&random, facts->ends_bytes > 0 ? 3 : 2);
        uint64_t bytes = what == SEGMENT_DATA ? facts->data_bytes
                         : what == SEGMENT_KEYS ? facts->keys_bytes : facts->ends_bytes;
        uint64_t byte = random_below(&random, bytes);
        uint8_t mask = (uint8_t)(1u << random_below(&random, 8));
        fixture_flip(&fixture, segment, what, byte, mask);
        struct table *opened;
        omen_error error = {.message = ""};
        omen_status status = fixture_open(&fixture, &opened, &error);
        assert_true(status == OMEN_CORRUPTED || (status == OMEN_OK && what == SEGMENT_DATA));
        if (status == OMEN_OK) {
            for (const struct group_entry *e = opened->first; e != NULL; e = e->next)
                if (row_group_ensure_all(e->group, &error) != OMEN_OK)
                    status = OMEN_CORRUPTED;
            for (size_t s = 0; s < fixture.segment_count; s++)
                segment_release(fixture.segments[s]);
            memset(fixture.segments, 0, sizeof fixture.segments);
            table_release(opened);
        }
        assert_int_equal(status, OMEN_CORRUPTED); /* no byte of a file goes unread */
        assert_true(error.message[0] != '\0');
        refused++;
        fixture_flip(&fixture, segment, what, byte, mask);
    }
    assert_int_equal(refused, count);
    assert_ptr_equal(fixture.model.table, original);
    fixture_destroy(&fixture);
}

static void test_files_that_are_missing_short_or_swapped_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_make(&fixture, KEY_BIGINT);
    fixture.groups_per_segment = 1;
    model_insert(&fixture.model, 0, 1000);
    table_seal_open(fixture.model.table);
    model_insert(&fixture.model, 1000, 1000);
    model_delete(&fixture.model, 3);
    model_delete(&fixture.model, 1003);
    assert_int_equal(fixture_write(&fixture, NULL), OMEN_OK);
    const struct os *os = fixture.options.os;
    struct table *opened;
    omen_error error;
    for (int what = SEGMENT_DATA; what <= SEGMENT_ENDS; what++) {
        char path[SEGMENT_PATH_BYTES_MAX], other[SEGMENT_PATH_BYTES_MAX];
        segment_path(fixture.options.directory, &fixture.facts[0], (enum segment_file)what, path);
        segment_path(fixture.options.directory, &fixture.facts[1], (enum segment_file)what, other);
        assert_int_equal(os->file_rename(os, path, "/db/data/kept", NULL), OMEN_OK);
        assert_int_equal(fixture_open(&fixture, &opened, &error), OMEN_FILE_NOT_FOUND);
        assert_non_null(strstr(error.message, path));
        /* The other segment's file in its place. */
        assert_int_equal(os->file_rename(os, other, path, NULL), OMEN_OK);
        omen_status status = fixture_open(&fixture, &opened, &error);
        assert_true(status == OMEN_CORRUPTED || status == OMEN_FILE_NOT_FOUND);
        assert_int_equal(os->file_rename(os, path, other, NULL), OMEN_OK);
        assert_int_equal(os->file_rename(os, "/db/data/kept", path, NULL), OMEN_OK);
        /* Cut short. */
        int64_t file;
        uint64_t bytes;
        assert_int_equal(os->file_open(os, path, OS_OPEN_WRITE, &file, NULL), OMEN_OK);
        assert_int_equal(os->file_size(os, file, &bytes, NULL), OMEN_OK);
        uint8_t last;
        size_t got;
        assert_int_equal(os->file_read_at(os, file, &last, 1, bytes - 1, &got, NULL), OMEN_OK);
        assert_int_equal(os->file_truncate(os, file, bytes - 1, NULL), OMEN_OK);
        assert_int_equal(fixture_open(&fixture, &opened, &error), OMEN_CORRUPTED);
        assert_int_equal(os->file_write_at(os, file, &last, 1, bytes - 1, NULL), OMEN_OK);
        os->file_close(os, file);
    }
    assert_int_equal(fixture_open(&fixture, &opened, &error), OMEN_OK);
    table_release(opened);
    fixture_destroy(&fixture);
}

/* --- faults --- */

static uint64_t failures_of(struct sim_disk *disk)
{
    uint64_t failures = 0;
    for (int call = 0; call < SIM_CALL_COUNT; call++)
        for (int kind = 0; kind < SIM_KIND_COUNT; kind++)
            failures += sim_disk_failures(disk, (enum sim_call)call, (enum sim_kind)kind);
    return failures;
}

static void test_every_call_on_the_disk_may_fail(void **state)
{
    (void)state;
    struct fixture fixture;
    make_churned(&fixture, KEY_PAIR);
    static const omen_status reasons[] = {OMEN_IO_ERROR, OMEN_DISK_FULL};
    uint64_t failures = 0;
    for (size_t r = 0; r < 2; r++) {
        for (uint64_t nth = 1;; nth++) {
            struct sim_fault fault = {SIM_CALL_COUNT, SIM_KIND_COUNT, nth, nth % 2 == 0, reasons[r]};
            uint64_t before = failures_of(fixture.disk);
            struct table *opened = NULL;
            omen_error error = {.status = OMEN_OK};
            sim_disk_fail(fixture.disk, &fault);
            omen_status status = fixture_write(&fixture, &error);
            if (status == OMEN_OK)
                status = fixture_open(&fixture, &opened, &error);
            for (const struct group_entry *entry = opened != NULL ? opened->first : NULL;
                 entry != NULL && status == OMEN_OK; entry = entry->next)
                status = row_group_ensure_all(entry->group, &error);
            sim_disk_mend(fixture.disk);
            bool failed = failures_of(fixture.disk) > before;
            if (status != OMEN_OK)
                assert_int_equal(error.status, status);
            /* Removing what is left over may fail unnoticed; everything else is told. */
            assert_true(failed || status == OMEN_OK);
            if (opened != NULL) {
                /* Once the disk works again, so do the columns. */
                struct table *kept = fixture.model.table;
                fixture.model.table = opened;
                check_all(&fixture.model, 50);
                fixture.model.table = kept;
                table_release(opened);
            }
            fixture_forget_segments(&fixture);
            failures += failed;
            if (!failed)
                break;
        }
    }
    assert_true(failures > 40);
    fixture_destroy(&fixture);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    static const enum key_kind kinds[] = {KEY_PAIR, KEY_TEXT};
    for (size_t k = 0; k < 2; k++) {
        struct fixture fixture;
        fixture_make(&fixture, kinds[k]);
        fixture_churn(&fixture, 300, 9);
        fixture_churn(&fixture, 300, 10);
        for (uint64_t nth = 1;; nth++) {
            struct table *opened = NULL;
            omen_error error = {.status = OMEN_OK};
            allocator_fail_at(&fixture.model.allocator, nth, nth % 2 == 0);
            omen_status status = fixture_write(&fixture, &error);
            if (status == OMEN_OK)
                status = fixture_open(&fixture, &opened, &error);
            for (const struct group_entry *entry = opened != NULL ? opened->first : NULL;
                 entry != NULL && status == OMEN_OK; entry = entry->next)
                status = row_group_ensure_all(entry->group, &error);
            bool failed = allocator_has_failed(&fixture.model.allocator);
            allocator_fail_at(&fixture.model.allocator, 0, 0);
            assert_true(status == OMEN_OUT_OF_MEMORY || (status == OMEN_OK && !failed) ||
                        (status == OMEN_OK && nth % 2 != 0));
            if (opened != NULL) {
                struct table *kept = fixture.model.table;
                fixture.model.table = opened;
                check_all(&fixture.model, 320);
                fixture.model.table = kept;
                table_release(opened);
            }
            fixture_forget_segments(&fixture);
            if (!failed)
                break;
        }
        fixture_destroy(&fixture);
    }
}

static void test_a_power_cut_after_writing_loses_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    make_churned(&fixture, KEY_BIGINT);
    const struct os *os = fixture.options.os;
    assert_int_equal(os->directory_sync(os, "/", NULL), OMEN_OK);
    assert_int_equal(os->directory_sync(os, "/db", NULL), OMEN_OK);
    assert_int_equal(fixture_write(&fixture, NULL), OMEN_OK);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct sim_disk *image = sim_disk_draw(
            fixture.disk, (enum sim_mode)(seed % SIM_MODE_COUNT), seed);
        struct fixture after = fixture;
        after.options.os = sim_disk_os(image);
        struct table *opened;
        omen_error error = {.message = ""};
        if (fixture_open(&after, &opened, &error) != OMEN_OK)
            fail_msg("%s", error.message);
        after.model.table = opened;
        check_all(&after.model, 100);
        table_release(opened);
        for (size_t i = 0; i < after.segment_count; i++)
            segment_release(after.segments[i]);
        sim_disk_destroy(image);
    }
    fixture_destroy(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_of_every_kind_of_key),
        cmocka_unit_test(test_full_groups_come_back),
        cmocka_unit_test(test_opening_reads_no_column_and_scans_read_theirs),
        cmocka_unit_test(test_r11_2_statistics_are_those_of_the_loaded_table),
        cmocka_unit_test(test_r5_2_freezing_keeps_numbers_and_slots_and_ends_are_persisted),
        cmocka_unit_test(test_r5_4_group_numbers_are_never_reused),
        cmocka_unit_test(test_r5_6_hidden_keys_are_stored_and_bounded),
        cmocka_unit_test(test_r8_6_segments_hold_dead_rows),
        cmocka_unit_test(test_files_stay_while_anybody_may_read_them),
        cmocka_unit_test(test_too_much_to_compact_is_no_damage),
        cmocka_unit_test(test_a_damaged_group_does_not_hold_up_the_others),
        cmocka_unit_test(test_r8_5_damage_fails_what_needs_it_and_nothing_else),
        cmocka_unit_test(test_any_flipped_bit_gives_the_right_rows_or_an_error),
        cmocka_unit_test(test_files_that_are_missing_short_or_swapped_are_refused),
        cmocka_unit_test(test_every_call_on_the_disk_may_fail),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_a_power_cut_after_writing_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
