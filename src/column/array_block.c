/* array_block.c - see array_block.h. */
#include "column/array_block.h"

#include <string.h>

#include "base/assert.h"

_Alignas(64) const uint8_t array_empty_buffer[64];

struct owned_buffer {
    void *pointer;
    size_t bytes;
};

struct array_block {
    struct allocator *allocator;
    size_t bytes;
    atomic_uint references; /* the parent and the children not yet released */
    struct row_group *group;
    uint32_t child_count, child_limit;
    uint32_t buffer_count, buffer_limit;
    uint32_t owned_count, owned_limit;
    size_t copied, copied_limit;
    struct ArrowArray *children;
    struct ArrowArray **pointers;
    const void **buffers;
    struct owned_buffer *owned;
    uint8_t *copies;
    const void *parent_buffers[1];
};

struct array_block *array_block_make(struct allocator *allocator, const struct array_needs *needs)
{
    size_t children = array_copy_bytes(sizeof(struct array_block));
    size_t pointers = children + needs->column_count * sizeof(struct ArrowArray);
    size_t buffers = pointers + needs->column_count * sizeof(struct ArrowArray *);
    size_t owned = buffers + needs->buffer_count * sizeof(void *);
    size_t copies = array_copy_bytes(owned + needs->owned_count * sizeof(struct owned_buffer));
    size_t bytes = copies + needs->copied_bytes;
    uint8_t *memory = allocator_alloc(allocator, bytes);
    if (memory == NULL)
        return NULL;
    struct array_block *block = (struct array_block *)memory;
    *block = (struct array_block){
        .allocator = allocator,
        .bytes = bytes,
        .child_limit = needs->column_count,
        .buffer_limit = needs->buffer_count,
        .owned_limit = needs->owned_count,
        .copied_limit = needs->copied_bytes,
        .children = (struct ArrowArray *)(memory + children),
        .pointers = (struct ArrowArray **)(memory + pointers),
        .buffers = (const void **)(memory + buffers),
        .owned = (struct owned_buffer *)(memory + owned),
        .copies = memory + copies,
    };
    return block;
}

void array_block_discard(struct array_block *block)
{
    for (uint32_t i = 0; i < block->owned_count; i++)
        allocator_free(block->allocator, block->owned[i].pointer, block->owned[i].bytes);
    row_group_release(block->group);
    allocator_free(block->allocator, block, block->bytes);
}

const void **array_block_buffers(struct array_block *block, uint32_t count)
{
    OMEN_ASSERT(count <= block->buffer_limit - block->buffer_count);
    const void **buffers = block->buffers + block->buffer_count;
    block->buffer_count += count;
    return buffers;
}

void *array_block_copy_room(struct array_block *block, size_t bytes)
{
    OMEN_ASSERT(array_copy_bytes(bytes) <= block->copied_limit - block->copied);
    void *room = block->copies + block->copied;
    block->copied += array_copy_bytes(bytes);
    return room;
}

void array_block_own(struct array_block *block, void *pointer, size_t bytes)
{
    OMEN_ASSERT(block->owned_count < block->owned_limit);
    block->owned[block->owned_count++] = (struct owned_buffer){pointer, bytes};
}

static void drop(struct array_block *block)
{
    /* Release pairs with the acquire of the last one out: every use comes before the free. */
    if (atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) == 1)
        array_block_discard(block);
}

static void release_child(struct ArrowArray *array)
{
    struct array_block *block = array->private_data;
    array->release = NULL;
    drop(block);
}

static void release_parent(struct ArrowArray *array)
{
    struct array_block *block = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++)
        if (array->children[i]->release != NULL)
            array->children[i]->release(array->children[i]);
    array->release = NULL;
    drop(block);
}

void array_block_add_child(struct array_block *block, int64_t length, int64_t null_count,
                           const void **buffers, uint32_t buffer_count)
{
    OMEN_ASSERT(block->child_count < block->child_limit);
    struct ArrowArray *child = &block->children[block->child_count];
    *child = (struct ArrowArray){
        .length = length,
        .null_count = null_count,
        .n_buffers = buffer_count,
        .buffers = buffers,
        .release = release_child,
        .private_data = block,
    };
    block->pointers[block->child_count++] = child;
}

void array_block_finish(struct array_block *block, int64_t length, struct row_group *group,
                        struct ArrowArray *out)
{
    block->group = group == NULL ? NULL : row_group_retain(group);
    atomic_init(&block->references, block->child_count + 1);
    *out = (struct ArrowArray){
        .length = length,
        .n_buffers = 1,
        .n_children = block->child_count,
        .buffers = block->parent_buffers,
        .children = block->pointers,
        .release = release_parent,
        .private_data = block,
    };
}
