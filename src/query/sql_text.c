/* sql_text.c - SQL that is put together. */
#include "query/sql_text.h"

#include <stdio.h>
#include <string.h>

#include "sql/value_text.h"

void sql_text_add(struct sql_text *text, const char *bytes, size_t length)
{
    if (text->length + length > text->capacity) {
        size_t capacity = 2 * (text->length + length) + 256;
        char *larger = arena_alloc(text->arena, capacity);
        if (larger == NULL) {
            text->failed = true;
            return;
        }
        if (text->length > 0)
            memcpy(larger, text->bytes, text->length);
        text->bytes = larger;
        text->capacity = capacity;
    }
    if (length > 0)
        memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

void sql_text_add_string(struct sql_text *text, const char *string)
{
    sql_text_add(text, string, strlen(string));
}

static void add_quoted(struct sql_text *text, const char *string, char quote)
{
    sql_text_add(text, &quote, 1);
    for (; *string != '\0'; string++) {
        sql_text_add(text, string, 1);
        if (*string == quote)
            sql_text_add(text, string, 1);
    }
    sql_text_add(text, &quote, 1);
}

void sql_text_add_name(struct sql_text *text, const char *name)
{
    add_quoted(text, name, '"');
}

void sql_text_add_literal(struct sql_text *text, const char *string)
{
    add_quoted(text, string, '\'');
}

const char *sql_text_of_type(struct arena *arena, omen_type type)
{
    char text[64];
    int length;
    if (type.id == OMEN_TYPE_DECIMAL)
        length = snprintf(text, sizeof text, "numeric(%d,%d)", type.precision, type.scale);
    else if (type.length_max > 0)
        length =
            snprintf(text, sizeof text, "%s(%u)", type_name_of(type.id), (unsigned)type.length_max);
    else
        length = snprintf(text, sizeof text, "%s", type_name_of(type.id));
    return arena_copy_text(arena, text, (size_t)length);
}
