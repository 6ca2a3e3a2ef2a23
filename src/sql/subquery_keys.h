/* subquery_keys.h - correlated aggregates that compute only the groups which are asked for. */
#ifndef OMEN_SQL_SUBQUERY_KEYS_H
#define OMEN_SQL_SUBQUERY_KEYS_H

#include "sql/bind.h"
#include "sql/join_size.h"

/* Narrows the correlated aggregates in the WHERE of `query` (not of queries in it), in place, by
 * what the WHERE asks of the tables that they depend on. The answer stays the same. Doing it again
 * changes nothing. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status subquery_keys_narrow(struct binder *binder, struct join_sizes *sizes,
                                                 struct query *query, omen_error *error);

#endif
