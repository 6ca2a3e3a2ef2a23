/* schema_arrow.c - schemas to and from the Arrow C data interface.
 *
 * An exported schema is one block, so that releasing it is one free:
 *
 *   | struct exported | children[] | child pointers[] | names | decimal formats |
 *
 * A consumer may move children out of their parent and release them apart (the specification's
 * "moving child arrays"), so the block counts the schemas that still need it.
 * Source: https://arrow.apache.org/docs/format/CDataInterface.html
 */
#include <stdio.h>
#include <string.h>

#include "column/decimal.h"
#include "column/schema_private.h"

/* --- format strings --- */

static bool parse_integer(const char **text, int32_t *out)
{
    const char *at = *text;
    bool negative = *at == '-';
    at += negative;
    int32_t value = 0;
    const char *digits = at;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (value > 100000000)
            return false;
        value = value * 10 + (*at - '0');
    }
    *text = at;
    *out = negative ? -value : value;
    return at > digits;
}

static bool parse_decimal(const char *text, struct arrow_format *out)
{
    int32_t bits = 128;
    if (!parse_integer(&text, &out->precision) || *text++ != ',' ||
        !parse_integer(&text, &out->scale))
        return false;
    if (*text == ',') {
        text++;
        if (!parse_integer(&text, &bits))
            return false;
    }
    out->kind = ARROW_DECIMAL128;
    return *text == '\0' && bits == 128 && out->precision >= 1 &&
           out->precision <= DECIMAL_PRECISION_MAX;
}

static bool parse_temporal(const char *format, struct arrow_format *out)
{
    if (strcmp(format, "tdD") == 0) {
        out->kind = ARROW_DATE32;
        return true;
    }
    if (strcmp(format, "tdm") == 0) {
        out->kind = ARROW_DATE64;
        return true;
    }
    if (format[0] != 't' || format[1] != 's' || format[2] == '\0' || format[3] != ':')
        return false;
    out->kind = ARROW_TIMESTAMP;
    out->zoned = format[4] != '\0';
    switch (format[2]) {
    case 's':
        out->units_per_second = 1;
        return true;
    case 'm':
        out->units_per_second = 1000;
        return true;
    case 'u':
        out->units_per_second = 1000000;
        return true;
    case 'n':
        out->units_per_second = 1000000000;
        return true;
    default:
        return false;
    }
}

bool arrow_format_parse(const char *format, struct arrow_format *out)
{
    static const struct {
        char format[3];
        enum arrow_kind kind;
    } simple[] = {
        {"n", ARROW_NULL},   {"b", ARROW_BOOL},         {"c", ARROW_INT8},
        {"C", ARROW_UINT8},  {"s", ARROW_INT16},        {"S", ARROW_UINT16},
        {"i", ARROW_INT32},  {"I", ARROW_UINT32},       {"l", ARROW_INT64},
        {"L", ARROW_UINT64}, {"f", ARROW_FLOAT},        {"g", ARROW_DOUBLE},
        {"u", ARROW_UTF8},   {"U", ARROW_LARGE_UTF8},   {"vu", ARROW_UTF8_VIEW},
        {"z", ARROW_BINARY}, {"Z", ARROW_LARGE_BINARY}, {"vz", ARROW_BINARY_VIEW},
    };
    memset(out, 0, sizeof *out);
    if (format == NULL)
        return false;
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++) {
        if (strcmp(format, simple[i].format) == 0) {
            out->kind = simple[i].kind;
            return true;
        }
    }
    if (strncmp(format, "d:", 2) == 0)
        return parse_decimal(format + 2, out);
    if (strncmp(format, "w:", 2) == 0) {
        const char *text = format + 2;
        int32_t width;
        out->kind = ARROW_FIXED_BINARY;
        if (!parse_integer(&text, &width) || *text != '\0' || width < 0)
            return false;
        out->width = (uint32_t)width;
        return true;
    }
    return parse_temporal(format, out);
}

/* --- from Arrow --- */

/* The column type that holds every value of an Arrow type; NONE where there is none. */
static omen_type type_of_format(const struct arrow_format *format)
{
    omen_type type = {0};
    switch (format->kind) {
    case ARROW_BOOL:
        type.id = OMEN_TYPE_BOOLEAN;
        break;
    case ARROW_INT8:
    case ARROW_UINT8:
    case ARROW_INT16:
        type.id = OMEN_TYPE_SMALLINT;
        break;
    case ARROW_UINT16:
    case ARROW_INT32:
        type.id = OMEN_TYPE_INTEGER;
        break;
    case ARROW_UINT32:
    case ARROW_INT64:
    case ARROW_UINT64: /* values beyond BIGINT are refused when they come */
        type.id = OMEN_TYPE_BIGINT;
        break;
    case ARROW_FLOAT:
        type.id = OMEN_TYPE_REAL;
        break;
    case ARROW_DOUBLE:
        type.id = OMEN_TYPE_DOUBLE;
        break;
    case ARROW_DECIMAL128:
        if (format->scale < 0 || format->scale > format->precision)
            break;
        type.id = OMEN_TYPE_DECIMAL;
        type.precision = (uint8_t)format->precision;
        type.scale = (int8_t)format->scale;
        break;
    case ARROW_NULL: /* as PostgreSQL types a bare NULL */
    case ARROW_UTF8:
    case ARROW_LARGE_UTF8:
    case ARROW_UTF8_VIEW:
        type.id = OMEN_TYPE_TEXT;
        break;
    case ARROW_BINARY:
    case ARROW_LARGE_BINARY:
    case ARROW_BINARY_VIEW:
        type.id = OMEN_TYPE_BYTEA;
        break;
    case ARROW_FIXED_BINARY:
        type.id = format->width == 16 ? OMEN_TYPE_UUID : OMEN_TYPE_NONE;
        break;
    case ARROW_DATE32:
    case ARROW_DATE64:
        type.id = OMEN_TYPE_DATE;
        break;
    case ARROW_TIMESTAMP:
        type.id = format->zoned ? OMEN_TYPE_TIMESTAMPTZ : OMEN_TYPE_TIMESTAMP;
        break;
    }
    return type;
}

static omen_status column_from_arrow(const struct ArrowSchema *child, uint32_t position,
                                     struct column_definition *out, omen_error *error)
{
    if (child == NULL || child->release == NULL || child->format == NULL)
        return error_set(error, OMEN_INVALID_ARGUMENT, "Arrow column %u is missing or released",
                         position + 1);
    const char *name = child->name == NULL ? "" : child->name;
    if (child->dictionary != NULL)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "column \"%s\": dictionary-encoded Arrow data is not supported", name);
    struct arrow_format format;
    omen_type type = {0};
    if (arrow_format_parse(child->format, &format))
        type = type_of_format(&format);
    if (type.id == OMEN_TYPE_NONE)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "column \"%s\": no column type for the Arrow format \"%s\"", name,
                         child->format);
    *out = (struct column_definition){
        .name = name, .type = type, .nullable = (child->flags & ARROW_FLAG_NULLABLE) != 0};
    return OMEN_OK;
}

omen_status schema_from_arrow(struct allocator *allocator, const struct ArrowSchema *arrow,
                              const uint32_t *key_columns, uint32_t key_count, struct schema **out,
                              omen_error *error)
{
    *out = NULL;
    if (arrow == NULL || arrow->release == NULL || arrow->format == NULL || arrow->n_children < 0 ||
        (arrow->n_children > 0 && arrow->children == NULL))
        return error_set(error, OMEN_INVALID_ARGUMENT, "the Arrow schema is missing or released");
    if (strcmp(arrow->format, "+s") != 0)
        return error_set(error, OMEN_NOT_SUPPORTED, "the Arrow schema is not a struct");
    if (arrow->n_children > SCHEMA_COLUMNS_MAX)
        return error_set(error, OMEN_TOO_MANY_COLUMNS, "tables can have at most %d columns",
                         SCHEMA_COLUMNS_MAX);
    uint32_t column_count = (uint32_t)arrow->n_children;
    size_t bytes = (column_count + 1) * sizeof(struct column_definition);
    struct column_definition *columns = allocator_alloc(allocator, bytes);
    if (columns == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_status status = OMEN_OK;
    for (uint32_t i = 0; i < column_count && status == OMEN_OK; i++)
        status = column_from_arrow(arrow->children[i], i, &columns[i], error);
    if (status == OMEN_OK)
        status =
            schema_create(allocator, columns, column_count, key_columns, key_count, out, error);
    allocator_free(allocator, columns, bytes);
    return status;
}

/* --- to Arrow --- */

enum { FORMAT_BYTES = 12 }; /* "d:38,38" and its zero, rounded up */

struct exported {
    struct allocator *allocator;
    size_t bytes;
    atomic_uint references; /* the parent and each child not yet released */
    struct ArrowSchema *children;
};

static void exported_drop(struct exported *exported)
{
    /* Release pairs with the acquire of the last one out. */
    if (atomic_fetch_sub_explicit(&exported->references, 1, memory_order_acq_rel) == 1)
        allocator_free(exported->allocator, exported, exported->bytes);
}

static void release_child(struct ArrowSchema *schema)
{
    struct exported *exported = schema->private_data;
    schema->release = NULL;
    exported_drop(exported);
}

static void release_parent(struct ArrowSchema *schema)
{
    struct exported *exported = schema->private_data;
    for (int64_t i = 0; i < schema->n_children; i++)
        if (schema->children[i]->release != NULL)
            schema->children[i]->release(schema->children[i]);
    schema->release = NULL;
    exported_drop(exported);
}

static const char *format_of_type(const omen_type *type, char *buffer)
{
    switch (type->id) {
    case OMEN_TYPE_BOOLEAN:
        return "b";
    case OMEN_TYPE_SMALLINT:
        return "s";
    case OMEN_TYPE_INTEGER:
        return "i";
    case OMEN_TYPE_BIGINT:
        return "l";
    case OMEN_TYPE_REAL:
        return "f";
    case OMEN_TYPE_DOUBLE:
        return "g";
    case OMEN_TYPE_DECIMAL:
        snprintf(buffer, FORMAT_BYTES, "d:%u,%u", type->precision % 100u,
                 (unsigned)type->scale % 100u);
        return buffer;
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR:
        return "vu";
    case OMEN_TYPE_BYTEA:
        return "vz";
    case OMEN_TYPE_DATE:
        return "tdD";
    case OMEN_TYPE_TIMESTAMP:
        return "tsu:";
    case OMEN_TYPE_TIMESTAMPTZ:
        return "tsu:UTC";
    case OMEN_TYPE_UUID:
        return "w:16";
    case OMEN_TYPE_NONE:
        break;
    }
    return "n";
}

/* Column `index` of the list, or of the shown ones where there is none. */
static const struct column_definition *listed_column(const struct schema *schema,
                                                     const uint32_t *columns, uint32_t index)
{
    static const struct column_definition row_id = {
        .name = ROW_ID_NAME,
        .type.id = OMEN_TYPE_BIGINT,
    };
    uint32_t column = columns == NULL ? index : columns[index];
    return column == ROW_ID_COLUMN ? &row_id : &schema->columns[column];
}

omen_status schema_to_arrow(const struct schema *schema, const uint32_t *columns,
                            uint32_t column_count, struct ArrowSchema *out)
{
    memset(out, 0, sizeof *out);
    uint32_t count = columns == NULL ? schema->column_count : column_count;
    size_t bytes = sizeof(struct exported) + count * (sizeof(struct ArrowSchema) +
                                                      sizeof(struct ArrowSchema *) + FORMAT_BYTES);
    for (uint32_t i = 0; i < count; i++)
        bytes += strlen(listed_column(schema, columns, i)->name) + 1;
    struct exported *exported = allocator_alloc_zeroed(schema->allocator, bytes);
    if (exported == NULL)
        return OMEN_OUT_OF_MEMORY;
    exported->allocator = schema->allocator;
    exported->bytes = bytes;
    exported->children = (struct ArrowSchema *)(exported + 1);
    atomic_init(&exported->references, count + 1);
    struct ArrowSchema **pointers = (struct ArrowSchema **)(exported->children + count);
    char *text = (char *)(pointers + count);
    for (uint32_t i = 0; i < count; i++) {
        const struct column_definition *column = listed_column(schema, columns, i);
        char *format = text;
        char *name = text + FORMAT_BYTES;
        size_t name_bytes = strlen(column->name) + 1;
        memcpy(name, column->name, name_bytes);
        text = name + name_bytes;
        exported->children[i] = (struct ArrowSchema){
            .format = format_of_type(&column->type, format),
            .name = name,
            .flags = column->nullable ? ARROW_FLAG_NULLABLE : 0,
            .release = release_child,
            .private_data = exported,
        };
        pointers[i] = &exported->children[i];
    }
    *out = (struct ArrowSchema){
        .format = "+s",
        .name = "",
        .n_children = count,
        .children = pointers,
        .release = release_parent,
        .private_data = exported,
    };
    return OMEN_OK;
}
