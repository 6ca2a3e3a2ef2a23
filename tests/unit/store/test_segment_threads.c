/* test_segment_threads.c - threads that touch the columns of an opened group at the same moment. */
#include "segment_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_that_touch_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
