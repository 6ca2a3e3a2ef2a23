/* region.c - the heap of region.h: first fit over a bitmap of 4 KiB pages.
 *
 * Blocks are few and large, so a search that reads a kilobyte of bitmap costs nothing beside what
 * filling the block costs; and the first gap that is large enough keeps the blocks together. Of
 * each huge page the blocks' pages are counted: at none it may go back.
 *
 * Concurrency: `heap.lock` guards everything. Under AddressSanitizer what is not a block is
 * poisoned, the rest of a block's last page too.
 */
#define _GNU_SOURCE
#include "base/region.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REGION_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define REGION_ASAN 1
#endif

#if defined(REGION_ASAN)
#include <sanitizer/asan_interface.h>
#define POISON(start, bytes)   ASAN_POISON_MEMORY_REGION(start, bytes)
#define UNPOISON(start, bytes) ASAN_UNPOISON_MEMORY_REGION(start, bytes)
#else
#define POISON(start, bytes)   ((void)(start), (void)(bytes))
#define UNPOISON(start, bytes) ((void)(start), (void)(bytes))
#endif

enum {
    PAGE_BYTES = 4096,
    REGION_BYTES = 32 << 20,
    REGION_PAGES = REGION_BYTES / PAGE_BYTES,
    REGION_HUGE_PAGES = REGION_BYTES / REGION_HUGE_BYTES,
    HUGE_PAGES_OF = REGION_HUGE_BYTES / PAGE_BYTES, /* pages of a huge page */
    IDLE_HUGE_PAGES_MAX = 8                         /* kept: the next blocks take them */
};

struct region {
    struct region *next;
    uint32_t run_max; /* no run of free pages is longer */
    uint32_t pages_used;
    uint16_t huge_used[REGION_HUGE_PAGES]; /* pages in use of each huge page */
    bool resident[REGION_HUGE_PAGES];      /* touched since mapped or given back */
    uint64_t used[REGION_PAGES / 64];      /* bit: the page is in use */
};

enum { HEADER_PAGES = (sizeof(struct region) + PAGE_BYTES - 1) / PAGE_BYTES };

static struct {
    pthread_mutex_t lock;
    struct region *regions; /* the oldest first */
    uint32_t empty;         /* regions without a block: at most one is kept */
    uint32_t idle;          /* huge pages resident without a block */
    uint32_t resident;      /* huge pages */
} heap = {.lock = PTHREAD_MUTEX_INITIALIZER};

void *region_map(size_t bytes, size_t alignment)
{
    if (bytes == 0 || bytes > SIZE_MAX - alignment)
        return NULL;
    size_t reserved = bytes + alignment;
    char *base = mmap(NULL, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    size_t skip = (alignment - (uintptr_t)base % alignment) % alignment;
    if (skip > 0)
        munmap(base, skip);
    munmap(base + skip + bytes, alignment - skip);
    madvise(base + skip, bytes, MADV_HUGEPAGE);
    return base + skip;
}

/* --- pages --- */

/* The first page from `from` on whose bit is `in_use`, or REGION_PAGES. */
static uint32_t next_page(const struct region *region, uint32_t from, bool in_use)
{
    while (from < REGION_PAGES) {
        uint64_t word = region->used[from / 64];
        word = (in_use ? word : ~word) >> (from % 64);
        if (word != 0)
            return from + (uint32_t)__builtin_ctzll(word);
        from = (from / 64 + 1) * 64;
    }
    return REGION_PAGES;
}

/* The first run of `wanted` free pages, or REGION_PAGES; then run_max says how long one may be. */
static uint32_t find_run(struct region *region, uint32_t wanted)
{
    uint32_t longest = 0;
    for (uint32_t first = next_page(region, 0, false); first < REGION_PAGES;) {
        uint32_t end = next_page(region, first, true);
        if (end - first >= wanted)
            return first;
        if (end - first > longest)
            longest = end - first;
        first = next_page(region, end, false);
    }
    region->run_max = longest;
    return REGION_PAGES;
}

/* Flips the bits of a run, which all are `!in_use`, and counts them in or out. */
static void mark_run(struct region *region, uint32_t first, uint32_t count, bool in_use)
{
    for (uint32_t page = first; page < first + count; page++)
        region->used[page / 64] ^= UINT64_C(1) << (page % 64);
    region->pages_used += in_use ? count : -count;
    for (uint32_t page = first; page < first + count;) {
        uint32_t huge = page / HUGE_PAGES_OF;
        uint32_t end = (huge + 1) * HUGE_PAGES_OF;
        end = end < first + count ? end : first + count;
        uint32_t before = region->huge_used[huge];
        region->huge_used[huge] =
            (uint16_t)(in_use ? before + (end - page) : before - (end - page));
        if (!in_use) {
            heap.idle += region->huge_used[huge] == 0;
        } else if (!region->resident[huge]) {
            region->resident[huge] = true;
            heap.resident++;
        } else {
            heap.idle -= before == 0;
        }
        page = end;
    }
}

/* --- regions --- */

static struct region *add_region(void)
{
    struct region *region = region_map(REGION_BYTES, REGION_BYTES);
    if (region == NULL)
        return NULL;
    region->run_max = REGION_PAGES - HEADER_PAGES;
    mark_run(region, 0, HEADER_PAGES, true);
    POISON((char *)region + HEADER_PAGES * PAGE_BYTES, REGION_BYTES - HEADER_PAGES * PAGE_BYTES);
    struct region **link = &heap.regions;
    while (*link != NULL)
        link = &(*link)->next;
    *link = region;
    heap.empty++;
    return region;
}

static void drop_region(struct region *region)
{
    struct region **link = &heap.regions;
    while (*link != region)
        link = &(*link)->next;
    *link = region->next;
    for (uint32_t huge = 0; huge < REGION_HUGE_PAGES; huge++) {
        heap.resident -= region->resident[huge];
        heap.idle -= region->resident[huge] && region->huge_used[huge] == 0;
    }
    heap.empty--;
    UNPOISON(region, REGION_BYTES);
    munmap(region, REGION_BYTES);
}

/* Gives back those huge pages of the run that hold no block any more. */
static void give_back(struct region *region, uint32_t first, uint32_t count)
{
    uint32_t last = (first + count - 1) / HUGE_PAGES_OF;
    for (uint32_t huge = first / HUGE_PAGES_OF; huge <= last; huge++) {
        if (region->huge_used[huge] > 0 || !region->resident[huge])
            continue;
        madvise((char *)region + (size_t)huge * REGION_HUGE_BYTES, REGION_HUGE_BYTES,
                MADV_DONTNEED);
        region->resident[huge] = false;
        heap.resident--;
        heap.idle--;
    }
}

/* --- blocks --- */

static uint32_t pages_for(size_t bytes)
{
    return (uint32_t)((bytes + PAGE_BYTES - 1) / PAGE_BYTES);
}

void *region_alloc(size_t bytes)
{
    OMEN_ASSERT(region_holds(bytes));
    uint32_t wanted = pages_for(bytes), first = REGION_PAGES;
    pthread_mutex_lock(&heap.lock);
    struct region *region = heap.regions;
    for (; region != NULL; region = region->next)
        if (region->run_max >= wanted && (first = find_run(region, wanted)) < REGION_PAGES)
            break;
    if (region == NULL) {
        region = add_region();
        first = HEADER_PAGES;
    }
    if (region != NULL) {
        heap.empty -= region->pages_used == HEADER_PAGES;
        mark_run(region, first, wanted, true);
    }
    pthread_mutex_unlock(&heap.lock);
    if (region == NULL)
        return NULL;
    char *block = (char *)region + (size_t)first * PAGE_BYTES;
    UNPOISON(block, bytes);
    return block;
}

void region_free(void *block, size_t bytes)
{
    struct region *region = (struct region *)((uintptr_t)block & ~(uintptr_t)(REGION_BYTES - 1));
    uint32_t first = (uint32_t)(((uintptr_t)block - (uintptr_t)region) / PAGE_BYTES);
    uint32_t count = pages_for(bytes);
    POISON(block, (size_t)count * PAGE_BYTES);
    pthread_mutex_lock(&heap.lock);
    OMEN_ASSERT(next_page(region, first, false) >= first + count);
    mark_run(region, first, count, false);
    region->run_max = REGION_PAGES - region->pages_used;
    heap.empty += region->pages_used == HEADER_PAGES;
    if (heap.empty > 1)
        drop_region(region);
    else if (heap.idle > IDLE_HUGE_PAGES_MAX)
        give_back(region, first, count);
    pthread_mutex_unlock(&heap.lock);
}

size_t region_resident_bytes(void)
{
    pthread_mutex_lock(&heap.lock);
    size_t bytes = (size_t)heap.resident * REGION_HUGE_BYTES;
    pthread_mutex_unlock(&heap.lock);
    return bytes;
}
