/* bound_text.h - bound expressions as text, for tests. */
#ifndef OMEN_TESTS_BOUND_TEXT_H
#define OMEN_TESTS_BOUND_TEXT_H

#include "sql/query_tree.h"

/* Writes the expression: columns by name, calls as name(...) or (a + b), casts as a::type,
 * parameters as $1:type. Cut where it does not fit. */
void bound_text(const struct expression *expression, char *buffer, size_t capacity);

/* A type with its modifiers: "numeric(10,2)", "character varying(5)". */
void bound_type(omen_type type, char *buffer, size_t capacity);

#endif
