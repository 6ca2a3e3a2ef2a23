/* defaults.c - reading DEFAULT expressions: `SELECT expression` parsed, its target taken. */
#include "query/defaults.h"

#include <string.h>

omen_status default_value(struct plan *plan, const struct column_definition *column,
                          omen_value *out, omen_error *error)
{
    static const char select[] = "SELECT ";
    struct parsed parsed;
    struct constant constant;
    bool is_constant;
    *out = (omen_value){.type = column->type, .is_null = true};
    if (column->default_text == NULL)
        return OMEN_OK;
    size_t length = strlen(column->default_text) + sizeof select - 1;
    char *sql = arena_alloc(&plan->arena, length + 1);
    if (sql == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    memcpy(sql, select, sizeof select - 1);
    memcpy(sql + sizeof select - 1, column->default_text, length - (sizeof select - 1) + 1);
    OMEN_TRY(parse_statement(sql, length, &plan->arena, &parsed, error));
    const PgQuery__Node *target = parsed.statement->select_stmt->target_list[0];
    OMEN_TRY(
        constant_from_node(target->res_target->val, &plan->arena, &constant, &is_constant, error));
    if (!is_constant || constant.kind == CONSTANT_PARAMETER)
        return plan_refuse(error, "a DEFAULT that is no constant");
    return constant_assign(&constant, column->type, column->name, &plan->arena, out, error);
}

omen_status default_check(struct plan *plan, const struct column_definition *column,
                          omen_error *error)
{
    omen_value value;
    return default_value(plan, column, &value, error);
}
