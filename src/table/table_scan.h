/* table_scan.h - the state of a scan, shared by table_scan.c and table_keys.c. */
#ifndef OMEN_TABLE_TABLE_SCAN_H
#define OMEN_TABLE_TABLE_SCAN_H

#include "table/table_private.h"

enum { SCAN_KEYS_MAX = 1024 }; /* keys looked up for one scan; more, and it scans */

struct scan {
    struct table_view *view;
    struct filter *filter;
    bool filtered;
    struct filter *pruner; /* NULL: none */
    uint32_t *columns;
    uint32_t column_count;
    uint64_t remaining; /* of the limit */
    struct scan_counters counters;

    size_t group, group_end; /* position in the view's groups, and the end of the share */
    bool entered;            /* the group's zone map was asked */
    bool wholly_visible;
    /* The group's forms whose columns the filter and the output read, pinned while it is entered:
     * the view's, or a passing one (table_scan.c). NULL: not entered. */
    struct row_group *sifted, *source;
    uint32_t window; /* first slot of the window */
    uint32_t window_rows;
    bool loaded; /* the window's slots have been selected */
    bool whole;  /* every row of the loaded window is wanted */
    uint32_t slot_count;
    uint32_t slot_next; /* of the slots, or of a whole window's rows */

    struct batch_builder *builder;
    uint64_t gathered; /* rows in it */
    bool full;         /* it takes no more text */

    struct arena keys_arena;
    struct index_key *keys; /* by_index: distinct, ascending; in the arena */
    size_t key_count, key_next;
    struct row_ref *own_rows; /* of the keys, where the view has own writes; in the arena */

    omen_error failure; /* what the last failed call had to say */

    uint16_t slots[BATCH_ROWS]; /* of the loaded window; last, because it starts unset */
};

/* Fills the scan's keys and sets counters.by_index where the predicates fix the key and give
 * SCAN_KEYS_MAX keys at most. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status scan_keys_collect(struct scan *scan, const struct scan_spec *spec);

/* Asks the view's own writes for the keys: one of which they say that there is no row is dropped, a
 * row of theirs is pinned. Where they are no longer as the view saw them, the scan gives the index
 * up. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status scan_keys_ask_own(struct scan *scan);

/* Looks the keys up and gathers the visible rows that pass, up to the limit. Where it fails it
 * goes on from there when called again. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status scan_keys_gather(struct scan *scan);

/* Adds rows to the batch in the making: of a group whose columns are loaded for it, and stay.
 * Errors: OUT_OF_MEMORY; those of row_group_ensure. */
OMEN_MUST_CHECK omen_status scan_gather(struct scan *scan, const struct row_group *group,
                                        const uint16_t *slots, uint32_t count);

#endif
