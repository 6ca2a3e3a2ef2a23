/* storage_private.h - what the files of the persistent side share. */
#ifndef OMEN_STORE_STORAGE_PRIVATE_H
#define OMEN_STORE_STORAGE_PRIVATE_H

#include "store/database.h"
#include "store/directory.h"
#include "store/manifest.h"
#include "store/storage.h"
#include "wal/wal.h"

struct storage {
    struct database *database; /* which owns it */
    struct allocator *allocator;
    const struct os *os;
    struct directory directory;
    struct wal *wal;
    char log_path[STORE_PATH_BYTES];
    uint64_t log_file_bytes;
    uint8_t database_id[DATABASE_ID_BYTES];
    uint64_t generation;                      /* of the manifest that counts */
    uint64_t start_lsn;                       /* where its log begins */
    uint64_t replayed_commits, replayed_rows; /* when it was opened */
};

/* Reads the log from the manifest's position, does again what it holds, and opens it for appending.
 * The tables of the manifest are in the catalog. (recovery.c) */
OMEN_MUST_CHECK omen_status recovery_run(struct storage *storage, const struct manifest *manifest,
                                         omen_error *error);

/* Where the log is, and whom it tells what is durable. */
struct wal_options storage_wal_options(const struct storage *storage, uint64_t start_lsn,
                                       uint64_t proven_lsn);

#endif
