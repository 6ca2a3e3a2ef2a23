/* freshness.c - one table, a writer and an analyst: each aggregate has every row that was
 * acknowledged before it began.
 *
 *   freshness DIRECTORY
 *
 * Opens the database that `make demo` has loaded. Times point queries by key through a prepared
 * statement. Then one thread inserts about a thousand flights a second, each statement on disk
 * before it returns, while the other asks the same question of all flights three times: before each,
 * it notes how many rows the writer has had acknowledged, and none of them may be missing from the
 * answer. Prints the key of the last acknowledged row; exits with 1 where a row was missing.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "omendb.h"

enum {
    LOOKUPS = 20000,
    ROUNDS = 3,
    ROWS_A_STATEMENT = 5,
    STATEMENTS_A_SECOND = 200,
};

static void check(omen_status status, const omen_error *error)
{
    if (status == OMEN_OK)
        return;
    fprintf(stderr, "freshness: %s (%s)\n", error->message, error->sqlstate);
    exit(status == OMEN_ENGINE_MISSING ? 77 : 1);
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static omen_value bigint(int64_t number)
{
    return (omen_value){.type.id = OMEN_TYPE_BIGINT, .as.i64 = number};
}

/* The two numbers of a one-row answer. */
static void ask(omen_connection *connection, const char *sql, int64_t numbers[2])
{
    omen_error error;
    omen_statement *statement;
    check(omen_prepare(connection, sql, SIZE_MAX, &statement, &error), &error);
    check(omen_execute(statement, NULL, 0, &error), &error);
    check(omen_step(statement, &error), &error);
    for (size_t i = 0; i < 2; i++)
        numbers[i] = omen_statement_value(statement, i).as.i64;
    omen_statement_release(statement);
}

/* --- point queries --- */

static int compare_times(const void *left, const void *right)
{
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

/* Flights by their keys, in no order: what the learned index is for. */
static void time_lookups(omen_connection *connection, int64_t keys)
{
    static int32_t times[LOOKUPS];
    omen_error error;
    omen_statement *lookup;
    uint64_t random = 42;
    check(omen_prepare(connection, "SELECT carrier, flight, origin, dest FROM flights WHERE id = $1",
                       SIZE_MAX, &lookup, &error),
          &error);
    for (int i = 0; i < LOOKUPS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        const omen_value key = bigint((int64_t)((random >> 33) % (uint64_t)keys) + 1);
        int64_t start = nanoseconds();
        check(omen_execute(lookup, &key, 1, &error), &error);
        check(omen_step(lookup, &error), &error);
        times[i] = (int32_t)(nanoseconds() - start);
    }
    omen_statement_release(lookup);
    qsort(times, LOOKUPS, sizeof *times, compare_times);
    printf("%d flights by key, prepared once: median %d ns, 99 %% under %d ns\n", LOOKUPS,
           times[LOOKUPS / 2], times[LOOKUPS / 100 * 99]);
}

/* --- the writer --- */

struct writer {
    omen_database *database;
    int64_t first_key;
    atomic_int_fast64_t acknowledged; /* rows */
    atomic_bool stop;
};

#define ROW(n) "($1 + " #n ", 2014, 1, 1, 'OM', 'JFK', 'SFO', 2586)"

/* Inserts flights; counts them once their statement has returned, and so is on disk. */
static void *write_flights(void *context)
{
    struct writer *writer = context;
    omen_connection *connection;
    omen_statement *insert;
    omen_error error;
    check(omen_connect(writer->database, &connection, &error), &error);
    check(omen_prepare(connection,
                       "INSERT INTO flights (id, year, month, day, carrier, origin, dest, distance) "
                       "VALUES " ROW(0) ", " ROW(1) ", " ROW(2) ", " ROW(3) ", " ROW(4),
                       SIZE_MAX, &insert, &error),
          &error);
    int64_t start = nanoseconds();
    for (int64_t rows = 0; !atomic_load(&writer->stop); rows += ROWS_A_STATEMENT) {
        const omen_value key = bigint(writer->first_key + rows);
        check(omen_execute(insert, &key, 1, &error), &error);
        atomic_store(&writer->acknowledged, rows + ROWS_A_STATEMENT);
        int64_t due = start + (rows / ROWS_A_STATEMENT + 1) * (1000000000 / STATEMENTS_A_SECOND);
        int64_t wait = due - nanoseconds();
        if (wait > 0)
            nanosleep(&(struct timespec){.tv_nsec = wait}, NULL);
    }
    omen_statement_release(insert);
    omen_disconnect(connection);
    return NULL;
}

/* --- the analyst --- */

/* Whether the answer has every row that was acknowledged before it was asked for. */
static int ask_while_written(omen_connection *connection, struct writer *writer, int64_t rows_before)
{
    int64_t answer[2];
    int64_t acknowledged = atomic_load(&writer->acknowledged);
    int64_t start = nanoseconds();
    ask(connection,
        "SELECT count(*), CAST(sum(distance) AS BIGINT) FROM flights WHERE distance IS NOT NULL",
        answer);
    double milliseconds = (double)(nanoseconds() - start) / 1e6;
    int64_t found = answer[0] - rows_before;
    printf("%6" PRId64 " new rows acknowledged, then asked: %" PRId64 " flights, %" PRId64
           " miles in %.1f ms: %" PRId64 " new rows seen%s\n",
           acknowledged, answer[0], answer[1], milliseconds, found,
           found < acknowledged ? ", ROWS ARE MISSING" : "");
    return found >= acknowledged;
}

int main(int argument_count, char **arguments)
{
    struct writer writer = {0};
    omen_connection *connection;
    omen_error error;
    pthread_t thread;
    int64_t before[2];
    int fresh = 1;
    if (argument_count != 2) {
        fprintf(stderr, "usage: freshness DIRECTORY\n");
        return 2;
    }
    check(omen_open(arguments[1], NULL, &writer.database, &error), &error);
    check(omen_connect(writer.database, &connection, &error), &error);
    ask(connection, "SELECT count(*), max(id) FROM flights", before);
    time_lookups(connection, before[1]);

    writer.first_key = before[1] + 1;
    if (pthread_create(&thread, NULL, write_flights, &writer) != 0)
        return 1;
    for (int i = 0; i < ROUNDS; i++) {
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        fresh &= ask_while_written(connection, &writer, before[0]);
    }
    atomic_store(&writer.stop, true);
    pthread_join(thread, NULL);
    printf("last row acknowledged: id %" PRId64 "\n",
           writer.first_key + atomic_load(&writer.acknowledged) - 1);
    omen_disconnect(connection);
    check(omen_close(writer.database, &error), &error);
    return fresh ? 0 : 1;
}
