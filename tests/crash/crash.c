/* crash.c - crashes of a whole database: whatever the power does, it opens as of some commit.
 *
 * An episode opens a database in a directory of the simulated disk and works on it: commits of all
 * kinds, durable or not, tables made and dropped, checkpoints, maintenance, old readers, a full
 * disk, failing calls. At every boundary between calls on the disk an image may be drawn. Each is
 * opened and read by scan and by index: it must be the model after some commit k with
 * acknowledged <= k <= appended. Then it works on, crashes again, and its recovery is crashed, up
 * to three deep.
 *
 * Everything runs on one thread; background work is done by calls in between. While a checkpoint
 * writes its files, commits, maintenance, readers and DDL come in between its calls on the disk.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crash/crash_database.h"
#include "crash/crash_model.h"
#include "crash/crash_run.h"

enum { TEXT_BYTES = 512, STEPS = 100, BIRTHS = 4, FLIGHTS_MAX = 8, PARQUET_ONE_IN = 8 };

struct world {
    struct crash_run *run;
    struct crash_database it;
    omen_snapshot *reader; /* an old one, or NULL */
    uint64_t reader_hash;
    struct model model;
    bool fails; /* `plan` is: a call fails, or will */
    struct crash_plan plan;
    bool newborn;       /* it has never been open */
    bool checkpointing; /* other work may come in between its calls */
    unsigned depth;
    uint64_t one_in; /* images are drawn at one in so many boundaries */
};

static void watch(void *context, struct sim_disk *disk, enum sim_call call, enum sim_kind kind);

/* Images between calls, where more is acknowledged than at the next call's boundary. */
static void watch_often(struct world *world, unsigned times)
{
    uint64_t one_in = world->one_in;
    world->one_in = world->depth == 0 ? 1 : 4;
    for (unsigned i = 0; i < times; i++)
        watch(world, world->it.disk, SIM_CALL_COUNT, SIM_KIND_COUNT);
    world->one_in = one_in;
}

/* --- failing calls --- */

static void begin_failing(struct world *world, enum crash_scene scene)
{
    world->fails = true;
    world->plan = crash_plan_failure(world->run, world->it.disk, scene);
    /* The reserve is given up when the disk is full, and never else. */
    if (world->plan.kind == SIM_RESERVE_FILE && world->plan.call == SIM_REMOVE &&
        scene == CRASH_WORKING)
        sim_disk_set_capacity(world->it.disk, sim_disk_used(world->it.disk));
}

static void end_failing(struct world *world)
{
    if (world->fails)
        crash_note_failures(world->run, world->it.disk, &world->plan);
    sim_disk_mend(world->it.disk);
    world->fails = false;
}

/* --- old readers --- */

/* Counts a verdict that is wrong; reads may fail where calls are planned to. */
static void judge(struct world *world, enum model_verdict verdict, const char *when,
                  const char *text)
{
    static const enum crash_result results[] = {[MODEL_LOST] = CRASH_LOST,
                                                [MODEL_HALF] = CRASH_HALF,
                                                [MODEL_UNREADABLE] = CRASH_UNOPENABLE};
    if (verdict == MODEL_UNREADABLE && world->fails)
        crash_count(world->run, "failed_reads", 1);
    else if (verdict != MODEL_SAME && !crash_failed(world->run))
        crash_fail(world->run, results[verdict], "depth %u, %s: %s", world->depth, when, text);
}

static void drop_reader(struct world *world)
{
    struct model_state found;
    char text[TEXT_BYTES];
    if (world->reader == NULL)
        return;
    enum model_verdict verdict =
        model_scan(world->it.durable, world->reader, &found, text, sizeof text);
    judge(world, verdict, "an old reader", text);
    if (verdict == MODEL_SAME && found.hash != world->reader_hash)
        judge(world, MODEL_HALF, "an old reader", "sees something else than before");
    omen_snapshot_release(world->reader);
    world->reader = NULL;
}

static void close_database(struct world *world)
{
    drop_reader(world);
    if (crash_database_close(&world->it) == OMEN_OK)
        crash_count(world->run, "closes", 1);
}

/* --- comparing --- */

static enum model_verdict compare(struct world *world, bool settle, const char *when)
{
    char text[TEXT_BYTES];
    enum model_verdict verdict =
        model_compare(&world->model, world->it.durable, settle, text, sizeof text);
    judge(world, verdict, when, text);
    return verdict;
}

/* --- work --- */

static void checkpoint(struct world *world)
{
    omen_error error;
    crash_count(world->run, "checkpoints", 1);
    world->checkpointing = random_below(crash_random(world->run), 2) == 0;
    if (crash_database_run(world->it.durable, "CHECKPOINT", &error) != OMEN_OK)
        crash_count(world->run, "failed_checkpoints", 1);
    world->checkpointing = false;
}

static void maintain(struct world *world)
{
    world->it.maintained = (struct maintain_report){0};
    crash_database_maintain(&world->it, crash_random(world->run));
    const struct maintain_report *done = &world->it.maintained;
    crash_count(world->run, "frozen", done->groups_frozen);
    crash_count(world->run, "compacted", done->groups_compacted);
    crash_count(world->run, "dropped", done->groups_dropped);
    crash_count(world->run, "repointed", done->entries_repointed);
    crash_count(world->run, "erased", done->entries_erased);
}

/* Of the background thread: a checkpoint takes several, and all else comes in between. */
static void turn(struct world *world)
{
    crash_count(world->run, "turns", 1);
    world->checkpointing = random_below(crash_random(world->run), 2) == 0;
    crash_database_turn(&world->it, crash_random(world->run));
    world->checkpointing = false;
}

/* Not while a commit's outcome is unknown: it may be a table's, which appears when there is room.
 */
static void take_reader(struct world *world)
{
    crash_count(world->run, "readers", 1);
    struct model_state found;
    char text[TEXT_BYTES];
    omen_error error;
    drop_reader(world);
    if (world->model.unsure ||
        omen_snapshot_create(world->it.durable, &world->reader, &error) != OMEN_OK)
        return;
    enum model_verdict verdict =
        model_scan(world->it.durable, world->reader, &found, text, sizeof text);
    judge(world, verdict, "a new reader", text);
    world->reader_hash = found.hash;
    if (verdict != MODEL_SAME) {
        omen_snapshot_release(world->reader);
        world->reader = NULL;
    }
}

static void fill_disk(struct world *world)
{
    struct random *random = crash_random(world->run);
    uint64_t room = random_below(random, 2) == 0 ? 0 : 1 + random_below(random, 30) * 4096;
    sim_disk_set_capacity(world->it.disk, room == 0 ? 0 : sim_disk_used(world->it.disk) + room);
}

static void judge_commit(struct world *world, omen_status status, const omen_error *error)
{
    if (status == OMEN_OK)
        return;
    crash_count(world->run, "failed_commits", 1);
    /* Where a commit's outcome is unknown, so is what later ones find. */
    bool expected = world->model.unsure || status == OMEN_IO_ERROR || status == OMEN_DISK_FULL ||
                    status == OMEN_COMMIT_UNKNOWN || status == OMEN_OUT_OF_MEMORY;
    if (!expected && !crash_failed(world->run))
        crash_fail(world->run, CRASH_HALF, "a commit failed with %s: %s", error->sqlstate,
                   error->message);
}

/* Durable commits make what came before them durable too. */
static void commit(struct world *world, bool durable)
{
    omen_error error = {0};
    omen_connection *connection = durable ? world->it.durable : world->it.asynchronous;
    crash_count(world->run, durable ? "commits" : "asynchronous", 1);
    omen_status status =
        model_write(&world->model, connection, crash_random(world->run), durable, &error);
    judge_commit(world, status, &error);
}

/* Several sessions at once: all append, and then they wait, in any order. */
static void commit_many(struct world *world)
{
    struct random *random = crash_random(world->run);
    struct model_flight flights[FLIGHTS_MAX];
    omen_error error = {0};
    uint64_t count = 2 + random_below(random, FLIGHTS_MAX - 1);
    crash_count(world->run, "in_flight", count);
    for (uint64_t i = 0; i < count; i++)
        judge_commit(world,
                     model_append(&world->model, world->it.durable, random, &flights[i], &error),
                     &error);
    while (count > 0 && !crash_failed(world->run)) {
        uint64_t i = random_below(random, count);
        watch_often(world, 1);
        if (random_below(random, 8) == 0)
            maintain(world);
        judge_commit(world, model_wait(&world->model, world->it.durable, &flights[i], &error),
                     &error);
        flights[i] = flights[--count];
    }
}

/* Names are not versioned: an old reader goes first. */
static void define(struct world *world)
{
    omen_error error;
    drop_reader(world);
    crash_count(world->run, "definitions", 1);
    if (model_define(&world->model, world->it.durable, crash_random(world->run), &error) != OMEN_OK)
        crash_count(world->run, "failed_definitions", 1);
}

/* Many rows by one statement, into a table that is there or comes with them. */
static void load(struct world *world)
{
    struct random *random = crash_random(world->run);
    omen_error error = {0};
    bool durable = random_below(random, 4) != 0, copies = random_below(random, 2) == 0;
    omen_connection *connection = durable ? world->it.durable : world->it.asynchronous;
    crash_count(world->run, copies ? "copies" : "tables_as", 1);
    if (!copies)
        drop_reader(world);
    judge_commit(world,
                 (copies ? model_copy : model_create_as)(&world->model, connection, random, durable,
                                                         &error),
                 &error);
}

/* Several statements, one commit. Tables may go in it. */
static void transact(struct world *world)
{
    struct random *random = crash_random(world->run);
    omen_error error = {0};
    bool durable = random_below(random, 4) != 0;
    crash_count(world->run, "transactions", 1);
    drop_reader(world);
    judge_commit(world,
                 model_transaction(&world->model,
                                   durable ? world->it.durable : world->it.asynchronous, random,
                                   durable, &error),
                 &error);
}

/* One step; false where the database can do no more. */
static bool step(struct world *world)
{
    uint64_t choice = random_below(crash_random(world->run), 100);
    if (choice < 32)
        commit(world, true);
    else if (choice < 42)
        transact(world);
    else if (choice < 50)
        load(world);
    else if (choice < 62)
        commit(world, false);
    else if (choice < 67)
        commit_many(world);
    else if (choice < 75)
        define(world);
    else if (choice < 82)
        checkpoint(world);
    else if (choice < 87)
        maintain(world);
    else if (choice < 92)
        turn(world);
    else if (choice < 95)
        take_reader(world);
    else if (choice < 96)
        drop_reader(world);
    else if (choice < 98)
        fill_disk(world);
    else
        (void)compare(world, false, "while it is open");
    return !crash_failed(world->run);
}

static void work(struct world *world, unsigned steps)
{
    for (unsigned i = 0; i < steps && step(world); i++)
        watch(world, world->it.disk, SIM_CALL_COUNT, SIM_KIND_COUNT);
}

/* --- images --- */

/* Opens the world's database and compares; the second time where the first met a planned failure.
 */
static void reopen(struct world *world, bool fails)
{
    omen_error error = {0};
    if (fails && !world->fails)
        begin_failing(world, world->newborn ? CRASH_CREATING : CRASH_OPENING);
    bool opened = crash_database_open(&world->it, &error);
    if (fails) {
        if (opened)
            (void)compare(world, false, "while calls fail");
        end_failing(world);
        if (!opened && !crash_failed(world->run)) {
            crash_count(world->run, "failed_recoveries", 1);
            opened = crash_database_open(&world->it, &error);
        }
    }
    world->newborn = world->newborn && !opened;
    if (!opened && !crash_failed(world->run))
        crash_fail(world->run, CRASH_UNOPENABLE, "depth %u: %s", world->depth, error.message);
    if (opened)
        (void)compare(world, true, "after recovery");
}

/* Closes the database; what calls that failed have left must be some state too. */
static void end(struct world *world)
{
    bool failed = world->fails;
    close_database(world);
    end_failing(world);
    if (failed && !crash_failed(world->run)) {
        sim_disk_set_capacity(world->it.disk, 0);
        reopen(world, false);
        if (world->it.database != NULL)
            close_database(world);
    }
}

static void check(void *context, struct sim_disk *image, unsigned depth)
{
    const struct world *parent = context;
    struct random *random = crash_random(parent->run);
    struct world *world = malloc(sizeof *world);
    OMEN_ASSERT(world != NULL);
    *world = *parent;
    world->it.disk = image;
    world->it.database = NULL;
    world->reader = NULL;
    world->fails = world->checkpointing = false;
    world->depth = depth;
    world->one_in = 24;
    sim_disk_set_capacity(image, 0);
    sim_disk_watch(image, watch, world);
    reopen(world, random_below(random, world->newborn ? 2 : 16) == 0);
    if (world->it.database != NULL) {
        bool breaks = random_below(random, 16) == 0;
        watch_often(world, 1);
        if (breaks)
            begin_failing(world, CRASH_WORKING);
        if ((breaks || random_below(random, 4) == 0) && !crash_failed(world->run))
            work(world, 1 + (unsigned)random_below(random, 12));
        if (random_below(random, 8) == 0 && !crash_failed(world->run))
            (void)compare(world, false, "after work");
        end(world);
    }
    watch_often(world, 1);
    sim_disk_watch(image, NULL, NULL);
    free(world);
}

static omen_status wait_no_longer(void *context, omen_error *error)
{
    return OMEN_CANCELLED;
}

/* Whether the writer lock is free: whoever holds it is below us on this thread's stack. */
static bool writer_is_free(const struct world *world)
{
    const struct txn_patience patience = {.ask = wait_no_longer};
    struct txn_manager *manager = world->it.database->manager;
    if (txn_writer_lock_patiently(manager, &patience, NULL) != OMEN_OK)
        return false;
    txn_writer_unlock(manager);
    return true;
}

/* Something else happens while a checkpoint writes its files: on this thread, so it repeats. Not
 * where the log or the writer lock is taken. */
static void interleave(struct world *world, enum sim_kind kind)
{
    uint64_t choice = random_below(crash_random(world->run), 24);
    if (!world->checkpointing || kind == SIM_LOG || kind == SIM_LOG_FOLDER || choice >= 8 ||
        !writer_is_free(world))
        return;
    world->checkpointing = false;
    crash_count(world->run, "interleaved", 1);
    if (choice < 5)
        commit(world, choice < 3);
    else if (choice == 5)
        maintain(world);
    else if (choice == 6)
        take_reader(world);
    else if (random_below(crash_random(world->run), 2) == 0)
        define(world);
    else
        load(world);
    world->checkpointing = true;
}

static void watch(void *context, struct sim_disk *disk, enum sim_call call, enum sim_kind kind)
{
    struct world *world = context;
    if (crash_failed(world->run))
        return;
    interleave(world, kind);
    bool rare = (call == SIM_REMOVE || call == SIM_TRUNCATE) && kind == SIM_RESERVE_FILE;
    crash_boundary(world->run, disk, call, kind, world->depth, rare ? 1 : world->one_in,
                   world->model.changes + (uint64_t)world->depth * 1000003, check, world);
}

/* A world in which nothing is yet. */
static struct world *begin_world(struct crash_run *run, struct random *random)
{
    struct world *world = calloc(1, sizeof *world);
    OMEN_ASSERT(world != NULL);
    *world = (struct world){.run = run, .newborn = true, .one_in = 2};
    world->it.disk = sim_disk_create(random_next(random));
    world->it.log_file_bytes = 16384 + 4096 * random_below(random, 8);
    if (crash_seed(run) % PARQUET_ONE_IN == 0)
        world->it.engine = crash_engine(run);
    sim_disk_watch(world->it.disk, watch, world);
    return world;
}

static void end_world(struct world *world)
{
    crash_note_calls(world->run, world->it.disk);
    sim_disk_destroy(world->it.disk);
    free(world);
}

static void episode(struct crash_run *run, struct random *random)
{
    struct world *world;
    for (int i = 0; i < BIRTHS && !crash_failed(run); i++) {
        world = begin_world(run, random);
        if (i % 2 == 0)
            begin_failing(world, CRASH_FOUNDING);
        reopen(world, i % 2 == 0 || random_below(random, 2) == 0);
        if (world->it.database != NULL)
            close_database(world);
        end_world(world);
    }
    world = begin_world(run, random);
    reopen(world, false);
    if (world->it.database != NULL) {
        for (int i = 0; i < 4; i++)
            define(world);
        if (random_below(random, 2) == 0)
            begin_failing(world, CRASH_WORKING);
        work(world, STEPS);
        if (!crash_failed(run))
            (void)compare(world, false, "at the end");
        watch_often(world, 4);
        end(world);
        watch_often(world, 4);
    }
    end_world(world);
}

int main(int argc, char **argv)
{
    return crash_main(argc, argv, CRASH_DATABASE, episode);
}
