/* test_log.c - commits go in and come out: sizes, boundaries, files, releases, closing. */
#include "support.h"

#include "base/random.h"

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

static void recover(void)
{
    omen_error error = {0};
    size_t count = test.count;
    omen_status status = log_recover(&test, &error);
    if (status != OMEN_OK)
        fail_msg("%s", error.message);
    assert_int_equal(test.count, count);
}

static void close_and_recover(void)
{
    assert_int_equal(wal_close(test.wal, NULL), OMEN_OK);
    recover();
}

static void test_an_empty_log(void **state)
{
    log_create(&test);
    assert_int_equal(wal_end(test.wal), 0);
    assert_int_equal(wal_sync(test.wal, 0, NULL), OMEN_OK);
    close_and_recover();
    close_and_recover();
}

static void test_what_was_committed_is_replayed(void **state)
{
    log_create(&test);
    for (uint32_t length = 1; length < 300; length += 7)
        log_commit(&test, length);
    close_and_recover();
    log_commit(&test, 5);
    close_and_recover();
}

static void test_what_is_begun_elsewhere_than_at_0(void **state)
{
    test.options.start_lsn = test.options.proven_lsn = 123456;
    log_create(&test);
    log_commit(&test, 100);
    assert_true(wal_end(test.wal) > 123456);
    assert_int_equal(wal_bytes_since(test.wal, 123456), wal_end(test.wal) - 123456);
    close_and_recover();
}

static void test_a_commit_larger_than_many_files(void **state)
{
    log_create(&test);
    log_commit(&test, 10);
    log_commit(&test, 20 * LOG_FILE_BYTES + 3);
    log_commit(&test, 10);
    assert_true(log_file_count(&test) > 20);
    close_and_recover();
}

/* With large files the buffer ends before the file does. */
static void test_a_commit_larger_than_the_buffer(void **state)
{
    test.options.file_bytes = 4 * WAL_BATCH_BYTES_MAX;
    log_create(&test);
    log_commit(&test, 10);
    assert_int_equal(log_append(&test, 7 * WAL_BATCH_BYTES_MAX, 1000, NULL), OMEN_OK);
    log_commit(&test, 3 * WAL_BATCH_BYTES_MAX);
    close_and_recover();
}

/* Every distance of a commit's end from the file's end, with pieces of every size. */
static void test_commits_split_over_file_ends(void **state)
{
    log_create(&test);
    for (uint32_t i = 0; i < 400; i++) {
        uint32_t length = LOG_FILE_BYTES - WAL_HEADER_BYTES - 200 + i;
        assert_int_equal(log_append(&test, length, i % 100 == 0 ? 0 : i * 31, NULL), OMEN_OK);
        if (i % 3 == 0)
            assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_OK);
    }
    close_and_recover();
}

static void test_an_abandoned_commit_is_not_replayed(void **state)
{
    static uint8_t bytes[3 * LOG_FILE_BYTES];
    log_create(&test);
    for (size_t length = 1; length < sizeof bytes; length = length * 3 + 1) {
        log_commit(&test, 10);
        uint64_t end_lsn = wal_end(test.wal);
        assert_int_equal(wal_append(test.wal, bytes, length, NULL), OMEN_OK);
        wal_abandon(test.wal);
        wal_abandon(test.wal);
        assert_int_equal(wal_end(test.wal), end_lsn);
        log_commit(&test, 20);
    }
    assert_int_equal(wal_append(test.wal, bytes, sizeof bytes, NULL), OMEN_OK);
    close_and_recover(); /* which abandons it */
    assert_true(test.discarded > 0);
}

static void test_a_commit_that_never_ended_is_discarded(void **state)
{
    static uint8_t bytes[3 * LOG_FILE_BYTES];
    log_create(&test);
    log_commit(&test, 10);
    assert_int_equal(wal_append(test.wal, bytes, sizeof bytes, NULL), OMEN_OK);
    log_crash(&test, SIM_KEEP, 1);
    recover();
    assert_int_equal(test.discarded, 1);
    log_commit(&test, 10);
    log_crash(&test, SIM_KEEP, 1);
    recover();
    assert_int_equal(test.discarded, 1);
}

/* A sync by somebody else may take what a commit under way has appended so far. */
static void test_a_sync_between_the_pieces_of_a_commit(void **state)
{
    uint8_t byte = 7;
    log_create(&test);
    log_commit(&test, 10);
    assert_int_equal(log_append(&test, 10, 0, NULL), OMEN_OK);
    assert_int_equal(wal_append(test.wal, &byte, 1, NULL), OMEN_OK);
    assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_OK);
    wal_abandon(test.wal);
    log_commit(&test, 10);
    close_and_recover();
    assert_int_equal(test.discarded, 1);
}

static void test_one_sync_and_one_write_a_commit(void **state)
{
    test.options.file_bytes = 4 << 20;
    log_create(&test);
    for (int i = 0; i < 20; i++) {
        uint64_t syncs = sim_disk_calls(test.disk, SIM_SYNC, SIM_LOG);
        log_commit(&test, 100);
        assert_int_equal(sim_disk_calls(test.disk, SIM_SYNC, SIM_LOG), syncs + 1);
    }
    uint64_t syncs = sim_disk_calls(test.disk, SIM_SYNC, SIM_LOG);
    for (int i = 0; i < 20; i++)
        assert_int_equal(log_append(&test, 100, 0, NULL), OMEN_OK);
    assert_int_equal(wal_sync(test.wal, test.commits[25].lsn, NULL), OMEN_OK);
    assert_int_equal(sim_disk_calls(test.disk, SIM_SYNC, SIM_LOG), syncs + 1);
    assert_true(wal_durable(test.wal) >= wal_end(test.wal));
}

/* --- releasing --- */

static void test_released_files_are_used_again(void **state)
{
    log_create(&test);
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 30; i++)
            log_commit(&test, 500);
        test.first = test.count;
        test.options.start_lsn = test.options.proven_lsn = wal_durable(test.wal);
        assert_int_equal(wal_release(test.wal, wal_durable(test.wal), NULL), OMEN_OK);
        assert_true(log_file_count(&test) <= 2);
        assert_true(wal_disk_bytes(test.wal) <= 3 * LOG_FILE_BYTES);
    }
    uint64_t created = sim_disk_calls(test.disk, SIM_CREATE, SIM_LOG);
    assert_true(created < 25); /* of about 50 */
    log_commit(&test, 500);
    close_and_recover();
    assert_int_equal(test.replayed, 1);
}

static void test_release_keeps_what_is_needed(void **state)
{
    log_create(&test);
    for (int i = 0; i < 100; i++)
        log_commit(&test, 700);
    size_t files = log_file_count(&test);
    test.first = 50;
    test.options.start_lsn = test.options.proven_lsn = test.commits[49].lsn;
    assert_int_equal(wal_release(test.wal, test.options.start_lsn, NULL), OMEN_OK);
    assert_true(log_file_count(&test) < files);
    close_and_recover();
    assert_int_equal(test.replayed, 50);
}

/* --- closing and making --- */

static void test_a_log_in_use_is_not_made_anew(void **state)
{
    omen_error error = {0};
    struct wal *second;
    log_create(&test);
    assert_int_equal(wal_close(test.wal, NULL), OMEN_OK);
    test.wal = NULL;
    assert_int_equal(wal_create(&test.options, &second, &error), OMEN_OBJECT_IN_USE);
    assert_null(second);
}

static void test_a_log_never_used_is_made_anew(void **state)
{
    log_create(&test);
    log_crash(&test, SIM_KEEP, 3);
    test.options.start_lsn = test.options.proven_lsn = 800;
    log_create(&test);
    assert_int_equal(log_file_count(&test), 1);
    log_commit(&test, 10);
    close_and_recover();
}

static void test_verify_changes_nothing(void **state)
{
    uint64_t end_lsn;
    log_create(&test);
    for (int i = 0; i < 50; i++)
        log_commit(&test, 700);
    uint64_t before = sim_disk_hash(test.disk);
    assert_int_equal(wal_verify(&test.options, NULL, &end_lsn, NULL), OMEN_OK);
    assert_int_equal(end_lsn, wal_durable(test.wal));
    assert_int_equal(sim_disk_hash(test.disk), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_empty_log, begin, end),
        cmocka_unit_test_setup_teardown(test_what_was_committed_is_replayed, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_begun_elsewhere_than_at_0, begin, end),
        cmocka_unit_test_setup_teardown(test_a_commit_larger_than_many_files, begin, end),
        cmocka_unit_test_setup_teardown(test_a_commit_larger_than_the_buffer, begin, end),
        cmocka_unit_test_setup_teardown(test_commits_split_over_file_ends, begin, end),
        cmocka_unit_test_setup_teardown(test_an_abandoned_commit_is_not_replayed, begin, end),
        cmocka_unit_test_setup_teardown(test_a_commit_that_never_ended_is_discarded, begin, end),
        cmocka_unit_test_setup_teardown(test_a_sync_between_the_pieces_of_a_commit, begin, end),
        cmocka_unit_test_setup_teardown(test_one_sync_and_one_write_a_commit, begin, end),
        cmocka_unit_test_setup_teardown(test_released_files_are_used_again, begin, end),
        cmocka_unit_test_setup_teardown(test_release_keeps_what_is_needed, begin, end),
        cmocka_unit_test_setup_teardown(test_a_log_in_use_is_not_made_anew, begin, end),
        cmocka_unit_test_setup_teardown(test_a_log_never_used_is_made_anew, begin, end),
        cmocka_unit_test_setup_teardown(test_verify_changes_nothing, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
