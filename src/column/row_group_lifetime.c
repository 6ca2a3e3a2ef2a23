/* row_group_lifetime.c - begins, ends, and which slots a snapshot sees.
 *
 * Per vector: how many leading slots have begun and the largest begin; how many slots have ended,
 * a bitmap of them and the largest end. From these alone most vectors are answered:
 *
 *   all begun, max begin <= S, none ended          -> every slot          O(1)
 *   the same, but some ended, max end <= S         -> not the end bits    16 words
 *   some ended later than S                        -> look at the ended slots, and only those
 *   some begun later than S, or never              -> look at every begin of the vector
 *
 * Concurrency. A stamp T exceeds every snapshot that is registered or published before the
 * commit is, and publishing it is a release that the reader of a later snapshot acquires. So a
 * reader with S >= T sees the stamps whole, and one with S < T must merely never be led to take
 * them for older ones. Hence the summaries are widened first: `max` is stored before the prefix
 * or the bit that counts the slot in (release), and read after it (acquire).
 */
#include "column/row_group_private.h"

/* --- begins --- */

uint64_t row_group_begin(const struct row_group *group, uint32_t slot)
{
    if (group_is_frozen(group))
        return 1;
    /* Relaxed: see the head of this file; likewise for the other stamps. */
    return atomic_load_explicit(&group->begin[slot], memory_order_relaxed);
}

bool row_group_has_begun(const struct row_group *group, uint32_t slot)
{
    if (!group_is_frozen(group))
        return row_group_begin(group, slot) != TIMESTAMP_PENDING;
    if (group->origin != NULL)
        return group->origin->begun == NULL || bit_get(group->origin->begun, slot);
    const struct row_ends *ends = group_ends(group);
    if (ends != NULL && ends->end == NULL)
        return ends->begun == NULL || bit_get(ends->begun, slot);
    return row_group_end(group, slot) != 1; /* what row_group_copy_ends buries it with */
}

uint64_t row_group_previous(const struct row_group *group, uint32_t slot)
{
    if (group_is_frozen(group))
        return ROW_ID_NONE;
    /* Acquire pairs with the release in row_group_set_previous. */
    return atomic_load_explicit(&group->previous[slot], memory_order_acquire);
}

void row_group_set_previous(struct row_group *group, uint32_t slot, uint64_t row_id)
{
    OMEN_ASSERT(!group_is_frozen(group));
    /* Release pairs with the acquire in row_group_previous: whoever follows the chain finds the
     * version it leads to complete. */
    atomic_store_explicit(&group->previous[slot], row_id, memory_order_release);
}

uint64_t row_group_max_begin(const struct row_group *group)
{
    return atomic_load_explicit(&group->max_begin, memory_order_relaxed);
}

uint32_t row_group_unbegun_count(const struct row_group *group)
{
    if (group_is_frozen(group))
        return 0;
    uint32_t begun = atomic_load_explicit(&group->begun_count, memory_order_relaxed);
    uint32_t rows = rows_published(group);
    return begun < rows ? rows - begun : 0;
}

/* One writer, so a load and a store make a safe maximum. */
static void raise_to(atomic_uint_fast64_t *maximum, uint64_t value)
{
    if (atomic_load_explicit(maximum, memory_order_relaxed) < value)
        atomic_store_explicit(maximum, value, memory_order_relaxed);
}

static void stamp_vector_begins(struct row_group *group, uint32_t first, uint32_t end,
                                uint64_t timestamp)
{
    uint32_t vector = first / VECTOR_ROWS;
    struct begin_summary *summary = &group->begins[vector];
    raise_to(&summary->max, timestamp);
    uint32_t fresh = 0;
    for (uint32_t slot = first; slot < end; slot++) {
        fresh += row_group_begin(group, slot) == TIMESTAMP_PENDING;
        atomic_store_explicit(&group->begin[slot], timestamp, memory_order_relaxed);
    }
    uint32_t prefix = atomic_load_explicit(&summary->prefix, memory_order_relaxed);
    uint32_t base = vector * VECTOR_ROWS;
    uint32_t limit = (uint32_t)size_min(VECTOR_ROWS, rows_published(group) - base);
    while (prefix < limit && row_group_begin(group, base + prefix) != TIMESTAMP_PENDING)
        prefix++;
    /* Release pairs with the acquire in vector_all_begun. */
    atomic_store_explicit(&summary->prefix, prefix, memory_order_release);
    uint32_t begun = atomic_load_explicit(&group->begun_count, memory_order_relaxed);
    atomic_store_explicit(&group->begun_count, begun + fresh, memory_order_relaxed);
}

void row_group_stamp_begin(struct row_group *group, uint32_t first, uint32_t count,
                           uint64_t timestamp)
{
    OMEN_ASSERT(!group_is_frozen(group) && timestamp != TIMESTAMP_PENDING);
    OMEN_ASSERT(first <= rows_published(group) && count <= rows_published(group) - first);
    raise_to(&group->max_begin, timestamp);
    for (uint32_t at = first; at < first + count;) {
        uint32_t vector_end = (at / VECTOR_ROWS + 1) * VECTOR_ROWS;
        uint32_t end = (uint32_t)size_min(vector_end, first + count);
        stamp_vector_begins(group, at, end, timestamp);
        at = end;
    }
}

/* --- ends --- */

struct row_ends *row_ends_make(struct allocator *allocator, uint32_t rows, enum ends_form form)
{
    size_t head = sizeof(struct row_ends) + vectors_for(rows) * sizeof(struct end_summary);
    head = (head + ALLOCATOR_ALIGNMENT - 1) / ALLOCATOR_ALIGNMENT * ALLOCATOR_ALIGNMENT;
    size_t bits = bitmap_bytes(rows);
    size_t cleared = head + bits + (form == ENDS_FOLDED_BEGUN ? bits : 0);
    size_t bytes = cleared + (form == ENDS_STAMPED ? rows * sizeof(atomic_uint_fast64_t) : 0);
    struct row_ends *ends = allocator_alloc(allocator, bytes);
    if (ends == NULL)
        return NULL;
    memset(ends, 0, cleared);
    ends->bytes = bytes;
    ends->bits = (atomic_uint_fast64_t *)((uint8_t *)ends + head);
    if (form == ENDS_STAMPED)
        ends->end = (atomic_uint_fast64_t *)((uint8_t *)ends + cleared);
    if (form == ENDS_FOLDED_BEGUN)
        ends->begun = (uint64_t *)(void *)((uint8_t *)ends + head + bits);
    return ends;
}

void row_ends_free(struct allocator *allocator, struct row_ends *ends)
{
    while (ends != NULL) {
        struct row_ends *folded = ends->folded;
        allocator_free(allocator, ends, ends->bytes);
        ends = folded;
    }
}

/* Which slots of `from` have ended, and the summaries, into another form. */
static void copy_ended(const struct row_ends *from, uint32_t rows, struct row_ends *to)
{
    atomic_init(&to->count, atomic_load_explicit(&from->count, memory_order_relaxed));
    for (uint32_t word = 0; word < bit_words(rows); word++)
        atomic_init(&to->bits[word], atomic_load_explicit(&from->bits[word], memory_order_relaxed));
    for (uint32_t v = 0; v < vectors_for(rows); v++) {
        const struct end_summary *summary = &from->vectors[v];
        atomic_init(&to->vectors[v].max, atomic_load_explicit(&summary->max, memory_order_relaxed));
        atomic_init(&to->vectors[v].count,
                    atomic_load_explicit(&summary->count, memory_order_relaxed));
    }
}

/* The end of a slot; of one that never began, and that no origin knows, what it is buried with. */
static uint64_t unfolded_end(const struct row_group *group, uint32_t slot)
{
    return group->origin == NULL && !row_group_has_begun(group, slot) ? 1
                                                                      : row_group_end(group, slot);
}

omen_status row_group_prepare_ends(struct row_group *group)
{
    struct row_ends *before = group_ends(group);
    if (before != NULL && before->end != NULL)
        return OMEN_OK;
    uint32_t rows = rows_published(group);
    struct row_ends *ends = row_ends_make(group->allocator, rows, ENDS_STAMPED);
    if (ends == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t slot = 0; slot < rows; slot++)
        atomic_init(&ends->end[slot], unfolded_end(group, slot));
    if (before != NULL) {
        copy_ended(before, rows, ends);
        ends->folded = before; /* readers may still look at it */
    }
    /* Release pairs with the acquire in group_ends. */
    atomic_store_explicit(&group->ends, ends, memory_order_release);
    return OMEN_OK;
}

/* Whether slots of a frozen group have not begun, and only their ends say so. */
static bool has_buried(const struct row_group *group, const struct row_ends *ends)
{
    uint32_t rows = rows_published(group);
    for (uint32_t slot = 0; slot < rows && group->origin == NULL; slot++)
        if (atomic_load_explicit(&ends->end[slot], memory_order_relaxed) == 1)
            return true;
    return false;
}

/* What the stamps say, into the folded form made for it. */
static void fold(const struct row_group *group, const struct row_ends *ends,
                 struct row_ends *folded)
{
    uint32_t rows = rows_published(group);
    copy_ended(ends, rows, folded);
    for (uint32_t v = 0; v < vectors_for(rows); v++)
        folded->ended_at = size_max(
            folded->ended_at, atomic_load_explicit(&ends->vectors[v].max, memory_order_relaxed));
    for (uint32_t v = 0; v < vectors_for(rows); v++)
        atomic_init(&folded->vectors[v].max, folded->ended_at);
    for (uint32_t slot = 0; slot < rows && folded->begun != NULL; slot++)
        if (row_group_has_begun(group, slot))
            bit_set(folded->begun, slot);
}

bool row_group_is_shared(const struct row_group *group)
{
    /* Acquire pairs with the release in row_group_release: what others read, they have read. */
    return atomic_load_explicit(&group->references, memory_order_acquire) != 1;
}

bool row_group_is_pinned(const struct row_group *group)
{
    /* Acquire as above. Holds are read second: those that end in between make it look pinned. */
    uint32_t references = atomic_load_explicit(&group->references, memory_order_acquire);
    return references - atomic_load_explicit(&group->holds, memory_order_relaxed) != 1;
}

bool row_group_has_stamps(const struct row_group *group)
{
    const struct row_ends *ends = group_ends(group);
    return group_is_frozen(group) && ends != NULL && ends->end != NULL;
}

omen_status row_group_fold_ends(struct row_group *group)
{
    OMEN_ASSERT(row_group_has_stamps(group));
    if (row_group_is_shared(group))
        return OMEN_OK;
    struct row_ends *ends = group_ends(group), *folded = NULL;
    if (atomic_load_explicit(&ends->count, memory_order_relaxed) > 0) {
        folded = row_ends_make(group->allocator, rows_published(group),
                               has_buried(group, ends) ? ENDS_FOLDED_BEGUN : ENDS_FOLDED);
        if (folded == NULL)
            return OMEN_OUT_OF_MEMORY;
        fold(group, ends, folded);
    }
    atomic_store_explicit(&group->ends, folded, memory_order_release);
    row_ends_free(group->allocator, ends);
    return OMEN_OK;
}

uint64_t row_group_end(const struct row_group *group, uint32_t slot)
{
    const struct row_ends *ends = group_ends(group);
    if (ends == NULL)
        return TIMESTAMP_INFINITY;
    if (ends->end != NULL)
        return atomic_load_explicit(&ends->end[slot], memory_order_relaxed);
    uint64_t word = atomic_load_explicit(&ends->bits[slot / 64], memory_order_relaxed);
    return (word >> (slot % 64) & 1) != 0 ? ends->ended_at : TIMESTAMP_INFINITY;
}

uint32_t row_group_ended_count(const struct row_group *group)
{
    const struct row_ends *ends = group_ends(group);
    return ends == NULL ? 0 : atomic_load_explicit(&ends->count, memory_order_relaxed);
}

void row_group_stamp_end(struct row_group *group, uint32_t slot, uint64_t timestamp)
{
    struct row_ends *ends = group_ends(group);
    OMEN_ASSERT(ends != NULL && ends->end != NULL && slot < rows_published(group) &&
                timestamp != TIMESTAMP_INFINITY);
    struct end_summary *summary = &ends->vectors[slot / VECTOR_ROWS];
    raise_to(&summary->max, timestamp);
    uint64_t before = atomic_load_explicit(&ends->end[slot], memory_order_relaxed);
    atomic_store_explicit(&ends->end[slot], timestamp, memory_order_relaxed);
    if (before != TIMESTAMP_INFINITY)
        return;
    uint64_t word = atomic_load_explicit(&ends->bits[slot / 64], memory_order_relaxed);
    /* Release pairs with the acquire in clear_ended: whoever sees the bit sees end and max. */
    atomic_store_explicit(&ends->bits[slot / 64], word | UINT64_C(1) << (slot % 64),
                          memory_order_release);
    uint32_t count = atomic_load_explicit(&summary->count, memory_order_relaxed);
    atomic_store_explicit(&summary->count, count + 1, memory_order_relaxed);
    count = atomic_load_explicit(&ends->count, memory_order_relaxed);
    atomic_store_explicit(&ends->count, count + 1, memory_order_relaxed);
}

omen_status row_group_copy_ends(const struct row_group *source, struct row_group *target)
{
    uint32_t rows = rows_published(source);
    bool bury = group_is_frozen(target) && row_group_unbegun_count(source) > 0;
    if (row_group_ended_count(source) > 0 || bury)
        OMEN_TRY(row_group_prepare_ends(target));
    struct row_ends *ends = group_ends(target);
    if (ends == NULL)
        return OMEN_OK;
    for (uint32_t slot = 0; slot < rows; slot++) {
        uint64_t end = row_group_end(source, slot);
        if (bury && row_group_begin(source, slot) == TIMESTAMP_PENDING)
            end = 1;
        if (end != TIMESTAMP_INFINITY)
            row_group_stamp_end(target, slot, end);
    }
    return OMEN_OK;
}

/* --- visibility --- */

bool row_group_visible(const struct row_group *group, uint32_t slot, uint64_t snapshot)
{
    /* begin - 1 < snapshot is 1 <= begin <= snapshot: a pending begin of 0 wraps around. */
    return row_group_begin(group, slot) - 1 < snapshot && snapshot < row_group_end(group, slot);
}

/* Whether the vector's first `rows` slots have all begun at or before the snapshot. */
static bool vector_all_begun(const struct row_group *group, uint32_t vector, uint32_t rows,
                             uint64_t snapshot)
{
    if (group_is_frozen(group))
        return snapshot >= 1;
    const struct begin_summary *summary = &group->begins[vector];
    /* Acquire pairs with the release in stamp_vector_begins: max is read after the prefix. */
    if (atomic_load_explicit(&summary->prefix, memory_order_acquire) < rows)
        return false;
    return atomic_load_explicit(&summary->max, memory_order_relaxed) <= snapshot;
}

bool row_group_wholly_visible(const struct row_group *group, uint32_t row_count, uint64_t snapshot)
{
    if (row_group_ended_count(group) > 0)
        return false;
    for (uint32_t vector = 0; vector < vectors_for(row_count); vector++) {
        uint32_t rows = (uint32_t)size_min(VECTOR_ROWS, row_count - vector * VECTOR_ROWS);
        if (!vector_all_begun(group, vector, rows, snapshot))
            return false;
    }
    return true;
}

/* The slots of a vector that have begun at or before the snapshot. */
static void select_begun(const struct row_group *group, uint32_t vector, uint32_t rows,
                         uint64_t snapshot, uint64_t *selection)
{
    memset(selection, 0, VECTOR_WORDS * sizeof *selection);
    if (group_is_frozen(group) && snapshot == 0)
        return;
    if (vector_all_begun(group, vector, rows, snapshot)) {
        memset(selection, 0xFF, rows / 64 * sizeof *selection);
        if (rows % 64 != 0)
            selection[rows / 64] = (UINT64_C(1) << (rows % 64)) - 1;
        return;
    }
    const atomic_uint_fast64_t *begin = group->begin + vector * VECTOR_ROWS;
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t stamp = atomic_load_explicit(&begin[i], memory_order_relaxed);
        selection[i / 64] |= (uint64_t)(stamp - 1 < snapshot) << (i % 64);
    }
}

/* Clears the slots that ended at or before the snapshot. */
static void clear_ended(const struct row_ends *ends, uint32_t vector, uint64_t snapshot,
                        uint64_t *selection)
{
    uint64_t ended[VECTOR_WORDS];
    for (uint32_t word = 0; word < VECTOR_WORDS; word++)
        /* Acquire pairs with the release in row_group_stamp_end. */
        ended[word] =
            atomic_load_explicit(&ends->bits[vector * VECTOR_WORDS + word], memory_order_acquire);
    if (atomic_load_explicit(&ends->vectors[vector].max, memory_order_relaxed) <= snapshot) {
        for (uint32_t word = 0; word < VECTOR_WORDS; word++)
            selection[word] &= ~ended[word];
        return;
    }
    if (ends->end == NULL)
        return; /* all of them later */
    for (uint32_t word = 0; word < VECTOR_WORDS; word++) {
        for (uint64_t left = ended[word] & selection[word]; left != 0; left &= left - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(left);
            uint32_t slot = vector * VECTOR_ROWS + word * 64 + bit;
            if (atomic_load_explicit(&ends->end[slot], memory_order_relaxed) <= snapshot)
                selection[word] &= ~(UINT64_C(1) << bit);
        }
    }
}

uint32_t row_group_select_visible(const struct row_group *group, uint32_t vector,
                                  uint32_t row_count, uint64_t snapshot, uint64_t *selection)
{
    uint32_t first = vector * VECTOR_ROWS;
    uint32_t rows = first >= row_count ? 0 : (uint32_t)size_min(VECTOR_ROWS, row_count - first);
    if (rows == 0) {
        memset(selection, 0, VECTOR_WORDS * sizeof *selection);
        return 0;
    }
    select_begun(group, vector, rows, snapshot, selection);
    const struct row_ends *ends = group_ends(group);
    if (ends != NULL &&
        atomic_load_explicit(&ends->vectors[vector].count, memory_order_relaxed) > 0)
        clear_ended(ends, vector, snapshot, selection);
    return (uint32_t)bit_count_set(selection, VECTOR_ROWS);
}
