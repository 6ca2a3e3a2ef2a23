/* time_range.h - the dates and times there are: those of PostgreSQL's calendar.
 *
 * It begins on 24 November 4714 BC, Julian day 0. Dates end in the year 5874897; timestamps, which
 * are 64 bits of microseconds from 1970, in 294247. Pure functions.
 */
#ifndef OMEN_COLUMN_TIME_RANGE_H
#define OMEN_COLUMN_TIME_RANGE_H

#include <stdbool.h>

#include "omendb_types.h"

enum {
    JULIAN_OF_1970 = 2440588,
    DATE_MIN = -JULIAN_OF_1970,             /* in days from 1970-01-01 */
    DATE_END = 2147483494 - JULIAN_OF_1970, /* the first day that is none */
};

/* The first timestamp, in microseconds from 1970. */
#define TIMESTAMP_MIN INT64_C(-210866803200000000)

static inline bool date_in_range(int32_t days)
{
    return days >= DATE_MIN && days < DATE_END;
}

/* Of any value that is not NULL; true for what is no date or time. */
static inline bool value_time_in_range(const omen_value *value)
{
    switch (value->type.id) {
    case OMEN_TYPE_DATE:
        return date_in_range(value->as.i32);
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        return value->as.i64 >= TIMESTAMP_MIN;
    default:
        return true;
    }
}

#endif
