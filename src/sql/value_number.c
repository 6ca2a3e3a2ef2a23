/* value_number.c - numbers in text: exact decimals by digits, floats shortest both ways.
 *
 * Floats print with the fewest digits that read back as the same value, in PostgreSQL's layout:
 * plain from 1e-4 up to 1e15 (REAL: 1e6), else with an exponent of at least two digits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/value_text.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool number_scan(const char *text, size_t length, struct number *out)
{
    text_trim(&text, &length);
    const char *end = text + length;
    *out = (struct number){.negative = length > 0 && *text == '-'};
    if (length > 0 && (*text == '-' || *text == '+'))
        text++;
    out->whole = text;
    while (text < end && is_digit(*text))
        text++;
    out->whole_length = (size_t)(text - out->whole);
    out->fraction = text;
    if (text < end && *text == '.') {
        out->fraction = ++text;
        while (text < end && is_digit(*text))
            text++;
        out->fraction_length = (size_t)(text - out->fraction);
    }
    if (out->whole_length + out->fraction_length == 0)
        return false;
    if (text == end)
        return true;
    if (*text != 'e' && *text != 'E')
        return false;
    bool down = ++text < end && *text == '-';
    if (text < end && (*text == '-' || *text == '+'))
        text++;
    if (text == end)
        return false;
    for (; text < end && is_digit(*text); text++)
        if (out->exponent < INT32_MAX)
            out->exponent = out->exponent * 10 + (*text - '0');
    out->exponent = down ? -out->exponent : out->exponent;
    return text == end;
}

static int number_digit(const struct number *number, size_t index)
{
    if (index < number->whole_length)
        return number->whole[index] - '0';
    return number->fraction[index - number->whole_length] - '0';
}

enum number_fit number_to_scaled(const struct number *number, uint32_t scale, wide_integer *out)
{
    size_t count = number->whole_length + number->fraction_length;
    /* Digits before this position count in full, the one there decides the rounding. */
    int64_t kept = (int64_t)number->whole_length + number->exponent + scale;
    wide_integer bound = decimal_power(DECIMAL_PRECISION_MAX), value = 0;
    size_t index = 0;
    for (; index < count && (int64_t)index < kept; index++) {
        if (value >= bound / 10)
            return NUMBER_OVERFLOW;
        value = value * 10 + number_digit(number, index);
    }
    for (int64_t zeros = kept - (int64_t)count; zeros > 0 && value != 0; zeros--) {
        if (value >= bound / 10)
            return NUMBER_OVERFLOW;
        value *= 10;
    }
    enum number_fit fit = NUMBER_EXACT;
    if (kept >= 0 && index < count && number_digit(number, index) >= 5)
        value++;
    for (; index < count && fit == NUMBER_EXACT; index++)
        if (number_digit(number, index) != 0)
            fit = NUMBER_ROUNDED;
    if (value >= bound)
        return NUMBER_OVERFLOW;
    *out = number->negative ? -value : value;
    return fit;
}

size_t decimal_to_text(wide_integer unscaled, uint32_t scale, char *buffer)
{
    char digits[48];
    size_t count = 0, length = 0;
    wide_unsigned rest = unscaled < 0 ? -(wide_unsigned)unscaled : (wide_unsigned)unscaled;
    while (rest > 0 || count <= scale) {
        digits[count++] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    }
    if (unscaled < 0)
        buffer[length++] = '-';
    while (count > 0) {
        if (count == scale)
            buffer[length++] = '.';
        buffer[length++] = digits[--count];
    }
    return length;
}

/* --- floats --- */

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void c_locale_make(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* Copies trimmed text so that it ends in a zero, and refuses what strtod would take beyond
 * PostgreSQL's syntax. Gives NULL where it is no float, `*memory` false where memory is out. */
static const char *float_text(const char *text, size_t length, struct arena *arena, char *buffer,
                              size_t capacity, bool *memory)
{
    *memory = true;
    text_trim(&text, &length);
    if (length == 0 || memchr(text, '\0', length) != NULL || memchr(text, '(', length) != NULL)
        return NULL;
    pthread_once(&c_locale_once, c_locale_make);
    if (length >= capacity) {
        char *copy = arena_copy_text(arena, text, length);
        *memory = copy != NULL;
        return copy;
    }
    memcpy(buffer, text, length);
    buffer[length] = '\0';
    return buffer;
}

static omen_status float_out_of_range(omen_type_id type, const char *text, size_t length,
                                      omen_error *error)
{
    return error_set(error, OMEN_OUT_OF_RANGE, "\"%.*s\" is out of range for type %s",
                     (int)(length < 100 ? length : 100), text, type_name_of(type));
}

omen_status double_from_text(const char *text, size_t length, struct arena *arena, double *out,
                             omen_error *error)
{
    char buffer[64];
    bool memory;
    const char *copy = float_text(text, length, arena, buffer, sizeof buffer, &memory);
    if (!memory)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (copy == NULL)
        return text_invalid(OMEN_TYPE_DOUBLE, text, length, error);
    char *end;
    errno = 0;
    double value = strtod_l(copy, &end, c_locale);
    if (end == copy || *end != '\0')
        return text_invalid(OMEN_TYPE_DOUBLE, text, length, error);
    if (errno == ERANGE && (value == 0 || isinf(value)))
        return float_out_of_range(OMEN_TYPE_DOUBLE, text, length, error);
    *out = value;
    return OMEN_OK;
}

omen_status float_from_text(const char *text, size_t length, struct arena *arena, float *out,
                            omen_error *error)
{
    char buffer[64];
    bool memory;
    const char *copy = float_text(text, length, arena, buffer, sizeof buffer, &memory);
    if (!memory)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (copy == NULL)
        return text_invalid(OMEN_TYPE_REAL, text, length, error);
    char *end;
    errno = 0;
    float value = strtof_l(copy, &end, c_locale);
    if (end == copy || *end != '\0')
        return text_invalid(OMEN_TYPE_REAL, text, length, error);
    if (errno == ERANGE && (value == 0 || isinf(value)))
        return float_out_of_range(OMEN_TYPE_REAL, text, length, error);
    *out = value;
    return OMEN_OK;
}

/* The digits and the exponent in the output of %e, whatever its decimal point looks like. */
static size_t read_digits(const char *text, char *digits, int *exponent)
{
    size_t count = 0;
    for (; *text != 'e'; text++)
        if (is_digit(*text))
            digits[count++] = *text;
    *exponent = atoi(text + 1);
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

/* Lays digits out: d.ddde+xx, 0.000ddd or ddd.ddd. */
static size_t layout_float(bool negative, const char *digits, size_t count, int exponent,
                           int plain_exponent_max, char *buffer)
{
    size_t length = 0;
    if (negative)
        buffer[length++] = '-';
    if (exponent < -4 || exponent >= plain_exponent_max) {
        buffer[length++] = digits[0];
        if (count > 1)
            buffer[length++] = '.';
        for (size_t i = 1; i < count; i++)
            buffer[length++] = digits[i];
        return length + (size_t)snprintf(buffer + length, 8, "e%c%02d", exponent < 0 ? '-' : '+',
                                         abs(exponent));
    }
    if (exponent < 0) {
        buffer[length++] = '0';
        buffer[length++] = '.';
        for (int zeros = -exponent - 1; zeros > 0; zeros--)
            buffer[length++] = '0';
    }
    for (int i = 0; i < (int)count || i <= exponent; i++) {
        if (exponent >= 0 && i == exponent + 1)
            buffer[length++] = '.';
        buffer[length++] = i < (int)count ? digits[i] : '0';
    }
    return length;
}

static size_t special_to_text(double value, char *buffer)
{
    const char *text = isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
    size_t length = strlen(text);
    memcpy(buffer, text, length);
    return length;
}

/* Whether a text in %e's form says exactly this number. */
static bool says_exactly(const char *text, long double number)
{
    char exact[64], digits[48], exact_digits[48];
    int exponent, exact_exponent;
    /* Forty digits: more than any text of a float has, and none of the others' are zeros. */
    snprintf(exact, sizeof exact, "%.40Le", number);
    size_t count = read_digits(text, digits, &exponent);
    return count == read_digits(exact, exact_digits, &exact_exponent) &&
           exponent == exact_exponent && memcmp(digits, exact_digits, count) == 0;
}

/* Whether a text is nearer to the value than to its neighbours. One halfway between may read back
 * too, but PostgreSQL trusts no reader with that and prints another digit. */
static bool double_reads_back(const char *text, double value)
{
    if (strtod(text, NULL) != value)
        return false;
#if LDBL_MANT_DIG > DBL_MANT_DIG
    long double read = strtold(text, NULL), here = value;
    long double middle = (here + nextafter(value, read > here ? INFINITY : -INFINITY)) / 2;
    return read != middle || !says_exactly(text, middle);
#else
    return true;
#endif
}

static bool float_reads_back(const char *text, float value)
{
    if (strtof(text, NULL) != value)
        return false;
    double read = strtod(text, NULL), here = (double)value;
    double middle = (here + (double)nextafterf(value, read > here ? INFINITY : -INFINITY)) / 2;
    return read != middle || !says_exactly(text, middle);
}

size_t double_to_text(double value, char *buffer)
{
    if (!isfinite(value))
        return special_to_text(value, buffer);
    char text[48], digits[24];
    int exponent;
    /* Fifteen digits always read back, but a subnormal may need fewer. */
    int precision = fabs(value) < DBL_MIN ? 1 : 15;
    do
        snprintf(text, sizeof text, "%.*e", precision - 1, value);
    while (precision++ < 17 && !double_reads_back(text, value));
    size_t count = read_digits(text, digits, &exponent);
    return layout_float(signbit(value), digits, count, exponent, 15, buffer);
}

size_t float_to_text(float value, char *buffer)
{
    if (!isfinite(value))
        return special_to_text((double)value, buffer);
    char text[48], digits[24];
    int exponent;
    int precision = fabsf(value) < FLT_MIN ? 1 : 6;
    do
        snprintf(text, sizeof text, "%.*e", precision - 1, (double)value);
    while (precision++ < 9 && !float_reads_back(text, value));
    size_t count = read_digits(text, digits, &exponent);
    return layout_float(signbit(value), digits, count, exponent, 6, buffer);
}

size_t float_to_text_digits(double value, int precision, char *buffer)
{
    char text[48], digits[24];
    int exponent;
    snprintf(text, sizeof text, "%.*e", precision - 1, value);
    size_t count = read_digits(text, digits, &exponent);
    return layout_float(signbit(value), digits, count, exponent, 15, buffer);
}
