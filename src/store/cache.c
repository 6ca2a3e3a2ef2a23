/* cache.c - how much memory columns may take that lie in segments as well.
 *
 * A column comes into memory when somebody first looks at it, and stays. Beyond the budget (the
 * setting shared_buffers) those go that nobody has looked at for longest, group by group; what
 * somebody reads stays until he is done, so a statement that reads more than the budget goes beyond
 * it.
 */
#include "base/bits.h"
#include "store/storage_private.h"
#include "table/table_adopt.h"

/* Takes `excess` bytes from the tables, in turn; whether there is more to take. */
static bool trim(struct storage *storage, struct table *const *tables, size_t count,
                 uint64_t excess)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count && total < excess; i++) {
        uint64_t freed = 0;
        (void)!table_unload(tables[storage->trim_next++ % count], excess - total, &freed);
        total += freed;
    }
    return total > 0 && total < excess;
}

bool storage_trim_cache(struct storage *storage)
{
    struct database *database = storage->database;
    struct table **tables;
    size_t count;
    bool more = false;
    uint64_t loaded = 0;
    /* Relaxed: numbers to compare. */
    uint64_t budget = atomic_load_explicit(&database->settings.cache_bytes, memory_order_relaxed);
    if (atomic_load_explicit(&database->allocator->bytes_used, memory_order_relaxed) <= budget ||
        catalog_list(database->catalog, &tables, &count) != OMEN_OK)
        return false;
    for (size_t i = 0; i < count; i++)
        loaded += table_loaded_bytes(tables[i]);
    if (loaded > budget)
        more = trim(storage, tables, count, loaded - budget);
    catalog_list_release(database->catalog, tables, count);
    return more;
}
