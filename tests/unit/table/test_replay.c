/* Redo and replay: commits in the log, applied again. The random test of tests/property/table covers
 * every key kind; here are the cases by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "column/row_codec.h"
#include "support_replay.h"

struct fixture {
    struct model model;
    struct fake_log log;
    struct random random;
};

static void fixture_open(struct fixture *fixture, enum key_kind kind)
{
    model_open(&fixture->model, kind);
    table_set_id(fixture->model.table, TEST_TABLE_ID);
    fake_log_open(&fixture->log, fixture->model.manager);
    fixture->random = random_seeded(1);
}

static void fixture_close(struct fixture *fixture)
{
    fake_log_close(&fixture->log);
    model_close(&fixture->model);
}

static void check(struct fixture *fixture, int32_t kid_max)
{
    for (size_t i = 0; i <= fixture->log.commits; i++)
        check_replay(&fixture->model, &fixture->log, i, kid_max, &fixture->random);
}

static size_t last_commit_bytes(const struct fixture *fixture)
{
    const struct fake_log *log = &fixture->log;
    return log->ends[log->commits - 1] - (log->commits > 1 ? log->ends[log->commits - 2] : 0);
}

/* --- what is written --- */

static void test_a_row_that_keeps_its_key_needs_no_end(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, KEY_BIGINT);
    model_insert(&fixture.model, 1, 1);
    assert_int_equal(fixture.log.bytes[8], REDO_ROWS);
    model_update(&fixture.model, 1, 1);
    const uint8_t *update = fixture.log.bytes + fixture.log.ends[0];
    assert_int_equal(bytes_get_u64(update), fixture.model.versions[2].begin);
    assert_int_equal(update[8], REDO_ROWS);
    model_update(&fixture.model, 1, 2); /* the row moves: its old key ends first */
    const uint8_t *moved = fixture.log.bytes + fixture.log.ends[1];
    assert_int_equal(moved[8], REDO_ENDS);
    model_delete(&fixture.model, 2);
    /* timestamp | kind, length | table, count | key */
    assert_int_equal(last_commit_bytes(&fixture), 8 + 2 + 3 + 8);
    check(&fixture, 3);
    fixture_close(&fixture);
}

static void test_a_short_row_is_short(void **state)
{
    struct allocator allocator;
    struct schema *schema;
    struct row_group *group;
    static const struct column_definition columns[] = {
        {.name = "id", .type.id = OMEN_TYPE_INTEGER},
        {.name = "flag", .type.id = OMEN_TYPE_BOOLEAN, .nullable = true},
        {.name = "price", .type = {.id = OMEN_TYPE_DECIMAL, .precision = 9, .scale = 2}, .nullable = true},
        {.name = "name", .type.id = OMEN_TYPE_TEXT, .nullable = true}};
    const uint32_t key = 0;
    allocator_init(&allocator, 0);
    assert_int_equal(schema_create(&allocator, columns, 4, &key, 1, &schema, NULL), OMEN_OK);
    assert_int_equal(row_group_create(&allocator, schema, 1, 10, &group), OMEN_OK);
    omen_value row[] = {
        {.type = columns[0].type, .as.i32 = 7},
        {.type = columns[1].type, .as.boolean = true},
        {.type = columns[2].type, .as.decimal = {(uint64_t)-1234, -1}},
        {.type = columns[3].type, .as.bytes = {(const uint8_t *)"abc", 3}}};
    assert_int_equal(row_group_append_values(group, row), OMEN_OK);
    /* nulls | id | flag | price | length and text */
    assert_int_equal(row_codec_bytes(group, 0, 1), 1 + 4 + 1 + 4 + 1 + 3);
    for (int i = 1; i < 4; i++)
        row[i].is_null = true;
    assert_int_equal(row_group_append_values(group, row), OMEN_OK);
    /* nulls | id | a bit for each NULL */
    assert_int_equal(row_codec_bytes(group, 1, 1), 1 + 4 + 3);
    row_group_release(group);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

/* --- one key, many commits --- */

static void test_the_last_word_on_a_key_counts(void **state)
{
    for (enum key_kind kind = 0; kind < KEY_HIDDEN; kind++) {
        struct fixture fixture;
        fixture_open(&fixture, kind);
        struct model *model = &fixture.model;
        model_insert(model, 0, 3);
        for (int i = 0; i < 10; i++)
            model_update(model, 1, 1);
        model_delete(model, 1);
        model_insert(model, 1, 1);
        model_delete(model, 1);
        model_insert(model, 5, 1); /* begun and gone within one batch */
        model_delete(model, 5);
        model_update(model, 2, 7);
        model_update(model, 7, 8);
        model_insert(model, 7, 1);
        check(&fixture, 10);
        fixture_close(&fixture);
    }
}

/* Rows that change places in one commit: each key ends and begins. */
static void test_rows_change_places(void **state)
{
    for (enum key_kind kind = 0; kind < KEY_HIDDEN; kind++) {
        struct fixture fixture;
        struct test_txn txn;
        fixture_open(&fixture, kind);
        model_insert(&fixture.model, 1, 3);
        assert_int_equal(test_txn_begin(&fixture.model, &txn), OMEN_OK);
        assert_int_equal(test_txn_update(&txn, 1, 2, 2), OMEN_OK);
        assert_int_equal(test_txn_update(&txn, 2, 3, 2), OMEN_OK);
        assert_int_equal(test_txn_update(&txn, 3, 1, 2), OMEN_OK);
        assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
        assert_int_equal(test_txn_begin(&fixture.model, &txn), OMEN_OK);
        assert_int_equal(test_txn_delete(&txn, 1), OMEN_OK);
        assert_int_equal(test_txn_insert(&txn, 1), OMEN_OK);
        assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
        check(&fixture, 4);
        fixture_close(&fixture);
    }
}

static void test_r5_6_replayed_hidden_keys_are_not_given_again(void **state)
{
    struct fixture fixture;
    struct replica replica;
    fixture_open(&fixture, KEY_HIDDEN);
    model_insert(&fixture.model, 0, 20);
    replica_open(&replica, &fixture.model);
    assert_int_equal(replica_data(&replica, fixture.log.bytes, fixture.log.length, 100,
                                  &fixture.random, NULL),
                     OMEN_OK);
    assert_int_equal(replay_commit(replica.replay, NULL), OMEN_OK);
    assert_int_equal(replay_finish(replica.replay, NULL), OMEN_OK);
    struct table_counters counters;
    table_counters_of(replica.model.table, &counters);
    assert_int_equal(counters.hidden_key_next, 21);
    replica_close(&replica);
    fixture_close(&fixture);
}

/* Those of rows that are gone again neither, though nothing else is left of them. */
static void test_r5_6_replayed_hidden_keys_of_deleted_rows_are_not_given_again(void **state)
{
    struct fixture fixture;
    struct replica replica;
    struct table_counters counters;
    fixture_open(&fixture, KEY_HIDDEN);
    model_insert(&fixture.model, 0, 20);
    for (int32_t kid = 15; kid <= 20; kid++)
        model_delete(&fixture.model, kid);
    replica_open(&replica, &fixture.model);
    for (size_t i = 0; i < fixture.log.commits; i++) {
        size_t first = i == 0 ? 0 : fixture.log.ends[i - 1];
        assert_int_equal(replica_data(&replica, fixture.log.bytes + first,
                                      fixture.log.ends[i] - first, 100, &fixture.random, NULL),
                         OMEN_OK);
        assert_int_equal(replay_commit(replica.replay, NULL), OMEN_OK);
    }
    assert_int_equal(replay_finish(replica.replay, NULL), OMEN_OK);
    table_counters_of(replica.model.table, &counters);
    assert_int_equal(counters.hidden_key_next, 21);
    replica_close(&replica);
    fixture_close(&fixture);
}

/* --- large commits --- */

static void insert_many(struct model *model, int32_t first, int32_t count)
{
    struct test_txn txn;
    assert_int_equal(test_txn_begin(model, &txn), OMEN_OK);
    for (int32_t i = 0; i < count; i++)
        assert_int_equal(test_txn_insert(&txn, first + i), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
}

static void test_large_commits_stream(void **state)
{
    static const enum key_kind kinds[] = {KEY_BIGINT, KEY_MIXED};
    for (size_t i = 0; i < 2; i++) {
        struct fixture fixture;
        struct test_txn txn;
        fixture_open(&fixture, kinds[i]);
        insert_many(&fixture.model, 0, 100);
        insert_many(&fixture.model, 1000, ROW_GROUP_ROWS + 5000); /* whole groups among them */
        assert_true(last_commit_bytes(&fixture) > 4 << 20);
        assert_int_equal(test_txn_begin(&fixture.model, &txn), OMEN_OK);
        for (int32_t kid = 0; kid < 100; kid += 2)
            assert_int_equal(test_txn_update(&txn, kid, kid, 0), OMEN_OK);
        for (int32_t kid = 1000; kid < 12000; kid++)
            assert_int_equal(test_txn_delete(&txn, kid), OMEN_OK);
        for (int32_t kid = 12000; kid < 24000; kid++)
            assert_int_equal(test_txn_update(&txn, kid, kid + 60000 + 1000, 0), OMEN_OK);
        assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
        check(&fixture, 200);
        fixture_close(&fixture);
    }
}

/* Many rows in few bytes: more than a batch takes, less than what streams. */
static void test_a_commit_larger_than_a_batch(void **state)
{
    struct fixture fixture;
    struct test_txn txn;
    fixture_open(&fixture, KEY_BIGINT);
    insert_many(&fixture.model, 0, 9000);
    assert_int_equal(test_txn_begin(&fixture.model, &txn), OMEN_OK);
    for (int32_t kid = 0; kid < 9000; kid++)
        assert_int_equal(test_txn_delete(&txn, kid), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
    assert_true(last_commit_bytes(&fixture) < 1 << 20);
    check(&fixture, 10);
    fixture_close(&fixture);
}

/* --- what is not rows --- */

static void put_section(uint8_t *bytes, size_t *length, uint8_t kind, const void *body, size_t size)
{
    bytes[(*length)++] = kind;
    *length += varint_put(bytes + *length, size);
    memcpy(bytes + *length, body, size);
    *length += size;
}

/* The bytes of the log's commit without its timestamp. */
static const uint8_t *commit_body(const struct fixture *fixture, size_t commit, size_t *length)
{
    size_t first = commit == 0 ? 0 : fixture->log.ends[commit - 1];
    *length = fixture->log.ends[commit] - first - TXN_REDO_HEAD_BYTES;
    return fixture->log.bytes + first + TXN_REDO_HEAD_BYTES;
}

static void test_other_sections_come_in_their_order(void **state)
{
    struct fixture fixture;
    struct replica replica;
    static uint8_t bytes[1000];
    size_t length = 8, body;
    fixture_open(&fixture, KEY_BIGINT);
    model_insert(&fixture.model, 1, 1);
    model_insert(&fixture.model, 2, 1);
    bytes_put_u64(bytes, 2);
    const uint8_t *rows = commit_body(&fixture, 0, &body);
    memcpy(bytes + length, rows, body);
    length += body;
    put_section(bytes, &length, REDO_OTHER + 5, "abc", 3);
    rows = commit_body(&fixture, 1, &body);
    memcpy(bytes + length, rows, body);
    length += body;
    replica_open(&replica, &fixture.model);
    assert_int_equal(
        replica_data(&replica, bytes, length, 10, &fixture.random, NULL), OMEN_OK);
    assert_int_equal(replica.others, 0); /* the commit may yet be forgotten */
    assert_int_equal(replay_commit(replica.replay, NULL), OMEN_OK);
    assert_int_equal(replica.others, 1);
    assert_int_equal(replica.other_rows, 1); /* what stood before it was there */
    assert_int_equal(replay_finish(replica.replay, NULL), OMEN_OK);
    assert_int_equal(table_row_count_estimate(replica.model.table), 2);
    replica_close(&replica);
    fixture_close(&fixture);
}

static void test_rows_of_dropped_tables_do_not_matter(void **state)
{
    struct fixture fixture;
    struct replica replica;
    uint8_t bytes[1000];
    size_t length;
    fixture_open(&fixture, KEY_BIGINT);
    model_insert(&fixture.model, 1, 1);
    commit_body(&fixture, 0, &length);
    memcpy(bytes, fixture.log.bytes, length + TXN_REDO_HEAD_BYTES);
    size_t at = TXN_REDO_HEAD_BYTES + 1;
    while (bytes[at] >= 0x80) /* the length */
        at++;
    bytes[at + 1]++; /* the table's id */
    replica_open(&replica, &fixture.model);
    assert_int_equal(replay_data(replica.replay, bytes, length + TXN_REDO_HEAD_BYTES, NULL),
                     OMEN_OK);
    assert_int_equal(replay_commit(replica.replay, NULL), OMEN_OK);
    assert_int_equal(replay_finish(replica.replay, NULL), OMEN_OK);
    assert_int_equal(table_row_count_estimate(replica.model.table), 0);
    replica_close(&replica);
    fixture_close(&fixture);
}

/* --- what cannot be --- */

static omen_status replay_bytes(struct fixture *fixture, const uint8_t *bytes, size_t length)
{
    struct replica replica;
    omen_error error = {0};
    replica_open(&replica, &fixture->model);
    omen_status status = replay_data(replica.replay, bytes, length, &error);
    if (status == OMEN_OK)
        status = replay_commit(replica.replay, &error);
    if (status == OMEN_OK)
        status = replay_finish(replica.replay, &error);
    if (status != OMEN_OK)
        assert_int_equal(status, error.status);
    replica_close(&replica);
    return status;
}

static void test_what_cannot_be_is_corrupted(void **state)
{
    struct fixture fixture;
    uint8_t bytes[2000];
    size_t length;
    fixture_open(&fixture, KEY_BIGINT);
    model_insert(&fixture.model, 1, 2);
    model_delete(&fixture.model, 1);
    /* A row ends that is not there. */
    const uint8_t *body = commit_body(&fixture, 1, &length);
    bytes_put_u64(bytes, 5);
    memcpy(bytes + 8, body, length);
    assert_int_equal(replay_bytes(&fixture, bytes, length + 8), OMEN_CORRUPTED);
    /* It ends twice. */
    memcpy(bytes + 8 + length, body, length);
    assert_int_equal(replay_bytes(&fixture, bytes, 2 * length + 8), OMEN_CORRUPTED);
    /* A section of no kind there is; a commit that breaks off, or says nothing. */
    static const uint8_t kinds[] = {0, 3, 63};
    for (size_t i = 0; i < sizeof kinds; i++) {
        size_t end = 8;
        put_section(bytes, &end, kinds[i], "abc", 3);
        assert_int_equal(replay_bytes(&fixture, bytes, end), OMEN_CORRUPTED);
    }
    body = commit_body(&fixture, 0, &length);
    memcpy(bytes + 8, body, length);
    assert_int_equal(replay_bytes(&fixture, bytes, length + 8), OMEN_OK);
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(replay_bytes(&fixture, bytes, cut + 8), cut == 0 ? OMEN_OK : OMEN_CORRUPTED);
    for (size_t cut = 0; cut < 8; cut++)
        assert_int_equal(replay_bytes(&fixture, bytes, cut), OMEN_CORRUPTED);
    /* A commit out of its turn. */
    bytes_put_u64(bytes, 1);
    assert_int_equal(replay_bytes(&fixture, bytes, length + 8), OMEN_CORRUPTED);
    fixture_close(&fixture);
}

/* Any byte of a commit changed: other rows, or CORRUPTED, and a table that is whole. */
static void test_any_changed_byte(void **state)
{
    static const enum key_kind kinds[] = {KEY_TEXT, KEY_PAIR, KEY_DECIMAL};
    for (size_t k = 0; k < 3; k++) {
        struct fixture fixture;
        fixture_open(&fixture, kinds[k]);
        model_insert(&fixture.model, 1, 4);
        size_t length = fixture.log.length, corrupted = 0;
        uint8_t *bytes = malloc(length);
        for (size_t at = 0; at < length; at++)
            for (int bit = 0; bit < 8; bit++) {
                struct replica replica;
                omen_error error = {0};
                memcpy(bytes, fixture.log.bytes, length);
                bytes[at] ^= (uint8_t)(1 << bit);
                replica_open(&replica, &fixture.model);
                omen_status status = replay_data(replica.replay, bytes, length, &error);
                if (status == OMEN_OK)
                    status = replay_commit(replica.replay, &error);
                if (status == OMEN_OK)
                    status = replay_finish(replica.replay, &error);
                assert_true(status == OMEN_OK || status == OMEN_CORRUPTED);
                corrupted += status == OMEN_CORRUPTED;
                check_valid(&replica.model);
                replica_close(&replica);
            }
        assert_true(corrupted > length / 2);
        free(bytes);
        fixture_close(&fixture);
    }
}

/* --- memory --- */

static void test_no_memory_anywhere(void **state)
{
    static const enum key_kind kinds[] = {KEY_BIGINT, KEY_MIXED};
    for (size_t k = 0; k < 2; k++) {
        struct fixture fixture;
        fixture_open(&fixture, kinds[k]);
        model_insert(&fixture.model, 0, 40);
        for (int32_t kid = 0; kid < 20; kid++)
            model_update(&fixture.model, kid, kid % 2 == 0 ? kid : kid + 100);
        model_delete(&fixture.model, 22);
        omen_status status = OMEN_OUT_OF_MEMORY;
        int failures = 0;
        for (uint64_t nth = 1; status != OMEN_OK; nth++) {
            struct replica replica;
            replica_open(&replica, &fixture.model);
            allocator_fail_at(fixture.model.schema->allocator, nth, 0);
            status = OMEN_OK;
            for (size_t i = 0; i < fixture.log.commits && status == OMEN_OK; i++) {
                size_t first = i == 0 ? 0 : fixture.log.ends[i - 1];
                status = replay_data(replica.replay, fixture.log.bytes + first,
                                     fixture.log.ends[i] - first, NULL);
                if (status == OMEN_OK)
                    status = replay_commit(replica.replay, NULL);
            }
            if (status == OMEN_OK)
                status = replay_finish(replica.replay, NULL);
            assert_true(status == OMEN_OK || status == OMEN_OUT_OF_MEMORY);
            failures += status != OMEN_OK;
            allocator_fail_at(fixture.model.schema->allocator, 0, 0);
            replica_close(&replica);
        }
        assert_true(failures > 10);
        fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_that_keeps_its_key_needs_no_end),
        cmocka_unit_test(test_a_short_row_is_short),
        cmocka_unit_test(test_the_last_word_on_a_key_counts),
        cmocka_unit_test(test_rows_change_places),
        cmocka_unit_test(test_r5_6_replayed_hidden_keys_are_not_given_again),
        cmocka_unit_test(test_r5_6_replayed_hidden_keys_of_deleted_rows_are_not_given_again),
        cmocka_unit_test(test_large_commits_stream),
        cmocka_unit_test(test_a_commit_larger_than_a_batch),
        cmocka_unit_test(test_other_sections_come_in_their_order),
        cmocka_unit_test(test_rows_of_dropped_tables_do_not_matter),
        cmocka_unit_test(test_what_cannot_be_is_corrupted),
        cmocka_unit_test(test_any_changed_byte),
        cmocka_unit_test(test_no_memory_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
