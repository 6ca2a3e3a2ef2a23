/* codec_plain.c - row groups as plain bytes, in one page of C.
 *
 *   "OMENPLN1" | chunks | footer | u64 offset of the footer | "OMENPLN1"
 *
 *   chunk    one column of one row group: its pieces, one per batch
 *   piece    u32 rows | u8 has NULLs | validity bits where it has | values
 *   values   fixed widths: rows * width bytes; BOOLEAN: bits; text and bytes: u32 offsets of the
 *            rows and of the end, then the bytes
 *   footer   u32 groups | u32 columns | per group and column: u64 offset, u64 length
 *
 * All little-endian; bitmaps in Arrow's order, in whole bytes. Text comes back as utf8 (or binary)
 * whose buffers lie in the chunk. Bytes are never trusted, though their checksums were right.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "column/row_group.h"
#include "store/segment_codec.h"

enum {
    MAGIC_BYTES = 8,
    TRAILER_BYTES = 16,
    ENTRY_BYTES = 16,
    GROUPS_MAX = 1 << 16,
    BATCHES_MAX = ROW_GROUP_ROWS / VECTOR_ROWS, /* of one group */
    PIECE_WIDTH_MAX = 16,
};

static const char magic[MAGIC_BYTES + 1] = "OMENPLN1";

/* How a column's values lie in Arrow's buffers. */
enum layout { LAYOUT_FIXED, LAYOUT_BITS, LAYOUT_VIEWS };

static bool layout_of(const char *format, enum layout *layout, uint32_t *width)
{
    *layout = LAYOUT_FIXED;
    *width = 0;
    switch (format[0]) {
    case 'b':
        *layout = LAYOUT_BITS;
        return true;
    case 'v':
        *layout = LAYOUT_VIEWS;
        return true;
    case 's':
        *width = 2;
        return true;
    case 'i':
    case 'f':
        *width = 4;
        return true;
    case 'l':
    case 'g':
        *width = 8;
        return true;
    case 'd':
    case 'w':
        *width = 16;
        return true;
    case 't':
        *width = format[1] == 'd' ? 4 : 8;
        return true;
    default:
        return false;
    }
}

static omen_status damaged(omen_error *error, const char *what)
{
    return error_set(error, OMEN_CORRUPTED, "a plain segment is damaged: %s", what);
}

/* --- writing --- */

struct plain_writer {
    const omen_engine_writer *bytes;
    const struct ArrowSchema *schema;
    struct byte_writer piece, footer;
    uint64_t offset;
    omen_error *error;
};

static omen_status put(struct plain_writer *writer, const void *data, size_t length)
{
    OMEN_TRY(writer->bytes->write(writer->bytes->context, data, length, writer->error));
    writer->offset += length;
    return OMEN_OK;
}

/* The string behind view number `row` of an exported view column. */
static const uint8_t *view_at(const struct ArrowArray *array, int64_t row, uint32_t *length)
{
    const uint8_t *view = (const uint8_t *)array->buffers[1] + (size_t)row * 16;
    *length = bytes_get_u32(view);
    if (*length <= 12)
        return view + 4;
    return (const uint8_t *)array->buffers[2 + bytes_get_u32(view + 8)] + bytes_get_u32(view + 12);
}

static void put_views(struct byte_writer *piece, const struct ArrowArray *array)
{
    uint32_t offset = 0, length;
    for (int64_t row = 0; row < array->length; row++) {
        byte_writer_u32(piece, offset);
        view_at(array, row, &length);
        offset += length;
    }
    byte_writer_u32(piece, offset);
    for (int64_t row = 0; row < array->length; row++) {
        const uint8_t *data = view_at(array, row, &length);
        byte_writer_put(piece, data, length);
    }
}

static omen_status put_piece(struct plain_writer *writer, const char *format,
                             const struct ArrowArray *array)
{
    enum layout layout;
    uint32_t width;
    if (!layout_of(format, &layout, &width) || array->offset != 0)
        return error_set(writer->error, OMEN_NOT_SUPPORTED,
                         "the plain codec does not know the format \"%s\"", format);
    struct byte_writer *piece = &writer->piece;
    size_t bits = ((size_t)array->length + 7) / 8;
    piece->length = 0;
    byte_writer_u32(piece, (uint32_t)array->length);
    byte_writer_u8(piece, array->buffers[0] != NULL);
    if (array->buffers[0] != NULL)
        byte_writer_put(piece, array->buffers[0], bits);
    if (layout == LAYOUT_VIEWS)
        put_views(piece, array);
    else
        byte_writer_put(piece, array->buffers[1],
                        layout == LAYOUT_BITS ? bits : (size_t)array->length * width);
    if (piece->failed)
        return error_set_default(writer->error, OMEN_OUT_OF_MEMORY);
    return put(writer, piece->data, piece->length);
}

static omen_status take_batches(struct plain_writer *writer, struct ArrowArrayStream *stream,
                                struct ArrowArray *batches, uint32_t *count)
{
    for (*count = 0;; ++*count) {
        struct ArrowArray batch = {0};
        if (stream->get_next(stream, &batch) != 0) {
            const char *text = stream->get_last_error(stream);
            bool memory = text != NULL && strncmp(text, "53200", 5) == 0;
            return error_set(writer->error, memory ? OMEN_OUT_OF_MEMORY : OMEN_INTERNAL, "%.400s",
                             text == NULL ? "a row group could not be read" : text);
        }
        if (batch.release == NULL)
            return OMEN_OK;
        if (*count == BATCHES_MAX) {
            batch.release(&batch);
            return error_set(writer->error, OMEN_INTERNAL, "a row group of too many batches");
        }
        batches[*count] = batch;
    }
}

static omen_status put_group(struct plain_writer *writer, struct ArrowArrayStream *stream)
{
    struct ArrowArray batches[BATCHES_MAX];
    uint32_t count;
    omen_status status = take_batches(writer, stream, batches, &count);
    for (int64_t c = 0; c < writer->schema->n_children && status == OMEN_OK; c++) {
        uint64_t start = writer->offset;
        for (uint32_t b = 0; b < count && status == OMEN_OK; b++)
            status = put_piece(writer, writer->schema->children[c]->format, batches[b].children[c]);
        byte_writer_u64(&writer->footer, start);
        byte_writer_u64(&writer->footer, writer->offset - start);
    }
    for (uint32_t b = 0; b < count; b++)
        batches[b].release(&batches[b]);
    return status;
}

static omen_status plain_write(void *context, const struct ArrowSchema *schema,
                               struct ArrowArrayStream *groups, uint32_t group_count,
                               const omen_engine_writer *bytes, omen_error *error)
{
    struct plain_writer writer = {
        .bytes = bytes,
        .schema = schema,
        .error = error,
        .piece.allocator = context,
        .footer.allocator = context,
    };
    byte_writer_u32(&writer.footer, group_count);
    byte_writer_u32(&writer.footer, (uint32_t)schema->n_children);
    omen_status status = put(&writer, magic, MAGIC_BYTES);
    for (uint32_t g = 0; g < group_count; g++) {
        if (status == OMEN_OK)
            status = put_group(&writer, &groups[g]);
        groups[g].release(&groups[g]);
    }
    byte_writer_u64(&writer.footer, writer.offset);
    byte_writer_put(&writer.footer, magic, MAGIC_BYTES);
    if (status == OMEN_OK && writer.footer.failed)
        status = error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (status == OMEN_OK)
        status = put(&writer, writer.footer.data, writer.footer.length);
    byte_writer_release(&writer.piece);
    byte_writer_release(&writer.footer);
    return status;
}

/* --- reading --- */

struct plain_chunk {
    uint8_t *data;
    size_t length;
    struct byte_reader left;
    enum layout layout;
    uint32_t width;
    char format[8]; /* of the batches */
};

/* What a stream and its batches read from. */
struct plain_file {
    struct allocator *allocator;
    size_t bytes;
    atomic_uint references; /* the stream and each batch not yet released */
    char message[OMEN_ERROR_MESSAGE_BYTES];
    const struct ArrowSchema *schema; /* the caller's, during the call that makes the stream */
    uint32_t column_count;
    struct plain_chunk chunks[];
};

static void file_drop(struct plain_file *file)
{
    /* Release pairs with the acquire of the last one out. */
    if (atomic_fetch_sub_explicit(&file->references, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < file->column_count; i++)
        allocator_free(file->allocator, file->chunks[i].data, file->chunks[i].length);
    allocator_free(file->allocator, file, file->bytes);
}

/* One batch: its children and buffers in one block. */
struct plain_batch {
    struct plain_file *file;
    size_t bytes;
    struct ArrowArray *children;
    struct ArrowArray **pointers;
    const void **buffers; /* the struct's none, then three per child */
};

static void release_part(struct ArrowArray *array)
{
    array->release = NULL;
}

static void release_batch(struct ArrowArray *array)
{
    struct plain_batch *batch = array->private_data;
    struct plain_file *file = batch->file;
    array->release = NULL;
    allocator_free(file->allocator, batch, batch->bytes);
    file_drop(file);
}

static struct plain_batch *batch_make(struct plain_file *file)
{
    uint32_t columns = file->column_count;
    size_t bytes = sizeof(struct plain_batch) +
                   columns * (sizeof(struct ArrowArray) + sizeof(struct ArrowArray *)) +
                   (1 + 3 * columns) * sizeof(void *);
    struct plain_batch *batch = allocator_alloc_zeroed(file->allocator, bytes);
    if (batch == NULL)
        return NULL;
    batch->file = file;
    batch->bytes = bytes;
    batch->children = (struct ArrowArray *)(batch + 1);
    batch->pointers = (struct ArrowArray **)(batch->children + columns);
    batch->buffers = (const void **)(batch->pointers + columns);
    return batch;
}

/* Offsets that lead where there are bytes. False where they do not. */
static bool take_text(struct byte_reader *left, uint32_t rows, const void **buffers)
{
    const uint8_t *offsets = byte_reader_take(left, ((size_t)rows + 1) * sizeof(uint32_t));
    if (offsets == NULL)
        return false;
    uint32_t before = 0;
    for (uint32_t row = 0; row <= rows; row++) {
        uint32_t offset = bytes_get_u32(offsets + (size_t)row * sizeof offset);
        if (offset < before || offset > INT32_MAX)
            return false;
        before = offset;
    }
    buffers[1] = offsets;
    buffers[2] = byte_reader_take(left, before);
    return !left->failed;
}

/* The next piece of a chunk as a child. False where it is damaged. */
static bool take_piece(struct plain_chunk *chunk, struct ArrowArray *child, const void **buffers)
{
    struct byte_reader *left = &chunk->left;
    uint32_t rows = byte_reader_u32(left);
    uint8_t has_nulls = byte_reader_u8(left);
    if (left->failed || rows > ROW_GROUP_ROWS || has_nulls > 1)
        return false;
    size_t bits = ((size_t)rows + 7) / 8;
    if (has_nulls != 0)
        buffers[0] = byte_reader_take(left, bits);
    if (chunk->layout == LAYOUT_VIEWS) {
        if (!take_text(left, rows, buffers))
            return false;
    } else {
        buffers[1] = byte_reader_take(
            left, chunk->layout == LAYOUT_BITS ? bits : (size_t)rows * chunk->width);
    }
    *child = (struct ArrowArray){
        .length = rows,
        .null_count = has_nulls != 0 ? -1 : 0,
        .n_buffers = chunk->layout == LAYOUT_VIEWS ? 3 : 2,
        .buffers = buffers,
        .release = release_part,
    };
    return !left->failed;
}

static int stream_fail(struct plain_file *file, omen_status status, const char *what)
{
    snprintf(file->message, sizeof file->message, "%s a plain segment: %s",
             omen_status_sqlstate(status), what);
    return status == OMEN_OUT_OF_MEMORY ? ENOMEM : EIO;
}

static int plain_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct plain_file *file = stream->private_data;
    memset(out, 0, sizeof *out);
    if (file->column_count == 0 || file->chunks[0].left.length == 0)
        return 0;
    struct plain_batch *batch = batch_make(file);
    if (batch == NULL)
        return stream_fail(file, OMEN_OUT_OF_MEMORY, "out of memory");
    bool good = true;
    for (uint32_t i = 0; i < file->column_count && good; i++) {
        batch->pointers[i] = &batch->children[i];
        good = take_piece(&file->chunks[i], &batch->children[i], batch->buffers + 1 + 3 * i) &&
               batch->children[i].length == batch->children[0].length;
    }
    if (!good) {
        allocator_free(file->allocator, batch, batch->bytes);
        return stream_fail(file, OMEN_CORRUPTED, "a piece of it is damaged");
    }
    atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
    *out = (struct ArrowArray){
        .length = batch->children[0].length,
        .n_buffers = 1,
        .n_children = file->column_count,
        .buffers = batch->buffers,
        .children = batch->pointers,
        .release = release_batch,
        .private_data = batch,
    };
    return 0;
}

struct plain_schema {
    struct allocator *allocator;
    size_t bytes;
    struct ArrowSchema **pointers;
};

static void release_schema_part(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void release_schema(struct ArrowSchema *schema)
{
    struct plain_schema *made = schema->private_data;
    schema->release = NULL;
    allocator_free(made->allocator, made, made->bytes);
}

/* A schema of the chosen columns; their names are not of interest. */
static int plain_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct plain_file *file = stream->private_data;
    size_t each =
        sizeof(struct ArrowSchema) + sizeof(struct ArrowSchema *) + sizeof file->chunks[0].format;
    size_t bytes = sizeof(struct plain_schema) + file->column_count * each;
    struct plain_schema *made = allocator_alloc_zeroed(file->allocator, bytes);
    if (made == NULL)
        return stream_fail(file, OMEN_OUT_OF_MEMORY, "out of memory");
    *made = (struct plain_schema){.allocator = file->allocator, .bytes = bytes};
    struct ArrowSchema *children = (struct ArrowSchema *)(made + 1);
    made->pointers = (struct ArrowSchema **)(children + file->column_count);
    char *formats = (char *)(made->pointers + file->column_count);
    for (uint32_t i = 0; i < file->column_count; i++) {
        char *format = formats + i * sizeof file->chunks[0].format;
        memcpy(format, file->chunks[i].format, sizeof file->chunks[0].format);
        children[i] = (struct ArrowSchema){.format = format,
                                           .name = "",
                                           .flags = ARROW_FLAG_NULLABLE,
                                           .release = release_schema_part};
        made->pointers[i] = &children[i];
    }
    *out = (struct ArrowSchema){.format = "+s",
                                .name = "",
                                .n_children = file->column_count,
                                .children = made->pointers,
                                .release = release_schema,
                                .private_data = made};
    return 0;
}

static const char *plain_last_error(struct ArrowArrayStream *stream)
{
    struct plain_file *file = stream->private_data;
    return file->message[0] == '\0' ? NULL : file->message;
}

static void plain_release(struct ArrowArrayStream *stream)
{
    stream->release = NULL;
    file_drop(stream->private_data);
}

/* The place of a chunk, as the footer says. */
struct plain_place {
    uint64_t offset, length;
};

/* Reads where the chosen columns of a group lie. */
static omen_status find_chunks(const struct plain_file *file, const omen_engine_reader *reader,
                               uint32_t group, const uint32_t *columns, struct plain_place *places,
                               omen_error *error)
{
    uint8_t trailer[TRAILER_BYTES], head[8], entry[ENTRY_BYTES];
    if (reader->length < MAGIC_BYTES + sizeof head + TRAILER_BYTES)
        return damaged(error, "it is too short");
    uint64_t end = reader->length - TRAILER_BYTES;
    OMEN_TRY(reader->read(reader->context, end, trailer, sizeof trailer, error));
    uint64_t footer = bytes_get_u64(trailer);
    if (memcmp(trailer + 8, magic, MAGIC_BYTES) != 0 || footer < MAGIC_BYTES ||
        footer > end - sizeof head)
        return damaged(error, "its end is not one");
    OMEN_TRY(reader->read(reader->context, footer, head, sizeof head, error));
    uint32_t groups = bytes_get_u32(head), width = bytes_get_u32(head + 4);
    if (groups > GROUPS_MAX || group >= groups || width != file->schema->n_children ||
        (end - footer - sizeof head) / ENTRY_BYTES < (uint64_t)groups * width)
        return damaged(error, "it has other row groups or columns");
    for (uint32_t i = 0; i < file->column_count; i++) {
        uint64_t at = (uint64_t)group * width + columns[i];
        OMEN_TRY(reader->read(reader->context, footer + sizeof head + at * ENTRY_BYTES, entry,
                              sizeof entry, error));
        places[i] = (struct plain_place){bytes_get_u64(entry), bytes_get_u64(entry + 8)};
        if (places[i].offset > footer || places[i].length > footer - places[i].offset)
            return damaged(error, "a column lies outside of it");
    }
    return OMEN_OK;
}

static omen_status read_chunk(struct plain_file *file, const omen_engine_reader *reader,
                              uint32_t position, uint32_t column, struct plain_place place,
                              omen_error *error)
{
    struct plain_chunk *chunk = &file->chunks[position];
    const char *format = file->schema->children[column]->format;
    if (!layout_of(format, &chunk->layout, &chunk->width))
        return error_set_default(error, OMEN_NOT_SUPPORTED);
    /* utf8_view -> utf8, binary_view -> binary; times and decimals keep their parameters. */
    const char *given = chunk->layout == LAYOUT_VIEWS ? format + 1 : format;
    size_t length = strlen(given);
    if (length >= sizeof chunk->format)
        return error_set_default(error, OMEN_NOT_SUPPORTED);
    memcpy(chunk->format, given, length + 1);
    if (place.length == 0)
        return OMEN_OK;
    chunk->data = allocator_alloc(file->allocator, place.length);
    if (chunk->data == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    chunk->length = place.length;
    chunk->left = (struct byte_reader){.data = chunk->data, .length = place.length};
    return reader->read(reader->context, place.offset, chunk->data, place.length, error);
}

static omen_status plain_read(void *context, const struct ArrowSchema *schema,
                              const omen_engine_reader *reader, uint32_t group,
                              const uint32_t *columns, uint32_t column_count,
                              struct ArrowArrayStream *out, omen_error *error)
{
    struct allocator *allocator = context;
    memset(out, 0, sizeof *out);
    size_t bytes = sizeof(struct plain_file) + column_count * sizeof(struct plain_chunk);
    size_t place_bytes = column_count * sizeof(struct plain_place);
    struct plain_file *file = allocator_alloc_zeroed(allocator, bytes);
    if (file == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    file->allocator = allocator;
    file->bytes = bytes;
    file->schema = schema;
    file->column_count = column_count;
    atomic_init(&file->references, 1);
    struct plain_place *places = allocator_alloc(allocator, place_bytes);
    omen_status status = places == NULL && column_count > 0
                             ? error_set_default(error, OMEN_OUT_OF_MEMORY)
                             : find_chunks(file, reader, group, columns, places, error);
    for (uint32_t i = 0; i < column_count && status == OMEN_OK; i++)
        status = read_chunk(file, reader, i, columns[i], places[i], error);
    allocator_free(allocator, places, place_bytes);
    file->schema = NULL;
    if (status != OMEN_OK) {
        file_drop(file);
        return status;
    }
    *out =
        (struct ArrowArrayStream){plain_schema, plain_next, plain_last_error, plain_release, file};
    return OMEN_OK;
}

struct segment_codec codec_plain(struct allocator *allocator)
{
    return (struct segment_codec){
        .id = SEGMENT_CODEC_PLAIN, .context = allocator, .write = plain_write, .read = plain_read};
}
