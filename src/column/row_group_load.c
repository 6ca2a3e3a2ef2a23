/* row_group_load.c - frozen groups whose columns are read when they are first needed.
 *
 *   row_group_open     slots, ends and the group's zones: enough for point lookups to find the
 *                      version, for scans to prune, for statistics
 *   row_group_ensure   the columns that somebody is about to look at
 *
 * A column is converted into the form of an open group and from there into the frozen one: the
 * same checks and the same layout as for rows that were written here. Its NULLs must be as many as
 * its zone says.
 *
 * Columns can be taken out again (row_group_discard) while nobody looks at them: that is, while
 * every reference but the table's is a hold, and the table's lock keeps others from the group. Who
 * has hold of it pins it before looking at columns, under the mutex `pinning`, under which
 * row_group_discard sees that there are no pins. A passing form is nobody's but its reader's.
 *
 * Concurrency. A column is filled under the group's mutex while its `loaded` is false; readers look
 * at it only once they have seen `loaded` true, or `absent` 0 (both stored with release).
 */
#include <stdio.h>
#include <stdlib.h>

#include "column/row_group_private.h"

/* --- opening --- */

static size_t zone_text_bytes(const struct zone *zone)
{
    if (!zone->known || !type_is_view(zone->min.type.id))
        return 0;
    return zone->min.as.bytes.length + zone->max.as.bytes.length;
}

static void keep_text(omen_value *value, uint8_t **text)
{
    size_t length = value->as.bytes.length;
    if (length > 0)
        memcpy(*text, value->as.bytes.data, length);
    value->as.bytes.data = *text;
    *text += length;
}

static omen_status make_origin(struct row_group *group, const struct row_group_facts *facts,
                               struct row_group_source *source)
{
    uint32_t columns = group->schema->stored_count;
    size_t begun = sizeof(struct row_group_origin) + columns * sizeof(atomic_bool);
    begun = (begun + ALLOCATOR_ALIGNMENT - 1) / ALLOCATOR_ALIGNMENT * ALLOCATOR_ALIGNMENT;
    size_t zones = begun + (facts->begun == NULL ? 0 : bitmap_bytes(facts->row_count));
    size_t bytes = zones + columns * sizeof(struct zone);
    for (uint32_t i = 0; i < columns; i++)
        bytes += zone_text_bytes(&facts->zones[i]);
    struct row_group_origin *origin = allocator_alloc_zeroed(group->allocator, bytes);
    if (origin == NULL)
        return OMEN_OUT_OF_MEMORY;
    *origin = (struct row_group_origin){.bytes = bytes, .ordinal = facts->ordinal};
    origin->zones = (struct zone *)((uint8_t *)origin + zones);
    memcpy(origin->zones, facts->zones, columns * sizeof(struct zone));
    uint8_t *text = (uint8_t *)(origin->zones + columns);
    for (uint32_t i = 0; i < columns; i++) {
        if (zone_text_bytes(&origin->zones[i]) == 0)
            continue;
        keep_text(&origin->zones[i].min, &text);
        keep_text(&origin->zones[i].max, &text);
    }
    if (facts->begun != NULL) {
        origin->begun = (uint64_t *)((uint8_t *)origin + begun);
        memcpy(origin->begun, facts->begun, bit_words(facts->row_count) * sizeof(uint64_t));
    }
    mutex_init(&origin->loading);
    mutex_init(&origin->pinning);
    source->retain(source);
    origin->source = source;
    group->origin = origin;
    return OMEN_OK;
}

static void count_columns(struct row_group_origin *origin, size_t bytes)
{
    struct column_cache *cache = origin->source->cache;
    origin->counted += bytes;
    if (cache == NULL)
        return;
    /* Relaxed: numbers to compare with. */
    atomic_fetch_add_explicit(&cache->loaded, bytes, memory_order_relaxed);
    if (origin->passing)
        atomic_fetch_add_explicit(&cache->passed, bytes, memory_order_relaxed);
}

static void uncount_columns(struct row_group_origin *origin)
{
    struct column_cache *cache = origin->source->cache;
    if (cache != NULL)
        atomic_fetch_sub_explicit(&cache->loaded, origin->counted, memory_order_relaxed);
    origin->counted = 0;
}

void row_group_origin_free(struct row_group *group)
{
    struct row_group_origin *origin = group->origin;
    if (origin == NULL)
        return;
    uncount_columns(origin);
    origin->source->release(origin->source);
    mutex_destroy(&origin->loading);
    mutex_destroy(&origin->pinning);
    allocator_free(group->allocator, origin, origin->bytes);
}

bool row_group_has_room(const struct row_group *group)
{
    return column_cache_has_room(group->origin->source->cache);
}

/* The slots that are dead for everybody: ended, or never begun. */
static omen_status fold_ends(struct row_group *group, const struct row_group_facts *facts)
{
    if (facts->ended == NULL && facts->begun == NULL)
        return OMEN_OK;
    uint32_t rows = facts->row_count;
    struct row_ends *ends = row_ends_make(group->allocator, rows, ENDS_FOLDED);
    if (ends == NULL)
        return OMEN_OUT_OF_MEMORY;
    ends->ended_at = facts->ended_at;
    uint32_t total = 0;
    for (uint32_t slot = 0; slot < rows; slot++) {
        bool dead = (facts->ended != NULL && bit_get(facts->ended, slot)) ||
                    (facts->begun != NULL && !bit_get(facts->begun, slot));
        if (!dead)
            continue;
        struct end_summary *summary = &ends->vectors[slot / VECTOR_ROWS];
        atomic_store_explicit(&summary->max, facts->ended_at, memory_order_relaxed);
        atomic_fetch_add_explicit(&summary->count, 1, memory_order_relaxed);
        atomic_fetch_or_explicit(&ends->bits[slot / 64], UINT64_C(1) << (slot % 64),
                                 memory_order_relaxed);
        total++;
    }
    atomic_init(&ends->count, total);
    if (total == 0) {
        row_ends_free(group->allocator, ends);
        return OMEN_OK;
    }
    atomic_store_explicit(&group->ends, ends, memory_order_relaxed);
    return OMEN_OK;
}

/* Without ends. */
static omen_status open_bare(struct allocator *allocator, struct schema *schema,
                             const struct row_group_facts *facts, struct row_group_source *source,
                             struct row_group **out)
{
    struct row_group *group;
    *out = NULL;
    OMEN_ASSERT(facts->row_count <= ROW_GROUP_ROWS);
    OMEN_TRY(row_group_make_bare(allocator, schema, facts->number, facts->row_count,
                                 ROW_GROUP_FROZEN, &group));
    for (uint32_t i = 0; i < schema->stored_count; i++) {
        group->columns[i].type = schema->columns[i].type;
        group->columns[i].width = type_width(schema->columns[i].type.id);
    }
    atomic_init(&group->row_count, facts->row_count);
    atomic_init(&group->packed_count, facts->row_count);
    atomic_init(&group->head.absent, schema->stored_count);
    omen_status status = make_origin(group, facts, source);
    if (status != OMEN_OK) {
        row_group_release(group);
        return status;
    }
    *out = group;
    return OMEN_OK;
}

omen_status row_group_open(struct allocator *allocator, struct schema *schema,
                           const struct row_group_facts *facts, struct row_group_source *source,
                           struct row_group **out)
{
    OMEN_TRY(open_bare(allocator, schema, facts, source, out));
    omen_status status = fold_ends(*out, facts);
    if (status != OMEN_OK) {
        row_group_release(*out);
        *out = NULL;
    }
    return status;
}

omen_status row_group_passing(const struct row_group *group, struct row_group **out)
{
    const struct row_group_origin *origin = group->origin;
    const struct row_group_facts facts = {.number = group->number,
                                          .row_count = rows_published(group),
                                          .ordinal = origin->ordinal,
                                          .begun = origin->begun,
                                          .zones = origin->zones};
    OMEN_TRY(open_bare(group->allocator, group->schema, &facts, origin->source, out));
    (*out)->origin->passing = true;
    return OMEN_OK;
}

/* --- without columns again --- */

bool row_group_cool(const struct row_group *group)
{
    struct row_group *changed = (struct row_group *)(uintptr_t)group; /* a hint, no more */
    /* Relaxed: as in row_group_warm. */
    return (atomic_fetch_or_explicit(&changed->head.absent, ROW_GROUP_COLD, memory_order_relaxed) &
            ROW_GROUP_COLD) != 0;
}

bool row_group_has_source(const struct row_group *group)
{
    return group->origin != NULL;
}

/* Gives the columns to a group that nobody looks at. */
static void move_columns(struct row_group *group, struct row_group *taken)
{
    uint32_t count = group->schema->stored_count;
    size_t bytes = row_group_column_bytes(group);
    memcpy(taken->columns, group->columns, count * sizeof *group->columns);
    atomic_fetch_sub_explicit(&group->column_bytes, bytes, memory_order_relaxed);
    atomic_init(&taken->column_bytes, bytes);
    for (uint32_t i = 0; i < count; i++) {
        struct column *column = &group->columns[i];
        *column = (struct column){.type = column->type, .width = column->width};
        /* Relaxed: who pins the group later takes the mutex. */
        atomic_store_explicit(&group->origin->loaded[i], false, memory_order_relaxed);
    }
    atomic_store_explicit(&group->head.absent, count, memory_order_relaxed);
    uncount_columns(group->origin);
}

omen_status row_group_discard(struct row_group *group, struct row_group **out)
{
    struct row_group *taken;
    *out = NULL;
    OMEN_TRY(row_group_make_bare(group->allocator, group->schema, group->number, group->capacity,
                                 ROW_GROUP_FROZEN, &taken));
    mutex_lock(&group->origin->pinning);
    bool pinned = row_group_is_pinned(group);
    if (!pinned)
        move_columns(group, taken);
    mutex_unlock(&group->origin->pinning);
    if (pinned)
        row_group_release(taken);
    else
        *out = taken;
    return OMEN_OK;
}

/* The newest end, 0 where nothing has ended. */
static uint64_t newest_end(const struct row_group *group)
{
    uint64_t newest = 0;
    uint32_t rows = rows_published(group);
    for (uint32_t slot = 0; slot < rows && row_group_ended_count(group) > 0; slot++) {
        uint64_t end = row_group_end(group, slot);
        if (end != TIMESTAMP_INFINITY)
            newest = size_max(newest, end);
    }
    return newest;
}

omen_status row_group_reopen(const struct row_group *group, const struct row_group *ends,
                             uint64_t watermark, struct row_group **out)
{
    const struct row_group_origin *origin = group->origin;
    uint64_t ended[ROW_GROUP_ROWS / 64] = {0};
    uint32_t rows = rows_published(group);
    uint64_t newest = newest_end(ends);
    bool folds = !row_group_has_stamps(ends) || newest <= watermark;
    OMEN_ASSERT(rows == rows_published(ends) && group->number == ends->number);
    for (uint32_t slot = 0; slot < rows && folds && newest > 0; slot++)
        if (row_group_end(ends, slot) != TIMESTAMP_INFINITY)
            bit_set(ended, slot);
    const struct row_group_facts facts = {.number = group->number,
                                          .row_count = rows,
                                          .ordinal = origin->ordinal,
                                          .begun = origin->begun,
                                          .ended = ended,
                                          .ended_at = folds ? size_max(newest, 1) : 1,
                                          .zones = origin->zones};
    OMEN_TRY(row_group_open(group->allocator, group->schema, &facts, origin->source, out));
    omen_status status = folds ? OMEN_OK : row_group_copy_ends(ends, *out);
    if (status != OMEN_OK) {
        row_group_release(*out);
        *out = NULL;
    }
    return status;
}

/* --- reading the source --- */

/* Whatever the data itself is accused of means that the file is damaged. */
static omen_status blame_data(const struct row_group *group, omen_status status, omen_error *error)
{
    if (status == OMEN_OK || status == OMEN_OUT_OF_MEMORY || status == OMEN_IO_ERROR ||
        status == OMEN_CORRUPTED)
        return status;
    omen_error reason = {.message = ""};
    if (error != NULL)
        reason = *error;
    return error_set(error, OMEN_CORRUPTED, "row group %llu is damaged: %.300s",
                     (unsigned long long)group->number, reason.message);
}

/* A stream says "SQLSTATE message"; only what this layer can meet is told apart. */
static omen_status stream_error(struct ArrowArrayStream *stream, omen_error *error)
{
    static const omen_status known[] = {
        OMEN_OUT_OF_MEMORY,  OMEN_IO_ERROR,      OMEN_CORRUPTED,      OMEN_CANCELLED,
        OMEN_ENGINE_MISSING, OMEN_NOT_SUPPORTED, OMEN_FILE_NOT_FOUND, OMEN_INSUFFICIENT_RESOURCES};
    const char *text = stream->get_last_error(stream);
    if (text == NULL || strlen(text) < 6)
        return error_set(error, OMEN_IO_ERROR, "a column could not be read");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(text, omen_status_sqlstate(known[i]), 5) == 0)
            return known[i] == OMEN_OUT_OF_MEMORY ? error_set_default(error, known[i])
                                                  : error_set(error, known[i], "%.500s", text + 6);
    return error_set(error, OMEN_INTERNAL, "%.500s", text + 6);
}

struct load {
    const struct row_group *group;
    struct row_group *staging; /* an open form, of the columns that are loaded alone */
    const uint32_t *columns;
    uint32_t column_count;
    omen_error *error;
};

static omen_status take_batch(struct load *load, const struct ArrowSchema *schema,
                              const struct ArrowArray *batch, uint32_t *rows)
{
    uint32_t room = load->group->capacity - *rows;
    if (batch->n_children != load->column_count || batch->length < 0 || batch->length > room ||
        batch->offset < 0)
        return error_set(load->error, OMEN_CORRUPTED,
                         "row group %llu is damaged: it has other rows or columns than expected",
                         (unsigned long long)load->group->number);
    for (uint32_t i = 0; i < load->column_count; i++) {
        omen_status status = column_import_arrow(
            load->staging, load->columns[i], *rows, schema->children[i], batch->children[i],
            batch->offset, (uint32_t)batch->length, load->error);
        if (status != OMEN_OK)
            return blame_data(load->group, status, load->error);
    }
    *rows += (uint32_t)batch->length;
    return OMEN_OK;
}

static omen_status take_batches(struct load *load, struct ArrowArrayStream *stream,
                                const struct ArrowSchema *schema)
{
    uint32_t rows = 0;
    for (;;) {
        struct ArrowArray batch = {0};
        if (stream->get_next(stream, &batch) != 0)
            return stream_error(stream, load->error);
        if (batch.release == NULL)
            break;
        omen_status status = take_batch(load, schema, &batch, &rows);
        batch.release(&batch);
        OMEN_TRY(status);
    }
    if (rows != load->group->capacity)
        return error_set(load->error, OMEN_CORRUPTED,
                         "row group %llu is damaged: it has %u rows instead of %u",
                         (unsigned long long)load->group->number, rows, load->group->capacity);
    return OMEN_OK;
}

static omen_status take_stream(struct load *load, struct ArrowArrayStream *stream)
{
    struct ArrowSchema schema = {0};
    if (stream->get_schema(stream, &schema) != 0)
        return stream_error(stream, load->error);
    omen_status status;
    if (schema.n_children != load->column_count)
        status =
            error_set(load->error, OMEN_CORRUPTED, "row group %llu is damaged: it lacks columns",
                      (unsigned long long)load->group->number);
    else
        status = take_batches(load, stream, &schema);
    schema.release(&schema);
    return status;
}

/* --- loading --- */

/* The frozen form of a staged column, not yet shown to anybody. */
static omen_status finish_column(struct load *load, struct row_group *group, uint32_t position)
{
    struct column *staged = &load->staging->columns[position];
    struct column *column = &group->columns[position];
    const struct zone *zone = &group->origin->zones[position];
    uint32_t rows = group->capacity;
    for (uint32_t first = 0; first < rows; first += VECTOR_ROWS)
        column_pack(staged, first, (uint32_t)size_min(VECTOR_ROWS, rows - first));
    omen_status status = column_make(group, position, true);
    if (status == OMEN_OK)
        status = column_freeze(staged, group->origin->begun, group, column);
    if (status != OMEN_OK)
        return error_set_default(load->error, status);
    if (column->zone.null_count != zone->null_count || column->zone.row_count != zone->row_count)
        return error_set(load->error, OMEN_CORRUPTED,
                         "row group %llu is damaged: column \"%s\" has %u NULLs instead of %u",
                         (unsigned long long)group->number, group->schema->columns[position].name,
                         column->zone.null_count, zone->null_count);
    return OMEN_OK;
}

static omen_status stage(struct load *load)
{
    const struct row_group *group = load->group;
    struct row_group_origin *origin = group->origin;
    omen_status status = row_group_make_bare(group->allocator, group->schema, group->number,
                                             group->capacity, ROW_GROUP_OPEN, &load->staging);
    for (uint32_t i = 0; i < load->column_count && status == OMEN_OK; i++)
        status = column_make(load->staging, load->columns[i], false);
    if (status != OMEN_OK)
        return error_set_default(load->error, status);
    struct ArrowArrayStream stream = {0};
    OMEN_TRY(origin->source->read(origin->source, origin->ordinal, load->columns,
                                  load->column_count, &stream, load->error));
    status = take_stream(load, &stream);
    stream.release(&stream);
    return status;
}

/* Under the group's mutex; none of the columns is loaded, none comes twice. */
static omen_status load_columns(struct load *load, struct row_group *group)
{
    omen_status status = stage(load);
    size_t before = row_group_column_bytes(group);
    uint32_t done = 0;
    for (; done < load->column_count && status == OMEN_OK; done++) {
        status = finish_column(load, group, load->columns[done]);
        column_free(load->staging, &load->staging->columns[load->columns[done]]);
    }
    row_group_release(load->staging);
    for (uint32_t i = 0; i < done && status != OMEN_OK; i++)
        column_free(group, &group->columns[load->columns[i]]);
    if (status != OMEN_OK)
        return status;
    count_columns(group->origin, row_group_column_bytes(group) - before);
    for (uint32_t i = 0; i < load->column_count; i++)
        /* Release pairs with the acquire in column_is_loaded. */
        atomic_store_explicit(&group->origin->loaded[load->columns[i]], true, memory_order_release);
    /* Release pairs with the acquire in row_group_ensure. */
    atomic_fetch_sub_explicit(&group->head.absent, load->column_count, memory_order_acq_rel);
    return OMEN_OK;
}

static bool is_listed(const uint32_t *columns, uint32_t count, uint32_t column)
{
    for (uint32_t i = 0; i < count; i++)
        if (columns[i] == column)
            return true;
    return false;
}

/* Of the columns wanted, those that are not here, each once. */
static uint32_t find_absent(const struct row_group *group, const uint32_t *columns, uint32_t count,
                            uint32_t *absent)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++)
        if (columns[i] != ROW_ID_COLUMN && !column_is_loaded(group, columns[i]) &&
            !is_listed(absent, found, columns[i]))
            absent[found++] = columns[i];
    return found;
}

bool row_group_lacks(const struct row_group *group, const uint32_t *columns, uint32_t column_count)
{
    for (uint32_t i = 0; i < column_count; i++)
        if (columns[i] != ROW_ID_COLUMN && !column_is_loaded(group, columns[i]))
            return true;
    return false;
}

omen_status row_group_load(const struct row_group *group, const uint32_t *columns,
                           uint32_t column_count, omen_error *error)
{
    /* A group that loads is as it was for everybody who looks at it. */
    struct row_group *changed = (struct row_group *)(uintptr_t)group;
    row_group_warm(changed);
    if (!row_group_lacks(group, columns, column_count))
        return OMEN_OK;
    size_t bytes = column_count * sizeof(uint32_t);
    uint32_t *absent = allocator_alloc(group->allocator, bytes);
    if (absent == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_error unused;
    struct load load = {
        .group = group, .columns = absent, .error = error != NULL ? error : &unused};
    omen_status status = OMEN_OK;
    mutex_lock(&group->origin->loading);
    load.column_count = find_absent(group, columns, column_count, absent);
    if (load.column_count > 0)
        status = load_columns(&load, changed);
    mutex_unlock(&group->origin->loading);
    allocator_free(group->allocator, absent, bytes);
    return status;
}

/* Puts a passing form in the place of the reference, where the cache is far beyond its limit. */
static omen_status pass_if_full(struct row_group **group, omen_error *error)
{
    struct row_group *passing;
    if (column_cache_has_room_for_row((*group)->origin->source->cache))
        return OMEN_OK;
    omen_status status = row_group_passing(*group, &passing);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    row_group_release(*group);
    *group = passing;
    return OMEN_OK;
}

omen_status row_group_bring(struct row_group **group, const uint32_t *columns,
                            uint32_t column_count, omen_error *error)
{
    if (row_group_wants_ensure(*group) && row_group_lacks(*group, columns, column_count))
        OMEN_TRY(pass_if_full(group, error));
    return row_group_ensure(*group, columns, column_count, error);
}

omen_status row_group_bring_all(struct row_group **group, omen_error *error)
{
    if (row_group_absent_count(*group) > 0)
        OMEN_TRY(pass_if_full(group, error));
    return row_group_ensure_all(*group, error);
}

omen_status row_group_ensure_all(const struct row_group *group, omen_error *error)
{
    uint32_t columns[64];
    uint32_t count = 0;
    omen_status status = OMEN_OK;
    if (!row_group_wants_ensure(group))
        return OMEN_OK;
    for (uint32_t i = 0; i < group->schema->stored_count && status == OMEN_OK; i++) {
        columns[count++] = i;
        if (count < sizeof columns / sizeof columns[0] && i + 1 < group->schema->stored_count)
            continue;
        status = row_group_ensure(group, columns, count, error);
        count = 0;
    }
    return status;
}

omen_status row_group_ensure_key(const struct row_group *group, omen_error *error)
{
    return row_group_ensure(group, group->schema->key.columns, group->schema->key.count, error);
}

omen_status row_group_ensure_uniques(const struct row_group *group, omen_error *error)
{
    const struct schema *schema = group->schema;
    for (uint32_t i = 0; i < schema->unique_count; i++)
        OMEN_TRY(
            row_group_ensure(group, schema->uniques[i].columns, schema->uniques[i].count, error));
    return OMEN_OK;
}
