/* Readers by slot, readers without one, and writers of one biased lock. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/biased_lock.h"

enum { WRITES = 300, READS_BETWEEN = 400, SLOTS_AT_LEAST = 64 };

struct shared {
    struct biased_lock lock;
    uint64_t left, right; /* equal but while a writer is in; guarded by `lock` */
    atomic_uint_fast64_t reads, entered;
    atomic_bool stop;
    atomic_int wrong;
};

static void read_once(struct shared *shared, struct reader_slot *slot)
{
    if (biased_lock_enter(&shared->lock, slot)) {
        if (shared->left != shared->right)
            shared->wrong = 1;
        biased_lock_leave(slot);
        shared->entered++;
    } else {
        biased_lock_read_lock(&shared->lock);
        if (shared->left != shared->right)
            shared->wrong = 2;
        biased_lock_read_unlock(&shared->lock);
    }
    shared->reads++;
}

static void *read_by_slot(void *argument)
{
    struct shared *shared = argument;
    struct reader_slot *slot = reader_slot_claim();
    while (!shared->stop)
        read_once(shared, slot);
    reader_slot_release(slot);
    return NULL;
}

static void *read_without_slot(void *argument)
{
    struct shared *shared = argument;
    while (!shared->stop)
        read_once(shared, NULL);
    return NULL;
}

static void test_writers_are_alone(void **state)
{
    static struct shared shared;
    biased_lock_init(&shared.lock);
    pthread_t threads[3];
    void *(*const mains[3])(void *) = {read_by_slot, read_by_slot, read_without_slot};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mains[i], &shared), 0);
    for (uint64_t write = 0; write < WRITES && shared.wrong == 0; write++) {
        for (uint64_t reads = shared.reads; shared.reads < reads + READS_BETWEEN;)
            sched_yield();
        biased_lock_write_lock(&shared.lock);
        shared.left++;
        for (volatile int spin = 0; spin < 200; spin++)
            continue;
        shared.right++;
        biased_lock_write_unlock(&shared.lock);
    }
    shared.stop = true;
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(shared.wrong, 0);
    assert_int_equal(shared.left, WRITES);
    assert_true(shared.entered > 0 || !shared.lock.can_be_biased);
    biased_lock_destroy(&shared.lock);
}

/* A write ends the bias; many reads bring it back. */
static void test_bias_comes_and_goes(void **state)
{
    struct biased_lock lock;
    struct reader_slot *slot = reader_slot_claim();
    assert_non_null(slot);
    biased_lock_init(&lock);
    for (int round = 0; lock.can_be_biased && round < 3; round++) {
        assert_false(biased_lock_enter(&lock, slot));
        for (int read = 0; read < 1000; read++) {
            biased_lock_read_lock(&lock);
            biased_lock_read_unlock(&lock);
        }
        assert_false(biased_lock_enter(&lock, NULL));
        assert_true(biased_lock_enter(&lock, slot));
        biased_lock_leave(slot);
        biased_lock_write_lock(&lock);
        biased_lock_write_unlock(&lock);
    }
    biased_lock_destroy(&lock);
    reader_slot_release(slot);
}

/* Slots are many, then none, and come back. */
static void test_slots_run_out(void **state)
{
    static struct reader_slot *slots[4096];
    size_t count = 0;
    while (count < 4096 && (slots[count] = reader_slot_claim()) != NULL)
        count++;
    assert_true(count >= SLOTS_AT_LEAST && count < 4096);
    assert_null(reader_slot_claim());
    for (size_t i = 0; i < count; i++)
        reader_slot_release(slots[i]);
    reader_slot_release(NULL);
    struct reader_slot *again = reader_slot_claim();
    assert_non_null(again);
    reader_slot_release(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writers_are_alone),
        cmocka_unit_test(test_bias_comes_and_goes),
        cmocka_unit_test(test_slots_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
