/* wal_format.h - what lies in a log file. docs/FILE_FORMAT.md has the same as tables.
 *
 *     NNNNNNNNNNNNNNNN                   the file's name: its first LSN in hexadecimal
 *     | header, 4096 bytes | batch | batch | ... | zeros |
 *                          ^ first_lsn                   ^ first_lsn + capacity
 *
 *     batch   | checksum lsn durable length flags | record | record | ... |
 *     record  | length flags | bytes | zeros up to a multiple of 8 |
 *
 * Numbers are little-endian. An LSN counts the bytes of batches from file to file: the byte at LSN
 * n lies at 4096 + n - first_lsn of its file, everything is aligned to 8, and there are no gaps. A
 * batch is what was written at once and ends with its file at the latest; a commit is a run of
 * records from a FIRST to a LAST, over any number of batches and files.
 *
 * Invariants:
 *  1. A batch's checksum is seeded with its file's salt, new and random each time a file is put to
 *     use, and covers its LSN: bytes from another place, file or former life are never valid.
 *  2. What lies before a batch's `durable` was durable before the batch was written, and what lies
 *     before a file's `proven` before the file bore its name.
 *  3. A file bears its final name only after its header, its whole length and (after a recovery)
 *     the batches it begins with were synced. So a bad header is damage, never a crash's trace.
 *  4. Of two files, the one of the higher sequence holds for all LSNs from its first on.
 *  5. A file never keeps room for less than 64 bytes: a batch that would leave so little is padded
 *     with empty records up to the file's end.
 */
#ifndef OMEN_WAL_WAL_FORMAT_H
#define OMEN_WAL_WAL_FORMAT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    WAL_FORMAT_VERSION = 1,
    WAL_HEADER_BYTES = 4096,
    WAL_BATCH_BYTES_MAX = 256 * 1024, /* header and padding included */
    WAL_ROOM_MIN = 64,
    WAL_CAPACITY_MIN = 4096,
};

#define WAL_CAPACITY_MAX (UINT64_C(1) << 48)
#define WAL_LSN_MAX      (UINT64_C(1) << 62)

struct wal_header_bytes {
    char magic[8]; /* "OMENLOG" and a zero */
    uint32_t version;
    uint32_t header_bytes;
    uint64_t checksum; /* of the rest of this struct, seed 0 */
    uint8_t database_id[16];
    uint64_t first_lsn;
    uint64_t sequence;
    uint64_t salt;
    uint64_t capacity;
    uint64_t proven_lsn;
    uint8_t reserved[16]; /* zeros */
};
static_assert(sizeof(struct wal_header_bytes) == 96, "on disk");
static_assert(offsetof(struct wal_header_bytes, database_id) == 24, "on disk");
static_assert(offsetof(struct wal_header_bytes, proven_lsn) == 72, "on disk");

struct wal_batch_bytes {
    uint64_t checksum; /* of all that follows in the batch, seeded with the file's salt */
    uint64_t lsn;
    uint64_t durable_lsn;
    uint32_t length; /* of the records, a multiple of 8 */
    uint32_t flags;
};
static_assert(sizeof(struct wal_batch_bytes) == 32, "on disk");

struct wal_record_bytes {
    uint32_t length;
    uint32_t flags;
};
static_assert(sizeof(struct wal_record_bytes) == 8, "on disk");

enum { WAL_BATCH_CLOSE = 1 }; /* the log was closed here: all before is durable; no records */

/* Both 0 in a record of length 0: padding, eight zero bytes. */
enum { WAL_RECORD_FIRST = 1, WAL_RECORD_LAST = 2 };

/* What a file's header says. */
struct wal_header {
    uint8_t database_id[16];
    uint64_t first_lsn, sequence, salt, capacity, proven_lsn;
};

/* Writes sizeof(struct wal_header_bytes) bytes. */
void wal_header_encode(const struct wal_header *header, uint8_t *bytes);

/* Reads a header of `length` bytes, any bytes. `path` is for the message.
 * Errors: CORRUPTED; NOT_SUPPORTED where the version is newer. */
omen_status wal_header_decode(const uint8_t *bytes, size_t length, const char *path,
                              struct wal_header *header, omen_error *error);

/* What a batch's header says. */
struct wal_batch {
    uint64_t lsn, durable_lsn;
    uint32_t length, flags;
};

/* Fills in the header of a batch whose records lie behind it in `bytes`. */
void wal_batch_encode(const struct wal_batch *batch, uint64_t salt, uint8_t *bytes);

/* How long a batch that begins with these bytes says it is, header included; 0 where they cannot
 * begin a batch at `lsn`. `available` bytes may be read, and a batch is never longer than `room`.
 */
size_t wal_batch_bytes(const uint8_t *bytes, size_t available, uint64_t lsn, uint64_t room);

/* True where a whole, valid batch of `lsn` lies in the `length` bytes that wal_batch_bytes gave. */
bool wal_batch_decode(const uint8_t *bytes, size_t length, uint64_t lsn, uint64_t salt,
                      struct wal_batch *batch);

struct wal_record {
    const uint8_t *bytes;
    uint32_t length, flags;
    size_t end; /* where it ends, padding included, counted from the first record's beginning */
};

/* The record at `*at` among `length` bytes of records, empty ones skipped; moves `*at` behind it.
 * False at the end, and with `*malformed` where what is there is no record. */
bool wal_record_next(const uint8_t *records, size_t length, size_t *at, struct wal_record *record,
                     bool *malformed);

/* A multiple of 8 at least as large. */
static inline uint64_t wal_align8(uint64_t bytes)
{
    return (bytes + 7) & ~UINT64_C(7);
}

#endif
