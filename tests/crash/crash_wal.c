/* crash_wal.c - crashes of the log alone: what was acknowledged is replayed, in order, byte by
 * byte.
 *
 * An episode appends commits of random sizes, syncs some, releases and closes, while images are
 * drawn at every boundary. Each image is recovered: what is replayed must be the commits from the
 * checkpoint on, in order and whole, up to some k with acknowledged <= k <= appended. Then the
 * image appends, crashes and recovers in turn. The manifest is played by `start`, which moves
 * before wal_release is called, as a durable manifest would.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crash/crash_run.h"
#include "wal/wal.h"

enum { COMMITS_MAX = 600, PAYLOAD_MAX = 1u << 20, FILE_BYTES_MIN = 16 * 1024 };

static const char folder[] = "db/log";

struct commit {
    uint64_t id; /* its bytes come from it */
    uint64_t end_lsn;
    uint32_t length;
};

struct model {
    struct commit commits[COMMITS_MAX + 1];
    size_t count;        /* appended, those under way included */
    size_t acknowledged; /* of them */
    size_t start;        /* commits that the checkpoint holds */
    uint64_t start_lsn, proven_lsn;
    uint64_t changes; /* grows whenever one of these changes */
};

struct world {
    struct crash_run *run;
    struct sim_disk *disk;
    struct wal *wal; /* NULL while it is closed */
    struct allocator *allocator;
    struct model model;
    uint64_t file_bytes;
    bool created; /* the manifest names the log */
    unsigned depth;
    uint64_t one_in; /* images are drawn at one in so many boundaries */
};

/* What replay has found so far. */
struct replay {
    const struct model *model;
    struct crash_run *run;
    size_t next;   /* the commit that comes */
    size_t offset; /* bytes of it seen */
    bool differs;  /* and they were others: right only where they are discarded */
    bool wrong;
};

/* The commit's bytes, until the next call. */
static const uint8_t *payload_of(const struct commit *commit)
{
    static uint64_t payload[PAYLOAD_MAX / sizeof(uint64_t)];
    static uint64_t id;
    if (id != commit->id) {
        struct random random = random_seeded(commit->id);
        for (size_t i = 0; i < (commit->length + 7) / 8; i++)
            payload[i] = random_next(&random);
        id = commit->id;
    }
    return (const uint8_t *)payload;
}

/* --- recovery --- */

static omen_status replay_data(void *context, const void *bytes, size_t length, omen_error *error)
{
    struct replay *replay = context;
    const struct commit *commit = &replay->model->commits[replay->next];
    replay->differs = replay->differs || replay->next >= replay->model->count ||
                      replay->offset + length > commit->length ||
                      memcmp(bytes, payload_of(commit) + replay->offset, length) != 0;
    replay->offset += length;
    return OMEN_OK;
}

static omen_status replay_commit(void *context, uint64_t lsn, omen_error *error)
{
    struct replay *replay = context;
    const struct commit *commit = &replay->model->commits[replay->next];
    if (!replay->wrong && replay->next >= replay->model->count) {
        crash_fail(replay->run, CRASH_LOST, "a commit is replayed behind all that were appended");
        replay->wrong = true;
    }
    if (!replay->wrong &&
        (replay->differs || replay->offset != commit->length || lsn != commit->end_lsn)) {
        crash_fail(replay->run, CRASH_HALF,
                   "commit %zu of %u bytes to LSN %llu is replayed as %zu %s bytes to LSN %llu",
                   replay->next, (unsigned)commit->length, (unsigned long long)commit->end_lsn,
                   replay->offset, replay->differs ? "other" : "right", (unsigned long long)lsn);
        replay->wrong = true;
    }
    replay->next += replay->next < replay->model->count;
    replay->offset = 0;
    replay->differs = false;
    return OMEN_OK;
}

static void replay_discard(void *context)
{
    struct replay *replay = context;
    replay->offset = 0;
    replay->differs = false;
}

static struct wal_options options_of(const struct world *world)
{
    struct wal_options options = {
        .allocator = world->allocator,
        .os = sim_disk_os(world->disk),
        .directory = folder,
        .file_bytes = world->file_bytes,
        .start_lsn = world->model.start_lsn,
        .proven_lsn = world->model.proven_lsn,
    };
    memset(options.database_id, 7, sizeof options.database_id);
    return options;
}

/* A log that no manifest names yet: whatever is there, it is made anew. */
static bool create(struct world *world, omen_error *error)
{
    const struct os *os = sim_disk_os(world->disk);
    const struct wal_options options = options_of(world);
    omen_status status = os->directory_create(os, "db", error);
    if (status == OMEN_OK || status == OMEN_OBJECT_IN_USE)
        status = wal_create(&options, &world->wal, error);
    if (status == OMEN_OK)
        status = os->directory_sync(os, "db", error);
    if (status == OMEN_OK)
        status = os->directory_sync(os, "/", error);
    if (status == OMEN_OK) {
        world->created = true;
        world->model.changes++;
    } else if (world->wal != NULL) {
        (void)!wal_close(world->wal, NULL);
        world->wal = NULL;
    }
    return status == OMEN_OK;
}

/* Opens the world's log and compares; false where it could not be opened or was wrong. */
static bool recover(struct world *world, omen_error *error)
{
    if (!world->created)
        return create(world, error);
    struct replay replay = {.model = &world->model, .run = world->run, .next = world->model.start};
    const struct wal_replay calls = {.context = &replay,
                                     .data = replay_data,
                                     .commit = replay_commit,
                                     .discard = replay_discard};
    const struct wal_options options = options_of(world);
    if (wal_recover(&options, &calls, &world->wal, error) != OMEN_OK)
        return false;
    struct model *model = &world->model;
    if (!replay.wrong && replay.next < model->acknowledged) {
        crash_fail(world->run, CRASH_LOST,
                   "%zu of %zu acknowledged commits are there (%zu "
                   "appended), from LSN %llu",
                   replay.next, model->acknowledged, model->count,
                   (unsigned long long)model->start_lsn);
        replay.wrong = true;
    }
    if (replay.wrong)
        return false;
    /* What the recovery gave must stay: readers have seen it. */
    model->count = model->acknowledged = replay.next;
    model->changes++;
    return true;
}

/* --- work --- */

static uint32_t choose_length(struct random *random)
{
    switch (random_below(random, 16)) {
    case 0:
        return 1 + (uint32_t)random_below(random, 20000);
    case 1:
        return random_below(random, 8) == 0 ? 1 + (uint32_t)random_below(random, 600000) : 3000;
    default:
        return 1 + (uint32_t)random_below(random, 300);
    }
}

static bool append_pieces(struct world *world, const struct commit *commit)
{
    struct random *random = crash_random(world->run);
    uint32_t middle = (uint32_t)random_below(random, commit->length);
    /* A copy: images that are checked meanwhile ask for other commits' bytes. */
    uint8_t *payload = malloc(commit->length);
    OMEN_ASSERT(payload != NULL);
    memcpy(payload, payload_of(commit), commit->length);
    bool done = (middle == 0 || wal_append(world->wal, payload, middle, NULL) == OMEN_OK) &&
                wal_append(world->wal, payload + middle, commit->length - middle, NULL) == OMEN_OK;
    free(payload);
    return done && random_below(random, 64) != 0;
}

static void append(struct world *world)
{
    struct random *random = crash_random(world->run);
    struct model *model = &world->model;
    const struct commit commit = {.id = random_next(random), .length = choose_length(random)};
    if (model->count == COMMITS_MAX || wal_reserve(world->wal, commit.length, NULL) != OMEN_OK)
        return;
    if (!append_pieces(world, &commit)) {
        wal_abandon(world->wal);
        return;
    }
    model->commits[model->count] = commit;
    model->commits[model->count].end_lsn = wal_commit(world->wal);
    model->count++;
    model->changes++;
}

static void sync_log(struct world *world)
{
    struct model *model = &world->model;
    if (model->count == 0 || model->count == model->start)
        return;
    struct random *random = crash_random(world->run);
    size_t unsynced = model->count - model->acknowledged;
    size_t upto =
        unsynced == 0 ? model->count : model->acknowledged + 1 + random_below(random, unsynced);
    if (upto == model->start ||
        wal_sync(world->wal, model->commits[upto - 1].end_lsn, NULL) != OMEN_OK)
        return;
    if (upto > model->acknowledged)
        model->acknowledged = upto;
    model->changes++;
}

/* A checkpoint at the last acknowledged commit. */
static void checkpoint(struct world *world)
{
    struct model *model = &world->model;
    if (wal_sync(world->wal, wal_end(world->wal), NULL) != OMEN_OK)
        return;
    model->acknowledged = model->start = model->count;
    model->start_lsn = model->proven_lsn = wal_durable(world->wal);
    model->changes++;
    if (wal_release(world->wal, model->start_lsn, NULL) != OMEN_OK)
        crash_count(world->run, "failed_releases", 1);
}

static void close_log(struct world *world)
{
    omen_error error;
    omen_status failed = wal_failed(world->wal, NULL);
    omen_status status = wal_close(world->wal, &error);
    world->wal = NULL;
    if (status == OMEN_OK && failed == OMEN_OK)
        world->model.acknowledged = world->model.count;
    world->model.changes++;
}

static void watch(void *context, struct sim_disk *disk, enum sim_call call, enum sim_kind kind);

/* Images between calls, where more is acknowledged than at the next call's boundary. */
static void watch_often(struct world *world, unsigned times)
{
    uint64_t one_in = world->one_in;
    world->one_in = world->depth == 0 ? 1 : 4;
    for (unsigned i = 0; i < times; i++)
        watch(world, world->disk, SIM_CALL_COUNT, SIM_KIND_COUNT);
    world->one_in = one_in;
}

static void work(struct world *world, unsigned steps)
{
    struct random *random = crash_random(world->run);
    for (unsigned i = 0; i < steps && !crash_failed(world->run); i++) {
        uint64_t choice = random_below(random, 64);
        if (choice < 40)
            append(world);
        else if (choice < 60)
            sync_log(world);
        else if (choice < 62)
            checkpoint(world);
        else if (choice == 62 && random_below(random, 8) == 0)
            sim_disk_set_capacity(world->disk, sim_disk_used(world->disk) + 20000);
        else
            sim_disk_set_capacity(world->disk, 0);
        watch(world, world->disk, SIM_CALL_COUNT, SIM_KIND_COUNT);
        if (wal_failed(world->wal, NULL) != OMEN_OK) {
            crash_count(world->run, "failed_logs", 1);
            watch_often(world, 8);
            break;
        }
    }
}

/* --- images --- */

/* Recovers an image on its own, works on, and ends it. */
static void check(void *context, struct sim_disk *image, unsigned depth)
{
    const struct world *parent = context;
    struct random *random = crash_random(parent->run);
    struct allocator *allocator = allocator_create(0);
    struct world *world = malloc(sizeof *world);
    OMEN_ASSERT(allocator != NULL && world != NULL);
    *world = *parent;
    world->disk = image;
    world->wal = NULL;
    world->allocator = allocator;
    world->depth = depth;
    world->one_in = 12;
    sim_disk_watch(image, watch, world);
    sim_disk_set_capacity(image, 0);
    omen_error error = {0};
    bool fails = random_below(random, 16) == 0;
    struct crash_plan plan;
    if (fails)
        plan = crash_plan_failure(world->run, image, CRASH_LOGGING);
    bool opened = recover(world, &error);
    if (fails) {
        sim_disk_mend(image);
        crash_note_failures(world->run, image, &plan);
        if (!opened && !crash_failed(world->run)) {
            crash_count(world->run, "failed_recoveries", 1);
            opened = recover(world, &error);
        }
    }
    if (!opened && !crash_failed(world->run))
        crash_fail(world->run, CRASH_UNOPENABLE, "depth %u, LSN %llu: %s", depth,
                   (unsigned long long)world->model.start_lsn, error.message);
    if (opened)
        watch_often(world, 2);
    if (opened && random_below(random, 4) == 0)
        work(world, 1 + (unsigned)random_below(random, 12));
    if (world->wal != NULL)
        close_log(world);
    watch_often(world, 1);
    sim_disk_watch(image, NULL, NULL);
    OMEN_ASSERT(allocator->bytes_used == 0 && sim_disk_open_count(image) == 0);
    allocator_retire(allocator);
    free(world);
}

static void watch(void *context, struct sim_disk *disk, enum sim_call call, enum sim_kind kind)
{
    struct world *world = context;
    if (crash_failed(world->run))
        return;
    crash_boundary(world->run, disk, call, kind, world->depth, world->one_in,
                   world->model.changes + (uint64_t)world->depth * 1000003, check, world);
}

static void episode(struct crash_run *run, struct random *random)
{
    struct world *world = calloc(1, sizeof *world);
    OMEN_ASSERT(world != NULL);
    *world = (struct world){.run = run, .one_in = 1};
    world->allocator = allocator_create(0);
    world->disk = sim_disk_create(random_next(random));
    world->file_bytes = FILE_BYTES_MIN + 4096 * random_below(random, 16);
    omen_error error;
    OMEN_ASSERT(world->allocator != NULL);
    sim_disk_watch(world->disk, watch, world);
    bool fails = random_below(random, 2) == 0;
    struct crash_plan plan;
    if (!create(world, &error)) {
        crash_fail(run, CRASH_UNOPENABLE, "a new log: %s", error.message);
    } else {
        if (fails)
            plan = crash_plan_failure(run, world->disk, CRASH_LOGGING);
        work(world, 40);
        if (fails)
            crash_note_failures(run, world->disk, &plan);
        close_log(world);
        watch_often(world, 4);
    }
    crash_note_calls(run, world->disk);
    sim_disk_destroy(world->disk);
    OMEN_ASSERT(world->allocator->bytes_used == 0);
    allocator_retire(world->allocator);
    free(world);
}

int main(int argc, char **argv)
{
    return crash_main(argc, argv, CRASH_LOG, episode);
}
