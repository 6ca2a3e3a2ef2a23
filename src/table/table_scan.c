/* table_scan.c - scans over a view.
 *
 *   groups of its share -> windows of 8,192 slots -> vectors of 1,024
 *
 * A group, then a vector, is skipped by its zone map. A window of which every row is wanted is
 * exported as it lies, without a copy. Of any other window one selection is made, visible AND
 * passing the filter, before a column of the output is touched; the selected rows are gathered,
 * across windows and groups, into batches of up to 8,192 rows.
 *
 * A scan whose predicates fix the whole key asks the index instead. It reads through the table
 * as it is now, which gives the same rows: its snapshot is registered, so their versions exist.
 *
 * Columns that lie in a segment and are not loaded come for the group that is read, no other. Where
 * the cache has room they stay in the group, for whoever comes next. Where it has none they come
 * into a form of the scan's own, a passing one, which goes with the last batch that was exported
 * from it. So a scan of a table of any size holds the groups of the batches outstanding; the view
 * has hold of all groups, but not of their columns.
 *
 * Besides the filter, a scan may be told what to prune by: rows that do not satisfy it are not
 * needed but may come, so only zone maps are asked.
 *
 * Concurrency: a view is shared by any number of scans on any threads; a scan has one user at a
 * time. What it hands out holds its own references.
 */
#include <stddef.h>
#include <string.h>

#include "base/bits.h"
#include "column/key.h"
#include "table/table_scan.h"

/* --- opening --- */

static omen_status check_columns(const struct schema *schema, const struct scan_spec *spec,
                                 omen_error *error)
{
    for (uint32_t i = 0; i < spec->column_count; i++)
        if (spec->columns[i] >= schema->stored_count && spec->columns[i] != ROW_ID_COLUMN)
            return error_set(error, OMEN_INVALID_ARGUMENT, "no column number %u", spec->columns[i]);
    if (spec->partition_count == 0 || spec->partition >= spec->partition_count)
        return error_set(error, OMEN_INVALID_ARGUMENT, "partition %u of %u", spec->partition,
                         spec->partition_count);
    return OMEN_OK;
}

static omen_status scan_init(struct scan *scan, const struct scan_spec *spec, omen_error *error)
{
    struct table_view *view = scan->view;
    struct table *table = view->table;
    OMEN_TRY(check_columns(table->schema, spec, error));
    OMEN_TRY(filter_create(table->allocator, table->schema, spec->predicates, spec->predicate_count,
                           &scan->filter, error));
    scan->filtered = spec->predicate_count > 0;
    if (spec->column_count > 0) {
        size_t bytes = spec->column_count * sizeof *scan->columns;
        scan->columns = allocator_alloc(table->allocator, bytes);
        if (scan->columns == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        memcpy(scan->columns, spec->columns, bytes);
        scan->column_count = spec->column_count;
    }
    scan->remaining = spec->limit;
    scan->group = view->group_count * spec->partition / spec->partition_count;
    scan->group_end = view->group_count * (spec->partition + (size_t)1) / spec->partition_count;
    if (filter_is_empty(scan->filter)) {
        scan->group = scan->group_end;
        return OMEN_OK;
    }
    if (!spec->key_lookup)
        return OMEN_OK;
    omen_status status = scan_keys_collect(scan, spec);
    if (status == OMEN_OK && scan->counters.by_index && view->own != NULL)
        status = scan_keys_ask_own(scan);
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}

omen_status table_scan_open(struct table_view *view, const struct scan_spec *spec,
                            struct scan **out, omen_error *error)
{
    *out = NULL;
    struct table *table = view->table;
    struct scan *scan = allocator_alloc(table->allocator, sizeof *scan);
    if (scan == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    memset(scan, 0, offsetof(struct scan, slots));
    scan->view = table_view_retain(view);
    arena_init(&scan->keys_arena, table->allocator);
    omen_status status = scan_init(scan, spec, error);
    if (status != OMEN_OK) {
        table_scan_close(scan);
        return status;
    }
    atomic_fetch_add_explicit(scan->counters.by_index ? &table->index_scans : &table->scans, 1,
                              memory_order_relaxed);
    *out = scan;
    return OMEN_OK;
}

static void release_forms(struct scan *scan)
{
    row_group_release(scan->sifted);
    row_group_release(scan->source);
    scan->sifted = scan->source = NULL;
}

void table_scan_close(struct scan *scan)
{
    if (scan == NULL)
        return;
    release_forms(scan);
    struct table_view *view = scan->view;
    struct allocator *allocator = view->table->allocator;
    batch_builder_destroy(scan->builder);
    filter_destroy(scan->filter);
    filter_destroy(scan->pruner);
    for (size_t i = 0; i < scan->key_count && scan->own_rows != NULL; i++)
        row_ref_release(&scan->own_rows[i]);
    arena_release(&scan->keys_arena);
    allocator_free(allocator, scan->columns, scan->column_count * sizeof *scan->columns);
    allocator_free(allocator, scan, sizeof *scan);
    table_view_release(view);
}

omen_status table_scan_error(const struct scan *scan, omen_status status, omen_error *error)
{
    if (scan->failure.status != status)
        return error_set_default(error, status);
    if (error != NULL)
        *error = scan->failure;
    return status;
}

void table_scan_counters(const struct scan *scan, struct scan_counters *out)
{
    *out = scan->counters;
}

omen_status table_scan_prune(struct scan *scan, const omen_predicate *predicates, size_t count,
                             omen_error *error)
{
    struct table *table = scan->view->table;
    struct filter *pruner;
    OMEN_TRY(filter_create(table->allocator, table->schema, predicates, count, &pruner, error));
    filter_destroy(scan->pruner);
    scan->pruner = pruner;
    return OMEN_OK;
}

/* --- windows --- */

static const struct view_group *current_group(const struct scan *scan)
{
    return &scan->view->groups[scan->group];
}

/* Whether nothing of a group or, where it is entered, of a vector (not -1) is needed. */
static bool prunes(const struct scan *scan, int32_t vector)
{
    const struct row_group *group = current_group(scan)->group;
    return (scan->filtered &&
            filter_prunes(scan->filter, vector < 0 ? group : scan->sifted, vector)) ||
           (scan->pruner != NULL &&
            filter_prunes(scan->pruner, vector < 0 ? group : scan->source, vector));
}

/* Whether columns that this form lacks are to be read past the cache. */
static bool must_pass(const struct scan *scan, const struct row_group *form)
{
    return form == current_group(scan)->group && row_group_has_source(form) &&
           !row_group_has_room(form);
}

/* Puts the passing form that the scan has of the group, or a new one, in the place of the view's.
 */
static omen_status pass(struct scan *scan, struct row_group **form)
{
    struct row_group *const *other = form == &scan->source ? &scan->sifted : &scan->source;
    struct row_group *passing = NULL;
    if (*other != current_group(scan)->group)
        passing = row_group_retain(*other);
    else
        OMEN_TRY(row_group_passing(*form, &passing));
    row_group_release(*form);
    *form = passing;
    return OMEN_OK;
}

/* Brings the columns that the filter looks at. */
static omen_status ensure_sifted(struct scan *scan)
{
    if (!scan->filtered || !row_group_wants_ensure(scan->sifted))
        return OMEN_OK;
    if (filter_lacks(scan->filter, scan->sifted) && must_pass(scan, scan->sifted))
        OMEN_TRY(pass(scan, &scan->sifted));
    return filter_ensure(scan->filter, scan->sifted, &scan->failure);
}

/* Brings the columns of the output. */
static omen_status ensure_source(struct scan *scan)
{
    if (!row_group_wants_ensure(scan->source))
        return OMEN_OK;
    if (row_group_lacks(scan->source, scan->columns, scan->column_count) &&
        must_pass(scan, scan->source))
        OMEN_TRY(pass(scan, &scan->source));
    return row_group_ensure(scan->source, scan->columns, scan->column_count, &scan->failure);
}

/* Steps to the next group of the share that its zone map does not rule out, with the columns that
 * the filter looks at. `*found` is false where there is none. */
static omen_status enter_group(struct scan *scan, bool *found)
{
    for (*found = false; scan->group < scan->group_end && !*found;) {
        const struct view_group *current = current_group(scan);
        *found = scan->entered || !prunes(scan, -1);
        if (*found && !scan->entered) {
            if (scan->source == NULL) {
                scan->sifted = row_group_pin(current->group);
                scan->source = row_group_retain(scan->sifted);
            }
            OMEN_TRY(ensure_sifted(scan));
            scan->counters.groups++;
            scan->entered = true;
            scan->window = 0;
            scan->wholly_visible = view_sees_whole(scan->view, current);
        } else if (!*found) {
            release_forms(scan); /* of one whose filter's columns could not be loaded before */
            scan->counters.groups++;
            scan->counters.groups_pruned++;
            scan->group++;
        }
    }
    return OMEN_OK;
}

static void leave_window(struct scan *scan)
{
    scan->window += BATCH_ROWS;
    if (scan->window >= current_group(scan)->row_count) {
        release_forms(scan);
        scan->group++;
        scan->entered = false;
    }
}

/* The slots of a vector that the view sees. */
static uint32_t select_seen(const struct scan *scan, const struct view_group *current,
                            uint32_t vector, uint64_t *selection)
{
    enum { WORDS = VECTOR_ROWS / 64 };
    uint32_t selected;
    if (current->own) {
        selected = (uint32_t)size_min(VECTOR_ROWS, current->row_count - vector * VECTOR_ROWS);
        memset(selection, 0, WORDS * sizeof *selection);
        bit_set_range(selection, 0, selected);
    } else {
        selected = row_group_select_visible(current->group, vector, current->row_count,
                                            scan->view->snapshot.timestamp, selection);
    }
    if (current->hidden == NULL || selected == 0)
        return selected;
    for (uint32_t word = 0; word < WORDS; word++)
        selection[word] &= ~current->hidden[vector * WORDS + word];
    return (uint32_t)bit_count_set(selection, VECTOR_ROWS);
}

/* The wanted slots of one vector, appended to the window's. */
static void select_vector(struct scan *scan, const struct view_group *current, uint32_t vector)
{
    uint64_t selection[VECTOR_ROWS / 64];
    scan->counters.vectors++;
    if (prunes(scan, (int32_t)vector)) {
        scan->counters.vectors_pruned++;
        return;
    }
    uint32_t selected = select_seen(scan, current, vector, selection);
    if (selected > 0 && scan->filtered)
        selected = filter_apply(scan->filter, scan->sifted, vector, selection);
    if (selected == 0)
        return;
    uint32_t base = vector * VECTOR_ROWS;
    for (uint32_t word = 0; word < VECTOR_ROWS / 64; word++) {
        for (uint64_t bits = selection[word]; bits != 0; bits &= bits - 1)
            scan->slots[scan->slot_count++] =
                (uint16_t)(base + word * 64 + (uint32_t)__builtin_ctzll(bits));
    }
}

/* Whether any vector of a window is needed; the window is then delivered as it lies. */
static bool whole_window_needed(struct scan *scan, uint32_t first, uint32_t end)
{
    uint32_t vector = first;
    scan->counters.vectors += end - first;
    if (scan->pruner == NULL)
        return true;
    while (vector < end && prunes(scan, (int32_t)vector))
        vector++;
    scan->counters.vectors_pruned += vector == end ? end - first : 0;
    return vector < end;
}

/* Loads the window at the scan's position: its wanted slots, or `whole`. */
static void load_window(struct scan *scan)
{
    const struct view_group *current = current_group(scan);
    uint32_t rows = (uint32_t)size_min(BATCH_ROWS, current->row_count - scan->window);
    scan->slot_count = scan->slot_next = 0;
    scan->window_rows = rows;
    scan->loaded = true;
    uint32_t first = scan->window / VECTOR_ROWS;
    uint32_t end = (scan->window + rows + VECTOR_ROWS - 1) / VECTOR_ROWS;
    if (scan->wholly_visible && !scan->filtered) {
        scan->whole = whole_window_needed(scan, first, end);
        return;
    }
    for (uint32_t vector = first; vector < end; vector++)
        select_vector(scan, current, vector);
    scan->whole = scan->slot_count == rows;
}

static void unload_window(struct scan *scan)
{
    scan->loaded = false;
    scan->whole = false;
    leave_window(scan);
}

/* --- batches --- */

static void delivered(struct scan *scan, uint64_t rows)
{
    scan->counters.rows += rows;
    if (scan->remaining != UINT64_MAX)
        scan->remaining -= rows;
}

static omen_status deliver_gathered(struct scan *scan, struct ArrowArray *out)
{
    uint32_t rows = batch_builder_row_count(scan->builder);
    OMEN_TRY(batch_builder_finish(scan->builder, out));
    scan->gathered = 0;
    scan->full = false;
    delivered(scan, rows);
    return OMEN_OK;
}

/* The window as it lies. Where it reaches into the vector being filled, that comes as a batch of
 * its own: its values are copied, those of the completed vectors are not. */
static omen_status deliver_whole_window(struct scan *scan, struct ArrowArray *out)
{
    uint32_t first = scan->window + scan->slot_next;
    uint32_t rows = (uint32_t)size_min(scan->window_rows - scan->slot_next, scan->remaining);
    OMEN_TRY(ensure_source(scan));
    uint32_t packed = row_group_packed_count(scan->source);
    if (first < packed && packed < first + rows)
        rows = packed - first;
    OMEN_TRY(row_group_export(scan->source, first, rows, scan->columns, scan->column_count, out));
    delivered(scan, rows);
    scan->slot_next += rows;
    if (scan->slot_next == scan->window_rows)
        unload_window(scan);
    return OMEN_OK;
}

omen_status scan_gather(struct scan *scan, const struct row_group *group, const uint16_t *slots,
                        uint32_t count)
{
    struct table *table = scan->view->table;
    if (scan->builder == NULL)
        OMEN_TRY(batch_builder_create(table->allocator, table->schema, scan->columns,
                                      scan->column_count, BATCH_ROWS, &scan->builder));
    OMEN_TRY(row_group_ensure(group, scan->columns, scan->column_count, &scan->failure));
    OMEN_TRY(batch_builder_add(scan->builder, group, slots, count));
    scan->gathered += count;
    return OMEN_OK;
}

/* Gathers what fits of the loaded window; unloads it when all is gathered. */
static omen_status gather_window(struct scan *scan, uint64_t wanted)
{
    uint32_t count =
        (uint32_t)size_min(scan->slot_count - scan->slot_next, wanted - scan->gathered);
    if (count > 0)
        OMEN_TRY(ensure_source(scan));
    while (count > 0) {
        omen_status status = scan_gather(scan, scan->source, scan->slots + scan->slot_next, count);
        if (status == OMEN_OK)
            break;
        if (status != OMEN_LIMIT_EXCEEDED || (count == 1 && scan->gathered == 0))
            return status;
        /* Too much text for one batch: fewer rows, and those in hand go first. */
        if (count == 1) {
            scan->full = true;
            return OMEN_OK;
        }
        count /= 2;
    }
    scan->slot_next += count;
    if (scan->slot_next == scan->slot_count)
        unload_window(scan);
    return OMEN_OK;
}

omen_status table_scan_next(struct scan *scan, struct ArrowArray *out)
{
    memset(out, 0, sizeof *out);
    scan->failure.status = OMEN_OK;
    if (scan->counters.by_index)
        OMEN_TRY(scan_keys_gather(scan));
    for (;;) {
        uint64_t wanted = size_min(BATCH_ROWS, scan->remaining);
        bool more = false;
        if (!scan->counters.by_index && scan->gathered < wanted)
            OMEN_TRY(enter_group(scan, &more));
        if (more && !scan->loaded)
            load_window(scan);
        /* Rows in hand go first, where no more fit or a whole window comes next. */
        if (scan->gathered > 0 && (!more || scan->whole || scan->full))
            return deliver_gathered(scan, out);
        if (!more)
            return OMEN_END_OF_DATA;
        if (scan->whole)
            return deliver_whole_window(scan, out);
        OMEN_TRY(gather_window(scan, wanted));
    }
}
