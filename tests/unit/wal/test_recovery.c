/* test_recovery.c - the torn tail is cut; damage before what is proven durable is refused; what is
 * not proven is copied and synced before it counts. */
#include "support.h"

#include <stdlib.h>

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

/* Recovers and expects exactly `count` commits. */
static void recover_exactly(size_t count)
{
    omen_error error = {0};
    omen_status status = log_recover(&test, &error);
    if (status != OMEN_OK)
        fail_msg("%s", error.message);
    assert_int_equal(test.count, count);
}

/* Recovery must refuse, saying `words`, and change nothing. */
static void refused(omen_status status, const char *words)
{
    omen_error error = {0};
    uint64_t before = sim_disk_hash(test.disk), end_lsn;
    assert_int_equal(wal_verify(&test.options, NULL, &end_lsn, NULL), status);
    assert_int_equal(log_recover(&test, &error), status);
    if (strstr(error.message, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, words);
    assert_int_equal(sim_disk_hash(test.disk), before);
}

/* The byte of the first file at which LSN `lsn` lies. */
static uint64_t offset_of(uint64_t lsn)
{
    return WAL_HEADER_BYTES + lsn;
}

static void flip(const char *path, uint64_t offset)
{
    uint8_t byte;
    log_peek(&test, path, offset, &byte, 1);
    byte ^= 16;
    log_poke(&test, path, offset, &byte, 1);
}

/* --- a process that dies just before a call --- */

struct moment {
    enum sim_call call;
    enum sim_kind kind;
    uint64_t seed; /* of what happens to it */
    struct sim_disk *image; /* what the next process finds */
};

static void catch_moment(void *context, struct sim_disk *disk, enum sim_call call,
                         enum sim_kind kind)
{
    struct moment *moment = context;
    if (moment->image == NULL && call == moment->call && kind == moment->kind)
        moment->image = sim_disk_draw(disk, SIM_KILL, moment->seed);
}

static void go_on_from(struct moment *moment)
{
    assert_non_null(moment->image);
    sim_disk_watch(test.disk, NULL, NULL);
    (void)wal_close(test.wal, NULL);
    test.wal = NULL;
    sim_disk_destroy(test.disk);
    test.disk = moment->image;
    test.options.os = sim_disk_os(moment->image);
    test.told_lsn = 0;
}

/* The tail was copied to a file whose name is not durable when the process is killed; the next one
 * finds a full disk and stays with that file. What it has replayed must survive a power cut. */
static void test_a_tail_that_stays_has_a_durable_name(void **state)
{
    struct moment written = {.call = SIM_SYNC, .kind = SIM_LOG};
    struct moment renamed = {.call = SIM_DIRECTORY_SYNC, .kind = SIM_LOG_FOLDER};
    log_create(&test);
    log_commit(&test, 100);
    assert_int_equal(log_append(&test, 100, 0, NULL), OMEN_OK);
    sim_disk_watch(test.disk, catch_moment, &written);
    assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_OK);
    go_on_from(&written); /* the second commit is in the cache alone */
    sim_disk_watch(test.disk, catch_moment, &renamed);
    recover_exactly(2);
    go_on_from(&renamed);
    size_t files = log_file_count(&test);
    sim_disk_set_capacity(test.disk, sim_disk_used(test.disk));
    recover_exactly(2);
    assert_int_equal(log_file_count(&test), files);
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(2);
}

/* What the next process finds, or what a power cut leaves, before each call. */
struct moments {
    struct sim_disk *images[64];
    size_t count;
    uint64_t seed;
};

static void catch_all(void *context, struct sim_disk *disk, enum sim_call call, enum sim_kind kind)
{
    struct moments *moments = context;
    enum sim_mode mode = (moments->seed + moments->count) % SIM_MODE_COUNT;
    if (moments->count < sizeof moments->images / sizeof moments->images[0])
        moments->images[moments->count++] = sim_disk_draw(disk, mode, moments->seed);
}

/* The log is there whatever was cut off: of its `count` commits the first, which was durable. */
static void recover_moments(struct moments *moments, size_t count)
{
    assert_true(moments->count >= 4);
    for (size_t i = 0; i < moments->count; i++) {
        test.told_lsn = 0;
        assert_int_equal(wal_close(test.wal, NULL), OMEN_OK);
        test.wal = NULL;
        sim_disk_destroy(test.disk);
        test.disk = moments->images[i];
        test.options.os = sim_disk_os(test.disk);
        test.count = count;
        assert_int_equal(log_recover(&test, NULL), OMEN_OK);
        assert_true(test.count >= 1);
    }
}

/* The same where the sync of the directory fails and the process lives: the name that the cache
 * shows, no later sync brings to the disk. Nor may a cut while it is given anew lose the file. */
static void stay_after_a_failed_sync(uint64_t seed)
{
    struct moment written = {.call = SIM_SYNC, .kind = SIM_LOG, .seed = seed};
    log_init(&test);
    log_create(&test);
    log_commit(&test, 100);
    assert_int_equal(log_append(&test, 100, 0, NULL), OMEN_OK);
    sim_disk_watch(test.disk, catch_moment, &written);
    assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_OK);
    go_on_from(&written); /* the second commit is in the cache alone */
    const struct sim_fault fault = {SIM_DIRECTORY_SYNC, SIM_LOG_FOLDER, 1, false, OMEN_IO_ERROR};
    sim_disk_fail(test.disk, &fault);
    assert_int_equal(log_recover(&test, NULL), OMEN_IO_ERROR);
    uint64_t full = sim_disk_used(test.disk);
    struct moments moments = {.seed = seed};
    sim_disk_set_capacity(test.disk, full);
    sim_disk_watch(test.disk, catch_all, &moments);
    recover_exactly(2);
    sim_disk_watch(test.disk, NULL, NULL);
    log_crash(&test, SIM_DROP, seed);
    recover_exactly(2);
    sim_disk_set_capacity(test.disk, 0);
    log_commit(&test, 100);
    log_crash(&test, SIM_DROP, seed);
    recover_exactly(3);
    recover_moments(&moments, 2);
    log_end(&test);
}

static void test_a_tail_that_stays_after_a_failed_sync(void **state)
{
    log_end(&test);
    for (uint64_t seed = 1; seed <= 40; seed++)
        stay_after_a_failed_sync(seed);
    log_init(&test);
}

/* --- the tail --- */

static void test_unsynced_commits_may_be_lost_but_not_halved(void **state)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        log_create(&test);
        log_commit(&test, 100);
        for (int i = 0; i < 4; i++)
            assert_int_equal(log_append(&test, 3000, 0, NULL), OMEN_OK);
        sim_disk_fail(test.disk, &(struct sim_fault){.call = SIM_SYNC,
                                                     .kind = SIM_LOG,
                                                     .nth = 1,
                                                     .forever = true,
                                                     .status = OMEN_IO_ERROR});
        assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_COMMIT_UNKNOWN);
        log_crash(&test, (enum sim_mode)(seed % SIM_MODE_COUNT), seed);
        assert_int_equal(log_recover(&test, NULL), OMEN_OK);
        assert_true(test.count >= 1);
        log_commit(&test, 50);
        log_crash(&test, SIM_DROP, seed);
        recover_exactly(test.count);
        log_end(&test);
        log_init(&test);
    }
}

static void test_a_torn_last_batch_is_cut(void **state)
{
    log_create(&test);
    log_commit(&test, 100);
    log_commit(&test, 100);
    flip(log_file_path(&test, 0), offset_of(test.commits[1].lsn - 3));
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(1);
    log_commit(&test, 100); /* in the place of the lost one */
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(2);
}

static void test_damage_before_a_later_proof_is_refused(void **state)
{
    log_create(&test);
    for (int i = 0; i < 3; i++)
        log_commit(&test, 100);
    /* The third batch says that the second was durable. */
    flip(log_file_path(&test, 0), offset_of(test.commits[1].lsn - 3));
    log_crash(&test, SIM_DROP, 1);
    refused(OMEN_CORRUPTED, "damaged at LSN");
}

static void test_a_later_batch_that_proves_nothing_is_cut_too(void **state)
{
    log_create(&test);
    log_commit(&test, 100);
    /* Two batches in one sync: written, and the first of them lost. */
    assert_int_equal(log_append(&test, 100, 0, NULL), OMEN_OK);
    sim_disk_fail(test.disk, &(struct sim_fault){.call = SIM_WRITE,
                                                 .kind = SIM_LOG,
                                                 .nth = 1,
                                                 .status = OMEN_DISK_FULL});
    assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_DISK_FULL);
    log_commit(&test, 100);
    flip(log_file_path(&test, 0), offset_of(test.commits[1].lsn - 3));
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(1);
    log_commit(&test, 100); /* as long as the lost one: what lay behind it must not come back */
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(2);
}

static void test_the_manifest_proves_too(void **state)
{
    log_create(&test);
    log_commit(&test, 100);
    log_commit(&test, 100);
    test.options.proven_lsn = wal_durable(test.wal);
    flip(log_file_path(&test, 0), offset_of(test.commits[1].lsn - 3));
    log_crash(&test, SIM_DROP, 1);
    refused(OMEN_CORRUPTED, "although it was durable");
}

static void test_a_clean_close_proves_the_end(void **state)
{
    log_create(&test);
    log_commit(&test, 100);
    log_commit(&test, 100);
    assert_int_equal(wal_close(test.wal, NULL), OMEN_OK);
    test.wal = NULL;
    flip(log_file_path(&test, 0), offset_of(test.commits[1].lsn - 3));
    log_crash(&test, SIM_DROP, 1);
    refused(OMEN_CORRUPTED, "damaged");
}

static void test_the_next_file_proves_the_one_before(void **state)
{
    log_create(&test);
    while (log_file_count(&test) < 2)
        log_commit(&test, 1000);
    size_t last = test.count - 1;
    while (test.commits[last].lsn > LOG_FILE_BYTES - WAL_HEADER_BYTES)
        last--;
    flip(log_file_path(&test, 0), offset_of(test.commits[last].lsn - 3));
    log_crash(&test, SIM_DROP, 1);
    refused(OMEN_CORRUPTED, "damaged");
}

/* --- R8.3 --- */

static void test_the_unproven_tail_is_synced_anew(void **state)
{
    log_create(&test);
    log_commit(&test, 100);
    assert_int_equal(log_append(&test, 100, 0, NULL), OMEN_OK);
    sim_disk_fail(test.disk, &(struct sim_fault){.call = SIM_SYNC,
                                                 .kind = SIM_LOG,
                                                 .nth = 1,
                                                 .forever = true,
                                                 .status = OMEN_IO_ERROR});
    assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_COMMIT_UNKNOWN);
    /* The process dies, the machine doesn't: the page cache shows the batch, the disk may not. */
    log_crash(&test, SIM_KILL, 1);
    recover_exactly(2);
    assert_true(test.told_count > 0);
    /* Recovered is acknowledged: the power cut that follows must not take it back. */
    for (uint64_t seed = 0; seed < 20; seed++) {
        log_crash(&test, seed % 2 ? SIM_DROP : SIM_REORDER_512, seed);
        recover_exactly(2);
    }
}

static void test_a_power_cut_in_recovery_loses_nothing(void **state)
{
    for (uint64_t nth = 1; nth < 12; nth++) {
        log_create(&test);
        for (int i = 0; i < 30; i++)
            log_commit(&test, 900);
        log_crash(&test, SIM_TEAR_512, nth);
        for (int call = 0; call < SIM_CALL_COUNT; call++)
            sim_disk_fail(test.disk, &(struct sim_fault){.call = (enum sim_call)call,
                                                         .kind = SIM_LOG,
                                                         .nth = nth,
                                                         .forever = true,
                                                         .status = OMEN_IO_ERROR});
        size_t count = test.count;
        (void)log_recover(&test, NULL);
        test.count = count;
        log_crash(&test, (enum sim_mode)(nth % SIM_KILL), nth);
        recover_exactly(30);
        log_end(&test);
        log_init(&test);
    }
}

/* --- files --- */

static void test_a_recycled_file_does_not_bring_back_what_it_held(void **state)
{
    log_create(&test);
    while (log_file_count(&test) < 3)
        log_commit(&test, 92); /* batches of one length: old and new fall on the same places */
    test.first = test.count;
    test.options.start_lsn = test.options.proven_lsn = wal_durable(test.wal);
    assert_int_equal(wal_release(test.wal, wal_durable(test.wal), NULL), OMEN_OK);
    uint64_t created = sim_disk_calls(test.disk, SIM_CREATE, SIM_LOG);
    while (wal_end(test.wal) < 4 * (LOG_FILE_BYTES - WAL_HEADER_BYTES) + 1000)
        log_commit(&test, 92);
    assert_true(sim_disk_calls(test.disk, SIM_CREATE, SIM_LOG) < created + 3);
    size_t count = test.count;
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(count);
}

/* The place of a commit that was lost, filled with what was there before: as blocks of a removed
 * file may be. LSN, length and all but the salt are right. */
static void test_bytes_of_a_former_life_are_not_replayed(void **state)
{
    uint8_t lost[256];
    log_create(&test);
    log_commit(&test, 100);
    log_commit(&test, 100);
    uint64_t lsn = test.commits[0].lsn;
    size_t length = test.commits[1].lsn - lsn;
    assert_true(length <= sizeof lost);
    log_peek(&test, log_file_path(&test, 0), offset_of(lsn), lost, length);
    flip(log_file_path(&test, 0), offset_of(test.commits[1].lsn - 3));
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(1);
    log_crash(&test, SIM_DROP, 1);
    const char *path = log_file_path(&test, log_file_count(&test) - 1);
    uint64_t first_lsn = strtoull(strrchr(path, '/') + 1, NULL, 16);
    assert_true(first_lsn <= lsn);
    log_poke(&test, path, WAL_HEADER_BYTES + lsn - first_lsn, lost, length);
    recover_exactly(1);
}

static void test_only_what_is_not_proven_is_copied(void **state)
{
    log_create(&test);
    for (int i = 0; i < 5; i++)
        log_commit(&test, 100);
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(5);
    const char *path = log_file_path(&test, log_file_count(&test) - 1);
    assert_int_equal(strtoull(strrchr(path, '/') + 1, NULL, 16), test.commits[3].lsn);
}

static void test_a_missing_file_is_refused(void **state)
{
    const struct os *os;
    log_create(&test);
    while (log_file_count(&test) < 4)
        log_commit(&test, 1000);
    log_crash(&test, SIM_KEEP, 1);
    os = sim_disk_os(test.disk);
    assert_int_equal(os->file_remove(os, log_file_path(&test, 1), NULL), OMEN_OK);
    refused(OMEN_CORRUPTED, "damaged at LSN");
    assert_int_equal(os->file_remove(os, log_file_path(&test, 0), NULL), OMEN_OK);
    refused(OMEN_CORRUPTED, "lacks the file");
    while (log_file_count(&test) > 0)
        assert_int_equal(os->file_remove(os, log_file_path(&test, 0), NULL), OMEN_OK);
    refused(OMEN_CORRUPTED, "lacks the file");
}

static void test_a_missing_folder_is_refused(void **state)
{
    refused(OMEN_CORRUPTED, "there is no log");
}

static void test_files_of_others_are_refused(void **state)
{
    log_create(&test);
    log_commit(&test, 100);
    log_crash(&test, SIM_KEEP, 1);
    test.options.database_id[3] ^= 1;
    refused(OMEN_CORRUPTED, "another database");
}

static void test_a_newer_format_is_refused(void **state)
{
    uint32_t version = WAL_FORMAT_VERSION + 1;
    log_create(&test);
    log_commit(&test, 100);
    log_crash(&test, SIM_KEEP, 1);
    log_poke(&test, log_file_path(&test, 0), offsetof(struct wal_header_bytes, version), &version,
             sizeof version);
    refused(OMEN_NOT_SUPPORTED, "format 2");
}

static void test_a_file_cut_short_is_refused(void **state)
{
    const struct os *os;
    int64_t file;
    log_create(&test);
    log_commit(&test, 100);
    log_crash(&test, SIM_KEEP, 1);
    os = sim_disk_os(test.disk);
    assert_int_equal(os->file_open(os, log_file_path(&test, 0), OS_OPEN_WRITE, &file, NULL),
                     OMEN_OK);
    assert_int_equal(os->file_truncate(os, file, LOG_FILE_BYTES - 1, NULL), OMEN_OK);
    os->file_close(os, file);
    refused(OMEN_CORRUPTED, "cut short");
}

static void test_a_file_under_another_name_is_refused(void **state)
{
    const struct os *os;
    log_create(&test);
    while (log_file_count(&test) < 2)
        log_commit(&test, 1000);
    log_crash(&test, SIM_KEEP, 1);
    os = sim_disk_os(test.disk);
    char first[64], second[64];
    strcpy(first, log_file_path(&test, 0));
    strcpy(second, log_file_path(&test, 1));
    assert_int_equal(os->file_rename(os, first, second, NULL), OMEN_OK);
    refused(OMEN_CORRUPTED, "");
}

/* Every byte of a closed log, one at a time: refused, or replayed to the last commit. */
static void test_any_flipped_byte_is_found_or_harmless(void **state)
{
    log_create(&test);
    while (log_file_count(&test) < 2)
        log_commit(&test, 2000);
    assert_int_equal(wal_close(test.wal, NULL), OMEN_OK);
    test.wal = NULL;
    size_t count = test.count, refusals = 0;
    for (size_t nth = 0; nth < 2; nth++)
        for (uint64_t offset = 0; offset < LOG_FILE_BYTES;
             offset += offset >= 96 && offset < 4096 ? 97 : 5) {
            struct sim_disk *intact = sim_disk_draw(test.disk, SIM_KILL, 1);
            flip(log_file_path(&test, nth), offset);
            omen_error error = {0};
            omen_status status = log_recover(&test, &error);
            if (status == OMEN_OK)
                assert_int_equal(test.count, count);
            else
                assert_true(status == OMEN_CORRUPTED || status == OMEN_NOT_SUPPORTED);
            refusals += status != OMEN_OK;
            (void)wal_close(test.wal, NULL);
            test.wal = NULL;
            test.count = count;
            sim_disk_destroy(test.disk);
            test.disk = intact;
            test.options.os = sim_disk_os(intact);
        }
    assert_true(refusals > 2400); /* all of those in headers and batches */
}

static omen_status refuse_data(void *context, const void *bytes, size_t length, omen_error *error)
{
    return error_set(error, OMEN_INTERNAL, "no more of this");
}

static omen_status refuse_commit(void *context, uint64_t lsn, omen_error *error)
{
    return error_set(error, OMEN_UNDEFINED_TABLE, "of what table?");
}

static omen_status take_data(void *context, const void *bytes, size_t length, omen_error *error)
{
    return OMEN_OK;
}

static void test_what_replay_refuses_is_passed_on(void **state)
{
    omen_error error = {0};
    log_create(&test);
    log_commit(&test, 100);
    log_crash(&test, SIM_KEEP, 1);
    struct wal_replay replay = {.data = refuse_data, .commit = refuse_commit};
    assert_int_equal(wal_recover(&test.options, &replay, &test.wal, &error), OMEN_INTERNAL);
    replay.data = take_data;
    assert_int_equal(wal_recover(&test.options, &replay, &test.wal, &error), OMEN_UNDEFINED_TABLE);
    recover_exactly(1);
}

/* --- cuts --- */

/* Starts the next recovery at a cut. */
static bool marks; /* instead of cutting */

static void cut(void)
{
    uint64_t lsn;
    assert_int_equal((marks ? wal_mark : wal_cut)(test.wal, &lsn, NULL), OMEN_OK);
    assert_int_equal(wal_sync(test.wal, lsn, NULL), OMEN_OK);
    test.options.start_lsn = test.options.proven_lsn = lsn;
    test.first = test.count;
}

/* A log cut behind a second commit of so many bytes, with or without commits behind that. */
static void cut_behind(uint32_t length, int more)
{
    log_create(&test);
    log_commit(&test, 12000);
    log_commit(&test, length);
    cut();
    for (int i = 0; i < more; i++)
        log_commit(&test, 100);
    log_crash(&test, SIM_DROP, length);
    recover_exactly(test.count);
    cut();
    log_commit(&test, 5000);
    log_crash(&test, SIM_DROP, length);
    recover_exactly(test.count);
    log_end(&test);
    log_init(&test);
}

static void test_a_cut_is_where_a_batch_begins(void **state)
{
    /* Among them all that end so near their file's end that the batch is padded. */
    for (int i = 0; i < 2; i++) {
        marks = i > 0;
        for (uint32_t length = 8; length < 400; length += 8)
            for (int more = 0; more < 4; more += 3)
                cut_behind(length, more);
    }
}

static void test_a_cut_leaves_commits_given_up_behind(void **state)
{
    static uint8_t bytes[300 * 1024];
    log_create(&test);
    log_commit(&test, 100);
    /* Larger than a batch: its first part is sealed before it is given up. */
    assert_int_equal(wal_reserve(test.wal, sizeof bytes, NULL), OMEN_OK);
    assert_int_equal(wal_append(test.wal, bytes, sizeof bytes, NULL), OMEN_OK);
    wal_abandon(test.wal);
    cut();
    for (int i = 0; i < 3; i++)
        log_commit(&test, 100);
    log_crash(&test, SIM_DROP, 1);
    recover_exactly(test.count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_tail_that_stays_has_a_durable_name, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_a_tail_that_stays_after_a_failed_sync, begin, end),
        cmocka_unit_test_setup_teardown(test_unsynced_commits_may_be_lost_but_not_halved, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_a_torn_last_batch_is_cut, begin, end),
        cmocka_unit_test_setup_teardown(test_damage_before_a_later_proof_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_a_later_batch_that_proves_nothing_is_cut_too, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_the_manifest_proves_too, begin, end),
        cmocka_unit_test_setup_teardown(test_a_cut_is_where_a_batch_begins, begin, end),
        cmocka_unit_test_setup_teardown(test_a_cut_leaves_commits_given_up_behind, begin, end),
        cmocka_unit_test_setup_teardown(test_a_clean_close_proves_the_end, begin, end),
        cmocka_unit_test_setup_teardown(test_the_next_file_proves_the_one_before, begin, end),
        cmocka_unit_test_setup_teardown(test_the_unproven_tail_is_synced_anew, begin, end),
        cmocka_unit_test_setup_teardown(test_a_power_cut_in_recovery_loses_nothing, begin, end),
        cmocka_unit_test_setup_teardown(test_a_recycled_file_does_not_bring_back_what_it_held,
                                        begin, end),
        cmocka_unit_test_setup_teardown(test_bytes_of_a_former_life_are_not_replayed, begin, end),
        cmocka_unit_test_setup_teardown(test_only_what_is_not_proven_is_copied, begin, end),
        cmocka_unit_test_setup_teardown(test_a_missing_file_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_a_missing_folder_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_files_of_others_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_a_newer_format_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_a_file_cut_short_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_a_file_under_another_name_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_any_flipped_byte_is_found_or_harmless, begin, end),
        cmocka_unit_test_setup_teardown(test_what_replay_refuses_is_passed_on, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
