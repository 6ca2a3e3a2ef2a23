/* fibres_wrap.c - what fibres call in the place of the system's functions. See fibres.h.
 *
 * The linker gives each its place (--wrap): the core's calls of f lead to __wrap_f, and __real_f is the
 * system's. The state of a lock lies in the memory that the system has for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "fibres_private.h"
#include "os/wait_word.h"

enum { LOCK_POINTS = 4, NO_REASON_ONE_IN = 128, SECOND_NS = 1000000000 };

/* Declares __wrap_name and __real_name, and begins the former. */
#define WRAP(type, name, ...)                                                                      \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

static uint64_t ns_of(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * SECOND_NS + (uint64_t)time->tv_nsec;
}

/* --- time --- */

WRAP(int, clock_gettime, clockid_t clock, struct timespec *out)
{
    if (!fibres_running())
        return __real_clock_gettime(clock, out);
    uint64_t now = fibres_now_ns();
    *out = (struct timespec){.tv_sec = (time_t)(now / SECOND_NS), .tv_nsec = (long)(now % SECOND_NS)};
    return 0;
}

WRAP(int, nanosleep, const struct timespec *time, struct timespec *left)
{
    if (!fibres_running())
        return __real_nanosleep(time, left);
    fibre_sleep(ns_of(time));
    return 0;
}

WRAP(int, sched_yield, void)
{
    if (!fibres_running())
        return __real_sched_yield();
    fibre_yield();
    return 0;
}

/* --- threads --- */

WRAP(int, pthread_create, pthread_t *out, const pthread_attr_t *attributes, void *(*function)(void *),
     void *argument)
{
    if (!fibres_running())
        return __real_pthread_create(out, attributes, function, argument);
    size_t stack_bytes = 0;
    if (attributes != NULL)
        pthread_attr_getstacksize(attributes, &stack_bytes);
    struct fibre *fibre = fibre_start(function, argument, stack_bytes);
    if (fibre == NULL)
        return EAGAIN;
    *out = (pthread_t)(uintptr_t)fibre;
    fibre_point(LOCK_POINTS);
    return 0;
}

WRAP(int, pthread_join, pthread_t thread, void **result)
{
    if (!fibres_running())
        return __real_pthread_join(thread, result);
    void *value = fibre_join((struct fibre *)(uintptr_t)thread);
    if (result != NULL)
        *result = value;
    return 0;
}

/* --- mutexes --- */

struct fibre_mutex {
    bool held, awaited;
};

_Static_assert(sizeof(struct fibre_mutex) <= sizeof(pthread_mutex_t), "it lies there");

WRAP(int, pthread_mutex_init, pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    if (!fibres_running())
        return __real_pthread_mutex_init(mutex, attributes);
    memset(mutex, 0, sizeof *mutex);
    return 0;
}

WRAP(int, pthread_mutex_destroy, pthread_mutex_t *mutex)
{
    if (!fibres_running())
        return __real_pthread_mutex_destroy(mutex);
    OMEN_ASSERT(!((struct fibre_mutex *)mutex)->held);
    return 0;
}

static void take(struct fibre_mutex *mutex)
{
    while (mutex->held) {
        mutex->awaited = true;
        (void)fibre_wait(mutex, UINT64_MAX);
    }
    mutex->held = true;
}

static void give_back(struct fibre_mutex *mutex)
{
    OMEN_ASSERT(mutex->held);
    mutex->held = false;
    if (mutex->awaited) {
        mutex->awaited = false;
        fibre_wake(mutex, FIBRE_WAKE_ALL);
    }
}

WRAP(int, pthread_mutex_lock, pthread_mutex_t *mutex)
{
    if (!fibres_running())
        return __real_pthread_mutex_lock(mutex);
    fibre_point(LOCK_POINTS);
    take((struct fibre_mutex *)mutex);
    return 0;
}

WRAP(int, pthread_mutex_unlock, pthread_mutex_t *mutex)
{
    if (!fibres_running())
        return __real_pthread_mutex_unlock(mutex);
    give_back((struct fibre_mutex *)mutex);
    fibre_point(LOCK_POINTS);
    return 0;
}

/* --- conditions: nothing lies in them --- */

WRAP(int, pthread_cond_init, pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
    return fibres_running() ? 0 : __real_pthread_cond_init(condition, attributes);
}

WRAP(int, pthread_cond_destroy, pthread_cond_t *condition)
{
    return fibres_running() ? 0 : __real_pthread_cond_destroy(condition);
}

/* False: the time has come. */
static bool wait_with(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_ns)
{
    bool woken = true;
    give_back((struct fibre_mutex *)mutex);
    if (fibre_random(NO_REASON_ONE_IN) == 0)
        fibre_yield();
    else
        woken = fibre_wait(condition, deadline_ns);
    take((struct fibre_mutex *)mutex);
    return woken;
}

WRAP(int, pthread_cond_wait, pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    if (!fibres_running())
        return __real_pthread_cond_wait(condition, mutex);
    (void)wait_with(condition, mutex, UINT64_MAX);
    return 0;
}

WRAP(int, pthread_cond_timedwait, pthread_cond_t *condition, pthread_mutex_t *mutex,
     const struct timespec *until)
{
    if (!fibres_running())
        return __real_pthread_cond_timedwait(condition, mutex, until);
    return wait_with(condition, mutex, fibres_deadline_ns(ns_of(until))) ? 0 : ETIMEDOUT;
}

WRAP(int, pthread_cond_signal, pthread_cond_t *condition)
{
    if (!fibres_running())
        return __real_pthread_cond_signal(condition);
    fibre_wake(condition, FIBRE_WAKE_ANY);
    return 0;
}

WRAP(int, pthread_cond_broadcast, pthread_cond_t *condition)
{
    if (!fibres_running())
        return __real_pthread_cond_broadcast(condition);
    fibre_wake(condition, FIBRE_WAKE_ALL);
    return 0;
}

/* --- readers-writer locks, which prefer writers --- */

struct fibre_rwlock {
    uint32_t readers, writers_waiting;
    bool written, awaited;
};

_Static_assert(sizeof(struct fibre_rwlock) <= sizeof(pthread_rwlock_t), "it lies there");

WRAP(int, pthread_rwlock_init, pthread_rwlock_t *lock, const pthread_rwlockattr_t *attributes)
{
    if (!fibres_running())
        return __real_pthread_rwlock_init(lock, attributes);
    memset(lock, 0, sizeof *lock);
    return 0;
}

WRAP(int, pthread_rwlock_destroy, pthread_rwlock_t *lock)
{
    if (!fibres_running())
        return __real_pthread_rwlock_destroy(lock);
    const struct fibre_rwlock *state = (struct fibre_rwlock *)lock;
    OMEN_ASSERT(!state->written && state->readers == 0 && state->writers_waiting == 0);
    return 0;
}

static void wait_for_lock(struct fibre_rwlock *lock)
{
    lock->awaited = true;
    (void)fibre_wait(lock, UINT64_MAX);
}

WRAP(int, pthread_rwlock_rdlock, pthread_rwlock_t *lock)
{
    if (!fibres_running())
        return __real_pthread_rwlock_rdlock(lock);
    struct fibre_rwlock *state = (struct fibre_rwlock *)lock;
    fibre_point(LOCK_POINTS);
    while (state->written || state->writers_waiting > 0)
        wait_for_lock(state);
    state->readers++;
    return 0;
}

WRAP(int, pthread_rwlock_wrlock, pthread_rwlock_t *lock)
{
    if (!fibres_running())
        return __real_pthread_rwlock_wrlock(lock);
    struct fibre_rwlock *state = (struct fibre_rwlock *)lock;
    fibre_point(LOCK_POINTS);
    state->writers_waiting++;
    while (state->written || state->readers > 0)
        wait_for_lock(state);
    state->writers_waiting--;
    state->written = true;
    return 0;
}

WRAP(int, pthread_rwlock_unlock, pthread_rwlock_t *lock)
{
    if (!fibres_running())
        return __real_pthread_rwlock_unlock(lock);
    struct fibre_rwlock *state = (struct fibre_rwlock *)lock;
    OMEN_ASSERT(state->written || state->readers > 0);
    if (state->written)
        state->written = false;
    else
        state->readers--;
    if (state->awaited) {
        state->awaited = false;
        fibre_wake(state, FIBRE_WAKE_ALL);
    }
    fibre_point(LOCK_POINTS);
    return 0;
}

/* --- words (os/wait_word.h) --- */

WRAP(void, word_wait, _Atomic uint32_t *word, uint32_t value, uint64_t ns_max)
{
    if (!fibres_running()) {
        __real_word_wait(word, value, ns_max);
        return;
    }
    fibre_point(LOCK_POINTS);
    if (atomic_load(word) != value)
        return;
    uint64_t now = fibres_now_ns();
    if (fibre_random(NO_REASON_ONE_IN) == 0)
        fibre_yield();
    else
        (void)fibre_wait(word, ns_max == WAIT_FOREVER ? ns_max : fibres_deadline_ns(now + ns_max));
}

WRAP(void, word_wake_one, _Atomic uint32_t *word)
{
    if (!fibres_running()) {
        __real_word_wake_one(word);
        return;
    }
    fibre_wake(word, FIBRE_WAKE_OLDEST);
    fibre_point(LOCK_POINTS);
}

WRAP(void, word_wake_all, _Atomic uint32_t *word)
{
    if (!fibres_running()) {
        __real_word_wake_all(word);
        return;
    }
    fibre_wake(word, FIBRE_WAKE_ALL);
    fibre_point(LOCK_POINTS);
}
