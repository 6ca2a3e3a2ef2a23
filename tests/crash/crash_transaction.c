/* crash_transaction.c - transactions of the model: several statements, tables and savepoints, one commit.
 *
 * Nothing of a transaction may be there after a crash before its COMMIT, and all of it after one that was
 * answered. What it reads itself is compared with the model as it goes.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "crash/crash_database.h"
#include "crash/crash_model_private.h"

enum {
    STATEMENTS_MAX = 8,
    STATEMENT_CHANGES_MAX = 12, /* model_choose_changes' */
    COLUMNS_MAX = 6,
};

/* The transaction as the model has it. */
struct work {
    omen_connection *connection;
    struct random *random;
    struct model_state state;   /* what it sees */
    struct model_commit commit; /* what it has done */
    struct model_state saved_state;
    uint32_t saved_count;
    bool has_savepoint;
    bool sees_all; /* nothing is pending that may not be published */
};

/* One row by a call of its own; `there` says whether it replaces one. */
static omen_status change_row(omen_connection *connection, const struct model_change *change,
                              bool there, omen_error *error)
{
    static const char *const columns[VALUE_COLUMNS] = {"v", "note", "flag", "price"};
    const char *table = model_table_names[change->table];
    char text[TEXT_BYTES];
    omen_value values[COLUMNS_MAX];
    uint32_t keys = model_key_columns(change->table);
    memcpy(values, model_key_values(change->table, change->key), keys * sizeof *values);
    if (change->kind == MODEL_DELETE)
        return omen_delete(connection, table, values, keys, error);
    model_version_values(change->version, values + keys, text);
    if (!there)
        return omen_insert(connection, table, values, 1, error);
    return omen_update(connection, table, values, keys, columns, values + keys, VALUE_COLUMNS,
                       error);
}

static omen_status change_rows(struct work *work, omen_error *error)
{
    const struct model_state before = work->state;
    uint32_t first = work->commit.count;
    int table = (int)random_below(work->random, MODEL_TABLES);
    if (!work->state.exists[table] || first + STATEMENT_CHANGES_MAX > MODEL_CHANGES_MAX)
        return OMEN_OK;
    model_choose_changes(&work->commit, &work->state, table, work->random);
    for (uint32_t i = first; i < work->commit.count; i++) {
        const struct model_change *change = &work->commit.changes[i];
        OMEN_TRY(change_row(work->connection, change, before.versions[table][change->key] != 0,
                            error));
    }
    return OMEN_OK;
}

static omen_status define_table(struct work *work, omen_error *error)
{
    int table = (int)random_below(work->random, MODEL_TABLES);
    bool drops = work->state.exists[table];
    if (work->commit.count == MODEL_CHANGES_MAX)
        return OMEN_OK;
    model_add_change(&work->commit, drops ? MODEL_DROP : MODEL_CREATE, table, 0, 0);
    model_state_define(&work->state, table, !drops);
    return drops ? omen_table_drop(work->connection, model_table_names[table], error)
                 : crash_database_run(work->connection, model_table_texts[table], error);
}

static omen_status savepoint(struct work *work, omen_error *error)
{
    work->saved_state = work->state;
    work->saved_count = work->commit.count;
    work->has_savepoint = true;
    return crash_database_run(work->connection, "SAVEPOINT s", error);
}

static omen_status roll_back_to(struct work *work, omen_error *error)
{
    if (!work->has_savepoint)
        return OMEN_OK;
    work->state = work->saved_state;
    work->commit.count = work->saved_count;
    return crash_database_run(work->connection, "ROLLBACK TO s", error);
}

/* What the transaction sees is what it has done. */
static void check_own(const struct work *work)
{
    struct model_state found;
    char text[TEXT_BYTES];
    if (work->sees_all &&
        model_scan(work->connection, NULL, &found, text, sizeof text) == MODEL_SAME)
        OMEN_ASSERT(found.hash == work->state.hash);
}

static omen_status run_statement(struct work *work, omen_error *error)
{
    uint64_t choice = random_below(work->random, 16);
    if (choice < 10)
        return change_rows(work, error);
    if (choice < 12)
        return savepoint(work, error);
    if (choice < 14)
        return roll_back_to(work, error);
    if (choice < 15)
        return define_table(work, error);
    check_own(work);
    return OMEN_OK;
}

static omen_status run_statements(struct work *work, omen_error *error)
{
    uint64_t count = 1 + random_below(work->random, STATEMENTS_MAX);
    OMEN_TRY(crash_database_run(work->connection, "BEGIN", error));
    for (uint64_t i = 0; i < count; i++)
        OMEN_TRY(run_statement(work, error));
    return OMEN_OK;
}

omen_status model_transaction(struct model *model, omen_connection *connection,
                              struct random *random, bool durable, omen_error *error)
{
    struct work work = {.connection = connection,
                        .random = random,
                        .state = model_newest(model),
                        .sees_all = model->pending_count == 0 && !model->unsure};
    const uint64_t before = work.state.hash;
    omen_error unused;
    if (model->pending_count == MODEL_PENDING_MAX)
        return OMEN_OK;
    omen_status status = run_statements(&work, error);
    model_check_outcome(status, error);
    if (status != OMEN_OK || random_below(random, 5) == 0) {
        (void)!crash_database_run(connection, "ROLLBACK", &unused);
        return status;
    }
    if (work.state.hash == before) /* nothing to write, nothing that would be waited for */
        return crash_database_run(connection, "COMMIT", error);
    *model_begin_commit(model) = work.commit;
    model->pending_count++;
    model->changes++;
    return model_end_commit(model, crash_database_run(connection, "COMMIT", error), durable);
}
