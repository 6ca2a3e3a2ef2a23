/* large_scan.c - statements over a table that is several times as large as what its columns may
 * take in memory (shared_buffers), with point reads beside them: resident memory must stay near.
 *
 *   load, checkpoint, close, open      what opening needs, the index above all, is the base
 *   analyst (the first thread)         sums over all rows, filters, a self-join; answers checked
 *   readers                            rows by their keys, anywhere; answers checked
 *   watcher                            what is resident and no page of a file, 200 times a second
 *
 * The table has 128 bytes a row. What it may need above the base: shared_buffers, and room for what
 * is in flight: batches outstanding and row groups being decoded, a few a thread.
 *
 * usage: large_scan [--rows N] [--buffers-mib N] [--readers N] [--rounds N] [--room-mib N]
 */
#define _GNU_SOURCE
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "omendb.h"

enum { MIB = 1 << 20, LOADED_AT_ONCE = 250000, READERS_MAX = 8, TEXT_BYTES = 512, FILES_AT_ONCE = 16 };

struct test {
    omen_database *database;
    char folder[TEXT_BYTES];
    int64_t rows;
    uint64_t buffers_mib, room_mib;
    unsigned readers, rounds;
    atomic_bool stop, failed;
    atomic_uint_fast64_t points;
    atomic_uint_fast64_t peak, counted_peak; /* resident; in the database's own books */
};

static void fail(struct test *test, const char *what, const char *detail)
{
    printf("large_scan: %s: %s\n", what, detail);
    atomic_store(&test->failed, true);
    atomic_store(&test->stop, true);
}

/* --- statements --- */

static bool run(struct test *test, omen_connection *connection, const char *sql)
{
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    omen_error error;
    if (omen_query(connection, sql, SIZE_MAX, &stream, NULL, &error) != OMEN_OK) {
        fail(test, sql, error.message);
        return false;
    }
    int failed;
    while ((failed = stream.get_next(&stream, &batch)) == 0 && batch.release != NULL)
        batch.release(&batch);
    if (failed != 0)
        fail(test, sql, stream.get_last_error(&stream));
    stream.release(&stream);
    return failed == 0;
}

/* Runs a query of one BIGINT and compares it. */
static bool ask(struct test *test, omen_connection *connection, const char *sql, int64_t expected)
{
    omen_statement *statement;
    omen_error error = {.message = ""};
    omen_status status = omen_prepare(connection, sql, SIZE_MAX, &statement, &error);
    if (status == OMEN_OK)
        status = omen_execute(statement, NULL, 0, &error);
    if (status == OMEN_OK)
        status = omen_step(statement, &error);
    int64_t got = status == OMEN_OK ? omen_statement_value(statement, 0).as.i64 : 0;
    omen_statement_release(statement);
    if (status == OMEN_OK && got == expected)
        return true;
    if (status == OMEN_OK)
        snprintf(error.message, sizeof error.message, "%" PRId64 " instead of %" PRId64, got,
                 expected);
    fail(test, sql, error.message);
    return false;
}

/* --- the table --- */

static bool load(struct test *test, omen_connection *connection)
{
    char sql[TEXT_BYTES];
    if (!run(test, connection,
             "CREATE TABLE t (id BIGINT PRIMARY KEY, a BIGINT NOT NULL, b BIGINT NOT NULL, "
             "c BIGINT NOT NULL, d BIGINT NOT NULL, e BIGINT NOT NULL, f BIGINT NOT NULL, "
             "s TEXT NOT NULL)"))
        return false;
    for (int64_t first = 0; first < test->rows; first += LOADED_AT_ONCE) {
        int64_t last = first + LOADED_AT_ONCE < test->rows ? first + LOADED_AT_ONCE : test->rows;
        snprintf(sql, sizeof sql,
                 "INSERT INTO t SELECT i, i * 3, i %% 1000, i / 7, i * i, -i, i %% 77, "
                 "'a text of fifty-five characters or so, number ' || CAST(1000000000 + i AS TEXT) "
                 "FROM (SELECT CAST(n AS BIGINT) AS i FROM generate_series(%" PRId64 ", %" PRId64
                 ") AS g(n)) AS q",
                 first, last - 1);
        if (!run(test, connection, sql) || !run(test, connection, "CHECKPOINT"))
            return false;
    }
    return true;
}

static bool open_database(struct test *test)
{
    omen_options options;
    omen_error error;
    omen_options_init(&options);
    options.engine_thread_count = 2;
    if (omen_open(test->folder, &options, &test->database, &error) == OMEN_OK)
        return true;
    fail(test, "opening", error.message);
    return false;
}

static bool close_database(struct test *test)
{
    omen_error error = {.message = ""};
    if (omen_close(test->database, &error) == OMEN_OK)
        return true;
    fail(test, "closing", error.message);
    return false;
}

/* Loads it and opens it anew: nothing of it is in memory but what opening needs. */
static bool prepare(struct test *test)
{
    omen_connection *connection;
    omen_error error;
    if (!open_database(test))
        return false;
    bool loaded = omen_connect(test->database, &connection, &error) == OMEN_OK;
    if (loaded) {
        loaded = load(test, connection);
        omen_disconnect(connection);
    }
    return close_database(test) && loaded && open_database(test);
}

/* --- watching --- */

static uint64_t resident_bytes(void)
{
    unsigned long long size = 0, resident = 0, shared = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%llu %llu %llu", &size, &resident, &shared) != 3)
        resident = shared = 0;
    if (file != NULL)
        fclose(file);
    return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void raise_to(atomic_uint_fast64_t *peak, uint64_t value)
{
    if (value > atomic_load(peak)) /* the watcher's alone */
        atomic_store(peak, value);
}

static void *watch(void *argument)
{
    struct test *test = argument;
    const struct timespec pause = {.tv_nsec = 5000000};
    while (!atomic_load(&test->stop)) {
        raise_to(&test->peak, resident_bytes());
        raise_to(&test->counted_peak, omen_memory_bytes(test->database));
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* --- point reads --- */

static void read_point(struct test *test, omen_statement *statement, int64_t id)
{
    omen_error error = {.message = ""};
    const omen_value key = {.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = id};
    omen_status status = omen_execute(statement, &key, 1, &error);
    if (status == OMEN_OK)
        status = omen_step(statement, &error);
    if (status != OMEN_OK)
        fail(test, "a point read", error.message);
    else if (omen_statement_value(statement, 0).as.i64 != id * 3 ||
             omen_statement_value(statement, 1).as.i64 != id % 77)
        fail(test, "a point read", "the row is another's");
    atomic_fetch_add(&test->points, 1);
}

static void *read_points(void *argument)
{
    struct test *test = argument;
    omen_connection *connection;
    omen_statement *statement = NULL;
    omen_error error = {.message = ""};
    uint64_t state = (uint64_t)(uintptr_t)&error | 1;
    if (omen_connect(test->database, &connection, &error) != OMEN_OK) {
        fail(test, "connecting", error.message);
        return NULL;
    }
    if (omen_prepare(connection, "SELECT a, f FROM t WHERE id = $1", SIZE_MAX, &statement,
                     &error) != OMEN_OK)
        fail(test, "preparing", error.message);
    while (!atomic_load(&test->stop)) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        read_point(test, statement, (int64_t)((state >> 33) % (uint64_t)test->rows));
    }
    omen_statement_release(statement);
    omen_disconnect(connection);
    return NULL;
}

/* --- the analyst --- */

static bool analyse(struct test *test, omen_connection *connection)
{
    int64_t n = test->rows, sum = n * (n - 1) / 2, kept = 0;
    char sql[TEXT_BYTES];
    for (int64_t i = 0; i < n; i++)
        kept += i % 1000 < 100 ? i * 3 : 0;
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM t AS x JOIN t AS y ON x.id = y.id WHERE x.b < 10 AND y.f >= 0");
    int64_t joined = n / 1000 * 10 + (n % 1000 < 10 ? n % 1000 : 10);
    for (unsigned round = 0; round < test->rounds && !atomic_load(&test->failed); round++)
        if (!ask(test, connection, "SELECT CAST(sum(a) + sum(e) AS BIGINT) FROM t", 2 * sum) ||
            !ask(test, connection, "SELECT CAST(sum(a) AS BIGINT) FROM t WHERE b < 100", kept) ||
            !ask(test, connection, "SELECT CAST(sum(length(s)) AS BIGINT) FROM t", n * 56) ||
            !ask(test, connection, sql, joined))
            return false;
    return !atomic_load(&test->failed);
}

/* What the engine takes when it is first used is of the base too. */
static bool measure(struct test *test, omen_connection *connection)
{
    char sql[TEXT_BYTES];
    pthread_t watcher, readers[READERS_MAX];
    unsigned started = 0;
    snprintf(sql, sizeof sql, "SET shared_buffers = '%" PRIu64 "MB'", test->buffers_mib);
    if (!run(test, connection, sql) || !run(test, connection, "SELECT sum(i) FROM generate_series(1, 10) AS g(i)"))
        return false;
    uint64_t base = resident_bytes(), counted = omen_memory_bytes(test->database);
    if (pthread_create(&watcher, NULL, watch, test) != 0)
        return false;
    while (started < test->readers &&
           pthread_create(&readers[started], NULL, read_points, test) == 0)
        started++;
    (void)analyse(test, connection);
    atomic_store(&test->stop, true);
    for (unsigned i = 0; i < started; i++)
        pthread_join(readers[i], NULL);
    pthread_join(watcher, NULL);
    uint64_t grown = atomic_load(&test->peak) - base;
    uint64_t columns = atomic_load(&test->counted_peak) - counted;
    uint64_t most = (test->buffers_mib + test->room_mib) * MIB;
    if (grown > most)
        fail(test, "resident memory", "it went far beyond shared_buffers");
    printf("large_scan: rows=%" PRId64 " table_mib=%" PRId64 " buffers_mib=%" PRIu64
           " base_mib=%" PRIu64 " grown_mib=%" PRIu64 " columns_mib=%" PRIu64
           " most_mib=%" PRIu64 " points=%" PRIu64 "\n",
           test->rows, test->rows * 128 / MIB, test->buffers_mib, base / MIB, grown / MIB,
           columns / MIB, most / MIB, atomic_load(&test->points));
    return !atomic_load(&test->failed);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

static bool run_all(struct test *test)
{
    omen_connection *connection;
    omen_error error;
    if (!prepare(test))
        return false;
    if (omen_connect(test->database, &connection, &error) != OMEN_OK)
        return false;
    bool good = measure(test, connection);
    omen_disconnect(connection);
    return close_database(test) && good;
}

int main(int argc, char **argv)
{
    struct test test = {
        .rows = 1000000, .buffers_mib = 16, .room_mib = 48, .readers = 2, .rounds = 2};
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--rows") == 0)
            test.rows = (int64_t)value;
        else if (strcmp(argv[i], "--buffers-mib") == 0)
            test.buffers_mib = value;
        else if (strcmp(argv[i], "--room-mib") == 0)
            test.room_mib = value;
        else if (strcmp(argv[i], "--rounds") == 0)
            test.rounds = (unsigned)value;
        else if (strcmp(argv[i], "--readers") == 0 && value <= READERS_MAX)
            test.readers = (unsigned)value;
    }
    const char *parent = getenv("TMPDIR"), *engine = getenv("OMENDB_ENGINE");
    if (engine == NULL || access(engine, R_OK) != 0) {
        printf("skipped: OMENDB_ENGINE names no engine\n");
        return 77;
    }
    snprintf(test.folder, sizeof test.folder, "%s/omendb-large-XXXXXX",
             parent != NULL ? parent : "/tmp");
    if (mkdtemp(test.folder) == NULL)
        return 2;
    bool good = run_all(&test);
    (void)nftw(test.folder, remove_entry, FILES_AT_ONCE, FTW_DEPTH | FTW_PHYS);
    printf("large_scan: %s\n", good ? "ok" : "FAILED");
    return good ? 0 : 1;
}
