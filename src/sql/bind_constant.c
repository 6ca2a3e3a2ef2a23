/* bind_constant.c - literals, parameters and casts as written. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sql/bind_private.h"
#include "sql/cast.h"
#include "sql/value_text.h"

/* --- literals --- */

static void set_integer(omen_value *value, int64_t integer)
{
    if (integer >= INT32_MIN && integer <= INT32_MAX) {
        value->type.id = OMEN_TYPE_INTEGER;
        value->as.i32 = (int32_t)integer;
    } else {
        value->type.id = OMEN_TYPE_BIGINT;
        value->as.i64 = integer;
    }
}

/* A number that the lexer did not take for an integer: 64 bits where it has no point and fits. */
static omen_status read_number(struct binder *binder, const char *text, omen_value *out,
                               omen_error *error)
{
    struct number number;
    wide_integer integer;
    size_t length = strlen(text);
    if (strpbrk(text, ".eE") != NULL || !number_scan(text, length, &number) ||
        number_to_scaled(&number, 0, &integer) != NUMBER_EXACT || integer < INT64_MIN ||
        integer > INT64_MAX)
        return bind_number(binder, text, length, out, error);
    set_integer(out, (int64_t)integer);
    return OMEN_OK;
}

omen_status bind_constant(struct binder *binder, const PgQuery__AConst *node,
                          struct expression **out, omen_error *error)
{
    omen_value value = {.type.id = OMEN_TYPE_NONE};
    omen_status status = OMEN_OK;
    if (node->isnull) {
        value.is_null = true;
    } else if (node->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
        set_integer(&value, node->ival->ival);
    } else if (node->val_case == PG_QUERY__A__CONST__VAL_FVAL) {
        status = read_number(binder, node->fval->fval, &value, error);
    } else if (node->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL) {
        value.type.id = OMEN_TYPE_BOOLEAN;
        value.as.boolean = node->boolval->boolval;
    } else if (node->val_case == PG_QUERY__A__CONST__VAL_SVAL) {
        value.as.bytes.data = (const uint8_t *)node->sval->sval;
        value.as.bytes.length = strlen(node->sval->sval);
    } else {
        return bind_unsupported(binder, node->location, "bit string literals are", error);
    }
    if (status != OMEN_OK) {
        parse_set_position(binder->parsed, node->location, error);
        return status;
    }
    *out = bind_value(binder, &value, node->location);
    return *out != NULL ? OMEN_OK : bind_no_memory(error);
}

omen_status bind_expression_for(struct binder *binder, struct scope *scope,
                                const PgQuery__Node *node, omen_type type, struct expression **out,
                                omen_error *error)
{
    bool is_float = type.id == OMEN_TYPE_REAL || type.id == OMEN_TYPE_DOUBLE;
    if (!is_float || node->node_case != PG_QUERY__NODE__NODE_A_CONST || node->a_const->isnull ||
        node->a_const->val_case != PG_QUERY__A__CONST__VAL_FVAL)
        return bind_expression(binder, scope, node, out, error);
    const char *text = node->a_const->fval->fval;
    omen_value number,
        value = {.type.id = OMEN_TYPE_NONE, .as.bytes = {(const uint8_t *)text, strlen(text)}};
    omen_error failure;
    /* A number beyond the type fails where it is asked for: perhaps nowhere, in a CASE. */
    bool fails = value_from_text(type, text, strlen(text), binder->arena, &number, &failure) ==
                 OMEN_OUT_OF_RANGE;
    if (fails)
        value.type.id = OMEN_TYPE_TEXT;
    *out = bind_value(binder, &value, node->a_const->location);
    if (*out == NULL)
        return bind_no_memory(error);
    return fails ? bind_explicit_cast(binder, *out, type, node->a_const->location, out, error)
                 : OMEN_OK;
}

omen_status bind_parameter(struct binder *binder, struct scope *scope,
                           const PgQuery__ParamRef *node, struct expression **out,
                           omen_error *error)
{
    if (node->number < 1 || (uint32_t)node->number > binder->parameter_count ||
        (scope != NULL && scope->clause == bind_default_clause))
        return bind_fail(binder, node->location, error, OMEN_UNDEFINED_PARAMETER,
                         "there is no parameter $%d", node->number);
    uint32_t number = (uint32_t)node->number - 1;
    *out = binder->untyped[number]; /* all uses take the type that one of them finds */
    if (*out != NULL)
        return OMEN_OK;
    omen_type type = binder->parameter_types[number];
    *out = bind_node(binder, EXPRESSION_PARAMETER, type, node->location, 0);
    if (*out == NULL)
        return bind_no_memory(error);
    (*out)->parameter = number;
    if (bind_is_unknown(type))
        binder->untyped[number] = *out;
    return OMEN_OK;
}

/* --- intervals --- */

/* PostgreSQL's INTERVAL_MASK of single fields, and of all. */
static const struct {
    int mask;
    const char *unit;
} interval_fields[] = {
    {1 << 2, "year"},  {1 << 1, "month"},   {1 << 3, "day"},
    {1 << 10, "hour"}, {1 << 11, "minute"}, {1 << 12, "second"},
};
enum { INTERVAL_ALL_FIELDS = 0x7FFF };

static bool is_interval(const PgQuery__TypeName *name)
{
    const char *last = name->n_names > 0 ? parse_string(name->names[name->n_names - 1]) : NULL;
    const char *schema = name->n_names == 2 ? parse_string(name->names[0]) : "pg_catalog";
    return name->n_names <= 2 && last != NULL && schema != NULL &&
           strcmp(schema, "pg_catalog") == 0 && strcmp(last, "interval") == 0 && !name->setof &&
           !name->pct_type && name->n_array_bounds == 0;
}

static int modifier_of(const PgQuery__Node *node)
{
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST && !node->a_const->isnull &&
        node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL)
        return node->a_const->ival->ival;
    return -1;
}

static bool is_whole_number(omen_bytes text)
{
    size_t start = text.length > 0 && (text.data[0] == '-' || text.data[0] == '+') ? 1 : 0;
    for (size_t i = start; i < text.length; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    return text.length > start && text.length < 20;
}

/* INTERVAL '3' DAY: the literal is a whole number of the one field. */
static omen_status apply_field(struct binder *binder, const PgQuery__TypeName *name,
                               struct expression *operand, struct expression **out,
                               omen_error *error)
{
    int mask = name->n_typmods > 0 ? modifier_of(name->typmods[0]) : INTERVAL_ALL_FIELDS;
    *out = operand;
    if (mask == INTERVAL_ALL_FIELDS && name->n_typmods < 2)
        return OMEN_OK;
    const char *unit = NULL;
    for (size_t i = 0; i < sizeof interval_fields / sizeof *interval_fields; i++)
        if (interval_fields[i].mask == mask)
            unit = interval_fields[i].unit;
    if (unit == NULL || name->n_typmods > 1 || operand->kind != EXPRESSION_CONSTANT ||
        !bind_is_unknown(operand->type) || operand->value.is_null ||
        !is_whole_number(operand->value.as.bytes))
        return bind_unsupported(binder, name->location, "this form of interval is", error);
    char text[64];
    omen_bytes number = operand->value.as.bytes;
    int length = snprintf(text, sizeof text, "%.*s %s", (int)number.length, number.data, unit);
    omen_value value = operand->value;
    value.as.bytes.data = (uint8_t *)arena_copy_text(binder->arena, text, (size_t)length);
    value.as.bytes.length = (size_t)length;
    if (value.as.bytes.data == NULL)
        return bind_no_memory(error);
    *out = bind_value(binder, &value, operand->location);
    return *out != NULL ? OMEN_OK : bind_no_memory(error);
}

/* --- casts --- */

omen_status bind_type_cast(struct binder *binder, struct scope *scope,
                           const PgQuery__TypeCast *node, struct expression **out,
                           omen_error *error)
{
    omen_type type = {.id = (omen_type_id)SQL_TYPE_INTERVAL};
    struct expression *operand;
    bool interval = is_interval(node->type_name);
    if (!interval) {
        omen_status status = type_from_name(node->type_name, &type, error);
        if (status != OMEN_OK) {
            parse_set_position(binder->parsed, node->type_name->location, error);
            return status;
        }
    }
    OMEN_TRY(bind_expression_for(binder, scope, node->arg, type, &operand, error));
    if (interval)
        OMEN_TRY(apply_field(binder, node->type_name, operand, &operand, error));
    int location = node->location >= 0 ? node->location : node->type_name->location;
    return bind_explicit_cast(binder, operand, type, location, out, error);
}
