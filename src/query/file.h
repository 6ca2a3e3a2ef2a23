/* file.h - files read as tables: SELECT ... FROM 'file.csv'.
 *
 *   table_file ------ an open file: its columns, and what it was when they were read
 *       |             one for each time that a statement names it
 *   file_cursor ----- one partition of a scan of it, as Arrow batches
 *
 * The format follows from the name's extension. A file is read where it lies, in pieces: what is
 * held of it does not grow with it. Whether it has changed since it was opened is asked before the
 * first batch and behind the last, and is then an error: rows are of the file whose columns were
 * bound.
 *
 * Concurrency: a file never changes once open and is shared by reference count; a cursor is for one
 * thread at a time.
 */
#ifndef OMEN_QUERY_FILE_H
#define OMEN_QUERY_FILE_H

#include "column/schema.h"
#include "query/csv.h"
#include "sql/bind.h"
#include "store/database.h"

struct table_file;
struct file_cursor;

/* Whose files are opened, and as what. */
struct file_request {
    struct database *database;
    bool is_parquet; /* whatever the names' extensions say */
};

/* Opens files for a binder, as the database allows it (see file_opener). The request is borrowed.
 */
struct file_opener file_opener_of(const struct file_request *request);

struct table_file *file_retain(struct table_file *file);
void file_release(struct table_file *file); /* NULL does nothing; any thread */

struct schema *file_schema(const struct table_file *file); /* borrowed */

/* Rows that it has; `*exact` where that is no estimate. */
uint64_t file_row_count(const struct table_file *file, bool *exact);

/* Whether the name still leads to this very file, unchanged. */
bool file_is_current(const struct table_file *file);

/* NOT_READY where the file has changed since it was opened. Errors: IO_ERROR. */
OMEN_MUST_CHECK omen_status file_check_unchanged(const struct table_file *file, omen_error *error);

/* What a cursor delivers. */
struct file_scan {
    const uint32_t *columns; /* positions in the schema, in output order; borrowed for the call */
    uint32_t column_count;
    uint64_t limit;                      /* rows beyond are not needed */
    uint32_t partition, partition_count; /* disjoint; together they are the file */
};

/* Opens a cursor, which keeps the file. Errors: NOT_READY, IO_ERROR; OUT_OF_MEMORY; the format's.
 */
OMEN_MUST_CHECK omen_status file_cursor_open(struct table_file *file, const struct file_scan *scan,
                                             struct file_cursor **out, omen_error *error);

/* The next batch, in the schema's types; END_OF_DATA after the last. Batches may outlive
 * everything. Errors: those of the values (with file, line and column), BAD_COPY_FORMAT, CORRUPTED;
 * NOT_READY, IO_ERROR; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status file_cursor_next(struct file_cursor *cursor, struct ArrowArray *out,
                                             omen_error *error);
void file_cursor_close(struct file_cursor *cursor); /* NULL does nothing */

#endif
