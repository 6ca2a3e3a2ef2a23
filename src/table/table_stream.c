/* table_stream.c - a scan as an Arrow C stream, and one row as an Arrow batch.
 *
 * The stream owns its scan, which keeps the view and through it the table; each batch holds its
 * own groups. So the consumer may keep batches longer than the stream, and release both from any
 * thread (R5.5).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "table/table_scan.h"

struct stream {
    struct scan *scan;
    struct allocator *allocator;
    char error[OMEN_ERROR_MESSAGE_BYTES];
};

/* Notes the failure as "SQLSTATE message" and gives the errno that comes nearest. */
static int stream_fail(struct stream *stream, omen_status status)
{
    omen_error error;
    table_scan_error(stream->scan, status, &error);
    snprintf(stream->error, sizeof stream->error, "%s %.500s", omen_status_sqlstate(status),
             error.message);
    return status == OMEN_OUT_OF_MEMORY ? ENOMEM : EIO;
}

static int stream_get_schema(struct ArrowArrayStream *self, struct ArrowSchema *out)
{
    struct stream *stream = self->private_data;
    const struct scan *scan = stream->scan;
    /* NULL would mean all columns: a projection of none is an empty list. */
    static const uint32_t no_columns[1];
    omen_status status = schema_to_arrow(scan->view->table->schema,
                                         scan->column_count == 0 ? no_columns : scan->columns,
                                         scan->column_count, out);
    return status == OMEN_OK ? 0 : stream_fail(stream, status);
}

static int stream_get_next(struct ArrowArrayStream *self, struct ArrowArray *out)
{
    struct stream *stream = self->private_data;
    omen_status status = table_scan_next(stream->scan, out);
    if (status == OMEN_END_OF_DATA) {
        memset(out, 0, sizeof *out); /* no release: the end */
        return 0;
    }
    return status == OMEN_OK ? 0 : stream_fail(stream, status);
}

static const char *stream_get_last_error(struct ArrowArrayStream *self)
{
    struct stream *stream = self->private_data;
    return stream->error[0] == '\0' ? NULL : stream->error;
}

static void stream_release(struct ArrowArrayStream *self)
{
    struct stream *stream = self->private_data;
    struct allocator *allocator = stream->allocator;
    table_scan_close(stream->scan);
    allocator_free(allocator, stream, sizeof *stream);
    self->release = NULL;
}

omen_status table_scan_stream(struct table_view *view, const struct scan_spec *spec,
                              struct ArrowArrayStream *out, omen_error *error)
{
    memset(out, 0, sizeof *out);
    struct allocator *allocator = view->table->allocator;
    struct stream *stream = allocator_alloc_zeroed(allocator, sizeof *stream);
    if (stream == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_status status = table_scan_open(view, spec, &stream->scan, error);
    if (status != OMEN_OK) {
        allocator_free(allocator, stream, sizeof *stream);
        return status;
    }
    stream->allocator = allocator;
    *out = (struct ArrowArrayStream){.get_schema = stream_get_schema,
                                     .get_next = stream_get_next,
                                     .get_last_error = stream_get_last_error,
                                     .release = stream_release,
                                     .private_data = stream};
    return OMEN_OK;
}

omen_status table_row_arrow(struct table *table, const struct row_ref *row, const uint32_t *columns,
                            uint32_t column_count, struct ArrowArray *out)
{
    memset(out, 0, sizeof *out);
    struct batch_builder *builder;
    OMEN_TRY(
        batch_builder_create(table->allocator, table->schema, columns, column_count, 1, &builder));
    uint16_t slot = (uint16_t)row->slot;
    omen_status status = batch_builder_add(builder, row->group, &slot, 1);
    if (status == OMEN_OK)
        status = batch_builder_finish(builder, out);
    batch_builder_destroy(builder);
    return status;
}
