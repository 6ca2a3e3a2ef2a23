/* engine_text_expression.c - bound expressions in the engine's words.
 *
 * Every part stands in parentheses of its own or is a call, so that no precedence matters; only
 * chains like a + b + c have one pair for all, because the engine's parser counts parentheses.
 */
#include <stdio.h>
#include <string.h>

#include "column/decimal.h"
#include "column/schema.h"
#include "sql/engine_text_private.h"

/* --- templates --- */

enum { OPERATOR_BYTES_MAX = 8, EXTREME_CHARS_MAX = 4, ALTERNATIVES_FLAT_MAX = 16 };

/* The operator of a template "($1 op $2)"; false for any other. */
static bool template_operator(const char *template, char operator_name[OPERATOR_BYTES_MAX])
{
    size_t length = template == NULL ? 0 : strlen(template);
    if (length < 9 || length > 8 + OPERATOR_BYTES_MAX - 1 || memcmp(template, "($1 ", 4) != 0 ||
        memcmp(template + length - 4, " $2)", 4) != 0)
        return false;
    memcpy(operator_name, template + 4, length - 8);
    operator_name[length - 8] = '\0';
    return strchr(operator_name, ' ') == NULL && strchr(operator_name, '$') == NULL;
}

/* Operators that may follow each other without parentheses; 0 for others. */
static int chain_class(const struct expression *expression)
{
    char name[OPERATOR_BYTES_MAX];
    if (expression->kind != EXPRESSION_CALL || !template_operator(expression->line->engine, name))
        return 0;
    if (strcmp(name, "+") == 0 || strcmp(name, "-") == 0)
        return 1;
    if (strcmp(name, "*") == 0 || strcmp(name, "/") == 0 || strcmp(name, "%") == 0)
        return 2;
    return strcmp(name, "||") == 0 ? 3 : 0;
}

static void put_chain(struct text_writer *writer, const struct expression *call, int class)
{
    char name[OPERATOR_BYTES_MAX];
    const struct expression *left = call->arguments[0];
    if (writer->status != OMEN_OK || !template_operator(call->line->engine, name))
        return;
    if (chain_class(left) == class)
        put_chain(writer, left, class);
    else
        text_put_expression(writer, left);
    text_put(writer, " ");
    text_put(writer, name);
    text_put(writer, " ");
    text_put_expression(writer, call->arguments[1]);
}

static void put_keys(struct text_writer *writer, const struct sort_key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        text_put(writer, i == 0 ? "ORDER BY " : ", ");
        text_put_key(writer, keys[i].expression);
        text_put_direction(writer, &keys[i]);
    }
}

static void put_bound(struct text_writer *writer, enum frame_bound bound,
                      const struct expression *offset)
{
    static const char *const words[] = {
        [FRAME_UNBOUNDED_PRECEDING] = "UNBOUNDED PRECEDING",
        [FRAME_PRECEDING] = " PRECEDING",
        [FRAME_CURRENT_ROW] = "CURRENT ROW",
        [FRAME_FOLLOWING] = " FOLLOWING",
        [FRAME_UNBOUNDED_FOLLOWING] = "UNBOUNDED FOLLOWING",
    };
    if (bound == FRAME_PRECEDING || bound == FRAME_FOLLOWING) {
        int64_t count = -1;
        if (offset->kind == EXPRESSION_CONSTANT && !offset->value.is_null) {
            if (offset->type.id == OMEN_TYPE_BIGINT)
                count = offset->value.as.i64;
            else if (offset->type.id == OMEN_TYPE_INTEGER)
                count = offset->value.as.i32;
            else if (offset->type.id == OMEN_TYPE_SMALLINT)
                count = offset->value.as.i16;
        }
        if (count < 0)
            text_fail(writer, OMEN_NOT_SUPPORTED,
                      "a window frame's offset must be a constant integer here");
        text_put_format(writer, "%lld", (long long)count);
    }
    text_put(writer, words[bound]);
}

/* The engine has no RANGE frames over these types; without offsets GROUPS means the same. */
static bool orders_bytes(const struct window *window)
{
    for (uint32_t i = 0; i < window->order_count; i++) {
        omen_type_id type = window->order[i].expression->type.id;
        if (type == OMEN_TYPE_UUID || type == OMEN_TYPE_BYTEA)
            return true;
    }
    return false;
}

static void put_window(struct text_writer *writer, const struct window *window)
{
    static const char *const units[] = {"ROWS", "RANGE", "GROUPS"};
    text_put(writer, " OVER (");
    for (uint32_t i = 0; i < window->partition_count; i++) {
        text_put(writer, i == 0 ? "PARTITION BY " : ", ");
        text_put_key(writer, window->partition[i]);
    }
    text_put(writer, window->partition_count > 0 ? " " : "");
    put_keys(writer, window->order, window->order_count);
    if (!window->framed && orders_bytes(window)) {
        text_put(writer, " GROUPS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW");
    } else if (window->framed) {
        text_put(writer, " ");
        text_put(writer, units[orders_bytes(window) && window->unit == 1 ? 2 : window->unit]);
        text_put(writer, " BETWEEN ");
        put_bound(writer, window->start, window->start_offset);
        text_put(writer, " AND ");
        put_bound(writer, window->end, window->end_offset);
    }
    text_put(writer, ")");
}

/* What follows an aggregate's parentheses. */
static void put_suffix(struct text_writer *writer, const struct aggregate_call *call)
{
    if (call->filter != NULL) {
        text_put(writer, " FILTER (WHERE ");
        text_put_condition(writer, call->filter);
        text_put(writer, ")");
    }
    if (call->window != NULL)
        put_window(writer, call->window);
}

static const char no_such_part[] = "a line of the semantics table has a template with \"$%c\"";

/* One "$x" of a template; `aggregate` is NULL in calls. */
static void put_part(struct text_writer *writer, const struct expression *call,
                     const struct aggregate_call *aggregate, char part)
{
    if (part >= '1' && part <= '9' && (uint32_t)(part - '1') < call->argument_count)
        text_put_expression(writer, call->arguments[part - '1']);
    else if (part == '*')
        text_put_expressions(writer, call->arguments, call->argument_count, ", ");
    else if (part == 'T')
        text_put_type(writer, call->type);
    else if (part == 'D' && aggregate != NULL)
        text_put(writer, aggregate->distinct ? "DISTINCT " : "");
    else if (part == 'F' && aggregate != NULL)
        put_suffix(writer, aggregate);
    else if (part == 'W' && aggregate != NULL)
        text_put(writer, aggregate->window != NULL ? "framed_" : "");
    else
        text_fail(writer, OMEN_INTERNAL, no_such_part, part);
}

static void expand(struct text_writer *writer, const struct expression *call,
                   const struct aggregate_call *aggregate, const char *template)
{
    while (*template != '\0' && writer->status == OMEN_OK) {
        size_t plain = strcspn(template, "$)");
        text_put_bytes(writer, template, plain);
        template += plain;
        if (*template == ')') {
            /* The order goes where the aggregate's own parentheses end. */
            if (aggregate != NULL && aggregate->order_count > 0 && template[1] == '$' &&
                template[2] == 'F') {
                text_put(writer, " ");
                put_keys(writer, aggregate->order, aggregate->order_count);
            }
            text_put(writer, ")");
            template ++;
        } else if (*template == '$') {
            put_part(writer, call, aggregate, template[1]);
            template += template[1] == '\0' ? 1 : 2;
        }
    }
}

/* core('signature', arguments): the engine asks the core. */
static void put_core_call(struct text_writer *writer, const struct expression *call)
{
    const char *signature = NULL;
    if (call->line->evaluate == NULL) {
        text_fail(writer, OMEN_NOT_SUPPORTED, "%s is not supported by the SQL engine",
                  call->line->name == NULL ? "this cast" : call->line->name);
        return;
    }
    omen_status status = engine_call_write(call, writer->arena, &signature, writer->error);
    if (status != OMEN_OK) {
        writer->status = status;
        return;
    }
    text_put(writer, "core(");
    text_put_string(writer, signature, strlen(signature));
    if (call->line->flags & SEMANTICS_STABLE) {
        writer->uses_now = true;
        text_put_format(writer, ", $%u", writer->parameter_count + 1);
    }
    if (call->argument_count > 0)
        text_put(writer, ", ");
    text_put_expressions(writer, call->arguments, call->argument_count, ", ");
    text_put(writer, ")");
}

bool text_cast_narrows(const struct expression *call)
{
    if (call->line->kind != SEMANTICS_CAST || call->type.id != OMEN_TYPE_DECIMAL)
        return false;
    omen_type from = semantics_decimal_of(call->arguments[0]->type);
    return call->type.scale < from.scale ||
           call->type.precision - call->type.scale < from.precision - from.scale;
}

/* Whether no NUMERIC holds every value of both: the engine would bring them to one, and fail. */
static bool compares_wide(omen_type left, omen_type right)
{
    if (left.id != OMEN_TYPE_DECIMAL || right.id != OMEN_TYPE_DECIMAL)
        return false;
    int left_whole = left.precision - left.scale, right_whole = right.precision - right.scale;
    int whole = left_whole > right_whole ? left_whole : right_whole;
    int scale = left.scale > right.scale ? left.scale : right.scale;
    return whole + scale > DECIMAL_PRECISION_MAX;
}

static bool is_wide_comparison(const struct expression *call)
{
    const struct semantics_line *line = call->line;
    return line->kind == SEMANTICS_OPERATOR && line->evaluate != NULL &&
           line->rule == RESULT_TYPE && line->result == OMEN_TYPE_BOOLEAN &&
           call->argument_count == 2 &&
           compares_wide(call->arguments[0]->type, call->arguments[1]->type);
}

/* The engine forgives a pattern that ends in its escape, which PostgreSQL doesn't. */
static bool may_end_in_escape(const struct expression *call, const struct semantics_line *line)
{
    if (line->kind != SEMANTICS_OPERATOR || strstr(line->name, "~~") == NULL ||
        call->argument_count != 2)
        return false;
    const struct expression *pattern = call->arguments[1];
    if (pattern->kind != EXPRESSION_CONSTANT)
        return true;
    if (pattern->value.is_null)
        return false;
    size_t length = pattern->value.as.bytes.length, escapes = 0;
    while (escapes < length && pattern->value.as.bytes.data[length - 1 - escapes] == '\\')
        escapes++;
    return escapes % 2 == 1;
}

/* The engine names an aggregate after its argument without its casts, and takes no two of a name;
 * this cast, to the type that it has already, shows in the name. */
static const char *arrow_name(omen_type_id type)
{
    switch (type) {
    case OMEN_TYPE_SMALLINT:
        return "Int16";
    case OMEN_TYPE_INTEGER:
        return "Int32";
    case OMEN_TYPE_BIGINT:
        return "Int64";
    case OMEN_TYPE_REAL:
        return "Float32";
    case OMEN_TYPE_DOUBLE:
        return "Float64";
    case OMEN_TYPE_DATE:
        return "Date32";
    default:
        return NULL;
    }
}

static bool is_fixed(const struct expression *expression)
{
    return expression->kind == EXPRESSION_CONSTANT || expression->kind == EXPRESSION_PARAMETER;
}

/* x = 1 AND 1 = x: the engine takes the two for two demands, and finds them contradictory. Columns
 * stand left of constants, and among columns the first in the statement does. */
static bool is_turned_equality(const struct expression *call, const struct semantics_line *line)
{
    char name[OPERATOR_BYTES_MAX];
    if (call->argument_count != 2 || !template_operator(line->engine, name) ||
        strcmp(name, "=") != 0 || line->arguments[0] != line->arguments[1])
        return false;
    const struct expression *left = call->arguments[0], *right = call->arguments[1];
    if (left->kind != EXPRESSION_COLUMN || right->kind != EXPRESSION_COLUMN)
        return is_fixed(left) && !is_fixed(right);
    if (left->column.levels_up > 0 || right->column.levels_up > 0)
        return false;
    uint32_t left_number = left->column.relation->number;
    uint32_t right_number = right->column.relation->number;
    return left_number > right_number ||
           (left_number == right_number && left->column.column > right->column.column);
}

/* The relation that the columns of an expression are of. */
struct single_relation {
    const struct relation *relation; /* NULL: there are none */
    bool others;
};

static bool find_relation(struct expression **part, void *state)
{
    struct single_relation *found = state;
    if ((*part)->kind == EXPRESSION_SUBQUERY)
        found->others = true;
    if ((*part)->kind == EXPRESSION_COLUMN) {
        const struct relation *relation = (*part)->column.relation;
        found->others |= found->relation != NULL && found->relation != relation;
        found->relation = relation;
    }
    return expression_visit_parts(*part, find_relation, state);
}

/* x = f(x) in a filter: the engine replaces either by the other when it reasons about orders, again
 * and again, and then finds its own sorts missing. Two columns of a table are no such pair, those
 * of a subquery may be. */
static bool equates_itself(struct expression *left, struct expression *right)
{
    struct single_relation of_left = {0}, of_right = {0};
    find_relation(&left, &of_left);
    find_relation(&right, &of_right);
    if (of_left.relation == NULL || of_left.relation != of_right.relation || of_left.others ||
        of_right.others)
        return false;
    return left->kind != EXPRESSION_COLUMN || right->kind != EXPRESSION_COLUMN ||
           of_left.relation->kind != RELATION_TABLE;
}

static bool call_equates_itself(const struct expression *call, const struct semantics_line *line)
{
    char name[OPERATOR_BYTES_MAX];
    return call->argument_count == 2 && template_operator(line->engine, name) &&
           (strcmp(name, "=") == 0 || strcmp(name, "<>") == 0) &&
           equates_itself(call->arguments[0], call->arguments[1]);
}

void text_put_call(struct text_writer *writer, const struct expression *call,
                   const struct semantics_line *line)
{
    int class;
    struct expression *sides[2];
    struct expression turned = *call;
    if (is_turned_equality(call, line)) {
        sides[0] = call->arguments[1];
        sides[1] = call->arguments[0];
        turned.arguments = sides;
        call = &turned;
    }
    if ((line->flags & SEMANTICS_BINARY) && call->type.length_max == 0) {
        text_put_expression(writer, call->arguments[0]);
    } else if (line->engine == NULL || may_end_in_escape(call, line) ||
               (line == call->line && (text_cast_narrows(call) || is_wide_comparison(call)))) {
        put_core_call(writer, call);
    } else if (line->kind == SEMANTICS_CAST && writer->in_aggregate &&
               arrow_name(call->type.id) != NULL) {
        text_put(writer, "arrow_cast(");
        expand(writer, call, NULL, line->engine);
        text_put_format(writer, ", '%s')", arrow_name(call->type.id));
    } else if (call_equates_itself(call, line)) {
        text_put(writer, "(whole(");
        text_put_expression(writer, call->arguments[0]);
        text_put(writer, strcmp(line->name, "=") == 0 ? ") = whole(" : ") <> whole(");
        text_put_expression(writer, call->arguments[1]);
        text_put(writer, "))");
    } else if (line == call->line && (class = chain_class(call)) != 0) {
        text_put(writer, "(");
        put_chain(writer, call, class);
        text_put(writer, ")");
    } else {
        expand(writer, call, NULL, line->engine);
    }
}

/* --- the other kinds --- */

/* A call of the expression's "=" with these two. */
static struct expression equality(const struct expression *expression, struct expression **pair)
{
    return (struct expression){.kind = EXPRESSION_CALL,
                               .type = {.id = OMEN_TYPE_BOOLEAN},
                               .location = -1,
                               .arguments = pair,
                               .argument_count = 2,
                               .line = expression->line};
}

static bool is_plain_equality(const struct expression *expression)
{
    char name[OPERATOR_BYTES_MAX];
    for (uint32_t i = 1; i < expression->argument_count; i++)
        if (compares_wide(expression->arguments[0]->type, expression->arguments[i]->type))
            return false;
    return template_operator(expression->line->engine, name) && strcmp(name, "=") == 0;
}

static void put_distinct_from(struct text_writer *writer, const struct expression *expression)
{
    struct expression **sides = expression->arguments;
    text_put(writer, "(");
    if (is_plain_equality(expression)) {
        text_put_expression(writer, sides[0]);
        text_put(writer, expression->negated ? " IS NOT DISTINCT FROM " : " IS DISTINCT FROM ");
        text_put_expression(writer, sides[1]);
    } else {
        struct expression equal = equality(expression, sides);
        text_put(writer, expression->negated ? "" : "NOT ");
        text_put(writer, "coalesce(");
        text_put_call(writer, &equal, equal.line);
        text_put(writer, ", (");
        text_put_expression(writer, sides[0]);
        text_put(writer, " IS NULL AND ");
        text_put_expression(writer, sides[1]);
        text_put(writer, " IS NULL))");
    }
    text_put(writer, ")");
}

/* Argument 0 is one of those from `first` to before `end`. Many are written as a balanced tree: the
 * engine recurses over it. */
static void put_alternatives(struct text_writer *writer, const struct expression *expression,
                             uint32_t first, uint32_t end)
{
    if (end - first > ALTERNATIVES_FLAT_MAX) {
        uint32_t middle = first + (end - first) / 2;
        text_put(writer, "(");
        put_alternatives(writer, expression, first, middle);
        text_put(writer, ") OR (");
        put_alternatives(writer, expression, middle, end);
        text_put(writer, ")");
        return;
    }
    for (uint32_t i = first; i < end && writer->status == OMEN_OK; i++) {
        struct expression *pair[2] = {expression->arguments[0], expression->arguments[i]};
        struct expression equal = equality(expression, pair);
        text_put(writer, i > first ? " OR " : "");
        text_put_call(writer, &equal, equal.line);
    }
}

static void put_in(struct text_writer *writer, const struct expression *expression)
{
    text_put(writer, "(");
    if (is_plain_equality(expression)) {
        text_put_expression(writer, expression->arguments[0]);
        text_put(writer, expression->negated ? " NOT IN (" : " IN (");
        text_put_expressions(writer, expression->arguments + 1, expression->argument_count - 1,
                             ", ");
        text_put(writer, ")");
    } else {
        text_put(writer, expression->negated ? "NOT (" : "(");
        put_alternatives(writer, expression, 1, expression->argument_count);
        text_put(writer, ")");
    }
    text_put(writer, ")");
}

/* The result is of argument 0's own type; the comparison may be of another. */
static void put_nullif(struct text_writer *writer, const struct expression *expression)
{
    struct expression equal = equality(expression, expression->arguments);
    text_put(writer, "CASE WHEN ");
    text_put_call(writer, &equal, equal.line);
    text_put(writer, " THEN NULL ELSE ");
    text_put_expression(writer, expression->arguments[0]);
    text_put(writer, " END");
}

static void put_test(struct text_writer *writer, const struct expression *expression)
{
    /* Not IS TRUE and its kin: the engine is of two minds on whether those may be NULL, and fails
     * where it keeps their values. */
    static const char *const words[] = {
        [TEST_NULL] = " IS NULL)",
        [TEST_NOT_NULL] = " IS NOT NULL)",
        [TEST_TRUE] = " IS NOT DISTINCT FROM TRUE)",
        [TEST_NOT_TRUE] = " IS DISTINCT FROM TRUE)",
        [TEST_FALSE] = " IS NOT DISTINCT FROM FALSE)",
        [TEST_NOT_FALSE] = " IS DISTINCT FROM FALSE)",
        [TEST_UNKNOWN] = " IS NULL)",
        [TEST_NOT_UNKNOWN] = " IS NOT NULL)",
    };
    text_put(writer, "(");
    text_put_expression(writer, expression->arguments[0]);
    text_put(writer, words[expression->test]);
}

/* Of CHAR: the first that is not less, without its blanks, than any other. */
static void put_extreme_char(struct text_writer *writer, const struct expression *expression)
{
    const char *better = expression->kind == EXPRESSION_GREATEST ? " >= " : " <= ";
    uint32_t count = expression->argument_count;
    if (count > EXTREME_CHARS_MAX) {
        text_fail(writer, OMEN_NOT_SUPPORTED,
                  "GREATEST and LEAST of more than %d CHARs are not supported by the SQL engine",
                  EXTREME_CHARS_MAX);
        return;
    }
    text_put(writer, "CASE");
    for (uint32_t i = 0; i < count; i++) {
        text_put(writer, " WHEN ");
        text_put_expression(writer, expression->arguments[i]);
        text_put(writer, " IS NOT NULL");
        for (uint32_t other = 0; other < count; other++) {
            if (other == i)
                continue;
            text_put(writer, " AND coalesce(");
            text_put_key(writer, expression->arguments[i]);
            text_put(writer, better);
            text_put_key(writer, expression->arguments[other]);
            text_put(writer, ", TRUE)");
        }
        text_put(writer, " THEN ");
        text_put_expression(writer, expression->arguments[i]);
    }
    text_put(writer, " END");
}

static void put_extreme(struct text_writer *writer, const struct expression *expression)
{
    if (expression->type.id == OMEN_TYPE_CHAR) {
        put_extreme_char(writer, expression);
        return;
    }
    text_check_order(writer, expression->type);
    text_put(writer, expression->kind == EXPRESSION_GREATEST ? "greatest(" : "least(");
    text_put_expressions(writer, expression->arguments, expression->argument_count, ", ");
    text_put(writer, ")");
}

/* The function by which the core divides an exact sum by its count. */
static const struct semantics_line *average_line(void)
{
    for (uint32_t i = 0; i < semantics_line_count; i++)
        if (semantics_lines[i].name != NULL && strcmp(semantics_lines[i].name, "avg/") == 0)
            return &semantics_lines[i];
    return NULL;
}

/* avg over exact numbers: the engine sums and counts, the core divides. */
static void put_average(struct text_writer *writer, const struct expression *expression)
{
    omen_type given = expression->arguments[0]->type;
    bool exact = given.id == OMEN_TYPE_DECIMAL, wide = given.id == OMEN_TYPE_BIGINT;
    omen_type sum_type = {
        .id = OMEN_TYPE_DECIMAL, .precision = 38, .scale = exact ? given.scale : (int8_t)0};
    struct expression sum = {.type = sum_type}, count = {.type = {.id = OMEN_TYPE_BIGINT}};
    struct expression *parts[] = {&sum, &count};
    struct expression call = {.kind = EXPRESSION_CALL,
                              .type = expression->type,
                              .arguments = parts,
                              .argument_count = 2,
                              .line = average_line()};
    const char *signature = NULL;
    omen_status status = OMEN_INTERNAL;
    if (call.line != NULL)
        status = engine_call_write(&call, writer->arena, &signature, writer->error);
    if (status != OMEN_OK) {
        text_fail(writer, status, "the average cannot be computed");
        return;
    }
    text_put(writer, "core(");
    text_put_string(writer, signature, strlen(signature));
    text_put(writer, ", CAST(");
    expand(writer, expression, &expression->aggregate,
           exact  ? "sum($D$1)$F"
           : wide ? "sum($DCAST($1 AS DECIMAL(19, 0)))$F"
                  : "sum($DCAST($1 AS BIGINT))$F");
    text_put(writer, " AS ");
    text_put_type(writer, sum_type);
    text_put(writer, "), ");
    expand(writer, expression, &expression->aggregate, "count($D$1)$F");
    text_put(writer, ")");
}

/* count(1) is count(*), and the engine names both alike. */
static bool counts_rows(const struct expression *expression)
{
    return strcmp(expression->line->name, "count") == 0 && expression->argument_count == 1 &&
           !expression->aggregate.distinct &&
           expression->arguments[0]->kind == EXPRESSION_CONSTANT &&
           !expression->arguments[0]->value.is_null;
}

static void put_aggregate(struct text_writer *writer, const struct expression *expression)
{
    const struct semantics_line *line = expression->line;
    bool in_filter = writer->in_filter, in_aggregate = writer->in_aggregate;
    writer->in_filter = false;
    writer->in_aggregate = true;
    if (line->argument_count == 1 && expression->aggregate.window != NULL &&
        expression->arguments[0]->type.id == OMEN_TYPE_CHAR &&
        (strcmp(line->name, "min") == 0 || strcmp(line->name, "max") == 0))
        text_fail(writer, OMEN_NOT_SUPPORTED,
                  "%s of CHAR over a window is not supported by the SQL engine", line->name);
    else if (counts_rows(expression))
        expand(writer, expression, &expression->aggregate, "count(*)$F");
    else if (line->engine != NULL)
        expand(writer, expression, &expression->aggregate, line->engine);
    else if (strcmp(line->name, "avg") == 0 && line->rule == RESULT_DECIMAL_DIVIDE)
        put_average(writer, expression);
    else
        text_fail(writer, OMEN_NOT_SUPPORTED, "%s is not supported by the SQL engine", line->name);
    writer->in_filter = in_filter;
    writer->in_aggregate = in_aggregate;
}

static void put_column(struct text_writer *writer, const struct column_use *use)
{
    const struct relation *relation = use->relation;
    if (relation->kind == RELATION_TABLE && use->column < relation->column_count) {
        char name[SCHEMA_NAME_BYTES_MAX + 16];
        const struct relation_column *column = &relation->columns[use->column];
        if (column->refused != NULL)
            text_fail(writer, OMEN_NOT_SUPPORTED,
                      "column \"%.63s\" of file \"%.63s\" has the type %.200s, which is not "
                      "supported",
                      table_schema(relation->table)->columns[use->column].name,
                      table_name(relation->table), column->refused);
        snprintf(name, sizeof name, "%s.%u",
                 table_schema(relation->table)->columns[use->column].name, relation->number);
        text_put_format(writer, "r%u.", relation->number);
        text_put_name(writer, name);
    } else if (relation->kind == RELATION_TABLE) {
        text_put_format(writer, "r%u.", relation->number);
        text_put_name(writer, ROW_ID_NAME);
    } else {
        bool is_cte = relation->kind == RELATION_CTE;
        struct output_names outputs = {is_cte ? 'w' : 'r',
                                       is_cte ? relation->cte->number : relation->number};
        text_put_format(writer, "r%u.", relation->number);
        text_put_output(writer, outputs, use->column);
    }
}

void text_put_expression(struct text_writer *writer, const struct expression *expression)
{
    if (writer->status != OMEN_OK)
        return;
    switch (expression->kind) {
    case EXPRESSION_CONSTANT:
        text_put_constant(writer, expression->type, &expression->value);
        break;
    case EXPRESSION_PARAMETER:
        text_put_format(writer, "$%u", expression->parameter + 1);
        break;
    case EXPRESSION_COLUMN:
        put_column(writer, &expression->column);
        break;
    case EXPRESSION_CALL:
        text_put_call(writer, expression, expression->line);
        break;
    case EXPRESSION_NOT:
        text_put(writer, "(NOT ");
        text_put_expression(writer, expression->arguments[0]);
        text_put(writer, ")");
        break;
    case EXPRESSION_TEST:
        put_test(writer, expression);
        break;
    case EXPRESSION_DISTINCT_FROM:
        put_distinct_from(writer, expression);
        break;
    case EXPRESSION_IN:
        put_in(writer, expression);
        break;
    case EXPRESSION_AND:
    case EXPRESSION_OR:
    case EXPRESSION_CASE:
    case EXPRESSION_COALESCE:
        text_put_conditional(writer, expression);
        break;
    case EXPRESSION_GREATEST:
    case EXPRESSION_LEAST:
        put_extreme(writer, expression);
        break;
    case EXPRESSION_NULLIF:
        put_nullif(writer, expression);
        break;
    case EXPRESSION_AGGREGATE:
    case EXPRESSION_WINDOW:
        put_aggregate(writer, expression);
        break;
    case EXPRESSION_SUBQUERY:
        text_put_subquery(writer, expression, TEXT_VALUE);
        break;
    }
}

void text_put_expressions(struct text_writer *writer, struct expression *const *expressions,
                          uint32_t count, const char *separator)
{
    for (uint32_t i = 0; i < count && writer->status == OMEN_OK; i++) {
        text_put(writer, i > 0 ? separator : "");
        text_put_expression(writer, expressions[i]);
    }
}

void text_put_direction(struct text_writer *writer, const struct sort_key *key)
{
    text_put(writer, key->descending ? " DESC" : " ASC");
    text_put(writer, key->nulls_first ? " NULLS FIRST" : " NULLS LAST");
}

void text_put_key(struct text_writer *writer, const struct expression *expression)
{
    bool blanks = expression->type.id == OMEN_TYPE_CHAR;
    text_check_order(writer, expression->type);
    text_put(writer, blanks ? "rtrim(" : "");
    text_put_expression(writer, expression);
    text_put(writer, blanks ? ", ' ')" : "");
}

void text_check_equals(struct text_writer *writer, omen_type type)
{
    text_check_order(writer, type);
    if (type.id == OMEN_TYPE_CHAR && type.length_max == 0)
        text_fail(writer, OMEN_NOT_SUPPORTED,
                  "grouping by a CHAR of no fixed length is not supported by the SQL engine");
}

void text_check_order(struct text_writer *writer, omen_type type)
{
    if ((int)type.id == SQL_TYPE_INTERVAL)
        text_fail(writer, OMEN_NOT_SUPPORTED,
                  "grouping or ordering by an interval is not supported by the SQL engine");
}
