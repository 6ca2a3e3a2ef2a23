/* simplify.c - computing the constant parts of a whole bound query.
 *
 *   d <= DATE '1998-12-01' - INTERVAL '90 days'      CAST(d AS TIMESTAMP) <= TIMESTAMP '1998-09-02'
 *                                                    d <= DATE '1998-09-02'
 *
 * Queries are as deep as the binder allows (BIND_DEPTH_MAX), so plain recursion is safe. Parts that
 * several places share are simplified again in each, which changes nothing more.
 */
#include "sql/simplify.h"

#include <string.h>

#include "sql/bind.h"
#include "sql/condition_order.h"
#include "sql/correlation.h"
#include "sql/evaluate.h"

struct simplifying {
    struct arena *arena;
    bool grouped; /* the query at hand: its outputs read groups, not rows */
    omen_status status;
    omen_error *error;
};

static bool simplify_nested(struct query *query, uint32_t levels, void *state);

/* The queries within an expression. */
static bool simplify_subqueries(struct expression **part, void *state)
{
    if ((*part)->kind == EXPRESSION_SUBQUERY && !simplify_nested((*part)->subquery.query, 1, state))
        return false;
    return expression_visit_parts(*part, simplify_subqueries, state);
}

static bool is_given(const struct expression *expression)
{
    return expression->kind == EXPRESSION_CONSTANT || expression->kind == EXPRESSION_PARAMETER;
}

/* `constant op x` as `x op constant`: the engine takes an equality written both ways for a
 * contradiction. Stays as it is where memory is exhausted. */
static bool turn_comparisons(struct expression **part, void *state)
{
    static const char *const turned[][2] = {{"=", "="}, {"<>", "<>"}, {"<", ">"},
                                            {">", "<"}, {"<=", ">="}, {">=", "<="}};
    struct expression *call = *part;
    struct arena *arena = state;
    expression_visit_parts(call, turn_comparisons, state);
    if (call->kind != EXPRESSION_CALL || call->line->kind != SEMANTICS_OPERATOR ||
        call->argument_count != 2 || !is_given(call->arguments[0]) || is_given(call->arguments[1]))
        return true;
    for (size_t i = 0; i < sizeof turned / sizeof *turned; i++) {
        const struct semantics_line *line;
        omen_type left = {.id = (omen_type_id)call->line->arguments[1]};
        omen_type right = {.id = (omen_type_id)call->line->arguments[0]};
        if (strcmp(call->line->name, turned[i][0]) != 0 ||
            semantics_find_operator(turned[i][1], &left, &right, &line, NULL) != OMEN_OK)
            continue;
        struct expression *node = arena_alloc(arena, sizeof *node);
        struct expression **arguments = arena_alloc(arena, 2 * sizeof *arguments);
        if (node == NULL || arguments == NULL)
            return true;
        *node = *call;
        node->line = line;
        node->arguments = arguments;
        arguments[0] = call->arguments[1];
        arguments[1] = call->arguments[0];
        *part = node;
        return true;
    }
    return true;
}

/* x IN (a, NULL) as x IN (a) OR NULL, x NOT IN (a, NULL) as x NOT IN (a) AND NULL: the engine loses
 * a list's NULL where it merges lists. Stays as it is where memory is exhausted. */
static bool split_nulls(struct expression **part, void *state)
{
    struct expression *in = *part;
    struct arena *arena = state;
    expression_visit_parts(in, split_nulls, state);
    if (in->kind != EXPRESSION_IN)
        return true;
    uint32_t kept = 1;
    struct expression *null = NULL,
                      **items = arena_alloc(arena, in->argument_count * sizeof *items);
    for (uint32_t i = 1; items != NULL && i < in->argument_count; i++) {
        if (in->arguments[i]->kind == EXPRESSION_CONSTANT && in->arguments[i]->value.is_null)
            null = in->arguments[i];
        else
            items[kept++] = in->arguments[i];
    }
    if (null == NULL || kept == 1)
        return true;
    struct expression *rest = arena_alloc(arena, sizeof *rest);
    struct expression *unknown = arena_alloc(arena, sizeof *unknown);
    struct expression *logic = arena_alloc(arena, sizeof *logic);
    struct expression **sides = arena_alloc(arena, 2 * sizeof *sides);
    if (rest == NULL || unknown == NULL || logic == NULL || sides == NULL)
        return true;
    items[0] = in->arguments[0];
    *rest = *in;
    rest->arguments = items;
    rest->argument_count = kept;
    *unknown = (struct expression){
        .kind = EXPRESSION_CONSTANT, .type = in->type, .location = in->location};
    unknown->value = (omen_value){.type = in->type, .is_null = true};
    sides[0] = rest;
    sides[1] = unknown;
    *logic = (struct expression){.kind = in->negated ? EXPRESSION_AND : EXPRESSION_OR,
                                 .type = in->type,
                                 .location = in->location,
                                 .arguments = sides,
                                 .argument_count = 2};
    *part = logic;
    return true;
}

/* A call of constants that is still one: computing it failed. */
static bool is_failed_constant(const struct expression *expression)
{
    if (expression->kind == EXPRESSION_CONSTANT)
        return true;
    if (expression->kind != EXPRESSION_CALL || !expression_is_fixed(expression))
        return false;
    for (uint32_t i = 0; i < expression->argument_count; i++)
        if (!is_failed_constant(expression->arguments[i]))
            return false;
    return true;
}

/* The engine asks what reads no row below an aggregate of all rows, where it may never be asked:
 * conditions that fail are errors at once. (What fails for want of a number is told before, by
 * constant_errors_find.) */
static omen_status check_conditions(struct simplifying *simplifying, struct query *query)
{
    uint32_t count;
    bool one_group = false;
    for (uint32_t i = 0; i < query->from_count; i++)
        one_group |= from_has_one_group(query->from[i]);
    if (!one_group)
        return OMEN_OK;
    struct evaluation evaluation = {.arena = simplifying->arena};
    struct expression **conditions = conjuncts_of(&query->where, &count);
    omen_value value;
    for (uint32_t i = 0; i < count; i++)
        if (conditions[i]->kind == EXPRESSION_CALL && is_failed_constant(conditions[i]))
            OMEN_TRY(evaluate(conditions[i], &evaluation, &value, simplifying->error));
    return OMEN_OK;
}

static bool simplify_expression(struct expression **expression, void *state)
{
    struct simplifying *simplifying = state;
    if (!simplify_subqueries(expression, state))
        return false;
    simplifying->status = evaluate_constants(expression, simplifying->arena, simplifying->error);
    if (simplifying->status == OMEN_OK) {
        turn_comparisons(expression, simplifying->arena);
        split_nulls(expression, simplifying->arena);
    }
    /* GROUP BY CAST(a): CAST(a) may be compared, a may not. */
    if (simplifying->status == OMEN_OK && !simplifying->grouped)
        bind_narrow(expression, simplifying->arena);
    return simplifying->status == OMEN_OK;
}

static bool is_boolean(const struct expression *constant, bool is_null, bool truth)
{
    return constant->kind == EXPRESSION_CONSTANT && constant->value.is_null == is_null &&
           (is_null || constant->value.as.boolean == truth);
}

/* What a WHERE asks of CASE WHEN x THEN TRUE WHEN y THEN NULL ELSE FALSE END, a row's IN, is x. */
static void simplify_filter(struct expression **where)
{
    struct expression *filter = *where;
    if (filter->kind == EXPRESSION_AND)
        for (uint32_t i = 0; i < filter->argument_count; i++)
            simplify_filter(&filter->arguments[i]);
    if (filter->kind == EXPRESSION_CASE && filter->argument_count == 5 &&
        filter->type.id == OMEN_TYPE_BOOLEAN && is_boolean(filter->arguments[1], false, true) &&
        is_boolean(filter->arguments[3], true, false) &&
        is_boolean(filter->arguments[4], false, false) &&
        filter->arguments[2]->kind == EXPRESSION_SUBQUERY)
        *where = filter->arguments[0];
}

/* The engine has subqueries in a WHERE, but hardly in the ON of a join. Where no row is made up for
 * what finds none, an ON is as good as a WHERE. */
static void lift_conditions(struct query *query, struct from_item *item, struct arena *arena)
{
    bool inner = item->relation == NULL && (item->join == JOIN_CROSS || item->join == JOIN_INNER);
    if (item->relation != NULL || (!inner && item->join != JOIN_LEFT))
        return;
    lift_conditions(query, item->left, arena);
    if (!inner)
        return;
    lift_conditions(query, item->right, arena);
    if (item->condition == NULL || !expression_has_subquery(item->condition))
        return;
    if (query->where == NULL) {
        query->where = item->condition;
    } else {
        struct expression *both = arena_alloc(arena, sizeof *both);
        struct expression **sides = arena_alloc(arena, 2 * sizeof(struct expression *));
        if (both == NULL || sides == NULL)
            return;
        sides[0] = item->condition;
        sides[1] = query->where;
        *both = (struct expression){.kind = EXPRESSION_AND,
                                    .type = query->where->type,
                                    .location = -1,
                                    .arguments = sides,
                                    .argument_count = 2};
        query->where = both;
    }
    item->condition = NULL;
    item->join = JOIN_CROSS;
    query_order_conditions(query, arena);
}

static bool is_never_true(const struct expression *condition)
{
    if (condition->kind == EXPRESSION_AND) {
        for (uint32_t i = 0; i < condition->argument_count; i++)
            if (is_never_true(condition->arguments[i]))
                return true;
        return false;
    }
    return condition->kind == EXPRESSION_CONSTANT &&
           (condition->value.is_null || !condition->value.as.boolean);
}

/* Where only true counts, OR needs no side that never is: x IN (1, NULL) is x IN (1), which the
 * index can answer. Elsewhere the same expression may count as NULL, so it is not changed itself.
 */
static void drop_untrue_sides(struct expression **filter, struct arena *arena)
{
    const struct expression *condition = *filter;
    if (condition->kind != EXPRESSION_AND && condition->kind != EXPRESSION_OR)
        return;
    struct expression *copy = arena_alloc(arena, sizeof *copy);
    struct expression **sides = arena_alloc(arena, condition->argument_count * sizeof *sides);
    if (copy == NULL || sides == NULL)
        return; /* as it was, it is right too */
    uint32_t kept = 0;
    for (uint32_t i = 0; i < condition->argument_count; i++) {
        sides[kept] = condition->arguments[i];
        drop_untrue_sides(&sides[kept], arena);
        kept += condition->kind == EXPRESSION_AND || !is_never_true(sides[kept]);
    }
    if (kept == 0)
        return;
    *copy = *condition;
    copy->arguments = sides;
    copy->argument_count = kept;
    *filter = kept == 1 ? sides[0] : copy;
}

/* A filter that a constant keeps from ever being true is FALSE, whatever else it asks. (The engine
 * would ask a NULL among other conditions below an aggregate of all rows, which has a row always.)
 */
static void fold_filter(struct expression **filter, struct arena *arena)
{
    if (*filter != NULL)
        drop_untrue_sides(filter, arena);
    if (*filter == NULL || !is_never_true(*filter))
        return;
    struct expression *never = arena_alloc(arena, sizeof *never);
    if (never == NULL)
        return;
    *never = (struct expression){.kind = EXPRESSION_CONSTANT,
                                 .type = {.id = OMEN_TYPE_BOOLEAN},
                                 .location = (*filter)->location};
    never->value = (omen_value){.type = never->type};
    *filter = never;
}

static void fold_joins(struct from_item *item, struct arena *arena)
{
    if (item->relation != NULL)
        return;
    fold_filter(&item->condition, arena);
    fold_joins(item->left, arena);
    fold_joins(item->right, arena);
}

static void narrow_conditions(struct from_item *item, struct arena *arena)
{
    if (item->relation != NULL)
        return;
    if (item->condition != NULL)
        bind_narrow(&item->condition, arena);
    narrow_conditions(item->left, arena);
    narrow_conditions(item->right, arena);
}

static bool simplify_nested(struct query *query, uint32_t levels, void *state)
{
    (void)levels;
    struct simplifying *simplifying = state;
    bool outer = simplifying->grouped;
    for (uint32_t i = 0; query->kind == QUERY_SELECT && i < query->from_count; i++)
        lift_conditions(query, query->from[i], simplifying->arena);
    if (query->kind == QUERY_SELECT && query->where != NULL)
        simplify_filter(&query->where);
    simplifying->grouped = query->grouped;
    bool more = query_visit_parts(query, simplify_expression, simplify_nested, simplifying);
    simplifying->grouped = outer;
    if (more && query->kind == QUERY_SELECT) {
        fold_filter(&query->where, simplifying->arena);
        fold_filter(&query->having, simplifying->arena);
        for (uint32_t i = 0; i < query->from_count; i++)
            fold_joins(query->from[i], simplifying->arena);
        simplifying->status = check_conditions(simplifying, query);
        more = simplifying->status == OMEN_OK;
    }
    if (!more || !query->grouped)
        return more;
    for (uint32_t i = 0; i < query->from_count; i++)
        narrow_conditions(query->from[i], simplifying->arena);
    if (query->where != NULL)
        bind_narrow(&query->where, simplifying->arena);
    return true;
}

omen_status simplify_query(struct query *query, struct arena *arena, omen_error *error)
{
    struct simplifying simplifying = {.arena = arena, .error = error};
    (void)simplify_nested(query, 0, &simplifying);
    return simplifying.status;
}
