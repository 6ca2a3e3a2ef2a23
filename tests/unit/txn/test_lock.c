/* Locks on keys and tables: conflicts, queues, strengthening, deadlocks, marks, failing memory.
 * Who waits does so on a thread of its own, and the test goes on once the list shows it waiting. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "txn/txn_lock.h"

enum { OWNERS = 8, TABLE = 42 };

/* A transaction, and the one lock that it may be waiting for. */
struct session {
    struct fixture *fixture;
    struct lock_owner *owner;
    pthread_t thread;
    struct lock_request request;
    bool taken;
    omen_status status;
    omen_error error;
};

struct fixture {
    struct allocator allocator;
    struct lock_table *locks;
    struct session sessions[OWNERS]; /* transactions 1, 2, ... at 1, 2, ... */
};

static void fixture_open(struct fixture *fixture, uint64_t bytes_max)
{
    memset(fixture, 0, sizeof *fixture);
    allocator_init(&fixture->allocator, 0);
    assert_int_equal(lock_table_create(&fixture->allocator, bytes_max, &fixture->locks), OMEN_OK);
    for (uint64_t i = 1; i < OWNERS; i++) {
        fixture->sessions[i].fixture = fixture;
        assert_int_equal(lock_owner_create(fixture->locks, i, &fixture->sessions[i].owner),
                         OMEN_OK);
    }
}

static void fixture_close(struct fixture *fixture)
{
    assert_true(lock_table_is_valid(fixture->locks));
    for (uint64_t i = 1; i < OWNERS; i++)
        lock_owner_destroy(fixture->sessions[i].owner);
    assert_false(lock_any_held(fixture->locks));
    lock_table_destroy(fixture->locks);
    assert_int_equal(fixture->allocator.bytes_used, 0);
}

static struct lock_request request_key(uint64_t key, enum lock_mode mode, enum lock_wait wait)
{
    return (struct lock_request){.target = lock_target_key(TABLE, 0, index_key_word(key)),
                                 .mode = mode,
                                 .wait = wait,
                                 .relation = "t"};
}

static struct lock_request request_table(enum lock_mode mode, enum lock_wait wait)
{
    return (struct lock_request){
        .target = lock_target_table(TABLE), .mode = mode, .wait = wait, .relation = "t"};
}

static struct lock_request request_of(enum lock_mode mode, enum lock_wait wait)
{
    return mode < TABLE_LOCK_ACCESS_SHARE ? request_key(7, mode, wait) : request_table(mode, wait);
}

/* Whether session `number` gets it without waiting. */
static bool try_lock(struct fixture *fixture, int number, struct lock_request request)
{
    bool taken;
    request.wait = LOCK_SKIP;
    assert_int_equal(lock_acquire(fixture->sessions[number].owner, &request, &taken, NULL), OMEN_OK);
    return taken;
}

static void take(struct fixture *fixture, int number, struct lock_request request)
{
    bool taken = false;
    omen_error error = {0};
    assert_int_equal(lock_acquire(fixture->sessions[number].owner, &request, &taken, &error),
                     OMEN_OK);
    assert_true(taken);
}

static void take_key(struct fixture *fixture, int number, uint64_t key, enum lock_mode mode)
{
    take(fixture, number, request_key(key, mode, LOCK_NOWAIT));
}

static void *acquire(void *argument)
{
    struct session *session = argument;
    session->taken = false;
    session->status =
        lock_acquire(session->owner, &session->request, &session->taken, &session->error);
    return NULL;
}

static bool is_waiting(struct fixture *fixture, int number)
{
    struct lock_list list;
    bool waiting = false;
    assert_int_equal(lock_list_take(fixture->locks, &fixture->allocator, &list), OMEN_OK);
    for (size_t i = 0; i < list.count; i++)
        waiting = waiting || (!list.locks[i].granted &&
                              list.locks[i].transaction == (uint64_t)number);
    lock_list_release(&list);
    return waiting;
}

static void begin(struct fixture *fixture, int number, struct lock_request request)
{
    struct session *session = &fixture->sessions[number];
    session->request = request;
    assert_int_equal(pthread_create(&session->thread, NULL, acquire, session), 0);
}

/* Begins on a thread, and returns once it waits. */
static void begin_waiting(struct fixture *fixture, int number, struct lock_request request)
{
    begin(fixture, number, request);
    while (!is_waiting(fixture, number))
        sched_yield();
    assert_true(lock_table_is_valid(fixture->locks));
}

static omen_status finish(struct fixture *fixture, int number)
{
    struct session *session = &fixture->sessions[number];
    pthread_join(session->thread, NULL);
    assert_int_equal(session->taken, session->status == OMEN_OK);
    assert_true(lock_table_is_valid(fixture->locks));
    return session->status;
}

static void release(struct fixture *fixture, int number)
{
    lock_release_all(fixture->sessions[number].owner);
    assert_int_equal(lock_owner_count(fixture->sessions[number].owner), 0);
}

/* --- modes --- */

/* PostgreSQL 15, "Conflicting Row-Level Locks" and "Conflicting Lock Modes": a row for what is asked
 * for, a column for what is held. */
static const char *const row_table[4] = {
    /* KEY SHARE     */ "...X",
    /* SHARE         */ "..XX",
    /* NO KEY UPDATE */ ".XXX",
    /* UPDATE        */ "XXXX",
};
static const char *const table_table[8] = {
    /* ACCESS SHARE           */ ".......X",
    /* ROW SHARE              */ "......XX",
    /* ROW EXCLUSIVE          */ "....XXXX",
    /* SHARE UPDATE EXCLUSIVE */ "...XXXXX",
    /* SHARE                  */ "..XX.XXX",
    /* SHARE ROW EXCLUSIVE    */ "..XXXXXX",
    /* EXCLUSIVE              */ ".XXXXXXX",
    /* ACCESS EXCLUSIVE       */ "XXXXXXXX",
};

static bool postgres_conflict(int asked, int held)
{
    bool row = asked < TABLE_LOCK_ACCESS_SHARE;
    if (row != (held < TABLE_LOCK_ACCESS_SHARE))
        return false;
    return (row ? row_table[asked][held] : table_table[asked - 4][held - 4]) == 'X';
}

static void test_modes_conflict_as_in_postgres(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    for (int asked = 0; asked < LOCK_MODES; asked++) {
        for (int held = 0; held < LOCK_MODES; held++) {
            bool conflict = postgres_conflict(asked, held);
            assert_int_equal(lock_modes_conflict(asked, held), conflict);
            if ((asked < TABLE_LOCK_ACCESS_SHARE) != (held < TABLE_LOCK_ACCESS_SHARE))
                continue;
            take(&fixture, 1, request_of(held, LOCK_NOWAIT));
            assert_int_equal(try_lock(&fixture, 2, request_of(asked, LOCK_SKIP)), !conflict);
            struct lock_target target = request_of(asked, LOCK_SKIP).target;
            assert_int_equal(lock_held_by_others(fixture.locks, fixture.sessions[2].owner, &target,
                                                 asked),
                             conflict);
            assert_false(lock_held_by_others(fixture.locks, fixture.sessions[1].owner, &target,
                                             held));
            release(&fixture, 1);
            release(&fixture, 2);
        }
    }
    assert_string_equal(lock_mode_name(ROW_LOCK_NO_KEY_UPDATE), "NO KEY UPDATE");
    assert_string_equal(lock_mode_name(TABLE_LOCK_SHARE_UPDATE_EXCLUSIVE),
                        "SHARE UPDATE EXCLUSIVE");
    assert_string_equal(lock_mode_name(TABLE_LOCK_ACCESS_EXCLUSIVE), "ACCESS EXCLUSIVE");
    fixture_close(&fixture);
}

static void test_what_is_covered_is_not_taken_again(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    struct lock_owner *owner = fixture.sessions[1].owner;
    take_key(&fixture, 1, 7, ROW_LOCK_NO_KEY_UPDATE);
    take_key(&fixture, 1, 7, ROW_LOCK_NO_KEY_UPDATE);
    take_key(&fixture, 1, 7, ROW_LOCK_KEY_SHARE);
    assert_int_equal(lock_owner_count(owner), 1);
    take_key(&fixture, 1, 7, ROW_LOCK_UPDATE);
    assert_int_equal(lock_owner_count(owner), 2);
    take(&fixture, 1, request_table(TABLE_LOCK_SHARE, LOCK_NOWAIT));
    take(&fixture, 1, request_table(TABLE_LOCK_ROW_EXCLUSIVE, LOCK_NOWAIT));
    take(&fixture, 1, request_table(TABLE_LOCK_SHARE_ROW_EXCLUSIVE, LOCK_NOWAIT)); /* both cover it */
    assert_int_equal(lock_owner_count(owner), 4);
    fixture_close(&fixture);
}

static void test_targets_are_told_apart(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    const uint8_t bytes[40] = "abcdefgh";
    struct lock_target targets[] = {
        lock_target_table(TABLE),
        lock_target_table(TABLE + 1),
        lock_target_key(TABLE, 0, index_key_word(0)),
        lock_target_key(TABLE + 1, 0, index_key_word(0)),
        lock_target_key(TABLE, 0, index_key_word(TABLE)),
        {.table = TABLE, .has_key = true, .index = 1},
        lock_target_key(TABLE, 0, (struct index_key){.bytes = bytes, .length = 0}),
        lock_target_key(TABLE, 0, (struct index_key){.bytes = bytes, .length = 8}),
        lock_target_key(TABLE, 0, (struct index_key){.bytes = bytes, .length = 9}),
        lock_target_key(TABLE, 0, (struct index_key){.bytes = bytes, .length = 24}),
        lock_target_key(TABLE, 0, (struct index_key){.bytes = bytes, .length = 25}),
        lock_target_key(TABLE, 0, (struct index_key){.bytes = bytes, .length = 40}),
        lock_target_key(TABLE, 0, (struct index_key){.bytes = bytes + 1, .length = 8}),
    };
    enum { COUNT = sizeof targets / sizeof targets[0] };
    for (int i = 0; i < COUNT; i++) {
        enum lock_mode mode = targets[i].has_key ? ROW_LOCK_UPDATE : TABLE_LOCK_ACCESS_EXCLUSIVE;
        take(&fixture, 1 + i % 2, (struct lock_request){.target = targets[i], .mode = mode});
    }
    for (int i = 0; i < COUNT; i++) {
        uint8_t copy[40];
        enum lock_mode mode = targets[i].has_key ? ROW_LOCK_UPDATE : TABLE_LOCK_ACCESS_EXCLUSIVE;
        if (targets[i].key.bytes != NULL) { /* what counts is what they say, not where they lie */
            memcpy(copy, targets[i].key.bytes, targets[i].key.length);
            targets[i].key.bytes = copy;
        }
        assert_false(
            try_lock(&fixture, 3, (struct lock_request){.target = targets[i], .mode = mode}));
    }
    fixture_close(&fixture);
}

/* --- waiting --- */

static void test_first_come_first_served(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    take_key(&fixture, 1, 7, ROW_LOCK_SHARE);
    begin_waiting(&fixture, 2, request_key(7, ROW_LOCK_UPDATE, LOCK_WAIT));
    /* It would go together with what is held, but not with who waits. */
    assert_false(try_lock(&fixture, 3, request_key(7, ROW_LOCK_SHARE, LOCK_SKIP)));
    begin_waiting(&fixture, 3, request_key(7, ROW_LOCK_SHARE, LOCK_WAIT));
    begin_waiting(&fixture, 4, request_key(7, ROW_LOCK_SHARE, LOCK_WAIT));
    begin_waiting(&fixture, 5, request_key(7, ROW_LOCK_UPDATE, LOCK_WAIT));
    release(&fixture, 1);
    assert_int_equal(finish(&fixture, 2), OMEN_OK);
    for (int i = 3; i <= 5; i++)
        assert_true(is_waiting(&fixture, i));
    release(&fixture, 2);
    assert_int_equal(finish(&fixture, 3), OMEN_OK);
    assert_int_equal(finish(&fixture, 4), OMEN_OK);
    release(&fixture, 3);
    assert_true(is_waiting(&fixture, 5));
    release(&fixture, 4);
    assert_int_equal(finish(&fixture, 5), OMEN_OK);
    fixture_close(&fixture);
}

/* Who conflicts with nobody that waits need not wait. */
static void test_passes_a_queue_it_does_not_delay(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    take_key(&fixture, 1, 7, ROW_LOCK_NO_KEY_UPDATE);
    begin_waiting(&fixture, 2, request_key(7, ROW_LOCK_NO_KEY_UPDATE, LOCK_WAIT));
    assert_true(try_lock(&fixture, 3, request_key(7, ROW_LOCK_KEY_SHARE, LOCK_SKIP)));
    release(&fixture, 1);
    assert_int_equal(finish(&fixture, 2), OMEN_OK);
    fixture_close(&fixture);
}

static void test_stronger_goes_first(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    take_key(&fixture, 1, 7, ROW_LOCK_SHARE);
    take_key(&fixture, 2, 7, ROW_LOCK_SHARE);
    begin_waiting(&fixture, 3, request_key(7, ROW_LOCK_UPDATE, LOCK_WAIT));
    begin_waiting(&fixture, 1, request_key(7, ROW_LOCK_UPDATE, LOCK_WAIT));
    release(&fixture, 2);
    assert_int_equal(finish(&fixture, 1), OMEN_OK);
    assert_true(is_waiting(&fixture, 3));
    release(&fixture, 1);
    assert_int_equal(finish(&fixture, 3), OMEN_OK);
    /* And at once, where only the queue is in the way. */
    begin_waiting(&fixture, 4, request_key(7, ROW_LOCK_KEY_SHARE, LOCK_WAIT));
    release(&fixture, 3);
    assert_int_equal(finish(&fixture, 4), OMEN_OK);
    begin_waiting(&fixture, 5, request_key(7, ROW_LOCK_UPDATE, LOCK_WAIT));
    take_key(&fixture, 4, 7, ROW_LOCK_UPDATE);
    release(&fixture, 4);
    assert_int_equal(finish(&fixture, 5), OMEN_OK);
    fixture_close(&fixture);
}

static void test_nowait_and_skip(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    bool taken = true;
    omen_error error;
    take_key(&fixture, 1, 7, ROW_LOCK_UPDATE);
    take(&fixture, 1, request_table(TABLE_LOCK_EXCLUSIVE, LOCK_WAIT));
    struct lock_request request = request_key(7, ROW_LOCK_SHARE, LOCK_NOWAIT);
    assert_int_equal(lock_acquire(fixture.sessions[2].owner, &request, &taken, &error),
                     OMEN_LOCK_NOT_AVAILABLE);
    assert_false(taken);
    assert_string_equal(error.sqlstate, "55P03");
    assert_string_equal(error.message, "could not obtain lock on row in relation \"t\"");
    request = request_table(TABLE_LOCK_SHARE, LOCK_NOWAIT);
    assert_int_equal(lock_acquire(fixture.sessions[2].owner, &request, NULL, &error),
                     OMEN_LOCK_NOT_AVAILABLE);
    assert_string_equal(error.message, "could not obtain lock on relation \"t\"");
    assert_false(try_lock(&fixture, 2, request_key(7, ROW_LOCK_SHARE, LOCK_SKIP)));
    assert_int_equal(lock_owner_count(fixture.sessions[2].owner), 0);
    fixture_close(&fixture);
}

static void test_lock_timeout(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    omen_error error;
    bool taken = true;
    take_key(&fixture, 1, 7, ROW_LOCK_SHARE);
    struct lock_request request = request_key(7, ROW_LOCK_UPDATE, LOCK_WAIT);
    request.timeout_ns = 1000 * 1000;
    assert_int_equal(lock_acquire(fixture.sessions[2].owner, &request, &taken, &error),
                     OMEN_LOCK_NOT_AVAILABLE);
    assert_false(taken);
    assert_string_equal(error.sqlstate, "55P03");
    assert_string_equal(error.message, "canceling statement due to lock timeout");
    assert_true(lock_table_is_valid(fixture.locks));
    /* Who gave up stands in nobody's way. */
    assert_true(try_lock(&fixture, 3, request_key(7, ROW_LOCK_SHARE, LOCK_SKIP)));
    fixture_close(&fixture);
}

static omen_status no_patience(void *context, omen_error *error)
{
    int *asked = context;
    if (++*asked < 3)
        return OMEN_OK;
    return error_set(error, OMEN_CANCELLED, "that is enough");
}

static void test_patience_ends(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    int asked = 0;
    struct txn_patience patience = {.ask = no_patience, .context = &asked};
    take_key(&fixture, 1, 7, ROW_LOCK_SHARE);
    struct lock_request request = request_key(7, ROW_LOCK_UPDATE, LOCK_WAIT);
    request.patience = &patience;
    begin_waiting(&fixture, 2, request);
    begin_waiting(&fixture, 3, request_key(7, ROW_LOCK_SHARE, LOCK_WAIT));
    assert_int_equal(finish(&fixture, 2), OMEN_CANCELLED);
    assert_string_equal(fixture.sessions[2].error.message, "that is enough");
    assert_int_equal(asked, 3);
    assert_int_equal(finish(&fixture, 3), OMEN_OK); /* waited for nothing but who gave up */
    fixture_close(&fixture);
}

/* --- deadlocks --- */

/* Each of `count` sessions holds a key and waits for the next one's; the last closes the circle. */
static void check_circle(int count)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    for (int i = 1; i <= count; i++)
        take_key(&fixture, i, (uint64_t)i, ROW_LOCK_UPDATE);
    for (int i = 1; i < count; i++)
        begin_waiting(&fixture, i, request_key((uint64_t)i + 1, ROW_LOCK_SHARE, LOCK_WAIT));
    omen_error error;
    bool taken = true;
    struct lock_request request = request_key(1, ROW_LOCK_NO_KEY_UPDATE, LOCK_WAIT);
    assert_int_equal(lock_acquire(fixture.sessions[count].owner, &request, &taken, &error),
                     OMEN_DEADLOCK_DETECTED);
    assert_false(taken);
    assert_string_equal(error.sqlstate, "40P01");
    assert_string_equal(error.message, "deadlock detected");
    char line[128];
    snprintf(line, sizeof line,
             "Transaction %d waits for NO KEY UPDATE on a row of relation \"t\"; "
             "blocked by transaction 1.",
             count);
    assert_memory_equal(omen_error_hint(&error), line, strlen(line));
    if (count == 2)
        assert_string_equal(
            omen_error_hint(&error) + strlen(line),
            " Transaction 1 waits for SHARE on a row of relation \"t\"; blocked by transaction 2.");
    /* The others go on, one after the other. */
    assert_int_equal(lock_owner_count(fixture.sessions[count].owner), 1);
    for (int i = count; i > 1; i--) {
        release(&fixture, i);
        assert_int_equal(finish(&fixture, i - 1), OMEN_OK);
    }
    fixture_close(&fixture);
}

static void test_deadlocks_of_2_3_and_5(void **state)
{
    check_circle(2);
    check_circle(3);
    check_circle(5);
}

/* Two share, and both want more. */
static void test_deadlock_of_strengthening(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    take_key(&fixture, 1, 7, ROW_LOCK_SHARE);
    take_key(&fixture, 2, 7, ROW_LOCK_SHARE);
    begin_waiting(&fixture, 1, request_key(7, ROW_LOCK_UPDATE, LOCK_WAIT));
    struct lock_request request = request_key(7, ROW_LOCK_UPDATE, LOCK_WAIT);
    omen_error error;
    assert_int_equal(lock_acquire(fixture.sessions[2].owner, &request, NULL, &error),
                     OMEN_DEADLOCK_DETECTED);
    release(&fixture, 2);
    assert_int_equal(finish(&fixture, 1), OMEN_OK);
    fixture_close(&fixture);
}

/* 3 waits for 2 only because 2 came first: 1 shares the key with it. */
static void test_deadlock_through_the_queue(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    take_key(&fixture, 1, 7, ROW_LOCK_SHARE);
    take_key(&fixture, 3, 9, ROW_LOCK_UPDATE);
    take_key(&fixture, 2, 8, ROW_LOCK_UPDATE);
    begin_waiting(&fixture, 2, request_key(7, ROW_LOCK_UPDATE, LOCK_WAIT));
    begin_waiting(&fixture, 3, request_key(7, ROW_LOCK_SHARE, LOCK_WAIT));
    struct lock_request request = request_key(9, ROW_LOCK_SHARE, LOCK_WAIT);
    omen_error error;
    /* 1 -> 3 -> (queue) 2 -> 1 */
    assert_int_equal(lock_acquire(fixture.sessions[1].owner, &request, NULL, &error),
                     OMEN_DEADLOCK_DETECTED);
    release(&fixture, 1);
    assert_int_equal(finish(&fixture, 2), OMEN_OK);
    release(&fixture, 2);
    assert_int_equal(finish(&fixture, 3), OMEN_OK);
    fixture_close(&fixture);
}

/* As before, but the one who would close the circle by queueing up is the last: it goes first. */
static void test_the_queues_order_alone_is_no_deadlock(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    take_key(&fixture, 1, 7, ROW_LOCK_SHARE);
    take_key(&fixture, 3, 9, ROW_LOCK_UPDATE);
    begin_waiting(&fixture, 2, request_key(7, ROW_LOCK_UPDATE, LOCK_WAIT));
    begin_waiting(&fixture, 1, request_key(9, ROW_LOCK_SHARE, LOCK_WAIT));
    take(&fixture, 3, request_key(7, ROW_LOCK_SHARE, LOCK_WAIT));
    release(&fixture, 3);
    assert_int_equal(finish(&fixture, 1), OMEN_OK);
    release(&fixture, 1);
    assert_int_equal(finish(&fixture, 2), OMEN_OK);
    /* Where somebody else holds the lock as well, it waits for that one alone. */
    release(&fixture, 2);
    take_key(&fixture, 4, 7, ROW_LOCK_NO_KEY_UPDATE);
    take_key(&fixture, 1, 7, ROW_LOCK_KEY_SHARE);
    take_key(&fixture, 3, 9, ROW_LOCK_UPDATE);
    begin_waiting(&fixture, 2, request_key(7, ROW_LOCK_UPDATE, LOCK_WAIT));
    begin_waiting(&fixture, 1, request_key(9, ROW_LOCK_SHARE, LOCK_WAIT));
    begin_waiting(&fixture, 3, request_key(7, ROW_LOCK_SHARE, LOCK_WAIT));
    release(&fixture, 4);
    assert_int_equal(finish(&fixture, 3), OMEN_OK);
    release(&fixture, 3);
    assert_int_equal(finish(&fixture, 1), OMEN_OK);
    release(&fixture, 1);
    assert_int_equal(finish(&fixture, 2), OMEN_OK);
    fixture_close(&fixture);
}

static void test_a_long_circles_message_is_cut(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    char name[64];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (int i = 1; i < OWNERS; i++)
        take_key(&fixture, i, (uint64_t)i, ROW_LOCK_UPDATE);
    struct lock_request request;
    for (int i = 1; i < OWNERS; i++) {
        request = request_key((uint64_t)i % (OWNERS - 1) + 1, ROW_LOCK_NO_KEY_UPDATE, LOCK_WAIT);
        request.relation = name;
        if (i < OWNERS - 1)
            begin_waiting(&fixture, i, request);
    }
    omen_error error;
    assert_int_equal(lock_acquire(fixture.sessions[OWNERS - 1].owner, &request, NULL, &error),
                     OMEN_DEADLOCK_DETECTED);
    const char *hint = omen_error_hint(&error);
    assert_true(strlen(hint) > 200);
    assert_string_equal(hint + strlen(hint) - 4, " ...");
    for (int i = OWNERS - 1; i > 1; i--) {
        release(&fixture, i);
        assert_int_equal(finish(&fixture, i - 1), OMEN_OK);
    }
    fixture_close(&fixture);
}

/* --- marks --- */

static void test_marks(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    struct lock_owner *owner = fixture.sessions[1].owner;
    take_key(&fixture, 1, 1, ROW_LOCK_KEY_SHARE);
    take(&fixture, 1, request_table(TABLE_LOCK_ROW_EXCLUSIVE, LOCK_WAIT));
    uint64_t mark = lock_mark(owner);
    take_key(&fixture, 1, 1, ROW_LOCK_UPDATE);
    take_key(&fixture, 1, 2, ROW_LOCK_UPDATE);
    uint64_t inner = lock_mark(owner);
    take_key(&fixture, 1, 1, ROW_LOCK_SHARE); /* covered: belongs to what covers it */
    take_key(&fixture, 1, 3, ROW_LOCK_UPDATE);
    take(&fixture, 1, request_table(TABLE_LOCK_EXCLUSIVE, LOCK_WAIT));
    begin_waiting(&fixture, 2, request_key(1, ROW_LOCK_NO_KEY_UPDATE, LOCK_WAIT));
    lock_release_to(owner, inner);
    assert_true(is_waiting(&fixture, 2));
    assert_true(try_lock(&fixture, 3, request_key(3, ROW_LOCK_UPDATE, LOCK_SKIP)));
    assert_false(try_lock(&fixture, 3, request_key(2, ROW_LOCK_KEY_SHARE, LOCK_SKIP)));
    assert_true(try_lock(&fixture, 3, request_table(TABLE_LOCK_ROW_EXCLUSIVE, LOCK_SKIP)));
    lock_release_to(owner, mark);
    assert_int_equal(lock_owner_count(owner), 2);
    assert_int_equal(finish(&fixture, 2), OMEN_OK); /* goes together with what was before the mark */
    assert_false(try_lock(&fixture, 3, request_key(1, ROW_LOCK_UPDATE, LOCK_SKIP)));
    assert_false(try_lock(&fixture, 3, request_table(TABLE_LOCK_SHARE, LOCK_SKIP)));
    fixture_close(&fixture);
}

static void test_any_held(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    struct lock_target key = lock_target_key(TABLE, 0, index_key_word(7));
    struct lock_target table = lock_target_table(TABLE);
    for (int mode = TABLE_LOCK_ACCESS_SHARE; mode <= TABLE_LOCK_SHARE_UPDATE_EXCLUSIVE; mode++)
        take(&fixture, 1, request_table(mode, LOCK_WAIT));
    assert_false(lock_any_held(fixture.locks));
    assert_false(lock_held_by_others(fixture.locks, NULL, &key, ROW_LOCK_UPDATE));
    assert_true(lock_held_by_others(fixture.locks, NULL, &table, TABLE_LOCK_ACCESS_EXCLUSIVE));
    uint64_t mark = lock_mark(fixture.sessions[1].owner);
    take(&fixture, 1, request_table(TABLE_LOCK_SHARE, LOCK_WAIT));
    assert_true(lock_any_held(fixture.locks));
    assert_true(lock_held_by_others(fixture.locks, NULL, &key, ROW_LOCK_UPDATE));
    assert_true(lock_held_by_others(fixture.locks, NULL, &key, ROW_LOCK_NO_KEY_UPDATE));
    assert_false(lock_held_by_others(fixture.locks, NULL, &key, ROW_LOCK_SHARE));
    assert_false(lock_held_by_others(fixture.locks, fixture.sessions[1].owner, &key,
                                     ROW_LOCK_UPDATE));
    lock_release_to(fixture.sessions[1].owner, mark);
    assert_false(lock_any_held(fixture.locks));
    take_key(&fixture, 2, 7, ROW_LOCK_KEY_SHARE);
    take_key(&fixture, 2, 8, ROW_LOCK_KEY_SHARE);
    assert_true(lock_any_held(fixture.locks));
    assert_true(lock_held_by_others(fixture.locks, NULL, &key, ROW_LOCK_UPDATE));
    assert_false(lock_held_by_others(fixture.locks, NULL, &key, ROW_LOCK_NO_KEY_UPDATE));
    release(&fixture, 2);
    assert_false(lock_any_held(fixture.locks));
    fixture_close(&fixture);
}

/* --- looking --- */

static void test_list(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    struct lock_list list;
    assert_int_equal(lock_list_take(fixture.locks, &fixture.allocator, &list), OMEN_OK);
    assert_int_equal(list.count, 0);
    lock_list_release(&list);
    uint8_t bytes[3] = {1, 0, 2};
    struct lock_request request = request_key(0, ROW_LOCK_SHARE, LOCK_WAIT);
    request.target.key = (struct index_key){.bytes = bytes, .length = 3};
    take(&fixture, 1, request);
    take(&fixture, 4, request);
    request.mode = ROW_LOCK_UPDATE;
    begin_waiting(&fixture, 2, request);
    begin_waiting(&fixture, 3, request);
    assert_int_equal(lock_list_take(fixture.locks, &fixture.allocator, &list), OMEN_OK);
    assert_int_equal(list.count, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct lock_info *info = &list.locks[i];
        assert_int_equal(info->target.table, TABLE);
        assert_int_equal(info->target.key.length, 3);
        assert_memory_equal(info->target.key.bytes, bytes, 3);
        assert_in_range((uintptr_t)info->target.key.bytes, (uintptr_t)list.block,
                        (uintptr_t)list.block + list.block_bytes - 3); /* the list's own */
        assert_int_equal(info->granted, i < 2);
        assert_int_equal(info->mode, i < 2 ? ROW_LOCK_SHARE : ROW_LOCK_UPDATE);
        assert_int_equal(info->waiting_since_ns != 0, i >= 2);
        assert_int_equal(info->waits_for_count, i < 2 ? 0 : i);
    }
    assert_int_equal(list.locks[0].transaction + list.locks[1].transaction, 5);
    assert_int_equal(list.locks[2].transaction, 2);
    assert_int_equal(list.locks[2].waits_for[0] + list.locks[2].waits_for[1], 5);
    assert_int_equal(list.locks[3].transaction, 3);
    assert_int_equal(list.locks[3].waits_for[2], 2);
    assert_true(list.locks[2].waiting_since_ns <= list.locks[3].waiting_since_ns);
    lock_list_release(&list);
    lock_list_release(&list);
    allocator_fail_at(&fixture.allocator, 1, 0);
    assert_int_equal(lock_list_take(fixture.locks, &fixture.allocator, &list),
                     OMEN_OUT_OF_MEMORY);
    lock_list_release(&list);
    release(&fixture, 1);
    release(&fixture, 4);
    assert_int_equal(finish(&fixture, 2), OMEN_OK);
    release(&fixture, 2);
    assert_int_equal(finish(&fixture, 3), OMEN_OK);
    fixture_close(&fixture);
}

static void test_owners_are_used_again(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    struct lock_owner *owner = fixture.sessions[1].owner;
    take_key(&fixture, 1, 7, ROW_LOCK_UPDATE);
    release(&fixture, 1);
    lock_owner_rename(owner, 99);
    assert_int_equal(lock_owner_transaction(owner), 99);
    take_key(&fixture, 1, 7, ROW_LOCK_UPDATE);
    struct lock_list list;
    assert_int_equal(lock_list_take(fixture.locks, &fixture.allocator, &list), OMEN_OK);
    assert_int_equal(list.locks[0].transaction, 99);
    lock_list_release(&list);
    fixture_close(&fixture);
}

/* --- memory --- */

static omen_status take_many(struct fixture *fixture, uint64_t count, uint64_t *taken)
{
    static const uint8_t text[100];
    for (*taken = 0; *taken < count; ++*taken) {
        struct lock_request request = request_key(*taken, ROW_LOCK_UPDATE, LOCK_WAIT);
        if (*taken % 3 == 0)
            request.target.key = (struct index_key){.bytes = text, .length = *taken / 3 % 100};
        bool have = true;
        omen_error error;
        omen_status status = lock_acquire(fixture->sessions[1].owner, &request, &have, &error);
        assert_int_equal(have, status == OMEN_OK);
        if (status != OMEN_OK) {
            assert_string_equal(error.sqlstate, "53200");
            return status;
        }
    }
    return OMEN_OK;
}

static void test_memory_has_a_limit(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 1 << 20);
    uint64_t taken;
    size_t empty = fixture.allocator.bytes_used;
    assert_int_equal(take_many(&fixture, 100000, &taken), OMEN_OUT_OF_MEMORY);
    assert_true(taken > 2000);
    assert_true(fixture.allocator.bytes_used - empty <= 1 << 20);
    assert_true(lock_table_is_valid(fixture.locks));
    /* What is held stays held, and releasing makes room. */
    assert_false(try_lock(&fixture, 2, request_key(1, ROW_LOCK_KEY_SHARE, LOCK_SKIP)));
    release(&fixture, 1);
    assert_true(fixture.allocator.bytes_used - empty <= 1 << 18);
    assert_int_equal(take_many(&fixture, 2000, &taken), OMEN_OK);
    fixture_close(&fixture);
}

static void test_failing_allocations(void **state)
{
    struct allocator allocator;
    struct lock_table *locks;
    allocator_init(&allocator, 0);
    allocator_fail_at(&allocator, 1, 0);
    assert_int_equal(lock_table_create(&allocator, 0, &locks), OMEN_OUT_OF_MEMORY);
    assert_null(locks);
    uint64_t failures = 0;
    for (uint64_t nth = 1;; nth++) {
        struct fixture fixture;
        uint64_t taken;
        fixture_open(&fixture, 0);
        allocator_fail_at(&fixture.allocator, nth, 0);
        omen_status status = take_many(&fixture, 1000, &taken);
        bool failed = allocator_has_failed(&fixture.allocator);
        failures += status != OMEN_OK;
        assert_int_equal(lock_owner_count(fixture.sessions[1].owner) > 0, taken > 0);
        if (status != OMEN_OK) { /* nothing of the failed one is left, and the next works */
            assert_true(lock_table_is_valid(fixture.locks));
            uint64_t again;
            assert_int_equal(take_many(&fixture, taken + 1, &again), OMEN_OK);
        }
        fixture_close(&fixture);
        if (!failed)
            break;
    }
    assert_true(failures > 30);
}

/* The entry of one who has to wait is made with all shards held. */
static void test_failing_to_queue(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture, 0);
    omen_error error;
    bool taken = true;
    uint64_t failures = 0;
    take_key(&fixture, 1, 7, ROW_LOCK_SHARE);
    /* Fills the slab of the key's shard: sharers are entries alone. */
    static struct lock_owner *sharers[200];
    for (int i = 0; i < 200; i++) {
        struct lock_request request = request_key(7, ROW_LOCK_KEY_SHARE, LOCK_WAIT);
        assert_int_equal(lock_owner_create(fixture.locks, 1000, &sharers[i]), OMEN_OK);
        assert_int_equal(lock_acquire(sharers[i], &request, NULL, NULL), OMEN_OK);
        request = request_key(7, ROW_LOCK_UPDATE, LOCK_WAIT);
        request.timeout_ns = 1;
        allocator_fail_at(&fixture.allocator, 1, 0);
        omen_status status = lock_acquire(fixture.sessions[2].owner, &request, &taken, &error);
        assert_false(taken);
        failures += status == OMEN_OUT_OF_MEMORY;
        assert_true(status == OMEN_OUT_OF_MEMORY || status == OMEN_LOCK_NOT_AVAILABLE);
        assert_true(lock_table_is_valid(fixture.locks));
        allocator_fail_at(&fixture.allocator, 0, 0);
    }
    assert_true(failures > 1);
    for (int i = 0; i < 200; i++)
        lock_owner_destroy(sharers[i]);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes_conflict_as_in_postgres),
        cmocka_unit_test(test_what_is_covered_is_not_taken_again),
        cmocka_unit_test(test_targets_are_told_apart),
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_passes_a_queue_it_does_not_delay),
        cmocka_unit_test(test_stronger_goes_first),
        cmocka_unit_test(test_nowait_and_skip),
        cmocka_unit_test(test_lock_timeout),
        cmocka_unit_test(test_patience_ends),
        cmocka_unit_test(test_deadlocks_of_2_3_and_5),
        cmocka_unit_test(test_deadlock_of_strengthening),
        cmocka_unit_test(test_deadlock_through_the_queue),
        cmocka_unit_test(test_the_queues_order_alone_is_no_deadlock),
        cmocka_unit_test(test_a_long_circles_message_is_cut),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_any_held),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_owners_are_used_again),
        cmocka_unit_test(test_memory_has_a_limit),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_failing_to_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
