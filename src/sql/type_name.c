/* type_name.c - PostgreSQL's type names to the types of this database. */
#include <stdio.h>
#include <string.h>

#include "sql/cast.h"

enum { NUMERIC_PRECISION_MAX = 1000, LENGTH_MAX = 10485760 };

static const struct {
    const char *name;
    omen_type_id type;
} known_types[] = {
    {"bool", OMEN_TYPE_BOOLEAN},
    {"boolean", OMEN_TYPE_BOOLEAN},
    {"int2", OMEN_TYPE_SMALLINT},
    {"int4", OMEN_TYPE_INTEGER},
    {"int8", OMEN_TYPE_BIGINT},
    {"float4", OMEN_TYPE_REAL},
    {"float8", OMEN_TYPE_DOUBLE},
    {"numeric", OMEN_TYPE_DECIMAL},
    {"text", OMEN_TYPE_TEXT},
    {"varchar", OMEN_TYPE_VARCHAR},
    {"bpchar", OMEN_TYPE_CHAR},
    {"bytea", OMEN_TYPE_BYTEA},
    {"date", OMEN_TYPE_DATE},
    {"timestamp", OMEN_TYPE_TIMESTAMP},
    {"timestamptz", OMEN_TYPE_TIMESTAMPTZ},
    {"uuid", OMEN_TYPE_UUID},
};

/* Types of PostgreSQL that are not here, so that the message does not say they don't exist. */
static const char *const other_types[] = {
    "time",    "timetz",    "interval",  "json",        "jsonb",     "xml",       "money",
    "bit",     "varbit",    "inet",      "cidr",        "macaddr",   "macaddr8",  "point",
    "line",    "lseg",      "box",       "path",        "polygon",   "circle",    "tsvector",
    "tsquery", "name",      "char",      "oid",         "regclass",  "serial",    "serial2",
    "serial4", "serial8",   "bigserial", "smallserial", "int4range", "int8range", "numrange",
    "tsrange", "tstzrange", "daterange", "pg_lsn",      "record",    "void",
};

static omen_status read_modifier(const PgQuery__Node *node, int *out, omen_error *error)
{
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST && !node->a_const->isnull &&
        node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
        *out = node->a_const->ival->ival;
        return OMEN_OK;
    }
    return error_set(error, OMEN_SYNTAX_ERROR, "type modifiers must be simple constants");
}

static omen_status apply_decimal(const int *modifiers, size_t count, omen_type *type,
                                 omen_error *error)
{
    int precision = modifiers[0], scale = count > 1 ? modifiers[1] : 0;
    if (precision < 1 || precision > NUMERIC_PRECISION_MAX)
        return error_set(error, OMEN_INVALID_ARGUMENT,
                         "NUMERIC precision %d must be between 1 and %d", precision,
                         NUMERIC_PRECISION_MAX);
    if (precision > 38)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "NUMERIC precision %d is not supported, 38 is the most", precision);
    if (scale < 0 || scale > precision)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "NUMERIC scale %d is not supported, it must be between 0 and the "
                         "precision %d",
                         scale, precision);
    type->precision = (uint8_t)precision;
    type->scale = (int8_t)scale;
    return OMEN_OK;
}

static omen_status apply_modifiers(const char *name, const int *modifiers, size_t count,
                                   omen_type *type, omen_error *error)
{
    switch (type->id) {
    case OMEN_TYPE_DECIMAL:
        if (count <= 2)
            return apply_decimal(modifiers, count, type, error);
        break;
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR:
        if (count != 1)
            break;
        if (modifiers[0] < 1)
            return error_set(error, OMEN_INVALID_ARGUMENT, "length for type %s must be at least 1",
                             name);
        if (modifiers[0] > LENGTH_MAX)
            return error_set(error, OMEN_INVALID_ARGUMENT, "length for type %s cannot exceed %d",
                             name, LENGTH_MAX);
        type->length_max = (uint32_t)modifiers[0];
        return OMEN_OK;
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        if (count == 1 && modifiers[0] == 6)
            return OMEN_OK;
        return error_set(error, OMEN_NOT_SUPPORTED, "timestamps have 6 digits of seconds here");
    default:
        break;
    }
    return error_set(error, OMEN_SYNTAX_ERROR, "type modifier is not allowed for type \"%s\"",
                     name);
}

static omen_status unknown_type(const char *name, omen_error *error)
{
    for (size_t i = 0; i < sizeof other_types / sizeof *other_types; i++)
        if (strcmp(name, other_types[i]) == 0)
            return error_set(error, OMEN_NOT_SUPPORTED, "type %s is not supported", name);
    return error_set(error, OMEN_UNDEFINED_TYPE, "type \"%s\" does not exist", name);
}

omen_status type_from_name(const PgQuery__TypeName *name, omen_type *out, omen_error *error)
{
    int modifiers[2] = {0};
    memset(out, 0, sizeof *out);
    const char *last = name->n_names > 0 ? parse_string(name->names[name->n_names - 1]) : NULL;
    const char *schema = name->n_names == 2 ? parse_string(name->names[0]) : NULL;
    if (last == NULL || name->n_names > 2 ||
        (name->n_names == 2 && (schema == NULL || strcmp(schema, "pg_catalog") != 0)))
        return error_set(error, OMEN_UNDEFINED_TYPE, "type does not exist");
    if (name->setof || name->pct_type || name->n_array_bounds > 0)
        return error_set(error, OMEN_NOT_SUPPORTED, "arrays and sets are not supported");
    for (size_t i = 0; i < sizeof known_types / sizeof *known_types; i++)
        if (strcmp(last, known_types[i].name) == 0)
            out->id = known_types[i].type;
    if (out->id == OMEN_TYPE_NONE)
        return unknown_type(last, error);
    if (name->n_typmods > 2)
        return error_set(error, OMEN_SYNTAX_ERROR, "too many type modifiers");
    for (size_t i = 0; i < name->n_typmods; i++)
        OMEN_TRY(read_modifier(name->typmods[i], &modifiers[i], error));
    if (name->n_typmods > 0)
        return apply_modifiers(last, modifiers, name->n_typmods, out, error);
    if (out->id == OMEN_TYPE_CHAR)
        return error_set(error, OMEN_NOT_SUPPORTED, "type bpchar needs a length");
    return OMEN_OK;
}
