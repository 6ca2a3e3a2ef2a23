/* checker_order.c - the order of each key's versions, from what was read.
 *
 * A list's is the longest list that was read: by anybody, less what the reader itself had appended, or by
 * a transaction that committed. All other reads must be a beginning of it. A register's versions are
 * ordered by their numbers; no two may have one number.
 */
#include <stdlib.h>
#include <string.h>

#include "checker_private.h"

struct longest {
    uint32_t op, length; /* op + 1 */
};

/* How much of a list counts as seen. */
static uint32_t seen_length(const struct checker *checker, uint32_t number)
{
    const struct history_op *op = &checker->history->ops[number];
    uint8_t outcome = checker->history->transactions[checker->op_transactions[number]].outcome;
    if (outcome == HISTORY_COMMITTED || checker->external[number] == NOTHING)
        return outcome == HISTORY_COMMITTED ? op->length : 0;
    return checker->external[number];
}

/* Own appends that were taken back later are not in the order. */
static uint32_t without_undone(const struct checker *checker, uint32_t number, uint32_t length)
{
    const struct history_op *op = &checker->history->ops[number];
    for (; length > 0; length--) {
        uint32_t value = checker->history->elements[op->first + length - 1];
        if (checker_write_of(checker, value, key_of(op)) == NULL ||
            checker->writers[value].transaction != checker->op_transactions[number] ||
            !checker->undone[checker->writers[value].op])
            break;
    }
    return length;
}

static void disagree(struct checker *checker, uint32_t a, uint32_t b)
{
    if (!checker_found(checker, ANOMALY_ORDER))
        return;
    checker_show(checker, checker->op_transactions[a]);
    checker_show(checker, checker->op_transactions[b]);
}

/* Puts a version into its key's order. */
static void place(struct checker *checker, uint32_t number, uint32_t value, uint32_t *count)
{
    const struct history_op *op = &checker->history->ops[number];
    struct key_order *order = &checker->orders[key_of(op)];
    if (checker_write_of(checker, value, key_of(op)) == NULL) {
        if (checker_found(checker, ANOMALY_UNKNOWN_VALUE))
            checker_show(checker, checker->op_transactions[number]);
        return;
    }
    if (checker->positions[value] != 0) {
        if (checker_found(checker, ANOMALY_REPEATED))
            checker_show(checker, checker->op_transactions[number]);
        return;
    }
    if (order->count == 0)
        order->first = *count;
    checker->order[(*count)++] = value;
    checker->positions[value] = ++order->count;
    checker->lives[checker->writers[value].transaction] = true;
}

static void order_lists(struct checker *checker, struct longest *longest, uint32_t *count)
{
    const struct history *history = checker->history;
    for (uint32_t i = 0; i < history->op_count; i++) {
        const struct history_op *op = &history->ops[i];
        if (op->kind != HISTORY_LIST)
            continue;
        struct longest *best = &longest[key_of(op)];
        uint32_t length = without_undone(checker, i, seen_length(checker, i));
        if (length > best->length)
            *best = (struct longest){.op = i + 1, .length = length};
    }
    for (uint32_t key = 0; key < checker->keys; key++)
        for (uint32_t i = 0; i < longest[key].length; i++) {
            const struct history_op *op = &history->ops[longest[key].op - 1];
            place(checker, longest[key].op - 1, history->elements[op->first + i], count);
        }
    for (uint32_t i = 0; i < history->op_count; i++) {
        const struct history_op *op = &history->ops[i];
        if (op->kind != HISTORY_LIST || longest[key_of(op)].op == 0)
            continue;
        const struct history_op *best = &history->ops[longest[key_of(op)].op - 1];
        uint32_t length = without_undone(checker, i, seen_length(checker, i));
        if (memcmp(history->elements + op->first, history->elements + best->first,
                   length * sizeof *history->elements) != 0)
            disagree(checker, i, longest[key_of(op)].op - 1);
    }
}

/* --- registers --- */

struct numbered {
    uint32_t key, version, value, op;
};

static int by_version(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->version != y->version)
        return x->version < y->version ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

/* Whether a register's read tells of a version that is to last: others', or of one's own commit. */
static bool tells(const struct checker *checker, uint32_t number)
{
    const struct history_op *op = &checker->history->ops[number];
    if (op->kind != HISTORY_REGISTER || op->value == 0)
        return false;
    if (checker->external[number] != NOTHING)
        return true;
    uint8_t outcome = checker->history->transactions[checker->op_transactions[number]].outcome;
    return outcome == HISTORY_COMMITTED && checker_write_of(checker, op->value, key_of(op)) != NULL &&
           !checker->undone[checker->writers[op->value].op] &&
           checker->last[checker->writers[op->value].op];
}

static void order_registers(struct checker *checker, uint32_t *count)
{
    const struct history *history = checker->history;
    size_t reads = 0;
    struct numbered *seen = checker_memory(history->op_count, sizeof *seen);
    for (uint32_t i = 0; i < history->op_count; i++)
        if (tells(checker, i))
            seen[reads++] = (struct numbered){.key = key_of(&history->ops[i]), .op = i,
                .version = history->ops[i].version, .value = history->ops[i].value};
    qsort(seen, reads, sizeof *seen, by_version);
    for (size_t i = 0; i < reads; i++) {
        const struct numbered *before = i == 0 ? NULL : &seen[i - 1];
        if (before != NULL && before->key == seen[i].key && before->version == seen[i].version) {
            if (before->value == seen[i].value)
                continue;
            if (checker_found(checker, ANOMALY_LOST_UPDATE)) {
                checker_show(checker, checker->op_transactions[before->op]);
                checker_show(checker, checker->op_transactions[seen[i].op]);
            }
        }
        place(checker, seen[i].op, seen[i].value, count);
    }
    free(seen);
}

void checker_find_orders(struct checker *checker)
{
    struct longest *longest = checker_memory(checker->keys, sizeof *longest);
    uint32_t count = 0;
    for (uint32_t t = 0; t < checker->history->count; t++)
        checker->lives[t] = checker->history->transactions[t].outcome == HISTORY_COMMITTED;
    order_lists(checker, longest, &count);
    order_registers(checker, &count);
    free(longest);
}
