/* bind_narrow.c - comparisons of a column with a constant of a wider type, in the column's type. */
#include "sql/bind_private.h"

omen_status bind_narrow_call(struct arena *arena, struct expression **expression, omen_error *error)
{
    return OMEN_OK;
}
