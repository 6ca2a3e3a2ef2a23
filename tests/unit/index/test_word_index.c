/* The index over 64-bit words: the hazards of learned indexes, one test each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "index/index.h"

static struct allocator allocator;

static int start(void **state)
{
    struct index *index;
    allocator_init(&allocator, 0);
    assert_int_equal(index_create(&allocator, INDEX_WORD, &index), OMEN_OK);
    *state = index;
    return 0;
}

static int stop(void **state)
{
    index_destroy(*state);
    assert_int_equal(allocator.bytes_used, 0);
    return 0;
}

static uint64_t row_id_of(uint64_t key)
{
    return ROW_ID_OCCUPIED | (key * UINT64_C(0x9E3779B97F4A7C15)) >> 1;
}

static void put(struct index *index, uint64_t key)
{
    uint64_t replaced = 1;
    assert_int_equal(index_put(index, index_key_word(key), row_id_of(key), &replaced), OMEN_OK);
    assert_int_equal(replaced, ROW_ID_NONE);
}

static void put_all(struct index *index, const uint64_t *keys, size_t count)
{
    for (size_t at = 0; at < count; at++)
        put(index, keys[at]);
}

static void assert_holds(const struct index *index, uint64_t key)
{
    assert_int_equal(index_lookup(index, index_key_word(key)), row_id_of(key));
}

static void assert_lacks(const struct index *index, uint64_t key)
{
    assert_int_equal(index_lookup(index, index_key_word(key)), ROW_ID_NONE);
}

static void assert_valid(const struct index *index)
{
    omen_error error = {0};
    if (index_validate(index, &error) != OMEN_OK)
        fail_msg("%s", error.message);
}

static struct index_stats stats_of(const struct index *index)
{
    struct index_stats stats;
    index_stats_of(index, &stats);
    return stats;
}

static void bulk_load(struct index *index, const uint64_t *keys, size_t count)
{
    struct index_key *boxed = malloc(count * sizeof *boxed);
    uint64_t *row_ids = malloc(count * sizeof *row_ids);
    for (size_t at = 0; at < count; at++) {
        boxed[at] = index_key_word(keys[at]);
        row_ids[at] = row_id_of(keys[at]);
    }
    assert_int_equal(index_bulk_load(index, boxed, row_ids, count), OMEN_OK);
    free(boxed);
    free(row_ids);
}

static int compare_words(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Distinct uniform keys, ascending. */
static uint64_t *uniform_keys(size_t count)
{
    struct random random = random_seeded(3);
    uint64_t *keys = malloc(count * sizeof *keys);
    for (size_t at = 0; at < count; at++)
        keys[at] = random_next(&random);
    qsort(keys, count, sizeof *keys, compare_words);
    return keys;
}

static void shuffle(uint64_t *keys, size_t count)
{
    struct random random = random_seeded(4);
    for (size_t at = count; at > 1; at--) {
        size_t other = (size_t)random_below(&random, at);
        uint64_t key = keys[at - 1];
        keys[at - 1] = keys[other];
        keys[other] = key;
    }
}

static void test_adjacent_keys_above_2_53(void **state)
{
    struct index *index = *state;
    const uint64_t bases[] = {(UINT64_C(1) << 53) - 5, UINT64_C(1) << 60, UINT64_C(1) << 63,
                              UINT64_MAX - 30000};
    for (size_t base = 0; base < 4; base++) {
        for (uint64_t at = 0; at < 30000; at += 2)
            put(index, bases[base] + at);
    }
    assert_valid(index);
    for (size_t base = 0; base < 4; base++) {
        for (uint64_t at = 0; at < 30000; at++) {
            if (at % 2 == 0)
                assert_holds(index, bases[base] + at);
            else
                assert_lacks(index, bases[base] + at);
        }
    }
}

static void test_keys_far_outside_the_trained_range(void **state)
{
    struct index *index = *state;
    uint64_t keys[20000];
    for (size_t at = 0; at < 20000; at++)
        keys[at] = (UINT64_C(1) << 40) + at * 1000;
    bulk_load(index, keys, 20000);
    const uint64_t far[] = {0,
                            1,
                            UINT64_MAX,
                            UINT64_MAX - 1,
                            UINT64_C(1) << 63,
                            (UINT64_C(1) << 63) - 1,
                            UINT64_C(1) << 20,
                            (UINT64_C(1) << 40) - 1};
    for (size_t at = 0; at < 8; at++)
        assert_lacks(index, far[at]);
    put_all(index, far, 8);
    assert_valid(index);
    for (size_t at = 0; at < 8; at++)
        assert_holds(index, far[at]);
    for (size_t at = 0; at < 20000; at++)
        assert_holds(index, keys[at]);
    struct index_cursor cursor;
    struct index_entry entry;
    index_seek_last(index, NULL, &cursor);
    assert_true(index_previous(&cursor, &entry));
    assert_true(entry.key.word == UINT64_MAX);
    index_seek(index, NULL, &cursor);
    assert_true(index_next(&cursor, &entry));
    assert_true(entry.key.word == 0);
}

static void test_zero_and_maximum_are_ordinary_keys(void **state)
{
    struct index *index = *state;
    assert_lacks(index, 0);
    assert_lacks(index, UINT64_MAX);
    put(index, UINT64_MAX);
    assert_lacks(index, UINT64_MAX - 1);
    put(index, 0);
    for (uint64_t key = 1; key < 5000; key++) {
        put(index, key);
        put(index, UINT64_MAX - key);
    }
    assert_valid(index);
    assert_holds(index, 0);
    assert_holds(index, UINT64_MAX);
    assert_true(index_erase(index, index_key_word(UINT64_MAX)));
    assert_true(index_erase(index, index_key_word(0)));
    assert_lacks(index, UINT64_MAX);
    assert_lacks(index, 0);
    assert_false(index_erase(index, index_key_word(UINT64_MAX)));
    put(index, UINT64_MAX);
    put(index, 0);
    assert_valid(index);
    uint64_t replaced;
    assert_int_equal(index_put(index, index_key_word(UINT64_MAX), ROW_ID_OCCUPIED | 7, &replaced),
                     OMEN_OK);
    assert_int_equal(replaced, row_id_of(UINT64_MAX));
    assert_false(index_repoint(index, index_key_word(UINT64_MAX), row_id_of(UINT64_MAX),
                               ROW_ID_OCCUPIED));
    assert_true(index_repoint(index, index_key_word(UINT64_MAX), ROW_ID_OCCUPIED | 7,
                              row_id_of(UINT64_MAX)));
}

enum { MANY = 1000000 };

static void test_ascending_is_small_and_flat(void **state)
{
    struct index *index = *state;
    for (uint64_t key = 0; key < MANY; key++)
        put(index, key * 3);
    assert_valid(index);
    struct index_stats stats = stats_of(index);
    assert_true(stats.depth_max <= 3);
    assert_true(stats.bytes <= UINT64_C(21) * MANY);
    struct index_probe probe;
    for (uint64_t key = 0; key < MANY; key += 7) {
        assert_holds(index, key * 3);
        assert_true(index_probe_of(index, index_key_word(key * 3), &probe));
        assert_true(probe.block_distance <= 1);
    }
    assert_lacks(index, 4);
}

/* Model nodes widen as the keys march on, but never beyond the key space. */
static void test_marching_up_to_the_end_of_the_key_space(void **state)
{
    struct index *index = *state;
    enum { KEYS = 60000 };
    const uint64_t step = UINT64_MAX / KEYS;
    for (uint64_t at = KEYS; at-- > 0;)
        put(index, UINT64_MAX - at * step);
    assert_valid(index);
    for (uint64_t at = 0; at < KEYS; at++) {
        assert_holds(index, UINT64_MAX - at * step);
        assert_lacks(index, UINT64_MAX - at * step - 1);
    }
    assert_lacks(index, 0);
    put(index, 0);
    assert_holds(index, 0);
    assert_valid(index);
}

static void test_descending_and_alternating_ends(void **state)
{
    struct index *index = *state;
    const uint64_t middle = UINT64_C(1) << 62;
    for (uint64_t at = 0; at < MANY / 4; at++)
        put(index, middle - at * 5);
    assert_valid(index);
    for (uint64_t at = 1; at < MANY / 4; at++) {
        put(index, middle + at * 5);
        put(index, middle - (at + MANY) * 5);
    }
    assert_valid(index);
    assert_true(stats_of(index).depth_max <= 6);
    assert_true(stats_of(index).bytes <= UINT64_C(32) * stats_of(index).entries);
    for (uint64_t at = 1; at < MANY / 4; at += 11) {
        assert_holds(index, middle - at * 5);
        assert_holds(index, middle + at * 5);
        assert_lacks(index, middle + at * 5 + 1);
    }
}

static void test_all_keys_in_one_leafs_range(void **state)
{
    struct index *index = *state;
    uint64_t *keys = uniform_keys(100000);
    bulk_load(index, keys, 100000);
    uint64_t low = keys[50000];
    struct random random = random_seeded(8);
    uint64_t step = (keys[50001] - low) / 100001;
    uint64_t inside[50000];
    for (uint64_t at = 0; at < 50000; at++)
        inside[at] = low + (at + 1) * step + random_below(&random, step - 1);
    shuffle(inside, 50000);
    put_all(index, inside, 50000);
    assert_valid(index);
    assert_true(stats_of(index).depth_max <= 5);
    for (size_t at = 0; at < 50000; at++)
        assert_holds(index, inside[at]);
    free(keys);
}

static void test_insert_delete_ping_pong_does_not_thrash(void **state)
{
    struct index *index = *state;
    uint64_t *keys = uniform_keys(60000);
    put_all(index, keys, 60000);
    for (size_t size = 1; size <= 4096; size = size * 3 / 2 + 1) {
        struct index_stats before = stats_of(index);
        for (unsigned round = 0; round < 200; round++) {
            for (size_t at = 0; at < 8 && at < size; at++)
                assert_true(index_erase(index, index_key_word(keys[size - 1 - at])));
            for (size_t at = 0; at < 8 && at < size; at++)
                put(index, keys[size - 1 - at]);
        }
        struct index_stats after = stats_of(index);
        assert_true(after.expansions + after.contractions + after.splits + after.merges -
                        before.expansions - before.contractions - before.splits - before.merges <=
                    8);
    }
    assert_valid(index);
    free(keys);
}

/* Keys with few bits set are skewed at every level of the key space, and more of them fall
 * between any two than a line through those expects. */
static void test_adversary_costs_bounded_memory_and_depth(void **state)
{
    struct index *index = *state;
    struct random random = random_seeded(12);
    uint64_t *keys = malloc(400000 * sizeof *keys);
    size_t count = 0;
    for (size_t at = 0; at < 400000; at++) {
        uint64_t key = 0;
        for (unsigned bit = 0; bit < 5; bit++)
            key |= UINT64_C(1) << random_below(&random, 64);
        keys[count++] = key;
    }
    qsort(keys, count, sizeof *keys, compare_words);
    size_t kept = 1;
    for (size_t at = 1; at < count; at++) {
        if (keys[at] != keys[kept - 1])
            keys[kept++] = keys[at];
    }
    shuffle(keys, kept);
    put_all(index, keys, kept);
    assert_valid(index);
    struct index_stats stats = stats_of(index);
    assert_true(stats.bytes <= UINT64_C(48) * kept);
    assert_true(stats.depth_max <= 14);
    for (size_t at = 0; at < kept; at++)
        assert_holds(index, keys[at]);
    free(keys);
}

/* Each run of keys halves (doubles) the distance to the one before: every run stretches its
 * leaf's range, or splits below all others. */
static void test_geometric_keys(void **state)
{
    struct index *index = *state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (uint64_t at = 0; at < 200 && at < UINT64_C(1) << bit; at++)
            put(index, (UINT64_C(1) << bit) + at);
    }
    assert_valid(index);
    assert_true(stats_of(index).depth_max <= 8);
    assert_holds(index, (UINT64_C(1) << 63) + 199);
    assert_lacks(index, (UINT64_C(1) << 63) + 200);
}

static void test_geometric_keys_descending(void **state)
{
    struct index *index = *state;
    for (unsigned bit = 64; bit-- > 0;) {
        for (uint64_t at = 0; at < 200 && at < UINT64_C(1) << bit; at++)
            put(index, (UINT64_C(1) << bit) + at);
    }
    assert_valid(index);
    assert_true(stats_of(index).depth_max <= 10);
    for (unsigned bit = 8; bit < 64; bit++)
        assert_holds(index, (UINT64_C(1) << bit) + 199);
}

static void test_shift_from_easy_to_hard(void **state)
{
    struct index *index = *state;
    for (uint64_t key = 0; key < 200000; key++)
        put(index, key << 30);
    struct random random = random_seeded(20);
    for (size_t at = 0; at < 200000; at++) {
        uint64_t key = (random_below(&random, 200) << 37) +
                       (random_next(&random) >> 27 >> random_below(&random, 34));
        uint64_t replaced;
        assert_int_equal(index_put(index, index_key_word(key), row_id_of(key), &replaced),
                         OMEN_OK);
        assert_holds(index, key);
    }
    assert_valid(index);
    for (uint64_t key = 0; key < 200000; key++)
        assert_holds(index, key << 30);
    assert_true(stats_of(index).bytes <= UINT64_C(48) * stats_of(index).entries);
}

static void test_lookups_end_near_the_prediction(void **state)
{
    struct index *index = *state;
    uint64_t *keys = uniform_keys(MANY);
    bulk_load(index, keys, MANY);
    size_t near = 0;
    for (size_t at = 0; at < MANY; at++) {
        struct index_probe probe;
        assert_true(index_probe_of(index, index_key_word(keys[at]), &probe));
        assert_true(probe.depth <= 3);
        near += probe.block_distance <= 1;
    }
    assert_true(near >= MANY / 100 * 95);
    assert_true(stats_of(index).bytes <= UINT64_C(28) * MANY);
    free(keys);
}

static void erase_from(struct index *index, const uint64_t *keys, size_t from, size_t to)
{
    for (size_t at = from; at < to; at++)
        assert_true(index_erase(index, index_key_word(keys[at])));
}

/* Grows to `count` keys, then erases all but 100 at random, then those. */
static void check_growing_and_shrinking(struct index *index, size_t count)
{
    uint64_t *keys = uniform_keys(count);
    shuffle(keys, count);
    struct index_stats before = stats_of(index);
    put_all(index, keys, count);
    struct index_stats grown = stats_of(index);
    assert_true(grown.splits > before.splits);
    assert_true(grown.expansions > before.expansions);
    assert_true(grown.leaves > 5);
    erase_from(index, keys, 100, count);
    assert_valid(index);
    struct index_stats shrunk = stats_of(index);
    assert_true(shrunk.contractions > grown.contractions);
    assert_true(shrunk.merges > grown.merges);
    assert_true(shrunk.leaves < grown.leaves);
    assert_true(shrunk.bytes < grown.bytes / 4);
    for (size_t at = 0; at < 100; at++)
        assert_holds(index, keys[at]);
    erase_from(index, keys, 0, 100);
    struct index_stats empty = stats_of(index);
    assert_int_equal(empty.entries, 0);
    assert_int_equal(empty.leaves, 1);
    assert_int_equal(empty.inner_nodes, 0);
    assert_valid(index);
    free(keys);
}

static void test_workloads_raise_their_counters(void **state)
{
    check_growing_and_shrinking(*state, 50000);
    check_growing_and_shrinking(*state, 400000);
}

static void test_bulk_load_refuses(void **state)
{
    struct index *index = *state;
    const struct index_key descending[] = {index_key_word(2), index_key_word(1)};
    const struct index_key twice[] = {index_key_word(2), index_key_word(2)};
    const uint64_t row_ids[] = {ROW_ID_OCCUPIED, ROW_ID_OCCUPIED};
    assert_int_equal(index_bulk_load(index, descending, row_ids, 2), OMEN_INVALID_ARGUMENT);
    assert_int_equal(index_bulk_load(index, twice, row_ids, 2), OMEN_INVALID_ARGUMENT);
    assert_int_equal(index_bulk_load(index, NULL, NULL, 0), OMEN_OK);
    put(index, 9);
    assert_int_equal(index_bulk_load(index, descending + 1, row_ids, 1), OMEN_INVALID_ARGUMENT);
    assert_holds(index, 9);
}

/* Every allocation of a growing, then shrinking, index fails once. */
static void test_memory_failures_change_nothing(void **state)
{
    struct index *index = *state;
    struct random random = random_seeded(77);
    enum { KEYS = 30000 };
    uint64_t *keys = malloc(KEYS * sizeof *keys);
    for (size_t at = 0; at < KEYS; at++)
        keys[at] = at % 3 == 0   ? at * 10
                   : at % 3 == 1 ? random_next(&random)
                                 : UINT64_C(1) << 50 |
                                       random_next(&random) >> random_below(&random, 60);
    unsigned failures = 0;
    size_t entries = 0;
    for (size_t at = 0; at < KEYS; at++) {
        for (uint64_t nth = 1;; nth++) {
            allocator_fail_at(&allocator, nth, at % 2 == 0);
            uint64_t replaced;
            omen_status status = index_put(index, index_key_word(keys[at]), row_id_of(keys[at]),
                                           &replaced);
            allocator_fail_at(&allocator, 0, 0);
            if (status == OMEN_OK) {
                entries += replaced == ROW_ID_NONE;
                break;
            }
            assert_int_equal(status, OMEN_OUT_OF_MEMORY);
            failures++;
            assert_lacks(index, keys[at]);
            assert_int_equal(stats_of(index).entries, entries);
            if (failures % 16 == 0)
                assert_valid(index);
        }
    }
    assert_true(failures > 100);
    assert_valid(index);
    for (size_t at = 0; at < KEYS; at++)
        assert_holds(index, keys[at]);
    for (size_t at = 0; at < KEYS; at++) {
        allocator_fail_at(&allocator, 1 + at % 3, at % 2 == 0);
        index_erase(index, index_key_word(keys[at]));
        allocator_fail_at(&allocator, 0, 0);
        assert_lacks(index, keys[at]);
        if (at % 500 == 0)
            assert_valid(index);
    }
    assert_int_equal(stats_of(index).entries, 0);
    assert_valid(index);
    free(keys);
}

static void test_replacing_allocates_nothing(void **state)
{
    struct index *index = *state;
    uint64_t *keys = uniform_keys(10000);
    bulk_load(index, keys, 10000);
    allocator_fail_at(&allocator, 1, 1);
    for (size_t at = 0; at < 10000; at++) {
        uint64_t replaced;
        assert_int_equal(index_put(index, index_key_word(keys[at]), ROW_ID_OCCUPIED | at,
                                   &replaced),
                         OMEN_OK);
        assert_int_equal(replaced, row_id_of(keys[at]));
    }
    assert_false(allocator_has_failed(&allocator));
    allocator_fail_at(&allocator, 0, 0);
    free(keys);
}

static void test_failed_bulk_load_and_create(void **state)
{
    struct index *index = *state;
    uint64_t *keys = uniform_keys(100000);
    struct index_key *boxed = malloc(100000 * sizeof *boxed);
    uint64_t *row_ids = malloc(100000 * sizeof *row_ids);
    for (size_t at = 0; at < 100000; at++) {
        boxed[at] = index_key_word(keys[at]);
        row_ids[at] = row_id_of(keys[at]);
    }
    omen_status status;
    uint64_t nth = 0;
    do {
        allocator_fail_at(&allocator, ++nth, 0);
        status = index_bulk_load(index, boxed, row_ids, 100000);
        allocator_fail_at(&allocator, 0, 0);
        assert_valid(index);
        assert_int_equal(stats_of(index).entries, status == OMEN_OK ? 100000 : 0);
    } while (status != OMEN_OK);
    assert_true(nth > 3);
    for (size_t at = 0; at < 100000; at++)
        assert_holds(index, keys[at]);
    for (uint64_t failing = 1; failing <= 2; failing++) {
        struct index *none;
        allocator_fail_at(&allocator, failing, 0);
        assert_int_equal(index_create(&allocator, INDEX_WORD, &none), OMEN_OUT_OF_MEMORY);
        assert_null(none);
        allocator_fail_at(&allocator, 0, 0);
    }
    free(keys);
    free(boxed);
    free(row_ids);
}

#define WITH_INDEX(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INDEX(test_adjacent_keys_above_2_53),
        WITH_INDEX(test_keys_far_outside_the_trained_range),
        WITH_INDEX(test_zero_and_maximum_are_ordinary_keys),
        WITH_INDEX(test_ascending_is_small_and_flat),
        WITH_INDEX(test_marching_up_to_the_end_of_the_key_space),
        WITH_INDEX(test_descending_and_alternating_ends),
        WITH_INDEX(test_all_keys_in_one_leafs_range),
        WITH_INDEX(test_insert_delete_ping_pong_does_not_thrash),
        WITH_INDEX(test_adversary_costs_bounded_memory_and_depth),
        WITH_INDEX(test_geometric_keys),
        WITH_INDEX(test_geometric_keys_descending),
        WITH_INDEX(test_shift_from_easy_to_hard),
        WITH_INDEX(test_lookups_end_near_the_prediction),
        WITH_INDEX(test_workloads_raise_their_counters),
        WITH_INDEX(test_bulk_load_refuses),
        WITH_INDEX(test_memory_failures_change_nothing),
        WITH_INDEX(test_replacing_allocates_nothing),
        WITH_INDEX(test_failed_bulk_load_and_create),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
