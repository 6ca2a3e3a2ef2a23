/* Unique keys of one table: (id BIGINT key, a INTEGER unique, b TEXT, c INTEGER, (b, c) unique). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_log.h"
#include "os/thread.h"
#include "table/own_writes.h"
#include "table/redo.h"
#include "table/table_uniques.h"

enum { ID, A, B, C, COLUMNS, TABLE_ID = 9 };

struct fixture {
    struct allocator allocator;
    struct txn_manager *manager;
    struct schema *schema;
    struct table *table;
};

static void make_table(struct fixture *fixture, bool constrained)
{
    static const struct column_definition columns[] = {
        {.name = "id", .type = {.id = OMEN_TYPE_BIGINT}},
        {.name = "a", .type = {.id = OMEN_TYPE_INTEGER}, .nullable = true},
        {.name = "b", .type = {.id = OMEN_TYPE_TEXT}, .nullable = true},
        {.name = "c", .type = {.id = OMEN_TYPE_INTEGER}, .nullable = true}};
    static const uint32_t key[] = {ID}, a[] = {A}, bc[] = {B, C};
    static const struct unique_definition uniques[] = {{"t_a_key", a, 1}, {"pair of t", bc, 2}};
    const struct schema_definition definition = {.columns = columns,
                                                 .column_count = COLUMNS,
                                                 .key_columns = key,
                                                 .key_count = 1,
                                                 .uniques = uniques,
                                                 .unique_count = constrained ? 2 : 0};
    allocator_init(&fixture->allocator, 0);
    assert_int_equal(txn_manager_create(&fixture->allocator, &fixture->manager), OMEN_OK);
    assert_int_equal(schema_define(&fixture->allocator, &definition, &fixture->schema, NULL), OMEN_OK);
    assert_int_equal(
        table_create(&fixture->allocator, fixture->manager, "t", fixture->schema, &fixture->table),
        OMEN_OK);
    table_set_id(fixture->table, TABLE_ID);
}

static void check_valid(struct fixture *fixture)
{
    omen_error error = {0};
    if (table_validate(fixture->table, &error) != OMEN_OK)
        fail_msg("%s", error.message);
}

static void drop_table(struct fixture *fixture)
{
    table_release(fixture->table);
    schema_release(fixture->schema);
    txn_manager_destroy(fixture->manager);
    assert_int_equal(fixture->allocator.bytes_used, 0);
}

static omen_value bigint(int64_t number)
{
    return (omen_value){.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = number};
}

/* Negative: NULL. */
static omen_value integer(int32_t number)
{
    return (omen_value){.type = {.id = OMEN_TYPE_INTEGER}, .is_null = number < 0, .as.i32 = number};
}

static omen_value text(const char *text)
{
    omen_value value = {.type = {.id = OMEN_TYPE_TEXT}, .is_null = text == NULL};
    if (text != NULL)
        value.as.bytes = (omen_bytes){(const uint8_t *)text, strlen(text)};
    return value;
}

static struct write_set *begin(struct fixture *fixture)
{
    struct write_set *set;
    assert_int_equal(write_set_create(fixture->table, &set), OMEN_OK);
    txn_writer_lock(fixture->manager);
    return set;
}

static void put(struct write_set *set, int64_t id, int32_t a, const char *b, int32_t c)
{
    omen_value row[COLUMNS] = {bigint(id), integer(a), text(b), integer(c)};
    assert_int_equal(write_set_insert(set, row, NULL), OMEN_OK);
}

static void set_column(struct write_set *set, int64_t id, uint32_t column, omen_value value)
{
    omen_value key = bigint(id);
    assert_int_equal(write_set_update(set, &key, &column, &value, 1, NULL), OMEN_OK);
}

static void take(struct write_set *set, int64_t id)
{
    omen_value key = bigint(id);
    assert_int_equal(write_set_delete(set, &key, NULL), OMEN_OK);
}

static omen_status finish(struct fixture *fixture, struct write_set *set, omen_error *error)
{
    omen_status status = write_set_commit(set, true, error);
    txn_writer_unlock(fixture->manager);
    write_set_destroy(set);
    return status;
}

static omen_status insert(struct fixture *fixture, int64_t id, int32_t a, const char *b, int32_t c)
{
    struct write_set *set = begin(fixture);
    put(set, id, a, b, c);
    return finish(fixture, set, NULL);
}

static omen_status change_a(struct fixture *fixture, int64_t id, int32_t a)
{
    struct write_set *set = begin(fixture);
    set_column(set, id, A, integer(a));
    return finish(fixture, set, NULL);
}

static omen_status delete(struct fixture *fixture, int64_t id)
{
    struct write_set *set = begin(fixture);
    take(set, id);
    return finish(fixture, set, NULL);
}

/* --- what users see --- */

static void test_a_duplicate_is_named(void **state)
{
    struct fixture fixture;
    omen_error error = {0};
    make_table(&fixture, true);
    assert_int_equal(insert(&fixture, 1, 7, "x", 5), OMEN_OK);
    struct write_set *set = begin(&fixture);
    put(set, 2, 7, "y", 5);
    assert_int_equal(finish(&fixture, set, &error), OMEN_DUPLICATE_KEY);
    assert_string_equal(error.sqlstate, "23505");
    assert_string_equal(error.message, "duplicate key value violates unique constraint \"t_a_key\": "
                                       "key (a)=(7) already exists");
    set = begin(&fixture);
    put(set, 2, 8, "x", 5);
    assert_int_equal(finish(&fixture, set, &error), OMEN_DUPLICATE_KEY);
    assert_string_equal(error.message, "duplicate key value violates unique constraint \"pair of t\": "
                                       "key (b, c)=(x, 5) already exists");
    set = begin(&fixture); /* twice in one set, and the primary key first */
    put(set, 2, 9, NULL, -1);
    put(set, 2, 9, NULL, -1);
    assert_int_equal(finish(&fixture, set, &error), OMEN_DUPLICATE_KEY);
    assert_non_null(strstr(error.message, "\"t_pkey\": key (id)=(2)"));
    set = begin(&fixture);
    put(set, 2, 9, NULL, -1);
    put(set, 3, 9, NULL, -1);
    assert_int_equal(finish(&fixture, set, &error), OMEN_DUPLICATE_KEY);
    assert_non_null(strstr(error.message, "\"t_a_key\": key (a)=(9)"));
    assert_int_equal(insert(&fixture, 2, 9, "x", 6), OMEN_OK); /* nothing of it is left */
    check_valid(&fixture);
    drop_table(&fixture);
}

static void test_nulls_are_distinct(void **state)
{
    struct fixture fixture;
    make_table(&fixture, true);
    for (int64_t id = 0; id < 4; id++)
        assert_int_equal(insert(&fixture, id, -1, id % 2 ? "x" : NULL, id % 2 ? -1 : 3), OMEN_OK);
    assert_int_equal(change_a(&fixture, 1, 5), OMEN_OK);
    assert_int_equal(change_a(&fixture, 2, 5), OMEN_DUPLICATE_KEY);
    assert_int_equal(change_a(&fixture, 1, -1), OMEN_OK);
    assert_int_equal(change_a(&fixture, 2, 5), OMEN_OK);
    check_valid(&fixture);
    drop_table(&fixture);
}

/* Unique at the end of the statement, not in between. */
static void test_a_key_too_long_is_named(void **state)
{
    static const char expected[] = "a key of constraint \"pair of t\" is longer than 1048576 bytes";
    struct fixture fixture;
    omen_error error = {0};
    omen_value key = bigint(1), value;
    uint32_t column = B;
    char *longest = malloc((1 << 20) + 1);
    memset(longest, 'x', 1 << 20);
    longest[1 << 20] = '\0';
    make_table(&fixture, true);
    assert_int_equal(insert(&fixture, 1, 1, "x", 1), OMEN_OK);
    struct write_set *set = begin(&fixture);
    put(set, 2, 2, longest, 2);
    assert_int_equal(finish(&fixture, set, &error), OMEN_LIMIT_EXCEEDED);
    assert_string_equal(error.message, expected);
    set = begin(&fixture);
    value = text(longest);
    assert_int_equal(write_set_update(set, &key, &column, &value, 1, &error), OMEN_LIMIT_EXCEEDED);
    assert_string_equal(error.message, expected);
    put(set, 3, 3, longest, -1); /* no key: nothing is too long */
    assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
    check_valid(&fixture);
    drop_table(&fixture);
    free(longest);
}

static void test_keys_move_among_the_rows_of_a_set(void **state)
{
    struct fixture fixture;
    make_table(&fixture, true);
    for (int32_t id = 0; id < 4; id++)
        assert_int_equal(insert(&fixture, id, id, NULL, -1), OMEN_OK);
    struct write_set *set = begin(&fixture);
    for (int32_t id = 0; id < 3; id++) /* in a circle */
        set_column(set, id, A, integer((id + 1) % 3));
    take(set, 3);
    put(set, 9, 3, NULL, -1);
    assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
    assert_int_equal(insert(&fixture, 10, 3, NULL, -1), OMEN_DUPLICATE_KEY);
    set = begin(&fixture);
    set_column(set, 0, A, integer(2));
    assert_int_equal(finish(&fixture, set, NULL), OMEN_DUPLICATE_KEY);
    assert_int_equal(delete(&fixture, 9), OMEN_OK);
    assert_int_equal(insert(&fixture, 10, 3, NULL, -1), OMEN_OK); /* free at once */
    check_valid(&fixture);
    drop_table(&fixture);
}

static void test_a_key_as_text(void **state)
{
    struct fixture fixture;
    struct arena arena;
    struct numbered_key *keys;
    size_t count;
    const char *shown;
    make_table(&fixture, true);
    arena_init(&arena, &fixture.allocator);
    struct write_set *set = begin(&fixture);
    put(set, 1, 7, "x y", 5);
    assert_int_equal(write_set_keys(set, &arena, &keys, &count, NULL), OMEN_OK);
    static const char *const texts[] = {"(id)=(1)", "(a)=(7)", "(b, c)=(x y, 5)"};
    assert_int_equal(count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(keys[i].number, i);
        assert_int_equal(table_key_text(fixture.table, keys[i], &arena, &shown), OMEN_OK);
        assert_string_equal(shown, texts[i]);
    }
    keys[0].number = 3;
    assert_int_equal(table_key_text(fixture.table, keys[0], &arena, &shown), OMEN_CORRUPTED);
    arena_release(&arena);
    assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
    drop_table(&fixture);
}

/* --- the log, and building --- */

static void log_of(struct fixture *fixture, struct fake_log *log)
{
    fake_log_open(log, fixture->manager);
    log->held = false;
}

static omen_status find_table(void *context, uint64_t table_id, struct table **out, omen_error *error)
{
    (void)error;
    assert_int_equal(table_id, TABLE_ID);
    *out = context;
    return OMEN_OK;
}

/* What the log says, done to another table. */
static void replay_log(const struct fake_log *log, struct fixture *fixture)
{
    struct replay *replay;
    const struct replay_hooks hooks = {fixture->table, find_table, NULL};
    assert_int_equal(replay_create(&fixture->allocator, fixture->manager, &hooks, &replay), OMEN_OK);
    for (size_t i = 0; i < log->commits; i++) {
        size_t first = i == 0 ? 0 : log->ends[i - 1];
        assert_int_equal(replay_data(replay, log->bytes + first, log->ends[i] - first, NULL), OMEN_OK);
        assert_int_equal(replay_commit(replay, NULL), OMEN_OK);
    }
    assert_int_equal(replay_finish(replay, NULL), OMEN_OK);
    replay_destroy(replay);
}

static uint64_t index_bytes_of(struct fixture *fixture)
{
    struct table_stats stats;
    table_stats_of(fixture->table, &stats);
    return stats.index_bytes;
}

/* Deletes, and updates that leave the keys alone, do without; the first insert builds them. */
static void test_indexes_are_built_when_first_needed(void **state)
{
    struct fixture fixture, replica;
    struct fake_log log;
    make_table(&fixture, true);
    log_of(&fixture, &log);
    for (int32_t id = 0; id < 100; id++)
        assert_int_equal(insert(&fixture, id, 1000 - id, "some text that is not short", id), OMEN_OK);
    assert_int_equal(delete(&fixture, 7), OMEN_OK);
    make_table(&replica, true);
    replay_log(&log, &replica);
    fake_log_close(&log);
    assert_false(uniques_built(replica.table));
    assert_int_equal(delete(&replica, 8), OMEN_OK);
    struct write_set *set = begin(&replica);
    set_column(set, 9, A, integer(1000 - 9)); /* what it is */
    assert_int_equal(finish(&replica, set, NULL), OMEN_OK);
    assert_false(uniques_built(replica.table));
    uint64_t before = index_bytes_of(&replica);
    assert_int_equal(insert(&replica, 200, 1000 - 9, NULL, -1), OMEN_DUPLICATE_KEY);
    assert_true(uniques_built(replica.table));
    assert_true(index_bytes_of(&replica) > before);
    assert_int_equal(insert(&replica, 200, 1000 - 7, NULL, -1), OMEN_OK);
    assert_int_equal(insert(&replica, 201, 1000 - 8, NULL, -1), OMEN_OK);
    assert_int_equal(insert(&replica, 202, -1, "some text that is not short", 9), OMEN_DUPLICATE_KEY);
    check_valid(&replica);
    drop_table(&replica);
    drop_table(&fixture);
}

/* Rows that break the constraint, which only damage can bring about. */
static void test_two_rows_with_one_key_are_damage(void **state)
{
    for (int words = 0; words < 2; words++) {
        struct fixture fixture, replica;
        struct fake_log log;
        omen_error error = {0};
        make_table(&fixture, false);
        log_of(&fixture, &log);
        for (int32_t id = 0; id < 10; id++)
            assert_int_equal(insert(&fixture, id, words ? 10 - id % 8 : id, "x", words ? id : id % 8),
                             OMEN_OK);
        make_table(&replica, true);
        replay_log(&log, &replica);
        fake_log_close(&log);
        assert_int_equal(table_prepare_uniques(replica.table, &error), OMEN_CORRUPTED);
        assert_string_equal(error.sqlstate, "XX001");
        assert_non_null(strstr(error.message, words ? "\"t_a_key\"" : "\"pair of t\""));
        assert_int_equal(table_validate(replica.table, &error), OMEN_CORRUPTED);
        assert_int_equal(insert(&replica, 90, 90, NULL, -1), OMEN_CORRUPTED);
        assert_int_equal(delete(&replica, 8), OMEN_OK); /* the way out */
        assert_int_equal(delete(&replica, 9), OMEN_OK);
        assert_int_equal(insert(&replica, 90, 90, NULL, -1), OMEN_OK);
        check_valid(&replica);
        drop_table(&replica);
        drop_table(&fixture);
    }
}

/* A commit that the log refuses leaves the indexes as they were. */
static void test_a_failed_commit_is_undone(void **state)
{
    struct fixture fixture;
    struct fake_log log;
    make_table(&fixture, true);
    for (int32_t id = 0; id < 5; id++)
        assert_int_equal(insert(&fixture, id, id, "x", id), OMEN_OK);
    log_of(&fixture, &log);
    for (int round = 0; round < 2; round++) {
        struct write_set *set = begin(&fixture);
        set_column(set, 0, A, integer(1));
        set_column(set, 1, A, integer(0));
        set_column(set, 2, C, integer(50));
        take(set, 3);
        put(set, 30, 3, "x", 3);
        put(set, 31, 31, NULL, -1);
        log.append_fails = round == 0;
        assert_int_equal(finish(&fixture, set, NULL) == OMEN_OK, round == 1);
        check_valid(&fixture);
        assert_int_equal(insert(&fixture, 40, 31, NULL, -1) == OMEN_OK, round == 0);
        assert_int_equal(insert(&fixture, 41, -1, "x", 2) == OMEN_OK, round == 1);
        if (round == 0)
            assert_int_equal(delete(&fixture, 40), OMEN_OK);
    }
    check_valid(&fixture);
    fake_log_close(&log);
    drop_table(&fixture);
}

/* --- transactions --- */

/* A key that a commit in flight has freed: who takes it waits for that commit with what follows. */
static void test_a_freed_key_in_flight_is_acted_on(void **state)
{
    struct fixture fixture;
    struct fake_log log;
    struct txn_ticket ticket;
    struct own_writes *own;
    struct write_set *set;
    make_table(&fixture, true);
    assert_int_equal(insert(&fixture, 1, 1, NULL, -1), OMEN_OK);
    assert_int_equal(insert(&fixture, 2, 2, NULL, -1), OMEN_OK);
    log_of(&fixture, &log);
    log.held = true;
    set = begin(&fixture);
    set_column(set, 1, A, integer(10));
    assert_int_equal(write_set_commit_locked(set, TXN_DURABLE, &ticket, NULL), OMEN_OK);
    txn_writer_unlock(fixture.manager);
    write_set_destroy(set);
    assert_true(txn_published(fixture.manager) < ticket.timestamp);
    assert_int_equal(own_writes_create(fixture.table, &own), OMEN_OK);
    set = begin(&fixture);
    put(set, 3, 1, NULL, -1);
    assert_int_equal(own_writes_add(own, set, 1, OWN_SNAPSHOT_NONE, NULL), OMEN_OK);
    txn_writer_unlock(fixture.manager);
    write_set_destroy(set);
    assert_int_equal(own_writes_acted_on(own), ticket.timestamp);
    own_writes_destroy(own);
    fake_log_durable(&log, log.committed);
    fake_log_close(&log);
    check_valid(&fixture);
    drop_table(&fixture);
}

/* REPEATABLE READ: a key is free whose row has gone since the snapshot, as in PostgreSQL. */
static void test_a_snapshot_does_not_keep_a_key(void **state)
{
    struct fixture fixture;
    struct snapshot snapshot;
    struct own_writes *own;
    make_table(&fixture, true);
    assert_int_equal(insert(&fixture, 1, 1, NULL, -1), OMEN_OK);
    assert_int_equal(snapshot_acquire(fixture.manager, &snapshot), OMEN_OK);
    assert_int_equal(delete(&fixture, 1), OMEN_OK);
    assert_int_equal(insert(&fixture, 2, 2, NULL, -1), OMEN_OK);
    assert_int_equal(own_writes_create(fixture.table, &own), OMEN_OK);
    for (int32_t a = 1; a <= 2; a++) {
        struct write_set *set = begin(&fixture);
        put(set, 10 + a, a, NULL, -1);
        assert_int_equal(own_writes_add(own, set, 1, snapshot.timestamp, NULL),
                         a == 1 ? OMEN_OK : OMEN_DUPLICATE_KEY);
        txn_writer_unlock(fixture.manager);
        write_set_destroy(set);
    }
    own_writes_destroy(own);
    snapshot_release(&snapshot);
    drop_table(&fixture);
}

/* --- beside others --- */

enum { MANY = 40000, ROUNDS = 6, CHANGES = MANY / ROUNDS };

struct beside {
    struct fixture *fixture;
    int round;
    atomic_bool stop;
    atomic_uint_fast64_t changes;
};

/* Deletes rows and changes others in ways that need no index; in some rounds also one that does. */
static void *change_rows(void *argument)
{
    struct beside *beside = argument;
    struct fixture *fixture = beside->fixture;
    uint64_t changes = 0;
    int64_t id = beside->round % ROUNDS * CHANGES;
    for (; changes < CHANGES && !atomic_load(&beside->stop); id++) {
        struct write_set *set = begin(fixture);
        if (id % 3 == 0 && beside->round < ROUNDS)
            take(set, id);
        else
            set_column(set, id - id % 3 + 1, B, text("b")); /* what it is */
        assert_int_equal(finish(fixture, set, NULL), OMEN_OK);
        atomic_store(&beside->changes, ++changes);
        if (beside->round % 3 == 2 && changes == 40)
            assert_int_equal(insert(fixture, MANY + beside->round, MANY + beside->round, NULL, -1),
                             OMEN_OK);
    }
    return NULL;
}

static void *maintain_rows(void *argument)
{
    struct beside *beside = argument;
    while (!atomic_load(&beside->stop)) {
        table_seal_open(beside->fixture->table);
        assert_int_equal(table_maintain(beside->fixture->table, 5000, NULL), OMEN_OK);
    }
    return NULL;
}

static void forget_indexes(struct table *table)
{
    txn_writer_lock(table->manager);
    uniques_destroy(table);
    table->uniques = NULL;
    atomic_store(&table->unique_bytes, 0);
    atomic_store(&table->uniques_built, false);
    txn_writer_unlock(table->manager);
}

static void test_building_beside_commits_and_maintenance(void **state)
{
    struct fixture fixture;
    uint64_t meanwhile = 0;
    make_table(&fixture, true);
    struct write_set *set = begin(&fixture);
    for (int32_t id = 0; id < MANY; id++)
        put(set, id, (id * 7919) % MANY, "b", id);
    assert_int_equal(finish(&fixture, set, NULL), OMEN_OK);
    for (int round = 0; round < ROUNDS || meanwhile == 0; round++) { /* or it has shown nothing */
        struct beside beside = {.fixture = &fixture, .round = round};
        struct thread threads[2];
        struct table_stats stats;
        forget_indexes(fixture.table);
        assert_true(thread_start(&threads[0], change_rows, &beside));
        assert_true(thread_start(&threads[1], maintain_rows, &beside));
        while (atomic_load(&beside.changes) < 20)
            continue;
        uint64_t before = atomic_load(&beside.changes);
        assert_int_equal(table_prepare_uniques(fixture.table, NULL), OMEN_OK);
        meanwhile += atomic_load(&beside.changes) - before;
        table_stats_of(fixture.table, &stats);
        atomic_store(&beside.stop, true);
        thread_join(&threads[0]);
        thread_join(&threads[1]);
        check_valid(&fixture);
    }
    drop_table(&fixture);
}

/* --- without memory --- */

/* Keys of both kinds are freed, moved, taken and put again. */
static omen_status change_much(struct write_set *set, int32_t round)
{
    omen_value key = bigint(1), value = text("a text that does not fit"), rows[2][COLUMNS] = {
        {bigint(100 + round), integer(2), text("x"), integer(2)},
        {bigint(200 + round), integer(300 + round), text("another long text"), integer(round)}};
    uint32_t column = B;
    OMEN_TRY(write_set_update(set, &key, &column, &value, 1, NULL));
    key = bigint(2);
    OMEN_TRY(write_set_delete(set, &key, NULL));
    OMEN_TRY(write_set_insert(set, rows[0], NULL));
    return write_set_insert(set, rows[1], NULL);
}

static void before_much(struct fixture *fixture, int32_t round)
{
    static const int64_t gone[] = {1, 2, 100, 200};
    for (size_t i = 0; i < 4; i++) {
        struct write_set *set = begin(fixture);
        omen_value key = bigint(gone[i] < 100 ? gone[i] : gone[i] + round);
        omen_status status = write_set_delete(set, &key, NULL);
        assert_true(status == OMEN_OK || status == OMEN_NOT_FOUND);
        assert_int_equal(finish(fixture, set, NULL), OMEN_OK);
    }
    for (int32_t id = 1; id <= 2; id++)
        assert_int_equal(insert(fixture, id, id, "x", id), OMEN_OK);
}

static omen_status commit_much(struct fixture *fixture, int32_t round)
{
    struct write_set *set;
    OMEN_TRY(write_set_create(fixture->table, &set));
    txn_writer_lock(fixture->manager);
    omen_status status = change_much(set, round);
    if (status == OMEN_OK)
        status = write_set_commit(set, true, NULL);
    txn_writer_unlock(fixture->manager);
    write_set_destroy(set);
    return status;
}

/* A statement that failed has given no key up: row 2 has it still. */
static void check_not_given_up(struct fixture *fixture, struct own_writes *own)
{
    struct write_set *set = begin(fixture);
    put(set, 500, 2, NULL, -1);
    assert_int_equal(own_writes_add(own, set, 3, OWN_SNAPSHOT_NONE, NULL), OMEN_DUPLICATE_KEY);
    txn_writer_unlock(fixture->manager);
    write_set_destroy(set);
}

/* One statement of a transaction, and another that changes what it has made. */
static omen_status add_much(struct fixture *fixture, struct own_writes *own, int32_t round)
{
    omen_status status = OMEN_OK;
    for (uint32_t command = 1; command <= 2 && status == OMEN_OK; command++) {
        struct write_set *set;
        omen_value key = bigint(100 + round), value = integer(7);
        uint32_t column = A;
        OMEN_TRY(write_set_create(fixture->table, &set));
        write_set_read_own(set, own, command, OWN_SNAPSHOT_NONE);
        txn_writer_lock(fixture->manager);
        status = command == 1 ? change_much(set, round)
                              : write_set_update(set, &key, &column, &value, 1, NULL);
        if (status == OMEN_OK)
            status = own_writes_add(own, set, command, OWN_SNAPSHOT_NONE, NULL);
        txn_writer_unlock(fixture->manager);
        write_set_destroy(set);
        if (status != OMEN_OK && command == 1)
            check_not_given_up(fixture, own);
    }
    return status;
}

static omen_status transact_much(struct fixture *fixture, int32_t round)
{
    struct own_writes *own;
    struct write_set *set = NULL;
    OMEN_TRY(own_writes_create(fixture->table, &own));
    omen_status status = add_much(fixture, own, round);
    if (status == OMEN_OK)
        status = own_writes_commit_set(own, &set, NULL);
    if (status == OMEN_OK)
        status = write_set_commit(set, false, NULL);
    write_set_destroy(set);
    own_writes_destroy(own);
    return status;
}

static omen_status build(struct fixture *fixture, int32_t round)
{
    (void)round;
    forget_indexes(fixture->table);
    return table_prepare_uniques(fixture->table, NULL);
}

/* Each allocation fails once: nothing has happened then, and it can be done again. */
static void test_memory_runs_out(void **state)
{
    static omen_status (*const attempts[])(struct fixture *, int32_t) = {commit_much, transact_much,
                                                                         build};
    struct fixture fixture;
    make_table(&fixture, true);
    for (int32_t id = 1000; id < 1100; id++)
        assert_int_equal(insert(&fixture, id, 3000 - id, id % 2 == 0 ? "x" : NULL, id), OMEN_OK);
    for (size_t attempt = 0; attempt < 3; attempt++) {
        bool failed = true;
        for (int32_t round = 1; failed; round++) {
            before_much(&fixture, round);
            allocator_fail_at(&fixture.allocator, (uint64_t)round, 0);
            omen_status status = attempts[attempt](&fixture, round);
            failed = allocator_has_failed(&fixture.allocator);
            allocator_fail_at(&fixture.allocator, 0, 0);
            assert_true(status == OMEN_OK || (failed && status == OMEN_OUT_OF_MEMORY));
            check_valid(&fixture);
            if (status != OMEN_OK)
                assert_int_equal(attempts[attempt](&fixture, round), OMEN_OK);
            check_valid(&fixture);
            before_much(&fixture, round);
        }
    }
    drop_table(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_duplicate_is_named),
        cmocka_unit_test(test_nulls_are_distinct),
        cmocka_unit_test(test_a_key_too_long_is_named),
        cmocka_unit_test(test_keys_move_among_the_rows_of_a_set),
        cmocka_unit_test(test_a_key_as_text),
        cmocka_unit_test(test_indexes_are_built_when_first_needed),
        cmocka_unit_test(test_two_rows_with_one_key_are_damage),
        cmocka_unit_test(test_a_failed_commit_is_undone),
        cmocka_unit_test(test_a_freed_key_in_flight_is_acted_on),
        cmocka_unit_test(test_a_snapshot_does_not_keep_a_key),
        cmocka_unit_test(test_building_beside_commits_and_maintenance),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
