/* tables.c - creating, dropping and describing tables. */
#include <string.h>

#include "api/api_private.h"

omen_status api_table(struct session *session, const char *name, struct table **out,
                      omen_error *error)
{
    bool rested = transaction_resume(session);
    omen_status status = transaction_find_table(session, name, strlen(name), out, error);
    if (rested)
        transaction_note_idle(session);
    return status;
}

/* The position of the Arrow child of this name. */
static omen_status find_child(const struct ArrowSchema *schema, const char *name, uint32_t *out,
                              omen_error *error)
{
    if (name == NULL)
        return api_invalid(error, "a key column has no name");
    for (int64_t i = 0; i < schema->n_children; i++) {
        const struct ArrowSchema *child = schema->children[i];
        if (child != NULL && child->name != NULL && strcmp(child->name, name) == 0) {
            *out = (uint32_t)i;
            return OMEN_OK;
        }
    }
    return error_set(error, OMEN_UNDEFINED_COLUMN, "column \"%s\" named in key does not exist",
                     name);
}

omen_status omen_table_create(omen_connection *connection, const char *name,
                              const struct ArrowSchema *schema, const char *const *key_columns,
                              size_t key_count, omen_error *error)
{
    uint32_t keys[SCHEMA_KEY_COLUMNS_MAX];
    if (connection == NULL || name == NULL || schema == NULL || schema->release == NULL ||
        (key_columns == NULL && key_count > 0))
        return api_invalid(error, "omen_table_create needs connection, name, schema and keys");
    if (key_count > SCHEMA_KEY_COLUMNS_MAX)
        return error_set(error, OMEN_INVALID_TABLE, "a key has at most %d columns",
                         SCHEMA_KEY_COLUMNS_MAX);
    for (size_t i = 0; i < key_count; i++)
        OMEN_TRY(find_child(schema, key_columns[i], &keys[i], error));
    struct session *session = session_of(connection);
    struct schema *columns;
    OMEN_TRY(schema_from_arrow(session->database->allocator, schema, keys, (uint32_t)key_count,
                               &columns, error));
    session_begin(session);
    omen_status status = transaction_begin_statement(session, false, "CREATE TABLE", error);
    if (status == OMEN_OK)
        status = transaction_create_table(session, name, columns, 0, error);
    schema_release(columns);
    return transaction_end_statement(session, status);
}

omen_status omen_table_drop(omen_connection *connection, const char *name, omen_error *error)
{
    if (connection == NULL || name == NULL)
        return api_invalid(error, "omen_table_drop needs connection and name");
    struct session *session = session_of(connection);
    session_begin(session);
    omen_status status = transaction_begin_statement(session, false, "DROP TABLE", error);
    if (status == OMEN_OK)
        status = transaction_drop_tables(session, &name, 1, false, 0, error);
    return transaction_end_statement(session, status);
}

omen_status omen_table_schema(omen_connection *connection, const char *name,
                              struct ArrowSchema *out, omen_error *error)
{
    struct table *table;
    if (out != NULL)
        memset(out, 0, sizeof *out);
    if (connection == NULL || name == NULL || out == NULL)
        return api_invalid(error, "omen_table_schema needs connection, name and result");
    OMEN_TRY(api_table(session_of(connection), name, &table, error));
    omen_status status = schema_to_arrow(table_schema(table), NULL, 0, out);
    table_release(table);
    return status == OMEN_OK ? status : error_set_default(error, status);
}
