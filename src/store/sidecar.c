/* sidecar.c - the keys file and the ends file of a segment. Formats: docs/FILE_FORMAT.md.
 *
 * A keys file never changes; what has ended since comes in an ends file, which is written whole
 * anew. Both end with a checksum of all before it, which the manifest holds too: a file that is
 * whole but stale, or another segment's, is found out.
 */
#include "store/sidecar.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/checksum.h"
#include "column/key.h"
#include "store/sidecar_keys.h"

enum {
    FORMAT_VERSION = 1,
    MAGIC_BYTES = 8,
    ZONE_KNOWN = 1,
    ENDS_LISTED = 0,
    ENDS_BITMAP = 1,
};

static const char keys_magic[MAGIC_BYTES + 1] = "OMENKEYS";
static const char ends_magic[MAGIC_BYTES + 1] = "OMENENDS";

uint64_t segment_page_checksum(const uint8_t uuid[16], uint64_t page, const void *data,
                               size_t length)
{
    return checksum64(data, length, bytes_get_u64(uuid) ^ page);
}

static void put_head(struct byte_writer *writer, const char *magic,
                     const struct segment_identity *identity, uint32_t group_count)
{
    byte_writer_put(writer, magic, MAGIC_BYTES);
    byte_writer_u32(writer, FORMAT_VERSION);
    byte_writer_u32(writer, group_count);
    byte_writer_put(writer, identity->database_id, sizeof identity->database_id);
    byte_writer_put(writer, identity->uuid, sizeof identity->uuid);
}

/* The checksum of what was written from `start` on. */
static void put_checksum(struct byte_writer *writer, size_t start)
{
    if (!writer->failed)
        byte_writer_u64(writer, checksum64(writer->data + start, writer->length - start, 0));
}

/* --- encoding: zones --- */

static bool zone_fits(const struct zone *zone)
{
    return zone->known && (!type_is_view(zone->min.type.id) ||
                           (zone->min.as.bytes.length <= SIDECAR_TEXT_BYTES_MAX &&
                            zone->max.as.bytes.length <= SIDECAR_TEXT_BYTES_MAX));
}

static void put_value(struct byte_writer *writer, const omen_value *value)
{
    if (type_is_view(value->type.id)) {
        byte_writer_u8(writer, (uint8_t)value->as.bytes.length);
        byte_writer_put(writer, value->as.bytes.data, value->as.bytes.length);
    } else if (value->type.id == OMEN_TYPE_BOOLEAN) {
        byte_writer_u8(writer, value->as.boolean);
    } else {
        byte_writer_put(writer, &value->as, type_width(value->type.id)); /* little-endian */
    }
}

static void put_zone(struct byte_writer *writer, const struct row_group *group, uint32_t column)
{
    struct zone zone;
    row_group_zone(group, -1, column, &zone);
    bool known = zone_fits(&zone);
    byte_writer_u8(writer, known ? ZONE_KNOWN : 0);
    byte_writer_u32(writer, zone.null_count);
    if (!known)
        return;
    put_value(writer, &zone.min);
    put_value(writer, &zone.max);
}

/* --- encoding: keys --- */

struct slot_word {
    uint64_t word;
    uint16_t slot;
};

struct slot_bytes {
    struct index_key key;
    uint16_t slot;
};

static int compare_slot_words(const void *left, const void *right)
{
    const struct slot_word *a = left, *b = right;
    if (a->word != b->word)
        return a->word < b->word ? -1 : 1;
    return (int)a->slot - (int)b->slot;
}

static int compare_slot_bytes(const void *left, const void *right)
{
    const struct slot_bytes *a = left, *b = right;
    size_t common = size_min(a->key.length, b->key.length);
    int order = common == 0 ? 0 : memcmp(a->key.bytes, b->key.bytes, common);
    if (order != 0)
        return order;
    if (a->key.length != b->key.length)
        return a->key.length < b->key.length ? -1 : 1;
    return (int)a->slot - (int)b->slot;
}

static omen_status put_words(struct byte_writer *writer, const struct row_group *group,
                             struct arena *scratch, uint32_t count)
{
    struct slot_word *pairs = arena_alloc(scratch, count * sizeof *pairs);
    uint64_t *words = arena_alloc(scratch, count * sizeof *words);
    uint16_t *slots = arena_alloc(scratch, count * sizeof *slots);
    if (pairs == NULL || words == NULL || slots == NULL)
        return OMEN_OUT_OF_MEMORY;
    uint32_t rows = row_group_row_count(group), used = 0;
    bool sorted = true;
    for (uint32_t slot = 0; slot < rows; slot++) {
        if (!row_group_has_begun(group, slot))
            continue;
        struct index_key key;
        OMEN_TRY(row_group_key(group, slot, scratch, &key));
        pairs[used] = (struct slot_word){key.word, (uint16_t)slot};
        sorted = sorted && (used == 0 || pairs[used - 1].word <= key.word);
        used++;
    }
    if (!sorted)
        qsort(pairs, used, sizeof *pairs, compare_slot_words);
    for (uint32_t i = 0; i < used; i++) {
        words[i] = pairs[i].word;
        slots[i] = pairs[i].slot;
    }
    sidecar_put_words(writer, words, slots, used);
    return OMEN_OK;
}

static omen_status put_bytes(struct byte_writer *writer, const struct row_group *group,
                             struct arena *scratch, uint32_t count)
{
    struct slot_bytes *pairs = arena_alloc(scratch, count * sizeof *pairs);
    struct index_key *keys = arena_alloc(scratch, count * sizeof *keys);
    uint16_t *slots = arena_alloc(scratch, count * sizeof *slots);
    if (pairs == NULL || keys == NULL || slots == NULL)
        return OMEN_OUT_OF_MEMORY;
    uint32_t rows = row_group_row_count(group), used = 0;
    for (uint32_t slot = 0; slot < rows; slot++) {
        if (!row_group_has_begun(group, slot))
            continue;
        OMEN_TRY(row_group_key(group, slot, scratch, &pairs[used].key));
        pairs[used++].slot = (uint16_t)slot;
    }
    if (used > 1)
        qsort(pairs, used, sizeof *pairs, compare_slot_bytes);
    for (uint32_t i = 0; i < used; i++) {
        keys[i] = pairs[i].key;
        slots[i] = pairs[i].slot;
    }
    sidecar_put_bytes(writer, keys, slots, used);
    return OMEN_OK;
}

/* --- encoding: a row group --- */

static void put_begun(struct byte_writer *writer, const struct row_group *group, uint32_t rows,
                      uint32_t begun)
{
    byte_writer_u32(writer, begun);
    if (begun == rows)
        return;
    size_t bytes = (rows + 7) / 8;
    uint8_t *bits = byte_writer_reserve(writer, bytes);
    if (bits == NULL)
        return;
    memset(bits, 0, bytes);
    for (uint32_t slot = 0; slot < rows; slot++)
        bits[slot / 8] |= (uint8_t)(row_group_has_begun(group, slot) << (slot % 8));
}

static omen_status put_group(struct byte_writer *writer, const struct row_group *group,
                             const struct schema *schema, struct arena *scratch, omen_error *error)
{
    OMEN_ASSERT(row_group_state_of(group) == ROW_GROUP_FROZEN);
    OMEN_TRY(row_group_ensure_key(group, error));
    uint32_t rows = row_group_row_count(group), begun = 0;
    for (uint32_t slot = 0; slot < rows; slot++)
        begun += row_group_has_begun(group, slot);
    byte_writer_u64(writer, row_group_number(group));
    byte_writer_u32(writer, rows);
    put_begun(writer, group, rows, begun);
    for (uint32_t column = 0; column < schema->stored_count; column++)
        put_zone(writer, group, column);
    omen_status status = schema->key.kind == INDEX_WORD ? put_words(writer, group, scratch, begun)
                                                        : put_bytes(writer, group, scratch, begun);
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}

omen_status sidecar_encode(struct byte_writer *writer, const struct segment_identity *identity,
                           const uint64_t *page_checksums, struct row_group *const *groups,
                           uint32_t group_count, omen_error *error)
{
    OMEN_ASSERT(group_count >= 1 && group_count <= SEGMENT_GROUPS_MAX);
    const struct schema *schema = row_group_schema(groups[0]);
    size_t start = writer->length;
    put_head(writer, keys_magic, identity, group_count);
    byte_writer_u64(writer, identity->data_bytes);
    byte_writer_u32(writer, schema->stored_count);
    byte_writer_u32(writer, schema->key.kind);
    for (uint64_t page = 0; page < segment_page_count(identity->data_bytes); page++)
        byte_writer_u64(writer, page_checksums[page]);
    struct arena scratch;
    arena_init(&scratch, writer->allocator);
    omen_status status = OMEN_OK;
    for (uint32_t i = 0; i < group_count && status == OMEN_OK; i++) {
        status = put_group(writer, groups[i], schema, &scratch, error);
        arena_release(&scratch);
    }
    put_checksum(writer, start);
    if (status == OMEN_OK && writer->failed)
        status = error_set_default(error, OMEN_OUT_OF_MEMORY);
    return status;
}

/* --- decoding --- */

struct decoding {
    struct byte_reader left;
    const char *what;
    const struct segment_identity *identity;
    struct arena *arena;
    omen_error *error;
};

static omen_status damaged(const struct decoding *decoding, const char *what)
{
    return error_set(decoding->error, OMEN_CORRUPTED, "%s is damaged: %s", decoding->what, what);
}

static omen_status no_memory(const struct decoding *decoding)
{
    return error_set_default(decoding->error, OMEN_OUT_OF_MEMORY);
}

/* Checks the checksum, then whose file it is. */
static omen_status take_head(struct decoding *decoding, const uint8_t *data, size_t length,
                             const char *magic, uint32_t *group_count)
{
    struct byte_reader *left = &decoding->left;
    if (length < MAGIC_BYTES + sizeof(uint64_t) || memcmp(data, magic, MAGIC_BYTES) != 0)
        return damaged(decoding, "it does not begin as one");
    size_t body = length - sizeof(uint64_t);
    if (checksum64(data, body, 0) != bytes_get_u64(data + body))
        return damaged(decoding, "its checksum is wrong");
    *left = (struct byte_reader){.data = data + MAGIC_BYTES, .length = body - MAGIC_BYTES};
    uint32_t version = byte_reader_u32(left);
    if (!left->failed && version > FORMAT_VERSION)
        return error_set(decoding->error, OMEN_NOT_SUPPORTED,
                         "%s has format %u, which is newer than this version of OmenDB",
                         decoding->what, version);
    *group_count = byte_reader_u32(left);
    const uint8_t *database = byte_reader_take(left, sizeof decoding->identity->database_id);
    const uint8_t *uuid = byte_reader_take(left, sizeof decoding->identity->uuid);
    if (left->failed || version != FORMAT_VERSION || *group_count > SEGMENT_GROUPS_MAX)
        return damaged(decoding, "its head makes no sense");
    if (memcmp(database, decoding->identity->database_id, 16) != 0)
        return damaged(decoding, "it belongs to another database");
    if (memcmp(uuid, decoding->identity->uuid, 16) != 0)
        return damaged(decoding, "it belongs to another segment");
    return OMEN_OK;
}

/* A value in the one form that values have; false where it is none of the column's. */
static bool take_value(struct byte_reader *left, const struct schema *schema, uint32_t column,
                       omen_value *out)
{
    *out = (omen_value){.type = schema->columns[column].type};
    if (type_is_view(out->type.id)) {
        out->as.bytes.length = byte_reader_u8(left);
        out->as.bytes.data = byte_reader_take(left, out->as.bytes.length);
    } else if (out->type.id == OMEN_TYPE_BOOLEAN) {
        uint8_t truth = byte_reader_u8(left);
        out->as.boolean = truth == 1;
        left->failed = left->failed || truth > 1;
    } else {
        size_t width = type_width(out->type.id);
        const uint8_t *bytes = byte_reader_take(left, width);
        if (bytes != NULL)
            memcpy(&out->as, bytes, width);
    }
    return !left->failed && schema_check_value(schema, column, out, NULL) == OMEN_OK;
}

static omen_status take_zone(struct decoding *decoding, const struct schema *schema,
                             uint32_t column, uint32_t begun, struct zone *zone)
{
    uint8_t flags = byte_reader_u8(&decoding->left);
    *zone = (struct zone){.null_count = byte_reader_u32(&decoding->left), .row_count = begun};
    if (decoding->left.failed || flags > ZONE_KNOWN || zone->null_count > begun)
        return damaged(decoding, "a zone map makes no sense");
    if (flags != ZONE_KNOWN)
        return OMEN_OK;
    if (!take_value(&decoding->left, schema, column, &zone->min) ||
        !take_value(&decoding->left, schema, column, &zone->max) || zone->null_count == begun ||
        value_compare(&zone->min, &zone->max) > 0)
        return damaged(decoding, "a zone map makes no sense");
    zone->known = zone->exact = true;
    return OMEN_OK;
}

/* `*begun` gets a bitmap where some slots never began. */
static omen_status take_begun(struct decoding *decoding, uint32_t rows, uint32_t count,
                              uint64_t **begun)
{
    *begun = NULL;
    if (count == rows)
        return OMEN_OK;
    const uint8_t *bits = byte_reader_take(&decoding->left, (rows + 7) / 8);
    if (bits == NULL)
        return damaged(decoding, "it is too short");
    *begun = arena_alloc(decoding->arena, bit_words(rows) * sizeof **begun);
    if (*begun == NULL)
        return no_memory(decoding);
    (*begun)[bit_words(rows) - 1] = 0;
    memcpy(*begun, bits, (rows + 7) / 8);
    if (bit_count_set(*begun, rows) != count)
        return damaged(decoding, "its slots are miscounted");
    return OMEN_OK;
}

/* Every slot that began has one key, and no other has any. */
static omen_status check_slots(struct decoding *decoding, const struct sidecar_group *group)
{
    uint64_t seen[ROW_GROUP_ROWS / 64] = {0};
    uint32_t rows = group->facts.row_count;
    for (uint32_t i = 0; i < group->keys.count; i++) {
        uint32_t slot = group->keys.slots[i];
        if (slot >= rows || bit_get(seen, slot) ||
            (group->facts.begun != NULL && !bit_get(group->facts.begun, slot)))
            return damaged(decoding, "a key has no slot of its own");
        bit_set(seen, slot);
    }
    return OMEN_OK;
}

static omen_status take_keys(struct decoding *decoding, const struct schema *schema, uint32_t count,
                             struct sidecar_group *out)
{
    omen_status status =
        schema->key.kind == INDEX_WORD
            ? sidecar_take_words(&decoding->left, count, decoding->arena, &out->keys)
            : sidecar_take_bytes(&decoding->left, count, decoding->arena, &out->keys);
    if (status != OMEN_OK)
        return no_memory(decoding);
    if (decoding->left.failed)
        return damaged(decoding, "its keys make no sense");
    return check_slots(decoding, out);
}

static omen_status take_group(struct decoding *decoding, const struct schema *schema,
                              uint32_t ordinal, struct sidecar_group *out)
{
    struct byte_reader *left = &decoding->left;
    uint64_t number = byte_reader_u64(left);
    uint32_t rows = byte_reader_u32(left);
    uint32_t count = byte_reader_u32(left);
    if (left->failed || rows == 0 || rows > ROW_GROUP_ROWS || count > rows)
        return damaged(decoding, "a row group makes no sense");
    uint64_t *begun;
    OMEN_TRY(take_begun(decoding, rows, count, &begun));
    struct zone *zones = arena_alloc(decoding->arena, schema->stored_count * sizeof *zones);
    if (zones == NULL)
        return no_memory(decoding);
    for (uint32_t column = 0; column < schema->stored_count; column++)
        OMEN_TRY(take_zone(decoding, schema, column, count, &zones[column]));
    out->facts = (struct row_group_facts){
        .number = number, .row_count = rows, .ordinal = ordinal, .begun = begun, .zones = zones};
    return take_keys(decoding, schema, count, out);
}

static omen_status take_page_checksums(struct decoding *decoding, const uint64_t **out)
{
    uint64_t pages = segment_page_count(decoding->identity->data_bytes);
    if (pages > decoding->left.length / sizeof(uint64_t))
        return damaged(decoding, "it lacks checksums");
    const uint8_t *bytes = byte_reader_take(&decoding->left, pages * sizeof(uint64_t));
    uint64_t *checksums = arena_alloc(decoding->arena, pages * sizeof *checksums);
    if (checksums == NULL)
        return no_memory(decoding);
    for (uint64_t page = 0; page < pages; page++)
        checksums[page] = bytes_get_u64(bytes + page * sizeof(uint64_t));
    *out = checksums;
    return OMEN_OK;
}

omen_status sidecar_decode(const uint8_t *data, size_t length,
                           const struct segment_identity *identity, const struct schema *schema,
                           struct arena *arena, struct sidecar *out, omen_error *error)
{
    struct decoding decoding = {
        .what = "a segment's keys file", .identity = identity, .arena = arena, .error = error};
    *out = (struct sidecar){0};
    OMEN_TRY(take_head(&decoding, data, length, keys_magic, &out->group_count));
    uint64_t data_bytes = byte_reader_u64(&decoding.left);
    uint32_t columns = byte_reader_u32(&decoding.left);
    uint32_t kind = byte_reader_u32(&decoding.left);
    if (decoding.left.failed || data_bytes != identity->data_bytes ||
        columns != schema->stored_count || kind != (uint32_t)schema->key.kind)
        return damaged(&decoding, "it is of another table or file");
    OMEN_TRY(take_page_checksums(&decoding, &out->page_checksums));
    for (uint32_t i = 0; i < out->group_count; i++)
        OMEN_TRY(take_group(&decoding, schema, i, &out->groups[i]));
    return decoding.left.length == 0 ? OMEN_OK : damaged(&decoding, "it is too long");
}

/* --- ends --- */

/* Stands in an ends file for the number of a group that is not part of the table any more. */
#define GROUP_GONE UINT64_C(0)

static uint32_t find_ended(const struct row_group *group, uint64_t timestamp, uint64_t *bits)
{
    memset(bits, 0, ROW_GROUP_ROWS / 8);
    uint32_t rows = group != NULL ? row_group_row_count(group) : 0, count = 0;
    if (rows == 0 || row_group_ended_count(group) == 0)
        return 0;
    for (uint32_t slot = 0; slot < rows; slot++) {
        if (row_group_end(group, slot) > timestamp || !row_group_has_begun(group, slot))
            continue;
        bit_set(bits, slot);
        count++;
    }
    return count;
}

static void put_ended(struct byte_writer *writer, const struct row_group *group, uint32_t count,
                      const uint64_t *bits)
{
    uint32_t rows = group != NULL ? row_group_row_count(group) : 1;
    bool listed = count * sizeof(uint16_t) < (rows + 7) / 8;
    byte_writer_u64(writer, group != NULL ? row_group_number(group) : GROUP_GONE);
    byte_writer_u32(writer, count);
    byte_writer_u8(writer, listed ? ENDS_LISTED : ENDS_BITMAP);
    if (!listed) {
        byte_writer_put(writer, bits, (rows + 7) / 8); /* little-endian words */
        return;
    }
    for (uint32_t slot = 0; slot < rows; slot++)
        if (bit_get(bits, slot))
            byte_writer_u16(writer, (uint16_t)slot);
}

omen_status ends_encode(struct byte_writer *writer, const struct segment_identity *identity,
                        uint64_t timestamp, struct row_group *const *groups, uint32_t group_count,
                        uint64_t *ended)
{
    uint64_t bits[ROW_GROUP_ROWS / 64];
    size_t start = writer->length;
    *ended = 0;
    put_head(writer, ends_magic, identity, group_count);
    byte_writer_u64(writer, timestamp);
    for (uint32_t i = 0; i < group_count; i++) {
        uint32_t count = find_ended(groups[i], timestamp, bits);
        put_ended(writer, groups[i], count, bits);
        *ended += count;
    }
    put_checksum(writer, start);
    return writer->failed ? OMEN_OUT_OF_MEMORY : OMEN_OK;
}

/* The slots of one group; ascending and each once. */
static omen_status take_ended(struct decoding *decoding, struct row_group_facts *facts,
                              uint32_t count, uint8_t form)
{
    uint32_t rows = facts->row_count;
    uint64_t *bits = arena_alloc(decoding->arena, bit_words(rows) * sizeof *bits);
    if (bits == NULL)
        return no_memory(decoding);
    memset(bits, 0, bit_words(rows) * sizeof *bits);
    size_t bytes = form == ENDS_BITMAP ? (rows + 7) / 8 : count * sizeof(uint16_t);
    const uint8_t *given = byte_reader_take(&decoding->left, bytes);
    if (given == NULL)
        return damaged(decoding, "it is too short");
    if (form == ENDS_BITMAP)
        memcpy(bits, given, bytes);
    for (uint32_t i = 0; form == ENDS_LISTED && i < count; i++) {
        uint32_t slot = bytes_get_u16(given + i * sizeof(uint16_t));
        if (slot >= rows)
            return damaged(decoding, "a slot is not there");
        bit_set(bits, slot);
    }
    if (bit_count_set(bits, rows) != count)
        return damaged(decoding, "its slots are miscounted");
    for (uint32_t word = 0; facts->begun != NULL && word < bit_words(rows); word++)
        if ((bits[word] & ~facts->begun[word]) != 0)
            return damaged(decoding, "a slot ended that never began");
    facts->ended = count > 0 ? bits : NULL;
    return OMEN_OK;
}

omen_status ends_decode(const uint8_t *data, size_t length, const struct segment_identity *identity,
                        struct arena *arena, struct sidecar *sidecar, omen_error *error)
{
    struct decoding decoding = {
        .what = "a segment's ends file", .identity = identity, .arena = arena, .error = error};
    uint32_t group_count;
    OMEN_TRY(take_head(&decoding, data, length, ends_magic, &group_count));
    uint64_t timestamp = byte_reader_u64(&decoding.left);
    if (group_count != sidecar->group_count)
        return damaged(&decoding, "it has other row groups");
    for (uint32_t i = 0; i < group_count; i++) {
        struct row_group_facts *facts = &sidecar->groups[i].facts;
        uint64_t number = byte_reader_u64(&decoding.left);
        uint32_t count = byte_reader_u32(&decoding.left);
        uint8_t form = byte_reader_u8(&decoding.left);
        bool named = number == facts->number || (number == GROUP_GONE && count == 0);
        if (decoding.left.failed || !named || count > facts->row_count || form > ENDS_BITMAP)
            return damaged(&decoding, "it has other row groups");
        facts->ended_at = timestamp;
        OMEN_TRY(take_ended(&decoding, facts, count, form));
    }
    return decoding.left.length == 0 ? OMEN_OK : damaged(&decoding, "it is too long");
}
