/* bench_table.c - the table's own share of DESIGN, section 13: memory.row in memory.
 *
 *     bench_table [FIGURE] [ROWS]     FIGURE: memory.row, memory.row.ascending, memory.row.uniform
 *
 * memory.row: what the database holds per frozen row, everything included (index, lifetimes, zone
 * maps, directory), over the bytes of the columns themselves. It is measured at eleven sizes while
 * one table is filled to ROWS, so that the interval covers an index that has just grown and one
 * that is about to. The peer is the target. A JSON line beside each figure has the parts, and
 * what loading, looking up and updating cost.
 *
 * Rows: id BIGINT (the key), amount BIGINT, kind INTEGER, code TEXT of 8 bytes: 36 bytes in Arrow.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "figure.h"
#include "table/table.h"

enum { COLUMNS = 4, ROW_BYTES = 8 + 8 + 4 + 16, SET_ROWS = 2 * ROW_GROUP_ROWS, PROBES = 1000000 };

struct bench {
    struct allocator allocator;
    struct txn_manager *manager;
    struct schema *schema;
    struct table *table;
    bool uniform;
    uint64_t rows;
    double load_s;
};

static void must(omen_status status, const char *what)
{
    if (status == OMEN_OK)
        return;
    fprintf(stderr, "bench_table: %s: %s\n", what, omen_status_text(status));
    exit(2);
}

/* Distinct for distinct rows: an odd factor permutes the 64-bit integers. */
static int64_t key_of(const struct bench *bench, uint64_t row)
{
    if (!bench->uniform)
        return (int64_t)row;
    uint64_t mixed = row * UINT64_C(0x9E3779B97F4A7C15);
    mixed ^= mixed >> 32;
    return (int64_t)(mixed * UINT64_C(0xD6E8FEB86659FD93));
}

static void bench_open(struct bench *bench, bool uniform)
{
    static const struct column_definition columns[COLUMNS] = {
        {.name = "id", .type.id = OMEN_TYPE_BIGINT},
        {.name = "amount", .type.id = OMEN_TYPE_BIGINT},
        {.name = "kind", .type.id = OMEN_TYPE_INTEGER},
        {.name = "code", .type.id = OMEN_TYPE_TEXT}};
    const uint32_t key = 0;
    memset(bench, 0, sizeof *bench);
    bench->uniform = uniform;
    allocator_init(&bench->allocator, 0);
    must(txn_manager_create(&bench->allocator, &bench->manager), "manager");
    must(schema_create(&bench->allocator, columns, COLUMNS, &key, 1, &bench->schema, NULL),
         "schema");
    must(table_create(&bench->allocator, bench->manager, "bench", bench->schema, &bench->table),
         "table");
}

static void bench_close(struct bench *bench)
{
    table_release(bench->table);
    schema_release(bench->schema);
    txn_manager_destroy(bench->manager);
}

static void insert_rows(struct bench *bench, uint64_t count)
{
    struct write_set *set;
    must(write_set_create(bench->table, &set), "write set");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t row = bench->rows + i;
        char code[9];
        snprintf(code, sizeof code, "%08x", (unsigned)(row * 2654435761u));
        omen_value values[COLUMNS] = {
            {.type.id = OMEN_TYPE_BIGINT, .as.i64 = key_of(bench, row)},
            {.type.id = OMEN_TYPE_BIGINT, .as.i64 = (int64_t)(row * 7)},
            {.type.id = OMEN_TYPE_INTEGER, .as.i32 = (int32_t)(row % 100)},
            {.type.id = OMEN_TYPE_TEXT, .as.bytes = {(const uint8_t *)code, 8}}};
        must(write_set_insert(set, values, NULL), "insert");
    }
    must(write_set_commit(set, false, NULL), "commit");
    write_set_destroy(set);
    bench->rows += count;
}

static void load_to(struct bench *bench, uint64_t rows)
{
    double start = figure_seconds();
    while (bench->rows < rows) {
        uint64_t left = rows - bench->rows;
        insert_rows(bench, left < SET_ROWS ? left : SET_ROWS);
    }
    bench->load_s += figure_seconds() - start;
    struct maintain_report report;
    table_seal_open(bench->table);
    do {
        report = (struct maintain_report){0};
        must(table_maintain(bench->table, 1u << 20, &report), "maintain");
    } while (report.more);
}

static double probe_ns(struct bench *bench)
{
    struct random random = random_seeded(1);
    struct snapshot snapshot;
    must(snapshot_acquire(bench->manager, &snapshot), "snapshot");
    struct read_view view = {.snapshot = snapshot.timestamp};
    int64_t sum = 0, expected = 0;
    double start = figure_seconds();
    for (int i = 0; i < PROBES; i++) {
        uint64_t row = random_below(&random, bench->rows);
        struct row_ref found;
        omen_value amount;
        /* A BIGINT's word: its bits with the sign flipped. */
        struct index_key key =
            index_key_word((uint64_t)key_of(bench, row) ^ UINT64_C(1) << 63);
        must(table_get_encoded(bench->table, &view, key, &found), "lookup");
        row_group_read(found.group, found.slot, 1, &amount);
        sum += amount.as.i64;
        expected += (int64_t)(row * 7);
        row_ref_release(&found);
    }
    double elapsed = figure_seconds() - start;
    if (sum != expected)
        must(OMEN_INTERNAL, "a lookup read the wrong row");
    snapshot_release(&snapshot);
    return elapsed * 1e9 / PROBES;
}

static double update_ns(struct bench *bench)
{
    enum { UPDATES = 100000 };
    struct random random = random_seeded(2);
    uint32_t column = 1;
    double start = figure_seconds();
    for (int i = 0; i < UPDATES; i++) {
        omen_value key = {.type.id = OMEN_TYPE_BIGINT,
                          .as.i64 = key_of(bench, random_below(&random, bench->rows))};
        omen_value value = {.type.id = OMEN_TYPE_BIGINT, .as.i64 = i};
        struct write_set *set;
        txn_writer_lock(bench->manager);
        must(write_set_create(bench->table, &set), "write set");
        must(write_set_update(set, &key, &column, &value, 1, NULL), "update");
        must(write_set_commit(set, true, NULL), "commit");
        txn_writer_unlock(bench->manager);
        write_set_destroy(set);
    }
    return (figure_seconds() - start) * 1e9 / UPDATES;
}

static bool measure(bool uniform, uint64_t rows)
{
    struct bench bench;
    struct figure figure = {.name = uniform ? "memory.row.uniform" : "memory.row.ascending",
                            .unit = "B",
                            .peer_name = "target",
                            .target = 1.0};
    double allowed = uniform ? 36 : 24;
    struct table_stats stats = {0};
    bench_open(&bench, uniform);
    for (int pair = 0; pair < FIGURE_PAIRS; pair++) {
        load_to(&bench, rows * (uint64_t)(FIGURE_PAIRS - 1 + pair) / (2 * (FIGURE_PAIRS - 1)));
        table_stats_of(bench.table, &stats);
        double held = (double)atomic_load(&bench.allocator.bytes_used) / (double)bench.rows;
        figure_add(&figure, held - ROW_BYTES, allowed);
    }
    double lookup_ns = probe_ns(&bench); /* before the updates change what is read */
    double updated_ns = update_ns(&bench);
    printf("{\"figure\": \"%s\", \"rows\": %" PRIu64 ", \"column_bytes\": %.2f, "
           "\"lifetime_bytes\": %.2f, \"index_bytes\": %.2f, \"load_rows_per_s\": %.0f, "
           "\"lookup_ns\": %.0f, \"update_ns\": %.0f}\n",
           figure.name, bench.rows, (double)stats.column_bytes / (double)bench.rows,
           (double)stats.lifetime_bytes / (double)bench.rows,
           (double)stats.index_bytes / (double)bench.rows, (double)bench.rows / bench.load_s,
           lookup_ns, updated_ns);
    bench_close(&bench);
    return figure_print(&figure);
}

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 && strcmp(argv[1], "all") != 0 ? argv[1] : NULL;
    uint64_t rows = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000000;
    bool met = true;
    if (rows < 1000)
        rows = 1000;
    if (figure_wanted("memory.row.ascending", wanted))
        met &= measure(false, rows);
    if (figure_wanted("memory.row.uniform", wanted))
        met &= measure(true, rows);
    return met ? 0 : 1;
}
