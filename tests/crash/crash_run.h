/* crash_run.h - a run of crashes: draws images, counts them, and remembers what was covered.
 *
 * A run is a series of episodes. An episode does everything from one seed, on one thread, so a
 * failure replays by giving its seed to the same program: the first episode is then the one that
 * failed. What an episode does (its work, its model, how it recovers) is the caller's.
 *
 * A run of COVERED_IMAGES or more is to meet everything: it fails where a site (a call on a kind of
 * file) lacks a fault, and where fewer than one image in twenty holds a real Parquet file, unless
 * there is no engine to write one.
 */
#ifndef OMEN_TESTS_CRASH_RUN_H
#define OMEN_TESTS_CRASH_RUN_H

#include "base/random.h"
#include "crash/sim_disk.h"

enum crash_result {
    CRASH_LOST,       /* acknowledged and gone, or there and never written */
    CRASH_HALF,       /* a commit of which a part is there; ways of reading that disagree */
    CRASH_UNOPENABLE, /* refuses to open, though nothing is damaged */
    CRASH_RESULT_COUNT,
};

enum { CRASH_DEPTH_MAX = 3, COVERED_IMAGES = 50000 };

struct crash_run;

/* Opens what the image holds and compares it with what it may hold; `depth` crashes lie between
 * the episode's beginning and the image. It may let the image work on and draw from it in turn. */
typedef void crash_check(void *context, struct sim_disk *image, unsigned depth);

/* One episode; `random` is seeded with its seed. */
typedef void crash_episode(struct crash_run *run, struct random *random);

/* What an episode works on: the directory around a log is made by the test, and not judged. */
enum crash_subject { CRASH_LOG, CRASH_DATABASE };

/* Runs episodes as the command line asks and prints what they found:
 *   --seed N      the first episode's seed (default: from the clock, printed)
 *   --seconds S   begin no episode after that (default 10)
 *   --images N    nor after so many distinct images; fewer, when the seconds are over, are a
 * failure
 *   --episodes N  nor after so many episodes
 *   --engine PATH the SQL engine (default: OMENDB_ENGINE, or where the build leaves it)
 *   --quiet       no table of sites
 * Returns the exit status: 0 where nothing was lost, half, or unopenable, nor anything left
 * uncovered. */
int crash_main(int argc, char **argv, enum crash_subject subject, crash_episode *episode);

/* The engine's path, NULL where there is none. */
const char *crash_engine(const struct crash_run *run);

/* The episode's seed. */
uint64_t crash_seed(const struct crash_run *run);

/* Draws an image with probability 1 in `one_in` at a boundary before `call` on `kind`
 * (SIM_CALL_COUNT: between calls), and checks it. Images that look the same are checked once as
 * long as `stage` is the same; `stage` says what the check compares with. */
void crash_boundary(struct crash_run *run, struct sim_disk *disk, enum sim_call call,
                    enum sim_kind kind, unsigned depth, uint64_t one_in, uint64_t stage,
                    crash_check *check, void *context);

/* Something was wrong: counted and printed with the episode's seed. */
void crash_fail(struct crash_run *run, enum crash_result result, const char *format, ...)
    OMEN_PRINTF(3, 4);
bool crash_failed(const struct crash_run *run);

/* What is done while a call is to fail: each meets sites of its own. */
enum crash_scene {
    CRASH_FOUNDING, /* the first calls of creating, which no image meets again */
    CRASH_CREATING,
    CRASH_OPENING,
    CRASH_WORKING, /* and closing */
    CRASH_LOGGING, /* the log alone */
    CRASH_SCENE_COUNT,
};

struct crash_plan {
    enum sim_call call;
    enum sim_kind kind;
    uint32_t fault;
    uint64_t failures; /* of the site before */
};

/* Plans a failure at one of the sites that the scene meets, once or for ever. Where it has fired,
 * crash_note_failures (before the disk goes) counts it as covered. */
struct crash_plan crash_plan_failure(struct crash_run *run, struct sim_disk *disk,
                                     enum crash_scene scene);
void crash_note_failures(struct crash_run *run, struct sim_disk *disk,
                         const struct crash_plan *plan);

/* Adds the calls made on a disk to the table of sites, before the disk goes; images are added by
 * crash_boundary. */
void crash_note_calls(struct crash_run *run, struct sim_disk *disk);

/* Counts what the check wants counted; printed at the end. What was named and never came is a gap.
 */
void crash_count(struct crash_run *run, const char *what, uint64_t times);

struct random *crash_random(struct crash_run *run);

#endif
