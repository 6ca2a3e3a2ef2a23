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

/* Rows of values, as the core computes them. Everything is borrowed. */
struct value_rows {
    uint32_t column_count;
    const char *const *names;
    const omen_type *types; /* each one that a column can have */
    uint64_t row_count;
    const omen_value *values; /* row after row; of the columns' types */
};

enum { VALUE_ROWS_MAX = 65536 };

/* Copies them into a stream. Errors: OUT_OF_MEMORY; LIMIT_EXCEEDED for more than VALUE_ROWS_MAX
 * rows or 1 GiB of text; NOT_SUPPORTED for a type that no column has. */
OMEN_MUST_CHECK omen_status result_values(struct session *session, const struct value_rows *rows,
                                          struct ArrowArrayStream *out, omen_error *error);

/* Gives the columns of an engine's stream these names (as many). On failure it is released.
 * Errors: INTERNAL where it has another number of columns; the stream's; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status result_rename(struct session *session, struct ArrowArrayStream *stream,
                                          const char *const *names, uint32_t count,
                                          omen_error *error);

/* Makes `stream`'s holder keep the session (and so the database) alive: what it was is moved
 * into a stream that releases it before the session. On failure the stream is released. */
OMEN_MUST_CHECK omen_status result_keep_session(struct session *session,
                                                struct ArrowArrayStream *stream, omen_error *error);

#endif
