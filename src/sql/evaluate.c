/* evaluate.c - bound expressions computed in the core: one recursion over the tree.
 *
 * Depth is the binder's to bound (BIND_DEPTH_MAX). Truth has three values; AND and OR look from
 * left to right and stop where the rest cannot change the result, CASE and COALESCE compute no
 * branch that is not taken. Calls of four arguments or fewer take nothing from the arena but what
 * their function needs.
 */
#include "sql/evaluate.h"

#include "sql/function.h"

/* --- calls --- */

static bool any_null(const omen_value *arguments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (arguments[i].is_null)
            return true;
    return false;
}

omen_status evaluate_call(const struct semantics_line *line, bool explicit_cast,
                          const struct call_context *context, const omen_value *arguments,
                          omen_value *out, omen_error *error)
{
    if (line->evaluate == NULL)
        return error_set(error, OMEN_NOT_SUPPORTED, "only the engine computes %s",
                         line->name != NULL ? line->name : "this cast");
    if ((line->flags & SEMANTICS_NULLS) == 0 && any_null(arguments, context->argument_count))
        return give_null(context, out);
    if (line->kind == SEMANTICS_CAST)
        return function_cast(explicit_cast, context, arguments, out, error);
    return line->evaluate(context, arguments, out, error);
}

static omen_status evaluate_line(const struct expression *expression, struct evaluation *evaluation,
                                 omen_value *out, omen_error *error)
{
    omen_value few[SEMANTICS_ARGUMENTS_MAX], *arguments = few;
    uint32_t count = expression->argument_count;
    if (count > SEMANTICS_ARGUMENTS_MAX) {
        arguments = arena_alloc(evaluation->arena, count * sizeof *arguments);
        if (arguments == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
    }
    for (uint32_t i = 0; i < count; i++)
        OMEN_TRY(evaluate(expression->arguments[i], evaluation, &arguments[i], error));
    struct call_context context = {.arena = evaluation->arena,
                                   .result = expression->type,
                                   .argument_count = count,
                                   .now = evaluation->now};
    return evaluate_call(expression->line, expression->explicit_cast, &context, arguments, out,
                         error);
}

/* An "=" over two values that are computed already. */
static omen_status evaluate_equal(const struct expression *expression,
                                  struct evaluation *evaluation, const omen_value *pair,
                                  omen_value *out, omen_error *error)
{
    struct call_context context = {.arena = evaluation->arena,
                                   .result = {.id = OMEN_TYPE_BOOLEAN},
                                   .argument_count = 2,
                                   .now = evaluation->now};
    return evaluate_call(expression->line, false, &context, pair, out, error);
}

/* --- logic --- */

static omen_status give_null_of(omen_type type, omen_value *out)
{
    *out = (omen_value){.type = type, .is_null = true};
    return OMEN_OK;
}

/* AND, where FALSE decides, and OR, where TRUE does. */
static omen_status evaluate_logic(const struct expression *expression, bool deciding,
                                  struct evaluation *evaluation, omen_value *out, omen_error *error)
{
    bool null = false;
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        OMEN_TRY(evaluate(expression->arguments[i], evaluation, out, error));
        if (!out->is_null && out->as.boolean == deciding)
            return give_boolean(deciding, out);
        null = null || out->is_null;
    }
    return null ? give_null_of(expression->type, out) : give_boolean(!deciding, out);
}

static omen_status evaluate_test(const struct expression *expression, struct evaluation *evaluation,
                                 omen_value *out, omen_error *error)
{
    OMEN_TRY(evaluate(expression->arguments[0], evaluation, out, error));
    bool null = out->is_null, is_true;
    switch (expression->test) { /* the NULL tests take a value of any type */
    case TEST_NULL:
    case TEST_UNKNOWN:
        return give_boolean(null, out);
    case TEST_NOT_NULL:
    case TEST_NOT_UNKNOWN:
        return give_boolean(!null, out);
    default:
        is_true = !null && out->as.boolean;
    }
    switch (expression->test) {
    case TEST_TRUE:
        return give_boolean(is_true, out);
    case TEST_NOT_TRUE:
        return give_boolean(!is_true, out);
    case TEST_FALSE:
        return give_boolean(!null && !is_true, out);
    default:
        return give_boolean(null || is_true, out);
    }
}

static omen_status evaluate_distinct(const struct expression *expression,
                                     struct evaluation *evaluation, omen_value *out,
                                     omen_error *error)
{
    omen_value pair[2];
    bool distinct;
    OMEN_TRY(evaluate(expression->arguments[0], evaluation, &pair[0], error));
    OMEN_TRY(evaluate(expression->arguments[1], evaluation, &pair[1], error));
    if (pair[0].is_null || pair[1].is_null) {
        distinct = pair[0].is_null != pair[1].is_null;
    } else {
        OMEN_TRY(evaluate_equal(expression, evaluation, pair, out, error));
        distinct = !out->as.boolean;
    }
    return give_boolean(distinct != expression->negated, out);
}

static omen_status evaluate_in(const struct expression *expression, struct evaluation *evaluation,
                               omen_value *out, omen_error *error)
{
    omen_value pair[2];
    bool null = false;
    OMEN_TRY(evaluate(expression->arguments[0], evaluation, &pair[0], error));
    if (pair[0].is_null && expression->argument_count > 1)
        return give_null_of(expression->type, out);
    for (uint32_t i = 1; i < expression->argument_count; i++) {
        OMEN_TRY(evaluate(expression->arguments[i], evaluation, &pair[1], error));
        if (pair[1].is_null) {
            null = true;
            continue;
        }
        OMEN_TRY(evaluate_equal(expression, evaluation, pair, out, error));
        if (out->as.boolean)
            return give_boolean(!expression->negated, out);
    }
    return null ? give_null_of(expression->type, out) : give_boolean(expression->negated, out);
}

/* --- choices --- */

static omen_status evaluate_case(const struct expression *expression, struct evaluation *evaluation,
                                 omen_value *out, omen_error *error)
{
    uint32_t i = 0;
    for (; i + 1 < expression->argument_count; i += 2) {
        OMEN_TRY(evaluate(expression->arguments[i], evaluation, out, error));
        if (!out->is_null && out->as.boolean)
            return evaluate(expression->arguments[i + 1], evaluation, out, error);
    }
    if (i < expression->argument_count)
        return evaluate(expression->arguments[i], evaluation, out, error);
    return give_null_of(expression->type, out);
}

static omen_status evaluate_coalesce(const struct expression *expression,
                                     struct evaluation *evaluation, omen_value *out,
                                     omen_error *error)
{
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        OMEN_TRY(evaluate(expression->arguments[i], evaluation, out, error));
        if (!out->is_null)
            return OMEN_OK;
    }
    return give_null_of(expression->type, out);
}

/* GREATEST (`sign` 1) and LEAST (-1); of equals the first. */
static omen_status evaluate_extreme(const struct expression *expression, int sign,
                                    struct evaluation *evaluation, omen_value *out,
                                    omen_error *error)
{
    omen_value value;
    give_null_of(expression->type, out);
    for (uint32_t i = 0; i < expression->argument_count; i++) {
        OMEN_TRY(evaluate(expression->arguments[i], evaluation, &value, error));
        if (!value.is_null && (out->is_null || sign * function_compare(&value, out) > 0))
            *out = value;
    }
    return OMEN_OK;
}

static omen_status evaluate_nullif(const struct expression *expression,
                                   struct evaluation *evaluation, omen_value *out,
                                   omen_error *error)
{
    omen_value pair[2], equal;
    OMEN_TRY(evaluate(expression->arguments[0], evaluation, &pair[0], error));
    OMEN_TRY(evaluate(expression->arguments[1], evaluation, &pair[1], error));
    OMEN_TRY(evaluate_equal(expression, evaluation, pair, &equal, error));
    if (!equal.is_null && equal.as.boolean)
        return give_null_of(expression->type, out);
    *out = pair[0];
    return OMEN_OK;
}

omen_status evaluate(const struct expression *expression, struct evaluation *evaluation,
                     omen_value *out, omen_error *error)
{
    switch (expression->kind) {
    case EXPRESSION_CONSTANT:
        *out = expression->value;
        return OMEN_OK;
    case EXPRESSION_PARAMETER:
        *out = evaluation->parameters[expression->parameter];
        return OMEN_OK;
    case EXPRESSION_COLUMN:
        OMEN_ASSERT(evaluation->read_column != NULL);
        return evaluation->read_column(evaluation->row, expression, out, error);
    case EXPRESSION_CALL:
        return evaluate_line(expression, evaluation, out, error);
    case EXPRESSION_AND:
        return evaluate_logic(expression, false, evaluation, out, error);
    case EXPRESSION_OR:
        return evaluate_logic(expression, true, evaluation, out, error);
    case EXPRESSION_NOT:
        OMEN_TRY(evaluate(expression->arguments[0], evaluation, out, error));
        out->as.boolean = !out->is_null && !out->as.boolean;
        return OMEN_OK;
    case EXPRESSION_TEST:
        return evaluate_test(expression, evaluation, out, error);
    case EXPRESSION_DISTINCT_FROM:
        return evaluate_distinct(expression, evaluation, out, error);
    case EXPRESSION_IN:
        return evaluate_in(expression, evaluation, out, error);
    case EXPRESSION_CASE:
        return evaluate_case(expression, evaluation, out, error);
    case EXPRESSION_COALESCE:
        return evaluate_coalesce(expression, evaluation, out, error);
    case EXPRESSION_GREATEST:
        return evaluate_extreme(expression, 1, evaluation, out, error);
    case EXPRESSION_LEAST:
        return evaluate_extreme(expression, -1, evaluation, out, error);
    case EXPRESSION_NULLIF:
        return evaluate_nullif(expression, evaluation, out, error);
    case EXPRESSION_AGGREGATE:
    case EXPRESSION_WINDOW:
    case EXPRESSION_SUBQUERY:
        break;
    }
    return error_set(error, OMEN_NOT_SUPPORTED, "only the engine computes this expression");
}

/* --- folding --- */

struct folding {
    struct arena *arena;
    omen_status status;
    omen_error *error;
    bool constant; /* the part just left, and its brothers before it */
};

static bool is_constant_boolean(const struct expression *expression, bool boolean)
{
    return expression->kind == EXPRESSION_CONSTANT && !expression->value.is_null &&
           expression->value.as.boolean == boolean;
}

/* An AND with FALSE among its parts is FALSE, an OR with TRUE is TRUE, whatever the others are. */
static bool fold_logic(struct expression **expression)
{
    struct expression *logic = *expression;
    if (logic->kind != EXPRESSION_AND && logic->kind != EXPRESSION_OR)
        return false;
    for (uint32_t i = 0; i < logic->argument_count; i++) {
        if (!is_constant_boolean(logic->arguments[i], logic->kind == EXPRESSION_OR))
            continue;
        *expression = logic->arguments[i];
        return true;
    }
    return false;
}

static struct expression *make_constant(struct folding *folding,
                                        const struct expression *expression, omen_value value)
{
    struct expression *folded = arena_alloc(folding->arena, sizeof *folded);
    if (folded == NULL) {
        folding->status = error_set_default(folding->error, OMEN_OUT_OF_MEMORY);
        return NULL;
    }
    *folded = (struct expression){.kind = EXPRESSION_CONSTANT,
                                  .type = expression->type,
                                  .location = expression->location,
                                  .value = value};
    folded->value.type = expression->type;
    return folded;
}

/* CASE WHEN FALSE THEN x ... is its rest, CASE WHEN TRUE THEN x ... is x. */
static bool fold_case(struct expression **expression, struct folding *folding)
{
    struct expression *choice = *expression;
    uint32_t first = 0;
    if (choice->kind != EXPRESSION_CASE)
        return false;
    while (first + 1 < choice->argument_count &&
           choice->arguments[first]->kind == EXPRESSION_CONSTANT &&
           !is_constant_boolean(choice->arguments[first], true))
        first += 2;
    bool taken = first + 1 < choice->argument_count;
    if (taken && !is_constant_boolean(choice->arguments[first], true))
        return false;
    if (!taken && first == choice->argument_count) {
        *expression = make_constant(folding, choice, (omen_value){.is_null = true});
        return true;
    }
    struct expression *result = choice->arguments[first + taken];
    if (!semantics_same_type(result->type, choice->type))
        return false;
    *expression = result;
    return true;
}

/* A call with a constant NULL, of a function that gives NULL for one, computes nothing of the row.
 * (Its constants it does, and fails with them.) */
static bool is_null_call(const struct expression *expression)
{
    if (expression->kind != EXPRESSION_CALL || (expression->line->flags & SEMANTICS_NULLS) != 0)
        return false;
    for (uint32_t i = 0; i < expression->argument_count; i++)
        if (expression->arguments[i]->kind == EXPRESSION_CONSTANT &&
            expression->arguments[i]->value.is_null)
            return true;
    return false;
}

static bool fold_part(struct expression **expression, void *state)
{
    struct folding *folding = state;
    bool brothers = folding->constant;
    folding->constant = true;
    if (!expression_visit_parts(*expression, fold_part, folding))
        return false;
    if (fold_logic(expression)) {
        folding->constant = brothers;
        return true;
    }
    if (fold_case(expression, folding)) {
        folding->constant =
            brothers && *expression != NULL && (*expression)->kind == EXPRESSION_CONSTANT;
        return *expression != NULL;
    }
    if (!folding->constant && is_null_call(*expression)) {
        *expression = make_constant(folding, *expression, (omen_value){.is_null = true});
        folding->constant = brothers;
        return *expression != NULL;
    }
    bool constant = folding->constant && expression_is_fixed(*expression);
    folding->constant = brothers && constant;
    if (!constant || (*expression)->kind == EXPRESSION_CONSTANT)
        return true;
    struct evaluation evaluation = {.arena = folding->arena};
    omen_value value;
    omen_status status = evaluate(*expression, &evaluation, &value, folding->error);
    if (status == OMEN_OUT_OF_MEMORY) {
        folding->status = status;
        return false;
    }
    if (status != OMEN_OK)
        return true;
    struct expression *folded = make_constant(folding, *expression, value);
    if (folded == NULL)
        return false;
    *expression = folded;
    return true;
}

omen_status evaluate_constants(struct expression **expression, struct arena *arena,
                               omen_error *error)
{
    struct folding folding = {.arena = arena, .constant = true};
    /* Errors of parts that stay are nobody's yet. */
    omen_error ignored;
    folding.error = &ignored;
    (void)fold_part(expression, &folding);
    if (folding.status == OMEN_OUT_OF_MEMORY)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    return OMEN_OK;
}
