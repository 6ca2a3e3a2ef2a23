/* join_order.c - a FROM's inner joins, flattened, put in order, and written down again.
 *
 *   FROM supplier, lineitem, orders, customer, nation n1, nation n2 WHERE ...
 *
 *   leaves    what stands in the FROM between inner and cross joins and commas: tables, derived
 *             tables, and outer joins, which are leaves as a whole (within them each side is put in
 *             order by itself)
 *   classes   columns that equalities make one value: o_orderkey = l_orderkey, l_orderkey = x
 *   links     other conditions over several leaves
 *
 *   FROM n1, supplier, lineitem, orders, customer, n2 WHERE ...
 *
 * The engine joins a FROM from left to right. So the new order is a comma list; conditions of ON
 * become conditions of the WHERE, as PostgreSQL takes them too, and each class is written as one
 * equality a leaf, between the leaf and one before it. `x IN (SELECT k ...)` whose k are all
 * different is a leaf like any other, so that it can come first (TPC-H 18).
 *
 * Stays as written: FROM with LATERAL; statements with volatile functions; where a condition over
 * several leaves can fail, because which rows it meets depends on the order.
 */
#include "sql/join_order_private.h"

#include <string.h>

#include "sql/bind_query_private.h"
#include "sql/condition_order.h"
#include "sql/correlation.h"
#include "sql/engine_text.h"
#include "sql/subquery_keys.h"

enum {
    LEAVES_MIN = 3, /* of two the engine chooses itself which to read first */
};

/* --- flattening --- */

static void add_conditions(struct joins *joins, struct expression *condition, bool above)
{
    if (condition == NULL || joins->too_large)
        return;
    if (condition->kind == EXPRESSION_AND) {
        for (uint32_t i = 0; i < condition->argument_count; i++)
            add_conditions(joins, condition->arguments[i], above);
        return;
    }
    joins->too_large = joins->condition_count == JOIN_CONDITIONS_MAX;
    if (!joins->too_large)
        joins->conditions[joins->condition_count++] =
            (struct condition){.expression = condition,
                               .subquery = expression_has_subquery(condition),
                               .above = above};
}

static void add_leaf(struct joins *joins, struct from_item *item)
{
    joins->too_large |= joins->leaf_count == JOIN_LEAVES_MAX;
    if (!joins->too_large)
        joins->leaves[joins->leaf_count++] = item;
}

static bool is_inner(const struct from_item *item)
{
    return item->relation == NULL && (item->join == JOIN_CROSS || item->join == JOIN_INNER);
}

static void flatten(struct joins *joins, struct from_item *item)
{
    if (!is_inner(item)) {
        add_leaf(joins, item);
        return;
    }
    flatten(joins, item->left);
    flatten(joins, item->right);
    joins->from_on |= item->condition != NULL;
    add_conditions(joins, item->condition, false);
}

static bool has_lateral(const struct from_item *item)
{
    if (item->relation == NULL)
        return has_lateral(item->left) || has_lateral(item->right);
    return item->relation->lateral;
}

/* --- x IN (SELECT k ...) as a leaf --- */

/* Whether no two rows of a query of one column are alike. */
static bool has_unique_rows(const struct query *query)
{
    uint32_t column;
    if (query->kind != QUERY_SELECT || query->target_count != 1 || query->limit != NULL ||
        query->offset != NULL || query->distinct_on_count > 0)
        return false;
    if (query->group_count > 0) {
        const struct relation grouped = {.kind = RELATION_QUERY, .query = (struct query *)query};
        return join_unique_columns(&grouped, &column, 1) == 1;
    }
    if (query->grouped || query->from_count != 1 || query->from[0]->relation == NULL)
        return false;
    const struct expression *target = query->targets[0].expression;
    return target->kind == EXPRESSION_COLUMN && target->column.levels_up == 0 &&
           join_unique_columns(target->column.relation, &column, 1) == 1 &&
           column == target->column.column;
}

static bool can_be_leaf(const struct joins *joins, const struct condition *condition)
{
    const struct expression *in = condition->expression;
    if (in->kind != EXPRESSION_SUBQUERY || in->subquery.kind != SUBQUERY_ANY ||
        in->negated != in->subquery.negated || strcmp(in->line->name, "=") != 0 ||
        expression_has_subquery(in->arguments[0]))
        return false;
    uint64_t leaves = join_leaves_of(joins, in->arguments[0], NULL);
    return leaves != 0 && !join_is_several(leaves) && !text_may_fail(in->arguments[0]) &&
           has_unique_rows(in->subquery.query) && !bind_is_correlated(in->subquery.query);
}

/* Makes leaves of such conditions, and plain equalities of the conditions. */
static omen_status add_query_leaves(struct ordering *ordering, struct joins *joins)
{
    struct binder *binder = ordering->binder;
    for (uint32_t i = 0; i < joins->condition_count; i++) {
        struct condition *condition = &joins->conditions[i];
        struct expression *in = condition->expression;
        struct relation *relation;
        struct from_item *item;
        if (!can_be_leaf(joins, condition) || joins->leaf_count == ordering->limit)
            continue;
        OMEN_TRY(bind_query_relation(binder, in->subquery.query, "list", NULL, &relation,
                                     ordering->error));
        OMEN_TRY(bind_leaf(binder, relation, &item, ordering->error));
        struct expression *equal = bind_alloc(binder, sizeof *equal, ordering->error);
        struct expression **sides = bind_alloc(binder, 2 * sizeof *sides, ordering->error);
        if (equal == NULL || sides == NULL)
            return OMEN_OUT_OF_MEMORY;
        sides[0] = in->arguments[0];
        sides[1] = bind_column_use(binder, relation, 0, 0, -1, ordering->error);
        if (sides[1] == NULL)
            return OMEN_OUT_OF_MEMORY;
        *equal = (struct expression){.kind = EXPRESSION_CALL,
                                     .type = in->type,
                                     .location = in->location,
                                     .line = in->line,
                                     .arguments = sides,
                                     .argument_count = 2};
        *condition = (struct condition){.expression = equal};
        add_leaf(joins, item);
    }
    return OMEN_OK;
}

/* --- one FROM --- */

/* Whether its order can be changed without changing what fails. */
static bool can_be_ordered(const struct ordering *ordering, struct joins *joins)
{
    if (joins->too_large || joins->leaf_count < LEAVES_MIN || joins->leaf_count > ordering->limit)
        return false;
    for (uint32_t i = 0; i < joins->condition_count; i++)
        if (join_is_several(joins->conditions[i].leaves) &&
            text_may_fail(joins->conditions[i].expression))
            return false;
    return true;
}

/* The order of flattened joins. `*done` false: they stay as they are. */
static omen_status find_order(struct ordering *ordering, struct joins *joins,
                              const struct query *query, uint32_t *order, bool *done)
{
    double rows;
    *done = false;
    if (joins->too_large || joins->leaf_count < 2 || joins->leaf_count > ordering->limit)
        return OMEN_OK;
    if (!joins->side)
        OMEN_TRY(add_query_leaves(ordering, joins));
    join_find_members(joins);
    if (!can_be_ordered(ordering, joins))
        return OMEN_OK;
    OMEN_TRY(join_make_graph(ordering, joins, query));
    if (joins->too_large)
        return OMEN_OK;
    ordering->ordered = *done = true;
    if (join_search(&joins->graph, &ordering->sizes.arena, order, &rows) != OMEN_OK)
        return error_set_default(ordering->error, OMEN_OUT_OF_MEMORY);
    return OMEN_OK;
}

static struct joins *new_joins(struct ordering *ordering)
{
    struct joins *joins = arena_alloc(&ordering->sizes.arena, sizeof *joins);
    if (joins == NULL)
        error_set_default(ordering->error, OMEN_OUT_OF_MEMORY);
    else
        memset(joins, 0, sizeof *joins);
    return joins;
}

/* --- a side of an outer join --- */

static omen_status order_side(struct ordering *ordering, const struct query *query,
                              struct from_item **item);

/* Outer joins get their sides put in order; other leaves stay. They may stand elsewhere too, so
 * they are not changed themselves. */
static omen_status order_leaf(struct ordering *ordering, const struct query *query,
                              struct from_item **leaf)
{
    if ((*leaf)->relation != NULL)
        return OMEN_OK;
    struct from_item *copy = bind_alloc(ordering->binder, sizeof *copy, ordering->error);
    if (copy == NULL)
        return OMEN_OUT_OF_MEMORY;
    *copy = **leaf;
    *leaf = copy;
    OMEN_TRY(order_side(ordering, query, &copy->left));
    return order_side(ordering, query, &copy->right);
}

/* Joins `item` and a leaf on those of the conditions that both together have the columns of; they
 * are taken from the list. */
static struct from_item *join_leaf(struct ordering *ordering, const struct joins *joins,
                                   struct from_item *item, struct from_item *leaf, uint64_t leaves,
                                   struct expression **list, uint32_t *count)
{
    struct from_item *joined = bind_alloc(ordering->binder, sizeof *joined, ordering->error);
    struct expression **own = bind_alloc(ordering->binder, *count * sizeof *own, ordering->error);
    uint32_t taken = 0, left = 0;
    if (joined == NULL || own == NULL)
        return NULL;
    for (uint32_t i = 0; i < *count; i++) {
        if ((join_leaves_of(joins, list[i], NULL) & ~leaves) == 0)
            own[taken++] = list[i];
        else
            list[left++] = list[i];
    }
    *count = left;
    *joined = (struct from_item){.join = JOIN_CROSS, .left = item, .right = leaf};
    if (taken == 0)
        return joined;
    joined->join = JOIN_INNER;
    joined->condition = join_make_list(ordering, EXPRESSION_AND, own, taken);
    if (joined->condition != NULL && joins->from_on)
        condition_order(&joined->condition, ordering->binder->arena);
    return joined->condition == NULL ? NULL : joined;
}

/* Inner joins as a tree, each condition where it can be asked first. */
static omen_status write_tree(struct ordering *ordering, struct joins *joins, const uint32_t *order,
                              struct from_item **out)
{
    struct expression **list;
    uint32_t count;
    uint64_t leaves = UINT64_C(1) << order[0];
    struct from_item *item = joins->leaves[order[0]];
    OMEN_TRY(join_list_conditions(ordering, joins, order, &list, &count));
    for (uint32_t i = 1; i < joins->leaf_count; i++) {
        leaves |= UINT64_C(1) << order[i];
        item = join_leaf(ordering, joins, item, joins->leaves[order[i]], leaves, list, &count);
        if (item == NULL)
            return OMEN_OUT_OF_MEMORY;
    }
    *out = item;
    return OMEN_OK;
}

/* Puts the inner joins of a side in order. */
static omen_status order_side(struct ordering *ordering, const struct query *query,
                              struct from_item **item)
{
    uint32_t order[JOIN_LEAVES_MAX];
    bool done;
    if (!is_inner(*item))
        return order_leaf(ordering, query, item);
    struct joins *joins = new_joins(ordering);
    if (joins == NULL)
        return OMEN_OUT_OF_MEMORY;
    joins->side = true;
    flatten(joins, *item);
    uint32_t own = joins->condition_count;
    for (uint32_t i = 0; i < own; i++)
        joins->too_large |= joins->conditions[i].subquery;
    add_conditions(joins, query->where, true);
    uint32_t kept = own;
    for (uint32_t i = own; i < joins->condition_count; i++) {
        bool others;
        join_leaves_of(joins, joins->conditions[i].expression, &others);
        if (!others && !joins->conditions[i].subquery)
            joins->conditions[kept++] = joins->conditions[i];
    }
    joins->condition_count = kept;
    for (uint32_t i = 0; i < joins->leaf_count && !joins->too_large; i++)
        OMEN_TRY(order_leaf(ordering, query, &joins->leaves[i]));
    OMEN_TRY(find_order(ordering, joins, query, order, &done));
    return done ? write_tree(ordering, joins, order, item) : OMEN_OK;
}

/* --- a query --- */

static omen_status order_from(struct ordering *ordering, struct query *query)
{
    uint32_t order[JOIN_LEAVES_MAX], count;
    struct expression **list;
    bool done;
    struct joins *joins = new_joins(ordering);
    if (joins == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < query->from_count; i++)
        if (has_lateral(query->from[i]))
            return OMEN_OK;
    for (uint32_t i = 0; i < query->from_count; i++)
        flatten(joins, query->from[i]);
    add_conditions(joins, query->where, false);
    for (uint32_t i = 0; i < joins->leaf_count && !joins->too_large; i++)
        OMEN_TRY(order_leaf(ordering, query, &joins->leaves[i]));
    OMEN_TRY(find_order(ordering, joins, query, order, &done));
    /* Outer joins alone: their sides may have been put in order. */
    bool plain = !joins->too_large && joins->leaf_count == query->from_count;
    if (!done && !plain)
        return OMEN_OK;
    struct from_item **from =
        bind_alloc(ordering->binder, joins->leaf_count * sizeof *from, ordering->error);
    if (from == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < joins->leaf_count; i++)
        from[i] = joins->leaves[done ? order[i] : i];
    query->from = from;
    query->from_count = joins->leaf_count;
    if (!done)
        return OMEN_OK;
    OMEN_TRY(join_list_conditions(ordering, joins, order, &list, &count));
    query->where = count == 0 ? NULL : join_make_list(ordering, EXPRESSION_AND, list, count);
    if (count > 0 && query->where == NULL)
        return OMEN_OUT_OF_MEMORY;
    if (joins->from_on)
        condition_order(&query->where, ordering->binder->arena);
    return OMEN_OK;
}

static bool order_query(struct query *query, uint32_t levels, void *state);

static bool order_subqueries(struct expression **part, void *state)
{
    if ((*part)->kind == EXPRESSION_SUBQUERY && !order_query((*part)->subquery.query, 1, state))
        return false;
    return expression_visit_parts(*part, order_subqueries, state);
}

/* Inner queries first: an IN that becomes a leaf is in order then. */
static bool order_query(struct query *query, uint32_t levels, void *state)
{
    struct ordering *ordering = state;
    (void)levels;
    ordering->status =
        subquery_keys_narrow(ordering->binder, &ordering->sizes, query, ordering->error);
    if (ordering->status != OMEN_OK ||
        !query_visit_parts(query, order_subqueries, order_query, state))
        return false;
    if (query->kind == QUERY_SELECT && query->from_count > 0)
        ordering->status = order_from(ordering, query);
    return ordering->status == OMEN_OK;
}

omen_status join_order_query(struct binder *binder, struct query *query, uint32_t limit,
                             bool *ordered, omen_error *error)
{
    struct ordering ordering = {.binder = binder, .limit = limit, .error = error};
    *ordered = false;
    if (limit < LEAVES_MIN || binder->has_volatile)
        return OMEN_OK;
    join_sizes_begin(&ordering.sizes, binder->arena->allocator);
    order_query(query, 0, &ordering);
    join_sizes_end(&ordering.sizes);
    *ordered = ordering.ordered;
    return ordering.status == OMEN_OUT_OF_MEMORY ? error_set_default(error, OMEN_OUT_OF_MEMORY)
                                                 : ordering.status;
}
