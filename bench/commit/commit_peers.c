/* commit_peers.c - see commit_peers.h. */
#define _GNU_SOURCE
#include "commit_peers.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef PEER_SQLITE
#include <sqlite3.h>
#endif

enum { BARE_BYTES_MAX = 64 * 1024, COMMAND_BYTES = 4096, PGBENCH_THREADS = 2 };

_Noreturn static void peer_failed(const char *what, const char *why)
{
    fprintf(stderr, "bench_commit: %s: %s\n", what, why);
    exit(2);
}

void commit_row_make(int64_t id, struct commit_row *row)
{
    row->id = id;
    row->amount = id * 7919 % 1000003;
    row->kind = (int32_t)(id % 100);
    snprintf(row->code, sizeof row->code, "%030" PRIu64, (uint64_t)id * UINT64_C(0x9E3779B97F4A7C15));
}

/* --- a bare file --- */

int bare_open(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        peer_failed(path, "could not be made");
    return file;
}

void bare_commit(int file, size_t bytes)
{
    static const char data[BARE_BYTES_MAX];
    if (bytes > sizeof data || write(file, data, bytes) != (ssize_t)bytes || fdatasync(file) != 0)
        peer_failed("bare file", "could not be written");
}

/* --- SQLite --- */

#ifdef PEER_SQLITE

struct sqlite_peer {
    sqlite3 *database;
    sqlite3_stmt *insert, *update;
};

static void sqlite_run(struct sqlite_peer *peer, const char *sql)
{
    if (sqlite3_exec(peer->database, sql, NULL, NULL, NULL) != SQLITE_OK)
        peer_failed("sqlite", sqlite3_errmsg(peer->database));
}

static sqlite3_stmt *sqlite_prepare(struct sqlite_peer *peer, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(peer->database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
        SQLITE_OK)
        peer_failed("sqlite", sqlite3_errmsg(peer->database));
    return statement;
}

static void sqlite_step(struct sqlite_peer *peer, sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_changes(peer->database) != 1)
        peer_failed("sqlite", sqlite3_errmsg(peer->database));
    sqlite3_reset(statement);
}

struct sqlite_peer *sqlite_open(const char *path, int64_t row_count)
{
    struct sqlite_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL || sqlite3_open_v2(path, &peer->database,
                                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                            SQLITE_OPEN_NOMUTEX,
                                        NULL) != SQLITE_OK)
        peer_failed("sqlite", "open");
    sqlite_run(peer, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; "
                     "PRAGMA synchronous = FULL; "
                     "CREATE TABLE t (id INTEGER PRIMARY KEY, amount INTEGER, kind INTEGER, "
                     "code TEXT)");
    peer->insert = sqlite_prepare(peer, "INSERT INTO t VALUES (?, ?, ?, ?)");
    peer->update = sqlite_prepare(peer, "UPDATE t SET amount = amount + ? WHERE id = ?");
    sqlite_run(peer, "BEGIN");
    for (int64_t id = 0; id < row_count; id++) {
        struct commit_row row;
        commit_row_make(id, &row);
        sqlite_insert(peer, &row);
    }
    sqlite_run(peer, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
    return peer;
}

void sqlite_insert(struct sqlite_peer *peer, const struct commit_row *row)
{
    sqlite3_bind_int64(peer->insert, 1, row->id);
    sqlite3_bind_int64(peer->insert, 2, row->amount);
    sqlite3_bind_int(peer->insert, 3, row->kind);
    sqlite3_bind_text(peer->insert, 4, row->code, CODE_BYTES, SQLITE_STATIC);
    sqlite_step(peer, peer->insert);
}

void sqlite_update(struct sqlite_peer *peer, int64_t id, int64_t delta)
{
    sqlite3_bind_int64(peer->update, 1, delta);
    sqlite3_bind_int64(peer->update, 2, id);
    sqlite_step(peer, peer->update);
}

void sqlite_close(struct sqlite_peer *peer)
{
    if (peer == NULL)
        return;
    sqlite3_finalize(peer->insert);
    sqlite3_finalize(peer->update);
    sqlite3_close(peer->database);
    free(peer);
}

const char *sqlite_version(void)
{
    return "sqlite-" SQLITE_VERSION;
}

#else

struct sqlite_peer *sqlite_open(const char *path, int64_t row_count)
{
    return NULL;
}

void sqlite_insert(struct sqlite_peer *peer, const struct commit_row *row)
{
    peer_failed("sqlite", "is not here");
}

void sqlite_update(struct sqlite_peer *peer, int64_t id, int64_t delta)
{
    peer_failed("sqlite", "is not here");
}

void sqlite_close(struct sqlite_peer *peer)
{
}

const char *sqlite_version(void)
{
    return NULL;
}

#endif

/* --- PostgreSQL --- */

static char insert_script[600], update_script[600];

const char *postgres_version(void)
{
    return getenv("PGHOST") != NULL && getenv("PGDATABASE") != NULL ? "postgres-15" : NULL;
}

static void write_script(char path[600], const char *folder, const char *name, const char *text)
{
    snprintf(path, 600, "%.500s/%s.sql", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        peer_failed(path, "could not be written");
}

void postgres_open(const char *folder, int64_t row_count)
{
    char command[COMMAND_BYTES];
    snprintf(command, sizeof command,
             "psql -q -v ON_ERROR_STOP=1 -c 'DROP TABLE IF EXISTS t' -c 'CREATE TABLE t "
             "(id bigint PRIMARY KEY, amount bigint, kind int, code text)' -c \"INSERT INTO t "
             "SELECT i, i * 7919 %% 1000003, i %% 100, lpad(i::text, 30, '0') "
             "FROM generate_series(0, %" PRId64 ") AS i\" -c 'VACUUM FREEZE ANALYZE t' "
             "-c CHECKPOINT 2>/dev/null",
             row_count - 1);
    if (system(command) != 0)
        peer_failed("postgres", "no table could be made");
    /* `id` is a client's own and keeps its value from one transaction to the next. */
    write_script(insert_script, folder, "insert",
                 "\\set id :id + 1\n\\set key :base + :id * 64 + :client_id\n"
                 "\\set amount :key % 1000003\n"
                 "INSERT INTO t VALUES (:key, :amount, :id, "
                 "'000000000000000000000000000042');\n");
    write_script(update_script, folder, "update",
                 "\\set key random(0, :base - 1)\n\\set delta random(1, 1000)\n"
                 "UPDATE t SET amount = amount + :delta WHERE id = :key;\n");
}

static double run_pgbench(const char *options, bool updates, int clients, int commits, int64_t base)
{
    char command[COMMAND_BYTES], line[512];
    double rate = 0;
    long done = 0;
    snprintf(command, sizeof command,
             "pgbench -n -M prepared -c %d -j %d -t %d -D id=0 -D base=%" PRId64 " -f '%s' %s 2>&1",
             clients, clients < PGBENCH_THREADS ? clients : PGBENCH_THREADS, commits, base,
             updates ? update_script : insert_script, options);
    FILE *output = popen(command, "r");
    if (output == NULL)
        peer_failed("pgbench", "could not be started");
    while (fgets(line, sizeof line, output) != NULL) {
        (void)!sscanf(line, "number of transactions actually processed: %ld", &done);
        (void)!sscanf(line, "tps = %lf", &rate);
    }
    if (pclose(output) != 0 || done != (long)clients * commits || rate <= 0)
        peer_failed("pgbench", "did not do what it was asked to");
    return rate;
}

double postgres_run(bool updates, int clients, int commits, int64_t base)
{
    return run_pgbench("", updates, clients, commits, base);
}

void postgres_times(const char *folder, int commits, int64_t base, double *times)
{
    char options[1200], line[512];
    snprintf(options, sizeof options, "--log --log-prefix='%.500s/pgbench'", folder);
    run_pgbench(options, false, 1, commits, base);
    snprintf(options, sizeof options, "cat '%.500s'/pgbench.* && rm '%.500s'/pgbench.*", folder,
             folder);
    FILE *log = popen(options, "r");
    int count = 0;
    /* A line a transaction: client, number, microseconds, and so on. */
    while (log != NULL && count < commits && fgets(line, sizeof line, log) != NULL)
        count += sscanf(line, "%*d %*d %lf", &times[count]) == 1;
    if (log == NULL || pclose(log) != 0 || count != commits)
        peer_failed("pgbench", "wrote no log of its transactions");
}
