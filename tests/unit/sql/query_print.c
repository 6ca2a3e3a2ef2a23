/* query_print.c - bound trees as text that people read. */
#include "query_print.h"

#include <string.h>

#include "sql/value_text.h"

void type_print(FILE *file, omen_type type)
{
    fprintf(file, "%s", semantics_type_name(type.id));
    if (type.id == OMEN_TYPE_DECIMAL)
        fprintf(file, "(%d,%d)", type.precision, type.scale);
    else if (type.length_max > 0)
        fprintf(file, "(%u)", type.length_max);
}

static void print_list(FILE *file, struct expression *const *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        fputs(i > 0 ? ", " : "", file);
        expression_print(file, list[i]);
    }
}

static void print_keys(FILE *file, const struct sort_key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        fputs(i > 0 ? ", " : "", file);
        if (keys[i].expression == NULL)
            fprintf(file, "#%u", keys[i].target + 1);
        else
            expression_print(file, keys[i].expression);
        fprintf(file, "%s%s", keys[i].descending ? " desc" : "",
                keys[i].nulls_first ? " nulls first" : "");
    }
}

static void print_constant(FILE *file, const omen_value *value)
{
    char text[512];
    size_t length;
    if (value->is_null) {
        fputs("null", file);
    } else if ((int)value->type.id == SQL_TYPE_UNKNOWN) {
        fprintf(file, "'%.*s'", (int)value->as.bytes.length, (const char *)value->as.bytes.data);
    } else if ((int)value->type.id == SQL_TYPE_INTERVAL) {
        fputs("interval", file);
    } else if (value_to_text(value, text, sizeof text, &length) == OMEN_OK) {
        bool quoted = value->type.id >= OMEN_TYPE_TEXT;
        fprintf(file, quoted ? "'%.*s'" : "%.*s", (int)length, text);
    } else {
        fputs("...", file);
    }
}

static void print_window(FILE *file, const struct window *window)
{
    fputs(" over (", file);
    if (window->partition_count > 0) {
        fputs("partition ", file);
        print_list(file, window->partition, window->partition_count);
    }
    if (window->order_count > 0) {
        fputs(window->partition_count > 0 ? " order " : "order ", file);
        print_keys(file, window->order, window->order_count);
    }
    if (window->framed)
        fprintf(file, " frame %d %d..%d", (int)window->unit, (int)window->start,
                (int)window->end);
    fputs(")", file);
}

static void print_aggregate(FILE *file, const struct expression *expression)
{
    const struct aggregate_call *call = &expression->aggregate;
    fprintf(file, "%s(%s%s", expression->line->name, call->distinct ? "distinct " : "",
            call->star ? "*" : "");
    print_list(file, expression->arguments, expression->argument_count);
    if (call->order_count > 0) {
        fputs(" order ", file);
        print_keys(file, call->order, call->order_count);
    }
    fputs(")", file);
    if (call->filter != NULL) {
        fputs(" filter (", file);
        expression_print(file, call->filter);
        fputs(")", file);
    }
    if (call->window != NULL)
        print_window(file, call->window);
}

static void print_named(FILE *file, const char *name, const struct expression *expression)
{
    fprintf(file, "%s%s(", expression->negated ? "not " : "", name);
    print_list(file, expression->arguments, expression->argument_count);
    fputs(")", file);
}

static void print_subquery(FILE *file, const struct expression *expression)
{
    static const char *const names[] = {"exists", "scalar", "any", "all"};
    fprintf(file, "%s%s", expression->subquery.negated ? "not " : "",
            names[expression->subquery.kind]);
    if (expression->line != NULL)
        fprintf(file, " %s ", expression->line->name);
    print_list(file, expression->arguments, expression->argument_count);
    fputs("(", file);
    query_print(file, expression->subquery.query);
    fputs(")", file);
}

static void print_column(FILE *file, const struct column_use *use)
{
    const struct relation *relation = use->relation;
    for (uint32_t i = 0; i < use->levels_up; i++)
        fputc('^', file);
    fprintf(file, "%s.%s", relation->alias != NULL ? relation->alias : "?",
            use->column == relation->column_count ? "row id" : relation->columns[use->column].name);
}

void expression_print(FILE *file, const struct expression *expression)
{
    static const char *const tests[] = {"is null", "is not null",  "is true",    "is not true",
                                        "is false", "is not false", "is unknown", "is not unknown"};
    static const char *const names[] = {
        [EXPRESSION_AND] = "and",           [EXPRESSION_OR] = "or",
        [EXPRESSION_NOT] = "not",           [EXPRESSION_DISTINCT_FROM] = "distinct_from",
        [EXPRESSION_IN] = "in",             [EXPRESSION_CASE] = "case",
        [EXPRESSION_COALESCE] = "coalesce", [EXPRESSION_GREATEST] = "greatest",
        [EXPRESSION_LEAST] = "least",       [EXPRESSION_NULLIF] = "nullif",
    };
    switch (expression->kind) {
    case EXPRESSION_CONSTANT:
        print_constant(file, &expression->value);
        break;
    case EXPRESSION_PARAMETER:
        fprintf(file, "$%u", expression->parameter + 1);
        break;
    case EXPRESSION_COLUMN:
        print_column(file, &expression->column);
        break;
    case EXPRESSION_CALL:
        if (expression->line->name != NULL) {
            print_named(file, expression->line->name, expression);
            break;
        }
        fputs("cast<", file);
        type_print(file, expression->type);
        print_named(file, ">", expression);
        break;
    case EXPRESSION_TEST:
        print_list(file, expression->arguments, 1);
        fprintf(file, " %s", tests[expression->test]);
        break;
    case EXPRESSION_AGGREGATE:
    case EXPRESSION_WINDOW:
        print_aggregate(file, expression);
        break;
    case EXPRESSION_SUBQUERY:
        print_subquery(file, expression);
        break;
    default:
        print_named(file, names[expression->kind], expression);
        break;
    }
}

/* --- queries --- */

static void print_relation(FILE *file, const struct relation *relation)
{
    const char *alias = relation->alias != NULL ? relation->alias : "?";
    switch (relation->kind) {
    case RELATION_TABLE:
        fprintf(file, "%s", table_name(relation->table));
        break;
    case RELATION_QUERY:
        fputs(relation->lateral ? "lateral (" : "(", file);
        query_print(file, relation->query);
        fputs(")", file);
        break;
    case RELATION_CTE:
        fprintf(file, "cte %s", relation->cte->name);
        break;
    case RELATION_FUNCTION:
        expression_print(file, relation->function);
        break;
    }
    fprintf(file, " %s", alias);
}

static void print_from(FILE *file, const struct from_item *item)
{
    static const char *const joins[] = {"cross", "inner", "left", "right", "full"};
    if (item->relation != NULL) {
        print_relation(file, item->relation);
        return;
    }
    fputs("(", file);
    print_from(file, item->left);
    fprintf(file, " %s ", joins[item->join]);
    print_from(file, item->right);
    if (item->condition != NULL) {
        fputs(" on ", file);
        expression_print(file, item->condition);
    }
    fputs(")", file);
}

static void print_groups(FILE *file, const struct query *query)
{
    fputs(" group ", file);
    print_list(file, query->groups, query->group_count);
    if (query->grouping_sets == NULL)
        return;
    fputs(" sets ", file);
    for (uint32_t i = 0; i < query->grouping_set_count; i++) {
        const uint32_t *set = query->grouping_sets[i];
        fputs("{", file);
        for (uint32_t j = 0; set[j] != 0; j++)
            fprintf(file, j > 0 ? " %u" : "%u", set[j]);
        fputs("}", file);
    }
}

static void print_select(FILE *file, const struct query *query)
{
    fputs("select ", file);
    fputs(query->distinct ? "distinct " : "", file);
    if (query->distinct_on_count > 0) {
        fputs("distinct on (", file);
        print_list(file, query->distinct_on, query->distinct_on_count);
        fputs(") ", file);
    }
    for (uint32_t i = 0; i < query->target_count; i++) {
        fputs(i > 0 ? ", " : "", file);
        expression_print(file, query->targets[i].expression);
    }
    for (uint32_t i = 0; i < query->from_count; i++) {
        fputs(i > 0 ? ", " : " from ", file);
        print_from(file, query->from[i]);
    }
    if (query->where != NULL) {
        fputs(" where ", file);
        expression_print(file, query->where);
    }
    if (query->grouped)
        print_groups(file, query);
    if (query->having != NULL) {
        fputs(" having ", file);
        expression_print(file, query->having);
    }
}

static void print_values(FILE *file, const struct query *query)
{
    fputs("values ", file);
    for (uint32_t row = 0; row < query->row_count; row++) {
        fputs(row > 0 ? ", (" : "(", file);
        print_list(file, query->rows[row], query->target_count);
        fputs(")", file);
    }
}

static void print_set(FILE *file, const struct query *query)
{
    static const char *const names[] = {"union", "intersect", "except"};
    fputs("(", file);
    query_print(file, query->left);
    fprintf(file, ") %s%s (", names[query->operation], query->all ? " all" : "");
    query_print(file, query->right);
    fputs(")", file);
}

void query_print(FILE *file, const struct query *query)
{
    for (uint32_t i = 0; i < query->cte_count; i++) {
        const struct cte *cte = query->ctes[i];
        fprintf(file, "with %s%s (", cte->recursive ? "recursive " : "", cte->name);
        query_print(file, cte->query);
        fputs(") ", file);
    }
    if (query->kind == QUERY_SELECT)
        print_select(file, query);
    else if (query->kind == QUERY_VALUES)
        print_values(file, query);
    else
        print_set(file, query);
    if (query->order_count > 0) {
        fputs(" order ", file);
        print_keys(file, query->order, query->order_count);
    }
    if (query->limit != NULL) {
        fputs(" limit ", file);
        expression_print(file, query->limit);
    }
    if (query->offset != NULL) {
        fputs(" offset ", file);
        expression_print(file, query->offset);
    }
}
