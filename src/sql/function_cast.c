/* function_cast.c - the casts of the table: one function, which reads both types. */
#include "sql/function.h"

#include "sql/cast.h"

omen_status function_cast(bool explicit_cast, const struct call_context *context,
                          const omen_value *argument, omen_value *out, omen_error *error)
{
    OMEN_TRY(cast_value(argument, context->result, explicit_cast ? CAST_EXPLICIT : CAST_ASSIGNMENT,
                        context->arena, out, error));
    if (out->type.id == OMEN_TYPE_DOUBLE && !out->is_null)
        return give_double(out->as.f64, out);
    if (out->type.id == OMEN_TYPE_REAL && !out->is_null)
        return give_real(out->as.f32, out);
    return OMEN_OK;
}

omen_status value_cast(FUNCTION_PARAMETERS)
{
    return function_cast(true, context, arguments, out, error);
}
