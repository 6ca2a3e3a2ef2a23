/* value_interval.c - INTERVAL in text: PostgreSQL's own form, ISO 8601's, SQL's years-months.
 *
 *   1 year 2 mons -3 days +04:05:06.7     @ 2 hours ago     1-2     P1Y2M3DT4H5M6S     1.5 weeks
 *
 * A text is cut into words and numbers, which are read from the right: a word names the unit of the
 * number before it, a number without one is a number of seconds. Fractions go down to the smaller
 * units. Source: PostgreSQL's DecodeInterval, DecodeISO8601Interval and EncodeInterval.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/calendar.h"
#include "sql/semantics.h"
#include "sql/unit_name.h"
#include "sql/value_text.h"

enum { TOKENS_MAX = 25, TOKEN_BYTES_MAX = 64, MONTHS_PER_YEAR = 12, DAYS_PER_MONTH = 30 };

/* --- writing --- */

struct part_writer {
    char *at;
    bool empty, negative; /* nothing yet; the part before was negative */
};

static void put_part(struct part_writer *writer, int64_t value, const char *unit)
{
    if (value == 0)
        return;
    writer->at += snprintf(writer->at, 24, "%s%s%lld %s%s", writer->empty ? "" : " ",
                           writer->negative && value > 0 ? "+" : "", (long long)value, unit,
                           value != 1 ? "s" : "");
    writer->empty = false;
    writer->negative = value < 0;
}

size_t interval_to_text(const struct interval *interval, char *buffer)
{
    struct part_writer writer = {.at = buffer, .empty = true};
    put_part(&writer, interval->months / MONTHS_PER_YEAR, "year");
    put_part(&writer, interval->months % MONTHS_PER_YEAR, "mon");
    put_part(&writer, interval->days, "day");
    if (!writer.empty && interval->microseconds == 0)
        return (size_t)(writer.at - buffer);
    bool negative = interval->microseconds < 0;
    uint64_t time = negative ? -(uint64_t)interval->microseconds : (uint64_t)interval->microseconds;
    uint64_t seconds = time / US_PER_SECOND, fraction = time % US_PER_SECOND;
    writer.at += snprintf(writer.at, 40, "%s%s%02llu:%02u:%02u", writer.empty ? "" : " ",
                          negative          ? "-"
                          : writer.negative ? "+"
                                            : "",
                          (unsigned long long)(seconds / 3600), (unsigned)(seconds / 60 % 60),
                          (unsigned)(seconds % 60));
    if (fraction != 0) {
        writer.at += snprintf(writer.at, 12, ".%06u", (unsigned)fraction);
        while (writer.at[-1] == '0')
            writer.at--;
    }
    return (size_t)(writer.at - buffer);
}

/* --- sums --- */

/* What has been read so far. */
struct sum {
    int64_t years, months, days; /* 32 bits each */
    int64_t microseconds;
};

enum outcome { READ, WRONG_FORMAT, OUT_OF_RANGE };

static bool sum_add(int64_t *to, int64_t value, int64_t scale)
{
    int64_t scaled;
    return !__builtin_mul_overflow(value, scale, &scaled) &&
           !__builtin_add_overflow(*to, scaled, to);
}

/* Years, months and days. */
static bool sum_add_32(int64_t *to, int64_t value, int64_t scale)
{
    return sum_add(to, value, scale) && *to >= INT32_MIN && *to <= INT32_MAX;
}

static bool add_fraction_of_time(struct sum *sum, double fraction, double scale)
{
    fraction *= scale;
    int64_t whole = (int64_t)fraction;
    fraction -= (double)whole;
    whole += fraction > 0.5 ? 1 : fraction < -0.5 ? -1 : 0;
    return !__builtin_add_overflow(sum->microseconds, whole, &sum->microseconds);
}

static bool add_fraction_of_days(struct sum *sum, double fraction, int scale)
{
    fraction *= scale;
    int whole = (int)fraction;
    return sum_add_32(&sum->days, whole, 1) &&
           add_fraction_of_time(sum, fraction - whole, (double)US_PER_DAY);
}

static bool add_fraction_of_years(struct sum *sum, double fraction, int scale)
{
    return sum_add_32(&sum->months, (int64_t)rint(fraction * scale * MONTHS_PER_YEAR), 1);
}

/* `value` and its fraction, of one unit. */
static bool add_units(struct sum *sum, enum time_unit unit, int64_t value, double fraction)
{
    static const int64_t times[] = {[UNIT_MICROSECOND] = 1,
                                    [UNIT_MILLISECOND] = 1000,
                                    [UNIT_SECOND] = US_PER_SECOND,
                                    [UNIT_MINUTE] = US_PER_MINUTE,
                                    [UNIT_HOUR] = US_PER_HOUR};
    int years = 1;
    switch (unit) {
    case UNIT_MICROSECOND:
    case UNIT_MILLISECOND:
    case UNIT_SECOND:
    case UNIT_MINUTE:
    case UNIT_HOUR:
        return sum_add(&sum->microseconds, value, times[unit]) &&
               add_fraction_of_time(sum, fraction, (double)times[unit]);
    case UNIT_DAY:
        return sum_add_32(&sum->days, value, 1) &&
               add_fraction_of_time(sum, fraction, (double)US_PER_DAY);
    case UNIT_WEEK:
        return sum_add_32(&sum->days, value, 7) && add_fraction_of_days(sum, fraction, 7);
    case UNIT_MONTH:
        return sum_add_32(&sum->months, value, 1) &&
               add_fraction_of_days(sum, fraction, DAYS_PER_MONTH);
    case UNIT_YEAR:
        break;
    case UNIT_DECADE:
        years = 10;
        break;
    case UNIT_CENTURY:
        years = 100;
        break;
    default:
        years = 1000;
    }
    return sum_add_32(&sum->years, value, years) && add_fraction_of_years(sum, fraction, years);
}

/* --- tokens --- */

struct token {
    bool word;
    char text[TOKEN_BYTES_MAX]; /* zero-terminated */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* How many bytes of a number, without its sign: 12, 1.5, .5, 04:05:06.7, 1-2. */
static size_t number_length(const char *at, const char *end, bool is_signed)
{
    const char *from = at;
    bool time = false;
    while (at < end) {
        bool dash = *at == '-' && at > from && at + 1 < end && is_digit(at[1]) && !time &&
                    (is_signed || memchr(from, '-', (size_t)(at - from)) == NULL);
        if (!is_digit(*at) && *at != '.' && *at != ':' && !dash)
            break;
        time = time || *at == ':';
        at++;
    }
    return (size_t)(at - from);
}

/* Cuts the text up. False where it is no interval, or has too many parts. */
static bool read_tokens(const char *at, const char *end, struct token *tokens, size_t *count)
{
    *count = 0;
    while (at < end) {
        if (is_space(*at) || *at == ',' || *at == '@') {
            at++;
            continue;
        }
        if (*count == TOKENS_MAX)
            return false;
        struct token *token = &tokens[(*count)++];
        size_t length = 0;
        token->word = is_letter(*at);
        if (token->word) {
            while (at + length < end && is_letter(at[length]))
                length++;
            if (length >= TOKEN_BYTES_MAX)
                return false;
            memcpy(token->text, at, length);
            token->text[length] = '\0';
            at += length;
            continue;
        }
        size_t used = 0;
        bool is_signed = *at == '+' || *at == '-';
        if (is_signed) {
            token->text[used++] = *at++;
            while (at < end && is_space(*at))
                at++;
        }
        length = number_length(at, end, is_signed);
        if (length == 0 || used + length >= TOKEN_BYTES_MAX)
            return false;
        memcpy(token->text + used, at, length);
        token->text[used + length] = '\0';
        at += length;
    }
    return *count > 0;
}

/* Digits into an integer; false beyond 64 bits. */
static bool read_integer(const char **at, int64_t *out)
{
    bool fits = true;
    for (*out = 0; is_digit(**at); ++*at)
        fits = fits && !__builtin_mul_overflow(*out, 10, out) &&
               !__builtin_add_overflow(*out, **at - '0', out);
    return fits;
}

/* ".789" as a number below 1; other text is wrong. */
static bool read_fraction(const char **at, double *out)
{
    char digits[TOKEN_BYTES_MAX] = "0.";
    size_t length = 2;
    for (++*at; is_digit(**at); ++*at)
        if (length < TOKEN_BYTES_MAX / 2) /* more change nothing in a microsecond */
            digits[length++] = **at;
    digits[length] = '\0';
    double value = 0;
    if (length > 2 && double_from_text(digits, length, NULL, &value, NULL) != OMEN_OK)
        return false;
    *out = value;
    return true;
}

/* H:M, H:M:S.f, or M:S.f where a fraction says so. `at` is behind a sign. */
static enum outcome read_time(const char *at, bool negative, struct sum *sum)
{
    int64_t fields[3] = {0};
    double fraction = 0;
    size_t count = 0;
    for (;;) {
        if (!is_digit(*at) || !read_integer(&at, &fields[count++]))
            return WRONG_FORMAT;
        if (*at != ':' || count == 3)
            break;
        at++;
    }
    bool has_fraction = *at == '.';
    if ((has_fraction && !read_fraction(&at, &fraction)) || *at != '\0')
        return WRONG_FORMAT;
    if (count == 2 && has_fraction) {
        fields[2] = fields[1];
        fields[1] = fields[0];
        fields[0] = 0;
    }
    if (fields[1] > 59 || fields[2] > 60)
        return OUT_OF_RANGE;
    int64_t sign = negative ? -1 : 1;
    bool fits = add_units(sum, UNIT_HOUR, sign * fields[0], 0) &&
                add_units(sum, UNIT_MINUTE, sign * fields[1], 0) &&
                add_units(sum, UNIT_SECOND, sign * fields[2], 0) &&
                sum_add(&sum->microseconds, sign * (int64_t)rint(fraction * 1000000), 1);
    return fits ? READ : OUT_OF_RANGE;
}

/* --- PostgreSQL's form --- */

/* Stands for a unit behind the number before "ago". */
#define UNIT_AGO UNIT_EPOCH

enum { SEEN_TIME = 1 << UNIT_HOUR | 1 << UNIT_MINUTE | 1 << UNIT_SECOND };

struct reading {
    struct sum sum;
    enum time_unit unit; /* of the number to the left */
    uint32_t seen;       /* units, each once */
};

static enum outcome mark_seen(struct reading *reading, uint32_t units)
{
    if (reading->seen & units)
        return WRONG_FORMAT;
    reading->seen |= units;
    return READ;
}

/* Which units may not come twice because of this one. */
static uint32_t units_of(const struct reading *reading, enum time_unit unit, bool fraction)
{
    const uint32_t seconds = 1U << UNIT_SECOND | 1U << UNIT_MILLISECOND | 1U << UNIT_MICROSECOND;
    if (unit == UNIT_SECOND && fraction)
        return seconds;
    if (unit == UNIT_WEEK)
        return reading->seen & (1U << UNIT_DAY) ? 0 : 1U << UNIT_DAY;
    if (unit >= UNIT_DECADE)
        return reading->seen & (1U << UNIT_YEAR) ? 0 : 1U << UNIT_YEAR;
    return 1U << unit;
}

static enum outcome read_number(const char *at, struct reading *reading)
{
    bool negative = *at == '-';
    int64_t value, months;
    double fraction = 0;
    at += *at == '-' || *at == '+';
    if (strchr(at, ':') != NULL) {
        reading->unit = UNIT_DAY;
        if (mark_seen(reading, SEEN_TIME) != READ)
            return WRONG_FORMAT;
        return read_time(at, negative, &reading->sum);
    }
    if (reading->unit == UNIT_AGO)
        return WRONG_FORMAT;
    if (reading->unit == UNIT_UNKNOWN)
        reading->unit = UNIT_SECOND;
    if (!read_integer(&at, &value))
        return OUT_OF_RANGE;
    if (*at == '-') {
        at++;
        if (!read_integer(&at, &months) || months >= MONTHS_PER_YEAR)
            return OUT_OF_RANGE;
        if (__builtin_mul_overflow(value, MONTHS_PER_YEAR, &value) ||
            __builtin_add_overflow(value, months, &value))
            return OUT_OF_RANGE;
        reading->unit = UNIT_MONTH;
    }
    bool has_fraction = *at == '.';
    if ((has_fraction && !read_fraction(&at, &fraction)) || *at != '\0')
        return WRONG_FORMAT;
    if (negative) {
        value = -value;
        fraction = -fraction;
    }
    if (mark_seen(reading, units_of(reading, reading->unit, fraction != 0)) != READ)
        return WRONG_FORMAT;
    return add_units(&reading->sum, reading->unit, value, fraction) ? READ : OUT_OF_RANGE;
}

static enum outcome read_unit(const char *word, bool behind_number, struct reading *reading)
{
    reading->unit = unit_from_name(word, strlen(word));
    bool known = reading->unit != UNIT_UNKNOWN && reading->unit <= UNIT_MILLENNIUM &&
                 reading->unit != UNIT_QUARTER;
    return known && behind_number ? READ : WRONG_FORMAT;
}

static enum outcome read_postgres(const char *text, size_t length, struct sum *out)
{
    struct token tokens[TOKENS_MAX];
    struct reading reading = {.unit = UNIT_UNKNOWN};
    size_t count;
    if (!read_tokens(text, text + length, tokens, &count))
        return WRONG_FORMAT;
    bool ago = false;
    for (size_t i = count; i-- > 0;) {
        const char *word = tokens[i].text;
        enum outcome outcome = READ;
        if (!tokens[i].word)
            outcome = read_number(word, &reading);
        else if (strcasecmp(word, "ago") == 0)
            ago = true, reading.unit = UNIT_AGO;
        else
            outcome = read_unit(word, i > 0 && !tokens[i - 1].word, &reading);
        if (outcome != READ)
            return outcome;
    }
    if (reading.seen == 0)
        return WRONG_FORMAT;
    *out = reading.sum;
    if (!ago)
        return READ;
    out->years = -out->years;
    out->months = -out->months;
    out->days = -out->days;
    if (__builtin_sub_overflow((int64_t)0, out->microseconds, &out->microseconds))
        return OUT_OF_RANGE;
    return READ;
}

/* --- ISO 8601 --- */

static enum time_unit iso_unit(char letter, bool time)
{
    static const char dates[] = "YMWD", times[] = "HMS";
    static const enum time_unit date_units[] = {UNIT_YEAR, UNIT_MONTH, UNIT_WEEK, UNIT_DAY};
    static const enum time_unit time_units[] = {UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND};
    const char *found = letter == '\0' ? NULL : strchr(time ? times : dates, letter);
    if (found == NULL)
        return UNIT_UNKNOWN;
    return time ? time_units[found - times] : date_units[found - dates];
}

/* P1Y2M3W4DT5H6M7.8S; the form of a date (P0001-02-03T04:05:06) is not taken. */
static enum outcome read_iso(const char *text, size_t length, struct sum *out)
{
    char copy[4 * TOKEN_BYTES_MAX];
    bool time = false;
    if (length < 2 || length >= sizeof copy || text[0] != 'P')
        return WRONG_FORMAT;
    memcpy(copy, text, length);
    copy[length] = '\0';
    *out = (struct sum){0};
    for (const char *at = copy + 1; *at != '\0';) {
        int64_t value = 0;
        double fraction = 0;
        if (*at == 'T') {
            time = true;
            at++;
            continue;
        }
        bool negative = *at == '-';
        at += *at == '-' || *at == '+';
        const char *number = at;
        if (!read_integer(&at, &value))
            return OUT_OF_RANGE;
        if (at - number + (*at == '.') == 0 || strspn(at, ".0123456789") >= TOKEN_BYTES_MAX ||
            (*at == '.' && !read_fraction(&at, &fraction)))
            return WRONG_FORMAT;
        enum time_unit unit = iso_unit(*at++, time);
        if (unit == UNIT_UNKNOWN)
            return WRONG_FORMAT;
        if (!add_units(out, unit, negative ? -value : value, negative ? -fraction : fraction))
            return OUT_OF_RANGE;
    }
    return READ;
}

omen_status interval_from_text(const char *text, size_t length, struct interval *out,
                               omen_error *error)
{
    struct sum sum = {0};
    const char *trimmed = text;
    size_t rest = length;
    text_trim(&trimmed, &rest);
    enum outcome outcome =
        memchr(text, '\0', length) != NULL ? WRONG_FORMAT : read_postgres(trimmed, rest, &sum);
    if (outcome == WRONG_FORMAT)
        outcome = read_iso(trimmed, rest, &sum);
    if (outcome == WRONG_FORMAT) {
        omen_status status = text_invalid((omen_type_id)SQL_TYPE_INTERVAL, text, length, error);
        if (status == OMEN_INVALID_TEXT)
            return error_set(error, OMEN_INVALID_DATETIME,
                             "invalid input syntax for type interval: \"%.*s\"",
                             (int)(length < 100 ? length : 100), text);
        return status;
    }
    if (outcome == OUT_OF_RANGE)
        return error_set(error, OMEN_INTERVAL_OVERFLOW,
                         "interval field value out of range: \"%.*s\"",
                         (int)(length < 100 ? length : 100), text);
    int64_t months = sum.years * MONTHS_PER_YEAR + sum.months;
    *out = (struct interval){
        .microseconds = sum.microseconds, .days = (int32_t)sum.days, .months = (int32_t)months};
    if (out->months != months || out->days != sum.days)
        return error_set(error, OMEN_DATETIME_OVERFLOW, "interval out of range");
    return OMEN_OK;
}
