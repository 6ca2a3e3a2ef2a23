/* crash_database.h - a database on a simulated disk, with two connections, for the crash tests. */
#ifndef OMEN_TESTS_CRASH_DATABASE_H
#define OMEN_TESTS_CRASH_DATABASE_H

#include "api/api_private.h"
#include "base/random.h"
#include "crash/sim_disk.h"

struct crash_database {
    struct sim_disk *disk; /* borrowed */
    uint64_t log_file_bytes;
    const char *engine; /* path of the SQL engine, whose Parquet is written; NULL: plain segments */
    uint64_t fail_allocation; /* the next opening's nth allocation fails, 0: none; */
    bool fail_for_ever;       /* and all after it */
    uint64_t allocations;     /* by all that was opened and closed, or did not open */
    struct allocator *allocator;
    void *last_block;                        /* keeps the allocator until it has been counted */
    struct maintain_report maintained;       /* all by crash_database_maintain so far */
    struct database *database;               /* NULL while it is closed */
    omen_connection *durable, *asynchronous; /* synchronous_commit on and off */
};

/* Opens the directory "db", or makes it. False with the error, and nothing is open. */
bool crash_database_open(struct crash_database *database, omen_error *error);

/* Closes it in any case; nothing of it is open on the disk afterwards. Returns what closing did. */
omen_status crash_database_close(struct crash_database *database);

static inline omen_database *crash_database_handle(const struct crash_database *database)
{
    return (omen_database *)database->database;
}

/* Runs a statement for its effect. */
omen_status crash_database_run(omen_connection *connection, const char *sql, omen_error *error);

/* Background work, a random part of it: seals an open row group, freezes, compacts, cleans. */
void crash_database_maintain(struct crash_database *database, struct random *random);

/* A turn of the background thread, after some time: a step of maintenance, and of a checkpoint
 * where one is under way or due. */
void crash_database_turn(struct crash_database *database, struct random *random);

#endif
