/* storage.c - opening and closing the persistent side.
 *
 * Making a database: the directory and its mark, the log, then the manifest; only the manifest
 * makes it one. Opening one reads and checks everything before anything changes, except that the
 * log copies what is not proven durable (R8.3).
 */
#include "store/storage_private.h"

#include <assert.h>
#include <string.h>

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

static omen_status make_database(struct storage *storage, omen_error *error)
{
    enum manifest_state state;
    struct manifest manifest = {
        .generation = 1,
        .timestamp = txn_published(storage->database->manager),
        .written_us = storage->os->wall_clock_us(storage->os),
        .table_id_next = catalog_id_next(storage->database->catalog),
    };
    storage->os->random_bytes(storage->os, storage->database_id, sizeof storage->database_id);
    memcpy(manifest.database_id, storage->database_id, sizeof manifest.database_id);
    OMEN_TRY(directory_create_begin(&storage->directory, error));
    const struct wal_options options =
        storage_wal_options(storage, manifest.start_lsn, manifest.proven_lsn);
    OMEN_TRY(wal_create(&options, &storage->wal, error));
    OMEN_TRY(manifest_write(storage->os, storage->directory.path, storage->allocator, &manifest,
                            &state, error));
    directory_create_end(&storage->directory);
    storage->generation = manifest.generation;
    storage->start_lsn = manifest.start_lsn;
    return OMEN_OK;
}

static omen_status restore_table(struct storage *storage, const struct manifest_table *from,
                                 omen_error *error)
{
    struct database *database = storage->database;
    struct table *table;
    omen_status status = table_create(database->allocator, database->manager, from->definition.name,
                                      from->definition.schema, &table);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    const struct table_counters counters = {.group_number_next = from->group_number_next,
                                            .hidden_key_next = from->hidden_key_next};
    table_set_id(table, from->definition.id);
    table_raise_counters(table, &counters);
    status = catalog_restore(database->catalog, table, error);
    table_release(table);
    return status;
}

/* Writes the manifest that was read once more. Its name may be one that the disk lacks, where the
 * process before was killed between renaming and syncing, or that sync failed; and what follows
 * takes away files that only the manifest before it names. */
static omen_status renew_manifest(struct storage *storage, struct manifest *manifest,
                                  omen_error *error)
{
    enum manifest_state state;
    manifest->generation++;
    return manifest_write(storage->os, storage->directory.path, storage->allocator, manifest,
                          &state, error);
}

static omen_status read_database(struct storage *storage, omen_error *error)
{
    struct manifest manifest;
    omen_status status =
        manifest_read(storage->os, storage->directory.path, storage->allocator, &manifest, error);
    for (size_t i = 0; i < manifest.table_count && status == OMEN_OK; i++)
        status = restore_table(storage, &manifest.tables[i], error);
    if (status == OMEN_OK) {
        catalog_set_id_next(storage->database->catalog, manifest.table_id_next);
        memcpy(storage->database_id, manifest.database_id, sizeof storage->database_id);
        storage->start_lsn = manifest.start_lsn;
        status = renew_manifest(storage, &manifest, error);
    }
    if (status == OMEN_OK) {
        storage->generation = manifest.generation;
        status = recovery_run(storage, &manifest, error);
    }
    if (status == OMEN_OK)
        directory_create_end(&storage->directory); /* where creating ended with a crash */
    manifest_release(&manifest);
    return status;
}

static void storage_free(struct storage *storage)
{
    directory_close(&storage->directory);
    allocator_free(storage->allocator, storage, sizeof *storage);
}

omen_status storage_open(struct database *database, const struct database_options *options,
                         omen_error *error)
{
    struct storage *storage = allocator_alloc_zeroed(database->allocator, sizeof *storage);
    if (storage == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    storage->database = database;
    storage->allocator = database->allocator;
    storage->os = database->os;
    storage->log_file_bytes = options->log_file_bytes;
    omen_status status = directory_open(&storage->directory, database->os, options->path, error);
    if (status == OMEN_OK)
        status = path_join(storage->log_path, storage->directory.path, DIRECTORY_LOG, error);
    if (status == OMEN_OK)
        status = storage->directory.fresh ? make_database(storage, error)
                                          : read_database(storage, error);
    if (status != OMEN_OK) {
        (void)wal_close(storage->wal, NULL);
        storage_free(storage);
        return status;
    }
    directory_sign(&storage->directory);
    txn_set_wal(database->manager, storage->wal);
    database->storage = storage;
    return OMEN_OK;
}

omen_status storage_close(struct storage *storage, omen_error *error)
{
    if (storage == NULL)
        return OMEN_OK;
    txn_set_wal(storage->database->manager, NULL);
    omen_status status = wal_close(storage->wal, error);
    storage->database->storage = NULL;
    storage_free(storage);
    return status;
}
