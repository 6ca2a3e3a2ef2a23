/* bench_store.c - commits while checkpoints run. No peers, no targets: lines that say what was
 * measured. Opening is bench_open.py's.
 *
 *     bench_store [NAME] [ROWS] [FOLDER]     FOLDER: on the disk to be measured; the current one
 *
 *   store.commit   one client inserting rows, each durable: median, 99th percentile and longest
 *                  time of a commit, alone (quiet), beside one checkpoint of as many new rows as
 *                  there were before (large), and beside small ones one after another (small)
 *
 * Rows of 50 bytes: id BIGINT (the key, ascending), amount BIGINT, kind INTEGER, code TEXT of 30
 * bytes. Segments are written by the engine if it lies beside the library, else by the plain codec.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "figure.h"
#include "omendb.h"
#include "os/thread.h"

enum { COLUMNS = 4, BATCH = 10000, COMMITS = 2000, COMMITS_MAX = 200000, TEXT_BYTES = 30 };

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
    out[3] =
        (omen_value){.type.id = OMEN_TYPE_TEXT, .as.bytes = {(const uint8_t *)text, TEXT_BYTES}};
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

/* --- commits --- */

static atomic_bool stopping;
static atomic_uint checkpoints;

struct checkpoints {
    omen_connection *connection;
    bool repeat;
};

static void *make_checkpoints(void *argument)
{
    const struct checkpoints *wanted = argument;
    do {
        run(wanted->connection, "CHECKPOINT");
        atomic_fetch_add(&checkpoints, 1);
    } while (wanted->repeat && !atomic_load(&stopping));
    atomic_store(&stopping, true);
    return NULL;
}

/* Times commits: so many at least, and as long as the checkpoint takes. Gives how many. */
static uint64_t time_commits(omen_connection *connection, uint64_t first, uint64_t wanted,
                             const char *name)
{
    static double times[COMMITS_MAX];
    omen_value values[COLUMNS];
    char text[TEXT_BYTES + 1];
    omen_error error;
    uint64_t count = 0;
    double begin = figure_seconds();
    for (; count < COMMITS_MAX && (count < wanted || !atomic_load(&stopping)); count++) {
        make_row(first + count, text, values);
        double start = figure_seconds();
        must(omen_insert(connection, "t", values, 1, &error), &error);
        times[count] = figure_seconds() - start;
        if (wanted > 0 && count + 1 >= wanted)
            atomic_store(&stopping, true);
    }
    double seconds = figure_seconds() - begin;
    qsort(times, count, sizeof *times, compare);
    printf("store.commit.%s rows=%" PRIu64 " commits=%" PRIu64 " median=%.0fus p99=%.0fus "
           "longest=%.0fus checkpoints=%u seconds=%.1f\n",
           name, row_count, count, times[count / 2] * 1e6, times[count * 99 / 100] * 1e6,
           times[count - 1] * 1e6, atomic_load(&checkpoints), seconds);
    fflush(stdout);
    return count;
}

static uint64_t time_beside(struct checkpoints *beside, omen_connection *connection, uint64_t first,
                            uint64_t wanted, const char *name)
{
    struct thread thread;
    atomic_store(&stopping, false);
    atomic_store(&checkpoints, 0);
    if (!thread_start(&thread, make_checkpoints, beside))
        exit(2);
    uint64_t count = time_commits(connection, first, wanted, name);
    thread_join(&thread);
    return count;
}

static void measure_commits(void)
{
    struct client client = open_client(false);
    struct checkpoints beside = {.repeat = false};
    omen_error error;
    uint64_t next = 2 * row_count;
    must(omen_connect(client.database, &beside.connection, &error), &error);
    next += time_commits(client.connection, next, COMMITS, "quiet");
    insert_rows(client.connection, next, row_count);
    next += row_count;
    next += time_beside(&beside, client.connection, next, 0, "large");
    beside.repeat = true;
    time_beside(&beside, client.connection, next, COMMITS, "small");
    omen_disconnect(beside.connection);
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
    if (figure_wanted("store.commit", wanted))
        measure_commits();
    char command[700];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) != 0;
}
