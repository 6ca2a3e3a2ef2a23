/* directory.h - the database directory: telling what a path is, locking it, creating it.
 *
 *   lock        who has it open; holds the lock of the system for as long
 *   creating    only while the database is being made: nothing else here counts yet
 *   manifest    the root (manifest.h)
 *   log/        the log (src/wal)
 *   data/       segments, their sidecars, deletion vectors
 *   reserve     room kept for the checkpoint of a full disk
 *
 * Directories have mode 0700, files 0600.
 */
#ifndef OMEN_STORE_DIRECTORY_H
#define OMEN_STORE_DIRECTORY_H

#include <stdbool.h>

#include "os/os.h"
#include "store/path.h"

#define DIRECTORY_LOG     "log"
#define DIRECTORY_DATA    "data"
#define DIRECTORY_RESERVE "reserve"

struct directory {
    const struct os *os;
    char path[STORE_PATH_BYTES];
    int64_t lock;
    bool locked;
    bool fresh;      /* there is no database yet: directory_create_begin is next */
    bool unfinished; /* and somebody has begun to make one */
};

/* Finds out what lies at `path`, makes a directory where there is nothing, and locks it. Nothing
 * that is there is changed, and a refusal leaves everything as it was. Errors, the message naming
 * path and reason: WRONG_OBJECT_TYPE where it is no database; OBJECT_IN_USE where it is open
 * already, naming who has it open; INSUFFICIENT_PRIVILEGE where it is read-only; CORRUPTED where a
 * database has lost its manifest; FILE_NOT_FOUND without a parent; IO_ERROR. */
OMEN_MUST_CHECK omen_status directory_open(struct directory *directory, const struct os *os,
                                           const char *path, omen_error *error);

/* Writes into the lock file who holds it: once the directory is known to be a database that can be
 * opened. Advice for people: failing does no harm. */
void directory_sign(const struct directory *directory);

/* Begins a database in a fresh directory: removes what an unfinished creation has left, marks that
 * another has begun, makes the folders. All of it durable. Errors: DISK_FULL, and nothing is lost:
 * it can be done again once there is room; OBJECT_IN_USE where something is in the way of a name
 * that has to be made anew; IO_ERROR, ... */
OMEN_MUST_CHECK omen_status directory_create_begin(const struct directory *directory,
                                                   omen_error *error);

/* Takes the mark away, once the manifest is durable; where that fails, the next open does it. */
void directory_create_end(const struct directory *directory);

/* Removes files of one folder for which `keep` is false. `*removed` counts. Files that cannot be
 * removed stay. Errors: those of listing. */
OMEN_MUST_CHECK omen_status directory_sweep(const struct directory *directory, const char *folder,
                                            bool (*keep)(void *context, const char *name),
                                            void *context, uint64_t *removed, omen_error *error);

/* Gives the lock up. A directory that was never opened is left alone. */
void directory_close(struct directory *directory);

#endif
