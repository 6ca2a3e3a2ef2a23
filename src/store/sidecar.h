/* sidecar.h - what a segment's second file says, so that opening needs no engine (R8.5).
 *
 *   keys file   "<uuid>.keys": checksums of the data file's pages; per row group its number, slots
 *               that never began, zone maps, and sorted keys with slots
 *   ends file   "<uuid>.ends": the slots of a segment that have ended, as of a checkpoint
 *
 * Formats: docs/FILE_FORMAT.md. Encoding and decoding only, no files. Decoders take any bytes and
 * read nothing they were not given; a checksum that is right does not make them trust a length.
 */
#ifndef OMEN_STORE_SIDECAR_H
#define OMEN_STORE_SIDECAR_H

#include "base/arena.h"
#include "base/bytes.h"
#include "column/row_group.h"
#include "column/schema.h"
#include "table/table_adopt.h"

enum {
    SEGMENT_GROUPS_MAX = 16,
    SEGMENT_PAGE_BYTES = 4096,    /* of the data file, each with a checksum */
    SIDECAR_TEXT_BYTES_MAX = 255, /* longer extremes of text are not kept */
};

/* What ties the files of a segment to one another and to their database. */
struct segment_identity {
    uint8_t database_id[16];
    uint8_t uuid[16];
    uint64_t data_bytes; /* length of the data file */
};

/* The checksum of page number `page` of a data file. */
uint64_t segment_page_checksum(const uint8_t uuid[16], uint64_t page, const void *data,
                               size_t length);

static inline uint64_t segment_page_count(uint64_t data_bytes)
{
    return data_bytes / SEGMENT_PAGE_BYTES + (data_bytes % SEGMENT_PAGE_BYTES != 0);
}

/* Appends a keys file to the writer: of frozen groups whose columns are here, or can be loaded.
 * `page_checksums` has one entry per page of the data file. Errors: OUT_OF_MEMORY; those of
 * row_group_ensure; LIMIT_EXCEEDED for a key over KEY_BYTES_MAX. */
OMEN_MUST_CHECK omen_status sidecar_encode(struct byte_writer *writer,
                                           const struct segment_identity *identity,
                                           const uint64_t *page_checksums,
                                           struct row_group *const *groups, uint32_t group_count,
                                           omen_error *error);

/* A decoded keys file; everything in it lies in the arena. */
struct sidecar_group {
    struct row_group_facts facts; /* begun and zones set; ended and ended_at not */
    struct group_keys keys;
};

struct sidecar {
    uint32_t group_count;
    struct sidecar_group groups[SEGMENT_GROUPS_MAX];
    const uint64_t *page_checksums;
};

/* Errors: CORRUPTED (damaged, or of another segment, database or schema), NOT_SUPPORTED (a newer
 * format), OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status sidecar_decode(const uint8_t *data, size_t length,
                                           const struct segment_identity *identity,
                                           const struct schema *schema, struct arena *arena,
                                           struct sidecar *out, omen_error *error);

/* Appends an ends file: slots of the groups that have begun and whose end is at or below
 * `timestamp`; none of a group that is NULL: it is gone. `*ended` gets how many there are. */
OMEN_MUST_CHECK omen_status ends_encode(struct byte_writer *writer,
                                        const struct segment_identity *identity, uint64_t timestamp,
                                        struct row_group *const *groups, uint32_t group_count,
                                        uint64_t *ended);

/* Fills in facts.ended and facts.ended_at of the groups that the file names. Errors: as above. */
OMEN_MUST_CHECK omen_status ends_decode(const uint8_t *data, size_t length,
                                        const struct segment_identity *identity,
                                        struct arena *arena, struct sidecar *sidecar,
                                        omen_error *error);

#endif
