/* plan.c - classifying a statement, and what all plans share. */
#include "query/plan.h"

#include <string.h>

#include "sql/lexer.h"

omen_status plan_refuse(omen_error *error, const char *what)
{
    return error_set(error, OMEN_NOT_SUPPORTED, "%s is not supported", what);
}

bool plan_is_public(const PgQuery__RangeVar *name)
{
    return name->catalogname[0] == '\0' &&
           (name->schemaname[0] == '\0' || strcmp(name->schemaname, "public") == 0);
}

omen_status plan_find_table(struct plan *plan, const PgQuery__RangeVar *name, omen_error *error)
{
    omen_status status;
    if (!plan_is_public(name))
        status = error_set(error, OMEN_UNDEFINED_TABLE, "relation \"%s.%s\" does not exist",
                           name->schemaname, name->relname);
    else
        status = catalog_find(plan->session->database->catalog, name->relname,
                              strlen(name->relname), &plan->table, error);
    if (status != OMEN_OK)
        parse_set_position(&plan->parsed, name->location, error);
    return status;
}

static omen_status column_name_of(const PgQuery__Node *node, const char **name, int *location,
                                  omen_error *error)
{
    *location = -1;
    *name = parse_string(node);
    if (*name == NULL && node->node_case == PG_QUERY__NODE__NODE_RES_TARGET) {
        if (node->res_target->n_indirection > 0)
            return plan_refuse(error, "writing to a part of a column");
        *name = node->res_target->name;
        *location = node->res_target->location;
    }
    return *name != NULL ? OMEN_OK : plan_refuse(error, "this list of columns");
}

omen_status plan_columns(struct plan *plan, PgQuery__Node **nodes, size_t count, uint32_t **columns,
                         uint32_t *column_count, omen_error *error)
{
    const struct schema *schema = table_schema(plan->table);
    bool all = count == 0;
    *column_count = all ? schema->column_count : (uint32_t)count;
    *columns = arena_alloc(&plan->arena, *column_count * sizeof **columns);
    if (*columns == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < *column_count; i++) {
        const char *name;
        int location;
        (*columns)[i] = i;
        if (all)
            continue;
        OMEN_TRY(column_name_of(nodes[i], &name, &location, error));
        int32_t column = schema_find(schema, name, strlen(name));
        omen_status status = OMEN_OK;
        if (column < 0)
            status = error_set(error, OMEN_UNDEFINED_COLUMN,
                               "column \"%s\" of relation \"%s\" does not exist", name,
                               table_name(plan->table));
        for (uint32_t j = 0; j < i && status == OMEN_OK; j++)
            if ((*columns)[j] == (uint32_t)column)
                status = error_set(error, OMEN_DUPLICATE_COLUMN,
                                   "column \"%s\" specified more than once", name);
        if (status != OMEN_OK) {
            parse_set_position(&plan->parsed, location, error);
            return status;
        }
        (*columns)[i] = (uint32_t)column;
    }
    return OMEN_OK;
}

/* The query of an EXPLAIN without options is the text behind its first word. */
static omen_status plan_explain(struct plan *plan, const PgQuery__ExplainStmt *node,
                                omen_error *error)
{
    if (node->n_options > 0)
        return plan_refuse(error, "EXPLAIN with options");
    if (node->query == NULL || node->query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return plan_refuse(error, "EXPLAIN of anything but a query");
    struct lexer lexer = {.text = plan->parsed.text, .length = plan->parsed.length};
    struct token token = lexer_next(&lexer);
    while (token.kind == TOKEN_PUNCTUATION) /* semicolons before it */
        token = lexer_next(&lexer);
    plan->explain = true;
    plan->tag = "EXPLAIN";
    plan->engine_text = plan->parsed.text + lexer.position;
    plan->engine_length = plan->parsed.length - lexer.position;
    return plan_select(plan, node->query->select_stmt, error);
}

/* What a statement that is not supported is called. */
static const char *statement_name(const PgQuery__Node *node)
{
    static const struct {
        PgQuery__Node__NodeCase kind;
        const char *name;
    } names[] = {
        {PG_QUERY__NODE__NODE_TRANSACTION_STMT, "a transaction over several statements"},
        {PG_QUERY__NODE__NODE_ALTER_TABLE_STMT, "ALTER TABLE"},
        {PG_QUERY__NODE__NODE_RENAME_STMT, "ALTER ... RENAME"},
        {PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT, "CREATE TABLE AS"},
        {PG_QUERY__NODE__NODE_VIEW_STMT, "CREATE VIEW"},
        {PG_QUERY__NODE__NODE_INDEX_STMT, "CREATE INDEX"},
        {PG_QUERY__NODE__NODE_CREATE_SEQ_STMT, "CREATE SEQUENCE"},
        {PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT, "CREATE SCHEMA"},
        {PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT, "CREATE FUNCTION"},
        {PG_QUERY__NODE__NODE_CREATE_TRIG_STMT, "CREATE TRIGGER"},
        {PG_QUERY__NODE__NODE_CREATE_ENUM_STMT, "CREATE TYPE"},
        {PG_QUERY__NODE__NODE_COMPOSITE_TYPE_STMT, "CREATE TYPE"},
        {PG_QUERY__NODE__NODE_CREATE_DOMAIN_STMT, "CREATE DOMAIN"},
        {PG_QUERY__NODE__NODE_CREATE_EXTENSION_STMT, "CREATE EXTENSION"},
        {PG_QUERY__NODE__NODE_CREATE_ROLE_STMT, "CREATE ROLE"},
        {PG_QUERY__NODE__NODE_CREATEDB_STMT, "CREATE DATABASE"},
        {PG_QUERY__NODE__NODE_GRANT_STMT, "GRANT and REVOKE"},
        {PG_QUERY__NODE__NODE_COMMENT_STMT, "COMMENT"},
        {PG_QUERY__NODE__NODE_TRUNCATE_STMT, "TRUNCATE"},
        {PG_QUERY__NODE__NODE_MERGE_STMT, "MERGE"},
        {PG_QUERY__NODE__NODE_VACUUM_STMT, "VACUUM and ANALYZE"},
        {PG_QUERY__NODE__NODE_LOCK_STMT, "LOCK"},
        {PG_QUERY__NODE__NODE_PREPARE_STMT, "PREPARE"},
        {PG_QUERY__NODE__NODE_EXECUTE_STMT, "EXECUTE"},
        {PG_QUERY__NODE__NODE_DEALLOCATE_STMT, "DEALLOCATE"},
        {PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT, "DECLARE"},
        {PG_QUERY__NODE__NODE_FETCH_STMT, "FETCH"},
        {PG_QUERY__NODE__NODE_LISTEN_STMT, "LISTEN"},
        {PG_QUERY__NODE__NODE_NOTIFY_STMT, "NOTIFY"},
        {PG_QUERY__NODE__NODE_DO_STMT, "DO"},
        {PG_QUERY__NODE__NODE_CALL_STMT, "CALL"},
        {PG_QUERY__NODE__NODE_DISCARD_STMT, "DISCARD"},
        {PG_QUERY__NODE__NODE_CHECK_POINT_STMT, "CHECKPOINT"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].kind == node->node_case)
            return names[i].name;
    return "this kind of statement";
}

static omen_status classify(struct plan *plan, const PgQuery__Node *node, omen_error *error)
{
    plan->tag = "";
    plan->engine_text = plan->parsed.text;
    plan->engine_length = plan->parsed.length;
    if (node == NULL)
        return OMEN_OK; /* PLAN_EMPTY */
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        plan->tag = "SELECT";
        return plan_select(plan, node->select_stmt, error);
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        plan->tag = "INSERT";
        return plan_insert(plan, node->insert_stmt, error);
    case PG_QUERY__NODE__NODE_CREATE_STMT:
        plan->tag = "CREATE TABLE";
        return plan_create_table(plan, node->create_stmt, error);
    case PG_QUERY__NODE__NODE_DROP_STMT:
        plan->tag = "DROP TABLE";
        return plan_drop_table(plan, node->drop_stmt, error);
    case PG_QUERY__NODE__NODE_COPY_STMT:
        plan->tag = "COPY";
        return plan_copy(plan, node->copy_stmt, error);
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
        return plan_explain(plan, node->explain_stmt, error);
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
        return plan_set(plan, node->variable_set_stmt, error);
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
        return plan_show(plan, node->variable_show_stmt, error);
    default:
        return plan_refuse(error, statement_name(node));
    }
}

omen_status plan_create(struct session *session, const char *sql, size_t length, struct plan **out,
                        omen_error *error)
{
    struct allocator *allocator = session->database->allocator;
    *out = NULL;
    struct plan *plan = allocator_alloc_zeroed(allocator, sizeof *plan);
    if (plan == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    plan->session = session;
    /* Read first: a change while planning makes the plan old, never wrongly new. */
    plan->catalog_version = catalog_version(session->database->catalog);
    arena_init(&plan->arena, allocator);
    bool described;
    omen_status status = plan_describe(plan, sql, length, &described, error);
    if (status == OMEN_OK && !described)
        status = parse_statement(sql, length, &plan->arena, &plan->parsed, error);
    if (status == OMEN_OK && !described)
        status = classify(plan, plan->parsed.statement, error);
    if (status != OMEN_OK) {
        plan_destroy(plan);
        return status;
    }
    *out = plan;
    return OMEN_OK;
}

void plan_destroy(struct plan *plan)
{
    if (plan == NULL)
        return;
    struct allocator *allocator = plan->arena.allocator;
    if (plan->kind == PLAN_CREATE_TABLE)
        schema_release(plan->create.schema);
    table_release(plan->table);
    arena_release(&plan->arena);
    allocator_free(allocator, plan, sizeof *plan);
}
