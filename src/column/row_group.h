/* row_group.h - up to 65,536 row slots of one table: Arrow columns plus row lifetimes.
 *
 *   columns     per column: values (Arrow layout), validity, and for text a string heap
 *   lifetimes   begin[slot], end[slot], previous[slot]
 *   zone maps   per column: min, max, null count of each completed vector, and of the group
 *
 * A slot is written once and never changes; only its lifetime does. begin = 0 means "not begun":
 * the slot was reserved and is visible to nobody (yet, or ever). A reader with snapshot S sees
 * the slots with begin <= S < end.
 *
 * States. OPEN: slots are being appended. SEALED: full (or closed early), waiting for the
 * watermark. FROZEN: begin and previous are gone because every begin lies at or below the
 * watermark; a row's end is kept only once something ended. Freezing and growing make a new
 * struct row_group of the same number and slots; the old one lives on, unchanged and still
 * right for the snapshots of those who hold it.
 *
 * Validity and BOOLEAN are a byte a row while a vector of 1,024 is being filled, so that no two
 * rows share a bit that a reader might be looking at; a completed vector is packed once into
 * Arrow bitmaps.
 *
 * Strings. Views of 16 bytes as Arrow's utf8_view. Each window of 8,192 slots has a heap of its
 * own; a view's buffer index is a chunk of that heap, and chunks never move. FROZEN: every window
 * has one chunk, so that one exported batch carries one buffer.
 *
 * Concurrency: one writer (append, stamps), any number of readers. A reader learns of slots
 * through a row count it read under the table's lock or through a row id from the index. Groups
 * are reference counted; the last release, from any thread, frees.
 */
#ifndef OMEN_COLUMN_ROW_GROUP_H
#define OMEN_COLUMN_ROW_GROUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "column/schema.h"
#include "omendb_arrow.h"

enum {
    ROW_GROUP_ROWS = 65536,
    VECTOR_ROWS = 1024,
    BATCH_ROWS = 8192,
    ROW_GROUP_VECTORS = ROW_GROUP_ROWS / VECTOR_ROWS,
};

#define TIMESTAMP_PENDING  UINT64_C(0) /* a begin: not begun */
#define TIMESTAMP_INFINITY UINT64_MAX  /* an end: not ended */

/* Row ids: bit 63 set, 16-62 the group's number, 0-15 the slot. */
static inline uint64_t row_id_make(uint64_t group_number, uint32_t slot)
{
    return ROW_ID_OCCUPIED | group_number << 16 | slot;
}

static inline uint64_t row_id_group(uint64_t row_id)
{
    return (row_id & ~ROW_ID_OCCUPIED) >> 16;
}

static inline uint32_t row_id_slot(uint64_t row_id)
{
    return (uint32_t)(row_id & 0xFFFF);
}

enum row_group_state { ROW_GROUP_OPEN, ROW_GROUP_SEALED, ROW_GROUP_FROZEN };

struct row_group;

/* --- life --- */

/* An empty open group with room for `capacity` rows (1 to 65,536). Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status row_group_create(struct allocator *allocator, struct schema *schema,
                                             uint64_t number, uint32_t capacity,
                                             struct row_group **out);

struct row_group *row_group_retain(struct row_group *group);
void row_group_release(struct row_group *group); /* NULL does nothing; any thread */

/* A reference that keeps the group, but not columns that can be loaded again (row_group_discard):
 * for who will look at many groups, one after the other. Facts, ends, and the zones of the group as
 * a whole may be asked with it, and all else once it is pinned. */
struct row_group *row_group_hold(struct row_group *group);
void row_group_unhold(struct row_group *group);

/* A reference as row_group_retain gives, for who has hold of the group. */
struct row_group *row_group_pin(struct row_group *group);

/* A group of the same number, slots and lifetimes with room for `capacity` rows. Single writer;
 * the caller swaps it in before the next stamp. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status row_group_grow(const struct row_group *group, uint32_t capacity,
                                           struct row_group **out);

/* Gives a group that nobody else has a reference to another number. */
void row_group_renumber(struct row_group *group, uint64_t number);

/* No more appends: OPEN becomes SEALED. Packs the last, partial vector too. Cannot fail. */
void row_group_seal(struct row_group *group);

/* The frozen form of a sealed group; every begin must be at or below `watermark` (slots that
 * never began become dead). Validity bytes, begin, previous and unused room are dropped, text is
 * laid out per window, zone maps are made exact over the rows that began. Ends are carried
 * over (allocated only if any). Errors: OUT_OF_MEMORY; NOT_READY where a begin is later. */
OMEN_MUST_CHECK omen_status row_group_freeze(const struct row_group *group, uint64_t watermark,
                                             struct row_group **out);

/* --- groups whose columns lie elsewhere --- */

struct row_group_source; /* see below */
struct zone;

/* What is known of a frozen group before any of its columns is read. All borrowed for the call. */
struct row_group_facts {
    uint64_t number;
    uint32_t row_count;
    uint32_t ordinal;         /* of the group in its source */
    const uint64_t *begun;    /* bitmap of the slots that ever began; NULL: all */
    const uint64_t *ended;    /* bitmap of those that ended, no later than `ended_at`; NULL: none */
    uint64_t ended_at;        /* at or below every snapshot to come */
    const struct zone *zones; /* of the group, one per stored column, over the slots that began */
};

/* Gives columns of row groups that lie elsewhere, to any thread. */
struct row_group_source {
    /* The columns of group `ordinal`, in that order, as batches in slot order. The caller keeps a
     * reference to the source until it releases the stream. Errors: IO_ERROR, CORRUPTED, ... */
    omen_status (*read)(struct row_group_source *source, uint32_t ordinal, const uint32_t *columns,
                        uint32_t column_count, struct ArrowArrayStream *out, omen_error *error);
    void (*retain)(struct row_group_source *source);
    void (*release)(struct row_group_source *source);
    struct column_cache *cache; /* counts what is loaded; the source's. NULL: nobody counts */
};

/* A frozen group that has everything but its columns (the source is referenced). A slot that never
 * began counts as ended. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status row_group_open(struct allocator *allocator, struct schema *schema,
                                           const struct row_group_facts *facts,
                                           struct row_group_source *source, struct row_group **out);

/* The slow half of row_group_ensure. */
OMEN_MUST_CHECK omen_status row_group_load(const struct row_group *group, const uint32_t *columns,
                                           uint32_t column_count, omen_error *error);

/* What every group begins with. */
struct row_group_head {
    atomic_uint absent; /* columns that have not been loaded, and ROW_GROUP_COLD */
};

#define ROW_GROUP_COLD 0x80000000u /* nobody has looked at a column since it was set */

/* Makes sure that these columns of a group (ROW_ID_COLUMN may be among them) can be read: before
 * row_group_read, row_group_prefetch and the filters look at them. Loads what is not there, once,
 * whoever asks. Functions that give a status do it themselves.
 * Errors: CORRUPTED, IO_ERROR, OUT_OF_MEMORY, those of the source; then nothing has changed, and a
 * later call tries again. Any thread. */
OMEN_MUST_CHECK static inline omen_status row_group_ensure(const struct row_group *group,
                                                           const uint32_t *columns,
                                                           uint32_t column_count, omen_error *error)
{
    const struct row_group_head *head = (const struct row_group_head *)(const void *)group;
    /* Acquire pairs with the release in load_columns. */
    if (__builtin_expect(atomic_load_explicit(&head->absent, memory_order_acquire) == 0, 1))
        return OMEN_OK;
    return row_group_load(group, columns, column_count, error);
}

/* Whether row_group_ensure has anything to do for some column. */
static inline bool row_group_wants_ensure(const struct row_group *group)
{
    const struct row_group_head *head = (const struct row_group_head *)(const void *)group;
    /* Acquire pairs with the release in load_columns. */
    return atomic_load_explicit(&head->absent, memory_order_acquire) != 0;
}

/* The same for all stored columns, for those of the primary key, and for those of unique keys. */
OMEN_MUST_CHECK omen_status row_group_ensure_all(const struct row_group *group, omen_error *error);
OMEN_MUST_CHECK omen_status row_group_ensure_key(const struct row_group *group, omen_error *error);
OMEN_MUST_CHECK omen_status row_group_ensure_uniques(const struct row_group *group,
                                                     omen_error *error);

/* How many columns are not loaded. */
static inline uint32_t row_group_absent_count(const struct row_group *group)
{
    const struct row_group_head *head = (const struct row_group_head *)(const void *)group;
    /* Acquire pairs with the release in load_columns. */
    return atomic_load_explicit(&head->absent, memory_order_acquire) & ~ROW_GROUP_COLD;
}

/* Whether one of these columns is not loaded. */
bool row_group_lacks(const struct row_group *group, const uint32_t *columns, uint32_t column_count);

/* Whether columns of the group, which has a source, may be loaded to stay. */
bool row_group_has_room(const struct row_group *group);

/* Another form of a group that has a source, without columns and without ends: for who reads them
 * once, and past the cache. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status row_group_passing(const struct row_group *group,
                                              struct row_group **out);

/* row_group_ensure for who wants to read one row and has read nothing of the group yet: where the
 * cache is far beyond its limit, another form takes the place of his reference. */
OMEN_MUST_CHECK omen_status row_group_bring(struct row_group **group, const uint32_t *columns,
                                            uint32_t column_count, omen_error *error);

/* The same for all stored columns. */
OMEN_MUST_CHECK omen_status row_group_bring_all(struct row_group **group, omen_error *error);

/* --- letting columns go again --- */

/* Says that nobody looks at the group's columns; the next who does takes it back, at no cost to
 * those who find nothing to take back. Whether it had not been taken back since the last time. */
bool row_group_cool(const struct row_group *group);

/* Whether the group's columns lie elsewhere. */
bool row_group_has_source(const struct row_group *group);

/* Whether anybody but the caller holds a reference; and whether one that keeps columns. */
bool row_group_is_shared(const struct row_group *group);
bool row_group_is_pinned(const struct row_group *group);

/* Takes its columns from a group that has a source, unless it is pinned. Nobody may get hold of the
 * group meanwhile, nor look at its columns, but those who have hold of it already: these pin it
 * before or afterwards. `*out` gets what is to be released, once others may go on, or NULL where
 * nothing was taken. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status row_group_discard(struct row_group *group, struct row_group **out);

/* A form of a group that has a source, without columns, with the ends of `ends`: the same group, or
 * the form of it that is in use. Nobody stamps meanwhile. Ends at or below `watermark`, which no
 * snapshot is below, are folded. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status row_group_reopen(const struct row_group *group,
                                             const struct row_group *ends, uint64_t watermark,
                                             struct row_group **out);

/* --- facts --- */

uint64_t row_group_number(const struct row_group *group);
struct schema *row_group_schema(const struct row_group *group); /* borrowed */
enum row_group_state row_group_state_of(const struct row_group *group);
uint32_t row_group_capacity(const struct row_group *group);
uint32_t row_group_row_count(const struct row_group *group);    /* slots appended; acquire */
uint32_t row_group_packed_count(const struct row_group *group); /* of those, in completed vectors */
uint64_t row_group_max_begin(const struct row_group *group);   /* over stamped slots; 0 if frozen */
uint32_t row_group_ended_count(const struct row_group *group); /* slots with an end */
uint32_t row_group_unbegun_count(const struct row_group *group); /* slots with begin = 0 */
size_t row_group_bytes(const struct row_group *group);           /* allocated, heaps included */
size_t row_group_column_bytes(const struct row_group *group);    /* of those, column data alone */

/* --- append (one writer). Every append is all or nothing; the new slots are unbegun. --- */

/* One row of stored_count values, each passed by schema_check_value. Text is copied.
 * Errors: OUT_OF_MEMORY; LIMIT_EXCEEDED where the group is full (rows, or 1 GiB of text). */
OMEN_MUST_CHECK omen_status row_group_append_values(struct row_group *group,
                                                    const omen_value *values);

/* Slots [first, first + count) of another group of the same schema. */
OMEN_MUST_CHECK omen_status row_group_append_slots(struct row_group *group,
                                                   const struct row_group *source, uint32_t first,
                                                   uint32_t count);

/* The chosen slots of another group of the same schema, in that order. For compaction. */
OMEN_MUST_CHECK omen_status row_group_append_chosen(struct row_group *group,
                                                    const struct row_group *source,
                                                    const uint16_t *slots, uint32_t count);

/* Rows [first, first + count) of an imported Arrow struct array with the schema's shown columns
 * in order. A hidden key takes hidden_key_first, +1, ... Values are checked and canonicalised
 * as schema_check_value does; any Arrow type schema_from_arrow accepts for the column is.
 * `error` names column and row. */
OMEN_MUST_CHECK omen_status row_group_append_arrow(struct row_group *group,
                                                   const struct ArrowSchema *arrow_schema,
                                                   const struct ArrowArray *array, uint32_t first,
                                                   uint32_t count, int64_t hidden_key_first,
                                                   omen_error *error);

/* Takes back all rows of an open group, none of which has ever begun; its memory is kept. False
 * where anybody else holds a reference, and nothing happens. */
bool row_group_clear(struct row_group *group);

/* --- lifetimes --- */

uint64_t row_group_begin(const struct row_group *group, uint32_t slot); /* frozen: 1 */
uint64_t row_group_end(const struct row_group *group, uint32_t slot);
bool row_group_has_begun(const struct row_group *group, uint32_t slot);
uint64_t row_group_previous(const struct row_group *group, uint32_t slot); /* frozen: none */

void row_group_set_previous(struct row_group *group, uint32_t slot, uint64_t row_id);

/* Allocates the `end` array of a frozen group that has none, so that stamps cannot fail.
 * Readers may be at work. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status row_group_prepare_ends(struct row_group *group);

/* Whether the group is frozen and keeps an end per slot. */
bool row_group_has_stamps(const struct row_group *group);

/* Frees the ends per slot of such a group; which slots have ended remains (R5.2). No snapshot is,
 * or ever will be, below one of them. Nobody may get hold of the group meanwhile, nor stamp; where
 * anybody else holds a reference nothing happens. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status row_group_fold_ends(struct row_group *group);

/* Stamps; part of applying a commit, cannot fail. The timestamp exceeds every registered
 * snapshot, so readers see no change until it is published. */
void row_group_stamp_begin(struct row_group *group, uint32_t first, uint32_t count,
                           uint64_t timestamp);
void row_group_stamp_end(struct row_group *group, uint32_t slot, uint64_t timestamp);

/* Brings the ends of a frozen group that is not shared yet up to those of the sealed group it was
 * made from: for stamps that came while it was being made. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status row_group_copy_ends(const struct row_group *source,
                                                struct row_group *target);

/* Whether a reader at `snapshot` sees the slot. */
bool row_group_visible(const struct row_group *group, uint32_t slot, uint64_t snapshot);

/* Whether it sees every slot below `row_count`. */
bool row_group_wholly_visible(const struct row_group *group, uint32_t row_count, uint64_t snapshot);

/* Bit i of `selection` (VECTOR_ROWS bits) = slot vector * 1,024 + i is visible; slots from
 * row_count on are not. Returns how many are. Vectors without ended or later rows cost O(1). */
uint32_t row_group_select_visible(const struct row_group *group, uint32_t vector,
                                  uint32_t row_count, uint64_t snapshot, uint64_t *selection);

/* --- reading: columns that are here, see row_group_ensure --- */

/* The value at (slot, column). Text is borrowed as long as the group lives. */
void row_group_read(const struct row_group *group, uint32_t slot, uint32_t column, omen_value *out);

enum { ROW_COPY_TEXT_BYTES = 64 };

/* Some columns of one row, copied into memory of the caller's. */
struct row_copy {
    const uint32_t *columns;
    uint32_t column_count;
    omen_value *values; /* one per column; the caller has set their types, which are the columns' */
    uint8_t (*texts)[ROW_COPY_TEXT_BYTES]; /* one per column: room for its text */
    struct row_group *pinned; /* retained where a text is longer: then its value borrows it */
};

/* Fills copy->values. copy->pinned must be NULL; row_group_release frees what it becomes. */
void row_group_copy(struct row_group *group, uint32_t slot, struct row_copy *copy);

/* What a snapshot has of a version that the index leads to. */
enum row_newest {
    ROW_NEWEST_LATER,  /* nothing of this one: it began later, or not yet; an older may be seen */
    ROW_NEWEST_ENDED,  /* nothing: it has ended, and the older ones before it */
    ROW_NEWEST_ABSENT, /* it is seen, but some column is to be loaded first */
    ROW_NEWEST_COPIED
};

/* row_group_copy of a slot, if the snapshot sees it. */
enum row_newest row_group_copy_newest(struct row_group *group, uint32_t slot, uint64_t snapshot,
                                      struct row_copy *copy);

/* Prefetches the cache lines that row_group_read of these columns will touch. */
void row_group_prefetch(const struct row_group *group, uint32_t slot, const uint32_t *columns,
                        uint32_t column_count);

/* The encoded key of a slot. Byte keys are placed in `arena`. Errors: OUT_OF_MEMORY. */
struct arena;
OMEN_MUST_CHECK omen_status row_group_key(const struct row_group *group, uint32_t slot,
                                          struct arena *arena, struct index_key *out);

/* The same for the key of any number (schema.h). `*whole` is false, and `out` nothing, where a
 * column of it is NULL. Errors: those of row_group_ensure; LIMIT_EXCEEDED, too. */
OMEN_MUST_CHECK omen_status row_group_key_of(const struct row_group *group, uint32_t number,
                                             uint32_t slot, struct arena *arena,
                                             struct index_key *out, bool *whole);

/* --- zone maps --- */

struct zone {
    bool known;          /* min and max hold; false: nothing is known, or all rows are NULL */
    bool exact;          /* they are values of the rows (text zones hold prefixes otherwise) */
    uint32_t null_count; /* of row_count */
    uint32_t row_count;  /* slots covered; 0: the zone covers nothing */
    omen_value min, max; /* text borrowed as long as the group lives */
};

/* The zone of one vector, or of the whole group (vector = -1). Only completed vectors of an open
 * group have one; the group as a whole only once sealed. Dead rows count: a zone may be wider
 * than what is visible, never narrower. */
void row_group_zone(const struct row_group *group, int32_t vector, uint32_t column,
                    struct zone *out);

/* --- export --- */

/* Slots [first, first + count) of the given columns as an Arrow struct array of offset 0.
 * first is a multiple of VECTOR_ROWS; the range stays within one BATCH_ROWS window. Completed
 * vectors are not copied: buffers point into the group, lengths cut to the slice, and the array
 * holds a reference to the group. An unfinished vector, and string heaps beyond the allowed
 * chunks, are copied. columns = NULL, column_count = 0 gives a length only; ROW_ID_COLUMN may be
 * among the columns, here and of a builder.
 * Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status row_group_export(struct row_group *group, uint32_t first,
                                             uint32_t count, const uint32_t *columns,
                                             uint32_t column_count, struct ArrowArray *out);

/* A batch gathered from chosen slots of several groups: start, add slots, finish.
 * Text is copied into the batch's own heap. One thread at a time. */
struct batch_builder;
OMEN_MUST_CHECK omen_status batch_builder_create(struct allocator *allocator, struct schema *schema,
                                                 const uint32_t *columns, uint32_t column_count,
                                                 uint32_t capacity, struct batch_builder **out);
uint32_t batch_builder_row_count(const struct batch_builder *builder);
OMEN_MUST_CHECK omen_status batch_builder_add(struct batch_builder *builder,
                                              const struct row_group *group, const uint16_t *slots,
                                              uint32_t count);
/* Moves what was gathered into `out` (offset 0, 64-byte aligned buffers) and empties the
 * builder, which may be used again. */
OMEN_MUST_CHECK omen_status batch_builder_finish(struct batch_builder *builder,
                                                 struct ArrowArray *out);
void batch_builder_destroy(struct batch_builder *builder);

/* Address of a column's value buffer, for tests that assert nothing was copied. */
const void *row_group_values(const struct row_group *group, uint32_t column);

/* Checks every invariant. CORRUPTED with a message where one is broken. */
OMEN_MUST_CHECK omen_status row_group_validate(const struct row_group *group, omen_error *error);

#endif
