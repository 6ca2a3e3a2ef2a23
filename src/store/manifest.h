/* manifest.h - the root of a database directory: which log, tables and segments count.
 *
 * The file `manifest` is replaced whole by each checkpoint: a new file `manifest.new` is written
 * and synced, renamed over it, and the directory synced. So there is always one whole manifest, and
 * everything it does not name is not part of the database. Format: docs/FILE_FORMAT.md, "Manifest".
 *
 * One thread at a time.
 */
#ifndef OMEN_STORE_MANIFEST_H
#define OMEN_STORE_MANIFEST_H

#include "base/arena.h"
#include "os/os.h"
#include "store/definition.h"

enum {
    MANIFEST_FORMAT = 2, /* the newest that this build reads; it writes the oldest that will do */
    DATABASE_ID_BYTES = 16,
};

#define MANIFEST_NAME     "manifest"
#define MANIFEST_NEW_NAME "manifest.new"

/* One segment of a table as the segment code describes it (segment.h). */
struct manifest_segment {
    const uint8_t *facts; /* borrowed when written; in the manifest's arena when read */
    size_t facts_bytes;
};

struct manifest_table {
    struct table_definition definition;
    uint64_t group_number_next; /* above every group number given out (R5.4) */
    int64_t hidden_key_next;    /* above every hidden key given out (R5.6) */
    struct manifest_segment *segments;
    size_t segment_count;
};

struct manifest {
    uint8_t database_id[DATABASE_ID_BYTES];
    uint64_t generation; /* one more with each manifest written */
    uint64_t timestamp;  /* the segments hold the commits up to this one */
    uint64_t start_lsn;  /* where the log begins with those that come after */
    uint64_t proven_lsn; /* the log was durable up to here when this was written */
    int64_t written_us;  /* wall clock */
    uint64_t table_id_next;
    struct manifest_table *tables;
    size_t table_count;
    struct arena arena; /* of what was decoded */
};

/* Appends the whole file. */
void manifest_encode(struct byte_writer *writer, const struct manifest *manifest);

/* Reads a whole file's bytes. `name` stands in messages. The caller releases what it got, after an
 * error too. Errors: CORRUPTED; NOT_SUPPORTED for a newer format; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status manifest_decode(const uint8_t *data, size_t length,
                                            struct allocator *allocator, const char *name,
                                            struct manifest *out, omen_error *error);

void manifest_release(struct manifest *manifest);

/* Reads the manifest of a directory. Errors: FILE_NOT_FOUND where there is none; as
 * manifest_decode; IO_ERROR. */
OMEN_MUST_CHECK omen_status manifest_read(const struct os *os, const char *directory,
                                          struct allocator *allocator, struct manifest *out,
                                          omen_error *error);

/* What a failed manifest_write has left. */
enum manifest_state {
    MANIFEST_OLD,     /* the old one counts; nothing that it names may go */
    MANIFEST_UNKNOWN, /* after a crash either may count: both must be kept, and no other written */
    MANIFEST_NEW,
};

/* Makes `manifest` the directory's (R8.4). `*state` says which one counts afterwards.
 * Errors: DISK_FULL, IO_ERROR, OUT_OF_MEMORY; INSUFFICIENT_RESOURCES, and the old one counts. */
OMEN_MUST_CHECK omen_status manifest_write(const struct os *os, const char *directory,
                                           struct allocator *allocator,
                                           const struct manifest *manifest,
                                           enum manifest_state *state, omen_error *error);

#endif
