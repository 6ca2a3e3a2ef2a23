/* cache.c - how much memory columns may take that lie in segments as well.
 *
 * A column comes into memory when somebody first looks at it, and stays. Beyond the budget (the
 * setting shared_buffers) those go that nobody has looked at for longest, group by group; what
 * somebody reads just now stays until he is done. A scan that finds the budget spent keeps nothing
 * but what it reads (table_scan.c).
 *
 * What scans had to pass makes room as well, though little: a row that a scan reads is worth a
 * small part of one that is asked for by its key. So a table that is scanned again and again takes
 * the place of what nobody looks at any more, and a scan of everything, once, that of hardly
 * anything.
 */
#include "base/bits.h"
#include "store/storage_private.h"
#include "table/table_adopt.h"

enum {
    PASSED_WORTH = 16, /* so many bytes that were passed make room for one */
    PASSED_SHARE = 16, /* at most this part of the budget at once */
};

/* Takes `wanted` bytes from the tables, in turn; whether any were taken. */
static bool trim(struct storage *storage, uint64_t wanted, uint32_t rounds,
                 struct table *const *tables, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count && total < wanted; i++) {
        uint64_t freed = 0;
        (void)!table_unload(tables[storage->trim_next++ % count], wanted - total, rounds, &freed);
        total += freed;
    }
    return total > 0;
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
    uint64_t passed = column_cache_take_passed(storage->segments.cache) / PASSED_WORTH;
    if (atomic_load_explicit(&database->allocator->bytes_used, memory_order_relaxed) <= budget ||
        catalog_list(database->catalog, &tables, &count) != OMEN_OK)
        return false;
    for (size_t i = 0; i < count; i++)
        loaded += table_loaded_bytes(tables[i]);
    if (loaded > budget)
        more = trim(storage, loaded - budget, 2, tables, count);
    else if (passed > 0)
        more = trim(storage, size_min(passed, budget / PASSED_SHARE), 1, tables, count);
    catalog_list_release(database->catalog, tables, count);
    return more;
}
