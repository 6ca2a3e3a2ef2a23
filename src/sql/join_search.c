/* join_search.c - join orders by estimated cost.
 *
 *   set of leaves joined so far (bits)  ->  rows, cost, the leaf that came last
 *
 * Up to JOIN_EXHAUSTIVE_MAX leaves every set is looked at once, by dynamic programming over sets
 * (Selinger et al., Access Path Selection, SIGMOD 1979), left-deep: the engine joins what stands in
 * a FROM one after the other. More are joined greedily, from several beginnings.
 *
 * Rows. Each class of equal columns that both have lets 1 of `distinct` pairs pass (System R's
 * rule); a key of several columns is one thing: |S| * |L after| / |L before its conditions|.
 *
 * Cost. A hash join reads the smaller side into its table, looks up each row of the larger one, and
 * writes what it finds; the weights are about those of the engine's.
 */
#include "sql/join_search.h"

#include <string.h>

#include "base/assert.h"

#define COST_BUILT  3.0
#define COST_PROBED 1.0
#define COST_MADE   1.0
#define COST_PAIR   2.0 /* of a cross product */
#define ROWS_MIN    0.01

struct joined {
    double rows, cost;
    uint32_t last;
    bool reached;
};

static uint64_t bit(uint32_t position)
{
    return UINT64_C(1) << position;
}

static bool within(uint64_t part, uint64_t set)
{
    return (part & ~set) == 0;
}

static uint64_t classes_of(const struct join_graph *graph, uint64_t set)
{
    uint64_t classes = 0;
    for (; set != 0; set &= set - 1)
        classes |= graph->leaves[__builtin_ctzll(set)].classes;
    return classes;
}

/* Whether a hash join can bring the leaf to the set. */
static bool is_tied(const struct join_graph *graph, uint64_t set, uint32_t leaf)
{
    if ((classes_of(graph, set) & graph->leaves[leaf].classes) != 0)
        return true;
    for (uint32_t i = 0; i < graph->link_count; i++) {
        const struct join_link *link = &graph->links[i];
        if ((link->left == bit(leaf) && link->right != 0 && within(link->right, set)) ||
            (link->right == bit(leaf) && link->left != 0 && within(link->left, set)))
            return true;
    }
    return false;
}

/* The share that classes let pass, the key of `keyed` (NULL: none) counted as one: as many values
 * as it has rows, or as its parts have among all leaves. */
static double class_share(const struct join_graph *graph, uint64_t shared,
                          const struct join_leaf *keyed)
{
    uint64_t key = keyed == NULL ? 0 : keyed->unique;
    double share = 1, keys = keyed == NULL ? 1 : keyed->base;
    for (; shared != 0; shared &= shared - 1) {
        uint32_t class = (uint32_t)__builtin_ctzll(shared);
        double distinct = graph->classes[class].distinct;
        if ((key & bit(class)) == 0)
            share /= distinct;
        else
            keys = distinct > keys ? distinct : keys;
    }
    return share / keys;
}

/* The share of the pairs of a set and a leaf that are joined. Columns of a key are not independent:
 * the rule that lets most pass is believed. */
static double share_of(const struct join_graph *graph, uint64_t set, uint32_t leaf)
{
    const struct join_leaf *added = &graph->leaves[leaf];
    uint64_t shared = classes_of(graph, set) & added->classes;
    double share = class_share(graph, shared, NULL);
    if (added->unique != 0 && within(added->unique, shared)) {
        double keyed = class_share(graph, shared, added);
        share = keyed > share ? keyed : share;
    }
    for (uint64_t rest = set; rest != 0; rest &= rest - 1) {
        const struct join_leaf *other = &graph->leaves[__builtin_ctzll(rest)];
        if (other->unique == 0 || !within(other->unique, shared))
            continue;
        double keyed = class_share(graph, shared, other);
        share = keyed > share ? keyed : share;
    }
    uint64_t both = set | bit(leaf);
    for (uint32_t i = 0; i < graph->link_count; i++)
        if (within(graph->links[i].leaves, both) && !within(graph->links[i].leaves, set))
            share *= graph->links[i].share;
    return share;
}

/* The set with one leaf more. */
static struct joined extend(const struct join_graph *graph, uint64_t set, const struct joined *from,
                            uint32_t leaf, bool tied)
{
    double added = graph->leaves[leaf].rows;
    double less = from->rows < added ? from->rows : added;
    double more = from->rows < added ? added : from->rows;
    struct joined to = {.last = leaf, .reached = true};
    to.rows = from->rows * added * share_of(graph, set, leaf);
    to.rows = to.rows < ROWS_MIN ? ROWS_MIN : to.rows;
    to.cost = from->cost + COST_MADE * to.rows;
    to.cost += tied ? COST_BUILT * less + COST_PROBED * more : COST_PAIR * less * more;
    return to;
}

/* Leaves that may come next: those tied to the set, or all others. */
static uint64_t next_leaves(const struct join_graph *graph, uint64_t set, bool *tied)
{
    uint64_t others = 0, found = 0;
    for (uint32_t i = 0; i < graph->leaf_count; i++) {
        if ((set & bit(i)) != 0)
            continue;
        others |= bit(i);
        if (is_tied(graph, set, i))
            found |= bit(i);
    }
    *tied = found != 0;
    return found != 0 ? found : others;
}

static struct joined begin_with(const struct join_graph *graph, uint32_t leaf)
{
    return (struct joined){.rows = graph->leaves[leaf].rows, .last = leaf, .reached = true};
}

static omen_status search_all(const struct join_graph *graph, struct arena *arena, uint32_t *order,
                              double *rows)
{
    uint64_t whole = bit(graph->leaf_count) - 1;
    struct joined *sets = arena_alloc(arena, (whole + 1) * sizeof *sets);
    if (sets == NULL)
        return OMEN_OUT_OF_MEMORY;
    memset(sets, 0, (whole + 1) * sizeof *sets);
    for (uint32_t i = 0; i < graph->leaf_count; i++)
        sets[bit(i)] = begin_with(graph, i);
    for (uint64_t set = 1; set < whole; set++) {
        bool tied;
        if (!sets[set].reached)
            continue;
        for (uint64_t next = next_leaves(graph, set, &tied); next != 0; next &= next - 1) {
            uint32_t leaf = (uint32_t)__builtin_ctzll(next);
            struct joined to = extend(graph, set, &sets[set], leaf, tied);
            struct joined *known = &sets[set | bit(leaf)];
            /* Of two leaves the smaller one is read first. */
            bool smaller_first = set == (set & -set) && sets[set].rows < graph->leaves[leaf].rows;
            if (!known->reached || to.cost < known->cost ||
                (to.cost == known->cost && smaller_first))
                *known = to;
        }
    }
    *rows = sets[whole].rows;
    for (uint32_t i = graph->leaf_count; i-- > 0;) {
        order[i] = sets[whole].last;
        whole &= ~bit(order[i]);
    }
    return OMEN_OK;
}

/* Takes the cheapest next leaf each time. */
static struct joined search_greedily(const struct join_graph *graph, uint32_t first,
                                     uint32_t *order)
{
    uint64_t set = bit(first);
    struct joined joined = begin_with(graph, first);
    order[0] = first;
    for (uint32_t i = 1; i < graph->leaf_count; i++) {
        struct joined best = {0};
        bool tied;
        for (uint64_t next = next_leaves(graph, set, &tied); next != 0; next &= next - 1) {
            struct joined to = extend(graph, set, &joined, (uint32_t)__builtin_ctzll(next), tied);
            if (!best.reached || to.cost < best.cost)
                best = to;
        }
        joined = best;
        order[i] = joined.last;
        set |= bit(joined.last);
    }
    return joined;
}

/* Greedy orders that begin with the smallest leaves. */
static double search_some(const struct join_graph *graph, uint32_t *order)
{
    uint32_t tried[JOIN_LEAVES_MAX];
    uint64_t begun = 0;
    struct joined best = {0};
    for (uint32_t start = 0; start < JOIN_GREEDY_STARTS_MAX; start++) {
        uint32_t first = UINT32_MAX;
        for (uint32_t i = 0; i < graph->leaf_count; i++)
            if ((begun & bit(i)) == 0 &&
                (first == UINT32_MAX || graph->leaves[i].rows < graph->leaves[first].rows))
                first = i;
        begun |= bit(first);
        struct joined joined = search_greedily(graph, first, tried);
        if (best.reached && joined.cost >= best.cost)
            continue;
        best = joined;
        memcpy(order, tried, graph->leaf_count * sizeof *order);
    }
    return best.rows;
}

omen_status join_search(const struct join_graph *graph, struct arena *arena, uint32_t *order,
                        double *rows)
{
    OMEN_ASSERT(graph->leaf_count > 0 && graph->leaf_count <= JOIN_LEAVES_MAX);
    if (graph->leaf_count <= JOIN_EXHAUSTIVE_MAX)
        return search_all(graph, arena, order, rows);
    *rows = search_some(graph, order);
    return OMEN_OK;
}
