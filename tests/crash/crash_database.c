/* crash_database.c - opening, closing and maintaining a database on a simulated disk. */
#include "crash/crash_database.h"

#include "base/assert.h"

enum { CHECKPOINT_MS = 1000, NS_PER_MS = 1000000, ALL_ROWS = 1 << 20 };

omen_status crash_database_run(omen_connection *connection, const char *sql, omen_error *error)
{
    struct ArrowArrayStream rows;
    omen_status status = omen_query(connection, sql, SIZE_MAX, &rows, NULL, error);
    if (status == OMEN_OK)
        rows.release(&rows);
    return status;
}

static void make_allocator(struct crash_database *database)
{
    database->allocator = allocator_create(0);
    OMEN_ASSERT(database->allocator != NULL);
    database->last_block = allocator_alloc(database->allocator, 1);
    OMEN_ASSERT(database->last_block != NULL);
    allocator_fail_at(database->allocator, database->fail_allocation, database->fail_for_ever);
}

static void count_allocations(struct crash_database *database)
{
    database->allocations += atomic_load(&database->allocator->calls) - 1;
    allocator_free(database->allocator, database->last_block, 1);
}

bool crash_database_open(struct crash_database *database, omen_error *error)
{
    make_allocator(database);
    const struct database_options options = {
        .allocator = database->allocator,
        .path = "db",
        .log_file_bytes = database->log_file_bytes,
        .checkpoint_ms = CHECKPOINT_MS,
        .no_background = true, /* one thread, so that a seed repeats a run */
        .engine_path = database->engine,
        .plain_segments = database->engine == NULL,
        .file_access = true,
    };
    database->durable = database->asynchronous = NULL;
    if (database_open(sim_disk_os(database->disk), &options, &database->database, error) !=
        OMEN_OK) {
        database->database = NULL;
        count_allocations(database);
        OMEN_ASSERT(sim_disk_open_count(database->disk) == 0);
        return false;
    }
    omen_database *handle = crash_database_handle(database);
    if (omen_connect(handle, &database->durable, error) == OMEN_OK &&
        omen_connect(handle, &database->asynchronous, error) == OMEN_OK) {
        /* As SET synchronous_commit = off does; parsing it would take a tenth of all time. */
        session_of(database->asynchronous)->settings.relaxed_commit = true;
        return true;
    }
    (void)crash_database_close(database);
    return false;
}

omen_status crash_database_close(struct crash_database *database)
{
    omen_disconnect(database->durable);
    omen_disconnect(database->asynchronous);
    omen_status status = omen_close(crash_database_handle(database), NULL);
    OMEN_ASSERT(status != OMEN_OBJECT_IN_USE);
    count_allocations(database);
    OMEN_ASSERT(sim_disk_open_count(database->disk) == 0);
    database->database = NULL;
    database->durable = database->asynchronous = NULL;
    return status;
}

/* A step for each table, as database_maintain does; whether another would find work. */
static bool maintain_tables(struct crash_database *database, uint64_t rows_max)
{
    struct table **tables;
    size_t count;
    bool more = false;
    if (catalog_list(database->database->catalog, &tables, &count) != OMEN_OK)
        return false;
    for (size_t i = 0; i < count; i++) {
        database->maintained.more = false;
        omen_status status =
            table_maintain(tables[i], rows_max == 0 ? ALL_ROWS : rows_max, &database->maintained);
        more = more || (status == OMEN_OK && database->maintained.more);
    }
    catalog_list_release(database->database->catalog, tables, count);
    return more;
}

void crash_database_maintain(struct crash_database *database, struct random *random)
{
    static const uint64_t steps[] = {1, 16, 0};
    if (random_below(random, 2) == 0) {
        struct table **tables;
        size_t count;
        if (catalog_list(database->database->catalog, &tables, &count) != OMEN_OK)
            return;
        if (count != 0)
            table_seal_open(tables[random_below(random, count)]);
        catalog_list_release(database->database->catalog, tables, count);
    }
    for (unsigned i = 0; i < 4; i++)
        if (!maintain_tables(database, steps[random_below(random, 3)]))
            break;
}

void crash_database_turn(struct crash_database *database, struct random *random)
{
    sim_disk_advance(database->disk, random_below(random, 2) * CHECKPOINT_MS * NS_PER_MS);
    (void)storage_step(database->database->storage);
}
