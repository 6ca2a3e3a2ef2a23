/* value_text.c - text to value and back: the types that are not numbers or dates, and dispatch. */
#include "sql/value_text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "column/utf8.h"
#include "sql/semantics.h"

enum { SHOWN_BYTES_MAX = 100 };

const char *type_name_of(omen_type_id type)
{
    if ((int)type == SQL_TYPE_INTERVAL)
        return "interval";
    switch (type) {
    case OMEN_TYPE_NONE:
        return "unknown";
    case OMEN_TYPE_BOOLEAN:
        return "boolean";
    case OMEN_TYPE_SMALLINT:
        return "smallint";
    case OMEN_TYPE_INTEGER:
        return "integer";
    case OMEN_TYPE_BIGINT:
        return "bigint";
    case OMEN_TYPE_REAL:
        return "real";
    case OMEN_TYPE_DOUBLE:
        return "double precision";
    case OMEN_TYPE_DECIMAL:
        return "numeric";
    case OMEN_TYPE_TEXT:
        return "text";
    case OMEN_TYPE_VARCHAR:
        return "character varying";
    case OMEN_TYPE_CHAR:
        return "character";
    case OMEN_TYPE_BYTEA:
        return "bytea";
    case OMEN_TYPE_DATE:
        return "date";
    case OMEN_TYPE_TIMESTAMP:
        return "timestamp";
    case OMEN_TYPE_TIMESTAMPTZ:
        return "timestamp with time zone";
    case OMEN_TYPE_UUID:
        return "uuid";
    }
    return "unknown";
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void text_trim(const char **text, size_t *length)
{
    while (*length > 0 && is_space((*text)[*length - 1]))
        --*length;
    while (*length > 0 && is_space(**text))
        ++*text, --*length;
}

/* How much of a text a message shows: a prefix of whole characters, for valid UTF-8. */
static int shown_bytes(const char *text, size_t length)
{
    size_t shown = length < SHOWN_BYTES_MAX ? length : SHOWN_BYTES_MAX;
    while (shown > 0 && shown < length && ((unsigned char)text[shown] & 0xC0) == 0x80)
        shown--;
    return (int)shown;
}

omen_status text_invalid(omen_type_id type, const char *text, size_t length, omen_error *error)
{
    if (!utf8_is_valid((const uint8_t *)text, length))
        return error_set(error, OMEN_INVALID_ENCODING,
                         "invalid byte sequence for encoding \"UTF8\"");
    return error_set(error, OMEN_INVALID_TEXT, "invalid input syntax for type %s: \"%.*s\"",
                     type_name_of(type), shown_bytes(text, length), text);
}

/* --- integers --- */

static omen_status integer_out_of_range(omen_type_id type, const char *text, size_t length,
                                        omen_error *error)
{
    return error_set(error, OMEN_OUT_OF_RANGE, "value \"%.*s\" is out of range for type %s",
                     shown_bytes(text, length), text, type_name_of(type));
}

static omen_status integer_from_text(omen_type_id type, const char *text, size_t length,
                                     int64_t min, int64_t max, int64_t *out, omen_error *error)
{
    const char *at = text, *end;
    size_t rest = length;
    text_trim(&at, &rest);
    end = at + rest;
    bool negative = rest > 0 && *at == '-', overflow = false;
    if (rest > 0 && (*at == '-' || *at == '+'))
        at++;
    if (at == end)
        return text_invalid(type, text, length, error);
    int64_t value = 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return text_invalid(type, text, length, error);
        int digit = *at - '0';
        /* Negative throughout, because the smallest integer has no positive twin. */
        overflow = overflow || __builtin_mul_overflow(value, 10, &value) ||
                   __builtin_sub_overflow(value, digit, &value);
    }
    if (!negative)
        overflow = overflow || __builtin_sub_overflow((int64_t)0, value, &value);
    if (overflow || value < min || value > max)
        return integer_out_of_range(type, text, length, error);
    *out = value;
    return OMEN_OK;
}

static omen_status decimal_from_text(omen_type type, const char *text, size_t length,
                                     omen_decimal *out, omen_error *error)
{
    struct number number;
    wide_integer unscaled;
    if (!number_scan(text, length, &number)) {
        const char *word = text;
        size_t word_length = length;
        text_trim(&word, &word_length);
        if ((word_length == 3 && strncasecmp(word, "nan", 3) == 0) ||
            (word_length >= 8 && strncasecmp(word + word_length - 8, "infinity", 8) == 0))
            return error_set(error, OMEN_NOT_SUPPORTED, "numeric \"%.*s\" is not supported",
                             (int)word_length, word);
        return text_invalid(type.id, text, length, error);
    }
    if (number_to_scaled(&number, (uint32_t)type.scale, &unscaled) == NUMBER_OVERFLOW ||
        !decimal_fits(unscaled, type.precision))
        return error_set(error, OMEN_OUT_OF_RANGE,
                         "numeric field overflow: a field with precision %d, scale %d cannot "
                         "hold %.*s",
                         type.precision, type.scale, shown_bytes(text, length), text);
    *out = decimal_from_integer(unscaled);
    return OMEN_OK;
}

/* --- boolean --- */

/* Any unambiguous beginning of true, false, yes, no, on, off; 1 and 0. */
static omen_status boolean_from_text(const char *text, size_t length, bool *out, omen_error *error)
{
    static const struct {
        const char *word;
        size_t length_min;
        bool value;
    } forms[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
                 {"on", 2, true},   {"off", 2, false},   {"1", 1, true},   {"0", 1, false}};
    const char *word = text;
    size_t word_length = length;
    text_trim(&word, &word_length);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (word_length < forms[i].length_min || word_length > strlen(forms[i].word) ||
            strncasecmp(word, forms[i].word, word_length) != 0)
            continue;
        *out = forms[i].value;
        return OMEN_OK;
    }
    return text_invalid(OMEN_TYPE_BOOLEAN, text, length, error);
}

/* --- bytes --- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static omen_status hex_invalid(const char *digit, const char *end, omen_error *error)
{
    size_t length = 1;
    while (digit + length < end && ((unsigned char)digit[length] & 0xC0) == 0x80)
        length++;
    if (!utf8_is_valid((const uint8_t *)digit, length))
        return text_invalid(OMEN_TYPE_BYTEA, digit, length, error);
    return error_set(error, OMEN_INVALID_ARGUMENT, "invalid hexadecimal digit: \"%.*s\"",
                     (int)length, digit);
}

/* \xDEADBEEF, with blanks between the pairs. */
static omen_status bytea_from_hex(const char *text, size_t length, uint8_t *bytes, size_t *count,
                                  omen_error *error)
{
    const char *end = text + length;
    for (size_t i = 2; i < length; i++) {
        if (is_space(text[i]))
            continue;
        int high = hex_digit(text[i]);
        if (high < 0)
            return hex_invalid(text + i, end, error);
        if (++i == length)
            return error_set(error, OMEN_INVALID_ARGUMENT,
                             "invalid hexadecimal data: odd number of digits");
        int low = hex_digit(text[i]);
        if (low < 0)
            return hex_invalid(text + i, end, error);
        bytes[(*count)++] = (uint8_t)(high << 4 | low);
    }
    return OMEN_OK;
}

/* Plain characters, \\ for a backslash and \ooo for any byte. */
static omen_status bytea_from_escapes(const char *text, size_t length, uint8_t *bytes,
                                      size_t *count, omen_error *error)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '\\') {
            bytes[(*count)++] = (uint8_t)text[i];
        } else if (i + 1 < length && text[i + 1] == '\\') {
            bytes[(*count)++] = '\\';
            i++;
        } else if (i + 3 < length && text[i + 1] >= '0' && text[i + 1] <= '3' &&
                   text[i + 2] >= '0' && text[i + 2] <= '7' && text[i + 3] >= '0' &&
                   text[i + 3] <= '7') {
            bytes[(*count)++] = (uint8_t)((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 |
                                          (text[i + 3] - '0'));
            i += 3;
        } else {
            return text_invalid(OMEN_TYPE_BYTEA, text, length, error);
        }
    }
    return OMEN_OK;
}

static omen_status bytea_from_text(const char *text, size_t length, struct arena *arena,
                                   omen_bytes *out, omen_error *error)
{
    uint8_t *bytes = arena_alloc(arena, length);
    size_t count = 0;
    if (bytes == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (length >= 2 && text[0] == '\\' && text[1] == 'x')
        OMEN_TRY(bytea_from_hex(text, length, bytes, &count, error));
    else
        OMEN_TRY(bytea_from_escapes(text, length, bytes, &count, error));
    *out = (omen_bytes){.data = bytes, .length = count};
    return OMEN_OK;
}

/* 32 hexadecimal digits; a hyphen may follow each fourth, braces may surround all. */
static omen_status uuid_from_text(const char *text, size_t length, uint8_t *uuid, omen_error *error)
{
    const char *at = text, *end = text + length;
    bool braces = length > 2 && *at == '{' && end[-1] == '}';
    if (braces)
        at++, end--;
    for (int byte = 0; byte < 16; byte++) {
        int high = at < end ? hex_digit(*at++) : -1;
        int low = at < end ? hex_digit(*at++) : -1;
        if (high < 0 || low < 0)
            return text_invalid(OMEN_TYPE_UUID, text, length, error);
        uuid[byte] = (uint8_t)(high << 4 | low);
        if (byte % 2 == 1 && byte < 15 && at < end && *at == '-')
            at++;
    }
    return at == end ? OMEN_OK : text_invalid(OMEN_TYPE_UUID, text, length, error);
}

/* --- text --- */

omen_status value_fit_length(omen_type type, bool cut, struct arena *arena, omen_value *value,
                             omen_error *error)
{
    omen_bytes *bytes = &value->as.bytes;
    value->type = type;
    if (value->is_null || type.length_max == 0 ||
        (type.id != OMEN_TYPE_VARCHAR && type.id != OMEN_TYPE_CHAR))
        return OMEN_OK;
    size_t characters = utf8_character_count(bytes->data, bytes->length);
    while (characters > type.length_max) {
        if (!cut && bytes->data[bytes->length - 1] != ' ')
            return error_set(error, OMEN_STRING_TOO_LONG, "value too long for type %s(%u)",
                             type_name_of(type.id), type.length_max);
        do
            bytes->length--;
        while ((bytes->data[bytes->length] & 0xC0) == 0x80);
        characters--;
    }
    if (type.id == OMEN_TYPE_VARCHAR || characters == type.length_max)
        return OMEN_OK;
    size_t padding = type.length_max - characters;
    uint8_t *padded = arena_alloc(arena, bytes->length + padding);
    if (padded == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (bytes->length > 0)
        memcpy(padded, bytes->data, bytes->length);
    memset(padded + bytes->length, ' ', padding);
    *bytes = (omen_bytes){.data = padded, .length = bytes->length + padding};
    return OMEN_OK;
}

static omen_status text_from_text(omen_type type, const char *text, size_t length,
                                  struct arena *arena, omen_value *out, omen_error *error)
{
    if ((length > 0 && memchr(text, '\0', length) != NULL) ||
        !utf8_is_valid((const uint8_t *)text, length))
        return error_set(error, OMEN_INVALID_ENCODING,
                         "invalid byte sequence for encoding \"UTF8\"");
    out->as.bytes = (omen_bytes){.data = (const uint8_t *)text, .length = length};
    return value_fit_length(type, false, arena, out, error);
}

/* --- dispatch --- */

omen_status value_from_text(omen_type type, const char *text, size_t length, struct arena *arena,
                            omen_value *out, omen_error *error)
{
    int64_t integer = 0;
    omen_status status;
    memset(out, 0, sizeof *out);
    out->type = type;
    if ((int)type.id == SQL_TYPE_INTERVAL) {
        struct interval interval = {0};
        status = interval_from_text(text, length, &interval, error);
        memcpy(out->as.uuid, &interval, sizeof interval);
        return status;
    }
    switch (type.id) {
    case OMEN_TYPE_BOOLEAN:
        return boolean_from_text(text, length, &out->as.boolean, error);
    case OMEN_TYPE_SMALLINT:
        status = integer_from_text(type.id, text, length, INT16_MIN, INT16_MAX, &integer, error);
        out->as.i16 = (int16_t)integer;
        return status;
    case OMEN_TYPE_INTEGER:
        status = integer_from_text(type.id, text, length, INT32_MIN, INT32_MAX, &integer, error);
        out->as.i32 = (int32_t)integer;
        return status;
    case OMEN_TYPE_BIGINT:
        return integer_from_text(type.id, text, length, INT64_MIN, INT64_MAX, &out->as.i64, error);
    case OMEN_TYPE_REAL:
        return float_from_text(text, length, arena, &out->as.f32, error);
    case OMEN_TYPE_DOUBLE:
        return double_from_text(text, length, arena, &out->as.f64, error);
    case OMEN_TYPE_DECIMAL:
        return decimal_from_text(type, text, length, &out->as.decimal, error);
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR:
        return text_from_text(type, text, length, arena, out, error);
    case OMEN_TYPE_BYTEA:
        return bytea_from_text(text, length, arena, &out->as.bytes, error);
    case OMEN_TYPE_DATE:
        return date_from_text(text, length, &out->as.i32, error);
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        return timestamp_from_text(type.id, text, length, &out->as.i64, error);
    case OMEN_TYPE_UUID:
        return uuid_from_text(text, length, out->as.uuid, error);
    case OMEN_TYPE_NONE:
        break;
    }
    return error_set(error, OMEN_TYPE_MISMATCH, "a value without a type has no text");
}

static size_t hex_write(const uint8_t *bytes, size_t length, char *buffer)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        buffer[2 * i] = digits[bytes[i] >> 4];
        buffer[2 * i + 1] = digits[bytes[i] & 15];
    }
    return 2 * length;
}

static size_t uuid_write(const uint8_t *uuid, char *buffer)
{
    static const size_t parts[] = {4, 2, 2, 2, 6};
    size_t length = 0;
    for (size_t part = 0; part < 5; part++) {
        if (part > 0)
            buffer[length++] = '-';
        length += hex_write(uuid, parts[part], buffer + length);
        uuid += parts[part];
    }
    return length;
}

/* Values of bounded text, into a buffer of VALUE_TEXT_BYTES. */
enum { VALUE_TEXT_BYTES = INTERVAL_TEXT_BYTES_MAX };

/* A value from a caller may carry any scale; more than 38 digits no decimal has. */
static uint32_t decimal_shown_scale(int8_t scale)
{
    return scale < 0 ? 0 : scale > DECIMAL_PRECISION_MAX ? DECIMAL_PRECISION_MAX : (uint32_t)scale;
}

static size_t small_to_text(const omen_value *value, char *buffer)
{
    struct interval interval;
    switch ((int)value->type.id) {
    case SQL_TYPE_INTERVAL:
        memcpy(&interval, value->as.uuid, sizeof interval);
        return interval_to_text(&interval, buffer);
    case OMEN_TYPE_BOOLEAN:
        buffer[0] = value->as.boolean ? 't' : 'f';
        return 1;
    case OMEN_TYPE_SMALLINT:
        return decimal_to_text(value->as.i16, 0, buffer);
    case OMEN_TYPE_INTEGER:
        return decimal_to_text(value->as.i32, 0, buffer);
    case OMEN_TYPE_BIGINT:
        return decimal_to_text(value->as.i64, 0, buffer);
    case OMEN_TYPE_REAL:
        return float_to_text(value->as.f32, buffer);
    case OMEN_TYPE_DOUBLE:
        return double_to_text(value->as.f64, buffer);
    case OMEN_TYPE_DECIMAL:
        return decimal_to_text(decimal_to_integer(value->as.decimal),
                               decimal_shown_scale(value->type.scale), buffer);
    case OMEN_TYPE_DATE:
        return date_to_text(value->as.i32, buffer);
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        return timestamp_to_text(value->as.i64, value->type.id == OMEN_TYPE_TIMESTAMPTZ, buffer);
    case OMEN_TYPE_UUID:
        return uuid_write(value->as.uuid, buffer);
    default:
        return 0;
    }
}

omen_status value_to_text(const omen_value *value, char *buffer, size_t capacity, size_t *length)
{
    char small[VALUE_TEXT_BYTES];
    const char *text = small;
    *length = 0;
    if (value->is_null)
        return OMEN_OK;
    switch (value->type.id) {
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR:
        text = (const char *)value->as.bytes.data;
        *length = value->as.bytes.length;
        break;
    case OMEN_TYPE_BYTEA:
        *length = 2 + 2 * value->as.bytes.length;
        if (*length > capacity)
            return OMEN_LIMIT_EXCEEDED;
        buffer[0] = '\\';
        buffer[1] = 'x';
        hex_write(value->as.bytes.data, value->as.bytes.length, buffer + 2);
        return OMEN_OK;
    default:
        *length = small_to_text(value, small);
    }
    if (*length > capacity)
        return OMEN_LIMIT_EXCEEDED;
    if (*length > 0)
        memcpy(buffer, text, *length);
    return OMEN_OK;
}

omen_status value_to_text_arena(const omen_value *value, struct arena *arena, const char **text,
                                size_t *length)
{
    char small[VALUE_TEXT_BYTES];
    omen_status status = value_to_text(value, small, sizeof small, length);
    if (status != OMEN_OK && status != OMEN_LIMIT_EXCEEDED)
        return status;
    char *buffer = arena_alloc(arena, *length);
    if (buffer == NULL)
        return OMEN_OUT_OF_MEMORY;
    *text = buffer;
    return value_to_text(value, buffer, *length, length);
}
