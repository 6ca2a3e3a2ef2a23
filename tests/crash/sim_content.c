/* sim_content.c - the bytes of simulated files: pages of 4 KiB, counted, shared, copied on write.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/checksum.h"
#include "crash/sim_disk_private.h"

void *sim_alloc(size_t bytes)
{
    void *block = calloc(1, bytes);
    OMEN_ASSERT(block != NULL);
    return block;
}

void *sim_grow(void *list, size_t *capacity, size_t count, size_t item_bytes)
{
    if (count < *capacity)
        return list;
    size_t grown = *capacity == 0 ? 8 : 2 * *capacity;
    list = realloc(list, grown * item_bytes);
    OMEN_ASSERT(list != NULL);
    memset((char *)list + *capacity * item_bytes, 0, (grown - *capacity) * item_bytes);
    *capacity = grown;
    return list;
}

/* --- pages --- */

struct sim_page *sim_page_retain(struct sim_page *page)
{
    if (page != NULL)
        atomic_fetch_add_explicit(&page->references, 1, memory_order_relaxed);
    return page;
}

void sim_page_release(struct sim_page *page)
{
    if (page != NULL && atomic_fetch_sub_explicit(&page->references, 1, memory_order_acq_rel) == 1)
        free(page);
}

struct sim_page *sim_page_copy(const struct sim_page *page)
{
    struct sim_page *copy = malloc(sizeof *copy);
    OMEN_ASSERT(copy != NULL);
    atomic_init(&copy->references, 1);
    atomic_init(&copy->hash, 0);
    if (page != NULL)
        memcpy(copy->bytes, page->bytes, sizeof copy->bytes);
    else
        memset(copy->bytes, 0, sizeof copy->bytes);
    return copy;
}

static uint64_t page_hash(struct sim_page *page)
{
    static const uint8_t zeros[SIM_PAGE_BYTES];
    static atomic_uint_fast64_t zero_hash;
    atomic_uint_fast64_t *place = page != NULL ? &page->hash : &zero_hash;
    uint64_t hash = atomic_load_explicit(place, memory_order_relaxed);
    if (hash == 0) {
        hash = checksum64(page != NULL ? page->bytes : zeros, SIM_PAGE_BYTES, 0);
        atomic_store_explicit(place, hash, memory_order_relaxed);
    }
    return hash;
}

/* --- contents --- */

struct sim_content *sim_content_create(void)
{
    struct sim_content *content = sim_alloc(sizeof *content);
    atomic_init(&content->references, 1);
    return content;
}

struct sim_content *sim_content_retain(struct sim_content *content)
{
    if (content != NULL)
        atomic_fetch_add_explicit(&content->references, 1, memory_order_relaxed);
    return content;
}

void sim_content_release(struct sim_content *content)
{
    if (content == NULL ||
        atomic_fetch_sub_explicit(&content->references, 1, memory_order_acq_rel) != 1)
        return;
    for (uint64_t i = 0; i < content->page_count; i++)
        sim_page_release(content->pages[i]);
    free(content->pages);
    free(content);
}

struct sim_content *sim_content_own(struct sim_content **content)
{
    struct sim_content *shared = *content;
    if (atomic_load_explicit(&shared->references, memory_order_acquire) != 1) {
        struct sim_content *own = sim_content_create();
        own->size = shared->size;
        own->page_count = own->page_capacity = shared->page_count;
        own->pages = sim_alloc(own->page_count * sizeof(struct sim_page *) + 1);
        for (uint64_t i = 0; i < own->page_count; i++)
            own->pages[i] = sim_page_retain(shared->pages[i]);
        sim_content_release(shared);
        *content = own;
    }
    atomic_store_explicit(&(*content)->hash, 0, memory_order_relaxed);
    return *content;
}

struct sim_page *sim_content_page(const struct sim_content *content, uint64_t page)
{
    return page < content->page_count ? content->pages[page] : NULL;
}

void sim_content_set_page(struct sim_content *content, uint64_t page, struct sim_page *bytes)
{
    if (page >= content->page_capacity) {
        uint64_t grown = page < 4 ? 4 : 2 * page;
        content->pages = realloc(content->pages, grown * sizeof *content->pages);
        OMEN_ASSERT(content->pages != NULL);
        content->page_capacity = grown;
    }
    while (content->page_count <= page)
        content->pages[content->page_count++] = NULL;
    sim_page_release(content->pages[page]);
    content->pages[page] = bytes;
}

void sim_content_trim(struct sim_content *content)
{
    uint64_t pages = (content->size + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES;
    while (content->page_count > pages)
        sim_page_release(content->pages[--content->page_count]);
    size_t last = content->size % SIM_PAGE_BYTES;
    if (last == 0 || content->page_count < pages || content->pages[pages - 1] == NULL)
        return;
    const uint8_t *bytes = content->pages[pages - 1]->bytes;
    size_t dirty = last;
    while (dirty < SIM_PAGE_BYTES && bytes[dirty] == 0)
        dirty++;
    if (dirty == SIM_PAGE_BYTES)
        return;
    struct sim_page *cut = sim_page_copy(content->pages[pages - 1]);
    memset(cut->bytes + last, 0, SIM_PAGE_BYTES - last);
    sim_content_set_page(content, pages - 1, cut);
}

size_t sim_content_read(const struct sim_content *content, void *buffer, size_t length,
                        uint64_t offset)
{
    if (offset >= content->size)
        return 0;
    length = size_min(length, content->size - offset);
    for (size_t done = 0; done < length;) {
        size_t within = (offset + done) % SIM_PAGE_BYTES;
        size_t count = size_min(length - done, SIM_PAGE_BYTES - within);
        const struct sim_page *page = sim_content_page(content, (offset + done) / SIM_PAGE_BYTES);
        if (page != NULL)
            memcpy((char *)buffer + done, page->bytes + within, count);
        else
            memset((char *)buffer + done, 0, count);
        done += count;
    }
    return length;
}

uint64_t sim_content_hash(struct sim_content *content)
{
    uint64_t hash = atomic_load_explicit(&content->hash, memory_order_relaxed);
    if (hash != 0)
        return hash;
    hash = checksum64(&content->size, sizeof content->size, 0);
    uint64_t pages = (content->size + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES;
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t pair[2] = {hash, page_hash(sim_content_page(content, i))};
        hash = checksum64(pair, sizeof pair, 0);
    }
    atomic_store_explicit(&content->hash, hash, memory_order_relaxed);
    return hash;
}
