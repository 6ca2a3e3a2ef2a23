/* correlation.h - what a subquery takes from the queries around it. */
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
    bool deep;      /* something in a query within the subquery */
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

/* Where a query stands that uses columns of the one around it. */
enum correlated_place { CORRELATED_SCALAR, CORRELATED_EXISTS, CORRELATED_SET, CORRELATED_LATERAL };

/* Whether the engine's join of a correlated query with what is around it is the same: it moves the
 * conditions up into the join. So each outer row's result must follow row by row or group by group;
 * windows, OFFSET and LIMIT would reach over the rows of all outer rows, and the one row of an
 * aggregate over nothing is lost but in scalar subqueries, and LATERAL without HAVING. Columns that
 * are not of the query right around are not found. */
bool correlation_is_joinable(const struct query *query, enum correlated_place place,
                             const struct correlation *correlation);

/* Whether a subquery stands in the expression. */
bool expression_has_subquery(struct expression *expression);

/* The rows of a LIMIT that is a constant; 0 where there is none, or it is no constant or NULL. */
int64_t limit_rows(const struct expression *limit);

/* Whether each row of FROM and WHERE is a row of the query (DISTINCT aside), or, with `aggregate`,
 * one group of all of them. */
bool query_is_plain(const struct query *query, bool aggregate);

/* Takes from the query of an EXISTS what does not change whether it has a row. */
void query_drop_what_exists_ignores(struct query *query);

/* Whether it is an aggregate of all rows, so that it has exactly one. */
bool query_has_one_row(const struct query *query);

/* Whether something in a FROM is such an aggregate, perhaps with HAVING. */
bool from_has_one_group(const struct from_item *item);

/* The AND-ed conditions of a WHERE (which may be NULL). */
struct expression **conjuncts_of(struct expression **where, uint32_t *count);

#endif
