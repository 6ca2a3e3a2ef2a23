/* soak_analyst.c - the soak's reports: scans, groups and joins through the engine, old readers, and
 * tables that come and go. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "soak.h"

enum { REPORTS = 4, SCRATCH_KEPT = 3 };

static const char *const reports[REPORTS] = {
    "SELECT owner, count(*), avg(v), min(note), max(id) FROM accounts GROUP BY owner ORDER BY owner",
    "SELECT a.owner, count(*), max(n.note) FROM accounts a JOIN names n ON n.v = a.v GROUP BY a.owner",
    "SELECT note, count(*) AS c FROM names GROUP BY note ORDER BY c DESC, note LIMIT 10",
    "SELECT * FROM accounts ORDER BY v DESC LIMIT 1000",
};

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void rest(struct soak *soak, double seconds)
{
    const struct timespec moment = {.tv_nsec = 20000000};
    double end = seconds_now() + seconds;
    while (seconds_now() < end && !soak_over(soak))
        nanosleep(&moment, NULL);
}

/* Rows of a table at a snapshot. */
static bool count_rows(struct soak *soak, omen_connection *connection,
                       const omen_snapshot *snapshot, uint64_t *rows)
{
    const omen_scan_options options = {.struct_bytes = sizeof options, .snapshot = snapshot};
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    omen_error error;
    *rows = 0;
    if (omen_scan(connection, "accounts", &options, &stream, &error) != OMEN_OK) {
        soak_fail(soak, "a scan at a snapshot: %s", error.message);
        return false;
    }
    while (stream.get_next(&stream, &batch) == 0 && batch.release != NULL) {
        *rows += (uint64_t)batch.length;
        batch.release(&batch);
    }
    stream.release(&stream);
    return true;
}

/* A reader that stays for a while and must see the same afterwards. */
static bool read_slowly(struct soak *soak, omen_connection *connection, double seconds)
{
    omen_snapshot *snapshot;
    omen_error error;
    uint64_t before, after;
    if (omen_snapshot_create(connection, &snapshot, &error) != OMEN_OK) {
        soak_fail(soak, "a snapshot: %s", error.message);
        return false;
    }
    bool done = count_rows(soak, connection, snapshot, &before);
    rest(soak, seconds);
    done = done && count_rows(soak, connection, snapshot, &after);
    omen_snapshot_release(snapshot);
    if (done && before != after) {
        soak_fail(soak, "a snapshot had %" PRIu64 " rows, and %" PRIu64 " later", before, after);
        return false;
    }
    return done;
}

static bool change_catalog(struct soak *soak, omen_connection *connection, uint64_t turn)
{
    char sql[256];
    uint64_t made, there;
    snprintf(sql, sizeof sql,
             "CREATE TABLE scratch_%" PRIu64 " (id BIGINT PRIMARY KEY, v BIGINT, note TEXT)", turn);
    bool done = soak_run(soak, connection, sql, NULL);
    snprintf(sql, sizeof sql,
             "INSERT INTO scratch_%" PRIu64 " SELECT id, v, note FROM accounts WHERE id < 5000",
             turn);
    done = done && soak_run(soak, connection, sql, &made);
    snprintf(sql, sizeof sql, "SELECT id FROM scratch_%" PRIu64 " WHERE v >= 0", turn);
    done = done && soak_run(soak, connection, sql, &there);
    if (done && there == 0)
        soak_fail(soak, "a table made from others is empty");
    if (!done || turn < SCRATCH_KEPT)
        return done;
    snprintf(sql, sizeof sql, "DROP TABLE scratch_%" PRIu64, turn - SCRATCH_KEPT);
    return soak_run(soak, connection, sql, NULL);
}

void *soak_analyst_work(void *argument)
{
    struct soak *soak = argument;
    struct random random = random_seeded(soak->seed + 1000);
    omen_connection *connection;
    omen_error error;
    bool done = omen_connect(soak->database, &connection, &error) == OMEN_OK;
    if (!done)
        soak_fail(soak, "connecting: %s", error.message);
    for (uint64_t turn = 0; done && !soak_over(soak); turn++) {
        double begun = seconds_now();
        if (turn % 16 == 7)
            done = read_slowly(soak, connection, 4 * random_unit(&random));
        else if (turn % 8 == 3)
            done = change_catalog(soak, connection, turn / 8);
        else
            done = soak_run(soak, connection, reports[random_below(&random, REPORTS)], NULL);
        rest(soak, 0.1 + (seconds_now() - begun));
    }
    omen_disconnect(connection);
    return NULL;
}
