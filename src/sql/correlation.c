/* correlation.c - finding and replacing the columns that a subquery takes from around it. */
#include "sql/correlation.h"

#include <string.h>

static bool walk_expression(struct expression **part, void *state);

static bool walk_query(struct query *query, uint32_t levels, void *state)
{
    struct correlation *correlation = state;
    bool in_from = correlation->in_from;
    correlation->in_from = true;
    correlation->depth += levels;
    bool more = query_visit_parts(query, walk_expression, walk_query, correlation);
    correlation->depth -= levels;
    correlation->in_from = in_from;
    return more;
}

static bool is_column(const struct expression *expression, const struct relation *relation,
                      uint32_t column)
{
    return expression->kind == EXPRESSION_COLUMN && expression->column.relation == relation &&
           expression->column.column == column;
}

/* The position among the keys of a column of the query around; -1 where that has no room. */
static int32_t find_key(struct correlation *correlation, const struct expression *use)
{
    for (uint32_t i = 0; i < correlation->key_count; i++)
        if (is_column(correlation->keys[i], use->column.relation, use->column.column))
            return (int32_t)i;
    if (correlation->listed != NULL || correlation->key_count == CORRELATION_KEYS_MAX)
        return -1;
    struct expression *key = bind_column_use(correlation->binder, use->column.relation,
                                             use->column.column, 0, -1, correlation->error);
    if (key == NULL) {
        correlation->status = OMEN_OUT_OF_MEMORY;
        return -1;
    }
    correlation->keys[correlation->key_count] = key;
    return (int32_t)correlation->key_count++;
}

static bool walk_column(struct correlation *correlation, struct expression **part)
{
    const struct expression *use = *part;
    bool to_come = use->column.levels_up == CORRELATION_KEY_TO_COME;
    if (use->column.levels_up <= correlation->depth)
        return true;
    if (!to_come && use->column.levels_up > correlation->depth + 1) {
        correlation->far = true;
        return true;
    }
    int32_t key = to_come ? (int32_t)use->column.column : find_key(correlation, use);
    correlation->misplaced |= correlation->in_from || key < 0;
    correlation->deep |= correlation->depth > 0;
    if (correlation->listed == NULL || key < 0)
        return correlation->status == OMEN_OK;
    *part = bind_column_use(correlation->binder, correlation->listed, (uint32_t)key,
                            correlation->depth, use->location, correlation->error);
    if (*part == NULL)
        correlation->status = OMEN_OUT_OF_MEMORY;
    return *part != NULL;
}

static bool walk_expression(struct expression **part, void *state)
{
    struct correlation *correlation = state;
    if ((*part)->kind == EXPRESSION_COLUMN)
        return walk_column(correlation, part);
    if ((*part)->kind == EXPRESSION_SUBQUERY) {
        correlation->depth++;
        bool more = query_visit_parts((*part)->subquery.query, walk_expression, walk_query, state);
        correlation->depth--;
        if (!more)
            return false;
    }
    return expression_visit_parts(*part, walk_expression, state);
}

/* Whether join conditions of a FROM item use columns from outside. */
static bool from_uses_keys(struct from_item *item, struct correlation *seen)
{
    if (item->relation != NULL)
        return item->relation->function != NULL &&
               (walk_expression(&item->relation->function, seen), seen->key_count > 0);
    if (item->condition != NULL)
        walk_expression(&item->condition, seen);
    return seen->key_count > 0 || from_uses_keys(item->left, seen) ||
           from_uses_keys(item->right, seen);
}

omen_status correlation_find(struct binder *binder, struct query *query, struct correlation *out,
                             omen_error *error)
{
    *out = (struct correlation){.binder = binder, .error = error};
    for (uint32_t i = 0; query->kind == QUERY_SELECT && i < query->from_count; i++)
        if (from_uses_keys(query->from[i], out))
            out->misplaced = true;
    query_visit_parts(query, walk_expression, walk_query, out);
    return out->status;
}

omen_status correlation_replace(struct correlation *correlation, struct query *query,
                                struct relation *listed)
{
    correlation->listed = listed;
    correlation->depth = 0;
    query_visit_parts(query, walk_expression, walk_query, correlation);
    return correlation->status;
}

/* --- what the engine does itself --- */

struct expression **conjuncts_of(struct expression **where, uint32_t *count)
{
    if (*where == NULL || (*where)->kind != EXPRESSION_AND) {
        *count = *where != NULL;
        return where;
    }
    *count = (*where)->argument_count;
    return (*where)->arguments;
}

bool correlation_of_expression(struct binder *binder, struct expression *expression)
{
    struct correlation seen = {.binder = binder};
    walk_expression(&expression, &seen);
    return seen.key_count > 0 || seen.far;
}

static bool is_own_column(const struct expression *expression)
{
    while (expression->kind == EXPRESSION_CALL && expression->line->kind == SEMANTICS_CAST)
        expression = expression->arguments[0];
    return expression->kind == EXPRESSION_COLUMN && expression->column.levels_up == 0;
}

/* Whether it only mentions the outside: no columns of the subquery itself. */
static bool all_outside(struct expression **part, void *state)
{
    if ((*part)->kind == EXPRESSION_SUBQUERY)
        return false;
    if ((*part)->kind == EXPRESSION_COLUMN && (*part)->column.levels_up == 0)
        return false;
    return expression_visit_parts(*part, all_outside, state);
}

/* `own column = something of the outside` */
static bool is_plain_equality(struct expression *conjunct)
{
    if (conjunct->kind != EXPRESSION_CALL || conjunct->argument_count != 2 ||
        conjunct->line->name == NULL || strcmp(conjunct->line->name, "=") != 0 ||
        conjunct->line->engine == NULL)
        return false;
    for (int side = 0; side < 2; side++)
        if (is_own_column(conjunct->arguments[side]) &&
            all_outside(&conjunct->arguments[1 - side], NULL))
            return true;
    return false;
}

bool correlation_is_equality(struct binder *binder, struct query *query)
{
    struct query rest = *query;
    struct correlation elsewhere;
    rest.where = NULL;
    uint32_t count;
    if (query->kind != QUERY_SELECT || query->limit != NULL || query->offset != NULL ||
        correlation_find(binder, &rest, &elsewhere, NULL) != OMEN_OK || elsewhere.key_count > 0 ||
        elsewhere.far || elsewhere.misplaced)
        return false;
    struct expression **conjuncts = conjuncts_of(&query->where, &count);
    for (uint32_t i = 0; i < count; i++)
        if (correlation_of_expression(binder, conjuncts[i]) && !is_plain_equality(conjuncts[i]))
            return false;
    return true;
}

static bool find_subquery(struct expression **part, void *state)
{
    return (*part)->kind != EXPRESSION_SUBQUERY &&
           expression_visit_parts(*part, find_subquery, state);
}

bool expression_has_subquery(struct expression *expression)
{
    return !find_subquery(&expression, NULL);
}

static bool has_no_window(struct expression **part, void *state)
{
    (void)state;
    return !bind_has_aggregate(*part, true);
}

static bool skip_query(struct query *query, uint32_t levels, void *state)
{
    (void)query, (void)levels, (void)state;
    return true;
}

static bool has_window(const struct query *query)
{
    return !query_visit_parts((struct query *)query, has_no_window, skip_query, NULL);
}

bool correlation_is_joinable(const struct query *query, enum correlated_place place,
                             const struct correlation *correlation)
{
    bool one_group = query->grouped && query->group_count == 0;
    if (query->kind != QUERY_SELECT || correlation->far || correlation->deep ||
        correlation->misplaced || query->distinct_on_count > 0 || query->limit != NULL ||
        query->offset != NULL || query->grouping_set_count > 0 || has_window(query))
        return false;
    if (!one_group)
        return true;
    return place == CORRELATED_SCALAR || (place == CORRELATED_LATERAL && query->having == NULL);
}

/* --- shapes of queries --- */

int64_t limit_rows(const struct expression *limit)
{
    bool given = limit != NULL && limit->kind == EXPRESSION_CONSTANT && !limit->value.is_null;
    return given ? limit->value.as.i64 : 0;
}

bool query_is_plain(const struct query *query, bool aggregate)
{
    return query->kind == QUERY_SELECT && query->from_count > 0 && query->distinct_on_count == 0 &&
           query->group_count == 0 && query->grouping_set_count == 0 && query->having == NULL &&
           query->grouped == aggregate && query->limit == NULL && query->offset == NULL;
}

void query_drop_what_exists_ignores(struct query *query)
{
    if (query->kind != QUERY_SELECT || query->offset != NULL)
        return;
    if (limit_rows(query->limit) > 0)
        query->limit = NULL;
    if (query->limit == NULL)
        query->order_count = 0;
    if (!query->grouped && query->distinct_on_count == 0)
        query->distinct = false;
}

bool query_has_one_row(const struct query *query)
{
    return query->kind == QUERY_SELECT && query->grouped && query->group_count == 0 &&
           query->grouping_set_count == 0 && query->having == NULL && query->limit == NULL &&
           query->offset == NULL;
}

bool from_has_one_group(const struct from_item *item)
{
    if (item->relation == NULL)
        return from_has_one_group(item->left) || from_has_one_group(item->right);
    const struct query *query = item->relation->query;
    if (item->relation->kind == RELATION_CTE)
        query = item->relation->cte->query;
    return query != NULL && query->kind == QUERY_SELECT && query->grouped &&
           query->group_count == 0;
}
