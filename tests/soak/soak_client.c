/* soak_client.c - a client of the soak: small statements on keys of its own, each answer checked.
 *
 * Client c has a range of keys of accounts (by number) and names (by text), and a queue of
 * events (no key). Nobody else writes them, so the client knows what each read must give, while
 * checkpoints, compaction and the other clients go on beside it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soak.h"

enum { TEXT_BYTES = 160, BATCH_ROWS = 100, EVENTS_MAX = 20000, RANGE_KEYS = 200, COLUMNS = 4 };

enum kind { ACCOUNTS, NAMES, KINDS };

/* Statements that are prepared once; those of NAMES follow those of ACCOUNTS. */
enum { GET, SET, REMOVE, COUNT, OF_A_KIND, RANGE = KINDS * OF_A_KIND, TRIM, EVENTS, STATEMENTS };

static const char *const texts[STATEMENTS] = {
    "SELECT v, note FROM accounts WHERE id = $1",
    "UPDATE accounts SET v = $2, note = $3 WHERE id = $1",
    "DELETE FROM accounts WHERE id = $1",
    "SELECT count(*), CAST(sum(v) AS BIGINT) FROM accounts WHERE owner = $1",
    "SELECT v, note FROM names WHERE name = $1",
    "UPDATE names SET v = $2, note = $3 WHERE name = $1",
    "DELETE FROM names WHERE name = $1",
    "SELECT count(*), CAST(sum(v) AS BIGINT) FROM names WHERE owner = $1",
    "UPDATE accounts SET v = v + 1 WHERE id >= $1 AND id < $2",
    "DELETE FROM events WHERE owner = $1 AND n < $2",
    "SELECT count(*), CAST(sum(n) AS BIGINT) FROM events WHERE owner = $1",
};

static const char *const tables[KINDS] = {"accounts", "names"};

/* --- values --- */

static omen_value number(int64_t value)
{
    return (omen_value){.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = value};
}

static omen_value text(const char *value)
{
    omen_value out = {.type = {.id = OMEN_TYPE_TEXT}};
    out.as.bytes = (omen_bytes){(const uint8_t *)value, strlen(value)};
    return out;
}

static omen_value key_of(const struct soak_client *client, enum kind kind, uint32_t key,
                         char buffer[static TEXT_BYTES])
{
    uint32_t global = client->number * client->soak->keys + key;
    if (kind == ACCOUNTS)
        return number(global);
    snprintf(buffer, TEXT_BYTES, "name %u of the %" PRIu32 " that there are", (unsigned)key, global);
    return text(buffer);
}

/* Notes follow from the key and differ in length. */
static omen_value note_of(uint32_t key, char buffer[static TEXT_BYTES])
{
    snprintf(buffer, TEXT_BYTES, "note of %u %.*s", (unsigned)key, (int)(key % 60),
             "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    return text(buffer);
}

/* --- running --- */

static bool check(struct soak_client *client, omen_status status, const omen_error *error,
                  const char *what)
{
    atomic_fetch_add_explicit(&client->soak->statements, 1, memory_order_relaxed);
    if (status == OMEN_OK)
        return true;
    soak_fail(client->soak, "%s: %s %s", what, error->sqlstate, error->message);
    return false;
}

/* Runs a prepared statement that changes as many rows as given. */
static bool change(struct soak_client *client, int which, const omen_value *parameters,
                   size_t count, uint64_t rows)
{
    omen_error error;
    omen_statement *statement = client->statements[which];
    if (!check(client, omen_execute(statement, parameters, count, &error), &error, texts[which]))
        return false;
    uint64_t changed = omen_statement_rows_affected(statement);
    if (changed != rows)
        soak_fail(client->soak, "%s: %" PRIu64 " rows instead of %" PRIu64, texts[which], changed,
                  rows);
    return changed == rows;
}

static bool get(struct soak_client *client, enum kind kind, uint32_t key)
{
    char key_text[TEXT_BYTES], note_text[TEXT_BYTES];
    omen_error error;
    int which = kind * OF_A_KIND + GET;
    omen_statement *statement = client->statements[which];
    omen_value parameter = key_of(client, kind, key, key_text), note = note_of(key, note_text);
    if (!check(client, omen_execute(statement, &parameter, 1, &error), &error, texts[which]))
        return false;
    omen_status status = omen_step(statement, &error);
    uint64_t expected = client->values[kind][key], found = 0;
    if (status == OMEN_OK) {
        omen_value read = omen_statement_value(statement, 1);
        found = (uint64_t)omen_statement_value(statement, 0).as.i64;
        if (read.is_null || read.as.bytes.length != note.as.bytes.length ||
            memcmp(read.as.bytes.data, note_text, note.as.bytes.length) != 0)
            soak_fail(client->soak, "%s: key %u has another's note", tables[kind], (unsigned)key);
    }
    if ((status != OMEN_OK && status != OMEN_END_OF_DATA) || found != expected)
        soak_fail(client->soak, "%s: key %u has %" PRIu64 " instead of %" PRIu64, tables[kind],
                  (unsigned)key, found, expected);
    return found == expected;
}

/* Inserts those of the keys that are not there, as one call. */
static bool insert(struct soak_client *client, enum kind kind, uint32_t first, uint32_t count)
{
    char key_texts[BATCH_ROWS][TEXT_BYTES], note_texts[BATCH_ROWS][TEXT_BYTES];
    omen_value values[BATCH_ROWS * COLUMNS];
    omen_error error;
    uint32_t rows = 0;
    for (uint32_t key = first; key < first + count && key < client->soak->keys; key++) {
        if (client->values[kind][key] != 0)
            continue;
        omen_value *row = values + (size_t)rows * COLUMNS;
        row[0] = key_of(client, kind, key, key_texts[rows]);
        row[1] = number(client->number);
        row[2] = number((int64_t)(client->values[kind][key] = ++client->clock));
        row[3] = note_of(key, note_texts[rows++]);
    }
    return rows == 0 ||
           check(client, omen_insert(client->connection, tables[kind], values, rows, &error), &error,
                 tables[kind]);
}

static bool update(struct soak_client *client, enum kind kind, uint32_t key)
{
    char key_text[TEXT_BYTES], note_text[TEXT_BYTES];
    client->values[kind][key] = ++client->clock;
    omen_value parameters[] = {key_of(client, kind, key, key_text), number((int64_t)client->clock),
                               note_of(key, note_text)};
    return change(client, kind * OF_A_KIND + SET, parameters, 3, 1);
}

static bool delete(struct soak_client *client, enum kind kind, uint32_t key)
{
    char key_text[TEXT_BYTES];
    client->values[kind][key] = 0;
    omen_value parameter = key_of(client, kind, key, key_text);
    return change(client, kind * OF_A_KIND + REMOVE, &parameter, 1, 1);
}

/* An UPDATE of a range of keys, through the engine. */
static bool update_range(struct soak_client *client)
{
    uint32_t first = (uint32_t)random_below(&client->random, client->soak->keys - RANGE_KEYS);
    uint64_t rows = 0;
    for (uint32_t key = first; key < first + RANGE_KEYS; key++)
        if (client->values[ACCOUNTS][key] != 0) {
            client->values[ACCOUNTS][key]++;
            rows++;
        }
    int64_t from = (int64_t)client->number * client->soak->keys + first;
    omen_value parameters[] = {number(from), number(from + RANGE_KEYS)};
    return change(client, RANGE, parameters, 2, rows);
}

/* Events come at one end and go at the other. */
static bool queue_events(struct soak_client *client)
{
    char note_texts[BATCH_ROWS][TEXT_BYTES];
    omen_value values[BATCH_ROWS * 3];
    omen_error error;
    uint32_t rows = 1 + (uint32_t)random_below(&client->random, BATCH_ROWS);
    for (uint32_t i = 0; i < rows; i++) {
        values[i * 3] = number(client->number);
        values[i * 3 + 1] = number((int64_t)client->event_next);
        values[i * 3 + 2] = note_of((uint32_t)client->event_next++, note_texts[i]);
    }
    if (!check(client, omen_insert(client->connection, "events", values, rows, &error), &error,
               "events"))
        return false;
    if (client->event_next - client->event_first <= EVENTS_MAX)
        return true;
    uint64_t gone = EVENTS_MAX / 4;
    client->event_first += gone;
    omen_value parameters[] = {number(client->number), number((int64_t)client->event_first)};
    return change(client, TRIM, parameters, 2, gone);
}

/* --- the whole of what the client has --- */

/* Asks the engine for a count and a sum. */
static bool compare_sum(struct soak_client *client, int which, uint64_t count, uint64_t sum)
{
    omen_error error;
    omen_value owner = number(client->number);
    omen_statement *statement = client->statements[which];
    if (!check(client, omen_execute(statement, &owner, 1, &error), &error, texts[which]) ||
        !check(client, omen_step(statement, &error), &error, texts[which]))
        return false;
    uint64_t found_count = (uint64_t)omen_statement_value(statement, 0).as.i64;
    uint64_t found_sum = (uint64_t)omen_statement_value(statement, 1).as.i64;
    if (found_count == count && (found_sum == sum || count == 0))
        return true;
    soak_fail(client->soak, "%s: client %u counts %" PRIu64 " (sum %" PRIu64 ") instead of %" PRIu64
              " (%" PRIu64 ")",
              texts[which], client->number, found_count, found_sum, count, sum);
    return false;
}

static bool compare_counts(struct soak_client *client)
{
    for (int kind = 0; kind < KINDS; kind++) {
        uint64_t count = 0, sum = 0;
        for (uint32_t key = 0; key < client->soak->keys; key++) {
            count += client->values[kind][key] != 0;
            sum += client->values[kind][key];
        }
        if (!compare_sum(client, kind * OF_A_KIND + COUNT, count, sum))
            return false;
    }
    uint64_t count = client->event_next - client->event_first;
    return compare_sum(client, EVENTS, count,
                       (client->event_first + client->event_next - 1) * count / 2);
}

bool soak_client_compare(struct soak_client *client)
{
    if (!compare_counts(client))
        return false;
    for (uint32_t key = 0; key < client->soak->keys; key++)
        if (!get(client, ACCOUNTS, key) || !get(client, NAMES, key))
            return false;
    return true;
}

/* --- its life --- */

static bool act(struct soak_client *client)
{
    uint64_t choice = random_below(&client->random, 1000);
    enum kind kind = random_below(&client->random, 3) == 0 ? NAMES : ACCOUNTS;
    uint32_t key = (uint32_t)random_below(&client->random, client->soak->keys);
    if (choice < 2)
        return compare_counts(client);
    if (choice < 10)
        return update_range(client);
    if (choice < 50)
        return queue_events(client);
    if (choice < 450)
        return get(client, kind, key);
    if (client->values[kind][key] == 0)
        return insert(client, kind, key, choice < 900 ? 1 : 1 + (uint32_t)(choice % BATCH_ROWS));
    return choice < 800 ? update(client, kind, key) : delete(client, kind, key);
}

void *soak_client_work(void *argument)
{
    struct soak_client *client = argument;
    while (!soak_over(client->soak) && act(client))
        continue;
    return NULL;
}

static bool fill(struct soak_client *client)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (uint32_t key = 0; key < client->soak->keys; key += BATCH_ROWS)
            if (!insert(client, kind, key, BATCH_ROWS))
                return false;
    return true;
}

bool soak_client_open(struct soak_client *client, struct soak *soak, unsigned count)
{
    omen_error error;
    *client = (struct soak_client){
        .soak = soak, .number = count, .random = random_seeded(soak->seed + count)};
    for (int kind = 0; kind < KINDS; kind++)
        client->values[kind] = calloc(soak->keys, sizeof *client->values[kind]);
    if (!check(client, omen_connect(soak->database, &client->connection, &error), &error,
               "connecting") ||
        !fill(client))
        return false;
    for (int i = 0; i < STATEMENTS; i++)
        if (!check(client,
                   omen_prepare(client->connection, texts[i], SIZE_MAX, &client->statements[i],
                                &error),
                   &error, texts[i]))
            return false;
    return true;
}

void soak_client_close(struct soak_client *client)
{
    for (int i = 0; i < STATEMENTS; i++)
        omen_statement_release(client->statements[i]);
    omen_disconnect(client->connection);
    for (int kind = 0; kind < KINDS; kind++)
        free(client->values[kind]);
}

bool soak_tables(struct soak *soak)
{
    static const char *const made[] = {
        "CREATE TABLE accounts (id BIGINT PRIMARY KEY, owner BIGINT NOT NULL, v BIGINT NOT NULL, "
        "note TEXT)",
        "CREATE TABLE names (name TEXT PRIMARY KEY, owner BIGINT NOT NULL, v BIGINT NOT NULL, "
        "note TEXT)",
        "CREATE TABLE events (owner BIGINT NOT NULL, n BIGINT NOT NULL, note TEXT)",
    };
    omen_connection *connection;
    omen_error error;
    bool done = true;
    if (omen_connect(soak->database, &connection, &error) != OMEN_OK) {
        soak_fail(soak, "connecting: %s", error.message);
        return false;
    }
    for (size_t i = 0; i < sizeof made / sizeof *made && done; i++)
        done = soak_run(soak, connection, made[i], NULL);
    omen_disconnect(connection);
    return done;
}
