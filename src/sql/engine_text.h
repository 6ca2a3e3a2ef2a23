/* engine_text.h - a bound query as SQL for the engine.
 *
 * The text decides everything: each relation has an alias r<number> of its own, the outputs are
 * named o0$0, o0$1, ..., casts are written out, NULLS FIRST or LAST always stands, functions that
 * the engine lacks or answers otherwise are core('signature', arguments). The engine resolves no
 * overload and coerces no type.
 *
 *   SELECT name, n + 1 FROM t WHERE id > 5
 *   SELECT r1."name" AS o0$0, (r1."n" + CAST(1 AS INT)) AS o0$1 FROM "t.1" AS r1 WHERE (r1."id" >
 * ...)
 */
#ifndef OMEN_SQL_ENGINE_TEXT_H
#define OMEN_SQL_ENGINE_TEXT_H

#include "sql/query_tree.h"

/* A table reference of the text: what omen_engine_host.table_resolve gets as a name. */
struct engine_relation {
    const char *name; /* "table.number" */
    struct table *table;
    struct table_file *file; /* where the rows come from, if not from the table */
    bool row_ids;
};

struct engine_text {
    const char *text; /* zero-terminated */
    size_t length;
    struct engine_relation *relations;
    uint32_t relation_count;
    /* Parameters $1..$parameter_count are the statement's; where `uses_now` is set, one more
     * follows, the statement's now as TIMESTAMPTZ. */
    uint32_t parameter_count;
    bool uses_now;
};

/* Writes `query` into `arena`. Errors: NOT_SUPPORTED for what the engine cannot be told;
 * LIMIT_EXCEEDED, STATEMENT_TOO_COMPLEX; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status engine_text_write(const struct query *query, uint32_t parameter_count,
                                              const omen_type *parameter_types, struct arena *arena,
                                              struct engine_text *out, omen_error *error);

/* Whether computing it can fail: then rows decide that others must not meet. Subqueries aside. */
bool text_may_fail(const struct expression *expression);

/* --- functions of the core that the engine calls --- */

enum { ENGINE_CALL_ARGUMENTS_MAX = 100 };

/* What a signature says: "lower 17 c 8.0.0.0 8.0.0.0", that is the name, the line's number, how it
 * is called (c; x: an explicit cast), the result's type, the arguments'. */
struct engine_call {
    const struct semantics_line *line;
    bool explicit_cast;
    bool takes_now; /* the first argument is no argument: it is the statement's now */
    omen_type result;
    uint32_t argument_count; /* without now */
    omen_type arguments[ENGINE_CALL_ARGUMENTS_MAX];
};

/* Writes the signature of a call (at most ENGINE_CALL_ARGUMENTS_MAX arguments, else NOT_SUPPORTED);
 * reads one back (INTERNAL where it is none). */
OMEN_MUST_CHECK omen_status engine_call_write(const struct expression *call, struct arena *arena,
                                              const char **signature, omen_error *error);
OMEN_MUST_CHECK omen_status engine_call_read(const char *signature, size_t length,
                                             struct engine_call *out, omen_error *error);

#endif
