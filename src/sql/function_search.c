/* function_search.c - finding and replacing in text: positions, parts, LIKE.
 *
 * LIKE walks pattern and text once and goes back only to the latest %: an earlier one need never
 * give up what it took. Source: the argument at the top of PostgreSQL's like_match.c.
 */
#define _GNU_SOURCE
#include "sql/function_text.h"

#include "column/utf8.h"

size_t find_bytes(omen_bytes text, omen_bytes part, size_t from)
{
    if (from > text.length)
        return text.length + 1;
    if (part.length == 0)
        return from;
    const uint8_t *found = memmem(text.data + from, text.length - from, part.data, part.length);
    return found == NULL ? text.length + 1 : (size_t)(found - text.data);
}

omen_status text_position(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes, part = arguments[1].as.bytes;
    size_t at = find_bytes(text, part, 0);
    int64_t position = at > text.length ? 0 : (int64_t)utf8_character_count(text.data, at) + 1;
    return give_integer(context, position, out, error);
}

omen_status text_starts_with(FUNCTION_PARAMETERS)
{
    (void)context, (void)error;
    omen_bytes text = arguments[0].as.bytes, part = arguments[1].as.bytes;
    return give_boolean(part.length <= text.length &&
                            (part.length == 0 || memcmp(text.data, part.data, part.length) == 0),
                        out);
}

omen_status text_replace(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes, from = arguments[1].as.bytes;
    omen_bytes to = arguments[2].as.bytes;
    uint64_t count = 0;
    if (from.length == 0)
        return give_bytes(context, text.data, text.length, out);
    for (size_t at = find_bytes(text, from, 0); at < text.length;
         at = find_bytes(text, from, at + from.length))
        count++;
    if (count == 0)
        return give_bytes(context, text.data, text.length, out);
    uint64_t length = text.length + count * to.length - count * from.length;
    uint8_t *result, *end;
    OMEN_TRY(text_reserve(context, length, &result, error));
    end = result;
    for (size_t at = 0; at < text.length;) {
        size_t next = find_bytes(text, from, at);
        size_t plain = (next < text.length ? next : text.length) - at;
        text_append(&end, text.data + at, plain);
        at += plain;
        if (at < text.length) {
            text_append(&end, to.data, to.length);
            at += from.length;
        }
    }
    return give_bytes(context, result, length, out);
}

/* Each character that `from` has becomes the one at its place in `to`, or goes. */
omen_status text_translate(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes, from = arguments[1].as.bytes;
    omen_bytes to = arguments[2].as.bytes;
    uint8_t *result, *end;
    OMEN_TRY(text_reserve(context, (uint64_t)text.length * 4, &result, error));
    end = result;
    for (size_t at = 0; at < text.length;) {
        size_t length = character_bytes(text.data[at]), place = 0, number = 0;
        while (place < from.length && (character_bytes(from.data[place]) != length ||
                                       memcmp(from.data + place, text.data + at, length) != 0)) {
            place += character_bytes(from.data[place]);
            number++;
        }
        if (place >= from.length) {
            text_append(&end, text.data + at, length);
        } else {
            size_t other = prefix_bytes(to, number);
            if (other < to.length)
                text_append(&end, to.data + other, character_bytes(to.data[other]));
        }
        at += length;
    }
    return give_bytes(context, result, (size_t)(end - result), out);
}

/* The n-th part between separators; from the end where n is negative. */
omen_status text_split_part(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes, separator = arguments[1].as.bytes;
    int64_t number = arguments[2].as.i32;
    if (number == 0)
        return error_set(error, OMEN_INVALID_ARGUMENT, "field position must not be zero");
    if (separator.length == 0 || text.length == 0)
        return give_bytes(context, text.data, number == 1 || number == -1 ? text.length : 0, out);
    if (number < 0) {
        int64_t parts = 1;
        for (size_t at = find_bytes(text, separator, 0); at < text.length;
             at = find_bytes(text, separator, at + separator.length))
            parts++;
        number += parts + 1;
        if (number <= 0)
            return give_bytes(context, text.data, 0, out);
    }
    size_t start = 0;
    for (; number > 1; number--) {
        start = find_bytes(text, separator, start);
        if (start > text.length)
            return give_bytes(context, text.data, 0, out);
        start += separator.length;
    }
    size_t end = find_bytes(text, separator, start);
    return give_bytes(context, text.data + start, (end > text.length ? text.length : end) - start,
                      out);
}

/* --- LIKE --- */

static uint8_t fold(uint8_t c, bool folded)
{
    return folded && c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static omen_status ends_with_escape(omen_error *error)
{
    return error_set(error, OMEN_INVALID_ESCAPE, "LIKE pattern must not end with escape character");
}

/* `folded`: ASCII letters of either case are the same. */
static omen_status match(omen_bytes text, omen_bytes pattern, bool folded, bool *matches,
                         omen_error *error)
{
    size_t at = 0, place = 0, mark = 0, retry = SIZE_MAX;
    *matches = false;
    for (;;) {
        bool more = place < pattern.length;
        if (more && pattern.data[place] == '%') {
            mark = ++place;
            retry = at;
            if (at < text.length && place + 1 == pattern.length && pattern.data[place] == '\\')
                return ends_with_escape(error);
            continue;
        }
        if (at == text.length) {
            *matches = !more;
            return OMEN_OK;
        }
        if (more && pattern.data[place] == '_') {
            at += character_bytes(text.data[at]);
            place++;
            continue;
        }
        if (more && pattern.data[place] == '\\' && ++place == pattern.length)
            return ends_with_escape(error);
        if (more && fold(text.data[at], folded) == fold(pattern.data[place], folded)) {
            at++;
            place++;
            continue;
        }
        if (retry == SIZE_MAX)
            return OMEN_OK;
        retry += character_bytes(text.data[retry]);
        if (retry > text.length)
            return OMEN_OK;
        at = retry;
        place = mark;
    }
}

static omen_status like(const omen_value *arguments, bool folded, bool negated, omen_value *out,
                        omen_error *error)
{
    bool matches;
    OMEN_TRY(match(arguments[0].as.bytes, arguments[1].as.bytes, folded, &matches, error));
    return give_boolean(matches != negated, out);
}

omen_status text_like(FUNCTION_PARAMETERS)
{
    (void)context;
    return like(arguments, false, false, out, error);
}

omen_status text_not_like(FUNCTION_PARAMETERS)
{
    (void)context;
    return like(arguments, false, true, out, error);
}

omen_status text_like_folded(FUNCTION_PARAMETERS)
{
    (void)context;
    return like(arguments, true, false, out, error);
}

omen_status text_not_like_folded(FUNCTION_PARAMETERS)
{
    (void)context;
    return like(arguments, true, true, out, error);
}

/* A pattern with an escape character of its own, as one with backslashes. */
omen_status text_like_escape(FUNCTION_PARAMETERS)
{
    omen_bytes pattern = arguments[0].as.bytes, escape = arguments[1].as.bytes;
    if (escape.length > 0 && character_bytes(escape.data[0]) != escape.length)
        return error_set(error, OMEN_INVALID_ESCAPE, "invalid escape string");
    if (escape.length == 1 && escape.data[0] == '\\')
        return give_bytes(context, pattern.data, pattern.length, out);
    uint8_t *result, *end;
    OMEN_TRY(text_reserve(context, (uint64_t)pattern.length * 2, &result, error));
    end = result;
    bool escaped = false;
    for (size_t at = 0; at < pattern.length;) {
        size_t length = character_bytes(pattern.data[at]);
        if (!escaped && length == escape.length &&
            memcmp(pattern.data + at, escape.data, length) == 0) {
            text_append(&end, "\\", 1);
            escaped = true;
        } else {
            if (pattern.data[at] == '\\' && !escaped)
                text_append(&end, "\\", 1);
            text_append(&end, pattern.data + at, length);
            escaped = false;
        }
        at += length;
    }
    return give_bytes(context, result, (size_t)(end - result), out);
}

/* Regular expressions and formats: PostgreSQL's own languages. */
omen_status text_refused(FUNCTION_PARAMETERS)
{
    (void)context, (void)arguments, (void)out;
    return error_set(error, OMEN_NOT_SUPPORTED,
                     "regular expressions, to_date and its kin are not supported");
}
