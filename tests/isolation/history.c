/* history.c - see history.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "history.h"

static const char *const levels[] = {"rc", "rr"};
static const char *const outcomes[] = {"running", "unknown", "committed", "aborted"};

static void *reserve(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("history: mmap");
        exit(2);
    }
    return memory;
}

struct history *history_create(size_t count_max, size_t op_max, size_t element_max)
{
    struct history *history = reserve(sizeof *history);
    history->count_max = count_max;
    history->op_max = op_max;
    history->element_max = element_max;
    history->transactions = reserve(count_max * sizeof *history->transactions);
    history->ops = reserve(op_max * sizeof *history->ops);
    history->elements = reserve(element_max * sizeof *history->elements);
    return history;
}

void history_destroy(struct history *history)
{
    munmap(history->transactions, history->count_max * sizeof *history->transactions);
    munmap(history->ops, history->op_max * sizeof *history->ops);
    munmap(history->elements, history->element_max * sizeof *history->elements);
    munmap(history, sizeof *history);
}

static void need(size_t count, size_t max, const char *what)
{
    if (count < max)
        return;
    fprintf(stderr, "history: more than %zu %s\n", max, what);
    exit(2);
}

struct history_transaction *history_begin(struct history *history, enum history_level level,
                                          uint32_t begin_us)
{
    need(history->count, history->count_max, "transactions");
    struct history_transaction *transaction = &history->transactions[history->count];
    *transaction = (struct history_transaction){.level = (uint8_t)level, .begin_us = begin_us,
        .outcome = HISTORY_RUNNING, .first = (uint32_t)history->op_count};
    history->count++;
    return transaction;
}

struct history_op *history_add(struct history *history, enum history_kind kind, uint32_t statement,
                               uint32_t key, uint32_t value)
{
    need(history->op_count, history->op_max, "ops");
    struct history_op *op = &history->ops[history->op_count++];
    *op = (struct history_op){.kind = (uint8_t)kind, .statement = (uint16_t)statement, .key = key,
        .value = value, .first = (uint32_t)history->element_count};
    history->transactions[history->count - 1].count++;
    return op;
}

void history_element(struct history *history, uint32_t value)
{
    need(history->element_count, history->element_max, "elements");
    history->elements[history->element_count++] = value;
    history->ops[history->op_count - 1].length++;
}

void history_append(struct history *whole, const struct history *part)
{
    size_t ops = whole->op_count, elements = whole->element_count;
    need(whole->count + part->count, whole->count_max + 1, "transactions");
    need(ops + part->op_count, whole->op_max + 1, "ops");
    need(elements + part->element_count, whole->element_max + 1, "elements");
    for (size_t i = 0; i < part->count; i++) {
        struct history_transaction *out = &whole->transactions[whole->count++];
        *out = part->transactions[i];
        out->first += (uint32_t)ops;
    }
    for (size_t i = 0; i < part->op_count; i++) {
        whole->ops[ops + i] = part->ops[i];
        whole->ops[ops + i].first += (uint32_t)elements;
    }
    memcpy(whole->elements + elements, part->elements, part->element_count * sizeof *part->elements);
    whole->op_count += part->op_count;
    whole->element_count += part->element_count;
}

/* --- text --- */

static void print_op(const struct history *history, const struct history_op *op, FILE *out)
{
    static const char letters[] = "alwr";
    if (op->kind == HISTORY_UNDO) {
        fprintf(out, " undo%" PRIu32, op->value);
        return;
    }
    fprintf(out, " %c%" PRIu32 "=", letters[op->kind], op->key);
    if (op->kind == HISTORY_LIST) {
        for (uint32_t i = 0; i < op->length; i++)
            fprintf(out, "%s%" PRIu32, i == 0 ? "" : ",", history->elements[op->first + i]);
    } else if (op->kind == HISTORY_REGISTER) {
        fprintf(out, "%" PRIu32 "@%" PRIu32, op->value, op->version);
    } else {
        fprintf(out, "%" PRIu32, op->value);
    }
}

void history_print(const struct history *history, size_t transaction, FILE *out)
{
    const struct history_transaction *t = &history->transactions[transaction];
    const struct history_op *ops = history->ops + t->first;
    fprintf(out, "%s %s %" PRIu32 " %" PRIu32 " %" PRIu32 ":", levels[t->level],
            outcomes[t->outcome], t->begin_us, t->commit_us, t->end_us);
    for (uint32_t i = 0; i < t->count; i++) {
        bool first = i == 0 || ops[i].statement != ops[i - 1].statement;
        if (first && i > 0)
            fprintf(out, ";");
        if (first && (ops[i].begin_us != t->begin_us || ops[i].end_us != t->end_us))
            fprintf(out, " @%" PRIu32 "-%" PRIu32, ops[i].begin_us, ops[i].end_us);
        print_op(history, &ops[i], out);
    }
    fprintf(out, "\n");
}

static bool word_among(const char *word, const char *const *words, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0) {
            *out = (uint8_t)i;
            return true;
        }
    return false;
}

static uint32_t number_at(const char **at)
{
    char *end;
    unsigned long value = strtoul(*at, &end, 10);
    *at = end;
    return (uint32_t)value;
}

/* One op at `*at`, which moves behind it. */
static bool read_op(struct history *history, uint32_t statement, const char **at)
{
    static const char letters[] = "alwr";
    if (strncmp(*at, "undo", 4) == 0) {
        *at += 4;
        history_add(history, HISTORY_UNDO, statement, 0, number_at(at));
        return true;
    }
    const char *letter = **at == '\0' ? NULL : strchr(letters, **at);
    if (letter == NULL)
        return false;
    ++*at;
    uint32_t key = number_at(at);
    if (*(*at)++ != '=')
        return false;
    struct history_op *op = history_add(history, (enum history_kind)(letter - letters), statement, key, 0);
    if (op->kind != HISTORY_LIST) {
        op->value = number_at(at);
        if (op->kind == HISTORY_REGISTER && *(*at)++ == '@')
            op->version = number_at(at);
        return true;
    }
    while (**at >= '0' && **at <= '9') {
        history_element(history, number_at(at));
        if (**at == ',')
            ++*at;
    }
    return true;
}

/* The statements of the newest transaction; each has its times, or the transaction's. */
static bool read_statements(struct history *history, const struct history_transaction *t, const char *at)
{
    uint32_t statement = 0, begin = t->begin_us, end = t->end_us;
    while (*at != '\0' && *at != '\n') {
        uint32_t before = t->count;
        if (*at == ' ') {
            at++;
        } else if (*at == ';') {
            statement++;
            begin = t->begin_us;
            end = t->end_us;
            at++;
        } else if (*at == '@') {
            at++;
            begin = number_at(&at);
            at += *at == '-';
            end = number_at(&at);
        } else if (!read_op(history, statement, &at)) {
            fprintf(stderr, "history: cannot read %s\n", at);
            return false;
        }
        if (t->count > before) {
            history->ops[t->first + before].begin_us = begin;
            history->ops[t->first + before].end_us = end;
        }
    }
    return true;
}

bool history_read_line(struct history *history, const char *line)
{
    char level[16], outcome[16];
    uint32_t begin, commit, end;
    int length = 0;
    uint8_t level_number, outcome_number;
    if (sscanf(line, "%15s %15s %" SCNu32 " %" SCNu32 " %" SCNu32 "%n", level, outcome, &begin, &commit,
               &end, &length) != 5 ||
        line[length] != ':' || !word_among(level, levels, 2, &level_number) ||
        !word_among(outcome, outcomes, 4, &outcome_number)) {
        fprintf(stderr, "history: cannot read %s\n", line);
        return false;
    }
    struct history_transaction *t = history_begin(history, level_number, begin);
    t->outcome = outcome_number;
    t->commit_us = commit;
    t->end_us = end;
    return read_statements(history, t, line + length + 1);
}
