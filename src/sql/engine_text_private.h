/* engine_text_private.h - what the files of the engine's text share.
 *
 * A writer's first failure sticks: nothing is written after it, and whoever started the writer
 * looks at it once in the end.
 */
#ifndef OMEN_SQL_ENGINE_TEXT_PRIVATE_H
#define OMEN_SQL_ENGINE_TEXT_PRIVATE_H

#include "sql/engine_text.h"

enum {
    ENGINE_TEXT_BYTES_MAX = 64 << 20,
    ENGINE_RELATIONS_MAX = 500, /* as the engine's own limit */
};

/* What the outputs of a query are called: r5$0, r5$1, ... The engine mixes up a column "x" and a
 * column r."x", so no two queries name their outputs alike, and no table has such columns. */
struct output_names {
    char kind; /* o: the whole; r: of a relation; w: of a WITH query; s: any other */
    uint32_t number;
};

struct text_writer {
    struct arena *arena;
    omen_error *error;
    omen_status status;
    char *text;
    size_t length, capacity;
    const omen_type *parameter_types;
    uint32_t parameter_count;
    bool uses_now;
    struct engine_relation *relations;
    uint32_t relation_count;
    uint32_t alias_count; /* names of our own given out: s1, s2, ... */
    struct output_names outputs;
    bool in_aggregate; /* within the arguments of one */
    bool in_filter;    /* within WHERE or HAVING: the engine takes EXISTS and IN (query) there */
};

/* --- engine_text.c: the buffer --- */
void text_put(struct text_writer *writer, const char *text);
void text_put_bytes(struct text_writer *writer, const char *bytes, size_t length);
void text_put_format(struct text_writer *writer, const char *format, ...) OMEN_PRINTF(2, 3);
void text_fail(struct text_writer *writer, omen_status status, const char *format, ...)
    OMEN_PRINTF(3, 4);
/* `"name"` and `'text'`. */
void text_put_name(struct text_writer *writer, const char *name);
void text_put_string(struct text_writer *writer, const char *bytes, size_t length);

/* --- engine_text_constant.c --- */
void text_put_type(struct text_writer *writer, omen_type type); /* as the engine's casts say it */
void text_put_constant(struct text_writer *writer, omen_type type, const omen_value *value);

/* --- engine_text_expression.c --- */
void text_put_expression(struct text_writer *writer, const struct expression *expression);
/* `separator` between them. */
void text_put_expressions(struct text_writer *writer, struct expression *const *expressions,
                          uint32_t count, const char *separator);
/* Whether a cast to NUMERIC can round or overflow. The engine takes CAST(n AS DECIMAL(5, 0)) = 3
 * for n = 3.00. */
bool text_cast_narrows(const struct expression *call);
/* A line applied to arguments given as a call's. */
void text_put_call(struct text_writer *writer, const struct expression *call,
                   const struct semantics_line *line);
/* " DESC NULLS FIRST" */
void text_put_direction(struct text_writer *writer, const struct sort_key *key);
/* An expression to sort or part rows by: CHAR without its blanks, which do not count. */
void text_put_key(struct text_writer *writer, const struct expression *expression);
/* What rows are grouped by, whose values are also shown: CHARs have one length. */
void text_check_equals(struct text_writer *writer, omen_type type);
/* `INTERVAL` has no order in the engine that is PostgreSQL's. */
void text_check_order(struct text_writer *writer, omen_type type);

/* --- engine_text_condition.c: truth values that compute no more than PostgreSQL's --- */
/* Where NULL is as good as false: WHERE, ON, HAVING, FILTER, WHEN. */
void text_put_condition(struct text_writer *writer, const struct expression *expression);
/* The same for a whole WHERE, HAVING or ON. */
void text_put_where(struct text_writer *writer, const struct expression *expression);
/* AND, OR, CASE, COALESCE as values. */
void text_put_conditional(struct text_writer *writer, const struct expression *expression);

/* --- engine_text_subquery.c --- */
enum text_position {
    TEXT_VALUE,     /* all three truth values count */
    TEXT_CONDITION, /* NULL is as good as false */
    TEXT_CONJUNCT,  /* that, and as a conjunct of a WHERE, HAVING or ON */
};
void text_put_subquery(struct text_writer *writer, const struct expression *expression,
                       enum text_position position);

/* --- engine_text_query.c --- */
void text_put_query(struct text_writer *writer, const struct query *query,
                    struct output_names outputs);
/* `r5$0` */
void text_put_output(struct text_writer *writer, struct output_names outputs, uint32_t column);
/* " FROM ... WHERE ...": of a SELECT; `extra` (may be NULL) writes one more conjunct. */
typedef void text_conjunct(struct text_writer *writer, void *state);
void text_put_source(struct text_writer *writer, const struct query *query, text_conjunct *extra,
                     void *state);

#endif
