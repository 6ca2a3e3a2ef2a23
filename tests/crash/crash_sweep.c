/* crash_sweep.c - every call and every allocation that a fixed workload makes, failed: once, and
 * from there on for ever.
 *
 * The workload opens a new database, commits, makes and drops tables, maintains, checkpoints,
 * closes, opens again and goes on. It runs once to count the calls at each site (kind of call, kind
 * of file) and the allocations. Then it runs again for each of them with that one failing. Whatever
 * happens, a statement that failed has changed nothing, or said that its outcome is unknown; and
 * once the failure is over the database opens and is the model after some commit k with
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

enum { SEED = 11, STEPS = 80, TEXT_BYTES = 512 };

struct sweep {
    struct sim_disk *disk;
    struct crash_database it;
    struct model model;
    struct random random;
    uint64_t fail_allocation; /* of the whole workload; 0: none */
    bool fail_for_ever;
    uint64_t made;                        /* allocations, by the workload */
    bool fails;                           /* something may fail now */
    char what[TEXT_BYTES];                /* the failure, for messages */
    uint64_t wrong, runs, fired, refused; /* refused: openings */
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
    static const omen_status expected[] = {OMEN_OK,           OMEN_OUT_OF_MEMORY,  OMEN_DISK_FULL,
                                           OMEN_IO_ERROR,     OMEN_COMMIT_UNKNOWN, OMEN_CORRUPTED,
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

/* Two sessions append, and then both wait, the second first. */
static void commit_many(struct sweep *sweep)
{
    struct model_flight flights[2];
    omen_error error = {0};
    for (int i = 0; i < 2; i++)
        judge(sweep, "appending",
              model_append(&sweep->model, sweep->it.durable, &sweep->random, &flights[i], &error),
              &error);
    for (int i = 2; i-- > 0;)
        judge(sweep, "waiting", model_wait(&sweep->model, sweep->it.durable, &flights[i], &error),
              &error);
}

static void one_step(struct sweep *sweep, int number)
{
    struct random *random = &sweep->random;
    omen_error error = {0};
    if (number == MODEL_TABLES || number % 16 == 9)
        judge(sweep, "CREATE TABLE AS",
              model_create_as(&sweep->model, sweep->it.durable, random, true, &error), &error);
    else if (number % 16 == 4)
        judge(sweep, "COPY", model_copy(&sweep->model, sweep->it.durable, random, true, &error),
              &error);
    else if (number < MODEL_TABLES || number % 13 == 0)
        judge(sweep, "DDL", model_define(&sweep->model, sweep->it.durable, random, &error), &error);
    else if (number % 8 == 3)
        judge(sweep, "CHECKPOINT", crash_database_run(sweep->it.durable, "CHECKPOINT", &error),
              &error);
    else if (number % 8 == 7)
        crash_database_maintain(&sweep->it, random);
    else if (number % 8 == 6)
        commit_many(sweep);
    else if (number % 8 == 5)
        judge(sweep, "a commit that does not wait",
              model_write(&sweep->model, sweep->it.asynchronous, random, false, &error), &error);
    else
        judge(sweep, "commit", model_write(&sweep->model, sweep->it.durable, random, true, &error),
              &error);
}

/* The allocation that is to fail comes after those of what was closed before. */
static bool open_half(struct sweep *sweep, omen_error *error)
{
    uint64_t before = sweep->it.allocations;
    bool past = sweep->fail_allocation <= before;
    sweep->it.fail_for_ever = sweep->fail_for_ever;
    sweep->it.fail_allocation = past ? 0 : sweep->fail_allocation - before;
    if (past && sweep->fail_allocation != 0 && sweep->fail_for_ever)
        sweep->it.fail_allocation = 1;
    if (crash_database_open(&sweep->it, error))
        return true;
    sweep->refused++;
    if (!sweep->fail_for_ever)
        sweep->fail_allocation = 0; /* it has failed */
    return false;
}

static void work(struct sweep *sweep)
{
    omen_error error = {0};
    for (int half = 0; half < 2; half++) {
        if (!open_half(sweep, &error)) {
            judge(sweep, "opening", error.status, &error);
            continue;
        }
        /* Where what is there cannot be read, nobody can say what later commits add to. */
        bool known = half == 0 || compare(sweep, true, "opened again") == MODEL_SAME;
        for (int i = 0; i < STEPS / 2 && known; i++)
            one_step(sweep, half * STEPS / 2 + i);
        (void)crash_database_close(&sweep->it);
    }
    sweep->it.fail_allocation = sweep->fail_allocation = 0;
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
    sweep->disk = sim_disk_create(SEED);
    sweep->it = (struct crash_database){.disk = sweep->disk, .log_file_bytes = 16384};
    sweep->fails = fault != NULL || sweep->fail_allocation != 0;
    if (fault != NULL)
        sim_disk_fail(sweep->disk, fault);
    work(sweep);
    sweep->fails = false;
    sweep->made = sweep->it.allocations;
    sim_disk_mend(sweep->disk);
    sweep->runs++;
    if (fault != NULL)
        sweep->fired += sim_disk_failures(sweep->disk, fault->call, fault->kind) != 0;
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
    uint64_t every = 1, every_allocation = 1, sites = 0;
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
    counts.allocations = sweep->made;
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
    printf("sweep: sites=%llu allocations=%llu runs=%llu fired=%llu refused=%llu "
           "wrong=%llu\n",
           (unsigned long long)sites, (unsigned long long)counts.allocations,
           (unsigned long long)sweep->runs, (unsigned long long)sweep->fired,
           (unsigned long long)sweep->refused, (unsigned long long)sweep->wrong);
    int result = sweep->wrong == 0 ? 0 : 1;
    free(sweep);
    return result;
}
