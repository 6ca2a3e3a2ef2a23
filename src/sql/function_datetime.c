/* function_datetime.c - dates and timestamps: arithmetic, construction, the clock, zones.
 *
 * The session's zone is UTC, so both kinds of timestamp compute alike. A month added keeps the day,
 * or takes the month's last. Source: PostgreSQL's date.c and timestamp.c.
 */
#include "sql/function.h"

#include <math.h>
#include <strings.h>

#include "sql/calendar.h"

static omen_status timestamp_out_of_range(omen_error *error)
{
    return error_set(error, OMEN_DATETIME_OVERFLOW, "timestamp out of range");
}

static omen_status give_timestamp(const struct call_context *context, int64_t timestamp,
                                  omen_value *out, omen_error *error)
{
    if (timestamp < TIMESTAMP_MIN)
        return timestamp_out_of_range(error);
    *out = (omen_value){.type = {.id = context->result.id}, .as.i64 = timestamp};
    return OMEN_OK;
}

static omen_status give_date(int64_t days, omen_value *out, omen_error *error)
{
    if (days < DATE_MIN || days >= DATE_END)
        return error_set(error, OMEN_DATETIME_OVERFLOW, "date out of range");
    *out = (omen_value){.type = {.id = OMEN_TYPE_DATE}, .as.i32 = (int32_t)days};
    return OMEN_OK;
}

/* --- arithmetic --- */

omen_status date_add_days(FUNCTION_PARAMETERS)
{
    (void)context;
    return give_date(argument_integer(&arguments[0]) + argument_integer(&arguments[1]), out, error);
}

omen_status date_subtract_days(FUNCTION_PARAMETERS)
{
    (void)context;
    return give_date((int64_t)arguments[0].as.i32 - arguments[1].as.i32, out, error);
}

omen_status date_difference(FUNCTION_PARAMETERS)
{
    return give_integer(context, (int64_t)arguments[0].as.i32 - arguments[1].as.i32, out, error);
}

/* A DATE's midnight, or the timestamp that it is. */
static omen_status read_timestamp(const omen_value *value, int64_t *out, omen_error *error)
{
    if (value->type.id != OMEN_TYPE_DATE) {
        *out = value->as.i64;
        return OMEN_OK;
    }
    if (__builtin_mul_overflow((int64_t)value->as.i32, US_PER_DAY, out))
        return error_set(error, OMEN_DATETIME_OVERFLOW, "date out of range for timestamp");
    return OMEN_OK;
}

/* Adds an interval `sign` times: months, then days, then time. */
static omen_status add_interval(const struct call_context *context, const omen_value *value,
                                const omen_value *interval_value, int sign, omen_value *out,
                                omen_error *error)
{
    struct interval interval = argument_interval(interval_value);
    int64_t timestamp, time, shift, months = sign * (int64_t)interval.months;
    OMEN_TRY(read_timestamp(value, &timestamp, error));
    int64_t days = day_of(timestamp, &time);
    if (months != 0) {
        int64_t year;
        int month, day;
        civil_from_days(days, &year, &month, &day);
        months += year * 12 + month - 1;
        year = months >= 0 ? months / 12 : (months - 11) / 12;
        month = (int)(months - year * 12) + 1;
        if (day > month_days(year, month))
            day = month_days(year, month);
        days = days_from_civil(year, month, day);
    }
    days += sign * (int64_t)interval.days;
    if (__builtin_mul_overflow(sign, interval.microseconds, &shift) ||
        __builtin_mul_overflow(days, US_PER_DAY, &timestamp) ||
        __builtin_add_overflow(timestamp, time, &timestamp) ||
        __builtin_add_overflow(timestamp, shift, &timestamp))
        return timestamp_out_of_range(error);
    return give_timestamp(context, timestamp, out, error);
}

omen_status timestamp_add_interval(FUNCTION_PARAMETERS)
{
    return add_interval(context, &arguments[0], &arguments[1], 1, out, error);
}

omen_status interval_add_timestamp(FUNCTION_PARAMETERS)
{
    return add_interval(context, &arguments[1], &arguments[0], 1, out, error);
}

omen_status timestamp_subtract_interval(FUNCTION_PARAMETERS)
{
    return add_interval(context, &arguments[0], &arguments[1], -1, out, error);
}

/* Days and time, never months. */
omen_status timestamp_difference(FUNCTION_PARAMETERS)
{
    (void)context;
    int64_t difference;
    if (__builtin_sub_overflow(arguments[0].as.i64, arguments[1].as.i64, &difference))
        return error_set(error, OMEN_DATETIME_OVERFLOW, "interval out of range");
    struct interval interval = {.days = (int32_t)(difference / US_PER_DAY),
                                .microseconds = difference % US_PER_DAY};
    return give_interval(interval, out);
}

/* --- age: years, months and days by the calendar --- */

struct fields {
    int64_t year, microseconds;
    int month, day;
};

static struct fields fields_of(int64_t timestamp)
{
    struct fields fields;
    civil_from_days(day_of(timestamp, &fields.microseconds), &fields.year, &fields.month,
                    &fields.day);
    return fields;
}

static omen_status give_age(int64_t later, int64_t earlier, omen_value *out)
{
    int sign = later < earlier ? -1 : 1;
    struct fields one = fields_of(later), other = fields_of(earlier);
    int64_t months = sign * ((one.year - other.year) * 12 + one.month - other.month);
    int64_t days = sign * (one.day - other.day);
    int64_t time = sign * (one.microseconds - other.microseconds);
    if (time < 0) {
        time += US_PER_DAY;
        days--;
    }
    /* A borrowed month has the days of the month that the earlier timestamp lies in. */
    const struct fields *lender = sign < 0 ? &one : &other;
    while (days < 0) {
        days += month_days(lender->year, lender->month);
        months--;
    }
    struct interval age = {.months = (int32_t)(sign * months),
                           .days = (int32_t)(sign * days),
                           .microseconds = sign * time};
    return give_interval(age, out);
}

omen_status timestamp_age(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    return give_age(arguments[0].as.i64, arguments[1].as.i64, out);
}

omen_status timestamp_age_today(FUNCTION_PARAMETERS)
{
    (void)error;
    int64_t time;
    return give_age(day_of(context->now, &time) * US_PER_DAY, arguments[0].as.i64, out);
}

/* --- construction --- */

omen_status date_make(FUNCTION_PARAMETERS)
{
    (void)context;
    int64_t year = arguments[0].as.i32;
    int32_t month = arguments[1].as.i32, day = arguments[2].as.i32;
    bool valid = year != 0;
    /* -44 is 44 BC. */
    int64_t counted = year < 0 ? year + 1 : year;
    valid = valid && month >= 1 && month <= 12 && day >= 1 && counted <= YEAR_MAX &&
            day <= month_days(counted, month);
    if (!valid)
        return error_set(error, OMEN_DATETIME_OVERFLOW,
                         "date field value out of range: %d-%02d-%02d", arguments[0].as.i32, month,
                         day);
    int64_t days = days_from_civil(counted, month, day);
    if (days < DATE_MIN || days >= DATE_END)
        return error_set(error, OMEN_DATETIME_OVERFLOW, "date out of range: %d-%02d-%02d",
                         arguments[0].as.i32, month, day);
    return give_date(days, out, error);
}

/* Seconds since 1970; rounded as PostgreSQL does, which counts from 2000. */
omen_status timestamp_of_seconds(FUNCTION_PARAMETERS)
{
    const int64_t seconds_to_2000 = 946684800;
    double seconds = arguments[0].as.f64;
    int64_t timestamp;
    if (isnan(seconds))
        return error_set(error, OMEN_DATETIME_OVERFLOW, "timestamp cannot be NaN");
    if (isinf(seconds))
        return error_set(error, OMEN_NOT_SUPPORTED, "infinite timestamps are not supported");
    double microseconds = rint((seconds - (double)seconds_to_2000) * 1000000.0);
    if (!(microseconds >= -0x1p63 && microseconds < 0x1p63) ||
        __builtin_add_overflow((int64_t)microseconds, seconds_to_2000 * US_PER_SECOND,
                               &timestamp) ||
        timestamp < TIMESTAMP_MIN)
        return error_set(error, OMEN_DATETIME_OVERFLOW, "timestamp out of range: \"%g\"", seconds);
    return give_timestamp(context, timestamp, out, error);
}

/* --- clock and zones --- */

omen_status timestamp_now(FUNCTION_PARAMETERS)
{
    (void)arguments;
    return give_timestamp(context, context->now, out, error);
}

omen_status datetime_is_finite(FUNCTION_PARAMETERS)
{
    (void)context, (void)arguments, (void)error;
    return give_boolean(true, out);
}

/* AT TIME ZONE, where the zone is the session's: the same instant, the other type. */
omen_status timestamp_in_zone(FUNCTION_PARAMETERS)
{
    static const char *const names[] = {"UTC", "GMT", "Z", "ETC/UTC", "ETC/GMT", "ZULU", "UCT"};
    omen_bytes zone = arguments[0].as.bytes;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (zone.length == strlen(names[i]) &&
            strncasecmp((const char *)zone.data, names[i], zone.length) == 0)
            return give_timestamp(context, arguments[1].as.i64, out, error);
    return error_set(error, OMEN_NOT_SUPPORTED, "time zone \"%.*s\" is not supported, only UTC is",
                     (int)(zone.length < 100 ? zone.length : 100), (const char *)zone.data);
}
