/* file_parquet.c - Parquet files as tables, decoded by the engine's library.
 *
 * Partitions are shares of the row groups.
 */
#include <string.h>

#include "query/decode.h"
#include "query/file_private.h"
#include "store/engine_library.h"

/* --- bytes --- */

static omen_status read_bytes(void *context, uint64_t offset, void *buffer, size_t length,
                              omen_error *error)
{
    const struct table_file *file = context;
    const struct os *os = file->database->os;
    size_t got;
    OMEN_TRY(os->file_read_at(os, file->handle, buffer, length, offset, &got, error));
    return got == length ? OMEN_OK : error_set(error, OMEN_CORRUPTED, "the file ends early");
}

/* Tells which file an error is about. Returns `status`. */
static omen_status name_file(const struct table_file *file, omen_status status,
                             const omen_error *failure, omen_error *error)
{
    const char *path = file->path;
    size_t length = strlen(path);
    /* The end of a long path tells more than its beginning. */
    while (length > 120 || (length < strlen(path) && ((unsigned char)*path & 0xC0) == 0x80))
        path++, length--;
    return error_set(error, status, "file \"%s\": %.300s", path, failure->message);
}

/* --- opening --- */

/* The types are those of tables; of columns that cannot be read it is told why. */
static omen_status take_columns(struct table_file *file, const struct ArrowSchema *arrow,
                                omen_error *error)
{
    struct schema *schema = NULL;
    uint32_t count = (uint32_t)arrow->n_children;
    omen_bytes *names = arena_alloc(&file->arena, count * sizeof *names);
    omen_type *types = arena_alloc(&file->arena, count * sizeof *types);
    if (names == NULL || types == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < count; i++) {
        const struct ArrowSchema *child = arrow->children[i];
        names[i] = (omen_bytes){(const uint8_t *)child->name, strlen(child->name)};
        OMEN_TRY(decode_column_type(child, &types[i], error));
    }
    OMEN_TRY(file_make_schema(file, names, types, count, error));
    schema = file->schema;
    for (uint32_t i = 0; i < schema->column_count; i++)
        file->refused[i] = file->parquet.engine->file_column_refused(file->parquet.file, i);
    return OMEN_OK;
}

static omen_status parquet_open(struct table_file *file, omen_error *error)
{
    const omen_engine *engine;
    omen_engine_file_facts facts;
    omen_error failure = {.message = ""};
    struct ArrowSchema arrow = {.release = NULL};
    OMEN_TRY(engine_library_load(file->database, &engine, error));
    file->parquet.engine = engine;
    const omen_engine_reader reader = {
        .read = read_bytes, .context = file, .length = file->identity.bytes};
    omen_status status = engine->file_open(&reader, &file->parquet.file, &arrow, &facts, &failure);
    if (status != OMEN_OK) {
        file->parquet.file = NULL;
        return name_file(file, status, &failure, error);
    }
    file->parquet.group_count = facts.group_count;
    file->row_count = facts.row_count;
    file->row_count_exact = true;
    status = take_columns(file, &arrow, error);
    arrow.release(&arrow);
    return status;
}

static void parquet_close(struct table_file *file)
{
    if (file->parquet.file != NULL)
        file->parquet.engine->file_close(file->parquet.file);
}

/* --- cursors --- */

struct parquet_cursor {
    struct table_file *file; /* borrowed */
    struct ArrowArrayStream stream;
};

static omen_status parquet_cursor_open(struct table_file *file, const struct file_scan *scan,
                                       void **out, omen_error *error)
{
    struct allocator *allocator = file->database->allocator;
    struct parquet_cursor *cursor = allocator_alloc_zeroed(allocator, sizeof *cursor);
    if (cursor == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    cursor->file = file;
    uint64_t groups = file->parquet.group_count;
    uint32_t first = (uint32_t)(groups * scan->partition / scan->partition_count);
    uint32_t end = (uint32_t)(groups * (scan->partition + 1) / scan->partition_count);
    omen_error failure = {.message = ""};
    omen_status status =
        file->parquet.engine->file_read(file->parquet.file, first, end, scan->columns,
                                        scan->column_count, &cursor->stream, &failure);
    if (status != OMEN_OK) {
        allocator_free(allocator, cursor, sizeof *cursor);
        return name_file(file, status, &failure, error);
    }
    *out = cursor;
    return OMEN_OK;
}

static omen_status parquet_cursor_next(void *self, struct ArrowArray *out, omen_error *error)
{
    struct parquet_cursor *cursor = self;
    omen_error failure = {.message = ""};
    memset(out, 0, sizeof *out);
    int code = cursor->stream.get_next(&cursor->stream, out);
    if (code == 0)
        return out->release != NULL ? OMEN_OK : OMEN_END_OF_DATA;
    out->release = NULL;
    omen_status status = decode_stream_error(&cursor->stream, code, &failure);
    return name_file(cursor->file, status, &failure, error);
}

static void parquet_cursor_close(void *self)
{
    struct parquet_cursor *cursor = self;
    cursor->stream.release(&cursor->stream);
    allocator_free(cursor->file->database->allocator, cursor, sizeof *cursor);
}

const struct file_format file_format_parquet = {
    .open = parquet_open,
    .close = parquet_close,
    .cursor_open = parquet_cursor_open,
    .cursor_next = parquet_cursor_next,
    .cursor_close = parquet_cursor_close,
};
