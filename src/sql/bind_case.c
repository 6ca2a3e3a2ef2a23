/* bind_case.c - CASE. Its simple form becomes comparisons of the tested expression. */
#include "sql/bind_private.h"

/* The tested expression of CASE x WHEN ...; NULL in the searched form. */
static omen_status bind_tested(struct binder *binder, struct scope *scope,
                               const PgQuery__CaseExpr *node, struct expression **out,
                               omen_error *error)
{
    *out = NULL;
    if (node->arg == NULL)
        return OMEN_OK;
    OMEN_TRY(bind_expression(binder, scope, node->arg, out, error));
    OMEN_TRY(bind_settle(binder, *out, out, error));
    if (node->n_args > 1 && (*out)->kind != EXPRESSION_SUBQUERY && bind_is_volatile(*out))
        return bind_unsupported(binder, (*out)->location,
                                "CASE of an expression whose value changes is", error);
    OMEN_TRY(bind_spend_copies(binder, *out, node->n_args, error));
    return OMEN_OK;
}

static omen_status bind_when(struct binder *binder, struct scope *scope, struct expression *tested,
                             const PgQuery__CaseWhen *when, struct expression **out,
                             omen_error *error)
{
    OMEN_TRY(bind_expression(binder, scope, when->expr, out, error));
    if (tested != NULL)
        OMEN_TRY(bind_operator(binder, "=", tested, *out, when->location, out, error));
    return bind_coerce_boolean(binder, *out, "CASE/WHEN", out, error);
}

omen_status bind_case(struct binder *binder, struct scope *scope, const PgQuery__CaseExpr *node,
                      struct expression **out, omen_error *error)
{
    uint32_t count = (uint32_t)node->n_args;
    omen_value null = {.type.id = OMEN_TYPE_NONE, .is_null = true};
    struct expression *tested, **results, *written;
    OMEN_TRY(bind_tested(binder, scope, node, &tested, error));
    written = bind_node(binder, EXPRESSION_CASE, (omen_type){0}, node->location, 2 * count + 1);
    results = arena_alloc(binder->arena, (count + 1) * sizeof *results);
    if (written == NULL || results == NULL)
        return bind_no_memory(error);
    for (uint32_t i = 0; i < count; i++) {
        const PgQuery__CaseWhen *when = node->args[i]->case_when;
        OMEN_TRY(bind_when(binder, scope, tested, when, &written->arguments[2 * i], error));
        OMEN_TRY(bind_expression(binder, scope, when->result, &results[i + 1], error));
    }
    /* ELSE counts first among the results, as PostgreSQL has it. */
    if (node->defresult != NULL)
        OMEN_TRY(bind_expression(binder, scope, node->defresult, &results[0], error));
    else if ((results[0] = bind_value(binder, &null, -1)) == NULL)
        return bind_no_memory(error);
    OMEN_TRY(bind_unify(binder, results, count + 1, "CASE", &written->type, error));
    for (uint32_t i = 0; i < count; i++)
        written->arguments[2 * i + 1] = results[i + 1];
    written->arguments[2 * count] = results[0];
    if (node->defresult == NULL)
        written->argument_count--;
    *out = written;
    return OMEN_OK;
}
