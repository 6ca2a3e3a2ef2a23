/* value_datetime.c - dates and timestamps in ISO 8601, years BC included. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sql/calendar.h"
#include "sql/value_text.h"

/* --- writing --- */

static size_t write_date(int64_t days, char *buffer, bool *before_christ)
{
    int64_t year;
    int month, day;
    civil_from_days(days, &year, &month, &day);
    *before_christ = year <= 0;
    return (size_t)snprintf(buffer, DATE_TEXT_BYTES_MAX - 4, "%04lld-%02d-%02d",
                            (long long)(year <= 0 ? 1 - year : year), month, day);
}

size_t date_to_text(int32_t days, char *buffer)
{
    bool before_christ;
    size_t length = write_date(days, buffer, &before_christ);
    if (before_christ) {
        memcpy(buffer + length, " BC", 3);
        length += 3;
    }
    return length;
}

size_t timestamp_to_text(int64_t microseconds, bool zone, char *buffer)
{
    int64_t rest, days = day_of(microseconds, &rest);
    bool before_christ;
    size_t length = write_date(days, buffer, &before_christ);
    int seconds = (int)(rest / US_PER_SECOND), fraction = (int)(rest % US_PER_SECOND);
    length += (size_t)snprintf(buffer + length, 16, " %02d:%02d:%02d", seconds / 3600,
                               seconds / 60 % 60, seconds % 60);
    if (fraction != 0) {
        length += (size_t)snprintf(buffer + length, 12, ".%06d", fraction);
        while (buffer[length - 1] == '0')
            length--;
    }
    if (zone) {
        memcpy(buffer + length, "+00", 3);
        length += 3;
    }
    if (before_christ) {
        memcpy(buffer + length, " BC", 3);
        length += 3;
    }
    return length;
}

/* --- reading --- */

/* What is left of the text, and why reading it stopped. */
struct reader {
    const char *at, *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool reader_take(struct reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

static void reader_skip_spaces(struct reader *reader)
{
    while (reader->at < reader->end && is_space(*reader->at))
        reader->at++;
}

/* Reads digits, `min` to `max` of them. */
static bool reader_number(struct reader *reader, int min, int max, int64_t *out)
{
    int count = 0;
    *out = 0;
    while (reader->at < reader->end && is_digit(*reader->at) && count < max) {
        *out = *out * 10 + (*reader->at++ - '0');
        count++;
    }
    return count >= min && !(reader->at < reader->end && is_digit(*reader->at));
}

static bool reader_word(struct reader *reader, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->at) < length || strncasecmp(reader->at, word, length) != 0)
        return false;
    reader->at += length;
    return true;
}

struct civil {
    int64_t year; /* as written; the era word comes at the end */
    int64_t month, day;
    int64_t hour, minute, second, fraction_us;
    int64_t zone_seconds; /* east of Greenwich */
};

/* YYYY-MM-DD, with years of three to seven digits, or YYYYMMDD. */
static bool read_date(struct reader *reader, struct civil *civil)
{
    const char *start = reader->at;
    int64_t number;
    if (!reader_number(reader, 3, 8, &number))
        return false;
    if (reader_take(reader, '-'))
        return civil->year = number, reader_number(reader, 1, 2, &civil->month) &&
                                         reader_take(reader, '-') &&
                                         reader_number(reader, 1, 2, &civil->day);
    civil->year = number / 10000;
    civil->month = number / 100 % 100;
    civil->day = number % 100;
    return reader->at - start == 8;
}

/* The digits behind the point, rounded to microseconds. */
static bool read_fraction(struct reader *reader, int64_t *microseconds)
{
    const char *start = reader->at;
    int64_t value = 0;
    while (reader->at < reader->end && is_digit(*reader->at)) {
        int64_t place = reader->at - start;
        if (place < 6)
            value = value * 10 + (*reader->at - '0');
        else if (place == 6 && *reader->at >= '5')
            value++;
        reader->at++;
    }
    for (int64_t place = reader->at - start; place < 6; place++)
        value *= 10;
    *microseconds = value;
    return true;
}

/* HH:MM[:SS[.ffffff]] */
static bool read_time(struct reader *reader, struct civil *civil)
{
    if (!reader_number(reader, 1, 2, &civil->hour) || !reader_take(reader, ':') ||
        !reader_number(reader, 1, 2, &civil->minute))
        return false;
    if (!reader_take(reader, ':'))
        return true;
    if (!reader_number(reader, 1, 2, &civil->second))
        return false;
    return !reader_take(reader, '.') || read_fraction(reader, &civil->fraction_us);
}

/* Z, UTC, GMT, +HH[[:]MM[[:]SS]]; nothing at all is UTC as well. */
static bool read_zone(struct reader *reader, struct civil *civil)
{
    if (reader->at == reader->end || is_space(*reader->at))
        return true;
    if (reader_word(reader, "UTC") || reader_word(reader, "GMT") || reader_word(reader, "Z"))
        return true;
    int64_t sign = *reader->at == '-' ? -1 : 1, hours, minutes = 0, seconds = 0;
    if (!reader_take(reader, '-') && !reader_take(reader, '+'))
        return false;
    const char *start = reader->at;
    if (!reader_number(reader, 1, 6, &hours))
        return false;
    int64_t digits = reader->at - start;
    if (digits > 4)
        seconds = hours % 100, hours /= 100;
    if (digits > 2)
        minutes = hours % 100, hours /= 100;
    if (digits <= 2 && reader_take(reader, ':') && !reader_number(reader, 2, 2, &minutes))
        return false;
    if (digits <= 2 && reader_take(reader, ':') && !reader_number(reader, 2, 2, &seconds))
        return false;
    if (hours > 15 || minutes > 59 || seconds > 59)
        return false;
    civil->zone_seconds = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

/* Words that PostgreSQL understands and this does not. */
static bool is_foreign_form(const char *text, size_t length)
{
    static const char *const words[] = {"infinity", "today", "tomorrow", "yesterday", "now", "jan",
                                        "feb",      "mar",   "apr",      "may",       "jun", "jul",
                                        "aug",      "sep",   "oct",      "nov",       "dec"};
    for (size_t i = 0; i < length; i++)
        for (size_t word = 0; word < sizeof words / sizeof *words; word++)
            if (length - i >= strlen(words[word]) &&
                strncasecmp(text + i, words[word], strlen(words[word])) == 0)
                return true;
    /* 1/8/1999, 8.1.1999, 1-8-1999 */
    size_t digits = 0;
    while (digits < length && is_digit(text[digits]))
        digits++;
    return digits > 0 && digits < length &&
           (text[digits] == '/' || text[digits] == '.' || (text[digits] == '-' && digits < 3));
}

static omen_status invalid_datetime(omen_type_id type, const char *text, size_t length,
                                    omen_error *error)
{
    int shown = (int)(length < 100 ? length : 100);
    if (is_foreign_form(text, length))
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "this form of %s is not supported, write YYYY-MM-DD: \"%.*s\"",
                         type_name_of(type), shown, text);
    return error_set(error, OMEN_INVALID_DATETIME, "invalid input syntax for type %s: \"%.*s\"",
                     type_name_of(type), shown, text);
}

static omen_status out_of_range(const char *text, size_t length, omen_error *error)
{
    return error_set(error, OMEN_DATETIME_OVERFLOW, "date/time field value out of range: \"%.*s\"",
                     (int)(length < 100 ? length : 100), text);
}

/* Reads date, time, zone and era. `time` and `zone` say what may follow the date. */
static omen_status read_civil(omen_type_id type, const char *text, size_t length,
                              struct civil *civil, omen_error *error)
{
    struct reader reader = {.at = text, .end = text + length};
    *civil = (struct civil){0};
    if (reader_word(&reader, "epoch") && reader.at == reader.end) {
        civil->year = 1970, civil->month = 1, civil->day = 1;
        return OMEN_OK;
    }
    reader.at = text;
    if (!read_date(&reader, civil))
        return invalid_datetime(type, text, length, error);
    bool separated = reader_take(&reader, 'T') || reader_take(&reader, 't');
    const char *behind_date = reader.at;
    reader_skip_spaces(&reader);
    separated = separated || reader.at > behind_date;
    if (reader.at < reader.end && is_digit(*reader.at)) {
        if (!separated || !read_time(&reader, civil))
            return invalid_datetime(type, text, length, error);
        if (!(reader.at < reader.end && (*reader.at == '+' || *reader.at == '-')))
            reader_skip_spaces(&reader);
        if (!(reader.end - reader.at >= 2 && strncasecmp(reader.at, "BC", 2) == 0) &&
            !(reader.end - reader.at >= 2 && strncasecmp(reader.at, "AD", 2) == 0) &&
            !read_zone(&reader, civil)) {
            if (reader.at < reader.end && (*reader.at & 0xDF) >= 'A' && (*reader.at & 0xDF) <= 'Z')
                return error_set(error, OMEN_NOT_SUPPORTED,
                                 "named time zones are not supported: \"%.*s\"",
                                 (int)(length < 100 ? length : 100), text);
            return invalid_datetime(type, text, length, error);
        }
    }
    reader_skip_spaces(&reader);
    bool before_christ = reader_word(&reader, "BC");
    if (!before_christ)
        (void)reader_word(&reader, "AD");
    if (reader.at != reader.end)
        return invalid_datetime(type, text, length, error);
    if (civil->year == 0)
        return out_of_range(text, length, error);
    if (before_christ)
        civil->year = 1 - civil->year;
    if (civil->month < 1 || civil->month > 12 || civil->day < 1 ||
        civil->day > month_days(civil->year, (int)civil->month) || civil->year < YEAR_MIN ||
        civil->year > YEAR_MAX)
        return out_of_range(text, length, error);
    bool midnight = civil->minute == 0 && civil->second == 0 && civil->fraction_us == 0;
    if (civil->hour > 24 || (civil->hour == 24 && !midnight) || civil->minute > 59 ||
        civil->second > 60)
        return out_of_range(text, length, error);
    return OMEN_OK;
}

omen_status date_from_text(const char *text, size_t length, int32_t *days, omen_error *error)
{
    struct civil civil;
    text_trim(&text, &length);
    OMEN_TRY(read_civil(OMEN_TYPE_DATE, text, length, &civil, error));
    *days = (int32_t)days_from_civil(civil.year, (int)civil.month, (int)civil.day);
    return OMEN_OK;
}

omen_status timestamp_from_text(omen_type_id type, const char *text, size_t length,
                                int64_t *microseconds, omen_error *error)
{
    struct civil civil;
    text_trim(&text, &length);
    OMEN_TRY(read_civil(type, text, length, &civil, error));
    int64_t days = days_from_civil(civil.year, (int)civil.month, (int)civil.day);
    int64_t seconds = civil.hour * 3600 + civil.minute * 60 + civil.second;
    /* A timestamp without zone ignores one in the text, as PostgreSQL does. */
    if (type == OMEN_TYPE_TIMESTAMPTZ)
        seconds -= civil.zone_seconds;
    int64_t rest = seconds * US_PER_SECOND + civil.fraction_us;
    if (__builtin_mul_overflow(days, US_PER_DAY, microseconds) ||
        __builtin_add_overflow(*microseconds, rest, microseconds))
        return out_of_range(text, length, error);
    return OMEN_OK;
}
