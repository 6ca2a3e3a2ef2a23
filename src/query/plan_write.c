/* plan_write.c - running INSERT, UPDATE and DELETE.
 *
 * Rows are gathered in a write set, which nobody sees, and committed at once: so a statement reads
 * its own target as it was (R7.2, R7.4), and a failed one leaves nothing.
 *
 *   by key     under the writer lock: read the row, compute, commit
 *   otherwise  the engine reads targets and new values at a snapshot; where another statement has
 *              changed a target by the time of the commit, all is read again (R7.3), from the third
 *              time on under the writer lock, so that it comes to an end
 */
#include <string.h>

#include "query/decode.h"
#include "query/plan.h"

enum { RUNS_WITHOUT_LOCK = 2 };

/* --- INSERT --- */

/* Rows on their way into a table. */
struct inserting {
    struct plan *plan;
    struct run *run;
    struct write_set *set;
    struct arena arena; /* of one row */
    omen_value *values; /* one row in the table's order */
    size_t value_bytes;
    bool *given; /* columns that the statement has values for */
};

/* The columns that the row at hand has no value for get their defaults. */
static omen_status fill_default(struct inserting *inserting, uint32_t column, omen_error *error)
{
    struct evaluation evaluation = run_evaluation(inserting->run);
    evaluation.arena = &inserting->arena;
    return evaluate(inserting->plan->insert.defaults[column], &evaluation,
                    &inserting->values[column], error);
}

static omen_status fill_defaults(struct inserting *inserting, omen_error *error)
{
    const struct schema *schema = table_schema(inserting->plan->insert.bound.table);
    for (uint32_t i = 0; i < schema->column_count; i++)
        if (!inserting->given[i])
            OMEN_TRY(fill_default(inserting, i, error));
    return OMEN_OK;
}

static omen_status insert_rows(struct inserting *inserting, omen_error *error)
{
    const struct bound_insert *bound = &inserting->plan->insert.bound;
    struct evaluation evaluation = run_evaluation(inserting->run);
    evaluation.arena = &inserting->arena;
    for (uint32_t row = 0; row < bound->row_count; row++) {
        if (inserting->arena.blocks != NULL)
            arena_reset(&inserting->arena);
        OMEN_TRY(fill_defaults(inserting, error));
        for (uint32_t i = 0; i < bound->column_count; i++) {
            const struct expression *cell = bound->rows[row][i];
            if (cell == NULL)
                OMEN_TRY(fill_default(inserting, bound->columns[i], error));
            else
                OMEN_TRY(evaluate(cell, &evaluation, &inserting->values[bound->columns[i]], error));
        }
        OMEN_TRY(write_set_insert(inserting->set, inserting->values, error));
    }
    return OMEN_OK;
}

static omen_status insert_values(struct inserting *inserting, const struct value_rows *rows,
                                 omen_error *error)
{
    const struct bound_insert *bound = &inserting->plan->insert.bound;
    for (uint64_t row = 0; row < rows->row_count; row++) {
        OMEN_TRY(fill_defaults(inserting, error));
        for (uint32_t i = 0; i < bound->column_count; i++)
            inserting->values[bound->columns[i]] = rows->values[row * rows->column_count + i];
        OMEN_TRY(write_set_insert(inserting->set, inserting->values, error));
    }
    return OMEN_OK;
}

static omen_status insert_pinned(struct inserting *inserting, const struct row_ref *row,
                                 omen_error *error)
{
    const struct bound_insert *bound = &inserting->plan->insert.bound;
    if (row->group == NULL)
        return OMEN_OK;
    OMEN_TRY(fill_defaults(inserting, error));
    for (uint32_t i = 0; i < bound->column_count; i++)
        row_group_read(row->group, row->slot, inserting->plan->rows.columns[i],
                       &inserting->values[bound->columns[i]]);
    return write_set_insert(inserting->set, inserting->values, error);
}

static omen_status insert_stream(struct inserting *inserting, struct ArrowArrayStream *stream,
                                 omen_error *error)
{
    const struct bound_insert *bound = &inserting->plan->insert.bound;
    const struct allocator *allocator = inserting->plan->arena.allocator;
    struct decoder *decoder;
    omen_status status;
    OMEN_TRY(decoder_create((struct allocator *)allocator, stream, &decoder, error));
    while ((status = decoder_step(decoder, error)) == OMEN_OK) {
        if (inserting->arena.blocks != NULL)
            arena_reset(&inserting->arena);
        status = fill_defaults(inserting, error);
        for (uint32_t i = 0; i < bound->column_count; i++)
            inserting->values[bound->columns[i]] = decoder_value(decoder, i);
        if (status == OMEN_OK)
            status = write_set_insert(inserting->set, inserting->values, error);
        if (status != OMEN_OK)
            break;
    }
    decoder_destroy(decoder);
    return status == OMEN_END_OF_DATA ? OMEN_OK : status;
}

static omen_status insert_query(struct inserting *inserting, omen_error *error)
{
    struct query_rows rows;
    omen_status status = query_run(&inserting->plan->rows, inserting->run, &rows, error);
    if (status == OMEN_OK) {
        switch (rows.kind) {
        case ROWS_PINNED:
            status = insert_pinned(inserting, &rows.row, error);
            break;
        case ROWS_VALUES:
            status = insert_values(inserting, &rows.values, error);
            break;
        case ROWS_STREAM:
            status = insert_stream(inserting, &rows.stream, error);
            break;
        }
    }
    query_rows_release(&rows);
    return status;
}

omen_status insert_gather(struct plan *plan, struct run *run, struct write_set *set,
                          omen_error *error)
{
    const struct bound_insert *bound = &plan->insert.bound;
    uint32_t column_count = table_schema(bound->table)->column_count;
    struct inserting inserting = {.plan = plan, .run = run, .set = set};
    inserting.values = arena_alloc(run->scratch, column_count * sizeof(omen_value));
    inserting.given = arena_alloc(run->scratch, column_count);
    if (inserting.values == NULL || inserting.given == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    memset(inserting.given, 0, column_count);
    for (uint32_t i = 0; i < bound->column_count; i++)
        inserting.given[bound->columns[i]] = true;
    arena_init(&inserting.arena, plan->arena.allocator);
    omen_status status =
        bound->query != NULL ? insert_query(&inserting, error) : insert_rows(&inserting, error);
    arena_release(&inserting.arena);
    return status;
}

omen_status insert_run(struct plan *plan, struct run *run, uint64_t *rows, omen_error *error)
{
    struct write_set *set;
    run->route = ROUTE_BY_CORE;
    omen_status status = write_set_create(plan->insert.bound.table, &set);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    status = insert_gather(plan, run, set, error);
    if (status == OMEN_OK)
        status = session_commit(run->session, run->deadline_ns, set, error);
    if (status == OMEN_OK)
        *rows = write_set_row_count(set);
    write_set_destroy(set);
    return status;
}

/* --- UPDATE and DELETE by key --- */

/* Changes the row in `set`. The caller holds the writer lock. */
static omen_status change_row(struct plan *plan, struct run *run, const struct row_ref *row,
                              struct write_set *set, omen_error *error)
{
    const struct bound_change *change = &plan->change;
    const struct schema *schema = table_schema(change->table);
    struct evaluation evaluation = run_evaluation(run);
    omen_value key[SCHEMA_KEY_COLUMNS_MAX];
    OMEN_TRY(row_group_ensure_key(row->group, error));
    for (uint32_t i = 0; i < schema->key_count; i++)
        row_group_read(row->group, row->slot, schema->key_columns[i], &key[i]);
    if (plan->kind == PLAN_DELETE)
        return write_set_delete(set, key, error);
    omen_value *values = arena_alloc(run->scratch, change->column_count * sizeof *values);
    if (values == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    evaluation.read_column = lookup_read_column;
    evaluation.row = (void *)row;
    for (uint32_t i = 0; i < change->column_count; i++)
        OMEN_TRY(
            evaluate(change->query->targets[i + 1].expression, &evaluation, &values[i], error));
    return write_set_update(set, key, change->columns, values, change->column_count, error);
}

static omen_status change_by_key(struct plan *plan, struct run *run, struct write_set *set,
                                 omen_error *error)
{
    struct evaluation evaluation = run_evaluation(run);
    struct row_ref row;
    struct txn_ticket ticket;
    session_count_own(&run->session->route_index, 1);
    /* With the lock, so that the row found stays the newest. It may not be durable yet, but then
     * neither is what is made of it, and what is answered without a commit waits for it. */
    OMEN_TRY(session_writer_lock(run->session, run->deadline_ns, error));
    omen_status status = lookup_newest(plan->rows.lookup, &evaluation, &row, error);
    bool found = status == OMEN_OK && row.group != NULL;
    if (found) {
        status = change_row(plan, run, &row, set, error);
        if (status == OMEN_OK)
            status = session_commit_locked(run->session, set, &ticket, error);
        row_ref_release(&row);
    }
    return session_writer_unlock(run->session, status, found ? &ticket : NULL, error);
}

/* --- UPDATE and DELETE by the engine --- */

/* Puts the rows that the engine gives into the set: a row id, then the new values. */
static omen_status gather_changes(struct plan *plan, struct ArrowArrayStream *stream,
                                  struct write_set *set, omen_value *values, omen_error *error)
{
    const struct bound_change *change = &plan->change;
    struct decoder *decoder;
    omen_status status;
    OMEN_TRY(decoder_create(plan->arena.allocator, stream, &decoder, error));
    while ((status = decoder_step(decoder, error)) == OMEN_OK) {
        omen_value row_id = decoder_value(decoder, 0);
        if (row_id.is_null || row_id.type.id != OMEN_TYPE_BIGINT) {
            status = error_set(error, OMEN_INTERNAL, "the engine gave no row id");
            break;
        }
        for (uint32_t i = 0; i < change->column_count; i++)
            values[i] = decoder_value(decoder, i + 1);
        status = plan->kind == PLAN_DELETE
                     ? write_set_delete_row(set, (uint64_t)row_id.as.i64, error)
                     : write_set_update_row(set, (uint64_t)row_id.as.i64, change->columns, values,
                                            change->column_count, error);
        if (status != OMEN_OK)
            break;
    }
    decoder_destroy(decoder);
    return status == OMEN_END_OF_DATA ? OMEN_OK : status;
}

/* With `ticket` the caller holds the writer lock and waits; NULL: done here. */
static omen_status change_once(struct plan *plan, struct run *run, struct txn_ticket *ticket,
                               uint64_t *rows, omen_error *error)
{
    struct ArrowArrayStream stream;
    struct write_set *set = NULL;
    omen_value *values = arena_alloc(run->scratch, plan->change.column_count * sizeof *values);
    if (values == NULL || write_set_create(plan->change.table, &set) != OMEN_OK)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_status status = query_run_engine(&plan->rows, run, &stream, error);
    if (status == OMEN_OK)
        status = gather_changes(plan, &stream, set, values, error);
    if (status == OMEN_OK)
        status = ticket != NULL ? session_commit_locked(run->session, set, ticket, error)
                                : session_commit(run->session, run->deadline_ns, set, error);
    if (status == OMEN_OK)
        *rows = write_set_row_count(set);
    write_set_destroy(set);
    return status;
}

/* READ COMMITTED: a conflict is never the user's to see. What it conflicts with has been published
 * by the time the commit has failed, so that the next run sees it. */
static omen_status change_by_engine(struct plan *plan, struct run *run, uint64_t *rows,
                                    omen_error *error)
{
    struct txn_manager *manager = run->session->database->manager;
    for (int runs = 0; runs < RUNS_WITHOUT_LOCK; runs++) {
        omen_error failure = {.status = OMEN_OK};
        omen_status status = change_once(plan, run, NULL, rows, &failure);
        if (status == OMEN_SERIALIZATION_FAILURE)
            continue;
        if (status != OMEN_OK && error != NULL)
            *error = failure;
        return status;
    }
    OMEN_TRY(session_writer_lock(run->session, run->deadline_ns, error));
    /* The snapshot to come has everything: nobody commits any more. */
    struct txn_ticket ticket = txn_newest(manager);
    omen_status status = txn_settle(manager, &ticket, error);
    if (status == OMEN_OK)
        status = change_once(plan, run, &ticket, rows, error);
    return session_writer_unlock(run->session, status, &ticket, error);
}

omen_status change_run(struct plan *plan, struct run *run, uint64_t *rows, omen_error *error)
{
    OMEN_TRY(query_choose(&plan->rows, run->session, true, &run->route, error));
    if (run->route == ROUTE_BY_ENGINE)
        return change_by_engine(plan, run, rows, error);
    struct write_set *set;
    omen_status status = write_set_create(plan->change.table, &set);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    status = change_by_key(plan, run, set, error);
    if (status == OMEN_OK)
        *rows = write_set_row_count(set);
    write_set_destroy(set);
    return status;
}
