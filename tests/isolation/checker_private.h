/* checker_private.h - what the checker's files share.
 *
 *   checker.c        what each transaction saw of its own, and the rest of what needs no graph
 *   checker_order.c  the order of each key's versions
 *   checker_graph.c  moments, arrows, circles
 */
#ifndef OMEN_TESTS_CHECKER_PRIVATE_H
#define OMEN_TESTS_CHECKER_PRIVATE_H

#include "checker.h"

#define NOTHING UINT32_MAX

enum { SHOWN_MAX = 4 };

/* Who wrote a value: NOTHING where nobody did. */
struct writer {
    uint32_t transaction, op;
};

/* A key's versions in their order: `count` values from `first` on in checker.order. */
struct key_order {
    uint32_t first, count;
};

struct checker {
    const struct history *history;
    struct checker_report *report;
    FILE *out;
    uint32_t values, keys; /* one more than the largest */
    struct writer *writers;     /* by value */
    uint32_t *op_transactions;  /* by op */
    bool *undone, *last;        /* by op: taken back; its transaction's last write of the key */
    uint32_t *external;         /* by read: the position it saw of others, 0 = before all; NOTHING */
    bool *lives;                /* by transaction: committed, or unknown and seen */
    struct key_order *orders;   /* by key */
    uint32_t *order;            /* values */
    uint32_t *positions;        /* by value: its place in its key's order, from 1; 0 = not there */
};

/* Lists and registers as one row of keys. */
static inline uint32_t key_of(const struct history_op *op)
{
    return op->key * 2 + (op->kind == HISTORY_WRITE || op->kind == HISTORY_REGISTER);
}

static inline bool is_write(const struct history_op *op)
{
    return op->kind == HISTORY_APPEND || op->kind == HISTORY_WRITE;
}

static inline bool is_read(const struct history_op *op)
{
    return op->kind == HISTORY_LIST || op->kind == HISTORY_REGISTER;
}

/* Memory of zeros, or the end. */
void *checker_memory(size_t count, size_t bytes);

/* Counts an anomaly; says whether its transactions are to be printed, and prints its name then. */
bool checker_found(struct checker *checker, enum anomaly anomaly);
void checker_show(const struct checker *checker, uint32_t transaction);

/* Whether whoever wrote this value wrote it to this key; its op, or NULL. */
const struct history_op *checker_write_of(const struct checker *checker, uint32_t value, uint32_t key);

void checker_find_orders(struct checker *checker);
void checker_find_circles(struct checker *checker);

#endif
