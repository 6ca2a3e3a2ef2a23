/* test_segment_threads.c - threads that touch the columns of an opened group at the same moment, or
 * while they are let go. */
#include "segment_fixture.h"

#include "table/table_adopt.h"
#include "table/table_private.h"

enum { KIDS = 1500 };

struct toucher {
    const struct row_group *group;
    uint32_t first;
    int failures;
};

static void *touch(void *argument)
{
    struct toucher *toucher = argument;
    for (uint32_t i = 0; i < COLUMN_COUNT; i++) {
        uint32_t column = (toucher->first + i) % COLUMN_COUNT;
        if (row_group_ensure(toucher->group, &column, 1, NULL) != OMEN_OK)
            toucher->failures++;
        omen_value value;
        for (uint32_t slot = 0; slot < row_group_row_count(toucher->group); slot += 97)
            row_group_read(toucher->group, slot, column, &value);
        struct zone zone;
        row_group_zone(toucher->group, -1, column, &zone);
        row_group_zone(toucher->group, 0, column, &zone);
    }
    return NULL;
}

static void test_threads_that_touch_first(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_make(&fixture, KEY_TEXT);
    fixture_churn(&fixture, KIDS, 1);
    fixture_churn(&fixture, KIDS, 2);
    for (int round = 0; round < 5; round++) {
        fixture_reopen(&fixture);
        struct thread threads[4];
        struct toucher touchers[4];
        for (uint32_t i = 0; i < 4; i++) {
            touchers[i] = (struct toucher){fixture.model.table->first->group, i * 5, 0};
            assert_true(thread_start(&threads[i], touch, &touchers[i]));
        }
        for (uint32_t i = 0; i < 4; i++) {
            thread_join(&threads[i]);
            assert_int_equal(touchers[i].failures, 0);
        }
        assert_int_equal(row_group_absent_count(fixture.model.table->first->group), 0);
        check_all(&fixture.model, 100);
    }
    fixture_destroy(&fixture);
}

/* --- readers beside who lets go --- */

enum { STEADY = 200, ROUNDS = 60 }; /* kids from here on are never changed */

struct reading {
    struct model *model;
    atomic_bool *stop;
    uint32_t seed;
    int failures, reads;
};

static int read_point(struct model *model, const struct snapshot *snapshot, int32_t kid)
{
    struct test_row row;
    omen_value key[2], got;
    struct arena scratch;
    struct row_ref found;
    struct read_view view = {.snapshot = snapshot->timestamp};
    uint32_t column = COLUMN_KID;
    test_key_fill(model, kid, &row, key);
    arena_init(&scratch, &model->allocator);
    omen_status status = table_get(model->table, &view, key, &scratch, &found);
    arena_release(&scratch);
    if (status == OMEN_OK)
        status = row_group_ensure(found.group, &column, 1, NULL);
    if (status != OMEN_OK)
        return 1;
    row_group_read(found.group, found.slot, column, &got);
    row_ref_release(&found);
    return got.as.i32 != kid;
}

static int read_scan(struct model *model, const struct snapshot *snapshot)
{
    struct table_view *view;
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    uint32_t columns[] = {COLUMN_KID, COLUMN_FIRST_TYPE + 9};
    struct scan_spec spec = {
        .columns = columns, .column_count = 2, .limit = UINT64_MAX, .partition_count = 1};
    int64_t rows = 0;
    int code;
    if (table_view_open(model->table, snapshot, &view) != OMEN_OK)
        return 1;
    omen_status status = table_scan_stream(view, &spec, &stream, NULL);
    table_view_release(view);
    if (status != OMEN_OK)
        return 1;
    while ((code = stream.get_next(&stream, &batch)) == 0 && batch.release != NULL) {
        rows += batch.length;
        batch.release(&batch);
    }
    stream.release(&stream);
    return code != 0 || rows != KIDS;
}

static void *read_on(void *argument)
{
    struct reading *reading = argument;
    struct snapshot snapshot;
    while (!atomic_load(reading->stop)) {
        if (snapshot_acquire(reading->model->manager, &snapshot) != OMEN_OK)
            reading->failures++;
        reading->seed = reading->seed * 1103515245 + 12345;
        int32_t kid = STEADY + (int32_t)(reading->seed >> 8) % (KIDS - STEADY);
        reading->failures += reading->reads % 20 == 19
                                 ? read_scan(reading->model, &snapshot)
                                 : read_point(reading->model, &snapshot, kid);
        reading->reads++;
        snapshot_release(&snapshot);
    }
    return NULL;
}

static void test_readers_beside_who_lets_go(void **state)
{
    (void)state;
    struct fixture fixture;
    struct thread threads[3];
    struct reading readings[3];
    atomic_bool stop = false;
    uint64_t freed, total = 0;
    fixture_make(&fixture, KEY_BIGINT);
    for (int32_t kid = 0; kid < KIDS; kid += KIDS / 3) {
        model_insert(&fixture.model, kid, KIDS / 3);
        table_seal_open(fixture.model.table);
    }
    fixture_reopen(&fixture);
    for (uint32_t i = 0; i < 3; i++) {
        readings[i] = (struct reading){.model = &fixture.model, .stop = &stop, .seed = i};
        assert_true(thread_start(&threads[i], read_on, &readings[i]));
    }
    for (int round = 0; round < ROUNDS || total == 0; round++) {
        fixture.cache_bytes = round % 4 < 2 ? UINT64_MAX : 0; /* scans pass by, every other time */
        assert_int_equal(table_unload(fixture.model.table, UINT64_MAX, 2, &freed), OMEN_OK);
        total += freed;
        model_update(&fixture.model, round % STEADY, round % STEADY);
    }
    stop = true;
    for (uint32_t i = 0; i < 3; i++) {
        thread_join(&threads[i]);
        assert_int_equal(readings[i].failures, 0);
    }
    check_all(&fixture.model, KIDS);
    fixture_destroy(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_that_touch_first),
        cmocka_unit_test(test_readers_beside_who_lets_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
