/* subquery_keys.c - what is asked of a table holds for the keys that a subquery takes from it.
 *
 *   FROM part ... WHERE p_brand = 'Brand#23' AND
 *     x < (SELECT avg(l_quantity) FROM lineitem WHERE l_partkey = p_partkey)
 *
 * The engine makes of the aggregate one over all l_partkey, grouped, and joins it. Most groups are
 * of parts that nobody asks for. So the subquery gets a condition that its keys meet anyway:
 *
 *     (SELECT avg(l_quantity) FROM lineitem WHERE l_partkey = p_partkey
 *        AND l_partkey IN (SELECT p_partkey FROM part WHERE p_brand = 'Brand#23'))
 *
 * (the "magic sets" of Mumick et al., Magic is Relevant, SIGMOD 1990), where the condition leaves
 * few rows. A condition that is itself `p_partkey IN (SELECT ...)` is said of l_partkey as it is.
 */
#include "sql/subquery_keys.h"

#include <string.h>

#include "sql/bind_query_private.h"
#include "sql/correlation.h"
#include "sql/engine_text.h"

enum { RELATIONS_MAX = 300 /* statements of more are left alone: the engine has a limit */ };

#define SHARE_MAX 0.3 /* of a table's rows: where more are left, reading it again is no gain */

struct narrowing {
    struct binder *binder;
    struct join_sizes *sizes;
    struct query *query;       /* the one around */
    const struct relation *of; /* visiting: the relation that all columns must be of */
    omen_status status;
    omen_error *error;
};

/* --- conditions on one relation --- */

static bool is_own(struct expression **part, void *state)
{
    const struct narrowing *narrowing = state;
    const struct expression *expression = *part;
    if (expression->kind == EXPRESSION_SUBQUERY)
        return false;
    if (expression->kind == EXPRESSION_COLUMN &&
        (expression->column.relation != narrowing->of || expression->column.levels_up > 0))
        return false;
    return expression_visit_parts(*part, is_own, state);
}

/* The conditions of the query around that speak of a relation alone and cannot fail. */
static omen_status own_conditions(struct narrowing *narrowing, const struct relation *relation,
                                  struct expression ***out, uint32_t *out_count)
{
    uint32_t count;
    struct expression **conjuncts = conjuncts_of(&narrowing->query->where, &count);
    *out = bind_alloc(narrowing->binder, count * sizeof(struct expression *), narrowing->error);
    *out_count = 0;
    if (*out == NULL)
        return OMEN_OUT_OF_MEMORY;
    narrowing->of = relation;
    for (uint32_t i = 0; i < count; i++)
        if (bind_has_columns(conjuncts[i]) && is_own(&conjuncts[i], narrowing) &&
            !text_may_fail(conjuncts[i]))
            (*out)[(*out_count)++] = conjuncts[i];
    return OMEN_OK;
}

/* A copy that reads another relation. NULL where memory is exhausted. */
static struct expression *copy_for(struct narrowing *narrowing, const struct expression *expression,
                                   struct relation *relation)
{
    struct expression *copy = bind_alloc(narrowing->binder, sizeof *copy, narrowing->error);
    uint32_t count = expression->argument_count;
    struct expression **arguments =
        bind_alloc(narrowing->binder, count * sizeof *arguments, narrowing->error);
    if (copy == NULL || arguments == NULL)
        return NULL;
    *copy = *expression;
    copy->arguments = arguments;
    if (copy->kind == EXPRESSION_COLUMN)
        copy->column.relation = relation;
    for (uint32_t i = 0; i < count; i++) {
        arguments[i] = copy_for(narrowing, expression->arguments[i], relation);
        if (arguments[i] == NULL)
            return NULL;
    }
    return copy;
}

static struct expression *make_and(struct narrowing *narrowing, struct expression **parts,
                                   uint32_t count)
{
    if (count == 1)
        return parts[0];
    struct expression *all = bind_alloc(narrowing->binder, sizeof *all, narrowing->error);
    if (all != NULL)
        *all = (struct expression){.kind = EXPRESSION_AND,
                                   .type = {.id = OMEN_TYPE_BOOLEAN},
                                   .location = -1,
                                   .arguments = parts,
                                   .argument_count = count};
    return all;
}

/* --- the list of keys --- */

/* SELECT column FROM a second reference to the column's table WHERE the conditions. */
static omen_status list_keys(struct narrowing *narrowing, const struct expression *column,
                             struct expression **conditions, uint32_t count, struct query **out)
{
    struct binder *binder = narrowing->binder;
    struct relation *relation = bind_alloc(binder, sizeof *relation, narrowing->error);
    struct query *list = bind_alloc(binder, sizeof *list, narrowing->error);
    if (relation == NULL || list == NULL)
        return OMEN_OUT_OF_MEMORY;
    *relation = *column->column.relation;
    relation->number = binder->relation_count++;
    relation->row_ids = false;
    list->targets = bind_alloc(binder, sizeof *list->targets, narrowing->error);
    list->types = bind_alloc(binder, sizeof *list->types, narrowing->error);
    list->from = bind_alloc(binder, sizeof(struct from_item *), narrowing->error);
    if (list->targets == NULL || list->types == NULL || list->from == NULL)
        return OMEN_OUT_OF_MEMORY;
    OMEN_TRY(bind_leaf(binder, relation, &list->from[0], narrowing->error));
    list->from_count = 1;
    list->target_count = 1;
    list->types[0] = column->type;
    list->targets[0] =
        (struct target){.expression = bind_column_use(binder, relation, column->column.column, 0,
                                                      -1, narrowing->error),
                        .name = "key"};
    for (uint32_t i = 0; i < count; i++) {
        conditions[i] = copy_for(narrowing, conditions[i], relation);
        if (conditions[i] == NULL)
            return OMEN_OUT_OF_MEMORY;
    }
    list->where = make_and(narrowing, conditions, count);
    *out = list;
    return list->targets[0].expression == NULL || list->where == NULL ? OMEN_OUT_OF_MEMORY
                                                                      : OMEN_OK;
}

/* A list that the query around already asks a column to be in; NULL: none. */
static struct query *given_list(struct narrowing *narrowing, const struct expression *column)
{
    uint32_t count;
    struct expression **conjuncts = conjuncts_of(&narrowing->query->where, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct expression *in = conjuncts[i];
        if (in->kind == EXPRESSION_SUBQUERY && in->subquery.kind == SUBQUERY_ANY &&
            in->negated == in->subquery.negated && strcmp(in->line->name, "=") == 0 &&
            in->arguments[0]->kind == EXPRESSION_COLUMN &&
            in->arguments[0]->column.relation == column->column.relation &&
            in->arguments[0]->column.column == column->column.column &&
            in->arguments[0]->column.levels_up == 0 && !bind_is_correlated(in->subquery.query))
            return in->subquery.query;
    }
    return NULL;
}

static omen_status find_list(struct narrowing *narrowing, const struct expression *column,
                             struct query **out)
{
    const struct relation *relation = column->column.relation;
    struct expression **conditions;
    uint32_t count;
    *out = NULL;
    if (relation->kind != RELATION_TABLE || relation->file != NULL ||
        column->column.column >= relation->column_count)
        return OMEN_OK;
    OMEN_TRY(own_conditions(narrowing, relation, &conditions, &count));
    if (count > 0 && join_size_share(narrowing->sizes, relation, conditions, count) <= SHARE_MAX)
        return list_keys(narrowing, column, conditions, count, out);
    *out = given_list(narrowing, column);
    return OMEN_OK;
}

/* --- subqueries --- */

/* `own column = column of the query around` of one type: which is which. */
static bool is_key(const struct expression *condition, const struct expression **own,
                   const struct expression **outer)
{
    if (condition->kind != EXPRESSION_CALL || condition->argument_count != 2 ||
        condition->line->kind != SEMANTICS_OPERATOR || strcmp(condition->line->name, "=") != 0)
        return false;
    for (int side = 0; side < 2; side++) {
        *own = condition->arguments[side];
        *outer = condition->arguments[1 - side];
        if ((*own)->kind == EXPRESSION_COLUMN && (*own)->column.levels_up == 0 &&
            (*outer)->kind == EXPRESSION_COLUMN && (*outer)->column.levels_up == 1 &&
            semantics_same_type((*own)->type, (*outer)->type))
            return true;
    }
    return false;
}

/* Whether the subquery asks already that this column be in a list. */
static bool has_list(const struct query *inner, const struct expression *own)
{
    uint32_t count;
    struct expression *where = inner->where;
    struct expression **conjuncts = conjuncts_of(&where, &count);
    for (uint32_t i = 0; i < count; i++)
        if (conjuncts[i]->kind == EXPRESSION_SUBQUERY &&
            conjuncts[i]->subquery.kind == SUBQUERY_ANY &&
            expression_equal(conjuncts[i]->arguments[0], own))
            return true;
    return false;
}

/* own IN (list) as one condition more of the subquery. */
static omen_status add_list(struct narrowing *narrowing, struct query *inner,
                            const struct expression *own, const struct semantics_line *equal,
                            struct query *list)
{
    struct binder *binder = narrowing->binder;
    uint32_t count;
    struct expression **conjuncts = conjuncts_of(&inner->where, &count);
    struct expression *in = bind_alloc(binder, sizeof *in, narrowing->error);
    struct expression **left = bind_alloc(binder, sizeof *left, narrowing->error);
    struct expression **parts = bind_alloc(binder, (count + 1) * sizeof *parts, narrowing->error);
    if (in == NULL || left == NULL || parts == NULL)
        return OMEN_OUT_OF_MEMORY;
    left[0] = (struct expression *)own;
    *in = (struct expression){.kind = EXPRESSION_SUBQUERY,
                              .type = {.id = OMEN_TYPE_BOOLEAN},
                              .location = -1,
                              .arguments = left,
                              .argument_count = 1,
                              .line = equal,
                              .subquery = {.kind = SUBQUERY_ANY, .query = list}};
    memcpy(parts, conjuncts, count * sizeof *parts);
    parts[count] = in;
    inner->where = make_and(narrowing, parts, count + 1);
    return inner->where == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
}

static omen_status narrow(struct narrowing *narrowing, struct query *inner)
{
    uint32_t count;
    if (inner->kind != QUERY_SELECT || !inner->grouped || inner->group_count > 0 ||
        narrowing->binder->relation_count > RELATIONS_MAX ||
        !correlation_is_equality(narrowing->binder, inner))
        return OMEN_OK;
    struct expression **conjuncts = conjuncts_of(&inner->where, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct expression *own, *outer;
        struct query *list;
        if (!is_key(conjuncts[i], &own, &outer) || has_list(inner, own))
            continue;
        OMEN_TRY(find_list(narrowing, outer, &list));
        if (list != NULL)
            return add_list(narrowing, inner, own, conjuncts[i]->line, list);
    }
    return OMEN_OK;
}

static bool narrow_subqueries(struct expression **part, void *state)
{
    struct narrowing *narrowing = state;
    if ((*part)->kind == EXPRESSION_SUBQUERY && (*part)->subquery.kind == SUBQUERY_SCALAR)
        narrowing->status = narrow(narrowing, (*part)->subquery.query);
    return narrowing->status == OMEN_OK && expression_visit_parts(*part, narrow_subqueries, state);
}

omen_status subquery_keys_narrow(struct binder *binder, struct join_sizes *sizes,
                                 struct query *query, omen_error *error)
{
    struct narrowing narrowing = {.binder = binder, .sizes = sizes, .query = query, .error = error};
    if (query->kind == QUERY_SELECT && query->where != NULL)
        narrow_subqueries(&query->where, &narrowing);
    return narrowing.status;
}
