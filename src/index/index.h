/* index.h - the ordered map from encoded primary key to newest row id.
 *
 * One interface over two structures: ALEX (alex.h) for keys that fit an order-preserving 64-bit
 * word, and an ordered byte-string tree for every other key. Pure memory, no I/O.
 *
 * Row ids are 64 bits with bit 63 set; 0 means "no entry". The index never looks inside them.
 *
 * Concurrency: any number of readers, or one writer. The caller holds the table's lock; a
 * cursor is valid only while its holder keeps writers out. `const` functions write nothing.
 */
#ifndef OMEN_INDEX_INDEX_H
#define OMEN_INDEX_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/status.h"

#define ROW_ID_OCCUPIED (UINT64_C(1) << 63)
#define ROW_ID_NONE     UINT64_C(0)

enum index_kind {
    INDEX_WORD, /* keys are 64-bit words in unsigned order */
    INDEX_BYTES /* keys are byte strings in memcmp order, shorter first on a tie */
};

/* A key of either kind; the index's kind says which members count. Bytes are borrowed. */
struct index_key {
    uint64_t word;
    const uint8_t *bytes;
    size_t length;
};

static inline struct index_key index_key_word(uint64_t word)
{
    return (struct index_key){.word = word};
}

struct index;

typedef uint64_t index_lookup_function(const void *structure, uint64_t word);

/* What every index begins with; its structure follows. So the lookup of a word is a single call
 * from the caller's code to the code for this CPU. Read by index_lookup alone. */
struct index_head {
    index_lookup_function *lookup_word; /* NULL: keys are bytes */
};

/* Structure changes and shape, for tests, EXPLAIN and figures. Counters start at creation and
 * count writes only: a lookup writes nothing. */
struct index_stats {
    uint64_t entries;
    uint64_t leaves;        /* data nodes */
    uint64_t sorted_leaves; /* of those, leaves without a model */
    uint64_t inner_nodes;   /* model nodes */
    uint64_t depth_max;     /* nodes from root to leaf, the leaf included */
    uint64_t bytes;         /* allocated */
    uint64_t splits;
    uint64_t expansions;
    uint64_t contractions;
    uint64_t merges;
    uint64_t retrains; /* models refitted without a change of capacity */
};

/* An empty index. */
OMEN_MUST_CHECK omen_status index_create(struct allocator *allocator, enum index_kind kind,
                                         struct index **out);

/* Frees the index and everything in it; NULL does nothing. */
void index_destroy(struct index *index);

enum index_kind index_kind_of(const struct index *index);

/* Fills an empty index from `count` strictly ascending keys. On failure it is empty still.
 * Errors: OUT_OF_MEMORY; INVALID_ARGUMENT if not empty or not ascending. */
OMEN_MUST_CHECK omen_status index_bulk_load(struct index *index, const struct index_key *keys,
                                            const uint64_t *row_ids, size_t count);

/* The same for an index of words. */
OMEN_MUST_CHECK omen_status index_bulk_load_words(struct index *index, const uint64_t *words,
                                                  const uint64_t *row_ids, size_t count);

/* The point operations below take their key apart in the header: a key passed as a structure
 * goes through memory, and the store that doesn't forward makes lookups wait for one another
 * (measured: 65 ns become 300). The functions of parts are for these inline ones alone. */
OMEN_MUST_CHECK omen_status index_put_parts(struct index *index, uint64_t word,
                                            const uint8_t *bytes, size_t length, uint64_t row_id,
                                            uint64_t *replaced);
bool index_erase_parts(struct index *index, uint64_t word, const uint8_t *bytes, size_t length);

uint64_t index_lookup_bytes(const struct index *index, const uint8_t *bytes, size_t length);

/* The row id of `key`, or ROW_ID_NONE. */
static inline uint64_t index_lookup(const struct index *index, struct index_key key)
{
    const struct index_head *head = (const struct index_head *)(const void *)index;
    if (__builtin_expect(head->lookup_word != NULL, 1))
        return head->lookup_word(head + 1, key.word);
    return index_lookup_bytes(index, key.bytes, key.length);
}

/* As index_lookup for `count` keys at once; their cache misses overlap. */
void index_lookup_batch(const struct index *index, const struct index_key *keys, size_t count,
                        uint64_t *row_ids);

/* Sets the entry of `key` to `row_id`. `*replaced` (may be NULL) gets the row id it had, or
 * ROW_ID_NONE where the key is new. Replacing allocates nothing and cannot fail.
 * Errors: OUT_OF_MEMORY, and then the index is as before. */
OMEN_MUST_CHECK static inline omen_status index_put(struct index *index, struct index_key key,
                                                    uint64_t row_id, uint64_t *replaced)
{
    return index_put_parts(index, key.word, key.bytes, key.length, row_id, replaced);
}

/* Points `key` at `row_id` only if its entry still holds `expected`; says whether it did. */
bool index_repoint(struct index *index, struct index_key key, uint64_t expected, uint64_t row_id);

/* Removes the entry of `key`; false where there was none. Never fails: a contraction or merge
 * that memory does not allow is left for later. */
static inline bool index_erase(struct index *index, struct index_key key)
{
    return index_erase_parts(index, key.word, key.bytes, key.length);
}

struct index_entry {
    struct index_key key; /* bytes borrowed until the next write */
    uint64_t row_id;
};

/* A position between entries. Opaque, on the caller's stack, owns nothing. */
struct index_cursor {
    const struct index *index;
    const void *node;
    size_t position;
};

/* Places the cursor before the first entry with a key >= `key`; NULL: before all entries. */
void index_seek(const struct index *index, const struct index_key *key,
                struct index_cursor *cursor);

/* Places the cursor after the last entry with a key <= `key`; NULL: after all entries. */
void index_seek_last(const struct index *index, const struct index_key *key,
                     struct index_cursor *cursor);

/* Steps over the next (previous) entry and gives it; false at the end. */
bool index_next(struct index_cursor *cursor, struct index_entry *entry);
bool index_previous(struct index_cursor *cursor, struct index_entry *entry);

void index_stats_of(const struct index *index, struct index_stats *stats);

/* The bytes of that alone, without looking at the structure. */
uint64_t index_bytes(const struct index *index);

/* Where a lookup of a key ends, for tests and figures. */
struct index_probe {
    uint32_t depth;          /* nodes from root to leaf, the leaf included */
    uint32_t block_distance; /* blocks between the predicted one and the one that decides */
};

/* Traces the lookup of `key`; false where the index has no model (INDEX_BYTES). */
bool index_probe_of(const struct index *index, struct index_key key, struct index_probe *probe);

/* Checks every invariant of the structure. CORRUPTED with a message where one is broken. */
OMEN_MUST_CHECK omen_status index_validate(const struct index *index, omen_error *error);

#endif
