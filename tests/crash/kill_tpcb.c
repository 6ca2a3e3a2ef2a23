/* kill_tpcb.c - clients who run TPC-B's transaction in a process that is killed, again and again.
 *
 *   parent    starts the child, waits a moment, SIGKILL; opens the database, checks it, closes it
 *   child     opens the database; each client on a thread, a transaction after the other: its delta
 *             to an account, a teller and a branch, and a row of history; some are rolled back
 *
 * Checkpoints and maintenance run meanwhile, in the child's background thread. A client's nth transaction has
 * (client, n) in its row of history. When COMMIT has returned, that is noted where the parent finds it,
 * in memory that both share. After each kill
 *   inconsistent   accounts, tellers and branches are each the sum of their deltas in history, and no
 *                  transaction is there twice, or one that was rolled back
 *   lost           every n that a client was told of is there
 *
 * usage: kill_tpcb [--kills N] [--seed N] [--clients N] [--folder DIRECTORY]
 * Closes with `tpcb: kills=N inconsistent=M lost=L`; the exit status is 1 where M or L is not 0.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "os/os.h"
#include "store/database.h"

#include "omendb.h"

enum {
    BRANCHES = 2,
    TELLERS = 20,
    ACCOUNTS = 400,
    CLIENTS_MAX = 32,
    NUMBERS_MAX = 1 << 20, /* of one client's transactions */
    MOMENT_US_MAX = 120000,
    ROLLED_BACK_OF = 8, /* one of so many */
};

/* A bit for each transaction of each client; a client's bytes are written by its thread alone. */
struct noted {
    uint8_t bits[CLIENTS_MAX][NUMBERS_MAX / 8];
};

struct options {
    int kills, clients;
    uint64_t seed;
    const char *folder;
};

struct client {
    omen_database *database;
    struct noted *told;
    int number;
    uint64_t next; /* of its transactions */
    struct random random;
    pthread_t thread;
};

static char path[512];

static _Noreturn void fail(const char *what, const omen_error *error)
{
    fprintf(stderr, "kill_tpcb: %s: %s\n", what, error == NULL ? "" : error->message);
    exit(2);
}

static void must(omen_status status, const char *what, const omen_error *error)
{
    if (status != OMEN_OK)
        fail(what, error);
}

static void note(struct noted *noted, uint64_t client, uint64_t n)
{
    noted->bits[client][n / 8] |= (uint8_t)(1 << n % 8);
}

static bool is_noted(const struct noted *noted, uint64_t client, uint64_t n)
{
    return (noted->bits[client][n / 8] >> n % 8 & 1) != 0;
}

static omen_database *open_database(void)
{
    const struct database_options options = {.path = path,
                                             .log_file_bytes = 256 * 1024,
                                             .checkpoint_bytes = 512 * 1024,
                                             .plain_segments = true};
    struct database *database;
    omen_error error;
    must(database_open(&os_real, &options, &database, &error), "open", &error);
    return (omen_database *)database;
}

static omen_connection *connect_to(omen_database *database)
{
    omen_connection *connection;
    omen_error error;
    must(omen_connect(database, &connection, &error), "connect", &error);
    return connection;
}

static omen_value integer(int64_t value)
{
    return (omen_value){.type.id = OMEN_TYPE_BIGINT, .as.i64 = value};
}

/* --- the child --- */

enum { SQL_BEGIN, SQL_ACCOUNT, SQL_READ, SQL_TELLER, SQL_BRANCH, SQL_HISTORY, SQL_COMMIT, SQL_ROLLBACK,
       STATEMENTS };
static const char *const texts[STATEMENTS] = {
    "BEGIN",
    "UPDATE accounts SET balance = balance + $1 WHERE id = $2",
    "SELECT balance FROM accounts WHERE id = $1",
    "UPDATE tellers SET balance = balance + $1 WHERE id = $2",
    "UPDATE branches SET balance = balance + $1 WHERE id = $2",
    "INSERT INTO history VALUES ($1, $2, $3, $4, $5, $6)",
    "COMMIT",
    "ROLLBACK",
};

static void execute(omen_statement *statement, const omen_value *values, size_t count,
                    const char *what)
{
    omen_error error;
    must(omen_execute(statement, values, count, &error), what, &error);
}

static void transfer(struct client *client, omen_statement *const *statements)
{
    struct random *random = &client->random;
    uint64_t number = client->next++;
    int64_t delta = (int64_t)random_below(random, 9999) - 5000;
    int64_t account = (int64_t)random_below(random, ACCOUNTS);
    int64_t teller = (int64_t)random_below(random, TELLERS), branch = teller % BRANCHES;
    bool commits = random_below(random, ROLLED_BACK_OF) > 0;
    if (!commits)
        delta = INT64_C(1) << 40; /* nobody's delta */
    const omen_value of_account[] = {integer(delta), integer(account)};
    const omen_value of_teller[] = {integer(delta), integer(teller)};
    const omen_value of_branch[] = {integer(delta), integer(branch)};
    const omen_value row[] = {integer(client->number), integer((int64_t)number), integer(account),
                              integer(teller),         integer(branch),          integer(delta)};
    execute(statements[SQL_BEGIN], NULL, 0, "BEGIN");
    execute(statements[SQL_ACCOUNT], of_account, 2, "an account");
    execute(statements[SQL_READ], of_account + 1, 1, "a balance");
    execute(statements[SQL_TELLER], of_teller, 2, "a teller");
    execute(statements[SQL_BRANCH], of_branch, 2, "a branch");
    execute(statements[SQL_HISTORY], row, 6, "history");
    execute(statements[commits ? SQL_COMMIT : SQL_ROLLBACK], NULL, 0, "the end");
    if (commits)
        note(client->told, (uint64_t)client->number, number);
}

static void *work(void *argument)
{
    struct client *client = argument;
    omen_connection *connection = connect_to(client->database);
    omen_statement *statements[STATEMENTS];
    omen_error error;
    for (int i = 0; i < STATEMENTS; i++)
        must(omen_prepare(connection, texts[i], SIZE_MAX, &statements[i], &error), texts[i], &error);
    while (client->next < NUMBERS_MAX)
        transfer(client, statements);
    return NULL;
}

/* Until it is killed. */
static _Noreturn void run_child(const struct options *options, struct noted *told, uint64_t next,
                                uint64_t seed)
{
    static struct client clients[CLIENTS_MAX];
    omen_database *database = open_database();
    for (int i = 0; i < options->clients; i++) {
        clients[i] =
            (struct client){.database = database, .told = told, .number = i, .next = next};
        clients[i].random = random_seeded(seed + (uint64_t)i * 7919);
        if (pthread_create(&clients[i].thread, NULL, work, &clients[i]) != 0)
            fail("a thread", NULL);
    }
    for (;;)
        pause();
}

/* --- the parent --- */

static void run(omen_connection *connection, const char *sql)
{
    omen_statement *statement;
    omen_error error;
    must(omen_prepare(connection, sql, SIZE_MAX, &statement, &error), sql, &error);
    execute(statement, NULL, 0, sql);
    omen_statement_release(statement);
}

static void create(void)
{
    static const struct {
        const char *table;
        int rows;
    } tables[] = {{"branches", BRANCHES}, {"tellers", TELLERS}, {"accounts", ACCOUNTS}};
    omen_database *database = open_database();
    omen_connection *connection = connect_to(database);
    omen_error error;
    run(connection, "CREATE TABLE branches (id bigint PRIMARY KEY, balance bigint)");
    run(connection, "CREATE TABLE tellers (id bigint PRIMARY KEY, balance bigint)");
    run(connection, "CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint)");
    run(connection, "CREATE TABLE history (client bigint, n bigint, account bigint, teller bigint, "
                    "branch bigint, delta bigint)");
    for (int i = 0; i < 3; i++)
        for (int id = 0; id < tables[i].rows; id++) {
            const omen_value row[] = {integer(id), integer(0)};
            must(omen_insert(connection, tables[i].table, row, 1, &error), "insert", &error);
        }
    omen_disconnect(connection);
    must(omen_close(database, &error), "close", &error);
}

/* What is found after a kill. */
struct findings {
    int64_t accounts[ACCOUNTS], tellers[TELLERS], branches[BRANCHES]; /* balances, less deltas */
    uint64_t found[CLIENTS_MAX]; /* transactions of the client */
    uint64_t largest;            /* number of any */
    uint64_t inconsistent, lost;
};

/* Calls `take` with each row: the columns' values, all BIGINT. */
static void read_rows(omen_connection *connection, const char *table, size_t columns,
                      void (*take)(struct findings *findings, const int64_t *row),
                      struct findings *findings)
{
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    omen_error error;
    int64_t row[8];
    must(omen_scan(connection, table, NULL, &stream, &error), table, &error);
    for (;;) {
        if (stream.get_next(&stream, &batch) != 0)
            fail(stream.get_last_error(&stream), NULL);
        if (batch.release == NULL)
            break;
        for (int64_t i = 0; i < batch.length; i++) {
            for (size_t column = 0; column < columns; column++) {
                const struct ArrowArray *child = batch.children[column];
                row[column] = ((const int64_t *)child->buffers[1])[child->offset + i];
            }
            take(findings, row);
        }
        batch.release(&batch);
    }
    stream.release(&stream);
}

static void take_branch(struct findings *findings, const int64_t *row)
{
    findings->branches[row[0]] += row[1];
}

static void take_teller(struct findings *findings, const int64_t *row)
{
    findings->tellers[row[0]] += row[1];
}

static void take_account(struct findings *findings, const int64_t *row)
{
    findings->accounts[row[0]] += row[1];
}

static struct noted seen;

static void take_history(struct findings *findings, const int64_t *row)
{
    uint64_t client = (uint64_t)row[0], n = (uint64_t)row[1];
    if (client >= CLIENTS_MAX || n >= NUMBERS_MAX)
        fail("history holds what nobody wrote", NULL);
    findings->inconsistent += is_noted(&seen, client, n) || row[5] >= INT64_C(1) << 40;
    note(&seen, client, n);
    findings->found[client]++;
    findings->largest = n > findings->largest ? n : findings->largest;
    findings->accounts[row[2]] -= row[5];
    findings->tellers[row[3]] -= row[5];
    findings->branches[row[4]] -= row[5];
}

static uint64_t count_wrong(const int64_t *sums, int count)
{
    uint64_t wrong = 0;
    for (int i = 0; i < count; i++)
        wrong += sums[i] != 0;
    return wrong;
}

static void check(struct findings *findings, const struct noted *told)
{
    omen_error error;
    omen_database *database = open_database();
    omen_connection *connection = connect_to(database);
    *findings = (struct findings){.largest = 0};
    memset(&seen, 0, sizeof seen);
    read_rows(connection, "branches", 2, take_branch, findings);
    read_rows(connection, "tellers", 2, take_teller, findings);
    read_rows(connection, "accounts", 2, take_account, findings);
    read_rows(connection, "history", 6, take_history, findings);
    findings->inconsistent += count_wrong(findings->branches, BRANCHES) +
                              count_wrong(findings->tellers, TELLERS) +
                              count_wrong(findings->accounts, ACCOUNTS);
    for (uint64_t client = 0; client < CLIENTS_MAX; client++)
        for (uint64_t n = 0; n < NUMBERS_MAX; n++)
            findings->lost += is_noted(told, client, n) && !is_noted(&seen, client, n);
    omen_disconnect(connection);
    must(omen_close(database, &error), "close", &error);
}

/* Starts the child, and kills it after a moment. */
static void run_and_kill(const struct options *options, struct noted *told, uint64_t next,
                         uint64_t seed, uint64_t moment_us)
{
    const struct timespec moment = {.tv_nsec = (long)moment_us * 1000};
    int status;
    pid_t child = fork();
    if (child < 0)
        fail("fork", NULL);
    if (child == 0)
        run_child(options, told, next, seed);
    nanosleep(&moment, NULL);
    if (kill(child, SIGKILL) != 0 || waitpid(child, &status, 0) != child)
        fail("kill", NULL);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail("the child ended by itself", NULL);
}

static struct options read_options(int count, char **arguments)
{
    struct options options = {
        .kills = 20, .clients = 6, .seed = (uint64_t)time(NULL), .folder = "/tmp"};
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = arguments[i], *value = arguments[i + 1];
        if (strcmp(name, "--kills") == 0)
            options.kills = atoi(value);
        else if (strcmp(name, "--clients") == 0)
            options.clients = atoi(value);
        else if (strcmp(name, "--seed") == 0)
            options.seed = strtoull(value, NULL, 10);
        else if (strcmp(name, "--folder") == 0)
            options.folder = value;
        else
            fail("usage: kill_tpcb [--kills N] [--seed N] [--clients N] [--folder DIRECTORY]", NULL);
    }
    if (options.clients < 1 || options.clients > CLIENTS_MAX || options.kills < 1)
        fail("there are 1 to 32 clients", NULL);
    return options;
}

int main(int count, char **arguments)
{
    const struct options options = read_options(count, arguments);
    struct random random = random_seeded(options.seed);
    static struct findings findings;
    uint64_t inconsistent = 0, lost = 0, next = 1, commits = 0;
    char folder[480], command[520];
    struct noted *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(folder, sizeof folder, "%s/omendb-tpcb-XXXXXX", options.folder);
    if (told == MAP_FAILED || mkdtemp(folder) == NULL)
        fail("a temporary folder", NULL);
    snprintf(path, sizeof path, "%s/bank", folder);
    create();
    for (int kills = 0; kills < options.kills && inconsistent + lost == 0; kills++) {
        run_and_kill(&options, told, next, random_next(&random),
                     random_below(&random, MOMENT_US_MAX));
        check(&findings, told);
        inconsistent += findings.inconsistent;
        lost += findings.lost;
        next = findings.largest + 1;
    }
    for (int client = 0; client < CLIENTS_MAX; client++)
        commits += findings.found[client];
    printf("seed=%" PRIu64 " commits=%" PRIu64 "\n", options.seed, commits);
    printf("tpcb: kills=%d inconsistent=%" PRIu64 " lost=%" PRIu64 "\n", options.kills,
           inconsistent, lost);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return inconsistent + lost > 0 || system(command) != 0; /* what is wrong is kept */
}
