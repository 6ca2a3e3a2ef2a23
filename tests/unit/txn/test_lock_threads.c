/* Many threads lock a few objects in random order, as no program should. Nobody may hold what conflicts
 * with what somebody else holds, every circle of waiting must be found, and nobody may hang: who has
 * been asked about its patience for a minute fails the test.
 *
 * OMEN_SEED=n gives the same requests again (not the same schedule), OMEN_STEPS=n sets their number.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "txn/txn_lock.h"

enum { THREADS = 8, KEYS = 5, TABLES = 2, OBJECTS = KEYS + TABLES, HELD_MAX = 12, ASKED_MAX = 6000,
       DEADLOCKS_MIN = 20 };

struct shared {
    struct allocator allocator;
    struct lock_table *locks;
    atomic_int held[OBJECTS][LOCK_MODES]; /* what all threads believe to hold */
    atomic_uint deadlocks, timeouts, refused, granted;
};

struct worker {
    struct shared *shared;
    struct lock_owner *owner;
    pthread_t thread;
    struct random random;
    uint64_t steps;
    int held[OBJECTS][LOCK_MODES]; /* of those, its own */
    struct {
        int object, mode;
    } taken[HELD_MAX];
    int taken_count;
    int mark_count; /* taken at the mark */
    uint64_t mark;
    int asked;
};

static omen_status be_patient(void *context, omen_error *error)
{
    struct worker *worker = context;
    if (++worker->asked > ASKED_MAX) {
        fprintf(stderr, "a thread hangs\n");
        abort();
    }
    return OMEN_OK;
}

static void must(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

static void believe(struct worker *worker, int object, int mode)
{
    struct shared *shared = worker->shared;
    atomic_fetch_add(&shared->held[object][mode], 1);
    worker->held[object][mode]++;
    worker->taken[worker->taken_count].object = object;
    worker->taken[worker->taken_count++].mode = mode;
    for (int other = 0; other < LOCK_MODES; other++)
        if (lock_modes_conflict(mode, other))
            must(atomic_load(&shared->held[object][other]) == worker->held[object][other],
                 "nobody else holds what conflicts");
}

static void release_to(struct worker *worker, int count, uint64_t mark)
{
    while (worker->taken_count > count) {
        int object = worker->taken[--worker->taken_count].object;
        int mode = worker->taken[worker->taken_count].mode;
        worker->held[object][mode]--;
        atomic_fetch_sub(&worker->shared->held[object][mode], 1);
    }
    if (count == 0)
        lock_release_all(worker->owner);
    else
        lock_release_to(worker->owner, mark);
}

static struct lock_target target_of(int object)
{
    static const uint8_t text[] = "a key that is longer than what an object has room for";
    if (object >= KEYS)
        return lock_target_table((uint64_t)object);
    if (object % 2 == 0)
        return lock_target_key(KEYS, 0, index_key_word((uint64_t)object));
    return lock_target_key(KEYS, 0,
                           (struct index_key){.bytes = text, .length = 10 * (size_t)object + 1});
}

/* False: the transaction has to give up. */
static bool take_one(struct worker *worker)
{
    struct shared *shared = worker->shared;
    struct random *random = &worker->random;
    int object = (int)random_below(random, OBJECTS);
    int mode = object < KEYS ? (int)random_below(random, 4) : 4 + (int)random_below(random, 8);
    const struct txn_patience patience = {.ask = be_patient, .context = worker};
    struct lock_request request = {
        .target = target_of(object), .mode = mode, .relation = "t", .patience = &patience};
    uint64_t kind = random_below(random, 20);
    request.wait = kind == 0 ? LOCK_NOWAIT : kind == 1 ? LOCK_SKIP : LOCK_WAIT;
    request.timeout_ns = kind == 2 ? 1 + random_below(random, 200000) : 0;
    bool taken = false;
    worker->asked = 0;
    omen_error error;
    omen_status status = lock_acquire(worker->owner, &request, &taken, &error);
    must(taken == (status == OMEN_OK) || request.wait == LOCK_SKIP, "taken says what is so");
    if (taken)
        believe(worker, object, mode);
    atomic_fetch_add(&shared->granted, taken);
    atomic_fetch_add(&shared->refused, !taken && kind < 2);
    atomic_fetch_add(&shared->timeouts, kind == 2 && status == OMEN_LOCK_NOT_AVAILABLE);
    atomic_fetch_add(&shared->deadlocks, status == OMEN_DEADLOCK_DETECTED);
    must(status == OMEN_OK || status == OMEN_DEADLOCK_DETECTED ||
             (status == OMEN_LOCK_NOT_AVAILABLE && (kind == 0 || kind == 2)),
         "no other error");
    return status != OMEN_DEADLOCK_DETECTED;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct random *random = &worker->random;
    /* Until they have met as well: on one core they might all run after one another. */
    for (uint64_t step = 0;
         step < worker->steps || atomic_load(&worker->shared->deadlocks) < DEADLOCKS_MIN; step++) {
        uint64_t wanted = 1 + random_below(random, HELD_MAX);
        worker->mark_count = 0;
        for (uint64_t i = 0; i < wanted; i++) {
            if (worker->mark_count == 0 && random_below(random, 4) == 0) {
                worker->mark = lock_mark(worker->owner);
                worker->mark_count = worker->taken_count;
            }
            bool going_on = take_one(worker);
            if (random_below(random, 4) == 0)
                sched_yield();
            if (!going_on && worker->mark_count == 0)
                break;
            if (!going_on || random_below(random, 10) == 0) {
                release_to(worker, worker->mark_count, worker->mark);
                worker->mark_count = 0;
            }
        }
        release_to(worker, 0, 0);
        lock_owner_rename(worker->owner, lock_owner_transaction(worker->owner) + THREADS);
    }
    return NULL;
}

/* Looks at what the others do; the validator finds fault at every moment or at none. */
static void *look(void *argument)
{
    struct shared *shared = argument;
    for (int i = 0; i < 300; i++) {
        struct lock_list list;
        must(lock_table_is_valid(shared->locks), "valid");
        must(lock_list_take(shared->locks, &shared->allocator, &list) == OMEN_OK, "a list");
        for (size_t j = 0; j < list.count; j++)
            must(list.locks[j].granted == (list.locks[j].waits_for_count == 0), "who waits");
        lock_list_release(&list);
        struct lock_target target = target_of(i % KEYS);
        (void)lock_held_by_others(shared->locks, NULL, &target, ROW_LOCK_UPDATE);
    }
    return NULL;
}

static void test_random_locks_in_random_order(void **state)
{
    static struct shared shared;
    static struct worker workers[THREADS];
    const char *seed_text = getenv("OMEN_SEED"), *steps_text = getenv("OMEN_STEPS");
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : (uint64_t)time(NULL);
    uint64_t steps = steps_text != NULL ? strtoull(steps_text, NULL, 10) : 1500;
    printf("OMEN_SEED=%llu\n", (unsigned long long)seed);
    allocator_init(&shared.allocator, 0);
    assert_int_equal(lock_table_create(&shared.allocator, 0, &shared.locks), OMEN_OK);
    pthread_t looker;
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){
            .shared = &shared, .random = random_seeded(seed + i * 1000), .steps = steps};
        assert_int_equal(lock_owner_create(shared.locks, i + 1, &workers[i].owner), OMEN_OK);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    assert_int_equal(pthread_create(&looker, NULL, look, &shared), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_join(looker, NULL);
    assert_false(lock_any_held(shared.locks));
    for (int i = 0; i < THREADS; i++)
        lock_owner_destroy(workers[i].owner);
    lock_table_destroy(shared.locks);
    assert_int_equal(shared.allocator.bytes_used, 0);
    printf("%u granted, %u deadlocks, %u timeouts, %u refused\n", shared.granted, shared.deadlocks,
           shared.timeouts, shared.refused);
    assert_true(shared.granted > steps && shared.deadlocks >= DEADLOCKS_MIN);
}

/* As lock_any_held promises: who registers no lock and who does never miss each other. A row is two
 * numbers; a locker reads it, locks it, and changes it only if it is as it was read. */
struct row {
    struct txn_manager *manager;
    uint64_t version;     /* guarded by the writer lock */
    uint64_t changed;     /* of these, by whom */
    atomic_int lockers;   /* still at it */
    atomic_uint tried;    /* changes without a lock, */
    atomic_uint declined; /* and of those, that found one */
};

static const struct lock_request row_request = {
    .target = {.table = 1, .has_key = true, .key = {.word = 5}}, .mode = ROW_LOCK_UPDATE};

static void *change_with_lock(void *argument)
{
    struct row *row = argument;
    struct lock_owner *owner;
    must(lock_owner_create(txn_locks(row->manager), 1, &owner) == OMEN_OK, "an owner");
    for (int done = 0; done < 3000;) {
        must(lock_acquire(owner, &row_request, NULL, NULL) == OMEN_OK, "the lock");
        txn_writer_lock(row->manager);
        uint64_t version = row->version;
        txn_writer_unlock(row->manager);
        sched_yield(); /* the row is its own, though anybody may write */
        txn_writer_lock(row->manager);
        must(row->version == version, "nobody passes a lock");
        row->version++;
        row->changed++;
        txn_writer_unlock(row->manager);
        lock_release_all(owner);
        sched_yield();
        done++;
    }
    lock_owner_destroy(owner);
    atomic_fetch_sub(&row->lockers, 1);
    return NULL;
}

static void *change_without(void *argument)
{
    struct row *row = argument;
    while (atomic_load(&row->lockers) > 0) {
        atomic_fetch_add(&row->tried, 1);
        txn_writer_lock(row->manager);
        if (lock_held_by_others(txn_locks(row->manager), NULL, &row_request.target,
                                ROW_LOCK_UPDATE))
            atomic_fetch_add(&row->declined, 1);
        else
            row->version++;
        txn_writer_unlock(row->manager);
        sched_yield();
    }
    return NULL;
}

static void test_writers_without_locks_see_locks(void **state)
{
    struct allocator allocator;
    struct row row = {.lockers = 2};
    pthread_t threads[4];
    allocator_init(&allocator, 0);
    assert_int_equal(txn_manager_create(&allocator, &row.manager), OMEN_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i % 2 ? change_with_lock : change_without, &row), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(row.changed, 6000);
    assert_int_equal(row.version, 6000 + row.tried - row.declined);
    printf("%u of %u declined\n", row.declined, row.tried);
    txn_manager_destroy(row.manager);
    assert_int_equal(allocator.bytes_used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_locks_in_random_order),
        cmocka_unit_test(test_writers_without_locks_see_locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
