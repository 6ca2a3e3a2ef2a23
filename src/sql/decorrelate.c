/* decorrelate.c - correlated subqueries as joins with what they depend on.
 *
 * The engine joins EXISTS and IN in a WHERE, and scalar aggregates whose correlation is plain
 * equality. For the others the values that the subquery depends on, its keys, are listed first,
 * each once; the subquery is computed for all of them in one grouped query; and the result is
 * joined back (Neumann and Kemper, Unnesting Arbitrary Queries, BTW 2015):
 *
 *   SELECT (SELECT count(*) FROM u WHERE u.b < t.b) FROM t
 *
 *   SELECT CASE WHEN n.found THEN n.value ELSE 0 END
 *   FROM t LEFT JOIN (SELECT d.k, count(*) AS value, TRUE AS found
 *                     FROM (SELECT DISTINCT t.b AS k FROM t) AS d, u WHERE u.b < d.k
 *                     GROUP BY d.k) AS n ON n.k IS NOT DISTINCT FROM t.b
 *
 * A key that finds no rows is not in n: then the value is that of the aggregate over no rows. The
 * list of keys repeats the FROM of the query around, and of its WHERE what has no subqueries, so
 * it has every key that is asked for, perhaps more.
 */
#include "sql/decorrelate.h"

#include <string.h>

#include "sql/correlation.h"

/* The query being rewritten. */
struct rewriting {
    struct binder *binder;
    struct query *query;
    omen_error *error;
    omen_status status;
    /* As they were, for the lists of keys; of the conditions those that need nothing else. */
    struct from_item **from;
    uint32_t from_count;
    struct expression *condition;
    bool grouped;             /* within a grouped query's outputs, outside of its aggregates */
    bool filter;              /* in WHERE or HAVING, where the engine joins EXISTS and IN itself */
    struct replacement *done; /* a tested expression of a CASE stands in each of its comparisons */
};

struct replacement {
    struct replacement *next;
    const struct expression *subquery;
    struct expression *with;
};

/* Lines of our own: what PostgreSQL has no name for. */
static const struct semantics_line any_of = {.kind = SEMANTICS_AGGREGATE,
                                             .name = "bool_or",
                                             .argument_count = 1,
                                             .arguments = {OMEN_TYPE_BOOLEAN},
                                             .result = OMEN_TYPE_BOOLEAN,
                                             .engine = "bool_or($D$1)$F"};
static const struct semantics_line only_value = {.kind = SEMANTICS_AGGREGATE,
                                                 .name = "single_value",
                                                 .argument_count = 1,
                                                 .arguments = {SQL_TYPE_ANY},
                                                 .result = SQL_TYPE_ANY,
                                                 .rule = RESULT_SAME,
                                                 .engine = "single_value($1)$F"};

static const struct semantics_line first_value = {.kind = SEMANTICS_AGGREGATE,
                                                  .name = "first_value",
                                                  .argument_count = 1,
                                                  .arguments = {SQL_TYPE_ANY},
                                                  .result = SQL_TYPE_ANY,
                                                  .rule = RESULT_SAME,
                                                  .engine = "first_value($1)$F"};

/* --- making trees --- */

static const omen_type boolean_type = {.id = OMEN_TYPE_BOOLEAN};

static struct expression *make(struct rewriting *rewriting, enum expression_kind kind,
                               omen_type type, uint32_t argument_count)
{
    struct expression *made = bind_alloc(rewriting->binder, sizeof *made, rewriting->error);
    if (made == NULL)
        return NULL;
    *made = (struct expression){.kind = kind, .type = type, .location = -1};
    made->argument_count = argument_count;
    if (argument_count == 0)
        return made;
    made->arguments =
        bind_alloc(rewriting->binder, argument_count * sizeof *made->arguments, rewriting->error);
    return made->arguments == NULL ? NULL : made;
}

static struct expression *make_boolean(struct rewriting *rewriting, bool value)
{
    struct expression *constant = make(rewriting, EXPRESSION_CONSTANT, boolean_type, 0);
    if (constant != NULL) {
        constant->value.type = boolean_type;
        constant->value.as.boolean = value;
    }
    return constant;
}

static struct expression *make_null(struct rewriting *rewriting, omen_type type)
{
    struct expression *constant = make(rewriting, EXPRESSION_CONSTANT, type, 0);
    if (constant != NULL) {
        constant->value.type = type;
        constant->value.is_null = true;
    }
    return constant;
}

static struct expression *make_unary(struct rewriting *rewriting, enum expression_kind kind,
                                     struct expression *operand)
{
    struct expression *made = operand == NULL ? NULL : make(rewriting, kind, boolean_type, 1);
    if (made != NULL)
        made->arguments[0] = operand;
    return made;
}

static struct expression *make_test(struct rewriting *rewriting, enum expression_test test,
                                    struct expression *operand)
{
    struct expression *made = make_unary(rewriting, EXPRESSION_TEST, operand);
    if (made != NULL)
        made->test = test;
    return made;
}

static struct expression *make_aggregate(struct rewriting *rewriting,
                                         const struct semantics_line *line,
                                         struct expression *operand)
{
    struct expression *made = make_unary(rewriting, EXPRESSION_AGGREGATE, operand);
    if (made != NULL) {
        made->line = line;
        made->type = operand->type;
    }
    return made;
}

/* CASE WHEN ... with `count` arguments, NULL among them where memory ran out. */
static struct expression *make_case(struct rewriting *rewriting, omen_type type, uint32_t count,
                                    struct expression *const *arguments)
{
    for (uint32_t i = 0; i < count; i++)
        if (arguments[i] == NULL)
            return NULL;
    struct expression *made = make(rewriting, EXPRESSION_CASE, type, count);
    if (made != NULL)
        memcpy(made->arguments, arguments, count * sizeof *arguments);
    return made;
}

static omen_status no_memory(struct rewriting *rewriting)
{
    return error_set_default(rewriting->error, OMEN_OUT_OF_MEMORY);
}

static omen_status refuse(struct rewriting *rewriting, const struct expression *subquery)
{
    return bind_refuse(rewriting->binder, subquery->location,
                       "a subquery that uses outer columns this way", rewriting->error);
}

/* --- the aggregate over no rows --- */

/* A copy in which aggregates have their value over no rows. */
static struct expression *over_no_rows(struct rewriting *rewriting,
                                       const struct expression *expression)
{
    if (expression->kind == EXPRESSION_AGGREGATE) {
        struct expression *value = make_null(rewriting, expression->type);
        if (value != NULL && strcmp(expression->line->name, "count") == 0) {
            value->value.is_null = false;
            value->value.as.i64 = 0;
        }
        return value;
    }
    struct expression *copy =
        make(rewriting, expression->kind, expression->type, expression->argument_count);
    if (copy == NULL)
        return NULL;
    struct expression **arguments = copy->arguments;
    *copy = *expression;
    copy->arguments = arguments;
    /* What the subquery took from this query is this query's own now. */
    if (copy->kind == EXPRESSION_COLUMN && copy->column.levels_up > 0)
        copy->column.levels_up--;
    for (uint32_t i = 0; i < copy->argument_count; i++) {
        copy->arguments[i] = over_no_rows(rewriting, expression->arguments[i]);
        if (copy->arguments[i] == NULL)
            return NULL;
    }
    return copy;
}

/* --- the list of keys --- */

/* The conditions of the query around that need nothing but its own columns. */
static omen_status key_condition(struct rewriting *rewriting, struct expression **out)
{
    uint32_t count, kept = 0;
    struct expression **conjuncts = conjuncts_of(&rewriting->query->where, &count);
    struct expression *all = make(rewriting, EXPRESSION_AND, boolean_type, count + 1);
    if (all == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        if (!expression_has_subquery(conjuncts[i]) &&
            !correlation_of_expression(rewriting->binder, conjuncts[i]))
            all->arguments[kept++] = conjuncts[i];
    }
    all->argument_count = kept;
    *out = kept == 0 ? NULL : kept == 1 ? all->arguments[0] : all;
    return OMEN_OK;
}

static omen_status grow_query(struct rewriting *rewriting, uint32_t target_count,
                              struct query **out)
{
    struct binder *binder = rewriting->binder;
    struct query *query = bind_alloc(binder, sizeof *query, rewriting->error);
    if (query == NULL)
        return OMEN_OUT_OF_MEMORY;
    query->targets = bind_alloc(binder, target_count * sizeof *query->targets, rewriting->error);
    query->types = bind_alloc(binder, target_count * sizeof *query->types, rewriting->error);
    if (query->targets == NULL || query->types == NULL)
        return OMEN_OUT_OF_MEMORY;
    *out = query;
    return OMEN_OK;
}

static void add_target(struct query *query, struct expression *expression, const char *name)
{
    query->types[query->target_count] = expression->type;
    query->targets[query->target_count++] = (struct target){.expression = expression, .name = name};
}

/* SELECT DISTINCT keys FROM the query around, as a relation. */
static omen_status list_keys(struct rewriting *rewriting, const struct correlation *correlation,
                             struct relation **out)
{
    struct query *list;
    OMEN_TRY(grow_query(rewriting, correlation->key_count, &list));
    list->distinct = true;
    list->from = rewriting->from;
    list->from_count = rewriting->from_count;
    list->where = rewriting->condition;
    for (uint32_t i = 0; i < correlation->key_count; i++)
        add_target(list, correlation->keys[i], "key");
    /* Levels of this double the text. */
    OMEN_TRY(bind_spend_query(rewriting->binder, list, rewriting->error));
    return bind_query_relation(rewriting->binder, list, "keys", NULL, out, rewriting->error);
}

/* --- joining the results --- */

/* Puts `relation` beside everything in the query's FROM. */
static omen_status join_result(struct rewriting *rewriting, struct relation *relation,
                               const struct correlation *correlation)
{
    struct query *query = rewriting->query;
    struct binder *binder = rewriting->binder;
    struct expression *equal =
        make(rewriting, EXPRESSION_AND, boolean_type, correlation->key_count);
    if (equal == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < correlation->key_count; i++) {
        struct expression *key = correlation->keys[i];
        struct expression *same = make(rewriting, EXPRESSION_DISTINCT_FROM, boolean_type, 2);
        struct expression *listed = bind_column_use(binder, relation, i, 0, -1, rewriting->error);
        if (same == NULL || listed == NULL)
            return OMEN_OUT_OF_MEMORY;
        OMEN_TRY(
            semantics_find_operator("=", &key->type, &key->type, &same->line, rewriting->error));
        same->negated = true;
        same->arguments[0] = key;
        same->arguments[1] = listed;
        equal->arguments[i] = same;
    }
    struct from_item *right;
    OMEN_TRY(bind_leaf(binder, relation, &right, rewriting->error));
    struct from_item *left = query->from[0];
    for (uint32_t i = 1; i <= query->from_count; i++) {
        struct from_item *joined = bind_alloc(binder, sizeof *joined, rewriting->error);
        if (joined == NULL)
            return OMEN_OUT_OF_MEMORY;
        bool last = i == query->from_count;
        *joined = (struct from_item){.join = last ? JOIN_LEFT : JOIN_CROSS, .left = left};
        joined->right = last ? right : query->from[i];
        if (last)
            joined->condition = correlation->key_count == 1 ? equal->arguments[0] : equal;
        left = joined;
    }
    struct from_item **from = bind_alloc(binder, sizeof *from, rewriting->error);
    if (from == NULL)
        return OMEN_OUT_OF_MEMORY;
    from[0] = left;
    query->from = from;
    query->from_count = 1;
    return OMEN_OK;
}

/* A column of the joined result; one group more where the query is grouped. */
static struct expression *result_column(struct rewriting *rewriting, struct relation *relation,
                                        uint32_t column)
{
    struct query *query = rewriting->query;
    struct expression *use =
        bind_column_use(rewriting->binder, relation, column, 0, -1, rewriting->error);
    if (use == NULL || !rewriting->grouped)
        return use;
    struct expression **groups =
        bind_alloc(rewriting->binder, (query->group_count + 1) * sizeof *groups, rewriting->error);
    if (groups == NULL)
        return NULL;
    if (query->group_count > 0)
        memcpy(groups, query->groups, query->group_count * sizeof *groups);
    groups[query->group_count++] = use;
    query->groups = groups;
    return use;
}

/* What is computed for each key, and what that says of the subquery. */
struct answer {
    struct expression *values[2]; /* over the subquery's rows of one key */
    uint32_t value_count;
    struct expression *missing; /* the value of a key without rows, in the query around */
};

/* Turns the subquery into the grouped query, joins it and gives the columns of its values, and
 * whether a key was found. */
static omen_status join_answer(struct rewriting *rewriting, struct query *inner,
                               struct correlation *correlation, struct answer *answer,
                               struct expression **found)
{
    struct binder *binder = rewriting->binder;
    struct query *grouped;
    struct relation *keys, *result;
    struct from_item *leaf;
    OMEN_TRY(list_keys(rewriting, correlation, &keys));
    OMEN_TRY(grow_query(rewriting, correlation->key_count + 3, &grouped));
    OMEN_TRY(bind_leaf(binder, keys, &leaf, rewriting->error));
    grouped->from =
        bind_alloc(binder, (inner->from_count + 1) * sizeof *grouped->from, rewriting->error);
    grouped->groups =
        bind_alloc(binder, correlation->key_count * sizeof *grouped->groups, rewriting->error);
    struct expression *truth = make_boolean(rewriting, true);
    if (grouped->from == NULL || grouped->groups == NULL || truth == NULL)
        return OMEN_OUT_OF_MEMORY;
    grouped->from[0] = leaf;
    if (inner->from_count > 0)
        memcpy(grouped->from + 1, inner->from, inner->from_count * sizeof *inner->from);
    grouped->from_count = inner->from_count + 1;
    grouped->where = inner->where;
    grouped->grouped = true;
    grouped->ctes = inner->ctes;
    grouped->cte_count = inner->cte_count;
    for (uint32_t i = 0; i < correlation->key_count; i++) {
        struct expression *key = bind_column_use(binder, keys, i, 0, -1, rewriting->error);
        if (key == NULL)
            return OMEN_OUT_OF_MEMORY;
        grouped->groups[grouped->group_count++] = key;
        add_target(grouped, key, "key");
    }
    for (uint32_t i = 0; i < answer->value_count; i++)
        add_target(grouped, answer->values[i], "value");
    add_target(grouped, truth, "found");

    /* What the subquery took from outside it now takes from the list of keys. */
    OMEN_TRY(correlation_replace(correlation, grouped, keys));
    OMEN_TRY(bind_query_relation(binder, grouped, "answers", NULL, &result, rewriting->error));
    OMEN_TRY(join_result(rewriting, result, correlation));
    uint32_t first = correlation->key_count;
    for (uint32_t i = 0; i < answer->value_count; i++) {
        answer->values[i] = result_column(rewriting, result, first + i);
        if (answer->values[i] == NULL)
            return OMEN_OUT_OF_MEMORY;
    }
    *found = result_column(rewriting, result, first + answer->value_count);
    return *found == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
}

/* --- the kinds of subqueries --- */

/* The value of a subquery of plain rows: the only one, or the first one of LIMIT 1. */
static struct expression *row_value(struct rewriting *rewriting, struct query *inner)
{
    struct expression *target = inner->targets[0].expression;
    if (inner->limit == NULL)
        return make_aggregate(rewriting, &only_value, target);
    struct expression *first = make_aggregate(rewriting, &first_value, target);
    if (first == NULL)
        return NULL;
    for (uint32_t i = 0; i < inner->order_count; i++)
        if (inner->order[i].expression == NULL)
            inner->order[i].expression = inner->targets[inner->order[i].target].expression;
    first->aggregate.order = inner->order;
    first->aggregate.order_count = inner->order_count;
    return first;
}

static omen_status rewrite_scalar(struct rewriting *rewriting, struct expression **slot,
                                  struct correlation *correlation)
{
    struct query *inner = (*slot)->subquery.query;
    struct query rows = *inner;
    if (limit_rows(inner->limit) == 1)
        rows.limit = NULL;
    bool aggregate = query_is_plain(inner, true);
    struct expression *found;
    if ((!aggregate && (!query_is_plain(&rows, false) || inner->distinct)) ||
        bind_has_aggregate(inner->targets[0].expression, true))
        return refuse(rewriting, *slot);
    struct expression *target = inner->targets[0].expression;
    struct answer answer = {.value_count = 1};
    answer.missing =
        aggregate ? over_no_rows(rewriting, target) : make_null(rewriting, (*slot)->type);
    answer.values[0] = aggregate ? target : row_value(rewriting, inner);
    if (answer.missing == NULL || answer.values[0] == NULL)
        return no_memory(rewriting);
    OMEN_TRY(join_answer(rewriting, inner, correlation, &answer, &found));
    *slot = make_case(rewriting, (*slot)->type, 3,
                      (struct expression *[]){make_test(rewriting, TEST_NULL, found),
                                              answer.missing, answer.values[0]});
    return *slot == NULL ? no_memory(rewriting) : OMEN_OK;
}

static omen_status rewrite_exists(struct rewriting *rewriting, struct expression **slot,
                                  struct correlation *correlation)
{
    struct query *inner = (*slot)->subquery.query;
    bool wanted = (*slot)->negated == (*slot)->subquery.negated;
    struct answer answer = {0};
    struct expression *found;
    if (!query_is_plain(inner, false))
        return refuse(rewriting, *slot);
    OMEN_TRY(join_answer(rewriting, inner, correlation, &answer, &found));
    *slot = make_test(rewriting, wanted ? TEST_NOT_NULL : TEST_NULL, found);
    return *slot == NULL ? no_memory(rewriting) : OMEN_OK;
}

/* The comparison's left side joins the keys: as a column it is one already, or becomes one. */
static omen_status add_left_key(struct rewriting *rewriting, struct expression *left,
                                struct correlation *correlation, uint32_t *key)
{
    for (*key = 0; *key < correlation->key_count; ++*key)
        if (expression_equal(correlation->keys[*key], left))
            return OMEN_OK;
    if (correlation->key_count == CORRELATION_KEYS_MAX || expression_has_subquery(left) ||
        correlation_of_expression(rewriting->binder, left))
        return bind_refuse(rewriting->binder, left->location, "this comparison with a subquery",
                           rewriting->error);
    correlation->keys[correlation->key_count++] = left;
    return OMEN_OK;
}

/* x op ANY (q): some comparison is true, else some is NULL, else false. ALL the other way round. */
static omen_status rewrite_quantified(struct rewriting *rewriting, struct expression **slot,
                                      struct correlation *correlation)
{
    struct expression *call = *slot, *found;
    struct query *inner = call->subquery.query;
    bool any = call->subquery.kind == SUBQUERY_ANY;
    uint32_t key;
    if (!query_is_plain(inner, false) && correlation->key_count == 0)
        OMEN_TRY(bind_wrap(rewriting->binder, inner, &inner, rewriting->error));
    if (!query_is_plain(inner, false))
        return refuse(rewriting, call);
    OMEN_TRY(add_left_key(rewriting, call->arguments[0], correlation, &key));
    struct expression *compared = make(rewriting, EXPRESSION_CALL, boolean_type, 2);
    struct expression *left = make(rewriting, EXPRESSION_COLUMN, call->arguments[0]->type, 0);
    if (compared == NULL || left == NULL)
        return no_memory(rewriting);
    compared->line = call->line;
    compared->arguments[0] = left;
    compared->arguments[1] = inner->targets[0].expression;
    struct expression *decides = any ? compared : make_unary(rewriting, EXPRESSION_NOT, compared);
    struct answer answer = {.value_count = 2};
    answer.values[0] = decides == NULL ? NULL : make_aggregate(rewriting, &any_of, decides);
    struct expression *open = make_test(rewriting, TEST_NULL, compared);
    answer.values[1] = open == NULL ? NULL : make_aggregate(rewriting, &any_of, open);
    if (answer.values[0] == NULL || answer.values[1] == NULL)
        return no_memory(rewriting);
    left->column = (struct column_use){.column = key, .levels_up = CORRELATION_KEY_TO_COME};
    OMEN_TRY(join_answer(rewriting, inner, correlation, &answer, &found));
    bool negated = call->negated != call->subquery.negated;
    struct expression *value =
        make_case(rewriting, boolean_type, 7,
                  (struct expression *[]){
                      make_test(rewriting, TEST_NULL, found), make_boolean(rewriting, !any),
                      answer.values[0], make_boolean(rewriting, any), answer.values[1],
                      make_null(rewriting, boolean_type), make_boolean(rewriting, !any)});
    *slot = value != NULL && negated ? make_unary(rewriting, EXPRESSION_NOT, value) : value;
    return *slot == NULL ? no_memory(rewriting) : OMEN_OK;
}

/* --- what to rewrite --- */

static bool is_equality(const struct semantics_line *line)
{
    return strcmp(line->name, "=") == 0 || strcmp(line->name, "<>") == 0;
}

static enum correlated_place place_of(enum subquery_kind kind)
{
    if (kind == SUBQUERY_SCALAR)
        return CORRELATED_SCALAR;
    return kind == SUBQUERY_EXISTS ? CORRELATED_EXISTS : CORRELATED_SET;
}

/* Whether the engine, or engine_text, makes it right by itself. */
static bool leave(struct rewriting *rewriting, const struct expression *call,
                  const struct correlation *correlation)
{
    struct query *inner = call->subquery.query;
    enum subquery_kind kind = call->subquery.kind;
    bool quantified = kind == SUBQUERY_ANY || kind == SUBQUERY_ALL;
    if (correlation->key_count == 0 && !correlation->far)
        return !quantified || rewriting->filter || is_equality(call->line);
    if (!correlation_is_joinable(inner, place_of(kind), correlation))
        return false;
    if (kind != SUBQUERY_SCALAR && rewriting->filter)
        return true;
    if (rewriting->grouped || (quantified && !is_equality(call->line)) ||
        (kind == SUBQUERY_SCALAR && !inner->grouped))
        return false;
    return correlation_is_equality(rewriting->binder, inner);
}

static omen_status rewrite_subquery(struct rewriting *rewriting, struct expression **slot);

/* x op ANY (an aggregate of all rows): it has one row, so it is x op (it). */
static omen_status compare_with_row(struct rewriting *rewriting, struct expression **slot)
{
    struct expression *call = *slot;
    struct expression *row =
        make(rewriting, EXPRESSION_SUBQUERY, call->subquery.query->types[0], 0);
    struct expression *compared = make(rewriting, EXPRESSION_CALL, boolean_type, 2);
    if (row == NULL || compared == NULL)
        return no_memory(rewriting);
    row->location = call->location;
    row->subquery = (struct subquery_call){SUBQUERY_SCALAR, call->subquery.query, false};
    compared->line = call->line;
    compared->arguments[0] = call->arguments[0];
    compared->arguments[1] = row;
    bool negated = call->negated != call->subquery.negated;
    *slot = negated ? make_unary(rewriting, EXPRESSION_NOT, compared) : compared;
    if (*slot == NULL)
        return no_memory(rewriting);
    return rewrite_subquery(rewriting, &compared->arguments[1]);
}

/* The forms that become simpler ones. `*done`: nothing is left to do. */
static omen_status simplify_subquery(struct rewriting *rewriting, struct expression **slot,
                                     bool *done)
{
    struct expression *call = *slot;
    struct query *inner = call->subquery.query;
    *done = false;
    if (inner->grouped && inner->group_count == 0 && limit_rows(inner->limit) > 0) {
        inner->limit = NULL; /* it has one row */
        inner->order_count = 0;
    }
    if (call->subquery.kind == SUBQUERY_SCALAR)
        return OMEN_OK;
    if (call->subquery.kind == SUBQUERY_EXISTS) {
        query_drop_what_exists_ignores(inner);
        if (!query_has_one_row(inner))
            return OMEN_OK;
        *done = true;
        *slot = make_boolean(rewriting, call->negated == call->subquery.negated);
        return *slot == NULL ? no_memory(rewriting) : OMEN_OK;
    }
    *done = query_has_one_row(inner);
    return *done ? compare_with_row(rewriting, slot) : OMEN_OK;
}

/* The same expression may stand in several places: it is rewritten once. */
static omen_status remember(struct rewriting *rewriting, const struct expression *subquery,
                            struct expression *with)
{
    struct replacement *done = bind_alloc(rewriting->binder, sizeof *done, rewriting->error);
    if (done == NULL)
        return OMEN_OUT_OF_MEMORY;
    *done = (struct replacement){.next = rewriting->done, .subquery = subquery, .with = with};
    rewriting->done = done;
    return OMEN_OK;
}

/* A condition without columns would be asked before an aggregate of all rows below it, whose one
 * row would then be there all the same. So the subquery's value becomes a column: of a query of
 * one row beside the others. */
static omen_status join_value(struct rewriting *rewriting, struct expression **slot)
{
    struct binder *binder = rewriting->binder;
    struct query *query = rewriting->query, *single;
    struct relation *rows, *row;
    OMEN_TRY(bind_query_relation(binder, (*slot)->subquery.query, "rows", NULL, &rows,
                                 rewriting->error));
    OMEN_TRY(grow_query(rewriting, 1, &single));
    single->from = bind_alloc(binder, sizeof *single->from, rewriting->error);
    struct expression *column = bind_column_use(binder, rows, 0, 0, -1, rewriting->error);
    struct expression *value = make_aggregate(rewriting, &only_value, column);
    struct from_item **from =
        bind_alloc(binder, (query->from_count + 1) * sizeof *from, rewriting->error);
    if (single->from == NULL || value == NULL || from == NULL)
        return no_memory(rewriting);
    OMEN_TRY(bind_leaf(binder, rows, &single->from[0], rewriting->error));
    single->from_count = 1;
    single->grouped = true;
    add_target(single, value, "value");
    OMEN_TRY(bind_query_relation(binder, single, "row", NULL, &row, rewriting->error));
    memcpy(from, query->from, query->from_count * sizeof *from);
    OMEN_TRY(bind_leaf(binder, row, &from[query->from_count], rewriting->error));
    query->from = from;
    query->from_count++;
    *slot = bind_column_use(binder, row, 0, 0, -1, rewriting->error);
    return *slot == NULL ? no_memory(rewriting) : OMEN_OK;
}

/* Whether the value must be a column: see join_value. */
static bool needs_column(const struct rewriting *rewriting, const struct expression *call,
                         const struct correlation *correlation)
{
    if (call->subquery.kind != SUBQUERY_SCALAR || correlation->key_count > 0 || correlation->far ||
        !rewriting->filter || rewriting->grouped)
        return false;
    for (uint32_t i = 0; i < rewriting->from_count; i++)
        if (from_has_one_group(rewriting->from[i]))
            return true;
    return false;
}

static omen_status join_subquery(struct rewriting *rewriting, struct expression **slot)
{
    struct correlation correlation;
    OMEN_TRY(correlation_find(rewriting->binder, (*slot)->subquery.query, &correlation,
                              rewriting->error));
    if (needs_column(rewriting, *slot, &correlation))
        return join_value(rewriting, slot);
    if (leave(rewriting, *slot, &correlation))
        return OMEN_OK;
    if (correlation.far || correlation.misplaced ||
        (rewriting->grouped && rewriting->query->grouping_set_count > 0))
        return refuse(rewriting, *slot);
    switch ((*slot)->subquery.kind) {
    case SUBQUERY_SCALAR:
        return rewrite_scalar(rewriting, slot, &correlation);
    case SUBQUERY_EXISTS:
        return rewrite_exists(rewriting, slot, &correlation);
    case SUBQUERY_ANY:
    case SUBQUERY_ALL:
        return rewrite_quantified(rewriting, slot, &correlation);
    }
    return OMEN_OK;
}

static omen_status rewrite_subquery(struct rewriting *rewriting, struct expression **slot)
{
    const struct expression *call = *slot;
    bool simplified;
    for (const struct replacement *done = rewriting->done; done != NULL; done = done->next)
        if (done->subquery == call) {
            *slot = done->with;
            return OMEN_OK;
        }
    OMEN_TRY(simplify_subquery(rewriting, slot, &simplified));
    if (!simplified)
        OMEN_TRY(join_subquery(rewriting, slot));
    return *slot == call ? OMEN_OK : remember(rewriting, call, *slot);
}

static bool rewrite_part(struct expression **slot, void *state)
{
    struct rewriting *rewriting = state;
    bool grouped = rewriting->grouped;
    if ((*slot)->kind == EXPRESSION_AGGREGATE)
        rewriting->grouped = false;
    bool more = expression_visit_parts(*slot, rewrite_part, rewriting);
    rewriting->grouped = grouped;
    if (!more || (*slot)->kind != EXPRESSION_SUBQUERY)
        return more;
    rewriting->status = rewrite_subquery(rewriting, slot);
    return rewriting->status == OMEN_OK;
}

static void rewrite_optional(struct rewriting *rewriting, struct expression **slot)
{
    if (*slot != NULL && rewriting->status == OMEN_OK)
        rewrite_part(slot, rewriting);
}

/* LATERAL items that the engine would join wrongly are refused. */
static omen_status check_lateral(struct rewriting *rewriting, const struct from_item *item)
{
    struct correlation correlation;
    if (item->relation == NULL) {
        OMEN_TRY(check_lateral(rewriting, item->left));
        return check_lateral(rewriting, item->right);
    }
    if (!item->relation->lateral || item->relation->kind != RELATION_QUERY)
        return OMEN_OK;
    struct query *query = item->relation->query;
    OMEN_TRY(correlation_find(rewriting->binder, query, &correlation, rewriting->error));
    if (correlation_is_joinable(query, CORRELATED_LATERAL, &correlation))
        return OMEN_OK;
    return bind_refuse(rewriting->binder, -1, "this form of LATERAL", rewriting->error);
}

static omen_status rewrite_clauses(struct rewriting *rewriting)
{
    struct query *query = rewriting->query;
    rewriting->filter = true;
    rewrite_optional(rewriting, &query->where);
    rewriting->filter = false;
    for (uint32_t i = 0; i < query->group_count; i++)
        rewrite_optional(rewriting, &query->groups[i]);
    rewriting->grouped = query->grouped;
    for (uint32_t i = 0; i < query->target_count; i++)
        rewrite_optional(rewriting, &query->targets[i].expression);
    for (uint32_t i = 0; i < query->distinct_on_count; i++)
        rewrite_optional(rewriting, &query->distinct_on[i]);
    for (uint32_t i = 0; i < query->order_count; i++)
        rewrite_optional(rewriting, &query->order[i].expression);
    rewriting->filter = true;
    rewrite_optional(rewriting, &query->having);
    return rewriting->status;
}

/* Inner queries first: what they take from outside is settled when theirs is. */
static bool nested_query(struct query *query, uint32_t levels, void *state)
{
    struct rewriting *rewriting = state;
    (void)levels;
    rewriting->status = decorrelate_query(rewriting->binder, query, rewriting->error);
    return rewriting->status == OMEN_OK;
}

static bool nested_expression(struct expression **part, void *state)
{
    if ((*part)->kind == EXPRESSION_SUBQUERY && !nested_query((*part)->subquery.query, 1, state))
        return false;
    return expression_visit_parts(*part, nested_expression, state);
}

omen_status decorrelate_query(struct binder *binder, struct query *query, omen_error *error)
{
    struct rewriting rewriting = {.binder = binder, .query = query, .error = error};
    OMEN_TRY(bind_enter(binder, error));
    query_visit_parts(query, nested_expression, nested_query, &rewriting);
    if (rewriting.status == OMEN_OK && query->kind == QUERY_SELECT && query->from_count > 0) {
        rewriting.from = query->from;
        rewriting.from_count = query->from_count;
        for (uint32_t i = 0; i < query->from_count && rewriting.status == OMEN_OK; i++)
            rewriting.status = check_lateral(&rewriting, query->from[i]);
        if (rewriting.status == OMEN_OK)
            rewriting.status = key_condition(&rewriting, &rewriting.condition);
        if (rewriting.status == OMEN_OK)
            rewriting.status = rewrite_clauses(&rewriting);
    }
    binder->depth--;
    return rewriting.status == OMEN_OUT_OF_MEMORY ? error_set_default(error, OMEN_OUT_OF_MEMORY)
                                                  : rewriting.status;
}
