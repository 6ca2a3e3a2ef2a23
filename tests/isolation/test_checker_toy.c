/* test_checker_toy.c - the checker against long histories of a toy database that is right, and of the
 * same with a bug.
 *
 * The toy has multi-version lists and registers in memory, snapshots as they should be, and locks that
 * are never waited for: who finds a key locked gives up. Its sessions are mixed at random in one thread.
 * `test_checker_toy TRANSACTIONS` prints how long the checker takes.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "checker.h"

enum { SESSIONS = 6, KEYS_LIVE = 8, VERSIONS_MAX = 40, STATEMENTS_MAX = 6, OWN_MAX = 16, OPS_A_TRANSACTION = 32 };

enum bug { RIGHT, READS_NEWEST, NO_WRITE_CHECK, READS_UNCOMMITTED, MISSES_OWN, KEEPS_UNDONE, SNAPSHOT_EARLY,
    COMMITS_HALF, BUGS };

struct version {
    uint32_t value, number;
    uint64_t time; /* of its commit; UINT64_MAX: not committed */
};

struct key {
    uint32_t count;
    int owner; /* session + 1 */
    struct version versions[VERSIONS_MAX];
};

struct own {
    uint32_t key, value, op;
};

struct session {
    struct history *history;
    bool open;
    enum history_level level;
    uint64_t snapshot;
    uint32_t statement, own_count;
    struct own own[OWN_MAX];
};

struct toy {
    enum bug bug;
    struct random random;
    uint64_t time;
    uint32_t value, clock, key_count, base;
    struct key *keys; /* even: lists, odd: registers, as key_of numbers them */
    struct session sessions[SESSIONS];
};

static uint32_t below(struct toy *toy, uint32_t limit)
{
    return (uint32_t)random_below(&toy->random, limit);
}

/* How many versions of a key the session sees. */
static uint32_t seen(struct toy *toy, struct session *session, struct key *key)
{
    uint64_t snapshot = session->level == HISTORY_RR ? session->snapshot : toy->time;
    if (toy->bug == READS_NEWEST && below(toy, 50) == 0)
        snapshot = toy->time;
    if (toy->bug == READS_UNCOMMITTED && below(toy, 50) == 0)
        return key->count;
    if (toy->bug == SNAPSHOT_EARLY && session->level == HISTORY_RC && snapshot > 3 && below(toy, 50) == 0)
        snapshot -= 3;
    uint32_t count = 0;
    while (count < key->count && key->versions[count].time <= snapshot)
        count++;
    return count;
}

static void read_key(struct toy *toy, struct session *session, uint32_t number)
{
    struct key *key = &toy->keys[number];
    uint32_t count = seen(toy, session, key), value = 0, version = 0;
    bool list = number % 2 == 0;
    struct history_op *op = history_add(session->history, list ? HISTORY_LIST : HISTORY_REGISTER,
                                        session->statement, number / 2, 0);
    op->begin_us = op->end_us = ++toy->clock;
    bool own_seen = toy->bug != MISSES_OWN || below(toy, 50) != 0;
    for (uint32_t i = 0; i < key->count; i++) {
        bool own = key->owner == session - toy->sessions + 1 && key->versions[i].time == UINT64_MAX;
        if (i >= count && !(own && own_seen))
            continue;
        value = key->versions[i].value;
        version = key->versions[i].number;
        if (list)
            history_element(session->history, value);
    }
    op->value = list ? 0 : value;
    op->version = version;
}

/* False where the session has to give up. */
static bool write_key(struct toy *toy, struct session *session, uint32_t number)
{
    struct key *key = &toy->keys[number];
    int me = (int)(session - toy->sessions) + 1;
    if (key->count == VERSIONS_MAX || session->own_count == OWN_MAX)
        return true;
    if (key->owner != 0 && key->owner != me)
        return false;
    if (session->level == HISTORY_RR && toy->bug != NO_WRITE_CHECK && key->owner == 0 && key->count > 0 &&
        key->versions[key->count - 1].time > session->snapshot)
        return false;
    key->owner = me;
    bool list = number % 2 == 0;
    struct version *version = &key->versions[key->count];
    *version = (struct version){.value = ++toy->value, .time = UINT64_MAX,
        .number = key->count == 0 ? 1 : version[-1].number + 1};
    key->count++;
    struct history_op *op = history_add(session->history, list ? HISTORY_APPEND : HISTORY_WRITE,
                                        session->statement, number / 2, version->value);
    op->begin_us = op->end_us = ++toy->clock;
    uint32_t place = session->history->transactions[session->history->count - 1].count - 1;
    session->own[session->own_count++] = (struct own){.key = number, .value = version->value, .op = place};
    return true;
}

static void take_back(struct toy *toy, struct session *session, uint32_t from)
{
    if (toy->bug == KEEPS_UNDONE && from > 0 && below(toy, 20) == 0)
        return;
    while (session->own_count > from) {
        struct key *key = &toy->keys[session->own[--session->own_count].key];
        key->count--;
        bool mine = key->count > 0 && key->versions[key->count - 1].time == UINT64_MAX;
        if (!mine)
            key->owner = 0;
    }
}

static void end(struct toy *toy, struct session *session, bool commit)
{
    struct history_transaction *t = &session->history->transactions[session->history->count - 1];
    t->outcome = commit ? HISTORY_COMMITTED : HISTORY_ABORTED;
    t->commit_us = ++toy->clock;
    if (!commit)
        take_back(toy, session, 0);
    toy->time++;
    bool half = toy->bug == COMMITS_HALF && below(toy, 20) == 0; /* the first row before the others */
    for (uint32_t i = 0; i < session->own_count; i++) {
        struct key *key = &toy->keys[session->own[i].key];
        for (uint32_t v = 0; v < key->count; v++)
            if (key->versions[v].value == session->own[i].value)
                key->versions[v].time = toy->time + (half && i > 0 ? 2 : 0);
        key->owner = 0;
    }
    t->end_us = ++toy->clock;
    session->open = false;
}

static void begin(struct toy *toy, struct session *session)
{
    struct history *history = session->history;
    session->level = below(toy, 2) == 0 ? HISTORY_RC : HISTORY_RR;
    session->open = true;
    session->snapshot = toy->time;
    session->statement = session->own_count = 0;
    history_begin(history, session->level, ++toy->clock);
}

static uint32_t some_key(struct toy *toy)
{
    if (below(toy, 40) == 0 && toy->base + KEYS_LIVE + 1 < toy->key_count)
        toy->base++;
    return toy->base + below(toy, KEYS_LIVE);
}

static void step(struct toy *toy, struct session *session)
{
    if (!session->open) {
        begin(toy, session);
        read_key(toy, session, some_key(toy));
        return;
    }
    session->statement++;
    uint32_t what = below(toy, 16);
    if (session->statement == STATEMENTS_MAX || what == 0) {
        end(toy, session, below(toy, 5) != 0);
    } else if (what < 6) {
        for (uint32_t n = below(toy, 4); n-- > 0;)
            read_key(toy, session, some_key(toy));
    } else if (what == 6 && session->own_count > 0) {
        uint32_t from = below(toy, session->own_count), op = session->own[from].op;
        history_add(session->history, HISTORY_UNDO, session->statement, 0, op);
        take_back(toy, session, from);
    } else if (!write_key(toy, session, some_key(toy))) {
        end(toy, session, false);
    }
}

/* A history of so many transactions of each session. */
static struct history *play(enum bug bug, uint64_t seed, size_t count)
{
    struct toy toy = {.bug = bug, .key_count = (uint32_t)count + 64,
        .random = random_seeded(seed)};
    toy.keys = calloc(toy.key_count, sizeof *toy.keys);
    struct history *whole = history_create(count * SESSIONS, count * SESSIONS * OPS_A_TRANSACTION,
                                           count * SESSIONS * OPS_A_TRANSACTION * VERSIONS_MAX);
    for (int i = 0; i < SESSIONS; i++)
        toy.sessions[i].history = history_create(count, count * OPS_A_TRANSACTION,
                                                 count * OPS_A_TRANSACTION * VERSIONS_MAX);
    for (int open = SESSIONS; open > 0;) {
        struct session *session = &toy.sessions[below(&toy, SESSIONS)];
        if (session->open || session->history->count < count)
            step(&toy, session);
        open = 0;
        for (int i = 0; i < SESSIONS; i++)
            open += toy.sessions[i].open || toy.sessions[i].history->count < count;
    }
    for (int i = 0; i < SESSIONS; i++) {
        history_append(whole, toy.sessions[i].history);
        history_destroy(toy.sessions[i].history);
    }
    free(toy.keys);
    return whole;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static const char *const bugs[] = {"none", "reads the newest", "does not check what it writes",
        "reads uncommitted", "misses own writes", "keeps what was undone", "takes too old a snapshot",
        "commits by halves"};
    size_t count = (argc > 1 ? strtoull(argv[1], NULL, 10) : 12000) / SESSIONS;
    int failures = 0;
    for (enum bug bug = RIGHT; bug < BUGS; bug++) {
        struct history *history = play(bug, 7 + bug, count);
        struct checker_report report;
        double started = seconds();
        checker_check(history, NULL, &report);
        double took = seconds() - started;
        bool right = bug == RIGHT ? report.total == 0 && report.g2_item > 0 : report.total > 0;
        printf("toy with bug \"%s\": %zu transactions, %" PRIu64 " reads, %" PRIu64
               " writes, %" PRIu64 " anomalies, %" PRIu64 " g2_item, %.2f s%s\n", bugs[bug],
               history->count, report.reads, report.writes, report.total, report.g2_item, took,
               right ? "" : " WRONG");
        if (!right) {
            checker_check(history, stdout, &report);
            checker_print_report(&report, stdout);
            failures++;
        }
        history_destroy(history);
    }
    return failures == 0 ? 0 : 1;
}
