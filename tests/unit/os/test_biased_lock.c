/* Readers by slot, readers without one, and writers of one biased lock. */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/biased_lock.h"

enum { WRITES = 1000, READS_BETWEEN = 400, SLOTS_AT_LEAST = 64 };

static bool refusing; /* the system, in a sandbox */

struct shared {
    struct biased_lock lock;
    uint64_t left, right; /* equal but while a writer is in; guarded by `lock` */
    atomic_uint_fast64_t reads, entered;
    atomic_uint_fast64_t wanted; /* reads that the writer sleeps for; UINT64_MAX: it is awake */
    sem_t enough;
    atomic_bool stop;
    atomic_int wrong;
};

static void spin(int rounds)
{
    for (volatile int round = 0; round < rounds; round++)
        continue;
}

/* Whether both are what they are for a while: so that a writer who does not wait comes between. */
static bool is_torn(const struct shared *shared)
{
    uint64_t left = shared->left;
    spin(50);
    return left != *(const volatile uint64_t *)&shared->right;
}

static void read_once(struct shared *shared, struct reader_slot *slot)
{
    if (biased_lock_enter(&shared->lock, slot)) {
        if (is_torn(shared))
            shared->wrong = 1;
        biased_lock_leave(slot);
        shared->entered++;
    } else {
        biased_lock_read_lock(&shared->lock);
        if (is_torn(shared))
            shared->wrong = 2;
        biased_lock_read_unlock(&shared->lock);
    }
    uint64_t reads = atomic_fetch_add(&shared->reads, 1) + 1;
    if (reads >= shared->wanted && atomic_exchange(&shared->wanted, UINT64_MAX) != UINT64_MAX)
        sem_post(&shared->enough);
}

/* Sleeps, so that on a busy machine it is not one of those who wait for their turn of the processor
 * until it has something to do. */
static void let_read(struct shared *shared)
{
    shared->wanted = shared->reads + READS_BETWEEN;
    while (sem_wait(&shared->enough) != 0)
        continue;
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

/* What is wrong with two readers by slot, one without, and a writer; 0: nothing. */
static int run_together(void)
{
    static struct shared shared;
    shared = (struct shared){.wanted = UINT64_MAX};
    assert_int_equal(sem_init(&shared.enough, 0, 0), 0);
    biased_lock_init(&shared.lock);
    pthread_t threads[3];
    void *(*const mains[3])(void *) = {read_by_slot, read_by_slot, read_without_slot};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mains[i], &shared), 0);
    for (uint64_t write = 0; write < WRITES && shared.wrong == 0; write++) {
        let_read(&shared);
        biased_lock_write_lock(&shared.lock);
        shared.left++;
        spin(200);
        shared.right++;
        biased_lock_write_unlock(&shared.lock);
    }
    shared.stop = true;
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    if (shared.wrong == 0 && shared.left != WRITES)
        shared.wrong = 3;
    if (shared.entered == 0 && shared.lock.can_be_biased && !refusing)
        shared.wrong = 4;
    biased_lock_destroy(&shared.lock);
    sem_destroy(&shared.enough);
    return shared.wrong;
}

static void test_writers_are_alone(void **state)
{
    assert_int_equal(run_together(), 0);
}

/* From here on the system refuses membarrier(2), and `also` (another call's number). */
static bool enter_sandbox(uint32_t also)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, also, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = 5, .filter = steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* A lock that is biased when the sandbox begins; 77 where there is none to enter. */
static int in_a_sandbox(uint32_t also)
{
    struct biased_lock lock;
    struct reader_slot *slot = reader_slot_claim();
    biased_lock_init(&lock);
    for (int read = 0; read < 1000; read++) {
        biased_lock_read_lock(&lock);
        biased_lock_read_unlock(&lock);
    }
    if (!lock.can_be_biased || !enter_sandbox(also))
        return 77;
    refusing = true;
    if (!biased_lock_enter(&lock, slot))
        return 10;
    biased_lock_leave(slot);
    biased_lock_write_lock(&lock);
    biased_lock_write_unlock(&lock);
    for (int read = 0; read < 1000; read++) {
        biased_lock_read_lock(&lock);
        biased_lock_read_unlock(&lock);
    }
    if (biased_lock_enter(&lock, slot)) /* it would have to be ended again */
        return 11;
    biased_lock_destroy(&lock);
    reader_slot_release(slot);
    return run_together();
}

static void test_a_sandbox_that_refuses_the_fence(void **state)
{
    static const uint32_t others[] = {SYS_membarrier, SYS_sched_setaffinity};
    for (size_t i = 0; i < 2; i++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(in_a_sandbox(others[i]));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
            skip();
        assert_int_equal(WEXITSTATUS(status), 0);
    }
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
        cmocka_unit_test(test_a_sandbox_that_refuses_the_fence),
        cmocka_unit_test(test_bias_comes_and_goes),
        cmocka_unit_test(test_slots_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
