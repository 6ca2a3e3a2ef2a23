/* schema_private.h - checks of single values and Arrow formats, shared inside src/column. */
#ifndef OMEN_COLUMN_SCHEMA_PRIVATE_H
#define OMEN_COLUMN_SCHEMA_PRIVATE_H

#include "column/decimal.h"
#include "column/float_order.h"
#include "column/schema.h"

/* SQL's name of a type, for messages. */
const char *type_name(omen_type_id type);

/* Whether a value of type `value` may stand beside a column of type `column`: the same type (the
 * text types count as one), and for DECIMAL the same scale. */
bool schema_value_matches(const omen_type *column, const omen_type *value);

/* The integer whose order is the value's; for every type but text, bytes and UUID. Inline: key
 * encoding is on the path of each point query. */
static inline wide_integer value_order_number(const omen_value *value)
{
    switch (value->type.id) {
    case OMEN_TYPE_BOOLEAN:
        return value->as.boolean;
    case OMEN_TYPE_SMALLINT:
        return value->as.i16;
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_DATE:
        return value->as.i32;
    case OMEN_TYPE_REAL:
        return float_order(value->as.f32);
    case OMEN_TYPE_DOUBLE:
        return double_order(value->as.f64);
    case OMEN_TYPE_DECIMAL:
        return decimal_to_integer(value->as.decimal);
    default:
        return value->as.i64;
    }
}

/* Text: valid UTF-8 and within its length; `padding` gets the blanks a CHAR lacks. BYTEA: anything.
 * Errors: INVALID_ENCODING, STRING_TOO_LONG. */
OMEN_MUST_CHECK omen_status schema_check_text(const struct column_definition *column,
                                              const uint8_t *data, size_t length, size_t *padding,
                                              omen_error *error);

/* OUT_OF_RANGE where the unscaled value has more digits than the column's precision. */
OMEN_MUST_CHECK omen_status schema_check_decimal(const struct column_definition *column,
                                                 wide_integer unscaled, omen_error *error);

/* The Arrow types that columns are made of or read from. */
enum arrow_kind {
    ARROW_NULL,
    ARROW_BOOL,
    ARROW_INT8,
    ARROW_UINT8,
    ARROW_INT16,
    ARROW_UINT16,
    ARROW_INT32,
    ARROW_UINT32,
    ARROW_INT64,
    ARROW_UINT64,
    ARROW_FLOAT,
    ARROW_DOUBLE,
    ARROW_DECIMAL128,
    ARROW_UTF8,
    ARROW_LARGE_UTF8,
    ARROW_UTF8_VIEW,
    ARROW_BINARY,
    ARROW_LARGE_BINARY,
    ARROW_BINARY_VIEW,
    ARROW_FIXED_BINARY,
    ARROW_DATE32,
    ARROW_DATE64,
    ARROW_TIMESTAMP,
};

struct arrow_format {
    enum arrow_kind kind;
    uint32_t width;           /* ARROW_FIXED_BINARY */
    int32_t precision, scale; /* ARROW_DECIMAL128 */
    int64_t units_per_second; /* ARROW_TIMESTAMP */
    bool zoned;               /* ARROW_TIMESTAMP with a time zone */
};

/* False where the format string is none of the above. */
bool arrow_format_parse(const char *format, struct arrow_format *out);

#endif
