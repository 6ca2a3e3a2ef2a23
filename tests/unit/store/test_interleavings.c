/* test_interleavings.c - whatever comes between the steps of checkpoints, freezing, compaction, commits
 * and readers: one thread makes all of them, a piece at a time, in an order drawn from a seed.
 *
 *   commit       placed and applied, in flight         | durable, published
 *   rewrite      chosen | built | put in place, with the ends that came meanwhile
 *   checkpoint   begun: state C | a segment, an ends file ... | manifest, log released
 *   reader       a snapshot and a view of it | looked at again and again | let go
 *   columns      of groups that lie in segments let go, and loaded again
 *   maintenance  bounded steps: erasing, repointing, dropping
 *   power        cut, and what the disk then holds is opened; or closed cleanly
 *
 * Beside the table a model keeps all versions with begin and end, so it says what each reader must see,
 * by scan and by index, and what must be there after a power cut: everything acknowledged, up to
 * some commit. OMEN_SEED=n replays one seed; OMEN_STEPS=n makes a run longer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "crash/sim_disk.h"
#include "store/storage_private.h"
#include "table/table_adopt.h"
#include "table/table_maintain_private.h"
#include "unit/table/support.h"

enum { KIDS = 240, READERS = 4, FLIGHTS = 8, SEEDS = 30, STEPS = 2000 };

struct reader {
    struct snapshot snapshot;
    struct table_view *view; /* NULL: none */
};

/* A rewrite in the making: nothing, chosen, or built. */
struct making {
    enum { MAKING_NOTHING, MAKING_CHOSEN, MAKING_BUILT } stage;
    struct step step;
    struct maintain_report report;
    struct rewrite rewrite;
};

struct world {
    struct random random;
    struct sim_disk *disk;
    struct database *database;
    struct model base;  /* whose schema is the table's */
    struct model model; /* of the database's table */
    struct reader readers[READERS];
    struct txn_ticket flights[FLIGHTS];
    size_t flight_count;
    uint64_t acknowledged; /* newest timestamp that somebody was told of */
    struct making making;
    struct checkpoint *checkpoint;
};

/* How often each thing was done, over all seeds: what never happens tests nothing. */
static struct {
    int unloaded, commits, rewrites, overtaken_rewrites, checkpoints, overtaken_checkpoints, cuts, reads;
} done;

static void must(omen_status status, const omen_error *error)
{
    if (status != OMEN_OK)
        fail_msg("%s %s", error->sqlstate, error->message);
}

static uint64_t draw(struct world *world, uint64_t below)
{
    return random_below(&world->random, below);
}

/* --- opening and closing --- */

static void open_database(struct world *world)
{
    const struct database_options options = {.path = "/db",
                                             .log_file_bytes = 64 * 1024,
                                             .no_background = true,
                                             .plain_segments = true};
    omen_error error;
    must(database_open(sim_disk_os(world->disk), &options, &world->database, &error), &error);
    world->model.manager = world->database->manager;
}

static void find_table(struct world *world)
{
    omen_error error;
    must(catalog_find(world->database->catalog, "thing", 5, &world->model.table, &error), &error);
}

static void let_go(struct reader *reader)
{
    if (reader->view == NULL)
        return;
    table_view_release(reader->view);
    snapshot_release(&reader->snapshot);
    *reader = (struct reader){.view = NULL};
}

static void abandon(struct world *world)
{
    for (int i = 0; i < READERS; i++)
        let_go(&world->readers[i]);
    if (world->making.stage != MAKING_NOTHING)
        rewrite_release(&world->making.step, &world->making.rewrite);
    world->making.stage = MAKING_NOTHING;
    checkpoint_destroy(world->checkpoint);
    world->checkpoint = NULL;
    world->flight_count = 0;
}

static void close_database(struct world *world)
{
    abandon(world);
    table_release(world->model.table);
    world->model.table = NULL;
    assert_int_equal(database_close(world->database, NULL), OMEN_OK);
    assert_int_equal(sim_disk_open_count(world->disk), 0);
}

static void make_world(struct world *world, uint64_t seed)
{
    static const enum key_kind kinds[] = {KEY_BIGINT, KEY_TEXT, KEY_PAIR};
    omen_error error;
    memset(world, 0, sizeof *world);
    world->random = random_seeded(seed);
    world->disk = sim_disk_create(seed);
    model_open(&world->base, kinds[seed % 3]);
    world->model = world->base;
    open_database(world);
    must(database_create_table(world->database, "thing", world->base.schema, &error), &error);
    find_table(world);
    world->acknowledged = txn_published(world->model.manager);
}

static void end_world(struct world *world)
{
    close_database(world);
    sim_disk_destroy(world->disk);
    world->base.versions = world->model.versions;
    world->base.newest = world->model.newest;
    model_close(&world->base);
}

/* --- commits --- */

static void settle(struct world *world)
{
    omen_error error;
    for (size_t i = 0; i < world->flight_count; i++) {
        must(txn_wait(world->model.manager, &world->flights[i], &error), &error);
        world->acknowledged = world->flights[i].timestamp;
    }
    world->flight_count = 0;
}

static void change(struct world *world, struct test_txn *txn)
{
    int32_t kid = (int32_t)draw(world, KIDS);
    bool lives = model_live(&world->model, kid) != NULL;
    switch (draw(world, 4)) {
    case 0:
        (void)!test_txn_delete(txn, kid);
        break;
    case 1:
        (void)!test_txn_update(txn, kid, (int32_t)draw(world, KIDS), 2);
        break;
    default:
        if (lives)
            (void)!test_txn_update(txn, kid, kid, (int)draw(world, 3));
        else
            assert_int_equal(test_txn_insert(txn, kid), OMEN_OK);
    }
}

static void commit(struct world *world)
{
    struct test_txn txn;
    struct txn_ticket ticket;
    bool relaxed = draw(world, 8) == 0;
    if (world->flight_count == FLIGHTS)
        settle(world);
    assert_int_equal(test_txn_begin(&world->model, &txn), OMEN_OK);
    for (uint64_t i = draw(world, 6) + 1; i > 0; i--)
        change(world, &txn);
    bool changes = txn.count > 0; /* else the log has nothing of it */
    if (test_txn_launch(&txn, relaxed ? TXN_RELAXED : TXN_DURABLE, &ticket) != OMEN_OK)
        return;
    done.commits++;
    if (!relaxed && changes)
        world->flights[world->flight_count++] = ticket;
    if (draw(world, 2) == 0)
        settle(world);
}

/* --- readers --- */

static void look(struct world *world, struct reader *reader)
{
    struct model *model = &world->model;
    struct table_view *again;
    uint64_t timestamp = reader->snapshot.timestamp;
    done.reads++;
    assert_int_equal(check_scan(model, reader->view, timestamp, NULL, 0, true), OMEN_OK);
    assert_int_equal(table_view_open(model->table, &reader->snapshot, &again), OMEN_OK);
    assert_int_equal(check_scan(model, again, timestamp, NULL, 0, true), OMEN_OK);
    table_view_release(again);
    for (int32_t kid = (int32_t)draw(world, 8); kid < KIDS; kid += 8)
        assert_int_equal(check_point(model, &reader->snapshot, kid), OMEN_OK);
}

static void begin_reading(struct world *world, struct reader *reader)
{
    struct model *model = &world->model;
    assert_int_equal(snapshot_acquire(model->manager, &reader->snapshot), OMEN_OK);
    assert_int_equal(table_view_open(model->table, &reader->snapshot, &reader->view), OMEN_OK);
}

static void read_on(struct world *world)
{
    struct reader *reader = &world->readers[draw(world, READERS)];
    if (reader->view == NULL)
        begin_reading(world, reader);
    else
        look(world, reader);
    if (draw(world, 3) == 0)
        let_go(reader);
}

/* --- maintenance --- */

static void seal(struct world *world)
{
    table_seal_open(world->model.table);
}

static void maintain(struct world *world)
{
    if (world->making.stage == MAKING_NOTHING) /* one at a time */
        assert_int_equal(table_maintain(world->model.table, 1 + draw(world, 200), NULL), OMEN_OK);
}

static void rewrite_on(struct world *world)
{
    static int commits;
    struct making *making = &world->making;
    struct txn_manager *manager = world->model.manager;
    if (making->stage == MAKING_CHOSEN) {
        assert_int_equal(rewrite_build(&making->step, &making->rewrite), OMEN_OK);
        making->stage = MAKING_BUILT;
        return;
    }
    txn_writer_lock(manager);
    making->step.watermark = txn_watermark(manager);
    if (making->stage == MAKING_BUILT) {
        assert_int_equal(rewrite_install(&making->step, &making->rewrite), OMEN_OK);
        rewrite_release(&making->step, &making->rewrite);
        making->stage = MAKING_NOTHING;
        done.rewrites++;
        done.overtaken_rewrites += done.commits > commits;
    } else {
        *making = (struct making){.step = {.table = world->model.table,
                                           .watermark = making->step.watermark,
                                           .budget = 1,
                                           .report = &making->report}};
        if (rewrite_choose(&making->step, &making->rewrite))
            making->stage = MAKING_CHOSEN;
        commits = done.commits;
    }
    txn_writer_unlock(manager);
}

/* Columns that checkpoints have written are let go. */
static void let_columns_go(struct world *world)
{
    uint64_t freed;
    if (world->making.stage != MAKING_NOTHING)
        return;
    assert_int_equal(table_unload(world->model.table, 1 + draw(world, 100000), 2, &freed), OMEN_OK);
    done.unloaded += freed > 0;
}

/* --- checkpoints --- */

static void checkpoint_on(struct world *world)
{
    static int commits;
    omen_error error;
    bool more = true;
    if (world->checkpoint == NULL) {
        commits = done.commits;
        must(checkpoint_begin(world->database->storage, &world->checkpoint, &error), &error);
        return;
    }
    must(checkpoint_step(world->checkpoint, &more, &error), &error);
    if (more)
        return;
    must(checkpoint_finish(world->checkpoint, &error), &error);
    checkpoint_destroy(world->checkpoint);
    world->checkpoint = NULL;
    done.checkpoints++;
    done.overtaken_checkpoints += done.commits > commits;
}

/* --- the present, and the power --- */

static void check_present(struct world *world)
{
    struct reader now;
    if (draw(world, 2) == 0) {
        settle(world);
        check_valid(&world->model);
    }
    begin_reading(world, &now);
    look(world, &now);
    let_go(&now);
}

static void cut_power(struct world *world)
{
    enum sim_mode mode = (enum sim_mode)draw(world, SIM_MODE_COUNT);
    struct sim_disk *image = sim_disk_draw(world->disk, mode, random_next(&world->random));
    close_database(world); /* on the disk that nobody sees again */
    sim_disk_destroy(world->disk);
    world->disk = image;
    open_database(world);
    find_table(world);
    uint64_t recovered = txn_published(world->model.manager);
    if (recovered < world->acknowledged)
        fail_msg("commit %llu was acknowledged, and is not there: the last is %llu (%s)",
                 (unsigned long long)world->acknowledged, (unsigned long long)recovered,
                 sim_mode_names[mode]);
    model_forget(&world->model, recovered);
    check_all(&world->model, KIDS);
    world->acknowledged = recovered;
    done.cuts++;
}

static void close_and_open(struct world *world)
{
    settle(world);
    close_database(world);
    open_database(world);
    find_table(world);
    check_all(&world->model, KIDS);
    world->acknowledged = txn_published(world->model.manager);
}

/* --- all of it --- */

static void step(struct world *world)
{
    static void (*const often[])(struct world *) = {
        commit,   commit,   commit,     commit,        commit,        commit, settle, rewrite_on,
        maintain, read_on,  rewrite_on, rewrite_on,    rewrite_on,    seal,   seal,   checkpoint_on,
        maintain, rewrite_on, read_on,  checkpoint_on, checkpoint_on, check_present,
        let_columns_go};
    uint64_t choice = draw(world, 1000);
    if (choice < 5)
        cut_power(world);
    else if (choice < 7)
        close_and_open(world);
    else
        often[choice % (sizeof often / sizeof *often)](world);
}

static uint64_t number_of(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text == NULL ? fallback : strtoull(text, NULL, 10);
}

static void test_steps_in_any_order(void **state)
{
    (void)state;
    bool replays = getenv("OMEN_SEED") != NULL;
    uint64_t first = number_of("OMEN_SEED", 1), steps = number_of("OMEN_STEPS", STEPS);
    for (uint64_t seed = first; seed < first + (replays ? 1 : SEEDS); seed++) {
        static struct world world;
        print_message("OMEN_SEED=%llu\n", (unsigned long long)seed);
        make_world(&world, seed);
        for (uint64_t i = 0; i < steps; i++)
            step(&world);
        check_present(&world);
        end_world(&world);
    }
    print_message("%d commits, %d rewrites (%d overtaken by commits), %d checkpoints (%d), "
                  "%d power cuts, %d reads, %d times columns let go\n",
                  done.commits, done.rewrites, done.overtaken_rewrites, done.checkpoints,
                  done.overtaken_checkpoints, done.cuts, done.reads, done.unloaded);
    if (replays)
        return;
    assert_true(done.overtaken_rewrites > SEEDS * 15 && done.overtaken_checkpoints > SEEDS * 20 &&
                done.cuts > SEEDS * 2 && done.unloaded > SEEDS * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps_in_any_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
