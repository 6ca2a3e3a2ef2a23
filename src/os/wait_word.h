/* wait_word.h - sleeping until another thread changes a word.
 *
 *   waiter:  while (*word is still what it was)  word_wait(word, what it was)
 *   waker:   *word = something else (release);   word_wake_one(word) or word_wake_all(word)
 *
 * The word is looked at before the thread sleeps, in one step with it: a change is never missed.
 * Where nobody sleeps there is no call of the system but the waker's, who leaves it out where a
 * value of the word tells that nobody does. Waking touches no memory: the word may be gone by then.
 * A thread may wake without reason, also for a word that was there before: so waiters look again.
 *
 * futex(2) on Linux; elsewhere the waiter sleeps for moments.
 */
#ifndef OMEN_OS_WAIT_WORD_H
#define OMEN_OS_WAIT_WORD_H

#include <stdatomic.h>
#include <stdint.h>

#define WAIT_FOREVER UINT64_MAX

/* Sleeps while `*word` is `value`, for at most so long. */
void word_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ns_max);

/* Wakes one thread that sleeps there, if any does: who has slept longest. */
void word_wake_one(_Atomic uint32_t *word);

/* Wakes all that sleep there: much cheaper than one by one. */
void word_wake_all(_Atomic uint32_t *word);

/* A moment in a loop that spins. */
static inline void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
