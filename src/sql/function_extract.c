/* function_extract.c - EXTRACT, date_part and date_trunc: fields of dates, timestamps, intervals.
 *
 * A field is a whole number or has a static number of digits behind the point (extract_scale): the
 * type of EXTRACT's result, where the field's name is a constant. date_part gives the same as a
 * double, by PostgreSQL's formula. Source: PostgreSQL's timestamp.c and date.c.
 */
#include "sql/function.h"

#include "sql/calendar.h"
#include "sql/unit_name.h"
#include "sql/value_text.h"

/* A timestamp, date or interval taken apart; what an interval lacks is zero. */
struct parts {
    int64_t days; /* since 1970; an interval's own */
    int64_t year;
    int month, day;
    int64_t hour, minute, second, fraction; /* of an interval: any sign, all the same */
};

static enum time_unit read_unit(const omen_value *value)
{
    return unit_from_name((const char *)value->as.bytes.data, value->as.bytes.length);
}

static void split_time(struct parts *parts, int64_t time)
{
    parts->hour = time / US_PER_HOUR;
    parts->minute = time / US_PER_MINUTE % 60;
    parts->second = time / US_PER_SECOND % 60;
    parts->fraction = time % US_PER_SECOND;
}

static struct parts split_timestamp(int64_t timestamp)
{
    struct parts parts;
    int64_t time;
    parts.days = day_of(timestamp, &time);
    civil_from_days(parts.days, &parts.year, &parts.month, &parts.day);
    split_time(&parts, time);
    return parts;
}

static struct parts split_interval(struct interval interval)
{
    struct parts parts = {.days = interval.days,
                          .year = interval.months / 12,
                          .month = interval.months % 12,
                          .day = interval.days};
    split_time(&parts, interval.microseconds);
    return parts;
}

/* `unit "hour" not supported for type date`, or `not recognized`. */
static omen_status wrong_unit(const omen_value *name, enum time_unit unit, omen_type_id type,
                              omen_error *error)
{
    omen_bytes text = name->as.bytes;
    const char *type_name =
        type == OMEN_TYPE_TIMESTAMP ? "timestamp without time zone" : type_name_of(type);
    return error_set(error, unit == UNIT_UNKNOWN ? OMEN_INVALID_ARGUMENT : OMEN_NOT_SUPPORTED,
                     "unit \"%.*s\" not %s for type %s",
                     (int)(text.length < 100 ? text.length : 100), (const char *)text.data,
                     unit == UNIT_UNKNOWN ? "recognized" : "supported", type_name);
}

/* --- centuries and decades --- */

/* Of a span of years, counted from 1 and, before Christ, from -1. */
static int64_t span_number(int64_t year, int64_t length)
{
    return year > 0 ? (year + length - 1) / length : -((length - 1 - (year - 1)) / length);
}

static int64_t decade_number(int64_t year)
{
    return year >= 0 ? year / 10 : -((8 - (year - 1)) / 10);
}

/* --- fields --- */

/* Digits behind the point of a field. */
static int scale_of(enum time_unit unit, omen_type_id type)
{
    if (type == OMEN_TYPE_DATE)
        return 0;
    if (unit == UNIT_SECOND || unit == UNIT_EPOCH)
        return 6;
    return unit == UNIT_MILLISECOND ? 3 : 0;
}

int32_t function_extract_scale(const omen_value *field, omen_type_id type)
{
    return field->is_null ? 0 : scale_of(read_unit(field), type);
}

/* Fields of the time of day, in units of 10^-scale_of. */
static bool time_field(const struct parts *parts, enum time_unit unit, int64_t *out)
{
    switch (unit) {
    case UNIT_MICROSECOND:
    case UNIT_MILLISECOND:
    case UNIT_SECOND:
        *out = parts->second * US_PER_SECOND + parts->fraction;
        return true;
    case UNIT_MINUTE:
        *out = parts->minute;
        return true;
    case UNIT_HOUR:
        *out = parts->hour;
        return true;
    default:
        return false;
    }
}

/* Fields of the day, all whole. False where the unit is none. */
static bool date_field(const struct parts *parts, enum time_unit unit, int64_t *out)
{
    int64_t year = parts->year;
    switch (unit) {
    case UNIT_DAY:
        return *out = parts->day, true;
    case UNIT_MONTH:
        return *out = parts->month, true;
    case UNIT_QUARTER:
        return *out = (parts->month - 1) / 3 + 1, true;
    case UNIT_WEEK:
        return *out = iso_week(parts->days, &year), true;
    case UNIT_ISO_YEAR:
        iso_week(parts->days, &year);
        return *out = year > 0 ? year : year - 1, true;
    case UNIT_YEAR:
        return *out = year > 0 ? year : year - 1, true;
    case UNIT_DECADE:
        return *out = decade_number(year), true;
    case UNIT_CENTURY:
        return *out = span_number(year, 100), true;
    case UNIT_MILLENNIUM:
        return *out = span_number(year, 1000), true;
    case UNIT_DAY_OF_WEEK:
        return *out = (weekday(parts->days) + 1) % 7, true;
    case UNIT_ISO_DAY_OF_WEEK:
        return *out = weekday(parts->days) + 1, true;
    case UNIT_DAY_OF_YEAR:
        return *out = parts->days - days_from_civil(year, 1, 1) + 1, true;
    default:
        return false;
    }
}

static bool interval_field(const struct parts *parts, enum time_unit unit, int64_t *out)
{
    switch (unit) {
    case UNIT_DAY:
        return *out = parts->day, true;
    case UNIT_MONTH:
        return *out = parts->month, true;
    case UNIT_QUARTER:
        return *out = parts->month / 3 + 1, true;
    case UNIT_YEAR:
        return *out = parts->year, true;
    case UNIT_DECADE:
        return *out = parts->year / 10, true;
    case UNIT_CENTURY:
        return *out = parts->year / 100, true;
    case UNIT_MILLENNIUM:
        return *out = parts->year / 1000, true;
    default:
        return time_field(parts, unit, out);
    }
}

static bool is_zone_unit(enum time_unit unit)
{
    return unit >= UNIT_TIMEZONE && unit <= UNIT_TIMEZONE_MINUTE;
}

/* A year of an interval has 365.25 days and a month 30. */
static wide_integer interval_epoch(struct interval interval)
{
    int64_t quarter_days = INT64_C(1461) * (interval.months / 12) +
                           INT64_C(120) * (interval.months % 12) + INT64_C(4) * interval.days;
    return (wide_integer)quarter_days * (US_PER_DAY / 4) + interval.microseconds;
}

/* A field as an integer in units of 10^-scale_of. */
static omen_status read_field(const omen_value *name, const omen_value *value, enum time_unit unit,
                              wide_integer *out, omen_error *error)
{
    omen_type_id type = value->type.id;
    int64_t field = 0;
    bool known;
    if ((int)type == SQL_TYPE_INTERVAL) {
        struct interval interval = argument_interval(value);
        struct parts parts = split_interval(interval);
        *out = interval_epoch(interval);
        if (unit == UNIT_EPOCH)
            return OMEN_OK;
        known = interval_field(&parts, unit, &field);
    } else {
        struct parts parts;
        if (type == OMEN_TYPE_DATE) {
            parts = (struct parts){.days = value->as.i32};
            civil_from_days(parts.days, &parts.year, &parts.month, &parts.day);
        } else {
            parts = split_timestamp(value->as.i64);
        }
        *out = type == OMEN_TYPE_DATE ? (wide_integer)value->as.i32 * 86400 : value->as.i64;
        if (unit == UNIT_EPOCH)
            return OMEN_OK;
        known = date_field(&parts, unit, &field) ||
                (type != OMEN_TYPE_DATE && time_field(&parts, unit, &field)) ||
                (type == OMEN_TYPE_TIMESTAMPTZ && is_zone_unit(unit));
        if (type == OMEN_TYPE_DATE && unit == UNIT_JULIAN) {
            field = parts.days + JULIAN_OF_1970;
            known = true;
        }
    }
    *out = field;
    return known ? OMEN_OK : wrong_unit(name, unit, type, error);
}

omen_status datetime_extract(FUNCTION_PARAMETERS)
{
    enum time_unit unit = read_unit(&arguments[0]);
    wide_integer field;
    OMEN_TRY(read_field(&arguments[0], &arguments[1], unit, &field, error));
    int scale = scale_of(unit, arguments[1].type.id);
    /* The scale comes from a constant name; where it does not, nothing may be rounded away. */
    if (!decimal_to_scale(field, scale, context->result.scale, &field) ||
        context->result.scale < scale)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "EXTRACT of a field that is no constant is not supported");
    return give_decimal(context, field, out, error);
}

/* The same as a double. */
omen_status datetime_part(FUNCTION_PARAMETERS)
{
    (void)context;
    enum time_unit unit = read_unit(&arguments[0]);
    omen_value value = arguments[1];
    wide_integer field;
    if (value.type.id == OMEN_TYPE_DATE) {
        int64_t midnight;
        if (__builtin_mul_overflow((int64_t)value.as.i32, US_PER_DAY, &midnight))
            return error_set(error, OMEN_DATETIME_OVERFLOW, "date out of range for timestamp");
        value = (omen_value){.type = {.id = OMEN_TYPE_TIMESTAMP}, .as.i64 = midnight};
    }
    bool interval = (int)value.type.id == SQL_TYPE_INTERVAL;
    if (unit == UNIT_JULIAN && !interval) {
        struct parts parts = split_timestamp(value.as.i64);
        double seconds = (double)((parts.hour * 60 + parts.minute) * 60 + parts.second);
        seconds += (double)parts.fraction / 1000000.0;
        return give_double((double)(parts.days + JULIAN_OF_1970) + seconds / 86400.0, out);
    }
    OMEN_TRY(read_field(&arguments[0], &value, unit, &field, error));
    if (unit == UNIT_SECOND)
        return give_double(
            (double)(field / US_PER_SECOND) + (double)(field % US_PER_SECOND) / 1000000.0, out);
    if (unit == UNIT_MILLISECOND)
        return give_double((double)(field / US_PER_SECOND) * 1000.0 +
                               (double)(field % US_PER_SECOND) / 1000.0,
                           out);
    if (unit == UNIT_EPOCH && interval) {
        struct interval parts = argument_interval(&value);
        double seconds = (double)parts.microseconds / 1000000.0;
        seconds += (365.25 * 86400) * (parts.months / 12);
        seconds += (30.0 * 86400) * (parts.months % 12);
        return give_double(seconds + 86400.0 * parts.days, out);
    }
    if (unit == UNIT_EPOCH)
        return give_double((double)(int64_t)field / 1000000.0, out);
    return give_double((double)(int64_t)field, out);
}

/* --- date_trunc --- */

/* The first year of a span that `year` lies in: 2001 of 2024, for centuries. */
static int64_t span_start(int64_t year, int64_t length)
{
    return year > 0 ? (year + length - 1) / length * length - (length - 1)
                    : -((length - 1 - (year - 1)) / length) * length + 1;
}

static bool truncate_date(struct parts *parts, enum time_unit unit)
{
    switch (unit) {
    case UNIT_DAY:
        return true;
    case UNIT_WEEK:
        parts->days -= weekday(parts->days);
        return true;
    case UNIT_MONTH:
        break;
    case UNIT_QUARTER:
        parts->month = (parts->month - 1) / 3 * 3 + 1;
        break;
    case UNIT_YEAR:
        parts->month = 1;
        break;
    case UNIT_DECADE:
        parts->year = parts->year > 0 ? parts->year / 10 * 10 : decade_number(parts->year) * 10;
        parts->month = 1;
        break;
    case UNIT_CENTURY:
    case UNIT_MILLENNIUM:
        parts->year = span_start(parts->year, unit == UNIT_CENTURY ? 100 : 1000);
        parts->month = 1;
        break;
    default:
        return false;
    }
    parts->days = days_from_civil(parts->year, parts->month, 1);
    return true;
}

/* Units that date_trunc and intervals know; the others are fields only. */
static enum time_unit read_span(const omen_value *value)
{
    enum time_unit unit = read_unit(value);
    return unit > UNIT_MILLENNIUM && !is_zone_unit(unit) ? UNIT_UNKNOWN : unit;
}

/* The length of a unit of time; 0 for units of days. */
static int64_t unit_length(enum time_unit unit)
{
    switch (unit) {
    case UNIT_MICROSECOND:
        return 1;
    case UNIT_MILLISECOND:
        return 1000;
    case UNIT_SECOND:
        return US_PER_SECOND;
    case UNIT_MINUTE:
        return US_PER_MINUTE;
    case UNIT_HOUR:
        return US_PER_HOUR;
    default:
        return 0;
    }
}

omen_status timestamp_truncate(FUNCTION_PARAMETERS)
{
    enum time_unit unit = read_span(&arguments[0]);
    int64_t timestamp = arguments[1].as.i64, length = unit_length(unit), time;
    if (length > 0) {
        (void)day_of(timestamp, &time);
        timestamp -= time % length;
    } else {
        struct parts parts = split_timestamp(timestamp);
        if (!truncate_date(&parts, unit))
            return wrong_unit(&arguments[0], unit, arguments[1].type.id, error);
        if (__builtin_mul_overflow(parts.days, US_PER_DAY, &timestamp) || timestamp < TIMESTAMP_MIN)
            return error_set(error, OMEN_DATETIME_OVERFLOW, "timestamp out of range");
    }
    *out = (omen_value){.type = context->result, .as.i64 = timestamp};
    return OMEN_OK;
}

omen_status interval_truncate(FUNCTION_PARAMETERS)
{
    (void)context;
    enum time_unit unit = read_span(&arguments[0]);
    struct interval interval = argument_interval(&arguments[1]);
    int64_t length = unit_length(unit);
    static const int32_t months[] = {
        [UNIT_MONTH] = 1,    [UNIT_QUARTER] = 3,    [UNIT_YEAR] = 12,
        [UNIT_DECADE] = 120, [UNIT_CENTURY] = 1200, [UNIT_MILLENNIUM] = 12000};
    if (length > 0) {
        interval.microseconds -= interval.microseconds % length;
    } else if (unit == UNIT_DAY) {
        interval.microseconds = 0;
    } else if (unit >= UNIT_MONTH && unit <= UNIT_MILLENNIUM) {
        interval.months -= interval.months % months[unit];
        interval.days = 0;
        interval.microseconds = 0;
    } else {
        return wrong_unit(&arguments[0], unit, arguments[1].type.id, error);
    }
    return give_interval(interval, out);
}
