/* simulate.h - an episode of the simulation: one database, its sessions and their history. */
#ifndef OMEN_TESTS_SIMULATE_H
#define OMEN_TESTS_SIMULATE_H

#include "crash/sim_disk.h"
#include "fibres.h"
#include "workload.h"

struct episode_counts {
    struct fibres_report fibres;
    uint64_t statements, engine_statements, checkpoints, kills;
    uint64_t remakes;
    uint64_t steps, groups_frozen, groups_compacted, groups_dropped; /* of maintenance */
    uint64_t deadlocks, timeouts, serialization_failures, disturbances;
};

/* Lies in memory that the episode's process shares with the one that judges it. */
struct episode {
    uint64_t seed;
    struct workload_shared shared;
    struct episode_counts counts;
    /* Of the episode's process alone. */
    struct random random; /* of what is not the fibres' */
    struct workload_client clients[CLIENTS_MAX + 1];
    struct sim_disk *disk;
    struct os os;
    omen_database *database;
    unsigned kills;   /* still to come */
    size_t kill_at;   /* transactions */
    unsigned at_work; /* clients */
    atomic_bool stop; /* those that maintain and disturb */
    bool killed;
    pthread_t maintainer, disturber;
};

/* --- a table that is made again and again (simulate_remake.c) --- */

/* Starts the fibres that do it, until the episode's `stop`. False, and told, where that failed. */
bool remake_start(struct episode *episode);
void remake_stop(void); /* when `stop` is set */

/* --- the whole --- */

/* Plays an episode whose seed, random and shared options and histories are set. Its memory is lost: the
 * process is to end. */
void episode_play(struct episode *episode);

#endif
