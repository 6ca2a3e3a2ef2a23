/* plan_insert.c - INSERT ... VALUES: rows of constants and parameters, written at once.
 *
 * Constants are cast to their columns when planning, so that running a prepared INSERT casts
 * only its parameters.
 */
#include <string.h>

#include "query/defaults.h"
#include "query/plan.h"

/* What a list of expressions assigns to. */
struct target {
    uint32_t *columns;
    uint32_t column_count;
    bool listed; /* the statement names them */
};

static omen_status add_parameter(struct plan *plan, uint32_t row, uint32_t column,
                                 const struct constant *constant, uint32_t *capacity,
                                 omen_error *error)
{
    struct insert_plan *insert = &plan->insert;
    if (insert->parameter_count == *capacity) {
        *capacity = *capacity == 0 ? 16 : *capacity * 2;
        struct insert_parameter *larger = arena_alloc(&plan->arena, *capacity * sizeof *larger);
        if (larger == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        if (insert->parameter_count > 0)
            memcpy(larger, insert->parameters, insert->parameter_count * sizeof *larger);
        insert->parameters = larger;
    }
    insert->parameters[insert->parameter_count++] =
        (struct insert_parameter){.row = row, .column = column, .constant = *constant};
    return OMEN_OK;
}

static omen_status plan_cell(struct plan *plan, uint32_t row, uint32_t column,
                             const PgQuery__Node *node, uint32_t *capacity, omen_error *error)
{
    const struct column_definition *definition = &table_schema(plan->table)->columns[column];
    struct constant constant;
    bool is_constant;
    if (node->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT)
        return OMEN_OK; /* the row has it already */
    omen_status status = constant_from_node(node, &plan->arena, &constant, &is_constant, error);
    if (status == OMEN_OK && !is_constant)
        return plan_refuse(error, "an expression in VALUES");
    if (status == OMEN_OK && constant.kind == CONSTANT_PARAMETER)
        return add_parameter(plan, row, column, &constant, capacity, error);
    if (status == OMEN_OK)
        status = constant_assign(
            &constant, definition->type, definition->name, &plan->arena,
            &plan->insert.values[(size_t)row * plan->insert.column_count + column], error);
    if (status != OMEN_OK && status != OMEN_OUT_OF_MEMORY)
        parse_set_position(&plan->parsed, constant.location, error);
    return status;
}

static omen_status plan_row(struct plan *plan, uint32_t row, const PgQuery__List *list,
                            const struct target *target, uint32_t *capacity, omen_error *error)
{
    if (list->n_items > target->column_count)
        return error_set(error, OMEN_SYNTAX_ERROR,
                         "INSERT has more expressions than target columns");
    if (list->n_items < target->column_count && target->listed)
        return error_set(error, OMEN_SYNTAX_ERROR,
                         "INSERT has more target columns than expressions");
    for (uint32_t i = 0; i < list->n_items; i++)
        OMEN_TRY(plan_cell(plan, row, target->columns[i], list->items[i], capacity, error));
    return OMEN_OK;
}

static omen_status make_rows(struct plan *plan, size_t row_count, omen_error *error)
{
    const struct schema *schema = table_schema(plan->table);
    struct insert_plan *insert = &plan->insert;
    insert->row_count = (uint32_t)row_count;
    insert->column_count = schema->column_count;
    size_t cells = row_count * schema->column_count;
    insert->values = arena_alloc(&plan->arena, cells * sizeof *insert->values);
    insert->row = arena_alloc(&plan->arena, schema->column_count * sizeof *insert->row);
    if (insert->values == NULL || insert->row == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < schema->column_count; i++)
        OMEN_TRY(default_value(plan, &schema->columns[i], &insert->values[i], error));
    for (size_t row = 1; row < row_count; row++)
        memcpy(insert->values + row * schema->column_count, insert->values,
               schema->column_count * sizeof *insert->values);
    return OMEN_OK;
}

static omen_status check_clauses(const PgQuery__InsertStmt *node, omen_error *error)
{
    if (node->on_conflict_clause != NULL)
        return plan_refuse(error, "ON CONFLICT");
    if (node->n_returning_list > 0)
        return plan_refuse(error, "RETURNING");
    if (node->with_clause != NULL)
        return plan_refuse(error, "INSERT with WITH");
    if (node->override > PG_QUERY__OVERRIDING_KIND__OVERRIDING_NOT_SET)
        return plan_refuse(error, "OVERRIDING");
    if (node->select_stmt == NULL)
        return OMEN_OK; /* DEFAULT VALUES */
    const PgQuery__SelectStmt *select =
        node->select_stmt->node_case == PG_QUERY__NODE__NODE_SELECT_STMT
            ? node->select_stmt->select_stmt
            : NULL;
    if (select == NULL || select->n_values_lists == 0 || select->n_sort_clause > 0 ||
        select->limit_count != NULL || select->limit_offset != NULL ||
        select->with_clause != NULL || select->n_locking_clause > 0)
        return plan_refuse(error, "INSERT from a query");
    return OMEN_OK;
}

omen_status plan_insert(struct plan *plan, const PgQuery__InsertStmt *node, omen_error *error)
{
    struct target target;
    uint32_t capacity = 0;
    OMEN_TRY(check_clauses(node, error));
    OMEN_TRY(plan_find_table(plan, node->relation, error));
    OMEN_TRY(
        plan_columns(plan, node->cols, node->n_cols, &target.columns, &target.column_count, error));
    target.listed = node->n_cols > 0;
    size_t row_count =
        node->select_stmt == NULL ? 1 : node->select_stmt->select_stmt->n_values_lists;
    OMEN_TRY(make_rows(plan, row_count, error));
    for (uint32_t row = 0; node->select_stmt != NULL && row < row_count; row++) {
        PgQuery__Node *list = node->select_stmt->select_stmt->values_lists[row];
        PgQuery__Node *first = node->select_stmt->select_stmt->values_lists[0];
        if (list->node_case != PG_QUERY__NODE__NODE_LIST)
            return plan_refuse(error, "this form of VALUES");
        if (list->list->n_items != first->list->n_items)
            return error_set(error, OMEN_SYNTAX_ERROR, "VALUES lists must all be the same length");
        OMEN_TRY(plan_row(plan, row, list->list, &target, &capacity, error));
    }
    plan->kind = PLAN_INSERT;
    return OMEN_OK;
}

/* Fills the row's parameters in. `*next` is the first parameter of this row or later. */
static omen_status bind_row(struct plan *plan, uint32_t row, uint32_t *next,
                            const omen_value *parameters, struct arena *scratch, omen_error *error)
{
    struct insert_plan *insert = &plan->insert;
    const struct schema *schema = table_schema(plan->table);
    for (; *next < insert->parameter_count && insert->parameters[*next].row == row; ++*next) {
        const struct insert_parameter *parameter = &insert->parameters[*next];
        const struct column_definition *column = &schema->columns[parameter->column];
        struct constant constant = parameter->constant;
        OMEN_TRY(constant_bind(&constant, parameters, scratch, error));
        OMEN_TRY(constant_assign(&constant, column->type, column->name, scratch,
                                 &insert->row[parameter->column], error));
    }
    return OMEN_OK;
}

omen_status insert_run(struct plan *plan, const omen_value *parameters, struct arena *scratch,
                       uint64_t *rows, omen_error *error)
{
    struct insert_plan *insert = &plan->insert;
    struct write_set *set;
    omen_status status = write_set_create(plan->table, &set);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    uint32_t next = 0;
    for (uint32_t row = 0; row < insert->row_count && status == OMEN_OK; row++) {
        if (insert->column_count > 0)
            memcpy(insert->row, insert->values + (size_t)row * insert->column_count,
                   insert->column_count * sizeof *insert->row);
        status = bind_row(plan, row, &next, parameters, scratch, error);
        if (status == OMEN_OK)
            status = write_set_insert(set, insert->row, error);
    }
    if (status == OMEN_OK)
        status = write_set_commit(set, false, error);
    write_set_destroy(set);
    if (status == OMEN_OK)
        *rows = insert->row_count;
    return status;
}
