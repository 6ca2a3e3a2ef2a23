/* biased_lock.c - slots, and ending a bias. See biased_lock.h.
 *
 * The slots are the process's, as the fence is. A writer looks at those that were ever claimed.
 */
#define _GNU_SOURCE
#include "os/biased_lock.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#ifdef __linux__
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum {
    SLOTS = 1024,
    PLAIN_READS_MIN = 128, /* then a bias pays for its end: some microseconds */
    SPINS_MAX = 100,
    PROCESSORS_MAX = 8192,
    PAGE_BYTES_MAX = 64 * 1024,
    REST_NS = 20 * 1000 * 1000,
};

static struct reader_slot slots[SLOTS];
static atomic_uint slots_used; /* no slot from here on was ever claimed */
static pthread_once_t fence_once = PTHREAD_ONCE_INIT;
static bool fence_exists;
static atomic_bool fence_refused; /* since then nothing is biased any more; relaxed */

/* --- the heavy fence --- */

static void prepare_fence(void)
{
#ifdef __linux__
    fence_exists = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
#endif
}

#ifdef __linux__
/* Runs this thread on each processor once. Whoever ran there before has been switched from, which
 * is a full fence; who runs there later finds what was stored before the call. A processor that it
 * may not run on is none of the process's: its threads share a cpuset. False where a sandbox
 * refuses. */
static bool visit_processors(void)
{
    unsigned long before[PROCESSORS_MAX / (8 * sizeof(long))],
        one[PROCESSORS_MAX / (8 * sizeof(long))];
    bool done = true;
    if (syscall(SYS_sched_getaffinity, 0, sizeof before, memset(before, 0, sizeof before)) < 0)
        return false;
    long count = sysconf(_SC_NPROCESSORS_CONF);
    for (long i = 0; i < count && done; i++) {
        memset(one, 0, sizeof one);
        one[(size_t)i / (8 * sizeof(long))] = 1UL << (size_t)i % (8 * sizeof(long));
        done = syscall(SYS_sched_setaffinity, 0, sizeof one, one) == 0 || errno == EINVAL;
    }
    (void)syscall(SYS_sched_setaffinity, 0, sizeof before, before);
    return done;
}

/* Forbids writing to a page in use, for which most systems interrupt every processor that runs a
 * thread of the process; and then rests for longer than any processor keeps a store to itself. */
static void interrupt_processors(void)
{
    static _Alignas(PAGE_BYTES_MAX) volatile char page[PAGE_BYTES_MAX];
    static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
    OMEN_ASSERT(pthread_mutex_lock(&turn) == 0);
    page[0] = 1;
    if (mprotect((void *)(uintptr_t)page, sizeof page, PROT_READ) == 0)
        OMEN_ASSERT(mprotect((void *)(uintptr_t)page, sizeof page, PROT_READ | PROT_WRITE) == 0);
    OMEN_ASSERT(pthread_mutex_unlock(&turn) == 0);
    const struct timespec rest = {.tv_nsec = REST_NS};
    nanosleep(&rest, NULL);
}
#endif

/* Every other thread of the process passes a full fence between the call and its return. */
static void heavy_fence(void)
{
#ifdef __linux__
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
        return;
    /* The call was there, and is refused: the process has entered a sandbox. */
    atomic_store_explicit(&fence_refused, true, memory_order_relaxed);
    if (!visit_processors())
        interrupt_processors();
#endif
}

/* --- slots --- */

struct reader_slot *reader_slot_claim(void)
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        bool expected = false;
        if (!atomic_compare_exchange_strong(&slots[i].claimed, &expected, true))
            continue;
        uint32_t used = atomic_load(&slots_used);
        while (used <= i && !atomic_compare_exchange_weak(&slots_used, &used, i + 1))
            continue;
        return &slots[i];
    }
    return NULL;
}

void reader_slot_release(struct reader_slot *slot)
{
    if (slot == NULL)
        return;
    OMEN_ASSERT(atomic_load_explicit(&slot->held, memory_order_relaxed) == NULL);
    /* Pairs with the exchange of the next claim: `entries` passes on. */
    atomic_store_explicit(&slot->claimed, false, memory_order_release);
}

/* --- the lock --- */

void biased_lock_init(struct biased_lock *lock)
{
    OMEN_ASSERT(pthread_once(&fence_once, prepare_fence) == 0);
    rwlock_init(&lock->lock);
    lock->can_be_biased = fence_exists;
    atomic_init(&lock->biased, false);
    atomic_init(&lock->plain_reads, 0);
}

void biased_lock_destroy(struct biased_lock *lock)
{
    rwlock_destroy(&lock->lock);
}

void biased_lock_read_lock(struct biased_lock *lock)
{
    rwlock_read_lock(&lock->lock);
    if (!lock->can_be_biased || atomic_load_explicit(&lock->biased, memory_order_relaxed) ||
        atomic_load_explicit(&fence_refused, memory_order_relaxed))
        return;
    if (atomic_fetch_add_explicit(&lock->plain_reads, 1, memory_order_relaxed) < PLAIN_READS_MIN)
        return;
    /* No writer is in, nor will be before this reader leaves. Release pairs with the acquire in
     * biased_lock_enter. */
    atomic_store_explicit(&lock->biased, true, memory_order_release);
}

void biased_lock_read_unlock(struct biased_lock *lock)
{
    rwlock_read_unlock(&lock->lock);
}

/* Waits for the readers that have entered by their slots. A reader whose store the fence has not
 * made visible finds the bias gone. */
static void end_bias(struct biased_lock *lock)
{
    atomic_store_explicit(&lock->biased, false, memory_order_relaxed);
    heavy_fence();
    uint32_t used = atomic_load_explicit(&slots_used, memory_order_acquire);
    for (uint32_t i = 0; i < used; i++)
        /* Acquire pairs with the release in biased_lock_leave. */
        for (uint32_t spins = 0; atomic_load_explicit(&slots[i].held, memory_order_acquire) == lock;
             spins++)
            if (spins >= SPINS_MAX)
                sched_yield();
}

void biased_lock_write_lock(struct biased_lock *lock)
{
    rwlock_write_lock(&lock->lock);
    if (atomic_load_explicit(&lock->biased, memory_order_relaxed))
        end_bias(lock);
    atomic_store_explicit(&lock->plain_reads, 0, memory_order_relaxed);
}

void biased_lock_write_unlock(struct biased_lock *lock)
{
    rwlock_write_unlock(&lock->lock);
}
