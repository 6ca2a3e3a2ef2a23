/* alex.h - the learned index over 64-bit keys: ALEX (Ding et al., SIGMOD 2020), re-engineered.
 *
 * What index.h promises for INDEX_WORD, implemented; only index.c calls this. The structures
 * are in alex_private.h, the picture and the differences from the paper in README.md.
 *
 * Concurrency: any number of readers, or one writer. `const` functions write nothing.
 */
#ifndef OMEN_INDEX_ALEX_H
#define OMEN_INDEX_ALEX_H

#include "index/index.h"
#include "index/node_heap.h"

struct alex_leaf;
struct alex_search;

/* One slot of a model node, and the root: the child and the child's model. */
struct alex_entry {
    void *child;         /* struct alex_leaf or struct alex_inner, as kind says */
    uint64_t base;       /* keys below it go to the first position */
    uint64_t multiplier; /* leaf: block = high 64 bits of (key - base) * multiplier */
    uint32_t last;       /* the last position: positions beyond it end there */
    uint8_t kind;        /* enum alex_kind */
    uint8_t shift;       /* inner: slot = (key - base) >> shift */
    bool forward;        /* leaf: no entry stands before the block predicted for it */
};

struct alex {
    struct alex_entry root;
    const struct alex_search *search; /* the lookups this CPU runs best */
    struct alex_leaf *first;
    struct alex_leaf *last;
    uint64_t *scratch; /* keys, then row ids, of the leaf under reconstruction */
    size_t scratch_entries;
    struct index_stats stats; /* but depth_max and bytes */
    struct node_heap heap;
};

/* An empty index in caller-owned storage. Errors: OUT_OF_MEMORY, nothing to release then. */
OMEN_MUST_CHECK omen_status alex_init(struct alex *alex, struct allocator *allocator);

/* Frees all nodes. */
void alex_release(struct alex *alex);

/* As index_bulk_load_words and index_bulk_load. */
OMEN_MUST_CHECK omen_status alex_bulk_load_words(struct alex *alex, const uint64_t *words,
                                                 const uint64_t *row_ids, size_t count);
OMEN_MUST_CHECK omen_status alex_bulk_load(struct alex *alex, const struct index_key *keys,
                                           const uint64_t *row_ids, size_t count);

/* The function behind index_lookup, of a struct alex. */
index_lookup_function *alex_lookup_function(const struct alex *alex);

/* As index_lookup_batch. */
void alex_lookup_batch(const struct alex *alex, const struct index_key *keys, size_t count,
                       uint64_t *row_ids);

/* As index_put. */
OMEN_MUST_CHECK omen_status alex_put(struct alex *alex, uint64_t key, uint64_t row_id,
                                     uint64_t *replaced);

/* As index_repoint. */
bool alex_repoint(struct alex *alex, uint64_t key, uint64_t expected, uint64_t row_id);

/* As index_erase. */
bool alex_erase(struct alex *alex, uint64_t key);

/* As the functions of index.h; they fill and read node and position of the cursor. */
void alex_seek(const struct alex *alex, const uint64_t *key, struct index_cursor *cursor);
void alex_seek_last(const struct alex *alex, const uint64_t *key, struct index_cursor *cursor);
bool alex_next(struct index_cursor *cursor, struct index_entry *entry);
bool alex_previous(struct index_cursor *cursor, struct index_entry *entry);

void alex_stats_of(const struct alex *alex, struct index_stats *stats);
uint64_t alex_bytes(const struct alex *alex);

/* As index_probe_of. */
bool alex_probe_of(const struct alex *alex, uint64_t key, struct index_probe *probe);

/* As index_validate. */
OMEN_MUST_CHECK omen_status alex_validate(const struct alex *alex, omen_error *error);

#endif
