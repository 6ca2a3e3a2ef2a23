/* unit_name.c - PostgreSQL's names of units. It looks at the first ten characters of a word. */
#include "sql/unit_name.h"

#include <string.h>
#include <strings.h>

enum { NAME_BYTES = 10 };

static const struct {
    char name[NAME_BYTES + 1];
    enum time_unit unit;
} names[] = {
    {"us", UNIT_MICROSECOND},
    {"usec", UNIT_MICROSECOND},
    {"usecs", UNIT_MICROSECOND},
    {"useconds", UNIT_MICROSECOND},
    {"microsecon", UNIT_MICROSECOND},
    {"ms", UNIT_MILLISECOND},
    {"msec", UNIT_MILLISECOND},
    {"msecs", UNIT_MILLISECOND},
    {"mseconds", UNIT_MILLISECOND},
    {"millisecon", UNIT_MILLISECOND},
    {"s", UNIT_SECOND},
    {"sec", UNIT_SECOND},
    {"secs", UNIT_SECOND},
    {"second", UNIT_SECOND},
    {"seconds", UNIT_SECOND},
    {"m", UNIT_MINUTE},
    {"min", UNIT_MINUTE},
    {"mins", UNIT_MINUTE},
    {"minute", UNIT_MINUTE},
    {"minutes", UNIT_MINUTE},
    {"h", UNIT_HOUR},
    {"hr", UNIT_HOUR},
    {"hrs", UNIT_HOUR},
    {"hour", UNIT_HOUR},
    {"hours", UNIT_HOUR},
    {"d", UNIT_DAY},
    {"day", UNIT_DAY},
    {"days", UNIT_DAY},
    {"w", UNIT_WEEK},
    {"week", UNIT_WEEK},
    {"weeks", UNIT_WEEK},
    {"mon", UNIT_MONTH},
    {"mons", UNIT_MONTH},
    {"month", UNIT_MONTH},
    {"months", UNIT_MONTH},
    {"qtr", UNIT_QUARTER},
    {"quarter", UNIT_QUARTER},
    {"y", UNIT_YEAR},
    {"yr", UNIT_YEAR},
    {"yrs", UNIT_YEAR},
    {"year", UNIT_YEAR},
    {"years", UNIT_YEAR},
    {"dec", UNIT_DECADE},
    {"decs", UNIT_DECADE},
    {"decade", UNIT_DECADE},
    {"decades", UNIT_DECADE},
    {"c", UNIT_CENTURY},
    {"cent", UNIT_CENTURY},
    {"century", UNIT_CENTURY},
    {"centuries", UNIT_CENTURY},
    {"mil", UNIT_MILLENNIUM},
    {"mils", UNIT_MILLENNIUM},
    {"millennia", UNIT_MILLENNIUM},
    {"millennium", UNIT_MILLENNIUM},
    {"dow", UNIT_DAY_OF_WEEK},
    {"isodow", UNIT_ISO_DAY_OF_WEEK},
    {"doy", UNIT_DAY_OF_YEAR},
    {"isoyear", UNIT_ISO_YEAR},
    {"epoch", UNIT_EPOCH},
    {"julian", UNIT_JULIAN},
    {"timezone", UNIT_TIMEZONE},
    {"timezone_h", UNIT_TIMEZONE_HOUR},
    {"timezone_m", UNIT_TIMEZONE_MINUTE},
};

enum time_unit unit_from_name(const char *text, size_t length)
{
    size_t compared = length < NAME_BYTES ? length : NAME_BYTES;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == compared && strncasecmp(names[i].name, text, compared) == 0)
            return names[i].unit;
    return UNIT_UNKNOWN;
}
