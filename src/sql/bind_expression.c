/* bind_expression.c - one expression node of the parse tree to a bound one: dispatch, and the
 * kinds that need little.
 *
 * Recursion is bounded by binder->depth, which counts queries too.
 */
#include <string.h>

#include "sql/bind_private.h"

const char bind_default_clause[] = "DEFAULT expressions";

omen_status bind_list(struct binder *binder, struct scope *scope, PgQuery__Node *const *nodes,
                      size_t count, struct expression ***out, omen_error *error)
{
    *out = arena_alloc(binder->arena, count * sizeof **out);
    if (*out == NULL)
        return bind_no_memory(error);
    for (size_t i = 0; i < count; i++)
        OMEN_TRY(bind_expression(binder, scope, nodes[i], &(*out)[i], error));
    return OMEN_OK;
}

/* --- AND, OR, NOT --- */

static omen_status bind_bool(struct binder *binder, struct scope *scope,
                             const PgQuery__BoolExpr *node, struct expression **out,
                             omen_error *error)
{
    bool and = node->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
    bool or = node->boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR;
    const char *what = and? "AND" : or ? "OR" : "NOT";
    struct expression **operands = arena_alloc(binder->arena, node->n_args * sizeof *operands);
    if (operands == NULL)
        return bind_no_memory(error);
    for (size_t i = 0; i < node->n_args; i++) {
        OMEN_TRY(bind_expression(binder, scope, node->args[i], &operands[i], error));
        OMEN_TRY(bind_coerce_boolean(binder, operands[i], what, &operands[i], error));
    }
    if (!and&&! or)
        return bind_negation(binder, operands[0], node->location, out, error);
    return bind_junction(binder, and? EXPRESSION_AND : EXPRESSION_OR, operands,
                         (uint32_t)node->n_args, node->location, out, error);
}

/* --- tests --- */

static omen_status make_test(struct binder *binder, enum expression_test test,
                             struct expression *operand, int location, struct expression **out,
                             omen_error *error)
{
    *out = bind_boolean(binder, EXPRESSION_TEST, location, 1);
    if (*out == NULL)
        return bind_no_memory(error);
    (*out)->test = test;
    (*out)->arguments[0] = operand;
    return OMEN_OK;
}

omen_status bind_null_test(struct binder *binder, struct expression *operand, bool negated,
                           int location, struct expression **out, omen_error *error)
{
    /* A parameter keeps waiting for its type: IS NULL asks for none. */
    if (operand->kind != EXPRESSION_PARAMETER)
        OMEN_TRY(bind_settle(binder, operand, &operand, error));
    return make_test(binder, negated ? TEST_NOT_NULL : TEST_NULL, operand, location, out, error);
}

static omen_status bind_null_tests(struct binder *binder, struct scope *scope,
                                   const PgQuery__NullTest *node, struct expression **out,
                                   omen_error *error)
{
    bool negated = node->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NOT_NULL;
    struct expression *operand, **parts;
    if (node->arg->node_case != PG_QUERY__NODE__NODE_ROW_EXPR) {
        OMEN_TRY(bind_expression(binder, scope, node->arg, &operand, error));
        return bind_null_test(binder, operand, negated, node->location, out, error);
    }
    /* A row is (not) null where all its parts are. */
    const PgQuery__RowExpr *row = node->arg->row_expr;
    if (row->n_args == 0)
        return bind_unsupported(binder, node->location, "empty rows are", error);
    OMEN_TRY(bind_list(binder, scope, row->args, row->n_args, &parts, error));
    for (size_t i = 0; i < row->n_args; i++)
        OMEN_TRY(bind_null_test(binder, parts[i], negated, node->location, &parts[i], error));
    return bind_junction(binder, EXPRESSION_AND, parts, (uint32_t)row->n_args, node->location, out,
                         error);
}

static omen_status bind_boolean_test(struct binder *binder, struct scope *scope,
                                     const PgQuery__BooleanTest *node, struct expression **out,
                                     omen_error *error)
{
    static const struct {
        PgQuery__BoolTestType type;
        enum expression_test test;
        const char *name;
    } tests[] = {
        {PG_QUERY__BOOL_TEST_TYPE__IS_TRUE, TEST_TRUE, "IS TRUE"},
        {PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE, TEST_NOT_TRUE, "IS NOT TRUE"},
        {PG_QUERY__BOOL_TEST_TYPE__IS_FALSE, TEST_FALSE, "IS FALSE"},
        {PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE, TEST_NOT_FALSE, "IS NOT FALSE"},
        {PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN, TEST_UNKNOWN, "IS UNKNOWN"},
        {PG_QUERY__BOOL_TEST_TYPE__IS_NOT_UNKNOWN, TEST_NOT_UNKNOWN, "IS NOT UNKNOWN"},
    };
    struct expression *operand;
    size_t i = 0;
    while (i + 1 < sizeof tests / sizeof *tests && tests[i].type != node->booltesttype)
        i++;
    OMEN_TRY(bind_expression(binder, scope, node->arg, &operand, error));
    OMEN_TRY(bind_coerce_boolean(binder, operand, tests[i].name, &operand, error));
    return make_test(binder, tests[i].test, operand, node->location, out, error);
}

/* --- COALESCE, GREATEST, LEAST --- */

static omen_status bind_choice(struct binder *binder, struct scope *scope,
                               enum expression_kind kind, const char *what,
                               PgQuery__Node *const *nodes, size_t count, int location,
                               struct expression **out, omen_error *error)
{
    struct expression **arguments;
    const struct semantics_line *less;
    omen_type type;
    OMEN_TRY(bind_list(binder, scope, nodes, count, &arguments, error));
    OMEN_TRY(bind_unify(binder, arguments, (uint32_t)count, what, &type, error));
    if (kind != EXPRESSION_COALESCE &&
        semantics_find_operator("<", &type, &type, &less, NULL) != OMEN_OK)
        return bind_fail(binder, location, error, OMEN_UNDEFINED_FUNCTION,
                         "could not identify a comparison function for type %s",
                         semantics_type_name(type.id));
    *out = bind_node(binder, kind, type, location, 0);
    if (*out == NULL)
        return bind_no_memory(error);
    (*out)->arguments = arguments;
    (*out)->argument_count = (uint32_t)count;
    return OMEN_OK;
}

/* --- COLLATE --- */

static omen_status bind_collate(struct binder *binder, struct scope *scope,
                                const PgQuery__CollateClause *node, struct expression **out,
                                omen_error *error)
{
    static const char *const same[] = {"C", "POSIX", "default", "ucs_basic"};
    const char *name =
        node->n_collname > 0 ? parse_string(node->collname[node->n_collname - 1]) : NULL;
    OMEN_TRY(bind_expression(binder, scope, node->arg, out, error));
    omen_type_id type = (*out)->type.id;
    if (type != OMEN_TYPE_NONE && type != OMEN_TYPE_TEXT && type != OMEN_TYPE_VARCHAR &&
        type != OMEN_TYPE_CHAR)
        return bind_fail(binder, node->location, error, OMEN_TYPE_MISMATCH,
                         "collations are not supported by type %s", semantics_type_name(type));
    for (size_t i = 0; name != NULL && i < sizeof same / sizeof *same; i++)
        if (strcmp(name, same[i]) == 0)
            return OMEN_OK;
    return bind_unsupported(binder, node->location, "collations other than \"C\" are", error);
}

/* --- dispatch --- */

static omen_status refuse_node(struct binder *binder, const PgQuery__Node *node, omen_error *error)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return bind_unsupported(binder, node->a_array_expr->location, "arrays are", error);
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return bind_unsupported(binder, node->row_expr->location, "row values here are", error);
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        return bind_unsupported(binder, -1, "subscripts and fields of a value are", error);
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR:
        return bind_unsupported(binder, node->named_arg_expr->location, "named arguments are",
                                error);
    case PG_QUERY__NODE__NODE_SET_TO_DEFAULT:
        return bind_fail(binder, node->set_to_default->location, error, OMEN_SYNTAX_ERROR,
                         "DEFAULT is not allowed in this context");
    case PG_QUERY__NODE__NODE_CURRENT_OF_EXPR:
        return bind_unsupported(binder, -1, "WHERE CURRENT OF is", error);
    case PG_QUERY__NODE__NODE_XML_EXPR:
    case PG_QUERY__NODE__NODE_XML_SERIALIZE:
        return bind_unsupported(binder, -1, "XML is", error);
    default:
        return bind_unsupported(binder, -1, "this form of expression is", error);
    }
}

static omen_status bind_min_max(struct binder *binder, struct scope *scope,
                                const PgQuery__MinMaxExpr *node, struct expression **out,
                                omen_error *error)
{
    bool greatest = node->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST;
    return bind_choice(binder, scope, greatest ? EXPRESSION_GREATEST : EXPRESSION_LEAST,
                       greatest ? "GREATEST" : "LEAST", node->args, node->n_args, node->location,
                       out, error);
}

static omen_status bind_by_kind(struct binder *binder, struct scope *scope,
                                const PgQuery__Node *node, struct expression **out,
                                omen_error *error)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_A_CONST:
        return bind_constant(binder, node->a_const, out, error);
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return bind_parameter(binder, scope, node->param_ref, out, error);
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return bind_column(binder, scope, node->column_ref, out, error);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return bind_a_expr(binder, scope, node->a_expr, out, error);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return bind_bool(binder, scope, node->bool_expr, out, error);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return bind_null_tests(binder, scope, node->null_test, out, error);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return bind_boolean_test(binder, scope, node->boolean_test, out, error);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return bind_case(binder, scope, node->case_expr, out, error);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return bind_choice(binder, scope, EXPRESSION_COALESCE, "COALESCE",
                           node->coalesce_expr->args, node->coalesce_expr->n_args,
                           node->coalesce_expr->location, out, error);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return bind_min_max(binder, scope, node->min_max_expr, out, error);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return bind_type_cast(binder, scope, node->type_cast, out, error);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return bind_function(binder, scope, node->func_call, out, error);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        return bind_grouping(binder, scope, node->grouping_func, out, error);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return bind_value_function(binder, node->sqlvalue_function, out, error);
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return bind_sublink(binder, scope, node->sub_link, out, error);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return bind_collate(binder, scope, node->collate_clause, out, error);
    default:
        return refuse_node(binder, node, error);
    }
}

omen_status bind_expression(struct binder *binder, struct scope *scope, const PgQuery__Node *node,
                            struct expression **out, omen_error *error)
{
    *out = NULL;
    if (node == NULL)
        return error_set(error, OMEN_INTERNAL, "an expression is missing");
    if (binder->depth >= BIND_DEPTH_MAX)
        return error_set(error, OMEN_STATEMENT_TOO_COMPLEX, "the statement nests too deeply");
    OMEN_TRY(bind_spend(binder, 1, error));
    binder->depth++;
    omen_status status = bind_by_kind(binder, scope, node, out, error);
    binder->depth--;
    return status;
}

omen_status bind_condition(struct binder *binder, struct scope *scope, const PgQuery__Node *node,
                           struct expression **out, omen_error *error)
{
    const char *what = scope->clause != NULL ? scope->clause : "WHERE";
    if (strcmp(what, "JOIN conditions") == 0)
        what = "JOIN/ON";
    OMEN_TRY(bind_expression(binder, scope, node, out, error));
    return bind_coerce_boolean(binder, *out, what, out, error);
}

omen_status bind_default(struct binder *binder, const PgQuery__Node *node, omen_type type,
                         const char *column, struct expression **out, omen_error *error)
{
    struct scope scope = {.clause = bind_default_clause};
    OMEN_TRY(bind_expression(binder, &scope, node, out, error));
    omen_type_id from = (*out)->type.id;
    if (from != OMEN_TYPE_NONE && from != type.id &&
        semantics_find_cast(from, type.id, CONTEXT_ASSIGNMENT) == NULL)
        return error_set(error, OMEN_TYPE_MISMATCH,
                         "column \"%s\" is of type %s but default expression is of type %s", column,
                         semantics_type_name(type.id), semantics_type_name(from));
    return bind_coerce(binder, *out, type, CONTEXT_ASSIGNMENT, column, out, error);
}
