/* bind_subquery.c - subqueries within expressions: EXISTS, IN, ANY, ALL and scalar ones. */
#include <string.h>

#include "sql/bind_private.h"

static omen_status make_subquery(struct binder *binder, enum subquery_kind kind,
                                 struct query *query, omen_type type, int location,
                                 uint32_t argument_count, struct expression **out,
                                 omen_error *error)
{
    *out = bind_node(binder, EXPRESSION_SUBQUERY, type, location, argument_count);
    if (*out == NULL)
        return bind_no_memory(error);
    (*out)->subquery.kind = kind;
    (*out)->subquery.query = query;
    return OMEN_OK;
}

static omen_status bind_scalar(struct binder *binder, struct query *query, int location,
                               struct expression **out, omen_error *error)
{
    if (query->target_count != 1)
        return bind_fail(binder, location, error, OMEN_SYNTAX_ERROR,
                         "subquery must return only one column");
    return make_subquery(binder, SUBQUERY_SCALAR, query, query->types[0], location, 0, out, error);
}

/* --- rows --- */

/* What can stand in the WHERE of a query is decided before it groups, counts or cuts its rows. */
static bool reads_rows(const struct query *query)
{
    if (query->kind != QUERY_SELECT || query->grouped || query->distinct_on_count > 0 ||
        query->limit != NULL || query->offset != NULL)
        return false;
    for (uint32_t i = 0; i < query->target_count; i++)
        if (bind_find_kind(query->targets[i].expression, EXPRESSION_WINDOW) != NULL)
            return false;
    return true;
}

/* EXISTS (query WHERE row = outputs), or with `unknown` where that is NULL. */
static omen_status bind_row_exists(struct binder *binder, struct scope *scope,
                                   const PgQuery__SubLink *node, struct query *query, bool unknown,
                                   struct expression **out, omen_error *error)
{
    const PgQuery__RowExpr *row = node->testexpr->row_expr;
    struct scope inside = {.outer = scope, .clause = "WHERE"};
    struct expression **left, *condition;
    OMEN_TRY(bind_list(binder, &inside, row->args, row->n_args, &left, error));
    for (uint32_t i = 0; i < query->target_count; i++)
        OMEN_TRY(bind_operator(binder, "=", left[i], query->targets[i].expression, node->location,
                               &left[i], error));
    OMEN_TRY(bind_junction(binder, EXPRESSION_AND, left, query->target_count, node->location,
                           &condition, error));
    if (unknown)
        OMEN_TRY(bind_null_test(binder, condition, false, node->location, &condition, error));
    if (query->where != NULL) {
        struct expression *both[] = {query->where, condition};
        OMEN_TRY(bind_junction(binder, EXPRESSION_AND, both, 2, node->location, &condition, error));
    }
    query->where = condition;
    return make_subquery(binder, SUBQUERY_EXISTS, query, (omen_type){.id = OMEN_TYPE_BOOLEAN},
                         node->location, 0, out, error);
}

static omen_status bind_truth(struct binder *binder, bool is_null, bool truth, int location,
                              struct expression **out)
{
    omen_value value = {.type.id = OMEN_TYPE_BOOLEAN, .is_null = is_null, .as.boolean = truth};
    *out = bind_value(binder, &value, location);
    return *out != NULL ? OMEN_OK : OMEN_OUT_OF_MEMORY;
}

/* (a, b) IN (SELECT c, d ...):
 *
 *   CASE WHEN EXISTS (SELECT ... WHERE a = c AND b = d) THEN TRUE
 *        WHEN EXISTS (SELECT ... WHERE (a = c AND b = d) IS NULL) THEN NULL
 *        ELSE FALSE END
 */
static omen_status bind_row_in(struct binder *binder, struct scope *scope,
                               const PgQuery__SubLink *node, struct query *query,
                               struct expression **out, omen_error *error)
{
    const PgQuery__RowExpr *row = node->testexpr->row_expr;
    struct query *again;
    struct expression **left;
    bool simple = reads_rows(query);
    OMEN_TRY(bind_list(binder, scope, row->args, row->n_args, &left, error));
    for (size_t i = 0; i < row->n_args; i++)
        simple = simple && bind_find_kind(left[i], EXPRESSION_AGGREGATE) == NULL &&
                 bind_find_kind(left[i], EXPRESSION_WINDOW) == NULL;
    if (!simple)
        return bind_unsupported(binder, node->location, "comparing a row with this subquery is",
                                error);
    OMEN_TRY(bind_query(binder, scope, node->subselect->select_stmt, &again, error));
    *out = bind_boolean(binder, EXPRESSION_CASE, node->location, 5);
    if (*out == NULL)
        return bind_no_memory(error);
    struct expression **parts = (*out)->arguments;
    OMEN_TRY(bind_row_exists(binder, scope, node, query, false, &parts[0], error));
    OMEN_TRY(bind_row_exists(binder, scope, node, again, true, &parts[2], error));
    if (bind_truth(binder, false, true, node->location, &parts[1]) != OMEN_OK ||
        bind_truth(binder, true, false, node->location, &parts[3]) != OMEN_OK ||
        bind_truth(binder, false, false, node->location, &parts[4]) != OMEN_OK)
        return bind_no_memory(error);
    return OMEN_OK;
}

/* left op ANY (query), IN without an operator. */
static omen_status bind_quantified(struct binder *binder, struct scope *scope,
                                   const PgQuery__SubLink *node, struct query *query,
                                   struct expression **out, omen_error *error)
{
    bool any = node->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK;
    const PgQuery__Node *test = node->testexpr;
    const char *name =
        node->n_oper_name > 0 ? parse_string(node->oper_name[node->n_oper_name - 1]) : "=";
    bool row = test->node_case == PG_QUERY__NODE__NODE_ROW_EXPR;
    size_t width = row ? test->row_expr->n_args : 1;
    const struct semantics_line *line;
    struct expression *left;
    if (width != query->target_count)
        return bind_fail(binder, node->location, error, OMEN_SYNTAX_ERROR,
                         width < query->target_count ? "subquery has too many columns"
                                                     : "subquery has too few columns");
    if (width > 1 && any && name != NULL && strcmp(name, "=") == 0)
        return bind_row_in(binder, scope, node, query, out, error);
    if (width != 1 || name == NULL)
        return bind_unsupported(binder, node->location, "comparing rows with a subquery is", error);
    OMEN_TRY(bind_expression(binder, scope, row ? test->row_expr->args[0] : test, &left, error));
    omen_status status = semantics_find_operator(name, &left->type, &query->types[0], &line, error);
    if (status != OMEN_OK) {
        parse_set_position(binder->parsed, node->location, error);
        return status;
    }
    if (line->result != OMEN_TYPE_BOOLEAN)
        return bind_fail(binder, node->location, error, OMEN_TYPE_MISMATCH,
                         "row comparison operator must yield type boolean, not type %s",
                         semantics_type_name((omen_type_id)line->result));
    OMEN_TRY(make_subquery(binder, any ? SUBQUERY_ANY : SUBQUERY_ALL, query,
                           (omen_type){.id = OMEN_TYPE_BOOLEAN}, node->location, 1, out, error));
    (*out)->line = line;
    OMEN_TRY(bind_coerce_argument(binder, left, line->arguments[0], &(*out)->arguments[0], error));
    omen_type type = {.id = (omen_type_id)line->arguments[1]};
    if (line->arguments[1] == SQL_TYPE_ANY || query->types[0].id == type.id)
        return OMEN_OK;
    if (type.id == OMEN_TYPE_DECIMAL)
        type = semantics_decimal_of(query->types[0]);
    return bind_cast_outputs(binder, &(*out)->subquery.query, &type, CONTEXT_IMPLICIT, NULL, error);
}

omen_status bind_sublink(struct binder *binder, struct scope *scope, const PgQuery__SubLink *node,
                         struct expression **out, omen_error *error)
{
    struct query *query;
    if (scope != NULL && scope->clause == bind_default_clause)
        return bind_fail(binder, node->location, error, OMEN_NOT_SUPPORTED,
                         "cannot use subquery in DEFAULT expression");
    if (node->subselect == NULL || node->subselect->node_case != PG_QUERY__NODE__NODE_SELECT_STMT ||
        node->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK)
        return bind_unsupported(binder, node->location, "this form of subquery is", error);
    OMEN_TRY(bind_query(binder, scope, node->subselect->select_stmt, &query, error));
    switch (node->sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
        return make_subquery(binder, SUBQUERY_EXISTS, query, (omen_type){.id = OMEN_TYPE_BOOLEAN},
                             node->location, 0, out, error);
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK:
        return bind_scalar(binder, query, node->location, out, error);
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK:
        return bind_quantified(binder, scope, node, query, out, error);
    default:
        return bind_unsupported(binder, node->location, "this form of subquery is", error);
    }
}
