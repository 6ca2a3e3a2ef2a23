/* engine_text.c - see engine_text.h. This file: the buffer, and the way in. */
#include "sql/engine_text_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

void text_fail(struct text_writer *writer, omen_status status, const char *format, ...)
{
    if (writer->status != OMEN_OK)
        return;
    char message[OMEN_ERROR_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    writer->status = error_set(writer->error, status, "%s", message);
}

/* Makes room for `bytes` more and a zero; false where that failed. */
static bool make_room(struct text_writer *writer, size_t bytes)
{
    if (writer->status != OMEN_OK)
        return false;
    if (writer->length + bytes < writer->capacity)
        return true;
    if (bytes > ENGINE_TEXT_BYTES_MAX || writer->length + bytes >= ENGINE_TEXT_BYTES_MAX) {
        text_fail(writer, OMEN_LIMIT_EXCEEDED, "the query's text for the SQL engine is too long");
        return false;
    }
    size_t capacity = 2 * (writer->length + bytes) + 1024;
    char *text = arena_alloc(writer->arena, capacity);
    if (text == NULL) {
        text_fail(writer, OMEN_OUT_OF_MEMORY, "out of memory");
        return false;
    }
    if (writer->length > 0)
        memcpy(text, writer->text, writer->length);
    writer->text = text;
    writer->capacity = capacity;
    return true;
}

void text_put_bytes(struct text_writer *writer, const char *bytes, size_t length)
{
    if (length == 0 || !make_room(writer, length))
        return;
    memcpy(writer->text + writer->length, bytes, length);
    writer->length += length;
}

void text_put(struct text_writer *writer, const char *text)
{
    text_put_bytes(writer, text, strlen(text));
}

void text_put_format(struct text_writer *writer, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    OMEN_ASSERT(length >= 0 && (size_t)length < sizeof text);
    text_put_bytes(writer, text, (size_t)length);
}

/* Doubles `quote` within; the engine's dialect has no other escape. */
static void put_quoted(struct text_writer *writer, char quote, const char *bytes, size_t length)
{
    text_put_bytes(writer, &quote, 1);
    for (size_t start = 0; start < length;) {
        const char *next = memchr(bytes + start, quote, length - start);
        size_t end = next == NULL ? length : (size_t)(next - bytes) + 1;
        text_put_bytes(writer, bytes + start, end - start);
        if (next != NULL)
            text_put_bytes(writer, &quote, 1);
        start = end;
    }
    text_put_bytes(writer, &quote, 1);
}

void text_put_name(struct text_writer *writer, const char *name)
{
    put_quoted(writer, '"', name, strlen(name));
}

void text_put_string(struct text_writer *writer, const char *bytes, size_t length)
{
    put_quoted(writer, '\'', bytes, length);
}

omen_status engine_text_write(const struct query *query, uint32_t parameter_count,
                              const omen_type *parameter_types, struct arena *arena,
                              struct engine_text *out, omen_error *error)
{
    memset(out, 0, sizeof *out);
    struct text_writer writer = {.arena = arena,
                                 .error = error,
                                 .parameter_types = parameter_types,
                                 .parameter_count = parameter_count};
    if (query->target_count == 0)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "a query without columns is not supported by the SQL engine");
    text_put_query(&writer, query, (struct output_names){'o', 0});
    if (!make_room(&writer, 1))
        return writer.status;
    writer.text[writer.length] = '\0';
    *out = (struct engine_text){.text = writer.text,
                                .length = writer.length,
                                .relations = writer.relations,
                                .relation_count = writer.relation_count,
                                .parameter_count = parameter_count,
                                .uses_now = writer.uses_now};
    return OMEN_OK;
}
