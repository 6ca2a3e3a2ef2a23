/* crash_run.c - episodes, distinct images, coverage of sites by faults. See crash_run.h. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "crash/crash_run.h"

enum { COUNTS_MAX = 32, FAILURES_PRINTED_MAX = 10, PATH_BYTES_MAX = 4096, PARQUET_ONE_IN = 20 };

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
    enum crash_subject subject;
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
    uint64_t parquet;            /* distinct images that hold a Parquet file */
    char engine[PATH_BYTES_MAX]; /* empty: none */
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

uint64_t crash_seed(const struct crash_run *run)
{
    return run->seed;
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

static void look_for_parquet(void *context, const char *path, uint64_t bytes)
{
    static const char ending[] = ".parquet";
    size_t length = strlen(path), ending_length = sizeof ending - 1;
    if (bytes > 0 && length > ending_length && strcmp(path + length - ending_length, ending) == 0)
        *(bool *)context = true;
}

static bool holds_parquet(struct sim_disk *image)
{
    bool found = false;
    sim_disk_each(image, look_for_parquet, &found);
    return found;
}

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
    if (set_add(&run->distinct, hash))
        run->parquet += holds_parquet(image);
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

enum {
    FOLDER_CALLS = CALL(DIRECTORY_CREATE) | CALL(DIRECTORY_SYNC) | CALL(DIRECTORY_LIST),
    READ_CALLS = CALL(OPEN) | CALL(READ) | CALL(SIZE),
    WRITE_CALLS = CALL(CREATE) | CALL(WRITE) | CALL(SYNC) | CALL(REMOVE),
    LOCK_CALLS = CALL(WRITE) | CALL(TRUNCATE) | CALL(LOCK),
    RESERVE_CALLS = CALL(OPEN) | CALL(CREATE) | CALL(SIZE) | CALL(RESERVE) | CALL(REMOVE),
};

/* The calls that each kind of file meets in each scene. */
static const uint32_t calls_of[CRASH_SCENE_COUNT][SIM_KIND_COUNT] = {
    [CRASH_FOUNDING] = {[SIM_ROOT] = CALL(DIRECTORY_CREATE), [SIM_LOCK_FILE] = CALL(CREATE)},
    [CRASH_CREATING] =
        {
            [SIM_OTHER] = CALL(RENAME),
            [SIM_ROOT] = FOLDER_CALLS | CALL(OPEN),
            [SIM_LOG_FOLDER] = FOLDER_CALLS,
            [SIM_DATA_FOLDER] = FOLDER_CALLS,
            [SIM_LOCK_FILE] = LOCK_CALLS | CALL(OPEN) | CALL(CREATE),
            [SIM_CREATING] = CALL(CREATE) | CALL(RENAME) | CALL(REMOVE),
            [SIM_RESERVE_FILE] = RESERVE_CALLS,
            [SIM_MANIFEST_NEW] = WRITE_CALLS | CALL(RENAME),
            [SIM_LOG] = WRITE_CALLS | CALL(RESERVE) | CALL(RENAME),
        },
    [CRASH_OPENING] =
        {
            [SIM_ROOT] = CALL(DIRECTORY_SYNC) | CALL(DIRECTORY_LIST) | CALL(OPEN),
            [SIM_LOG_FOLDER] = CALL(DIRECTORY_SYNC) | CALL(DIRECTORY_LIST),
            [SIM_DATA_FOLDER] = CALL(DIRECTORY_LIST),
            [SIM_LOCK_FILE] = LOCK_CALLS | CALL(OPEN),
            [SIM_CREATING] = CALL(REMOVE),
            [SIM_RESERVE_FILE] = RESERVE_CALLS,
            [SIM_MANIFEST] = READ_CALLS,
            [SIM_MANIFEST_NEW] = WRITE_CALLS | CALL(RENAME),
            [SIM_LOG] = READ_CALLS | WRITE_CALLS | CALL(RESERVE) | CALL(TRUNCATE) | CALL(RENAME),
            [SIM_PARQUET] = READ_CALLS | CALL(REMOVE),
            [SIM_KEYS] = READ_CALLS | CALL(REMOVE),
            [SIM_ENDS] = READ_CALLS | CALL(REMOVE),
        },
    [CRASH_WORKING] =
        {
            [SIM_OTHER] = READ_CALLS | CALL(CREATE) | CALL(WRITE) | CALL(REMOVE),
            [SIM_ROOT] = CALL(DIRECTORY_SYNC) | CALL(OPEN),
            [SIM_LOG_FOLDER] = CALL(DIRECTORY_SYNC),
            [SIM_DATA_FOLDER] = CALL(DIRECTORY_SYNC),
            [SIM_RESERVE_FILE] = RESERVE_CALLS,
            [SIM_MANIFEST_NEW] = WRITE_CALLS | CALL(RENAME),
            [SIM_LOG] = WRITE_CALLS | CALL(RESERVE) | CALL(TRUNCATE) | CALL(RENAME),
            [SIM_PARQUET] = READ_CALLS | WRITE_CALLS,
            [SIM_KEYS] = WRITE_CALLS,
            [SIM_ENDS] = WRITE_CALLS,
        },
    [CRASH_LOGGING] =
        {
            [SIM_LOG_FOLDER] = FOLDER_CALLS,
            [SIM_LOG] = READ_CALLS | WRITE_CALLS | CALL(RESERVE) | CALL(TRUNCATE) | CALL(RENAME),
        },
};

/* How far away a failure is planned at most: work writes to the log much more than all else. */
static uint64_t furthest_call(enum crash_scene scene, enum sim_kind kind)
{
    bool works = scene == CRASH_WORKING || scene == CRASH_LOGGING;
    if (!works)
        return scene == CRASH_FOUNDING ? 1 : 3;
    return kind == SIM_LOG ? 24 : 6;
}

struct crash_plan crash_plan_failure(struct crash_run *run, struct sim_disk *disk,
                                     enum crash_scene scene)
{
    struct sim_fault fault;
    struct crash_plan plan;
    do {
        plan.call = fault.call = random_below(&run->random, SIM_CALL_COUNT);
        plan.kind = fault.kind = random_below(&run->random, SIM_KIND_COUNT);
        plan.fault = (uint32_t)random_below(&run->random, FAULT_COUNT);
    } while ((calls_of[scene][plan.kind] >> plan.call & 1) == 0 ||
             (plan.fault >= FAULT_FULL_ONCE && !may_fill(plan.call)));
    uint64_t far = random_below(&run->random, furthest_call(scene, plan.kind));
    fault.nth = 1 + random_below(&run->random, 1 + far);
    fault.forever = plan.fault == FAULT_EVER || plan.fault == FAULT_FULL_EVER;
    fault.status = plan.fault >= FAULT_FULL_ONCE ? OMEN_DISK_FULL : OMEN_IO_ERROR;
    plan.failures = sim_disk_failures(disk, plan.call, plan.kind);
    sim_disk_fail(disk, &fault);
    return plan;
}

void crash_note_failures(struct crash_run *run, struct sim_disk *disk,
                         const struct crash_plan *plan)
{
    run->sites[plan->call][plan->kind].failures[plan->fault] +=
        sim_disk_failures(disk, plan->call, plan->kind) - plan->failures;
}

void crash_note_calls(struct crash_run *run, struct sim_disk *disk)
{
    for (int call = 0; call < SIM_CALL_COUNT; call++)
        for (int kind = 0; kind < SIM_KIND_COUNT; kind++)
            run->sites[call][kind].calls += sim_disk_calls(disk, call, kind);
}

/* --- the report --- */

/* Pairs of this site and a fault that were not met. */
static unsigned count_missing(const struct site *site, int call, int kind)
{
    /* The reserve is cut where a call on it has failed, or to lend a part on a full disk: so seldom
     * that an image is drawn each time, and too seldom to ask for every mode of them. A failure
     * then is the second at once; nobody asks for its outcome. */
    if (call == SIM_TRUNCATE && kind == SIM_RESERVE_FILE)
        return 0;
    unsigned missing = 0;
    bool drawn = call != SIM_OPEN && call != SIM_READ && call != SIM_SIZE && call != SIM_LOCK &&
                 call != SIM_DIRECTORY_LIST;
    for (int mode = 0; mode < SIM_MODE_COUNT; mode++)
        missing += drawn && site->images[mode] == 0;
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        missing += (fault < FAULT_FULL_ONCE || may_fill(call)) && site->failures[fault] == 0;
    return missing;
}

static void print_site(const struct site *site, int call, int kind)
{
    printf("  %-8s %-13s %9llu", sim_call_names[call], sim_kind_names[kind],
           (unsigned long long)site->calls);
    for (int mode = 0; mode < SIM_MODE_COUNT; mode++)
        printf(" %7llu", (unsigned long long)site->images[mode]);
    for (int fault = 0; fault < FAULT_COUNT; fault++) {
        if (fault >= FAULT_FULL_ONCE && !may_fill(call))
            printf("       -");
        else
            printf(" %7llu", (unsigned long long)site->failures[fault]);
    }
    printf("%s\n", count_missing(site, call, kind) != 0 ? "  *" : "");
}

/* A line for each site that was called, of `gaps` only for those that lack a fault; returns how
 * many pairs of a site and a fault were not met. */
static unsigned print_sites(const struct crash_run *run, bool gaps)
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
            const struct site *site = &run->sites[call][kind];
            if (site->calls == 0)
                continue;
            bool judged = run->subject == CRASH_DATABASE || kind != SIM_ROOT;
            unsigned lacking = judged ? count_missing(site, call, kind) : 0;
            sites++;
            missing += lacking;
            if (!gaps || lacking != 0)
                print_site(site, call, kind);
        }
    printf("sites: %u, pairs of a site and a fault not covered: %u\n", sites, missing);
    return missing;
}

/* By CLOCK_MONOTONIC, or of this process by CLOCK_PROCESS_CPUTIME_ID. */
static double seconds_now(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

struct limits {
    uint64_t seed, images, episodes;
    double seconds;
    bool quiet;
    const char *engine;
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
        else if (strcmp(argv[i], "--engine") == 0)
            limits->engine = value;
        else
            return false;
        i++;
    }
    return true;
}

/* Where the engine is, if it is there: as told, as the environment says, or in the build's folder,
 * two above that of this program. */
static void find_engine(struct crash_run *run, const char *given)
{
    const struct os *os = &os_real;
    char folder[PATH_BYTES_MAX / 2];
    int64_t file;
    if (given == NULL)
        given = os->environment(os, "OMENDB_ENGINE");
    if (given == NULL && os->own_folder(os, folder, sizeof folder, NULL) == OMEN_OK)
        snprintf(run->engine, sizeof run->engine, "%s/../../libomendb_engine.so", folder);
    else if (given != NULL)
        snprintf(run->engine, sizeof run->engine, "%s", given);
    if (os->file_open(os, run->engine, OS_OPEN_READ, &file, NULL) == OMEN_OK)
        os->file_close(os, file);
    else
        run->engine[0] = '\0';
}

const char *crash_engine(const struct crash_run *run)
{
    return run->engine[0] != '\0' ? run->engine : NULL;
}

static bool lacks_parquet(const struct crash_run *run)
{
    return run->engine[0] != '\0' && run->parquet * PARQUET_ONE_IN < run->distinct.count;
}

static int print_report(const struct crash_run *run, const struct limits *limits, double seconds,
                        double cpu_seconds)
{
    bool judged = run->distinct.count >= COVERED_IMAGES && !crash_failed(run), uncovered = false;
    if (judged || !limits->quiet)
        uncovered = print_sites(run, limits->quiet) != 0 || lacks_parquet(run);
    for (size_t i = 0; run->counts[i].what != NULL; i++)
        uncovered = uncovered || run->counts[i].times == 0;
    for (size_t i = 0; run->counts[i].what != NULL; i++)
        printf("%s%s=%llu", i == 0 ? "counted: " : " ", run->counts[i].what,
               (unsigned long long)run->counts[i].times);
    printf("\nepisodes=%llu drawn=%llu depth1=%llu depth2=%llu depth3=%llu seconds=%.1f "
           "cpu_seconds=%.1f distinct_per_core_second=%.0f with_parquet=%llu (%.1f %%)\n",
           (unsigned long long)run->episodes, (unsigned long long)run->images,
           (unsigned long long)run->depths[1], (unsigned long long)run->depths[2],
           (unsigned long long)run->depths[3], seconds, cpu_seconds,
           (double)run->distinct.count / cpu_seconds, (unsigned long long)run->parquet,
           100.0 * (double)run->parquet /
               (double)(run->distinct.count + (run->distinct.count == 0)));
    if (judged && uncovered)
        printf("crash: NOT COVERED: see the gaps above\n");
    bool slow = limits->images != UINT64_MAX && run->episodes < limits->episodes &&
                run->distinct.count < limits->images && !crash_failed(run);
    if (slow)
        printf("crash: TOO SLOW: fewer than %llu images\n", (unsigned long long)limits->images);
    printf("crash: images=%zu lost=%llu half=%llu unopenable=%llu\n", run->distinct.count,
           (unsigned long long)run->results[CRASH_LOST],
           (unsigned long long)run->results[CRASH_HALF],
           (unsigned long long)run->results[CRASH_UNOPENABLE]);
    return crash_failed(run) || (judged && uncovered) || slow ? 1 : 0;
}

/* An assertion that fails, or worse: tells which episode it was. */
static volatile sig_atomic_t episode_seed_low, episode_seed_high;

static void tell_seed(int signal_number)
{
    static const char text[] = "crash: aborted (SEED=";
    char line[64];
    size_t length = sizeof line;
    uint64_t seed = (uint64_t)(uint32_t)episode_seed_high << 32 | (uint32_t)episode_seed_low;
    line[--length] = '\n';
    line[--length] = ')';
    do
        line[--length] = (char)('0' + seed % 10);
    while ((seed /= 10) != 0);
    (void)!write(STDOUT_FILENO, text, sizeof text - 1);
    (void)!write(STDOUT_FILENO, line + length, sizeof line - length);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void begin_episode(struct crash_run *run, uint64_t seed)
{
    run->seed = seed;
    run->random = random_seeded(seed);
    episode_seed_low = (sig_atomic_t)(uint32_t)seed;
    episode_seed_high = (sig_atomic_t)(uint32_t)(seed >> 32);
    set_clear(&run->checked);
}

int crash_main(int argc, char **argv, enum crash_subject subject, crash_episode *episode)
{
    struct limits limits = {.images = UINT64_MAX, .episodes = UINT64_MAX, .seconds = 10};
    limits.seed = (uint64_t)time(NULL) * 1000003 % 1000000000;
    if (!read_limits(argc, argv, &limits)) {
        fprintf(stderr,
                "usage: %s [--seed N] [--seconds S] [--images N] [--episodes N] "
                "[--engine PATH] [--quiet]\n",
                argv[0]);
        return 2;
    }
    struct crash_run *run = allocate(sizeof *run);
    run->subject = subject;
    if (subject == CRASH_DATABASE)
        find_engine(run, limits.engine);
    signal(SIGABRT, tell_seed);
    signal(SIGSEGV, tell_seed);
    double begun = seconds_now(CLOCK_MONOTONIC), cpu_begun = seconds_now(CLOCK_PROCESS_CPUTIME_ID);
    printf("crash: SEED=%llu%s\n", (unsigned long long)limits.seed,
           subject == CRASH_DATABASE && run->engine[0] == '\0'
               ? ", without an engine: no image holds Parquet"
               : "");
    fflush(stdout);
    while (run->episodes < limits.episodes && run->distinct.count < limits.images &&
           (run->episodes == 0 || seconds_now(CLOCK_MONOTONIC) - begun < limits.seconds) &&
           !crash_failed(run)) {
        begin_episode(run, limits.seed + run->episodes++);
        episode(run, &run->random);
    }
    int result = print_report(run, &limits, seconds_now(CLOCK_MONOTONIC) - begun,
                              seconds_now(CLOCK_PROCESS_CPUTIME_ID) - cpu_begun);
    free(run->distinct.slots);
    free(run->checked.slots);
    free(run);
    return result;
}
