/* batch_builder.c - gathering chosen rows of several groups into one Arrow batch.
 *
 * Per column one buffer of values (BOOLEAN: bits), one of validity, and for text one heap that
 * doubles. Finishing hands the buffers over to the batch; the next addition makes new ones.
 * Not shared: one thread at a time, and bits may be written in place.
 */
#include "column/array_block.h"
#include "column/row_group_private.h"

enum { BUILDER_HEAP_BYTES_MAX = INT32_MAX };

struct builder_column {
    uint32_t position; /* in the schema, or ROW_ID_COLUMN */
    uint32_t width;
    bool boolean, view, nullable;
    void *values;
    uint64_t *validity;
    uint8_t *heap;
    size_t heap_capacity;
    size_t heap_used;
    size_t heap_pending; /* used once the addition at hand is accepted */
    uint32_t null_count;
};

struct batch_builder {
    struct allocator *allocator;
    struct schema *schema;
    size_t bytes;
    uint32_t capacity;
    uint32_t row_count;
    uint32_t column_count;
    struct builder_column columns[];
};

omen_status batch_builder_create(struct allocator *allocator, struct schema *schema,
                                 const uint32_t *columns, uint32_t column_count, uint32_t capacity,
                                 struct batch_builder **out)
{
    *out = NULL;
    size_t bytes = sizeof(struct batch_builder) + column_count * sizeof(struct builder_column);
    struct batch_builder *builder = allocator_alloc_zeroed(allocator, bytes);
    if (builder == NULL)
        return OMEN_OUT_OF_MEMORY;
    builder->allocator = allocator;
    builder->schema = schema_retain(schema);
    builder->bytes = bytes;
    builder->capacity = capacity;
    builder->column_count = column_count;
    for (uint32_t i = 0; i < column_count; i++) {
        if (columns[i] == ROW_ID_COLUMN) {
            builder->columns[i] = (struct builder_column){.position = ROW_ID_COLUMN, .width = 8};
            continue;
        }
        OMEN_ASSERT(columns[i] < schema->stored_count);
        const struct column_definition *definition = &schema->columns[columns[i]];
        builder->columns[i] = (struct builder_column){
            .position = columns[i],
            .width = type_width(definition->type.id),
            .boolean = definition->type.id == OMEN_TYPE_BOOLEAN,
            .view = type_is_view(definition->type.id),
            .nullable = definition->nullable,
        };
    }
    *out = builder;
    return OMEN_OK;
}

uint32_t batch_builder_row_count(const struct batch_builder *builder)
{
    return builder->row_count;
}

static size_t builder_bitmap_bytes(const struct batch_builder *builder)
{
    return bit_words(builder->capacity) * sizeof(uint64_t);
}

static size_t builder_values_bytes(const struct batch_builder *builder,
                                   const struct builder_column *column)
{
    return column->boolean ? builder_bitmap_bytes(builder)
                           : (size_t)builder->capacity * column->width;
}

void batch_builder_destroy(struct batch_builder *builder)
{
    if (builder == NULL)
        return;
    for (uint32_t i = 0; i < builder->column_count; i++) {
        struct builder_column *column = &builder->columns[i];
        allocator_free(builder->allocator, column->values, builder_values_bytes(builder, column));
        allocator_free(builder->allocator, column->validity, builder_bitmap_bytes(builder));
        allocator_free(builder->allocator, column->heap, column->heap_capacity);
    }
    schema_release(builder->schema);
    allocator_free(builder->allocator, builder, builder->bytes);
}

/* --- adding --- */

static omen_status prepare_buffers(struct batch_builder *builder, struct builder_column *column)
{
    if (column->values == NULL)
        column->values = allocator_alloc(builder->allocator, builder_values_bytes(builder, column));
    if (column->values == NULL)
        return OMEN_OUT_OF_MEMORY;
    if (column->nullable && column->validity == NULL)
        column->validity = allocator_alloc(builder->allocator, builder_bitmap_bytes(builder));
    return column->nullable && column->validity == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
}

static void put_bit(uint64_t *words, size_t index, bool value)
{
    uint64_t mask = UINT64_C(1) << (index % 64);
    words[index / 64] = (words[index / 64] & ~mask) | (value ? mask : 0);
}

static omen_status prepare_heap(struct batch_builder *builder, struct builder_column *column,
                                uint64_t bytes)
{
    uint64_t needed = column->heap_used + bytes;
    if (needed > BUILDER_HEAP_BYTES_MAX)
        return OMEN_LIMIT_EXCEEDED;
    if (needed <= column->heap_capacity)
        return OMEN_OK;
    uint64_t capacity =
        size_min(size_max(needed, 2 * column->heap_capacity), BUILDER_HEAP_BYTES_MAX);
    uint8_t *heap =
        allocator_resize(builder->allocator, column->heap, column->heap_capacity, capacity);
    if (heap == NULL)
        return OMEN_OUT_OF_MEMORY;
    column->heap = heap;
    column->heap_capacity = capacity;
    return OMEN_OK;
}

static omen_status add_text(struct batch_builder *builder, struct builder_column *column,
                            const struct column *source, const uint16_t *slots, uint32_t count)
{
    const struct view *views = source->values;
    struct view *target = (struct view *)column->values + builder->row_count;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        target[i] = views[slots[i]];
        bytes += target[i].length > VIEW_INLINE_BYTES ? target[i].length : 0;
    }
    column->heap_pending = column->heap_used + bytes;
    if (bytes == 0)
        return OMEN_OK;
    OMEN_TRY(prepare_heap(builder, column, bytes));
    size_t used = column->heap_used;
    for (uint32_t i = 0; i < count; i++) {
        if (target[i].length <= VIEW_INLINE_BYTES)
            continue;
        memcpy(column->heap + used, view_data(source, slots[i], &target[i]), target[i].length);
        target[i].as.place.chunk = 0;
        target[i].as.place.offset = (uint32_t)used;
        used += target[i].length;
    }
    return OMEN_OK;
}

/* Most slots of a window are often chosen: then most runs of this many lie as they do there. */
enum { GATHER_RUN = 16 };

static inline bool is_run(const uint16_t *slots)
{
    uint32_t differences = 0;
    for (uint32_t i = 1; i < GATHER_RUN; i++)
        differences |= (uint32_t)slots[i] ^ (slots[0] + i);
    return differences == 0;
}

#define GATHER_SOME(width, first, end)                                                             \
    for (uint32_t row = first; row < (end); row++)                                                 \
    memcpy(target + (size_t)row * (width), values + (size_t)slots[row] * (width), width)
#define GATHER(width)                                                                              \
    for (; i + GATHER_RUN <= count; i += GATHER_RUN) {                                             \
        if (is_run(slots + i))                                                                     \
            memcpy(target + (size_t)i * (width), values + (size_t)slots[i] * (width),              \
                   (size_t)GATHER_RUN * (width));                                                  \
        else                                                                                       \
            GATHER_SOME(width, i, i + GATHER_RUN);                                                 \
    }                                                                                              \
    GATHER_SOME(width, i, count)

static void add_fixed(const struct batch_builder *builder, struct builder_column *column,
                      const struct column *source, const uint16_t *slots, uint32_t count)
{
    if (column->boolean) {
        for (uint32_t i = 0; i < count; i++)
            put_bit(column->values, builder->row_count + i, column_truth(source, slots[i]));
        return;
    }
    const uint8_t *values = source->values;
    uint8_t *target = (uint8_t *)column->values + (size_t)builder->row_count * column->width;
    uint32_t i = 0;
    switch (column->width) {
    case 2:
        GATHER(2);
        break;
    case 4:
        GATHER(4);
        break;
    case 8:
        GATHER(8);
        break;
    default:
        GATHER(16);
        break;
    }
}

static void add_row_ids(const struct batch_builder *builder, struct builder_column *column,
                        uint64_t group_number, const uint16_t *slots, uint32_t count)
{
    uint64_t *target = (uint64_t *)column->values + builder->row_count;
    for (uint32_t i = 0; i < count; i++)
        target[i] = row_id_make(group_number, slots[i]);
}

static void accept_validity(const struct batch_builder *builder, struct builder_column *column,
                            const struct column *source, const uint16_t *slots, uint32_t count)
{
    if (source->valid == NULL && source->validity == NULL) {
        bit_set_range(column->validity, builder->row_count, count);
        return;
    }
    for (uint32_t row = 0; row < count; row++) {
        bool has_value = column_has_value(source, slots[row]);
        put_bit(column->validity, builder->row_count + row, has_value);
        column->null_count += !has_value;
    }
}

/* Counts the additions in; nothing can fail any more. */
static void accept_rows(struct batch_builder *builder, const struct row_group *group,
                        const uint16_t *slots, uint32_t count)
{
    for (uint32_t i = 0; i < builder->column_count; i++) {
        struct builder_column *column = &builder->columns[i];
        if (column->position == ROW_ID_COLUMN)
            continue;
        column->heap_used = column->heap_pending;
        if (column->nullable)
            accept_validity(builder, column, &group->columns[column->position], slots, count);
    }
    builder->row_count += count;
}

omen_status batch_builder_add(struct batch_builder *builder, const struct row_group *group,
                              const uint16_t *slots, uint32_t count)
{
    OMEN_ASSERT(count <= builder->capacity - builder->row_count);
    if (count == 0)
        return OMEN_OK;
    if (row_group_wants_ensure(group))
        for (uint32_t i = 0; i < builder->column_count; i++)
            OMEN_TRY(row_group_ensure(group, &builder->columns[i].position, 1, NULL));
    for (uint32_t i = 0; i < builder->column_count; i++) {
        struct builder_column *column = &builder->columns[i];
        OMEN_TRY(prepare_buffers(builder, column));
        if (column->position == ROW_ID_COLUMN) {
            add_row_ids(builder, column, row_group_number(group), slots, count);
            continue;
        }
        const struct column *source = &group->columns[column->position];
        if (column->view)
            OMEN_TRY(add_text(builder, column, source, slots, count));
        else
            add_fixed(builder, column, source, slots, count);
    }
    accept_rows(builder, group, slots, count);
    return OMEN_OK;
}

/* --- finishing --- */

static void finish_column(struct batch_builder *builder, struct builder_column *column,
                          struct array_block *block)
{
    uint32_t buffer_count = column->view ? 4 : 2;
    const void **buffers = array_block_buffers(block, buffer_count);
    buffers[0] = NULL;
    buffers[1] = column->values == NULL ? array_empty_buffer : column->values;
    array_block_own(block, column->values, builder_values_bytes(builder, column));
    column->values = NULL;
    if (column->null_count > 0) {
        buffers[0] = column->validity;
        array_block_own(block, column->validity, builder_bitmap_bytes(builder));
        column->validity = NULL;
    }
    if (column->view) {
        int64_t *sizes = array_block_copy_room(block, sizeof *sizes);
        sizes[0] = (int64_t)column->heap_used;
        buffers[2] = column->heap_used == 0 ? array_empty_buffer : column->heap;
        buffers[3] = sizes;
        if (column->heap_used > 0) {
            array_block_own(block, column->heap, column->heap_capacity);
            column->heap = NULL;
            column->heap_capacity = 0;
        }
    }
    array_block_add_child(block, builder->row_count, column->null_count, buffers, buffer_count);
    column->null_count = 0;
    column->heap_used = column->heap_pending = 0;
}

omen_status batch_builder_finish(struct batch_builder *builder, struct ArrowArray *out)
{
    memset(out, 0, sizeof *out);
    struct array_needs needs = {.column_count = builder->column_count,
                                .owned_count = 3 * builder->column_count};
    for (uint32_t i = 0; i < builder->column_count; i++) {
        needs.buffer_count += builder->columns[i].view ? 4 : 2;
        needs.copied_bytes += builder->columns[i].view ? array_copy_bytes(sizeof(int64_t)) : 0;
    }
    struct array_block *block = array_block_make(builder->allocator, &needs);
    if (block == NULL)
        return OMEN_OUT_OF_MEMORY;
    uint32_t row_count = builder->row_count;
    for (uint32_t i = 0; i < builder->column_count; i++)
        finish_column(builder, &builder->columns[i], block);
    builder->row_count = 0;
    array_block_finish(block, row_count, NULL, out);
    return OMEN_OK;
}
