/* bind_query.c - SELECT clause by clause, VALUES, WITH.
 *
 * Clauses are bound in PostgreSQL's order, because the first error is the one that is told: WITH,
 * FROM, targets, WHERE, HAVING, ORDER BY, GROUP BY, DISTINCT, LIMIT, and the grouping check last.
 */
#include <stdio.h>
#include <string.h>

#include "sql/bind_private.h"

/* --- targets --- */

enum { TARGETS_BOUND_MAX = 100000 };

static omen_status too_many_targets(omen_error *error)
{
    return error_set(error, OMEN_TOO_MANY_COLUMNS, "target lists can have at most %d entries",
                     QUERY_TARGETS_MAX);
}

static omen_status add_target(struct selecting *selecting, struct expression *expression,
                              const char *name, omen_error *error)
{
    struct query *query = selecting->query;
    /* A few too many are counted once all are bound, after their own errors; a list of stars is
     * stopped before it fills the memory. */
    if (query->target_count == TARGETS_BOUND_MAX)
        return too_many_targets(error);
    OMEN_TRY(bind_grow(selecting->binder, &query->targets, query->target_count,
                       &selecting->target_capacity, sizeof *query->targets, error));
    query->targets[query->target_count++] = (struct target){.expression = expression, .name = name};
    return OMEN_OK;
}

static omen_status expand_relation(struct selecting *selecting, const PgQuery__ColumnRef *node,
                                   omen_error *error)
{
    struct binder *binder = selecting->binder;
    const char *name = parse_string(node->fields[node->n_fields - 2]);
    uint32_t levels_up;
    if (name == NULL)
        return bind_refuse(binder, node->location, "this form of *", error);
    struct relation *relation;
    OMEN_TRY(bind_find_relation(binder, &selecting->scope, name, node->location, &relation,
                                &levels_up, error));
    for (uint32_t i = 0; i < relation->column_count; i++) {
        struct expression *use =
            bind_column_use(binder, relation, i, levels_up, node->location, error);
        if (use == NULL)
            return OMEN_OUT_OF_MEMORY;
        OMEN_TRY(add_target(selecting, use, relation->columns[i].name, error));
    }
    return OMEN_OK;
}

static omen_status expand_all(struct selecting *selecting, int location, omen_error *error)
{
    const struct scope *scope = &selecting->scope;
    if (selecting->query->from_count == 0)
        return bind_fail(selecting->binder, location, error, OMEN_SYNTAX_ERROR,
                         "SELECT * with no tables specified is not valid");
    for (uint32_t i = 0; i < scope->column_count; i++) {
        const struct scope_column *column = &scope->columns[i];
        if (!column->unqualified)
            continue;
        struct expression *use =
            column->merged != NULL
                ? bind_copy_merged(selecting->binder, column->merged, 0, location)
                : bind_column_use(selecting->binder, column->relation, column->column, 0, location,
                                  error);
        if (use == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        OMEN_TRY(add_target(selecting, use, column->name, error));
    }
    return OMEN_OK;
}

static bool is_star(const PgQuery__Node *node)
{
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return false;
    const PgQuery__ColumnRef *reference = node->column_ref;
    return reference->n_fields > 0 &&
           reference->fields[reference->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

static omen_status bind_targets(struct selecting *selecting, omen_error *error)
{
    const PgQuery__SelectStmt *node = selecting->node;
    struct scope *scope = &selecting->scope;
    scope->clause = "SELECT";
    scope->allows_aggregates = scope->allows_windows = true;
    for (size_t i = 0; i < node->n_target_list; i++) {
        const PgQuery__ResTarget *target = node->target_list[i]->res_target;
        struct expression *expression;
        if (is_star(target->val)) {
            const PgQuery__ColumnRef *star = target->val->column_ref;
            OMEN_TRY(star->n_fields == 1 ? expand_all(selecting, star->location, error)
                                         : expand_relation(selecting, star, error));
            continue;
        }
        OMEN_TRY(bind_expression(selecting->binder, scope, target->val, &expression, error));
        const char *name = target->name[0] != '\0' ? target->name : bind_output_name(target->val);
        OMEN_TRY(add_target(selecting, expression, name, error));
    }
    return selecting->query->target_count > QUERY_TARGETS_MAX ? too_many_targets(error) : OMEN_OK;
}

omen_status bind_settle_target(struct selecting *selecting, uint32_t target, omen_error *error)
{
    struct target *output = &selecting->query->targets[target];
    return bind_settle(selecting->binder, output->expression, &output->expression, error);
}

/* --- WITH --- */

/* The columns that a reference sees: the query's, renamed. */
omen_status bind_cte_columns(struct binder *binder, struct cte *cte,
                             const PgQuery__CommonTableExpr *node, omen_error *error)
{
    const struct query *query = cte->query;
    cte->column_count = query->target_count;
    cte->columns = bind_alloc(binder, cte->column_count * sizeof *cte->columns, error);
    if (cte->columns == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < cte->column_count; i++)
        cte->columns[i] =
            (struct relation_column){.name = query->targets[i].name, .type = query->types[i]};
    return bind_rename_columns(binder, cte->columns, cte->column_count, node->aliascolnames,
                               node->n_aliascolnames, "WITH query", node->ctename, node->location,
                               error);
}

static omen_status bind_cte(struct binder *binder, struct scope *scope,
                            const PgQuery__CommonTableExpr *node, bool recursive, struct cte **out,
                            omen_error *error)
{
    if (node->ctequery == NULL || node->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return bind_refuse(binder, node->location, "a WITH query that modifies data", error);
    if (node->search_clause != NULL || node->cycle_clause != NULL)
        return bind_refuse(binder, node->location, "SEARCH or CYCLE", error);
    struct cte *cte = bind_alloc(binder, sizeof *cte, error);
    if (cte == NULL)
        return OMEN_OUT_OF_MEMORY;
    cte->name = node->ctename;
    cte->number = binder->cte_count++;
    *out = cte;
    if (recursive && bind_refers_to(binder, node->ctequery, node->ctename))
        return bind_recursive(binder, scope, node, cte, error);
    OMEN_TRY(bind_query(binder, scope, node->ctequery->select_stmt, &cte->query, error));
    return bind_cte_columns(binder, cte, node, error);
}

enum { WITH_UNSEEN, WITH_BEGUN, WITH_BOUND };

struct with_clause {
    struct binder *binder;
    struct scope *scope;
    const PgQuery__WithClause *node;
    struct query *query;
    uint8_t *states; /* of its items */
};

/* One item; with RECURSIVE after those it refers to, wherever they stand. */
static omen_status bind_with_item(struct with_clause *with, size_t item, omen_error *error)
{
    const PgQuery__WithClause *clause = with->node;
    const PgQuery__CommonTableExpr *node = clause->ctes[item]->common_table_expr;
    struct scope *scope = with->scope;
    if (with->states[item] == WITH_BOUND)
        return OMEN_OK;
    if (with->states[item] == WITH_BEGUN)
        return bind_fail(with->binder, node->location, error, OMEN_NOT_SUPPORTED,
                         "mutual recursion between WITH items is not implemented");
    with->states[item] = WITH_BEGUN;
    for (size_t i = 0; i < clause->n_ctes && clause->recursive; i++) {
        OMEN_TRY(bind_spend(with->binder, 0, error));
        const PgQuery__CommonTableExpr *other = clause->ctes[i]->common_table_expr;
        if (i == item || with->states[i] == WITH_BOUND ||
            !bind_refers_to(with->binder, node->ctequery, other->ctename))
            continue;
        OMEN_TRY(bind_enter(with->binder, error));
        omen_status status = bind_with_item(with, i, error);
        with->binder->depth--;
        OMEN_TRY(status);
    }
    struct scope blank = {
        .outer = scope->outer, .ctes = scope->ctes, .cte_count = scope->cte_count};
    struct cte *cte = NULL;
    OMEN_TRY(bind_cte(with->binder, &blank, node, clause->recursive, &cte, error));
    with->query->ctes[with->query->cte_count++] = cte;
    scope->ctes[scope->cte_count++] = cte;
    with->states[item] = WITH_BOUND;
    return OMEN_OK;
}

/* Nothing of the query that has the WITH is visible in it, only what is around. */
omen_status bind_with(struct binder *binder, struct scope *scope, const PgQuery__WithClause *node,
                      struct query *query, omen_error *error)
{
    OMEN_TRY(
        bind_spend(binder, (uint64_t)node->n_ctes * node->n_ctes / (2 * BIND_LOOKS_A_STEP), error));
    for (size_t i = 0; i < node->n_ctes; i++)
        for (size_t j = 0; j < i; j++) {
            const PgQuery__CommonTableExpr *later = node->ctes[i]->common_table_expr;
            if (strcmp(later->ctename, node->ctes[j]->common_table_expr->ctename) == 0)
                return bind_fail(binder, later->location, error, OMEN_DUPLICATE_ALIAS,
                                 "WITH query name \"%s\" specified more than once", later->ctename);
        }
    uint32_t outer_count = scope->cte_count;
    struct cte **visible =
        bind_alloc(binder, (outer_count + node->n_ctes) * sizeof(struct cte *), error);
    query->ctes = bind_alloc(binder, node->n_ctes * sizeof(struct cte *), error);
    if (visible == NULL || query->ctes == NULL)
        return OMEN_OUT_OF_MEMORY;
    if (outer_count > 0)
        memcpy(visible, scope->ctes, outer_count * sizeof(struct cte *));
    scope->ctes = visible;
    struct with_clause with = {.binder = binder, .scope = scope, .node = node, .query = query};
    with.states = bind_alloc(binder, node->n_ctes, error);
    if (with.states == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (size_t i = 0; i < node->n_ctes; i++)
        OMEN_TRY(bind_with_item(&with, i, error));
    return OMEN_OK;
}

/* --- SELECT --- */

static omen_status check_clauses(struct binder *binder, const PgQuery__SelectStmt *node,
                                 omen_error *error)
{
    if (node->into_clause != NULL)
        return bind_refuse(binder, -1, "SELECT INTO", error);
    if (node->n_locking_clause > 0 && node != binder->locking)
        return bind_refuse(binder, -1, "locking rows of a subquery", error);
    if (node->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES)
        return bind_refuse(binder, -1, "WITH TIES", error);
    if (node->group_distinct)
        return bind_refuse(binder, -1, "GROUP BY DISTINCT", error);
    return OMEN_OK;
}

/* A definition is bound where it is used; here for its errors, used or not. */
static omen_status check_window(struct selecting *selecting, size_t window, omen_error *error)
{
    const PgQuery__WindowDef *node = selecting->node->window_clause[window]->window_def;
    struct expression *expression;
    bool known = node->refname[0] == '\0';
    OMEN_TRY(bind_spend(selecting->binder, window / BIND_LOOKS_A_STEP, error));
    for (size_t i = 0; i < window; i++) {
        const PgQuery__WindowDef *before = selecting->node->window_clause[i]->window_def;
        if (strcmp(before->name, node->name) == 0)
            return bind_fail(selecting->binder, node->location, error, OMEN_WINDOWING_ERROR,
                             "window \"%s\" is already defined", node->name);
        known = known || strcmp(before->name, node->refname) == 0;
    }
    if (!known)
        return bind_fail(selecting->binder, node->location, error, OMEN_UNDEFINED_TYPE,
                         "window \"%s\" does not exist", node->refname);
    for (size_t i = 0; i < node->n_order_clause; i++)
        OMEN_TRY(bind_expression(selecting->binder, &selecting->scope,
                                 node->order_clause[i]->sort_by->node, &expression, error));
    for (size_t i = 0; i < node->n_partition_clause; i++)
        OMEN_TRY(bind_expression(selecting->binder, &selecting->scope, node->partition_clause[i],
                                 &expression, error));
    return OMEN_OK;
}

static omen_status check_windows(struct selecting *selecting, omen_error *error)
{
    selecting->scope.clause = "window definitions";
    selecting->scope.allows_aggregates = true;
    selecting->scope.allows_windows = false;
    for (size_t i = 0; i < selecting->node->n_window_clause; i++)
        OMEN_TRY(check_window(selecting, i, error));
    return OMEN_OK;
}

static omen_status bind_filter(struct selecting *selecting, const char *clause, bool aggregates,
                               const PgQuery__Node *node, struct expression **out,
                               omen_error *error)
{
    struct scope *scope = &selecting->scope;
    scope->clause = clause;
    scope->allows_aggregates = aggregates;
    scope->allows_windows = false;
    if (node == NULL)
        return OMEN_OK;
    return bind_condition(selecting->binder, scope, node, out, error);
}

/* The types of the targets; literals that nothing gave a type are text. */
static omen_status finish_targets(struct selecting *selecting, bool settle, omen_error *error)
{
    struct query *query = selecting->query;
    query->types = bind_alloc(selecting->binder, query->target_count * sizeof *query->types, error);
    if (query->types == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < query->target_count; i++) {
        if (settle)
            OMEN_TRY(bind_settle_target(selecting, i, error));
        query->types[i] = query->targets[i].expression->type;
    }
    return OMEN_OK;
}

static omen_status bind_select_clauses(struct selecting *selecting, bool settle, omen_error *error)
{
    const PgQuery__SelectStmt *node = selecting->node;
    struct binder *binder = selecting->binder;
    struct query *query = selecting->query;
    struct scope *scope = &selecting->scope;
    OMEN_TRY(bind_from(binder, scope, node->from_clause, node->n_from_clause, &query->from,
                       &query->from_count, error));
    OMEN_TRY(bind_targets(selecting, error));
    OMEN_TRY(bind_filter(selecting, "WHERE", false, node->where_clause, &query->where, error));
    OMEN_TRY(bind_filter(selecting, "HAVING", true, node->having_clause, &query->having, error));
    OMEN_TRY(bind_order(selecting, error));
    OMEN_TRY(bind_groups(selecting, error));
    OMEN_TRY(bind_distinct(selecting, error));
    OMEN_TRY(bind_limits(binder, scope, node, query, error));
    OMEN_TRY(check_windows(selecting, error));
    OMEN_TRY(finish_targets(selecting, settle, error));
    query->grouped = query->grouped || query->having != NULL || scope->found_aggregate;
    if (query->grouped)
        OMEN_TRY(bind_check_grouping(selecting, error));
    return node->n_locking_clause == 0 ? OMEN_OK : bind_lockings(selecting, error);
}

static omen_status bind_select(struct binder *binder, struct scope *outer,
                               const PgQuery__SelectStmt *node, bool settle, struct query **out,
                               omen_error *error)
{
    struct selecting selecting = {.binder = binder, .node = node, .query = *out};
    struct scope *scope = &selecting.scope;
    if (node->n_target_list == 0)
        return bind_refuse(binder, -1, "a query without outputs", error);
    scope->outer = outer;
    scope->windows = node->window_clause;
    scope->window_count = (uint32_t)node->n_window_clause;
    if (outer != NULL) {
        scope->ctes = outer->ctes;
        scope->cte_count = outer->cte_count;
    }
    if (node->with_clause != NULL)
        OMEN_TRY(bind_with(binder, scope, node->with_clause, *out, error));
    return bind_select_clauses(&selecting, settle, error);
}

/* --- VALUES --- */

static omen_status name_values(struct binder *binder, struct query *query, omen_error *error)
{
    query->targets = bind_alloc(binder, query->target_count * sizeof *query->targets, error);
    query->types = bind_alloc(binder, query->target_count * sizeof *query->types, error);
    if (query->targets == NULL || query->types == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < query->target_count; i++) {
        char name[32];
        int length = snprintf(name, sizeof name, "column%u", i + 1);
        query->targets[i].name = arena_copy_text(binder->arena, name, (size_t)length);
        if (query->targets[i].name == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
    }
    return OMEN_OK;
}

/* Brings each column of the rows to one type. */
static omen_status unify_values(struct binder *binder, struct query *query, omen_error *error)
{
    struct expression **column =
        bind_alloc(binder, query->row_count * sizeof(struct expression *), error);
    if (column == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < query->target_count; i++) {
        for (uint32_t row = 0; row < query->row_count; row++)
            column[row] = query->rows[row][i];
        OMEN_TRY(bind_unify(binder, column, query->row_count, "VALUES", &query->types[i], error));
        for (uint32_t row = 0; row < query->row_count; row++)
            query->rows[row][i] = column[row];
    }
    return OMEN_OK;
}

static omen_status bind_values_row(struct binder *binder, struct scope *scope, struct query *query,
                                   const PgQuery__List *list, omen_error *error)
{
    struct expression **cells =
        bind_alloc(binder, list->n_items * sizeof(struct expression *), error);
    if (cells == NULL)
        return OMEN_OUT_OF_MEMORY;
    if (query->row_count > 0 && list->n_items != query->target_count)
        return bind_fail(binder, list->n_items > 0 ? bind_location(list->items[0]) : -1, error,
                         OMEN_SYNTAX_ERROR, "VALUES lists must all be the same length");
    for (size_t i = 0; i < list->n_items; i++) {
        const PgQuery__Node *item = list->items[i];
        if (item->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT)
            return bind_fail(binder, item->set_to_default->location, error, OMEN_SYNTAX_ERROR,
                             "DEFAULT is not allowed in this context");
        if (is_star(item))
            return bind_refuse(binder, bind_location(item), "* in VALUES", error);
        OMEN_TRY(bind_expression(binder, scope, item, &cells[i], error));
    }
    query->target_count = (uint32_t)list->n_items;
    query->rows[query->row_count++] = cells;
    return OMEN_OK;
}

static omen_status bind_values(struct binder *binder, struct scope *outer,
                               const PgQuery__SelectStmt *node, struct query *query,
                               omen_error *error)
{
    struct scope scope = {.outer = outer, .clause = "VALUES"};
    if (outer != NULL) {
        scope.ctes = outer->ctes;
        scope.cte_count = outer->cte_count;
    }
    query->kind = QUERY_VALUES;
    if (node->with_clause != NULL)
        OMEN_TRY(bind_with(binder, &scope, node->with_clause, query, error));
    query->rows = bind_alloc(binder, node->n_values_lists * sizeof(struct expression **), error);
    if (query->rows == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (size_t i = 0; i < node->n_values_lists; i++) {
        if (node->values_lists[i]->node_case != PG_QUERY__NODE__NODE_LIST)
            return bind_refuse(binder, -1, "this form of VALUES", error);
        OMEN_TRY(bind_values_row(binder, &scope, query, node->values_lists[i]->list, error));
    }
    OMEN_TRY(name_values(binder, query, error));
    return unify_values(binder, query, error);
}

/* --- any query --- */

omen_status bind_select_all(struct binder *binder, struct query *query, struct query **out,
                            omen_error *error)
{
    struct query *around = bind_alloc(binder, sizeof *around, error);
    struct relation *relation;
    if (around == NULL)
        return OMEN_OUT_OF_MEMORY;
    OMEN_TRY(bind_query_relation(binder, query, "*SELECT*", NULL, &relation, error));
    around->from = bind_alloc(binder, sizeof *around->from, error);
    around->targets = bind_alloc(binder, query->target_count * sizeof *around->targets, error);
    if (around->from == NULL || around->targets == NULL)
        return OMEN_OUT_OF_MEMORY;
    OMEN_TRY(bind_leaf(binder, relation, &around->from[0], error));
    around->from_count = 1;
    around->target_count = query->target_count;
    around->types = query->types;
    for (uint32_t i = 0; i < query->target_count; i++) {
        around->targets[i].name = query->targets[i].name;
        around->targets[i].expression =
            bind_column_use(binder, relation, i, 0, bind_target_location(query, i), error);
        if (around->targets[i].expression == NULL)
            return OMEN_OUT_OF_MEMORY;
    }
    *out = around;
    return OMEN_OK;
}

omen_status bind_wrap(struct binder *binder, struct query *query, struct query **out,
                      omen_error *error)
{
    OMEN_TRY(bind_move_in(binder, query, error));
    return bind_select_all(binder, query, out, error);
}

/* ORDER BY and LIMIT of VALUES: as in SELECT * FROM (VALUES ...). */
static omen_status bind_ordered_values(struct binder *binder, struct scope *outer,
                                       const PgQuery__SelectStmt *node, struct query **out,
                                       omen_error *error)
{
    struct query *values = *out;
    struct selecting selecting = {.binder = binder, .node = node};
    struct scope *scope = &selecting.scope;
    struct from_names names = {0};
    if (outer != NULL) {
        scope->ctes = outer->ctes;
        scope->cte_count = outer->cte_count;
    }
    OMEN_TRY(bind_values(binder, outer, node, values, error));
    OMEN_TRY(bind_wrap(binder, values, out, error));
    (*out)->from[0]->relation->alias = "*VALUES*";
    OMEN_TRY(bind_add_names(binder, &names, (*out)->from[0]->relation, error));
    scope->outer = outer;
    bind_show_names(scope, &names);
    selecting.query = *out;
    selecting.target_capacity = (*out)->target_count;
    OMEN_TRY(bind_order(&selecting, error));
    OMEN_TRY(bind_limits(binder, scope, node, *out, error));
    return OMEN_OK;
}

static omen_status bind_query_kind(struct binder *binder, struct scope *outer,
                                   const PgQuery__SelectStmt *node, bool settle, struct query **out,
                                   omen_error *error)
{
    OMEN_TRY(check_clauses(binder, node, error));
    if (node->n_locking_clause > 0 &&
        (node->op > PG_QUERY__SET_OPERATION__SETOP_NONE || node->n_values_lists > 0))
        return bind_refuse_locking(
            binder, node, node->n_values_lists > 0 ? "VALUES" : "UNION/INTERSECT/EXCEPT", error);
    if (node->op > PG_QUERY__SET_OPERATION__SETOP_NONE)
        return bind_set(binder, outer, node, out, error);
    *out = bind_alloc(binder, sizeof **out, error);
    if (*out == NULL)
        return OMEN_OUT_OF_MEMORY;
    if (node->n_values_lists == 0)
        return bind_select(binder, outer, node, settle, out, error);
    if (node->n_sort_clause > 0 || node->limit_count != NULL || node->limit_offset != NULL)
        return bind_ordered_values(binder, outer, node, out, error);
    return bind_values(binder, outer, node, *out, error);
}

omen_status bind_query_outputs(struct binder *binder, struct scope *outer,
                               const PgQuery__SelectStmt *node, bool settle, struct query **out,
                               omen_error *error)
{
    *out = NULL;
    OMEN_TRY(bind_enter(binder, error));
    omen_status status = bind_query_kind(binder, outer, node, settle, out, error);
    binder->depth--;
    return status;
}

omen_status bind_query(struct binder *binder, struct scope *outer, const PgQuery__SelectStmt *node,
                       struct query **out, omen_error *error)
{
    return bind_query_outputs(binder, outer, node, true, out, error);
}
