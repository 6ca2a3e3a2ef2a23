/* csv.h - CSV as PostgreSQL's COPY reads it, in bounded pieces, a record at a time.
 *
 * Takes any bytes. Concurrency: one thread at a time.
 */
#ifndef OMEN_QUERY_CSV_H
#define OMEN_QUERY_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/arena.h"
#include "base/status.h"
#include "omendb_types.h"

struct csv_options {
    char delimiter, quote, escape;
    bool no_end_mark; /* a line of just \. is one like any other */
};

struct csv_field {
    const char *text; /* unquoted; holds until the next record */
    size_t length;
    bool quoted; /* had quotes, and so is not NULL */
};

/* Gives the next bytes of the file; `*length` = 0 at its end. */
typedef omen_status (*csv_source)(void *context, char *buffer, size_t capacity, size_t *length,
                                  omen_error *error);

enum { CSV_RECORD_BYTES_MAX = 256 << 20 };

struct csv_reader;

/* Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status csv_create(struct allocator *allocator,
                                       const struct csv_options *options, csv_source source,
                                       void *context, struct csv_reader **out);
void csv_destroy(struct csv_reader *reader); /* NULL does nothing */

/* The next record's fields. END_OF_DATA after the last. Errors: BAD_COPY_FORMAT; LIMIT_EXCEEDED
 * for a record over 256 MiB; the source's; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status csv_next(struct csv_reader *reader, const struct csv_field **fields,
                                     size_t *count, omen_error *error);

/* The line of the file that the last record began on (1-based). */
uint64_t csv_line(const struct csv_reader *reader);

/* Whether nothing is left behind the last record. */
bool csv_at_end(const struct csv_reader *reader);

/* Whether the record is an empty line. */
static inline bool csv_is_blank(const struct csv_field *fields, size_t count)
{
    return count == 1 && fields[0].length == 0 && !fields[0].quoted;
}

/* Sets `error` to `failure` and where it happened: the file, the line of the last record and, where
 * it is not NULL, the column. Returns `status`. */
omen_status csv_locate(const struct csv_reader *reader, const char *path, const char *column,
                       omen_status status, const omen_error *failure, omen_error *error);

/* --- what a file looks like (csv_sniff.c) --- */

enum { CSV_SAMPLE_BYTES = 4 << 20, CSV_SAMPLE_RECORDS = 20480 };

struct csv_shape {
    struct csv_options options;
    bool header;        /* the first record names the columns */
    size_t mark_bytes;  /* of the byte order mark that the file begins with */
    uint32_t row_bytes; /* of a row, about; at least 1 */
    uint32_t column_count;
    omen_type *types; /* in the arena, as the names, which are empty where there are none */
    omen_bytes *names;
};

/* Finds it out from the file's first `length` bytes; `whole`: there are no more. `delimiter` 0: one
 * of , tab ; | is found.
 *
 * There are as many columns as the first record has fields; the delimiter is the one that splits
 * the most records into as many. A column's type is the first of BOOLEAN, BIGINT, DOUBLE PRECISION,
 * DATE, TIMESTAMP and TEXT that every value of the sample has, NULLs (empty fields without quotes)
 * aside. The first record is a header where some value in it is none of its column's type, or where
 * all columns are TEXT.
 *
 * Errors: BAD_COPY_FORMAT where there is no record; LIMIT_EXCEEDED where the first one is longer
 * than the sample; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status csv_sniff(struct allocator *allocator, struct arena *arena,
                                      const char *sample, size_t length, bool whole, char delimiter,
                                      struct csv_shape *out, omen_error *error);

#endif
