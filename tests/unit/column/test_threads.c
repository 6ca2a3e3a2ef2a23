/* One writer appending, stamping and growing, readers selecting, filtering and exporting.
 *
 * Every row says what it must look like: key k has k in every form, so a reader can check any
 * row it sees, and the snapshot tells it exactly how many there must be. Run under TSan. */
#include <pthread.h>
#include <stdatomic.h>

#include "arrow_test.h"
#include "base/bits.h"
#include "column/filter.h"

enum { ROWS = 30000, READERS = 2 };

static const struct column_definition columns[] = {
    {"id", {.id = OMEN_TYPE_BIGINT}, false, NULL},
    {"odd", {.id = OMEN_TYPE_BOOLEAN}, false, NULL},
    {"third", {.id = OMEN_TYPE_INTEGER}, true, NULL}, /* NULL unless divisible by 3 */
    {"text", {.id = OMEN_TYPE_TEXT}, true, NULL},     /* NULL where divisible by 5 */
};

/* What a table would guard: the group, and the rows and snapshot published. */
static struct {
    pthread_mutex_t mutex;
    struct row_group *group;
    uint32_t row_count;
    atomic_uint_fast64_t snapshot;
    struct schema *schema;
    struct allocator allocator;
} table;

/* Commit t appends rows (t - 1) * 10 to t * 10 - 1 and, from the eighth on, ends row (t - 8) * 10:
 * snapshot s sees 10 s rows less those that commits 8 to s ended. */
static uint64_t visible_at(uint64_t snapshot)
{
    return snapshot * 10 - (snapshot < 8 ? 0 : snapshot - 7);
}

static void text_of(int64_t id, char *text, size_t limit)
{
    snprintf(text, limit, id % 2 ? "a text too long to be inline %d" : "%d", (int)id);
}

static void append_row(struct row_group *group, int64_t id)
{
    char text[64];
    text_of(id, text, sizeof text);
    omen_value row[4] = {
        {.type = columns[0].type, .as.i64 = id},
        {.type = columns[1].type, .as.boolean = id % 2 != 0},
        {.type = columns[2].type, .is_null = id % 3 != 0, .as.i32 = (int32_t)id},
        {.type = columns[3].type, .is_null = id % 5 == 0,
         .as.bytes = {(uint8_t *)text, strlen(text)}},
    };
    assert_ok(row_group_append_values(group, row));
}

static void *write_rows(void *unused)
{
    struct row_group *group = table.group;
    for (uint64_t commit = 1; commit <= ROWS / 10; commit++) {
        if (row_group_capacity(group) - row_group_row_count(group) < 10) {
            struct row_group *larger;
            assert_ok(row_group_grow(group, row_group_capacity(group) * 2, &larger));
            pthread_mutex_lock(&table.mutex);
            row_group_release(group);
            table.group = group = larger;
            pthread_mutex_unlock(&table.mutex);
        }
        for (uint32_t i = 0; i < 10; i++)
            append_row(group, (int64_t)(commit - 1) * 10 + i);
        row_group_stamp_begin(group, (uint32_t)(commit - 1) * 10, 10, commit);
        if (commit >= 8)
            row_group_stamp_end(group, (uint32_t)(commit - 8) * 10, commit);
        pthread_mutex_lock(&table.mutex);
        table.row_count = (uint32_t)commit * 10;
        pthread_mutex_unlock(&table.mutex);
        atomic_store_explicit(&table.snapshot, commit, memory_order_release);
    }
    return NULL;
}

static void check_row(const struct ArrowArray *batch, int64_t row, int64_t id)
{
    char text[64];
    text_of(id, text, sizeof text);
    omen_value value = arrow_value(batch->children[0], columns[0].type, row);
    assert_int_equal(value.as.i64, id);
    value = arrow_value(batch->children[1], columns[1].type, row);
    assert_int_equal(value.as.boolean, id % 2 != 0);
    value = arrow_value(batch->children[2], columns[2].type, row);
    assert_int_equal(value.is_null, id % 3 != 0);
    assert_true(value.is_null || value.as.i32 == id);
    value = arrow_value(batch->children[3], columns[3].type, row);
    assert_int_equal(value.is_null, id % 5 == 0);
    assert_true(value.is_null || (value.as.bytes.length == strlen(text) &&
                                  memcmp(value.as.bytes.data, text, strlen(text)) == 0));
}

static void read_batches(struct row_group *group, uint32_t rows)
{
    const uint32_t wanted[] = {0, 1, 2, 3};
    for (uint32_t first = 0; first < rows; first += BATCH_ROWS) {
        uint32_t count = rows - first < BATCH_ROWS ? rows - first : BATCH_ROWS;
        struct ArrowArray batch;
        assert_ok(row_group_export(group, first, count, wanted, 4, &batch));
        for (uint32_t i = 0; i < count; i += 1 + count / 50)
            check_row(&batch, i, first + i);
        check_row(&batch, count - 1, first + count - 1);
        batch.release(&batch);
    }
}

static void *read_rows(void *seed)
{
    struct random random = random_seeded((uint64_t)(uintptr_t)seed);
    uint64_t snapshot = 0;
    const omen_value bound = {.type = columns[2].type, .as.i32 = 5000};
    const omen_predicate predicates[] = {{1, OMEN_EQ, &(omen_value){.type = columns[1].type}, 1},
                                         {2, OMEN_LT, &bound, 1},
                                         {3, OMEN_IS_NOT_NULL, NULL, 0}};
    struct filter *filter;
    assert_ok(filter_create(&table.allocator, table.schema, predicates, 3, &filter, NULL));
    while (snapshot < ROWS / 10) {
        snapshot = atomic_load_explicit(&table.snapshot, memory_order_acquire);
        pthread_mutex_lock(&table.mutex);
        struct row_group *group = row_group_retain(table.group);
        uint32_t rows = table.row_count;
        pthread_mutex_unlock(&table.mutex);
        uint64_t found = 0, passed = 0, expected = 0;
        for (uint32_t vector = 0; vector * VECTOR_ROWS < rows; vector++) {
            uint64_t selection[VECTOR_ROWS / 64];
            found += row_group_select_visible(group, vector, rows, snapshot, selection);
            if (!filter_prunes(filter, group, (int32_t)vector))
                passed += filter_apply(filter, group, vector, selection);
        }
        assert_int_equal(found, visible_at(snapshot));
        for (int64_t id = 0; id < (int64_t)snapshot * 10 && id < 5000; id++) {
            bool ended = id % 10 == 0 && (uint64_t)id / 10 + 8 <= snapshot;
            expected += !ended && id % 2 == 0 && id % 3 == 0 && id % 5 != 0;
        }
        assert_int_equal(passed, expected);
        if (random_below(&random, 4) == 0)
            read_batches(group, rows);
        row_group_release(group);
    }
    filter_destroy(filter);
    return NULL;
}

static void test_writer_and_readers(void **state)
{
    allocator_init(&table.allocator, 0);
    pthread_mutex_init(&table.mutex, NULL);
    const uint32_t key = 0;
    assert_ok(schema_create(&table.allocator, columns, 4, &key, 1, &table.schema, NULL));
    assert_ok(row_group_create(&table.allocator, table.schema, 1, 16, &table.group));
    pthread_t writer, readers[READERS];
    for (uintptr_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_rows, (void *)(i + 1)), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_rows, NULL), 0);
    pthread_join(writer, NULL);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_valid(table.group);
    row_group_release(table.group);
    schema_release(table.schema);
    assert_int_equal(table.allocator.bytes_used, 0);
}

/* Ends appear in a frozen group while readers look at it. */
static void *stamp_frozen(void *unused)
{
    struct row_group *group = table.group;
    for (uint64_t commit = 1; commit <= ROWS / 10; commit++) {
        assert_ok(row_group_prepare_ends(group));
        row_group_stamp_end(group, (uint32_t)(commit * 7 % (ROWS / 10)), 1 + commit);
        atomic_store_explicit(&table.snapshot, 1 + commit, memory_order_release);
    }
    return NULL;
}

static void *read_frozen(void *unused)
{
    uint64_t snapshot = 0;
    while (snapshot < 1 + ROWS / 10) {
        snapshot = atomic_load_explicit(&table.snapshot, memory_order_acquire);
        uint64_t found = 0;
        for (uint32_t vector = 0; vector * VECTOR_ROWS < ROWS; vector++) {
            uint64_t selection[VECTOR_ROWS / 64];
            found += row_group_select_visible(table.group, vector, ROWS, snapshot, selection);
        }
        assert_int_equal(found, ROWS - (snapshot - 1));
    }
    return NULL;
}

static void test_frozen_stamps(void **state)
{
    allocator_init(&table.allocator, 0);
    const uint32_t key = 0;
    assert_ok(schema_create(&table.allocator, columns, 4, &key, 1, &table.schema, NULL));
    struct row_group *group;
    assert_ok(row_group_create(&table.allocator, table.schema, 1, ROWS, &group));
    for (int64_t i = 0; i < ROWS; i++)
        append_row(group, i);
    row_group_stamp_begin(group, 0, ROWS, 1);
    row_group_seal(group);
    assert_ok(row_group_freeze(group, 1, &table.group));
    row_group_release(group);
    atomic_store(&table.snapshot, 1);
    pthread_t writer, readers[READERS];
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_frozen, NULL), 0);
    assert_int_equal(pthread_create(&writer, NULL, stamp_frozen, NULL), 0);
    pthread_join(writer, NULL);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_valid(table.group);
    row_group_release(table.group);
    schema_release(table.schema);
    assert_int_equal(table.allocator.bytes_used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer_and_readers),
        cmocka_unit_test(test_frozen_stamps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
