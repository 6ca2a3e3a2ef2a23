/* bind_narrow.c - comparisons of a column with a constant of a wider type, in the column's type.
 *
 *   CAST(i AS NUMERIC) = 5.00      i = 5
 *   n < 5  (n NUMERIC(10,2))       n < 5.00
 *   CAST(i AS NUMERIC) = 42.5      stays: no integer is 42.5
 *   CAST(d AS TIMESTAMP) < noon    d <= day
 *
 * So predicates reach indexes and scans. Sound for all six comparisons, because the cast of the
 * column is exact and keeps the order, and the constant is the cast of the narrower one: x < y
 * where and only where cast(x) < cast(y). Exceptions to that are left as they are: INTEGER as REAL,
 * NUMERIC as DOUBLE; BIGINT as DOUBLE from 2^53 on; CHAR, padded, keeps equality only. The zone is
 * UTC, so that TIMESTAMP and TIMESTAMPTZ are the same numbers.
 */
#include <math.h>
#include <string.h>

#include "sql/bind_private.h"
#include "sql/cast.h"

/* Whether the cast is exact for every value and keeps the order. */
static bool widens(omen_type_id column, omen_type_id wide)
{
    switch (column) {
    case OMEN_TYPE_SMALLINT:
        return wide >= OMEN_TYPE_SMALLINT && wide <= OMEN_TYPE_DECIMAL;
    case OMEN_TYPE_INTEGER:
        return wide == OMEN_TYPE_INTEGER || wide == OMEN_TYPE_BIGINT || wide == OMEN_TYPE_DECIMAL ||
               wide == OMEN_TYPE_DOUBLE;
    case OMEN_TYPE_BIGINT:
        return wide == OMEN_TYPE_BIGINT || wide == OMEN_TYPE_DECIMAL || wide == OMEN_TYPE_DOUBLE;
    case OMEN_TYPE_REAL:
        return wide == OMEN_TYPE_REAL || wide == OMEN_TYPE_DOUBLE;
    case OMEN_TYPE_VARCHAR:
        return wide == OMEN_TYPE_VARCHAR || wide == OMEN_TYPE_TEXT;
    case OMEN_TYPE_DATE:
        return wide >= OMEN_TYPE_DATE && wide <= OMEN_TYPE_TIMESTAMPTZ;
    case OMEN_TYPE_TIMESTAMP:
        return wide == OMEN_TYPE_TIMESTAMP || wide == OMEN_TYPE_TIMESTAMPTZ;
    default:
        return wide == column;
    }
}

static bool types_match(omen_type one, omen_type other)
{
    return one.id == other.id && one.precision == other.precision && one.scale == other.scale &&
           one.length_max == other.length_max;
}

enum narrow_result bind_narrow_value(const omen_value *value, omen_type column, bool equality,
                                     struct arena *arena, omen_value *out)
{
    omen_value back;
    if ((uint32_t)value->type.id >= SQL_TYPE_INTERVAL || !widens(column.id, value->type.id) ||
        (column.id == OMEN_TYPE_CHAR && !equality))
        return NARROW_NOT;
    if (value->is_null) {
        *out = (omen_value){.type = column, .is_null = true};
        return NARROW_EXACT;
    }
    if (column.id == OMEN_TYPE_BIGINT && value->type.id == OMEN_TYPE_DOUBLE &&
        !(fabs(value->as.f64) < 0x1p53))
        return NARROW_NOT;
    omen_status status = cast_value(value, column, CAST_ASSIGNMENT, arena, out, NULL);
    if (status == OMEN_OK && column.id == OMEN_TYPE_CHAR)
        return NARROW_EXACT; /* blanks at the end do not count */
    if (status == OMEN_OK)
        status = cast_value(out, value->type, CAST_ASSIGNMENT, arena, &back, NULL);
    if (status == OMEN_OUT_OF_MEMORY)
        return NARROW_NOT;
    if (status == OMEN_OK && value_compare(&back, value) == 0)
        return NARROW_EXACT;
    return NARROW_NEVER_EQUAL;
}

/* Whether a cast as written loses nothing: c::char(2), n::numeric(5,0) cut and round. */
static bool keeps_modifiers(omen_type from, omen_type to)
{
    if (to.id == OMEN_TYPE_DECIMAL) {
        omen_type needed = semantics_decimal_of(from);
        return to.scale >= needed.scale &&
               to.precision - to.scale >= needed.precision - needed.scale;
    }
    return to.length_max == 0 || (from.length_max > 0 && from.length_max <= to.length_max);
}

/* The column of `column` or CAST(column), else NULL. */
static struct expression *column_within(struct expression *side)
{
    omen_type type = side->type;
    if (side->kind == EXPRESSION_CALL && side->line->kind == SEMANTICS_CAST)
        side = side->arguments[0];
    if (side->kind != EXPRESSION_COLUMN || !widens(side->type.id, type.id) ||
        !keeps_modifiers(side->type, type))
        return NULL;
    return side;
}

static bool is_comparison(const struct semantics_line *line)
{
    static const char *const names[] = {"=", "<>", "<", "<=", ">", ">="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (line->kind == SEMANTICS_OPERATOR && strcmp(line->name, names[i]) == 0)
            return true;
    return false;
}

static struct expression *copy_constant(struct arena *arena, const struct expression *constant,
                                        const omen_value *value, omen_type type)
{
    struct expression *node = arena_alloc(arena, sizeof *node);
    if (node == NULL)
        return NULL;
    *node = *constant;
    node->type = type;
    node->value = *value;
    node->value.type = type;
    return node;
}

/* The day of a moment after its midnight that a DATE is compared with, and the comparison with it
 * that says the same: the days before the moment are those up to the day, the days after it are
 * those after the day. NULL where there is none. */
static struct expression *narrow_to_day(const struct expression *comparison, uint32_t column_at,
                                        omen_type column, struct arena *arena, const char **name)
{
    const struct expression *constant = comparison->arguments[1 - column_at];
    omen_value day, midnight;
    char sign = comparison->line->name[0];
    if (comparison->kind != EXPRESSION_CALL || column.id != OMEN_TYPE_DATE ||
        (sign != '<' && sign != '>') || strcmp(comparison->line->name, "<>") == 0 ||
        cast_value(&constant->value, column, CAST_ASSIGNMENT, arena, &day, NULL) != OMEN_OK ||
        cast_value(&day, constant->type, CAST_ASSIGNMENT, arena, &midnight, NULL) != OMEN_OK ||
        value_compare(&midnight, &constant->value) >= 0)
        return NULL;
    if (column_at == 0)
        *name = sign == '<' ? "<=" : ">";
    else
        *name = sign == '>' ? ">=" : "<";
    return copy_constant(arena, constant, &day, column);
}

/* A constant node of the column's type; NULL where it is not (or cannot be) equal to one. */
static struct expression *narrow_constant(const struct expression *constant, omen_type column,
                                          bool equality, struct arena *arena,
                                          enum narrow_result *result)
{
    omen_value value;
    *result = bind_narrow_value(&constant->value, column, equality, arena, &value);
    if (*result != NARROW_EXACT)
        return NULL;
    struct expression *node = copy_constant(arena, constant, &value, column);
    if (node == NULL)
        *result = NARROW_NOT;
    return node;
}

/* The comparison `name` of `arguments` instead; stays as it is where memory is exhausted. */
static void replace_call(struct arena *arena, struct expression **expression, const char *name,
                         struct expression **arguments, uint32_t count, omen_type column)
{
    const struct semantics_line *line;
    const struct expression *old = *expression;
    struct expression *node = arena_alloc(arena, sizeof *node);
    if (node == NULL || semantics_find_operator(name, &column, &column, &line, NULL) != OMEN_OK)
        return;
    *node = *old;
    node->line = line;
    node->arguments = arguments;
    node->argument_count = count;
    *expression = node;
}

/* Narrows argument i, where the other (`column_at`) is a column; items of IN that no value of the
 * column's type equals are left out, while one remains. */
static void narrow_around(struct arena *arena, struct expression **expression, uint32_t column_at)
{
    const struct expression *old = *expression;
    struct expression *column = column_within(old->arguments[column_at]);
    bool is_in = old->kind == EXPRESSION_IN, changed = column != old->arguments[column_at];
    bool equality = is_in || old->kind == EXPRESSION_DISTINCT_FROM || old->line->name[0] == '=' ||
                    strcmp(old->line->name, "<>") == 0;
    const char *name = old->line->name;
    uint32_t kept = 0;
    struct expression **arguments = arena_alloc(arena, old->argument_count * sizeof *arguments);
    if (column == NULL || arguments == NULL)
        return;
    for (uint32_t i = 0; i < old->argument_count; i++) {
        enum narrow_result result;
        const struct expression *item = old->arguments[i];
        if (i == column_at) {
            arguments[kept++] = column;
            continue;
        }
        if (item->kind != EXPRESSION_CONSTANT)
            return;
        struct expression *narrowed = narrow_constant(item, column->type, equality, arena, &result);
        if (result == NARROW_NEVER_EQUAL)
            narrowed = narrow_to_day(old, column_at, column->type, arena, &name);
        if (narrowed == NULL && (result == NARROW_NOT || !is_in))
            return;
        changed |= narrowed == NULL || !types_match(item->type, column->type);
        if (narrowed != NULL)
            arguments[kept++] = narrowed;
    }
    if (changed && kept > 1)
        replace_call(arena, expression, name, arguments, kept, column->type);
}

static void narrow_call(struct arena *arena, struct expression **expression)
{
    const struct expression *call = *expression;
    bool compares = call->kind == EXPRESSION_IN || call->kind == EXPRESSION_DISTINCT_FROM ||
                    (call->kind == EXPRESSION_CALL && call->argument_count == 2);
    if (!compares || call->line == NULL || !is_comparison(call->line))
        return;
    if (column_within(call->arguments[0]) != NULL)
        narrow_around(arena, expression, 0);
    else if (call->kind != EXPRESSION_IN && column_within(call->arguments[1]) != NULL)
        narrow_around(arena, expression, 1);
}

static bool narrow_part(struct expression **part, void *state)
{
    expression_visit_parts(*part, narrow_part, state);
    narrow_call(state, part);
    return true;
}

void bind_narrow(struct expression **expression, struct arena *arena)
{
    narrow_part(expression, arena);
}
