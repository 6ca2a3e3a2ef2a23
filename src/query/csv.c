/* csv.c - finding a record's end first, then splitting it where it lies.
 *
 *   buffer:  | consumed | record being scanned ... | bytes read ahead | free |
 *                       start                position            filled
 *
 * Line ends are \n, \r\n or \r, whichever the file uses first; another kind later, outside
 * quotes, is an error, as in PostgreSQL: it means that a field lost its quotes. A line of just
 * \. ends the data.
 */
#include "query/csv.h"

#include <string.h>

enum { BUFFER_BYTES = 1 << 20, FIELDS_FIRST = 64 };

enum line_end { LINE_END_UNKNOWN, LINE_END_LF, LINE_END_CR, LINE_END_CRLF };

struct csv_reader {
    struct allocator *allocator;
    struct csv_options options;
    csv_source source;
    void *context;
    char *buffer;
    size_t capacity, start, position, filled;
    bool at_end; /* the source has no more */
    bool finished;
    enum line_end line_end;
    uint64_t line;      /* at `position` */
    uint64_t line_last; /* where the last record began */
    struct csv_field *fields;
    size_t field_capacity, field_count;
};

omen_status csv_create(struct allocator *allocator, const struct csv_options *options,
                       csv_source source, void *context, struct csv_reader **out)
{
    *out = NULL;
    struct csv_reader *reader = allocator_alloc_zeroed(allocator, sizeof *reader);
    if (reader == NULL)
        return OMEN_OUT_OF_MEMORY;
    reader->allocator = allocator;
    reader->options = *options;
    reader->source = source;
    reader->context = context;
    reader->line = 1;
    reader->capacity = BUFFER_BYTES;
    reader->field_capacity = FIELDS_FIRST;
    reader->buffer = allocator_alloc(allocator, reader->capacity);
    reader->fields = allocator_alloc(allocator, FIELDS_FIRST * sizeof *reader->fields);
    if (reader->buffer == NULL || reader->fields == NULL) {
        csv_destroy(reader);
        return OMEN_OUT_OF_MEMORY;
    }
    *out = reader;
    return OMEN_OK;
}

void csv_destroy(struct csv_reader *reader)
{
    if (reader == NULL)
        return;
    struct allocator *allocator = reader->allocator;
    allocator_free(allocator, reader->buffer, reader->capacity);
    allocator_free(allocator, reader->fields, reader->field_capacity * sizeof *reader->fields);
    allocator_free(allocator, reader, sizeof *reader);
}

uint64_t csv_line(const struct csv_reader *reader)
{
    return reader->line_last;
}

bool csv_at_end(const struct csv_reader *reader)
{
    return reader->at_end && reader->position == reader->filled;
}

/* Reads on, moving the record to the buffer's start and growing the buffer where it is full. */
static omen_status refill(struct csv_reader *reader, omen_error *error)
{
    if (reader->start > 0) {
        memmove(reader->buffer, reader->buffer + reader->start, reader->filled - reader->start);
        reader->position -= reader->start;
        reader->filled -= reader->start;
        reader->start = 0;
    }
    if (reader->filled == reader->capacity) {
        size_t larger = reader->capacity * 2;
        if (larger > CSV_RECORD_BYTES_MAX)
            return error_set(error, OMEN_LIMIT_EXCEEDED, "a record is longer than %d bytes",
                             CSV_RECORD_BYTES_MAX);
        char *buffer =
            allocator_resize(reader->allocator, reader->buffer, reader->capacity, larger);
        if (buffer == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        reader->buffer = buffer;
        reader->capacity = larger;
    }
    size_t length = 0;
    OMEN_TRY(reader->source(reader->context, reader->buffer + reader->filled,
                            reader->capacity - reader->filled, &length, error));
    reader->at_end = length == 0;
    reader->filled += length;
    return OMEN_OK;
}

/* Makes sure that the byte at `position` is there; false at the end of the file. */
static omen_status need_byte(struct csv_reader *reader, bool *there, omen_error *error)
{
    while (reader->position == reader->filled && !reader->at_end)
        OMEN_TRY(refill(reader, error));
    *there = reader->position < reader->filled;
    return OMEN_OK;
}

static omen_status stray_line_end(char c, omen_error *error)
{
    return error_set(error, OMEN_BAD_COPY_FORMAT, "unquoted %s found in data",
                     c == '\n' ? "newline" : "carriage return");
}

/* Takes the line end that begins with `c`, which has been consumed, and checks that it is the
 * file's kind. */
static omen_status take_line_end(struct csv_reader *reader, char c, omen_error *error)
{
    enum line_end found = c == '\n' ? LINE_END_LF : LINE_END_CR;
    bool there;
    if (c == '\r' && reader->line_end != LINE_END_CR) {
        OMEN_TRY(need_byte(reader, &there, error));
        if (there && reader->buffer[reader->position] == '\n') {
            reader->position++;
            found = LINE_END_CRLF;
        }
    }
    if (reader->line_end == LINE_END_UNKNOWN)
        reader->line_end = found;
    if (found != reader->line_end)
        return stray_line_end(c, error);
    reader->line++;
    return OMEN_OK;
}

/* Finds the end of the record that begins at `start`: its length without the line end.
 * END_OF_DATA where nothing is left. */
static omen_status find_record(struct csv_reader *reader, size_t *length, omen_error *error)
{
    const struct csv_options *options = &reader->options;
    bool in_quotes = false, escaped = false, there;
    reader->start = reader->position;
    reader->line_last = reader->line;
    for (;;) {
        OMEN_TRY(need_byte(reader, &there, error));
        if (!there) {
            *length = reader->position - reader->start;
            if (*length == 0)
                return OMEN_END_OF_DATA;
            return OMEN_OK;
        }
        char c = reader->buffer[reader->position++];
        if (in_quotes && c == options->escape && options->escape != options->quote)
            escaped = !escaped;
        if (c == options->quote && !escaped)
            in_quotes = !in_quotes;
        if (c != options->escape)
            escaped = false;
        if (c != '\n' && c != '\r')
            continue;
        if (in_quotes) {
            reader->line += c == '\n' || reader->line_end == LINE_END_CR;
            continue;
        }
        *length = reader->position - 1 - reader->start;
        return take_line_end(reader, c, error);
    }
}

static omen_status add_field(struct csv_reader *reader, const char *text, size_t length,
                             bool quoted)
{
    if (reader->field_count == reader->field_capacity) {
        size_t larger = reader->field_capacity * 2;
        struct csv_field *fields =
            allocator_resize(reader->allocator, reader->fields,
                             reader->field_capacity * sizeof *fields, larger * sizeof *fields);
        if (fields == NULL)
            return OMEN_OUT_OF_MEMORY;
        reader->fields = fields;
        reader->field_capacity = larger;
    }
    reader->fields[reader->field_count++] =
        (struct csv_field){.text = text, .length = length, .quoted = quoted};
    return OMEN_OK;
}

/* Copies the quoted part that begins at `at` down to `*out`. Gives the position behind the
 * closing quote, or NULL where there is none. */
static char *unquote(const struct csv_options *options, char *at, const char *end, char **out)
{
    while (at < end) {
        char c = *at++;
        if (c == options->escape && at < end && (*at == options->escape || *at == options->quote))
            *(*out)++ = *at++;
        else if (c == options->quote)
            return at;
        else
            *(*out)++ = c;
    }
    return NULL;
}

/* Splits a record into fields, in place. */
static omen_status split_record(struct csv_reader *reader, char *at, size_t length,
                                omen_error *error)
{
    const struct csv_options *options = &reader->options;
    char *end = at + length;
    reader->field_count = 0;
    for (;;) {
        char *text = at, *out = at;
        bool quoted = false;
        while (at < end && *at != options->delimiter) {
            if (*at != options->quote) {
                *out++ = *at++;
                continue;
            }
            quoted = true;
            at = unquote(options, at + 1, end, &out);
            if (at == NULL)
                return error_set(error, OMEN_BAD_COPY_FORMAT, "unterminated CSV quoted field");
        }
        if (add_field(reader, text, (size_t)(out - text), quoted) != OMEN_OK)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        if (at == end)
            return OMEN_OK;
        at++; /* the delimiter */
    }
}

omen_status csv_next(struct csv_reader *reader, const struct csv_field **fields, size_t *count,
                     omen_error *error)
{
    size_t length;
    if (reader->finished)
        return OMEN_END_OF_DATA;
    omen_status status = find_record(reader, &length, error);
    if (status == OMEN_END_OF_DATA)
        reader->finished = true;
    if (status != OMEN_OK)
        return status;
    char *record = reader->buffer + reader->start;
    if (length == 2 && memcmp(record, "\\.", 2) == 0 && !reader->options.no_end_mark) {
        reader->finished = true;
        return OMEN_END_OF_DATA;
    }
    OMEN_TRY(split_record(reader, record, length, error));
    *fields = reader->fields;
    *count = reader->field_count;
    return OMEN_OK;
}

omen_status csv_locate(const struct csv_reader *reader, const char *path, const char *column,
                       omen_status status, const omen_error *failure, omen_error *error)
{
    unsigned long long line = csv_line(reader);
    size_t length = strlen(path);
    /* The end of a long path tells more than its beginning. */
    while (length > 120 || (length < strlen(path) && ((unsigned char)*path & 0xC0) == 0x80))
        path++, length--;
    if (column == NULL)
        return error_set(error, status, "%.220s (file \"%s\", line %llu)", failure->message, path,
                         line);
    return error_set(error, status, "%.220s (file \"%s\", line %llu, column %.63s)",
                     failure->message, path, line, column);
}
