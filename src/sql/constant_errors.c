/* constant_errors.c - see constant_errors.h.
 *
 * The order is PostgreSQL's: arguments before their function, CASE, COALESCE, AND and OR from left
 * to right until a constant decides. Queries are as deep as the binder allows, so recursion is
 * safe.
 */
#include "sql/constant_errors.h"

#include "sql/evaluate.h"

struct search {
    struct arena *arena;
    omen_status status;
    omen_error *error;
};

static bool search_expression(struct expression **part, void *state);
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
    if (status == OMEN_OUT_OF_RANGE || status == OMEN_DIVISION_BY_ZERO)
        search->status = error_set(search->error, status, "%s", failure.message);
    *value = (omen_value){.type = expression->type, .is_null = true};
    return true;
}

/* --- expressions that read something --- */

/* WHEN and THEN until one is always taken. */
static bool search_case(struct search *search, const struct expression *expression)
{
    uint32_t i = 0;
    omen_value when;
    for (; i + 1 < expression->argument_count; i += 2) {
        bool known = compute(search, expression->arguments[i], &when);
        bool taken = known && !when.is_null && when.as.boolean;
        if (search->status != OMEN_OK ||
            (!known && !search_expression(&expression->arguments[i], search)) ||
            ((!known || taken) && !search_expression(&expression->arguments[i + 1], search)))
            return false;
        if (taken)
            return true;
    }
    return i == expression->argument_count || search_expression(&expression->arguments[i], search);
}

/* AND, OR and COALESCE: until a constant decides. */
static bool search_until_decided(struct search *search, const struct expression *expression)
{
    omen_value value;
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        bool known = compute(search, expression->arguments[i], &value);
        if (search->status != OMEN_OK ||
            (!known && !search_expression(&expression->arguments[i], search)))
            return false;
        if (known && !value.is_null &&
            (expression->kind == EXPRESSION_COALESCE ||
             value.as.boolean == (expression->kind == EXPRESSION_OR)))
            return true;
    }
    return true;
}

static bool search_expression(struct expression **part, void *state)
{
    struct search *search = state;
    struct expression *expression = *part;
    omen_value value;
    if (expression->kind == EXPRESSION_CONSTANT || compute(search, expression, &value))
        return search->status == OMEN_OK;
    switch (expression->kind) {
    case EXPRESSION_CASE:
        return search_case(search, expression);
    case EXPRESSION_AND:
    case EXPRESSION_OR:
    case EXPRESSION_COALESCE:
        return search_until_decided(search, expression);
    case EXPRESSION_SUBQUERY:
        if (expression->subquery.kind != SUBQUERY_EXISTS &&
            !search_query(search, expression->subquery.query, true))
            return false;
        return expression_visit_parts(expression, search_expression, search);
    default:
        return expression_visit_parts(expression, search_expression, search);
    }
}

/* --- queries --- */

static bool search_from(struct search *search, struct from_item *item)
{
    if (item->relation != NULL)
        return item->relation->kind != RELATION_QUERY ||
               search_query(search, item->relation->query, false);
    return search_from(search, item->left) && search_from(search, item->right) &&
           (item->condition == NULL || search_expression(&item->condition, search));
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
    for (uint32_t i = 0; i < query->from_count; i++)
        if (!search_from(search, query->from[i]))
            return false;
    struct expression *where = query->where, *having = query->having;
    return (where == NULL || search_expression(&where, search)) &&
           (having == NULL || search_expression(&having, search));
}

omen_status constant_errors_find(const struct query *query, struct arena *arena, omen_error *error)
{
    struct search search = {.arena = arena, .error = error};
    (void)search_query(&search, query, true);
    return search.status;
}
