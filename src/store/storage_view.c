/* storage_view.c - omen_storage, made anew for each statement that names it.
 *
 * It is a table with one frozen row, so that every route reads it as it reads any table. What a
 * database in memory does not have is NULL.
 */
#include "store/storage_view.h"

#include <string.h>

#include "column/key.h"
#include "store/storage_private.h"
#include "table/table_adopt.h"

/* Columns, in order. */
#define VIEW_COLUMNS(X)                                                                            \
    X(directory, TEXT)                                                                             \
    X(log_bytes, BIGINT)            /* that opening would have to apply */                         \
    X(log_disk_bytes, BIGINT)       /* of all files of the log */                                  \
    X(log_failure, TEXT)            /* why nothing is written any more */                          \
    X(last_checkpoint, TIMESTAMPTZ) /* when the manifest was written */                            \
    X(checkpoints, BIGINT)          /* since the database was opened, as the next two */           \
    X(checkpoint_failures, BIGINT)                                                                 \
    X(replayed_commits, BIGINT) /* when it was opened */                                           \
    X(checkpoint_failure, TEXT) /* why the last checkpoint failed */                               \
    X(segments, BIGINT)                                                                            \
    X(segment_bytes, BIGINT)                                                                       \
    X(snapshots, BIGINT)           /* registered: readers at work */                               \
    X(oldest_snapshot_age, BIGINT) /* commits since the oldest of them */                          \
    X(row_count, BIGINT)                                                                           \
    X(dead_rows, BIGINT)                                                                           \
    X(groups_open, BIGINT)                                                                         \
    X(groups_sealed, BIGINT)                                                                       \
    X(groups_frozen, BIGINT)                                                                       \
    X(groups_pinned, BIGINT)  /* compacted, and kept for readers or the index */                   \
    X(groups_damaged, BIGINT) /* that maintenance could not read, the last time it tried */        \
    X(memory_bytes, BIGINT)

enum view_column {
#define VIEW_ENUM(name, type) VIEW_##name,
    VIEW_COLUMNS(VIEW_ENUM)
#undef VIEW_ENUM
        VIEW_COLUMN_COUNT
};

static omen_status make_schema(struct allocator *allocator, struct schema **out, omen_error *error)
{
    static const struct column_definition columns[] = {
#define VIEW_DEFINITION(name_, type_)                                                              \
    {.name = #name_, .type.id = OMEN_TYPE_##type_, .nullable = true},
        VIEW_COLUMNS(VIEW_DEFINITION)
#undef VIEW_DEFINITION
    };
    return schema_create(allocator, columns, VIEW_COLUMN_COUNT, NULL, 0, out, error);
}

/* --- values --- */

static void put_number(omen_value *values, enum view_column column, uint64_t number)
{
    values[column].is_null = false;
    values[column].as.i64 = (int64_t)number;
}

/* Nothing where the text is empty. */
static void put_text(omen_value *values, enum view_column column, const char *text)
{
    values[column].is_null = text[0] == '\0';
    values[column].as.bytes = (omen_bytes){(const uint8_t *)text, strlen(text)};
}

static omen_status put_tables(struct database *database, omen_value *values)
{
    struct table **tables;
    struct table_stats sum = {0}, stats;
    size_t count;
    OMEN_TRY(catalog_list(database->catalog, &tables, &count));
    for (size_t i = 0; i < count; i++) {
        table_stats_of(tables[i], &stats);
        sum.rows_estimate += stats.rows_estimate;
        sum.dead_rows += stats.dead_rows;
        sum.groups_open += stats.groups_open;
        sum.groups_sealed += stats.groups_sealed;
        sum.groups_frozen += stats.groups_frozen;
        sum.groups_retired += stats.groups_retired;
        sum.groups_damaged += stats.groups_damaged;
    }
    catalog_list_release(database->catalog, tables, count);
    put_number(values, VIEW_row_count, sum.rows_estimate);
    put_number(values, VIEW_dead_rows, sum.dead_rows);
    put_number(values, VIEW_groups_open, sum.groups_open);
    put_number(values, VIEW_groups_sealed, sum.groups_sealed);
    put_number(values, VIEW_groups_frozen, sum.groups_frozen);
    put_number(values, VIEW_groups_pinned, sum.groups_retired);
    put_number(values, VIEW_groups_damaged, sum.groups_damaged);
    return OMEN_OK;
}

/* What stays in the row until it is copied into the table. */
struct texts {
    char log[OMEN_ERROR_MESSAGE_BYTES], checkpoint[OMEN_ERROR_MESSAGE_BYTES];
};

static void put_storage(struct storage *storage, omen_value *values, struct texts *texts)
{
    struct storage_facts facts;
    omen_error error = {.message = ""};
    storage_facts_of(storage, &facts);
    (void)!wal_failed(storage->wal, &error);
    memcpy(texts->log, error.message, sizeof texts->log);
    memcpy(texts->checkpoint, facts.failure, sizeof texts->checkpoint);
    put_text(values, VIEW_directory, storage->directory.path);
    put_text(values, VIEW_log_failure, texts->log);
    put_text(values, VIEW_checkpoint_failure, texts->checkpoint);
    put_number(values, VIEW_log_bytes,
               wal_end(storage->wal) == facts.quiet_lsn
                   ? 0
                   : wal_bytes_since(storage->wal, facts.start_lsn));
    put_number(values, VIEW_log_disk_bytes, wal_disk_bytes(storage->wal));
    put_number(values, VIEW_last_checkpoint, (uint64_t)facts.checkpoint_us);
    put_number(values, VIEW_checkpoints, facts.checkpoints);
    put_number(values, VIEW_checkpoint_failures, facts.checkpoint_failures);
    put_number(values, VIEW_replayed_commits, storage->replayed_commits);
    put_number(values, VIEW_segments, facts.segments);
    put_number(values, VIEW_segment_bytes, facts.segment_bytes);
}

static omen_status put_values(struct database *database, const struct schema *schema,
                              omen_value *values, struct texts *texts)
{
    for (uint32_t i = 0; i < schema->stored_count; i++)
        values[i] = (omen_value){.type = schema->columns[i].type, .is_null = true};
    put_number(values, VIEW_COLUMN_COUNT, 1); /* the hidden key */
    uint32_t snapshots = txn_snapshot_count(database->manager);
    uint64_t published = txn_published(database->manager);
    uint64_t watermark = txn_watermark(database->manager);
    put_number(values, VIEW_snapshots, snapshots);
    put_number(values, VIEW_oldest_snapshot_age, watermark < published ? published - watermark : 0);
    put_number(values, VIEW_memory_bytes,
               atomic_load_explicit(&database->allocator->bytes_used, memory_order_relaxed));
    if (database->storage != NULL)
        put_storage(database->storage, values, texts);
    return put_tables(database, values);
}

/* --- the table --- */

static omen_status make_group(struct database *database, struct schema *schema,
                              struct row_group **out)
{
    omen_value values[VIEW_COLUMN_COUNT + 1];
    struct texts texts = {.log = ""};
    struct row_group *group;
    OMEN_TRY(put_values(database, schema, values, &texts));
    OMEN_TRY(row_group_create(database->allocator, schema, 1, 1, &group));
    omen_status status = row_group_append_values(group, values);
    if (status == OMEN_OK) {
        row_group_stamp_begin(group, 0, 1, 1);
        row_group_seal(group);
        status = row_group_freeze(group, 1, out);
    }
    row_group_release(group);
    return status;
}

static omen_status make_table(struct database *database, struct schema *schema,
                              struct row_group *group, struct table **out, omen_error *error)
{
    struct index_key key;
    const uint16_t slot = 0;
    const struct table_counters counters = {.group_number_next = 2, .hidden_key_next = 2};
    OMEN_TRY(row_group_key(group, 0, NULL, &key)); /* a word: it needs no memory */
    OMEN_TRY(table_create(database->allocator, database->manager, STORAGE_VIEW_NAME, schema, out));
    const struct adopted_group adopted = {.group = group,
                                          .keys = {.count = 1, .words = &key.word, .slots = &slot}};
    omen_status status = table_adopt_groups(*out, &adopted, 1, counters, 1, error);
    if (status == OMEN_OK) {
        table_protect(*out);
        return OMEN_OK;
    }
    table_release(*out);
    *out = NULL;
    return status;
}

omen_status storage_view_make(void *context, struct table **out, omen_error *error)
{
    struct database *database = context;
    struct schema *schema;
    struct row_group *group = NULL;
    *out = NULL;
    OMEN_TRY(make_schema(database->allocator, &schema, error));
    omen_status status = make_group(database, schema, &group);
    if (status == OMEN_OK)
        status = make_table(database, schema, group, out, error);
    row_group_release(group);
    schema_release(schema);
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}
