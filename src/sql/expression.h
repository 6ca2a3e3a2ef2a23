/* expression.h - bound expressions: every name resolved, every operand of exactly the right type.
 *
 * A tree in the binder's arena, never changed once bound. Casts that PostgreSQL would add stand in
 * it, so that neither the evaluator nor the engine decides anything about types.
 */
#ifndef OMEN_SQL_EXPRESSION_H
#define OMEN_SQL_EXPRESSION_H

#include "sql/semantics.h"

struct query;
struct relation;

enum expression_kind {
    EXPRESSION_CONSTANT,  /* value */
    EXPRESSION_PARAMETER, /* $n: parameter */
    EXPRESSION_COLUMN,    /* column */
    EXPRESSION_CALL,      /* line: an operator, function or cast */
    EXPRESSION_AND,       /* two arguments or more, BOOLEAN; OR too */
    EXPRESSION_OR,
    EXPRESSION_NOT,           /* one argument */
    EXPRESSION_TEST,          /* test: IS NULL and its kin; one argument */
    EXPRESSION_DISTINCT_FROM, /* line (an "="), negated: IS NOT DISTINCT FROM; two arguments */
    EXPRESSION_IN,            /* line (an "="), negated: argument 0 IN (the others) */
    EXPRESSION_CASE,          /* arguments: when, then, when, then, ..., [else] (odd count) */
    EXPRESSION_COALESCE,      /* one argument or more, all of the result's type */
    EXPRESSION_GREATEST,      /* the same; NULLs are passed over */
    EXPRESSION_LEAST,
    EXPRESSION_NULLIF,    /* line (an "="): arguments 0 and 1 of its types, result argument 0 */
    EXPRESSION_AGGREGATE, /* line, aggregate */
    EXPRESSION_WINDOW,    /* line, aggregate with window */
    EXPRESSION_SUBQUERY,  /* subquery */
};

enum expression_test {
    TEST_NULL,
    TEST_NOT_NULL,
    TEST_TRUE,
    TEST_NOT_TRUE,
    TEST_FALSE,
    TEST_NOT_FALSE,
    TEST_UNKNOWN,
    TEST_NOT_UNKNOWN,
};

struct sort_key {
    struct expression *expression; /* NULL: output column `target` */
    uint32_t target;               /* position among the query's targets */
    bool descending, nulls_first;  /* nulls_first is always decided: ASC last, DESC first */
};

enum frame_unit { FRAME_ROWS, FRAME_RANGE, FRAME_GROUPS };
enum frame_bound {
    FRAME_UNBOUNDED_PRECEDING,
    FRAME_PRECEDING, /* with an offset */
    FRAME_CURRENT_ROW,
    FRAME_FOLLOWING,
    FRAME_UNBOUNDED_FOLLOWING,
};

struct window {
    struct expression **partition;
    uint32_t partition_count;
    struct sort_key *order;
    uint32_t order_count;
    bool framed; /* a frame was given; else RANGE UNBOUNDED PRECEDING to CURRENT ROW */
    enum frame_unit unit;
    enum frame_bound start, end;
    struct expression *start_offset, *end_offset; /* constants */
};

struct aggregate_call {
    bool star, distinct;
    struct expression *filter; /* NULL: none */
    struct sort_key *order;    /* string_agg(x, ',' ORDER BY y) */
    uint32_t order_count;
    struct window *window; /* WINDOW only */
};

enum subquery_kind {
    SUBQUERY_EXISTS,
    SUBQUERY_SCALAR,
    SUBQUERY_ANY, /* left op ANY (query); IN is = ANY */
    SUBQUERY_ALL, /* NOT IN is <> ALL */
};

struct subquery_call {
    enum subquery_kind kind;
    struct query *query; /* ANY and ALL: one column, of the line's right type */
    bool negated;        /* NOT IN, NOT EXISTS as written */
};

struct column_use {
    struct relation *relation;
    uint32_t column;
    uint32_t levels_up; /* 0: of this query, 1: of the one around it, ... */
};

struct expression {
    enum expression_kind kind;
    omen_type type; /* of the result; DECIMAL always with precision and scale */
    int location;   /* byte in the statement; -1 unknown */
    struct expression **arguments;
    uint32_t argument_count;
    const struct semantics_line *line; /* where the kind says so; ANY and ALL: the operator, with
                                        * argument 0 on its left */
    bool negated;
    bool explicit_cast; /* CALL of a cast: text is cut to its length, not refused */
    union {
        omen_value value;
        uint32_t parameter; /* 0-based */
        struct column_use column;
        enum expression_test test;
        struct aggregate_call aggregate;
        struct subquery_call subquery;
    };
};

/* Whether the evaluator can compute it for one row: no aggregates, windows, subqueries, volatile
 * functions, columns from outside. */
bool expression_is_evaluable(const struct expression *expression);

/* Whether computing this node itself, its parts given, always gives the same, and the core can. */
bool expression_is_fixed(const struct expression *expression);

/* Whether two expressions say the same (locations aside): GROUP BY, ORDER BY with DISTINCT. */
bool expression_equal(const struct expression *one, const struct expression *other);

/* Calls `visit` for each direct part: arguments, filter, order, window (not subqueries). */
typedef bool expression_visitor(struct expression **part, void *state); /* false: stop */
bool expression_visit_parts(struct expression *expression, expression_visitor *visit, void *state);

#endif
