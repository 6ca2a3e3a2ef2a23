/* byte_tree.h - the ordered map for keys of any length: a B+-tree over byte strings.
 *
 * What index.h promises for INDEX_BYTES, implemented; only index.c calls this. Keys compare as
 * memcmp does, a prefix before its extensions. The tree copies keys; callers may drop theirs.
 *
 * Concurrency: any number of readers, or one writer. `const` functions write nothing.
 */
#ifndef OMEN_INDEX_BYTE_TREE_H
#define OMEN_INDEX_BYTE_TREE_H

#include "index/index.h"

struct byte_node;

struct byte_tree {
    struct allocator *allocator;
    struct byte_node *root;
    struct index_stats stats; /* but depth_max */
};

/* An empty tree in caller-owned storage. Errors: OUT_OF_MEMORY, nothing to release then. */
OMEN_MUST_CHECK omen_status byte_tree_init(struct byte_tree *tree, struct allocator *allocator);

/* Frees all nodes. */
void byte_tree_release(struct byte_tree *tree);

/* As the functions of index.h; `key` has bytes and length. Keys of 2^30 bytes and more are
 * refused with OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status byte_tree_bulk_load(struct byte_tree *tree,
                                                const struct index_key *keys,
                                                const uint64_t *row_ids, size_t count);
uint64_t byte_tree_lookup(const struct byte_tree *tree, struct index_key key);
OMEN_MUST_CHECK omen_status byte_tree_put(struct byte_tree *tree, struct index_key key,
                                          uint64_t row_id, uint64_t *replaced);
bool byte_tree_repoint(struct byte_tree *tree, struct index_key key, uint64_t expected,
                       uint64_t row_id);
bool byte_tree_erase(struct byte_tree *tree, struct index_key key);
void byte_tree_seek(const struct byte_tree *tree, const struct index_key *key,
                    struct index_cursor *cursor);
void byte_tree_seek_last(const struct byte_tree *tree, const struct index_key *key,
                         struct index_cursor *cursor);
bool byte_tree_next(struct index_cursor *cursor, struct index_entry *entry);
bool byte_tree_previous(struct index_cursor *cursor, struct index_entry *entry);
void byte_tree_stats_of(const struct byte_tree *tree, struct index_stats *stats);
OMEN_MUST_CHECK omen_status byte_tree_validate(const struct byte_tree *tree, omen_error *error);

#endif
