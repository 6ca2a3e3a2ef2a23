/* soak.c - a database at work for a long time: memory, log and files must not grow.
 *
 *   clients    inserts, updates, deletes, point reads; sums through the engine    soak_client.c
 *   analyst    reports, old readers, tables made and dropped                      soak_analyst.c
 *   watcher    (the first thread) resident memory, bytes of the log and of data files, four times a
 *              second; a line a minute
 *
 * Every answer that can be known is checked. At the end everything is compared, the database is
 * closed, verified and opened again. Flat means: the last third of the time needed at most a little
 * more than the second (the first fills caches). Runs that are too short to tell are held to the
 * limits alone. tools/soak puts it under a memory limit.
 *
 * usage: soak --folder DIRECTORY [--seconds S] [--seed N] [--memory-mib N] [--clients N]
 *             [--limit-data]     the limit by RLIMIT_DATA; otherwise whoever starts it has set one
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "soak.h"

enum {
    MIB = 1 << 20,
    PATH_BYTES = 4096,
    THIRDS = 3,
    CHECKPOINT_BYTES = 16 * MIB, /* often, so that an hour's worth of them fits into minutes */
    LOG_BYTES_MAX = 8 * CHECKPOINT_BYTES,
    TELLING_SECONDS = 240, /* shorter runs do not tell what grows, and have few keys */
    KEYS = 200000,
    KEYS_OF_A_SAMPLE = 40000,
};

/* The most of each in one third of the time, in bytes. */
struct highs {
    uint64_t memory, own, log, data;
};

struct watch {
    struct soak *soak;
    char folder[PATH_BYTES];
    uint64_t memory_max;
    double begun, told;
    double worked; /* seconds */
    uint64_t statements;
    struct highs thirds[THIRDS];
};

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void soak_fail(struct soak *soak, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("soak: SEED=%" PRIu64 ": ", soak->seed);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    atomic_store(&soak->failed, true);
    atomic_store(&soak->stop, true);
}

bool soak_over(struct soak *soak)
{
    return atomic_load_explicit(&soak->stop, memory_order_relaxed);
}

bool soak_run(struct soak *soak, omen_connection *connection, const char *sql, uint64_t *rows)
{
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    omen_error error;
    uint64_t count = 0;
    if (omen_query(connection, sql, SIZE_MAX, &stream, NULL, &error) != OMEN_OK) {
        soak_fail(soak, "%s: %s %s", sql, error.sqlstate, error.message);
        return false;
    }
    int failed;
    while ((failed = stream.get_next(&stream, &batch)) == 0 && batch.release != NULL) {
        count += (uint64_t)batch.length;
        batch.release(&batch);
    }
    if (failed != 0)
        soak_fail(soak, "%s: %s", sql, stream.get_last_error(&stream));
    stream.release(&stream);
    atomic_fetch_add_explicit(&soak->statements, 1, memory_order_relaxed);
    if (rows != NULL)
        *rows = count;
    return failed == 0;
}

/* --- watching --- */

/* All that is resident, and of it what is no page of a file (libraries come page by page). */
static uint64_t resident_bytes(uint64_t *own)
{
    unsigned long long size = 0, resident = 0, shared = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%llu %llu %llu", &size, &resident, &shared) != 3)
        resident = shared = 0;
    if (file != NULL)
        fclose(file);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    *own = (resident - shared) * page;
    return resident * page;
}

static uint64_t folder_bytes(const char *parent, const char *name)
{
    char path[PATH_BYTES];
    uint64_t bytes = 0;
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", parent, name);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.' && fstatat(dirfd(folder), entry->d_name, &status, 0) == 0)
            bytes += (uint64_t)status.st_size;
    closedir(folder);
    return bytes;
}

static void raise_to(uint64_t *high, uint64_t value)
{
    if (value > *high)
        *high = value;
}

static void take_sample(struct watch *watch)
{
    struct soak *soak = watch->soak;
    double elapsed = seconds_now() - watch->begun;
    int third = (int)(elapsed * THIRDS / soak->seconds);
    struct highs *highs = &watch->thirds[third < THIRDS ? third : THIRDS - 1];
    uint64_t own, memory = resident_bytes(&own), log = folder_bytes(watch->folder, "log");
    uint64_t data = folder_bytes(watch->folder, "data");
    raise_to(&highs->memory, memory);
    raise_to(&highs->own, own);
    raise_to(&highs->log, log);
    raise_to(&highs->data, data);
    if (memory > watch->memory_max)
        soak_fail(soak, "%" PRIu64 " MiB are resident", memory / MIB);
    if (log > LOG_BYTES_MAX)
        soak_fail(soak, "the log has %" PRIu64 " MiB", log / MIB);
    if (elapsed < watch->told)
        return;
    watch->told += 60;
    printf("soak: at=%.0f statements=%" PRIu64 " rss=%" PRIu64 " own=%" PRIu64 " tables=%" PRIu64 " log=%" PRIu64
           " data=%" PRIu64 "\n",
           elapsed, atomic_load(&soak->statements), memory / MIB, own / MIB,
           omen_memory_bytes(soak->database) / MIB, log / MIB, data / MIB);
    fflush(stdout);
}

static void watch_until_end(struct watch *watch)
{
    const struct timespec pause = {.tv_nsec = 250000000};
    while (!soak_over(watch->soak) && seconds_now() - watch->begun < watch->soak->seconds) {
        nanosleep(&pause, NULL);
        take_sample(watch);
    }
    watch->worked = seconds_now() - watch->begun;
    watch->statements = atomic_load(&watch->soak->statements);
    atomic_store(&watch->soak->stop, true);
}

/* What the last third may need more than the second one. */
static bool is_flat(uint64_t second, uint64_t last)
{
    return last <= second + second / 20 + 16 * MIB;
}

static void judge(struct watch *watch)
{
    const struct highs *second = &watch->thirds[1], *last = &watch->thirds[2];
    if (watch->soak->seconds < TELLING_SECONDS)
        return;
    if (!is_flat(second->memory, last->memory))
        soak_fail(watch->soak, "memory grows: %" PRIu64 " MiB, then %" PRIu64,
                  second->memory / MIB, last->memory / MIB);
    if (!is_flat(second->own, last->own))
        soak_fail(watch->soak, "memory that is no file's grows: %" PRIu64 " MiB, then %" PRIu64,
                  second->own / MIB, last->own / MIB);
    if (!is_flat(second->data + second->data / 4, last->data))
        soak_fail(watch->soak, "files grow: %" PRIu64 " MiB, then %" PRIu64, second->data / MIB,
                  last->data / MIB);
}

/* --- the run --- */

static void work(struct watch *watch, struct soak_client *clients)
{
    struct soak *soak = watch->soak;
    pthread_t analyst;
    watch->begun = seconds_now();
    unsigned started = 0;
    if (pthread_create(&analyst, NULL, soak_analyst_work, soak) != 0) {
        soak_fail(soak, "could not start a thread");
        return;
    }
    while (started < soak->clients &&
           pthread_create(&clients[started].thread, NULL, soak_client_work, &clients[started]) == 0)
        started++;
    if (started < soak->clients)
        soak_fail(soak, "could not start a thread");
    watch_until_end(watch);
    pthread_join(analyst, NULL);
    for (unsigned i = 0; i < started; i++)
        pthread_join(clients[i].thread, NULL);
    for (unsigned i = 0; i < started && !atomic_load(&soak->failed); i++)
        (void)soak_client_compare(&clients[i]);
}

static void tell_fault(void *context, const char *line)
{
    if (strncmp(line, "fault", 5) == 0)
        soak_fail(context, "%s", line);
}

/* Closed, verified, opened again. */
static void close_and_check(struct soak *soak, const char *folder, const omen_options *options)
{
    omen_error error = {.message = ""};
    uint64_t faults = 0;
    if (omen_close(soak->database, &error) != OMEN_OK)
        soak_fail(soak, "closing: %s", error.message);
    if (omen_verify(folder, options, tell_fault, soak, &faults, &error) != OMEN_OK || faults != 0)
        soak_fail(soak, "verifying: %" PRIu64 " faults %s", faults, error.message);
    if (omen_open(folder, options, &soak->database, &error) != OMEN_OK)
        soak_fail(soak, "opening again: %s", error.message);
    else if (omen_close(soak->database, &error) != OMEN_OK)
        soak_fail(soak, "closing again: %s", error.message);
}

static int run(struct watch *watch)
{
    struct soak *soak = watch->soak;
    struct soak_client clients[SOAK_CLIENTS_MAX] = {0};
    omen_options options;
    omen_error error;
    omen_options_init(&options);
    options.log_file_bytes = options.checkpoint_bytes = CHECKPOINT_BYTES;
    options.checkpoint_ms = 30000;
    options.engine_memory_bytes_max = 512 * MIB;
    options.engine_thread_count = 2;
    if (omen_open(watch->folder, &options, &soak->database, &error) != OMEN_OK) {
        soak_fail(soak, "opening: %s", error.message);
        return 1;
    }
    unsigned open = 0;
    if (soak_tables(soak))
        while (open < soak->clients && soak_client_open(&clients[open], soak, open))
            open++;
    if (open == soak->clients)
        work(watch, clients);
    else
        soak_client_close(&clients[open]);
    for (unsigned i = 0; i < open; i++)
        soak_client_close(&clients[i]);
    judge(watch);
    close_and_check(soak, watch->folder, &options);
    const struct highs *second = &watch->thirds[1], *last = &watch->thirds[2];
    uint64_t log = 0;
    for (int i = 0; i < THIRDS; i++)
        raise_to(&log, watch->thirds[i].log);
    bool failed = atomic_load(&soak->failed);
    printf("soak: seconds=%.0f statements=%" PRIu64 " rss_first=%" PRIu64 " rss_last=%" PRIu64
           " own_first=%" PRIu64 " own_last=%" PRIu64 " log_max=%" PRIu64 " data_first=%" PRIu64 " data_last=%" PRIu64 " %s\n",
           watch->worked, watch->statements, second->memory / MIB,
           last->memory / MIB, second->own / MIB, last->own / MIB, log / MIB, second->data / MIB, last->data / MIB,
           failed ? "FAILED" : "ok");
    return failed;
}

int main(int argc, char **argv)
{
    struct soak soak = {.seconds = 1800, .clients = 2, .seed = (uint64_t)time(NULL)};
    struct watch watch = {.soak = &soak, .memory_max = UINT64_C(2048) * MIB};
    bool limit_data = false;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(name, "--limit-data") == 0) {
            limit_data = true;
            continue;
        }
        i++;
        if (strcmp(name, "--folder") == 0)
            snprintf(watch.folder, sizeof watch.folder, "%s", value);
        else if (strcmp(name, "--seconds") == 0)
            soak.seconds = strtod(value, NULL);
        else if (strcmp(name, "--seed") == 0)
            soak.seed = strtoull(value, NULL, 10);
        else if (strcmp(name, "--memory-mib") == 0)
            watch.memory_max = strtoull(value, NULL, 10) * MIB;
        else if (strcmp(name, "--clients") == 0)
            soak.clients = (unsigned)strtoul(value, NULL, 10);
    }
    if (watch.folder[0] == '\0' || soak.seconds <= 0 || soak.clients == 0 ||
        soak.clients > SOAK_CLIENTS_MAX) {
        fprintf(stderr, "usage: soak --folder DIRECTORY [--seconds S] [--seed N] [--memory-mib N] "
                        "[--clients N] [--limit-data]\n");
        return 2;
    }
    soak.keys = soak.seconds < TELLING_SECONDS ? KEYS_OF_A_SAMPLE : KEYS;
    const struct rlimit limit = {watch.memory_max, watch.memory_max};
    if (limit_data && setrlimit(RLIMIT_DATA, &limit) != 0)
        return 2;
    printf("soak: SEED=%" PRIu64 " folder=%s limit_mib=%" PRIu64 "\n", soak.seed, watch.folder,
           watch.memory_max / MIB);
    return run(&watch);
}
