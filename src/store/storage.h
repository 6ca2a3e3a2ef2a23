/* storage.h - the persistent side of a database in a directory: log, segments, manifest.
 *
 *   storage_open     directory -> manifest -> tables and segments -> log: applied, then appended to
 *   storage_close    checkpoint -> log closed -> directory unlocked
 *
 * A database in memory has none. storage_open and storage_close are called by one thread, alone;
 * the others by any.
 */
#ifndef OMEN_STORE_STORAGE_H
#define OMEN_STORE_STORAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "os/os.h"

struct database;
struct database_options;
struct storage;

/* What may be changed while the database is open; relaxed. */
struct storage_settings {
    atomic_uint_fast64_t
        checkpoint_bytes;               /* a checkpoint is due when the log has grown by these, */
    atomic_uint_fast64_t checkpoint_ms; /* or at this age of the last, if it has grown at all */
    atomic_uint_fast64_t cache_bytes;   /* of columns that lie in segments as well; about */
    uint64_t cache_bytes_default;       /* never changes */
};

enum {
    CHECKPOINT_BYTES_DEFAULT = 64 << 20,
    CHECKPOINT_MS_DEFAULT = 5 * 60 * 1000,
    CACHE_SHARE_DEFAULT = 4, /* so much is for the cache: a quarter of the memory there is */
    RESERVE_BYTES_DEFAULT = 16 << 20,
    LOG_SLOWED = 2, /* times checkpoint_bytes */
    LOG_HELD = 4,
    LOG_HELD_BYTES_MIN = 4 << 20, /* nobody waits before the log has these */
};

/* Opens the directory's database, or makes a new one where there is none. Fills the database's
 * catalog, sets its time and connects its commits to the log. Where it fails nothing of a database
 * that was there has changed, and `database` has no storage.
 * Errors: as directory_open, manifest_read, segments_adopt and wal_recover; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status storage_open(struct database *database,
                                         const struct database_options *options, omen_error *error);

/* Makes a checkpoint of all that is committed, unless the last one holds it. Any thread.
 * Errors: why the log has failed; DISK_FULL, IO_ERROR, OUT_OF_MEMORY, those of writing segments:
 * the old manifest and the log are kept then, and it can be tried again. */
OMEN_MUST_CHECK omen_status storage_checkpoint(struct storage *storage, omen_error *error);

/* To be asked before a statement writes, without the writer lock: bounds the log where commits come
 * faster than checkpoints are made. From LOG_SLOWED times checkpoint_bytes on it takes a little
 * time, more the longer the log; from LOG_HELD times on it waits for a checkpoint, and asks
 * `patience` meanwhile. A database without a thread of its own is not bounded. Any thread.
 * Errors: those of `patience`; why the last checkpoint failed, where it should wait for the next:
 * then nothing may be written, and later calls may succeed. */
struct txn_patience;
OMEN_MUST_CHECK omen_status storage_admit(struct storage *storage,
                                          const struct txn_patience *patience, omen_error *error);

/* One turn of the work that is done in the background, for a database without a thread of its own:
 * a step of maintenance and of a checkpoint, if one is due. Whether another turn would find more to
 * do now. Any thread; what fails is tried again by a later turn. */
bool storage_step(struct storage *storage);

/* Ends it: nobody writes any more. Makes a checkpoint, so that opening has no log to apply. What
 * was acknowledged is durable whatever this returns. NULL does nothing. Errors: those of closing
 * the log, and why it had failed before; a checkpoint that fails is none, since the log has it
 * all. */
omen_status storage_close(struct storage *storage, omen_error *error);

#endif
