/* evaluate.h - computing bound expressions in the core, one row at a time.
 *
 * The same functions (semantics.def) answer in the engine where it has no equal of its own.
 */
#ifndef OMEN_SQL_EVALUATE_H
#define OMEN_SQL_EVALUATE_H

#include "sql/expression.h"

/* Where an evaluation takes its inputs from. Thread: one evaluation, one thread. */
struct evaluation {
    struct arena *arena; /* for results; the caller empties it when it needs them no more */
    const omen_value *parameters; /* of the types the binder found */
    int64_t now;                  /* microseconds since 1970, UTC */
    /* The value of a column of the row at hand; NULL: expressions have no columns. */
    omen_status (*read_column)(void *row, const struct expression *column, omen_value *out,
                               omen_error *error);
    void *row;
};

/* Computes `expression` (expression_is_evaluable). Text of the result is borrowed from the row, the
 * parameters, the tree or the arena. AND, OR, CASE and COALESCE compute no more than they need.
 * Errors: those of the functions; OUT_OF_MEMORY; NOT_SUPPORTED for what only the engine has. */
OMEN_MUST_CHECK omen_status evaluate(const struct expression *expression,
                                     struct evaluation *evaluation, omen_value *out,
                                     omen_error *error);

/* Replaces parts without columns, parameters, STABLE and VOLATILE functions by their values, from
 * the leaves up, as PostgreSQL's planner does; a part whose computation fails stays, so that the
 * error comes when it is needed. In place. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status evaluate_constants(struct expression **expression, struct arena *arena,
                                               omen_error *error);

/* Computes one line for values: what function calls from the engine come to. */
OMEN_MUST_CHECK omen_status evaluate_call(const struct semantics_line *line, bool explicit_cast,
                                          const struct call_context *context,
                                          const omen_value *arguments, omen_value *out,
                                          omen_error *error);

#endif
