/* join_graph.c - the leaves of a FROM and what ties them, as join_search sees them.
 *
 *   o_orderkey = l_orderkey AND l_orderkey = x     a class of three columns
 *   a.n = b.n + 1                                  a link: a hash join too, by its two sides
 *   a.n < b.n                                      a link: let through three of ten pairs
 *
 * Conditions on one leaf only make it smaller; of an OR over several leaves what it says of each.
 */
#include <string.h>

#include "sql/bind_query_private.h"
#include "sql/correlation.h"
#include "sql/join_order_private.h"

/* --- which leaves an expression speaks of --- */

static bool holds(const struct from_item *item, const struct relation *relation)
{
    if (item->relation != NULL)
        return item->relation == relation;
    return holds(item->left, relation) || holds(item->right, relation);
}

struct speaking {
    const struct joins *joins;
    uint64_t leaves;
    bool others; /* relations of the query that are in no leaf */
};

static bool find_leaves(struct expression **part, void *state)
{
    struct speaking *speaking = state;
    const struct expression *expression = *part;
    if (expression->kind == EXPRESSION_COLUMN && expression->column.levels_up == 0) {
        uint64_t before = speaking->leaves;
        bool found = false;
        for (uint32_t i = 0; i < speaking->joins->leaf_count && !found; i++) {
            found = holds(speaking->joins->leaves[i], expression->column.relation);
            speaking->leaves = before | (uint64_t)found << i;
        }
        speaking->others |= !found;
    }
    return expression_visit_parts(*part, find_leaves, state);
}

uint64_t join_leaves_of(const struct joins *joins, struct expression *expression, bool *others)
{
    struct speaking speaking = {.joins = joins};
    find_leaves(&expression, &speaking);
    if (others != NULL)
        *others = speaking.others;
    return speaking.leaves;
}

bool join_is_several(uint64_t leaves)
{
    return (leaves & (leaves - 1)) != 0;
}

static uint32_t leaf_number(uint64_t leaves)
{
    return (uint32_t)__builtin_ctzll(leaves);
}

/* --- classes --- */

static uint32_t root_of(struct joins *joins, uint32_t member)
{
    while (joins->members[member].class != member)
        member = joins->members[member].class;
    return member;
}

static struct member *member_of(struct joins *joins, struct expression *column, uint32_t leaf)
{
    uint32_t count = joins->member_count;
    for (uint32_t i = 0; i < count; i++)
        if (expression_equal(joins->members[i].column, column))
            return &joins->members[i];
    if (count == JOIN_MEMBERS_MAX)
        return NULL;
    joins->members[count] = (struct member){.column = column, .leaf = leaf, .class = count};
    joins->member_count++;
    return &joins->members[count];
}

static bool is_own_column(const struct expression *expression)
{
    return expression->kind == EXPRESSION_COLUMN && expression->column.levels_up == 0;
}

static bool is_equality(const struct expression *expression)
{
    return expression->kind == EXPRESSION_CALL && expression->argument_count == 2 &&
           expression->line->kind == SEMANTICS_OPERATOR && strcmp(expression->line->name, "=") == 0;
}

/* Types whose equal values are the same value, in each place. */
static bool is_exact(omen_type type)
{
    return type.id != OMEN_TYPE_CHAR && type.id != OMEN_TYPE_REAL && type.id != OMEN_TYPE_DOUBLE;
}

/* Notes an equality of two leaves' columns as that. */
static void join_members(struct joins *joins, struct condition *condition)
{
    const struct expression *equal = condition->expression;
    if (!is_equality(equal) || !join_is_several(condition->leaves))
        return;
    struct expression *left = equal->arguments[0], *right = equal->arguments[1];
    if (!is_own_column(left) || !is_own_column(right) || !is_exact(left->type) ||
        !semantics_same_type(left->type, right->type))
        return;
    struct member *one = member_of(joins, left, leaf_number(join_leaves_of(joins, left, NULL)));
    struct member *other = member_of(joins, right, leaf_number(join_leaves_of(joins, right, NULL)));
    if (one == NULL || other == NULL)
        return;
    condition->left = one;
    condition->right = other;
    uint32_t root = root_of(joins, (uint32_t)(one - joins->members));
    joins->members[root].class = root_of(joins, (uint32_t)(other - joins->members));
}

/* Numbers the classes. */
static void number_classes(struct joins *joins)
{
    struct join_graph *graph = &joins->graph;
    uint32_t numbers[JOIN_MEMBERS_MAX], roots[JOIN_MEMBERS_MAX];
    for (uint32_t i = 0; i < joins->member_count; i++) {
        roots[i] = root_of(joins, i);
        if (roots[i] != i)
            continue;
        joins->too_large |= graph->class_count == JOIN_CLASSES_MAX;
        numbers[i] = joins->too_large ? 0 : graph->class_count++;
    }
    for (uint32_t i = 0; i < joins->member_count && !joins->too_large; i++) {
        struct member *member = &joins->members[i];
        member->class = numbers[roots[i]];
        graph->leaves[member->leaf].classes |= UINT64_C(1) << member->class;
    }
}

/* Whether a column is the whole key of a table. */
static bool is_table_key(const struct column_use *use)
{
    uint32_t key;
    return use->relation->kind == RELATION_TABLE &&
           join_unique_columns(use->relation, &key, 1) == 1 && key == use->column;
}

/* How many values a class has. What a table's key says is no estimate: the others are taken to
 * refer to it. Only where there is no key, samples are looked at. */
static void count_values(struct ordering *ordering, struct joins *joins)
{
    bool keyed[JOIN_CLASSES_MAX] = {false};
    for (uint32_t i = 0; i < joins->member_count; i++)
        keyed[joins->members[i].class] |= is_table_key(&joins->members[i].column->column);
    for (uint32_t i = 0; i < joins->member_count; i++) {
        const struct column_use *use = &joins->members[i].column->column;
        struct join_class *class = &joins->graph.classes[joins->members[i].class];
        if (keyed[joins->members[i].class] && !is_table_key(use))
            continue;
        double distinct = join_size_distinct(&ordering->sizes, use->relation, use->column);
        class->distinct = distinct > class->distinct ? distinct : class->distinct;
    }
}

/* The classes that hold a key of a leaf. */
static uint64_t unique_classes(const struct joins *joins, const struct relation *relation)
{
    uint32_t columns[JOIN_UNIQUE_MAX];
    uint64_t classes = 0;
    uint32_t count = join_unique_columns(relation, columns, JOIN_UNIQUE_MAX);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t j = 0;
        while (j < joins->member_count && (joins->members[j].column->column.relation != relation ||
                                           joins->members[j].column->column.column != columns[i]))
            j++;
        if (j == joins->member_count)
            return 0;
        classes |= UINT64_C(1) << joins->members[j].class;
    }
    return classes;
}

void join_find_members(struct joins *joins)
{
    for (uint32_t i = 0; i < joins->condition_count; i++) {
        struct condition *condition = &joins->conditions[i];
        if (!condition->subquery)
            condition->leaves = join_leaves_of(joins, condition->expression, NULL);
        join_members(joins, condition);
    }
}

/* --- conditions on one leaf --- */

struct expression *join_make_list(struct ordering *ordering, enum expression_kind kind,
                                  struct expression **parts, uint32_t count)
{
    if (count == 1)
        return parts[0];
    struct expression *list = bind_alloc(ordering->binder, sizeof *list, ordering->error);
    if (list != NULL)
        *list = (struct expression){.kind = kind,
                                    .type = {.id = OMEN_TYPE_BOOLEAN},
                                    .location = -1,
                                    .arguments = parts,
                                    .argument_count = count};
    return list;
}

/* What one side of an OR says of a leaf alone; NULL: nothing. */
static struct expression *side_of_leaf(struct ordering *ordering, const struct joins *joins,
                                       struct expression *side, uint64_t leaf)
{
    uint32_t count, kept = 0;
    struct expression **parts = conjuncts_of(&side, &count);
    struct expression **own =
        arena_alloc(&ordering->sizes.arena, count * sizeof(struct expression *));
    for (uint32_t i = 0; own != NULL && i < count; i++)
        if (join_leaves_of(joins, parts[i], NULL) == leaf)
            own[kept++] = parts[i];
    return kept == 0 ? NULL : join_make_list(ordering, EXPRESSION_AND, own, kept);
}

/* (n1 = 'FRANCE' AND n2 = 'GERMANY') OR (n1 = 'GERMANY' AND n2 = 'FRANCE') says of n1 alone that it
 * is one of the two. (The engine finds that too.) NULL: it says nothing of the leaf. */
static struct expression *either_of_leaf(struct ordering *ordering, const struct joins *joins,
                                         const struct expression *either, uint64_t leaf)
{
    uint32_t count = either->argument_count;
    struct expression **sides =
        arena_alloc(&ordering->sizes.arena, count * sizeof(struct expression *));
    if (either->kind != EXPRESSION_OR || sides == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        sides[i] = side_of_leaf(ordering, joins, either->arguments[i], leaf);
        if (sides[i] == NULL)
            return NULL;
    }
    return join_make_list(ordering, EXPRESSION_OR, sides, count);
}

/* The rows of a leaf that is a relation, after the conditions on it alone. */
static double filtered_rows(struct ordering *ordering, const struct joins *joins, uint32_t leaf,
                            double base)
{
    const struct relation *relation = joins->leaves[leaf]->relation;
    struct expression **own =
        arena_alloc(&ordering->sizes.arena, joins->condition_count * sizeof(struct expression *));
    uint32_t count = 0;
    for (uint32_t i = 0; own != NULL && i < joins->condition_count; i++) {
        const struct condition *condition = &joins->conditions[i];
        uint64_t bit = UINT64_C(1) << leaf;
        if (condition->subquery || (condition->leaves & bit) == 0)
            continue;
        own[count] = condition->leaves == bit
                         ? condition->expression
                         : either_of_leaf(ordering, joins, condition->expression, bit);
        count += own[count] != NULL;
    }
    double rows = base * join_size_share(&ordering->sizes, relation, own, count);
    return rows < 0.5 ? 0.5 : rows;
}

/* --- the graph --- */

#define SHARE_OF_LINK 0.3

/* The different values of one side of an equality. */
static double side_distinct(struct ordering *ordering, const struct joins *joins,
                            const struct expression *side, uint64_t leaves)
{
    while (side->kind == EXPRESSION_CALL && side->line->kind == SEMANTICS_CAST)
        side = side->arguments[0];
    if (is_own_column(side))
        return join_size_distinct(&ordering->sizes, side->column.relation, side->column.column);
    double rows = 1;
    for (; leaves != 0; leaves &= leaves - 1) {
        double base = joins->graph.leaves[leaf_number(leaves)].base;
        rows = base > rows ? base : rows;
    }
    return rows;
}

static void add_link(struct ordering *ordering, struct joins *joins,
                     const struct condition *condition)
{
    struct join_link *link = &joins->graph.links[joins->graph.link_count++];
    *link = (struct join_link){.leaves = condition->leaves, .share = SHARE_OF_LINK};
    if (!is_equality(condition->expression))
        return;
    struct expression *const *sides = condition->expression->arguments;
    uint64_t left = join_leaves_of(joins, sides[0], NULL);
    uint64_t right = join_leaves_of(joins, sides[1], NULL);
    if (left == 0 || right == 0 || (left & right) != 0)
        return;
    double one = side_distinct(ordering, joins, sides[0], left);
    double other = side_distinct(ordering, joins, sides[1], right);
    link->share = 1 / (one > other ? one : other);
    link->left = left;
    link->right = right;
}

omen_status join_make_graph(struct ordering *ordering, struct joins *joins,
                            const struct query *query)
{
    struct join_graph *graph = &joins->graph;
    graph->leaf_count = joins->leaf_count;
    graph->links =
        arena_alloc(&ordering->sizes.arena, joins->condition_count * sizeof(struct join_link));
    if (graph->links == NULL)
        return error_set_default(ordering->error, OMEN_OUT_OF_MEMORY);
    number_classes(joins);
    if (joins->too_large)
        return OMEN_OK;
    count_values(ordering, joins);
    for (uint32_t i = 0; i < joins->leaf_count; i++) {
        struct join_leaf *leaf = &graph->leaves[i];
        const struct relation *relation = joins->leaves[i]->relation;
        if (relation == NULL) {
            leaf->base = leaf->rows = join_size_from(&ordering->sizes, query, joins->leaves[i]);
            continue;
        }
        leaf->base = join_size_relation(&ordering->sizes, relation);
        leaf->rows = filtered_rows(ordering, joins, i, leaf->base);
        if (relation->kind == RELATION_TABLE)
            leaf->unique = unique_classes(joins, relation);
    }
    for (uint32_t i = 0; i < joins->condition_count; i++)
        if (join_is_several(joins->conditions[i].leaves) && joins->conditions[i].left == NULL)
            add_link(ordering, joins, &joins->conditions[i]);
    return OMEN_OK;
}
