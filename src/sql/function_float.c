/* function_float.c - REAL and DOUBLE: arithmetic that reports overflow and underflow, mathematics.
 *
 * Source of the checks: PostgreSQL's float.h and float.c. An infinity comes only from infinities,
 * zero only from zeros (or a division by infinity).
 */
#include "sql/function.h"

#include <errno.h>
#include <math.h>

static omen_status overflow(omen_error *error)
{
    return error_set(error, OMEN_OUT_OF_RANGE, "value out of range: overflow");
}

static omen_status underflow(omen_error *error)
{
    return error_set(error, OMEN_OUT_OF_RANGE, "value out of range: underflow");
}

static omen_status input_out_of_range(omen_error *error)
{
    return error_set(error, OMEN_OUT_OF_RANGE, "input is out of range");
}

/* --- arithmetic --- */

/* Sums and differences: `result` of two operands, in their own precision. */
#define GIVE_SUM(left, right, result, give)                                                        \
    do {                                                                                           \
        if (isinf(result) && !isinf(left) && !isinf(right))                                        \
            return overflow(error);                                                                \
        return give(result, out);                                                                  \
    } while (0)

#define GIVE_PRODUCT(left, right, result, give)                                                    \
    do {                                                                                           \
        if (isinf(result) && !isinf(left) && !isinf(right))                                        \
            return overflow(error);                                                                \
        if ((result) == 0 && (left) != 0 && (right) != 0)                                          \
            return underflow(error);                                                               \
        return give(result, out);                                                                  \
    } while (0)

#define GIVE_QUOTIENT(left, right, give)                                                           \
    do {                                                                                           \
        if ((right) == 0 && !isnan(left))                                                          \
            return division_by_zero(error);                                                        \
        if (isinf((left) / (right)) && !isinf(left))                                               \
            return overflow(error);                                                                \
        if ((left) / (right) == 0 && (left) != 0 && !isinf(right))                                 \
            return underflow(error);                                                               \
        return give((left) / (right), out);                                                        \
    } while (0)

omen_status double_add(FUNCTION_PARAMETERS)
{
    (void)context;
    double left = arguments[0].as.f64, right = arguments[1].as.f64, sum = left + right;
    GIVE_SUM(left, right, sum, give_double);
}

omen_status double_subtract(FUNCTION_PARAMETERS)
{
    (void)context;
    double left = arguments[0].as.f64, right = arguments[1].as.f64, difference = left - right;
    GIVE_SUM(left, right, difference, give_double);
}

omen_status double_multiply(FUNCTION_PARAMETERS)
{
    (void)context;
    double left = arguments[0].as.f64, right = arguments[1].as.f64, product = left * right;
    GIVE_PRODUCT(left, right, product, give_double);
}

omen_status double_divide(FUNCTION_PARAMETERS)
{
    (void)context;
    double left = arguments[0].as.f64, right = arguments[1].as.f64;
    GIVE_QUOTIENT(left, right, give_double);
}

omen_status real_add(FUNCTION_PARAMETERS)
{
    (void)context;
    float left = arguments[0].as.f32, right = arguments[1].as.f32, sum = left + right;
    GIVE_SUM(left, right, sum, give_real);
}

omen_status real_subtract(FUNCTION_PARAMETERS)
{
    (void)context;
    float left = arguments[0].as.f32, right = arguments[1].as.f32, difference = left - right;
    GIVE_SUM(left, right, difference, give_real);
}

omen_status real_multiply(FUNCTION_PARAMETERS)
{
    (void)context;
    float left = arguments[0].as.f32, right = arguments[1].as.f32, product = left * right;
    GIVE_PRODUCT(left, right, product, give_real);
}

omen_status real_divide(FUNCTION_PARAMETERS)
{
    (void)context;
    float left = arguments[0].as.f32, right = arguments[1].as.f32;
    GIVE_QUOTIENT(left, right, give_real);
}

/* A result that only changes sign or drops digits, in the argument's precision. */
static omen_status give_float(const omen_value *argument, double value, omen_value *out)
{
    return argument->type.id == OMEN_TYPE_REAL ? give_real((float)value, out)
                                               : give_double(value, out);
}

omen_status float_negate(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_float(arguments, -argument_double(arguments), out);
}

omen_status float_absolute(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_float(arguments, fabs(argument_double(arguments)), out);
}

/* --- rounding --- */

omen_status double_round(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_double(rint(arguments[0].as.f64), out);
}

omen_status double_truncate(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_double(trunc(arguments[0].as.f64), out);
}

omen_status double_ceiling(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_double(ceil(arguments[0].as.f64), out);
}

omen_status double_floor(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_double(floor(arguments[0].as.f64), out);
}

omen_status double_sign(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    double value = arguments[0].as.f64;
    return give_double(value > 0 ? 1 : value < 0 ? -1 : 0, out);
}

/* --- roots, powers, logarithms --- */

omen_status double_square_root(FUNCTION_PARAMETERS)
{
    (void)context;
    double value = arguments[0].as.f64;
    if (value < 0)
        return error_set(error, OMEN_INVALID_POWER, "cannot take square root of a negative number");
    return give_double(sqrt(value), out);
}

omen_status double_cube_root(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_double(cbrt(arguments[0].as.f64), out);
}

omen_status double_exponential(FUNCTION_PARAMETERS)
{
    (void)context;
    double value = arguments[0].as.f64, result = exp(value);
    if (isinf(result) && !isinf(value))
        return overflow(error);
    if (result == 0 && !isinf(value))
        return underflow(error);
    return give_double(result, out);
}

static omen_status check_logarithm(double value, omen_error *error)
{
    if (value == 0)
        return error_set(error, OMEN_INVALID_LOGARITHM, "cannot take logarithm of zero");
    if (value < 0)
        return error_set(error, OMEN_INVALID_LOGARITHM,
                         "cannot take logarithm of a negative number");
    return OMEN_OK;
}

omen_status double_natural_logarithm(FUNCTION_PARAMETERS)
{
    (void)context;
    OMEN_TRY(check_logarithm(arguments[0].as.f64, error));
    return give_double(log(arguments[0].as.f64), out);
}

omen_status double_logarithm(FUNCTION_PARAMETERS)
{
    (void)context;
    OMEN_TRY(check_logarithm(arguments[0].as.f64, error));
    return give_double(log10(arguments[0].as.f64), out);
}

/* Powers with an infinite base or exponent, by POSIX's table. */
static double infinite_power(double base, double exponent)
{
    double size = fabs(base);
    if (isinf(exponent)) {
        if (size == 1)
            return 1;
        return (size > 1) == (exponent > 0) ? INFINITY : 0;
    }
    if (exponent == 0)
        return 1;
    if (exponent < 0)
        return 0;
    bool odd = floor(exponent / 2) != exponent / 2 && floor(exponent) == exponent;
    return base < 0 && odd ? -INFINITY : INFINITY;
}

omen_status double_power(FUNCTION_PARAMETERS)
{
    (void)context;
    double base = arguments[0].as.f64, exponent = arguments[1].as.f64;
    if (exponent == 0 || base == 1)
        return give_double(1, out);
    if (isnan(base) || isnan(exponent))
        return give_double(NAN, out);
    if (base == 0 && exponent < 0)
        return error_set(error, OMEN_INVALID_POWER, "zero raised to a negative power is undefined");
    if (base < 0 && floor(exponent) != exponent)
        return error_set(error, OMEN_INVALID_POWER,
                         "a negative number raised to a non-integer power yields a complex result");
    if (isinf(base) || isinf(exponent))
        return give_double(infinite_power(base, exponent), out);
    double result = pow(base, exponent);
    if (isinf(result))
        return overflow(error);
    if (result == 0 && base != 0)
        return underflow(error);
    return give_double(result, out);
}

/* --- angles --- */

omen_status double_pi(FUNCTION_PARAMETERS)
{
    (void)context, (void)arguments, (void)error;
    return give_double(M_PI, out);
}

static const double RADIANS_PER_DEGREE = 0.0174532925199432957692;

omen_status double_degrees(FUNCTION_PARAMETERS)
{
    (void)context;
    double value = arguments[0].as.f64;
    GIVE_QUOTIENT(value, RADIANS_PER_DEGREE, give_double);
}

omen_status double_radians(FUNCTION_PARAMETERS)
{
    (void)context;
    double value = arguments[0].as.f64, result = value * RADIANS_PER_DEGREE;
    GIVE_PRODUCT(value, RADIANS_PER_DEGREE, result, give_double);
}

/* sin, cos and tan have no value at infinity. */
#define PERIODIC(name, function)                                                                   \
    omen_status double_##name(FUNCTION_PARAMETERS)                                                 \
    {                                                                                              \
        (void)context;                                                                             \
        double value = arguments[0].as.f64;                                                        \
        if (isinf(value))                                                                          \
            return input_out_of_range(error);                                                      \
        return give_double(function(value), out);                                                  \
    }
PERIODIC(sine, sin)
PERIODIC(cosine, cos)
PERIODIC(tangent, tan)

omen_status double_cotangent(FUNCTION_PARAMETERS)
{
    (void)context;
    double value = arguments[0].as.f64;
    if (isinf(value))
        return input_out_of_range(error);
    return give_double(1.0 / tan(value), out);
}

#define INVERSE(name, function)                                                                    \
    omen_status double_##name(FUNCTION_PARAMETERS)                                                 \
    {                                                                                              \
        (void)context;                                                                             \
        double value = arguments[0].as.f64;                                                        \
        if (value < -1 || value > 1)                                                               \
            return input_out_of_range(error);                                                      \
        return give_double(function(value), out);                                                  \
    }
INVERSE(arc_sine, asin)
INVERSE(arc_cosine, acos)

omen_status double_arc_tangent(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_double(atan(arguments[0].as.f64), out);
}

omen_status double_arc_tangent_2(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_double(atan2(arguments[0].as.f64, arguments[1].as.f64), out);
}

omen_status double_hyperbolic_sine(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_double(sinh(arguments[0].as.f64), out);
}

omen_status double_hyperbolic_cosine(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_double(cosh(arguments[0].as.f64), out);
}

omen_status double_hyperbolic_tangent(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_double(tanh(arguments[0].as.f64), out);
}
