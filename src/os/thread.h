/* thread.h - mutexes and readers-writer locks: thin wrappers over POSIX threads.
 *
 * None of these calls can fail in correct use (no recursion, no robust or timed locks), so
 * none returns a status; a failure is a broken invariant. The readers-writer lock prefers
 * writers: a stream of readers cannot starve the one writer. A thread must therefore never take
 * the same lock for reading twice.
 */
#ifndef OMEN_OS_THREAD_H
#define OMEN_OS_THREAD_H

#include <pthread.h>

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
