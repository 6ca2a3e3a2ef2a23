/* copy_to.c - COPY ... TO 'file': a query's rows as CSV or Parquet, whole or not at all. */
#include <string.h>

#include "query/decode.h"
#include "query/output_file.h"
#include "query/plan.h"
#include "sql/value_text.h"
#include "store/engine_library.h"

/* --- CSV --- */

struct csv_writer {
    const struct copy_plan *copy;
    struct output_file *file;
    struct arena arena; /* of one row's texts */
    bool alone;         /* a row is one value */
};

static omen_status put_byte(struct csv_writer *writer, char byte, omen_error *error)
{
    return output_write(writer->file, &byte, 1, error);
}

/* As PostgreSQL's CopyAttributeOutCSV: quoted where it would be read as something else, or is
 * NULL's text, or the end of data. */
static bool needs_quotes(const struct csv_writer *writer, const char *text, size_t length)
{
    const struct copy_plan *copy = writer->copy;
    if (length == copy->null_length && memcmp(text, copy->null_text, length) == 0)
        return true;
    if (writer->alone && length == 2 && memcmp(text, "\\.", 2) == 0)
        return true;
    for (size_t i = 0; i < length; i++)
        if (text[i] == copy->csv.delimiter || text[i] == copy->csv.quote || text[i] == '\n' ||
            text[i] == '\r')
            return true;
    return false;
}

static omen_status put_field(struct csv_writer *writer, const char *text, size_t length, bool quote,
                             omen_error *error)
{
    const struct csv_options *csv = &writer->copy->csv;
    if (length == 0)
        text = "";
    if (!quote && !needs_quotes(writer, text, length))
        return output_write(writer->file, text, length, error);
    OMEN_TRY(put_byte(writer, csv->quote, error));
    for (size_t i = 0; i < length; i++) {
        if (text[i] == csv->quote || text[i] == csv->escape)
            OMEN_TRY(put_byte(writer, csv->escape, error));
        OMEN_TRY(put_byte(writer, text[i], error));
    }
    return put_byte(writer, csv->quote, error);
}

static omen_status put_value(struct csv_writer *writer, const omen_value *value, bool quote,
                             omen_error *error)
{
    const char *text = (const char *)value->as.bytes.data;
    size_t length = value->as.bytes.length;
    if (value->is_null)
        return output_write(writer->file, writer->copy->null_text, writer->copy->null_length,
                            error);
    if ((value->type.id < OMEN_TYPE_TEXT || value->type.id > OMEN_TYPE_CHAR) &&
        value_to_text_arena(value, &writer->arena, &text, &length) != OMEN_OK)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    return put_field(writer, text, length, quote, error);
}

static omen_status put_header(struct csv_writer *writer, const struct decoder *rows,
                              omen_error *error)
{
    for (size_t i = 0; i < decoder_column_count(rows); i++) {
        const char *name = decoder_column_name(rows, i);
        if (i > 0)
            OMEN_TRY(put_byte(writer, writer->copy->csv.delimiter, error));
        OMEN_TRY(put_field(writer, name, strlen(name), false, error));
    }
    return put_byte(writer, '\n', error);
}

static omen_status put_rows(struct csv_writer *writer, struct decoder *rows, uint64_t *count,
                            omen_error *error)
{
    const bool *force = writer->copy->force_quote;
    size_t columns = decoder_column_count(rows);
    omen_status status;
    while ((status = decoder_step(rows, error)) == OMEN_OK) {
        if (writer->arena.blocks != NULL)
            arena_reset(&writer->arena);
        for (size_t i = 0; i < columns; i++) {
            omen_value value = decoder_value(rows, i);
            if (i > 0)
                OMEN_TRY(put_byte(writer, writer->copy->csv.delimiter, error));
            OMEN_TRY(put_value(writer, &value, force != NULL && force[i], error));
        }
        OMEN_TRY(put_byte(writer, '\n', error));
        ++*count;
    }
    return status == OMEN_END_OF_DATA ? OMEN_OK : status;
}

static omen_status write_csv(struct plan *plan, struct ArrowArrayStream *stream,
                             struct output_file *file, uint64_t *count, omen_error *error)
{
    struct decoder *rows;
    OMEN_TRY(decoder_create(plan->arena.allocator, stream, &rows, error));
    struct csv_writer writer = {
        .copy = &plan->copy, .file = file, .alone = decoder_column_count(rows) == 1};
    arena_init(&writer.arena, plan->arena.allocator);
    omen_status status = plan->copy.header ? put_header(&writer, rows, error) : OMEN_OK;
    if (status == OMEN_OK)
        status = put_rows(&writer, rows, count, error);
    arena_release(&writer.arena);
    decoder_destroy(rows);
    return status;
}

/* --- Parquet --- */

/* A stream that counts the rows that go through it. Lives as long as the call that reads it. */
struct counted {
    struct ArrowArrayStream inner;
    uint64_t rows;
};

static int counted_get_schema(struct ArrowArrayStream *self, struct ArrowSchema *out)
{
    struct counted *counted = self->private_data;
    return counted->inner.get_schema(&counted->inner, out);
}

static int counted_get_next(struct ArrowArrayStream *self, struct ArrowArray *out)
{
    struct counted *counted = self->private_data;
    int code = counted->inner.get_next(&counted->inner, out);
    if (code == 0 && out->release != NULL)
        counted->rows += (uint64_t)out->length;
    return code;
}

static const char *counted_get_last_error(struct ArrowArrayStream *self)
{
    struct counted *counted = self->private_data;
    return counted->inner.get_last_error(&counted->inner);
}

static void counted_release(struct ArrowArrayStream *self)
{
    struct counted *counted = self->private_data;
    self->release = NULL;
    counted->inner.release(&counted->inner);
}

static omen_status write_bytes(void *context, const void *bytes, size_t length, omen_error *error)
{
    return output_write(context, bytes, length, error);
}

static omen_status write_parquet(struct plan *plan, struct ArrowArrayStream *stream,
                                 struct output_file *file, uint64_t *count, omen_error *error)
{
    const omen_engine *engine;
    struct counted counted = {.inner = *stream};
    omen_status status = engine_library_load(plan->session->database, &engine, error);
    if (status != OMEN_OK) {
        stream->release(stream);
        return status;
    }
    struct ArrowArrayStream rows = {
        .get_schema = counted_get_schema,
        .get_next = counted_get_next,
        .get_last_error = counted_get_last_error,
        .release = counted_release,
        .private_data = &counted,
    };
    const omen_engine_writer writer = {.write = write_bytes, .context = file};
    status = engine->file_write(&rows, &writer, error);
    *count = counted.rows;
    return status;
}

/* --- running --- */

static omen_status write_rows(struct plan *plan, struct run *run, struct output_file *file,
                              uint64_t *count, omen_error *error)
{
    struct query_rows rows = {.kind = ROWS_VALUES};
    struct ArrowArrayStream stream = {.release = NULL};
    omen_status status = query_run(&plan->rows, run, &rows, error);
    if (status == OMEN_OK)
        status = query_rows_stream(&plan->rows, plan->session, &rows, &stream, error);
    if (status == OMEN_OK)
        status = plan->copy.is_parquet ? write_parquet(plan, &stream, file, count, error)
                                       : write_csv(plan, &stream, file, count, error);
    query_rows_release(&rows);
    return status;
}

omen_status copy_to_run(struct plan *plan, struct run *run, uint64_t *rows, omen_error *error)
{
    struct database *database = plan->session->database;
    struct output_file *file;
    uint64_t count = 0;
    OMEN_TRY(output_open(database->os, database->allocator, plan->copy.path, &file, error));
    omen_status status = write_rows(plan, run, file, &count, error);
    if (status == OMEN_OK)
        status = output_finish(file, error);
    output_close(file);
    *rows = status == OMEN_OK ? count : 0;
    return status;
}
