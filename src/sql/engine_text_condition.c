/* engine_text_condition.c - AND, OR, CASE and COALESCE, computing no more than PostgreSQL does.
 *
 * The engine computes both sides of AND and OR for every row of a batch, and it turns a CASE of
 * truth values into such ANDs and ORs, so that `x <> 0 AND 1 / x > 2` would divide by zero. Where a
 * part can fail, it stands in a CASE of numbers instead, whose branches the engine computes only
 * for the rows that reach them, and whole() hides it from the engine's rules:
 *
 *   x <> 0 AND 1 / x > 2
 *   (x <> 0 AND whole(CASE WHEN x <> 0 IS NOT TRUE THEN 0 WHEN 1 / x > 2 THEN 1 ELSE 0 END) = 1)
 *
 * What cannot fail also stands alone, where the engine finds it for its scans and joins. A part of
 * a WHERE is guarded by those parts before it that speak of no other tables, as PostgreSQL's
 * planner would keep them together.
 */
#include <string.h>

#include "sql/engine_text_private.h"

enum {
    PARTS_MAX = 64,      /* of an AND or OR that are guarded singly; more are written plainly */
    PARTS_FLAT_MAX = 16, /* more are written as a balanced tree: the engine recurses over it */
};

/* --- what an expression is made of --- */

struct traits {
    bool subquery;
    uint64_t relations; /* a bit a relation; two may share one */
};

static bool collect_traits(struct expression **part, void *state)
{
    struct traits *traits = state;
    if ((*part)->kind == EXPRESSION_SUBQUERY)
        traits->subquery = true;
    if ((*part)->kind == EXPRESSION_COLUMN)
        traits->relations |= UINT64_C(1) << ((*part)->column.relation->number & 63);
    return expression_visit_parts(*part, collect_traits, state);
}

static struct traits traits_of(const struct expression *expression)
{
    struct traits traits = {0};
    struct expression *part = (struct expression *)expression;
    collect_traits(&part, &traits);
    return traits;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

static bool line_may_fail(const struct semantics_line *line)
{
    static const char *const operators[] = {
        "=", "<>", "<", "<=", ">", ">=", "||", "~~", "!~~", "~~*", "!~~*", NULL};
    static const char *const functions[] = {
        "lower", "upper", "length", "char_length", "octet_length", "btrim", "ltrim", "rtrim", NULL};
    if (line->flags & SEMANTICS_BINARY)
        return false;
    if (line->kind == SEMANTICS_CAST)
        return line->engine == NULL || (line->flags & SEMANTICS_IMPLICIT) == 0;
    return !is_one_of(line->name, line->kind == SEMANTICS_OPERATOR ? operators : functions);
}

bool text_may_fail(const struct expression *expression)
{
    switch (expression->kind) {
    case EXPRESSION_CONSTANT:
    case EXPRESSION_PARAMETER:
    case EXPRESSION_COLUMN:
    case EXPRESSION_AGGREGATE: /* these three are computed elsewhere and read here */
    case EXPRESSION_WINDOW:
    case EXPRESSION_SUBQUERY:
        return false;
    case EXPRESSION_CALL:
        if (line_may_fail(expression->line) || text_cast_narrows(expression))
            return true;
        break;
    default:
        break;
    }
    for (uint32_t i = 0; i < expression->argument_count; i++)
        if (text_may_fail(expression->arguments[i]))
            return true;
    return false;
}

/* Whether a part behind the first can fail and has no subquery, which the engine must see plainly.
 */
static bool needs_guards(const struct expression *expression)
{
    if (expression->argument_count > PARTS_MAX || traits_of(expression).subquery)
        return false;
    for (uint32_t i = 1; i < expression->argument_count; i++)
        if (text_may_fail(expression->arguments[i]))
            return true;
    return false;
}

static bool is_boolean(const struct expression *expression)
{
    return expression->type.id == OMEN_TYPE_BOOLEAN;
}

/* --- plain lists --- */

typedef void put_one(struct text_writer *writer, const struct expression *expression);

static void put_list(struct text_writer *writer, struct expression *const *parts, uint32_t count,
                     const char *separator, put_one *put)
{
    if (count > PARTS_FLAT_MAX) {
        uint32_t half = count / 2;
        text_put(writer, "(");
        put_list(writer, parts, half, separator, put);
        text_put(writer, ")");
        text_put(writer, separator);
        text_put(writer, "(");
        put_list(writer, parts + half, count - half, separator, put);
        text_put(writer, ")");
        return;
    }
    for (uint32_t i = 0; i < count && writer->status == OMEN_OK; i++) {
        text_put(writer, i > 0 ? separator : "");
        put(writer, parts[i]);
    }
}

static void put_plainly(struct text_writer *writer, const struct expression *expression,
                        put_one *put)
{
    text_put(writer, "(");
    put_list(writer, expression->arguments, expression->argument_count,
             expression->kind == EXPRESSION_AND ? " AND " : " OR ", put);
    text_put(writer, ")");
}

/* --- where NULL is as good as false --- */

/* Whether a part guards a later one. */
static bool guards(const struct traits *part, const struct traits *later)
{
    return !part->subquery && (part->relations & ~later->relations) == 0;
}

static bool has_guard(const struct traits *traits, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (guards(&traits[i], &traits[index]))
            return true;
    return false;
}

/* The parts up to `last` that speak of `relations` alone, each computed only where those before
 * are true. */
static void put_guarded(struct text_writer *writer, struct expression *const *parts,
                        const struct traits *traits, uint32_t last)
{
    text_put(writer, "whole(CASE");
    for (uint32_t i = 0; i < last; i++) {
        if (!guards(&traits[i], &traits[last]))
            continue;
        text_put(writer, " WHEN ");
        text_put_condition(writer, parts[i]);
        text_put(writer, " IS NOT TRUE THEN 0");
    }
    text_put(writer, " WHEN ");
    text_put_condition(writer, parts[last]);
    text_put(writer, " THEN 1 ELSE 0 END) = 1");
}

/* One CASE for all parts that can fail and speak of the same tables: it ends with the last. Parts
 * with subqueries stay plain, for the engine to make joins of them. */
static void put_conjunction(struct text_writer *writer, const struct expression *expression,
                            put_one *put)
{
    struct traits traits[PARTS_MAX];
    bool fails[PARTS_MAX];
    uint32_t count = expression->argument_count;
    for (uint32_t i = 0; i < count; i++) {
        traits[i] = traits_of(expression->arguments[i]);
        fails[i] = !traits[i].subquery && text_may_fail(expression->arguments[i]);
    }
    text_put(writer, "(");
    bool first = true;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t last = i;
        for (uint32_t later = i + 1; later < count && fails[i]; later++)
            if (fails[later] && traits[later].relations == traits[i].relations)
                last = later;
        if (last != i)
            continue; /* in that one's CASE */
        text_put(writer, first ? "" : " AND ");
        first = false;
        if (fails[i] && has_guard(traits, i))
            put_guarded(writer, expression->arguments, traits, i);
        else
            put(writer, expression->arguments[i]);
    }
    text_put(writer, ")");
}

static void put_disjunction(struct text_writer *writer, const struct expression *expression)
{
    text_put(writer, "(whole(CASE");
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        text_put(writer, " WHEN ");
        text_put_condition(writer, expression->arguments[i]);
        text_put(writer, " THEN 1");
    }
    text_put(writer, " ELSE 0 END) = 1)");
}

static void put_logic(struct text_writer *writer, const struct expression *expression, put_one *put)
{
    if (expression->kind == EXPRESSION_AND && expression->argument_count <= PARTS_MAX)
        put_conjunction(writer, expression, put);
    else if (expression->kind == EXPRESSION_AND || !needs_guards(expression))
        put_plainly(writer, expression, put);
    else
        put_disjunction(writer, expression);
}

/* A subquery, or NOT before one. */
static bool put_subquery(struct text_writer *writer, const struct expression *expression,
                         enum text_position position)
{
    bool negated = expression->kind == EXPRESSION_NOT;
    const struct expression *inner = negated ? expression->arguments[0] : expression;
    if (inner->kind != EXPRESSION_SUBQUERY || inner->subquery.kind == SUBQUERY_SCALAR)
        return false;
    struct expression turned = *inner;
    turned.negated ^= negated;
    text_put_subquery(writer, &turned, position);
    return true;
}

void text_put_condition(struct text_writer *writer, const struct expression *expression)
{
    if (expression->kind == EXPRESSION_AND || expression->kind == EXPRESSION_OR)
        put_logic(writer, expression, text_put_condition);
    else if (!put_subquery(writer, expression, TEXT_CONDITION))
        text_put_expression(writer, expression);
}

static void put_conjunct(struct text_writer *writer, const struct expression *expression)
{
    if (!put_subquery(writer, expression, TEXT_CONJUNCT))
        text_put_condition(writer, expression);
}

void text_put_where(struct text_writer *writer, const struct expression *expression)
{
    if (expression->kind == EXPRESSION_AND)
        put_logic(writer, expression, put_conjunct);
    else
        put_conjunct(writer, expression);
}

/* --- as values --- */

/* AND is false where a part is, else NULL where one is; OR the other way round. Parts before the
 * deciding one alone are computed. */
static void put_three_valued(struct text_writer *writer, const struct expression *expression)
{
    bool is_and = expression->kind == EXPRESSION_AND;
    text_put(writer, "(whole(CASE");
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        text_put(writer, is_and ? " WHEN (NOT " : " WHEN ");
        text_put_expression(writer, expression->arguments[i]);
        text_put(writer, is_and ? ") THEN 0" : " THEN 1");
    }
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        text_put(writer, " WHEN ");
        text_put_expression(writer, expression->arguments[i]);
        text_put(writer, " IS NULL THEN CAST(NULL AS BIGINT)");
    }
    text_put(writer, is_and ? " ELSE 1 END) = 1)" : " ELSE 0 END) = 1)");
}

/* A branch's result; truth values as numbers where `numbered`. */
static void put_result(struct text_writer *writer, const struct expression *result, bool numbered)
{
    text_put(writer, numbered ? "CAST(" : "");
    text_put_expression(writer, result);
    text_put(writer, numbered ? " AS BIGINT)" : "");
}

/* Whether the engine would take a comparison with the CASE into its branches. */
static bool has_constant_results(const struct expression *expression)
{
    for (uint32_t i = 1; i < expression->argument_count; i += 2)
        if (expression->arguments[i]->kind != EXPRESSION_CONSTANT)
            return false;
    return true;
}

static void put_case(struct text_writer *writer, const struct expression *expression)
{
    bool guarded = needs_guards(expression), numbered = guarded && is_boolean(expression);
    bool hidden = numbered || (guarded && has_constant_results(expression));
    uint32_t count = expression->argument_count;
    text_put(writer, numbered ? "(whole(CASE" : hidden ? "whole(CASE" : "CASE");
    for (uint32_t i = 0; i + 1 < count; i += 2) {
        text_put(writer, " WHEN ");
        text_put_condition(writer, expression->arguments[i]);
        text_put(writer, " THEN ");
        put_result(writer, expression->arguments[i + 1], numbered);
    }
    if (count % 2 == 1) {
        text_put(writer, " ELSE ");
        put_result(writer, expression->arguments[count - 1], numbered);
    }
    text_put(writer, numbered ? " END) = 1)" : hidden ? " END)" : " END");
}

/* --- COALESCE --- */

/* Of a COALESCE in a COALESCE the engine's planner makes two, each time again: all are written as
 * one, which has the same value. */
static bool is_nested(const struct expression *expression, uint32_t i)
{
    return expression->arguments[i]->kind == EXPRESSION_COALESCE;
}

static void put_arguments(struct text_writer *writer, const struct expression *expression)
{
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        text_put(writer, i == 0 ? "" : ", ");
        if (is_nested(expression, i))
            put_arguments(writer, expression->arguments[i]);
        else
            text_put_expression(writer, expression->arguments[i]);
    }
}

static void put_branches(struct text_writer *writer, const struct expression *expression, bool last)
{
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        const struct expression *argument = expression->arguments[i];
        bool is_last = last && i + 1 == expression->argument_count;
        if (is_nested(expression, i)) {
            put_branches(writer, argument, is_last);
            continue;
        }
        text_put(writer, is_last ? " ELSE " : " WHEN ");
        if (!is_last) {
            text_put_expression(writer, argument);
            text_put(writer, " IS NOT NULL THEN ");
        }
        put_result(writer, argument, true);
    }
}

/* Of truth values the engine makes an AND, which it then takes for one that may be NULL where it
 * had promised that it isn't. */
static void put_coalesce(struct text_writer *writer, const struct expression *expression)
{
    bool is_truth = is_boolean(expression);
    text_put(writer, is_truth ? "(whole(CASE" : "coalesce(");
    if (is_truth)
        put_branches(writer, expression, true);
    else
        put_arguments(writer, expression);
    text_put(writer, is_truth ? " END) = 1)" : ")");
}

void text_put_conditional(struct text_writer *writer, const struct expression *expression)
{
    if (expression->kind == EXPRESSION_CASE)
        put_case(writer, expression);
    else if (expression->kind == EXPRESSION_COALESCE)
        put_coalesce(writer, expression);
    else if (needs_guards(expression))
        put_three_valued(writer, expression);
    else
        put_plainly(writer, expression, text_put_expression);
}
