/* nearest.h - which of some names may have been meant by one that is not among them.
 *
 * PostgreSQL's rule for columns: at most three characters differ (Levenshtein: inserted, left out,
 * replaced), and no more than half of the name's; of several that are as near, two are told and
 * three are none. Here capital letters count as small ones. Bytes, not characters, are compared,
 * and names longer than a name can be match nothing, so that the cost is bounded. Pure functions.
 */
#ifndef OMEN_BASE_NEAREST_H
#define OMEN_BASE_NEAREST_H

#include <stddef.h>

#include "base/status.h"

enum { NEAREST_DISTANCE_MAX = 3, NEAREST_NAME_BYTES_MAX = 63 };

/* The differences between two names, or NEAREST_DISTANCE_MAX + 1 where there are more. */
unsigned nearest_distance(const char *left, size_t left_length, const char *right,
                          size_t right_length);

/* A search. The names offered are borrowed until its hint is given. */
struct nearest {
    const char *sought;
    size_t length;
    unsigned distance; /* of the best so far */
    unsigned count;    /* of them; above 2: too many */
    struct {
        const char *qualifier, *name;
    } found[2];
};

/* Begins a search for `sought` (borrowed, `length` bytes). */
void nearest_begin(struct nearest *nearest, const char *sought, size_t length);

/* A name that exists, with the table that it is of (NULL: none). `penalty` counts as further
 * differences, those of its qualifier for example. A name offered twice counts once. */
void nearest_offer(struct nearest *nearest, const char *qualifier, const char *name,
                   unsigned penalty);

/* Gives the error (may be NULL) the hint "Perhaps you meant to reference the `kind` "name"."; none
 * where nothing is near. */
void nearest_hint(const struct nearest *nearest, const char *kind, omen_error *error);

#endif
