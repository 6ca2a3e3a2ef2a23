/* kill9_clients.c - several clients of one database, who write until the process is killed.
 *
 * Each client has a connection, a thread and KILL9_KEYS keys of its own, and does one statement after
 * the other: what its nth does follows from the seed, the client and n, so kill9.py knows it too. When
 * one has been acknowledged, 16 bytes go to standard output: the client and n. Checkpoints are made
 * all the time, by the log's length and by age, and the background's thread has all it does anywhere.
 *
 * usage: kill9_clients DIRECTORY SEED DONE...     DONE: for each client how many it has done before
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "omendb.h"

enum { KEYS = 64, BATCH = 8, CLIENTS_MAX = 16, NOTE_BYTES = 96, COLUMNS = 3 };

struct client {
    omen_database *database;
    omen_connection *connection;
    uint64_t seed, number, done;
    bool exists[KEYS];
    pthread_t thread;
};

/* One line, so that threads do not mix theirs; then the end. */
static void fail(const char *what, const omen_error *error)
{
    fprintf(stderr, "kill9_clients: %s: %s %s\n", what, error->sqlstate, error->message);
    _exit(1);
}

/* SplitMix64's mixing, as kill9.py has it. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
    return value ^ (value >> 31);
}

static omen_value number(uint64_t value)
{
    return (omen_value){.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = (int64_t)value};
}

static omen_value note(uint64_t n, uint64_t id, char text[static NOTE_BYTES])
{
    omen_value value = {.type = {.id = OMEN_TYPE_TEXT}};
    int length = snprintf(text, NOTE_BYTES, "%" PRIu64 " of %" PRIu64 " %.*s", n, id,
                          (int)(n % 40), "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    value.as.bytes = (omen_bytes){(const uint8_t *)text, (size_t)length};
    return value;
}

/* --- statements --- */

static omen_status put(struct client *client, uint64_t n, uint64_t key, omen_error *error)
{
    static const char *const columns[] = {"v", "note"};
    char text[NOTE_BYTES];
    uint64_t id = client->number * KEYS + key;
    omen_value row[COLUMNS] = {number(id), number(n), note(n, id, text)};
    if (client->exists[key])
        return omen_update(client->connection, "t", row, 1, columns, row + 1, 2, error);
    client->exists[key] = true;
    return omen_insert(client->connection, "t", row, 1, error);
}

/* Those of BATCH keys that are not there, all or none. */
static omen_status put_batch(struct client *client, uint64_t n, uint64_t first, omen_error *error)
{
    char texts[BATCH][NOTE_BYTES];
    omen_value values[BATCH * COLUMNS];
    size_t rows = 0;
    for (uint64_t i = 0; i < BATCH; i++) {
        uint64_t key = (first + i) % KEYS, id = client->number * KEYS + key;
        if (client->exists[key])
            continue;
        client->exists[key] = true;
        values[rows * COLUMNS] = number(id);
        values[rows * COLUMNS + 1] = number(n);
        values[rows * COLUMNS + 2] = note(n, id, texts[rows]);
        rows++;
    }
    return rows == 0 ? OMEN_OK : omen_insert(client->connection, "t", values, rows, error);
}

static omen_status take(struct client *client, uint64_t key, omen_error *error)
{
    omen_value id = number(client->number * KEYS + key);
    if (!client->exists[key])
        return OMEN_OK;
    client->exists[key] = false;
    return omen_delete(client->connection, "t", &id, 1, error);
}

static void *work(void *argument)
{
    struct client *client = argument;
    omen_error error;
    for (;;) {
        uint64_t n = ++client->done;
        uint64_t chance = mix(client->seed + client->number * 1000003 + n * 7919);
        uint64_t key = (chance >> 8) % KEYS, what = chance % 8;
        omen_status status = what == 0 ? put_batch(client, n, key, &error)
                             : what <= 2 ? take(client, key, &error)
                                         : put(client, n, key, &error);
        if (status != OMEN_OK)
            fail("a statement", &error);
        const uint64_t record[2] = {client->number, n};
        if (write(STDOUT_FILENO, record, sizeof record) != sizeof record)
            _exit(1);
    }
    return NULL;
}

/* --- the beginning --- */

static void look(struct client *client)
{
    omen_error error;
    for (uint64_t key = 0; key < KEYS; key++) {
        omen_value id = number(client->number * KEYS + key);
        omen_row *row;
        omen_status status = omen_get(client->connection, "t", NULL, &id, 1, &row, &error);
        if (status != OMEN_OK && status != OMEN_NOT_FOUND)
            fail("a read", &error);
        client->exists[key] = status == OMEN_OK;
        omen_row_release(row);
    }
}

static void begin(struct client *client, omen_database *database)
{
    struct ArrowArrayStream rows;
    omen_error error;
    client->database = database;
    if (omen_connect(database, &client->connection, &error) != OMEN_OK)
        fail("connecting", &error);
    if (client->number == 0) {
        if (omen_query(client->connection,
                       "CREATE TABLE IF NOT EXISTS t (id BIGINT PRIMARY KEY, v BIGINT, note TEXT)",
                       SIZE_MAX, &rows, NULL, &error) != OMEN_OK)
            fail("creating the table", &error);
        rows.release(&rows);
    }
    look(client);
}

int main(int argc, char **argv)
{
    struct client clients[CLIENTS_MAX] = {{.number = 0}};
    size_t count = argc > 3 ? (size_t)argc - 3 : 0;
    omen_database *database;
    omen_options options;
    omen_error error;
    if (count == 0 || count > CLIENTS_MAX) {
        fprintf(stderr, "usage: kill9_clients DIRECTORY SEED DONE...\n");
        return 2;
    }
    omen_options_init(&options);
    options.log_file_bytes = 65536;
    options.checkpoint_bytes = 8192;
    options.checkpoint_ms = 10;
    if (omen_open(argv[1], &options, &database, &error) != OMEN_OK)
        fail("opening", &error);
    for (size_t i = 0; i < count; i++) {
        clients[i].number = i;
        clients[i].seed = strtoull(argv[2], NULL, 10);
        clients[i].done = strtoull(argv[3 + i], NULL, 10);
        begin(&clients[i], database);
    }
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&clients[i].thread, NULL, work, &clients[i]) != 0)
            return 1;
    for (size_t i = 0; i < count; i++)
        pthread_join(clients[i].thread, NULL);
    return 1;
}
