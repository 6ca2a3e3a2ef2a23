/* schema.h - the columns of a table, their keys, and their Arrow description.
 *
 * A schema never changes once made and is shared by reference count. Columns 0 to
 * column_count - 1 are the table's own. A table without a declared key has a hidden key: one
 * BIGINT column more, at position column_count, stored like any other but never shown.
 *
 * Keys have numbers: 0 is the primary key, n is unique key n - 1. Columns of a unique key may be
 * NULL; a row with a NULL among them has no such key, and is in nobody's way.
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
    SCHEMA_UNIQUES_MAX = 64,
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

/* Columns whose values together no two rows share, and how they are encoded (key.h). */
struct schema_key {
    const char *name;     /* of the constraint; NULL: the primary key, whose name is its table's */
    uint32_t count;       /* of columns, at least 1 */
    enum index_kind kind; /* INDEX_WORD where the whole key fits an order-preserving word */
    uint32_t columns[SCHEMA_KEY_COLUMNS_MAX]; /* in key order */
    uint32_t bits[SCHEMA_KEY_COLUMNS_MAX];    /* INDEX_WORD: width of each part in the word */
};

struct schema {
    struct allocator *allocator;
    atomic_uint references;
    uint32_t column_count; /* shown */
    uint32_t stored_count; /* column_count, or one more with a hidden key */
    bool key_hidden;
    uint32_t unique_count;
    struct schema_key key;              /* the primary one */
    const struct schema_key *uniques;   /* unique_count of them */
    struct column_definition columns[]; /* stored_count of them */
};

/* The key of this number. */
static inline const struct schema_key *schema_key_of(const struct schema *schema, uint32_t number)
{
    return number == 0 ? &schema->key : &schema->uniques[number - 1];
}

/* A unique constraint as it is asked for; all borrowed. */
struct unique_definition {
    const char *name;
    const uint32_t *columns;
    uint32_t column_count;
};

/* A schema as it is asked for; all borrowed, and copied by schema_define. */
struct schema_definition {
    const struct column_definition *columns;
    uint32_t column_count;
    const uint32_t *key_columns; /* the primary key, key_count of them; 0: a hidden key */
    uint32_t key_count;
    const struct unique_definition *uniques;
    uint32_t unique_count;
};

/* Errors: OUT_OF_MEMORY; TOO_MANY_COLUMNS; DUPLICATE_COLUMN; NAME_TOO_LONG; INVALID_TABLE for a
 * bad key or type; DUPLICATE_TABLE for a constraint's name that comes twice; LIMIT_EXCEEDED beyond
 * SCHEMA_UNIQUES_MAX of them. The caller holds the one reference. */
OMEN_MUST_CHECK omen_status schema_define(struct allocator *allocator,
                                          const struct schema_definition *definition,
                                          struct schema **out, omen_error *error);

/* The same without unique constraints: `column_count` columns whose primary key is `key_columns`
 * (key_count = 0: hidden key). */
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
