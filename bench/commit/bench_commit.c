/* bench_commit.c - commit.one and commit.many of DESIGN, section 13: what a durable commit costs, from
 * the SQL statement to the answer, beside a bare file, SQLite and PostgreSQL.
 *
 *     bench_commit [NAME] [FOLDER] [COMMITS]     FOLDER: on the disk to be measured
 *     with_postgres.py FOLDER bench_commit ...   with PostgreSQL among the peers
 *
 *   commit.one            one client inserting a row a commit, in turns with an append of as many
 *                         bytes as our log got to a bare file and fdatasync. Syncs are counted: more
 *                         than one a commit fails the figure
 *   commit.one.sqlite     the same commits in the same turns by SQLite
 *   commit.one.postgres   pgbench's with one client
 *   commit.many.insert    64 threads, a connection each, through one database handle, inserting a row
 *                         a commit: .sqlite, .postgres (pgbench -M prepared, 64 clients)
 *   commit.many.update    likewise, updating random rows by key
 *   commit.many.syncs     commits a sync meanwhile, of all runs
 *
 * Times are microseconds a commit: of commit.one medians of each pair's commits, of commit.many rates
 * inverted. Rows of 50 bytes: id BIGINT (the key; each
 * client's ascending), amount BIGINT, kind INTEGER, code TEXT of 30 bytes. All statements are
 * prepared. Everybody's commit is on the disk before it is answered: SQLite with WAL and synchronous
 * = FULL, PostgreSQL with synchronous_commit = on. COMMITS: of a pair of commit.one (50), of a peer's
 * client in a pair of commit.many (100). The core of the one client is kept awake by a process that
 * runs only where there is nothing else to do: on idle virtual machines the disk's answers wait for
 * the next tick of the timer, which would be all that is measured.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "commit_peers.h"
#include "figure.h"
#include "omendb.h"
#include "os/thread.h"

enum {
    PARAMETERS = 4,
    CLIENTS = 64,
    OURS_MORE = 8, /* as many commits in our run as in a peer's: runs of like length */
    ONE_PAIRS = 31,
    ONE_COMMITS = 50,
    ONE_COMMITS_MAX = 10000,
    MANY_COMMITS = 100,
    COMMITS_A_SYNC_MIN = 24,
    LOADED_ROWS = 100000,
    ZEROS_BYTES = 64 * 1024, /* the log's writes of zeros ahead, no commit's */
};

static char folder[512];
static int commits_wanted;
static int64_t id_next = INT64_C(1) << 40;

/* --- what the process asks of the disk. The names take the place of the C library's. --- */

static atomic_size_t syncs, last_write_bytes;

int fdatasync(int file)
{
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fdatasync, file);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset)
{
    if (length < ZEROS_BYTES)
        atomic_store(&last_write_bytes, length);
    return syscall(SYS_pwrite64, file, bytes, length, offset);
}

/* --- a core that never sleeps --- */

/* Keeps this thread, and new ones of the server, to some cores, where that is allowed. */
static void keep_to(const cpu_set_t *cores)
{
    const char *server = getenv("POSTGRES_PID");
    (void)!sched_setaffinity(0, sizeof *cores, cores);
    if (server != NULL)
        (void)!sched_setaffinity((pid_t)atoi(server), sizeof *cores, cores);
}

/* Runs where nobody else wants to: neither of this session nor of another, which Linux weighs as
 * groups. */
_Noreturn static void spin(void)
{
    static const struct sched_param none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    FILE *group = setsid() > 0 ? fopen("/proc/self/autogroup", "w") : NULL;
    if (group != NULL) {
        fputs("19", group);
        fclose(group);
    }
    if (sched_setscheduler(0, SCHED_IDLE, &none) != 0)
        _exit(0);
    for (volatile unsigned turns = 0;; turns++)
        ;
}

/* Keeps them to one core, and that awake; or neither any more. */
static void stay_awake(bool on)
{
    static cpu_set_t before;
    static pid_t spinner;
    cpu_set_t one;
    if (!on) {
        kill(spinner, SIGKILL);
        waitpid(spinner, NULL, 0);
        keep_to(&before);
        return;
    }
    OMEN_ASSERT(sched_getaffinity(0, sizeof before, &before) == 0);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    keep_to(&one);
    spinner = fork();
    OMEN_ASSERT(spinner >= 0);
    if (spinner == 0)
        spin();
}

/* --- ours --- */

static void must(omen_status status, const omen_error *error)
{
    if (status == OMEN_OK)
        return;
    fprintf(stderr, "bench_commit: %s\n", error->message);
    exit(2);
}

struct client {
    omen_connection *connection;
    omen_statement *insert, *update;
};

static omen_database *database;

static void run(omen_connection *connection, const char *sql)
{
    struct ArrowArrayStream stream;
    omen_error error;
    must(omen_query(connection, sql, SIZE_MAX, &stream, NULL, &error), &error);
    stream.release(&stream);
}

static void client_open(struct client *client)
{
    omen_error error;
    must(omen_connect(database, &client->connection, &error), &error);
    must(omen_prepare(client->connection, "INSERT INTO t VALUES ($1, $2, $3, $4)", SIZE_MAX,
                      &client->insert, &error),
         &error);
    must(omen_prepare(client->connection, "UPDATE t SET amount = amount + $1 WHERE id = $2",
                      SIZE_MAX, &client->update, &error),
         &error);
}

static void client_close(struct client *client)
{
    omen_statement_release(client->insert);
    omen_statement_release(client->update);
    omen_disconnect(client->connection);
}

static void row_values(const struct commit_row *row, omen_value values[PARAMETERS])
{
    values[0] = (omen_value){.type.id = OMEN_TYPE_BIGINT, .as.i64 = row->id};
    values[1] = (omen_value){.type.id = OMEN_TYPE_BIGINT, .as.i64 = row->amount};
    values[2] = (omen_value){.type.id = OMEN_TYPE_INTEGER, .as.i32 = row->kind};
    values[3] = (omen_value){.type.id = OMEN_TYPE_TEXT,
                             .as.bytes = {(const uint8_t *)row->code, CODE_BYTES}};
}

static void client_insert(struct client *client, const struct commit_row *row)
{
    omen_value values[PARAMETERS];
    omen_error error;
    row_values(row, values);
    must(omen_execute(client->insert, values, PARAMETERS, &error), &error);
}

static void client_update(struct client *client, int64_t id, int64_t delta)
{
    omen_value values[2] = {{.type.id = OMEN_TYPE_BIGINT, .as.i64 = delta},
                            {.type.id = OMEN_TYPE_BIGINT, .as.i64 = id}};
    omen_error error;
    must(omen_execute(client->update, values, 2, &error), &error);
    OMEN_ASSERT(omen_statement_rows_affected(client->update) == 1);
}

static void open_ours(void)
{
    enum { BATCH = 1000 };
    static struct commit_row rows[BATCH];
    static omen_value values[BATCH * PARAMETERS];
    char path[600];
    struct client client;
    omen_error error;
    snprintf(path, sizeof path, "%s/db", folder);
    must(omen_open(path, NULL, &database, &error), &error);
    must(omen_connect(database, &client.connection, &error), &error);
    run(client.connection, "CREATE TABLE t (id bigint PRIMARY KEY, amount bigint, kind int, "
                           "code text)");
    for (int64_t first = 0; first < LOADED_ROWS; first += BATCH) {
        for (int64_t i = 0; i < BATCH; i++) {
            commit_row_make(first + i, &rows[i]);
            row_values(&rows[i], &values[i * PARAMETERS]);
        }
        must(omen_insert(client.connection, "t", values, BATCH, &error), &error);
    }
    run(client.connection, "CHECKPOINT");
    omen_disconnect(client.connection);
}

static uint64_t rows_of_ours(void)
{
    omen_connection *connection;
    omen_table_statistics statistics = {.struct_bytes = sizeof statistics};
    omen_error error;
    must(omen_connect(database, &connection, &error), &error);
    must(omen_table_statistics_of(connection, "t", &statistics, &error), &error);
    omen_disconnect(connection);
    return statistics.rows_estimate;
}

/* --- commit.one --- */

struct one {
    struct client client;
    int bare;
    struct sqlite_peer *sqlite;
    double ours[ONE_COMMITS_MAX], appended[ONE_COMMITS_MAX], sqlite_took[ONE_COMMITS_MAX]; /* us */
    size_t syncs;
};

static double us_since(double start)
{
    return (figure_seconds() - start) * 1e6;
}

static void commit_in_turns(struct one *one, int at)
{
    struct commit_row row;
    commit_row_make(id_next++, &row);
    size_t before = atomic_load(&syncs);
    double start = figure_seconds();
    client_insert(&one->client, &row);
    one->ours[at] = us_since(start);
    one->syncs += atomic_load(&syncs) - before;
    size_t bytes = atomic_load(&last_write_bytes);
    start = figure_seconds();
    bare_commit(one->bare, bytes);
    one->appended[at] = us_since(start);
    if (one->sqlite == NULL)
        return;
    start = figure_seconds();
    sqlite_insert(one->sqlite, &row);
    one->sqlite_took[at] = us_since(start);
}

/* Pairs of medians: ours beside the bare file, SQLite and PostgreSQL. */
static void measure_one(struct one *one, int commits, struct figure figures[3])
{
    static double served[ONE_COMMITS_MAX];
    for (int pair = 0; pair < ONE_PAIRS; pair++) {
        for (int i = 0; i < commits; i++)
            commit_in_turns(one, i);
        if (postgres_version() != NULL) {
            postgres_times(folder, commits, id_next, served);
            id_next += CLIENTS * (commits + 1);
        }
        double ours = figure_median(one->ours, (size_t)commits);
        figure_add(&figures[0], ours, figure_median(one->appended, (size_t)commits));
        figure_add(&figures[1], ours, figure_median(one->sqlite_took, (size_t)commits));
        figure_add(&figures[2], ours, figure_median(served, (size_t)commits));
    }
}

static bool run_one(const char *wanted, struct sqlite_peer *sqlite)
{
    static struct figure figures[3] = {
        {.name = "commit.one", .unit = "us", .peer_name = "append+fdatasync", .target = 1.15},
        {.name = "commit.one.sqlite", .unit = "us", .target = 1.0},
        {.name = "commit.one.postgres", .unit = "us", .target = 1.0},
    };
    static struct one one;
    int commits = commits_wanted > 0 ? commits_wanted : ONE_COMMITS;
    char path[600];
    figures[1].peer_name = sqlite_version();
    figures[2].peer_name = postgres_version();
    commits = commits > ONE_COMMITS_MAX ? ONE_COMMITS_MAX : commits;
    snprintf(path, sizeof path, "%s/bare", folder);
    one.sqlite = sqlite;
    one.bare = bare_open(path);
    client_open(&one.client);
    stay_awake(true);
    measure_one(&one, commits, figures);
    stay_awake(false);
    client_close(&one.client);
    close(one.bare);
    size_t made = (size_t)commits * ONE_PAIRS;
    printf("{\"figure\":\"commit.one\",\"commits\":%zu,\"syncs\":%zu,\"log_bytes\":%zu}\n", made,
           one.syncs, atomic_load(&last_write_bytes));
    bool met = true;
    for (int i = 0; i < 3; i++)
        if (figure_wanted(figures[i].name, wanted))
            met &= figure_print(&figures[i]);
    return met && one.syncs <= made;
}

/* --- commit.many --- */

static struct {
    bool updates, sqlite;
    int commits; /* of each client */
    int64_t base;
    pthread_barrier_t start, end;
    struct sqlite_peer *peer;
    struct mutex peer_lock;
} many = {.commits = 0};

static uint64_t next_random(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

static void commit_by_peer(int64_t id, int64_t delta)
{
    struct commit_row row;
    commit_row_make(id, &row);
    mutex_lock(&many.peer_lock);
    if (many.updates)
        sqlite_update(many.peer, id, delta);
    else
        sqlite_insert(many.peer, &row);
    mutex_unlock(&many.peer_lock);
}

static void commit_by_ours(struct client *client, int64_t id, int64_t delta)
{
    struct commit_row row;
    commit_row_make(id, &row);
    if (many.updates)
        client_update(client, id, delta);
    else
        client_insert(client, &row);
}

static void *commit_often(void *argument)
{
    int64_t number = (int64_t)(intptr_t)argument;
    uint64_t state = (uint64_t)(many.base + number);
    struct client client = {0};
    if (!many.sqlite)
        client_open(&client);
    pthread_barrier_wait(&many.start);
    for (int i = 0; i < many.commits; i++) {
        int64_t delta = 1 + (int64_t)(next_random(&state) % 1000);
        int64_t id = many.updates ? (int64_t)(next_random(&state) % LOADED_ROWS)
                                  : many.base + (int64_t)i * CLIENTS + number;
        if (many.sqlite)
            commit_by_peer(id, delta);
        else
            commit_by_ours(&client, id, delta);
    }
    pthread_barrier_wait(&many.end);
    if (!many.sqlite)
        client_close(&client);
    return NULL;
}

/* Microseconds a commit of 64 threads. */
static double time_many(bool updates, bool sqlite, int commits)
{
    static struct thread threads[CLIENTS];
    many.updates = updates;
    many.sqlite = sqlite;
    many.commits = commits;
    many.base = id_next;
    id_next += (int64_t)CLIENTS * (commits + 1);
    pthread_barrier_init(&many.start, NULL, CLIENTS + 1);
    pthread_barrier_init(&many.end, NULL, CLIENTS + 1);
    for (intptr_t i = 0; i < CLIENTS; i++)
        OMEN_ASSERT(thread_start(&threads[i], commit_often, (void *)i));
    pthread_barrier_wait(&many.start);
    double start = figure_seconds();
    pthread_barrier_wait(&many.end);
    double seconds = figure_seconds() - start;
    for (int i = 0; i < CLIENTS; i++)
        thread_join(&threads[i]);
    pthread_barrier_destroy(&many.start);
    pthread_barrier_destroy(&many.end);
    return seconds * 1e6 / ((double)CLIENTS * commits);
}

static double time_postgres(bool updates, int commits)
{
    double rate = postgres_run(updates, CLIENTS, commits, updates ? LOADED_ROWS : id_next);
    id_next += (int64_t)CLIENTS * (commits + 1);
    return 1e6 / rate;
}

static bool run_many(bool updates, const char *wanted, struct sqlite_peer *sqlite, size_t *committed,
                     size_t *synced)
{
    struct figure beside = {
        .name = updates ? "commit.many.update.sqlite" : "commit.many.insert.sqlite",
        .unit = "us", .peer_name = sqlite_version(), .target = 0.1};
    struct figure server = {
        .name = updates ? "commit.many.update.postgres" : "commit.many.insert.postgres",
        .unit = "us", .peer_name = postgres_version(), .target = 0.1};
    int commits = commits_wanted > 0 ? commits_wanted : MANY_COMMITS;
    many.peer = sqlite;
    for (int pair = 0; pair <= FIGURE_PAIRS; pair++) {
        size_t before = atomic_load(&syncs);
        double ours = time_many(updates, false, OURS_MORE * commits);
        *synced += atomic_load(&syncs) - before;
        *committed += (size_t)CLIENTS * OURS_MORE * (size_t)commits;
        double theirs = sqlite != NULL ? time_many(updates, true, commits / 10 + 1) : 0;
        double pgbench = server.peer_name != NULL ? time_postgres(updates, commits) : 0;
        if (pair == 0)
            continue; /* to warm up */
        figure_add(&beside, ours, theirs);
        figure_add(&server, ours, pgbench);
    }
    bool met = true;
    if (figure_wanted(beside.name, wanted))
        met = figure_print(&beside);
    if (figure_wanted(server.name, wanted))
        met &= figure_print(&server);
    return met;
}

static bool run_all_many(const char *wanted, struct sqlite_peer *sqlite)
{
    size_t committed = 0, synced = 0, inserted = 0;
    uint64_t rows = rows_of_ours();
    bool met = true;
    bool all = figure_wanted("commit.many.syncs", wanted);
    if (all || (wanted != NULL && strncmp(wanted, "commit.many.insert", 18) == 0))
        met &= run_many(false, wanted, sqlite, &committed, &synced);
    inserted = committed;
    if (all || (wanted != NULL && strncmp(wanted, "commit.many.update", 18) == 0))
        met &= run_many(true, wanted, sqlite, &committed, &synced);
    if (rows_of_ours() != rows + inserted) {
        fprintf(stderr, "bench_commit: rows are missing\n");
        exit(2);
    }
    double share = (double)committed / (double)synced;
    bool many_a_sync = share >= COMMITS_A_SYNC_MIN;
    printf("commit.many.syncs clients=%d commits=%zu syncs=%zu commits_a_sync=%.1f target>=%d %s\n",
           CLIENTS, committed, synced, share, COMMITS_A_SYNC_MIN, many_a_sync ? "met" : "missed");
    return met && many_a_sync;
}

/* Whether any figure of that group is asked for. */
static bool group_wanted(const char *group, const char *wanted)
{
    return figure_wanted(group, wanted) ||
           (strncmp(wanted, group, strlen(group)) == 0 && wanted[strlen(group)] == '.');
}

int main(int count, char **arguments)
{
    const char *wanted = count > 1 && arguments[1][0] != '\0' ? arguments[1] : NULL;
    char path[600], command[700];
    bool met = true;
    commits_wanted = count > 3 ? atoi(arguments[3]) : 0;
    snprintf(folder, sizeof folder, "%.400s/bench-commit-XXXXXX", count > 2 ? arguments[2] : ".");
    if (mkdtemp(folder) == NULL)
        return 2;
    snprintf(path, sizeof path, "%s/sqlite", folder);
    mutex_init(&many.peer_lock);
    open_ours();
    struct sqlite_peer *sqlite = sqlite_open(path, LOADED_ROWS);
    if (postgres_version() != NULL)
        postgres_open(folder, LOADED_ROWS);
    if (group_wanted("commit.one", wanted))
        met &= run_one(wanted, sqlite);
    if (group_wanted("commit.many", wanted))
        met &= run_all_many(wanted, sqlite);
    sqlite_close(sqlite);
    if (omen_close(database, NULL) != OMEN_OK)
        return 2;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) != 0 ? 2 : met ? 0 : 1;
}
