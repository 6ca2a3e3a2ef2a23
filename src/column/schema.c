/* schema.c - making schemas, and checking values against them.
 *
 * One block holds it all, so that it has one owner and one size:
 *
 *   | struct schema | columns[stored_count] | uniques[unique_count] |
 *   | per column: its name, its default's text | per unique key: its name |
 *
 * texts zero-terminated.
 *
 * Immutable but for the reference count.
 */
#include "column/schema.h"

#include <assert.h>
#include <string.h>

#include "base/assert.h"
#include "base/nearest.h"
#include "column/decimal.h"
#include "column/float_order.h"
#include "column/schema_private.h"
#include "column/time_range.h"
#include "column/utf8.h"

#define HIDDEN_KEY_NAME "omen_row_key"

/* Unique keys follow the columns in one block. */
static_assert(sizeof(struct column_definition) % _Alignof(struct schema_key) == 0, "no padding");

uint32_t type_width(omen_type_id type)
{
    switch (type) {
    case OMEN_TYPE_BOOLEAN:
        return 1;
    case OMEN_TYPE_SMALLINT:
        return 2;
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_REAL:
    case OMEN_TYPE_DATE:
        return 4;
    case OMEN_TYPE_BIGINT:
    case OMEN_TYPE_DOUBLE:
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        return 8;
    case OMEN_TYPE_DECIMAL:
    case OMEN_TYPE_UUID:
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR:
    case OMEN_TYPE_BYTEA:
        return 16;
    case OMEN_TYPE_NONE:
        break;
    }
    return 0;
}

bool type_is_view(omen_type_id type)
{
    return (type >= OMEN_TYPE_TEXT && type <= OMEN_TYPE_CHAR) || type == OMEN_TYPE_BYTEA;
}

const char *type_name(omen_type_id type)
{
    static const char *const names[] = {"unknown",
                                        "boolean",
                                        "smallint",
                                        "integer",
                                        "bigint",
                                        "real",
                                        "double precision",
                                        "numeric",
                                        "text",
                                        "character varying",
                                        "character",
                                        "bytea",
                                        "date",
                                        "timestamp without time zone",
                                        "timestamp with time zone",
                                        "uuid"};
    return (size_t)type < sizeof names / sizeof *names ? names[type] : "unknown";
}

/* --- creation --- */

static omen_status check_column(const struct column_definition *column, uint32_t position,
                                omen_error *error)
{
    if (column->name == NULL || column->name[0] == '\0')
        return error_set(error, OMEN_INVALID_TABLE, "column %u has no name", position + 1);
    size_t length = strlen(column->name);
    if (length > SCHEMA_NAME_BYTES_MAX)
        return error_set(error, OMEN_NAME_TOO_LONG, "column name \"%s\" is longer than %d bytes",
                         column->name, SCHEMA_NAME_BYTES_MAX);
    if (!utf8_is_valid((const uint8_t *)column->name, length))
        return error_set(error, OMEN_INVALID_TABLE, "the name of column %u is not UTF-8",
                         position + 1);
    const omen_type *type = &column->type;
    if (type_width(type->id) == 0)
        return error_set(error, OMEN_INVALID_TABLE, "column \"%s\" has no type", column->name);
    if (type->id == OMEN_TYPE_DECIMAL &&
        (type->precision < 1 || type->precision > DECIMAL_PRECISION_MAX || type->scale < 0 ||
         type->scale > type->precision))
        return error_set(error, OMEN_INVALID_TABLE, "column \"%s\": numeric(%d,%d) is not possible",
                         column->name, type->precision, type->scale);
    return OMEN_OK;
}

static omen_status check_columns(const struct column_definition *columns, uint32_t column_count,
                                 omen_error *error)
{
    if (column_count > SCHEMA_COLUMNS_MAX)
        return error_set(error, OMEN_TOO_MANY_COLUMNS, "tables can have at most %d columns",
                         SCHEMA_COLUMNS_MAX);
    for (uint32_t i = 0; i < column_count; i++) {
        OMEN_TRY(check_column(&columns[i], i, error));
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(columns[i].name, columns[j].name) == 0)
                return error_set(error, OMEN_DUPLICATE_COLUMN,
                                 "column \"%s\" specified more than once", columns[i].name);
    }
    return OMEN_OK;
}

/* `what` names the key in messages. */
static omen_status check_key(const struct schema_definition *definition, const uint32_t *columns,
                             uint32_t count, const char *what, omen_error *error)
{
    if (count > SCHEMA_KEY_COLUMNS_MAX)
        return error_set(error, OMEN_INVALID_TABLE, "a key can have at most %d columns",
                         SCHEMA_KEY_COLUMNS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (columns[i] >= definition->column_count)
            return error_set(error, OMEN_INVALID_TABLE, "key column %u does not exist", columns[i]);
        for (uint32_t j = 0; j < i; j++)
            if (columns[i] == columns[j])
                return error_set(error, OMEN_INVALID_TABLE, "column \"%s\" appears twice in %s",
                                 definition->columns[columns[i]].name, what);
    }
    return OMEN_OK;
}

static omen_status check_unique_name(const char *name, omen_error *error)
{
    size_t length = name == NULL ? 0 : strlen(name);
    if (length == 0 || !utf8_is_valid((const uint8_t *)name, length))
        return error_set(error, OMEN_INVALID_TABLE, "a unique constraint has no name");
    if (length > SCHEMA_NAME_BYTES_MAX)
        return error_set(error, OMEN_NAME_TOO_LONG,
                         "constraint name \"%s\" is longer than %d bytes", name,
                         SCHEMA_NAME_BYTES_MAX);
    return OMEN_OK;
}

static omen_status check_uniques(const struct schema_definition *definition, omen_error *error)
{
    if (definition->unique_count > SCHEMA_UNIQUES_MAX)
        return error_set(error, OMEN_LIMIT_EXCEEDED,
                         "a table can have at most %d unique constraints", SCHEMA_UNIQUES_MAX);
    for (uint32_t i = 0; i < definition->unique_count; i++) {
        const struct unique_definition *unique = &definition->uniques[i];
        OMEN_TRY(check_unique_name(unique->name, error));
        if (unique->column_count == 0)
            return error_set(error, OMEN_INVALID_TABLE, "unique constraint \"%s\" has no columns",
                             unique->name);
        OMEN_TRY(check_key(definition, unique->columns, unique->column_count, "unique constraint",
                           error));
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(unique->name, definition->uniques[j].name) == 0)
                return error_set(error, OMEN_DUPLICATE_TABLE, "relation \"%s\" already exists",
                                 unique->name);
    }
    return OMEN_OK;
}

/* Width of a key part inside a word, 0 where the type does not fit one. */
static uint32_t part_bits(const omen_type *type, bool alone)
{
    switch (type->id) {
    case OMEN_TYPE_BOOLEAN:
        return 1;
    case OMEN_TYPE_SMALLINT:
        return 16;
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_REAL:
    case OMEN_TYPE_DATE:
        return 32;
    case OMEN_TYPE_BIGINT:
    case OMEN_TYPE_DOUBLE:
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        return 64;
    case OMEN_TYPE_DECIMAL:
        if (type->precision > DECIMAL_WORD_PRECISION_MAX)
            return 0;
        /* Alone it always takes 64 bits, so that key_word needs no precision. */
        return alone || type->precision > 9 ? 64 : type->precision > 4 ? 32 : 16;
    default:
        return 0;
    }
}

static void choose_key_kind(const struct schema *schema, struct schema_key *key)
{
    uint32_t total = 0;
    bool fits = true;
    for (uint32_t i = 0; i < key->count; i++) {
        uint32_t bits = part_bits(&schema->columns[key->columns[i]].type, key->count == 1);
        key->bits[i] = bits;
        fits = fits && bits > 0;
        total += bits;
    }
    key->kind = fits && total <= 64 ? INDEX_WORD : INDEX_BYTES;
    if (key->kind == INDEX_BYTES)
        memset(key->bits, 0, sizeof key->bits);
}

/* Type attributes that do not apply are cleared, so that types compare field by field. */
static omen_type normal_type(omen_type type)
{
    omen_type normal = {.id = type.id};
    if (type.id == OMEN_TYPE_DECIMAL) {
        normal.precision = type.precision;
        normal.scale = type.scale;
    }
    if (type.id == OMEN_TYPE_VARCHAR || type.id == OMEN_TYPE_CHAR)
        normal.length_max = type.length_max;
    return normal;
}

/* Copies a text into the room behind the columns. */
static const char *place_text(char **room, const char *text)
{
    char *copy = *room;
    size_t bytes = strlen(text) + 1;
    memcpy(copy, text, bytes);
    *room += bytes;
    return copy;
}

/* Copies the columns; gives the room that is left. */
static char *fill_columns(struct schema *schema, const struct column_definition *columns,
                          char *room)
{
    for (uint32_t i = 0; i < schema->stored_count; i++) {
        bool hidden = i == schema->column_count;
        struct column_definition *column = &schema->columns[i];
        column->name = place_text(&room, hidden ? HIDDEN_KEY_NAME : columns[i].name);
        column->type = hidden ? (omen_type){.id = OMEN_TYPE_BIGINT} : normal_type(columns[i].type);
        column->nullable = !hidden && columns[i].nullable;
        if (!hidden && columns[i].default_text != NULL)
            column->default_text = place_text(&room, columns[i].default_text);
    }
    for (uint32_t i = 0; i < schema->key.count; i++)
        schema->columns[schema->key.columns[i]].nullable = false;
    return room;
}

static void fill_uniques(struct schema *schema, struct schema_key *keys,
                         const struct unique_definition *uniques, char *room)
{
    for (uint32_t i = 0; i < schema->unique_count; i++) {
        keys[i].name = place_text(&room, uniques[i].name);
        keys[i].count = uniques[i].column_count;
        memcpy(keys[i].columns, uniques[i].columns, keys[i].count * sizeof keys[i].columns[0]);
        choose_key_kind(schema, &keys[i]);
    }
}

static size_t text_bytes(const struct column_definition *columns, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += strlen(columns[i].name) + 1;
        bytes += columns[i].default_text == NULL ? 0 : strlen(columns[i].default_text) + 1;
    }
    return bytes;
}

omen_status schema_define(struct allocator *allocator, const struct schema_definition *definition,
                          struct schema **out, omen_error *error)
{
    *out = NULL;
    OMEN_TRY(check_columns(definition->columns, definition->column_count, error));
    OMEN_TRY(check_key(definition, definition->key_columns, definition->key_count, "primary key",
                       error));
    OMEN_TRY(check_uniques(definition, error));
    bool hidden = definition->key_count == 0;
    uint32_t stored_count = definition->column_count + hidden;
    size_t fixed_bytes = sizeof(struct schema) + stored_count * sizeof(struct column_definition) +
                         definition->unique_count * sizeof(struct schema_key);
    size_t bytes = fixed_bytes + text_bytes(definition->columns, definition->column_count) +
                   (hidden ? sizeof HIDDEN_KEY_NAME : 0);
    for (uint32_t i = 0; i < definition->unique_count; i++)
        bytes += strlen(definition->uniques[i].name) + 1;
    struct schema *schema = allocator_alloc_zeroed(allocator, bytes);
    if (schema == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    struct schema_key *uniques = (struct schema_key *)(void *)&schema->columns[stored_count];
    schema->allocator = allocator;
    atomic_init(&schema->references, 1);
    schema->column_count = definition->column_count;
    schema->stored_count = stored_count;
    schema->unique_count = definition->unique_count;
    schema->uniques = uniques;
    schema->key_hidden = hidden;
    schema->key.count = hidden ? 1 : definition->key_count;
    schema->key.columns[0] = definition->column_count;
    for (uint32_t i = 0; i < definition->key_count; i++)
        schema->key.columns[i] = definition->key_columns[i];
    char *room = fill_columns(schema, definition->columns, (char *)schema + fixed_bytes);
    choose_key_kind(schema, &schema->key);
    fill_uniques(schema, uniques, definition->uniques, room);
    *out = schema;
    return OMEN_OK;
}

omen_status schema_create(struct allocator *allocator, const struct column_definition *columns,
                          uint32_t column_count, const uint32_t *key_columns, uint32_t key_count,
                          struct schema **out, omen_error *error)
{
    struct schema_definition definition = {.columns = columns,
                                           .column_count = column_count,
                                           .key_columns = key_columns,
                                           .key_count = key_count};
    return schema_define(allocator, &definition, out, error);
}

static size_t schema_bytes(const struct schema *schema)
{
    size_t bytes = sizeof *schema + schema->stored_count * sizeof *schema->columns +
                   schema->unique_count * sizeof *schema->uniques +
                   text_bytes(schema->columns, schema->stored_count);
    for (uint32_t i = 0; i < schema->unique_count; i++)
        bytes += strlen(schema->uniques[i].name) + 1;
    return bytes;
}

struct schema *schema_retain(struct schema *schema)
{
    /* Relaxed: whoever retains already holds a reference. */
    atomic_fetch_add_explicit(&schema->references, 1, memory_order_relaxed);
    return schema;
}

void schema_release(struct schema *schema)
{
    if (schema == NULL)
        return;
    /* Release pairs with the acquire of the last one out: every use comes before the free. */
    if (atomic_fetch_sub_explicit(&schema->references, 1, memory_order_acq_rel) != 1)
        return;
    allocator_free(schema->allocator, schema, schema_bytes(schema));
}

int32_t schema_find(const struct schema *schema, const char *name, size_t length)
{
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const char *own = schema->columns[i].name;
        if (strlen(own) == length && memcmp(own, name, length) == 0)
            return (int32_t)i;
    }
    return -1;
}

void schema_suggest(const struct schema *schema, const char *name, omen_error *error)
{
    struct nearest nearest;
    nearest_begin(&nearest, name, strlen(name));
    for (uint32_t i = 0; i < schema->column_count; i++)
        nearest_offer(&nearest, NULL, schema->columns[i].name, 0);
    nearest_hint(&nearest, "column", error);
}

/* --- values --- */

static bool same_family(omen_type_id left, omen_type_id right)
{
    bool left_text = left >= OMEN_TYPE_TEXT && left <= OMEN_TYPE_CHAR;
    bool right_text = right >= OMEN_TYPE_TEXT && right <= OMEN_TYPE_CHAR;
    return left == right || (left_text && right_text);
}

bool schema_value_matches(const omen_type *column, const omen_type *value)
{
    return same_family(column->id, value->id) &&
           (column->id != OMEN_TYPE_DECIMAL || column->scale == value->scale);
}

omen_status schema_check_text(const struct column_definition *column, const uint8_t *data,
                              size_t length, size_t *padding, omen_error *error)
{
    *padding = 0;
    if (column->type.id == OMEN_TYPE_BYTEA)
        return OMEN_OK;
    if (!utf8_is_valid(data, length))
        return error_set(error, OMEN_INVALID_ENCODING,
                         "invalid byte sequence for encoding \"UTF8\" in column \"%s\"",
                         column->name);
    uint32_t length_max = column->type.length_max;
    if (length_max == 0)
        return OMEN_OK;
    size_t characters = utf8_character_count(data, length);
    if (characters > length_max)
        return error_set(error, OMEN_STRING_TOO_LONG,
                         "value too long for column \"%s\" of type %s(%u)", column->name,
                         type_name(column->type.id), length_max);
    if (column->type.id == OMEN_TYPE_CHAR)
        *padding = length_max - characters;
    return OMEN_OK;
}

omen_status schema_check_decimal(const struct column_definition *column, wide_integer unscaled,
                                 omen_error *error)
{
    if (decimal_fits(unscaled, column->type.precision))
        return OMEN_OK;
    return error_set(error, OMEN_OUT_OF_RANGE,
                     "numeric field overflow in column \"%s\" of type numeric(%d,%d)", column->name,
                     column->type.precision, column->type.scale);
}

omen_status schema_check_value(const struct schema *schema, uint32_t column, omen_value *value,
                               omen_error *error)
{
    OMEN_ASSERT(column < schema->stored_count);
    const struct column_definition *definition = &schema->columns[column];
    if (value->is_null) {
        if (!definition->nullable)
            return error_set(error, OMEN_NOT_NULL_VIOLATION,
                             "null value in column \"%s\" violates not-null constraint",
                             definition->name);
        if (value->type.id == OMEN_TYPE_NONE)
            value->type = definition->type;
        return OMEN_OK;
    }
    if (!schema_value_matches(&definition->type, &value->type))
        return error_set(
            error, OMEN_TYPE_MISMATCH, "column \"%s\" is of type %s but the value is of type %s",
            definition->name, type_name(definition->type.id), type_name(value->type.id));
    size_t padding;
    uint8_t truth;
    switch (definition->type.id) {
    case OMEN_TYPE_BOOLEAN:
        memcpy(&truth, &value->as, sizeof truth); /* a caller's byte, and no bool until it is */
        value->as.boolean = truth != 0;
        break;
    case OMEN_TYPE_REAL:
        value->as.f32 = float_canonical(value->as.f32);
        break;
    case OMEN_TYPE_DOUBLE:
        value->as.f64 = double_canonical(value->as.f64);
        break;
    case OMEN_TYPE_DECIMAL:
        OMEN_TRY(schema_check_decimal(definition, decimal_to_integer(value->as.decimal), error));
        break;
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR:
    case OMEN_TYPE_BYTEA:
        OMEN_TRY(schema_check_text(definition, value->as.bytes.data, value->as.bytes.length,
                                   &padding, error));
        break;
    default:
        if (!value_time_in_range(value))
            return error_set(error, OMEN_DATETIME_OVERFLOW, "%s out of range for column \"%s\"",
                             type_name(definition->type.id), definition->name);
        break;
    }
    value->type = definition->type;
    return OMEN_OK;
}

static int compare_bytes(omen_bytes left, omen_bytes right)
{
    size_t common = left.length < right.length ? left.length : right.length;
    int order = common == 0 ? 0 : memcmp(left.data, right.data, common);
    return order != 0 ? order : (left.length > right.length) - (left.length < right.length);
}

#define ORDER_OF(left, right) (((left) > (right)) - ((left) < (right)))

int value_compare(const omen_value *left, const omen_value *right)
{
    OMEN_ASSERT(same_family(left->type.id, right->type.id));
    switch (left->type.id) {
    case OMEN_TYPE_UUID:
        return memcmp(left->as.uuid, right->as.uuid, sizeof left->as.uuid);
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR:
    case OMEN_TYPE_BYTEA:
        return compare_bytes(left->as.bytes, right->as.bytes);
    case OMEN_TYPE_NONE:
        return 0;
    default:
        return ORDER_OF(value_order_number(left), value_order_number(right));
    }
}
