/* segment_write.c - writing a segment's files: the data by the codec, the keys, the ends.
 *
 * Every byte of the data file passes through one buffer, is summed page by page, and is written in
 * pieces of 256 KiB. Order: data written and synced, keys written and synced, names synced. Until
 * a manifest names them the files mean nothing, so a crash in between leaves only something to
 * clean up.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/checksum.h"
#include "store/segment_private.h"

enum {
    BUFFER_PAGES = 64,
    BUFFER_BYTES = BUFFER_PAGES * SEGMENT_PAGE_BYTES,
    PATH_BYTES = SEGMENT_PATH_BYTES_MAX,
};

/* --- the data file --- */

struct data_writer {
    const struct os *os;
    int64_t file;
    const uint8_t *uuid;
    uint64_t written; /* bytes in the file; whole buffers until the last */
    uint8_t *buffer;
    size_t used;
    struct byte_writer checksums; /* u64 in memory order */
};

static omen_status flush(struct data_writer *writer, omen_error *error)
{
    for (size_t at = 0; at < writer->used; at += SEGMENT_PAGE_BYTES) {
        size_t length = size_min(SEGMENT_PAGE_BYTES, writer->used - at);
        uint64_t sum = segment_page_checksum(
            writer->uuid, (writer->written + at) / SEGMENT_PAGE_BYTES, writer->buffer + at, length);
        byte_writer_put(&writer->checksums, &sum, sizeof sum);
    }
    if (writer->checksums.failed)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    OMEN_TRY(writer->os->file_write_at(writer->os, writer->file, writer->buffer, writer->used,
                                       writer->written, error));
    writer->written += writer->used;
    writer->used = 0;
    return OMEN_OK;
}

static omen_status take_bytes(void *context, const void *bytes, size_t length, omen_error *error)
{
    struct data_writer *writer = context;
    const uint8_t *from = bytes;
    while (length > 0) {
        size_t piece = size_min(length, BUFFER_BYTES - writer->used);
        memcpy(writer->buffer + writer->used, from, piece);
        writer->used += piece;
        from += piece;
        length -= piece;
        if (writer->used == BUFFER_BYTES)
            OMEN_TRY(flush(writer, error));
    }
    return OMEN_OK;
}

/* --- groups as streams --- */

struct group_stream {
    struct row_group *group;
    const uint32_t *columns;
    uint32_t column_count;
    uint32_t next; /* slot */
    struct allocator *allocator;
    char message[OMEN_ERROR_MESSAGE_BYTES];
};

static int stream_fail(struct group_stream *stream, omen_status status)
{
    snprintf(stream->message, sizeof stream->message, "%s %s", omen_status_sqlstate(status),
             omen_status_text(status));
    return status == OMEN_OUT_OF_MEMORY ? ENOMEM : EIO;
}

static int group_get_schema(struct ArrowArrayStream *self, struct ArrowSchema *out)
{
    struct group_stream *stream = self->private_data;
    omen_status status = schema_to_arrow(row_group_schema(stream->group), stream->columns,
                                         stream->column_count, out);
    return status == OMEN_OK ? 0 : stream_fail(stream, status);
}

static int group_get_next(struct ArrowArrayStream *self, struct ArrowArray *out)
{
    struct group_stream *stream = self->private_data;
    memset(out, 0, sizeof *out);
    uint32_t rows = row_group_row_count(stream->group);
    if (stream->next == rows)
        return 0;
    uint32_t count = (uint32_t)size_min(BATCH_ROWS, rows - stream->next);
    omen_status status = row_group_export(stream->group, stream->next, count, stream->columns,
                                          stream->column_count, out);
    if (status != OMEN_OK)
        return stream_fail(stream, status);
    stream->next += count;
    return 0;
}

static const char *group_get_last_error(struct ArrowArrayStream *self)
{
    struct group_stream *stream = self->private_data;
    return stream->message[0] == '\0' ? NULL : stream->message;
}

static void group_release(struct ArrowArrayStream *self)
{
    struct group_stream *stream = self->private_data;
    row_group_release(stream->group);
    allocator_free(stream->allocator, stream, sizeof *stream);
    self->release = NULL;
}

omen_status segment_group_stream(struct row_group *group, const uint32_t *columns,
                                 uint32_t column_count, struct ArrowArrayStream *out)
{
    memset(out, 0, sizeof *out);
    struct allocator *allocator = row_group_schema(group)->allocator;
    struct group_stream *stream = allocator_alloc_zeroed(allocator, sizeof *stream);
    if (stream == NULL)
        return OMEN_OUT_OF_MEMORY;
    stream->group = row_group_retain(group);
    stream->columns = columns;
    stream->column_count = column_count;
    stream->allocator = allocator;
    *out = (struct ArrowArrayStream){group_get_schema, group_get_next, group_get_last_error,
                                     group_release, stream};
    return OMEN_OK;
}

omen_status segment_columns(struct allocator *allocator, const struct schema *schema,
                            uint32_t **out)
{
    *out = allocator_alloc(allocator, schema->stored_count * sizeof **out);
    if (*out == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < schema->stored_count; i++)
        (*out)[i] = i;
    return OMEN_OK;
}

/* The groups as the codec wants them; all or none. */
static omen_status open_streams(struct row_group *const *groups, uint32_t group_count,
                                const uint32_t *columns, struct ArrowArrayStream *streams)
{
    uint32_t column_count = row_group_schema(groups[0])->stored_count;
    for (uint32_t i = 0; i < group_count; i++) {
        omen_status status = segment_group_stream(groups[i], columns, column_count, &streams[i]);
        if (status == OMEN_OK)
            continue;
        while (i-- > 0)
            streams[i].release(&streams[i]);
        return status;
    }
    return OMEN_OK;
}

/* Lets the codec write the groups. */
static omen_status encode_data(const struct segment_options *options,
                               struct row_group *const *groups, uint32_t group_count,
                               struct data_writer *writer, omen_error *error)
{
    const struct segment_codec *codec = options->codec;
    const struct schema *schema = row_group_schema(groups[0]);
    struct ArrowArrayStream streams[SEGMENT_GROUPS_MAX];
    struct ArrowSchema arrow = {0};
    uint32_t *columns;
    omen_status status = segment_columns(options->allocator, schema, &columns);
    if (status == OMEN_OK)
        status = schema_to_arrow(schema, columns, schema->stored_count, &arrow);
    if (status == OMEN_OK)
        status = open_streams(groups, group_count, columns, streams);
    if (status != OMEN_OK) {
        error_set_default(error, status);
    } else {
        omen_engine_writer bytes = {.write = take_bytes, .context = writer};
        status = codec->write(codec->context, &arrow, streams, group_count, &bytes, error);
    }
    if (arrow.release != NULL)
        arrow.release(&arrow);
    allocator_free(options->allocator, columns, schema->stored_count * sizeof *columns);
    return status;
}

/* Writes and syncs the data file; its page checksums are the writer's. */
static omen_status write_data(const struct segment_options *options,
                              struct row_group *const *groups, uint32_t group_count,
                              const char *path, struct data_writer *writer, omen_error *error)
{
    const struct os *os = options->os;
    for (uint32_t i = 0; i < group_count; i++)
        OMEN_TRY(row_group_ensure_all(groups[i], error));
    writer->buffer = allocator_alloc(options->allocator, BUFFER_BYTES);
    if (writer->buffer == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_status status = os->file_open(os, path, OS_OPEN_CREATE_NEW, &writer->file, error);
    if (status == OMEN_OK) {
        status = encode_data(options, groups, group_count, writer, error);
        if (status == OMEN_OK)
            status = flush(writer, error);
        if (status == OMEN_OK)
            status = os->file_sync(os, writer->file, error);
        os->file_close(os, writer->file);
    }
    allocator_free(options->allocator, writer->buffer, BUFFER_BYTES);
    return status;
}

/* --- the other files --- */

omen_status segment_create_file(const struct os *os, const char *path, const uint8_t *data,
                                size_t length, omen_error *error)
{
    int64_t file;
    OMEN_TRY(os->file_open(os, path, OS_OPEN_CREATE_NEW, &file, error));
    omen_status status = os->file_write_at(os, file, data, length, 0, error);
    if (status == OMEN_OK)
        status = os->file_sync(os, file, error);
    os->file_close(os, file);
    if (status != OMEN_OK)
        (void)!os->file_remove(os, path, NULL);
    return status;
}

static struct segment_identity identity_of(const struct segment_options *options,
                                           const struct segment_facts *facts)
{
    struct segment_identity identity = {.data_bytes = facts->data_bytes};
    memcpy(identity.database_id, options->database_id, sizeof identity.database_id);
    memcpy(identity.uuid, facts->uuid, sizeof identity.uuid);
    return identity;
}

static omen_status write_keys(const struct segment_options *options,
                              struct row_group *const *groups, uint32_t group_count,
                              const uint64_t *page_checksums, struct segment_facts *facts,
                              omen_error *error)
{
    char path[PATH_BYTES];
    struct segment_identity identity = identity_of(options, facts);
    struct byte_writer writer = {.allocator = options->allocator};
    omen_status status =
        sidecar_encode(&writer, &identity, page_checksums, groups, group_count, error);
    if (status == OMEN_OK) {
        facts->keys_bytes = writer.length;
        facts->keys_checksum = checksum64(writer.data, writer.length, 0);
        segment_path(options->directory, facts, SEGMENT_KEYS, path);
        status = segment_create_file(options->os, path, writer.data, writer.length, error);
    }
    byte_writer_release(&writer);
    return status;
}

/* Takes away what a failed write has made; what stays is unattached. */
static void remove_files(const struct segment_options *options, const struct segment_facts *facts)
{
    char path[PATH_BYTES];
    segment_path(options->directory, facts, SEGMENT_DATA, path);
    (void)!options->os->file_remove(options->os, path, NULL);
    segment_path(options->directory, facts, SEGMENT_KEYS, path);
    (void)!options->os->file_remove(options->os, path, NULL);
}

omen_status segment_write(const struct segment_options *options, struct row_group *const *groups,
                          uint32_t group_count, struct segment_facts *facts, omen_error *error)
{
    OMEN_ASSERT(group_count >= 1 && group_count <= SEGMENT_GROUPS_MAX);
    char path[PATH_BYTES];
    *facts = (struct segment_facts){.codec_id = options->codec->id, .group_count = group_count};
    options->os->random_bytes(options->os, facts->uuid, sizeof facts->uuid);
    segment_path(options->directory, facts, SEGMENT_DATA, path);
    struct data_writer writer = {
        .os = options->os, .uuid = facts->uuid, .checksums.allocator = options->allocator};
    omen_status status = write_data(options, groups, group_count, path, &writer, error);
    facts->data_bytes = writer.written;
    if (status == OMEN_OK)
        status = write_keys(options, groups, group_count,
                            (const uint64_t *)(const void *)writer.checksums.data, facts, error);
    byte_writer_release(&writer.checksums);
    if (status == OMEN_OK)
        status = options->os->directory_sync(options->os, options->directory, error);
    if (status != OMEN_OK)
        remove_files(options, facts);
    return status;
}

omen_status segment_write_ends(const struct segment_options *options, uint64_t timestamp,
                               struct row_group *const *groups, uint32_t group_count,
                               struct segment_facts *facts, omen_error *error)
{
    char path[PATH_BYTES];
    uint64_t ended;
    struct segment_facts changed = *facts;
    struct segment_identity identity = identity_of(options, facts);
    struct byte_writer writer = {.allocator = options->allocator};
    memset(changed.ends_uuid, 0, sizeof changed.ends_uuid);
    changed.ends_bytes = changed.ends_checksum = 0;
    omen_status status = ends_encode(&writer, &identity, timestamp, groups, group_count, &ended);
    if (status != OMEN_OK)
        error_set_default(error, status);
    if (status == OMEN_OK && ended > 0) {
        options->os->random_bytes(options->os, changed.ends_uuid, sizeof changed.ends_uuid);
        changed.ends_bytes = writer.length;
        changed.ends_checksum = checksum64(writer.data, writer.length, 0);
        segment_path(options->directory, &changed, SEGMENT_ENDS, path);
        status = segment_create_file(options->os, path, writer.data, writer.length, error);
        if (status == OMEN_OK)
            status = options->os->directory_sync(options->os, options->directory, error);
    }
    byte_writer_release(&writer);
    if (status == OMEN_OK)
        *facts = changed;
    return status;
}

/* --- tails --- */

/* Gives the copy the lifetimes that hold at the timestamp. */
static void copy_lifetimes(const struct row_group *group, uint64_t timestamp,
                           struct row_group *copy)
{
    uint32_t rows = row_group_row_count(copy);
    for (uint32_t slot = 0; slot < rows; slot++) {
        uint64_t begin = row_group_begin(group, slot), end = row_group_end(group, slot);
        if (!row_group_has_begun(group, slot) || begin > timestamp)
            continue;
        row_group_stamp_begin(copy, slot, 1, 1);
        if (end <= timestamp)
            row_group_stamp_end(copy, slot, end);
    }
}

omen_status segment_prefix(const struct row_group *group, uint32_t row_count, uint64_t timestamp,
                           struct row_group **out, omen_error *error)
{
    *out = NULL;
    OMEN_ASSERT(row_count >= 1 && row_count <= row_group_row_count(group));
    struct row_group *copy;
    struct schema *schema = row_group_schema(group);
    OMEN_TRY(row_group_ensure_all(group, error));
    omen_status status =
        row_group_create(schema->allocator, schema, row_group_number(group), row_count, &copy);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    status = row_group_append_slots(copy, group, 0, row_count);
    if (status == OMEN_OK) {
        copy_lifetimes(group, timestamp, copy);
        row_group_seal(copy);
        status = row_group_freeze(copy, 1, out);
    }
    row_group_release(copy);
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}
