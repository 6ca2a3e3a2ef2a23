/* table_view.c - a table as one statement sees it, and what is known of it without reading.
 *
 *   snapshot (registered), groups captured once under the table's lock
 *
 * Statistics are exact where every row of every group is visible: then zone maps, which cover dead
 * rows too, say what the rows are. Otherwise they bound (R11.2). A group that is still open has no
 * zone of its own, so of a table with one nothing but the row count is exact.
 *
 * What a transaction has written itself, its views hold beside (own_writes_view.c): then nothing is
 * exact.
 *
 * Concurrency: a view never changes; any number of threads use it.
 */
#include <string.h>

#include "base/bits.h"
#include "table/own_writes_private.h"
#include "table/table_adopt.h"

/* Groups that a view at this snapshot captures. */
static bool entry_valid(const struct group_entry *entry, uint64_t snapshot)
{
    return entry->valid_from <= snapshot && snapshot < entry->valid_until;
}

omen_status view_capture(struct table *table, uint64_t snapshot, size_t extra,
                         struct table_view **out)
{
    *out = NULL;
    size_t capacity = extra;
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        capacity += entry_valid(entry, snapshot);
    struct table_view *view =
        allocator_alloc(table->allocator, sizeof *view + capacity * sizeof view->groups[0]);
    if (view == NULL)
        return OMEN_OUT_OF_MEMORY;
    *view = (struct table_view){.table = table_retain(table), .group_capacity = capacity};
    atomic_init(&view->references, 1);
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next) {
        uint32_t row_count = row_group_row_count(entry->group);
        if (entry_valid(entry, snapshot) && row_count > 0)
            view->groups[view->group_count++] =
                (struct view_group){.group = row_group_hold(entry->group), .row_count = row_count};
    }
    *out = view;
    return OMEN_OK;
}

omen_status table_view_open(struct table *table, const struct snapshot *snapshot,
                            struct table_view **out)
{
    struct table_view *view;
    *out = NULL;
    biased_lock_read_lock(&table->lock);
    omen_status status = view_capture(table, snapshot->timestamp, 0, &view);
    biased_lock_read_unlock(&table->lock);
    if (status != OMEN_OK)
        return status;
    status = snapshot_share(table->manager, snapshot, &view->snapshot);
    if (status != OMEN_OK) {
        table_view_release(view);
        return status;
    }
    *out = view;
    return OMEN_OK;
}

/* --- what own writes hide --- */

static size_t hidden_words(const struct view_group *group)
{
    return (group->row_count + VECTOR_ROWS - 1) / VECTOR_ROWS * (VECTOR_ROWS / 64);
}

omen_status view_hide_none(struct table_view *view, struct view_group *group)
{
    group->hidden =
        allocator_alloc_zeroed(view->table->allocator, hidden_words(group) * sizeof *group->hidden);
    return group->hidden == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
}

omen_status view_hide(struct table_view *view, struct view_group *group, const uint64_t *bits)
{
    OMEN_TRY(view_hide_none(view, group));
    memcpy(group->hidden, bits, bit_words(group->row_count) * sizeof *group->hidden);
    return OMEN_OK;
}

bool view_sees_whole(const struct table_view *view, const struct view_group *group)
{
    return group->hidden == NULL &&
           (group->own ||
            row_group_wholly_visible(group->group, group->row_count, view->snapshot.timestamp));
}

struct table_view *table_view_retain(struct table_view *view)
{
    atomic_fetch_add_explicit(&view->references, 1, memory_order_relaxed);
    return view;
}

void table_view_release(struct table_view *view)
{
    if (view == NULL || atomic_fetch_sub_explicit(&view->references, 1, memory_order_acq_rel) != 1)
        return;
    struct table *table = view->table;
    for (size_t i = 0; i < view->group_count; i++) {
        row_group_unhold(view->groups[i].group);
        allocator_free(table->allocator, view->groups[i].hidden,
                       hidden_words(&view->groups[i]) * sizeof *view->groups[i].hidden);
    }
    own_release(view->own);
    snapshot_release(&view->snapshot);
    allocator_free(table->allocator, view,
                   sizeof *view + view->group_capacity * sizeof view->groups[0]);
    table_release(table);
}

struct table *table_view_table(const struct table_view *view)
{
    return view->table;
}

size_t table_view_group_count(const struct table_view *view)
{
    return view->group_count;
}

struct row_group *table_view_group(const struct table_view *view, size_t position,
                                   uint32_t *row_count)
{
    OMEN_ASSERT(position < view->group_count);
    *row_count = view->groups[position].row_count;
    return view->groups[position].group;
}

/* --- statistics --- */

uint64_t table_view_row_count(const struct table_view *view, bool *exact)
{
    uint64_t rows = 0;
    *exact = view->own == NULL;
    if (view->own != NULL) {
        rows = table_row_count_estimate(view->table) + view->own_rows;
        return rows > view->hidden_rows ? rows - view->hidden_rows : 0;
    }
    for (size_t i = 0; i < view->group_count; i++) {
        const struct view_group *current = &view->groups[i];
        rows += current->row_count;
        if (!row_group_wholly_visible(current->group, current->row_count,
                                      view->snapshot.timestamp)) {
            *exact = false;
            return table_row_count_estimate(view->table);
        }
    }
    return rows;
}

/* Types whose order is the same wherever values are compared. */
static bool has_range(omen_type_id type)
{
    return type != OMEN_TYPE_REAL && type != OMEN_TYPE_DOUBLE && type != OMEN_TYPE_CHAR;
}

void table_view_column(const struct table_view *view, uint32_t column, struct column_summary *out)
{
    const struct schema *schema = view->table->schema;
    bool ranged = has_range(schema->columns[column].type.id);
    *out = (struct column_summary){.complete = view->own == NULL};
    for (size_t i = 0; i < view->group_count; i++) {
        struct zone zone;
        row_group_zone(view->groups[i].group, -1, column, &zone);
        out->complete = out->complete && zone.row_count == view->groups[i].row_count;
        out->null_count += zone.null_count;
        if (!zone.known && zone.null_count < zone.row_count)
            out->complete = false; /* extremes too long to be kept */
        if (!zone.known || !ranged)
            continue;
        if (!out->has_range || value_compare(&zone.min, &out->min) < 0)
            out->min = zone.min;
        if (!out->has_range || value_compare(&zone.max, &out->max) > 0)
            out->max = zone.max;
        out->has_range = true;
    }
    /* What has no zone may hold anything. */
    out->has_range = out->has_range && out->complete;
}
