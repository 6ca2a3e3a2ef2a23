/* Threads that sleep until a word changes: a change before they sleep, one while they do, and no end
 * of them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/wait_word.h"

enum { TURNS = 20000, SLEEPERS = 8, ROUNDS = 500, MOMENT_NS = 1000 };

static void test_a_word_that_differs_is_not_waited_for(void **state)
{
    _Atomic uint32_t word = 7;
    word_wait(&word, 6, WAIT_FOREVER);
    word_wake_one(&word);
    word_wake_all(&word);
}

static void test_waiting_ends_after_the_time_given(void **state)
{
    _Atomic uint32_t word = 7;
    word_wait(&word, 7, MOMENT_NS);
    assert_int_equal(word, 7);
}

static void await(_Atomic uint32_t *word, uint32_t value)
{
    uint32_t seen;
    while ((seen = atomic_load(word)) < value)
        word_wait(word, seen, WAIT_FOREVER);
}

/* Even values are one's turn, odd ones the other's. */
static void *answer(void *argument)
{
    _Atomic uint32_t *word = argument;
    for (uint32_t turn = 1; turn < TURNS; turn += 2) {
        await(word, turn);
        atomic_store(word, turn + 1);
        word_wake_one(word);
    }
    return NULL;
}

static void test_two_in_turns_miss_no_change(void **state)
{
    _Atomic uint32_t word = 0;
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, answer, (void *)&word), 0);
    for (uint32_t turn = 0; turn < TURNS; turn += 2) {
        await(&word, turn);
        atomic_store(&word, turn + 1);
        word_wake_one(&word);
    }
    await(&word, TURNS);
    pthread_join(other, NULL);
}

struct crowd {
    _Atomic uint32_t round, arrived;
};

static void *stand_in_crowd(void *argument)
{
    struct crowd *crowd = argument;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        atomic_fetch_add(&crowd->arrived, 1);
        word_wake_one(&crowd->arrived);
        await(&crowd->round, round);
    }
    return NULL;
}

static void test_all_are_woken_at_once(void **state)
{
    struct crowd crowd = {0};
    pthread_t threads[SLEEPERS];
    for (int i = 0; i < SLEEPERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, stand_in_crowd, &crowd), 0);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        await(&crowd.arrived, SLEEPERS * round);
        atomic_store(&crowd.round, round);
        word_wake_all(&crowd.round);
    }
    for (int i = 0; i < SLEEPERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(crowd.arrived, SLEEPERS * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_word_that_differs_is_not_waited_for),
        cmocka_unit_test(test_waiting_ends_after_the_time_given),
        cmocka_unit_test(test_two_in_turns_miss_no_change),
        cmocka_unit_test(test_all_are_woken_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
