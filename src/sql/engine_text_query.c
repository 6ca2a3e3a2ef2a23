/* engine_text_query.c - bound queries in the engine's words.
 *
 *   relation 3           r3, its columns under their own names (tables) or r3$0, r3$1, ...
 *   WITH query 2         w2, its columns w2$0, w2$1, ...
 *   an output            o0$0, o0$1, ... in order
 *
 * Numbers are unique in a statement, so that no name hides another.
 */
#include <stdio.h>
#include <string.h>

#include "column/schema.h"
#include "sql/engine_text_private.h"

/* --- FROM --- */

/* Notes a table reference once and writes its name. */
static void put_table(struct text_writer *writer, const struct relation *relation)
{
    const char *name = table_name(relation->table);
    size_t capacity = strlen(name) + 16;
    char *full = arena_alloc(writer->arena, capacity);
    if (full == NULL) {
        text_fail(writer, OMEN_OUT_OF_MEMORY, "out of memory");
        return;
    }
    snprintf(full, capacity, "%s.%u", name, relation->number);
    text_put_name(writer, full);
    for (uint32_t i = 0; i < writer->relation_count; i++)
        if (strcmp(writer->relations[i].name, full) == 0)
            return;
    if (writer->relations == NULL)
        writer->relations =
            arena_alloc(writer->arena, ENGINE_RELATIONS_MAX * sizeof *writer->relations);
    if (writer->relations == NULL || writer->relation_count == ENGINE_RELATIONS_MAX) {
        text_fail(writer,
                  writer->relations == NULL ? OMEN_OUT_OF_MEMORY : OMEN_STATEMENT_TOO_COMPLEX,
                  writer->relations == NULL ? "out of memory" : "the statement is too complex");
        return;
    }
    writer->relations[writer->relation_count++] =
        (struct engine_relation){.name = full,
                                 .table = relation->table,
                                 .file = relation->file,
                                 .row_ids = relation->row_ids};
}

/* generate_series over constants: the engine's takes plain BIGINTs and gives them. */
static void put_function(struct text_writer *writer, const struct relation *relation)
{
    const struct expression *call = relation->function;
    omen_type_id type = call->type.id;
    bool whole =
        type == OMEN_TYPE_SMALLINT || type == OMEN_TYPE_INTEGER || type == OMEN_TYPE_BIGINT;
    if (call->kind != EXPRESSION_CALL || strcmp(call->line->name, "generate_series") != 0 ||
        !whole) {
        text_fail(writer, OMEN_NOT_SUPPORTED, "this function is not supported in FROM");
        return;
    }
    text_put(writer, "(SELECT CAST(value AS ");
    text_put_type(writer, call->type);
    text_put(writer, ") AS ");
    text_put_output(writer, (struct output_names){'r', relation->number}, 0);
    text_put(writer, " FROM generate_series(");
    for (uint32_t i = 0; i < call->argument_count; i++) {
        const struct expression *argument = call->arguments[i];
        if (argument->kind != EXPRESSION_CONSTANT || argument->value.is_null) {
            text_fail(writer, OMEN_NOT_SUPPORTED,
                      "generate_series in FROM is only supported with constant arguments");
            return;
        }
        const omen_value *value = &argument->value;
        int64_t number = value->type.id == OMEN_TYPE_BIGINT    ? value->as.i64
                         : value->type.id == OMEN_TYPE_INTEGER ? value->as.i32
                                                               : value->as.i16;
        text_put_format(writer, i > 0 ? ", %lld" : "%lld", (long long)number);
    }
    text_put(writer, "))");
}

static void put_relation(struct text_writer *writer, const struct relation *relation)
{
    switch (relation->kind) {
    case RELATION_TABLE:
        put_table(writer, relation);
        break;
    case RELATION_QUERY:
        text_put(writer, relation->lateral ? "LATERAL (" : "(");
        text_put_query(writer, relation->query, (struct output_names){'r', relation->number});
        text_put(writer, ")");
        break;
    case RELATION_CTE:
        text_put_format(writer, "w%u", relation->cte->number);
        break;
    case RELATION_FUNCTION:
        put_function(writer, relation);
        break;
    }
    text_put_format(writer, " AS r%u", relation->number);
}

static void put_from_item(struct text_writer *writer, const struct from_item *item)
{
    static const char *const words[] = {
        [JOIN_CROSS] = " CROSS JOIN ", [JOIN_INNER] = " JOIN ",     [JOIN_LEFT] = " LEFT JOIN ",
        [JOIN_RIGHT] = " LEFT JOIN ",  [JOIN_FULL] = " FULL JOIN ",
    };
    if (writer->status != OMEN_OK)
        return;
    if (item->relation != NULL) {
        put_relation(writer, item->relation);
        return;
    }
    /* The engine's rules take conditions through a RIGHT JOIN that must stay above it. */
    bool swapped = item->join == JOIN_RIGHT;
    const struct from_item *right = swapped ? item->left : item->right;
    put_from_item(writer, swapped ? item->right : item->left);
    text_put(writer, words[item->join]);
    text_put(writer, right->relation == NULL ? "(" : "");
    put_from_item(writer, right);
    text_put(writer, right->relation == NULL ? ")" : "");
    if (item->join == JOIN_CROSS)
        return;
    text_put(writer, " ON ");
    bool in_filter = writer->in_filter;
    writer->in_filter = item->join == JOIN_INNER;
    if (item->condition == NULL)
        text_put(writer, "TRUE");
    else
        text_put_where(writer, item->condition);
    writer->in_filter = in_filter;
}

void text_put_source(struct text_writer *writer, const struct query *query, text_conjunct *extra,
                     void *state)
{
    bool in_filter = writer->in_filter;
    for (uint32_t i = 0; i < query->from_count; i++) {
        text_put(writer, i == 0 ? " FROM " : ", ");
        put_from_item(writer, query->from[i]);
    }
    writer->in_filter = true;
    if (query->where != NULL) {
        text_put(writer, " WHERE ");
        text_put_where(writer, query->where);
    }
    if (extra != NULL) {
        text_put(writer, query->where != NULL ? " AND " : " WHERE ");
        extra(writer, state);
    }
    writer->in_filter = in_filter;
}

/* --- SELECT --- */

/* Constants are no column numbers here. */
static void put_group(struct text_writer *writer, const struct expression *group)
{
    text_check_equals(writer, group->type);
    bool number = group->kind == EXPRESSION_CONSTANT && group->type.id == OMEN_TYPE_BIGINT;
    text_put(writer, number ? "CAST(" : "");
    text_put_expression(writer, group);
    text_put(writer, number ? " AS BIGINT)" : "");
}

static void put_grouping(struct text_writer *writer, const struct query *query)
{
    if (query->grouping_sets == NULL) {
        for (uint32_t i = 0; i < query->group_count; i++) {
            text_put(writer, i == 0 ? " GROUP BY " : ", ");
            put_group(writer, query->groups[i]);
        }
        return;
    }
    text_put(writer, " GROUP BY GROUPING SETS (");
    for (uint32_t set = 0; set < query->grouping_set_count; set++) {
        text_put(writer, set > 0 ? ", (" : "(");
        for (const uint32_t *group = query->grouping_sets[set]; *group != 0; group++) {
            text_put(writer, group != query->grouping_sets[set] ? ", " : "");
            put_group(writer, query->groups[*group - 1]);
        }
        text_put(writer, ")");
    }
    text_put(writer, ")");
}

static void put_targets(struct text_writer *writer, const struct query *query)
{
    text_put(writer, "SELECT ");
    if (query->distinct_on_count > 0) {
        text_put(writer, "DISTINCT ON (");
        for (uint32_t i = 0; i < query->distinct_on_count; i++) {
            text_put(writer, i > 0 ? ", " : "");
            text_put_key(writer, query->distinct_on[i]);
        }
        text_put(writer, ") ");
    } else if (query->distinct) {
        text_put(writer, "DISTINCT ");
    }
    for (uint32_t i = 0; i < query->target_count; i++) {
        const struct expression *target = query->targets[i].expression;
        if (query->distinct)
            text_check_equals(writer, target->type);
        text_put(writer, i > 0 ? ", " : "");
        text_put_expression(writer, target);
        text_put(writer, " AS ");
        text_put_output(writer, writer->outputs, i);
    }
    if (query->target_count == 0)
        text_put(writer, "1");
    for (uint32_t i = 0; i < query->locking_count; i++) {
        text_put(writer, ", ");
        text_put_expression(writer, query->lockings[i].row_id);
        text_put(writer, " AS ");
        text_put_output(writer, writer->outputs, query->target_count + i);
    }
}

static bool no_aggregate(struct expression **part, void *state)
{
    return (*part)->kind != EXPRESSION_AGGREGATE &&
           expression_visit_parts(*part, no_aggregate, state);
}

/* Without one the engine would not see that all rows are one group. */
static bool has_aggregate(const struct query *query)
{
    struct expression *having = query->having;
    bool none = having == NULL || no_aggregate(&having, NULL);
    for (uint32_t i = 0; i < query->target_count && none; i++)
        none = no_aggregate(&query->targets[i].expression, NULL);
    return !none;
}

static void put_select(struct text_writer *writer, const struct query *query)
{
    put_targets(writer, query);
    text_put_source(writer, query, NULL, NULL);
    if (query->grouped)
        put_grouping(writer, query);
    if (query->having != NULL) {
        writer->in_filter = true;
        text_put(writer, " HAVING ");
        text_put_where(writer, query->having);
        writer->in_filter = false;
    }
    if (query->grouped && query->group_count == 0 && !has_aggregate(query))
        text_put(writer,
                 query->having != NULL ? " AND (count(*) >= 0)" : " HAVING (count(*) >= 0)");
}

/* --- VALUES and set operations --- */

static bool find_subquery(struct expression **part, void *state)
{
    bool *found = state;
    *found |= (*part)->kind == EXPRESSION_SUBQUERY;
    return !*found && expression_visit_parts(*part, find_subquery, state);
}

static bool values_have_subqueries(const struct query *query)
{
    bool found = false;
    for (uint32_t row = 0; row < query->row_count && !found; row++)
        for (uint32_t i = 0; i < query->target_count && !found; i++)
            find_subquery(&query->rows[row][i], &found);
    return found;
}

/* The engine computes VALUES while planning, when it has no subquery's value yet. */
static void put_rows(struct text_writer *writer, const struct query *query)
{
    for (uint32_t row = 0; row < query->row_count && writer->status == OMEN_OK; row++) {
        text_put(writer, row > 0 ? " UNION ALL SELECT " : "SELECT ");
        for (uint32_t i = 0; i < query->target_count; i++) {
            text_put(writer, i > 0 ? ", " : "");
            text_put_expression(writer, query->rows[row][i]);
            text_put(writer, " AS ");
            text_put_output(writer, writer->outputs, i);
        }
    }
}

static void put_values(struct text_writer *writer, const struct query *query)
{
    if (values_have_subqueries(query)) {
        put_rows(writer, query);
        return;
    }
    text_put(writer, "SELECT ");
    for (uint32_t i = 0; i < query->target_count; i++) {
        text_put_format(writer, "%scolumn%u AS ", i > 0 ? ", " : "", i + 1);
        text_put_output(writer, writer->outputs, i);
    }
    text_put(writer, " FROM (VALUES ");
    for (uint32_t row = 0; row < query->row_count && writer->status == OMEN_OK; row++) {
        text_put(writer, row > 0 ? ", (" : "(");
        text_put_expressions(writer, query->rows[row], query->target_count, ", ");
        text_put(writer, ")");
    }
    text_put_format(writer, ") AS s%u", ++writer->alias_count);
}

/* Whether a query can stand beside a set operation's word without parentheses. */
static bool stands_alone(const struct query *query)
{
    return query->cte_count == 0 && query->order_count == 0 && query->limit == NULL &&
           query->offset == NULL && query->kind == QUERY_SELECT;
}

static void put_side(struct text_writer *writer, const struct query *side, bool bare)
{
    text_put(writer, bare ? "" : "(");
    text_put_query(writer, side, writer->outputs);
    text_put(writer, bare ? "" : ")");
}

/* A side of EXCEPT ALL or INTERSECT ALL, each row with its number among its equals: of rows
 * numbered so, the sets are the multisets. */
static void put_numbered_side(struct text_writer *writer, const struct query *side)
{
    struct output_names inner = {'s', ++writer->alias_count};
    text_put(writer, "SELECT ");
    for (uint32_t i = 0; i < side->target_count; i++) {
        text_put_output(writer, inner, i);
        text_put(writer, " AS ");
        text_put_output(writer, writer->outputs, i);
        text_put(writer, ", ");
    }
    text_put(writer, "row_number() OVER (PARTITION BY ");
    for (uint32_t i = 0; i < side->target_count; i++) {
        text_put(writer, i > 0 ? ", " : "");
        text_put_output(writer, inner, i);
    }
    text_put(writer, ") AS ");
    text_put_output(writer, writer->outputs, side->target_count);
    text_put(writer, " FROM (");
    text_put_query(writer, side, inner);
    text_put_format(writer, ") AS s%u", inner.number);
}

static void put_multiset(struct text_writer *writer, const struct query *query)
{
    struct output_names outputs = writer->outputs, inner = {'s', ++writer->alias_count};
    text_put(writer, "SELECT ");
    for (uint32_t i = 0; i < query->target_count; i++) {
        text_put(writer, i > 0 ? ", " : "");
        text_put_output(writer, inner, i);
        text_put(writer, " AS ");
        text_put_output(writer, outputs, i);
    }
    text_put(writer, " FROM (");
    writer->outputs = inner;
    put_numbered_side(writer, query->left);
    text_put(writer, query->operation == SET_EXCEPT ? " EXCEPT " : " INTERSECT ");
    put_numbered_side(writer, query->right);
    writer->outputs = outputs;
    text_put_format(writer, ") AS s%u", inner.number);
}

static void put_set(struct text_writer *writer, const struct query *query)
{
    static const char *const words[] = {
        [SET_UNION] = " UNION ", [SET_INTERSECT] = " INTERSECT ", [SET_EXCEPT] = " EXCEPT "};
    for (uint32_t i = 0; i < query->target_count && !(query->all && query->operation == SET_UNION);
         i++)
        text_check_equals(writer, query->types[i]);
    if (query->all && query->operation != SET_UNION) {
        put_multiset(writer, query);
        return;
    }
    const struct query *left = query->left;
    bool chain = left->kind == QUERY_SET && left->cte_count == 0 && left->order_count == 0 &&
                 left->limit == NULL && left->offset == NULL && left->operation == SET_UNION &&
                 query->operation == SET_UNION;
    put_side(writer, left, chain || stands_alone(left));
    text_put(writer, words[query->operation]);
    text_put(writer, query->all ? "ALL " : "");
    put_side(writer, query->right, stands_alone(query->right));
}

/* --- what every query can have --- */

static void put_ctes(struct text_writer *writer, const struct query *query)
{
    bool recursive = false;
    for (uint32_t i = 0; i < query->cte_count; i++)
        recursive |= query->ctes[i]->recursive;
    for (uint32_t i = 0; i < query->cte_count; i++) {
        text_put(writer, i > 0 ? ", " : recursive ? "WITH RECURSIVE " : "WITH ");
        text_put_format(writer, "w%u AS (", query->ctes[i]->number);
        text_put_query(writer, query->ctes[i]->query,
                       (struct output_names){'w', query->ctes[i]->number});
        text_put(writer, ")");
    }
    text_put(writer, query->cte_count > 0 ? " " : "");
}

static void put_order(struct text_writer *writer, const struct query *query)
{
    bool first = true;
    for (uint32_t i = 0; i < query->order_count; i++) {
        const struct sort_key *key = &query->order[i];
        if (key->expression != NULL && key->expression->kind == EXPRESSION_CONSTANT)
            continue;
        text_put(writer, first ? " ORDER BY " : ", ");
        first = false;
        if (key->expression != NULL) {
            text_put_key(writer, key->expression);
        } else if (query->distinct_on_count > 0 && query->types[key->target].id == OMEN_TYPE_CHAR) {
            text_put_key(writer, query->targets[key->target].expression);
        } else if (query->types[key->target].id == OMEN_TYPE_CHAR) {
            text_put(writer, "rtrim(");
            text_put_output(writer, writer->outputs, key->target);
            text_put(writer, ", ' ')");
        } else {
            text_check_order(writer, query->types[key->target]);
            text_put_format(writer, "%u", key->target + 1);
        }
        text_put_direction(writer, key);
    }
}

/* NULL is no limit; the engine's words for a negative one are not PostgreSQL's. */
static void put_limit(struct text_writer *writer, const struct expression *limit, bool is_offset)
{
    if (limit == NULL || (limit->kind == EXPRESSION_CONSTANT && limit->value.is_null))
        return;
    if (limit->kind == EXPRESSION_CONSTANT && limit->value.as.i64 < 0) {
        text_fail(writer, is_offset ? OMEN_INVALID_OFFSET : OMEN_INVALID_LIMIT,
                  "%s must not be negative", is_offset ? "OFFSET" : "LIMIT");
        return;
    }
    text_put(writer, is_offset ? " OFFSET " : " LIMIT ");
    text_put_expression(writer, limit);
}

void text_put_output(struct text_writer *writer, struct output_names outputs, uint32_t column)
{
    text_put_format(writer, "%c%u$%u", outputs.kind, outputs.number, column);
}

void text_put_query(struct text_writer *writer, const struct query *query,
                    struct output_names outputs)
{
    if (writer->status != OMEN_OK)
        return;
    bool in_filter = writer->in_filter;
    struct output_names outer = writer->outputs;
    writer->outputs = outputs;
    writer->in_filter = false;
    put_ctes(writer, query);
    switch (query->kind) {
    case QUERY_SELECT:
        put_select(writer, query);
        break;
    case QUERY_SET:
        put_set(writer, query);
        break;
    case QUERY_VALUES:
        put_values(writer, query);
        break;
    }
    put_order(writer, query);
    if (query->locking_count == 0) {
        put_limit(writer, query->limit, false);
        put_limit(writer, query->offset, true);
    }
    writer->in_filter = in_filter;
    writer->outputs = outer;
}
