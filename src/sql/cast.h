/* cast.h - values cast from one type to another, and the types that names mean. */
#ifndef OMEN_SQL_CAST_H
#define OMEN_SQL_CAST_H

#include "base/arena.h"
#include "base/status.h"
#include "omendb_types.h"
#include "sql/parse.h"

enum cast_rule {
    CAST_EXPLICIT,   /* x::type: text is cut to its length */
    CAST_ASSIGNMENT, /* into a column */
    CAST_LOSSLESS,   /* values of the embedded API: only types that hold every source value */
};

/* Casts a value as PostgreSQL does under the rule. Text may be borrowed from `from` or placed in
 * `arena`. Errors: TYPE_MISMATCH where the rule has no such cast; OUT_OF_RANGE, STRING_TOO_LONG,
 * INVALID_TEXT and those of value_from_text; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status cast_value(const omen_value *from, omen_type to, enum cast_rule rule,
                                       struct arena *arena, omen_value *out, omen_error *error);

/* The type a TypeName names. A NUMERIC without precision has precision 0.
 * Errors: NOT_SUPPORTED for PostgreSQL's other types, UNDEFINED_TYPE, OUT_OF_RANGE or
 * INVALID_ARGUMENT for a bad modifier. */
OMEN_MUST_CHECK omen_status type_from_name(const PgQuery__TypeName *name, omen_type *out,
                                           omen_error *error);

#endif
