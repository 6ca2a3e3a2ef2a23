/* attachment.h - which segments hold which row groups of which table.
 *
 *   storage -> table_files (a table) -> attachment (a segment) -> group numbers
 *
 * What a manifest names, in memory. Changed by checkpoints alone, and by opening.
 */
#ifndef OMEN_STORE_ATTACHMENT_H
#define OMEN_STORE_ATTACHMENT_H

#include "store/segment.h"

/* A segment of a table. */
struct attachment {
    struct segment_facts facts;
    struct segment *segment; /* a reference, where it was opened; NULL: written since */
    uint64_t numbers[SEGMENT_GROUPS_MAX];
    uint32_t rows[SEGMENT_GROUPS_MAX]; /* slots */
    /* Slots that its ends file names, of each group: of one group they only ever grow. */
    uint32_t ended[SEGMENT_GROUPS_MAX];
    size_t order; /* where in the table its first group lies */
    bool tail;    /* of an open group: the next checkpoint replaces it */
};

/* The segments of a table, in the order of their rows. */
struct table_files {
    uint64_t table_id;
    struct attachment *attachments;
    size_t count, capacity;
};

/* Room for one more; NULL where memory is out. What it gives is zero. */
struct attachment *table_files_add(struct allocator *allocator, struct table_files *files);

/* Releases the references to segments and frees the list. */
void table_files_release(struct allocator *allocator, struct table_files *files);

/* The attachment of this segment, or NULL. */
struct attachment *table_files_find(const struct table_files *files, const uint8_t uuid[16]);

#endif
