/* workload.h - keys and probes of the index benchmarks. */
#ifndef OMEN_BENCH_INDEX_WORKLOAD_H
#define OMEN_BENCH_INDEX_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

enum key_shape {
    KEYS_UNIFORM,
    KEYS_SEQUENTIAL,
    KEYS_LOGNORMAL,
    KEYS_OSM,         /* cells of a space-filling curve: clustered at every scale */
    KEYS_FB,          /* user ids: dense blocks, and a few keys far beyond the rest */
    KEYS_GENOME,      /* positions in pairs: locally erratic, globally even */
    KEYS_ADVERSARIAL  /* few bits set: each level of the key space is skewed */
};

/* At most `wanted` distinct ascending keys; the caller frees them. `count` gets their number. */
uint64_t *workload_keys(enum key_shape shape, size_t wanted, size_t *count);

/* `probes` keys drawn at random from `keys`; with misses, absent keys between them. */
uint64_t *workload_probes(const uint64_t *keys, size_t count, size_t probes, int misses);

/* A random permutation of `keys` in place. */
void workload_shuffle(uint64_t *keys, size_t count);

#endif
