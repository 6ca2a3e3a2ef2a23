/* result.h - results that the core makes itself, as Arrow C streams of at most one batch.
 *
 * The streams own what they show and may be released by any thread at any time.
 */
#ifndef OMEN_QUERY_RESULT_H
#define OMEN_QUERY_RESULT_H

#include "base/arena.h"
#include "base/status.h"
#include "omendb_arrow.h"
#include "query/session.h"
#include "table/table.h"

/* A stream without columns and rows. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status result_empty(struct session *session, struct ArrowArrayStream *out,
                                         omen_error *error);

/* The columns of a table at these positions under these names (as many), and the row if there is
 * one (row->group = NULL: none). All borrowed for the call. */
OMEN_MUST_CHECK omen_status result_row(struct session *session, struct table *table,
                                       const struct row_ref *row, const uint32_t *columns,
                                       const char *const *names, uint32_t column_count,
                                       struct ArrowArrayStream *out, omen_error *error);

/* One utf8 column of this name, a row per line of `text` (lines end in \n). */
OMEN_MUST_CHECK omen_status result_lines(struct session *session, const char *name,
                                         const char *text, size_t length,
                                         struct ArrowArrayStream *out, omen_error *error);

/* Makes `stream`'s holder keep the session (and so the database) alive: what it was is moved
 * into a stream that releases it before the session. On failure the stream is released. */
OMEN_MUST_CHECK omen_status result_keep_session(struct session *session,
                                                struct ArrowArrayStream *stream, omen_error *error);

#endif
