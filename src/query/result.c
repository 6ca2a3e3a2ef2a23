/* result.c - schemas with names of our choice, one-batch streams, text batches.
 *
 * A schema is one block of memory that counts the ArrowSchema structs still in use, because a
 * consumer may move children out of their parent:
 *
 *   | struct schema_block | children[] | child pointers[] | names and formats |
 */
#include "query/result.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "column/array_block.h"

/* --- schemas --- */

struct schema_block {
    struct allocator *allocator;
    size_t bytes;
    atomic_uint references;
};

static void schema_block_release(struct schema_block *block)
{
    /* Release pairs with the acquire of whoever comes last. */
    if (atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) == 1)
        allocator_free(block->allocator, block, block->bytes);
}

static void release_child(struct ArrowSchema *schema)
{
    schema->release = NULL;
    schema_block_release(schema->private_data);
}

static void release_root(struct ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++)
        if (schema->children[i]->release != NULL)
            schema->children[i]->release(schema->children[i]);
    schema->release = NULL;
    schema_block_release(schema->private_data);
}

struct field {
    const char *name, *format;
    int64_t flags;
};

static char *copy_text(char **room, const char *text)
{
    char *copy = *room;
    size_t bytes = strlen(text) + 1;
    memcpy(copy, text, bytes);
    *room += bytes;
    return copy;
}

static omen_status make_schema(struct allocator *allocator, const struct field *fields,
                               size_t count, struct ArrowSchema *out)
{
    size_t bytes = sizeof(struct schema_block) +
                   count * (sizeof(struct ArrowSchema) + sizeof(struct ArrowSchema *));
    for (size_t i = 0; i < count; i++)
        bytes += strlen(fields[i].name) + strlen(fields[i].format) + 2;
    struct schema_block *block = allocator_alloc_zeroed(allocator, bytes);
    if (block == NULL)
        return OMEN_OUT_OF_MEMORY;
    block->allocator = allocator;
    block->bytes = bytes;
    atomic_init(&block->references, (unsigned)count + 1);
    struct ArrowSchema *children = (struct ArrowSchema *)(block + 1);
    struct ArrowSchema **pointers = (struct ArrowSchema **)(children + count);
    char *room = (char *)(pointers + count);
    for (size_t i = 0; i < count; i++) {
        children[i] = (struct ArrowSchema){
            .format = copy_text(&room, fields[i].format),
            .name = copy_text(&room, fields[i].name),
            .flags = fields[i].flags,
            .release = release_child,
            .private_data = block,
        };
        pointers[i] = &children[i];
    }
    *out = (struct ArrowSchema){
        .format = "+s",
        .name = "",
        .n_children = (int64_t)count,
        .children = pointers,
        .release = release_root,
        .private_data = block,
    };
    return OMEN_OK;
}

/* --- streams of at most one batch --- */

struct result_stream {
    struct session *session;
    struct field *fields; /* with the names in one block of fields_bytes */
    size_t field_count, fields_bytes;
    struct ArrowArray batch; /* release = NULL: none, or handed out */
    char error[64];
};

static int result_get_schema(struct ArrowArrayStream *self, struct ArrowSchema *out)
{
    struct result_stream *stream = self->private_data;
    memset(out, 0, sizeof *out);
    if (make_schema(stream->session->database->allocator, stream->fields, stream->field_count,
                    out) == OMEN_OK)
        return 0;
    snprintf(stream->error, sizeof stream->error, "53200 out of memory");
    return ENOMEM;
}

static int result_get_next(struct ArrowArrayStream *self, struct ArrowArray *out)
{
    struct result_stream *stream = self->private_data;
    *out = stream->batch;
    memset(&stream->batch, 0, sizeof stream->batch);
    return 0;
}

static const char *result_get_last_error(struct ArrowArrayStream *self)
{
    struct result_stream *stream = self->private_data;
    return stream->error[0] == '\0' ? NULL : stream->error;
}

static void result_free(struct result_stream *stream)
{
    struct session *session = stream->session;
    struct allocator *allocator = session->database->allocator;
    if (stream->batch.release != NULL)
        stream->batch.release(&stream->batch);
    allocator_free(allocator, stream->fields, stream->fields_bytes);
    allocator_free(allocator, stream, sizeof *stream);
    session_release(session);
}

static void result_release(struct ArrowArrayStream *self)
{
    self->release = NULL;
    result_free(self->private_data);
}

/* A stream with copies of the fields and no batch yet. */
static struct result_stream *result_make(struct session *session, const struct field *fields,
                                         size_t count)
{
    struct allocator *allocator = session->database->allocator;
    struct result_stream *stream = allocator_alloc_zeroed(allocator, sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->session = session_retain(session);
    stream->field_count = count;
    size_t bytes = count * sizeof *fields;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(fields[i].name) + strlen(fields[i].format) + 2;
    if (bytes == 0)
        return stream;
    stream->fields = allocator_alloc(allocator, bytes);
    stream->fields_bytes = bytes;
    if (stream->fields == NULL) {
        stream->fields_bytes = 0;
        result_free(stream);
        return NULL;
    }
    char *room = (char *)(stream->fields + count);
    for (size_t i = 0; i < count; i++) {
        stream->fields[i].flags = fields[i].flags;
        stream->fields[i].name = copy_text(&room, fields[i].name);
        stream->fields[i].format = copy_text(&room, fields[i].format);
    }
    return stream;
}

static void result_publish(struct result_stream *stream, struct ArrowArrayStream *out)
{
    *out = (struct ArrowArrayStream){
        .get_schema = result_get_schema,
        .get_next = result_get_next,
        .get_last_error = result_get_last_error,
        .release = result_release,
        .private_data = stream,
    };
}

omen_status result_empty(struct session *session, struct ArrowArrayStream *out, omen_error *error)
{
    memset(out, 0, sizeof *out);
    struct result_stream *stream = result_make(session, NULL, 0);
    if (stream == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    result_publish(stream, out);
    return OMEN_OK;
}

omen_status result_row(struct session *session, struct table *table, const struct row_ref *row,
                       const uint32_t *columns, const char *const *names, uint32_t column_count,
                       struct ArrowArrayStream *out, omen_error *error)
{
    struct ArrowSchema schema;
    struct arena scratch;
    struct result_stream *stream = NULL;
    memset(out, 0, sizeof *out);
    arena_init(&scratch, session->database->allocator);
    omen_status status = schema_to_arrow(table_schema(table), columns, column_count, &schema);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    struct field *fields = arena_alloc(&scratch, column_count * sizeof *fields);
    if (fields != NULL) {
        for (uint32_t i = 0; i < column_count; i++)
            fields[i] = (struct field){.name = names[i],
                                       .format = schema.children[i]->format,
                                       .flags = schema.children[i]->flags};
        stream = result_make(session, fields, column_count);
    }
    status = stream == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
    if (status == OMEN_OK && row->group != NULL)
        status = table_row_arrow(table, row, columns, column_count, &stream->batch);
    schema.release(&schema);
    arena_release(&scratch);
    if (status == OMEN_OK) {
        result_publish(stream, out);
        return OMEN_OK;
    }
    if (stream != NULL)
        result_free(stream);
    return error_set_default(error, status);
}

/* --- text --- */

static size_t count_lines(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += text[i] == '\n';
    return count;
}

/* The lines as a struct array of one utf8 child. */
static omen_status make_lines(struct allocator *allocator, const char *text, size_t length,
                              struct ArrowArray *out)
{
    size_t count = count_lines(text, length);
    struct array_needs needs = {
        .column_count = 1,
        .buffer_count = 3,
        .copied_bytes =
            array_copy_bytes((count + 1) * sizeof(int32_t)) + array_copy_bytes(length + 1),
    };
    struct array_block *block = array_block_make(allocator, &needs);
    if (block == NULL)
        return OMEN_OUT_OF_MEMORY;
    int32_t *offsets = array_block_copy_room(block, (count + 1) * sizeof(int32_t));
    char *data = array_block_copy_room(block, length + 1);
    const void **buffers = array_block_buffers(block, 3);
    size_t line = 0, used = 0;
    offsets[0] = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n')
            offsets[++line] = (int32_t)used;
        else
            data[used++] = text[i];
    }
    buffers[0] = NULL;
    buffers[1] = offsets;
    buffers[2] = data;
    array_block_add_child(block, (int64_t)count, 0, buffers, 3);
    array_block_finish(block, (int64_t)count, NULL, out);
    return OMEN_OK;
}

omen_status result_lines(struct session *session, const char *name, const char *text, size_t length,
                         struct ArrowArrayStream *out, omen_error *error)
{
    const struct field field = {.name = name, .format = "u"};
    memset(out, 0, sizeof *out);
    struct result_stream *stream = result_make(session, &field, 1);
    if (stream == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_status status = make_lines(session->database->allocator, text, length, &stream->batch);
    if (status != OMEN_OK) {
        result_free(stream);
        return error_set_default(error, status);
    }
    result_publish(stream, out);
    return OMEN_OK;
}

/* --- keeping the session --- */

struct kept_stream {
    struct session *session;
    struct ArrowArrayStream inner;
};

static int kept_get_schema(struct ArrowArrayStream *self, struct ArrowSchema *out)
{
    struct kept_stream *kept = self->private_data;
    return kept->inner.get_schema(&kept->inner, out);
}

static int kept_get_next(struct ArrowArrayStream *self, struct ArrowArray *out)
{
    struct kept_stream *kept = self->private_data;
    return kept->inner.get_next(&kept->inner, out);
}

static const char *kept_get_last_error(struct ArrowArrayStream *self)
{
    struct kept_stream *kept = self->private_data;
    return kept->inner.get_last_error(&kept->inner);
}

static void kept_release(struct ArrowArrayStream *self)
{
    struct kept_stream *kept = self->private_data;
    struct session *session = kept->session;
    self->release = NULL;
    kept->inner.release(&kept->inner);
    allocator_free(session->database->allocator, kept, sizeof *kept);
    session_release(session);
}

omen_status result_keep_session(struct session *session, struct ArrowArrayStream *stream,
                                omen_error *error)
{
    struct kept_stream *kept = allocator_alloc(session->database->allocator, sizeof *kept);
    if (kept == NULL) {
        stream->release(stream);
        memset(stream, 0, sizeof *stream);
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    }
    kept->session = session_retain(session);
    kept->inner = *stream;
    *stream = (struct ArrowArrayStream){
        .get_schema = kept_get_schema,
        .get_next = kept_get_next,
        .get_last_error = kept_get_last_error,
        .release = kept_release,
        .private_data = kept,
    };
    return OMEN_OK;
}
