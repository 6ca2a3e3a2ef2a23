/* column_cache.h - how much of what lies elsewhere is in memory: one count for all row groups.
 *
 *   loaded   bytes of columns that row_group_load has brought, in whichever form of a group
 *   limit    what they should take; somebody else's, who may change it
 *   passed   bytes that were read past the cache, since it was asked last
 *
 * Nothing is refused here. Who finds no room reads into forms of his own (row_group_passing), which
 * go with what he reads; and whoever lets columns go, looks at what was
 * passed to see that others would be wanted.
 *
 * Concurrency: any thread; relaxed numbers that order nothing. Groups hold it by their source, so
 * that it lives as long as anything that it counts.
 */
#ifndef OMEN_COLUMN_COLUMN_CACHE_H
#define OMEN_COLUMN_COLUMN_CACHE_H

#include <stdbool.h>

#include "base/allocator.h"

struct column_cache {
    struct allocator *allocator;
    const atomic_uint_fast64_t *limit; /* borrowed: nobody loads after its owner has gone */
    atomic_uint references;
    atomic_size_t loaded;
    atomic_size_t passed;
};

/* One that nothing is in. NULL: out of memory. */
struct column_cache *column_cache_create(struct allocator *allocator,
                                         const atomic_uint_fast64_t *limit);
struct column_cache *column_cache_retain(struct column_cache *cache); /* NULL stays NULL */
void column_cache_release(struct column_cache *cache);                /* NULL does nothing */

/* Whether a scan, and whether who asks for one row, may load more to stay: the latter goes a
 * quarter beyond the limit, since what he loads is worth another's place and whoever lets columns
 * go may need a moment. NULL: always. */
bool column_cache_has_room(const struct column_cache *cache);
bool column_cache_has_room_for_row(const struct column_cache *cache);

/* What was passed since the last call. */
size_t column_cache_take_passed(struct column_cache *cache);

#endif
