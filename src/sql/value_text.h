/* value_text.h - text to value and back, for every column type, in PostgreSQL's formats.
 *
 * The only place that does it: INSERT, COPY, casts, EXPLAIN, the shell and the engine's casts all
 * come here. Dates and times are ISO 8601 as PostgreSQL prints them; the session's zone is UTC.
 * Pure functions: thread-safe, and independent of the process's locale.
 */
#ifndef OMEN_SQL_VALUE_TEXT_H
#define OMEN_SQL_VALUE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"
#include "column/decimal.h"
#include "omendb_types.h"

/* Reads `length` bytes as a value of `type`, as an assignment to a column of that type would:
 * decimals are rounded to their scale, VARCHAR(n) loses only blanks beyond n, CHAR(n) is padded.
 * Text is borrowed from the input where it need not change, else placed in `arena`.
 * Errors: INVALID_TEXT, OUT_OF_RANGE, INVALID_DATETIME, DATETIME_OVERFLOW, INVALID_ENCODING
 * (also for a zero byte in text), STRING_TOO_LONG, NOT_SUPPORTED for forms that PostgreSQL takes
 * and this does not (named time zones, 'today', infinity), OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status value_from_text(omen_type type, const char *text, size_t length,
                                            struct arena *arena, omen_value *out,
                                            omen_error *error);

/* Writes a value as PostgreSQL prints it: see omen_value_to_text. */
OMEN_MUST_CHECK omen_status value_to_text(const omen_value *value, char *buffer, size_t capacity,
                                          size_t *length);

/* As value_to_text into `arena`. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status value_to_text_arena(const omen_value *value, struct arena *arena,
                                                const char **text, size_t *length);

/* Makes text fit VARCHAR(n) or CHAR(n): pads CHAR, and cuts what is too long (blanks only, or
 * anything where `cut`, as an explicit cast does). Sets the value's type. The text is valid UTF-8.
 * Errors: STRING_TOO_LONG, OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status value_fit_length(omen_type type, bool cut, struct arena *arena,
                                             omen_value *value, omen_error *error);

/* A type's name as PostgreSQL writes it in messages: "integer", "character varying". Static. */
const char *type_name_of(omen_type_id type);

/* --- exact numbers, as digits --- */

/* A decimal number in text, not yet bound to any type: whole and fraction point into the text. */
struct number {
    bool negative;
    const char *whole, *fraction;
    size_t whole_length, fraction_length;
    int64_t exponent;
};

/* Reads [+-]digits[.digits][e[+-]digits] with blanks around. False where it is none. */
bool number_scan(const char *text, size_t length, struct number *out);

enum number_fit { NUMBER_EXACT, NUMBER_ROUNDED, NUMBER_OVERFLOW };

/* The number times ten to the `scale`, rounded half away from zero; OVERFLOW beyond 38 digits. */
enum number_fit number_to_scaled(const struct number *number, uint32_t scale, wide_integer *out);

/* --- shared by the files of this module --- */

/* Cuts PostgreSQL's white space off both ends. */
void text_trim(const char **text, size_t *length);

/* `invalid input syntax for type ...: "..."`. */
omen_status text_invalid(omen_type_id type, const char *text, size_t length, omen_error *error);

enum {
    DATE_TEXT_BYTES_MAX = 32,
    TIMESTAMP_TEXT_BYTES_MAX = 48,
    DECIMAL_TEXT_BYTES_MAX = 48,
    INTERVAL_TEXT_BYTES_MAX = 96,
    FLOAT_TEXT_BYTES_MAX = 32,
};

/* Writers give the length; the buffer has room for the type's maximum above. */
size_t date_to_text(int32_t days, char *buffer);
size_t timestamp_to_text(int64_t microseconds, bool zone, char *buffer);
size_t decimal_to_text(wide_integer unscaled, uint32_t scale, char *buffer);
size_t float_to_text(float value, char *buffer);
size_t double_to_text(double value, char *buffer);
/* A finite number with that many significant digits at most, as casts to NUMERIC take it. */
size_t float_to_text_digits(double value, int digits, char *buffer);

/* As PostgreSQL's interval_in and interval_out, style "postgres". Errors: INVALID_DATETIME,
 * INTERVAL_OVERFLOW. */
struct interval;
OMEN_MUST_CHECK omen_status interval_from_text(const char *text, size_t length,
                                               struct interval *out, omen_error *error);
size_t interval_to_text(const struct interval *interval, char *buffer);

OMEN_MUST_CHECK omen_status date_from_text(const char *text, size_t length, int32_t *days,
                                           omen_error *error);
OMEN_MUST_CHECK omen_status timestamp_from_text(omen_type_id type, const char *text, size_t length,
                                                int64_t *microseconds, omen_error *error);
/* REAL and DOUBLE; `arena` holds a copy of very long texts. */
OMEN_MUST_CHECK omen_status double_from_text(const char *text, size_t length, struct arena *arena,
                                             double *out, omen_error *error);
OMEN_MUST_CHECK omen_status float_from_text(const char *text, size_t length, struct arena *arena,
                                            float *out, omen_error *error);

#endif
