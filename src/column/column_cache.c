/* column_cache.c - see column_cache.h. */
#include "column/column_cache.h"

enum { ROW_SHARE = 4 }; /* rows may take so much of the limit beyond it: a quarter */

struct column_cache *column_cache_create(struct allocator *allocator,
                                         const atomic_uint_fast64_t *limit)
{
    struct column_cache *cache = allocator_alloc_zeroed(allocator, sizeof *cache);
    if (cache == NULL)
        return NULL;
    cache->allocator = allocator;
    cache->limit = limit;
    atomic_init(&cache->references, 1);
    return cache;
}

struct column_cache *column_cache_retain(struct column_cache *cache)
{
    /* Relaxed: whoever retains already holds a reference. */
    if (cache != NULL)
        atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
    return cache;
}

void column_cache_release(struct column_cache *cache)
{
    /* Release pairs with the acquire of the last one out. */
    if (cache != NULL &&
        atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) == 1)
        allocator_free(cache->allocator, cache, sizeof *cache);
}

/* Whether less is loaded than the limit and, unless `share` is 0, that part of it more. */
static bool is_below(const struct column_cache *cache, uint64_t share)
{
    if (cache == NULL)
        return true;
    uint64_t limit = atomic_load_explicit(cache->limit, memory_order_relaxed);
    uint64_t beyond = share == 0 ? 0 : limit / share;
    return atomic_load_explicit(&cache->loaded, memory_order_relaxed) <
           (limit > UINT64_MAX - beyond ? UINT64_MAX : limit + beyond);
}

bool column_cache_has_room(const struct column_cache *cache)
{
    return is_below(cache, 0);
}

bool column_cache_has_room_for_row(const struct column_cache *cache)
{
    return is_below(cache, ROW_SHARE);
}

size_t column_cache_take_passed(struct column_cache *cache)
{
    return atomic_exchange_explicit(&cache->passed, 0, memory_order_relaxed);
}
