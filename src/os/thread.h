/* thread.h - mutexes, conditions, readers-writer locks, threads: thin wrappers over POSIX threads.
 *
 * None of these calls but thread_start can fail in correct use (no recursion, no robust locks), so
 * none returns a status; a failure is a broken invariant. The readers-writer lock prefers
 * writers: a stream of readers cannot starve the one writer. A thread must therefore never take
 * the same lock for reading twice.
 */
#ifndef OMEN_OS_THREAD_H
#define OMEN_OS_THREAD_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/assert.h"

struct mutex {
    pthread_mutex_t handle;
};

static inline void mutex_init(struct mutex *mutex)
{
    OMEN_ASSERT(pthread_mutex_init(&mutex->handle, NULL) == 0);
}

static inline void mutex_destroy(struct mutex *mutex)
{
    OMEN_ASSERT(pthread_mutex_destroy(&mutex->handle) == 0);
}

static inline void mutex_lock(struct mutex *mutex)
{
    OMEN_ASSERT(pthread_mutex_lock(&mutex->handle) == 0);
}

static inline void mutex_unlock(struct mutex *mutex)
{
    OMEN_ASSERT(pthread_mutex_unlock(&mutex->handle) == 0);
}

/* Waited for with a mutex held; wakes without reason too, so what is waited for is checked again.
 */
struct condition {
    pthread_cond_t handle;
};

static inline void condition_init(struct condition *condition)
{
    pthread_condattr_t attributes;
    OMEN_ASSERT(pthread_condattr_init(&attributes) == 0);
    OMEN_ASSERT(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    OMEN_ASSERT(pthread_cond_init(&condition->handle, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
}

static inline void condition_destroy(struct condition *condition)
{
    OMEN_ASSERT(pthread_cond_destroy(&condition->handle) == 0);
}

static inline void condition_wait(struct condition *condition, struct mutex *mutex)
{
    OMEN_ASSERT(pthread_cond_wait(&condition->handle, &mutex->handle) == 0);
}

/* The same for at most so long. */
static inline void condition_wait_ns(struct condition *condition, struct mutex *mutex, uint64_t ns)
{
    struct timespec until;
    OMEN_ASSERT(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    uint64_t sum = (uint64_t)until.tv_nsec + ns % 1000000000;
    until.tv_sec += (time_t)(ns / 1000000000 + sum / 1000000000);
    until.tv_nsec = (long)(sum % 1000000000);
    int result = pthread_cond_timedwait(&condition->handle, &mutex->handle, &until);
    OMEN_ASSERT(result == 0 || result == ETIMEDOUT);
}

static inline void condition_wait_ms(struct condition *condition, struct mutex *mutex, uint64_t ms)
{
    condition_wait_ns(condition, mutex, ms * 1000000);
}

static inline void condition_wake_one(struct condition *condition)
{
    OMEN_ASSERT(pthread_cond_signal(&condition->handle) == 0);
}

static inline void condition_wake_all(struct condition *condition)
{
    OMEN_ASSERT(pthread_cond_broadcast(&condition->handle) == 0);
}

/* A thread that runs `function(argument)`; joined exactly once. */
struct thread {
    pthread_t handle;
};

/* False where the system has no more threads; then nothing runs. */
static inline bool thread_start(struct thread *thread, void *(*function)(void *), void *argument)
{
    return pthread_create(&thread->handle, NULL, function, argument) == 0;
}

static inline void thread_join(struct thread *thread)
{
    OMEN_ASSERT(pthread_join(thread->handle, NULL) == 0);
}

struct rwlock {
    pthread_rwlock_t handle;
};

static inline void rwlock_init(struct rwlock *lock)
{
    pthread_rwlockattr_t attributes;
    OMEN_ASSERT(pthread_rwlockattr_init(&attributes) == 0);
#ifdef __GLIBC__
    OMEN_ASSERT(pthread_rwlockattr_setkind_np(&attributes,
                                              PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
#endif
    OMEN_ASSERT(pthread_rwlock_init(&lock->handle, &attributes) == 0);
    pthread_rwlockattr_destroy(&attributes);
}

static inline void rwlock_destroy(struct rwlock *lock)
{
    OMEN_ASSERT(pthread_rwlock_destroy(&lock->handle) == 0);
}

static inline void rwlock_read_lock(struct rwlock *lock)
{
    OMEN_ASSERT(pthread_rwlock_rdlock(&lock->handle) == 0);
}

static inline void rwlock_read_unlock(struct rwlock *lock)
{
    OMEN_ASSERT(pthread_rwlock_unlock(&lock->handle) == 0);
}

static inline void rwlock_write_lock(struct rwlock *lock)
{
    OMEN_ASSERT(pthread_rwlock_wrlock(&lock->handle) == 0);
}

static inline void rwlock_write_unlock(struct rwlock *lock)
{
    OMEN_ASSERT(pthread_rwlock_unlock(&lock->handle) == 0);
}

#endif
