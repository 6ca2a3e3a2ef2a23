/* The index over byte strings: order, odd keys, memory failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "index/index.h"

static struct allocator allocator;

static int start(void **state)
{
    struct index *index;
    allocator_init(&allocator, 0);
    assert_int_equal(index_create(&allocator, INDEX_BYTES, &index), OMEN_OK);
    *state = index;
    return 0;
}

static int stop(void **state)
{
    index_destroy(*state);
    assert_int_equal(allocator.bytes_used, 0);
    return 0;
}

static struct index_key key_of(const void *bytes, size_t length)
{
    return (struct index_key){.bytes = bytes, .length = length};
}

static void assert_valid(const struct index *index)
{
    omen_error error = {0};
    if (index_validate(index, &error) != OMEN_OK)
        fail_msg("%s", error.message);
}

static void assert_next(struct index_cursor *cursor, const void *bytes, size_t length)
{
    struct index_entry entry;
    assert_true(index_next(cursor, &entry));
    assert_int_equal(entry.key.length, length);
    assert_memory_equal(entry.key.bytes, bytes, length);
}

static void test_prefixes_zeros_and_the_empty_key(void **state)
{
    struct index *index = *state;
    static const struct {
        const char *bytes;
        size_t length;
    } keys[] = {{"b", 1}, {"a\0", 2}, {"", 0}, {"a", 1}, {"\0", 1}, {"a\0\0", 3}, {"\0\0", 2},
                {"ab", 2}, {"\xFF", 1}, {"abcdefgh", 8}, {"abcdefgh\0", 9}, {"abcdefg", 7}};
    for (size_t at = 0; at < 12; at++)
        assert_int_equal(index_put(index, key_of(keys[at].bytes, keys[at].length),
                                   ROW_ID_OCCUPIED | at, NULL),
                         OMEN_OK);
    assert_valid(index);
    for (size_t at = 0; at < 12; at++)
        assert_int_equal(index_lookup(index, key_of(keys[at].bytes, keys[at].length)),
                         ROW_ID_OCCUPIED | at);
    assert_int_equal(index_lookup(index, key_of("a\0\0\0", 4)), ROW_ID_NONE);
    static const size_t ascending[] = {2, 4, 6, 3, 1, 5, 7, 11, 9, 10, 0, 8};
    struct index_cursor cursor;
    index_seek(index, NULL, &cursor);
    for (size_t at = 0; at < 12; at++)
        assert_next(&cursor, keys[ascending[at]].bytes, keys[ascending[at]].length);
    struct index_key prefix = key_of("a", 1);
    index_seek_last(index, &prefix, &cursor);
    assert_next(&cursor, "a\0", 2);
}

static void test_keys_of_10_kb(void **state)
{
    struct index *index = *state;
    enum { KEYS = 500, BYTES = 10000 };
    uint8_t *key = malloc(BYTES);
    memset(key, 'x', BYTES);
    for (unsigned at = 0; at < KEYS; at++) {
        key[BYTES - 2] = (uint8_t)(at * 7 >> 8);
        key[BYTES - 1] = (uint8_t)(at * 7);
        assert_int_equal(index_put(index, key_of(key, BYTES), ROW_ID_OCCUPIED | at, NULL),
                         OMEN_OK);
    }
    assert_valid(index);
    for (unsigned at = 0; at < KEYS; at++) {
        key[BYTES - 2] = (uint8_t)(at * 7 >> 8);
        key[BYTES - 1] = (uint8_t)(at * 7);
        assert_int_equal(index_lookup(index, key_of(key, BYTES)), ROW_ID_OCCUPIED | at);
        assert_int_equal(index_lookup(index, key_of(key, BYTES - 1)), ROW_ID_NONE);
        if (at % 2 == 0)
            assert_true(index_erase(index, key_of(key, BYTES)));
    }
    assert_valid(index);
    struct index_stats stats;
    index_stats_of(index, &stats);
    assert_int_equal(stats.entries, KEYS / 2);
    assert_true(stats.bytes < (size_t)KEYS / 2 * BYTES * 4);
    free(key);
}

static void test_memory_failures_change_nothing(void **state)
{
    struct index *index = *state;
    struct random random = random_seeded(9);
    enum { KEYS = 3000 };
    static uint8_t keys[KEYS][24];
    static size_t lengths[KEYS];
    unsigned failures = 0;
    for (size_t at = 0; at < KEYS; at++) {
        lengths[at] = 3 + random_below(&random, 21);
        for (size_t byte = 0; byte < lengths[at]; byte++)
            keys[at][byte] = (uint8_t)random_below(&random, 3);
        memcpy(keys[at], &(uint16_t){(uint16_t)at}, 2);
        struct index_key key = key_of(keys[at], lengths[at]);
        for (uint64_t nth = 1;; nth++) {
            allocator_fail_at(&allocator, nth, at % 2 == 0);
            omen_status status = index_put(index, key, ROW_ID_OCCUPIED | at, NULL);
            allocator_fail_at(&allocator, 0, 0);
            if (status == OMEN_OK)
                break;
            assert_int_equal(status, OMEN_OUT_OF_MEMORY);
            assert_int_equal(index_lookup(index, key), ROW_ID_NONE);
            failures++;
            if (failures % 8 == 0)
                assert_valid(index);
        }
    }
    assert_true(failures > 100);
    for (size_t at = 0; at < KEYS; at++) {
        struct index_key key = key_of(keys[at], lengths[at]);
        assert_int_equal(index_lookup(index, key), ROW_ID_OCCUPIED | at);
        allocator_fail_at(&allocator, 1, 1);
        assert_true(index_erase(index, key));
        allocator_fail_at(&allocator, 0, 0);
        assert_int_equal(index_lookup(index, key), ROW_ID_NONE);
        if (at % 100 == 0)
            assert_valid(index);
    }
    struct index_stats stats;
    index_stats_of(index, &stats);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.depth_max, 1);
    assert_valid(index);
}

#define WITH_INDEX(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INDEX(test_prefixes_zeros_and_the_empty_key),
        WITH_INDEX(test_keys_of_10_kb),
        WITH_INDEX(test_memory_failures_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
