/* file.c - opening files as tables, and their cursors, whatever the format. */
#include "query/file.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/checksum.h"
#include "column/utf8.h"
#include "query/file_private.h"
#include "table/table.h"

struct file_cursor {
    struct table_file *file; /* retained */
    void *inner;             /* the format's */
};

/* --- names --- */

/* The name behind the last slash. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static const char *extension_of(const char *path)
{
    const char *dot = strrchr(base_name(path), '.');
    return dot == NULL ? "" : dot + 1;
}

/* The longest prefix of whole characters that has at most `bytes_max` bytes. */
static size_t cut_text(const char *text, size_t length, size_t bytes_max)
{
    if (length <= bytes_max)
        return length;
    length = bytes_max;
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80)
        length--;
    return length;
}

/* Names that are given out, by an open hash: 1,600 columns of one name are no more work than of as
 * many. */
enum { NAME_SLOTS = 4096 };
static_assert(NAME_SLOTS >= 2 * SCHEMA_COLUMNS_MAX, "probing ends");

struct names {
    const struct column_definition *columns;
    uint32_t slots[NAME_SLOTS];           /* a column's position + 1; 0: none */
    uint32_t numbers[SCHEMA_COLUMNS_MAX]; /* the last one that was put behind a column's name */
};

/* The slot of a name, or the free one where it belongs. */
static uint32_t *find_name(struct names *names, const char *name)
{
    uint64_t at = checksum64(name, strlen(name), 0);
    for (;; at++) {
        uint32_t *slot = &names->slots[at % NAME_SLOTS];
        if (*slot == 0 || strcmp(names->columns[*slot - 1].name, name) == 0)
            return slot;
    }
}

/* A name for column `column` that no column before it has. */
static omen_status name_column(struct table_file *file, struct column_definition *columns,
                               struct names *names, uint32_t column, uint32_t count,
                               omen_bytes given, omen_error *error)
{
    char *name = arena_alloc(&file->arena, SCHEMA_NAME_BYTES_MAX + 1);
    if (name == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (!utf8_is_valid(given.data, given.length) ||
        (given.length > 0 && memchr(given.data, '\0', given.length) != NULL))
        return error_set(error, OMEN_INVALID_ENCODING,
                         "the name of column %u of file \"%.200s\" is not valid UTF-8", column + 1,
                         base_name(file->path));
    const char *text = (const char *)given.data;
    int digits = snprintf(NULL, 0, "%u", count - 1);
    size_t length = cut_text(text, given.length, SCHEMA_NAME_BYTES_MAX);
    if (length == 0)
        snprintf(name, SCHEMA_NAME_BYTES_MAX + 1, "column%0*u", digits, column);
    else
        snprintf(name, SCHEMA_NAME_BYTES_MAX + 1, "%.*s", (int)length, text);
    uint32_t *slot = find_name(names, name);
    for (uint32_t *number = *slot == 0 ? NULL : &names->numbers[*slot - 1]; *slot != 0;) {
        char suffix[16];
        int suffix_length = snprintf(suffix, sizeof suffix, "_%u", ++*number);
        size_t kept = cut_text(text, given.length, SCHEMA_NAME_BYTES_MAX - (size_t)suffix_length);
        snprintf(name, SCHEMA_NAME_BYTES_MAX + 1, "%.*s%s", (int)kept, length == 0 ? "" : text,
                 suffix);
        slot = find_name(names, name);
    }
    columns[column].name = name;
    *slot = column + 1;
    return OMEN_OK;
}

static omen_status name_columns(struct table_file *file, struct column_definition *columns,
                                const omen_bytes *given, uint32_t count, omen_error *error)
{
    struct allocator *allocator = file->database->allocator;
    struct names *names = allocator_alloc_zeroed(allocator, sizeof *names);
    if (names == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    names->columns = columns;
    omen_status status = OMEN_OK;
    for (uint32_t i = 0; i < count && status == OMEN_OK; i++)
        status = name_column(file, columns, names, i, count, given[i], error);
    allocator_free(allocator, names, sizeof *names);
    return status;
}

omen_status file_make_schema(struct table_file *file, const omen_bytes *names,
                             const omen_type *types, uint32_t count, omen_error *error)
{
    if (count == 0 || count > SCHEMA_COLUMNS_MAX)
        return error_set(error, count == 0 ? OMEN_BAD_COPY_FORMAT : OMEN_TOO_MANY_COLUMNS,
                         count == 0 ? "file \"%.200s\" has no columns"
                                    : "file \"%.200s\" has more columns than a table can have",
                         base_name(file->path));
    struct column_definition *columns = arena_alloc(&file->arena, count * sizeof *columns);
    file->refused = arena_alloc(&file->arena, count * sizeof(const char *));
    if (columns == NULL || file->refused == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < count; i++) {
        columns[i] = (struct column_definition){.type = types[i], .nullable = true};
        file->refused[i] = NULL;
    }
    OMEN_TRY(name_columns(file, columns, names, count, error));
    return schema_create(file->database->allocator, columns, count, NULL, 0, &file->schema, error);
}

/* --- opening --- */

static const struct file_format *format_of(const char *extension)
{
    if (strcasecmp(extension, "csv") == 0 || strcasecmp(extension, "tsv") == 0)
        return &file_format_csv;
    return strcasecmp(extension, "parquet") == 0 ? &file_format_parquet : NULL;
}

static omen_status open_handle(struct table_file *file, omen_error *error)
{
    const struct os *os = file->database->os;
    omen_error unused;
    /* Asked of the name first: opening a pipe would wait for its other end. */
    omen_status status = os->file_identity(os, file->path, -1, &file->identity, &unused);
    if (status == OMEN_OK && !file->identity.is_regular)
        return error_set(error, OMEN_WRONG_OBJECT_TYPE, "\"%.300s\" is not a regular file",
                         file->path);
    OMEN_TRY(os->file_open(os, file->path, OS_OPEN_READ, &file->handle, error));
    return os->file_identity(os, NULL, file->handle, &file->identity, error);
}

static omen_status open_file(struct table_file *file, const char *path, bool is_parquet,
                             omen_error *error)
{
    file->path = arena_copy_text(&file->arena, path, strlen(path));
    if (file->path == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    file->extension = extension_of(file->path);
    const struct file_format *format =
        is_parquet ? &file_format_parquet : format_of(file->extension);
    if (format == NULL)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "file \"%.200s\" cannot be read as a table: only .csv, .tsv and .parquet "
                         "files can (the name of a table takes no single quotes)",
                         path);
    OMEN_TRY(open_handle(file, error));
    file->format = format;
    return format->open(file, error);
}

static omen_status file_open(const struct file_request *request, const char *path,
                             struct table_file **out, omen_error *error)
{
    struct database *database = request->database;
    struct table_file *file = allocator_alloc_zeroed(database->allocator, sizeof *file);
    if (file == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    atomic_init(&file->references, 1);
    file->database = database_retain(database);
    file->handle = -1;
    arena_init(&file->arena, database->allocator);
    omen_status status = open_file(file, path, request->is_parquet, error);
    if (status != OMEN_OK) {
        file_release(file);
        return status;
    }
    *out = file;
    return OMEN_OK;
}

/* An empty table with the file's columns, named as the file without its extension. */
static omen_status make_table(const struct table_file *file, struct table **out)
{
    char name[SCHEMA_NAME_BYTES_MAX + 1];
    const char *base = base_name(file->path);
    const char *dot = strrchr(base, '.');
    size_t length = dot == NULL ? strlen(base) : (size_t)(dot - base);
    length = cut_text(base, length, SCHEMA_NAME_BYTES_MAX);
    snprintf(name, sizeof name, "%.*s", (int)length, base);
    return table_create(file->database->allocator, file->database->manager,
                        length == 0 ? "file" : name, file->schema, out);
}

static omen_status open_for_binder(void *context, const char *path, struct bound_file *out,
                                   omen_error *error)
{
    const struct file_request *request = context;
    struct table_file *file = NULL;
    if (!request->database->file_access)
        return error_set(error, OMEN_INSUFFICIENT_PRIVILEGE,
                         "reading a file needs the database's file_access option");
    OMEN_TRY(file_open(request, path, &file, error));
    omen_status status = make_table(file, &out->table);
    if (status != OMEN_OK) {
        file_release(file);
        return error_set_default(error, status);
    }
    out->file = file;
    out->refused = file->refused;
    return OMEN_OK;
}

struct file_opener file_opener_of(const struct file_request *request)
{
    return (struct file_opener){
        .open = open_for_binder, .release = file_release, .context = (void *)request};
}

struct table_file *file_retain(struct table_file *file)
{
    atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
    return file;
}

void file_release(struct table_file *file)
{
    if (file == NULL)
        return;
    /* Release pairs with the acquire of whoever comes last. */
    if (atomic_fetch_sub_explicit(&file->references, 1, memory_order_acq_rel) != 1)
        return;
    struct database *database = file->database;
    if (file->format != NULL && file->format->close != NULL)
        file->format->close(file);
    if (file->handle >= 0)
        database->os->file_close(database->os, file->handle);
    schema_release(file->schema);
    arena_release(&file->arena);
    allocator_free(database->allocator, file, sizeof *file);
    database_release(database);
}

/* --- facts --- */

struct schema *file_schema(const struct table_file *file)
{
    return file->schema;
}

uint64_t file_row_count(const struct table_file *file, bool *exact)
{
    *exact = file->row_count_exact;
    return file->row_count;
}

static bool same_content(const struct os_identity *one, const struct os_identity *other)
{
    return one->device == other->device && one->number == other->number &&
           one->bytes == other->bytes && one->modified_ns == other->modified_ns;
}

bool file_is_current(const struct table_file *file)
{
    const struct os *os = file->database->os;
    struct os_identity now;
    omen_error error;
    return os->file_identity(os, file->path, -1, &now, &error) == OMEN_OK &&
           same_content(&now, &file->identity) && now.changed_ns == file->identity.changed_ns;
}

omen_status file_check_unchanged(const struct table_file *file, omen_error *error)
{
    const struct os *os = file->database->os;
    struct os_identity now;
    OMEN_TRY(os->file_identity(os, NULL, file->handle, &now, error));
    if (same_content(&now, &file->identity))
        return OMEN_OK;
    return error_set(error, OMEN_NOT_READY, "file \"%.300s\" was changed while it was being read",
                     file->path);
}

/* --- cursors --- */

omen_status file_cursor_open(struct table_file *file, const struct file_scan *scan,
                             struct file_cursor **out, omen_error *error)
{
    struct allocator *allocator = file->database->allocator;
    *out = NULL;
    OMEN_TRY(file_check_unchanged(file, error));
    struct file_cursor *cursor = allocator_alloc_zeroed(allocator, sizeof *cursor);
    if (cursor == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    cursor->file = file_retain(file);
    omen_status status = file->format->cursor_open(file, scan, &cursor->inner, error);
    if (status != OMEN_OK) {
        file_cursor_close(cursor);
        return status;
    }
    *out = cursor;
    return OMEN_OK;
}

omen_status file_cursor_next(struct file_cursor *cursor, struct ArrowArray *out, omen_error *error)
{
    omen_status status = cursor->file->format->cursor_next(cursor->inner, out, error);
    if (status == OMEN_OK)
        return OMEN_OK;
    /* The end, or what is wrong with the rows, is true of a file that stayed the same only. */
    omen_status changed = file_check_unchanged(cursor->file, error);
    return changed == OMEN_OK ? status : changed;
}

void file_cursor_close(struct file_cursor *cursor)
{
    if (cursor == NULL)
        return;
    struct table_file *file = cursor->file;
    if (cursor->inner != NULL)
        file->format->cursor_close(cursor->inner);
    allocator_free(file->database->allocator, cursor, sizeof *cursor);
    file_release(file);
}
