/* plan_create_as.c - CREATE TABLE ... AS query.
 *
 * The table is made for nobody to see, its rows are gathered as an INSERT's, and both become
 * visible, and durable, in one commit: where anything fails neither was ever there.
 */
#include <string.h>

#include "query/plan.h"

static omen_status check_options(const PgQuery__CreateTableAsStmt *node, omen_error *error)
{
    const PgQuery__IntoClause *into = node->into;
    if (node->objtype != PG_QUERY__OBJECT_TYPE__OBJECT_TABLE)
        return plan_refuse(error, "CREATE MATERIALIZED VIEW");
    if (node->query == NULL || node->query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return plan_refuse(error, "CREATE TABLE AS EXECUTE");
    if (into->access_method[0] != '\0' || into->n_options > 0 ||
        into->table_space_name[0] != '\0' ||
        into->on_commit > PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_NOOP)
        return plan_refuse(error, "an option of CREATE TABLE AS");
    return plan_check_new_name(into->rel, error);
}

/* The columns: the query's outputs, under their own names or those that are listed. */
static omen_status make_schema(struct plan *plan, const PgQuery__IntoClause *into,
                               omen_error *error)
{
    const struct query *query = plan->rows.query;
    uint32_t count = query->target_count;
    if (into->n_col_names > count)
        return error_set(error, OMEN_SYNTAX_ERROR, "too many column names were specified");
    struct column_definition *columns = arena_alloc(&plan->arena, count * sizeof *columns);
    uint32_t *positions = arena_alloc(&plan->arena, count * sizeof *positions);
    if (columns == NULL || positions == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < count; i++) {
        positions[i] = i;
        columns[i] = (struct column_definition){
            .name = query->targets[i].name, .type = query->types[i], .nullable = true};
        if (i < into->n_col_names)
            columns[i].name = parse_string(into->col_names[i]);
        if (columns[i].name == NULL)
            return plan_refuse(error, "this list of columns");
    }
    plan->insert.bound = (struct bound_insert){
        .columns = positions, .column_count = count, .query = plan->rows.query};
    return schema_create(plan->session->database->allocator, columns, count, NULL, 0,
                         &plan->create.schema, error);
}

/* A query that is not run is not planned either, so that its constants may be such as fail. */
static omen_status bind_rows(struct plan *plan, const PgQuery__CreateTableAsStmt *node,
                             omen_error *error)
{
    if (!node->into->skip_data)
        return plan_bind_query(plan, node->query->select_stmt, error);
    OMEN_TRY(bind_query(&plan->binder, NULL, node->query->select_stmt, &plan->rows.query, error));
    binder_finish(&plan->binder);
    plan->rows.reason = "it makes a table without rows";
    return OMEN_OK;
}

omen_status plan_create_as(struct plan *plan, const PgQuery__CreateTableAsStmt *node,
                           omen_error *error)
{
    plan->kind = PLAN_CREATE_AS;
    plan->tag = node->into->skip_data ? "CREATE TABLE AS" : "SELECT";
    OMEN_TRY(check_options(node, error));
    plan->create.name = node->into->rel->relname;
    plan->create.missing_only = node->if_not_exists;
    plan->create.empty = node->into->skip_data;
    OMEN_TRY(bind_rows(plan, node, error));
    return make_schema(plan, node->into, error);
}

/* Looked up before the query runs: it may take long. The commit looks again. */
static omen_status find_taken(const struct plan *plan, bool *taken, omen_error *error)
{
    struct table *table;
    omen_error unused;
    const char *name = plan->create.name;
    omen_status status = transaction_find_table(plan->session, name, strlen(name), &table, &unused);
    *taken = status == OMEN_OK;
    table_release(table);
    if (!*taken || plan->create.missing_only)
        return OMEN_OK;
    return error_set(error, OMEN_DUPLICATE_TABLE, "relation \"%s\" already exists", name);
}

static omen_status fill_and_list(struct plan *plan, struct run *run, struct table *table,
                                 uint64_t *rows, omen_error *error)
{
    struct write_set *set;
    omen_status status = write_set_create(table, &set);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    plan->insert.bound.table = table;
    if (!plan->create.empty)
        status = insert_gather(plan, run, set, error);
    plan->insert.bound.table = NULL;
    if (status == OMEN_OK)
        status = transaction_create_filled(plan->session, table, set, run->deadline_ns, error);
    if (status == OMEN_OK)
        *rows = write_set_row_count(set);
    write_set_destroy(set);
    return status;
}

omen_status create_as_run(struct plan *plan, struct run *run, uint64_t *rows, omen_error *error)
{
    struct database *database = plan->session->database;
    struct table *table;
    omen_error failure = {.status = OMEN_OK};
    bool taken;
    run->route = ROUTE_BY_CORE;
    OMEN_TRY(find_taken(plan, &taken, error));
    if (taken)
        return OMEN_OK;
    omen_status status = table_create(database->allocator, database->manager, plan->create.name,
                                      plan->create.schema, &table);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    status = fill_and_list(plan, run, table, rows, &failure);
    table_release(table);
    if (status == OMEN_DUPLICATE_TABLE && plan->create.missing_only)
        return OMEN_OK;
    if (status != OMEN_OK && error != NULL)
        *error = failure;
    return status;
}
