/* table_commit.c - a write set as a participant of a commit.
 *
 *   validate   every target is the newest version; every new key is free, or held by a row that
 *              this set ends; so it is with unique keys (table_unique_commit.c)
 *   reserve    rows into slots that have not begun, `previous`, index entries, room for ends
 *   apply      stamps: begin of the new rows, end of the targets
 *   abort      index entries back to what they were, attached groups out again
 *
 * Reserved rows are invisible because their begin is 0; a reader that the index leads to one
 * follows `previous` to the version before. So `previous` is stored before the entry is put, and
 * entries can be put in small batches with readers in between.
 *
 * Abort cannot fail: putting an old row id back and erasing an entry allocate nothing, and byte
 * keys, whose encoding does, are kept for the length of the commit. Slots copied into the open
 * group stay behind, unbegun for ever and thus dead; an index entry has pointed at them, so they
 * are not used again.
 *
 * Concurrency: the writer lock is held throughout; `lock` for writing around index entries.
 */
#include "base/bits.h"
#include "table/own_writes_private.h"
#include "table/table_uniques.h"

/* --- keys --- */

struct index_key write_set_key(const struct write_set *set, const struct row_group *group,
                               uint32_t slot, uint64_t ordinal)
{
    if (set->table->schema->key.kind == INDEX_BYTES)
        return set->keys[ordinal];
    struct index_key key;
    omen_status status = row_group_key(group, slot, NULL, &key);
    OMEN_ASSERT(status == OMEN_OK); /* a word needs no memory */
    return key;
}

omen_status write_set_encode_keys(struct write_set *set)
{
    arena_release(&set->keys_arena);
    if (set->table->schema->key.kind != INDEX_BYTES)
        return OMEN_OK;
    uint64_t rows = write_set_private_rows(set);
    if (!array_reserve(set->table->allocator, (void **)&set->keys, &set->keys_capacity, rows,
                       sizeof *set->keys, NULL))
        return OMEN_OUT_OF_MEMORY;
    uint64_t ordinal = 0;
    for (size_t i = 0; i < set->group_count; i++) {
        uint32_t count = row_group_row_count(set->groups[i]);
        for (uint32_t slot = 0; slot < count; slot++)
            OMEN_TRY(row_group_key(set->groups[i], slot, &set->keys_arena, &set->keys[ordinal++]));
    }
    return OMEN_OK;
}

/* --- validate --- */

bool write_set_key_is_free(const struct write_set *set, uint64_t row_id)
{
    if (row_id == ROW_ID_NONE)
        return true;
    const struct table *table = set->table;
    uint64_t newest = row_id_canonical(table, row_id);
    if (directory_find(table, row_id_group(newest)) == NULL)
        return true; /* ended long ago, its group dropped */
    return row_end(table, newest) != TIMESTAMP_INFINITY || write_set_targets(set, newest);
}

static omen_status validate_group(const struct write_set *set, const struct row_group *group,
                                  uint64_t ordinal, omen_error *error)
{
    struct index_key keys[LOOKUP_BATCH];
    uint64_t row_ids[LOOKUP_BATCH];
    uint32_t rows = row_group_row_count(group);
    for (uint32_t first = 0; first < rows; first += LOOKUP_BATCH) {
        uint32_t count = (uint32_t)size_min(LOOKUP_BATCH, rows - first);
        for (uint32_t i = 0; i < count; i++)
            keys[i] = write_set_key(set, group, first + i, ordinal + first + i);
        index_lookup_batch(set->table->index, keys, count, row_ids);
        for (uint32_t i = 0; i < count; i++)
            if (!write_set_key_is_free(set, row_ids[i]))
                return duplicate_key_error(set->table, 0, group, first + i, error);
    }
    return OMEN_OK;
}

static omen_status target_changed(const struct write_set *set, omen_error *error)
{
    return error_set(error, OMEN_SERIALIZATION_FAILURE,
                     "a row of table \"%s\" has changed since it was chosen", set->table->name);
}

/* The id that the index leads to, where that is not the row's own: an older copy. */
static void find_stale_id(const struct table *table, struct write_target *target)
{
    uint64_t found = index_lookup(table->index, target->key);
    OMEN_ASSERT(row_id_canonical(table, found) == target->row_id);
    target->stale_id = found == target->row_id ? ROW_ID_NONE : found;
}

/* Follows targets chosen at a snapshot to where compaction has taken them. */
static omen_status validate_targets(struct write_set *set, omen_error *error)
{
    const struct table *table = set->table;
    bool moved = false;
    for (size_t i = 0; i < set->target_count; i++) {
        struct write_target *target = &set->targets[i];
        uint64_t newest = target->begin == 0
                              ? row_id_canonical(table, target->row_id)
                              : own_target_place(table, target->row_id, target->key, target->begin);
        const struct group_entry *entry = directory_find(table, row_id_group(newest));
        if (entry == NULL || entry->map != NULL ||
            row_id_slot(newest) >= row_group_row_count(entry->group) ||
            row_group_begin(entry->group, row_id_slot(newest)) == TIMESTAMP_PENDING ||
            row_group_end(entry->group, row_id_slot(newest)) != TIMESTAMP_INFINITY)
            return target_changed(set, error);
        moved |= newest != target->row_id;
        target->row_id = newest;
        if (target->read_earlier)
            find_stale_id(table, target);
    }
    if (moved)
        write_set_rehash(set);
    return OMEN_OK;
}

omen_status write_set_check_targets(struct write_set *set, omen_error *error)
{
    return validate_targets(set, error);
}

omen_status write_set_check_target_keys(struct write_set *set, omen_error *error)
{
    const struct table *table = set->table;
    bool same = true;
    for (size_t i = 0; i < set->target_count; i++) {
        uint64_t found = index_lookup(table->index, set->targets[i].key);
        uint64_t newest = row_id_canonical(table, found);
        if (found == ROW_ID_NONE || directory_find(table, row_id_group(newest)) == NULL ||
            row_end(table, newest) != TIMESTAMP_INFINITY)
            return target_changed(set, error);
        if (table->schema->unique_count > 0)
            OMEN_TRY(uniques_compare(table, set->targets[i].row_id, newest, &same, error));
        if (!same)
            return target_changed(set, error);
    }
    return OMEN_OK;
}

static omen_status write_set_validate(void *self, omen_error *error)
{
    struct write_set *set = self;
    OMEN_ASSERT(!set->committed);
    if (set->table->is_view)
        return error_set(error, OMEN_NOT_READY, "cannot change view \"%s\"", set->table->name);
    if (set->table->is_dropped)
        return error_set(error, OMEN_UNDEFINED_TABLE, "relation \"%s\" does not exist",
                         set->table->name);
    OMEN_TRY(validate_targets(set, error));
    omen_status status = write_set_encode_keys(set);
    if (status != OMEN_OK)
        return key_error(set->table, 0, status, error);
    uint64_t ordinal = 0;
    for (size_t i = 0; i < set->group_count; i++) {
        OMEN_TRY(validate_group(set, set->groups[i], ordinal, error));
        ordinal += row_group_row_count(set->groups[i]);
    }
    return set->table->schema->unique_count == 0 ? OMEN_OK : uniques_validate(set, error);
}

/* --- reserve: rows --- */

static void open_group_seal(struct table *table)
{
    row_group_seal(table->open->group);
    table->open = NULL;
}

/* The table's open group with room for at least one row, made or grown for `wanted` more. */
static omen_status open_group_ready(struct table *table, uint32_t wanted)
{
    if (table->open == NULL) {
        uint32_t capacity = OPEN_CAPACITY_MIN;
        while (capacity < wanted && capacity < ROW_GROUP_ROWS)
            capacity *= 8;
        struct row_group *group;
        OMEN_TRY(row_group_create(table->allocator, table->schema, group_number_take(table),
                                  (uint32_t)size_min(capacity, ROW_GROUP_ROWS), &group));
        omen_status status = group_attach(table, group, NULL, 0, &table->open);
        row_group_release(group); /* the entry holds it now */
        return status;
    }
    struct group_entry *entry = table->open;
    uint32_t rows = row_group_row_count(entry->group);
    uint32_t capacity = row_group_capacity(entry->group);
    if (rows < capacity)
        return OMEN_OK;
    while (capacity < ROW_GROUP_ROWS && capacity < rows + wanted)
        capacity = (uint32_t)size_min((size_t)capacity * 8, ROW_GROUP_ROWS);
    struct row_group *larger;
    OMEN_TRY(row_group_grow(entry->group, capacity, &larger));
    group_swap(table, entry, larger);
    return OMEN_OK;
}

static omen_status placement_reserve(struct write_set *set)
{
    return array_reserve(set->table->allocator, (void **)&set->placements, &set->placement_capacity,
                         set->placement_count + 1, sizeof *set->placements, set->small.placements)
               ? OMEN_OK
               : OMEN_OUT_OF_MEMORY;
}

/* Makes the private group itself part of the table. */
static omen_status place_by_attaching(struct write_set *set, struct row_group *group)
{
    struct table *table = set->table;
    OMEN_TRY(placement_reserve(set));
    struct group_entry *entry;
    OMEN_TRY(group_attach(table, group, NULL, 0, &entry));
    if (table->open != NULL && row_group_row_count(table->open->group) > 0) {
        open_group_seal(table);
    } else if (table->open != NULL) {
        struct group_entry *empty = table->open;
        table->open = NULL;
        group_detach(table, empty);
    }
    uint32_t rows = row_group_row_count(group);
    if (rows < ROW_GROUP_ROWS)
        table->open = entry;
    else if (row_group_state_of(group) == ROW_GROUP_OPEN)
        row_group_seal(group);
    set->placements[set->placement_count++] =
        (struct placement){.entry = entry, .count = rows, .attached = true};
    return OMEN_OK;
}

/* Copies the rows of the private group into the open group, and on into further ones. */
static omen_status place_by_copying(struct write_set *set, const struct row_group *group)
{
    struct table *table = set->table;
    uint32_t rows = row_group_row_count(group);
    uint32_t done = 0;
    while (done < rows) {
        OMEN_TRY(placement_reserve(set));
        OMEN_TRY(open_group_ready(table, rows - done));
        struct group_entry *entry = table->open;
        uint32_t first = row_group_row_count(entry->group);
        uint32_t room = row_group_capacity(entry->group) - first;
        uint32_t count = (uint32_t)size_min(rows - done, room);
        omen_status status = row_group_append_slots(entry->group, group, done, count);
        if (status == OMEN_LIMIT_EXCEEDED && first > 0) {
            open_group_seal(table); /* its text is at the limit */
            continue;
        }
        OMEN_TRY(status);
        set->placements[set->placement_count++] =
            (struct placement){.entry = entry, .first = first, .count = count};
        done += count;
        if (first + count == ROW_GROUP_ROWS)
            open_group_seal(table);
    }
    return OMEN_OK;
}

static omen_status place_rows(struct write_set *set)
{
    struct table *table = set->table;
    for (size_t i = 0; i < set->group_count; i++) {
        struct row_group *group = set->groups[i];
        uint32_t rows = row_group_row_count(group);
        bool open_empty = table->open == NULL || row_group_row_count(table->open->group) == 0;
        /* A partial group becomes the open one only if no other of this set is copied into it:
         * after an abort its rows are still the set's. */
        bool becomes_open = open_empty && rows > 0 && i + 1 == set->group_count;
        bool numbered = row_group_number(group) != GROUP_NUMBER_NONE &&
                        (row_group_number(group) & OWN_GROUP_BIT) == 0;
        if (numbered && (rows == ROW_GROUP_ROWS || becomes_open))
            OMEN_TRY(place_by_attaching(set, group));
        else
            OMEN_TRY(place_by_copying(set, group));
    }
    return OMEN_OK;
}

/* --- reserve: versions --- */

struct version_trim {
    const struct table *table;
    uint64_t watermark;
};

/* Whether some snapshot, registered or to come, can read this version. */
static bool version_readable(const struct version_trim *trim, uint64_t begin, uint64_t end)
{
    if (end <= trim->watermark)
        return false;
    return end == TIMESTAMP_INFINITY || txn_lifetime_readable(trim->table->manager, begin, end);
}

/* The first version from `row_id` on that anyone can read, or ROW_ID_NONE. */
static uint64_t first_readable(const struct version_trim *trim, uint64_t row_id)
{
    while (row_id != ROW_ID_NONE) {
        const struct group_entry *entry = directory_find(trim->table, row_id_group(row_id));
        if (entry == NULL)
            return ROW_ID_NONE;
        uint32_t slot = row_id_slot(row_id);
        if (version_readable(trim, row_group_begin(entry->group, slot),
                             row_group_end(entry->group, slot)))
            return row_id;
        row_id = row_group_previous(entry->group, slot);
    }
    return ROW_ID_NONE;
}

/* What a new version's `previous` is, given what the index entry held. Also shortens the chain
 * behind that: so a chain stays as long as there are snapshots between its versions, however
 * often the row is updated (R5.4). Shortening is right whether or not the commit succeeds. */
static uint64_t chain_previous(const struct version_trim *trim, uint64_t row_id)
{
    if (row_id == ROW_ID_NONE)
        return ROW_ID_NONE;
    uint64_t newest = first_readable(trim, row_id_canonical(trim->table, row_id));
    if (newest == ROW_ID_NONE)
        return ROW_ID_NONE;
    struct row_group *group = directory_find(trim->table, row_id_group(newest))->group;
    uint64_t behind = row_group_previous(group, row_id_slot(newest));
    uint64_t readable = first_readable(trim, behind);
    if (readable != behind)
        row_group_set_previous(group, row_id_slot(newest), readable);
    return newest;
}

bool chain_unlink(const struct table *table, uint64_t watermark, struct index_key key,
                  uint64_t number)
{
    struct version_trim trim = {.table = table, .watermark = watermark};
    uint64_t row_id = row_id_canonical(table, index_lookup(table->index, key));
    while (row_id != ROW_ID_NONE) {
        if (row_id_group(row_id) == number)
            return false; /* the head, or a version that counts as readable for a moment */
        const struct group_entry *entry = directory_find(table, row_id_group(row_id));
        if (entry == NULL)
            return true;
        uint64_t behind = row_group_previous(entry->group, row_id_slot(row_id));
        uint64_t readable = first_readable(&trim, behind);
        if (readable != behind)
            row_group_set_previous(entry->group, row_id_slot(row_id), readable);
        row_id = readable;
    }
    return true;
}

/* --- reserve: index entries --- */

/* True where the entry was put by this very set, before. */
bool row_is_pending(const struct table *table, uint64_t row_id)
{
    const struct group_entry *entry = directory_find(table, row_id_group(row_id));
    return entry != NULL && row_group_begin(entry->group, row_id_slot(row_id)) == TIMESTAMP_PENDING;
}

/* Puts the entries of up to LOOKUP_BATCH rows. Counts into put_count what must be undone. */
static omen_status put_batch(struct write_set *set, const struct version_trim *trim,
                             struct group_entry *entry, uint32_t first, uint32_t count,
                             omen_error *error)
{
    struct table *table = set->table;
    struct index_key keys[LOOKUP_BATCH];
    uint64_t found[LOOKUP_BATCH];
    OMEN_ASSERT(count > 0 && count <= LOOKUP_BATCH);
    for (uint32_t i = 0; i < count; i++)
        keys[i] = write_set_key(set, entry->group, first + i, set->put_count + i);
    index_lookup_batch(table->index, keys, count, found);
    for (uint32_t i = 0; i < count; i++) {
        if (found[i] != ROW_ID_NONE && row_is_pending(table, found[i]))
            return duplicate_key_error(table, 0, entry->group, first + i, error);
        uint64_t previous = chain_previous(trim, found[i]);
        if (previous != ROW_ID_NONE)
            row_group_set_previous(entry->group, first + i, previous);
    }
    omen_status status = OMEN_OK;
    uint32_t done = 0;
    biased_lock_write_lock(&table->lock);
    for (; done < count && status == OMEN_OK; done++) {
        uint64_t replaced;
        status = index_put(table->index, keys[done], row_id_make(entry->number, first + done),
                           &replaced);
        if (status != OMEN_OK)
            break;
        set->replaced[set->put_count++] = replaced;
        if (replaced != found[done])
            status = OMEN_DUPLICATE_KEY; /* twice in this batch */
    }
    biased_lock_write_unlock(&table->lock);
    if (status == OMEN_DUPLICATE_KEY)
        return duplicate_key_error(table, 0, entry->group, first + done - 1, error);
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}

static omen_status put_entries(struct write_set *set, omen_error *error)
{
    struct table *table = set->table;
    if (!array_reserve(table->allocator, (void **)&set->replaced, &set->replaced_capacity,
                       write_set_private_rows(set), sizeof *set->replaced, set->small.replaced))
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    struct version_trim trim = {.table = table, .watermark = txn_watermark(table->manager)};
    for (size_t p = 0; p < set->placement_count; p++) {
        const struct placement *placement = &set->placements[p];
        for (uint32_t done = 0; done < placement->count; done += LOOKUP_BATCH) {
            uint32_t count = (uint32_t)size_min(LOOKUP_BATCH, placement->count - done);
            OMEN_TRY(
                put_batch(set, &trim, placement->entry, placement->first + done, count, error));
        }
    }
    return OMEN_OK;
}

/* --- reserve: ends --- */

static omen_status prepare_end(struct table *table, uint64_t row_id)
{
    struct group_entry *entry = directory_find(table, row_id_group(row_id));
    if (entry == NULL || row_group_state_of(entry->group) != ROW_GROUP_FROZEN)
        return OMEN_OK;
    return row_group_prepare_ends(entry->group);
}

static omen_status prepare_targets(struct write_set *set)
{
    struct table *table = set->table;
    size_t freed = 0;
    for (size_t i = 0; i < set->target_count; i++) {
        const struct write_target *target = &set->targets[i];
        OMEN_TRY(prepare_end(table, target->row_id));
        if (target->stale_id != ROW_ID_NONE)
            OMEN_TRY(prepare_end(table, target->stale_id));
        freed += target->key_freed;
    }
    if (!deleted_keys_reserve(&table->deleted, table->allocator, freed))
        return OMEN_OUT_OF_MEMORY;
    return txn_has_log(table->manager) ? redo_encode_ends(set) : OMEN_OK;
}

/* --- undo --- */

/* Gives the entries back what they held, last first. */
static void undo_entries(struct write_set *set)
{
    struct table *table = set->table;
    if (set->put_count == 0)
        return;
    uint64_t ordinal = 0;
    for (size_t p = 0; p < set->placement_count; p++)
        ordinal += set->placements[p].count;
    for (size_t p = set->placement_count; p-- > 0;) {
        const struct placement *placement = &set->placements[p];
        biased_lock_write_lock(&table->lock);
        for (uint32_t i = placement->count; i-- > 0;) {
            if (--ordinal >= set->put_count)
                continue;
            struct index_key key =
                write_set_key(set, placement->entry->group, placement->first + i, ordinal);
            uint64_t row_id = row_id_make(placement->entry->number, placement->first + i);
            bool undone = set->replaced[ordinal] == ROW_ID_NONE
                              ? index_erase(table->index, key)
                              : index_repoint(table->index, key, row_id, set->replaced[ordinal]);
            OMEN_ASSERT(undone);
        }
        biased_lock_write_unlock(&table->lock);
    }
    set->put_count = 0;
}

static void write_set_abort(void *self)
{
    struct write_set *set = self;
    struct table *table = set->table;
    if (set->uniques != NULL)
        uniques_undo(set);
    undo_entries(set);
    while (set->placement_count > 0) {
        struct placement *placement = &set->placements[--set->placement_count];
        if (!placement->attached)
            continue;
        if (table->open == placement->entry)
            table->open = NULL;
        group_detach(table, placement->entry);
    }
    write_set_forget_commit(set);
}

static omen_status write_set_reserve(void *self, omen_error *error)
{
    struct write_set *set = self;
    omen_status status = place_rows(set);
    if (status == OMEN_OK)
        status = prepare_targets(set);
    if (status != OMEN_OK)
        error_set_default(error, status);
    else
        status = put_entries(set, error);
    if (status == OMEN_OK && set->uniques != NULL)
        status = uniques_put(set, error);
    if (status != OMEN_OK)
        write_set_abort(set);
    return status;
}

/* --- apply --- */

static void end_row(struct table *table, uint64_t row_id, uint64_t timestamp)
{
    struct group_entry *entry = directory_find(table, row_id_group(row_id));
    row_group_stamp_end(entry->group, row_id_slot(row_id), timestamp);
    entry->last_end = timestamp;
}

static void write_set_apply(void *self, uint64_t timestamp)
{
    struct write_set *set = self;
    struct table *table = set->table;
    uint64_t begun = 0;
    for (size_t p = 0; p < set->placement_count; p++) {
        const struct placement *placement = &set->placements[p];
        row_group_stamp_begin(placement->entry->group, placement->first, placement->count,
                              timestamp);
        begun += placement->count;
    }
    for (size_t i = 0; i < set->target_count; i++) {
        const struct write_target *target = &set->targets[i];
        end_row(table, target->row_id, timestamp);
        if (target->stale_id != ROW_ID_NONE)
            end_row(table, target->stale_id, timestamp);
        if (target->key_freed) {
            directory_find(table, row_id_group(target->row_id))->erasures++;
            deleted_keys_push(&table->deleted,
                              (struct deleted_key){.row_id = target->row_id, .end = timestamp});
        }
    }
    /* Unsigned arithmetic wraps as it must where more rows end than begin. */
    atomic_fetch_add_explicit(&table->rows, begun - set->target_count, memory_order_relaxed);
    set->committed = true;
    if (uniques_built(table))
        uniques_apply(set, timestamp);
    write_set_forget_commit(set);
}

const struct txn_participant_ops write_set_ops = {
    .validate = write_set_validate,
    .reserve = write_set_reserve,
    .apply = write_set_apply,
    .abort = write_set_abort,
    .redo_bytes = write_set_redo_bytes,
    .redo = write_set_redo,
};

struct txn_participant write_set_participant(struct write_set *set)
{
    return (struct txn_participant){.ops = &write_set_ops, .self = set};
}

omen_status write_set_commit_locked(struct write_set *set, enum txn_durability durability,
                                    struct txn_ticket *ticket, omen_error *error)
{
    struct txn_participant participant = write_set_participant(set);
    return txn_commit(set->table->manager, &participant, 1, durability, ticket, error);
}

omen_status write_set_commit(struct write_set *set, bool locked, omen_error *error)
{
    struct txn_manager *manager = set->table->manager;
    struct txn_ticket ticket;
    if (!locked)
        txn_writer_lock(manager);
    omen_status status = write_set_commit_locked(set, TXN_DURABLE, &ticket, error);
    if (status != OMEN_OK)
        ticket = txn_newest(manager);
    if (!locked)
        txn_writer_unlock(manager);
    return txn_outcome(manager, status, &ticket, error);
}
