/* engine_host.c - what the core offers an engine: tables at a statement's read view.
 *
 * Concurrency: everything may be called from any engine thread. The statement's list has a lock;
 * tables are reference counted and never change. The statement goes when its query function has
 * returned; tables and cursors stay until their last release.
 */
#include <stdio.h>
#include <string.h>

#include "query/engine_host.h"

struct omen_engine_statement {
    struct session *session;
    const struct engine_relation *relations; /* of the text */
    uint32_t relation_count;
    struct snapshot snapshot;
    struct mutex lock; /* guards tables */
    omen_engine_table *tables;
};

struct schema *engine_table_columns(const omen_engine_table *table)
{
    return table->file != NULL ? file_schema(table->file)
                               : table_schema(table_view_table(table->view));
}

/* --- statements --- */

omen_status engine_statement_open(struct session *session, const struct engine_text *text,
                                  omen_engine_statement **out, omen_error *error)
{
    struct allocator *allocator = session->database->allocator;
    *out = NULL;
    omen_engine_statement *statement = allocator_alloc_zeroed(allocator, sizeof *statement);
    if (statement == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_status status = transaction_snapshot(session, &statement->snapshot, error);
    if (status != OMEN_OK) {
        allocator_free(allocator, statement, sizeof *statement);
        return status;
    }
    statement->session = session_retain(session);
    statement->relations = text->relations;
    statement->relation_count = text->relation_count;
    mutex_init(&statement->lock);
    *out = statement;
    return OMEN_OK;
}

void engine_table_release(omen_engine_table *table)
{
    if (table == NULL)
        return;
    /* Release pairs with the acquire of whoever comes last. */
    if (atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) != 1)
        return;
    struct session *session = table->session;
    struct allocator *allocator = session->database->allocator;
    table_view_release(table->view);
    file_release(table->file);
    allocator_free(allocator, table->column_names,
                   (table->column_count + 1) * sizeof *table->column_names);
    allocator_free(allocator, table, sizeof *table);
    session_release(session);
}

void engine_statement_close(omen_engine_statement *statement)
{
    if (statement == NULL)
        return;
    while (statement->tables != NULL) {
        omen_engine_table *table = statement->tables;
        statement->tables = table->next;
        engine_table_release(table);
    }
    snapshot_release(&statement->snapshot);
    mutex_destroy(&statement->lock);
    struct session *session = statement->session;
    allocator_free(session->database->allocator, statement, sizeof *statement);
    session_release(session);
}

/* --- tables --- */

omen_engine_table *engine_table_retain(omen_engine_table *table)
{
    atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
    return table;
}

/* A view of the table at the statement's snapshot: the one that another reference has, or new. */
static omen_status view_of(omen_engine_statement *statement, struct table *table,
                           struct table_view **out)
{
    for (const omen_engine_table *other = statement->tables; other != NULL; other = other->next)
        if (other->view != NULL && table_view_table(other->view) == table) {
            *out = table_view_retain(other->view);
            return OMEN_OK;
        }
    return transaction_view(statement->session, table, &statement->snapshot, out);
}

/* Names the columns as the text does. */
static omen_status name_columns(omen_engine_table *table, const struct schema *schema,
                                struct allocator *allocator)
{
    const char *number = strrchr(table->name, '.');
    table->column_names =
        allocator_alloc(allocator, (schema->column_count + 1) * sizeof *table->column_names);
    if (table->column_names == NULL)
        return OMEN_OUT_OF_MEMORY;
    table->column_count = schema->column_count;
    for (uint32_t i = 0; i < schema->column_count; i++)
        snprintf(table->column_names[i], sizeof table->column_names[i], "%s%s",
                 schema->columns[i].name, number == NULL ? "" : number);
    return OMEN_OK;
}

/* Captures a reference for the statement. The caller holds the statement's lock. */
static omen_status capture_table(omen_engine_statement *statement,
                                 const struct engine_relation *relation, omen_engine_table **out,
                                 omen_error *error)
{
    struct allocator *allocator = statement->session->database->allocator;
    if (relation->file != NULL) /* its row count may be an answer by itself */
        OMEN_TRY(file_check_unchanged(relation->file, error));
    omen_engine_table *captured = allocator_alloc_zeroed(allocator, sizeof *captured);
    omen_status status = OMEN_OUT_OF_MEMORY;
    const struct schema *schema = table_schema(relation->table);
    if (captured != NULL) {
        snprintf(captured->name, sizeof captured->name, "%s", relation->name);
        status = name_columns(captured, schema, allocator);
    }
    if (status == OMEN_OK && relation->file != NULL) {
        captured->file = file_retain(relation->file);
        captured->row_count = file_row_count(relation->file, &captured->row_count_exact);
    } else if (status == OMEN_OK) {
        status = view_of(statement, relation->table, &captured->view);
        if (status == OMEN_OK)
            captured->row_count = table_view_row_count(captured->view, &captured->row_count_exact);
    }
    if (status != OMEN_OK) {
        if (captured != NULL)
            allocator_free(allocator, captured->column_names,
                           (captured->column_count + 1) * sizeof *captured->column_names);
        allocator_free(allocator, captured, sizeof *captured);
        return error_set_default(error, status);
    }
    atomic_init(&captured->references, 1);
    captured->session = session_retain(statement->session);
    captured->row_ids = relation->row_ids;
    captured->by_key = !schema->key_hidden && !statement->session->settings.no_index_scans;
    captured->info = (omen_engine_table_info){
        .name = captured->name,
        .key_columns = captured->by_key ? schema->key.columns : NULL,
        .key_column_count = captured->by_key ? schema->key.count : 0,
        .identity = table_identity(relation->table),
    };
    *out = captured;
    return OMEN_OK;
}

static omen_status find_relation(const omen_engine_statement *statement, const char *name,
                                 size_t name_length, const struct engine_relation **out,
                                 omen_error *error)
{
    for (uint32_t i = 0; i < statement->relation_count; i++) {
        *out = &statement->relations[i];
        if (strlen((*out)->name) == name_length && memcmp((*out)->name, name, name_length) == 0)
            return OMEN_OK;
    }
    return error_set(error, OMEN_UNDEFINED_TABLE, "relation \"%.*s\" does not exist",
                     (int)(name_length < 256 ? name_length : 256), name);
}

static omen_status host_table_resolve(omen_engine_statement *statement, const char *name,
                                      size_t name_length, omen_engine_table **out,
                                      omen_error *error)
{
    const struct engine_relation *relation = NULL;
    omen_status status = OMEN_OK;
    *out = NULL;
    OMEN_TRY(find_relation(statement, name, name_length, &relation, error));
    mutex_lock(&statement->lock);
    omen_engine_table *table = statement->tables;
    while (table != NULL && strcmp(table->name, relation->name) != 0)
        table = table->next;
    if (table == NULL) {
        status = capture_table(statement, relation, &table, error);
        if (status == OMEN_OK) {
            table->next = statement->tables;
            statement->tables = table;
        }
    }
    if (status == OMEN_OK)
        *out = engine_table_retain(table);
    mutex_unlock(&statement->lock);
    return status;
}

static const omen_engine_table_info *host_table_info(const omen_engine_table *table)
{
    return &table->info;
}

/* Tells CHAR, which compares without its trailing blanks, from TEXT. */
#define TYPE_KEY "omendb.type"

/* One pair, in Arrow's encoding of metadata: each length is a native 32-bit integer. */
static const struct {
    int32_t pair_count, key_length;
    char key[sizeof TYPE_KEY - 1];
    char value_length[4]; /* follows the key unaligned */
    char value[4];
} char_metadata = {
    1,
    sizeof TYPE_KEY - 1,
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
    const struct schema *schema = engine_table_columns(table);
    uint32_t columns[SCHEMA_COLUMNS_MAX + 1];
    for (uint32_t i = 0; i < schema->column_count; i++)
        columns[i] = i;
    columns[schema->column_count] = ROW_ID_COLUMN;
    omen_status status =
        schema_to_arrow(schema, columns, schema->column_count + table->row_ids, out);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        out->children[i]->name = table->column_names[i]; /* while the handle lives */
        if (schema->columns[i].type.id == OMEN_TYPE_CHAR)
            out->children[i]->metadata = (const char *)&char_metadata;
    }
    return OMEN_OK;
}

/* --- facts --- */

static uint64_t host_row_count(const omen_engine_table *table, bool *exact)
{
    *exact = table->row_count_exact;
    return table->row_count;
}

static void host_column_statistics(const omen_engine_table *table, uint32_t column,
                                   omen_engine_column_statistics *out)
{
    struct column_summary summary;
    *out = (omen_engine_column_statistics){.exact = false};
    if (table->file != NULL || column >= engine_table_columns(table)->column_count)
        return;
    table_view_column(table->view, column, &summary);
    *out = (omen_engine_column_statistics){
        .exact = summary.complete && table->row_count_exact,
        .has_range = summary.has_range,
        .null_count = summary.null_count,
        .min = summary.min,
        .max = summary.max,
    };
}

const omen_engine_host engine_host = {
    .abi_version = OMEN_ENGINE_ABI_VERSION,
    .struct_bytes = sizeof(omen_engine_host),
    .table_resolve = host_table_resolve,
    .table_release = engine_table_release,
    .table_info = host_table_info,
    .table_schema = host_table_schema,
    .predicate_support = engine_predicate_support,
    .row_count = host_row_count,
    .column_statistics = host_column_statistics,
    .scan_open = engine_scan_open,
    .scan_next = engine_scan_next,
    .scan_prune = engine_scan_prune,
    .scan_close = engine_scan_close,
    .function_call = engine_function_call,
    .function_result = engine_function_result,
};
