/* query_plan.c - choosing the way that answers a query. */
#include "query/query_plan.h"

#include <string.h>

#include "sql/condition_order.h"
#include "sql/constant_errors.h"
#include "sql/decorrelate.h"
#include "sql/join_order.h"
#include "sql/simplify.h"
#include "sql/value_text.h"

const char *route_name(enum route route)
{
    static const char *const names[] = {"core", "index", "engine"};
    return names[route];
}

bool query_all_evaluable(struct expression *const *expressions, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (expressions[i] != NULL && !expression_is_evaluable(expressions[i]))
            return false;
    return true;
}

static bool targets_evaluable(const struct query *query)
{
    for (uint32_t i = 0; i < query->target_count; i++)
        if (!expression_is_evaluable(query->targets[i].expression))
            return false;
    return true;
}

static bool limits_evaluable(const struct query *query)
{
    return (query->limit == NULL || expression_is_evaluable(query->limit)) &&
           (query->offset == NULL || expression_is_evaluable(query->offset));
}

/* Why a query is not of one row at most that the core can compute; NULL where it may be. */
static const char *foreign_clause(const struct query *query)
{
    if (query->cte_count > 0)
        return "it has WITH";
    if (query->grouped || query->group_count > 0 || query->grouping_set_count > 0)
        return "it groups or aggregates";
    if (query->distinct || query->distinct_on_count > 0)
        return "it has DISTINCT";
    if (!targets_evaluable(query))
        return "the output is more than the core computes";
    if (!limits_evaluable(query))
        return "LIMIT or OFFSET is more than the core computes";
    return NULL;
}

static bool values_evaluable(const struct query *query)
{
    for (uint32_t row = 0; row < query->row_count; row++)
        if (!query_all_evaluable(query->rows[row], query->target_count))
            return false;
    return true;
}

static void plan_values(struct query_plan *plan)
{
    const struct query *query = plan->query;
    if (query->order_count > 0 || query->cte_count > 0)
        plan->reason = "VALUES with ORDER BY or WITH";
    else if (query->row_count > VALUE_ROWS_MAX)
        plan->reason = "too many rows of VALUES";
    else if (!limits_evaluable(query) || !values_evaluable(query))
        plan->reason = "a value is more than the core computes";
    else
        plan->route = ROUTE_BY_CORE;
    if (plan->route == ROUTE_BY_CORE)
        plan->reason = "it reads no table";
}

/* The outputs as columns of the table, where they are no more. */
static omen_status find_plain_columns(struct query_plan *plan, const struct relation *relation,
                                      omen_error *error)
{
    const struct query *query = plan->query;
    uint32_t *columns = arena_alloc(plan->arena, query->target_count * sizeof *columns);
    if (columns == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < query->target_count; i++) {
        const struct expression *expression = query->targets[i].expression;
        if (expression->kind != EXPRESSION_COLUMN || expression->column.relation != relation ||
            expression->column.column >= relation->column_count)
            return OMEN_OK;
        columns[i] = expression->column.column;
    }
    plan->columns = columns;
    return OMEN_OK;
}

static omen_status plan_select(struct query_plan *plan, omen_error *error)
{
    struct query *query = plan->query;
    for (uint32_t i = 0; i < query->target_count; i++)
        OMEN_TRY(evaluate_constants(&query->targets[i].expression, plan->arena, error));
    plan->reason = foreign_clause(query);
    if (plan->reason != NULL)
        return OMEN_OK;
    if (query->from_count == 0) {
        plan->reason = "the condition is more than the core computes";
        if (query->where != NULL && !expression_is_evaluable(query->where))
            return OMEN_OK;
        plan->route = ROUTE_BY_CORE;
        plan->reason = "it reads no table";
        return OMEN_OK;
    }
    const struct relation *relation = query->from[0]->relation;
    plan->reason = "it reads more than one table";
    if (query->from_count > 1 || relation == NULL || relation->kind != RELATION_TABLE)
        return OMEN_OK;
    OMEN_TRY(
        lookup_create(plan->arena, relation, query->where, &plan->lookup, &plan->reason, error));
    if (plan->lookup == NULL)
        return OMEN_OK;
    plan->route = ROUTE_BY_INDEX;
    return find_plain_columns(plan, relation, error);
}

omen_status query_plan_make(struct query_plan *plan, omen_error *error)
{
    const struct query *query = plan->query;
    OMEN_TRY(constant_errors_find(query, plan->arena, error));
    query_order_conditions(plan->query, plan->arena);
    plan->names = arena_alloc(plan->arena, query->target_count * sizeof *plan->names);
    if (plan->names == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < query->target_count; i++) {
        plan->names[i] = query->targets[i].name;
        if (type_width(query->types[i].id) == 0)
            return error_set(error, OMEN_NOT_SUPPORTED, "type %s is not supported in results",
                             semantics_type_name(query->types[i].id));
    }
    plan->route = ROUTE_BY_ENGINE;
    switch (query->kind) {
    case QUERY_SELECT:
        return plan_select(plan, error);
    case QUERY_VALUES:
        plan_values(plan);
        return OMEN_OK;
    case QUERY_SET:
        plan->reason = "it is a set operation";
        return OMEN_OK;
    }
    return OMEN_OK;
}

/* --- the order of joins --- */

enum {
    ROWS_LIKE_NONE = 1000, /* tables up to this size are all alike */
    ROWS_GROWN = 4,        /* a table of so many times the rows is another */
};

static bool is_alike(uint64_t before, uint64_t now)
{
    uint64_t less = before < now ? before : now, more = before < now ? now : before;
    return more <= ROWS_LIKE_NONE || more / ROWS_GROWN <= less;
}

bool query_plan_is_fresh(const struct query_plan *plan, const struct session *session)
{
    if (plan->query == NULL)
        return true;
    if (plan->join_limit != settings_join_limit(&session->settings))
        return false;
    for (uint32_t i = 0; plan->row_counts != NULL && i < plan->binder->table_count; i++)
        if (!is_alike(plan->row_counts[i], table_row_count_estimate(plan->binder->tables[i])))
            return false;
    return true;
}

static omen_status order_joins(struct query_plan *plan, omen_error *error)
{
    bool ordered;
    const struct binder *binder = plan->binder;
    OMEN_TRY(join_order_query(plan->binder, plan->query, plan->join_limit, &ordered, error));
    if (!ordered)
        return OMEN_OK;
    plan->row_counts = arena_alloc(plan->arena, binder->table_count * sizeof *plan->row_counts);
    if (plan->row_counts == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < binder->table_count; i++)
        plan->row_counts[i] = table_row_count_estimate(binder->tables[i]);
    return OMEN_OK;
}

omen_status query_engine_text(struct query_plan *plan, omen_error *error)
{
    if (plan->text != NULL)
        return OMEN_OK;
    struct engine_text *text = arena_alloc(plan->arena, sizeof *text);
    if (text == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (!plan->decorrelated) {
        plan->decorrelated = true; /* it changes the tree, so never twice */
        plan->spoilt = true;
        OMEN_TRY(simplify_query(plan->query, plan->arena, error));
        OMEN_TRY(decorrelate_query(plan->binder, plan->query, error));
        OMEN_TRY(order_joins(plan, error));
        plan->spoilt = false;
    }
    OMEN_TRY(engine_text_write(plan->query, plan->parameter_count, plan->parameter_types,
                               plan->arena, text, error));
    plan->text = text;
    return OMEN_OK;
}

omen_status query_choose(struct query_plan *plan, struct session *session, bool count,
                         enum route *route, omen_error *error)
{
    const struct settings *settings = &session->settings;
    omen_error failure;
    *route = plan->route;
    if (settings->route == ROUTE_AUTO ||
        (settings->route == ROUTE_INDEX && plan->route == ROUTE_BY_INDEX))
        return plan->route == ROUTE_BY_ENGINE ? query_engine_text(plan, error) : OMEN_OK;
    if (settings->route == ROUTE_ENGINE) {
        omen_status status = query_engine_text(plan, &failure);
        if (status == OMEN_OK) {
            *route = ROUTE_BY_ENGINE;
            return OMEN_OK;
        }
        if (status != OMEN_NOT_SUPPORTED || plan->route == ROUTE_BY_ENGINE) {
            if (error != NULL)
                *error = failure;
            return status;
        }
    }
    if (settings->route_strict)
        return error_set(error, OMEN_NOT_READY, "omen.route = %s cannot answer this statement: %s",
                         settings->route == ROUTE_INDEX ? "index" : "engine",
                         settings->route == ROUTE_INDEX ? plan->reason : failure.message);
    if (count)
        session_count(&session->route_fallbacks, 1);
    return plan->route == ROUTE_BY_ENGINE ? query_engine_text(plan, error) : OMEN_OK;
}
