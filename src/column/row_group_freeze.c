/* row_group_freeze.c - the compact form of a sealed group.
 *
 * Same number, same slots. What every reader from the watermark on no longer needs goes: begins,
 * previous versions, the byte-a-row forms, unused room. Text is laid out anew, one chunk per
 * window of 8,192 slots, in slot order.
 */
#include "column/row_group_private.h"

static bool begins_reached(const struct row_group *group, uint64_t watermark)
{
    return group_is_frozen(group) || row_group_max_begin(group) <= watermark;
}

static omen_status freeze_window(const struct column *source, uint32_t first, uint32_t end,
                                 struct row_group *group, struct column *target)
{
    struct view *views = target->values;
    uint64_t bytes = 0;
    for (uint32_t slot = first; slot < end; slot++)
        bytes += views[slot].length > VIEW_INLINE_BYTES ? views[slot].length : 0;
    OMEN_ASSERT(bytes <= HEAP_BYTES_MAX);
    struct heap_window *window = &target->windows[first / BATCH_ROWS];
    uint8_t *data = NULL;
    if (bytes > 0) {
        data = allocator_alloc(group->allocator, bytes);
        if (data == NULL)
            return OMEN_OUT_OF_MEMORY;
        window->chunk_count = 1;
        window->chunks[0] =
            (struct heap_chunk){.data = data, .capacity = (uint32_t)bytes, .used = (uint32_t)bytes};
        atomic_fetch_add_explicit(&group->column_bytes, bytes, memory_order_relaxed);
    }
    uint32_t used = 0;
    for (uint32_t slot = first; slot < end; slot++) {
        struct view *view = &views[slot];
        if (view->length > VIEW_INLINE_BYTES) {
            memcpy(data + used, view_data(source, slot, view), view->length);
            view->as.place.chunk = 0;
            view->as.place.offset = used;
            used += view->length;
        }
        if (slot % VECTOR_ROWS == VECTOR_ROWS - 1 || slot == end - 1)
            target->heap_ends[slot / VECTOR_ROWS] = (struct heap_end){0, used};
    }
    return OMEN_OK;
}

omen_status column_freeze(const struct column *source, const uint64_t *begun,
                          struct row_group *group, struct column *target)
{
    uint32_t rows = rows_published(group);
    uint32_t vectors = vectors_for(rows);
    if (target->validity != NULL) {
        memcpy(target->validity, source->validity, bit_words(rows) * sizeof(uint64_t));
        if (bit_count_set(target->validity, rows) == rows) {
            target->validity = NULL;
            target->cell &= (uint8_t)~CELL_NULLABLE;
        }
    }
    if (target->type.id == OMEN_TYPE_BOOLEAN)
        memcpy(target->values, source->values, bit_words(rows) * sizeof(uint64_t));
    else
        memcpy(target->values, source->values, (size_t)rows * target->width);
    for (uint32_t w = 0; target->windows != NULL && w < windows_for(rows); w++) {
        uint32_t end = (uint32_t)size_min(rows, (w + 1) * BATCH_ROWS);
        OMEN_TRY(freeze_window(source, w * BATCH_ROWS, end, group, target));
    }
    if (begun == NULL) {
        memcpy(target->zones, source->zones, vectors * sizeof *target->zones);
    } else {
        for (uint32_t v = 0; v < vectors; v++)
            zone_compute(target, v * VECTOR_ROWS,
                         (uint32_t)size_min(VECTOR_ROWS, rows - v * VECTOR_ROWS), begun,
                         &target->zones[v]);
    }
    zone_merge(target, vectors, &target->zone);
    return OMEN_OK;
}

static void find_begun(const struct row_group *group, uint64_t *begun)
{
    uint32_t rows = rows_published(group);
    for (uint32_t slot = 0; slot < rows; slot++)
        if (row_group_begin(group, slot) != TIMESTAMP_PENDING)
            bit_set(begun, slot);
}

omen_status row_group_freeze(const struct row_group *group, uint64_t watermark,
                             struct row_group **out)
{
    *out = NULL;
    OMEN_ASSERT(row_group_state_of(group) == ROW_GROUP_SEALED && group->origin == NULL);
    if (!begins_reached(group, watermark))
        return OMEN_NOT_READY;
    uint32_t rows = rows_published(group);
    struct row_group *frozen = NULL;
    uint64_t *begun = NULL;
    size_t begun_bytes = bitmap_bytes(rows);
    omen_status status = row_group_make(group->allocator, group->schema, group->number, rows,
                                        ROW_GROUP_FROZEN, &frozen);
    if (status != OMEN_OK)
        goto out;
    atomic_init(&frozen->row_count, rows);
    atomic_init(&frozen->packed_count, rows);
    if (row_group_unbegun_count(group) > 0) {
        begun = allocator_alloc_zeroed(group->allocator, begun_bytes);
        if (begun == NULL) {
            status = OMEN_OUT_OF_MEMORY;
            goto out;
        }
        find_begun(group, begun);
    }
    for (uint32_t i = 0; i < group->schema->stored_count && status == OMEN_OK; i++)
        status = column_freeze(&group->columns[i], begun, frozen, &frozen->columns[i]);
    if (status == OMEN_OK)
        status = row_group_copy_ends(group, frozen);
out:
    allocator_free(group->allocator, begun, begun_bytes);
    if (status != OMEN_OK) {
        row_group_release(frozen);
        return status;
    }
    *out = frozen;
    return OMEN_OK;
}
