/* commit_peers.h - whom commits are compared with: a bare file, SQLite, PostgreSQL through pgbench.
 *
 * Peers keep the rows of bench_commit.c under the same durability: a commit that has returned is on
 * the disk. Whatever fails ends the program.
 */
#ifndef OMEN_BENCH_COMMIT_PEERS_H
#define OMEN_BENCH_COMMIT_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CODE_BYTES = 30 };

/* A row of 50 bytes. */
struct commit_row {
    int64_t id, amount;
    int32_t kind;
    char code[CODE_BYTES + 1];
};

/* The row of that id, the same for all. */
void commit_row_make(int64_t id, struct commit_row *row);

/* --- a bare file: append, fdatasync --- */

int bare_open(const char *path);
void bare_commit(int file, size_t bytes); /* at most 64 KiB */

/* --- SQLite: WAL, synchronous = FULL, one connection that has the file to itself. Several threads
 * take turns with it: quicker than a connection each, whose busy handlers sleep. --- */

struct sqlite_peer;

/* NULL where SQLite is not here. The file gets rows [0, row_count). */
struct sqlite_peer *sqlite_open(const char *path, int64_t row_count);
void sqlite_insert(struct sqlite_peer *peer, const struct commit_row *row);
void sqlite_update(struct sqlite_peer *peer, int64_t id, int64_t delta);
void sqlite_close(struct sqlite_peer *peer);
const char *sqlite_version(void); /* "sqlite-3.40.1"; NULL: not here */

/* --- PostgreSQL, of which PGHOST and so on tell (with_postgres.py) --- */

const char *postgres_version(void); /* "postgres-15"; NULL: no server was given */

/* Makes the table, with rows [0, row_count), and the scripts in `folder`. */
void postgres_open(const char *folder, int64_t row_count);

/* Runs single-row statements, each a transaction: `commits` by each client; inserts of ids from
 * `base` on, or updates of random rows below `base`. Gives transactions a second, connecting left
 * out. */
double postgres_run(bool updates, int clients, int commits, int64_t base);

/* One client's inserts of ids from `base` on: microseconds of each of so many commits. Uses files in
 * `folder`. */
void postgres_times(const char *folder, int commits, int64_t base, double *times);

#endif
