/* plan_write.c - running INSERT, UPDATE and DELETE.
 *
 * Rows are gathered in a write set, which nobody sees, and kept at once: so a statement reads
 * its own target as it was (R7.2, R7.4), and a failed one leaves nothing.
 *
 *   by key     under the writer lock: read the row, compute, keep
 *   otherwise  the engine reads targets and new values at a snapshot; where another statement has
 *              changed a target by the time they are kept, all that was chosen is locked and read
 *              again (R7.3)
 *
 * Kept means committed or, in a transaction, added to it.
 */
#include <string.h>

#include "query/decode.h"
#include "query/plan.h"

enum { RUNS_MAX = 100 }; /* two are enough, unless rows keep going and coming */

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
    OMEN_TRY(
        transaction_take_set(run->session, plan->insert.bound.table, &plan->kept, &set, error));
    omen_status status = insert_gather(plan, run, set, error);
    if (status == OMEN_OK)
        status = session_keep(run->session, run->deadline_ns, set, error);
    if (status == OMEN_OK)
        *rows = write_set_row_count(set);
    transaction_leave_set(run->session, &plan->kept, set);
    return status;
}

/* --- UPDATE and DELETE by key --- */

struct key_change {
    struct plan *plan;
    struct run *run;
};

/* As session_change_row asks for it: where the filters are true of the row. */
static omen_status change_row(void *context, struct row_ref *row, struct write_set *set,
                              omen_error *error)
{
    const struct key_change *changing = context;
    struct plan *plan = changing->plan;
    const struct bound_change *change = &plan->change;
    const struct schema *schema = table_schema(change->table);
    struct evaluation evaluation = run_evaluation(changing->run);
    omen_value key[SCHEMA_KEY_COLUMNS_MAX];
    OMEN_TRY(lookup_filter(plan->rows.lookup, &evaluation, row, error));
    if (row->group == NULL)
        return OMEN_OK;
    OMEN_TRY(row_group_ensure_key(row->group, error));
    for (uint32_t i = 0; i < schema->key.count; i++)
        row_group_read(row->group, row->slot, schema->key.columns[i], &key[i]);
    if (plan->kind == PLAN_DELETE)
        return write_set_delete(set, key, error);
    omen_value *values = arena_alloc(changing->run->scratch, change->column_count * sizeof *values);
    if (values == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    evaluation.read_column = lookup_read_column;
    evaluation.row = row;
    for (uint32_t i = 0; i < change->column_count; i++)
        OMEN_TRY(
            evaluate(change->query->targets[i + 1].expression, &evaluation, &values[i], error));
    return write_set_update(set, key, change->columns, values, change->column_count, error);
}

static bool has_column(const struct schema_key *key, uint32_t column)
{
    for (uint32_t i = 0; i < key->count; i++)
        if (key->columns[i] == column)
            return true;
    return false;
}

/* Whether a key, the primary or a unique one, may change or go. */
static enum lock_mode lock_mode_of(const struct plan *plan)
{
    const struct bound_change *change = &plan->change;
    const struct schema *schema = table_schema(change->table);
    if (plan->kind == PLAN_DELETE)
        return ROW_LOCK_UPDATE;
    for (uint32_t number = 0; number <= schema->unique_count; number++)
        for (uint32_t i = 0; i < change->column_count; i++)
            if (has_column(schema_key_of(schema, number), change->columns[i]))
                return ROW_LOCK_UPDATE;
    return ROW_LOCK_NO_KEY_UPDATE;
}

static omen_status change_by_key(struct plan *plan, struct run *run, uint64_t *rows,
                                 omen_error *error)
{
    struct evaluation evaluation = run_evaluation(run);
    struct key_change changing = {plan, run};
    const struct row_change change = {.gather = change_row,
                                      .context = &changing,
                                      .mode = lock_mode_of(plan),
                                      .deletes = plan->kind == PLAN_DELETE,
                                      .kept = &plan->kept};
    struct index_key key;
    bool found;
    session_count_own(&run->session->route_index, 1);
    OMEN_TRY(lookup_find_key(plan->rows.lookup, &evaluation, &key, &found, error));
    return found ? session_change_row(run->session, run->deadline_ns, plan->change.table, key,
                                      &change, rows, error)
                 : OMEN_OK;
}

/* --- UPDATE and DELETE by the engine --- */

/* A statement that runs again changes only rows that it chose the first time, as PostgreSQL, which
 * looks at those again and at no others. */
struct chosen_rows {
    struct arena arena;
    struct index_key *keys; /* in order; NULL: this is the first time */
    size_t count;
};

/* Whether the row is one of them. */
static omen_status is_chosen(const struct chosen_rows *chosen, struct session *session,
                             struct table *table, uint64_t row_id, bool *is, omen_error *error)
{
    struct arena arena;
    struct write_set *set;
    struct index_key *keys;
    size_t count;
    *is = true;
    if (chosen->keys == NULL)
        return OMEN_OK;
    OMEN_TRY(transaction_create_set(session, table, &set, error));
    arena_init(&arena, session->database->allocator);
    omen_status status = write_set_delete_row(set, row_id, error);
    if (status == OMEN_OK)
        status = write_set_target_keys(set, &arena, &keys, &count, error);
    if (status == OMEN_OK)
        *is = table_key_among(table, chosen->keys, chosen->count, keys[0]);
    arena_release(&arena);
    write_set_destroy(set);
    return status;
}

/* Puts one row that the engine gives into the set: a row id, then the new values. */
static omen_status gather_change(struct plan *plan, const struct decoder *decoder,
                                 struct write_set *set, omen_value *values,
                                 const struct chosen_rows *chosen, omen_error *error)
{
    const struct bound_change *change = &plan->change;
    omen_value row_id = decoder_value(decoder, 0);
    uint64_t id = (uint64_t)row_id.as.i64;
    bool is;
    if (row_id.is_null || row_id.type.id != OMEN_TYPE_BIGINT)
        return error_set(error, OMEN_INTERNAL, "the engine gave no row id");
    OMEN_TRY(is_chosen(chosen, plan->session, change->table, id, &is, error));
    if (!is)
        return OMEN_OK;
    for (uint32_t i = 0; i < change->column_count; i++)
        values[i] = decoder_value(decoder, i + 1);
    return plan->kind == PLAN_DELETE ? write_set_delete_row(set, id, error)
                                     : write_set_update_row(set, id, change->columns, values,
                                                            change->column_count, error);
}

static omen_status gather_changes(struct plan *plan, struct run *run, struct write_set *set,
                                  const struct chosen_rows *chosen, omen_error *error)
{
    struct ArrowArrayStream stream;
    struct decoder *decoder;
    omen_status status;
    omen_value *values = arena_alloc(run->scratch, plan->change.column_count * sizeof *values);
    if (values == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    OMEN_TRY(query_run_engine(&plan->rows, run, &stream, error));
    OMEN_TRY(decoder_create(plan->arena.allocator, &stream, &decoder, error));
    while ((status = decoder_step(decoder, error)) == OMEN_OK) {
        status = gather_change(plan, decoder, set, values, chosen, error);
        if (status != OMEN_OK)
            break;
    }
    decoder_destroy(decoder);
    return status == OMEN_END_OF_DATA ? OMEN_OK : status;
}

/* One run; notes what it chose where it has to be run again. */
static omen_status change_once(struct plan *plan, struct run *run, struct chosen_rows *chosen,
                               uint64_t *rows, omen_error *error)
{
    struct session *session = run->session;
    struct write_set *set = NULL;
    OMEN_TRY(transaction_create_set(session, plan->change.table, &set, error));
    omen_status status = gather_changes(plan, run, set, chosen, error);
    *rows = write_set_row_count(set);
    struct index_key *keys = NULL;
    size_t count = 0;
    bool open = transaction_is_open(&session->transaction), first = chosen->keys == NULL;
    if (status == OMEN_OK && open && first && !transaction_keeps_snapshot(session))
        /* It may run again, and the set is used up afterwards. */
        status = write_set_target_keys(set, &chosen->arena, &keys, &count, error);
    if (status == OMEN_OK)
        status = session_keep(session, run->deadline_ns, set, error);
    if (status == OMEN_SERIALIZATION_FAILURE && !open && first &&
        write_set_target_keys(set, &chosen->arena, &keys, &count, NULL) != OMEN_OK)
        keys = NULL; /* the rows are gone altogether: nothing is known of them */
    if (status == OMEN_SERIALIZATION_FAILURE && keys != NULL) {
        chosen->keys = keys;
        chosen->count = count;
    }
    if (status != OMEN_OK)
        *rows = 0;
    write_set_destroy(set);
    return status;
}

/* Locks what was chosen, so that the next run finds it unchanged. In a transaction it is locked
 * already. */
static omen_status lock_chosen(struct plan *plan, struct run *run, struct chosen_rows *chosen,
                               omen_error *error)
{
    enum lock_mode mode = lock_mode_of(plan);
    if (transaction_is_open(&run->session->transaction) || chosen->count == 0)
        return OMEN_OK;
    struct numbered_key *keys = arena_alloc(&chosen->arena, chosen->count * sizeof *keys);
    if (keys == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (size_t i = 0; i < chosen->count; i++)
        keys[i] = primary_key(chosen->keys[i]);
    return transaction_lock_keys(run->session, plan->change.table, keys, chosen->count, mode,
                                 run->deadline_ns, error);
}

/* READ COMMITTED: a conflict is never the user's to see. What it conflicts with has been published
 * by the time the run has failed, so that the next one sees it. */
static omen_status change_by_engine(struct plan *plan, struct run *run, uint64_t *rows,
                                    omen_error *error)
{
    struct chosen_rows chosen = {.keys = NULL};
    omen_status status = OMEN_OK;
    omen_error failure = {.status = OMEN_OK};
    bool again = true;
    arena_init(&chosen.arena, plan->session->database->allocator);
    for (int runs = 0; again && status == OMEN_OK; runs++) {
        status = change_once(plan, run, &chosen, rows, &failure);
        again = status == OMEN_SERIALIZATION_FAILURE && runs < RUNS_MAX &&
                !transaction_keeps_snapshot(run->session);
        if (again) {
            transaction_keep_locks(run->session); /* the next run may be about other keys */
            status = lock_chosen(plan, run, &chosen, &failure);
        }
    }
    arena_release(&chosen.arena);
    if (status != OMEN_OK && error != NULL)
        *error = failure;
    return status;
}

omen_status change_run(struct plan *plan, struct run *run, uint64_t *rows, omen_error *error)
{
    OMEN_TRY(query_choose(&plan->rows, run->session, true, &run->route, error));
    return run->route == ROUTE_BY_ENGINE ? change_by_engine(plan, run, rows, error)
                                         : change_by_key(plan, run, rows, error);
}
