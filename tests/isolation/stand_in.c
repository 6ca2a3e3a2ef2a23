/* stand_in.c - see stand_in.h.
 *
 *   query     resolves the tables, which fixes what is seen, and asks what is known of them
 *   get_next  reads them whole, computes all rows, gives them as one batch; then none
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stand_in.h"

enum { TABLES_MAX = 2, COLUMNS_MAX = 4, TEXT_COLUMN_MAX = 4096, VIEW_BYTES = 16, VIEW_INLINE = 12 };

static const struct workload_client *(*current)(void);

void stand_in_set_current(const struct workload_client *(*function)(void))
{
    current = function;
}

static void *must(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "stand-in: out of memory\n");
        exit(2);
    }
    return memory;
}

struct omen_engine_instance {
    const omen_engine_host *host;
    uint64_t queries;
};

/* A row of any of the tables. */
struct row {
    int64_t id, value, version, row_id;
    char *text; /* owned */
    size_t text_length;
};

struct rows {
    struct row *items;
    size_t count, capacity;
};

struct query {
    omen_engine_instance *engine;
    omen_engine_table *tables[TABLES_MAX];
    enum form form;
    int64_t arguments[ARGUMENTS_MAX];
    char text[32];
    bool given;
    char error[64];
    /* The result: columns are numbers, but one may be a text. */
    const char *columns; /* "lul": formats of Arrow */
    int64_t *numbers[COLUMNS_MAX];
    int32_t *offsets;
    char *texts;
    size_t count, capacity, text_bytes, text_capacity;
};

/* --- reading --- */

static void rows_free(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        free(rows->items[i].text);
    free(rows->items);
    *rows = (struct rows){.count = 0};
}

/* Element `index` of a utf8_view column, copied. */
static void read_text(const struct ArrowArray *column, int64_t index, struct row *row)
{
    const uint8_t *view =
        (const uint8_t *)column->buffers[1] + (column->offset + index) * VIEW_BYTES;
    int32_t length, buffer, offset;
    memcpy(&length, view, 4);
    memcpy(&buffer, view + 8, 4);
    memcpy(&offset, view + 12, 4);
    const uint8_t *from = length <= VIEW_INLINE
                              ? view + 4
                              : (const uint8_t *)column->buffers[2 + buffer] + offset;
    row->text = must(malloc((size_t)length + 1));
    row->text_length = (size_t)length;
    memcpy(row->text, from, (size_t)length);
}

static void add_batch(struct rows *rows, const struct ArrowArray *batch, bool list, bool row_ids)
{
    for (int64_t i = 0; i < batch->length; i++) {
        if (rows->count == rows->capacity) {
            rows->capacity = rows->capacity == 0 ? 64 : rows->capacity * 2;
            rows->items = must(realloc(rows->items, rows->capacity * sizeof *rows->items));
        }
        struct row *row = &rows->items[rows->count++];
        *row = (struct row){.id = 0};
        int64_t *places[] = {&row->id, &row->value, &row->version};
        size_t columns = (size_t)batch->n_children - row_ids;
        for (size_t c = 0; c < columns + row_ids; c++) {
            const struct ArrowArray *column = batch->children[c];
            if (list && c == 1)
                read_text(column, batch->offset + i, row);
            else
                memcpy(c == columns ? &row->row_id : places[c],
                       (const int64_t *)column->buffers[1] + column->offset + batch->offset + i, 8);
        }
    }
}

/* Reads a table's rows with low <= id <= high. `down`: the scan is to choose them. */
static omen_status read_table(struct query *query, omen_engine_table *table, int64_t low, int64_t high,
                              bool down, bool row_ids, struct rows *out, omen_error *error)
{
    const omen_engine_host *host = query->engine->host;
    bool list = strncmp(host->table_info(table)->name, "lists", 5) == 0;
    bool events = strncmp(host->table_info(table)->name, "events", 6) == 0;
    uint32_t columns[] = {0, 1, 2, 3}, count = (events ? 1 : list ? 2 : 3) + row_ids;
    const omen_value values[] = {{.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = low},
                                 {.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = high}};
    const omen_predicate range[] = {
        {.column = 0, .op = OMEN_GE, .values = &values[0], .value_count = 1},
        {.column = 0, .op = OMEN_LE, .values = &values[1], .value_count = 1}};
    const omen_engine_scan scan = {.columns = columns, .column_count = count, .predicates = range,
        .predicate_count = down ? 2 : 0, .limit = UINT64_MAX, .partition = 0, .partition_count = 1};
    omen_engine_cursor *cursor;
    struct ArrowArray batch;
    omen_status status = host->scan_open(table, &scan, &cursor, error);
    *out = (struct rows){.count = 0};
    if (status != OMEN_OK)
        return status;
    while ((status = host->scan_next(cursor, &batch, error)) == OMEN_OK) {
        add_batch(out, &batch, list, row_ids);
        batch.release(&batch);
    }
    host->scan_close(cursor);
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (out->items[i].id >= low && out->items[i].id <= high)
            out->items[kept++] = out->items[i];
        else
            free(out->items[i].text);
    }
    out->count = kept;
    return status == OMEN_END_OF_DATA ? OMEN_OK : status;
}

/* --- the result --- */

static void begin_row(struct query *query)
{
    if (query->count < query->capacity)
        return;
    query->capacity = query->capacity == 0 ? 64 : query->capacity * 2;
    for (size_t i = 0; query->columns[i] != '\0'; i++)
        query->numbers[i] =
            must(realloc(query->numbers[i], query->capacity * sizeof *query->numbers[i]));
    query->offsets = must(realloc(query->offsets, (query->capacity + 1) * sizeof *query->offsets));
    query->offsets[0] = 0;
}

static void put_text(struct query *query, const char *text, size_t length)
{
    while (query->text_capacity < query->text_bytes + length) {
        query->text_capacity = query->text_capacity == 0 ? 1024 : query->text_capacity * 2;
        query->texts = must(realloc(query->texts, query->text_capacity));
    }
    memcpy(query->texts + query->text_bytes, text, length);
    query->text_bytes += length;
    query->offsets[query->count + 1] = (int32_t)query->text_bytes;
}

static void put_numbers(struct query *query, int64_t first, int64_t second, int64_t third)
{
    const int64_t values[] = {first, second, third};
    begin_row(query);
    for (size_t i = 0; query->columns[i] != '\0'; i++)
        query->numbers[i][query->count] = values[i];
    query->count++;
}

/* (id, v) or, with more columns, what a join has; `id` may be a row id. */
static void put_list(struct query *query, int64_t id, const struct row *list, const char *more,
                     const struct row *other)
{
    begin_row(query);
    query->numbers[0][query->count] = id;
    put_text(query, list->text, list->text_length);
    put_text(query, more, strlen(more));
    if (other != NULL) {
        query->numbers[2][query->count] = other->value;
        query->numbers[3][query->count] = other->version;
    }
    query->count++;
}

static omen_status fail_dividing(struct query *query, omen_error *error)
{
    (void)query;
    error->status = OMEN_DIVISION_BY_ZERO;
    snprintf(error->sqlstate, sizeof error->sqlstate, "22012");
    snprintf(error->message, sizeof error->message, "division by zero");
    return OMEN_DIVISION_BY_ZERO;
}

/* Rows, each for itself: what most statements ask for. */
static omen_status give_rows(struct query *query, int64_t low, int64_t high, bool down, omen_error *error)
{
    struct rows rows;
    char more[32] = "";
    bool row_ids = query->form == LIST_APPEND_BY_ENGINE || query->form == LISTS_APPEND_BETWEEN ||
                   query->form == REGISTER_SET_BY_ENGINE || query->form == LISTS_DIVIDE;
    omen_status status = read_table(query, query->tables[0], low, high, down, row_ids, &rows, error);
    if (query->form == LIST_APPEND_BY_ENGINE)
        snprintf(more, sizeof more, "%s", query->text);
    for (size_t i = 0; status == OMEN_OK && i < rows.count; i++) {
        const struct row *row = &rows.items[i];
        if (query->form == LISTS_APPEND_BETWEEN)
            snprintf(more, sizeof more, ",%" PRId64, row->id + query->arguments[2]);
        if (query->form == LISTS_DIVIDE && row->id == query->arguments[1])
            status = fail_dividing(query, error);
        else if (query->form == REGISTER_SET_BY_ENGINE)
            put_numbers(query, row->row_id, query->arguments[1], row->version + 1);
        else if (query->columns[1] == 'u')
            put_list(query, row_ids ? row->row_id : row->id, row, more, NULL);
        else
            put_numbers(query, row->id, row->value, row->version);
    }
    rows_free(&rows);
    return status;
}

static omen_status give_joined(struct query *query, omen_error *error)
{
    int64_t low = query->arguments[0], high = query->arguments[1];
    struct rows lists, registers = {.count = 0};
    omen_status status = read_table(query, query->tables[0], low, high, true, false, &lists, error);
    if (status == OMEN_OK)
        status = read_table(query, query->tables[1], low, high, true, false, &registers, error);
    for (size_t i = 0; status == OMEN_OK && i < lists.count; i++)
        for (size_t j = 0; j < registers.count; j++)
            if (lists.items[i].id == registers.items[j].id)
                put_list(query, lists.items[i].id, &lists.items[i], "", &registers.items[j]);
    rows_free(&lists);
    rows_free(&registers);
    return status;
}

/* count, sum of versions or smallest id, largest value or id. */
static omen_status give_sums(struct query *query, int64_t low, int64_t high, bool down, omen_error *error)
{
    struct rows rows;
    omen_status status = read_table(query, query->tables[0], low, high, down, false, &rows, error);
    if (status != OMEN_OK)
        return status;
    bool sum = query->form == REGISTERS_SUMMED;
    int64_t first = 0, second = 0;
    for (size_t i = 0; i < rows.count; i++) {
        const struct row *row = &rows.items[i];
        int64_t largest = sum ? row->value : row->id;
        first = sum ? first + row->version : i == 0 || row->id < first ? row->id : first;
        second = i == 0 || largest > second ? largest : second;
    }
    put_numbers(query, (int64_t)rows.count, first, second);
    rows_free(&rows);
    return OMEN_OK;
}

/* What is known without reading; false where that is not exact. */
static bool give_known(struct query *query)
{
    const omen_engine_host *host = query->engine->host;
    omen_engine_column_statistics facts;
    bool exact;
    uint64_t count = host->row_count(query->tables[0], &exact);
    host->column_statistics(query->tables[0], 0, &facts);
    if (!exact || (query->columns[1] != '\0' && count > 0 && !(facts.exact && facts.has_range)))
        return false;
    put_numbers(query, (int64_t)count, count > 0 ? facts.min.as.i64 : 0,
                count > 0 ? facts.max.as.i64 : 0);
    return true;
}

static omen_status compute(struct query *query, omen_error *error)
{
    const int64_t *arguments = query->arguments;
    switch (query->form) {
    case LIST_BY_ENGINE: case REGISTER_BY_ENGINE: case LIST_APPEND_BY_ENGINE: case REGISTER_SET_BY_ENGINE:
        return give_rows(query, arguments[0], arguments[0], false, error);
    case LISTS_BETWEEN: case REGISTERS_BETWEEN: case LISTS_APPEND_BETWEEN: case LISTS_DIVIDE:
        return give_rows(query, arguments[0], arguments[1], true, error);
    case LISTS_ALL: case REGISTERS_ALL:
        return give_rows(query, 0, INT64_MAX, false, error);
    case JOINED:
        return give_joined(query, error);
    case REGISTERS_SUMMED:
        return give_sums(query, arguments[0], arguments[1], true, error);
    case LISTS_COUNTED: case EVENTS_COUNTED:
        if (give_known(query))
            return OMEN_OK;
        /* fall through */
    case LISTS_COUNTED_BY_SCAN: case EVENTS_COUNTED_BY_SCAN:
        return give_sums(query, 0, INT64_MAX, false, error);
    default:
        fprintf(stderr, "stand-in: statement %d is not the engine's\n", (int)query->form);
        abort();
    }
}

static const char *columns_of(enum form form)
{
    switch (form) {
    case LIST_BY_ENGINE: case LISTS_BETWEEN: case LISTS_ALL: case LIST_APPEND_BY_ENGINE:
    case LISTS_APPEND_BETWEEN: case LISTS_DIVIDE:
        return "lu";
    case JOINED:
        return "lull";
    case EVENTS_COUNTED: case EVENTS_COUNTED_BY_SCAN:
        return "l";
    default:
        return "lll";
    }
}

/* --- as a stream --- */

static void release_schema(struct ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++)
        if (schema->children[i]->release != NULL)
            schema->children[i]->release(schema->children[i]);
    free(schema->private_data);
    schema->release = NULL;
}

static void release_column_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    static const char *const formats[] = {"l", "u"};
    static const char *const names[] = {"o0$0", "o0$1", "o0$2", "o0$3"};
    const struct query *query = stream->private_data;
    struct block {
        struct ArrowSchema columns[COLUMNS_MAX], *children[COLUMNS_MAX];
    } *block = must(calloc(1, sizeof *block));
    size_t count = strlen(query->columns);
    for (size_t i = 0; i < count; i++) {
        block->columns[i] = (struct ArrowSchema){.format = formats[query->columns[i] == 'u'],
            .name = names[i], .release = release_column_schema};
        block->children[i] = &block->columns[i];
    }
    *out = (struct ArrowSchema){.format = "+s", .name = "", .n_children = (int64_t)count,
        .children = block->children, .release = release_schema, .private_data = block};
    return 0;
}

struct batch {
    struct ArrowArray columns[COLUMNS_MAX], *children[COLUMNS_MAX];
    const void *buffers[COLUMNS_MAX][3], *none[1];
    int64_t *numbers[COLUMNS_MAX];
    int32_t *offsets;
    char *texts;
};

static void release_batch(struct ArrowArray *array)
{
    struct batch *batch = array->private_data;
    for (size_t i = 0; i < COLUMNS_MAX; i++)
        free(batch->numbers[i]);
    free(batch->offsets);
    free(batch->texts);
    free(batch);
    array->release = NULL;
}

static void release_column(struct ArrowArray *array)
{
    array->release = NULL;
}

/* Moves the result into a batch. */
static void hand_out(struct query *query, struct ArrowArray *out)
{
    struct batch *batch = must(calloc(1, sizeof *batch));
    size_t count = strlen(query->columns);
    memcpy(batch->numbers, query->numbers, sizeof batch->numbers);
    batch->offsets = query->offsets;
    batch->texts = query->texts;
    memset(query->numbers, 0, sizeof query->numbers);
    query->offsets = NULL;
    query->texts = NULL;
    for (size_t i = 0; i < count; i++) {
        bool text = query->columns[i] == 'u';
        batch->buffers[i][1] = text ? (const void *)batch->offsets : batch->numbers[i];
        batch->buffers[i][2] = batch->texts;
        batch->columns[i] = (struct ArrowArray){.length = (int64_t)query->count,
            .n_buffers = text ? 3 : 2, .buffers = batch->buffers[i], .release = release_column};
        batch->children[i] = &batch->columns[i];
    }
    *out = (struct ArrowArray){.length = (int64_t)query->count, .n_buffers = 1, .buffers = batch->none,
        .n_children = (int64_t)count, .children = batch->children, .release = release_batch,
        .private_data = batch};
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct query *query = stream->private_data;
    omen_error error = {.message = ""};
    memset(out, 0, sizeof *out);
    if (query->given)
        return 0;
    query->given = true;
    omen_status status = compute(query, &error);
    if (status == OMEN_OK) {
        if (query->count > 0)
            hand_out(query, out);
        return 0;
    }
    snprintf(query->error, sizeof query->error, "%s %.50s", error.sqlstate, error.message);
    return EIO;
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    return ((struct query *)stream->private_data)->error;
}

static void release_stream(struct ArrowArrayStream *stream)
{
    struct query *query = stream->private_data;
    for (size_t i = 0; i < TABLES_MAX; i++)
        if (query->tables[i] != NULL)
            query->engine->host->table_release(query->tables[i]);
    for (size_t i = 0; i < COLUMNS_MAX; i++)
        free(query->numbers[i]);
    free(query->offsets);
    free(query->texts);
    free(query);
    stream->release = NULL;
}

/* --- the engine --- */

/* Resolves the tables in the order in which the text names them: FROM "lists.1" AS r1, ... */
static omen_status resolve(struct query *query, omen_engine_statement *statement, const char *sql,
                           omen_error *error)
{
    static const char *const names[] = {"\"lists.", "\"registers.", "\"events."};
    size_t found = 0;
    for (size_t i = 0; i < 3; i++) {
        const char *start = strstr(sql, names[i]);
        if (start == NULL || found == TABLES_MAX)
            continue;
        const char *name = start + 1, *end = strchr(name, '"');
        omen_status status = query->engine->host->table_resolve(statement, name, (size_t)(end - name),
                                                                &query->tables[found++], error);
        if (status != OMEN_OK)
            return status;
    }
    return OMEN_OK;
}

static omen_status run_query(omen_engine_instance *engine, omen_engine_statement *statement,
                             const omen_engine_query *asked, struct ArrowArrayStream *out, omen_error *error)
{
    const struct workload_client *client = current();
    struct query *query = must(calloc(1, sizeof *query));
    query->engine = engine;
    query->form = client->form;
    query->columns = columns_of(query->form);
    memcpy(query->arguments, client->arguments, sizeof query->arguments);
    snprintf(query->text, sizeof query->text, "%s", client->text);
    engine->queries++;
    *out = (struct ArrowArrayStream){.get_schema = get_schema, .get_next = get_next,
        .get_last_error = get_last_error, .release = release_stream, .private_data = query};
    omen_status status = resolve(query, statement, asked->sql, error);
    if (status != OMEN_OK)
        release_stream(out);
    return status;
}

static const char *name(void)
{
    return "stand-in";
}

static omen_status open_engine(const omen_engine_host *host, const omen_engine_options *options,
                               omen_engine_instance **out, omen_error *error)
{
    *out = must(calloc(1, sizeof **out));
    (*out)->host = host;
    return OMEN_OK;
}

static void close_engine(omen_engine_instance *engine)
{
    free(engine);
}

static void counters(const omen_engine_instance *engine, omen_engine_counters *out)
{
    out->queries = engine->queries;
}

const omen_engine *stand_in_entry(uint32_t abi_version)
{
    static const omen_engine engine = {.abi_version = OMEN_ENGINE_ABI_VERSION,
        .struct_bytes = sizeof(omen_engine), .name = name, .open = open_engine, .close = close_engine,
        .query = run_query, .counters = counters};
    return abi_version == OMEN_ENGINE_ABI_VERSION ? &engine : NULL;
}
