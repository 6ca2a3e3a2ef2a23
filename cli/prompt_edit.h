/* prompt_edit.h - line editing by libedit; without it, functions that say so. */
#ifndef OMEN_CLI_PROMPT_EDIT_H
#define OMEN_CLI_PROMPT_EDIT_H

#include <stdio.h>

#include "prompt.h"

struct editor;

/* NULL where lines cannot be edited. */
struct editor *editor_open(FILE *out);
void editor_close(struct editor *editor); /* NULL does nothing */

/* As prompt_read. */
enum prompt_event editor_read(struct editor *editor, const char *text, const char **line,
                              size_t *length);

/* Adds a text to what the arrow keys bring back. `editor` is a struct editor (history_entry). */
void editor_remember(void *editor, const char *text);

/* "libedit" or "none". */
const char *editor_name(void);

#endif
