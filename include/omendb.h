/* omendb.h - OmenDB embedded: database, connection, table, statement; Arrow in and out.
 *
 *   omen_open ---> omen_database ---> omen_connect ---> omen_connection
 *                                                         |  rows:  omen_insert, omen_get, ...
 *                                                         |  Arrow: omen_scan, omen_insert_arrow
 *                                                         |  SQL:   omen_query, omen_prepare
 *
 * Threads: an omen_database may be used by any number of threads at once. A connection, and the
 * statements and rows that came from it, by one thread at a time; use one connection a thread.
 * Arrow streams, arrays and schemas that were handed out may be released by any thread at any
 * time, after the connection and the database are closed too.
 *
 * Errors: functions return OMEN_OK or a status; the `omen_error *` (may be NULL) gets SQLSTATE
 * and message. After a failure pointer outputs are NULL, Arrow outputs have release = NULL, and
 * the data is as it was before the call.
 *
 * Transactions: SQL's BEGIN opens one on the connection, COMMIT and ROLLBACK end it; all calls of
 * the connection in between take part. Outside one every call that writes is a transaction by
 * itself: all its rows appear at once, or none. In a database in a directory the commit returns
 * when they are durable. COMMIT_UNKNOWN (08007) says that the log could not be written: whether the
 * rows are there shows after the next open.
 */
#ifndef OMENDB_H
#define OMENDB_H

#include "omendb_arrow.h"
#include "omendb_status.h"
#include "omendb_types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OMEN_VERSION "0.1.0"

/* The library's version, e.g. "0.1.0". Static string. */
OMEN_EXPORT const char *omen_version(void);

typedef struct omen_database omen_database;
typedef struct omen_connection omen_connection;
typedef struct omen_snapshot omen_snapshot;
typedef struct omen_statement omen_statement;
typedef struct omen_row omen_row;

/* ------------------------------------------------------------------ database */

typedef struct omen_options {
    uint32_t struct_bytes;            /* sizeof(omen_options), so that the structure can grow */
    uint64_t memory_bytes_max;        /* for tables and index; 0 = no limit */
    uint64_t engine_memory_bytes_max; /* for sorts, joins, aggregates; 0 = the engine's default */
    uint32_t engine_thread_count;     /* 0 = one per core */
    const char *engine_path; /* libomendb_engine.so; NULL = OMENDB_ENGINE, else beside libomendb */
    bool file_access;        /* whether SQL may read and write local files: COPY, FROM 'file' */
    uint64_t log_file_bytes; /* of each file of the log, a multiple of 4096; 0 = 64 MiB */
    uint64_t checkpoint_bytes; /* a checkpoint is made when the log has grown so much; 0 = 64 MiB.
                                * Commits wait where it has grown by four times as much */
    uint64_t checkpoint_ms;    /* or at this age of the last one; 0 = 5 minutes */
    bool no_background; /* no thread of its own: no checkpoint but CHECKPOINT and at close, no
                         * maintenance but omen_maintain */
} omen_options;

/* The defaults: no limits, file access off. */
OMEN_EXPORT void omen_options_init(omen_options *options);

/* Opens a database. path = NULL or ":memory:" is a database in memory, gone at close. Any other
 * path is that of a directory, which is made where there is none (its parent must be there). What a
 * call that writes has acknowledged by OMEN_OK is durable: it is there after a crash of the process
 * or of the machine. One handle at a time has a directory open. options = NULL: defaults. Errors,
 * with messages that name path and reason; nothing has changed then: WRONG_OBJECT_TYPE (not a
 * database: a file, or a directory with other files), NOT_SUPPORTED (written by a newer OmenDB),
 * OBJECT_IN_USE (open already; the message says in which process), INSUFFICIENT_PRIVILEGE
 * (read-only), FILE_NOT_FOUND (no parent, or a file of the database is missing), CORRUPTED,
 * INSUFFICIENT_RESOURCES (too many open files), IO_ERROR, OUT_OF_MEMORY; DISK_FULL where a database
 * is to be made: one that is there opens on a full disk too, and refuses only what writes. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_open(const char *path, const omen_options *options,
                                                  omen_database **out, omen_error *error);

/* Checks a database in a directory that nobody has open, and changes nothing: every checksum, every
 * key against the row it leads to, every invariant of versions and index, and that the log can be
 * applied. `report` (may be NULL) gets a line, zero-terminated, for each fault, naming file or
 * table, and some about what was checked; `*faults` counts the faults, which are no errors. Reads
 * all of it into memory. Errors: as omen_open where it cannot be checked at all; FILE_NOT_FOUND
 * where there is none. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_verify(const char *path, const omen_options *options,
                                                    void (*report)(void *context, const char *line),
                                                    void *context, uint64_t *faults,
                                                    omen_error *error);

/* Closes it. OBJECT_IN_USE, and it stays open, while connections are. Otherwise it is closed
 * whatever is returned (IO_ERROR, COMMIT_UNKNOWN where the last of the log could not be written,
 * with the reason in `error`), and what was acknowledged is kept. Arrow data handed out stays
 * valid. NULL does nothing. */
OMEN_EXPORT omen_status omen_close(omen_database *database, omen_error *error);

/* A session. Errors: OUT_OF_MEMORY. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_connect(omen_database *database, omen_connection **out,
                                                     omen_error *error);

/* Makes the connection's running statement or writing call fail with CANCELLED (57014), as soon as
 * it notices, also while it waits for another writer; where none runs, nothing. Any thread may call
 * it at any time until omen_disconnect, as otherwise only omen_progress_of; no lock is taken, so a
 * signal handler may too. */
OMEN_EXPORT void omen_interrupt(omen_connection *connection);

/* Ends the session. Statements and snapshots of it must be gone. NULL does nothing. */
OMEN_EXPORT void omen_disconnect(omen_connection *connection);

/* ------------------------------------------------------------------ tables */

/* Creates a table from an Arrow struct schema (read, not consumed). The primary key is
 * `key_columns`, names of columns, in key order; key_count = 0: a hidden, ever-growing key.
 * Errors: DUPLICATE_TABLE, DUPLICATE_COLUMN, UNDEFINED_COLUMN (a key name), NAME_TOO_LONG,
 * INVALID_TABLE, NOT_SUPPORTED (an Arrow type), OUT_OF_MEMORY. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_table_create(omen_connection *connection,
                                                          const char *name,
                                                          const struct ArrowSchema *schema,
                                                          const char *const *key_columns,
                                                          size_t key_count, omen_error *error);

/* Drops a table. Streams and rows of it stay valid. Errors: UNDEFINED_TABLE. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_table_drop(omen_connection *connection,
                                                        const char *name, omen_error *error);

/* The table's columns as an Arrow struct schema; the caller releases it. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_table_schema(omen_connection *connection,
                                                          const char *name, struct ArrowSchema *out,
                                                          omen_error *error);

/* ------------------------------------------------------------------ writing */

/* Inserts `row_count` rows; `values` is row-major, each row as many values as the table has
 * columns, in schema order. A value's type may differ from its column's where PostgreSQL's
 * assignment casts allow it without loss (integers widen); otherwise TYPE_MISMATCH. Borrowed.
 * Errors: DUPLICATE_KEY, NOT_NULL_VIOLATION, TYPE_MISMATCH, OUT_OF_RANGE, DATETIME_OVERFLOW,
 * STRING_TOO_LONG, INVALID_ENCODING, UNDEFINED_TABLE, CANCELLED, OUT_OF_MEMORY. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_insert(omen_connection *connection, const char *table,
                                                    const omen_value *values, size_t row_count,
                                                    omen_error *error);

/* Inserts the rows of an Arrow struct array whose columns are the table's, in order. `array` and
 * `schema` are read, not consumed. Errors: as omen_insert; INVALID_ARGUMENT for a malformed
 * array. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_insert_arrow(omen_connection *connection,
                                                          const char *table,
                                                          const struct ArrowSchema *schema,
                                                          const struct ArrowArray *array,
                                                          omen_error *error);

/* Sets the named columns of the row with this key (one value per key column, in key order).
 * Errors: NOT_FOUND where no row has the key; as omen_insert. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_update(omen_connection *connection, const char *table,
                                                    const omen_value *key, size_t key_count,
                                                    const char *const *columns,
                                                    const omen_value *values, size_t column_count,
                                                    omen_error *error);

/* Deletes the row with this key. Errors: NOT_FOUND; UNDEFINED_TABLE; TYPE_MISMATCH. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_delete(omen_connection *connection, const char *table,
                                                    const omen_value *key, size_t key_count,
                                                    omen_error *error);

/* ------------------------------------------------------------------ reading */

/* A fixed moment that later reads can share; NULL in their arguments means "now". While it is
 * held, versions that it can see are kept. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_snapshot_create(omen_connection *connection,
                                                             omen_snapshot **out,
                                                             omen_error *error);
OMEN_EXPORT void omen_snapshot_release(omen_snapshot *snapshot); /* NULL does nothing */

/* The row with this key. `*out` is released by omen_row_release; until then its values hold.
 * Errors: NOT_FOUND; UNDEFINED_TABLE; TYPE_MISMATCH. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_get(omen_connection *connection, const char *table,
                                                 const omen_snapshot *snapshot,
                                                 const omen_value *key, size_t key_count,
                                                 omen_row **out, omen_error *error);

/* Columns of the row: those of its table. */
OMEN_EXPORT size_t omen_row_column_count(const omen_row *row);

/* The value of a column by position; text is borrowed until the row is released. A NULL value
 * of type NONE for a position out of range. */
OMEN_EXPORT omen_value omen_row_value(const omen_row *row, size_t column);

/* The row as an Arrow struct array of length 1 in the table's schema. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_row_arrow(const omen_row *row, struct ArrowArray *out,
                                                       omen_error *error);
OMEN_EXPORT void omen_row_release(omen_row *row); /* NULL does nothing */

typedef struct omen_scan_options {
    uint32_t struct_bytes;      /* sizeof(omen_scan_options) */
    const char *const *columns; /* projection by name, in output order; NULL = all */
    size_t column_count;
    const omen_predicate *predicates; /* a conjunction; values of the columns' own types */
    size_t predicate_count;
    uint64_t limit;                /* at most so many rows; 0 = no limit */
    const omen_snapshot *snapshot; /* NULL = now */
} omen_scan_options;

/* Scans a table into an Arrow C stream. options = NULL: everything. The stream sees one moment,
 * whatever is written meanwhile; unchanged row groups are not copied. A filter that fixes the
 * whole key is answered through the index. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_scan(omen_connection *connection, const char *table,
                                                  const omen_scan_options *options,
                                                  struct ArrowArrayStream *out, omen_error *error);

/* ------------------------------------------------------------------ SQL */

/* Runs one SQL statement (`length` bytes; SIZE_MAX = zero-terminated). A statement without a
 * result gives an empty stream with no columns. `rows_affected` (may be NULL) gets the rows
 * inserted or copied, 0 for the rest. Later errors come from the stream, whose get_last_error
 * reads "SQLSTATE message". */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_query(omen_connection *connection, const char *sql,
                                                   size_t length, struct ArrowArrayStream *out,
                                                   uint64_t *rows_affected, omen_error *error);

/* Prepares one statement of any kind, with parameters $1..$n, for repeated runs. The text is
 * copied.
 * Errors: SYNTAX_ERROR, UNDEFINED_TABLE, UNDEFINED_COLUMN, ... as running it would. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_prepare(omen_connection *connection, const char *sql,
                                                     size_t length, omen_statement **out,
                                                     omen_error *error);

/* Parameters the statement takes. */
OMEN_EXPORT size_t omen_statement_parameter_count(const omen_statement *statement);

/* Runs a prepared statement. `parameters` holds as many values as the statement takes; text is
 * borrowed until the next execute. Statements that write do so now, all of it or nothing;
 * queries give their rows through omen_step. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_execute(omen_statement *statement,
                                                     const omen_value *parameters,
                                                     size_t parameter_count, omen_error *error);

/* The same, the result as a stream, as omen_query gives it: it needs the statement no more. There
 * are no rows to step to then. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_execute_stream(omen_statement *statement,
                                                            const omen_value *parameters,
                                                            size_t parameter_count,
                                                            struct ArrowArrayStream *out,
                                                            omen_error *error);

/* The next result row; END_OF_DATA after the last. Values hold until the next step or execute. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_step(omen_statement *statement, omen_error *error);
OMEN_EXPORT size_t omen_statement_column_count(const omen_statement *statement);

/* A result column's name (zero-terminated, alive until the next execute) and type: of queries known
 * from prepare on, of other statements from execute on. Where parameters come with other types than
 * before, execute may change the types. NULL, and type NONE, for a position out of range. */
OMEN_EXPORT const char *omen_statement_column_name(const omen_statement *statement, size_t column);
OMEN_EXPORT omen_type omen_statement_column_type(const omen_statement *statement, size_t column);

/* How the last execute was answered: "index", "engine", or "core" for statements that are not
 * queries. Static string. */
OMEN_EXPORT const char *omen_statement_route(const omen_statement *statement);

/* What kind of statement it is, as PostgreSQL's command tag: "SELECT", "INSERT", "CREATE TABLE",
 * "COPY", ... Static string. */
OMEN_EXPORT const char *omen_statement_tag(const omen_statement *statement);

/* Rows the last execute inserted, copied, updated or deleted. */
OMEN_EXPORT uint64_t omen_statement_rows_affected(const omen_statement *statement);

/* A value of the current row; a NULL of type NONE for a position out of range. */
OMEN_EXPORT omen_value omen_statement_value(const omen_statement *statement, size_t column);
OMEN_EXPORT void omen_statement_release(omen_statement *statement); /* NULL does nothing */

/* Writes a value as PostgreSQL prints it, without a terminating zero, NULL as nothing. `*length`
 * gets the bytes the whole text takes; where that exceeds `capacity`, nothing is written and
 * LIMIT_EXCEEDED returned, so a larger buffer can be tried. Thread-safe. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_value_to_text(const omen_value *value, char *buffer,
                                                           size_t capacity, size_t *length);

/* Splits the first statement off `sql`: its length without the semicolon, and in `*rest` where
 * the next begins. Quotes, dollar quotes and comments are PostgreSQL's. `*complete` is false
 * where the text ends inside one, or without a semicolon. */
OMEN_EXPORT size_t omen_statement_split(const char *sql, size_t length, size_t *rest,
                                        bool *complete);

/* ------------------------------------------------------------------ looking inside */

/* How statements were answered, per connection, since it was made. */
typedef struct omen_counters {
    uint32_t struct_bytes;       /* sizeof(omen_counters), set by the caller */
    uint64_t route_index;        /* statements answered by the core through the index */
    uint64_t route_engine;       /* statements answered by the engine */
    uint64_t engine_index_scans; /* scans inside engine plans that the index answered */
    uint64_t engine_scans;       /* scans inside engine plans that read row groups */
    uint64_t groups_pruned;      /* row groups those skipped by zone map */
    uint64_t route_core;         /* queries the core answered that read no table */
    uint64_t route_fallbacks;    /* statements that the route set by omen.route could not answer */
    uint64_t engine_scan_parts;  /* parts, read in parallel, of those scans that gave rows */
    uint64_t spilled_bytes;      /* the engine wrote for sorts and joins of all connections */
} omen_counters;
OMEN_EXPORT void omen_counters_of(const omen_connection *connection, omen_counters *out);

typedef enum omen_transaction_state {
    OMEN_TRANSACTION_NONE,   /* each statement commits by itself */
    OMEN_TRANSACTION_OPEN,   /* BEGIN has been run, and not yet its end */
    OMEN_TRANSACTION_FAILED, /* the same, but a statement has failed: only ROLLBACK is accepted */
} omen_transaction_state;

/* Where the connection is after its last statement. The connection's thread. NULL: NONE. */
OMEN_EXPORT omen_transaction_state omen_transaction_state_of(const omen_connection *connection);

/* The last warning of the connection's statements since this was last asked, as an error of its
 * SQLSTATE and message; false, with `*out` left alone, where there was none. Statements that warn
 * succeed: BEGIN within a transaction (25001); COMMIT, ROLLBACK, SET TRANSACTION and SET LOCAL
 * outside one (25P01). The connection's thread. NULL: false. */
OMEN_EXPORT bool omen_warning_take(omen_connection *connection, omen_error *out);

/* How far a connection's running statement is: rows of tables and files, or bytes of the file that
 * COPY reads. The total grows while a query opens more scans, and all steps may be done long before
 * the answer is there, as a sort or a join goes on. */
typedef struct omen_progress {
    uint32_t struct_bytes; /* sizeof(omen_progress), set by the caller */
    uint64_t steps_done;
    uint64_t steps_total; /* 0: not known */
} omen_progress;

/* What the last statement that counts its steps has done, the running one or one before it. As
 * omen_interrupt, any thread may ask at any time until omen_disconnect. */
OMEN_EXPORT void omen_progress_of(const omen_connection *connection, omen_progress *out);

typedef struct omen_table_statistics {
    uint32_t struct_bytes; /* sizeof(omen_table_statistics), set by the caller */
    uint64_t rows_estimate, dead_rows;
    uint64_t groups_open, groups_sealed, groups_frozen, groups_retired;
    uint64_t column_bytes, lifetime_bytes, index_bytes, bytes;
} omen_table_statistics;
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_table_statistics_of(omen_connection *connection,
                                                                 const char *table,
                                                                 omen_table_statistics *out,
                                                                 omen_error *error);

/* One bounded step of maintenance over all tables: about `rows_max` rows at most (0 = a default).
 * Freezes full row groups, compacts those with dead rows, cleans the index. `*more` (may be NULL)
 * says whether another step would find work. */
OMEN_EXPORT OMEN_MUST_CHECK omen_status omen_maintain(omen_database *database, uint64_t rows_max,
                                                      bool *more, omen_error *error);

/* Bytes in use by tables and index of this database. */
OMEN_EXPORT uint64_t omen_memory_bytes(const omen_database *database);

/* Makes the nth allocation of this database from now fail, and every later one too where
 * `and_all_after`; 0 cancels. For tests of out-of-memory handling. */
OMEN_EXPORT void omen_test_fail_allocation(omen_database *database, uint64_t nth,
                                           bool and_all_after);

#ifdef __cplusplus
}
#endif

#endif
