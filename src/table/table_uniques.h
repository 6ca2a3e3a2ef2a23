/* table_uniques.h - the indexes of a table's unique keys, shared inside src/table.
 *
 *   unique key n - 1:   encoded key ──> id of the live row that has it, as the writer sees rows
 *
 * Snapshots never ask them: they say only whether a key is taken now. So an entry goes at once when
 * its row ends or leaves the key, nothing of them is in the log, and only the holder of the writer
 * lock looks at them or changes them. A row with a NULL in the key has no entry. Like the primary
 * index an entry may lead to an old copy of its row until it is repointed.
 *
 * Built when first needed. A table that was opened or replayed has none; whoever is about to insert
 * a row, or to give a unique key another value, builds them (table_prepare_uniques, or at the
 * latest the commit). Until then nothing has to be noted of them: deletes, and updates that leave
 * the keys as they are, go on without.
 *
 *   table_unique_build.c    building, repointing, dropping
 *   table_unique_commit.c   a write set's: what it frees and takes, and its part in the commit
 */
#ifndef OMEN_TABLE_TABLE_UNIQUES_H
#define OMEN_TABLE_TABLE_UNIQUES_H

#include "table/table_private.h"

/* Whether the indexes are there. As the writer; others may learn it late. */
static inline bool uniques_built(const struct table *table)
{
    /* Acquire pairs with the release in install. */
    return atomic_load_explicit(&table->uniques_built, memory_order_acquire);
}

/* --- building (table_unique_build.c) --- */

/* Builds them with the writer lock held, if they are not there: columns may have to be read.
 * Errors: OUT_OF_MEMORY; those of row_group_ensure; CORRUPTED where two live rows have one key. */
OMEN_MUST_CHECK omen_status uniques_build_locked(struct table *table, omen_error *error);

void uniques_destroy(struct table *table);

/* Tells the facts how large they are now. As the writer. */
void uniques_count_bytes(struct table *table);

/* Leads the entries of these copied slots of the entry's group to the copies. As the writer.
 * Errors: those of row_group_key_of; it can be done again. */
OMEN_MUST_CHECK omen_status uniques_repoint(struct table *table, const struct group_entry *entry,
                                            const uint32_t *slots, uint32_t count);

/* --- write sets (table_unique_commit.c) --- */

/* Whether two rows have the same unique keys, NULLs counted as values; not where one has gone
 * altogether. With the writer lock, though columns may have to be read. Errors: those of
 * row_group_ensure. */
OMEN_MUST_CHECK omen_status uniques_compare(const struct table *table, uint64_t one, uint64_t other,
                                            bool *same, omen_error *error);

/* What the set is about to do: end the row at `slot` of `group`, whose columns are here, and, where
 * `row` is not NULL, put those stored values in its place as the set's next row. To be called
 * before that; uniques_forget takes it back. Errors: OUT_OF_MEMORY; LIMIT_EXCEEDED for too long a
 * key. */
OMEN_MUST_CHECK omen_status uniques_note_change(struct write_set *set,
                                                const struct row_group *group, uint32_t slot,
                                                const omen_value *row, omen_error *error);

struct unique_mark {
    size_t freed, taken, replacing;
};
static inline struct unique_mark uniques_mark(const struct write_set *set)
{
    return (struct unique_mark){set->freed_count, set->taken_count, set->replacing_count};
}

static inline void uniques_forget(struct write_set *set, struct unique_mark mark)
{
    set->freed_count = mark.freed;
    set->taken_count = mark.taken;
    set->replacing_count = mark.replacing;
}

/* Notes that the set frees a key; its bytes are the set's already. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status uniques_note_freed(struct write_set *set, struct numbered_key key);

/* Frees what is noted. */
void uniques_release(struct write_set *set);

/* The keys of unique constraints that keeping the set would write, appended to `keys` from `*count`
 * on, which has room for uniques_keys_at_most more: by number, sorted, each once. Bytes are in the
 * arena. Errors: OUT_OF_MEMORY; LIMIT_EXCEEDED for too long a key. */
size_t uniques_keys_at_most(const struct write_set *set);
OMEN_MUST_CHECK omen_status uniques_keys(const struct write_set *set, struct arena *arena,
                                         struct numbered_key *keys, size_t *count,
                                         omen_error *error);

/* Builds the indexes if keeping the set needs them; with the writer lock. Errors: as
 * uniques_build_locked. */
OMEN_MUST_CHECK omen_status uniques_ready(struct write_set *set, omen_error *error);

/* The set's part in a commit, beside that of the primary index (table_commit.c). */
OMEN_MUST_CHECK omen_status uniques_validate(struct write_set *set, omen_error *error);
OMEN_MUST_CHECK omen_status uniques_put(struct write_set *set, omen_error *error);
void uniques_undo(struct write_set *set);
void uniques_apply(struct write_set *set, uint64_t timestamp);

#endif
