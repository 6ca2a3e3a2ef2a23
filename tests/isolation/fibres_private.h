/* fibres_private.h - what the files of the fibres share. */
#ifndef OMEN_TESTS_FIBRES_PRIVATE_H
#define OMEN_TESTS_FIBRES_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "fibres.h"

struct fibre;

/* Whether this is a fibre: else the system's functions are to be called. */
bool fibres_running(void);

/* Simulated time; each look at it takes a moment. */
uint64_t fibres_now_ns(void);

/* When a wait from now until then ends by itself: as said, or never where that is a poll. */
uint64_t fibres_deadline_ns(uint64_t until_ns);

/* NULL where there are too many. Its stack is at least `stack_bytes` large. */
struct fibre *fibre_start(void *(*function)(void *), void *argument, size_t stack_bytes);
void *fibre_join(struct fibre *fibre);

/* Others may go on: now; where `weight` basic blocks are over. */
void fibre_yield(void);
void fibre_point(int weight);

/* Waits until `awaited`, any address, is woken, or until then; false: that time has come. */
bool fibre_wait(const void *awaited, uint64_t deadline_ns);

enum fibre_wake { FIBRE_WAKE_ANY, FIBRE_WAKE_OLDEST, FIBRE_WAKE_ALL };
void fibre_wake(const void *awaited, enum fibre_wake how);

#endif
