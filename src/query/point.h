/* point.h - the shortest way of a prepared statement: the columns of one row by its integer key.
 *
 *   SELECT a, b FROM t WHERE key = $1
 *
 * Nothing is computed, so nothing of the general way is needed: the parameter is the key, and the
 * row is copied out of the table in one step. Statements of this shape answer many times what all
 * others do; what they cost is counted in instructions (docs/decisions). One thread at a time.
 */
#ifndef OMEN_QUERY_POINT_H
#define OMEN_QUERY_POINT_H

#include "column/key.h"
#include "query/query_plan.h"

struct point_query {
    struct table *table; /* borrowed from the plan */
    omen_type_id key_type;
    const atomic_uint_fast64_t *catalog_version; /* the catalog's */
    uint64_t catalog_version_planned;            /* what the plan was made for */
    struct row_copy row;                         /* of the last run; memory is the plan's */
};

/* `*out` is NULL where the query has another shape. All in the plan's arena. Errors:
 * OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status point_query_create(const struct query_plan *plan,
                                               struct point_query **out, omen_error *error);

/* Lets go of what the last run pinned, if it did. */
static inline void point_query_release(struct point_query *point)
{
    if (__builtin_expect(point->row.pinned != NULL, 0)) {
        row_group_release(point->row.pinned);
        point->row.pinned = NULL;
    }
}

/* Reads the row whose key is `key`, of exactly the key's type, into point->row; `*found` says
 * whether there is one. The last run's row must have been let go. Errors: OUT_OF_MEMORY;
 * those of loading columns (CORRUPTED, IO_ERROR, ...), which name file and place. */
OMEN_MUST_CHECK static inline omen_status point_query_run(struct point_query *point,
                                                          struct session *session,
                                                          const omen_value *key, bool *found,
                                                          omen_error *error)
{
    session_count_own(&session->route_index, 1);
    *found = false;
    if (key->is_null)
        return OMEN_OK;
    uint64_t word = point->key_type == OMEN_TYPE_BIGINT
                        ? (uint64_t)key->as.i64 ^ UINT64_C(1) << 63 /* key_word without a call */
                        : key_word(key);
    omen_status status = table_read(point->table, session->reader, word, &point->row, error);
    *found = status == OMEN_OK;
    return status == OMEN_NOT_FOUND ? OMEN_OK : status;
}

#endif
