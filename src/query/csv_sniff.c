/* csv_sniff.c - delimiter, header and types of a CSV file, from a sample of it. */
#include <string.h>
#include <strings.h>

#include "query/csv.h"
#include "sql/value_text.h"

/* The sample while it is read as records. */
struct sample {
    const char *text;
    size_t length, position;
    bool whole; /* its last record is complete */
};

static omen_status read_sample(void *context, char *buffer, size_t capacity, size_t *length,
                               omen_error *error)
{
    struct sample *sample = context;
    *length = sample->length - sample->position;
    if (*length > capacity)
        *length = capacity;
    if (*length > 0)
        memcpy(buffer, sample->text + sample->position, *length);
    sample->position += *length;
    return OMEN_OK;
}

/* Calls `visit` for each record, up to CSV_SAMPLE_RECORDS; stops where it gives false, and at the
 * first that is no record, for which `failure` says what is wrong with it. */
static omen_status visit_records(struct allocator *allocator, const struct sample *sample,
                                 const struct csv_options *options,
                                 bool (*visit)(void *state, const struct csv_field *fields,
                                               size_t count),
                                 void *state, omen_error *failure, omen_error *error)
{
    struct sample source = *sample;
    struct csv_reader *reader;
    const struct csv_field *fields;
    size_t count, records = 0;
    omen_status status = csv_create(allocator, options, read_sample, &source, &reader);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    while (records++ < CSV_SAMPLE_RECORDS &&
           (status = csv_next(reader, &fields, &count, failure)) == OMEN_OK) {
        if ((!sample->whole && csv_at_end(reader)) || !visit(state, fields, count))
            break;
    }
    csv_destroy(reader);
    return status == OMEN_OUT_OF_MEMORY ? error_set_default(error, status) : OMEN_OK;
}

/* --- the delimiter --- */

struct counting {
    size_t first; /* fields of the first record; 0: there was none */
    size_t same, records;
};

static bool count_record(void *state, const struct csv_field *fields, size_t count)
{
    struct counting *counting = state;
    if (csv_is_blank(fields, count))
        return true;
    if (counting->first == 0)
        counting->first = count;
    counting->same += count == counting->first;
    counting->records++;
    return true;
}

/* The delimiter that splits the most records into as many fields as the first, and more than one; a
 * comma where none does. */
static omen_status find_delimiter(struct allocator *allocator, const struct sample *sample,
                                  struct csv_options *options, omen_error *error)
{
    static const char candidates[] = {',', '\t', ';', '|'};
    size_t best = 0;
    char found = ',';
    for (size_t i = 0; i < sizeof candidates; i++) {
        struct counting counting = {0};
        options->delimiter = candidates[i];
        OMEN_TRY(visit_records(allocator, sample, options, count_record, &counting, NULL, error));
        if (counting.first > 1 && counting.same > best && 2 * counting.same > counting.records) {
            best = counting.same;
            found = candidates[i];
        }
    }
    options->delimiter = found;
    return OMEN_OK;
}

/* --- types --- */

enum { KIND_COUNT = 5, ALL_KINDS = (1 << KIND_COUNT) - 1 };

static const omen_type_id kinds[KIND_COUNT] = {
    OMEN_TYPE_BOOLEAN, OMEN_TYPE_BIGINT, OMEN_TYPE_DOUBLE, OMEN_TYPE_DATE, OMEN_TYPE_TIMESTAMP};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Whether the text begins like the pattern, in which 0 stands for a digit. */
static bool begins_like(const char *text, size_t length, const char *pattern)
{
    for (size_t i = 0; pattern[i] != '\0'; i++)
        if (i >= length || (pattern[i] == '0' ? !is_digit(text[i]) : text[i] != pattern[i]))
            return false;
    return true;
}

static bool looks_like_timestamp(const char *text, size_t length)
{
    if (!begins_like(text, length, "0000-00-00"))
        return false;
    if (length == 10)
        return true;
    return begins_like(text, length, "0000-00-00 00:00") ||
           begins_like(text, length, "0000-00-00T00:00");
}

/* The form that the type has in files: narrower than what SQL reads as one. */
static bool looks_like(omen_type_id type, const char *text, size_t length)
{
    size_t at = 0;
    switch (type) {
    case OMEN_TYPE_BOOLEAN:
        return (length == 4 && strncasecmp(text, "true", 4) == 0) ||
               (length == 5 && strncasecmp(text, "false", 5) == 0);
    case OMEN_TYPE_BIGINT:
        at = length > 0 && (text[0] == '-' || text[0] == '+');
        if (at == length)
            return false;
        while (at < length && is_digit(text[at]))
            at++;
        return at == length;
    case OMEN_TYPE_DOUBLE:
        while (at < length && (is_digit(text[at]) || strchr("+-.eE", text[at]) != NULL))
            at++;
        return at == length;
    case OMEN_TYPE_DATE:
        return length == 10 && begins_like(text, length, "0000-00-00");
    default:
        return looks_like_timestamp(text, length);
    }
}

/* A zone's offset would be lost in a TIMESTAMP. */
static bool has_offset(const char *text, size_t length)
{
    for (size_t i = 10; i < length; i++)
        if (text[i] == '+' || text[i] == '-')
            return true;
    return false;
}

static bool is_of_type(omen_type_id type, const struct csv_field *field, struct arena *scratch)
{
    omen_value value;
    if (!looks_like(type, field->text, field->length) ||
        (type == OMEN_TYPE_TIMESTAMP && has_offset(field->text, field->length)))
        return false;
    return value_from_text((omen_type){.id = type}, field->text, field->length, scratch, &value,
                           NULL) == OMEN_OK;
}

/* Which kinds of `among` the field has. NULL has all. */
static unsigned kinds_of(const struct csv_field *field, unsigned among, struct arena *scratch)
{
    if (field->length == 0 && !field->quoted)
        return among;
    for (unsigned kind = 0; kind < KIND_COUNT; kind++)
        if ((among & 1u << kind) != 0 && !is_of_type(kinds[kind], field, scratch))
            among &= ~(1u << kind);
    return among;
}

static omen_type type_of(unsigned among, bool seen)
{
    for (unsigned kind = 0; seen && kind < KIND_COUNT; kind++)
        if ((among & 1u << kind) != 0)
            return (omen_type){.id = kinds[kind]};
    return (omen_type){.id = OMEN_TYPE_TEXT};
}

/* --- columns --- */

struct typing {
    struct arena *arena;  /* of what is kept */
    struct arena scratch; /* of values */
    bool failed;          /* memory is out */
    uint32_t column_count;
    unsigned *first;         /* kinds of the first record's fields */
    unsigned *rest;          /* that all others have */
    bool *first_seen, *seen; /* some value is not NULL: in the first, in the others */
    omen_bytes *names;
    uint64_t records, bytes;
};

static bool take_first(struct typing *typing, const struct csv_field *fields, size_t count)
{
    typing->column_count = (uint32_t)count;
    typing->first = arena_alloc(typing->arena, count * sizeof *typing->first);
    typing->rest = arena_alloc(typing->arena, count * sizeof *typing->rest);
    typing->first_seen = arena_alloc(typing->arena, count);
    typing->seen = arena_alloc(typing->arena, count);
    typing->names = arena_alloc(typing->arena, count * sizeof *typing->names);
    typing->failed = typing->first == NULL || typing->rest == NULL || typing->first_seen == NULL ||
                     typing->seen == NULL || typing->names == NULL;
    for (size_t i = 0; i < count && !typing->failed; i++) {
        char *name = arena_copy_text(typing->arena, fields[i].text, fields[i].length);
        typing->failed = name == NULL;
        typing->names[i] = (omen_bytes){(const uint8_t *)name, fields[i].length};
        typing->first[i] = kinds_of(&fields[i], ALL_KINDS, &typing->scratch);
        typing->first_seen[i] = fields[i].length > 0 || fields[i].quoted;
        typing->rest[i] = ALL_KINDS;
        typing->seen[i] = false;
    }
    return !typing->failed;
}

static bool type_record(void *state, const struct csv_field *fields, size_t count)
{
    struct typing *typing = state;
    if (typing->scratch.blocks != NULL)
        arena_reset(&typing->scratch);
    if (csv_is_blank(fields, count) && typing->column_count != 1)
        return true;
    typing->records++;
    for (size_t i = 0; i < count; i++)
        typing->bytes += fields[i].length + 1;
    if (typing->column_count == 0)
        return take_first(typing, fields, count);
    for (size_t i = 0; i < count && i < typing->column_count; i++) {
        typing->rest[i] = kinds_of(&fields[i], typing->rest[i], &typing->scratch);
        typing->seen[i] = typing->seen[i] || fields[i].length > 0 || fields[i].quoted;
    }
    return true;
}

/* Whether the first record names the columns. */
static bool first_is_header(const struct typing *typing)
{
    bool all_text = true;
    for (uint32_t i = 0; i < typing->column_count; i++) {
        bool by_first = typing->records == 1;
        omen_type type = by_first ? type_of(typing->first[i], typing->first_seen[i])
                                  : type_of(typing->rest[i], typing->seen[i]);
        all_text = all_text && type.id == OMEN_TYPE_TEXT;
        if (!by_first && type.id != OMEN_TYPE_TEXT && (typing->first[i] & typing->rest[i]) == 0)
            return true;
    }
    return all_text;
}

static omen_status finish_shape(const struct typing *typing, struct csv_shape *out,
                                omen_error *error)
{
    uint32_t count = typing->column_count;
    out->header = first_is_header(typing);
    out->column_count = count;
    out->names = typing->names;
    out->types = arena_alloc(typing->arena, count * sizeof *out->types);
    if (out->types == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < count; i++) {
        bool first_counts = !out->header;
        unsigned among = typing->rest[i] & (first_counts ? typing->first[i] : ALL_KINDS);
        out->types[i] = type_of(among, typing->seen[i] || (first_counts && typing->first_seen[i]));
        if (first_counts)
            out->names[i].length = 0;
    }
    return OMEN_OK;
}

static omen_status find_types(struct allocator *allocator, const struct sample *sample,
                              struct arena *arena, struct csv_shape *out, omen_error *error)
{
    struct typing typing = {.arena = arena};
    omen_error failure = {.status = OMEN_OK};
    arena_init(&typing.scratch, allocator);
    omen_status status =
        visit_records(allocator, sample, &out->options, type_record, &typing, &failure, error);
    arena_release(&typing.scratch);
    if (status == OMEN_OK && typing.failed)
        status = error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (status != OMEN_OK)
        return status;
    if (typing.column_count == 0 && !sample->whole)
        return error_set(error, OMEN_LIMIT_EXCEEDED, "its first record is longer than %d bytes",
                         CSV_SAMPLE_BYTES);
    if (typing.column_count == 0 && failure.status != OMEN_OK)
        return error_set(error, failure.status, "%s", failure.message);
    if (typing.column_count == 0)
        return error_set(error, OMEN_BAD_COPY_FORMAT, "it has no record, so no columns");
    out->row_bytes = (uint32_t)(typing.bytes / typing.records); /* at least 1: a line end */
    return finish_shape(&typing, out, error);
}

omen_status csv_sniff(struct allocator *allocator, struct arena *arena, const char *sample,
                      size_t length, bool whole, char delimiter, struct csv_shape *out,
                      omen_error *error)
{
    memset(out, 0, sizeof *out);
    if (length >= 3 && memcmp(sample, "\xEF\xBB\xBF", 3) == 0)
        out->mark_bytes = 3;
    const struct sample source = {
        .text = sample + out->mark_bytes, .length = length - out->mark_bytes, .whole = whole};
    out->options = (struct csv_options){
        .delimiter = delimiter, .quote = '"', .escape = '"', .no_end_mark = true};
    if (delimiter == '\0')
        OMEN_TRY(find_delimiter(allocator, &source, &out->options, error));
    return find_types(allocator, &source, arena, out, error);
}
