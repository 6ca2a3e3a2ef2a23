/* table_maintain.c - what is done off the commit path: erasing, repointing, dropping, freezing.
 *
 *   erase    index entries of deleted keys, once their end is at or below the watermark (R5.4)
 *   repoint  index entries from the old copies of compacted rows to the new ones (R5.3)
 *   drop     groups that nobody can read: compacted ones, wholly dead ones, also those between
 *            an old reader's snapshot and the present, once no chain leads through them
 *   rewrite  freeze a sealed group, or compact groups with too many dead rows into one
 *
 * Each step is small, or works outside the writer lock. A rewrite reads groups that get no rows
 * any more (sealed or frozen), builds the new group while commits go on, and takes the writer
 * lock only to carry over the ends that were stamped meanwhile and to put the group in place.
 *
 * Compaction. Sources have no begin above the watermark, so a copy needs neither begin nor
 * `previous` and is frozen at once. The switch has a timestamp Tc of its own: views at S < Tc
 * capture the sources, views at S >= Tc the copy. Rows that ended between the copying and Tc
 * carry their end over, so that no view sees them in the copy. Until an entry is repointed it
 * leads to the old row, which is stamped along with the new one (write_target.stale_id). A source
 * is dropped when all entries are repointed and the watermark has reached Tc. Only rows whose
 * end is at or below the watermark count as worth compacting: under an old reader, compaction
 * would free nothing and pile up copies.
 *
 * Concurrency: one step at a time (the maintenance mutex), within it the writer lock.
 */
#include <string.h>

#include "base/bits.h"
#include "table/table_private.h"

enum {
    SOURCES_MAX = 16,
    DEAD_SHARE = 5,                        /* compact where a fifth of the rows is dead */
    SMALL_GROUP_ROWS = ROW_GROUP_ROWS / 4, /* smaller neighbours are merged */
    MERGED_BYTES_MAX = 512 << 20,          /* well below what the text of one group may be */
};

struct step {
    struct table *table;
    uint64_t budget; /* rows that may still be touched */
    uint64_t watermark;
    struct maintain_report *report;
};

static void spend(struct step *step, uint64_t rows)
{
    step->budget = rows < step->budget ? step->budget - rows : 0;
}

static uint32_t live_rows(const struct group_entry *entry)
{
    const struct row_group *group = entry->group;
    return row_group_row_count(group) - row_group_ended_count(group) -
           row_group_unbegun_count(group);
}

/* --- erasing --- */

/* Whether the queue's head is old enough. */
static const struct deleted_key *erasable(const struct table *table, uint64_t watermark)
{
    const struct deleted_key *head = deleted_keys_peek(&table->deleted);
    return head != NULL && head->end <= watermark ? head : NULL;
}

/* Erases the entry if it still leads to the deleted row. */
static omen_status erase_entry(struct step *step, const struct deleted_key *deleted)
{
    struct table *table = step->table;
    struct group_entry *entry = directory_find(table, row_id_group(deleted->row_id));
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

static omen_status erase_entries(struct step *step)
{
    struct table *table = step->table;
    const struct deleted_key *head;
    while (step->budget > 0 && (head = erasable(table, step->watermark)) != NULL) {
        OMEN_TRY(erase_entry(step, head));
        deleted_keys_pop(&table->deleted, table->allocator);
        spend(step, 1);
    }
    return OMEN_OK;
}

/* --- repointing --- */

static bool needs_repointing(const struct group_entry *entry)
{
    return entry->map != NULL && entry->repointed < row_group_row_count(entry->group);
}

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
        if (needs_repointing(entry))
            OMEN_TRY(repoint_group(step, entry));
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
        group_detach(table, entry);
        step->report->groups_dropped++;
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
    if (entry->unlinked == rows) {
        group_detach(table, entry);
        step->report->groups_dropped++;
    }
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

/* --- choosing a rewrite --- */

/* A group that can be frozen or compacted now. */
static bool rewritable(const struct table *table, const struct group_entry *entry,
                       uint64_t watermark)
{
    return entry != table->open && entry->map == NULL && !entry->unreadable &&
           row_group_state_of(entry->group) != ROW_GROUP_OPEN &&
           row_group_max_begin(entry->group) <= watermark;
}

/* Dead rows that no snapshot can read; counted anew only when the watermark has moved. */
static uint32_t reclaimable_rows(struct group_entry *entry, uint64_t watermark)
{
    const struct row_group *group = entry->group;
    uint32_t unbegun = row_group_unbegun_count(group);
    if (entry->last_end <= watermark)
        return row_group_ended_count(group) + unbegun;
    if (entry->counted_at != watermark) {
        uint32_t rows = row_group_row_count(group);
        entry->reclaimable = 0;
        for (uint32_t slot = 0; slot < rows; slot++)
            entry->reclaimable += row_group_end(group, slot) <= watermark;
        entry->counted_at = watermark;
    }
    return entry->reclaimable + unbegun;
}

static bool worth_compacting(struct group_entry *entry, uint64_t watermark)
{
    const struct row_group *group = entry->group;
    uint32_t rows = row_group_row_count(group);
    uint32_t dead = row_group_ended_count(group) + row_group_unbegun_count(group);
    return (uint64_t)dead * DEAD_SHARE >= rows && dead > 0 && live_rows(entry) > 0 &&
           (uint64_t)reclaimable_rows(entry, watermark) * DEAD_SHARE >= rows;
}

/* A rewrite in the making. Sources are pinned: they are read outside the writer lock. */
struct rewrite {
    bool compacts; /* else freezes its one source */
    size_t source_count;
    struct group_entry *sources[SOURCES_MAX];
    struct row_group *groups[SOURCES_MAX];
    uint32_t ended[SOURCES_MAX]; /* rows that had ended when the copying began */
    struct slot_map *maps[SOURCES_MAX];
    struct row_group *result;
    struct group_entry *entry; /* of the result, not yet linked */
};

static void rewrite_add(struct rewrite *rewrite, struct group_entry *entry)
{
    size_t i = rewrite->source_count++;
    rewrite->sources[i] = entry;
    rewrite->groups[i] = row_group_retain(entry->group);
    rewrite->ended[i] = row_group_ended_count(entry->group);
}

static bool is_small(const struct group_entry *entry)
{
    uint32_t live = live_rows(entry);
    return live > 0 && live <= SMALL_GROUP_ROWS;
}

/* The group with the largest dead share and those that follow, as long as they gain from it and
 * fit; or neighbours too small to stay alone. */
static bool choose_compaction(struct step *step, struct rewrite *rewrite)
{
    struct table *table = step->table;
    struct group_entry *best = NULL;
    double best_share = 0.0;
    for (struct group_entry *entry = table->first; entry != NULL; entry = entry->next) {
        if (needs_repointing(entry))
            return false; /* one at a time: copies of copies would need longer maps */
        if (!rewritable(table, entry, step->watermark))
            continue;
        double dead_share = 1.0 - (double)live_rows(entry) / row_group_row_count(entry->group);
        if (worth_compacting(entry, step->watermark) && dead_share > best_share) {
            best = entry;
            best_share = dead_share;
        } else if (best == NULL && is_small(entry) && entry->next != NULL &&
                   is_small(entry->next) && rewritable(table, entry->next, step->watermark)) {
            best = entry;
        }
    }
    if (best == NULL)
        return false;
    uint64_t live = live_rows(best);
    size_t bytes = row_group_column_bytes(best->group);
    rewrite_add(rewrite, best);
    for (struct group_entry *entry = best->next;
         entry != NULL && rewrite->source_count < SOURCES_MAX; entry = entry->next) {
        if (!rewritable(table, entry, step->watermark) ||
            live + live_rows(entry) > ROW_GROUP_ROWS ||
            bytes + row_group_column_bytes(entry->group) > MERGED_BYTES_MAX ||
            !(is_small(entry) || worth_compacting(entry, step->watermark)))
            break;
        live += live_rows(entry);
        bytes += row_group_column_bytes(entry->group);
        rewrite_add(rewrite, entry);
    }
    if (rewrite->source_count == 1 && best_share == 0.0) {
        row_group_release(rewrite->groups[0]); /* small neighbours of much text */
        *rewrite = (struct rewrite){0};
        return false;
    }
    rewrite->compacts = true;
    return true;
}

static bool choose_freeze(struct step *step, struct rewrite *rewrite)
{
    struct table *table = step->table;
    for (struct group_entry *entry = table->first; entry != NULL; entry = entry->next) {
        if (!rewritable(table, entry, step->watermark) ||
            row_group_state_of(entry->group) != ROW_GROUP_SEALED || live_rows(entry) == 0)
            continue;
        rewrite_add(rewrite, entry);
        return true;
    }
    return false;
}

static bool choose_rewrite(struct step *step, struct rewrite *rewrite)
{
    *rewrite = (struct rewrite){0};
    return choose_compaction(step, rewrite) || choose_freeze(step, rewrite);
}

static void rewrite_release(struct step *step, struct rewrite *rewrite)
{
    for (size_t i = 0; i < rewrite->source_count; i++) {
        row_group_release(rewrite->groups[i]);
        if (rewrite->maps[i] != NULL)
            allocator_free(step->table->allocator, rewrite->maps[i], sizeof *rewrite->maps[i]);
    }
    row_group_release(rewrite->result);
}

/* --- building (without the writer lock) --- */

/* Data that cannot be read holds up what touches it, and nothing else. */
static bool is_damage(omen_status status)
{
    return status == OMEN_CORRUPTED || status == OMEN_IO_ERROR;
}

static omen_status note_damage(omen_status status, omen_status *damage)
{
    if (!is_damage(status))
        return status;
    *damage = status;
    return OMEN_OK;
}

/* Copies the live rows of one source, noting them in its map. */
static omen_status copy_live(struct rewrite *rewrite, size_t source, struct row_group *target,
                             uint16_t *slots)
{
    const struct row_group *group = rewrite->groups[source];
    struct slot_map *map = rewrite->maps[source];
    uint32_t rows = row_group_row_count(group);
    uint32_t count = 0;
    map->target = row_group_number(target);
    map->target_first = row_group_row_count(target);
    for (uint32_t slot = 0; slot < rows; slot++) {
        if (slot % 64 == 0)
            map->rank[slot / 64] = (uint16_t)count;
        if (row_group_begin(group, slot) == TIMESTAMP_PENDING ||
            row_group_end(group, slot) != TIMESTAMP_INFINITY)
            continue;
        bit_set(map->copied, slot);
        slots[count++] = (uint16_t)slot;
    }
    return count == 0 ? OMEN_OK : row_group_append_chosen(target, group, slots, count);
}

static omen_status build_copy(struct step *step, struct rewrite *rewrite)
{
    struct table *table = step->table;
    struct row_group *target = NULL;
    uint32_t live = 0;
    for (size_t i = 0; i < rewrite->source_count; i++)
        live += row_group_row_count(rewrite->groups[i]) - rewrite->ended[i] -
                row_group_unbegun_count(rewrite->groups[i]);
    size_t slots_bytes = ROW_GROUP_ROWS * sizeof(uint16_t);
    uint16_t *slots = allocator_alloc(table->allocator, slots_bytes);
    omen_status status = slots == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
    if (status == OMEN_OK)
        status = row_group_create(table->allocator, table->schema, group_number_take(table),
                                  (uint32_t)size_max(live, 1), &target);
    for (size_t i = 0; i < rewrite->source_count && status == OMEN_OK; i++) {
        rewrite->maps[i] = allocator_alloc_zeroed(table->allocator, sizeof *rewrite->maps[i]);
        status =
            rewrite->maps[i] == NULL ? OMEN_OUT_OF_MEMORY : copy_live(rewrite, i, target, slots);
    }
    if (status == OMEN_OK) {
        row_group_stamp_begin(target, 0, row_group_row_count(target), 1);
        row_group_seal(target);
        status = row_group_freeze(target, step->watermark, &rewrite->result);
    }
    row_group_release(target);
    allocator_free(table->allocator, slots, slots_bytes);
    return status;
}

/* --- putting in place (with the writer lock) --- */

/* Gives the frozen form the ends stamped since the freezing began. */
static omen_status install_frozen(struct step *step, struct rewrite *rewrite)
{
    struct table *table = step->table;
    struct row_group *sealed = rewrite->groups[0];
    struct row_group *frozen = rewrite->result;
    uint32_t rows = row_group_row_count(sealed);
    if (row_group_ended_count(sealed) != rewrite->ended[0]) {
        OMEN_TRY(row_group_prepare_ends(frozen));
        for (uint32_t slot = 0; slot < rows; slot++) {
            uint64_t end = row_group_end(sealed, slot);
            if (end != TIMESTAMP_INFINITY && row_group_end(frozen, slot) == TIMESTAMP_INFINITY)
                row_group_stamp_end(frozen, slot, end);
        }
    }
    rewrite->result = NULL;
    group_swap(table, rewrite->sources[0], frozen);
    step->report->groups_frozen++;
    return OMEN_OK;
}

/* Stamps in the copy the rows of one source that ended since they were copied. */
static omen_status carry_ends(struct rewrite *rewrite, size_t source)
{
    const struct row_group *group = rewrite->groups[source];
    const struct slot_map *map = rewrite->maps[source];
    if (row_group_ended_count(group) == rewrite->ended[source])
        return OMEN_OK;
    OMEN_TRY(row_group_prepare_ends(rewrite->result));
    uint32_t rows = row_group_row_count(group);
    for (uint32_t slot = 0; slot < rows; slot++) {
        uint64_t end = row_group_end(group, slot);
        if (!bit_get(map->copied, slot) || end == TIMESTAMP_INFINITY)
            continue;
        row_group_stamp_end(rewrite->result, row_id_slot(slot_map_find(map, slot)), end);
        if (end > rewrite->entry->last_end)
            rewrite->entry->last_end = end;
    }
    return OMEN_OK;
}

static omen_status install_copy(struct step *step, struct rewrite *rewrite)
{
    struct table *table = step->table;
    uint64_t timestamp;
    omen_status status = OMEN_OK;
    OMEN_TRY(group_entry_create(table, rewrite->result, &rewrite->entry));
    for (size_t i = 0; i < rewrite->source_count && status == OMEN_OK; i++)
        status = carry_ends(rewrite, i);
    if (status == OMEN_OK)
        status = txn_next_timestamp(table->manager, &timestamp);
    if (status != OMEN_OK) {
        group_entry_destroy(table, rewrite->entry);
        return status;
    }
    rewrite->entry->valid_from = timestamp;
    biased_lock_write_lock(&table->lock);
    group_link(table, rewrite->entry, rewrite->sources[0]);
    for (size_t i = 0; i < rewrite->source_count; i++) {
        rewrite->sources[i]->valid_until = timestamp;
        rewrite->sources[i]->map = rewrite->maps[i];
        rewrite->maps[i] = NULL;
    }
    biased_lock_write_unlock(&table->lock);
    txn_publish(table->manager, timestamp);
    step->report->groups_compacted += rewrite->source_count;
    return OMEN_OK;
}

/* Freezes or compacts once; leaves and takes the writer lock again. */
static omen_status rewrite_once(struct step *step, bool *found)
{
    struct table *table = step->table;
    struct rewrite rewrite;
    *found = choose_rewrite(step, &rewrite);
    if (!*found)
        return OMEN_OK;
    txn_writer_unlock(table->manager);
    for (size_t i = 0; i < rewrite.source_count; i++)
        spend(step, row_group_row_count(rewrite.groups[i]));
    omen_status status =
        rewrite.compacts ? build_copy(step, &rewrite)
                         : row_group_freeze(rewrite.groups[0], step->watermark, &rewrite.result);
    txn_writer_lock(table->manager);
    step->watermark = txn_watermark(table->manager);
    for (size_t i = 0; i < rewrite.source_count && is_damage(status); i++)
        rewrite.sources[i]->unreadable = true;
    if (status == OMEN_OK)
        status = rewrite.compacts ? install_copy(step, &rewrite) : install_frozen(step, &rewrite);
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
        if (needs_repointing(entry) || droppable(table, entry, step->watermark) ||
            is_unreadable(table, entry))
            return true;
    struct rewrite rewrite;
    bool found = choose_rewrite(step, &rewrite);
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
    for (struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        entry->unreadable = false;
    omen_status status = OMEN_OK, damage = OMEN_OK;
    bool found = true;
    while (status == OMEN_OK && found) {
        step.watermark = txn_watermark(table->manager);
        status = note_damage(erase_entries(&step), &damage);
        if (status == OMEN_OK)
            status = note_damage(repoint_entries(&step), &damage);
        drop_groups(&step);
        if (status == OMEN_OK)
            status = drop_unreadable_groups(&step);
        found = false;
        if (status == OMEN_OK && step.budget > 0)
            status = note_damage(rewrite_once(&step, &found), &damage);
    }
    status = status == OMEN_OK ? damage : status;
    step.report->more = status == OMEN_OK && has_work(&step);
    txn_writer_unlock(table->manager);
    mutex_unlock(&table->maintenance);
    return status;
}
