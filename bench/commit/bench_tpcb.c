/* bench_tpcb.c - pgbench's own transactions through the C API, beside pgbench on PostgreSQL.
 *
 *     bench_tpcb [NAME] [FOLDER] [SECONDS]      FOLDER: on the disk to be measured
 *     with_postgres.py FOLDER bench_tpcb ...    with PostgreSQL as the peer
 *
 *   tpcb.full.SCALE.CLIENTS     UPDATE accounts, SELECT its balance, UPDATE tellers, UPDATE branches,
 *                               INSERT INTO history, between BEGIN and COMMIT (pgbench -b tpcb-like)
 *   tpcb.simple.SCALE.CLIENTS   the same without tellers and branches (pgbench -b simple-update, -N)
 *   tpcb.reader                 the longest 1 % of commits of 8 clients: p99 beside one analytical
 *                               reader that never ends, over p99 without one
 *
 * SCALE hot: one branch, so that all clients meet in one row; spread: fifty. CLIENTS: 1, 8, 64 threads, a
 * connection each. Times are microseconds a transaction, rates inverted; both sides use prepared
 * statements and are durable at each commit. After each of our runs the sums of all balances must be
 * the same: otherwise the program fails.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "figure.h"
#include "omendb.h"

enum {
    CLIENTS_MAX = 64,
    BRANCH_TELLERS = 10,
    BRANCH_ACCOUNTS = 100000,
    SPREAD_BRANCHES = 50,
    RUN_MS = 500,
    TIMES_MAX = 1 << 20,
    LOAD_ROWS = 10000,
};

static char folder[512];
static int run_ms = RUN_MS;

static void fail(const char *what, const omen_error *error)
{
    fprintf(stderr, "bench_tpcb: %s: %s\n", what, error == NULL ? "" : error->message);
    exit(2);
}

static void must(omen_status status, const char *what, const omen_error *error)
{
    if (status != OMEN_OK)
        fail(what, error);
}

/* --- the database --- */

struct bank {
    int branches;
    omen_database *database;
};

static omen_value integer(int32_t value)
{
    return (omen_value){.type = {.id = OMEN_TYPE_INTEGER}, .as.i32 = value};
}

static void run(omen_connection *connection, const char *sql)
{
    omen_error error;
    omen_statement *statement;
    must(omen_prepare(connection, sql, SIZE_MAX, &statement, &error), sql, &error);
    must(omen_execute(statement, NULL, 0, &error), sql, &error);
    omen_statement_release(statement);
}

static int64_t ask(omen_connection *connection, const char *sql)
{
    omen_error error;
    omen_statement *statement;
    must(omen_prepare(connection, sql, SIZE_MAX, &statement, &error), sql, &error);
    must(omen_execute(statement, NULL, 0, &error), sql, &error);
    must(omen_step(statement, &error), sql, &error);
    omen_value value = omen_statement_value(statement, 0);
    omen_statement_release(statement);
    return value.is_null ? 0 : value.as.i64;
}

/* Rows (id, branch, 0), or (id, 0) where `with_branch` is false. */
static void fill(omen_connection *connection, const char *table, int count, int a_branch,
                 bool with_branch)
{
    static omen_value values[LOAD_ROWS * 3];
    omen_error error;
    for (int first = 0; first < count; first += LOAD_ROWS) {
        int rows = count - first < LOAD_ROWS ? count - first : LOAD_ROWS;
        omen_value *value = values;
        for (int id = first; id < first + rows; id++) {
            *value++ = integer(id + 1);
            if (with_branch)
                *value++ = integer(id / a_branch + 1);
            *value++ = integer(0);
        }
        must(omen_insert(connection, table, values, (size_t)rows, &error), table, &error);
    }
}

static void bank_open(struct bank *bank, int branches)
{
    char path[600];
    omen_error error;
    omen_options options;
    omen_connection *connection;
    bank->branches = branches;
    snprintf(path, sizeof path, "%s/bank%d", folder, branches);
    omen_options_init(&options);
    must(omen_open(path, &options, &bank->database, &error), path, &error);
    must(omen_connect(bank->database, &connection, &error), "connect", &error);
    run(connection, "CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int)");
    run(connection, "CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int)");
    run(connection, "CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int)");
    run(connection, "CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, "
                    "mtime timestamp)");
    fill(connection, "pgbench_branches", branches, 1, false);
    fill(connection, "pgbench_tellers", branches * BRANCH_TELLERS, BRANCH_TELLERS, true);
    fill(connection, "pgbench_accounts", branches * BRANCH_ACCOUNTS, BRANCH_ACCOUNTS, true);
    run(connection, "CHECKPOINT");
    omen_disconnect(connection);
}

/* Every transaction adds its delta to three balances, or to one, and to the history. */
static void bank_check(const struct bank *bank, bool simple)
{
    omen_connection *connection;
    must(omen_connect(bank->database, &connection, NULL), "connect", NULL);
    int64_t accounts = ask(connection, "SELECT sum(abalance) FROM pgbench_accounts");
    int64_t history = ask(connection, "SELECT sum(delta) FROM pgbench_history");
    if (accounts != history)
        fail("the sums of accounts and history differ", NULL);
    if (!simple && (ask(connection, "SELECT sum(tbalance) FROM pgbench_tellers") !=
                    ask(connection, "SELECT sum(bbalance) FROM pgbench_branches")))
        fail("the sums of tellers and branches differ", NULL);
    omen_disconnect(connection);
}

static void bank_close(struct bank *bank)
{
    must(omen_close(bank->database, NULL), "close", NULL);
}

/* --- our clients --- */

enum statement_kind { BEGIN, ACCOUNT, BALANCE, TELLER, BRANCH, HISTORY, COMMIT, STATEMENTS };

static const char *const texts[STATEMENTS] = {
    "BEGIN",
    "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2",
    "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
    "UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2",
    "UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2",
    "INSERT INTO pgbench_history VALUES ($1, $2, $3, $4, now())",
    "COMMIT",
};

static struct {
    const struct bank *bank;
    bool simple;
    pthread_barrier_t start;
    atomic_bool stop;
    atomic_size_t transactions;
    float *times; /* of commits, microseconds; NULL: not asked for */
    atomic_size_t time_count;
} contest;

struct client {
    omen_connection *connection;
    omen_statement *statements[STATEMENTS];
};

static void execute(struct client *client, enum statement_kind kind, const omen_value *values,
                    size_t count)
{
    omen_error error;
    must(omen_execute(client->statements[kind], values, count, &error), texts[kind], &error);
    if (kind == BALANCE)
        must(omen_step(client->statements[kind], &error), texts[kind], &error);
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

static omen_value pick(uint64_t *random, int count)
{
    return integer(1 + (int32_t)(next_random(random) % (uint64_t)count));
}

static void transact(struct client *client, uint64_t *random)
{
    int branches = contest.bank->branches;
    omen_value aid = pick(random, branches * BRANCH_ACCOUNTS);
    omen_value tid = pick(random, branches * BRANCH_TELLERS), bid = pick(random, branches);
    omen_value delta = integer((int32_t)(next_random(random) % 10001) - 5000);
    const omen_value account[] = {delta, aid}, teller[] = {delta, tid}, branch[] = {delta, bid};
    const omen_value history[] = {tid, bid, aid, delta};
    execute(client, BEGIN, NULL, 0);
    execute(client, ACCOUNT, account, 2);
    execute(client, BALANCE, &aid, 1);
    if (!contest.simple) {
        execute(client, TELLER, teller, 2);
        execute(client, BRANCH, branch, 2);
    }
    execute(client, HISTORY, history, 4);
    double before = contest.times == NULL ? 0 : figure_seconds();
    execute(client, COMMIT, NULL, 0);
    size_t at = contest.times == NULL ? TIMES_MAX : atomic_fetch_add(&contest.time_count, 1);
    if (at < TIMES_MAX)
        contest.times[at] = (float)((figure_seconds() - before) * 1e6);
}

static void *client_main(void *argument)
{
    struct client client;
    uint64_t random = (uint64_t)(uintptr_t)argument * 7919 + (uint64_t)(figure_seconds() * 1e6);
    size_t done = 0;
    must(omen_connect(contest.bank->database, &client.connection, NULL), "connect", NULL);
    for (int i = 0; i < STATEMENTS; i++)
        must(omen_prepare(client.connection, texts[i], SIZE_MAX, &client.statements[i], NULL),
             texts[i], NULL);
    pthread_barrier_wait(&contest.start);
    for (; !atomic_load_explicit(&contest.stop, memory_order_relaxed); done++)
        transact(&client, &random);
    atomic_fetch_add(&contest.transactions, done);
    for (int i = 0; i < STATEMENTS; i++)
        omen_statement_release(client.statements[i]);
    omen_disconnect(client.connection);
    return NULL;
}

/* Microseconds a transaction of so many clients. */
static double time_ours(const struct bank *bank, bool simple, int clients)
{
    pthread_t threads[CLIENTS_MAX];
    contest.bank = bank;
    contest.simple = simple;
    atomic_store(&contest.stop, false);
    atomic_store(&contest.transactions, 0);
    pthread_barrier_init(&contest.start, NULL, (unsigned)clients + 1);
    for (intptr_t i = 0; i < clients; i++)
        OMEN_ASSERT(pthread_create(&threads[i], NULL, client_main, (void *)i) == 0);
    pthread_barrier_wait(&contest.start);
    double start = figure_seconds();
    usleep((useconds_t)run_ms * 1000);
    atomic_store(&contest.stop, true);
    for (int i = 0; i < clients; i++)
        pthread_join(threads[i], NULL);
    double seconds = figure_seconds() - start;
    pthread_barrier_destroy(&contest.start);
    bank_check(bank, simple);
    return seconds * 1e6 / (double)atomic_load(&contest.transactions);
}

/* --- pgbench --- */

static const char *peer_name(void)
{
    return getenv("PGHOST") != NULL && getenv("PGDATABASE") != NULL ? "postgres-15" : NULL;
}

static void prepare_peer(int branches)
{
    char command[200];
    snprintf(command, sizeof command, "pgbench -i -q -s %d >/dev/null 2>&1 && psql -q -c CHECKPOINT",
             branches);
    if (system(command) != 0)
        fail("pgbench -i", NULL);
}

static double time_peer(bool simple, int clients)
{
    char command[300], line[512];
    double rate = 0;
    int seconds = run_ms < 1000 ? 1 : run_ms / 1000;
    snprintf(command, sizeof command, "pgbench -n -M prepared -b %s -c %d -j %d -T %d 2>&1",
             simple ? "simple-update" : "tpcb-like", clients, clients < 2 ? clients : 2, seconds);
    FILE *output = popen(command, "r");
    if (output == NULL)
        fail("pgbench", NULL);
    while (fgets(line, sizeof line, output) != NULL)
        (void)!sscanf(line, "tps = %lf", &rate);
    if (pclose(output) != 0 || rate <= 0)
        fail("pgbench did not do what it was asked to", NULL);
    return 1e6 / rate;
}

/* --- figures --- */

/* Whether the figure, or one of those below it, is asked for. */
static bool asked(const char *name, const char *wanted)
{
    return figure_wanted(name, wanted) || strncmp(name, wanted, strlen(name)) == 0;
}

static bool compare(const struct bank *bank, bool simple, int clients, const char *wanted)
{
    char name[64];
    snprintf(name, sizeof name, "tpcb.%s.%s.%d", simple ? "simple" : "full",
             bank->branches == 1 ? "hot" : "spread", clients);
    if (!figure_wanted(name, wanted))
        return true;
    struct figure figure = {.name = name, .unit = "us", .peer_name = peer_name(), .target = 1.0};
    for (int pair = 0; pair <= FIGURE_PAIRS; pair++) {
        double ours = time_ours(bank, simple, clients);
        double theirs = figure.peer_name == NULL ? 0 : time_peer(simple, clients);
        if (pair > 0)
            figure_add(&figure, ours, theirs);
    }
    return figure_print(&figure);
}

static bool compare_scale(int branches, const char *wanted)
{
    static const int clients[] = {1, 8, 64};
    struct bank bank;
    char prefix[2][32];
    bool met = true;
    const char *scale = branches == 1 ? "hot" : "spread";
    snprintf(prefix[0], sizeof prefix[0], "tpcb.full.%s", scale);
    snprintf(prefix[1], sizeof prefix[1], "tpcb.simple.%s", scale);
    if (wanted != NULL && !asked(prefix[0], wanted) && !asked(prefix[1], wanted))
        return true;
    bank_open(&bank, branches);
    if (peer_name() != NULL)
        prepare_peer(branches);
    for (int simple = 0; simple < 2; simple++)
        for (int i = 0; i < 3; i++)
            met &= compare(&bank, simple != 0, clients[i], wanted);
    bank_close(&bank);
    return met;
}

/* --- beside a reader --- */

static atomic_bool reading;

static void *read_endlessly(void *argument)
{
    const struct bank *bank = argument;
    omen_connection *connection;
    must(omen_connect(bank->database, &connection, NULL), "connect", NULL);
    run(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    while (atomic_load(&reading))
        (void)ask(connection, "SELECT sum(abalance) FROM pgbench_accounts WHERE aid % 7 <> 3");
    omen_disconnect(connection);
    return NULL;
}

static int compare_times(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

static double p99_of_commits(struct bank *bank, bool beside_reader)
{
    enum { CLIENTS = 8 };
    pthread_t reader;
    atomic_store(&reading, true);
    atomic_store(&contest.time_count, 0);
    if (beside_reader)
        OMEN_ASSERT(pthread_create(&reader, NULL, read_endlessly, bank) == 0);
    (void)time_ours(bank, true, CLIENTS);
    atomic_store(&reading, false);
    if (beside_reader)
        pthread_join(reader, NULL);
    size_t count = atomic_load(&contest.time_count);
    qsort(contest.times, count, sizeof *contest.times, compare_times);
    return contest.times[count - 1 - count / 100];
}

static bool measure_reader(const char *wanted)
{
    struct figure figure = {
        .name = "tpcb.reader", .unit = "us", .peer_name = "without", .target = 5.0};
    struct bank bank;
    if (!figure_wanted(figure.name, wanted))
        return true;
    bank_open(&bank, SPREAD_BRANCHES / 5);
    contest.times = malloc(TIMES_MAX * sizeof *contest.times);
    OMEN_ASSERT(contest.times != NULL);
    for (int pair = 0; pair <= FIGURE_PAIRS; pair++) {
        double beside = p99_of_commits(&bank, true), alone = p99_of_commits(&bank, false);
        if (pair > 0)
            figure_add(&figure, beside, alone);
    }
    free(contest.times);
    contest.times = NULL;
    bank_close(&bank);
    return figure_print(&figure);
}

int main(int count, char **arguments)
{
    const char *wanted = count > 1 && arguments[1][0] != '\0' ? arguments[1] : NULL;
    char command[700];
    if (count > 3)
        run_ms = (int)(atof(arguments[3]) * 1000);
    snprintf(folder, sizeof folder, "%.400s/bench-tpcb-XXXXXX", count > 2 ? arguments[2] : ".");
    if (mkdtemp(folder) == NULL)
        return 2;
    bool met = compare_scale(1, wanted);
    met &= compare_scale(SPREAD_BRANCHES, wanted);
    met &= measure_reader(wanted);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    (void)!system(command);
    return met ? 0 : 1;
}
