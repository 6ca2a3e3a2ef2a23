/* test_faults.c - the fault contract (docs/ARCHITECTURE.md, "Faults"), a test or more for each
 * line.
 *
 * A failure inside a call is planned on the simulated disk. What becomes of random failures is
 * crash.c's, and of each single call crash_sweep.c's; here is what each promises.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crash/crash_database.h"
#include "crash/crash_model.h"

enum { TEXT_BYTES = 512 };

static struct sim_disk *disk;
static struct crash_database it;
static struct model model;
static struct random chance;
static omen_error error;

static void open_it(void)
{
    bool opened = crash_database_open(&it, &error);
    if (!opened)
        print_error("%s\n", error.message);
    assert_true(opened);
}

static void assert_same(bool settle)
{
    char text[TEXT_BYTES] = "";
    enum model_verdict verdict = model_compare(&model, it.durable, settle, text, sizeof text);
    if (verdict != MODEL_SAME)
        print_error("%s\n", text);
    assert_int_equal(verdict, MODEL_SAME);
}

static omen_status commit(void)
{
    uint64_t before = model.changes;
    omen_status status = OMEN_OK;
    bool tables = model.base.exists[0] || model.base.exists[1] || model.base.exists[2];
    while (tables && status == OMEN_OK && model.changes == before) /* some draw nothing to do */
        status = model_write(&model, it.durable, &chance, true, &error);
    return status;
}

static void define_tables(void)
{
    while (!model.base.exists[0] || !model.base.exists[1] || !model.base.exists[2])
        assert_int_equal(model_define(&model, it.durable, &chance, &error), OMEN_OK);
}

static int setup(void **state)
{
    disk = sim_disk_create(5);
    it = (struct crash_database){.disk = disk, .log_file_bytes = 16384};
    model = (struct model){0};
    chance = random_seeded(7);
    open_it();
    define_tables();
    for (int i = 0; i < 20; i++)
        assert_int_equal(commit(), OMEN_OK);
    return 0;
}

static int teardown(void **state)
{
    sim_disk_mend(disk);
    if (it.database != NULL)
        (void)crash_database_close(&it);
    sim_disk_destroy(disk);
    return 0;
}

static void fail_call(enum sim_call call, enum sim_kind kind, bool forever, omen_status status)
{
    sim_disk_fail(disk, &(struct sim_fault){call, kind, 1, forever, status});
}

static omen_status checkpoint(void)
{
    return crash_database_run(it.durable, "CHECKPOINT", &error);
}

/* The power fails now; what is left is opened and must be the model after some commit. */
static void cut_power(enum sim_mode mode, uint64_t seed)
{
    const struct model before = model;
    const struct crash_database here = it;
    it.disk = sim_disk_draw(disk, mode, seed);
    sim_disk_set_capacity(it.disk, 0);
    open_it();
    assert_same(true);
    assert_int_equal(commit(), OMEN_OK);
    assert_same(false);
    (void)crash_database_close(&it);
    sim_disk_destroy(it.disk);
    it = here;
    model = before;
}

/* --- crash at any write --- */

static void cut_power_before_call(void *context, struct sim_disk *from, enum sim_call call,
                                  enum sim_kind kind)
{
    static uint64_t seed;
    const struct random before = chance;
    cut_power(seed % SIM_MODE_COUNT, seed);
    seed++;
    chance = before;
}

static void test_crash_at_any_write_keeps_what_was_acknowledged(void **state)
{
    sim_disk_watch(disk, cut_power_before_call, NULL);
    for (int i = 0; i < 60; i++)
        assert_int_equal(commit(), OMEN_OK);
    sim_disk_watch(disk, NULL, NULL);
}

/* --- a sync fails while a database is made --- */

/* What is opened again builds on names that the disk may lack, the directory's own among them. */
static void test_creation_after_a_failed_sync_trusts_no_name(void **state)
{
    for (uint64_t seed = 0; seed < 320; seed++) {
        struct sim_disk *before = disk;
        const struct crash_database here = it;
        const struct model kept = model;
        disk = it.disk = sim_disk_create(seed);
        model = (struct model){0};
        const struct sim_fault fault = {SIM_DIRECTORY_SYNC, SIM_ROOT, 1 + seed % 4, false,
                                        OMEN_IO_ERROR};
        sim_disk_fail(disk, &fault);
        assert_false(crash_database_open(&it, &error));
        open_it();
        define_tables();
        assert_int_equal(commit(), OMEN_OK);
        cut_power(seed % SIM_MODE_COUNT, seed);
        (void)crash_database_close(&it);
        sim_disk_destroy(disk);
        disk = before;
        it = here;
        model = kept;
    }
}

/* --- log sync fails --- */

static void test_failed_log_sync_is_final(void **state)
{
    fail_call(SIM_SYNC, SIM_LOG, false, OMEN_IO_ERROR);
    assert_int_equal(commit(), OMEN_COMMIT_UNKNOWN);
    assert_string_equal(error.sqlstate, "08007");
    uint64_t syncs = sim_disk_calls(disk, SIM_SYNC, SIM_LOG);
    assert_int_equal(commit(), OMEN_IO_ERROR);
    assert_string_equal(error.sqlstate, "58030");
    assert_non_null(strstr(error.message, "sync"));
    assert_true(checkpoint() != OMEN_OK);
    assert_int_equal(sim_disk_calls(disk, SIM_SYNC, SIM_LOG), syncs); /* never retried */
    model.pending_count = 0; /* what is unknown is not seen */
    assert_same(false);
}

static void test_restart_after_failed_log_sync_trusts_nothing_unsynced(void **state)
{
    for (uint64_t seed = 0; seed < 64; seed++) {
        struct model before = model;
        fail_call(SIM_SYNC, SIM_LOG, false, OMEN_IO_ERROR);
        assert_int_equal(commit(), OMEN_COMMIT_UNKNOWN);
        sim_disk_mend(disk);
        (void)crash_database_close(&it);
        open_it(); /* the machine runs on: the cache may show what the disk lacks */
        assert_same(true);
        cut_power(seed % SIM_MODE_COUNT, seed);
        assert_true(model.acknowledged >= before.acknowledged);
    }
}

/* A sync that says the disk is full is a sync that failed, not one to wait for room. */
static void test_full_disk_in_a_log_sync_is_a_failed_sync(void **state)
{
    fail_call(SIM_SYNC, SIM_LOG, false, OMEN_DISK_FULL);
    assert_int_equal(commit(), OMEN_COMMIT_UNKNOWN);
    sim_disk_mend(disk);
    assert_int_equal(commit(), OMEN_IO_ERROR);
    for (uint64_t mode = 0; mode < SIM_MODE_COUNT; mode++)
        cut_power(mode, mode);
}

static omen_status run(const char *sql)
{
    return crash_database_run(it.durable, sql, &error);
}

/* Who reads goes on in transactions too, and who writes is told why he cannot. */
static void test_table_whose_drop_is_unknown_is_read_on(void **state)
{
    const omen_value row[] = {
        {.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = 1000},
        {.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = 1},
        {.is_null = true},
        {.is_null = true},
        {.is_null = true},
    };
    fail_call(SIM_SYNC, SIM_LOG, false, OMEN_IO_ERROR);
    assert_int_equal(run("DROP TABLE numbers"), OMEN_COMMIT_UNKNOWN);
    assert_int_equal(run("SELECT v FROM numbers WHERE id = 1"), OMEN_OK);
    assert_int_equal(omen_insert(it.durable, "numbers", row, 1, &error), OMEN_IO_ERROR);
    assert_int_equal(run("INSERT INTO numbers (id, v) VALUES (1000, 1)"), OMEN_IO_ERROR);
    assert_int_equal(run("UPDATE numbers SET v = 9 WHERE id = 1"), OMEN_IO_ERROR);
    assert_int_equal(run("DROP TABLE numbers"), OMEN_IO_ERROR);
    assert_int_equal(run("BEGIN"), OMEN_OK);
    assert_int_equal(run("SELECT v FROM numbers WHERE id = 1"), OMEN_OK);
    assert_int_equal(omen_insert(it.durable, "numbers", row, 1, &error), OMEN_IO_ERROR);
    assert_int_equal(run("ROLLBACK"), OMEN_OK);
    assert_int_equal(run("BEGIN"), OMEN_OK);
    assert_int_equal(run("DROP TABLE numbers"), OMEN_IO_ERROR);
    assert_int_equal(run("ROLLBACK"), OMEN_OK);
    assert_same(false);
}

/* --- sync fails in checkpoint, segment or manifest --- */

static void assert_failed_checkpoint_changes_nothing(enum sim_call call, enum sim_kind kind)
{
    uint64_t failures = sim_disk_failures(disk, call, kind);
    for (int i = 0; i < 12; i++) /* or there would be nothing to do; some of them end rows */
        assert_int_equal(commit(), OMEN_OK);
    fail_call(call, kind, false, OMEN_IO_ERROR);
    omen_status status = checkpoint();
    sim_disk_mend(disk);
    assert_int_equal(sim_disk_failures(disk, call, kind), failures + 1);
    assert_int_not_equal(status, OMEN_OK);
    assert_same(false);
    for (uint64_t mode = 0; mode < SIM_MODE_COUNT; mode++)
        cut_power(mode, mode);
    assert_int_equal(commit(), OMEN_OK);
    assert_same(false);
}

static void test_failed_segment_sync_keeps_the_old_manifest(void **state)
{
    assert_int_equal(checkpoint(), OMEN_OK);
    assert_failed_checkpoint_changes_nothing(SIM_SYNC, SIM_PARQUET);
    assert_failed_checkpoint_changes_nothing(SIM_SYNC, SIM_KEYS);
    assert_failed_checkpoint_changes_nothing(SIM_SYNC, SIM_ENDS);
    assert_failed_checkpoint_changes_nothing(SIM_DIRECTORY_SYNC, SIM_DATA_FOLDER);
    assert_int_equal(checkpoint(), OMEN_OK); /* these can be tried again */
    for (uint64_t mode = 0; mode < SIM_MODE_COUNT; mode++)
        cut_power(mode, mode);
}

static void test_failed_manifest_sync_keeps_the_old_manifest(void **state)
{
    assert_int_equal(checkpoint(), OMEN_OK);
    assert_failed_checkpoint_changes_nothing(SIM_SYNC, SIM_MANIFEST_NEW);
    assert_int_equal(checkpoint(), OMEN_OK);
    cut_power(SIM_DROP, 1);
}

/* After the rename nobody knows which manifest counts: both stay whole, and checkpoints stop. */
static void test_failed_directory_sync_of_the_manifest_stops_checkpoints(void **state)
{
    assert_int_equal(checkpoint(), OMEN_OK);
    assert_failed_checkpoint_changes_nothing(SIM_DIRECTORY_SYNC, SIM_ROOT);
    assert_int_not_equal(checkpoint(), OMEN_OK);
    assert_int_equal(commit(), OMEN_OK);
    for (uint64_t seed = 0; seed < 64; seed++)
        cut_power(seed % SIM_MODE_COUNT, seed);
}

/* --- disk full --- */

static void test_full_disk_refuses_writers_until_there_is_room(void **state)
{
    sim_disk_set_capacity(disk, sim_disk_used(disk));
    omen_status status = OMEN_OK;
    for (int i = 0; i < 2000 && status == OMEN_OK; i++)
        status = commit();
    assert_true(status == OMEN_DISK_FULL || status == OMEN_COMMIT_UNKNOWN);
    assert_same(false);
    cut_power(SIM_DROP, 3);
    sim_disk_set_capacity(disk, 0);
    assert_int_equal(commit(), OMEN_OK);
    assert_same(false);
    cut_power(SIM_DROP, 4);
}

/* The reserve is for one checkpoint, which shortens the log. */
static void test_full_disk_leaves_room_for_one_checkpoint(void **state)
{
    omen_status status = OMEN_OK;
    sim_disk_set_capacity(disk, sim_disk_used(disk));
    for (int i = 0; i < 2000 && status == OMEN_OK; i++)
        status = commit();
    assert_int_not_equal(status, OMEN_OK);
    assert_int_equal(checkpoint(), OMEN_OK);
    assert_same(false);
    assert_int_equal(commit(), OMEN_OK); /* by itself: what the checkpoint freed is room */
    cut_power(SIM_DROP, 5);
}

/* --- read errors --- */

static void test_failed_read_of_a_segment_is_an_error_and_no_answer(void **state)
{
    assert_int_equal(checkpoint(), OMEN_OK);
    assert_int_equal(crash_database_close(&it), OMEN_OK);
    open_it();
    fail_call(SIM_READ, SIM_PARQUET, true, OMEN_IO_ERROR);
    uint64_t failed = 0;
    char text[TEXT_BYTES] = "";
    assert_true(model_never_wrong(&model, it.durable, &failed, text, sizeof text));
    assert_true(failed > 0);
    sim_disk_mend(disk);
    assert_same(false); /* the failure was the read's, not the segment's */
}

static void flip_byte(void *context, const char *path, uint64_t bytes)
{
    const struct os *os = sim_disk_os(disk);
    int64_t file;
    uint8_t byte;
    size_t got;
    if (strstr(path, ".plain") == NULL || bytes == 0)
        return;
    assert_int_equal(os->file_open(os, path, OS_OPEN_WRITE, &file, NULL), OMEN_OK);
    assert_int_equal(os->file_read_at(os, file, &byte, 1, bytes / 2, &got, NULL), OMEN_OK);
    byte ^= 1;
    assert_int_equal(os->file_write_at(os, file, &byte, 1, bytes / 2, NULL), OMEN_OK);
    os->file_close(os, file);
    ++*(int *)context;
}

static void test_damaged_segment_is_an_error_and_no_answer(void **state)
{
    int flipped = 0;
    uint64_t failed = 0;
    char text[TEXT_BYTES] = "";
    assert_int_equal(crash_database_close(&it), OMEN_OK);
    sim_disk_each(disk, flip_byte, &flipped);
    assert_true(flipped >= 3);
    open_it(); /* the index needs no column */
    assert_true(model_never_wrong(&model, it.durable, &failed, text, sizeof text));
    assert_true(failed > 0);
    struct ArrowArrayStream rows;
    struct ArrowArray batch;
    const omen_scan_options options = {.struct_bytes = sizeof options};
    assert_int_equal(omen_scan(it.durable, "numbers", &options, &rows, &error), OMEN_OK);
    assert_int_not_equal(rows.get_next(&rows, &batch), 0);
    assert_memory_equal(rows.get_last_error(&rows), "XX001", 5);
    rows.release(&rows);
}

/* --- out of memory --- */

static void test_out_of_memory_fails_the_statement_alone(void **state)
{
    uint64_t failures = 0;
    for (uint64_t nth = 1; nth < 40; nth++) {
        allocator_fail_at(it.database->allocator, nth, nth % 2 == 0);
        omen_status status = commit();
        allocator_fail_at(it.database->allocator, 0, false);
        assert_true(status == OMEN_OK || status == OMEN_OUT_OF_MEMORY);
        failures += status != OMEN_OK;
        assert_same(false);
    }
    assert_true(failures > 5);
    cut_power(SIM_DROP, 1);
}

/* --- power cuts in the middle --- */

static void test_power_cut_in_checkpoint_maintenance_and_ddl(void **state)
{
    assert_int_equal(checkpoint(), OMEN_OK);
    sim_disk_watch(disk, cut_power_before_call, NULL);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(checkpoint(), OMEN_OK);
        crash_database_maintain(&it, &chance);
        assert_int_equal(model_define(&model, it.durable, &chance, &error), OMEN_OK);
        define_tables();
        assert_int_equal(commit(), OMEN_OK);
    }
    sim_disk_watch(disk, NULL, NULL);
}

static void test_power_cut_in_recovery(void **state)
{
    for (int i = 0; i < 6; i++) {
        struct sim_disk *before = disk;
        for (int commits = 0; commits < 5; commits++)
            assert_int_equal(commit(), OMEN_OK);
        struct sim_disk *image = sim_disk_draw(disk, SIM_KILL, (uint64_t)i);
        const struct crash_database here = it;
        disk = it.disk = image;
        it.database = NULL;
        sim_disk_watch(disk, cut_power_before_call, NULL);
        open_it();
        sim_disk_watch(disk, NULL, NULL);
        assert_same(false);
        (void)crash_database_close(&it);
        sim_disk_destroy(image);
        disk = before;
        it = here;
    }
}

#define FAULT_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULT_TEST(test_crash_at_any_write_keeps_what_was_acknowledged),
        FAULT_TEST(test_creation_after_a_failed_sync_trusts_no_name),
        FAULT_TEST(test_failed_log_sync_is_final),
        FAULT_TEST(test_restart_after_failed_log_sync_trusts_nothing_unsynced),
        FAULT_TEST(test_full_disk_in_a_log_sync_is_a_failed_sync),
        FAULT_TEST(test_table_whose_drop_is_unknown_is_read_on),
        FAULT_TEST(test_failed_segment_sync_keeps_the_old_manifest),
        FAULT_TEST(test_failed_manifest_sync_keeps_the_old_manifest),
        FAULT_TEST(test_failed_directory_sync_of_the_manifest_stops_checkpoints),
        FAULT_TEST(test_full_disk_refuses_writers_until_there_is_room),
        FAULT_TEST(test_full_disk_leaves_room_for_one_checkpoint),
        FAULT_TEST(test_failed_read_of_a_segment_is_an_error_and_no_answer),
        FAULT_TEST(test_damaged_segment_is_an_error_and_no_answer),
        FAULT_TEST(test_out_of_memory_fails_the_statement_alone),
        FAULT_TEST(test_power_cut_in_checkpoint_maintenance_and_ddl),
        FAULT_TEST(test_power_cut_in_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
