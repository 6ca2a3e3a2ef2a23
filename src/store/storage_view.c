/* storage_view.c - omen_storage. What a database in memory does not have is NULL. */
#include "store/storage_view.h"

#include <string.h>

#include "store/storage_private.h"
#include "store/view_table.h"

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

enum view_column { VIEW_COLUMNS(VIEW_ENUM) VIEW_COLUMN_COUNT };

static const struct column_definition view_columns[] = {VIEW_COLUMNS(VIEW_DEFINITION)};

/* --- values --- */

static void put_number(omen_value *values, enum view_column column, uint64_t number)
{
    view_put_number(&values[column], number);
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
    view_put_text(&values[VIEW_directory], storage->directory.path);
    view_put_text(&values[VIEW_log_failure], texts->log);
    view_put_text(&values[VIEW_checkpoint_failure], texts->checkpoint);
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

struct facts {
    struct database *database;
    struct texts texts;
};

static omen_status fill_row(void *context, size_t row, omen_value *values)
{
    struct facts *facts = context;
    struct database *database = facts->database;
    uint32_t snapshots = txn_snapshot_count(database->manager);
    uint64_t published = txn_published(database->manager);
    uint64_t watermark = txn_watermark(database->manager);
    put_number(values, VIEW_snapshots, snapshots);
    put_number(values, VIEW_oldest_snapshot_age, watermark < published ? published - watermark : 0);
    put_number(values, VIEW_memory_bytes,
               atomic_load_explicit(&database->allocator->bytes_used, memory_order_relaxed));
    if (database->storage != NULL)
        put_storage(database->storage, values, &facts->texts);
    return put_tables(database, values);
}

omen_status storage_view_make(void *context, struct table **out, omen_error *error)
{
    static const struct view_definition definition = {STORAGE_VIEW_NAME, view_columns,
                                                      VIEW_COLUMN_COUNT};
    struct facts facts = {.database = context};
    const struct view_rows rows = {1, fill_row, &facts};
    return view_table_make(context, &definition, &rows, out, error);
}
