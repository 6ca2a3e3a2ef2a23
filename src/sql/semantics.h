/* semantics.h - what SQL's operators, functions, casts and aggregates mean: one table for all
 * routes.
 *
 * semantics.def lists every line: name, argument types, result type, the C function that computes
 * it, and how the engine says it. Nothing else has a meaning here: what is not listed does not
 * exist (42883), and what the engine would answer otherwise than PostgreSQL is computed there by
 * the same C function (engine = NULL) or refused.
 *
 *   bind: name and argument types --find--> line      (PostgreSQL's rules of overload resolution)
 *   evaluate: line->evaluate(arguments)               (core)
 *   engine_text: line->engine, or core('signature', arguments)
 *
 * Pure functions over a static table: thread-safe.
 */
#ifndef OMEN_SQL_SEMANTICS_H
#define OMEN_SQL_SEMANTICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "omendb_types.h"

/* Types of expressions that no column has. */
enum {
    SQL_TYPE_UNKNOWN = OMEN_TYPE_NONE, /* an untyped literal, parameter or NULL */
    SQL_TYPE_INTERVAL = 64,            /* value: struct interval in `as.uuid` */
    SQL_TYPE_ANY = 65,                 /* in argument lists: every type */
};

/* 16 bytes, as PostgreSQL: months, days and time do not convert into each other. */
struct interval {
    int64_t microseconds;
    int32_t days, months;
};

enum semantics_kind {
    SEMANTICS_OPERATOR, /* one argument: prefix */
    SEMANTICS_FUNCTION,
    SEMANTICS_AGGREGATE, /* a window function too, with OVER */
    SEMANTICS_WINDOW,    /* only with OVER */
    SEMANTICS_CAST,      /* named by its target type; the result has the target's modifiers */
};

/* How the result's type follows from the arguments' where it is not fixed. NUMERIC's precision
 * and scale are static here: a result holds 38 digits at most. */
enum result_rule {
    RESULT_TYPE,             /* `result`, without modifiers */
    RESULT_SAME,             /* argument 1's type */
    RESULT_SAME_2,           /* argument 2's type */
    RESULT_DECIMAL_ADD,      /* scale: the larger */
    RESULT_DECIMAL_MULTIPLY, /* scale: the sum */
    RESULT_DECIMAL_DIVIDE,   /* scale: DECIMAL_QUOTIENT_SCALE or the larger */
    RESULT_DECIMAL_SUM,      /* 38 digits, argument's scale */
    RESULT_DECIMAL_WHOLE,    /* 38 digits, scale 0 */
    RESULT_DECIMAL_DIGITS,   /* 38 digits, scale: argument 2, a constant (round, trunc) */
    RESULT_DECIMAL_FIELD,    /* 38 digits, scale: argument 1's, a field's name (extract) */
};

enum { DECIMAL_QUOTIENT_SCALE = 20, SEMANTICS_ARGUMENTS_MAX = 4 };

enum semantics_flag {
    SEMANTICS_NULLS = 1,       /* called with NULLs too; otherwise a NULL argument gives NULL */
    SEMANTICS_VARIADIC = 2,    /* the last argument repeats, once at least */
    SEMANTICS_VOLATILE = 4,    /* random() and its like: the engine's, once a row */
    SEMANTICS_IMPLICIT = 8,    /* CAST: anywhere; */
    SEMANTICS_ASSIGNMENT = 16, /*     into a column or explicit; neither flag: explicit only */
    SEMANTICS_BINARY =
        32, /* CAST: the same value, only the type's name changes (VARCHAR to TEXT) */
    SEMANTICS_STABLE = 64, /* now() and its like: one value a statement */
};

/* What a function gets besides its arguments. */
struct call_context {
    struct arena *arena; /* for results; the caller empties it */
    omen_type result;    /* the type the result must have */
    uint32_t argument_count;
    int64_t now; /* the transaction's start, microseconds since 1970, UTC */
};

/* Computes one value. Arguments have the line's types (any precision and scale), none is NULL
 * unless SEMANTICS_NULLS. Sets type, is_null and value of `out`; text may be borrowed from the
 * arguments. Errors: those of PostgreSQL's function, with its words. */
typedef omen_status semantics_function(const struct call_context *context,
                                       const omen_value *arguments, omen_value *out,
                                       omen_error *error);

struct semantics_line {
    enum semantics_kind kind;
    const char *name; /* as PostgreSQL's catalog: "+", "lower"; casts: NULL */
    uint8_t argument_count;
    uint8_t arguments[SEMANTICS_ARGUMENTS_MAX]; /* omen_type_id or SQL_TYPE_* */
    uint8_t result;                             /* the same */
    enum result_rule rule;
    semantics_function *evaluate; /* NULL: the engine only */
    /* The engine's SQL, its result exactly of the result's type: $1..$9 the arguments, $* all of
     * them with commas, $T the result's type; in aggregates $D where DISTINCT goes, $F behind
     * each call, for FILTER and OVER, and $W before the name of one that must not be computed by
     * taking rows off again. Of the form "($1 op $2)" wherever it is a plain operator:
     * only then the engine also does IN, ANY and chains a + b + c with it. What overflows or
     * divides by zero there fails as in the core. NULL: core('signature', arguments). */
    const char *engine;
    uint32_t flags;
};

extern const struct semantics_line semantics_lines[];
extern const uint32_t semantics_line_count;

/* Whether two types are the same, modifiers included. */
static inline bool semantics_same_type(omen_type one, omen_type other)
{
    return one.id == other.id && one.precision == other.precision && one.scale == other.scale &&
           one.length_max == other.length_max;
}

/* The operator, by PostgreSQL's rules: exact match, then implicit casts, preferred types, unknown
 * literals taking the other side's type. `left` NULL: a prefix operator. The caller casts the
 * operands to line->arguments.
 * Errors: UNDEFINED_FUNCTION "operator does not exist: integer + text", AMBIGUOUS_FUNCTION. */
OMEN_MUST_CHECK omen_status semantics_find_operator(const char *name, const omen_type *left,
                                                    const omen_type *right,
                                                    const struct semantics_line **out,
                                                    omen_error *error);

/* The function, aggregate or window function of this name for these arguments. `star`: count(*).
 * Errors: UNDEFINED_FUNCTION "function f(integer) does not exist", AMBIGUOUS_FUNCTION. */
OMEN_MUST_CHECK omen_status semantics_find_function(const char *name, const omen_type *arguments,
                                                    uint32_t argument_count, bool star,
                                                    const struct semantics_line **out,
                                                    omen_error *error);

/* The error that there is no such function. Gives UNDEFINED_FUNCTION. */
omen_status semantics_no_function(const char *name, const omen_type *arguments,
                                  uint32_t argument_count, omen_error *error);

/* The cast from one type to another under a rule, NULL where there is none. IMPLICIT: only
 * SEMANTICS_IMPLICIT; ASSIGNMENT: those too that assign; EXPLICIT: all. */
enum cast_context { CONTEXT_IMPLICIT, CONTEXT_ASSIGNMENT, CONTEXT_EXPLICIT };
const struct semantics_line *semantics_find_cast(omen_type_id from, omen_type_id to,
                                                 enum cast_context context);

/* The type of UNION, CASE, COALESCE, VALUES columns and IN lists: PostgreSQL's rules; all unknown
 * gives TEXT; DECIMALs get digits for all of them. `what` names the construct in the error:
 * TYPE_MISMATCH "CASE types integer and text cannot be matched". */
OMEN_MUST_CHECK omen_status semantics_common_type(const omen_type *types, uint32_t count,
                                                  const char *what, omen_type *out,
                                                  omen_error *error);

/* The type of a line's result for arguments already of its types. `digits`: the constant second
 * argument of RESULT_DECIMAL_DIGITS, the scale of a RESULT_DECIMAL_FIELD, else 0. Errors:
 * NOT_SUPPORTED beyond 38 digits of scale. */
OMEN_MUST_CHECK omen_status semantics_result_type(const struct semantics_line *line,
                                                  const omen_type *arguments,
                                                  uint32_t argument_count, int32_t digits,
                                                  omen_type *out, omen_error *error);

/* The DECIMAL that holds every value of a type that casts to NUMERIC: SMALLINT (5,0), INTEGER
 * (10,0), BIGINT (19,0), a DECIMAL itself. */
omen_type semantics_decimal_of(omen_type type);

/* A type's name for messages: "integer", "interval", "unknown". Static. */
const char *semantics_type_name(omen_type_id type);

#endif
