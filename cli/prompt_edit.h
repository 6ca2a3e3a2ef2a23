/* prompt_edit.h - editing of text of several lines, with history, search and completion. */
#ifndef OMEN_CLI_PROMPT_EDIT_H
#define OMEN_CLI_PROMPT_EDIT_H

#include <stdio.h>

#include "prompt.h"

struct editor;

/* NULL where memory is exhausted, or standard input is no terminal. `out` is one too. */
struct editor *editor_open(FILE *out, const struct prompt_questions *questions);
void editor_close(struct editor *editor); /* NULL does nothing */

/* Reads a complete text behind `prompt`; its further lines stand behind `prompt_more`. `*text`,
 * with a line's end, holds until the next call. */
enum prompt_event editor_read(struct editor *editor, const char *prompt, const char *prompt_more,
                              const char **text, size_t *length);

/* Adds a text to what the arrow keys bring back. `editor` is a struct editor (history_entry). */
void editor_remember(void *editor, const char *text);

#endif
