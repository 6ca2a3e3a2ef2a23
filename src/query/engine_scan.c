/* engine_scan.c - an engine reads a table: which predicates a scan applies, and cursors.
 *
 * Concurrency: a cursor has one user at a time, on any thread. It holds its table, so it may be
 * read after the statement has gone; what it gave out needs neither.
 */
#include <string.h>

#include "column/decimal.h"
#include "query/engine_host.h"

struct omen_engine_cursor {
    omen_engine_table *table;   /* retained */
    struct scan *scan;          /* NULL: */
    struct file_cursor *file;   /* of a table whose rows are a file's */
    uint64_t groups_counted;    /* pruned groups already added to the session's counter */
    bool has_given;             /* a batch, which counted this part of the scan */
    uint64_t steps, steps_done; /* rows of this part that the session's progress counts */
};

/* --- predicates --- */

static bool is_plain_text(omen_type_id type)
{
    return type == OMEN_TYPE_TEXT || type == OMEN_TYPE_VARCHAR;
}

/* Whether a value is one of the column's type, so that comparing them means what SQL means.
 * CHAR compares without its padding, which the scan does not do. */
static bool value_matches(const omen_value *value, omen_type type)
{
    if (type.id == OMEN_TYPE_CHAR)
        return false;
    if (value->type.id != type.id)
        return is_plain_text(value->type.id) && is_plain_text(type.id);
    if (type.id != OMEN_TYPE_DECIMAL)
        return true;
    return value->type.scale == type.scale &&
           (value->is_null || decimal_fits(decimal_to_integer(value->as.decimal), type.precision));
}

omen_engine_support engine_predicate_support(const omen_engine_table *table,
                                             const omen_predicate *predicate)
{
    const struct schema *schema = engine_table_columns(table);
    if (table->file != NULL || predicate->column >= schema->column_count)
        return OMEN_ENGINE_UNSUPPORTED;
    switch (predicate->op) {
    case OMEN_IS_NULL:
    case OMEN_IS_NOT_NULL:
        return predicate->value_count == 0 ? OMEN_ENGINE_EXACT : OMEN_ENGINE_UNSUPPORTED;
    case OMEN_EQ:
    case OMEN_NE:
    case OMEN_LT:
    case OMEN_LE:
    case OMEN_GT:
    case OMEN_GE:
        if (predicate->value_count != 1)
            return OMEN_ENGINE_UNSUPPORTED;
        break;
    case OMEN_IN:
        break;
    default:
        return OMEN_ENGINE_UNSUPPORTED;
    }
    for (size_t i = 0; i < predicate->value_count; i++)
        if (!value_matches(&predicate->values[i], schema->columns[predicate->column].type))
            return OMEN_ENGINE_UNSUPPORTED;
    return OMEN_ENGINE_EXACT;
}

/* Copies predicates into the arena with values of exactly the columns' types: TEXT for VARCHAR
 * and the precision of decimals are made equal. */
static omen_status adapt_predicates(const struct schema *schema, const omen_predicate *predicates,
                                    uint32_t predicate_count, struct arena *arena,
                                    omen_predicate **out)
{
    *out = arena_alloc(arena, predicate_count * sizeof **out);
    if (*out == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < predicate_count; i++) {
        const omen_predicate *from = &predicates[i];
        (*out)[i] = *from;
        if (from->value_count == 0 || from->column >= schema->column_count)
            continue;
        omen_value *values = arena_alloc(arena, from->value_count * sizeof *values);
        if (values == NULL)
            return OMEN_OUT_OF_MEMORY;
        for (size_t j = 0; j < from->value_count; j++) {
            values[j] = from->values[j];
            if (value_matches(&values[j], schema->columns[from->column].type))
                values[j].type = schema->columns[from->column].type;
        }
        (*out)[i].values = values;
    }
    return OMEN_OK;
}

/* --- cursors --- */

static omen_status open_scan(omen_engine_table *table, const omen_engine_scan *scan,
                             struct arena *arena, struct scan **out, omen_error *error)
{
    const struct schema *schema = engine_table_columns(table);
    omen_predicate *predicates;
    uint32_t *columns = arena_alloc(arena, scan->column_count * sizeof *columns);
    if (columns == NULL || adapt_predicates(schema, scan->predicates, scan->predicate_count, arena,
                                            &predicates) != OMEN_OK)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < scan->column_count; i++) {
        columns[i] = scan->columns[i];
        if (table->row_ids && columns[i] == schema->column_count)
            columns[i] = ROW_ID_COLUMN;
        else if (columns[i] >= schema->column_count)
            return error_set(error, OMEN_INVALID_ARGUMENT, "no column %u", columns[i]);
    }
    const struct scan_spec spec = {
        .columns = columns,
        .column_count = scan->column_count,
        .predicates = predicates,
        .predicate_count = scan->predicate_count,
        .limit = scan->limit,
        .partition = scan->partition,
        .partition_count = scan->partition_count,
        .key_lookup = table->by_key,
    };
    return table_scan_open(table->view, &spec, out, error);
}

/* Tells the session that this part of a scan has come to its row `done`; those that no condition
 * lets through count as well. */
static void tell_progress(omen_engine_cursor *cursor, uint64_t done)
{
    uint64_t reached = done < cursor->steps ? done : cursor->steps;
    if (reached <= cursor->steps_done)
        return;
    session_count(&cursor->table->session->steps_done, reached - cursor->steps_done);
    cursor->steps_done = reached;
}

/* Opens the scan or the file; the cursor has its table. */
static omen_status open_rows(omen_engine_cursor *cursor, const omen_engine_scan *scan,
                             omen_error *error)
{
    struct session *session = cursor->table->session;
    struct scan_counters counters = {0};
    if (cursor->table->file != NULL) {
        const struct file_scan wanted = {
            .columns = scan->columns,
            .column_count = scan->column_count,
            .limit = scan->limit,
            .partition = scan->partition,
            .partition_count = scan->partition_count,
        };
        OMEN_TRY(file_cursor_open(cursor->table->file, &wanted, &cursor->file, error));
    } else {
        struct arena arena;
        arena_init(&arena, session->database->allocator);
        omen_status status = open_scan(cursor->table, scan, &arena, &cursor->scan, error);
        arena_release(&arena);
        OMEN_TRY(status);
        table_scan_counters(cursor->scan, &counters);
    }
    cursor->steps = counters.by_index ? 0 : cursor->table->row_count / scan->partition_count;
    session_count(&session->steps_total, cursor->steps);
    if (scan->partition == 0)
        session_count(counters.by_index ? &session->engine_index_scans : &session->engine_scans, 1);
    return OMEN_OK;
}

omen_status engine_scan_open(omen_engine_table *table, const omen_engine_scan *scan,
                             omen_engine_cursor **out, omen_error *error)
{
    struct allocator *allocator = table->session->database->allocator;
    *out = NULL;
    omen_engine_cursor *cursor = allocator_alloc_zeroed(allocator, sizeof *cursor);
    if (cursor == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    cursor->table = engine_table_retain(table);
    omen_status status = open_rows(cursor, scan, error);
    if (status != OMEN_OK) {
        engine_scan_close(cursor);
        return status;
    }
    *out = cursor;
    return OMEN_OK;
}

static void count_pruned(omen_engine_cursor *cursor)
{
    struct scan_counters counters;
    table_scan_counters(cursor->scan, &counters);
    tell_progress(cursor, counters.vectors * VECTOR_ROWS);
    session_count(&cursor->table->session->groups_pruned,
                  counters.groups_pruned - cursor->groups_counted);
    cursor->groups_counted = counters.groups_pruned;
}

omen_status engine_scan_next(omen_engine_cursor *cursor, struct ArrowArray *out, omen_error *error)
{
    bool is_file = cursor->file != NULL;
    omen_status status =
        is_file ? file_cursor_next(cursor->file, out, error) : table_scan_next(cursor->scan, out);
    if (!is_file)
        count_pruned(cursor);
    else if (status == OMEN_OK)
        tell_progress(cursor, cursor->steps_done + (uint64_t)out->length);
    if (status == OMEN_OK) {
        session_count(&cursor->table->session->engine_scan_parts, !cursor->has_given);
        cursor->has_given = true;
        return OMEN_OK;
    }
    memset(out, 0, sizeof *out);
    if (is_file || status == OMEN_END_OF_DATA)
        return status;
    return table_scan_error(cursor->scan, status, error);
}

omen_status engine_scan_prune(omen_engine_cursor *cursor, const omen_predicate *predicates,
                              uint32_t predicate_count, omen_error *error)
{
    struct arena arena;
    omen_predicate *adapted;
    if (cursor->file != NULL)
        return OMEN_OK; /* every row comes */
    arena_init(&arena, cursor->table->session->database->allocator);
    omen_status status = adapt_predicates(engine_table_columns(cursor->table), predicates,
                                          predicate_count, &arena, &adapted);
    if (status == OMEN_OK)
        status = table_scan_prune(cursor->scan, adapted, predicate_count, error);
    else
        error_set_default(error, status);
    arena_release(&arena);
    return status;
}

void engine_scan_close(omen_engine_cursor *cursor)
{
    if (cursor == NULL)
        return;
    omen_engine_table *table = cursor->table;
    tell_progress(cursor, cursor->steps); /* pruned, or not needed */
    table_scan_close(cursor->scan);
    file_cursor_close(cursor->file);
    allocator_free(table->session->database->allocator, cursor, sizeof *cursor);
    engine_table_release(table);
}
