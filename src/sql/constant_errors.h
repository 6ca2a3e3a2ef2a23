/* constant_errors.h - constants that fail, found before any row is read, as PostgreSQL's planner
 * does.
 *
 *   SELECT v + 1 / 0 FROM t WHERE id = 999      22012, whether there is such a row or not
 *   SELECT CASE WHEN true THEN 1 ELSE 1 / 0 END      1: what can't be reached is not computed
 */
#ifndef OMEN_SQL_CONSTANT_ERRORS_H
#define OMEN_SQL_CONSTANT_ERRORS_H

#include "sql/query_tree.h"

/* Computes what reads no row in every expression of a bound query that is planned in any case: not
 * in the outputs of queries in FROM, in WITH and in EXISTS. To be asked before the tree is
 * simplified. Errors: those of evaluate; but DIVISION_BY_ZERO and OUT_OF_RANGE only where dates or
 * times take part (reading those depends on settings, so PostgreSQL leaves it for later). The tree
 * stays as it is. One thread. */
OMEN_MUST_CHECK omen_status constant_errors_find(const struct query *query, struct arena *arena,
                                                 omen_error *error);

#endif
