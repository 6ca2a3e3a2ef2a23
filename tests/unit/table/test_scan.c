/* Scans: zero copy, pruning, key lookups, limits, partitions, lifetimes of what is handed out. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"
#include "table/table_private.h"

/* A view of the newest snapshot; releasing the view is enough. */
static struct table_view *view_now(struct model *model)
{
    struct snapshot snapshot;
    struct table_view *view;
    assert_int_equal(snapshot_acquire(model->manager, &snapshot), OMEN_OK);
    assert_int_equal(table_view_open(model->table, &snapshot, &view), OMEN_OK);
    snapshot_release(&snapshot);
    return view;
}

struct totals {
    uint64_t batches, rows;
    int64_t sum; /* of kid, the first column */
    struct scan_counters counters;
};

static struct totals run_scan(struct table_view *view, const struct scan_spec *spec)
{
    struct totals totals = {0};
    struct scan *scan;
    omen_error error = {0};
    if (table_scan_open(view, spec, &scan, &error) != OMEN_OK)
        fail_msg("%s", error.message);
    struct ArrowArray batch;
    omen_status status;
    while ((status = table_scan_next(scan, &batch)) == OMEN_OK) {
        assert_int_equal(batch.offset, 0);
        assert_true(batch.length > 0 && batch.length <= BATCH_ROWS);
        totals.batches++;
        totals.rows += (uint64_t)batch.length;
        for (int64_t i = 0; spec->column_count > 0 && i < batch.length; i++)
            totals.sum += ((const int32_t *)batch.children[0]->buffers[1])[i];
        batch.release(&batch);
    }
    assert_int_equal(status, OMEN_END_OF_DATA);
    assert_int_equal(table_scan_next(scan, &batch), OMEN_END_OF_DATA);
    table_scan_counters(scan, &totals.counters);
    assert_int_equal(totals.counters.rows, totals.rows);
    table_scan_close(scan);
    return totals;
}

static const uint32_t kid_column[] = {COLUMN_KID};

static struct scan_spec kid_spec(const omen_predicate *predicates, size_t count)
{
    return (struct scan_spec){.columns = kid_column,
                              .column_count = 1,
                              .predicates = predicates,
                              .predicate_count = count,
                              .limit = UINT64_MAX,
                              .partition_count = 1,
                              .key_lookup = true};
}

static void insert_many(struct model *model, int32_t first, int32_t count)
{
    model_insert(model, first, count);
}

/* Whole windows of unchanged groups are the table's own buffers; 64-byte aligned, cut to the
 * slice; the batch outlives scan, view and table. */
static void test_r5_7_unchanged_windows_are_not_copied(void **state)
{
    struct model model;
    model_open(&model, KEY_BIGINT);
    insert_many(&model, 0, 20000);
    for (int frozen = 0; frozen < 2; frozen++) {
        struct table_view *view = view_now(&model);
        uint32_t columns[COLUMN_COUNT];
        all_columns(columns);
        struct scan_spec spec = kid_spec(NULL, 0);
        spec.columns = columns;
        spec.column_count = COLUMN_COUNT;
        struct scan *scan;
        assert_int_equal(table_scan_open(view, &spec, &scan, NULL), OMEN_OK);
        const struct row_group *group = view->groups[0].group;
        /* the unfinished vector of an open group is a batch of its own, and copied */
        static const int64_t lengths[2][4] = {{8192, 8192, 3072, 544}, {8192, 8192, 3616}};
        int64_t first = 0;
        for (int i = 0; i < 4 - frozen; i++) {
            struct ArrowArray batch;
            assert_int_equal(table_scan_next(scan, &batch), OMEN_OK);
            assert_int_equal(batch.length, lengths[frozen][i]);
            const char *own = (const char *)row_group_values(group, COLUMN_TAG) + (size_t)first * 8;
            assert_int_equal(batch.children[COLUMN_TAG]->buffers[1] == own, i < 3);
            first += batch.length;
            const struct ArrowArray *text = batch.children[COLUMN_FIRST_TYPE + 4];
            assert_in_range(text->n_buffers, 3, 5); /* at most two chunks */
            for (int64_t child = 0; child < batch.n_children; child++)
                assert_int_equal((uintptr_t)batch.children[child]->buffers[1] % 64, 0);
            batch.release(&batch);
        }
        struct ArrowArray none;
        assert_int_equal(table_scan_next(scan, &none), OMEN_END_OF_DATA);
        table_scan_close(scan);
        table_view_release(view);
        table_seal_open(model.table);
        maintain_fully(&model, NULL);
    }
    model_close(&model);
}

/* Every row comes with the id under which the table knows it, whichever way it is read. */
static uint64_t check_row_ids(struct model *model, const omen_predicate *predicates, size_t count)
{
    static const uint32_t columns[] = {ROW_ID_COLUMN, COLUMN_KID, ROW_ID_COLUMN};
    struct table_view *view = view_now(model);
    struct scan_spec spec = kid_spec(predicates, count);
    spec.columns = columns;
    spec.column_count = 3;
    struct scan *scan;
    struct ArrowArray batch;
    uint64_t rows = 0;
    assert_int_equal(table_scan_open(view, &spec, &scan, NULL), OMEN_OK);
    while (table_scan_next(scan, &batch) == OMEN_OK) {
        for (int64_t i = 0; i < batch.length; i++) {
            uint64_t row_id = ((const uint64_t *)batch.children[0]->buffers[1])[i];
            int32_t kid = ((const int32_t *)batch.children[1]->buffers[1])[i];
            struct row_ref row;
            omen_value value;
            assert_int_equal(((const uint64_t *)batch.children[2]->buffers[1])[i], row_id);
            biased_lock_read_lock(&model->table->lock);
            bool found = version_resolve(model->table, row_id_canonical(model->table, row_id),
                                         view->snapshot.timestamp, &row);
            biased_lock_read_unlock(&model->table->lock);
            assert_true(found);
            row_group_read(row.group, row.slot, COLUMN_KID, &value);
            assert_int_equal(value.as.i32, kid);
            row_ref_release(&row);
            rows++;
        }
        assert_null(batch.children[0]->buffers[0]);
        batch.release(&batch);
    }
    table_scan_close(scan);
    table_view_release(view);
    return rows;
}

static void test_row_ids(void **state)
{
    struct model model;
    omen_value bound = {.type.id = OMEN_TYPE_INTEGER, .as.i32 = 60000};
    omen_value keys[2];
    model_open(&model, KEY_BIGINT);
    insert_many(&model, 0, 70000);
    struct test_row row;
    test_key_fill(&model, 69999, &row, keys);
    const omen_predicate later = {COLUMN_KID, OMEN_GE, &bound, 1};
    const omen_predicate one = {COLUMN_K1, OMEN_EQ, keys, 1};
    for (int round = 0; round < 3; round++) {
        assert_int_equal(check_row_ids(&model, NULL, 0), 70000 - round * 10000);
        assert_int_equal(check_row_ids(&model, &later, 1), 10000);
        assert_int_equal(check_row_ids(&model, &one, 1), 1);
        /* then: ended and replaced versions; then: compacted groups */
        for (int32_t kid = 0; round == 0 && kid < 20000; kid++)
            kid % 2 == 0 ? model_delete(&model, kid) : model_update(&model, kid, kid);
        for (int32_t kid = 20000; round == 1 && kid < 30000; kid++)
            model_delete(&model, kid);
        if (round == 1) {
            table_seal_open(model.table);
            maintain_fully(&model, NULL);
        }
    }
    model_close(&model);
}

/* A copy whose text outlives the batch. */
static omen_value keep_value(const omen_value *value, char *text)
{
    omen_value kept = *value;
    if (value->type.id == OMEN_TYPE_TEXT || value->type.id == OMEN_TYPE_VARCHAR ||
        value->type.id == OMEN_TYPE_CHAR || value->type.id == OMEN_TYPE_BYTEA) {
        assert_true(value->as.bytes.length <= 64);
        memcpy(text, value->as.bytes.data, value->as.bytes.length);
        kept.as.bytes.data = (const uint8_t *)text;
    }
    return kept;
}

/* What is known without reading, against what a view really sees. */
static void check_statistics(struct model *model, struct table_view *view, bool exact)
{
    bool is_exact;
    uint64_t rows =
        run_scan(view, &(struct scan_spec){.limit = UINT64_MAX, .partition_count = 1}).rows;
    uint64_t known = table_view_row_count(view, &is_exact);
    assert_int_equal(is_exact, exact);
    if (exact)
        assert_int_equal(known, rows);
    for (uint32_t column = 0; column < COLUMN_COUNT; column++) {
        struct column_summary summary;
        struct scan *scan;
        struct ArrowArray batch;
        uint64_t nulls = 0;
        struct scan_spec spec = kid_spec(NULL, 0);
        spec.columns = &column;
        table_view_column(view, column, &summary);
        omen_type type = model->schema->columns[column].type;
        omen_value least = {.is_null = true}, largest = least;
        char least_text[64], largest_text[64];
        assert_int_equal(table_scan_open(view, &spec, &scan, NULL), OMEN_OK);
        while (table_scan_next(scan, &batch) == OMEN_OK) {
            for (int64_t i = 0; i < batch.length; i++) {
                omen_value value;
                arrow_read(&type, batch.children[0], i, &value);
                nulls += value.is_null;
                if (value.is_null || !summary.has_range)
                    continue;
                assert_true(value_compare(&value, &summary.min) >= 0);
                assert_true(value_compare(&value, &summary.max) <= 0);
                if (least.is_null || value_compare(&value, &least) < 0)
                    least = keep_value(&value, least_text);
                if (largest.is_null || value_compare(&value, &largest) > 0)
                    largest = keep_value(&value, largest_text);
            }
            batch.release(&batch);
        }
        table_scan_close(scan);
        assert_false(summary.has_range && (type.id == OMEN_TYPE_REAL || type.id == OMEN_TYPE_CHAR ||
                                           type.id == OMEN_TYPE_DOUBLE));
        if (!exact || !summary.complete)
            continue;
        assert_int_equal(summary.null_count, nulls);
        if (summary.has_range) {
            assert_true(value_equal(&least, &summary.min));
            assert_true(value_equal(&largest, &summary.max));
        }
    }
}

static void test_r11_2_exact_statistics(void **state)
{
    struct model model;
    struct table_view *views[5];
    model_open(&model, KEY_BIGINT);
    views[0] = view_now(&model);
    check_statistics(&model, views[0], true);
    insert_many(&model, 0, 70000);
    views[1] = view_now(&model);
    check_statistics(&model, views[1], true); /* an open group: rows, but no ranges */
    table_seal_open(model.table);
    views[2] = view_now(&model);
    check_statistics(&model, views[2], true);
    model_delete(&model, 5);
    views[3] = view_now(&model);
    check_statistics(&model, views[3], false);
    check_statistics(&model, views[2], false); /* a row that this one still sees has an end */
    insert_many(&model, 100000, 10);
    check_statistics(&model, views[1], false);
    maintain_fully(&model, NULL);
    views[4] = view_now(&model);
    check_statistics(&model, views[4], false);
    for (int i = 0; i < 5; i++) {
        check_statistics(&model, views[i], i == 0);
        table_view_release(views[i]);
    }
    model_close(&model);
}

/* What a scan is told to prune by in the middle holds from then on, and loses no wanted row. */
static void test_r11_4_pruning_while_reading(void **state)
{
    struct model model;
    model_open(&model, KEY_BIGINT);
    for (int32_t group = 0; group < 4; group++)
        insert_many(&model, group * ROW_GROUP_ROWS, ROW_GROUP_ROWS);
    model_delete(&model, 3 * ROW_GROUP_ROWS); /* vectors of one group are selected one by one */
    struct table_view *view = view_now(&model);
    struct scan_spec spec = kid_spec(NULL, 0);
    struct scan *scan;
    struct ArrowArray batch;
    omen_value bounds[] = {{.type.id = OMEN_TYPE_INTEGER, .as.i32 = ROW_GROUP_ROWS - 9000},
                           {.type.id = OMEN_TYPE_INTEGER, .as.i32 = 4 * ROW_GROUP_ROWS - 10}};
    omen_predicate early = {COLUMN_KID, OMEN_GE, &bounds[0], 1};
    omen_predicate late = {COLUMN_KID, OMEN_GE, &bounds[1], 1};
    omen_predicate wrong = {COLUMN_COUNT + 9, OMEN_GE, &bounds[1], 1};
    omen_predicate never = {COLUMN_KID, OMEN_IN, NULL, 0};
    assert_int_equal(table_scan_open(view, &spec, &scan, NULL), OMEN_OK);
    assert_int_equal(table_scan_next(scan, &batch), OMEN_OK);
    assert_int_equal(((const int32_t *)batch.children[0]->buffers[1])[0], 0);
    batch.release(&batch);
    assert_int_equal(table_scan_prune(scan, &wrong, 1, NULL), OMEN_INVALID_ARGUMENT);
    assert_int_equal(table_scan_prune(scan, &early, 1, NULL), OMEN_OK);
    assert_int_equal(table_scan_next(scan, &batch), OMEN_OK); /* the window it lies in, whole */
    assert_int_equal(((const int32_t *)batch.children[0]->buffers[1])[0],
                     ROW_GROUP_ROWS - 2 * BATCH_ROWS);
    assert_int_equal(batch.length, BATCH_ROWS);
    batch.release(&batch);
    assert_int_equal(table_scan_prune(scan, &late, 1, NULL), OMEN_OK);
    assert_int_equal(table_scan_next(scan, &batch), OMEN_OK); /* one vector of the last group */
    assert_int_equal(batch.length, VECTOR_ROWS);
    batch.release(&batch);
    assert_int_equal(table_scan_next(scan, &batch), OMEN_END_OF_DATA);
    struct scan_counters counters;
    table_scan_counters(scan, &counters);
    assert_int_equal(counters.groups_pruned, 2);
    table_scan_close(scan);
    assert_int_equal(table_scan_open(view, &spec, &scan, NULL), OMEN_OK);
    assert_int_equal(table_scan_prune(scan, &never, 1, NULL), OMEN_OK);
    assert_int_equal(table_scan_next(scan, &batch), OMEN_END_OF_DATA);
    table_scan_close(scan);
    table_view_release(view);
    model_close(&model);
}

static void test_r5_1_unfinished_tail_is_scanned(void **state)
{
    struct model model;
    model_open(&model, KEY_BIGINT);
    static const int32_t sizes[] = {1, 1022, 1, 1, 500, 1000, 7000};
    int32_t first = 0;
    for (size_t i = 0; i < 7; i++) {
        insert_many(&model, first, sizes[i]);
        first += sizes[i];
        struct table_view *view = view_now(&model);
        uint64_t snapshot = txn_published(model.manager);
        /* rows that come now are not in the view, though they are in the same vector */
        insert_many(&model, 100000 + (int32_t)i, 1);
        assert_int_equal(check_scan(&model, view, snapshot, NULL, 0, true), OMEN_OK);
        omen_value bound = {.type.id = OMEN_TYPE_INTEGER, .as.i32 = first - 1};
        omen_predicate last = {COLUMN_KID, OMEN_EQ, &bound, 1};
        assert_int_equal(check_scan(&model, view, snapshot, &last, 1, true), OMEN_OK);
        table_view_release(view);
    }
    model_close(&model);
}

static void test_zone_maps_prune(void **state)
{
    struct model model;
    model_open(&model, KEY_BIGINT);
    for (int32_t group = 0; group < 4; group++) {
        insert_many(&model, group * 20000, 20000);
        table_seal_open(model.table);
    }
    struct table_view *view = view_now(&model);
    omen_value bounds[2] = {{.type.id = OMEN_TYPE_INTEGER, .as.i32 = 30000},
                            {.type.id = OMEN_TYPE_INTEGER, .as.i32 = 30009}};
    omen_predicate between[2] = {{COLUMN_KID, OMEN_GE, &bounds[0], 1},
                                 {COLUMN_KID, OMEN_LE, &bounds[1], 1}};
    struct scan_spec spec = kid_spec(between, 2);
    struct totals totals = run_scan(view, &spec);
    assert_int_equal(totals.rows, 10);
    assert_int_equal(totals.sum, 300045);
    assert_int_equal(totals.counters.groups, 4);
    assert_int_equal(totals.counters.groups_pruned, 3);
    assert_int_equal(totals.counters.vectors, 20);
    assert_true(totals.counters.vectors_pruned >= 18);
    assert_false(totals.counters.by_index);
    table_view_release(view);
    model_close(&model);
}

/* Rows of many sparse windows come together in few batches. */
static void test_gathered_rows_are_coalesced(void **state)
{
    struct model model;
    model_open(&model, KEY_BIGINT);
    insert_many(&model, 0, 60000);
    struct test_txn txn;
    assert_int_equal(test_txn_begin(&model, &txn), OMEN_OK);
    for (int32_t kid = 0; kid < 60000; kid++)
        if (kid % 4 != 1)
            assert_int_equal(test_txn_delete(&txn, kid), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
    struct table_view *view = view_now(&model);
    struct scan_spec spec = kid_spec(NULL, 0);
    struct totals totals = run_scan(view, &spec);
    assert_int_equal(totals.rows, 15000);
    assert_int_equal(totals.batches, 2);
    spec.column_count = 0; /* COUNT(*) */
    assert_int_equal(run_scan(view, &spec).rows, 15000);
    static const uint64_t limits[] = {0, 1, 8191, 8192, 8193, 14999, 15000, 15001};
    for (size_t i = 0; i < 8; i++) {
        spec = kid_spec(NULL, 0);
        spec.limit = limits[i];
        assert_int_equal(run_scan(view, &spec).rows, limits[i] < 15000 ? limits[i] : 15000);
    }
    table_view_release(view);
    model_close(&model);
}

static void test_limits_on_whole_windows(void **state)
{
    struct model model;
    model_open(&model, KEY_BIGINT);
    insert_many(&model, 0, 20000);
    struct table_view *view = view_now(&model);
    static const uint64_t limits[] = {0, 1, 8192, 8193, 19999, 20000, 20001};
    for (size_t i = 0; i < 7; i++) {
        struct scan_spec spec = kid_spec(NULL, 0);
        spec.limit = limits[i];
        assert_int_equal(run_scan(view, &spec).rows, limits[i] < 20000 ? limits[i] : 20000);
    }
    table_view_release(view);
    model_close(&model);
}

static void test_partitions_are_disjoint_and_complete(void **state)
{
    struct model model;
    model_open(&model, KEY_BIGINT);
    for (int32_t group = 0; group < 7; group++) {
        insert_many(&model, group * 100, 100);
        table_seal_open(model.table);
    }
    struct table_view *view = view_now(&model);
    for (uint32_t partitions = 1; partitions <= 9; partitions++) {
        uint64_t rows = 0;
        int64_t sum = 0;
        for (uint32_t partition = 0; partition < partitions; partition++) {
            struct scan_spec spec = kid_spec(NULL, 0);
            spec.partition = partition;
            spec.partition_count = partitions;
            struct totals totals = run_scan(view, &spec);
            rows += totals.rows;
            sum += totals.sum;
        }
        assert_int_equal(rows, 700);
        assert_int_equal(sum, 700 * 699 / 2);
    }
    struct scan_spec spec = kid_spec(NULL, 0);
    spec.partition = spec.partition_count;
    struct scan *scan;
    omen_error error;
    assert_int_equal(table_scan_open(view, &spec, &scan, &error), OMEN_INVALID_ARGUMENT);
    table_view_release(view);
    model_close(&model);
}

/* id = 5 AND id = 6; IN with NULL and with a value twice; id = 5 AND another column. */
static void test_key_lookups(void **state)
{
    struct model model;
    model_open(&model, KEY_PAIR);
    insert_many(&model, 0, 2000);
    model_delete(&model, 7);
    model_update(&model, 8, 8);
    struct table_view *view = view_now(&model);
    struct test_row row5, row6, row7, row8;
    test_row_fill(&model, 5, 1, 1, &row5);
    test_row_fill(&model, 6, 1, 1, &row6);
    test_row_fill(&model, 7, 1, 1, &row7);
    test_row_fill(&model, 8, 1, 1, &row8);
    omen_value k1 = row5.values[COLUMN_K1]; /* of all four */
    omen_value list[] = {row5.values[COLUMN_K2], row6.values[COLUMN_K2],
                         row7.values[COLUMN_K2], row8.values[COLUMN_K2],
                         row5.values[COLUMN_K2], {.type.id = OMEN_TYPE_INTEGER, .is_null = true}};
    omen_predicate in[] = {{COLUMN_K1, OMEN_EQ, &k1, 1}, {COLUMN_K2, OMEN_IN, list, 6}};
    struct scan_spec spec = kid_spec(in, 2);
    struct totals totals = run_scan(view, &spec);
    assert_true(totals.counters.by_index);
    assert_int_equal(totals.rows, 3);
    assert_int_equal(totals.sum, 5 + 6 + 8);
    spec.key_lookup = false;
    totals = run_scan(view, &spec);
    assert_false(totals.counters.by_index);
    assert_int_equal(totals.sum, 5 + 6 + 8);

    omen_predicate both[] = {{COLUMN_K1, OMEN_EQ, &k1, 1},
                             {COLUMN_K2, OMEN_EQ, &list[0], 1},
                             {COLUMN_K2, OMEN_EQ, &list[1], 1}};
    spec = kid_spec(both, 3);
    assert_int_equal(run_scan(view, &spec).rows, 0);
    omen_value six = {.type.id = OMEN_TYPE_INTEGER, .as.i32 = 6};
    omen_predicate other[] = {{COLUMN_K1, OMEN_EQ, &k1, 1},
                              {COLUMN_K2, OMEN_EQ, &list[0], 1},
                              {COLUMN_KID, OMEN_EQ, &six, 1}};
    spec = kid_spec(other, 3);
    assert_int_equal(run_scan(view, &spec).rows, 0);
    omen_predicate null[] = {{COLUMN_K1, OMEN_EQ, &k1, 1}, {COLUMN_K2, OMEN_EQ, &list[5], 1}};
    spec = kid_spec(null, 2);
    assert_int_equal(run_scan(view, &spec).rows, 0);
    /* only half of the key, or another operator: not fixed */
    assert_false(table_predicates_fix_key(model.schema, in, 1));
    in[1].op = OMEN_GT;
    in[1].value_count = 1;
    assert_false(table_predicates_fix_key(model.schema, in, 2));
    /* the first share answers, and the limit holds */
    omen_predicate again[] = {{COLUMN_K1, OMEN_EQ, &k1, 1}, {COLUMN_K2, OMEN_IN, list, 6}};
    spec = kid_spec(again, 2);
    spec.limit = 2;
    assert_int_equal(run_scan(view, &spec).rows, 2);
    spec = kid_spec(again, 2);
    spec.partition_count = 3;
    uint64_t rows = 0;
    for (spec.partition = 0; spec.partition < 3; spec.partition++)
        rows += run_scan(view, &spec).rows;
    assert_int_equal(rows, 3);
    struct table_stats stats;
    table_stats_of(model.table, &stats);
    assert_true(stats.index_scans >= 5 && stats.scans >= 1);
    table_view_release(view);
    model_close(&model);
}

/* More combinations than are looked up: an ordinary scan with the same answer. */
static void test_long_in_lists(void **state)
{
    struct model model;
    model_open(&model, KEY_BIGINT);
    insert_many(&model, 0, 3000);
    struct table_view *view = view_now(&model);
    static omen_value list[2000];
    for (int32_t i = 0; i < 2000; i++) {
        struct test_row row;
        test_row_fill(&model, i * 2, 1, 1, &row);
        list[i] = row.values[COLUMN_K1];
    }
    for (size_t count = 1000; count <= 2000; count += 1000) {
        omen_predicate in = {COLUMN_K1, OMEN_IN, list, count};
        struct scan_spec spec = kid_spec(&in, 1);
        struct totals totals = run_scan(view, &spec);
        assert_int_equal(totals.counters.by_index, count == 1000);
        assert_int_equal(totals.rows, count == 1000 ? 1000 : 1500);
    }
    table_view_release(view);
    model_close(&model);
}

static void test_bad_specs(void **state)
{
    struct model model;
    model_open(&model, KEY_BIGINT);
    insert_many(&model, 0, 3);
    struct table_view *view = view_now(&model);
    struct scan *scan;
    omen_error error;
    uint32_t bad_column = COLUMN_COUNT;
    struct scan_spec spec = kid_spec(NULL, 0);
    spec.columns = &bad_column;
    assert_int_equal(table_scan_open(view, &spec, &scan, &error), OMEN_INVALID_ARGUMENT);
    assert_null(scan);
    omen_value text = {.type.id = OMEN_TYPE_TEXT, .as.bytes = {(const uint8_t *)"5", 1}};
    omen_predicate mismatched = {COLUMN_K1, OMEN_EQ, &text, 1};
    spec = kid_spec(&mismatched, 1);
    assert_int_equal(table_scan_open(view, &spec, &scan, &error), OMEN_TYPE_MISMATCH);
    table_view_release(view);
    model_close(&model);
}

static void test_projection_may_repeat_and_show_the_hidden_key(void **state)
{
    struct model model;
    model_open(&model, KEY_HIDDEN);
    insert_many(&model, 0, 5);
    struct table_view *view = view_now(&model);
    const uint32_t columns[] = {COLUMN_KID, COLUMN_COUNT, COLUMN_KID};
    struct scan_spec spec = kid_spec(NULL, 0);
    spec.columns = columns;
    spec.column_count = 3;
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    struct ArrowArray batch;
    assert_int_equal(table_scan_stream(view, &spec, &stream, NULL), OMEN_OK);
    assert_int_equal(stream.get_schema(&stream, &schema), 0);
    assert_int_equal(schema.n_children, 3);
    assert_string_equal(schema.children[0]->name, "kid");
    assert_string_equal(schema.children[2]->name, "kid");
    assert_int_equal(stream.get_next(&stream, &batch), 0);
    assert_int_equal(batch.length, 5);
    for (int64_t i = 0; i < 5; i++)
        assert_int_equal(((const int64_t *)batch.children[1]->buffers[1])[i],
                         ((const int32_t *)batch.children[2]->buffers[1])[i]);
    batch.release(&batch);
    schema.release(&schema);
    stream.release(&stream);
    table_view_release(view);
    model_close(&model);
}

/* --- lifetimes --- */

static void *release_batch_main(void *argument)
{
    struct ArrowArray *batch = argument;
    batch->release(batch);
    return NULL;
}

static void *release_stream_main(void *argument)
{
    struct ArrowArrayStream *stream = argument;
    stream->release(stream);
    return NULL;
}

/* Batches outlive their stream, streams their view and the caller's table; any thread releases. */
static void test_r5_5_what_is_handed_out_lives_by_itself(void **state)
{
    struct model model;
    model_open(&model, KEY_TEXT);
    insert_many(&model, 0, 9000);
    struct table_view *view = view_now(&model);
    uint32_t columns[COLUMN_COUNT];
    all_columns(columns);
    struct scan_spec spec = kid_spec(NULL, 0);
    spec.columns = columns;
    spec.column_count = COLUMN_COUNT;
    struct ArrowArrayStream streams[2];
    struct ArrowArray batch, rest;
    assert_int_equal(table_scan_stream(view, &spec, &streams[0], NULL), OMEN_OK);
    assert_int_equal(table_scan_stream(view, &spec, &streams[1], NULL), OMEN_OK);
    table_view_release(view);
    assert_int_equal(streams[0].get_next(&streams[0], &batch), 0);
    table_release(model.table); /* the streams keep it */
    assert_int_equal(streams[1].get_next(&streams[1], &rest), 0);
    pthread_t threads[4];
    pthread_create(&threads[0], NULL, release_stream_main, &streams[0]);
    pthread_create(&threads[1], NULL, release_stream_main, &streams[1]);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_null(streams[0].release);
    int64_t sum = 0; /* the table is gone, the batch is not */
    for (int64_t i = 0; i < batch.length; i++)
        sum += ((const int32_t *)batch.children[COLUMN_KID]->buffers[1])[i];
    assert_int_equal(sum, INT64_C(8192) * 8191 / 2);
    pthread_create(&threads[2], NULL, release_batch_main, &batch);
    pthread_create(&threads[3], NULL, release_batch_main, &rest);
    for (int i = 2; i < 4; i++)
        pthread_join(threads[i], NULL);
    model.table = NULL;
    model_close(&model);
}

static void test_one_row_as_a_batch(void **state)
{
    struct model model;
    struct test_row row;
    struct row_ref found;
    struct arena scratch;
    struct ArrowArray batch;
    omen_value key[2], value;
    model_open(&model, KEY_MIXED);
    insert_many(&model, 0, 20);
    arena_init(&scratch, &model.allocator);
    test_key_fill(&model, 11, &row, key);
    struct read_view view = {.snapshot = txn_published(model.manager)};
    assert_int_equal(table_get(model.table, &view, key, &scratch, &found), OMEN_OK);
    uint32_t columns[COLUMN_COUNT];
    all_columns(columns);
    assert_int_equal(table_row_arrow(model.table, &found, columns, COLUMN_COUNT, &batch), OMEN_OK);
    assert_int_equal(batch.length, 1);
    for (uint32_t column = 0; column < COLUMN_COUNT; column++) {
        omen_value own;
        row_group_read(found.group, found.slot, column, &own);
        arrow_read(&model.schema->columns[column].type, batch.children[column], 0, &value);
        assert_true(value_equal(&own, &value));
    }
    batch.release(&batch);
    row_ref_release(&found);
    arena_release(&scratch);
    model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r5_7_unchanged_windows_are_not_copied),
        cmocka_unit_test(test_row_ids),
        cmocka_unit_test(test_r11_2_exact_statistics),
        cmocka_unit_test(test_r11_4_pruning_while_reading),
        cmocka_unit_test(test_r5_1_unfinished_tail_is_scanned),
        cmocka_unit_test(test_zone_maps_prune),
        cmocka_unit_test(test_gathered_rows_are_coalesced),
        cmocka_unit_test(test_limits_on_whole_windows),
        cmocka_unit_test(test_partitions_are_disjoint_and_complete),
        cmocka_unit_test(test_key_lookups),
        cmocka_unit_test(test_long_in_lists),
        cmocka_unit_test(test_bad_specs),
        cmocka_unit_test(test_projection_may_repeat_and_show_the_hidden_key),
        cmocka_unit_test(test_r5_5_what_is_handed_out_lives_by_itself),
        cmocka_unit_test(test_one_row_as_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
