/* statement.h - a prepared statement: a plan that is kept right, and its last result.
 *
 * Running a point query by key costs no memory once it has run before; its row is pinned, and
 * values are read when asked for. One thread at a time.
 */
#ifndef OMEN_QUERY_STATEMENT_H
#define OMEN_QUERY_STATEMENT_H

#include "query/decode.h"
#include "query/plan.h"

struct statement;

/* What every statement begins with: a row whose values are all there. For the inline functions
 * below alone. */
struct statement_head {
    const omen_value *values;
    size_t current_count; /* of the row stepped to; 0: it is elsewhere, or none */
    size_t pending_count; /* of the row to step to next; likewise */
};

/* Parses, binds and keeps a statement (the text is copied, the session retained). Errors: those
 * of plan_create. */
OMEN_MUST_CHECK omen_status statement_create(struct session *session, const char *sql,
                                             size_t length, struct statement **out,
                                             omen_error *error);
void statement_destroy(struct statement *statement); /* NULL does nothing */

/* Runs it; rows come by statement_step. Parameters are borrowed until the next run.
 * Errors: INVALID_ARGUMENT for a wrong number of them; whatever the statement raises. */
OMEN_MUST_CHECK omen_status statement_run(struct statement *statement, const omen_value *parameters,
                                          size_t count, omen_error *error);

/* Runs it and gives the rows as a stream, which may outlive statement and session. */
OMEN_MUST_CHECK omen_status statement_stream(struct statement *statement,
                                             const omen_value *parameters, size_t count,
                                             struct ArrowArrayStream *out, omen_error *error);

OMEN_MUST_CHECK omen_status statement_step_elsewhere(struct statement *statement,
                                                     omen_error *error);

/* The next row; END_OF_DATA after the last. */
OMEN_MUST_CHECK static inline omen_status statement_step(struct statement *statement,
                                                         omen_error *error)
{
    struct statement_head *head = (struct statement_head *)(void *)statement;
    if (head->pending_count == 0)
        return statement_step_elsewhere(statement, error);
    head->current_count = head->pending_count;
    head->pending_count = 0;
    return OMEN_OK;
}

/* Facts: see the functions of the same names in omendb.h. */
uint32_t statement_parameter_count(const struct statement *statement);
size_t statement_column_count(const struct statement *statement);
const char *statement_column_name(const struct statement *statement, size_t column);
omen_type statement_column_type(const struct statement *statement, size_t column);
omen_value statement_value_elsewhere(const struct statement *statement, size_t column);

/* Borrowed until the next step or run. Inline: a row of four columns asks four times. */
static inline omen_value statement_value(const struct statement *statement, size_t column)
{
    const struct statement_head *head = (const struct statement_head *)(const void *)statement;
    if (__builtin_expect(column < head->current_count, 1))
        return head->values[column];
    return statement_value_elsewhere(statement, column);
}

const char *statement_route(const struct statement *statement);
const char *statement_tag(const struct statement *statement);
uint64_t statement_rows_affected(const struct statement *statement);

#endif
