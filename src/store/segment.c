/* segment.c - opening segments, reading their columns, and letting go of them.
 *
 * The data file is read in whole pages of 4 KiB, each checked against its checksum before the
 * codec sees a byte of it (R8.5). What fails is said with its place; nothing is remembered, so that
 * a later read tries again. The file is open only while something is read: there may be many more
 * segments than a process may have files.
 */
#include "store/segment.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/checksum.h"
#include "os/thread.h"
#include "store/segment_private.h"

enum { READ_PAGES = 16, READ_BYTES = READ_PAGES * SEGMENT_PAGE_BYTES, UUID_TEXT_BYTES = 37 };

/* --- names --- */

static void uuid_text(const uint8_t uuid[16], char text[UUID_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char *at = text;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[uuid[i] >> 4];
        *at++ = digits[uuid[i] & 15];
    }
    *at = '\0';
}

void segment_path(const char *directory, const struct segment_facts *facts, enum segment_file what,
                  char path[SEGMENT_PATH_BYTES_MAX])
{
    char text[UUID_TEXT_BYTES];
    const char *ending = facts->codec_id == SEGMENT_CODEC_PARQUET ? "parquet" : "plain";
    if (what != SEGMENT_DATA)
        ending = what == SEGMENT_KEYS ? "keys" : "ends";
    uuid_text(what == SEGMENT_ENDS ? facts->ends_uuid : facts->uuid, text);
    snprintf(path, SEGMENT_PATH_BYTES_MAX, "%s/%s.%s", directory, text, ending);
}

/* --- facts --- */

void segment_facts_put(struct byte_writer *writer, const struct segment_facts *facts)
{
    byte_writer_put(writer, facts->uuid, sizeof facts->uuid);
    byte_writer_put(writer, facts->ends_uuid, sizeof facts->ends_uuid);
    byte_writer_u32(writer, facts->codec_id);
    byte_writer_u32(writer, facts->group_count);
    byte_writer_u64(writer, facts->data_bytes);
    byte_writer_u64(writer, facts->keys_bytes);
    byte_writer_u64(writer, facts->keys_checksum);
    byte_writer_u64(writer, facts->ends_bytes);
    byte_writer_u64(writer, facts->ends_checksum);
    byte_writer_u32(writer, facts->dropped);
    byte_writer_u32(writer, 0); /* room to come */
}

bool segment_facts_take(const uint8_t *bytes, size_t length, struct segment_facts *facts)
{
    struct byte_reader reader = {.data = bytes, .length = length};
    *facts = (struct segment_facts){0};
    if (length != SEGMENT_FACTS_BYTES)
        return false;
    memcpy(facts->uuid, byte_reader_take(&reader, 16), 16);
    memcpy(facts->ends_uuid, byte_reader_take(&reader, 16), 16);
    facts->codec_id = byte_reader_u32(&reader);
    facts->group_count = byte_reader_u32(&reader);
    facts->data_bytes = byte_reader_u64(&reader);
    facts->keys_bytes = byte_reader_u64(&reader);
    facts->keys_checksum = byte_reader_u64(&reader);
    facts->ends_bytes = byte_reader_u64(&reader);
    facts->ends_checksum = byte_reader_u64(&reader);
    facts->dropped = byte_reader_u32(&reader);
    return facts->group_count >= 1 && facts->group_count <= SEGMENT_GROUPS_MAX &&
           facts->dropped < (1u << facts->group_count) && byte_reader_u32(&reader) == 0;
}

const struct segment_facts *segment_facts_of(const struct segment *segment)
{
    return &segment->facts;
}

uint64_t segment_group_number(const struct segment *segment, uint32_t ordinal)
{
    OMEN_ASSERT(ordinal < segment->facts.group_count);
    return segment->group_numbers[ordinal];
}

uint32_t segment_group_rows(const struct segment *segment, uint32_t ordinal)
{
    OMEN_ASSERT(ordinal < segment->facts.group_count);
    return segment->group_rows[ordinal];
}

/* --- reading --- */

static omen_status page_damaged(const struct segment *segment, uint64_t page, omen_error *error)
{
    char path[SEGMENT_PATH_BYTES_MAX];
    segment_path(segment->directory, &segment->facts, SEGMENT_DATA, path);
    return error_set(error, OMEN_CORRUPTED,
                     "segment \"%.300s\" is damaged: wrong checksum of the 4 KiB at byte %llu",
                     path, (unsigned long long)(page * SEGMENT_PAGE_BYTES));
}

/* A segment's data file while it is read. */
struct data_file {
    const struct segment *segment;
    int64_t handle;
};

/* Opens it and sees that it is as long as it should be. */
static omen_status data_open(struct data_file *file, const struct segment *segment,
                             omen_error *error)
{
    char path[SEGMENT_PATH_BYTES_MAX];
    uint64_t bytes;
    const struct os *os = segment->os;
    segment_path(segment->directory, &segment->facts, SEGMENT_DATA, path);
    OMEN_TRY(os->file_open(os, path, OS_OPEN_READ, &file->handle, error));
    omen_status status = os->file_size(os, file->handle, &bytes, error);
    if (status == OMEN_OK && bytes != segment->facts.data_bytes)
        status = error_set(
            error, OMEN_CORRUPTED, "segment \"%.300s\" is damaged: it has %llu bytes, not %llu",
            path, (unsigned long long)bytes, (unsigned long long)segment->facts.data_bytes);
    if (status != OMEN_OK)
        os->file_close(os, file->handle);
    file->segment = segment;
    return status;
}

static void data_close(const struct data_file *file)
{
    file->segment->os->file_close(file->segment->os, file->handle);
}

/* Reads pages [first, first + count), of which the last may be short, and checks them. */
static omen_status read_pages(const struct data_file *file, uint64_t first, uint32_t count,
                              uint8_t *buffer, omen_error *error)
{
    const struct segment *segment = file->segment;
    uint64_t offset = first * SEGMENT_PAGE_BYTES;
    size_t length =
        size_min((size_t)count * SEGMENT_PAGE_BYTES, segment->facts.data_bytes - offset);
    size_t got;
    OMEN_TRY(
        segment->os->file_read_at(segment->os, file->handle, buffer, length, offset, &got, error));
    for (uint32_t i = 0; i < count; i++) {
        size_t at = (size_t)i * SEGMENT_PAGE_BYTES;
        size_t bytes = size_min(SEGMENT_PAGE_BYTES, length - at);
        if (at + bytes > got || segment_page_checksum(segment->facts.uuid, first + i, buffer + at,
                                                      bytes) != segment->page_checksums[first + i])
            return page_damaged(segment, first + i, error);
    }
    return OMEN_OK;
}

static omen_status read_bytes(void *context, uint64_t offset, void *buffer, size_t length,
                              omen_error *error)
{
    const struct data_file *file = context;
    const struct segment *segment = file->segment;
    uint8_t pages[READ_BYTES];
    uint8_t *to = buffer;
    if (offset > segment->facts.data_bytes || length > segment->facts.data_bytes - offset)
        return error_set(error, OMEN_CORRUPTED, "a segment of %llu bytes was to be read at %llu",
                         (unsigned long long)segment->facts.data_bytes, (unsigned long long)offset);
    while (length > 0) {
        uint64_t page = offset / SEGMENT_PAGE_BYTES;
        size_t skip = offset % SEGMENT_PAGE_BYTES;
        size_t wanted = (skip + length + SEGMENT_PAGE_BYTES - 1) / SEGMENT_PAGE_BYTES;
        uint32_t count = (uint32_t)size_min(wanted, READ_PAGES);
        size_t piece = size_min(length, (size_t)count * SEGMENT_PAGE_BYTES - skip);
        OMEN_TRY(read_pages(file, page, count, pages, error));
        memcpy(to, pages + skip, piece);
        to += piece;
        offset += piece;
        length -= piece;
    }
    return OMEN_OK;
}

omen_status segment_verify(struct segment *segment, omen_error *error)
{
    uint8_t pages[READ_BYTES];
    uint64_t total = segment_page_count(segment->facts.data_bytes);
    struct data_file file;
    OMEN_TRY(data_open(&file, segment, error));
    omen_status status = OMEN_OK;
    for (uint64_t page = 0; page < total && status == OMEN_OK; page += READ_PAGES)
        status =
            read_pages(&file, page, (uint32_t)size_min(READ_PAGES, total - page), pages, error);
    data_close(&file);
    return status;
}

/* --- columns of a group, for row_group_load --- */

/* The codec's stream, and what it reads from. */
struct column_stream {
    struct segment *segment; /* referenced */
    struct data_file file;
    omen_engine_reader reader;
    struct ArrowSchema schema;
    struct ArrowArrayStream inner;
};

static int column_get_schema(struct ArrowArrayStream *self, struct ArrowSchema *out)
{
    struct column_stream *stream = self->private_data;
    return stream->inner.get_schema(&stream->inner, out);
}

static int column_get_next(struct ArrowArrayStream *self, struct ArrowArray *out)
{
    struct column_stream *stream = self->private_data;
    return stream->inner.get_next(&stream->inner, out);
}

static const char *column_get_last_error(struct ArrowArrayStream *self)
{
    struct column_stream *stream = self->private_data;
    return stream->inner.get_last_error(&stream->inner);
}

static void column_stream_free(struct column_stream *stream)
{
    struct segment *segment = stream->segment;
    if (stream->inner.release != NULL)
        stream->inner.release(&stream->inner);
    if (stream->schema.release != NULL)
        stream->schema.release(&stream->schema);
    data_close(&stream->file);
    allocator_free(segment->allocator, stream, sizeof *stream);
    segment_release(segment);
}

static void column_release(struct ArrowArrayStream *self)
{
    column_stream_free(self->private_data);
    self->release = NULL;
}

static struct segment *segment_of(struct row_group_source *source)
{
    return (struct segment *)(void *)source; /* its first member */
}

static omen_status file_schema(const struct segment *segment, struct ArrowSchema *out)
{
    uint32_t *columns;
    const struct schema *schema = segment->schema;
    OMEN_TRY(segment_columns(segment->allocator, schema, &columns));
    omen_status status = schema_to_arrow(schema, columns, schema->stored_count, out);
    allocator_free(segment->allocator, columns, schema->stored_count * sizeof *columns);
    return status;
}

static omen_status source_read(struct row_group_source *source, uint32_t ordinal,
                               const uint32_t *columns, uint32_t column_count,
                               struct ArrowArrayStream *out, omen_error *error)
{
    struct segment *segment = segment_of(source);
    struct column_stream *stream = allocator_alloc_zeroed(segment->allocator, sizeof *stream);
    if (stream == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_status status = data_open(&stream->file, segment, error);
    if (status != OMEN_OK) {
        allocator_free(segment->allocator, stream, sizeof *stream);
        return status;
    }
    stream->segment = segment_retain(segment);
    stream->reader = (omen_engine_reader){
        .read = read_bytes, .context = &stream->file, .length = segment->facts.data_bytes};
    status = file_schema(segment, &stream->schema);
    if (status != OMEN_OK)
        error_set_default(error, status);
    else
        status = segment->codec.read(segment->codec.context, &stream->schema, &stream->reader,
                                     ordinal, columns, column_count, &stream->inner, error);
    if (status != OMEN_OK) {
        column_stream_free(stream);
        return status;
    }
    *out = (struct ArrowArrayStream){column_get_schema, column_get_next, column_get_last_error,
                                     column_release, stream};
    return OMEN_OK;
}

static void source_retain(struct row_group_source *source)
{
    segment_retain(segment_of(source));
}

static void source_release(struct row_group_source *source)
{
    segment_release(segment_of(source));
}

/* --- opening --- */

/* A whole file of an expected length and checksum, in the arena. */
static omen_status read_file(const struct segment_options *options, const char *path,
                             uint64_t bytes, uint64_t checksum, struct arena *arena, uint8_t **out,
                             omen_error *error)
{
    const struct os *os = options->os;
    int64_t file;
    size_t got = 0;
    uint64_t size = 0;
    OMEN_TRY(os->file_open(os, path, OS_OPEN_READ, &file, error));
    omen_status status = os->file_size(os, file, &size, error);
    if (status == OMEN_OK && size != bytes)
        status =
            error_set(error, OMEN_CORRUPTED, "\"%.300s\" is damaged: it has %llu bytes, not %llu",
                      path, (unsigned long long)size, (unsigned long long)bytes);
    *out = status == OMEN_OK ? arena_alloc(arena, bytes) : NULL;
    if (status == OMEN_OK && *out == NULL)
        status = error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (status == OMEN_OK)
        status = os->file_read_at(os, file, *out, bytes, 0, &got, error);
    os->file_close(os, file);
    OMEN_TRY(status);
    if (got == bytes && checksum64(*out, bytes, 0) == checksum)
        return OMEN_OK;
    return error_set(error, OMEN_CORRUPTED, "\"%.300s\" is damaged: its checksum is wrong", path);
}

/* Puts the file that an error is about before it. */
static omen_status name_file(const char *path, omen_status status, omen_error *error)
{
    if (status != OMEN_OK && status != OMEN_OUT_OF_MEMORY && error != NULL) {
        omen_error inner = *error;
        error_set(error, status, "\"%.200s\": %.280s", path, inner.message);
    }
    return status;
}

static omen_status read_sidecars(const struct segment_options *options, const struct schema *schema,
                                 const struct segment_facts *facts, struct arena *arena,
                                 struct sidecar *sidecar, omen_error *error)
{
    char path[SEGMENT_PATH_BYTES_MAX];
    struct segment_identity identity = {.data_bytes = facts->data_bytes};
    memcpy(identity.database_id, options->database_id, sizeof identity.database_id);
    memcpy(identity.uuid, facts->uuid, sizeof identity.uuid);
    uint8_t *data;
    segment_path(options->directory, facts, SEGMENT_KEYS, path);
    OMEN_TRY(
        read_file(options, path, facts->keys_bytes, facts->keys_checksum, arena, &data, error));
    omen_status status =
        sidecar_decode(data, facts->keys_bytes, &identity, schema, arena, sidecar, error);
    OMEN_TRY(name_file(path, status, error));
    if (sidecar->group_count != facts->group_count)
        return error_set(error, OMEN_CORRUPTED, "\"%.300s\" has other row groups than the manifest",
                         path);
    if (facts->ends_bytes == 0)
        return OMEN_OK;
    segment_path(options->directory, facts, SEGMENT_ENDS, path);
    OMEN_TRY(
        read_file(options, path, facts->ends_bytes, facts->ends_checksum, arena, &data, error));
    status = ends_decode(data, facts->ends_bytes, &identity, arena, sidecar, error);
    return name_file(path, status, error);
}

/* The codec that reads such a file; NULL: none here. */
static const struct segment_codec *find_codec(const struct segment_options *options,
                                              const struct segment_facts *facts)
{
    if (facts->codec_id == (uint32_t)options->codec->id)
        return options->codec;
    const struct segment_codec *other = options->other;
    return other != NULL && facts->codec_id == (uint32_t)other->id ? other : NULL;
}

static omen_status segment_make(const struct segment_options *options, struct schema *schema,
                                const struct segment_facts *facts, const struct sidecar *sidecar,
                                struct segment **out, omen_error *error)
{
    size_t directory_bytes = strlen(options->directory) + 1;
    size_t checksum_bytes = segment_page_count(facts->data_bytes) * sizeof(uint64_t);
    struct segment *segment =
        allocator_alloc_zeroed(options->allocator, sizeof *segment + directory_bytes);
    if (segment == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    segment->source = (struct row_group_source){source_read, source_retain, source_release,
                                                column_cache_retain(options->cache)};
    segment->allocator = options->allocator;
    segment->os = options->os;
    segment->codec = *find_codec(options, facts);
    segment->facts = *facts;
    segment->schema = schema_retain(schema);
    atomic_init(&segment->references, 1);
    memcpy(segment->directory, options->directory, directory_bytes);
    segment->page_checksums = allocator_alloc(options->allocator, checksum_bytes);
    for (uint32_t i = 0; i < sidecar->group_count; i++) {
        segment->group_numbers[i] = sidecar->groups[i].facts.number;
        segment->group_rows[i] = sidecar->groups[i].facts.row_count;
    }
    *out = segment;
    if (segment->page_checksums == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    memcpy(segment->page_checksums, sidecar->page_checksums, checksum_bytes);
    return OMEN_OK;
}

/* Sees that the data file is there and as long as it should be. */
static omen_status look_for_data(const struct segment *segment, omen_error *error)
{
    struct data_file file;
    OMEN_TRY(data_open(&file, segment, error));
    data_close(&file);
    return OMEN_OK;
}

static omen_status open_groups(struct segment_opened *out, struct schema *schema,
                               const struct sidecar *sidecar, omen_error *error)
{
    for (uint32_t i = 0; i < sidecar->group_count; i++) {
        if ((out->segment->facts.dropped >> i & 1) != 0)
            continue;
        struct adopted_group *group = &out->groups[out->group_count];
        omen_status status =
            row_group_open(out->segment->allocator, schema, &sidecar->groups[i].facts,
                           &out->segment->source, &group->group);
        if (status != OMEN_OK)
            return error_set_default(error, status);
        group->keys = sidecar->groups[i].keys;
        out->group_count++;
    }
    return OMEN_OK;
}

omen_status segment_open(const struct segment_options *options, struct schema *schema,
                         const struct segment_facts *facts, struct segment_opened *out,
                         omen_error *error)
{
    struct sidecar sidecar;
    memset(out, 0, sizeof *out);
    if (facts->group_count == 0 || facts->group_count > SEGMENT_GROUPS_MAX)
        return error_set(error, OMEN_CORRUPTED, "a segment of %u row groups", facts->group_count);
    if (find_codec(options, facts) == NULL)
        return error_set(error, OMEN_NOT_SUPPORTED, "a segment of codec %u, which is not here",
                         facts->codec_id);
    arena_init(&out->arena, options->allocator);
    omen_status status = read_sidecars(options, schema, facts, &out->arena, &sidecar, error);
    if (status == OMEN_OK)
        status = segment_make(options, schema, facts, &sidecar, &out->segment, error);
    if (status == OMEN_OK)
        status = look_for_data(out->segment, error);
    if (status == OMEN_OK)
        status = open_groups(out, schema, &sidecar, error);
    if (status != OMEN_OK)
        segment_opened_release(out);
    return status;
}

void segment_opened_release(struct segment_opened *opened)
{
    for (uint32_t i = 0; i < opened->group_count; i++)
        row_group_release(opened->groups[i].group);
    segment_release(opened->segment);
    if (opened->arena.allocator != NULL)
        arena_release(&opened->arena);
    memset(opened, 0, sizeof *opened);
}

/* --- life --- */

struct segment *segment_retain(struct segment *segment)
{
    /* Relaxed: whoever retains already holds a reference. */
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
    return segment;
}

bool segment_is_pinned(const struct segment *segment)
{
    /* Acquire: whoever finds itself alone sees all that others did. */
    return atomic_load_explicit(&segment->references, memory_order_acquire) > 1;
}

void segment_remove(struct segment *segment)
{
    /* Relaxed: the release that follows orders it. */
    atomic_store_explicit(&segment->removing, true, memory_order_relaxed);
}

void segment_release(struct segment *segment)
{
    /* Release pairs with the acquire of the last one out. */
    if (segment == NULL ||
        atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel) != 1)
        return;
    char path[SEGMENT_PATH_BYTES_MAX];
    if (atomic_load_explicit(&segment->removing, memory_order_relaxed)) {
        segment_path(segment->directory, &segment->facts, SEGMENT_DATA, path);
        (void)!segment->os->file_remove(segment->os, path, NULL);
        segment_path(segment->directory, &segment->facts, SEGMENT_KEYS, path);
        (void)!segment->os->file_remove(segment->os, path, NULL);
    }
    allocator_free(segment->allocator, segment->page_checksums,
                   segment_page_count(segment->facts.data_bytes) * sizeof(uint64_t));
    schema_release(segment->schema);
    column_cache_release(segment->source.cache);
    allocator_free(segment->allocator, segment, sizeof *segment + strlen(segment->directory) + 1);
}
