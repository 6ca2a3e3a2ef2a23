/* table_replay_private.h - what the files of replay share.
 *
 *   table_replay.c        life, the bytes of a commit, applying
 *   table_replay_read.c   sections into batches
 */
#ifndef OMEN_TABLE_TABLE_REPLAY_PRIVATE_H
#define OMEN_TABLE_TABLE_REPLAY_PRIVATE_H

#include "table/redo.h"
#include "table/table_private.h"

enum {
    BATCH_WORDS_MAX = 8192,
    BATCH_BYTES_MAX = 64 << 20,
    BATCH_TABLES_KEPT = 8,  /* memory of so many tables is kept for the next batch */
    STREAM_BYTES = 1 << 20, /* a commit beyond this is read as it comes */
};

#define SLOT_ENDED UINT32_MAX

/* The last word on one key. */
struct op {
    struct index_key key;
    uint32_t slot;   /* of the new row in the set's group, or SLOT_ENDED */
    bool must_exist; /* the first word was an end */
};

/* What is gathered for one table. */
struct batch {
    struct batch *next;
    struct table *table; /* retained */
    struct write_set *set;
    struct op *ops;
    size_t op_count, op_capacity;
    uint32_t *buckets; /* open addressing: position in ops + 1; of a batch, not of a large commit */
    size_t bucket_count;
    uint32_t replaced; /* rows of the set's group that a later one replaces */
    struct arena keys; /* byte keys of the ops */
};

struct replay {
    struct allocator *allocator;
    struct txn_manager *manager;
    struct replay_hooks hooks;
    struct batch *batches;
    size_t words;       /* rows and ends read into all batches */
    uint64_t bytes;     /* of the log in them */
    uint64_t timestamp; /* of the last commit gathered */

    uint8_t *data; /* the commit that is being read, from the first byte not yet used */
    size_t length, capacity;
    uint64_t commit_timestamp; /* 0: not read yet */
    bool large;                /* its sections are used as they come */
    uint64_t commits, rows;
};

/* CORRUPTED, and what the log lacks. */
omen_status replay_corrupted(omen_error *error, const char *what);

struct section {
    uint8_t kind;
    const uint8_t *body;
    size_t length;
};

/* The section at `at`; gives where it ends, or NULL where it is not whole. `*broken` where it never
 * will be. */
const uint8_t *section_read(const uint8_t *at, const uint8_t *end, struct section *out,
                            bool *broken);

/* How many rows or ends a section of tables has. */
OMEN_MUST_CHECK omen_status section_words(struct section section, uint32_t *count,
                                          omen_error *error);

/* Reads a section of a table into the table's batch: of a small commit, or of a large one. */
OMEN_MUST_CHECK omen_status section_gather(struct replay *replay, struct section section,
                                           bool large, omen_error *error);

#endif
