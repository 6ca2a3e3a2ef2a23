/* progress.c - a bar on the terminal.
 *
 *   [=========>                    ]  31 %, about 12 s left
 *   working for 45 s                                          where nobody knows how far it is
 *
 * OMENDB_PROGRESS_MS says from when on it is shown. The thread starts with the first statement and
 * sleeps where none has begun for a while, so that many short statements seldom wake it.
 */
#define _POSIX_C_SOURCE 200809L
#include "progress.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    BAR_COLUMNS = 30,
    FIRST_MS = 2000,
    NEXT_MS = 250,
    STALLED_MS = 1500, /* without a step, and a tenth of the time so far: no estimate is given */
};

static uint64_t first_ms = FIRST_MS; /* OMENDB_PROGRESS_MS */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all below */
static pthread_cond_t changed;
static bool started, unusable, sleeping, drawn;
static const omen_connection *running;    /* NULL: no statement */
static uint64_t running_since;            /* milliseconds, monotonic */
static unsigned most;                     /* percent that were shown: it never goes back */
static uint64_t last_steps, last_elapsed; /* when a step was last seen, and how many there were */

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What is behind the percentage; `share` of the work is done. */
static void print_rest(uint64_t elapsed, double share)
{
    double seconds = (double)elapsed / 1000 * (1 - share) / share;
    if (elapsed - last_elapsed > STALLED_MS + elapsed / 10)
        fprintf(stderr, ", for %llu s", (unsigned long long)elapsed / 1000);
    else if (seconds >= 90)
        fprintf(stderr, ", about %.0f min left", seconds / 60);
    else
        fprintf(stderr, ", about %.0f s left", seconds < 1 ? 1 : seconds);
}

static void draw(uint64_t elapsed)
{
    omen_progress progress = {.struct_bytes = sizeof progress};
    char bar[BAR_COLUMNS];
    omen_progress_of(running, &progress);
    if (progress.steps_done != last_steps)
        last_elapsed = elapsed;
    last_steps = progress.steps_done;
    drawn = true;
    if (progress.steps_total == 0 || progress.steps_done >= progress.steps_total) {
        fprintf(stderr, "\r\x1b[Kworking for %llu s", (unsigned long long)elapsed / 1000);
        fflush(stderr);
        return;
    }
    double share = (double)progress.steps_done / (double)progress.steps_total;
    unsigned percent = (unsigned)(100 * share);
    most = percent > most ? (percent < 99 ? percent : 99) : most;
    size_t done = most * BAR_COLUMNS / 100;
    memset(bar, ' ', BAR_COLUMNS);
    memset(bar, '=', done);
    bar[done] = '>';
    fprintf(stderr, "\r\x1b[K[%.*s] %3u %%", BAR_COLUMNS, bar, most);
    if (percent > 0)
        print_rest(elapsed, share);
    fflush(stderr);
}

static void wait_ms(uint64_t milliseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(milliseconds / 1000);
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&changed, &lock, &until);
}

static void *watch(void *argument)
{
    (void)argument;
    pthread_mutex_lock(&lock);
    for (;;) {
        uint64_t elapsed = running == NULL ? 0 : now_ms() - running_since;
        if (running == NULL) {
            sleeping = true;
            pthread_cond_wait(&changed, &lock);
            sleeping = false;
        } else if (elapsed < first_ms) {
            wait_ms(first_ms - elapsed);
        } else {
            draw(elapsed);
            sleeping = true; /* the next statement need not wait for that */
            wait_ms(NEXT_MS);
            sleeping = false;
        }
    }
    return NULL;
}

/* Starts the thread; signals are the main thread's. */
static void start(void)
{
    const char *terminal = getenv("TERM"), *after = getenv("OMENDB_PROGRESS_MS");
    pthread_condattr_t monotonic;
    pthread_t thread;
    sigset_t all, before;
    started = true;
    unusable = !isatty(STDERR_FILENO) || terminal == NULL || strcmp(terminal, "dumb") == 0;
    if (unusable)
        return;
    if (after != NULL && after[0] != '\0')
        first_ms = strtoull(after, NULL, 10);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    unusable = pthread_cond_init(&changed, &monotonic) != 0;
    pthread_condattr_destroy(&monotonic);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    unusable = unusable || pthread_create(&thread, NULL, watch, NULL) != 0;
    if (!unusable)
        pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void progress_begin(const omen_connection *connection)
{
    if (!started)
        start();
    if (unusable)
        return;
    pthread_mutex_lock(&lock);
    running = connection;
    running_since = now_ms();
    most = 0;
    last_steps = last_elapsed = 0;
    if (sleeping)
        pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

void progress_end(void)
{
    if (!started || unusable)
        return;
    pthread_mutex_lock(&lock);
    running = NULL;
    if (drawn) {
        fputs("\r\x1b[K", stderr);
        fflush(stderr);
    }
    drawn = false;
    pthread_mutex_unlock(&lock);
}
