/* fibres.c - fibres, the scheduler and the clock. See fibres.h. Locks: fibres_wrap.c. */
#define _GNU_SOURCE
#include <link.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "base/random.h"
#include "fibres_private.h"

enum {
    FIBRES_MAX = 128,
    STACK_BYTES = 1 << 20,
    GUARD_BYTES = 4096,
    SECOND_NS = 1000000000,
    TICK_NS = 1000,
    LEAP_ONE_IN = 4096, /* switches: then time leaps */
    LEAP_NS_MAX = 20 * 1000 * 1000,
    LAGGARDS_MAX = 2, /* at a time: fibres that stay behind where they were stopped */
    LAG_BITS_MAX = 13,
    PLACES = 8192,
    GRAIN_BITS_MIN = 11,
    GRAIN_BITS_MAX = 15,
    PICKS_MAX = 6,
};

#define TIME_NS_MAX (UINT64_C(3600) * 1000000000)

struct fibre {
    jmp_buf where;
    ucontext_t start;
    void *stack;
    size_t stack_bytes;
    void *(*function)(void *);
    void *argument, *result, *owner;
    bool used, started, ended, hurries;
    const void *awaited; /* NULL: ready */
    uint64_t deadline_ns, sequence;
    bool woken;
    uint64_t lags_until; /* a number of switches */
    uint8_t *locals;     /* thread-local variables while another runs */
};

static struct {
    struct random random;
    struct fibre fibres[FIBRES_MAX], *current;
    struct fibre *ready[FIBRES_MAX];
    size_t ready_count, waiting_count, end; /* end: no fibre has ever been from there on */
    uint64_t now_ns, next_deadline_ns, sequence;
    uint64_t grain_bits; /* of how long a fibre goes on: mostly short, now and then long */
    struct fibres_report report;
    jmp_buf outside;
    bool abandoned;
    void (*function)(void *);
    void *argument;
    /* The program's thread-local variables, and what they are at first. */
    uint8_t *locals, *locals_before;
    const void *locals_first;
    size_t locals_bytes, locals_first_bytes;
    uint64_t lag_ends[LAGGARDS_MAX]; /* numbers of switches */
    uintptr_t base;                  /* where the program lies */
} world;

/* Points left until the running fibre is stopped. */
static int64_t countdown = INT64_MAX;

bool fibres_running(void)
{
    return world.current != NULL;
}

uint64_t fibre_random(uint64_t limit)
{
    return random_below(&world.random, limit);
}

void fibre_hurry(void)
{
    world.current->hurries = true;
}

void fibre_set_owner(void *owner)
{
    world.current->owner = owner;
}

void *fibre_owner(void)
{
    return world.current->owner;
}

uint64_t fibres_now_ns(void)
{
    return world.now_ns += TICK_NS;
}

static bool patient;

void fibres_set_patient(bool now_patient)
{
    patient = now_patient;
}

uint64_t fibres_deadline_ns(uint64_t until_ns)
{
    static const uint64_t polls_ms[] = FIBRES_POLLS_MS;
    for (size_t i = 0; patient && i < sizeof polls_ms / sizeof *polls_ms; i++)
        if (until_ns - world.now_ns == polls_ms[i] * 1000000)
            return UINT64_MAX;
    return until_ns;
}

/* --- thread-local variables --- */

static int find_locals(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size, (void)context;
    world.base = info->dlpi_addr;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_TLS)
            continue;
        world.locals = info->dlpi_tls_data;
        world.locals_bytes = info->dlpi_phdr[i].p_memsz;
        world.locals_first = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        world.locals_first_bytes = info->dlpi_phdr[i].p_filesz;
    }
    return 1; /* the program itself comes first */
}

/* --- switching --- */

static void become_ready(struct fibre *fibre, bool woken)
{
    fibre->awaited = NULL;
    fibre->deadline_ns = UINT64_MAX;
    fibre->woken = woken;
    world.waiting_count--;
    world.ready[world.ready_count++] = fibre;
}

/* Those whose time has come are ready. */
static void wake_expired(void)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < world.end && world.waiting_count > 0; i++) {
        struct fibre *fibre = &world.fibres[i];
        if (!fibre->used || fibre->awaited == NULL)
            continue;
        if (fibre->deadline_ns <= world.now_ns)
            become_ready(fibre, false);
        else if (fibre->deadline_ns < next)
            next = fibre->deadline_ns;
    }
    world.next_deadline_ns = next;
}

static void give_up(const char *why)
{
    fprintf(stderr, "fibres: %s\n", why);
    for (size_t i = 0; i < world.end; i++)
        if (world.fibres[i].used && !world.fibres[i].ended)
            fprintf(stderr, "  fibre %zu waits at %p\n", i, world.fibres[i].awaited);
    abort();
}

/* Who goes on. */
static struct fibre *choose(void)
{
    world.report.switches++;
    world.now_ns += TICK_NS * (1 + fibre_random(3));
    if (fibre_random(LEAP_ONE_IN) == 0)
        world.now_ns += fibre_random(LEAP_NS_MAX);
    if (world.now_ns > TIME_NS_MAX)
        give_up("more than an hour has gone");
    if (world.now_ns >= world.next_deadline_ns)
        wake_expired();
    while (world.ready_count == 0) {
        if (world.next_deadline_ns == UINT64_MAX)
            give_up("everybody waits for ever");
        world.now_ns = world.next_deadline_ns;
        wake_expired();
    }
    struct fibre *fibre = NULL;
    for (int i = 0; i < PICKS_MAX; i++) {
        fibre = world.ready[fibre_random(world.ready_count)];
        if (fibre->lags_until <= world.report.switches)
            break;
    }
    return fibre;
}

static void run_fibre(void)
{
    struct fibre *fibre = world.current;
    fibre->result = fibre->function(fibre->argument);
    fibre->ended = true;
    fibre_wake(fibre, FIBRE_WAKE_ALL);
    fibre_wait(&fibre->ended, UINT64_MAX);
    abort(); /* nobody wakes it */
}

static void go_on(struct fibre *next)
{
    struct fibre *before = world.current;
    countdown = 1 + (int64_t)fibre_random(UINT64_C(1) << fibre_random(world.grain_bits));
    if (next == before)
        return;
    memcpy(before->locals, world.locals, world.locals_bytes);
    memcpy(world.locals, next->locals, world.locals_bytes);
    world.current = next;
    if (_setjmp(before->where) != 0)
        return;
    if (next->started)
        _longjmp(next->where, 1);
    next->started = true;
    setcontext(&next->start);
}

void fibre_yield(void)
{
    go_on(choose());
}

/* Whether the running fibre, stopped at an address of the program, is to stay behind for a while. Each place
 * gets as many such stops as any other, however often it is passed: what is rare, or short, is stopped in too. */
static bool is_to_lag(const void *place)
{
    static struct {
        uint32_t lags[PLACES], seen, total;
    } of;
    size_t number = ((uintptr_t)place - world.base) * UINT64_C(0x9E3779B97F4A7C15) >> 51;
    if (of.lags[number] == 0) {
        of.seen++;
        of.lags[number] = 1;
    }
    if ((uint64_t)(of.lags[number] - 1) * of.seen > of.total)
        return false;
    of.lags[number]++;
    of.total++;
    return true;
}

static void stop_at(const void *place)
{
    if (world.current == NULL || world.current->hurries) {
        countdown = INT64_MAX;
        return;
    }
    uint64_t *lag_end = &world.lag_ends[fibre_random(LAGGARDS_MAX)];
    if (*lag_end <= world.report.switches && is_to_lag(place))
        *lag_end = world.current->lags_until =
            world.report.switches + (UINT64_C(1) << fibre_random(LAG_BITS_MAX));
    fibre_yield();
}

void fibre_point(int weight)
{
    countdown -= weight;
    if (countdown <= 0)
        stop_at(__builtin_return_address(0));
}

/* Called by code that is compiled with -fsanitize-coverage=trace-pc, once a basic block. */
void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
    if (--countdown <= 0)
        stop_at(__builtin_return_address(0));
}

void fibre_pause(void)
{
    if (fibres_running())
        fibre_yield();
}

/* --- waiting --- */

bool fibre_wait(const void *awaited, uint64_t deadline_ns)
{
    struct fibre *fibre = world.current;
    size_t place = 0;
    while (world.ready[place] != fibre)
        place++;
    world.ready[place] = world.ready[--world.ready_count];
    fibre->awaited = awaited;
    fibre->deadline_ns = deadline_ns;
    fibre->sequence = ++world.sequence;
    world.waiting_count++;
    world.report.waits++;
    if (deadline_ns < world.next_deadline_ns)
        world.next_deadline_ns = deadline_ns;
    go_on(choose());
    return fibre->woken;
}

void fibre_wake(const void *awaited, enum fibre_wake how)
{
    struct fibre *chosen = NULL;
    uint64_t seen = 0;
    for (size_t i = 0; i < world.end && world.waiting_count > 0; i++) {
        struct fibre *fibre = &world.fibres[i];
        if (!fibre->used || fibre->awaited != awaited)
            continue;
        if (how == FIBRE_WAKE_ALL)
            become_ready(fibre, true);
        else if (chosen == NULL || (how == FIBRE_WAKE_OLDEST ? fibre->sequence < chosen->sequence
                                                             : fibre_random(++seen + 1) == 0))
            chosen = fibre;
    }
    if (chosen != NULL)
        become_ready(chosen, true);
}

void fibre_sleep(uint64_t ns)
{
    (void)fibre_wait(&world.current->deadline_ns, world.now_ns + ns);
}

/* --- life --- */

static void prepare(struct fibre *fibre)
{
    getcontext(&fibre->start);
    fibre->start.uc_stack.ss_sp = fibre->stack;
    fibre->start.uc_stack.ss_size = fibre->stack_bytes;
    makecontext(&fibre->start, run_fibre, 0);
}

struct fibre *fibre_start(void *(*function)(void *), void *argument, size_t stack_bytes)
{
    struct fibre *fibre = world.fibres;
    while (fibre < world.fibres + FIBRES_MAX && fibre->used)
        fibre++;
    if (fibre == world.fibres + FIBRES_MAX)
        return NULL;
    if ((size_t)(fibre - world.fibres) == world.end)
        world.end++;
    if (stack_bytes < STACK_BYTES)
        stack_bytes = STACK_BYTES;
    *fibre = (struct fibre){.function = function, .argument = argument, .used = true,
        .stack_bytes = stack_bytes, .deadline_ns = UINT64_MAX};
    fibre->stack = mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    fibre->locals = calloc(1, world.locals_bytes + 1);
    if (fibre->stack == MAP_FAILED || fibre->locals == NULL ||
        mprotect(fibre->stack, GUARD_BYTES, PROT_NONE) != 0) {
        perror("fibres: stack");
        exit(2);
    }
    memcpy(fibre->locals, world.locals_first, world.locals_first_bytes);
    prepare(fibre);
    world.ready[world.ready_count++] = fibre;
    return fibre;
}

static void forget(struct fibre *fibre)
{
    munmap(fibre->stack, fibre->stack_bytes);
    free(fibre->locals);
    *fibre = (struct fibre){.used = false};
}

void *fibre_join(struct fibre *fibre)
{
    while (!fibre->ended)
        (void)fibre_wait(fibre, UINT64_MAX);
    while (fibre->awaited == NULL) /* it has not come to its end's wait yet */
        fibre_yield();
    void *result = fibre->result;
    world.waiting_count--;
    forget(fibre);
    return result;
}

static void *run_first(void *argument)
{
    (void)argument;
    world.function(world.argument);
    countdown = INT64_MAX;
    _longjmp(world.outside, 1);
}

void fibres_abandon(void)
{
    world.abandoned = true;
    countdown = INT64_MAX;
    _longjmp(world.outside, 1);
}

static void forget_all(void)
{
    for (size_t i = 0; i < world.end; i++) {
        if (i > 0 && world.fibres[i].used && !world.abandoned)
            give_up("not all were joined");
        if (world.fibres[i].used)
            forget(&world.fibres[i]);
    }
}

void fibres_run(uint64_t seed, void (*function)(void *), void *argument, struct fibres_report *report)
{
    uint64_t start_ns = world.now_ns != 0 ? world.now_ns : SECOND_NS;
    memset(&world, 0, sizeof world);
    dl_iterate_phdr(find_locals, NULL);
    world.random = random_seeded(seed);
    world.next_deadline_ns = UINT64_MAX;
    world.now_ns = start_ns;
    world.function = function;
    world.argument = argument;
    world.grain_bits = GRAIN_BITS_MIN + fibre_random(GRAIN_BITS_MAX - GRAIN_BITS_MIN + 1);
    world.locals_before = malloc(world.locals_bytes + 1);
    if (world.locals_before == NULL)
        exit(2);
    memcpy(world.locals_before, world.locals, world.locals_bytes);
    struct fibre *first = fibre_start(run_first, NULL, 0);
    if (_setjmp(world.outside) == 0) {
        world.current = first;
        countdown = 1;
        memcpy(world.locals, first->locals, world.locals_bytes);
        first->started = true;
        setcontext(&first->start);
    }
    memcpy(world.locals, world.locals_before, world.locals_bytes);
    free(world.locals_before);
    forget_all();
    world.current = NULL;
    report->switches += world.report.switches;
    report->waits += world.report.waits;
    report->simulated_ns += world.now_ns - start_ns;
}
