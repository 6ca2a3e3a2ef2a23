/* fibres.h - the threads, locks and clock of a program, simulated in one thread.
 *
 * A program that is linked with the `wrap` list of meson.build calls the functions of fibres.c in the
 * place of the system's: pthread_create, mutexes, conditions, readers-writer locks, word_wait and its
 * wakers, sched_yield, nanosleep and clock_gettime. While fibres_run runs, threads are fibres with
 * stacks of their own, who waits is set aside, and time is a number; outside of it all is the system's.
 *
 *   seed --> which fibre goes on, when it is stopped, who is woken first, how time passes
 *
 * A fibre is stopped where it waits, at each lock it takes or gives back, and, in code that is compiled
 * with -fsanitize-coverage=trace-pc, between any two basic blocks. Each has its own thread-local
 * variables. What runs depends on the seed alone, so a run can be repeated, but for what the program
 * takes from elsewhere: addresses, files, chance.
 *
 * It is stricter than threads are: a fibre may be stopped for long anywhere, conditions and words wake without reason
 * now and then, one of several waiters is woken at random, timeouts fall together. It is weaker in one
 * thing: memory is sequentially consistent.
 *
 * One run at a time.
 */
#ifndef OMEN_TESTS_FIBRES_H
#define OMEN_TESTS_FIBRES_H

#include <stdbool.h>
#include <stdint.h>

struct fibres_report {
    uint64_t switches;  /* from one fibre to another */
    uint64_t waits;     /* for a lock, a condition or a word */
    uint64_t simulated_ns;
};

/* Runs `function(argument)` as the first fibre, until it returns: all threads that it started must have
 * been joined by then; or until a fibre calls fibres_abandon. Adds to `report`. Time goes on from where the
 * run before ended. Tells on standard error who waits for what, and aborts, where all wait for ever, and
 * where more than an hour has gone. */
void fibres_run(uint64_t seed, void (*function)(void *), void *argument, struct fibres_report *report);

/* Waits of these lengths only look now and then for what nobody tells: a cancelled statement, a lost
 * wake-up of the system's own. In a patient run (the next one, and on) they last until they are woken, so
 * that whom nobody wakes waits for ever. */
#define FIBRES_POLLS_MS {10, 1000}
void fibres_set_patient(bool patient);

/* Ends the run where all stand, as a killed process ends: what they hold stays held, what they have
 * allocated is lost. */
_Noreturn void fibres_abandon(void);

/* From here on the running fibre is stopped where it waits and nowhere else: what it does comes in one moment. */
void fibre_hurry(void);

/* Lets other fibres go on for so long, in simulated time. */
void fibre_sleep(uint64_t ns);

/* A number below `limit` from the seed. */
uint64_t fibre_random(uint64_t limit);

/* In the place of a processor's pause in a loop that spins: others go on. */
void fibre_pause(void);

/* What the running fibre works for; NULL at first. */
void fibre_set_owner(void *owner);
void *fibre_owner(void);

#endif
