/* segment.h - immutable files of row groups: written by checkpoints, opened at start, read lazily.
 *
 *   data/<uuid>.parquet (or .plain)   1 to 16 row groups, all their slots, dead ones too (R8.6)
 *   data/<uuid>.keys                  what opening needs (sidecar.h)
 *   data/<uuid>.ends                  which slots have ended: its name is a new one each time
 *
 *   segment_write -> facts -> manifest -> facts -> segment_open -> groups -> table_adopt_groups
 *
 * A file becomes part of the database by the manifest that names it, and by nothing else; whatever
 * else lies in data/ is left over and may go. Files are written to the end and synced, and their
 * names are, before segment_write returns.
 *
 * Pins. A segment lives as long as somebody holds a reference: the store, and every row group that
 * was opened from it, whose columns may yet be read. segment_remove lets the last reference take
 * the files away.
 *
 * Concurrency: thread-safe, but for segment_opened, which is its caller's.
 */
#ifndef OMEN_STORE_SEGMENT_H
#define OMEN_STORE_SEGMENT_H

#include "column/column_cache.h"
#include "os/os.h"
#include "store/segment_codec.h"
#include "store/sidecar.h"

/* What all segments of a database have in common. Outlives them all, batches read from them too. */
struct segment_options {
    struct allocator *allocator;
    const struct os *os;
    const char *directory; /* the database's data folder; copied */
    uint8_t database_id[16];
    const struct segment_codec *codec; /* to write with, and to read what has its id; copied */
    const struct segment_codec *other; /* to read what has its id; copied. May be NULL */
    struct column_cache *cache;        /* counts loaded columns; each segment retains it. Or NULL */
};

/* What the manifest says of a segment. */
struct segment_facts {
    uint8_t uuid[16];
    uint32_t codec_id; /* enum segment_codec_id */
    uint32_t group_count;
    uint64_t data_bytes;
    uint64_t keys_bytes;
    uint64_t keys_checksum; /* of the whole keys file: the root of the data file's too */
    uint8_t ends_uuid[16];
    uint64_t ends_bytes; /* 0: nothing has ended, there is no file */
    uint64_t ends_checksum;
    uint32_t dropped; /* a bit per group: it is not part of the table any more */
};

/* The facts as the manifest keeps them. `segment_facts_take` gives false where the bytes are none.
 */
enum { SEGMENT_FACTS_BYTES = 88 };
void segment_facts_put(struct byte_writer *writer, const struct segment_facts *facts);
bool segment_facts_take(const uint8_t *bytes, size_t length, struct segment_facts *facts);

struct segment;

/* Writes frozen groups (1 to 16, of one table) as a new segment, without an ends file. `facts`
 * gets what the manifest is to say. On failure nothing is left over, or something that no manifest
 * names. Errors: DISK_FULL, IO_ERROR; those of the codec; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status segment_write(const struct segment_options *options,
                                          struct row_group *const *groups, uint32_t group_count,
                                          struct segment_facts *facts, omen_error *error);

/* Writes which slots of the segment's groups (all of them, in the order of the segment) ended at or
 * before `timestamp`, as a new file where any did. `facts` gets its place; what it said before is
 * the caller's to remove once no manifest names it. Errors: as above. */
OMEN_MUST_CHECK omen_status segment_write_ends(const struct segment_options *options,
                                               uint64_t timestamp, struct row_group *const *groups,
                                               uint32_t group_count, struct segment_facts *facts,
                                               omen_error *error);

/* The frozen form of the first `row_count` slots of any group as of `timestamp`: what began later,
 * or has not, counts as never begun; ends that came later are left out. For tail segments. The
 * slots keep their numbers. Errors: OUT_OF_MEMORY, those of row_group_ensure. */
OMEN_MUST_CHECK omen_status segment_prefix(const struct row_group *group, uint32_t row_count,
                                           uint64_t timestamp, struct row_group **out,
                                           omen_error *error);

/* What opening gives: the groups, each with a reference to the segment, and their keys, which live
 * until segment_opened_release. */
struct segment_opened {
    struct segment *segment; /* a reference */
    uint32_t group_count;
    struct adopted_group groups[SEGMENT_GROUPS_MAX];
    struct arena arena;
};

/* Opens a segment: reads its keys and ends files whole, and nothing of its data. `schema` is its
 * table's. Errors: CORRUPTED (damaged, or not what the facts say), FILE_NOT_FOUND with the name of
 * the file that is missing, IO_ERROR, NOT_SUPPORTED (a newer format, or another codec),
 * OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status segment_open(const struct segment_options *options,
                                         struct schema *schema, const struct segment_facts *facts,
                                         struct segment_opened *out, omen_error *error);
void segment_opened_release(struct segment_opened *opened); /* twice is once */

/* Opens all of a table's segments on `thread_count` threads and lets the table adopt them, in the
 * order given. `segments` gets one reference each. Errors: those of both; then none is open. */
OMEN_MUST_CHECK omen_status segments_adopt(const struct segment_options *options,
                                           struct table *table, const struct segment_facts *facts,
                                           size_t count, struct table_counters counters,
                                           uint32_t thread_count, struct segment **segments,
                                           omen_error *error);

struct segment *segment_retain(struct segment *segment);
void segment_release(struct segment *segment); /* NULL does nothing; any thread */

/* What is in it: how it was found, and the number and slots of its groups. */
const struct segment_facts *segment_facts_of(const struct segment *segment); /* borrowed */
uint64_t segment_group_number(const struct segment *segment, uint32_t ordinal);
uint32_t segment_group_rows(const struct segment *segment, uint32_t ordinal);

/* Whether anybody but the caller holds a reference. */
bool segment_is_pinned(const struct segment *segment);

/* The last release removes the data and the keys file: to be called once a durable manifest does
 * not name them any more. */
void segment_remove(struct segment *segment);

/* Reads the whole data file and checks it against its checksums. Errors: CORRUPTED, IO_ERROR. */
OMEN_MUST_CHECK omen_status segment_verify(struct segment *segment, omen_error *error);

/* The path of one of a segment's files: "data", "keys" or "ends" as `what` says. */
enum segment_file { SEGMENT_DATA, SEGMENT_KEYS, SEGMENT_ENDS };
enum { SEGMENT_PATH_BYTES_MAX = 4096 };
void segment_path(const char *directory, const struct segment_facts *facts, enum segment_file what,
                  char path[SEGMENT_PATH_BYTES_MAX]);

#endif
