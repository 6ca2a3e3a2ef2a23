/* bind_function.c - function calls, and the values that SQL writes without parentheses.
 *
 * Aggregates and window functions are found here and finished by bind_aggregate.c.
 */
#include <stdio.h>
#include <string.h>

#include "sql/bind_private.h"
#include "sql/function_name.h"

enum { NAME_BYTES_MAX = 160 };

/* "lower", or "pg_catalog.extract" as PostgreSQL's grammar writes its own forms. */
static omen_status function_name(struct binder *binder, const PgQuery__FuncCall *node,
                                 char name[NAME_BYTES_MAX], const char **bare, omen_error *error)
{
    size_t count = node->n_funcname;
    const char *schema = count == 2 ? parse_string(node->funcname[0]) : NULL;
    *bare = count > 0 ? parse_string(node->funcname[count - 1]) : NULL;
    if (*bare == NULL || count > 2 || (count == 2 && schema == NULL))
        return bind_fail(binder, node->location, error, OMEN_SYNTAX_ERROR,
                         "improper function name (too many dotted names)");
    snprintf(name, NAME_BYTES_MAX, "%s%s%s", schema != NULL ? schema : "",
             schema != NULL ? "." : "", *bare);
    return OMEN_OK;
}

static omen_status refuse_forms(struct binder *binder, const PgQuery__FuncCall *node,
                                omen_error *error)
{
    if (node->func_variadic)
        return bind_unsupported(binder, node->location, "VARIADIC arguments are", error);
    if (node->agg_within_group)
        return bind_unsupported(binder, node->location, "WITHIN GROUP is", error);
    for (size_t i = 0; i < node->n_args; i++)
        if (node->args[i]->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR)
            return bind_unsupported(binder, node->args[i]->named_arg_expr->location,
                                    "named arguments are", error);
    return OMEN_OK;
}

/* What only aggregates and window functions have. */
static omen_status refuse_on_plain(struct binder *binder, const PgQuery__FuncCall *node,
                                   const char *name, omen_error *error)
{
    const char *what = node->agg_star             ? "(*)"
                       : node->agg_distinct       ? "DISTINCT"
                       : node->n_agg_order > 0    ? "ORDER BY"
                       : node->agg_filter != NULL ? "FILTER"
                                                  : NULL;
    if (node->agg_star)
        return bind_fail(binder, node->location, error, OMEN_WRONG_OBJECT_TYPE,
                         "%s(*) specified, but %s is not an aggregate function", name, name);
    if (what != NULL)
        return bind_fail(binder, node->location, error, OMEN_WRONG_OBJECT_TYPE,
                         "%s specified, but %s is not an aggregate function", what, name);
    if (node->over != NULL)
        return bind_fail(binder, node->location, error, OMEN_WRONG_OBJECT_TYPE,
                         "OVER specified, but %s is not a window function nor an aggregate "
                         "function",
                         name);
    return OMEN_OK;
}

/* date('2024-01-01'), text(5): a type's name as a function casts, unless there is a function for
 * exactly this argument. */
static bool casting_type(const char *name, const PgQuery__FuncCall *node, omen_type *out)
{
    static const struct {
        const char *name;
        uint32_t type;
    } types[] = {
        {"bool", OMEN_TYPE_BOOLEAN},
        {"int2", OMEN_TYPE_SMALLINT},
        {"int4", OMEN_TYPE_INTEGER},
        {"int8", OMEN_TYPE_BIGINT},
        {"float4", OMEN_TYPE_REAL},
        {"float8", OMEN_TYPE_DOUBLE},
        {"text", OMEN_TYPE_TEXT},
        {"bytea", OMEN_TYPE_BYTEA},
        {"date", OMEN_TYPE_DATE},
        {"timestamp", OMEN_TYPE_TIMESTAMP},
        {"timestamptz", OMEN_TYPE_TIMESTAMPTZ},
        {"uuid", OMEN_TYPE_UUID},
        {"interval", SQL_TYPE_INTERVAL},
    };
    if (node->n_args != 1 || node->agg_star || node->agg_distinct || node->n_agg_order > 0 ||
        node->agg_filter != NULL || node->over != NULL)
        return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0) {
            *out = (omen_type){.id = (omen_type_id)types[i].type};
            return true;
        }
    return false;
}

static bool takes_exactly(const struct semantics_line *line, const struct expression *argument)
{
    return line != NULL && line->argument_count == 1 &&
           line->arguments[0] == (uint32_t)argument->type.id;
}

/* Whether PostgreSQL has functions of this name and there are none here. */
static bool is_missing(const PgQuery__FuncCall *node, const char *bare)
{
    const char *schema = node->n_funcname == 2 ? parse_string(node->funcname[0]) : "pg_catalog";
    for (uint32_t i = 0; i < semantics_line_count; i++)
        if (semantics_lines[i].name != NULL && semantics_lines[i].kind != SEMANTICS_OPERATOR &&
            strcmp(semantics_lines[i].name, bare) == 0)
            return false;
    return strcmp(schema, "pg_catalog") == 0 && function_name_is_known(bare);
}

static omen_status bind_found(struct binder *binder, struct scope *scope,
                              const PgQuery__FuncCall *node, const char *name,
                              const struct semantics_line *line, struct expression **arguments,
                              struct expression *filter, struct expression **out, omen_error *error)
{
    uint32_t count = (uint32_t)node->n_args;
    if (line->kind != SEMANTICS_FUNCTION)
        return bind_aggregate(binder, scope, node, name, line, arguments, filter, out, error);
    OMEN_TRY(refuse_on_plain(binder, node, name, error));
    return bind_call_line(binder, line, arguments, count, node->location, out, error);
}

omen_status bind_function(struct binder *binder, struct scope *scope, const PgQuery__FuncCall *node,
                          struct expression **out, omen_error *error)
{
    char name[NAME_BYTES_MAX];
    const char *bare;
    struct expression **arguments, *filter;
    const struct semantics_line *line;
    omen_type type, *types = arena_alloc(binder->arena, node->n_args * sizeof *types);
    if (types == NULL)
        return bind_no_memory(error);
    OMEN_TRY(function_name(binder, node, name, &bare, error));
    OMEN_TRY(refuse_forms(binder, node, error));
    OMEN_TRY(bind_list(binder, scope, node->args, node->n_args, &arguments, error));
    OMEN_TRY(bind_call_filter(binder, scope, node, &filter, error));
    for (size_t i = 0; i < node->n_args; i++)
        types[i] = arguments[i]->type;
    omen_status status =
        semantics_find_function(name, types, (uint32_t)node->n_args, node->agg_star, &line, error);
    if (casting_type(bare, node, &type) && !takes_exactly(line, arguments[0]) &&
        (bind_is_unknown(types[0]) || types[0].id == type.id ||
         semantics_find_cast(types[0].id, type.id, CONTEXT_EXPLICIT) != NULL))
        return bind_explicit_cast(binder, arguments[0], type, node->location, out, error);
    if (status == OMEN_UNDEFINED_FUNCTION && is_missing(node, bare))
        return bind_fail(binder, node->location, error, OMEN_NOT_SUPPORTED,
                         "function %s is not supported", bare);
    if (status != OMEN_OK) {
        parse_set_position(binder->parsed, node->location, error);
        return status;
    }
    return bind_found(binder, scope, node, name, line, arguments, filter, out, error);
}

/* --- current_date and its kin --- */

omen_status bind_value_function(struct binder *binder, const PgQuery__SQLValueFunction *node,
                                struct expression **out, omen_error *error)
{
    omen_type type = {.id = OMEN_TYPE_TIMESTAMPTZ};
    const struct semantics_line *line;
    switch (node->op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE:
        type.id = OMEN_TYPE_DATE;
        break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N:
        if (node->typmod != 6)
            return bind_unsupported(binder, node->location, "timestamps of fewer than 6 digits are",
                                    error);
        if (node->op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N)
            type.id = OMEN_TYPE_TIMESTAMP;
        break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP:
        type.id = OMEN_TYPE_TIMESTAMP;
        break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP:
        break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME_N:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N:
        return bind_unsupported(binder, node->location, "type time is", error);
    default:
        return bind_unsupported(binder, node->location, "users, catalogs and schemas are", error);
    }
    OMEN_TRY(semantics_find_function("now", NULL, 0, false, &line, error));
    OMEN_TRY(bind_call_line(binder, line, NULL, 0, node->location, out, error));
    return bind_explicit_cast(binder, *out, type, node->location, out, error);
}
