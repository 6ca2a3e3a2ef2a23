/* file_csv.c - CSV files as tables.
 *
 * A file is split and read as text, and its values cast, as COPY does it, by one thread: where a
 * record begins is known only to who has read all before it. The first partition has all the rows.
 */
#include <string.h>
#include <strings.h>

#include "column/row_group.h"
#include "query/file_private.h"
#include "sql/value_text.h"

enum { BATCH_TEXT_BYTES = 8 << 20 }; /* a batch with more than that is given out */

static omen_status csv_open(struct table_file *file, omen_error *error)
{
    struct allocator *allocator = file->database->allocator;
    const struct os *os = file->database->os;
    omen_error failure = {.message = ""};
    size_t length = 0;
    char *sample = allocator_alloc(allocator, CSV_SAMPLE_BYTES);
    if (sample == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    char delimiter = strcasecmp(file->extension, "tsv") == 0 ? '\t' : '\0';
    omen_status status =
        os->file_read_at(os, file->handle, sample, CSV_SAMPLE_BYTES, 0, &length, error);
    if (status == OMEN_OK) {
        status = csv_sniff(allocator, &file->arena, sample, length, length == file->identity.bytes,
                           delimiter, &file->csv, &failure);
        if (status != OMEN_OK)
            error_set(error, status, "file \"%.200s\": %s", file->path, failure.message);
    }
    allocator_free(allocator, sample, CSV_SAMPLE_BYTES);
    OMEN_TRY(status);
    file->row_count = file->identity.bytes / file->csv.row_bytes;
    return file_make_schema(file, file->csv.names, file->csv.types, file->csv.column_count, error);
}

/* --- cursors --- */

struct csv_cursor {
    struct table_file *file; /* borrowed */
    struct csv_reader *reader;
    uint64_t offset;       /* of what the reader takes next */
    struct schema *schema; /* of the columns to deliver, and a hidden key */
    uint32_t *columns;     /* the fields they are */
    uint32_t column_count;
    uint64_t remaining; /* rows wanted */
    bool skip;          /* the next record names the columns */
    bool begun;         /* a line that is not empty was met */
    struct arena arena; /* of the cursor */
    struct arena row_arena;
    omen_value *row;
};

static omen_status read_file(void *context, char *buffer, size_t capacity, size_t *length,
                             omen_error *error)
{
    struct csv_cursor *cursor = context;
    const struct os *os = cursor->file->database->os;
    OMEN_TRY(os->file_read_at(os, cursor->file->handle, buffer, capacity, cursor->offset, length,
                              error));
    cursor->offset += *length;
    return OMEN_OK;
}

static void csv_cursor_close(void *self)
{
    struct csv_cursor *cursor = self;
    struct allocator *allocator = cursor->arena.allocator;
    csv_destroy(cursor->reader);
    schema_release(cursor->schema);
    arena_release(&cursor->row_arena);
    arena_release(&cursor->arena);
    allocator_free(allocator, cursor, sizeof *cursor);
}

/* What the cursor delivers, as a schema that names columns by number: one may be asked for twice.
 */
static omen_status project(struct csv_cursor *cursor, const struct file_scan *scan,
                           omen_error *error)
{
    const struct schema *schema = cursor->file->schema;
    uint32_t count = scan->column_count;
    struct column_definition *columns = arena_alloc(&cursor->arena, count * sizeof *columns);
    cursor->columns = arena_alloc(&cursor->arena, count * sizeof *cursor->columns);
    cursor->row = arena_alloc(&cursor->arena, (count + 1) * sizeof *cursor->row);
    if (columns == NULL || cursor->columns == NULL || cursor->row == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < count; i++) {
        if (scan->columns[i] >= schema->column_count)
            return error_set(error, OMEN_INVALID_ARGUMENT, "no column %u", scan->columns[i]);
        cursor->columns[i] = scan->columns[i];
        columns[i] = schema->columns[scan->columns[i]];
        for (uint32_t j = 0; j < i; j++)
            if (cursor->columns[j] == cursor->columns[i])
                return error_set(error, OMEN_INVALID_ARGUMENT, "a column is read twice");
    }
    cursor->column_count = count;
    cursor->row[count] = (omen_value){.type.id = OMEN_TYPE_BIGINT};
    return schema_create(cursor->arena.allocator, columns, count, NULL, 0, &cursor->schema, error);
}

static omen_status csv_cursor_open(struct table_file *file, const struct file_scan *scan,
                                   void **out, omen_error *error)
{
    struct allocator *allocator = file->database->allocator;
    struct csv_cursor *cursor = allocator_alloc_zeroed(allocator, sizeof *cursor);
    if (cursor == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    cursor->file = file;
    cursor->offset = file->csv.mark_bytes;
    cursor->skip = file->csv.header;
    cursor->remaining = scan->partition == 0 ? scan->limit : 0;
    arena_init(&cursor->arena, allocator);
    arena_init(&cursor->row_arena, allocator);
    omen_status status = project(cursor, scan, error);
    if (status == OMEN_OK && scan->partition == 0) {
        status = csv_create(allocator, &file->csv.options, read_file, cursor, &cursor->reader);
        if (status != OMEN_OK)
            error_set_default(error, status);
    }
    if (status != OMEN_OK) {
        csv_cursor_close(cursor);
        return status;
    }
    *out = cursor;
    return OMEN_OK;
}

/* --- rows --- */

static const char *column_name(const struct csv_cursor *cursor, size_t field)
{
    return cursor->file->schema->columns[field].name;
}

static omen_status locate(const struct csv_cursor *cursor, const char *column, omen_status status,
                          const omen_error *failure, omen_error *error)
{
    return csv_locate(cursor->reader, cursor->file->path, column, status, failure, error);
}

static omen_status check_field_count(const struct csv_cursor *cursor, size_t count,
                                     omen_error *error)
{
    omen_error failure = {.message = ""};
    uint32_t expected = cursor->file->csv.column_count;
    if (count == expected)
        return OMEN_OK;
    const char *missing = count < expected ? column_name(cursor, count) : NULL;
    if (missing == NULL)
        error_set(&failure, OMEN_BAD_COPY_FORMAT, "extra data after last expected column");
    else
        error_set(&failure, OMEN_BAD_COPY_FORMAT, "missing data for column \"%s\"", missing);
    return locate(cursor, missing, OMEN_BAD_COPY_FORMAT, &failure, error);
}

static omen_status read_value(struct csv_cursor *cursor, const struct csv_field *fields, uint32_t i,
                              omen_error *error)
{
    const struct csv_field *field = &fields[cursor->columns[i]];
    omen_value *value = &cursor->row[i];
    omen_type type = cursor->schema->columns[i].type;
    omen_error failure = {.message = ""};
    if (field->length == 0 && !field->quoted) {
        *value = (omen_value){.type = type, .is_null = true};
        return OMEN_OK;
    }
    omen_status status =
        value_from_text(type, field->text, field->length, &cursor->row_arena, value, &failure);
    if (status == OMEN_OK)
        status = schema_check_value(cursor->schema, i, value, &failure);
    if (status == OMEN_OK)
        return OMEN_OK;
    return locate(cursor, column_name(cursor, cursor->columns[i]), status, &failure, error);
}

/* The next record that is a row, as `cursor->row`. END_OF_DATA after the last. */
static omen_status read_row(struct csv_cursor *cursor, size_t *text_bytes, omen_error *error)
{
    const struct csv_field *fields;
    omen_error failure = {.message = ""};
    size_t count;
    bool blank;
    do {
        omen_status status = csv_next(cursor->reader, &fields, &count, &failure);
        if (status == OMEN_END_OF_DATA)
            return status;
        if (status != OMEN_OK)
            return locate(cursor, NULL, status, &failure, error);
        blank =
            csv_is_blank(fields, count) && (cursor->file->csv.column_count != 1 || !cursor->begun);
        cursor->begun |= !blank;
        if (!blank && cursor->skip) {
            cursor->skip = false;
            blank = true;
        }
    } while (blank);
    OMEN_TRY(check_field_count(cursor, count, error));
    if (cursor->row_arena.blocks != NULL)
        arena_reset(&cursor->row_arena);
    for (uint32_t i = 0; i < cursor->column_count; i++) {
        OMEN_TRY(read_value(cursor, fields, i, error));
        *text_bytes += fields[cursor->columns[i]].length;
    }
    return OMEN_OK;
}

static omen_status fill_group(struct csv_cursor *cursor, struct row_group *group, uint32_t *count,
                              omen_error *error)
{
    size_t text_bytes = 0;
    while (*count < BATCH_ROWS && *count < cursor->remaining && text_bytes < BATCH_TEXT_BYTES) {
        omen_status status = read_row(cursor, &text_bytes, error);
        if (status == OMEN_END_OF_DATA)
            cursor->remaining = *count;
        if (status == OMEN_END_OF_DATA)
            break;
        OMEN_TRY(status);
        status = row_group_append_values(group, cursor->row);
        if (status != OMEN_OK)
            return error_set_default(error, status);
        ++*count;
    }
    cursor->remaining -= *count;
    return OMEN_OK;
}

static omen_status csv_cursor_next(void *self, struct ArrowArray *out, omen_error *error)
{
    struct csv_cursor *cursor = self;
    struct row_group *group;
    uint32_t count = 0;
    if (cursor->remaining == 0)
        return OMEN_END_OF_DATA;
    omen_status status =
        row_group_create(cursor->arena.allocator, cursor->schema, 1, BATCH_ROWS, &group);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    status = fill_group(cursor, group, &count, error);
    if (status == OMEN_OK && count == 0)
        status = OMEN_END_OF_DATA;
    if (status == OMEN_OK) {
        uint32_t columns[SCHEMA_COLUMNS_MAX];
        for (uint32_t i = 0; i < cursor->column_count; i++)
            columns[i] = i;
        status = row_group_export(group, 0, count, columns, cursor->column_count, out);
        if (status != OMEN_OK)
            error_set_default(error, status);
    }
    row_group_release(group);
    return status;
}

const struct file_format file_format_csv = {
    .open = csv_open,
    .cursor_open = csv_cursor_open,
    .cursor_next = csv_cursor_next,
    .cursor_close = csv_cursor_close,
};
