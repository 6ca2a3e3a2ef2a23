/* bind_support.c - small things that the files that bind queries share. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sql/bind_query_private.h"

void *bind_alloc(struct binder *binder, size_t bytes, omen_error *error)
{
    void *memory = arena_alloc(binder->arena, bytes);
    if (memory == NULL)
        error_set_default(error, OMEN_OUT_OF_MEMORY);
    else if (bytes > 0)
        memset(memory, 0, bytes);
    return memory;
}

omen_status bind_grow(struct binder *binder, void *items, uint32_t count, uint32_t *capacity,
                      size_t item_bytes, omen_error *error)
{
    if (count < *capacity)
        return OMEN_OK;
    uint32_t larger = count < 8 ? 8 : count * 2;
    void *old, *memory = arena_alloc(binder->arena, larger * item_bytes);
    if (memory == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    memcpy(&old, items, sizeof old);
    if (count > 0)
        memcpy(memory, old, count * item_bytes);
    memset((char *)memory + count * item_bytes, 0, (larger - count) * item_bytes);
    memcpy(items, &memory, sizeof memory);
    *capacity = larger;
    return OMEN_OK;
}

omen_status bind_refuse(struct binder *binder, int location, const char *what, omen_error *error)
{
    return bind_fail(binder, location, error, OMEN_NOT_SUPPORTED, "%s is not supported", what);
}

omen_status bind_fail(struct binder *binder, int location, omen_error *error, omen_status status,
                      const char *format, ...)
{
    char message[OMEN_ERROR_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    error_set(error, status, "%s", message);
    parse_set_position(binder->parsed, location, error);
    return status;
}

omen_status bind_enter(struct binder *binder, omen_error *error)
{
    if (binder->depth >= BIND_DEPTH_MAX)
        return error_set(error, OMEN_STATEMENT_TOO_COMPLEX, "the statement nests too deeply");
    binder->depth++;
    return OMEN_OK;
}

static uint64_t steps_max(const struct binder *binder)
{
    return BIND_STEPS_MAX + (uint64_t)BIND_STEPS_A_BYTE * binder->parsed->length;
}

omen_status bind_spend(struct binder *binder, uint64_t steps, omen_error *error)
{
    binder->steps += steps;
    if (binder->steps > steps_max(binder))
        return error_set(error, OMEN_STATEMENT_TOO_COMPLEX, "the statement is too complex");
    return OMEN_OK;
}

/* How many nodes a walk over an expression meets, and where to stop. */
struct weighing {
    uint64_t nodes, nodes_max;
};

static bool weigh_query(struct query *query, uint32_t levels, void *state);

static bool weigh(struct expression **part, void *state)
{
    struct weighing *weighing = state;
    if (++weighing->nodes > weighing->nodes_max)
        return false;
    if ((*part)->kind == EXPRESSION_SUBQUERY && !weigh_query((*part)->subquery.query, 1, state))
        return false;
    return expression_visit_parts(*part, weigh, state);
}

static bool weigh_query(struct query *query, uint32_t levels, void *state)
{
    struct weighing *weighing = state;
    weighing->nodes++;
    return query_visit_parts(query, weigh, weigh_query, state);
}

omen_status bind_spend_copies(struct binder *binder, struct expression *expression, uint64_t copies,
                              omen_error *error)
{
    struct weighing weighing = {.nodes_max = steps_max(binder)};
    if (copies == 0)
        return OMEN_OK;
    weigh(&expression, &weighing);
    return bind_spend(binder, weighing.nodes * copies, error);
}

omen_status bind_spend_query(struct binder *binder, struct query *query, omen_error *error)
{
    struct weighing weighing = {.nodes_max = steps_max(binder)};
    weigh_query(query, 0, &weighing);
    return bind_spend(binder, weighing.nodes, error);
}

/* The leftmost of two bytes that are known. */
static int leftmost(int one, int other)
{
    if (one < 0)
        return other;
    return other < 0 || one < other ? one : other;
}

static int message_location(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        int32_t location;
        if (field->type != PROTOBUF_C_TYPE_INT32 || strcmp(field->name, "location") != 0)
            continue;
        memcpy(&location, (const char *)message + field->offset, sizeof location);
        return location;
    }
    return -1;
}

int bind_location(const PgQuery__Node *node)
{
    int location = -1;
    while (node != NULL && node->node_case != PG_QUERY__NODE__NODE__NOT_SET) {
        /* Every member of the union is a pointer to a message. */
        const ProtobufCMessage *message = (const ProtobufCMessage *)node->alias;
        location = leftmost(location, message_location(message));
        switch (node->node_case) {
        case PG_QUERY__NODE__NODE_A_EXPR:
            node = node->a_expr->lexpr;
            break;
        case PG_QUERY__NODE__NODE_TYPE_CAST:
            node = node->type_cast->arg;
            break;
        case PG_QUERY__NODE__NODE_SORT_BY:
            node = node->sort_by->node;
            break;
        default:
            return location;
        }
    }
    return location;
}

int bind_expression_location(const struct expression *expression)
{
    int location = expression->location;
    switch (expression->kind) {
    case EXPRESSION_CALL:
    case EXPRESSION_AND:
    case EXPRESSION_OR:
    case EXPRESSION_NOT:
    case EXPRESSION_TEST:
    case EXPRESSION_DISTINCT_FROM:
    case EXPRESSION_IN:
    case EXPRESSION_NULLIF:
    case EXPRESSION_SUBQUERY:
        for (uint32_t i = 0; i < expression->argument_count; i++)
            location = leftmost(location, bind_expression_location(expression->arguments[i]));
        return location;
    default:
        return location;
    }
}

static bool aggregate_location(struct expression **part, void *state)
{
    int *location = state;
    if ((*part)->kind == EXPRESSION_AGGREGATE)
        *location = (*part)->location;
    return *location < 0 && expression_visit_parts(*part, aggregate_location, state);
}

int bind_aggregate_location(const struct expression *expression)
{
    struct expression *part = (struct expression *)expression;
    int location = -1;
    aggregate_location(&part, &location);
    return location;
}

struct expression *bind_column_use(struct binder *binder, struct relation *relation,
                                   uint32_t column, uint32_t levels_up, int location,
                                   omen_error *error)
{
    struct expression *use = bind_alloc(binder, sizeof *use, error);
    if (use == NULL)
        return NULL;
    use->kind = EXPRESSION_COLUMN;
    use->type = column == relation->column_count ? (omen_type){.id = OMEN_TYPE_BIGINT}
                                                 : relation->columns[column].type;
    use->location = location;
    use->column =
        (struct column_use){.relation = relation, .column = column, .levels_up = levels_up};
    return use;
}

bool bind_is_unknown(omen_type type)
{
    return (int)type.id == SQL_TYPE_UNKNOWN;
}

/* --- what an expression is made of --- */

static bool no_aggregate(struct expression **part, void *state)
{
    enum expression_kind *kind = state;
    return (*part)->kind != *kind && expression_visit_parts(*part, no_aggregate, state);
}

bool bind_has_aggregate(const struct expression *expression, bool window)
{
    enum expression_kind kind = window ? EXPRESSION_WINDOW : EXPRESSION_AGGREGATE;
    struct expression *part = (struct expression *)expression;
    return !no_aggregate(&part, &kind);
}

static bool no_column(struct expression **part, void *state)
{
    return (*part)->kind != EXPRESSION_COLUMN && expression_visit_parts(*part, no_column, state);
}

bool bind_has_columns(const struct expression *expression)
{
    struct expression *part = (struct expression *)expression;
    return !no_column(&part, NULL);
}
