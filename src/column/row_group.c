/* row_group.c - making, growing, sealing and freeing row groups, and reading single values.
 *
 * Layout and the rules of who may look at what: row_group_private.h.
 */
#include "column/row_group.h"

#include "column/key.h"
#include "column/row_group_private.h"

/* --- blocks --- */

/* Takes `bytes` from a block that is being laid out, aligned to 64; with block = NULL it only
 * counts, so that one routine gives both the size and the places. */
static void *carve(uint8_t *block, size_t *used, size_t bytes)
{
    void *place = block == NULL || bytes == 0 ? NULL : block + *used;
    *used += (bytes + ALLOCATOR_ALIGNMENT - 1) / ALLOCATOR_ALIGNMENT * ALLOCATOR_ALIGNMENT;
    return place;
}

static size_t lay_out_column(struct column *column, uint32_t capacity, bool nullable, bool frozen,
                             uint8_t *block)
{
    bool boolean = column->type.id == OMEN_TYPE_BOOLEAN;
    bool view = type_is_view(column->type.id);
    capacity = (uint32_t)size_max(capacity, 1); /* no buffer of an empty group is NULL */
    uint32_t vectors = vectors_for(capacity);
    size_t used = 0;
    column->zones = carve(block, &used, vectors * sizeof *column->zones);
    column->windows =
        carve(block, &used, view ? windows_for(capacity) * sizeof *column->windows : 0);
    column->heap_ends = carve(block, &used, view ? vectors * sizeof *column->heap_ends : 0);
    column->values =
        carve(block, &used, boolean ? bitmap_bytes(capacity) : (size_t)capacity * column->width);
    column->validity = carve(block, &used, nullable ? bitmap_bytes(capacity) : 0);
    column->valid = carve(block, &used, nullable && !frozen ? capacity : 0);
    column->truth = carve(block, &used, boolean && !frozen ? capacity : 0);
    return used;
}

static enum cell cell_of(omen_type_id type)
{
    if (type == OMEN_TYPE_BOOLEAN)
        return CELL_BOOLEAN;
    if (type_is_view(type))
        return CELL_VIEW;
    uint32_t width = type_width(type);
    return width == 2 ? CELL_2 : width == 4 ? CELL_4 : width == 8 ? CELL_8 : CELL_16;
}

omen_status column_make(struct row_group *group, uint32_t position, bool frozen)
{
    const struct column_definition *definition = &group->schema->columns[position];
    struct column *column = &group->columns[position];
    column->type = definition->type;
    column->width = (uint16_t)type_width(definition->type.id);
    column->cell =
        (uint8_t)(cell_of(definition->type.id) | (definition->nullable ? CELL_NULLABLE : 0));
    size_t bytes = lay_out_column(column, group->capacity, definition->nullable, frozen, NULL);
    column->block = allocator_alloc(group->allocator, bytes);
    if (column->block == NULL)
        return OMEN_OUT_OF_MEMORY;
    column->block_bytes = bytes;
    lay_out_column(column, group->capacity, definition->nullable, frozen, column->block);
    uint32_t vectors = vectors_for(group->capacity);
    memset(column->zones, 0, vectors * sizeof *column->zones);
    if (column->windows != NULL) {
        memset(column->windows, 0, windows_for(group->capacity) * sizeof *column->windows);
        memset(column->heap_ends, 0, vectors * sizeof *column->heap_ends);
    }
    atomic_fetch_add_explicit(&group->column_bytes, bytes, memory_order_relaxed);
    return OMEN_OK;
}

static omen_status make_lifetimes(struct row_group *group)
{
    size_t summary_bytes = 0;
    carve(NULL, &summary_bytes, vectors_for(group->capacity) * sizeof *group->begins);
    size_t stamp_bytes = 0;
    carve(NULL, &stamp_bytes, group->capacity * sizeof *group->begin);
    group->lifetime_bytes = summary_bytes + 2 * stamp_bytes;
    group->lifetime_block = allocator_alloc_zeroed(group->allocator, group->lifetime_bytes);
    if (group->lifetime_block == NULL)
        return OMEN_OUT_OF_MEMORY;
    uint8_t *block = group->lifetime_block;
    group->begins = (struct begin_summary *)block;
    group->begin = (atomic_uint_fast64_t *)(block + summary_bytes);
    group->previous = (atomic_uint_fast64_t *)(block + summary_bytes + stamp_bytes);
    struct row_ends *ends = row_ends_make(group->allocator, group->capacity, ENDS_STAMPED);
    if (ends == NULL)
        return OMEN_OUT_OF_MEMORY;
    atomic_store_explicit(&group->ends, ends, memory_order_relaxed);
    return OMEN_OK;
}

omen_status row_group_make_bare(struct allocator *allocator, struct schema *schema, uint64_t number,
                                uint32_t capacity, enum row_group_state state,
                                struct row_group **out)
{
    OMEN_ASSERT(capacity <= ROW_GROUP_ROWS);
    *out = NULL;
    size_t bytes = sizeof(struct row_group) + schema->stored_count * sizeof(struct column);
    static_assert(sizeof(struct row_group) % ALLOCATOR_ALIGNMENT == 0, "columns are aligned");
    struct row_group *group = allocator_alloc_zeroed(allocator, bytes);
    if (group == NULL)
        return OMEN_OUT_OF_MEMORY;
    group->allocator = allocator;
    group->schema = schema_retain(schema);
    group->number = number;
    group->struct_bytes = bytes;
    group->capacity = capacity;
    atomic_init(&group->references, 1);
    atomic_init(&group->state, state);
    *out = group;
    return OMEN_OK;
}

omen_status row_group_make(struct allocator *allocator, struct schema *schema, uint64_t number,
                           uint32_t capacity, enum row_group_state state, struct row_group **out)
{
    *out = NULL;
    struct row_group *group;
    OMEN_TRY(row_group_make_bare(allocator, schema, number, capacity, state, &group));
    omen_status status = OMEN_OK;
    for (uint32_t i = 0; i < schema->stored_count && status == OMEN_OK; i++)
        status = column_make(group, i, state == ROW_GROUP_FROZEN);
    if (status == OMEN_OK && state != ROW_GROUP_FROZEN)
        status = make_lifetimes(group);
    if (status != OMEN_OK) {
        row_group_release(group);
        return status;
    }
    *out = group;
    return OMEN_OK;
}

omen_status row_group_create(struct allocator *allocator, struct schema *schema, uint64_t number,
                             uint32_t capacity, struct row_group **out)
{
    OMEN_ASSERT(capacity >= 1);
    return row_group_make(allocator, schema, number, capacity, ROW_GROUP_OPEN, out);
}

struct row_group *row_group_retain(struct row_group *group)
{
    /* Relaxed: whoever retains already holds a reference. */
    atomic_fetch_add_explicit(&group->references, 1, memory_order_relaxed);
    return group;
}

struct row_group *row_group_hold(struct row_group *group)
{
    row_group_retain(group);
    atomic_fetch_add_explicit(&group->holds, 1, memory_order_relaxed);
    return group;
}

void row_group_unhold(struct row_group *group)
{
    /* Relaxed: the release that follows orders it for row_group_is_pinned. */
    atomic_fetch_sub_explicit(&group->holds, 1, memory_order_relaxed);
    row_group_release(group);
}

struct row_group *row_group_pin(struct row_group *group)
{
    if (group->origin == NULL)
        return row_group_retain(group);
    mutex_lock(&group->origin->pinning);
    row_group_retain(group);
    mutex_unlock(&group->origin->pinning);
    return group;
}

void column_free(struct row_group *group, struct column *column)
{
    if (column->block == NULL)
        return;
    size_t bytes = column->block_bytes;
    for (uint32_t w = 0; column->windows != NULL && w < windows_for(group->capacity); w++) {
        struct heap_window *window = &column->windows[w];
        for (uint32_t c = 0; c < window->chunk_count; c++) {
            bytes += window->chunks[c].capacity;
            allocator_free(group->allocator, window->chunks[c].data, window->chunks[c].capacity);
        }
    }
    allocator_free(group->allocator, column->block, column->block_bytes);
    atomic_fetch_sub_explicit(&group->column_bytes, bytes, memory_order_relaxed);
    *column = (struct column){.type = column->type, .width = column->width};
}

void row_group_release(struct row_group *group)
{
    if (group == NULL)
        return;
    /* Release pairs with the acquire of the last one out: every use comes before the free. */
    if (atomic_fetch_sub_explicit(&group->references, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < group->schema->stored_count; i++)
        column_free(group, &group->columns[i]);
    allocator_free(group->allocator, group->lifetime_block, group->lifetime_bytes);
    row_ends_free(group->allocator, group_ends(group));
    row_group_origin_free(group);
    schema_release(group->schema);
    allocator_free(group->allocator, group, group->struct_bytes);
}

/* --- growing --- */

/* The text of one window in one chunk, with room for what the larger group will add. */
static omen_status grow_window(const struct column *source, uint32_t window,
                               struct row_group *group, struct column *target)
{
    uint32_t first = window * BATCH_ROWS;
    uint32_t rows = rows_published(group);
    uint32_t end = (uint32_t)size_min(rows, first + BATCH_ROWS);
    struct view *views = target->values;
    uint64_t bytes = 0;
    for (uint32_t slot = first; slot < end; slot++)
        bytes += views[slot].length > VIEW_INLINE_BYTES ? views[slot].length : 0;
    if (bytes == 0)
        return OMEN_OK;
    uint64_t room = size_min(group->capacity, first + BATCH_ROWS) - first;
    uint64_t capacity = size_min(bytes * room / (end - first), HEAP_BYTES_MAX);
    uint8_t *data = allocator_alloc(group->allocator, size_max(capacity, bytes));
    if (data == NULL)
        return OMEN_OUT_OF_MEMORY;
    struct heap_chunk *chunk = &target->windows[window].chunks[0];
    *chunk = (struct heap_chunk){.data = data, .capacity = (uint32_t)size_max(capacity, bytes)};
    target->windows[window].chunk_count = 1;
    atomic_fetch_add_explicit(&group->column_bytes, chunk->capacity, memory_order_relaxed);
    for (uint32_t slot = first; slot < end; slot++) {
        struct view *view = &views[slot];
        if (view->length > VIEW_INLINE_BYTES) {
            memcpy(data + chunk->used, view_data(source, slot, view), view->length);
            view->as.place.chunk = 0;
            view->as.place.offset = chunk->used;
            chunk->used += view->length;
        }
        if (slot % VECTOR_ROWS == VECTOR_ROWS - 1)
            target->heap_ends[slot / VECTOR_ROWS] = (struct heap_end){0, chunk->used};
    }
    target->committed = (struct heap_end){0, end % BATCH_ROWS == 0 ? 0 : chunk->used};
    return OMEN_OK;
}

static omen_status grow_column(const struct column *source, struct row_group *group,
                               struct column *target)
{
    uint32_t rows = rows_published(group);
    memcpy(target->zones, source->zones, vectors_for(rows) * sizeof *target->zones);
    if (target->truth != NULL)
        memcpy(target->truth, source->truth, rows);
    if (target->valid != NULL)
        memcpy(target->valid, source->valid, rows);
    size_t packed_bytes = rows_packed(group) / 8;
    if (target->validity != NULL)
        memcpy(target->validity, source->validity, packed_bytes);
    if (target->truth != NULL)
        memcpy(target->values, source->values, packed_bytes);
    else
        memcpy(target->values, source->values, (size_t)rows * target->width);
    for (uint32_t w = 0; target->windows != NULL && w < windows_for(rows); w++)
        OMEN_TRY(grow_window(source, w, group, target));
    return OMEN_OK;
}

static omen_status grow_ends(const struct row_group *source, struct row_group *target)
{
    struct row_ends *ends = group_ends(target);
    uint32_t rows = rows_published(source);
    for (uint32_t slot = 0; slot < rows; slot++)
        atomic_init(&ends->end[slot], TIMESTAMP_INFINITY);
    return row_group_copy_ends(source, target);
}

static void grow_begins(const struct row_group *source, struct row_group *target)
{
    uint32_t rows = rows_published(source);
    for (uint32_t slot = 0; slot < rows; slot++) {
        atomic_store_explicit(&target->begin[slot], row_group_begin(source, slot),
                              memory_order_relaxed);
        atomic_store_explicit(&target->previous[slot], row_group_previous(source, slot),
                              memory_order_relaxed);
    }
    for (uint32_t v = 0; v < vectors_for(rows); v++) {
        const struct begin_summary *from = &source->begins[v];
        struct begin_summary *to = &target->begins[v];
        atomic_init(&to->max, atomic_load_explicit(&from->max, memory_order_relaxed));
        atomic_init(&to->prefix, atomic_load_explicit(&from->prefix, memory_order_relaxed));
    }
    atomic_init(&target->begun_count,
                atomic_load_explicit(&source->begun_count, memory_order_relaxed));
    atomic_init(&target->max_begin, row_group_max_begin(source));
}

omen_status row_group_grow(const struct row_group *group, uint32_t capacity, struct row_group **out)
{
    *out = NULL;
    OMEN_ASSERT(row_group_state_of(group) == ROW_GROUP_OPEN && capacity >= rows_published(group));
    struct row_group *larger;
    OMEN_TRY(row_group_make(group->allocator, group->schema, group->number, capacity,
                            ROW_GROUP_OPEN, &larger));
    atomic_init(&larger->row_count, rows_published(group));
    atomic_init(&larger->packed_count, rows_packed(group));
    omen_status status = OMEN_OK;
    for (uint32_t i = 0; i < group->schema->stored_count && status == OMEN_OK; i++)
        status = grow_column(&group->columns[i], larger, &larger->columns[i]);
    if (status == OMEN_OK)
        status = grow_ends(group, larger);
    if (status != OMEN_OK) {
        row_group_release(larger);
        return status;
    }
    grow_begins(group, larger);
    *out = larger;
    return OMEN_OK;
}

void row_group_renumber(struct row_group *group, uint64_t number)
{
    OMEN_ASSERT(!row_group_is_shared(group));
    group->number = number;
}

/* --- facts --- */

uint64_t row_group_number(const struct row_group *group)
{
    return group->number;
}

struct schema *row_group_schema(const struct row_group *group)
{
    return group->schema;
}

enum row_group_state row_group_state_of(const struct row_group *group)
{
    /* Acquire pairs with the release in row_group_seal: a sealed group's zones are complete. */
    return (enum row_group_state)atomic_load_explicit(&group->state, memory_order_acquire);
}

uint32_t row_group_capacity(const struct row_group *group)
{
    return group->capacity;
}

uint32_t row_group_row_count(const struct row_group *group)
{
    return rows_published(group);
}

uint32_t row_group_packed_count(const struct row_group *group)
{
    return rows_packed(group);
}

size_t row_group_column_bytes(const struct row_group *group)
{
    return atomic_load_explicit(&group->column_bytes, memory_order_relaxed);
}

size_t row_group_bytes(const struct row_group *group)
{
    const struct row_ends *ends = group_ends(group);
    return group->struct_bytes + group->lifetime_bytes + (ends == NULL ? 0 : ends->bytes) +
           (group->origin == NULL ? 0 : group->origin->bytes) + row_group_column_bytes(group);
}

const void *row_group_values(const struct row_group *group, uint32_t column)
{
    OMEN_ASSERT(column < group->schema->stored_count);
    return group->columns[column].values;
}

/* --- reading --- */

void row_group_read(const struct row_group *group, uint32_t slot, uint32_t column_index,
                    omen_value *out)
{
    OMEN_DCHECK(column_index < group->schema->stored_count && slot < group->capacity);
    column_read(&group->columns[column_index], slot, out);
}

static bool copy_value(const struct column *column, uint32_t slot, uint8_t *room, omen_value *out)
{
    column_read(column, slot, out);
    if (column->windows == NULL || out->is_null)
        return true;
    size_t length = out->as.bytes.length;
    if (length > ROW_COPY_TEXT_BYTES)
        return false;
    if (length > 0)
        memcpy(room, out->as.bytes.data, length);
    out->as.bytes.data = room;
    return true;
}

/* The columns from number `at` on, of every form. Out of line, so that the common way needs no
 * stack frame. */
static __attribute__((noinline)) void copy_others(struct row_group *group, uint32_t slot,
                                                  uint32_t at, struct row_copy *copy)
{
    bool whole = true;
    for (; at < copy->column_count; at++)
        whole &= copy_value(&group->columns[copy->columns[at]], slot, copy->texts[at],
                            &copy->values[at]);
    if (!whole)
        copy->pinned = row_group_retain(group);
}

/* Few instructions: docs/decisions/0011. The two most frequent forms, numbers of 8 bytes and short
 * texts without a NULL in the group, are read here up to the first value of another. */
static inline void copy_columns(struct row_group *group, uint32_t slot, struct row_copy *copy)
{
    const uint32_t *columns = copy->columns;
    uint32_t count = copy->column_count;
    omen_value *out = copy->values;
    uint8_t(*room)[ROW_COPY_TEXT_BYTES] = copy->texts;
    for (uint32_t at = 0; at < count; at++, out++, room++) {
        const struct column *column = &group->columns[columns[at]];
        if (column->cell == CELL_8) {
            out->as.i64 = ((const int64_t *)column->values)[slot];
        } else {
            const struct view *view = (const struct view *)column->values + slot;
            if (column->cell != CELL_VIEW || view->length > VIEW_INLINE_BYTES) {
                copy_others(group, slot, at, copy);
                return;
            }
            memcpy(*room, view, sizeof *view);
            out->as.bytes.data = *room + offsetof(struct view, as);
            out->as.bytes.length = view->length;
        }
        out->is_null = false;
    }
}

void row_group_copy(struct row_group *group, uint32_t slot, struct row_copy *copy)
{
    copy_columns(group, slot, copy);
}

static __attribute__((noinline)) bool columns_are_here(struct row_group *group,
                                                       const struct row_copy *copy)
{
    row_group_warm(group);
    for (uint32_t i = 0; i < copy->column_count; i++)
        if (!column_is_loaded(group, copy->columns[i]))
            return false;
    return true;
}

enum row_newest row_group_copy_newest(struct row_group *group, uint32_t slot, uint64_t snapshot,
                                      struct row_copy *copy)
{
    if (!group_is_frozen(group)) {
        uint64_t begin = atomic_load_explicit(&group->begin[slot], memory_order_relaxed);
        if (begin - 1 >= snapshot) /* a pending begin of 0 wraps around */
            return ROW_NEWEST_LATER;
    }
    const struct row_ends *ends = group_ends(group);
    if (ends != NULL) {
        uint64_t end = __builtin_expect(ends->end != NULL, 1)
                           ? atomic_load_explicit(&ends->end[slot], memory_order_relaxed)
                           : row_group_end(group, slot);
        if (end <= snapshot)
            return ROW_NEWEST_ENDED;
    }
    if (__builtin_expect(row_group_wants_ensure(group), 0) && !columns_are_here(group, copy))
        return ROW_NEWEST_ABSENT;
    copy_columns(group, slot, copy);
    return ROW_NEWEST_COPIED;
}

void row_group_prefetch(const struct row_group *group, uint32_t slot, const uint32_t *columns,
                        uint32_t column_count)
{
    for (uint32_t i = 0; i < column_count; i++) {
        const struct column *column = &group->columns[columns[i]];
        if (column->truth != NULL)
            __builtin_prefetch(&column->truth[slot]);
        else if (column->type.id == OMEN_TYPE_BOOLEAN)
            __builtin_prefetch((const uint8_t *)column->values + slot / 8);
        else
            __builtin_prefetch((const uint8_t *)column->values + (size_t)slot * column->width);
        if (column->valid != NULL)
            __builtin_prefetch(&column->valid[slot]);
        else if (column->validity != NULL)
            __builtin_prefetch(&column->validity[slot / 64]);
    }
}

omen_status row_group_key(const struct row_group *group, uint32_t slot, struct arena *arena,
                          struct index_key *out)
{
    const struct schema *schema = group->schema;
    omen_value values[SCHEMA_KEY_COLUMNS_MAX];
    OMEN_TRY(row_group_ensure_key(group, NULL));
    for (uint32_t i = 0; i < schema->key.count; i++)
        row_group_read(group, slot, schema->key.columns[i], &values[i]);
    return key_encode(schema, values, arena, out, NULL);
}

omen_status row_group_key_of(const struct row_group *group, uint32_t number, uint32_t slot,
                             struct arena *arena, struct index_key *out, bool *whole)
{
    const struct schema *schema = group->schema;
    const struct schema_key *key = schema_key_of(schema, number);
    omen_value values[SCHEMA_KEY_COLUMNS_MAX];
    *whole = false;
    *out = (struct index_key){0};
    OMEN_TRY(row_group_ensure(group, key->columns, key->count, NULL));
    for (uint32_t i = 0; i < key->count; i++) {
        row_group_read(group, slot, key->columns[i], &values[i]);
        if (values[i].is_null)
            return OMEN_OK;
    }
    *whole = true;
    return key_encode_of(schema, key, values, arena, out, NULL);
}
