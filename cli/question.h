/* question.h - what the shell itself asks the database, and names as SQL has them. */
#ifndef OMEN_CLI_QUESTION_H
#define OMEN_CLI_QUESTION_H

#include <stddef.h>

#include "omendb.h"

/* Texts, each with a zero behind it, side by side: for (at = 0; at < length; at += strlen + 1).
 * Freed by the caller: data. */
struct texts {
    char *data;
    size_t length;
};

/* Adds a value as text; NULL as nothing. Errors: OUT_OF_MEMORY. */
omen_status question_add(struct texts *texts, const omen_value *value, omen_error *error);

/* Runs a query and adds the given column of each row; SIZE_MAX: the last one. Ctrl-C cancels it.
 * Errors: the query's, without a position. */
omen_status question_ask(omen_connection *connection, const char *sql, size_t column,
                         struct texts *texts, omen_error *error);

/* How a name is given. */
enum name_form {
    NAME_EXACT, /* as the database has it */
    NAME_TYPED, /* as SQL has it: in double quotes, or without and then in any case */
};

/* A name as an identifier in double quotes. The caller frees; NULL: out of memory. */
char *question_identifier(const char *name, enum name_form form);

/* `verb` and an identifier of question_identifier. The caller frees; NULL: out of memory. */
char *question_about(const char *verb, const char *identifier);

/* The same of a name. */
char *question_about_name(const char *verb, const char *name, enum name_form form);

#endif
