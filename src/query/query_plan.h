/* query_plan.h - a bound query: which way answers it, and running it.
 *
 *   core     no table: the evaluator computes the rows
 *   index    one table, the whole key fixed: one row through the learned index
 *   engine   everything else, as SQL text that engine_text writes
 *
 * The route is decided when planning; omen.route may force another when running.
 * One thread at a time.
 */
#ifndef OMEN_QUERY_QUERY_PLAN_H
#define OMEN_QUERY_QUERY_PLAN_H

#include "query/lookup.h"
#include "query/result.h"
#include "query/session.h"
#include "sql/engine_text.h"
#include "sql/query_tree.h"

enum route { ROUTE_BY_CORE, ROUTE_BY_INDEX, ROUTE_BY_ENGINE };

/* As EXPLAIN and omen_statement_route say it. Static. */
const char *route_name(enum route route);

struct query_plan {
    struct query *query;
    const char **names; /* of the outputs, PostgreSQL's */
    enum route route;
    const char *reason;    /* for EXPLAIN; static */
    struct lookup *lookup; /* INDEX */
    uint32_t *columns;     /* INDEX: the outputs as columns of the table; NULL: computed */
    struct arena *arena;   /* the plan's */
    struct binder *binder; /* what bound the query; the plan's */
    bool decorrelated;     /* done, or tried */
    bool spoilt;           /* that failed half-way: the tree is good for nothing any more */
    const omen_type *parameter_types;
    uint32_t parameter_count;
    struct engine_text *text; /* NULL until needed */
    uint32_t join_limit;      /* of the settings it was made under */
    uint64_t *row_counts; /* of the binder's tables when joins were put in order; NULL: none was */
};

/* What one run of a statement works with. */
struct run {
    struct session *session;
    const omen_value *parameters; /* of the plan's types */
    uint32_t parameter_count;
    int64_t now;          /* microseconds since 1970, where the plan uses it */
    uint64_t deadline_ns; /* monotonic: statement_timeout from the start of the run; 0 = none */
    struct arena *scratch;
    enum route route; /* taken: set by running */
};

/* The rows of a query. Exactly one of the members holds them. */
struct query_rows {
    enum { ROWS_PINNED, ROWS_VALUES, ROWS_STREAM } kind;
    struct row_ref row; /* PINNED: the row or none; VALUES may borrow text from it */
    struct value_rows values;
    struct ArrowArrayStream stream;
};

/* Decides the route of a query that binding has filled in. `plan` has query, arena and the
 * parameters. Errors: OUT_OF_MEMORY; NOT_SUPPORTED for a type that no result has. */
OMEN_MUST_CHECK omen_status query_plan_make(struct query_plan *plan, omen_error *error);

/* Whether the order of its joins is still what it would be: tables have about as many rows as when
 * it was chosen, and the setting is the same. */
bool query_plan_is_fresh(const struct query_plan *plan, const struct session *session);

/* Whether the core computes every expression by itself. */
bool query_all_evaluable(struct expression *const *expressions, uint32_t count);

/* The text for the engine, written on first need. Errors: as decorrelate_query and
 * engine_text_write. */
OMEN_MUST_CHECK omen_status query_engine_text(struct query_plan *plan, omen_error *error);

/* The route under the session's settings. With `count` a fallback is counted. Errors: NOT_READY
 * where omen.route_strict forbids falling back; as query_engine_text. */
OMEN_MUST_CHECK omen_status query_choose(struct query_plan *plan, struct session *session,
                                         bool count, enum route *route, omen_error *error);

/* Answers it. The rows' values live in the run's arena, the plan, or what the row pins.
 * Errors: whatever the query raises. */
OMEN_MUST_CHECK omen_status query_run(struct query_plan *plan, struct run *run,
                                      struct query_rows *out, omen_error *error);

/* Moves what query_run gave into a stream of the outputs under their names, which may outlive it.
 * Errors: as result_values. */
OMEN_MUST_CHECK omen_status query_rows_stream(struct query_plan *plan, struct session *session,
                                              struct query_rows *rows, struct ArrowArrayStream *out,
                                              omen_error *error);

/* Lets go of what query_run gave; also after a failure. */
void query_rows_release(struct query_rows *rows);

/* The same by the engine, whatever the route. */
OMEN_MUST_CHECK omen_status query_run_engine(struct query_plan *plan, struct run *run,
                                             struct ArrowArrayStream *out, omen_error *error);

/* Which of the rows [0, count) LIMIT and OFFSET want. Errors: INVALID_LIMIT, INVALID_OFFSET; of
 * evaluating. */
OMEN_MUST_CHECK omen_status query_read_limits(const struct query *query,
                                              struct evaluation *evaluation, uint64_t count,
                                              uint64_t *first, uint64_t *end, omen_error *error);

/* FOR UPDATE and its kin (query_lock.c): the row that the lookup finds, locked; and the rows that
 * the engine finds, each locked before it counts for LIMIT. Errors: those of the query and of
 * locking; SERIALIZATION_FAILURE in REPEATABLE READ. */
OMEN_MUST_CHECK omen_status query_lock_row(struct query_plan *plan, struct run *run,
                                           struct evaluation *evaluation, struct row_ref *row,
                                           omen_error *error);
OMEN_MUST_CHECK omen_status query_run_locked(struct query_plan *plan, struct run *run,
                                             struct query_rows *out, omen_error *error);

/* The engine's plan of it, as a stream of one text column. */
OMEN_MUST_CHECK omen_status query_explain_engine(struct query_plan *plan, struct run *run,
                                                 struct ArrowArrayStream *out, omen_error *error);

/* An evaluation without a row. */
struct evaluation run_evaluation(const struct run *run);

#endif
