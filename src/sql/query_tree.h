/* query_tree.h - a bound query: what a SELECT, VALUES or set operation asks, names resolved.
 *
 * Trees live in the binder's arena. Tables are borrowed: the plan that owns the arena holds them.
 */
#ifndef OMEN_SQL_QUERY_TREE_H
#define OMEN_SQL_QUERY_TREE_H

#include "sql/expression.h"
#include "table/table.h"
#include "txn/txn_lock.h"

enum relation_kind {
    RELATION_TABLE,
    RELATION_QUERY,    /* a subquery in FROM; VALUES too */
    RELATION_CTE,      /* a reference to a WITH query */
    RELATION_FUNCTION, /* generate_series(...) */
};

struct table_file; /* a file read as a table; the layer above's */

struct relation_column {
    const char *name;
    omen_type type;
    const char *refused; /* FILE: what the column's type is called, of which nothing can be read;
                          * NULL: it can */
};

/* One entry of a FROM clause, unique in the statement by its number. */
struct relation {
    enum relation_kind kind;
    uint32_t number;
    const char *alias; /* what qualifies its columns */
    struct relation_column *columns;
    uint32_t column_count;
    struct table *table;     /* TABLE */
    struct table_file *file; /* TABLE: its rows are a file's, and `table` is an empty one with
                              * the file's columns; NULL: it is a table of the database */
    bool row_ids;        /* TABLE: an UPDATE's or DELETE's target, or locked; the row id is column
                          * `column_count`, BIGINT, which no name reaches */
    struct query *query; /* QUERY */
    bool lateral;        /* QUERY: sees the entries before it */
    struct cte *cte;     /* CTE */
    struct expression *function; /* FUNCTION */
};

struct cte {
    const char *name;
    uint32_t number;
    struct query *query;
    bool recursive; /* query is a UNION whose right side refers to it */
    struct relation_column *columns;
    uint32_t column_count;
};

enum join_kind { JOIN_CROSS, JOIN_INNER, JOIN_LEFT, JOIN_RIGHT, JOIN_FULL };

struct from_item {
    struct relation *relation; /* a leaf; else NULL */
    enum join_kind join;
    struct from_item *left, *right;
    struct expression *condition; /* NULL for CROSS; USING and NATURAL are written out */
};

struct target {
    struct expression *expression;
    const char *name; /* PostgreSQL's: the alias, the column, the function, "?column?" */
};

/* FOR UPDATE and its kin: what the rows of a relation are locked by. */
struct row_locking {
    struct relation *relation;
    enum lock_mode mode;
    enum lock_wait wait;
    struct expression *row_id; /* comes as a column behind the outputs */
};

enum query_kind { QUERY_SELECT, QUERY_SET, QUERY_VALUES };
enum set_operation { SET_UNION, SET_INTERSECT, SET_EXCEPT };

struct query {
    enum query_kind kind;
    struct cte **ctes;
    uint32_t cte_count;
    struct target *targets; /* SET, VALUES: the names and types, `expression` NULL */
    uint32_t target_count;
    omen_type *types; /* of the targets */

    /* SELECT */
    bool distinct;
    struct expression **distinct_on; /* DISTINCT ON (...) */
    uint32_t distinct_on_count;
    struct from_item **from; /* comma-separated items */
    uint32_t from_count;
    struct expression *where;
    struct expression **groups; /* GROUP BY, ordinals and aliases resolved */
    uint32_t group_count;
    uint32_t **grouping_sets; /* NULL-terminated positions + 1 in `groups`; NULL: one set, all */
    uint32_t grouping_set_count;
    bool grouped; /* GROUP BY, HAVING or aggregates: one row a group */
    struct expression *having;
    struct row_locking *lockings; /* of a statement's own query: the engine then applies no LIMIT */
    uint32_t locking_count;

    /* SET: both sides have the targets' types, casts added */
    enum set_operation operation;
    bool all;
    struct query *left, *right;

    /* VALUES: rows of target_count expressions of the targets' types */
    struct expression ***rows;
    uint32_t row_count;

    /* all */
    struct sort_key *order;
    uint32_t order_count;
    struct expression *limit, *offset; /* BIGINT, without columns; NULL: none */
};

/* Calls `visit` for each expression that stands in the query itself and `nested` for each query in
 * it: of FROM and WITH (`levels` 1: to it this query is the one around) and both sides of a set
 * operation (0: beside it). Subqueries of expressions are the visitor's own business. */
typedef bool query_visitor(struct query *query, uint32_t levels, void *state); /* false: stop */
bool query_visit_parts(struct query *query, expression_visitor *visit, query_visitor *nested,
                       void *state);

#endif
