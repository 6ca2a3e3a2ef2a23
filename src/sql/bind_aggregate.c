/* bind_aggregate.c - aggregates and window functions: where they may stand, and what follows the
 * parentheses (FILTER, OVER and the window it names).
 */
#include <string.h>

#include "sql/bind_private.h"

/* The parser's bits of frame_options. */
enum {
    FRAME_OPTION_NONDEFAULT = 0x1,
    FRAME_OPTION_RANGE = 0x2,
    FRAME_OPTION_ROWS = 0x4,
    FRAME_OPTION_START_UNBOUNDED_PRECEDING = 0x20,
    FRAME_OPTION_END_UNBOUNDED_FOLLOWING = 0x100,
    FRAME_OPTION_START_CURRENT_ROW = 0x200,
    FRAME_OPTION_END_CURRENT_ROW = 0x400,
    FRAME_OPTION_START_PRECEDING = 0x800,
    FRAME_OPTION_END_PRECEDING = 0x1000,
    FRAME_OPTION_START_FOLLOWING = 0x2000,
    FRAME_OPTION_END_FOLLOWING = 0x4000,
    FRAME_OPTION_EXCLUSION = 0x38000,
};

enum { GROUPING_ARGUMENTS_MAX = 31 }; /* the bits of an INTEGER */

/* What a part of a call may hold; put back afterwards. */
struct rights {
    const char *clause;
    bool allows_aggregates, allows_windows;
};

static struct rights scope_rights(const struct scope *scope)
{
    return (struct rights){scope->clause, scope->allows_aggregates, scope->allows_windows};
}

static void scope_restore(struct scope *scope, struct rights rights)
{
    scope->clause = rights.clause;
    scope->allows_aggregates = rights.allows_aggregates;
    scope->allows_windows = rights.allows_windows;
}

/* --- where they may stand --- */

/* A node of this kind among the parts of a call, the call itself aside. */
static struct expression *find_within(struct expression *call, enum expression_kind kind)
{
    struct expression *found = NULL;
    for (uint32_t i = 0; found == NULL && i < call->argument_count; i++)
        found = bind_find_kind(call->arguments[i], kind);
    for (uint32_t i = 0; found == NULL && i < call->aggregate.order_count; i++)
        found = bind_find_kind(call->aggregate.order[i].expression, kind);
    return found;
}

static omen_status check_window(struct binder *binder, const struct scope *scope,
                                struct expression *call, omen_error *error)
{
    const struct expression *inner = find_within(call, EXPRESSION_WINDOW);
    if (inner != NULL)
        return bind_fail(binder, inner->location, error, OMEN_WINDOWING_ERROR,
                         "window function calls cannot be nested");
    if (scope == NULL || !scope->allows_windows)
        return bind_fail(binder, call->location, error, OMEN_WINDOWING_ERROR,
                         "window functions are not allowed in %s",
                         scope != NULL && scope->clause != NULL ? scope->clause : "this place");
    return OMEN_OK;
}

static omen_status check_aggregate(struct binder *binder, const struct scope *scope,
                                   struct expression *call, omen_error *error)
{
    const struct expression *inner = find_within(call, EXPRESSION_WINDOW);
    if (inner != NULL)
        return bind_fail(binder, inner->location, error, OMEN_GROUPING_ERROR,
                         "aggregate function calls cannot contain window function calls");
    inner = find_within(call, EXPRESSION_AGGREGATE);
    if (inner != NULL)
        return bind_fail(binder, inner->location, error, OMEN_GROUPING_ERROR,
                         "aggregate function calls cannot be nested");
    if (scope == NULL || !scope->allows_aggregates)
        return bind_fail(binder, call->location, error, OMEN_GROUPING_ERROR,
                         "aggregate functions are not allowed in %s",
                         scope != NULL && scope->clause != NULL ? scope->clause : "this place");
    return OMEN_OK;
}

struct column_levels {
    bool own, outer;
};

static bool note_levels(struct expression **part, void *state)
{
    struct column_levels *levels = state;
    if ((*part)->kind == EXPRESSION_COLUMN) {
        levels->own |= (*part)->column.levels_up == 0;
        levels->outer |= (*part)->column.levels_up > 0;
    }
    return expression_visit_parts(*part, note_levels, state);
}

/* Whether PostgreSQL would compute it in a query further out: its columns are all of there. */
static bool belongs_outside(struct expression *call)
{
    struct column_levels levels = {false, false};
    expression_visit_parts(call, note_levels, &levels);
    return levels.outer && !levels.own;
}

/* --- windows --- */

static omen_status bind_sort_keys(struct binder *binder, struct scope *scope,
                                  PgQuery__Node *const *nodes, size_t count, struct sort_key **out,
                                  omen_error *error)
{
    *out = arena_alloc(binder->arena, count * sizeof **out);
    if (*out == NULL)
        return bind_no_memory(error);
    for (size_t i = 0; i < count; i++) {
        const PgQuery__SortBy *sort = nodes[i]->sort_by;
        struct sort_key *key = &(*out)[i];
        memset(key, 0, sizeof *key);
        if (sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
            return bind_unsupported(binder, sort->location, "ORDER BY ... USING is", error);
        OMEN_TRY(bind_expression(binder, scope, sort->node, &key->expression, error));
        OMEN_TRY(bind_settle(binder, key->expression, &key->expression, error));
        key->descending = sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
        key->nulls_first = sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT
                               ? key->descending
                               : sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST;
    }
    return OMEN_OK;
}

/* Whether a string of the tree says something: absent ones are empty. */
static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* The WINDOW clause's definition of this name among the first `limit`, or NULL. */
static const PgQuery__WindowDef *find_window(const struct scope *scope, const char *name,
                                             uint32_t limit, uint32_t *position)
{
    for (uint32_t i = 0; i < limit; i++) {
        const PgQuery__WindowDef *window = scope->windows[i]->window_def;
        if (is_given(window->name) && strcmp(window->name, name) == 0) {
            *position = i;
            return window;
        }
    }
    return NULL;
}

static omen_status bind_offset(struct binder *binder, struct scope *scope,
                               const PgQuery__Node *node, const struct window *window,
                               struct expression **out, omen_error *error)
{
    static const char *const units[] = {"ROWS", "RANGE", "GROUPS"};
    const char *unit = units[window->unit];
    omen_type type = {.id = OMEN_TYPE_BIGINT};
    if (window->unit == FRAME_RANGE) {
        type = window->order[0].expression->type;
        if (type.id == OMEN_TYPE_DATE || type.id == OMEN_TYPE_TIMESTAMP ||
            type.id == OMEN_TYPE_TIMESTAMPTZ)
            type = (omen_type){.id = (omen_type_id)SQL_TYPE_INTERVAL};
        else if (type.id < OMEN_TYPE_SMALLINT || type.id > OMEN_TYPE_DECIMAL)
            return bind_fail(binder, -1, error, OMEN_NOT_SUPPORTED,
                             "RANGE with offset PRECEDING/FOLLOWING is not supported for column "
                             "type %s",
                             semantics_type_name(type.id));
    }
    static const char *const clauses[] = {"window ROWS", "window RANGE", "window GROUPS"};
    struct rights rights = scope_rights(scope);
    scope->clause = clauses[window->unit];
    scope->allows_aggregates = false;
    omen_status status = bind_expression(binder, scope, node, out, error);
    scope_restore(scope, rights);
    OMEN_TRY(status);
    const struct expression *column = bind_find_kind(*out, EXPRESSION_COLUMN);
    if (column != NULL)
        return bind_fail(binder, column->location, error, OMEN_INVALID_COLUMN_REFERENCE,
                         "argument of %s must not contain variables", unit);
    if (!bind_is_unknown((*out)->type) && (uint32_t)(*out)->type.id != (uint32_t)type.id &&
        semantics_find_cast((*out)->type.id, type.id, CONTEXT_ASSIGNMENT) == NULL)
        return bind_fail(binder, bind_leftmost(*out), error, OMEN_TYPE_MISMATCH,
                         "argument of %s must be type %s, not type %s", unit,
                         semantics_type_name(type.id), semantics_type_name((*out)->type.id));
    return bind_coerce(binder, *out, type, CONTEXT_ASSIGNMENT, NULL, out, error);
}

static enum frame_bound frame_start(int options)
{
    if (options & FRAME_OPTION_START_UNBOUNDED_PRECEDING)
        return FRAME_UNBOUNDED_PRECEDING;
    if (options & FRAME_OPTION_START_CURRENT_ROW)
        return FRAME_CURRENT_ROW;
    return options & FRAME_OPTION_START_PRECEDING ? FRAME_PRECEDING : FRAME_FOLLOWING;
}

static enum frame_bound frame_end(int options)
{
    if (options & FRAME_OPTION_END_UNBOUNDED_FOLLOWING)
        return FRAME_UNBOUNDED_FOLLOWING;
    if (options & FRAME_OPTION_END_CURRENT_ROW)
        return FRAME_CURRENT_ROW;
    return options & FRAME_OPTION_END_PRECEDING ? FRAME_PRECEDING : FRAME_FOLLOWING;
}

static omen_status bind_frame(struct binder *binder, struct scope *scope,
                              const PgQuery__WindowDef *node, struct window *window,
                              omen_error *error)
{
    int options = node->frame_options;
    window->framed = true;
    window->unit = options & FRAME_OPTION_ROWS    ? FRAME_ROWS
                   : options & FRAME_OPTION_RANGE ? FRAME_RANGE
                                                  : FRAME_GROUPS;
    window->start = frame_start(options);
    window->end = frame_end(options);
    bool offsets = node->start_offset != NULL || node->end_offset != NULL;
    if (options & FRAME_OPTION_EXCLUSION)
        return bind_unsupported(binder, node->location, "EXCLUDE in a window's frame is", error);
    if (window->unit == FRAME_RANGE && offsets && window->order_count != 1)
        return bind_fail(binder, node->location, error, OMEN_WINDOWING_ERROR,
                         "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY "
                         "column");
    if (window->unit == FRAME_GROUPS && window->order_count == 0)
        return bind_fail(binder, node->location, error, OMEN_WINDOWING_ERROR,
                         "GROUPS mode requires an ORDER BY clause");
    if (node->start_offset != NULL)
        OMEN_TRY(
            bind_offset(binder, scope, node->start_offset, window, &window->start_offset, error));
    if (node->end_offset != NULL)
        OMEN_TRY(bind_offset(binder, scope, node->end_offset, window, &window->end_offset, error));
    return OMEN_OK;
}

static omen_status missing_window(struct binder *binder, const char *name, int location,
                                  omen_error *error)
{
    return bind_fail(binder, location, error, OMEN_UNDEFINED_TYPE, "window \"%s\" does not exist",
                     name);
}

static omen_status bind_window(struct binder *binder, struct scope *scope,
                               const PgQuery__WindowDef *node, uint32_t limit,
                               struct window *window, omen_error *error);

/* Takes over what (w ...) inherits from w. */
static omen_status inherit_window(struct binder *binder, struct scope *scope,
                                  const PgQuery__WindowDef *node, uint32_t limit,
                                  struct window *window, omen_error *error)
{
    uint32_t position;
    OMEN_TRY(bind_spend(binder, limit / BIND_LOOKS_A_STEP, error));
    const PgQuery__WindowDef *base = find_window(scope, node->refname, limit, &position);
    if (base == NULL)
        return missing_window(binder, node->refname, node->location, error);
    OMEN_TRY(bind_enter(binder, error));
    omen_status status = bind_window(binder, scope, base, position, window, error);
    binder->depth--;
    OMEN_TRY(status);
    if (node->n_partition_clause > 0)
        return bind_fail(binder, node->location, error, OMEN_WINDOWING_ERROR,
                         "cannot override PARTITION BY clause of window \"%s\"", node->refname);
    if (node->n_order_clause > 0 && window->order_count > 0)
        return bind_fail(binder, node->location, error, OMEN_WINDOWING_ERROR,
                         "cannot override ORDER BY clause of window \"%s\"", node->refname);
    if (window->framed)
        return bind_fail(binder, node->location, error, OMEN_WINDOWING_ERROR,
                         "cannot copy window \"%s\" because it has a frame clause", node->refname);
    return OMEN_OK;
}

/* Binds a window's definition; it may refer to the WINDOW clause's first `limit`. */
static omen_status bind_window(struct binder *binder, struct scope *scope,
                               const PgQuery__WindowDef *node, uint32_t limit,
                               struct window *window, omen_error *error)
{
    memset(window, 0, sizeof *window);
    if (is_given(node->refname))
        OMEN_TRY(inherit_window(binder, scope, node, limit, window, error));
    if (node->n_partition_clause > 0) {
        window->partition_count = (uint32_t)node->n_partition_clause;
        OMEN_TRY(bind_list(binder, scope, node->partition_clause, node->n_partition_clause,
                           &window->partition, error));
        for (uint32_t i = 0; i < window->partition_count; i++)
            OMEN_TRY(bind_settle(binder, window->partition[i], &window->partition[i], error));
    }
    if (node->n_order_clause > 0) {
        window->order_count = (uint32_t)node->n_order_clause;
        OMEN_TRY(bind_sort_keys(binder, scope, node->order_clause, node->n_order_clause,
                                &window->order, error));
    }
    if ((node->frame_options & FRAME_OPTION_NONDEFAULT) == 0)
        return OMEN_OK;
    return bind_frame(binder, scope, node, window, error);
}

static omen_status bind_over(struct binder *binder, struct scope *scope,
                             const PgQuery__WindowDef *over, struct window **out, omen_error *error)
{
    uint32_t limit = scope->window_count;
    if (is_given(over->name)) {
        OMEN_TRY(bind_spend(binder, limit / BIND_LOOKS_A_STEP, error));
        const PgQuery__WindowDef *named = find_window(scope, over->name, limit, &limit);
        if (named == NULL)
            return missing_window(binder, over->name, over->location, error);
        over = named;
    }
    *out = arena_alloc(binder->arena, sizeof **out);
    if (*out == NULL)
        return bind_no_memory(error);
    struct rights rights = scope_rights(scope);
    scope->clause = "window definitions";
    scope->allows_windows = false;
    omen_status status = bind_window(binder, scope, over, limit, *out, error);
    scope_restore(scope, rights);
    return status;
}

/* --- calls --- */

static omen_status check_forms(struct binder *binder, const PgQuery__FuncCall *node,
                               const char *name, const struct semantics_line *line,
                               omen_error *error)
{
    int location = node->location;
    if (line->kind == SEMANTICS_WINDOW && node->over == NULL)
        return bind_fail(binder, location, error, OMEN_WRONG_OBJECT_TYPE,
                         "window function %s requires an OVER clause", name);
    if (line->kind == SEMANTICS_AGGREGATE && node->n_args == 0 && !node->agg_star)
        return bind_fail(binder, location, error, OMEN_WRONG_OBJECT_TYPE,
                         "%s(*) must be used to call a parameterless aggregate function", name);
    if (line->kind == SEMANTICS_WINDOW && node->agg_star)
        return bind_fail(binder, location, error, OMEN_WRONG_OBJECT_TYPE,
                         "%s(*) specified, but %s is not an aggregate function", name, name);
    if (node->over == NULL)
        return OMEN_OK;
    if (node->agg_distinct)
        return bind_fail(binder, location, error, OMEN_NOT_SUPPORTED,
                         "DISTINCT is not implemented for window functions");
    if (node->n_agg_order > 0)
        return bind_fail(binder, location, error, OMEN_NOT_SUPPORTED,
                         "aggregate ORDER BY is not implemented for window functions");
    if (node->agg_filter != NULL && line->kind == SEMANTICS_WINDOW)
        return bind_fail(binder, location, error, OMEN_NOT_SUPPORTED,
                         "FILTER is not implemented for non-aggregate window functions");
    return OMEN_OK;
}

omen_status bind_call_filter(struct binder *binder, struct scope *scope,
                             const PgQuery__FuncCall *node, struct expression **out,
                             omen_error *error)
{
    struct scope empty = {.clause = "FILTER"};
    *out = NULL;
    if (node->agg_filter == NULL)
        return OMEN_OK;
    if (scope == NULL)
        scope = &empty;
    struct rights rights = scope_rights(scope);
    scope->clause = "FILTER";
    scope->allows_aggregates = scope->allows_windows = false;
    omen_status status = bind_condition(binder, scope, node->agg_filter, out, error);
    scope_restore(scope, rights);
    return status;
}

static omen_status bind_aggregate_order(struct binder *binder, struct scope *scope,
                                        const PgQuery__FuncCall *node, struct expression *call,
                                        omen_error *error)
{
    struct aggregate_call *aggregate = &call->aggregate;
    OMEN_TRY(bind_sort_keys(binder, scope, node->agg_order, node->n_agg_order, &aggregate->order,
                            error));
    aggregate->order_count = (uint32_t)node->n_agg_order;
    for (uint32_t i = 0; aggregate->distinct && i < aggregate->order_count; i++) {
        bool found = false;
        for (uint32_t j = 0; j < call->argument_count; j++)
            found |= expression_equal(aggregate->order[i].expression, call->arguments[j]);
        if (!found)
            return bind_fail(binder, bind_leftmost(aggregate->order[i].expression), error,
                             OMEN_INVALID_COLUMN_REFERENCE,
                             "in an aggregate with DISTINCT, ORDER BY expressions must appear "
                             "in argument list");
    }
    return OMEN_OK;
}

omen_status bind_aggregate(struct binder *binder, struct scope *scope,
                           const PgQuery__FuncCall *node, const char *name,
                           const struct semantics_line *line, struct expression **arguments,
                           struct expression *filter, struct expression **out, omen_error *error)
{
    OMEN_TRY(check_forms(binder, node, name, line, error));
    OMEN_TRY(bind_call_line(binder, line, arguments, (uint32_t)node->n_args, node->location, out,
                            error));
    struct expression *call = *out;
    call->kind = node->over != NULL ? EXPRESSION_WINDOW : EXPRESSION_AGGREGATE;
    call->aggregate.star = node->agg_star;
    call->aggregate.distinct = node->agg_distinct;
    call->aggregate.filter = filter;
    if (node->over != NULL) {
        OMEN_TRY(check_window(binder, scope, call, error));
        scope->found_window = true;
        return bind_over(binder, scope, node->over, &call->aggregate.window, error);
    }
    if (node->n_agg_order > 0)
        OMEN_TRY(bind_aggregate_order(binder, scope, node, call, error));
    OMEN_TRY(check_aggregate(binder, scope, call, error));
    if (belongs_outside(call))
        return bind_unsupported(binder, node->location,
                                "an aggregate of columns of an outer query is", error);
    scope->found_aggregate = true;
    return OMEN_OK;
}

/* --- GROUPING --- */

/* Which of its arguments, groups all, the row at hand is not grouped by: a bit each. */
static const struct semantics_line grouping_line = {.kind = SEMANTICS_AGGREGATE,
                                                    .name = "grouping",
                                                    .argument_count = 1,
                                                    .arguments = {SQL_TYPE_ANY},
                                                    .result = OMEN_TYPE_INTEGER,
                                                    .engine = "grouping($*)",
                                                    .flags = SEMANTICS_VARIADIC};

bool bind_is_grouping(const struct expression *expression)
{
    return expression->kind == EXPRESSION_AGGREGATE && expression->line == &grouping_line;
}

omen_status bind_grouping(struct binder *binder, struct scope *scope,
                          const PgQuery__GroupingFunc *node, struct expression **out,
                          omen_error *error)
{
    struct expression **arguments;
    if (node->n_args > GROUPING_ARGUMENTS_MAX)
        return bind_unsupported(binder, node->location, "GROUPING of more than 31 arguments is",
                                error);
    OMEN_TRY(bind_list(binder, scope, node->args, node->n_args, &arguments, error));
    *out = bind_node(binder, EXPRESSION_AGGREGATE, (omen_type){.id = OMEN_TYPE_INTEGER},
                     node->location, (uint32_t)node->n_args);
    if (*out == NULL)
        return bind_no_memory(error);
    (*out)->line = &grouping_line;
    memcpy((*out)->arguments, arguments, node->n_args * sizeof *arguments);
    if (scope == NULL || !scope->allows_aggregates)
        return bind_fail(binder, node->location, error, OMEN_GROUPING_ERROR,
                         "grouping operations are not allowed in %s",
                         scope != NULL && scope->clause != NULL ? scope->clause : "this place");
    if (belongs_outside(*out))
        return bind_unsupported(binder, node->location, "GROUPING of an outer query is", error);
    scope->found_aggregate = true;
    return OMEN_OK;
}
