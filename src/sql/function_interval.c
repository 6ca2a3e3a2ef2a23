/* function_interval.c - INTERVAL's arithmetic. Source: PostgreSQL's timestamp.c. */
#include "sql/function.h"

#include <math.h>

#include "sql/calendar.h"

enum { DAYS_PER_MONTH = 30 };

static omen_status out_of_range(omen_error *error)
{
    return error_set(error, OMEN_DATETIME_OVERFLOW, "interval out of range");
}

omen_status interval_negate(FUNCTION_PARAMETERS)
{
    (void)context;
    struct interval interval = argument_interval(&arguments[0]), result;
    if (__builtin_sub_overflow(0, interval.months, &result.months) ||
        __builtin_sub_overflow(0, interval.days, &result.days) ||
        __builtin_sub_overflow((int64_t)0, interval.microseconds, &result.microseconds))
        return out_of_range(error);
    return give_interval(result, out);
}

omen_status interval_add(FUNCTION_PARAMETERS)
{
    (void)context;
    struct interval left = argument_interval(&arguments[0]);
    struct interval right = argument_interval(&arguments[1]), sum;
    if (__builtin_add_overflow(left.months, right.months, &sum.months) ||
        __builtin_add_overflow(left.days, right.days, &sum.days) ||
        __builtin_add_overflow(left.microseconds, right.microseconds, &sum.microseconds))
        return out_of_range(error);
    return give_interval(sum, out);
}

omen_status interval_subtract(FUNCTION_PARAMETERS)
{
    (void)context;
    struct interval left = argument_interval(&arguments[0]);
    struct interval right = argument_interval(&arguments[1]), difference;
    if (__builtin_sub_overflow(left.months, right.months, &difference.months) ||
        __builtin_sub_overflow(left.days, right.days, &difference.days) ||
        __builtin_sub_overflow(left.microseconds, right.microseconds, &difference.microseconds))
        return out_of_range(error);
    return give_interval(difference, out);
}

/* --- by a number --- */

static double round_to_microseconds(double value)
{
    return rint(value * 1000000.0) / 1000000.0;
}

/* The whole months and days of a product go into `result`; false beyond 32 bits. */
static bool whole_part(double value, int32_t *out)
{
    if (!(value <= INT32_MAX && value >= INT32_MIN))
        return false;
    *out = (int32_t)value;
    return true;
}

/* `months`, `days` and `time` are the three parts of the interval times (or by) the number. What
 * is left of a month becomes days and what is left of a day time, to the microsecond. */
static omen_status give_scaled(double months, double days, double time, omen_value *out,
                               omen_error *error)
{
    struct interval result;
    if (!whole_part(months, &result.months) || !whole_part(days, &result.days))
        return out_of_range(error);
    double month_days = round_to_microseconds((months - result.months) * DAYS_PER_MONTH);
    double seconds =
        round_to_microseconds((days - result.days + month_days - (int)month_days) * 86400);
    if (fabs(seconds) >= 86400) {
        result.days += (int)(seconds / 86400);
        seconds -= (int)(seconds / 86400) * 86400;
    }
    if (__builtin_add_overflow(result.days, (int32_t)month_days, &result.days))
        return out_of_range(error);
    double microseconds = rint(time + seconds * 1000000.0);
    if (!(microseconds >= -0x1p63 && microseconds < 0x1p63))
        return out_of_range(error);
    result.microseconds = (int64_t)microseconds;
    return give_interval(result, out);
}

static omen_status multiply(struct interval interval, double factor, omen_value *out,
                            omen_error *error)
{
    return give_scaled(interval.months * factor, interval.days * factor,
                       (double)interval.microseconds * factor, out, error);
}

omen_status interval_multiply(FUNCTION_PARAMETERS)
{
    (void)context;
    return multiply(argument_interval(&arguments[0]), arguments[1].as.f64, out, error);
}

omen_status interval_multiply_left(FUNCTION_PARAMETERS)
{
    (void)context;
    return multiply(argument_interval(&arguments[1]), arguments[0].as.f64, out, error);
}

omen_status interval_divide(FUNCTION_PARAMETERS)
{
    (void)context;
    struct interval interval = argument_interval(&arguments[0]);
    double divisor = arguments[1].as.f64;
    if (divisor == 0)
        return division_by_zero(error);
    return give_scaled(interval.months / divisor, interval.days / divisor,
                       (double)interval.microseconds / divisor, out, error);
}

/* --- justification: 24 hours are a day, 30 days a month --- */

static bool justify(struct interval *interval, bool hours, bool days)
{
    if (hours) {
        int64_t whole = interval->microseconds / US_PER_DAY;
        interval->microseconds -= whole * US_PER_DAY;
        if (__builtin_add_overflow(interval->days, (int32_t)whole, &interval->days))
            return false;
    }
    if (days) {
        int32_t whole = interval->days / DAYS_PER_MONTH;
        interval->days -= whole * DAYS_PER_MONTH;
        if (__builtin_add_overflow(interval->months, whole, &interval->months))
            return false;
    }
    if (days && interval->months > 0 && interval->days < 0) {
        interval->days += DAYS_PER_MONTH;
        interval->months--;
    } else if (days && interval->months < 0 && interval->days > 0) {
        interval->days -= DAYS_PER_MONTH;
        interval->months++;
    }
    if (hours && interval->days > 0 && interval->microseconds < 0) {
        interval->microseconds += US_PER_DAY;
        interval->days--;
    } else if (hours && interval->days < 0 && interval->microseconds > 0) {
        interval->microseconds -= US_PER_DAY;
        interval->days++;
    }
    return true;
}

omen_status interval_justify_hours(FUNCTION_PARAMETERS)
{
    (void)context;
    struct interval interval = argument_interval(&arguments[0]);
    return justify(&interval, true, false) ? give_interval(interval, out) : out_of_range(error);
}

omen_status interval_justify_days(FUNCTION_PARAMETERS)
{
    (void)context;
    struct interval interval = argument_interval(&arguments[0]);
    return justify(&interval, false, true) ? give_interval(interval, out) : out_of_range(error);
}
