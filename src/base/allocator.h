/* allocator.h - all long-lived memory: counted, limited, and able to fail on request.
 *
 * Every database owns one allocator. Frees carry the size, so the count is exact without a
 * header per block, and a leak shows as `bytes_used != 0` at close.
 */
#ifndef OMEN_BASE_ALLOCATOR_H
#define OMEN_BASE_ALLOCATOR_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define ALLOCATOR_ALIGNMENT 64 /* what Arrow recommends for buffers */
/* Blocks from here on have huge pages of their own, smaller ones may share some (region.h). */
#define ALLOCATOR_HUGE_BYTES (2u << 20)

struct allocator {
    atomic_size_t bytes_used;     /* relaxed: a statistic and a soft limit */
    size_t bytes_max;             /* 0 = no limit */
    atomic_uint_fast64_t calls;   /* allocations asked for so far */
    atomic_uint_fast64_t fail_at; /* the call that fails, counted from 1; 0 = none. Test only. */
    atomic_bool fail_after;       /* every call from fail_at on fails too. Test only. */
};

/* No limit, no planned failure, nothing used. */
void allocator_init(struct allocator *allocator, size_t bytes_max);

/* An allocator of its own life, NULL where the system is out of memory. allocator_retire gives it
 * up: it goes once every block is back, whenever and by whatever thread that is. */
struct allocator *allocator_create(size_t bytes_max) __attribute__((warn_unused_result));
void allocator_retire(struct allocator *allocator); /* NULL does nothing */

/* `bytes` uninitialised bytes aligned to 64, or NULL where the budget or the system is
 * exhausted. bytes = 0 gives NULL. Thread-safe. */
void *allocator_alloc(struct allocator *allocator, size_t bytes)
    __attribute__((warn_unused_result));

/* The same, all zero. Blocks of ALLOCATOR_HUGE_BYTES and more come as untouched pages: reading them
 * costs no memory. */
void *allocator_alloc_zeroed(struct allocator *allocator, size_t bytes)
    __attribute__((warn_unused_result));

/* A block of `bytes_new` that starts with the old block's content; the old block is gone.
 * NULL on failure, and then the old block is untouched. pointer = NULL allocates. */
void *allocator_resize(struct allocator *allocator, void *pointer, size_t bytes_old,
                       size_t bytes_new) __attribute__((warn_unused_result));

/* Gives a block back; `bytes` is what was asked for. pointer = NULL does nothing. Thread-safe. */
void allocator_free(struct allocator *allocator, void *pointer, size_t bytes);

/* Makes the nth allocation from now fail (1 = the next); 0 cancels. With `and_all_after`,
 * every later one fails too. For tests. */
void allocator_fail_at(struct allocator *allocator, uint64_t nth, int and_all_after);

/* True where the planned failure has happened. For tests. */
int allocator_has_failed(const struct allocator *allocator);

#endif
