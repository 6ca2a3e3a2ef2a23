/* function_decimal.c - exact numbers: unscaled 128-bit integers with the scale in the type.
 *
 * The scale of a result is static (enum result_rule). PostgreSQL's numbers have thousands of
 * digits; where a result needs more than 38 it is refused, never rounded.
 *
 * Source of the quotient's digits: PostgreSQL's select_div_scale: at least 16 significant digits,
 * counted in groups of four, and no fewer behind the point than either operand shows.
 */
#include "sql/function.h"

enum { QUOTIENT_DIGITS_MIN = 16, GROUP_DIGITS = 4 };

wide_integer decimal_power_of(uint32_t exponent)
{
    static const uint64_t powers[] = {UINT64_C(1),
                                      UINT64_C(10),
                                      UINT64_C(100),
                                      UINT64_C(1000),
                                      UINT64_C(10000),
                                      UINT64_C(100000),
                                      UINT64_C(1000000),
                                      UINT64_C(10000000),
                                      UINT64_C(100000000),
                                      UINT64_C(1000000000),
                                      UINT64_C(10000000000),
                                      UINT64_C(100000000000),
                                      UINT64_C(1000000000000),
                                      UINT64_C(10000000000000),
                                      UINT64_C(100000000000000),
                                      UINT64_C(1000000000000000),
                                      UINT64_C(10000000000000000),
                                      UINT64_C(100000000000000000),
                                      UINT64_C(1000000000000000000),
                                      UINT64_C(10000000000000000000)};
    OMEN_ASSERT(exponent <= DECIMAL_PRECISION_MAX);
    if (exponent <= 19)
        return (wide_integer)powers[exponent];
    return (wide_integer)((wide_unsigned)powers[19] * powers[exponent - 19]);
}

static wide_unsigned magnitude(wide_integer integer)
{
    return integer < 0 ? -(wide_unsigned)integer : (wide_unsigned)integer;
}

static bool has_38_digits(wide_integer integer)
{
    return magnitude(integer) < (wide_unsigned)decimal_power_of(DECIMAL_PRECISION_MAX);
}

/* integer * 10^digits, false beyond 38 digits. */
static bool raise(wide_integer integer, uint32_t digits, wide_integer *out)
{
    *out = 0;
    if (integer == 0)
        return true;
    if (digits > DECIMAL_PRECISION_MAX ||
        magnitude(integer) >=
            (wide_unsigned)decimal_power_of((uint32_t)DECIMAL_PRECISION_MAX - digits))
        return false;
    *out = integer * decimal_power_of(digits);
    return true;
}

static wide_integer round_off(wide_integer integer, uint32_t digits)
{
    if (digits > DECIMAL_PRECISION_MAX)
        return 0;
    wide_integer power = decimal_power_of(digits), quotient = integer / power;
    wide_integer rest = integer % power;
    if (rest < 0)
        rest = -rest;
    if (digits > 0 && rest >= power - rest)
        quotient += integer < 0 ? -1 : 1;
    return quotient;
}

bool decimal_to_scale(wide_integer unscaled, int from_scale, int to_scale, wide_integer *out)
{
    if (from_scale <= to_scale)
        return raise(unscaled, (uint32_t)(to_scale - from_scale), out);
    *out = round_off(unscaled, (uint32_t)(from_scale - to_scale));
    return true;
}

static omen_status too_many_digits(omen_error *error)
{
    return error_set(error, OMEN_NOT_SUPPORTED, "a NUMERIC of more than %d digits",
                     DECIMAL_PRECISION_MAX);
}

omen_status give_decimal(const struct call_context *context, wide_integer unscaled, omen_value *out,
                         omen_error *error)
{
    if (!has_38_digits(unscaled))
        return too_many_digits(error);
    *out = (omen_value){.type = context->result, .as.decimal = decimal_from_integer(unscaled)};
    return OMEN_OK;
}

/* Both operands in the larger of their scales, which is the result's. */
static omen_status read_operands(const struct call_context *context, const omen_value *arguments,
                                 wide_integer *left, wide_integer *right, omen_error *error)
{
    int scale = context->result.scale;
    *left = decimal_to_integer(arguments[0].as.decimal);
    *right = decimal_to_integer(arguments[1].as.decimal);
    if (arguments[0].type.scale == scale && arguments[1].type.scale == scale)
        return OMEN_OK;
    if (!decimal_to_scale(*left, arguments[0].type.scale, scale, left) ||
        !decimal_to_scale(*right, arguments[1].type.scale, scale, right))
        return too_many_digits(error);
    return OMEN_OK;
}

omen_status decimal_add(FUNCTION_PARAMETERS)
{
    wide_integer left, right, sum;
    OMEN_TRY(read_operands(context, arguments, &left, &right, error));
    if (__builtin_add_overflow(left, right, &sum))
        return too_many_digits(error);
    return give_decimal(context, sum, out, error);
}

omen_status decimal_subtract(FUNCTION_PARAMETERS)
{
    wide_integer left, right, difference;
    OMEN_TRY(read_operands(context, arguments, &left, &right, error));
    if (__builtin_sub_overflow(left, right, &difference))
        return too_many_digits(error);
    return give_decimal(context, difference, out, error);
}

omen_status decimal_multiply(FUNCTION_PARAMETERS)
{
    wide_integer left = decimal_to_integer(arguments[0].as.decimal);
    wide_integer right = decimal_to_integer(arguments[1].as.decimal);
    wide_unsigned one = magnitude(left), other = magnitude(right);
    bool small = one <= UINT64_MAX / 2 && other <= UINT64_MAX;
    if (!small && one != 0 &&
        other >= (wide_unsigned)decimal_power_of(DECIMAL_PRECISION_MAX) / one + 1)
        return too_many_digits(error);
    return give_decimal(context, left * right, out, error);
}

/* --- quotients --- */

/* How many digits a number above zero has, from its bits: a digit has log2(10) = 4096 / 1233. */
static int digit_count(wide_unsigned value)
{
    uint64_t high = (uint64_t)(value >> 64);
    int bits = high != 0 ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll((uint64_t)value);
    int digits = bits * 1233 >> 12;
    return digits + (digits > DECIMAL_PRECISION_MAX ||
                     value >= (wide_unsigned)decimal_power_of((uint32_t)digits));
}

/* The position of the highest non-zero group of four digits, counted from the decimal point, and
 * the group itself. Zero: position 0, group 0. */
static int first_group(wide_unsigned value, int scale, uint32_t *group)
{
    *group = 0;
    if (value == 0)
        return 0;
    int exponent = digit_count(value) - 1 - scale;
    int position =
        exponent >= 0 ? exponent / GROUP_DIGITS : -((-exponent + GROUP_DIGITS - 1) / GROUP_DIGITS);
    /* The group ends `low` digits above the last digit, maybe below it. */
    int low = position * GROUP_DIGITS + scale;
    *group = (uint32_t)(low >= 0 ? value / (wide_unsigned)decimal_power_of((uint32_t)low)
                                 : value * (wide_unsigned)decimal_power_of((uint32_t)-low));
    return position;
}

/* How many digits behind the point PostgreSQL gives a quotient. */
static int quotient_digits(wide_unsigned dividend, int dividend_scale, wide_unsigned divisor,
                           int divisor_scale)
{
    uint32_t group, divisor_group;
    int position = first_group(dividend, dividend_scale, &group);
    position -= first_group(divisor, divisor_scale, &divisor_group);
    if (group <= divisor_group)
        position--;
    int digits = QUOTIENT_DIGITS_MIN - position * GROUP_DIGITS;
    digits = digits < dividend_scale ? dividend_scale : digits;
    digits = digits < divisor_scale ? divisor_scale : digits;
    return digits < 0 ? 0 : digits;
}

/* The next digit of a quotient: *rest * 10 / divisor, by additions where ten times the rest would
 * not fit. *rest < divisor < 10^38. */
static uint32_t next_digit(wide_unsigned *rest, wide_unsigned divisor)
{
    const wide_unsigned multiplies_max = ~(wide_unsigned)0 / 10;
    wide_unsigned value = 0;
    uint32_t digit = 0;
    if (*rest <= multiplies_max) {
        value = *rest * 10;
        digit = (uint32_t)(value / divisor);
        *rest = value % divisor;
        return digit;
    }
    for (int i = 0; i < 10; i++) {
        value += *rest;
        if (value >= divisor) {
            value -= divisor;
            digit++;
        }
    }
    *rest = value;
    return digit;
}

/* dividend * 10^shift / divisor, rounded half up; false beyond 38 digits. */
static bool divide_rounded(wide_unsigned dividend, int shift, wide_unsigned divisor,
                           wide_unsigned *out)
{
    const wide_unsigned bound = (wide_unsigned)decimal_power_of(DECIMAL_PRECISION_MAX);
    wide_integer raised;
    wide_unsigned quotient, rest;
    if (shift <= DECIMAL_PRECISION_MAX && raise((wide_integer)dividend, (uint32_t)shift, &raised)) {
        quotient = (wide_unsigned)raised / divisor;
        rest = (wide_unsigned)raised % divisor;
    } else {
        quotient = dividend / divisor;
        rest = dividend % divisor;
        for (; shift > 0; shift--) {
            if (quotient >= bound / 10)
                return false;
            quotient = quotient * 10 + next_digit(&rest, divisor);
        }
    }
    *out = quotient + (rest >= divisor - rest);
    return *out < bound;
}

/* The quotient, rounded once: to the digits PostgreSQL gives it, or to the scale where that is
 * less. */
static omen_status divide(const struct call_context *context, wide_integer dividend,
                          int dividend_scale, wide_integer divisor, int divisor_scale,
                          omen_value *out, omen_error *error)
{
    wide_unsigned left = magnitude(dividend), right = magnitude(divisor), quotient;
    if (divisor == 0)
        return division_by_zero(error);
    int digits = quotient_digits(left, dividend_scale, right, divisor_scale);
    int scale = context->result.scale;
    digits = digits > scale ? scale : digits;
    if (!divide_rounded(left, digits - dividend_scale + divisor_scale, right, &quotient))
        return too_many_digits(error);
    wide_integer result = (wide_integer)quotient;
    if ((dividend < 0) != (divisor < 0))
        result = -result;
    if (!raise(result, (uint32_t)(scale - digits), &result))
        return too_many_digits(error);
    return give_decimal(context, result, out, error);
}

omen_status decimal_divide(FUNCTION_PARAMETERS)
{
    return divide(context, decimal_to_integer(arguments[0].as.decimal), arguments[0].type.scale,
                  decimal_to_integer(arguments[1].as.decimal), arguments[1].type.scale, out, error);
}

/* AVG's last step: a sum and a count. */
omen_status decimal_average(FUNCTION_PARAMETERS)
{
    if (arguments[0].is_null || arguments[1].is_null || arguments[1].as.i64 == 0)
        return give_null(context, out);
    return divide(context, decimal_to_integer(arguments[0].as.decimal), arguments[0].type.scale,
                  arguments[1].as.i64, 0, out, error);
}

/* The remainder has the dividend's sign. */
omen_status decimal_modulo(FUNCTION_PARAMETERS)
{
    wide_integer left = decimal_to_integer(arguments[0].as.decimal);
    wide_integer right = decimal_to_integer(arguments[1].as.decimal);
    if (right == 0)
        return division_by_zero(error);
    OMEN_TRY(read_operands(context, arguments, &left, &right, error));
    return give_decimal(context, left % right, out, error);
}

/* The whole part of a quotient. */
omen_status decimal_quotient(FUNCTION_PARAMETERS)
{
    wide_integer left = decimal_to_integer(arguments[0].as.decimal);
    wide_integer right = decimal_to_integer(arguments[1].as.decimal);
    if (right == 0)
        return division_by_zero(error);
    int shift = arguments[1].type.scale - arguments[0].type.scale;
    if (shift > 0 ? !raise(left, (uint32_t)shift, &left) : !raise(right, (uint32_t)-shift, &right))
        return too_many_digits(error);
    return give_decimal(context, left / right, out, error);
}

/* --- one operand --- */

omen_status decimal_negate(FUNCTION_PARAMETERS)
{
    return give_decimal(context, -decimal_to_integer(arguments[0].as.decimal), out, error);
}

omen_status decimal_absolute(FUNCTION_PARAMETERS)
{
    wide_integer integer = decimal_to_integer(arguments[0].as.decimal);
    return give_decimal(context, integer < 0 ? -integer : integer, out, error);
}

omen_status decimal_sign(FUNCTION_PARAMETERS)
{
    wide_integer integer = decimal_to_integer(arguments[0].as.decimal);
    return give_decimal(context, (integer > 0) - (integer < 0), out, error);
}

/* How many digits round and trunc keep: the second argument, zero without one. */
static int kept_digits(const struct call_context *context, const omen_value *arguments)
{
    return context->argument_count < 2 ? 0 : arguments[1].as.i32;
}

/* Digits below `kept` are zero in `integer`, whose scale is `scale`: gives the context's. */
static omen_status give_kept(const struct call_context *context, wide_integer integer, int kept,
                             omen_value *out, omen_error *error)
{
    if (!decimal_to_scale(integer, kept, context->result.scale, &integer))
        return too_many_digits(error);
    return give_decimal(context, integer, out, error);
}

omen_status decimal_round(FUNCTION_PARAMETERS)
{
    wide_integer integer = decimal_to_integer(arguments[0].as.decimal);
    int scale = arguments[0].type.scale, kept = kept_digits(context, arguments);
    if (kept >= scale)
        return give_kept(context, integer, scale, out, error);
    /* No number has a digit that far to the left. */
    if (kept < -DECIMAL_PRECISION_MAX)
        return give_decimal(context, 0, out, error);
    return give_kept(context, round_off(integer, (uint32_t)(scale - kept)), kept, out, error);
}

omen_status decimal_truncate(FUNCTION_PARAMETERS)
{
    wide_integer integer = decimal_to_integer(arguments[0].as.decimal);
    int scale = arguments[0].type.scale, kept = kept_digits(context, arguments);
    if (kept >= scale)
        return give_kept(context, integer, scale, out, error);
    if (kept < scale - DECIMAL_PRECISION_MAX)
        return give_decimal(context, 0, out, error);
    return give_kept(context, integer / decimal_power_of((uint32_t)(scale - kept)), kept, out,
                     error);
}

omen_status decimal_ceiling(FUNCTION_PARAMETERS)
{
    wide_integer power = decimal_power_of((uint32_t)arguments[0].type.scale);
    wide_integer integer = decimal_to_integer(arguments[0].as.decimal);
    return give_decimal(context, integer / power + (integer % power > 0), out, error);
}

omen_status decimal_floor(FUNCTION_PARAMETERS)
{
    wide_integer power = decimal_power_of((uint32_t)arguments[0].type.scale);
    wide_integer integer = decimal_to_integer(arguments[0].as.decimal);
    return give_decimal(context, integer / power - (integer % power < 0), out, error);
}

/* What PostgreSQL computes to digits of its own choice. */
omen_status decimal_refused(FUNCTION_PARAMETERS)
{
    (void)context, (void)arguments, (void)out;
    return error_set(error, OMEN_NOT_SUPPORTED,
                     "roots, powers and logarithms of NUMERIC are not supported, cast to DOUBLE "
                     "PRECISION");
}
