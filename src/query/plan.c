/* plan.c - classifying a statement, binding it, and what all plans share. */
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
        status = transaction_find_table(plan->session, name->relname, strlen(name->relname),
                                        &plan->table, error);
    if (status != OMEN_OK)
        parse_set_position(&plan->parsed, name->location, error);
    return status;
}

/* --- binding --- */

static omen_status start_binder(struct plan *plan, const omen_type *declared,
                                uint32_t declared_count, omen_error *error)
{
    uint32_t count = plan->parsed.parameter_count;
    plan->declared = arena_alloc(&plan->arena, count * sizeof *plan->declared);
    if (plan->declared == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < count; i++)
        plan->declared[i] = i < declared_count ? declared[i] : (omen_type){.id = OMEN_TYPE_NONE};
    OMEN_TRY(binder_init(&plan->binder, &plan->arena, plan->session->database->catalog,
                         &plan->parsed, plan->declared, count, error));
    plan->files.database = plan->session->database;
    plan->binder.opener = file_opener_of(&plan->files);
    plan->binder.changes = plan->session->transaction.tables;
    plan->has_binder = true;
    return OMEN_OK;
}

/* Decides how the plan's query is answered. Called once all is bound. */
static omen_status finish_query(struct plan *plan, struct query *query, omen_error *error)
{
    binder_finish(&plan->binder);
    plan->rows.query = query;
    plan->rows.arena = &plan->arena;
    plan->rows.binder = &plan->binder;
    plan->rows.join_limit = settings_join_limit(&plan->session->settings);
    plan->rows.parameter_types = plan->binder.parameter_types;
    plan->rows.parameter_count = plan->binder.parameter_count;
    return query_plan_make(&plan->rows, error);
}

omen_status plan_bind_query(struct plan *plan, const PgQuery__SelectStmt *node, omen_error *error)
{
    struct query *query;
    OMEN_TRY(bind_query(&plan->binder, NULL, node, &query, error));
    return finish_query(plan, query, error);
}

static omen_status plan_select(struct plan *plan, const PgQuery__SelectStmt *node,
                               omen_error *error)
{
    plan->kind = PLAN_QUERY;
    plan->tag = "SELECT";
    plan->binder.locking = node;
    OMEN_TRY(plan_bind_query(plan, node, error));
    plan->locks_rows = plan->rows.query->locking_count > 0;
    return OMEN_OK;
}

omen_status plan_insert(struct plan *plan, const PgQuery__InsertStmt *node, omen_error *error)
{
    struct bound_insert *bound = &plan->insert.bound;
    plan->kind = PLAN_INSERT;
    plan->tag = "INSERT";
    OMEN_TRY(bind_insert(&plan->binder, node, bound, error));
    OMEN_TRY(plan_defaults(plan, bound->table, NULL, &plan->insert.defaults, error));
    if (bound->query != NULL)
        return finish_query(plan, bound->query, error);
    binder_finish(&plan->binder);
    plan->rows.reason = "it inserts rows that the core computes";
    return OMEN_OK;
}

/* An UPDATE or DELETE of one row by its key is the core's, where it reads nothing else. */
static omen_status finish_change(struct plan *plan, omen_error *error)
{
    struct bound_change *change = &plan->change;
    struct query_plan *rows = &plan->rows;
    OMEN_TRY(finish_query(plan, change->query, error));
    rows->route = ROUTE_BY_ENGINE;
    rows->lookup = NULL;
    rows->reason = "it reads more than one table";
    if (change->query->from_count > 1)
        return OMEN_OK;
    rows->reason = "a new value is more than the core computes";
    for (uint32_t i = 1; i < change->query->target_count; i++)
        if (!expression_is_evaluable(change->query->targets[i].expression))
            return OMEN_OK;
    OMEN_TRY(lookup_create(&plan->arena, change->target, change->where, &rows->lookup,
                           &rows->reason, error));
    if (rows->lookup != NULL)
        rows->route = ROUTE_BY_INDEX;
    return OMEN_OK;
}

omen_status plan_update(struct plan *plan, const PgQuery__UpdateStmt *node, omen_error *error)
{
    plan->kind = PLAN_UPDATE;
    plan->tag = "UPDATE";
    OMEN_TRY(bind_update(&plan->binder, node, &plan->change, error));
    return finish_change(plan, error);
}

omen_status plan_delete(struct plan *plan, const PgQuery__DeleteStmt *node, omen_error *error)
{
    plan->kind = PLAN_DELETE;
    plan->tag = "DELETE";
    OMEN_TRY(bind_delete(&plan->binder, node, &plan->change, error));
    return finish_change(plan, error);
}

/* --- classifying --- */

/* What a statement that is not supported is called. */
static const char *statement_name(const PgQuery__Node *node)
{
    static const struct {
        PgQuery__Node__NodeCase kind;
        const char *name;
    } names[] = {
        {PG_QUERY__NODE__NODE_ALTER_TABLE_STMT, "ALTER TABLE"},
        {PG_QUERY__NODE__NODE_RENAME_STMT, "ALTER ... RENAME"},
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
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].kind == node->node_case)
            return names[i].name;
    return "this kind of statement";
}

static omen_status plan_node(struct plan *plan, const PgQuery__Node *node, omen_error *error)
{
    plan->tag = "";
    if (node == NULL)
        return OMEN_OK; /* PLAN_EMPTY */
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        return plan_select(plan, node->select_stmt, error);
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        return plan_insert(plan, node->insert_stmt, error);
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
        return plan_update(plan, node->update_stmt, error);
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        return plan_delete(plan, node->delete_stmt, error);
    case PG_QUERY__NODE__NODE_CREATE_STMT:
        plan->tag = "CREATE TABLE";
        return plan_create_table(plan, node->create_stmt, error);
    case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT:
        return plan_create_as(plan, node->create_table_as_stmt, error);
    case PG_QUERY__NODE__NODE_DROP_STMT:
        plan->tag = "DROP TABLE";
        return plan_drop_table(plan, node->drop_stmt, error);
    case PG_QUERY__NODE__NODE_CHECK_POINT_STMT:
        plan->kind = PLAN_CHECKPOINT;
        plan->tag = "CHECKPOINT";
        return OMEN_OK;
    case PG_QUERY__NODE__NODE_COPY_STMT:
        plan->tag = "COPY";
        return plan_copy(plan, node->copy_stmt, error);
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
        return plan_set(plan, node->variable_set_stmt, error);
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
        return plan_show(plan, node->variable_show_stmt, error);
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
        return plan_transaction(plan, node->transaction_stmt, error);
    case PG_QUERY__NODE__NODE_LOCK_STMT:
        return plan_lock(plan, node->lock_stmt, error);
    default:
        return plan_refuse(error, statement_name(node));
    }
}

static omen_status plan_explain(struct plan *plan, const PgQuery__ExplainStmt *node,
                                omen_error *error)
{
    for (size_t i = 0; i < node->n_options; i++) {
        const PgQuery__Node *option = node->options[i];
        if (option->node_case == PG_QUERY__NODE__NODE_DEF_ELEM &&
            strcmp(option->def_elem->defname, "analyze") == 0)
            return plan_refuse(error, "EXPLAIN ANALYZE");
        return plan_refuse(error, "this option of EXPLAIN");
    }
    OMEN_TRY(plan_node(plan, node->query, error));
    if (plan->kind < PLAN_QUERY)
        return plan_refuse(error, "EXPLAIN of this statement");
    plan->explain = true;
    plan->tag = "EXPLAIN";
    return OMEN_OK;
}

static bool plan_writes(const struct plan *plan)
{
    switch (plan->kind) {
    case PLAN_CREATE_TABLE:
    case PLAN_CREATE_AS:
    case PLAN_DROP_TABLE:
    case PLAN_COPY:
    case PLAN_INSERT:
    case PLAN_UPDATE:
    case PLAN_DELETE:
        return !plan->explain;
    default:
        return false;
    }
}

static omen_status parse_and_plan(struct plan *plan, const char *sql, size_t length,
                                  const omen_type *declared, uint32_t declared_count,
                                  omen_error *error)
{
    const struct parsed *parsed = &plan->parsed;
    bool described;
    OMEN_TRY(plan_describe(plan, sql, length, &described, error));
    if (described)
        return OMEN_OK;
    OMEN_TRY(plan_summarize(plan, &sql, &length, declared, declared_count, error));
    OMEN_TRY(parse_statement(sql, length, &plan->arena, &plan->parsed, error));
    OMEN_TRY(start_binder(plan, declared, declared_count, error));
    const PgQuery__Node *node = parsed->statement;
    plan->ends_transaction = plan_ends_transaction(node);
    OMEN_TRY(transaction_check(plan->session, plan->ends_transaction, error));
    if (node != NULL && node->node_case == PG_QUERY__NODE__NODE_EXPLAIN_STMT)
        OMEN_TRY(plan_explain(plan, node->explain_stmt, error));
    else
        OMEN_TRY(plan_node(plan, node, error));
    plan->uses_now = plan->binder.uses_now;
    plan->writes = plan_writes(plan) || (plan->locks_rows && !plan->explain);
    for (size_t i = 0; i < plan->binder.table_count; i++)
        plan->reads_view = plan->reads_view || table_is_view(plan->binder.tables[i]);
    /* A transaction's own tables are not found by versions of the catalog. */
    if (plan->kind != PLAN_QUERY || plan->explain || plan->locks_rows ||
        plan->session->transaction.tables != NULL)
        return OMEN_OK;
    OMEN_TRY(point_query_create(&plan->rows, &plan->point, error));
    if (plan->point != NULL) {
        plan->point->catalog_version = catalog_version_place(plan->session->database->catalog);
        plan->point->catalog_version_planned = plan->catalog_version;
    }
    return OMEN_OK;
}

omen_status plan_create(struct session *session, const char *sql, size_t length,
                        const omen_type *declared, uint32_t declared_count, struct plan **out,
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
    plan->tables_version = session->transaction.tables_version;
    arena_init(&plan->arena, allocator);
    omen_status status = parse_and_plan(plan, sql, length, declared, declared_count, error);
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
    schema_release(plan->create.schema);
    table_release(plan->table);
    write_set_destroy(plan->kept);
    for (size_t i = 0; plan->kind == PLAN_LOCK && i < plan->lock.count && plan->lock.tables != NULL;
         i++)
        table_release(plan->lock.tables[i]);
    if (plan->has_binder)
        binder_release(&plan->binder);
    arena_release(&plan->arena);
    allocator_free(allocator, plan, sizeof *plan);
}
