/* soak.h - what the soak's clients share with its watcher. See soak.c. */
#ifndef OMEN_TESTS_SOAK_H
#define OMEN_TESTS_SOAK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "omendb.h"

enum { SOAK_CLIENTS_MAX = 8 };

struct soak {
    uint64_t seed;
    double seconds;
    unsigned clients;
    uint32_t keys; /* of each client in each of the two tables with a key */
    omen_database *database;
    atomic_uint_fast64_t statements;
    atomic_bool stop, failed;
};

/* One thread that works on keys of its own and knows what they hold. */
struct soak_client {
    struct soak *soak;
    unsigned number;
    struct random random;
    omen_connection *connection;
    omen_statement *statements[16];
    uint64_t *values[2]; /* of accounts and names: the value of each key, 0 = no row */
    uint64_t clock;      /* the last value that was written */
    uint64_t event_first, event_next; /* its events, by number */
    pthread_t thread;
};

/* Prints what is wrong and ends the run. */
void soak_fail(struct soak *soak, const char *format, ...) OMEN_PRINTF(2, 3);
bool soak_over(struct soak *soak);

/* Runs a statement for its effect and counts it; `rows` (may be NULL) gets the rows it gave. */
bool soak_run(struct soak *soak, omen_connection *connection, const char *sql, uint64_t *rows);

/* Makes the tables; the clients fill their part of them, work, and compare all that is there with
 * what they know. Each is false where something was wrong, which has been told. */
bool soak_tables(struct soak *soak);
bool soak_client_open(struct soak_client *client, struct soak *soak, unsigned number);
void *soak_client_work(void *client);
bool soak_client_compare(struct soak_client *client);
void soak_client_close(struct soak_client *client);

/* The thread of reports, old readers and changes of the catalog. */
void *soak_analyst_work(void *soak);

#endif
