/* table_replay.c - applying commits of the log again.
 *
 *   small commits    gathered into one batch, keys in a hash table:
 *                      rows   [a1 b1 c1 a2 d1 ...]    a2 replaces a1, which is then never applied
 *                      ends   {e, f}
 *   a large commit   read into write sets as it comes, applied when it has ended
 *
 * Nobody reads during recovery, so of the commits of a batch only what they leave behind counts:
 * the last word on each key. It is applied by an ordinary commit at the timestamp of the last of
 * them. That commit needs no validation of its own: which rows its keys replace has just been
 * looked up, many at once. So a log of small commits is replayed as if it were of large ones.
 *
 * A row whose key exists replaces that row; a key that ends and does not exist means that the log
 * does not fit to the table: CORRUPTED.
 *
 * Concurrency: one thread, alone with the tables.
 */
#include <string.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "table/table_replay_private.h"

omen_status replay_corrupted(omen_error *error, const char *what)
{
    return error_set(error, OMEN_CORRUPTED, "the log cannot be replayed: %s", what);
}

/* --- life --- */

omen_status replay_create(struct allocator *allocator, struct txn_manager *manager,
                          const struct replay_hooks *hooks, struct replay **out)
{
    *out = allocator_alloc_zeroed(allocator, sizeof **out);
    if (*out == NULL)
        return OMEN_OUT_OF_MEMORY;
    (*out)->allocator = allocator;
    (*out)->manager = manager;
    (*out)->hooks = *hooks;
    (*out)->timestamp = txn_published(manager);
    return OMEN_OK;
}

static void batch_destroy(struct replay *replay, struct batch *batch)
{
    struct allocator *allocator = replay->allocator;
    write_set_destroy(batch->set);
    array_release(allocator, batch->ops, batch->op_capacity, sizeof *batch->ops, NULL);
    allocator_free(allocator, batch->buckets, batch->bucket_count * sizeof *batch->buckets);
    arena_release(&batch->keys);
    table_release(batch->table);
    allocator_free(allocator, batch, sizeof *batch);
}

static void batches_destroy(struct replay *replay)
{
    while (replay->batches != NULL) {
        struct batch *next = replay->batches->next;
        batch_destroy(replay, replay->batches);
        replay->batches = next;
    }
    replay->words = 0;
    replay->bytes = 0;
}

void replay_destroy(struct replay *replay)
{
    if (replay == NULL)
        return;
    batches_destroy(replay);
    allocator_free(replay->allocator, replay->data, replay->capacity);
    allocator_free(replay->allocator, replay, sizeof *replay);
}

uint64_t replay_commit_count(const struct replay *replay)
{
    return replay->commits;
}

uint64_t replay_row_count(const struct replay *replay)
{
    return replay->rows;
}

/* --- applying --- */

/* The ops of a batch whose words are the last ones; of the rows only those that stay. */
static omen_status drop_replaced(struct batch *batch)
{
    struct write_set *set = batch->set;
    struct allocator *allocator = set->table->allocator;
    uint32_t rows = row_group_row_count(set->groups[0]), count = 0;
    uint16_t *slots = allocator_alloc(allocator, rows * sizeof *slots);
    struct row_group *group = NULL;
    if (slots == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (size_t i = 0; i < batch->op_count; i++)
        if (batch->ops[i].slot != SLOT_ENDED)
            slots[count++] = (uint16_t)batch->ops[i].slot;
    omen_status status = row_group_create(allocator, set->table->schema, GROUP_NUMBER_NONE,
                                          count == 0 ? 1 : count, &group);
    if (status == OMEN_OK && count > 0)
        status = row_group_append_chosen(group, set->groups[0], slots, count);
    allocator_free(allocator, slots, rows * sizeof *slots);
    if (status != OMEN_OK) {
        row_group_release(group);
        return status;
    }
    row_group_release(set->groups[0]);
    set->groups[0] = group;
    return OMEN_OK;
}

/* Makes the row that the index leads to, if it is live, a target of the set. */
static omen_status target_row(struct write_set *set, uint64_t row_id, bool key_freed, bool *live)
{
    const struct table *table = set->table;
    *live = false;
    if (row_id == ROW_ID_NONE)
        return OMEN_OK;
    uint64_t newest = row_id_canonical(table, row_id);
    if (directory_find(table, row_id_group(newest)) == NULL ||
        row_end(table, newest) != TIMESTAMP_INFINITY)
        return OMEN_OK;
    *live = true;
    if (write_set_targets(set, newest))
        return OMEN_OK;
    return write_set_add_target(
        set, (struct write_target){.row_id = newest,
                                   .stale_id = row_id == newest ? ROW_ID_NONE : row_id,
                                   .key_freed = key_freed});
}

/* No key given out again: rows of hidden keys push the next one behind theirs. */
static void raise_hidden_key(struct table *table, struct index_key given)
{
    if (!table->schema->key_hidden)
        return;
    int64_t key = (int64_t)(given.word ^ UINT64_C(1) << 63);
    if (key >= atomic_load_explicit(&table->hidden_key_next, memory_order_relaxed))
        atomic_store_explicit(&table->hidden_key_next, key + 1, memory_order_relaxed);
}

/* The rows that end: what ops end, and nothing puts again. A row that began in the batch and ended
 * in it is nowhere else. */
static omen_status target_ends(struct batch *batch, omen_error *error)
{
    struct index_key keys[LOOKUP_BATCH];
    bool must_exist[LOOKUP_BATCH];
    uint64_t row_ids[LOOKUP_BATCH];
    for (size_t next = 0; next < batch->op_count;) {
        uint32_t count = 0;
        for (; next < batch->op_count && count < LOOKUP_BATCH; next++) {
            if (batch->ops[next].slot != SLOT_ENDED)
                continue;
            raise_hidden_key(batch->table, batch->ops[next].key);
            must_exist[count] = batch->ops[next].must_exist;
            keys[count++] = batch->ops[next].key;
        }
        index_lookup_batch(batch->table->index, keys, count, row_ids);
        for (uint32_t i = 0; i < count; i++) {
            bool live;
            omen_status status = target_row(batch->set, row_ids[i], true, &live);
            if (status != OMEN_OK)
                return error_set_default(error, status);
            if (!live && must_exist[i])
                return replay_corrupted(error, "a row ends that is not there");
        }
    }
    return OMEN_OK;
}

/* The rows that the new ones of one group replace. */
static omen_status target_replaced(struct write_set *set, const struct row_group *group,
                                   uint64_t ordinal, omen_error *error)
{
    struct table *table = set->table;
    struct index_key keys[LOOKUP_BATCH];
    uint64_t row_ids[LOOKUP_BATCH];
    uint32_t rows = row_group_row_count(group);
    for (uint32_t first = 0; first < rows; first += LOOKUP_BATCH) {
        uint32_t count = (uint32_t)size_min(LOOKUP_BATCH, rows - first);
        for (uint32_t i = 0; i < count; i++) {
            keys[i] = write_set_key(set, group, first + i, ordinal + first + i);
            raise_hidden_key(table, keys[i]);
        }
        index_lookup_batch(table->index, keys, count, row_ids);
        for (uint32_t i = 0; i < count; i++) {
            bool live;
            omen_status status = target_row(set, row_ids[i], false, &live);
            if (status != OMEN_OK)
                return error_set_default(error, status);
        }
    }
    return OMEN_OK;
}

/* Makes the set of the batch one that can be committed. */
static omen_status batch_resolve(struct batch *batch, omen_error *error)
{
    struct write_set *set = batch->set;
    omen_status status = batch->replaced > 0 ? drop_replaced(batch) : OMEN_OK;
    if (status == OMEN_OK)
        status = write_set_encode_keys(set);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    OMEN_TRY(target_ends(batch, error));
    uint64_t ordinal = 0;
    for (size_t i = 0; i < set->group_count; i++) {
        OMEN_TRY(target_replaced(set, set->groups[i], ordinal, error));
        ordinal += row_group_row_count(set->groups[i]);
    }
    return OMEN_OK;
}

static omen_status resolved(void *self, omen_error *error)
{
    return OMEN_OK;
}

/* Commits the sets of all batches at the timestamp of the last commit gathered. */
static omen_status commit_batches(struct replay *replay, omen_error *error)
{
    size_t count = 0;
    struct txn_participant_ops ops = write_set_ops;
    ops.validate = resolved;
    for (const struct batch *batch = replay->batches; batch != NULL; batch = batch->next)
        count += batch->set != NULL;
    struct txn_participant *participants =
        allocator_alloc(replay->allocator, (count + 1) * sizeof *participants);
    if (participants == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    size_t filled = 0;
    for (const struct batch *batch = replay->batches; batch != NULL; batch = batch->next)
        if (batch->set != NULL)
            participants[filled++] = (struct txn_participant){.ops = &ops, .self = batch->set};
    txn_set_time(replay->manager, replay->timestamp - 1);
    txn_writer_lock(replay->manager);
    omen_status status = txn_commit(replay->manager, participants, count, TXN_DURABLE, NULL, error);
    txn_writer_unlock(replay->manager);
    allocator_free(replay->allocator, participants, (count + 1) * sizeof *participants);
    return status == OMEN_DUPLICATE_KEY ? replay_corrupted(error, "two new rows have one key")
                                        : status;
}

static void batch_empty(struct batch *batch)
{
    write_set_destroy(batch->set);
    batch->set = NULL;
    batch->op_count = 0;
    batch->replaced = 0;
    if (batch->bucket_count > 0)
        memset(batch->buckets, 0, batch->bucket_count * sizeof *batch->buckets);
    arena_release(&batch->keys);
}

/* Applies everything gathered. */
static omen_status flush(struct replay *replay, omen_error *error)
{
    size_t tables = 0;
    if (replay->words == 0)
        return OMEN_OK;
    for (struct batch *batch = replay->batches; batch != NULL; batch = batch->next)
        if (batch->set != NULL)
            OMEN_TRY(batch_resolve(batch, error));
    OMEN_TRY(commit_batches(replay, error));
    for (struct batch *batch = replay->batches; batch != NULL; batch = batch->next, tables++)
        batch_empty(batch);
    if (tables > BATCH_TABLES_KEPT)
        batches_destroy(replay);
    replay->words = 0;
    replay->bytes = 0;
    return OMEN_OK;
}

/* --- the bytes of a commit --- */

static omen_status buffer_append(struct replay *replay, const void *bytes, size_t length)
{
    if (length > replay->capacity - replay->length) {
        size_t capacity = size_max(replay->capacity * 2, 1 << 16);
        capacity = size_max(capacity, replay->length + length);
        uint8_t *data =
            allocator_resize(replay->allocator, replay->data, replay->capacity, capacity);
        if (data == NULL)
            return OMEN_OUT_OF_MEMORY;
        replay->data = data;
        replay->capacity = capacity;
    }
    if (length > 0)
        memcpy(replay->data + replay->length, bytes, length);
    replay->length += length;
    return OMEN_OK;
}

static void buffer_use(struct replay *replay, size_t used)
{
    if (used > 0 && used < replay->length)
        memmove(replay->data, replay->data + used, replay->length - used);
    replay->length -= used;
}

/* The head of the commit, once it is there. */
static omen_status head_read(struct replay *replay, omen_error *error)
{
    if (replay->commit_timestamp != 0 || replay->length < TXN_REDO_HEAD_BYTES)
        return OMEN_OK;
    replay->commit_timestamp = bytes_get_u64(replay->data);
    if (replay->commit_timestamp <= replay->timestamp || replay->commit_timestamp >= TXN_NEWEST)
        return replay_corrupted(error, "a commit is out of its turn");
    buffer_use(replay, TXN_REDO_HEAD_BYTES);
    return OMEN_OK;
}

static omen_status other_section(struct replay *replay, const struct section *section,
                                 omen_error *error)
{
    OMEN_TRY(flush(replay, error));
    return replay->hooks.other(replay->hooks.context, replay->commit_timestamp, section->kind,
                               section->body, section->length, error);
}

/* Gathers the sections that are whole. Those that are not of tables wait until the commit has
 * ended, and so does what follows them. */
static omen_status use_sections(struct replay *replay, bool large, bool ended, omen_error *error)
{
    const uint8_t *at = replay->data, *end = at + replay->length, *next;
    struct section section;
    bool broken = false;
    omen_status status = OMEN_OK;
    if (replay->length == 0)
        return OMEN_OK;
    while (status == OMEN_OK && (next = section_read(at, end, &section, &broken)) != NULL) {
        if (section.kind < REDO_OTHER)
            status = section_gather(replay, section, large, error);
        else if (ended)
            status = other_section(replay, &section, error);
        else
            break;
        at = next;
    }
    if (status == OMEN_OK && (broken || (ended && at != end)))
        status = replay_corrupted(error, "a section is damaged");
    buffer_use(replay, (size_t)(at - replay->data));
    return status;
}

/* Rows and ends of the commit that is whole in the buffer. */
static omen_status count_words(const struct replay *replay, uint64_t *words, omen_error *error)
{
    const uint8_t *at = replay->data, *end = at + replay->length;
    struct section section;
    bool broken;
    *words = 0;
    while (at != end) {
        uint32_t count = 0;
        at = section_read(at, end, &section, &broken);
        if (at == NULL)
            return replay_corrupted(error, "a section is damaged");
        if (section.kind < REDO_OTHER)
            OMEN_TRY(section_words(section, &count, error));
        *words += count;
    }
    return OMEN_OK;
}

/* --- commits --- */

omen_status replay_data(struct replay *replay, const void *bytes, size_t length, omen_error *error)
{
    omen_status status = buffer_append(replay, bytes, length);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    OMEN_TRY(head_read(replay, error));
    if (!replay->large && replay->length > STREAM_BYTES) {
        OMEN_TRY(flush(replay, error));
        replay->large = true;
    }
    return replay->large ? use_sections(replay, true, false, error) : OMEN_OK;
}

static omen_status commit_small(struct replay *replay, omen_error *error)
{
    uint64_t words;
    OMEN_TRY(count_words(replay, &words, error));
    bool large = words > BATCH_WORDS_MAX;
    if (large || replay->words + words > BATCH_WORDS_MAX ||
        replay->bytes + replay->length > BATCH_BYTES_MAX)
        OMEN_TRY(flush(replay, error));
    replay->large = large;
    replay->bytes += replay->length;
    replay->timestamp = replay->commit_timestamp;
    return use_sections(replay, large, true, error);
}

omen_status replay_commit(struct replay *replay, omen_error *error)
{
    if (replay->commit_timestamp == 0)
        return replay_corrupted(error, "a commit has no beginning");
    if (replay->large) {
        replay->timestamp = replay->commit_timestamp;
        OMEN_TRY(use_sections(replay, true, true, error));
    } else {
        OMEN_TRY(commit_small(replay, error));
    }
    if (replay->large)
        OMEN_TRY(flush(replay, error));
    replay->large = false;
    replay->commit_timestamp = 0;
    replay->commits++;
    return OMEN_OK;
}

void replay_discard(struct replay *replay)
{
    if (replay->large)
        batches_destroy(replay); /* nothing but this commit is in them */
    replay->large = false;
    replay->length = 0;
    replay->commit_timestamp = 0;
}

omen_status replay_finish(struct replay *replay, omen_error *error)
{
    OMEN_TRY(flush(replay, error));
    txn_set_time(replay->manager, replay->timestamp);
    return OMEN_OK;
}
