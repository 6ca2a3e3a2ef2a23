/* bench_point.c - figure point.prepared: a prepared SQL point query beside SQLite's and RocksDB's.
 *
 *   bench_point [NAME] [ROWS]        NAME: point.prepared, .sqlite or .rocksdb; ROWS: 10,000,000
 *
 * The table is (id BIGINT PRIMARY KEY, quantity BIGINT, price DOUBLE PRECISION, code TEXT), ids
 * uniform over 62 bits, all four columns read from each row and summed; the sums must agree. All
 * three hold the rows in memory: SQLite in a :memory: database inside one open transaction,
 * RocksDB in a memory file system, compacted, uncompressed, with bloom filters and a block cache
 * larger than the data. One thread each. The ids to look up are drawn beforehand and lie in order:
 * fetching them from the rows would cost a cache miss that is neither side's.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "figure.h"
#include "omendb.h"
#include "point_peers.h"

enum { ROWS_DEFAULT = 10000000, LOOKUPS = 200000, INSERT_ROWS = 8192 };

struct workload {
    struct point_row *rows;
    size_t row_count;
    int64_t probes[LOOKUPS]; /* ids of rows, drawn at random */
    omen_database *database;
    omen_connection *connection;
    omen_statement *statement;
    uint64_t checksum;
};

_Noreturn static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_point: %s: %s\n", what, why);
    exit(2);
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

static int by_id(const void *left, const void *right)
{
    int64_t a = ((const struct point_row *)left)->id, b = ((const struct point_row *)right)->id;
    return a < b ? -1 : a > b;
}

static void make_rows(struct workload *work, size_t count)
{
    uint64_t state = 42;
    work->rows = malloc(count * sizeof *work->rows);
    if (work->rows == NULL)
        fail("rows", "out of memory");
    for (size_t i = 0; i < count; i++) {
        struct point_row *row = &work->rows[i];
        row->id = (int64_t)(next_random(&state) >> 2);
        row->quantity = (int64_t)(next_random(&state) % 1000);
        row->price = (double)(next_random(&state) % 100000) / 100;
        snprintf(row->code, sizeof row->code, "C%07" PRIu64, next_random(&state) % 10000000);
    }
    qsort(work->rows, count, sizeof *work->rows, by_id);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || work->rows[kept - 1].id != work->rows[i].id)
            work->rows[kept++] = work->rows[i];
    work->row_count = kept;
}

static void draw_probes(struct workload *work, uint64_t seed)
{
    for (size_t i = 0; i < LOOKUPS; i++)
        work->probes[i] = work->rows[next_random(&seed) % work->row_count].id;
}

static omen_value bigint(int64_t value)
{
    return (omen_value){.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = value};
}

static void insert_rows(struct workload *work, size_t first, size_t count, omen_value *values)
{
    omen_error error;
    for (size_t i = 0; i < count; i++) {
        const struct point_row *row = &work->rows[first + i];
        values[i * 4] = bigint(row->id);
        values[i * 4 + 1] = bigint(row->quantity);
        values[i * 4 + 2] = (omen_value){.type = {.id = OMEN_TYPE_DOUBLE}, .as.f64 = row->price};
        values[i * 4 + 3] = (omen_value){
            .type = {.id = OMEN_TYPE_TEXT},
            .as.bytes = {(const uint8_t *)row->code, strlen(row->code)},
        };
    }
    if (omen_insert(work->connection, "t", values, count, &error) != OMEN_OK)
        fail("insert", error.message);
}

static void load_ours(struct workload *work)
{
    omen_error error;
    struct ArrowArrayStream none;
    if (omen_open(NULL, NULL, &work->database, &error) != OMEN_OK ||
        omen_connect(work->database, &work->connection, &error) != OMEN_OK ||
        omen_query(work->connection,
                   "CREATE TABLE t (id BIGINT PRIMARY KEY, quantity BIGINT, "
                   "price DOUBLE PRECISION, code TEXT)",
                   SIZE_MAX, &none, NULL, &error) != OMEN_OK)
        fail("open", error.message);
    none.release(&none);
    omen_value *values = malloc(sizeof *values * 4 * INSERT_ROWS);
    if (values == NULL)
        fail("values", "out of memory");
    for (size_t first = 0; first < work->row_count; first += INSERT_ROWS) {
        size_t left = work->row_count - first;
        insert_rows(work, first, left < INSERT_ROWS ? left : INSERT_ROWS, values);
    }
    free(values);
    bool more = true;
    while (more)
        if (omen_maintain(work->database, 0, &more, &error) != OMEN_OK)
            fail("maintain", error.message);
    if (omen_prepare(work->connection, "SELECT id, quantity, price, code FROM t WHERE id = $1",
                     SIZE_MAX, &work->statement, &error) != OMEN_OK)
        fail("prepare", error.message);
}

/* One timed run of ours: LOOKUPS prepared point queries, four columns read from each row. */
static void run_ours(void *context)
{
    struct workload *work = context;
    uint64_t sum = 0;
    omen_error error;
    for (size_t i = 0; i < LOOKUPS; i++) {
        omen_value key = bigint(work->probes[i]);
        if (omen_execute(work->statement, &key, 1, &error) != OMEN_OK ||
            omen_step(work->statement, &error) != OMEN_OK)
            fail("execute", error.message);
        omen_value code = omen_statement_value(work->statement, 3);
        sum += (uint64_t)omen_statement_value(work->statement, 0).as.i64;
        sum += (uint64_t)omen_statement_value(work->statement, 1).as.i64;
        sum += (uint64_t)omen_statement_value(work->statement, 2).as.f64;
        sum += code.as.bytes.data[code.as.bytes.length - 1];
    }
    work->checksum = sum;
}

struct peer_run {
    struct workload *work;
    uint64_t (*lookups)(struct point_peer *, const int64_t *, size_t);
    struct point_peer *peer;
    uint64_t checksum;
};

static void run_peer(void *context)
{
    struct peer_run *run = context;
    run->checksum = run->lookups(run->peer, run->work->probes, LOOKUPS);
}

/* Nanoseconds a lookup of one run over fresh probes. */
static double timed(void (*run)(void *), void *context)
{
    double start = figure_seconds();
    run(context);
    return (figure_seconds() - start) * 1e9 / LOOKUPS;
}

/* Times both sides in turns, each pair over probes of its own, and prints the line. The answers
 * of each pair must agree. */
static bool compare(struct workload *work, const char *name, struct peer_run *run,
                    const char *peer_name, double target)
{
    struct figure figure = {.name = name, .unit = "ns", .peer_name = peer_name, .target = target};
    run_ours(work);
    run_peer(run);
    for (uint64_t pair = 0; pair < FIGURE_PAIRS; pair++) {
        draw_probes(work, 100 + pair);
        double ours, peer;
        if (pair % 2 == 0) {
            ours = timed(run_ours, work);
            peer = timed(run_peer, run);
        } else {
            peer = timed(run_peer, run);
            ours = timed(run_ours, work);
        }
        if (work->checksum != run->checksum)
            fail(name, "the answers differ");
        figure_add(&figure, ours, peer);
    }
    return figure_print(&figure);
}

int main(int count, char **arguments)
{
    const char *only = count > 1 ? arguments[1] : "point.prepared";
    static struct workload work;
    make_rows(&work, count > 2 ? strtoull(arguments[2], NULL, 10) : ROWS_DEFAULT);
    draw_probes(&work, 7);
    load_ours(&work);
    bool met = true;
    if (figure_wanted("point.prepared.sqlite", only)) {
        struct peer_run sqlite = {.work = &work, .lookups = sqlite_lookups};
        sqlite.peer = sqlite_load(work.rows, work.row_count);
        met &= compare(&work, "point.prepared.sqlite", &sqlite, sqlite_name(), 1.0 / 6);
        sqlite_close(sqlite.peer);
    }
    if (figure_wanted("point.prepared.rocksdb", only)) {
        struct peer_run rocksdb = {.work = &work, .lookups = rocksdb_lookups};
        rocksdb.peer = rocksdb_load(work.rows, work.row_count);
        met &= compare(&work, "point.prepared.rocksdb", &rocksdb, rocksdb_name(), 1.0 / 10);
        rocksdb_close_peer(rocksdb.peer);
    }
    omen_statement_release(work.statement);
    omen_disconnect(work.connection);
    omen_close(work.database, NULL);
    free(work.rows);
    return met ? 0 : 1;
}
