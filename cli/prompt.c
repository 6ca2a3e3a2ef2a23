/* prompt.c - the prompt: edited (prompt_edit.c), or plain lines where the terminal is too dumb for
 * it. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include "prompt.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "history.h"
#include "interrupt.h"
#include "prompt_edit.h"

enum { PLAIN_LINE_BYTES = 1 << 12 }; /* a terminal's line, or a part of it */

struct prompt {
    struct editor *editor; /* NULL: plain */
    FILE *out;
    char *last; /* remembered: the same again is not */
    char line[PLAIN_LINE_BYTES];
};

static bool is_dumb(void)
{
    const char *terminal = getenv("TERM");
    return terminal == NULL || terminal[0] == '\0' || strcmp(terminal, "dumb") == 0;
}

struct prompt *prompt_open(const struct prompt_questions *questions)
{
    struct prompt *prompt = calloc(1, sizeof *prompt);
    if (prompt == NULL)
        return NULL;
    prompt->out = isatty(STDOUT_FILENO) ? stdout : stderr;
    if (!is_dumb())
        prompt->editor = editor_open(prompt->out, questions);
    if (prompt->editor != NULL)
        history_read(editor_remember, prompt->editor);
    return prompt;
}

#define PROMPT      "omendb%s> "
#define PROMPT_MORE "   %s...> "

static enum prompt_event read_plain(struct prompt *prompt, const char *text, const char **line,
                                    size_t *length)
{
    fputs(text, prompt->out);
    fflush(prompt->out);
    enum wake wake;
    while ((wake = interrupt_wait(STDIN_FILENO)) != WAKE_READABLE && wake != WAKE_INTERRUPT)
        continue;
    if (wake == WAKE_INTERRUPT) {
        tcflush(STDIN_FILENO, TCIFLUSH);
        return PROMPT_CLEARED;
    }
    ssize_t bytes = read(STDIN_FILENO, prompt->line, sizeof prompt->line);
    *line = prompt->line;
    *length = bytes > 0 ? (size_t)bytes : 0;
    return bytes > 0 ? PROMPT_LINE : PROMPT_END;
}

enum prompt_event prompt_read(struct prompt *prompt, bool continues, enum prompt_mark mark,
                              const char **line, size_t *length)
{
    static const char *const marks[] = {"", "*", "!"};
    char first[16], more[16];
    snprintf(first, sizeof first, PROMPT, marks[mark]);
    snprintf(more, sizeof more, PROMPT_MORE, mark == PROMPT_PLAIN ? "" : " ");
    const char *text = continues ? more : first;
    interrupt_clear();
    if (prompt->editor != NULL)
        return editor_read(prompt->editor, text, more, line, length);
    enum prompt_event event = read_plain(prompt, text, line, length);
    if (event != PROMPT_LINE) {
        putc('\n', prompt->out);
        fflush(prompt->out);
    }
    return event; /* Ctrl-C from here on is for what was typed */
}

void prompt_remember(struct prompt *prompt, const char *text, size_t length)
{
    while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
        length--;
    char *copy = strndup(text, length);
    if (copy == NULL || prompt->editor == NULL ||
        (prompt->last != NULL && strcmp(prompt->last, copy) == 0)) {
        free(copy);
        return;
    }
    editor_remember(prompt->editor, copy);
    history_append(copy, length);
    free(prompt->last);
    prompt->last = copy;
}

void prompt_close(struct prompt *prompt)
{
    if (prompt == NULL)
        return;
    editor_close(prompt->editor);
    free(prompt->last);
    free(prompt);
}
