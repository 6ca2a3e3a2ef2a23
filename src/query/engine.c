/* engine.c - starting the engine and running statements in it. */
#include "query/engine.h"

#include <stdio.h>
#include <string.h>

#include "query/engine_host.h"
#include "query/result.h"
#include "store/engine_library.h"

struct engine_state {
    const omen_engine *engine;
    omen_engine_instance *instance;
};

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
    omen_status status = engine_library_load(database, &state->engine, error);
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
    session_progress_begin(session);
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
