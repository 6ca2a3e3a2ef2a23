/* simulate_episode.c - sessions of a database as fibres, from the making of its directory to the last look.
 *
 * The clients of the workload, the database's own thread and one that makes maintenance and checkpoints are
 * fibres (fibres.h): they are stopped anywhere in src/txn and in the parts of src/table and src/query that make
 * transactions, at each lock, wait and call of the disk, which is simulated too (tests/crash/sim_disk.h), as time is.
 * What needs the engine is computed by a stand-in (stand_in.h), from scans of the tables.
 *
 * In some episodes statements are cancelled, time out and run out of memory, and so do maintenance and checkpoints.
 *
 * Up to KILLS_MAX times the process dies, or the power fails, as if it were so: all fibres are abandoned where they
 * stand, and the database is opened again from what the disk may then hold. In the end all is read, the database
 * closed, opened again and all read once more.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/api_private.h"
#include "simulate.h"
#include "stand_in.h"

enum {
    WRITE_NS_MAX = 20 * 1000,
    SYNC_NS_MAX = 400 * 1000,
    MAINTAIN_NS_MAX = 3 * 1000 * 1000,
    MAINTAIN_ROWS_MAX = 5000,
    SEAL_ONE_IN = 4,
    CACHE_BYTES_SMALL = 64 * 1024,
    CHECKPOINT_ONE_IN = 32,
    LOCK_TIMEOUT_MS_MAX = 3,
    KILLS_MAX = 3,
    LOOK_NS_MAX = 500 * 1000,
    DISTURB_NS_MAX = 2 * 1000 * 1000,
    ALLOCATIONS_MAX = 64,
    STATEMENT_TIMEOUT_MS_MAX = 4,
};

/* --- the operating system --- */

static omen_status slow_sync(const struct os *os, int64_t file, omen_error *error)
{
    fibre_sleep(fibre_random(SYNC_NS_MAX));
    return sim_disk_os(os->context)->file_sync(os, file, error);
}

static omen_status slow_write_at(const struct os *os, int64_t file, const void *buffer, size_t length,
                                 uint64_t offset, omen_error *error)
{
    if (fibre_random(2) == 0)
        fibre_sleep(fibre_random(WRITE_NS_MAX));
    return sim_disk_os(os->context)->file_write_at(os, file, buffer, length, offset, error);
}

static omen_status stand_in_open(const struct os *os, const char *path, void **library, omen_error *error)
{
    *library = (void *)(uintptr_t)path;
    return OMEN_OK;
}

static void *stand_in_symbol(const struct os *os, void *library, const char *name)
{
    omen_engine_entry_function entry = stand_in_entry;
    void *symbol;
    memcpy(&symbol, &entry, sizeof symbol);
    return symbol;
}

static void stand_in_close(const struct os *os, void *library)
{
}

static const struct workload_client *current_client(void)
{
    return fibre_owner();
}

static void use_disk(struct episode *episode, struct sim_disk *disk)
{
    episode->disk = disk;
    episode->os = *sim_disk_os(disk);
    episode->os.file_sync = slow_sync;
    episode->os.file_write_at = slow_write_at;
    episode->os.monotonic_ns = os_real.monotonic_ns;
    episode->os.wall_clock_us = os_real.wall_clock_us;
    episode->os.library_open = stand_in_open;
    episode->os.library_symbol = stand_in_symbol;
    episode->os.library_close = stand_in_close;
}

/* --- the database --- */

/* Whether it failed only because it was disturbed. */
static bool is_disturbed(const struct episode *episode, const omen_error *error)
{
    return episode->shared.options.disturbed && strcmp(error->sqlstate, "53200") == 0;
}

static void complain(struct episode *episode, const char *what, const omen_error *error)
{
    printf("%s: %s %s\n", what, error->sqlstate, error->message);
    atomic_fetch_add(&episode->shared.violations, 1);
    atomic_store(&episode->shared.stop, true);
}

static bool open_database(struct episode *episode)
{
    omen_error error = {.message = ""};
    struct database *database;
    const struct database_options options = {
        .path = "/db",
        .engine_path = "stand-in",
        .plain_segments = true,
        .log_file_bytes = 256 * 1024,
        .checkpoint_bytes = UINT64_C(64) << (10 + fibre_random(5)),
        .checkpoint_ms = 50 + fibre_random(500),
        .cache_bytes = fibre_random(2) == 0 ? CACHE_BYTES_SMALL : 0,
    };
    if (database_open(&episode->os, &options, &database, &error) == OMEN_OK) {
        episode->database = (omen_database *)database;
        return true;
    }
    complain(episode, "opening", &error);
    return false;
}

static void close_database(struct episode *episode)
{
    omen_error error = {.message = ""};
    if (omen_close(episode->database, &error) != OMEN_OK)
        complain(episode, "closing", &error);
}

static void execute(struct episode *episode, omen_connection *connection, const char *sql)
{
    struct ArrowArrayStream rows;
    omen_error error = {.message = ""};
    if (omen_query(connection, sql, SIZE_MAX, &rows, NULL, &error) == OMEN_OK)
        rows.release(&rows);
    else if (strcmp(error.sqlstate, "23505") != 0 && !is_disturbed(episode, &error))
        complain(episode, sql, &error);
}

static void make_tables(struct episode *episode)
{
    omen_connection *connection;
    omen_error error = {.message = ""};
    if (omen_connect(episode->database, &connection, &error) != OMEN_OK) {
        complain(episode, "connecting", &error);
        return;
    }
    execute(episode, connection, "CREATE TABLE IF NOT EXISTS lists (id BIGINT PRIMARY KEY, v TEXT)");
    execute(episode, connection, "CREATE TABLE IF NOT EXISTS events (id BIGINT PRIMARY KEY)");
    execute(episode, connection, "INSERT INTO events VALUES (0)");
    execute(episode, connection, "CREATE TABLE IF NOT EXISTS registers "
                                 "(id BIGINT PRIMARY KEY, v BIGINT, version BIGINT)");
    omen_disconnect(connection);
}

/* --- fibres --- */

/* A step for one table. Now and then its open group is sealed first: groups are small then, and many. */
static void maintain_table(struct episode *episode)
{
    struct catalog *catalog = database_of(episode->database)->catalog;
    struct maintain_report report = {.more = false};
    struct table **tables;
    size_t count;
    if (catalog_list(catalog, &tables, &count) != OMEN_OK)
        return;
    struct table *table = tables[fibre_random(count)];
    if (fibre_random(SEAL_ONE_IN) == 0)
        table_seal_open(table);
    (void)!table_maintain(table, 1 + fibre_random(MAINTAIN_ROWS_MAX), &report); /* tried again */
    catalog_list_release(catalog, tables, count);
    episode->counts.groups_frozen += report.groups_frozen;
    episode->counts.groups_compacted += report.groups_compacted;
    episode->counts.groups_dropped += report.groups_dropped;
}

static void *maintain(void *argument)
{
    struct episode *episode = argument;
    omen_connection *connection;
    omen_error error = {.message = ""};
    if (omen_connect(episode->database, &connection, &error) != OMEN_OK) {
        complain(episode, "connecting", &error);
        return NULL;
    }
    while (!atomic_load(&episode->stop)) {
        bool more;
        if (fibre_random(4) != 0)
            maintain_table(episode);
        else if (omen_maintain(episode->database, 0, &more, &error) != OMEN_OK && !is_disturbed(episode, &error))
            complain(episode, "maintenance", &error);
        episode->counts.steps++;
        if (fibre_random(CHECKPOINT_ONE_IN) == 0) {
            execute(episode, connection, "CHECKPOINT");
            episode->counts.checkpoints++;
        }
        fibre_sleep(fibre_random(MAINTAIN_NS_MAX));
    }
    omen_disconnect(connection);
    return NULL;
}

/* Cancels statements, and lets some run out of memory. */
static void *disturb(void *argument)
{
    struct episode *episode = argument;
    while (!atomic_load(&episode->stop)) {
        fibre_sleep(fibre_random(DISTURB_NS_MAX));
        if (fibre_random(2) == 0)
            omen_interrupt(episode->clients[fibre_random(episode->shared.options.clients)].connection);
        else
            omen_test_fail_allocation(episode->database, 1 + fibre_random(ALLOCATIONS_MAX), false);
    }
    omen_test_fail_allocation(episode->database, 0, false);
    return NULL;
}

static void *work(void *argument)
{
    struct workload_client *client = argument;
    struct episode *episode = (struct episode *)((char *)client->shared - offsetof(struct episode, shared));
    fibre_set_owner(client);
    workload_client_work(client);
    episode->at_work--;
    return NULL;
}

/* Sessions differ: some give up waiting for locks; some do not wait for the log, where no kill would tell. */
static void set_up(struct episode *episode, struct workload_client *client)
{
    char sql[64];
    if (client->number % 3 == 1) {
        snprintf(sql, sizeof sql, "SET lock_timeout = %d", 1 + (int)fibre_random(LOCK_TIMEOUT_MS_MAX));
        execute(episode, client->connection, sql);
        client->gives_up = true;
    }
    if (client->number % 5 == 3 && episode->shared.options.disturbed) {
        snprintf(sql, sizeof sql, "SET statement_timeout = %d", 1 + (int)fibre_random(STATEMENT_TIMEOUT_MS_MAX));
        execute(episode, client->connection, sql);
    }
    if (client->number % 4 == 2 && episode->counts.kills + episode->kills == 0)
        execute(episode, client->connection, "SET synchronous_commit = off");
}

static void open_clients(struct episode *episode)
{
    for (unsigned i = 0; i < episode->shared.options.clients; i++) {
        if (!workload_client_open(&episode->clients[i], &episode->shared, i, episode->database))
            atomic_store(&episode->shared.stop, true);
        else
            set_up(episode, &episode->clients[i]);
    }
}

static void count_clients(struct episode *episode)
{
    for (unsigned i = 0; i < episode->shared.options.clients; i++) {
        episode->counts.deadlocks += episode->clients[i].deadlocks;
        episode->counts.timeouts += episode->clients[i].timeouts;
        episode->counts.serialization_failures += episode->clients[i].serialization_failures;
        episode->counts.disturbances += episode->clients[i].disturbances;
    }
}

/* --- lives --- */

/* The process dies, or the power fails: what the disk then holds is for the next life. */
static _Noreturn void die(struct episode *episode)
{
    enum sim_mode mode = fibre_random(2) == 0 ? SIM_KILL : (enum sim_mode)fibre_random(SIM_MODE_COUNT);
    fibre_hurry(); /* nobody does anything after the disk was drawn */
    episode->disk = sim_disk_draw(episode->disk, mode, episode->seed + episode->kills);
    episode->killed = true;
    count_clients(episode);
    for (unsigned i = 0; i < episode->shared.options.clients; i++) {
        const struct history *history = episode->shared.histories[i];
        if (history->count > 0 && history->transactions[history->count - 1].end_us == 0)
            history->transactions[history->count - 1].end_us = workload_now_us(&episode->shared);
    }
    fibres_abandon();
}

/* Returns where the clients are done before it is time to die. */
static void wait_to_die(struct episode *episode)
{
    while (episode->at_work > 0 && !atomic_load(&episode->shared.stop)) {
        size_t begun = 0;
        for (unsigned i = 0; i < episode->shared.options.clients; i++)
            begun += episode->shared.histories[i]->count;
        if (begun >= episode->kill_at)
            die(episode);
        fibre_sleep(fibre_random(LOOK_NS_MAX));
    }
}

/* Starts what goes on beside the clients. */
static bool start_others(struct episode *episode)
{
    if (!remake_start(episode))
        return false;
    pthread_create(&episode->maintainer, NULL, maintain, episode);
    if (episode->shared.options.disturbed)
        pthread_create(&episode->disturber, NULL, disturb, episode);
    return true;
}

static void stop_others(struct episode *episode)
{
    atomic_store(&episode->stop, true);
    pthread_join(episode->maintainer, NULL);
    remake_stop();
    if (episode->shared.options.disturbed)
        pthread_join(episode->disturber, NULL);
}

static void run_clients(struct episode *episode)
{
    unsigned count = episode->shared.options.clients;
    open_clients(episode);
    episode->at_work = count;
    if (!start_others(episode))
        return;
    for (unsigned i = 0; i < count; i++)
        pthread_create(&episode->clients[i].thread, NULL, work, &episode->clients[i]);
    if (episode->kills > 0)
        wait_to_die(episode);
    for (unsigned i = 0; i < count; i++)
        pthread_join(episode->clients[i].thread, NULL);
    stop_others(episode);
    for (unsigned i = 0; i < count; i++)
        workload_client_close(&episode->clients[i]);
    count_clients(episode);
}

static void last_look(struct episode *episode)
{
    unsigned number = episode->shared.options.clients;
    struct workload_client *client = &episode->clients[number];
    if (atomic_load(&episode->shared.stop))
        return;
    if (!workload_client_open(client, &episode->shared, number, episode->database)) {
        atomic_fetch_add(&episode->shared.violations, 1);
        return;
    }
    fibre_set_owner(client);
    if (!workload_last_look(client))
        atomic_fetch_add(&episode->shared.violations, 1);
    workload_client_close(client);
}

/* All that happens in simulated time; the first fibre. */
static void live(void *argument)
{
    struct episode *episode = argument;
    if (episode->disk == NULL) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        episode->shared.started_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        episode->disk = sim_disk_create(episode->seed);
    }
    use_disk(episode, episode->disk);
    if (!open_database(episode))
        return;
    make_tables(episode);
    run_clients(episode);
    last_look(episode);
    close_database(episode);
    if (!atomic_load(&episode->shared.stop) && open_database(episode)) {
        last_look(episode);
        close_database(episode);
    }
}

void episode_play(struct episode *episode)
{
    size_t transactions = episode->shared.options.transactions;
    unsigned kills = (unsigned)random_below(&episode->random, KILLS_MAX + 1);
    stand_in_set_current(current_client);
    /* Cancelled statements are found by looking. */
    fibres_set_patient(!episode->shared.options.disturbed && random_below(&episode->random, 3) != 0);
    for (unsigned life = 0;; life++) {
        size_t part = transactions / (kills + 1);
        episode->kills = kills - life;
        episode->kill_at = part * life + random_below(&episode->random, part + 1);
        episode->killed = false;
        fibres_run(episode->seed + life * UINT64_C(0x9E3779B97F4A7C15), live, episode, &episode->counts.fibres);
        if (!episode->killed)
            return;
        episode->counts.kills++;
    }
}
