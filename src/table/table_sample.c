/* table_sample.c - some rows of a table, spread evenly over it.
 *
 *   slots of all groups, one after the other     |----|----|----|----|     strata of equal size,
 *                                                  ^     ^  ^    ^         a place in each
 *
 * The place within a stratum comes from its number alone: the same table gives the same sample, and
 * rows that repeat themselves at some distance are not met always at the same point.
 *
 * Columns that are not in memory are read from disk by whoever looks at the sample. So that a look
 * costs little, groups without their columns are left out but for a few.
 */
#include "base/random.h"
#include "table/table_private.h"

enum { ABSENT_GROUPS_MAX = 2 };

/* Whether rows of this group may be taken; `*absent` counts those whose columns are not here. */
static bool is_at_hand(const struct row_group *group, uint32_t *absent)
{
    if (row_group_absent_count(group) == 0)
        return true;
    return ++*absent <= ABSENT_GROUPS_MAX;
}

/* Takes what the view sees at the places of the strata. */
static void take_rows(const struct table_view *view, uint64_t slot_count, uint32_t row_count_max,
                      struct table_sample *sample)
{
    uint64_t strata = slot_count < row_count_max ? slot_count : row_count_max;
    uint64_t before = 0; /* slots of the groups before */
    uint32_t absent = 0;
    uint64_t stratum = 0;
    for (size_t i = 0; i < view->group_count; i++) {
        struct row_group *group = view->groups[i].group;
        uint64_t end = before + view->groups[i].row_count;
        bool at_hand = is_at_hand(group, &absent);
        for (; stratum < strata; stratum++) {
            uint64_t first = stratum * slot_count / strata;
            uint64_t size = (stratum + 1) * slot_count / strata - first;
            struct random random = random_seeded(stratum);
            uint64_t place = first + random_below(&random, size);
            if (place >= end)
                break;
            uint32_t slot = (uint32_t)(place - before);
            if (at_hand && row_group_visible(group, slot, view->snapshot.timestamp))
                sample->rows[sample->row_count++] =
                    (struct row_ref){.group = row_group_pin(group), .slot = slot};
        }
        before = end;
    }
    sample->complete = strata == slot_count && absent <= ABSENT_GROUPS_MAX;
}

omen_status table_sample_take(struct table *table, uint32_t row_count_max, struct arena *arena,
                              struct table_sample *out)
{
    struct snapshot snapshot;
    *out = (struct table_sample){0};
    out->rows = arena_alloc(arena, row_count_max * sizeof *out->rows);
    if (out->rows == NULL)
        return OMEN_OUT_OF_MEMORY;
    OMEN_TRY(snapshot_acquire(table->manager, &snapshot));
    omen_status status = table_view_open(table, &snapshot, &out->view);
    snapshot_release(&snapshot);
    OMEN_TRY(status);
    uint64_t slot_count = 0;
    for (size_t i = 0; i < out->view->group_count; i++)
        slot_count += out->view->groups[i].row_count;
    take_rows(out->view, slot_count, row_count_max, out);
    return OMEN_OK;
}

void table_sample_release(struct table_sample *sample)
{
    for (uint32_t i = 0; i < sample->row_count; i++)
        row_ref_release(&sample->rows[i]);
    table_view_release(sample->view);
    *sample = (struct table_sample){0};
}
