/* edit_screen.h - draws the text that is being typed, and the cursor, by what has changed.
 *
 * The picture is rows as the terminal has them: the prompt and the first line, a second prompt
 * before each further line, long lines wrapped here, so that every row's place is known. Where it
 * is higher than the terminal, the rows around the cursor are shown. Only terminals that know
 * ECMA-48's cursor movements are written to. For one thread.
 */
#ifndef OMEN_CLI_EDIT_SCREEN_H
#define OMEN_CLI_EDIT_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "edit_buffer.h"

/* Rows, each a part of `bytes`. */
struct screen_rows {
    char *bytes;
    size_t length, capacity;
    size_t *starts; /* count + 1 of them */
    size_t count, starts_capacity;
};

/* Begins as {.out = ...}. */
struct edit_screen {
    FILE *out;
    size_t columns, rows;       /* of the terminal */
    struct screen_rows shown;   /* what stands there */
    struct screen_rows next;    /* scratch */
    size_t top;                 /* rows of the picture above those that are shown */
    size_t at_row, at_column;   /* of the cursor, among those shown */
    size_t last_row, last_byte; /* scratch: where the cursor is to be */
};

/* What is to be seen. `note` (NULL: none) is a line below. */
struct picture {
    const char *prompt, *prompt_more;
    const struct edit_buffer *buffer;
    const char *note;
};

/* Asks the terminal for its size. */
void edit_screen_measure(struct edit_screen *screen);

/* Draws what has changed since the last call. */
void edit_screen_draw(struct edit_screen *screen, const struct picture *picture);

/* Goes to the start of a line behind the picture, which stays there; the next draws anew. */
void edit_screen_leave(struct edit_screen *screen);

/* Draws it for a window that has changed, where it is to look otherwise there. */
void edit_screen_resize(struct edit_screen *screen, const struct picture *picture);

/* Wipes the picture, or the whole screen; the next draws anew. */
void edit_screen_wipe(struct edit_screen *screen, const struct picture *picture);
void edit_screen_clear(struct edit_screen *screen);

void edit_screen_close(struct edit_screen *screen);

#endif
