/* workload.c - many transactions at once through SQL, and whether what they saw is what their levels allow.
 *
 * usage: workload [--seed N] [--transactions N] [--clients N] [--path FOLDER | --durable] [--kills N]
 *                 [--save FILE] [--quiet] [--no-engine] [--alone]
 *
 * Clients (workload_client.c) write down what they do while one thread makes checkpoints and maintenance, and
 * one client, of three or more, reads much by long REPEATABLE READ transactions. With --kills the database
 * lives in a process of its own, which is killed and started again so many times: what it was asked to commit then
 * and did not answer is of unknown outcome. In the end all is read once more, and the history is judged
 * (checker.h). Closes with `isolation: anomalies=N`. Exit status 1 where there are any, 77 where BEGIN is
 * not supported. --save writes the history as text, for check_history.
 *
 * --durable, and --kills without --path, take a folder of their own, which goes in the end.
 * --alone leaves transactions of several statements out.
 *
 * A seed fixes what each client tries, not how the threads meet.
 */
#define _GNU_SOURCE /* nftw */
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "workload.h"

enum {
    SKIP = 77,
    KILL_MS_MIN = 150,
    KILL_MS_SPAN = 500,
    SECOND_NS = 1000000000,
    PAUSE_NS = 5000000,
    FOLDERS_OPEN = 16,
};

static void *shared_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("workload: mmap");
        exit(2);
    }
    return memory;
}

static struct workload_shared *share(const struct workload_options *options)
{
    struct workload_shared *shared = shared_memory(sizeof *shared);
    struct timespec now;
    size_t each = options->transactions / options->clients + options->clients + 1;
    shared->options = *options;
    clock_gettime(CLOCK_MONOTONIC, &now);
    shared->started_ns = (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
    shared->key_count = (uint32_t)(options->transactions * 16 / APPENDS_A_KEY) + 2 * WINDOW_KEYS;
    shared->lists = shared_memory(shared->key_count * sizeof *shared->lists);
    shared->registers = shared_memory(shared->key_count * sizeof *shared->registers);
    for (unsigned i = 0; i < options->clients; i++)
        shared->histories[i] = history_create(each, each * OPS_A_TRANSACTION, each * ELEMENTS_A_TRANSACTION);
    size_t last = (size_t)shared->key_count * (CLIENTS_MAX + APPENDS_A_KEY) + 1;
    shared->histories[options->clients] = history_create(options->kills + 2, last, last * 4);
    return shared;
}

/* --- the database --- */

static bool execute(omen_connection *connection, const char *sql, omen_error *error)
{
    struct ArrowArrayStream rows;
    if (omen_query(connection, sql, SIZE_MAX, &rows, NULL, error) != OMEN_OK)
        return false;
    rows.release(&rows);
    return true;
}

static omen_database *open_database(const struct workload_options *options)
{
    omen_database *database = NULL;
    omen_options how;
    omen_error error;
    omen_options_init(&how);
    how.checkpoint_bytes = 4 << 20;
    how.checkpoint_ms = 500;
    if (omen_open(options->path, &how, &database, &error) != OMEN_OK)
        printf("opening failed: %s\n", error.message);
    return database;
}

static const char registers[] = "CREATE TABLE IF NOT EXISTS registers "
                                "(id BIGINT PRIMARY KEY, v BIGINT UNIQUE, version BIGINT)";
static const char registers_unique[] =
    "CREATE TABLE IF NOT EXISTS registers "
    "(id BIGINT UNIQUE, v BIGINT UNIQUE, version BIGINT, number BIGINT PRIMARY KEY)";

/* 0, or the exit status. */
static int make_tables(struct workload_shared *shared, omen_database *database)
{
    omen_connection *connection;
    omen_error error;
    int status = 1;
    if (omen_connect(database, &connection, &error) != OMEN_OK)
        return 1;
    bool alone = shared->options.alone;
    if (!alone && !execute(connection, "BEGIN", &error)) {
        status = strcmp(error.sqlstate, "0A000") == 0 ? SKIP : 1;
        printf("BEGIN: %s\n", error.message);
    } else if ((alone || execute(connection, "COMMIT", &error)) &&
               execute(connection, "CREATE TABLE IF NOT EXISTS lists (id BIGINT PRIMARY KEY, v TEXT)", &error) &&
               execute(connection, "CREATE TABLE IF NOT EXISTS events (id BIGINT PRIMARY KEY)", &error) &&
               (execute(connection, "INSERT INTO events VALUES (0)", &error) || strcmp(error.sqlstate, "23505") == 0) &&
               execute(connection, shared->options.unique ? registers_unique : registers, &error)) {
        status = 0;
        if (!execute(connection, "SELECT id FROM lists WHERE id = 1 FOR UPDATE", &error))
            atomic_store(&shared->no_row_locks, true);
    } else {
        printf("making the tables failed: %s\n", error.message);
    }
    omen_disconnect(connection);
    return status;
}

struct background {
    struct workload_shared *shared;
    omen_database *database;
    atomic_bool stop;
    pthread_t thread;
};

/* Checkpoints and maintenance, all the time. */
static void *work_in_background(void *argument)
{
    struct background *background = argument;
    omen_connection *connection;
    omen_error error;
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    if (omen_connect(background->database, &connection, &error) != OMEN_OK)
        return NULL;
    for (unsigned turn = 0; !atomic_load(&background->stop); turn++) {
        bool more;
        bool right = omen_maintain(background->database, 0, &more, &error) == OMEN_OK;
        if (right && background->shared->options.path != NULL && turn % 8 == 0)
            right = execute(connection, "CHECKPOINT", &error);
        if (!right) {
            printf("background: %s %s\n", error.sqlstate, error.message);
            atomic_fetch_add(&background->shared->violations, 1);
            atomic_store(&background->shared->stop, true);
            break;
        }
        nanosleep(&pause, NULL);
    }
    omen_disconnect(connection);
    return NULL;
}

static void print_fault(void *context, const char *line)
{
    printf("verify: %s\n", line);
}

/* Whether the closed database is whole: every row is what its keys lead to. */
static bool verify(const struct workload_shared *shared)
{
    uint64_t faults = 0;
    omen_error error;
    if (shared->options.path == NULL)
        return true;
    if (omen_verify(shared->options.path, NULL, NULL, NULL, &faults, &error) != OMEN_OK) {
        printf("verifying failed: %s\n", error.message);
        return false;
    }
    if (faults > 0)
        (void)!omen_verify(shared->options.path, NULL, print_fault, NULL, &faults, &error);
    return faults == 0;
}

/* All clients until their share is done; the last look; the close. The exit status. */
static int work(struct workload_shared *shared)
{
    static struct workload_client clients[CLIENTS_MAX + 1];
    unsigned count = shared->options.clients;
    omen_database *database = open_database(&shared->options);
    omen_error error;
    int status = database == NULL ? 1 : make_tables(shared, database);
    if (status != 0)
        return status;
    struct background background = {.shared = shared, .database = database};
    for (unsigned i = 0; i <= count; i++)
        if (!workload_client_open(&clients[i], shared, i, database))
            return 1;
    pthread_create(&background.thread, NULL, work_in_background, &background);
    for (unsigned i = 0; i < count; i++)
        pthread_create(&clients[i].thread, NULL, workload_client_work, &clients[i]);
    for (unsigned i = 0; i < count; i++)
        pthread_join(clients[i].thread, NULL);
    atomic_store(&background.stop, true);
    pthread_join(background.thread, NULL);
    if (!atomic_load(&shared->stop) && !workload_last_look(&clients[count]))
        status = 1;
    for (unsigned i = 0; i <= count; i++)
        workload_client_close(&clients[i]);
    if (omen_close(database, &error) != OMEN_OK) {
        printf("closing failed: %s\n", error.message);
        status = 1;
    }
    if (status == 0 && !verify(shared))
        status = 1;
    return atomic_load(&shared->violations) != 0 ? 1 : status;
}

/* --- killing it --- */

/* Transactions that the killed process had begun ended when it did. */
static void end_all(struct workload_shared *shared)
{
    for (unsigned i = 0; i <= shared->options.clients; i++) {
        struct history *history = shared->histories[i];
        if (history->count == 0)
            continue;
        struct history_transaction *newest = &history->transactions[history->count - 1];
        if (newest->outcome == HISTORY_RUNNING || newest->outcome == HISTORY_UNKNOWN)
            newest->end_us = workload_now_us(shared);
    }
}

/* The exit status of the process, -1 where it was killed, as asked after `kill_ms` unless that is 0. */
static int work_in_child(struct workload_shared *shared, unsigned kill_ms)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int code = work(shared);
        fflush(stdout);
        _exit(code);
    }
    if (child < 0) {
        perror("workload: fork");
        exit(2);
    }
    if (kill_ms != 0) {
        const struct timespec pause = {.tv_sec = kill_ms / 1000, .tv_nsec = (long)(kill_ms % 1000) * 1000000};
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    end_all(shared);
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    if (kill_ms != 0 && WTERMSIG(status) == SIGKILL)
        return -1;
    printf("the process died of signal %d\n", WTERMSIG(status));
    return 1;
}

static int work_with_kills(struct workload_shared *shared)
{
    struct random random = random_seeded(shared->options.seed);
    for (unsigned kills = 0; kills < shared->options.kills; kills++) {
        int status = work_in_child(shared, KILL_MS_MIN + (unsigned)random_below(&random, KILL_MS_SPAN));
        if (status > 0)
            return status;
        if (status == 0)
            printf("only %u of %u kills: all transactions are done\n", kills, shared->options.kills);
        if (status == 0)
            return 0;
    }
    return work_in_child(shared, 0);
}

/* --- the judgement --- */

static int judge(struct workload_shared *shared)
{
    const struct workload_options *options = &shared->options;
    size_t count = 1, ops = 1, elements = 1;
    for (unsigned i = 0; i <= options->clients; i++) {
        count += shared->histories[i]->count;
        ops += shared->histories[i]->op_count;
        elements += shared->histories[i]->element_count;
    }
    struct history *whole = history_create(count, ops, elements);
    for (unsigned i = 0; i <= options->clients; i++)
        history_append(whole, shared->histories[i]);
    if (options->save != NULL) {
        FILE *file = fopen(options->save, "w");
        for (size_t i = 0; file != NULL && i < whole->count; i++)
            history_print(whole, i, file);
        if (file != NULL)
            fclose(file);
    }
    struct checker_report report;
    checker_check(whole, options->quiet ? NULL : stdout, &report);
    printf("workload: seed=%" PRIu64 " clients=%u transactions=%zu statements=%u engine=%u savepoints=%u "
           "failures=%u kills=%u%s\n", options->seed, options->clients, whole->count,
           atomic_load(&shared->statements), atomic_load(&shared->engine_statements),
           atomic_load(&shared->savepoints), atomic_load(&shared->failures), options->kills,
           atomic_load(&shared->no_row_locks) ? " (no row locks)" : "");
    checker_print_report(&report, stdout);
    return report.total == 0 && atomic_load(&shared->violations) == 0 ? 0 : 1;
}

static bool parse(int argc, char **argv, struct workload_options *options, bool *durable)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool taken = true;
        if (strcmp(argv[i], "--quiet") == 0)
            options->quiet = true;
        else if (strcmp(argv[i], "--alone") == 0)
            options->alone = true;
        else if (strcmp(argv[i], "--unique") == 0)
            options->unique = true;
        else if (strcmp(argv[i], "--durable") == 0)
            *durable = true;
        else if (strcmp(argv[i], "--no-engine") == 0)
            options->engine = false;
        else
            taken = false;
        if (taken)
            continue;
        taken = true;
        if (value == NULL)
            return false;
        if (strcmp(argv[i], "--seed") == 0)
            options->seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--transactions") == 0)
            options->transactions = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--clients") == 0)
            options->clients = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--kills") == 0)
            options->kills = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--path") == 0)
            options->path = value;
        else if (strcmp(argv[i], "--save") == 0)
            options->save = value;
        else
            taken = false;
        if (!taken)
            return false;
        i++;
    }
    return options->clients >= 1 && options->clients <= CLIENTS_MAX && options->transactions >= options->clients;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    return remove(path);
}

int main(int argc, char **argv)
{
    struct workload_options options = {.seed = (uint64_t)time(NULL), .transactions = 20000, .clients = 8,
        .engine = true, .engine_one_in = 1, .literal_one_in = 8};
    char folder[] = "/tmp/omendb-workload-XXXXXX";
    bool durable = false;
    if (!parse(argc, argv, &options, &durable)) {
        fprintf(stderr, "usage: workload [--seed N] [--transactions N] [--clients N] [--path FOLDER | --durable] [--kills N]"
                        " [--save FILE] [--quiet] [--no-engine] [--alone] [--unique]\n");
        return 2;
    }
    bool own_folder = options.path == NULL && (durable || options.kills > 0);
    if (own_folder)
        options.path = mkdtemp(folder);
    struct workload_shared *shared = share(&options);
    int status = options.kills > 0 ? work_with_kills(shared) : work(shared);
    int judged = status == SKIP ? SKIP : judge(shared);
    if (own_folder && (judged == 0 || judged == SKIP))
        nftw(folder, remove_one, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS);
    else if (own_folder)
        printf("the database is left in %s\n", folder);
    return status != 0 ? status : judged;
}
