/* constant_errors.c - see constant_errors.h.
 *
 * The order is PostgreSQL's: arguments before their function, CASE, COALESCE, AND and OR from left
 * to right until a constant decides. Subqueries come after that, those that are still there:
 *
 *   x = (SELECT 1 / 0) AND false        is false before anybody plans the subquery
 *   NULL + (SELECT 1 / 0)               is NULL
 *
 * Queries are as deep as the binder allows, so recursion is safe.
 */
#include "sql/constant_errors.h"

#include "sql/correlation.h"
#include "sql/evaluate.h"

struct search {
    struct arena *arena;
    omen_status status;
    omen_error *error;
};

static bool search_query(struct search *search, const struct query *query, bool outputs);

/* --- expressions that read nothing --- */

/* Stops where something does. */
static bool reads_nothing(struct expression **part, void *state)
{
    return expression_is_fixed(*part) && expression_visit_parts(*part, reads_nothing, state);
}

/* Whether it always gives the same; then its value, or the error that is to be told. */
static bool compute(struct search *search, struct expression *expression, omen_value *value)
{
    struct evaluation evaluation = {.arena = search->arena};
    omen_error failure;
    if (!reads_nothing(&expression, NULL))
        return false;
    omen_status status = evaluate(expression, &evaluation, value, &failure);
    if (status == OMEN_OK)
        return true;
    if (status == OMEN_OUT_OF_RANGE || status == OMEN_DIVISION_BY_ZERO ||
        status == OMEN_INVALID_POWER || status == OMEN_INVALID_LOGARITHM)
        search->status = error_set(search->error, status, "%s", failure.message);
    *value = (omen_value){.type = expression->type, .is_null = true};
    return true;
}

/* --- expressions that read something --- */

static bool fold(struct search *search, struct expression *expression, omen_value *value);

static bool give(omen_value *value, omen_type type, bool is_null, bool truth)
{
    *value = (omen_value){.type = type, .is_null = is_null};
    if (!is_null)
        value->as.boolean = truth;
    return true;
}

/* WHEN and THEN until one is always taken. */
static bool fold_case(struct search *search, struct expression *expression, omen_value *value)
{
    uint32_t i = 0;
    bool open = false; /* something before may be taken */
    for (; i + 1 < expression->argument_count; i += 2) {
        bool known = fold(search, expression->arguments[i], value);
        if (search->status != OMEN_OK)
            return false;
        if (known && (value->is_null || !value->as.boolean))
            continue;
        bool same = fold(search, expression->arguments[i + 1], value);
        if (known || search->status != OMEN_OK)
            return same && !open;
        open = true;
    }
    if (i == expression->argument_count)
        return give(value, expression->type, true, false) && !open;
    return fold(search, expression->arguments[i], value) && !open;
}

static bool fold_coalesce(struct search *search, struct expression *expression, omen_value *value)
{
    bool open = false;
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        bool known = fold(search, expression->arguments[i], value);
        if (search->status != OMEN_OK || (known && !value->is_null))
            return known && !open;
        open = open || !known;
    }
    return !open;
}

/* AND and OR: until a constant decides. */
static bool fold_logic(struct search *search, struct expression *expression, omen_value *value)
{
    bool decisive = expression->kind == EXPRESSION_OR, open = false, unknown = false;
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        bool known = fold(search, expression->arguments[i], value);
        if (search->status != OMEN_OK)
            return false;
        if (known && !value->is_null && value->as.boolean == decisive)
            return true;
        open = open || !known;
        unknown = unknown || (known && value->is_null);
    }
    return !open && give(value, expression->type, unknown, !decisive);
}

static bool fold_part(struct expression **part, void *state)
{
    struct search *search = state;
    omen_value value;
    (void)fold(search, *part, &value);
    return search->status == OMEN_OK;
}

/* What has all its parts computed before it. A function that is not called with a NULL is NULL,
 * whatever else it is given. */
static bool fold_call(struct search *search, struct expression *expression, omen_value *value)
{
    bool null = false, open = false;
    struct expression call = *expression, **parts;
    call.arguments = NULL;
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        bool known = fold(search, expression->arguments[i], value);
        open = open || !known;
        null = null || (known && value->is_null);
        if (search->status != OMEN_OK)
            return false;
        if (open || (i > 0 && call.arguments == NULL))
            continue;
        parts = i > 0 ? call.arguments
                      : arena_alloc(search->arena, call.argument_count * sizeof *call.arguments);
        call.arguments = parts;
        if (parts == NULL || (parts[i] = arena_alloc(search->arena, sizeof **parts)) == NULL)
            return false;
        *parts[i] = (struct expression){
            .kind = EXPRESSION_CONSTANT, .type = value->type, .location = -1, .value = *value};
    }
    if (null && expression->kind == EXPRESSION_CALL &&
        (expression->line->flags & SEMANTICS_NULLS) == 0)
        return give(value, expression->type, true, false);
    return !open && call.arguments != NULL && compute(search, &call, value);
}

/* Whether it is known, subqueries aside, which are not looked into; then its value. */
static bool fold(struct search *search, struct expression *expression, omen_value *value)
{
    if (compute(search, expression, value))
        return search->status == OMEN_OK;
    switch (expression->kind) {
    case EXPRESSION_CASE:
        return fold_case(search, expression, value);
    case EXPRESSION_COALESCE:
        return fold_coalesce(search, expression, value);
    case EXPRESSION_AND:
    case EXPRESSION_OR:
        return fold_logic(search, expression, value);
    default:
        if (expression_is_fixed(expression))
            return fold_call(search, expression, value);
        expression_visit_parts(expression, fold_part, search);
        return false;
    }
}

/* --- the subqueries in them --- */

static bool search_left(struct expression **part, void *state);

static bool search_case(struct search *search, struct expression *expression)
{
    omen_value when;
    uint32_t i = 0;
    for (; i + 1 < expression->argument_count; i += 2) {
        bool known = fold(search, expression->arguments[i], &when);
        bool taken = known && !when.is_null && when.as.boolean;
        if (taken)
            return search_left(&expression->arguments[i + 1], search);
        if (!known && (!search_left(&expression->arguments[i], search) ||
                       !search_left(&expression->arguments[i + 1], search)))
            return false;
    }
    return i == expression->argument_count || search_left(&expression->arguments[i], search);
}

static bool search_coalesce(struct search *search, struct expression *expression)
{
    omen_value value;
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        bool known = fold(search, expression->arguments[i], &value);
        if (known && !value.is_null)
            return true;
        if (!known && !search_left(&expression->arguments[i], search))
            return false;
    }
    return true;
}

/* The subqueries in what is left of an expression that was folded. */
static bool search_left(struct expression **part, void *state)
{
    struct search *search = state;
    struct expression *expression = *part;
    omen_value value;
    if (!expression_has_subquery(expression) || fold(search, expression, &value))
        return search->status == OMEN_OK;
    switch (expression->kind) {
    case EXPRESSION_CASE:
        return search_case(search, expression);
    case EXPRESSION_COALESCE:
        return search_coalesce(search, expression);
    case EXPRESSION_SUBQUERY:
        return search_query(search, expression->subquery.query,
                            expression->subquery.kind != SUBQUERY_EXISTS) &&
               expression_visit_parts(expression, search_left, search);
    default:
        return expression_visit_parts(expression, search_left, search);
    }
}

static bool search_expression(struct expression **part, void *state)
{
    struct search *search = state;
    omen_value value;
    (void)fold(search, *part, &value);
    return search->status == OMEN_OK && search_left(part, search);
}

/* --- conditions, of which only true counts --- */

static bool is_never_true(struct search *search, struct expression *condition)
{
    bool is_or = condition->kind == EXPRESSION_OR;
    omen_value value;
    if (condition->kind != EXPRESSION_AND && !is_or)
        return fold(search, condition, &value) && (value.is_null || !value.as.boolean);
    for (uint32_t i = 0; i < condition->argument_count; i++)
        if (is_never_true(search, condition->arguments[i]) != is_or)
            return !is_or;
    return is_or;
}

static bool search_filter_left(struct search *search, struct expression *condition)
{
    omen_value value;
    if (!expression_has_subquery(condition) || is_never_true(search, condition) ||
        fold(search, condition, &value))
        return search->status == OMEN_OK;
    if (condition->kind != EXPRESSION_AND && condition->kind != EXPRESSION_OR)
        return search_left(&condition, search);
    for (uint32_t i = 0; i < condition->argument_count; i++)
        if (!search_filter_left(search, condition->arguments[i]))
            return false;
    return true;
}

static bool search_filter(struct search *search, struct expression *condition)
{
    omen_value value;
    if (condition == NULL)
        return true;
    (void)fold(search, condition, &value);
    return search->status == OMEN_OK && search_filter_left(search, condition);
}

/* --- queries --- */

static bool search_from(struct search *search, struct from_item *item)
{
    if (item->relation != NULL)
        return item->relation->kind != RELATION_QUERY ||
               search_query(search, item->relation->query, false);
    return search_from(search, item->left) && search_from(search, item->right) &&
           search_filter(search, item->condition);
}

/* Whether a query in FROM is planned for itself, not as a part of the one around it. */
static bool stands_alone(const struct query *query)
{
    return query->kind == QUERY_SET || query->grouped || query->distinct ||
           query->distinct_on_count > 0 || query->order_count > 0 || query->limit != NULL ||
           query->offset != NULL || query->cte_count > 0;
}

/* SELECT ... FROM (query) WHERE FALSE, where nothing of the query is planned. */
static bool is_left_out(struct search *search, const struct query *query)
{
    const struct relation *relation = query->from_count == 1 ? query->from[0]->relation : NULL;
    return relation != NULL && relation->kind == RELATION_QUERY && query->where != NULL &&
           stands_alone(relation->query) && is_never_true(search, query->where);
}

/* Without `outputs` only what chooses its rows. */
static bool search_query(struct search *search, const struct query *query, bool outputs)
{
    if (query->kind == QUERY_SET)
        return search_query(search, query->left, outputs) &&
               search_query(search, query->right, outputs);
    if (query->kind != QUERY_SELECT)
        return true;
    for (uint32_t i = 0; outputs && i < query->target_count; i++)
        if (!search_expression(&query->targets[i].expression, search))
            return false;
    for (uint32_t i = 0; outputs && i < query->order_count; i++)
        if (query->order[i].expression != NULL &&
            !search_expression(&query->order[i].expression, search))
            return false;
    bool left_out = is_left_out(search, query);
    for (uint32_t i = 0; !left_out && i < query->from_count; i++)
        if (!search_from(search, query->from[i]))
            return false;
    return search->status == OMEN_OK && search_filter(search, query->where) &&
           search_filter(search, query->having);
}

omen_status constant_errors_find(const struct query *query, struct arena *arena, omen_error *error)
{
    struct search search = {.arena = arena, .error = error};
    (void)search_query(&search, query, true);
    return search.status;
}
