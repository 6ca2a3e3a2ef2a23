/* function_text.h - what the functions over text and bytes share. */
#ifndef OMEN_SQL_FUNCTION_TEXT_H
#define OMEN_SQL_FUNCTION_TEXT_H

#include "sql/function.h"

enum { TEXT_BYTES_MAX = 0x3fffffff }; /* PostgreSQL's largest value, 1 GB */

/* Bytes for a result. Errors: LIMIT_EXCEEDED "requested length too large"; OUT_OF_MEMORY. */
static inline omen_status text_reserve(const struct call_context *context, uint64_t length,
                                       uint8_t **out, omen_error *error)
{
    if (length > TEXT_BYTES_MAX)
        return error_set(error, OMEN_LIMIT_EXCEEDED, "requested length too large");
    *out = arena_alloc(context->arena, length);
    return *out != NULL ? OMEN_OK : error_set_default(error, OMEN_OUT_OF_MEMORY);
}

static inline void text_append(uint8_t **at, const void *data, size_t length)
{
    if (length > 0)
        memcpy(*at, data, length);
    *at += length;
}

/* Bytes of the character that starts with this byte, in valid UTF-8. */
static inline size_t character_bytes(uint8_t first)
{
    return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* Bytes of the first `count` characters, or of all where there are fewer. */
static inline size_t prefix_bytes(omen_bytes text, uint64_t count)
{
    size_t at = 0;
    while (count-- > 0 && at < text.length)
        at += character_bytes(text.data[at]);
    return at < text.length ? at : text.length;
}

/* Where `part` begins in `text` at or behind `from`, or `text.length + 1`. */
size_t find_bytes(omen_bytes text, omen_bytes part, size_t from);

#endif
