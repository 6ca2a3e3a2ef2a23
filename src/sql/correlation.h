/* correlation.h - what a subquery takes from the queries around it. For decorrelate.c. */
#ifndef OMEN_SQL_CORRELATION_H
#define OMEN_SQL_CORRELATION_H

#include "sql/bind_query_private.h"

enum { CORRELATION_KEYS_MAX = 32 };

/* levels_up of a column that stands for a key which is not listed yet. */
#define CORRELATION_KEY_TO_COME UINT32_MAX

/* What a subquery takes from the query around it. */
struct correlation {
    struct expression
        *keys[CORRELATION_KEYS_MAX]; /* columns of that query, as it sees them (levels_up 0) */
    uint32_t key_count;
    uint32_t depth; /* of the query being walked, below the subquery */
    bool far;       /* something from further out */
    bool misplaced; /* where a join with the keys can't reach: FROM, a side of a set operation */
    bool in_from;
    struct relation *listed; /* replacing: the relation that lists the keys */
    struct binder *binder;
    omen_error *error;
    omen_status status;
};

/* Finds the keys of a subquery. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status correlation_find(struct binder *binder, struct query *query,
                                             struct correlation *out, omen_error *error);

/* Makes `query` take its keys from `listed`, which it reads now: column i is key i. */
OMEN_MUST_CHECK omen_status correlation_replace(struct correlation *correlation,
                                                struct query *query, struct relation *listed);

/* Whether an expression uses columns of any query around. */
bool correlation_of_expression(struct binder *binder, struct expression *expression);

/* Whether the outside stands in the query's WHERE alone, and there in `own column = outside`: a
 * correlation that the engine joins by itself. */
bool correlation_is_equality(struct binder *binder, struct query *query);

/* Whether a subquery stands in the expression. */
bool expression_has_subquery(struct expression *expression);

/* The AND-ed conditions of a WHERE (which may be NULL). */
struct expression **conjuncts_of(struct expression **where, uint32_t *count);

#endif
