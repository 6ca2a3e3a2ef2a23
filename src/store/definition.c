/* definition.c - encoding and decoding table definitions.
 *
 * Decoding leaves judging a definition to schema_define, which judges those of users: whatever
 * it refuses is damage here. Column ids are there for the day when columns are added and dropped;
 * until then a column's id is its position, counted from 1, and anything else is damage.
 */
#include "store/definition.h"

#include <string.h>

#include "base/arena.h"
#include "column/utf8.h"

enum {
    COLUMN_NULLABLE = 1,
    COLUMN_DEFAULT = 2,
    KEY_UNIQUES = 0x8000,         /* in the number of key columns: unique constraints follow */
    DEFAULT_BYTES_MAX = 16 << 20, /* a statement is no longer */
};

/* --- encoding --- */

static void encode_column(struct byte_writer *writer, uint32_t id,
                          const struct column_definition *column)
{
    byte_writer_u32(writer, id);
    byte_writer_text(writer, column->name, strlen(column->name));
    byte_writer_u8(writer, (uint8_t)column->type.id);
    byte_writer_u8(writer, column->type.precision);
    byte_writer_u8(writer, (uint8_t)column->type.scale);
    byte_writer_u8(writer, (uint8_t)((column->nullable ? COLUMN_NULLABLE : 0) |
                                     (column->default_text != NULL ? COLUMN_DEFAULT : 0)));
    byte_writer_u32(writer, column->type.length_max);
    if (column->default_text != NULL)
        byte_writer_text(writer, column->default_text, strlen(column->default_text));
}

static void encode_uniques(struct byte_writer *writer, const struct schema *schema)
{
    byte_writer_u16(writer, (uint16_t)schema->unique_count);
    for (uint32_t i = 0; i < schema->unique_count; i++) {
        const struct schema_key *unique = &schema->uniques[i];
        byte_writer_text(writer, unique->name, strlen(unique->name));
        byte_writer_u16(writer, (uint16_t)unique->count);
        for (uint32_t j = 0; j < unique->count; j++)
            byte_writer_u16(writer, (uint16_t)unique->columns[j]);
    }
}

void definition_encode(struct byte_writer *writer, uint64_t id, const char *name,
                       const struct schema *schema)
{
    byte_writer_u64(writer, id);
    byte_writer_text(writer, name, strlen(name));
    byte_writer_u16(writer, (uint16_t)schema->column_count);
    uint32_t key_count = schema->key_hidden ? 0 : schema->key.count;
    byte_writer_u16(writer, (uint16_t)(key_count | (schema->unique_count > 0 ? KEY_UNIQUES : 0)));
    for (uint32_t i = 0; i < schema->column_count; i++)
        encode_column(writer, i + 1, &schema->columns[i]);
    for (uint32_t i = 0; i < key_count; i++)
        byte_writer_u16(writer, (uint16_t)schema->key.columns[i]);
    if (schema->unique_count > 0)
        encode_uniques(writer, schema);
}

uint32_t definition_format(const struct schema *schema)
{
    return schema->unique_count > 0 ? DEFINITION_UNIQUES : DEFINITION_FIRST;
}

/* --- decoding --- */

static omen_status damaged(omen_error *error)
{
    return error_set(error, OMEN_CORRUPTED, "the definition of a table is damaged");
}

/* A text without zeros, copied with one behind it; NULL, and the reader has failed, where it is
 * none; NULL and the reader has not where memory is out. */
static char *take_text(struct byte_reader *reader, struct arena *arena, size_t bytes_max)
{
    size_t length;
    const uint8_t *text = byte_reader_text(reader, &length);
    if (text == NULL || length > bytes_max || memchr(text, 0, length) != NULL) {
        reader->failed = true;
        return NULL;
    }
    return arena_copy_text(arena, (const char *)text, length);
}

static omen_status decode_column(struct byte_reader *reader, struct arena *arena, uint32_t id,
                                 struct column_definition *out, omen_error *error)
{
    *out = (struct column_definition){0};
    if (byte_reader_u32(reader) != id)
        reader->failed = true;
    out->name = take_text(reader, arena, SCHEMA_NAME_BYTES_MAX);
    uint8_t type = byte_reader_u8(reader);
    out->type.id = (omen_type_id)type;
    out->type.precision = byte_reader_u8(reader);
    out->type.scale = (int8_t)byte_reader_u8(reader);
    uint8_t flags = byte_reader_u8(reader);
    out->type.length_max = byte_reader_u32(reader);
    out->nullable = (flags & COLUMN_NULLABLE) != 0;
    if (type > OMEN_TYPE_UUID || (flags & ~(COLUMN_NULLABLE | COLUMN_DEFAULT)) != 0)
        reader->failed = true;
    if ((flags & COLUMN_DEFAULT) != 0)
        out->default_text = take_text(reader, arena, DEFAULT_BYTES_MAX);
    if (reader->failed)
        return damaged(error);
    if (out->name == NULL || ((flags & COLUMN_DEFAULT) != 0 && out->default_text == NULL))
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    return OMEN_OK;
}

/* The columns of a key; NULL where they are none, and the reader has failed, or memory is out. */
static uint32_t *decode_key(struct byte_reader *reader, struct arena *arena, uint32_t count)
{
    if (count > SCHEMA_KEY_COLUMNS_MAX)
        reader->failed = true;
    uint32_t *columns = reader->failed ? NULL : arena_alloc(arena, count * sizeof *columns);
    for (uint32_t i = 0; columns != NULL && i < count; i++)
        columns[i] = byte_reader_u16(reader);
    return columns;
}

static omen_status decode_uniques(struct byte_reader *reader, struct arena *arena,
                                  struct schema_definition *out, omen_error *error)
{
    out->unique_count = byte_reader_u16(reader);
    if (reader->failed || out->unique_count == 0 || out->unique_count > SCHEMA_UNIQUES_MAX)
        return damaged(error);
    struct unique_definition *uniques = arena_alloc(arena, out->unique_count * sizeof *uniques);
    bool room = uniques != NULL;
    for (uint32_t i = 0; room && i < out->unique_count; i++) {
        uniques[i].name = take_text(reader, arena, SCHEMA_NAME_BYTES_MAX);
        uniques[i].column_count = byte_reader_u16(reader);
        uniques[i].columns = decode_key(reader, arena, uniques[i].column_count);
        room = uniques[i].name != NULL && uniques[i].columns != NULL;
    }
    if (reader->failed)
        return damaged(error);
    out->uniques = uniques;
    return room ? OMEN_OK : error_set_default(error, OMEN_OUT_OF_MEMORY);
}

static omen_status decode_schema(struct byte_reader *reader, struct allocator *allocator,
                                 struct arena *arena, struct schema **out, omen_error *error)
{
    struct schema_definition definition = {.column_count = byte_reader_u16(reader)};
    uint32_t keys = byte_reader_u16(reader);
    definition.key_count = keys & ~(uint32_t)KEY_UNIQUES;
    if (reader->failed || definition.column_count == 0 ||
        definition.column_count > SCHEMA_COLUMNS_MAX ||
        definition.key_count > SCHEMA_KEY_COLUMNS_MAX)
        return damaged(error);
    struct column_definition *columns =
        arena_alloc(arena, definition.column_count * sizeof *columns);
    if (columns == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < definition.column_count; i++)
        OMEN_TRY(decode_column(reader, arena, i + 1, &columns[i], error));
    definition.columns = columns;
    definition.key_columns = decode_key(reader, arena, definition.key_count);
    if (reader->failed)
        return damaged(error);
    if (definition.key_columns == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    if ((keys & KEY_UNIQUES) != 0)
        OMEN_TRY(decode_uniques(reader, arena, &definition, error));
    omen_status status = schema_define(allocator, &definition, out, NULL);
    if (status == OMEN_OUT_OF_MEMORY)
        return error_set_default(error, status);
    return status == OMEN_OK ? OMEN_OK : damaged(error);
}

omen_status definition_decode(struct byte_reader *reader, struct allocator *allocator,
                              struct table_definition *out, omen_error *error)
{
    *out = (struct table_definition){.id = byte_reader_u64(reader)};
    size_t length;
    const uint8_t *name = byte_reader_text(reader, &length);
    if (reader->failed || out->id == 0 || length > SCHEMA_NAME_BYTES_MAX ||
        memchr(name, 0, length) != NULL)
        return damaged(error);
    memcpy(out->name, name, length);
    if (definition_check_name(out->name, NULL) != OMEN_OK)
        return damaged(error);
    struct arena arena;
    arena_init(&arena, allocator);
    omen_status status = decode_schema(reader, allocator, &arena, &out->schema, error);
    arena_release(&arena);
    return status;
}

void definition_release(struct table_definition *definition)
{
    schema_release(definition->schema);
    definition->schema = NULL;
}

/* --- names --- */

omen_status definition_check_name(const char *name, omen_error *error)
{
    size_t length = strlen(name);
    if (length == 0)
        return error_set(error, OMEN_INVALID_TABLE, "a table needs a name");
    if (length > SCHEMA_NAME_BYTES_MAX)
        return error_set(error, OMEN_NAME_TOO_LONG,
                         "identifier \"%.64s...\" is longer than %d bytes", name,
                         SCHEMA_NAME_BYTES_MAX);
    if (!utf8_is_valid((const uint8_t *)name, length))
        return error_set(error, OMEN_INVALID_ENCODING, "a table name is not valid UTF-8");
    return OMEN_OK;
}
