/* engine.h - the SQL engine as the core uses it: loaded on first need, one per database. */
#ifndef OMEN_QUERY_ENGINE_H
#define OMEN_QUERY_ENGINE_H

#include "base/status.h"
#include "omendb_engine.h"
#include "query/session.h"
#include "sql/engine_text.h"

/* Runs a query in the engine at one read view of its own and counts it. Parameters are those of the
 * text, of its types; both are borrowed for the call. The stream keeps the session alive; it fails
 * with CANCELLED where the session is interrupted or the deadline (as session_check's) passes.
 * Errors: ENGINE_MISSING where it cannot be loaded; the engine's; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status engine_query(struct session *session, const struct engine_text *text,
                                         const omen_value *parameters, uint32_t parameter_count,
                                         uint64_t deadline_ns, struct ArrowArrayStream *out,
                                         omen_error *error);

/* The engine's plan as a stream of one utf8 column. Runs and counts nothing. */
OMEN_MUST_CHECK omen_status engine_explain(struct session *session, const struct engine_text *text,
                                           const omen_value *parameters, uint32_t parameter_count,
                                           struct ArrowArrayStream *out, omen_error *error);

/* What happened inside the engine since it was started; all zero where it wasn't. Thread-safe. */
void engine_counters_of(struct database *database, omen_engine_counters *out);

#endif
