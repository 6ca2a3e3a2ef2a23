/* test_group_commit.c - many threads wait, one leads. A sync that a test holds up makes what
 * happens meanwhile repeatable. */
#include "support.h"

#include "base/random.h"
#include "os/thread.h"
#include "wal/wal_private.h"

static struct log_test test;

/* --- an operating system whose syncs of files stop at a gate --- */

static struct os gated;
static const struct os *below;
static struct mutex gate_lock;
static struct condition gate_moved;
static size_t arrived, let_through; /* syncs that came to the gate, and that may pass */
static bool gate_closed;
static omen_status verdict; /* of syncs that pass the closed gate */

static atomic_uint_fast64_t clock_ns; /* moves with syncs alone: who waits, waits for somebody */

static uint64_t slow_clock(const struct os *os)
{
    return atomic_load(&clock_ns);
}

static omen_status gated_sync(const struct os *os, int64_t file, omen_error *error)
{
    omen_status status = OMEN_OK;
    mutex_lock(&gate_lock);
    size_t mine = ++arrived;
    condition_wake_all(&gate_moved);
    while (gate_closed && mine > let_through)
        condition_wait(&gate_moved, &gate_lock);
    if (gate_closed)
        status = verdict;
    mutex_unlock(&gate_lock);
    atomic_fetch_add(&clock_ns, 1000000);
    if (status != OMEN_OK)
        return error_set(error, status, "the disk is on fire");
    return below->file_sync(below, file, error);
}

static void close_gate(void)
{
    mutex_lock(&gate_lock);
    gate_closed = true;
    arrived = let_through = 0;
    verdict = OMEN_OK;
    mutex_unlock(&gate_lock);
}

static void wait_for_arrival(size_t nth)
{
    mutex_lock(&gate_lock);
    while (arrived < nth)
        condition_wait(&gate_moved, &gate_lock);
    mutex_unlock(&gate_lock);
}

static void let_pass(size_t count, omen_status status)
{
    mutex_lock(&gate_lock);
    let_through += count;
    verdict = status;
    condition_wake_all(&gate_moved);
    mutex_unlock(&gate_lock);
}

static int begin(void **state)
{
    log_init(&test);
    mutex_init(&gate_lock);
    condition_init(&gate_moved);
    gate_closed = false;
    below = sim_disk_os(test.disk);
    gated = *below;
    gated.file_sync = gated_sync;
    test.options.os = &gated;
    test.options.file_bytes = 1 << 20;
    log_create(&test);
    return 0;
}

static int end(void **state)
{
    gate_closed = false;
    log_end(&test);
    condition_destroy(&gate_moved);
    mutex_destroy(&gate_lock);
    return 0;
}

/* --- threads that wait for the log --- */

struct waiter {
    struct thread thread;
    uint64_t lsn;
    omen_status status;
};

static void *wait_for_log(void *argument)
{
    struct waiter *waiter = argument;
    waiter->status = wal_sync(test.wal, waiter->lsn, NULL);
    return NULL;
}

static void start(struct waiter *waiter)
{
    waiter->lsn = wal_end(test.wal);
    assert_true(thread_start(&waiter->thread, wait_for_log, waiter));
}

static void append(uint32_t length)
{
    assert_int_equal(log_append(&test, length, 0, NULL), OMEN_OK);
}

enum { WAITERS = 12 };

static void test_commits_that_come_during_a_sync_share_the_next(void **state)
{
    struct waiter waiters[WAITERS];
    close_gate();
    append(100);
    start(&waiters[0]);
    wait_for_arrival(1);
    for (size_t i = 1; i < WAITERS; i++) {
        append(100);
        start(&waiters[i]);
    }
    assert_int_equal(wal_durable(test.wal), 0);
    let_pass(1, OMEN_OK);
    wait_for_arrival(2); /* one of the others leads now */
    assert_int_equal(wal_durable(test.wal), test.commits[0].lsn);
    thread_join(&waiters[0].thread);
    let_pass(1, OMEN_OK);
    for (size_t i = 1; i < WAITERS; i++)
        thread_join(&waiters[i].thread);
    for (size_t i = 0; i < WAITERS; i++)
        assert_int_equal(waiters[i].status, OMEN_OK);
    assert_int_equal(arrived, 2);
    assert_int_equal(wal_durable(test.wal), wal_end(test.wal));
}

static void wait_for_waiters(uint32_t count)
{
    uint32_t found = 0;
    while (found < count) {
        mutex_lock(&test.wal->lock);
        found = test.wal->arrived;
        mutex_unlock(&test.wal->lock);
    }
}

/* Two clients, one of whom comes while the other's commit is synced: then he leads, but first waits
 * for the other to come back. */
static void test_a_leader_waits_for_whom_the_last_sync_was_for(void **state)
{
    struct waiter first, second;
    gated.monotonic_ns = slow_clock;
    close_gate();
    append(100);
    start(&first);
    wait_for_arrival(1);
    append(100);
    start(&second);
    wait_for_waiters(1);
    let_pass(WAITERS, OMEN_OK);
    thread_join(&first.thread);
    append(100);
    start(&first);
    thread_join(&first.thread);
    thread_join(&second.thread);
    assert_int_equal(arrived, 2);
    /* Who holds the others up waits for nobody. */
    append(100);
    assert_int_equal(wal_cut(test.wal, &first.lsn, NULL), OMEN_OK);
    assert_int_equal(arrived, 3);
    /* Who only marks a place does not wait at all; what lies before it is one batch, then. */
    append(100);
    assert_int_equal(wal_mark(test.wal, &first.lsn, NULL), OMEN_OK);
    assert_int_equal(wal_mark(test.wal, &second.lsn, NULL), OMEN_OK);
    assert_int_equal(first.lsn, second.lsn);
    assert_int_equal(arrived, 3);
    append(100);
}

static void test_a_failed_sync_fails_all_who_wait(void **state)
{
    struct waiter waiters[WAITERS];
    append(100);
    assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_OK);
    uint64_t durable_lsn = wal_durable(test.wal), told_lsn = test.told_lsn;
    close_gate();
    append(100);
    start(&waiters[0]);
    wait_for_arrival(1);
    for (size_t i = 1; i < WAITERS; i++) {
        append(100);
        start(&waiters[i]);
    }
    let_pass(1, OMEN_IO_ERROR);
    for (size_t i = 0; i < WAITERS; i++)
        thread_join(&waiters[i].thread);
    for (size_t i = 0; i < WAITERS; i++)
        assert_int_equal(waiters[i].status, OMEN_COMMIT_UNKNOWN);
    assert_int_equal(arrived, 1);
    assert_int_equal(wal_durable(test.wal), durable_lsn);
    assert_int_equal(test.told_lsn, told_lsn);
}

static void test_appending_goes_on_while_a_sync_runs(void **state)
{
    struct waiter waiter, later;
    close_gate();
    append(100);
    start(&waiter);
    wait_for_arrival(1);
    for (int i = 0; i < 100; i++)
        append(2000); /* all into the other buffer: nothing here waits */
    assert_int_equal(wal_durable(test.wal), 0);
    start(&later);
    let_pass(2, OMEN_OK);
    thread_join(&waiter.thread);
    thread_join(&later.thread);
    assert_int_equal(arrived, 2);
    assert_int_equal(later.status, OMEN_OK);
}

static void *append_much(void *argument)
{
    append(5 * WAL_BATCH_BYTES_MAX); /* has to wait for the buffer that is being written */
    return NULL;
}

static void test_a_large_commit_waits_for_the_sync_under_way(void **state)
{
    struct waiter waiter;
    struct thread writer;
    append(100);
    assert_int_equal(wal_reserve(test.wal, 5 * WAL_BATCH_BYTES_MAX, NULL), OMEN_OK);
    close_gate();
    start(&waiter);
    wait_for_arrival(1);
    assert_true(thread_start(&writer, append_much, NULL));
    let_pass(100, OMEN_OK);
    thread_join(&waiter.thread);
    thread_join(&writer);
    assert_int_equal(waiter.status, OMEN_OK);
    assert_int_equal(wal_sync(test.wal, wal_end(test.wal), NULL), OMEN_OK);
    log_crash(&test, SIM_DROP, 1);
    assert_int_equal(log_recover(&test, NULL), OMEN_OK);
    assert_int_equal(test.count, 2);
}

/* --- many writers, as they come --- */

enum { THREADS = 8, COMMITS_A_THREAD = 200 };

static struct mutex writer_lock;
static size_t acknowledged; /* under the writer's lock */

static void *commit_often(void *argument)
{
    struct random random = random_seeded((uint64_t)(uintptr_t)argument);
    for (int i = 0; i < COMMITS_A_THREAD; i++) {
        mutex_lock(&writer_lock);
        uint32_t length = random_below(&random, 30) == 0 ? 300000 : 1 + random_below(&random, 300);
        omen_status status = log_append(&test, length, 0, NULL);
        size_t count = test.count;
        uint64_t lsn = wal_end(test.wal);
        mutex_unlock(&writer_lock);
        if (status == OMEN_OK)
            status = wal_sync(test.wal, lsn, NULL);
        if (status != OMEN_OK)
            break;
        mutex_lock(&writer_lock);
        if (count > acknowledged)
            acknowledged = count;
        mutex_unlock(&writer_lock);
    }
    return NULL;
}

static void run_writers(void)
{
    struct thread threads[THREADS];
    mutex_init(&writer_lock);
    acknowledged = 0;
    for (size_t i = 0; i < THREADS; i++)
        assert_true(thread_start(&threads[i], commit_often, (void *)(uintptr_t)(i + 1)));
    /* Beside them a checkpoint, as it were. */
    for (int i = 0; i < 20; i++) {
        mutex_lock(&writer_lock);
        uint64_t lsn = wal_end(test.wal);
        if (wal_sync(test.wal, lsn, NULL) == OMEN_OK) {
            test.first = test.count;
            test.options.start_lsn = test.options.proven_lsn = wal_durable(test.wal);
        }
        uint64_t start_lsn = test.options.start_lsn;
        mutex_unlock(&writer_lock);
        assert_int_equal(wal_release(test.wal, start_lsn, NULL), OMEN_OK);
        assert_true(wal_disk_bytes(test.wal) > 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    mutex_destroy(&writer_lock);
}

static void test_many_threads_commit(void **state)
{
    run_writers();
    assert_int_equal(test.count, THREADS * COMMITS_A_THREAD);
    assert_int_equal(acknowledged, test.count);
    log_crash(&test, SIM_DROP, 1);
    assert_int_equal(log_recover(&test, NULL), OMEN_OK);
    assert_int_equal(test.count, acknowledged);
}

static void test_many_threads_meet_a_failing_disk(void **state)
{
    sim_disk_fail(test.disk, &(struct sim_fault){.call = SIM_SYNC,
                                                 .kind = SIM_LOG,
                                                 .nth = COMMITS_A_THREAD / 2, /* each thread needs a sync a commit */
                                                 .forever = true,
                                                 .status = OMEN_IO_ERROR});
    run_writers();
    assert_true(acknowledged < test.count);
    assert_int_equal(wal_failed(test.wal, NULL), OMEN_IO_ERROR);
    sim_disk_mend(test.disk);
    log_crash(&test, SIM_DROP, 1);
    assert_int_equal(log_recover(&test, NULL), OMEN_OK);
    assert_true(test.count >= acknowledged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commits_that_come_during_a_sync_share_the_next, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_a_leader_waits_for_whom_the_last_sync_was_for, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_a_failed_sync_fails_all_who_wait, begin, end),
        cmocka_unit_test_setup_teardown(test_appending_goes_on_while_a_sync_runs, begin, end),
        cmocka_unit_test_setup_teardown(test_a_large_commit_waits_for_the_sync_under_way, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_many_threads_commit, begin, end),
        cmocka_unit_test_setup_teardown(test_many_threads_meet_a_failing_disk, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
