/* array_block.h - one Arrow struct array in one block of memory (private to src/column).
 *
 *   | struct array_block | children[] | child pointers[] | buffer pointers[] | owned[] | copies |
 *
 * The block counts the arrays that still need it: a consumer may move children out of their
 * parent and release each from another thread. The last release gives back the block, the
 * buffers it owns and its reference to a row group.
 * Source: https://arrow.apache.org/docs/format/CDataInterface.html
 */
#ifndef OMEN_COLUMN_ARRAY_BLOCK_H
#define OMEN_COLUMN_ARRAY_BLOCK_H

#include "base/allocator.h"
#include "column/row_group.h"

struct array_block;

/* What a block must have room for. `copied_bytes` sums array_copy_bytes of each copy. */
struct array_needs {
    uint32_t column_count;
    uint32_t buffer_count; /* over all columns */
    uint32_t owned_count;
    size_t copied_bytes;
};

static inline size_t array_copy_bytes(size_t bytes)
{
    return (bytes + ALLOCATOR_ALIGNMENT - 1) / ALLOCATOR_ALIGNMENT * ALLOCATOR_ALIGNMENT;
}

/* NULL where memory is out. */
struct array_block *array_block_make(struct allocator *allocator, const struct array_needs *needs);

/* Gives back a block that was not finished; buffers already owned go with it. */
void array_block_discard(struct array_block *block);

/* The next `count` buffer pointers; the next `bytes` of room for copies, 64-byte aligned. */
const void **array_block_buffers(struct array_block *block, uint32_t count);
void *array_block_copy_room(struct array_block *block, size_t bytes);

/* Hands a buffer of the block's allocator over to it. */
void array_block_own(struct array_block *block, void *pointer, size_t bytes);

/* Describes the next child. */
void array_block_add_child(struct array_block *block, int64_t length, int64_t null_count,
                           const void **buffers, uint32_t buffer_count);

/* Completes `out`. `group` (may be NULL) is referenced until the last array is released. */
void array_block_finish(struct array_block *block, int64_t length, struct row_group *group,
                        struct ArrowArray *out);

/* 64 aligned zero bytes, for buffers without content that some readers want to be non-NULL. */
extern const uint8_t array_empty_buffer[64];

#endif
