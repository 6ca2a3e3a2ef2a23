/* arena.c - a chain of blocks, each twice as large as the one before up to 1 MiB. */
#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK_BYTES_MIN = 1024, BLOCK_BYTES_MAX = 1 << 20, UNIT = 16 };

struct arena_block {
    struct arena_block *next;
    size_t bytes; /* the whole block, this header included */
};

_Static_assert(sizeof(struct arena_block) % UNIT == 0, "payload stays aligned");

void arena_init(struct arena *arena, struct allocator *allocator)
{
    *arena = (struct arena){.allocator = allocator};
}

static bool arena_grow(struct arena *arena, size_t bytes)
{
    size_t block_bytes = BLOCK_BYTES_MIN;
    if (arena->blocks != NULL)
        block_bytes =
            arena->blocks->bytes < BLOCK_BYTES_MAX / 2 ? arena->blocks->bytes * 2 : BLOCK_BYTES_MAX;
    if (block_bytes - sizeof(struct arena_block) < bytes)
        block_bytes = bytes + sizeof(struct arena_block);
    struct arena_block *block = allocator_alloc(arena->allocator, block_bytes);
    if (block == NULL)
        return false;
    *block = (struct arena_block){.next = arena->blocks, .bytes = block_bytes};
    arena->blocks = block;
    arena->used = sizeof *block;
    return true;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    size_t rounded = (bytes + UNIT - 1) / UNIT * UNIT;
    if (arena->blocks == NULL || arena->blocks->bytes - arena->used < rounded) {
        if (!arena_grow(arena, rounded))
            return NULL;
    }
    void *pointer = (char *)arena->blocks + arena->used;
    arena->used += rounded;
    return pointer;
}

char *arena_copy_text(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *kept = arena->blocks;
    if (kept == NULL)
        return;
    while (kept->next != NULL) {
        struct arena_block *block = kept->next;
        kept->next = block->next;
        allocator_free(arena->allocator, block, block->bytes);
    }
    arena->used = sizeof *kept;
}

void arena_release(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        allocator_free(arena->allocator, block, block->bytes);
    }
    arena->used = 0;
}
