/* unit_name.h - the names of units of time: in intervals, EXTRACT and date_trunc. */
#ifndef OMEN_SQL_UNIT_NAME_H
#define OMEN_SQL_UNIT_NAME_H

#include <stddef.h>

enum time_unit {
    UNIT_UNKNOWN,
    UNIT_MICROSECOND,
    UNIT_MILLISECOND,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_QUARTER,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    /* Not in intervals: */
    UNIT_DAY_OF_WEEK,
    UNIT_ISO_DAY_OF_WEEK,
    UNIT_DAY_OF_YEAR,
    UNIT_ISO_YEAR,
    UNIT_EPOCH,
    UNIT_JULIAN,
    UNIT_TIMEZONE,
    UNIT_TIMEZONE_HOUR,
    UNIT_TIMEZONE_MINUTE,
};

/* The unit a word names, in any case and in PostgreSQL's spellings ("hrs", "msec"). */
enum time_unit unit_from_name(const char *text, size_t length);

#endif
