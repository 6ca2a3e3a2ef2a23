/* bind_scope.c - the binder's life, and which column a name means.
 *
 * An unqualified name is sought in the innermost query first, then in the queries around it; two
 * columns of that name in one query are ambiguous. A qualified one goes by the relation's alias.
 */
#include <string.h>

#include "base/nearest.h"
#include "sql/bind_private.h"

/* --- life --- */

omen_status binder_init(struct binder *binder, struct arena *arena, struct catalog *catalog,
                        const struct parsed *parsed, const omen_type *declared,
                        uint32_t declared_count, omen_error *error)
{
    memset(binder, 0, sizeof *binder);
    binder->arena = arena;
    binder->catalog = catalog;
    binder->parsed = parsed;
    binder->parameter_count =
        declared_count > parsed->parameter_count ? declared_count : parsed->parameter_count;
    size_t count = binder->parameter_count;
    binder->parameter_types = arena_alloc(arena, count * sizeof *binder->parameter_types);
    binder->untyped = arena_alloc(arena, count * sizeof *binder->untyped);
    if (binder->parameter_types == NULL || binder->untyped == NULL)
        return bind_no_memory(error);
    memset(binder->parameter_types, 0, count * sizeof *binder->parameter_types);
    memset(binder->untyped, 0, count * sizeof *binder->untyped);
    if (declared != NULL && declared_count > 0)
        memcpy(binder->parameter_types, declared, declared_count * sizeof *declared);
    return OMEN_OK;
}

void binder_release(struct binder *binder)
{
    for (uint32_t i = 0; i < binder->table_count; i++)
        table_release(binder->tables[i]);
    binder->table_count = 0;
    for (uint32_t i = 0; i < binder->file_count; i++)
        binder->opener.release(binder->files[i]);
    binder->file_count = 0;
}

void binder_finish(struct binder *binder)
{
    for (uint32_t i = 0; i < binder->parameter_count; i++) {
        if (bind_is_unknown(binder->parameter_types[i]))
            binder->parameter_types[i].id = OMEN_TYPE_TEXT;
        if (binder->untyped[i] != NULL)
            binder->untyped[i]->type = binder->parameter_types[i];
    }
}

/* --- columns --- */

static struct expression *make_column(struct binder *binder, struct relation *relation,
                                      uint32_t column, uint32_t levels_up, int location)
{
    struct expression *node =
        bind_node(binder, EXPRESSION_COLUMN, relation->columns[column].type, location, 0);
    if (node != NULL)
        node->column = (struct column_use){relation, column, levels_up};
    return node;
}

struct expression *bind_copy_merged(struct binder *binder, const struct expression *merged,
                                    uint32_t levels_up, int location)
{
    struct expression *copy =
        bind_node(binder, merged->kind, merged->type, location, merged->argument_count);
    if (copy == NULL)
        return NULL;
    struct expression **arguments = copy->arguments;
    *copy = *merged;
    copy->arguments = arguments;
    copy->location = location;
    if (copy->kind == EXPRESSION_COLUMN)
        copy->column.levels_up += levels_up;
    for (uint32_t i = 0; i < merged->argument_count; i++) {
        arguments[i] = bind_copy_merged(binder, merged->arguments[i], levels_up, location);
        if (arguments[i] == NULL)
            return NULL;
    }
    return copy;
}

static omen_status ambiguous_column(struct binder *binder, const char *name, int location,
                                    omen_error *error)
{
    return bind_fail(binder, location, error, OMEN_AMBIGUOUS_COLUMN,
                     "column reference \"%s\" is ambiguous", name);
}

/* The relation that a qualifier means, and how many queries further out it is. */
static struct relation *find_relation(struct scope *scope, const char *alias, uint32_t *levels_up)
{
    *levels_up = 0;
    for (; scope != NULL; scope = scope->outer, (*levels_up)++)
        for (uint32_t i = 0; i < scope->relation_count; i++)
            if (scope->relations[i]->alias != NULL &&
                strcmp(scope->relations[i]->alias, alias) == 0)
                return scope->relations[i];
    return NULL;
}

static bool is_hidden(const struct relation *relation, const char *name)
{
    return (relation->alias != NULL && strcmp(relation->alias, name) == 0) ||
           (relation->table != NULL && strcmp(table_name(relation->table), name) == 0);
}

/* No relation has this alias: perhaps one exists that may not be named here. */
static omen_status missing_relation(struct binder *binder, struct scope *scope, const char *name,
                                    int location, omen_error *error)
{
    bool hidden = false;
    const char *alias = NULL; /* by which the table of that name goes here */
    struct nearest nearest;
    nearest_begin(&nearest, name, strlen(name));
    for (; scope != NULL; scope = scope->outer) {
        for (uint32_t i = 0; i < scope->relation_count; i++) {
            const struct relation *relation = scope->relations[i];
            hidden |= is_hidden(relation, name);
            if (relation->alias == NULL)
                continue;
            nearest_offer(&nearest, NULL, relation->alias, 0);
            if (is_hidden(relation, name))
                alias = relation->alias;
        }
        for (uint32_t i = 0; i < scope->hidden_count; i++)
            hidden |= is_hidden(scope->hidden[i], name);
    }
    bind_fail(binder, location, error, OMEN_UNDEFINED_TABLE,
              hidden ? "invalid reference to FROM-clause entry for table \"%s\""
                     : "missing FROM-clause entry for table \"%s\"",
              name);
    if (alias != NULL)
        error_hint(error, "Perhaps you meant to reference the table alias \"%s\".", alias);
    else if (hidden)
        error_hint(error,
                   "There is an entry for table \"%s\", but it cannot be referenced from this part "
                   "of the query.",
                   name);
    else
        nearest_hint(&nearest, "table alias", error);
    return OMEN_UNDEFINED_TABLE;
}

omen_status bind_find_relation(struct binder *binder, struct scope *scope, const char *name,
                               int location, struct relation **out, uint32_t *levels_up,
                               omen_error *error)
{
    *out = find_relation(scope, name, levels_up);
    for (const struct scope *sought = scope; sought != NULL; sought = sought->outer)
        OMEN_TRY(bind_spend(binder, sought->relation_count / BIND_LOOKS_A_STEP, error));
    return *out != NULL ? OMEN_OK : missing_relation(binder, scope, name, location, error);
}

/* Columns looked at for a hint: an error is to cost little whatever the statement. */
enum { HINT_COLUMNS_MAX = 10000 };

/* Hints at a column near this name in the relations that may be named here; what differs in the
 * qualifier (NULL: none) counts too. */
static void hint_at_column(const struct scope *scope, const char *qualifier, const char *name,
                           omen_error *error)
{
    struct nearest nearest;
    uint32_t left = HINT_COLUMNS_MAX;
    nearest_begin(&nearest, name, strlen(name));
    for (; scope != NULL && error != NULL; scope = scope->outer) {
        for (uint32_t i = 0; i < scope->relation_count && left > 0; i++) {
            const struct relation *relation = scope->relations[i];
            const char *alias = relation->alias == NULL ? "" : relation->alias;
            unsigned penalty = qualifier == NULL ? 0
                                                 : nearest_distance(qualifier, strlen(qualifier),
                                                                    alias, strlen(alias));
            for (uint32_t j = 0; j < relation->column_count && left > 0; j++, left--)
                nearest_offer(&nearest, relation->alias, relation->columns[j].name, penalty);
        }
    }
    nearest_hint(&nearest, "column", error);
}

static omen_status bind_unqualified(struct binder *binder, struct scope *scope, const char *name,
                                    int location, struct expression **out, omen_error *error)
{
    struct scope *innermost = scope;
    uint32_t levels_up = 0;
    for (; scope != NULL; scope = scope->outer, levels_up++) {
        const struct scope_column *found = NULL;
        OMEN_TRY(bind_spend(binder, scope->column_count / BIND_LOOKS_A_STEP, error));
        for (uint32_t i = 0; i < scope->column_count; i++) {
            const struct scope_column *column = &scope->columns[i];
            if (!column->unqualified || strcmp(column->name, name) != 0)
                continue;
            if (found != NULL)
                return ambiguous_column(binder, name, location, error);
            found = column;
        }
        if (found == NULL)
            continue;
        *out = found->merged != NULL
                   ? bind_copy_merged(binder, found->merged, levels_up, location)
                   : make_column(binder, found->relation, found->column, levels_up, location);
        return *out != NULL ? OMEN_OK : bind_no_memory(error);
    }
    if (find_relation(innermost, name, &levels_up) != NULL)
        return bind_fail(binder, location, error, OMEN_NOT_SUPPORTED,
                         "using the whole row of \"%s\" as a value is not supported", name);
    bind_fail(binder, location, error, OMEN_UNDEFINED_COLUMN, "column \"%s\" does not exist", name);
    hint_at_column(innermost, NULL, name, error);
    return OMEN_UNDEFINED_COLUMN;
}

static omen_status bind_qualified(struct binder *binder, struct scope *scope, const char *qualifier,
                                  const char *name, int location, struct expression **out,
                                  omen_error *error)
{
    uint32_t levels_up, found = UINT32_MAX;
    struct relation *relation;
    OMEN_TRY(bind_find_relation(binder, scope, qualifier, location, &relation, &levels_up, error));
    OMEN_TRY(bind_spend(binder, relation->column_count / BIND_LOOKS_A_STEP, error));
    for (uint32_t i = 0; i < relation->column_count; i++) {
        if (strcmp(relation->columns[i].name, name) != 0)
            continue;
        if (found != UINT32_MAX)
            return ambiguous_column(binder, name, location, error);
        found = i;
    }
    if (found == UINT32_MAX) {
        bind_fail(binder, location, error, OMEN_UNDEFINED_COLUMN, "column %s.%s does not exist",
                  qualifier, name);
        hint_at_column(scope, qualifier, name, error);
        return OMEN_UNDEFINED_COLUMN;
    }
    *out = make_column(binder, relation, found, levels_up, location);
    return *out != NULL ? OMEN_OK : bind_no_memory(error);
}

omen_status bind_column(struct binder *binder, struct scope *scope, const PgQuery__ColumnRef *node,
                        struct expression **out, omen_error *error)
{
    const char *names[3] = {NULL};
    size_t count = node->n_fields;
    if (scope != NULL && scope->clause == bind_default_clause)
        return bind_fail(binder, node->location, error, OMEN_NOT_SUPPORTED,
                         "cannot use column reference in DEFAULT expression");
    if (count > 0 && node->fields[count - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR)
        return bind_fail(binder, node->location, error, OMEN_NOT_SUPPORTED,
                         "row expansion via \"*\" is not supported here");
    if (count == 0 || count > 3)
        return bind_fail(binder, node->location, error, OMEN_SYNTAX_ERROR,
                         "improper qualified name (too many dotted names)");
    for (size_t i = 0; i < count; i++) {
        names[i] = parse_string(node->fields[i]);
        if (names[i] == NULL)
            return bind_fail(binder, node->location, error, OMEN_SYNTAX_ERROR,
                             "improper column name");
    }
    if (count == 1)
        return bind_unqualified(binder, scope, names[0], node->location, out, error);
    if (count == 3 && strcmp(names[0], "public") != 0)
        return bind_fail(binder, node->location, error, OMEN_UNDEFINED_TABLE,
                         "missing FROM-clause entry for table \"%s\"", names[1]);
    return bind_qualified(binder, scope, names[count - 2], names[count - 1], node->location, out,
                          error);
}
