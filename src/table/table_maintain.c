/* table_maintain.c - what is done off the commit path: erasing, repointing, dropping, freezing.
 *
 *   erase    index entries of deleted keys, once their end is at or below the watermark (R5.4)
 *   repoint  index entries from the old copies of compacted rows to the new ones (R5.3)
 *   drop     groups that nobody can read: compacted ones, wholly dead ones, also those between
 *            an old reader's snapshot and the present, once no chain leads through them
 *   rewrite  freeze a sealed group, or compact groups with too many dead rows into one
 *
 * Each step is small, or works outside the writer lock (table_rewrite.c).
 *
 * Damage. A group whose columns cannot be read holds up what needs them, and nothing else: it is
 * put off, for one step, then two, four, ... so that a disk that works again is noticed and one
 * that does not is left in peace. Deleted keys of its rows leave the queue for one of the group's
 * own.
 *
 * Concurrency: one step at a time (the maintenance mutex), within it the writer lock.
 */
#include <string.h>

#include "base/bits.h"
#include "table/table_maintain_private.h"
#include "table/table_uniques.h"

enum { RETRY_STEPS_MAX = 4096 };

static void spend(struct step *step, uint64_t rows)
{
    step->budget = rows < step->budget ? step->budget - rows : 0;
}

/* --- damage --- */

static uint32_t longer_wait(uint32_t steps)
{
    return (uint32_t)size_min(size_max(2 * steps, 1), RETRY_STEPS_MAX);
}

static bool is_damage(omen_status status)
{
    return status != OMEN_OK && status != OMEN_OUT_OF_MEMORY;
}

omen_status step_put_off(struct step *step, struct group_entry *entry, omen_status status)
{
    if (!is_damage(status))
        return status;
    if (entry->retry_wait == 0) {
        step->damage = status;
        /* Relaxed: counts for omen_storage. */
        atomic_fetch_add_explicit(&step->table->groups_damaged, 1, memory_order_relaxed);
    }
    entry->retry_in = entry->retry_wait = longer_wait(entry->retry_wait);
    return OMEN_OK;
}

/* The source that was too much together with those before it is left to itself, for more steps each
 * time: all of them had to be read for that. */
static void keep_apart(struct rewrite *rewrite)
{
    struct group_entry *entry = rewrite->sources[rewrite->failed];
    entry->apart_in = entry->apart_wait = longer_wait(entry->apart_wait);
}

void step_mend(struct step *step, struct group_entry *entry)
{
    if (entry->retry_wait > 0)
        atomic_fetch_sub_explicit(&step->table->groups_damaged, 1, memory_order_relaxed);
    entry->retry_wait = entry->retry_in = 0;
}

static void begin_step(const struct table *table)
{
    for (struct group_entry *entry = table->first; entry != NULL; entry = entry->next) {
        entry->retry_in -= entry->retry_in > 0;
        entry->apart_in -= entry->apart_in > 0;
    }
}

static void drop_group(struct step *step, struct group_entry *entry)
{
    step_mend(step, entry);
    group_detach(step->table, entry);
    step->report->groups_dropped++;
}

/* --- erasing --- */

/* Whether the queue's head is old enough. */
static const struct deleted_key *erasable(const struct table *table, uint64_t watermark)
{
    const struct deleted_key *head = deleted_keys_peek(&table->deleted);
    return head != NULL && head->end <= watermark ? head : NULL;
}

/* Erases the index entry if it still leads to the deleted row, which lies in `entry`'s group. */
static omen_status erase_entry(struct step *step, struct group_entry *entry,
                               const struct deleted_key *deleted)
{
    struct table *table = step->table;
    OMEN_ASSERT(entry != NULL && entry->erasures > 0);
    struct arena scratch;
    arena_init(&scratch, table->allocator);
    struct index_key key;
    omen_status status = row_group_key(entry->group, row_id_slot(deleted->row_id), &scratch, &key);
    if (status == OMEN_OK) {
        uint64_t row_id = index_lookup(table->index, key);
        if (row_id != ROW_ID_NONE &&
            row_id_canonical(table, row_id) == row_id_canonical(table, deleted->row_id)) {
            biased_lock_write_lock(&table->lock);
            index_erase(table->index, key);
            biased_lock_write_unlock(&table->lock);
            step->report->entries_erased++;
        }
        entry->erasures--;
    }
    arena_release(&scratch);
    return status;
}

/* Erases the queue's head, or leaves it to its group, whose keys cannot be read. */
static omen_status erase_head(struct step *step, const struct deleted_key *head)
{
    struct table *table = step->table;
    struct group_entry *entry = directory_find(table, row_id_group(head->row_id));
    omen_status status = is_put_off(entry) ? OMEN_NOT_READY : erase_entry(step, entry, head);
    if (is_damage(status)) {
        if (!deleted_keys_reserve(&entry->stalled, table->allocator, 1))
            return OMEN_OUT_OF_MEMORY;
        deleted_keys_push(&entry->stalled, *head);
        status = is_put_off(entry) ? OMEN_OK : step_put_off(step, entry, status);
    }
    if (status == OMEN_OK)
        deleted_keys_pop(&table->deleted, table->allocator);
    return status;
}

static omen_status erase_entries(struct step *step)
{
    struct table *table = step->table;
    const struct deleted_key *head;
    while (step->budget > 0 && (head = erasable(table, step->watermark)) != NULL) {
        OMEN_TRY(erase_head(step, head));
        spend(step, 1);
    }
    return OMEN_OK;
}

/* Tries the groups again whose keys could not be read. */
static omen_status erase_stalled(struct step *step)
{
    struct allocator *allocator = step->table->allocator;
    for (struct group_entry *entry = step->table->first; entry != NULL; entry = entry->next)
        while (entry->stalled.count > 0 && step->budget > 0 && !is_put_off(entry)) {
            omen_status status = erase_entry(step, entry, deleted_keys_peek(&entry->stalled));
            if (status == OMEN_OK) {
                step_mend(step, entry);
                deleted_keys_pop(&entry->stalled, allocator);
            }
            OMEN_TRY(step_put_off(step, entry, status));
            spend(step, 1);
        }
    return OMEN_OK;
}

/* --- repointing --- */

/* Repoints the entries of one source, as far as the budget goes. */
static omen_status repoint_group(struct step *step, struct group_entry *entry)
{
    struct table *table = step->table;
    struct arena scratch;
    arena_init(&scratch, table->allocator);
    omen_status status = OMEN_OK;
    while (status == OMEN_OK && step->budget > 0 && needs_repointing(entry)) {
        struct index_key keys[LOOKUP_BATCH];
        uint32_t slots[LOOKUP_BATCH];
        uint32_t count = 0;
        uint32_t slot = entry->repointed;
        uint32_t rows = row_group_row_count(entry->group);
        for (; slot < rows && count < LOOKUP_BATCH && status == OMEN_OK; slot++) {
            if (!bit_get(entry->map->copied, slot))
                continue;
            slots[count] = slot;
            status = row_group_key(entry->group, slot, &scratch, &keys[count]);
            count += status == OMEN_OK;
        }
        if (status == OMEN_OK)
            status = uniques_repoint(table, entry, slots, count);
        if (status != OMEN_OK)
            break;
        biased_lock_write_lock(&table->lock);
        for (uint32_t i = 0; i < count; i++)
            step->report->entries_repointed +=
                index_repoint(table->index, keys[i], row_id_make(entry->number, slots[i]),
                              slot_map_find(entry->map, slots[i]));
        biased_lock_write_unlock(&table->lock);
        entry->repointed = slot;
        spend(step, count);
        arena_release(&scratch);
    }
    arena_release(&scratch);
    return status;
}

static omen_status repoint_entries(struct step *step)
{
    for (struct group_entry *entry = step->table->first; entry != NULL && step->budget > 0;
         entry = entry->next)
        if (needs_repointing(entry) && !is_put_off(entry))
            OMEN_TRY(step_put_off(step, entry, repoint_group(step, entry)));
    return OMEN_OK;
}

/* --- dropping --- */

/* Whether nobody can reach a row of the group, now or later. */
static bool droppable(const struct table *table, const struct group_entry *entry,
                      uint64_t watermark)
{
    if (entry == table->open || entry->erasures > 0)
        return false;
    if (entry->map != NULL)
        return entry->valid_until <= watermark && !needs_repointing(entry);
    const struct row_group *group = entry->group;
    return row_group_ended_count(group) + row_group_unbegun_count(group) ==
               row_group_row_count(group) &&
           entry->last_end <= watermark;
}

/* Not before the entries that may go are gone: one may lead, through the map of the group where
 * its row was deleted, to a copy that is wholly dead. */
static void drop_groups(struct step *step)
{
    struct table *table = step->table;
    if (erasable(table, step->watermark) != NULL)
        return;
    for (struct group_entry *entry = table->first, *next; entry != NULL; entry = next) {
        next = entry->next;
        if (!droppable(table, entry, step->watermark))
            continue;
        drop_group(step, entry);
    }
}

/* --- dropping under an old reader --- */

/* The first begin of the group; slots begin in the order of their commits. */
static uint64_t first_begin(const struct row_group *group)
{
    uint32_t rows = row_group_row_count(group);
    for (uint32_t slot = 0; slot < rows; slot++)
        if (row_group_begin(group, slot) != TIMESTAMP_PENDING)
            return row_group_begin(group, slot);
    return 0;
}

/* A wholly dead group that lies between the snapshots: an old reader keeps the watermark below
 * its ends, but neither it nor anybody can read a row of it. */
static bool is_unreadable(const struct table *table, const struct group_entry *entry)
{
    return entry != table->open && entry->map == NULL && entry->erasures == 0 &&
           row_group_state_of(entry->group) == ROW_GROUP_SEALED && live_rows(entry) == 0 &&
           !txn_lifetime_readable(table->manager, first_begin(entry->group), entry->last_end);
}

/* Leads the chains of its keys past the group, as far as the budget goes, then drops it. The old
 * reader's own versions lie behind those of the group, in the same chains. */
static omen_status unlink_group(struct step *step, struct group_entry *entry)
{
    struct table *table = step->table;
    struct arena scratch;
    arena_init(&scratch, table->allocator);
    uint32_t rows = row_group_row_count(entry->group);
    omen_status status = OMEN_OK;
    while (entry->unlinked < rows && step->budget > 0) {
        struct index_key key;
        status = row_group_key(entry->group, entry->unlinked, &scratch, &key);
        if (status != OMEN_OK || !chain_unlink(table, step->watermark, key, entry->number))
            break;
        arena_release(&scratch);
        entry->unlinked++;
        spend(step, 1);
    }
    arena_release(&scratch);
    if (entry->unlinked == rows)
        drop_group(step, entry);
    return status;
}

static omen_status drop_unreadable_groups(struct step *step)
{
    struct table *table = step->table;
    for (struct group_entry *entry = table->first, *next; entry != NULL && step->budget > 0;
         entry = next) {
        next = entry->next;
        if (is_unreadable(table, entry))
            OMEN_TRY(unlink_group(step, entry));
    }
    return OMEN_OK;
}

/* --- rewriting --- */

/* Freezes or compacts once; leaves and takes the writer lock again. */
static omen_status rewrite_once(struct step *step, bool *found)
{
    struct table *table = step->table;
    struct rewrite rewrite;
    *found = rewrite_choose(step, &rewrite);
    if (!*found)
        return OMEN_OK;
    txn_writer_unlock(table->manager);
    for (size_t i = 0; i < rewrite.source_count; i++)
        spend(step, row_group_row_count(rewrite.groups[i]));
    omen_status status = rewrite_build(step, &rewrite);
    txn_writer_lock(table->manager);
    step->watermark = txn_watermark(table->manager);
    if (status == OMEN_OK) {
        for (size_t i = 0; i < rewrite.source_count; i++)
            step_mend(step, rewrite.sources[i]);
        status = rewrite_install(step, &rewrite);
    } else if (status == OMEN_NOT_READY) {
        keep_apart(&rewrite);
        status = OMEN_OK;
    } else {
        status = step_put_off(step, rewrite.sources[rewrite.failed], status);
    }
    rewrite_release(step, &rewrite);
    return status;
}

/* --- the step --- */

void table_seal_open(struct table *table)
{
    txn_writer_lock(table->manager);
    if (table->open != NULL && row_group_row_count(table->open->group) > 0) {
        row_group_seal(table->open->group);
        table->open = NULL;
    }
    txn_writer_unlock(table->manager);
}

static bool has_work(struct step *step)
{
    struct table *table = step->table;
    if (erasable(table, step->watermark) != NULL)
        return true;
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        if ((needs_repointing(entry) && !is_put_off(entry)) ||
            droppable(table, entry, step->watermark) || is_unreadable(table, entry))
            return true;
    struct rewrite rewrite;
    bool found = rewrite_choose(step, &rewrite);
    if (found)
        rewrite_release(step, &rewrite);
    return found;
}

omen_status table_maintain(struct table *table, uint64_t rows_max, struct maintain_report *report)
{
    struct maintain_report unused = {0};
    struct step step = {
        .table = table, .budget = rows_max, .report = report != NULL ? report : &unused};
    mutex_lock(&table->maintenance);
    txn_writer_lock(table->manager);
    begin_step(table);
    omen_status status = erase_stalled(&step);
    bool found = true;
    while (status == OMEN_OK && found) {
        step.watermark = txn_watermark(table->manager);
        status = erase_entries(&step);
        if (status == OMEN_OK)
            status = repoint_entries(&step);
        drop_groups(&step);
        if (status == OMEN_OK)
            status = drop_unreadable_groups(&step);
        found = false;
        if (status == OMEN_OK && step.budget > 0)
            status = rewrite_once(&step, &found);
    }
    if (status == OMEN_OK)
        status = fold_old_ends(&step);
    step.report->more = status == OMEN_OK && has_work(&step);
    txn_writer_unlock(table->manager);
    mutex_unlock(&table->maintenance);
    return status == OMEN_OK ? step.damage : status;
}
