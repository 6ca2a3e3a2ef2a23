/* join_search.h - the cheapest order in which to join some relations.
 *
 * Knows nothing of SQL: leaves with row counts, classes of equal columns, links of other
 * conditions.
 */
#ifndef OMEN_SQL_JOIN_SEARCH_H
#define OMEN_SQL_JOIN_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

enum {
    JOIN_LEAVES_MAX = 64,
    JOIN_CLASSES_MAX = 64,
    JOIN_UNIQUE_MAX = 8,        /* columns of a key that are looked at */
    JOIN_EXHAUSTIVE_MAX = 12,   /* more leaves are joined greedily */
    JOIN_GREEDY_STARTS_MAX = 8, /* leaves that a greedy order is begun with */
};

struct join_leaf {
    double base;      /* rows before the conditions on it alone */
    double rows;      /* and after them */
    uint64_t classes; /* bit c: a column is in class c */
    uint64_t unique;  /* classes that together hold a key of it; 0: no key is wholly in classes */
};

/* Columns that equalities make one value. */
struct join_class {
    double distinct; /* different values before any condition */
};

/* Any other condition over several leaves. */
struct join_link {
    uint64_t leaves;
    double share;         /* of the pairs that pass */
    uint64_t left, right; /* = between an expression of these and one of those leaves; else 0 */
};

struct join_graph {
    struct join_leaf leaves[JOIN_LEAVES_MAX];
    uint32_t leaf_count;
    struct join_class classes[JOIN_CLASSES_MAX];
    uint32_t class_count;
    struct join_link *links;
    uint32_t link_count;
};

/* Writes the leaves in the order to join them, each with all before it. A leaf that nothing ties to
 * those before it comes only where no other is left. `*rows` are those of the whole, about.
 * Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status join_search(const struct join_graph *graph, struct arena *arena,
                                        uint32_t *order, double *rows);

#endif
