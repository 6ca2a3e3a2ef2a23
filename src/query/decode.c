/* decode.c - see decode.h. The batch layout is Arrow's columnar format, version 1.
 * Source: https://arrow.apache.org/docs/format/Columnar.html */
#include "query/decode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "column/decimal.h"

enum form {
    FORM_NULL,
    FORM_BOOL,
    FORM_INTEGER, /* any width and sign: `width`, `is_signed` */
    FORM_FLOAT,
    FORM_DOUBLE,
    FORM_DECIMAL,
    FORM_OFFSETS32,
    FORM_OFFSETS64,
    FORM_VIEW,
    FORM_DATE64,
    FORM_TIMESTAMP, /* `factor` to or from microseconds */
    FORM_UUID,
};

struct field {
    enum form form;
    uint8_t width; /* bytes of an integer */
    bool is_signed;
    int64_t multiplier, divisor; /* of a timestamp */
    omen_type type;
    struct field *dictionary; /* the values, where `form` is the index's */
};

struct decoder {
    struct allocator *allocator;
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    struct ArrowArray batch;
    int64_t row; /* of the batch; -1 before its first */
    size_t column_count;
    struct field *fields; /* column_count of them, and as many for dictionaries */
};

/* --- streams' errors --- */

/* The status that has this SQLSTATE; INTERNAL where none has. */
static omen_status status_of_sqlstate(const char *sqlstate)
{
    static const omen_status statuses[] = {
#define STATUS_ENTRY(name, number, state, text) OMEN_##name,
        OMEN_STATUS_TABLE(STATUS_ENTRY)
#undef STATUS_ENTRY
    };
    for (size_t i = 1; i < sizeof statuses / sizeof *statuses; i++)
        if (strncmp(omen_status_sqlstate(statuses[i]), sqlstate, 5) == 0)
            return statuses[i];
    return OMEN_INTERNAL;
}

omen_status decode_stream_error(struct ArrowArrayStream *stream, int code, omen_error *error)
{
    const char *text = stream->get_last_error(stream);
    if (text == NULL)
        return error_set_default(error, code == ENOMEM ? OMEN_OUT_OF_MEMORY : OMEN_INTERNAL);
    if (strlen(text) < 6 || text[5] != ' ')
        return error_set(error, OMEN_INTERNAL, "%s", text);
    omen_status status = error_set(error, status_of_sqlstate(text), "%s", text + 6);
    if (error != NULL)
        memcpy(error->sqlstate, text, 5);
    return status;
}

/* --- schemas --- */

static bool set_integer(struct field *field, uint8_t width, bool is_signed, omen_type_id type)
{
    field->form = FORM_INTEGER;
    field->width = width;
    field->is_signed = is_signed;
    field->type.id = type;
    return true;
}

static bool set_form(struct field *field, enum form form, omen_type_id type)
{
    field->form = form;
    field->type.id = type;
    return true;
}

static bool read_decimal(const char *format, struct field *field)
{
    int precision, scale, bits = 128;
    int count = sscanf(format, "d:%d,%d,%d", &precision, &scale, &bits);
    if (count < 2 || bits != 128 || precision < 1 || precision > DECIMAL_PRECISION_MAX ||
        scale < 0 || scale > DECIMAL_PRECISION_MAX)
        return false;
    field->type.precision = (uint8_t)precision;
    field->type.scale = (int8_t)scale;
    return set_form(field, FORM_DECIMAL, OMEN_TYPE_DECIMAL);
}

static bool read_timestamp(const char *format, struct field *field)
{
    field->multiplier = field->divisor = 1;
    switch (format[2]) {
    case 's':
        field->multiplier = 1000000;
        break;
    case 'm':
        field->multiplier = 1000;
        break;
    case 'u':
        break;
    case 'n':
        field->divisor = 1000;
        break;
    default:
        return false;
    }
    return set_form(field, FORM_TIMESTAMP,
                    format[4] == '\0' ? OMEN_TYPE_TIMESTAMP : OMEN_TYPE_TIMESTAMPTZ);
}

static bool read_long_format(const char *format, struct field *field)
{
    if (strcmp(format, "tdD") == 0)
        return set_integer(field, 4, true, OMEN_TYPE_DATE);
    if (strcmp(format, "tdm") == 0)
        return set_form(field, FORM_DATE64, OMEN_TYPE_DATE);
    if (strncmp(format, "ts", 2) == 0 && strlen(format) >= 4 && format[3] == ':')
        return read_timestamp(format, field);
    if (strncmp(format, "d:", 2) == 0)
        return read_decimal(format, field);
    if (strcmp(format, "vu") == 0)
        return set_form(field, FORM_VIEW, OMEN_TYPE_TEXT);
    if (strcmp(format, "vz") == 0)
        return set_form(field, FORM_VIEW, OMEN_TYPE_BYTEA);
    if (strcmp(format, "w:16") == 0)
        return set_form(field, FORM_UUID, OMEN_TYPE_UUID);
    return false;
}

static bool read_format(const char *format, struct field *field)
{
    if (format[0] == '\0' || format[1] != '\0')
        return read_long_format(format, field);
    switch (format[0]) {
    case 'n':
        return set_form(field, FORM_NULL, OMEN_TYPE_TEXT);
    case 'b':
        return set_form(field, FORM_BOOL, OMEN_TYPE_BOOLEAN);
    case 'c':
        return set_integer(field, 1, true, OMEN_TYPE_SMALLINT);
    case 'C':
        return set_integer(field, 1, false, OMEN_TYPE_SMALLINT);
    case 's':
        return set_integer(field, 2, true, OMEN_TYPE_SMALLINT);
    case 'S':
        return set_integer(field, 2, false, OMEN_TYPE_INTEGER);
    case 'i':
        return set_integer(field, 4, true, OMEN_TYPE_INTEGER);
    case 'I':
        return set_integer(field, 4, false, OMEN_TYPE_BIGINT);
    case 'l':
        return set_integer(field, 8, true, OMEN_TYPE_BIGINT);
    case 'L':
        field->type.precision = 20;
        return set_integer(field, 8, false, OMEN_TYPE_DECIMAL);
    case 'f':
        return set_form(field, FORM_FLOAT, OMEN_TYPE_REAL);
    case 'g':
        return set_form(field, FORM_DOUBLE, OMEN_TYPE_DOUBLE);
    case 'u':
        return set_form(field, FORM_OFFSETS32, OMEN_TYPE_TEXT);
    case 'U':
        return set_form(field, FORM_OFFSETS64, OMEN_TYPE_TEXT);
    case 'z':
        return set_form(field, FORM_OFFSETS32, OMEN_TYPE_BYTEA);
    case 'Z':
        return set_form(field, FORM_OFFSETS64, OMEN_TYPE_BYTEA);
    default:
        return false;
    }
}

static omen_status read_field(const struct ArrowSchema *schema, struct field *field,
                              struct field *dictionary, omen_error *error)
{
    if (!read_format(schema->format, field) ||
        (schema->dictionary != NULL &&
         (field->form != FORM_INTEGER || schema->dictionary->dictionary != NULL ||
          !read_format(schema->dictionary->format, dictionary))))
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "column \"%.100s\" has a type that is not supported in results "
                         "(Arrow format %.40s)",
                         schema->name != NULL ? schema->name : "", schema->format);
    if (schema->dictionary != NULL)
        field->dictionary = dictionary;
    return OMEN_OK;
}

omen_status decode_column_type(const struct ArrowSchema *column, omen_type *out, omen_error *error)
{
    struct field field = {.form = FORM_NULL}, dictionary = field;
    OMEN_TRY(read_field(column, &field, &dictionary, error));
    *out = field.dictionary != NULL ? dictionary.type : field.type;
    return OMEN_OK;
}

static omen_status read_schema(struct decoder *decoder, omen_error *error)
{
    int code = decoder->stream.get_schema(&decoder->stream, &decoder->schema);
    if (code != 0) {
        decoder->schema.release = NULL;
        return decode_stream_error(&decoder->stream, code, error);
    }
    size_t count = (size_t)decoder->schema.n_children;
    decoder->fields =
        allocator_alloc_zeroed(decoder->allocator, (2 * count + 1) * sizeof *decoder->fields);
    if (decoder->fields == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    decoder->column_count = count;
    for (size_t i = 0; i < count; i++)
        OMEN_TRY(read_field(decoder->schema.children[i], &decoder->fields[i],
                            &decoder->fields[count + i], error));
    return OMEN_OK;
}

omen_status decoder_create(struct allocator *allocator, struct ArrowArrayStream *stream,
                           struct decoder **out, omen_error *error)
{
    *out = NULL;
    struct decoder *decoder = allocator_alloc_zeroed(allocator, sizeof *decoder);
    if (decoder == NULL) {
        stream->release(stream);
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    }
    decoder->allocator = allocator;
    decoder->stream = *stream;
    decoder->row = -1;
    memset(stream, 0, sizeof *stream);
    omen_status status = read_schema(decoder, error);
    if (status != OMEN_OK) {
        decoder_destroy(decoder);
        return status;
    }
    *out = decoder;
    return OMEN_OK;
}

void decoder_destroy(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    if (decoder->batch.release != NULL)
        decoder->batch.release(&decoder->batch);
    if (decoder->schema.release != NULL)
        decoder->schema.release(&decoder->schema);
    size_t count = 2 * decoder->column_count + 1;
    allocator_free(decoder->allocator, decoder->fields, count * sizeof *decoder->fields);
    decoder->stream.release(&decoder->stream);
    allocator_free(decoder->allocator, decoder, sizeof *decoder);
}

size_t decoder_column_count(const struct decoder *decoder)
{
    return decoder->column_count;
}

const char *decoder_column_name(const struct decoder *decoder, size_t column)
{
    const char *name = decoder->schema.children[column]->name;
    return name != NULL ? name : "";
}

static const struct field *value_field(const struct field *field)
{
    return field->dictionary != NULL ? field->dictionary : field;
}

omen_type decoder_column_type(const struct decoder *decoder, size_t column)
{
    return value_field(&decoder->fields[column])->type;
}

/* --- rows --- */

omen_status decoder_step(struct decoder *decoder, omen_error *error)
{
    while (decoder->batch.release == NULL || decoder->row + 1 >= decoder->batch.length) {
        if (decoder->batch.release != NULL)
            decoder->batch.release(&decoder->batch);
        memset(&decoder->batch, 0, sizeof decoder->batch);
        int code = decoder->stream.get_next(&decoder->stream, &decoder->batch);
        decoder->row = -1;
        if (code != 0) {
            decoder->batch.release = NULL;
            return decode_stream_error(&decoder->stream, code, error);
        }
        if (decoder->batch.release == NULL)
            return OMEN_END_OF_DATA;
        if (decoder->batch.n_children != (int64_t)decoder->column_count)
            return error_set(error, OMEN_INTERNAL, "a batch has %lld columns, its schema %zu",
                             (long long)decoder->batch.n_children, decoder->column_count);
    }
    decoder->row++;
    return OMEN_OK;
}

static bool bitmap_get(const void *bitmap, int64_t index)
{
    return ((const uint8_t *)bitmap)[index / 8] >> (index % 8) & 1;
}

static bool is_null(const struct ArrowArray *array, const struct field *field, int64_t index)
{
    return field->form == FORM_NULL ||
           (array->n_buffers > 0 && array->buffers[0] != NULL && array->null_count != 0 &&
            !bitmap_get(array->buffers[0], index));
}

static wide_integer read_integer(const struct ArrowArray *array, const struct field *field,
                                 int64_t index)
{
    const uint8_t *at = (const uint8_t *)array->buffers[1] + index * field->width;
    uint64_t bits = 0;
    memcpy(&bits, at, field->width);
    if (!field->is_signed)
        return bits;
    unsigned unused = 64 - 8u * field->width;
    return (int64_t)(bits << unused) >> unused;
}

static void store_integer(wide_integer integer, omen_value *out)
{
    switch (out->type.id) {
    case OMEN_TYPE_SMALLINT:
        out->as.i16 = (int16_t)integer;
        break;
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_DATE:
        out->as.i32 = (int32_t)integer;
        break;
    case OMEN_TYPE_BIGINT:
        out->as.i64 = (int64_t)integer;
        break;
    default:
        out->as.decimal = decimal_from_integer(integer);
        break;
    }
}

/* A view is length, then 12 bytes of text, or prefix, buffer number and offset. */
static omen_bytes read_view(const struct ArrowArray *array, int64_t index)
{
    const uint8_t *view = (const uint8_t *)array->buffers[1] + 16 * index;
    int32_t words[4];
    memcpy(words, view, sizeof words);
    if (words[0] <= 12)
        return (omen_bytes){view + 4, (size_t)words[0]};
    const uint8_t *heap = array->buffers[2 + words[2]];
    return (omen_bytes){heap + words[3], (size_t)words[0]};
}

static omen_bytes read_bytes(const struct ArrowArray *array, enum form form, int64_t index)
{
    if (form == FORM_VIEW)
        return read_view(array, index);
    int64_t start, end;
    if (form == FORM_OFFSETS32) {
        const int32_t *offsets = array->buffers[1];
        start = offsets[index], end = offsets[index + 1];
    } else {
        const int64_t *offsets = array->buffers[1];
        start = offsets[index], end = offsets[index + 1];
    }
    const uint8_t *data = array->buffers[2];
    return (omen_bytes){data == NULL ? (const uint8_t *)"" : data + start, (size_t)(end - start)};
}

static int64_t divide_down(int64_t value, int64_t divisor)
{
    return value / divisor - (value % divisor < 0);
}

static int64_t read_int64(const struct ArrowArray *array, int64_t index)
{
    return ((const int64_t *)array->buffers[1])[index];
}

static omen_value read_value(const struct ArrowArray *array, const struct field *field,
                             int64_t index)
{
    omen_value value = {.type = value_field(field)->type};
    index += array->offset;
    value.is_null = is_null(array, field, index);
    if (value.is_null)
        return value;
    if (field->dictionary != NULL)
        return read_value(array->dictionary, field->dictionary,
                          (int64_t)read_integer(array, field, index));
    switch (field->form) {
    case FORM_NULL:
        break;
    case FORM_BOOL:
        value.as.boolean = bitmap_get(array->buffers[1], index);
        break;
    case FORM_INTEGER:
        store_integer(read_integer(array, field, index), &value);
        break;
    case FORM_FLOAT:
        value.as.f32 = ((const float *)array->buffers[1])[index];
        break;
    case FORM_DOUBLE:
        value.as.f64 = ((const double *)array->buffers[1])[index];
        break;
    case FORM_DECIMAL:
        memcpy(&value.as.decimal, (const uint8_t *)array->buffers[1] + 16 * index, 16);
        break;
    case FORM_OFFSETS32:
    case FORM_OFFSETS64:
    case FORM_VIEW:
        value.as.bytes = read_bytes(array, field->form, index);
        break;
    case FORM_DATE64:
        value.as.i32 = (int32_t)divide_down(read_int64(array, index), 86400000);
        break;
    case FORM_TIMESTAMP:
        if (__builtin_mul_overflow(read_int64(array, index), field->multiplier, &value.as.i64))
            value.as.i64 = read_int64(array, index) < 0 ? INT64_MIN : INT64_MAX;
        value.as.i64 = divide_down(value.as.i64, field->divisor);
        break;
    case FORM_UUID:
        memcpy(value.as.uuid, (const uint8_t *)array->buffers[1] + 16 * index, 16);
        break;
    }
    return value;
}

omen_value decoder_value(const struct decoder *decoder, size_t column)
{
    /* A struct array may be sliced as a whole: its offset adds to its children's. */
    return read_value(decoder->batch.children[column], &decoder->fields[column],
                      decoder->batch.offset + decoder->row);
}

omen_value decode_retype(omen_value value, omen_type type)
{
    bool both_text = value.type.id >= OMEN_TYPE_TEXT && value.type.id <= OMEN_TYPE_CHAR &&
                     type.id >= OMEN_TYPE_TEXT && type.id <= OMEN_TYPE_CHAR;
    bool same = value.type.id == type.id &&
                (type.id != OMEN_TYPE_DECIMAL || value.type.scale == type.scale);
    if (both_text || same || value.is_null)
        value.type = type;
    return value;
}
