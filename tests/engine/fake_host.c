/* fake_host.c - the fake core: rows, predicates, Arrow C arrays. See fake_host.h. */
#include "fake_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern const omen_engine_host engine_host; /* the real one */

/* Tables have the first COLUMN_COUNT columns; the table of all types has the rest. */
enum { COLUMN_ID, COLUMN_NAME, COLUMN_AMOUNT, COLUMN_FLAG, COLUMN_COUNT };
enum { TYPED_COLUMN_COUNT = 10 };
enum { BATCH_ROWS = 4096, CHILD_BUFFERS_MAX = 4 };

enum table_kind {
    KIND_SMALL,
    KIND_BIG,
    KIND_FAILING,
    KIND_FAILING_BIG,
    KIND_UNOPENABLE,
    KIND_SHORT_BATCH,
    KIND_NULL_FORMAT,
    KIND_NULL_BUFFERS,
    KIND_TYPED,
    KIND_FICKLE,
    KIND_DRIP,
    KIND_PLAIN,
    KIND_COUNT,
};

static const char *const kind_names[KIND_COUNT] = {
    "t",           "big",         "failing",      "failing_big", "unopenable",
    "short_batch", "null_format", "null_buffers", "typed",       "fickle",     "drip",
    "plain",
};

struct column {
    const char *format;
    const char *name;
    omen_type type;
};

static const struct column columns[COLUMN_COUNT + TYPED_COLUMN_COUNT] = {
    {"l", "id", {.id = OMEN_TYPE_BIGINT}},
    {"vu", "name", {.id = OMEN_TYPE_TEXT}},
    {"l", "amount", {.id = OMEN_TYPE_BIGINT}},
    {"b", "flag", {.id = OMEN_TYPE_BOOLEAN}},
    {"s", "small", {.id = OMEN_TYPE_SMALLINT}},
    {"i", "whole", {.id = OMEN_TYPE_INTEGER}},
    {"f", "single", {.id = OMEN_TYPE_REAL}},
    {"g", "ratio", {.id = OMEN_TYPE_DOUBLE}},
    {"d:10,2", "price", {.id = OMEN_TYPE_DECIMAL, .precision = 10, .scale = 2}},
    {"vz", "bytes", {.id = OMEN_TYPE_BYTEA}},
    {"tdD", "day", {.id = OMEN_TYPE_DATE}},
    {"tsu:", "moment", {.id = OMEN_TYPE_TIMESTAMP}},
    {"tsu:UTC", "instant", {.id = OMEN_TYPE_TIMESTAMPTZ}},
    {"w:16", "label", {.id = OMEN_TYPE_UUID}},
};

struct row {
    int64_t id;
    const char *name; /* NULL: SQL NULL */
    bool has_amount;
    int64_t amount;
    bool has_flag;
    bool flag;
};

static const struct row small_rows[] = {
    {INT64_MIN, "", true, -1, true, false},
    {-7, "minus seven", false, 0, true, true},
    {1, "one", true, 10, true, true},
    {2, NULL, true, 20, false, false},
    {5, "five", true, 50, true, false},
    {6, FAKE_NAME_LONG, false, 0, true, true},
    {42, "42", true, 42, false, false},
    {INT64_MAX, "largest", true, 7, true, true},
};
enum { SMALL_ROWS = sizeof small_rows / sizeof *small_rows };

struct omen_engine_table {
    atomic_int references;
    enum table_kind kind;
    omen_engine_table_info info;
    atomic_int asked; /* predicates asked about */
};

struct omen_engine_cursor {
    omen_engine_table *table;
    uint32_t columns[TYPED_COLUMN_COUNT * 2];
    uint32_t column_count;
    omen_predicate predicates[16];
    uint32_t predicate_count;
    omen_predicate pruning[16];
    uint32_t pruning_count;
    uint32_t partition;
    uint64_t rows_left;
    int64_t next;
    int64_t step;
    int batches;
};

struct fake_host fake_host;
static const uint32_t key_columns[] = {COLUMN_ID};

void fake_host_reset(void)
{
    fake_host.scan_count = 0;
    fake_host.predicate_count = 0;
    fake_host.column_count = 0;
    fake_host.partition_count = 0;
    fake_host.partitions_seen = 0;
    fake_host.prune_count = 0;
    fake_host.rows_pruned = 0;
    fake_host.partition_rows[0] = 0;
    fake_host.partition_rows[1] = 0;
    fake_host.limit = -1;
    fake_host.rows_delivered = 0;
    fake_host.resolve_count = 0;
    fake_host.calls_stopped = 0;
}

omen_engine_statement *fake_host_statement(void)
{
    static char statement;
    return (omen_engine_statement *)(void *)&statement;
}

static omen_status fail(omen_error *error, omen_status status, const char *sqlstate,
                        const char *message)
{
    if (error != NULL) {
        error->status = status;
        error->position = 0;
        snprintf(error->sqlstate, sizeof error->sqlstate, "%s", sqlstate);
        snprintf(error->message, sizeof error->message, "%s", message);
    }
    return status;
}

/* --- tables ----------------------------------------------------------------------------------- */

static bool is_big(enum table_kind kind)
{
    return kind == KIND_BIG || kind == KIND_FAILING_BIG;
}

static omen_status table_resolve(omen_engine_statement *statement, const char *name,
                                 size_t name_length, omen_engine_table **out, omen_error *error)
{
    *out = NULL;
    fake_host.resolve_count++;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        if (strlen(kind_names[kind]) != name_length ||
            memcmp(kind_names[kind], name, name_length) != 0)
            continue;
        omen_engine_table *table = calloc(1, sizeof *table);
        table->references = 1;
        table->kind = (enum table_kind)kind;
        table->info = (omen_engine_table_info){
            .name = kind_names[kind],
            .key_columns = key_columns,
            .key_column_count = 1,
            .identity = (uint64_t)(fake_host.generation * KIND_COUNT + kind),
        };
        fake_host.tables_alive++;
        *out = table;
        return OMEN_OK;
    }
    char message[128];
    char copy[64];
    snprintf(copy, sizeof copy, "%.*s", (int)name_length, name);
    snprintf(message, sizeof message, FAKE_UNDEFINED_MESSAGE, copy);
    return fail(error, OMEN_UNDEFINED_TABLE, "42P01", message);
}

static omen_engine_table *table_retain(omen_engine_table *table)
{
    table->references++;
    return table;
}

static void table_release(omen_engine_table *table)
{
    if (table != NULL && --table->references == 0) {
        fake_host.tables_alive--;
        free(table);
    }
}

static const omen_engine_table_info *table_info(const omen_engine_table *table)
{
    return &table->info;
}

/* --- schemas: one block for the children, formats and names are static ------------------------- */

static void child_schema_release(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void schema_release(struct ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (schema->children[i]->release != NULL)
            schema->children[i]->release(schema->children[i]);
    }
    free(schema->children);
    free(schema->private_data);
    schema->release = NULL;
}

static void make_schema(const uint32_t *chosen, uint32_t count, struct ArrowSchema *out)
{
    struct ArrowSchema *children = calloc(count + 1, sizeof *children);
    struct ArrowSchema **pointers = calloc(count + 1, sizeof *pointers);
    for (uint32_t i = 0; i < count; i++) {
        children[i] = (struct ArrowSchema){
            .format = columns[chosen[i]].format,
            .name = columns[chosen[i]].name,
            .flags = chosen[i] == COLUMN_ID ? 0 : ARROW_FLAG_NULLABLE,
            .release = child_schema_release,
        };
        pointers[i] = &children[i];
    }
    *out = (struct ArrowSchema){
        .format = "+s",
        .name = "",
        .n_children = count,
        .children = pointers,
        .release = schema_release,
        .private_data = children,
    };
}

static omen_status table_schema(const omen_engine_table *table, struct ArrowSchema *out,
                                omen_error *error)
{
    uint32_t first = table->kind == KIND_TYPED ? COLUMN_COUNT : 0;
    uint32_t all[TYPED_COLUMN_COUNT];
    for (uint32_t i = 0; i < TYPED_COLUMN_COUNT; i++)
        all[i] = first + i;
    make_schema(all, table->kind == KIND_TYPED ? TYPED_COLUMN_COUNT : COLUMN_COUNT, out);
    if (table->kind == KIND_NULL_FORMAT)
        out->children[1]->format = NULL;
    return OMEN_OK;
}

/* --- rows and predicates ----------------------------------------------------------------------- */

static int64_t rows_of(enum table_kind kind)
{
    if (kind == KIND_TYPED)
        return 0;
    return is_big(kind) ? FAKE_BIG_ROWS : SMALL_ROWS - fake_host.rows_missing;
}

/* What is known without reading: an estimate. */
static uint64_t row_count(const omen_engine_table *table, bool *exact)
{
    *exact = false;
    return is_big(table->kind) ? FAKE_BIG_ROWS : SMALL_ROWS;
}

static void column_statistics(const omen_engine_table *table, uint32_t column,
                              omen_engine_column_statistics *out)
{
    memset(out, 0, sizeof *out);
}

/* Row `index`; `name` is room for a computed name. */
static struct row row_at(enum table_kind kind, int64_t index, char name[48])
{
    if (!is_big(kind))
        return small_rows[index];
    snprintf(name, 48, "name of row %lld", (long long)index);
    return (struct row){index, name, true, index % 1000, true, index % 2 == 0};
}

static bool row_passes(const struct row *row, const omen_predicate *predicate)
{
    bool present = true;
    int64_t value = row->id;
    switch (predicate->column) {
    case COLUMN_NAME:
        present = row->name != NULL;
        break;
    case COLUMN_AMOUNT:
        present = row->has_amount;
        value = row->amount;
        break;
    case COLUMN_FLAG:
        present = row->has_flag;
        value = row->flag;
        break;
    }
    if (predicate->op == OMEN_IS_NULL || predicate->op == OMEN_IS_NOT_NULL)
        return present == (predicate->op == OMEN_IS_NOT_NULL);
    if (!present)
        return false;
    for (size_t i = 0; i < predicate->value_count; i++) {
        const omen_value *given = &predicate->values[i];
        int64_t other = predicate->column == COLUMN_FLAG ? given->as.boolean : given->as.i64;
        bool passes = (predicate->op == OMEN_NE && value != other) ||
                      (predicate->op == OMEN_LT && value < other) ||
                      (predicate->op == OMEN_LE && value <= other) ||
                      (predicate->op == OMEN_GT && value > other) ||
                      (predicate->op == OMEN_GE && value >= other) ||
                      ((predicate->op == OMEN_EQ || predicate->op == OMEN_IN) && value == other);
        if (passes)
            return true;
    }
    return false;
}

static uint32_t column_base(const omen_engine_table *table)
{
    return table->kind == KIND_TYPED ? COLUMN_COUNT : 0;
}

/* Aborts where the header's promise is broken: values are of the column's own type, not NULL. */
static omen_engine_support predicate_support(const omen_engine_table *table,
                                             const omen_predicate *predicate)
{
    const omen_type *wanted = &columns[column_base(table) + predicate->column].type;
    for (size_t i = 0; i < predicate->value_count; i++) {
        const omen_value *value = &predicate->values[i];
        if (value->type.id != wanted->id || value->type.precision != wanted->precision ||
            value->type.scale != wanted->scale || value->is_null)
            abort();
    }
    if (table->kind == KIND_PLAIN)
        return OMEN_ENGINE_UNSUPPORTED;
    if (table->kind == KIND_FICKLE && ((omen_engine_table *)(uintptr_t)table)->asked++ > 0)
        return OMEN_ENGINE_UNSUPPORTED;
    if (predicate->op == OMEN_IS_NULL || predicate->op == OMEN_IS_NOT_NULL)
        return OMEN_ENGINE_EXACT;
    bool is_name = table->kind != KIND_TYPED && predicate->column == COLUMN_NAME;
    return is_name ? OMEN_ENGINE_UNSUPPORTED : OMEN_ENGINE_EXACT;
}

static int describe_value(const omen_value *value, char *out, size_t room)
{
    switch (value->type.id) {
    case OMEN_TYPE_SMALLINT:
        return snprintf(out, room, " %d", value->as.i16);
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_DATE:
        return snprintf(out, room, " %d", value->as.i32);
    case OMEN_TYPE_REAL:
        return snprintf(out, room, " %g", (double)value->as.f32);
    case OMEN_TYPE_DOUBLE:
        return snprintf(out, room, " %g", value->as.f64);
    case OMEN_TYPE_DECIMAL:
        return snprintf(out, room, " %lld/%lld", (long long)value->as.decimal.high,
                        (long long)value->as.decimal.low);
    case OMEN_TYPE_BYTEA:
        return snprintf(out, room, " %.*s", (int)value->as.bytes.length, value->as.bytes.data);
    case OMEN_TYPE_UUID:
        return snprintf(out, room, " %02x..%02x", value->as.uuid[0], value->as.uuid[15]);
    default:
        return snprintf(out, room, " %lld", (long long)value->as.i64);
    }
}

/* Writes the scan's predicates into predicate_text. */
static void describe_predicates(const omen_engine_table *table, const omen_engine_scan *scan)
{
    static const char *const symbols[] = {
        "", "=", "<>", "<", "<=", ">", ">=", "in", "null", "not null",
    };
    char *out = fake_host.predicate_text;
    size_t room = sizeof fake_host.predicate_text;
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < scan->predicate_count; i++) {
        const omen_predicate *predicate = &scan->predicates[i];
        used += (size_t)snprintf(out + used, room - used, "%s%s %s", i > 0 ? "; " : "",
                                 columns[column_base(table) + predicate->column].name,
                                 symbols[predicate->op]);
        for (size_t j = 0; j < predicate->value_count; j++)
            used += (size_t)describe_value(&predicate->values[j], out + used, room - used);
    }
}

/* --- batches ----------------------------------------------------------------------------------- */

/* A child owns up to three buffers and the text heap's length. */
struct child {
    struct ArrowArray array;
    const void *buffers[CHILD_BUFFERS_MAX];
    int64_t heap_length;
};

static void child_release(struct ArrowArray *array)
{
    struct child *child = array->private_data;
    for (int i = 0; i < 3; i++)
        free((void *)(uintptr_t)child->buffers[i]);
    array->release = NULL;
}

static void array_release(struct ArrowArray *array)
{
    for (struct child *child = array->private_data; child->array.private_data != NULL; child++) {
        if (child->array.release != NULL)
            child->array.release(&child->array);
    }
    free(array->children);
    free(array->private_data);
    array->release = NULL;
    fake_host.arrays_alive--;
}

static void set_bit(uint8_t *bits, int64_t index)
{
    bits[index / 8] = (uint8_t)(bits[index / 8] | 1u << (index % 8));
}

/* One 16-byte view; long texts go to the heap. */
static void put_view(uint8_t *view, const char *text, char *heap, int64_t *heap_length)
{
    int32_t length = (int32_t)strlen(text);
    memcpy(view, &length, 4);
    if (length <= 12) {
        memcpy(view + 4, text, (size_t)length);
        return;
    }
    int32_t buffer = 0;
    int32_t offset = (int32_t)*heap_length;
    memcpy(view + 4, text, 4);
    memcpy(view + 8, &buffer, 4);
    memcpy(view + 12, &offset, 4);
    memcpy(heap + offset, text, (size_t)length);
    *heap_length += length;
}

static void make_child(struct child *child, uint32_t column, const struct row *rows,
                       int64_t row_count_batch)
{
    size_t count = (size_t)row_count_batch;
    uint8_t *validity = calloc(count / 8 + 1, 1);
    uint8_t *values = calloc(count + 1, 16);
    char *heap = column == COLUMN_NAME ? calloc(count + 1, 40) : NULL;
    int64_t nulls = 0;
    for (int64_t i = 0; i < row_count_batch; i++) {
        const struct row *row = &rows[i];
        bool present = column == COLUMN_ID || (column == COLUMN_NAME && row->name != NULL) ||
                       (column == COLUMN_AMOUNT && row->has_amount) ||
                       (column == COLUMN_FLAG && row->has_flag);
        if (!present) {
            nulls++;
            continue;
        }
        set_bit(validity, i);
        if (column == COLUMN_NAME)
            put_view(values + 16 * i, row->name, heap, &child->heap_length);
        else if (column == COLUMN_FLAG && row->flag)
            set_bit(values, i);
        else if (column != COLUMN_FLAG)
            memcpy(values + 8 * i, column == COLUMN_ID ? &row->id : &row->amount, 8);
    }
    child->buffers[0] = validity;
    child->buffers[1] = values;
    child->buffers[2] = heap;
    child->buffers[3] = &child->heap_length;
    child->array = (struct ArrowArray){
        .length = row_count_batch,
        .null_count = nulls,
        .n_buffers = column == COLUMN_NAME ? 4 : 2,
        .buffers = child->buffers,
        .release = child_release,
        .private_data = child,
    };
}

static void make_batch(const omen_engine_cursor *cursor, const struct row *rows, int64_t count,
                       struct ArrowArray *out)
{
    static const void *no_validity[1] = {NULL};
    /* One more than used: array_release stops at the first that was not made. */
    struct child *children = calloc(cursor->column_count + 1, sizeof *children);
    struct ArrowArray **pointers = calloc(cursor->column_count + 1, sizeof *pointers);
    for (uint32_t i = 0; i < cursor->column_count; i++) {
        make_child(&children[i], cursor->columns[i], rows, count);
        if (cursor->table->kind == KIND_SMALL)
            fake_host.values[cursor->columns[i]] = children[i].buffers[1];
        pointers[i] = &children[i].array;
    }
    *out = (struct ArrowArray){
        .length = count,
        .n_buffers = 1,
        .n_children = cursor->column_count,
        .buffers = no_validity,
        .children = pointers,
        .release = array_release,
        .private_data = children,
    };
    fake_host.arrays_alive++;
    if (cursor->table->kind == KIND_SHORT_BATCH && cursor->column_count > 0)
        out->n_children--;
    if (cursor->table->kind == KIND_NULL_BUFFERS && cursor->column_count > 0)
        children[0].array.buffers = NULL;
}

/* --- cursors ----------------------------------------------------------------------------------- */

static bool row_wanted(const omen_engine_cursor *cursor, const struct row *row)
{
    for (uint32_t i = 0; i < cursor->predicate_count; i++) {
        if (!row_passes(row, &cursor->predicates[i]))
            return false;
    }
    for (uint32_t i = 0; i < cursor->pruning_count; i++) {
        if (row_passes(row, &cursor->pruning[i]))
            continue;
        fake_host.rows_pruned++;
        return false;
    }
    return true;
}

static omen_status scan_next(omen_engine_cursor *cursor, struct ArrowArray *out, omen_error *error)
{
    enum table_kind kind = cursor->table->kind;
    memset(out, 0, sizeof *out);
    if ((kind == KIND_FAILING || kind == KIND_FAILING_BIG) && cursor->batches == 1)
        return fail(error, OMEN_CORRUPTED, "XX001", "page 7 of segment 3 is damaged");
    struct row *rows = calloc(BATCH_ROWS, sizeof *rows);
    char(*names)[48] = calloc(BATCH_ROWS, sizeof *names);
    int64_t count = 0;
    int64_t end = rows_of(kind);
    int64_t wanted = kind == KIND_DRIP ? 1 : BATCH_ROWS;
    for (; cursor->next < end && count < wanted && cursor->rows_left > 0;
         cursor->next += cursor->step) {
        rows[count] = row_at(kind, cursor->next, names[count]);
        if (row_wanted(cursor, &rows[count])) {
            count++;
            cursor->rows_left--;
        }
    }
    if (count > 0) {
        make_batch(cursor, rows, count, out);
        cursor->batches++;
        fake_host.rows_delivered += count;
        if (cursor->partition < 2)
            fake_host.partition_rows[cursor->partition] += count;
    }
    free(names);
    free(rows);
    return count > 0 ? OMEN_OK : OMEN_END_OF_DATA;
}

static void free_predicates(const omen_predicate *predicates, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free((void *)(uintptr_t)predicates[i].values);
}

static void copy_predicates(omen_predicate *copies, const omen_predicate *predicates,
                            uint32_t count)
{
    if (count > 16)
        abort();
    for (uint32_t i = 0; i < count; i++) {
        const omen_predicate *from = &predicates[i];
        omen_value *values = calloc(from->value_count + 1, sizeof *values);
        if (from->value_count > 0)
            memcpy(values, from->values, from->value_count * sizeof *values);
        copies[i] = *from;
        copies[i].values = values;
    }
}

/* Aborts where the header's promise is broken: each must be one that the scan applies. */
static omen_status scan_prune(omen_engine_cursor *cursor, const omen_predicate *predicates,
                              uint32_t predicate_count, omen_error *error)
{
    for (uint32_t i = 0; i < predicate_count; i++) {
        if (predicate_support(cursor->table, &predicates[i]) != OMEN_ENGINE_EXACT)
            abort();
    }
    free_predicates(cursor->pruning, cursor->pruning_count);
    copy_predicates(cursor->pruning, predicates, predicate_count);
    cursor->pruning_count = predicate_count;
    fake_host.prune_count += predicate_count > 0;
    return OMEN_OK;
}

static void scan_close(omen_engine_cursor *cursor)
{
    free_predicates(cursor->predicates, cursor->predicate_count);
    free_predicates(cursor->pruning, cursor->pruning_count);
    table_release(cursor->table);
    free(cursor);
    fake_host.cursors_alive--;
}

static omen_status scan_open(omen_engine_table *table, const omen_engine_scan *scan,
                             omen_engine_cursor **out, omen_error *error)
{
    fake_host.scan_count++;
    fake_host.predicate_count = (int)scan->predicate_count;
    fake_host.column_count = (int)scan->column_count;
    fake_host.partition_count = (int)scan->partition_count;
    fake_host.partitions_seen += scan->partition > 0;
    fake_host.limit = scan->limit == UINT64_MAX ? -1 : (long long)scan->limit;
    if (table->kind == KIND_TYPED)
        describe_predicates(table, scan);
    if (table->kind == KIND_UNOPENABLE)
        return fail(error, OMEN_IO_ERROR, "58030", "the disk is gone");
    omen_engine_cursor *cursor = calloc(1, sizeof *cursor);
    if (scan->column_count > sizeof cursor->columns / sizeof *cursor->columns)
        abort();
    cursor->table = table_retain(table);
    cursor->column_count = scan->column_count;
    for (uint32_t i = 0; i < scan->column_count; i++)
        cursor->columns[i] = column_base(table) + scan->columns[i];
    copy_predicates(cursor->predicates, scan->predicates, scan->predicate_count);
    cursor->predicate_count = scan->predicate_count;
    cursor->partition = scan->partition;
    cursor->rows_left = scan->limit;
    cursor->next = scan->partition;
    cursor->step = scan->partition_count;
    *out = cursor;
    fake_host.cursors_alive++;
    return OMEN_OK;
}

/* Functions too are the core's own. */
static omen_status function_call(const char *signature, size_t signature_length,
                                 const struct ArrowSchema *argument_schema,
                                 const struct ArrowArray *arguments, uint64_t rows,
                                 bool (*stopped)(void *context), void *stop_context,
                                 struct ArrowArray *out, omen_error *error)
{
    if (fake_host.call_endless && rows > 1) {
        for (uint64_t asks = 0; !stopped(stop_context); asks++) {
            if (asks == FAKE_ASKS_MAX)
                return fail(error, OMEN_INTERNAL, "XX000", "nobody stopped the function");
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        fake_host.calls_stopped++;
        return fail(error, OMEN_CANCELLED, "57014", "stopped");
    }
    return engine_host.function_call(signature, signature_length, argument_schema, arguments, rows,
                                     stopped, stop_context, out, error);
}

static omen_status function_result(const char *signature, size_t signature_length,
                                   struct ArrowSchema *out, omen_error *error)
{
    return engine_host.function_result(signature, signature_length, out, error);
}

const omen_engine_host *fake_host_functions(void)
{
    static const omen_engine_host functions = {
        .abi_version = OMEN_ENGINE_ABI_VERSION,
        .struct_bytes = sizeof(omen_engine_host),
        .table_resolve = table_resolve,
        .table_release = table_release,
        .table_info = table_info,
        .table_schema = table_schema,
        .predicate_support = predicate_support,
        .row_count = row_count,
        .column_statistics = column_statistics,
        .scan_open = scan_open,
        .scan_next = scan_next,
        .scan_prune = scan_prune,
        .scan_close = scan_close,
        .function_call = function_call,
        .function_result = function_result,
    };
    return &functions;
}
