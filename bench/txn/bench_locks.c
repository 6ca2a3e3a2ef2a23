/* bench_locks.c - what a transaction's locks cost.
 *
 *     bench_locks [FIGURE] [LOCKS]     FIGURE: lock.uncontended, lock.uncontended.key, ...
 *
 * Nanoseconds for each lock taken and released again, nobody being in the way, beside the bound of
 * 100; keys are words in a random order. Then, as numbers alone, what has no bound.
 *
 *   key        a transaction that locks one key for UPDATE
 *   statement  a table for ROW EXCLUSIVE, then one key of it: two locks
 *   keys       1,000 keys a transaction
 *   text       one key of 20 bytes
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "figure.h"
#include "txn/txn_lock.h"

enum { THREADS = 64, BOUND_NS = 100, TABLE = 42 };

struct bench {
    struct allocator allocator;
    struct lock_table *locks;
    struct lock_owner *owner;
    uint64_t count; /* locks in one run */
};

static void must(omen_status status, const char *what)
{
    if (status == OMEN_OK)
        return;
    fprintf(stderr, "bench_locks: %s: %s\n", what, omen_status_text(status));
    exit(2);
}

static void bench_open(struct bench *bench, uint64_t count)
{
    allocator_init(&bench->allocator, 0);
    must(lock_table_create(&bench->allocator, 0, &bench->locks), "lock table");
    must(lock_owner_create(bench->locks, 1, &bench->owner), "owner");
    bench->count = count;
}

static void bench_close(struct bench *bench)
{
    lock_owner_destroy(bench->owner);
    lock_table_destroy(bench->locks);
}

static void lock_key(struct lock_owner *owner, uint64_t key)
{
    struct lock_request request = {.target = lock_target_key(TABLE, 0, index_key_word(key)),
                                   .mode = ROW_LOCK_UPDATE,
                                   .relation = "t"};
    must(lock_acquire(owner, &request, NULL, NULL), "a key");
}

static void run_key(struct lock_owner *owner, uint64_t seed, uint64_t count)
{
    struct random random = random_seeded(seed);
    for (uint64_t i = 0; i < count; i++) {
        lock_key(owner, random_next(&random));
        lock_release_all(owner);
    }
}

static void run_statement(struct lock_owner *owner, uint64_t seed, uint64_t count)
{
    struct random random = random_seeded(seed);
    const struct lock_request table = {
        .target = lock_target_table(TABLE), .mode = TABLE_LOCK_ROW_EXCLUSIVE, .relation = "t"};
    for (uint64_t i = 0; i < count; i += 2) {
        must(lock_acquire(owner, &table, NULL, NULL), "a table");
        lock_key(owner, random_next(&random));
        lock_release_all(owner);
    }
}

static void run_keys(struct lock_owner *owner, uint64_t seed, uint64_t count)
{
    struct random random = random_seeded(seed);
    for (uint64_t i = 1; i <= count; i++) {
        lock_key(owner, random_next(&random));
        if (i % 1000 == 0)
            lock_release_all(owner);
    }
    lock_release_all(owner);
}

static void run_text(struct lock_owner *owner, uint64_t seed, uint64_t count)
{
    struct random random = random_seeded(seed);
    uint8_t text[20] = "a key of some text";
    for (uint64_t i = 0; i < count; i++) {
        uint64_t word = random_next(&random);
        memcpy(text, &word, sizeof word);
        struct lock_request request = {.mode = ROW_LOCK_UPDATE, .relation = "t"};
        request.target =
            lock_target_key(TABLE, 0, (struct index_key){.bytes = text, .length = sizeof text});
        must(lock_acquire(owner, &request, NULL, NULL), "a key");
        lock_release_all(owner);
    }
}

typedef void runner(struct lock_owner *owner, uint64_t seed, uint64_t count);

static bool figure(const char *name, runner *run, uint64_t count)
{
    struct figure figure = {.name = name, .unit = "ns", .peer_name = "bound", .target = 1.0};
    struct bench bench;
    bench_open(&bench, count);
    run(bench.owner, 0, count);
    for (int i = 0; i < FIGURE_PAIRS; i++) {
        double begun = figure_seconds();
        run(bench.owner, (uint64_t)i, count);
        figure_add(&figure, (figure_seconds() - begun) * 1e9 / (double)count, BOUND_NS);
    }
    bench_close(&bench);
    return figure_print(&figure);
}

/* --- without a bound --- */

struct worker {
    pthread_t thread;
    struct lock_owner *owner;
    uint64_t seed, count;
    bool hot;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (uint64_t i = 0; worker->hot && i < worker->count; i++) {
        lock_key(worker->owner, 7);
        lock_release_all(worker->owner);
    }
    if (!worker->hot)
        run_key(worker->owner, worker->seed, worker->count);
    return NULL;
}

/* Nanoseconds a lock, by the clock on the wall. */
static double threads(struct bench *bench, uint64_t threads, bool hot)
{
    struct worker workers[THREADS];
    uint64_t count = bench->count / threads / (hot ? 10 : 1) + 1;
    double begun = figure_seconds();
    for (uint64_t i = 0; i < threads; i++) {
        workers[i] = (struct worker){.seed = i + 1, .count = count, .hot = hot};
        must(lock_owner_create(bench->locks, i + 2, &workers[i].owner), "owner");
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            must(OMEN_INSUFFICIENT_RESOURCES, "thread");
    }
    for (uint64_t i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        lock_owner_destroy(workers[i].owner);
    }
    return (figure_seconds() - begun) * 1e9 / (double)(count * threads);
}

static double asked(struct bench *bench)
{
    struct random random = random_seeded(5);
    uint64_t found = 0;
    double begun = figure_seconds();
    for (uint64_t i = 0; i < bench->count; i++) {
        struct lock_target target = lock_target_key(TABLE, 0, index_key_word(random_next(&random)));
        found += lock_held_by_others(bench->locks, NULL, &target, ROW_LOCK_UPDATE);
    }
    double seconds = figure_seconds() - begun;
    if (found > 0)
        must(OMEN_INTERNAL, "found a lock that is not there");
    return seconds * 1e9 / (double)bench->count;
}

static void numbers(uint64_t count)
{
    struct bench bench;
    bench_open(&bench, count);
    double unheld = asked(&bench);
    lock_key(bench.owner, 7);
    double held = asked(&bench);
    lock_release_all(bench.owner);
    double begun = figure_seconds();
    struct random random = random_seeded(3);
    for (uint64_t i = 0; i < count; i++)
        lock_key(bench.owner, random_next(&random));
    double taken = figure_seconds();
    size_t bytes = bench.allocator.bytes_used;
    lock_release_all(bench.owner);
    double released = figure_seconds();
    printf("{\"locks\":%" PRIu64 ",\"take_ns\":%.1f,\"release_ns\":%.1f,\"bytes_each\":%.1f,"
           "\"asked_unheld_ns\":%.1f,\"asked_held_ns\":%.1f",
           count, (taken - begun) * 1e9 / (double)count, (released - taken) * 1e9 / (double)count,
           (double)bytes / (double)count, unheld, held);
    for (uint64_t i = 1; i <= THREADS; i *= 8)
        printf(",\"threads_%" PRIu64 "_ns\":%.1f", i, threads(&bench, i, false));
    for (uint64_t i = 1; i <= THREADS; i *= 8)
        printf(",\"hot_%" PRIu64 "_ns\":%.1f", i, threads(&bench, i, true));
    printf("}\n");
    bench_close(&bench);
}

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : NULL;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    static const struct {
        const char *name;
        runner *run;
    } figures[] = {{"lock.uncontended.key", run_key},
                   {"lock.uncontended.statement", run_statement},
                   {"lock.uncontended.keys", run_keys},
                   {"lock.uncontended.text", run_text}};
    bool met = true;
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        if (figure_wanted(figures[i].name, wanted))
            met = figure(figures[i].name, figures[i].run, count) && met;
    numbers(count);
    return met ? 0 : 1;
}
