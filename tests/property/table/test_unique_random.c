/* Random changes of a table with unique keys, against a plain model.
 *
 * Statements insert, update and delete some rows, by key and by row ids, so that they often break a
 * constraint, and often move keys among their rows. Some are commits of their own, some belong to the one
 * transaction that is open: undone, gone back from to savepoints, committed or rolled back. In between
 * groups are closed, frozen, compacted and dropped, the indexes are thrown away as if the table had just
 * been opened, and memory runs out. The keys that a statement has to lock are compared with the model's,
 * and others leave those alone that the transaction has locked.
 *
 * OMEN_SEED=n replays a run, OMEN_STEPS=n sets its length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "column/key.h"
#include "support.h"
#include "table/own_writes.h"
#include "table/table_uniques.h"

enum { ID, A, B, C, N, COLUMNS };
enum { ROWS = 60, VALUES = 90, OPS_MAX = 8, SAVEPOINTS = 3, UNIQUES = 3, LOCKS_MAX = 4096 };

static const uint32_t key_a[] = {A}, key_bc[] = {B, C}, key_ca[] = {C, A};
static const struct unique_definition uniques[UNIQUES] = {
    {"t_a_key", key_a, 1}, {"t_b_c_key", key_bc, 2}, {"t_c_a_key", key_ca, 2}};

/* 0 is NULL. */
struct row {
    bool live;
    int32_t a, b, c, n;
};

struct rows {
    struct row of[ROWS]; /* by id */
};

struct own_state {
    struct rows rows;
    bool touched[ROWS];
};

struct savepoint {
    struct own_mark mark;
    struct own_state state;
};

struct run {
    bool hidden; /* no primary key */
    struct random random;
    struct allocator allocator;
    struct txn_manager *manager;
    struct schema *schema;
    struct table *table;
    struct rows committed;

    struct own_writes *own; /* NULL: no transaction */
    uint32_t command;
    struct own_state state;
    struct savepoint savepoints[SAVEPOINTS];
    uint32_t savepoint_count;
    struct numbered_key locked[LOCKS_MAX];
    size_t locked_count;
    struct arena locked_arena;

    struct maintain_report report;
    uint64_t commits, own_commits, duplicates, own_duplicates, undone, failures, avoided, rebuilt;
};

static uint64_t seed;

static uint64_t below(struct run *run, uint64_t bound)
{
    return random_below(&run->random, bound);
}

/* --- values --- */

struct text {
    char bytes[64];
};

static omen_value integer(int32_t number)
{
    return (omen_value){.type = {.id = OMEN_TYPE_INTEGER}, .is_null = number == 0, .as.i32 = number};
}

static omen_value text_of(int32_t number, struct text *text)
{
    omen_value value = {.type = {.id = OMEN_TYPE_TEXT}, .is_null = number == 0};
    int length = snprintf(text->bytes, sizeof text->bytes, "%d%s", number,
                          number % 3 == 0 ? " and more than lies in a view" : "");
    value.as.bytes = (omen_bytes){(const uint8_t *)text->bytes, (size_t)length};
    return value;
}

static void fill(const struct row *row, int32_t id, omen_value *values, struct text *text)
{
    values[ID] = (omen_value){.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = id};
    values[A] = integer(row->a);
    values[B] = text_of(row->b, text);
    values[C] = integer(row->c);
    values[N] = integer(row->n);
}

static int32_t value(struct run *run)
{
    return below(run, 5) == 0 ? 0 : 1 + (int32_t)below(run, VALUES);
}

static struct row any_row(struct run *run)
{
    return (struct row){true, value(run), value(run), 1 + (int32_t)below(run, 3), 1};
}

/* --- keys in the model --- */

static bool has_key(const struct row *row, uint32_t number)
{
    return row->live && (number == 1   ? row->a != 0
                         : number == 2 ? row->b != 0 && row->c != 0
                                       : row->c != 0 && row->a != 0);
}

static bool same_key(const struct row *left, const struct row *right, uint32_t number)
{
    return has_key(left, number) && has_key(right, number) &&
           (number == 1   ? left->a == right->a
            : number == 2 ? left->b == right->b && left->c == right->c
                          : left->c == right->c && left->a == right->a);
}

static bool breaks_a_key(const struct rows *rows)
{
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < i; j++)
            for (uint32_t number = 1; number <= UNIQUES; number++)
                if (same_key(&rows->of[i], &rows->of[j], number))
                    return true;
    return false;
}

static struct index_key encode(struct run *run, const struct row *row, uint32_t number,
                               struct arena *arena)
{
    const struct schema_key *key = schema_key_of(run->schema, number);
    omen_value values[COLUMNS], parts[2];
    struct text text;
    struct index_key encoded;
    fill(row, 0, values, &text);
    for (uint32_t i = 0; i < key->count; i++)
        parts[i] = values[key->columns[i]];
    assert_int_equal(key_encode_of(run->schema, key, parts, arena, &encoded, NULL), OMEN_OK);
    return encoded;
}

static bool key_equal(struct numbered_key left, struct numbered_key right)
{
    return left.number == right.number && left.key.word == right.key.word &&
           left.key.length == right.key.length &&
           (left.key.length == 0 || memcmp(left.key.bytes, right.key.bytes, left.key.length) == 0);
}

/* --- failing memory --- */

static void sabotage(struct run *run)
{
    if (below(run, 5) == 0)
        allocator_fail_at(&run->allocator, 1 + below(run, 14), (int)below(run, 2));
}

static bool memory_ran_out(struct run *run, omen_status status)
{
    bool failed = allocator_has_failed(&run->allocator);
    allocator_fail_at(&run->allocator, 0, 0);
    if (status == OMEN_OUT_OF_MEMORY)
        assert_true(failed);
    run->failures += status == OMEN_OUT_OF_MEMORY;
    return status == OMEN_OUT_OF_MEMORY;
}

/* --- statements --- */

/* What a statement does, and what it should give. */
struct statement {
    struct write_set *set;
    struct rows before, after;
    bool changed[ROWS]; /* as a target */
    bool inserted[ROWS];
};

/* The ids of row versions, by id column, as a statement sees them. */
static void find_row_ids(struct run *run, const struct snapshot *snapshot, uint64_t *row_ids)
{
    static const uint32_t columns[] = {ID, ROW_ID_COLUMN};
    struct table_view *view;
    struct scan *scan;
    struct ArrowArray batch;
    omen_status status;
    memset(row_ids, 0, ROWS * sizeof *row_ids);
    assert_int_equal(table_view_open_own(run->table, snapshot, run->own, run->command, &view),
                     OMEN_OK);
    struct scan_spec spec = {
        .columns = columns, .column_count = 2, .limit = UINT64_MAX, .partition_count = 1};
    assert_int_equal(table_scan_open(view, &spec, &scan, NULL), OMEN_OK);
    while ((status = table_scan_next(scan, &batch)) == OMEN_OK) {
        for (int64_t i = 0; i < batch.length; i++) {
            omen_value id, row_id;
            arrow_read(&(omen_type){.id = OMEN_TYPE_BIGINT}, batch.children[0], i, &id);
            arrow_read(&(omen_type){.id = OMEN_TYPE_BIGINT}, batch.children[1], i, &row_id);
            row_ids[id.as.i64] = (uint64_t)row_id.as.i64;
        }
        batch.release(&batch);
    }
    assert_int_equal(status, OMEN_END_OF_DATA);
    table_scan_close(scan);
    table_view_release(view);
}

/* New values for some columns of a row; which and how many columns. */
static uint32_t draw_change(struct run *run, struct row *row, uint32_t *columns, omen_value *values,
                            struct text *text)
{
    static const uint32_t choices[][3] = {{A, N, N}, {B, N, N}, {A, C, N}, {N, N, N}, {A, B, C}};
    const uint32_t *chosen = choices[below(run, 5)];
    struct row drawn = any_row(run);
    omen_value all[COLUMNS];
    uint32_t count = 0;
    row->n++;
    for (int i = 0; i < 3; i++) {
        row->a = chosen[i] == A ? drawn.a : row->a;
        row->b = chosen[i] == B ? drawn.b : row->b;
        row->c = chosen[i] == C ? drawn.c : row->c;
    }
    fill(row, 0, all, text);
    for (int i = 0; i < 3; i++)
        if (chosen[i] != N)
            columns[count++] = chosen[i];
    columns[count++] = N;
    for (uint32_t i = 0; i < count; i++)
        values[i] = all[columns[i]];
    return count;
}

/* False where memory ran out. */
static bool gather_one(struct run *run, struct statement *statement, const uint64_t *row_ids,
                       bool by_id)
{
    int32_t id = (int32_t)below(run, ROWS);
    struct row *row = &statement->after.of[id], changed = *row;
    const bool there = statement->before.of[id].live;
    omen_value values[COLUMNS], key = {.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = id};
    uint32_t columns[COLUMNS];
    struct text text;
    omen_status status;
    if (statement->changed[id] || statement->inserted[id])
        return true;
    if (!there) {
        changed = any_row(run);
        fill(&changed, id, values, &text);
        status = write_set_insert(statement->set, values, NULL);
        statement->inserted[id] = status == OMEN_OK;
    } else if (below(run, 3) == 0) {
        changed.live = false;
        status = by_id ? write_set_delete_row(statement->set, row_ids[id], NULL)
                       : write_set_delete(statement->set, &key, NULL);
        statement->changed[id] = status == OMEN_OK;
    } else {
        uint32_t count = draw_change(run, &changed, columns, values, &text);
        status = by_id ? write_set_update_row(statement->set, row_ids[id], columns, values, count, NULL)
                       : write_set_update(statement->set, &key, columns, values, count, NULL);
        statement->changed[id] = status == OMEN_OK;
    }
    if (status == OMEN_OUT_OF_MEMORY)
        return false;
    assert_int_equal(status, OMEN_OK);
    *row = changed;
    return true;
}

/* Two rows exchange their values of a. */
static bool gather_exchange(struct run *run, struct statement *statement, const uint64_t *row_ids)
{
    int32_t ids[2] = {(int32_t)below(run, ROWS), (int32_t)below(run, ROWS)};
    const uint32_t column = A;
    for (int i = 0; i < 2; i++)
        if (!statement->before.of[ids[i]].live || statement->changed[ids[i]] || ids[0] == ids[1])
            return true;
    for (int i = 0; i < 2; i++) {
        omen_value value = integer(statement->before.of[ids[1 - i]].a);
        omen_status status =
            write_set_update_row(statement->set, row_ids[ids[i]], &column, &value, 1, NULL);
        if (status == OMEN_OUT_OF_MEMORY)
            return false;
        assert_int_equal(status, OMEN_OK);
        statement->changed[ids[i]] = true;
        statement->after.of[ids[i]].a = statement->before.of[ids[1 - i]].a;
    }
    return true;
}

/* The keys to lock are those that the model says; `*free` unless the transaction has locked one. */
static bool check_keys(struct run *run, const struct statement *statement, struct arena *arena,
                       struct numbered_key **keys, size_t *count)
{
    size_t expected = 0;
    sabotage(run);
    omen_status status = write_set_keys(statement->set, arena, keys, count, NULL);
    if (memory_ran_out(run, status))
        return false;
    assert_int_equal(status, OMEN_OK);
    for (uint32_t number = 1; number <= UNIQUES; number++) {
        struct numbered_key wanted[2 * ROWS];
        size_t found = 0;
        for (int id = 0; id < ROWS; id++) {
            const struct row *sides[] = {&statement->before.of[id], &statement->after.of[id]};
            if (same_key(sides[0], sides[1], number))
                continue;
            for (int side = 0; side < 2; side++) {
                if (!has_key(sides[side], number))
                    continue;
                struct numbered_key key = {number, encode(run, sides[side], number, arena)};
                bool known = false;
                for (size_t i = 0; i < found; i++)
                    known |= key_equal(wanted[i], key);
                if (!known)
                    wanted[found++] = key;
            }
        }
        for (size_t i = 0; i < found; i++) {
            bool given = false;
            for (size_t j = 0; j < *count; j++)
                given |= key_equal(wanted[i], (*keys)[j]);
            assert_true(given);
        }
        expected += found;
    }
    for (size_t i = 0; i < *count; i++)
        expected += (*keys)[i].number == 0;
    assert_int_equal(*count, expected);
    for (size_t i = 1; i < *count; i++)
        assert_true((*keys)[i - 1].number <= (*keys)[i].number);
    return true;
}

static bool any_locked(const struct run *run, const struct numbered_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < run->locked_count; j++)
            if (key_equal(keys[i], run->locked[j]))
                return true;
    return false;
}

static void lock(struct run *run, const struct numbered_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct numbered_key key = keys[i];
        if (any_locked(run, &key, 1))
            continue;
        assert_true(run->locked_count < LOCKS_MAX);
        if (key.key.bytes != NULL) {
            uint8_t *bytes = arena_alloc(&run->locked_arena, key.key.length);
            assert_non_null(bytes);
            memcpy(bytes, key.key.bytes, key.key.length);
            key.key.bytes = bytes;
        }
        run->locked[run->locked_count++] = key;
    }
}

/* Gathers a statement; false where memory ran out. The writer lock is held. */
static bool gather(struct run *run, struct statement *statement, const struct snapshot *snapshot)
{
    uint64_t row_ids[ROWS];
    uint32_t ops = 1 + (uint32_t)below(run, OPS_MAX);
    bool by_id = run->hidden || below(run, 2) == 0, done = true;
    find_row_ids(run, snapshot, row_ids);
    if (below(run, 4) == 0) { /* the rows may get other places, the snapshot keeps the old ones */
        txn_writer_unlock(run->manager);
        table_seal_open(run->table);
        assert_int_equal(table_maintain(run->table, 1000000, &run->report), OMEN_OK);
        txn_writer_lock(run->manager);
    }
    sabotage(run);
    if (below(run, 3) == 0)
        done = gather_exchange(run, statement, row_ids);
    for (uint32_t i = 0; i < ops && done; i++)
        done = gather_one(run, statement, row_ids, by_id);
    memory_ran_out(run, done ? OMEN_OK : OMEN_OUT_OF_MEMORY);
    return done;
}

static omen_status expected_outcome(const struct statement *statement)
{
    return breaks_a_key(&statement->after) ? OMEN_DUPLICATE_KEY : OMEN_OK;
}

/* A statement that commits at once. */
static void keep(struct run *run, struct statement *statement)
{
    omen_error error = {0};
    omen_status status, expected = expected_outcome(statement);
    for (int id = 0; id < ROWS && run->own != NULL; id++)
        if (run->state.touched[id] && (statement->changed[id] || statement->inserted[id]))
            return; /* a hidden key of the transaction's */
    sabotage(run);
    status = write_set_commit(statement->set, true, &error);
    if (memory_ran_out(run, status))
        return;
    if (status != expected)
        fail_msg("the commit gave %d, the model %d: %s", status, expected, error.message);
    run->commits += status == OMEN_OK;
    run->duplicates += status == OMEN_DUPLICATE_KEY;
    if (status == OMEN_OK)
        run->committed = statement->after;
    for (int id = 0; id < ROWS && run->own != NULL; id++)
        if (!run->state.touched[id])
            run->state.rows.of[id] = run->committed.of[id];
}

/* A statement of the transaction. */
static void add(struct run *run, struct statement *statement, const struct numbered_key *keys,
                size_t count)
{
    omen_error error = {0};
    omen_status expected = expected_outcome(statement);
    struct own_mark mark = own_writes_mark(run->own);
    lock(run, keys, count);
    sabotage(run);
    omen_status status =
        own_writes_add(run->own, statement->set, run->command, OWN_SNAPSHOT_NONE, &error);
    if (memory_ran_out(run, status))
        return;
    if (status != expected)
        fail_msg("adding gave %d, the model %d: %s", status, expected, error.message);
    run->own_duplicates += status == OMEN_DUPLICATE_KEY;
    if (status != OMEN_OK)
        return;
    if (below(run, 6) == 0) {
        own_writes_undo(run->own, mark);
        run->undone++;
        return;
    }
    run->state.rows = statement->after;
    for (int id = 0; id < ROWS; id++)
        run->state.touched[id] |= statement->changed[id] || statement->inserted[id];
}

/* `own`: of the transaction. */
static void step_statement(struct run *run, bool own)
{
    struct statement statement = {0};
    struct snapshot snapshot;
    struct arena arena;
    struct numbered_key *keys;
    struct own_writes *open = run->own;
    size_t count;
    arena_init(&arena, &run->allocator);
    run->command += own;
    run->own = own ? open : NULL;
    statement.before = statement.after = own ? run->state.rows : run->committed;
    assert_int_equal(snapshot_acquire(run->manager, &snapshot), OMEN_OK);
    assert_int_equal(write_set_create(run->table, &statement.set), OMEN_OK);
    if (own)
        write_set_read_own(statement.set, run->own, run->command, OWN_SNAPSHOT_NONE);
    txn_writer_lock(run->manager);
    bool done = gather(run, &statement, &snapshot) &&
                check_keys(run, &statement, &arena, &keys, &count);
    run->own = open;
    if (done && own)
        add(run, &statement, keys, count);
    else if (done && !any_locked(run, keys, count))
        keep(run, &statement);
    else
        run->avoided += done;
    txn_writer_unlock(run->manager);
    write_set_destroy(statement.set);
    snapshot_release(&snapshot);
    arena_release(&arena);
}

/* --- the transaction --- */

static void begin(struct run *run)
{
    assert_int_equal(own_writes_create(run->table, &run->own), OMEN_OK);
    run->command = 0;
    run->savepoint_count = 0;
    run->state = (struct own_state){.rows = run->committed};
}

static void end(struct run *run)
{
    own_writes_destroy(run->own);
    run->own = NULL;
    run->locked_count = 0;
    arena_release(&run->locked_arena);
}

static void commit(struct run *run)
{
    struct write_set *set;
    omen_error error = {0};
    omen_status status;
    do {
        sabotage(run);
        status = own_writes_commit_set(run->own, &set, NULL);
    } while (memory_ran_out(run, status));
    assert_int_equal(status, OMEN_OK);
    do {
        sabotage(run);
        status = set == NULL ? OMEN_OK : write_set_commit(set, false, &error);
    } while (memory_ran_out(run, status));
    if (status != OMEN_OK)
        fail_msg("the commit failed: %s", error.message);
    write_set_destroy(set);
    for (int id = 0; id < ROWS; id++)
        if (run->state.touched[id])
            run->committed.of[id] = run->state.rows.of[id];
    run->own_commits++;
    end(run);
}

static void step_savepoint(struct run *run)
{
    if (run->savepoint_count > 0 && below(run, 2) == 0) {
        run->savepoint_count = (uint32_t)below(run, run->savepoint_count) + 1;
        const struct savepoint *to = &run->savepoints[run->savepoint_count - 1];
        own_writes_undo(run->own, to->mark);
        run->state = to->state;
        for (int id = 0; id < ROWS; id++) /* others have gone on meanwhile */
            if (!run->state.touched[id])
                run->state.rows.of[id] = run->committed.of[id];
        run->undone++;
    } else if (run->savepoint_count < SAVEPOINTS) {
        run->savepoints[run->savepoint_count++] =
            (struct savepoint){own_writes_mark(run->own), run->state};
    }
}

/* --- what happens beside it --- */

static void step_maintain(struct run *run)
{
    static const uint64_t budgets[] = {1, 7, 30, 1000000};
    if (below(run, 2) == 0)
        table_seal_open(run->table);
    sabotage(run);
    omen_status status = table_maintain(run->table, budgets[below(run, 4)], &run->report);
    if (!memory_ran_out(run, status))
        assert_int_equal(status, OMEN_OK);
}

/* As if the table had just been opened. */
static void step_forget(struct run *run)
{
    txn_writer_lock(run->manager);
    uniques_destroy(run->table);
    run->table->uniques = NULL;
    atomic_store(&run->table->unique_bytes, 0);
    atomic_store(&run->table->uniques_built, false);
    txn_writer_unlock(run->manager);
}

static void step_prepare(struct run *run)
{
    bool built = uniques_built(run->table);
    sabotage(run);
    omen_status status = table_prepare_uniques(run->table, NULL);
    if (memory_ran_out(run, status))
        return;
    assert_int_equal(status, OMEN_OK);
    assert_true(uniques_built(run->table));
    run->rebuilt += !built;
}

static void check_valid_now(struct run *run)
{
    omen_error error = {0};
    bool built = uniques_built(run->table);
    if (table_validate(run->table, &error) != OMEN_OK)
        fail_msg("%s", error.message);
    if (!built)
        step_forget(run);
}

static void step(struct run *run)
{
    uint64_t draw = below(run, 40);
    if (draw < 10)
        step_statement(run, false);
    else if (draw < 14)
        step_maintain(run);
    else if (draw < 15)
        step_forget(run);
    else if (draw < 16)
        step_prepare(run);
    else if (run->own == NULL)
        begin(run);
    else if (draw < 34)
        step_statement(run, true);
    else if (draw < 37)
        step_savepoint(run);
    else if (below(run, 4) == 0)
        end(run);
    else
        commit(run);
    if (run->locked_count > LOCKS_MAX - 200)
        commit(run);
}

static void run_kind(bool hidden)
{
    static const struct column_definition columns[COLUMNS] = {
        {.name = "id", .type = {.id = OMEN_TYPE_BIGINT}},
        {.name = "a", .type = {.id = OMEN_TYPE_INTEGER}, .nullable = true},
        {.name = "b", .type = {.id = OMEN_TYPE_TEXT}, .nullable = true},
        {.name = "c", .type = {.id = OMEN_TYPE_INTEGER}, .nullable = true},
        {.name = "n", .type = {.id = OMEN_TYPE_INTEGER}, .nullable = true}};
    static const uint32_t key[] = {ID};
    const char *steps_text = getenv("OMEN_STEPS");
    long steps = steps_text != NULL ? atol(steps_text) : 15000;
    static struct run run;
    run = (struct run){.hidden = hidden, .random = random_seeded(seed + hidden)};
    allocator_init(&run.allocator, 0);
    arena_init(&run.locked_arena, &run.allocator);
    assert_int_equal(txn_manager_create(&run.allocator, &run.manager), OMEN_OK);
    const struct schema_definition definition = {.columns = columns,
                                                 .column_count = COLUMNS,
                                                 .key_columns = key,
                                                 .key_count = !hidden,
                                                 .uniques = uniques,
                                                 .unique_count = UNIQUES};
    assert_int_equal(schema_define(&run.allocator, &definition, &run.schema, NULL), OMEN_OK);
    assert_int_equal(table_create(&run.allocator, run.manager, "t", run.schema, &run.table), OMEN_OK);
    for (long i = 0; i < steps; i++) {
        step(&run);
        if (i % 20 == 0)
            check_valid_now(&run);
    }
    if (run.own != NULL)
        end(&run);
    check_valid_now(&run);
    printf("%s: %llu commits, %llu of transactions, %llu and %llu duplicates, %llu undone, %llu failures, "
           "%llu avoided, %llu built, %llu frozen, %llu compacted, %llu dropped, %llu repointed\n",
           hidden ? "hidden" : "keyed", (unsigned long long)run.commits,
           (unsigned long long)run.own_commits, (unsigned long long)run.duplicates,
           (unsigned long long)run.own_duplicates, (unsigned long long)run.undone,
           (unsigned long long)run.failures, (unsigned long long)run.avoided,
           (unsigned long long)run.rebuilt, (unsigned long long)run.report.groups_frozen,
           (unsigned long long)run.report.groups_compacted,
           (unsigned long long)run.report.groups_dropped,
           (unsigned long long)run.report.entries_repointed);
    if (steps >= 15000) /* the run must have met what it is for */
        assert_true(run.commits > 0 && run.own_commits > 0 && run.duplicates > 0 &&
                    run.own_duplicates > 0 && run.undone > 0 && run.failures > 0 &&
                    run.avoided > 0 && run.rebuilt > 0 &&
                    run.report.groups_compacted > 0 && run.report.entries_repointed > 0);
    table_release(run.table);
    schema_release(run.schema);
    txn_manager_destroy(run.manager);
    assert_int_equal(run.allocator.bytes_used, 0);
}

static void test_with_a_primary_key(void **state)
{
    (void)state;
    run_kind(false);
}

static void test_without_one(void **state)
{
    (void)state;
    run_kind(true);
}

int main(void)
{
    const char *seed_text = getenv("OMEN_SEED");
    seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : (uint64_t)time(NULL);
    printf("OMEN_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_a_primary_key),
        cmocka_unit_test(test_without_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
