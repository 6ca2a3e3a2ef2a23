/* plan_show.c - SET, RESET and SHOW; DESCRIBE and SHOW CREATE TABLE, which PostgreSQL's grammar
 * lacks: the lexer recognises them before the parser sees them.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "query/plan.h"
#include "query/sql_text.h"
#include "sql/lexer.h"

/* --- DESCRIBE t, DESC t, SHOW CREATE TABLE t --- */

static bool is_word(const struct lexer *lexer, const struct token *token, const char *word)
{
    return token->kind == TOKEN_WORD && token->length == strlen(word) &&
           strncasecmp(lexer->text + token->start, word, token->length) == 0;
}

/* An identifier as PostgreSQL reads it: folded, or without its quotes. NULL: none, or no memory
 * (`*status`). */
static const char *read_identifier(struct plan *plan, const struct lexer *lexer,
                                   const struct token *token, omen_status *status)
{
    const char *text = lexer->text + token->start;
    bool quoted = token->kind == TOKEN_QUOTED_IDENTIFIER && text[0] == '"';
    if (token->kind != TOKEN_WORD && !quoted)
        return NULL;
    char *name = arena_alloc(&plan->arena, token->length + 1);
    size_t length = 0;
    if (name == NULL) {
        *status = OMEN_OUT_OF_MEMORY;
        return NULL;
    }
    for (size_t i = quoted; i < token->length - quoted; i++) {
        char c = text[i];
        if (quoted && c == '"')
            i++; /* doubled */
        name[length++] = !quoted && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    name[length] = '\0';
    return name;
}

/* Reads `[public.]name [;]` to the end. */
static const char *read_table_name(struct plan *plan, struct lexer *lexer, omen_status *status)
{
    struct token token = lexer_next(lexer);
    const char *name = read_identifier(plan, lexer, &token, status);
    token = lexer_next(lexer);
    if (name != NULL && strcmp(name, "public") == 0 && token.kind == TOKEN_PUNCTUATION &&
        lexer->text[token.start] == '.') {
        token = lexer_next(lexer);
        name = read_identifier(plan, lexer, &token, status);
        token = lexer_next(lexer);
    }
    while (token.kind == TOKEN_PUNCTUATION && lexer->text[token.start] == ';')
        token = lexer_next(lexer);
    return token.kind == TOKEN_END ? name : NULL;
}

omen_status plan_describe(struct plan *plan, const char *sql, size_t length, bool *found,
                          omen_error *error)
{
    omen_status status = OMEN_OK;
    struct lexer lexer = {.text = sql, .length = length};
    struct token token = lexer_next(&lexer);
    *found = false;
    while (token.kind == TOKEN_PUNCTUATION && sql[token.start] == ';')
        token = lexer_next(&lexer);
    enum show_kind kind = SHOW_DESCRIPTION;
    if (is_word(&lexer, &token, "show")) {
        kind = SHOW_CREATE;
        token = lexer_next(&lexer);
        if (!is_word(&lexer, &token, "create"))
            return OMEN_OK;
        token = lexer_next(&lexer);
        if (!is_word(&lexer, &token, "table"))
            return OMEN_OK;
    } else if (!is_word(&lexer, &token, "describe") && !is_word(&lexer, &token, "desc")) {
        return OMEN_OK;
    }
    OMEN_TRY(lexer_check(sql, length, NULL, error));
    const char *name = read_table_name(plan, &lexer, &status);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    if (name == NULL)
        return OMEN_OK;
    *found = true;
    plan->kind = PLAN_SHOW;
    plan->show.kind = kind;
    plan->tag = "SHOW";
    return transaction_find_table(plan->session, name, strlen(name), &plan->table, error);
}

/* --- SET and SHOW --- */

/* A value of SET as text; several, as of search_path, with commas between. */
static omen_status read_value(struct plan *plan, const PgQuery__VariableSetStmt *node,
                              const char **out, omen_error *error)
{
    char text[512];
    size_t length = 0;
    for (size_t i = 0; i < node->n_args; i++) {
        const PgQuery__AConst *constant = node->args[i]->node_case == PG_QUERY__NODE__NODE_A_CONST
                                              ? node->args[i]->a_const
                                              : NULL;
        const char *separator = i == 0 ? "" : ", ";
        int written = -1;
        if (constant != NULL && constant->val_case == PG_QUERY__A__CONST__VAL_SVAL)
            written = snprintf(text + length, sizeof text - length, "%s%s", separator,
                               constant->sval->sval);
        else if (constant != NULL && constant->val_case == PG_QUERY__A__CONST__VAL_IVAL)
            written = snprintf(text + length, sizeof text - length, "%s%d", separator,
                               constant->ival->ival);
        else if (constant != NULL && constant->val_case == PG_QUERY__A__CONST__VAL_FVAL)
            written = snprintf(text + length, sizeof text - length, "%s%s", separator,
                               constant->fval->fval);
        else if (constant != NULL && constant->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL)
            written = snprintf(text + length, sizeof text - length, "%s%s", separator,
                               constant->boolval->boolval ? "on" : "off");
        if (written < 0)
            return plan_refuse(error, "this value of a parameter");
        length += (size_t)written;
        if (length >= sizeof text)
            return error_set(error, OMEN_INVALID_ARGUMENT,
                             "the value of parameter \"%s\" is too long", node->name);
    }
    *out = arena_copy_text(&plan->arena, text, length);
    return *out == NULL ? error_set_default(error, OMEN_OUT_OF_MEMORY) : OMEN_OK;
}

omen_status plan_set(struct plan *plan, const PgQuery__VariableSetStmt *node, omen_error *error)
{
    plan->kind = PLAN_SET;
    plan->tag = "SET";
    plan->set.name = node->name;
    plan->set.keep = !node->is_local;
    switch (node->kind) {
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE:
        return read_value(plan, node, &plan->set.value, error);
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT:
        return OMEN_OK;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET:
        plan->tag = "RESET";
        return OMEN_OK;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL:
        plan->tag = "RESET";
        plan->set.name = NULL;
        return OMEN_OK;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI:
        return plan_set_transaction(plan, node, error);
    default:
        return plan_refuse(error, "SET ... FROM CURRENT");
    }
}

omen_status plan_show(struct plan *plan, const PgQuery__VariableShowStmt *node, omen_error *error)
{
    char value[SETTING_VALUE_BYTES];
    plan->kind = PLAN_SHOW;
    plan->tag = "SHOW";
    plan->show.name = node->name;
    if (strcmp(node->name, "all") == 0) {
        plan->show.kind = SHOW_ALL;
    } else if (strcmp(node->name, "tables") == 0) {
        plan->show.kind = SHOW_TABLES;
    } else {
        plan->show.kind = SHOW_SETTING;
        return settings_show(&plan->session->settings, node->name, value, error);
    }
    return OMEN_OK;
}

omen_status set_run(struct plan *plan, omen_error *error)
{
    struct session *session = plan->session;
    struct transaction *transaction = &session->transaction;
    bool open = transaction_is_open(transaction);
    if (plan->set.name == NULL) {
        session->settings = (struct settings){.storage = session->settings.storage,
                                              .isolation = session->settings.isolation,
                                              .read_only = session->settings.read_only};
        transaction->session_settings = session->settings;
        transaction_note_settings(session);
        return OMEN_OK;
    }
    if (!open && !plan->set.keep)
        session_warn(session, OMEN_NO_ACTIVE_TRANSACTION,
                     "SET LOCAL can only be used in transaction blocks");
    OMEN_TRY(transaction_check_setting(session, plan->set.name, plan->set.value, error));
    OMEN_TRY(settings_set(&session->settings, plan->set.name, plan->set.value,
                          plan->set.keep || open, error));
    if (open && plan->set.keep)
        return settings_set(&transaction->session_settings, plan->set.name, plan->set.value, true,
                            error);
    transaction_note_settings(session);
    return OMEN_OK;
}

/* --- answers --- */

static omen_value text_value(const char *text)
{
    return (omen_value){.type = {.id = OMEN_TYPE_TEXT},
                        .is_null = text == NULL,
                        .as.bytes = {(const uint8_t *)text, text == NULL ? 0 : strlen(text)}};
}

static const omen_type text_types[] = {{.id = OMEN_TYPE_TEXT},
                                       {.id = OMEN_TYPE_TEXT},
                                       {.id = OMEN_TYPE_TEXT},
                                       {.id = OMEN_TYPE_TEXT},
                                       {.id = OMEN_TYPE_TEXT}};

/* Room for `count` rows of these text columns. */
static omen_value *make_rows(struct arena *scratch, struct value_rows *rows,
                             const char *const *names, uint32_t columns, size_t count)
{
    omen_value *values = arena_alloc(scratch, count * columns * sizeof *values);
    *rows = (struct value_rows){.column_count = columns,
                                .names = names,
                                .types = text_types,
                                .row_count = count,
                                .values = values};
    return values;
}

static omen_status show_setting(struct plan *plan, struct arena *scratch, struct value_rows *rows,
                                omen_error *error)
{
    char value[SETTING_VALUE_BYTES];
    OMEN_TRY(settings_show(&plan->session->settings, plan->show.name, value, error));
    const char *copy = arena_copy_text(scratch, value, strlen(value));
    omen_value *values = make_rows(scratch, rows, &plan->show.name, 1, 1);
    if (copy == NULL || values == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    values[0] = text_value(copy);
    return OMEN_OK;
}

static omen_status show_all(struct plan *plan, struct arena *scratch, struct value_rows *rows,
                            omen_error *error)
{
    static const char *const names[] = {"name", "setting", "description"};
    const char *name, *description;
    uint32_t count = 0;
    while (settings_list(count, &name, &description))
        count++;
    omen_value *values = make_rows(scratch, rows, names, 3, count);
    if (values == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; settings_list(i, &name, &description); i++) {
        char value[SETTING_VALUE_BYTES];
        OMEN_TRY(settings_show(&plan->session->settings, name, value, error));
        const char *copy = arena_copy_text(scratch, value, strlen(value));
        if (copy == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        values[3 * i] = text_value(name);
        values[3 * i + 1] = text_value(copy);
        values[3 * i + 2] = text_value(description);
    }
    return OMEN_OK;
}

static omen_status show_tables(struct plan *plan, struct arena *scratch, struct value_rows *rows,
                               omen_error *error)
{
    static const char *const names[] = {"name"};
    struct catalog *catalog = plan->session->database->catalog;
    struct table **tables;
    size_t count;
    omen_status status =
        catalog_list_in(catalog, plan->session->transaction.tables, &tables, &count);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    omen_value *values = make_rows(scratch, rows, names, 1, count);
    status = values == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
    for (size_t i = 0; i < count && status == OMEN_OK; i++) {
        const char *name = table_name(tables[i]);
        values[i] = text_value(arena_copy_text(scratch, name, strlen(name)));
        if (values[i].is_null)
            status = OMEN_OUT_OF_MEMORY;
    }
    catalog_list_release(catalog, tables, count);
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}

static bool is_key(const struct schema *schema, uint32_t column)
{
    for (uint32_t i = 0; i < schema->key.count; i++)
        if (schema->key.columns[i] == column)
            return true;
    return false;
}

/* Whether the column is one of a unique key's. */
static bool is_unique(const struct schema *schema, uint32_t column)
{
    for (uint32_t number = 1; number <= schema->unique_count; number++) {
        const struct schema_key *key = schema_key_of(schema, number);
        for (uint32_t i = 0; i < key->count; i++)
            if (key->columns[i] == column)
                return true;
    }
    return false;
}

static omen_status describe(struct plan *plan, struct arena *scratch, struct value_rows *rows,
                            omen_error *error)
{
    static const char *const names[] = {"column_name", "column_type", "null", "key", "default"};
    const struct schema *schema = table_schema(plan->table);
    omen_value *values = make_rows(scratch, rows, names, 5, schema->column_count);
    if (values == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct column_definition *column = &schema->columns[i];
        const char *type = sql_text_of_type(scratch, column->type);
        if (type == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        values[5 * i] = text_value(column->name);
        values[5 * i + 1] = text_value(type);
        values[5 * i + 2] = text_value(column->nullable ? "YES" : "NO");
        values[5 * i + 3] = text_value(is_key(schema, i)      ? "PRI"
                                       : is_unique(schema, i) ? "UNI"
                                                              : NULL);
        values[5 * i + 4] = text_value(column->default_text);
    }
    return OMEN_OK;
}

/* --- SHOW CREATE TABLE --- */

/* Adds the table constraint that makes this key. */
static void add_key(struct sql_text *text, const struct schema *schema, uint32_t number)
{
    const struct schema_key *key = schema_key_of(schema, number);
    sql_text_add_string(text, ",\n  ");
    if (number > 0) {
        sql_text_add_string(text, "CONSTRAINT ");
        sql_text_add_name(text, key->name);
    }
    sql_text_add_string(text, number > 0 ? " UNIQUE" : "PRIMARY KEY");
    for (uint32_t i = 0; i < key->count; i++) {
        sql_text_add_string(text, i == 0 ? " (" : ", ");
        sql_text_add_name(text, schema->columns[key->columns[i]].name);
    }
    sql_text_add_string(text, ")");
}

static omen_status show_create(struct plan *plan, struct arena *scratch, struct value_rows *rows,
                               omen_error *error)
{
    static const char *const names[] = {"table_name", "sql"};
    const struct schema *schema = table_schema(plan->table);
    struct sql_text text = {.arena = scratch};
    sql_text_add_string(&text, "CREATE TABLE ");
    sql_text_add_name(&text, table_name(plan->table));
    sql_text_add_string(&text, " (");
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct column_definition *column = &schema->columns[i];
        const char *type = sql_text_of_type(scratch, column->type);
        text.failed = text.failed || type == NULL;
        sql_text_add_string(&text, i == 0 ? "\n  " : ",\n  ");
        sql_text_add_name(&text, column->name);
        sql_text_add_string(&text, " ");
        sql_text_add_string(&text, type == NULL ? "" : type);
        if (column->default_text != NULL) {
            sql_text_add_string(&text, " DEFAULT ");
            sql_text_add_string(&text, column->default_text);
        }
        sql_text_add_string(&text, column->nullable || is_key(schema, i) ? "" : " NOT NULL");
    }
    for (uint32_t number = schema->key_hidden; number <= schema->unique_count; number++)
        add_key(&text, schema, number);
    sql_text_add_string(&text, "\n);");
    omen_value *values = make_rows(scratch, rows, names, 2, 1);
    if (text.failed || values == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    values[0] = text_value(table_name(plan->table));
    values[1] = text_value("");
    values[1].as.bytes = (omen_bytes){(const uint8_t *)text.bytes, text.length};
    return OMEN_OK;
}

omen_status show_run(struct plan *plan, struct arena *scratch, struct value_rows *rows,
                     omen_error *error)
{
    switch (plan->show.kind) {
    case SHOW_SETTING:
        return show_setting(plan, scratch, rows, error);
    case SHOW_ALL:
        return show_all(plan, scratch, rows, error);
    case SHOW_TABLES:
        return show_tables(plan, scratch, rows, error);
    case SHOW_DESCRIPTION:
        return describe(plan, scratch, rows, error);
    case SHOW_CREATE:
        return show_create(plan, scratch, rows, error);
    }
    return error_set_default(error, OMEN_INTERNAL);
}
