/* crash_model.h - a plain model of a small database, and the calls that keep a real one alike.
 *
 * Four tables of at most MODEL_KEYS rows: keyed by BIGINT, by TEXT, by (INTEGER, TEXT), and without
 * a key; the first two with unique constraints (crash_unique.c). A row is its key and a version; every other column follows from the version, so that a
 * row read back tells itself whether it is whole. A state is what the tables hold; it has a hash
 * that does not depend on order, and a commit is a list of changes that leads from one to the next.
 *
 *     base  --pending[0]-->  .  --pending[1]-->  .      base: all that is acknowledged
 *
 * The real database may hold the base or any state along the pending commits, and nothing else.
 */
#ifndef OMEN_TESTS_CRASH_MODEL_H
#define OMEN_TESTS_CRASH_MODEL_H

#include "api/api_private.h"
#include "base/random.h"

enum {
    MODEL_TABLES = 4,
    MODEL_NO_KEY = 3, /* the table that has none: rows are inserted into it only */
    MODEL_KEYS = 48,  /* a table */
    MODEL_CHANGES_MAX = 48,
    MODEL_PENDING_MAX = 24,
    MODEL_HISTORY = 64,
};

struct model_state {
    bool exists[MODEL_TABLES];
    uint64_t versions[MODEL_TABLES][MODEL_KEYS]; /* 0 = no row */
    uint64_t hash;
};

enum model_change_kind { MODEL_PUT, MODEL_DELETE, MODEL_CREATE, MODEL_DROP };

struct model_change {
    uint8_t kind, table, key;
    uint64_t version;
};

struct model_commit {
    uint32_t count;
    struct model_change changes[MODEL_CHANGES_MAX];
};

struct model {
    struct model_state base;
    uint32_t pending_count;
    struct model_commit pending[MODEL_PENDING_MAX];
    uint64_t history[MODEL_HISTORY]; /* hashes of former bases, a ring */
    uint64_t acknowledged;           /* commits since the beginning */
    uint64_t changes;                /* grows whenever one of these changes */
    bool unsure;                     /* a pending commit's outcome is unknown */
};

/* How a comparison ends. */
enum model_verdict {
    MODEL_SAME,
    MODEL_LOST,       /* a former state */
    MODEL_HALF,       /* no state at all, or index and scan disagree */
    MODEL_UNREADABLE, /* a read failed */
};

/* Runs one commit of random changes on the database, as one call, and keeps the model alike.
 * `durable` says whether the connection waits for commits. Returns what the call returned. */
omen_status model_write(struct model *model, omen_connection *connection, struct random *random,
                        bool durable, omen_error *error);

/* A commit that is appended and applied, and that nobody has waited for yet. */
struct model_flight {
    struct txn_ticket ticket;
    uint64_t number; /* what is acknowledged once it is; 0: there was nothing to commit */
};

/* The first half of model_write: what a session does before it waits. */
omen_status model_append(struct model *model, omen_connection *connection, struct random *random,
                         struct model_flight *flight, omen_error *error);
/* The second: waits for it. With it all before it are acknowledged. */
omen_status model_wait(struct model *model, omen_connection *connection,
                       const struct model_flight *flight, omen_error *error);

/* Creates or drops a table. */
omen_status model_define(struct model *model, omen_connection *connection, struct random *random,
                         omen_error *error);

/* Creates the table without a key, with rows, by CREATE TABLE AS; nothing where it is there. */
omen_status model_create_as(struct model *model, omen_connection *connection, struct random *random,
                            bool durable, omen_error *error);

/* Inserts rows by COPY FROM a file on the same disk, which may fail to be written: then nothing is
 * done. */
omen_status model_copy(struct model *model, omen_connection *connection, struct random *random,
                       bool durable, omen_error *error);

/* A transaction over several statements: rows of several tables, savepoints, tables that come and go
 * (crash_transaction.c); sometimes rolled back. */
omen_status model_transaction(struct model *model, omen_connection *connection,
                              struct random *random, bool durable, omen_error *error);

/* All that is pending is acknowledged (a later commit was, or a clean close). */
void model_acknowledge(struct model *model);

/* Reads every table by scan and by index and finds out which state it is. With `settle` the model
 * becomes that state, nothing pending: readers have seen it. `text` gets what is wrong. */
enum model_verdict model_compare(struct model *model, omen_connection *connection, bool settle,
                                 char *text, size_t text_bytes);

/* Reads everything from a database whose files were damaged: each read fails, and is counted in
 * `*failed`, or gives what the model's base says. False, and why in `text`, where it gives
 * something else. */
bool model_never_wrong(const struct model *model, omen_connection *connection, uint64_t *failed,
                       char *text, size_t text_bytes);

/* What a scan finds at a snapshot (NULL = now). Same, half (a row is not whole) or unreadable; the
 * reason in `text`. */
enum model_verdict model_scan(omen_connection *connection, const omen_snapshot *snapshot,
                              struct model_state *found, char *text, size_t text_bytes);

#endif
