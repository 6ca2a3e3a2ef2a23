/* bind_set.c - UNION, INTERSECT, EXCEPT.
 *
 * A chain of operations leans to the left; it is walked, not recursed, from its first query on.
 * Types are found pair by pair, as PostgreSQL does: in a UNION b UNION c those of a and b decide
 * before c is looked at.
 */
#include <string.h>

#include "sql/bind_query_private.h"

static const char *operation_name(enum set_operation operation)
{
    switch (operation) {
    case SET_INTERSECT:
        return "INTERSECT";
    case SET_EXCEPT:
        return "EXCEPT";
    default:
        return "UNION";
    }
}

static enum set_operation operation_of(const PgQuery__SelectStmt *node)
{
    if (node->op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT)
        return SET_INTERSECT;
    return node->op == PG_QUERY__SET_OPERATION__SETOP_EXCEPT ? SET_EXCEPT : SET_UNION;
}

/* --- types of two sides --- */

int bind_target_location(const struct query *query, uint32_t target)
{
    while (query->kind == QUERY_SET)
        query = query->left;
    const struct expression *expression =
        query->kind == QUERY_VALUES ? query->rows[0][target] : query->targets[target].expression;
    return bind_expression_location(expression);
}

/* Whether casting its outputs changes nothing else the query says. */
static bool outputs_are_free(const struct query *query)
{
    return query->kind == QUERY_SELECT && !query->distinct && query->order_count == 0;
}

omen_status bind_cast_outputs(struct binder *binder, struct query **query, const omen_type *types,
                              enum cast_context context, const char *const *columns,
                              omen_error *error)
{
    struct query *inner = *query;
    bool same = true, casts = false;
    for (uint32_t i = 0; i < inner->target_count; i++) {
        bool unknown = bind_is_unknown(inner->types[i]);
        same = same && semantics_same_type(inner->types[i], types[i]);
        casts = casts || (!unknown && !semantics_same_type(inner->types[i], types[i]));
        struct expression **expression = &inner->targets[i].expression;
        if (!unknown)
            continue;
        OMEN_TRY(bind_coerce(binder, *expression, types[i], context,
                             columns != NULL ? columns[i] : NULL, expression, error));
        inner->types[i] = (*expression)->type;
    }
    if (same || !casts)
        return OMEN_OK;
    if (!outputs_are_free(inner))
        OMEN_TRY(bind_wrap(binder, inner, query, error));
    inner = *query;
    omen_type *cast_types = bind_alloc(binder, inner->target_count * sizeof *cast_types, error);
    if (cast_types == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < inner->target_count; i++) {
        struct expression **expression = &inner->targets[i].expression;
        OMEN_TRY(bind_coerce(binder, *expression, types[i], context,
                             columns != NULL ? columns[i] : NULL, expression, error));
        cast_types[i] = (*expression)->type;
    }
    inner->types = cast_types;
    return OMEN_OK;
}

static omen_status unify_sides(struct binder *binder, struct query *set, omen_error *error)
{
    const char *name = operation_name(set->operation);
    struct query *left = set->left, *right = set->right;
    if (left->target_count != right->target_count)
        return bind_fail(binder, bind_target_location(right, 0), error, OMEN_SYNTAX_ERROR,
                         "each %s query must have the same number of columns", name);
    set->target_count = left->target_count;
    set->targets = bind_alloc(binder, set->target_count * sizeof *set->targets, error);
    set->types = bind_alloc(binder, set->target_count * sizeof *set->types, error);
    if (set->targets == NULL || set->types == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < set->target_count; i++) {
        omen_type pair[2] = {left->types[i], right->types[i]};
        set->targets[i].name = left->targets[i].name;
        omen_status status = semantics_common_type(pair, 2, name, &set->types[i], error);
        if (status != OMEN_OK) {
            parse_set_position(binder->parsed, bind_target_location(right, i), error);
            return status;
        }
    }
    OMEN_TRY(bind_cast_outputs(binder, &set->left, set->types, CONTEXT_IMPLICIT, NULL, error));
    return bind_cast_outputs(binder, &set->right, set->types, CONTEXT_IMPLICIT, NULL, error);
}

omen_status bind_combine(struct binder *binder, const PgQuery__SelectStmt *node, struct query *left,
                         struct query *right, struct query **out, omen_error *error)
{
    struct query *set = bind_alloc(binder, sizeof *set, error);
    if (set == NULL)
        return OMEN_OUT_OF_MEMORY;
    set->kind = QUERY_SET;
    set->operation = operation_of(node);
    set->all = node->all;
    set->left = left;
    set->right = right;
    *out = set;
    return unify_sides(binder, set, error);
}

/* --- the chain --- */

/* An operation with clauses of its own stands for itself, in parentheses. */
static bool is_link(const PgQuery__SelectStmt *node)
{
    return node->op > PG_QUERY__SET_OPERATION__SETOP_NONE && node->n_sort_clause == 0 &&
           node->limit_count == NULL && node->limit_offset == NULL && node->n_locking_clause == 0 &&
           node->with_clause == NULL;
}

static omen_status bind_chain(struct binder *binder, struct scope *outer,
                              const PgQuery__SelectStmt *node, struct query **out,
                              omen_error *error)
{
    uint32_t count = 1;
    for (const PgQuery__SelectStmt *link = node->larg; is_link(link); link = link->larg)
        count++;
    const PgQuery__SelectStmt **links =
        bind_alloc(binder, count * sizeof(const PgQuery__SelectStmt *), error);
    if (links == NULL)
        return OMEN_OUT_OF_MEMORY;
    links[0] = node;
    for (uint32_t i = 1; i < count; i++)
        links[i] = links[i - 1]->larg;
    OMEN_TRY(bind_query_outputs(binder, outer, links[count - 1]->larg, false, out, error));
    for (uint32_t i = count; i-- > 0;) {
        struct query *right;
        OMEN_TRY(bind_query_outputs(binder, outer, links[i]->rarg, false, &right, error));
        OMEN_TRY(bind_combine(binder, links[i], *out, right, out, error));
    }
    return OMEN_OK;
}

/* ORDER BY: outputs by name or position. Anything else is bound for its own errors, and refused. */
static omen_status bind_set_order(struct binder *binder, struct scope *outer,
                                  const PgQuery__SelectStmt *node, struct query *query,
                                  omen_error *error)
{
    struct selecting selecting = {.binder = binder, .node = node};
    struct query *outputs;
    struct from_names names = {0};
    if (node->n_sort_clause == 0)
        return OMEN_OK;
    OMEN_TRY(bind_select_all(binder, query, &outputs, error));
    OMEN_TRY(bind_add_names(binder, &names, outputs->from[0]->relation, error));
    bind_show_names(&selecting.scope, &names);
    selecting.scope.outer = outer;
    selecting.query = outputs;
    OMEN_TRY(bind_order(&selecting, error));
    for (uint32_t i = 0; i < outputs->order_count; i++)
        if (outputs->order[i].expression != NULL)
            return bind_fail(binder, bind_expression_location(outputs->order[i].expression), error,
                             OMEN_NOT_SUPPORTED, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause");
    query->order = outputs->order;
    query->order_count = outputs->order_count;
    return OMEN_OK;
}

omen_status bind_set(struct binder *binder, struct scope *outer, const PgQuery__SelectStmt *node,
                     struct query **out, omen_error *error)
{
    struct query with = {0};
    struct scope own = {.outer = outer}, around = {0};
    if (outer != NULL) {
        around = *outer;
        own.ctes = outer->ctes;
        own.cte_count = outer->cte_count;
    }
    if (node->with_clause != NULL) {
        OMEN_TRY(bind_with(binder, &own, node->with_clause, &with, error));
        around.ctes = own.ctes;
        around.cte_count = own.cte_count;
        outer = &around;
    }
    OMEN_TRY(bind_chain(binder, outer, node, out, error));
    (*out)->ctes = with.ctes;
    (*out)->cte_count = with.cte_count;
    OMEN_TRY(bind_set_order(binder, outer, node, *out, error));
    return bind_limits(binder, &own, node, *out, error);
}
