/* checkpoint_world.h - for test_checkpoint.c: a database over a simulated disk, a table of integers in it,
 * and a plain array that says what must be in that table. */
#ifndef OMEN_TESTS_CHECKPOINT_WORLD_H
#define OMEN_TESTS_CHECKPOINT_WORLD_H

#include "support.h"

#include <stdlib.h>

#include "api/api_private.h"
#include "base/random.h"
#include "crash/sim_disk.h"
#include "store/checkpoint.h"
#include "store/storage_private.h"
#include "table/table_adopt.h"
#include "txn/txn_private.h"

enum { KEYS = 400, ABSENT = -1 };

struct world {
    struct sim_disk *disk;
    omen_database *database;
    omen_connection *connection;
    int values[KEYS]; /* what must be there; ABSENT */
    uint64_t limit;   /* rows a turn of maintenance */
};

static void fail_with(const omen_error *error)
{
    print_error("%s %s\n", error->sqlstate, error->message);
    fail();
}

static omen_status try_open(struct world *world, omen_error *error)
{
    omen_options options;
    omen_options_init(&options);
    options.log_file_bytes = 64 * 1024;
    options.no_background = true;
    omen_status status =
        api_open(sim_disk_os(world->disk), "/db", &options, &world->database, error);
    if (status == OMEN_OK)
        status = omen_connect(world->database, &world->connection, error);
    return status;
}

static void open_world(struct world *world)
{
    omen_error error;
    if (try_open(world, &error) != OMEN_OK)
        fail_with(&error);
}

static struct storage *storage_of(struct world *world)
{
    return ((struct database *)world->database)->storage;
}

static omen_status run(struct world *world, const char *sql, omen_error *error)
{
    struct ArrowArrayStream stream;
    omen_status status =
        omen_query(world->connection, sql, strlen(sql), &stream, NULL, error);
    if (status == OMEN_OK)
        stream.release(&stream);
    return status;
}

static void must_run(struct world *world, const char *sql)
{
    omen_error error;
    if (run(world, sql, &error) != OMEN_OK)
        fail_with(&error);
}

static void close_world(struct world *world)
{
    omen_disconnect(world->connection);
    assert_int_equal(omen_close(world->database, NULL), OMEN_OK);
}

/* The power goes; what the disk holds then is opened. */
static void crash_world(struct world *world, enum sim_mode mode, uint64_t seed)
{
    struct sim_disk *image = sim_disk_draw(world->disk, mode, seed);
    close_world(world); /* on the disk that nobody sees again */
    sim_disk_destroy(world->disk);
    world->disk = image;
    open_world(world);
}

static struct world make_world(uint64_t seed)
{
    struct world world = {.disk = sim_disk_create(seed), .limit = 1000};
    for (int i = 0; i < KEYS; i++)
        world.values[i] = ABSENT;
    open_world(&world);
    must_run(&world, "CREATE TABLE t (id int PRIMARY KEY, v int, s text)");
    return world;
}

static void end_world(struct world *world)
{
    close_world(world);
    assert_int_equal(sim_disk_open_count(world->disk), 0);
    sim_disk_destroy(world->disk);
}

/* --- changes, and what must come of them --- */

static omen_status change(struct world *world, int key, int value, omen_error *error)
{
    char sql[200];
    if (value == ABSENT)
        snprintf(sql, sizeof sql, "DELETE FROM t WHERE id = %d", key);
    else if (world->values[key] == ABSENT)
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, %d, 'a text of some length, %d')", key,
                 value, value);
    else
        snprintf(sql, sizeof sql, "UPDATE t SET v = %d WHERE id = %d", value, key);
    OMEN_TRY(run(world, sql, error));
    world->values[key] = value;
    return OMEN_OK;
}

static void must_change(struct world *world, int key, int value)
{
    omen_error error;
    if (change(world, key, value, &error) != OMEN_OK)
        fail_with(&error);
}

static void change_some(struct world *world, struct random *random, int count)
{
    for (int i = 0; i < count; i++) {
        int key = (int)random_below(random, KEYS);
        bool removes = world->values[key] != ABSENT && random_below(random, 3) == 0;
        must_change(world, key, removes ? ABSENT : (int)random_below(random, 1000000));
    }
}

/* By index: every key. By scan: as many rows, and each is one of them. */
static void check_world(struct world *world)
{
    static const char *const columns[] = {"id", "v"};
    omen_scan_options options = {
        .struct_bytes = sizeof options, .columns = columns, .column_count = 2};
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    int rows = 0, expected = 0;
    for (int key = 0; key < KEYS; key++) {
        omen_value id = {.type.id = OMEN_TYPE_INTEGER, .as.i32 = key};
        omen_row *row;
        omen_status status = omen_get(world->connection, "t", NULL, &id, 1, &row, NULL);
        assert_int_equal(status, world->values[key] == ABSENT ? OMEN_NOT_FOUND : OMEN_OK);
        if (status != OMEN_OK)
            continue;
        assert_int_equal(omen_row_value(row, 1).as.i32, world->values[key]);
        omen_row_release(row);
        expected++;
    }
    assert_int_equal(omen_scan(world->connection, "t", &options, &stream, NULL), OMEN_OK);
    while (assert_int_equal(stream.get_next(&stream, &array), 0), array.release != NULL) {
        const int32_t *ids = array.children[0]->buffers[1], *values = array.children[1]->buffers[1];
        for (int64_t i = 0; i < array.length; i++)
            assert_int_equal(world->values[ids[i]], values[i]);
        rows += (int)array.length;
        array.release(&array);
    }
    stream.release(&stream);
    assert_int_equal(rows, expected);
    struct table *table;
    omen_error error;
    struct database *database = (struct database *)world->database;
    assert_int_equal(catalog_find(database->catalog, "t", 1, &table, NULL), OMEN_OK);
    if (table_validate(table, &error) != OMEN_OK)
        fail_with(&error);
    table_release(table);
}

/* --- files --- */

struct count {
    const char *part;
    int files;
    uint64_t bytes;
};

static void count_file(void *context, const char *path, uint64_t bytes)
{
    struct count *count = context;
    if (strstr(path, count->part) == NULL)
        return;
    count->files++;
    count->bytes += bytes;
}

static struct count files_of(struct world *world, const char *part)
{
    struct count count = {.part = part};
    sim_disk_each(world->disk, count_file, &count);
    return count;
}

#endif
