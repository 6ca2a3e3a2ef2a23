/* workload_client.c - one client of the workload: transactions at random, each written down.
 *
 * A write is written down before its statement is run. Where the statement fails, or finds no row, an
 * UNDO follows it, as one does where a savepoint is rolled back to.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "workload.h"

enum { STEPS_MAX = 6, SPAN_MAX = 8, SEEN_MAX = 64, VALUE_BYTES = 16, NEVER = -1, ATTEMPTS_MAX = 20 };

/* How a step ends: GIVE_UP where its statement failed as it may; WRONG has been told. */
enum step { GO_ON, GIVE_UP, WRONG };

uint32_t workload_now_us(const struct workload_shared *shared)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec - shared->started_ns;
    return (uint32_t)(ns / 1000) + 1;
}

static struct history_transaction *current(const struct workload_client *client)
{
    return &client->history->transactions[client->history->count - 1];
}

void workload_violation(struct workload_client *client, const char *format, ...)
{
    va_list arguments;
    atomic_store(&client->shared->stop, true);
    if (atomic_fetch_add(&client->shared->violations, 1) > 3)
        return;
    va_start(arguments, format);
    flockfile(stdout);
    printf("client %u: ", client->number);
    vprintf(format, arguments);
    printf("\n  ");
    if (client->history->count > 0)
        history_print(client->history, client->history->count - 1, stdout);
    fflush(stdout);
    funlockfile(stdout);
    va_end(arguments);
}

static uint32_t below(struct workload_client *client, uint32_t limit)
{
    return (uint32_t)random_below(&client->random, limit);
}

static uint32_t some_key(struct workload_client *client)
{
    uint32_t base = atomic_load_explicit(&client->shared->writes, memory_order_relaxed) / APPENDS_A_KEY;
    uint32_t key = base + below(client, WINDOW_KEYS);
    return key < client->shared->key_count ? key : (uint32_t)client->shared->key_count - 1;
}

/* Whether one in so many things is to be done by the engine. */
static bool by_engine(struct workload_client *client, uint32_t one_in)
{
    one_in *= client->shared->options.engine_one_in;
    return client->shared->options.engine && (one_in == 1 || below(client, one_in) == 0);
}

static uint32_t new_value(struct workload_client *client, uint32_t count)
{
    atomic_fetch_add_explicit(&client->shared->writes, count, memory_order_relaxed);
    return atomic_fetch_add_explicit(&client->shared->value, count, memory_order_relaxed) + 1;
}

/* --- statements --- */

/* Whether this failure is one that this transaction may meet. */
static bool allowed(struct workload_client *client, const char *also)
{
    const char *state = client->error.sqlstate;
    bool deadlock = strcmp(state, "40P01") == 0, timeout = strcmp(state, "55P03") == 0,
         serialization = strcmp(state, "40001") == 0,
         disturbance = strcmp(state, "57014") == 0 || strcmp(state, "53200") == 0;
    client->deadlocks += deadlock;
    client->timeouts += timeout;
    client->serialization_failures += serialization;
    client->disturbances += disturbance;
    if (disturbance)
        return client->shared->options.disturbed;
    if (deadlock || timeout)
        return deadlock || client->gives_up || client->form == LIST_NOWAIT;
    if (serialization)
        return client->in_transaction && client->level == HISTORY_RR;
    return also != NULL && strcmp(state, also) == 0;
}

/* Runs a statement. `also`: a failure that it may meet. */
static enum step run(struct workload_client *client, enum form form, const int64_t *arguments,
                     const char *text, const char *also, omen_statement **out)
{
    client->began_us = workload_now_us(client->shared);
    client->statement++;
    if (workload_run(client, form, arguments, text, out) == OMEN_OK)
        return GO_ON;
    if (allowed(client, also))
        return GIVE_UP;
    workload_violation(client, "statement %d failed: %s %s", (int)form, client->error.sqlstate,
                       client->error.message);
    return WRONG;
}

static struct history_op *add(struct workload_client *client, enum history_kind kind, uint32_t key,
                              uint32_t value)
{
    struct history_op *op = history_add(client->history, kind, client->statement, key, value);
    op->begin_us = client->began_us;
    return op;
}

/* Writes down a write that the next statement is to make. */
static uint32_t plan_write(struct workload_client *client, enum history_kind kind, uint32_t key,
                           uint32_t value)
{
    uint32_t op = current(client)->count;
    client->began_us = workload_now_us(client->shared);
    history_add(client->history, kind, client->statement + 1, key, value)->begin_us = client->began_us;
    return op;
}

static void take_back(struct workload_client *client, uint32_t op)
{
    add(client, HISTORY_UNDO, 0, op);
    while (client->made_count > 0 && client->made[client->made_count - 1].op >= op)
        client->made_count--;
}

/* --- reads --- */

/* A text like ",17,18" becomes the elements of the newest op. */
static void add_elements(struct workload_client *client, omen_bytes text)
{
    uint32_t value = 0;
    for (size_t i = 0; i <= text.length; i++) {
        bool digit = i < text.length && text.data[i] >= '0' && text.data[i] <= '9';
        if (digit)
            value = value * 10 + (uint32_t)(text.data[i] - '0');
        else if (i > 0)
            history_element(client->history, value);
        if (!digit)
            value = 0;
    }
}

/* What a read found, in sum, to be compared with what aggregates say. */
struct found {
    int64_t rows, versions, value_max;
    bool seen[SEEN_MAX];
};

static bool add_row(struct workload_client *client, omen_statement *statement, bool lists, bool registers,
                    uint32_t low, uint32_t high, struct found *found)
{
    uint32_t key = (uint32_t)omen_statement_value(statement, 0).as.i64;
    size_t column = 1;
    if (key < low || key > high || (high - low < SEEN_MAX && found->seen[key - low])) {
        workload_violation(client, "key %" PRIu32 " came twice, or not as asked for", key);
        return false;
    }
    if (high - low < SEEN_MAX)
        found->seen[key - low] = true;
    found->rows++;
    if (lists) {
        struct history_op *op = add(client, HISTORY_LIST, key, 0);
        add_elements(client, omen_statement_value(statement, column++).as.bytes);
        op->end_us = workload_now_us(client->shared);
    }
    if (registers) {
        int64_t value = omen_statement_value(statement, column).as.i64;
        struct history_op *op = add(client, HISTORY_REGISTER, key, (uint32_t)value);
        op->version = (uint32_t)omen_statement_value(statement, column + 1).as.i64;
        op->end_us = workload_now_us(client->shared);
        found->versions += op->version;
        found->value_max = value > found->value_max ? value : found->value_max;
    }
    return true;
}

/* Runs a query of keys low..high and writes down all it found; where `whole`, also what it did not. */
static enum step look(struct workload_client *client, enum form form, uint32_t low, uint32_t high,
                      bool whole, struct found *found)
{
    const int64_t arguments[] = {low, high};
    bool lists = form == LIST_BY_KEY || form == LIST_BY_ENGINE || form == LISTS_BETWEEN ||
                 form == LISTS_ALL || form == JOINED || (form >= LIST_LOCK && form <= LIST_SKIP);
    bool registers = !lists || form == JOINED;
    omen_statement *statement;
    omen_status status;
    *found = (struct found){.rows = 0};
    enum step step = run(client, form, arguments, NULL, NULL, &statement);
    if (step != GO_ON)
        return step;
    while ((status = omen_step(statement, &client->error)) == OMEN_OK)
        if (!add_row(client, statement, lists, registers, low, high, found))
            return WRONG;
    if (status != OMEN_END_OF_DATA && allowed(client, NULL))
        return GIVE_UP;
    if (status != OMEN_END_OF_DATA) {
        workload_violation(client, "reading failed: %s %s", client->error.sqlstate, client->error.message);
        return WRONG;
    }
    for (uint32_t key = low; whole && key <= high; key++)
        if (!found->seen[key - low])
            add(client, lists ? HISTORY_LIST : HISTORY_REGISTER, key, 0)->end_us =
                workload_now_us(client->shared);
    return GO_ON;
}

static enum step read_one(struct workload_client *client)
{
    bool list = below(client, 2) == 0, engine = by_engine(client, 6);
    uint32_t key = some_key(client);
    struct found found;
    enum form form = list ? (engine ? LIST_BY_ENGINE : LIST_BY_KEY)
                          : (engine ? REGISTER_BY_ENGINE : REGISTER_BY_KEY);
    return look(client, form, key, key, true, &found);
}

static enum step read_range(struct workload_client *client, uint32_t span)
{
    static const enum form range[] = {LISTS_BETWEEN, REGISTERS_BETWEEN, JOINED};
    uint32_t low = some_key(client), which = below(client, 3);
    struct found found;
    if (!by_engine(client, 1))
        return read_one(client);
    return look(client, range[which], low, low + below(client, span), which != 2, &found);
}

static enum step numbers(struct workload_client *client, enum form form, uint32_t low, uint32_t high,
                         int64_t out[3])
{
    const int64_t arguments[] = {low, high};
    omen_statement *statement;
    enum step step = run(client, form, arguments, NULL, NULL, &statement);
    if (step != GO_ON)
        return step;
    omen_status status = omen_step(statement, &client->error);
    if (status != OMEN_OK && status != OMEN_END_OF_DATA && allowed(client, NULL))
        return GIVE_UP;
    if (status != OMEN_OK) {
        workload_violation(client, "an aggregate gave no row");
        return WRONG;
    }
    for (size_t i = 0; i < 3; i++) {
        omen_value value = omen_statement_value(statement, i);
        out[i] = value.is_null ? 0 : value.as.i64; /* NULL: there are fewer columns */
    }
    return GO_ON;
}

/* Aggregates and rows of one snapshot agree, with own writes. */
static enum step sum(struct workload_client *client)
{
    uint32_t low = some_key(client), high = low + below(client, SPAN_MAX);
    struct found found;
    int64_t told[3];
    enum step step = numbers(client, REGISTERS_SUMMED, low, high, told);
    if (step == GO_ON)
        step = look(client, REGISTERS_BETWEEN, low, high, true, &found);
    if (step != GO_ON || client->level != HISTORY_RR)
        return step;
    if (told[0] == found.rows && told[1] == found.versions && told[2] == found.value_max)
        return GO_ON;
    workload_violation(client, "registers %" PRIu32 " to %" PRIu32 ": count %" PRId64 ", sum %" PRId64
                       ", max %" PRId64 "; rows say %" PRId64 ", %" PRId64 ", %" PRId64, low, high,
                       told[0], told[1], told[2], found.rows, found.versions, found.value_max);
    return WRONG;
}

/* What statistics may answer agrees with what a scan counts. */
static enum step count(struct workload_client *client, bool events)
{
    int64_t quick[3], scanned[3];
    enum step step = numbers(client, events ? EVENTS_COUNTED : LISTS_COUNTED, 0, 0, quick);
    if (step == GO_ON)
        step = numbers(client, events ? EVENTS_COUNTED_BY_SCAN : LISTS_COUNTED_BY_SCAN, 0, 0, scanned);
    if (step != GO_ON || (!events && client->level != HISTORY_RR))
        return step;
    if (memcmp(quick, scanned, sizeof quick) == 0 && (!events || quick[0] == 2))
        return GO_ON;
    workload_violation(client, "%s: count %" PRId64 ", min %" PRId64 ", max %" PRId64 "; a scan says %"
                       PRId64 ", %" PRId64 ", %" PRId64, events ? "events" : "lists", quick[0], quick[1],
                       quick[2], scanned[0], scanned[1], scanned[2]);
    return WRONG;
}

/* An own row beside the one of a table that never changes, so that all is known of it: counted, and
 * taken back. */
static enum step count_own(struct workload_client *client)
{
    const int64_t arguments[] = {new_value(client, 1)};
    omen_statement *statement;
    enum step step = run(client, SAVEPOINT, NULL, NULL, NULL, &statement);
    if (step == GO_ON)
        step = run(client, EVENT_INSERT, arguments, NULL, NULL, &statement);
    if (step == GO_ON)
        step = count(client, true);
    if (step == GO_ON)
        step = run(client, ROLLBACK_TO, NULL, NULL, NULL, &statement);
    if (step == GO_ON)
        step = run(client, RELEASE, NULL, NULL, NULL, &statement);
    if (step != GO_ON)
        client->savepoint_count = 0; /* which of them is the newest is not known */
    return step;
}

/* --- writes --- */

static void made(struct workload_client *client, bool list, uint32_t key, uint32_t op)
{
    if (client->made_count < MADE_MAX)
        client->made[client->made_count++] = (struct workload_made){.list = list, .key = key, .op = op};
}

/* Runs a statement that writes what ops from `op` on say. `rows`: how many it must write; NEVER where
 * none is right too. Where it wrote nothing the ops are taken back. */
static enum step write_rows(struct workload_client *client, enum form form, const int64_t *arguments,
                            const char *text, const char *also, uint32_t op, int64_t rows, bool *wrote)
{
    omen_statement *statement;
    enum step step = run(client, form, arguments, text, also, &statement);
    *wrote = step == GO_ON && omen_statement_rows_affected(statement) != 0;
    if (!*wrote)
        take_back(client, op);
    if (step != GO_ON)
        return step;
    int64_t written = (int64_t)omen_statement_rows_affected(statement);
    if (written == rows || (rows == NEVER && written <= 1))
        return GO_ON;
    workload_violation(client, "statement %d wrote %" PRId64 " rows instead of %" PRId64, (int)form,
                       written, rows);
    return WRONG;
}

static enum step insert_list(struct workload_client *client, uint32_t key)
{
    char text[VALUE_BYTES];
    uint32_t value = new_value(client, 1), op = plan_write(client, HISTORY_APPEND, key, value);
    const int64_t arguments[] = {key};
    bool wrote;
    client->touched = key;
    snprintf(text, sizeof text, ",%" PRIu32, value);
    enum step step = write_rows(client, LIST_INSERT, arguments, text, "23505", op, 1, &wrote);
    if (wrote)
        made(client, true, key, op);
    return step;
}

/* Whether the row is sure to be found: there before the transaction began, or before the statement. */
static bool must_find(const struct workload_client *client, bool list, uint32_t key)
{
    const struct workload_shared *shared = client->shared;
    if (list && key < client->ready)
        return true;
    if (!list && shared->options.unique)
        return false; /* another may put a row in its place while the statement waits for that one */
    return client->level == HISTORY_RC && atomic_load(list ? &shared->lists[key] : &shared->registers[key]) != 0;
}

static enum step append(struct workload_client *client)
{
    char text[VALUE_BYTES];
    uint32_t key = some_key(client), value = new_value(client, 1);
    bool must = must_find(client, true, key), wrote;
    bool engine = by_engine(client, 5);
    const int64_t arguments[] = {key};
    uint32_t op = plan_write(client, HISTORY_APPEND, key, value);
    client->touched = key;
    snprintf(text, sizeof text, ",%" PRIu32, value);
    enum step step = write_rows(client, engine ? LIST_APPEND_BY_ENGINE : LIST_APPEND, arguments, text, NULL, op,
                                must ? 1 : NEVER, &wrote);
    if (step != GO_ON || wrote || !client->in_transaction)
        return step;
    return insert_list(client, key);
}

static enum step append_range(struct workload_client *client)
{
    uint32_t low = some_key(client), high = low + below(client, SPAN_MAX);
    if (high >= client->ready)
        high = client->ready - 1;
    if (client->ready == 0 || high < low || !by_engine(client, 1))
        return append(client);
    uint32_t rows = high - low + 1, value = new_value(client, rows), op = current(client)->count;
    for (uint32_t i = 0; i < rows; i++)
        plan_write(client, HISTORY_APPEND, low + i, value + i);
    const int64_t arguments[] = {low, high, (int64_t)value - low};
    bool wrote;
    return write_rows(client, LISTS_APPEND_BETWEEN, arguments, NULL, NULL, op, rows, &wrote);
}

static enum step insert_register(struct workload_client *client, uint32_t key)
{
    uint32_t value = new_value(client, 1), op = plan_write(client, HISTORY_WRITE, key, value);
    const int64_t arguments[] = {key, value, 1};
    bool wrote;
    enum step step = write_rows(client, REGISTER_INSERT, arguments, NULL, "23505", op, 1, &wrote);
    if (wrote)
        made(client, false, key, op);
    return step;
}

static enum step set(struct workload_client *client, uint32_t key, bool *wrote)
{
    uint32_t value = new_value(client, 1);
    bool must = must_find(client, false, key);
    bool engine = by_engine(client, 5);
    const int64_t arguments[] = {key, value};
    uint32_t op = plan_write(client, HISTORY_WRITE, key, value);
    return write_rows(client, engine ? REGISTER_SET_BY_ENGINE : REGISTER_SET, arguments, NULL, NULL, op,
                      must ? 1 : NEVER, wrote);
}

static enum step set_and_look(struct workload_client *client)
{
    uint32_t key = some_key(client);
    struct found found;
    bool wrote;
    enum step step = set(client, key, &wrote);
    if (step != GO_ON || !client->in_transaction)
        return step;
    if (!wrote)
        step = insert_register(client, key);
    return step != GO_ON || below(client, 4) == 0 ? step
                                                  : look(client, REGISTER_BY_KEY, key, key, true, &found);
}

/* Sets a register, deletes it and inserts it again with the version that follows. */
static enum step replace(struct workload_client *client)
{
    uint32_t key = some_key(client);
    int64_t arguments[] = {key, 0, 0};
    struct found found;
    bool wrote;
    omen_statement *statement;
    enum step step = set(client, key, &wrote);
    if (step != GO_ON || !wrote || !client->in_transaction)
        return step;
    step = look(client, REGISTER_BY_KEY, key, key, true, &found);
    if (step == GO_ON)
        step = run(client, REGISTER_DELETE, arguments, NULL, NULL, &statement);
    if (step != GO_ON)
        return step;
    if (omen_statement_rows_affected(statement) != 1) {
        workload_violation(client, "an own row was not there to be deleted");
        return WRONG;
    }
    uint32_t value = new_value(client, 1), op = plan_write(client, HISTORY_WRITE, key, value);
    arguments[1] = value;
    arguments[2] = found.versions + 1;
    return write_rows(client, REGISTER_INSERT, arguments, NULL, NULL, op, 1, &wrote);
}

/* Locks a list, reads it again after whatever else, and appends: nobody can have come between. */
static enum step lock_and_append(struct workload_client *client)
{
    uint32_t key = some_key(client);
    struct found locked, again;
    if (key >= client->ready || atomic_load(&client->shared->no_row_locks))
        return append(client);
    enum form form = LIST_LOCK;
    if (client->shared->options.lock_modes)
        form += below(client, 1 + LIST_SKIP - LIST_LOCK);
    enum step step = look(client, form, key, key, form != LIST_SKIP, &locked);
    if (step != GO_ON || form == LIST_KEY_SHARE || locked.rows == 0)
        return step;
    uint32_t length = client->history->ops[client->history->op_count - 1].length;
    step = read_one(client);
    if (step == GO_ON)
        step = look(client, LIST_BY_KEY, key, key, true, &again);
    if (step != GO_ON || client->history->ops[client->history->op_count - 1].length == length)
        return step;
    workload_violation(client, "list %" PRIu32 " changed although it was locked", key);
    return WRONG;
}

/* A statement that fails when it has already met a row that it would change. */
static enum step fail(struct workload_client *client)
{
    uint32_t low = some_key(client), high = low + 1 + below(client, SPAN_MAX);
    omen_statement *statement;
    if (client->ready == 0)
        return GO_ON;
    if (high >= client->ready)
        high = client->ready - 1;
    const int64_t arguments[] = {low < high ? low : high, high};
    const int64_t keys[] = {some_key(client), high};
    client->touched = high;
    bool divide = by_engine(client, 2);
    enum step step = divide ? run(client, LISTS_DIVIDE, arguments, NULL, "22012", &statement)
                            : run(client, LISTS_INSERT_TWO, keys, NULL, "23505", &statement);
    if (step != GO_ON)
        return step;
    workload_violation(client, "a statement did not fail");
    return WRONG;
}

/* --- transactions --- */

/* Rolls back to the newest savepoint, and looks at what was written to last. */
static enum step go_back(struct workload_client *client)
{
    omen_statement *statement;
    struct found found;
    atomic_fetch_add(&client->shared->savepoints, 1);
    enum step step = run(client, ROLLBACK_TO, NULL, NULL, NULL, &statement);
    take_back(client, client->savepoints[client->savepoint_count - 1]);
    if (step != GO_ON || below(client, 4) == 0)
        return step;
    return look(client, LIST_BY_KEY, client->touched, client->touched, true, &found);
}

static enum step savepoint(struct workload_client *client)
{
    omen_statement *statement;
    uint32_t what = below(client, 3), count = client->savepoint_count;
    if (count == 0 || (what == 0 && count < SAVEPOINTS_MAX)) {
        client->savepoints[count] = current(client)->count;
        enum step step = run(client, SAVEPOINT, NULL, NULL, NULL, &statement);
        client->savepoint_count += step == GO_ON;
        return step;
    }
    if (what != 1)
        return go_back(client);
    atomic_fetch_add(&client->shared->savepoints, 1);
    enum step step = run(client, RELEASE, NULL, NULL, NULL, &statement);
    client->savepoint_count -= step == GO_ON;
    return step;
}

static enum step some_step(struct workload_client *client)
{
    uint32_t what = below(client, client->in_transaction ? 22 : 14);
    switch (what) {
    case 0: case 1: case 2: return read_one(client);
    case 3: return read_range(client, SPAN_MAX);
    case 4: case 5: case 6: case 7: return append(client);
    case 8: return append_range(client);
    case 9: case 10: case 11: return set_and_look(client);
    case 12: return insert_list(client, some_key(client));
    case 13: return read_one(client);
    case 14: case 15: return replace(client);
    case 16: return lock_and_append(client);
    case 17: return by_engine(client, 1) ? sum(client) : read_one(client);
    case 18:
        if (!by_engine(client, 1))
            return read_one(client);
        return below(client, 4) == 0 ? count(client, false) : count_own(client);
    case 19: return fail(client);
    default: return savepoint(client);
    }
}

static void start(struct workload_client *client, bool in_transaction, enum history_level level)
{
    client->statement = client->savepoint_count = client->made_count = client->touched = 0;
    client->in_transaction = in_transaction;
    client->level = level;
    uint32_t ready = atomic_load(&client->shared->ready);
    while (ready < client->shared->key_count && atomic_load(&client->shared->lists[ready]) != 0)
        ready++;
    atomic_store(&client->shared->ready, ready); /* others may store less: it is there all the same */
    client->ready = ready;
    history_begin(client->history, level, workload_now_us(client->shared));
}

/* Asks for the commit: from here on its outcome is not known. */
static void ask(struct workload_client *client)
{
    current(client)->commit_us = workload_now_us(client->shared);
    atomic_signal_fence(memory_order_seq_cst);
    current(client)->outcome = HISTORY_UNKNOWN;
}

static void ended(struct workload_client *client, enum history_outcome outcome)
{
    current(client)->end_us = workload_now_us(client->shared);
    atomic_signal_fence(memory_order_seq_cst);
    current(client)->outcome = (uint8_t)outcome;
    for (uint32_t i = 0; outcome == HISTORY_COMMITTED && i < client->made_count; i++) {
        const struct workload_made *row = &client->made[i];
        atomic_store(row->list ? &client->shared->lists[row->key] : &client->shared->registers[row->key], 1);
    }
}

static bool finish(struct workload_client *client, bool commit)
{
    omen_statement *statement;
    if (commit)
        ask(client);
    else
        current(client)->outcome = HISTORY_ABORTED;
    enum step step = run(client, commit ? COMMIT : ROLLBACK, NULL, NULL, NULL, &statement);
    if (step == GIVE_UP && !client->shared->options.disturbed)
        workload_violation(client, "COMMIT failed: %s", client->error.message);
    for (unsigned i = 0; step == GIVE_UP && i < ATTEMPTS_MAX; i++) {
        commit = false;
        step = run(client, ROLLBACK, NULL, NULL, NULL, &statement);
    }
    if (step != GO_ON)
        return false;
    ended(client, commit ? HISTORY_COMMITTED : HISTORY_ABORTED);
    return true;
}

/* One statement alone. */
static bool alone(struct workload_client *client)
{
    start(client, false, HISTORY_RC);
    ask(client);
    enum step step = some_step(client);
    ended(client, step == GO_ON ? HISTORY_COMMITTED : HISTORY_ABORTED);
    return step != WRONG;
}

static enum step give_up(struct workload_client *client)
{
    atomic_fetch_add(&client->shared->failures, 1);
    return client->savepoint_count == 0 || below(client, 4) == 0 ? GIVE_UP : go_back(client);
}

static bool transaction(struct workload_client *client, bool analyst)
{
    omen_statement *statement;
    start(client, true, analyst || below(client, 2) == 0 ? HISTORY_RR : HISTORY_RC);
    enum step step = run(client, client->level == HISTORY_RR ? BEGIN_RR : BEGIN_RC, NULL, NULL, NULL, &statement);
    for (uint32_t left = 1 + below(client, STEPS_MAX); left > 0 && step == GO_ON; left--) {
        step = analyst ? read_range(client, 2 * WINDOW_KEYS) : some_step(client);
        if (step == GIVE_UP)
            step = give_up(client);
    }
    if (step == WRONG)
        return false;
    return finish(client, step == GO_ON && below(client, 8) != 0);
}

void *workload_client_work(void *argument)
{
    struct workload_client *client = argument;
    const struct workload_options *options = &client->shared->options;
    size_t share = options->transactions / options->clients;
    bool analyst = client->number == 0 && options->clients > 2 && options->engine;
    while (client->history->count < share && !atomic_load(&client->shared->stop)) {
        bool single = options->alone || (!analyst && below(client, 5) == 0);
        if (!(single ? alone(client) : transaction(client, analyst)))
            break;
    }
    if (atomic_load(&client->shared->stop)) { /* in the midst of a transaction others may wait for */
        omen_statement *statement;
        (void)!workload_run(client, ROLLBACK, NULL, NULL, &statement);
    }
    return NULL;
}

bool workload_last_look(struct workload_client *client)
{
    omen_statement *statement;
    struct found found;
    bool several = !client->shared->options.alone;
    start(client, several, several ? HISTORY_RR : HISTORY_RC);
    if (several && run(client, BEGIN_RR, NULL, NULL, NULL, &statement) != GO_ON)
        return false;
    if (look(client, LISTS_ALL, 0, UINT32_MAX, false, &found) != GO_ON ||
        look(client, REGISTERS_ALL, 0, UINT32_MAX, false, &found) != GO_ON)
        return false;
    if (several)
        return finish(client, true);
    ended(client, HISTORY_COMMITTED);
    return true;
}

/* --- sessions --- */

bool workload_client_open(struct workload_client *client, struct workload_shared *shared,
                          unsigned number, omen_database *database)
{
    *client = (struct workload_client){.shared = shared, .number = number, .database = database,
        .history = shared->histories[number]};
    client->random = random_seeded(shared->options.seed * 1000003 + number * 7919 + client->history->count);
    if (omen_connect(database, &client->connection, &client->error) == OMEN_OK)
        return true;
    printf("connecting failed: %s\n", client->error.message);
    return false;
}

void workload_client_close(struct workload_client *client)
{
    omen_statement_release(client->passing);
    for (size_t i = 0; i < FORMS; i++)
        omen_statement_release(client->prepared[i]);
    omen_disconnect(client->connection);
}
