/* connection.c - databases, connections, snapshots, and what one can ask of them. */
#include <string.h>

#include "api/api_private.h"
#include "query/engine.h"
#include "store/verify.h"
#include "wal/wal.h"

const char *omen_version(void)
{
    return OMEN_VERSION;
}

omen_status api_invalid(omen_error *error, const char *what)
{
    return error_set(error, OMEN_INVALID_ARGUMENT, "%s", what);
}

void omen_options_init(omen_options *options)
{
    if (options == NULL)
        return;
    memset(options, 0, sizeof *options);
    options->struct_bytes = sizeof *options;
}

/* What the caller's options say; of another version's structure as much as both know. */
static omen_status read_options(const char *path, const omen_options *options,
                                struct database_options *out, omen_error *error)
{
    omen_options known;
    omen_options_init(&known);
    if (options != NULL) {
        if (options->struct_bytes < sizeof options->struct_bytes)
            return api_invalid(error, "the options have no struct_bytes: use omen_options_init");
        memcpy(&known, options,
               options->struct_bytes < sizeof known ? options->struct_bytes : sizeof known);
    }
    if (known.log_file_bytes % 4096 != 0 ||
        (known.log_file_bytes != 0 && known.log_file_bytes < WAL_FILE_BYTES_MIN))
        return api_invalid(error, "log_file_bytes is a multiple of 4096, at least 16384");
    bool in_memory = path == NULL || strcmp(path, ":memory:") == 0;
    *out = (struct database_options){
        .path = in_memory ? NULL : path,
        .log_file_bytes = known.log_file_bytes,
        .checkpoint_bytes = known.checkpoint_bytes,
        .checkpoint_ms = known.checkpoint_ms,
        .no_background = known.no_background,
        .memory_bytes_max = known.memory_bytes_max,
        .engine_memory_bytes_max = known.engine_memory_bytes_max,
        .engine_thread_count = known.engine_thread_count,
        .engine_path = known.engine_path,
        .file_access = known.file_access,
    };
    return OMEN_OK;
}

omen_status api_open(const struct os *os, const char *path, const omen_options *options,
                     omen_database **out, omen_error *error)
{
    if (out == NULL)
        return api_invalid(error, "omen_open needs a place for the database");
    *out = NULL;
    struct database_options opened;
    struct database *database;
    OMEN_TRY(read_options(path, options, &opened, error));
    OMEN_TRY(database_open(os, &opened, &database, error));
    *out = (omen_database *)database;
    return OMEN_OK;
}

omen_status api_verify(const struct os *os, const char *path, const omen_options *options,
                       void (*report)(void *context, const char *line), void *context,
                       uint64_t *faults, omen_error *error)
{
    struct database_options known;
    struct verify_report found = {.line = report, .context = context};
    if (faults == NULL)
        return api_invalid(error, "omen_verify needs a place for the number of faults");
    *faults = 0;
    OMEN_TRY(read_options(path, options, &known, error));
    if (known.path == NULL)
        return api_invalid(error, "omen_verify needs the path of a directory");
    OMEN_TRY(database_verify(os, &known, &found, error));
    *faults = found.faults;
    return OMEN_OK;
}

omen_status omen_verify(const char *path, const omen_options *options,
                        void (*report)(void *context, const char *line), void *context,
                        uint64_t *faults, omen_error *error)
{
    return api_verify(&os_real, path, options, report, context, faults, error);
}

omen_status omen_open(const char *path, const omen_options *options, omen_database **out,
                      omen_error *error)
{
    return api_open(&os_real, path, options, out, error);
}

omen_status omen_close(omen_database *database, omen_error *error)
{
    return database == NULL ? OMEN_OK : database_close(database_of(database), error);
}

omen_status omen_connect(omen_database *database, omen_connection **out, omen_error *error)
{
    if (out == NULL)
        return api_invalid(error, "omen_connect needs a place for the connection");
    *out = NULL;
    if (database == NULL)
        return api_invalid(error, "omen_connect needs a database");
    struct session *session;
    OMEN_TRY(session_create(database_of(database), &session, error));
    atomic_fetch_add_explicit(&session->database->connection_count, 1, memory_order_relaxed);
    *out = (omen_connection *)session;
    return OMEN_OK;
}

void omen_disconnect(omen_connection *connection)
{
    if (connection == NULL)
        return;
    struct session *session = session_of(connection);
    struct database *database = database_retain(session->database);
    atomic_store_explicit(&session->closed, true, memory_order_relaxed);
    if (transaction_is_open(&session->transaction))
        transaction_rollback(session);
    session_release(session);
    /* Release pairs with the acquire in database_close: the session is done by then. */
    atomic_fetch_sub_explicit(&database->connection_count, 1, memory_order_release);
    database_release(database);
}

omen_status omen_snapshot_create(omen_connection *connection, omen_snapshot **out,
                                 omen_error *error)
{
    if (out == NULL)
        return api_invalid(error, "omen_snapshot_create needs a place for the snapshot");
    *out = NULL;
    if (connection == NULL)
        return api_invalid(error, "omen_snapshot_create needs a connection");
    struct session *session = session_of(connection);
    omen_snapshot *snapshot = allocator_alloc(session->database->allocator, sizeof *snapshot);
    if (snapshot == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_status status = snapshot_acquire(session->database->manager, &snapshot->snapshot);
    if (status != OMEN_OK) {
        allocator_free(session->database->allocator, snapshot, sizeof *snapshot);
        return error_set_default(error, status);
    }
    snapshot->session = session_retain(session);
    *out = snapshot;
    return OMEN_OK;
}

void omen_snapshot_release(omen_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    struct session *session = snapshot->session;
    snapshot_release(&snapshot->snapshot);
    allocator_free(session->database->allocator, snapshot, sizeof *snapshot);
    session_release(session);
}

void omen_interrupt(omen_connection *connection)
{
    if (connection != NULL)
        atomic_store_explicit(&session_of(connection)->interrupted, true, memory_order_relaxed);
}

/* Copies as much of a structure as its caller knows. */
static void copy_known(void *out, uint32_t out_bytes, const void *known, size_t known_bytes)
{
    size_t bytes = out_bytes < known_bytes ? out_bytes : known_bytes;
    if (bytes > sizeof out_bytes) /* struct_bytes comes first and stays */
        memcpy((char *)out + sizeof out_bytes, (const char *)known + sizeof out_bytes,
               bytes - sizeof out_bytes);
}

static uint64_t read_counter(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void omen_counters_of(const omen_connection *connection, omen_counters *out)
{
    if (connection == NULL || out == NULL)
        return;
    const struct session *session = (const struct session *)connection;
    omen_engine_counters engine;
    engine_counters_of(session->database, &engine);
    const omen_counters counters = {
        .route_index = read_counter(&session->route_index),
        .route_engine = read_counter(&session->route_engine),
        .engine_index_scans = read_counter(&session->engine_index_scans),
        .engine_scans = read_counter(&session->engine_scans),
        .groups_pruned = read_counter(&session->groups_pruned),
        .route_core = read_counter(&session->route_core),
        .route_fallbacks = read_counter(&session->route_fallbacks),
        .engine_scan_parts = read_counter(&session->engine_scan_parts),
        .spilled_bytes = engine.spilled_bytes,
    };
    copy_known(out, out->struct_bytes, &counters, sizeof counters);
}

omen_transaction_state omen_transaction_state_of(const omen_connection *connection)
{
    if (connection == NULL)
        return OMEN_TRANSACTION_NONE;
    switch (((const struct session *)connection)->transaction.state) {
    case TRANSACTION_OPEN:
        return OMEN_TRANSACTION_OPEN;
    case TRANSACTION_FAILED:
        return OMEN_TRANSACTION_FAILED;
    case TRANSACTION_NONE:
        break;
    }
    return OMEN_TRANSACTION_NONE;
}

bool omen_warning_take(omen_connection *connection, omen_error *out)
{
    if (connection == NULL || out == NULL)
        return false;
    struct session *session = session_of(connection);
    const char *text = session->warning_text;
    session->warning_text = NULL;
    if (text != NULL)
        error_set(out, session->warning, "%s", text);
    return text != NULL;
}

void omen_progress_of(const omen_connection *connection, omen_progress *out)
{
    if (connection == NULL || out == NULL)
        return;
    const struct session *session = (const struct session *)connection;
    uint64_t total = read_counter(&session->steps_total);
    uint64_t done = read_counter(&session->steps_done);
    const omen_progress progress = {.steps_done = done < total ? done : total,
                                    .steps_total = total};
    copy_known(out, out->struct_bytes, &progress, sizeof progress);
}

omen_status omen_table_statistics_of(omen_connection *connection, const char *table,
                                     omen_table_statistics *out, omen_error *error)
{
    if (connection == NULL || table == NULL || out == NULL)
        return api_invalid(error, "omen_table_statistics_of needs connection, table and result");
    struct table *found;
    struct table_stats stats;
    OMEN_TRY(api_table(session_of(connection), table, &found, error));
    table_stats_of(found, &stats);
    table_release(found);
    const omen_table_statistics statistics = {
        .rows_estimate = stats.rows_estimate,
        .dead_rows = stats.dead_rows,
        .groups_open = stats.groups_open,
        .groups_sealed = stats.groups_sealed,
        .groups_frozen = stats.groups_frozen,
        .groups_retired = stats.groups_retired,
        .column_bytes = stats.column_bytes,
        .lifetime_bytes = stats.lifetime_bytes,
        .index_bytes = stats.index_bytes,
        .bytes = stats.bytes,
    };
    copy_known(out, out->struct_bytes, &statistics, sizeof statistics);
    return OMEN_OK;
}

omen_status omen_maintain(omen_database *database, uint64_t rows_max, bool *more, omen_error *error)
{
    bool found = false;
    if (more != NULL)
        *more = false;
    if (database == NULL)
        return api_invalid(error, "omen_maintain needs a database");
    omen_status status = database_maintain(database_of(database), rows_max, &found);
    if (more != NULL)
        *more = found;
    return status == OMEN_OK ? status : error_set_default(error, status);
}

uint64_t omen_memory_bytes(const omen_database *database)
{
    if (database == NULL)
        return 0;
    const struct database *core = (const struct database *)database;
    return atomic_load_explicit(&core->allocator->bytes_used, memory_order_relaxed);
}

void omen_test_fail_allocation(omen_database *database, uint64_t nth, bool and_all_after)
{
    if (database != NULL)
        allocator_fail_at(database_of(database)->allocator, nth, and_all_after);
}
