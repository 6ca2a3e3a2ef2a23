/* arena.h - many small blocks freed together. Named by lifetime where it is declared. */
#ifndef OMEN_BASE_ARENA_H
#define OMEN_BASE_ARENA_H

#include <stddef.h>

#include "base/allocator.h"

struct arena_block;

struct arena {
    struct allocator *allocator;
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes taken from the newest block */
};

/* An empty arena over `allocator`, which must outlive it. Allocates nothing yet. */
void arena_init(struct arena *arena, struct allocator *allocator);

/* `bytes` uninitialised bytes aligned to 16, alive until arena_release; NULL where memory is
 * exhausted. bytes = 0 gives a valid pointer to nothing. One thread at a time. */
void *arena_alloc(struct arena *arena, size_t bytes) __attribute__((warn_unused_result));

/* A zero-terminated copy of `length` bytes of text; NULL where memory is exhausted. */
char *arena_copy_text(struct arena *arena, const char *text, size_t length)
    __attribute__((warn_unused_result));

/* Forgets what was allocated and keeps the newest (largest) block, so that refilling an arena as
 * before takes no allocation. */
void arena_reset(struct arena *arena);

/* Gives back every block. The arena is empty and usable again. */
void arena_release(struct arena *arena);

#endif
