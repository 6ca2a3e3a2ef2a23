/* test_faults.c - failing syncs, full disks, failing calls of every kind, memory that runs out. */
#include "support.h"

static struct log_test test;

static int begin(void **state)
{
    log_init(&test);
    return 0;
}

static int end(void **state)
{
    log_end(&test);
    return 0;
}

static void plan(enum sim_call call, uint64_t nth, bool forever, omen_status status)
{
    sim_disk_fail(test.disk, &(struct sim_fault){.call = call,
                                                 .kind = SIM_LOG,
                                                 .nth = nth,
                                                 .forever = forever,
                                                 .status = status});
}

static void recover_exactly(size_t count)
{
    omen_error error = {0};
    omen_status status = log_recover(&test, &error);
    if (status != OMEN_OK)
        fail_msg("%s", error.message);
    assert_int_equal(test.count, count);
}

/* --- a log that has failed --- */

static void test_a_failed_sync_is_never_retried_nor_acknowledged(void **state)
{
    omen_error error = {0};
    log_create(&test);
    log_commit(&test, 100);
    uint64_t durable_lsn = wal_durable(test.wal), told = test.told_count;
    assert_int_equal(log_append(&test, 100, 0, NULL), OMEN_OK);
    plan(SIM_SYNC, 1, false, OMEN_IO_ERROR); /* the second would succeed, and prove nothing */
    assert_int_equal(wal_sync(test.wal, wal_end(test.wal), &error), OMEN_COMMIT_UNKNOWN);
    assert_string_equal(error.sqlstate, "08007");
    uint64_t syncs = sim_disk_calls(test.disk, SIM_SYNC, SIM_LOG);
    uint64_t writes = sim_disk_calls(test.disk, SIM_WRITE, SIM_LOG);
    assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_COMMIT_UNKNOWN);
    assert_int_equal(wal_reserve(test.wal, 10, &error), OMEN_IO_ERROR);
    assert_non_null(strstr(error.message, "has failed"));
    assert_int_equal(wal_append(test.wal, "x", 1, NULL), OMEN_IO_ERROR);
    assert_int_equal(wal_failed(test.wal, &error), OMEN_IO_ERROR);
    assert_int_equal(wal_sync(test.wal, durable_lsn, NULL), OMEN_OK); /* that was before */
    assert_int_equal(wal_durable(test.wal), durable_lsn);
    assert_int_equal(test.told_count, told);
    assert_int_equal(wal_close(test.wal, NULL), OMEN_OK);
    test.wal = NULL;
    assert_int_equal(sim_disk_calls(test.disk, SIM_SYNC, SIM_LOG), syncs);
    assert_int_equal(sim_disk_calls(test.disk, SIM_WRITE, SIM_LOG), writes);
}

static void test_a_full_disk_met_by_a_sync_is_final(void **state)
{
    log_create(&test);
    log_commit(&test, 100);
    assert_int_equal(log_append(&test, 100, 0, NULL), OMEN_OK);
    plan(SIM_SYNC, 1, false, OMEN_DISK_FULL);
    assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_COMMIT_UNKNOWN);
    assert_int_equal(wal_reserve(test.wal, 10, NULL), OMEN_IO_ERROR);
}

static void test_too_little_memory_met_by_a_sync_is_final(void **state)
{
    log_create(&test);
    log_commit(&test, 100);
    assert_int_equal(log_append(&test, 100, 0, NULL), OMEN_OK);
    plan(SIM_SYNC, 1, false, OMEN_OUT_OF_MEMORY);
    assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_COMMIT_UNKNOWN);
    assert_int_equal(wal_reserve(test.wal, 10, NULL), OMEN_IO_ERROR);
}

static void test_a_failed_write_is_final(void **state)
{
    log_create(&test);
    log_commit(&test, 100);
    assert_int_equal(log_append(&test, 100, 0, NULL), OMEN_OK);
    plan(SIM_WRITE, 1, false, OMEN_IO_ERROR);
    assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_COMMIT_UNKNOWN);
    assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_COMMIT_UNKNOWN);
    assert_int_equal(wal_reserve(test.wal, 10, NULL), OMEN_IO_ERROR);
    assert_true(wal_durable(test.wal) < wal_end(test.wal));
}

static void test_a_failed_write_of_a_large_commit_is_final(void **state)
{
    static uint8_t bytes[2 * LOG_FILE_BYTES];
    log_create(&test);
    log_commit(&test, 100);
    assert_int_equal(wal_reserve(test.wal, sizeof bytes, NULL), OMEN_OK);
    plan(SIM_WRITE, 1, false, OMEN_IO_ERROR);
    assert_int_equal(wal_append(test.wal, bytes, sizeof bytes, NULL), OMEN_IO_ERROR);
    assert_int_equal(wal_failed(test.wal, NULL), OMEN_IO_ERROR);
    assert_int_equal(wal_reserve(test.wal, 10, NULL), OMEN_IO_ERROR);
}

/* --- a full disk --- */

static void test_a_reservation_meets_a_full_disk_and_resumes(void **state)
{
    omen_error error = {0};
    log_create(&test);
    sim_disk_set_capacity(test.disk, 4 * LOG_FILE_BYTES);
    omen_status status;
    do {
        status = log_append(&test, 1000, 0, &error);
        if (status == OMEN_OK)
            assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_OK);
    } while (status == OMEN_OK);
    assert_int_equal(status, OMEN_DISK_FULL);
    size_t count = test.count;
    assert_true(count > 20);
    assert_int_equal(log_append(&test, 1000, 0, NULL), OMEN_DISK_FULL);
    assert_int_equal(wal_failed(test.wal, NULL), OMEN_OK);
    sim_disk_set_capacity(test.disk, 0);
    log_commit(&test, 1000);
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(count + 1);
}

/* Fills the file that there is, so that the next reservation makes another. */
static void fill_file(void)
{
    size_t files = log_file_count(&test);
    while (log_file_count(&test) == files) {
        assert_int_equal(wal_reserve(test.wal, 1000, NULL), OMEN_OK);
        if (log_file_count(&test) == files)
            log_commit(&test, 1000);
    }
}

/* What the system is short of for a moment: the commit is refused, and nothing has happened. */
static void test_a_file_that_cannot_be_made_now_is_made_later(void **state)
{
    static const omen_status shortages[] = {OMEN_DISK_FULL, OMEN_OUT_OF_MEMORY,
                                            OMEN_INSUFFICIENT_RESOURCES};
    static const struct {
        enum sim_call call;
        enum sim_kind kind;
    } places[] = {{SIM_CREATE, SIM_LOG},
                  {SIM_RESERVE, SIM_LOG},
                  {SIM_WRITE, SIM_LOG},
                  {SIM_DIRECTORY_SYNC, SIM_LOG_FOLDER}};
    omen_error error = {0};
    log_create(&test);
    log_commit(&test, 100);
    for (size_t i = 0; i < 12; i++) {
        fill_file();
        log_commit(&test, LOG_FILE_BYTES / 2);
        size_t count = test.count;
        sim_disk_fail(test.disk, &(struct sim_fault){.call = places[i / 3].call,
                                                     .kind = places[i / 3].kind,
                                                     .nth = 1,
                                                     .status = shortages[i % 3]});
        assert_int_equal(log_append(&test, LOG_FILE_BYTES, 0, &error), shortages[i % 3]);
        assert_int_equal(wal_failed(test.wal, NULL), OMEN_OK);
        assert_int_equal(test.count, count);
        sim_disk_mend(test.disk);
        log_commit(&test, LOG_FILE_BYTES);
        assert_int_equal(test.count, count + 1);
    }
    size_t count = test.count;
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(count);
}

/* However long the log grows, few of its files are open. */
static void test_a_long_log_keeps_few_files_open(void **state)
{
    log_create(&test);
    for (int i = 0; i < 100; i++)
        log_commit(&test, LOG_FILE_BYTES / 2);
    assert_true(log_file_count(&test) > 40);
    assert_true(sim_disk_open_count(test.disk) < 4);
    assert_int_equal(wal_release(test.wal, wal_durable(test.wal), NULL), OMEN_OK);
    log_commit(&test, LOG_FILE_BYTES);
    assert_true(log_file_count(&test) < 5);
    test.first = test.count;
}

static void test_a_cut_tells_a_full_disk_as_what_it_is(void **state)
{
    omen_error error = {0};
    uint64_t lsn;
    log_create(&test);
    log_commit(&test, 100);
    assert_int_equal(log_append(&test, 100, 0, NULL), OMEN_OK);
    plan(SIM_WRITE, 1, false, OMEN_DISK_FULL);
    assert_int_equal(wal_cut(test.wal, &lsn, &error), OMEN_DISK_FULL);
    assert_string_equal(error.sqlstate, "53100");
    assert_int_equal(wal_cut(test.wal, &lsn, &error), OMEN_OK);
    assert_int_equal(lsn, wal_durable(test.wal));
}

static void test_a_commit_too_large_for_the_disk_gives_its_files_back(void **state)
{
    log_create(&test);
    log_commit(&test, 100);
    sim_disk_set_capacity(test.disk, 8 * LOG_FILE_BYTES);
    assert_int_equal(wal_reserve(test.wal, 20 * LOG_FILE_BYTES, NULL), OMEN_DISK_FULL);
    assert_true(log_file_count(&test) <= 2);
    log_commit(&test, 2 * LOG_FILE_BYTES);
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(2);
}

static void test_a_write_meets_a_full_disk_and_resumes(void **state)
{
    omen_error error = {0};
    log_create(&test);
    log_commit(&test, 100);
    assert_int_equal(log_append(&test, 100, 0, NULL), OMEN_OK);
    plan(SIM_WRITE, 1, true, OMEN_DISK_FULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wal_sync(test.wal, wal_end(test.wal), &error), OMEN_DISK_FULL);
        assert_int_equal(log_append(&test, 100, 0, NULL), OMEN_DISK_FULL);
    }
    assert_int_equal(wal_failed(test.wal, NULL), OMEN_OK);
    assert_int_equal(test.told_lsn, test.commits[0].lsn);
    sim_disk_mend(test.disk);
    log_commit(&test, 100); /* writes the one that waits, too */
    assert_int_equal(test.count, 3);
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(3);
}

static void test_a_large_commit_meets_a_full_disk_and_is_given_up(void **state)
{
    log_create(&test);
    log_commit(&test, 100);
    assert_int_equal(wal_reserve(test.wal, 30 * LOG_FILE_BYTES, NULL), OMEN_OK);
    plan(SIM_WRITE, 10, true, OMEN_DISK_FULL); /* the file system broke its word */
    static uint8_t bytes[30 * LOG_FILE_BYTES];
    assert_int_equal(wal_append(test.wal, bytes, sizeof bytes, NULL), OMEN_DISK_FULL);
    sim_disk_mend(test.disk);
    log_commit(&test, 100);
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(2);
    assert_int_equal(test.discarded, 1);
}

/* --- every call fails once, or from then on --- */

/* Makes a log, commits, releases, commits, closes. Returns how many commits were acknowledged. */
static size_t workload(void)
{
    size_t acknowledged = 0;
    if (wal_create(&test.options, &test.wal, NULL) != OMEN_OK)
        return 0;
    (void)test.options.os->directory_sync(test.options.os, "/", NULL);
    for (int i = 0; i < 60; i++) {
        uint32_t length = i % 10 == 7 ? 3 * LOG_FILE_BYTES : 900;
        if (log_append(&test, length, 0, NULL) == OMEN_OK &&
            wal_sync(test.wal, wal_end(test.wal), NULL) == OMEN_OK)
            acknowledged = test.count;
        if (i % 20 == 19 && acknowledged == test.count) {
            test.first = test.count;
            test.options.start_lsn = test.options.proven_lsn = wal_durable(test.wal);
            if (wal_release(test.wal, test.options.start_lsn, NULL) != OMEN_OK)
                continue; /* files may be left, no more */
        }
    }
    (void)wal_close(test.wal, NULL);
    test.wal = NULL;
    return acknowledged;
}

/* What was acknowledged is there, and the log goes on. */
static void survives(size_t acknowledged, uint64_t seed)
{
    omen_error error = {0};
    omen_status status = log_recover(&test, &error);
    if (status != OMEN_OK)
        fail_msg("seed %u: %s", (unsigned)seed, error.message);
    assert_true(test.count >= acknowledged);
    log_commit(&test, 100);
}

static void sweep(enum sim_kind kind, enum sim_call call, bool forever, omen_status fault)
{
    for (uint64_t nth = 1;; nth += 1 + nth / 16) {
        sim_disk_fail(test.disk, &(struct sim_fault){.call = call,
                                                     .kind = kind,
                                                     .nth = nth,
                                                     .forever = forever,
                                                     .status = fault});
        size_t acknowledged = workload();
        bool reached = sim_disk_failures(test.disk, call, kind) > 0;
        bool made = acknowledged > 0;
        sim_disk_mend(test.disk);
        log_crash(&test, (enum sim_mode)(nth % SIM_MODE_COUNT), nth);
        if (made)
            survives(acknowledged, nth);
        log_end(&test);
        log_init(&test);
        if (!reached)
            return;
    }
}

static void test_every_call_may_fail(void **state)
{
    static const enum sim_call calls[] = {SIM_OPEN,     SIM_CREATE, SIM_READ,
                                          SIM_WRITE,    SIM_SYNC,   SIM_RESERVE,
                                          SIM_TRUNCATE, SIM_RENAME, SIM_REMOVE};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        for (int forever = 0; forever < 2; forever++) {
            sweep(SIM_LOG, calls[i], forever, OMEN_IO_ERROR);
            sweep(SIM_LOG, calls[i], forever, OMEN_DISK_FULL);
        }
    for (int forever = 0; forever < 2; forever++) {
        sweep(SIM_LOG_FOLDER, SIM_DIRECTORY_CREATE, forever, OMEN_IO_ERROR);
        sweep(SIM_LOG_FOLDER, SIM_DIRECTORY_SYNC, forever, OMEN_IO_ERROR);
        sweep(SIM_LOG_FOLDER, SIM_DIRECTORY_LIST, forever, OMEN_IO_ERROR);
    }
}

static void test_every_call_of_a_recovery_may_fail(void **state)
{
    for (int call = 0; call < SIM_CALL_COUNT; call++)
        for (uint64_t nth = 1;; nth++) {
            log_create(&test);
            for (int i = 0; i < 40; i++)
                log_commit(&test, 900);
            log_crash(&test, SIM_KILL, nth);
            for (int kind = SIM_LOG_FOLDER; kind <= SIM_LOG; kind++)
                sim_disk_fail(test.disk, &(struct sim_fault){.call = (enum sim_call)call,
                                                             .kind = (enum sim_kind)kind,
                                                             .nth = nth,
                                                             .forever = nth % 2,
                                                             .status = OMEN_IO_ERROR});
            omen_status status = log_recover(&test, NULL);
            bool reached = sim_disk_failures(test.disk, (enum sim_call)call, SIM_LOG) +
                               sim_disk_failures(test.disk, (enum sim_call)call, SIM_LOG_FOLDER) >
                           0;
            if (status != OMEN_OK)
                assert_true(reached);
            sim_disk_mend(test.disk);
            test.count = 40;
            log_crash(&test, SIM_REORDER_512, nth);
            recover_exactly(40);
            log_end(&test);
            log_init(&test);
            if (!reached)
                break;
        }
}

/* --- memory --- */

static void test_memory_may_run_out_anywhere(void **state)
{
    for (uint64_t nth = 1;; nth++) {
        allocator_fail_at(&test.allocator, nth, 0);
        omen_status status = wal_create(&test.options, &test.wal, NULL);
        for (int i = 0; status == OMEN_OK && i < 60; i++) {
            status = log_append(&test, 900, 0, NULL);
            if (status == OMEN_OK)
                assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_OK);
        }
        bool failed = allocator_has_failed(&test.allocator);
        assert_int_equal(status, failed ? OMEN_OUT_OF_MEMORY : OMEN_OK);
        if (test.wal != NULL)
            log_commit(&test, 900); /* later calls succeed */
        allocator_fail_at(&test.allocator, 0, 0);
        log_end(&test);
        log_init(&test);
        if (!failed)
            break;
    }
}

static void test_memory_may_run_out_in_recovery(void **state)
{
    log_create(&test);
    for (int i = 0; i < 60; i++)
        log_commit(&test, 900);
    log_crash(&test, SIM_KILL, 1);
    for (uint64_t nth = 1;; nth++) {
        allocator_fail_at(&test.allocator, nth, 0);
        omen_status status = log_recover(&test, NULL);
        if (status == OMEN_OK)
            break;
        assert_int_equal(status, OMEN_OUT_OF_MEMORY);
        assert_int_equal(test.allocator.bytes_used, 0);
        assert_int_equal(sim_disk_open_count(test.disk), 0);
        test.count = 60;
    }
    allocator_fail_at(&test.allocator, 0, 0);
    assert_int_equal(test.count, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_failed_sync_is_never_retried_nor_acknowledged, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_a_full_disk_met_by_a_sync_is_final, begin, end),
        cmocka_unit_test_setup_teardown(test_too_little_memory_met_by_a_sync_is_final, begin, end),
        cmocka_unit_test_setup_teardown(test_a_failed_write_is_final, begin, end),
        cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_made_now_is_made_later, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_a_long_log_keeps_few_files_open, begin, end),
        cmocka_unit_test_setup_teardown(test_a_cut_tells_a_full_disk_as_what_it_is, begin, end),
        cmocka_unit_test_setup_teardown(test_a_failed_write_of_a_large_commit_is_final, begin, end),
        cmocka_unit_test_setup_teardown(test_a_reservation_meets_a_full_disk_and_resumes, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_a_commit_too_large_for_the_disk_gives_its_files_back,
                                        begin, end),
        cmocka_unit_test_setup_teardown(test_a_write_meets_a_full_disk_and_resumes, begin, end),
        cmocka_unit_test_setup_teardown(test_a_large_commit_meets_a_full_disk_and_is_given_up,
                                        begin, end),
        cmocka_unit_test_setup_teardown(test_every_call_may_fail, begin, end),
        cmocka_unit_test_setup_teardown(test_every_call_of_a_recovery_may_fail, begin, end),
        cmocka_unit_test_setup_teardown(test_memory_may_run_out_anywhere, begin, end),
        cmocka_unit_test_setup_teardown(test_memory_may_run_out_in_recovery, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
