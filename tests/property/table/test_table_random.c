/* Random operations on a table against a model that keeps all versions.
 *
 * Each key kind gets a run: transactions of inserts (row by row and by Arrow batch), updates (of
 * the key too) and deletes, duplicates among them; snapshots, views and half-read streams held
 * across any number of later steps; maintenance in small steps; groups closed early, so that
 * freezing and compaction happen at small sizes. After each step the validator runs. Every commit goes
 * to a log, and what the log says makes the same rows at every commit of it.
 *
 * OMEN_SEED=n replays a run, OMEN_STEPS=n sets its length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "support_replay.h"

enum { KIDS = 150, READERS = 4 };

struct reader {
    bool open;
    struct snapshot snapshot;
    struct table_view *view;
    struct ArrowArrayStream stream; /* opened with the view, read when it is closed */
    bool streaming;
};

struct run {
    struct model model;
    struct fake_log log;
    struct random random;
    struct reader readers[READERS];
    struct maintain_report report;
    uint64_t duplicates, commits;
};

static uint64_t seed;

static int32_t random_kid(struct run *run)
{
    uint64_t bound = run->model.kind == KEY_HIDDEN ? (uint64_t)model_hidden_next(&run->model)
                                                   : KIDS;
    return (int32_t)random_below(&run->random, bound);
}

static void add_change(struct run *run, struct test_txn *txn)
{
    struct random *random = &run->random;
    int32_t kid = random_kid(run);
    bool hidden = run->model.kind == KEY_HIDDEN;
    omen_status status;
    switch (random_below(random, 8)) {
    case 0:
    case 1: /* mostly keys that are free, sometimes any */
        if (model_live(&run->model, kid) != NULL && random_below(random, 40) != 0 && !hidden)
            return;
        status = test_txn_insert(txn, kid);
        break;
    case 2:
    case 3:
    case 4: {
        int32_t new_kid = hidden || random_below(random, 4) != 0 ? kid : random_kid(run);
        if (new_kid != kid && model_live(&run->model, new_kid) != NULL &&
            random_below(random, 10) != 0)
            return;
        status = test_txn_update(txn, kid, new_kid, (int)random_below(random, 3));
        break;
    }
    case 5:
    case 6: status = test_txn_delete(txn, kid); break;
    default: { /* delete and insert again */
        status = test_txn_delete(txn, kid);
        if (status == OMEN_OK && random_below(random, 2) == 0)
            status = test_txn_insert(txn, kid);
        break;
    }
    }
    assert_true(status == OMEN_OK || status == OMEN_NOT_FOUND);
}

static void step_transaction(struct run *run)
{
    struct test_txn txn;
    assert_int_equal(test_txn_begin(&run->model, &txn), OMEN_OK);
    uint64_t changes = 1 + random_below(&run->random, 10);
    for (uint64_t i = 0; i < changes; i++)
        add_change(run, &txn);
    if (random_below(&run->random, 10) == 0) {
        test_txn_rollback(&txn);
        return;
    }
    omen_status status = test_txn_commit(&txn, NULL);
    run->duplicates += status == OMEN_DUPLICATE_KEY;
    run->commits += status == OMEN_OK;
}

static void step_batch(struct run *run)
{
    int32_t kids[KIDS];
    uint32_t count = 0;
    uint32_t wanted = 1 + (uint32_t)random_below(&run->random, 80);
    int32_t start = random_kid(run);
    for (int32_t i = 0; i < KIDS && count < wanted; i++) {
        int32_t kid = (start + i) % KIDS;
        if (model_live(&run->model, kid) == NULL || random_below(&run->random, 300) == 0)
            kids[count++] = kid;
    }
    if (count == 0)
        return;
    struct test_txn txn;
    assert_int_equal(test_txn_begin(&run->model, &txn), OMEN_OK);
    assert_int_equal(test_txn_insert_arrow(&txn, kids, count), OMEN_OK);
    if (random_below(&run->random, 3) == 0)
        assert_int_equal(test_txn_insert_arrow(&txn, kids, 1), OMEN_OK);
    omen_status status = test_txn_commit(&txn, NULL);
    run->duplicates += status == OMEN_DUPLICATE_KEY;
    run->commits += status == OMEN_OK;
}

static void reader_close(struct run *run, struct reader *reader)
{
    if (!reader->open)
        return;
    uint64_t timestamp = reader->snapshot.timestamp;
    for (int i = 0; i < 10; i++)
        assert_int_equal(check_point(&run->model, &reader->snapshot, random_kid(run)), OMEN_OK);
    snapshot_release(&reader->snapshot); /* the view has a registration of its own */
    if (reader->streaming)
        assert_int_equal(check_stream(&run->model, &reader->stream, timestamp, NULL, 0),
                         OMEN_OK);
    assert_int_equal(check_scan(&run->model, reader->view, timestamp, NULL, 0, true), OMEN_OK);
    table_view_release(reader->view);
    *reader = (struct reader){0};
}

static void step_reader(struct run *run)
{
    struct reader *reader = &run->readers[random_below(&run->random, READERS)];
    if (reader->open) {
        reader_close(run, reader);
        return;
    }
    struct model *model = &run->model;
    reader->open = true;
    assert_int_equal(snapshot_acquire(model->manager, &reader->snapshot), OMEN_OK);
    assert_int_equal(table_view_open(model->table, &reader->snapshot, &reader->view), OMEN_OK);
    reader->streaming = random_below(&run->random, 2) == 0;
    if (!reader->streaming)
        return;
    uint32_t columns[COLUMN_COUNT];
    all_columns(columns);
    struct scan_spec spec = {.columns = columns,
                             .column_count = COLUMN_COUNT,
                             .limit = UINT64_MAX,
                             .partition_count = 1,
                             .key_lookup = true};
    assert_int_equal(table_scan_stream(reader->view, &spec, &reader->stream, NULL), OMEN_OK);
}

/* A scan with random predicates at a held snapshot, by every way that can answer it. */
static void step_filtered_scan(struct run *run)
{
    struct model *model = &run->model;
    struct reader *reader = &run->readers[random_below(&run->random, READERS)];
    struct snapshot snapshot;
    struct table_view *view;
    bool held = reader->open && random_below(&run->random, 2) == 0;
    if (held) {
        snapshot = reader->snapshot;
        if (random_below(&run->random, 2) == 0)
            view = table_view_retain(reader->view);
        else /* a new view of an old snapshot */
            assert_int_equal(table_view_open(model->table, &snapshot, &view), OMEN_OK);
    } else {
        assert_int_equal(snapshot_acquire(model->manager, &snapshot), OMEN_OK);
        assert_int_equal(table_view_open(model->table, &snapshot, &view), OMEN_OK);
    }
    static struct test_row rows[6];
    omen_value in_values[6];
    omen_predicate predicates[4];
    size_t count = 0;
    uint64_t shape = random_below(&run->random, 4);
    if (shape < 2 && model->kind != KEY_HIDDEN) { /* the key, by = or IN */
        uint32_t parts = model->kind == KEY_PAIR || model->kind == KEY_MIXED ? 2 : 1;
        size_t listed = shape == 0 ? 1 : 6;
        for (size_t i = 0; i < listed; i++)
            test_row_fill(model, random_kid(run), 1, 1, &rows[i]);
        if (listed == 6)
            rows[5] = rows[0];
        for (size_t i = 0; i < listed; i++)
            in_values[i] = rows[i].values[COLUMN_K1];
        if (listed == 6)
            in_values[4].is_null = true;
        predicates[count++] = (omen_predicate){
            COLUMN_K1, shape == 0 ? OMEN_EQ : OMEN_IN, in_values, listed};
        if (parts == 2)
            predicates[count++] =
                (omen_predicate){COLUMN_K2, OMEN_EQ, &rows[0].values[COLUMN_K2], 1};
        assert_true(table_predicates_fix_key(model->schema, predicates, count));
    }
    static struct test_row bound;
    test_row_fill(model, random_kid(run), 1 + (int64_t)random_below(&run->random, 500),
                  1 + (int64_t)random_below(&run->random, 500), &bound);
    uint64_t more = random_below(&run->random, 3);
    for (uint64_t i = 0; i < more; i++) {
        uint32_t column = (uint32_t)random_below(&run->random, COLUMN_COUNT);
        bool null = bound.values[column].is_null;
        omen_compare_op op = null ? (random_below(&run->random, 2) ? OMEN_IS_NULL
                                                                   : OMEN_IS_NOT_NULL)
                                  : (omen_compare_op)(OMEN_EQ + random_below(&run->random, 6));
        predicates[count++] =
            (omen_predicate){column, op, &bound.values[column], null ? 0 : 1};
    }
    assert_int_equal(check_scan(model, view, snapshot.timestamp, predicates, count, true),
                     OMEN_OK);
    assert_int_equal(check_scan(model, view, snapshot.timestamp, predicates, count, false),
                     OMEN_OK);
    table_view_release(view);
    if (!held)
        snapshot_release(&snapshot);
}

static void step(struct run *run)
{
    struct model *model = &run->model;
    switch (random_below(&run->random, 12)) {
    case 0:
    case 1:
    case 2:
    case 3: step_transaction(run); break;
    case 4: step_batch(run); break;
    case 5:
    case 6: step_reader(run); break;
    case 7: step_filtered_scan(run); break;
    case 8:
        table_seal_open(model->table);
        if (random_below(&run->random, 2) == 0) /* alone, it is frozen rather than merged */
            assert_int_equal(table_maintain(model->table, 1000000, &run->report), OMEN_OK);
        break;
    case 9:
    case 10: {
        static const uint64_t budgets[] = {0, 1, 3, 20, 100, 1000000};
        assert_int_equal(
            table_maintain(model->table, budgets[random_below(&run->random, 6)], &run->report),
            OMEN_OK);
        break;
    }
    default: {
        struct snapshot snapshot;
        assert_int_equal(snapshot_acquire(model->manager, &snapshot), OMEN_OK);
        for (int i = 0; i < 5; i++)
            assert_int_equal(check_point(model, &snapshot, random_kid(run)), OMEN_OK);
        snapshot_release(&snapshot);
    }
    }
    check_valid(model);
}

static void run_kind(enum key_kind kind)
{
    const char *steps_text = getenv("OMEN_STEPS");
    long steps = steps_text != NULL ? atol(steps_text) : 1000;
    static struct run run;
    memset(&run, 0, sizeof run);
    run.random = random_seeded(seed + (uint64_t)kind);
    model_open(&run.model, kind);
    table_set_id(run.model.table, TEST_TABLE_ID);
    fake_log_open(&run.log, run.model.manager);
    for (long i = 0; i < steps; i++) {
        step(&run);
        if (i % 100 == 50)
            check_replay(&run.model, &run.log, random_below(&run.random, run.log.commits + 1),
                         KIDS, &run.random);
    }
    for (int i = 0; i < READERS; i++)
        reader_close(&run, &run.readers[i]);
    maintain_fully(&run.model, &run.report);
    check_all(&run.model, KIDS);
    check_replay(&run.model, &run.log, run.log.commits, KIDS, &run.random);
    fake_log_close(&run.log);
    printf("kind %d: %llu commits, %llu duplicates, %llu frozen, %llu compacted, %llu dropped, "
           "%llu erased, %llu repointed\n",
           (int)kind, (unsigned long long)run.commits, (unsigned long long)run.duplicates,
           (unsigned long long)run.report.groups_frozen,
           (unsigned long long)run.report.groups_compacted,
           (unsigned long long)run.report.groups_dropped,
           (unsigned long long)run.report.entries_erased,
           (unsigned long long)run.report.entries_repointed);
    if (steps >= 1000) { /* the run must have met what it is for */
        assert_true(run.report.groups_compacted > 0 && run.report.groups_dropped > 0);
        assert_true(run.report.entries_repointed > 0 && run.report.entries_erased > 0);
        assert_true(kind == KEY_HIDDEN || run.duplicates > 0);
    }
    model_close(&run.model);
}

#define KIND_TEST(name, kind)          \
    static void test_##name(void **state) \
    {                                  \
        run_kind(kind);                \
    }
KIND_TEST(bigint_key, KEY_BIGINT)
KIND_TEST(text_key, KEY_TEXT)
KIND_TEST(pair_key, KEY_PAIR)
KIND_TEST(mixed_key, KEY_MIXED)
KIND_TEST(double_key, KEY_DOUBLE)
KIND_TEST(decimal_key, KEY_DECIMAL)
KIND_TEST(uuid_key, KEY_UUID)
KIND_TEST(hidden_key, KEY_HIDDEN)

int main(void)
{
    const char *seed_text = getenv("OMEN_SEED");
    seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : (uint64_t)time(NULL);
    printf("OMEN_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bigint_key), cmocka_unit_test(test_text_key),
        cmocka_unit_test(test_pair_key),   cmocka_unit_test(test_mixed_key),
        cmocka_unit_test(test_double_key), cmocka_unit_test(test_decimal_key),
        cmocka_unit_test(test_uuid_key),   cmocka_unit_test(test_hidden_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
