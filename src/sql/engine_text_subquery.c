/* engine_text_subquery.c - EXISTS, IN, ANY, ALL and scalar subqueries, as far as the engine has
 * them right.
 *
 * The engine makes joins of EXISTS and IN in a WHERE, and of scalar subqueries everywhere. It has
 * no EXISTS outside of a WHERE, and its NOT IN forgets NULLs but for a conjunct with a column on
 * the left. So
 *
 *   EXISTS (q) as a value      (SELECT count(*) FROM q) > 0
 *   x NOT IN (q), x op ALL(q)  NOT EXISTS of what speaks against it
 *   x op ANY (q) as a value    CASE WHEN one is true WHEN one is NULL THEN NULL ELSE FALSE END
 *
 * A condition on the subquery's rows goes into its own WHERE where it is a plain SELECT, because
 * the engine doesn't find outer columns two levels below.
 */
#include <string.h>

#include "sql/correlation.h"
#include "sql/engine_text_private.h"

/* Relations of our own have numbers that no binder gives out. */
enum { OWN_RELATIONS = 1000000000 };

/* --- what a subquery is --- */

/* Whether each row of its FROM and WHERE, and nothing else, makes a row of it. */
static bool is_row_by_row(const struct query *query)
{
    if (!query_is_plain(query, false) || query->distinct || query->cte_count > 0)
        return false;
    for (uint32_t i = 0; i < query->target_count; i++)
        if (bind_has_aggregate(query->targets[i].expression, true))
            return false;
    return true;
}

static void put_whole(struct text_writer *writer, const struct query *query)
{
    text_put_query(writer, query, (struct output_names){'s', ++writer->alias_count});
}

/* --- probes: a subquery's rows for which something holds --- */

enum probe_test { PROBE_ALL, PROBE_TRUE, PROBE_NOT_TRUE, PROBE_FALSE, PROBE_UNKNOWN, PROBE_NULL };

struct probe {
    const struct expression *call; /* the subquery's expression */
    struct expression *output;     /* the subquery's column */
    enum probe_test test;          /* of the comparison; NULL: of the column */
};

static void put_probe_test(struct text_writer *writer, void *state)
{
    static const char *const words[] = {
        [PROBE_TRUE] = "",           [PROBE_NOT_TRUE] = " IS NOT TRUE",
        [PROBE_FALSE] = " IS FALSE", [PROBE_UNKNOWN] = " IS NULL",
        [PROBE_NULL] = " IS NULL",
    };
    const struct probe *probe = state;
    text_put(writer, "(");
    if (probe->test == PROBE_NULL) {
        text_put_expression(writer, probe->output);
    } else {
        struct expression *pair[2] = {probe->call->arguments[0], probe->output};
        struct expression comparison = {.kind = EXPRESSION_CALL,
                                        .type = {.id = OMEN_TYPE_BOOLEAN},
                                        .location = -1,
                                        .arguments = pair,
                                        .argument_count = 2,
                                        .line = probe->call->line};
        text_put_call(writer, &comparison, comparison.line);
    }
    text_put(writer, words[probe->test]);
    text_put(writer, ")");
}

/* `(SELECT <what> FROM the rows that pass)` */
static void put_probe(struct text_writer *writer, const struct expression *expression,
                      const char *what, enum probe_test test)
{
    const struct query *query = expression->subquery.query;
    struct relation relation = {.kind = RELATION_QUERY};
    struct expression column = {.kind = EXPRESSION_COLUMN, .column = {.relation = &relation}};
    struct probe probe = {.call = expression, .test = test};
    text_conjunct *extra = test == PROBE_ALL ? NULL : put_probe_test;
    text_put(writer, "(SELECT ");
    text_put(writer, what);
    text_put(writer, " AS ");
    text_put_output(writer, (struct output_names){'s', ++writer->alias_count}, 0);
    if (is_row_by_row(query)) {
        probe.output = query->target_count > 0 ? query->targets[0].expression : NULL;
        text_put_source(writer, query, extra, &probe);
    } else {
        relation.number = OWN_RELATIONS + writer->alias_count++;
        probe.output = &column;
        text_put(writer, " FROM (");
        text_put_query(writer, query, (struct output_names){'r', relation.number});
        text_put_format(writer, ") AS r%u", relation.number);
        if (extra != NULL) {
            text_put(writer, " WHERE ");
            put_probe_test(writer, &probe);
        }
    }
    text_put(writer, ")");
}

/* Whether there is such a row, true or false. */
static void put_found(struct text_writer *writer, const struct expression *expression,
                      enum probe_test test, bool wanted)
{
    if (writer->in_filter) {
        text_put(writer, wanted ? "(EXISTS " : "(NOT EXISTS ");
        put_probe(writer, expression, "1", test);
        text_put(writer, ")");
    } else {
        text_put(writer, "(");
        put_probe(writer, expression, "count(*)", test);
        text_put(writer, wanted ? " > 0)" : " = 0)");
    }
}

/* --- ANY and ALL --- */

/* The engine's own "=", for which it has IN and joins by hash. */
static const struct semantics_line plain_equality = {
    .kind = SEMANTICS_OPERATOR, .name = "=", .argument_count = 2, .engine = "($1 = $2)"};

static bool is_plain_line(const struct semantics_line *line, const char *name, const char *engine)
{
    return strcmp(line->name, name) == 0 && line->engine != NULL &&
           strcmp(line->engine, engine) == 0;
}

static void put_in(struct text_writer *writer, const struct expression *expression, bool wanted)
{
    text_put(writer, "(");
    text_put_expression(writer, expression->arguments[0]);
    text_put(writer, wanted ? " IN (" : " NOT IN (");
    put_whole(writer, expression->subquery.query);
    text_put(writer, "))");
}

/* x NOT IN (q): no row is equal, none is NULL, and x is none either unless q is empty. */
static void put_not_in(struct text_writer *writer, const struct expression *expression)
{
    text_put(writer, "(");
    put_found(writer, expression, PROBE_TRUE, false);
    text_put(writer, " AND ");
    put_found(writer, expression, PROBE_NULL, false);
    text_put(writer, " AND (");
    text_put_expression(writer, expression->arguments[0]);
    text_put(writer, " IS NOT NULL OR ");
    put_found(writer, expression, PROBE_ALL, false);
    text_put(writer, "))");
}

/* x = ANY (q) with its NULLs, or its opposite. */
static void put_membership(struct text_writer *writer, const struct expression *expression,
                           bool wanted)
{
    text_put(writer, "(CASE WHEN ");
    put_found(writer, expression, PROBE_TRUE, true);
    text_put(writer, wanted ? " THEN TRUE WHEN " : " THEN FALSE WHEN ");
    put_found(writer, expression, PROBE_NULL, true);
    text_put(writer, " OR (");
    text_put_expression(writer, expression->arguments[0]);
    text_put(writer, " IS NULL AND ");
    put_found(writer, expression, PROBE_ALL, true);
    text_put(writer, ") THEN CAST(NULL AS BOOLEAN)");
    text_put(writer, wanted ? " ELSE FALSE END)" : " ELSE TRUE END)");
}

/* Any other operator: the rows that decide, then those that leave it open. */
static void put_comparison(struct text_writer *writer, const struct expression *expression,
                           bool is_any, bool wanted, enum text_position position)
{
    if (position != TEXT_VALUE && wanted) {
        put_found(writer, expression, is_any ? PROBE_TRUE : PROBE_NOT_TRUE, is_any);
        return;
    }
    text_put(writer, "(CASE WHEN ");
    put_found(writer, expression, is_any ? PROBE_TRUE : PROBE_FALSE, true);
    text_put(writer, is_any == wanted ? " THEN TRUE WHEN " : " THEN FALSE WHEN ");
    put_found(writer, expression, PROBE_UNKNOWN, true);
    text_put(writer, " THEN CAST(NULL AS BOOLEAN)");
    text_put(writer, is_any == wanted ? " ELSE FALSE END)" : " ELSE TRUE END)");
}

/* Whether the engine's own NOT IN minds the NULLs. */
static bool engine_minds_nulls(const struct expression *expression)
{
    const struct expression *left = expression->arguments[0];
    return left->kind == EXPRESSION_COLUMN && left->column.levels_up == 0 &&
           !bind_is_correlated(expression->subquery.query);
}

/* Also of <> ALL, which is NOT IN. */
static void put_quantified(struct text_writer *writer, const struct expression *expression,
                           enum text_position position)
{
    bool is_any = expression->subquery.kind == SUBQUERY_ANY;
    bool wanted = !(expression->negated != expression->subquery.negated);
    const struct semantics_line *line = expression->line;
    if (is_any ? !is_plain_line(line, "=", "($1 = $2)")
               : !is_plain_line(line, "<>", "($1 <> $2)")) {
        put_comparison(writer, expression, is_any, wanted, position);
        return;
    }
    bool member = is_any == wanted;
    struct expression equal = *expression;
    equal.line = &plain_equality;
    if (position == TEXT_VALUE)
        put_membership(writer, &equal, member);
    else if (member && writer->in_filter)
        put_in(writer, expression, true);
    else if (member)
        put_found(writer, &equal, PROBE_TRUE, true);
    else if (position == TEXT_CONJUNCT && writer->in_filter && engine_minds_nulls(expression))
        put_in(writer, expression, false);
    else
        put_not_in(writer, &equal);
}

/* The engine believes the value of a column without NULLs to be none even where there is no row;
 * whole() makes no such promise. Correlated ones are joins, which know better. */
static void put_scalar(struct text_writer *writer, const struct query *query)
{
    bool correlated = bind_is_correlated(query);
    text_put(writer, correlated ? "(" : "whole((");
    put_whole(writer, query);
    text_put(writer, correlated ? ")" : "))");
}

void text_put_subquery(struct text_writer *writer, const struct expression *expression,
                       enum text_position position)
{
    const struct query *query = expression->subquery.query;
    bool negated = expression->negated != expression->subquery.negated;
    switch (expression->subquery.kind) {
    case SUBQUERY_EXISTS:
        if (writer->in_filter) {
            text_put(writer, negated ? "(NOT EXISTS (" : "(EXISTS (");
            put_whole(writer, query);
            text_put(writer, "))");
        } else {
            put_found(writer, expression, PROBE_ALL, !negated);
        }
        break;
    case SUBQUERY_SCALAR:
        put_scalar(writer, query);
        break;
    case SUBQUERY_ANY:
    case SUBQUERY_ALL:
        put_quantified(writer, expression, position);
        break;
    }
}
