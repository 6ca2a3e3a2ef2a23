/* index.c - the two structures behind index.h. */
#include "index/index.h"

#include "index/alex.h"
#include "index/byte_tree.h"

struct index {
    struct index_head head;
    union {
        struct alex alex;
        struct byte_tree tree;
    };
    enum index_kind kind;
    struct allocator *allocator;
};

_Static_assert(offsetof(struct index, alex) == sizeof(struct index_head) &&
                   offsetof(struct index, tree) == sizeof(struct index_head),
               "index_lookup finds the structure behind the head");

static struct index_key key_of_bytes(const uint8_t *bytes, size_t length)
{
    return (struct index_key){.bytes = bytes, .length = length};
}

omen_status index_create(struct allocator *allocator, enum index_kind kind, struct index **out)
{
    *out = NULL;
    struct index *index = allocator_alloc(allocator, sizeof *index);
    if (index == NULL)
        return OMEN_OUT_OF_MEMORY;
    index->kind = kind;
    index->allocator = allocator;
    omen_status status = kind == INDEX_WORD ? alex_init(&index->alex, allocator)
                                            : byte_tree_init(&index->tree, allocator);
    if (status != OMEN_OK) {
        allocator_free(allocator, index, sizeof *index);
        return status;
    }
    index->head.lookup_word = kind == INDEX_WORD ? alex_lookup_function(&index->alex) : NULL;
    *out = index;
    return OMEN_OK;
}

void index_destroy(struct index *index)
{
    if (index == NULL)
        return;
    if (index->kind == INDEX_WORD)
        alex_release(&index->alex);
    else
        byte_tree_release(&index->tree);
    allocator_free(index->allocator, index, sizeof *index);
}

enum index_kind index_kind_of(const struct index *index)
{
    return index->kind;
}

omen_status index_bulk_load(struct index *index, const struct index_key *keys,
                            const uint64_t *row_ids, size_t count)
{
    if (index->kind == INDEX_WORD)
        return alex_bulk_load(&index->alex, keys, row_ids, count);
    return byte_tree_bulk_load(&index->tree, keys, row_ids, count);
}

omen_status index_bulk_load_words(struct index *index, const uint64_t *words,
                                  const uint64_t *row_ids, size_t count)
{
    if (index->kind != INDEX_WORD)
        return OMEN_INVALID_ARGUMENT;
    return alex_bulk_load_words(&index->alex, words, row_ids, count);
}

uint64_t index_lookup_bytes(const struct index *index, const uint8_t *bytes, size_t length)
{
    return byte_tree_lookup(&index->tree, key_of_bytes(bytes, length));
}

void index_lookup_batch(const struct index *index, const struct index_key *keys, size_t count,
                        uint64_t *row_ids)
{
    if (index->kind == INDEX_WORD) {
        alex_lookup_batch(&index->alex, keys, count, row_ids);
        return;
    }
    for (size_t at = 0; at < count; at++)
        row_ids[at] = byte_tree_lookup(&index->tree, keys[at]);
}

omen_status index_put_parts(struct index *index, uint64_t word, const uint8_t *bytes, size_t length,
                            uint64_t row_id, uint64_t *replaced)
{
    if (index->kind == INDEX_WORD)
        return alex_put(&index->alex, word, row_id, replaced);
    return byte_tree_put(&index->tree, key_of_bytes(bytes, length), row_id, replaced);
}

bool index_repoint(struct index *index, struct index_key key, uint64_t expected, uint64_t row_id)
{
    if (index->kind == INDEX_WORD)
        return alex_repoint(&index->alex, key.word, expected, row_id);
    return byte_tree_repoint(&index->tree, key, expected, row_id);
}

bool index_erase_parts(struct index *index, uint64_t word, const uint8_t *bytes, size_t length)
{
    if (index->kind == INDEX_WORD)
        return alex_erase(&index->alex, word);
    return byte_tree_erase(&index->tree, key_of_bytes(bytes, length));
}

void index_seek(const struct index *index, const struct index_key *key, struct index_cursor *cursor)
{
    cursor->index = index;
    if (index->kind == INDEX_WORD)
        alex_seek(&index->alex, key != NULL ? &key->word : NULL, cursor);
    else
        byte_tree_seek(&index->tree, key, cursor);
}

void index_seek_last(const struct index *index, const struct index_key *key,
                     struct index_cursor *cursor)
{
    cursor->index = index;
    if (index->kind == INDEX_WORD)
        alex_seek_last(&index->alex, key != NULL ? &key->word : NULL, cursor);
    else
        byte_tree_seek_last(&index->tree, key, cursor);
}

bool index_next(struct index_cursor *cursor, struct index_entry *entry)
{
    return cursor->index->kind == INDEX_WORD ? alex_next(cursor, entry)
                                             : byte_tree_next(cursor, entry);
}

bool index_previous(struct index_cursor *cursor, struct index_entry *entry)
{
    return cursor->index->kind == INDEX_WORD ? alex_previous(cursor, entry)
                                             : byte_tree_previous(cursor, entry);
}

void index_stats_of(const struct index *index, struct index_stats *stats)
{
    if (index->kind == INDEX_WORD)
        alex_stats_of(&index->alex, stats);
    else
        byte_tree_stats_of(&index->tree, stats);
}

uint64_t index_bytes(const struct index *index)
{
    return index->kind == INDEX_WORD ? alex_bytes(&index->alex) : index->tree.stats.bytes;
}

bool index_probe_of(const struct index *index, struct index_key key, struct index_probe *probe)
{
    return index->kind == INDEX_WORD && alex_probe_of(&index->alex, key.word, probe);
}

omen_status index_validate(const struct index *index, omen_error *error)
{
    return index->kind == INDEX_WORD ? alex_validate(&index->alex, error)
                                     : byte_tree_validate(&index->tree, error);
}
