/* wal_format.c - headers, batches and records as bytes, and back from bytes nobody vouches for. */
#include "wal/wal_format.h"

#include <string.h>

#include "base/bytes.h"
#include "base/checksum.h"

static const char magic[8] = "OMENLOG";

#define HEADER_FIELD(name) offsetof(struct wal_header_bytes, name)
#define BATCH_FIELD(name)  offsetof(struct wal_batch_bytes, name)

static uint64_t header_checksum(const uint8_t *bytes)
{
    size_t from = HEADER_FIELD(database_id);
    return checksum64(bytes + from, sizeof(struct wal_header_bytes) - from, 0);
}

void wal_header_encode(const struct wal_header *header, uint8_t *bytes)
{
    memset(bytes, 0, sizeof(struct wal_header_bytes));
    memcpy(bytes + HEADER_FIELD(magic), magic, sizeof magic);
    bytes_put_u32(bytes + HEADER_FIELD(version), WAL_FORMAT_VERSION);
    bytes_put_u32(bytes + HEADER_FIELD(header_bytes), WAL_HEADER_BYTES);
    memcpy(bytes + HEADER_FIELD(database_id), header->database_id, sizeof header->database_id);
    bytes_put_u64(bytes + HEADER_FIELD(first_lsn), header->first_lsn);
    bytes_put_u64(bytes + HEADER_FIELD(sequence), header->sequence);
    bytes_put_u64(bytes + HEADER_FIELD(salt), header->salt);
    bytes_put_u64(bytes + HEADER_FIELD(capacity), header->capacity);
    bytes_put_u64(bytes + HEADER_FIELD(proven_lsn), header->proven_lsn);
    bytes_put_u64(bytes + HEADER_FIELD(checksum), header_checksum(bytes));
}

static bool header_is_plausible(const struct wal_header *header)
{
    return header->first_lsn % 8 == 0 && header->first_lsn < WAL_LSN_MAX &&
           header->sequence < WAL_LSN_MAX && header->capacity % 8 == 0 &&
           header->capacity >= WAL_CAPACITY_MIN && header->capacity <= WAL_CAPACITY_MAX &&
           header->proven_lsn < WAL_LSN_MAX;
}

omen_status wal_header_decode(const uint8_t *bytes, size_t length, const char *path,
                              struct wal_header *header, omen_error *error)
{
    if (length < sizeof(struct wal_header_bytes) || memcmp(bytes, magic, sizeof magic) != 0)
        return error_set(error, OMEN_CORRUPTED, "\"%s\" does not begin as a log file", path);
    uint32_t version = bytes_get_u32(bytes + HEADER_FIELD(version));
    if (version > WAL_FORMAT_VERSION)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "\"%s\" has format %u, which a newer OmenDB wrote; this one reads formats "
                         "up to %d",
                         path, version, WAL_FORMAT_VERSION);
    memcpy(header->database_id, bytes + HEADER_FIELD(database_id), sizeof header->database_id);
    header->first_lsn = bytes_get_u64(bytes + HEADER_FIELD(first_lsn));
    header->sequence = bytes_get_u64(bytes + HEADER_FIELD(sequence));
    header->salt = bytes_get_u64(bytes + HEADER_FIELD(salt));
    header->capacity = bytes_get_u64(bytes + HEADER_FIELD(capacity));
    header->proven_lsn = bytes_get_u64(bytes + HEADER_FIELD(proven_lsn));
    if (version != WAL_FORMAT_VERSION ||
        bytes_get_u32(bytes + HEADER_FIELD(header_bytes)) != WAL_HEADER_BYTES ||
        bytes_get_u64(bytes + HEADER_FIELD(checksum)) != header_checksum(bytes) ||
        !header_is_plausible(header))
        return error_set(error, OMEN_CORRUPTED, "the header of log file \"%s\" is damaged", path);
    return OMEN_OK;
}

static uint64_t batch_checksum(const uint8_t *bytes, size_t length, uint64_t salt)
{
    return checksum64(bytes + BATCH_FIELD(lsn), length - BATCH_FIELD(lsn), salt);
}

void wal_batch_encode(const struct wal_batch *batch, uint64_t salt, uint8_t *bytes)
{
    bytes_put_u64(bytes + BATCH_FIELD(lsn), batch->lsn);
    bytes_put_u64(bytes + BATCH_FIELD(durable_lsn), batch->durable_lsn);
    bytes_put_u32(bytes + BATCH_FIELD(length), batch->length);
    bytes_put_u32(bytes + BATCH_FIELD(flags), batch->flags);
    size_t length = sizeof(struct wal_batch_bytes) + batch->length;
    bytes_put_u64(bytes + BATCH_FIELD(checksum), batch_checksum(bytes, length, salt));
}

size_t wal_batch_bytes(const uint8_t *bytes, size_t available, uint64_t lsn, uint64_t room)
{
    size_t header = sizeof(struct wal_batch_bytes);
    if (available < header || bytes_get_u64(bytes + BATCH_FIELD(lsn)) != lsn)
        return 0;
    uint32_t length = bytes_get_u32(bytes + BATCH_FIELD(length));
    if (length % 8 != 0 || length > WAL_BATCH_BYTES_MAX - header || header + length > room)
        return 0;
    return header + length;
}

bool wal_batch_decode(const uint8_t *bytes, size_t length, uint64_t lsn, uint64_t salt,
                      struct wal_batch *batch)
{
    batch->lsn = lsn;
    batch->durable_lsn = bytes_get_u64(bytes + BATCH_FIELD(durable_lsn));
    batch->length = (uint32_t)(length - sizeof(struct wal_batch_bytes));
    batch->flags = bytes_get_u32(bytes + BATCH_FIELD(flags));
    return bytes_get_u64(bytes + BATCH_FIELD(checksum)) == batch_checksum(bytes, length, salt);
}

bool wal_record_next(const uint8_t *records, size_t length, size_t *at, struct wal_record *record,
                     bool *malformed)
{
    size_t header = sizeof(struct wal_record_bytes);
    *malformed = false;
    while (*at < length) {
        *malformed = length - *at < header;
        if (*malformed)
            return false;
        record->length = bytes_get_u32(records + *at);
        record->flags = bytes_get_u32(records + *at + offsetof(struct wal_record_bytes, flags));
        *at += header;
        *malformed = wal_align8(record->length) > length - *at ||
                     (record->flags & ~(uint32_t)(WAL_RECORD_FIRST | WAL_RECORD_LAST)) != 0;
        if (*malformed)
            return false;
        record->bytes = records + *at;
        *at += wal_align8(record->length);
        record->end = *at;
        if (record->length != 0 || record->flags != 0)
            return true;
    }
    return false;
}
