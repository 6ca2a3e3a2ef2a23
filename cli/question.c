/* question.c - what the shell itself asks the database. */
#define _POSIX_C_SOURCE 200809L
#include "question.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "report.h"

omen_status question_add(struct texts *texts, const omen_value *value, omen_error *error)
{
    size_t length = 0;
    omen_status status = omen_value_to_text(value, NULL, 0, &length);
    if (status != OMEN_OK && status != OMEN_LIMIT_EXCEEDED)
        return report_fill(error, status, "%s", omen_status_text(status));
    char *larger = realloc(texts->data, texts->length + length + 1);
    if (larger == NULL)
        return report_fill(error, OMEN_OUT_OF_MEMORY, "out of memory");
    texts->data = larger;
    status = omen_value_to_text(value, larger + texts->length, length, &length);
    texts->length += length;
    texts->data[texts->length++] = '\0';
    return status;
}

omen_status question_ask(omen_connection *connection, const char *sql, size_t column,
                         struct texts *texts, omen_error *error)
{
    omen_statement *statement = NULL;
    interrupt_watch(connection);
    omen_status status = omen_prepare(connection, sql, strlen(sql), &statement, error);
    if (status == OMEN_OK)
        status = omen_execute(statement, NULL, 0, error);
    while (status == OMEN_OK && (status = omen_step(statement, error)) == OMEN_OK) {
        size_t last = omen_statement_column_count(statement) - 1;
        omen_value value = omen_statement_value(statement, column < last ? column : last);
        status = question_add(texts, &value, error);
    }
    interrupt_watch(NULL);
    omen_statement_release(statement);
    error->position = 0; /* it would point into a statement that nobody typed */
    return status == OMEN_END_OF_DATA ? OMEN_OK : status;
}

char *question_identifier(const char *name, enum name_form form)
{
    size_t length = strlen(name), used = 0;
    if (form == NAME_TYPED && length >= 2 && name[0] == '"' && name[length - 1] == '"')
        return strdup(name);
    char *quoted = malloc(2 * length + 3);
    if (quoted == NULL)
        return NULL;
    quoted[used++] = '"';
    for (size_t i = 0; i < length; i++) {
        if (name[i] == '"')
            quoted[used++] = '"';
        bool upper = form == NAME_TYPED && name[i] >= 'A' && name[i] <= 'Z';
        quoted[used++] = upper ? (char)(name[i] - 'A' + 'a') : name[i];
    }
    memcpy(quoted + used, "\"", 2);
    return quoted;
}

char *question_about(const char *verb, const char *identifier)
{
    size_t bytes = strlen(verb) + strlen(identifier) + 1;
    char *sql = malloc(bytes);
    if (sql != NULL)
        snprintf(sql, bytes, "%s%s", verb, identifier);
    return sql;
}

char *question_about_name(const char *verb, const char *name, enum name_form form)
{
    char *identifier = question_identifier(name, form);
    char *sql = identifier == NULL ? NULL : question_about(verb, identifier);
    free(identifier);
    return sql;
}
