/* bind_operator.c - operators as written: A_Expr in all its kinds.
 *
 * BETWEEN and lists of rows become comparisons; IN stays one node where its items have a common
 * type, as PostgreSQL makes an array of those that hold no column.
 */
#include <string.h>

#include "sql/bind_private.h"

/* --- finding and calling --- */

static omen_status find_operator(struct binder *binder, const char *name, const omen_type *left,
                                 const omen_type *right, int location,
                                 const struct semantics_line **out, omen_error *error)
{
    omen_status status = semantics_find_operator(name, left, right, out, error);
    if (status != OMEN_OK)
        parse_set_position(binder->parsed, location, error);
    return status;
}

/* A parameter without type beside a NUMERIC takes its digits. */
static void type_parameter(struct binder *binder, struct expression *parameter,
                           const struct expression *other, uint32_t wanted)
{
    if (parameter->kind == EXPRESSION_PARAMETER && bind_is_unknown(parameter->type) &&
        wanted == OMEN_TYPE_DECIMAL && other->type.id == OMEN_TYPE_DECIMAL)
        bind_fix_parameter(binder, parameter, other->type);
}

omen_status bind_operator(struct binder *binder, const char *name, struct expression *left,
                          struct expression *right, int location, struct expression **out,
                          omen_error *error)
{
    const struct semantics_line *line;
    struct expression *operands[2] = {left != NULL ? left : right, right};
    OMEN_TRY(find_operator(binder, name, left != NULL ? &left->type : NULL, &right->type, location,
                           &line, error));
    if (left != NULL) {
        type_parameter(binder, left, right, line->arguments[0]);
        type_parameter(binder, right, left, line->arguments[1]);
    }
    OMEN_TRY(bind_call_line(binder, line, operands, left != NULL ? 2 : 1, location, out, error));
    return OMEN_OK;
}

/* The operator's name; OPERATOR(pg_catalog.+) too. */
static omen_status operator_name(struct binder *binder, const PgQuery__AExpr *node,
                                 const char **out, omen_error *error)
{
    const char *schema = node->n_name == 2 ? parse_string(node->name[0]) : "pg_catalog";
    *out = node->n_name > 0 ? parse_string(node->name[node->n_name - 1]) : NULL;
    if (*out == NULL || node->n_name > 2 || schema == NULL || strcmp(schema, "pg_catalog") != 0)
        return bind_fail(binder, node->location, error, OMEN_UNDEFINED_FUNCTION,
                         "operator does not exist");
    return OMEN_OK;
}

static bool is_row(const PgQuery__Node *node)
{
    return node != NULL && node->node_case == PG_QUERY__NODE__NODE_ROW_EXPR;
}

static omen_status bind_two_rows(struct binder *binder, struct scope *scope, const char *name,
                                 const PgQuery__AExpr *node, struct expression **out,
                                 omen_error *error)
{
    const PgQuery__RowExpr *row = node->lexpr->row_expr;
    struct expression **left;
    OMEN_TRY(bind_list(binder, scope, row->args, row->n_args, &left, error));
    return bind_row_comparison(binder, scope, name, left, row->n_args, node->rexpr->row_expr,
                               node->location, out, error);
}

/* Whether it is written as a number of more digits than NUMERIC has here. */
static bool is_long_number(struct binder *binder, const PgQuery__Node *node)
{
    omen_value value;
    if (node->node_case != PG_QUERY__NODE__NODE_A_CONST || node->a_const->isnull ||
        node->a_const->val_case != PG_QUERY__A__CONST__VAL_FVAL)
        return false;
    const char *text = node->a_const->fval->fval;
    return bind_number(binder, text, strlen(text), &value, NULL) == OMEN_NOT_SUPPORTED;
}

/* An operand beside another: PostgreSQL casts a number beside a float to DOUBLE PRECISION, so that
 * it may be long there. */
static omen_status bind_beside(struct binder *binder, struct scope *scope,
                               const PgQuery__Node *node, const struct expression *other,
                               struct expression **out, omen_error *error)
{
    const omen_type type = {.id = OMEN_TYPE_DOUBLE};
    if ((other->type.id != OMEN_TYPE_REAL && other->type.id != OMEN_TYPE_DOUBLE) ||
        !is_long_number(binder, node))
        return bind_expression(binder, scope, node, out, error);
    OMEN_TRY(bind_expression_for(binder, scope, node, type, out, error));
    return bind_explicit_cast(binder, *out, type, node->a_const->location, out, error);
}

static omen_status bind_sides(struct binder *binder, struct scope *scope,
                              const PgQuery__AExpr *node, struct expression **left,
                              struct expression **right, omen_error *error)
{
    if (is_long_number(binder, node->lexpr)) {
        OMEN_TRY(bind_expression(binder, scope, node->rexpr, right, error));
        return bind_beside(binder, scope, node->lexpr, *right, left, error);
    }
    OMEN_TRY(bind_expression(binder, scope, node->lexpr, left, error));
    return bind_beside(binder, scope, node->rexpr, *left, right, error);
}

static omen_status bind_items(struct binder *binder, struct scope *scope, const PgQuery__List *list,
                              const struct expression *other, struct expression ***out,
                              omen_error *error)
{
    *out = arena_alloc(binder->arena, list->n_items * sizeof **out);
    if (*out == NULL)
        return bind_no_memory(error);
    for (size_t i = 0; i < list->n_items; i++)
        OMEN_TRY(bind_beside(binder, scope, list->items[i], other, &(*out)[i], error));
    return OMEN_OK;
}

static omen_status bind_plain(struct binder *binder, struct scope *scope,
                              const PgQuery__AExpr *node, struct expression **out,
                              omen_error *error)
{
    const char *name;
    struct expression *left = NULL, *right;
    OMEN_TRY(operator_name(binder, node, &name, error));
    if (is_row(node->lexpr) && is_row(node->rexpr))
        return bind_two_rows(binder, scope, name, node, out, error);
    if (node->lexpr != NULL)
        OMEN_TRY(bind_sides(binder, scope, node, &left, &right, error));
    else
        OMEN_TRY(bind_expression(binder, scope, node->rexpr, &right, error));
    return bind_operator(binder, name, left, right, node->location, out, error);
}

/* --- DISTINCT FROM, NULLIF --- */

/* A node of two operands that compares them with "=". */
static omen_status bind_by_equality(struct binder *binder, enum expression_kind kind,
                                    struct expression *left, struct expression *right, int location,
                                    struct expression **out, omen_error *error)
{
    const struct semantics_line *line;
    OMEN_TRY(find_operator(binder, "=", &left->type, &right->type, location, &line, error));
    *out = bind_boolean(binder, kind, location, 2);
    if (*out == NULL)
        return bind_no_memory(error);
    (*out)->line = line;
    type_parameter(binder, left, right, line->arguments[0]);
    type_parameter(binder, right, left, line->arguments[1]);
    OMEN_TRY(bind_coerce_argument(binder, left, line->arguments[0], &(*out)->arguments[0], error));
    return bind_coerce_argument(binder, right, line->arguments[1], &(*out)->arguments[1], error);
}

omen_status bind_distinct_from(struct binder *binder, struct expression *left,
                               struct expression *right, bool negated, int location,
                               struct expression **out, omen_error *error)
{
    if (bind_is_null(right))
        return bind_null_test(binder, left, !negated, location, out, error);
    if (bind_is_null(left))
        return bind_null_test(binder, right, !negated, location, out, error);
    OMEN_TRY(bind_by_equality(binder, EXPRESSION_DISTINCT_FROM, left, right, location, out, error));
    (*out)->negated = negated;
    return OMEN_OK;
}

static omen_status bind_distinct_node(struct binder *binder, struct scope *scope,
                                      const PgQuery__AExpr *node, struct expression **out,
                                      omen_error *error)
{
    bool negated = node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT;
    struct expression *left, *right;
    if (is_row(node->lexpr) && is_row(node->rexpr))
        return bind_two_rows(binder, scope, negated ? "IS NOT DISTINCT FROM" : "IS DISTINCT FROM",
                             node, out, error);
    OMEN_TRY(bind_sides(binder, scope, node, &left, &right, error));
    return bind_distinct_from(binder, left, right, negated, node->location, out, error);
}

static bool is_between(omen_type_id type, omen_type_id first, omen_type_id last)
{
    return type >= first && type <= last;
}

/* Whether PostgreSQL compares the two types with the left one as it is: it has operators between
 * integers, between floats (what is compared with a REAL becomes DOUBLE), between dates. */
static bool compares_directly(omen_type_id left, omen_type_id right)
{
    if (is_between(left, OMEN_TYPE_SMALLINT, OMEN_TYPE_BIGINT))
        return is_between(right, OMEN_TYPE_SMALLINT, OMEN_TYPE_BIGINT);
    if (left == OMEN_TYPE_REAL)
        return is_between(right, OMEN_TYPE_SMALLINT, OMEN_TYPE_DECIMAL);
    return is_between(left, OMEN_TYPE_DATE, OMEN_TYPE_TIMESTAMPTZ) &&
           is_between(right, OMEN_TYPE_DATE, OMEN_TYPE_TIMESTAMPTZ);
}

static omen_status bind_nullif(struct binder *binder, struct scope *scope,
                               const PgQuery__AExpr *node, struct expression **out,
                               omen_error *error)
{
    struct expression *left, *right;
    OMEN_TRY(bind_expression(binder, scope, node->lexpr, &left, error));
    OMEN_TRY(bind_expression(binder, scope, node->rexpr, &right, error));
    OMEN_TRY(bind_by_equality(binder, EXPRESSION_NULLIF, left, right, node->location, out, error));
    (*out)->type = (*out)->arguments[0]->type;
    if (compares_directly(left->type.id, right->type.id))
        return bind_explicit_cast(binder, *out, left->type, node->location, out, error);
    return OMEN_OK;
}

/* --- IN --- */

/* The items that become one IN: those without columns, where two or more have a common type. */
static omen_status bind_in_constants(struct binder *binder, struct expression *left,
                                     struct expression **items, uint32_t count, bool negated,
                                     int location, struct expression **out, omen_error *error)
{
    const struct semantics_line *line;
    omen_type type;
    struct expression **all = arena_alloc(binder->arena, (count + 1) * sizeof *all);
    *out = NULL;
    if (all == NULL)
        return bind_no_memory(error);
    all[0] = left;
    memcpy(all + 1, items, count * sizeof *items);
    omen_status status = bind_common_type(binder, all, count + 1, "IN", &type, NULL);
    if (status != OMEN_OK)
        return status == OMEN_OUT_OF_MEMORY ? bind_no_memory(error) : OMEN_OK;
    type.length_max = 0;
    OMEN_TRY(find_operator(binder, "=", &left->type, &type, location, &line, error));
    struct expression *in = bind_boolean(binder, EXPRESSION_IN, location, count + 1);
    if (in == NULL)
        return bind_no_memory(error);
    in->line = line;
    in->negated = negated;
    OMEN_TRY(bind_coerce_argument(binder, left, line->arguments[0], &in->arguments[0], error));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t scalar = type.id;
        OMEN_TRY(bind_coerce_argument(binder, items[i], scalar, &all[i + 1], error));
        OMEN_TRY(bind_coerce_argument(binder, all[i + 1], line->arguments[1], &in->arguments[i + 1],
                                      error));
    }
    *out = in;
    return OMEN_OK;
}

/* x IN (1, 2, y): x IN (1, 2) OR x = y. */
static omen_status bind_in_scalars(struct binder *binder, struct expression *left,
                                   struct expression **items, uint32_t count, bool negated,
                                   int location, struct expression **out, omen_error *error)
{
    struct expression **constants = arena_alloc(binder->arena, count * sizeof *constants);
    struct expression **operands = arena_alloc(binder->arena, (count + 1) * sizeof *operands);
    uint32_t constant_count = 0, operand_count = 0;
    if (constants == NULL || operands == NULL)
        return bind_no_memory(error);
    for (uint32_t i = 0; i < count; i++)
        if (!bind_has_columns(items[i]))
            constants[constant_count++] = items[i];
    OMEN_TRY(bind_spend_copies(binder, left, count - constant_count, error));
    struct expression *in = NULL;
    if (constant_count > 1)
        OMEN_TRY(bind_in_constants(binder, left, constants, constant_count, negated, location, &in,
                                   error));
    if (in != NULL)
        operands[operand_count++] = in;
    for (uint32_t i = 0; i < count; i++) {
        if (in != NULL && !bind_has_columns(items[i]))
            continue;
        OMEN_TRY(bind_operator(binder, negated ? "<>" : "=", left, items[i], location,
                               &operands[operand_count++], error));
    }
    return bind_junction(binder, negated ? EXPRESSION_AND : EXPRESSION_OR, operands, operand_count,
                         location, out, error);
}

static omen_status bind_in_rows(struct binder *binder, struct scope *scope,
                                const PgQuery__AExpr *node, bool negated, struct expression **out,
                                omen_error *error)
{
    const PgQuery__List *list = node->rexpr->list;
    const PgQuery__RowExpr *row = node->lexpr->row_expr;
    struct expression **left,
        **operands = arena_alloc(binder->arena, list->n_items * sizeof *operands);
    if (operands == NULL)
        return bind_no_memory(error);
    OMEN_TRY(bind_list(binder, scope, row->args, row->n_args, &left, error));
    for (size_t i = 0; i < row->n_args; i++)
        OMEN_TRY(bind_spend_copies(binder, left[i], list->n_items - 1, error));
    for (size_t i = 0; i < list->n_items; i++) {
        if (!is_row(list->items[i]))
            return bind_unsupported(binder, node->location, "comparing a row with this is", error);
        OMEN_TRY(bind_row_comparison(binder, scope, negated ? "<>" : "=", left, row->n_args,
                                     list->items[i]->row_expr, node->location, &operands[i],
                                     error));
    }
    return bind_junction(binder, negated ? EXPRESSION_AND : EXPRESSION_OR, operands,
                         (uint32_t)list->n_items, node->location, out, error);
}

/* Items without columns are brought to one type where there are several: beside a REAL that is
 * REAL, for long numbers too, unless one of them is DOUBLE PRECISION. */
static omen_status fit_long_items(struct binder *binder, struct scope *scope,
                                  const PgQuery__List *list, const struct expression *left,
                                  struct expression **items, omen_error *error)
{
    const omen_type type = {.id = OMEN_TYPE_REAL};
    uint32_t constant_count = 0;
    if (left->type.id != OMEN_TYPE_REAL)
        return OMEN_OK;
    for (size_t i = 0; i < list->n_items; i++) {
        bool constant = !bind_has_columns(items[i]);
        constant_count += constant;
        if (constant && items[i]->type.id == OMEN_TYPE_DOUBLE &&
            !is_long_number(binder, list->items[i]))
            return OMEN_OK;
    }
    for (size_t i = 0; i < list->n_items && constant_count > 1; i++) {
        if (!is_long_number(binder, list->items[i]))
            continue;
        OMEN_TRY(bind_expression_for(binder, scope, list->items[i], type, &items[i], error));
        OMEN_TRY(bind_explicit_cast(binder, items[i], type, list->items[i]->a_const->location,
                                    &items[i], error));
    }
    return OMEN_OK;
}

static omen_status bind_in(struct binder *binder, struct scope *scope, const PgQuery__AExpr *node,
                           struct expression **out, omen_error *error)
{
    const char *name;
    struct expression *left, **items;
    OMEN_TRY(operator_name(binder, node, &name, error));
    bool negated = strcmp(name, "<>") == 0;
    if (node->rexpr == NULL || node->rexpr->node_case != PG_QUERY__NODE__NODE_LIST)
        return bind_unsupported(binder, node->location, "this form of IN is", error);
    const PgQuery__List *list = node->rexpr->list;
    if (is_row(node->lexpr))
        return bind_in_rows(binder, scope, node, negated, out, error);
    OMEN_TRY(bind_expression(binder, scope, node->lexpr, &left, error));
    OMEN_TRY(bind_items(binder, scope, list, left, &items, error));
    OMEN_TRY(fit_long_items(binder, scope, list, left, items, error));
    return bind_in_scalars(binder, left, items, (uint32_t)list->n_items, negated, node->location,
                           out, error);
}

/* --- BETWEEN --- */

/* x >= low AND x <= high; negated: x < low OR x > high. */
static omen_status make_between(struct binder *binder, struct expression *operand,
                                struct expression *low, struct expression *high, bool negated,
                                int location, struct expression **out, omen_error *error)
{
    struct expression *sides[2];
    OMEN_TRY(bind_operator(binder, negated ? "<" : ">=", operand, low, location, &sides[0], error));
    OMEN_TRY(
        bind_operator(binder, negated ? ">" : "<=", operand, high, location, &sides[1], error));
    return bind_junction(binder, negated ? EXPRESSION_OR : EXPRESSION_AND, sides, 2, location, out,
                         error);
}

static omen_status bind_between(struct binder *binder, struct scope *scope,
                                const PgQuery__AExpr *node, bool negated, bool symmetric,
                                struct expression **out, omen_error *error)
{
    struct expression *operand, **bounds, *ways[2];
    if (node->rexpr == NULL || node->rexpr->node_case != PG_QUERY__NODE__NODE_LIST ||
        node->rexpr->list->n_items != 2)
        return bind_unsupported(binder, node->location, "this form of BETWEEN is", error);
    OMEN_TRY(bind_expression(binder, scope, node->lexpr, &operand, error));
    OMEN_TRY(bind_items(binder, scope, node->rexpr->list, operand, &bounds, error));
    OMEN_TRY(bind_spend_copies(binder, operand, symmetric ? 3 : 1, error));
    for (size_t i = 0; i < 2 && symmetric; i++)
        OMEN_TRY(bind_spend_copies(binder, bounds[i], 1, error));
    OMEN_TRY(make_between(binder, operand, bounds[0], bounds[1], negated, node->location, &ways[0],
                          error));
    *out = ways[0];
    if (!symmetric)
        return OMEN_OK;
    OMEN_TRY(make_between(binder, operand, bounds[1], bounds[0], negated, node->location, &ways[1],
                          error));
    return bind_junction(binder, negated ? EXPRESSION_AND : EXPRESSION_OR, ways, 2, node->location,
                         out, error);
}

/* --- dispatch --- */

omen_status bind_a_expr(struct binder *binder, struct scope *scope, const PgQuery__AExpr *node,
                        struct expression **out, omen_error *error)
{
    switch (node->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
        return bind_plain(binder, scope, node, out, error);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
        return bind_unsupported(binder, node->location, "ANY and ALL of an array are", error);
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
        return bind_distinct_node(binder, scope, node, out, error);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
        return bind_nullif(binder, scope, node, out, error);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
        return bind_in(binder, scope, node, out, error);
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR:
        return bind_unsupported(binder, node->location, "SIMILAR TO is", error);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
        return bind_between(binder, scope, node, false, false, out, error);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
        return bind_between(binder, scope, node, true, false, out, error);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
        return bind_between(binder, scope, node, false, true, out, error);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
        return bind_between(binder, scope, node, true, true, out, error);
    default:
        return bind_unsupported(binder, node->location, "this kind of operator is", error);
    }
}
