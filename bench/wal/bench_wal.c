/* bench_wal.c - what the log adds to the disk's own time, and how many commits share a sync.
 *
 *     bench_wal [NAME] [FOLDER]      FOLDER: on the disk to be measured; the current one if missing
 *
 *   log.one   one client: append and sync a commit, against appending as many bytes to a bare file
 *             and fdatasync, in turns. Syncs a commit are counted; more than one fails the figure.
 *   log.many  64 threads, each appending under one lock and syncing: commits a sync, at least 24.
 *
 * Commits of 100 bytes, about a row's.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "figure.h"
#include "os/thread.h"
#include "wal/wal.h"

enum {
    PAYLOAD_BYTES = 100,
    COMMITS_A_PAIR = 50,
    PAIRS = 31,
    THREADS = 64,
    COMMITS_A_THREAD = 150,
    COMMITS_A_SYNC_MIN = 24,
};

static struct allocator allocator;
static struct os counted;
static atomic_size_t syncs;
static char folder[512], log_folder[600], bare_path[600];
static uint8_t payload[PAYLOAD_BYTES];

static omen_status counted_sync(const struct os *os, int64_t file, omen_error *error)
{
    atomic_fetch_add(&syncs, 1);
    return os_real.file_sync(&os_real, file, error);
}

static void check(omen_status status, const omen_error *error)
{
    if (status == OMEN_OK)
        return;
    fprintf(stderr, "bench_wal: %s\n", error->message);
    exit(2);
}

static struct wal *make_log(void)
{
    struct wal_options options = {
        .allocator = &allocator, .os = &counted, .directory = log_folder, .start_lsn = 0};
    struct wal *wal;
    omen_error error;
    check(wal_create(&options, &wal, &error), &error);
    return wal;
}

static omen_status remove_name(void *context, const char *name)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", log_folder, name);
    return unlink(path) == 0 ? OMEN_OK : OMEN_IO_ERROR;
}

static void remove_log(struct wal *wal)
{
    omen_error error;
    check(wal_close(wal, &error), &error);
    check(os_real.directory_list(&os_real, log_folder, remove_name, NULL, &error), &error);
    rmdir(log_folder);
}

static uint64_t append(struct wal *wal)
{
    omen_error error;
    check(wal_reserve(wal, sizeof payload, &error), &error);
    check(wal_append(wal, payload, sizeof payload, &error), &error);
    return wal_commit(wal);
}

/* --- log.one --- */

static bool run_one(void)
{
    struct figure figure = {
        .name = "log.one", .unit = "us", .peer_name = "append+fdatasync", .target = 1.15};
    struct wal *wal = make_log();
    int bare = open(bare_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    OMEN_ASSERT(bare >= 0);
    size_t syncs_before = atomic_load(&syncs), commits = 0;
    for (size_t pair = 0; pair < PAIRS; pair++) {
        double ours = 0, peer = 0;
        for (size_t i = 0; i < COMMITS_A_PAIR; i++, commits++) {
            omen_error error;
            double begin = figure_seconds();
            check(wal_sync(wal, append(wal), &error), &error);
            double middle = figure_seconds();
            OMEN_ASSERT(write(bare, payload, sizeof payload) == sizeof payload);
            OMEN_ASSERT(fdatasync(bare) == 0);
            ours += middle - begin;
            peer += figure_seconds() - middle;
        }
        figure_add(&figure, ours / COMMITS_A_PAIR * 1e6, peer / COMMITS_A_PAIR * 1e6);
    }
    size_t synced = atomic_load(&syncs) - syncs_before;
    printf("{\"figure\":\"log.one\",\"commits\":%zu,\"syncs\":%zu,\"payload\":%d}\n", commits, synced,
           PAYLOAD_BYTES);
    close(bare);
    unlink(bare_path);
    remove_log(wal);
    return figure_print(&figure) && synced == commits;
}

/* --- log.many --- */

static struct wal *shared;
static struct mutex writer_lock;

static void *commit_often(void *argument)
{
    for (size_t i = 0; i < COMMITS_A_THREAD; i++) {
        omen_error error;
        mutex_lock(&writer_lock);
        uint64_t lsn = append(shared);
        mutex_unlock(&writer_lock);
        check(wal_sync(shared, lsn, &error), &error);
    }
    return NULL;
}

static bool run_many(void)
{
    static struct thread threads[THREADS];
    shared = make_log();
    mutex_init(&writer_lock);
    size_t syncs_before = atomic_load(&syncs);
    double begin = figure_seconds();
    for (size_t i = 0; i < THREADS; i++)
        OMEN_ASSERT(thread_start(&threads[i], commit_often, NULL));
    for (size_t i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    double seconds = figure_seconds() - begin;
    size_t synced = atomic_load(&syncs) - syncs_before;
    double commits = (double)THREADS * COMMITS_A_THREAD, share = commits / (double)synced;
    bool met = share >= COMMITS_A_SYNC_MIN;
    printf("log.many threads=%d commits=%.0f syncs=%zu rate=%.0f/s commits_a_sync=%.1f "
           "target>=%d %s\n",
           THREADS, commits, synced, commits / seconds, share, COMMITS_A_SYNC_MIN,
           met ? "met" : "missed");
    mutex_destroy(&writer_lock);
    remove_log(shared);
    return met;
}

int main(int count, char **arguments)
{
    const char *wanted = count > 1 ? arguments[1] : NULL;
    snprintf(folder, sizeof folder, "%s", count > 2 ? arguments[2] : ".");
    snprintf(log_folder, sizeof log_folder, "%s/bench-log-%d", folder, (int)getpid());
    snprintf(bare_path, sizeof bare_path, "%s/bench-bare-%d", folder, (int)getpid());
    allocator_init(&allocator, 0);
    memset(payload, 'x', sizeof payload);
    counted = os_real;
    counted.file_sync = counted_sync;
    bool met = true;
    if (figure_wanted("log.one", wanted))
        met = run_one() && met;
    if (figure_wanted("log.many", wanted))
        met = run_many() && met;
    return met ? 0 : 1;
}
