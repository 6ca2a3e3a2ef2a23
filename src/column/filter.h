/* filter.h - a conjunction of simple predicates, applied to vectors and to zone maps.
 *
 * A filter is compiled once per scan and read by any number of threads. It applies every
 * predicate it accepted exactly: NULL never passes a comparison, NaN equals NaN and is largest,
 * text and bytes compare bytewise.
 */
#ifndef OMEN_COLUMN_FILTER_H
#define OMEN_COLUMN_FILTER_H

#include "base/status.h"
#include "column/row_group.h"
#include "column/schema.h"

struct filter;

/* Compiles `count` predicates; values are copied. Predicates that can never pass (a NULL operand,
 * an empty IN) make a filter that passes nothing.
 * Errors: OUT_OF_MEMORY; INVALID_ARGUMENT for an unknown column or operator; TYPE_MISMATCH where
 * a value is not of its column's type. count = 0 gives a filter that passes everything. */
OMEN_MUST_CHECK omen_status filter_create(struct allocator *allocator, const struct schema *schema,
                                          const omen_predicate *predicates, size_t count,
                                          struct filter **out, omen_error *error);
void filter_destroy(struct filter *filter);

/* True where no row of the zone can pass: the group (vector = -1) or the vector is skipped. */
bool filter_prunes(const struct filter *filter, const struct row_group *group, int32_t vector);

/* row_group_ensure for the columns that the filter looks at: before filter_apply and
 * filter_passes. filter_prunes needs nothing. */
OMEN_MUST_CHECK omen_status filter_ensure(const struct filter *filter,
                                          const struct row_group *group, omen_error *error);

/* Whether a column that the filter looks at is not loaded. */
bool filter_lacks(const struct filter *filter, const struct row_group *group);

/* Clears from `selection` (VECTOR_ROWS bits) the slots of `vector` that do not pass; slots not
 * selected are not touched, nor are columns once nothing is left. Returns how many remain. */
uint32_t filter_apply(const struct filter *filter, const struct row_group *group, uint32_t vector,
                      uint64_t *selection);

/* Whether one slot passes. */
bool filter_passes(const struct filter *filter, const struct row_group *group, uint32_t slot);

/* True where nothing passes, whatever the rows. */
bool filter_is_empty(const struct filter *filter);

#endif
