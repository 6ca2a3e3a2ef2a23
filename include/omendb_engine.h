/* omendb_engine.h - the ABI between the core and a SQL engine, both directions.
 *
 * The engine is a shared object, libomendb_engine.so, that the core loads when a statement first
 * needs it. It exports one function, omen_engine_entry. Rows cross only as Arrow C streams,
 * predicates as lists of conjuncts, everything else as opaque handles.
 *
 *   core --- omen_engine ---> engine        plan and run a query, explain it
 *   core <-- omen_engine_host --- engine    resolve a table, read it at the statement's read view
 *   core --- omen_engine ---> engine        write row groups as a Parquet file, read them again
 *   core --- omen_engine ---> engine        read Parquet files of anybody's, write results as one
 *
 * Written by hand and the only truth: the Rust bindings are generated from it at build time.
 * Neither side lets a C++ exception, a Rust panic or a longjmp cross.
 */
#ifndef OMENDB_ENGINE_H
#define OMENDB_ENGINE_H

#include <stdint.h>

#include "omendb_arrow.h"
#include "omendb_status.h"
#include "omendb_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Both sides must agree exactly. Any change to this header raises it. */
#define OMEN_ENGINE_ABI_VERSION 7

/* Core objects, seen by the engine as handles. */
typedef struct omen_engine_statement omen_engine_statement; /* one statement and its read view */
typedef struct omen_engine_table omen_engine_table; /* a table version at a statement's read view */
typedef struct omen_engine_cursor omen_engine_cursor; /* one partition of a scan, being read */

/* An engine object, seen by the core as a handle. */
typedef struct omen_engine_instance omen_engine_instance;
typedef struct omen_engine_file omen_engine_file; /* a Parquet file, open for reading */

/* How faithfully a scan applies a predicate. There is no "inexact": a predicate is either
 * applied for every bindable value, NULL included, or left to the engine altogether. */
typedef enum omen_engine_support {
    OMEN_ENGINE_UNSUPPORTED = 0,
    OMEN_ENGINE_EXACT = 1,
} omen_engine_support;

typedef struct omen_engine_table_info {
    const char *name;            /* UTF-8, zero-terminated; alive as long as the handle */
    const uint32_t *key_columns; /* positions in the schema, in key order; none where hidden */
    uint32_t key_column_count;
    uint64_t identity; /* of this table alone as long as the host lives: one made later under the
                        * same name, or with the same columns, has another */
} omen_engine_table_info;

/* What a scan delivers. All arrays are borrowed for the call. */
typedef struct omen_engine_scan {
    const uint32_t *columns;          /* projection, positions in the schema, in output order */
    uint32_t column_count;            /* 0: batches have a length and no columns */
    const omen_predicate *predicates; /* a conjunction; each EXACT by predicate_support */
    uint32_t predicate_count;
    uint64_t limit;           /* at most so many rows; UINT64_MAX = no limit */
    uint32_t partition;       /* this scan reads partition `partition` of `partition_count` */
    uint32_t partition_count; /* at least 1; partitions are disjoint and cover the table */
} omen_engine_scan;

/* What is known of a column at the read view without reading it. */
typedef struct omen_engine_column_statistics {
    bool exact;          /* null_count, min and max hold exactly; else they bound: min is no larger
                          * and max no smaller than any value, null_count is an estimate */
    bool has_range;      /* min and max are set; never for floats */
    uint64_t null_count; /* rows that are NULL */
    omen_value min, max; /* of the column's type; text borrowed as long as the table handle */
} omen_engine_column_statistics;

/* What the core offers. Every function is thread-safe; none blocks on anything but memory. */
typedef struct omen_engine_host {
    uint32_t abi_version;
    uint32_t struct_bytes; /* sizeof(omen_engine_host) */

    /* Resolves a table by the name it has in the query's text, which is the core's own and stands
     * for one table reference ("users.1"); references to one table share one captured view. A
     * reference that the core writes through shows one column more, the row id (BIGINT), behind
     * the table's own. UNDEFINED_TABLE where there is none; the message is the one users see. The
     * engine gives the handle back by table_release. The statement handle is valid until the query
     * function that received it returns; tables taken through it, and cursors opened on them, stay
     * valid until released, after that too. */
    omen_status (*table_resolve)(omen_engine_statement *statement, const char *name,
                                 size_t name_length, omen_engine_table **out, omen_error *error);

    void (*table_release)(omen_engine_table *table); /* any thread */

    /* Borrowed as long as the handle lives. */
    const omen_engine_table_info *(*table_info)(const omen_engine_table *table);

    /* The table's columns as an Arrow struct schema; the caller releases it while the handle lives.
     * They are named "column.number", as in the query's text. */
    omen_status (*table_schema)(const omen_engine_table *table, struct ArrowSchema *out,
                                omen_error *error);

    /* Whether a scan applies `predicate` exactly. Asked with the values that will be used. */
    omen_engine_support (*predicate_support)(const omen_engine_table *table,
                                             const omen_predicate *predicate);

    /* Rows the read view sees; `*exact` where that is no estimate. */
    uint64_t (*row_count)(const omen_engine_table *table, bool *exact);

    /* What is known of one column. */
    void (*column_statistics)(const omen_engine_table *table, uint32_t column,
                              omen_engine_column_statistics *out);

    /* Opens a scan at the statement's read view. Predicates that fix the whole key are answered
     * through the index (then partition 0 has the rows). A cursor is for one thread at a time and
     * holds what it needs of table and statement; the engine gives it back by scan_close. */
    omen_status (*scan_open)(omen_engine_table *table, const omen_engine_scan *scan,
                             omen_engine_cursor **out, omen_error *error);

    /* The next non-empty batch as a struct array; END_OF_DATA after the last, and then and after
     * an error `out->release` is NULL. Batches hold references to what they show: they may be
     * released from any thread, at any time, after the cursor too. */
    omen_status (*scan_next)(omen_engine_cursor *cursor, struct ArrowArray *out, omen_error *error);

    /* Replaces the predicates by which row groups and vectors not yet read may be skipped: rows
     * that don't satisfy them are not needed, but may come. Each was found EXACT by
     * predicate_support; borrowed for the call. Errors: OUT_OF_MEMORY, and then nothing changes. */
    omen_status (*scan_prune)(omen_engine_cursor *cursor, const omen_predicate *predicates,
                              uint32_t predicate_count, omen_error *error);
    void (*scan_close)(omen_engine_cursor *cursor); /* any thread */

    /* Computes one function of the core for `row_count` rows: the same code that answers on the
     * core's own route. `signature` is what the core wrote into the query's text as the function's
     * first argument. `arguments` is a struct array of the arguments' columns in the types of
     * `argument_schema` (both read, not consumed); `out` gets a struct array of one column of the
     * signature's result type, as long, released by the engine. `stopped` (may be NULL) is asked
     * before each row whether nobody wants the result any more.
     * Errors: those of the function, with the message users see; CANCELLED. */
    omen_status (*function_call)(const char *signature, size_t signature_length,
                                 const struct ArrowSchema *argument_schema,
                                 const struct ArrowArray *arguments, uint64_t row_count,
                                 bool (*stopped)(void *context), void *stop_context,
                                 struct ArrowArray *out, omen_error *error);

    /* The type of a function's result as a struct schema of one column; the engine releases it.
     * Errors: INTERNAL where the signature is none of the core's. */
    omen_status (*function_result)(const char *signature, size_t signature_length,
                                   struct ArrowSchema *out, omen_error *error);
} omen_engine_host;

typedef struct omen_engine_options {
    uint64_t memory_bytes_max; /* pool for sorts, joins and aggregates; 0 = the engine's default */
    uint32_t thread_count;     /* workers and target partitions; 0 = one per core */
} omen_engine_options;

/* One query. All borrowed for the call, but `interrupt_context`. */
typedef struct omen_engine_query {
    const char *sql; /* `length` bytes of UTF-8 holding exactly one query, written by the core */
    size_t length;
    const omen_value *parameters; /* of $1..$n, with their types */
    uint32_t parameter_count;
    uint64_t timeout_ms; /* from now until its last batch; 0 = none. CANCELLED when it is over */

    /* Whether to give the query up; asked every 20 ms while the query function or get_next runs,
     * by its caller's thread, until the result is released: these then fail with CANCELLED,
     * whatever still computes behind them. NULL: never. */
    bool (*interrupted)(void *context);
    void *interrupt_context;
} omen_engine_query;

/* What happened inside the engine since it was opened. */
typedef struct omen_engine_counters {
    uint32_t struct_bytes;    /* sizeof(omen_engine_counters), set by the caller */
    uint64_t queries;         /* planned, explained ones not counted */
    uint64_t spilled_bytes;   /* written to disk by sorts, joins and aggregates */
    uint64_t dynamic_filters; /* that were handed to scans by scan_prune */
    uint64_t plans_cached;    /* times that a text needed no planning, explained ones too */
} omen_engine_counters;

/* Where the bytes of a file that is written go, in order. */
typedef struct omen_engine_writer {
    /* Takes `length` bytes. Errors: the caller's own; whoever writes stops and returns them as they
     * came, status and message. */
    omen_status (*write)(void *context, const void *bytes, size_t length, omen_error *error);
    void *context;
} omen_engine_writer;

/* Where the bytes of a file that is read come from. Thread-safe. */
typedef struct omen_engine_reader {
    /* Reads exactly `length` bytes at `offset`. Errors: as for `write`; CORRUPTED where the file is
     * damaged or ends before. */
    omen_status (*read)(void *context, uint64_t offset, void *buffer, size_t length,
                        omen_error *error);
    void *context;
    uint64_t length; /* of the file */
} omen_engine_reader;

/* What a Parquet file says it holds. */
typedef struct omen_engine_file_facts {
    uint64_t row_count;
    uint32_t group_count; /* row groups */
} omen_engine_file_facts;

/* What the engine offers. Every function catches panics (INTERNAL) and is thread-safe. */
typedef struct omen_engine {
    uint32_t abi_version;
    uint32_t struct_bytes; /* sizeof(omen_engine) */

    /* Static strings for messages and the version view, e.g. "DataFusion 55.2.0". */
    const char *(*name)(void);

    /* Starts an engine: runtime, memory pool. `host` must outlive it. */
    omen_status (*open)(const omen_engine_host *host, const omen_engine_options *options,
                        omen_engine_instance **out, omen_error *error);

    /* Stops it. Streams still out keep what they need and may be released later. NULL: nothing. */
    void (*close)(omen_engine_instance *engine);

    /* Plans and starts one query (no DDL, DML or settings: those are refused with NOT_SUPPORTED).
     * The result's columns are named as the text names them and have core types.
     * Errors found while planning come from here with their SQLSTATE; later ones from the stream:
     * get_next returns non-zero and get_last_error gives "SQLSTATE message". get_next blocks its
     * caller until a batch is ready, so it must not be called from an engine thread. Releasing
     * the stream cancels what still runs. */
    omen_status (*query)(omen_engine_instance *engine, omen_engine_statement *statement,
                         const omen_engine_query *query, struct ArrowArrayStream *out,
                         omen_error *error);

    /* The physical plan of a query as a stream of one utf8 column, one row a line; runs nothing.
     * Errors as for query. */
    omen_status (*explain)(omen_engine_instance *engine, omen_engine_statement *statement,
                           const omen_engine_query *query, struct ArrowArrayStream *out,
                           omen_error *error);

    void (*counters)(const omen_engine_instance *engine, omen_engine_counters *out);

    /* --- files of row groups. These two need no open engine, and work after it was closed: on the
     * caller's thread, without waiting for anything but the callbacks. --- */

    /* Writes one Parquet file. `schema` is a struct schema, its columns in the file's order; column
     * i gets field id i + 1. Each of the `group_count` streams is one row group of the file: its
     * batches have all columns in the schema's types, and at least one row in all. The streams are
     * read and released, also where it fails. Nothing may depend on anything but the rows, so that
     * the same rows give the same bytes.
     * Errors: the writer's; those of a stream's get_next ("SQLSTATE message"); OUT_OF_MEMORY. */
    omen_status (*segment_write)(const struct ArrowSchema *schema, struct ArrowArrayStream *groups,
                                 uint32_t group_count, const omen_engine_writer *writer,
                                 omen_error *error);

    /* Reads chosen columns of one row group of such a file, in the order given. `schema` is what
     * the file was written with; the batches have its types, or for text and bytes any form of them
     * (utf8, large_utf8, utf8_view, ...), and come in row order. Reading may go on until the stream
     * is released: the caller keeps `reader` and what it leads to until then.
     * Errors, here and from get_next as "SQLSTATE message": the reader's; CORRUPTED where the file
     * has no such row group or other columns; OUT_OF_MEMORY. */
    omen_status (*segment_read)(const struct ArrowSchema *schema, const omen_engine_reader *reader,
                                uint32_t group, const uint32_t *columns, uint32_t column_count,
                                struct ArrowArrayStream *out, omen_error *error);

    /* --- Parquet files of anybody's. As above, these need no open engine; nothing that such a file
     * says is trusted, and what is held of it is bounded. --- */

    /* Opens a file. `schema` (the caller releases it) gets a struct schema of its columns in core
     * types: unsigned numbers in the next larger type (64 bits: DECIMAL(20,0)), timestamps of any
     * unit and int96 in microseconds, decimals up to 38 digits, strings and bytes as views, UUIDs
     * where the file calls them so. A column of any other type (lists, structures, times of day)
     * stands there as text, cannot be read, and file_column_refused tells its type. Names may be
     * anything. The caller keeps `reader` and what it leads to until file_close.
     * Errors: the reader's; CORRUPTED for what is no Parquet file or a damaged one; NOT_SUPPORTED
     * for an encrypted one; LIMIT_EXCEEDED; OUT_OF_MEMORY. */
    omen_status (*file_open)(const omen_engine_reader *reader, omen_engine_file **out,
                             struct ArrowSchema *schema, omen_engine_file_facts *facts,
                             omen_error *error);

    /* What the column's type is called, where none of it can be read; else NULL. Borrowed as long
     * as the file is open. */
    const char *(*file_column_refused)(const omen_engine_file *file, uint32_t column);

    /* Reads chosen columns, each once, of the row groups [group_first, group_end), in the order
     * given, as batches of at most 8,192 rows in the schema's types, read as they are asked for.
     * Values are made what the core stores: no negative zero, one NaN. The stream is for one thread
     * at a time and released before the file is closed; its batches need neither.
     * Errors, here and from get_next as "SQLSTATE message": the reader's; CORRUPTED;
     * DATETIME_OVERFLOW, OUT_OF_RANGE for values that no column has; NOT_SUPPORTED; LIMIT_EXCEEDED
     * where its pages are too large; OUT_OF_MEMORY. */
    omen_status (*file_read)(const omen_engine_file *file, uint32_t group_first, uint32_t group_end,
                             const uint32_t *columns, uint32_t column_count,
                             struct ArrowArrayStream *out, omen_error *error);
    void (*file_close)(omen_engine_file *file); /* NULL: nothing */

    /* Writes a stream's rows (core types; read and released, also where it fails) as one Parquet
     * file, in row groups of 122,880 rows. Errors: the writer's; those of the stream's get_next;
     * OUT_OF_MEMORY. */
    omen_status (*file_write)(struct ArrowArrayStream *rows, const omen_engine_writer *writer,
                              omen_error *error);
} omen_engine;

/* The engine's only export. NULL where the versions differ. The result is static. */
typedef const omen_engine *(*omen_engine_entry_function)(uint32_t abi_version);
OMEN_EXPORT const omen_engine *omen_engine_entry(uint32_t abi_version);

#ifdef __cplusplus
}
#endif

#endif
