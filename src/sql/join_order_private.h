/* join_order_private.h - what the files that put joins in order share.
 *
 *   join_order   flattens a FROM, lets join_search find the order, and writes the FROM again
 *   join_graph   what the leaves and the conditions between them are to join_search
 *   join_ties    the conditions that go with an order
 *   join_size    estimates of rows
 */
#ifndef OMEN_SQL_JOIN_ORDER_PRIVATE_H
#define OMEN_SQL_JOIN_ORDER_PRIVATE_H

#include "sql/join_order.h"
#include "sql/join_search.h"
#include "sql/join_size.h"

enum {
    JOIN_CONDITIONS_MAX = 512, /* of one FROM and its WHERE; one with more stays as written */
    JOIN_MEMBERS_MAX = 256,    /* columns in equalities; those of more are links */
};

struct ordering {
    struct binder *binder;
    struct join_sizes sizes;
    uint32_t limit;
    bool ordered;
    omen_status status;
    omen_error *error;
};

/* A column that an equality with another leaf's column speaks of. */
struct member {
    struct expression *column;
    uint32_t leaf;
    uint32_t class; /* while classes are being found: a member of the same class, or itself */
};

struct condition {
    struct expression *expression;
    uint64_t leaves;
    bool subquery;
    bool above; /* stands in the WHERE above an outer join that these joins are one side of */
    struct member *left, *right; /* an equality of two members; else NULL */
};

/* One FROM, flattened. In the ordering's arena. */
struct joins {
    struct from_item *leaves[JOIN_LEAVES_MAX];
    uint32_t leaf_count;
    struct condition conditions[JOIN_CONDITIONS_MAX];
    uint32_t condition_count;
    struct member members[JOIN_MEMBERS_MAX];
    uint32_t member_count;
    bool from_on;   /* some condition comes from an ON */
    bool side;      /* they are a side of an outer join */
    bool too_large; /* more than there is room for */
    struct join_graph graph;
};

/* --- join_graph.c --- */

/* The leaves that an expression speaks of, a bit each; `*others` (may be NULL): of relations of the
 * query that are in no leaf too. */
uint64_t join_leaves_of(const struct joins *joins, struct expression *expression, bool *others);
/* Whether two leaves or more are among them. */
bool join_is_several(uint64_t leaves);
/* A list of conditions; the only one itself. NULL where memory is exhausted. */
struct expression *join_make_list(struct ordering *ordering, enum expression_kind kind,
                                  struct expression **parts, uint32_t count);
/* Notes what each condition speaks of, and which are equalities of members. */
void join_find_members(struct joins *joins);
/* Fills joins->graph; sets joins->too_large where it does not fit. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status join_make_graph(struct ordering *ordering, struct joins *joins,
                                            const struct query *query);

/* --- join_ties.c --- */

/* The conditions to write for an order, those as written at their places, but for equalities that
 * follow from others; what stands above an outer join is not among them. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status join_list_conditions(struct ordering *ordering, struct joins *joins,
                                                 const uint32_t *order, struct expression ***out,
                                                 uint32_t *out_count);

#endif
