/* join_size.c - estimates of rows, from samples and from what is known of keys.
 *
 *   WHERE n_name IN ('FRANCE', 'GERMANY') AND n_comment LIKE '%a%'     2 of 25 rows of a sample
 *
 * There are no statistics to keep up to date: a sample of 1,024 rows is taken when a statement with
 * several joins is planned, some 100 microseconds for a table, and the conditions are evaluated on
 * it together, so that what depends on each other is seen, and LIKE as well as any other. What a
 * sample cannot tell (parameters, functions of the time, derived tables) takes the usual shares.
 *
 * Different values are estimated from a sample by Haas and Stokes, Estimating the number of classes
 * in a finite population (JASA 1998), the estimator called Duj1, and are never more than the range
 * of an integer column has.
 */
#include "sql/join_size.h"

#include <stdlib.h>
#include <string.h>

#include "sql/correlation.h"
#include "sql/evaluate.h"

enum {
    SAMPLE_ROWS = 1024,
    SIZE_DEPTH_MAX = 16, /* of derived tables within each other; deeper ones have ROWS_UNKNOWN */
};

#define ROWS_UNKNOWN       1000.0
#define SHARE_OF_EQUALITY  0.02
#define SHARE_OF_LIST_ITEM 0.02
#define SHARE_OF_RANGE     0.3
#define SHARE_OF_LIKE      0.1
#define SHARE_OF_OTHERS    0.3
#define SHARE_OF_HAVING    0.02 /* who asks for groups above a sum wants few of them */
#define SHARE_OF_GROUPS    0.2  /* groups of a row, where nothing better is known */

struct sampled_table {
    struct sampled_table *next;
    struct table *table;
    struct table_sample sample;
    double row_count;
};

void join_sizes_begin(struct join_sizes *sizes, struct allocator *allocator)
{
    *sizes = (struct join_sizes){0};
    arena_init(&sizes->arena, allocator);
    arena_init(&sizes->scratch, allocator);
}

void join_sizes_end(struct join_sizes *sizes)
{
    for (struct sampled_table *table = sizes->tables; table != NULL; table = table->next)
        table_sample_release(&table->sample);
    arena_release(&sizes->arena);
    arena_release(&sizes->scratch);
}

/* --- samples --- */

static bool is_sampled(const struct relation *relation)
{
    return relation->kind == RELATION_TABLE && relation->file == NULL;
}

/* The table's sample, taken once; NULL where memory is exhausted. */
static const struct sampled_table *sample_of(struct join_sizes *sizes, struct table *table)
{
    for (struct sampled_table *known = sizes->tables; known != NULL; known = known->next)
        if (known->table == table)
            return known;
    struct sampled_table *taken = arena_alloc(&sizes->arena, sizeof *taken);
    if (taken == NULL)
        return NULL;
    *taken = (struct sampled_table){.table = table,
                                    .row_count = (double)table_row_count_estimate(table)};
    if (table_sample_take(table, SAMPLE_ROWS, &sizes->arena, &taken->sample) != OMEN_OK) {
        table_sample_release(&taken->sample);
        return NULL;
    }
    taken->next = sizes->tables;
    sizes->tables = taken;
    return taken;
}

static omen_status read_sampled(void *row, const struct expression *column, omen_value *out,
                                omen_error *error)
{
    const struct row_ref *reference = row;
    OMEN_TRY(row_group_ensure(reference->group, &column->column.column, 1, error));
    row_group_read(reference->group, reference->slot, column->column.column, out);
    return OMEN_OK;
}

/* Whether the value of a condition on a row of `state`, a relation, is known when planning. */
static bool is_known(struct expression **part, void *state)
{
    const struct relation *relation = state;
    const struct expression *expression = *part;
    switch (expression->kind) {
    case EXPRESSION_PARAMETER:
        return false;
    case EXPRESSION_COLUMN:
        if (expression->column.relation != relation || expression->column.levels_up > 0 ||
            expression->column.column >= relation->column_count)
            return false;
        break;
    case EXPRESSION_CALL:
        if ((expression->line->flags & (SEMANTICS_VOLATILE | SEMANTICS_STABLE)) != 0)
            return false;
        break;
    default:
        break;
    }
    return expression_visit_parts(*part, is_known, state);
}

/* Whether all hold for a row; `*failed` where one cannot be computed. */
static bool row_passes(struct join_sizes *sizes, struct row_ref *row,
                       struct expression *const *conditions, uint32_t count, bool *failed)
{
    struct evaluation evaluation = {
        .arena = &sizes->scratch, .read_column = read_sampled, .row = row};
    bool passes = true;
    for (uint32_t i = 0; i < count && passes && !*failed; i++) {
        omen_value value;
        *failed = evaluate(conditions[i], &evaluation, &value, NULL) != OMEN_OK;
        passes = !*failed && !value.is_null && value.as.boolean;
    }
    arena_reset(&sizes->scratch);
    return passes;
}

/* The share of a table's rows that pass; negative where the sample cannot tell. */
static double sampled_share(struct join_sizes *sizes, const struct relation *relation,
                            struct expression *const *conditions, uint32_t count)
{
    const struct sampled_table *table = sample_of(sizes, relation->table);
    if (table == NULL || table->sample.row_count == 0)
        return -1;
    uint32_t passed = 0;
    bool failed = false;
    for (uint32_t i = 0; i < table->sample.row_count && !failed; i++)
        passed += row_passes(sizes, &table->sample.rows[i], conditions, count, &failed);
    if (failed)
        return -1;
    if (table->sample.complete)
        return (double)passed / table->sample.row_count;
    /* None of a sample is not none of the table. */
    return (passed + 0.3) / (table->sample.row_count + 0.6);
}

/* --- conditions --- */

static bool is_comparison(const struct expression *condition, const char *name)
{
    return condition->kind == EXPRESSION_CALL && condition->line->kind == SEMANTICS_OPERATOR &&
           strcmp(condition->line->name, name) == 0;
}

/* Where there is no sample. */
static double usual_share(const struct expression *condition)
{
    static const char *const ranges[] = {"<", "<=", ">", ">="};
    double share = SHARE_OF_OTHERS;
    switch (condition->kind) {
    case EXPRESSION_AND:
    case EXPRESSION_OR:
        share = condition->kind == EXPRESSION_AND ? 1 : 0;
        for (uint32_t i = 0; i < condition->argument_count; i++) {
            double part = usual_share(condition->arguments[i]);
            share = condition->kind == EXPRESSION_AND ? share * part : share + part - share * part;
        }
        return share;
    case EXPRESSION_NOT:
        return 1 - usual_share(condition->arguments[0]);
    case EXPRESSION_IN:
        share = (condition->argument_count - 1) * SHARE_OF_LIST_ITEM;
        share = share > 0.5 ? 0.5 : share;
        return condition->negated ? 1 - share : share;
    default:
        break;
    }
    if (is_comparison(condition, "="))
        return SHARE_OF_EQUALITY;
    if (is_comparison(condition, "<>"))
        return 1 - SHARE_OF_EQUALITY;
    if (is_comparison(condition, "~~"))
        return SHARE_OF_LIKE;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (is_comparison(condition, ranges[i]))
            return SHARE_OF_RANGE;
    return share;
}

double join_size_share(struct join_sizes *sizes, const struct relation *relation,
                       struct expression *const *conditions, uint32_t count)
{
    double share = 1;
    uint32_t known_count = 0;
    struct expression **known = arena_alloc(&sizes->arena, count * sizeof(struct expression *));
    for (uint32_t i = 0; i < count; i++) {
        struct expression *condition = conditions[i];
        if (known != NULL && is_sampled(relation) && expression_is_evaluable(condition) &&
            is_known(&condition, (void *)relation))
            known[known_count++] = condition;
        else
            share *= usual_share(condition);
    }
    if (known_count == 0)
        return share;
    double sampled = sampled_share(sizes, relation, known, known_count);
    for (uint32_t i = 0; i < known_count && sampled < 0; i++)
        share *= usual_share(known[i]);
    return sampled < 0 ? share : share * sampled;
}

/* --- relations and queries --- */

static double at_least_one(double rows)
{
    return rows < 1 ? 1 : rows;
}

double join_size_relation(struct join_sizes *sizes, const struct relation *relation)
{
    switch (relation->kind) {
    case RELATION_TABLE:
        return relation->file != NULL
                   ? ROWS_UNKNOWN * ROWS_UNKNOWN
                   : at_least_one((double)table_row_count_estimate(relation->table));
    case RELATION_QUERY:
        return join_size_query(sizes, relation->query);
    case RELATION_CTE:
        return relation->cte->recursive ? ROWS_UNKNOWN
                                        : join_size_query(sizes, relation->cte->query);
    case RELATION_FUNCTION:
        break;
    }
    return ROWS_UNKNOWN;
}

/* What a query's conditions say of one relation alone. */
struct sizing {
    const struct relation *relation;
    bool others; /* an expression speaks of other relations of the query */
    bool own;
};

static bool find_relations(struct expression **part, void *state)
{
    struct sizing *sizing = state;
    if ((*part)->kind == EXPRESSION_COLUMN && (*part)->column.levels_up == 0) {
        bool own = (*part)->column.relation == sizing->relation;
        sizing->own |= own;
        sizing->others |= !own;
    }
    return (*part)->kind != EXPRESSION_SUBQUERY &&
           expression_visit_parts(*part, find_relations, state);
}

/* Rows of a relation after those conditions of the WHERE that speak of it alone. */
static double filtered_rows(struct join_sizes *sizes, const struct query *query,
                            const struct relation *relation)
{
    uint32_t count, kept = 0;
    struct expression *where = query->where;
    struct expression **conjuncts = conjuncts_of(&where, &count);
    struct expression **own = arena_alloc(&sizes->arena, count * sizeof(struct expression *));
    for (uint32_t i = 0; own != NULL && i < count; i++) {
        struct sizing sizing = {.relation = relation};
        if (find_relations(&conjuncts[i], &sizing) && sizing.own && !sizing.others)
            own[kept++] = conjuncts[i];
    }
    return at_least_one(join_size_relation(sizes, relation) *
                        join_size_share(sizes, relation, own, kept));
}

/* Joins follow keys as a rule: they have as many rows as the largest of what they join. */
double join_size_from(struct join_sizes *sizes, const struct query *query,
                      const struct from_item *item)
{
    if (item->relation != NULL)
        return filtered_rows(sizes, query, item->relation);
    double left = join_size_from(sizes, query, item->left);
    double right = join_size_from(sizes, query, item->right);
    return left > right ? left : right;
}

/* Groups or different rows among `rows`. */
static double group_rows(struct join_sizes *sizes, const struct query *query, double rows)
{
    double groups = rows * SHARE_OF_GROUPS;
    if (query->group_count == 1 && query->groups[0]->kind == EXPRESSION_COLUMN &&
        query->groups[0]->column.levels_up == 0) {
        const struct column_use *use = &query->groups[0]->column;
        groups = join_size_distinct(sizes, use->relation, use->column);
    }
    groups = groups < rows ? groups : rows;
    return query->having != NULL ? groups * SHARE_OF_HAVING : groups;
}

static double select_rows(struct join_sizes *sizes, const struct query *query)
{
    double rows = 1;
    for (uint32_t i = 0; i < query->from_count; i++) {
        double more = join_size_from(sizes, query, query->from[i]);
        rows = more > rows ? more : rows;
    }
    if (query->grouped && query->group_count == 0)
        return 1;
    if (query->group_count > 0)
        rows = group_rows(sizes, query, rows);
    else if (query->distinct || query->distinct_on_count > 0)
        rows *= SHARE_OF_GROUPS;
    return rows;
}

double join_size_query(struct join_sizes *sizes, const struct query *query)
{
    double rows = ROWS_UNKNOWN;
    if (sizes->depth == SIZE_DEPTH_MAX)
        return rows;
    sizes->depth++;
    switch (query->kind) {
    case QUERY_SELECT:
        rows = select_rows(sizes, query);
        break;
    case QUERY_SET:
        rows = join_size_query(sizes, query->left);
        if (query->operation == SET_UNION)
            rows += join_size_query(sizes, query->right);
        break;
    case QUERY_VALUES:
        rows = query->row_count;
        break;
    }
    sizes->depth--;
    double limit = (double)limit_rows(query->limit);
    return at_least_one(limit > 0 && limit < rows ? limit : rows);
}

/* --- different values --- */

static int compare_values(const void *one, const void *other)
{
    return value_compare(one, other);
}

/* Values of an integer column's range; 0 where it is not known. */
static double range_of(const struct sampled_table *table, uint32_t column)
{
    struct column_summary summary;
    table_view_column(table->sample.view, column, &summary);
    if (!summary.has_range)
        return 0;
    switch (summary.min.type.id) {
    case OMEN_TYPE_SMALLINT:
        return (double)summary.max.as.i16 - summary.min.as.i16 + 1;
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_DATE:
        return (double)summary.max.as.i32 - summary.min.as.i32 + 1;
    case OMEN_TYPE_BIGINT:
        return (double)summary.max.as.i64 - (double)summary.min.as.i64 + 1;
    default:
        return 0;
    }
}

/* The sample's values of a column that are not NULL. */
static uint32_t sampled_values(struct join_sizes *sizes, const struct sampled_table *table,
                               uint32_t column, omen_value **out)
{
    const struct table_sample *sample = &table->sample;
    uint32_t count = 0;
    *out = arena_alloc(&sizes->arena, sample->row_count * sizeof **out);
    for (uint32_t i = 0; *out != NULL && i < sample->row_count; i++) {
        if (row_group_ensure(sample->rows[i].group, &column, 1, NULL) != OMEN_OK)
            return 0;
        row_group_read(sample->rows[i].group, sample->rows[i].slot, column, &(*out)[count]);
        count += !(*out)[count].is_null;
    }
    return count;
}

static double sampled_distinct(struct join_sizes *sizes, const struct relation *relation,
                               uint32_t column)
{
    const struct sampled_table *table = sample_of(sizes, relation->table);
    omen_value *values;
    if (table == NULL || column >= relation->column_count)
        return ROWS_UNKNOWN;
    uint32_t count = sampled_values(sizes, table, column, &values), distinct = 0, single = 0;
    if (count == 0)
        return 1;
    qsort(values, count, sizeof *values, compare_values);
    for (uint32_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && value_compare(&values[i], &values[end]) == 0;)
            end++;
        distinct++;
        single += end == i + 1;
    }
    double estimate = distinct, share = count / at_least_one(table->row_count);
    if (!table->sample.complete && share < 1)
        estimate = (double)count * distinct / (count - single + single * share);
    double range = range_of(table, column);
    return range > 0 && range < estimate ? range : estimate;
}

double join_size_distinct(struct join_sizes *sizes, const struct relation *relation,
                          uint32_t column)
{
    uint32_t unique;
    double rows = join_size_relation(sizes, relation), distinct = rows;
    if (join_unique_columns(relation, &unique, 1) == 1 && unique == column)
        return rows;
    if (is_sampled(relation))
        distinct = sampled_distinct(sizes, relation, column);
    return at_least_one(distinct < rows ? distinct : rows);
}

/* --- keys --- */

/* The outputs that a query is grouped by, if all groups are shown. */
static uint32_t group_columns(const struct query *query, uint32_t *columns, uint32_t capacity)
{
    if (query->kind != QUERY_SELECT || query->grouping_sets != NULL || query->group_count == 0 ||
        query->group_count > capacity)
        return 0;
    for (uint32_t i = 0; i < query->group_count; i++) {
        uint32_t target = 0;
        while (target < query->target_count &&
               !expression_equal(query->targets[target].expression, query->groups[i]))
            target++;
        if (target == query->target_count)
            return 0;
        columns[i] = target;
    }
    return query->group_count;
}

uint32_t join_unique_columns(const struct relation *relation, uint32_t *columns, uint32_t capacity)
{
    if (relation->kind == RELATION_QUERY)
        return group_columns(relation->query, columns, capacity);
    if (!is_sampled(relation))
        return 0;
    const struct schema *schema = table_schema(relation->table);
    if (schema->key_hidden || schema->key.count > capacity)
        return 0;
    memcpy(columns, schema->key.columns, schema->key.count * sizeof *columns);
    return schema->key.count;
}
