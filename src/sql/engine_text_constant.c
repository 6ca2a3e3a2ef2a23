/* engine_text_constant.c - types and constants in the engine's words, exact for every value.
 *
 * A plain number is a BIGINT there, a quoted text TEXT; everything else is a cast of something
 * that the engine reads exactly: digits of a DECIMAL, 17 digits of a double, microseconds.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sql/engine_text_private.h"
#include "sql/value_text.h"

void text_put_type(struct text_writer *writer, omen_type type)
{
    switch ((int)type.id) {
    case OMEN_TYPE_BOOLEAN:
        text_put(writer, "BOOLEAN");
        break;
    case OMEN_TYPE_SMALLINT:
        text_put(writer, "SMALLINT");
        break;
    case OMEN_TYPE_INTEGER:
        text_put(writer, "INT");
        break;
    case OMEN_TYPE_BIGINT:
        text_put(writer, "BIGINT");
        break;
    case OMEN_TYPE_REAL:
        text_put(writer, "REAL");
        break;
    case OMEN_TYPE_DOUBLE:
        text_put(writer, "DOUBLE");
        break;
    case OMEN_TYPE_DECIMAL:
        text_put_format(writer, "DECIMAL(%d, %d)", type.precision, type.scale);
        break;
    case OMEN_TYPE_NONE:
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR:
        text_put(writer, "TEXT");
        break;
    case OMEN_TYPE_BYTEA:
        text_put(writer, "BYTEA");
        break;
    case OMEN_TYPE_DATE:
        text_put(writer, "DATE");
        break;
    case OMEN_TYPE_TIMESTAMP:
        text_put(writer, "TIMESTAMP");
        break;
    case OMEN_TYPE_TIMESTAMPTZ:
        text_put(writer, "TIMESTAMPTZ");
        break;
    case OMEN_TYPE_UUID:
        text_put(writer, "UUID");
        break;
    case SQL_TYPE_INTERVAL:
        text_put(writer, "INTERVAL");
        break;
    default:
        text_fail(writer, OMEN_NOT_SUPPORTED, "the SQL engine has no type number %d", (int)type.id);
    }
}

static void put_cast(struct text_writer *writer, const char *value, omen_type type)
{
    text_put(writer, "CAST(");
    text_put(writer, value);
    text_put(writer, " AS ");
    text_put_type(writer, type);
    text_put(writer, ")");
}

static void put_float(struct text_writer *writer, omen_type type, double value)
{
    char text[64];
    if (isnan(value))
        snprintf(text, sizeof text, "'NaN'");
    else if (isinf(value))
        snprintf(text, sizeof text, value > 0 ? "'Infinity'" : "'-Infinity'");
    else
        snprintf(text, sizeof text, "'%.*g'", type.id == OMEN_TYPE_REAL ? 9 : 17, value);
    put_cast(writer, text, type);
}

static void put_decimal(struct text_writer *writer, omen_type type, const omen_value *value)
{
    char text[DECIMAL_TEXT_BYTES_MAX + 1];
    size_t length =
        decimal_to_text(decimal_to_integer(value->as.decimal), (uint32_t)value->type.scale, text);
    text[length] = '\0';
    put_cast(writer, text, type);
}

static void put_hexadecimal(struct text_writer *writer, const uint8_t *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    text_put(writer, "X'");
    for (size_t i = 0; i < length && writer->status == OMEN_OK; i++) {
        char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        text_put_bytes(writer, pair, 2);
    }
    text_put(writer, "'");
}

/* The engine counts nanoseconds in 64 bits. */
static void put_interval(struct text_writer *writer, const omen_value *value)
{
    struct interval interval;
    memcpy(&interval, value->as.uuid, sizeof interval);
    int64_t microseconds = interval.microseconds;
    if (microseconds > INT64_MAX / 1000 || microseconds < INT64_MIN / 1000) {
        text_fail(writer, OMEN_NOT_SUPPORTED,
                  "an interval of more than 292 years in hours is not supported by the SQL engine");
        return;
    }
    const char *sign = microseconds < 0 ? "-" : "";
    uint64_t magnitude = microseconds < 0 ? -(uint64_t)microseconds : (uint64_t)microseconds;
    text_put_format(writer,
                    "INTERVAL '%" PRId32 " mons %" PRId32 " days %s%" PRIu64 ".%06" PRIu64 " secs'",
                    interval.months, interval.days, sign, magnitude / 1000000, magnitude % 1000000);
}

/* Dates and times by their count, which casts take as it is. */
static void put_integer(struct text_writer *writer, omen_type type, int64_t value)
{
    char text[64];
    snprintf(text, sizeof text, type.id == OMEN_TYPE_DATE ? "CAST(%" PRId64 " AS INT)" : "%" PRId64,
             value);
    if (type.id == OMEN_TYPE_BIGINT)
        text_put(writer, text);
    else
        put_cast(writer, text, type);
}

void text_put_constant(struct text_writer *writer, omen_type type, const omen_value *value)
{
    if (value->is_null) {
        put_cast(writer, "NULL", type);
        return;
    }
    switch ((int)type.id) {
    case OMEN_TYPE_BOOLEAN:
        text_put(writer, value->as.boolean ? "TRUE" : "FALSE");
        break;
    case OMEN_TYPE_SMALLINT:
        put_integer(writer, type, value->as.i16);
        break;
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_DATE:
        put_integer(writer, type, value->as.i32);
        break;
    case OMEN_TYPE_BIGINT:
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        put_integer(writer, type, value->as.i64);
        break;
    case OMEN_TYPE_REAL:
        put_float(writer, type, value->as.f32);
        break;
    case OMEN_TYPE_DOUBLE:
        put_float(writer, type, value->as.f64);
        break;
    case OMEN_TYPE_DECIMAL:
        put_decimal(writer, type, value);
        break;
    case OMEN_TYPE_BYTEA:
        text_put(writer, "CAST(");
        put_hexadecimal(writer, value->as.bytes.data, value->as.bytes.length);
        text_put(writer, " AS BYTEA)");
        break;
    case OMEN_TYPE_UUID:
        text_put(writer, "CAST(");
        put_hexadecimal(writer, value->as.uuid, sizeof value->as.uuid);
        text_put(writer, " AS UUID)");
        break;
    case SQL_TYPE_INTERVAL:
        put_interval(writer, value);
        break;
    default:
        text_put_string(writer, (const char *)value->as.bytes.data, value->as.bytes.length);
    }
}
