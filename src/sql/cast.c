/* cast.c - PostgreSQL's casts between the types of section "Types" (pg_cast), by their rules.
 *
 * Numbers go through three forms: a 64-bit integer, an unscaled 128-bit decimal, a double. Going
 * down rounds: decimals half away from zero, floats half to even.
 */
#include "sql/cast.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "column/utf8.h"
#include "sql/calendar.h"
#include "sql/value_text.h"

static bool is_integer(omen_type_id type)
{
    return type == OMEN_TYPE_SMALLINT || type == OMEN_TYPE_INTEGER || type == OMEN_TYPE_BIGINT;
}

static bool is_float(omen_type_id type)
{
    return type == OMEN_TYPE_REAL || type == OMEN_TYPE_DOUBLE;
}

static bool is_text(omen_type_id type)
{
    return type == OMEN_TYPE_TEXT || type == OMEN_TYPE_VARCHAR || type == OMEN_TYPE_CHAR;
}

static bool is_timestamp(omen_type_id type)
{
    return type == OMEN_TYPE_TIMESTAMP || type == OMEN_TYPE_TIMESTAMPTZ;
}

static int64_t integer_of(const omen_value *value)
{
    switch (value->type.id) {
    case OMEN_TYPE_SMALLINT:
        return value->as.i16;
    case OMEN_TYPE_INTEGER:
        return value->as.i32;
    default:
        return value->as.i64;
    }
}

static double float_of(const omen_value *value)
{
    return value->type.id == OMEN_TYPE_REAL ? (double)value->as.f32 : value->as.f64;
}

static omen_status out_of_range(omen_type_id type, omen_error *error)
{
    return error_set(error, OMEN_OUT_OF_RANGE, "%s out of range", type_name_of(type));
}

static omen_status no_cast(const omen_value *from, omen_type to, omen_error *error)
{
    return error_set(error, OMEN_TYPE_MISMATCH, "cannot use a value of type %s as %s",
                     type_name_of(from->type.id), type_name_of(to.id));
}

/* --- to integers --- */

/* Stores an integer in an integer type; false where it does not fit. */
static bool integer_store(int64_t integer, omen_type_id type, omen_value *out)
{
    if (type == OMEN_TYPE_SMALLINT) {
        out->as.i16 = (int16_t)integer;
        return out->as.i16 == integer;
    }
    if (type == OMEN_TYPE_INTEGER) {
        out->as.i32 = (int32_t)integer;
        return out->as.i32 == integer;
    }
    out->as.i64 = integer;
    return true;
}

/* 10 to the scale, with rounding half away from zero. */
static wide_integer scale_down(wide_integer unscaled, uint32_t digits)
{
    wide_integer power = decimal_power(digits), quotient = unscaled / power;
    wide_integer rest = unscaled % power;
    if (rest < 0)
        rest = -rest;
    if (digits > 0 && rest >= power - rest)
        quotient += unscaled < 0 ? -1 : 1;
    return quotient;
}

static omen_status to_integer(const omen_value *from, omen_type to, omen_value *out,
                              omen_error *error)
{
    int64_t integer;
    if (is_integer(from->type.id)) {
        integer = integer_of(from);
    } else if (from->type.id == OMEN_TYPE_DECIMAL) {
        wide_integer whole =
            scale_down(decimal_to_integer(from->as.decimal), (uint32_t)from->type.scale);
        if (whole < INT64_MIN || whole > INT64_MAX)
            return out_of_range(to.id, error);
        integer = (int64_t)whole;
    } else {
        double rounded = rint(float_of(from));
        if (!(rounded >= -0x1p63 && rounded < 0x1p63))
            return out_of_range(to.id, error);
        integer = (int64_t)rounded;
    }
    return integer_store(integer, to.id, out) ? OMEN_OK : out_of_range(to.id, error);
}

/* --- to decimals and floats --- */

static omen_status decimal_store(wide_integer unscaled, omen_type to, omen_value *out,
                                 omen_error *error)
{
    if (!decimal_fits(unscaled, to.precision))
        return error_set(error, OMEN_OUT_OF_RANGE,
                         "numeric field overflow: a field with precision %d, scale %d cannot "
                         "hold the value",
                         to.precision, to.scale);
    out->as.decimal = decimal_from_integer(unscaled);
    return OMEN_OK;
}

/* From one scale to another; false where more than 38 digits would be needed. */
static bool decimal_rescale(wide_integer unscaled, int from_scale, int to_scale, wide_integer *out)
{
    if (from_scale >= to_scale) {
        *out = scale_down(unscaled, (uint32_t)(from_scale - to_scale));
        return true;
    }
    uint32_t digits = (uint32_t)(to_scale - from_scale);
    if (!decimal_fits(unscaled, DECIMAL_PRECISION_MAX - digits))
        return false;
    *out = unscaled * decimal_power(digits);
    return true;
}

static omen_status to_decimal(const omen_value *from, omen_type to, struct arena *arena,
                              omen_value *out, omen_error *error)
{
    if (is_float(from->type.id)) {
        char text[FLOAT_TEXT_BYTES_MAX + 16];
        double value = float_of(from);
        if (isinf(value))
            return error_set(error, OMEN_OUT_OF_RANGE,
                             "numeric field overflow: a field with precision %d, scale %d cannot "
                             "hold an infinite value",
                             to.precision, to.scale);
        if (isnan(value))
            return error_set(error, OMEN_NOT_SUPPORTED, "numeric NaN is not supported");
        size_t length = from->type.id == OMEN_TYPE_REAL ? float_to_text_digits(value, 6, text)
                                                        : float_to_text_digits(value, 15, text);
        return value_from_text(to, text, length, arena, out, error);
    }
    bool decimal = from->type.id == OMEN_TYPE_DECIMAL;
    wide_integer unscaled =
        decimal ? decimal_to_integer(from->as.decimal) : (wide_integer)integer_of(from);
    if (!decimal_rescale(unscaled, decimal ? from->type.scale : 0, to.scale, &unscaled))
        return decimal_store(decimal_power(DECIMAL_PRECISION_MAX), to, out, error);
    return decimal_store(unscaled, to, out, error);
}

static omen_status to_float(const omen_value *from, omen_type to, struct arena *arena,
                            omen_value *out, omen_error *error)
{
    if (from->type.id == OMEN_TYPE_DECIMAL) {
        char text[DECIMAL_TEXT_BYTES_MAX];
        size_t length =
            decimal_to_text(decimal_to_integer(from->as.decimal), (uint32_t)from->type.scale, text);
        return value_from_text(to, text, length, arena, out, error);
    }
    if (to.id == OMEN_TYPE_DOUBLE) {
        out->as.f64 = is_float(from->type.id) ? float_of(from) : (double)integer_of(from);
        return OMEN_OK;
    }
    if (is_integer(from->type.id)) {
        out->as.f32 = (float)integer_of(from);
        return OMEN_OK;
    }
    double value = float_of(from);
    out->as.f32 = (float)value;
    if ((isinf(out->as.f32) && isfinite(value)) || (out->as.f32 == 0 && value != 0))
        return error_set(error, OMEN_OUT_OF_RANGE, "value out of range for type real");
    return OMEN_OK;
}

/* --- to dates, text --- */

static omen_status to_datetime(const omen_value *from, omen_type to, omen_value *out,
                               omen_error *error)
{
    if (to.id == OMEN_TYPE_DATE) {
        int64_t days = from->as.i64 / US_PER_DAY;
        if (from->as.i64 % US_PER_DAY < 0)
            days--;
        out->as.i32 = (int32_t)days;
        return OMEN_OK;
    }
    if (from->type.id != OMEN_TYPE_DATE) {
        out->as.i64 = from->as.i64; /* the session's zone is UTC */
        return OMEN_OK;
    }
    if (__builtin_mul_overflow((int64_t)from->as.i32, US_PER_DAY, &out->as.i64))
        return error_set(error, OMEN_DATETIME_OVERFLOW, "date out of range for timestamp");
    return OMEN_OK;
}

static omen_status to_text(const omen_value *from, omen_type to, enum cast_rule rule,
                           struct arena *arena, omen_value *out, omen_error *error)
{
    const char *text = NULL;
    size_t length;
    if (is_text(from->type.id)) {
        out->as.bytes = from->as.bytes;
        if (!utf8_is_valid(from->as.bytes.data, from->as.bytes.length))
            return error_set_default(error, OMEN_INVALID_ENCODING);
        /* CHAR's padding is no part of its value. */
        while (from->type.id == OMEN_TYPE_CHAR && to.id != OMEN_TYPE_CHAR &&
               out->as.bytes.length > 0 && out->as.bytes.data[out->as.bytes.length - 1] == ' ')
            out->as.bytes.length--;
        return value_fit_length(to, rule == CAST_EXPLICIT, arena, out, error);
    }
    if (from->type.id == OMEN_TYPE_BOOLEAN) {
        text = from->as.boolean ? "true" : "false";
        length = strlen(text);
    } else if (value_to_text_arena(from, arena, &text, &length) != OMEN_OK) {
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    }
    out->as.bytes = (omen_bytes){.data = (const uint8_t *)text, .length = length};
    return value_fit_length(to, rule == CAST_EXPLICIT, arena, out, error);
}

/* --- the rules --- */

/* Whether every value of one type is a value of the other. */
static bool holds_all(omen_type from, omen_type to)
{
    if (is_text(from.id) || from.id == to.id)
        return from.id == to.id ? true : is_text(to.id);
    if (is_integer(from.id) && is_integer(to.id))
        return from.id < to.id;
    if (is_integer(from.id) && to.id == OMEN_TYPE_DECIMAL)
        return true; /* range is checked */
    if (to.id == OMEN_TYPE_DOUBLE)
        return from.id == OMEN_TYPE_REAL || from.id == OMEN_TYPE_SMALLINT ||
               from.id == OMEN_TYPE_INTEGER;
    return to.id == OMEN_TYPE_REAL && from.id == OMEN_TYPE_SMALLINT;
}

static bool is_number(omen_type_id type)
{
    return is_integer(type) || is_float(type) || type == OMEN_TYPE_DECIMAL;
}

static bool rule_allows(omen_type from, omen_type to, enum cast_rule rule)
{
    if (rule == CAST_LOSSLESS)
        return holds_all(from, to) && (from.id != OMEN_TYPE_DECIMAL || to.scale >= from.scale);
    if (from.id == to.id || (is_number(from.id) && is_number(to.id)))
        return true;
    if (is_text(to.id))
        return true;
    if ((from.id == OMEN_TYPE_DATE || is_timestamp(from.id)) &&
        (to.id == OMEN_TYPE_DATE || is_timestamp(to.id)))
        return true;
    if (rule != CAST_EXPLICIT)
        return false;
    return is_text(from.id) || (from.id == OMEN_TYPE_INTEGER && to.id == OMEN_TYPE_BOOLEAN) ||
           (from.id == OMEN_TYPE_BOOLEAN && to.id == OMEN_TYPE_INTEGER);
}

omen_status cast_value(const omen_value *from, omen_type to, enum cast_rule rule,
                       struct arena *arena, omen_value *out, omen_error *error)
{
    if (from->is_null) {
        *out = (omen_value){.type = to, .is_null = true};
        return OMEN_OK;
    }
    if (!rule_allows(from->type, to, rule))
        return no_cast(from, to, error);
    if (from->type.id == OMEN_TYPE_DECIMAL &&
        (from->type.scale < 0 || from->type.scale > DECIMAL_PRECISION_MAX))
        return error_set(error, OMEN_INVALID_ARGUMENT, "a decimal value has scale %d",
                         from->type.scale);
    *out = *from;
    out->type = to;
    if (is_integer(to.id) && is_number(from->type.id))
        return to_integer(from, to, out, error);
    if (to.id == OMEN_TYPE_DECIMAL && is_number(from->type.id))
        return to_decimal(from, to, arena, out, error);
    if (is_float(to.id) && is_number(from->type.id))
        return to_float(from, to, arena, out, error);
    if (is_text(to.id))
        return to_text(from, to, rule, arena, out, error);
    if (to.id == from->type.id)
        return OMEN_OK;
    if (is_text(from->type.id))
        return value_from_text(to, (const char *)from->as.bytes.data, from->as.bytes.length, arena,
                               out, error);
    if (to.id == OMEN_TYPE_BOOLEAN)
        out->as.boolean = from->as.i32 != 0;
    else if (to.id == OMEN_TYPE_INTEGER)
        out->as.i32 = from->as.boolean;
    else
        return to_datetime(from, to, out, error);
    return OMEN_OK;
}
