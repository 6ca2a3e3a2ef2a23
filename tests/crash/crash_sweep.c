/* crash_sweep.c - every call and every allocation that a fixed workload makes, failed: once, and from
 * there on for ever.
 *
 * The workload opens a new database, commits, makes and drops tables, maintains, checkpoints, closes,
 * opens again and goes on. It runs once to count the calls at each site (kind of call, kind of file)
 * and the allocations. Then it runs again for each of them with that one failing. Whatever happens, a
 * statement that failed has changed nothing, or said that its outcome is unknown; and once the
 * failure is over the database opens and is the model after some commit k with
 * acknowledged <= k <= appended, also after a power cut in place of the close.
 *
 * usage: crash_sweep [--every N] [--every-allocation N]     every Nth call of a site only
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crash/crash_database.h"
#include "crash/crash_model.h"

enum { SEED = 11, STEPS = 40, TEXT_BYTES = 512 };

struct sweep {
    struct sim_disk *disk;
    struct crash_database it;
    struct model model;
    struct random random;
    uint64_t allocations; /* made so far by databases that were closed */
    uint64_t fail_allocation;
    bool fail_for_ever;
    bool fails; /* something may fail now */
    char what[TEXT_BYTES]; /* the failure, for messages */
    uint64_t wrong, runs, fired;
};

static void tell_wrong(struct sweep *sweep, const char *when, const char *what)
{
    if (sweep->wrong++ < 20)
        printf("sweep: wrong: %s: %s: %s\n", sweep->what, when, what);
}

/* --- the workload --- */

/* What a statement may answer while something fails. */
static void judge(struct sweep *sweep, const char *statement, omen_status status,
                  const omen_error *error)
{
    static const omen_status expected[] = {OMEN_OK,         OMEN_OUT_OF_MEMORY,  OMEN_DISK_FULL,
                                           OMEN_IO_ERROR,   OMEN_COMMIT_UNKNOWN, OMEN_CORRUPTED,
                                           OMEN_NOT_SUPPORTED};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (status == expected[i])
            return;
    if (!sweep->model.unsure)
        tell_wrong(sweep, statement, error->message);
}

static enum model_verdict compare(struct sweep *sweep, bool settle, const char *when)
{
    char text[TEXT_BYTES];
    enum model_verdict verdict =
        model_compare(&sweep->model, sweep->it.durable, settle, text, sizeof text);
    if (verdict != MODEL_SAME && (verdict != MODEL_UNREADABLE || !sweep->fails))
        tell_wrong(sweep, when, text);
    return verdict;
}

static void one_step(struct sweep *sweep, int number)
{
    struct random *random = &sweep->random;
    omen_error error = {0};
    if (number < MODEL_TABLES || number % 13 == 0)
        judge(sweep, "DDL", model_define(&sweep->model, sweep->it.durable, random, &error),
              &error);
    else if (number % 8 == 3)
        judge(sweep, "CHECKPOINT",
              crash_database_run(sweep->it.durable, "CHECKPOINT", &error), &error);
    else if (number % 8 == 7)
        crash_database_maintain(&sweep->it, random);
    else
        judge(sweep, "commit",
              model_write(&sweep->model, sweep->it.durable, random, true, &error), &error);
}

static void arm_allocator(struct sweep *sweep)
{
    struct allocator *allocator = sweep->it.database->allocator;
    uint64_t before = sweep->allocations;
    if (sweep->fail_allocation > before)
        allocator_fail_at(allocator, sweep->fail_allocation - before, sweep->fail_for_ever);
}

static void close_half(struct sweep *sweep)
{
    struct allocator *allocator = sweep->it.database->allocator;
    sweep->allocations += atomic_load(&allocator->calls);
    (void)crash_database_close(&sweep->it);
}

static void work(struct sweep *sweep)
{
    omen_error error = {0};
    for (int half = 0; half < 2; half++) {
        if (!crash_database_open(&sweep->it, &error)) {
            judge(sweep, "opening", error.status, &error);
            continue;
        }
        arm_allocator(sweep);
        /* Where what is there cannot be read, nobody can say what later commits add to. */
        bool known = half == 0 || compare(sweep, true, "opened again") == MODEL_SAME;
        for (int i = 0; i < STEPS / 2 && known; i++)
            one_step(sweep, half * STEPS / 2 + i);
        close_half(sweep);
    }
}

/* --- runs --- */

/* After the failure is over: the disk as it is, and as it is after a power cut. */
static void look(struct sweep *sweep)
{
    static const enum sim_mode modes[] = {SIM_KILL, SIM_DROP, SIM_REORDER_512};
    const struct model model = sweep->model;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        omen_error error = {0};
        sweep->model = model;
        sweep->it.disk = sim_disk_draw(sweep->disk, modes[i], i);
        if (!crash_database_open(&sweep->it, &error)) {
            tell_wrong(sweep, "opening afterwards", error.message);
        } else {
            (void)compare(sweep, true, sim_mode_names[modes[i]]);
            for (int step = MODEL_TABLES; step < MODEL_TABLES + 4; step++)
                one_step(sweep, step);
            (void)compare(sweep, false, "written on");
            (void)crash_database_close(&sweep->it);
        }
        sim_disk_destroy(sweep->it.disk);
    }
}

/* Runs the workload with a failure (NULL: none, or one of the allocator). */
static void run(struct sweep *sweep, const struct sim_fault *fault)
{
    sweep->random = random_seeded(SEED);
    sweep->model = (struct model){0};
    sweep->allocations = 0;
    sweep->disk = sim_disk_create(SEED);
    sweep->it = (struct crash_database){.disk = sweep->disk, .log_file_bytes = 16384};
    sweep->fails = fault != NULL || sweep->fail_allocation != 0;
    if (fault != NULL)
        sim_disk_fail(sweep->disk, fault);
    work(sweep);
    sweep->fails = false;
    sim_disk_mend(sweep->disk);
    sweep->runs++;
    if (fault != NULL)
        sweep->fired += sim_disk_failures(sweep->disk, fault->call, fault->kind) != 0;
    sweep->fail_allocation = 0;
    look(sweep);
}

struct counts {
    uint64_t calls[SIM_CALL_COUNT][SIM_KIND_COUNT];
    uint64_t allocations;
};

static void sweep_site(struct sweep *sweep, enum sim_call call, enum sim_kind kind, uint64_t calls,
                       uint64_t every)
{
    for (uint64_t nth = 1; nth <= calls; nth += every)
        for (int forever = 0; forever < 2; forever++) {
            const struct sim_fault fault = {call, kind, nth, forever != 0, OMEN_IO_ERROR};
            snprintf(sweep->what, sizeof sweep->what, "%s %s, %s %llu", sim_call_names[call],
                     sim_kind_names[kind], forever != 0 ? "from call" : "call",
                     (unsigned long long)nth);
            run(sweep, &fault);
            sim_disk_destroy(sweep->disk);
        }
}

static void sweep_allocations(struct sweep *sweep, uint64_t allocations, uint64_t every)
{
    for (uint64_t nth = 1; nth <= allocations; nth += every)
        for (int forever = 0; forever < 2; forever++) {
            snprintf(sweep->what, sizeof sweep->what, "%s %llu of %llu",
                     forever != 0 ? "from allocation" : "allocation", (unsigned long long)nth,
                     (unsigned long long)allocations);
            sweep->fail_allocation = nth;
            sweep->fail_for_ever = forever != 0;
            run(sweep, NULL);
            sim_disk_destroy(sweep->disk);
        }
}

int main(int argc, char **argv)
{
    uint64_t every = 1, every_allocation = 17, sites = 0;
    struct sweep *sweep = calloc(1, sizeof *sweep);
    struct counts counts = {0};
    OMEN_ASSERT(sweep != NULL);
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--every") == 0)
            every = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--every-allocation") == 0)
            every_allocation = strtoull(argv[i + 1], NULL, 10);
    snprintf(sweep->what, sizeof sweep->what, "without a failure");
    run(sweep, NULL);
    counts.allocations = sweep->allocations;
    for (int call = 0; call < SIM_CALL_COUNT; call++)
        for (int kind = 0; kind < SIM_KIND_COUNT; kind++)
            counts.calls[call][kind] = sim_disk_calls(sweep->disk, call, kind);
    sim_disk_destroy(sweep->disk);
    for (int call = 0; call < SIM_CALL_COUNT; call++)
        for (int kind = 0; kind < SIM_KIND_COUNT; kind++) {
            sites += counts.calls[call][kind] != 0;
            sweep_site(sweep, call, kind, counts.calls[call][kind], every);
        }
    sweep_allocations(sweep, counts.allocations, every_allocation);
    printf("sweep: sites=%llu allocations=%llu runs=%llu fired=%llu wrong=%llu\n",
           (unsigned long long)sites, (unsigned long long)counts.allocations,
           (unsigned long long)sweep->runs, (unsigned long long)sweep->fired,
           (unsigned long long)sweep->wrong);
    int result = sweep->wrong == 0 ? 0 : 1;
    free(sweep);
    return result;
}
