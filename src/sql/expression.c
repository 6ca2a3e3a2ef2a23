/* expression.c - walking and comparing bound trees.
 *
 * Trees are as deep as the binder allows (BIND_DEPTH_MAX), so plain recursion is safe.
 */
#include "sql/expression.h"

#include <string.h>

#include "sql/query_tree.h"

/* --- parts --- */

static bool visit_keys(struct sort_key *keys, uint32_t count, expression_visitor *visit,
                       void *state)
{
    for (uint32_t i = 0; i < count; i++)
        if (keys[i].expression != NULL && !visit(&keys[i].expression, state))
            return false;
    return true;
}

static bool visit_list(struct expression **list, uint32_t count, expression_visitor *visit,
                       void *state)
{
    for (uint32_t i = 0; i < count; i++)
        if (!visit(&list[i], state))
            return false;
    return true;
}

static bool visit_optional(struct expression **part, expression_visitor *visit, void *state)
{
    return *part == NULL || visit(part, state);
}

static bool visit_window(struct window *window, expression_visitor *visit, void *state)
{
    return visit_list(window->partition, window->partition_count, visit, state) &&
           visit_keys(window->order, window->order_count, visit, state) &&
           visit_optional(&window->start_offset, visit, state) &&
           visit_optional(&window->end_offset, visit, state);
}

static bool is_aggregate(const struct expression *expression)
{
    return expression->kind == EXPRESSION_AGGREGATE || expression->kind == EXPRESSION_WINDOW;
}

bool expression_visit_parts(struct expression *expression, expression_visitor *visit, void *state)
{
    if (!visit_list(expression->arguments, expression->argument_count, visit, state))
        return false;
    if (!is_aggregate(expression))
        return true;
    struct aggregate_call *call = &expression->aggregate;
    return visit_optional(&call->filter, visit, state) &&
           visit_keys(call->order, call->order_count, visit, state) &&
           (call->window == NULL || visit_window(call->window, visit, state));
}

static bool visit_from(struct from_item *item, expression_visitor *visit, query_visitor *nested,
                       void *state)
{
    if (item->relation != NULL) {
        struct relation *relation = item->relation;
        return visit_optional(&relation->function, visit, state) &&
               (relation->kind != RELATION_QUERY || nested(relation->query, 1, state));
    }
    return visit_from(item->left, visit, nested, state) &&
           visit_from(item->right, visit, nested, state) &&
           visit_optional(&item->condition, visit, state);
}

static bool visit_select(struct query *query, expression_visitor *visit, query_visitor *nested,
                         void *state)
{
    for (uint32_t i = 0; i < query->target_count; i++)
        if (query->targets[i].expression != NULL && !visit(&query->targets[i].expression, state))
            return false;
    if (!visit_list(query->distinct_on, query->distinct_on_count, visit, state))
        return false;
    for (uint32_t i = 0; i < query->from_count; i++)
        if (!visit_from(query->from[i], visit, nested, state))
            return false;
    return visit_optional(&query->where, visit, state) &&
           visit_list(query->groups, query->group_count, visit, state) &&
           visit_optional(&query->having, visit, state);
}

bool query_visit_parts(struct query *query, expression_visitor *visit, query_visitor *nested,
                       void *state)
{
    for (uint32_t i = 0; i < query->cte_count; i++)
        if (query->ctes[i]->query != NULL && !nested(query->ctes[i]->query, 1, state))
            return false;
    bool more = true;
    switch (query->kind) {
    case QUERY_SELECT:
        more = visit_select(query, visit, nested, state);
        break;
    case QUERY_SET:
        more = nested(query->left, 0, state) && nested(query->right, 0, state);
        break;
    case QUERY_VALUES:
        for (uint32_t i = 0; i < query->row_count && more; i++)
            more = visit_list(query->rows[i], query->target_count, visit, state);
        break;
    }
    return more && visit_keys(query->order, query->order_count, visit, state) &&
           visit_optional(&query->limit, visit, state) &&
           visit_optional(&query->offset, visit, state);
}

/* --- what the evaluator can do --- */

static bool line_is_evaluable(const struct semantics_line *line)
{
    return line != NULL && line->evaluate != NULL && (line->flags & SEMANTICS_VOLATILE) == 0;
}

bool expression_is_fixed(const struct expression *expression)
{
    switch (expression->kind) {
    case EXPRESSION_CALL:
    case EXPRESSION_DISTINCT_FROM:
    case EXPRESSION_IN:
    case EXPRESSION_NULLIF:
        return line_is_evaluable(expression->line) &&
               (expression->line->flags & SEMANTICS_STABLE) == 0;
    case EXPRESSION_PARAMETER:
    case EXPRESSION_COLUMN:
    case EXPRESSION_AGGREGATE:
    case EXPRESSION_WINDOW:
    case EXPRESSION_SUBQUERY:
        return false;
    default:
        return true;
    }
}

bool expression_is_evaluable(const struct expression *expression)
{
    switch (expression->kind) {
    case EXPRESSION_COLUMN:
        if (expression->column.levels_up > 0)
            return false;
        break;
    case EXPRESSION_CALL:
    case EXPRESSION_DISTINCT_FROM:
    case EXPRESSION_IN:
    case EXPRESSION_NULLIF:
        if (!line_is_evaluable(expression->line))
            return false;
        break;
    case EXPRESSION_AGGREGATE:
    case EXPRESSION_WINDOW:
    case EXPRESSION_SUBQUERY:
        return false;
    default:
        break;
    }
    for (uint32_t i = 0; i < expression->argument_count; i++)
        if (!expression_is_evaluable(expression->arguments[i]))
            return false;
    return true;
}

/* --- equality --- */

static bool types_equal(omen_type one, omen_type other)
{
    return one.id == other.id && one.precision == other.precision && one.scale == other.scale &&
           one.length_max == other.length_max;
}

/* The same value in every bit: 0.0 and -0.0 differ. */
static bool values_identical(const omen_value *one, const omen_value *other)
{
    if (!types_equal(one->type, other->type) || one->is_null != other->is_null)
        return false;
    if (one->is_null)
        return true;
    switch ((int)one->type.id) {
    case OMEN_TYPE_BOOLEAN:
        return one->as.boolean == other->as.boolean;
    case OMEN_TYPE_SMALLINT:
        return one->as.i16 == other->as.i16;
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_DATE:
        return one->as.i32 == other->as.i32;
    case OMEN_TYPE_REAL:
        return memcmp(&one->as.f32, &other->as.f32, sizeof one->as.f32) == 0;
    case OMEN_TYPE_BIGINT:
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
    case OMEN_TYPE_DOUBLE:
        return one->as.i64 == other->as.i64;
    case OMEN_TYPE_DECIMAL:
    case OMEN_TYPE_UUID:
    case SQL_TYPE_INTERVAL:
        return memcmp(one->as.uuid, other->as.uuid, sizeof one->as.uuid) == 0;
    default: /* texts, and literals whose type is unknown */
        return one->as.bytes.length == other->as.bytes.length &&
               (one->as.bytes.length == 0 ||
                memcmp(one->as.bytes.data, other->as.bytes.data, one->as.bytes.length) == 0);
    }
}

static bool optional_equal(const struct expression *one, const struct expression *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    return expression_equal(one, other);
}

static bool lists_equal(struct expression *const *one, uint32_t one_count,
                        struct expression *const *other, uint32_t other_count)
{
    if (one_count != other_count)
        return false;
    for (uint32_t i = 0; i < one_count; i++)
        if (!expression_equal(one[i], other[i]))
            return false;
    return true;
}

static bool keys_equal(const struct sort_key *one, uint32_t one_count, const struct sort_key *other,
                       uint32_t other_count)
{
    if (one_count != other_count)
        return false;
    for (uint32_t i = 0; i < one_count; i++)
        if (!optional_equal(one[i].expression, other[i].expression) ||
            (one[i].expression == NULL && one[i].target != other[i].target) ||
            one[i].descending != other[i].descending || one[i].nulls_first != other[i].nulls_first)
            return false;
    return true;
}

static bool windows_equal(const struct window *one, const struct window *other)
{
    if (one == NULL || other == NULL || one == other)
        return one == other;
    if (one->framed != other->framed)
        return false;
    if (one->framed &&
        (one->unit != other->unit || one->start != other->start || one->end != other->end ||
         !optional_equal(one->start_offset, other->start_offset) ||
         !optional_equal(one->end_offset, other->end_offset)))
        return false;
    return lists_equal(one->partition, one->partition_count, other->partition,
                       other->partition_count) &&
           keys_equal(one->order, one->order_count, other->order, other->order_count);
}

static bool aggregates_equal(const struct aggregate_call *one, const struct aggregate_call *other)
{
    return one->star == other->star && one->distinct == other->distinct &&
           optional_equal(one->filter, other->filter) &&
           keys_equal(one->order, one->order_count, other->order, other->order_count) &&
           windows_equal(one->window, other->window);
}

/* What the kind keeps apart from arguments and line. */
static bool details_equal(const struct expression *one, const struct expression *other)
{
    switch (one->kind) {
    case EXPRESSION_CONSTANT:
        return values_identical(&one->value, &other->value);
    case EXPRESSION_PARAMETER:
        return one->parameter == other->parameter;
    case EXPRESSION_COLUMN:
        return one->column.relation == other->column.relation &&
               one->column.column == other->column.column &&
               one->column.levels_up == other->column.levels_up;
    case EXPRESSION_TEST:
        return one->test == other->test;
    case EXPRESSION_AGGREGATE:
    case EXPRESSION_WINDOW:
        return aggregates_equal(&one->aggregate, &other->aggregate);
    case EXPRESSION_SUBQUERY: /* two texts of one query are two queries here */
        return one->subquery.kind == other->subquery.kind &&
               one->subquery.query == other->subquery.query &&
               one->subquery.negated == other->subquery.negated;
    default:
        return true;
    }
}

bool expression_equal(const struct expression *one, const struct expression *other)
{
    if (one == other)
        return true;
    return one->kind == other->kind && types_equal(one->type, other->type) &&
           one->line == other->line && one->negated == other->negated &&
           one->explicit_cast == other->explicit_cast && details_equal(one, other) &&
           lists_equal(one->arguments, one->argument_count, other->arguments,
                       other->argument_count);
}
