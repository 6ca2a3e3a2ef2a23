/* storage.h - the persistent side of a database in a directory: log, manifest, recovery.
 *
 *   storage_open:   directory -> manifest -> tables -> log, replayed -> log open for appending
 *   storage_close:  checkpoint -> log closed -> directory unlocked
 *
 * A database in memory has none. storage_open and storage_close are called by one thread, alone.
 */
#ifndef OMEN_STORE_STORAGE_H
#define OMEN_STORE_STORAGE_H

#include "base/status.h"
#include "os/os.h"

struct database;
struct database_options;
struct storage;

/* Opens the directory's database, or makes a new one where there is none. Fills the database's
 * catalog, sets its time and connects its commits to the log. Where it fails nothing of a database
 * that was there has changed, and `database` has no storage.
 * Errors: as directory_open, manifest_read and wal_recover; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status storage_open(struct database *database,
                                         const struct database_options *options, omen_error *error);

/* Ends it: nobody writes any more. What was acknowledged is durable whatever this returns. NULL
 * does nothing. Errors: those of closing the log. */
omen_status storage_close(struct storage *storage, omen_error *error);

#endif
