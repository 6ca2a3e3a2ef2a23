/* omendb_types.h - column types, single values and simple predicates.
 *
 * Shared by the embedded API (omendb.h) and the engine ABI (omendb_engine.h).
 */
#ifndef OMENDB_TYPES_H
#define OMENDB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers are part of the ABI and of the file format: only ever append. */
typedef enum omen_type_id {
    OMEN_TYPE_NONE = 0,    /* an untyped NULL */
    OMEN_TYPE_BOOLEAN = 1, /* Arrow bool */
    OMEN_TYPE_SMALLINT = 2,
    OMEN_TYPE_INTEGER = 3,
    OMEN_TYPE_BIGINT = 4,
    OMEN_TYPE_REAL = 5,
    OMEN_TYPE_DOUBLE = 6,
    OMEN_TYPE_DECIMAL = 7,      /* Arrow decimal128(precision, scale); precision 1..38 */
    OMEN_TYPE_TEXT = 8,         /* Arrow utf8_view */
    OMEN_TYPE_VARCHAR = 9,      /* Arrow utf8_view; at most length_max characters */
    OMEN_TYPE_CHAR = 10,        /* Arrow utf8_view; padded with blanks to length_max characters */
    OMEN_TYPE_BYTEA = 11,       /* Arrow binary_view */
    OMEN_TYPE_DATE = 12,        /* Arrow date32: days since 1970-01-01 */
    OMEN_TYPE_TIMESTAMP = 13,   /* Arrow timestamp(us), no zone */
    OMEN_TYPE_TIMESTAMPTZ = 14, /* Arrow timestamp(us, "UTC") */
    OMEN_TYPE_UUID = 15,        /* Arrow fixed_size_binary(16) */
} omen_type_id;

typedef struct omen_type {
    omen_type_id id;
    uint8_t precision;   /* DECIMAL: 1..38; otherwise 0 */
    int8_t scale;        /* DECIMAL: 0..precision; otherwise 0 */
    uint32_t length_max; /* VARCHAR, CHAR: characters, 0 = no limit; otherwise 0 */
} omen_type;

/* Two's complement 128-bit integer, low word first: Arrow's decimal128 byte for byte. */
typedef struct omen_decimal {
    uint64_t low;
    int64_t high;
} omen_decimal;

/* Bytes that somebody else owns. Text is UTF-8 and is not zero-terminated. */
typedef struct omen_bytes {
    const uint8_t *data;
    size_t length;
} omen_bytes;

/* One value. `type` says which member of `as` holds it; a NULL of any type has is_null set.
 * Text and bytes are borrowed: each function that takes or gives a value says for how long. */
typedef struct omen_value {
    omen_type type;
    bool is_null;
    union {
        bool boolean;
        int16_t i16;          /* SMALLINT */
        int32_t i32;          /* INTEGER; DATE as days since 1970-01-01 */
        int64_t i64;          /* BIGINT; TIMESTAMP, TIMESTAMPTZ as us since 1970-01-01 */
        float f32;            /* REAL */
        double f64;           /* DOUBLE */
        omen_decimal decimal; /* DECIMAL: unscaled, type.scale digits after the point */
        omen_bytes bytes;     /* TEXT, VARCHAR, CHAR, BYTEA */
        uint8_t uuid[16];     /* UUID, most significant byte first */
    } as;
} omen_value;

typedef enum omen_compare_op {
    OMEN_EQ = 1,
    OMEN_NE = 2,
    OMEN_LT = 3,
    OMEN_LE = 4,
    OMEN_GT = 5,
    OMEN_GE = 6,
    OMEN_IN = 7, /* equal to one of several values; NULLs among them never match */
    OMEN_IS_NULL = 8,
    OMEN_IS_NOT_NULL = 9,
} omen_compare_op;

/* One conjunct of a filter: `column op values[0]`, or `column IN (values[0..value_count))`.
 *
 * A list of predicates means their conjunction with SQL's three-valued logic: a row passes
 * only where every predicate is true, so a comparison with NULL passes no row. Values have
 * the column's own type (precision and scale of a DECIMAL included). Floats compare as
 * PostgreSQL's: NaN equals NaN and is larger than every number. Text and BYTEA compare
 * bytewise. The value array is borrowed for the call.
 */
typedef struct omen_predicate {
    uint32_t column; /* position in the table's schema */
    omen_compare_op op;
    const omen_value *values;
    size_t value_count; /* 0 for the NULL tests, 1 for comparisons, any for IN */
} omen_predicate;

#ifdef __cplusplus
}
#endif

#endif
