/* plan_copy.c - COPY: what it is told, and COPY table FROM 'file' (FORMAT csv).
 *
 * COPY t FROM a CSV file is one transaction that reads the file in pieces: nothing is inserted
 * where anything fails, and the message then names file, line and column. COPY t FROM a Parquet
 * file is planned as INSERT INTO t (columns) SELECT columns FROM 'file', and COPY TO as the query
 * whose rows copy_to.c writes.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "query/plan.h"
#include "query/sql_text.h"
#include "sql/value_text.h"

/* --- planning --- */

static omen_status read_boolean(const PgQuery__DefElem *option, bool *out, omen_error *error)
{
    const PgQuery__Node *node = option->arg;
    *out = true;
    if (node == NULL)
        return OMEN_OK;
    if (node->node_case == PG_QUERY__NODE__NODE_BOOLEAN) {
        *out = node->boolean->boolval;
        return OMEN_OK;
    }
    if (node->node_case == PG_QUERY__NODE__NODE_INTEGER) {
        *out = node->integer->ival != 0;
        if (node->integer->ival == 0 || node->integer->ival == 1)
            return OMEN_OK;
    }
    const char *text = parse_string(node);
    if (text != NULL && (strcasecmp(text, "true") == 0 || strcasecmp(text, "on") == 0))
        return OMEN_OK;
    *out = false;
    if (text != NULL && (strcasecmp(text, "false") == 0 || strcasecmp(text, "off") == 0))
        return OMEN_OK;
    return error_set(error, OMEN_SYNTAX_ERROR, "%s requires a Boolean value", option->defname);
}

static omen_status read_byte(const PgQuery__DefElem *option, char *out, omen_error *error)
{
    const char *text = parse_string(option->arg);
    if (text == NULL || strlen(text) != 1)
        return error_set(error, OMEN_NOT_SUPPORTED, "COPY %s must be a single one-byte character",
                         option->defname);
    *out = text[0];
    if (*out == '\n' || *out == '\r')
        return error_set(error, OMEN_INVALID_ARGUMENT,
                         "COPY %s cannot be newline or carriage return", option->defname);
    return OMEN_OK;
}

enum { OPTION_COUNT = 8 };

struct copy_options {
    bool is_from;
    bool is_csv, has_escape;
    unsigned seen; /* one bit an option */
    const PgQuery__Node *force_quote;
};

static omen_status read_option(struct copy_plan *copy, const PgQuery__DefElem *option,
                               struct copy_options *options, omen_error *error)
{
    static const char *const names[OPTION_COUNT] = {"format", "header", "delimiter", "null",
                                                    "quote",  "escape", "encoding",  "force_quote"};
    unsigned which = 0;
    while (which < OPTION_COUNT && strcmp(option->defname, names[which]) != 0)
        which++;
    if (which < OPTION_COUNT && (options->seen & 1u << which) != 0)
        return error_set(error, OMEN_SYNTAX_ERROR, "conflicting or redundant options");
    options->seen |= 1u << which;
    const char *text = parse_string(option->arg);
    switch (which) {
    case 0:
        options->is_csv = text != NULL && strcmp(text, "csv") == 0;
        copy->is_parquet = text != NULL && strcmp(text, "parquet") == 0;
        return options->is_csv || copy->is_parquet
                   ? OMEN_OK
                   : plan_refuse(error, "a COPY format other than csv and parquet");
    case 1:
        copy->header = copy->header_match = text != NULL && strcasecmp(text, "match") == 0;
        if (copy->header_match && !options->is_from)
            return error_set(error, OMEN_NOT_SUPPORTED,
                             "cannot use \"match\" with HEADER in COPY TO");
        return copy->header_match ? OMEN_OK : read_boolean(option, &copy->header, error);
    case 2:
        return read_byte(option, &copy->csv.delimiter, error);
    case 3:
        copy->null_text = text != NULL ? text : "";
        copy->null_length = strlen(copy->null_text);
        return OMEN_OK;
    case 4:
        return read_byte(option, &copy->csv.quote, error);
    case 5:
        options->has_escape = true;
        return read_byte(option, &copy->csv.escape, error);
    case 6:
        if (text != NULL && (strcasecmp(text, "utf8") == 0 || strcasecmp(text, "utf-8") == 0))
            return OMEN_OK;
        return plan_refuse(error, "an encoding other than UTF8");
    case 7:
        options->force_quote = option->arg;
        return options->is_from ? error_set(error, OMEN_NOT_SUPPORTED,
                                            "COPY force quote only available using COPY TO")
                                : OMEN_OK;
    default:
        return error_set(error, OMEN_NOT_SUPPORTED, "COPY option \"%s\" is not supported",
                         option->defname);
    }
}

static omen_status read_options(struct copy_plan *copy, const PgQuery__CopyStmt *node,
                                struct copy_options *options, omen_error *error)
{
    copy->csv = (struct csv_options){.delimiter = ',', .quote = '"', .escape = '"'};
    copy->null_text = "";
    for (size_t i = 0; i < node->n_options; i++) {
        if (node->options[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM)
            return plan_refuse(error, "this COPY option");
        OMEN_TRY(read_option(copy, node->options[i]->def_elem, options, error));
    }
    if (copy->is_parquet)
        return options->seen == 1 ? OMEN_OK
                                  : error_set(error, OMEN_SYNTAX_ERROR,
                                              "COPY with FORMAT parquet takes no other option");
    if (!options->is_csv)
        return plan_refuse(error, "COPY without (FORMAT csv) or (FORMAT parquet)");
    if (!options->has_escape)
        copy->csv.escape = copy->csv.quote;
    if (copy->csv.delimiter == copy->csv.quote)
        return error_set(error, OMEN_INVALID_ARGUMENT,
                         "COPY delimiter and quote must be different");
    if (strchr(copy->null_text, copy->csv.delimiter) != NULL ||
        strchr(copy->null_text, copy->csv.quote) != NULL ||
        strpbrk(copy->null_text, "\r\n") != NULL)
        return error_set(error, OMEN_INVALID_ARGUMENT,
                         "COPY NULL must not contain the delimiter, the quote or a line end");
    return OMEN_OK;
}

/* The columns of the fields, in file order; the others get their defaults. */
static omen_status read_columns(struct plan *plan, const PgQuery__CopyStmt *node, omen_error *error)
{
    const struct schema *schema = table_schema(plan->table);
    struct copy_plan *copy = &plan->copy;
    copy->column_count = node->n_attlist == 0 ? schema->column_count : (uint32_t)node->n_attlist;
    copy->columns = arena_alloc(&plan->arena, copy->column_count * sizeof *copy->columns);
    bool *given = arena_alloc(&plan->arena, schema->column_count);
    if (copy->columns == NULL || given == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    memset(given, 0, schema->column_count);
    for (uint32_t i = 0; i < copy->column_count; i++) {
        const char *name =
            node->n_attlist == 0 ? schema->columns[i].name : parse_string(node->attlist[i]);
        if (name == NULL)
            return plan_refuse(error, "this list of columns");
        int32_t column = schema_find(schema, name, strlen(name));
        if (column < 0) {
            error_set(error, OMEN_UNDEFINED_COLUMN,
                      "column \"%s\" of relation \"%s\" does not exist", name,
                      table_name(plan->table));
            schema_suggest(schema, name, error);
            return OMEN_UNDEFINED_COLUMN;
        }
        if (given[column])
            return error_set(error, OMEN_DUPLICATE_COLUMN, "column \"%s\" specified more than once",
                             name);
        given[column] = true;
        copy->columns[i] = (uint32_t)column;
    }
    return plan_defaults(plan, plan->table, given, &copy->defaults, error);
}

/* --- statements that stand for a COPY --- */

/* The names of these columns of the plan's table, separated by commas. */
static void put_columns(struct sql_text *text, const struct plan *plan, const uint32_t *columns,
                        uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            sql_text_add_string(text, ", ");
        sql_text_add_name(text, table_schema(plan->table)->columns[columns[i]].name);
    }
}

/* Makes the plan one of another statement. What is wrong with it has no place in what was given. */
static omen_status parse_instead(struct plan *plan, const struct sql_text *text, omen_error *error)
{
    if (text->failed)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    return parse_statement(text->bytes, text->length, &plan->arena, &plan->parsed, error);
}

/* --- COPY TO --- */

/* Which outputs FORCE_QUOTE names. */
static omen_status read_force_quote(struct plan *plan, const PgQuery__Node *node, omen_error *error)
{
    struct copy_plan *copy = &plan->copy;
    uint32_t count = plan->rows.query->target_count;
    if (node == NULL)
        return OMEN_OK;
    bool is_all = node->node_case == PG_QUERY__NODE__NODE_A_STAR;
    if (!is_all && node->node_case != PG_QUERY__NODE__NODE_LIST)
        return error_set(error, OMEN_INVALID_ARGUMENT,
                         "argument to option \"force_quote\" must be a list of column names");
    copy->force_quote = arena_alloc(&plan->arena, count * sizeof *copy->force_quote);
    if (copy->force_quote == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    memset(copy->force_quote, is_all, count);
    for (size_t i = 0; !is_all && i < node->list->n_items; i++) {
        const char *name = parse_string(node->list->items[i]);
        uint32_t column = 0;
        while (name != NULL && column < count && strcmp(plan->rows.names[column], name) != 0)
            column++;
        if (name == NULL || column == count)
            return error_set(error, OMEN_UNDEFINED_COLUMN, "column \"%s\" does not exist",
                             name == NULL ? "" : name);
        copy->force_quote[column] = true;
    }
    return OMEN_OK;
}

static omen_status plan_copy_to(struct plan *plan, const PgQuery__CopyStmt *node,
                                const struct copy_options *options, omen_error *error)
{
    const PgQuery__Node *query = node->query;
    if (query == NULL) {
        struct sql_text text = {.arena = &plan->arena};
        OMEN_TRY(plan_find_table(plan, node->relation, error));
        OMEN_TRY(read_columns(plan, node, error));
        sql_text_add_string(&text, "SELECT ");
        put_columns(&text, plan, plan->copy.columns, plan->copy.column_count);
        sql_text_add_string(&text, " FROM public.");
        sql_text_add_name(&text, table_name(plan->table));
        OMEN_TRY(parse_instead(plan, &text, error));
        query = plan->parsed.statement;
    }
    if (query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return plan_refuse(error, "COPY of a statement that changes rows");
    OMEN_TRY(plan_bind_query(plan, query->select_stmt, error));
    plan->kind = PLAN_COPY_TO;
    return read_force_quote(plan, options->force_quote, error);
}

/* --- COPY FROM a Parquet file --- */

/* The columns to fill: those that are listed, which the file must have, else the file's, which the
 * table must have. */
static omen_status match_columns(struct plan *plan, const PgQuery__CopyStmt *node,
                                 const struct schema *file, omen_error *error)
{
    struct copy_plan *copy = &plan->copy;
    const struct schema *schema = table_schema(plan->table);
    OMEN_TRY(read_columns(plan, node, error));
    if (node->n_attlist == 0)
        copy->column_count = 0;
    for (uint32_t i = 0; i < copy->column_count; i++) {
        const char *name = schema->columns[copy->columns[i]].name;
        if (schema_find(file, name, strlen(name)) < 0)
            return error_set(error, OMEN_UNDEFINED_COLUMN, "file \"%.200s\" has no column \"%s\"",
                             copy->path, name);
    }
    for (uint32_t i = 0; node->n_attlist == 0 && i < file->column_count; i++) {
        const char *name = file->columns[i].name;
        int32_t column = schema_find(schema, name, strlen(name));
        if (column < 0)
            return error_set(error, OMEN_UNDEFINED_COLUMN,
                             "column \"%s\" of file \"%.200s\" is none of relation \"%s\"", name,
                             copy->path, table_name(plan->table));
        copy->columns[copy->column_count++] = (uint32_t)column;
    }
    return OMEN_OK;
}

static omen_status plan_copy_parquet(struct plan *plan, const PgQuery__CopyStmt *node,
                                     omen_error *error)
{
    struct sql_text text = {.arena = &plan->arena};
    const char *path = plan->copy.path;
    struct bound_file bound;
    plan->files.is_parquet = true;
    OMEN_TRY(plan->binder.opener.open(plan->binder.opener.context, path, &bound, error));
    omen_status status = match_columns(plan, node, table_schema(bound.table), error);
    table_release(bound.table);
    plan->binder.opener.release(bound.file);
    OMEN_TRY(status);
    sql_text_add_string(&text, "INSERT INTO public.");
    sql_text_add_name(&text, table_name(plan->table));
    sql_text_add_string(&text, " (");
    put_columns(&text, plan, plan->copy.columns, plan->copy.column_count);
    sql_text_add_string(&text, ") SELECT ");
    put_columns(&text, plan, plan->copy.columns, plan->copy.column_count);
    sql_text_add_string(&text, " FROM ");
    sql_text_add_literal(&text, path);
    OMEN_TRY(parse_instead(plan, &text, error));
    return plan_insert(plan, plan->parsed.statement->insert_stmt, error);
}

static omen_status plan_copy_kind(struct plan *plan, const PgQuery__CopyStmt *node,
                                  omen_error *error)
{
    struct copy_options options = {.is_from = node->is_from};
    plan->copy.path = node->filename;
    OMEN_TRY(read_options(&plan->copy, node, &options, error));
    if (!node->is_from)
        return plan_copy_to(plan, node, &options, error);
    OMEN_TRY(plan_find_table(plan, node->relation, error));
    if (plan->copy.is_parquet)
        return plan_copy_parquet(plan, node, error);
    plan->kind = PLAN_COPY;
    return read_columns(plan, node, error);
}

omen_status plan_copy(struct plan *plan, const PgQuery__CopyStmt *node, omen_error *error)
{
    if (node->is_program)
        return plan_refuse(error, node->is_from ? "COPY FROM PROGRAM" : "COPY TO PROGRAM");
    if (node->filename[0] == '\0')
        return plan_refuse(error, node->is_from ? "COPY FROM STDIN" : "COPY TO STDOUT");
    if (node->where_clause != NULL)
        return plan_refuse(error, "COPY with WHERE");
    if (!plan->session->database->file_access)
        return error_set(error, OMEN_INSUFFICIENT_PRIVILEGE,
                         "COPY %s a file needs the database's file_access option",
                         node->is_from ? "from" : "to");
    const PgQuery__Node *given = plan->parsed.statement;
    omen_status status = plan_copy_kind(plan, node, error);
    if (status != OMEN_OK && error != NULL && plan->parsed.statement != given)
        error->position = 0; /* of a text that nobody wrote */
    plan->tag = "COPY";
    return status;
}

/* --- running --- */

struct copy_run {
    struct plan *plan;
    struct run *run;
    const struct os *os;
    int64_t file;
    struct csv_reader *reader;
    struct write_set *set;
    struct arena row_arena; /* values of one row */
    omen_value *row;
};

static omen_status read_file(void *context, char *buffer, size_t capacity, size_t *length,
                             omen_error *error)
{
    struct copy_run *run = context;
    OMEN_TRY(session_check(run->plan->session, run->run->deadline_ns, error));
    OMEN_TRY(run->os->file_read(run->os, run->file, buffer, capacity, length, error));
    session_count(&run->plan->session->steps_done, *length);
    return OMEN_OK;
}

/* Adds where it happened to the message. `column` may be NULL. */
static omen_status locate(struct copy_run *run, const char *column, omen_status status,
                          const omen_error *failure, omen_error *error)
{
    return csv_locate(run->reader, run->plan->copy.path, column, status, failure, error);
}

static const struct column_definition *column_of(const struct copy_run *run, size_t field)
{
    return &table_schema(run->plan->table)->columns[run->plan->copy.columns[field]];
}

/* Which column the table refused, as far as one can tell: a NULL where none may be. */
static const char *refused_column(const struct copy_run *run, omen_status status)
{
    const struct schema *schema = table_schema(run->plan->table);
    for (uint32_t i = 0; status == OMEN_NOT_NULL_VIOLATION && i < schema->column_count; i++)
        if (run->row[i].is_null && !schema->columns[i].nullable)
            return schema->columns[i].name;
    return NULL;
}

static omen_status fill_defaults(struct copy_run *run, omen_error *error)
{
    const struct schema *schema = table_schema(run->plan->table);
    struct evaluation evaluation = run_evaluation(run->run);
    evaluation.arena = &run->row_arena;
    for (uint32_t i = 0; i < schema->column_count; i++)
        if (run->plan->copy.defaults[i] != NULL)
            OMEN_TRY(evaluate(run->plan->copy.defaults[i], &evaluation, &run->row[i], error));
    return OMEN_OK;
}

/* HEADER MATCH: the file names the columns as the statement does. */
static omen_status check_header(struct copy_run *run, const struct csv_field *fields, size_t count,
                                omen_error *error)
{
    const struct copy_plan *copy = &run->plan->copy;
    omen_error failure = {.message = ""};
    if (!copy->header_match)
        return OMEN_OK;
    if (count != copy->column_count) {
        error_set(&failure, OMEN_BAD_COPY_FORMAT,
                  "wrong number of fields in header line: got %zu, expected %u", count,
                  copy->column_count);
        return locate(run, NULL, OMEN_BAD_COPY_FORMAT, &failure, error);
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = column_of(run, i)->name;
        if (fields[i].length == strlen(name) && memcmp(fields[i].text, name, fields[i].length) == 0)
            continue;
        error_set(&failure, OMEN_BAD_COPY_FORMAT,
                  "column name mismatch in header line field %zu: got \"%.*s\", expected \"%s\"",
                  i + 1, (int)(fields[i].length < 63 ? fields[i].length : 63), fields[i].text,
                  name);
        return locate(run, name, OMEN_BAD_COPY_FORMAT, &failure, error);
    }
    return OMEN_OK;
}

static omen_status copy_record(struct copy_run *run, const struct csv_field *fields, size_t count,
                               omen_error *error)
{
    const struct copy_plan *copy = &run->plan->copy;
    omen_error failure = {.message = ""};
    if (count > copy->column_count) {
        error_set(&failure, OMEN_BAD_COPY_FORMAT, "extra data after last expected column");
        return locate(run, NULL, OMEN_BAD_COPY_FORMAT, &failure, error);
    }
    if (count < copy->column_count) {
        const char *missing = column_of(run, count)->name;
        error_set(&failure, OMEN_BAD_COPY_FORMAT, "missing data for column \"%s\"", missing);
        return locate(run, missing, OMEN_BAD_COPY_FORMAT, &failure, error);
    }
    if (run->row_arena.blocks != NULL)
        arena_reset(&run->row_arena);
    OMEN_TRY(fill_defaults(run, error));
    for (size_t i = 0; i < count; i++) {
        omen_value *value = &run->row[copy->columns[i]];
        omen_type type = column_of(run, i)->type;
        if (!fields[i].quoted && fields[i].length == copy->null_length &&
            memcmp(fields[i].text, copy->null_text, copy->null_length) == 0) {
            *value = (omen_value){.type = type, .is_null = true};
            continue;
        }
        omen_status status = value_from_text(type, fields[i].text, fields[i].length,
                                             &run->row_arena, value, &failure);
        if (status != OMEN_OK)
            return locate(run, column_of(run, i)->name, status, &failure, error);
    }
    omen_status status = write_set_insert(run->set, run->row, &failure);
    if (status != OMEN_OK)
        return locate(run, refused_column(run, status), status, &failure, error);
    return OMEN_OK;
}

static omen_status copy_records(struct copy_run *run, uint64_t *rows, omen_error *error)
{
    const struct csv_field *fields;
    size_t count;
    bool skip = run->plan->copy.header;
    omen_error failure = {.message = ""};
    for (;;) {
        omen_status status = csv_next(run->reader, &fields, &count, &failure);
        if (status == OMEN_END_OF_DATA)
            return OMEN_OK;
        if (status != OMEN_OK)
            return locate(run, NULL, status, &failure, error);
        if (skip) {
            OMEN_TRY(check_header(run, fields, count, error));
            skip = false;
            continue;
        }
        OMEN_TRY(copy_record(run, fields, count, error));
        ++*rows;
    }
}

static omen_status copy_open(struct copy_run *run, omen_error *error)
{
    struct allocator *allocator = run->plan->session->database->allocator;
    const struct schema *schema = table_schema(run->plan->table);
    uint64_t bytes = 0;
    OMEN_TRY(run->os->file_open(run->os, run->plan->copy.path, OS_OPEN_READ, &run->file, error));
    if (run->os->file_size(run->os, run->file, &bytes, NULL) != OMEN_OK)
        bytes = 0; /* a pipe: nobody knows how far it is */
    session_progress_begin(run->plan->session);
    session_count(&run->plan->session->steps_total, bytes);
    run->row = allocator_alloc_zeroed(allocator, schema->column_count * sizeof *run->row);
    omen_status status = run->row == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
    if (status == OMEN_OK)
        status = write_set_create(run->plan->table, &run->set);
    if (status == OMEN_OK)
        status = csv_create(allocator, &run->plan->copy.csv, read_file, run, &run->reader);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    return OMEN_OK;
}

omen_status copy_run(struct plan *plan, struct run *given, uint64_t *rows, omen_error *error)
{
    struct allocator *allocator = plan->session->database->allocator;
    struct copy_run run = {
        .plan = plan, .run = given, .os = plan->session->database->os, .file = -1};
    arena_init(&run.row_arena, allocator);
    *rows = 0;
    omen_status status = copy_open(&run, error);
    if (status == OMEN_OK)
        status = copy_records(&run, rows, error);
    if (status == OMEN_OK)
        status = session_keep(plan->session, given->deadline_ns, run.set, error);
    if (status != OMEN_OK)
        *rows = 0;
    csv_destroy(run.reader);
    write_set_destroy(run.set);
    allocator_free(allocator, run.row, table_schema(plan->table)->column_count * sizeof *run.row);
    arena_release(&run.row_arena);
    if (run.file >= 0)
        run.os->file_close(run.os, run.file);
    return status;
}
