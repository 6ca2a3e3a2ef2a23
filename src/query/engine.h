/* engine.h - the SQL engine as the core uses it: loaded on first need, one per database. */
#ifndef OMEN_QUERY_ENGINE_H
#define OMEN_QUERY_ENGINE_H

#include "base/status.h"
#include "omendb_engine.h"
#include "query/session.h"

/* Runs a query in the engine at one read view of its own and counts it. Parameters and text are
 * borrowed for the call. The stream may outlive the session.
 * Errors: ENGINE_MISSING where it cannot be loaded; the engine's; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status engine_query(struct session *session, const char *sql, size_t length,
                                         const omen_value *parameters, uint32_t parameter_count,
                                         struct ArrowArrayStream *out, omen_error *error);

/* The engine's plan as a stream of one utf8 column. Runs and counts nothing. */
OMEN_MUST_CHECK omen_status engine_explain(struct session *session, const char *sql, size_t length,
                                           struct ArrowArrayStream *out, omen_error *error);

/* --- engine_host.c --- */

/* The core's side of the ABI. Static. */
extern const omen_engine_host engine_host;

/* One statement's read view: its snapshot is taken here, for all its tables. */
OMEN_MUST_CHECK omen_status engine_statement_open(struct session *session,
                                                  omen_engine_statement **out, omen_error *error);
void engine_statement_close(omen_engine_statement *statement);

#endif
