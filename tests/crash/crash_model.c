/* crash_model.c - states, commits, and comparing a database with them. See crash_model.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "crash/crash_database.h"
#include "crash/crash_model_private.h"

enum {
    COLUMNS_MAX = 6,
    KEY_COLUMNS_MAX = 2,
    KEY_TEXT_BYTES = 64,
    LETTERS = 26,
};

const char *const model_table_names[MODEL_TABLES] = {"numbers", "names", "pairs", "events"};

const char *const model_table_texts[MODEL_TABLES] = {
    "CREATE TABLE numbers (id BIGINT PRIMARY KEY, v BIGINT NOT NULL UNIQUE, note TEXT, flag BOOLEAN, "
    "price DECIMAL(12,2))",
    "CREATE TABLE names (name TEXT PRIMARY KEY, v BIGINT NOT NULL, note TEXT, flag BOOLEAN, "
    "price DECIMAL(12,2), UNIQUE (note, v))",
    "CREATE TABLE pairs (a INTEGER, b TEXT, v BIGINT NOT NULL, note TEXT, flag BOOLEAN, "
    "price DECIMAL(12,2), PRIMARY KEY (a, b))",
    "CREATE TABLE events (id BIGINT, v BIGINT NOT NULL, note TEXT, flag BOOLEAN, "
    "price DECIMAL(12,2))",
};

uint32_t model_key_columns(int table)
{
    return table == 2 ? 2 : 1;
}

/* --- rows --- */

static omen_value number_value(omen_type_id type, int64_t number)
{
    omen_value value = {.type = {.id = type}};
    if (type == OMEN_TYPE_INTEGER)
        value.as.i32 = (int32_t)number;
    else
        value.as.i64 = number;
    return value;
}

static omen_value text_value(const char *text)
{
    omen_value value = {.type = {.id = OMEN_TYPE_TEXT}};
    value.as.bytes = (omen_bytes){(const uint8_t *)text, strlen(text)};
    return value;
}

/* A key's columns, made once: reading compares with them again and again. */
struct key {
    omen_value values[KEY_COLUMNS_MAX];
    char text[KEY_TEXT_BYTES];
};

/* Keys are far apart and near. */
static void make_key(int table, uint32_t number, struct key *key)
{
    static const char padding[] = "a key that is longer than what fits into a view";
    switch (table) {
    case 0:
        key->values[0] =
            number_value(OMEN_TYPE_BIGINT, (int64_t)number * (number < 24   ? 1
                                                              : number < 36 ? -(INT64_C(1) << 50)
                                                                            : INT64_C(1) << 50));
        break;
    case 1:
        snprintf(key->text, sizeof key->text, number % 3 == 0 ? "n%" PRIu32 : "n%" PRIu32 "%s",
                 number, padding);
        key->values[0] = text_value(key->text);
        break;
    case 2:
        snprintf(key->text, sizeof key->text, "p%" PRIu32, number % 7);
        key->values[0] = number_value(OMEN_TYPE_INTEGER, (int64_t)number / 7 - 3);
        key->values[1] = text_value(key->text);
        break;
    default:
        key->values[0] = number_value(OMEN_TYPE_BIGINT, number);
    }
}

/* The key columns of a row. */
const omen_value *model_key_values(int table, uint32_t key)
{
    static struct key keys[MODEL_TABLES][MODEL_KEYS];
    static bool made;
    for (int i = 0; i < MODEL_TABLES && !made; i++)
        for (uint32_t j = 0; j < MODEL_KEYS; j++)
            make_key(i, j, &keys[i][j]);
    made = true;
    return keys[table][key].values;
}

/* The columns behind the key. */
void model_version_values(uint64_t version, omen_value *values, char text[static TEXT_BYTES])
{
    size_t length = version % 11 == 0 ? 1500 : version % 29;
    for (size_t i = 0; i < length && i < LETTERS; i++)
        text[i] = (char)('a' + (version / 7 + i * i) % LETTERS);
    for (size_t i = LETTERS; i < length; i += LETTERS)
        memcpy(text + i, text, LETTERS);
    text[length] = '\0';
    values[0] = number_value(OMEN_TYPE_BIGINT, (int64_t)version);
    values[1] = text_value(text);
    values[1].is_null = version % 5 == 0;
    values[2] = (omen_value){.type = {.id = OMEN_TYPE_BOOLEAN}, .is_null = version % 3 == 0};
    values[2].as.boolean = version % 2 == 0;
    values[3] = (omen_value){.type = {.id = OMEN_TYPE_DECIMAL, .precision = 12, .scale = 2},
                             .is_null = version % 13 == 0};
    int64_t unscaled = (int64_t)(version % 2000003) - 1000000;
    values[3].as.decimal = (omen_decimal){(uint64_t)unscaled, unscaled < 0 ? -1 : 0};
}

static bool same_value(const omen_value *a, const omen_value *b)
{
    if (a->is_null || b->is_null)
        return a->is_null == b->is_null;
    switch (b->type.id) {
    case OMEN_TYPE_BOOLEAN:
        return a->as.boolean == b->as.boolean;
    case OMEN_TYPE_INTEGER:
        return a->as.i32 == b->as.i32;
    case OMEN_TYPE_BIGINT:
        return a->as.i64 == b->as.i64;
    case OMEN_TYPE_DECIMAL:
        return a->as.decimal.low == b->as.decimal.low && a->as.decimal.high == b->as.decimal.high;
    default:
        return a->as.bytes.length == b->as.bytes.length &&
               (b->as.bytes.length == 0 ||
                memcmp(a->as.bytes.data, b->as.bytes.data, b->as.bytes.length) == 0);
    }
}

/* Which key a row has, MODEL_KEYS where it is none that was ever written. */
static uint32_t key_of(int table, const omen_value *values)
{
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        const omen_value *expected = model_key_values(table, key);
        bool same = same_value(&values[0], &expected[0]);
        if (same && model_key_columns(table) == 2)
            same = same_value(&values[1], &expected[1]);
        if (same)
            return key;
    }
    return MODEL_KEYS;
}

/* Whether what lies behind the key is what its version says. */
static bool is_whole(const omen_value *values)
{
    char text[TEXT_BYTES];
    omen_value expected[VALUE_COLUMNS];
    if (values[0].is_null)
        return false;
    model_version_values((uint64_t)values[0].as.i64, expected, text);
    for (int i = 0; i < VALUE_COLUMNS; i++)
        if (!same_value(&values[i], &expected[i]))
            return false;
    return true;
}

/* --- states --- */

static uint64_t mix(uint64_t table, uint64_t key, uint64_t version)
{
    const uint64_t all[] = {table, key, version};
    return checksum64(all, sizeof all, 0);
}

static void state_put(struct model_state *state, int table, uint32_t key, uint64_t version)
{
    uint64_t old = state->versions[table][key];
    if (old != 0)
        state->hash -= mix((uint64_t)table, key, old);
    if (version != 0)
        state->hash += mix((uint64_t)table, key, version);
    state->versions[table][key] = version;
}

void model_state_define(struct model_state *state, int table, bool exists)
{
    for (uint32_t key = 0; key < MODEL_KEYS; key++)
        state_put(state, table, key, 0);
    if (state->exists[table] != exists)
        state->hash += exists ? mix((uint64_t)table, MODEL_KEYS, 1)
                              : (uint64_t)0 - mix((uint64_t)table, MODEL_KEYS, 1);
    state->exists[table] = exists;
}

void model_state_apply(struct model_state *state, const struct model_commit *commit)
{
    for (uint32_t i = 0; i < commit->count; i++) {
        const struct model_change *change = &commit->changes[i];
        if (change->kind == MODEL_CREATE || change->kind == MODEL_DROP)
            model_state_define(state, change->table, change->kind == MODEL_CREATE);
        else
            state_put(state, change->table, change->key,
                      change->kind == MODEL_PUT ? change->version : 0);
    }
}

/* What writers see: the base and all pending commits. */
struct model_state model_newest(const struct model *model)
{
    struct model_state state = model->base;
    for (uint32_t i = 0; i < model->pending_count; i++)
        model_state_apply(&state, &model->pending[i]);
    return state;
}

/* The first `number` commits since the beginning are acknowledged. */
static void acknowledge_up_to(struct model *model, uint64_t number)
{
    uint32_t count = 0;
    while (count < model->pending_count && model->acknowledged < number) {
        model->history[model->acknowledged++ % MODEL_HISTORY] = model->base.hash;
        model_state_apply(&model->base, &model->pending[count++]);
    }
    model->pending_count -= count;
    memmove(model->pending, model->pending + count, model->pending_count * sizeof *model->pending);
    model->changes++;
}

void model_acknowledge(struct model *model)
{
    acknowledge_up_to(model, UINT64_MAX);
    model->unsure = false;
}

/* --- commits --- */

struct model_commit *model_begin_commit(struct model *model)
{
    OMEN_ASSERT(model->pending_count < MODEL_PENDING_MAX);
    struct model_commit *commit = &model->pending[model->pending_count];
    *commit = (struct model_commit){0};
    return commit;
}

/* What becomes of the last pending commit now that its call has returned. */
omen_status model_end_commit(struct model *model, omen_status status, bool durable)
{
    if (status == OMEN_OK && durable)
        model_acknowledge(model);
    else if (status != OMEN_OK && status != OMEN_COMMIT_UNKNOWN)
        model->pending_count--;
    model->unsure = model->unsure || status == OMEN_COMMIT_UNKNOWN;
    model->changes++;
    return status;
}

void model_add_change(struct model_commit *commit, enum model_change_kind kind, int table,
                       uint32_t key, uint64_t version)
{
    OMEN_ASSERT(commit->count < MODEL_CHANGES_MAX);
    commit->changes[commit->count++] =
        (struct model_change){(uint8_t)kind, (uint8_t)table, (uint8_t)key, version};
}

/* Random changes of one table, in `state` too; each key at most once. */
void model_choose_changes(struct model_commit *commit, struct model_state *state, int table,
                           struct random *random)
{
    uint32_t count = 1 + (uint32_t)random_below(random, 1 + random_below(random, 12));
    bool used[MODEL_KEYS] = {false};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = (uint32_t)random_below(random, MODEL_KEYS);
        bool there = state->versions[table][key] != 0;
        if (used[key] || (table == MODEL_NO_KEY && there))
            continue;
        used[key] = true;
        bool deletes = there && random_below(random, 3) == 0;
        uint64_t version = deletes ? 0 : model_choose_version(state, table, random);
        model_add_change(commit, deletes ? MODEL_DELETE : MODEL_PUT, table, key, version);
        state_put(state, table, key, version);
    }
}

/* One change as part of a write set; `there` says whether it replaces a row. */
static omen_status write_change(struct write_set *set, const struct model_change *change,
                                bool there, omen_error *error)
{
    char value_text[TEXT_BYTES];
    omen_value values[COLUMNS_MAX];
    uint32_t keys = model_key_columns(change->table), columns[VALUE_COLUMNS];
    memcpy(values, model_key_values(change->table, change->key), keys * sizeof *values);
    if (change->kind == MODEL_DELETE)
        return write_set_delete(set, values, error);
    model_version_values(change->version, values + keys, value_text);
    if (!there)
        return write_set_insert(set, values, error);
    for (uint32_t i = 0; i < VALUE_COLUMNS; i++)
        columns[i] = keys + i;
    return write_set_update(set, values, columns, values + keys, VALUE_COLUMNS, error);
}

/* Under the writer lock: the changes, and their commit. */
static omen_status write_changes(struct session *session, struct write_set *set,
                                 const struct model_commit *commit,
                                 const struct model_state *before, struct txn_ticket *ticket,
                                 omen_error *error)
{
    for (uint32_t i = 0; i < commit->count; i++) {
        const struct model_change *change = &commit->changes[i];
        OMEN_TRY(
            write_change(set, change, before->versions[change->table][change->key] != 0, error));
    }
    return session_commit_locked(session, set, ticket, error);
}

/* Appends a commit of random changes, which is then the last pending one. `*begun` where there was
 * something to commit; `waits`: on success it is waited for. */
static omen_status append(struct model *model, struct session *session, struct random *random,
                          bool waits, bool *begun, struct txn_ticket *ticket, omen_error *error)
{
    struct model_state state = model_newest(model), before = state;
    int table = (int)random_below(random, MODEL_TABLES);
    *begun = false;
    if (!state.exists[table] || model->pending_count == MODEL_PENDING_MAX)
        return OMEN_OK;
    struct model_commit *commit = model_begin_commit(model);
    model_choose_changes(commit, &state, table, random);
    if (commit->count == 0)
        return OMEN_OK;
    *begun = true;
    model->pending_count++;
    model->changes++;
    struct table *found;
    OMEN_TRY(api_table(session, model_table_names[table], &found, error));
    struct write_set *set = NULL;
    omen_status status = write_set_create(found, &set);
    if (status == OMEN_OK)
        status = session_writer_lock(session, 0, error);
    if (status == OMEN_OK) {
        status = write_changes(session, set, commit, &before, ticket, error);
        model_check_outcome(status, error);
        if (status == OMEN_OK && !waits)
            txn_writer_unlock(session->database->manager);
        else
            status = session_writer_unlock(session, status, ticket, error);
    }
    write_set_destroy(set);
    table_release(found);
    return status;
}

omen_status model_write(struct model *model, omen_connection *connection, struct random *random,
                        bool durable, omen_error *error)
{
    bool begun;
    struct txn_ticket ticket = {0};
    omen_status status =
        append(model, session_of(connection), random, true, &begun, &ticket, error);
    return begun ? model_end_commit(model, status, durable) : status;
}

omen_status model_append(struct model *model, omen_connection *connection, struct random *random,
                         struct model_flight *flight, omen_error *error)
{
    bool begun;
    *flight = (struct model_flight){0};
    omen_status status =
        append(model, session_of(connection), random, false, &begun, &flight->ticket, error);
    if (begun)
        status = model_end_commit(model, status, false);
    if (begun && status == OMEN_OK)
        flight->number = model->acknowledged + model->pending_count;
    return status;
}

omen_status model_wait(struct model *model, omen_connection *connection,
                       const struct model_flight *flight, omen_error *error)
{
    if (flight->number == 0)
        return OMEN_OK;
    struct txn_manager *manager = session_of(connection)->database->manager;
    omen_status status = txn_wait(manager, &flight->ticket, error);
    if (status == OMEN_OK)
        acknowledge_up_to(model, flight->number);
    model->unsure = model->unsure || status != OMEN_OK;
    model->changes++;
    return status;
}

/* --- statements that make many rows --- */

static const char *const csv_path = "rows.csv";

/* The rows of a commit, as lines or, with the types of their columns, as what VALUES takes; each
 * value in quotes, and NULL as `null`. The caller frees. */
static char *rows_as_text(const struct model_commit *commit, char quote, const char *null,
                          bool typed, size_t *length)
{
    static const char *const value_types[] = {"BIGINT", "TEXT", "BOOLEAN", "DECIMAL(12,2)"};
    char *text = NULL, value_text[TEXT_BYTES], shown[TEXT_BYTES];
    FILE *out = open_memstream(&text, length);
    OMEN_ASSERT(out != NULL);
    for (uint32_t i = 0; i < commit->count; i++) {
        const struct model_change *change = &commit->changes[i];
        omen_value values[COLUMNS_MAX];
        uint32_t keys = model_key_columns(change->table);
        if (change->kind != MODEL_PUT)
            continue;
        memcpy(values, model_key_values(change->table, change->key), keys * sizeof *values);
        model_version_values(change->version, values + keys, value_text);
        for (uint32_t j = 0; j < keys + VALUE_COLUMNS; j++) {
            size_t bytes;
            fprintf(out, "%s%s", j > 0 ? "," : typed ? ftell(out) > 0 ? "),(" : "(" : "",
                    typed ? "CAST(" : "");
            if (values[j].is_null)
                fputs(null, out);
            else if (omen_value_to_text(&values[j], shown, sizeof shown, &bytes) == OMEN_OK)
                fprintf(out, "%c%.*s%c", quote, (int)bytes, shown, quote);
            if (typed)
                fprintf(out, " AS %s)", j < keys ? "BIGINT" : value_types[j - keys]);
        }
        fputs(typed ? "" : "\n", out);
    }
    fputs(typed ? ")" : "", out);
    fclose(out);
    return text;
}

/* Begins the next commit: some rows that a table lacks, before it the table where there is none. */
static struct model_commit *begin_rows(struct model *model, int table, struct random *random)
{
    struct model_state state = model_newest(model);
    struct model_commit *commit = model_begin_commit(model);
    if (!state.exists[table])
        model_add_change(commit, MODEL_CREATE, table, 0, 0);
    uint32_t first = (uint32_t)random_below(random, MODEL_KEYS);
    uint32_t end = first + 1 + (uint32_t)random_below(random, MODEL_KEYS - first);
    for (uint32_t key = first; key < end && commit->count < MODEL_CHANGES_MAX; key++) {
        if (state.versions[table][key] != 0)
            continue;
        state_put(&state, table, key, model_choose_version(&state, table, random));
        model_add_change(commit, MODEL_PUT, table, key, state.versions[table][key]);
    }
    model->pending_count++;
    model->changes++;
    return commit;
}

omen_status model_create_as(struct model *model, omen_connection *connection, struct random *random,
                            bool durable, omen_error *error)
{
    if (model_newest(model).exists[MODEL_NO_KEY] || model->pending_count == MODEL_PENDING_MAX)
        return OMEN_OK;
    size_t length;
    char *rows = rows_as_text(begin_rows(model, MODEL_NO_KEY, random), '\'', "NULL", true, &length);
    char *sql = malloc(length + TEXT_BYTES);
    OMEN_ASSERT(sql != NULL);
    snprintf(sql, length + TEXT_BYTES, "CREATE TABLE %s (id, v, note, flag, price) AS VALUES %s",
             model_table_names[MODEL_NO_KEY], rows);
    omen_status status = crash_database_run(connection, sql, error);
    free(sql);
    free(rows);
    return model_end_commit(model, status, durable);
}

static bool write_csv(const struct os *os, const char *text, size_t length)
{
    int64_t file;
    (void)!os->file_remove(os, csv_path, NULL);
    if (os->file_open(os, csv_path, OS_OPEN_CREATE_OUT, &file, NULL) != OMEN_OK)
        return false;
    omen_status status = os->file_write_at(os, file, text, length, 0, NULL);
    os->file_close(os, file);
    return status == OMEN_OK;
}

omen_status model_copy(struct model *model, omen_connection *connection, struct random *random,
                       bool durable, omen_error *error)
{
    int table = (int)random_below(random, MODEL_TABLES);
    if (!model_newest(model).exists[table] || model->pending_count == MODEL_PENDING_MAX)
        return OMEN_OK;
    struct model_commit *commit = begin_rows(model, table, random);
    size_t length;
    char *rows = rows_as_text(commit, '"', "", false, &length), sql[TEXT_BYTES];
    bool written = write_csv(session_of(connection)->database->os, rows, length);
    free(rows);
    if (!written || commit->count == 0) {
        model->pending_count--;
        model->changes++;
        return OMEN_OK;
    }
    snprintf(sql, sizeof sql, "COPY %s FROM '%s' (FORMAT csv)", model_table_names[table], csv_path);
    omen_status status = crash_database_run(connection, sql, error);
    model_check_outcome(status, error);
    return model_end_commit(model, status, durable);
}

omen_status model_define(struct model *model, omen_connection *connection, struct random *random,
                         omen_error *error)
{
    const struct model_state state = model_newest(model);
    int table = (int)random_below(random, MODEL_TABLES);
    if (model->pending_count == MODEL_PENDING_MAX)
        return OMEN_OK;
    struct model_commit *commit = model_begin_commit(model);
    model_add_change(commit, state.exists[table] ? MODEL_DROP : MODEL_CREATE, table, 0, 0);
    model->pending_count++;
    model->changes++;
    omen_status status = state.exists[table]
                             ? omen_table_drop(connection, model_table_names[table], error)
                             : crash_database_run(connection, model_table_texts[table], error);
    return model_end_commit(model, status, true);
}

/* --- reading --- */

static omen_value array_value(const struct ArrowArray *array, omen_type_id type, int64_t row)
{
    omen_value value = {.type = {.id = type}};
    int64_t at = array->offset + row;
    const uint8_t *validity = array->buffers[0];
    value.is_null = validity != NULL && (validity[at / 8] >> (at % 8) & 1) == 0;
    const void *values = array->buffers[1];
    if (type == OMEN_TYPE_BIGINT)
        value.as.i64 = ((const int64_t *)values)[at];
    else if (type == OMEN_TYPE_INTEGER)
        value.as.i32 = ((const int32_t *)values)[at];
    else if (type == OMEN_TYPE_BOOLEAN)
        value.as.boolean = ((const uint8_t *)values)[at / 8] >> (at % 8) & 1;
    else if (type == OMEN_TYPE_DECIMAL)
        memcpy(&value.as.decimal, (const uint8_t *)values + 16 * at, 16);
    if (type != OMEN_TYPE_TEXT || value.is_null)
        return value;
    const uint8_t *view = (const uint8_t *)values + 16 * at;
    uint32_t parts[4];
    memcpy(parts, view, sizeof parts);
    value.as.bytes.length = parts[0];
    value.as.bytes.data =
        parts[0] <= 12 ? view + 4 : (const uint8_t *)array->buffers[2 + parts[2]] + parts[3];
    return value;
}

static omen_type_id column_type(int table, uint32_t column)
{
    static const omen_type_id value_types[] = {OMEN_TYPE_BIGINT, OMEN_TYPE_TEXT, OMEN_TYPE_BOOLEAN,
                                               OMEN_TYPE_DECIMAL};
    uint32_t keys = model_key_columns(table);
    if (column >= keys)
        return value_types[column - keys];
    return table == 1 || column == 1 ? OMEN_TYPE_TEXT
           : table == 2              ? OMEN_TYPE_INTEGER
                                     : OMEN_TYPE_BIGINT;
}

/* Adds the rows of a batch to the state found. */
static bool take_batch(const struct ArrowArray *batch, int table, struct model_state *found,
                       char *text, size_t text_bytes)
{
    uint32_t keys = model_key_columns(table), count = keys + VALUE_COLUMNS;
    if (batch->n_children != (int64_t)count) {
        snprintf(text, text_bytes, "%s has %d columns", model_table_names[table], (int)batch->n_children);
        return false;
    }
    for (int64_t row = 0; row < batch->length; row++) {
        omen_value values[COLUMNS_MAX];
        for (uint32_t i = 0; i < count; i++)
            values[i] = array_value(batch->children[i], column_type(table, i), row + batch->offset);
        uint32_t key = key_of(table, values);
        if (key == MODEL_KEYS || !is_whole(values + keys)) {
            snprintf(text, text_bytes, "%s: a row is not whole (key %u, v %" PRId64 ")",
                     model_table_names[table], (unsigned)key, values[keys].as.i64);
            return false;
        }
        if (found->versions[table][key] != 0) {
            snprintf(text, text_bytes, "%s: key %u twice", model_table_names[table], (unsigned)key);
            return false;
        }
        state_put(found, table, key, (uint64_t)values[keys].as.i64);
    }
    return true;
}

static enum model_verdict scan_table(omen_connection *connection, int table,
                                     const omen_snapshot *snapshot, struct model_state *found,
                                     char *text, size_t text_bytes)
{
    omen_error error;
    struct ArrowArrayStream rows;
    omen_scan_options options = {.struct_bytes = sizeof options, .snapshot = snapshot};
    omen_status status = omen_scan(connection, model_table_names[table], &options, &rows, &error);
    if (status == OMEN_UNDEFINED_TABLE)
        return MODEL_SAME;
    if (status != OMEN_OK) {
        snprintf(text, text_bytes, "%s: %s", model_table_names[table], error.message);
        return MODEL_UNREADABLE;
    }
    model_state_define(found, table, true);
    struct ArrowArray batch;
    enum model_verdict result = MODEL_SAME;
    while (result == MODEL_SAME) {
        if (rows.get_next(&rows, &batch) != 0) {
            snprintf(text, text_bytes, "%s: %s", model_table_names[table], rows.get_last_error(&rows));
            result = MODEL_UNREADABLE;
            break;
        }
        if (batch.release == NULL)
            break;
        if (!take_batch(&batch, table, found, text, text_bytes))
            result = MODEL_HALF;
        batch.release(&batch);
    }
    rows.release(&rows);
    return result;
}

enum model_verdict model_scan(omen_connection *connection, const omen_snapshot *snapshot,
                              struct model_state *found, char *text, size_t text_bytes)
{
    *found = (struct model_state){0};
    enum model_verdict verdict = MODEL_SAME;
    for (int table = 0; table < MODEL_TABLES && verdict == MODEL_SAME; table++)
        verdict = scan_table(connection, table, snapshot, found, text, text_bytes);
    return verdict;
}

/* The same rows as in the base; `text` gets a difference. */
static bool same_rows(const struct model *model, const struct model_state *found, int table,
                      char *text, size_t text_bytes)
{
    if (found->exists[table] != model->base.exists[table]) {
        snprintf(text, text_bytes, "%s is %s", model_table_names[table],
                 found->exists[table] ? "there again" : "gone");
        return false;
    }
    for (uint32_t key = 0; key < MODEL_KEYS; key++)
        if (found->versions[table][key] != model->base.versions[table][key]) {
            snprintf(text, text_bytes, "%s: key %u has v %" PRIu64 " instead of %" PRIu64,
                     model_table_names[table], (unsigned)key, found->versions[table][key],
                     model->base.versions[table][key]);
            return false;
        }
    return true;
}

/* One key by the index: right, failed, or wrong. */
static enum model_verdict get_key(const struct model *model, omen_connection *connection, int table,
                                  uint32_t key, char *text, size_t text_bytes)
{
    omen_value values[COLUMNS_MAX];
    omen_row *row;
    uint64_t version = model->base.versions[table][key];
    omen_status status = omen_get(connection, model_table_names[table], NULL, model_key_values(table, key),
                                  model_key_columns(table), &row, NULL);
    if (status == OMEN_NOT_FOUND && version == 0)
        return MODEL_SAME;
    if (status != OMEN_OK && status != OMEN_NOT_FOUND)
        return MODEL_UNREADABLE;
    bool same = false;
    if (status == OMEN_OK) {
        for (uint32_t i = 0; i < VALUE_COLUMNS; i++)
            values[i] = omen_row_value(row, model_key_columns(table) + i);
        same = version != 0 && is_whole(values) && (uint64_t)values[0].as.i64 == version;
    }
    omen_row_release(row);
    if (!same)
        snprintf(text, text_bytes, "%s: key %u is wrong by the index", model_table_names[table],
                 (unsigned)key);
    return same ? MODEL_SAME : MODEL_HALF;
}

bool model_never_wrong(const struct model *model, omen_connection *connection, uint64_t *failed,
                       char *text, size_t text_bytes)
{
    for (int table = 0; table < MODEL_TABLES; table++) {
        struct model_state found = {0};
        enum model_verdict result = scan_table(connection, table, NULL, &found, text, text_bytes);
        if (result == MODEL_HALF ||
            (result == MODEL_SAME && !same_rows(model, &found, table, text, text_bytes)))
            return false;
        *failed += result == MODEL_UNREADABLE;
        for (uint32_t key = 0; key < MODEL_KEYS; key++) {
            if (table == MODEL_NO_KEY || !model->base.exists[table])
                continue;
            result = get_key(model, connection, table, key, text, text_bytes);
            if (result == MODEL_HALF)
                return false;
            *failed += result == MODEL_UNREADABLE;
        }
    }
    return true;
}

/* Whether the index leads to the row that the scan found, and to none where there is none. */
static enum model_verdict get_agrees(omen_connection *connection, int table, uint32_t key,
                                     uint64_t version, char *text, size_t text_bytes)
{
    omen_value values[COLUMNS_MAX];
    omen_row *row;
    omen_error error;
    uint32_t keys = model_key_columns(table);
    omen_status status =
        omen_get(connection, model_table_names[table], NULL, model_key_values(table, key), keys, &row, &error);
    if (status == OMEN_NOT_FOUND && version == 0)
        return MODEL_SAME;
    if (status != OMEN_OK) {
        snprintf(text, text_bytes, "%s: key %u, which a scan %s: %s", model_table_names[table],
                 (unsigned)key, version != 0 ? "finds" : "does not find",
                 status == OMEN_NOT_FOUND ? "not found by the index" : error.message);
        return status == OMEN_NOT_FOUND ? MODEL_HALF : MODEL_UNREADABLE;
    }
    for (uint32_t i = 0; i < VALUE_COLUMNS; i++)
        values[i] = omen_row_value(row, keys + i);
    bool same = version != 0 && is_whole(values) && (uint64_t)values[0].as.i64 == version;
    if (!same)
        snprintf(text, text_bytes,
                 "%s: key %u is v %" PRId64 " by the index and %" PRIu64 " by scan",
                 model_table_names[table], (unsigned)key, values[0].as.i64, version);
    omen_row_release(row);
    return same ? MODEL_SAME : MODEL_HALF;
}

static enum model_verdict index_agrees(omen_connection *connection, const struct model_state *found,
                                       char *text, size_t text_bytes)
{
    enum model_verdict verdict = MODEL_SAME;
    for (int table = 0; table < MODEL_NO_KEY; table++)
        for (uint32_t key = 0; key < MODEL_KEYS; key++)
            if (found->exists[table] && verdict == MODEL_SAME)
                verdict = get_agrees(connection, table, key, found->versions[table][key], text,
                                     text_bytes);
    return verdict;
}

/* How many pending commits lead to this hash; UINT32_MAX where none do. */
static uint32_t find_state(const struct model *model, uint64_t hash)
{
    struct model_state state = model->base;
    uint32_t found = state.hash == hash ? 0 : UINT32_MAX;
    for (uint32_t i = 0; i < model->pending_count; i++) {
        model_state_apply(&state, &model->pending[i]);
        if (state.hash == hash)
            found = i + 1;
    }
    return found;
}

/* The first difference to the base, for the message. */
static void tell_difference(const struct model *model, const struct model_state *found, char *text,
                            size_t text_bytes)
{
    for (int table = 0; table < MODEL_TABLES; table++) {
        if (found->exists[table] != model->base.exists[table]) {
            snprintf(text, text_bytes, "%s exists: %d, acknowledged: %d", model_table_names[table],
                     found->exists[table], model->base.exists[table]);
            return;
        }
        for (uint32_t key = 0; key < MODEL_KEYS; key++)
            if (found->versions[table][key] != model->base.versions[table][key]) {
                snprintf(text, text_bytes,
                         "%s: key %u has v %" PRIu64 ", acknowledged: %" PRIu64
                         " (and %u commits pending)",
                         model_table_names[table], (unsigned)key, found->versions[table][key],
                         model->base.versions[table][key], (unsigned)model->pending_count);
                return;
            }
    }
}

enum model_verdict model_compare(struct model *model, omen_connection *connection, bool settle,
                                 char *text, size_t text_bytes)
{
    struct model_state found;
    enum model_verdict verdict = model_scan(connection, NULL, &found, text, text_bytes);
    if (verdict == MODEL_SAME)
        verdict = index_agrees(connection, &found, text, text_bytes);
    if (verdict == MODEL_SAME && settle &&
        !model_refuses_duplicates(connection, &found, text, text_bytes))
        verdict = MODEL_HALF;
    if (verdict != MODEL_SAME)
        return verdict;
    uint64_t hash = found.hash;
    uint32_t steps = find_state(model, hash);
    if (steps == UINT32_MAX) {
        tell_difference(model, &found, text, text_bytes);
        for (uint32_t i = 0; i < MODEL_HISTORY && i < model->acknowledged; i++)
            if (model->history[i] == hash)
                return MODEL_LOST;
        return MODEL_HALF;
    }
    if (settle) {
        model->pending_count = steps;
        model_acknowledge(model);
    }
    return MODEL_SAME;
}
