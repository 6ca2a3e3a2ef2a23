/* plan_select.c - which queries the core answers itself, and answering them.
 *
 * A point query is `SELECT columns FROM table WHERE key = constant [AND ...]` with nothing else:
 * every key column is fixed by constants whose comparison with it the core decides exactly as
 * PostgreSQL does (constant_match). All other queries go to the engine as they are written.
 */
#include <stdio.h>
#include <string.h>

#include "column/float_order.h"
#include "column/key.h"
#include "query/plan.h"

/* --- recognising a point query --- */

enum { CONJUNCTS_MAX = 256 };

struct shape {
    const char *alias; /* what qualifies columns */
    const PgQuery__AExpr *comparisons[CONJUNCTS_MAX];
    size_t comparison_count;
};

/* Why a SELECT is no point query by its clauses; NULL where it may be one. */
static const char *foreign_clause(const PgQuery__SelectStmt *node)
{
    if (node->n_values_lists > 0)
        return "VALUES";
    if (node->op > PG_QUERY__SET_OPERATION__SETOP_NONE)
        return "a set operation";
    if (node->with_clause != NULL)
        return "WITH";
    if (node->n_from_clause != 1 ||
        node->from_clause[0]->node_case != PG_QUERY__NODE__NODE_RANGE_VAR)
        return "not one plain table";
    if (node->n_group_clause > 0 || node->having_clause != NULL)
        return "grouping";
    if (node->n_distinct_clause > 0)
        return "DISTINCT";
    if (node->n_sort_clause > 0)
        return "ORDER BY";
    if (node->limit_count != NULL || node->limit_offset != NULL)
        return "LIMIT or OFFSET";
    if (node->n_window_clause > 0)
        return "a window";
    const PgQuery__RangeVar *table = node->from_clause[0]->range_var;
    if (table->alias != NULL && table->alias->n_colnames > 0)
        return "renamed columns";
    return node->where_clause == NULL ? "no condition on the key" : NULL;
}

/* Collects the AND-ed comparisons of a condition; false where there is anything else. */
static bool collect_comparisons(struct shape *shape, const PgQuery__Node *node)
{
    if (node->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR) {
        const PgQuery__BoolExpr *expression = node->bool_expr;
        if (expression->boolop != PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR)
            return false;
        for (size_t i = 0; i < expression->n_args; i++)
            if (!collect_comparisons(shape, expression->args[i]))
                return false;
        return true;
    }
    if (node->node_case != PG_QUERY__NODE__NODE_A_EXPR)
        return false;
    const PgQuery__AExpr *expression = node->a_expr;
    const char *name = expression->n_name == 1 ? parse_string(expression->name[0]) : NULL;
    if (expression->kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP || name == NULL ||
        strcmp(name, "=") != 0 || expression->lexpr == NULL || expression->rexpr == NULL ||
        shape->comparison_count == CONJUNCTS_MAX)
        return false;
    shape->comparisons[shape->comparison_count++] = expression;
    return true;
}

/* The column a reference names: its position, -1 where there is none of this name, -2 where it
 * is no plain reference to a column of this table. */
static int32_t resolve_column(const struct plan *plan, const struct shape *shape,
                              const PgQuery__Node *node, const char **name)
{
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return -2;
    const PgQuery__ColumnRef *reference = node->column_ref;
    *name = NULL;
    if (reference->n_fields == 1) {
        *name = parse_string(reference->fields[0]);
    } else if (reference->n_fields == 2) {
        const char *qualifier = parse_string(reference->fields[0]);
        if (qualifier != NULL && strcmp(qualifier, shape->alias) == 0)
            *name = parse_string(reference->fields[1]);
    }
    if (*name == NULL)
        return -2;
    int32_t column = schema_find(table_schema(plan->table), *name, strlen(*name));
    /* The table's own name as a column means its whole row. */
    return column < 0 && strcmp(*name, shape->alias) == 0 ? -2 : column;
}

static omen_status undefined_column(const struct plan *plan, const PgQuery__Node *node,
                                    const char *name, omen_error *error)
{
    error_set(error, OMEN_UNDEFINED_COLUMN, "column \"%s\" does not exist", name);
    parse_set_position(&plan->parsed, node->column_ref->location, error);
    return OMEN_UNDEFINED_COLUMN;
}

/* --- output columns --- */

static omen_status add_output(struct plan *plan, uint32_t column, const char *name,
                              uint32_t *capacity, omen_error *error)
{
    struct point_plan *point = &plan->point;
    if (point->column_count == *capacity) {
        *capacity = *capacity == 0 ? 16 : *capacity * 2;
        uint32_t *columns = arena_alloc(&plan->arena, *capacity * sizeof *columns);
        const char **names = arena_alloc(&plan->arena, *capacity * sizeof *names);
        if (columns == NULL || names == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        if (point->column_count > 0) {
            memcpy(columns, point->columns, point->column_count * sizeof *columns);
            memcpy(names, point->names, point->column_count * sizeof *names);
        }
        point->columns = columns;
        point->names = names;
    }
    point->columns[point->column_count] = column;
    point->names[point->column_count++] = name;
    return OMEN_OK;
}

static bool is_star(const struct shape *shape, const PgQuery__Node *node)
{
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return false;
    const PgQuery__ColumnRef *reference = node->column_ref;
    if (reference->n_fields == 0 ||
        reference->fields[reference->n_fields - 1]->node_case != PG_QUERY__NODE__NODE_A_STAR)
        return false;
    if (reference->n_fields == 1)
        return true;
    const char *qualifier = parse_string(reference->fields[0]);
    return reference->n_fields == 2 && qualifier != NULL && strcmp(qualifier, shape->alias) == 0;
}

/* `*matches` is false where an output is more than a plain column. */
static omen_status plan_outputs(struct plan *plan, const struct shape *shape,
                                const PgQuery__SelectStmt *node, bool *matches, omen_error *error)
{
    const struct schema *schema = table_schema(plan->table);
    uint32_t capacity = 0;
    *matches = node->n_target_list > 0;
    for (size_t i = 0; i < node->n_target_list && *matches; i++) {
        const PgQuery__Node *target = node->target_list[i];
        const char *name;
        *matches =
            target->node_case == PG_QUERY__NODE__NODE_RES_TARGET && target->res_target->val != NULL;
        if (!*matches)
            break;
        const PgQuery__Node *value = target->res_target->val;
        if (is_star(shape, value)) {
            for (uint32_t column = 0; column < schema->column_count; column++)
                OMEN_TRY(add_output(plan, column, schema->columns[column].name, &capacity, error));
            continue;
        }
        int32_t column = resolve_column(plan, shape, value, &name);
        if (column == -1)
            return undefined_column(plan, value, name, error);
        *matches = column >= 0;
        if (target->res_target->name[0] != '\0')
            name = target->res_target->name;
        if (*matches)
            OMEN_TRY(add_output(plan, (uint32_t)column, name, &capacity, error));
    }
    return OMEN_OK;
}

/* --- conditions --- */

static int32_t key_position(const struct schema *schema, int32_t column)
{
    for (uint32_t i = 0; i < schema->key_count && !schema->key_hidden; i++)
        if ((int32_t)schema->key_columns[i] == column)
            return (int32_t)i;
    return -1;
}

/* Reads one comparison into the next conjunct. `*matches` is false where it is none of a key
 * column with a constant. */
static omen_status plan_conjunct(struct plan *plan, const struct shape *shape,
                                 const PgQuery__AExpr *node, bool *matches, omen_error *error)
{
    const struct schema *schema = table_schema(plan->table);
    struct point_plan *point = &plan->point;
    struct key_conjunct *conjunct = &point->conjuncts[point->conjunct_count];
    const PgQuery__Node *reference = node->lexpr, *other = node->rexpr;
    const char *name;
    if (reference->node_case != PG_QUERY__NODE__NODE_COLUMN_REF) {
        reference = node->rexpr;
        other = node->lexpr;
    }
    int32_t column = resolve_column(plan, shape, reference, &name);
    if (column == -1)
        return undefined_column(plan, reference, name, error);
    int32_t position = column < 0 ? -1 : key_position(schema, column);
    *matches = position >= 0;
    if (!*matches)
        return OMEN_OK;
    memset(conjunct, 0, sizeof *conjunct);
    conjunct->key_position = (uint32_t)position;
    conjunct->type = schema->columns[column].type;
    omen_status status =
        constant_from_node(other, &plan->arena, &conjunct->constant, matches, error);
    if (status == OMEN_OK && *matches && conjunct->constant.kind != CONSTANT_PARAMETER) {
        enum key_match match = KEY_ELSEWHERE;
        status = constant_match(&conjunct->constant, conjunct->type, &plan->arena, &conjunct->value,
                                &match, error);
        conjunct->fixed = true;
        point->never = point->never || match == KEY_NO_ROW;
        *matches = match != KEY_ELSEWHERE;
    }
    if (status != OMEN_OK && status != OMEN_OUT_OF_MEMORY)
        parse_set_position(&plan->parsed, conjunct->constant.location, error);
    point->conjunct_count += status == OMEN_OK && *matches;
    return status;
}

/* Whether the conjuncts fix every key column. */
static bool covers_key(const struct plan *plan)
{
    const struct schema *schema = table_schema(plan->table);
    uint32_t covered = 0;
    for (uint32_t key = 0; key < schema->key_count; key++)
        for (uint32_t i = 0; i < plan->point.conjunct_count; i++)
            if (plan->point.conjuncts[i].key_position == key) {
                covered++;
                break;
            }
    return covered == schema->key_count;
}

static omen_status plan_conditions(struct plan *plan, struct shape *shape,
                                   const PgQuery__SelectStmt *node, omen_error *error)
{
    const struct schema *schema = table_schema(plan->table);
    struct point_plan *point = &plan->point;
    bool matches = true;
    plan->reason = "the condition is more than equality of key columns with constants";
    if (schema->key_hidden) {
        plan->reason = "the table has no primary key";
        return OMEN_OK;
    }
    if (!collect_comparisons(shape, node->where_clause))
        return OMEN_OK;
    point->conjuncts =
        arena_alloc(&plan->arena, shape->comparison_count * sizeof *point->conjuncts);
    point->key = arena_alloc(&plan->arena, schema->key_count * sizeof *point->key);
    point->key_set = arena_alloc(&plan->arena, schema->key_count * sizeof *point->key_set);
    if (point->conjuncts == NULL || point->key == NULL || point->key_set == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (size_t i = 0; i < shape->comparison_count && matches; i++)
        OMEN_TRY(plan_conjunct(plan, shape, shape->comparisons[i], &matches, error));
    if (!matches)
        return OMEN_OK;
    if (!covers_key(plan)) {
        plan->reason = "the condition leaves a key column open";
        return OMEN_OK;
    }
    plan->reason = point->never ? "the condition on the key can match no row"
                                : "the condition fixes the whole primary key";
    plan->kind = PLAN_POINT;
    return OMEN_OK;
}

static omen_status plan_point(struct plan *plan, const PgQuery__SelectStmt *node, omen_error *error)
{
    const PgQuery__RangeVar *table = node->from_clause[0]->range_var;
    struct shape *shape = arena_alloc(&plan->arena, sizeof *shape);
    bool matches;
    if (shape == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    shape->alias = table->alias != NULL ? table->alias->aliasname : table->relname;
    shape->comparison_count = 0;
    OMEN_TRY(plan_outputs(plan, shape, node, &matches, error));
    if (!matches) {
        plan->reason = "the output is more than plain columns";
        return OMEN_OK;
    }
    return plan_conditions(plan, shape, node, error);
}

omen_status plan_select(struct plan *plan, const PgQuery__SelectStmt *node, omen_error *error)
{
    const struct parsed *parsed = &plan->parsed;
    if (parsed->has_locking)
        return plan_refuse(error, "locking rows in a query");
    if (parsed->has_into)
        return plan_refuse(error, "SELECT INTO");
    if (parsed->has_writing)
        return plan_refuse(error, "a query that modifies data");
    plan->kind = PLAN_ENGINE;
    plan->reason = foreign_clause(node);
    /* A table that does not exist needs no engine to say so. */
    for (size_t i = 0; node->with_clause == NULL && i < node->n_from_clause; i++) {
        const PgQuery__Node *from = node->from_clause[i];
        if (from->node_case != PG_QUERY__NODE__NODE_RANGE_VAR || !plan_is_public(from->range_var))
            continue;
        table_release(plan->table);
        plan->table = NULL;
        OMEN_TRY(plan_find_table(plan, from->range_var, error));
    }
    if (plan->reason != NULL)
        return OMEN_OK;
    if (plan->table == NULL) {
        plan->reason = "a table of another schema";
        return OMEN_OK;
    }
    return plan_point(plan, node, error);
}

/* --- running --- */

/* Keys are compared in canonical form: one zero, one NaN. */
static void canonicalise(omen_value *value)
{
    if (value->type.id == OMEN_TYPE_REAL)
        value->as.f32 = float_canonical(value->as.f32);
    else if (value->type.id == OMEN_TYPE_DOUBLE)
        value->as.f64 = double_canonical(value->as.f64);
}

/* Gathers the key. `*match` is KEY_NO_ROW where a conjunct excludes every row or two of them
 * contradict each other. All parameters are read, so that a bad one is always an error. */
static omen_status gather_key(struct plan *plan, const omen_value *parameters,
                              struct arena *scratch, enum key_match *match, omen_error *error)
{
    struct point_plan *point = &plan->point;
    *match = point->never ? KEY_NO_ROW : KEY_VALUE;
    memset(point->key_set, 0, table_schema(plan->table)->key_count * sizeof *point->key_set);
    for (uint32_t i = 0; i < point->conjunct_count; i++) {
        const struct key_conjunct *conjunct = &point->conjuncts[i];
        omen_value value = conjunct->value;
        if (!conjunct->fixed) {
            enum key_match found;
            struct constant constant = conjunct->constant;
            OMEN_TRY(constant_bind(&constant, parameters, scratch, error));
            OMEN_TRY(constant_match(&constant, conjunct->type, scratch, &value, &found, error));
            if (found == KEY_ELSEWHERE) {
                *match = KEY_ELSEWHERE;
                return OMEN_OK;
            }
            if (found == KEY_NO_ROW)
                *match = KEY_NO_ROW;
        }
        if (*match == KEY_NO_ROW)
            continue;
        canonicalise(&value);
        omen_value *key = &point->key[conjunct->key_position];
        bool *set = &point->key_set[conjunct->key_position];
        if (*set && value_compare(key, &value) != 0)
            *match = KEY_NO_ROW;
        *key = value;
        *set = true;
    }
    return OMEN_OK;
}

omen_status point_run(struct plan *plan, const omen_value *parameters, struct arena *scratch,
                      struct row_ref *row, bool *elsewhere, omen_error *error)
{
    struct session *session = plan->session;
    struct schema *schema = table_schema(plan->table);
    enum key_match match;
    struct index_key key;
    struct snapshot snapshot;
    *row = (struct row_ref){0};
    OMEN_TRY(gather_key(plan, parameters, scratch, &match, error));
    *elsewhere = match == KEY_ELSEWHERE;
    if (*elsewhere)
        return OMEN_OK;
    if (match == KEY_NO_ROW) {
        session_count(&session->route_index, 1);
        return OMEN_OK;
    }
    if (schema->key_kind == INDEX_WORD && schema->key_count == 1) {
        key = index_key_word(key_word(plan->point.key));
    } else {
        omen_status encoded = key_encode(schema, plan->point.key, scratch, &key, error);
        if (encoded == OMEN_LIMIT_EXCEEDED) { /* longer than any stored key */
            session_count(&session->route_index, 1);
            return OMEN_OK;
        }
        OMEN_TRY(encoded);
    }
    omen_status status = snapshot_acquire(session->database->manager, &snapshot);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    struct read_view view = {.snapshot = snapshot.timestamp};
    status = table_get_encoded(plan->table, &view, key, row);
    /* The row is pinned and never changes: its snapshot is no longer needed. */
    snapshot_release(&snapshot);
    if (status != OMEN_OK && status != OMEN_NOT_FOUND)
        return error_set_default(error, status);
    /* The columns lie far apart: their misses overlap with what the caller does before it reads,
     * and with each other. */
    if (row->group != NULL)
        row_group_prefetch(row->group, row->slot, plan->point.columns, plan->point.column_count);
    session_count(&session->route_index, 1);
    return OMEN_OK;
}
