/* condition_order.c - PostgreSQL's order of AND-ed conditions, which decides what fails.
 *
 *   WHERE 10 / b > 2 AND b <> 0        asks b <> 0 first: it is one operation, the other two
 *
 * PostgreSQL asks the cheaper conditions first, counting operators, functions and casts that are
 * not constant, and leaves equally cheap ones as written (order_qual_clauses in its createplan.c,
 * cost_qual_eval in costsize.c), but for equalities, which it collects and writes anew behind them.
 * Conditions of fewer tables come first, because they are asked below the joins; in HAVING those
 * without aggregates, because they are asked of rows.
 *
 * AND elsewhere, in CASE or in an output, keeps its order.
 */
#include "sql/condition_order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SUBQUERY_COST = 1000000, /* one that is run for each row: more than anything else */
    HASHED_LIST_MIN = 9,     /* shorter lists are searched from their beginning */
};

/* A condition and what its place depends on. Costs are in halves of an operation. */
struct condition {
    struct expression *expression;
    uint32_t tables; /* how many it reads, about */
    bool aggregates;
    bool equality; /* not told in HAVING */
    int cost;
    uint32_t position;
};

/* --- costs --- */

/* Whether nothing in it changes from row to row, nor from run to run. */
static bool is_constant(struct expression **part, void *state)
{
    const struct expression *expression = *part;
    switch (expression->kind) {
    case EXPRESSION_COLUMN:
    case EXPRESSION_AGGREGATE:
    case EXPRESSION_WINDOW:
    case EXPRESSION_SUBQUERY:
        return false;
    case EXPRESSION_CALL:
        if ((expression->line->flags & (SEMANTICS_VOLATILE | SEMANTICS_STABLE)) != 0)
            return false;
        break;
    default:
        break;
    }
    return expression_visit_parts(*part, is_constant, state);
}

static bool is_text(uint32_t type)
{
    return type == OMEN_TYPE_TEXT || type == OMEN_TYPE_VARCHAR || type == OMEN_TYPE_CHAR;
}

/* Operations of a cast: what one type prints, another reads; lengths are checked on their own. */
static int cast_operations(const struct expression *call)
{
    uint32_t from = call->line->arguments[0], to = call->type.id;
    if (call->line->flags & SEMANTICS_BINARY)
        return 0;
    bool length = call->explicit_cast && is_text(to) && call->type.length_max > 0;
    bool digits =
        call->explicit_cast && to == OMEN_TYPE_DECIMAL && from != to && call->type.scale > 0;
    if (is_text(from) != is_text(to))
        return 2 + length + digits;
    return is_text(to) ? length || to == OMEN_TYPE_TEXT : 1 + digits;
}

/* Types whose comparisons and sums PostgreSQL has for each two of them. */
static int family_of(uint32_t type)
{
    switch (type) {
    case OMEN_TYPE_SMALLINT:
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_BIGINT:
        return 1;
    case OMEN_TYPE_REAL:
    case OMEN_TYPE_DOUBLE:
        return 2;
    case OMEN_TYPE_DATE:
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        return 3;
    default:
        return 0;
    }
}

/* Operands that the binder has brought to one type, and PostgreSQL takes as they are. */
static int saved_casts(const struct expression *call)
{
    static const char operators[] = " = <> < <= > >= + - * / ";
    char name[8];
    int saved = 0;
    if (call->line->kind != SEMANTICS_OPERATOR ||
        snprintf(name, sizeof name, " %s ", call->line->name) >= (int)sizeof name ||
        strstr(operators, name) == NULL)
        return 0;
    for (uint32_t i = 0; i < call->argument_count; i++) {
        const struct expression *cast = call->arguments[i];
        if (cast->kind == EXPRESSION_CALL && cast->line->kind == SEMANTICS_CAST &&
            !cast->explicit_cast && family_of(cast->type.id) != 0 &&
            family_of(cast->type.id) == family_of(cast->line->arguments[0]) &&
            !is_constant(&call->arguments[i], NULL))
            saved++;
    }
    return saved;
}

/* `x IN (list)`: a hash and a comparison for long lists, half of the others' comparisons. */
static int list_cost(const struct expression *in)
{
    int constants = 0, others = 0;
    for (uint32_t i = 1; i < in->argument_count; i++) {
        bool constant = is_constant(&in->arguments[i], NULL);
        constants += constant;
        others += !constant;
    }
    if (constants == 1)
        return 2 + 2 * others;
    return (constants >= HASHED_LIST_MIN ? 4 : constants) + 2 * others;
}

static int own_cost(const struct expression *expression)
{
    switch (expression->kind) {
    case EXPRESSION_CALL:
        if (expression->line->kind == SEMANTICS_CAST)
            return 2 * cast_operations(expression);
        return 2 - 2 * saved_casts(expression);
    case EXPRESSION_IN:
        return list_cost(expression);
    case EXPRESSION_DISTINCT_FROM:
    case EXPRESSION_GREATEST:
    case EXPRESSION_LEAST:
    case EXPRESSION_NULLIF:
        return 2;
    default:
        return 0;
    }
}

/* What a condition reads, and how much it computes. */
struct weighing {
    uint32_t depth;  /* of the subquery being walked; 0: the condition itself */
    uint64_t tables; /* a bit a table of the query around; two may share one */
    bool outer;      /* a subquery uses columns from outside of it */
    bool aggregates;
    int cost;
};

static bool walk_subquery(struct expression **part, void *state);

static bool walk_query(struct query *query, uint32_t levels, void *state)
{
    struct weighing *weighing = state;
    weighing->depth += levels;
    query_visit_parts(query, walk_subquery, walk_query, state);
    weighing->depth -= levels;
    return true;
}

static bool walk_subquery(struct expression **part, void *state)
{
    struct weighing *weighing = state;
    if ((*part)->kind == EXPRESSION_COLUMN && (*part)->column.levels_up >= weighing->depth) {
        weighing->outer = true;
        if ((*part)->column.levels_up == weighing->depth)
            weighing->tables |= UINT64_C(1) << ((*part)->column.relation->number & 63);
    }
    if ((*part)->kind == EXPRESSION_SUBQUERY)
        walk_query((*part)->subquery.query, 1, state);
    return expression_visit_parts(*part, walk_subquery, state);
}

/* A subquery that needs nothing of the row, and is not compared with it, has run before. */
static void weigh_subquery(const struct expression *subquery, struct weighing *weighing)
{
    enum subquery_kind kind = subquery->subquery.kind;
    weighing->outer = kind == SUBQUERY_ANY || kind == SUBQUERY_ALL;
    walk_query(subquery->subquery.query, 1, weighing);
    if (weighing->outer)
        weighing->cost += SUBQUERY_COST;
}

static bool weigh(struct expression **part, void *state)
{
    struct weighing *weighing = state;
    const struct expression *expression = *part;
    switch (expression->kind) {
    case EXPRESSION_COLUMN:
        if (expression->column.levels_up == 0)
            weighing->tables |= UINT64_C(1) << (expression->column.relation->number & 63);
        return true;
    case EXPRESSION_AGGREGATE: /* computed before, as columns are */
        weighing->aggregates = true;
        return true;
    case EXPRESSION_SUBQUERY:
        weigh_subquery(expression, weighing);
        break;
    default:
        if (is_constant(part, NULL))
            return true;
        weighing->cost += own_cost(expression);
        break;
    }
    return expression_visit_parts(*part, weigh, state);
}

/* --- order --- */

static int compare_conditions(const void *left, const void *right)
{
    const struct condition *one = left, *other = right;
    if (one->aggregates != other->aggregates)
        return one->aggregates ? 1 : -1;
    if (one->tables != other->tables)
        return one->tables < other->tables ? -1 : 1;
    if (one->cost != other->cost)
        return one->cost < other->cost ? -1 : 1;
    if (one->equality != other->equality)
        return one->equality ? 1 : -1;
    return one->position < other->position ? -1 : 1;
}

static uint32_t count_conditions(const struct expression *expression)
{
    if (expression->kind != EXPRESSION_AND)
        return 1;
    uint32_t count = 0;
    for (uint32_t i = 0; i < expression->argument_count; i++)
        count += count_conditions(expression->arguments[i]);
    return count;
}

static bool is_equality(const struct expression *condition)
{
    if (condition->kind == EXPRESSION_IN)
        return condition->argument_count == 2 && !condition->negated;
    return condition->kind == EXPRESSION_CALL && condition->line->kind == SEMANTICS_OPERATOR &&
           strcmp(condition->line->name, "=") == 0;
}

/* Lists the conditions, those of nested ANDs too. */
static void list_conditions(struct expression *expression, struct condition *list, uint32_t *count)
{
    if (expression->kind == EXPRESSION_AND) {
        for (uint32_t i = 0; i < expression->argument_count; i++)
            list_conditions(expression->arguments[i], list, count);
        return;
    }
    struct weighing weighing = {0};
    weigh(&expression, &weighing);
    list[*count] = (struct condition){.expression = expression,
                                      .tables = (uint32_t)__builtin_popcountll(weighing.tables),
                                      .aggregates = weighing.aggregates,
                                      .equality = is_equality(expression),
                                      .cost = weighing.cost,
                                      .position = *count};
    ++*count;
}

static void order_conditions(struct expression **slot, bool having, struct arena *arena)
{
    if (*slot == NULL || (*slot)->kind != EXPRESSION_AND)
        return;
    uint32_t count = count_conditions(*slot), listed = 0;
    struct condition *list = arena_alloc(arena, count * sizeof *list);
    struct expression *node = arena_alloc(arena, sizeof *node);
    struct expression **arguments = arena_alloc(arena, count * sizeof(struct expression *));
    if (list == NULL || node == NULL || arguments == NULL)
        return;
    list_conditions(*slot, list, &listed);
    for (uint32_t i = 0; i < count; i++)
        list[i].equality &= !having;
    qsort(list, count, sizeof *list, compare_conditions);
    for (uint32_t i = 0; i < count; i++)
        arguments[i] = list[i].expression;
    *node = **slot;
    node->arguments = arguments;
    node->argument_count = count;
    *slot = node;
}

static void order_joins(struct from_item *item, struct arena *arena)
{
    if (item->relation != NULL)
        return;
    order_conditions(&item->condition, false, arena);
    order_joins(item->left, arena);
    order_joins(item->right, arena);
}

static bool order_query(struct query *query, uint32_t levels, void *state);

static bool order_subqueries(struct expression **part, void *state)
{
    if ((*part)->kind == EXPRESSION_SUBQUERY)
        order_query((*part)->subquery.query, 1, state);
    return expression_visit_parts(*part, order_subqueries, state);
}

static bool order_query(struct query *query, uint32_t levels, void *state)
{
    struct arena *arena = state;
    (void)levels;
    if (query->kind == QUERY_SELECT) {
        order_conditions(&query->where, false, arena);
        order_conditions(&query->having, true, arena);
        for (uint32_t i = 0; i < query->from_count; i++)
            order_joins(query->from[i], arena);
    }
    return query_visit_parts(query, order_subqueries, order_query, state);
}

void condition_order(struct expression **where, struct arena *arena)
{
    order_conditions(where, false, arena);
}

void query_order_conditions(struct query *query, struct arena *arena)
{
    order_query(query, 0, arena);
}
