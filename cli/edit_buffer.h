/* edit_buffer.h - the text that is being typed, of one or more lines, and the cursor in it.
 *
 * UTF-8; positions are bytes at the beginning of a character and of the marks that combine with it.
 * Zero-terminated besides. Functions that grow it return false where memory is exhausted; nothing
 * has changed then. For one thread.
 */
#ifndef OMEN_CLI_EDIT_BUFFER_H
#define OMEN_CLI_EDIT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct edit_buffer {
    char *bytes;
    size_t length, capacity;
    size_t cursor;
    size_t goal;  /* the column that moves up and down keep to, + 1; 0: the cursor's */
    char *killed; /* what was cut last, zero-terminated; NULL: nothing */
};

/* Makes an empty one (all zero) ready. */
bool edit_buffer_open(struct edit_buffer *buffer);
void edit_buffer_close(struct edit_buffer *buffer);

/* Replaces the whole text; the cursor is behind it. */
bool edit_buffer_set(struct edit_buffer *buffer, const char *text, size_t length);

/* Inserts at the cursor, which moves behind it. */
bool edit_buffer_insert(struct edit_buffer *buffer, const char *text, size_t length);

/* Takes out [from, to); the cursor is there then. `cut` keeps it for edit_buffer_yank. */
void edit_buffer_delete(struct edit_buffer *buffer, size_t from, size_t to);
void edit_buffer_cut(struct edit_buffer *buffer, size_t from, size_t to);
bool edit_buffer_yank(struct edit_buffer *buffer);

/* Exchanges the characters around the cursor, as Ctrl-T does. */
void edit_buffer_transpose(struct edit_buffer *buffer);

/* Positions near `at`: a character, a word, the line's ends. */
size_t edit_buffer_left(const struct edit_buffer *buffer, size_t at);
size_t edit_buffer_right(const struct edit_buffer *buffer, size_t at);
size_t edit_buffer_word_left(const struct edit_buffer *buffer, size_t at);
size_t edit_buffer_word_right(const struct edit_buffer *buffer, size_t at);
size_t edit_buffer_line_start(const struct edit_buffer *buffer, size_t at);
size_t edit_buffer_line_end(const struct edit_buffer *buffer, size_t at);

/* Moves the cursor a line up or down, to about the same column. False where there is none. */
bool edit_buffer_up(struct edit_buffer *buffer);
bool edit_buffer_down(struct edit_buffer *buffer);

#endif
