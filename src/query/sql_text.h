/* sql_text.h - SQL that is put together: text that grows in an arena, with names and literals. */
#ifndef OMEN_QUERY_SQL_TEXT_H
#define OMEN_QUERY_SQL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "omendb_types.h"

/* Begins as {.arena = arena}. The bytes are not zero-terminated and live as long as the arena. */
struct sql_text {
    struct arena *arena;
    char *bytes;
    size_t length, capacity;
    bool failed; /* memory was exhausted: the text is not whole */
};

void sql_text_add(struct sql_text *text, const char *bytes, size_t length);
void sql_text_add_string(struct sql_text *text, const char *string);

/* An identifier, always in quotes: keywords need them too. */
void sql_text_add_name(struct sql_text *text, const char *name);

/* A text literal. */
void sql_text_add_literal(struct sql_text *text, const char *string);

/* A type as SQL writes it, "numeric(10,2)", in the arena. NULL: memory is exhausted. */
const char *sql_text_of_type(struct arena *arena, omen_type type);

#endif
