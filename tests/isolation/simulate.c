/* simulate.c - sessions of the real database in one thread, as a seed orders them, and whether what they saw
 * is what their levels allow.
 *
 * usage: simulate [--seed N] [--transactions N] [--episode N] [--save FILE] [--quiet]
 *
 * A run is a row of episodes of at most EPISODE_TRANSACTIONS (simulate_episode.c), each in a process of its own, with a
 * database, a history and a seed of its own. The seed fixes how many clients there are, how often they are
 * stopped, when the process dies or the power fails, and all that follows: the same seed gives the same
 * history, byte for byte. Each episode's history is judged (checker.h).
 *
 * Closes with `simulation: seed=N transactions=N seconds=S per_minute=N anomalies=N history=HASH`, the seconds
 * being those of everything, the judgement too. Exit status 1 where something was wrong. --episode runs one
 * episode of the seed alone; --save writes the last episode's history as text, for check_history.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/checksum.h"
#include "simulate.h"

enum {
    EPISODE_TRANSACTIONS = 20000,
    CLIENTS_MIN = 2,
    CLIENTS_SPAN = 11,
    ENGINE_ONE_IN = 4,
    LITERAL_ONE_IN = 100,
    DISTURBED_ONE_IN = 3,
};

struct simulation {
    uint64_t seed;
    size_t transactions;
    long episode; /* the only one to be run; -1: all */
    const char *save;
    bool quiet;
    /* Over all episodes. */
    struct checker_report report;
    struct episode_counts counts;
    uint64_t hash, done, violations; /* violations: what the clients themselves found wrong */
    bool wrong;
};

/* --- episodes --- */

static void *shared_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("simulate: mmap");
        exit(2);
    }
    return memory;
}

static struct episode *make_episode(uint64_t seed, size_t transactions)
{
    struct episode *episode = shared_memory(sizeof *episode);
    episode->seed = seed;
    episode->random = random_seeded(seed);
    unsigned clients = CLIENTS_MIN + (unsigned)random_below(&episode->random, CLIENTS_SPAN);
    if (clients > transactions)
        clients = 1;
    struct workload_shared *shared = &episode->shared;
    size_t each = transactions / clients + clients + 1;
    shared->options = (struct workload_options){.seed = seed, .transactions = transactions,
        .clients = clients, .engine = true, .engine_one_in = ENGINE_ONE_IN, .literal_one_in = LITERAL_ONE_IN,
        .lock_modes = true,
        .disturbed = random_below(&episode->random, DISTURBED_ONE_IN) == 0};
    shared->key_count = (uint32_t)(transactions * 16 / APPENDS_A_KEY) + 2 * WINDOW_KEYS;
    shared->lists = shared_memory(shared->key_count * sizeof *shared->lists);
    shared->registers = shared_memory(shared->key_count * sizeof *shared->registers);
    for (unsigned i = 0; i < clients; i++)
        shared->histories[i] =
            history_create(each, each * OPS_A_TRANSACTION, each * ELEMENTS_A_TRANSACTION);
    size_t last = (size_t)shared->key_count * (CLIENTS_MAX + APPENDS_A_KEY) + 1;
    shared->histories[clients] = history_create(2, last, last * 4);
    return episode;
}

static void free_episode(struct episode *episode)
{
    struct workload_shared *shared = &episode->shared;
    for (unsigned i = 0; i <= shared->options.clients; i++)
        history_destroy(shared->histories[i]);
    munmap(shared->lists, shared->key_count * sizeof *shared->lists);
    munmap(shared->registers, shared->key_count * sizeof *shared->registers);
    munmap(episode, sizeof *episode);
}

/* Whether the episode's process ended as it should. */
static bool play_in_child(struct episode *episode)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        episode_play(episode);
        fflush(stdout);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("simulate: fork");
        exit(2);
    }
    if (WIFSIGNALED(status))
        printf("the process died of signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* --- the judgement --- */

/* Hashes the history as text, and saves that. */
static void hash_history(struct simulation *simulation, const struct history *whole)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    for (size_t i = 0; out != NULL && i < whole->count; i++)
        history_print(whole, i, out);
    if (out == NULL || fclose(out) != 0) {
        perror("simulate: memory");
        exit(2);
    }
    simulation->hash = checksum64(text, length, simulation->hash);
    if (simulation->save != NULL) {
        FILE *file = fopen(simulation->save, "w");
        if (file == NULL || fwrite(text, 1, length, file) != length)
            perror(simulation->save);
        if (file != NULL)
            fclose(file);
    }
    free(text);
}

static void add_report(struct checker_report *sum, const struct checker_report *report)
{
    for (int i = 0; i < ANOMALY_COUNT; i++)
        sum->found[i] += report->found[i];
    sum->total += report->total;
    sum->g2_item += report->g2_item;
    sum->committed += report->committed;
    sum->aborted += report->aborted;
    sum->unknown += report->unknown;
    sum->unknown_seen += report->unknown_seen;
    sum->reads += report->reads;
    sum->writes += report->writes;
}

static void add_counts(struct episode_counts *sum, const struct episode *episode)
{
    const struct episode_counts *counts = &episode->counts;
    sum->fibres.switches += counts->fibres.switches;
    sum->fibres.waits += counts->fibres.waits;
    sum->fibres.simulated_ns += counts->fibres.simulated_ns;
    sum->statements += atomic_load(&episode->shared.statements);
    sum->engine_statements += atomic_load(&episode->shared.engine_statements);
    sum->checkpoints += counts->checkpoints;
    sum->remakes += counts->remakes;
    sum->steps += counts->steps;
    sum->groups_frozen += counts->groups_frozen;
    sum->groups_compacted += counts->groups_compacted;
    sum->groups_dropped += counts->groups_dropped;
    sum->kills += counts->kills;
    sum->deadlocks += counts->deadlocks;
    sum->timeouts += counts->timeouts;
    sum->serialization_failures += counts->serialization_failures;
    sum->disturbances += counts->disturbances;
}

/* Whether the history of the episode is one that may be. */
static bool judge(struct simulation *simulation, struct episode *episode)
{
    struct workload_shared *shared = &episode->shared;
    size_t count = 1, ops = 1, elements = 1;
    for (unsigned i = 0; i <= shared->options.clients; i++) {
        count += shared->histories[i]->count;
        ops += shared->histories[i]->op_count;
        elements += shared->histories[i]->element_count;
    }
    struct history *whole = history_create(count, ops, elements);
    for (unsigned i = 0; i <= shared->options.clients; i++)
        history_append(whole, shared->histories[i]);
    struct checker_report report;
    checker_check(whole, simulation->quiet ? NULL : stdout, &report);
    hash_history(simulation, whole);
    simulation->done += whole->count;
    history_destroy(whole);
    add_report(&simulation->report, &report);
    add_counts(&simulation->counts, episode);
    simulation->violations += atomic_load(&shared->violations);
    return report.total == 0 && atomic_load(&shared->violations) == 0;
}

static bool run_episode(struct simulation *simulation, uint64_t number, size_t transactions)
{
    struct episode *episode = make_episode(simulation->seed * 1000003 + number, transactions);
    bool ended = play_in_child(episode), right = judge(simulation, episode) && ended;
    if (!right)
        printf("wrong: --seed %" PRIu64 " --transactions %zu --episode %" PRIu64 " (%u clients)\n",
               simulation->seed, simulation->transactions, number, episode->shared.options.clients);
    free_episode(episode);
    return right;
}

static void run_episodes(struct simulation *simulation)
{
    size_t left = simulation->transactions;
    for (uint64_t number = 0; left > 0 && !simulation->wrong; number++) {
        size_t count = left < EPISODE_TRANSACTIONS ? left : EPISODE_TRANSACTIONS;
        left -= count;
        if (simulation->episode < 0 || (uint64_t)simulation->episode == number)
            simulation->wrong = !run_episode(simulation, number, count);
    }
}

static void print_counts(const struct episode_counts *counts)
{
    printf("simulation: statements=%" PRIu64 " by_scan=%" PRIu64 " deadlocks=%" PRIu64 " timeouts=%" PRIu64
           " refused=%" PRIu64 " disturbed=%" PRIu64 " remakes=%" PRIu64 " kills=%" PRIu64 "\n",
           counts->statements, counts->engine_statements, counts->deadlocks, counts->timeouts,
           counts->serialization_failures, counts->disturbances, counts->remakes, counts->kills);
    printf("simulation: steps=%" PRIu64 " frozen=%" PRIu64 " compacted=%" PRIu64 " dropped=%" PRIu64
           " checkpoints=%" PRIu64 " switches=%" PRIu64 " waits=%" PRIu64 " simulated_seconds=%.1f\n",
           counts->steps, counts->groups_frozen, counts->groups_compacted, counts->groups_dropped,
           counts->checkpoints, counts->fibres.switches, counts->fibres.waits,
           (double)counts->fibres.simulated_ns / 1e9);
}

static bool parse(int argc, char **argv, struct simulation *simulation)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quiet") == 0) {
            simulation->quiet = true;
            continue;
        }
        if (i + 1 == argc)
            return false;
        const char *value = argv[++i];
        if (strcmp(argv[i - 1], "--seed") == 0)
            simulation->seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i - 1], "--transactions") == 0)
            simulation->transactions = strtoull(value, NULL, 10);
        else if (strcmp(argv[i - 1], "--episode") == 0)
            simulation->episode = strtol(value, NULL, 10);
        else if (strcmp(argv[i - 1], "--save") == 0)
            simulation->save = value;
        else
            return false;
    }
    return simulation->transactions > 0;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct simulation simulation = {.seed = (uint64_t)time(NULL), .transactions = 100000, .episode = -1};
    if (!parse(argc, argv, &simulation)) {
        fprintf(stderr, "usage: simulate [--seed N] [--transactions N] [--episode N] [--save FILE] [--quiet]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    double start = seconds_now();
    run_episodes(&simulation);
    double seconds = seconds_now() - start;
    checker_print_report(&simulation.report, stdout);
    print_counts(&simulation.counts);
    printf("simulation: seed=%" PRIu64 " transactions=%" PRIu64 " seconds=%.1f per_minute=%.0f anomalies=%" PRIu64
           " history=%016" PRIx64 "\n", simulation.seed, simulation.done, seconds,
           (double)simulation.done * 60 / seconds, simulation.report.total + simulation.violations, simulation.hash);
    return simulation.wrong ? 1 : 0;
}
