/* storage_private.h - what the files of the persistent side share. */
#ifndef OMEN_STORE_STORAGE_PRIVATE_H
#define OMEN_STORE_STORAGE_PRIVATE_H

#include "store/attachment.h"
#include "store/checkpoint.h"
#include "store/database.h"
#include "store/directory.h"
#include "store/manifest.h"
#include "store/segment.h"
#include "store/storage.h"
#include "wal/wal.h"

/* What it has come to, for omen_storage. */
struct storage_facts {
    uint64_t start_lsn, quiet_lsn, checkpoints, checkpoint_failures, segments, segment_bytes;
    int64_t checkpoint_us;
    omen_status failure_status;             /* of the last checkpoint, */
    char failure[OMEN_ERROR_MESSAGE_BYTES]; /* and why; empty: it succeeded */
};

struct storage {
    struct database *database; /* which owns it */
    struct allocator *allocator;
    const struct os *os;
    struct directory directory;
    struct wal *wal;
    char log_path[STORE_PATH_BYTES], data_path[STORE_PATH_BYTES];
    uint64_t log_file_bytes;
    uint32_t opening_threads; /* that open segments, the caller's among them */
    uint8_t database_id[DATABASE_ID_BYTES];
    uint64_t replayed_commits, replayed_rows; /* when it was opened */

    struct segment_codec parquet, plain;
    struct segment_options segments;

    /* One turn, or one checkpoint, at a time. It guards what follows. */
    struct mutex work;
    uint64_t generation;       /* of the manifest that counts */
    uint64_t start_lsn;        /* where its log begins */
    bool manifest_renewed;     /* since this process opened it: what it does not name may go */
    uint64_t quiet_lsn;        /* a log that ends here has nothing that a checkpoint would keep */
    struct table_files *files; /* that it names, table by table */
    size_t file_count, file_capacity;
    struct checkpoint *checkpoint; /* under way; NULL: none */
    bool manifest_unknown;         /* R8.4: no more checkpoints */
    char manifest_reason[OMEN_ERROR_MESSAGE_BYTES];
    omen_status failure_status;             /* of the last checkpoint, */
    char failure[OMEN_ERROR_MESSAGE_BYTES]; /* and why; empty: it succeeded */
    int64_t checkpoint_us;                  /* wall clock of the last manifest */
    uint64_t checkpoint_ms, retry_ms, sync_ms;
    uint64_t checkpoints, checkpoint_failures; /* since it was opened */
    uint64_t reserve_bytes, reserve_left;      /* to keep; kept now */
    size_t trim_next; /* the table that loses columns first, the next time */

    struct mutex lock; /* guards `stopping` and `facts` */
    struct storage_facts facts;
    struct condition wake, noted; /* of the thread; of those who wait for news */
    _Atomic uint64_t log_start;   /* where replay begins, past what needs none; for any thread */
    bool stopping, running;
    struct thread thread;
};

/* --- the parts of opening (storage.c) --- */

/* One that has found nothing yet. NULL: out of memory. */
struct storage *storage_make(struct database *database, const struct database_options *options);
void storage_free(struct storage *storage);

/* Finds and locks the directory. Errors: as directory_open. */
OMEN_MUST_CHECK omen_status storage_find(struct storage *storage, const char *path,
                                         omen_error *error);
void storage_set_identity(struct storage *storage, const uint8_t id[DATABASE_ID_BYTES]);

/* Room for the files of so many tables, and then a table with its segments, for the catalog. */
OMEN_MUST_CHECK omen_status storage_expect_tables(struct storage *storage, size_t count,
                                                  omen_error *error);
OMEN_MUST_CHECK omen_status storage_restore_table(struct storage *storage,
                                                  const struct manifest_table *from,
                                                  omen_error *error);

/* Whether a file of data/ belongs to a table of the manifest. `context` is the storage. */
bool storage_names_file(void *context, const char *name);

/* Writes the manifest that was read once more, under the next generation; `manifest_renewed` says
 * whether there was room for it. Errors: as manifest_write. */
OMEN_MUST_CHECK omen_status storage_renew_manifest(struct storage *storage,
                                                   struct manifest *manifest, omen_error *error);

/* Reads the log from the manifest's position, does again what it holds, renews the manifest, and
 * opens the log for appending. Where it refuses the log, nothing on the disk has changed. The
 * tables of the manifest are in the catalog. (recovery.c) */
OMEN_MUST_CHECK omen_status recovery_run(struct storage *storage, struct manifest *manifest,
                                         omen_error *error);

/* The same without opening the log: nothing on the disk changes. */
OMEN_MUST_CHECK omen_status recovery_try(struct storage *storage, const struct manifest *manifest,
                                         omen_error *error);

/* Where the log is, and whom it tells what is durable. */
struct wal_options storage_wal_options(const struct storage *storage, uint64_t start_lsn,
                                       uint64_t proven_lsn);

/* The segments of a table, NULL where it has none. `work` is held. */
const struct table_files *storage_files(const struct storage *storage, uint64_t table_id);

/* Whether the log is so long that everything else has to wait for a checkpoint. Any thread.
 * (admission.c) */
bool storage_log_is_long(const struct storage *storage);

/* Bytes of log that opening would have to apply. `work` is held. */
uint64_t storage_log_bytes(const struct storage *storage);

/* A copy of the facts as of the last turn. Waits for none. */
void storage_facts_of(struct storage *storage, struct storage_facts *out);

/* Brings them up to date, after a checkpoint. `work` is held. */
void storage_note_facts(struct storage *storage);

/* The background thread. False where the system has no more threads. (background.c) */
bool storage_start(struct storage *storage);
void storage_stop(struct storage *storage);

/* Lets go of columns beyond the budget for them; whether there is more to let go now. `work` is
 * held. (cache.c) */
bool storage_trim_cache(struct storage *storage);

/* Keeps room for one checkpoint; gives it back, once; lends a quarter of it to writers that no
 * checkpoint can help. Whether there was something to give. (reserve.c) */
void reserve_make(struct storage *storage);
bool reserve_give(struct storage *storage);
bool reserve_lend(struct storage *storage);

#endif
