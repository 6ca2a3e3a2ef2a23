/* function_text.c - functions that measure, cut and rebuild text.
 *
 * Text is valid UTF-8; positions count characters from 1. Letters have two cases in ASCII only: the
 * database's collation is C.
 */
#include "sql/function_text.h"

#include "column/utf8.h"

static uint64_t count_of(omen_bytes text)
{
    return utf8_character_count(text.data, text.length);
}

/* --- lengths --- */

omen_status text_length(FUNCTION_PARAMETERS)
{
    return give_integer(context, (int64_t)count_of(arguments[0].as.bytes), out, error);
}

omen_status bytes_length(FUNCTION_PARAMETERS)
{
    return give_integer(context, (int64_t)arguments[0].as.bytes.length, out, error);
}

omen_status bytes_length_bits(FUNCTION_PARAMETERS)
{
    return give_integer(context, (int64_t)arguments[0].as.bytes.length * 8, out, error);
}

/* --- case --- */

static bool is_upper(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(uint8_t c)
{
    return c >= 'a' && c <= 'z';
}

static uint8_t to_lower(uint8_t c)
{
    return is_upper(c) ? (uint8_t)(c + 32) : c;
}

static uint8_t to_upper(uint8_t c)
{
    return is_lower(c) ? (uint8_t)(c - 32) : c;
}

omen_status text_lower(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes;
    uint8_t *result;
    OMEN_TRY(text_reserve(context, text.length, &result, error));
    for (size_t i = 0; i < text.length; i++)
        result[i] = to_lower(text.data[i]);
    return give_bytes(context, result, text.length, out);
}

omen_status text_upper(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes;
    uint8_t *result;
    OMEN_TRY(text_reserve(context, text.length, &result, error));
    for (size_t i = 0; i < text.length; i++)
        result[i] = to_upper(text.data[i]);
    return give_bytes(context, result, text.length, out);
}

/* Words are runs of ASCII letters and digits. */
omen_status text_capitalise(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes;
    uint8_t *result;
    bool in_word = false;
    OMEN_TRY(text_reserve(context, text.length, &result, error));
    for (size_t i = 0; i < text.length; i++) {
        uint8_t c = text.data[i];
        result[i] = in_word ? to_lower(c) : to_upper(c);
        in_word = is_upper(c) || is_lower(c) || (c >= '0' && c <= '9');
    }
    return give_bytes(context, result, text.length, out);
}

/* --- joining --- */

omen_status bytes_concatenate(FUNCTION_PARAMETERS)
{
    omen_bytes left = arguments[0].as.bytes, right = arguments[1].as.bytes;
    uint8_t *result, *at;
    OMEN_TRY(text_reserve(context, (uint64_t)left.length + right.length, &result, error));
    at = result;
    text_append(&at, left.data, left.length);
    text_append(&at, right.data, right.length);
    return give_bytes(context, result, left.length + right.length, out);
}

/* `||` of text and anything: the other side is cast to text. */
omen_status text_concatenate_any(FUNCTION_PARAMETERS)
{
    struct call_context text = {.arena = context->arena, .result = {.id = OMEN_TYPE_TEXT}};
    omen_value sides[2];
    OMEN_TRY(function_cast(true, &text, &arguments[0], &sides[0], error));
    OMEN_TRY(function_cast(true, &text, &arguments[1], &sides[1], error));
    return bytes_concatenate(context, sides, out, error);
}

omen_status text_repeat(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes;
    uint64_t count = arguments[1].as.i32 > 0 ? (uint64_t)arguments[1].as.i32 : 0;
    uint8_t *result, *at;
    OMEN_TRY(text_reserve(context, text.length * count, &result, error));
    at = result;
    for (uint64_t i = 0; i < count && text.length > 0; i++)
        text_append(&at, text.data, text.length);
    return give_bytes(context, result, text.length * count, out);
}

/* lpad (`before`) and rpad: exactly `arguments[1]` characters, filled with the third argument. */
static omen_status pad(const struct call_context *context, const omen_value *arguments, bool before,
                       omen_value *out, omen_error *error)
{
    omen_bytes text = arguments[0].as.bytes, fill = {(const uint8_t *)" ", 1};
    if (context->argument_count == 3)
        fill = arguments[2].as.bytes;
    uint64_t wanted = arguments[1].as.i32 > 0 ? (uint64_t)arguments[1].as.i32 : 0;
    uint64_t present = count_of(text);
    if (present >= wanted || fill.length == 0)
        return give_bytes(context, text.data, prefix_bytes(text, wanted), out);
    uint64_t missing = wanted - present, fill_count = count_of(fill);
    size_t rest = prefix_bytes(fill, missing % fill_count);
    uint64_t padding = missing / fill_count * fill.length + rest;
    uint8_t *result, *at;
    OMEN_TRY(text_reserve(context, text.length + padding, &result, error));
    at = result;
    if (!before)
        text_append(&at, text.data, text.length);
    for (uint64_t i = 0; i < missing / fill_count; i++)
        text_append(&at, fill.data, fill.length);
    text_append(&at, fill.data, rest);
    if (before)
        text_append(&at, text.data, text.length);
    return give_bytes(context, result, text.length + padding, out);
}

omen_status text_pad_left(FUNCTION_PARAMETERS)
{
    return pad(context, arguments, true, out, error);
}

omen_status text_pad_right(FUNCTION_PARAMETERS)
{
    return pad(context, arguments, false, out, error);
}

/* --- cutting --- */

static bool is_one_of(const uint8_t *character, size_t length, omen_bytes set)
{
    for (size_t at = 0; at < set.length; at += character_bytes(set.data[at]))
        if (character_bytes(set.data[at]) == length &&
            memcmp(set.data + at, character, length) == 0)
            return true;
    return false;
}

static omen_status trim(const struct call_context *context, const omen_value *arguments, bool left,
                        bool right, omen_value *out)
{
    omen_bytes text = arguments[0].as.bytes, set = {(const uint8_t *)" ", 1};
    if (context->argument_count == 2)
        set = arguments[1].as.bytes;
    while (left && text.length > 0) {
        size_t length = character_bytes(text.data[0]);
        if (!is_one_of(text.data, length, set))
            break;
        text.data += length;
        text.length -= length;
    }
    while (right && text.length > 0) {
        size_t length = 1;
        while (length < text.length && (text.data[text.length - length] & 0xC0) == 0x80)
            length++;
        if (!is_one_of(text.data + text.length - length, length, set))
            break;
        text.length -= length;
    }
    return give_bytes(context, text.data, text.length, out);
}

omen_status text_trim_both(FUNCTION_PARAMETERS)
{
    (void)error;
    return trim(context, arguments, true, true, out);
}

omen_status text_trim_left(FUNCTION_PARAMETERS)
{
    (void)error;
    return trim(context, arguments, true, false, out);
}

omen_status text_trim_right(FUNCTION_PARAMETERS)
{
    (void)error;
    return trim(context, arguments, false, true, out);
}

/* The positions [*start, *end) that substring(x, from, for) means, both at least 1. */
static omen_status read_range(const struct call_context *context, const omen_value *arguments,
                              int64_t *start, int64_t *end, omen_error *error)
{
    *start = arguments[1].as.i32;
    *end = INT64_MAX;
    if (context->argument_count == 3) {
        if (arguments[2].as.i32 < 0)
            return error_set(error, OMEN_SUBSTRING_ERROR, "negative substring length not allowed");
        *end = *start + arguments[2].as.i32;
    }
    *start = *start < 1 ? 1 : *start;
    *end = *end < *start ? *start : *end;
    return OMEN_OK;
}

omen_status text_substring(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes;
    int64_t start, end;
    OMEN_TRY(read_range(context, arguments, &start, &end, error));
    size_t before = prefix_bytes(text, (uint64_t)start - 1);
    omen_bytes rest = {text.data + before, text.length - before};
    return give_bytes(context, rest.data, prefix_bytes(rest, (uint64_t)(end - start)), out);
}

omen_status bytes_substring(FUNCTION_PARAMETERS)
{
    omen_bytes bytes = arguments[0].as.bytes;
    int64_t start, end;
    OMEN_TRY(read_range(context, arguments, &start, &end, error));
    size_t before = (uint64_t)start - 1 < bytes.length ? (size_t)(start - 1) : bytes.length;
    size_t rest = bytes.length - before;
    return give_bytes(context, bytes.data + before,
                      (uint64_t)(end - start) < rest ? (size_t)(end - start) : rest, out);
}

/* How many characters left() keeps or right() drops: n, or all but -n. */
static uint64_t kept(omen_bytes text, int64_t n)
{
    int64_t count = (int64_t)count_of(text);
    int64_t number = n >= 0 ? n : count + n;
    return (uint64_t)(number < 0 ? 0 : number > count ? count : number);
}

omen_status text_left(FUNCTION_PARAMETERS)
{
    (void)error;
    omen_bytes text = arguments[0].as.bytes;
    return give_bytes(context, text.data, prefix_bytes(text, kept(text, arguments[1].as.i32)), out);
}

omen_status text_right(FUNCTION_PARAMETERS)
{
    (void)error;
    omen_bytes text = arguments[0].as.bytes;
    size_t before = prefix_bytes(text, count_of(text) - kept(text, arguments[1].as.i32));
    /* PostgreSQL negates the smallest integer to itself. */
    if (arguments[1].as.i32 == INT32_MIN)
        before = 0;
    return give_bytes(context, text.data + before, text.length - before, out);
}

/* overlay(text placing other from n [for m]) */
omen_status text_overlay(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes, other = arguments[1].as.bytes;
    int64_t start = arguments[2].as.i32;
    int64_t length = context->argument_count == 4 ? arguments[3].as.i32 : (int64_t)count_of(other);
    if (start <= 0)
        return error_set(error, OMEN_SUBSTRING_ERROR, "negative substring length not allowed");
    if (start + length > INT32_MAX)
        return error_set(error, OMEN_OUT_OF_RANGE, "integer out of range");
    size_t before = prefix_bytes(text, (uint64_t)start - 1);
    int64_t behind = start + length < 1 ? 1 : start + length;
    size_t after = prefix_bytes(text, (uint64_t)behind - 1);
    uint64_t bytes = (uint64_t)before + other.length + (text.length - after);
    uint8_t *result, *at;
    OMEN_TRY(text_reserve(context, bytes, &result, error));
    at = result;
    text_append(&at, text.data, before);
    text_append(&at, other.data, other.length);
    text_append(&at, text.data + after, text.length - after);
    return give_bytes(context, result, bytes, out);
}

omen_status text_reverse(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes;
    uint8_t *result;
    OMEN_TRY(text_reserve(context, text.length, &result, error));
    for (size_t at = 0; at < text.length;) {
        size_t length = character_bytes(text.data[at]);
        memcpy(result + text.length - at - length, text.data + at, length);
        at += length;
    }
    return give_bytes(context, result, text.length, out);
}
