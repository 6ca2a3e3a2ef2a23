/* function_integer.c - arithmetic and bits of SMALLINT, INTEGER and BIGINT, checked.
 *
 * Operands are read as 64 bits; the result must fit the context's type.
 */
#include "sql/function.h"

#include "sql/value_text.h"

omen_status give_out_of_range(const struct call_context *context, omen_error *error)
{
    return error_set(error, OMEN_OUT_OF_RANGE, "%s out of range", type_name_of(context->result.id));
}

omen_status give_integer(const struct call_context *context, int64_t integer, omen_value *out,
                         omen_error *error)
{
    *out = (omen_value){.type = {.id = context->result.id}};
    if (context->result.id == OMEN_TYPE_INTEGER) {
        out->as.i32 = (int32_t)integer;
        return out->as.i32 == integer ? OMEN_OK : give_out_of_range(context, error);
    }
    if (context->result.id == OMEN_TYPE_SMALLINT) {
        out->as.i16 = (int16_t)integer;
        return out->as.i16 == integer ? OMEN_OK : give_out_of_range(context, error);
    }
    out->as.i64 = integer;
    return OMEN_OK;
}

omen_status integer_add(FUNCTION_PARAMETERS)
{
    int64_t sum;
    if (__builtin_add_overflow(argument_integer(&arguments[0]), argument_integer(&arguments[1]),
                               &sum))
        return give_out_of_range(context, error);
    return give_integer(context, sum, out, error);
}

omen_status integer_subtract(FUNCTION_PARAMETERS)
{
    int64_t difference;
    if (__builtin_sub_overflow(argument_integer(&arguments[0]), argument_integer(&arguments[1]),
                               &difference))
        return give_out_of_range(context, error);
    return give_integer(context, difference, out, error);
}

omen_status integer_multiply(FUNCTION_PARAMETERS)
{
    int64_t product;
    if (__builtin_mul_overflow(argument_integer(&arguments[0]), argument_integer(&arguments[1]),
                               &product))
        return give_out_of_range(context, error);
    return give_integer(context, product, out, error);
}

omen_status integer_divide(FUNCTION_PARAMETERS)
{
    int64_t dividend = argument_integer(&arguments[0]);
    int64_t divisor = argument_integer(&arguments[1]);
    if (divisor == 0)
        return division_by_zero(error);
    if (dividend == INT64_MIN && divisor == -1)
        return give_out_of_range(context, error);
    return give_integer(context, dividend / divisor, out, error);
}

omen_status integer_modulo(FUNCTION_PARAMETERS)
{
    int64_t divisor = argument_integer(&arguments[1]);
    if (divisor == 0)
        return division_by_zero(error);
    /* The smallest integer by -1 has no quotient, but a remainder. */
    int64_t rest = divisor == -1 ? 0 : argument_integer(&arguments[0]) % divisor;
    return give_integer(context, rest, out, error);
}

omen_status integer_negate(FUNCTION_PARAMETERS)
{
    int64_t integer = argument_integer(&arguments[0]);
    if (integer == INT64_MIN)
        return give_out_of_range(context, error);
    return give_integer(context, -integer, out, error);
}

omen_status integer_absolute(FUNCTION_PARAMETERS)
{
    int64_t integer = argument_integer(&arguments[0]);
    if (integer == INT64_MIN)
        return give_out_of_range(context, error);
    return give_integer(context, integer < 0 ? -integer : integer, out, error);
}

/* Unary plus, of every number. */
omen_status number_same(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    *out = arguments[0];
    return OMEN_OK;
}

/* --- bits --- */

omen_status integer_and(FUNCTION_PARAMETERS)
{
    return give_integer(context, argument_integer(&arguments[0]) & argument_integer(&arguments[1]),
                        out, error);
}

omen_status integer_or(FUNCTION_PARAMETERS)
{
    return give_integer(context, argument_integer(&arguments[0]) | argument_integer(&arguments[1]),
                        out, error);
}

omen_status integer_xor(FUNCTION_PARAMETERS)
{
    return give_integer(context, argument_integer(&arguments[0]) ^ argument_integer(&arguments[1]),
                        out, error);
}

omen_status integer_not(FUNCTION_PARAMETERS)
{
    return give_integer(context, ~argument_integer(&arguments[0]), out, error);
}

/* Shifts count modulo the width of the operand's word (32 bits for a SMALLINT), and what leaves
 * the type is cut off: what PostgreSQL does on every machine it is tested on. */
static uint32_t shift_count(const struct call_context *context, const omen_value *count)
{
    return (uint32_t)count->as.i32 & (context->result.id == OMEN_TYPE_BIGINT ? 63 : 31);
}

omen_status integer_shift_left(FUNCTION_PARAMETERS)
{
    uint64_t bits = (uint64_t)argument_integer(&arguments[0])
                    << shift_count(context, &arguments[1]);
    int64_t shifted = context->result.id == OMEN_TYPE_SMALLINT  ? (int16_t)bits
                      : context->result.id == OMEN_TYPE_INTEGER ? (int32_t)bits
                                                                : (int64_t)bits;
    return give_integer(context, shifted, out, error);
}

omen_status integer_shift_right(FUNCTION_PARAMETERS)
{
    int64_t integer = argument_integer(&arguments[0]);
    return give_integer(context, integer >> shift_count(context, &arguments[1]), out, error);
}

/* --- number theory --- */

static uint64_t magnitude(int64_t integer)
{
    return integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
}

static uint64_t common_divisor(uint64_t one, uint64_t other)
{
    while (other != 0) {
        uint64_t rest = one % other;
        one = other;
        other = rest;
    }
    return one;
}

omen_status integer_gcd(FUNCTION_PARAMETERS)
{
    uint64_t divisor = common_divisor(magnitude(argument_integer(&arguments[0])),
                                      magnitude(argument_integer(&arguments[1])));
    if (divisor > INT64_MAX)
        return give_out_of_range(context, error);
    return give_integer(context, (int64_t)divisor, out, error);
}

omen_status integer_lcm(FUNCTION_PARAMETERS)
{
    uint64_t one = magnitude(argument_integer(&arguments[0]));
    uint64_t other = magnitude(argument_integer(&arguments[1])), multiple = 0;
    if (one != 0 && other != 0 &&
        __builtin_mul_overflow(one / common_divisor(one, other), other, &multiple))
        return give_out_of_range(context, error);
    if (multiple > INT64_MAX)
        return give_out_of_range(context, error);
    return give_integer(context, (int64_t)multiple, out, error);
}
