/* bound_text.c - bound expressions as text, for tests. */
#include "bound_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "omendb.h"

struct writer {
    char *buffer;
    size_t capacity, length;
};

static void put(struct writer *writer, const char *format, ...) OMEN_PRINTF(2, 3);
static void put(struct writer *writer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (writer->length < writer->capacity) {
        int length = vsnprintf(writer->buffer + writer->length, writer->capacity - writer->length,
                               format, arguments);
        writer->length += (size_t)length;
    }
    va_end(arguments);
}

void bound_type(omen_type type, char *buffer, size_t capacity)
{
    const char *name = semantics_type_name(type.id);
    if (type.id == OMEN_TYPE_DECIMAL)
        snprintf(buffer, capacity, "%s(%d,%d)", name, type.precision, type.scale);
    else if (type.length_max > 0)
        snprintf(buffer, capacity, "%s(%u)", name, type.length_max);
    else
        snprintf(buffer, capacity, "%s", name);
}

static void put_type(struct writer *writer, omen_type type)
{
    char name[64];
    bound_type(type, name, sizeof name);
    put(writer, "%s", name);
}

static void put_expression(struct writer *writer, const struct expression *node);

static void put_list(struct writer *writer, struct expression *const *list, uint32_t count,
                     const char *between)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            put(writer, "%s", between);
        put_expression(writer, list[i]);
    }
}

static void put_value(struct writer *writer, const struct expression *node)
{
    const omen_value *value = &node->value;
    char text[512];
    size_t length;
    if (value->is_null) {
        put(writer, "NULL");
    } else if (value->type.id == OMEN_TYPE_NONE) {
        put(writer, "'%.*s'", (int)value->as.bytes.length, value->as.bytes.data);
        return;
    } else if ((uint32_t)value->type.id == SQL_TYPE_INTERVAL) {
        struct interval interval;
        memcpy(&interval, value->as.uuid, sizeof interval);
        put(writer, "'%dm%dd%lldus'", interval.months, interval.days,
            (long long)interval.microseconds);
    } else if (omen_value_to_text(value, text, sizeof text, &length) == OMEN_OK) {
        bool quoted = value->type.id > OMEN_TYPE_DECIMAL;
        put(writer, quoted ? "'%.*s'" : "%.*s", (int)length, text);
    }
    if (value->type.id != OMEN_TYPE_INTEGER && value->type.id != OMEN_TYPE_BOOLEAN) {
        put(writer, ":");
        put_type(writer, value->type);
    }
}

static void put_keys(struct writer *writer, const struct sort_key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put(writer, i > 0 ? ", " : " order by ");
        put_expression(writer, keys[i].expression);
        put(writer, "%s%s", keys[i].descending ? " desc" : "",
            keys[i].nulls_first != keys[i].descending
                ? keys[i].nulls_first ? " nulls first" : " nulls last"
                : "");
    }
}

static void put_window(struct writer *writer, const struct window *window)
{
    static const char *const units[] = {"rows", "range", "groups"};
    static const char *const bounds[] = {"unbounded preceding", "preceding", "current row",
                                         "following", "unbounded following"};
    put(writer, " over (");
    if (window->partition_count > 0)
        put(writer, "partition by ");
    put_list(writer, window->partition, window->partition_count, ", ");
    put_keys(writer, window->order, window->order_count);
    if (window->framed) {
        put(writer, " %s ", units[window->unit]);
        if (window->start_offset != NULL)
            put_expression(writer, window->start_offset);
        put(writer, " %s to ", bounds[window->start]);
        if (window->end_offset != NULL)
            put_expression(writer, window->end_offset);
        put(writer, " %s", bounds[window->end]);
    }
    put(writer, ")");
}

static void put_aggregate(struct writer *writer, const struct expression *node)
{
    const struct aggregate_call *call = &node->aggregate;
    put(writer, "%s(%s%s", node->line->name, call->distinct ? "distinct " : "",
        call->star ? "*" : "");
    put_list(writer, node->arguments, node->argument_count, ", ");
    put_keys(writer, call->order, call->order_count);
    put(writer, ")");
    if (call->filter != NULL) {
        put(writer, " filter ");
        put_expression(writer, call->filter);
    }
    if (call->window != NULL)
        put_window(writer, call->window);
}

static void put_call(struct writer *writer, const struct expression *node)
{
    if (node->line->kind == SEMANTICS_CAST) {
        put_expression(writer, node->arguments[0]);
        put(writer, node->explicit_cast ? "::" : "::~");
        put_type(writer, node->type);
    } else if (node->line->kind == SEMANTICS_OPERATOR) {
        put(writer, "(");
        if (node->argument_count == 1)
            put(writer, "%s ", node->line->name);
        char between[32];
        snprintf(between, sizeof between, " %s ", node->line->name);
        put_list(writer, node->arguments, node->argument_count, between);
        put(writer, ")");
    } else {
        put(writer, "%s(", node->line->name);
        put_list(writer, node->arguments, node->argument_count, ", ");
        put(writer, ")");
    }
}

static void put_subquery(struct writer *writer, const struct expression *node)
{
    static const char *const kinds[] = {"exists", "scalar", "any", "all"};
    put(writer, "(");
    if (node->argument_count > 0) {
        put_expression(writer, node->arguments[0]);
        put(writer, " %s ", node->line->name);
    }
    put(writer, "%s%s(", node->subquery.negated ? "not " : "", kinds[node->subquery.kind]);
    const struct query *query = node->subquery.query;
    for (uint32_t i = 0; i < query->target_count; i++) {
        put(writer, i > 0 ? ", " : "");
        if (query->targets[i].expression != NULL)
            put_expression(writer, query->targets[i].expression);
        else
            put_type(writer, query->types[i]);
    }
    put(writer, "))");
}

static void put_named(struct writer *writer, const char *name, const struct expression *node)
{
    put(writer, "%s(", name);
    put_list(writer, node->arguments, node->argument_count, ", ");
    put(writer, ")");
}

static void put_joined(struct writer *writer, const char *between, const struct expression *node)
{
    put(writer, "(");
    put_list(writer, node->arguments, node->argument_count, between);
    put(writer, ")");
}

static void put_test(struct writer *writer, const struct expression *node)
{
    static const char *const tests[] = {"null",  "not null",  "true",    "not true",
                                        "false", "not false", "unknown", "not unknown"};
    put(writer, "(");
    put_expression(writer, node->arguments[0]);
    put(writer, " is %s)", tests[node->test]);
}

static void put_expression(struct writer *writer, const struct expression *node)
{
    switch (node->kind) {
    case EXPRESSION_CONSTANT:
        put_value(writer, node);
        break;
    case EXPRESSION_PARAMETER:
        put(writer, "$%u:", node->parameter + 1);
        put_type(writer, node->type);
        break;
    case EXPRESSION_COLUMN:
        for (uint32_t i = 0; i < node->column.levels_up; i++)
            put(writer, "^");
        put(writer, "%s", node->column.relation->columns[node->column.column].name);
        break;
    case EXPRESSION_CALL:
        put_call(writer, node);
        break;
    case EXPRESSION_AND:
        put_joined(writer, " and ", node);
        break;
    case EXPRESSION_OR:
        put_joined(writer, " or ", node);
        break;
    case EXPRESSION_NOT:
        put_named(writer, "not", node);
        break;
    case EXPRESSION_TEST:
        put_test(writer, node);
        break;
    case EXPRESSION_DISTINCT_FROM:
        put_joined(writer, node->negated ? " is not distinct from " : " is distinct from ", node);
        break;
    case EXPRESSION_IN:
        put_named(writer, node->negated ? "not_in" : "in", node);
        break;
    case EXPRESSION_CASE:
        put_named(writer, "case", node);
        break;
    case EXPRESSION_COALESCE:
        put_named(writer, "coalesce", node);
        break;
    case EXPRESSION_GREATEST:
        put_named(writer, "greatest", node);
        break;
    case EXPRESSION_LEAST:
        put_named(writer, "least", node);
        break;
    case EXPRESSION_NULLIF:
        put_named(writer, "nullif", node);
        break;
    case EXPRESSION_AGGREGATE:
    case EXPRESSION_WINDOW:
        put_aggregate(writer, node);
        break;
    case EXPRESSION_SUBQUERY:
        put_subquery(writer, node);
        break;
    }
}

void bound_text(const struct expression *expression, char *buffer, size_t capacity)
{
    struct writer writer = {.buffer = buffer, .capacity = capacity};
    buffer[0] = '\0';
    put_expression(&writer, expression);
}
