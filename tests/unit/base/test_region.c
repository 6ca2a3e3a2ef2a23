/* The heap of blocks that share huge pages. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/region.h"

enum { BLOCKS = 300, STEPS = 4000, IDLE_BYTES_MAX = 8 * REGION_HUGE_BYTES };

struct block {
    unsigned char *data;
    size_t bytes;
    unsigned char mark;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t random_bytes(uint64_t *state)
{
    size_t shift = next_random(state) % 6;
    size_t bytes = ((size_t)REGION_BLOCK_BYTES_MIN << shift) + next_random(state) % 30000;
    return bytes < REGION_HUGE_BYTES ? bytes : REGION_HUGE_BYTES - 1;
}

static void assert_whole(const struct block *block)
{
    for (size_t i = 0; i < block->bytes; i += 509)
        assert_int_equal(block->data[i], block->mark);
    assert_int_equal(block->data[block->bytes - 1], block->mark);
}

/* Blocks come and go; each keeps what was written to it until it goes. */
static void churn(uint64_t seed)
{
    struct block blocks[BLOCKS] = {0};
    for (size_t step = 0; step < STEPS; step++) {
        struct block *block = &blocks[next_random(&seed) % BLOCKS];
        if (block->data != NULL) {
            assert_whole(block);
            region_free(block->data, block->bytes);
            block->data = NULL;
            continue;
        }
        block->bytes = random_bytes(&seed);
        block->mark = (unsigned char)(seed >> 32);
        block->data = region_alloc(block->bytes);
        assert_non_null(block->data);
        assert_int_equal((uintptr_t)block->data % 4096, 0);
        memset(block->data, block->mark, block->bytes);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (blocks[i].data == NULL)
            continue;
        assert_whole(&blocks[i]);
        region_free(blocks[i].data, blocks[i].bytes);
    }
}

static void test_blocks_keep_their_bytes(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        churn(seed * 7919);
    assert_true(region_resident_bytes() <= IDLE_BYTES_MAX + REGION_HUGE_BYTES);
}

static void *churn_beside(void *seed)
{
    churn(*(const uint64_t *)seed);
    return NULL;
}

static void test_threads_share_the_heap(void **state)
{
    uint64_t seeds[4] = {11, 222, 3333, 44444};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn_beside, &seeds[i]), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(region_resident_bytes() <= IDLE_BYTES_MAX + REGION_HUGE_BYTES);
}

/* The columns of a frozen group of 65,536 rows: little is lost between blocks. */
static void test_blocks_lie_close(void **state)
{
    enum { GROUPS = 64, BIGINT_BYTES = 8 * 65536 + 1024, TEXT_BYTES = 16 * 65536 + 4224 };
    static void *blocks[GROUPS][4];
    size_t before = region_resident_bytes(), asked = 0;
    for (size_t i = 0; i < GROUPS; i++)
        for (size_t column = 0; column < 4; column++) {
            size_t bytes = column < 3 ? BIGINT_BYTES : TEXT_BYTES;
            blocks[i][column] = region_alloc(bytes);
            assert_non_null(blocks[i][column]);
            asked += bytes;
        }
    assert_true(region_resident_bytes() - before <= asked + asked / 20);
    for (size_t i = 0; i < GROUPS; i++)
        for (size_t column = 0; column < 4; column++)
            region_free(blocks[i][column], column < 3 ? BIGINT_BYTES : TEXT_BYTES);
    assert_true(region_resident_bytes() <= IDLE_BYTES_MAX + REGION_HUGE_BYTES);
}

/* A huge page that goes back while its region stays comes again as an empty one. */
static void test_parts_of_a_region_go_back(void **state)
{
    enum { COUNT = 120, BYTES = 256 << 10 };
    unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = region_alloc(BYTES);
        assert_non_null(blocks[i]);
        memset(blocks[i], (int)i + 1, BYTES);
    }
    size_t full = region_resident_bytes();
    for (size_t i = 1; i < COUNT; i++)
        region_free(blocks[i], BYTES);
    assert_true(region_resident_bytes() < full);
    assert_true(region_resident_bytes() <= IDLE_BYTES_MAX + 2 * REGION_HUGE_BYTES);
    assert_int_equal(blocks[0][BYTES - 1], 1);
    for (size_t i = 1; i < COUNT; i++) {
        blocks[i] = region_alloc(BYTES);
        assert_non_null(blocks[i]);
        memset(blocks[i], (int)i, BYTES);
    }
    assert_int_equal(region_resident_bytes(), full);
    for (size_t i = 0; i < COUNT; i++)
        region_free(blocks[i], BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_keep_their_bytes),
        cmocka_unit_test(test_threads_share_the_heap),
        cmocka_unit_test(test_blocks_lie_close),
        cmocka_unit_test(test_parts_of_a_region_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
