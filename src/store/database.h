/* database.h - one open database: memory, operating system, time, tables, the persistent side, and
 * the engine's place.
 *
 *   omen_database, connections, streams and rows  --- references --->  struct database
 *                                                                       |-- allocator (shared)
 *                                                                       |-- txn_manager
 *                                                                       |-- catalog --> tables
 *                                                                       |-- storage (a directory)
 *                                                                       `-- engine (src/query)
 *
 * Whatever reaches the user and may outlive the close holds a reference, because registered
 * snapshots live in the transaction manager. Exported Arrow batches hold only row groups: for
 * them the allocator outlives the database (allocator_retire).
 *
 * Concurrency: thread-safe. The fields are set at open and never change, except the engine's,
 * which `engine_lock` guards, and the counts.
 */
#ifndef OMEN_STORE_DATABASE_H
#define OMEN_STORE_DATABASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/status.h"
#include "os/os.h"
#include "os/thread.h"
#include "store/activity.h"
#include "store/catalog.h"
#include "store/storage.h"
#include "txn/txn.h"

struct database_options {
    uint64_t memory_bytes_max;   /* 0 = no limit */
    struct allocator *allocator; /* its own from now on, also where opening fails; NULL = made */
    uint64_t engine_memory_bytes_max; /* 0 = the engine's default */
    uint32_t engine_thread_count;     /* 0 = one per core */
    const char *engine_path;          /* copied; NULL = the default place */
    bool file_access;
    const char *path;        /* of a directory, for the call; NULL = a database in memory */
    uint64_t log_file_bytes; /* 0 = the default (wal.h) */
    uint64_t checkpoint_bytes, checkpoint_ms; /* 0 = the defaults (storage.h) */
    uint64_t cache_bytes;   /* columns of segments in memory; 0 = the default (storage.h) */
    uint64_t reserve_bytes; /* kept for the checkpoint of a full disk; 0 = the default */
    bool no_background;     /* no threads of its own: the caller calls storage_step */
    bool plain_segments;    /* write segments with the plain codec, not with the engine's Parquet */
};

struct database {
    atomic_uint references;
    atomic_uint connection_count;
    struct allocator *allocator;
    const struct os *os;
    struct txn_manager *manager;
    struct catalog *catalog;
    struct storage *storage; /* NULL: in memory */
    struct activity_list sessions;
    struct storage_settings settings;
    uint64_t engine_memory_bytes_max;
    uint32_t engine_thread_count;
    bool file_access;
    char *engine_path; /* NULL where none was given */
    size_t engine_path_bytes;

    struct mutex library_lock;
    const struct omen_engine *library; /* NULL until first needed; guarded by library_lock */
    struct mutex engine_lock;
    void *engine;                                    /* src/query's; NULL until first needed */
    void (*engine_close)(struct database *database); /* set with it */
};

/* A database with one reference, in memory or in a directory. `os` outlives it. Errors:
 * OUT_OF_MEMORY; for a directory those of storage_open. */
OMEN_MUST_CHECK omen_status database_open(const struct os *os,
                                          const struct database_options *options,
                                          struct database **out, omen_error *error);

struct database *database_retain(struct database *database);

/* The last release, from any thread, frees what is left. NULL does nothing. */
void database_release(struct database *database);

/* Stops the engine, ends the persistent side, forgets the tables and releases the opener's
 * reference. OBJECT_IN_USE, and nothing happens, while connections are open. Otherwise it is
 * closed, and everything acknowledged is durable, whatever is returned: those of storage_close. */
OMEN_MUST_CHECK omen_status database_close(struct database *database, omen_error *error);

/* Creates an empty table and lists it. Errors: NAME_TOO_LONG, INVALID_TABLE for an empty name,
 * INVALID_ENCODING; as catalog_add. */
OMEN_MUST_CHECK omen_status database_create_table(struct database *database, const char *name,
                                                  struct schema *schema, omen_error *error);

/* The same for a table that was made beforehand, in one commit with the rows of `set`, which is of
 * that table. Under the writer lock: as catalog_add_filled. */
OMEN_MUST_CHECK omen_status database_add_filled(struct database *database, struct table *table,
                                                struct write_set *set,
                                                enum txn_durability durability,
                                                struct txn_ticket *ticket, omen_error *error);

/* Makes all that is committed part of segments and a manifest, so that the log can go (storage.h).
 * In memory: nothing. Errors: as storage_checkpoint. */
OMEN_MUST_CHECK omen_status database_checkpoint(struct database *database, omen_error *error);

/* Ends the transactions that have waited longer for their next statement than they may
 * (activity.h). Thread-safe; the caller holds no lock but the turn lock. */
void database_end_overdue(struct database *database);

/* A bounded step of maintenance over all tables, and the above; `rows_max` rows of each at most.
 * Errors: the first that a table has (table_maintain); the others are maintained all the same. */
OMEN_MUST_CHECK omen_status database_maintain(struct database *database, uint64_t rows_max,
                                              bool *more);

#endif
