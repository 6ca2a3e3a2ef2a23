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
