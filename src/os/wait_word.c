/* wait_word.c - see wait_word.h. */
#define _GNU_SOURCE
#include "os/wait_word.h"

#include <limits.h>
#include <time.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

void word_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ns_max)
{
#ifdef __linux__
    const struct timespec most = {.tv_sec = (time_t)(ns_max / 1000000000),
                                  .tv_nsec = (long)(ns_max % 1000000000)};
    /* What it returns says nothing that the caller does not see in the word. */
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, ns_max == WAIT_FOREVER ? NULL : &most,
                  NULL, 0);
#else
    const struct timespec moment = {.tv_nsec = 50 * 1000};
    if (atomic_load_explicit(word, memory_order_relaxed) == value)
        (void)nanosleep(&moment, NULL);
#endif
}

static void wake(_Atomic uint32_t *word, int most)
{
#ifdef __linux__
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, most, NULL, NULL, 0);
#else
    (void)word, (void)most;
#endif
}

void word_wake_one(_Atomic uint32_t *word)
{
    wake(word, 1);
}

void word_wake_all(_Atomic uint32_t *word)
{
    wake(word, INT_MAX);
}
