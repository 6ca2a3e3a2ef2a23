/* row_group_export.c - slots of one window as Arrow, without a copy wherever nothing moves.
 *
 * Completed vectors: pointers into the group, cut to the slice. A range that reaches into the
 * vector being filled gets copies of its values and bitmaps (the strings behind them stay where
 * they are: heaps never move). A view column's data buffers are the chunks of its window; where
 * the range touches more than two of them, its strings are copied into one.
 *
 * Concurrency: any thread. packed_count is read once, so that the sizes counted first are those
 * filled afterwards; everything below it, and every slot below the caller's row count, is final.
 */
#include "column/array_block.h"
#include "column/row_group_private.h"

enum { CHUNKS_EXPORTED_MAX = 2 };

struct export_range {
    uint32_t first;
    uint32_t count;
    uint32_t packed; /* slots below have bitmaps and heap ends */
};

static bool has_tail(const struct export_range *range)
{
    return range->first + range->count > range->packed;
}

/* --- where a range's strings are --- */

struct text_plan {
    uint32_t chunk_first;
    struct heap_end end;
    bool copied;
    size_t copied_bytes;
};

static struct heap_end heap_end_before(const struct column *column, uint32_t slot)
{
    if (slot % BATCH_ROWS == 0)
        return (struct heap_end){0, 0};
    return column->heap_ends[slot / VECTOR_ROWS - 1];
}

static struct heap_end heap_end_of_range(const struct column *column,
                                         const struct export_range *range)
{
    uint32_t end = range->first + range->count;
    if (!has_tail(range))
        return column->heap_ends[(end - 1) / VECTOR_ROWS];
    const struct view *views = column->values;
    for (uint32_t slot = end; slot-- > range->packed;)
        if (views[slot].length > VIEW_INLINE_BYTES)
            return (struct heap_end){views[slot].as.place.chunk,
                                     views[slot].as.place.offset + views[slot].length};
    return heap_end_before(column, range->packed);
}

static struct text_plan plan_text(const struct column *column, const struct export_range *range)
{
    struct text_plan plan = {0};
    if (range->count == 0)
        return plan;
    plan.chunk_first = heap_end_before(column, range->first).chunk;
    plan.end = heap_end_of_range(column, range);
    plan.copied = plan.end.chunk - plan.chunk_first >= CHUNKS_EXPORTED_MAX;
    if (!plan.copied)
        return plan;
    const struct view *views = column->values;
    for (uint32_t i = 0; i < range->count; i++) {
        uint32_t length = views[range->first + i].length;
        plan.copied_bytes += length > VIEW_INLINE_BYTES ? length : 0;
    }
    return plan;
}

static uint32_t data_buffer_count(const struct text_plan *plan)
{
    return plan->copied ? 1 : plan->end.chunk + 1;
}

/* --- counting --- */

static size_t values_bytes(const struct column *column, uint32_t count)
{
    return column->type.id == OMEN_TYPE_BOOLEAN ? bit_words(count) * sizeof(uint64_t)
                                                : (size_t)count * column->width;
}

static void count_column(const struct column *column, const struct export_range *range,
                         struct array_needs *needs)
{
    needs->column_count++;
    needs->buffer_count += 2;
    bool copied = has_tail(range);
    if (copied && column->validity != NULL)
        needs->copied_bytes += array_copy_bytes(bit_words(range->count) * sizeof(uint64_t));
    if (column->windows != NULL) {
        struct text_plan plan = plan_text(column, range);
        uint32_t data_buffers = data_buffer_count(&plan);
        needs->buffer_count += data_buffers + 1;
        needs->copied_bytes +=
            array_copy_bytes(data_buffers * sizeof(int64_t)) + array_copy_bytes(plan.copied_bytes);
        copied = copied || plan.copied;
    }
    if (copied)
        needs->copied_bytes += array_copy_bytes(values_bytes(column, range->count));
}

/* --- filling --- */

/* The bitmap of a range: in place, or copied and completed from the bytes of the tail. */
static const uint64_t *range_bitmap(const uint64_t *packed, const uint8_t *bytes,
                                    const struct export_range *range, struct array_block *block)
{
    if (!has_tail(range))
        return packed + range->first / 64;
    uint64_t *words = array_block_copy_room(block, bit_words(range->count) * sizeof(uint64_t));
    uint32_t done = range->packed - range->first;
    memcpy(words, packed + range->first / 64, done / 8);
    bits_from_bytes(words + done / 64, bytes + range->packed, range->count - done);
    return words;
}

static void copy_text(const struct column *column, const struct export_range *range,
                      struct view *views, uint8_t *data)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < range->count; i++) {
        struct view *view = &views[i];
        if (view->length <= VIEW_INLINE_BYTES)
            continue;
        memcpy(data + used, view_data(column, range->first + i, view), view->length);
        view->as.place.chunk = 0;
        view->as.place.offset = used;
        used += view->length;
    }
}

static const void *range_values(const struct column *column, const struct export_range *range,
                                bool copied, struct array_block *block)
{
    if (column->values == NULL)
        return array_empty_buffer;
    if (column->type.id == OMEN_TYPE_BOOLEAN)
        return range_bitmap(column->values, column->truth, range, block);
    const uint8_t *values = (const uint8_t *)column->values + (size_t)range->first * column->width;
    if (!copied)
        return values;
    size_t bytes = values_bytes(column, range->count);
    return memcpy(array_block_copy_room(block, bytes), values, bytes);
}

/* The data buffers and their sizes behind the views in buffers[1]. */
static void fill_text(const struct column *column, const struct export_range *range,
                      const struct text_plan *plan, const void **buffers, struct array_block *block)
{
    uint32_t data_buffers = data_buffer_count(plan);
    int64_t *sizes = array_block_copy_room(block, data_buffers * sizeof *sizes);
    buffers[2 + data_buffers] = sizes;
    if (plan->copied) {
        uint8_t *data = array_block_copy_room(block, plan->copied_bytes);
        copy_text(column, range, (struct view *)(uintptr_t)buffers[1], data);
        buffers[2] = data;
        sizes[0] = (int64_t)plan->copied_bytes;
        return;
    }
    for (uint32_t c = 0; c < data_buffers; c++) {
        buffers[2 + c] = array_empty_buffer;
        sizes[c] = 0;
        if (c < plan->chunk_first || (c == plan->end.chunk && plan->end.used == 0))
            continue;
        const struct heap_chunk *chunk = &column->windows[range->first / BATCH_ROWS].chunks[c];
        buffers[2 + c] = chunk->data;
        sizes[c] = c == plan->end.chunk ? plan->end.used : chunk->used;
    }
}

static void fill_column(const struct column *column, const struct export_range *range,
                        struct array_block *block)
{
    struct text_plan plan = {0};
    uint32_t buffer_count = 2;
    if (column->windows != NULL) {
        plan = plan_text(column, range);
        buffer_count += data_buffer_count(&plan) + 1;
    }
    const void **buffers = array_block_buffers(block, buffer_count);
    int64_t null_count = 0;
    buffers[0] = NULL;
    if (column->validity != NULL) {
        const uint64_t *validity = range_bitmap(column->validity, column->valid, range, block);
        null_count = (int64_t)(range->count - bit_count_set(validity, range->count));
        if (null_count > 0)
            buffers[0] = validity;
    }
    buffers[1] = range_values(column, range, has_tail(range) || plan.copied, block);
    if (column->windows != NULL)
        fill_text(column, range, &plan, buffers, block);
    array_block_add_child(block, range->count, null_count, buffers, buffer_count);
}

static void count_row_ids(const struct export_range *range, struct array_needs *needs)
{
    needs->column_count++;
    needs->buffer_count += 2;
    needs->copied_bytes += array_copy_bytes(range->count * sizeof(uint64_t));
}

static void fill_row_ids(const struct row_group *group, const struct export_range *range,
                         struct array_block *block)
{
    const void **buffers = array_block_buffers(block, 2);
    uint64_t *row_ids = array_block_copy_room(block, range->count * sizeof *row_ids);
    for (uint32_t i = 0; i < range->count; i++)
        row_ids[i] = row_id_make(group->number, range->first + i);
    buffers[0] = NULL;
    buffers[1] = row_ids;
    array_block_add_child(block, range->count, 0, buffers, 2);
}

omen_status row_group_export(struct row_group *group, uint32_t first, uint32_t count,
                             const uint32_t *columns, uint32_t column_count, struct ArrowArray *out)
{
    OMEN_ASSERT(first % VECTOR_ROWS == 0 && first % BATCH_ROWS + count <= BATCH_ROWS);
    OMEN_ASSERT(first + count <= rows_published(group));
    memset(out, 0, sizeof *out);
    OMEN_TRY(row_group_ensure(group, columns, column_count, NULL));
    struct export_range range = {first, count, rows_packed(group)};
    struct array_needs needs = {0};
    for (uint32_t i = 0; i < column_count; i++)
        if (columns[i] == ROW_ID_COLUMN)
            count_row_ids(&range, &needs);
        else
            count_column(&group->columns[columns[i]], &range, &needs);
    struct array_block *block = array_block_make(group->allocator, &needs);
    if (block == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < column_count; i++)
        if (columns[i] == ROW_ID_COLUMN)
            fill_row_ids(group, &range, block);
        else
            fill_column(&group->columns[columns[i]], &range, block);
    array_block_finish(block, count, group, out);
    return OMEN_OK;
}
