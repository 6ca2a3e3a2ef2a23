/* dump.c - a database as SQL.
 *
 *   CREATE TABLE "t" (...);
 *   INSERT INTO "t" VALUES      -- as many rows as ROWS_A_STATEMENT, or as fill BYTES_A_STATEMENT
 *   (1, 'a', ...),
 *   (2, E'line\n', ...);
 *
 * Rows are in the order of their keys, of tables without one in the order of all columns, so that
 * the same rows give the same text. Names and texts with control characters or such as reorder a
 * line are written with escapes.
 */
#include "dump.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "output.h"
#include "question.h"
#include "report.h"
#include "sql_shown.h"

enum {
    ROWS_A_STATEMENT = 500,
    BYTES_A_STATEMENT = 1 << 18, /* far below what a statement may have */
    ORDER_BYTES = 16,            /* of a position in ORDER BY */
};

/* --- values ---------------------------------------------------------------------------------- */

/* Whether a value's text stands as it is; the others are read by the column's type. */
static bool is_bare(omen_type_id type)
{
    return type == OMEN_TYPE_SMALLINT || type == OMEN_TYPE_INTEGER || type == OMEN_TYPE_BIGINT ||
           type == OMEN_TYPE_DECIMAL;
}

/* Prints a value and gives about how many bytes that were. */
static omen_status print_value(const omen_value *value, struct texts *scratch, size_t *bytes,
                               omen_error *error)
{
    scratch->length = 0;
    if (value->is_null) {
        fputs("NULL", stdout);
        return OMEN_OK;
    }
    if (value->type.id == OMEN_TYPE_BOOLEAN) {
        fputs(value->as.boolean ? "true" : "false", stdout);
        return OMEN_OK;
    }
    omen_status status = question_add(scratch, value, error);
    if (status != OMEN_OK)
        return status;
    size_t length = scratch->length - 1;
    if (is_bare(value->type.id))
        *bytes += fwrite(scratch->data, 1, length, stdout);
    else
        *bytes += sql_shown_print_literal(scratch->data, length);
    return OMEN_OK;
}

/* --- tables ---------------------------------------------------------------------------------- */

static omen_status print_rows(omen_statement *statement, const char *name, omen_error *error)
{
    struct texts scratch = {0};
    size_t columns = omen_statement_column_count(statement), rows = 0, bytes = 0;
    omen_status status;
    while ((status = omen_step(statement, error)) == OMEN_OK && !output_failed()) {
        bool fresh = rows == 0 || rows == ROWS_A_STATEMENT || bytes >= BYTES_A_STATEMENT;
        if (rows > 0)
            puts(fresh ? ";" : ",");
        if (fresh) {
            fputs("INSERT INTO ", stdout);
            sql_shown_print(name, strlen(name));
            puts(" VALUES");
            rows = bytes = 0;
        }
        rows++;
        for (size_t i = 0; i < columns && status == OMEN_OK; i++) {
            omen_value value = omen_statement_value(statement, i);
            fputs(i == 0 ? "(" : ", ", stdout);
            status = print_value(&value, &scratch, &bytes, error);
        }
        putchar(')');
        if (status != OMEN_OK)
            break;
    }
    if (rows > 0)
        puts(status == OMEN_END_OF_DATA ? ";" : "");
    free(scratch.data);
    return status == OMEN_END_OF_DATA ? OMEN_OK : status;
}

/* Whether DESCRIBE says so that a column is one of the primary key's. */
static bool is_primary(const char *key)
{
    return strcmp(key, "PRI") == 0;
}

/* SELECT of all rows in their order. The caller frees; NULL: out of memory. */
static char *row_query(const char *name, const struct texts *keys)
{
    size_t columns = 0, key_columns = 0;
    for (size_t at = 0; at < keys->length; at += strlen(keys->data + at) + 1, columns++)
        key_columns += is_primary(keys->data + at);
    size_t bytes = strlen(name) + 64 + columns * ORDER_BYTES, used;
    char *sql = malloc(bytes);
    if (sql == NULL)
        return NULL;
    used = (size_t)snprintf(sql, bytes, "SELECT * FROM %s", name);
    const char *separator = " ORDER BY ";
    for (size_t at = 0, i = 1; at < keys->length; at += strlen(keys->data + at) + 1, i++) {
        if (key_columns > 0 && !is_primary(keys->data + at))
            continue;
        used += (size_t)snprintf(sql + used, bytes - used, "%s%zu", separator, i);
        separator = ", ";
    }
    return sql;
}

/* The rows of a table, whose name is an identifier. */
static omen_status dump_rows(omen_connection *connection, const char *name, omen_error *error)
{
    enum { KEY_COLUMN = 3 }; /* of DESCRIBE */
    struct texts keys = {0};
    omen_statement *statement = NULL;
    char *describe = question_about("DESCRIBE ", name), *sql = NULL;
    omen_status status = describe == NULL
                             ? report_fill(error, OMEN_OUT_OF_MEMORY, "out of memory")
                             : question_ask(connection, describe, KEY_COLUMN, &keys, error);
    if (status == OMEN_OK && (sql = row_query(name, &keys)) == NULL)
        status = report_fill(error, OMEN_OUT_OF_MEMORY, "out of memory");
    interrupt_watch(connection);
    if (status == OMEN_OK)
        status = omen_prepare(connection, sql, strlen(sql), &statement, error);
    if (status == OMEN_OK && interrupt_pending()) /* execute forgets earlier interrupts */
        status = report_fill(error, OMEN_CANCELLED, "statement cancelled");
    if (status == OMEN_OK)
        status = omen_execute(statement, NULL, 0, error);
    if (status == OMEN_OK)
        status = print_rows(statement, name, error);
    interrupt_watch(NULL);
    omen_statement_release(statement);
    free(sql);
    free(describe);
    free(keys.data);
    error->position = 0;
    return status;
}

static omen_status dump_table(omen_connection *connection, const char *table, enum name_form form,
                              omen_error *error)
{
    struct texts schema = {0};
    char *name = question_identifier(table, form);
    char *sql = name == NULL ? NULL : question_about("SHOW CREATE TABLE ", name);
    omen_status status = sql == NULL ? report_fill(error, OMEN_OUT_OF_MEMORY, "out of memory")
                                     : question_ask(connection, sql, SIZE_MAX, &schema, error);
    if (status == OMEN_OK) {
        sql_shown_print(schema.data, strlen(schema.data));
        puts("");
    }
    if (status == OMEN_OK)
        status = dump_rows(connection, name, error);
    free(sql);
    free(name);
    free(schema.data);
    return status;
}

omen_status dump(omen_connection *connection, const char *table, omen_error *error)
{
    if (table != NULL)
        return dump_table(connection, table, NAME_TYPED, error);
    struct texts tables = {0};
    omen_status status = question_ask(connection, "SHOW TABLES", SIZE_MAX, &tables, error);
    for (size_t at = 0; status == OMEN_OK && at < tables.length && !output_failed();
         at += strlen(tables.data + at) + 1)
        status = dump_table(connection, tables.data + at, NAME_EXACT, error);
    free(tables.data);
    return status;
}
