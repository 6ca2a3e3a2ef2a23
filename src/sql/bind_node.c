/* bind_node.c - making nodes of the bound tree, and the errors of binding. */
#include <string.h>

#include "sql/bind_private.h"

struct expression *bind_node(struct binder *binder, enum expression_kind kind, omen_type type,
                             int location, uint32_t argument_count)
{
    struct expression *node = arena_alloc(binder->arena, sizeof *node);
    if (node == NULL)
        return NULL;
    memset(node, 0, sizeof *node);
    node->kind = kind;
    node->type = type;
    node->location = location;
    node->argument_count = argument_count;
    if (argument_count > 0) {
        node->arguments = arena_alloc(binder->arena, argument_count * sizeof *node->arguments);
        if (node->arguments == NULL)
            return NULL;
        memset(node->arguments, 0, argument_count * sizeof *node->arguments);
    }
    return node;
}

struct expression *bind_boolean(struct binder *binder, enum expression_kind kind, int location,
                                uint32_t argument_count)
{
    return bind_node(binder, kind, (omen_type){.id = OMEN_TYPE_BOOLEAN}, location, argument_count);
}

struct expression *bind_value(struct binder *binder, const omen_value *value, int location)
{
    struct expression *node = bind_node(binder, EXPRESSION_CONSTANT, value->type, location, 0);
    if (node != NULL)
        node->value = *value;
    return node;
}

omen_status bind_junction(struct binder *binder, enum expression_kind kind,
                          struct expression **operands, uint32_t count, int location,
                          struct expression **out, omen_error *error)
{
    uint32_t total = 0, position = 0;
    for (uint32_t i = 0; i < count; i++)
        total += operands[i]->kind == kind ? operands[i]->argument_count : 1;
    if (count == 1) {
        *out = operands[0];
        return OMEN_OK;
    }
    struct expression *node = bind_boolean(binder, kind, location, total);
    if (node == NULL)
        return bind_no_memory(error);
    for (uint32_t i = 0; i < count; i++) {
        if (operands[i]->kind != kind) {
            node->arguments[position++] = operands[i];
            continue;
        }
        memcpy(node->arguments + position, operands[i]->arguments,
               operands[i]->argument_count * sizeof *node->arguments);
        position += operands[i]->argument_count;
    }
    *out = node;
    return OMEN_OK;
}

omen_status bind_negation(struct binder *binder, struct expression *operand, int location,
                          struct expression **out, omen_error *error)
{
    if (operand->kind == EXPRESSION_SUBQUERY && operand->subquery.kind != SUBQUERY_SCALAR &&
        operand->subquery.kind != SUBQUERY_ALL) {
        operand->subquery.negated = !operand->subquery.negated;
        *out = operand;
        return OMEN_OK;
    }
    *out = bind_boolean(binder, EXPRESSION_NOT, location, 1);
    if (*out == NULL)
        return bind_no_memory(error);
    (*out)->arguments[0] = operand;
    return OMEN_OK;
}

/* --- errors --- */

omen_status bind_unsupported(struct binder *binder, int location, const char *what,
                             omen_error *error)
{
    return bind_fail(binder, location, error, OMEN_NOT_SUPPORTED, "%s not supported", what);
}

omen_status bind_no_memory(omen_error *error)
{
    return error_set_default(error, OMEN_OUT_OF_MEMORY);
}

/* --- facts --- */

int bind_leftmost(const struct expression *expression)
{
    int location = expression->location;
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        int other = bind_leftmost(expression->arguments[i]);
        if (other >= 0 && (location < 0 || other < location))
            location = other;
    }
    return location;
}

bool bind_is_null(const struct expression *expression)
{
    return expression->kind == EXPRESSION_CONSTANT && expression->value.is_null &&
           bind_is_unknown(expression->type);
}

struct sought {
    enum expression_kind kind;
    struct expression *found;
};

static bool seek_kind(struct expression **part, void *state)
{
    struct sought *sought = state;
    if ((*part)->kind == sought->kind)
        sought->found = *part;
    return sought->found == NULL && expression_visit_parts(*part, seek_kind, state);
}

struct expression *bind_find_kind(struct expression *expression, enum expression_kind kind)
{
    struct sought sought = {.kind = kind};
    seek_kind(&expression, &sought);
    return sought.found;
}

static bool not_volatile(struct expression **part, void *state)
{
    return !bind_is_volatile(*part);
}

bool bind_is_volatile(struct expression *expression)
{
    if (expression->kind == EXPRESSION_SUBQUERY)
        return true;
    if (expression->line != NULL && (expression->line->flags & SEMANTICS_VOLATILE) != 0)
        return true;
    return !expression_visit_parts(expression, not_volatile, NULL);
}
