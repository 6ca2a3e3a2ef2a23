/* defaults.c - what columns get that a statement does not mention.
 *
 * A DEFAULT is kept as text in the schema and bound anew by the statements that need it.
 */
#include <string.h>

#include "query/plan.h"

omen_status plan_defaults(struct plan *plan, const struct table *table, const bool *given,
                          struct expression ***out, omen_error *error)
{
    const struct schema *schema = table_schema(table);
    *out = arena_alloc(&plan->arena, schema->column_count * sizeof **out);
    if (*out == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        (*out)[i] = NULL;
        if (given != NULL && given[i])
            continue;
        OMEN_TRY(bind_column_default(&plan->binder, &schema->columns[i], &(*out)[i], error));
        if (!expression_is_evaluable((*out)[i]))
            return plan_refuse(error, "a DEFAULT that the core does not compute");
        OMEN_TRY(evaluate_constants(&(*out)[i], &plan->arena, error));
    }
    return OMEN_OK;
}
