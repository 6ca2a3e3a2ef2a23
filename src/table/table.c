/* table.c - the life of a table, and point reads.
 *
 * A point read goes from the key to the newest row id, checks the lifetime there, and follows
 * `previous` for an older snapshot. It holds the table's lock until the version it found is
 * pinned by a reference to its group, or copied: until then maintenance might drop the group.
 */
#include <string.h>

#include "column/key.h"
#include "table/table_uniques.h"

enum { MERGED_BYTES_MAX = 512 << 20 }; /* well below what the text of one group may be */

/* The last identity given out. */
static _Atomic uint64_t identity_last;

omen_status table_create(struct allocator *allocator, struct txn_manager *manager, const char *name,
                         struct schema *schema, struct table **out)
{
    *out = NULL;
    size_t name_length = strlen(name);
    if (name_length > SCHEMA_NAME_BYTES_MAX)
        return OMEN_NAME_TOO_LONG;
    struct table *table = allocator_alloc_zeroed(allocator, sizeof *table);
    if (table == NULL)
        return OMEN_OUT_OF_MEMORY;
    omen_status status = index_create(allocator, schema->key.kind, &table->index);
    if (status != OMEN_OK) {
        allocator_free(allocator, table, sizeof *table);
        return status;
    }
    table->allocator = allocator;
    table->manager = manager;
    table->published = txn_published_place(manager);
    table->identity = atomic_fetch_add_explicit(&identity_last, 1, memory_order_relaxed) + 1;
    table->schema = schema_retain(schema);
    table->merged_bytes_max = MERGED_BYTES_MAX;
    atomic_init(&table->references, 1);
    memcpy(table->name, name, name_length + 1);
    biased_lock_init(&table->lock);
    mutex_init(&table->maintenance);
    atomic_init(&table->group_number_next, 1); /* 0 is GROUP_NUMBER_NONE */
    atomic_init(&table->hidden_key_next, 1);
    *out = table;
    return OMEN_OK;
}

struct table *table_retain(struct table *table)
{
    atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
    return table;
}

void table_release(struct table *table)
{
    /* Release and acquire: all use of the table happens before its end. */
    if (table == NULL ||
        atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) != 1)
        return;
    while (table->first != NULL) {
        struct group_entry *next = table->first->next;
        group_entry_destroy(table, table->first);
        table->first = next;
    }
    for (size_t i = 0; i < table->chunk_count; i++)
        allocator_free(table->allocator, table->chunks[i], sizeof *table->chunks[i]);
    allocator_free(table->allocator, table->chunks, table->chunk_count * sizeof *table->chunks);
    deleted_keys_destroy(&table->deleted, table->allocator);
    index_destroy(table->index);
    uniques_destroy(table);
    biased_lock_destroy(&table->lock);
    mutex_destroy(&table->maintenance);
    schema_release(table->schema);
    allocator_free(table->allocator, table, sizeof *table);
}

struct schema *table_schema(const struct table *table)
{
    return table->schema;
}

uint64_t table_identity(const struct table *table)
{
    return table->identity;
}

const char *table_name(const struct table *table)
{
    return table->name;
}

void table_protect(struct table *table)
{
    table->is_view = true;
}

void table_mark_dropped(struct table *table)
{
    table->is_dropped = true;
}

bool table_is_dropped(const struct table *table)
{
    return table->is_dropped;
}

bool table_is_view(const struct table *table)
{
    return table->is_view;
}

/* --- what is persistent --- */

void table_set_id(struct table *table, uint64_t id)
{
    OMEN_ASSERT(table->id == 0);
    table->id = id;
}

uint64_t table_id(const struct table *table)
{
    return table->id;
}

void table_counters_of(const struct table *table, struct table_counters *out)
{
    out->group_number_next = atomic_load_explicit(&table->group_number_next, memory_order_relaxed);
    out->hidden_key_next = atomic_load_explicit(&table->hidden_key_next, memory_order_relaxed);
}

void table_raise_counters(struct table *table, const struct table_counters *counters)
{
    struct table_counters now;
    table_counters_of(table, &now);
    while (now.group_number_next < counters->group_number_next &&
           !atomic_compare_exchange_weak(&table->group_number_next, &now.group_number_next,
                                         counters->group_number_next))
        continue;
    while (now.hidden_key_next < counters->hidden_key_next &&
           !atomic_compare_exchange_weak(&table->hidden_key_next, &now.hidden_key_next,
                                         counters->hidden_key_next))
        continue;
}

uint64_t table_row_count_estimate(const struct table *table)
{
    return atomic_load_explicit(&table->rows, memory_order_relaxed);
}

/* --- point reads --- */

void row_ref_release(struct row_ref *row)
{
    row_group_release(row->group);
    *row = (struct row_ref){0};
}

omen_status table_get_encoded(struct table *table, const struct read_view *view,
                              struct index_key key, struct row_ref *out)
{
    *out = (struct row_ref){0};
    atomic_fetch_add_explicit(&table->point_reads, 1, memory_order_relaxed);
    biased_lock_read_lock(&table->lock);
    uint64_t row_id = index_lookup(table->index, key);
    bool found = version_resolve(table, row_id, view->snapshot, out);
    biased_lock_read_unlock(&table->lock);
    return found ? OMEN_OK : OMEN_NOT_FOUND;
}

omen_status table_get(struct table *table, const struct read_view *view, const omen_value *key,
                      struct arena *scratch, struct row_ref *out)
{
    *out = (struct row_ref){0};
    const struct schema *schema = table->schema;
    omen_value checked[SCHEMA_KEY_COLUMNS_MAX];
    for (uint32_t i = 0; i < schema->key.count; i++) {
        checked[i] = key[i];
        omen_status status = schema_check_value(schema, schema->key.columns[i], &checked[i], NULL);
        if (status == OMEN_TYPE_MISMATCH || status == OMEN_OUT_OF_MEMORY)
            return status;
        if (status != OMEN_OK)
            return OMEN_NOT_FOUND; /* a value that no row can hold */
    }
    struct index_key encoded;
    omen_status status = key_encode(schema, checked, scratch, &encoded, NULL);
    if (status == OMEN_LIMIT_EXCEEDED)
        return OMEN_NOT_FOUND;
    OMEN_TRY(status);
    return table_get_encoded(table, view, encoded, out);
}

/* --- copying a row --- */

/* Copies the row at the timestamp published now, if its newest version decides. The snapshot is not
 * registered and need not be: `lock` is held, so whoever changes the index, the directory or the
 * form of a group has done so before, by a watermark at or below that timestamp, or waits. Chains
 * are changed without the lock, by what snapshots are registered; so `previous` is not followed. */
static inline enum row_newest copy_newest(const struct table *table, uint64_t key_word,
                                          struct row_copy *copy)
{
    uint64_t snapshot = atomic_load_explicit(table->published, memory_order_acquire);
    uint64_t row_id = index_lookup(table->index, index_key_word(key_word));
    if (row_id == ROW_ID_NONE)
        return ROW_NEWEST_ENDED;
    const struct group_entry *entry = directory_find(table, row_id_group(row_id));
    if (entry == NULL)
        return ROW_NEWEST_ENDED;
    return row_group_copy_newest(entry->group, row_id_slot(row_id), snapshot, copy);
}

/* The same where a commit is just under way, an older version is the one to read, or columns have
 * to be loaded. */
static __attribute__((noinline)) omen_status copy_registered(struct table *table, uint64_t key_word,
                                                             struct row_copy *copy,
                                                             omen_error *error)
{
    struct snapshot snapshot;
    struct row_ref row;
    omen_status status = snapshot_acquire(table->manager, &snapshot);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    struct read_view view = {.snapshot = snapshot.timestamp};
    status = table_get_encoded(table, &view, index_key_word(key_word), &row);
    snapshot_release(&snapshot);
    if (status == OMEN_NOT_FOUND)
        return status;
    if (status != OMEN_OK)
        return error_set_default(error, status);
    status = row_group_bring(&row.group, copy->columns, copy->column_count, error);
    if (status == OMEN_OK)
        row_group_copy(row.group, row.slot, copy);
    row_ref_release(&row);
    return status;
}

/* Where the lock is not biased, or the reader has no slot. Out of line, as the common way is short.
 */
static __attribute__((noinline)) enum row_newest copy_locked(struct table *table, uint64_t key_word,
                                                             struct row_copy *copy)
{
    atomic_fetch_add_explicit(&table->point_reads, 1, memory_order_relaxed);
    biased_lock_read_lock(&table->lock);
    enum row_newest newest = copy_newest(table, key_word, copy);
    biased_lock_read_unlock(&table->lock);
    return newest;
}

static __attribute__((noinline)) void count_sampled_reads(struct table *table)
{
    atomic_fetch_add_explicit(&table->point_reads, POINT_READS_SAMPLED, memory_order_relaxed);
}

omen_status table_read(struct table *table, struct reader_slot *slot, uint64_t key_word,
                       struct row_copy *copy, omen_error *error)
{
    enum row_newest newest;
    OMEN_DCHECK(table->schema->key.kind == INDEX_WORD && copy->pinned == NULL);
    if (__builtin_expect(biased_lock_enter(&table->lock, slot), 1)) {
        newest = copy_newest(table, key_word, copy);
        biased_lock_leave(slot);
        if (__builtin_expect(slot->entries % POINT_READS_SAMPLED == 0, 0))
            count_sampled_reads(table);
    } else {
        newest = copy_locked(table, key_word, copy);
    }
    if (__builtin_expect(newest == ROW_NEWEST_LATER || newest == ROW_NEWEST_ABSENT, 0))
        return copy_registered(table, key_word, copy, error);
    return newest == ROW_NEWEST_COPIED ? OMEN_OK : OMEN_NOT_FOUND;
}

/* --- facts --- */

static void count_group(const struct group_entry *entry, struct table_stats *out)
{
    const struct row_group *group = entry->group;
    if (entry->valid_until != TIMESTAMP_INFINITY)
        out->groups_retired++;
    else if (row_group_state_of(group) == ROW_GROUP_OPEN)
        out->groups_open++;
    else if (row_group_state_of(group) == ROW_GROUP_SEALED)
        out->groups_sealed++;
    else
        out->groups_frozen++;
    size_t column_bytes = row_group_column_bytes(group);
    out->column_bytes += column_bytes;
    out->lifetime_bytes += row_group_bytes(group) - column_bytes;
    out->bytes +=
        row_group_bytes(group) + sizeof *entry + (entry->map != NULL ? sizeof *entry->map : 0);
    if (entry->valid_until == TIMESTAMP_INFINITY)
        out->dead_rows += row_group_ended_count(group) + row_group_unbegun_count(group);
}

void table_stats_of(struct table *table, struct table_stats *out)
{
    *out = (struct table_stats){0};
    struct index_stats index_stats;
    biased_lock_read_lock(&table->lock);
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        count_group(entry, out);
    index_stats_of(table->index, &index_stats);
    biased_lock_read_unlock(&table->lock);
    out->index_bytes =
        index_stats.bytes + atomic_load_explicit(&table->unique_bytes, memory_order_relaxed);
    out->bytes += out->index_bytes + sizeof *table;
    out->rows_estimate = table_row_count_estimate(table);
    out->groups_damaged = atomic_load_explicit(&table->groups_damaged, memory_order_relaxed);
    out->point_reads = atomic_load_explicit(&table->point_reads, memory_order_relaxed);
    out->scans = atomic_load_explicit(&table->scans, memory_order_relaxed);
    out->index_scans = atomic_load_explicit(&table->index_scans, memory_order_relaxed);
}
