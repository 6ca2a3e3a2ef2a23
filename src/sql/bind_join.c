/* bind_join.c - JOIN ... USING and NATURAL JOIN: columns that both sides share.
 *
 * The merged column is the left side's in INNER and LEFT joins, the right side's in RIGHT joins,
 * COALESCE of both in FULL ones, cast to their common type. It stands before all others in
 * SELECT *; the two it is made of are reached by their table's name only.
 */
#include <string.h>

#include "sql/bind_query_private.h"

/* One shared column: positions among the names of both sides. */
struct shared {
    const char *name;
    uint32_t left, right;
};

struct joining {
    struct binder *binder;
    enum join_kind kind;
    struct from_names *left, *right, *merged;
    struct shared *shared;
    uint32_t shared_count;
};

static uint32_t count_named(const struct from_names *names, const char *name, uint32_t *position)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < names->column_count; i++)
        if (names->columns[i].unqualified && strcmp(names->columns[i].name, name) == 0) {
            *position = i;
            count++;
        }
    return count;
}

static omen_status find_shared(const struct from_names *names, const char *side, const char *name,
                               uint32_t *position, omen_error *error)
{
    uint32_t count = count_named(names, name, position);
    if (count == 0)
        return error_set(error, OMEN_UNDEFINED_COLUMN,
                         "column \"%s\" specified in USING clause does not exist in %s table", name,
                         side);
    if (count > 1)
        return error_set(error, OMEN_AMBIGUOUS_COLUMN,
                         "common column name \"%s\" appears more than once in %s table", name,
                         side);
    return OMEN_OK;
}

static omen_status add_shared(struct joining *joining, const char *name, omen_error *error)
{
    struct shared *shared = &joining->shared[joining->shared_count];
    for (uint32_t i = 0; i < joining->shared_count; i++)
        if (strcmp(joining->shared[i].name, name) == 0)
            return error_set(error, OMEN_DUPLICATE_COLUMN,
                             "column name \"%s\" appears more than once in USING clause", name);
    shared->name = name;
    OMEN_TRY(find_shared(joining->left, "left", name, &shared->left, error));
    OMEN_TRY(find_shared(joining->right, "right", name, &shared->right, error));
    joining->shared_count++;
    return OMEN_OK;
}

static omen_status list_shared(struct joining *joining, const PgQuery__JoinExpr *node,
                               omen_error *error)
{
    size_t most = node->is_natural ? joining->left->column_count : node->n_using_clause;
    joining->shared = bind_alloc(joining->binder, most * sizeof *joining->shared, error);
    if (joining->shared == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (size_t i = 0; i < most; i++) {
        const char *name;
        uint32_t position;
        if (node->is_natural) {
            const struct scope_column *column = &joining->left->columns[i];
            name = column->name;
            if (!column->unqualified || count_named(joining->right, name, &position) == 0)
                continue;
        } else {
            name = parse_string(node->using_clause[i]);
        }
        if (name == NULL)
            return bind_refuse(joining->binder, -1, "this form of USING", error);
        OMEN_TRY(add_shared(joining, name, error));
    }
    return OMEN_OK;
}

static struct expression *side_of(struct joining *joining, const struct scope_column *column,
                                  omen_error *error)
{
    if (column->merged != NULL)
        return column->merged;
    return bind_column_use(joining->binder, column->relation, column->column, 0, -1, error);
}

/* A merged column without a cast is best said as a plain column, from whichever side has one. */
static struct expression *inner_merge(struct expression *left, struct expression *right)
{
    if (left->kind == EXPRESSION_COLUMN || right->kind != EXPRESSION_COLUMN)
        return left;
    return right;
}

static omen_status merge_column(struct joining *joining, const char *name, struct expression *left,
                                struct expression *right, omen_error *error)
{
    struct binder *binder = joining->binder;
    struct expression *sides[2] = {left, right};
    struct scope_column column = {.name = name, .unqualified = true};
    omen_type type;
    OMEN_TRY(bind_unify(binder, sides, 2, "JOIN/USING", &type, error));
    if (joining->kind == JOIN_FULL) {
        column.merged = bind_alloc(binder, sizeof *column.merged, error);
        struct expression **arguments = bind_alloc(binder, 2 * sizeof(struct expression *), error);
        if (column.merged == NULL || arguments == NULL)
            return OMEN_OUT_OF_MEMORY;
        memcpy(arguments, sides, sizeof sides);
        *column.merged = (struct expression){.kind = EXPRESSION_COALESCE,
                                             .type = type,
                                             .location = -1,
                                             .arguments = arguments,
                                             .argument_count = 2};
    } else if (joining->kind == JOIN_RIGHT) {
        column.merged = sides[1];
    } else {
        column.merged = joining->kind == JOIN_LEFT ? sides[0] : inner_merge(sides[0], sides[1]);
    }
    struct from_names *merged = joining->merged;
    OMEN_TRY(bind_grow(binder, &merged->columns, merged->column_count, &merged->column_capacity,
                       sizeof *merged->columns, error));
    merged->columns[merged->column_count++] = column;
    return OMEN_OK;
}

static omen_status join_conditions(struct joining *joining, struct expression **out,
                                   omen_error *error)
{
    struct binder *binder = joining->binder;
    struct expression **parts =
        bind_alloc(binder, joining->shared_count * sizeof(struct expression *), error);
    if (parts == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < joining->shared_count; i++) {
        const struct shared *shared = &joining->shared[i];
        struct expression *left = side_of(joining, &joining->left->columns[shared->left], error);
        struct expression *right = side_of(joining, &joining->right->columns[shared->right], error);
        if (left == NULL || right == NULL)
            return OMEN_OUT_OF_MEMORY;
        OMEN_TRY(merge_column(joining, shared->name, left, right, error));
        OMEN_TRY(bind_operator(binder, "=", left, right, -1, &parts[i], error));
    }
    if (joining->shared_count <= 1) {
        *out = joining->shared_count == 1 ? parts[0] : NULL;
        return OMEN_OK;
    }
    *out = bind_alloc(binder, sizeof **out, error);
    if (*out == NULL)
        return OMEN_OUT_OF_MEMORY;
    **out = (struct expression){.kind = EXPRESSION_AND,
                                .type = {.id = OMEN_TYPE_BOOLEAN},
                                .location = -1,
                                .arguments = parts,
                                .argument_count = joining->shared_count};
    return OMEN_OK;
}

/* Adds what a side shows besides the shared columns; those stay, reached by a qualifier only. */
static omen_status add_others(struct joining *joining, const struct from_names *names, bool left,
                              omen_error *error)
{
    struct from_names *merged = joining->merged;
    for (uint32_t i = 0; i < names->column_count; i++) {
        struct scope_column column = names->columns[i];
        for (uint32_t j = 0; j < joining->shared_count; j++)
            if ((left ? joining->shared[j].left : joining->shared[j].right) == i)
                column.unqualified = false;
        if (!column.unqualified && column.relation == NULL)
            continue;
        OMEN_TRY(bind_grow(joining->binder, &merged->columns, merged->column_count,
                           &merged->column_capacity, sizeof *merged->columns, error));
        merged->columns[merged->column_count++] = column;
    }
    return OMEN_OK;
}

omen_status bind_join_using(struct binder *binder, const PgQuery__JoinExpr *node,
                            enum join_kind kind, struct from_names *left, struct from_names *right,
                            struct from_names *merged, struct expression **condition,
                            omen_error *error)
{
    struct joining joining = {
        .binder = binder, .kind = kind, .left = left, .right = right, .merged = merged};
    *merged = (struct from_names){0};
    OMEN_TRY(list_shared(&joining, node, error));
    OMEN_TRY(join_conditions(&joining, condition, error));
    OMEN_TRY(add_others(&joining, left, true, error));
    return add_others(&joining, right, false, error);
}
