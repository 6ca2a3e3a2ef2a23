/* schema.h - the columns of a table, their key, and their Arrow description.
 *
 * A schema never changes once made and is shared by reference count. Columns 0 to
 * column_count - 1 are the table's own. A table without a declared key has a hidden key: one
 * BIGINT column more, at position column_count, stored like any other but never shown.
 */
#ifndef OMEN_COLUMN_SCHEMA_H
#define OMEN_COLUMN_SCHEMA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/status.h"
#include "index/index.h"
#include "omendb_arrow.h"
#include "omendb_types.h"

enum {
    SCHEMA_COLUMNS_MAX = 1600, /* PostgreSQL's limit */
    SCHEMA_KEY_COLUMNS_MAX = 32,
    SCHEMA_NAME_BYTES_MAX = 63,
};

/* Stands in a list of columns to read for the row's id (see row_group.h), a BIGINT without NULLs.
 * Its name in Arrow is longer than any column's may be, so that it can be none's. */
#define ROW_ID_COLUMN UINT32_MAX
#define ROW_ID_NAME   "row id, under a name that no column can have for it is much too long"

struct column_definition {
    const char *name; /* UTF-8, zero-terminated, 1..63 bytes */
    omen_type type;
    bool nullable;            /* false for key columns, whatever was asked */
    const char *default_text; /* the SQL of its DEFAULT; NULL: none. Means nothing in this layer */
};

struct schema {
    struct allocator *allocator;
    atomic_uint references;
    uint32_t column_count; /* shown */
    uint32_t stored_count; /* column_count, or one more with a hidden key */
    uint32_t key_count;    /* at least 1 */
    bool key_hidden;
    enum index_kind key_kind; /* INDEX_WORD where the whole key fits an order-preserving word */
    uint32_t key_columns[SCHEMA_KEY_COLUMNS_MAX]; /* in key order */
    uint32_t key_bits[SCHEMA_KEY_COLUMNS_MAX];    /* INDEX_WORD: width of each part in the word */
    struct column_definition columns[];           /* stored_count of them */
};

/* A schema of `column_count` columns (copied, names too) whose primary key is `key_columns`
 * (key_count = 0: hidden key).
 * Errors: OUT_OF_MEMORY; TOO_MANY_COLUMNS; DUPLICATE_COLUMN; NAME_TOO_LONG; INVALID_TABLE for a
 * bad key or type. The caller holds the one reference. */
OMEN_MUST_CHECK omen_status schema_create(struct allocator *allocator,
                                          const struct column_definition *columns,
                                          uint32_t column_count, const uint32_t *key_columns,
                                          uint32_t key_count, struct schema **out,
                                          omen_error *error);

/* The same from an Arrow struct schema (read, not consumed). utf8, large_utf8 and utf8_view give
 * TEXT, the binary forms BYTEA, any timestamp unit TIMESTAMP(TZ).
 * Errors: as schema_create, and NOT_SUPPORTED for an Arrow type without a column type. */
OMEN_MUST_CHECK omen_status schema_from_arrow(struct allocator *allocator,
                                              const struct ArrowSchema *arrow,
                                              const uint32_t *key_columns, uint32_t key_count,
                                              struct schema **out, omen_error *error);

struct schema *schema_retain(struct schema *schema);
void schema_release(struct schema *schema);

/* Position of the shown column of this exact name, or -1. */
int32_t schema_find(const struct schema *schema, const char *name, size_t length);

/* Hints at the column that may have been meant by a name that is none. `error` may be NULL. */
void schema_suggest(const struct schema *schema, const char *name, omen_error *error);

/* The Arrow struct schema of the given columns (ROW_ID_COLUMN may be among them) in that order;
 * columns = NULL: all shown ones.
 * The result owns itself (it may outlive the schema); the caller releases it. */
OMEN_MUST_CHECK omen_status schema_to_arrow(const struct schema *schema, const uint32_t *columns,
                                            uint32_t column_count, struct ArrowSchema *out);

/* Bytes of one value in a fixed-width buffer; 16 for text and bytes (a view); 1 for BOOLEAN. */
uint32_t type_width(omen_type_id type);

/* TEXT, VARCHAR, CHAR or BYTEA: stored as views over a string heap. */
bool type_is_view(omen_type_id type);

/* Checks and canonicalises one value before it is stored in column `column`: its type must be
 * the column's (DECIMAL scale too), NULL only where allowed, text valid UTF-8 and within its
 * length (CHAR is padded by the caller), decimals within their precision; -0.0 becomes 0.0,
 * every NaN the one NaN, every true the byte 1.
 * Errors: NOT_NULL_VIOLATION, TYPE_MISMATCH, INVALID_ENCODING, STRING_TOO_LONG, OUT_OF_RANGE. */
OMEN_MUST_CHECK omen_status schema_check_value(const struct schema *schema, uint32_t column,
                                               omen_value *value, omen_error *error);

/* The order of two non-NULL values of one type: negative, 0 or positive. Floats as
 * PostgreSQL's (NaN largest and equal to itself), text and bytes bytewise. */
int value_compare(const omen_value *left, const omen_value *right);

#endif
