/* table_unique_build.c - building the indexes of unique keys from the columns, and repointing.
 *
 *   capture   [writer]  the groups and their slots as of T, the newest commit
 *   gather              of each group: the keys of rows that lived at T -> sorted -> indexes
 *   catch up  [writer]  rows that ended after T leave, those that began after T come
 *   install   [writer]
 *
 * Between capture and catching up commits go on, except those that need the indexes: they wait for
 * the maintenance lock, which keeps compaction, freezing and folding away as well, so that ids and
 * lifetimes mean the same all the time. With the writer lock held throughout, nothing is to be
 * caught up, and maintenance between its locked parts is none of our business: whatever it switches
 * later finds the indexes there.
 *
 * Columns that were not in memory are let go again, group by group.
 *
 * Words are sorted by their digits (least significant first), passes in which all digits are equal
 * left out; byte keys are put one after the other.
 */
#include <string.h>

#include "base/bits.h"
#include "table/table_uniques.h"

enum {
    DIGIT_BITS = 11,
    DIGITS = 1 << DIGIT_BITS,
};

/* Words of one key with their rows, from one pair of arrays to the other. */
struct word_list {
    uint64_t *words[2], *row_ids[2];
    size_t count;
};

struct captured_group {
    struct row_group *group; /* retained */
    uint32_t row_count;
};

struct build {
    struct table *table;
    bool locked;        /* the writer lock is held from beginning to end */
    uint64_t timestamp; /* T */
    struct captured_group *groups;
    size_t group_count;
    uint64_t rows;           /* slots of all of them */
    struct index **indexes;  /* one a unique key */
    struct word_list *lists; /* likewise; unused for byte keys */
    struct arena scratch;
    omen_error *error;
};

static omen_status fail(const struct build *build, omen_status status)
{
    return error_set_default(build->error, status);
}

static omen_status taken_twice(const struct build *build, uint32_t number)
{
    return error_set(build->error, OMEN_CORRUPTED,
                     "table \"%s\": a key of constraint \"%s\" has two live rows",
                     build->table->name, schema_key_of(build->table->schema, number)->name);
}

/* --- capture --- */

static omen_status capture(struct build *build)
{
    struct table *table = build->table;
    size_t count = 0;
    build->timestamp = txn_newest(table->manager).timestamp;
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        count += entry->map == NULL;
    if (count == 0)
        return OMEN_OK;
    build->groups = allocator_alloc(table->allocator, count * sizeof *build->groups);
    if (build->groups == NULL)
        return fail(build, OMEN_OUT_OF_MEMORY);
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next) {
        if (entry->map != NULL)
            continue; /* its copy has the rows */
        struct captured_group *captured = &build->groups[build->group_count++];
        captured->group = row_group_retain(entry->group);
        captured->row_count = row_group_row_count(entry->group);
        build->rows += captured->row_count;
    }
    return OMEN_OK;
}

/* --- gather --- */

static void list_release(struct build *build, struct word_list *list)
{
    size_t bytes = build->rows * sizeof(uint64_t);
    for (int i = 0; i < 2; i++) {
        allocator_free(build->table->allocator, list->words[i], bytes);
        allocator_free(build->table->allocator, list->row_ids[i], bytes);
        list->words[i] = list->row_ids[i] = NULL;
    }
}

static bool list_reserve(struct build *build, struct word_list *list, int half)
{
    size_t bytes = build->rows * sizeof(uint64_t);
    list->words[half] = allocator_alloc(build->table->allocator, bytes);
    list->row_ids[half] = allocator_alloc(build->table->allocator, bytes);
    return list->words[half] != NULL && list->row_ids[half] != NULL;
}

static omen_status make_indexes(struct build *build)
{
    struct table *table = build->table;
    uint32_t count = table->schema->unique_count;
    build->indexes = allocator_alloc_zeroed(table->allocator, count * sizeof(struct index *));
    build->lists = allocator_alloc_zeroed(table->allocator, count * sizeof *build->lists);
    if (build->indexes == NULL || build->lists == NULL)
        return fail(build, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < count; i++) {
        enum index_kind kind = table->schema->uniques[i].kind;
        omen_status status = index_create(table->allocator, kind, &build->indexes[i]);
        if (status == OMEN_OK && kind == INDEX_WORD && build->rows > 0 &&
            !list_reserve(build, &build->lists[i], 0))
            status = OMEN_OUT_OF_MEMORY;
        if (status != OMEN_OK)
            return fail(build, status);
    }
    return OMEN_OK;
}

static omen_status put_new(struct build *build, uint32_t number, struct index_key key,
                           uint64_t row_id)
{
    uint64_t replaced;
    omen_status status = index_put(build->indexes[number - 1], key, row_id, &replaced);
    if (status != OMEN_OK)
        return fail(build, status);
    return replaced == ROW_ID_NONE ? OMEN_OK : taken_twice(build, number);
}

/* The keys of one row. */
static omen_status gather_row(struct build *build, const struct row_group *group, uint32_t slot)
{
    uint64_t row_id = row_id_make(row_group_number(group), slot);
    arena_reset(&build->scratch);
    for (uint32_t number = 1; number <= build->table->schema->unique_count; number++) {
        struct word_list *list = &build->lists[number - 1];
        struct index_key key;
        bool whole;
        omen_status status = row_group_key_of(group, number, slot, &build->scratch, &key, &whole);
        if (status != OMEN_OK)
            return fail(build, status);
        if (!whole)
            continue;
        if (list->words[0] == NULL) {
            OMEN_TRY(put_new(build, number, key, row_id));
            continue;
        }
        list->words[0][list->count] = key.word;
        list->row_ids[0][list->count++] = row_id;
    }
    return OMEN_OK;
}

/* Lets the columns of a group go again that was loaded to look at it. */
static omen_status let_go(struct build *build, uint64_t number)
{
    struct table *table = build->table;
    uint64_t freed;
    if (!build->locked)
        txn_writer_lock(table->manager);
    struct group_entry *entry = directory_find(table, number);
    omen_status status = entry == NULL ? OMEN_OK : group_unload(table, entry, &freed);
    if (!build->locked)
        txn_writer_unlock(table->manager);
    return status == OMEN_OK ? OMEN_OK : fail(build, status);
}

static omen_status gather_group(struct build *build, struct captured_group *captured)
{
    struct row_group *group = captured->group;
    uint64_t number = row_group_number(group);
    bool was_absent = row_group_column_bytes(group) == 0;
    omen_status status = row_group_ensure_uniques(group, build->error);
    for (uint32_t slot = 0; slot < captured->row_count && status == OMEN_OK; slot++) {
        uint64_t begin = row_group_begin(group, slot);
        if (begin != TIMESTAMP_PENDING && begin <= build->timestamp &&
            row_group_end(group, slot) > build->timestamp)
            status = gather_row(build, group, slot);
    }
    captured->group = NULL;
    row_group_release(group);
    return status == OMEN_OK && was_absent ? let_go(build, number) : status;
}

/* --- sorting words --- */

/* Moves the pairs in the order of one digit, unless all have the same; says whether it did. */
static bool sort_digit(struct word_list *list, int from, uint32_t shift)
{
    const uint64_t *words = list->words[from], *row_ids = list->row_ids[from];
    uint64_t *to_words = list->words[1 - from], *to_ids = list->row_ids[1 - from];
    size_t places[DIGITS] = {0};
    for (size_t i = 0; i < list->count; i++)
        places[words[i] >> shift & (DIGITS - 1)]++;
    if (places[words[0] >> shift & (DIGITS - 1)] == list->count)
        return false;
    size_t place = 0;
    for (size_t digit = 0; digit < DIGITS; digit++) {
        size_t count = places[digit];
        places[digit] = place;
        place += count;
    }
    for (size_t i = 0; i < list->count; i++) {
        size_t to = places[words[i] >> shift & (DIGITS - 1)]++;
        to_words[to] = words[i];
        to_ids[to] = row_ids[i];
    }
    return true;
}

static bool ascends(const struct word_list *list)
{
    for (size_t i = 1; i < list->count; i++)
        if (list->words[0][i - 1] >= list->words[0][i])
            return false;
    return true;
}

/* Sorts the words of a key and makes them its index. */
static omen_status load_words(struct build *build, uint32_t number)
{
    struct word_list *list = &build->lists[number - 1];
    int from = 0;
    if (list->count == 0)
        return OMEN_OK;
    if (!ascends(list)) {
        if (!list_reserve(build, list, 1))
            return fail(build, OMEN_OUT_OF_MEMORY);
        for (uint32_t shift = 0; shift < 64; shift += DIGIT_BITS)
            from = sort_digit(list, from, shift) ? 1 - from : from;
        for (size_t i = 1; i < list->count; i++)
            if (list->words[from][i - 1] == list->words[from][i])
                return taken_twice(build, number);
    }
    omen_status status = index_bulk_load_words(build->indexes[number - 1], list->words[from],
                                               list->row_ids[from], list->count);
    list_release(build, list);
    return status == OMEN_OK ? OMEN_OK : fail(build, status);
}

static omen_status gather(struct build *build)
{
    OMEN_TRY(make_indexes(build));
    for (size_t i = 0; i < build->group_count; i++)
        OMEN_TRY(gather_group(build, &build->groups[i]));
    for (uint32_t number = 1; number <= build->table->schema->unique_count; number++)
        OMEN_TRY(load_words(build, number));
    return OMEN_OK;
}

/* --- catching up --- */

/* Takes a row's entries away, or puts them. */
static omen_status change_row(struct build *build, const struct row_group *group, uint32_t slot,
                              bool comes)
{
    uint64_t row_id = row_id_make(row_group_number(group), slot);
    arena_reset(&build->scratch);
    for (uint32_t number = 1; number <= build->table->schema->unique_count; number++) {
        struct index_key key;
        bool whole;
        omen_status status = row_group_key_of(group, number, slot, &build->scratch, &key, &whole);
        if (status != OMEN_OK)
            return fail(build, status);
        if (whole && comes)
            OMEN_TRY(put_new(build, number, key, row_id));
        bool gone = !whole || comes || index_erase(build->indexes[number - 1], key);
        OMEN_ASSERT(gone);
    }
    return OMEN_OK;
}

/* The rows of a group that ended, or those that began, after T. */
static omen_status change_group(struct build *build, const struct row_group *group, bool comes)
{
    uint32_t rows = row_group_row_count(group);
    for (uint32_t slot = 0; slot < rows; slot++) {
        uint64_t begin = row_group_begin(group, slot), end = row_group_end(group, slot);
        bool began = begin > build->timestamp && begin != TIMESTAMP_PENDING;
        bool ended = end != TIMESTAMP_INFINITY;
        bool changes =
            comes ? began && !ended
                  : begin != TIMESTAMP_PENDING && !began && ended && end > build->timestamp;
        if (changes)
            OMEN_TRY(change_row(build, group, slot, comes));
    }
    return OMEN_OK;
}

/* First everything leaves: a key may have gone from one row to another. */
static omen_status catch_up(struct build *build)
{
    const struct table *table = build->table;
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        if (entry->map == NULL && entry->last_end > build->timestamp)
            OMEN_TRY(change_group(build, entry->group, false));
    for (const struct group_entry *entry = table->first; entry != NULL; entry = entry->next)
        if (entry->map == NULL && row_group_max_begin(entry->group) > build->timestamp)
            OMEN_TRY(change_group(build, entry->group, true));
    return OMEN_OK;
}

static void install(struct build *build)
{
    struct table *table = build->table;
    table->uniques = build->indexes;
    build->indexes = NULL;
    /* What the newest commits have freed before is not known: all of them may have. */
    table->unique_freed_at = txn_newest(table->manager).timestamp;
    uniques_count_bytes(table);
    /* Release pairs with the acquire in uniques_built. */
    atomic_store_explicit(&table->uniques_built, true, memory_order_release);
}

/* --- the whole --- */

static void indexes_destroy(struct table *table, struct index **indexes)
{
    uint32_t count = table->schema->unique_count;
    if (indexes == NULL)
        return;
    for (uint32_t i = 0; i < count; i++)
        index_destroy(indexes[i]);
    allocator_free(table->allocator, indexes, count * sizeof *indexes);
}

static void build_release(struct build *build)
{
    struct table *table = build->table;
    for (size_t i = 0; i < build->group_count; i++)
        row_group_release(build->groups[i].group);
    size_t captured = build->group_count; /* as many as there was room made for */
    allocator_free(table->allocator, build->groups, captured * sizeof *build->groups);
    indexes_destroy(table, build->indexes);
    for (uint32_t i = 0; build->lists != NULL && i < table->schema->unique_count; i++)
        list_release(build, &build->lists[i]);
    allocator_free(table->allocator, build->lists,
                   build->lists == NULL ? 0 : table->schema->unique_count * sizeof *build->lists);
    arena_release(&build->scratch);
}

omen_status uniques_build_locked(struct table *table, omen_error *error)
{
    struct build build = {.table = table, .locked = true, .error = error};
    if (uniques_built(table))
        return OMEN_OK;
    arena_init(&build.scratch, table->allocator);
    omen_status status = capture(&build);
    if (status == OMEN_OK)
        status = gather(&build);
    if (status == OMEN_OK)
        install(&build);
    build_release(&build);
    return status;
}

static omen_status build_beside_commits(struct table *table, omen_error *error)
{
    struct build build = {.table = table, .error = error};
    arena_init(&build.scratch, table->allocator);
    txn_writer_lock(table->manager);
    omen_status status = capture(&build);
    txn_writer_unlock(table->manager);
    if (status == OMEN_OK)
        status = gather(&build);
    if (status == OMEN_OK) {
        txn_writer_lock(table->manager);
        if (!uniques_built(table)) { /* a commit may have been in a hurry */
            status = catch_up(&build);
            if (status == OMEN_OK)
                install(&build);
        }
        txn_writer_unlock(table->manager);
    }
    build_release(&build);
    return status;
}

omen_status table_prepare_uniques(struct table *table, omen_error *error)
{
    if (table->schema->unique_count == 0 || uniques_built(table))
        return OMEN_OK;
    mutex_lock(&table->maintenance);
    omen_status status = uniques_built(table) ? OMEN_OK : build_beside_commits(table, error);
    mutex_unlock(&table->maintenance);
    return status;
}

void uniques_destroy(struct table *table)
{
    indexes_destroy(table, table->uniques);
}

void uniques_count_bytes(struct table *table)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < table->schema->unique_count; i++)
        bytes += index_bytes(table->uniques[i]);
    atomic_store_explicit(&table->unique_bytes, bytes, memory_order_relaxed);
}

/* --- repointing --- */

omen_status uniques_repoint(struct table *table, const struct group_entry *entry,
                            const uint32_t *slots, uint32_t count)
{
    omen_status status = OMEN_OK;
    struct arena scratch;
    if (!uniques_built(table))
        return OMEN_OK;
    arena_init(&scratch, table->allocator);
    for (uint32_t number = 1; number <= table->schema->unique_count; number++) {
        for (uint32_t i = 0; i < count && status == OMEN_OK; i++) {
            struct index_key key;
            bool whole;
            status = row_group_key_of(entry->group, number, slots[i], &scratch, &key, &whole);
            if (status == OMEN_OK && whole)
                index_repoint(table->uniques[number - 1], key, row_id_make(entry->number, slots[i]),
                              slot_map_find(entry->map, slots[i]));
        }
        arena_reset(&scratch);
    }
    arena_release(&scratch);
    return status;
}
