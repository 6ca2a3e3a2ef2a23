/* candidates.h - what may stand in the place of a word that is being typed. */
#ifndef OMEN_CLI_CANDIDATES_H
#define OMEN_CLI_CANDIDATES_H

#include <stddef.h>

struct candidate {
    char *text;        /* whole: it takes the word's place */
    const char *after; /* inserted behind the only one, e.g. " "; static */
};

/* Begins as all zero, but for what is known of the word. */
struct candidates {
    size_t start; /* of the word in the text; it ends at the cursor */
    struct candidate *items;
    size_t count, capacity;
};

/* Adds a copy of a text of that length; left out where memory is exhausted. */
void candidates_add(struct candidates *candidates, const char *text, size_t length,
                    const char *after);

/* Sorts them, and leaves each text once. */
void candidates_sort(struct candidates *candidates);

/* The bytes that all begin with alike, whole characters; 0 where there are none. */
size_t candidates_common(const struct candidates *candidates);

void candidates_close(struct candidates *candidates);

#endif
