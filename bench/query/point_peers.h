/* point_peers.h - SQLite and RocksDB as point query peers, each at its best setting. */
#ifndef OMEN_BENCH_POINT_PEERS_H
#define OMEN_BENCH_POINT_PEERS_H

#include <stddef.h>
#include <stdint.h>

struct point_row {
    int64_t id;
    int64_t quantity;
    double price;
    char code[16]; /* zero-terminated, never empty */
};

struct point_peer;

/* Loads ascending rows into a database in memory; ends the program where that fails. */
struct point_peer *sqlite_load(const struct point_row *rows, size_t count);
struct point_peer *rocksdb_load(const struct point_row *rows, size_t count);

/* Looks up each of the ids, which are there, reads four columns of each, and gives the sum of id,
 * quantity, whole price and last byte of code. */
uint64_t sqlite_lookups(struct point_peer *peer, const int64_t *ids, size_t count);
uint64_t rocksdb_lookups(struct point_peer *peer, const int64_t *ids, size_t count);

void sqlite_close(struct point_peer *peer);
void rocksdb_close_peer(struct point_peer *peer);

/* Name and version. Static strings. */
const char *sqlite_name(void);
const char *rocksdb_name(void);

#endif
