/* function_compare.c - =, <>, <, <=, > and >= of every type, by one order. */
#include "sql/function.h"

#define ORDER_OF(left, right) (((left) > (right)) - ((left) < (right)))

static int compare_bytes(omen_bytes left, omen_bytes right)
{
    size_t shared = left.length < right.length ? left.length : right.length;
    int order = shared > 0 ? memcmp(left.data, right.data, shared) : 0;
    return order != 0 ? order : ORDER_OF(left.length, right.length);
}

static omen_bytes without_blanks(omen_bytes bytes)
{
    while (bytes.length > 0 && bytes.data[bytes.length - 1] == ' ')
        bytes.length--;
    return bytes;
}

/* By whole parts first, so that no scale has to be raised beyond 38 digits. */
static int compare_decimals(const omen_value *left, const omen_value *right)
{
    wide_integer one = decimal_to_integer(left->as.decimal);
    wide_integer other = decimal_to_integer(right->as.decimal);
    int scale = left->type.scale, other_scale = right->type.scale;
    if (scale == other_scale)
        return ORDER_OF(one, other);
    wide_integer power = decimal_power_of((uint32_t)scale);
    wide_integer other_power = decimal_power_of((uint32_t)other_scale);
    if (one / power != other / other_power)
        return ORDER_OF(one / power, other / other_power);
    wide_integer fraction = one % power, other_fraction = other % other_power;
    if (scale < other_scale)
        fraction *= decimal_power_of((uint32_t)(other_scale - scale));
    else
        other_fraction *= decimal_power_of((uint32_t)(scale - other_scale));
    return ORDER_OF(fraction, other_fraction);
}

/* A month counts as 30 days and a day as 24 hours. */
static wide_integer interval_span(const omen_value *value)
{
    struct interval interval = argument_interval(value);
    return (wide_integer)((int64_t)interval.months * 30 + interval.days) * INT64_C(86400000000) +
           interval.microseconds;
}

int function_compare(const omen_value *left, const omen_value *right)
{
    switch ((int)left->type.id) {
    case OMEN_TYPE_BOOLEAN:
        return ORDER_OF(left->as.boolean, right->as.boolean);
    case OMEN_TYPE_REAL:
    case OMEN_TYPE_DOUBLE: {
        int64_t one = double_order(argument_double(left));
        int64_t other = double_order(argument_double(right));
        return ORDER_OF(one, other);
    }
    case OMEN_TYPE_DECIMAL:
        return compare_decimals(left, right);
    case OMEN_TYPE_CHAR:
        return compare_bytes(without_blanks(left->as.bytes), without_blanks(right->as.bytes));
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_BYTEA:
        return compare_bytes(left->as.bytes, right->as.bytes);
    case OMEN_TYPE_UUID:
        return memcmp(left->as.uuid, right->as.uuid, sizeof left->as.uuid);
    case SQL_TYPE_INTERVAL:
        return ORDER_OF(interval_span(left), interval_span(right));
    default: {
        int64_t one = argument_integer(left), other = argument_integer(right);
        return ORDER_OF(one, other);
    }
    }
}

omen_status compare_equal(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_boolean(function_compare(&arguments[0], &arguments[1]) == 0, out);
}

omen_status compare_not_equal(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_boolean(function_compare(&arguments[0], &arguments[1]) != 0, out);
}

omen_status compare_less(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_boolean(function_compare(&arguments[0], &arguments[1]) < 0, out);
}

omen_status compare_less_equal(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_boolean(function_compare(&arguments[0], &arguments[1]) <= 0, out);
}

omen_status compare_greater(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_boolean(function_compare(&arguments[0], &arguments[1]) > 0, out);
}

omen_status compare_greater_equal(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_boolean(function_compare(&arguments[0], &arguments[1]) >= 0, out);
}
