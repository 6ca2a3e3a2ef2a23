/* row_group_private.h - the structures that the row_group_*.c files share.
 *
 *   struct row_group | columns[stored_count]              one block
 *   column block:    zones | heap windows | heap ends | values | validity | valid bytes | truth
 *   lifetime block:  begin summaries | begin | previous    (none once frozen)
 *   ends block:      struct row_ends | end bits | end      (frozen: only once something ended)
 *   origin block:    struct row_group_origin | begun | zones | text   (columns that come later)
 *
 * Who may look at what. The writer fills slots from row_count on, packs vectors that became
 * full, stores packed_count (release), then row_count (release). A reader that acquired
 * row_count (or learned of a slot through a lock) may read values, valid and truth bytes, and
 * the strings of slots below it; one that acquired packed_count may read bitmaps, zones and heap
 * ends of the vectors below it. Nothing of that is ever written again.
 */
#ifndef OMEN_COLUMN_ROW_GROUP_PRIVATE_H
#define OMEN_COLUMN_ROW_GROUP_PRIVATE_H

#include <assert.h>
#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/bits.h"
#include "column/column_cache.h"
#include "column/row_group.h"
#include "os/thread.h"

enum {
    VECTOR_WORDS = VECTOR_ROWS / 64,
    WINDOW_CHUNKS_MAX = 24,
    VIEW_INLINE_BYTES = 12,
    HEAP_BYTES_MAX = 1 << 30, /* of text in one column of a group */
};

/* Arrow's view of one string: inline up to 12 bytes, else a place in a chunk of its window. */
struct view {
    uint32_t length;
    union {
        uint8_t bytes[VIEW_INLINE_BYTES];
        struct {
            uint8_t prefix[4];
            uint32_t chunk;
            uint32_t offset;
        } place;
    } as;
};
static_assert(sizeof(struct view) == 16, "Arrow's views have 16 bytes");

struct heap_chunk {
    uint8_t *data;
    uint32_t capacity;
    uint32_t used; /* final once a later chunk is in use; until then the writer's alone */
};

/* The strings of BATCH_ROWS slots. Chunks are only ever added. */
struct heap_window {
    uint32_t chunk_count; /* the writer's alone */
    struct heap_chunk chunks[WINDOW_CHUNKS_MAX];
};

/* Where a window's heap stood after a row: bytes `used` of chunk `chunk`. */
struct heap_end {
    uint32_t chunk;
    uint32_t used;
};

/* A zone: the slots of its smallest and largest value. */
struct zone_slots {
    uint32_t row_count;
    uint32_t null_count;
    uint16_t min_slot;
    uint16_t max_slot;
    bool known;
};

/* How a column's cells are read. */
enum cell { CELL_2, CELL_4, CELL_8, CELL_16, CELL_BOOLEAN, CELL_VIEW, CELL_NULLABLE = 8 };

/* What reading a value needs comes first: one cache line. */
struct column {
    _Alignas(64) omen_type type;
    uint16_t width;
    uint8_t cell;                /* enum cell, with CELL_NULLABLE where there is validity */
    void *values;                /* BOOLEAN: a bitmap of the packed vectors */
    uint64_t *validity;          /* bitmap of the packed vectors; NULL: no NULL anywhere */
    uint8_t *valid;              /* 1 = has a value; nullable and not frozen only */
    uint8_t *truth;              /* BOOLEAN and not frozen only */
    struct heap_window *windows; /* views only */
    struct heap_end *heap_ends;  /* views only, per packed vector */
    struct heap_end committed;   /* views only: after row_count; the writer's alone */
    struct zone_slots *zones;    /* per vector */
    struct zone_slots zone;      /* of the group, once sealed */
    void *block;
    size_t block_bytes;
};
static_assert(sizeof(struct column) == 128, "columns stay aligned");

struct begin_summary {
    atomic_uint_fast64_t max; /* largest begin stamped in the vector */
    atomic_uint prefix;       /* so many leading slots of the vector have begun */
};

struct end_summary {
    atomic_uint_fast64_t max; /* largest end stamped in the vector */
    atomic_uint count;        /* ended slots of the vector */
};

/* Full: an end per slot. Folded: which slots have ended, all of them at `ended_at`. */
struct row_ends {
    size_t bytes;
    struct row_ends *folded; /* what this one was made from: readers may still look at it */
    uint64_t ended_at;
    uint64_t *begun; /* folded: slots that ever began; NULL: all, or the origin knows */
    atomic_uint count;
    atomic_uint_fast64_t *bits; /* slots with an end */
    atomic_uint_fast64_t *end;  /* NULL: folded */
    struct end_summary vectors[];
};

/* Of a group whose columns lie elsewhere and come when they are needed (row_group_load.c). */
struct row_group_origin {
    size_t bytes;
    struct row_group_source *source; /* referenced */
    uint32_t ordinal;
    struct mutex loading;
    struct mutex pinning; /* for pins of those who have hold of the group, and row_group_discard */
    size_t counted;       /* bytes that the cache has counted; of who loads or discards */
    bool passing;
    uint64_t *begun;    /* slots that ever began; NULL: all */
    struct zone *zones; /* of the group, per column; text behind them in this block */
    atomic_bool loaded[];
};

struct row_group {
    struct row_group_head head;
    struct allocator *allocator;
    struct schema *schema; /* referenced */
    uint64_t number;
    size_t struct_bytes;
    uint32_t capacity;
    atomic_uint references;
    atomic_uint
        holds; /* of the references, those that keep no columns; raised last, lowered first */
    atomic_int state;
    atomic_uint packed_count;
    atomic_uint row_count;
    atomic_size_t column_bytes;
    atomic_uint begun_count;
    atomic_uint_fast64_t max_begin;
    void *lifetime_block;
    size_t lifetime_bytes;
    struct begin_summary *begins; /* per vector */
    atomic_uint_fast64_t *begin;
    atomic_uint_fast64_t *previous;
    struct row_ends *_Atomic ends;
    struct row_group_origin *origin; /* NULL: made in memory */
    struct column columns[];
};

/* --- shape --- */

static inline uint32_t vectors_for(uint32_t rows)
{
    return (rows + VECTOR_ROWS - 1) / VECTOR_ROWS;
}

static inline uint32_t windows_for(uint32_t rows)
{
    return (rows + BATCH_ROWS - 1) / BATCH_ROWS;
}

/* Bytes of a bitmap over `rows` slots: whole vectors, so that kernels may read all their words. */
static inline size_t bitmap_bytes(uint32_t rows)
{
    return (size_t)vectors_for(rows) * VECTOR_WORDS * sizeof(uint64_t);
}

static inline bool group_is_frozen(const struct row_group *group)
{
    return group->begin == NULL;
}

static inline uint32_t rows_published(const struct row_group *group)
{
    /* Acquire pairs with the release in row_group_publish. */
    return atomic_load_explicit(&group->row_count, memory_order_acquire);
}

static inline uint32_t rows_packed(const struct row_group *group)
{
    /* Acquire pairs with the releases in row_group_publish and row_group_seal. */
    return atomic_load_explicit(&group->packed_count, memory_order_acquire);
}

/* Somebody looks at the columns. */
static inline void row_group_warm(struct row_group *group)
{
    /* Relaxed: a hint. */
    if ((atomic_load_explicit(&group->head.absent, memory_order_relaxed) & ROW_GROUP_COLD) != 0)
        atomic_fetch_and_explicit(&group->head.absent, ~ROW_GROUP_COLD, memory_order_relaxed);
}

/* Whether the column's data is here. */
static inline bool column_is_loaded(const struct row_group *group, uint32_t column)
{
    /* Acquire pairs with the release in load_columns. */
    return group->origin == NULL ||
           atomic_load_explicit(&group->origin->loaded[column], memory_order_acquire);
}

static inline struct row_ends *group_ends(const struct row_group *group)
{
    /* Acquire pairs with the release in row_group_prepare_ends. */
    return atomic_load_explicit(&group->ends, memory_order_acquire);
}

/* --- cells --- */

/* Whether the slot of the column holds a value. */
static inline bool column_has_value(const struct column *column, uint32_t slot)
{
    if (column->valid != NULL)
        return column->valid[slot] != 0;
    return column->validity == NULL || bit_get(column->validity, slot);
}

static inline bool column_truth(const struct column *column, uint32_t slot)
{
    return column->truth != NULL ? column->truth[slot] != 0 : bit_get(column->values, slot);
}

/* The first four bytes of a view's string, zeros where it is shorter, as a number of their order.
 * Where two prefixes differ, the strings differ the same way: a shorter one that runs out before
 * the difference has a zero there and is the smaller. */
static inline uint32_t view_prefix(const struct view *view)
{
    uint32_t prefix;
    memcpy(&prefix, view->as.bytes, sizeof prefix);
    return __builtin_bswap32(prefix);
}

/* The same of any string. */
static inline uint32_t bytes_prefix(const uint8_t *data, size_t length)
{
    struct view view = {0};
    if (length > 0)
        memcpy(view.as.bytes, data, size_min(length, sizeof(uint32_t)));
    return view_prefix(&view);
}

/* The bytes behind a view of the given slot. */
static inline const uint8_t *view_data(const struct column *column, uint32_t slot,
                                       const struct view *view)
{
    if (view->length <= VIEW_INLINE_BYTES)
        return view->as.bytes;
    return column->windows[slot / BATCH_ROWS].chunks[view->as.place.chunk].data +
           view->as.place.offset;
}

/* The bits of [first, first + count) of a byte-a-row or bitmap source into `words`, the rest of
 * the last word cleared. first is a multiple of 64. */
void bits_from_bytes(uint64_t *words, const uint8_t *bytes, uint32_t count);

/* Validity of vector `vector` as words; `scratch` has VECTOR_WORDS words. NULL: all valid. */
const uint64_t *column_validity_words(const struct row_group *group, const struct column *column,
                                      uint32_t vector, uint64_t *scratch);

/* BOOLEAN: the truth bits of a vector; as above, never NULL. */
const uint64_t *column_truth_words(const struct row_group *group, const struct column *column,
                                   uint32_t vector, uint64_t *scratch);

/* The order of two non-NULL slots of a column. */
int column_compare(const struct column *column, uint32_t left, uint32_t right);

/* The value at the slot. Inline: a point query reads several in a row, and nothing else. */
static inline void column_read(const struct column *column, uint32_t slot, omen_value *out)
{
    out->type = column->type;
    out->is_null = !column_has_value(column, slot);
    if (out->is_null)
        return;
    const uint8_t *values = column->values;
    switch ((enum cell)(column->cell & ~CELL_NULLABLE)) {
    case CELL_2:
        memcpy(&out->as, values + slot * 2, 2);
        break;
    case CELL_4:
        memcpy(&out->as, values + slot * 4, 4);
        break;
    case CELL_8:
        memcpy(&out->as, values + slot * 8, 8);
        break;
    case CELL_16:
        memcpy(&out->as, values + slot * 16, 16);
        break;
    case CELL_BOOLEAN:
        out->as.boolean = column_truth(column, slot);
        break;
    case CELL_VIEW: {
        const struct view *view = (const struct view *)column->values + slot;
        out->as.bytes = (omen_bytes){view_data(column, slot, view), view->length};
        break;
    }
    case CELL_NULLABLE:
        break;
    }
}

/* --- making groups --- */

/* A group with unset lifetimes; `state` decides which buffers exist. */
OMEN_MUST_CHECK omen_status row_group_make(struct allocator *allocator, struct schema *schema,
                                           uint64_t number, uint32_t capacity,
                                           enum row_group_state state, struct row_group **out);

/* The same without any column data. */
OMEN_MUST_CHECK omen_status row_group_make_bare(struct allocator *allocator, struct schema *schema,
                                                uint64_t number, uint32_t capacity,
                                                enum row_group_state state, struct row_group **out);

/* Makes the buffers of one column that has none; gives them back. */
OMEN_MUST_CHECK omen_status column_make(struct row_group *group, uint32_t position, bool frozen);
void column_free(struct row_group *group, struct column *column);

/* Fills a column of a frozen group from one that is packed. `begun` (a bitmap over the group) is
 * NULL where every slot has begun. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status column_freeze(const struct column *source, const uint64_t *begun,
                                          struct row_group *group, struct column *target);

/* A row_ends of `rows` slots, none ended; NULL where memory is out. STAMPED: the stamps are to be
 * set. FOLDED_BEGUN: with a bitmap of slots that have begun, empty. */
enum ends_form { ENDS_STAMPED, ENDS_FOLDED, ENDS_FOLDED_BEGUN };
struct row_ends *row_ends_make(struct allocator *allocator, uint32_t rows, enum ends_form form);
void row_ends_free(struct allocator *allocator, struct row_ends *ends); /* NULL does nothing */

/* Frees the origin of a group. NULL does nothing. */
void row_group_origin_free(struct row_group *group);

/* Converts `count` rows of one column of an Arrow struct, from row `first` on, into unpublished
 * slots of an open form. Errors: as row_group_append_arrow. */
OMEN_MUST_CHECK omen_status column_import_arrow(struct row_group *group, uint32_t position,
                                                uint32_t slot,
                                                const struct ArrowSchema *arrow_schema,
                                                const struct ArrowArray *array, int64_t first,
                                                uint32_t count, omen_error *error);

/* --- appending --- */

/* Makes the `count` slots written behind row_count visible to readers. */
void row_group_publish(struct row_group *group, uint32_t count);

/* Makes bitmaps and the zone of one vector from the bytes of its slots. */
void column_pack(struct column *column, uint32_t first, uint32_t count);

/* Forgets what was written behind row_count. */
void row_group_undo(struct row_group *group);

/* A place for `bytes` of text of `slot` in its window's heap.
 * Errors: OUT_OF_MEMORY, LIMIT_EXCEEDED. */
OMEN_MUST_CHECK omen_status heap_reserve(struct row_group *group, struct column *column,
                                         uint32_t slot, size_t bytes, struct heap_end *place);

/* Writes a string (padded with blanks) to an unpublished slot. */
OMEN_MUST_CHECK omen_status column_put_text(struct row_group *group, struct column *column,
                                            uint32_t slot, const uint8_t *data, size_t length,
                                            size_t padding);

/* Writes NULL to an unpublished slot. */
void column_put_null(struct column *column, uint32_t slot);

/* --- zones --- */

/* The zone of slots [first, first + count) of a column; where `begun` (a bitmap over the group)
 * is given, only of those in it. */
void zone_compute(const struct column *column, uint32_t first, uint32_t count,
                  const uint64_t *begun, struct zone_slots *out);

/* The zone that covers all of the column's first `vector_count` vectors. */
void zone_merge(const struct column *column, uint32_t vector_count, struct zone_slots *out);

#endif
