/* table_unload.c - columns that lie in segments and that nobody looks at are let go.
 *
 *   clock:  [cold] [used] [used] [cold] [not in a segment] ...
 *             |      `-> cold, and next time let go, unless somebody looks at it before
 *             `-> its columns are taken out, and come again when they are needed
 *
 * A group that came from a segment loses its columns in place (row_group_discard), unless somebody
 * has pinned it: views have hold of groups only, so that a long statement keeps no more than it
 * reads just now. The columns of a group that was made in memory and written since cannot come
 * again; the form of it without columns that the checkpoint opened takes its place in the list, as
 * growing and freezing do, and who holds the old form keeps it.
 *
 * Concurrency: one at a time, and not beside a step of maintenance (the maintenance mutex); the
 * writer lock, because writers look at columns without pins, and because ends must not be stamped
 * while they are carried over to another form; the table's lock, because point reads do.
 */
#include "base/bits.h"
#include "table/table_adopt.h"
#include "table/table_private.h"

enum { UNLOADED_AT_ONCE = 16 };

static bool is_loaded(const struct group_entry *entry)
{
    return row_group_column_bytes(entry->group) > 0 &&
           row_group_state_of(entry->group) == ROW_GROUP_FROZEN &&
           (row_group_has_source(entry->group) || (entry->map == NULL && entry->backing != NULL));
}

static omen_status discard_columns(struct table *table, struct group_entry *entry, bool *gone)
{
    struct row_group *taken;
    biased_lock_write_lock(&table->lock);
    omen_status status = row_group_discard(entry->group, &taken);
    biased_lock_write_unlock(&table->lock);
    *gone = taken != NULL;
    row_group_release(taken);
    return status;
}

static omen_status replace_form(struct table *table, struct group_entry *entry)
{
    struct row_group *unloaded;
    uint64_t folded = group_may_fold(table, entry) ? txn_watermark(table->manager) : 0;
    OMEN_TRY(row_group_reopen(entry->backing, entry->group, folded, &unloaded));
    group_swap(table, entry, unloaded);
    row_group_release(entry->backing);
    entry->backing = NULL;
    return OMEN_OK;
}

omen_status group_unload(struct table *table, struct group_entry *entry, uint64_t *freed)
{
    uint64_t bytes = row_group_column_bytes(entry->group);
    bool gone = true;
    *freed = 0;
    if (!is_loaded(entry) || row_group_is_pinned(entry->group))
        return OMEN_OK;
    if (row_group_has_source(entry->group))
        OMEN_TRY(discard_columns(table, entry, &gone));
    else
        OMEN_TRY(replace_form(table, entry));
    *freed = gone ? bytes : 0;
    return OMEN_OK;
}

void table_back_group(struct table *table, struct row_group *backing)
{
    txn_writer_lock(table->manager);
    struct group_entry *entry = directory_find(table, row_group_number(backing));
    if (entry != NULL && entry->backing == NULL && !row_group_has_source(entry->group) &&
        row_group_state_of(entry->group) != ROW_GROUP_OPEN &&
        row_group_row_count(entry->group) == row_group_row_count(backing))
        entry->backing = row_group_retain(backing);
    txn_writer_unlock(table->manager);
}

uint64_t table_loaded_bytes(struct table *table)
{
    uint64_t bytes = 0;
    txn_writer_lock(table->manager);
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        if (is_loaded(entry))
            bytes += row_group_column_bytes(entry->group);
    txn_writer_unlock(table->manager);
    return bytes;
}

/* The entry after the one that was looked at last. */
static struct group_entry *next_of(struct table *table)
{
    const struct group_entry *last = directory_find(table, table->unload_hand);
    return last == NULL || last->next == NULL ? table->first : last->next;
}

/* The first time round takes what is cold, and cools the rest. */
static omen_status turn_clock(struct table *table, uint64_t bytes, uint32_t rounds, uint64_t *freed)
{
    size_t count = 0, unloaded = 0;
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        count++;
    for (size_t i = 0; i < rounds * count && *freed < bytes && unloaded < UNLOADED_AT_ONCE; i++) {
        struct group_entry *entry = next_of(table);
        uint64_t more = 0;
        table->unload_hand = entry->number;
        if (!is_loaded(entry) || !row_group_cool(entry->group))
            continue;
        OMEN_TRY(group_unload(table, entry, &more));
        *freed += more;
        unloaded += more > 0;
    }
    return OMEN_OK;
}

omen_status table_unload(struct table *table, uint64_t bytes, uint32_t rounds, uint64_t *freed)
{
    *freed = 0;
    mutex_lock(&table->maintenance);
    txn_writer_lock(table->manager);
    omen_status status = turn_clock(table, bytes, rounds, freed);
    txn_writer_unlock(table->manager);
    mutex_unlock(&table->maintenance);
    return status;
}
