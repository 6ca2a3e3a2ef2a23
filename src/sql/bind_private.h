/* bind_private.h - what the binder's files of expressions share. */
#ifndef OMEN_SQL_BIND_PRIVATE_H
#define OMEN_SQL_BIND_PRIVATE_H

#include "sql/bind_query_private.h"

/* What DEFAULT's scope has as its clause: it has no columns, subqueries or parameters. */
extern const char bind_default_clause[];

/* --- making nodes (bind_node.c); NULL where memory is exhausted --- */

struct expression *bind_node(struct binder *binder, enum expression_kind kind, omen_type type,
                             int location, uint32_t argument_count);
struct expression *bind_value(struct binder *binder, const omen_value *value, int location);
struct expression *bind_boolean(struct binder *binder, enum expression_kind kind, int location,
                                uint32_t argument_count);

/* AND or OR of expressions that are BOOLEAN already: operands of the same kind are taken over one
 * by one; one operand stays alone. */
OMEN_MUST_CHECK omen_status bind_junction(struct binder *binder, enum expression_kind kind,
                                          struct expression **operands, uint32_t count,
                                          int location, struct expression **out, omen_error *error);

/* NOT of a BOOLEAN expression; a subquery's test is negated in place. */
OMEN_MUST_CHECK omen_status bind_negation(struct binder *binder, struct expression *operand,
                                          int location, struct expression **out, omen_error *error);

/* NOT_SUPPORTED "`what` not supported". */
omen_status bind_unsupported(struct binder *binder, int location, const char *what,
                             omen_error *error);
omen_status bind_no_memory(omen_error *error);

/* The first part (the expression itself counts) of this kind of node, or NULL. Subqueries are not
 * looked into. */
struct expression *bind_find_kind(struct expression *expression, enum expression_kind kind);

/* The first byte of an expression in the statement, its operands included; -1 unknown. */
int bind_leftmost(const struct expression *expression);

bool bind_is_null(const struct expression *expression); /* an untyped NULL */

/* Whether it holds a volatile call, or a subquery. */
bool bind_is_volatile(struct expression *expression);

/* --- names (bind_scope.c) --- */

/* A merged column as seen from `levels_up` queries further in. NULL: memory is exhausted. */
struct expression *bind_copy_merged(struct binder *binder, const struct expression *merged,
                                    uint32_t levels_up, int location);

/* The relation that a qualifier means, `levels_up` queries further out. Errors: UNDEFINED_TABLE. */
OMEN_MUST_CHECK omen_status bind_find_relation(struct binder *binder, struct scope *scope,
                                               const char *name, int location,
                                               struct relation **out, uint32_t *levels_up,
                                               omen_error *error);

OMEN_MUST_CHECK omen_status bind_column(struct binder *binder, struct scope *scope,
                                        const PgQuery__ColumnRef *node, struct expression **out,
                                        omen_error *error);

/* --- types (bind_coerce.c) --- */

/* One of the line's argument types: modifiers stay the expression's own. */
OMEN_MUST_CHECK omen_status bind_coerce_argument(struct binder *binder,
                                                 struct expression *expression, uint32_t type,
                                                 struct expression **out, omen_error *error);

/* An exact number as NUMERIC of just its digits. Errors: NOT_SUPPORTED beyond 38; INVALID_TEXT. */
OMEN_MUST_CHECK omen_status bind_number(struct binder *binder, const char *text, size_t length,
                                        omen_value *out, omen_error *error);

/* Gives a parameter without type one, in all its places. A length is not part of it. */
void bind_fix_parameter(struct binder *binder, struct expression *parameter, omen_type type);

/* What bind_unify would bring expressions to. */
OMEN_MUST_CHECK omen_status bind_common_type(struct binder *binder, struct expression **expressions,
                                             uint32_t count, const char *what, omen_type *type,
                                             omen_error *error);

/* BOOLEAN: "argument of AND must be type boolean, not type integer". */
OMEN_MUST_CHECK omen_status bind_coerce_boolean(struct binder *binder,
                                                struct expression *expression, const char *what,
                                                struct expression **out, omen_error *error);

/* An explicit cast, as written in the statement. */
OMEN_MUST_CHECK omen_status bind_explicit_cast(struct binder *binder, struct expression *operand,
                                               omen_type type, int location,
                                               struct expression **out, omen_error *error);

/* The line's call of arguments not yet cast. */
OMEN_MUST_CHECK omen_status bind_call_line(struct binder *binder, const struct semantics_line *line,
                                           struct expression **arguments, uint32_t count,
                                           int location, struct expression **out,
                                           omen_error *error);

/* IS [NOT] NULL; IS [NOT] DISTINCT FROM (negated: NOT DISTINCT) of bound operands. */
OMEN_MUST_CHECK omen_status bind_null_test(struct binder *binder, struct expression *operand,
                                           bool negated, int location, struct expression **out,
                                           omen_error *error);
OMEN_MUST_CHECK omen_status bind_distinct_from(struct binder *binder, struct expression *left,
                                               struct expression *right, bool negated, int location,
                                               struct expression **out, omen_error *error);

/* --- kinds of nodes --- */

OMEN_MUST_CHECK omen_status bind_constant(struct binder *binder, const PgQuery__AConst *node,
                                          struct expression **out, omen_error *error);
OMEN_MUST_CHECK omen_status bind_parameter(struct binder *binder, struct scope *scope,
                                           const PgQuery__ParamRef *node, struct expression **out,
                                           omen_error *error);
OMEN_MUST_CHECK omen_status bind_type_cast(struct binder *binder, struct scope *scope,
                                           const PgQuery__TypeCast *node, struct expression **out,
                                           omen_error *error);
OMEN_MUST_CHECK omen_status bind_a_expr(struct binder *binder, struct scope *scope,
                                        const PgQuery__AExpr *node, struct expression **out,
                                        omen_error *error);
OMEN_MUST_CHECK omen_status bind_case(struct binder *binder, struct scope *scope,
                                      const PgQuery__CaseExpr *node, struct expression **out,
                                      omen_error *error);
OMEN_MUST_CHECK omen_status bind_function(struct binder *binder, struct scope *scope,
                                          const PgQuery__FuncCall *node, struct expression **out,
                                          omen_error *error);
OMEN_MUST_CHECK omen_status bind_value_function(struct binder *binder,
                                                const PgQuery__SQLValueFunction *node,
                                                struct expression **out, omen_error *error);
OMEN_MUST_CHECK omen_status bind_sublink(struct binder *binder, struct scope *scope,
                                         const PgQuery__SubLink *node, struct expression **out,
                                         omen_error *error);

/* FILTER (WHERE ...) of a call; NULL where it has none. */
OMEN_MUST_CHECK omen_status bind_call_filter(struct binder *binder, struct scope *scope,
                                             const PgQuery__FuncCall *node, struct expression **out,
                                             omen_error *error);

/* Aggregates and window functions: arguments and FILTER are bound, the line is found. `node` is
 * for the rest: DISTINCT, ORDER BY, OVER. */
OMEN_MUST_CHECK omen_status bind_aggregate(struct binder *binder, struct scope *scope,
                                           const PgQuery__FuncCall *node, const char *name,
                                           const struct semantics_line *line,
                                           struct expression **arguments, struct expression *filter,
                                           struct expression **out, omen_error *error);

/* GROUPING(...). That its arguments are groups is checked with the query's outputs. */
OMEN_MUST_CHECK omen_status bind_grouping(struct binder *binder, struct scope *scope,
                                          const PgQuery__GroupingFunc *node,
                                          struct expression **out, omen_error *error);

/* --- rows (bind_row.c) --- */

/* (a, b) op (c, d), the left side bound: = and <> part by part, the orders lexicographically. */
OMEN_MUST_CHECK omen_status bind_row_comparison(struct binder *binder, struct scope *scope,
                                                const char *name, struct expression **left,
                                                size_t left_count, const PgQuery__RowExpr *right,
                                                int location, struct expression **out,
                                                omen_error *error);

/* Binds a list of expressions into an array of the arena. */
OMEN_MUST_CHECK omen_status bind_list(struct binder *binder, struct scope *scope,
                                      PgQuery__Node *const *nodes, size_t count,
                                      struct expression ***out, omen_error *error);

#endif
