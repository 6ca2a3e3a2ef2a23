/* query_print.h - bound trees as text that people read, for tests. */
#ifndef TESTS_QUERY_PRINT_H
#define TESTS_QUERY_PRINT_H

#include <stdio.h>

#include "sql/bind.h"

/* t.a, 'x', +(a, b), cast<bigint>(a), count(distinct a), exists(select ...), ... Columns of outer
 * queries have ^ in front, one per level. */
void expression_print(FILE *file, const struct expression *expression);

/* "a"::integer and the like, a DECIMAL's digits and a length with it. */
void type_print(FILE *file, omen_type type);

/* select a AS a, ... from ... where ... group ... sets ... having ... order ... limit ... */
void query_print(FILE *file, const struct query *query);

#endif
