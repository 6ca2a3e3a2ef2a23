/* simplify.c - computing the constant parts of a whole bound query.
 *
 *   d <= DATE '1998-12-01' - INTERVAL '90 days'      CAST(d AS TIMESTAMP) <= TIMESTAMP '1998-09-02'
 *                                                    d <= DATE '1998-09-02'
 *
 * Queries are as deep as the binder allows (BIND_DEPTH_MAX), so plain recursion is safe. Parts that
 * several places share are simplified again in each, which changes nothing more.
 */
#include "sql/simplify.h"

#include "sql/bind.h"
#include "sql/evaluate.h"

struct simplifying {
    struct arena *arena;
    bool grouped; /* the query at hand: its outputs read groups, not rows */
    omen_status status;
    omen_error *error;
};

static bool simplify_nested(struct query *query, uint32_t levels, void *state);

/* The queries within an expression. */
static bool simplify_subqueries(struct expression **part, void *state)
{
    if ((*part)->kind == EXPRESSION_SUBQUERY && !simplify_nested((*part)->subquery.query, 1, state))
        return false;
    return expression_visit_parts(*part, simplify_subqueries, state);
}

static bool simplify_expression(struct expression **expression, void *state)
{
    struct simplifying *simplifying = state;
    if (!simplify_subqueries(expression, state))
        return false;
    simplifying->status = evaluate_constants(expression, simplifying->arena, simplifying->error);
    /* GROUP BY CAST(a): CAST(a) may be compared, a may not. */
    if (simplifying->status == OMEN_OK && !simplifying->grouped)
        bind_narrow(expression, simplifying->arena);
    return simplifying->status == OMEN_OK;
}

static void narrow_conditions(struct from_item *item, struct arena *arena)
{
    if (item->relation != NULL)
        return;
    if (item->condition != NULL)
        bind_narrow(&item->condition, arena);
    narrow_conditions(item->left, arena);
    narrow_conditions(item->right, arena);
}

static bool simplify_nested(struct query *query, uint32_t levels, void *state)
{
    (void)levels;
    struct simplifying *simplifying = state;
    bool outer = simplifying->grouped;
    simplifying->grouped = query->grouped;
    bool more = query_visit_parts(query, simplify_expression, simplify_nested, simplifying);
    simplifying->grouped = outer;
    if (!more || !query->grouped)
        return more;
    for (uint32_t i = 0; i < query->from_count; i++)
        narrow_conditions(query->from[i], simplifying->arena);
    if (query->where != NULL)
        bind_narrow(&query->where, simplifying->arena);
    return true;
}

omen_status simplify_query(struct query *query, struct arena *arena, omen_error *error)
{
    struct simplifying simplifying = {.arena = arena, .error = error};
    (void)simplify_nested(query, 0, &simplifying);
    return simplifying.status;
}
