/* bench_store.c - opening a large database, and commits while checkpoints run. No peers, no targets:
 * lines that say what was measured.
 *
 *     bench_store [NAME] [ROWS] [FOLDER]     FOLDER: on the disk to be measured; the current one
 *
 *   store.open.clean   from the call to a row read by its key, of a database that was closed
 *   store.open.crash   likewise, with the last tenth of the rows in the log only
 *   store.commit       one client inserting rows, each durable: median, 99th percentile and longest
 *                      time of a commit, alone (quiet) and while another connection makes checkpoints
 *                      one after another of a database that is being written
 *
 * Rows of 50 bytes: id BIGINT (the key, ascending), amount BIGINT, kind INTEGER, code TEXT of 30 bytes.
 * Segments are written by the engine if it lies beside the library, else by the plain codec.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "figure.h"
#include "omendb.h"
#include "os/thread.h"

enum { COLUMNS = 4, BATCH = 10000, OPENINGS = 5, COMMITS = 2000, TEXT_BYTES = 30 };

static char folder[512], path[600];
static uint64_t row_count = 1000000;

static void must(omen_status status, const omen_error *error)
{
    if (status == OMEN_OK)
        return;
    fprintf(stderr, "bench_store: %s\n", error->message);
    exit(2);
}

struct client {
    omen_database *database;
    omen_connection *connection;
};

static struct client open_client(bool background)
{
    struct client client;
    omen_options options;
    omen_error error;
    omen_options_init(&options);
    options.no_background = !background;
    must(omen_open(path, &options, &client.database, &error), &error);
    must(omen_connect(client.database, &client.connection, &error), &error);
    return client;
}

static void close_client(struct client *client)
{
    omen_disconnect(client->connection);
    if (omen_close(client->database, NULL) != OMEN_OK)
        exit(2);
}

static void run(omen_connection *connection, const char *sql)
{
    struct ArrowArrayStream stream;
    omen_error error;
    must(omen_query(connection, sql, strlen(sql), &stream, NULL, &error), &error);
    stream.release(&stream);
}

/* --- rows --- */

static void make_row(uint64_t id, char text[TEXT_BYTES + 1], omen_value *out)
{
    snprintf(text, TEXT_BYTES + 1, "%030" PRIu64, id * UINT64_C(0x9E3779B97F4A7C15));
    out[0] = (omen_value){.type.id = OMEN_TYPE_BIGINT, .as.i64 = (int64_t)id};
    out[1] = (omen_value){.type.id = OMEN_TYPE_BIGINT, .as.i64 = (int64_t)(id * 7919 % 1000003)};
    out[2] = (omen_value){.type.id = OMEN_TYPE_INTEGER, .as.i32 = (int32_t)(id % 100)};
    out[3] = (omen_value){.type.id = OMEN_TYPE_TEXT,
                          .as.bytes = {(const uint8_t *)text, TEXT_BYTES}};
}

static void insert_rows(omen_connection *connection, uint64_t first, uint64_t count)
{
    static omen_value values[BATCH * COLUMNS];
    static char texts[BATCH][TEXT_BYTES + 1];
    omen_error error;
    for (uint64_t done = 0; done < count;) {
        uint64_t batch = count - done < BATCH ? count - done : BATCH;
        for (uint64_t i = 0; i < batch; i++)
            make_row(first + done + i, texts[i], &values[i * COLUMNS]);
        must(omen_insert(connection, "t", values, batch, &error), &error);
        done += batch;
    }
}

static void make_database(void)
{
    char command[700];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0)
        exit(2);
    struct client client = open_client(false);
    run(client.connection, "CREATE TABLE t (id bigint PRIMARY KEY, amount bigint, kind int, "
                           "code text)");
    insert_rows(client.connection, 0, row_count - row_count / 10);
    run(client.connection, "CHECKPOINT");
    close_client(&client);
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* --- opening --- */

static double time_opening(uint64_t row)
{
    omen_value key = {.type.id = OMEN_TYPE_BIGINT, .as.i64 = (int64_t)row};
    omen_row *found;
    omen_error error;
    double start = figure_seconds();
    struct client client = open_client(false);
    must(omen_get(client.connection, "t", NULL, &key, 1, &found, &error), &error);
    double seconds = figure_seconds() - start;
    omen_row_release(found);
    return seconds; /* nothing is closed: the next opening finds what this one has found */
}

/* Each opening in a process of its own, which dies without closing. */
static double time_in_child(uint64_t row)
{
    int pipes[2];
    double seconds = 0;
    if (pipe(pipes) != 0)
        exit(2);
    pid_t child = fork();
    if (child == 0) {
        seconds = time_opening(row);
        _exit(write(pipes[1], &seconds, sizeof seconds) != sizeof seconds);
    }
    if (child < 0 || read(pipes[0], &seconds, sizeof seconds) != sizeof seconds)
        exit(2);
    waitpid(child, NULL, 0);
    close(pipes[0]);
    close(pipes[1]);
    return seconds;
}

static void print_opening(const char *name, uint64_t row)
{
    double seconds[OPENINGS];
    for (int i = 0; i < OPENINGS; i++)
        seconds[i] = time_in_child(row);
    qsort(seconds, OPENINGS, sizeof *seconds, compare);
    printf("%s rows=%" PRIu64 " ours=%.0fms fastest=%.0fms slowest=%.0fms\n", name, row_count,
           figure_median(seconds, OPENINGS) * 1e3, seconds[0] * 1e3, seconds[OPENINGS - 1] * 1e3);
    fflush(stdout);
}

/* Inserts the last tenth and dies. */
static void crash_with_a_log(void)
{
    pid_t child = fork();
    if (child == 0) {
        struct client client = open_client(false);
        insert_rows(client.connection, row_count - row_count / 10, row_count / 10);
        kill(getpid(), SIGKILL);
    }
    int status;
    waitpid(child, &status, 0);
}

/* --- commits --- */

static atomic_bool stopping;
static atomic_uint checkpoints;

static void *make_checkpoints(void *argument)
{
    omen_connection *connection = argument;
    while (!atomic_load(&stopping)) {
        run(connection, "CHECKPOINT");
        atomic_fetch_add(&checkpoints, 1);
    }
    return NULL;
}

static void time_commits(omen_connection *connection, uint64_t first, const char *name)
{
    static double times[COMMITS];
    static omen_value values[COLUMNS];
    char text[TEXT_BYTES + 1];
    omen_error error;
    for (uint64_t i = 0; i < COMMITS; i++) {
        make_row(first + i, text, values);
        double start = figure_seconds();
        must(omen_insert(connection, "t", values, 1, &error), &error);
        times[i] = figure_seconds() - start;
    }
    qsort(times, COMMITS, sizeof *times, compare);
    printf("store.commit.%s commits=%d median=%.0fus p99=%.0fus longest=%.0fus checkpoints=%u\n",
           name, COMMITS, times[COMMITS / 2] * 1e6, times[COMMITS * 99 / 100] * 1e6,
           times[COMMITS - 1] * 1e6, atomic_load(&checkpoints));
    fflush(stdout);
}

static void measure_commits(void)
{
    struct client client = open_client(false);
    omen_connection *other;
    omen_error error;
    struct thread thread;
    uint64_t first = 2 * row_count;
    must(omen_connect(client.database, &other, &error), &error);
    time_commits(client.connection, first, "quiet");
    if (!thread_start(&thread, make_checkpoints, other))
        exit(2);
    time_commits(client.connection, first + COMMITS, "checkpoint");
    atomic_store(&stopping, true);
    thread_join(&thread);
    omen_disconnect(other);
    close_client(&client);
}

int main(int count, char **arguments)
{
    const char *wanted = count > 1 && arguments[1][0] != '\0' ? arguments[1] : NULL;
    if (count > 2)
        row_count = strtoull(arguments[2], NULL, 10);
    snprintf(folder, sizeof folder, "%s/bench-store-XXXXXX", count > 3 ? arguments[3] : ".");
    if (mkdtemp(folder) == NULL || row_count < 10)
        return 2;
    snprintf(path, sizeof path, "%s/db", folder);
    make_database();
    if (figure_wanted("store.open.clean", wanted))
        print_opening("store.open.clean", row_count / 2);
    if (figure_wanted("store.commit", wanted))
        measure_commits();
    if (figure_wanted("store.open.crash", wanted)) {
        crash_with_a_log();
        print_opening("store.open.crash", row_count - 1);
    }
    char command[700];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) != 0;
}
