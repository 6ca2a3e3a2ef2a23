/* own_writes_view.c - a table as a statement sees it that comes after others of its transaction.
 *
 *   shared groups, captured as ever, less the rows that own commands have ended   (hidden)
 *   private groups, less the rows that this command does not see                  (hidden)
 *
 * All that is decided when the view is opened, so that nothing which happens to the own writes
 * later matters to it.
 *
 * A row that has been ended is known by one id, and its newest copy is found from there. But the
 * view may hold the group that the copy was made of, if its snapshot is older than the compaction
 * (R5.3). So for each group that it holds, the maps are followed to the last copy, and what is
 * ended there is brought back through them:
 *
 *   held group ──map──> copy ──map──> newest copy          ids of the ended rows lie here
 *        hidden  <─────  bits  <─────  bits
 *
 * Concurrency: the own writes' lock is held, and the table's for reading while entries are looked
 * at.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "table/own_writes_private.h"

/* The newest ids of the shared rows that are hidden. */
struct hidden_ids {
    uint64_t *ids;
    size_t count, capacity;
    bool ascending;
};

typedef uint64_t group_bits[ROW_GROUP_ROWS / 64];

static int compare_ids(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Finds the targets' newest copies, and remembers them. */
static omen_status collect_ids(struct own_writes *own, uint32_t command, struct hidden_ids *hidden)
{
    struct table *table = own->table;
    if (own->target_count == 0)
        return OMEN_OK;
    hidden->capacity = own->target_count;
    hidden->ids = allocator_alloc(table->allocator, hidden->capacity * sizeof *hidden->ids);
    if (hidden->ids == NULL)
        return OMEN_OUT_OF_MEMORY;
    hidden->ascending = true;
    for (size_t i = 0; i < own->target_count; i++) {
        struct own_target *target = &own->targets[i];
        if (target->command >= command)
            break; /* commands only grow */
        uint64_t newest = own_target_place(table, target->row_id, target->key, target->begin);
        if (newest == ROW_ID_NONE)
            continue;
        target->row_id = newest;
        hidden->ascending &= hidden->count == 0 || hidden->ids[hidden->count - 1] < newest;
        hidden->ids[hidden->count++] = newest;
    }
    return OMEN_OK;
}

/* --- through the maps --- */

/* Sets the bits of the ids that name slots of this group; says whether there are any. */
static bool add_ids(const struct hidden_ids *hidden, uint64_t number, uint64_t *bits)
{
    uint64_t first = row_id_make(number, 0);
    size_t low = 0, high = hidden->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (hidden->ids[middle] < first)
            low = middle + 1;
        else
            high = middle;
    }
    size_t at = low;
    for (; at < hidden->count && row_id_group(hidden->ids[at]) == number; at++)
        bit_set(bits, row_id_slot(hidden->ids[at]));
    return at > low;
}

/* The slot whose copy is number `rank` of those copied. */
static uint32_t map_slot(const struct slot_map *map, uint32_t words, uint32_t rank)
{
    uint32_t low = 0, high = words; /* the last word with rank[word] <= rank */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (map->rank[middle] <= rank)
            low = middle;
        else
            high = middle;
    }
    uint64_t bits = map->copied[low];
    for (uint32_t skip = rank - map->rank[low]; skip > 0; skip--)
        bits &= bits - 1;
    return low * 64 + (uint32_t)__builtin_ctzll(bits);
}

/* Bits of the copy's slots -> bits of the slots they were copied from, added to `bits`. */
static bool map_back(const struct group_entry *entry, const uint64_t *copy, uint64_t *bits)
{
    const struct slot_map *map = entry->map;
    uint32_t words = (uint32_t)bit_words(row_group_row_count(entry->group));
    uint32_t copied = map->rank[words - 1] + (uint32_t)__builtin_popcountll(map->copied[words - 1]);
    bool any = false;
    for (uint32_t rank = 0; rank < copied; rank++) {
        uint32_t slot = map->target_first + rank;
        if (copy[slot / 64] == 0) {
            rank += 63 - slot % 64; /* nothing in this word */
            continue;
        }
        if (!bit_get(copy, slot))
            continue;
        bit_set(bits, map_slot(map, words, rank));
        any = true;
    }
    return any;
}

/* Copy number `depth` of the entry's rows; NULL where there are not so many. */
static const struct group_entry *copy_of(const struct table *table, const struct group_entry *entry,
                                         uint32_t depth)
{
    for (; depth > 0 && entry != NULL; depth--)
        entry = entry->map == NULL ? NULL : directory_find(table, entry->map->target);
    return entry;
}

static omen_status hide_ended(struct table_view *view, struct view_group *group,
                              const struct hidden_ids *hidden)
{
    const struct table *table = view->table;
    const struct group_entry *held = directory_find(table, row_group_number(group->group));
    OMEN_ASSERT(held != NULL); /* captured just now */
    uint32_t depth = 0;
    while (copy_of(table, held, depth + 1) != NULL)
        depth++;
    group_bits bits, copy;
    memset(bits, 0, sizeof bits);
    bool any = add_ids(hidden, copy_of(table, held, depth)->number, bits);
    while (depth-- > 0) {
        const struct group_entry *entry = copy_of(table, held, depth);
        memcpy(copy, bits, sizeof copy);
        memset(bits, 0, sizeof bits);
        any = any && map_back(entry, copy, bits);
        any |= add_ids(hidden, entry->number, bits);
    }
    if (!any)
        return OMEN_OK;
    view->hidden_rows += bit_count_set(bits, group->row_count);
    return view_hide(view, group, bits);
}

static omen_status hide_through_maps(struct table_view *view, struct hidden_ids *hidden)
{
    if (!hidden->ascending)
        qsort(hidden->ids, hidden->count, sizeof *hidden->ids, compare_ids);
    for (size_t i = 0; i < view->group_count; i++)
        OMEN_TRY(hide_ended(view, &view->groups[i], hidden));
    return OMEN_OK;
}

/* --- where nothing that the view holds has been copied: row by row, and no sorting --- */

struct held_group {
    uint64_t number;
    struct view_group *group;
};

static int compare_held(const void *left, const void *right)
{
    const struct held_group *a = left, *b = right;
    return (a->number > b->number) - (a->number < b->number);
}

static omen_status hide_row(struct table_view *view, struct view_group *group, uint32_t slot)
{
    if (slot >= group->row_count)
        return OMEN_OK; /* it came after the view's groups were captured */
    if (group->hidden == NULL)
        OMEN_TRY(view_hide_none(view, group));
    bit_set(group->hidden, slot);
    view->hidden_rows++;
    return OMEN_OK;
}

static omen_status hide_directly(struct table_view *view, const struct hidden_ids *hidden)
{
    struct allocator *allocator = view->table->allocator;
    size_t count = view->group_count, bytes = count * sizeof(struct held_group);
    struct held_group *held = allocator_alloc(allocator, bytes), *found = NULL;
    if (held == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++)
        held[i] = (struct held_group){row_group_number(view->groups[i].group), &view->groups[i]};
    qsort(held, count, sizeof *held, compare_held);
    omen_status status = OMEN_OK;
    for (size_t i = 0; i < hidden->count && status == OMEN_OK; i++) {
        const struct held_group wanted = {.number = row_id_group(hidden->ids[i])};
        if (found == NULL || found->number != wanted.number)
            found = bsearch(&wanted, held, count, sizeof *held, compare_held);
        if (found != NULL)
            status = hide_row(view, found->group, row_id_slot(hidden->ids[i]));
    }
    allocator_free(allocator, held, bytes);
    return status;
}

static bool holds_copied(const struct table_view *view)
{
    for (size_t i = 0; i < view->group_count; i++)
        if (directory_find(view->table, row_group_number(view->groups[i].group))->map != NULL)
            return true;
    return false;
}

/* --- where that is so and there are many: by the bits of the last view --- */

enum { TARGETS_KEPT_MIN = 256 };

static omen_status hide_kept(struct table_view *view, const struct own_writes *own)
{
    for (size_t i = 0; i < view->group_count; i++) {
        struct view_group *group = &view->groups[i];
        const uint64_t *bits = own_hidden_bits(own, row_group_number(group->group));
        uint64_t count = bits == NULL ? 0 : bit_count_set(bits, group->row_count);
        if (count > 0)
            OMEN_TRY(view_hide(view, group, bits));
        view->hidden_rows += count;
    }
    return OMEN_OK;
}

/* The table's lock is held for reading. */
static omen_status hide_shared(struct table_view *view, struct own_writes *own, uint32_t command)
{
    struct hidden_ids hidden = {.ids = NULL};
    if (view->group_count == 0)
        return OMEN_OK;
    bool copied = holds_copied(view), kept = own->target_count >= TARGETS_KEPT_MIN && !copied;
    if (kept)
        OMEN_TRY(own_hidden_update(own, command, &kept));
    if (kept)
        return hide_kept(view, own);
    omen_status status = collect_ids(own, command, &hidden);
    if (status == OMEN_OK && hidden.count > 0)
        status = copied ? hide_through_maps(view, &hidden) : hide_directly(view, &hidden);
    allocator_free(own->table->allocator, hidden.ids, hidden.capacity * sizeof *hidden.ids);
    return status;
}

/* --- private rows --- */

static omen_status add_group(struct table_view *view, const struct own_group *own, uint32_t command)
{
    uint32_t rows = own->group == NULL ? 0 : row_group_row_count(own->group), seen = 0;
    bool settled = own->last_command < command; /* what it is now, the command sees */
    if (rows == 0 || (settled && own->live == 0))
        return OMEN_OK;
    struct view_group group = {.row_count = rows, .own = true};
    group_bits bits;
    if (settled && own->live == rows) {
        seen = rows;
    } else {
        memset(bits, 0, bit_words(rows) * sizeof bits[0]);
        for (uint32_t slot = 0; slot < rows; slot++) {
            uint64_t visible = own_slot_visible(&own->slots[slot], command);
            bits[slot / 64] |= (visible ^ 1) << (slot % 64);
            seen += (uint32_t)visible;
        }
    }
    if (seen == 0)
        return OMEN_OK;
    if (seen < rows)
        OMEN_TRY(view_hide(view, &group, bits));
    group.group = row_group_hold(own->group);
    view->groups[view->group_count++] = group;
    view->own_rows += seen;
    return OMEN_OK;
}

/* --- opening --- */

/* The lock is held. */
static omen_status open_locked(struct table *table, const struct snapshot *snapshot,
                               struct own_writes *own, uint32_t command, struct table_view **view)
{
    biased_lock_read_lock(&table->lock);
    omen_status status = view_capture(table, snapshot->timestamp, own->group_count, view);
    if (status == OMEN_OK)
        status = hide_shared(*view, own, command);
    biased_lock_read_unlock(&table->lock);
    for (size_t i = 0; status == OMEN_OK && i < own->group_count; i++)
        status = add_group(*view, &own->groups[i], command);
    if (status == OMEN_OK)
        status = snapshot_share(table->manager, snapshot, &(*view)->snapshot);
    if (status != OMEN_OK)
        return status;
    (*view)->own = own_retain(own);
    (*view)->own_epoch = own->epoch;
    own->viewed = (uint32_t)size_max(own->viewed, command);
    (*view)->command = command;
    return OMEN_OK;
}

omen_status table_view_open_own(struct table *table, const struct snapshot *snapshot,
                                struct own_writes *own, uint32_t command, struct table_view **out)
{
    if (own == NULL || own_writes_empty(own))
        return table_view_open(table, snapshot, out);
    struct table_view *view = NULL;
    *out = NULL;
    mutex_lock(&own->lock);
    omen_status status = open_locked(table, snapshot, own, command, &view);
    mutex_unlock(&own->lock);
    if (status != OMEN_OK) {
        table_view_release(view);
        return status;
    }
    *out = view;
    return OMEN_OK;
}
