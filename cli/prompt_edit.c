/* prompt_edit.c - line editing by libedit.
 *
 * Characters are read here, not by libedit, so that Ctrl-C, a changed window and the end of a stop
 * by Ctrl-Z are noticed while it waits. libedit sets the terminal raw only within el_gets; signals
 * that kill are held back until it has put it right again (interrupt_prompt_begin).
 */
#define _XOPEN_SOURCE 700
#include "prompt_edit.h"

#ifndef OMEN_LIBEDIT

struct editor *editor_open(FILE *out)
{
    (void)out;
    return NULL;
}

void editor_close(struct editor *editor)
{
    (void)editor;
}

enum prompt_event editor_read(struct editor *editor, const char *text, const char **line,
                              size_t *length)
{
    (void)editor, (void)text, (void)line, (void)length;
    return PROMPT_END;
}

void editor_remember(void *editor, const char *text)
{
    (void)editor, (void)text;
}

const char *editor_name(void)
{
    return "none";
}

#else

#include <histedit.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "history.h"
#include "interrupt.h"
#include "text.h"

enum { CONTROL_D = 4 };

struct editor {
    EditLine *edit;
    History *history;
    const char *prompt;
    enum prompt_event stop; /* why reading a character failed; PROMPT_LINE: it did not */
};

static struct editor *editor_of(EditLine *edit)
{
    void *editor = NULL;
    el_get(edit, EL_CLIENTDATA, &editor);
    return editor;
}

static char *prompt_text(EditLine *edit)
{
    return (char *)(uintptr_t)editor_of(edit)->prompt;
}

/* Waits for input and sees to signals meanwhile. */
static enum prompt_event wait_for_input(EditLine *edit)
{
    for (;;) {
        switch (interrupt_wait(STDIN_FILENO)) {
        case WAKE_READABLE:
            return PROMPT_LINE;
        case WAKE_INTERRUPT:
            return PROMPT_CLEARED;
        case WAKE_TERMINATE:
            return PROMPT_END;
        case WAKE_RESIZE:
            el_resize(edit);
            break;
        case WAKE_CONTINUE:
            el_set(edit, EL_PREP_TERM, 1);
            el_set(edit, EL_REFRESH);
            break;
        }
    }
}

static bool is_empty(EditLine *edit)
{
    const LineInfo *line = el_line(edit);
    return line->lastchar == line->buffer;
}

/* libedit's source of characters: 1 and the character, 0 at the end, -1 to give up the line.
 * A Ctrl-D that was typed before libedit made the terminal raw arrives as a zero. */
static int read_character(EditLine *edit, wchar_t *out)
{
    struct editor *editor = editor_of(edit);
    char bytes[4];
    size_t length = 0, needed = 1;
    while (length < needed) {
        if ((editor->stop = wait_for_input(edit)) != PROMPT_LINE)
            return -1;
        if (read(STDIN_FILENO, bytes + length, 1) != 1)
            return 0;
        if (length++ == 0 && (unsigned char)bytes[0] >= 0xC2)
            needed = (unsigned char)bytes[0] >= 0xF0 ? 4 : (unsigned char)bytes[0] >= 0xE0 ? 3 : 2;
    }
    uint32_t code;
    text_decode(bytes, length, &code);
    *out = code == UINT32_MAX ? 0xFFFD : (wchar_t)code;
    if (code == 0 && is_empty(edit))
        *out = CONTROL_D;
    return 1;
}

/* Completes the name of a command; elsewhere a tab is inserted, as in pasted text. */
static unsigned char complete(EditLine *edit, int key)
{
    (void)key;
    const LineInfo *line = el_line(edit);
    size_t typed = (size_t)(line->cursor - line->buffer);
    const char *found = NULL, *name;
    for (size_t i = 0; typed > 0 && (name = command_name(i)) != NULL; i++) {
        if (strncmp(name, line->buffer, typed) != 0 || strlen(name) == typed)
            continue;
        if (found != NULL)
            return CC_ERROR; /* there are several */
        found = name;
    }
    if (found == NULL && typed > 0 && line->buffer[0] == '.')
        return CC_ERROR;
    return el_insertstr(edit, found == NULL ? "\t" : found + typed) == 0 ? CC_REFRESH : CC_ERROR;
}

static void set_up(struct editor *editor)
{
    HistEvent event;
    history(editor->history, &event, H_SETSIZE, HISTORY_ENTRIES_MAX);
    history(editor->history, &event, H_SETUNIQUE, 1);
    el_set(editor->edit, EL_CLIENTDATA, editor);
    el_set(editor->edit, EL_PROMPT, prompt_text);
    el_set(editor->edit, EL_HIST, history, editor->history);
    el_set(editor->edit, EL_EDITOR, "emacs");
    el_set(editor->edit, EL_SIGNAL, 0);
    el_set(editor->edit, EL_GETCFN, read_character);
    el_set(editor->edit, EL_ADDFN, "omendb-complete", "Completes a command", complete);
    el_set(editor->edit, EL_BIND, "^I", "omendb-complete", NULL);
    el_set(editor->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(editor->edit, NULL);
}

struct editor *editor_open(FILE *out)
{
    struct editor *editor = calloc(1, sizeof *editor);
    if (editor == NULL)
        return NULL;
    editor->prompt = "";
    editor->edit = el_init("omendb", stdin, out, stderr);
    editor->history = history_init();
    if (editor->edit == NULL || editor->history == NULL) {
        editor_close(editor);
        return NULL;
    }
    set_up(editor);
    return editor;
}

void editor_close(struct editor *editor)
{
    if (editor == NULL)
        return;
    if (editor->edit != NULL)
        el_end(editor->edit);
    if (editor->history != NULL)
        history_end(editor->history);
    free(editor);
}

enum prompt_event editor_read(struct editor *editor, const char *text, const char **line,
                              size_t *length)
{
    int count = 0;
    editor->prompt = text;
    editor->stop = PROMPT_LINE;
    interrupt_prompt_begin();
    /* raw before the prompt is there: a cooked terminal would cut a long line that comes at once */
    el_set(editor->edit, EL_PREP_TERM, 1);
    *line = el_gets(editor->edit, &count);
    interrupt_prompt_end();
    *length = *line != NULL && count > 0 ? strlen(*line) : 0;
    if (editor->stop != PROMPT_LINE)
        return editor->stop;
    return *length > 0 ? PROMPT_LINE : PROMPT_END;
}

void editor_remember(void *context, const char *text)
{
    struct editor *editor = context;
    HistEvent event;
    history(editor->history, &event, H_ENTER, text);
}

const char *editor_name(void)
{
    return "libedit";
}

#endif
