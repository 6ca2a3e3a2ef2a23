/* region.h - blocks of 32 KiB to 2 MiB that lie close together on huge pages.
 *
 * Column buffers of a row group have 64 KiB to 1 MiB and are read at random: on pages of 4 KiB
 * each value read costs a miss in the TLB besides the one in the cache. A block here shares its
 * huge page with its neighbours instead.
 *
 *   region   [ header | block | block |  free  | block | ...... ]    32 MiB, aligned to its size
 *
 * One heap per process; every block of such a size lies in it, so the size tells where to give a
 * block back. Thread-safe.
 */
#ifndef OMEN_BASE_REGION_H
#define OMEN_BASE_REGION_H

#include <stdbool.h>
#include <stddef.h>

enum { REGION_BLOCK_BYTES_MIN = 32 << 10, REGION_HUGE_BYTES = 2 << 20 };

/* Whether blocks of this size lie in a region. */
static inline bool region_holds(size_t bytes)
{
    return bytes >= REGION_BLOCK_BYTES_MIN && bytes < REGION_HUGE_BYTES;
}

/* A block for which region_holds(bytes), uninitialised and aligned to 4 KiB; NULL where the system
 * is out of memory. */
void *region_alloc(size_t bytes) __attribute__((warn_unused_result));

/* Gives a block back; `bytes` is what was asked for. Huge pages without a block return to the
 * system, but for a few. */
void region_free(void *block, size_t bytes);

/* Maps `bytes` of zeros at a multiple of `alignment`, both multiples of REGION_HUGE_BYTES, and asks
 * for huge pages. NULL where the system refuses. munmap gives them back. */
void *region_map(size_t bytes, size_t alignment) __attribute__((warn_unused_result));

/* Bytes of huge pages that regions hold, in use or not. For tests. */
size_t region_resident_bytes(void);

#endif
