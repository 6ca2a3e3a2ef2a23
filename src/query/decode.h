/* decode.h - rows of an Arrow stream as values, one at a time.
 *
 * The engine gives Arrow types beyond the database's own; each that a value can hold has a
 * mapping here, and the others are refused with NOT_SUPPORTED:
 *
 *   bool, int16, int32, int64, float, double, decimal128(scale >= 0)   the same
 *   int8, uint8 -> SMALLINT   uint16 -> INTEGER   uint32 -> BIGINT   uint64 -> DECIMAL(20,0)
 *   utf8, large_utf8, utf8_view -> TEXT   the binary forms -> BYTEA   null -> TEXT, all NULL
 *   date32, date64 -> DATE   timestamps of any unit -> TIMESTAMP(TZ), nanoseconds cut
 *   fixed_size_binary(16) -> UUID   dictionaries -> their values
 */
#ifndef OMEN_QUERY_DECODE_H
#define OMEN_QUERY_DECODE_H

#include "base/allocator.h"
#include "base/status.h"
#include "omendb_arrow.h"
#include "omendb_types.h"

struct decoder;

/* Takes the stream over (also on failure). Errors: NOT_SUPPORTED for a column type; the stream's
 * own; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status decoder_create(struct allocator *allocator,
                                           struct ArrowArrayStream *stream, struct decoder **out,
                                           omen_error *error);
void decoder_destroy(struct decoder *decoder); /* NULL does nothing */

size_t decoder_column_count(const struct decoder *decoder);
const char *decoder_column_name(const struct decoder *decoder, size_t column);
omen_type decoder_column_type(const struct decoder *decoder, size_t column);

/* Moves to the next row; END_OF_DATA after the last. Errors: the stream's. */
OMEN_MUST_CHECK omen_status decoder_step(struct decoder *decoder, omen_error *error);

/* A value of the current row; text holds until the next step. */
omen_value decoder_value(const struct decoder *decoder, size_t column);

/* The engine's value as the type that binding gave it: text may be VARCHAR or CHAR. */
omen_value decode_retype(omen_value value, omen_type type);

/* The type that values of this column have. Errors: NOT_SUPPORTED. */
OMEN_MUST_CHECK omen_status decode_column_type(const struct ArrowSchema *column, omen_type *out,
                                               omen_error *error);

/* Turns a stream's failure, whose text is "SQLSTATE message", into a status and an error. */
omen_status decode_stream_error(struct ArrowArrayStream *stream, int code, omen_error *error);

#endif
