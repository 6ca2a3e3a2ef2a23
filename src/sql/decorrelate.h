/* decorrelate.h - subqueries that depend on their surroundings, as joins. */
#ifndef OMEN_SQL_DECORRELATE_H
#define OMEN_SQL_DECORRELATE_H

#include "sql/bind.h"

/* Rewrites, in place, those correlated subqueries of a bound query, and of all queries in it, that
 * the engine cannot turn into joins by itself. The answer stays the same. To be called once, after
 * binding and before engine_text_write.
 * Errors: NOT_SUPPORTED for forms that nobody can turn; STATEMENT_TOO_COMPLEX; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status decorrelate_query(struct binder *binder, struct query *query,
                                              omen_error *error);

#endif
