/* stub_engine.c - a SQL engine in one page of C, so that the core builds and is tested without
 * cargo.
 *
 * It answers `SELECT * FROM name` and `SELECT count(*) FROM name`, with an optional `;`, also as the
 * core writes them (`SELECT r0."id" AS c0, ... FROM "t.0" AS r0`), through the same ABI as the real
 * engine (include/omendb_engine.h). Everything else is refused with NOT_SUPPORTED (0A000); it never
 * guesses. One partition, on the caller's thread, no predicates.
 *
 * Ownership: a result stream owns the host's cursor and the table it reads. Batches are the
 * host's own and are passed on untouched.
 */
#include <ctype.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "omendb_engine.h"

enum { TEXT_BYTES_MAX = 1024 };

struct omen_engine_instance {
    const omen_engine_host *host;
    atomic_uint_fast64_t queries; /* relaxed */
};

enum shape { SHAPE_ALL, SHAPE_COUNT, SHAPE_PLAN };

/* A result: SHAPE_ALL passes the host's batches on, the others make one row at the first call. */
struct result {
    const omen_engine_host *host;
    omen_engine_table *table;
    enum shape shape;
    omen_engine_cursor *rows;
    bool (*interrupted)(void *context);
    void *interrupt_context;
    bool done;
    char plan[TEXT_BYTES_MAX + 32];
    char error[OMEN_ERROR_MESSAGE_BYTES];
};

static omen_status fail(omen_error *error, omen_status status, const char *sqlstate,
                        const char *message)
{
    if (error != NULL) {
        memset(error, 0, sizeof *error);
        error->status = status;
        snprintf(error->sqlstate, sizeof error->sqlstate, "%s", sqlstate);
        snprintf(error->message, sizeof error->message, "%s", message);
    }
    return status;
}

/* --- the text ---------------------------------------------------------------------------------- */

/* Copies the text in lower case with single blanks and without a final `;`. False: too long. */
static bool normalise(const char *sql, size_t length, char out[TEXT_BYTES_MAX])
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        bool blank = isspace((unsigned char)sql[i]) != 0;
        if (blank && (used == 0 || out[used - 1] == ' '))
            continue;
        if (used == TEXT_BYTES_MAX - 1)
            return false;
        out[used++] = (char)(blank ? ' ' : tolower((unsigned char)sql[i]));
    }
    while (used > 0 && (out[used - 1] == ' ' || out[used - 1] == ';'))
        used--;
    out[used] = '\0';
    return true;
}

static bool is_plain_name(const char *name)
{
    return *name != '\0' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") == strlen(name);
}

/* Reads `r0."column" as o0$N`, of output number `number`; the text behind it, or NULL. */
static const char *parse_output(const char *text, int number)
{
    char ending[24];
    if (strncmp(text, "r0.\"", 4) != 0 || (text = strchr(text + 4, '"')) == NULL)
        return NULL;
    size_t length = (size_t)snprintf(ending, sizeof ending, "\" as o0$%d", number);
    return strncmp(text, ending, length) == 0 ? text + length : NULL;
}

/* The core's text, cut apart in place; `*outputs` is how many columns it names. */
static bool parse_core(char *text, enum shape *shape, const char **table, int *outputs)
{
    static const char select[] = "select ", count[] = "count(*) as o0$0", from[] = " from \"";
    const char *rest = text + strlen(select);
    *outputs = 0;
    if (strncmp(text, select, strlen(select)) != 0)
        return false;
    *shape = SHAPE_ALL;
    if (strncmp(rest, count, strlen(count)) == 0) {
        *shape = SHAPE_COUNT;
        rest += strlen(count);
    } else {
        for (rest = parse_output(rest, 0); rest != NULL; rest = parse_output(rest + 2, *outputs)) {
            ++*outputs;
            if (strncmp(rest, ", ", 2) != 0)
                break;
        }
    }
    if (rest == NULL || strncmp(rest, from, strlen(from)) != 0)
        return false;
    char *name = text + (rest - text) + strlen(from), *end = strchr(name, '"');
    if (end == NULL || strcmp(end, "\" as r0") != 0)
        return false;
    *end = '\0';
    *table = name;
    return is_plain_name(name);
}

/* Whether the text has one of the shapes; then `table` is what follows FROM. */
static bool parse(char *text, enum shape *shape, const char **table, int *outputs)
{
    static const char *const starts[] = {"select * from ", "select count(*) from "};
    *outputs = -1;
    for (int i = 0; i < 2; i++) {
        size_t length = strlen(starts[i]);
        if (strncmp(text, starts[i], length) != 0)
            continue;
        *shape = i == 0 ? SHAPE_ALL : SHAPE_COUNT;
        *table = text + length;
        return is_plain_name(*table);
    }
    return parse_core(text, shape, table, outputs);
}

/* --- one-row arrays and their schemas ---------------------------------------------------------- */

struct row {
    struct ArrowArray child;
    struct ArrowArray *children[1];
    const void *child_buffers[3];
    const void *parent_buffers[1];
    int64_t value;
    int32_t offsets[2];
    char text[TEXT_BYTES_MAX + 32];
};

/* The child has no private data: the row is freed with its parent. */
static void release_row(struct ArrowArray *array)
{
    free(array->private_data);
    array->release = NULL;
}

/* A batch of one row: `text`, or the number where it is NULL. */
static int make_row(int64_t value, const char *text, struct ArrowArray *out)
{
    struct row *row = calloc(1, sizeof *row);
    if (row == NULL)
        return ENOMEM;
    row->value = value;
    row->child_buffers[1] = &row->value;
    if (text != NULL) {
        row->offsets[1] = snprintf(row->text, sizeof row->text, "%s", text);
        row->child_buffers[1] = row->offsets;
        row->child_buffers[2] = row->text;
    }
    row->child = (struct ArrowArray){
        .length = 1,
        .n_buffers = text != NULL ? 3 : 2,
        .buffers = row->child_buffers,
        .release = release_row,
    };
    row->children[0] = &row->child;
    *out = (struct ArrowArray){
        .length = 1,
        .n_buffers = 1,
        .n_children = 1,
        .buffers = row->parent_buffers,
        .children = row->children,
        .release = release_row,
        .private_data = row,
    };
    return 0;
}

/* The child has no private data: the block is freed with its parent. */
static void release_schema(struct ArrowSchema *schema)
{
    free(schema->private_data);
    schema->release = NULL;
}

static int make_schema(const char *format, const char *name, struct ArrowSchema *out)
{
    struct {
        struct ArrowSchema child;
        struct ArrowSchema *children[1];
    } *block = calloc(1, sizeof *block);
    if (block == NULL)
        return ENOMEM;
    block->child =
        (struct ArrowSchema){.format = format, .name = name, .release = release_schema};
    block->children[0] = &block->child;
    *out = (struct ArrowSchema){.format = "+s", .name = "", .n_children = 1,
                                .children = block->children, .release = release_schema,
                                .private_data = block};
    return 0;
}

/* --- the result stream ------------------------------------------------------------------------- */

/* Remembers the host's words as "SQLSTATE message". */
static int keep_error(struct result *result, const omen_error *error)
{
    snprintf(result->error, sizeof result->error, "%s %.*s", error->sqlstate,
             (int)sizeof result->error - 16, error->message);
    return EIO;
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct result *result = stream->private_data;
    if (result->shape == SHAPE_ALL) {
        omen_error error = {.message = ""};
        omen_status status = result->host->table_schema(result->table, out, &error);
        return status == OMEN_OK ? 0 : keep_error(result, &error);
    }
    if (result->shape == SHAPE_COUNT)
        return make_schema("l", "count(*)", out);
    return make_schema("u", "QUERY PLAN", out);
}

/* The next batch of the host; one without release at the end. */
static int next_rows(struct result *result, struct ArrowArray *out)
{
    omen_error error = {.message = ""};
    memset(out, 0, sizeof *out);
    if (result->interrupted != NULL && result->interrupted(result->interrupt_context)) {
        fail(&error, OMEN_CANCELLED, "57014", "canceling statement due to user request");
        return keep_error(result, &error);
    }
    omen_status status = result->host->scan_next(result->rows, out, &error);
    return status == OMEN_OK || status == OMEN_END_OF_DATA ? 0 : keep_error(result, &error);
}

static int count_rows(struct result *result, struct ArrowArray *out)
{
    int64_t count = 0;
    for (;;) {
        struct ArrowArray batch;
        int code = next_rows(result, &batch);
        if (code != 0)
            return code;
        if (batch.release == NULL)
            return make_row(count, NULL, out);
        count += batch.length;
        batch.release(&batch);
    }
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct result *result = stream->private_data;
    if (result->error[0] != '\0')
        return EIO;
    if (result->shape == SHAPE_ALL)
        return next_rows(result, out);
    memset(out, 0, sizeof *out);
    if (result->done)
        return 0;
    result->done = true;
    return result->shape == SHAPE_COUNT ? count_rows(result, out) : make_row(0, result->plan, out);
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    struct result *result = stream->private_data;
    return result->error[0] != '\0' ? result->error : NULL;
}

static void release(struct ArrowArrayStream *stream)
{
    struct result *result = stream->private_data;
    if (result->rows != NULL)
        result->host->scan_close(result->rows);
    if (result->table != NULL)
        result->host->table_release(result->table);
    free(result);
    stream->release = NULL;
}

/* --- the engine -------------------------------------------------------------------------------- */

static const char *name(void)
{
    return "stub";
}

static omen_status open_engine(const omen_engine_host *host, const omen_engine_options *options,
                               omen_engine_instance **out, omen_error *error)
{
    (void)options;
    *out = NULL;
    if (host->abi_version != OMEN_ENGINE_ABI_VERSION)
        return fail(error, OMEN_INTERNAL, "XX000", "the core speaks another version");
    omen_engine_instance *engine = malloc(sizeof *engine);
    if (engine == NULL)
        return fail(error, OMEN_OUT_OF_MEMORY, "53200", "out of memory");
    engine->host = host;
    atomic_init(&engine->queries, 0);
    *out = engine;
    return OMEN_OK;
}

static void close_engine(omen_engine_instance *engine)
{
    free(engine);
}

/* Opens the host's cursor: all columns, or none where only the number of rows matters. */
static omen_status open_rows(struct result *result, int outputs, omen_error *error)
{
    struct ArrowSchema schema;
    omen_status status = result->host->table_schema(result->table, &schema, error);
    if (status != OMEN_OK)
        return status;
    uint32_t count = result->shape == SHAPE_ALL ? (uint32_t)schema.n_children : 0;
    schema.release(&schema);
    if (result->shape == SHAPE_ALL && outputs >= 0 && outputs != (int)count)
        return fail(error, OMEN_NOT_SUPPORTED, "0A000", "the stub engine gives all columns");
    uint32_t *columns = calloc(count + 1, sizeof *columns);
    if (columns == NULL)
        return fail(error, OMEN_OUT_OF_MEMORY, "53200", "out of memory");
    for (uint32_t i = 0; i < count; i++)
        columns[i] = i;
    omen_engine_scan scan = {
        .columns = columns, .column_count = count, .limit = UINT64_MAX, .partition_count = 1};
    status = result->host->scan_open(result->table, &scan, &result->rows, error);
    free(columns);
    return status;
}

static omen_status start(omen_engine_instance *engine, omen_engine_statement *statement,
                         const omen_engine_query *query, bool explain, struct ArrowArrayStream *out,
                         omen_error *error)
{
    char text[TEXT_BYTES_MAX];
    const char *table = NULL;
    enum shape shape = SHAPE_ALL;
    int outputs = -1;
    if (query->parameter_count > 0)
        return fail(error, OMEN_NOT_SUPPORTED, "0A000", "the stub engine takes no parameters");
    if (!normalise(query->sql, query->length, text) || !parse(text, &shape, &table, &outputs))
        return fail(error, OMEN_NOT_SUPPORTED, "0A000",
                    "the stub engine knows only SELECT * and SELECT count(*) of one table");
    struct result *result = calloc(1, sizeof *result);
    if (result == NULL)
        return fail(error, OMEN_OUT_OF_MEMORY, "53200", "out of memory");
    result->host = engine->host;
    result->shape = explain ? SHAPE_PLAN : shape;
    result->interrupted = query->interrupted;
    result->interrupt_context = query->interrupt_context;
    snprintf(result->plan, sizeof result->plan, "StubScan: table=%s", table);
    omen_status status =
        engine->host->table_resolve(statement, table, strlen(table), &result->table, error);
    if (status == OMEN_OK && !explain)
        status = open_rows(result, outputs, error);
    *out = (struct ArrowArrayStream){get_schema, get_next, get_last_error, release, result};
    if (status != OMEN_OK)
        release(out);
    return status;
}

static omen_status query(omen_engine_instance *engine, omen_engine_statement *statement,
                         const omen_engine_query *query, struct ArrowArrayStream *out,
                         omen_error *error)
{
    omen_status status = start(engine, statement, query, false, out, error);
    if (status == OMEN_OK)
        atomic_fetch_add_explicit(&engine->queries, 1, memory_order_relaxed);
    return status;
}

static omen_status explain(omen_engine_instance *engine, omen_engine_statement *statement,
                           const omen_engine_query *query, struct ArrowArrayStream *out,
                           omen_error *error)
{
    return start(engine, statement, query, true, out, error);
}

static void counters(const omen_engine_instance *engine, omen_engine_counters *out)
{
    *out = (omen_engine_counters){
        .struct_bytes = out->struct_bytes,
        .queries = atomic_load_explicit(&engine->queries, memory_order_relaxed),
    };
}

static omen_status segment_write(const struct ArrowSchema *schema, struct ArrowArrayStream *groups,
                                 uint32_t group_count, const omen_engine_writer *writer,
                                 omen_error *error)
{
    (void)schema, (void)writer;
    for (uint32_t i = 0; i < group_count; i++)
        groups[i].release(&groups[i]);
    return fail(error, OMEN_NOT_SUPPORTED, "0A000", "the stub engine writes no Parquet");
}

static omen_status segment_read(const struct ArrowSchema *schema, const omen_engine_reader *reader,
                                uint32_t group, const uint32_t *columns, uint32_t column_count,
                                struct ArrowArrayStream *out, omen_error *error)
{
    (void)schema, (void)reader, (void)group, (void)columns, (void)column_count;
    memset(out, 0, sizeof *out);
    return fail(error, OMEN_NOT_SUPPORTED, "0A000", "the stub engine reads no Parquet");
}

static omen_status file_open(const omen_engine_reader *reader, omen_engine_file **out,
                             struct ArrowSchema *schema, omen_engine_file_facts *facts,
                             omen_error *error)
{
    (void)reader, (void)facts;
    *out = NULL;
    memset(schema, 0, sizeof *schema);
    return fail(error, OMEN_NOT_SUPPORTED, "0A000", "the stub engine reads no Parquet");
}

static const char *file_column_refused(const omen_engine_file *file, uint32_t column)
{
    (void)file, (void)column;
    return NULL;
}

static omen_status file_read(const omen_engine_file *file, uint32_t group_first, uint32_t group_end,
                             const uint32_t *columns, uint32_t column_count,
                             struct ArrowArrayStream *out, omen_error *error)
{
    (void)file, (void)group_first, (void)group_end, (void)columns, (void)column_count;
    memset(out, 0, sizeof *out);
    return fail(error, OMEN_NOT_SUPPORTED, "0A000", "the stub engine reads no Parquet");
}

static void file_close(omen_engine_file *file)
{
    (void)file;
}

static omen_status file_write(struct ArrowArrayStream *rows, const omen_engine_writer *writer,
                              omen_error *error)
{
    (void)writer;
    rows->release(rows);
    return fail(error, OMEN_NOT_SUPPORTED, "0A000", "the stub engine writes no Parquet");
}

const omen_engine *omen_engine_entry(uint32_t abi_version)
{
    static const omen_engine engine = {
        .abi_version = OMEN_ENGINE_ABI_VERSION,
        .struct_bytes = sizeof(omen_engine),
        .name = name,
        .open = open_engine,
        .close = close_engine,
        .query = query,
        .explain = explain,
        .counters = counters,
        .segment_write = segment_write,
        .segment_read = segment_read,
        .file_open = file_open,
        .file_column_refused = file_column_refused,
        .file_read = file_read,
        .file_close = file_close,
        .file_write = file_write,
    };
    return abi_version == OMEN_ENGINE_ABI_VERSION ? &engine : NULL;
}
