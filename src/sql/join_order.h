/* join_order.h - inner joins in the order that their sizes suggest. */
#ifndef OMEN_SQL_JOIN_ORDER_H
#define OMEN_SQL_JOIN_ORDER_H

#include "sql/bind.h"

enum {
    JOIN_LIMIT_DEFAULT = 32, /* FROM items that are put in order together; more stay as written */
};

/* Puts the inner joins of a bound query, and of all queries in it, in the order to be run, in
 * place: nothing changes but the order in which the engine reads and joins. `limit` is the most
 * items of one FROM that are moved; 1: none are. To be called after decorrelate_query. `*ordered`:
 * something depended on the sizes of tables. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status join_order_query(struct binder *binder, struct query *query,
                                             uint32_t limit, bool *ordered, omen_error *error);

#endif
