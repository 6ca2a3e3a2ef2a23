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
#include "base/status.h"

struct csv_options {
    char delimiter, quote, escape;
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

#endif
