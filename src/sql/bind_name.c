/* bind_name.c - the names that PostgreSQL gives outputs without an alias.
 *
 * A column and a function give their name; a cast gives the type's where what it casts has no
 * name of its own.
 */
#include "sql/bind_private.h"

enum strength { NAME_NONE, NAME_WEAK, NAME_STRONG };

static enum strength name_of(const PgQuery__Node *node, uint32_t depth, const char **name);

static enum strength take(const char *text, const char **name)
{
    if (text == NULL)
        return NAME_NONE;
    *name = text;
    return NAME_STRONG;
}

/* The last name among fields or subscripts. */
static const char *last_string(PgQuery__Node *const *nodes, size_t count)
{
    for (size_t i = count; i-- > 0;)
        if (parse_string(nodes[i]) != NULL)
            return parse_string(nodes[i]);
    return NULL;
}

static enum strength name_of_value_function(const PgQuery__SQLValueFunction *node,
                                            const char **name)
{
    static const char *const names[] = {
        NULL,
        "current_date",
        "current_time",
        "current_time",
        "current_timestamp",
        "current_timestamp",
        "localtime",
        "localtime",
        "localtimestamp",
        "localtimestamp",
        "current_role",
        "current_user",
        "user",
        "session_user",
        "current_catalog",
        "current_schema",
    };
    uint32_t op = (uint32_t)node->op;
    return take(op < sizeof names / sizeof *names ? names[op] : NULL, name);
}

static enum strength name_of_subquery(const PgQuery__SubLink *node, uint32_t depth,
                                      const char **name)
{
    if (node->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK)
        return take("exists", name);
    if (node->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK)
        return take("array", name);
    if (node->sub_link_type != PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK || node->subselect == NULL ||
        node->subselect->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return NAME_NONE;
    const PgQuery__SelectStmt *select = node->subselect->select_stmt;
    while (select->larg != NULL && depth++ < BIND_DEPTH_MAX)
        select = select->larg;
    if (select->n_values_lists > 0)
        return take("column1", name);
    if (select->n_target_list == 0 ||
        select->target_list[0]->node_case != PG_QUERY__NODE__NODE_RES_TARGET)
        return NAME_NONE;
    const PgQuery__ResTarget *target = select->target_list[0]->res_target;
    if (target->name != NULL && target->name[0] != '\0')
        return take(target->name, name);
    *name = "?column?";
    name_of(target->val, depth + 1, name);
    return NAME_STRONG;
}

/* A name that is only taken where what is inside has none. */
static enum strength name_weakly(const PgQuery__Node *inside, const char *own, uint32_t depth,
                                 const char **name)
{
    enum strength strength = name_of(inside, depth + 1, name);
    if (strength == NAME_STRONG || own == NULL)
        return strength;
    *name = own;
    return NAME_WEAK;
}

static enum strength name_of(const PgQuery__Node *node, uint32_t depth, const char **name)
{
    if (node == NULL || depth > BIND_DEPTH_MAX)
        return NAME_NONE;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return take(last_string(node->column_ref->fields, node->column_ref->n_fields), name);
    case PG_QUERY__NODE__NODE_A_INDIRECTION: {
        const PgQuery__AIndirection *part = node->a_indirection;
        const char *field = last_string(part->indirection, part->n_indirection);
        return field != NULL ? take(field, name) : name_of(part->arg, depth + 1, name);
    }
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return take(last_string(node->func_call->funcname, node->func_call->n_funcname), name);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return take(node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF ? "nullif" : NULL,
                    name);
    case PG_QUERY__NODE__NODE_TYPE_CAST: {
        const PgQuery__TypeName *type = node->type_cast->type_name;
        return name_weakly(node->type_cast->arg, last_string(type->names, type->n_names), depth,
                           name);
    }
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return name_of(node->collate_clause->arg, depth + 1, name);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        return take("grouping", name);
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return name_of_subquery(node->sub_link, depth, name);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return name_weakly(node->case_expr->defresult, "case", depth, name);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return take("array", name);
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return take("row", name);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return take("coalesce", name);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return take(node->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST ? "greatest"
                                                                                : "least",
                    name);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return name_of_value_function(node->sqlvalue_function, name);
    default:
        return NAME_NONE;
    }
}

const char *bind_output_name(const PgQuery__Node *node)
{
    const char *name = "?column?";
    name_of(node, 0, &name);
    return name;
}
