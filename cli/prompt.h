/* prompt.h - what is typed at a terminal, edited where the terminal can do that (prompt_edit.c). */
#ifndef OMEN_CLI_PROMPT_H
#define OMEN_CLI_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "candidates.h"

struct prompt;

enum prompt_event {
    PROMPT_LINE,    /* something was typed */
    PROMPT_CLEARED, /* Ctrl-C: what was typed so far is to be forgotten */
    PROMPT_END,     /* Ctrl-D, or the terminal went away */
};

/* What stands before the prompt's sign, as psql shows it: where a transaction is. */
enum prompt_mark {
    PROMPT_PLAIN,
    PROMPT_OPEN,   /* "*": one is open */
    PROMPT_FAILED, /* "!": one has failed */
};

/* What the prompt asks about the text. Borrowed as long as the prompt is open. */
struct prompt_questions {
    void *context;
    /* Whether Enter runs this text, or begins another line of it. */
    bool (*is_complete)(void *context, const char *text, size_t length);
    /* Fills what the word before the cursor may become; `out->start` says where it begins. */
    void (*complete)(void *context, const char *text, size_t length, size_t cursor,
                     struct candidates *out);
};

/* Prepares the terminal and reads the history. NULL: out of memory. */
struct prompt *prompt_open(const struct prompt_questions *questions);

/* Reads a line, or, where lines are edited, all lines of what is then complete. `continues` says
 * that what was read before was not. `*line`, with its end, is not zero-terminated and holds until
 * the next call. */
enum prompt_event prompt_read(struct prompt *prompt, bool continues, enum prompt_mark mark,
                              const char **line, size_t *length);

/* Adds a text, of one or more lines, to the history and to its file. */
void prompt_remember(struct prompt *prompt, const char *text, size_t length);

/* Releases it. NULL does nothing. */
void prompt_close(struct prompt *prompt);

#endif
