/* constant.c - literals and parameters: reading them, binding them, matching them with keys. */
#include <math.h>
#include <string.h>

#include "sql/cast.h"
#include "sql/value_text.h"

static const int64_t US_PER_DAY = INT64_C(86400000000);

/* --- reading --- */

static void set_integer(struct constant *out, int64_t integer)
{
    out->kind = CONSTANT_VALUE;
    if (integer >= INT32_MIN && integer <= INT32_MAX) {
        out->value.type.id = OMEN_TYPE_INTEGER;
        out->value.as.i32 = (int32_t)integer;
    } else {
        out->value.type.id = OMEN_TYPE_BIGINT;
        out->value.as.i64 = integer;
    }
}

/* A number that is not a 32-bit integer: 64 bits where it has no point and fits, else exact. */
static void set_number(struct constant *out, const char *text)
{
    struct number number;
    wide_integer integer;
    out->kind = CONSTANT_NUMBER;
    out->text = text;
    out->length = strlen(text);
    if (strpbrk(text, ".eE") == NULL && number_scan(text, out->length, &number) &&
        number_to_scaled(&number, 0, &integer) == NUMBER_EXACT && integer >= INT64_MIN &&
        integer <= INT64_MAX)
        set_integer(out, (int64_t)integer);
}

static bool read_literal(const PgQuery__AConst *literal, struct constant *out)
{
    out->location = literal->location;
    if (literal->isnull) {
        out->kind = CONSTANT_VALUE;
        out->value.is_null = true;
        return true;
    }
    switch (literal->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
        set_integer(out, literal->ival->ival);
        return true;
    case PG_QUERY__A__CONST__VAL_FVAL:
        set_number(out, literal->fval->fval);
        return true;
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
        out->kind = CONSTANT_VALUE;
        out->value.type.id = OMEN_TYPE_BOOLEAN;
        out->value.as.boolean = literal->boolval->boolval;
        return true;
    case PG_QUERY__A__CONST__VAL_SVAL:
        out->kind = CONSTANT_UNKNOWN;
        out->text = literal->sval->sval;
        out->length = strlen(out->text);
        return true;
    default:
        return false; /* bit strings */
    }
}

/* The digits of an exact constant as text in the arena; false where it is not exact. */
static omen_status constant_digits(struct constant *constant, struct arena *arena, bool *exact,
                                   omen_error *error)
{
    struct number number;
    *exact = true;
    if (constant->kind == CONSTANT_NUMBER)
        return OMEN_OK;
    if (constant->kind == CONSTANT_UNKNOWN) {
        if (!number_scan(constant->text, constant->length, &number))
            return text_invalid(OMEN_TYPE_DECIMAL, constant->text, constant->length, error);
        constant->kind = CONSTANT_NUMBER;
        return OMEN_OK;
    }
    omen_type_id type = constant->value.type.id;
    *exact = constant->value.is_null || type == OMEN_TYPE_DECIMAL ||
             (type >= OMEN_TYPE_SMALLINT && type <= OMEN_TYPE_BIGINT);
    if (!*exact || constant->value.is_null)
        return OMEN_OK;
    if (value_to_text_arena(&constant->value, arena, &constant->text, &constant->length) != OMEN_OK)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    constant->kind = CONSTANT_NUMBER;
    return OMEN_OK;
}

/* Casts a bound constant explicitly. `*is_constant` false where the core has no such cast. */
static omen_status constant_cast(struct constant *constant, omen_type type, struct arena *arena,
                                 bool *is_constant, omen_error *error)
{
    omen_value value;
    if (type.id == OMEN_TYPE_DECIMAL && type.precision == 0)
        return constant_digits(constant, arena, is_constant, error);
    if (constant->kind == CONSTANT_VALUE) {
        OMEN_TRY(cast_value(&constant->value, type, CAST_EXPLICIT, arena, &value, error));
    } else if (type.id == OMEN_TYPE_VARCHAR || type.id == OMEN_TYPE_CHAR ||
               (constant->kind == CONSTANT_NUMBER && type.id == OMEN_TYPE_TEXT)) {
        omen_value text = {.type.id = OMEN_TYPE_TEXT};
        text.as.bytes = (omen_bytes){(const uint8_t *)constant->text, constant->length};
        *is_constant = constant->kind == CONSTANT_UNKNOWN;
        if (!*is_constant)
            return OMEN_OK;
        OMEN_TRY(cast_value(&text, type, CAST_EXPLICIT, arena, &value, error));
    } else if (constant->kind == CONSTANT_NUMBER) {
        OMEN_TRY(constant_assign(constant, type, "?", arena, &value, error));
    } else {
        OMEN_TRY(value_from_text(type, constant->text, constant->length, arena, &value, error));
    }
    constant->kind = CONSTANT_VALUE;
    constant->value = value;
    return OMEN_OK;
}

static omen_status read_cast(const PgQuery__TypeCast *cast, struct arena *arena,
                             struct constant *out, bool *is_constant, omen_error *error)
{
    omen_type type;
    OMEN_TRY(constant_from_node(cast->arg, arena, out, is_constant, error));
    if (!*is_constant)
        return OMEN_OK;
    omen_status status = type_from_name(cast->type_name, &type, error);
    /* The engine may know the type, or have a message of its own. */
    if (status == OMEN_NOT_SUPPORTED || status == OMEN_UNDEFINED_TYPE ||
        (out->kind == CONSTANT_PARAMETER && out->cast_type.id != OMEN_TYPE_NONE)) {
        *is_constant = false;
        return OMEN_OK;
    }
    if (status != OMEN_OK)
        return status;
    if (out->kind == CONSTANT_PARAMETER) {
        out->cast_type = type;
        return OMEN_OK;
    }
    return constant_cast(out, type, arena, is_constant, error);
}

omen_status constant_from_node(const PgQuery__Node *node, struct arena *arena, struct constant *out,
                               bool *is_constant, omen_error *error)
{
    memset(out, 0, sizeof *out);
    out->location = -1;
    *is_constant = true;
    if (node == NULL) {
        *is_constant = false;
        return OMEN_OK;
    }
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_A_CONST:
        *is_constant = read_literal(node->a_const, out);
        return OMEN_OK;
    case PG_QUERY__NODE__NODE_PARAM_REF:
        *is_constant = node->param_ref->number >= 1;
        out->kind = CONSTANT_PARAMETER;
        out->parameter = (uint32_t)node->param_ref->number - 1;
        out->location = node->param_ref->location;
        return OMEN_OK;
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return read_cast(node->type_cast, arena, out, is_constant, error);
    default:
        *is_constant = false;
        return OMEN_OK;
    }
}

/* --- binding --- */

static bool is_text(omen_type_id type)
{
    return type == OMEN_TYPE_TEXT || type == OMEN_TYPE_VARCHAR || type == OMEN_TYPE_CHAR;
}

omen_status constant_bind(struct constant *constant, const omen_value *parameters,
                          struct arena *arena, omen_error *error)
{
    if (constant->kind != CONSTANT_PARAMETER)
        return OMEN_OK;
    omen_type cast_type = constant->cast_type;
    const omen_value *value = &parameters[constant->parameter];
    constant->kind = CONSTANT_VALUE;
    constant->value = *value;
    if (!value->is_null && is_text(value->type.id)) {
        constant->kind = CONSTANT_UNKNOWN;
        constant->text = (const char *)value->as.bytes.data;
        constant->length = value->as.bytes.length;
    }
    if (cast_type.id == OMEN_TYPE_NONE)
        return OMEN_OK;
    bool is_constant = true;
    OMEN_TRY(constant_cast(constant, cast_type, arena, &is_constant, error));
    if (!is_constant)
        return error_set(error, OMEN_NOT_SUPPORTED, "this cast of parameter $%u is not supported",
                         constant->parameter + 1);
    return OMEN_OK;
}

/* --- assignment --- */

static omen_status assign_number(const struct constant *constant, omen_type type,
                                 struct arena *arena, omen_value *out, omen_error *error)
{
    struct number number;
    wide_integer whole;
    if (!number_scan(constant->text, constant->length, &number))
        return text_invalid(OMEN_TYPE_DECIMAL, constant->text, constant->length, error);
    switch (type.id) {
    case OMEN_TYPE_SMALLINT:
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_BIGINT: {
        omen_value bigint = {.type.id = OMEN_TYPE_BIGINT};
        if (number_to_scaled(&number, 0, &whole) == NUMBER_OVERFLOW || whole < INT64_MIN ||
            whole > INT64_MAX)
            return error_set(error, OMEN_OUT_OF_RANGE, "%s out of range", type_name_of(type.id));
        bigint.as.i64 = (int64_t)whole;
        return cast_value(&bigint, type, CAST_ASSIGNMENT, arena, out, error);
    }
    case OMEN_TYPE_REAL:
    case OMEN_TYPE_DOUBLE:
    case OMEN_TYPE_DECIMAL:
        return value_from_text(type, constant->text, constant->length, arena, out, error);
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR: {
        omen_value decimal = {.type = {.id = OMEN_TYPE_DECIMAL, .precision = 38}};
        if (number.exponent != 0 || number.fraction_length > 38 ||
            number_to_scaled(&number, (uint32_t)number.fraction_length, &whole) != NUMBER_EXACT)
            return error_set(error, OMEN_NOT_SUPPORTED,
                             "a number of this size as text is not supported");
        decimal.type.scale = (int8_t)number.fraction_length;
        decimal.as.decimal = decimal_from_integer(whole);
        return cast_value(&decimal, type, CAST_ASSIGNMENT, arena, out, error);
    }
    default:
        return error_set(error, OMEN_TYPE_MISMATCH, "numeric");
    }
}

omen_status constant_assign(const struct constant *constant, omen_type type, const char *column,
                            struct arena *arena, omen_value *out, omen_error *error)
{
    omen_status status;
    switch (constant->kind) {
    case CONSTANT_UNKNOWN:
        return value_from_text(type, constant->text, constant->length, arena, out, error);
    case CONSTANT_NUMBER:
        status = assign_number(constant, type, arena, out, error);
        break;
    default:
        status = cast_value(&constant->value, type, CAST_ASSIGNMENT, arena, out, error);
        break;
    }
    if (status == OMEN_TYPE_MISMATCH)
        return error_set(error, status, "column \"%s\" is of type %s but expression is of type %s",
                         column, type_name_of(type.id),
                         constant->kind == CONSTANT_NUMBER ? "numeric"
                                                           : type_name_of(constant->value.type.id));
    return status;
}

/* --- matching keys --- */

/* The value of a finite double as a key of an integer column. */
static enum key_match match_double_integer(double number, omen_type type, omen_value *out)
{
    int64_t min = type.id == OMEN_TYPE_SMALLINT ? INT16_MIN : INT32_MIN;
    int64_t max = type.id == OMEN_TYPE_SMALLINT ? INT16_MAX : INT32_MAX;
    /* Beyond 2^53 several integers equal one double. */
    if (type.id == OMEN_TYPE_BIGINT && !(fabs(number) < 0x1p53))
        return KEY_ELSEWHERE;
    if (type.id == OMEN_TYPE_BIGINT)
        min = -(INT64_C(1) << 53), max = INT64_C(1) << 53;
    if (!(number >= (double)min && number <= (double)max) || rint(number) != number)
        return KEY_NO_ROW;
    if (type.id == OMEN_TYPE_SMALLINT)
        out->as.i16 = (int16_t)number;
    else if (type.id == OMEN_TYPE_INTEGER)
        out->as.i32 = (int32_t)number;
    else
        out->as.i64 = (int64_t)number;
    return KEY_VALUE;
}

/* A double against a float column: REAL compares as DOUBLE. */
static enum key_match match_double_float(double number, omen_type type, omen_value *out)
{
    if (type.id == OMEN_TYPE_DOUBLE) {
        out->as.f64 = number;
        return KEY_VALUE;
    }
    out->as.f32 = (float)number;
    return isnan(number) || (double)out->as.f32 == number ? KEY_VALUE : KEY_NO_ROW;
}

static enum key_match match_exact_integer(wide_integer integer, omen_type type, omen_value *out)
{
    wide_integer max = type.id == OMEN_TYPE_SMALLINT  ? INT16_MAX
                       : type.id == OMEN_TYPE_INTEGER ? INT32_MAX
                                                      : INT64_MAX;
    if (integer > max || integer < -max - 1)
        return KEY_NO_ROW;
    if (type.id == OMEN_TYPE_SMALLINT)
        out->as.i16 = (int16_t)integer;
    else if (type.id == OMEN_TYPE_INTEGER)
        out->as.i32 = (int32_t)integer;
    else
        out->as.i64 = (int64_t)integer;
    return KEY_VALUE;
}

/* An exact number (text) against a numeric column. */
static omen_status match_number(const char *text, size_t length, omen_type type,
                                struct arena *arena, omen_value *out, enum key_match *match,
                                omen_error *error)
{
    struct number number;
    wide_integer scaled = 0;
    if (!number_scan(text, length, &number))
        return text_invalid(OMEN_TYPE_DECIMAL, text, length, error);
    *match = KEY_NO_ROW;
    switch (type.id) {
    case OMEN_TYPE_SMALLINT:
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_BIGINT:
        if (number_to_scaled(&number, 0, &scaled) == NUMBER_EXACT)
            *match = match_exact_integer(scaled, type, out);
        return OMEN_OK;
    case OMEN_TYPE_DECIMAL:
        if (number_to_scaled(&number, (uint32_t)type.scale, &scaled) == NUMBER_EXACT &&
            decimal_fits(scaled, type.precision)) {
            out->as.decimal = decimal_from_integer(scaled);
            *match = KEY_VALUE;
        }
        return OMEN_OK;
    case OMEN_TYPE_REAL:
    case OMEN_TYPE_DOUBLE: {
        double value;
        OMEN_TRY(double_from_text(text, length, arena, &value, error));
        *match = match_double_float(value, type, out);
        return OMEN_OK;
    }
    default:
        *match = KEY_ELSEWHERE;
        return OMEN_OK;
    }
}

static omen_status match_unknown(const struct constant *constant, omen_type type,
                                 struct arena *arena, omen_value *out, enum key_match *match,
                                 omen_error *error)
{
    omen_type bare = type;
    *match = KEY_VALUE;
    if (type.id == OMEN_TYPE_DECIMAL)
        return match_number(constant->text, constant->length, type, arena, out, match, error);
    bare.length_max = 0;
    OMEN_TRY(value_from_text(bare, constant->text, constant->length, arena, out, error));
    if (type.length_max == 0)
        return OMEN_OK;
    /* Only blanks beyond n may be cut off CHAR; nothing off VARCHAR. */
    size_t length = out->as.bytes.length;
    omen_status status = value_fit_length(type, false, arena, out, NULL);
    if (status == OMEN_STRING_TOO_LONG ||
        (type.id == OMEN_TYPE_VARCHAR && out->as.bytes.length != length))
        *match = KEY_NO_ROW;
    else if (status != OMEN_OK)
        return error_set_default(error, status);
    return OMEN_OK;
}

static enum key_match match_datetime(const omen_value *value, omen_type type, omen_value *out)
{
    bool from_date = value->type.id == OMEN_TYPE_DATE, to_date = type.id == OMEN_TYPE_DATE;
    if (from_date == to_date)
        return KEY_VALUE; /* the session's zone is UTC */
    if (from_date)
        return __builtin_mul_overflow((int64_t)value->as.i32, US_PER_DAY, &out->as.i64) ? KEY_NO_ROW
                                                                                        : KEY_VALUE;
    int64_t days = value->as.i64 / US_PER_DAY;
    out->as.i32 = (int32_t)days;
    return value->as.i64 % US_PER_DAY == 0 ? KEY_VALUE : KEY_NO_ROW;
}

static bool is_datetime(omen_type_id type)
{
    return type == OMEN_TYPE_DATE || type == OMEN_TYPE_TIMESTAMP || type == OMEN_TYPE_TIMESTAMPTZ;
}

static bool is_integer(omen_type_id type)
{
    return type >= OMEN_TYPE_SMALLINT && type <= OMEN_TYPE_BIGINT;
}

static omen_status match_value(const omen_value *value, omen_type type, struct arena *arena,
                               omen_value *out, enum key_match *match, omen_error *error)
{
    omen_type_id from = value->type.id;
    *out = *value;
    out->type = type;
    *match = KEY_ELSEWHERE;
    if (is_integer(from)) {
        int64_t integer = from == OMEN_TYPE_SMALLINT  ? value->as.i16
                          : from == OMEN_TYPE_INTEGER ? value->as.i32
                                                      : value->as.i64;
        if (is_integer(type.id)) {
            *match = match_exact_integer(integer, type, out);
            return OMEN_OK;
        }
        if (type.id == OMEN_TYPE_REAL || type.id == OMEN_TYPE_DOUBLE) {
            *match = match_double_float((double)integer, type, out);
            return OMEN_OK;
        }
    }
    if (is_integer(from) || from == OMEN_TYPE_DECIMAL) {
        char text[DECIMAL_TEXT_BYTES_MAX];
        size_t length;
        OMEN_TRY(value_to_text(value, text, sizeof text, &length));
        return match_number(text, length, type, arena, out, match, error);
    }
    if (from == OMEN_TYPE_REAL || from == OMEN_TYPE_DOUBLE) {
        double number = from == OMEN_TYPE_REAL ? (double)value->as.f32 : value->as.f64;
        if (is_integer(type.id))
            *match = match_double_integer(number, type, out);
        else if (type.id == OMEN_TYPE_REAL || type.id == OMEN_TYPE_DOUBLE)
            *match = match_double_float(number, type, out);
        return OMEN_OK;
    }
    if (is_datetime(from) && is_datetime(type.id))
        *match = match_datetime(value, type, out);
    else if (from == type.id && from != OMEN_TYPE_CHAR)
        *match = KEY_VALUE;
    else if (from == OMEN_TYPE_TEXT && type.id == OMEN_TYPE_VARCHAR)
        *match = KEY_VALUE;
    else if (from == OMEN_TYPE_VARCHAR && type.id == OMEN_TYPE_TEXT)
        *match = KEY_VALUE;
    return OMEN_OK;
}

omen_status constant_match(const struct constant *constant, omen_type type, struct arena *arena,
                           omen_value *out, enum key_match *match, omen_error *error)
{
    memset(out, 0, sizeof *out);
    out->type = type;
    switch (constant->kind) {
    case CONSTANT_UNKNOWN:
        return match_unknown(constant, type, arena, out, match, error);
    case CONSTANT_NUMBER:
        return match_number(constant->text, constant->length, type, arena, out, match, error);
    case CONSTANT_VALUE:
        if (!constant->value.is_null)
            return match_value(&constant->value, type, arena, out, match, error);
        *match = KEY_NO_ROW;
        return OMEN_OK;
    default:
        *match = KEY_ELSEWHERE;
        return OMEN_OK;
    }
}
