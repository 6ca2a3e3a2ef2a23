/* prompt.h - lines from a terminal, edited with libedit where the shell was built with it. */
#ifndef OMEN_CLI_PROMPT_H
#define OMEN_CLI_PROMPT_H

#include <stddef.h>

struct prompt;

enum prompt_event {
    PROMPT_LINE,    /* a line was typed */
    PROMPT_CLEARED, /* Ctrl-C: what was typed so far is to be forgotten */
    PROMPT_END,     /* Ctrl-D, or the terminal went away */
};

/* Prepares the terminal and reads the history. NULL: out of memory. */
struct prompt *prompt_open(void);

/* Reads a line. `*line`, with its end, is not zero-terminated and holds until the next call. */
enum prompt_event prompt_read(struct prompt *prompt, const char *text, const char **line,
                              size_t *length);

/* Adds a text, of one or more lines, to the history and to its file. */
void prompt_remember(struct prompt *prompt, const char *text, size_t length);

/* Releases it. NULL does nothing. */
void prompt_close(struct prompt *prompt);

/* What edits lines, for --version: "libedit" or "none". Static string. */
const char *prompt_editor(void);

#endif
