/* segment_private.h - what the segment_*.c files share. */
#ifndef OMEN_STORE_SEGMENT_PRIVATE_H
#define OMEN_STORE_SEGMENT_PRIVATE_H

#include "store/segment.h"

/* A segment whose groups can be read. Also the row_group_source of its groups. */
struct segment {
    struct row_group_source source;
    struct allocator *allocator;
    const struct os *os;
    struct segment_codec codec;
    struct schema *schema; /* referenced */
    struct segment_facts facts;
    atomic_uint references;
    atomic_bool removing;
    uint64_t group_numbers[SEGMENT_GROUPS_MAX];
    uint32_t group_rows[SEGMENT_GROUPS_MAX];
    uint64_t *page_checksums;
    char directory[];
};

/* Creates a file that holds these bytes, synced. On failure it is gone again, or left over.
 * Errors: DISK_FULL, IO_ERROR. */
OMEN_MUST_CHECK omen_status segment_create_file(const struct os *os, const char *path,
                                                const uint8_t *data, size_t length,
                                                omen_error *error);

/* One row group as a stream of its windows; `columns` are all stored ones and outlive it.
 * Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status segment_group_stream(struct row_group *group, const uint32_t *columns,
                                                 uint32_t column_count,
                                                 struct ArrowArrayStream *out);

/* The numbers 0 to stored_count - 1. */
OMEN_MUST_CHECK omen_status segment_columns(struct allocator *allocator,
                                            const struct schema *schema, uint32_t **out);

#endif
