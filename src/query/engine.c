/* engine.c - loading the engine's shared object and running statements in it.
 *
 * The engine is looked for where the options say, else where OMENDB_ENGINE says, else beside
 * this library. A failed attempt is not remembered: the next statement tries again. A loaded
 * object is never unloaded, because its threads may outlast the database.
 */
#include "query/engine.h"

#include <stdio.h>
#include <string.h>

#include "query/engine_host.h"
#include "query/result.h"

enum { PATH_BYTES_MAX = 4096 };

struct engine_state {
    const omen_engine *engine;
    omen_engine_instance *instance;
};

static omen_status find_path(const struct database *database, char *path, omen_error *error)
{
    const char *given = database->engine_path;
    if (given == NULL)
        given = database->os->environment(database->os, "OMENDB_ENGINE");
    if (given != NULL && given[0] != '\0') {
        if (snprintf(path, PATH_BYTES_MAX, "%s", given) < PATH_BYTES_MAX)
            return OMEN_OK;
        return error_set(error, OMEN_ENGINE_MISSING, "the path of the SQL engine is too long");
    }
    static const char file[] = "/libomendb_engine.so";
    OMEN_TRY(database->os->own_folder(database->os, path, PATH_BYTES_MAX - sizeof file, error));
    memcpy(path + strlen(path), file, sizeof file);
    return OMEN_OK;
}

/* Loads the shared object and checks that it speaks this version of the ABI. */
static omen_status load_engine(const struct database *database, const omen_engine **out,
                               omen_error *error)
{
    char path[PATH_BYTES_MAX];
    void *library = NULL;
    omen_error reason = {.message = ""};
    const struct os *os = database->os;
    OMEN_TRY(find_path(database, path, error));
    if (os->library_open(os, path, &library, &reason) != OMEN_OK)
        return error_set(error, OMEN_ENGINE_MISSING,
                         "this statement needs the SQL engine, and \"%.200s\" could not be "
                         "loaded (set OMENDB_ENGINE to its path): %.200s",
                         path, reason.message);
    omen_engine_entry_function entry;
    void *symbol = os->library_symbol(os, library, "omen_engine_entry");
    memcpy(&entry, &symbol, sizeof entry);
    if (symbol == NULL) {
        os->library_close(os, library);
        return error_set(error, OMEN_ENGINE_MISSING,
                         "\"%.300s\" is not an OmenDB engine: it has no omen_engine_entry", path);
    }
    *out = entry(OMEN_ENGINE_ABI_VERSION);
    if (*out == NULL || (*out)->abi_version != OMEN_ENGINE_ABI_VERSION ||
        (*out)->struct_bytes != sizeof(omen_engine)) {
        *out = NULL;
        os->library_close(os, library);
        return error_set(error, OMEN_ENGINE_MISSING,
                         "the SQL engine \"%.300s\" is of another version: this library speaks "
                         "version %d of the engine interface",
                         path, OMEN_ENGINE_ABI_VERSION);
    }
    return OMEN_OK;
}

static void close_engine(struct database *database)
{
    struct engine_state *state = database->engine;
    database->engine = NULL;
    state->engine->close(state->instance);
    allocator_free(database->allocator, state, sizeof *state);
}

/* Loads and starts. The caller holds engine_lock. */
static omen_status start_engine(struct database *database, omen_error *error)
{
    const omen_engine_options options = {
        .memory_bytes_max = database->engine_memory_bytes_max,
        .thread_count = database->engine_thread_count,
    };
    struct engine_state *state = allocator_alloc_zeroed(database->allocator, sizeof *state);
    if (state == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_status status = load_engine(database, &state->engine, error);
    if (status == OMEN_OK)
        status = state->engine->open(&engine_host, &options, &state->instance, error);
    if (status != OMEN_OK) {
        allocator_free(database->allocator, state, sizeof *state);
        return status;
    }
    database->engine = state;
    database->engine_close = close_engine;
    return OMEN_OK;
}

/* The running engine. It lives as long as the database is open, and so as long as a statement
 * of a connection runs. */
static omen_status engine_of(struct database *database, const struct engine_state **out,
                             omen_error *error)
{
    omen_status status = OMEN_OK;
    mutex_lock(&database->engine_lock);
    if (database->engine == NULL)
        status = start_engine(database, error);
    *out = database->engine;
    mutex_unlock(&database->engine_lock);
    return status;
}

static bool session_interrupted(void *context)
{
    struct session *session = context;
    return atomic_load_explicit(&session->interrupted, memory_order_relaxed);
}

/* What is left until the deadline, at least one millisecond; 0 where there is none. */
static uint64_t time_left_ms(const struct session *session, uint64_t deadline_ns)
{
    const struct os *os = session->database->os;
    if (deadline_ns == 0)
        return 0;
    uint64_t now = os->monotonic_ns(os);
    return now < deadline_ns ? (deadline_ns - now + 999999) / 1000000 : 1;
}

static omen_engine_query query_of(struct session *session, const struct engine_text *text,
                                  const omen_value *parameters, uint32_t parameter_count,
                                  uint64_t deadline_ns)
{
    return (omen_engine_query){
        .sql = text->text,
        .length = text->length,
        .parameters = parameters,
        .parameter_count = parameter_count,
        .timeout_ms = time_left_ms(session, deadline_ns),
        .interrupted = session_interrupted,
        .interrupt_context = session,
    };
}

omen_status engine_query(struct session *session, const struct engine_text *text,
                         const omen_value *parameters, uint32_t parameter_count,
                         uint64_t deadline_ns, struct ArrowArrayStream *out, omen_error *error)
{
    const struct engine_state *state;
    omen_engine_statement *statement;
    const omen_engine_query query =
        query_of(session, text, parameters, parameter_count, deadline_ns);
    memset(out, 0, sizeof *out);
    OMEN_TRY(engine_of(session->database, &state, error));
    OMEN_TRY(engine_statement_open(session, text, &statement, error));
    omen_status status = state->engine->query(state->instance, statement, &query, out, error);
    engine_statement_close(statement);
    if (status != OMEN_OK)
        return status;
    session_count(&session->route_engine, 1);
    return result_keep_session(session, out, error); /* it asks whether it is interrupted */
}

omen_status engine_explain(struct session *session, const struct engine_text *text,
                           const omen_value *parameters, uint32_t parameter_count,
                           struct ArrowArrayStream *out, omen_error *error)
{
    const struct engine_state *state;
    omen_engine_statement *statement;
    const omen_engine_query query = query_of(session, text, parameters, parameter_count, 0);
    memset(out, 0, sizeof *out);
    OMEN_TRY(engine_of(session->database, &state, error));
    OMEN_TRY(engine_statement_open(session, text, &statement, error));
    omen_status status = state->engine->explain(state->instance, statement, &query, out, error);
    engine_statement_close(statement);
    return status == OMEN_OK ? result_keep_session(session, out, error) : status;
}

void engine_counters_of(struct database *database, omen_engine_counters *out)
{
    *out = (omen_engine_counters){.struct_bytes = sizeof *out};
    mutex_lock(&database->engine_lock);
    if (database->engine != NULL) {
        const struct engine_state *state = database->engine;
        state->engine->counters(state->instance, out);
    }
    mutex_unlock(&database->engine_lock);
}
