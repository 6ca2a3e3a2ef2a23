/* bind_coerce.c - making an expression one of another type.
 *
 * An untyped literal is read as the type, a parameter without type takes it, a constant is
 * converted here and now (where that fails the cast stays, and fails only if it is reached), and
 * everything else gets a cast.
 */
#include <string.h>

#include "base/assert.h"
#include "sql/bind_private.h"
#include "sql/function.h"
#include "sql/cast.h"
#include "sql/value_text.h"

/* What a parameter that must be a NUMERIC of any digits gets. */
static const omen_type PARAMETER_DECIMAL = {
    .id = OMEN_TYPE_DECIMAL, .precision = DECIMAL_PRECISION_MAX, .scale = 10};

static bool is_any_decimal(omen_type type)
{
    return type.id == OMEN_TYPE_DECIMAL && type.precision == 0;
}

static bool is_float(omen_type_id type)
{
    return type == OMEN_TYPE_REAL || type == OMEN_TYPE_DOUBLE;
}

/* Whether values of one are values of the other as they are: the same, or one without modifiers. */
static bool type_suffices(omen_type from, omen_type to)
{
    if (from.id != to.id)
        return false;
    if (to.id == OMEN_TYPE_DECIMAL)
        return to.precision == 0 || (from.precision == to.precision && from.scale == to.scale);
    return to.length_max == 0 || from.length_max == to.length_max;
}

/* --- untyped literals --- */

omen_status bind_number(struct binder *binder, const char *text, size_t length, omen_value *out,
                        omen_error *error)
{
    struct number number;
    wide_integer unscaled;
    omen_type widest = {.id = OMEN_TYPE_DECIMAL, .precision = DECIMAL_PRECISION_MAX};
    if (!number_scan(text, length, &number))
        return value_from_text(widest, text, length, binder->arena, out, error);
    int64_t scale = 0;
    if (number.exponent > -1000 && number.exponent < 1000)
        scale = (int64_t)number.fraction_length - number.exponent;
    else if (number.exponent < 0)
        scale = DECIMAL_PRECISION_MAX + 1;
    if (scale < 0)
        scale = 0;
    if (scale > DECIMAL_PRECISION_MAX ||
        number_to_scaled(&number, (uint32_t)scale, &unscaled) != NUMBER_EXACT)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "numbers of more than %d digits are not supported", DECIMAL_PRECISION_MAX);
    uint32_t precision = scale > 0 ? (uint32_t)scale : 1;
    while (!decimal_fits(unscaled, precision))
        precision++;
    *out = (omen_value){.type = widest};
    out->type.precision = (uint8_t)precision;
    out->type.scale = (int8_t)scale;
    out->as.decimal = decimal_from_integer(unscaled);
    return OMEN_OK;
}

/* Reads text through the cast from TEXT: types that are only of expressions. */
static omen_status read_by_cast(struct binder *binder, const omen_value *text, omen_type type,
                                omen_value *out, omen_error *error)
{
    const struct semantics_line *line =
        semantics_find_cast(OMEN_TYPE_TEXT, type.id, CONTEXT_EXPLICIT);
    if (line == NULL || line->evaluate == NULL)
        return error_set(error, OMEN_NOT_SUPPORTED, "literals of type %s are not supported",
                         semantics_type_name(type.id));
    struct call_context context = {.arena = binder->arena, .result = type, .argument_count = 1};
    return line->evaluate(&context, text, out, error);
}

static omen_status read_literal(struct binder *binder, const struct expression *literal,
                                omen_type type, enum cast_context context, omen_value *out,
                                omen_error *error)
{
    omen_value text = {.type.id = OMEN_TYPE_TEXT, .as.bytes = literal->value.as.bytes};
    const char *bytes = (const char *)text.as.bytes.data;
    size_t length = text.as.bytes.length;
    if (literal->value.is_null) {
        *out = (omen_value){.type = type, .is_null = true};
        if (is_any_decimal(type))
            out->type.precision = 1;
        return OMEN_OK;
    }
    if ((uint32_t)type.id >= SQL_TYPE_INTERVAL)
        return read_by_cast(binder, &text, type, out, error);
    if (is_any_decimal(type))
        return bind_number(binder, bytes, length, out, error);
    if (type.length_max > 0 && context == CONTEXT_EXPLICIT)
        return cast_value(&text, type, CAST_EXPLICIT, binder->arena, out, error);
    return value_from_text(type, bytes, length, binder->arena, out, error);
}

static omen_status coerce_literal(struct binder *binder, const struct expression *literal,
                                  omen_type type, enum cast_context context,
                                  struct expression **out, omen_error *error)
{
    omen_value value;
    omen_status status = read_literal(binder, literal, type, context, &value, error);
    if (status != OMEN_OK) {
        parse_set_position(binder->parsed, literal->location, error);
        return status;
    }
    *out = bind_value(binder, &value, literal->location);
    return *out != NULL ? OMEN_OK : bind_no_memory(error);
}

void bind_fix_parameter(struct binder *binder, struct expression *parameter, omen_type type)
{
    type.length_max = 0;
    if (is_any_decimal(type))
        type = PARAMETER_DECIMAL;
    parameter->type = type;
    binder->parameter_types[parameter->parameter] = type;
    binder->untyped[parameter->parameter] = NULL;
}

/* --- casts --- */

/* Converts a constant now. False where that fails: the cast fails when it is reached. */
static bool fold_cast(struct binder *binder, const struct semantics_line *line,
                      const omen_value *from, omen_type type, enum cast_context context,
                      omen_value *out)
{
    if (from->is_null) {
        *out = (omen_value){.type = type, .is_null = true};
        return true;
    }
    if ((uint32_t)type.id < SQL_TYPE_INTERVAL && (uint32_t)from->type.id < SQL_TYPE_INTERVAL)
        return cast_value(from, type, context == CONTEXT_EXPLICIT ? CAST_EXPLICIT : CAST_ASSIGNMENT,
                          binder->arena, out, NULL) == OMEN_OK;
    struct call_context call = {.arena = binder->arena, .result = type, .argument_count = 1};
    bool fixed = (line->flags & (SEMANTICS_STABLE | SEMANTICS_VOLATILE)) == 0;
    return fixed && line->evaluate != NULL && line->evaluate(&call, from, out, NULL) == OMEN_OK;
}

static omen_status make_cast(struct binder *binder, struct expression *operand, omen_type type,
                             enum cast_context context, const struct semantics_line *line,
                             struct expression **out, omen_error *error)
{
    omen_value value;
    if (operand->kind == EXPRESSION_CONSTANT &&
        fold_cast(binder, line, &operand->value, type, context, &value)) {
        *out = bind_value(binder, &value, operand->location);
        return *out != NULL ? OMEN_OK : bind_no_memory(error);
    }
    struct expression *cast = bind_node(binder, EXPRESSION_CALL, type, operand->location, 1);
    if (cast == NULL)
        return bind_no_memory(error);
    cast->line = line;
    cast->arguments[0] = operand;
    cast->explicit_cast = context == CONTEXT_EXPLICIT;
    binder->uses_now |= (line->flags & SEMANTICS_STABLE) != 0;
    *out = cast;
    return OMEN_OK;
}

/* The digits of a NUMERIC made from this operand. False where they are not known. */
static bool decimal_for(struct binder *binder, const struct expression *operand, omen_type *type)
{
    omen_value value;
    const char *text;
    size_t length;
    if (operand->kind == EXPRESSION_CONSTANT && operand->value.is_null) {
        type->precision = 1;
        return true;
    }
    if (operand->type.id == OMEN_TYPE_DECIMAL || operand->type.id == OMEN_TYPE_SMALLINT ||
        operand->type.id == OMEN_TYPE_INTEGER || operand->type.id == OMEN_TYPE_BIGINT) {
        *type = semantics_decimal_of(operand->type);
        return true;
    }
    if (operand->kind != EXPRESSION_CONSTANT)
        return false;
    char digits[FLOAT_TEXT_BYTES_MAX + 16];
    if (is_float(operand->type.id)) {
        bool real = operand->type.id == OMEN_TYPE_REAL;
        double number = real ? (double)operand->value.as.f32 : operand->value.as.f64;
        if (!(number - number == 0)) /* NaN, infinity */
            return false;
        length = float_to_text_digits(number, real ? 6 : 15, digits);
        text = digits;
    } else {
        text = (const char *)operand->value.as.bytes.data;
        length = operand->value.as.bytes.length;
    }
    if (bind_number(binder, text, length, &value, NULL) != OMEN_OK)
        return false;
    *type = value.type;
    return true;
}

static omen_status no_cast(struct binder *binder, const struct expression *operand, omen_type type,
                           enum cast_context context, const char *column, omen_error *error)
{
    const char *from = semantics_type_name(operand->type.id), *to = semantics_type_name(type.id);
    if (context == CONTEXT_ASSIGNMENT && column != NULL)
        return bind_fail(binder, bind_leftmost(operand), error, OMEN_TYPE_MISMATCH,
                         "column \"%s\" is of type %s but expression is of type %s", column, to,
                         from);
    return bind_fail(binder, bind_leftmost(operand), error, OMEN_CANNOT_COERCE,
                     "cannot cast type %s to %s", from, to);
}

omen_status bind_coerce(struct binder *binder, struct expression *expression, omen_type type,
                        enum cast_context context, const char *column, struct expression **out,
                        omen_error *error)
{
    if (bind_is_unknown(expression->type) && expression->kind == EXPRESSION_CONSTANT)
        return coerce_literal(binder, expression, type, context, out, error);
    if (bind_is_unknown(expression->type) && expression->kind == EXPRESSION_PARAMETER)
        bind_fix_parameter(binder, expression, type);
    *out = expression;
    if (type_suffices(expression->type, type))
        return OMEN_OK;
    /* A type's own modifiers are no matter of casting rules. */
    const struct semantics_line *line = semantics_find_cast(
        expression->type.id, type.id, expression->type.id == type.id ? CONTEXT_EXPLICIT : context);
    if (line == NULL)
        return no_cast(binder, expression, type, context, column, error);
    if (is_any_decimal(type) && !decimal_for(binder, expression, &type))
        return bind_fail(binder, bind_leftmost(expression), error, OMEN_NOT_SUPPORTED,
                         "casting %s to numeric without precision and scale is not supported",
                         semantics_type_name(expression->type.id));
    return make_cast(binder, expression, type, context, line, out, error);
}

omen_status bind_explicit_cast(struct binder *binder, struct expression *operand, omen_type type,
                               int location, struct expression **out, omen_error *error)
{
    if (!bind_is_unknown(operand->type) && operand->type.id != type.id &&
        semantics_find_cast(operand->type.id, type.id, CONTEXT_EXPLICIT) == NULL)
        return bind_fail(binder, location, error, OMEN_CANNOT_COERCE, "cannot cast type %s to %s",
                         semantics_type_name(operand->type.id), semantics_type_name(type.id));
    bool typed = !bind_is_unknown(operand->type);
    OMEN_TRY(bind_coerce(binder, operand, type, CONTEXT_EXPLICIT, NULL, out, error));
    if (typed && *out != operand && location >= 0 && location < (*out)->location)
        (*out)->location = location;
    return OMEN_OK;
}

omen_status bind_coerce_argument(struct binder *binder, struct expression *expression,
                                 uint32_t type, struct expression **out, omen_error *error)
{
    if (type == SQL_TYPE_ANY)
        return bind_settle(binder, expression, out, error);
    return bind_coerce(binder, expression, (omen_type){.id = (omen_type_id)type}, CONTEXT_IMPLICIT,
                       NULL, out, error);
}

omen_status bind_settle(struct binder *binder, struct expression *expression,
                        struct expression **out, omen_error *error)
{
    *out = expression;
    if (!bind_is_unknown(expression->type))
        return OMEN_OK;
    return bind_coerce(binder, expression, (omen_type){.id = OMEN_TYPE_TEXT}, CONTEXT_IMPLICIT,
                       NULL, out, error);
}

omen_status bind_coerce_boolean(struct binder *binder, struct expression *expression,
                                const char *what, struct expression **out, omen_error *error)
{
    omen_type boolean = {.id = OMEN_TYPE_BOOLEAN};
    if (!bind_is_unknown(expression->type) && expression->type.id != OMEN_TYPE_BOOLEAN &&
        semantics_find_cast(expression->type.id, OMEN_TYPE_BOOLEAN, CONTEXT_ASSIGNMENT) == NULL)
        return bind_fail(binder, bind_leftmost(expression), error, OMEN_TYPE_MISMATCH,
                         "argument of %s must be type boolean, not type %s", what,
                         semantics_type_name(expression->type.id));
    return bind_coerce(binder, expression, boolean, CONTEXT_ASSIGNMENT, NULL, out, error);
}

/* --- common types --- */

/* The location of the first expression that does not go with those before it. */
static int mismatch_location(struct expression **expressions, const omen_type *types,
                             uint32_t count, const char *what)
{
    omen_type common;
    uint32_t good = 0, bad = count; /* how many go together, how many do not */
    while (bad - good > 1) {
        uint32_t middle = good + (bad - good) / 2;
        if (semantics_common_type(types, middle, what, &common, NULL) == OMEN_OK)
            good = middle;
        else
            bad = middle;
    }
    return bad > 0 ? bind_leftmost(expressions[bad - 1]) : -1;
}

omen_status bind_common_type(struct binder *binder, struct expression **expressions, uint32_t count,
                             const char *what, omen_type *type, omen_error *error)
{
    omen_type *types = arena_alloc(binder->arena, count * sizeof *types);
    if (types == NULL)
        return bind_no_memory(error);
    for (uint32_t i = 0; i < count; i++)
        types[i] = expressions[i]->type;
    omen_status status = semantics_common_type(types, count, what, type, error);
    if (status == OMEN_OK && type->id == OMEN_TYPE_DECIMAL) {
        /* Untyped literals bring digits too. */
        for (uint32_t i = 0; i < count; i++)
            if (bind_is_unknown(types[i])) {
                omen_type digits = {.id = OMEN_TYPE_DECIMAL};
                if (expressions[i]->kind == EXPRESSION_CONSTANT &&
                    decimal_for(binder, expressions[i], &digits))
                    types[i] = digits;
            }
        status = semantics_common_type(types, count, what, type, error);
    }
    if (status != OMEN_OK)
        parse_set_position(binder->parsed, mismatch_location(expressions, types, count, what),
                           error);
    return status;
}

omen_status bind_unify(struct binder *binder, struct expression **expressions, uint32_t count,
                       const char *what, omen_type *type, omen_error *error)
{
    OMEN_TRY(bind_common_type(binder, expressions, count, what, type, error));
    for (uint32_t i = 0; i < count; i++) {
        omen_type_id own = expressions[i]->type.id;
        if (own != OMEN_TYPE_NONE && own != type->id &&
            semantics_find_cast(own, type->id, CONTEXT_IMPLICIT) == NULL)
            return bind_fail(binder, bind_leftmost(expressions[i]), error, OMEN_CANNOT_COERCE,
                             "%s could not convert type %s to %s", what, semantics_type_name(own),
                             semantics_type_name(type->id));
        OMEN_TRY(bind_coerce(binder, expressions[i], *type, CONTEXT_IMPLICIT, NULL, &expressions[i],
                             error));
    }
    return OMEN_OK;
}

/* --- calls --- */

/* The constant number of digits that round() and its like have. */
static omen_status read_digits(struct binder *binder, const struct semantics_line *line,
                               const struct expression *call, int32_t *out, omen_error *error)
{
    *out = 0;
    if (line->rule == RESULT_DECIMAL_FIELD) {
        const struct expression *field = call->arguments[0];
        *out = field->kind == EXPRESSION_CONSTANT
                   ? function_extract_scale(&field->value, call->arguments[1]->type.id)
                   : EXTRACT_SCALE_MAX;
        return OMEN_OK;
    }
    if (line->rule != RESULT_DECIMAL_DIGITS || call->argument_count < 2)
        return OMEN_OK;
    const struct expression *digits = call->arguments[1];
    if (digits->kind != EXPRESSION_CONSTANT || digits->type.id != OMEN_TYPE_INTEGER)
        return bind_fail(binder, digits->location, error, OMEN_NOT_SUPPORTED,
                         "%s with a number of digits that is not a constant is not supported",
                         line->name);
    *out = digits->value.is_null ? 0 : digits->value.as.i32;
    return OMEN_OK;
}

/* Arguments of any type are of one type where the result has it: lag(i, 1, 2.5). */
static omen_status unify_any(struct binder *binder, const struct semantics_line *line,
                             struct expression **arguments, uint32_t count, int location,
                             omen_error *error)
{
    struct expression *same[SEMANTICS_ARGUMENTS_MAX];
    uint32_t positions[SEMANTICS_ARGUMENTS_MAX], same_count = 0;
    omen_type type, types[SEMANTICS_ARGUMENTS_MAX];
    if (line->rule != RESULT_SAME || count > line->argument_count)
        return OMEN_OK;
    for (uint32_t i = 0; i < count; i++) {
        types[i] = arguments[i]->type;
        if (line->arguments[i] == SQL_TYPE_ANY) {
            positions[same_count] = i;
            same[same_count++] = arguments[i];
        }
    }
    if (same_count == 1 && bind_is_unknown(same[0]->type))
        return error_set(error, OMEN_TYPE_MISMATCH,
                         "could not determine polymorphic type because input has type unknown");
    if (same_count < 2)
        return OMEN_OK;
    omen_status status = bind_unify(binder, same, same_count, line->name, &type, error);
    if (status == OMEN_TYPE_MISMATCH) {
        semantics_no_function(line->name, types, count, error);
        parse_set_position(binder->parsed, location, error);
        return OMEN_UNDEFINED_FUNCTION;
    }
    for (uint32_t i = 0; i < same_count; i++)
        arguments[positions[i]] = same[i];
    return status;
}

omen_status bind_call_line(struct binder *binder, const struct semantics_line *line,
                           struct expression **arguments, uint32_t count, int location,
                           struct expression **out, omen_error *error)
{
    int32_t digits;
    struct expression *call = bind_node(binder, EXPRESSION_CALL, (omen_type){0}, location, count);
    omen_type *types = arena_alloc(binder->arena, count * sizeof *types);
    if (call == NULL || types == NULL)
        return bind_no_memory(error);
    OMEN_TRY(unify_any(binder, line, arguments, count, location, error));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t last = line->argument_count - 1u;
        OMEN_TRY(bind_coerce_argument(binder, arguments[i], line->arguments[i < last ? i : last],
                                      &call->arguments[i], error));
        types[i] = call->arguments[i]->type;
    }
    call->line = line;
    OMEN_TRY(read_digits(binder, line, call, &digits, error));
    omen_status status = semantics_result_type(line, types, count, digits, &call->type, error);
    if (status != OMEN_OK) {
        parse_set_position(binder->parsed, location, error);
        return status;
    }
    binder->has_volatile |= (line->flags & SEMANTICS_VOLATILE) != 0;
    binder->uses_now |= (line->flags & SEMANTICS_STABLE) != 0;
    *out = call;
    return OMEN_OK;
}
