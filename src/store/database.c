/* database.c - opening, closing, creating tables. */
#include "store/database.h"

#include <string.h>

#include "store/definition.h"
#include "store/lock_views.h"
#include "store/storage_view.h"

enum { MAINTAIN_ROWS_DEFAULT = 1 << 20 };

static const struct catalog_view views[] = {
    {STORAGE_VIEW_NAME, storage_view_make},
    {LOCKS_VIEW_NAME, locks_view_make},
    {TRANSACTIONS_VIEW_NAME, transactions_view_make},
};

static void database_free(struct database *database)
{
    struct allocator *allocator = database->allocator;
    catalog_destroy(database->catalog);
    txn_manager_destroy(database->manager);
    mutex_destroy(&database->library_lock);
    mutex_destroy(&database->engine_lock);
    activity_list_destroy(&database->sessions);
    allocator_free(allocator, database->engine_path, database->engine_path_bytes);
    allocator_free(allocator, database, sizeof *database);
    allocator_retire(allocator);
}

static omen_status database_fill(struct database *database, const struct database_options *options)
{
    uint64_t bytes = options->checkpoint_bytes, ms = options->checkpoint_ms;
    atomic_init(&database->settings.checkpoint_bytes,
                bytes != 0 ? bytes : CHECKPOINT_BYTES_DEFAULT);
    atomic_init(&database->settings.checkpoint_ms, ms != 0 ? ms : CHECKPOINT_MS_DEFAULT);
    uint64_t memory = options->memory_bytes_max, cache = options->cache_bytes;
    database->settings.cache_bytes_default =
        (memory != 0 ? memory : os_memory_bytes()) / CACHE_SHARE_DEFAULT;
    atomic_init(&database->settings.cache_bytes,
                cache != 0 ? cache : database->settings.cache_bytes_default);
    database->engine_memory_bytes_max = options->engine_memory_bytes_max;
    database->engine_thread_count = options->engine_thread_count;
    database->file_access = options->file_access;
    if (options->engine_path != NULL) {
        database->engine_path_bytes = strlen(options->engine_path) + 1;
        database->engine_path = allocator_alloc(database->allocator, database->engine_path_bytes);
        if (database->engine_path == NULL)
            return OMEN_OUT_OF_MEMORY;
        memcpy(database->engine_path, options->engine_path, database->engine_path_bytes);
    }
    OMEN_TRY(txn_manager_create(database->allocator, &database->manager));
    OMEN_TRY(catalog_create(database->allocator, database->manager, &database->catalog));
    catalog_set_views(database->catalog, views, sizeof views / sizeof *views, database);
    return OMEN_OK;
}

omen_status database_open(const struct os *os, const struct database_options *options,
                          struct database **out, omen_error *error)
{
    *out = NULL;
    struct allocator *allocator = options->allocator;
    if (allocator == NULL)
        allocator = allocator_create(options->memory_bytes_max);
    if (allocator == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    struct database *database = allocator_alloc_zeroed(allocator, sizeof *database);
    if (database == NULL) {
        allocator_retire(allocator);
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    }
    database->allocator = allocator;
    database->os = os;
    atomic_init(&database->references, 1);
    mutex_init(&database->library_lock);
    mutex_init(&database->engine_lock);
    activity_list_init(&database->sessions);
    omen_status status = database_fill(database, options);
    if (status != OMEN_OK)
        error_set_default(error, status);
    else if (options->path != NULL)
        status = storage_open(database, options, error);
    if (status != OMEN_OK) {
        database_free(database);
        return status;
    }
    *out = database;
    return OMEN_OK;
}

struct database *database_retain(struct database *database)
{
    atomic_fetch_add_explicit(&database->references, 1, memory_order_relaxed);
    return database;
}

void database_release(struct database *database)
{
    if (database == NULL)
        return;
    /* Release pairs with the acquire of whoever comes last: all use lies before the free. */
    if (atomic_fetch_sub_explicit(&database->references, 1, memory_order_acq_rel) == 1)
        database_free(database);
}

omen_status database_close(struct database *database, omen_error *error)
{
    unsigned connections = atomic_load_explicit(&database->connection_count, memory_order_acquire);
    if (connections > 0)
        return error_set(error, OMEN_OBJECT_IN_USE, "the database has %u open connections",
                         connections);
    if (database->engine_close != NULL)
        database->engine_close(database);
    omen_status status = storage_close(database->storage, error);
    catalog_destroy(database->catalog);
    database->catalog = NULL;
    database_release(database);
    return status;
}

omen_status database_create_table(struct database *database, const char *name,
                                  struct schema *schema, omen_error *error)
{
    OMEN_TRY(definition_check_name(name, error));
    return catalog_add(database->catalog, name, schema, error);
}

omen_status database_add_filled(struct database *database, struct table *table,
                                struct write_set *set, enum txn_durability durability,
                                struct txn_ticket *ticket, omen_error *error)
{
    const struct txn_participant rows = write_set_participant(set);
    OMEN_TRY(definition_check_name(table_name(table), error));
    return catalog_add_filled(database->catalog, table, &rows, durability, ticket, error);
}

omen_status database_checkpoint(struct database *database, omen_error *error)
{
    return database->storage == NULL ? OMEN_OK : storage_checkpoint(database->storage, error);
}

void database_end_overdue(struct database *database)
{
    activity_list_end_overdue(&database->sessions, database->os);
}

omen_status database_maintain(struct database *database, uint64_t rows_max, bool *more)
{
    struct table **tables;
    size_t count;
    *more = false;
    OMEN_TRY(catalog_list(database->catalog, &tables, &count));
    struct maintain_report report = {0};
    omen_status status = OMEN_OK;
    database_end_overdue(database); /* what they could see is kept for them */
    uint64_t share = rows_max == 0 ? MAINTAIN_ROWS_DEFAULT : rows_max;
    for (size_t i = 0; i < count; i++) {
        report.more = false;
        omen_status outcome = table_maintain(tables[i], share, &report);
        status = status == OMEN_OK ? outcome : status; /* one table does not hold up the others */
        *more = *more || report.more;
    }
    catalog_list_release(database->catalog, tables, count);
    return status;
}
