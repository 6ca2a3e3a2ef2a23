/* plan_ddl.c - CREATE TABLE and DROP TABLE.
 *
 * A column's DEFAULT is kept as the text it was written in and bound anew by each statement that
 * needs it. Unique constraints keep the order they were written in, and are named as PostgreSQL
 * names them (plan_unique.c).
 */
#include <string.h>
#include <strings.h>

#include "query/plan.h"
#include "sql/cast.h"
#include "sql/lexer.h"
#include "sql/value_text.h"

/* What is gathered while the elements of a CREATE TABLE are read. */
struct builder {
    struct plan *plan;
    struct column_definition *columns;
    bool *declared_null; /* NULL was written */
    uint32_t column_count;
    uint32_t key[SCHEMA_KEY_COLUMNS_MAX];
    uint32_t key_count;
    bool has_key;
    struct unique_definition *uniques; /* in the order written; unnamed ones have no name yet */
    size_t *elements;                  /* of the statement: which of them each stands in */
    uint32_t unique_count;
};

static omen_status too_many_keys(struct builder *builder, omen_error *error)
{
    return error_set(error, OMEN_INVALID_TABLE,
                     "multiple primary keys for table \"%s\" are not allowed",
                     builder->plan->create.name);
}

/* Whether nothing is asked of a primary or unique key but to be one. */
static omen_status check_key_constraint(const PgQuery__Constraint *constraint, omen_error *error)
{
    bool primary = constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY;
    if (constraint->deferrable || constraint->initdeferred)
        return plan_refuse(error,
                           primary ? "a deferrable primary key" : "a deferrable unique constraint");
    if (constraint->nulls_not_distinct)
        return plan_refuse(error, "UNIQUE NULLS NOT DISTINCT");
    if (constraint->n_including > 0)
        return plan_refuse(error, "a key that INCLUDEs other columns");
    if (constraint->n_options > 0 || constraint->indexname[0] != '\0' ||
        constraint->indexspace[0] != '\0')
        return plan_refuse(error, primary ? "an option of PRIMARY KEY" : "an option of UNIQUE");
    return OMEN_OK;
}

/* Notes a unique constraint of these columns (in the plan's arena), where it was written. Which it
 * was is told by `element`, its place among the statement's elements. */
static void add_unique(struct builder *builder, const PgQuery__Constraint *constraint,
                       const uint32_t *columns, uint32_t count, size_t element)
{
    uint32_t at = builder->unique_count++;
    for (; at > 0 && builder->elements[at - 1] > element; at--) {
        builder->uniques[at] = builder->uniques[at - 1];
        builder->elements[at] = builder->elements[at - 1];
    }
    const char *name = constraint->conname[0] == '\0' ? NULL : constraint->conname;
    builder->uniques[at] =
        (struct unique_definition){.name = name, .columns = columns, .column_count = count};
    builder->elements[at] = element;
}

/* Where the constraint or clause after byte `start` of a column's definition begins. */
static size_t next_clause(const struct builder *builder, const PgQuery__ColumnDef *node,
                          size_t start)
{
    size_t end = builder->plan->parsed.length;
    for (size_t i = 0; i < node->n_constraints; i++) {
        if (node->constraints[i]->node_case != PG_QUERY__NODE__NODE_CONSTRAINT)
            continue;
        int location = node->constraints[i]->constraint->location;
        if (location > (int)start && (size_t)location < end)
            end = (size_t)location;
    }
    if (node->coll_clause != NULL && node->coll_clause->location > (int)start &&
        (size_t)node->coll_clause->location < end)
        end = (size_t)node->coll_clause->location;
    return end;
}

/* Whether the text can be the column's default: bound, and computed once where it is constant. */
static omen_status check_default(struct builder *builder,
                                 const struct column_definition *definition, omen_error *error)
{
    struct plan *plan = builder->plan;
    struct expression *expression;
    OMEN_TRY(bind_column_default(&plan->binder, definition, &expression, error));
    return expression_is_evaluable(expression)
               ? OMEN_OK
               : plan_refuse(error, "a DEFAULT that the core does not compute");
}

/* The text of DEFAULT expression: from behind the keyword to the next clause, comma or bracket. */
static omen_status add_default(struct builder *builder, uint32_t column,
                               const PgQuery__ColumnDef *node,
                               const PgQuery__Constraint *constraint, omen_error *error)
{
    const struct parsed *parsed = &builder->plan->parsed;
    struct column_definition *definition = &builder->columns[column];
    if (definition->default_text != NULL)
        return error_set(error, OMEN_SYNTAX_ERROR,
                         "multiple default values specified for column \"%s\" of table \"%s\"",
                         node->colname, builder->plan->create.name);
    if (constraint->location < 0 || constraint->raw_expr == NULL)
        return plan_refuse(error, "this DEFAULT");
    struct lexer lexer = {
        .text = parsed->text, .length = parsed->length, .position = (size_t)constraint->location};
    struct token token = lexer_next(&lexer);
    while (token.kind != TOKEN_END &&
           (token.length != 7 || strncasecmp(parsed->text + token.start, "default", 7) != 0))
        token = lexer_next(&lexer); /* CONSTRAINT name */
    size_t start = token.start + token.length, end = start;
    size_t limit = next_clause(builder, node, start);
    for (int depth = 0; (token = lexer_next(&lexer)).kind != TOKEN_END && token.start < limit;) {
        char c = token.kind == TOKEN_PUNCTUATION ? parsed->text[token.start] : ' ';
        depth += (c == '(' || c == '[') - (c == ')' || c == ']');
        if (depth < 0 || (depth == 0 && c == ','))
            break;
        end = token.start + token.length;
    }
    while (start < end && strchr(" \t\r\n\f\v", parsed->text[start]) != NULL)
        start++;
    definition->default_text =
        arena_copy_text(&builder->plan->arena, parsed->text + start, end - start);
    if (definition->default_text == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    return check_default(builder, definition, error);
}

/* A constraint that there is none of here. */
static const char *constraint_name(const PgQuery__Constraint *constraint)
{
    switch (constraint->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK:
        return "CHECK";
    case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN:
        return "REFERENCES (a foreign key)";
    case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY:
        return "GENERATED AS IDENTITY";
    case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED:
        return "GENERATED (a computed column)";
    case PG_QUERY__CONSTR_TYPE__CONSTR_EXCLUSION:
        return "EXCLUDE";
    case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_DEFERRABLE:
    case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_DEFERRED:
        return "DEFERRABLE";
    default:
        return "this constraint";
    }
}

/* UNIQUE behind a column. */
static omen_status add_unique_column(struct builder *builder, uint32_t column,
                                     const PgQuery__Constraint *constraint, size_t element,
                                     omen_error *error)
{
    OMEN_TRY(check_key_constraint(constraint, error));
    uint32_t *columns = arena_alloc(&builder->plan->arena, sizeof *columns);
    if (columns == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    *columns = column;
    add_unique(builder, constraint, columns, 1, element);
    return OMEN_OK;
}

static omen_status add_column_constraint(struct builder *builder, uint32_t column,
                                         const PgQuery__ColumnDef *definition,
                                         const PgQuery__Node *node, size_t element,
                                         omen_error *error)
{
    if (node->node_case != PG_QUERY__NODE__NODE_CONSTRAINT)
        return plan_refuse(error, "this column constraint");
    const PgQuery__Constraint *constraint = node->constraint;
    switch (constraint->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_NULL:
        builder->declared_null[column] = true;
        return OMEN_OK;
    case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL:
        builder->columns[column].nullable = false;
        return OMEN_OK;
    case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY:
        OMEN_TRY(check_key_constraint(constraint, error));
        if (builder->has_key)
            return too_many_keys(builder, error);
        builder->has_key = true;
        builder->key[builder->key_count++] = column;
        return OMEN_OK;
    case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE:
        return add_unique_column(builder, column, constraint, element, error);
    case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT:
        return add_default(builder, column, definition, constraint, error);
    case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_NOT_DEFERRABLE:
    case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_IMMEDIATE:
        return OMEN_OK;
    default:
        return plan_refuse(error, constraint_name(constraint));
    }
}

/* Only the collation there is: bytewise. */
static bool is_bytewise(const PgQuery__CollateClause *collation)
{
    const char *name = collation->n_collname > 0
                           ? parse_string(collation->collname[collation->n_collname - 1])
                           : NULL;
    return name != NULL && (strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0);
}

static omen_status add_column(struct builder *builder, const PgQuery__ColumnDef *node,
                              size_t element, omen_error *error)
{
    uint32_t column = builder->column_count;
    struct column_definition *definition = &builder->columns[column];
    if (node->compression[0] != '\0' || node->storage[0] != '\0' || node->n_fdwoptions > 0 ||
        node->raw_default != NULL || node->identity[0] != '\0' || node->generated[0] != '\0')
        return plan_refuse(error, "an option of this column");
    if (node->coll_clause != NULL && !is_bytewise(node->coll_clause))
        return plan_refuse(error, "a collation other than \"C\"");
    *definition = (struct column_definition){.name = node->colname, .nullable = true};
    omen_status status = type_from_name(node->type_name, &definition->type, error);
    if (status == OMEN_OK && definition->type.id == OMEN_TYPE_DECIMAL &&
        definition->type.precision == 0)
        status = error_set(error, OMEN_NOT_SUPPORTED,
                           "NUMERIC needs a precision here: write NUMERIC(precision, scale)");
    if (status != OMEN_OK) {
        parse_set_position(&builder->plan->parsed, node->type_name->location, error);
        return status;
    }
    builder->column_count++;
    bool was_key = builder->has_key;
    for (size_t i = 0; i < node->n_constraints; i++)
        OMEN_TRY(
            add_column_constraint(builder, column, node, node->constraints[i], element, error));
    bool is_key = builder->has_key && !was_key;
    if (builder->declared_null[column] && (!definition->nullable || is_key))
        return error_set(error, OMEN_SYNTAX_ERROR,
                         "conflicting NULL/NOT NULL declarations for column \"%s\" of table "
                         "\"%s\"",
                         node->colname, builder->plan->create.name);
    return OMEN_OK;
}

static omen_status find_column(struct builder *builder, const char *name, uint32_t *column,
                               omen_error *error)
{
    for (*column = 0; *column < builder->column_count; ++*column)
        if (strcmp(builder->columns[*column].name, name) == 0)
            return OMEN_OK;
    return error_set(error, OMEN_UNDEFINED_COLUMN, "column \"%s\" named in key does not exist",
                     name);
}

/* The columns that a table's primary or unique key names; `columns` has room for
 * SCHEMA_KEY_COLUMNS_MAX. */
static omen_status find_key_columns(struct builder *builder, const PgQuery__Constraint *constraint,
                                    uint32_t *columns, omen_error *error)
{
    bool primary = constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY;
    OMEN_TRY(check_key_constraint(constraint, error));
    if (constraint->n_keys > SCHEMA_KEY_COLUMNS_MAX)
        return error_set(error, OMEN_TOO_MANY_COLUMNS, "cannot use more than %d columns in a %s",
                         SCHEMA_KEY_COLUMNS_MAX, primary ? "primary key" : "unique constraint");
    for (size_t i = 0; i < constraint->n_keys; i++) {
        const char *name = parse_string(constraint->keys[i]);
        if (name == NULL)
            return plan_refuse(error, primary ? "this primary key" : "this unique constraint");
        OMEN_TRY(find_column(builder, name, &columns[i], error));
        for (size_t j = 0; j < i; j++)
            if (columns[j] == columns[i])
                return error_set(error, OMEN_DUPLICATE_COLUMN,
                                 "column \"%s\" appears twice in %s constraint", name,
                                 primary ? "primary key" : "unique");
    }
    return OMEN_OK;
}

static omen_status add_primary_key(struct builder *builder, const PgQuery__Constraint *constraint,
                                   omen_error *error)
{
    if (builder->has_key)
        return too_many_keys(builder, error);
    builder->has_key = true;
    OMEN_TRY(find_key_columns(builder, constraint, builder->key, error));
    builder->key_count = (uint32_t)constraint->n_keys;
    for (uint32_t i = 0; i < builder->key_count; i++)
        if (builder->declared_null[builder->key[i]])
            return error_set(error, OMEN_SYNTAX_ERROR,
                             "conflicting NULL/NOT NULL declarations for column \"%s\"",
                             builder->columns[builder->key[i]].name);
    return OMEN_OK;
}

static omen_status add_table_constraint(struct builder *builder,
                                        const PgQuery__Constraint *constraint, size_t element,
                                        omen_error *error)
{
    if (constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY)
        return add_primary_key(builder, constraint, error);
    if (constraint->contype != PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE)
        return plan_refuse(error, constraint_name(constraint));
    uint32_t *columns =
        arena_alloc(&builder->plan->arena, SCHEMA_KEY_COLUMNS_MAX * sizeof *columns);
    if (columns == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    OMEN_TRY(find_key_columns(builder, constraint, columns, error));
    add_unique(builder, constraint, columns, (uint32_t)constraint->n_keys, element);
    return OMEN_OK;
}

/* Columns first: a table constraint may be written before the columns it names. */
static omen_status add_elements(struct builder *builder, const PgQuery__CreateStmt *node,
                                omen_error *error)
{
    for (size_t i = 0; i < node->n_table_elts; i++)
        if (node->table_elts[i]->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF)
            OMEN_TRY(add_column(builder, node->table_elts[i]->column_def, i, error));
    for (size_t i = 0; i < node->n_table_elts; i++) {
        const PgQuery__Node *element = node->table_elts[i];
        if (element->node_case == PG_QUERY__NODE__NODE_CONSTRAINT)
            OMEN_TRY(add_table_constraint(builder, element->constraint, i, error));
        else if (element->node_case != PG_QUERY__NODE__NODE_COLUMN_DEF)
            return plan_refuse(error, "CREATE TABLE with LIKE");
    }
    for (uint32_t i = 0; i < builder->key_count; i++)
        builder->columns[builder->key[i]].nullable = false;
    return OMEN_OK;
}

omen_status plan_check_new_name(const PgQuery__RangeVar *name, omen_error *error)
{
    if (!plan_is_public(name))
        return plan_refuse(error, "a schema other than public");
    if (strcmp(name->relpersistence, "p") != 0)
        return plan_refuse(error, name->relpersistence[0] == 't' ? "a temporary table"
                                                                 : "an unlogged table");
    return OMEN_OK;
}

/* Constraints that the elements can be or have, at most. */
static size_t count_constraints(const PgQuery__CreateStmt *node)
{
    size_t count = node->n_table_elts;
    for (size_t i = 0; i < node->n_table_elts; i++)
        if (node->table_elts[i]->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF)
            count += node->table_elts[i]->column_def->n_constraints;
    return count;
}

/* Errors: NOT_SUPPORTED for what a new table cannot have; TOO_MANY_COLUMNS. */
static omen_status check_create(const PgQuery__CreateStmt *node, omen_error *error)
{
    OMEN_TRY(plan_check_new_name(node->relation, error));
    if (node->partbound != NULL || node->partspec != NULL)
        return plan_refuse(error, "PARTITION");
    if (node->n_inh_relations > 0)
        return plan_refuse(error, "INHERITS");
    if (node->of_typename != NULL || node->n_options > 0 || node->tablespacename[0] != '\0' ||
        node->access_method[0] != '\0' ||
        node->oncommit > PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_NOOP)
        return plan_refuse(error, "an option of CREATE TABLE");
    if (node->n_table_elts == 0)
        return plan_refuse(error, "a table without columns");
    if (node->n_table_elts > SCHEMA_COLUMNS_MAX + SCHEMA_KEY_COLUMNS_MAX)
        return error_set(error, OMEN_TOO_MANY_COLUMNS, "tables can have at most %d columns",
                         SCHEMA_COLUMNS_MAX);
    return OMEN_OK;
}

omen_status plan_create_table(struct plan *plan, const PgQuery__CreateStmt *node, omen_error *error)
{
    OMEN_TRY(check_create(node, error));
    const char *name = node->relation->relname;
    struct builder builder = {.plan = plan};
    size_t constraints = count_constraints(node);
    plan->create.missing_only = node->if_not_exists;
    plan->create.name = arena_copy_text(&plan->arena, name, strlen(name));
    builder.columns = arena_alloc(&plan->arena, node->n_table_elts * sizeof *builder.columns);
    builder.declared_null = arena_alloc(&plan->arena, node->n_table_elts);
    builder.uniques = arena_alloc(&plan->arena, constraints * sizeof *builder.uniques);
    builder.elements = arena_alloc(&plan->arena, constraints * sizeof *builder.elements);
    if (plan->create.name == NULL || builder.columns == NULL || builder.declared_null == NULL ||
        builder.uniques == NULL || builder.elements == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    memset(builder.declared_null, 0, node->n_table_elts);
    OMEN_TRY(add_elements(&builder, node, error));
    struct schema_definition definition = {.columns = builder.columns,
                                           .column_count = builder.column_count,
                                           .key_columns = builder.key,
                                           .key_count = builder.key_count,
                                           .unique_count = builder.unique_count};
    OMEN_TRY(plan_settle_uniques(plan, plan->create.name, &definition, builder.uniques, error));
    OMEN_TRY(schema_define(plan->session->database->allocator, &definition, &plan->create.schema,
                           error));
    plan->kind = PLAN_CREATE_TABLE;
    return OMEN_OK;
}

omen_status plan_drop_table(struct plan *plan, const PgQuery__DropStmt *node, omen_error *error)
{
    if (node->remove_type != PG_QUERY__OBJECT_TYPE__OBJECT_TABLE)
        return plan_refuse(error, "DROP of anything but a table");
    plan->drop.names = arena_alloc(&plan->arena, node->n_objects * sizeof *plan->drop.names);
    if (plan->drop.names == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (size_t i = 0; i < node->n_objects; i++) {
        const PgQuery__Node *object = node->objects[i];
        const char *name = NULL, *schema = NULL;
        if (object->node_case == PG_QUERY__NODE__NODE_LIST && object->list->n_items > 0) {
            name = parse_string(object->list->items[object->list->n_items - 1]);
            if (object->list->n_items > 1)
                schema = parse_string(object->list->items[object->list->n_items - 2]);
        }
        if (name == NULL || (schema != NULL && strcmp(schema, "public") != 0))
            return plan_refuse(error, "DROP of a table in another schema");
        plan->drop.names[i] = name;
    }
    plan->drop.count = node->n_objects;
    plan->drop.missing_ok = node->missing_ok;
    plan->kind = PLAN_DROP_TABLE;
    return OMEN_OK;
}

omen_status ddl_run(struct plan *plan, struct run *run, omen_error *error)
{
    struct session *session = plan->session;
    if (plan->kind == PLAN_DROP_TABLE)
        return transaction_drop_tables(session, plan->drop.names, plan->drop.count,
                                       plan->drop.missing_ok, run->deadline_ns, error);
    omen_error failure;
    omen_status status = transaction_create_table(session, plan->create.name, plan->create.schema,
                                                  run->deadline_ns, &failure);
    if (status == OMEN_DUPLICATE_TABLE && plan->create.missing_only)
        return OMEN_OK;
    if (status != OMEN_OK && error != NULL)
        *error = failure;
    return status;
}
