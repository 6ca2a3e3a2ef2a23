/* row_codec.h - rows as bytes, for the log: a block of rows of one table, column after column.
 *
 *   block:   nulls | column | column | ...        all numbers little-endian, bits lowest first
 *   nulls:   a bit per nullable column, in the order of the columns: whether the block has a NULL
 *            in it; unused bits are 0
 *   column:  [a bit per row: whether it has a value; only where the column's bit in `nulls` is set]
 *            the values of the rows that have one:
 *              BOOLEAN                    a bit each
 *              SMALLINT                   2 bytes each
 *              INTEGER, DATE, REAL        4
 *              BIGINT, DOUBLE PRECISION, TIMESTAMP, TIMESTAMPTZ   8
 *              DECIMAL                    4 to 9 digits, 8 to 18 digits, 16 beyond: unscaled
 *              UUID                       16
 *              TEXT, VARCHAR, CHAR, BYTEA their lengths in bytes as varints, then their bytes
 *
 * How many rows a block has is kept outside of it. Stored columns, the hidden key too. A value is
 * in the form in which it is stored (canonical floats, padded CHAR), and the decoder takes no
 * other: hostile bytes give CORRUPTED, never a value that a row cannot have.
 */
#ifndef OMEN_COLUMN_ROW_CODEC_H
#define OMEN_COLUMN_ROW_CODEC_H

#include "base/status.h"
#include "column/row_group.h"

enum { ROW_BLOCK_ROWS_MAX = VECTOR_ROWS };

/* Where a block's bytes go; `data` is borrowed for the call. */
struct row_sink {
    void (*put)(void *context, const void *data, size_t length);
    void *context;
};

/* Exactly the bytes of slots [first, first + count), at most ROW_BLOCK_ROWS_MAX. */
uint64_t row_codec_bytes(const struct row_group *group, uint32_t first, uint32_t count);

/* Writes them. Allocates nothing. */
void row_codec_write(const struct row_group *group, uint32_t first, uint32_t count,
                     const struct row_sink *sink);

/* Appends the `count` rows (at most ROW_BLOCK_ROWS_MAX) of a block of exactly `length` bytes, all
 * or nothing, unbegun. Errors: CORRUPTED; OUT_OF_MEMORY; LIMIT_EXCEEDED as row_group_append_values.
 */
OMEN_MUST_CHECK omen_status row_codec_append(struct row_group *group, uint32_t count,
                                             const uint8_t *data, size_t length);

/* --- varints: seven bits a byte, lowest first, the top bit set where more follow --- */

enum { VARINT_BYTES_MAX = 10 };

static inline size_t varint_bytes(uint64_t value)
{
    size_t bytes = 1;
    for (; value >= 0x80; value >>= 7)
        bytes++;
    return bytes;
}

static inline size_t varint_put(uint8_t *at, uint64_t value)
{
    size_t bytes = 0;
    for (; value >= 0x80; value >>= 7)
        at[bytes++] = (uint8_t)(value | 0x80);
    at[bytes++] = (uint8_t)value;
    return bytes;
}

/* The varint at `at`; gives where it ends, or NULL where it runs past `end`, beyond 64 bits, or is
 * longer than it need be. */
static inline const uint8_t *varint_get(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1)
            return NULL;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return byte == 0 && shift > 0 ? NULL : at;
    }
    return NULL;
}

#endif
