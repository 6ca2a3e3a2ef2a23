/* segment_adopt.c - a table's segments opened side by side, and adopted.
 *
 * Threads take segments from a common counter; the first error is kept and stops the rest.
 */
#include <string.h>

#include "os/thread.h"
#include "store/segment.h"

enum { THREADS_MAX = 16 };

struct opening {
    const struct segment_options *options;
    struct schema *schema;
    const struct segment_facts *facts;
    struct segment_opened *opened;
    size_t count;
    atomic_size_t next;
    atomic_bool failed;
    struct mutex lock; /* over what follows */
    omen_status status;
    omen_error *error;
};

static void *open_segments(void *argument)
{
    struct opening *opening = argument;
    /* Relaxed: the join that follows orders everything. */
    while (!atomic_load_explicit(&opening->failed, memory_order_relaxed)) {
        size_t i = atomic_fetch_add_explicit(&opening->next, 1, memory_order_relaxed);
        if (i >= opening->count)
            break;
        omen_error error = {.message = ""};
        omen_status status = segment_open(opening->options, opening->schema, &opening->facts[i],
                                          &opening->opened[i], &error);
        if (status == OMEN_OK)
            continue;
        atomic_store_explicit(&opening->failed, true, memory_order_relaxed);
        mutex_lock(&opening->lock);
        if (opening->status == OMEN_OK && opening->error != NULL)
            *opening->error = error;
        if (opening->status == OMEN_OK)
            opening->status = status;
        mutex_unlock(&opening->lock);
    }
    return NULL;
}

static omen_status open_all(struct opening *opening, uint32_t thread_count)
{
    struct thread threads[THREADS_MAX];
    uint32_t started = 0;
    mutex_init(&opening->lock);
    while (started + 1 < thread_count && started + 1 < opening->count && started < THREADS_MAX &&
           thread_start(&threads[started], open_segments, opening))
        started++;
    open_segments(opening);
    for (uint32_t i = 0; i < started; i++)
        thread_join(&threads[i]);
    mutex_destroy(&opening->lock);
    return opening->status;
}

/* All groups in the order of their segments, for the table to adopt. */
static omen_status adopt_all(struct opening *opening, struct table *table,
                             struct table_counters counters, uint32_t thread_count)
{
    struct allocator *allocator = opening->options->allocator;
    size_t group_count = 0, used = 0;
    for (size_t i = 0; i < opening->count; i++)
        group_count += opening->opened[i].group_count;
    size_t bytes = group_count * sizeof(struct adopted_group);
    struct adopted_group *groups = allocator_alloc(allocator, bytes);
    if (groups == NULL && group_count > 0)
        return error_set_default(opening->error, OMEN_OUT_OF_MEMORY);
    for (size_t i = 0; i < opening->count; i++)
        for (uint32_t g = 0; g < opening->opened[i].group_count; g++)
            groups[used++] = opening->opened[i].groups[g];
    omen_status status =
        table_adopt_groups(table, groups, group_count, counters, thread_count, opening->error);
    allocator_free(allocator, groups, bytes);
    return status;
}

omen_status segments_adopt(const struct segment_options *options, struct table *table,
                           const struct segment_facts *facts, size_t count,
                           struct table_counters counters, uint32_t thread_count,
                           struct segment **segments, omen_error *error)
{
    struct opening opening = {
        .options = options,
        .schema = table_schema(table),
        .facts = facts,
        .count = count,
        .status = OMEN_OK,
        .error = error,
    };
    size_t bytes = count * sizeof(struct segment_opened);
    if (count > 0) {
        opening.opened = allocator_alloc_zeroed(options->allocator, bytes);
        if (opening.opened == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
    }
    omen_status status = open_all(&opening, thread_count);
    if (status == OMEN_OK)
        status = adopt_all(&opening, table, counters, thread_count);
    for (size_t i = 0; i < count; i++) {
        if (status == OMEN_OK)
            segments[i] = segment_retain(opening.opened[i].segment);
        segment_opened_release(&opening.opened[i]);
    }
    allocator_free(options->allocator, opening.opened, bytes);
    return status;
}
