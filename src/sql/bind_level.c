/* bind_level.c - what a bound query uses of the queries around it, and moving it further in. */
#include <stdlib.h>

#include "sql/bind_query_private.h"

/* The columns of queries around. Trees share parts, so a column may be met twice. */
struct moving {
    struct binder *binder;
    uint32_t depth; /* queries between the one that moves and the part at hand */
    struct expression **columns;
    uint32_t count, capacity;
    omen_status status;
    omen_error *error;
};

static bool collect_columns(struct expression **part, void *state);

static bool collect_query(struct query *query, uint32_t levels, void *state)
{
    struct moving *moving = state;
    moving->depth += levels;
    bool more = query_visit_parts(query, collect_columns, collect_query, state);
    moving->depth -= levels;
    return more;
}

static bool collect_columns(struct expression **part, void *state)
{
    struct moving *moving = state;
    struct expression *expression = *part;
    if (expression->kind == EXPRESSION_COLUMN && expression->column.levels_up > moving->depth) {
        moving->status = bind_grow(moving->binder, &moving->columns, moving->count,
                                   &moving->capacity, sizeof(struct expression *), moving->error);
        if (moving->status != OMEN_OK)
            return false;
        moving->columns[moving->count++] = expression;
    }
    if (!expression_visit_parts(expression, collect_columns, state))
        return false;
    return expression->kind != EXPRESSION_SUBQUERY ||
           collect_query(expression->subquery.query, 1, state);
}

static int by_address(const void *one, const void *other)
{
    uintptr_t left = (uintptr_t) * (struct expression *const *)one;
    uintptr_t right = (uintptr_t) * (struct expression *const *)other;
    return (left > right) - (left < right);
}

struct apart {
    uint32_t depth;
    bool any; /* columns of every query around count, not only of the next one */
};

/* Stops at a column of a query around. */
static bool is_apart(struct expression **part, void *state);

static bool query_is_apart(struct query *query, uint32_t levels, void *state)
{
    struct apart *apart = state;
    apart->depth += levels;
    bool more = query_visit_parts(query, is_apart, query_is_apart, state);
    apart->depth -= levels;
    return more;
}

static bool is_apart(struct expression **part, void *state)
{
    const struct apart *apart = state;
    struct expression *expression = *part;
    if (expression->kind == EXPRESSION_COLUMN && expression->column.levels_up > apart->depth &&
        (apart->any || expression->column.levels_up == apart->depth + 1))
        return false;
    if (!expression_visit_parts(expression, is_apart, state))
        return false;
    return expression->kind != EXPRESSION_SUBQUERY ||
           query_is_apart(expression->subquery.query, 1, state);
}

bool bind_uses_around(struct query *query)
{
    struct apart apart = {.any = false};
    return !query_is_apart(query, 0, &apart);
}

bool bind_is_correlated(const struct query *query)
{
    struct apart apart = {.any = true};
    return !query_is_apart((struct query *)query, 0, &apart);
}

omen_status bind_move_in(struct binder *binder, struct query *query, omen_error *error)
{
    struct moving moving = {.binder = binder, .error = error};
    collect_query(query, 0, &moving);
    OMEN_TRY(moving.status);
    if (moving.count > 1)
        qsort(moving.columns, moving.count, sizeof(struct expression *), by_address);
    for (uint32_t i = 0; i < moving.count; i++)
        if (i == 0 || moving.columns[i] != moving.columns[i - 1])
            moving.columns[i]->column.levels_up++;
    return OMEN_OK;
}
