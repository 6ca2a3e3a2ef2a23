/* function_to_char.c - to_char of timestamps: PostgreSQL's templates.
 *
 * A template is read from left to right. The longest pattern that stands there, in one of the cases
 * that it is known in, gives a field; a prefix FM takes its padding away, TM that of names; a
 * suffix TH or th makes a number an ordinal. What stands in double quotes, and everything else, is
 * copied. Source: the table "Template Patterns for Date/Time Formatting" of PostgreSQL's
 * documentation.
 */
#include <stdio.h>

#include "sql/calendar.h"
#include "sql/function_text.h"

enum {
    FIELD_BYTES_MAX = 12, /* of the output, for each byte of the template */
    NAME_WIDTH = 9,       /* of months and days: September, Wednesday */
};

enum field {
    FIELD_AM,
    FIELD_AM_DOTS,
    FIELD_AD,
    FIELD_AD_DOTS,
    FIELD_CENTURY,
    FIELD_DAY_NAME,
    FIELD_DAY_SHORT,
    FIELD_DAY_OF_YEAR,
    FIELD_DAY,
    FIELD_WEEKDAY,
    FIELD_FRACTION, /* with so many digits: `detail` */
    FIELD_NOTHING,
    FIELD_HOUR_12,
    FIELD_HOUR_24,
    FIELD_ISO_DAY_OF_YEAR,
    FIELD_ISO_WEEKDAY,
    FIELD_ISO_WEEK,
    FIELD_ISO_YEAR, /* the last `detail` digits */
    FIELD_JULIAN,
    FIELD_MINUTE,
    FIELD_MONTH,
    FIELD_MONTH_NAME,
    FIELD_MONTH_SHORT,
    FIELD_MONTH_ROMAN,
    FIELD_OFFSET,
    FIELD_OFFSET_HOUR,
    FIELD_OFFSET_MINUTE,
    FIELD_QUARTER,
    FIELD_SECOND,
    FIELD_SECOND_OF_DAY,
    FIELD_WEEK,
    FIELD_WEEK_OF_MONTH,
    FIELD_YEAR, /* the last `detail` digits */
    FIELD_YEAR_COMMA,
    FIELD_ZONE,
};

/* Each in upper and in lower case; names also with one capital. Longer ones before their
 * beginnings. */
static const struct pattern {
    const char *word;
    enum field field;
    int detail;
} patterns[] = {
    {"A.D.", FIELD_AD_DOTS, 0},
    {"A.M.", FIELD_AM_DOTS, 0},
    {"AD", FIELD_AD, 0},
    {"AM", FIELD_AM, 0},
    {"B.C.", FIELD_AD_DOTS, 0},
    {"BC", FIELD_AD, 0},
    {"CC", FIELD_CENTURY, 0},
    {"DAY", FIELD_DAY_NAME, 0},
    {"DDD", FIELD_DAY_OF_YEAR, 0},
    {"DD", FIELD_DAY, 0},
    {"DY", FIELD_DAY_SHORT, 0},
    {"D", FIELD_WEEKDAY, 0},
    {"FF1", FIELD_FRACTION, 1},
    {"FF2", FIELD_FRACTION, 2},
    {"FF3", FIELD_FRACTION, 3},
    {"FF4", FIELD_FRACTION, 4},
    {"FF5", FIELD_FRACTION, 5},
    {"FF6", FIELD_FRACTION, 6},
    {"FX", FIELD_NOTHING, 0},
    {"HH24", FIELD_HOUR_24, 0},
    {"HH12", FIELD_HOUR_12, 0},
    {"HH", FIELD_HOUR_12, 0},
    {"IDDD", FIELD_ISO_DAY_OF_YEAR, 0},
    {"ID", FIELD_ISO_WEEKDAY, 0},
    {"IW", FIELD_ISO_WEEK, 0},
    {"IYYY", FIELD_ISO_YEAR, 4},
    {"IYY", FIELD_ISO_YEAR, 3},
    {"IY", FIELD_ISO_YEAR, 2},
    {"I", FIELD_ISO_YEAR, 1},
    {"J", FIELD_JULIAN, 0},
    {"MI", FIELD_MINUTE, 0},
    {"MM", FIELD_MONTH, 0},
    {"MONTH", FIELD_MONTH_NAME, 0},
    {"MON", FIELD_MONTH_SHORT, 0},
    {"MS", FIELD_FRACTION, 3},
    {"OF", FIELD_OFFSET, 0},
    {"P.M.", FIELD_AM_DOTS, 0},
    {"PM", FIELD_AM, 0},
    {"Q", FIELD_QUARTER, 0},
    {"RM", FIELD_MONTH_ROMAN, 0},
    {"SSSSS", FIELD_SECOND_OF_DAY, 0},
    {"SSSS", FIELD_SECOND_OF_DAY, 0},
    {"SS", FIELD_SECOND, 0},
    {"TZH", FIELD_OFFSET_HOUR, 0},
    {"TZM", FIELD_OFFSET_MINUTE, 0},
    {"TZ", FIELD_ZONE, 0},
    {"US", FIELD_FRACTION, 6},
    {"WW", FIELD_WEEK, 0},
    {"W", FIELD_WEEK_OF_MONTH, 0},
    {"Y,YYY", FIELD_YEAR_COMMA, 0},
    {"YYYY", FIELD_YEAR, 4},
    {"YYY", FIELD_YEAR, 3},
    {"YY", FIELD_YEAR, 2},
    {"Y", FIELD_YEAR, 1},
};

enum letter_case { CASE_UPPER, CASE_LOWER, CASE_CAPITAL };

/* One pattern of a template, with what stands before and behind it. */
struct item {
    const struct pattern *pattern;
    enum letter_case letters;
    bool fill;    /* no FM: padded */
    bool named;   /* TM */
    char ordinal; /* 0, 't' or 'T' */
};

struct moment {
    int64_t days, year;
    int month, day;
    int64_t time; /* microseconds since midnight */
    bool zoned;
};

/* --- reading a template --- */

static char with_case(char letter, enum letter_case letters, size_t position)
{
    bool lower = letters == CASE_LOWER || (letters == CASE_CAPITAL && position > 0);
    return lower && letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

static bool starts_with(omen_bytes text, const char *word, enum letter_case letters)
{
    size_t length = strlen(word);
    if (text.length < length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (text.data[i] != (uint8_t)with_case(word[i], letters, i))
            return false;
    return true;
}

static bool is_name(enum field field)
{
    return field == FIELD_DAY_NAME || field == FIELD_DAY_SHORT || field == FIELD_MONTH_NAME ||
           field == FIELD_MONTH_SHORT;
}

static bool find_pattern(omen_bytes text, struct item *item)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        for (int letters = CASE_UPPER; letters <= CASE_CAPITAL; letters++) {
            if ((letters == CASE_CAPITAL && !is_name(patterns[i].field)) ||
                !starts_with(text, patterns[i].word, (enum letter_case)letters))
                continue;
            item->pattern = &patterns[i];
            item->letters = (enum letter_case)letters;
            return true;
        }
    return false;
}

static void skip(omen_bytes *text, size_t count)
{
    text->data += count;
    text->length -= count;
}

static bool skip_either(omen_bytes *text, const char *word)
{
    if (!starts_with(*text, word, CASE_UPPER) && !starts_with(*text, word, CASE_LOWER))
        return false;
    skip(text, 2);
    return true;
}

/* The pattern at the beginning of `rest`, which then begins behind it. Without one a prefix is
 * skipped all the same. */
static bool read_item(omen_bytes *rest, struct item *item)
{
    *item = (struct item){.fill = true};
    if (skip_either(rest, "FM"))
        item->fill = false;
    else if (skip_either(rest, "TM"))
        item->named = true;
    if (!find_pattern(*rest, item))
        return false;
    skip(rest, strlen(item->pattern->word));
    if (starts_with(*rest, "TH", CASE_UPPER) || starts_with(*rest, "TH", CASE_LOWER)) {
        item->ordinal = (char)rest->data[0];
        skip(rest, 2);
    } else if (starts_with(*rest, "SP", CASE_UPPER)) {
        skip(rest, 2); /* "spell mode", which PostgreSQL reads and does nothing for */
    }
    return true;
}

/* --- writing fields --- */

static void put_ordinal(uint8_t **at, const struct item *item, int64_t number)
{
    static const char *const endings[] = {"th", "st", "nd", "rd"};
    if (item->ordinal == 0)
        return;
    int64_t tens = number < 0 ? -number : number;
    int64_t last = tens % 10;
    const char *ending = endings[tens / 10 % 10 == 1 || last > 3 ? 0 : last];
    for (size_t i = 0; i < 2; i++) {
        char letter = item->ordinal == 'T' ? (char)(ending[i] - 'a' + 'A') : ending[i];
        text_append(at, &letter, 1);
    }
}

/* A number, filled to `width` digits. */
static void put_number(uint8_t **at, const struct item *item, int64_t number, int width)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%0*lld", item->fill ? width + (number < 0) : 0,
                          (long long)number);
    text_append(at, text, (size_t)length);
    put_ordinal(at, item, number);
}

/* A word in the pattern's case, filled with blanks to `width`. */
static void put_word(uint8_t **at, const struct item *item, const char *word, size_t width)
{
    size_t length = strlen(word);
    for (size_t i = 0; i < length; i++) {
        char letter = item->letters == CASE_UPPER && word[i] >= 'a' && word[i] <= 'z'
                          ? (char)(word[i] - 'a' + 'A')
                          : with_case(word[i], item->letters, i);
        text_append(at, &letter, 1);
    }
    bool fill = item->fill && !(item->named && is_name(item->pattern->field));
    for (; length < width && fill; length++)
        text_append(at, " ", 1);
}

static void put_short(uint8_t **at, const struct item *item, const char *name)
{
    char word[4] = {name[0], name[1], name[2], '\0'};
    put_word(at, item, word, 0);
}

static void put_name(uint8_t **at, const struct item *item, const struct moment *moment)
{
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    static const char *const days[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};
    static const char *const roman[] = {"I",   "II",   "III", "IV", "V",  "VI",
                                        "VII", "VIII", "IX",  "X",  "XI", "XII"};
    bool before = moment->year <= 0, morning = moment->time < 12 * US_PER_HOUR;
    switch (item->pattern->field) {
    case FIELD_AM:
        put_word(at, item, morning ? "AM" : "PM", 0);
        break;
    case FIELD_AM_DOTS:
        put_word(at, item, morning ? "A.M." : "P.M.", 0);
        break;
    case FIELD_AD:
        put_word(at, item, before ? "BC" : "AD", 0);
        break;
    case FIELD_AD_DOTS:
        put_word(at, item, before ? "B.C." : "A.D.", 0);
        break;
    case FIELD_DAY_NAME:
        put_word(at, item, days[weekday(moment->days)], NAME_WIDTH);
        break;
    case FIELD_DAY_SHORT:
        put_short(at, item, days[weekday(moment->days)]);
        break;
    case FIELD_MONTH_NAME:
        put_word(at, item, months[moment->month - 1], NAME_WIDTH);
        break;
    case FIELD_MONTH_SHORT:
        put_short(at, item, months[moment->month - 1]);
        break;
    case FIELD_MONTH_ROMAN:
        put_word(at, item, roman[moment->month - 1], 4);
        break;
    case FIELD_ZONE:
        put_word(at, item, moment->zoned ? "UTC" : "", 0);
        break;
    case FIELD_OFFSET:
        text_append(at, "+00", item->fill ? 3 : 2);
        break;
    case FIELD_OFFSET_HOUR:
        text_append(at, "+00", 3);
        break;
    case FIELD_OFFSET_MINUTE:
        text_append(at, "00", 2);
        break;
    default:
        break;
    }
}

/* The last digits of a year, which is counted from 1 before Christ too. */
static void put_year(uint8_t **at, const struct item *item, int64_t year)
{
    static const int64_t ends[] = {1, 10, 100, 1000, INT64_MAX};
    int digits = item->pattern->detail;
    if (year <= 0)
        year = 1 - year;
    put_number(at, item, year % ends[digits], digits);
}

static void put_year_comma(uint8_t **at, const struct item *item, int64_t year)
{
    char text[32];
    if (year <= 0)
        year = 1 - year;
    int length =
        snprintf(text, sizeof text, "%lld,%03d", (long long)(year / 1000), (int)(year % 1000));
    text_append(at, text, (size_t)length);
    put_ordinal(at, item, year % 1000);
}

static int64_t century(int64_t year)
{
    return year > 0 ? (year - 1) / 100 + 1 : year / 100 - 1;
}

/* Days since the Monday of the ISO year's first week, counted from 1. */
static int64_t iso_day_of_year(int64_t days)
{
    int64_t year, week = iso_week(days, &year);
    return (week - 1) * 7 + weekday(days) + 1;
}

static void put_fraction(uint8_t **at, const struct item *item, int64_t time)
{
    static const int powers[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    int digits = item->pattern->detail;
    struct item padded = *item;
    padded.fill = true; /* also behind FM */
    put_number(at, &padded, time % US_PER_SECOND / powers[digits], digits);
}

/* Fields of the time of day; false where the pattern is none. */
static bool put_time(uint8_t **at, const struct item *item, int64_t time)
{
    int64_t hour = time / US_PER_HOUR;
    switch (item->pattern->field) {
    case FIELD_FRACTION:
        return put_fraction(at, item, time), true;
    case FIELD_HOUR_12:
        return put_number(at, item, hour % 12 == 0 ? 12 : hour % 12, 2), true;
    case FIELD_HOUR_24:
        return put_number(at, item, hour, 2), true;
    case FIELD_MINUTE:
        return put_number(at, item, time / US_PER_MINUTE % 60, 2), true;
    case FIELD_SECOND:
        return put_number(at, item, time / US_PER_SECOND % 60, 2), true;
    case FIELD_SECOND_OF_DAY:
        return put_number(at, item, time / US_PER_SECOND, 1), true;
    default:
        return false;
    }
}

/* Fields that count days and weeks. */
static bool put_day(uint8_t **at, const struct item *item, const struct moment *moment)
{
    int64_t year, days = moment->days;
    int64_t day_of_year = days - days_from_civil(moment->year, 1, 1) + 1;
    switch (item->pattern->field) {
    case FIELD_DAY_OF_YEAR:
        return put_number(at, item, day_of_year, 3), true;
    case FIELD_DAY:
        return put_number(at, item, moment->day, 2), true;
    case FIELD_WEEKDAY:
        return put_number(at, item, (weekday(days) + 1) % 7 + 1, 1), true;
    case FIELD_ISO_DAY_OF_YEAR:
        return put_number(at, item, iso_day_of_year(days), 3), true;
    case FIELD_ISO_WEEKDAY:
        return put_number(at, item, weekday(days) + 1, 1), true;
    case FIELD_ISO_WEEK:
        return put_number(at, item, iso_week(days, &year), 2), true;
    case FIELD_JULIAN:
        return put_number(at, item, days + JULIAN_OF_1970, 1), true;
    case FIELD_WEEK:
        return put_number(at, item, (day_of_year - 1) / 7 + 1, 2), true;
    case FIELD_WEEK_OF_MONTH:
        return put_number(at, item, (moment->day - 1) / 7 + 1, 1), true;
    default:
        return false;
    }
}

static void put_field(uint8_t **at, const struct item *item, const struct moment *moment)
{
    int64_t year = moment->year;
    if (put_time(at, item, moment->time) || put_day(at, item, moment))
        return;
    switch (item->pattern->field) {
    case FIELD_CENTURY:
        put_number(at, item, century(year), 2);
        break;
    case FIELD_ISO_YEAR:
        iso_week(moment->days, &year);
        put_year(at, item, year);
        break;
    case FIELD_MONTH:
        put_number(at, item, moment->month, 2);
        break;
    case FIELD_QUARTER:
        put_number(at, item, (moment->month - 1) / 3 + 1, 1);
        break;
    case FIELD_YEAR:
        put_year(at, item, year);
        break;
    case FIELD_YEAR_COMMA:
        put_year_comma(at, item, year);
        break;
    default:
        put_name(at, item, moment);
        break;
    }
}

/* --- the rest of a template --- */

/* Copies what stands between double quotes, where a backslash lets the next character be itself. */
static void put_quoted(uint8_t **at, omen_bytes *rest)
{
    skip(rest, 1);
    while (rest->length > 0 && rest->data[0] != '"') {
        if (rest->data[0] == '\\' && rest->length > 1)
            skip(rest, 1);
        text_append(at, rest->data, 1);
        skip(rest, 1);
    }
    if (rest->length > 0)
        skip(rest, 1);
}

omen_status timestamp_to_char(FUNCTION_PARAMETERS)
{
    struct moment moment = {.zoned = arguments[0].type.id == OMEN_TYPE_TIMESTAMPTZ};
    omen_bytes rest = arguments[1].as.bytes;
    struct item item;
    uint8_t *result, *end;
    if (rest.length == 0)
        return give_null(context, out);
    moment.days = day_of(arguments[0].as.i64, &moment.time);
    civil_from_days(moment.days, &moment.year, &moment.month, &moment.day);
    OMEN_TRY(text_reserve(context, (uint64_t)rest.length * FIELD_BYTES_MAX, &result, error));
    end = result;
    while (rest.length > 0) {
        if (read_item(&rest, &item)) {
            put_field(&end, &item, &moment);
            continue;
        }
        if (rest.length > 0 && rest.data[0] == '"') {
            put_quoted(&end, &rest);
            continue;
        }
        if (rest.length > 1 && rest.data[0] == '\\' && rest.data[1] == '"')
            skip(&rest, 1);
        if (rest.length > 0) {
            text_append(&end, rest.data, 1);
            skip(&rest, 1);
        }
    }
    return give_bytes(context, result, (size_t)(end - result), out);
}
