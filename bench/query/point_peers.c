/* point_peers.c - the same rows in SQLite and in RocksDB, probed by key. */
#include "point_peers.h"

#include <rocksdb/c.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct point_peer {
    sqlite3 *sqlite;
    sqlite3_stmt *select;
    rocksdb_t *rocksdb;
    rocksdb_options_t *options;
    rocksdb_env_t *env;
    rocksdb_readoptions_t *read_options;
};

_Noreturn static void peer_failed(const char *what, const char *why)
{
    fprintf(stderr, "bench_point: %s: %s\n", what, why);
    exit(2);
}

static struct point_peer *new_peer(void)
{
    struct point_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        peer_failed("peer", "out of memory");
    return peer;
}

/* --- SQLite --- */

static void sqlite_run(struct point_peer *peer, const char *sql)
{
    if (sqlite3_exec(peer->sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
        peer_failed("sqlite", sqlite3_errmsg(peer->sqlite));
}

static sqlite3_stmt *sqlite_prepare(struct point_peer *peer, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(peer->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
        SQLITE_OK)
        peer_failed("sqlite", sqlite3_errmsg(peer->sqlite));
    return statement;
}

struct point_peer *sqlite_load(const struct point_row *rows, size_t count)
{
    struct point_peer *peer = new_peer();
    if (sqlite3_open_v2(":memory:", &peer->sqlite,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        peer_failed("sqlite", "open");
    sqlite_run(peer, "CREATE TABLE t (id INTEGER PRIMARY KEY, quantity INTEGER, price REAL, "
                     "code TEXT); BEGIN");
    sqlite3_stmt *insert = sqlite_prepare(peer, "INSERT INTO t VALUES (?, ?, ?, ?)");
    for (size_t i = 0; i < count; i++) {
        sqlite3_bind_int64(insert, 1, rows[i].id);
        sqlite3_bind_int64(insert, 2, rows[i].quantity);
        sqlite3_bind_double(insert, 3, rows[i].price);
        sqlite3_bind_text(insert, 4, rows[i].code, -1, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE)
            peer_failed("sqlite", sqlite3_errmsg(peer->sqlite));
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    sqlite_run(peer, "COMMIT; BEGIN");
    peer->select = sqlite_prepare(peer, "SELECT id, quantity, price, code FROM t WHERE id = ?");
    return peer;
}

uint64_t sqlite_lookups(struct point_peer *peer, const int64_t *ids, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sqlite3_bind_int64(peer->select, 1, ids[i]);
        if (sqlite3_step(peer->select) != SQLITE_ROW)
            peer_failed("sqlite", "a row is missing");
        sum += (uint64_t)sqlite3_column_int64(peer->select, 0);
        sum += (uint64_t)sqlite3_column_int64(peer->select, 1);
        sum += (uint64_t)sqlite3_column_double(peer->select, 2);
        const unsigned char *code = sqlite3_column_text(peer->select, 3);
        sum += code[sqlite3_column_bytes(peer->select, 3) - 1];
        sqlite3_reset(peer->select);
    }
    return sum;
}

void sqlite_close(struct point_peer *peer)
{
    sqlite3_finalize(peer->select);
    sqlite3_close(peer->sqlite);
    free(peer);
}

const char *sqlite_name(void)
{
    return "sqlite-" SQLITE_VERSION;
}

/* --- RocksDB --- */

static void rocksdb_check(char *problem)
{
    if (problem != NULL)
        peer_failed("rocksdb", problem);
}

/* Keys compare bytewise, so ids are stored big-endian. */
static void rocksdb_key(int64_t id, char *key)
{
    for (int i = 0; i < 8; i++)
        key[i] = (char)((uint64_t)id >> (56 - 8 * i));
}

static rocksdb_options_t *rocksdb_best_options(rocksdb_env_t *env, size_t count)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table,
                                                rocksdb_cache_create_lru(count * 256 + (64 << 20)));
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_block_based_options_set_data_block_index_type(table, 1); /* binary search and hash */
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_options_set_env(options, env);
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(options, (size_t)256 << 20);
    return options;
}

struct point_peer *rocksdb_load(const struct point_row *rows, size_t count)
{
    struct point_peer *peer = new_peer();
    char *problem = NULL;
    peer->env = rocksdb_create_mem_env();
    peer->options = rocksdb_best_options(peer->env, count);
    peer->rocksdb = rocksdb_open(peer->options, "/bench", &problem);
    rocksdb_check(problem);
    rocksdb_writeoptions_t *write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(write_options, 1);
    for (size_t i = 0; i < count; i++) {
        char key[8];
        rocksdb_key(rows[i].id, key);
        rocksdb_put(peer->rocksdb, write_options, key, sizeof key, (const char *)&rows[i],
                    sizeof rows[i], &problem);
        rocksdb_check(problem);
    }
    rocksdb_writeoptions_destroy(write_options);
    rocksdb_compact_range(peer->rocksdb, NULL, 0, NULL, 0);
    peer->read_options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(peer->read_options, 0);
    return peer;
}

uint64_t rocksdb_lookups(struct point_peer *peer, const int64_t *ids, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        char key[8], *problem = NULL;
        rocksdb_key(ids[i], key);
        rocksdb_pinnableslice_t *slice =
            rocksdb_get_pinned(peer->rocksdb, peer->read_options, key, sizeof key, &problem);
        size_t length = 0;
        const char *value = slice == NULL ? NULL : rocksdb_pinnableslice_value(slice, &length);
        struct point_row row;
        if (value == NULL || length != sizeof row)
            peer_failed("rocksdb", "a row is missing");
        memcpy(&row, value, sizeof row);
        sum += (uint64_t)row.id + (uint64_t)row.quantity + (uint64_t)row.price;
        sum += (unsigned char)row.code[strlen(row.code) - 1];
        rocksdb_pinnableslice_destroy(slice);
    }
    return sum;
}

void rocksdb_close_peer(struct point_peer *peer)
{
    rocksdb_readoptions_destroy(peer->read_options);
    rocksdb_close(peer->rocksdb);
    rocksdb_options_destroy(peer->options);
    rocksdb_env_destroy(peer->env);
    free(peer);
}

const char *rocksdb_name(void)
{
    return "rocksdb";
}
