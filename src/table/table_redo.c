/* table_redo.c - what a write set says in the log: the keys it ends, then the rows it leaves.
 *
 *   REDO_ENDS   table id | count | keys      rows deleted, or replaced under another key
 *   REDO_ROWS   table id | count | block     all new rows; one that replaces another under the same
 *                                            key needs no end
 *
 * Ends come first, so that a row which moves to a key that another row leaves finds it free.
 *
 * A section holds up to 1,024 rows and about 1 MiB, so that large commits stream through the log
 * and through replay. How the rows are cut into sections depends on nothing but the rows: the size
 * is asked for first, then the bytes, and both walks cut alike.
 *
 * Concurrency: the writer lock is held.
 */
#include "base/bits.h"
#include "base/bytes.h"
#include "column/row_codec.h"
#include "table/redo.h"
#include "table/table_private.h"

enum { SECTION_BYTES_MAX = 1 << 20 };

uint64_t redo_head_bytes(uint64_t body_bytes)
{
    return 1 + varint_bytes(body_bytes);
}

void redo_put_head(struct txn_redo *redo, uint8_t kind, uint64_t body_bytes)
{
    uint8_t head[1 + VARINT_BYTES_MAX];
    head[0] = kind;
    txn_redo_put(redo, head, 1 + varint_put(head + 1, body_bytes));
}

/* Table id and count: what the body of both kinds begins with. */
static uint64_t prefix_bytes(const struct table *table, uint64_t count)
{
    return varint_bytes(table->id) + varint_bytes(count);
}

static void put_prefix(struct txn_redo *redo, const struct table *table, uint8_t kind,
                       uint64_t count, uint64_t bytes)
{
    uint8_t prefix[2 * VARINT_BYTES_MAX];
    redo_put_head(redo, kind, prefix_bytes(table, count) + bytes);
    size_t length = varint_put(prefix, table->id);
    length += varint_put(prefix + length, count);
    txn_redo_put(redo, prefix, length);
}

/* --- rows --- */

/* Rows of the section that begins at `first`, and the bytes of their block. */
static uint32_t section_rows(const struct row_group *group, uint32_t first, uint64_t *bytes)
{
    uint32_t count = (uint32_t)size_min(ROW_BLOCK_ROWS_MAX, row_group_row_count(group) - first);
    while ((*bytes = row_codec_bytes(group, first, count)) > SECTION_BYTES_MAX && count > 1)
        count /= 2;
    return count;
}

static uint64_t rows_bytes(const struct table *table, const struct row_group *group)
{
    uint64_t total = 0, bytes;
    uint32_t rows = row_group_row_count(group);
    for (uint32_t first = 0, count; first < rows; first += count) {
        count = section_rows(group, first, &bytes);
        bytes += prefix_bytes(table, count);
        total += redo_head_bytes(bytes) + bytes;
    }
    return total;
}

static void put_block(void *context, const void *data, size_t length)
{
    txn_redo_put(context, data, length);
}

static void put_rows(const struct table *table, const struct row_group *group,
                     struct txn_redo *redo)
{
    const struct row_sink sink = {put_block, redo};
    uint64_t bytes;
    uint32_t rows = row_group_row_count(group);
    for (uint32_t first = 0, count; first < rows; first += count) {
        count = section_rows(group, first, &bytes);
        put_prefix(redo, table, REDO_ROWS, count, bytes);
        row_codec_write(group, first, count, &sink);
    }
}

/* --- ends --- */

omen_status redo_encode_ends(struct write_set *set)
{
    const struct table *table = set->table;
    bool bytes = table->schema->key.kind == INDEX_BYTES;
    set->ended_count = 0;
    for (size_t i = 0; i < set->target_count; i++)
        set->ended_count += set->targets[i].key_freed;
    if (bytes && set->ended_count > 0) {
        set->ended_keys = arena_alloc(&set->keys_arena, set->ended_count * sizeof *set->ended_keys);
        if (set->ended_keys == NULL)
            return OMEN_OUT_OF_MEMORY;
    }
    size_t count = 0;
    for (size_t i = 0; i < set->target_count && bytes; i++)
        if (set->targets[i].key_freed)
            set->ended_keys[count++] = set->targets[i].key;
    return OMEN_OK;
}

/* The ended keys one after another. */
struct ended_keys {
    const struct write_set *set;
    size_t target; /* looked at */
};

static struct index_key ended_next(struct ended_keys *keys)
{
    const struct write_set *set = keys->set;
    while (!set->targets[keys->target].key_freed)
        keys->target++;
    return set->targets[keys->target++].key;
}

/* Keys of the section that begins with the key `first`, and their bytes. */
static size_t section_keys(const struct write_set *set, size_t first, uint64_t *bytes)
{
    size_t left = size_min(ROW_BLOCK_ROWS_MAX, set->ended_count - first);
    *bytes = 8 * left;
    if (set->ended_keys == NULL)
        return left;
    *bytes = 0;
    size_t count = 0;
    while (count < left && (count == 0 || *bytes < SECTION_BYTES_MAX)) {
        size_t length = set->ended_keys[first + count++].length;
        *bytes += varint_bytes(length) + length;
    }
    return count;
}

static uint64_t ends_bytes(const struct write_set *set)
{
    uint64_t total = 0, bytes;
    for (size_t first = 0, count; first < set->ended_count; first += count) {
        count = section_keys(set, first, &bytes);
        bytes += prefix_bytes(set->table, count);
        total += redo_head_bytes(bytes) + bytes;
    }
    return total;
}

static void put_key(struct txn_redo *redo, const struct write_set *set, struct index_key key)
{
    uint8_t bytes[VARINT_BYTES_MAX];
    if (set->ended_keys == NULL) {
        bytes_put_u64(bytes, key.word);
        txn_redo_put(redo, bytes, 8);
        return;
    }
    txn_redo_put(redo, bytes, varint_put(bytes, key.length));
    txn_redo_put(redo, key.bytes, key.length);
}

static void put_ends(const struct write_set *set, struct txn_redo *redo)
{
    struct ended_keys keys = {.set = set};
    uint64_t bytes;
    for (size_t first = 0, count; first < set->ended_count; first += count) {
        count = section_keys(set, first, &bytes);
        put_prefix(redo, set->table, REDO_ENDS, count, bytes);
        for (size_t i = 0; i < count; i++)
            put_key(redo, set, ended_next(&keys));
    }
}

/* --- the participant --- */

uint64_t write_set_redo_bytes(void *self)
{
    const struct write_set *set = self;
    uint64_t bytes = ends_bytes(set);
    for (size_t i = 0; i < set->group_count; i++)
        bytes += rows_bytes(set->table, set->groups[i]);
    return bytes;
}

void write_set_redo(void *self, struct txn_redo *redo)
{
    const struct write_set *set = self;
    put_ends(set, redo);
    for (size_t i = 0; i < set->group_count; i++)
        put_rows(set->table, set->groups[i], redo);
}
