/* Snapshots, the watermark and the commit pipeline. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "txn/txn.h"

struct fixture {
    struct allocator allocator;
    struct txn_manager *manager;
};

static void fixture_open(struct fixture *fixture)
{
    allocator_init(&fixture->allocator, 0);
    assert_int_equal(txn_manager_create(&fixture->allocator, &fixture->manager), OMEN_OK);
}

static void fixture_close(struct fixture *fixture)
{
    txn_manager_destroy(fixture->manager);
    assert_int_equal(fixture->allocator.bytes_used, 0);
}

static uint64_t commit_nothing(struct txn_manager *manager)
{
    struct txn_ticket ticket = {0};
    txn_writer_lock(manager);
    assert_int_equal(txn_commit(manager, NULL, 0, TXN_DURABLE, &ticket, NULL), OMEN_OK);
    txn_writer_unlock(manager);
    assert_int_equal(ticket.lsn, 0); /* without a log there is nothing to wait for */
    return ticket.timestamp;
}

static void test_time_starts_at_1(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    assert_int_equal(txn_published(fixture.manager), 1);
    assert_int_equal(txn_watermark(fixture.manager), 1);
    assert_int_equal(commit_nothing(fixture.manager), 2);
    assert_int_equal(txn_published(fixture.manager), 2);
    fixture_close(&fixture);
}

static void test_watermark_is_the_oldest_snapshot(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct snapshot old, shared, young;
    commit_nothing(fixture.manager);
    assert_int_equal(snapshot_acquire(fixture.manager, &old), OMEN_OK);
    assert_int_equal(old.timestamp, 2);
    commit_nothing(fixture.manager);
    assert_int_equal(snapshot_acquire(fixture.manager, &young), OMEN_OK);
    commit_nothing(fixture.manager);
    assert_int_equal(txn_watermark(fixture.manager), 2);
    assert_int_equal(snapshot_share(fixture.manager, &old, &shared), OMEN_OK);
    snapshot_release(&old);
    snapshot_release(&old); /* twice is once */
    assert_int_equal(txn_watermark(fixture.manager), 2);
    assert_int_equal(txn_snapshot_count(fixture.manager), 2);
    snapshot_release(&shared);
    assert_int_equal(txn_watermark(fixture.manager), 3);
    snapshot_release(&young);
    assert_int_equal(txn_watermark(fixture.manager), 4);
    fixture_close(&fixture);
}

static void test_lifetime_readable(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct snapshot held;
    while (commit_nothing(fixture.manager) < 5)
        ;
    assert_int_equal(snapshot_acquire(fixture.manager, &held), OMEN_OK);
    while (commit_nothing(fixture.manager) < 9)
        ;
    assert_true(txn_lifetime_readable(fixture.manager, 5, 6));
    assert_true(txn_lifetime_readable(fixture.manager, 2, 8));
    assert_false(txn_lifetime_readable(fixture.manager, 2, 5));
    assert_false(txn_lifetime_readable(fixture.manager, 6, 9));
    assert_true(txn_lifetime_readable(fixture.manager, 6, 10)); /* by the next to come */
    snapshot_release(&held);
    assert_false(txn_lifetime_readable(fixture.manager, 5, 6));
    fixture_close(&fixture);
}

static void test_more_snapshots_than_one_chunk(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    static struct snapshot held[200];
    for (int i = 0; i < 200; i++) {
        assert_int_equal(snapshot_acquire(fixture.manager, &held[i]), OMEN_OK);
        commit_nothing(fixture.manager);
    }
    assert_int_equal(txn_snapshot_count(fixture.manager), 200);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(txn_watermark(fixture.manager), 1 + i);
        snapshot_release(&held[i]);
    }
    fixture_close(&fixture);
}

static void test_no_memory_for_a_slot(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    static struct snapshot held[65];
    for (int i = 0; i < 64; i++)
        assert_int_equal(snapshot_acquire(fixture.manager, &held[i]), OMEN_OK);
    allocator_fail_at(&fixture.allocator, 1, 1);
    assert_int_equal(snapshot_acquire(fixture.manager, &held[64]), OMEN_OUT_OF_MEMORY);
    assert_null(held[64].slot);
    assert_int_equal(snapshot_share(fixture.manager, &held[0], &held[64]), OMEN_OUT_OF_MEMORY);
    allocator_fail_at(&fixture.allocator, 0, 0);
    assert_int_equal(snapshot_acquire(fixture.manager, &held[64]), OMEN_OK);
    for (int i = 0; i < 65; i++)
        snapshot_release(&held[i]);
    fixture_close(&fixture);
}

/* --- the pipeline --- */

struct recorder {
    char *log;
    char name;
    char fails_at; /* 'v' or 'r' */
};

static void note(struct recorder *recorder, char step)
{
    size_t length = strlen(recorder->log);
    recorder->log[length] = step;
    recorder->log[length + 1] = recorder->name;
    recorder->log[length + 2] = '\0';
}

static omen_status recorder_validate(void *self, omen_error *error)
{
    note(self, 'v');
    return ((struct recorder *)self)->fails_at == 'v' ? OMEN_DUPLICATE_KEY : OMEN_OK;
}

static omen_status recorder_reserve(void *self, omen_error *error)
{
    note(self, 'r');
    return ((struct recorder *)self)->fails_at == 'r' ? OMEN_OUT_OF_MEMORY : OMEN_OK;
}

static void recorder_apply(void *self, uint64_t timestamp)
{
    note(self, 'a');
}

static void recorder_abort(void *self)
{
    note(self, 'u');
}

static const struct txn_participant_ops recorder_ops = {.validate = recorder_validate,
                                                        .reserve = recorder_reserve,
                                                        .apply = recorder_apply,
                                                        .abort = recorder_abort};

static omen_status run_recorders(struct fixture *fixture, char *log, char fails_at)
{
    struct recorder recorders[3] = {{log, '1', 0}, {log, '2', 0}, {log, '3', fails_at}};
    struct txn_participant participants[3];
    for (int i = 0; i < 3; i++)
        participants[i] = (struct txn_participant){&recorder_ops, &recorders[i]};
    log[0] = '\0';
    txn_writer_lock(fixture->manager);
    omen_status status = txn_commit(fixture->manager, participants, 3, TXN_DURABLE, NULL, NULL);
    txn_writer_unlock(fixture->manager);
    return status;
}

static void test_r7_1_all_or_nothing(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    char log[64];
    assert_int_equal(run_recorders(&fixture, log, 0), OMEN_OK);
    assert_string_equal(log, "v1v2v3r1r2r3a1a2a3");
    assert_int_equal(txn_published(fixture.manager), 2);
    assert_int_equal(run_recorders(&fixture, log, 'v'), OMEN_DUPLICATE_KEY);
    assert_string_equal(log, "v1v2v3");
    assert_int_equal(run_recorders(&fixture, log, 'r'), OMEN_OUT_OF_MEMORY);
    assert_string_equal(log, "v1v2v3r1r2r3u2u1");
    assert_int_equal(txn_published(fixture.manager), 2);
    fixture_close(&fixture);
}

/* --- readers beside the writer --- */

struct race {
    struct txn_manager *manager;
    _Atomic int stop;
    _Atomic int wrong;
    _Atomic uint64_t acted_on; /* a watermark the writer has acted on */
};

/* What a held snapshot promises: nobody acts on a watermark above it. */
static void *reader_main(void *argument)
{
    struct race *race = argument;
    while (!race->stop) {
        struct snapshot held, shared;
        if (snapshot_acquire(race->manager, &held) != OMEN_OK)
            continue;
        race->wrong |= race->acted_on > held.timestamp;
        if (snapshot_share(race->manager, &held, &shared) != OMEN_OK)
            continue;
        snapshot_release(&held);
        race->wrong |= race->acted_on > shared.timestamp;
        race->wrong |= txn_watermark(race->manager) > shared.timestamp;
        struct snapshot again;
        if (snapshot_share(race->manager, &shared, &again) == OMEN_OK) {
            snapshot_release(&shared);
            race->wrong |= race->acted_on > again.timestamp;
            snapshot_release(&again);
        }
        snapshot_release(&shared);
    }
    return NULL;
}

static void test_r5_5_no_registered_snapshot_is_missed(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct race race = {.manager = fixture.manager};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader_main, &race), 0);
    for (int i = 0; i < 200000; i++) {
        commit_nothing(fixture.manager);
        uint64_t watermark = txn_watermark(fixture.manager);
        if (watermark > race.acted_on)
            race.acted_on = watermark;
    }
    race.stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(race.wrong, 0);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_starts_at_1),
        cmocka_unit_test(test_watermark_is_the_oldest_snapshot),
        cmocka_unit_test(test_lifetime_readable),
        cmocka_unit_test(test_more_snapshots_than_one_chunk),
        cmocka_unit_test(test_no_memory_for_a_slot),
        cmocka_unit_test(test_r7_1_all_or_nothing),
        cmocka_unit_test(test_r5_5_no_registered_snapshot_is_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
