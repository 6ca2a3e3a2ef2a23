/* test_checkpoint.c - checkpoints over a simulated disk: what they keep, what they remove, what is left
 * where a call fails, and that it does not matter when commits come in between.
 *
 * A table of integers, and a plain array that says what must be in it. Everything is one thread, and
 * repeatable: OMEN_SEED=n replays a failure.
 */
#include "checkpoint_world.h"

/* --- tests --- */

/* What was committed before is in segments, the log goes, and opening has nothing to apply. */
static void test_r8_1_a_checkpoint_takes_over_from_the_log(void **state)
{
    struct world world = make_world(1);
    for (int i = 0; i < 200; i++)
        must_change(&world, i, i);
    must_run(&world, "CHECKPOINT");
    assert_int_equal(files_of(&world, ".plain").files, 1);
    assert_int_equal(files_of(&world, ".keys").files, 1);
    assert_int_equal(files_of(&world, ".ends").files, 0);
    assert_int_equal(storage_log_bytes(storage_of(&world)), 0);
    check_world(&world);
    crash_world(&world, SIM_DROP, 1);
    assert_int_equal(storage_of(&world)->replayed_commits, 0);
    check_world(&world);
    must_change(&world, 7, ABSENT);
    must_change(&world, 8, 88);
    must_change(&world, 300, 3);
    crash_world(&world, SIM_DROP, 2);
    assert_int_equal(storage_of(&world)->replayed_commits, 3);
    check_world(&world);
    /* Ends of what is in a segment, and a segment for what came since. */
    must_run(&world, "CHECKPOINT");
    assert_int_equal(files_of(&world, ".plain").files, 2);
    assert_int_equal(files_of(&world, ".ends").files, 1);
    crash_world(&world, SIM_DROP, 3);
    check_world(&world);
    end_world(&world);
}

/* The segment of an open group is replaced by the next checkpoint's. */
static void test_r8_1_tails_are_replaced(void **state)
{
    struct world world = make_world(2);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 10; i++)
            must_change(&world, round * 10 + i, i);
        must_run(&world, "CHECKPOINT");
        assert_int_equal(files_of(&world, "/data/").files, 2);
    }
    must_run(&world, "CHECKPOINT"); /* nothing to do, and nothing done */
    assert_int_equal(files_of(&world, "/data/").files, 2);
    crash_world(&world, SIM_DROP, 1);
    check_world(&world);
    end_world(&world);
}

static void test_the_log_does_not_grow(void **state)
{
    struct world world = make_world(3);
    struct random random = {3};
    for (int round = 0; round < 40; round++) {
        change_some(&world, &random, 200);
        must_run(&world, "CHECKPOINT");
        assert_in_range(files_of(&world, "/log/").bytes, 1, 6 * (64 * 1024 + 4096));
    }
    check_world(&world);
    crash_world(&world, SIM_DROP, 1);
    check_world(&world);
    end_world(&world);
}

/* A closed database is opened from its segments, whatever lies beside them. */
static void test_unattached_files_are_removed_at_open(void **state)
{
    struct world world = make_world(4);
    const struct os *os = sim_disk_os(world.disk);
    int64_t file;
    must_change(&world, 1, 1);
    close_world(&world);
    static const char *const names[] = {"/db/data/00000000-0000-0000-0000-000000000000.plain",
                                        "/db/data/x.ends", "/db/manifest.new"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(os->file_open(os, names[i], OS_OPEN_CREATE_NEW, &file, NULL), OMEN_OK);
        os->file_close(os, file);
    }
    open_world(&world);
    assert_int_equal(storage_of(&world)->replayed_commits, 0);
    assert_int_equal(files_of(&world, "/data/").files, 2);
    assert_int_equal(files_of(&world, "manifest.new").files, 0);
    check_world(&world);
    end_world(&world);
}

static void test_a_missing_segment_is_named(void **state)
{
    struct world world = make_world(5);
    const struct os *os = sim_disk_os(world.disk);
    omen_error error;
    char data[SEGMENT_PATH_BYTES_MAX], keys[SEGMENT_PATH_BYTES_MAX];
    must_change(&world, 1, 1);
    must_run(&world, "CHECKPOINT");
    const struct segment_facts facts = storage_of(&world)->files[0].attachments[0].facts;
    segment_path("/db/data", &facts, SEGMENT_DATA, data);
    segment_path("/db/data", &facts, SEGMENT_KEYS, keys);
    close_world(&world);
    assert_int_equal(os->file_rename(os, data, "/db/data/away", NULL), OMEN_OK);
    uint64_t hash = sim_disk_hash(world.disk);
    assert_int_equal(try_open(&world, &error), OMEN_FILE_NOT_FOUND);
    assert_string_equal(error.sqlstate, "58P01");
    assert_non_null(strstr(error.message, data));
    assert_int_equal(sim_disk_hash(world.disk), hash);
    assert_int_equal(os->file_rename(os, "/db/data/away", data, NULL), OMEN_OK);
    assert_int_equal(os->file_rename(os, keys, "/db/data/away", NULL), OMEN_OK);
    assert_int_equal(try_open(&world, &error), OMEN_FILE_NOT_FOUND);
    assert_non_null(strstr(error.message, keys));
    assert_int_equal(os->file_rename(os, "/db/data/away", keys, NULL), OMEN_OK);
    open_world(&world);
    check_world(&world);
    end_world(&world);
}

/* Files of dropped tables, and of groups that nobody reads, go with the checkpoint after. */
static void test_files_go_once_no_manifest_names_them(void **state)
{
    struct world world = make_world(6);
    must_run(&world, "CREATE TABLE u (id int PRIMARY KEY)");
    must_run(&world, "INSERT INTO u VALUES (1), (2)");
    must_change(&world, 1, 1);
    must_run(&world, "CHECKPOINT");
    assert_int_equal(files_of(&world, "/data/").files, 4);
    must_run(&world, "DROP TABLE u");
    assert_int_equal(files_of(&world, "/data/").files, 4);
    must_run(&world, "CHECKPOINT");
    assert_int_equal(files_of(&world, "/data/").files, 2);
    must_change(&world, 1, ABSENT);
    must_run(&world, "CHECKPOINT");
    assert_int_equal(files_of(&world, "/data/").files, 0);
    crash_world(&world, SIM_DROP, 1);
    check_world(&world);
    end_world(&world);
}

static void insert_group(struct world *world, int first, int count)
{
    static char sql[40000];
    for (int done = 0; done < count; done += 1000) {
        int length = snprintf(sql, sizeof sql, "INSERT INTO u VALUES ");
        for (int i = 0; i < 1000; i++)
            length += snprintf(sql + length, sizeof sql - (size_t)length, "%s(%d)",
                               i > 0 ? ", " : "", first + done + i);
        must_run(world, sql);
    }
    struct table *table;
    struct database *database = (struct database *)world->database;
    assert_int_equal(catalog_find(database->catalog, "u", 1, &table, NULL), OMEN_OK);
    table_seal_open(table);
    table_release(table);
}

static void delete_keys(struct world *world, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char sql[60];
        snprintf(sql, sizeof sql, "DELETE FROM u WHERE id = %d", i);
        must_run(world, sql);
    }
}

static int count_rows(struct world *world, const char *table)
{
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    int rows = 0;
    assert_int_equal(omen_scan(world->connection, table, NULL, &stream, NULL), OMEN_OK);
    while (assert_int_equal(stream.get_next(&stream, &array), 0), array.release != NULL) {
        rows += (int)array.length;
        array.release(&array);
    }
    stream.release(&stream);
    return rows;
}

/* A group of a segment dies with as many ends as another of it gets: those are written all the
 * same. */
static void test_ends_are_compared_group_by_group(void **state)
{
    enum { GROUP = 20000 }; /* too many to be merged with its neighbour */
    struct world world = make_world(8);
    bool more = true;
    must_run(&world, "CREATE TABLE u (id int PRIMARY KEY)");
    insert_group(&world, 0, GROUP);
    insert_group(&world, GROUP, GROUP);
    while (more)
        assert_int_equal(omen_maintain(world.database, 1 << 20, &more, NULL), OMEN_OK);
    must_run(&world, "CHECKPOINT");
    assert_int_equal(files_of(&world, ".plain").files, 1);
    delete_keys(&world, 0, 2);
    must_run(&world, "CHECKPOINT");
    delete_keys(&world, 2, GROUP - 2);
    delete_keys(&world, GROUP + 5, 2);
    must_run(&world, "CHECKPOINT");
    crash_world(&world, SIM_DROP, 1);
    assert_int_equal(count_rows(&world, "u"), GROUP - 2);
    end_world(&world);
}

/* A reader of a group whose segment goes reads it to the end; then the files go too. */
static void test_pinned_files_stay(void **state)
{
    struct world world = make_world(7);
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    for (int i = 0; i < 50; i++)
        must_change(&world, i, i);
    close_world(&world);
    open_world(&world); /* columns are on disk only */
    assert_int_equal(omen_scan(world.connection, "t", NULL, &stream, NULL), OMEN_OK);
    must_run(&world, "DROP TABLE t");
    must_run(&world, "CHECKPOINT");
    assert_int_equal(files_of(&world, "/data/").files, 2);
    assert_int_equal(stream.get_next(&stream, &array), 0);
    assert_int_equal(array.length, 50);
    array.release(&array);
    stream.release(&stream);
    assert_int_equal(files_of(&world, "/data/").files, 0);
    end_world(&world);
}

/* R5.4, R5.6: what was given out is never given out again, though its rows are gone. */
static void test_r5_4_bounds_are_kept(void **state)
{
    struct world world = make_world(8);
    struct table *table;
    struct table_counters before, after;
    must_run(&world, "CREATE TABLE h (v int)");
    must_run(&world, "INSERT INTO h VALUES (1), (2), (3)");
    struct database *database = (struct database *)world.database;
    assert_int_equal(catalog_find(database->catalog, "h", 1, &table, NULL), OMEN_OK);
    table_counters_of(table, &before);
    table_release(table);
    must_run(&world, "CHECKPOINT");
    crash_world(&world, SIM_DROP, 1);
    database = (struct database *)world.database;
    assert_int_equal(catalog_find(database->catalog, "h", 1, &table, NULL), OMEN_OK);
    table_counters_of(table, &after);
    assert_true(after.group_number_next >= before.group_number_next);
    assert_true(after.hidden_key_next >= before.hidden_key_next);
    assert_int_equal(table_id(table), 2);
    table_release(table);
    must_run(&world, "DROP TABLE h");
    must_run(&world, "CHECKPOINT");
    crash_world(&world, SIM_DROP, 1);
    must_run(&world, "CREATE TABLE h (v int)");
    database = (struct database *)world.database;
    assert_int_equal(catalog_find(database->catalog, "h", 1, &table, NULL), OMEN_OK);
    assert_int_equal(table_id(table), 3);
    table_release(table);
    end_world(&world);
}

static struct table *find(struct world *world, const char *name)
{
    struct table *table;
    struct database *database = (struct database *)world->database;
    assert_int_equal(catalog_find(database->catalog, name, strlen(name), &table, NULL), OMEN_OK);
    return table;
}

/* Rows that came by commits, and were never read from a segment, are let go like all others once a
 * checkpoint has them: memory is not bounded by what a database was filled with. */
static void test_what_a_checkpoint_has_can_be_let_go(void **state)
{
    enum { GROUP = 20000 };
    struct world world = make_world(13);
    struct storage_settings *settings = &((struct database *)world.database)->settings;
    must_run(&world, "CREATE TABLE u (id int PRIMARY KEY)");
    for (int i = 0; i < 3; i++)
        insert_group(&world, i * GROUP, GROUP);
    struct table *table = find(&world, "u");
    while (storage_step(storage_of(&world)))
        continue;
    assert_int_equal(table_loaded_bytes(table), 0); /* not in a segment: it cannot go */
    must_run(&world, "CHECKPOINT");
    uint64_t loaded = table_loaded_bytes(table), used = omen_memory_bytes(world.database);
    assert_true(loaded >= 3 * GROUP * 4);
    while (storage_step(storage_of(&world)))
        continue;
    assert_int_equal(table_loaded_bytes(table), loaded); /* there is room for it */
    atomic_store(&settings->cache_bytes, loaded / 2);
    while (storage_step(storage_of(&world)))
        continue;
    assert_in_range(table_loaded_bytes(table), 0, loaded / 2);
    assert_true(omen_memory_bytes(world.database) + loaded / 3 <= used);
    delete_keys(&world, 5, 3);
    assert_int_equal(count_rows(&world, "u"), 3 * GROUP - 3);
    must_run(&world, "CHECKPOINT");
    table_release(table);
    crash_world(&world, SIM_DROP, 1);
    assert_int_equal(count_rows(&world, "u"), 3 * GROUP - 3);
    end_world(&world);
}

/* --- whatever comes in between --- */

/* A step of something: commits, maintenance, a piece of a checkpoint. */
static void step(struct world *world, struct random *random, struct checkpoint **checkpoint)
{
    omen_error error;
    bool more = true;
    switch (random_below(random, 8)) {
    case 0:
        assert_int_equal(omen_maintain(world->database, 1 + random_below(random, 300), NULL, NULL),
                         OMEN_OK);
        return;
    case 1: {
        struct table *table;
        struct database *database = (struct database *)world->database;
        assert_int_equal(catalog_find(database->catalog, "t", 1, &table, NULL), OMEN_OK);
        table_seal_open(table);
        table_release(table);
        return;
    }
    case 2:
    case 3:
        break;
    default:
        change_some(world, random, 1 + (int)random_below(random, 20));
        return;
    }
    omen_status status = *checkpoint == NULL
                             ? checkpoint_begin(storage_of(world), checkpoint, &error)
                             : checkpoint_step(*checkpoint, &more, &error);
    if (status == OMEN_OK && !more) {
        status = checkpoint_finish(*checkpoint, &error);
        checkpoint_destroy(*checkpoint);
        *checkpoint = NULL;
    }
    if (status != OMEN_OK)
        fail_with(&error);
}

static void test_r8_1_commits_between_the_steps(void **state)
{
    const char *given = getenv("OMEN_SEED");
    uint64_t first = given != NULL ? strtoull(given, NULL, 10) : 100;
    for (uint64_t seed = first; seed < (given != NULL ? first + 1 : first + 10); seed++) {
        struct world world = make_world(seed);
        struct random random = {seed};
        struct checkpoint *checkpoint = NULL;
        print_message("OMEN_SEED=%llu\n", (unsigned long long)seed);
        for (int i = 0; i < 300; i++) {
            step(&world, &random, &checkpoint);
            if (random_below(&random, 40) != 0)
                continue;
            check_world(&world);
            struct sim_disk *image = sim_disk_draw(world.disk, SIM_DROP, seed + (uint64_t)i);
            checkpoint_destroy(checkpoint);
            checkpoint = NULL;
            close_world(&world);
            sim_disk_destroy(world.disk);
            world.disk = image;
            open_world(&world);
            check_world(&world);
        }
        checkpoint_destroy(checkpoint);
        end_world(&world);
    }
}

/* A commit that has been applied, and is not durable yet. */
static struct txn_ticket launch(struct world *world, int key)
{
    struct txn_manager *manager = ((struct database *)world->database)->manager;
    struct table *table = find(world, "t");
    struct write_set *set;
    struct txn_ticket ticket = {0};
    omen_error error;
    omen_value values[] = {{.type.id = OMEN_TYPE_INTEGER, .as.i32 = key},
                                 {.type.id = OMEN_TYPE_INTEGER, .as.i32 = key + 1},
                                 {.type.id = OMEN_TYPE_TEXT, .is_null = true}};
    txn_writer_lock(manager);
    assert_int_equal(write_set_create(table, &set), OMEN_OK);
    if (write_set_insert(set, values, &error) != OMEN_OK ||
        write_set_commit_locked(set, TXN_DURABLE, &ticket, &error) != OMEN_OK)
        fail_with(&error);
    write_set_destroy(set);
    txn_writer_unlock(manager);
    table_release(table);
    world->values[key] = key + 1;
    return ticket;
}

static int log_syncs;

static void watch_log(void *context, struct sim_disk *disk, enum sim_call call, enum sim_kind kind)
{
    const struct txn_manager *manager = context;
    if (call != SIM_SYNC || kind != SIM_LOG)
        return;
    log_syncs++;
    assert_int_equal(atomic_load(&manager->writer), WRITER_FREE);
}

/* The state of a checkpoint is taken between two commits, and synced when the next may go on. */
static void test_beginning_holds_up_no_writer_for_a_sync(void **state)
{
    struct world world = make_world(14);
    struct txn_manager *manager = ((struct database *)world.database)->manager;
    struct checkpoint *checkpoint;
    omen_error error;
    bool more = true;
    must_change(&world, 1, 1);
    struct txn_ticket ticket = launch(&world, 2);
    log_syncs = 0;
    sim_disk_watch(world.disk, watch_log, manager);
    if (checkpoint_begin(storage_of(&world), &checkpoint, &error) != OMEN_OK)
        fail_with(&error);
    assert_int_equal(log_syncs, 1);
    sim_disk_watch(world.disk, NULL, NULL);
    assert_true(txn_published(manager) >= ticket.timestamp);
    struct txn_ticket later = launch(&world, 3);
    while (more)
        assert_int_equal(checkpoint_step(checkpoint, &more, &error), OMEN_OK);
    assert_int_equal(checkpoint_finish(checkpoint, &error), OMEN_OK);
    checkpoint_destroy(checkpoint);
    assert_int_equal(txn_wait(manager, &ticket, &error), OMEN_OK);
    assert_int_equal(txn_wait(manager, &later, &error), OMEN_OK);
    crash_world(&world, SIM_DROP, 1);
    assert_int_equal(storage_of(&world)->replayed_commits, 1);
    check_world(&world);
    end_world(&world);
}

/* A table whose creation is not durable yet when the checkpoint begins is part of it. */
static void test_tables_in_flight_are_part_of_the_state(void **state)
{
    struct world world = make_world(15);
    const struct sim_fault full = {SIM_WRITE, SIM_LOG, 1, false, OMEN_DISK_FULL};
    omen_error error;
    sim_disk_fail(world.disk, &full); /* its commit is kept, and written the next time */
    assert_int_equal(run(&world, "CREATE TABLE u (id int PRIMARY KEY)", &error),
                     OMEN_COMMIT_UNKNOWN);
    must_run(&world, "CHECKPOINT");
    crash_world(&world, SIM_DROP, 1);
    assert_int_equal(storage_of(&world)->replayed_commits, 0);
    assert_int_equal(count_rows(&world, "u"), 0);
    end_world(&world);
}

/* --- what fails --- */

/* Opens what a disk holds, compares, writes, and closes. */
static void check_image(struct sim_disk *image, const struct world *expected)
{
    struct world world = *expected;
    world.disk = image;
    open_world(&world);
    check_world(&world);
    must_change(&world, 3, 33);
    must_run(&world, "CHECKPOINT");
    check_world(&world);
    end_world(&world);
}

static bool has_failed(struct world *world)
{
    uint64_t failures = 0;
    for (int call = 0; call < SIM_CALL_COUNT; call++)
        for (int kind = 0; kind < SIM_KIND_COUNT; kind++)
            failures +=
                sim_disk_failures(world->disk, (enum sim_call)call, (enum sim_kind)kind);
    return failures > 0;
}

/* Makes the nth call on the disk fail during a checkpoint; false where there is no nth. */
static bool fail_checkpoint(uint64_t nth, bool forever, omen_status with)
{
    struct world world = make_world(9);
    struct random random = {9};
    omen_error error;
    change_some(&world, &random, 40);
    must_run(&world, "CHECKPOINT");
    change_some(&world, &random, 40);
    const struct sim_fault fault = {SIM_CALL_COUNT, SIM_KIND_COUNT, nth, forever, with};
    sim_disk_fail(world.disk, &fault);
    omen_status status = run(&world, "CHECKPOINT", &error);
    bool failed = has_failed(&world);
    sim_disk_mend(world.disk);
    check_world(&world);
    struct sim_disk *dropped = sim_disk_draw(world.disk, SIM_DROP, nth);
    struct sim_disk *reordered = sim_disk_draw(world.disk, SIM_REORDER_512, nth);
    struct world then = world;
    if (storage_of(&world)->manifest_unknown) {
        assert_int_not_equal(status, OMEN_OK);
        assert_int_equal(run(&world, "CHECKPOINT", &error), OMEN_IO_ERROR);
        assert_non_null(strstr(error.message, "opened again"));
    } else {
        /* It works the next time, whatever was left. */
        must_change(&world, 5, 55);
        must_run(&world, "CHECKPOINT");
        assert_int_equal(storage_log_bytes(storage_of(&world)), 0);
    }
    check_world(&world);
    end_world(&world);
    /* What was on disk after the failure is all there. */
    check_image(dropped, &then);
    check_image(reordered, &then);
    return failed;
}

static void test_r8_4_every_failure_keeps_what_was(void **state)
{
    static const omen_status statuses[] = {OMEN_IO_ERROR, OMEN_DISK_FULL};
    for (int forever = 0; forever < 2; forever++)
        for (size_t i = 0; i < 2; i++) {
            uint64_t nth = 1;
            while (fail_checkpoint(nth, forever, statuses[i]))
                nth++;
            assert_in_range(nth, 12, 200);
        }
}

/* The log fails while a checkpoint is under way: its manifest is never written, and closing says what
 * failed, also to whom no commit has told it. */
static void test_a_failed_log_ends_the_checkpoint_under_way(void **state)
{
    struct world world = make_world(13);
    struct random random = {13};
    struct checkpoint *checkpoint;
    omen_error error = {.message = ""};
    bool more = true;
    change_some(&world, &random, 100);
    must_change(&world, 7, 77);
    struct storage *storage = storage_of(&world);
    assert_int_equal(checkpoint_begin(storage, &checkpoint, &error), OMEN_OK);
    while (more)
        assert_int_equal(checkpoint_step(checkpoint, &more, &error), OMEN_OK);
    sim_disk_fail(world.disk, &(struct sim_fault){SIM_SYNC, SIM_LOG, 1, false, OMEN_IO_ERROR});
    assert_int_equal(change(&world, 7, 77, &error), OMEN_COMMIT_UNKNOWN);
    uint64_t renames = sim_disk_calls(world.disk, SIM_RENAME, SIM_MANIFEST_NEW);
    error.message[0] = '\0';
    assert_int_equal(checkpoint_finish(checkpoint, &error), OMEN_IO_ERROR);
    assert_non_null(strstr(error.message, "the write-ahead log has failed"));
    assert_int_equal(sim_disk_calls(world.disk, SIM_RENAME, SIM_MANIFEST_NEW), renames);
    checkpoint_destroy(checkpoint);
    assert_int_equal(files_of(&world, "/data/").files, 0);
    error.message[0] = '\0';
    assert_int_equal(omen_close(world.database, &error), OMEN_OBJECT_IN_USE);
    assert_non_null(strstr(error.message, "open connections"));
    omen_disconnect(world.connection);
    assert_int_equal(omen_close(world.database, &error), OMEN_IO_ERROR);
    assert_non_null(strstr(error.message, "the write-ahead log has failed: "));
    open_world(&world);
    check_world(&world);
    end_world(&world);
}

/* Writers stop where the disk is full; a checkpoint gets the reserve's room, and frees the log's. */
static void test_a_full_disk_gives_the_reserve_back(void **state)
{
    struct world world = make_world(10);
    struct random random = {10};
    change_some(&world, &random, 300);
    assert_true(storage_of(&world)->reserve_left > 0);
    sim_disk_set_capacity(world.disk, sim_disk_used(world.disk));
    must_run(&world, "CHECKPOINT");
    assert_int_equal(storage_of(&world)->checkpoints, 1);
    assert_int_equal(storage_of(&world)->checkpoint_failures, 1); /* before it was given back */
    check_world(&world);
    sim_disk_set_capacity(world.disk, 0);
    change_some(&world, &random, 10);
    must_run(&world, "CHECKPOINT");
    assert_true(storage_of(&world)->reserve_left > 0);
    end_world(&world);
}

/* Memory that runs out anywhere is told, and the next checkpoint is whole. */
static void test_failing_memory(void **state)
{
    for (uint64_t nth = 1;; nth++) {
        struct world world = make_world(11);
        struct random random = {11};
        omen_error error;
        change_some(&world, &random, 100);
        must_run(&world, "CHECKPOINT");
        change_some(&world, &random, 100);
        struct allocator *allocator = ((struct database *)world.database)->allocator;
        allocator_fail_at(allocator, nth, 0);
        omen_status status = storage_checkpoint(storage_of(&world), &error);
        bool failed = allocator_has_failed(allocator);
        allocator_fail_at(allocator, 0, 0);
        if (status != OMEN_OK)
            assert_int_equal(status, OMEN_OUT_OF_MEMORY);
        must_run(&world, "CHECKPOINT");
        check_world(&world);
        crash_world(&world, SIM_DROP, nth);
        check_world(&world);
        end_world(&world);
        if (!failed)
            break;
        assert_true(nth < 2000);
    }
}

/* --- by itself --- */

/* A turn makes a step of a checkpoint where one is due by the log's length, or by time. */
static void test_turns_make_checkpoints_when_they_are_due(void **state)
{
    struct world world = make_world(12);
    struct random random = {12};
    struct storage *storage = storage_of(&world);
    while (storage_step(storage))
        continue;
    change_some(&world, &random, 50);
    while (storage_step(storage))
        continue;
    assert_int_equal(storage->checkpoints, 0);
    sim_disk_advance(world.disk, UINT64_C(301000000000));
    while (storage_step(storage))
        continue;
    assert_int_equal(storage->checkpoints, 1);
    sim_disk_advance(world.disk, UINT64_C(301000000000)); /* nothing new */
    while (storage_step(storage))
        continue;
    assert_int_equal(storage->checkpoints, 1);
    atomic_store(&((struct database *)world.database)->settings.checkpoint_bytes, 2000);
    change_some(&world, &random, 100);
    while (storage_step(storage))
        continue;
    assert_int_equal(storage->checkpoints, 2);
    check_world(&world);
    end_world(&world);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_r8_1_a_checkpoint_takes_over_from_the_log),
        TEST(test_r8_1_tails_are_replaced),
        TEST(test_ends_are_compared_group_by_group),
        TEST(test_the_log_does_not_grow),
        TEST(test_unattached_files_are_removed_at_open),
        TEST(test_a_missing_segment_is_named),
        TEST(test_files_go_once_no_manifest_names_them),
        TEST(test_pinned_files_stay),
        TEST(test_r5_4_bounds_are_kept),
        TEST(test_what_a_checkpoint_has_can_be_let_go),
        TEST(test_beginning_holds_up_no_writer_for_a_sync),
        TEST(test_tables_in_flight_are_part_of_the_state),
        TEST(test_r8_1_commits_between_the_steps),
        TEST(test_r8_4_every_failure_keeps_what_was),
        TEST(test_a_failed_log_ends_the_checkpoint_under_way),
        TEST(test_a_full_disk_gives_the_reserve_back),
        TEST(test_failing_memory),
        TEST(test_turns_make_checkpoints_when_they_are_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
