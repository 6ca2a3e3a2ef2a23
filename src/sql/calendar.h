/* calendar.h - days and dates of the proleptic Gregorian calendar, years BC included.
 *
 * Days count from 1970-01-01 and microseconds from its midnight. Year 0 is 1 BC. The conversions
 * are the well-known ones over 400-year eras that start on 1 March (H. Hinnant,
 * "chrono-Compatible Low-Level Date Algorithms"). Pure functions.
 */
#ifndef OMEN_SQL_CALENDAR_H
#define OMEN_SQL_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#include "column/time_range.h"

enum {
    DAYS_PER_ERA = 146097,
    DAYS_TO_1970 = 719468, /* from 0000-03-01 */
    YEAR_MIN = -4712,      /* 4713 BC, where PostgreSQL's calendar begins */
    YEAR_MAX = 5874897,
};

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_MINUTE INT64_C(60000000)
#define US_PER_HOUR   INT64_C(3600000000)
#define US_PER_DAY    INT64_C(86400000000)

static inline int64_t days_from_civil(int64_t year, int month, int day)
{
    int64_t shifted = month <= 2 ? year - 1 : year;
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

static inline void civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += DAYS_TO_1970;
    int64_t era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int64_t day_of_era = days - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

static inline int month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* The day of a timestamp, and the microseconds since its midnight. */
static inline int64_t day_of(int64_t timestamp, int64_t *time)
{
    int64_t days = timestamp / US_PER_DAY;
    *time = timestamp % US_PER_DAY;
    if (*time < 0) {
        *time += US_PER_DAY;
        days--;
    }
    return days;
}

static inline int weekday(int64_t days) /* Monday is 0; 1970-01-01 was a Thursday */
{
    int day = (int)((days + 3) % 7);
    return day < 0 ? day + 7 : day;
}

/* The year and week that ISO 8601 counts a day in: those of its Thursday. */
static inline int64_t iso_week(int64_t days, int64_t *year)
{
    int month, day;
    int64_t thursday = days - weekday(days) + 3;
    civil_from_days(thursday, year, &month, &day);
    return (thursday - days_from_civil(*year, 1, 1)) / 7 + 1;
}

#endif
