/* plan_transaction.c - BEGIN, COMMIT, ROLLBACK, savepoints, SET TRANSACTION, LOCK TABLE. */
#include <string.h>

#include "query/plan.h"

/* One option: of BEGIN, SET TRANSACTION or SET SESSION CHARACTERISTICS. */
static omen_status read_mode(const PgQuery__DefElem *option, struct transaction_modes *modes,
                             omen_error *error)
{
    const PgQuery__AConst *value =
        option->arg != NULL && option->arg->node_case == PG_QUERY__NODE__NODE_A_CONST
            ? option->arg->a_const
            : NULL;
    if (value == NULL)
        return plan_refuse(error, "this transaction mode");
    if (strcmp(option->defname, "transaction_isolation") == 0 &&
        value->val_case == PG_QUERY__A__CONST__VAL_SVAL) {
        enum isolation isolation;
        OMEN_TRY(isolation_read(option->defname, value->sval->sval, &isolation, error));
        modes->isolation = (int)isolation;
    } else if (strcmp(option->defname, "transaction_read_only") == 0 &&
               value->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
        modes->read_only = value->ival->ival != 0;
    }
    return OMEN_OK; /* DEFERRABLE has no effect on these levels */
}

static omen_status read_modes(PgQuery__Node *const *options, size_t count,
                              struct transaction_modes *modes, omen_error *error)
{
    *modes = (struct transaction_modes){.isolation = -1, .read_only = -1};
    for (size_t i = 0; i < count; i++) {
        if (options[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM)
            return plan_refuse(error, "this transaction mode");
        OMEN_TRY(read_mode(options[i]->def_elem, modes, error));
    }
    return OMEN_OK;
}

omen_status plan_transaction(struct plan *plan, const PgQuery__TransactionStmt *node,
                             omen_error *error)
{
    static const struct {
        PgQuery__TransactionStmtKind kind;
        enum transaction_verb verb;
        const char *tag;
    } verbs[] = {
        {PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN, VERB_BEGIN, "BEGIN"},
        {PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START, VERB_BEGIN, "START TRANSACTION"},
        {PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT, VERB_COMMIT, "COMMIT"},
        {PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK, VERB_ROLLBACK, "ROLLBACK"},
        {PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT, VERB_SAVEPOINT, "SAVEPOINT"},
        {PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE, VERB_RELEASE, "RELEASE"},
        {PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO, VERB_ROLLBACK_TO, "ROLLBACK"},
    };
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (verbs[i].kind != node->kind)
            continue;
        plan->kind = PLAN_TRANSACTION;
        plan->tag = verbs[i].tag;
        plan->transaction.verb = verbs[i].verb;
        plan->transaction.name = node->savepoint_name;
        plan->transaction.chain = node->chain;
        return read_modes(node->options, node->n_options, &plan->transaction.modes, error);
    }
    return plan_refuse(error, "a transaction in two phases");
}

omen_status plan_set_transaction(struct plan *plan, const PgQuery__VariableSetStmt *node,
                                 omen_error *error)
{
    plan->kind = PLAN_TRANSACTION;
    if (strcmp(node->name, "TRANSACTION") == 0)
        plan->transaction.verb = VERB_SET;
    else if (strcmp(node->name, "SESSION CHARACTERISTICS") == 0)
        plan->transaction.verb = VERB_SET_DEFAULTS;
    else
        return error_set(error, OMEN_NOT_SUPPORTED, "SET %s is not supported", node->name);
    return read_modes(node->args, node->n_args, &plan->transaction.modes, error);
}

/* --- LOCK TABLE --- */

omen_status plan_lock(struct plan *plan, const PgQuery__LockStmt *node, omen_error *error)
{
    plan->kind = PLAN_LOCK;
    plan->tag = "LOCK TABLE";
    /* PostgreSQL numbers its modes from 1, in the same order. */
    plan->lock.mode = (enum lock_mode)(TABLE_LOCK_ACCESS_SHARE + node->mode - 1);
    plan->lock.nowait = node->nowait;
    plan->lock.count = node->n_relations;
    plan->lock.tables = arena_alloc(&plan->arena, node->n_relations * sizeof *plan->lock.tables);
    if (plan->lock.tables == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    memset(plan->lock.tables, 0, node->n_relations * sizeof *plan->lock.tables);
    if (node->mode < 1 || plan->lock.mode > TABLE_LOCK_ACCESS_EXCLUSIVE)
        return plan_refuse(error, "this mode of LOCK TABLE");
    for (size_t i = 0; i < node->n_relations; i++) {
        OMEN_TRY(plan_find_table(plan, node->relations[i]->range_var, error));
        plan->lock.tables[i] = plan->table; /* the reference with it */
        plan->table = NULL;
    }
    return OMEN_OK;
}

static omen_status no_transaction(omen_error *error, const char *what)
{
    return error_set(error, OMEN_NO_ACTIVE_TRANSACTION, "%s can only be used in transaction blocks",
                     what);
}

omen_status lock_run(struct plan *plan, struct run *run, omen_error *error)
{
    if (!transaction_is_open(&run->session->transaction))
        return no_transaction(error, "LOCK TABLE");
    for (size_t i = 0; i < plan->lock.count; i++)
        OMEN_TRY(transaction_lock_table(run->session, plan->lock.tables[i], plan->lock.mode,
                                        plan->lock.nowait ? LOCK_NOWAIT : LOCK_WAIT,
                                        run->deadline_ns, error));
    transaction_keep_locks(run->session);
    return transaction_settle_newest(run->session, run->deadline_ns, error);
}

/* --- running --- */

static omen_status end(struct plan *plan, struct run *run, omen_error *error)
{
    struct session *session = run->session;
    struct transaction_modes modes = {.isolation = (int)session->settings.isolation,
                                      .read_only = session->settings.read_only};
    if (session->transaction.state == TRANSACTION_FAILED) /* its modes went when it failed */
        modes = (struct transaction_modes){.isolation = -1, .read_only = -1};
    bool commits = plan->transaction.verb == VERB_COMMIT, committed = false;
    bool chained = plan->transaction.chain;
    if (!transaction_is_open(&session->transaction)) {
        if (chained)
            return no_transaction(error, commits ? "COMMIT AND CHAIN" : "ROLLBACK AND CHAIN");
        session_warn(session, OMEN_NO_ACTIVE_TRANSACTION, "there is no transaction in progress");
        return OMEN_OK;
    }
    if (commits) {
        OMEN_TRY(transaction_commit(session, run->deadline_ns, &committed, error));
        plan->tag = committed ? "COMMIT" : "ROLLBACK";
    } else {
        transaction_rollback(session);
    }
    return chained ? transaction_begin(session, &modes, error) : OMEN_OK;
}

static omen_status savepoint(struct plan *plan, struct session *session, omen_error *error)
{
    static const char *const names[] = {"SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT"};
    const char *name = plan->transaction.name;
    if (!transaction_is_open(&session->transaction))
        return no_transaction(error, names[plan->transaction.verb - VERB_SAVEPOINT]);
    switch (plan->transaction.verb) {
    case VERB_SAVEPOINT:
        return transaction_savepoint(session, name, error);
    case VERB_RELEASE:
        return transaction_release_savepoint(session, name, error);
    default:
        return transaction_rollback_to(session, name, error);
    }
}

static omen_status set_defaults(struct session *session, const struct transaction_modes *modes)
{
    struct settings *all[] = {&session->settings, &session->transaction.session_settings};
    for (size_t i = 0; i < 2; i++) {
        if (modes->isolation >= 0)
            all[i]->default_isolation = (enum isolation)modes->isolation;
        if (modes->read_only >= 0)
            all[i]->default_read_only = modes->read_only;
    }
    if (!transaction_is_open(&session->transaction)) {
        session->settings.isolation = session->settings.default_isolation;
        session->settings.read_only = session->settings.default_read_only;
    }
    return OMEN_OK;
}

omen_status transaction_run(struct plan *plan, struct run *run, omen_error *error)
{
    struct session *session = run->session;
    const struct transaction_modes *modes = &plan->transaction.modes;
    bool open = transaction_is_open(&session->transaction);
    switch (plan->transaction.verb) {
    case VERB_BEGIN:
        if (!open)
            return transaction_begin(session, modes, error);
        session_warn(session, OMEN_ACTIVE_TRANSACTION,
                     "there is already a transaction in progress");
        return transaction_set_modes(session, modes, error);
    case VERB_COMMIT:
    case VERB_ROLLBACK:
        return end(plan, run, error);
    case VERB_SET:
        if (open)
            return transaction_set_modes(session, modes, error);
        session_warn(session, OMEN_NO_ACTIVE_TRANSACTION,
                     "SET TRANSACTION can only be used in transaction blocks");
        return OMEN_OK;
    case VERB_SET_DEFAULTS:
        return set_defaults(session, modes);
    default:
        return savepoint(plan, session, error);
    }
}

bool plan_ends_transaction(const PgQuery__Node *node)
{
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_TRANSACTION_STMT)
        return false;
    switch (node->transaction_stmt->kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
        return true;
    default:
        return false;
    }
}
