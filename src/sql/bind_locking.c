/* bind_locking.c - FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE and FOR KEY SHARE of a statement's own
 * query.
 *
 * Each locked table gives its row id as one column more than the query's outputs. Whoever runs the
 * query locks the keys of those rows, and applies LIMIT and OFFSET to what could be locked.
 */
#include <string.h>

#include "sql/bind_query_private.h"

static const char *const clause_names[] = {"FOR KEY SHARE", "FOR SHARE", "FOR NO KEY UPDATE",
                                           "FOR UPDATE"};

static enum lock_mode mode_of(const PgQuery__LockingClause *clause)
{
    return (enum lock_mode)(ROW_LOCK_KEY_SHARE + clause->strength -
                            PG_QUERY__LOCK_CLAUSE_STRENGTH__LCS_FORKEYSHARE);
}

static enum lock_wait wait_of(const PgQuery__LockingClause *clause)
{
    switch (clause->wait_policy) {
    case PG_QUERY__LOCK_WAIT_POLICY__LockWaitSkip:
        return LOCK_SKIP;
    case PG_QUERY__LOCK_WAIT_POLICY__LockWaitError:
        return LOCK_NOWAIT;
    default:
        return LOCK_WAIT;
    }
}

omen_status bind_refuse_locking(struct binder *binder, const PgQuery__SelectStmt *node,
                                const char *what, omen_error *error)
{
    const PgQuery__LockingClause *clause = node->locking_clause[0]->locking_clause;
    (void)binder;
    return error_set(error, OMEN_NOT_SUPPORTED, "%s is not allowed with %s",
                     clause_names[mode_of(clause)], what);
}

/* Why the query's rows are not rows of its tables; NULL: they are. */
static const char *not_rows(const struct selecting *selecting)
{
    const struct query *query = selecting->query;
    if (query->distinct || query->distinct_on_count > 0)
        return "DISTINCT clause";
    if (query->group_count > 0 || query->grouping_set_count > 0)
        return "GROUP BY clause";
    if (query->having != NULL)
        return "HAVING clause";
    if (query->grouped)
        return "aggregate functions";
    return selecting->scope.found_window ? "window functions" : NULL;
}

/* Locks the rows of a relation, once by the strongest mode and the most impatient way. */
static omen_status add_locking(struct selecting *selecting, struct relation *relation,
                               const PgQuery__LockingClause *clause, omen_error *error)
{
    struct query *query = selecting->query;
    enum lock_mode mode = mode_of(clause);
    enum lock_wait wait = wait_of(clause);
    for (uint32_t i = 0; i < query->locking_count; i++) {
        struct row_locking *locking = &query->lockings[i];
        if (locking->relation != relation)
            continue;
        locking->mode = mode > locking->mode ? mode : locking->mode;
        if (locking->wait == LOCK_WAIT || wait == LOCK_NOWAIT)
            locking->wait = wait;
        return OMEN_OK;
    }
    struct expression *row_id =
        bind_column_use(selecting->binder, relation, relation->column_count, 0, -1, error);
    if (row_id == NULL)
        return OMEN_OUT_OF_MEMORY;
    relation->row_ids = true;
    query->lockings[query->locking_count++] =
        (struct row_locking){.relation = relation, .mode = mode, .wait = wait, .row_id = row_id};
    return OMEN_OK;
}

struct locking_search {
    struct selecting *selecting;
    const PgQuery__LockingClause *clause;
    const char *name; /* NULL: all */
    bool found;
};

static omen_status lock_relation(struct locking_search *search, struct relation *relation,
                                 bool nullable, omen_error *error)
{
    const char *clause = clause_names[mode_of(search->clause)];
    struct binder *binder = search->selecting->binder;
    if (search->name != NULL && strcmp(search->name, relation->alias) != 0)
        return OMEN_OK;
    search->found = true;
    if (relation->kind == RELATION_QUERY)
        return bind_refuse(binder, -1, "locking rows of a subquery", error);
    bool is_table = relation->kind == RELATION_TABLE && relation->file == NULL &&
                    !table_is_view(relation->table);
    if (!is_table && search->name == NULL)
        return OMEN_OK;
    if (!is_table)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "%s cannot be applied to \"%s\", which is no table", clause,
                         relation->alias);
    if (nullable)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "%s cannot be applied to the nullable side of an outer join", clause);
    return add_locking(search->selecting, relation, search->clause, error);
}

static omen_status lock_item(struct locking_search *search, const struct from_item *item,
                             bool nullable, omen_error *error)
{
    if (item->relation != NULL)
        return lock_relation(search, item->relation, nullable, error);
    bool full = item->join == JOIN_FULL;
    OMEN_TRY(lock_item(search, item->left, nullable || full || item->join == JOIN_RIGHT, error));
    return lock_item(search, item->right, nullable || full || item->join == JOIN_LEFT, error);
}

static omen_status lock_named(struct selecting *selecting, const PgQuery__LockingClause *clause,
                              const PgQuery__RangeVar *name, omen_error *error)
{
    const struct query *query = selecting->query;
    struct locking_search search = {
        .selecting = selecting, .clause = clause, .name = name == NULL ? NULL : name->relname};
    for (uint32_t i = 0; i < query->from_count; i++)
        OMEN_TRY(lock_item(&search, query->from[i], false, error));
    if (name == NULL || search.found)
        return OMEN_OK;
    return bind_fail(selecting->binder, name->location, error, OMEN_UNDEFINED_TABLE,
                     "relation \"%s\" in %s clause not found in FROM clause", name->relname,
                     clause_names[mode_of(clause)]);
}

static uint32_t count_leaves(const struct from_item *item)
{
    return item->relation != NULL ? 1 : count_leaves(item->left) + count_leaves(item->right);
}

omen_status bind_lockings(struct selecting *selecting, omen_error *error)
{
    const PgQuery__SelectStmt *node = selecting->node;
    struct query *query = selecting->query;
    const char *what = not_rows(selecting);
    uint32_t leaves = 0;
    if (what != NULL)
        return bind_refuse_locking(selecting->binder, node, what, error);
    for (uint32_t i = 0; i < query->from_count; i++)
        leaves += count_leaves(query->from[i]);
    query->lockings = bind_alloc(selecting->binder, leaves * sizeof *query->lockings, error);
    if (query->lockings == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (size_t i = 0; i < node->n_locking_clause; i++) {
        const PgQuery__LockingClause *clause = node->locking_clause[i]->locking_clause;
        if (clause->n_locked_rels == 0)
            OMEN_TRY(lock_named(selecting, clause, NULL, error));
        for (size_t j = 0; j < clause->n_locked_rels; j++)
            OMEN_TRY(lock_named(selecting, clause, clause->locked_rels[j]->range_var, error));
    }
    return OMEN_OK;
}
