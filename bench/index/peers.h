/* peers.h - the indexes ours is measured against, behind a C interface.
 *
 * peers.cpp implements it over absl's btree_map and, where a checkout is given at build time,
 * the reference ALEX; peers_none.c where no C++ compiler or library is there. Keys and values
 * are 64-bit words.
 */
#ifndef OMEN_BENCH_INDEX_PEERS_H
#define OMEN_BENCH_INDEX_PEERS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum peer_kind { PEER_ALEX, PEER_BTREE };

struct peer {
    enum peer_kind kind;
    void *map;
};

/* A loaded peer from ascending keys, or map = NULL where it isn't built in. */
struct peer peer_load(enum peer_kind kind, const uint64_t *keys, const uint64_t *values,
                      size_t count);
void peer_free(struct peer *peer);

/* The sum of the values found for all keys: every value is read. Absent keys count 0. */
uint64_t peer_lookup_all(const struct peer *peer, const uint64_t *keys, size_t count);

/* Inserts all keys, counting the ticks of each insert by `clock` into `ticks`. */
void peer_insert_timed(struct peer *peer, const uint64_t *keys, const uint64_t *values,
                       size_t count, uint64_t (*clock)(void), uint32_t *ticks);

/* Bytes the peer uses, as far as it can tell; 0 = unknown. */
size_t peer_bytes(const struct peer *peer);

/* "alex", "absl btree". */
const char *peer_name(enum peer_kind kind);

#ifdef __cplusplus
}
#endif

#endif
