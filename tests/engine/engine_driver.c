/* engine_driver.c - see engine_driver.h. */
#include "engine_driver.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_host.h"

enum { ANSWER_BYTES_MAX = 1 << 20 };

static const omen_engine *engine;
static omen_engine_instance *instance;
static char answer[ANSWER_BYTES_MAX];
static char failure[OMEN_ERROR_MESSAGE_BYTES + 16];
static size_t answer_length;
static int asks_left = -1;
static uint64_t timeout;

const omen_engine *driver_load(const char *path)
{
    if (path == NULL)
        path = getenv("OMENDB_ENGINE");
    void *library = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL)
        return NULL;
    omen_engine_entry_function entry;
    void *symbol = dlsym(library, "omen_engine_entry");
    memcpy(&entry, &symbol, sizeof entry);
    if (entry == NULL || entry(OMEN_ENGINE_ABI_VERSION + 1) != NULL || entry(0) != NULL) {
        fprintf(stderr, "%s: an engine must refuse other versions\n", path);
        exit(1);
    }
    engine = entry(OMEN_ENGINE_ABI_VERSION);
    return engine;
}

void driver_open(uint64_t memory_bytes_max, uint32_t thread_count)
{
    omen_engine_options options = {memory_bytes_max, thread_count};
    omen_error error = {0};
    omen_status status = engine->open(fake_host_functions(), &options, &instance, &error);
    assert_int_equal(status, OMEN_OK);
    assert_non_null(instance);
    fake_host_reset();
}

void driver_close_early(void)
{
    engine->close(instance);
    instance = NULL;
}

void driver_close(void)
{
    driver_close_early();
    assert_int_equal(fake_host.cursors_alive, 0);
    assert_int_equal(fake_host.tables_alive, 0);
    assert_int_equal(fake_host.arrays_alive, 0);
}

omen_engine_instance *driver_instance(void)
{
    return instance;
}

void driver_interrupt(int asks, uint64_t timeout_ms)
{
    asks_left = asks;
    timeout = timeout_ms;
}

omen_engine_counters driver_counters(void)
{
    omen_engine_counters counters = {.struct_bytes = sizeof counters};
    engine->counters(instance, &counters);
    assert_int_equal(counters.struct_bytes, sizeof counters);
    return counters;
}

static bool interrupted(void *context)
{
    int *left = context;
    if (*left > 0)
        (*left)--;
    return *left == 0;
}

static omen_engine_query query_of(const char *sql)
{
    return (omen_engine_query){.sql = sql,
                               .length = strlen(sql),
                               .timeout_ms = timeout,
                               .interrupted = interrupted,
                               .interrupt_context = &asks_left};
}

omen_status driver_start(const char *sql, struct ArrowArrayStream *stream, omen_error *error)
{
    const omen_engine_query query = {.sql = sql, .length = strlen(sql)};
    return engine->query(instance, fake_host_statement(), &query, stream, error);
}

static void OMEN_PRINTF(1, 2) put(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(answer + answer_length, sizeof answer - answer_length, format, arguments);
    va_end(arguments);
    answer_length += (size_t)wanted;
    assert_true(answer_length < sizeof answer);
}

static bool is_valid(const struct ArrowArray *array, int64_t index)
{
    const uint8_t *validity = array->buffers[0];
    return validity == NULL || (validity[index / 8] >> (index % 8) & 1) != 0;
}

static void put_view(const struct ArrowArray *array, int64_t index)
{
    const uint8_t *view = (const uint8_t *)array->buffers[1] + 16 * index;
    int32_t length;
    int32_t place[2];
    memcpy(&length, view, 4);
    memcpy(place, view + 8, 8);
    const char *text = (const char *)view + 4;
    if (length > 12)
        text = (const char *)array->buffers[2 + place[0]] + place[1];
    put("%.*s", length, text);
}

static void put_value(const struct ArrowArray *array, const char *format, int64_t index)
{
    const void *values = array->buffers[1];
    assert_int_equal(array->offset, 0);
    if (!is_valid(array, index))
        put("NULL");
    else if (strcmp(format, "s") == 0)
        put("%d", ((const int16_t *)values)[index]);
    else if (strcmp(format, "i") == 0 || strcmp(format, "tdD") == 0)
        put("%" PRId32, ((const int32_t *)values)[index]);
    else if (strcmp(format, "l") == 0 || strncmp(format, "tsu:", 4) == 0)
        put("%" PRId64, ((const int64_t *)values)[index]);
    else if (strcmp(format, "g") == 0)
        put("%g", ((const double *)values)[index]);
    else if (strcmp(format, "b") == 0)
        put("%s", (((const uint8_t *)values)[index / 8] >> (index % 8) & 1) != 0 ? "true" : "false");
    else if (strncmp(format, "d:", 2) == 0)
        put("%" PRId64 "(%s)", ((const int64_t *)values)[2 * index], format + 2);
    else if (strcmp(format, "vu") == 0)
        put_view(array, index);
    else if (strcmp(format, "u") == 0)
        put("%.*s",
            ((const int32_t *)values)[index + 1] - ((const int32_t *)values)[index],
            (const char *)array->buffers[2] + ((const int32_t *)values)[index]);
    else
        fail_msg("a result column has the format %s", format);
}

static void put_batch(const struct ArrowArray *batch, const struct ArrowSchema *schema)
{
    assert_int_equal(batch->n_children, schema->n_children);
    for (int64_t row = 0; row < batch->length; row++) {
        if (answer_length > 0)
            put("\n");
        for (int64_t column = 0; column < batch->n_children; column++) {
            put("%s", column > 0 ? "|" : "");
            put_value(batch->children[column], schema->children[column]->format, row);
        }
    }
}

/* Reads the stream into `answer`. Batches are released after everything else, some of them. */
static bool drain(struct ArrowArrayStream *stream)
{
    struct ArrowSchema schema;
    struct ArrowArray batch;
    int code = stream->get_schema(stream, &schema);
    assert_int_equal(code, 0);
    for (;;) {
        code = stream->get_next(stream, &batch);
        if (code != 0 || batch.release == NULL)
            break;
        put_batch(&batch, &schema);
        batch.release(&batch);
    }
    if (code != 0) {
        snprintf(failure, sizeof failure, "%s", stream->get_last_error(stream));
        /* A failed stream stays failed. */
        assert_int_not_equal(stream->get_next(stream, &batch), 0);
    }
    schema.release(&schema);
    stream->release(stream);
    assert_null(stream->release);
    return code == 0;
}

static bool run(const char *sql, const omen_value *parameters, uint32_t count, bool explain)
{
    struct ArrowArrayStream stream;
    omen_error error = {0};
    answer_length = 0;
    answer[0] = '\0';
    omen_engine_query query = query_of(sql);
    query.parameters = parameters;
    query.parameter_count = count;
    omen_status status =
        explain ? engine->explain(instance, fake_host_statement(), &query, &stream, &error)
                : engine->query(instance, fake_host_statement(), &query, &stream, &error);
    if (status == OMEN_OK)
        return drain(&stream);
    assert_int_equal(error.status, status);
    assert_int_equal(strlen(error.sqlstate), 5);
    assert_true(strlen(error.message) > 0);
    snprintf(failure, sizeof failure, "%s %s", error.sqlstate, error.message);
    return false;
}

const char *driver_run_with(const char *sql, const omen_value *parameters, uint32_t count)
{
    fake_host_reset();
    if (!run(sql, parameters, count, false))
        fail_msg("%s: %s", sql, failure);
    return answer;
}

const char *driver_run(const char *sql)
{
    return driver_run_with(sql, NULL, 0);
}

const char *driver_explain(const char *sql)
{
    fake_host_reset();
    if (!run(sql, NULL, 0, true))
        fail_msg("EXPLAIN %s: %s", sql, failure);
    return answer;
}

const char *driver_fail(const char *sql)
{
    fake_host_reset();
    if (run(sql, NULL, 0, false))
        fail_msg("%s: no error, but the answer %s", sql, answer);
    return failure;
}

void expect(const char *sql, const char *wanted)
{
    const char *got = driver_run(sql);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s\n  gives:  %s\n  wanted: %s", sql, got, wanted);
}

void expect_error(const char *sql, const char *sqlstate, const char *message_part)
{
    const char *got = driver_fail(sql);
    if (strncmp(got, sqlstate, 5) != 0 || strstr(got + 5, message_part) == NULL)
        fail_msg("%s\n  fails with: %s\n  wanted:     %s ... %s", sql, got, sqlstate, message_part);
}
