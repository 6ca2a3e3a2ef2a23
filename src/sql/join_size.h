/* join_size.h - about how many rows relations have, and conditions let through.
 *
 * Estimates for choosing the order of joins: never wrong answers, only slow ones. Conditions over
 * one table are tried on a sample of its rows.
 */
#ifndef OMEN_SQL_JOIN_SIZE_H
#define OMEN_SQL_JOIN_SIZE_H

#include "sql/query_tree.h"

struct sampled_table;

/* What one planning knows. One thread. */
struct join_sizes {
    struct arena arena;   /* its own */
    struct arena scratch; /* of one evaluation */
    struct sampled_table *tables;
    uint32_t depth; /* of the query being sized */
};

void join_sizes_begin(struct join_sizes *sizes, struct allocator *allocator);
void join_sizes_end(struct join_sizes *sizes);

/* Rows of a relation; at least 1. */
double join_size_relation(struct join_sizes *sizes, const struct relation *relation);

/* The share (0 to 1) of the relation's rows for which all of these conditions hold. They speak of
 * columns of this relation and of queries around it, and have no subqueries. */
double join_size_share(struct join_sizes *sizes, const struct relation *relation,
                       struct expression *const *conditions, uint32_t count);

/* Different values of a column; at least 1. */
double join_size_distinct(struct join_sizes *sizes, const struct relation *relation,
                          uint32_t column);

/* Rows of a query; at least 1. */
double join_size_query(struct join_sizes *sizes, const struct query *query);

/* Rows of a FROM item of `query` after those conditions of its WHERE that speak of one relation. */
double join_size_from(struct join_sizes *sizes, const struct query *query,
                      const struct from_item *item);

/* Columns of a relation that no two rows have alike, at most `capacity`; 0: none known. */
uint32_t join_unique_columns(const struct relation *relation, uint32_t *columns, uint32_t capacity);

#endif
