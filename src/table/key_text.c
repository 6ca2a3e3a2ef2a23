/* key_text.c - keys as text, for messages and views: which columns, which values; what is wrong
 * with them.
 *
 *   duplicate key value violates unique constraint "t_pkey": key (a, b)=(1, x) already exists
 *
 * Values are written as PostgreSQL writes them, as far as a message needs; long ones are cut.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "column/decimal.h"
#include "column/key.h"
#include "table/table_private.h"

struct text {
    char bytes[400];
    size_t length;
};

static void text_add(struct text *text, const char *bytes, size_t length)
{
    size_t room = sizeof text->bytes - 1 - text->length;
    if (length > room)
        length = room;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

static void text_add_string(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

static void add_decimal(struct text *text, const omen_value *value)
{
    wide_unsigned magnitude = (wide_unsigned)decimal_to_integer(value->as.decimal);
    bool negative = value->as.decimal.high < 0;
    if (negative)
        magnitude = -magnitude;
    char digits[48];
    size_t position = sizeof digits;
    int32_t written = 0;
    while (magnitude != 0 || written <= value->type.scale) {
        if (written == value->type.scale && written > 0)
            digits[--position] = '.';
        digits[--position] = (char)('0' + (int)(magnitude % 10));
        magnitude /= 10;
        written++;
    }
    if (negative)
        digits[--position] = '-';
    text_add(text, digits + position, sizeof digits - position);
}

/* Days since 1970 as a civil date (Hinnant: chrono-compatible low-level date algorithms). */
static void add_date(struct text *text, int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    char buffer[64];
    snprintf(buffer, sizeof buffer, "%04" PRId64 "-%02" PRId64 "-%02" PRId64, year, month, day);
    text_add_string(text, buffer);
}

static void add_timestamp(struct text *text, int64_t microseconds)
{
    const int64_t day_us = INT64_C(86400000000);
    int64_t day = microseconds / day_us - (microseconds % day_us < 0);
    int64_t rest = microseconds % day_us + (microseconds % day_us < 0 ? day_us : 0);
    int64_t seconds = rest / 1000000;
    add_date(text, day);
    char buffer[64];
    snprintf(buffer, sizeof buffer, " %02d:%02d:%02d.%06d", (int)(seconds / 3600),
             (int)(seconds / 60 % 60), (int)(seconds % 60), (int)(rest % 1000000));
    text_add_string(text, buffer);
}

static void add_hex(struct text *text, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length && i < 32; i++) {
        char buffer[3];
        snprintf(buffer, sizeof buffer, "%02x", bytes[i]);
        text_add(text, buffer, 2);
    }
}

static void add_value(struct text *text, const omen_value *value)
{
    char buffer[64];
    buffer[0] = '\0';
    switch (value->type.id) {
    case OMEN_TYPE_BOOLEAN:
        snprintf(buffer, sizeof buffer, "%c", "ft"[value->as.boolean]);
        break;
    case OMEN_TYPE_SMALLINT:
        snprintf(buffer, sizeof buffer, "%d", value->as.i16);
        break;
    case OMEN_TYPE_INTEGER:
        snprintf(buffer, sizeof buffer, "%" PRId32, value->as.i32);
        break;
    case OMEN_TYPE_BIGINT:
        snprintf(buffer, sizeof buffer, "%" PRId64, value->as.i64);
        break;
    case OMEN_TYPE_REAL:
        snprintf(buffer, sizeof buffer, "%.9g", (double)value->as.f32);
        break;
    case OMEN_TYPE_DOUBLE:
        snprintf(buffer, sizeof buffer, "%.17g", value->as.f64);
        break;
    case OMEN_TYPE_DECIMAL:
        add_decimal(text, value);
        break;
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR: {
        size_t shown = value->as.bytes.length;
        const size_t shown_max = 64;
        if (shown > shown_max) {
            shown = shown_max;
            while (shown > 0 && (value->as.bytes.data[shown] & 0xC0) == 0x80)
                shown--; /* cut between characters */
        }
        text_add(text, (const char *)value->as.bytes.data, shown);
        if (shown < value->as.bytes.length)
            text_add_string(text, "...");
        break;
    }
    case OMEN_TYPE_BYTEA:
        text_add_string(text, "\\x");
        add_hex(text, value->as.bytes.data, value->as.bytes.length);
        if (value->as.bytes.length > 32)
            text_add_string(text, "...");
        break;
    case OMEN_TYPE_UUID:
        for (size_t i = 0, start = 0; i < 5; i++) {
            static const uint8_t widths[] = {4, 2, 2, 2, 6};
            text_add_string(text, i == 0 ? "" : "-");
            add_hex(text, value->as.uuid + start, widths[i]);
            start += widths[i];
        }
        break;
    case OMEN_TYPE_DATE:
        add_date(text, value->as.i32);
        break;
    case OMEN_TYPE_TIMESTAMP:
        add_timestamp(text, value->as.i64);
        break;
    case OMEN_TYPE_TIMESTAMPTZ:
        add_timestamp(text, value->as.i64);
        text_add_string(text, "+00");
        break;
    case OMEN_TYPE_NONE:
        break;
    }
    text_add_string(text, buffer);
}

/* The names of the key columns, and the values, as "a, b" and "1, x". */
static void add_key(const struct schema *schema, const struct schema_key *key,
                    const omen_value *values, struct text *names, struct text *shown)
{
    for (uint32_t i = 0; i < key->count; i++) {
        text_add_string(names, i == 0 ? "" : ", ");
        text_add_string(names, schema->columns[key->columns[i]].name);
        text_add_string(shown, i == 0 ? "" : ", ");
        add_value(shown, &values[i]);
    }
}

omen_status key_error(const struct table *table, uint32_t number, omen_status status,
                      omen_error *error)
{
    if (status != OMEN_LIMIT_EXCEEDED)
        return error_set_default(error, status);
    return error_set(error, status, "a key of constraint \"%s%s\" is longer than %d bytes",
                     number == 0 ? table->name : schema_key_of(table->schema, number)->name,
                     number == 0 ? "_pkey" : "", KEY_BYTES_MAX);
}

omen_status duplicate_key_error(const struct table *table, uint32_t number,
                                const struct row_group *group, uint32_t slot, omen_error *error)
{
    if (error == NULL)
        return OMEN_DUPLICATE_KEY;
    const struct schema_key *key = schema_key_of(table->schema, number);
    omen_value values[SCHEMA_KEY_COLUMNS_MAX];
    values[0] = (omen_value){.is_null = true}; /* a key has columns, but the compiler cannot know */
    struct text names = {.length = 0}, shown = {.length = 0};
    for (uint32_t i = 0; i < key->count; i++)
        row_group_read(group, slot, key->columns[i], &values[i]);
    add_key(table->schema, key, values, &names, &shown);
    return error_set(error, OMEN_DUPLICATE_KEY,
                     "duplicate key value violates unique constraint \"%s%s\": "
                     "key (%s)=(%s) already exists",
                     number == 0 ? table->name : key->name, number == 0 ? "_pkey" : "", names.bytes,
                     shown.bytes);
}

omen_status table_key_text(const struct table *table, struct numbered_key key, struct arena *arena,
                           const char **out)
{
    const struct schema *schema = table->schema;
    omen_value values[SCHEMA_KEY_COLUMNS_MAX];
    struct text names = {.length = 0}, shown = {.length = 0};
    *out = NULL;
    if (key.number > schema->unique_count)
        return OMEN_CORRUPTED;
    const struct schema_key *shape = schema_key_of(schema, key.number);
    OMEN_TRY(key_decode(schema, shape, key.key, arena, values));
    add_key(schema, shape, values, &names, &shown);
    size_t bytes = names.length + shown.length + sizeof "()=()";
    char *text = arena_alloc(arena, bytes);
    if (text == NULL)
        return OMEN_OUT_OF_MEMORY;
    snprintf(text, bytes, "(%s)=(%s)", names.bytes, shown.bytes);
    *out = text;
    return OMEN_OK;
}
