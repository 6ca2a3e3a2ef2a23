/* engine_host.c - what the core offers an engine: tables at a statement's read view.
 *
 *   omen_engine_statement --- snapshot, list of the tables it has resolved
 *          |  one omen_engine_table per name, so all references and partitions of a statement
 *          v  share one captured view
 *   omen_engine_table ------- table_view, session (for the counters)
 *
 * Concurrency: everything may be called from any engine thread. The statement's list has a lock;
 * tables are reference counted and never change. The statement goes when its query function has
 * returned; tables and streams stay until their last release.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "column/decimal.h"
#include "query/engine.h"
#include "sql/value_text.h"

struct omen_engine_table {
    atomic_uint references;
    struct session *session;
    struct table_view *view;
    omen_engine_table_info info;
    omen_engine_table *next; /* of the statement's list */
};

struct omen_engine_statement {
    struct session *session;
    struct snapshot snapshot;
    struct mutex lock; /* guards tables */
    omen_engine_table *tables;
};

static struct schema *schema_of(const omen_engine_table *table)
{
    return table_schema(table_view_table(table->view));
}

/* --- statements --- */

omen_status engine_statement_open(struct session *session, omen_engine_statement **out,
                                  omen_error *error)
{
    struct allocator *allocator = session->database->allocator;
    *out = NULL;
    omen_engine_statement *statement = allocator_alloc_zeroed(allocator, sizeof *statement);
    if (statement == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_status status = snapshot_acquire(session->database->manager, &statement->snapshot);
    if (status != OMEN_OK) {
        allocator_free(allocator, statement, sizeof *statement);
        return error_set_default(error, status);
    }
    statement->session = session_retain(session);
    mutex_init(&statement->lock);
    *out = statement;
    return OMEN_OK;
}

static void host_table_release(omen_engine_table *table)
{
    if (table == NULL)
        return;
    /* Release pairs with the acquire of whoever comes last. */
    if (atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) != 1)
        return;
    struct session *session = table->session;
    table_view_release(table->view);
    allocator_free(session->database->allocator, table, sizeof *table);
    session_release(session);
}

void engine_statement_close(omen_engine_statement *statement)
{
    if (statement == NULL)
        return;
    while (statement->tables != NULL) {
        omen_engine_table *table = statement->tables;
        statement->tables = table->next;
        host_table_release(table);
    }
    snapshot_release(&statement->snapshot);
    mutex_destroy(&statement->lock);
    struct session *session = statement->session;
    allocator_free(session->database->allocator, statement, sizeof *statement);
    session_release(session);
}

/* --- tables --- */

static omen_engine_table *host_table_retain(omen_engine_table *table)
{
    atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
    return table;
}

/* Captures a table for the statement. The caller holds the statement's lock. */
static omen_status capture_table(omen_engine_statement *statement, const char *name,
                                 size_t name_length, omen_engine_table **out, omen_error *error)
{
    struct database *database = statement->session->database;
    struct table *table;
    OMEN_TRY(catalog_find(database->catalog, name, name_length, &table, error));
    omen_engine_table *captured = allocator_alloc_zeroed(database->allocator, sizeof *captured);
    omen_status status = OMEN_OUT_OF_MEMORY;
    if (captured != NULL)
        status = table_view_open(table, &statement->snapshot, &captured->view);
    table_release(table); /* the view holds it */
    if (status != OMEN_OK) {
        allocator_free(database->allocator, captured, sizeof *captured);
        return error_set_default(error, status);
    }
    const struct schema *schema = table_schema(table);
    atomic_init(&captured->references, 1);
    captured->session = session_retain(statement->session);
    captured->info = (omen_engine_table_info){
        .name = table_name(table),
        .key_columns = schema->key_hidden ? NULL : schema->key_columns,
        .key_column_count = schema->key_hidden ? 0 : schema->key_count,
        .row_count_estimate = table_row_count_estimate(table),
    };
    *out = captured;
    return OMEN_OK;
}

static omen_status host_table_resolve(omen_engine_statement *statement, const char *name,
                                      size_t name_length, omen_engine_table **out,
                                      omen_error *error)
{
    omen_status status = OMEN_OK;
    *out = NULL;
    mutex_lock(&statement->lock);
    omen_engine_table *table = statement->tables;
    while (table != NULL && (strlen(table->info.name) != name_length ||
                             memcmp(table->info.name, name, name_length) != 0))
        table = table->next;
    if (table == NULL) {
        status = capture_table(statement, name, name_length, &table, error);
        if (status == OMEN_OK) {
            table->next = statement->tables;
            statement->tables = table;
        }
    }
    if (status == OMEN_OK)
        *out = host_table_retain(table);
    mutex_unlock(&statement->lock);
    return status;
}

static const omen_engine_table_info *host_table_info(const omen_engine_table *table)
{
    return &table->info;
}

/* One pair, in Arrow's encoding of metadata: each length is a native 32-bit integer. */
static const struct {
    int32_t pair_count, key_length;
    char key[sizeof OMEN_ENGINE_TYPE_KEY - 1];
    char value_length[4]; /* follows the key unaligned */
    char value[4];
} char_metadata = {
    1,
    sizeof OMEN_ENGINE_TYPE_KEY - 1,
    {'o', 'm', 'e', 'n', 'd', 'b', '.', 't', 'y', 'p', 'e'},
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    {4, 0, 0, 0},
#else
    {0, 0, 0, 4},
#endif
    {'c', 'h', 'a', 'r'},
};

static omen_status host_table_schema(const omen_engine_table *table, struct ArrowSchema *out,
                                     omen_error *error)
{
    const struct schema *schema = schema_of(table);
    omen_status status = schema_to_arrow(schema, NULL, 0, out);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    for (uint32_t i = 0; i < schema->column_count; i++)
        if (schema->columns[i].type.id == OMEN_TYPE_CHAR)
            out->children[i]->metadata = (const char *)&char_metadata;
    return OMEN_OK;
}

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

static omen_engine_support host_predicate_support(const omen_engine_table *table,
                                                  const omen_predicate *predicate)
{
    const struct schema *schema = schema_of(table);
    if (predicate->column >= schema->column_count)
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
static omen_status adapt_predicates(const struct schema *schema, const omen_engine_scan *scan,
                                    struct arena *arena, omen_predicate **out)
{
    *out = arena_alloc(arena, scan->predicate_count * sizeof **out);
    if (*out == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < scan->predicate_count; i++) {
        const omen_predicate *from = &scan->predicates[i];
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

/* --- scans --- */

struct host_stream {
    omen_engine_table *table; /* retained */
    struct scan *scan;
    uint32_t *columns; /* the projection, for the schema */
    uint32_t column_count;
    uint64_t groups_counted; /* pruned groups already added to the session's counter */
    char error[OMEN_ERROR_MESSAGE_BYTES];
};

static int stream_fail(struct host_stream *stream, omen_status status)
{
    snprintf(stream->error, sizeof stream->error, "%s %s", omen_status_sqlstate(status),
             omen_status_text(status));
    return status == OMEN_OUT_OF_MEMORY ? ENOMEM : EIO;
}

static void count_pruned(struct host_stream *stream)
{
    struct scan_counters counters;
    table_scan_counters(stream->scan, &counters);
    session_count(&stream->table->session->groups_pruned,
                  counters.groups_pruned - stream->groups_counted);
    stream->groups_counted = counters.groups_pruned;
}

static int stream_get_schema(struct ArrowArrayStream *self, struct ArrowSchema *out)
{
    struct host_stream *stream = self->private_data;
    omen_status status =
        schema_to_arrow(schema_of(stream->table), stream->columns, stream->column_count, out);
    return status == OMEN_OK ? 0 : stream_fail(stream, status);
}

static int stream_get_next(struct ArrowArrayStream *self, struct ArrowArray *out)
{
    struct host_stream *stream = self->private_data;
    memset(out, 0, sizeof *out);
    omen_status status = table_scan_next(stream->scan, out);
    count_pruned(stream);
    if (status == OMEN_OK)
        return 0;
    memset(out, 0, sizeof *out);
    return status == OMEN_END_OF_DATA ? 0 : stream_fail(stream, status);
}

static const char *stream_get_last_error(struct ArrowArrayStream *self)
{
    struct host_stream *stream = self->private_data;
    return stream->error[0] == '\0' ? NULL : stream->error;
}

static void host_stream_free(struct host_stream *stream)
{
    struct allocator *allocator = stream->table->session->database->allocator;
    omen_engine_table *table = stream->table;
    table_scan_close(stream->scan);
    allocator_free(allocator, stream->columns, (stream->column_count + 1) * sizeof(uint32_t));
    allocator_free(allocator, stream, sizeof *stream);
    host_table_release(table);
}

static void stream_release(struct ArrowArrayStream *self)
{
    struct host_stream *stream = self->private_data;
    self->release = NULL;
    count_pruned(stream);
    host_stream_free(stream);
}

static omen_status open_stream(omen_engine_table *table, const omen_engine_scan *scan,
                               struct arena *arena, struct host_stream *stream, omen_error *error)
{
    struct allocator *allocator = table->session->database->allocator;
    omen_predicate *predicates;
    stream->column_count = scan->column_count;
    /* One more than needed: a projection of no columns still needs a pointer. */
    stream->columns = allocator_alloc(allocator, (scan->column_count + 1) * sizeof(uint32_t));
    if (stream->columns == NULL ||
        adapt_predicates(schema_of(table), scan, arena, &predicates) != OMEN_OK)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (scan->column_count > 0)
        memcpy(stream->columns, scan->columns, scan->column_count * sizeof(uint32_t));
    const struct scan_spec spec = {
        .columns = stream->columns,
        .column_count = scan->column_count,
        .predicates = predicates,
        .predicate_count = scan->predicate_count,
        .limit = scan->limit,
        .partition = scan->partition,
        .partition_count = scan->partition_count,
        .key_lookup = true,
    };
    return table_scan_open(table->view, &spec, &stream->scan, error);
}

static omen_status host_scan_open(omen_engine_table *table, const omen_engine_scan *scan,
                                  struct ArrowArrayStream *out, omen_error *error)
{
    struct allocator *allocator = table->session->database->allocator;
    struct session *session = table->session;
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < scan->column_count; i++)
        if (scan->columns[i] >= schema_of(table)->column_count)
            return error_set(error, OMEN_INVALID_ARGUMENT, "no column %u", scan->columns[i]);
    if (scan->partition >= scan->partition_count)
        return error_set(error, OMEN_INVALID_ARGUMENT, "no partition %u", scan->partition);
    struct host_stream *stream = allocator_alloc_zeroed(allocator, sizeof *stream);
    if (stream == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    struct arena arena;
    arena_init(&arena, allocator);
    stream->table = host_table_retain(table);
    omen_status status = open_stream(table, scan, &arena, stream, error);
    arena_release(&arena);
    if (status != OMEN_OK) {
        host_stream_free(stream);
        return status;
    }
    if (scan->partition == 0) {
        struct scan_counters counters;
        table_scan_counters(stream->scan, &counters);
        session_count(counters.by_index ? &session->engine_index_scans : &session->engine_scans, 1);
    }
    *out = (struct ArrowArrayStream){
        .get_schema = stream_get_schema,
        .get_next = stream_get_next,
        .get_last_error = stream_get_last_error,
        .release = stream_release,
        .private_data = stream,
    };
    return OMEN_OK;
}

/* --- values --- */

static omen_status host_value_from_text(const omen_type *type, const char *text, size_t length,
                                        uint8_t *buffer, omen_value *out, omen_error *error)
{
    struct allocator allocator;
    struct arena arena;
    allocator_init(&allocator, 0);
    arena_init(&arena, &allocator);
    omen_status status = value_from_text(*type, text, length, &arena, out, error);
    if (status == OMEN_OK && type->id == OMEN_TYPE_BYTEA) {
        if (out->as.bytes.length > 0)
            memcpy(buffer, out->as.bytes.data, out->as.bytes.length);
        out->as.bytes.data = buffer;
    }
    arena_release(&arena);
    return status;
}

const omen_engine_host engine_host = {
    .abi_version = OMEN_ENGINE_ABI_VERSION,
    .struct_bytes = sizeof(omen_engine_host),
    .table_resolve = host_table_resolve,
    .table_retain = host_table_retain,
    .table_release = host_table_release,
    .table_info = host_table_info,
    .table_schema = host_table_schema,
    .predicate_support = host_predicate_support,
    .scan_open = host_scan_open,
    .value_from_text = host_value_from_text,
    .value_to_text = value_to_text,
};
