/* checkpoint.c - capturing a state, writing what no segment holds yet, and swapping manifests.
 *
 *   groups of a table at C     [g1 frozen] [g2 frozen] [g5 sealed] [g6 open, 700 rows]
 *   segments so far            { g1 g2 g3 }
 *   segments of the checkpoint { g1 g2 -- } + ends      { g5 }      { g6 700 rows: a tail }
 *
 * A group that gets no more slots is written once; its segment stays as long as the group does,
 * whatever form the group has in memory, because freezing keeps number and slots. What changes
 * about it are ends, in a file of their own that is written whole when they changed, and that the
 * group goes (compacted, or wholly dead): then the segment's facts say so, and the last group takes
 * the files along. A group that is still open is written as far as it went, and again by the next
 * checkpoint.
 *
 * The snapshot is registered, so what is captured stays as it was at C: later commits only stamp
 * ends above C and fill slots above the captured count, and both are left out.
 *
 * Files are removed after the manifest that omits them is durable: what was opened and may be read
 * still, by its last reader (segment_remove). Where a manifest's fate is unknown nothing is removed
 * and no checkpoint is made any more (R8.4).
 */
#include "store/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "store/storage_private.h"
#include "table/table_adopt.h"

enum { SEGMENT_BYTES = 64 << 20 }; /* of columns in memory; a segment has at least one group */

/* Where a group of an old segment is, for looking it up by number. */
struct place {
    uint64_t number;
    uint32_t rows;
    uint32_t ordinal;
    size_t attachment;       /* of the new list */
    struct row_group *group; /* borrowed from the view; NULL: gone, or dead */
};

struct capture {
    struct table *table; /* retained */
    struct table_view *view;
    struct table_counters counters;
    struct table_files files; /* as the new manifest will have them */
    struct place *places;     /* of the groups carried over, sorted by number */
    size_t place_count, place_capacity;
    uint64_t open_number; /* of the group that was open; 0: none */
    size_t group_next;    /* of the view */
    size_t ends_next;     /* of the attachments carried over */
    size_t carried;
    bool begun;
};

struct checkpoint {
    struct storage *storage;
    struct snapshot snapshot;
    uint64_t timestamp, lsn, table_id_next;
    struct capture *captures;
    size_t capture_count, capture_capacity, capture_next;
    bool kept; /* the new manifest counts, or may: its files stay */
};

/* --- beginning --- */

static omen_status capture_table(struct checkpoint *checkpoint, struct table *table)
{
    struct capture *capture = &checkpoint->captures[checkpoint->capture_count];
    *capture = (struct capture){.files.table_id = table_id(table)};
    table_counters_of(table, &capture->counters);
    OMEN_TRY(table_view_open(table, &checkpoint->snapshot, &capture->view));
    for (size_t i = 0; i < table_view_group_count(capture->view); i++) {
        uint32_t rows;
        const struct row_group *group = table_view_group(capture->view, i, &rows);
        if (row_group_state_of(group) == ROW_GROUP_OPEN)
            capture->open_number = row_group_number(group);
    }
    capture->table = table_retain(table);
    checkpoint->capture_count++;
    return OMEN_OK;
}

static omen_status capture_tables(struct checkpoint *checkpoint)
{
    struct catalog *catalog = checkpoint->storage->database->catalog;
    struct table **tables;
    size_t count;
    OMEN_TRY(catalog_list_at(catalog, checkpoint->timestamp, &tables, &count));
    omen_status status = OMEN_OK;
    if (count > 0) {
        checkpoint->captures =
            allocator_alloc(checkpoint->storage->allocator, count * sizeof *checkpoint->captures);
        checkpoint->capture_capacity = checkpoint->captures == NULL ? 0 : count;
        status = checkpoint->captures == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
    }
    for (size_t i = 0; i < count && status == OMEN_OK; i++)
        status = capture_table(checkpoint, tables[i]);
    catalog_list_release(catalog, tables, count);
    return status;
}

/* With the writer lock: nobody appends. What is in flight belongs to the state, and is looked at
 * only once it is durable. */
static omen_status capture_all(struct checkpoint *checkpoint, omen_error *error)
{
    struct storage *storage = checkpoint->storage;
    struct txn_manager *manager = storage->database->manager;
    OMEN_TRY(wal_failed(storage->wal, error));
    OMEN_TRY(wal_mark(storage->wal, &checkpoint->lsn, error));
    omen_status status = snapshot_acquire_newest(manager, &checkpoint->snapshot);
    if (status == OMEN_OK) {
        checkpoint->timestamp = checkpoint->snapshot.timestamp;
        checkpoint->table_id_next = catalog_id_next(storage->database->catalog);
        OMEN_ASSERT(checkpoint->timestamp == txn_newest(manager).timestamp);
        status = capture_tables(checkpoint);
    }
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}

omen_status checkpoint_begin(struct storage *storage, struct checkpoint **out, omen_error *error)
{
    *out = NULL;
    if (storage->manifest_unknown)
        return error_set(error, OMEN_IO_ERROR,
                         "no checkpoint can be made until the database is opened again: %.300s",
                         storage->manifest_reason);
    struct checkpoint *checkpoint = allocator_alloc_zeroed(storage->allocator, sizeof *checkpoint);
    if (checkpoint == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    checkpoint->storage = storage;
    struct txn_manager *manager = storage->database->manager;
    txn_writer_lock(manager);
    omen_status status = capture_all(checkpoint, error);
    txn_writer_unlock(manager);
    if (status == OMEN_OK) {
        const struct txn_ticket ticket = {checkpoint->timestamp, checkpoint->lsn};
        status = txn_settle(manager, &ticket, error);
        OMEN_ASSERT(status != OMEN_OK || txn_published(manager) >= checkpoint->timestamp);
    }
    if (status != OMEN_OK)
        checkpoint_destroy(checkpoint);
    else
        *out = checkpoint;
    return status;
}

/* --- what a group holds at C --- */

/* Slots that have ended by then. */
static uint32_t count_ended(const struct row_group *group, uint32_t rows, uint64_t timestamp)
{
    uint32_t count = 0;
    if (row_group_ended_count(group) == 0)
        return 0;
    for (uint32_t slot = 0; slot < rows; slot++)
        count += row_group_has_begun(group, slot) && row_group_end(group, slot) <= timestamp;
    return count;
}

/* Whether nobody who opens the database later can see a row of it. */
static bool is_dead(const struct row_group *group, uint32_t rows, uint64_t timestamp)
{
    if (row_group_ended_count(group) + row_group_unbegun_count(group) < rows)
        return false;
    for (uint32_t slot = 0; slot < rows; slot++)
        if (row_group_has_begun(group, slot) && row_group_end(group, slot) > timestamp)
            return false;
    return true;
}

/* --- segments that stay --- */

static int compare_places(const void *left, const void *right)
{
    uint64_t a = ((const struct place *)left)->number, b = ((const struct place *)right)->number;
    return (a > b) - (a < b);
}

static struct place *find_place(struct capture *capture, uint64_t number)
{
    const struct place key = {.number = number};
    if (capture->place_count == 0)
        return NULL;
    return bsearch(&key, capture->places, capture->place_count, sizeof key, compare_places);
}

/* Copies the segments of the last checkpoint, with every group marked as gone: those that are found
 * in the view are taken back. */
static omen_status copy_attachments(struct checkpoint *checkpoint, struct capture *capture,
                                    const struct table_files *old)
{
    struct allocator *allocator = checkpoint->storage->allocator;
    size_t capacity = old->count * SEGMENT_GROUPS_MAX;
    capture->places = allocator_alloc(allocator, capacity * sizeof *capture->places);
    if (capacity > 0 && capture->places == NULL)
        return OMEN_OUT_OF_MEMORY;
    capture->place_capacity = capacity;
    for (size_t i = 0; i < old->count; i++) {
        const struct attachment *from = &old->attachments[i];
        if (from->tail)
            continue;
        struct attachment *to = table_files_add(allocator, &capture->files);
        if (to == NULL)
            return OMEN_OUT_OF_MEMORY;
        *to = *from;
        to->order = SIZE_MAX;
        if (to->segment != NULL)
            segment_retain(to->segment);
        for (uint32_t j = 0; j < from->facts.group_count; j++)
            if ((from->facts.dropped >> j & 1) == 0)
                capture->places[capture->place_count++] =
                    (struct place){.number = from->numbers[j],
                                   .rows = from->rows[j],
                                   .ordinal = j,
                                   .attachment = capture->files.count - 1};
        to->facts.dropped = (1u << from->facts.group_count) - 1;
    }
    if (capture->place_count > 1)
        qsort(capture->places, capture->place_count, sizeof *capture->places, compare_places);
    return OMEN_OK;
}

/* Finds the view's groups in the old segments. */
static omen_status carry_over(struct checkpoint *checkpoint, struct capture *capture)
{
    static const struct table_files none;
    const struct table_files *old = storage_files(checkpoint->storage, capture->files.table_id);
    OMEN_TRY(copy_attachments(checkpoint, capture, old != NULL ? old : &none));
    for (size_t i = 0; i < table_view_group_count(capture->view); i++) {
        uint32_t rows;
        struct row_group *group = table_view_group(capture->view, i, &rows);
        struct place *place = find_place(capture, row_group_number(group));
        if (place == NULL || place->rows != rows || is_dead(group, rows, checkpoint->timestamp))
            continue;
        struct attachment *attachment = &capture->files.attachments[place->attachment];
        attachment->facts.dropped &= ~(1u << place->ordinal);
        attachment->order = size_min(attachment->order, i);
        place->group = group;
    }
    capture->carried = capture->files.count;
    return OMEN_OK;
}

/* --- segments that are written --- */

/* Groups of one segment to be. */
struct batch {
    struct row_group *frozen[SEGMENT_GROUPS_MAX]; /* retained: as they were at C */
    uint32_t rows[SEGMENT_GROUPS_MAX];
    uint32_t count;
    size_t order, bytes;
    bool tail;
};

static void batch_release(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        row_group_release(batch->frozen[i]);
}

/* The group as it was at C, as a segment takes it. */
static omen_status freeze_at(const struct checkpoint *checkpoint, struct row_group *group,
                             uint32_t rows, struct row_group **out, omen_error *error)
{
    if (row_group_state_of(group) != ROW_GROUP_FROZEN)
        return segment_prefix(group, rows, checkpoint->timestamp, out, error);
    *out = row_group_pin(group);
    return OMEN_OK;
}

/* Adds view group `position`, unless it is in a segment, dead, or belongs into another one.
 * `*full` where the batch ends before it. */
static omen_status batch_add(const struct checkpoint *checkpoint, struct capture *capture,
                             size_t position, struct batch *batch, bool *full, omen_error *error)
{
    uint32_t rows;
    struct row_group *group = table_view_group(capture->view, position, &rows);
    const struct place *place = find_place(capture, row_group_number(group));
    if ((place != NULL && place->group != NULL) || is_dead(group, rows, checkpoint->timestamp))
        return OMEN_OK;
    bool tail = row_group_number(group) == capture->open_number;
    size_t bytes = row_group_column_bytes(group);
    *full = batch->count > 0 && (tail || batch->tail || batch->count == SEGMENT_GROUPS_MAX ||
                                 batch->bytes + bytes > SEGMENT_BYTES);
    if (*full)
        return OMEN_OK;
    OMEN_TRY(freeze_at(checkpoint, group, rows, &batch->frozen[batch->count], error));
    if (batch->count == 0)
        batch->order = position;
    batch->rows[batch->count++] = rows;
    batch->bytes += bytes;
    batch->tail = tail;
    return OMEN_OK;
}

/* Writes the groups' segment: as Parquet, or, where the engine is not there or has no Parquet, with
 * the plain codec, from then on. */
static omen_status write_segment(struct storage *storage, const struct batch *batch,
                                 struct segment_facts *facts, omen_error *error)
{
    omen_status status =
        segment_write(&storage->segments, batch->frozen, batch->count, facts, error);
    bool no_parquet = status == OMEN_ENGINE_MISSING || status == OMEN_NOT_SUPPORTED;
    if (!no_parquet || storage->segments.codec == &storage->plain)
        return status;
    storage->segments.codec = &storage->plain;
    storage->segments.other = &storage->parquet;
    return segment_write(&storage->segments, batch->frozen, batch->count, facts, error);
}

static omen_status batch_write(const struct checkpoint *checkpoint, struct capture *capture,
                               const struct batch *batch, omen_error *error)
{
    struct storage *storage = checkpoint->storage;
    struct attachment *attachment = table_files_add(storage->allocator, &capture->files);
    if (attachment == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    attachment->order = batch->order;
    attachment->tail = batch->tail;
    omen_status status = write_segment(storage, batch, &attachment->facts, error);
    if (status != OMEN_OK) {
        capture->files.count--;
        return status;
    }
    bool any_ended = false;
    for (uint32_t i = 0; i < batch->count; i++) {
        attachment->numbers[i] = row_group_number(batch->frozen[i]);
        attachment->rows[i] = batch->rows[i];
        attachment->ended[i] = count_ended(batch->frozen[i], batch->rows[i], checkpoint->timestamp);
        any_ended |= attachment->ended[i] > 0;
    }
    if (!any_ended)
        return OMEN_OK;
    return segment_write_ends(&storage->segments, checkpoint->timestamp, batch->frozen,
                              batch->count, &attachment->facts, error);
}

/* Writes the next groups that need it, as one segment, if any do. */
static omen_status write_groups(struct checkpoint *checkpoint, struct capture *capture,
                                omen_error *error)
{
    struct batch batch = {.count = 0};
    omen_status status = OMEN_OK;
    bool full = false;
    size_t count = table_view_group_count(capture->view);
    while (status == OMEN_OK && capture->group_next < count && !full) {
        status = batch_add(checkpoint, capture, capture->group_next, &batch, &full, error);
        capture->group_next += !full;
    }
    if (status == OMEN_OK && batch.count > 0)
        status = batch_write(checkpoint, capture, &batch, error);
    batch_release(&batch);
    return status;
}

/* --- ends of segments that stay --- */

static omen_status write_ends(struct checkpoint *checkpoint, struct capture *capture,
                              struct attachment *attachment, omen_error *error)
{
    struct row_group *groups[SEGMENT_GROUPS_MAX] = {0};
    bool changed = false;
    for (uint32_t i = 0; i < attachment->facts.group_count; i++) {
        const struct place *place = find_place(capture, attachment->numbers[i]);
        groups[i] = place != NULL ? place->group : NULL;
        if (groups[i] == NULL)
            continue; /* gone: the file may say of it what it likes */
        uint32_t ended = count_ended(groups[i], attachment->rows[i], checkpoint->timestamp);
        changed |= ended != attachment->ended[i];
        attachment->ended[i] = ended;
    }
    if (!changed)
        return OMEN_OK;
    return segment_write_ends(&checkpoint->storage->segments, checkpoint->timestamp, groups,
                              attachment->facts.group_count, &attachment->facts, error);
}

static bool is_forgotten(const struct attachment *attachment)
{
    return attachment->facts.dropped == (1u << attachment->facts.group_count) - 1;
}

static int compare_order(const void *left, const void *right)
{
    size_t a = ((const struct attachment *)left)->order;
    size_t b = ((const struct attachment *)right)->order;
    return (a > b) - (a < b);
}

/* Takes out the segments of which no group is left, and puts the others in the order of rows. */
static void arrange(struct capture *capture)
{
    struct table_files *files = &capture->files;
    size_t kept = 0;
    for (size_t i = 0; i < files->count; i++) {
        if (is_forgotten(&files->attachments[i]))
            segment_release(files->attachments[i].segment);
        else
            files->attachments[kept++] = files->attachments[i];
    }
    files->count = kept;
    if (kept > 0)
        qsort(files->attachments, kept, sizeof *files->attachments, compare_order);
}

omen_status checkpoint_step(struct checkpoint *checkpoint, bool *more, omen_error *error)
{
    *more = checkpoint->capture_next < checkpoint->capture_count;
    if (!*more)
        return OMEN_OK;
    struct capture *capture = &checkpoint->captures[checkpoint->capture_next];
    if (!capture->begun) {
        omen_status status = carry_over(checkpoint, capture);
        if (status != OMEN_OK)
            return error_set_default(error, status);
        capture->begun = true;
    }
    if (capture->group_next < table_view_group_count(capture->view))
        return write_groups(checkpoint, capture, error);
    while (capture->ends_next < capture->carried) {
        struct attachment *attachment = &capture->files.attachments[capture->ends_next++];
        if (!is_forgotten(attachment))
            return write_ends(checkpoint, capture, attachment, error);
    }
    arrange(capture);
    *more = ++checkpoint->capture_next < checkpoint->capture_count;
    return OMEN_OK;
}

/* --- the manifest --- */

static omen_status describe_table(struct checkpoint *checkpoint, const struct capture *capture,
                                  struct byte_writer *facts, struct arena *arena,
                                  struct manifest_table *out)
{
    size_t count = capture->files.count;
    *out = (struct manifest_table){
        .definition = {.id = table_id(capture->table), .schema = table_schema(capture->table)},
        .group_number_next = capture->counters.group_number_next,
        .hidden_key_next = capture->counters.hidden_key_next,
        .segments = arena_alloc(arena, count * sizeof *out->segments),
        .segment_count = count,
    };
    if (out->segments == NULL)
        return OMEN_OUT_OF_MEMORY;
    const char *name = table_name(capture->table);
    memcpy(out->definition.name, name, strlen(name) + 1);
    for (size_t i = 0; i < count; i++) {
        uint8_t *copy = arena_alloc(arena, SEGMENT_FACTS_BYTES);
        facts->length = 0;
        segment_facts_put(facts, &capture->files.attachments[i].facts);
        if (copy == NULL || facts->failed)
            return OMEN_OUT_OF_MEMORY;
        memcpy(copy, facts->data, SEGMENT_FACTS_BYTES);
        out->segments[i] =
            (struct manifest_segment){.facts = copy, .facts_bytes = SEGMENT_FACTS_BYTES};
    }
    return OMEN_OK;
}

static omen_status write_manifest(struct checkpoint *checkpoint, enum manifest_state *state,
                                  omen_error *error)
{
    struct storage *storage = checkpoint->storage;
    struct arena arena;
    struct byte_writer facts = {.allocator = storage->allocator};
    arena_init(&arena, storage->allocator);
    struct manifest manifest = {
        .generation = storage->generation + 1,
        .timestamp = checkpoint->timestamp,
        .start_lsn = checkpoint->lsn,
        .proven_lsn = checkpoint->lsn,
        .written_us = storage->os->wall_clock_us(storage->os),
        .table_id_next = checkpoint->table_id_next,
        .tables = arena_alloc(&arena, checkpoint->capture_count * sizeof *manifest.tables),
        .table_count = checkpoint->capture_count,
    };
    memcpy(manifest.database_id, storage->database_id, sizeof manifest.database_id);
    *state = MANIFEST_OLD;
    omen_status status = manifest.tables == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
    for (size_t i = 0; i < manifest.table_count && status == OMEN_OK; i++)
        status = describe_table(checkpoint, &checkpoint->captures[i], &facts, &arena,
                                &manifest.tables[i]);
    if (status != OMEN_OK)
        error_set_default(error, status);
    else
        status = manifest_write(storage->os, storage->directory.path, storage->allocator, &manifest,
                                state, error);
    if (status == OMEN_OK) {
        storage->generation = manifest.generation;
        storage->checkpoint_us = manifest.written_us;
    }
    byte_writer_release(&facts);
    arena_release(&arena);
    return status;
}

/* --- files that count no more --- */

static void remove_file(struct storage *storage, const struct segment_facts *facts,
                        enum segment_file what)
{
    char path[SEGMENT_PATH_BYTES_MAX];
    segment_path(storage->segments.directory, facts, what, path);
    (void)storage->os->file_remove(storage->os, path, NULL);
}

/* Removes the files of `old` that `now` does not name (NULL: names nothing). */
static void remove_files(struct storage *storage, const struct attachment *old,
                         const struct attachment *now)
{
    if (old->facts.ends_bytes > 0 &&
        (now == NULL || memcmp(now->facts.ends_uuid, old->facts.ends_uuid, 16) != 0))
        remove_file(storage, &old->facts, SEGMENT_ENDS);
    if (now != NULL)
        return;
    if (old->segment != NULL) {
        segment_remove(old->segment); /* by its last reader */
    } else {
        remove_file(storage, &old->facts, SEGMENT_DATA);
        remove_file(storage, &old->facts, SEGMENT_KEYS);
    }
}

/* Removes what the lists of `from` name and those of `to` do not. */
static void remove_difference(struct storage *storage, const struct table_files *from,
                              const struct table_files *to)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct attachment *old = &from->attachments[i];
        remove_files(storage, old, to == NULL ? NULL : table_files_find(to, old->facts.uuid));
    }
}

/* --- the end --- */

static struct capture *find_capture(struct checkpoint *checkpoint, uint64_t table)
{
    for (size_t i = 0; i < checkpoint->capture_count; i++)
        if (checkpoint->captures[i].files.table_id == table)
            return &checkpoint->captures[i];
    return NULL;
}

/* Lets the tables know where the groups of new segments lie, so that their columns can be let go. A
 * segment that cannot be opened now is opened with the database. */
static void back_groups(struct checkpoint *checkpoint, const struct capture *capture)
{
    for (size_t i = 0; i < capture->files.count; i++) {
        struct attachment *attachment = &capture->files.attachments[i];
        struct segment_opened opened;
        if (attachment->segment != NULL || attachment->tail ||
            segment_open(&checkpoint->storage->segments, table_schema(capture->table),
                         &attachment->facts, &opened, NULL) != OMEN_OK)
            continue;
        attachment->segment = segment_retain(opened.segment);
        for (uint32_t g = 0; g < opened.group_count; g++)
            table_back_group(capture->table, opened.groups[g].group);
        segment_opened_release(&opened);
    }
}

/* The new lists take the place of the old ones. */
static void install(struct checkpoint *checkpoint, struct table_files *lists)
{
    struct storage *storage = checkpoint->storage;
    for (size_t i = 0; i < storage->file_count; i++) {
        const struct capture *capture = find_capture(checkpoint, storage->files[i].table_id);
        remove_difference(storage, &storage->files[i], capture == NULL ? NULL : &capture->files);
        table_files_release(storage->allocator, &storage->files[i]);
    }
    allocator_free(storage->allocator, storage->files,
                   storage->file_capacity * sizeof *storage->files);
    for (size_t i = 0; i < checkpoint->capture_count; i++) {
        lists[i] = checkpoint->captures[i].files;
        checkpoint->captures[i].files = (struct table_files){.table_id = lists[i].table_id};
    }
    storage->files = lists;
    storage->file_count = storage->file_capacity = checkpoint->capture_count;
}

omen_status checkpoint_finish(struct checkpoint *checkpoint, omen_error *error)
{
    struct storage *storage = checkpoint->storage;
    enum manifest_state state;
    omen_error reason = {.message = ""};
    size_t bytes = checkpoint->capture_count * sizeof(struct table_files);
    /* After a failure of the log nobody may build on a new manifest. */
    OMEN_TRY(wal_failed(storage->wal, error));
    struct table_files *lists = allocator_alloc(storage->allocator, bytes);
    if (bytes > 0 && lists == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    OMEN_ASSERT(checkpoint->capture_next == checkpoint->capture_count);
    omen_status status = write_manifest(checkpoint, &state, &reason);
    checkpoint->kept = state != MANIFEST_OLD;
    if (status != OMEN_OK) {
        allocator_free(storage->allocator, lists, bytes);
        storage->manifest_unknown = state == MANIFEST_UNKNOWN;
        memcpy(storage->manifest_reason, reason.message, sizeof storage->manifest_reason);
        return error_set(error, status, "%s", reason.message);
    }
    for (size_t i = 0; i < checkpoint->capture_count; i++)
        back_groups(checkpoint, &checkpoint->captures[i]);
    install(checkpoint, lists);
    storage->start_lsn = storage->quiet_lsn = checkpoint->lsn;
    storage->manifest_renewed = true;
    /* What it cannot do now is done when the database is opened again. */
    (void)!wal_release(storage->wal, checkpoint->lsn, NULL);
    return OMEN_OK;
}

static void capture_release(struct checkpoint *checkpoint, struct capture *capture)
{
    struct storage *storage = checkpoint->storage;
    static const struct table_files none;
    const struct table_files *old = storage_files(storage, capture->files.table_id);
    if (!checkpoint->kept)
        remove_difference(storage, &capture->files, old == NULL ? &none : old);
    table_files_release(storage->allocator, &capture->files);
    allocator_free(storage->allocator, capture->places,
                   capture->place_capacity * sizeof *capture->places);
    table_view_release(capture->view);
    table_release(capture->table);
}

void checkpoint_destroy(struct checkpoint *checkpoint)
{
    if (checkpoint == NULL)
        return;
    struct allocator *allocator = checkpoint->storage->allocator;
    for (size_t i = 0; i < checkpoint->capture_count; i++)
        capture_release(checkpoint, &checkpoint->captures[i]);
    allocator_free(allocator, checkpoint->captures,
                   checkpoint->capture_capacity * sizeof *checkpoint->captures);
    snapshot_release(&checkpoint->snapshot);
    allocator_free(allocator, checkpoint, sizeof *checkpoint);
}
