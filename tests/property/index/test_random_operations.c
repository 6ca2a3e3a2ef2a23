/* Random operations on an index against a plain model: the row id of each key in a sorted pool
 * of candidate keys, 0 where it is absent. The validator runs after every step while the index is
 * small, every few steps later.
 *
 * OMEN_SEED=n replays one seed; OMEN_STEPS=n sets the length of each run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "index/index.h"

struct pool {
    struct index_key *keys; /* strictly ascending */
    uint64_t *row_ids;      /* the model */
    size_t count;
    size_t present;
};

struct run {
    struct random random;
    struct allocator allocator;
    struct index *index;
    enum index_kind kind;
    struct pool pool;
    uint64_t next_row_id;
    uint64_t steps;
};

enum shape {
    SHAPE_UNIFORM,
    SHAPE_DENSE_HIGH,  /* adjacent keys above 2^53 */
    SHAPE_CLUSTERS,    /* runs of very different spacing */
    SHAPE_EDGES,       /* around 0 and UINT64_MAX */
    SHAPE_POWERS,      /* few bits set: every level of the key space is skewed */
    SHAPE_TEXT,        /* byte strings, prefixes of each other, zeros */
    SHAPE_LONG_TEXT,   /* 10 kB keys that differ late */
    SHAPES
};

static const char *const SHAPE_NAMES[] = {"uniform", "dense-high", "clusters",  "edges",
                                          "powers",  "text",       "long-text"};

static int compare_keys(const void *a_pointer, const void *b_pointer)
{
    const struct index_key *a = a_pointer;
    const struct index_key *b = b_pointer;
    if (a->bytes == NULL)
        return (a->word > b->word) - (a->word < b->word);
    size_t shared = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->bytes, b->bytes, shared);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static uint64_t make_word(struct random *random, enum shape shape, size_t at)
{
    uint64_t draw = random_next(random);
    switch (shape) {
    case SHAPE_DENSE_HIGH:
        return (UINT64_C(1) << 53) + UINT64_C(0x123456789) + at;
    case SHAPE_CLUSTERS:
        return (draw % 37 * UINT64_C(0x0123456789ABCDE)) + (draw >> 20) % (UINT64_C(1) << draw % 30);
    case SHAPE_EDGES:
        return draw % 2 == 0 ? (draw >> 8) % 4096 : UINT64_MAX - (draw >> 8) % 4096;
    case SHAPE_POWERS:
        return UINT64_C(1) << (draw & 63) | UINT64_C(1) << (draw >> 6 & 63) |
               UINT64_C(1) << (draw >> 12 & 63) | UINT64_C(1) << (draw >> 18 & 63);
    default:
        return draw;
    }
}

static struct index_key make_bytes(struct random *random, enum shape shape)
{
    static const uint8_t alphabet[] = {0, 1, 'a', 'b', 0xFF};
    size_t prefix = shape == SHAPE_LONG_TEXT ? 10000 : random_below(random, 2) * 9;
    size_t length = prefix + random_below(random, 8);
    uint8_t *bytes = malloc(length + 1);
    memset(bytes, 'p', prefix);
    for (size_t at = prefix; at < length; at++)
        bytes[at] = alphabet[random_below(random, sizeof alphabet)];
    return (struct index_key){.bytes = bytes, .length = length};
}

static void pool_fill(struct run *run, enum shape shape, size_t wanted)
{
    struct pool *pool = &run->pool;
    pool->keys = malloc(wanted * sizeof *pool->keys);
    for (size_t at = 0; at < wanted; at++)
        pool->keys[at] = shape >= SHAPE_TEXT
                             ? make_bytes(&run->random, shape)
                             : index_key_word(make_word(&run->random, shape, at));
    qsort(pool->keys, wanted, sizeof *pool->keys, compare_keys);
    size_t kept = 0;
    for (size_t at = 0; at < wanted; at++) {
        if (kept > 0 && compare_keys(&pool->keys[kept - 1], &pool->keys[at]) == 0)
            free((void *)(uintptr_t)pool->keys[at].bytes);
        else
            pool->keys[kept++] = pool->keys[at];
    }
    pool->count = kept;
    pool->row_ids = calloc(kept, sizeof *pool->row_ids);
}

static void pool_free(struct pool *pool)
{
    for (size_t at = 0; at < pool->count; at++)
        free((void *)(uintptr_t)pool->keys[at].bytes);
    free(pool->keys);
    free(pool->row_ids);
}

static uint64_t fresh_row_id(struct run *run)
{
    return ROW_ID_OCCUPIED | ++run->next_row_id;
}

static void put(struct run *run, size_t at)
{
    uint64_t row_id = fresh_row_id(run);
    uint64_t replaced = 1;
    assert_int_equal(index_put(run->index, run->pool.keys[at], row_id, &replaced), OMEN_OK);
    assert_int_equal(replaced, run->pool.row_ids[at]);
    run->pool.present += replaced == ROW_ID_NONE;
    run->pool.row_ids[at] = row_id;
}

static void erase(struct run *run, size_t at)
{
    bool present = run->pool.row_ids[at] != ROW_ID_NONE;
    assert_int_equal(index_erase(run->index, run->pool.keys[at]), present);
    run->pool.present -= present;
    run->pool.row_ids[at] = ROW_ID_NONE;
}

static void repoint(struct run *run, size_t at)
{
    uint64_t held = run->pool.row_ids[at];
    uint64_t row_id = fresh_row_id(run);
    bool right = random_below(&run->random, 2) == 0;
    uint64_t expected = right ? held : row_id;
    bool done = held != ROW_ID_NONE && right;
    if (held == ROW_ID_NONE)
        expected = row_id;
    assert_int_equal(index_repoint(run->index, run->pool.keys[at], expected, row_id), done);
    if (done)
        run->pool.row_ids[at] = row_id;
}

static void lookup_batch(struct run *run)
{
    struct index_key keys[70];
    uint64_t expected[70];
    uint64_t found[70];
    size_t count = random_below(&run->random, 70);
    for (size_t at = 0; at < count; at++) {
        size_t pick = random_below(&run->random, run->pool.count);
        keys[at] = run->pool.keys[pick];
        expected[at] = run->pool.row_ids[pick];
    }
    index_lookup_batch(run->index, keys, count, found);
    assert_memory_equal(found, expected, count * sizeof *found);
}

static void check_entry(const struct run *run, const struct index_entry *entry, size_t at)
{
    assert_int_equal(entry->row_id, run->pool.row_ids[at]);
    assert_int_equal(compare_keys(&entry->key, &run->pool.keys[at]), 0);
}

/* Walks from a random place a random way, turning now and then. `at` counts the pool keys
 * before the cursor. */
static void walk(struct run *run)
{
    const struct pool *pool = &run->pool;
    struct index_cursor cursor;
    struct index_entry entry;
    size_t at = random_below(&run->random, pool->count);
    switch (random_below(&run->random, 4)) {
    case 0:
        index_seek(run->index, NULL, &cursor);
        at = 0;
        break;
    case 1:
        index_seek_last(run->index, NULL, &cursor);
        at = pool->count;
        break;
    case 2:
        index_seek(run->index, &pool->keys[at], &cursor);
        break;
    default:
        index_seek_last(run->index, &pool->keys[at], &cursor);
        at++;
    }
    bool forward = random_below(&run->random, 2) == 0;
    for (size_t step = random_below(&run->random, 60); step > 0; step--) {
        if (random_below(&run->random, 16) == 0)
            forward = !forward;
        if (forward) {
            while (at < pool->count && pool->row_ids[at] == ROW_ID_NONE)
                at++;
            assert_int_equal(index_next(&cursor, &entry), at < pool->count);
            if (at < pool->count)
                check_entry(run, &entry, at++);
        } else {
            while (at > 0 && pool->row_ids[at - 1] == ROW_ID_NONE)
                at--;
            assert_int_equal(index_previous(&cursor, &entry), at > 0);
            if (at > 0)
                check_entry(run, &entry, --at);
        }
    }
}

static void check_all(struct run *run)
{
    struct index_cursor cursor;
    struct index_entry entry;
    index_seek(run->index, NULL, &cursor);
    for (size_t at = 0; at < run->pool.count; at++) {
        assert_int_equal(index_lookup(run->index, run->pool.keys[at]), run->pool.row_ids[at]);
        if (run->pool.row_ids[at] == ROW_ID_NONE)
            continue;
        assert_true(index_next(&cursor, &entry));
        check_entry(run, &entry, at);
    }
    assert_false(index_next(&cursor, &entry));
}

static void validate(const struct run *run)
{
    omen_error error = {0};
    if (index_validate(run->index, &error) != OMEN_OK)
        fail_msg("after %llu steps: %s", (unsigned long long)run->steps, error.message);
    struct index_stats stats;
    index_stats_of(run->index, &stats);
    assert_int_equal(stats.entries, run->pool.present);
}

static void step(struct run *run, unsigned put_share)
{
    size_t count = run->pool.count;
    size_t at = random_below(&run->random, count);
    size_t length = random_below(&run->random, 1 + count / 8);
    uint64_t draw = random_below(&run->random, 100);
    if (draw < put_share) {
        put(run, at);
    } else if (draw < 70) {
        erase(run, at);
    } else if (draw < 72) {
        for (size_t n = 0; n < length && at + n < count; n++)
            put(run, at + n);
    } else if (draw < 74) {
        for (size_t n = 0; n < length && at >= n; n++)
            put(run, at - n);
    } else if (draw < 76) {
        for (size_t n = 0; n < length && at + n < count; n++)
            erase(run, at + n);
    } else if (draw < 80) {
        repoint(run, at);
    } else if (draw < 84) {
        lookup_batch(run);
    } else if (draw < 90) {
        walk(run);
    } else {
        assert_int_equal(index_lookup(run->index, run->pool.keys[at]), run->pool.row_ids[at]);
    }
}

static void load_half(struct run *run)
{
    struct pool *pool = &run->pool;
    struct index_key *keys = malloc(pool->count * sizeof *keys);
    uint64_t *row_ids = malloc(pool->count * sizeof *row_ids);
    size_t count = 0;
    for (size_t at = 0; at < pool->count; at++) {
        if (random_below(&run->random, 2) == 0)
            continue;
        pool->row_ids[at] = fresh_row_id(run);
        keys[count] = pool->keys[at];
        row_ids[count++] = pool->row_ids[at];
    }
    assert_int_equal(index_bulk_load(run->index, keys, row_ids, count), OMEN_OK);
    pool->present = count;
    free(keys);
    free(row_ids);
}

static void run_one(uint64_t seed, enum shape shape, uint64_t steps)
{
    struct run run = {.random = random_seeded(seed),
                      .kind = shape >= SHAPE_TEXT ? INDEX_BYTES : INDEX_WORD};
    allocator_init(&run.allocator, 0);
    uint64_t limit = shape == SHAPE_LONG_TEXT ? 400 : UINT64_C(1) << (4 + seed % 12);
    pool_fill(&run, shape, 1 + random_below(&run.random, limit));
    assert_int_equal(index_create(&run.allocator, run.kind, &run.index), OMEN_OK);
    if (random_below(&run.random, 2) == 0)
        load_half(&run);
    validate(&run);
    unsigned put_share = 35;
    for (; run.steps < steps; run.steps++) {
        if (random_below(&run.random, 200) == 0)
            put_share = 10 + (unsigned)random_below(&run.random, 60);
        step(&run, put_share);
        if (run.pool.count < 200 || random_below(&run.random, 1 + run.pool.count / 100) == 0)
            validate(&run);
    }
    validate(&run);
    check_all(&run);
    index_destroy(run.index);
    assert_int_equal(run.allocator.bytes_used, 0);
    pool_free(&run.pool);
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static void test_random_operations(void **state)
{
    uint64_t first = from_environment("OMEN_SEED", 1);
    uint64_t seeds = getenv("OMEN_SEED") != NULL ? 1 : from_environment("OMEN_SEEDS", 24);
    uint64_t steps = from_environment("OMEN_STEPS", 1500);
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        for (int shape = 0; shape < SHAPES; shape++) {
            fprintf(stderr, "\rOMEN_SEED=%llu %-12s", (unsigned long long)seed,
                    SHAPE_NAMES[shape]);
            run_one(seed, (enum shape)shape, steps);
        }
    }
    fprintf(stderr, "\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_operations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
