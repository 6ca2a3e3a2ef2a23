/* rows.c - rows in and out without SQL. */
#include <string.h>

#include "api/api_private.h"
#include "column/key.h"
#include "sql/cast.h"
#include "query/result.h"

/* --- values from callers --- */

static bool has_bytes(omen_type_id type)
{
    return type == OMEN_TYPE_TEXT || type == OMEN_TYPE_VARCHAR || type == OMEN_TYPE_CHAR ||
           type == OMEN_TYPE_BYTEA;
}

/* One value as its column's: the same type, or one that holds all of it. */
static omen_status take_value(const struct column_definition *column, const omen_value *value,
                              struct arena *arena, omen_value *out, omen_error *error)
{
    if (!value->is_null && has_bytes(value->type.id) && value->as.bytes.data == NULL &&
        value->as.bytes.length > 0)
        return error_set(error, OMEN_INVALID_ARGUMENT,
                         "the value of column \"%s\" has a length but no bytes", column->name);
    if (value->is_null || (value->type.id == column->type.id && !has_bytes(value->type.id) &&
                           value->type.id != OMEN_TYPE_DECIMAL)) {
        *out = *value;
        out->type = column->type;
        return OMEN_OK;
    }
    omen_status status = cast_value(value, column->type, CAST_LOSSLESS, arena, out, error);
    if (status == OMEN_TYPE_MISMATCH)
        error_set(error, status, "a value of another type was given for column \"%s\"",
                  column->name);
    return status;
}

/* The key's values in the columns' types. NOT_FOUND where no row can have them. */
static omen_status take_key(const struct table *table, const omen_value *key, size_t key_count,
                            struct arena *arena, omen_value *out, omen_error *error)
{
    const struct schema *schema = table_schema(table);
    if (schema->key_hidden)
        return error_set(error, OMEN_NOT_SUPPORTED, "table \"%s\" has no declared key",
                         table_name(table));
    if (key_count != schema->key.count)
        return error_set(error, OMEN_INVALID_ARGUMENT,
                         "the key of table \"%s\" has %u columns, %zu values were given",
                         table_name(table), schema->key.count, key_count);
    for (size_t i = 0; i < key_count; i++) {
        uint32_t column = schema->key.columns[i];
        omen_status status = take_value(&schema->columns[column], &key[i], arena, &out[i], error);
        if (status == OMEN_OK && !out[i].is_null)
            status = schema_check_value(schema, column, &out[i], error);
        if (status == OMEN_STRING_TOO_LONG || status == OMEN_OUT_OF_RANGE ||
            status == OMEN_DATETIME_OVERFLOW || (status == OMEN_OK && out[i].is_null))
            return error_set_default(error, OMEN_NOT_FOUND);
        if (status != OMEN_OK)
            return status;
    }
    return OMEN_OK;
}

/* --- writing --- */

static omen_status insert_rows(struct table *table, const omen_value *values, size_t row_count,
                               struct write_set *set, omen_error *error)
{
    const struct schema *schema = table_schema(table);
    struct arena arena;
    arena_init(&arena, schema->allocator);
    omen_status status = OMEN_OK;
    omen_value *row = arena_alloc(&arena, schema->column_count * sizeof *row);
    struct arena texts; /* of one row */
    arena_init(&texts, schema->allocator);
    if (row == NULL)
        status = error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (size_t i = 0; i < row_count && status == OMEN_OK; i++) {
        arena_reset(&texts);
        for (uint32_t column = 0; column < schema->column_count && status == OMEN_OK; column++)
            status = take_value(&schema->columns[column], values++, &texts, &row[column], error);
        if (status == OMEN_OK)
            status = write_set_insert(set, row, error);
    }
    arena_release(&texts);
    arena_release(&arena);
    return status;
}

/* The table of this name, in a transaction locked for writing. */
static omen_status find_to_write(struct session *session, const char *name, struct table **table,
                                 omen_error *error)
{
    return transaction_is_open(&session->transaction)
               ? transaction_find_locked(session, name, TABLE_LOCK_ROW_EXCLUSIVE, 0, table, error)
               : api_table(session, name, table, error);
}

/* Outside a transaction a call finds out in the end that its table has gone: then it begins again,
 * and begin_write finds the next one of the name, or none. */
static bool is_to_begin_again(const struct session *session, omen_status status, omen_error *error)
{
    bool again = status == OMEN_UNDEFINED_TABLE && !transaction_is_open(&session->transaction);
    if (again)
        error_clear(error);
    return again;
}

/* A writing call begins: finds the table. Where it fails nothing is to be ended. */
static omen_status begin_write(struct session *session, const char *name, const char *tag,
                               struct table **table, omen_error *error)
{
    session_begin(session);
    omen_status status = transaction_begin_statement(session, false, tag, error);
    if (status == OMEN_OK)
        status = find_to_write(session, name, table, error);
    return status == OMEN_OK ? OMEN_OK : transaction_end_statement(session, status);
}

/* It ends: what was gathered is kept where all went well. */
static omen_status end_insert(struct session *session, struct table *table, struct write_set *set,
                              omen_status status, omen_error *error)
{
    if (status == OMEN_OK)
        status = session_keep(session, 0, set, error);
    write_set_destroy(set);
    table_release(table);
    return transaction_end_statement(session, status);
}

omen_status omen_insert(omen_connection *connection, const char *table, const omen_value *values,
                        size_t row_count, omen_error *error)
{
    struct session *session = session_of(connection);
    struct table *found;
    struct write_set *set;
    if (connection == NULL || table == NULL || (values == NULL && row_count > 0))
        return api_invalid(error, "omen_insert needs connection, table and values");
    omen_status status;
    do {
        OMEN_TRY(begin_write(session, table, "INSERT", &found, error));
        status = transaction_create_set(session, found, &set, error);
        if (status == OMEN_OK)
            status = insert_rows(found, values, row_count, set, error);
        status = end_insert(session, found, set, status, error);
    } while (is_to_begin_again(session, status, error));
    return status;
}

omen_status omen_insert_arrow(omen_connection *connection, const char *table,
                              const struct ArrowSchema *schema, const struct ArrowArray *array,
                              omen_error *error)
{
    struct session *session = session_of(connection);
    struct table *found;
    struct write_set *set;
    if (connection == NULL || table == NULL || schema == NULL || array == NULL ||
        schema->release == NULL || array->release == NULL)
        return api_invalid(error, "omen_insert_arrow needs connection, table, schema and array");
    omen_status status;
    do {
        OMEN_TRY(begin_write(session, table, "INSERT", &found, error));
        status = transaction_create_set(session, found, &set, error);
        if (status == OMEN_OK)
            status = write_set_insert_arrow(set, schema, array, error);
        status = end_insert(session, found, set, status, error);
    } while (is_to_begin_again(session, status, error));
    return status;
}

/* What an update or delete works on. */
struct change {
    struct table *table; /* retained */
    struct arena arena;
    omen_value key[SCHEMA_KEY_COLUMNS_MAX];
    uint32_t *columns;
    omen_value *values;
};

static omen_status take_changes(struct change *change, const char *const *columns,
                                const omen_value *values, size_t count, omen_error *error)
{
    const struct schema *schema = table_schema(change->table);
    change->columns = arena_alloc(&change->arena, count * sizeof *change->columns);
    change->values = arena_alloc(&change->arena, count * sizeof *change->values);
    if (change->columns == NULL || change->values == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (size_t i = 0; i < count; i++) {
        if (columns[i] == NULL)
            return api_invalid(error, "a column to update has no name");
        int32_t column = schema_find(schema, columns[i], strlen(columns[i]));
        if (column < 0)
            return error_set(error, OMEN_UNDEFINED_COLUMN,
                             "column \"%s\" of relation \"%s\" does not exist", columns[i],
                             table_name(change->table));
        for (size_t j = 0; j < i; j++)
            if (change->columns[j] == (uint32_t)column)
                return error_set(error, OMEN_DUPLICATE_COLUMN,
                                 "column \"%s\" specified more than once", columns[i]);
        change->columns[i] = (uint32_t)column;
        OMEN_TRY(take_value(&schema->columns[column], &values[i], &change->arena,
                            &change->values[i], error));
    }
    return OMEN_OK;
}

/* What session_change_row asks for. */
struct key_change {
    struct change *change;
    size_t column_count;
    bool is_delete;
};

static omen_status gather_change(void *context, struct row_ref *row, struct write_set *set,
                                 omen_error *error)
{
    const struct key_change *changing = context;
    const struct change *change = changing->change;
    (void)row;
    return changing->is_delete ? write_set_delete(set, change->key, error)
                               : write_set_update(set, change->key, change->columns, change->values,
                                                  (uint32_t)changing->column_count, error);
}

/* Applies one update or delete to the version that is the newest when it is kept. */
static omen_status apply_change(struct session *session, struct change *change, size_t column_count,
                                bool is_delete, omen_error *error)
{
    struct key_change changing = {change, column_count, is_delete};
    const struct row_change how = {.gather = gather_change,
                                   .context = &changing,
                                   .mode = ROW_LOCK_UPDATE,
                                   .deletes = is_delete};
    struct index_key key;
    uint64_t rows;
    OMEN_TRY(key_encode(table_schema(change->table), change->key, &change->arena, &key, error));
    OMEN_TRY(session_change_row(session, 0, change->table, key, &how, &rows, error));
    return rows > 0 ? OMEN_OK : error_set_default(error, OMEN_NOT_FOUND);
}

/* What the caller of omen_update or omen_delete has given. */
struct given_change {
    const char *table, *tag;
    const omen_value *key;
    size_t key_count;
    const char *const *columns;
    const omen_value *values;
    size_t column_count;
    bool is_delete;
};

/* Makes the change of this table, which it takes over, and ends the call. */
static omen_status make_change(struct session *session, struct table *table,
                               const struct given_change *given, omen_error *error)
{
    struct change change = {.table = table};
    arena_init(&change.arena, session->database->allocator);
    omen_status status =
        take_key(table, given->key, given->key_count, &change.arena, change.key, error);
    if (status == OMEN_OK)
        status = take_changes(&change, given->columns, given->values, given->column_count, error);
    if (status == OMEN_OK)
        status = apply_change(session, &change, given->column_count, given->is_delete, error);
    arena_release(&change.arena);
    table_release(table);
    /* That there is no such row is an answer, and fails no transaction. */
    (void)transaction_end_statement(session, status == OMEN_NOT_FOUND ? OMEN_OK : status);
    return status;
}

static omen_status change_row(struct session *session, const struct given_change *given,
                              omen_error *error)
{
    struct table *table;
    omen_status status;
    do {
        OMEN_TRY(begin_write(session, given->table, given->tag, &table, error));
        status = make_change(session, table, given, error);
    } while (is_to_begin_again(session, status, error));
    return status;
}

omen_status omen_update(omen_connection *connection, const char *table, const omen_value *key,
                        size_t key_count, const char *const *columns, const omen_value *values,
                        size_t column_count, omen_error *error)
{
    if (connection == NULL || table == NULL || key == NULL ||
        (column_count > 0 && (columns == NULL || values == NULL)))
        return api_invalid(error, "omen_update needs connection, table, key, columns and values");
    const struct given_change given = {table,   "UPDATE", key,          key_count,
                                       columns, values,   column_count, false};
    return change_row(session_of(connection), &given, error);
}

omen_status omen_delete(omen_connection *connection, const char *table, const omen_value *key,
                        size_t key_count, omen_error *error)
{
    if (connection == NULL || table == NULL || key == NULL)
        return api_invalid(error, "omen_delete needs connection, table and key");
    const struct given_change given = {
        .table = table, .tag = "DELETE", .key = key, .key_count = key_count, .is_delete = true};
    return change_row(session_of(connection), &given, error);
}

/* --- point reads --- */

/* Takes part in a given snapshot, or begins a statement at its own; either way end_read follows. */
static omen_status take_snapshot(struct session *session, const omen_snapshot *given,
                                 struct snapshot *out, omen_error *error)
{
    if (given == NULL) {
        OMEN_TRY(transaction_begin_statement(session, false, NULL, error));
        return transaction_snapshot(session, out, error);
    }
    if (given->session->database != session->database)
        return api_invalid(error, "the snapshot is of another database");
    omen_status status = snapshot_share(session->database->manager, &given->snapshot, out);
    return status == OMEN_OK ? status : error_set_default(error, status);
}

static void end_read(struct session *session, const omen_snapshot *given)
{
    if (given == NULL)
        transaction_note_idle(session);
}

/* The row with this key: at a given snapshot as it was committed, else as a statement sees it. */
static omen_status get_row(struct session *session, const omen_snapshot *given,
                           const struct snapshot *snapshot, const omen_value *key,
                           struct arena *scratch, omen_row *row)
{
    struct index_key encoded;
    const struct read_view view = {.snapshot = snapshot->timestamp};
    if (given != NULL)
        return table_get(row->table, &view, key, scratch, &row->row);
    OMEN_TRY(key_encode(table_schema(row->table), key, scratch, &encoded, NULL));
    return transaction_get(session, row->table, snapshot->timestamp, encoded, &row->row);
}

static omen_status find_row(struct session *session, const omen_snapshot *given,
                            const omen_value *key, size_t key_count, omen_row *row,
                            omen_error *error)
{
    omen_value values[SCHEMA_KEY_COLUMNS_MAX];
    struct snapshot snapshot;
    struct arena scratch;
    arena_init(&scratch, session->database->allocator);
    omen_status status = take_key(row->table, key, key_count, &scratch, values, error);
    if (status == OMEN_OK)
        status = take_snapshot(session, given, &snapshot, error);
    if (status == OMEN_OK) {
        status = get_row(session, given, &snapshot, values, &scratch, row);
        snapshot_release(&snapshot);
        if (status == OMEN_LIMIT_EXCEEDED) /* longer than any stored key */
            status = OMEN_NOT_FOUND;
        if (status != OMEN_OK)
            error_set_default(error, status);
        else
            status =
                row_group_bring_all(&row->row.group, error); /* values are read without errors */
    }
    end_read(session, given);
    arena_release(&scratch);
    return status;
}

omen_status omen_get(omen_connection *connection, const char *table, const omen_snapshot *snapshot,
                     const omen_value *key, size_t key_count, omen_row **out, omen_error *error)
{
    if (out != NULL)
        *out = NULL;
    if (connection == NULL || table == NULL || key == NULL || out == NULL)
        return api_invalid(error, "omen_get needs connection, table, key and result");
    struct session *session = session_of(connection);
    struct table *found;
    OMEN_TRY(api_table(session, table, &found, error));
    omen_row *row = allocator_alloc_zeroed(session->database->allocator, sizeof *row);
    if (row == NULL) {
        table_release(found);
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    }
    row->session = session_retain(session);
    row->table = found;
    omen_status status = find_row(session, snapshot, key, key_count, row, error);
    if (status != OMEN_OK) {
        omen_row_release(row);
        return status;
    }
    *out = row;
    return OMEN_OK;
}

size_t omen_row_column_count(const omen_row *row)
{
    return row == NULL ? 0 : table_schema(row->table)->column_count;
}

omen_value omen_row_value(const omen_row *row, size_t column)
{
    omen_value value = {.is_null = true};
    if (column < omen_row_column_count(row))
        row_group_read(row->row.group, row->row.slot, (uint32_t)column, &value);
    return value;
}

omen_status omen_row_arrow(const omen_row *row, struct ArrowArray *out, omen_error *error)
{
    if (out != NULL)
        memset(out, 0, sizeof *out);
    if (row == NULL || out == NULL)
        return api_invalid(error, "omen_row_arrow needs row and result");
    const struct schema *schema = table_schema(row->table);
    struct arena scratch;
    arena_init(&scratch, schema->allocator);
    uint32_t *columns = arena_alloc(&scratch, schema->column_count * sizeof *columns);
    omen_status status = columns == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
    for (uint32_t i = 0; status == OMEN_OK && i < schema->column_count; i++)
        columns[i] = i;
    if (status == OMEN_OK)
        status = table_row_arrow(row->table, &row->row, columns, schema->column_count, out);
    arena_release(&scratch);
    return status == OMEN_OK ? status : error_set_default(error, status);
}

void omen_row_release(omen_row *row)
{
    if (row == NULL)
        return;
    struct session *session = row->session;
    if (row->row.group != NULL)
        row_ref_release(&row->row);
    table_release(row->table);
    allocator_free(session->database->allocator, row, sizeof *row);
    session_release(session);
}

/* --- scans --- */

/* Positions of the named columns; *columns = NULL stays where none are named. */
static omen_status take_projection(const struct table *table, const omen_scan_options *options,
                                   struct arena *arena, struct scan_spec *spec, omen_error *error)
{
    const struct schema *schema = table_schema(table);
    bool all = options->columns == NULL;
    spec->column_count = all ? schema->column_count : (uint32_t)options->column_count;
    uint32_t *columns = arena_alloc(arena, (spec->column_count + 1) * sizeof *columns);
    if (columns == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < spec->column_count; i++) {
        columns[i] = i;
        if (all)
            continue;
        const char *name = options->columns[i];
        int32_t column = name == NULL ? -1 : schema_find(schema, name, strlen(name));
        if (column < 0)
            return error_set(error, OMEN_UNDEFINED_COLUMN, "column \"%s\" does not exist",
                             name == NULL ? "" : name);
        columns[i] = (uint32_t)column;
    }
    spec->columns = columns;
    return OMEN_OK;
}

static omen_status check_predicates(const struct schema *schema, const omen_scan_options *options,
                                    omen_error *error)
{
    if (options->predicates == NULL && options->predicate_count > 0)
        return api_invalid(error, "the scan's predicates are missing");
    for (size_t i = 0; i < options->predicate_count; i++) {
        const omen_predicate *predicate = &options->predicates[i];
        if (predicate->column >= schema->column_count)
            return error_set(error, OMEN_UNDEFINED_COLUMN, "a predicate names column %u",
                             predicate->column);
        if (predicate->values == NULL && predicate->value_count > 0)
            return api_invalid(error, "the values of a predicate are missing");
    }
    return OMEN_OK;
}

static omen_status open_scan(struct session *session, struct table *table,
                             const omen_scan_options *options, struct arena *arena,
                             struct ArrowArrayStream *out, omen_error *error)
{
    struct scan_spec spec = {
        .predicates = options->predicates,
        .predicate_count = options->predicate_count,
        .limit = options->limit == 0 ? UINT64_MAX : options->limit,
        .partition_count = 1,
        .key_lookup = true,
    };
    struct snapshot snapshot;
    struct table_view *view;
    OMEN_TRY(take_projection(table, options, arena, &spec, error));
    OMEN_TRY(check_predicates(table_schema(table), options, error));
    omen_status status = take_snapshot(session, options->snapshot, &snapshot, error);
    if (status == OMEN_OK) {
        status = options->snapshot != NULL ? table_view_open(table, &snapshot, &view)
                                           : transaction_view(session, table, &snapshot, &view);
        snapshot_release(&snapshot); /* the view has a registration of its own */
        if (status != OMEN_OK)
            error_set_default(error, status);
    }
    end_read(session, options->snapshot);
    OMEN_TRY(status);
    status = table_scan_stream(view, &spec, out, error);
    table_view_release(view);
    return status == OMEN_OK ? result_keep_session(session, out, error) : status;
}

omen_status omen_scan(omen_connection *connection, const char *table,
                      const omen_scan_options *options, struct ArrowArrayStream *out,
                      omen_error *error)
{
    omen_scan_options known = {.struct_bytes = sizeof known};
    if (out != NULL)
        memset(out, 0, sizeof *out);
    if (connection == NULL || table == NULL || out == NULL)
        return api_invalid(error, "omen_scan needs connection, table and result");
    if (options != NULL && options->struct_bytes < sizeof options->struct_bytes)
        return api_invalid(error, "the scan's options have no struct_bytes");
    if (options != NULL)
        memcpy(&known, options,
               options->struct_bytes < sizeof known ? options->struct_bytes : sizeof known);
    struct session *session = session_of(connection);
    struct table *found;
    struct arena arena;
    OMEN_TRY(api_table(session, table, &found, error));
    arena_init(&arena, session->database->allocator);
    omen_status status = open_scan(session, found, &known, &arena, out, error);
    arena_release(&arena);
    table_release(found);
    return status;
}
