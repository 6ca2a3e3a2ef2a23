/* omendb_engine.h - the ABI between the core and a SQL engine, both directions.
 *
 * The engine is a shared object, libomendb_engine.so, that the core loads when a statement first
 * needs it. It exports one function, omen_engine_entry. Rows cross only as Arrow C streams,
 * predicates as lists of conjuncts, everything else as opaque handles.
 *
 *   core --- omen_engine ---> engine        plan and run a query, explain it
 *   core <-- omen_engine_host --- engine    resolve a table, read it at the statement's read view
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
#define OMEN_ENGINE_ABI_VERSION 2

/* Core objects, seen by the engine as handles. */
typedef struct omen_engine_statement omen_engine_statement; /* one statement and its read view */
typedef struct omen_engine_table omen_engine_table; /* a table version at a statement's read view */

/* An engine object, seen by the core as a handle. */
typedef struct omen_engine_instance omen_engine_instance;

/* How faithfully a scan applies a predicate. There is no "inexact": a predicate is either
 * applied for every bindable value, NULL included, or left to the engine altogether. */
typedef enum omen_engine_support {
    OMEN_ENGINE_UNSUPPORTED = 0,
    OMEN_ENGINE_EXACT = 1,
} omen_engine_support;

/* The key of a column's metadata that tells CHAR from TEXT. */
#define OMEN_ENGINE_TYPE_KEY "omendb.type"

typedef struct omen_engine_table_info {
    const char *name;            /* UTF-8, zero-terminated; alive as long as the handle */
    const uint32_t *key_columns; /* positions in the schema, in key order; none where hidden */
    uint32_t key_column_count;
    uint64_t row_count_estimate; /* live rows, about */
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

/* What the core offers. Every function is thread-safe; none blocks on anything but memory. */
typedef struct omen_engine_host {
    uint32_t abi_version;
    uint32_t struct_bytes; /* sizeof(omen_engine_host) */

    /* Resolves a bare, case-folded table name. UNDEFINED_TABLE where there is none; the message
     * is the one users see. The engine gives the handle back by table_release. The statement
     * handle is valid until the query function that received it returns; tables taken through
     * it, and streams opened on them, stay valid until released, after that too. */
    omen_status (*table_resolve)(omen_engine_statement *statement, const char *name,
                                 size_t name_length, omen_engine_table **out, omen_error *error);

    /* Another reference to the same table; each is released once. */
    omen_engine_table *(*table_retain)(omen_engine_table *table);
    void (*table_release)(omen_engine_table *table);

    /* Borrowed as long as the handle lives. */
    const omen_engine_table_info *(*table_info)(const omen_engine_table *table);

    /* The table's columns as an Arrow struct schema; the caller releases it. A CHAR column, which
     * compares without its trailing blanks, has the metadata OMEN_ENGINE_TYPE_KEY = "char". */
    omen_status (*table_schema)(const omen_engine_table *table, struct ArrowSchema *out,
                                omen_error *error);

    /* Whether a scan applies `predicate` exactly. Asked with the values that will be used. */
    omen_engine_support (*predicate_support)(const omen_engine_table *table,
                                             const omen_predicate *predicate);

    /* Opens a scan at the statement's read view. Predicates that fix the whole key are answered
     * through the index (then partition 0 has the rows). Batches hold references to what they
     * show: they may be released from any thread, at any time, after the stream too. The stream
     * itself is for one thread at a time. */
    omen_status (*scan_open)(omen_engine_table *table, const omen_engine_scan *scan,
                             struct ArrowArrayStream *out, omen_error *error);

    /* Reads `length` bytes of text as a value of `type`, by the same rules as INSERT and COPY.
     * The bytes of a BYTEA go to `buffer`, which has room for `length`; TEXT is not for this.
     * Errors: those of the type's input, with the message users see. */
    omen_status (*value_from_text)(const omen_type *type, const char *text, size_t length,
                                   uint8_t *buffer, omen_value *out, omen_error *error);

    /* Writes a value as text: see omen_value_to_text. */
    omen_status (*value_to_text)(const omen_value *value, char *buffer, size_t capacity,
                                 size_t *length);
} omen_engine_host;

typedef struct omen_engine_options {
    uint64_t memory_bytes_max; /* pool for sorts, joins and aggregates; 0 = the engine's default */
    uint32_t thread_count;     /* workers and target partitions; 0 = one per core */
} omen_engine_options;

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

    /* Plans and starts one query. `sql` is `length` bytes of UTF-8 holding exactly one query (no
     * DDL, DML or settings: those are refused with NOT_SUPPORTED). Parameters $1..$n are bound
     * to `parameters`, borrowed for the call. Errors found while planning come from here with
     * their SQLSTATE; later ones from the stream: get_next returns non-zero and get_last_error
     * gives "SQLSTATE message". get_next blocks its caller until a batch is ready, so it must
     * not be called from an engine thread. Releasing the stream cancels what still runs. */
    omen_status (*query)(omen_engine_instance *engine, omen_engine_statement *statement,
                         const char *sql, size_t length, const omen_value *parameters,
                         uint32_t parameter_count, struct ArrowArrayStream *out, omen_error *error);

    /* The physical plan of a query as a stream of one utf8 column, one row a line; runs nothing.
     * Arguments and errors as for query. */
    omen_status (*explain)(omen_engine_instance *engine, omen_engine_statement *statement,
                           const char *sql, size_t length, struct ArrowArrayStream *out,
                           omen_error *error);
} omen_engine;

/* The engine's only export. NULL where the versions differ. The result is static. */
typedef const omen_engine *(*omen_engine_entry_function)(uint32_t abi_version);
OMEN_EXPORT const omen_engine *omen_engine_entry(uint32_t abi_version);

#ifdef __cplusplus
}
#endif

#endif
