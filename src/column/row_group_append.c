/* row_group_append.c - writing new slots: from values, and from another group.
 *
 * Every append writes column after column behind row_count, where nobody looks, and then
 * publishes all slots at once. Whatever fails before that leaves the group as it was: the next
 * append overwrites the same slots, and row_group_undo takes back the text. A chunk that was
 * added meanwhile stays, empty.
 *
 * Text. Each window of 8,192 slots has its own chunks, the first as large as the strings of the
 * window before suggest, each later one at least twice its predecessor: a window of even strings
 * needs one or two.
 */
#include "column/row_group_private.h"

enum { CHUNK_BYTES_MIN = 256 };

void bits_from_bytes(uint64_t *words, const uint8_t *bytes, uint32_t count)
{
    for (uint32_t word = 0; word < count / 64; word++) {
        uint64_t packed = 0;
        for (uint32_t octet = 0; octet < 8; octet++) {
            uint64_t eight;
            memcpy(&eight, bytes + word * 64 + octet * 8, sizeof eight);
            /* Each byte is 0 or 1; the product gathers their low bits in the top byte. */
            packed |= (eight * UINT64_C(0x0102040810204080) >> 56) << (octet * 8);
        }
        words[word] = packed;
    }
    if (count % 64 == 0)
        return;
    uint64_t packed = 0;
    for (uint32_t i = count / 64 * 64; i < count; i++)
        packed |= (uint64_t)bytes[i] << (i % 64);
    words[count / 64] = packed;
}

/* --- publishing --- */

void column_pack(struct column *column, uint32_t first, uint32_t count)
{
    if (column->truth != NULL)
        bits_from_bytes((uint64_t *)column->values + first / 64, column->truth + first, count);
    if (column->validity != NULL)
        bits_from_bytes(column->validity + first / 64, column->valid + first, count);
    zone_compute(column, first, count, NULL, &column->zones[first / VECTOR_ROWS]);
}

/* Where the heap stands after slots [first, end) of one window, given how it stood before. */
static struct heap_end heap_end_after(const struct column *column, uint32_t first, uint32_t end,
                                      struct heap_end before)
{
    const struct view *views = column->values;
    for (uint32_t slot = end; slot-- > first;)
        if (views[slot].length > VIEW_INLINE_BYTES)
            return (struct heap_end){views[slot].as.place.chunk,
                                     views[slot].as.place.offset + views[slot].length};
    return before;
}

static void pack_vector(struct row_group *group, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < group->schema->stored_count; i++) {
        struct column *column = &group->columns[i];
        column_pack(column, first, count);
        if (column->heap_ends == NULL)
            continue;
        struct heap_end before = {0, 0};
        if (first % BATCH_ROWS != 0)
            before = column->heap_ends[first / VECTOR_ROWS - 1];
        column->heap_ends[first / VECTOR_ROWS] =
            heap_end_after(column, first, first + count, before);
    }
}

void row_group_publish(struct row_group *group, uint32_t count)
{
    uint32_t first = rows_published(group);
    uint32_t rows = first + count;
    struct row_ends *ends = group_ends(group);
    for (uint32_t slot = first; slot < rows; slot++)
        atomic_store_explicit(&ends->end[slot], TIMESTAMP_INFINITY, memory_order_relaxed);
    uint32_t packed = rows_packed(group);
    for (; rows - packed >= VECTOR_ROWS; packed += VECTOR_ROWS)
        pack_vector(group, packed, VECTOR_ROWS);
    uint32_t window_first = rows / BATCH_ROWS * BATCH_ROWS;
    for (uint32_t i = 0; i < group->schema->stored_count; i++) {
        struct column *column = &group->columns[i];
        if (column->windows == NULL)
            continue;
        struct heap_end before = first < window_first ? (struct heap_end){0, 0} : column->committed;
        column->committed =
            heap_end_after(column, (uint32_t)size_max(first, window_first), rows, before);
    }
    /* Release pairs with the acquires in rows_packed and rows_published. */
    atomic_store_explicit(&group->packed_count, packed, memory_order_release);
    atomic_store_explicit(&group->row_count, rows, memory_order_release);
}

void row_group_seal(struct row_group *group)
{
    if (row_group_state_of(group) != ROW_GROUP_OPEN)
        return;
    uint32_t rows = rows_published(group);
    uint32_t packed = rows_packed(group);
    if (packed < rows)
        pack_vector(group, packed, rows - packed);
    for (uint32_t i = 0; i < group->schema->stored_count; i++)
        zone_merge(&group->columns[i], vectors_for(rows), &group->columns[i].zone);
    /* Release pairs with the acquires in rows_packed and row_group_state_of. */
    atomic_store_explicit(&group->packed_count, rows, memory_order_release);
    atomic_store_explicit(&group->state, ROW_GROUP_SEALED, memory_order_release);
}

/* --- text --- */

void row_group_undo(struct row_group *group)
{
    uint32_t rows = rows_published(group);
    for (uint32_t i = 0; i < group->schema->stored_count; i++) {
        struct column *column = &group->columns[i];
        if (column->windows == NULL)
            continue;
        struct heap_end end = column->committed;
        for (uint32_t w = rows / BATCH_ROWS; w < windows_for(group->capacity); w++) {
            struct heap_window *window = &column->windows[w];
            for (uint32_t c = end.chunk; c < window->chunk_count; c++)
                window->chunks[c].used = c == end.chunk ? end.used : 0;
            end = (struct heap_end){0, 0};
        }
    }
}

bool row_group_clear(struct row_group *group)
{
    OMEN_ASSERT(row_group_state_of(group) == ROW_GROUP_OPEN && row_group_max_begin(group) == 0);
    if (row_group_is_shared(group))
        return false;
    atomic_store_explicit(&group->packed_count, 0, memory_order_relaxed);
    atomic_store_explicit(&group->row_count, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < group->schema->stored_count; i++)
        group->columns[i].committed = (struct heap_end){0, 0};
    row_group_undo(group);
    return true;
}

/* Bytes that the window from `slot` on will need, judged by the rows before. */
static uint64_t expected_bytes(const struct row_group *group, const struct column *column,
                               uint32_t slot)
{
    uint32_t window = slot / BATCH_ROWS;
    uint32_t first = window * BATCH_ROWS;
    uint32_t end = (uint32_t)size_min(group->capacity, first + BATCH_ROWS);
    uint32_t sampled = window == 0 || slot - first >= VECTOR_ROWS ? window : window - 1;
    uint32_t sampled_rows = sampled == window ? slot - first : BATCH_ROWS;
    uint64_t used = 0;
    for (uint32_t c = 0; c < column->windows[sampled].chunk_count; c++)
        used += column->windows[sampled].chunks[c].used;
    if (sampled_rows == 0 || used == 0)
        return 16u * (end - slot);
    return used * (end - slot) / sampled_rows * 17 / 16;
}

static uint64_t heap_used(const struct row_group *group, const struct column *column)
{
    uint64_t used = 0;
    for (uint32_t w = 0; w < windows_for(group->capacity); w++)
        for (uint32_t c = 0; c < column->windows[w].chunk_count; c++)
            used += column->windows[w].chunks[c].used;
    return used;
}

static omen_status add_chunk(struct row_group *group, struct column *column, uint32_t slot,
                             size_t bytes)
{
    struct heap_window *window = &column->windows[slot / BATCH_ROWS];
    if (bytes > HEAP_BYTES_MAX || heap_used(group, column) + bytes > HEAP_BYTES_MAX ||
        window->chunk_count == WINDOW_CHUNKS_MAX)
        return OMEN_LIMIT_EXCEEDED;
    uint64_t capacity = size_max(CHUNK_BYTES_MIN, expected_bytes(group, column, slot));
    if (window->chunk_count > 0)
        capacity =
            size_max(capacity, 2 * (uint64_t)window->chunks[window->chunk_count - 1].capacity);
    capacity = size_max(size_min(capacity, HEAP_BYTES_MAX / 4), bytes);
    uint8_t *data = allocator_alloc(group->allocator, capacity);
    if (data == NULL)
        return OMEN_OUT_OF_MEMORY;
    window->chunks[window->chunk_count++] =
        (struct heap_chunk){.data = data, .capacity = (uint32_t)capacity};
    atomic_fetch_add_explicit(&group->column_bytes, capacity, memory_order_relaxed);
    return OMEN_OK;
}

/* The chunk being filled: the last one in use, or the one after it where it has no room. */
static struct heap_chunk *open_chunk(struct heap_window *window, size_t bytes)
{
    uint32_t at = window->chunk_count;
    while (at > 0 && window->chunks[at - 1].used == 0)
        at--;
    for (at = at == 0 ? 0 : at - 1; at < window->chunk_count; at++)
        if (window->chunks[at].capacity - window->chunks[at].used >= bytes)
            return &window->chunks[at];
    return NULL;
}

omen_status heap_reserve(struct row_group *group, struct column *column, uint32_t slot,
                         size_t bytes, struct heap_end *place)
{
    struct heap_window *window = &column->windows[slot / BATCH_ROWS];
    struct heap_chunk *chunk = open_chunk(window, bytes);
    if (chunk == NULL) {
        OMEN_TRY(add_chunk(group, column, slot, bytes));
        chunk = &window->chunks[window->chunk_count - 1];
    }
    *place = (struct heap_end){(uint32_t)(chunk - window->chunks), chunk->used};
    chunk->used += (uint32_t)bytes;
    return OMEN_OK;
}

omen_status column_put_text(struct row_group *group, struct column *column, uint32_t slot,
                            const uint8_t *data, size_t length, size_t padding)
{
    struct view *view = (struct view *)column->values + slot;
    size_t bytes = length + padding;
    if (column->valid != NULL)
        column->valid[slot] = 1;
    if (bytes <= VIEW_INLINE_BYTES) {
        *view = (struct view){.length = (uint32_t)bytes};
        if (length > 0)
            memcpy(view->as.bytes, data, length);
        memset(view->as.bytes + length, ' ', padding);
        return OMEN_OK;
    }
    struct heap_end place;
    OMEN_TRY(heap_reserve(group, column, slot, bytes, &place));
    uint8_t *text = column->windows[slot / BATCH_ROWS].chunks[place.chunk].data + place.used;
    if (length > 0)
        memcpy(text, data, length);
    memset(text + length, ' ', padding);
    view->length = (uint32_t)bytes;
    memcpy(view->as.place.prefix, text, sizeof view->as.place.prefix);
    view->as.place.chunk = place.chunk;
    view->as.place.offset = place.used;
    return OMEN_OK;
}

/* --- rows of values --- */

void column_put_null(struct column *column, uint32_t slot)
{
    OMEN_ASSERT(column->valid != NULL);
    column->valid[slot] = 0;
    if (column->truth != NULL)
        column->truth[slot] = 0;
    else
        memset((uint8_t *)column->values + (size_t)slot * column->width, 0, column->width);
}

static omen_status put_value(struct row_group *group, struct column *column, uint32_t slot,
                             const omen_value *value)
{
    if (value->is_null) {
        column_put_null(column, slot);
        return OMEN_OK;
    }
    if (column->windows != NULL)
        return column_put_text(group, column, slot, value->as.bytes.data, value->as.bytes.length,
                               0);
    if (column->valid != NULL)
        column->valid[slot] = 1;
    if (column->truth != NULL)
        column->truth[slot] = value->as.boolean;
    else
        memcpy((uint8_t *)column->values + (size_t)slot * column->width, &value->as, column->width);
    return OMEN_OK;
}

omen_status row_group_append_values(struct row_group *group, const omen_value *values)
{
    OMEN_ASSERT(row_group_state_of(group) == ROW_GROUP_OPEN);
    uint32_t slot = rows_published(group);
    if (slot == group->capacity)
        return OMEN_LIMIT_EXCEEDED;
    for (uint32_t i = 0; i < group->schema->stored_count; i++) {
        omen_status status = put_value(group, &group->columns[i], slot, &values[i]);
        if (status != OMEN_OK) {
            row_group_undo(group);
            return status;
        }
    }
    row_group_publish(group, 1);
    return OMEN_OK;
}

/* --- slots of another group --- */

/* The chosen source slots: a list, or `count` of them from `first` on where slots is NULL. */
struct choice {
    const uint16_t *slots;
    uint32_t first;
    uint32_t count;
};

static uint32_t choice_at(const struct choice *choice, uint32_t position)
{
    return choice->slots == NULL ? choice->first + position : choice->slots[position];
}

static void gather_fixed(const struct column *source, const struct choice *choice, uint8_t *target)
{
    const uint8_t *values = source->values;
    size_t width = source->width;
    if (choice->slots == NULL) {
        memcpy(target, values + choice->first * width, choice->count * width);
        return;
    }
    switch (width) {
    case 2:
        for (uint32_t i = 0; i < choice->count; i++)
            memcpy(target + i * 2, values + choice->slots[i] * 2, 2);
        break;
    case 4:
        for (uint32_t i = 0; i < choice->count; i++)
            memcpy(target + i * 4, values + choice->slots[i] * 4, 4);
        break;
    case 8:
        for (uint32_t i = 0; i < choice->count; i++)
            memcpy(target + i * 8, values + choice->slots[i] * 8, 8);
        break;
    default:
        for (uint32_t i = 0; i < choice->count; i++)
            memcpy(target + i * 16, values + choice->slots[i] * 16, 16);
        break;
    }
}

static omen_status gather_text(struct row_group *group, struct column *target,
                               const struct column *source, const struct choice *choice,
                               uint32_t slot)
{
    const struct view *views = source->values;
    for (uint32_t i = 0; i < choice->count; i++, slot++) {
        uint32_t from = choice_at(choice, i);
        const struct view *view = &views[from];
        if (view->length <= VIEW_INLINE_BYTES)
            ((struct view *)target->values)[slot] = *view;
        else
            OMEN_TRY(column_put_text(group, target, slot, view_data(source, from, view),
                                     view->length, 0));
    }
    return OMEN_OK;
}

static omen_status gather_column(struct row_group *group, struct column *target,
                                 const struct column *source, const struct choice *choice)
{
    uint32_t slot = rows_published(group);
    if (target->windows != NULL)
        OMEN_TRY(gather_text(group, target, source, choice, slot));
    else if (target->truth != NULL)
        for (uint32_t i = 0; i < choice->count; i++)
            target->truth[slot + i] = column_truth(source, choice_at(choice, i));
    else
        gather_fixed(source, choice, (uint8_t *)target->values + (size_t)slot * target->width);
    if (target->valid != NULL)
        for (uint32_t i = 0; i < choice->count; i++)
            target->valid[slot + i] = column_has_value(source, choice_at(choice, i));
    return OMEN_OK;
}

static omen_status append_choice(struct row_group *group, const struct row_group *source,
                                 const struct choice *choice)
{
    OMEN_ASSERT(row_group_state_of(group) == ROW_GROUP_OPEN);
    OMEN_ASSERT(group->schema->stored_count == source->schema->stored_count);
    if (choice->count > group->capacity - rows_published(group))
        return OMEN_LIMIT_EXCEEDED;
    OMEN_TRY(row_group_ensure_all(source, NULL));
    for (uint32_t i = 0; i < group->schema->stored_count; i++) {
        omen_status status = gather_column(group, &group->columns[i], &source->columns[i], choice);
        if (status != OMEN_OK) {
            row_group_undo(group);
            return status;
        }
    }
    row_group_publish(group, choice->count);
    return OMEN_OK;
}

omen_status row_group_append_slots(struct row_group *group, const struct row_group *source,
                                   uint32_t first, uint32_t count)
{
    OMEN_ASSERT(first <= rows_published(source) && count <= rows_published(source) - first);
    struct choice choice = {.first = first, .count = count};
    return append_choice(group, source, &choice);
}

omen_status row_group_append_chosen(struct row_group *group, const struct row_group *source,
                                    const uint16_t *slots, uint32_t count)
{
    struct choice choice = {.slots = slots, .count = count};
    return count == 0 ? OMEN_OK : append_choice(group, source, &choice);
}
