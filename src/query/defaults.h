/* defaults.h - what columns get that a statement does not mention.
 *
 * A DEFAULT is kept as text in the schema and read anew by the statements that need it.
 */
#ifndef OMEN_QUERY_DEFAULTS_H
#define OMEN_QUERY_DEFAULTS_H

#include "query/plan.h"

/* Whether the column's default_text can be its default. Errors: those of reading it; NOT_SUPPORTED
 * for what is more than a constant. */
OMEN_MUST_CHECK omen_status default_check(struct plan *plan, const struct column_definition *column,
                                          omen_error *error);

/* The default of a column: NULL where it has none. In the plan's arena. */
OMEN_MUST_CHECK omen_status default_value(struct plan *plan, const struct column_definition *column,
                                          omen_value *out, omen_error *error);

#endif
