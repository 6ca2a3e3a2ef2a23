/* own_writes_model.c - see own_writes_model.h. */
#include "own_writes_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "column/key.h"
#include "support.h"
#include "table/redo.h"

const struct rows *committed(const struct run *run)
{
    return &run->history[run->moments - 1].rows;
}

static const struct rows *rows_at(const struct run *run, uint64_t timestamp)
{
    size_t at = run->moments - 1;
    while (run->history[at].timestamp > timestamp)
        at--;
    return &run->history[at].rows;
}

void remember(struct run *run, const struct rows *rows)
{
    uint64_t timestamp = txn_published(run->manager);
    if (run->moments == run->moment_capacity) {
        run->moment_capacity = run->moment_capacity * 2 + 64;
        run->history = realloc(run->history, run->moment_capacity * sizeof *run->history);
        assert_non_null(run->history);
    }
    for (int k = 0; k < KEYS && run->moments > 0; k++)
        if (committed(run)->n[k] != rows->n[k])
            run->changed_at[k] = timestamp;
    run->history[run->moments++] = (struct moment){timestamp, *rows};
}

/* --- values --- */

omen_value key_value(const struct run *run, int32_t k, struct text *text)
{
    omen_value value = {.type = run->schema->columns[K].type, .as.i64 = k};
    if (run->kind != TEXTS)
        return value;
    int length = snprintf(text->bytes, sizeof text->bytes, "%05d%s", k,
                          k % 7 == 0 ? "" : k % 3 ? " and so on" : " and so on and so on and so on");
    value.as.bytes = (omen_bytes){(const uint8_t *)text->bytes, (size_t)length};
    return value;
}

static omen_value pad_value(int32_t n, struct text *text)
{
    omen_value value = {.type = {.id = OMEN_TYPE_TEXT}};
    value.is_null = n % 9 == 0;
    int length = snprintf(text->bytes, sizeof text->bytes, "%d%s", n,
                          n % 2 ? "" : " with a text that is too long to lie in its view");
    value.as.bytes = (omen_bytes){(const uint8_t *)text->bytes, (size_t)length};
    return value;
}

void fill_row(const struct run *run, int32_t k, int32_t n, omen_value *row,
                     struct text *texts)
{
    row[K] = key_value(run, k, &texts[0]);
    row[N] = (omen_value){.type = {.id = OMEN_TYPE_INTEGER}, .as.i32 = n};
    row[PAD] = pad_value(n, &texts[1]);
}

struct index_key encode(const struct run *run, int32_t k, struct arena *arena)
{
    struct text text;
    omen_value value = key_value(run, k, &text);
    struct index_key key;
    assert_int_equal(key_encode(run->schema, &value, arena, &key, NULL), OMEN_OK);
    return key;
}

/* --- what a statement sees --- */

struct rows seen_at(const struct run *run, const struct rows *written, uint64_t snapshot)
{
    struct rows rows = *rows_at(run, snapshot);
    for (int k = 0; k < KEYS && run->own != NULL; k++)
        if (written->n[k] != UNTOUCHED)
            rows.n[k] = written->n[k];
    return rows;
}

void statement_snapshot(struct run *run, struct snapshot *out)
{
    if (run->own != NULL && run->repeatable)
        assert_int_equal(snapshot_share(run->manager, &run->snapshot, out), OMEN_OK);
    else
        assert_int_equal(snapshot_acquire(run->manager, out), OMEN_OK);
}

/* Fails the next allocation but some, now and then. */
void sabotage(struct run *run)
{
    if (below(run, 4) == 0)
        allocator_fail_at(&run->allocator, 1 + below(run, 12), (int)below(run, 2));
}

bool memory_ran_out(struct run *run, omen_status status)
{
    bool failed = allocator_has_failed(&run->allocator);
    allocator_fail_at(&run->allocator, 0, 0);
    run->failures += failed;
    if (status == OMEN_OUT_OF_MEMORY)
        assert_true(failed);
    return status == OMEN_OUT_OF_MEMORY;
}

/* --- reading a view --- */

static bool wanted(const omen_predicate *predicate, int32_t k, int32_t n, const int32_t *keys)
{
    if (predicate == NULL)
        return true;
    if (predicate->column == N)
        return predicate->op == OMEN_GT ? n > predicate->values[0].as.i32
                                        : n <= predicate->values[0].as.i32;
    for (size_t i = 0; i < predicate->value_count; i++)
        if (keys[i] == k)
            return true;
    return false;
}

static int32_t read_key(const struct run *run, const struct ArrowArray *column, int64_t at)
{
    omen_value value;
    char digits[6] = "";
    arrow_read(&run->schema->columns[K].type, column, at, &value);
    if (run->kind != TEXTS)
        return (int32_t)value.as.i64;
    memcpy(digits, value.as.bytes.data, 5);
    return atoi(digits);
}

static void check_batch(struct run *run, struct reader *reader, const struct ArrowArray *batch,
                        const omen_predicate *predicate, const int32_t *keys, bool *seen)
{
    for (int64_t i = 0; i < batch->length; i++) {
        int32_t k = read_key(run, batch->children[K], i);
        omen_value n, pad, row_id;
        struct text text;
        arrow_read(&run->schema->columns[N].type, batch->children[N], i, &n);
        arrow_read(&run->schema->columns[PAD].type, batch->children[PAD], i, &pad);
        arrow_read(&(omen_type){.id = OMEN_TYPE_BIGINT}, batch->children[COLUMNS], i, &row_id);
        assert_in_range(k, 0, KEYS - 1);
        if (reader->expected.n[k] != n.as.i32)
            fail_msg("key %d: version %d shown, %d expected", k, n.as.i32, reader->expected.n[k]);
        if (seen[k])
            fail_msg("key %d shown twice", k);
        assert_true(wanted(predicate, k, n.as.i32, keys));
        omen_value expected = pad_value(n.as.i32, &text);
        assert_true(value_equal(&pad, &expected));
        seen[k] = true;
        reader->row_ids[k] = (uint64_t)row_id.as.i64 | ROW_ID_OCCUPIED;
    }
}

/* One share; false where memory ran out. */
static bool scan_share(struct run *run, struct reader *reader, const struct scan_spec *spec,
                       const int32_t *keys, bool *seen)
{
    struct scan *scan;
    omen_status status = table_scan_open(reader->view, spec, &scan, NULL);
    struct ArrowArray batch;
    while (status == OMEN_OK && (status = table_scan_next(scan, &batch)) == OMEN_OK) {
        check_batch(run, reader, &batch, spec->predicates, keys, seen);
        batch.release(&batch);
    }
    table_scan_close(scan);
    if (memory_ran_out(run, status))
        return false;
    assert_int_equal(status, OMEN_END_OF_DATA);
    return true;
}

static void scan_reader(struct run *run, struct reader *reader)
{
    static const uint32_t columns[] = {K, N, PAD, ROW_ID_COLUMN};
    enum { LISTED = 100 }; /* more than are looked up at once */
    int32_t keys[LISTED];
    omen_value values[LISTED];
    struct text texts[LISTED];
    omen_predicate predicate = {.values = values, .value_count = 1};
    uint64_t shape = below(run, 4);
    if (shape == 0) {
        predicate.column = N;
        predicate.op = below(run, 2) ? OMEN_GT : OMEN_LE;
        values[0] = (omen_value){.type = {.id = OMEN_TYPE_INTEGER},
                                 .as.i32 = (int32_t)below(run, (uint64_t)run->next_n)};
    } else if (shape == 1) {
        predicate.column = K;
        predicate.value_count = 1 + below(run, below(run, 2) ? 3 : LISTED);
        predicate.op = predicate.value_count == 1 ? OMEN_EQ : OMEN_IN;
        for (size_t i = 0; i < predicate.value_count; i++) {
            keys[i] = (int32_t)below(run, KEYS);
            values[i] = key_value(run, keys[i], &texts[i]);
        }
    }
    bool seen[KEYS] = {false};
    struct scan_spec spec = {.columns = columns,
                             .column_count = 4,
                             .predicates = shape < 2 ? &predicate : NULL,
                             .predicate_count = shape < 2,
                             .limit = UINT64_MAX,
                             .partition_count = 1 + (uint32_t)below(run, 3),
                             .key_lookup = below(run, 4) != 0};
    sabotage(run);
    for (; spec.partition < spec.partition_count; spec.partition++)
        if (!scan_share(run, reader, &spec, keys, seen))
            return;
    memory_ran_out(run, OMEN_OK);
    for (int k = 0; k < KEYS; k++)
        if (reader->expected.n[k] != 0 && !seen[k] &&
            wanted(spec.predicates, k, reader->expected.n[k], keys))
            fail_msg("key %d: version %d missing", k, reader->expected.n[k]);
    reader->read |= shape >= 2;
}

static void check_statistics(struct run *run, struct reader *reader)
{
    uint64_t count = 0;
    for (int k = 0; k < KEYS; k++)
        count += reader->expected.n[k] != 0;
    bool exact;
    uint64_t rows = table_view_row_count(reader->view, &exact);
    if (exact)
        assert_int_equal(rows, count);
    struct column_summary summary;
    table_view_column(reader->view, N, &summary);
    for (int k = 0; k < KEYS && summary.has_range; k++)
        if (reader->expected.n[k] != 0)
            assert_in_range(reader->expected.n[k], summary.min.as.i32, summary.max.as.i32);
    if (run->own != NULL && reader->transaction == run->transaction &&
        !own_writes_empty(run->own) && reader->command == run->command + 1)
        assert_true(!exact && !summary.complete);
}

void reader_close(struct reader *reader)
{
    table_view_release(reader->view);
    *reader = (struct reader){0};
}

static void reader_open(struct run *run, struct reader *reader)
{
    struct snapshot snapshot;
    uint32_t command = run->command + (uint32_t)below(run, 2);
    statement_snapshot(run, &snapshot);
    sabotage(run);
    omen_status status =
        table_view_open_own(run->table, &snapshot, run->own, command, &reader->view);
    if (!memory_ran_out(run, status)) {
        assert_int_equal(status, OMEN_OK);
        reader->expected =
            seen_at(run, command > run->command ? &run->written : &run->written_before,
                    snapshot.timestamp);
        reader->transaction = run->own == NULL ? 0 : run->transaction;
        reader->command = command;
        check_statistics(run, reader);
    }
    snapshot_release(&snapshot);
}

void step_reader(struct run *run)
{
    struct reader *reader = &run->readers[below(run, READERS)];
    if (reader->view == NULL)
        reader_open(run, reader);
    else if (below(run, 4) == 0)
        reader_close(reader);
    else
        scan_reader(run, reader);
}

void step_fresh_reader(struct run *run)
{
    struct reader reader = {.view = NULL};
    reader_open(run, &reader);
    for (int i = 0; i < 3 && reader.view != NULL; i++)
        scan_reader(run, &reader);
    reader_close(&reader);
}

void step_points(struct run *run)
{
    struct snapshot snapshot;
    struct arena arena;
    if (run->kind == HIDDEN)
        return;
    arena_init(&arena, &run->allocator);
    statement_snapshot(run, &snapshot);
    uint32_t command = run->command + (uint32_t)below(run, 2);
    struct rows seen =
        seen_at(run, command > run->command ? &run->written : &run->written_before,
                snapshot.timestamp);
    struct read_view view = {.snapshot = snapshot.timestamp, .command = command};
    for (int i = 0; i < 20; i++) {
        int32_t k = (int32_t)below(run, KEYS);
        struct row_ref row;
        omen_status status =
            table_get_own(run->table, &view, run->own, encode(run, k, &arena), &row);
        assert_int_equal(status, seen.n[k] == 0 ? OMEN_NOT_FOUND : OMEN_OK);
        if (status != OMEN_OK)
            continue;
        omen_value n;
        row_group_read(row.group, row.slot, N, &n);
        assert_int_equal(n.as.i32, seen.n[k]);
        row_ref_release(&row);
    }
    snapshot_release(&snapshot);
    arena_release(&arena);
}

/* --- the table as the log has it --- */

static omen_status find_table(void *context, uint64_t table_id, struct table **out,
                              omen_error *error)
{
    (void)error;
    assert_int_equal(table_id, TABLE_ID);
    *out = context;
    return OMEN_OK;
}

void check_table(struct run *run, struct table *table, struct txn_manager *manager)
{
    omen_error error = {0};
    struct reader reader = {.expected = *committed(run)};
    struct snapshot snapshot;
    assert_int_equal(snapshot_acquire(manager, &snapshot), OMEN_OK);
    assert_int_equal(table_view_open(table, &snapshot, &reader.view), OMEN_OK);
    for (int i = 0; i < 6; i++)
        scan_reader(run, &reader);
    snapshot_release(&snapshot);
    table_view_release(reader.view);
    if (table_validate(table, &error) != OMEN_OK)
        fail_msg("%s", error.message);
    uint64_t count = 0;
    for (int k = 0; k < KEYS; k++)
        count += committed(run)->n[k] != 0;
    assert_int_equal(table_row_count_estimate(table), count);
}

static void check_replayed(struct run *run)
{
    struct txn_manager *manager;
    struct table *table;
    struct replay *replay;
    omen_error error = {0};
    assert_int_equal(txn_manager_create(&run->allocator, &manager), OMEN_OK);
    assert_int_equal(table_create(&run->allocator, manager, "replica", run->schema, &table),
                     OMEN_OK);
    table_set_id(table, TABLE_ID);
    const struct replay_hooks hooks = {table, find_table, NULL};
    assert_int_equal(replay_create(&run->allocator, manager, &hooks, &replay), OMEN_OK);
    for (size_t i = 0; i < run->log.commits; i++) {
        size_t first = i == 0 ? 0 : run->log.ends[i - 1];
        omen_status status = replay_data(replay, run->log.bytes + first, run->log.ends[i] - first,
                                         &error);
        if (status == OMEN_OK)
            status = replay_commit(replay, &error);
        if (status != OMEN_OK)
            fail_msg("commit %zu: %s", i, error.message);
    }
    assert_int_equal(replay_finish(replay, &error), OMEN_OK);
    replay_destroy(replay);
    check_table(run, table, manager);
    table_release(table);
    txn_manager_destroy(manager);
}

/* --- the run --- */

void open_run(struct run *run, enum kind kind, uint64_t run_seed)
{
    static const struct column_definition columns[] = {
        {.name = "k", .type = {.id = OMEN_TYPE_BIGINT}},
        {.name = "n", .type = {.id = OMEN_TYPE_INTEGER}},
        {.name = "pad", .type = {.id = OMEN_TYPE_TEXT}, .nullable = true}};
    static const uint32_t key[] = {K};
    struct column_definition mine[COLUMNS];
    memcpy(mine, columns, sizeof mine);
    if (kind == TEXTS)
        mine[K].type.id = OMEN_TYPE_TEXT;
    *run = (struct run){.kind = kind, .next_n = 1, .random = random_seeded(run_seed)};
    allocator_init(&run->allocator, 0);
    assert_int_equal(txn_manager_create(&run->allocator, &run->manager), OMEN_OK);
    assert_int_equal(schema_create(&run->allocator, mine, COLUMNS, key, kind != HIDDEN,
                                   &run->schema, NULL),
                     OMEN_OK);
    assert_int_equal(table_create(&run->allocator, run->manager, "t", run->schema, &run->table),
                     OMEN_OK);
    table_set_id(run->table, TABLE_ID);
    fake_log_open(&run->log, run->manager);
    remember(run, &(struct rows){{0}});
}

void close_run(struct run *run)
{
    for (int i = 0; i < READERS; i++)
        reader_close(&run->readers[i]);
    check_table(run, run->table, run->manager);
    check_replayed(run);
    fake_log_close(&run->log);
    table_release(run->table);
    schema_release(run->schema);
    txn_manager_destroy(run->manager);
    assert_int_equal(run->allocator.bytes_used, 0);
    free(run->history);
}
