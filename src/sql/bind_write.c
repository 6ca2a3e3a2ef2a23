/* bind_write.c - INSERT, UPDATE, DELETE.
 *
 * INSERT of rows that the core can compute keeps them as expressions; every other INSERT becomes a
 * query whose outputs have the columns' types. UPDATE and DELETE become a query too, of the rows
 * to change:
 *
 *   UPDATE t SET a = x + 1 FROM u WHERE c   ->   SELECT t.row id, x + 1 FROM t, u WHERE c
 */
#include <string.h>

#include "sql/bind_query_private.h"

/* --- what all three share --- */

/* WITH in front of the statement: `scope` sees its queries, `query` holds them. */
static omen_status bind_statement_with(struct binder *binder, const PgQuery__WithClause *node,
                                       struct scope *scope, struct query *query, omen_error *error)
{
    return node == NULL ? OMEN_OK : bind_with(binder, scope, node, query, error);
}

/* Puts the WITH queries of the statement before those of the query it became. */
static omen_status add_ctes(struct binder *binder, struct query *query, const struct query *with,
                            omen_error *error)
{
    uint32_t count = with->cte_count + query->cte_count;
    if (with->cte_count == 0)
        return OMEN_OK;
    struct cte **ctes = bind_alloc(binder, count * sizeof(struct cte *), error);
    if (ctes == NULL)
        return OMEN_OUT_OF_MEMORY;
    memcpy(ctes, with->ctes, with->cte_count * sizeof(struct cte *));
    if (query->cte_count > 0)
        memcpy(ctes + with->cte_count, query->ctes, query->cte_count * sizeof(struct cte *));
    query->ctes = ctes;
    query->cte_count = count;
    return OMEN_OK;
}

static omen_status find_column(struct binder *binder, const struct table *table,
                               const PgQuery__ResTarget *node, uint32_t *column, omen_error *error)
{
    int32_t found = schema_find(table_schema(table), node->name, strlen(node->name));
    if (found < 0) {
        bind_fail(binder, node->location, error, OMEN_UNDEFINED_COLUMN,
                  "column \"%s\" of relation \"%s\" does not exist", node->name, table_name(table));
        schema_suggest(table_schema(table), node->name, error);
        return OMEN_UNDEFINED_COLUMN;
    }
    if (node->n_indirection > 0)
        return bind_refuse(binder, node->location, "writing to a part of a column", error);
    *column = (uint32_t)found;
    return OMEN_OK;
}

omen_status bind_column_default(struct binder *binder, const struct column_definition *column,
                                struct expression **out, omen_error *error)
{
    static const char select[] = "SELECT ";
    struct parsed parsed;
    if (column->default_text == NULL) {
        *out = bind_alloc(binder, sizeof **out, error);
        if (*out == NULL)
            return OMEN_OUT_OF_MEMORY;
        **out = (struct expression){.kind = EXPRESSION_CONSTANT,
                                    .type = column->type,
                                    .location = -1,
                                    .value = {.type = column->type, .is_null = true}};
        return OMEN_OK;
    }
    size_t length = sizeof select - 1 + strlen(column->default_text);
    char *sql = bind_alloc(binder, length + 1, error);
    if (sql == NULL)
        return OMEN_OUT_OF_MEMORY;
    memcpy(sql, select, sizeof select - 1);
    memcpy(sql + sizeof select - 1, column->default_text, length - (sizeof select - 1));
    OMEN_TRY(parse_statement(sql, length, binder->arena, &parsed, error));
    const PgQuery__Node *target = parsed.statement->select_stmt->target_list[0];
    return bind_default(binder, target->res_target->val, column->type, column->name, out, error);
}

/* A query of one SELECT without anything but these outputs, of their columns' types. */
static omen_status make_select(struct binder *binder, uint32_t target_count, struct query **out,
                               omen_error *error)
{
    struct query *query = bind_alloc(binder, sizeof *query, error);
    if (query == NULL)
        return OMEN_OUT_OF_MEMORY;
    query->target_count = target_count;
    query->targets = bind_alloc(binder, target_count * sizeof *query->targets, error);
    query->types = bind_alloc(binder, target_count * sizeof *query->types, error);
    if (query->targets == NULL || query->types == NULL)
        return OMEN_OUT_OF_MEMORY;
    *out = query;
    return OMEN_OK;
}

/* --- INSERT --- */

struct inserting {
    struct binder *binder;
    const PgQuery__InsertStmt *node;
    struct bound_insert *insert;
    struct scope around; /* the statement's WITH queries */
    struct query with;
};

static const struct column_definition *column_at(const struct inserting *inserting, uint32_t i)
{
    return &table_schema(inserting->insert->table)->columns[inserting->insert->columns[i]];
}

static omen_status list_columns(struct inserting *inserting, omen_error *error)
{
    const PgQuery__InsertStmt *node = inserting->node;
    struct bound_insert *insert = inserting->insert;
    struct binder *binder = inserting->binder;
    insert->column_count =
        node->n_cols > 0 ? (uint32_t)node->n_cols : table_schema(insert->table)->column_count;
    insert->columns = bind_alloc(binder, insert->column_count * sizeof *insert->columns, error);
    if (insert->columns == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < insert->column_count; i++) {
        insert->columns[i] = i;
        if (node->n_cols == 0)
            continue;
        const PgQuery__ResTarget *target = node->cols[i]->res_target;
        OMEN_TRY(find_column(binder, insert->table, target, &insert->columns[i], error));
        for (uint32_t j = 0; j < i; j++)
            if (insert->columns[j] == insert->columns[i])
                return bind_fail(binder, target->location, error, OMEN_DUPLICATE_COLUMN,
                                 "column \"%s\" specified more than once", target->name);
    }
    return OMEN_OK;
}

/* `count` values stand against the columns; fewer are fine where no columns are listed. */
static omen_status check_count(struct inserting *inserting, size_t count, int extra_location,
                               omen_error *error)
{
    struct bound_insert *insert = inserting->insert;
    if (count > insert->column_count)
        return bind_fail(inserting->binder, extra_location, error, OMEN_SYNTAX_ERROR,
                         "INSERT has more expressions than target columns");
    if (count < insert->column_count && inserting->node->n_cols > 0)
        return bind_fail(inserting->binder, bind_location(inserting->node->cols[count]), error,
                         OMEN_SYNTAX_ERROR, "INSERT has more target columns than expressions");
    insert->column_count = (uint32_t)count;
    return OMEN_OK;
}

static omen_status bind_insert_row(struct inserting *inserting, struct scope *scope,
                                   const PgQuery__List *list, struct expression **cells,
                                   bool *evaluable, omen_error *error)
{
    struct binder *binder = inserting->binder;
    for (size_t i = 0; i < list->n_items; i++) {
        const PgQuery__Node *item = list->items[i];
        const struct column_definition *column = column_at(inserting, (uint32_t)i);
        struct expression *expression;
        if (item->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT)
            continue;
        OMEN_TRY(bind_expression_for(binder, scope, item, column->type, &expression, error));
        OMEN_TRY(bind_coerce(binder, expression, column->type, CONTEXT_ASSIGNMENT, column->name,
                             &cells[i], error));
        *evaluable = *evaluable && expression_is_evaluable(cells[i]);
    }
    return OMEN_OK;
}

/* Rows with parts that only the engine computes: a VALUES query. */
static omen_status rows_to_query(struct inserting *inserting, omen_error *error)
{
    struct bound_insert *insert = inserting->insert;
    struct query *query;
    OMEN_TRY(make_select(inserting->binder, insert->column_count, &query, error));
    query->kind = QUERY_VALUES;
    query->rows = insert->rows;
    query->row_count = insert->row_count;
    for (uint32_t i = 0; i < insert->column_count; i++) {
        const struct column_definition *column = column_at(inserting, i);
        query->targets[i].name = column->name;
        query->types[i] = column->type;
        for (uint32_t row = 0; row < insert->row_count; row++)
            if (insert->rows[row][i] == NULL)
                OMEN_TRY(
                    bind_column_default(inserting->binder, column, &insert->rows[row][i], error));
    }
    insert->query = query;
    insert->rows = NULL;
    insert->row_count = 0;
    return add_ctes(inserting->binder, query, &inserting->with, error);
}

static omen_status bind_insert_rows(struct inserting *inserting, PgQuery__Node *const *lists,
                                    size_t count, omen_error *error)
{
    struct binder *binder = inserting->binder;
    struct bound_insert *insert = inserting->insert;
    struct scope scope = inserting->around;
    bool evaluable = true;
    scope.clause = "VALUES";
    insert->rows = bind_alloc(binder, count * sizeof(struct expression **), error);
    if (insert->rows == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (size_t row = 0; row < count; row++) {
        if (lists[row]->node_case != PG_QUERY__NODE__NODE_LIST)
            return bind_refuse(binder, -1, "this form of VALUES", error);
        const PgQuery__List *list = lists[row]->list;
        if (row > 0 && list->n_items != lists[0]->list->n_items)
            return bind_fail(binder, list->n_items > 0 ? bind_location(list->items[0]) : -1, error,
                             OMEN_SYNTAX_ERROR, "VALUES lists must all be the same length");
        if (row == 0)
            OMEN_TRY(check_count(inserting, list->n_items,
                                 list->n_items > insert->column_count
                                     ? bind_location(list->items[insert->column_count])
                                     : -1,
                                 error));
        insert->rows[row] =
            bind_alloc(binder, insert->column_count * sizeof(struct expression *), error);
        if (insert->rows[row] == NULL)
            return OMEN_OUT_OF_MEMORY;
        OMEN_TRY(bind_insert_row(inserting, &scope, list, insert->rows[row], &evaluable, error));
    }
    insert->row_count = (uint32_t)count;
    return evaluable ? OMEN_OK : rows_to_query(inserting, error);
}

static omen_status bind_insert_query(struct inserting *inserting, const PgQuery__SelectStmt *node,
                                     omen_error *error)
{
    struct binder *binder = inserting->binder;
    struct bound_insert *insert = inserting->insert;
    struct query *query;
    OMEN_TRY(bind_query_outputs(binder, &inserting->around, node, false, &query, error));
    int extra = query->target_count > insert->column_count
                    ? bind_target_location(query, insert->column_count)
                    : -1;
    OMEN_TRY(check_count(inserting, query->target_count, extra, error));
    omen_type *types = bind_alloc(binder, query->target_count * sizeof *types, error);
    const char **names = bind_alloc(binder, query->target_count * sizeof(const char *), error);
    if (types == NULL || names == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < query->target_count; i++) {
        types[i] = column_at(inserting, i)->type;
        names[i] = column_at(inserting, i)->name;
    }
    OMEN_TRY(bind_cast_outputs(binder, &query, types, CONTEXT_ASSIGNMENT, names, error));
    insert->query = query;
    return add_ctes(binder, query, &inserting->with, error);
}

/* VALUES with clauses of its own is a query like any other. */
static bool is_plain_values(const PgQuery__SelectStmt *node)
{
    return node->n_values_lists > 0 && node->n_sort_clause == 0 && node->limit_count == NULL &&
           node->limit_offset == NULL && node->with_clause == NULL && node->n_locking_clause == 0;
}

/* The target's name means nothing in the statement: an error that says so. */
static omen_status hide_target(struct inserting *inserting, omen_error *error)
{
    const PgQuery__RangeVar *name = inserting->node->relation;
    struct relation *target = bind_alloc(inserting->binder, sizeof *target, error);
    struct relation **hidden = bind_alloc(inserting->binder, sizeof(struct relation *), error);
    if (target == NULL || hidden == NULL)
        return OMEN_OUT_OF_MEMORY;
    target->alias = name->alias != NULL ? name->alias->aliasname : name->relname;
    hidden[0] = target;
    inserting->around.hidden = hidden;
    inserting->around.hidden_count = 1;
    return OMEN_OK;
}

omen_status bind_insert(struct binder *binder, const PgQuery__InsertStmt *node,
                        struct bound_insert *out, omen_error *error)
{
    struct inserting inserting = {.binder = binder, .node = node, .insert = out};
    memset(out, 0, sizeof *out);
    if (node->on_conflict_clause != NULL)
        return bind_refuse(binder, -1, "ON CONFLICT", error);
    if (node->override > PG_QUERY__OVERRIDING_KIND__OVERRIDING_NOT_SET)
        return bind_refuse(binder, -1, "OVERRIDING", error);
    if (node->n_returning_list > 0)
        return bind_refuse(binder, -1, "RETURNING", error);
    OMEN_TRY(
        bind_statement_with(binder, node->with_clause, &inserting.around, &inserting.with, error));
    OMEN_TRY(bind_table(binder, node->relation, &out->table, error));
    OMEN_TRY(hide_target(&inserting, error));
    OMEN_TRY(list_columns(&inserting, error));
    if (node->select_stmt == NULL) { /* DEFAULT VALUES: one row of nothing */
        out->column_count = 0;
        out->row_count = 1;
        out->rows = bind_alloc(binder, sizeof(struct expression **), error);
        return out->rows != NULL ? OMEN_OK : OMEN_OUT_OF_MEMORY;
    }
    if (node->select_stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return bind_refuse(binder, -1, "INSERT from this", error);
    const PgQuery__SelectStmt *select = node->select_stmt->select_stmt;
    if (is_plain_values(select))
        return bind_insert_rows(&inserting, select->values_lists, select->n_values_lists, error);
    return bind_insert_query(&inserting, select, error);
}

/* --- UPDATE and DELETE --- */

/* The query of the rows to change: its FROM, target first, and its WHERE. */
static omen_status bind_changed_rows(struct binder *binder, const PgQuery__RangeVar *relation,
                                     PgQuery__Node *const *from, size_t from_count,
                                     const PgQuery__Node *where, const PgQuery__WithClause *with,
                                     struct scope *scope, struct bound_change *out,
                                     omen_error *error)
{
    struct from_names names = {0};
    struct from_item **items;
    uint32_t item_count = 0;
    memset(out, 0, sizeof *out);
    out->query = bind_alloc(binder, sizeof *out->query, error);
    if (out->query == NULL)
        return OMEN_OUT_OF_MEMORY;
    OMEN_TRY(bind_statement_with(binder, with, scope, out->query, error));
    OMEN_TRY(bind_table_relation(binder, relation, true, &out->target, error));
    out->table = out->target->table;
    OMEN_TRY(bind_add_names(binder, &names, out->target, error));
    bind_show_names(scope, &names);
    OMEN_TRY(bind_from(binder, scope, from, from_count, &items, &item_count, error));
    out->query->from = bind_alloc(binder, (item_count + 1) * sizeof(struct from_item *), error);
    if (out->query->from == NULL)
        return OMEN_OUT_OF_MEMORY;
    OMEN_TRY(bind_leaf(binder, out->target, &out->query->from[0], error));
    if (item_count > 0)
        memcpy(out->query->from + 1, items, item_count * sizeof(struct from_item *));
    out->query->from_count = item_count + 1;
    scope->clause = "WHERE";
    if (where != NULL)
        OMEN_TRY(bind_condition(binder, scope, where, &out->where, error));
    out->query->where = out->where;
    return OMEN_OK;
}

/* The outputs: the row's id, then what its columns get. */
static omen_status finish_change(struct binder *binder, struct bound_change *change,
                                 omen_error *error)
{
    const struct schema *schema = table_schema(change->table);
    struct query *query = change->query, *outputs;
    OMEN_TRY(make_select(binder, change->column_count + 1, &outputs, error));
    query->targets = outputs->targets;
    query->types = outputs->types;
    query->target_count = outputs->target_count;
    query->targets[0].name = "row_id";
    query->targets[0].expression =
        bind_column_use(binder, change->target, change->target->column_count, 0, -1, error);
    if (query->targets[0].expression == NULL)
        return OMEN_OUT_OF_MEMORY;
    query->types[0] = query->targets[0].expression->type;
    for (uint32_t i = 0; i < change->column_count; i++) {
        const struct column_definition *column = &schema->columns[change->columns[i]];
        struct target *target = &query->targets[i + 1];
        target->name = column->name;
        target->expression = change->values[i];
        if (target->expression == NULL)
            OMEN_TRY(bind_column_default(binder, column, &target->expression, error));
        query->types[i + 1] = column->type;
    }
    return OMEN_OK;
}

/* What a SET item assigns: its own expression, or its part of (a, b) = (x, y). */
static omen_status assigned_node(struct binder *binder, const PgQuery__ResTarget *target,
                                 const PgQuery__Node **out, omen_error *error)
{
    *out = target->val;
    if (target->val->node_case != PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF)
        return OMEN_OK;
    const PgQuery__MultiAssignRef *multiple = target->val->multi_assign_ref;
    const PgQuery__Node *source = multiple->source;
    if (source->node_case != PG_QUERY__NODE__NODE_ROW_EXPR)
        return source->node_case == PG_QUERY__NODE__NODE_SUB_LINK
                   ? bind_refuse(binder, bind_location(source), "SET (...) = (SELECT ...)", error)
                   : bind_fail(binder, bind_location(source), error, OMEN_NOT_SUPPORTED,
                               "source for a multiple-column UPDATE item must be a sub-SELECT or "
                               "ROW() expression");
    if (source->row_expr->n_args != (size_t)multiple->ncolumns)
        return bind_fail(binder, bind_location(source), error, OMEN_SYNTAX_ERROR,
                         "number of columns does not match number of values");
    *out = source->row_expr->args[multiple->colno - 1];
    return OMEN_OK;
}

/* The type of the column that is set; none where there is no such column. */
static omen_type assigned_type(const struct table *table, const PgQuery__ResTarget *node)
{
    const struct schema *schema = table_schema(table);
    int32_t column = schema_find(schema, node->name, strlen(node->name));
    return column < 0 ? (omen_type){.id = OMEN_TYPE_NONE} : schema->columns[column].type;
}

static omen_status bind_assignments(struct binder *binder, struct scope *scope,
                                    const PgQuery__UpdateStmt *node, struct bound_change *out,
                                    omen_error *error)
{
    struct expression **values = out->values;
    scope->clause = "UPDATE";
    for (size_t i = 0; i < node->n_target_list; i++) {
        const PgQuery__Node *value;
        OMEN_TRY(assigned_node(binder, node->target_list[i]->res_target, &value, error));
        if (value->node_case != PG_QUERY__NODE__NODE_SET_TO_DEFAULT)
            OMEN_TRY(bind_expression_for(
                binder, scope, value, assigned_type(out->table, node->target_list[i]->res_target),
                &values[i], error));
    }
    for (uint32_t i = 0; i < out->column_count; i++) {
        const PgQuery__ResTarget *target = node->target_list[i]->res_target;
        OMEN_TRY(find_column(binder, out->table, target, &out->columns[i], error));
        const struct column_definition *column =
            &table_schema(out->table)->columns[out->columns[i]];
        if (values[i] != NULL)
            OMEN_TRY(bind_coerce(binder, values[i], column->type, CONTEXT_ASSIGNMENT, column->name,
                                 &values[i], error));
    }
    for (uint32_t i = 0; i < out->column_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (out->columns[i] == out->columns[j])
                return error_set(error, OMEN_SYNTAX_ERROR,
                                 "multiple assignments to same column \"%s\"",
                                 table_schema(out->table)->columns[out->columns[i]].name);
    return OMEN_OK;
}

omen_status bind_update(struct binder *binder, const PgQuery__UpdateStmt *node,
                        struct bound_change *out, omen_error *error)
{
    struct scope scope = {0};
    if (node->n_returning_list > 0)
        return bind_refuse(binder, -1, "RETURNING", error);
    OMEN_TRY(bind_changed_rows(binder, node->relation, node->from_clause, node->n_from_clause,
                               node->where_clause, node->with_clause, &scope, out, error));
    out->column_count = (uint32_t)node->n_target_list;
    out->columns = bind_alloc(binder, node->n_target_list * sizeof *out->columns, error);
    out->values = bind_alloc(binder, node->n_target_list * sizeof(struct expression *), error);
    if (out->columns == NULL || out->values == NULL)
        return OMEN_OUT_OF_MEMORY;
    OMEN_TRY(bind_assignments(binder, &scope, node, out, error));
    return finish_change(binder, out, error);
}

omen_status bind_delete(struct binder *binder, const PgQuery__DeleteStmt *node,
                        struct bound_change *out, omen_error *error)
{
    struct scope scope = {0};
    if (node->n_returning_list > 0)
        return bind_refuse(binder, -1, "RETURNING", error);
    OMEN_TRY(bind_changed_rows(binder, node->relation, node->using_clause, node->n_using_clause,
                               node->where_clause, node->with_clause, &scope, out, error));
    return finish_change(binder, out, error);
}
