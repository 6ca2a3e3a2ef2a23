/* simplify.h - a bound query with its constants computed. */
#ifndef OMEN_SQL_SIMPLIFY_H
#define OMEN_SQL_SIMPLIFY_H

#include "sql/query_tree.h"

/* Computes the constant parts of every expression of a query and of the queries in it, and puts
 * comparisons of columns with them into the columns' types, so that scans and indexes can use them.
 * What fails to compute stays, so that the error comes when the part is needed. In place; to be
 * done once. Errors: OUT_OF_MEMORY. One thread. */
OMEN_MUST_CHECK omen_status simplify_query(struct query *query, struct arena *arena,
                                           omen_error *error);

#endif
