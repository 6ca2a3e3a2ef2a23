/* function.h - the C functions behind semantics.def, and what they share.
 *
 * Each function of the table is declared here by its name there; function_*.c define them. They
 * are pure: arguments in, one value or PostgreSQL's error out. One function serves several lines:
 * it reads the arguments by their types and gives the type the context asks for.
 *
 * Floats come out in their one form (float_order.h): -0 as 0 and every NaN the same. The engine
 * compares bits, so a result with another form would be equal in one place and not in the other.
 */
#ifndef OMEN_SQL_FUNCTION_H
#define OMEN_SQL_FUNCTION_H

#include <string.h>

#include "base/assert.h"
#include "column/decimal.h"
#include "column/float_order.h"
#include "sql/semantics.h"

#define FUNCTION_PARAMETERS                                                                        \
    const struct call_context *context, const omen_value *arguments, omen_value *out,              \
        omen_error *error

/* Every function of the table. ENGINE_ONLY stands where there is none. */
#define LINE(kind, name, arguments, result, function, engine, flags) semantics_function function;
#include "sql/semantics.def"
#undef LINE

/* The order of two values of one type, or of two numbers, as PostgreSQL's: below, at or above 0.
 * NaN is the largest float; CHAR compares without its blanks; text and bytes bytewise. */
int function_compare(const omen_value *left, const omen_value *right);

/* A cast, as `x::type` does it or as an assignment. */
omen_status function_cast(bool explicit_cast, const struct call_context *context,
                          const omen_value *argument, omen_value *out, omen_error *error);

/* The digits behind the point that EXTRACT of a field gives for a value of this type. */
enum { EXTRACT_SCALE_MAX = 6 };
int32_t function_extract_scale(const omen_value *field, omen_type_id type);

/* --- arguments --- */

static inline int64_t argument_integer(const omen_value *value)
{
    switch (value->type.id) {
    case OMEN_TYPE_SMALLINT:
        return value->as.i16;
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_DATE:
        return value->as.i32;
    default:
        return value->as.i64;
    }
}

static inline double argument_double(const omen_value *value)
{
    return value->type.id == OMEN_TYPE_REAL ? (double)value->as.f32 : value->as.f64;
}

static inline struct interval argument_interval(const omen_value *value)
{
    struct interval interval;
    _Static_assert(sizeof interval == sizeof value->as.uuid, "an interval has a UUID's place");
    memcpy(&interval, value->as.uuid, sizeof interval);
    return interval;
}

/* --- results --- */

static inline omen_status give_null(const struct call_context *context, omen_value *out)
{
    *out = (omen_value){.type = context->result, .is_null = true};
    return OMEN_OK;
}

static inline omen_status give_boolean(bool boolean, omen_value *out)
{
    *out = (omen_value){.type = {.id = OMEN_TYPE_BOOLEAN}, .as.boolean = boolean};
    return OMEN_OK;
}

/* An integer of the context's type. Errors: OUT_OF_RANGE "integer out of range". */
omen_status give_integer(const struct call_context *context, int64_t integer, omen_value *out,
                         omen_error *error);

/* "smallint out of range" for the context's type. */
omen_status give_out_of_range(const struct call_context *context, omen_error *error);

static inline omen_status give_double(double value, omen_value *out)
{
    *out = (omen_value){.type = {.id = OMEN_TYPE_DOUBLE}, .as.f64 = double_canonical(value)};
    return OMEN_OK;
}

static inline omen_status give_real(float value, omen_value *out)
{
    *out = (omen_value){.type = {.id = OMEN_TYPE_REAL}, .as.f32 = float_canonical(value)};
    return OMEN_OK;
}

/* A decimal whose `unscaled` already has the context's scale. Errors: NOT_SUPPORTED beyond 38
 * digits, which PostgreSQL has. */
omen_status give_decimal(const struct call_context *context, wide_integer unscaled, omen_value *out,
                         omen_error *error);

static inline omen_status give_bytes(const struct call_context *context, const void *data,
                                     size_t length, omen_value *out)
{
    *out = (omen_value){.type = context->result, .as.bytes = {.data = data, .length = length}};
    return OMEN_OK;
}

static inline omen_status give_interval(struct interval interval, omen_value *out)
{
    *out = (omen_value){.type = {.id = (omen_type_id)SQL_TYPE_INTERVAL}};
    memcpy(out->as.uuid, &interval, sizeof interval);
    return OMEN_OK;
}

static inline omen_status division_by_zero(omen_error *error)
{
    return error_set(error, OMEN_DIVISION_BY_ZERO, "division by zero");
}

/* Ten to the power of `exponent`, 0 to 38, by a look into a table. */
wide_integer decimal_power_of(uint32_t exponent);

/* A value of one scale in another, rounded half away from zero; false beyond 38 digits. */
bool decimal_to_scale(wide_integer unscaled, int from_scale, int to_scale, wide_integer *out);

#endif
