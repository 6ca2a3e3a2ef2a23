/* query_run.c - answering a planned query. */
#include <string.h>

#include "query/engine.h"
#include "query/query_plan.h"

struct evaluation run_evaluation(const struct run *run)
{
    return (struct evaluation){
        .arena = run->scratch, .parameters = run->parameters, .now = run->now};
}

/* --- LIMIT and OFFSET --- */

static omen_status read_limit(const struct expression *expression, struct evaluation *evaluation,
                              omen_status negative, uint64_t otherwise, uint64_t *out,
                              omen_error *error)
{
    omen_value value;
    *out = otherwise;
    if (expression == NULL)
        return OMEN_OK;
    OMEN_TRY(evaluate(expression, evaluation, &value, error));
    if (value.is_null)
        return OMEN_OK;
    if (value.as.i64 < 0)
        return error_set_default(error, negative);
    *out = (uint64_t)value.as.i64;
    return OMEN_OK;
}

omen_status query_read_limits(const struct query *query, struct evaluation *evaluation,
                              uint64_t count, uint64_t *first, uint64_t *end, omen_error *error)
{
    uint64_t limit, offset;
    OMEN_TRY(read_limit(query->limit, evaluation, OMEN_INVALID_LIMIT, UINT64_MAX, &limit, error));
    OMEN_TRY(read_limit(query->offset, evaluation, OMEN_INVALID_OFFSET, 0, &offset, error));
    *first = offset < count ? offset : count;
    *end = limit < count - *first ? *first + limit : count;
    return OMEN_OK;
}

/* --- core --- */

static omen_status make_values(struct query_plan *plan, struct run *run, uint64_t count,
                               struct query_rows *out, omen_value **values, omen_error *error)
{
    const struct query *query = plan->query;
    *values = arena_alloc(run->scratch, count * query->target_count * sizeof **values);
    if (*values == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    out->kind = ROWS_VALUES;
    out->values = (struct value_rows){.column_count = query->target_count,
                                      .names = plan->names,
                                      .types = query->types,
                                      .row_count = count,
                                      .values = *values};
    return OMEN_OK;
}

/* The outputs for the evaluation's row: a row of VALUES. */
static omen_status compute_outputs(struct query_plan *plan, struct run *run,
                                   struct evaluation *evaluation, uint64_t count,
                                   struct query_rows *out, omen_error *error)
{
    omen_value *values;
    OMEN_TRY(make_values(plan, run, count, out, &values, error));
    for (uint32_t i = 0; i < plan->query->target_count && count > 0; i++)
        OMEN_TRY(evaluate(plan->query->targets[i].expression, evaluation, &values[i], error));
    return OMEN_OK;
}

static omen_status run_values(struct query_plan *plan, struct run *run, struct query_rows *out,
                              omen_error *error)
{
    const struct query *query = plan->query;
    struct evaluation evaluation = run_evaluation(run);
    uint64_t first, end;
    omen_value *values;
    OMEN_TRY(query_read_limits(query, &evaluation, query->row_count, &first, &end, error));
    OMEN_TRY(make_values(plan, run, end - first, out, &values, error));
    for (uint64_t row = first; row < end; row++)
        for (uint32_t i = 0; i < query->target_count; i++)
            OMEN_TRY(evaluate(query->rows[row][i], &evaluation, values++, error));
    return OMEN_OK;
}

static omen_status run_core(struct query_plan *plan, struct run *run, struct query_rows *out,
                            omen_error *error)
{
    const struct query *query = plan->query;
    struct evaluation evaluation = run_evaluation(run);
    uint64_t first, end;
    bool passes = true;
    session_count_own(&run->session->route_core, 1);
    if (query->kind == QUERY_VALUES)
        return run_values(plan, run, out, error);
    if (query->where != NULL)
        OMEN_TRY(lookup_passes(query->where, &evaluation, &passes, error));
    OMEN_TRY(query_read_limits(query, &evaluation, passes, &first, &end, error));
    return compute_outputs(plan, run, &evaluation, end - first, out, error);
}

/* --- index --- */

static omen_status run_index(struct query_plan *plan, struct run *run, struct query_rows *out,
                             omen_error *error)
{
    const struct query *query = plan->query;
    struct evaluation evaluation = run_evaluation(run);
    session_count_own(&run->session->route_index, 1);
    out->kind = ROWS_PINNED;
    OMEN_TRY(query->locking_count > 0
                 ? query_lock_row(plan, run, &evaluation, &out->row, error)
                 : lookup_run(plan->lookup, run->session, &evaluation, &out->row, error));
    if (query->limit != NULL || query->offset != NULL) {
        uint64_t first, end;
        omen_status status =
            query_read_limits(query, &evaluation, out->row.group != NULL, &first, &end, error);
        if (status != OMEN_OK || first == end) {
            if (out->row.group != NULL)
                row_ref_release(&out->row);
            out->row = (struct row_ref){0};
        }
        OMEN_TRY(status);
    }
    if (plan->columns != NULL) {
        /* The columns lie far apart: their misses overlap with what the caller does before it
         * reads, and with each other. */
        if (out->row.group == NULL)
            return OMEN_OK;
        omen_status status =
            row_group_bring(&out->row.group, plan->columns, query->target_count, error);
        if (status == OMEN_OK)
            row_group_prefetch(out->row.group, out->row.slot, plan->columns, query->target_count);
        else
            row_ref_release(&out->row);
        return status;
    }
    evaluation.read_column = lookup_read_column;
    evaluation.row = &out->row;
    return compute_outputs(plan, run, &evaluation, out->row.group != NULL, out, error);
}

/* --- engine --- */

/* The parameters as the text numbers them: the statement's, then now. */
static omen_status engine_parameters(const struct engine_text *text, const struct run *run,
                                     const omen_value **out, uint32_t *count, omen_error *error)
{
    *out = run->parameters;
    *count = run->parameter_count;
    if (!text->uses_now)
        return OMEN_OK;
    omen_value *values = arena_alloc(run->scratch, (*count + 1) * sizeof *values);
    if (values == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (*count > 0)
        memcpy(values, run->parameters, *count * sizeof *values);
    values[(*count)++] = (omen_value){.type = {.id = OMEN_TYPE_TIMESTAMPTZ}, .as.i64 = run->now};
    *out = values;
    return OMEN_OK;
}

omen_status query_run_engine(struct query_plan *plan, struct run *run, struct ArrowArrayStream *out,
                             omen_error *error)
{
    const omen_value *parameters;
    uint32_t count;
    memset(out, 0, sizeof *out);
    OMEN_TRY(query_engine_text(plan, error));
    OMEN_TRY(engine_parameters(plan->text, run, &parameters, &count, error));
    return engine_query(run->session, plan->text, parameters, count, run->deadline_ns, out, error);
}

omen_status query_explain_engine(struct query_plan *plan, struct run *run,
                                 struct ArrowArrayStream *out, omen_error *error)
{
    const omen_value *parameters;
    uint32_t count;
    memset(out, 0, sizeof *out);
    OMEN_TRY(query_engine_text(plan, error));
    OMEN_TRY(engine_parameters(plan->text, run, &parameters, &count, error));
    return engine_explain(run->session, plan->text, parameters, count, out, error);
}

omen_status query_run(struct query_plan *plan, struct run *run, struct query_rows *out,
                      omen_error *error)
{
    out->row = (struct row_ref){0};
    out->stream.release = NULL;
    OMEN_TRY(query_choose(plan, run->session, true, &run->route, error));
    switch (run->route) {
    case ROUTE_BY_CORE:
        return run_core(plan, run, out, error);
    case ROUTE_BY_INDEX:
        return run_index(plan, run, out, error);
    default:
        if (plan->query->locking_count > 0)
            return query_run_locked(plan, run, out, error);
        out->kind = ROWS_STREAM;
        return query_run_engine(plan, run, &out->stream, error);
    }
}

omen_status query_rows_stream(struct query_plan *plan, struct session *session,
                              struct query_rows *rows, struct ArrowArrayStream *out,
                              omen_error *error)
{
    switch (rows->kind) {
    case ROWS_PINNED:
        return result_row(session, plan->lookup->table, &rows->row, plan->columns, plan->names,
                          plan->query->target_count, out, error);
    case ROWS_VALUES:
        return result_values(session, &rows->values, out, error);
    default:
        *out = rows->stream;
        memset(&rows->stream, 0, sizeof rows->stream);
        return result_rename(session, out, plan->names, plan->query->target_count, error);
    }
}

void query_rows_release(struct query_rows *rows)
{
    if (rows->row.group != NULL)
        row_ref_release(&rows->row);
    rows->row = (struct row_ref){0};
    if (rows->stream.release != NULL)
        rows->stream.release(&rows->stream);
}
