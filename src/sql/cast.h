/* cast.h - constants of a statement, and the casts that bind them to columns.
 *
 * A constant is what the core can evaluate by itself: a literal, a typed literal or cast of one,
 * a parameter. Literals keep their lexical type, as in PostgreSQL: an integer, an exact number,
 * or 'text' of a type yet unknown that takes the type of what it meets.
 */
#ifndef OMEN_SQL_CAST_H
#define OMEN_SQL_CAST_H

#include "base/arena.h"
#include "base/status.h"
#include "omendb_types.h"
#include "sql/parse.h"

enum constant_kind {
    CONSTANT_UNKNOWN,   /* 'text' without a type */
    CONSTANT_NUMBER,    /* an exact number as text: 42.5, 1e3, integers beyond 64 bits */
    CONSTANT_VALUE,     /* a value with a type; NULL has none or any */
    CONSTANT_PARAMETER, /* $n, perhaps cast to a type */
};

struct constant {
    enum constant_kind kind;
    const char *text; /* UNKNOWN, NUMBER; lives in the parse arena */
    size_t length;
    omen_value value;
    uint32_t parameter;  /* PARAMETER: 0-based */
    omen_type cast_type; /* PARAMETER: cast to this; NONE = no cast */
    int location;        /* byte in the statement, -1 unknown */
};

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

/* Reads an expression as a constant. `*is_constant` is false where it is more than that (or a
 * cast to a type that the core lacks). Errors: those of a cast that fails; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status constant_from_node(const PgQuery__Node *node, struct arena *arena,
                                               struct constant *out, bool *is_constant,
                                               omen_error *error);

/* Puts the parameter's value in the place of a PARAMETER, in place. A text value without a cast
 * becomes UNKNOWN, as a parameter in text form does over PostgreSQL's protocol. Errors: as
 * cast_value. */
OMEN_MUST_CHECK omen_status constant_bind(struct constant *constant, const omen_value *parameters,
                                          struct arena *arena, omen_error *error);

/* A bound constant as the value of a column, by assignment. Errors: as cast_value;
 * TYPE_MISMATCH names the column. */
OMEN_MUST_CHECK omen_status constant_assign(const struct constant *constant, omen_type type,
                                            const char *column, struct arena *arena,
                                            omen_value *out, omen_error *error);

enum key_match {
    KEY_VALUE,     /* equal to exactly this value of the column's type */
    KEY_NO_ROW,    /* equal to none: NULL, 42.5 for an integer, out of range */
    KEY_ELSEWHERE, /* not for the core to say */
};

/* What `column = constant` asks of a column of this type, by PostgreSQL's rules of comparison.
 * Errors: those of reading the column's type from an UNKNOWN. */
OMEN_MUST_CHECK omen_status constant_match(const struct constant *constant, omen_type type,
                                           struct arena *arena, omen_value *out,
                                           enum key_match *match, omen_error *error);

#endif
