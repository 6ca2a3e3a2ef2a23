/* bind_group.c - GROUP BY, grouping sets, and which columns a grouped query may show.
 *
 *   GROUP BY a, ROLLUP (b, c)    groups a, b, c    sets {a b c} {a b} {a}
 *
 * ROLLUP and CUBE are written out as sets; items of a list multiply.
 */
#include <string.h>

#include "sql/bind_private.h"

enum { GROUPING_SETS_MAX = 4096, CUBE_ELEMENTS_MAX = 12 }; /* PostgreSQL's limits */

/* Positions + 1 among the groups, ended by 0. */
struct sets {
    uint32_t **sets;
    uint32_t count, capacity;
};

/* --- sets --- */

static omen_status add_set(struct binder *binder, struct sets *sets, const uint32_t *one,
                           const uint32_t *other, omen_error *error)
{
    uint32_t one_count = 0, other_count = 0, count = 0;
    while (one[one_count] != 0)
        one_count++;
    while (other[other_count] != 0)
        other_count++;
    if (sets->count == GROUPING_SETS_MAX)
        return error_set(error, OMEN_STATEMENT_TOO_COMPLEX,
                         "too many grouping sets present (maximum %d)", GROUPING_SETS_MAX);
    uint32_t *set = bind_alloc(binder, (one_count + other_count + 1) * sizeof *set, error);
    if (set == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < one_count + other_count; i++) {
        uint32_t group = i < one_count ? one[i] : other[i - one_count];
        bool known = false;
        for (uint32_t j = 0; j < count && !known; j++)
            known = set[j] == group;
        if (!known)
            set[count++] = group;
    }
    OMEN_TRY(
        bind_grow(binder, &sets->sets, sets->count, &sets->capacity, sizeof(uint32_t *), error));
    sets->sets[sets->count++] = set;
    return OMEN_OK;
}

static const uint32_t nothing[] = {0};

/* Every set of one with every set of the other. */
static omen_status multiply(struct binder *binder, struct sets *product, const struct sets *more,
                            omen_error *error)
{
    struct sets result = {0};
    for (uint32_t i = 0; i < product->count; i++)
        for (uint32_t j = 0; j < more->count; j++)
            OMEN_TRY(add_set(binder, &result, product->sets[i], more->sets[j], error));
    *product = result;
    return OMEN_OK;
}

static omen_status add_rollup(struct binder *binder, struct sets *sets, const struct sets *parts,
                              omen_error *error)
{
    struct sets prefixes = {0};
    OMEN_TRY(add_set(binder, &prefixes, nothing, nothing, error));
    for (uint32_t i = 0; i < parts->count; i++)
        OMEN_TRY(add_set(binder, &prefixes, prefixes.sets[i], parts->sets[i], error));
    for (uint32_t i = prefixes.count; i-- > 0;)
        OMEN_TRY(add_set(binder, sets, prefixes.sets[i], nothing, error));
    return OMEN_OK;
}

static omen_status add_cube(struct binder *binder, struct sets *sets, const struct sets *parts,
                            int location, omen_error *error)
{
    struct sets choices = {0};
    if (parts->count > CUBE_ELEMENTS_MAX)
        return bind_fail(binder, location, error, OMEN_TOO_MANY_COLUMNS,
                         "CUBE is limited to %d elements", CUBE_ELEMENTS_MAX);
    OMEN_TRY(add_set(binder, &choices, nothing, nothing, error));
    for (uint32_t i = 0; i < parts->count; i++)
        for (uint32_t j = 0, before = choices.count; j < before; j++)
            OMEN_TRY(add_set(binder, &choices, choices.sets[j], parts->sets[i], error));
    for (uint32_t i = choices.count; i-- > 0;)
        OMEN_TRY(add_set(binder, sets, choices.sets[i], nothing, error));
    return OMEN_OK;
}

/* --- groups --- */

static omen_status add_group(struct selecting *selecting, struct expression *expression,
                             uint32_t *group, omen_error *error)
{
    struct query *query = selecting->query;
    for (uint32_t i = 0; i < query->group_count; i++)
        if (expression_equal(query->groups[i], expression)) {
            *group = i + 1;
            return OMEN_OK;
        }
    if (query->group_count == QUERY_TARGETS_MAX)
        return error_set(error, OMEN_TOO_MANY_COLUMNS, "GROUP BY can have at most %d entries",
                         QUERY_TARGETS_MAX);
    OMEN_TRY(bind_grow(selecting->binder, &query->groups, query->group_count,
                       &selecting->group_capacity, sizeof(struct expression *), error));
    query->groups[query->group_count++] = expression;
    *group = query->group_count;
    return OMEN_OK;
}

static omen_status bind_group(struct selecting *selecting, const PgQuery__Node *node,
                              uint32_t *group, omen_error *error)
{
    struct expression *expression;
    int32_t target;
    OMEN_TRY(bind_output_or_expression(selecting, node, "GROUP BY", &target, &expression, error));
    /* An output that GROUP BY names has not been bound for it. */
    if (target >= 0 && bind_has_aggregate(expression, false))
        return bind_fail(selecting->binder, bind_aggregate_location(expression), error,
                         OMEN_GROUPING_ERROR, "aggregate functions are not allowed in GROUP BY");
    if (target >= 0 && bind_has_aggregate(expression, true))
        return bind_fail(selecting->binder, expression->location, error, OMEN_WINDOWING_ERROR,
                         "window functions are not allowed in GROUP BY");
    return add_group(selecting, expression, group, error);
}

static bool is_row(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_ROW_EXPR &&
           node->row_expr->row_format == PG_QUERY__COERCION_FORM__COERCE_IMPLICIT_CAST;
}

/* Adds what one element of GROUP BY stands for. */
static omen_status expand(struct selecting *selecting, const PgQuery__Node *node, struct sets *sets,
                          omen_error *error);

/* One expression, or several in parentheses: one set. */
static omen_status expand_simple(struct selecting *selecting, const PgQuery__Node *node,
                                 struct sets *sets, omen_error *error)
{
    PgQuery__Node *single = (PgQuery__Node *)node;
    PgQuery__Node **items = is_row(node) ? node->row_expr->args : &single;
    size_t count = is_row(node) ? node->row_expr->n_args : 1;
    uint32_t *set = bind_alloc(selecting->binder, (count + 1) * sizeof *set, error);
    if (set == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++)
        OMEN_TRY(bind_group(selecting, items[i], &set[i], error));
    return add_set(selecting->binder, sets, set, nothing, error);
}

static omen_status expand_set(struct selecting *selecting, const PgQuery__GroupingSet *node,
                              struct sets *sets, omen_error *error)
{
    struct binder *binder = selecting->binder;
    struct sets parts = {0};
    if (node->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_EMPTY)
        return add_set(binder, sets, nothing, nothing, error);
    for (size_t i = 0; i < node->n_content; i++)
        OMEN_TRY(expand(selecting, node->content[i], &parts, error));
    switch (node->kind) {
    case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_ROLLUP:
        return add_rollup(binder, sets, &parts, error);
    case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_CUBE:
        return add_cube(binder, sets, &parts, node->location, error);
    default:
        for (uint32_t i = 0; i < parts.count; i++)
            OMEN_TRY(add_set(binder, sets, parts.sets[i], nothing, error));
        return OMEN_OK;
    }
}

static omen_status expand(struct selecting *selecting, const PgQuery__Node *node, struct sets *sets,
                          omen_error *error)
{
    if (node->node_case != PG_QUERY__NODE__NODE_GROUPING_SET)
        return expand_simple(selecting, node, sets, error);
    OMEN_TRY(bind_enter(selecting->binder, error));
    omen_status status = expand_set(selecting, node->grouping_set, sets, error);
    selecting->binder->depth--;
    return status;
}

omen_status bind_groups(struct selecting *selecting, omen_error *error)
{
    const PgQuery__SelectStmt *node = selecting->node;
    struct query *query = selecting->query;
    struct sets product = {0};
    bool has_sets = false;
    if (node->n_group_clause == 0)
        return OMEN_OK;
    query->grouped = true;
    selecting->scope.clause = "GROUP BY";
    selecting->scope.allows_aggregates = selecting->scope.allows_windows = false;
    OMEN_TRY(add_set(selecting->binder, &product, nothing, nothing, error));
    for (size_t i = 0; i < node->n_group_clause; i++) {
        struct sets sets = {0};
        has_sets |= node->group_clause[i]->node_case == PG_QUERY__NODE__NODE_GROUPING_SET;
        OMEN_TRY(expand(selecting, node->group_clause[i], &sets, error));
        OMEN_TRY(multiply(selecting->binder, &product, &sets, error));
    }
    /* PostgreSQL nulls the one output that GROUP BY names, not others that say the same. */
    for (uint32_t i = 0; i < query->group_count && has_sets; i++)
        if (!bind_has_columns(query->groups[i]))
            return bind_refuse(selecting->binder, query->groups[i]->location,
                               "a constant in ROLLUP, CUBE or GROUPING SETS", error);
    /* One empty set is what aggregates without GROUP BY have. */
    if (has_sets && !(product.count == 1 && query->group_count == 0)) {
        query->grouping_sets = product.sets;
        query->grouping_set_count = product.count;
    }
    return OMEN_OK;
}

/* --- what a grouped query may show --- */

struct grouping {
    struct selecting *selecting;
    uint32_t depth; /* queries between the grouped one and the expression at hand */
    omen_status status;
    omen_error *error;
};

static bool check_expression(struct expression **part, void *state);

static bool check_query(struct query *query, uint32_t levels, void *state)
{
    struct grouping *grouping = state;
    grouping->depth += levels;
    bool more = query_visit_parts(query, check_expression, check_query, state);
    grouping->depth -= levels;
    return more;
}

/* Whether `column` of the relation is a group, in every set. */
static bool is_grouped(const struct query *query, const struct relation *relation, uint32_t column)
{
    uint32_t group = 0;
    for (uint32_t i = 0; i < query->group_count; i++) {
        const struct expression *expression = query->groups[i];
        if (expression->kind == EXPRESSION_COLUMN && expression->column.levels_up == 0 &&
            expression->column.relation == relation && expression->column.column == column)
            group = i + 1;
    }
    if (group == 0)
        return false;
    for (uint32_t i = 0; i < query->grouping_set_count; i++) {
        const uint32_t *set = query->grouping_sets[i];
        while (*set != 0 && *set != group)
            set++;
        if (*set == 0)
            return false;
    }
    return true;
}

static bool is_any_group(const struct query *query, const struct column_use *use)
{
    for (uint32_t i = 0; i < query->group_count; i++) {
        const struct expression *group = query->groups[i];
        if (group->kind == EXPRESSION_COLUMN && group->column.levels_up == 0 &&
            group->column.relation == use->relation && group->column.column == use->column)
            return true;
    }
    return false;
}

static bool key_is_grouped(const struct query *query, const struct relation *relation)
{
    if (relation->kind != RELATION_TABLE)
        return false;
    const struct schema *schema = table_schema(relation->table);
    for (uint32_t i = 0; i < schema->key.count; i++)
        if (schema->key_hidden || !is_grouped(query, relation, schema->key.columns[i]))
            return false;
    return true;
}

/* A column that follows from its table's key becomes a group itself, in every set. */
static omen_status add_dependent(struct selecting *selecting, const struct column_use *use,
                                 omen_error *error)
{
    struct query *query = selecting->query;
    struct sets sets = {0};
    uint32_t added[2] = {0};
    struct expression *column =
        bind_column_use(selecting->binder, use->relation, use->column, 0, -1, error);
    if (column == NULL)
        return OMEN_OUT_OF_MEMORY;
    OMEN_TRY(add_group(selecting, column, &added[0], error));
    for (uint32_t i = 0; i < query->grouping_set_count; i++)
        OMEN_TRY(add_set(selecting->binder, &sets, query->grouping_sets[i], added, error));
    if (query->grouping_sets != NULL)
        query->grouping_sets = sets.sets;
    return OMEN_OK;
}

static omen_status check_column(struct grouping *grouping, const struct expression *expression)
{
    const struct column_use *use = &expression->column;
    const struct query *query = grouping->selecting->query;
    if (use->levels_up != grouping->depth || is_any_group(query, use))
        return OMEN_OK;
    if (key_is_grouped(query, use->relation))
        return add_dependent(grouping->selecting, use, grouping->error);
    const char *table = use->relation->alias, *column = use->relation->columns[use->column].name;
    if (grouping->depth > 0)
        return bind_fail(
            grouping->selecting->binder, expression->location, grouping->error, OMEN_GROUPING_ERROR,
            "subquery uses ungrouped column \"%s.%s\" from outer query", table, column);
    return bind_fail(grouping->selecting->binder, expression->location, grouping->error,
                     OMEN_GROUPING_ERROR,
                     "column \"%s.%s\" must appear in the GROUP BY clause or be used in an "
                     "aggregate function",
                     table, column);
}

/* GROUPING speaks of groups; where there is one set of them it is 0. */
static omen_status check_grouping_call(struct grouping *grouping, struct expression **call)
{
    const struct query *query = grouping->selecting->query;
    for (uint32_t i = 0; i < (*call)->argument_count; i++) {
        bool found = false;
        for (uint32_t j = 0; j < query->group_count; j++)
            found |= expression_equal(query->groups[j], (*call)->arguments[i]);
        if (!found)
            return bind_fail(grouping->selecting->binder, bind_leftmost((*call)->arguments[i]),
                             grouping->error, OMEN_GROUPING_ERROR,
                             "arguments to GROUPING must be grouping expressions of the "
                             "associated query level");
    }
    if (query->grouping_set_count > 0)
        return OMEN_OK;
    const omen_value zero = {.type.id = OMEN_TYPE_INTEGER};
    *call = bind_value(grouping->selecting->binder, &zero, (*call)->location);
    return *call != NULL ? OMEN_OK : bind_no_memory(grouping->error);
}

static bool check_expression(struct expression **part, void *state)
{
    struct grouping *grouping = state;
    struct expression *expression = *part;
    const struct query *query = grouping->selecting->query;
    grouping->status = bind_spend(grouping->selecting->binder,
                                  query->group_count / BIND_LOOKS_A_STEP, grouping->error);
    if (grouping->status != OMEN_OK)
        return false;
    for (uint32_t i = 0; i < query->group_count && grouping->depth == 0; i++)
        if (expression_equal(query->groups[i], expression))
            return true;
    if (expression->kind == EXPRESSION_AGGREGATE && grouping->depth == 0) {
        if (bind_is_grouping(expression))
            grouping->status = check_grouping_call(grouping, part);
        return grouping->status == OMEN_OK;
    }
    if (expression->kind == EXPRESSION_COLUMN)
        grouping->status = check_column(grouping, expression);
    if (grouping->status != OMEN_OK || !expression_visit_parts(expression, check_expression, state))
        return false;
    return expression->kind != EXPRESSION_SUBQUERY ||
           check_query(expression->subquery.query, 1, state);
}

omen_status bind_check_grouping(struct selecting *selecting, omen_error *error)
{
    struct query *query = selecting->query;
    struct grouping grouping = {.selecting = selecting, .error = error};
    bool more = true;
    for (uint32_t i = 0; i < query->target_count && more; i++)
        more = check_expression(&query->targets[i].expression, &grouping);
    for (uint32_t i = 0; i < query->order_count && more; i++)
        more = query->order[i].expression == NULL ||
               check_expression(&query->order[i].expression, &grouping);
    for (uint32_t i = 0; i < query->distinct_on_count && more; i++)
        more = check_expression(&query->distinct_on[i], &grouping);
    if (more && query->having != NULL)
        check_expression(&query->having, &grouping);
    return grouping.status;
}
