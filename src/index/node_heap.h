/* node_heap.h - memory for index nodes: many nodes share each huge page.
 *
 * Nodes are carved from 2 MiB chunks, which the allocator aligns to and advises as huge pages.
 * A small index takes its nodes one by one from the allocator instead, and so does a node too
 * large for a chunk; the caller keeps the `chunked` answer beside the node and gives it back.
 *
 *   chunk   [ header, tags | run | run | ....... | run ]
 *   run     1..n granules of 128 bytes, in use or free; its size stands in the tags of its
 *           first and last granule, so that neighbours of a freed run are found at once
 *
 * Free runs hang in lists by size class (four to a power of two) and merge with their free
 * neighbours: two-level segregated fit (Masmano et al., ECRTS 2004). One thread at a time.
 */
#ifndef OMEN_INDEX_NODE_HEAP_H
#define OMEN_INDEX_NODE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/allocator.h"

enum { NODE_HEAP_GRANULE_BYTES = 128, NODE_HEAP_CHUNK_BYTES = 2 << 20, NODE_HEAP_CLASSES = 56 };

struct node_heap_chunk;
struct node_heap_run;

struct node_heap {
    struct allocator *allocator;
    size_t bytes; /* taken from the allocator */
    uint64_t classes_filled;
    struct node_heap_run *classes[NODE_HEAP_CLASSES];
    struct node_heap_chunk *chunks;
    struct node_heap_chunk *spare; /* an empty chunk of a large heap, kept against ping-pong */
};

/* An empty heap over `allocator`, which must outlive it. Allocates nothing. */
void node_heap_init(struct node_heap *heap, struct allocator *allocator);

/* `bytes` > 0 uninitialised bytes aligned to 64, or NULL where memory is exhausted. */
void *node_heap_alloc(struct node_heap *heap, size_t bytes, bool *chunked);

/* Gives a node back; `bytes` and `chunked` as at its allocation. NULL does nothing. */
void node_heap_free(struct node_heap *heap, void *node, size_t bytes, bool chunked);

/* Gives back all chunks. Nodes that are not chunked must have been freed one by one. */
void node_heap_release(struct node_heap *heap);

#endif
