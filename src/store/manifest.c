/* manifest.c - encoding, decoding and replacing the manifest.
 *
 *   0   8  magic                      64  body:
 *   8   4  format                         timestamp, start_lsn, proven_lsn, written_us: u64 each
 *  12   4  bytes of the header, 64        table_id_next u64
 *  16  16  database id                    table count u32, then for each table:
 *  32   8  length of the file                 definition (definition.c)
 *  40   8  generation                         group_number_next, hidden_key_next: u64 each
 *  48   8  checksum of the body               segment count u32, then each: u32 length, facts
 *  56   8  checksum of bytes 0 to 55
 *
 * The header keeps its layout in every format, so that an older build can tell a newer database
 * from a damaged one.
 *
 * Replacing (R8.4). Until the rename the old manifest counts. From the rename until the directory's
 * sync has succeeded a crash may leave either: nothing that either names may be deleted, and
 * after a failed sync nobody ever knows, so no further manifest is written while the database
 * stays open. So the directory is opened before the rename: a process that may open no more files
 * is no failed sync, and must not be taken for one.
 */
#include "store/manifest.h"

#include <assert.h>

#include "base/checksum.h"
#include "store/path.h"

#define MANIFEST_MAGIC UINT64_C(0x54534D4E454D4F1A) /* 1A "OMENMST" */

enum {
    AT_MAGIC = 0,
    AT_FORMAT = 8,
    AT_HEADER_BYTES = 12,
    AT_DATABASE_ID = 16,
    AT_LENGTH = 32,
    AT_GENERATION = 40,
    AT_BODY_SUM = 48,
    AT_HEADER_SUM = 56,
    HEADER_BYTES = 64,

    FILE_BYTES_MAX = 1 << 30,
    TABLE_BYTES_MIN = 8 + 4 + 1 + 2 + 2 + 8 + 8 + 4, /* of any table in the body */
    SEGMENT_BYTES_MIN = 4,
};

static_assert(AT_HEADER_SUM + 8 == HEADER_BYTES, "the header has no gaps");
static_assert((int)DEFINITION_NEWEST == (int)MANIFEST_FORMAT, "definitions are what has changed");
static_assert(AT_DATABASE_ID + DATABASE_ID_BYTES == AT_LENGTH, "the header has no gaps");

/* --- encoding --- */

static void encode_table(struct byte_writer *writer, const struct manifest_table *table)
{
    const struct table_definition *definition = &table->definition;
    definition_encode(writer, definition->id, definition->name, definition->schema);
    byte_writer_u64(writer, table->group_number_next);
    byte_writer_u64(writer, (uint64_t)table->hidden_key_next);
    byte_writer_u32(writer, (uint32_t)table->segment_count);
    for (size_t i = 0; i < table->segment_count; i++)
        byte_writer_text(writer, table->segments[i].facts, table->segments[i].facts_bytes);
}

/* The oldest that has what the tables need: so an older build opens what it can. */
static uint32_t format_of(const struct manifest *manifest)
{
    uint32_t format = DEFINITION_FIRST;
    for (size_t i = 0; i < manifest->table_count; i++) {
        uint32_t needed = definition_format(manifest->tables[i].definition.schema);
        format = needed > format ? needed : format;
    }
    return format;
}

void manifest_encode(struct byte_writer *writer, const struct manifest *manifest)
{
    size_t start = writer->length;
    uint8_t *header = byte_writer_reserve(writer, HEADER_BYTES);
    if (header != NULL)
        memset(header, 0, HEADER_BYTES);
    byte_writer_u64(writer, manifest->timestamp);
    byte_writer_u64(writer, manifest->start_lsn);
    byte_writer_u64(writer, manifest->proven_lsn);
    byte_writer_u64(writer, (uint64_t)manifest->written_us);
    byte_writer_u64(writer, manifest->table_id_next);
    byte_writer_u32(writer, (uint32_t)manifest->table_count);
    for (size_t i = 0; i < manifest->table_count; i++)
        encode_table(writer, &manifest->tables[i]);
    if (writer->failed)
        return;
    header = writer->data + start;
    uint64_t length = writer->length - start;
    bytes_put_u64(header + AT_MAGIC, MANIFEST_MAGIC);
    bytes_put_u32(header + AT_FORMAT, format_of(manifest));
    bytes_put_u32(header + AT_HEADER_BYTES, HEADER_BYTES);
    memcpy(header + AT_DATABASE_ID, manifest->database_id, DATABASE_ID_BYTES);
    bytes_put_u64(header + AT_LENGTH, length);
    bytes_put_u64(header + AT_GENERATION, manifest->generation);
    bytes_put_u64(header + AT_BODY_SUM,
                  checksum64(header + HEADER_BYTES, length - HEADER_BYTES, manifest->generation));
    bytes_put_u64(header + AT_HEADER_SUM, checksum64(header, AT_HEADER_SUM, 0));
}

/* --- decoding --- */

static omen_status damaged(const char *name, const char *what, omen_error *error)
{
    return error_set(error, OMEN_CORRUPTED, "\"%s\" is damaged: %s", name, what);
}

static omen_status check_header(const uint8_t *data, size_t length, const char *name,
                                omen_error *error)
{
    if (length < HEADER_BYTES)
        return damaged(name, "it is too short", error);
    if (bytes_get_u64(data + AT_MAGIC) != MANIFEST_MAGIC)
        return damaged(name, "it does not begin as a manifest", error);
    if (bytes_get_u64(data + AT_HEADER_SUM) != checksum64(data, AT_HEADER_SUM, 0))
        return damaged(name, "the checksum of its header is wrong", error);
    uint32_t format = bytes_get_u32(data + AT_FORMAT);
    if (format > MANIFEST_FORMAT)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "\"%s\" has format %u, which a newer OmenDB wrote; this one reads formats "
                         "up to %d",
                         name, (unsigned)format, MANIFEST_FORMAT);
    if (format == 0 || bytes_get_u32(data + AT_HEADER_BYTES) != HEADER_BYTES ||
        bytes_get_u64(data + AT_LENGTH) != length)
        return damaged(name, "its length is not the one it was written with", error);
    uint64_t sum =
        checksum64(data + HEADER_BYTES, length - HEADER_BYTES, bytes_get_u64(data + AT_GENERATION));
    if (bytes_get_u64(data + AT_BODY_SUM) != sum)
        return damaged(name, "the checksum of its content is wrong", error);
    return OMEN_OK;
}

static omen_status decode_segments(struct byte_reader *reader, struct arena *arena,
                                   struct manifest_table *table, const char *name,
                                   omen_error *error)
{
    size_t count = byte_reader_u32(reader);
    if (reader->failed || count > reader->length / SEGMENT_BYTES_MIN)
        return damaged(name, "a table's segments are cut off", error);
    table->segments = arena_alloc(arena, count * sizeof *table->segments);
    if (table->segments == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (size_t i = 0; i < count; i++) {
        size_t bytes;
        const uint8_t *facts = byte_reader_text(reader, &bytes);
        if (reader->failed)
            return damaged(name, "a table's segments are cut off", error);
        uint8_t *copy = arena_alloc(arena, bytes);
        if (copy == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        if (bytes > 0)
            memcpy(copy, facts, bytes);
        table->segments[i] = (struct manifest_segment){.facts = copy, .facts_bytes = bytes};
    }
    table->segment_count = count;
    return OMEN_OK;
}

/* Ids below table_id_next, and no id or name twice. */
static omen_status check_table(const struct manifest *manifest, size_t position, const char *name,
                               omen_error *error)
{
    const struct table_definition *table = &manifest->tables[position].definition;
    if (table->id >= manifest->table_id_next)
        return damaged(name, "a table's id was never given out", error);
    for (size_t i = 0; i < position; i++)
        if (manifest->tables[i].definition.id == table->id ||
            strcmp(manifest->tables[i].definition.name, table->name) == 0)
            return damaged(name, "it lists a table twice", error);
    return OMEN_OK;
}

static omen_status decode_tables(struct byte_reader *reader, struct allocator *allocator,
                                 const char *name, struct manifest *out, omen_error *error)
{
    size_t count = byte_reader_u32(reader);
    if (reader->failed || count > reader->length / TABLE_BYTES_MIN)
        return damaged(name, "its tables are cut off", error);
    out->tables = arena_alloc(&out->arena, count * sizeof *out->tables);
    if (out->tables == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (size_t i = 0; i < count; i++) {
        struct manifest_table *table = &out->tables[i];
        *table = (struct manifest_table){0};
        OMEN_TRY(definition_decode(reader, allocator, &table->definition, error));
        out->table_count = i + 1;
        table->group_number_next = byte_reader_u64(reader);
        table->hidden_key_next = (int64_t)byte_reader_u64(reader);
        if (reader->failed || table->group_number_next == 0 || table->hidden_key_next < 1)
            return damaged(name, "a table's counters are wrong", error);
        OMEN_TRY(decode_segments(reader, &out->arena, table, name, error));
        OMEN_TRY(check_table(out, i, name, error));
    }
    return OMEN_OK;
}

omen_status manifest_decode(const uint8_t *data, size_t length, struct allocator *allocator,
                            const char *name, struct manifest *out, omen_error *error)
{
    *out = (struct manifest){0};
    arena_init(&out->arena, allocator);
    OMEN_TRY(check_header(data, length, name, error));
    memcpy(out->database_id, data + AT_DATABASE_ID, DATABASE_ID_BYTES);
    out->generation = bytes_get_u64(data + AT_GENERATION);
    struct byte_reader reader = {.data = data + HEADER_BYTES, .length = length - HEADER_BYTES};
    out->timestamp = byte_reader_u64(&reader);
    out->start_lsn = byte_reader_u64(&reader);
    out->proven_lsn = byte_reader_u64(&reader);
    out->written_us = (int64_t)byte_reader_u64(&reader);
    out->table_id_next = byte_reader_u64(&reader);
    if (reader.failed || out->timestamp == 0 || out->proven_lsn < out->start_lsn ||
        out->table_id_next == 0)
        return damaged(name, "its counters are wrong", error);
    OMEN_TRY(decode_tables(&reader, allocator, name, out, error));
    if (reader.length != 0)
        return damaged(name, "something follows its end", error);
    return OMEN_OK;
}

void manifest_release(struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->table_count; i++)
        definition_release(&manifest->tables[i].definition);
    arena_release(&manifest->arena);
    *manifest = (struct manifest){.arena = manifest->arena};
}

/* --- files --- */

static omen_status read_whole(const struct os *os, int64_t file, const char *path,
                              struct allocator *allocator, uint8_t **data, size_t *length,
                              omen_error *error)
{
    uint64_t bytes;
    *data = NULL;
    *length = 0;
    OMEN_TRY(os->file_size(os, file, &bytes, error));
    if (bytes == 0 || bytes > FILE_BYTES_MAX)
        return damaged(path, bytes == 0 ? "it is empty" : "it is too long", error);
    uint8_t *buffer = allocator_alloc(allocator, bytes);
    if (buffer == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    size_t got;
    omen_status status = os->file_read_at(os, file, buffer, bytes, 0, &got, error);
    if (status == OMEN_OK && got < bytes)
        status = damaged(path, "it is too short", error);
    if (status != OMEN_OK) {
        allocator_free(allocator, buffer, bytes);
        return status;
    }
    *data = buffer;
    *length = bytes;
    return OMEN_OK;
}

omen_status manifest_read(const struct os *os, const char *directory, struct allocator *allocator,
                          struct manifest *out, omen_error *error)
{
    char path[STORE_PATH_BYTES];
    int64_t file;
    uint8_t *data;
    size_t length;
    *out = (struct manifest){0};
    arena_init(&out->arena, allocator);
    OMEN_TRY(path_join(path, directory, MANIFEST_NAME, error));
    OMEN_TRY(os->file_open(os, path, OS_OPEN_READ, &file, error));
    omen_status status = read_whole(os, file, path, allocator, &data, &length, error);
    os->file_close(os, file);
    if (status == OMEN_OK)
        status = manifest_decode(data, length, allocator, path, out, error);
    allocator_free(allocator, data, length);
    return status;
}

/* Writes `manifest.new` and makes its content durable; it stays open. */
static omen_status write_new(const struct os *os, const char *path,
                             const struct byte_writer *content, int64_t *file, omen_error *error)
{
    omen_status status = os->file_remove(os, path, NULL);
    if (status != OMEN_OK && status != OMEN_FILE_NOT_FOUND)
        return error_set(error, status, "could not remove \"%s\"", path);
    OMEN_TRY(os->file_open(os, path, OS_OPEN_CREATE_NEW, file, error));
    status = os->file_write_at(os, *file, content->data, content->length, 0, error);
    if (status == OMEN_OK)
        status = os->file_sync(os, *file, error);
    if (status == OMEN_OK)
        return OMEN_OK;
    os->file_close(os, *file);
    (void)os->file_remove(os, path, NULL);
    return status;
}

/* Makes `manifest.new` durable, with what the manifest says. */
static omen_status write_content(const struct os *os, const char *directory,
                                 struct allocator *allocator, const struct manifest *manifest,
                                 omen_error *error)
{
    char path_new[STORE_PATH_BYTES];
    struct byte_writer content = {.allocator = allocator};
    int64_t file;
    OMEN_TRY(path_join(path_new, directory, MANIFEST_NEW_NAME, error));
    manifest_encode(&content, manifest);
    omen_status status = OMEN_OK;
    if (content.failed)
        status = error_set_default(error, OMEN_OUT_OF_MEMORY);
    else if (content.length > FILE_BYTES_MAX)
        status = error_set(error, OMEN_LIMIT_EXCEEDED, "the manifest has become too long");
    if (status == OMEN_OK)
        status = write_new(os, path_new, &content, &file, error);
    byte_writer_release(&content);
    if (status == OMEN_OK)
        os->file_close(os, file);
    return status;
}

/* Puts `manifest.new` in the manifest's place. `opened` is the directory. */
static omen_status swap(const struct os *os, const char *directory, int64_t opened,
                        enum manifest_state *state, omen_error *error)
{
    char path[STORE_PATH_BYTES], path_new[STORE_PATH_BYTES];
    OMEN_TRY(path_join(path, directory, MANIFEST_NAME, error));
    OMEN_TRY(path_join(path_new, directory, MANIFEST_NEW_NAME, error));
    omen_status status = os->file_rename(os, path_new, path, error);
    if (status != OMEN_OK) {
        /* A system without room or memory has not done it; after any other failure, who knows. */
        bool undone = status == OMEN_DISK_FULL || status == OMEN_OUT_OF_MEMORY;
        *state = undone ? MANIFEST_OLD : MANIFEST_UNKNOWN;
        return status;
    }
    *state = MANIFEST_UNKNOWN;
    OMEN_TRY(os->directory_sync_open(os, opened, error));
    *state = MANIFEST_NEW;
    return OMEN_OK;
}

omen_status manifest_write(const struct os *os, const char *directory, struct allocator *allocator,
                           const struct manifest *manifest, enum manifest_state *state,
                           omen_error *error)
{
    int64_t opened;
    *state = MANIFEST_OLD;
    OMEN_TRY(os->directory_open(os, directory, &opened, error));
    omen_status status = write_content(os, directory, allocator, manifest, error);
    if (status == OMEN_OK)
        status = swap(os, directory, opened, state, error);
    os->file_close(os, opened);
    return status;
}
