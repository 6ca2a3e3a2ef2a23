/* engine_function.c - the core's functions, called by an engine for a batch of rows.
 *
 *   Arrow columns --argument_read--> values --evaluate_call--> value --result_put--> column
 *
 * A call sees no database, so its memory is counted apart, without a limit: it is a batch's result
 * and what one row's computation needs. INTERVAL crosses as Arrow's month-day-nanosecond intervals.
 *
 * Concurrency: pure; any thread. Results are counted: the parent and its column may be released
 * apart, by any thread.
 * Source: https://arrow.apache.org/docs/format/CDataInterface.html and Columnar.html
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "column/decimal.h"
#include "column/schema.h"
#include "query/engine_host.h"
#include "sql/engine_text.h"
#include "sql/evaluate.h"

enum {
    VIEW_INLINE_BYTES = 12,
    ARENA_BYTES_KEPT = 64 << 10, /* what rows may leave in the arena before it is emptied */
    FORMAT_BYTES_MAX = 24,
};

/* All zero: no limit. */
static struct allocator function_allocator;

/* Arrow's month_day_nano, beside struct interval. */
struct arrow_interval {
    int32_t months, days;
    int64_t nanoseconds;
};

struct arrow_view {
    int32_t length;
    union {
        uint8_t inlined[VIEW_INLINE_BYTES];
        struct {
            uint8_t prefix[4];
            int32_t buffer, offset;
        } outside;
    };
};

_Static_assert(sizeof(struct arrow_view) == 16 && sizeof(struct arrow_interval) == 16,
               "as Arrow lays them out");

/* An engine's bitmaps may start at any byte. */
static bool bitmap_get(const uint8_t *bytes, uint64_t position)
{
    return bytes[position / 8] >> (position % 8) & 1;
}

static void bitmap_set(uint8_t *bytes, uint64_t position)
{
    bytes[position / 8] |= (uint8_t)(1u << (position % 8));
}

/* --- types --- */

static uint32_t width_of(omen_type_id type)
{
    return (int)type == SQL_TYPE_INTERVAL ? 16 : type_width(type);
}

static bool is_view(omen_type_id type)
{
    return (int)type != SQL_TYPE_INTERVAL && type_is_view(type);
}

static void format_of(omen_type type, char format[FORMAT_BYTES_MAX])
{
    static const char *const formats[] = {
        [OMEN_TYPE_NONE] = "vu",
        [OMEN_TYPE_BOOLEAN] = "b",
        [OMEN_TYPE_SMALLINT] = "s",
        [OMEN_TYPE_INTEGER] = "i",
        [OMEN_TYPE_BIGINT] = "l",
        [OMEN_TYPE_REAL] = "f",
        [OMEN_TYPE_DOUBLE] = "g",
        [OMEN_TYPE_DECIMAL] = "d:",
        [OMEN_TYPE_TEXT] = "vu",
        [OMEN_TYPE_VARCHAR] = "vu",
        [OMEN_TYPE_CHAR] = "vu",
        [OMEN_TYPE_BYTEA] = "vz",
        [OMEN_TYPE_DATE] = "tdD",
        [OMEN_TYPE_TIMESTAMP] = "tsu:",
        [OMEN_TYPE_TIMESTAMPTZ] = "tsu:UTC",
        [OMEN_TYPE_UUID] = "w:16",
    };
    if (type.id == OMEN_TYPE_DECIMAL)
        snprintf(format, FORMAT_BYTES_MAX, "d:%d,%d", type.precision, type.scale);
    else
        snprintf(format, FORMAT_BYTES_MAX, "%s",
                 (int)type.id == SQL_TYPE_INTERVAL ? "tin" : formats[type.id]);
}

/* --- arguments --- */

struct argument {
    omen_type type;
    bool all_null;
    int64_t offset;
    const uint8_t *validity; /* NULL: no NULLs */
    const uint8_t *values;
    const void *const *heaps; /* of views */
};

/* An engine's decimals may have fewer digits than the core knows of, never another scale. */
static omen_status argument_open(const struct ArrowSchema *schema, const struct ArrowArray *array,
                                 int64_t offset, omen_type type, struct argument *out,
                                 omen_error *error)
{
    char wanted[FORMAT_BYTES_MAX];
    int precision, scale;
    format_of(type, wanted);
    *out = (struct argument){.type = type, .offset = offset + array->offset};
    if (strcmp(schema->format, "n") == 0) {
        out->all_null = true;
        return OMEN_OK;
    }
    bool same = strcmp(schema->format, wanted) == 0;
    if (type.id == OMEN_TYPE_DECIMAL && sscanf(schema->format, "d:%d,%d", &precision, &scale) == 2)
        same = scale == type.scale && strchr(strchr(schema->format, ',') + 1, ',') == NULL;
    if (type.id == OMEN_TYPE_TIMESTAMPTZ && strncmp(schema->format, "tsu:", 4) == 0)
        same = schema->format[4] != '\0';
    if (!same || array->n_buffers < 2)
        return error_set(error, OMEN_INTERNAL,
                         "the SQL engine gave an argument of the type %.40s for one of %s",
                         schema->format, wanted);
    out->validity = array->null_count == 0 ? NULL : array->buffers[0];
    out->values = array->buffers[1];
    out->heaps = array->buffers + 2;
    return OMEN_OK;
}

static void read_view(const struct argument *argument, const uint8_t *cell, omen_value *out)
{
    struct arrow_view view;
    memcpy(&view, cell, sizeof view);
    out->as.bytes.length = (size_t)view.length;
    if (view.length <= VIEW_INLINE_BYTES)
        out->as.bytes.data = cell + offsetof(struct arrow_view, inlined);
    else
        out->as.bytes.data =
            (const uint8_t *)argument->heaps[view.outside.buffer] + view.outside.offset;
}

static void argument_read(const struct argument *argument, int64_t row, omen_value *out)
{
    uint64_t position = (uint64_t)(argument->offset + row);
    out->type = argument->type;
    out->is_null = argument->all_null ||
                   (argument->validity != NULL && !bitmap_get(argument->validity, position));
    if (out->is_null)
        return;
    if (argument->type.id == OMEN_TYPE_BOOLEAN) {
        out->as.boolean = bitmap_get(argument->values, position);
        return;
    }
    uint32_t width = width_of(argument->type.id);
    const uint8_t *cell = argument->values + position * width;
    if (is_view(argument->type.id)) {
        read_view(argument, cell, out);
    } else if ((int)argument->type.id == SQL_TYPE_INTERVAL) {
        struct arrow_interval given;
        memcpy(&given, cell, sizeof given);
        struct interval interval = {
            .months = given.months, .days = given.days, .microseconds = given.nanoseconds / 1000};
        memcpy(out->as.uuid, &interval, sizeof interval);
    } else {
        memcpy(&out->as, cell, width);
    }
}

/* --- results --- */

/* One column and its parent; all in here. */
struct result {
    atomic_uint references;
    omen_type type;
    uint64_t row_count;
    uint8_t *validity, *values, *heap;
    size_t heap_length, heap_capacity;
    int64_t heap_size; /* what Arrow has behind a view's buffers: their lengths */
    int64_t null_count;
    const void *buffers[4], *no_buffers[1];
    struct ArrowArray column;
    struct ArrowArray *children[1];
};

static size_t bitmap_bytes(uint64_t row_count)
{
    return (size_t)(row_count + 7) / 8 + 1;
}

static size_t value_bytes(const struct result *result)
{
    if (result->type.id == OMEN_TYPE_BOOLEAN)
        return bitmap_bytes(result->row_count);
    return (size_t)result->row_count * width_of(result->type.id) + 1;
}

static void result_release(struct result *result)
{
    /* Release pairs with the acquire of whoever comes last. */
    if (atomic_fetch_sub_explicit(&result->references, 1, memory_order_acq_rel) != 1)
        return;
    allocator_free(&function_allocator, result->heap, result->heap_capacity);
    allocator_free(&function_allocator, result->values, value_bytes(result));
    allocator_free(&function_allocator, result->validity, bitmap_bytes(result->row_count));
    allocator_free(&function_allocator, result, sizeof *result);
}

static void release_column(struct ArrowArray *array)
{
    struct result *result = array->private_data;
    array->release = NULL;
    result_release(result);
}

static void release_parent(struct ArrowArray *array)
{
    struct result *result = array->private_data;
    if (array->children[0]->release != NULL)
        array->children[0]->release(array->children[0]);
    array->release = NULL;
    result_release(result);
}

static struct result *result_create(omen_type type, uint64_t row_count)
{
    struct result *result = allocator_alloc_zeroed(&function_allocator, sizeof *result);
    if (result == NULL)
        return NULL;
    atomic_init(&result->references, 1);
    result->type = type;
    result->row_count = row_count;
    result->validity = allocator_alloc_zeroed(&function_allocator, bitmap_bytes(row_count));
    result->values = allocator_alloc_zeroed(&function_allocator, value_bytes(result));
    if (result->validity != NULL && result->values != NULL)
        return result;
    result_release(result);
    return NULL;
}

/* Room for `length` more bytes of text. */
static omen_status reserve_heap(struct result *result, size_t length, omen_error *error)
{
    if (length <= result->heap_capacity - result->heap_length)
        return OMEN_OK;
    if (result->heap_length + length > INT32_MAX)
        return error_set(error, OMEN_LIMIT_EXCEEDED, "a batch's texts are longer than 2 GiB");
    size_t capacity = 2 * (result->heap_length + length);
    capacity = size_min(size_max(capacity, 4096), INT32_MAX);
    uint8_t *heap =
        allocator_resize(&function_allocator, result->heap, result->heap_capacity, capacity);
    if (heap == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    result->heap = heap;
    result->heap_capacity = capacity;
    return OMEN_OK;
}

static omen_status put_view(struct result *result, uint8_t *cell, omen_bytes bytes,
                            omen_error *error)
{
    struct arrow_view view = {.length = (int32_t)bytes.length};
    if (bytes.length <= VIEW_INLINE_BYTES) {
        if (bytes.length > 0)
            memcpy(view.inlined, bytes.data, bytes.length);
    } else {
        if (bytes.length > INT32_MAX)
            return error_set(error, OMEN_LIMIT_EXCEEDED, "a text is longer than 2 GiB");
        OMEN_TRY(reserve_heap(result, bytes.length, error));
        memcpy(view.outside.prefix, bytes.data, sizeof view.outside.prefix);
        view.outside.offset = (int32_t)result->heap_length;
        memcpy(result->heap + result->heap_length, bytes.data, bytes.length);
        result->heap_length += bytes.length;
    }
    memcpy(cell, &view, sizeof view);
    return OMEN_OK;
}

static omen_status put_interval(uint8_t *cell, const omen_value *value, omen_error *error)
{
    struct interval interval;
    memcpy(&interval, value->as.uuid, sizeof interval);
    struct arrow_interval given = {.months = interval.months, .days = interval.days};
    if (__builtin_mul_overflow(interval.microseconds, INT64_C(1000), &given.nanoseconds))
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "an interval of more than 292 years in hours is not supported here");
    memcpy(cell, &given, sizeof given);
    return OMEN_OK;
}

static omen_status result_put(struct result *result, uint64_t row, const omen_value *value,
                              omen_error *error)
{
    if (value->is_null) {
        result->null_count++;
        return OMEN_OK;
    }
    bitmap_set(result->validity, row);
    if (result->type.id == OMEN_TYPE_BOOLEAN) {
        if (value->as.boolean)
            bitmap_set(result->values, row);
        return OMEN_OK;
    }
    if (result->type.id == OMEN_TYPE_DECIMAL && value->type.scale != result->type.scale)
        return error_set(error, OMEN_INTERNAL, "a function gave %d digits instead of %d",
                         value->type.scale, result->type.scale);
    uint32_t width = width_of(result->type.id);
    uint8_t *cell = result->values + row * width;
    if (is_view(result->type.id))
        return put_view(result, cell, value->as.bytes, error);
    if ((int)result->type.id == SQL_TYPE_INTERVAL)
        return put_interval(cell, value, error);
    memcpy(cell, &value->as, width);
    return OMEN_OK;
}

/* Hands the result over. */
static void result_finish(struct result *result, struct ArrowArray *out)
{
    bool views = is_view(result->type.id), heap = views && result->heap_length > 0;
    int64_t buffer_count = 0;
    result->buffers[buffer_count++] = result->null_count > 0 ? result->validity : NULL;
    result->buffers[buffer_count++] = result->values;
    if (heap)
        result->buffers[buffer_count++] = result->heap;
    result->heap_size = (int64_t)result->heap_length;
    if (views)
        result->buffers[buffer_count++] = &result->heap_size;
    result->column = (struct ArrowArray){.length = (int64_t)result->row_count,
                                         .null_count = result->null_count,
                                         .n_buffers = buffer_count,
                                         .buffers = result->buffers,
                                         .release = release_column,
                                         .private_data = result};
    result->children[0] = &result->column;
    atomic_store_explicit(&result->references, 2, memory_order_relaxed);
    *out = (struct ArrowArray){.length = (int64_t)result->row_count,
                               .n_buffers = 1,
                               .n_children = 1,
                               .buffers = result->no_buffers,
                               .children = result->children,
                               .release = release_parent,
                               .private_data = result};
}

/* --- calls --- */

static omen_status open_arguments(const struct engine_call *call, const struct ArrowSchema *schema,
                                  const struct ArrowArray *arguments, struct argument *out,
                                  omen_error *error)
{
    uint32_t count = call->argument_count + call->takes_now;
    if (arguments->n_children != count || schema->n_children != count)
        return error_set(error, OMEN_INTERNAL, "the SQL engine gave %" PRId64 " arguments for %u",
                         arguments->n_children, count);
    for (uint32_t i = 0; i < count; i++) {
        omen_type type = {.id = OMEN_TYPE_TIMESTAMPTZ};
        if (i >= call->takes_now)
            type = call->arguments[i - call->takes_now];
        OMEN_TRY(argument_open(schema->children[i], arguments->children[i], arguments->offset, type,
                               &out[i], error));
    }
    return OMEN_OK;
}

/* Whether the engine wants the result no more. */
struct stop {
    bool (*asked)(void *context); /* NULL: never */
    void *context;
};

static omen_status call_rows(const struct engine_call *call, const struct argument *arguments,
                             struct stop stop, struct arena *arena, struct result *result,
                             omen_error *error)
{
    uint32_t count = call->argument_count + call->takes_now;
    omen_value values[ENGINE_CALL_ARGUMENTS_MAX + 1];
    struct call_context context = {
        .arena = arena, .result = call->result, .argument_count = call->argument_count};
    for (uint64_t row = 0; row < result->row_count; row++) {
        omen_value value;
        if (stop.asked != NULL && stop.asked(stop.context))
            return error_set_default(error, OMEN_CANCELLED);
        for (uint32_t i = 0; i < count; i++)
            argument_read(&arguments[i], (int64_t)row, &values[i]);
        if (call->takes_now)
            context.now = values[0].as.i64;
        OMEN_TRY(evaluate_call(call->line, call->explicit_cast, &context, values + call->takes_now,
                               &value, error));
        OMEN_TRY(result_put(result, row, &value, error));
        if (arena->used > ARENA_BYTES_KEPT)
            arena_reset(arena);
    }
    return OMEN_OK;
}

omen_status engine_function_call(const char *signature, size_t signature_length,
                                 const struct ArrowSchema *argument_schema,
                                 const struct ArrowArray *arguments, uint64_t row_count,
                                 bool (*stopped)(void *context), void *stop_context,
                                 struct ArrowArray *out, omen_error *error)
{
    struct engine_call call;
    struct argument opened[ENGINE_CALL_ARGUMENTS_MAX + 1];
    memset(out, 0, sizeof *out);
    OMEN_TRY(engine_call_read(signature, signature_length, &call, error));
    OMEN_TRY(open_arguments(&call, argument_schema, arguments, opened, error));
    struct arena arena;
    arena_init(&arena, &function_allocator);
    struct result *result = result_create(call.result, row_count);
    struct stop stop = {.asked = stopped, .context = stop_context};
    omen_status status = result == NULL ? error_set_default(error, OMEN_OUT_OF_MEMORY)
                                        : call_rows(&call, opened, stop, &arena, result, error);
    if (status == OMEN_OK)
        result_finish(result, out);
    else if (result != NULL)
        result_release(result);
    arena_release(&arena);
    return status;
}

/* --- the result's type --- */

struct result_schema {
    atomic_uint references;
    char format[FORMAT_BYTES_MAX];
    struct ArrowSchema column;
    struct ArrowSchema *children[1];
};

static void release_column_schema(struct ArrowSchema *schema)
{
    struct result_schema *owner = schema->private_data;
    schema->release = NULL;
    /* Release pairs with the acquire of whoever comes last. */
    if (atomic_fetch_sub_explicit(&owner->references, 1, memory_order_acq_rel) == 1)
        allocator_free(&function_allocator, owner, sizeof *owner);
}

static void release_parent_schema(struct ArrowSchema *schema)
{
    if (schema->children[0]->release != NULL)
        schema->children[0]->release(schema->children[0]);
    release_column_schema(schema);
}

omen_status engine_function_result(const char *signature, size_t signature_length,
                                   struct ArrowSchema *out, omen_error *error)
{
    struct engine_call call;
    memset(out, 0, sizeof *out);
    OMEN_TRY(engine_call_read(signature, signature_length, &call, error));
    struct result_schema *schema = allocator_alloc_zeroed(&function_allocator, sizeof *schema);
    if (schema == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    atomic_init(&schema->references, 2);
    format_of(call.result, schema->format);
    schema->column = (struct ArrowSchema){.format = schema->format,
                                          .name = "result",
                                          .flags = ARROW_FLAG_NULLABLE,
                                          .release = release_column_schema,
                                          .private_data = schema};
    schema->children[0] = &schema->column;
    *out = (struct ArrowSchema){.format = "+s",
                                .name = "",
                                .n_children = 1,
                                .children = schema->children,
                                .release = release_parent_schema,
                                .private_data = schema};
    return OMEN_OK;
}
