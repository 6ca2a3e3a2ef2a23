/* bind_query_private.h - what the files that bind queries share.
 *
 *   bind_query   SELECT clause by clause, VALUES, WITH
 *   bind_from    FROM items and the names they bring
 *   bind_join    USING and NATURAL
 *   bind_order   ORDER BY, DISTINCT, LIMIT: clauses that look at the outputs first
 *   bind_group   GROUP BY, grouping sets, and which columns a grouped query may show
 *   bind_set     UNION, INTERSECT, EXCEPT
 *   bind_recursive  WITH RECURSIVE
 *   bind_level   what a query uses of those around it
 *   bind_write   INSERT, UPDATE, DELETE
 *
 * Levels: a query in FROM or WITH has the query that holds it around it, although it sees none of
 * its names: a scope without names stands between. Both sides of a set operation stand beside it.
 */
#ifndef OMEN_SQL_BIND_QUERY_PRIVATE_H
#define OMEN_SQL_BIND_QUERY_PRIVATE_H

#include "sql/bind.h"

enum { QUERY_TARGETS_MAX = 1664 }; /* PostgreSQL's limit */

/* --- small things --- */

/* Zeroed memory of the statement; NULL with OUT_OF_MEMORY set. */
void *bind_alloc(struct binder *binder, size_t bytes, omen_error *error);
/* Room for one item more in an array of the arena; `*items` may move. */
OMEN_MUST_CHECK omen_status bind_grow(struct binder *binder, void *items, uint32_t count,
                                      uint32_t *capacity, size_t item_bytes, omen_error *error);
/* NOT_SUPPORTED "`what` is not supported", at a byte of the statement. */
omen_status bind_refuse(struct binder *binder, int location, const char *what, omen_error *error);
/* Any other error, at a byte of the statement. */
omen_status bind_fail(struct binder *binder, int location, omen_error *error, omen_status status,
                      const char *format, ...) OMEN_PRINTF(5, 6);
/* One level deeper; STATEMENT_TOO_COMPLEX beyond BIND_DEPTH_MAX. Leave by binder->depth--. */
OMEN_MUST_CHECK omen_status bind_enter(struct binder *binder, omen_error *error);

/* Takes steps of the statement's budget: its text is short, but what it asks for may multiply.
 * Errors: STATEMENT_TOO_COMPLEX. */
OMEN_MUST_CHECK omen_status bind_spend(struct binder *binder, uint64_t steps, omen_error *error);
/* The same before `copies` more places hold this expression: trees are walked as if each had its
 * own. */
OMEN_MUST_CHECK omen_status bind_spend_copies(struct binder *binder, struct expression *expression,
                                              uint64_t copies, omen_error *error);
/* The same for a query made of parts that stand elsewhere too. */
OMEN_MUST_CHECK omen_status bind_spend_query(struct binder *binder, struct query *query,
                                             omen_error *error);

/* The byte where a node stands, -1 where it does not say. */
int bind_location(const PgQuery__Node *node);
/* The same for a bound expression: where its leftmost part stands. */
int bind_expression_location(const struct expression *expression);
/* The first aggregate in it; -1 where there is none. */
int bind_aggregate_location(const struct expression *expression);

/* Whether it is a call of GROUPING. */
bool bind_is_grouping(const struct expression *expression);

/* A reference to a relation's column. NULL with OUT_OF_MEMORY set. */
struct expression *bind_column_use(struct binder *binder, struct relation *relation,
                                   uint32_t column, uint32_t levels_up, int location,
                                   omen_error *error);

/* The type of a literal, parameter or NULL that nothing gave a type yet. */
bool bind_is_unknown(omen_type type);

/* Whether a part of the expression is an aggregate (or a window function) of this query. */
bool bind_has_aggregate(const struct expression *expression, bool window);
/* Whether it uses columns of the query at hand, or of one around. */
bool bind_has_columns(const struct expression *expression);

/* --- FROM --- */

/* What names a FROM item brings. */
struct from_names {
    struct relation **relations;
    uint32_t relation_count, relation_capacity;
    struct scope_column *columns;
    uint32_t column_count, column_capacity;
};

/* Binds a list of FROM items and leaves their names in `scope`. */
OMEN_MUST_CHECK omen_status bind_from(struct binder *binder, struct scope *scope,
                                      PgQuery__Node *const *nodes, size_t count,
                                      struct from_item ***items, uint32_t *item_count,
                                      omen_error *error);

/* The table a RangeVar names; the binder holds it. Errors: UNDEFINED_TABLE. */
OMEN_MUST_CHECK omen_status bind_table(struct binder *binder, const PgQuery__RangeVar *name,
                                       struct table **out, omen_error *error);

/* A FROM entry for a table: its columns under their own names, or the alias's. */
OMEN_MUST_CHECK omen_status bind_table_relation(struct binder *binder,
                                                const PgQuery__RangeVar *name, bool row_ids,
                                                struct relation **out, omen_error *error);

/* A FROM entry for a query; `alias` may be NULL. */
OMEN_MUST_CHECK omen_status bind_query_relation(struct binder *binder, struct query *query,
                                                const char *name, const PgQuery__Alias *alias,
                                                struct relation **out, omen_error *error);
/* A FROM item of one relation. */
OMEN_MUST_CHECK omen_status bind_leaf(struct binder *binder, struct relation *relation,
                                      struct from_item **out, omen_error *error);

/* Lets a scope see these names and no others. */
void bind_show_names(struct scope *scope, const struct from_names *names);

/* Makes a relation's columns visible in `names`. */
OMEN_MUST_CHECK omen_status bind_add_names(struct binder *binder, struct from_names *names,
                                           struct relation *relation, omen_error *error);

/* `columns` as an alias's column list renames them. `what` and `name` are for the error. */
OMEN_MUST_CHECK omen_status bind_rename_columns(struct binder *binder,
                                                struct relation_column *columns, uint32_t count,
                                                PgQuery__Node *const *names, size_t name_count,
                                                const char *what, const char *name, int location,
                                                omen_error *error);

/* JOIN ... USING and NATURAL: the condition, and the names that both sides together show. */
OMEN_MUST_CHECK omen_status bind_join_using(struct binder *binder, const PgQuery__JoinExpr *node,
                                            enum join_kind kind, struct from_names *left,
                                            struct from_names *right, struct from_names *merged,
                                            struct expression **condition, omen_error *error);

/* --- queries --- */

/* bind_query; with `settle` false outputs of an UNKNOWN type stay so: the caller gives them one. */
OMEN_MUST_CHECK omen_status bind_query_outputs(struct binder *binder, struct scope *outer,
                                               const PgQuery__SelectStmt *node, bool settle,
                                               struct query **out, omen_error *error);

/* SELECT every column of `query`, which moves one level in: its outputs can then be cast. */
OMEN_MUST_CHECK omen_status bind_wrap(struct binder *binder, struct query *query,
                                      struct query **out, omen_error *error);

/* The same without moving it: for a look at its outputs. */
OMEN_MUST_CHECK omen_status bind_select_all(struct binder *binder, struct query *query,
                                            struct query **out, omen_error *error);

/* Whether it uses columns of the query right around it. */
bool bind_uses_around(struct query *query);
/* Whether it uses columns of any query around it. */
bool bind_is_correlated(const struct query *query);

/* Moves a query one level further in: what it uses of the queries around it is one level more up
 * (bind_level.c). */
OMEN_MUST_CHECK omen_status bind_move_in(struct binder *binder, struct query *query,
                                         omen_error *error);

/* Binds WITH: `scope` and `query` get the queries. Errors: DUPLICATE_ALIAS, ... */
OMEN_MUST_CHECK omen_status bind_with(struct binder *binder, struct scope *scope,
                                      const PgQuery__WithClause *node, struct query *query,
                                      omen_error *error);

/* A SELECT while it is bound. */
struct selecting {
    struct binder *binder;
    const PgQuery__SelectStmt *node;
    struct scope scope;
    struct query *query;
    uint32_t target_capacity, group_capacity;
};

/* Gives a target of UNKNOWN type TEXT. */
OMEN_MUST_CHECK omen_status bind_settle_target(struct selecting *selecting, uint32_t target,
                                               omen_error *error);

/* What ORDER BY, GROUP BY or DISTINCT ON (`clause`) names: an output (`*target` >= 0) by name,
 * position or being the same expression, or else an expression over the inputs (`*target` -1).
 * In GROUP BY input columns come before output names. */
OMEN_MUST_CHECK omen_status bind_output_or_expression(struct selecting *selecting,
                                                      const PgQuery__Node *node, const char *clause,
                                                      int32_t *target,
                                                      struct expression **expression,
                                                      omen_error *error);

OMEN_MUST_CHECK omen_status bind_order(struct selecting *selecting, omen_error *error);
OMEN_MUST_CHECK omen_status bind_distinct(struct selecting *selecting, omen_error *error);
/* Direction and NULLs of a SortBy. Errors: NOT_SUPPORTED for USING. */
OMEN_MUST_CHECK omen_status bind_sort_direction(struct binder *binder, const PgQuery__SortBy *node,
                                                struct sort_key *key, omen_error *error);
OMEN_MUST_CHECK omen_status bind_limits(struct binder *binder, struct scope *scope,
                                        const PgQuery__SelectStmt *node, struct query *query,
                                        omen_error *error);

OMEN_MUST_CHECK omen_status bind_groups(struct selecting *selecting, omen_error *error);
/* Every column that a grouped query shows is grouped, or follows from a grouped key. */
OMEN_MUST_CHECK omen_status bind_check_grouping(struct selecting *selecting, omen_error *error);

OMEN_MUST_CHECK omen_status bind_set(struct binder *binder, struct scope *outer,
                                     const PgQuery__SelectStmt *node, struct query **out,
                                     omen_error *error);

/* One set operation of two queries already bound. */
OMEN_MUST_CHECK omen_status bind_combine(struct binder *binder, const PgQuery__SelectStmt *node,
                                         struct query *left, struct query *right,
                                         struct query **out, omen_error *error);

/* Casts a query's outputs to `types`, within it or in a query around it. `columns` (may be NULL)
 * names what they are assigned to. Errors: as bind_coerce. */
OMEN_MUST_CHECK omen_status bind_cast_outputs(struct binder *binder, struct query **query,
                                              const omen_type *types, enum cast_context context,
                                              const char *const *columns, omen_error *error);

/* Where an output of the query stands; of a set operation's first side, of the first VALUES row. */
int bind_target_location(const struct query *query, uint32_t target);

/* --- WITH RECURSIVE (bind_recursive.c) --- */

/* Whether a table of this name is read anywhere in the query; takes steps of the budget. */
bool bind_refers_to(struct binder *binder, const PgQuery__Node *query, const char *name);

/* A WITH query that refers to itself: `cte` gets its query and columns. `scope` is what it has
 * around it. Errors: INVALID_RECURSION, NOT_SUPPORTED, ... */
OMEN_MUST_CHECK omen_status bind_recursive(struct binder *binder, struct scope *scope,
                                           const PgQuery__CommonTableExpr *node, struct cte *cte,
                                           omen_error *error);

/* Gives a WITH query the columns of its query, renamed by its column list. */
OMEN_MUST_CHECK omen_status bind_cte_columns(struct binder *binder, struct cte *cte,
                                             const PgQuery__CommonTableExpr *node,
                                             omen_error *error);

/* --- FOR UPDATE (bind_locking.c) --- */

/* Binds the locking clauses of a query that is bound otherwise. Errors: NOT_SUPPORTED where its
 * rows are not those of tables; UNDEFINED_TABLE. */
OMEN_MUST_CHECK omen_status bind_lockings(struct selecting *selecting, omen_error *error);

/* "FOR UPDATE is not allowed with ...". */
omen_status bind_refuse_locking(struct binder *binder, const PgQuery__SelectStmt *node,
                                const char *what, omen_error *error);

#endif
