/* bind_from.c - FROM items and the names they bring.
 *
 * Every item gives a set of names; a join's condition sees those of its two sides, a LATERAL item
 * those of all items before it, the query's clauses those of all items.
 */
#include <string.h>

#include "sql/bind_query_private.h"
#include "sql/evaluate.h"

/* FROM while it is bound. */
struct from_clause {
    struct binder *binder;
    struct scope *scope;       /* the query's: what is around it */
    struct from_names visible; /* to LATERAL items: all to the left */
};

/* --- names --- */

static omen_status add_column(struct binder *binder, struct from_names *names,
                              const struct scope_column *column, omen_error *error)
{
    OMEN_TRY(bind_grow(binder, &names->columns, names->column_count, &names->column_capacity,
                       sizeof *names->columns, error));
    names->columns[names->column_count++] = *column;
    return OMEN_OK;
}

static omen_status add_relation(struct binder *binder, struct from_names *names,
                                struct relation *relation, omen_error *error)
{
    OMEN_TRY(bind_grow(binder, &names->relations, names->relation_count, &names->relation_capacity,
                       sizeof(struct relation *), error));
    names->relations[names->relation_count++] = relation;
    return OMEN_OK;
}

omen_status bind_add_names(struct binder *binder, struct from_names *names,
                           struct relation *relation, omen_error *error)
{
    OMEN_TRY(add_relation(binder, names, relation, error));
    for (uint32_t i = 0; i < relation->column_count; i++) {
        struct scope_column column = {.name = relation->columns[i].name,
                                      .relation = relation,
                                      .column = i,
                                      .unqualified = true};
        OMEN_TRY(add_column(binder, names, &column, error));
    }
    return OMEN_OK;
}

void bind_show_names(struct scope *scope, const struct from_names *names)
{
    scope->relations = names->relations;
    scope->relation_count = names->relation_count;
    scope->columns = names->columns;
    scope->column_count = names->column_count;
}

/* No table name may be on both sides. */
static omen_status check_names(const struct from_names *names, const struct from_names *more,
                               omen_error *error)
{
    for (uint32_t i = 0; i < more->relation_count; i++)
        for (uint32_t j = 0; j < names->relation_count; j++)
            if (strcmp(names->relations[j]->alias, more->relations[i]->alias) == 0)
                return error_set(error, OMEN_DUPLICATE_ALIAS,
                                 "table name \"%s\" specified more than once",
                                 names->relations[j]->alias);
    return OMEN_OK;
}

/* Adds the names of one side to those of the other. */
static omen_status join_names(struct binder *binder, struct from_names *names,
                              const struct from_names *more, omen_error *error)
{
    for (uint32_t i = 0; i < more->relation_count; i++)
        OMEN_TRY(add_relation(binder, names, more->relations[i], error));
    for (uint32_t i = 0; i < more->column_count; i++)
        OMEN_TRY(add_column(binder, names, &more->columns[i], error));
    return OMEN_OK;
}

omen_status bind_rename_columns(struct binder *binder, struct relation_column *columns,
                                uint32_t count, PgQuery__Node *const *names, size_t name_count,
                                const char *what, const char *name, int location, omen_error *error)
{
    if (name_count > count)
        return bind_fail(binder, location, error, OMEN_INVALID_COLUMN_REFERENCE,
                         "%s \"%s\" has %u columns available but %zu columns specified", what, name,
                         count, name_count);
    for (size_t i = 0; i < name_count; i++) {
        columns[i].name = parse_string(names[i]);
        if (columns[i].name == NULL)
            return bind_refuse(binder, location, "this list of columns", error);
    }
    return OMEN_OK;
}

/* --- relations --- */

omen_status bind_table(struct binder *binder, const PgQuery__RangeVar *name, struct table **out,
                       omen_error *error)
{
    struct table *table = NULL;
    bool public_name = name->schemaname[0] != '\0';
    bool public = name->catalogname[0] == '\0' &&
                  (name->schemaname[0] == '\0' || strcmp(name->schemaname, "public") == 0);
    if (!public)
        return bind_fail(binder, name->location, error, OMEN_UNDEFINED_TABLE,
                         "relation \"%s.%s\" does not exist", name->schemaname, name->relname);
    OMEN_TRY(bind_grow(binder, &binder->tables, binder->table_count, &binder->table_capacity,
                       sizeof(struct table *), error));
    omen_status status = catalog_find_in(binder->catalog, binder->changes, name->relname,
                                         strlen(name->relname), &table, error);
    if (status == OMEN_UNDEFINED_TABLE) {
        bind_fail(binder, name->location, error, status,
                  public_name ? "relation \"%s.%s\" does not exist"
                              : "relation \"%s%s\" does not exist",
                  name->schemaname, name->relname);
        catalog_suggest(binder->catalog, name->relname, strlen(name->relname), error);
        return status;
    }
    OMEN_TRY(status);
    binder->tables[binder->table_count++] = table;
    *out = table;
    return OMEN_OK;
}

/* A relation with room for its columns. */
static omen_status make_relation(struct binder *binder, enum relation_kind kind, const char *alias,
                                 uint32_t column_count, struct relation **out, omen_error *error)
{
    if (binder->relation_count == BIND_RELATIONS_MAX)
        return error_set(error, OMEN_STATEMENT_TOO_COMPLEX,
                         "more than %d tables and subqueries in FROM", BIND_RELATIONS_MAX);
    struct relation *relation = bind_alloc(binder, sizeof *relation, error);
    if (relation == NULL)
        return OMEN_OUT_OF_MEMORY;
    relation->kind = kind;
    relation->number = binder->relation_count++;
    relation->alias = alias;
    relation->column_count = column_count;
    relation->columns = bind_alloc(binder, column_count * sizeof *relation->columns, error);
    *out = relation;
    return relation->columns != NULL ? OMEN_OK : OMEN_OUT_OF_MEMORY;
}

static omen_status apply_alias(struct binder *binder, struct relation *relation,
                               const PgQuery__Alias *alias, omen_error *error)
{
    if (alias == NULL)
        return OMEN_OK;
    relation->alias = alias->aliasname;
    return bind_rename_columns(binder, relation->columns, relation->column_count, alias->colnames,
                               alias->n_colnames, "table", alias->aliasname, -1, error);
}

omen_status bind_table_relation(struct binder *binder, const PgQuery__RangeVar *name, bool row_ids,
                                struct relation **out, omen_error *error)
{
    struct table *table;
    OMEN_TRY(bind_table(binder, name, &table, error));
    const struct schema *schema = table_schema(table);
    struct relation *relation = NULL;
    OMEN_TRY(make_relation(binder, RELATION_TABLE, name->relname, schema->column_count, &relation,
                           error));
    relation->table = table;
    relation->row_ids = row_ids;
    for (uint32_t i = 0; i < schema->column_count; i++)
        relation->columns[i] = (struct relation_column){.name = schema->columns[i].name,
                                                        .type = schema->columns[i].type};
    *out = relation;
    return apply_alias(binder, relation, name->alias, error);
}

/* FROM 'file.csv': a table whose rows lie elsewhere. */
static omen_status bind_file_relation(struct binder *binder, const struct parsed_file *named,
                                      const PgQuery__RangeVar *node, struct relation **out,
                                      omen_error *error)
{
    struct bound_file bound;
    struct relation *relation = NULL;
    if (binder->opener.open == NULL)
        return bind_refuse(binder, named->location, "a file here", error);
    OMEN_TRY(bind_grow(binder, &binder->tables, binder->table_count, &binder->table_capacity,
                       sizeof(struct table *), error));
    OMEN_TRY(bind_grow(binder, &binder->files, binder->file_count, &binder->file_capacity,
                       sizeof(struct table_file *), error));
    omen_status status = binder->opener.open(binder->opener.context, named->path, &bound, error);
    if (status != OMEN_OK) {
        parse_set_position(binder->parsed, named->location, error);
        return status;
    }
    binder->tables[binder->table_count++] = bound.table;
    binder->files[binder->file_count++] = bound.file;
    const struct schema *schema = table_schema(bound.table);
    OMEN_TRY(make_relation(binder, RELATION_TABLE, table_name(bound.table), schema->column_count,
                           &relation, error));
    relation->table = bound.table;
    relation->file = bound.file;
    for (uint32_t i = 0; i < schema->column_count; i++)
        relation->columns[i] = (struct relation_column){.name = schema->columns[i].name,
                                                        .type = schema->columns[i].type,
                                                        .refused = bound.refused[i]};
    *out = relation;
    return apply_alias(binder, relation, node->alias, error);
}

omen_status bind_query_relation(struct binder *binder, struct query *query, const char *name,
                                const PgQuery__Alias *alias, struct relation **out,
                                omen_error *error)
{
    struct relation *relation = NULL;
    OMEN_TRY(make_relation(binder, RELATION_QUERY, name, query->target_count, &relation, error));
    relation->query = query;
    for (uint32_t i = 0; i < query->target_count; i++)
        relation->columns[i] =
            (struct relation_column){.name = query->targets[i].name, .type = query->types[i]};
    *out = relation;
    return apply_alias(binder, relation, alias, error);
}

static omen_status bind_cte_relation(struct binder *binder, struct cte *cte,
                                     const PgQuery__RangeVar *name, struct relation **out,
                                     omen_error *error)
{
    struct relation *relation = NULL;
    OMEN_TRY(
        make_relation(binder, RELATION_CTE, name->relname, cte->column_count, &relation, error));
    relation->cte = cte;
    if (cte->column_count > 0)
        memcpy(relation->columns, cte->columns, cte->column_count * sizeof *relation->columns);
    *out = relation;
    return apply_alias(binder, relation, name->alias, error);
}

omen_status bind_leaf(struct binder *binder, struct relation *relation, struct from_item **out,
                      omen_error *error)
{
    *out = bind_alloc(binder, sizeof **out, error);
    if (*out == NULL)
        return OMEN_OUT_OF_MEMORY;
    (*out)->relation = relation;
    return OMEN_OK;
}

/* --- items --- */

static omen_status bind_item(struct from_clause *from, const PgQuery__Node *node,
                             struct from_names *names, struct from_item **out, omen_error *error);

static omen_status add_leaf(struct from_clause *from, struct relation *relation,
                            struct from_names *names, struct from_item **out, omen_error *error)
{
    OMEN_TRY(bind_leaf(from->binder, relation, out, error));
    return bind_add_names(from->binder, names, relation, error);
}

static omen_status bind_range_variable(struct from_clause *from, const PgQuery__RangeVar *node,
                                       struct from_names *names, struct from_item **out,
                                       omen_error *error)
{
    struct relation *relation = NULL;
    const struct scope *scope = from->scope;
    const struct parsed_file *file = parse_file(from->binder->parsed, node);
    if (file != NULL) {
        OMEN_TRY(bind_file_relation(from->binder, file, node, &relation, error));
        return add_leaf(from, relation, names, out, error);
    }
    for (uint32_t i = scope->cte_count; i-- > 0 && node->schemaname[0] == '\0';)
        if (strcmp(scope->ctes[i]->name, node->relname) == 0) {
            OMEN_TRY(bind_cte_relation(from->binder, scope->ctes[i], node, &relation, error));
            return add_leaf(from, relation, names, out, error);
        }
    OMEN_TRY(bind_table_relation(from->binder, node, false, &relation, error));
    return add_leaf(from, relation, names, out, error);
}

/* What a query in FROM has around it: this query, of which it sees only what LATERAL shows. */
static struct scope inner_scope(const struct from_clause *from, bool lateral)
{
    struct scope scope = {.outer = from->scope->outer,
                          .ctes = from->scope->ctes,
                          .cte_count = from->scope->cte_count};
    if (lateral) {
        bind_show_names(&scope, &from->visible);
    } else {
        scope.hidden = from->visible.relations;
        scope.hidden_count = from->visible.relation_count;
    }
    return scope;
}

static omen_status bind_subselect(struct from_clause *from, const PgQuery__RangeSubselect *node,
                                  struct from_names *names, struct from_item **out,
                                  omen_error *error)
{
    struct query *query;
    struct relation *relation;
    struct scope scope = inner_scope(from, node->lateral);
    const PgQuery__SelectStmt *select = node->subquery->select_stmt;
    if (node->subquery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return bind_refuse(from->binder, -1, "this kind of subquery in FROM", error);
    if (node->alias == NULL)
        return error_set(error, OMEN_SYNTAX_ERROR,
                         select->n_values_lists > 0 ? "VALUES in FROM must have an alias"
                                                    : "subquery in FROM must have an alias");
    OMEN_TRY(bind_query(from->binder, &scope, select, &query, error));
    OMEN_TRY(bind_query_relation(from->binder, query, NULL, node->alias, &relation, error));
    relation->lateral = node->lateral && bind_uses_around(query);
    return add_leaf(from, relation, names, out, error);
}

/* --- joins --- */

static enum join_kind join_kind_of(const PgQuery__JoinExpr *node)
{
    switch (node->jointype) {
    case PG_QUERY__JOIN_TYPE__JOIN_LEFT:
        return JOIN_LEFT;
    case PG_QUERY__JOIN_TYPE__JOIN_RIGHT:
        return JOIN_RIGHT;
    case PG_QUERY__JOIN_TYPE__JOIN_FULL:
        return JOIN_FULL;
    default:
        return node->quals != NULL || node->n_using_clause > 0 || node->is_natural ? JOIN_INNER
                                                                                   : JOIN_CROSS;
    }
}

static omen_status bind_on(struct from_clause *from, const PgQuery__Node *node,
                           const struct from_names *names, struct expression **out,
                           omen_error *error)
{
    struct scope scope = inner_scope(from, false);
    bind_show_names(&scope, names);
    scope.clause = "JOIN conditions";
    return bind_condition(from->binder, &scope, node, out, error);
}

/* Both sides; the right one sees the left one where it is LATERAL and the join allows it. */
static omen_status bind_sides(struct from_clause *from, const PgQuery__JoinExpr *node,
                              struct from_names *left, struct from_names *right,
                              struct from_item *item, omen_error *error)
{
    uint32_t relations = from->visible.relation_count, columns = from->visible.column_count;
    OMEN_TRY(bind_item(from, node->larg, left, &item->left, error));
    if (item->join != JOIN_RIGHT && item->join != JOIN_FULL)
        OMEN_TRY(join_names(from->binder, &from->visible, left, error));
    OMEN_TRY(bind_item(from, node->rarg, right, &item->right, error));
    from->visible.relation_count = relations;
    from->visible.column_count = columns;
    return OMEN_OK;
}

static omen_status bind_join(struct from_clause *from, const PgQuery__JoinExpr *node,
                             struct from_names *names, struct from_item **out, omen_error *error)
{
    struct binder *binder = from->binder;
    struct from_item *item = bind_alloc(binder, sizeof *item, error);
    struct from_names right = {0};
    if (item == NULL)
        return OMEN_OUT_OF_MEMORY;
    if (node->join_using_alias != NULL)
        return bind_refuse(binder, -1, "an alias of USING", error);
    item->join = join_kind_of(node);
    *out = item;
    OMEN_TRY(bind_sides(from, node, names, &right, item, error));
    OMEN_TRY(check_names(names, &right, error));
    if (node->is_natural || node->n_using_clause > 0) {
        struct from_names merged = {0};
        OMEN_TRY(bind_join_using(binder, node, item->join, names, &right, &merged, &item->condition,
                                 error));
        OMEN_TRY(join_names(binder, names, &right, error));
        names->columns = merged.columns;
        names->column_count = merged.column_count;
        names->column_capacity = merged.column_capacity;
        if (item->condition == NULL && item->join == JOIN_INNER)
            item->join = JOIN_CROSS; /* NATURAL without a common column */
        return OMEN_OK;
    }
    OMEN_TRY(join_names(binder, names, &right, error));
    return node->quals == NULL ? OMEN_OK
                               : bind_on(from, node->quals, names, &item->condition, error);
}

/* (a JOIN b ...) AS j: as (SELECT * FROM a JOIN b ...) AS j. */
static omen_status bind_aliased_join(struct from_clause *from, const PgQuery__JoinExpr *node,
                                     struct from_names *names, struct from_item **out,
                                     omen_error *error)
{
    struct binder *binder = from->binder;
    struct scope around = inner_scope(from, false);
    struct scope scope = {.outer = &around, .ctes = around.ctes, .cte_count = around.cte_count};
    struct from_clause inside = {.binder = binder, .scope = &scope};
    struct from_names inner = {0};
    struct relation *relation;
    struct query *query = bind_alloc(binder, sizeof *query, error);
    if (query == NULL)
        return OMEN_OUT_OF_MEMORY;
    query->from = bind_alloc(binder, sizeof *query->from, error);
    if (query->from == NULL)
        return OMEN_OUT_OF_MEMORY;
    query->from_count = 1;
    OMEN_TRY(bind_join(&inside, node, &inner, &query->from[0], error));
    query->targets = bind_alloc(binder, inner.column_count * sizeof *query->targets, error);
    query->types = bind_alloc(binder, inner.column_count * sizeof *query->types, error);
    if (query->targets == NULL || query->types == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < inner.column_count; i++) {
        const struct scope_column *column = &inner.columns[i];
        struct expression *use = column->merged;
        if (!column->unqualified)
            continue;
        if (use == NULL)
            use = bind_column_use(binder, column->relation, column->column, 0, -1, error);
        if (use == NULL)
            return OMEN_OUT_OF_MEMORY;
        query->types[query->target_count] = use->type;
        query->targets[query->target_count++] =
            (struct target){.expression = use, .name = column->name};
    }
    OMEN_TRY(bind_query_relation(binder, query, NULL, node->alias, &relation, error));
    return add_leaf(from, relation, names, out, error);
}

/* --- generate_series --- */

/* The one function that FROM knows: it has no line of the table, because it gives rows. */
static const struct semantics_line series_lines[2] = {
    {.kind = SEMANTICS_FUNCTION,
     .name = "generate_series",
     .argument_count = 3,
     .arguments = {OMEN_TYPE_INTEGER, OMEN_TYPE_INTEGER, OMEN_TYPE_INTEGER},
     .result = OMEN_TYPE_INTEGER},
    {.kind = SEMANTICS_FUNCTION,
     .name = "generate_series",
     .argument_count = 3,
     .arguments = {OMEN_TYPE_BIGINT, OMEN_TYPE_BIGINT, OMEN_TYPE_BIGINT},
     .result = OMEN_TYPE_BIGINT},
};

static omen_status bind_series(struct from_clause *from, const PgQuery__FuncCall *node,
                               struct expression **out, omen_error *error)
{
    struct binder *binder = from->binder;
    struct scope scope = inner_scope(from, true);
    struct expression *call = bind_alloc(binder, sizeof *call, error);
    struct expression **arguments =
        bind_alloc(binder, node->n_args * sizeof(struct expression *), error);
    if (call == NULL || arguments == NULL)
        return OMEN_OUT_OF_MEMORY;
    bool large = false, known = false;
    scope.clause = "functions in FROM";
    for (size_t i = 0; i < node->n_args; i++) {
        OMEN_TRY(bind_expression(binder, &scope, node->args[i], &arguments[i], error));
        omen_type_id type = arguments[i]->type.id;
        known = known || !bind_is_unknown(arguments[i]->type);
        large = large || type == OMEN_TYPE_BIGINT;
        if (type != OMEN_TYPE_SMALLINT && type != OMEN_TYPE_INTEGER && type != OMEN_TYPE_BIGINT &&
            !bind_is_unknown(arguments[i]->type))
            return bind_refuse(binder, node->location, "generate_series of this type", error);
    }
    if (!known)
        return bind_fail(binder, node->location, error, OMEN_AMBIGUOUS_FUNCTION,
                         "function generate_series(unknown, unknown%s) is not unique",
                         node->n_args == 3 ? ", unknown" : "");
    *call = (struct expression){.kind = EXPRESSION_CALL,
                                .type = {.id = large ? OMEN_TYPE_BIGINT : OMEN_TYPE_INTEGER},
                                .location = node->location,
                                .arguments = arguments,
                                .argument_count = (uint32_t)node->n_args,
                                .line = &series_lines[large]};
    for (size_t i = 0; i < node->n_args; i++) {
        OMEN_TRY(bind_coerce(binder, arguments[i], call->type, CONTEXT_IMPLICIT, NULL,
                             &arguments[i], error));
        OMEN_TRY(evaluate_constants(&arguments[i], binder->arena, error));
    }
    *out = call;
    return OMEN_OK;
}

/* The call of an item that is one plain function, else NULL. */
static const PgQuery__FuncCall *function_of(const PgQuery__RangeFunction *node)
{
    if (node->n_functions != 1 || node->is_rowsfrom || node->ordinality || node->n_coldeflist > 0 ||
        node->functions[0]->node_case != PG_QUERY__NODE__NODE_LIST)
        return NULL;
    const PgQuery__List *list = node->functions[0]->list; /* the call and its column definitions */
    return list->n_items > 0 && list->items[0]->node_case == PG_QUERY__NODE__NODE_FUNC_CALL
               ? list->items[0]->func_call
               : NULL;
}

/* A function that does not exist is told so; any other is refused. */
static omen_status refuse_function(struct from_clause *from, const PgQuery__FuncCall *call,
                                   PgQuery__Node *const *functions, omen_error *error)
{
    struct scope scope = inner_scope(from, true);
    struct expression *expression;
    scope.clause = "functions in FROM";
    if (call == NULL)
        return bind_refuse(from->binder, -1, "this kind of function in FROM", error);
    const char *name = parse_string(call->funcname[call->n_funcname - 1]);
    if (name == NULL || strcmp(name, "generate_series") != 0)
        OMEN_TRY(bind_expression(from->binder, &scope, functions[0]->list->items[0], &expression,
                                 error));
    return bind_refuse(from->binder, call->location,
                       "a function in FROM other than generate_series", error);
}

static omen_status bind_range_function(struct from_clause *from, const PgQuery__RangeFunction *node,
                                       struct from_names *names, struct from_item **out,
                                       omen_error *error)
{
    struct binder *binder = from->binder;
    const PgQuery__FuncCall *call = function_of(node);
    const char *name = call != NULL && call->n_funcname > 0
                           ? parse_string(call->funcname[call->n_funcname - 1])
                           : NULL;
    if (name == NULL || strcmp(name, "generate_series") != 0 || call->n_args < 2 ||
        call->n_args > 3 || call->agg_star || call->agg_distinct || call->over != NULL ||
        call->agg_filter != NULL || call->n_agg_order > 0 || call->func_variadic)
        return refuse_function(from, call, node->functions, error);
    struct relation *relation = NULL;
    OMEN_TRY(make_relation(binder, RELATION_FUNCTION, name, 1, &relation, error));
    OMEN_TRY(bind_series(from, call, &relation->function, error));
    relation->columns[0] =
        (struct relation_column){.name = node->alias != NULL ? node->alias->aliasname : name,
                                 .type = relation->function->type};
    OMEN_TRY(apply_alias(binder, relation, node->alias, error));
    return add_leaf(from, relation, names, out, error);
}

static omen_status bind_item_kind(struct from_clause *from, const PgQuery__Node *node,
                                  struct from_names *names, struct from_item **out,
                                  omen_error *error)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return bind_range_variable(from, node->range_var, names, out, error);
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
        return bind_subselect(from, node->range_subselect, names, out, error);
    case PG_QUERY__NODE__NODE_JOIN_EXPR:
        return node->join_expr->alias == NULL
                   ? bind_join(from, node->join_expr, names, out, error)
                   : bind_aliased_join(from, node->join_expr, names, out, error);
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
        return bind_range_function(from, node->range_function, names, out, error);
    case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
        return bind_refuse(from->binder, node->range_table_sample->location, "TABLESAMPLE", error);
    default:
        return bind_refuse(from->binder, -1, "this kind of FROM item", error);
    }
}

static omen_status bind_item(struct from_clause *from, const PgQuery__Node *node,
                             struct from_names *names, struct from_item **out, omen_error *error)
{
    OMEN_TRY(bind_enter(from->binder, error));
    omen_status status = bind_item_kind(from, node, names, out, error);
    from->binder->depth--;
    return status;
}

omen_status bind_from(struct binder *binder, struct scope *scope, PgQuery__Node *const *nodes,
                      size_t count, struct from_item ***items, uint32_t *item_count,
                      omen_error *error)
{
    struct from_clause from = {.binder = binder, .scope = scope};
    *items = bind_alloc(binder, count * sizeof(struct from_item *), error);
    if (*items == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++) {
        struct from_names names = {0};
        OMEN_TRY(bind_item(&from, nodes[i], &names, &(*items)[i], error));
        OMEN_TRY(check_names(&from.visible, &names, error));
        *item_count = (uint32_t)i + 1;
        if (from.visible.relation_count == 0)
            from.visible = names;
        else
            OMEN_TRY(join_names(binder, &from.visible, &names, error));
    }
    /* A writing statement's target is there already, and FROM does not see it. */
    if (scope->relation_count > 0) {
        struct from_names all = {.relations = scope->relations,
                                 .relation_count = scope->relation_count,
                                 .columns = scope->columns,
                                 .column_count = scope->column_count};
        OMEN_TRY(check_names(&all, &from.visible, error));
        OMEN_TRY(join_names(binder, &all, &from.visible, error));
        from.visible = all;
    }
    bind_show_names(scope, &from.visible);
    return OMEN_OK;
}
