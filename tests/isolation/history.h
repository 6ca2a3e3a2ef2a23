/* history.h - what transactions read and wrote, so that a checker can judge it.
 *
 * Two kinds of things are written. A *list* is appended to and read whole, so each read tells the order
 * of all appends before it. A *register* holds a value and a version, which each write raises by one, so
 * a read tells where in the order its value stands. Each write writes a value of its own, unique in the
 * whole history; 0 is what was there before any.
 *
 *   transaction: level, outcome, times | ops of statement 0 | ops of statement 1 | ...
 *
 * As text, a line a transaction, times in microseconds (0 0 0: not known):
 *
 *   rc committed 10 15 20: a1=7; @12-14 l1=7,8 l2=; undo1; w5=9; r5=9@3
 *
 *   a1=7     appends 7 to list 1              w5=9     writes 9 to register 5
 *   l1=7,8   reads list 1                     r5=9@3   reads register 5: value 9, version 3
 *   @12-14   when the statement began and ended, where that is known
 *   undo1    takes back all writes from the op numbered 1 on (a savepoint, or a statement that failed)
 *
 * A history is written by one thread at a time. Its memory is shared with child processes, so that what
 * a killed one did can be read.
 */
#ifndef OMEN_TESTS_HISTORY_H
#define OMEN_TESTS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum history_level { HISTORY_RC, HISTORY_RR };

/* RUNNING: its process was killed before it asked for COMMIT; UNKNOWN: after that, before the answer. */
enum history_outcome { HISTORY_RUNNING, HISTORY_UNKNOWN, HISTORY_COMMITTED, HISTORY_ABORTED };

enum history_kind { HISTORY_APPEND, HISTORY_LIST, HISTORY_WRITE, HISTORY_REGISTER, HISTORY_UNDO };

struct history_op {
    uint8_t kind;
    uint16_t statement; /* of its transaction, from 0 */
    uint32_t key;       /* lists and registers are numbered apart */
    uint32_t value;     /* written or read; UNDO: the op from which on writes are taken back */
    uint32_t version;   /* REGISTER */
    uint32_t first, length;       /* LIST: elements */
    uint32_t begin_us, end_us;    /* of the statement */
};

struct history_transaction {
    uint8_t level, outcome;
    uint32_t first, count;                 /* ops */
    uint32_t begin_us, commit_us, end_us; /* COMMIT asked for; answered; 0: not known */
};

struct history {
    struct history_transaction *transactions;
    struct history_op *ops;
    uint32_t *elements;
    size_t count, op_count, element_count;
    size_t count_max, op_max, element_max;
};

/* An empty history for at most so many of each; only what is used takes memory. Exits where there is no
 * address space. The structure itself lies in shared memory too. */
struct history *history_create(size_t count_max, size_t op_max, size_t element_max);
void history_destroy(struct history *history);

/* Begins a transaction; what follows is added to it. It is RUNNING until its outcome is set. False
 * where the history is full: for one of HISTORY_OPS_MAX ops and as many elements each. */
struct history_transaction *history_begin(struct history *history, enum history_level level,
                                          uint32_t begin_us);

/* Adds an op to the newest transaction. The elements of a LIST are those added since. */
struct history_op *history_add(struct history *history, enum history_kind kind, uint32_t statement,
                               uint32_t key, uint32_t value);
void history_element(struct history *history, uint32_t value);

/* Adds all transactions of `part` to `whole`. */
void history_append(struct history *whole, const struct history *part);

/* As text, and back. A line that cannot be read gives false and is told on standard error. */
void history_print(const struct history *history, size_t transaction, FILE *out);
bool history_read_line(struct history *history, const char *line);

#endif
