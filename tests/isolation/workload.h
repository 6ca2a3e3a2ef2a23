/* workload.h - clients that append to lists and write registers through SQL, and log what they saw.
 *
 *   lists(id, v)               v is ',17,18': UPDATE lists SET v = v || ',19' WHERE id = 5
 *   events(id)                 one row, beside which own ones are counted and taken back
 *   registers(id, v, version)  UPDATE registers SET v = 20, version = version + 1 WHERE id = 5; v is UNIQUE.
 *                              With --unique id is too, and is no primary key: that is another number, which
 *                              a row that is deleted and inserted again does not keep
 *
 * All clients work on a window of keys that moves on, so that lists stay short. A key's row is made by
 * an INSERT, for which clients race. Each statement has several forms: by key, which the index answers,
 * and so that the engine must; prepared, and as a text of its own. See workload.c.
 */
#ifndef OMEN_TESTS_WORKLOAD_H
#define OMEN_TESTS_WORKLOAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/random.h"
#include "checker.h"
#include "omendb.h"

enum {
    WINDOW_KEYS = 16,
    APPENDS_A_KEY = 24,
    CLIENTS_MAX = 64,
    OPS_A_TRANSACTION = 256, /* at most, in the mean */
    ELEMENTS_A_TRANSACTION = 8192,
    MADE_MAX = 16,
    ARGUMENTS_MAX = 4,
    SAVEPOINTS_MAX = 3,
};

struct workload_options {
    uint64_t seed;
    size_t transactions; /* of all clients */
    unsigned clients, kills;
    const char *path, *save;
    bool quiet, engine, alone; /* alone: no transactions of several statements */
    unsigned engine_one_in;    /* how much of what the engine could do it is asked to; 1: all */
    unsigned literal_one_in;   /* statements that are texts of their own, not prepared */
    bool lock_modes;           /* all ways to lock rows; else FOR UPDATE alone */
    bool disturbed;            /* statements may be cancelled, and run out of memory */
    bool unique;               /* registers are found by a unique key that is not the primary one */
};

/* What all clients know; shared with killed processes too. */
struct workload_shared {
    struct workload_options options;
    uint64_t started_ns;
    atomic_uint value, writes;
    atomic_uint violations;
    atomic_bool stop; /* a client met what must not be: all stop */
    atomic_uint statements, engine_statements, retries, savepoints, failures;
    struct history *histories[CLIENTS_MAX + 1]; /* one a client, and one of the last look */
    uint32_t key_count;
    atomic_uchar *lists, *registers; /* by key: whether its row is known to be there */
    atomic_uint ready;               /* all lists below are there */
    atomic_bool no_row_locks;        /* SELECT FOR UPDATE is not supported */
};

/* A row that a transaction has made; known to be there when it has committed. */
struct workload_made {
    bool list;
    uint32_t key, op;
};

/* Statements. $1.. are numbers, $t is a text. */
enum form {
    LIST_BY_KEY, LIST_BY_ENGINE, LISTS_BETWEEN, LISTS_ALL, REGISTER_BY_KEY, REGISTER_BY_ENGINE,
    REGISTERS_BETWEEN, REGISTERS_ALL, JOINED, REGISTERS_SUMMED, LISTS_COUNTED, LISTS_COUNTED_BY_SCAN,
    LIST_APPEND, LIST_APPEND_BY_ENGINE, LISTS_APPEND_BETWEEN, LIST_INSERT, LISTS_INSERT_TWO,
    REGISTER_SET, REGISTER_SET_BY_ENGINE, REGISTER_INSERT, REGISTER_INSERT_NUMBERED, REGISTER_DELETE, LISTS_DIVIDE,
    LIST_LOCK, LIST_SHARE, LIST_NO_KEY_UPDATE, LIST_NOWAIT, LIST_KEY_SHARE, LIST_SKIP, EVENT_INSERT, EVENTS_COUNTED, EVENTS_COUNTED_BY_SCAN, BEGIN_RC, BEGIN_RR, COMMIT, ROLLBACK, SAVEPOINT, ROLLBACK_TO, RELEASE, FORMS
};

struct workload_client {
    struct workload_shared *shared;
    struct history *history;
    struct random random;
    unsigned number;
    omen_database *database;
    omen_connection *connection;
    omen_statement *prepared[FORMS], *passing; /* the newest that was prepared for one run */
    enum form form;                            /* of the newest statement, and what it was given */
    int64_t arguments[ARGUMENTS_MAX];
    const char *text;
    omen_error error;
    uint32_t statement, began_us; /* of the transaction; when the statement began */
    uint32_t touched;             /* the list that was written to last */
    uint32_t ready;               /* shared.ready when the transaction began */
    enum history_level level;
    bool in_transaction, gives_up; /* it has a lock_timeout */
    uint32_t deadlocks, timeouts, serialization_failures, disturbances;
    uint32_t savepoints[SAVEPOINTS_MAX], savepoint_count; /* ops of the transaction before each */
    struct workload_made made[MADE_MAX];
    uint32_t made_count;
    pthread_t thread;
};

/* Microseconds since the workload began, never 0. */
uint32_t workload_now_us(const struct workload_shared *shared);

/* Tells of what must not be, with a transaction, and ends the run. */
void workload_violation(struct workload_client *client, const char *format, ...) OMEN_PRINTF(2, 3);

/* Runs a statement: prepared, or now and then as a text of its own. The result's rows are stepped from
 * `*out`, which is the client's, until the next run. */
omen_status workload_run(struct workload_client *client, enum form form, const int64_t *arguments,
                         const char *text, omen_statement **out);

/* Opens a session. False, and told, where that failed. */
bool workload_client_open(struct workload_client *client, struct workload_shared *shared,
                          unsigned number, omen_database *database);
void workload_client_close(struct workload_client *client);

/* Does so many transactions in all, counting those that its history has. */
void *workload_client_work(void *client);

/* Reads everything in one transaction. */
bool workload_last_look(struct workload_client *client);

#endif
