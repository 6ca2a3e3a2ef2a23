/* engine_host.h - what the files that serve an engine share.
 *
 *   omen_engine_statement --- snapshot, the references of its text, those it has resolved
 *          |  one omen_engine_table per reference; all references to a table share one view
 *          v
 *   omen_engine_table ------- table_view, session (for the counters)
 *          |
 *          v
 *   omen_engine_cursor ------ one scan of the view
 */
#ifndef OMEN_QUERY_ENGINE_HOST_H
#define OMEN_QUERY_ENGINE_HOST_H

#include "base/status.h"
#include "omendb_engine.h"
#include "query/file.h"
#include "query/session.h"
#include "sql/engine_text.h"
#include "table/table.h"

/* The core's side of the ABI. Static. */
extern const omen_engine_host engine_host;

/* One statement's read view: its snapshot is taken here, for all its tables. The text's references
 * are borrowed until it is closed. */
OMEN_MUST_CHECK omen_status engine_statement_open(struct session *session,
                                                  const struct engine_text *text,
                                                  omen_engine_statement **out, omen_error *error);
void engine_statement_close(omen_engine_statement *statement);

/* --- tables (engine_host.c) --- */

enum { ENGINE_NAME_BYTES = SCHEMA_NAME_BYTES_MAX + 12 }; /* "table.4294967295" */

struct omen_engine_table {
    atomic_uint references;
    struct session *session; /* retained */
    struct table_view *view; /* NULL: */
    struct table_file *file; /* the rows are this file's */
    uint64_t row_count;
    bool row_count_exact;
    bool by_key;  /* a scan that fixes the whole key is answered by the index */
    bool row_ids; /* shows ROW_ID_COLUMN behind its own */
    omen_engine_table_info info;
    omen_engine_table *next; /* of the statement's list */
    char name[ENGINE_NAME_BYTES];
    /* Of the columns, "column.number": unique in the statement, because the engine tells columns of
     * a join apart by name alone in places. One block, column_count of them. */
    char (*column_names)[ENGINE_NAME_BYTES];
    uint32_t column_count;
};

omen_engine_table *engine_table_retain(omen_engine_table *table);
void engine_table_release(omen_engine_table *table); /* NULL does nothing */
struct schema *engine_table_columns(const omen_engine_table *table);

/* --- scans (engine_scan.c); see omen_engine_host --- */

omen_engine_support engine_predicate_support(const omen_engine_table *table,
                                             const omen_predicate *predicate);
omen_status engine_scan_open(omen_engine_table *table, const omen_engine_scan *scan,
                             omen_engine_cursor **out, omen_error *error);
omen_status engine_scan_next(omen_engine_cursor *cursor, struct ArrowArray *out, omen_error *error);
omen_status engine_scan_prune(omen_engine_cursor *cursor, const omen_predicate *predicates,
                              uint32_t predicate_count, omen_error *error);
void engine_scan_close(omen_engine_cursor *cursor);

/* --- functions (engine_function.c); see omen_engine_host --- */

omen_status engine_function_call(const char *signature, size_t signature_length,
                                 const struct ArrowSchema *argument_schema,
                                 const struct ArrowArray *arguments, uint64_t row_count,
                                 bool (*stopped)(void *context), void *stop_context,
                                 struct ArrowArray *out, omen_error *error);
omen_status engine_function_result(const char *signature, size_t signature_length,
                                   struct ArrowSchema *out, omen_error *error);

#endif
