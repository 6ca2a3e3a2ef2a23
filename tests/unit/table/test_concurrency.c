/* Readers beside the writer and maintenance: what must hold at every moment.
 *
 *   - a key that always exists is always found, whatever happens to its row
 *   - transfers between rows keep the sum that any scan sees
 *   - a row read at its newest version is what the newest snapshot sees
 *   - a row moved between keys is seen exactly once by every snapshot
 *
 * Meant for ThreadSanitizer as much as for itself. OMEN_STEPS sets the number of commits.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "column/key.h"
#include "table/table_private.h"

enum { ACCOUNTS = 500, BALANCE = 1000, COLUMN_ID = 0, COLUMN_MONEY = 1, COLUMN_NOTE = 2 };

struct bank {
    struct allocator allocator;
    struct txn_manager *manager;
    struct schema *schema;
    struct table *table;
    bool text_keys;
    atomic_bool stop;
    atomic_uint_fast64_t lookups, scans, steps;
    atomic_int wrong;
};

static omen_value id_value(const struct bank *bank, int64_t id, char *text)
{
    omen_value value = {.type.id = OMEN_TYPE_BIGINT, .as.i64 = id};
    if (bank->text_keys) {
        value.type.id = OMEN_TYPE_TEXT;
        value.as.bytes.data = (const uint8_t *)text;
        value.as.bytes.length = (size_t)snprintf(text, 32, "account %lld", (long long)id);
    }
    return value;
}

static void insert_account(struct bank *bank, struct write_set *set, int64_t id, int64_t money)
{
    char text[32];
    omen_value values[3] = {id_value(bank, id, text),
                            {.type.id = OMEN_TYPE_BIGINT, .as.i64 = money},
                            {.type.id = OMEN_TYPE_TEXT,
                             .as.bytes = {(const uint8_t *)"some more than inline text", 26}}};
    assert_int_equal(write_set_insert(set, values, NULL), OMEN_OK);
}

static void bank_open(struct bank *bank, bool text_keys)
{
    memset(bank, 0, sizeof *bank);
    bank->text_keys = text_keys;
    allocator_init(&bank->allocator, 0);
    const struct column_definition columns[] = {
        {.name = "id", .type.id = text_keys ? OMEN_TYPE_TEXT : OMEN_TYPE_BIGINT},
        {.name = "money", .type.id = OMEN_TYPE_BIGINT},
        {.name = "note", .type.id = OMEN_TYPE_TEXT, .nullable = true}};
    const uint32_t key = 0;
    assert_int_equal(txn_manager_create(&bank->allocator, &bank->manager), OMEN_OK);
    assert_int_equal(schema_create(&bank->allocator, columns, 3, &key, 1, &bank->schema, NULL),
                     OMEN_OK);
    assert_int_equal(
        table_create(&bank->allocator, bank->manager, "bank", bank->schema, &bank->table),
        OMEN_OK);
    struct write_set *set;
    assert_int_equal(write_set_create(bank->table, &set), OMEN_OK);
    for (int64_t id = 0; id < ACCOUNTS; id++)
        insert_account(bank, set, id, BALANCE);
    assert_int_equal(write_set_commit(set, false, NULL), OMEN_OK);
    write_set_destroy(set);
}

static void bank_close(struct bank *bank)
{
    omen_error error = {0};
    if (table_validate(bank->table, &error) != OMEN_OK)
        fail_msg("%s", error.message);
    table_release(bank->table);
    schema_release(bank->schema);
    txn_manager_destroy(bank->manager);
    assert_int_equal(bank->allocator.bytes_used, 0);
}

static omen_status get(struct bank *bank, uint64_t snapshot, int64_t id, int64_t *money)
{
    char text[32];
    omen_value key = id_value(bank, id, text), value;
    struct arena scratch;
    struct row_ref row;
    struct read_view view = {.snapshot = snapshot};
    arena_init(&scratch, &bank->allocator);
    omen_status status = table_get(bank->table, &view, &key, &scratch, &row);
    arena_release(&scratch);
    if (status != OMEN_OK)
        return status;
    row_group_read(row.group, row.slot, COLUMN_MONEY, &value);
    *money = value.as.i64;
    row_ref_release(&row);
    return OMEN_OK;
}

/* A scan over IN of eight keys, answered by the index: each account once. */
static void check_in_list(struct bank *bank, const struct snapshot *snapshot, int64_t first)
{
    char texts[8][32];
    omen_value list[8];
    for (int i = 0; i < 8; i++)
        list[i] = id_value(bank, (first + i * 7) % ACCOUNTS, texts[i]);
    const omen_predicate in = {COLUMN_ID, OMEN_IN, list, 8};
    const uint32_t column = COLUMN_MONEY;
    struct scan_spec spec = {.columns = &column,
                             .column_count = 1,
                             .predicates = &in,
                             .predicate_count = 1,
                             .limit = UINT64_MAX,
                             .partition_count = 1,
                             .key_lookup = true};
    struct table_view *view;
    struct scan *scan;
    struct ArrowArray batch;
    if (table_view_open(bank->table, snapshot, &view) != OMEN_OK ||
        table_scan_open(view, &spec, &scan, NULL) != OMEN_OK)
        abort();
    if (table_scan_next(scan, &batch) != OMEN_OK || batch.length != 8)
        bank->wrong = 4;
    else
        batch.release(&batch);
    table_scan_close(scan);
    table_view_release(view);
}

/* Every account is there at every snapshot, and reads the same twice. */
static void *lookup_main(void *argument)
{
    struct bank *bank = argument;
    struct random random = random_seeded((uintptr_t)&random);
    while (!bank->stop) {
        struct snapshot snapshot;
        if (snapshot_acquire(bank->manager, &snapshot) != OMEN_OK)
            continue;
        for (int i = 0; i < 20; i++) {
            int64_t id = (int64_t)random_below(&random, ACCOUNTS), first, second;
            if (get(bank, snapshot.timestamp, id, &first) != OMEN_OK ||
                get(bank, snapshot.timestamp, id, &second) != OMEN_OK || first != second)
                bank->wrong = 1;
            bank->lookups++;
        }
        check_in_list(bank, &snapshot, (int64_t)random_below(&random, ACCOUNTS));
        snapshot_release(&snapshot);
    }
    return NULL;
}

static omen_status read_newest(struct bank *bank, struct reader_slot *slot, int64_t id,
                               struct row_copy *copy)
{
    omen_value key = {.type.id = OMEN_TYPE_BIGINT, .as.i64 = id};
    return table_read(bank->table, slot, key_word(&key), copy, NULL);
}

/* Every account is there at every moment, with its note, and where nothing was committed meanwhile
 * it is what a snapshot sees. */
static void *read_main(void *argument)
{
    struct bank *bank = argument;
    struct random random = random_seeded((uintptr_t)&random);
    struct reader_slot *slot = reader_slot_claim();
    const uint32_t columns[] = {COLUMN_MONEY, COLUMN_ID, COLUMN_NOTE};
    omen_value values[3];
    uint8_t texts[3][ROW_COPY_TEXT_BYTES];
    struct row_copy copy = {
        .columns = columns, .column_count = 3, .values = values, .texts = texts};
    for (uint64_t round = 0; !bank->stop; round++) {
        struct snapshot snapshot;
        int64_t id = (int64_t)random_below(&random, ACCOUNTS), money = 0;
        if (snapshot_acquire(bank->manager, &snapshot) != OMEN_OK)
            continue;
        if (read_newest(bank, round % 8 == 0 ? NULL : slot, id, &copy) != OMEN_OK ||
            values[1].as.i64 != id || values[2].is_null || values[2].as.bytes.length != 26 ||
            memcmp(values[2].as.bytes.data, "some more than inline text", 26) != 0 ||
            copy.pinned != NULL)
            bank->wrong = 5;
        else if (txn_published(bank->manager) == snapshot.timestamp &&
                 (get(bank, snapshot.timestamp, id, &money) != OMEN_OK ||
                  money != values[0].as.i64))
            bank->wrong = 6;
        snapshot_release(&snapshot);
        bank->lookups++;
    }
    reader_slot_release(slot);
    return NULL;
}

/* The sum over all accounts never changes. */
static void *scan_main(void *argument)
{
    struct bank *bank = argument;
    while (!bank->stop) {
        struct snapshot snapshot;
        struct table_view *view;
        struct scan *scan;
        if (snapshot_acquire(bank->manager, &snapshot) != OMEN_OK)
            continue;
        if (table_view_open(bank->table, &snapshot, &view) != OMEN_OK)
            abort();
        snapshot_release(&snapshot);
        const uint32_t columns[] = {COLUMN_MONEY, COLUMN_NOTE};
        struct scan_spec spec = {.columns = columns,
                                 .column_count = 2,
                                 .limit = UINT64_MAX,
                                 .partition_count = 1};
        if (table_scan_open(view, &spec, &scan, NULL) != OMEN_OK)
            abort();
        int64_t sum = 0, rows = 0;
        struct ArrowArray batch;
        while (table_scan_next(scan, &batch) == OMEN_OK) {
            for (int64_t i = 0; i < batch.length; i++)
                sum += ((const int64_t *)batch.children[0]->buffers[1])[i];
            rows += batch.length;
            batch.release(&batch);
        }
        if (sum != (int64_t)ACCOUNTS * BALANCE || rows != ACCOUNTS)
            bank->wrong = 2;
        table_scan_close(scan);
        table_view_release(view);
        bank->scans++;
    }
    return NULL;
}

static void *maintain_main(void *argument)
{
    struct bank *bank = argument;
    struct random random = random_seeded(99);
    while (!bank->stop) {
        if (random_below(&random, 4) == 0)
            table_seal_open(bank->table);
        if (table_maintain(bank->table, 1 + random_below(&random, 2000), NULL) != OMEN_OK)
            bank->wrong = 3;
        bank->steps++;
    }
    return NULL;
}

/* Moves money between two accounts, by updates or by delete and insert. */
static void transfer(struct bank *bank, struct random *random)
{
    int64_t from = (int64_t)random_below(random, ACCOUNTS);
    int64_t to = (from + 1 + (int64_t)random_below(random, ACCOUNTS - 1)) % ACCOUNTS;
    int64_t amount = (int64_t)random_below(random, 100), money = 0;
    struct write_set *set;
    txn_writer_lock(bank->manager);
    assert_int_equal(write_set_create(bank->table, &set), OMEN_OK);
    for (int side = 0; side < 2; side++) {
        char text[32];
        int64_t id = side == 0 ? from : to;
        omen_value key = id_value(bank, id, text);
        assert_int_equal(get(bank, txn_published(bank->manager), id, &money), OMEN_OK);
        omen_value value = {.type.id = OMEN_TYPE_BIGINT,
                            .as.i64 = side == 0 ? money - amount : money + amount};
        uint32_t column = COLUMN_MONEY;
        if (random_below(random, 3) == 0) {
            assert_int_equal(write_set_delete(set, &key, NULL), OMEN_OK);
            insert_account(bank, set, id, value.as.i64);
        } else {
            assert_int_equal(write_set_update(set, &key, &column, &value, 1, NULL), OMEN_OK);
        }
    }
    assert_int_equal(write_set_commit(set, true, NULL), OMEN_OK);
    txn_writer_unlock(bank->manager);
    write_set_destroy(set);
}

/* Other rows come and go, in batches and alone, so that groups and index change shape; a batch
 * may fail on a duplicate after half its entries were put. */
static void churn(struct bank *bank, struct random *random)
{
    int64_t first = 1000000 + (int64_t)random_below(random, 100000);
    struct write_set *set;
    txn_writer_lock(bank->manager);
    assert_int_equal(write_set_create(bank->table, &set), OMEN_OK);
    for (int64_t id = first; id < first + 50; id++)
        insert_account(bank, set, id, 0);
    if (random_below(random, 2) == 0)
        insert_account(bank, set, first, 0);
    omen_status status = write_set_commit(set, true, NULL);
    write_set_destroy(set);
    assert_true(status == OMEN_OK || status == OMEN_DUPLICATE_KEY);
    txn_writer_unlock(bank->manager);
}

/* Two accounts change keys in one commit. */
static void swap_keys(struct bank *bank, struct random *random)
{
    int64_t left = (int64_t)random_below(random, ACCOUNTS);
    int64_t right = (left + 1) % ACCOUNTS;
    char left_text[32], right_text[32];
    omen_value left_key = id_value(bank, left, left_text);
    omen_value right_key = id_value(bank, right, right_text);
    omen_value left_new = right_key, right_new = left_key;
    uint32_t column = COLUMN_ID;
    struct write_set *set;
    txn_writer_lock(bank->manager);
    assert_int_equal(write_set_create(bank->table, &set), OMEN_OK);
    assert_int_equal(write_set_update(set, &left_key, &column, &left_new, 1, NULL), OMEN_OK);
    assert_int_equal(write_set_update(set, &right_key, &column, &right_new, 1, NULL), OMEN_OK);
    assert_int_equal(write_set_commit(set, true, NULL), OMEN_OK);
    txn_writer_unlock(bank->manager);
    write_set_destroy(set);
}

/* Whether every kind of thread has finished a round: on a busy machine one may start late. */
static bool all_took_part(struct bank *bank)
{
    return bank->lookups > 0 && bank->scans > 0 && bank->steps > 0;
}

static void run_bank(bool text_keys, bool hold_old)
{
    struct bank bank;
    const char *steps_text = getenv("OMEN_STEPS");
    long steps = steps_text != NULL ? atol(steps_text) : 4000;
    bank_open(&bank, text_keys);
    struct snapshot old; /* of before the first transfer, held to the end */
    assert_int_equal(snapshot_acquire(bank.manager, &old), OMEN_OK);
    if (!hold_old)
        snapshot_release(&old);
    pthread_t threads[4];
    void *(*const mains[4])(void *) = {lookup_main, text_keys ? lookup_main : read_main, scan_main,
                                       maintain_main};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mains[i], &bank), 0);
    struct random random = random_seeded(5);
    for (long i = 0; (i < steps || !all_took_part(&bank)) && !bank.wrong; i++) {
        transfer(&bank, &random);
        if (i % 16 == 0)
            swap_keys(&bank, &random);
    }
    bank.stop = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(bank.wrong, 0);
    assert_true(all_took_part(&bank));
    for (int64_t id = 0; hold_old && id < ACCOUNTS; id++) {
        int64_t money = 0;
        assert_int_equal(get(&bank, old.timestamp, id, &money), OMEN_OK);
        assert_int_equal(money, BALANCE);
    }
    snapshot_release(&old);
    bank_close(&bank);
}

static void test_word_keys(void **state)
{
    run_bank(false, false);
    run_bank(false, true);
}

static void test_byte_keys(void **state)
{
    run_bank(true, true);
}

/* Lookups while many other keys are put and undone around them. */
static void test_lookups_beside_inserts_and_aborts(void **state)
{
    struct bank bank;
    const char *steps_text = getenv("OMEN_STEPS");
    long steps = steps_text != NULL ? atol(steps_text) / 4 : 1000;
    bank_open(&bank, false);
    pthread_t threads[3];
    void *(*const mains[3])(void *) = {lookup_main, lookup_main, maintain_main};
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mains[i], &bank), 0);
    struct random random = random_seeded(6);
    for (long i = 0; (i < steps || bank.lookups == 0) && !bank.wrong; i++)
        churn(&bank, &random);
    bank.stop = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(bank.wrong, 0);
    bank_close(&bank);
}

/* Reads alone between rare commits, so that readers hold the lock by their slots. */
static void test_reads_beside_rare_commits(void **state)
{
    struct bank bank;
    const char *steps_text = getenv("OMEN_STEPS");
    long steps = steps_text != NULL ? atol(steps_text) / 8 : 500;
    bank_open(&bank, false);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_main, &bank), 0);
    struct random random = random_seeded(7);
    for (long i = 0; i < steps && !bank.wrong; i++) {
        for (uint64_t lookups = bank.lookups; bank.lookups < lookups + 400 && !bank.wrong;)
            sched_yield();
        transfer(&bank, &random);
        if (i % 10 == 0 && table_maintain(bank.table, 2000, NULL) != OMEN_OK)
            bank.wrong = 3;
        if (i % 40 == 0)
            table_seal_open(bank.table);
    }
    bank.stop = true;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(bank.wrong, 0);
    struct table_stats stats;
    table_stats_of(bank.table, &stats);
    assert_true(stats.point_reads > 0);
    bank_close(&bank);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_word_keys),
        cmocka_unit_test(test_byte_keys),
        cmocka_unit_test(test_lookups_beside_inserts_and_aborts),
        cmocka_unit_test(test_reads_beside_rare_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
