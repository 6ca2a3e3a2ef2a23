/* key.h - keys in their order-preserving encoding.
 *
 * Comparing two encodings (as words, or as bytes with memcmp) gives the same order as comparing
 * the values column by column. A key whose parts have fixed widths of 64 bits in all becomes one
 * word; every other key becomes a byte string. docs in key.c.
 */
#ifndef OMEN_COLUMN_KEY_H
#define OMEN_COLUMN_KEY_H

#include "base/arena.h"
#include "column/schema.h"
#include "index/index.h"

/* Encodes the primary key's values (key.count of them, in key order, checked by
 * schema_check_value).
 * Byte keys are placed in `arena` (untouched for word keys) and live as long as it does.
 * Errors: OUT_OF_MEMORY; LIMIT_EXCEEDED for an encoding over KEY_BYTES_MAX. */
OMEN_MUST_CHECK omen_status key_encode(const struct schema *schema, const omen_value *values,
                                       struct arena *arena, struct index_key *out,
                                       omen_error *error);

/* The same for any key of the schema; no value is NULL. */
OMEN_MUST_CHECK omen_status key_encode_of(const struct schema *schema, const struct schema_key *key,
                                          const omen_value *values, struct arena *arena,
                                          struct index_key *out, omen_error *error);

/* The values that an encoding of this key of the schema was made of (key->count of them, never
 * NULL, of the key columns' types): text and bytes in `arena`. Errors: CORRUPTED where it is no
 * such key; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status key_decode(const struct schema *schema, const struct schema_key *key,
                                       struct index_key encoded, struct arena *arena,
                                       omen_value *values);

enum { KEY_BYTES_MAX = 1 << 20 };

/* The word of a single non-NULL value of a type that fits one: what key_encode uses for a key
 * of that one column. */
uint64_t key_word(const omen_value *value);

#endif
