/* support.h - a log on a simulated disk, and a model of what it was told. */
#ifndef OMEN_TESTS_WAL_SUPPORT_H
#define OMEN_TESTS_WAL_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crash/sim_disk.h"
#include "wal/wal.h"
#include "wal/wal_format.h"

enum { LOG_FILE_BYTES = 16 * 1024, COMMITS_MAX = 4096 };

/* One commit: `length` bytes that follow from `id`. */
struct log_commit {
    uint64_t id, lsn;
    uint32_t length;
};

/* A log, the disk it lies on and what was committed to it. */
struct log_test {
    struct allocator allocator;
    struct sim_disk *disk;
    struct wal_options options;
    struct wal *wal;
    struct log_commit commits[COMMITS_MAX];
    size_t count;
    uint64_t told_lsn; /* the last that the durable callback was told */
    size_t told_count;
    size_t discarded; /* commits dropped by the last recovery */
    size_t replayed;  /* commits seen by the last recovery */
    size_t first;     /* the commit that the next recovery is to begin with */
};

/* Files of 16 KiB on a fresh disk; the log is not made yet. */
void log_init(struct log_test *test);
/* Closes the log if it is open, checks that no memory or file is left, and frees the disk. */
void log_end(struct log_test *test);

/* Makes the log; it must succeed. */
void log_create(struct log_test *test);

/* Reserves, appends (in pieces of `piece` bytes; 0 = one) and commits `length` bytes. Returns the
 * first error; the model takes only what was committed. */
omen_status log_append(struct log_test *test, uint32_t length, uint32_t piece, omen_error *error);

/* The same, and syncs; all must succeed. */
void log_commit(struct log_test *test, uint32_t length);

/* Continues on an image of the disk: the open log is thrown away as a crash would. */
void log_crash(struct log_test *test, enum sim_mode mode, uint64_t seed);

/* Recovers and compares what is replayed with the model from test->first on; what the model has
 * beyond is forgotten. Returns the status; a difference fails the test. */
omen_status log_recover(struct log_test *test, omen_error *error);

/* A file of the log's folder as the disk shows it: its path, found by order of name. */
const char *log_file_path(struct log_test *test, size_t nth);
size_t log_file_count(struct log_test *test);

/* Reads and writes bytes of a file behind the log's back; the write is durable. */
void log_peek(struct log_test *test, const char *path, uint64_t offset, void *bytes, size_t length);
void log_poke(struct log_test *test, const char *path, uint64_t offset, const void *bytes,
              size_t length);

#endif
