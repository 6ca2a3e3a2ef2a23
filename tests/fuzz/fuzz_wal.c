/* fuzz_wal.c - any bytes as a log file: recovered, refused or cut, and never more than that.
 *
 * The first byte chooses how the rest is taken: as the whole file; as the batches behind a good
 * header; or as records, in batches whose checksums are right, so that what lies behind the
 * checksums is reached too. The file lies in memory, behind an os of this file's own that only
 * reads: recovery proper starts where wal_verify ends.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "fuzz.h"
#include "wal/wal.h"
#include "wal/wal_format.h"

enum { FILE_BYTES = 64 * 1024, BATCH_RECORDS_MAX = 4096, MEMORY_BYTES_MAX = 4 << 20 };

static uint8_t content[FILE_BYTES];

static omen_status open_file(const struct os *os, const char *path, enum os_open how, int64_t *file,
                             omen_error *error)
{
    OMEN_ASSERT(how == OS_OPEN_READ);
    *file = 1;
    return OMEN_OK;
}

static omen_status read_at(const struct os *os, int64_t file, void *buffer, size_t length,
                           uint64_t offset, size_t *got, omen_error *error)
{
    *got = offset < FILE_BYTES ? size_min(length, FILE_BYTES - offset) : 0;
    if (*got > 0)
        memcpy(buffer, content + offset, *got);
    return OMEN_OK;
}

static omen_status size_of(const struct os *os, int64_t file, uint64_t *bytes, omen_error *error)
{
    *bytes = FILE_BYTES;
    return OMEN_OK;
}

static void close_file(const struct os *os, int64_t file)
{
}

static omen_status list(const struct os *os, const char *path,
                        omen_status (*visit)(void *context, const char *name), void *context,
                        omen_error *error)
{
    return visit(context, "0000000000000000");
}

static const struct os reading = {
    .file_open = open_file,
    .file_read_at = read_at,
    .file_size = size_of,
    .file_close = close_file,
    .directory_list = list,
};

static void put_header(void)
{
    struct wal_header header = {.capacity = FILE_BYTES - WAL_HEADER_BYTES, .salt = 7, .sequence = 1};
    wal_header_encode(&header, content);
}

/* Batches of up to 4 KiB of records each, as the bytes are; the first two say what is durable. */
static void put_batches(const uint8_t *data, size_t size)
{
    uint64_t lsn = 0;
    while (size > 2 && lsn + sizeof(struct wal_batch_bytes) + BATCH_RECORDS_MAX <
                           FILE_BYTES - WAL_HEADER_BYTES) {
        struct wal_batch batch = {.lsn = lsn, .durable_lsn = data[0] * 64u, .flags = data[1] % 4};
        uint8_t *bytes = content + WAL_HEADER_BYTES + lsn;
        size_t taken = size_min(size - 2, BATCH_RECORDS_MAX);
        memcpy(bytes + sizeof(struct wal_batch_bytes), data + 2, taken);
        batch.length = (uint32_t)wal_align8(taken);
        wal_batch_encode(&batch, 7, bytes);
        lsn += sizeof(struct wal_batch_bytes) + batch.length;
        data += 2 + taken, size -= 2 + taken;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct allocator allocator;
    struct wal_options options = {.allocator = &allocator, .os = &reading, .directory = "log"};
    omen_error error = {.status = OMEN_OK};
    uint64_t end_lsn;
    allocator_init(&allocator, MEMORY_BYTES_MAX);
    memset(content, 0, sizeof content);
    size_t taken = size_min(size - 1, FILE_BYTES - WAL_HEADER_BYTES);
    switch (data[0] % 3) {
    case 0:
        memcpy(content, data + 1, taken);
        break;
    case 1:
        put_header();
        memcpy(content + WAL_HEADER_BYTES, data + 1, taken);
        break;
    default:
        put_header();
        put_batches(data + 1, size - 1);
    }
    omen_status status = wal_verify(&options, NULL, &end_lsn, &error);
    OMEN_ASSERT(status == OMEN_OK || status == OMEN_CORRUPTED || status == OMEN_NOT_SUPPORTED);
    OMEN_ASSERT(status == OMEN_OK ? end_lsn <= FILE_BYTES - WAL_HEADER_BYTES
                                  : error.status == status);
    OMEN_ASSERT(allocator.bytes_used == 0);
    return 0;
}
