/* condition_order.h - the order in which a WHERE's conditions are asked. */
#ifndef OMEN_SQL_CONDITION_ORDER_H
#define OMEN_SQL_CONDITION_ORDER_H

#include "sql/query_tree.h"

/* Puts the AND-ed conditions of every WHERE, HAVING and ON of a query, and of the queries in it,
 * into PostgreSQL's order. In place; new nodes are in the arena; where memory is exhausted, what
 * is left stays as it is. Doing it again changes nothing. One thread. */
void query_order_conditions(struct query *query, struct arena *arena);

/* The same for one WHERE or ON (NULL does nothing) alone. */
void condition_order(struct expression **where, struct arena *arena);

#endif
