/* bench_index.c - the index.* figures of DESIGN, section 13.
 *
 *     bench_index [FIGURE] [ROWS]      FIGURE: a name such as index.lookup or
 *                                      index.lookup.uniform.hit; all without one
 *
 * Ours and the peer run in turns over the same probes in one process; sums of what they found
 * are compared. Each figure's line follows a JSON line with the workload. Exit status 0 only if
 * all printed figures are met.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "base/random.h"
#include "figure.h"
#include "index/index.h"
#include "peers.h"
#include "workload.h"

enum { PROBES = 1000000, BATCH = 16 };

struct bench {
    const char *wanted;
    size_t rows;
    bool all_met;
};

struct data {
    struct allocator allocator;
    uint64_t *keys;
    uint64_t *row_ids;
    size_t count;
    struct index *index;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_index: %s\n", what);
    exit(2);
}

static uint64_t row_id_of(uint64_t key)
{
    return ROW_ID_OCCUPIED | (key * UINT64_C(0x9E3779B97F4A7C15)) >> 1;
}

static struct index *load(struct allocator *allocator, const uint64_t *keys,
                          const uint64_t *row_ids, size_t count)
{
    struct index *index;
    struct index_key *boxed = malloc(count * sizeof *boxed);
    for (size_t at = 0; at < count; at++)
        boxed[at] = index_key_word(keys[at]);
    if (index_create(allocator, INDEX_WORD, &index) != OMEN_OK ||
        index_bulk_load(index, boxed, row_ids, count) != OMEN_OK)
        die("bulk load failed");
    free(boxed);
    return index;
}

static void data_make(struct data *data, enum key_shape shape, size_t rows)
{
    allocator_init(&data->allocator, 0);
    data->keys = workload_keys(shape, rows, &data->count);
    data->row_ids = malloc(data->count * sizeof *data->row_ids);
    for (size_t at = 0; at < data->count; at++)
        data->row_ids[at] = row_id_of(data->keys[at]);
    data->index = load(&data->allocator, data->keys, data->row_ids, data->count);
}

static void data_free(struct data *data)
{
    index_destroy(data->index);
    free(data->keys);
    free(data->row_ids);
}

/* The workload and our index's shape, for machines. */
static void print_json(const char *name, const struct data *data)
{
    struct index_stats stats;
    index_stats_of(data->index, &stats);
    size_t near = 0;
    size_t deepest = 0;
    size_t sampled = 0;
    for (size_t at = 0; at < data->count; at += data->count / 100000 + 1, sampled++) {
        struct index_probe probe;
        index_probe_of(data->index, index_key_word(data->keys[at]), &probe);
        near += probe.block_distance <= 1;
        deepest = probe.depth > deepest ? probe.depth : deepest;
    }
    printf("{\"figure\":\"%s\",\"rows\":%zu,\"bytes_per_key\":%.2f,\"leaves\":%" PRIu64
           ",\"sorted_leaves\":%" PRIu64 ",\"inner_nodes\":%" PRIu64
           ",\"depth\":%zu,\"within_one_block\":%.4f}\n",
           name, data->count, (double)stats.bytes / (double)data->count, stats.leaves,
           stats.sorted_leaves, stats.inner_nodes, deepest, (double)near / (double)sampled);
}

static uint64_t lookup_all(const struct index *index, const uint64_t *probes, size_t count)
{
    uint64_t sum = 0;
    for (size_t at = 0; at < count; at++)
        sum += index_lookup(index, index_key_word(probes[at]));
    return sum;
}

static uint64_t batch_all(const struct index *index, const struct index_key *probes, size_t count)
{
    uint64_t sum = 0;
    uint64_t row_ids[BATCH];
    for (size_t at = 0; at + BATCH <= count; at += BATCH) {
        index_lookup_batch(index, probes + at, BATCH, row_ids);
        for (size_t in = 0; in < BATCH; in++)
            sum += row_ids[in];
    }
    return sum;
}

static double nanoseconds_since(double start, size_t count)
{
    return (figure_seconds() - start) * 1e9 / (double)count;
}

static void finish(struct bench *bench, const struct figure *figure)
{
    if (!figure_print(figure))
        bench->all_met = false;
}

/* Interleaved pairs of lookups one by one; ours one by one too, or in batches. */
static void compare_lookups(struct bench *bench, const char *name, const struct data *data,
                            const struct peer *peer, bool misses, bool batched, double target)
{
    size_t count = PROBES;
    uint64_t *probes = workload_probes(data->keys, data->count, count, misses);
    struct index_key *boxed = malloc(count * sizeof *boxed);
    for (size_t at = 0; at < count; at++)
        boxed[at] = index_key_word(probes[at]);
    struct figure figure = {.name = name, .unit = "ns", .target = target,
                            .peer_name = peer->map != NULL ? peer_name(peer->kind) : NULL};
    for (size_t pair = 0; pair <= FIGURE_PAIRS; pair++) {
        double start = figure_seconds();
        uint64_t ours = batched ? batch_all(data->index, boxed, count)
                                : lookup_all(data->index, probes, count);
        double ours_time = nanoseconds_since(start, count);
        start = figure_seconds();
        uint64_t theirs = peer->map != NULL ? peer_lookup_all(peer, probes, count) : ours;
        double peer_time = nanoseconds_since(start, count);
        if (ours != theirs || (ours == 0) != misses)
            die("the answers differ");
        if (pair > 0)
            figure_add(&figure, ours_time, peer_time);
    }
    finish(bench, &figure);
    free(probes);
    free(boxed);
}

static void load_peer(struct peer *peer, const struct data *data)
{
    *peer = peer_load(PEER_ALEX, data->keys, data->row_ids, data->count);
    if (peer->map == NULL)
        *peer = peer_load(PEER_BTREE, data->keys, data->row_ids, data->count);
}

static void bench_lookup(struct bench *bench, enum key_shape shape, const char *hit,
                         const char *miss)
{
    if (!figure_wanted(hit, bench->wanted) && !figure_wanted(miss, bench->wanted))
        return;
    struct data data;
    struct peer peer;
    data_make(&data, shape, bench->rows);
    load_peer(&peer, &data);
    print_json(hit, &data);
    if (figure_wanted(hit, bench->wanted))
        compare_lookups(bench, hit, &data, &peer, false, false, 0.60);
    if (figure_wanted(miss, bench->wanted))
        compare_lookups(bench, miss, &data, &peer, true, false, 0.60);
    peer_free(&peer);
    data_free(&data);
}

static void bench_batched(struct bench *bench)
{
    const char *name = "index.batched";
    if (!figure_wanted(name, bench->wanted))
        return;
    struct data data;
    struct peer peer;
    data_make(&data, KEYS_UNIFORM, bench->rows);
    load_peer(&peer, &data);
    print_json(name, &data);
    compare_lookups(bench, name, &data, &peer, false, true, 0.35);
    peer_free(&peer);
    data_free(&data);
}

/* A chain of lookups, each probe chosen by the row id found before, against a chain of reads
 * over as many bytes in huge pages. */
static void bench_dependent(struct bench *bench)
{
    const char *name = "index.dependent";
    if (!figure_wanted(name, bench->wanted))
        return;
    struct data data;
    data_make(&data, KEYS_UNIFORM, bench->rows);
    print_json(name, &data);
    struct index_stats stats;
    index_stats_of(data.index, &stats);
    size_t words = stats.bytes / sizeof(uint64_t);
    uint64_t *memory = allocator_alloc(&data.allocator, words * sizeof *memory);
    if (memory == NULL)
        die("no memory");
    struct random random = random_seeded(5);
    for (size_t at = 0; at < words; at++)
        memory[at] = random_below(&random, words);
    size_t count = PROBES;
    uint64_t *probes = workload_probes(data.keys, data.count, count + 1, false);
    struct figure figure = {.name = name, .unit = "ns", .peer_name = "DRAM chain",
                            .target = 1.25};
    uint64_t sink = 0;
    for (size_t pair = 0; pair <= FIGURE_PAIRS; pair++) {
        double start = figure_seconds();
        uint64_t row_id = 0;
        for (size_t at = 0; at < count; at++)
            row_id = index_lookup(data.index, index_key_word(probes[at + (row_id & 1)]));
        double ours = nanoseconds_since(start, count);
        start = figure_seconds();
        uint64_t cell = 0;
        for (size_t at = 0; at < count; at++)
            cell = memory[(cell ^ probes[at]) % words];
        double peer = nanoseconds_since(start, count);
        sink += row_id + cell;
        if (row_id == ROW_ID_NONE)
            die("a key was not found");
        if (pair > 0)
            figure_add(&figure, ours, peer);
    }
    if (sink == 1)
        puts("");
    finish(bench, &figure);
    free(probes);
    allocator_free(&data.allocator, memory, words * sizeof *memory);
    data_free(&data);
}

/* ---- single inserts ---- */

static uint64_t ticks_now(void)
{
#if defined(__x86_64__)
    return __rdtsc();
#else
    return (uint64_t)(figure_seconds() * 1e9);
#endif
}

static double ticks_per_microsecond(void)
{
    double start = figure_seconds();
    uint64_t from = ticks_now();
    while (figure_seconds() - start < 0.05) {
    }
    return (double)(ticks_now() - from) / ((figure_seconds() - start) * 1e6);
}

static int compare_ticks(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

struct tail {
    double median;
    double p999;
    double p9999;
};

static struct tail tail_of(uint32_t *ticks, size_t count, double per_microsecond)
{
    qsort(ticks, count, sizeof *ticks, compare_ticks);
    return (struct tail){.median = ticks[count / 2] / per_microsecond,
                         .p999 = ticks[count - 1 - count / 1000] / per_microsecond,
                         .p9999 = ticks[count - 1 - count / 10000] / per_microsecond};
}

/* Both start from every other key; then slices of the rest, shuffled, go into one and the other
 * in turns. */
static void bench_insert_tail(struct bench *bench)
{
    const char *names[] = {"index.insert_tail.p999", "index.insert_tail.p9999",
                           "index.insert_tail.median"};
    if (!figure_wanted("index.insert_tail", bench->wanted) &&
        !figure_wanted(names[0], bench->wanted) && !figure_wanted(names[1], bench->wanted))
        return;
    struct allocator allocator;
    allocator_init(&allocator, 0);
    size_t count;
    uint64_t *keys = workload_keys(KEYS_UNIFORM, bench->rows, &count);
    size_t half = count / 2;
    uint64_t *first = malloc(half * sizeof *first);
    uint64_t *rest = malloc(half * sizeof *rest);
    uint64_t *values = malloc(half * sizeof *values);
    for (size_t at = 0; at < half; at++) {
        first[at] = keys[2 * at];
        rest[at] = keys[2 * at + 1];
        values[at] = row_id_of(first[at]);
    }
    workload_shuffle(rest, half);
    struct index *index = load(&allocator, first, values, half);
    struct peer peer = peer_load(PEER_BTREE, first, values, half);
    for (size_t at = 0; at < half; at++)
        values[at] = row_id_of(rest[at]);
    double speed = ticks_per_microsecond();
    size_t slice = half / FIGURE_PAIRS;
    uint32_t *ticks = malloc(slice * sizeof *ticks);
    struct figure figures[3];
    for (size_t at = 0; at < 3; at++)
        figures[at] = (struct figure){.name = names[at], .unit = "us", .target = 1.0,
                                      .peer_name = peer.map != NULL ? peer_name(peer.kind) : NULL};
    for (size_t pair = 0; pair < FIGURE_PAIRS; pair++) {
        const uint64_t *slice_keys = rest + pair * slice;
        for (size_t at = 0; at < slice; at++) {
            uint64_t start = ticks_now();
            omen_status status = index_put(index, index_key_word(slice_keys[at]),
                                           values[pair * slice + at], NULL);
            uint64_t passed = ticks_now() - start;
            ticks[at] = passed > UINT32_MAX ? UINT32_MAX : (uint32_t)passed;
            if (status != OMEN_OK)
                die("an insert failed");
        }
        struct tail ours = tail_of(ticks, slice, speed);
        struct tail theirs = ours;
        if (peer.map != NULL) {
            peer_insert_timed(&peer, slice_keys, values + pair * slice, slice, ticks_now, ticks);
            theirs = tail_of(ticks, slice, speed);
        }
        figure_add(&figures[0], ours.p999, theirs.p999);
        figure_add(&figures[1], ours.p9999, theirs.p9999);
        figure_add(&figures[2], ours.median, theirs.median);
    }
    if (lookup_all(index, rest, slice) != peer_lookup_all(&peer, rest, slice) && peer.map != NULL)
        die("the answers differ");
    struct data data = {.keys = keys, .count = half + slice * FIGURE_PAIRS, .index = index};
    print_json("index.insert_tail", &data);
    for (size_t at = 0; at < 3; at++)
        finish(bench, &figures[at]);
    peer_free(&peer);
    index_destroy(index);
    free(keys);
    free(first);
    free(rest);
    free(values);
    free(ticks);
}

/* ---- hard keys ---- */

static void bench_hard_one(struct bench *bench, enum key_shape shape, const char *lookup,
                           const char *insert)
{
    if (!figure_wanted(lookup, bench->wanted) && !figure_wanted(insert, bench->wanted))
        return;
    struct data data;
    data_make(&data, shape, bench->rows);
    struct peer peer = peer_load(PEER_BTREE, data.keys, data.row_ids, data.count);
    print_json(lookup, &data);
    compare_lookups(bench, lookup, &data, &peer, false, false, 1.25);
    peer_free(&peer);
    index_destroy(data.index);
    workload_shuffle(data.keys, data.count);
    for (size_t at = 0; at < data.count; at++)
        data.row_ids[at] = row_id_of(data.keys[at]);
    peer = peer_load(PEER_BTREE, data.keys, data.row_ids, 1);
    data.index = load(&data.allocator, data.keys, data.row_ids, 1);
    size_t slice = (data.count - 1) / FIGURE_PAIRS;
    uint32_t *ticks = malloc(slice * sizeof *ticks);
    struct figure figure = {.name = insert, .unit = "ns", .target = 1.25,
                            .peer_name = peer.map != NULL ? peer_name(peer.kind) : NULL};
    for (size_t pair = 0; pair < FIGURE_PAIRS; pair++) {
        size_t from = 1 + pair * slice;
        double start = figure_seconds();
        for (size_t at = from; at < from + slice; at++) {
            uint64_t begun = ticks_now();
            if (index_put(data.index, index_key_word(data.keys[at]), data.row_ids[at], NULL) !=
                OMEN_OK)
                die("an insert failed");
            ticks[at - from] = (uint32_t)(ticks_now() - begun);
        }
        double ours = nanoseconds_since(start, slice);
        start = figure_seconds();
        if (peer.map != NULL)
            peer_insert_timed(&peer, data.keys + from, data.row_ids + from, slice, ticks_now,
                              ticks);
        figure_add(&figure, ours, nanoseconds_since(start, slice));
    }
    print_json(insert, &data);
    finish(bench, &figure);
    free(ticks);
    peer_free(&peer);
    data_free(&data);
}

/* ---- ascending inserts: not in the list of figures, but they must read as fast as a bulk
 * load and stay small ---- */

static void bench_ascending(struct bench *bench)
{
    if (!figure_wanted("index.ascending", bench->wanted))
        return;
    struct data data;
    data_make(&data, KEYS_SEQUENTIAL, bench->rows);
    struct data grown = data;
    allocator_init(&grown.allocator, 0);
    if (index_create(&grown.allocator, INDEX_WORD, &grown.index) != OMEN_OK)
        die("no memory");
    double start = figure_seconds();
    for (size_t at = 0; at < grown.count; at++) {
        if (index_put(grown.index, index_key_word(grown.keys[at]), grown.row_ids[at], NULL) !=
            OMEN_OK)
            die("an insert failed");
    }
    double insert = nanoseconds_since(start, grown.count);
    print_json("index.ascending", &grown);
    printf("{\"figure\":\"index.ascending\",\"insert_ns\":%.1f}\n", insert);
    uint64_t *probes = workload_probes(data.keys, data.count, PROBES, 0);
    struct figure figure = {.name = "index.ascending", .unit = "ns", .target = 1.05,
                            .peer_name = "bulk load"};
    for (size_t pair = 0; pair <= FIGURE_PAIRS; pair++) {
        start = figure_seconds();
        uint64_t ours = lookup_all(grown.index, probes, PROBES);
        double ours_time = nanoseconds_since(start, PROBES);
        start = figure_seconds();
        uint64_t theirs = lookup_all(data.index, probes, PROBES);
        if (ours != theirs)
            die("the answers differ");
        if (pair > 0)
            figure_add(&figure, ours_time, nanoseconds_since(start, PROBES));
    }
    finish(bench, &figure);
    free(probes);
    index_destroy(grown.index);
    data_free(&data);
}

int main(int argument_count, char **arguments)
{
    struct bench bench = {
        .wanted = argument_count > 1 && arguments[1][0] != '\0' ? arguments[1] : NULL,
        .rows = argument_count > 2 ? strtoull(arguments[2], NULL, 0) : 10000000,
        .all_met = true,
    };
    bench_lookup(&bench, KEYS_UNIFORM, "index.lookup.uniform.hit", "index.lookup.uniform.miss");
    bench_lookup(&bench, KEYS_SEQUENTIAL, "index.lookup.sequential.hit",
                 "index.lookup.sequential.miss");
    bench_lookup(&bench, KEYS_LOGNORMAL, "index.lookup.lognormal.hit",
                 "index.lookup.lognormal.miss");
    bench_dependent(&bench);
    bench_batched(&bench);
    bench_insert_tail(&bench);
    bench_hard_one(&bench, KEYS_OSM, "index.hard.osm.lookup", "index.hard.osm.insert");
    bench_hard_one(&bench, KEYS_FB, "index.hard.fb.lookup", "index.hard.fb.insert");
    bench_hard_one(&bench, KEYS_GENOME, "index.hard.genome.lookup", "index.hard.genome.insert");
    bench_hard_one(&bench, KEYS_ADVERSARIAL, "index.hard.adversarial.lookup",
                   "index.hard.adversarial.insert");
    bench_ascending(&bench);
    return bench.all_met ? 0 : 1;
}
