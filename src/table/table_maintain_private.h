/* table_maintain_private.h - what the files of maintenance share.
 *
 *   table_maintain.c   the step: erasing, repointing, dropping
 *   table_rewrite.c    freezing and compacting, in three parts; folding ends
 */
#ifndef OMEN_TABLE_TABLE_MAINTAIN_PRIVATE_H
#define OMEN_TABLE_TABLE_MAINTAIN_PRIVATE_H

#include "table/table_private.h"

enum { REWRITE_SOURCES_MAX = 16 };

struct step {
    struct table *table;
    uint64_t budget; /* rows that may still be touched */
    uint64_t watermark;
    struct maintain_report *report;
    omen_status damage; /* of a group that could be read before */
};

/* --- groups whose columns cannot be read --- */

/* Whether the group is left alone for now. */
static inline bool is_put_off(const struct group_entry *entry)
{
    return entry->retry_in > 0;
}

/* Takes what came of reading a group: data that cannot be read puts the group off, for more steps
 * each time, and is told once; OUT_OF_MEMORY is given back. As the writer. */
OMEN_MUST_CHECK omen_status step_put_off(struct step *step, struct group_entry *entry,
                                         omen_status status);

/* The group could be read, or goes. As the writer. */
void step_mend(struct step *step, struct group_entry *entry);

/* --- one rewrite --- */

/* Freezing one group, or compacting some. Sources are pinned: they are read outside the writer
 * lock. */
struct rewrite {
    bool compacts; /* else freezes its one source */
    size_t source_count;
    struct group_entry *sources[REWRITE_SOURCES_MAX];
    struct row_group *groups[REWRITE_SOURCES_MAX];
    uint32_t ended[REWRITE_SOURCES_MAX]; /* rows that had ended when the copying began */
    struct slot_map *maps[REWRITE_SOURCES_MAX];
    size_t failed; /* the source that could not be read, or does not fit */
    struct row_group *result;
    struct group_entry *entry; /* of the result, not yet linked */
};

static inline bool needs_repointing(const struct group_entry *entry)
{
    return entry->map != NULL && entry->repointed < row_group_row_count(entry->group);
}

/* Rows that have begun and not ended. */
static inline uint32_t live_rows(const struct group_entry *entry)
{
    const struct row_group *group = entry->group;
    return row_group_row_count(group) - row_group_ended_count(group) -
           row_group_unbegun_count(group);
}

/* Picks what is to be rewritten next; false where nothing is. As the writer; the maintenance lock
 * is held until the end. */
bool rewrite_choose(struct step *step, struct rewrite *rewrite);

/* Makes the new form. Without the writer lock: commits go on. Errors: OUT_OF_MEMORY, those of
 * row_group_ensure for source number `failed`; NOT_READY where that one does not fit with those
 * before it. */
OMEN_MUST_CHECK omen_status rewrite_build(struct step *step, struct rewrite *rewrite);

/* Puts it in place, with the ends that came meanwhile. As the writer. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status rewrite_install(struct step *step, struct rewrite *rewrite);

void rewrite_release(struct step *step, struct rewrite *rewrite);

/* --- ends --- */

/* Folds the ends of frozen groups that nobody looks at and nothing has happened to for some steps
 * (R5.2). As the writer. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status fold_old_ends(struct step *step);

#endif
