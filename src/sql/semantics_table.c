/* semantics_table.c - semantics.def as an array. */
#include "sql/function.h"

/* The words of ARGUMENTS and TYPE. */
enum {
    BOOLEAN = OMEN_TYPE_BOOLEAN,
    SMALLINT = OMEN_TYPE_SMALLINT,
    INTEGER = OMEN_TYPE_INTEGER,
    BIGINT = OMEN_TYPE_BIGINT,
    REAL = OMEN_TYPE_REAL,
    DOUBLE = OMEN_TYPE_DOUBLE,
    DECIMAL = OMEN_TYPE_DECIMAL,
    TEXT = OMEN_TYPE_TEXT,
    VARCHAR = OMEN_TYPE_VARCHAR,
    CHAR = OMEN_TYPE_CHAR,
    BYTEA = OMEN_TYPE_BYTEA,
    DATE = OMEN_TYPE_DATE,
    TIMESTAMP = OMEN_TYPE_TIMESTAMP,
    TIMESTAMPTZ = OMEN_TYPE_TIMESTAMPTZ,
    UUID = OMEN_TYPE_UUID,
    INTERVAL = SQL_TYPE_INTERVAL,
    ANY = SQL_TYPE_ANY,
};

#define ENGINE_ONLY NULL
/* In parentheses, so that they pass through the macros of the table as one argument. */
#define ARGUMENTS(...)                                                                             \
    (.argument_count = sizeof((const uint8_t[]){__VA_ARGS__}), .arguments = {__VA_ARGS__})
#define NO_ARGUMENTS (.argument_count = 0)
#define TYPE(type)   (.rule = RESULT_TYPE, .result = (type))
#define RULE(name)   (.rule = RESULT_##name, .result = RESULT_##name <= RESULT_SAME_2 ? ANY : DECIMAL)
#define UNWRAP(...)  __VA_ARGS__
#define LINE(kind_, name_, arguments_, result_, function_, engine_, flags_)                        \
    {.kind = SEMANTICS_##kind_,                                                                    \
     .name = name_,                                                                                \
     UNWRAP arguments_,                                                                            \
     UNWRAP result_,                                                                               \
     .evaluate = function_,                                                                        \
     .engine = engine_,                                                                            \
     .flags = flags_},

const struct semantics_line semantics_lines[] = {
#include "sql/semantics.def"
};

const uint32_t semantics_line_count = sizeof semantics_lines / sizeof *semantics_lines;
