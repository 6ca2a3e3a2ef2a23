/* explain.c - EXPLAIN: the route, the reason, and the engine's plan where it would answer. */
#include <stdio.h>
#include <string.h>

#include "query/decode.h"
#include "query/plan.h"

/* Rows of one text column, grown in the arena. */
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

static omen_status add_engine_plan(struct plan *plan, struct run *run, struct lines *lines,
                                   omen_error *error)
{
    struct ArrowArrayStream stream;
    struct decoder *decoder;
    OMEN_TRY(query_explain_engine(&plan->rows, run, &stream, error));
    OMEN_TRY(decoder_create(plan->arena.allocator, &stream, &decoder, error));
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

/* Why the route is what it is. */
static const char *reason_of(const struct plan *plan, enum route route)
{
    if (plan->rows.query == NULL || route == plan->rows.route)
        return plan->rows.reason;
    return "omen.route = engine";
}

omen_status explain_run(struct plan *plan, struct run *run, struct value_rows *rows,
                        omen_error *error)
{
    static const char *const names[] = {"QUERY PLAN"};
    static const omen_type types[] = {{.id = OMEN_TYPE_TEXT}};
    struct lines lines = {.arena = run->scratch};
    enum route route = ROUTE_BY_CORE;
    char text[256];
    if (plan->rows.query != NULL)
        OMEN_TRY(query_choose(&plan->rows, run->session, false, &route, error));
    int length = snprintf(text, sizeof text, "route: %s", route_name(route));
    OMEN_TRY(add_line(&lines, text, (size_t)length, error));
    length = snprintf(text, sizeof text, "reason: %s", reason_of(plan, route));
    OMEN_TRY(add_line(&lines, text, (size_t)length, error));
    if (route == ROUTE_BY_ENGINE)
        OMEN_TRY(add_engine_plan(plan, run, &lines, error));
    *rows = (struct value_rows){.column_count = 1,
                                .names = names,
                                .types = types,
                                .row_count = lines.count,
                                .values = lines.values};
    return OMEN_OK;
}
