/* node_heap.c - boundary tags, size classes and chunks of the node heap. See node_heap.h. */
#include "index/node_heap.h"

#include "base/assert.h"

enum {
    GRANULE = NODE_HEAP_GRANULE_BYTES,
    CHUNK_GRANULES = NODE_HEAP_CHUNK_BYTES / GRANULE,
    TAG_FREE = 0x8000,
    /* Below this an index allocates node by node: chunks, which go back whole, would dwarf it. */
    CHUNKS_FROM_BYTES = 4 << 20,
    SPARE_FROM_BYTES = 16 * NODE_HEAP_CHUNK_BYTES,
    NODE_BYTES_MAX = NODE_HEAP_CHUNK_BYTES / 4
};

struct node_heap_chunk {
    struct node_heap_chunk *next;
    struct node_heap_chunk *previous;
    uint32_t granules_used;
    uint16_t tags[CHUNK_GRANULES]; /* valid at the first and last granule of each run */
};

enum {
    FIRST_GRANULE = (sizeof(struct node_heap_chunk) + GRANULE - 1) / GRANULE,
    USABLE_GRANULES = CHUNK_GRANULES - FIRST_GRANULE
};

/* The head of a free run, in the run itself. */
struct node_heap_run {
    struct node_heap_run *next;
    struct node_heap_run *previous;
};

_Static_assert(sizeof(struct node_heap_run) <= GRANULE, "a free run holds its own links");
_Static_assert(CHUNK_GRANULES < TAG_FREE, "sizes leave room for the free mark");

void node_heap_init(struct node_heap *heap, struct allocator *allocator)
{
    *heap = (struct node_heap){.allocator = allocator};
}

static unsigned class_of(unsigned granules)
{
    unsigned log2 = 31u - (unsigned)__builtin_clz(granules);
    unsigned quarter = (log2 >= 2 ? granules >> (log2 - 2) : granules << (2 - log2)) & 3;
    return log2 * 4 + quarter;
}

/* The first class all of whose runs hold `granules`. */
static unsigned class_holding(unsigned granules)
{
    unsigned log2 = 31u - (unsigned)__builtin_clz(granules);
    return class_of(log2 > 2 ? granules + (1u << (log2 - 2)) - 1 : granules);
}

static struct node_heap_chunk *chunk_of(const void *node)
{
    return (struct node_heap_chunk *)((uintptr_t)node & ~(uintptr_t)(NODE_HEAP_CHUNK_BYTES - 1));
}

static unsigned granule_of(const struct node_heap_chunk *chunk, const void *node)
{
    return (unsigned)((const char *)node - (const char *)chunk) / GRANULE;
}

static struct node_heap_run *run_at(struct node_heap_chunk *chunk, unsigned granule)
{
    return (struct node_heap_run *)((char *)chunk + (size_t)granule * GRANULE);
}

static void tag_run(struct node_heap_chunk *chunk, unsigned granule, unsigned size, unsigned mark)
{
    chunk->tags[granule] = (uint16_t)(size | mark);
    chunk->tags[granule + size - 1] = (uint16_t)(size | mark);
}

static void list_run(struct node_heap *heap, struct node_heap_chunk *chunk, unsigned granule,
                     unsigned size)
{
    unsigned class = class_of(size);
    struct node_heap_run *run = run_at(chunk, granule);
    *run = (struct node_heap_run){.next = heap->classes[class]};
    if (run->next != NULL)
        run->next->previous = run;
    heap->classes[class] = run;
    heap->classes_filled |= UINT64_C(1) << class;
    tag_run(chunk, granule, size, TAG_FREE);
}

static void unlist_run(struct node_heap *heap, struct node_heap_run *run, unsigned size)
{
    unsigned class = class_of(size);
    if (run->next != NULL)
        run->next->previous = run->previous;
    if (run->previous != NULL)
        run->previous->next = run->next;
    else
        heap->classes[class] = run->next;
    if (heap->classes[class] == NULL)
        heap->classes_filled &= ~(UINT64_C(1) << class);
}

static void unlink_chunk(struct node_heap *heap, struct node_heap_chunk *chunk)
{
    if (chunk->next != NULL)
        chunk->next->previous = chunk->previous;
    if (chunk->previous != NULL)
        chunk->previous->next = chunk->next;
    else
        heap->chunks = chunk->next;
}

static bool add_chunk(struct node_heap *heap)
{
    struct node_heap_chunk *chunk = heap->spare;
    heap->spare = NULL;
    if (chunk == NULL) {
        chunk = allocator_alloc(heap->allocator, NODE_HEAP_CHUNK_BYTES);
        if (chunk == NULL)
            return false;
        heap->bytes += NODE_HEAP_CHUNK_BYTES;
    }
    chunk->granules_used = 0;
    chunk->previous = NULL;
    chunk->next = heap->chunks;
    if (chunk->next != NULL)
        chunk->next->previous = chunk;
    heap->chunks = chunk;
    list_run(heap, chunk, FIRST_GRANULE, USABLE_GRANULES);
    return true;
}

static void free_chunk(struct node_heap *heap, struct node_heap_chunk *chunk)
{
    if (chunk == NULL)
        return;
    allocator_free(heap->allocator, chunk, NODE_HEAP_CHUNK_BYTES);
    heap->bytes -= NODE_HEAP_CHUNK_BYTES;
}

/* An empty chunk becomes the spare of a large heap; the spare before it goes back. */
static void retire_chunk(struct node_heap *heap, struct node_heap_chunk *chunk)
{
    unlink_chunk(heap, chunk);
    free_chunk(heap, heap->spare);
    heap->spare = chunk;
    if (heap->bytes < SPARE_FROM_BYTES) {
        free_chunk(heap, chunk);
        heap->spare = NULL;
    }
}

static void *take_run(struct node_heap *heap, unsigned granules)
{
    uint64_t candidates = heap->classes_filled >> class_holding(granules)
                                                      << class_holding(granules);
    if (candidates == 0) {
        if (!add_chunk(heap))
            return NULL;
        candidates = heap->classes_filled >> class_holding(granules) << class_holding(granules);
    }
    struct node_heap_run *run = heap->classes[__builtin_ctzll(candidates)];
    struct node_heap_chunk *chunk = chunk_of(run);
    unsigned granule = granule_of(chunk, run);
    unsigned size = chunk->tags[granule] & ~(unsigned)TAG_FREE;
    OMEN_ASSERT(size >= granules);
    unlist_run(heap, run, size);
    if (size > granules)
        list_run(heap, chunk, granule + granules, size - granules);
    tag_run(chunk, granule, granules, 0);
    chunk->granules_used += granules;
    return run;
}

static void give_run(struct node_heap *heap, void *node, unsigned granules)
{
    struct node_heap_chunk *chunk = chunk_of(node);
    unsigned granule = granule_of(chunk, node);
    unsigned size = granules;
    OMEN_ASSERT(chunk->tags[granule] == granules);
    chunk->granules_used -= granules;
    unsigned after = granule + granules;
    if (after < CHUNK_GRANULES && (chunk->tags[after] & TAG_FREE) != 0) {
        unsigned after_size = chunk->tags[after] & ~(unsigned)TAG_FREE;
        unlist_run(heap, run_at(chunk, after), after_size);
        size += after_size;
    }
    if (granule > FIRST_GRANULE && (chunk->tags[granule - 1] & TAG_FREE) != 0) {
        unsigned before_size = chunk->tags[granule - 1] & ~(unsigned)TAG_FREE;
        granule -= before_size;
        unlist_run(heap, run_at(chunk, granule), before_size);
        size += before_size;
    }
    if (chunk->granules_used == 0)
        retire_chunk(heap, chunk);
    else
        list_run(heap, chunk, granule, size);
}

void *node_heap_alloc(struct node_heap *heap, size_t bytes, bool *chunked)
{
    *chunked = bytes <= NODE_BYTES_MAX && heap->bytes >= CHUNKS_FROM_BYTES;
    if (*chunked)
        return take_run(heap, (unsigned)((bytes + GRANULE - 1) / GRANULE));
    void *node = allocator_alloc(heap->allocator, bytes);
    if (node != NULL)
        heap->bytes += bytes;
    return node;
}

void node_heap_free(struct node_heap *heap, void *node, size_t bytes, bool chunked)
{
    if (node == NULL)
        return;
    if (chunked) {
        give_run(heap, node, (unsigned)((bytes + GRANULE - 1) / GRANULE));
        return;
    }
    allocator_free(heap->allocator, node, bytes);
    heap->bytes -= bytes;
}

void node_heap_release(struct node_heap *heap)
{
    if (heap->spare != NULL)
        allocator_free(heap->allocator, heap->spare, NODE_HEAP_CHUNK_BYTES);
    while (heap->chunks != NULL) {
        struct node_heap_chunk *chunk = heap->chunks;
        heap->chunks = chunk->next;
        allocator_free(heap->allocator, chunk, NODE_HEAP_CHUNK_BYTES);
    }
    struct allocator *allocator = heap->allocator;
    node_heap_init(heap, allocator);
}
