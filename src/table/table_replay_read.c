/* table_replay_read.c - sections of the log, into what is gathered for their tables.
 *
 * Trusts nothing in the bytes: what cannot be is CORRUPTED. The hash table of a batch knows the
 * last word on each key; a large commit needs none, because a commit has one word on each key, and
 * where a damaged one has two, applying it finds out.
 */
#include <string.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "column/row_codec.h"
#include "table/table_replay_private.h"

enum { BUCKETS_MIN = 256 };

static omen_status batch_find(struct replay *replay, uint64_t table_id, struct batch **out,
                              omen_error *error)
{
    *out = NULL;
    struct table *table = NULL;
    if (replay->batches != NULL && replay->batches->table->id == table_id) {
        *out = replay->batches;
    } else {
        OMEN_TRY(replay->hooks.find(replay->hooks.context, table_id, &table, error));
        if (table == NULL)
            return OMEN_OK;
        for (*out = replay->batches; *out != NULL && (*out)->table != table;)
            *out = (*out)->next;
    }
    if (*out == NULL) {
        *out = allocator_alloc_zeroed(replay->allocator, sizeof **out);
        if (*out == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        (*out)->table = table_retain(table);
        arena_init(&(*out)->keys, replay->allocator);
        (*out)->next = replay->batches;
        replay->batches = *out;
    }
    if ((*out)->set == NULL && write_set_create((*out)->table, &(*out)->set) != OMEN_OK)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    return OMEN_OK;
}

/* --- the ops of a batch --- */

static uint64_t key_hash(const struct batch *batch, const struct index_key *key)
{
    if (batch->table->schema->key.kind == INDEX_WORD)
        return key->word * UINT64_C(0x9E3779B97F4A7C15) >> 20;
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < key->length; i++)
        hash = (hash ^ key->bytes[i]) * UINT64_C(0x100000001B3);
    return hash >> 20;
}

static bool key_equal(const struct batch *batch, const struct index_key *a,
                      const struct index_key *b)
{
    if (batch->table->schema->key.kind == INDEX_WORD)
        return a->word == b->word;
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

/* The bucket of the key: its op's, or a free one. */
static size_t bucket_find(const struct batch *batch, const struct index_key *key)
{
    size_t bucket = key_hash(batch, key) & (batch->bucket_count - 1);
    while (batch->buckets[bucket] != 0 &&
           !key_equal(batch, &batch->ops[batch->buckets[bucket] - 1].key, key))
        bucket = (bucket + 1) & (batch->bucket_count - 1);
    return bucket;
}

/* Room for `extra` ops more. */
static omen_status ops_reserve(struct replay *replay, struct batch *batch, size_t extra,
                               bool hashed)
{
    size_t needed = batch->op_count + extra;
    if (!array_reserve(replay->allocator, (void **)&batch->ops, &batch->op_capacity, needed,
                       sizeof *batch->ops, NULL))
        return OMEN_OUT_OF_MEMORY;
    size_t count = batch->bucket_count < BUCKETS_MIN ? BUCKETS_MIN : batch->bucket_count;
    while (count < 2 * needed)
        count *= 2;
    if (!hashed || count == batch->bucket_count)
        return OMEN_OK;
    uint32_t *buckets = allocator_alloc_zeroed(replay->allocator, count * sizeof *buckets);
    if (buckets == NULL)
        return OMEN_OUT_OF_MEMORY;
    allocator_free(replay->allocator, batch->buckets, batch->bucket_count * sizeof *buckets);
    batch->buckets = buckets;
    batch->bucket_count = count;
    for (size_t i = 0; i < batch->op_count; i++)
        buckets[bucket_find(batch, &batch->ops[i].key)] = (uint32_t)i + 1;
    return OMEN_OK;
}

/* Notes the newest word on a key: a row at `slot`, or SLOT_ENDED. Room is reserved. */
static omen_status op_note(struct batch *batch, struct index_key key, uint32_t slot,
                           omen_error *error)
{
    size_t bucket = bucket_find(batch, &key);
    if (batch->buckets[bucket] == 0) {
        batch->ops[batch->op_count] =
            (struct op){.key = key, .slot = slot, .must_exist = slot == SLOT_ENDED};
        batch->buckets[bucket] = (uint32_t)++batch->op_count;
        return OMEN_OK;
    }
    struct op *op = &batch->ops[batch->buckets[bucket] - 1];
    if (op->slot == SLOT_ENDED && slot == SLOT_ENDED)
        return replay_corrupted(error, "a row ends twice");
    batch->replaced += op->slot != SLOT_ENDED;
    op->slot = slot;
    return OMEN_OK;
}

/* --- sections --- */

const uint8_t *section_read(const uint8_t *at, const uint8_t *end, struct section *out,
                            bool *broken)
{
    uint64_t length;
    *broken = false;
    if (at == end)
        return NULL;
    out->kind = *at++;
    *broken = out->kind == 0 || (out->kind > REDO_ENDS && out->kind < REDO_OTHER);
    const uint8_t *body = varint_get(at, end, &length);
    if (body == NULL) {
        *broken = *broken || end - at >= VARINT_BYTES_MAX;
        return NULL;
    }
    if (*broken || length > (uint64_t)(end - body))
        return NULL;
    out->body = body;
    out->length = length;
    return body + length;
}

/* Table id and count of a section of rows or ends; `section` is then what lies behind them. */
static omen_status prefix_read(struct section *section, uint64_t *table_id, uint32_t *count,
                               omen_error *error)
{
    uint64_t number = 0;
    const uint8_t *end = section->body + section->length;
    const uint8_t *at = varint_get(section->body, end, table_id);
    if (at != NULL)
        at = varint_get(at, end, &number);
    if (at == NULL || number == 0 || number > ROW_BLOCK_ROWS_MAX)
        return replay_corrupted(error, "a section has no beginning");
    *count = (uint32_t)number;
    section->body = at;
    section->length = (size_t)(end - at);
    return OMEN_OK;
}

static omen_status decode_failed(omen_status status, omen_error *error)
{
    return status == OMEN_OUT_OF_MEMORY ? error_set_default(error, status)
                                        : replay_corrupted(error, "a block of rows is damaged");
}

/* The next key of a section of ends. Byte keys are copied to the batch. */
static omen_status key_read(struct batch *batch, const uint8_t **at, const uint8_t *end,
                            struct index_key *key, omen_error *error)
{
    *key = (struct index_key){0};
    if (batch->table->schema->key.kind == INDEX_WORD) {
        if (end - *at < 8)
            return replay_corrupted(error, "a key is cut off");
        key->word = bytes_get_u64(*at);
        *at += 8;
        return OMEN_OK;
    }
    uint64_t length;
    const uint8_t *bytes = varint_get(*at, end, &length);
    if (bytes == NULL || length > (uint64_t)(end - bytes))
        return replay_corrupted(error, "a key is cut off");
    uint8_t *copy = arena_alloc(&batch->keys, length);
    if (copy == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (length > 0)
        memcpy(copy, bytes, length);
    key->bytes = copy;
    key->length = length;
    *at = bytes + length;
    return OMEN_OK;
}

/* Every key of the section. Those of a large commit are distinct, as are its rows. */
static omen_status ends_read(struct replay *replay, struct section *section, bool large,
                             omen_error *error)
{
    struct batch *batch;
    uint64_t table_id;
    uint32_t count;
    OMEN_TRY(prefix_read(section, &table_id, &count, error));
    OMEN_TRY(batch_find(replay, table_id, &batch, error));
    if (batch == NULL)
        return OMEN_OK;
    if (ops_reserve(replay, batch, count, !large) != OMEN_OK)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    const uint8_t *at = section->body, *end = at + section->length;
    for (uint32_t i = 0; i < count; i++) {
        struct index_key key;
        OMEN_TRY(key_read(batch, &at, end, &key, error));
        if (!large)
            OMEN_TRY(op_note(batch, key, SLOT_ENDED, error));
        else
            batch->ops[batch->op_count++] =
                (struct op){.key = key, .slot = SLOT_ENDED, .must_exist = true};
    }
    replay->rows += count;
    replay->words += count;
    return at == end ? OMEN_OK : replay_corrupted(error, "bytes behind the last key");
}

/* Appends a block to the set of a large commit, whose groups are to be attached whole: so they are
 * filled to the last slot, a block in two parts if need be. */
static omen_status block_append(struct write_set *set, const struct section *section,
                                uint32_t count)
{
    if (set->group_count == 0)
        OMEN_TRY(write_set_add_group(set));
    struct row_group *last = set->groups[set->group_count - 1];
    uint32_t room = ROW_GROUP_ROWS - row_group_row_count(last);
    if (room >= count) {
        omen_status status = row_codec_append(last, count, section->body, section->length);
        if (status != OMEN_LIMIT_EXCEEDED || room == ROW_GROUP_ROWS)
            return status;
        room = 0; /* its text is at the limit */
    }
    struct row_group *block;
    OMEN_TRY(row_group_create(set->table->allocator, set->table->schema, GROUP_NUMBER_NONE, count,
                              &block));
    omen_status status = row_codec_append(block, count, section->body, section->length);
    if (status == OMEN_OK && room > 0) {
        status = row_group_append_slots(last, block, 0, room);
        if (status == OMEN_LIMIT_EXCEEDED) {
            room = 0;
            status = OMEN_OK;
        }
    }
    if (status == OMEN_OK)
        status = write_set_add_group(set);
    if (status == OMEN_OK)
        status =
            row_group_append_slots(set->groups[set->group_count - 1], block, room, count - room);
    row_group_release(block);
    return status;
}

static omen_status rows_read(struct replay *replay, struct section *section, bool large,
                             omen_error *error)
{
    struct batch *batch;
    uint64_t table_id;
    uint32_t count;
    OMEN_TRY(prefix_read(section, &table_id, &count, error));
    OMEN_TRY(batch_find(replay, table_id, &batch, error));
    if (batch == NULL)
        return OMEN_OK;
    omen_status status;
    replay->rows += count;
    replay->words += count;
    if (large) {
        status = block_append(batch->set, section, count);
        return status == OMEN_OK ? status : decode_failed(status, error);
    }
    status = ops_reserve(replay, batch, count, true);
    if (status == OMEN_OK)
        status = write_set_ready(batch->set, count);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    struct row_group *group = batch->set->groups[0]; /* the only one: a batch is small */
    status = row_codec_append(group, count, section->body, section->length);
    if (status != OMEN_OK)
        return decode_failed(status, error);
    uint32_t rows = row_group_row_count(group);
    for (uint32_t slot = rows - count; slot < rows; slot++) {
        struct index_key key;
        status = row_group_key(group, slot, &batch->keys, &key);
        if (status != OMEN_OK)
            return decode_failed(status, error);
        OMEN_TRY(op_note(batch, key, slot, error));
    }
    return OMEN_OK;
}

omen_status section_words(struct section section, uint32_t *count, omen_error *error)
{
    uint64_t table_id;
    return prefix_read(&section, &table_id, count, error);
}

omen_status section_gather(struct replay *replay, struct section section, bool large,
                           omen_error *error)
{
    return section.kind == REDO_ROWS ? rows_read(replay, &section, large, error)
                                     : ends_read(replay, &section, large, error);
}
