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
 * in the outputs of queries in FROM and in EXISTS, not in WITH, nor in subqueries of which
 * constants leave nothing. To be asked before the tree is simplified. The tree stays as it is. One
 * thread. Errors: DIVISION_BY_ZERO and OUT_OF_RANGE; others wait until a row asks, because
 * PostgreSQL does not compute beforehand what depends on settings, as texts of times do. */
OMEN_MUST_CHECK omen_status constant_errors_find(const struct query *query, struct arena *arena,
                                                 omen_error *error);

#endif
