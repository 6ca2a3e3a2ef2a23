/* Random transactions of many statements on one table, against a plain model.
 *
 * One transaction at a time, at READ COMMITTED or REPEATABLE READ: inserts, updates (of the key too)
 * and deletes, by key and by row ids read by this and by earlier commands; statements undone,
 * savepoints gone back to; commit or rollback. In between others commit to keys that the transaction
 * has not written, groups are closed, frozen, compacted and dropped, and memory runs out. Views
 * are opened at all moments and read later, in shares, by key and by range, when what they were opened
 * with may long be undone, committed or gone. What the log says makes the same table.
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

#include "own_writes_model.h"

static uint64_t seed;

/* --- a statement --- */

struct change {
    int32_t k, n;
};

/* What a statement has gathered. */
struct gathered {
    struct write_set *set;
    struct change targets[OPS_MAX]; /* that the set has, each once */
    uint32_t target_count;
    struct change rows[OPS_MAX];
    uint32_t row_count;
    bool gone; /* a row id led nowhere: the statement runs again */
};

static bool is_target(const struct gathered *gathered, int32_t n)
{
    for (uint32_t i = 0; i < gathered->target_count; i++)
        if (gathered->targets[i].n == n)
            return true;
    return false;
}

/* Notes that the set has changed or deleted a row. */
static void note(struct gathered *gathered, struct change target, struct change row, bool deletes)
{
    if (is_target(gathered, target.n))
        return; /* the first wins */
    gathered->targets[gathered->target_count++] = target;
    if (!deletes)
        gathered->rows[gathered->row_count++] = row;
}

static bool gather_insert(struct run *run, struct gathered *gathered)
{
    omen_value row[COLUMNS];
    struct text texts[2];
    int32_t k = run->kind == HIDDEN ? run->next_key : (int32_t)below(run, KEYS);
    if (k >= KEYS)
        return true;
    fill_row(run, k, run->next_n, row, texts);
    omen_status status = write_set_insert(gathered->set, row, NULL);
    if (status == OMEN_OUT_OF_MEMORY)
        return false;
    assert_int_equal(status, OMEN_OK);
    run->next_key += run->kind == HIDDEN;
    gathered->rows[gathered->row_count++] = (struct change){k, run->next_n++};
    return true;
}

/* The values that an update gives; `new_k` is `k` where the key stays. */
static uint32_t changed_values(const struct run *run, int32_t k, int32_t new_k, int32_t n,
                               uint32_t *columns, omen_value *values, struct text *texts)
{
    omen_value row[COLUMNS];
    uint32_t count = 0;
    fill_row(run, new_k, n, row, texts);
    for (uint32_t column = new_k == k ? N : K; column < COLUMNS; column++) {
        columns[count] = column;
        values[count++] = row[column];
    }
    return count;
}

static int32_t moved_key(struct run *run, int32_t k)
{
    return run->kind != HIDDEN && below(run, 4) == 0 ? (int32_t)below(run, KEYS) : k;
}

static bool gather_by_key(struct run *run, struct gathered *gathered, const struct rows *seen)
{
    int32_t k = (int32_t)below(run, KEYS), n = seen->n[k], new_k = moved_key(run, k);
    struct text text, texts[2];
    omen_value key = key_value(run, k, &text), values[COLUMNS];
    uint32_t columns[COLUMNS];
    bool deletes = below(run, 3) == 0;
    uint32_t count = changed_values(run, k, new_k, run->next_n, columns, values, texts);
    omen_status status = deletes ? write_set_delete(gathered->set, &key, NULL)
                                 : write_set_update(gathered->set, &key, columns, values, count,
                                                    NULL);
    if (status == OMEN_OUT_OF_MEMORY)
        return false;
    assert_int_equal(status, n == 0 ? OMEN_NOT_FOUND : OMEN_OK);
    if (n != 0)
        note(gathered, (struct change){k, n}, (struct change){new_k, run->next_n++}, deletes);
    return true;
}

/* A row that this or an earlier command has read. */
static bool gather_by_id(struct run *run, struct gathered *gathered, const struct reader *reader)
{
    int32_t k = (int32_t)below(run, KEYS);
    for (int i = 0; i < KEYS && reader->row_ids[k] == 0; i++)
        k = (k + 1) % KEYS;
    if (reader->view == NULL || reader->transaction != run->transaction || reader->row_ids[k] == 0)
        return true;
    int32_t n = reader->expected.n[k], new_k = moved_key(run, k);
    struct text texts[2];
    omen_value values[COLUMNS];
    uint32_t columns[COLUMNS];
    uint32_t count = changed_values(run, k, new_k, run->next_n, columns, values, texts);
    bool deletes = below(run, 3) == 0;
    uint64_t row_id = reader->row_ids[k];
    omen_status status =
        deletes ? write_set_delete_row(gathered->set, row_id, NULL)
                : write_set_update_row(gathered->set, row_id, columns, values, count, NULL);
    if (status == OMEN_OUT_OF_MEMORY)
        return false;
    if (status == OMEN_SERIALIZATION_FAILURE) /* a private row that was undone, group and all */
        gathered->gone = true;
    else
        assert_int_equal(status, OMEN_OK);
    note(gathered, (struct change){k, n}, (struct change){new_k, run->next_n++}, deletes);
    return true;
}

static bool gather(struct run *run, struct gathered *gathered, const struct rows *seen)
{
    uint32_t ops = 1 + (uint32_t)below(run, OPS_MAX);
    bool by_id = run->kind == HIDDEN || below(run, 2) == 0;
    const struct reader *reader = &run->readers[below(run, READERS)];
    for (uint32_t i = 0; i < ops && !gathered->gone; i++) {
        bool done = below(run, 3) == 0 ? gather_insert(run, gathered)
                    : by_id            ? gather_by_id(run, gathered, reader)
                                       : gather_by_key(run, gathered, seen);
        if (!done)
            return false;
    }
    return true;
}

/* What adding it must give, and what is written then. */
static omen_status expected_outcome(const struct run *run, const struct gathered *gathered,
                                    struct rows *written)
{
    const struct rows *now = committed(run);
    for (uint32_t i = 0; i < gathered->target_count; i++) {
        struct change target = gathered->targets[i];
        int32_t there = written->n[target.k] != UNTOUCHED ? written->n[target.k]
                                                          : now->n[target.k];
        if (there != target.n)
            return OMEN_SERIALIZATION_FAILURE;
        written->n[target.k] = 0;
    }
    for (uint32_t i = 0; i < gathered->row_count; i++) {
        struct change row = gathered->rows[i];
        int32_t *there = &written->n[row.k];
        if (*there > 0 || (*there == UNTOUCHED && now->n[row.k] != 0))
            return OMEN_DUPLICATE_KEY;
        if (*there == UNTOUCHED && run->repeatable &&
            run->changed_at[row.k] > run->snapshot.timestamp)
            return OMEN_SERIALIZATION_FAILURE;
        *there = row.n;
    }
    return OMEN_OK;
}

static bool key_equal(const struct run *run, struct index_key a, struct index_key b)
{
    return run->kind == TEXTS ? a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0
                              : a.word == b.word;
}

static bool key_less(const struct run *run, struct index_key a, struct index_key b)
{
    if (run->kind != TEXTS)
        return a.word < b.word;
    int order = memcmp(a.bytes, b.bytes, a.length < b.length ? a.length : b.length);
    return order < 0 || (order == 0 && a.length < b.length);
}

/* The keys to lock: every one that is written, in order, each once. */
static void check_keys(struct run *run, const struct gathered *gathered)
{
    struct arena arena;
    struct numbered_key *keys;
    size_t count, expected = 0;
    bool touched[KEYS] = {false};
    omen_error error;
    arena_init(&arena, &run->allocator);
    sabotage(run);
    omen_status status = write_set_keys(gathered->set, &arena, &keys, &count, &error);
    if (memory_ran_out(run, status) || gathered->gone) {
        arena_release(&arena);
        return;
    }
    if (status == OMEN_SERIALIZATION_FAILURE) { /* a deletion by an id whose row is gone */
        struct rows written = run->written;
        assert_int_equal(expected_outcome(run, gathered, &written), status);
        arena_release(&arena);
        return;
    }
    assert_int_equal(status, OMEN_OK);
    for (uint32_t i = 0; i < gathered->target_count; i++)
        touched[gathered->targets[i].k] = true;
    for (uint32_t i = 0; i < gathered->row_count && run->kind != HIDDEN; i++)
        touched[gathered->rows[i].k] = true;
    for (int32_t k = 0; k < KEYS; k++)
        expected += touched[k];
    assert_int_equal(count, expected);
    for (size_t i = 1; i < count; i++)
        assert_true(key_less(run, keys[i - 1].key, keys[i].key));
    for (int32_t k = 0; k < KEYS && run->kind != HIDDEN; k++) {
        bool found = false;
        for (size_t i = 0; i < count && touched[k]; i++)
            found |= key_equal(run, keys[i].key, encode(run, k, &arena));
        assert_true(found == touched[k]);
    }
    arena_release(&arena);
}

static void add_statement(struct run *run, struct gathered *gathered)
{
    struct rows written = run->written;
    struct own_mark mark = own_writes_mark(run->own);
    uint64_t rows = own_writes_row_count(run->own);
    omen_error error = {0};
    check_keys(run, gathered);
    omen_status expected = gathered->gone ? OMEN_SERIALIZATION_FAILURE
                                          : expected_outcome(run, gathered, &written);
    if (gathered->gone)
        return;
    sabotage(run);
    omen_status status =
        own_writes_add(run->own, gathered->set, run->command,
                       run->repeatable ? run->snapshot.timestamp : OWN_SNAPSHOT_NONE, &error);
    if (memory_ran_out(run, status))
        return;
    if (status != expected)
        fail_msg("adding gave %d, the model %d: %s", status, expected, error.message);
    run->duplicates += status == OMEN_DUPLICATE_KEY;
    run->conflicts += status == OMEN_SERIALIZATION_FAILURE;
    if (status != OMEN_OK) {
        assert_int_equal(own_writes_row_count(run->own), rows);
        return;
    }
    assert_int_equal(own_writes_row_count(run->own), rows + write_set_row_count(gathered->set));
    if (below(run, 6) == 0) { /* the statement fails after all */
        own_writes_undo(run->own, mark);
        run->written_before = run->written;
        assert_int_equal(own_writes_row_count(run->own), rows);
        run->undone++;
    } else {
        run->written = written;
    }
}

static void step_statement(struct run *run)
{
    struct gathered gathered = {0};
    struct snapshot snapshot;
    run->command++;
    run->written_before = run->written;
    statement_snapshot(run, &snapshot);
    struct rows seen = seen_at(run, &run->written, snapshot.timestamp);
    assert_int_equal(write_set_create(run->table, &gathered.set), OMEN_OK);
    write_set_read_own(gathered.set, run->own, run->command,
                       run->repeatable ? snapshot.timestamp : OWN_SNAPSHOT_NONE);
    txn_writer_lock(run->manager);
    if (below(run, 8) == 0)
        sabotage(run);
    bool done = gather(run, &gathered, &seen);
    memory_ran_out(run, done ? OMEN_OK : OMEN_OUT_OF_MEMORY);
    if (done)
        add_statement(run, &gathered);
    txn_writer_unlock(run->manager);
    write_set_destroy(gathered.set);
    snapshot_release(&snapshot);
}

/* --- transactions --- */

static void step_savepoint(struct run *run)
{
    if (run->savepoint_count > 0 && below(run, 2) == 0) {
        run->savepoint_count = (uint32_t)below(run, run->savepoint_count) + 1;
        const struct savepoint *to = &run->savepoints[run->savepoint_count - 1];
        own_writes_undo(run->own, to->mark);
        run->written = to->rows;
        run->written_before = to->command == run->command ? to->before : to->rows;
        run->undone++;
    } else if (run->savepoint_count < SAVEPOINTS) {
        run->savepoints[run->savepoint_count++] =
            (struct savepoint){own_writes_mark(run->own), run->command, run->written_before,
                               run->written};
    }
}

static void begin(struct run *run)
{
    assert_int_equal(own_writes_create(run->table, &run->own), OMEN_OK);
    run->transaction++;
    run->command = 0;
    run->savepoint_count = 0;
    run->repeatable = below(run, 2) == 0;
    for (int k = 0; k < KEYS; k++)
        run->written.n[k] = run->written_before.n[k] = UNTOUCHED;
    if (run->repeatable)
        assert_int_equal(snapshot_acquire(run->manager, &run->snapshot), OMEN_OK);
}

static void end(struct run *run)
{
    own_writes_destroy(run->own);
    run->own = NULL;
    snapshot_release(&run->snapshot);
}

static void commit(struct run *run)
{
    struct write_set *set;
    omen_error error = {0};
    omen_status status;
    struct rows rows = *committed(run);
    bool changes = false;
    for (int k = 0; k < KEYS; k++) {
        if (run->written.n[k] == UNTOUCHED || run->written.n[k] == rows.n[k])
            continue;
        rows.n[k] = run->written.n[k];
        changes = true;
    }
    do {
        sabotage(run);
        status = own_writes_commit_set(run->own, &set, &error);
    } while (memory_ran_out(run, status));
    assert_int_equal(status, OMEN_OK);
    assert_true(own_writes_empty(run->own));
    assert_true((set != NULL) == changes);
    if (below(run, 2) == 0)
        end(run); /* before the commit, or after */
    do {
        sabotage(run);
        status = set == NULL ? OMEN_OK : write_set_commit(set, false, &error);
    } while (memory_ran_out(run, status));
    if (status != OMEN_OK)
        fail_msg("the commit failed: %s", error.message);
    write_set_destroy(set);
    if (run->own != NULL)
        end(run);
    run->commits++;
    remember(run, &rows);
}

static void rollback(struct run *run)
{
    struct write_set *set = NULL;
    if (below(run, 3) == 0) { /* the commit comes to nothing */
        assert_int_equal(own_writes_commit_set(run->own, &set, NULL), OMEN_OK);
        write_set_destroy(set);
    }
    end(run);
    run->rollbacks++;
}

static void close_transaction(struct run *run)
{
    if (run->own != NULL)
        rollback(run);
}

/* --- what happens beside it --- */

static void step_others(struct run *run)
{
    struct write_set *set;
    struct rows rows = *committed(run);
    assert_int_equal(write_set_create(run->table, &set), OMEN_OK);
    txn_writer_lock(run->manager);
    uint32_t ops = 1 + (uint32_t)below(run, 40);
    bool touched[KEYS] = {false};
    for (uint32_t i = 0; i < ops; i++) {
        int32_t k = (int32_t)below(run, KEYS);
        struct text text, texts[2];
        omen_value key = key_value(run, k, &text), row[COLUMNS], values[COLUMNS];
        uint32_t columns[COLUMNS];
        if (run->kind == HIDDEN && rows.n[k] == 0)
            k = run->next_key;
        if (k >= KEYS || touched[k] || (run->own != NULL && run->written.n[k] != UNTOUCHED))
            continue;
        touched[k] = true;
        if (rows.n[k] == 0) {
            fill_row(run, k, run->next_n, row, texts);
            assert_int_equal(write_set_insert(set, row, NULL), OMEN_OK);
            run->next_key += run->kind == HIDDEN;
        } else if (run->kind == HIDDEN) {
            continue;
        } else if (below(run, 3) == 0) {
            assert_int_equal(write_set_delete(set, &key, NULL), OMEN_OK);
            rows.n[k] = 0;
            continue;
        } else {
            uint32_t count = changed_values(run, k, k, run->next_n, columns, values, texts);
            assert_int_equal(write_set_update(set, &key, columns, values, count, NULL), OMEN_OK);
        }
        rows.n[k] = run->next_n++;
    }
    assert_int_equal(write_set_commit(set, true, NULL), OMEN_OK);
    remember(run, &rows);
    txn_writer_unlock(run->manager);
    write_set_destroy(set);
}

static void step_maintain(struct run *run)
{
    static const uint64_t budgets[] = {1, 20, 100, 1000000};
    if (below(run, 2) == 0)
        table_seal_open(run->table);
    assert_int_equal(table_maintain(run->table, budgets[below(run, 4)], &run->report), OMEN_OK);
}

/* --- the run --- */

static void step(struct run *run)
{
    uint64_t draw = below(run, 40);
    if (draw < 6)
        step_others(run);
    else if (draw < 10)
        step_maintain(run);
    else if (draw < 20)
        step_reader(run);
    else if (draw < 24)
        step_fresh_reader(run);
    else if (draw < 27)
        step_points(run);
    else if (run->own == NULL)
        begin(run);
    else if (draw < 36)
        step_statement(run);
    else if (draw < 38)
        step_savepoint(run);
    else if (below(run, 3) == 0)
        below(run, 4) == 0 ? rollback(run) : commit(run);
}

static void run_kind(enum kind kind)
{
    const char *steps_text = getenv("OMEN_STEPS");
    long steps = steps_text != NULL ? atol(steps_text) : 20000;
    static struct run run;
    open_run(&run, kind, seed + (uint64_t)kind);
    for (long i = 0; i < steps; i++) {
        step(&run);
        if (i % 50 == 0) {
            omen_error error = {0};
            if (table_validate(run.table, &error) != OMEN_OK)
                fail_msg("%s", error.message);
        }
        if (kind == HIDDEN && run.next_key >= KEYS && below(&run, 400) == 0) {
            uint64_t next = below(&run, UINT64_MAX);
            close_transaction(&run);
            close_run(&run); /* its keys are used up: another table */
            open_run(&run, kind, next);
        }
    }
    printf("kind %d: %llu commits, %llu rollbacks, %llu undone, %llu duplicates, %llu conflicts, "
           "%llu failures, %llu frozen, %llu compacted, %llu dropped\n",
           (int)kind, (unsigned long long)run.commits, (unsigned long long)run.rollbacks,
           (unsigned long long)run.undone, (unsigned long long)run.duplicates,
           (unsigned long long)run.conflicts, (unsigned long long)run.failures,
           (unsigned long long)run.report.groups_frozen,
           (unsigned long long)run.report.groups_compacted,
           (unsigned long long)run.report.groups_dropped);
    if (steps >= 20000 && kind != HIDDEN) /* the run must have met what it is for */
        assert_true(run.commits > 0 && run.rollbacks > 0 && run.undone > 0 && run.duplicates > 0 &&
                    run.conflicts > 0 && run.failures > 0 && run.report.groups_compacted > 0 &&
                    run.report.groups_frozen > 0);
    close_transaction(&run);
    close_run(&run);
}

static void test_word_keys(void **state)
{
    run_kind(WORDS);
}

static void test_text_keys(void **state)
{
    run_kind(TEXTS);
}

static void test_hidden_keys(void **state)
{
    run_kind(HIDDEN);
}

int main(void)
{
    const char *seed_text = getenv("OMEN_SEED");
    seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : (uint64_t)time(NULL);
    printf("OMEN_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_word_keys),
        cmocka_unit_test(test_text_keys),
        cmocka_unit_test(test_hidden_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
