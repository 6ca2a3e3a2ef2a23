/* statement.c - running plans: routing, stepping, planning again when the catalog has changed. */
#include "query/statement.h"

#include <stdio.h>
#include <string.h>

#include "query/engine.h"
#include "sql/lexer.h"
#include "query/result.h"

enum result_kind {
    RESULT_NONE,
    RESULT_ROW,    /* of a point query: `row` */
    RESULT_VALUES, /* that the core has computed: `values` */
    RESULT_ROWS,   /* of a stream: `decoder` */
};

struct statement {
    struct session *session;
    char *text;
    size_t length;
    struct plan *plan;
    struct arena scratch; /* of one run; keeps its memory for the next */
    enum result_kind result;
    struct row_ref row; /* group = NULL: no row */
    bool row_pending;   /* not yet stepped to */
    bool on_row;
    struct value_rows values;
    uint64_t value_row; /* of them, the next to step to */
    struct decoder *decoder;
    const char *route;
    uint64_t rows_affected;
};

omen_status statement_create(struct session *session, const char *sql, size_t length,
                             struct statement **out, omen_error *error)
{
    struct allocator *allocator = session->database->allocator;
    *out = NULL;
    if (length > STATEMENT_BYTES_MAX)
        return lexer_check(sql, length, NULL, error);
    struct statement *statement = allocator_alloc_zeroed(allocator, sizeof *statement);
    if (statement == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    statement->session = session_retain(session);
    statement->route = "core";
    statement->length = length;
    arena_init(&statement->scratch, allocator);
    statement->text = allocator_alloc(allocator, length + 1);
    omen_status status = OMEN_OK;
    if (statement->text == NULL) {
        status = error_set_default(error, OMEN_OUT_OF_MEMORY);
    } else {
        memcpy(statement->text, sql, length);
        statement->text[length] = '\0';
        status = plan_create(session, statement->text, length, &statement->plan, error);
    }
    if (status != OMEN_OK) {
        statement_destroy(statement);
        return status;
    }
    *out = statement;
    return OMEN_OK;
}

/* Lets go of the last run's result. */
static void forget_result(struct statement *statement)
{
    if (statement->row.group != NULL)
        row_ref_release(&statement->row);
    statement->row = (struct row_ref){0};
    decoder_destroy(statement->decoder);
    statement->decoder = NULL;
    statement->result = RESULT_NONE;
    statement->row_pending = statement->on_row = false;
    statement->rows_affected = 0;
    if (statement->scratch.blocks != NULL)
        arena_reset(&statement->scratch);
}

void statement_destroy(struct statement *statement)
{
    if (statement == NULL)
        return;
    struct session *session = statement->session;
    struct allocator *allocator = session->database->allocator;
    forget_result(statement);
    plan_destroy(statement->plan);
    arena_release(&statement->scratch);
    allocator_free(allocator, statement->text, statement->length + 1);
    allocator_free(allocator, statement, sizeof *statement);
    session_release(session);
}

/* Plans anew where the catalog has changed since. On failure the old plan stays: the next run
 * tries again. */
static omen_status refresh_plan(struct statement *statement, omen_error *error)
{
    if (statement->plan->catalog_version == catalog_version(statement->session->database->catalog))
        return OMEN_OK;
    struct plan *plan;
    OMEN_TRY(plan_create(statement->session, statement->text, statement->length, &plan, error));
    plan_destroy(statement->plan);
    statement->plan = plan;
    return OMEN_OK;
}

/* A caller's value: of a type that exists, with bytes where it has a length. */
static bool parameter_is_sound(const omen_value *value)
{
    switch (value->type.id) {
    case OMEN_TYPE_NONE:
        return value->is_null;
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR:
    case OMEN_TYPE_BYTEA:
        return value->is_null || value->as.bytes.data != NULL || value->as.bytes.length == 0;
    default:
        return value->type.id > OMEN_TYPE_NONE && value->type.id <= OMEN_TYPE_UUID;
    }
}

static omen_status begin_run(struct statement *statement, const omen_value *parameters,
                             size_t count, omen_error *error)
{
    forget_result(statement);
    atomic_store_explicit(&statement->session->interrupted, false, memory_order_relaxed);
    OMEN_TRY(refresh_plan(statement, error));
    if (count != statement->plan->parsed.parameter_count)
        return error_set(error, OMEN_INVALID_ARGUMENT,
                         "the statement takes %u parameters, %zu were given",
                         statement->plan->parsed.parameter_count, count);
    for (size_t i = 0; i < count; i++)
        if (!parameter_is_sound(&parameters[i]))
            return error_set(error, OMEN_INVALID_ARGUMENT,
                             "parameter $%zu has no type, or a length but no bytes", i + 1);
    return OMEN_OK;
}

/* --- EXPLAIN --- */

/* Rows of EXPLAIN, grown in the arena. */
struct lines {
    struct arena *arena;
    omen_value *values;
    size_t count, capacity;
};

static omen_status add_line(struct lines *lines, const char *text, size_t length, omen_error *error)
{
    if (lines->count == lines->capacity) {
        size_t capacity = 2 * lines->capacity + 16;
        omen_value *values = arena_alloc(lines->arena, capacity * sizeof *values);
        if (values == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        if (lines->count > 0)
            memcpy(values, lines->values, lines->count * sizeof *values);
        lines->values = values;
        lines->capacity = capacity;
    }
    char *copy = arena_copy_text(lines->arena, text, length);
    if (copy == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    lines->values[lines->count++] =
        (omen_value){.type = {.id = OMEN_TYPE_TEXT}, .as.bytes = {(const uint8_t *)copy, length}};
    return OMEN_OK;
}

static omen_status add_engine_plan(struct statement *statement, struct lines *lines,
                                   omen_error *error)
{
    struct plan *plan = statement->plan;
    struct ArrowArrayStream stream;
    struct decoder *decoder;
    OMEN_TRY(
        engine_explain(statement->session, plan->engine_text, plan->engine_length, &stream, error));
    OMEN_TRY(decoder_create(statement->session->database->allocator, &stream, &decoder, error));
    omen_status status = OMEN_OK;
    while (status == OMEN_OK && decoder_column_count(decoder) > 0 &&
           (status = decoder_step(decoder, error)) == OMEN_OK) {
        omen_value line = decoder_value(decoder, 0);
        if (!line.is_null && line.type.id == OMEN_TYPE_TEXT)
            status = add_line(lines, (const char *)line.as.bytes.data, line.as.bytes.length, error);
    }
    decoder_destroy(decoder);
    return status == OMEN_END_OF_DATA ? OMEN_OK : status;
}

static omen_status explain_run(struct statement *statement, omen_error *error)
{
    static const char *const names[] = {"QUERY PLAN"};
    static const omen_type types[] = {{.id = OMEN_TYPE_TEXT}};
    const struct plan *plan = statement->plan;
    bool index = plan->kind == PLAN_POINT;
    char text[256];
    struct lines lines = {.arena = &statement->scratch};
    int length = snprintf(text, sizeof text, "route: %s", index ? "index" : "engine");
    OMEN_TRY(add_line(&lines, text, (size_t)length, error));
    length = snprintf(text, sizeof text, "reason: %s", plan->reason);
    OMEN_TRY(add_line(&lines, text, (size_t)length, error));
    if (!index)
        OMEN_TRY(add_engine_plan(statement, &lines, error));
    statement->values = (struct value_rows){.column_count = 1,
                                            .names = names,
                                            .types = types,
                                            .row_count = lines.count,
                                            .values = lines.values};
    return OMEN_OK;
}

/* --- running --- */

static omen_status run_engine(struct statement *statement, const omen_value *parameters,
                              size_t count, struct ArrowArrayStream *out, omen_error *error)
{
    const struct plan *plan = statement->plan;
    statement->route = "engine";
    return engine_query(statement->session, plan->engine_text, plan->engine_length, parameters,
                        (uint32_t)count, out, error);
}

/* Statements that give no rows. */
static omen_status run_command(struct statement *statement, const omen_value *parameters,
                               omen_error *error)
{
    struct plan *plan = statement->plan;
    statement->route = "core";
    switch (plan->kind) {
    case PLAN_CREATE_TABLE:
    case PLAN_DROP_TABLE:
        return ddl_run(plan, error);
    case PLAN_INSERT:
        return insert_run(plan, parameters, &statement->scratch, &statement->rows_affected, error);
    case PLAN_COPY:
        return copy_run(plan, &statement->rows_affected, error);
    case PLAN_SET:
        return set_run(plan, error);
    default:
        return OMEN_OK;
    }
}

static bool gives_rows(const struct plan *plan)
{
    return plan->explain || plan->kind == PLAN_POINT || plan->kind == PLAN_ENGINE ||
           plan->kind == PLAN_SHOW;
}

/* Rows that the core computes, into statement->values. */
static omen_status run_values(struct statement *statement, omen_error *error)
{
    statement->route = "core";
    if (statement->plan->explain)
        return explain_run(statement, error);
    return show_run(statement->plan, &statement->scratch, &statement->values, error);
}

static bool gives_values(const struct plan *plan)
{
    return plan->explain || plan->kind == PLAN_SHOW;
}

omen_status statement_stream(struct statement *statement, const omen_value *parameters,
                             size_t count, struct ArrowArrayStream *out, omen_error *error)
{
    memset(out, 0, sizeof *out);
    OMEN_TRY(begin_run(statement, parameters, count, error));
    struct plan *plan = statement->plan;
    if (gives_values(plan)) {
        OMEN_TRY(run_values(statement, error));
        return result_values(statement->session, &statement->values, out, error);
    }
    if (plan->kind == PLAN_ENGINE)
        return run_engine(statement, parameters, count, out, error);
    if (!gives_rows(plan)) {
        OMEN_TRY(result_empty(statement->session, out, error));
        omen_status status = run_command(statement, parameters, error);
        if (status != OMEN_OK) {
            out->release(out);
            memset(out, 0, sizeof *out);
        }
        return status;
    }
    struct row_ref row;
    bool elsewhere;
    OMEN_TRY(point_run(plan, parameters, &statement->scratch, &row, &elsewhere, error));
    if (elsewhere)
        return run_engine(statement, parameters, count, out, error);
    statement->route = "index";
    omen_status status = result_row(statement->session, plan->table, &row, plan->point.columns,
                                    plan->point.names, plan->point.column_count, out, error);
    if (row.group != NULL)
        row_ref_release(&row);
    return status;
}

omen_status statement_run(struct statement *statement, const omen_value *parameters, size_t count,
                          omen_error *error)
{
    struct ArrowArrayStream stream;
    OMEN_TRY(begin_run(statement, parameters, count, error));
    struct plan *plan = statement->plan;
    if (plan->kind == PLAN_POINT && !plan->explain) {
        bool elsewhere;
        OMEN_TRY(
            point_run(plan, parameters, &statement->scratch, &statement->row, &elsewhere, error));
        if (!elsewhere) {
            statement->route = "index";
            statement->result = RESULT_ROW;
            statement->row_pending = statement->row.group != NULL;
            return OMEN_OK;
        }
    } else if (!gives_rows(plan)) {
        return run_command(statement, parameters, error);
    }
    if (gives_values(plan)) {
        OMEN_TRY(run_values(statement, error));
        statement->result = RESULT_VALUES;
        statement->value_row = 0;
        return OMEN_OK;
    }
    OMEN_TRY(run_engine(statement, parameters, count, &stream, error));
    OMEN_TRY(decoder_create(statement->session->database->allocator, &stream, &statement->decoder,
                            error));
    statement->result = RESULT_ROWS;
    return OMEN_OK;
}

omen_status statement_step(struct statement *statement, omen_error *error)
{
    statement->on_row = false;
    switch (statement->result) {
    case RESULT_ROW:
        if (!statement->row_pending)
            return OMEN_END_OF_DATA;
        statement->row_pending = false;
        statement->on_row = true;
        return OMEN_OK;
    case RESULT_VALUES:
        statement->on_row = statement->value_row < statement->values.row_count;
        statement->value_row += statement->on_row;
        return statement->on_row ? OMEN_OK : OMEN_END_OF_DATA;
    case RESULT_ROWS: {
        omen_status status = decoder_step(statement->decoder, error);
        statement->on_row = status == OMEN_OK;
        return status;
    }
    default:
        return OMEN_END_OF_DATA;
    }
}

/* --- facts --- */

uint32_t statement_parameter_count(const struct statement *statement)
{
    return statement->plan->parsed.parameter_count;
}

size_t statement_column_count(const struct statement *statement)
{
    switch (statement->result) {
    case RESULT_ROW:
        return statement->plan->point.column_count;
    case RESULT_VALUES:
        return statement->values.column_count;
    case RESULT_ROWS:
        return decoder_column_count(statement->decoder);
    default:
        return 0;
    }
}

const char *statement_column_name(const struct statement *statement, size_t column)
{
    if (column >= statement_column_count(statement))
        return NULL;
    switch (statement->result) {
    case RESULT_ROW:
        return statement->plan->point.names[column];
    case RESULT_VALUES:
        return statement->values.names[column];
    default:
        return decoder_column_name(statement->decoder, column);
    }
}

omen_type statement_column_type(const struct statement *statement, size_t column)
{
    if (column >= statement_column_count(statement))
        return (omen_type){.id = OMEN_TYPE_NONE};
    const struct plan *plan = statement->plan;
    switch (statement->result) {
    case RESULT_ROW:
        return table_schema(plan->table)->columns[plan->point.columns[column]].type;
    case RESULT_VALUES:
        return statement->values.types[column];
    default:
        return decoder_column_type(statement->decoder, column);
    }
}

omen_value statement_value(const struct statement *statement, size_t column)
{
    omen_value value = {.is_null = true};
    if (!statement->on_row || column >= statement_column_count(statement))
        return value;
    switch (statement->result) {
    case RESULT_ROW:
        row_group_read(statement->row.group, statement->row.slot,
                       statement->plan->point.columns[column], &value);
        return value;
    case RESULT_VALUES:
        return statement->values
            .values[(statement->value_row - 1) * statement->values.column_count + column];
    default:
        return decoder_value(statement->decoder, column);
    }
}

const char *statement_route(const struct statement *statement)
{
    return statement->route;
}

const char *statement_tag(const struct statement *statement)
{
    return statement->plan->tag;
}

uint64_t statement_rows_affected(const struct statement *statement)
{
    return statement->rows_affected;
}
