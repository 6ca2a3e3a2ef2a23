/* table_rewrite.c - freezing sealed groups, compacting those with dead rows, folding ends.
 *
 * A rewrite reads groups that get no rows any more (sealed or frozen), builds the new group while
 * commits go on, and takes the writer lock only to carry over the ends that were stamped meanwhile
 * and to put the group in place. Its three parts are functions of their own, so that a test lets
 * things happen between them.
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
 * Folding. The stamps of a frozen group cost 8 bytes a slot. Once all of them are at or below the
 * watermark, every reader needs to know which slots have ended and not when. What is folded away
 * must not be in use, so a group is folded when nobody but the table holds it, with the table's
 * lock held; and when its ends have been the same for some steps, so that a group in which rows end
 * all the time is not folded and unfolded in turn.
 *
 * Concurrency: one at a time (the maintenance mutex).
 */
#include <string.h>

#include "base/bits.h"
#include "table/table_maintain_private.h"

enum {
    DEAD_SHARE = 5,                        /* compact where a fifth of the rows is dead */
    SMALL_GROUP_ROWS = ROW_GROUP_ROWS / 4, /* smaller neighbours are merged */
    FOLD_STEPS = 8, /* that a group's ends have been the same before they are folded */
};

/* --- choosing a rewrite --- */

/* A group that can be frozen or compacted now. */
static bool rewritable(const struct table *table, const struct group_entry *entry,
                       uint64_t watermark)
{
    return entry != table->open && entry->map == NULL && !is_put_off(entry) &&
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

/* Whether rows that the index leads to through an old copy lie in the group: it must not be copied
 * again, or they would have three copies, of which a commit would end two. */
static bool is_unreached_copy(const struct table *table, const struct group_entry *copy)
{
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        if (needs_repointing(entry) && entry->map->target == copy->number)
            return true;
    return false;
}

/* Whether repointing is under way. It comes first, unless it cannot go on. */
static bool must_repoint(const struct table *table)
{
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        if (needs_repointing(entry) && !is_put_off(entry))
            return true;
    return false;
}

static bool compactible(const struct step *step, const struct group_entry *entry)
{
    return rewritable(step->table, entry, step->watermark) &&
           !is_unreached_copy(step->table, entry);
}

/* Likewise, and together with those before it. */
static bool joinable(const struct step *step, const struct group_entry *entry)
{
    return entry->apart_in == 0 && compactible(step, entry);
}

/* The group with the largest dead share; or a neighbour of another as small. */
static struct group_entry *choose_first(const struct step *step, double *share)
{
    struct group_entry *best = NULL;
    *share = 0.0;
    for (struct group_entry *entry = step->table->first; entry != NULL; entry = entry->next) {
        double dead_share = 1.0 - (double)live_rows(entry) / row_group_row_count(entry->group);
        bool gains = worth_compacting(entry, step->watermark) && dead_share > *share;
        bool joins = best == NULL && is_small(entry) && entry->next != NULL &&
                     is_small(entry->next) && joinable(step, entry->next);
        if ((!gains && !joins) || !compactible(step, entry))
            continue;
        best = entry;
        *share = gains ? dead_share : *share;
    }
    return best;
}

/* That one and those that follow, as long as they gain from it and fit. */
static bool choose_compaction(struct step *step, struct rewrite *rewrite)
{
    struct table *table = step->table;
    double best_share;
    if (must_repoint(table))
        return false; /* one at a time: copies of copies would need longer maps */
    struct group_entry *best = choose_first(step, &best_share);
    if (best == NULL)
        return false;
    uint64_t live = live_rows(best);
    size_t bytes = row_group_column_bytes(best->group);
    rewrite_add(rewrite, best);
    for (struct group_entry *entry = best->next;
         entry != NULL && rewrite->source_count < REWRITE_SOURCES_MAX; entry = entry->next) {
        if (!joinable(step, entry) || live + live_rows(entry) > ROW_GROUP_ROWS ||
            bytes + row_group_column_bytes(entry->group) > table->merged_bytes_max ||
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

bool rewrite_choose(struct step *step, struct rewrite *rewrite)
{
    *rewrite = (struct rewrite){0};
    return choose_compaction(step, rewrite) || choose_freeze(step, rewrite);
}

void rewrite_release(struct step *step, struct rewrite *rewrite)
{
    for (size_t i = 0; i < rewrite->source_count; i++) {
        row_group_release(rewrite->groups[i]);
        if (rewrite->maps[i] != NULL)
            allocator_free(step->table->allocator, rewrite->maps[i], sizeof *rewrite->maps[i]);
    }
    row_group_release(rewrite->result);
}

/* --- building (without the writer lock) --- */

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

/* Brings all columns here. How much text a group has shows only then: one that is too much together
 * with those before it is left alone for some steps, and they are compacted without it. */
static omen_status load_sources(struct step *step, struct rewrite *rewrite)
{
    size_t bytes = 0;
    for (size_t i = 0; i < rewrite->source_count; i++) {
        rewrite->failed = i;
        OMEN_TRY(row_group_ensure_all(rewrite->groups[i], NULL));
        bytes += row_group_column_bytes(rewrite->groups[i]);
        if (i > 0 && bytes > step->table->merged_bytes_max)
            return OMEN_NOT_READY;
    }
    rewrite->failed = 0;
    return OMEN_OK;
}

static omen_status build_copy(struct step *step, struct rewrite *rewrite)
{
    struct table *table = step->table;
    struct row_group *target = NULL;
    uint32_t live = 0;
    OMEN_TRY(load_sources(step, rewrite));
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

omen_status rewrite_build(struct step *step, struct rewrite *rewrite)
{
    if (rewrite->compacts)
        return build_copy(step, rewrite);
    return row_group_freeze(rewrite->groups[0], step->watermark, &rewrite->result);
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
    table->moves++;
    biased_lock_write_unlock(&table->lock);
    txn_publish(table->manager, timestamp);
    step->report->groups_compacted += rewrite->source_count;
    return OMEN_OK;
}

omen_status rewrite_install(struct step *step, struct rewrite *rewrite)
{
    return rewrite->compacts ? install_copy(step, rewrite) : install_frozen(step, rewrite);
}

/* --- folding ends --- */

/* Whether the ends have been the same for some steps, and everybody sees them. */
static bool is_quiet(const struct step *step, struct group_entry *entry)
{
    if (entry->last_end > step->watermark || entry->map != NULL)
        return false;
    if (entry->quiet_end != entry->last_end)
        entry->quiet_steps = 0;
    entry->quiet_end = entry->last_end;
    return ++entry->quiet_steps >= FOLD_STEPS;
}

omen_status fold_old_ends(struct step *step)
{
    struct table *table = step->table;
    omen_status status = OMEN_OK;
    for (struct group_entry *entry = table->first; entry != NULL && status == OMEN_OK;
         entry = entry->next) {
        if (!row_group_has_stamps(entry->group) || !is_quiet(step, entry) ||
            !group_may_fold(table, entry))
            continue;
        biased_lock_write_lock(&table->lock);
        status = row_group_fold_ends(entry->group);
        biased_lock_write_unlock(&table->lock);
        entry->quiet_steps = 0;
    }
    return status;
}
