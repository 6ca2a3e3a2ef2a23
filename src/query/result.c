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

#include "query/decode.h"

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
    struct ArrowArrayStream inner; /* renamed: where the batches come from; release = NULL: none */
    struct field *fields;          /* with the names in one block of fields_bytes */
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
    if (stream->inner.release != NULL)
        return stream->inner.get_next(&stream->inner, out);
    *out = stream->batch;
    memset(&stream->batch, 0, sizeof stream->batch);
    return 0;
}

static const char *result_get_last_error(struct ArrowArrayStream *self)
{
    struct result_stream *stream = self->private_data;
    if (stream->error[0] == '\0' && stream->inner.release != NULL)
        return stream->inner.get_last_error(&stream->inner);
    return stream->error[0] == '\0' ? NULL : stream->error;
}

static void result_free(struct result_stream *stream)
{
    struct session *session = stream->session;
    struct allocator *allocator = session->database->allocator;
    if (stream->batch.release != NULL)
        stream->batch.release(&stream->batch);
    if (stream->inner.release != NULL)
        stream->inner.release(&stream->inner);
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

/* --- values --- */

/* A schema of columns c0, c1, ... of these types. */
static omen_status values_schema(struct allocator *allocator, const struct value_rows *rows,
                                 struct arena *scratch, struct schema **out, omen_error *error)
{
    enum { NAME_BYTES = 12 };
    size_t count = rows->column_count;
    struct column_definition *columns = arena_alloc(scratch, count * sizeof *columns);
    char *names = arena_alloc(scratch, count * NAME_BYTES);
    if (columns == NULL || names == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < rows->column_count; i++) {
        snprintf(names + (size_t)i * NAME_BYTES, NAME_BYTES, "c%u", i);
        if (type_width(rows->types[i].id) == 0)
            return error_set(error, OMEN_NOT_SUPPORTED,
                             "column \"%.100s\" has a type that is not supported in results",
                             rows->names[i]);
        columns[i] = (struct column_definition){
            .name = names + (size_t)i * NAME_BYTES, .type = rows->types[i], .nullable = true};
    }
    return schema_create(allocator, columns, rows->column_count, NULL, 0, out, error);
}

/* The rows as one batch. A row group takes the columns and, last, the hidden key. */
static omen_status values_batch(struct allocator *allocator, struct schema *schema,
                                const struct value_rows *rows, struct arena *scratch,
                                struct ArrowArray *out)
{
    size_t width = rows->column_count;
    struct row_group *group = NULL;
    struct batch_builder *builder = NULL;
    uint32_t *columns = arena_alloc(scratch, width * sizeof *columns);
    omen_value *row = arena_alloc(scratch, (width + 1) * sizeof *row);
    if (columns == NULL || row == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < width; i++)
        columns[i] = i;
    row[width] = (omen_value){.type = {.id = OMEN_TYPE_BIGINT}};
    uint32_t count = (uint32_t)rows->row_count;
    omen_status status = row_group_create(allocator, schema, 1, count, &group);
    for (uint32_t i = 0; i < count && status == OMEN_OK; i++) {
        if (width > 0)
            memcpy(row, rows->values + i * width, width * sizeof *row);
        status = row_group_append_values(group, row);
    }
    if (status == OMEN_OK)
        status = batch_builder_create(allocator, schema, columns, (uint32_t)width, count, &builder);
    for (uint32_t i = 0; i < count && status == OMEN_OK; i++) {
        uint16_t slot = (uint16_t)i;
        status = batch_builder_add(builder, group, &slot, 1);
    }
    if (status == OMEN_OK)
        status = batch_builder_finish(builder, out);
    batch_builder_destroy(builder);
    row_group_release(group);
    return status;
}

static omen_status values_stream(struct session *session, const struct value_rows *rows,
                                 struct schema *schema, struct arena *scratch,
                                 struct result_stream **out, omen_error *error)
{
    struct ArrowSchema arrow;
    struct field *fields = arena_alloc(scratch, rows->column_count * sizeof *fields);
    if (fields == NULL || schema_to_arrow(schema, NULL, 0, &arrow) != OMEN_OK)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < rows->column_count; i++)
        fields[i] = (struct field){.name = rows->names[i],
                                   .format = arrow.children[i]->format,
                                   .flags = arrow.children[i]->flags};
    *out = result_make(session, fields, rows->column_count);
    arrow.release(&arrow);
    omen_status status = *out == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
    if (status == OMEN_OK && rows->row_count > 0)
        status = values_batch(session->database->allocator, schema, rows, scratch, &(*out)->batch);
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}

omen_status result_values(struct session *session, const struct value_rows *rows,
                          struct ArrowArrayStream *out, omen_error *error)
{
    struct allocator *allocator = session->database->allocator;
    struct result_stream *stream = NULL;
    struct schema *schema = NULL;
    struct arena scratch;
    memset(out, 0, sizeof *out);
    if (rows->row_count > VALUE_ROWS_MAX)
        return error_set(error, OMEN_LIMIT_EXCEEDED, "more than %d rows of VALUES", VALUE_ROWS_MAX);
    arena_init(&scratch, allocator);
    omen_status status = values_schema(allocator, rows, &scratch, &schema, error);
    if (status == OMEN_OK)
        status = values_stream(session, rows, schema, &scratch, &stream, error);
    if (status == OMEN_OK)
        result_publish(stream, out);
    else if (stream != NULL)
        result_free(stream);
    schema_release(schema);
    arena_release(&scratch);
    return status;
}

/* --- renaming --- */

static omen_status rename_fields(struct session *session, const struct ArrowSchema *schema,
                                 const char *const *names, uint32_t count,
                                 struct result_stream **out, omen_error *error)
{
    if (schema->n_children != (int64_t)count)
        return error_set(error, OMEN_INTERNAL, "the engine gave %lld columns instead of %u",
                         (long long)schema->n_children, count);
    struct arena scratch;
    arena_init(&scratch, session->database->allocator);
    struct field *fields = arena_alloc(&scratch, count * sizeof *fields);
    if (fields != NULL) {
        for (uint32_t i = 0; i < count; i++)
            fields[i] = (struct field){.name = names[i],
                                       .format = schema->children[i]->format,
                                       .flags = schema->children[i]->flags};
        *out = result_make(session, fields, count);
    }
    arena_release(&scratch);
    return *out != NULL ? OMEN_OK : error_set_default(error, OMEN_OUT_OF_MEMORY);
}

omen_status result_rename(struct session *session, struct ArrowArrayStream *stream,
                          const char *const *names, uint32_t count, omen_error *error)
{
    struct ArrowSchema schema;
    struct result_stream *renamed = NULL;
    omen_status status;
    int code = stream->get_schema(stream, &schema);
    if (code != 0) {
        status = decode_stream_error(stream, code, error);
    } else {
        status = rename_fields(session, &schema, names, count, &renamed, error);
        schema.release(&schema);
    }
    if (status != OMEN_OK) {
        stream->release(stream);
        memset(stream, 0, sizeof *stream);
        return status;
    }
    renamed->inner = *stream;
    result_publish(renamed, stream);
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
