/* sql.c - SQL through the embedded API. */
#include <string.h>

#include "api/api_private.h"
#include "sql/lexer.h"
#include "sql/value_text.h"

static size_t text_length(const char *sql, size_t length)
{
    return length == SIZE_MAX ? strlen(sql) : length;
}

omen_status omen_query(omen_connection *connection, const char *sql, size_t length,
                       struct ArrowArrayStream *out, uint64_t *rows_affected, omen_error *error)
{
    struct statement *statement;
    if (out != NULL)
        memset(out, 0, sizeof *out);
    if (rows_affected != NULL)
        *rows_affected = 0;
    if (connection == NULL || sql == NULL || out == NULL)
        return api_invalid(error, "omen_query needs connection, text and result");
    OMEN_TRY(
        statement_create(session_of(connection), sql, text_length(sql, length), &statement, error));
    omen_status status = statement_stream(statement, NULL, 0, out, error);
    if (status == OMEN_OK && rows_affected != NULL)
        *rows_affected = statement_rows_affected(statement);
    statement_destroy(statement);
    return status;
}

omen_status omen_prepare(omen_connection *connection, const char *sql, size_t length,
                         omen_statement **out, omen_error *error)
{
    struct statement *statement;
    if (out != NULL)
        *out = NULL;
    if (connection == NULL || sql == NULL || out == NULL)
        return api_invalid(error, "omen_prepare needs connection, text and result");
    OMEN_TRY(
        statement_create(session_of(connection), sql, text_length(sql, length), &statement, error));
    *out = (omen_statement *)statement;
    return OMEN_OK;
}

omen_status omen_execute(omen_statement *statement, const omen_value *parameters,
                         size_t parameter_count, omen_error *error)
{
    if (statement == NULL || (parameters == NULL && parameter_count > 0))
        return api_invalid(error, "omen_execute needs a statement and its parameters");
    return statement_run(statement_of(statement), parameters, parameter_count, error);
}

omen_status omen_execute_stream(omen_statement *statement, const omen_value *parameters,
                                size_t parameter_count, struct ArrowArrayStream *out,
                                omen_error *error)
{
    if (out != NULL)
        memset(out, 0, sizeof *out);
    if (statement == NULL || (parameters == NULL && parameter_count > 0) || out == NULL)
        return api_invalid(error,
                           "omen_execute_stream needs a statement, its parameters and result");
    return statement_stream(statement_of(statement), parameters, parameter_count, out, error);
}

omen_status omen_step(omen_statement *statement, omen_error *error)
{
    if (statement == NULL)
        return api_invalid(error, "omen_step needs a statement");
    return statement_step(statement_of(statement), error);
}

void omen_statement_release(omen_statement *statement)
{
    statement_destroy(statement_of(statement));
}

size_t omen_statement_parameter_count(const omen_statement *statement)
{
    return statement == NULL ? 0 : statement_parameter_count(statement_of_const(statement));
}

size_t omen_statement_column_count(const omen_statement *statement)
{
    return statement == NULL ? 0 : statement_column_count(statement_of_const(statement));
}

const char *omen_statement_column_name(const omen_statement *statement, size_t column)
{
    return statement == NULL ? NULL : statement_column_name(statement_of_const(statement), column);
}

omen_type omen_statement_column_type(const omen_statement *statement, size_t column)
{
    if (statement == NULL)
        return (omen_type){.id = OMEN_TYPE_NONE};
    return statement_column_type(statement_of_const(statement), column);
}

omen_value omen_statement_value(const omen_statement *statement, size_t column)
{
    if (statement == NULL)
        return (omen_value){.is_null = true};
    return statement_value(statement_of_const(statement), column);
}

const char *omen_statement_route(const omen_statement *statement)
{
    return statement == NULL ? "" : statement_route(statement_of_const(statement));
}

const char *omen_statement_tag(const omen_statement *statement)
{
    return statement == NULL ? "" : statement_tag(statement_of_const(statement));
}

uint64_t omen_statement_rows_affected(const omen_statement *statement)
{
    return statement == NULL ? 0 : statement_rows_affected(statement_of_const(statement));
}

omen_status omen_value_to_text(const omen_value *value, char *buffer, size_t capacity,
                               size_t *length)
{
    if (value == NULL || length == NULL || (buffer == NULL && capacity > 0))
        return OMEN_INVALID_ARGUMENT;
    return value_to_text(value, buffer, capacity, length);
}

size_t omen_statement_split(const char *sql, size_t length, size_t *rest, bool *complete)
{
    size_t rest_unused;
    bool complete_unused;
    if (rest == NULL)
        rest = &rest_unused;
    if (complete == NULL)
        complete = &complete_unused;
    if (sql == NULL) {
        *rest = 0;
        *complete = false;
        return 0;
    }
    return lexer_split(sql, text_length(sql, length), rest, complete);
}
