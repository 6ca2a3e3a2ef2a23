/* table_adopt.c - filling an empty table with groups that are there already, and their index.
 *
 *   the live keys of each group, ascending   -> runs -> merged two by two -> index_bulk_load
 *
 * Word keys move as (word, row id) between two pairs of arrays. Threads take groups to gather,
 * which is mostly touching memory for the first time; then, in each round of merging, they take
 * pairs of neighbouring runs. Groups that follow one another without overlap are one run: ascending
 * keys are not merged at all. Byte keys are few enough to be put one after the other.
 *
 * Concurrency: the caller is alone with the table; the threads share nothing but a counter.
 */
#include "table/table_adopt.h"

#include <inttypes.h>
#include <string.h>

#include "base/bits.h"
#include "table/table_private.h"

enum { ADOPT_THREADS_MAX = 16 };

/* --- groups --- */

static omen_status adopt_group(struct table *table, struct row_group *group,
                               const struct table_counters *counters, omen_error *error)
{
    uint64_t number = row_group_number(group);
    OMEN_ASSERT(row_group_state_of(group) == ROW_GROUP_FROZEN);
    if (number == GROUP_NUMBER_NONE || number >= counters->group_number_next ||
        directory_find(table, number) != NULL)
        return error_set(
            error, OMEN_CORRUPTED, "table \"%s\": row group %" PRIu64 " %s", table->name, number,
            number >= counters->group_number_next ? "was never issued" : "comes twice");
    struct group_entry *entry;
    omen_status status = group_attach(table, group, NULL, 0, &entry);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    uint32_t rows = row_group_row_count(group);
    for (uint32_t slot = 0; slot < rows && row_group_ended_count(group) > 0; slot++) {
        uint64_t end = row_group_end(group, slot);
        if (end != TIMESTAMP_INFINITY && end > entry->last_end)
            entry->last_end = end;
    }
    return OMEN_OK;
}

static uint64_t live_count(const struct adopted_group *adopted)
{
    return row_group_row_count(adopted->group) - row_group_ended_count(adopted->group);
}

/* --- words --- */

struct run {
    size_t first, count;
};

struct word_merge {
    uint64_t *words[2], *row_ids[2]; /* from one pair of arrays to the other */
    int from;
    const struct adopted_group *groups;
    size_t group_count;
    size_t *firsts; /* where each group's keys begin in the first pair, and the end */
    struct run *runs;
    size_t run_count;
    atomic_size_t next; /* group to gather, or pair of runs to merge */
};

static void copy_run(struct word_merge *merge, struct run run)
{
    int to = 1 - merge->from;
    memcpy(merge->words[to] + run.first, merge->words[merge->from] + run.first,
           run.count * sizeof(uint64_t));
    memcpy(merge->row_ids[to] + run.first, merge->row_ids[merge->from] + run.first,
           run.count * sizeof(uint64_t));
}

/* Merges a run and the one that lies behind it. */
static void merge_pair(struct word_merge *merge, struct run left, struct run right)
{
    const uint64_t *words = merge->words[merge->from], *row_ids = merge->row_ids[merge->from];
    uint64_t *to_words = merge->words[1 - merge->from], *to_ids = merge->row_ids[1 - merge->from];
    size_t at = left.first, l = left.first, r = right.first;
    size_t l_end = left.first + left.count, r_end = right.first + right.count;
    while (l < l_end && r < r_end) {
        bool take_right = words[r] < words[l];
        size_t source = take_right ? r : l;
        to_words[at] = words[source];
        to_ids[at++] = row_ids[source];
        r += take_right;
        l += !take_right;
    }
    size_t rest = l < l_end ? l : r, rest_count = l < l_end ? l_end - l : r_end - r;
    memcpy(to_words + at, words + rest, rest_count * sizeof(uint64_t));
    memcpy(to_ids + at, row_ids + rest, rest_count * sizeof(uint64_t));
}

static void *merge_pairs(void *argument)
{
    struct word_merge *merge = argument;
    for (;;) {
        /* Relaxed: the join that follows orders everything. */
        size_t pair = 2 * atomic_fetch_add_explicit(&merge->next, 1, memory_order_relaxed);
        if (pair >= merge->run_count)
            return NULL;
        if (pair + 1 == merge->run_count)
            copy_run(merge, merge->runs[pair]);
        else
            merge_pair(merge, merge->runs[pair], merge->runs[pair + 1]);
    }
}

/* Calls `work` on up to `thread_count` threads, the caller's among them, that share `pieces`. */
static void side_by_side(struct word_merge *merge, uint32_t thread_count, size_t pieces,
                         void *(*work)(void *argument))
{
    struct thread threads[ADOPT_THREADS_MAX];
    uint32_t started = 0;
    atomic_store_explicit(&merge->next, 0, memory_order_relaxed);
    while (started + 1 < thread_count && started < ADOPT_THREADS_MAX && started + 1 < pieces &&
           thread_start(&threads[started], work, merge))
        started++;
    work(merge);
    for (uint32_t i = 0; i < started; i++)
        thread_join(&threads[i]);
}

static void merge_round(struct word_merge *merge, uint32_t thread_count)
{
    side_by_side(merge, thread_count, (merge->run_count + 1) / 2, merge_pairs);
    size_t merged = 0;
    for (size_t i = 0; i < merge->run_count; i += 2) {
        struct run run = merge->runs[i];
        if (i + 1 < merge->run_count)
            run.count += merge->runs[i + 1].count;
        merge->runs[merged++] = run;
    }
    merge->run_count = merged;
    merge->from = 1 - merge->from;
}

/* Adds the keys [first, at) as a run, or to the run before where they follow it: tables whose keys
 * ascend are one run, and need no merging and no second pair of arrays. */
static void add_run(struct word_merge *merge, size_t first, size_t at)
{
    const uint64_t *words = merge->words[0];
    if (first == at)
        return;
    if (merge->run_count > 0 && words[first - 1] < words[first])
        merge->runs[merge->run_count - 1].count += at - first;
    else
        merge->runs[merge->run_count++] = (struct run){first, at - first};
}

/* The live keys of a group, into its part of the arrays. */
static void gather_group(struct word_merge *merge, size_t number)
{
    const struct group_keys *keys = &merge->groups[number].keys;
    const struct row_group *group = merge->groups[number].group;
    size_t at = merge->firsts[number], end = merge->firsts[number + 1];
    for (uint32_t i = 0; i < keys->count && at < end; i++) {
        if (row_group_end(group, keys->slots[i]) != TIMESTAMP_INFINITY)
            continue;
        merge->words[0][at] = keys->words[i];
        merge->row_ids[0][at++] = row_id_make(row_group_number(group), keys->slots[i]);
    }
    OMEN_ASSERT(at == end); /* the sidecar has a key for every slot that began */
}

static void *gather_groups(void *argument)
{
    struct word_merge *merge = argument;
    size_t group;
    /* Relaxed: the join that follows orders everything. */
    while ((group = atomic_fetch_add_explicit(&merge->next, 1, memory_order_relaxed)) <
           merge->group_count)
        gather_group(merge, group);
    return NULL;
}

/* The live keys of every group, in runs. */
static void gather_words(struct word_merge *merge, uint32_t thread_count)
{
    merge->firsts[0] = 0;
    for (size_t g = 0; g < merge->group_count; g++)
        merge->firsts[g + 1] = merge->firsts[g] + live_count(&merge->groups[g]);
    side_by_side(merge, thread_count, merge->group_count, gather_groups);
    for (size_t g = 0; g < merge->group_count; g++)
        add_run(merge, merge->firsts[g], merge->firsts[g + 1]);
}

static omen_status load_words(struct table *table, struct word_merge *merge, uint64_t rows,
                              omen_error *error)
{
    const uint64_t *words = merge->words[merge->from];
    for (size_t i = 1; i < rows; i++)
        if (words[i - 1] == words[i])
            return error_set(error, OMEN_CORRUPTED, "table \"%s\": a key has two live rows",
                             table->name);
    omen_status status =
        index_bulk_load_words(table->index, words, merge->row_ids[merge->from], rows);
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}

static omen_status adopt_words(struct table *table, const struct adopted_group *groups,
                               size_t count, uint64_t rows, uint32_t thread_count,
                               omen_error *error)
{
    struct allocator *allocator = table->allocator;
    size_t bytes = rows * sizeof(uint64_t), run_bytes = count * sizeof(struct run);
    size_t first_bytes = (count + 1) * sizeof(size_t);
    struct word_merge merge = {.groups = groups, .group_count = count};
    merge.runs = allocator_alloc(allocator, run_bytes);
    merge.firsts = allocator_alloc(allocator, first_bytes);
    bool room = merge.runs != NULL && merge.firsts != NULL;
    for (int i = 0; i < 2; i++) {
        merge.words[i] = allocator_alloc(allocator, bytes);
        merge.row_ids[i] = allocator_alloc(allocator, bytes);
        room = room && merge.words[i] != NULL && merge.row_ids[i] != NULL;
    }
    omen_status status = OMEN_OK;
    if (!room) {
        status = error_set_default(error, OMEN_OUT_OF_MEMORY);
    } else {
        gather_words(&merge, thread_count);
        while (merge.run_count > 1)
            merge_round(&merge, thread_count);
        status = load_words(table, &merge, rows, error);
    }
    for (int i = 0; i < 2; i++) {
        allocator_free(allocator, merge.words[i], bytes);
        allocator_free(allocator, merge.row_ids[i], bytes);
    }
    allocator_free(allocator, merge.firsts, first_bytes);
    allocator_free(allocator, merge.runs, run_bytes);
    return status;
}

/* --- bytes --- */

static omen_status adopt_bytes(struct table *table, const struct adopted_group *groups,
                               size_t count, omen_error *error)
{
    for (size_t g = 0; g < count; g++) {
        const struct group_keys *keys = &groups[g].keys;
        uint64_t number = row_group_number(groups[g].group);
        for (uint32_t i = 0; i < keys->count; i++) {
            if (row_group_end(groups[g].group, keys->slots[i]) != TIMESTAMP_INFINITY)
                continue;
            uint64_t replaced;
            omen_status status = index_put(table->index, keys->bytes[i],
                                           row_id_make(number, keys->slots[i]), &replaced);
            if (status != OMEN_OK)
                return error_set_default(error, status);
            if (replaced != ROW_ID_NONE)
                return error_set(error, OMEN_CORRUPTED, "table \"%s\": a key has two live rows",
                                 table->name);
        }
    }
    return OMEN_OK;
}

/* --- the table --- */

omen_status table_adopt_groups(struct table *table, const struct adopted_group *groups,
                               size_t count, struct table_counters counters, uint32_t thread_count,
                               omen_error *error)
{
    OMEN_ASSERT(table->first == NULL && thread_count >= 1);
    uint64_t rows = 0;
    if (counters.group_number_next == 0 || counters.hidden_key_next < 1)
        return error_set(error, OMEN_CORRUPTED, "table \"%s\": counters that make no sense",
                         table->name);
    for (size_t i = 0; i < count; i++) {
        OMEN_TRY(adopt_group(table, groups[i].group, &counters, error));
        rows += live_count(&groups[i]);
    }
    table_raise_counters(table, &counters);
    atomic_store_explicit(&table->rows, rows, memory_order_relaxed);
    if (rows == 0)
        return OMEN_OK;
    return table->schema->key.kind == INDEX_WORD
               ? adopt_words(table, groups, count, rows, thread_count, error)
               : adopt_bytes(table, groups, count, error);
}
