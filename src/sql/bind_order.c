/* bind_order.c - ORDER BY, DISTINCT, LIMIT: clauses that look at the outputs first. */
#include <string.h>

#include "sql/bind_query_private.h"
#include "sql/evaluate.h"

/* --- outputs by name, by position, by being the same --- */

/* The only name of a plain column reference, else NULL. */
static const char *plain_name(const PgQuery__Node *node)
{
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || node->column_ref->n_fields != 1)
        return NULL;
    return parse_string(node->column_ref->fields[0]);
}

static bool is_input_column(const struct scope *scope, const char *name)
{
    for (uint32_t i = 0; i < scope->column_count; i++)
        if (scope->columns[i].unqualified && strcmp(scope->columns[i].name, name) == 0)
            return true;
    return false;
}

/* `*target` is -1 where no output has the name. Two that say the same are one. */
static omen_status find_by_name(struct selecting *selecting, const PgQuery__Node *node,
                                const char *clause, const char *name, int32_t *target,
                                omen_error *error)
{
    const struct query *query = selecting->query;
    *target = -1;
    for (uint32_t i = 0; i < query->target_count; i++) {
        if (strcmp(query->targets[i].name, name) != 0)
            continue;
        if (*target >= 0 &&
            !expression_equal(query->targets[i].expression, query->targets[*target].expression))
            return bind_fail(selecting->binder, bind_location(node), error, OMEN_AMBIGUOUS_COLUMN,
                             "%s \"%s\" is ambiguous", clause, name);
        if (*target < 0)
            *target = (int32_t)i;
    }
    return OMEN_OK;
}

static omen_status find_by_position(struct selecting *selecting, const PgQuery__AConst *constant,
                                    const char *clause, int32_t *target, omen_error *error)
{
    if (constant->isnull || constant->val_case != PG_QUERY__A__CONST__VAL_IVAL)
        return bind_fail(selecting->binder, constant->location, error, OMEN_SYNTAX_ERROR,
                         "non-integer constant in %s", clause);
    int32_t position = constant->ival->ival;
    if (position < 1 || (uint32_t)position > selecting->query->target_count)
        return bind_fail(selecting->binder, constant->location, error,
                         OMEN_INVALID_COLUMN_REFERENCE, "%s position %d is not in select list",
                         clause, position);
    *target = position - 1;
    return OMEN_OK;
}

static int32_t find_by_value(const struct query *query, const struct expression *expression)
{
    for (uint32_t i = 0; i < query->target_count; i++)
        if (expression_equal(query->targets[i].expression, expression))
            return (int32_t)i;
    return -1;
}

omen_status bind_output_or_expression(struct selecting *selecting, const PgQuery__Node *node,
                                      const char *clause, int32_t *target,
                                      struct expression **expression, omen_error *error)
{
    const char *name = plain_name(node);
    const struct query *query = selecting->query;
    uint64_t looks = (uint64_t)query->target_count + query->order_count + query->group_count;
    bool group = strcmp(clause, "GROUP BY") == 0;
    *target = -1;
    OMEN_TRY(bind_spend(selecting->binder, looks / BIND_LOOKS_A_STEP, error));
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST)
        OMEN_TRY(find_by_position(selecting, node->a_const, clause, target, error));
    else if (name != NULL && !(group && is_input_column(&selecting->scope, name)))
        OMEN_TRY(find_by_name(selecting, node, clause, name, target, error));
    if (*target < 0) {
        OMEN_TRY(bind_expression(selecting->binder, &selecting->scope, node, expression, error));
        *target = find_by_value(selecting->query, *expression);
    }
    if (*target < 0)
        return bind_settle(selecting->binder, *expression, expression, error);
    OMEN_TRY(bind_settle_target(selecting, (uint32_t)*target, error));
    *expression = query->targets[*target].expression;
    return group ? bind_spend_copies(selecting->binder, *expression, 1, error) : OMEN_OK;
}

/* --- ORDER BY --- */

omen_status bind_sort_direction(struct binder *binder, const PgQuery__SortBy *node,
                                struct sort_key *key, omen_error *error)
{
    if (node->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
        return bind_refuse(binder, node->location, "ORDER BY USING", error);
    key->descending = node->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
    key->nulls_first = node->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT
                           ? key->descending
                           : node->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST;
    return OMEN_OK;
}

/* A key that stands before decides already. */
static bool is_known_key(const struct query *query, const struct sort_key *key)
{
    for (uint32_t i = 0; i < query->order_count; i++) {
        const struct sort_key *before = &query->order[i];
        bool same = before->expression == NULL || key->expression == NULL
                        ? before->expression == key->expression && before->target == key->target
                        : expression_equal(before->expression, key->expression);
        if (same)
            return true;
    }
    return false;
}

omen_status bind_order(struct selecting *selecting, omen_error *error)
{
    const PgQuery__SelectStmt *node = selecting->node;
    struct query *query = selecting->query;
    if (node->n_sort_clause == 0)
        return OMEN_OK;
    selecting->scope.clause = "ORDER BY";
    selecting->scope.allows_aggregates = selecting->scope.allows_windows = true;
    query->order = bind_alloc(selecting->binder, node->n_sort_clause * sizeof *query->order, error);
    if (query->order == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (size_t i = 0; i < node->n_sort_clause; i++) {
        const PgQuery__SortBy *sort = node->sort_clause[i]->sort_by;
        struct sort_key key = {0};
        int32_t target;
        OMEN_TRY(bind_output_or_expression(selecting, sort->node, "ORDER BY", &target,
                                           &key.expression, error));
        if (target >= 0) {
            key.expression = NULL;
            key.target = (uint32_t)target;
        }
        OMEN_TRY(bind_sort_direction(selecting->binder, sort, &key, error));
        if (is_known_key(query, &key))
            continue;
        if (query->order_count == QUERY_TARGETS_MAX)
            return error_set(error, OMEN_TOO_MANY_COLUMNS, "ORDER BY can have at most %d entries",
                             QUERY_TARGETS_MAX);
        query->order[query->order_count++] = key;
    }
    return OMEN_OK;
}

/* --- DISTINCT --- */

static const struct expression *key_expression(const struct query *query,
                                               const struct sort_key *key)
{
    return key->expression != NULL ? key->expression : query->targets[key->target].expression;
}

/* The keys that rows are distinct on must come first in ORDER BY. */
static omen_status check_distinct_on(struct selecting *selecting, const int *locations,
                                     omen_error *error)
{
    const struct query *query = selecting->query;
    static const char message[] =
        "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
    bool *matched = bind_alloc(selecting->binder, query->distinct_on_count, error);
    bool skipped = false;
    if (matched == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < query->order_count; i++) {
        const struct expression *key = key_expression(query, &query->order[i]);
        uint32_t at = 0;
        while (at < query->distinct_on_count && !expression_equal(query->distinct_on[at], key))
            at++;
        if (at == query->distinct_on_count) {
            skipped = true;
        } else if (skipped) {
            return bind_fail(selecting->binder, locations[at], error, OMEN_INVALID_COLUMN_REFERENCE,
                             "%s", message);
        } else {
            matched[at] = true;
        }
    }
    for (uint32_t i = 0; i < query->distinct_on_count && skipped; i++)
        if (!matched[i])
            return bind_fail(selecting->binder, locations[i], error, OMEN_INVALID_COLUMN_REFERENCE,
                             "%s", message);
    return OMEN_OK;
}

static omen_status bind_distinct_on(struct selecting *selecting, omen_error *error)
{
    const PgQuery__SelectStmt *node = selecting->node;
    struct query *query = selecting->query;
    query->distinct_on =
        bind_alloc(selecting->binder, node->n_distinct_clause * sizeof(struct expression *), error);
    int *locations =
        bind_alloc(selecting->binder, node->n_distinct_clause * sizeof *locations, error);
    if (query->distinct_on == NULL || locations == NULL)
        return OMEN_OUT_OF_MEMORY;
    selecting->scope.clause = "DISTINCT ON";
    selecting->scope.allows_aggregates = selecting->scope.allows_windows = true;
    for (size_t i = 0; i < node->n_distinct_clause; i++) {
        struct expression *expression;
        int32_t target;
        OMEN_TRY(bind_output_or_expression(selecting, node->distinct_clause[i], "DISTINCT ON",
                                           &target, &expression, error));
        bool known = false;
        for (uint32_t j = 0; j < query->distinct_on_count && !known; j++)
            known = expression_equal(query->distinct_on[j], expression);
        if (known)
            continue;
        locations[query->distinct_on_count] = bind_location(node->distinct_clause[i]);
        query->distinct_on[query->distinct_on_count++] = expression;
    }
    return check_distinct_on(selecting, locations, error);
}

omen_status bind_distinct(struct selecting *selecting, omen_error *error)
{
    const PgQuery__SelectStmt *node = selecting->node;
    struct query *query = selecting->query;
    if (node->n_distinct_clause == 0)
        return OMEN_OK;
    /* Plain DISTINCT is a list of one empty node. */
    if (node->distinct_clause[0]->node_case != PG_QUERY__NODE__NODE__NOT_SET)
        return bind_distinct_on(selecting, error);
    query->distinct = true;
    for (uint32_t i = 0; i < query->target_count; i++)
        OMEN_TRY(bind_settle_target(selecting, i, error));
    for (uint32_t i = 0; i < query->order_count; i++)
        if (query->order[i].expression != NULL)
            return bind_fail(
                selecting->binder, bind_expression_location(query->order[i].expression), error,
                OMEN_INVALID_COLUMN_REFERENCE,
                "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
    return OMEN_OK;
}

/* --- LIMIT and OFFSET --- */

static bool no_subquery(struct expression **part, void *state)
{
    return (*part)->kind != EXPRESSION_SUBQUERY &&
           expression_visit_parts(*part, no_subquery, state);
}

static omen_status check_count(const struct expression *expression, const char *clause,
                               omen_error *error)
{
    bool limit = strcmp(clause, "LIMIT") == 0;
    if (expression->kind != EXPRESSION_CONSTANT || expression->value.is_null ||
        expression->value.as.i64 >= 0)
        return OMEN_OK;
    return error_set(error, limit ? OMEN_INVALID_LIMIT : OMEN_INVALID_OFFSET,
                     "%s must not be negative", clause);
}

static omen_status bind_count(struct binder *binder, struct scope *scope, const PgQuery__Node *node,
                              const char *clause, struct expression **out, omen_error *error)
{
    struct expression *expression;
    scope->clause = clause;
    scope->allows_aggregates = scope->allows_windows = false;
    OMEN_TRY(bind_expression(binder, scope, node, &expression, error));
    int location = bind_expression_location(expression);
    if (semantics_find_cast(expression->type.id, OMEN_TYPE_BIGINT, CONTEXT_ASSIGNMENT) == NULL &&
        !bind_is_unknown(expression->type) && expression->type.id != OMEN_TYPE_BIGINT)
        return bind_fail(binder, location, error, OMEN_TYPE_MISMATCH,
                         "argument of %s must be type bigint, not type %s", clause,
                         semantics_type_name(expression->type.id));
    OMEN_TRY(bind_coerce(binder, expression, (omen_type){.id = OMEN_TYPE_BIGINT},
                         CONTEXT_ASSIGNMENT, NULL, &expression, error));
    if (bind_has_columns(expression))
        return bind_fail(binder, location, error, OMEN_INVALID_COLUMN_REFERENCE,
                         "argument of %s must not contain variables", clause);
    if (!no_subquery(&expression, NULL))
        return bind_refuse(binder, location, "a subquery in LIMIT or OFFSET", error);
    OMEN_TRY(evaluate_constants(&expression, binder->arena, error));
    OMEN_TRY(check_count(expression, clause, error));
    bool all = expression->kind == EXPRESSION_CONSTANT && expression->value.is_null;
    *out = all ? NULL : expression;
    return OMEN_OK;
}

omen_status bind_limits(struct binder *binder, struct scope *scope, const PgQuery__SelectStmt *node,
                        struct query *query, omen_error *error)
{
    if (node->limit_offset != NULL)
        OMEN_TRY(bind_count(binder, scope, node->limit_offset, "OFFSET", &query->offset, error));
    if (node->limit_count != NULL)
        OMEN_TRY(bind_count(binder, scope, node->limit_count, "LIMIT", &query->limit, error));
    return OMEN_OK;
}
