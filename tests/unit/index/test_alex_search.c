/* The lookups of every instruction set this machine has give the same answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "index/alex_private.h"

enum { KEYS = 20000, BATCH_MAX = 50 };

static uint64_t row_id_of(uint64_t key)
{
    return ROW_ID_OCCUPIED | key >> 1;
}

/* Key number `at` of several kinds: those that a model fits, those that none fits, the edges. */
static uint64_t make_key(struct random *random, unsigned shape)
{
    uint64_t draw = random_next(random);
    switch (shape) {
    case 0:
        return draw;
    case 1:
        return draw % (2 * KEYS);
    case 2:
        return UINT64_MAX - draw % (2 * KEYS);
    case 3:
        return draw >> (random_next(random) & 63);
    case 4:
        return UINT64_C(1) << (draw & 63) | UINT64_C(1) << (draw >> 6 & 63) |
               UINT64_C(1) << (draw >> 12 & 63);
    default:
        return draw % 2 == 0 ? draw % 100 : UINT64_MAX - draw % 100;
    }
}

static void check_lookups(const struct alex *alex, struct random *random, const uint64_t *keys,
                          const uint64_t *expected, size_t count)
{
    struct index_key batch[BATCH_MAX];
    uint64_t wanted[BATCH_MAX];
    uint64_t found[BATCH_MAX];
    const struct alex_search *search;
    unsigned number = 0;
    for (; (search = alex_search_number(number)) != NULL; number++) {
        for (size_t at = 0; at < count; at++)
            assert_int_equal(search->lookup(alex, keys[at]), expected[at]);
        for (size_t round = 0; round < 200; round++) {
            size_t size = random_below(random, BATCH_MAX + 1);
            for (size_t at = 0; at < size; at++) {
                size_t pick = random_below(random, count);
                batch[at] = index_key_word(keys[pick]);
                wanted[at] = expected[pick];
            }
            search->lookup_batch(alex, batch, size, found);
            assert_memory_equal(found, wanted, size * sizeof *found);
        }
    }
    assert_true(number >= 1);
}

static void test_all_searches_agree(void **state)
{
    static uint64_t probes[3 * KEYS + 3];
    static uint64_t expected[3 * KEYS + 3];
    for (unsigned shape = 0; shape < 6; shape++) {
        struct random random = random_seeded(shape + 1);
        struct allocator allocator;
        allocator_init(&allocator, 0);
        struct alex alex;
        assert_int_equal(alex_init(&alex, &allocator), OMEN_OK);
        size_t size = shape == 5 ? 60 : KEYS;
        for (size_t at = 0; at < size; at++) {
            uint64_t key = make_key(&random, shape);
            assert_int_equal(alex_put(&alex, key, row_id_of(key), NULL), OMEN_OK);
            if (random_below(&random, 4) == 0)
                alex_erase(&alex, make_key(&random, shape));
            probes[at * 3] = key;
            probes[at * 3 + 1] = key + 1;
            probes[at * 3 + 2] = make_key(&random, shape);
        }
        size_t count = size * 3;
        probes[count++] = 0;
        probes[count++] = UINT64_MAX;
        probes[count++] = UINT64_MAX / 2;
        for (size_t at = 0; at < count; at++) {
            struct index_cursor cursor;
            struct index_entry entry;
            alex_seek(&alex, &probes[at], &cursor);
            bool held = alex_next(&cursor, &entry) && entry.key.word == probes[at];
            expected[at] = held ? row_id_of(probes[at]) : ROW_ID_NONE;
        }
        check_lookups(&alex, &random, probes, expected, count);
        alex_release(&alex);
        assert_int_equal(allocator.bytes_used, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_searches_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
