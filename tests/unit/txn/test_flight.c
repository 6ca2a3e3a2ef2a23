/* Commits in flight: applied and in the log, not yet durable, not yet published. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "fake_log.h"
#include "txn/txn.h"

struct fixture {
    struct allocator allocator;
    struct txn_manager *manager;
    struct fake_log log;
};

static void fixture_open(struct fixture *fixture)
{
    allocator_init(&fixture->allocator, 0);
    assert_int_equal(txn_manager_create(&fixture->allocator, &fixture->manager), OMEN_OK);
    fake_log_open(&fixture->log, fixture->manager);
    fixture->log.held = true;
}

static void fixture_close(struct fixture *fixture)
{
    fake_log_close(&fixture->log);
    txn_manager_destroy(fixture->manager);
    assert_int_equal(fixture->allocator.bytes_used, 0);
}

/* A participant that writes `bytes` bytes and keeps what happened to it. */
struct writer {
    size_t bytes;
    uint64_t applied;
    bool aborted;
};

static omen_status writer_ok(void *self, omen_error *error)
{
    return OMEN_OK;
}

static void writer_apply(void *self, uint64_t timestamp)
{
    ((struct writer *)self)->applied = timestamp;
}

static void writer_abort(void *self)
{
    ((struct writer *)self)->aborted = true;
}

static uint64_t writer_bytes(void *self)
{
    return ((struct writer *)self)->bytes;
}

static void writer_redo(void *self, struct txn_redo *redo)
{
    /* In pieces of every size, so that the buffer overflows everywhere. */
    static const uint8_t zeros[20000];
    size_t left = ((struct writer *)self)->bytes;
    for (size_t piece = 1; left > 0; piece = piece * 3 % 20011) {
        size_t length = piece < left ? piece : left;
        txn_redo_put(redo, zeros, length);
        left -= length;
    }
}

static const struct txn_participant_ops writer_ops = {
    .validate = writer_ok,
    .reserve = writer_ok,
    .apply = writer_apply,
    .abort = writer_abort,
    .redo_bytes = writer_bytes,
    .redo = writer_redo,
};

static struct txn_ticket commit_as(struct fixture *fixture, size_t bytes,
                                   enum txn_durability durability)
{
    struct writer writer = {.bytes = bytes};
    struct txn_participant participant = {&writer_ops, &writer};
    struct txn_ticket ticket = {0};
    txn_writer_lock(fixture->manager);
    assert_int_equal(
        txn_commit(fixture->manager, &participant, 1, durability, &ticket, NULL), OMEN_OK);
    txn_writer_unlock(fixture->manager);
    assert_int_equal(writer.applied, ticket.timestamp);
    return ticket;
}

static struct txn_ticket commit(struct fixture *fixture)
{
    return commit_as(fixture, 10, TXN_DURABLE);
}

/* --- order --- */

static void test_published_when_durable_and_in_order(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct txn_ticket first = commit(&fixture), second = commit(&fixture);
    struct txn_ticket third = commit(&fixture);
    assert_true(first.lsn < second.lsn && second.lsn < third.lsn);
    assert_int_equal(txn_published(fixture.manager), 1);
    assert_int_equal(txn_watermark(fixture.manager), 1);
    fake_log_durable(&fixture.log, second.lsn - 1); /* not all of the second */
    assert_int_equal(txn_published(fixture.manager), first.timestamp);
    fake_log_durable(&fixture.log, third.lsn);
    assert_int_equal(txn_published(fixture.manager), third.timestamp);
    assert_int_equal(txn_wait(fixture.manager, &second, NULL), OMEN_OK);
    fixture_close(&fixture);
}

static void test_the_log_has_the_timestamp_and_every_byte(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    static const size_t sizes[] = {1, 4088, 4089, 100000};
    size_t at = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct txn_ticket ticket = commit_as(&fixture, sizes[i], TXN_DURABLE);
        assert_int_equal(bytes_get_u64(fixture.log.bytes + at), ticket.timestamp);
        at += TXN_REDO_HEAD_BYTES + sizes[i];
        assert_int_equal(ticket.lsn, at);
    }
    assert_int_equal(fixture.log.committed, at);
    fake_log_durable(&fixture.log, at);
    fixture_close(&fixture);
}

static void test_a_small_commit_is_one_append_and_no_allocation(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    commit(&fixture); /* the ring is there now */
    unsigned appends = fixture.log.appends;
    uint64_t calls = fixture.allocator.calls;
    commit_as(&fixture, 4000, TXN_DURABLE);
    assert_int_equal(fixture.log.appends, appends + 1);
    assert_int_equal(fixture.allocator.calls, calls);
    fake_log_durable(&fixture.log, fixture.log.committed);
    fixture_close(&fixture);
}

/* More in flight than the ring begins with, some of them published meanwhile. */
static void test_any_number_in_flight(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct txn_ticket tickets[500];
    for (int i = 0; i < 500; i++) {
        tickets[i] = commit(&fixture);
        if (i % 7 == 0)
            fake_log_durable(&fixture.log, tickets[i / 2].lsn);
        assert_int_equal(txn_published(fixture.manager), tickets[i / 7 * 7 / 2].timestamp);
    }
    fake_log_durable(&fixture.log, tickets[499].lsn);
    assert_int_equal(txn_published(fixture.manager), tickets[499].timestamp);
    fixture_close(&fixture);
}

/* Another thread's sync may cover a commit before it has joined those in flight. */
static void test_durable_before_it_is_in_flight(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    txn_durable(fixture.manager, 1000);
    struct txn_ticket ticket = commit(&fixture);
    assert_true(ticket.lsn < 1000);
    assert_int_equal(txn_published(fixture.manager), ticket.timestamp);
    fixture_close(&fixture);
}

static void test_what_is_told_twice_or_late_changes_nothing(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct txn_ticket first = commit(&fixture), second = commit(&fixture);
    txn_durable(fixture.manager, second.lsn);
    txn_durable(fixture.manager, first.lsn);
    txn_durable(fixture.manager, second.lsn);
    assert_int_equal(txn_published(fixture.manager), second.timestamp);
    fixture_close(&fixture);
}

/* --- changes of layout --- */

static void test_a_change_of_layout_waits_for_its_turn(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    uint64_t layout;
    txn_writer_lock(fixture.manager);
    assert_int_equal(txn_next_timestamp(fixture.manager, &layout), OMEN_OK);
    txn_publish(fixture.manager, layout);
    assert_int_equal(txn_published(fixture.manager), layout); /* nothing before it */
    txn_writer_unlock(fixture.manager);

    struct txn_ticket before = commit(&fixture);
    txn_writer_lock(fixture.manager);
    assert_int_equal(txn_next_timestamp(fixture.manager, &layout), OMEN_OK);
    txn_publish(fixture.manager, layout);
    txn_writer_unlock(fixture.manager);
    struct txn_ticket after = commit(&fixture);
    assert_true(txn_published(fixture.manager) < before.timestamp);
    fake_log_durable(&fixture.log, before.lsn);
    assert_int_equal(txn_published(fixture.manager), layout);
    fake_log_durable(&fixture.log, after.lsn);
    assert_int_equal(txn_published(fixture.manager), after.timestamp);
    fixture_close(&fixture);
}

/* --- synchronous_commit = off --- */

static void test_relaxed_commits_are_visible_at_once(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct txn_ticket first = commit_as(&fixture, 10, TXN_RELAXED);
    assert_int_equal(first.lsn, 0);
    assert_int_equal(txn_published(fixture.manager), first.timestamp);
    assert_int_equal(txn_wait(fixture.manager, &first, NULL), OMEN_OK);
    assert_int_equal(fixture.log.syncs, 0);
    /* A durable one behind it makes it durable too, as the log has one order. */
    struct txn_ticket second = commit(&fixture);
    assert_int_equal(txn_published(fixture.manager), first.timestamp);
    fake_log_durable(&fixture.log, second.lsn);
    assert_int_equal(txn_published(fixture.manager), second.timestamp);
    fixture_close(&fixture);
}

/* What somebody else waits for does not become visible because a relaxed commit comes behind. */
static void test_relaxed_commits_publish_nobody_else(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct txn_ticket durable = commit(&fixture);
    struct txn_ticket relaxed = commit_as(&fixture, 10, TXN_RELAXED);
    assert_int_equal(txn_published(fixture.manager), 1);
    assert_true(relaxed.lsn >= durable.lsn);
    fake_log_durable(&fixture.log, durable.lsn);
    assert_int_equal(txn_published(fixture.manager), relaxed.timestamp);
    fixture_close(&fixture);
}

/* --- failure --- */

static omen_status try_commit(struct fixture *fixture, struct writer *writer, omen_error *error)
{
    struct txn_participant participant = {&writer_ops, writer};
    *writer = (struct writer){.bytes = 10000};
    txn_writer_lock(fixture->manager);
    omen_status status =
        txn_commit(fixture->manager, &participant, 1, TXN_DURABLE, NULL, error);
    txn_writer_unlock(fixture->manager);
    return status;
}

static void test_r7_1_a_failed_log_publishes_nothing(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct writer writer;
    omen_error error = {0};
    struct txn_ticket first = commit(&fixture);
    fake_log_durable(&fixture.log, first.lsn);
    struct txn_ticket second = commit(&fixture);
    fake_log_fail(&fixture.log);
    assert_int_equal(txn_wait(fixture.manager, &second, &error), OMEN_COMMIT_UNKNOWN);
    assert_string_equal(error.sqlstate, "08007");
    assert_string_equal(error.message, "commit outcome unknown: the disk is gone");
    /* An answer that rests on it is not given; the reason is. */
    txn_writer_lock(fixture.manager);
    struct txn_ticket newest = txn_newest(fixture.manager);
    txn_writer_unlock(fixture.manager);
    assert_int_equal(txn_settle(fixture.manager, &newest, &error), OMEN_IO_ERROR);
    assert_string_equal(error.sqlstate, "58030");
    assert_int_equal(txn_outcome(fixture.manager, OMEN_DUPLICATE_KEY, &newest, &error),
                     OMEN_IO_ERROR);
    /* Writers are told; readers go on. */
    assert_int_equal(try_commit(&fixture, &writer, &error), OMEN_IO_ERROR);
    assert_true(writer.aborted && writer.applied == 0);
    struct snapshot snapshot;
    assert_int_equal(snapshot_acquire(fixture.manager, &snapshot), OMEN_OK);
    assert_int_equal(snapshot.timestamp, first.timestamp);
    snapshot_release(&snapshot);
    fixture_close(&fixture);
}

static void test_what_the_log_refuses_has_not_happened(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct writer writer;
    omen_error error = {0};
    fixture.log.full = true;
    assert_int_equal(try_commit(&fixture, &writer, &error), OMEN_DISK_FULL);
    assert_true(writer.aborted && writer.applied == 0);
    fixture.log.full = false;
    fixture.log.append_fails = true;
    assert_int_equal(try_commit(&fixture, &writer, &error), OMEN_DISK_FULL);
    assert_true(writer.aborted && writer.applied == 0);
    assert_int_equal(fixture.log.commits, 0);
    struct txn_ticket ticket = commit(&fixture);
    assert_int_equal(ticket.timestamp, 2); /* no timestamp was lost */
    fake_log_durable(&fixture.log, ticket.lsn);
    assert_int_equal(txn_published(fixture.manager), 2);
    fixture_close(&fixture);
}

static void test_no_memory_for_a_place_in_flight(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct writer writer;
    uint64_t layout;
    allocator_fail_at(&fixture.allocator, 1, 1);
    assert_int_equal(try_commit(&fixture, &writer, NULL), OMEN_OUT_OF_MEMORY);
    assert_true(writer.aborted && writer.applied == 0);
    assert_int_equal(txn_next_timestamp(fixture.manager, &layout), OMEN_OUT_OF_MEMORY);
    allocator_fail_at(&fixture.allocator, 0, 0);
    assert_int_equal(fixture.log.committed, 0);
    assert_int_equal(commit(&fixture).timestamp, 2);
    fixture_close(&fixture);
}

/* --- answers without a commit --- */

static void test_settling_waits_only_for_what_is_in_flight(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct txn_ticket ticket = commit(&fixture);
    txn_writer_lock(fixture.manager);
    struct txn_ticket newest = txn_newest(fixture.manager);
    txn_writer_unlock(fixture.manager);
    assert_int_equal(newest.timestamp, ticket.timestamp);
    assert_int_equal(newest.lsn, ticket.lsn);
    fake_log_durable(&fixture.log, ticket.lsn);
    txn_writer_lock(fixture.manager);
    newest = txn_newest(fixture.manager);
    txn_writer_unlock(fixture.manager);
    assert_int_equal(newest.lsn, 0);
    assert_int_equal(txn_settle(fixture.manager, &newest, NULL), OMEN_OK);
    assert_int_equal(fixture.log.syncs, 0);
    fixture_close(&fixture);
}

/* What keeps the log from becoming durable for now is told as what it is; a commit's own client
 * learns that nobody knows yet. */
static void test_what_passes_keeps_its_cause(void **state)
{
    static const omen_status causes[] = {OMEN_DISK_FULL, OMEN_OUT_OF_MEMORY,
                                         OMEN_INSUFFICIENT_RESOURCES};
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        struct fixture fixture;
        omen_error error = {0};
        fixture_open(&fixture);
        struct txn_ticket ticket = commit(&fixture);
        fixture.log.sync_fails = causes[i];
        assert_int_equal(txn_settle(fixture.manager, &ticket, &error), causes[i]);
        assert_string_equal(error.message, "not now");
        assert_int_equal(txn_wait(fixture.manager, &ticket, &error), OMEN_COMMIT_UNKNOWN);
        assert_string_equal(error.message, "commit outcome unknown yet: not now");
        fixture.log.sync_fails = OMEN_OK;
        fake_log_durable(&fixture.log, ticket.lsn);
        assert_int_equal(txn_settle(fixture.manager, &ticket, NULL), OMEN_OK);
        fixture_close(&fixture);
    }
}

/* --- threads --- */

struct waiting {
    struct fixture *fixture;
    struct txn_ticket ticket;
    omen_status status;
    uint64_t published; /* when the wait was over */
};

static void *wait_main(void *argument)
{
    struct waiting *waiting = argument;
    waiting->status = txn_wait(waiting->fixture->manager, &waiting->ticket, NULL);
    waiting->published = txn_published(waiting->fixture->manager);
    return NULL;
}

static void test_waiters_are_let_go_when_published(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct waiting waiting[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        waiting[i] = (struct waiting){.fixture = &fixture, .ticket = commit(&fixture)};
        assert_int_equal(pthread_create(&threads[i], NULL, wait_main, &waiting[i]), 0);
    }
    fake_log_await(&fixture.log, 4);
    fake_log_durable(&fixture.log, waiting[1].ticket.lsn);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(txn_published(fixture.manager), waiting[1].ticket.timestamp);
    fake_log_fail(&fixture.log);
    for (int i = 2; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(waiting[i].status, i < 2 ? OMEN_OK : OMEN_COMMIT_UNKNOWN);
        if (i < 2)
            assert_true(waiting[i].published >= waiting[i].ticket.timestamp);
    }
    assert_int_equal(txn_published(fixture.manager), waiting[1].ticket.timestamp);
    fixture_close(&fixture);
}

/* One syncs for all who come; who came meanwhile is synced for by one of them, the next time. Only then
 * is anybody let go. */
static void test_one_syncs_for_all(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct waiting waiting[6];
    pthread_t threads[6];
    for (unsigned i = 0; i < 6; i++) {
        waiting[i] = (struct waiting){.fixture = &fixture, .ticket = commit(&fixture)};
        assert_int_equal(pthread_create(&threads[i], NULL, wait_main, &waiting[i]), 0);
        fake_log_await(&fixture.log, i + 1);
        fake_log_await_syncs(&fixture.log, 1);
    }
    assert_int_equal(fixture.log.syncs, 1);
    fake_log_durable(&fixture.log, waiting[2].ticket.lsn);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    fake_log_await_syncs(&fixture.log, 2);
    fake_log_durable(&fixture.log, waiting[5].ticket.lsn);
    for (int i = 3; i < 6; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(waiting[i].status, OMEN_OK);
        assert_true(waiting[i].published >= waiting[i].ticket.timestamp);
    }
    assert_int_equal(fixture.log.syncs, 2);
    fixture_close(&fixture);
}

/* A full disk is told to each, and who comes later tries again. */
static void test_who_leads_in_vain_leaves_it_to_the_next(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct waiting waiting[4];
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++) {
        waiting[i] = (struct waiting){.fixture = &fixture, .ticket = commit(&fixture)};
        assert_int_equal(pthread_create(&threads[i], NULL, wait_main, &waiting[i]), 0);
        fake_log_await(&fixture.log, i + 1);
        fake_log_await_syncs(&fixture.log, 1);
    }
    mutex_lock(&fixture.log.lock);
    fixture.log.sync_fails = OMEN_DISK_FULL;
    mutex_unlock(&fixture.log.lock);
    fake_log_durable(&fixture.log, waiting[0].ticket.lsn);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(waiting[i].status, i == 0 ? OMEN_OK : OMEN_COMMIT_UNKNOWN);
    assert_int_equal(fixture.log.syncs, 4);
    fixture.log.sync_fails = OMEN_OK;
    fixture.log.held = false;
    assert_int_equal(txn_wait(fixture.manager, &waiting[2].ticket, NULL), OMEN_OK);
    assert_int_equal(txn_published(fixture.manager), waiting[3].ticket.timestamp);
    fixture_close(&fixture);
}

enum { THREADS = 6, COMMITS = 2000 };

struct race {
    struct fixture *fixture;
    _Atomic int wrong;
    atomic_bool over;
};

static void *race_main(void *argument)
{
    struct race *race = argument;
    for (int i = 0; i < COMMITS; i++) {
        struct writer writer = {.bytes = 1 + (size_t)i % 50};
        struct txn_participant participant = {&writer_ops, &writer};
        struct txn_ticket ticket;
        enum txn_durability durability = i % 5 == 0 ? TXN_RELAXED : TXN_DURABLE;
        txn_writer_lock(race->fixture->manager);
        omen_status status =
            txn_commit(race->fixture->manager, &participant, 1, durability, &ticket, NULL);
        txn_writer_unlock(race->fixture->manager);
        if (status != OMEN_OK || txn_wait(race->fixture->manager, &ticket, NULL) != OMEN_OK ||
            txn_published(race->fixture->manager) < writer.applied)
            race->wrong = 1;
        if (durability == TXN_DURABLE) {
            mutex_lock(&race->fixture->log.lock);
            race->wrong |= race->fixture->log.durable < ticket.lsn;
            mutex_unlock(&race->fixture->log.lock);
        }
    }
    return NULL;
}

static void test_commits_of_many_threads(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    fixture.log.held = false;
    fixture.log.slow = true;
    struct race race = {.fixture = &fixture};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_main, &race), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(race.wrong, 0);
    assert_int_equal(txn_published(fixture.manager), 1 + THREADS * COMMITS);
    fixture_close(&fixture);
}

/* A disk that makes durable what it likes, and tells so besides whoever leads. */
static void *disk_main(void *argument)
{
    struct race *race = argument;
    struct fake_log *log = &race->fixture->log;
    for (unsigned turn = 1; !atomic_load(&race->over); turn++) {
        uint64_t end = fake_log_end(log, 1 + turn % THREADS);
        if (end > 0)
            fake_log_durable(log, end);
        sched_yield();
    }
    return NULL;
}

static void test_commits_of_many_threads_sleep_and_wake(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct race race = {.fixture = &fixture};
    pthread_t threads[THREADS], disk;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_main, &race), 0);
    assert_int_equal(pthread_create(&disk, NULL, disk_main, &race), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&race.over, true);
    pthread_join(disk, NULL);
    assert_int_equal(race.wrong, 0);
    fake_log_durable(&fixture.log, fixture.log.committed);
    assert_int_equal(txn_published(fixture.manager), 1 + THREADS * COMMITS);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_when_durable_and_in_order),
        cmocka_unit_test(test_the_log_has_the_timestamp_and_every_byte),
        cmocka_unit_test(test_a_small_commit_is_one_append_and_no_allocation),
        cmocka_unit_test(test_any_number_in_flight),
        cmocka_unit_test(test_durable_before_it_is_in_flight),
        cmocka_unit_test(test_what_is_told_twice_or_late_changes_nothing),
        cmocka_unit_test(test_a_change_of_layout_waits_for_its_turn),
        cmocka_unit_test(test_relaxed_commits_are_visible_at_once),
        cmocka_unit_test(test_relaxed_commits_publish_nobody_else),
        cmocka_unit_test(test_r7_1_a_failed_log_publishes_nothing),
        cmocka_unit_test(test_what_the_log_refuses_has_not_happened),
        cmocka_unit_test(test_no_memory_for_a_place_in_flight),
        cmocka_unit_test(test_what_passes_keeps_its_cause),
        cmocka_unit_test(test_settling_waits_only_for_what_is_in_flight),
        cmocka_unit_test(test_waiters_are_let_go_when_published),
        cmocka_unit_test(test_one_syncs_for_all),
        cmocka_unit_test(test_who_leads_in_vain_leaves_it_to_the_next),
        cmocka_unit_test(test_commits_of_many_threads),
        cmocka_unit_test(test_commits_of_many_threads_sleep_and_wake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
