/* The fibres alone: that they are stopped, that locks hold, that time passes, that a seed repeats a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fibres.h"
#include "os/os.h"
#include "os/thread.h"
#include "os/wait_word.h"

enum { THREADS = 5, ROUNDS = 200, SHARE = 64 };

static struct {
    struct mutex lock;
    struct condition changed;
    struct rwlock shared_lock;
    _Atomic uint32_t word;
    unsigned unguarded, guarded, turn, readers, readers_max;
    char order[THREADS * ROUNDS + 1];
    size_t length;
} world;

static _Thread_local unsigned own = 7;

/* Two steps that another may come between. */
static void add_slowly(unsigned *sum)
{
    unsigned seen = *sum;
    struct mutex some;
    mutex_init(&some); /* where a fibre may be stopped */
    mutex_lock(&some);
    mutex_unlock(&some);
    mutex_destroy(&some);
    *sum = seen + 1;
}

static void *count(void *argument)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        add_slowly(&world.unguarded);
        mutex_lock(&world.lock);
        add_slowly(&world.guarded);
        mutex_unlock(&world.lock);
        own++;
        world.order[world.length++] = *(const char *)argument;
    }
    assert_int_equal(own, 7 + ROUNDS);
    return argument;
}

static void run_threads(void *(*function)(void *))
{
    static const char names[THREADS + 1] = "abcde";
    struct thread threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_true(thread_start(&threads[i], function, (void *)(uintptr_t)&names[i]));
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
}

static void play_counting(void *context)
{
    memset(&world, 0, sizeof world);
    mutex_init(&world.lock);
    run_threads(count);
    mutex_destroy(&world.lock);
}

static void test_locks_hold_and_a_seed_repeats(void **state)
{
    struct fibres_report report = {0};
    char first[sizeof world.order];
    fibres_run(1, play_counting, NULL, &report);
    assert_int_equal(world.guarded, THREADS * ROUNDS);
    assert_true(world.unguarded < THREADS * ROUNDS); /* so they were stopped in between */
    assert_true(report.switches > THREADS && report.waits > 0);
    assert_int_equal(own, 7); /* this thread's is another */
    memcpy(first, world.order, sizeof first);
    fibres_run(1, play_counting, NULL, &report);
    assert_memory_equal(first, world.order, sizeof first);
    fibres_run(2, play_counting, NULL, &report);
    assert_memory_not_equal(first, world.order, sizeof first);
}

/* Nobody comes between while it hurries, but where it waits. */
static void *count_hurrying(void *argument)
{
    if (*(const char *)argument != 'a')
        return count(argument);
    fibre_hurry();
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t length = world.length;
        unsigned before = world.unguarded;
        add_slowly(&world.unguarded);
        assert_int_equal(world.unguarded, before + 1);
        assert_int_equal(world.length, length);
    }
    mutex_lock(&world.lock);
    fibre_sleep(1);
    mutex_unlock(&world.lock);
    return argument;
}

static void play_hurrying(void *context)
{
    memset(&world, 0, sizeof world);
    mutex_init(&world.lock);
    run_threads(count_hurrying);
    mutex_destroy(&world.lock);
}

static void test_who_hurries_is_not_stopped(void **state)
{
    struct fibres_report report = {0};
    for (uint64_t seed = 1; seed <= 20; seed++)
        fibres_run(seed, play_hurrying, NULL, &report);
}

/* Each waits for its turn. */
static void *take_turns(void *argument)
{
    unsigned number = (unsigned)(*(const char *)argument - 'a');
    for (unsigned i = 0; i < ROUNDS; i++) {
        mutex_lock(&world.lock);
        while (world.turn % THREADS != number)
            condition_wait(&world.changed, &world.lock);
        world.turn++;
        condition_wake_all(&world.changed);
        mutex_unlock(&world.lock);
    }
    return NULL;
}

static void play_turns(void *context)
{
    memset(&world, 0, sizeof world);
    mutex_init(&world.lock);
    condition_init(&world.changed);
    run_threads(take_turns);
    assert_int_equal(world.turn, THREADS * ROUNDS);
    /* Nobody wakes it: time does. */
    uint64_t start = os_real.monotonic_ns(&os_real);
    mutex_lock(&world.lock);
    while (os_real.monotonic_ns(&os_real) - start < UINT64_C(60000000000))
        condition_wait_ms(&world.changed, &world.lock, 60000);
    mutex_unlock(&world.lock);
    world.word = 1;
    word_wait(&world.word, 1, 1000);
    word_wait(&world.word, 2, WAIT_FOREVER);
}

static void test_conditions_words_and_time(void **state)
{
    struct fibres_report report = {0};
    for (uint64_t seed = 1; seed < 20; seed++)
        fibres_run(seed, play_turns, NULL, &report);
    assert_true(report.simulated_ns > UINT64_C(19) * 60000000000);
}

static void *share(void *argument)
{
    for (unsigned i = 0; i < SHARE; i++) {
        rwlock_read_lock(&world.shared_lock);
        unsigned seen = world.guarded;
        world.readers++;
        world.readers_max = world.readers > world.readers_max ? world.readers : world.readers_max;
        add_slowly(&world.unguarded);
        assert_int_equal(world.guarded, seen);
        world.readers--;
        rwlock_read_unlock(&world.shared_lock);
        rwlock_write_lock(&world.shared_lock);
        assert_int_equal(world.readers, 0);
        add_slowly(&world.guarded);
        rwlock_write_unlock(&world.shared_lock);
    }
    return NULL;
}

static void play_sharing(void *context)
{
    memset(&world, 0, sizeof world);
    rwlock_init(&world.shared_lock);
    run_threads(share);
    assert_int_equal(world.guarded, THREADS * SHARE);
    rwlock_destroy(&world.shared_lock);
}

static void test_readers_and_writers(void **state)
{
    struct fibres_report report = {0};
    unsigned most = 0;
    for (uint64_t seed = 1; seed < 20; seed++) {
        fibres_run(seed, play_sharing, NULL, &report);
        most = world.readers_max > most ? world.readers_max : most;
    }
    assert_true(most > 1);
}

/* Each look takes as long as it says, unless a patient run has it woken before. */
static void *poll_word(void *argument)
{
    uint64_t start = os_real.monotonic_ns(&os_real);
    while (world.word == 0)
        word_wait(&world.word, 0, 10 * 1000 * 1000);
    world.turn += os_real.monotonic_ns(&os_real) - start < 50 * 1000 * 1000;
    return NULL;
}

static void play_polling(void *context)
{
    memset(&world, 0, sizeof world);
    struct thread thread;
    assert_true(thread_start(&thread, poll_word, NULL));
    fibre_sleep(5 * 1000 * 1000);
    world.word = 1; /* and wakes nobody, */
    fibre_sleep(100 * 1000 * 1000);
    word_wake_all(&world.word); /* until now */
    thread_join(&thread);
}

static void test_patient_runs_do_not_poll(void **state)
{
    struct fibres_report report = {0};
    fibres_run(1, play_polling, NULL, &report);
    assert_int_equal(world.turn, 1);
    fibres_set_patient(true);
    fibres_run(1, play_polling, NULL, &report);
    fibres_set_patient(false);
    assert_int_equal(world.turn, 0);
}

static void *hold(void *argument)
{
    mutex_lock(&world.lock);
    fibre_sleep(UINT64_MAX / 2);
    return NULL;
}

static void play_abandoned(void *context)
{
    memset(&world, 0, sizeof world);
    mutex_init(&world.lock);
    struct thread thread;
    assert_true(thread_start(&thread, hold, NULL));
    fibre_sleep(1000000);
    world.turn = 1;
    fibres_abandon();
}

static void test_what_is_abandoned_stands_still(void **state)
{
    struct fibres_report report = {0};
    fibres_run(1, play_abandoned, NULL, &report);
    assert_int_equal(world.turn, 1);
    fibres_run(1, play_counting, NULL, &report);
    assert_int_equal(world.guarded, THREADS * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_locks_hold_and_a_seed_repeats),
        cmocka_unit_test(test_who_hurries_is_not_stopped),
        cmocka_unit_test(test_conditions_words_and_time),
        cmocka_unit_test(test_readers_and_writers),
        cmocka_unit_test(test_patient_runs_do_not_poll),
        cmocka_unit_test(test_what_is_abandoned_stands_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
