/* workload.c - see workload.h. Fixed seeds: every run measures the same keys. */
#include "workload.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/random.h"

static int compare_words(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double draw_normal(struct random *random)
{
    double u = 1.0 - random_unit(random);
    return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979 * random_unit(random));
}

/* The bits of x and y interleaved. */
static uint64_t interleave(uint64_t x, uint64_t y)
{
    uint64_t mixed = 0;
    for (unsigned bit = 0; bit < 32; bit++)
        mixed |= (x >> bit & 1) << (2 * bit) | (y >> bit & 1) << (2 * bit + 1);
    return mixed;
}

/* Towns of towns of houses, each level scattered around its centre. */
static uint64_t draw_osm(struct random *random)
{
    static const uint64_t level_sizes[] = {200, 60, 40};
    struct random place = random_seeded(17);
    double x = 0;
    double y = 0;
    double scale = 0x1p31;
    uint64_t path = 1;
    for (unsigned level = 0; level < 3; level++) {
        double skew = random_unit(random);
        path = path * 1000 + (uint64_t)((double)level_sizes[level] * skew * skew);
        place = random_seeded(path);
        x += scale * random_unit(&place);
        y += scale * random_unit(&place);
        scale /= 40;
    }
    x += scale * fabs(draw_normal(random));
    y += scale * fabs(draw_normal(random));
    return interleave((uint64_t)x, (uint64_t)y);
}

static uint64_t draw(struct random *random, enum key_shape shape, size_t at, uint64_t *state)
{
    switch (shape) {
    case KEYS_SEQUENTIAL:
        return at;
    case KEYS_LOGNORMAL:
        return (uint64_t)(exp(2 * draw_normal(random)) * 1e9);
    case KEYS_OSM:
        return draw_osm(random);
    case KEYS_FB:
        if (random_below(random, 500000) == 0)
            return UINT64_C(1) << 60 | random_next(random) >> 4;
        *state += random_below(random, 4000) == 0 ? random_below(random, 1u << 28)
                                                 : 1 + random_below(random, 1u << (at / 3000 % 12));
        return *state;
    case KEYS_GENOME:
        return random_below(random, UINT64_C(1) << 14) << 40 |
               (uint64_t)(exp(3 * draw_normal(random)) * 1e6) % (UINT64_C(1) << 40);
    case KEYS_ADVERSARIAL: {
        uint64_t key = 0;
        for (unsigned bit = 0; bit < 6; bit++)
            key |= UINT64_C(1) << random_below(random, 64);
        return key;
    }
    default:
        return random_next(random) >> 1;
    }
}

uint64_t *workload_keys(enum key_shape shape, size_t wanted, size_t *count)
{
    struct random random = random_seeded(42);
    uint64_t *keys = malloc(wanted * sizeof *keys);
    if (keys == NULL)
        abort();
    uint64_t state = 1000;
    for (size_t at = 0; at < wanted; at++)
        keys[at] = draw(&random, shape, at, &state);
    qsort(keys, wanted, sizeof *keys, compare_words);
    *count = 0;
    for (size_t at = 0; at < wanted; at++) {
        if (*count == 0 || keys[*count - 1] != keys[at])
            keys[(*count)++] = keys[at];
    }
    return keys;
}

uint64_t *workload_probes(const uint64_t *keys, size_t count, size_t probes, int misses)
{
    struct random random = random_seeded(7);
    uint64_t *drawn = malloc(probes * sizeof *drawn);
    if (drawn == NULL)
        abort();
    for (size_t at = 0; at < probes; at++) {
        size_t pick = (size_t)random_below(&random, count);
        uint64_t key = keys[pick];
        uint64_t gap = pick + 1 < count ? keys[pick + 1] - key : UINT64_MAX - key;
        /* Without room between two keys, a miss lies beyond them all. */
        if (misses)
            key = gap > 1 ? key + 1 + random_below(&random, gap - 1)
                          : keys[count - 1] + 1 + random_below(&random, count);
        drawn[at] = key;
    }
    return drawn;
}

void workload_shuffle(uint64_t *keys, size_t count)
{
    struct random random = random_seeded(99);
    for (size_t at = count; at > 1; at--) {
        size_t other = (size_t)random_below(&random, at);
        uint64_t key = keys[at - 1];
        keys[at - 1] = keys[other];
        keys[other] = key;
    }
}
