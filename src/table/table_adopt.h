/* table_adopt.h - a table made of row groups that lie in segments, and what a checkpoint takes.
 *
 * Concurrency: table_adopt_groups before anybody else knows the table; the others as they say.
 */
#ifndef OMEN_TABLE_TABLE_ADOPT_H
#define OMEN_TABLE_TABLE_ADOPT_H

#include "table/table.h"

/* The keys of a group's slots, ascending (equal ones are versions of a row), each with its slot.
 * Of the table's kind: words, or bytes. Borrowed. */
struct group_keys {
    uint32_t count;
    const uint64_t *words;         /* INDEX_WORD */
    const struct index_key *bytes; /* INDEX_BYTES */
    const uint16_t *slots;
};

struct adopted_group {
    struct row_group *group; /* frozen; the table takes a reference */
    struct group_keys keys;
};

/* Fills an empty table with the groups, in the order of their rows, and its index with the keys of
 * their live slots, merged on `thread_count` threads (1 to 16). On failure the table is to be
 * released. Errors: CORRUPTED where a live key comes twice, or a group's number is at or above the
 * bound or comes twice; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status table_adopt_groups(struct table *table,
                                               const struct adopted_group *groups, size_t count,
                                               struct table_counters counters,
                                               uint32_t thread_count, omen_error *error);

/* The groups that a view holds, in the order of their rows, each with the slots it had then. What a
 * checkpoint writes: a frozen group for good, any other (more rows may come to it, or begin) as a
 * tail that a later segment replaces. Borrowed: the view has hold of it (row_group_hold). Any
 * thread. */
size_t table_view_group_count(const struct table_view *view);
struct row_group *table_view_group(const struct table_view *view, size_t position,
                                   uint32_t *row_count);

/* --- columns that lie in segments --- */

/* Says where the columns of a group of the table lie as well: `backing` is a form of it without any
 * (row_group_open), which is retained. Nothing happens where the group is gone, or knows. Takes the
 * writer lock. */
void table_back_group(struct table *table, struct row_group *backing);

/* Bytes of columns that are here and lie in segments as well. */
uint64_t table_loaded_bytes(struct table *table);

/* Lets go columns of groups that nobody reads, about `bytes` of them: in one round over the groups
 * those that have not been looked at since the last time, in two any. `freed` gets how many. Takes
 * the maintenance and the writer lock, and the table's. Errors: OUT_OF_MEMORY; it can be tried
 * again. */
OMEN_MUST_CHECK omen_status table_unload(struct table *table, uint64_t bytes, uint32_t rounds,
                                         uint64_t *freed);

#endif
