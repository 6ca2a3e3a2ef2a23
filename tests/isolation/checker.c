/* checker.c - what each transaction saw of its own writes and of others', one read at a time. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "checker_private.h"

/* What a transaction knows of a key so far. */
struct key_state {
    uint32_t stamp; /* of the transaction; otherwise all is unknown */
    uint32_t own;   /* its newest live write's op + 1; 0 = none */
    uint32_t seen;  /* what it saw of others: a list's length, or a register's value; NOTHING */
};

struct pass {
    struct checker *checker;
    struct key_state *states;
    uint32_t *older; /* by op: the transaction's write of the key before it, op + 1 */
};

void *checker_memory(size_t count, size_t bytes)
{
    void *memory = calloc(count + 1, bytes);
    if (memory == NULL) {
        fprintf(stderr, "checker: out of memory\n");
        exit(2);
    }
    return memory;
}

const char *checker_anomaly_text(enum anomaly anomaly)
{
    static const char *const texts[] = {
#define ANOMALY_TEXT(name, text) text,
        ANOMALIES(ANOMALY_TEXT)
#undef ANOMALY_TEXT
    };
    return texts[anomaly];
}

bool checker_found(struct checker *checker, enum anomaly anomaly)
{
    checker->report->total++;
    if (checker->report->found[anomaly]++ >= SHOWN_MAX || checker->out == NULL)
        return false;
    fprintf(checker->out, "%s\n", checker_anomaly_text(anomaly));
    return true;
}

void checker_show(const struct checker *checker, uint32_t transaction)
{
    fprintf(checker->out, "  T%" PRIu32 ": ", transaction);
    history_print(checker->history, transaction, checker->out);
}

static void found_at(struct checker *checker, enum anomaly anomaly, uint32_t op, uint32_t value)
{
    if (!checker_found(checker, anomaly))
        return;
    const struct history_op *at = &checker->history->ops[op];
    fprintf(checker->out, "  in op %" PRIu32 " of T%" PRIu32 " (%" PRIu32 " to %" PRIu32
            " us), %s %" PRIu32 ", value %" PRIu32 "\n",
            op - checker->history->transactions[checker->op_transactions[op]].first,
            checker->op_transactions[op], at->begin_us, at->end_us, key_of(at) % 2 ? "register" : "list", at->key, value);
    checker_show(checker, checker->op_transactions[op]);
    if (value != 0 && value < checker->values && checker->writers[value].transaction != NOTHING &&
        checker->writers[value].transaction != checker->op_transactions[op])
        checker_show(checker, checker->writers[value].transaction);
}

const struct history_op *checker_write_of(const struct checker *checker, uint32_t value, uint32_t key)
{
    if (value >= checker->values || checker->writers[value].transaction == NOTHING)
        return NULL;
    const struct history_op *op = &checker->history->ops[checker->writers[value].op];
    return key_of(op) == key ? op : NULL;
}

/* --- who wrote what --- */

static void find_sizes(struct checker *checker)
{
    const struct history *history = checker->history;
    for (size_t i = 0; i < history->op_count; i++) {
        const struct history_op *op = &history->ops[i];
        if (is_write(op) && op->value >= checker->values)
            checker->values = op->value + 1;
        if (op->kind != HISTORY_UNDO && key_of(op) >= checker->keys)
            checker->keys = key_of(op) + 1;
    }
}

static void find_writers(struct checker *checker)
{
    const struct history *history = checker->history;
    memset(checker->writers, 0xff, checker->values * sizeof *checker->writers);
    for (uint32_t t = 0; t < history->count; t++) {
        const struct history_transaction *transaction = &history->transactions[t];
        for (uint32_t i = transaction->first; i < transaction->first + transaction->count; i++) {
            checker->op_transactions[i] = t;
            if (!is_write(&history->ops[i]))
                continue;
            struct writer *writer = &checker->writers[history->ops[i].value];
            if (writer->transaction != NOTHING || history->ops[i].value == 0) {
                fprintf(stderr, "checker: value %" PRIu32 " is written twice\n", history->ops[i].value);
                exit(2);
            }
            *writer = (struct writer){.transaction = t, .op = i};
            checker->report->writes++;
        }
    }
}

/* --- own writes --- */

static struct key_state *state_of(struct pass *pass, uint32_t key, uint32_t stamp)
{
    struct key_state *state = &pass->states[key];
    if (state->stamp != stamp)
        *state = (struct key_state){.stamp = stamp, .seen = NOTHING};
    return state;
}

/* Takes back the writes from op `from` up to op `to`. */
static void undo(struct pass *pass, uint32_t stamp, uint32_t from, uint32_t to)
{
    struct checker *checker = pass->checker;
    for (uint32_t i = to; i-- > from;) {
        const struct history_op *op = &checker->history->ops[i];
        if (!is_write(op) || checker->undone[i])
            continue;
        struct key_state *state = state_of(pass, key_of(op), stamp);
        checker->undone[i] = true;
        state->own = pass->older[i];
        if (state->own == 0 && checker->history->transactions[stamp - 1].level == HISTORY_RC)
            state->seen = NOTHING; /* its lock went too: others may have written */
    }
}

/* Of others, this is what the transaction sees of the key now. At REPEATABLE READ that never changes,
 * at READ COMMITTED not while it holds the lock. */
static void saw(struct pass *pass, struct key_state *state, uint32_t op, uint32_t seen)
{
    bool fixed = pass->checker->history->transactions[state->stamp - 1].level == HISTORY_RR;
    if (fixed || state->own != 0) {
        if (state->seen != NOTHING && state->seen != seen)
            found_at(pass->checker, ANOMALY_UNREPEATABLE, op, seen);
        state->seen = seen;
    }
}

static void read_list(struct pass *pass, struct key_state *state, uint32_t number)
{
    struct checker *checker = pass->checker;
    const struct history_op *op = &checker->history->ops[number];
    const uint32_t *elements = checker->history->elements + op->first;
    uint32_t length = op->length, own = state->own;
    for (; own != 0 && length > 0 && elements[length - 1] == checker->history->ops[own - 1].value;
         own = pass->older[own - 1])
        length--;
    checker->external[number] = length;
    if (own != 0)
        found_at(checker, ANOMALY_OWN_WRITE_MISSED, number, checker->history->ops[own - 1].value);
    uint32_t last = length == 0 ? 0 : elements[length - 1];
    if (checker_write_of(checker, last, key_of(op)) != NULL &&
        checker->writers[last].transaction == state->stamp - 1) {
        if (own == 0)
            found_at(checker, ANOMALY_UNDONE_SEEN, number, last);
        checker->external[number] = NOTHING;
        return;
    }
    if (own == 0)
        saw(pass, state, number, length);
}

static void read_register(struct pass *pass, struct key_state *state, uint32_t number)
{
    struct checker *checker = pass->checker;
    const struct history_op *op = &checker->history->ops[number];
    checker->external[number] = NOTHING;
    if (state->own != 0) {
        uint32_t own = checker->history->ops[state->own - 1].value;
        if (op->value != own)
            found_at(checker, ANOMALY_OWN_WRITE_MISSED, number, own);
        return;
    }
    if (op->value != 0 && checker_write_of(checker, op->value, key_of(op)) != NULL &&
        checker->writers[op->value].transaction == state->stamp - 1) {
        found_at(checker, ANOMALY_UNDONE_SEEN, number, op->value);
        return;
    }
    checker->external[number] = 0; /* the position is known when the orders are */
    saw(pass, state, number, op->value);
}

static void own_writes(struct pass *pass, uint32_t transaction)
{
    struct checker *checker = pass->checker;
    const struct history_transaction *t = &checker->history->transactions[transaction];
    uint32_t stamp = transaction + 1, end = t->first + t->count;
    for (uint32_t i = t->first; i < end; i++) {
        const struct history_op *op = &checker->history->ops[i];
        if (op->kind == HISTORY_UNDO) {
            undo(pass, stamp, t->first + op->value, i);
            continue;
        }
        struct key_state *state = state_of(pass, key_of(op), stamp);
        if (is_write(op)) {
            if (state->own == 0 && t->level == HISTORY_RC)
                state->seen = NOTHING; /* the lock may have come after a wait */
            pass->older[i] = state->own;
            state->own = i + 1;
        } else if (op->kind == HISTORY_LIST) {
            read_list(pass, state, i);
        } else {
            read_register(pass, state, i);
        }
        checker->report->reads += is_read(op);
    }
    for (uint32_t i = t->first; i < end; i++) {
        const struct history_op *op = &checker->history->ops[i];
        if (is_write(op))
            checker->last[i] = state_of(pass, key_of(op), stamp)->own == i + 1;
    }
}

static void all_own_writes(struct checker *checker)
{
    struct pass pass = {.checker = checker};
    pass.states = checker_memory(checker->keys, sizeof *pass.states);
    pass.older = checker_memory(checker->history->op_count, sizeof *pass.older);
    for (uint32_t t = 0; t < checker->history->count; t++)
        own_writes(&pass, t);
    free(pass.states);
    free(pass.older);
}

/* --- what came from others --- */

/* A version that a transaction saw of another's. */
static void look_at_version(struct checker *checker, uint32_t number, uint32_t value)
{
    const struct history_op *op = &checker->history->ops[number];
    if (checker_write_of(checker, value, key_of(op)) == NULL) {
        found_at(checker, ANOMALY_UNKNOWN_VALUE, number, value);
        return;
    }
    struct writer writer = checker->writers[value];
    const struct history_transaction *by = &checker->history->transactions[writer.transaction];
    if (checker->undone[writer.op] || by->outcome == HISTORY_ABORTED || by->outcome == HISTORY_RUNNING)
        found_at(checker, ANOMALY_G1A, number, value);
    else if (!checker->last[writer.op])
        found_at(checker, ANOMALY_G1B, number, value);
    else if (by->commit_us > op->end_us && op->end_us != 0)
        found_at(checker, ANOMALY_DIRTY_READ, number, value);
}

static void look_at_reads(struct checker *checker)
{
    const struct history *history = checker->history;
    for (uint32_t i = 0; i < history->op_count; i++) {
        const struct history_op *op = &history->ops[i];
        if (!is_read(op) || checker->external[i] == NOTHING)
            continue;
        if (op->kind == HISTORY_LIST) {
            uint32_t length = checker->external[i];
            if (length > 0)
                look_at_version(checker, i, history->elements[op->first + length - 1]);
        } else if (op->value != 0) {
            look_at_version(checker, i, op->value);
            checker->external[i] = op->value < checker->values ? checker->positions[op->value] : NOTHING;
        }
    }
}

/* Values that were taken back, within lists that others made longer. */
static void look_at_orders(struct checker *checker)
{
    for (uint32_t value = 1; value < checker->values; value++) {
        if (checker->positions[value] == 0)
            continue;
        struct writer writer = checker->writers[value];
        uint8_t outcome = checker->history->transactions[writer.transaction].outcome;
        if (checker->undone[writer.op] || outcome == HISTORY_ABORTED || outcome == HISTORY_RUNNING)
            found_at(checker, ANOMALY_G1A, writer.op, value);
    }
}

/* --- what must have been seen --- */

struct commit_time {
    uint32_t key, end_us, position, value;
};

static int by_key_and_time(const void *a, const void *b)
{
    const struct commit_time *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->end_us < y->end_us ? -1 : x->end_us > y->end_us;
}

/* The commits of each key by the time they were answered; each with the furthest position so far. A
 * register's write that nobody read may have been overwritten; a list's must show up. */
static size_t commit_times(struct checker *checker, struct commit_time *times)
{
    const struct history *history = checker->history;
    size_t count = 0;
    for (uint32_t i = 0; i < history->op_count; i++) {
        const struct history_op *op = &history->ops[i];
        const struct history_transaction *t = &history->transactions[checker->op_transactions[i]];
        bool told = op->kind == HISTORY_APPEND ||
                    (op->kind == HISTORY_WRITE && checker->positions[op->value] != 0);
        if (told && t->outcome == HISTORY_COMMITTED && checker->last[i] && t->end_us != 0)
            times[count++] = (struct commit_time){.key = key_of(op), .end_us = t->end_us,
                .value = op->value, .position = checker->positions[op->value]};
    }
    qsort(times, count, sizeof *times, by_key_and_time);
    for (size_t i = 0; i < count; i++) {
        bool first = i == 0 || times[i - 1].key != times[i].key;
        if (times[i].position == 0)
            times[i].position = NOTHING; /* in nobody's sight */
        if (!first && times[i - 1].position > times[i].position) {
            times[i].position = times[i - 1].position;
            times[i].value = times[i - 1].value;
        }
    }
    return count;
}

/* The newest commit of the key that was answered before `time`, or NULL. */
static const struct commit_time *before(const struct commit_time *times, size_t count, uint32_t key,
                                        uint32_t time)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        bool less = times[middle].key < key || (times[middle].key == key && times[middle].end_us < time);
        if (less)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && times[low - 1].key == key ? &times[low - 1] : NULL;
}

static void stale_reads(struct checker *checker)
{
    const struct history *history = checker->history;
    struct commit_time *times = checker_memory(checker->report->writes, sizeof *times);
    size_t count = commit_times(checker, times);
    for (uint32_t i = 0; i < history->op_count; i++) {
        const struct history_op *op = &history->ops[i];
        if (!is_read(op) || checker->external[i] == NOTHING)
            continue;
        const struct history_transaction *t = &history->transactions[checker->op_transactions[i]];
        uint32_t moment = t->level == HISTORY_RR ? t->begin_us : op->begin_us;
        const struct commit_time *must = before(times, count, key_of(op), moment);
        if (must == NULL || must->position <= checker->external[i])
            continue;
        found_at(checker, must->position == NOTHING && checker->positions[must->value] == 0
                              ? ANOMALY_LOST_WRITE : ANOMALY_STALE_READ, i, must->value);
    }
    free(times);
}

/* Transactions of unknown outcome: where one write was seen, all must be. Of those, lists that were read
 * after the transaction had ended can tell. */
static void half_commits(struct checker *checker)
{
    const struct history *history = checker->history;
    uint32_t *looked = checker_memory(checker->keys, sizeof *looked);
    for (uint32_t i = 0; i < history->op_count; i++) {
        const struct history_op *op = &history->ops[i];
        if (is_read(op) && op->begin_us > looked[key_of(op)])
            looked[key_of(op)] = op->begin_us;
    }
    for (uint32_t i = 0; i < history->op_count; i++) {
        const struct history_op *op = &history->ops[i];
        uint32_t t = checker->op_transactions[i];
        if (op->kind == HISTORY_APPEND && history->transactions[t].outcome == HISTORY_UNKNOWN && checker->lives[t] &&
            checker->last[i] && checker->positions[op->value] == 0 &&
            looked[key_of(op)] > history->transactions[t].end_us)
            found_at(checker, ANOMALY_HALF_COMMIT, i, op->value);
    }
    free(looked);
}

/* --- all of it --- */

static void count_outcomes(struct checker *checker)
{
    const struct history *history = checker->history;
    struct checker_report *report = checker->report;
    for (uint32_t t = 0; t < history->count; t++) {
        uint8_t outcome = history->transactions[t].outcome;
        report->committed += outcome == HISTORY_COMMITTED;
        report->unknown += outcome == HISTORY_UNKNOWN;
        report->unknown_seen += outcome == HISTORY_UNKNOWN && checker->lives[t];
        report->aborted += outcome == HISTORY_ABORTED || outcome == HISTORY_RUNNING;
    }
}

void checker_check(const struct history *history, FILE *out, struct checker_report *report)
{
    struct checker checker = {.history = history, .report = report, .out = out};
    *report = (struct checker_report){.total = 0};
    find_sizes(&checker);
    checker.writers = checker_memory(checker.values, sizeof *checker.writers);
    checker.op_transactions = checker_memory(history->op_count, sizeof *checker.op_transactions);
    checker.undone = checker_memory(history->op_count, sizeof *checker.undone);
    checker.last = checker_memory(history->op_count, sizeof *checker.last);
    checker.external = checker_memory(history->op_count, sizeof *checker.external);
    checker.lives = checker_memory(history->count, sizeof *checker.lives);
    checker.orders = checker_memory(checker.keys, sizeof *checker.orders);
    checker.order = checker_memory(checker.values, sizeof *checker.order);
    checker.positions = checker_memory(checker.values, sizeof *checker.positions);
    find_writers(&checker);
    all_own_writes(&checker);
    checker_find_orders(&checker);
    look_at_reads(&checker);
    look_at_orders(&checker);
    stale_reads(&checker);
    half_commits(&checker);
    checker_find_circles(&checker);
    count_outcomes(&checker);
    void *const memory[] = {checker.writers, checker.op_transactions, checker.undone, checker.last,
        checker.external, checker.lives, checker.orders, checker.order, checker.positions};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        free(memory[i]);
}

void checker_print_report(const struct checker_report *report, FILE *out)
{
    fprintf(out, "history: committed=%" PRIu64 " aborted=%" PRIu64 " unknown=%" PRIu64 " (%" PRIu64
                 " seen) reads=%" PRIu64 " writes=%" PRIu64 " g2_item=%" PRIu64 " (allowed)\n",
            report->committed, report->aborted, report->unknown, report->unknown_seen, report->reads,
            report->writes, report->g2_item);
    for (unsigned i = 0; i < ANOMALY_COUNT; i++)
        if (report->found[i] != 0)
            fprintf(out, "  %" PRIu64 " x %s\n", report->found[i],
                    checker_anomaly_text((enum anomaly)i));
    fprintf(out, "isolation: anomalies=%" PRIu64 "\n", report->total);
}
