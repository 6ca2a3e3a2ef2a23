/* bench_replay.c - recovery.replay of DESIGN, section 13: applying the log again, beside doing the
 * same work unlogged.
 *
 *     bench_replay [FIGURE] [ROWS]     FIGURE: recovery.replay, recovery.replay.single, ....batch
 *
 * Rows of 50 bytes: id BIGINT (the key), amount BIGINT, kind INTEGER, code TEXT of 30 bytes. Half of
 * the work inserts rows, half updates them, in a random order of keys. The log is written once, by the
 * work itself, into memory. Then, in turns: replay of that log into an empty table, and the peer, the
 * same work through the same write sets into an empty table without a log. The target of 0.8 times
 * the peer's rate is a ratio of 1.25 in time.
 *
 *   single   one row a commit: inserts, and updates by key
 *   batch    commits of 1,000 rows
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "figure.h"
#include "table/redo.h"

enum { COLUMNS = 4, TABLE_ID = 1 };

struct bench {
    uint64_t rows;  /* inserted; as many are updated */
    uint64_t batch; /* rows a commit */
    /* The log: bytes, and where commits end. */
    uint8_t *bytes;
    size_t length, capacity;
    uint64_t *ends;
    size_t commits;
};

static void must(omen_status status, const char *what)
{
    if (status == OMEN_OK)
        return;
    fprintf(stderr, "bench_replay: %s: %s\n", what, omen_status_text(status));
    exit(2);
}

/* --- the log --- */

static omen_status log_reserve(void *self, uint64_t bytes, omen_error *error)
{
    struct bench *bench = self;
    if (bench->capacity - bench->length < bytes) {
        bench->capacity = 2 * bench->capacity + bytes + (1 << 20);
        bench->bytes = realloc(bench->bytes, bench->capacity);
        if (bench->bytes == NULL)
            return OMEN_OUT_OF_MEMORY;
    }
    return OMEN_OK;
}

static omen_status log_append(void *self, const void *data, size_t length, omen_error *error)
{
    struct bench *bench = self;
    memcpy(bench->bytes + bench->length, data, length);
    bench->length += length;
    return OMEN_OK;
}

static uint64_t log_commit(void *self)
{
    struct bench *bench = self;
    bench->ends[bench->commits++] = bench->length;
    return bench->length;
}

static omen_status log_fine(void *self, omen_error *error)
{
    return OMEN_OK;
}

static uint64_t log_join(void *self, uint64_t lsn)
{
    return 0;
}

static omen_status log_sync(void *self, uint64_t lsn, omen_error *error)
{
    return OMEN_OK;
}

static const struct txn_log_ops log_ops = {log_reserve, log_append, log_commit,
                                           log_join,    log_sync,   log_fine};

/* --- a table --- */

struct store {
    struct allocator allocator;
    struct txn_manager *manager;
    struct schema *schema;
    struct table *table;
};

static void store_open(struct store *store)
{
    static const struct column_definition columns[COLUMNS] = {
        {.name = "id", .type.id = OMEN_TYPE_BIGINT},
        {.name = "amount", .type.id = OMEN_TYPE_BIGINT, .nullable = true},
        {.name = "kind", .type.id = OMEN_TYPE_INTEGER, .nullable = true},
        {.name = "code", .type.id = OMEN_TYPE_TEXT, .nullable = true}};
    const uint32_t key = 0;
    memset(store, 0, sizeof *store);
    allocator_init(&store->allocator, 0);
    must(txn_manager_create(&store->allocator, &store->manager), "manager");
    must(schema_create(&store->allocator, columns, COLUMNS, &key, 1, &store->schema, NULL),
         "schema");
    must(table_create(&store->allocator, store->manager, "bench", store->schema, &store->table),
         "table");
    table_set_id(store->table, TABLE_ID);
}

static void store_close(struct store *store)
{
    table_release(store->table);
    schema_release(store->schema);
    txn_manager_destroy(store->manager);
}

static uint64_t row_total(const struct store *store)
{
    return table_row_count_estimate(store->table);
}

/* --- the work --- */

static int64_t key_of(uint64_t row)
{
    uint64_t mixed = row * UINT64_C(0x9E3779B97F4A7C15);
    mixed ^= mixed >> 32;
    return (int64_t)(mixed * UINT64_C(0xD6E8FEB86659FD93));
}

static void insert_row(struct write_set *set, uint64_t row)
{
    char code[31];
    memset(code, 'c', sizeof code);
    memcpy(code, &row, 4);
    for (int i = 0; i < 4; i++)
        code[i] = (char)('a' + (code[i] & 15));
    omen_value values[COLUMNS] = {
        {.type.id = OMEN_TYPE_BIGINT, .as.i64 = key_of(row)},
        {.type.id = OMEN_TYPE_BIGINT, .as.i64 = (int64_t)(row * 7)},
        {.type.id = OMEN_TYPE_INTEGER, .as.i32 = (int32_t)(row % 100)},
        {.type.id = OMEN_TYPE_TEXT, .as.bytes = {(const uint8_t *)code, 30}}};
    must(write_set_insert(set, values, NULL), "insert");
}

static void update_row(struct write_set *set, uint64_t row, uint64_t amount)
{
    const uint32_t column = 1;
    omen_value key = {.type.id = OMEN_TYPE_BIGINT, .as.i64 = key_of(row)};
    omen_value value = {.type.id = OMEN_TYPE_BIGINT, .as.i64 = (int64_t)amount};
    must(write_set_update(set, &key, &column, &value, 1, NULL), "update");
}

/* Inserts and updates in turns, a commit of each; updates are of rows that are there. */
static void work(const struct bench *bench, struct store *store)
{
    struct random random = random_seeded(3);
    for (uint64_t done = 0; done < bench->rows; done += bench->batch) {
        for (int updates = 0; updates < 2; updates++) {
            struct write_set *set;
            must(write_set_create(store->table, &set), "write set");
            if (updates)
                txn_writer_lock(store->manager);
            for (uint64_t i = 0; i < bench->batch; i++)
                if (updates)
                    update_row(set, random_below(&random, done + bench->batch), i);
                else
                    insert_row(set, done + i);
            must(write_set_commit(set, updates != 0, NULL), "commit");
            if (updates)
                txn_writer_unlock(store->manager);
            write_set_destroy(set);
        }
    }
}

static void run_peer(void *context)
{
    struct store store;
    store_open(&store);
    work(context, &store);
    if (row_total(&store) != ((struct bench *)context)->rows)
        must(OMEN_INTERNAL, "rows are missing");
    store_close(&store);
}

static omen_status find_table(void *context, uint64_t table_id, struct table **out,
                              omen_error *error)
{
    *out = context;
    return OMEN_OK;
}

static void run_replay(void *context)
{
    const struct bench *bench = context;
    struct store store;
    struct replay *replay;
    store_open(&store);
    const struct replay_hooks hooks = {.context = store.table, .find = find_table};
    must(replay_create(&store.allocator, store.manager, &hooks, &replay), "replay");
    for (size_t i = 0, first = 0; i < bench->commits; first = bench->ends[i++]) {
        must(replay_data(replay, bench->bytes + first, bench->ends[i] - first, NULL), "data");
        must(replay_commit(replay, NULL), "commit");
    }
    must(replay_finish(replay, NULL), "finish");
    replay_destroy(replay);
    if (row_total(&store) != bench->rows)
        must(OMEN_INTERNAL, "rows are missing");
    store_close(&store);
}

static bool measure(const char *name, uint64_t rows, uint64_t batch)
{
    struct bench bench = {.rows = rows / batch * batch, .batch = batch};
    struct store store;
    bench.ends = malloc((2 * bench.rows / batch + 1) * sizeof *bench.ends);
    if (bench.ends == NULL)
        must(OMEN_OUT_OF_MEMORY, "log");
    store_open(&store);
    txn_set_log(store.manager, &log_ops, &bench, 0);
    work(&bench, &store);
    txn_set_log(store.manager, NULL, NULL, 0);
    store_close(&store);
    struct figure figure = {.name = name,
                            .unit = "ns",
                            .peer_name = "unlogged",
                            .target = 1.25,
                            .ours = run_replay,
                            .ours_context = &bench,
                            .peer = run_peer,
                            .peer_context = &bench,
                            .unit_count = 2 * bench.rows};
    bool met = figure_compare(&figure);
    printf("{\"figure\":\"%s\",\"rows\":%" PRIu64 ",\"commits\":%zu,\"log_bytes\":%zu}\n", name,
           2 * bench.rows, bench.commits, bench.length);
    free(bench.ends);
    free(bench.bytes);
    return met;
}

int main(int count, char **arguments)
{
    const char *wanted = count > 1 ? arguments[1] : NULL;
    uint64_t rows = count > 2 ? strtoull(arguments[2], NULL, 10) : 1000000;
    bool met = true;
    if (figure_wanted("recovery.replay.single", wanted))
        met &= measure("recovery.replay.single", rows, 1);
    if (figure_wanted("recovery.replay.batch", wanted))
        met &= measure("recovery.replay.batch", rows, 1000);
    return met ? 0 : 1;
}
