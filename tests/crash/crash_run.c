/* crash_run.c - episodes, distinct images, coverage of sites by faults. See crash_run.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "crash/crash_run.h"

enum { COUNTS_MAX = 32, FAILURES_PRINTED_MAX = 10, NTH_MAX = 24 };

/* What a planned failure can be. */
enum fault {
    FAULT_ONCE,
    FAULT_EVER,
    FAULT_FULL_ONCE,
    FAULT_FULL_EVER,
    FAULT_COUNT,
};

static const char *const fault_names[FAULT_COUNT] = {"once", "ever", "full", "full-ever"};

/* A set of 64-bit hashes, open addressing; 0 is not a member. */
struct hash_set {
    uint64_t *slots;
    size_t capacity, count;
};

struct site {
    uint64_t calls;
    uint64_t images[SIM_MODE_COUNT];
    uint64_t failures[FAULT_COUNT];
};

struct crash_run {
    crash_episode *episode;
    struct random random;
    uint64_t seed; /* of this episode */
    uint64_t episodes, images;
    uint64_t results[CRASH_RESULT_COUNT];
    uint64_t depths[CRASH_DEPTH_MAX + 1];
    struct hash_set distinct, checked; /* whole run; this episode */
    struct site sites[SIM_CALL_COUNT + 1][SIM_KIND_COUNT + 1];
    struct {
        const char *what;
        uint64_t times;
    } counts[COUNTS_MAX];
    /* the failure planned for the present disk */
    struct sim_fault planned;
    enum fault planned_fault;
    bool has_planned;
};

static void *allocate(size_t bytes)
{
    void *block = calloc(1, bytes);
    OMEN_ASSERT(block != NULL);
    return block;
}

static bool set_add(struct hash_set *set, uint64_t hash)
{
    hash += hash == 0;
    if (2 * set->count >= set->capacity) {
        struct hash_set grown = {.capacity = set->capacity == 0 ? 1024 : 2 * set->capacity};
        grown.slots = allocate(grown.capacity * sizeof *grown.slots);
        for (size_t i = 0; i < set->capacity; i++)
            if (set->slots[i] != 0)
                set_add(&grown, set->slots[i]);
        free(set->slots);
        *set = grown;
    }
    size_t at = hash & (set->capacity - 1);
    while (set->slots[at] != 0 && set->slots[at] != hash)
        at = (at + 1) & (set->capacity - 1);
    if (set->slots[at] == hash)
        return false;
    set->slots[at] = hash;
    set->count++;
    return true;
}

static void set_clear(struct hash_set *set)
{
    if (set->capacity != 0)
        memset(set->slots, 0, set->capacity * sizeof *set->slots);
    set->count = 0;
}

struct random *crash_random(struct crash_run *run)
{
    return &run->random;
}

void crash_count(struct crash_run *run, const char *what, uint64_t times)
{
    size_t i = 0;
    while (run->counts[i].what != NULL && strcmp(run->counts[i].what, what) != 0)
        i++;
    OMEN_ASSERT(i + 1 < COUNTS_MAX);
    run->counts[i].what = what;
    run->counts[i].times += times;
}

bool crash_failed(const struct crash_run *run)
{
    uint64_t sum = 0;
    for (int i = 0; i < CRASH_RESULT_COUNT; i++)
        sum += run->results[i];
    return sum != 0;
}

void crash_fail(struct crash_run *run, enum crash_result result, const char *format, ...)
{
    static const char *const names[] = {"lost", "half", "unopenable"};
    if (run->results[result]++ >= FAILURES_PRINTED_MAX)
        return;
    va_list arguments;
    va_start(arguments, format);
    printf("crash: %s (SEED=%llu): ", names[result], (unsigned long long)run->seed);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    fflush(stdout);
}

/* --- images --- */

void crash_boundary(struct crash_run *run, struct sim_disk *disk, enum sim_call call,
                    enum sim_kind kind, unsigned depth, uint64_t one_in, uint64_t stage,
                    crash_check *check, void *context)
{
    struct site *site = &run->sites[call][kind];
    if (depth >= CRASH_DEPTH_MAX || random_below(&run->random, one_in) != 0)
        return;
    enum sim_mode mode = random_below(&run->random, SIM_MODE_COUNT);
    struct sim_disk *image = sim_disk_draw(disk, mode, random_next(&run->random));
    uint64_t hash = sim_disk_hash(image);
    site->images[mode]++;
    run->images++;
    run->depths[depth + 1]++;
    (void)set_add(&run->distinct, hash);
    const uint64_t key[] = {hash, stage, mode == SIM_KILL};
    if (set_add(&run->checked, checksum64(key, sizeof key, 0)))
        check(context, image, depth + 1);
    crash_note_calls(run, image);
    sim_disk_destroy(image);
}

/* --- planned failures --- */

static bool may_fill(enum sim_call call)
{
    return call == SIM_CREATE || call == SIM_WRITE || call == SIM_RESERVE || call == SIM_RENAME ||
           call == SIM_DIRECTORY_CREATE;
}

#define CALL(call) (1u << SIM_##call)

/* The calls that each kind of file meets. */
static const uint32_t calls_of[SIM_KIND_COUNT] = {
    [SIM_OTHER] = CALL(CREATE) | CALL(RENAME) | CALL(REMOVE),
    [SIM_ROOT] = CALL(DIRECTORY_CREATE) | CALL(DIRECTORY_SYNC) | CALL(DIRECTORY_LIST),
    [SIM_LOG_FOLDER] = CALL(DIRECTORY_CREATE) | CALL(DIRECTORY_SYNC) | CALL(DIRECTORY_LIST),
    [SIM_DATA_FOLDER] = CALL(DIRECTORY_CREATE) | CALL(DIRECTORY_SYNC) | CALL(DIRECTORY_LIST),
    [SIM_LOCK_FILE] = CALL(OPEN) | CALL(CREATE) | CALL(WRITE) | CALL(TRUNCATE) | CALL(LOCK),
    [SIM_MANIFEST] = CALL(OPEN) | CALL(READ) | CALL(SIZE),
    [SIM_MANIFEST_NEW] = CALL(CREATE) | CALL(WRITE) | CALL(SYNC) | CALL(RENAME) | CALL(REMOVE),
    [SIM_LOG] = CALL(OPEN) | CALL(CREATE) | CALL(READ) | CALL(WRITE) | CALL(SYNC) | CALL(RESERVE) |
                CALL(TRUNCATE) | CALL(SIZE) | CALL(RENAME) | CALL(REMOVE),
    [SIM_PARQUET] = CALL(OPEN) | CALL(CREATE) | CALL(READ) | CALL(WRITE) | CALL(SYNC) |
                    CALL(SIZE) | CALL(REMOVE),
    [SIM_KEYS] = CALL(OPEN) | CALL(CREATE) | CALL(READ) | CALL(WRITE) | CALL(SYNC) | CALL(SIZE) |
                 CALL(REMOVE),
    [SIM_ENDS] = CALL(OPEN) | CALL(CREATE) | CALL(READ) | CALL(WRITE) | CALL(SYNC) | CALL(SIZE) |
                 CALL(REMOVE),
};

void crash_plan_failure(struct crash_run *run, struct sim_disk *disk, uint32_t kinds)
{
    struct sim_fault *planned = &run->planned;
    do {
        planned->call = random_below(&run->random, SIM_CALL_COUNT);
        planned->kind = random_below(&run->random, SIM_KIND_COUNT);
        run->planned_fault = random_below(&run->random, FAULT_COUNT);
    } while ((calls_of[planned->kind] >> planned->call & 1) == 0 ||
             (kinds >> planned->kind & 1) == 0 ||
             (run->planned_fault >= FAULT_FULL_ONCE && !may_fill(planned->call)));
    uint64_t far = random_below(&run->random, planned->kind == SIM_LOG ? NTH_MAX : 4);
    planned->nth = 1 + random_below(&run->random, 1 + far);
    planned->forever = run->planned_fault == FAULT_EVER || run->planned_fault == FAULT_FULL_EVER;
    planned->status = run->planned_fault >= FAULT_FULL_ONCE ? OMEN_DISK_FULL : OMEN_IO_ERROR;
    run->has_planned = true;
    sim_disk_fail(disk, planned);
}

void crash_note_failures(struct crash_run *run, struct sim_disk *disk)
{
    if (!run->has_planned)
        return;
    run->sites[run->planned.call][run->planned.kind].failures[run->planned_fault] +=
        sim_disk_failures(disk, run->planned.call, run->planned.kind);
    run->has_planned = false;
}

void crash_note_calls(struct crash_run *run, struct sim_disk *disk)
{
    for (int call = 0; call < SIM_CALL_COUNT; call++)
        for (int kind = 0; kind < SIM_KIND_COUNT; kind++)
            run->sites[call][kind].calls += sim_disk_calls(disk, call, kind);
}

/* --- the report --- */

/* One line a site that was called; returns what of it is not covered. */
static unsigned print_site(const struct crash_run *run, int call, int kind)
{
    const struct site *site = &run->sites[call][kind];
    unsigned missing = 0;
    printf("  %-8s %-13s %9llu", sim_call_names[call], sim_kind_names[kind],
           (unsigned long long)site->calls);
    bool drawn = call != SIM_OPEN && call != SIM_READ && call != SIM_SIZE && call != SIM_LOCK &&
                 call != SIM_DIRECTORY_LIST;
    for (int mode = 0; mode < SIM_MODE_COUNT; mode++) {
        printf(" %7llu", (unsigned long long)site->images[mode]);
        missing += drawn && site->images[mode] == 0;
    }
    for (int fault = 0; fault < FAULT_COUNT; fault++) {
        if (fault >= FAULT_FULL_ONCE && !may_fill(call)) {
            printf("       -");
            continue;
        }
        printf(" %7llu", (unsigned long long)site->failures[fault]);
        missing += site->failures[fault] == 0;
    }
    printf("%s\n", missing != 0 ? "  *" : "");
    return missing;
}

static void print_sites(const struct crash_run *run)
{
    unsigned sites = 0, missing = 0;
    printf("images drawn before a call on a kind of file, by mode, and calls that were failed:\n");
    printf("  %-8s %-13s %9s", "call", "kind", "calls");
    for (int mode = 0; mode < SIM_MODE_COUNT; mode++)
        printf(" %7.7s", sim_mode_names[mode]);
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        printf(" %7.7s", fault_names[fault]);
    printf("\n");
    for (int call = 0; call < SIM_CALL_COUNT; call++)
        for (int kind = 0; kind < SIM_KIND_COUNT; kind++) {
            if (run->sites[call][kind].calls == 0)
                continue;
            sites++;
            missing += print_site(run, call, kind);
        }
    printf("sites: %u, pairs of a site and a fault not covered: %u\n", sites, missing);
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

struct limits {
    uint64_t seed, images, episodes;
    double seconds;
    bool quiet;
};

static bool read_limits(int argc, char **argv, struct limits *limits)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--quiet") == 0) {
            limits->quiet = true;
            continue;
        }
        if (strcmp(argv[i], "--seed") == 0)
            limits->seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--images") == 0)
            limits->images = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--episodes") == 0)
            limits->episodes = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            limits->seconds = strtod(value, NULL);
        else
            return false;
        i++;
    }
    return true;
}

static int print_report(const struct crash_run *run, const struct limits *limits, double seconds)
{
    if (!limits->quiet)
        print_sites(run);
    for (size_t i = 0; run->counts[i].what != NULL; i++)
        printf("%s%s=%llu", i == 0 ? "counted: " : " ", run->counts[i].what,
               (unsigned long long)run->counts[i].times);
    printf("\nepisodes=%llu drawn=%llu depth1=%llu depth2=%llu depth3=%llu seconds=%.1f "
           "distinct_per_second=%.0f\n",
           (unsigned long long)run->episodes, (unsigned long long)run->images,
           (unsigned long long)run->depths[1], (unsigned long long)run->depths[2],
           (unsigned long long)run->depths[3], seconds, (double)run->distinct.count / seconds);
    printf("crash: images=%zu lost=%llu half=%llu unopenable=%llu\n", run->distinct.count,
           (unsigned long long)run->results[CRASH_LOST],
           (unsigned long long)run->results[CRASH_HALF],
           (unsigned long long)run->results[CRASH_UNOPENABLE]);
    return crash_failed(run) ? 1 : 0;
}

int crash_main(int argc, char **argv, crash_episode *episode)
{
    struct limits limits = {.images = UINT64_MAX, .episodes = UINT64_MAX, .seconds = 10};
    limits.seed = (uint64_t)time(NULL) * 1000003 % 1000000000;
    if (!read_limits(argc, argv, &limits)) {
        fprintf(stderr, "usage: %s [--seed N] [--seconds S] [--images N] [--episodes N] "
                        "[--quiet]\n",
                argv[0]);
        return 2;
    }
    struct crash_run *run = allocate(sizeof *run);
    double begun = seconds_now();
    printf("crash: SEED=%llu\n", (unsigned long long)limits.seed);
    fflush(stdout);
    while (run->episodes < limits.episodes && run->distinct.count < limits.images &&
           (run->episodes == 0 || seconds_now() - begun < limits.seconds) && !crash_failed(run)) {
        run->seed = limits.seed + run->episodes++;
        run->random = random_seeded(run->seed);
        set_clear(&run->checked);
        episode(run, &run->random);
    }
    int result = print_report(run, &limits, seconds_now() - begun);
    free(run->distinct.slots);
    free(run->checked.slots);
    free(run);
    return result;
}
