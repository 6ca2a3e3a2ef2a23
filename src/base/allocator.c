/* allocator.c - the counted allocator over the system's.
 *
 * Blocks of 2 MiB and more are aligned to huge pages and advised as such, and those from 32 KiB on
 * share huge pages (region.h): the index and the column buffers are probed at random, where a miss
 * in the TLB costs as much as one in the cache.
 */
#define _GNU_SOURCE
#include "base/allocator.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/region.h"

void allocator_init(struct allocator *allocator, size_t bytes_max)
{
    memset(allocator, 0, sizeof *allocator);
    allocator->bytes_max = bytes_max;
}

static bool planned_failure(struct allocator *allocator)
{
    uint64_t call = atomic_fetch_add_explicit(&allocator->calls, 1, memory_order_relaxed) + 1;
    uint64_t fail_at = atomic_load_explicit(&allocator->fail_at, memory_order_relaxed);
    if (fail_at == 0 || call < fail_at)
        return false;
    return call == fail_at || atomic_load_explicit(&allocator->fail_after, memory_order_relaxed);
}

/* Counts `bytes` in; false where that would pass the limit. */
static bool charge(struct allocator *allocator, size_t bytes)
{
    size_t used = atomic_fetch_add_explicit(&allocator->bytes_used, bytes, memory_order_relaxed);
    if (allocator->bytes_max == 0 ||
        (bytes <= allocator->bytes_max && used <= allocator->bytes_max - bytes))
        return true;
    atomic_fetch_sub_explicit(&allocator->bytes_used, bytes, memory_order_relaxed);
    return false;
}

static void discharge(struct allocator *allocator, size_t bytes)
{
    atomic_fetch_sub_explicit(&allocator->bytes_used, bytes,
                              memory_order_release); /* pairs with sweep_retired */
}

static size_t round_up(size_t bytes, size_t unit)
{
    return bytes > SIZE_MAX - unit ? 0 : (bytes + unit - 1) / unit * unit;
}

/* Large blocks are mapped, so that zeroed ones stay untouched and freed ones return at once. */
static void *map_block(size_t bytes)
{
    size_t length = round_up(bytes, ALLOCATOR_HUGE_BYTES);
    return length == 0 ? NULL : region_map(length, ALLOCATOR_HUGE_BYTES);
}

static void *take(struct allocator *allocator, size_t bytes, bool zeroed)
{
    if (bytes == 0 || planned_failure(allocator) || !charge(allocator, bytes))
        return NULL;
    void *pointer = NULL;
    if (bytes >= ALLOCATOR_HUGE_BYTES) {
        pointer = map_block(bytes);
    } else {
        pointer = region_holds(bytes)
                      ? region_alloc(bytes)
                      : aligned_alloc(ALLOCATOR_ALIGNMENT, round_up(bytes, ALLOCATOR_ALIGNMENT));
        if (pointer != NULL && zeroed)
            memset(pointer, 0, bytes);
    }
    if (pointer == NULL)
        discharge(allocator, bytes);
    return pointer;
}

void *allocator_alloc(struct allocator *allocator, size_t bytes)
{
    return take(allocator, bytes, false);
}

void *allocator_alloc_zeroed(struct allocator *allocator, size_t bytes)
{
    return take(allocator, bytes, true);
}

void *allocator_resize(struct allocator *allocator, void *pointer, size_t bytes_old,
                       size_t bytes_new)
{
    void *moved = take(allocator, bytes_new, false);
    if (moved == NULL)
        return NULL;
    if (pointer != NULL)
        memcpy(moved, pointer, bytes_old < bytes_new ? bytes_old : bytes_new);
    allocator_free(allocator, pointer, bytes_old);
    return moved;
}

void allocator_free(struct allocator *allocator, void *pointer, size_t bytes)
{
    if (pointer == NULL)
        return;
    if (bytes >= ALLOCATOR_HUGE_BYTES)
        munmap(pointer, round_up(bytes, ALLOCATOR_HUGE_BYTES));
    else if (region_holds(bytes))
        region_free(pointer, bytes);
    else
        free(pointer);
    discharge(allocator, bytes);
}

void allocator_fail_at(struct allocator *allocator, uint64_t nth, int and_all_after)
{
    uint64_t now = atomic_load_explicit(&allocator->calls, memory_order_relaxed);
    atomic_store_explicit(&allocator->fail_after, and_all_after != 0, memory_order_relaxed);
    atomic_store_explicit(&allocator->fail_at, nth == 0 ? 0 : now + nth, memory_order_relaxed);
}

int allocator_has_failed(const struct allocator *allocator)
{
    uint64_t fail_at = atomic_load_explicit(&allocator->fail_at, memory_order_relaxed);
    uint64_t calls = atomic_load_explicit(&allocator->calls, memory_order_relaxed);
    return fail_at != 0 && calls >= fail_at;
}
