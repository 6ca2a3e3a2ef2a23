/* crash_run.h - a run of crashes: draws images, counts them, and remembers what was covered.
 *
 * A run is a series of episodes. An episode does everything from one seed, on one thread, so a
 * failure replays by giving its seed to the same program: the first episode is then the one that
 * failed. What an episode does (its work, its model, how it recovers) is the caller's.
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

enum { CRASH_DEPTH_MAX = 3 };

struct crash_run;

/* Opens what the image holds and compares it with what it may hold; `depth` crashes lie between
 * the episode's beginning and the image. It may let the image work on and draw from it in turn. */
typedef void crash_check(void *context, struct sim_disk *image, unsigned depth);

/* One episode; `random` is seeded with its seed. */
typedef void crash_episode(struct crash_run *run, struct random *random);

/* Runs episodes as the command line asks and prints what they found:
 *   --seed N      the first episode's seed (default: from the clock, printed)
 *   --seconds S   begin no episode after that (default 10)
 *   --images N    nor after so many distinct images
 *   --episodes N  nor after so many episodes
 *   --quiet       no table of sites
 * Returns the exit status: 0 where nothing was lost, half, or unopenable. */
int crash_main(int argc, char **argv, crash_episode *episode);

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

/* Plans a failure on one of `kinds` (a bit for each sim_kind), once or for ever, of any kind, and
 * counts it as covered once it fired (crash_note_failures, before the disk goes). */
void crash_plan_failure(struct crash_run *run, struct sim_disk *disk, uint32_t kinds);
void crash_note_failures(struct crash_run *run, struct sim_disk *disk);

/* Adds the calls made on a disk to the table of sites, before the disk goes; images are added by
 * crash_boundary. */
void crash_note_calls(struct crash_run *run, struct sim_disk *disk);

/* Counts what the check wants counted; printed at the end. */
void crash_count(struct crash_run *run, const char *what, uint64_t times);

struct random *crash_random(struct crash_run *run);

#endif
