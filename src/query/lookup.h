/* lookup.h - one row by its whole key: which conditions fix the key, and reading the row.
 *
 *   WHERE id = $1 AND n > 5      conjunct: id = $1      filter: n > 5
 *
 * A conjunct compares a key column with an expression without columns. Where the comparison is of
 * another type than the column's, as in id = 42.5, the value is brought back to the column's type,
 * exactly or not at all. Everything else is a filter, asked of the row that was found.
 *
 * One thread at a time: running uses the scratch members.
 */
#ifndef OMEN_QUERY_LOOKUP_H
#define OMEN_QUERY_LOOKUP_H

#include "query/session.h"
#include "sql/evaluate.h"
#include "sql/query_tree.h"

struct key_conjunct {
    uint32_t key_position;
    omen_type type; /* the column's */
    const struct expression *value;
    bool fixed;  /* `constant` holds */
    bool direct; /* a parameter of exactly the column's type */
    omen_value constant;
};

struct lookup {
    struct table *table;            /* borrowed */
    struct key_conjunct *conjuncts; /* every key column has at least one */
    uint32_t conjunct_count;
    bool never; /* a fixed conjunct matches no row */
    const struct expression **filters;
    uint32_t filter_count;
    omen_value *key; /* scratch: the key's values */
    bool *key_set;   /* scratch */
};

/* Reads a condition over `relation`, a table. `*out` is NULL, and `*reason` says why (static),
 * where it does not fix the whole key or is not the core's to compute. `where` may be NULL. All in
 * `arena`. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status lookup_create(struct arena *arena, const struct relation *relation,
                                          struct expression *where, struct lookup **out,
                                          const char **reason, omen_error *error);

/* Finds the row at the newest snapshot, pinned; group NULL where there is none. The evaluation's
 * arena takes what is computed. Errors: those of the expressions; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status lookup_run(struct lookup *lookup, struct session *session,
                                       struct evaluation *evaluation, struct row_ref *row,
                                       omen_error *error);

/* The key that the statement asks for, in the evaluation's arena; `*found` false where no row can
 * have it. */
OMEN_MUST_CHECK omen_status lookup_find_key(struct lookup *lookup, struct evaluation *evaluation,
                                            struct index_key *key, bool *found, omen_error *error);

/* Lets a pinned row go where a filter is not true of it: its group is NULL then. */
OMEN_MUST_CHECK omen_status lookup_filter(const struct lookup *lookup,
                                          struct evaluation *evaluation, struct row_ref *row,
                                          omen_error *error);

/* evaluation->read_column for a row that is a struct row_ref. */
omen_status lookup_read_column(void *row, const struct expression *column, omen_value *out,
                               omen_error *error);

/* Whether `condition` is true. */
OMEN_MUST_CHECK omen_status lookup_passes(const struct expression *condition,
                                          struct evaluation *evaluation, bool *passes,
                                          omen_error *error);

#endif
