/* storage.c - opening and closing the persistent side.
 *
 * Making a database: the directory and its mark, the log, then the manifest; only the manifest
 * makes it one. Opening one reads and checks everything before anything changes, the log to its
 * last commit too; then the manifest is renewed, the log copies what is not proven durable (R8.3),
 * and files that nothing names are removed. A full disk prevents none of it but the renewing and,
 * without that, the removing.
 */
#include "store/storage_private.h"
#include "store/engine_library.h"

#include <assert.h>
#include <string.h>

#include "base/assert.h"

struct wal_options storage_wal_options(const struct storage *storage, uint64_t start_lsn,
                                       uint64_t proven_lsn)
{
    struct wal_options options = {
        .allocator = storage->allocator,
        .os = storage->os,
        .directory = storage->log_path,
        .file_bytes = storage->log_file_bytes,
        .start_lsn = start_lsn,
        .proven_lsn = proven_lsn,
        .durable = txn_durable,
        .durable_context = storage->database->manager,
    };
    static_assert(sizeof options.database_id == DATABASE_ID_BYTES, "one id in every file");
    memcpy(options.database_id, storage->database_id, DATABASE_ID_BYTES);
    return options;
}

/* --- making --- */

void storage_set_identity(struct storage *storage, const uint8_t id[DATABASE_ID_BYTES])
{
    memcpy(storage->database_id, id, DATABASE_ID_BYTES);
    memcpy(storage->segments.database_id, id, DATABASE_ID_BYTES);
}

static omen_status make_database(struct storage *storage, omen_error *error)
{
    enum manifest_state state;
    struct manifest manifest = {
        .generation = 1,
        .timestamp = txn_published(storage->database->manager),
        .written_us = storage->os->wall_clock_us(storage->os),
        .table_id_next = catalog_id_next(storage->database->catalog),
    };
    storage->os->random_bytes(storage->os, manifest.database_id, sizeof manifest.database_id);
    storage_set_identity(storage, manifest.database_id);
    OMEN_TRY(directory_create_begin(&storage->directory, error));
    const struct wal_options options =
        storage_wal_options(storage, manifest.start_lsn, manifest.proven_lsn);
    OMEN_TRY(wal_create(&options, &storage->wal, error));
    OMEN_TRY(manifest_write(storage->os, storage->directory.path, storage->allocator, &manifest,
                            &state, error));
    storage->checkpoint_us = manifest.written_us;
    directory_create_end(&storage->directory);
    storage->generation = manifest.generation;
    storage->start_lsn = manifest.start_lsn;
    return OMEN_OK;
}

/* --- tables and their segments --- */

const struct table_files *storage_files(const struct storage *storage, uint64_t table_id)
{
    for (size_t i = 0; i < storage->file_count; i++)
        if (storage->files[i].table_id == table_id)
            return &storage->files[i];
    return NULL;
}

static omen_status take_facts(const struct manifest_table *from, struct segment_facts *facts,
                              omen_error *error)
{
    for (size_t i = 0; i < from->segment_count; i++)
        if (!segment_facts_take(from->segments[i].facts, from->segments[i].facts_bytes, &facts[i]))
            return error_set(error, OMEN_CORRUPTED,
                             "the manifest is damaged: segment %zu of table \"%s\"", i + 1,
                             from->definition.name);
    return OMEN_OK;
}

static void describe(const struct segment_facts *facts, struct segment *segment,
                     struct attachment *out)
{
    *out = (struct attachment){
        .facts = *facts,
        .segment = segment,
    };
    for (uint32_t i = 0; i < facts->group_count; i++) {
        out->numbers[i] = segment_group_number(segment, i);
        out->rows[i] = segment_group_rows(segment, i);
        out->ended[i] = facts->ends_bytes > 0 ? UINT32_MAX : 0; /* so many that no count is equal */
    }
}

/* Opens the segments of a table, which gets their row groups. */
static omen_status attach_segments(struct storage *storage, const struct manifest_table *from,
                                   struct table *table, struct table_files *files,
                                   omen_error *error)
{
    struct allocator *allocator = storage->allocator;
    const struct table_counters counters = {.group_number_next = from->group_number_next,
                                            .hidden_key_next = from->hidden_key_next};
    size_t count = from->segment_count;
    struct segment_facts *facts = allocator_alloc(allocator, count * sizeof *facts);
    struct segment **segments = allocator_alloc(allocator, count * sizeof *segments);
    struct attachment *attachments = allocator_alloc(allocator, count * sizeof *attachments);
    omen_status status = OMEN_OK;
    if (count > 0 && (facts == NULL || segments == NULL || attachments == NULL))
        status = error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (status == OMEN_OK)
        status = take_facts(from, facts, error);
    if (status == OMEN_OK)
        status = segments_adopt(&storage->segments, table, facts, count, counters,
                                storage->opening_threads, segments, error);
    for (size_t i = 0; i < count && status == OMEN_OK; i++)
        describe(&facts[i], segments[i], &attachments[i]);
    if (status == OMEN_OK)
        *files = (struct table_files){.table_id = from->definition.id,
                                      .attachments = attachments,
                                      .count = count,
                                      .capacity = count};
    else
        allocator_free(allocator, attachments, count * sizeof *attachments);
    allocator_free(allocator, facts, count * sizeof *facts);
    allocator_free(allocator, segments, count * sizeof *segments);
    return status;
}

omen_status storage_restore_table(struct storage *storage, const struct manifest_table *from,
                                  omen_error *error)
{
    struct database *database = storage->database;
    struct table *table;
    omen_status status = table_create(database->allocator, database->manager, from->definition.name,
                                      from->definition.schema, &table);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    table_set_id(table, from->definition.id);
    status = attach_segments(storage, from, table, &storage->files[storage->file_count], error);
    if (status == OMEN_OK) {
        storage->file_count++;
        status = catalog_restore(database->catalog, table, error);
    }
    table_release(table);
    return status;
}

omen_status storage_expect_tables(struct storage *storage, size_t count, omen_error *error)
{
    if (count == 0)
        return OMEN_OK;
    storage->files = allocator_alloc_zeroed(storage->allocator, count * sizeof *storage->files);
    if (storage->files == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    storage->file_capacity = count;
    return OMEN_OK;
}

static omen_status restore_tables(struct storage *storage, const struct manifest *manifest,
                                  omen_error *error)
{
    size_t count = manifest->table_count;
    OMEN_TRY(storage_expect_tables(storage, count, error));
    for (size_t i = 0; i < count; i++)
        OMEN_TRY(storage_restore_table(storage, &manifest->tables[i], error));
    return OMEN_OK;
}

static void forget_tables(struct storage *storage)
{
    for (size_t i = 0; i < storage->file_count; i++)
        table_files_release(storage->allocator, &storage->files[i]);
    allocator_free(storage->allocator, storage->files,
                   storage->file_capacity * sizeof *storage->files);
    storage->files = NULL;
    storage->file_count = storage->file_capacity = 0;
}

/* --- files that no manifest names --- */

static bool names_file(const struct segment_facts *facts, const char *name)
{
    for (int what = SEGMENT_DATA; what <= SEGMENT_ENDS; what++) {
        char path[SEGMENT_PATH_BYTES_MAX];
        segment_path("", facts, (enum segment_file)what, path);
        if ((what != SEGMENT_ENDS || facts->ends_bytes > 0) && strcmp(path + 1, name) == 0)
            return true;
    }
    return false;
}

/* Whether the manifest names the file. */
bool storage_names_file(void *context, const char *name)
{
    const struct storage *storage = context;
    for (size_t i = 0; i < storage->file_count; i++)
        for (size_t j = 0; j < storage->files[i].count; j++)
            if (names_file(&storage->files[i].attachments[j].facts, name))
                return true;
    return false;
}

/* What a checkpoint that never ended, or a removal that never became durable, has left. */
static void sweep(struct storage *storage)
{
    char path[STORE_PATH_BYTES];
    uint64_t removed;
    (void)!directory_sweep(&storage->directory, DIRECTORY_DATA, storage_names_file, storage,
                           &removed, NULL);
    if (path_join(path, storage->directory.path, MANIFEST_NEW_NAME, NULL) == OMEN_OK)
        (void)!storage->os->file_remove(storage->os, path, NULL);
    directory_create_end(&storage->directory);
}

/* --- opening --- */

/* The name of the manifest that was read may be one that the disk lacks, where the process before
 * was killed between renaming and syncing, or that sync failed; and what follows takes away files
 * that only the manifest before it names. Without room for another these files are kept until a
 * checkpoint writes one. */
omen_status storage_renew_manifest(struct storage *storage, struct manifest *manifest,
                                   omen_error *error)
{
    enum manifest_state state;
    omen_error reason = {.message = ""};
    manifest->generation++;
    omen_status status = manifest_write(storage->os, storage->directory.path, storage->allocator,
                                        manifest, &state, &reason);
    storage->manifest_renewed = status == OMEN_OK;
    if (status == OMEN_OK)
        storage->generation = manifest->generation;
    if (status == OMEN_OK || (status == OMEN_DISK_FULL && state == MANIFEST_OLD))
        return OMEN_OK;
    return error_set(error, status, "%s", reason.message);
}

static omen_status read_database(struct storage *storage, omen_error *error)
{
    struct manifest manifest;
    omen_status status =
        manifest_read(storage->os, storage->directory.path, storage->allocator, &manifest, error);
    if (status == OMEN_OK) {
        storage_set_identity(storage, manifest.database_id);
        status = restore_tables(storage, &manifest, error);
    }
    if (status == OMEN_OK) {
        catalog_set_id_next(storage->database->catalog, manifest.table_id_next);
        storage->generation = manifest.generation;
        storage->start_lsn = manifest.start_lsn;
        storage->checkpoint_us = manifest.written_us;
        status = recovery_run(storage, &manifest, error);
    }
    if (status == OMEN_OK && storage->manifest_renewed)
        sweep(storage);
    manifest_release(&manifest);
    return status;
}

void storage_free(struct storage *storage)
{
    forget_tables(storage);
    directory_close(&storage->directory);
    mutex_destroy(&storage->work);
    mutex_destroy(&storage->lock);
    condition_destroy(&storage->wake);
    condition_destroy(&storage->noted);
    column_cache_release(storage->segments.cache);
    allocator_free(storage->allocator, storage, sizeof *storage);
}

static void set_options(struct storage *storage, const struct database_options *options,
                        struct column_cache *cache)
{
    storage->log_file_bytes = options->log_file_bytes;
    storage->opening_threads = options->no_background ? 1 : 2;
    storage->reserve_bytes =
        options->reserve_bytes != 0 ? options->reserve_bytes : RESERVE_BYTES_DEFAULT;
    storage->parquet = codec_parquet(storage->database);
    storage->plain = codec_plain(storage->allocator);
    storage->segments = (struct segment_options){
        .allocator = storage->allocator,
        .os = storage->os,
        .directory = storage->data_path,
        .codec = options->plain_segments ? &storage->plain : &storage->parquet,
        .other = options->plain_segments ? &storage->parquet : &storage->plain,
        .cache = cache,
    };
}

struct storage *storage_make(struct database *database, const struct database_options *options)
{
    struct column_cache *cache =
        column_cache_create(database->allocator, &database->settings.cache_bytes);
    struct storage *storage = allocator_alloc_zeroed(database->allocator, sizeof *storage);
    if (storage == NULL || cache == NULL) {
        column_cache_release(cache);
        allocator_free(database->allocator, storage, sizeof *storage);
        return NULL;
    }
    storage->database = database;
    storage->allocator = database->allocator;
    storage->os = database->os;
    mutex_init(&storage->work);
    mutex_init(&storage->lock);
    condition_init(&storage->wake);
    condition_init(&storage->noted);
    set_options(storage, options, cache);
    return storage;
}

omen_status storage_find(struct storage *storage, const char *path, omen_error *error)
{
    OMEN_TRY(directory_open(&storage->directory, storage->os, path, error));
    OMEN_TRY(path_join(storage->log_path, storage->directory.path, DIRECTORY_LOG, error));
    return path_join(storage->data_path, storage->directory.path, DIRECTORY_DATA, error);
}

static omen_status open_path(struct storage *storage, const char *path, omen_error *error)
{
    OMEN_TRY(storage_find(storage, path, error));
    return storage->directory.fresh ? make_database(storage, error) : read_database(storage, error);
}

omen_status storage_open(struct database *database, const struct database_options *options,
                         omen_error *error)
{
    struct storage *storage = storage_make(database, options);
    if (storage == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_status status = open_path(storage, options->path, error);
    if (status == OMEN_OK) {
        directory_sign(&storage->directory);
        storage->checkpoint_ms = storage->os->monotonic_ns(storage->os) / 1000000;
        reserve_make(storage);
        if (storage->replayed_commits == 0)
            storage->quiet_lsn = wal_end(storage->wal);
        storage_note_facts(storage);
        txn_set_wal(database->manager, storage->wal);
        database->storage = storage;
        if (options->no_background || storage_start(storage))
            return OMEN_OK;
        status = error_set(error, OMEN_OUT_OF_MEMORY, "could not start a thread");
        database->storage = NULL;
        txn_set_wal(database->manager, NULL);
    }
    (void)!wal_close(storage->wal, NULL);
    storage_free(storage);
    return status;
}

/* Where a checkpoint could not be made: at least the manifest says how far the log goes, so that a
 * log that ends before, though with a whole batch, is told from this one. */
static void prove_log(struct storage *storage)
{
    struct manifest manifest;
    enum manifest_state state;
    if (storage->manifest_unknown || storage_log_bytes(storage) == 0 ||
        wal_sync(storage->wal, wal_end(storage->wal), NULL) != OMEN_OK)
        return;
    uint64_t durable_lsn = wal_durable(storage->wal);
    omen_status status =
        manifest_read(storage->os, storage->directory.path, storage->allocator, &manifest, NULL);
    if (status == OMEN_OK && manifest.generation == storage->generation &&
        manifest.proven_lsn < durable_lsn) {
        manifest.generation++;
        manifest.proven_lsn = durable_lsn;
        status = manifest_write(storage->os, storage->directory.path, storage->allocator, &manifest,
                                &state, NULL);
    }
    (void)status; /* all is well without it, as long as nothing is damaged */
    manifest_release(&manifest);
}

omen_status storage_close(struct storage *storage, omen_error *error)
{
    if (storage == NULL)
        return OMEN_OK;
    storage_stop(storage);
    (void)!storage_checkpoint(storage, NULL);
    OMEN_ASSERT(storage->checkpoint == NULL);
    prove_log(storage);
    txn_set_wal(storage->database->manager, NULL);
    /* Who did not wait for a commit has not been told. */
    omen_status failed = wal_failed(storage->wal, error);
    omen_status closed = wal_close(storage->wal, failed == OMEN_OK ? error : NULL);
    storage->database->storage = NULL;
    storage_free(storage);
    return failed != OMEN_OK ? failed : closed;
}
