/* text.h - text for terminals: harmless, and measured in columns.
 *
 * "Shown" text is what show_ functions make of UTF-8: a control character becomes \n, \t or \xNN,
 * one that could reorder a line (bidirectional marks, line separators) \uNNNN, a byte that is no
 * UTF-8 \xNN. Columns are those of a terminal: two for a wide character, none for a combining one.
 * Pure functions but for the process's LC_CTYPE, which main sets to UTF-8.
 */
#ifndef OMEN_CLI_TEXT_H
#define OMEN_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SHOWN_BYTES_MAX = 8 };

/* One character as it is shown. */
struct shown {
    char text[SHOWN_BYTES_MAX]; /* not zero-terminated */
    size_t length;
    size_t columns;
    size_t taken; /* bytes of the source, at least 1 */
};

/* Decodes the character at `text` (left > 0 bytes). Gives its length, and in `*code` its code
 * point, or UINT32_MAX with length 1 where the bytes are no UTF-8. */
size_t text_decode(const char *text, size_t left, uint32_t *code);

/* Whether a character could drive or reorder a terminal. */
bool text_is_harmful(uint32_t code);

/* The character at `text` (left > 0 bytes) as it is shown. */
struct shown show_character(const char *text, size_t left);

/* Writes text as it is shown. `show_lines` leaves line feeds and tabs as they are. */
void show(FILE *out, const char *text, size_t length);
void show_lines(FILE *out, const char *text, size_t length);

/* A zero-terminated copy as it is shown, and its columns; the caller frees. At most `columns_max`
 * columns (0 = no limit): longer text is cut and ends with an ellipsis. NULL: out of memory. */
char *show_copy(const char *text, size_t length, size_t columns_max, size_t *columns);

/* The bytes of `shown` (zero-terminated) that fit into `columns`, and the columns they take. */
size_t shown_prefix(const char *shown, size_t columns, size_t *columns_taken);

#endif
