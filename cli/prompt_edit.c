/* prompt_edit.c - editing of text of several lines.
 *
 *   bytes --edit_key--> keys --here--> edit_buffer --edit_screen--> the terminal
 *
 * The terminal is raw only within editor_read, but for the keys that are signals: Ctrl-C, a changed
 * window and the end of a stop by Ctrl-Z are noticed while a key is waited for (interrupt_wait),
 * and signals that kill are held back until the terminal is right again (interrupt_prompt_begin).
 */
#define _XOPEN_SOURCE 700
#include "prompt_edit.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "edit_buffer.h"
#include "edit_key.h"
#include "edit_screen.h"
#include "history.h"
#include "interrupt.h"
#include "text.h"

enum { SEARCH_BYTES_MAX = 200, LISTED_MAX = 300, LIST_GAP = 2 };

/* Ask the terminal to mark what is pasted, and to stop that. */
#define PASTE_ON  "\x1b[?2004h"
#define PASTE_OFF "\x1b[?2004l"

struct editor {
    FILE *out;
    const struct prompt_questions *questions;
    struct termios before; /* what the terminal is set to outside editor_read */
    struct key_reader keys;
    struct edit_buffer buffer;
    struct edit_screen screen;
    const char *prompt, *prompt_more;
    enum prompt_event stop; /* why there are no more keys */
    char **entries;         /* the history, oldest first */
    size_t entry_count;
    size_t entry; /* that is shown; entry_count: what is being typed, kept in `typed` meanwhile */
    char *typed;
    size_t known;       /* so many bytes, unchanged since, are not complete; 0: not known */
    bool after_tab;     /* the last key was a tab that completed nothing */
    bool searching;     /* Ctrl-R: `sought` is looked for, entry is where it was found */
    size_t sought_from; /* the entry that was shown before */
    char sought[SEARCH_BYTES_MAX + 1];
    char note[SEARCH_BYTES_MAX + 32];
};

/* --- the terminal ---------------------------------------------------------------------------- */

static void make_raw(struct editor *editor)
{
    struct termios raw = editor->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
    raw.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IGNCR | IXON | ISTRIP);
    raw.c_cc[VMIN] = 0; /* Ctrl-C takes away what could be read: that must not be waited for */
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    fputs(PASTE_ON, editor->out);
    fflush(editor->out);
}

static void make_cooked(struct editor *editor)
{
    fputs(PASTE_OFF, editor->out);
    fflush(editor->out);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &editor->before);
}

static struct picture picture_of(const struct editor *editor)
{
    return (struct picture){.prompt = editor->prompt,
                            .prompt_more = editor->prompt_more,
                            .buffer = &editor->buffer,
                            .note = editor->searching ? editor->note : NULL};
}

static void draw(struct editor *editor)
{
    struct picture picture = picture_of(editor);
    edit_screen_draw(&editor->screen, &picture);
}

static void draw_anew(struct editor *editor)
{
    struct picture picture = picture_of(editor);
    edit_screen_wipe(&editor->screen, &picture);
    draw(editor);
}

static void ring(struct editor *editor)
{
    draw(editor);
    putc('\a', editor->out);
    fflush(editor->out);
}

/* What poll says of the input now; 0: there is none. */
static int input_events(void)
{
    struct pollfd file = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&file, 1, 0) > 0 ? file.revents : 0;
}

/* Waits for bytes, and sees to signals meanwhile (key_reader.fill). */
static size_t read_bytes(void *context, char *bytes, size_t capacity)
{
    struct editor *editor = context;
    if (input_events() == 0) /* much text that comes at once is drawn once */
        draw(editor);
    for (;;) {
        switch (interrupt_wait(STDIN_FILENO)) {
        case WAKE_READABLE: {
            ssize_t length = read(STDIN_FILENO, bytes, capacity);
            if (length == 0 && (input_events() & (POLLHUP | POLLERR | POLLNVAL)) == 0)
                break;
            editor->stop = PROMPT_END;
            return length > 0 ? (size_t)length : 0;
        }
        case WAKE_INTERRUPT:
            editor->stop = PROMPT_CLEARED;
            return 0;
        case WAKE_TERMINATE:
            editor->stop = PROMPT_END;
            return 0;
        case WAKE_CONTINUE:
            make_raw(editor);
            draw_anew(editor);
            break;
        case WAKE_RESIZE: {
            struct picture picture = picture_of(editor);
            edit_screen_resize(&editor->screen, &picture);
            break;
        }
        }
    }
}

/* --- history --------------------------------------------------------------------------------- */

void editor_remember(void *context, const char *text)
{
    struct editor *editor = context;
    char *copy = strdup(text);
    if (copy == NULL)
        return;
    if (editor->entry_count > 0 && strcmp(editor->entries[editor->entry_count - 1], text) == 0) {
        free(copy);
        return;
    }
    if (editor->entry_count == HISTORY_ENTRIES_MAX) {
        free(editor->entries[0]);
        memmove(editor->entries, editor->entries + 1,
                (HISTORY_ENTRIES_MAX - 1) * sizeof *editor->entries);
        editor->entry_count--;
    }
    editor->entries[editor->entry_count++] = copy;
}

static const char *entry_text(const struct editor *editor, size_t entry)
{
    if (entry < editor->entry_count)
        return editor->entries[entry];
    return editor->typed == NULL ? "" : editor->typed;
}

/* Shows another entry; what is being typed is kept for when it is shown again. */
static void show_entry(struct editor *editor, size_t entry)
{
    if (editor->entry == editor->entry_count) {
        free(editor->typed);
        editor->typed = strdup(editor->buffer.bytes);
    }
    const char *text = entry_text(editor, entry);
    if (edit_buffer_set(&editor->buffer, text, strlen(text)))
        editor->entry = entry;
}

static void show_neighbour(struct editor *editor, bool older)
{
    if (older ? editor->entry == 0 : editor->entry == editor->entry_count)
        ring(editor);
    else
        show_entry(editor, older ? editor->entry - 1 : editor->entry + 1);
}

/* --- search ---------------------------------------------------------------------------------- */

/* Shows the newest entry before `end` that holds what is sought; false: there is none. */
static bool find(struct editor *editor, size_t end)
{
    bool found = false;
    for (size_t i = end; i-- > 0 && !found && editor->sought[0] != '\0';) {
        const char *place = strstr(editor->entries[i], editor->sought);
        if (place == NULL)
            continue;
        show_entry(editor, i);
        editor->buffer.cursor = (size_t)(place - editor->entries[i]);
        found = true;
    }
    snprintf(editor->note, sizeof editor->note, "(%s: %s)",
             found || editor->sought[0] == '\0' ? "search" : "not found", editor->sought);
    return found;
}

static void begin_search(struct editor *editor)
{
    editor->searching = true;
    editor->sought[0] = '\0';
    editor->sought_from = editor->entry;
    find(editor, 0);
}

/* A key of a search. False where it ends the search and is to be done. */
static bool search_key(struct editor *editor, enum key key)
{
    size_t length = strlen(editor->sought);
    switch (key) {
    case KEY_SEARCH:
        if (!find(editor, editor->entry))
            ring(editor);
        return true;
    case KEY_TEXT:
        if (length + editor->keys.length <= SEARCH_BYTES_MAX) {
            memcpy(editor->sought + length, editor->keys.text, editor->keys.length + 1);
            find(editor,
                 editor->entry < editor->entry_count ? editor->entry + 1 : editor->entry_count);
        }
        return true;
    case KEY_BACKSPACE:
        while (length > 0 && ((unsigned char)editor->sought[--length] & 0xC0) == 0x80)
            continue;
        editor->sought[length] = '\0';
        if (!find(editor, editor->entry_count))
            show_entry(editor, editor->sought_from);
        return true;
    case KEY_ABORT:
        show_entry(editor, editor->sought_from);
        editor->searching = false;
        return true;
    default:
        editor->searching = false;
        return key == KEY_ESCAPE;
    }
}

/* --- completion ------------------------------------------------------------------------------ */

static void print_list(struct editor *editor, const struct candidates *candidates)
{
    size_t widest = 0, columns,
           shown = candidates->count < LISTED_MAX ? candidates->count : LISTED_MAX;
    for (size_t i = 0; i < shown; i++) {
        free(show_copy(candidates->items[i].text, strlen(candidates->items[i].text),
                       editor->screen.columns - 1, &columns));
        widest = columns > widest ? columns : widest;
    }
    size_t across = editor->screen.columns / (widest + LIST_GAP);
    size_t rows = across < 2 ? shown : (shown + across - 1) / across;
    edit_screen_leave(&editor->screen);
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = row; i < shown; i += rows) {
            char *text = show_copy(candidates->items[i].text, strlen(candidates->items[i].text),
                                   editor->screen.columns - 1, &columns);
            fprintf(editor->out, "%s%*s", text == NULL ? "" : text,
                    i + rows < shown ? (int)(widest - columns + LIST_GAP) : 0, "");
            free(text);
        }
        fputs("\r\n", editor->out);
    }
    if (candidates->count > shown)
        fprintf(editor->out, "and %zu more\r\n", candidates->count - shown);
}

/* Puts `text` in the place of the word before the cursor. */
static void replace_word(struct editor *editor, size_t start, const char *text, size_t length,
                         const char *after)
{
    struct edit_buffer *buffer = &editor->buffer;
    bool follows = buffer->bytes[buffer->cursor] == after[0];
    edit_buffer_delete(buffer, start, buffer->cursor);
    if (!edit_buffer_insert(buffer, text, length) ||
        (!follows && !edit_buffer_insert(buffer, after, strlen(after))))
        ring(editor);
    else if (follows && after[0] != '\0')
        buffer->cursor = edit_buffer_right(buffer, buffer->cursor);
}

/* A tab completes the word before the cursor. It is inserted at the beginning of a line and in
 * text that is pasted without a mark. */
static void complete(struct editor *editor)
{
    struct edit_buffer *buffer = &editor->buffer;
    struct candidates candidates = {.start = buffer->cursor};
    size_t line = edit_buffer_line_start(buffer, buffer->cursor), blank = line;
    while (blank < buffer->cursor && strchr(" \t", buffer->bytes[blank]) != NULL)
        blank++;
    if (key_text_follows(&editor->keys) || (blank == buffer->cursor && buffer->length > 0)) {
        edit_buffer_insert(buffer, "\t", 1);
        return;
    }
    editor->questions->complete(editor->questions->context, buffer->bytes, buffer->length,
                                buffer->cursor, &candidates);
    size_t typed = buffer->cursor - candidates.start, same = candidates_common(&candidates);
    bool listed = editor->after_tab;
    editor->after_tab = candidates.count != 1;
    if (candidates.count == 1)
        replace_word(editor, candidates.start, candidates.items[0].text, same,
                     candidates.items[0].after);
    else if (same > typed)
        replace_word(editor, candidates.start, candidates.items[0].text, same, "");
    else if (candidates.count > 1 && listed)
        print_list(editor, &candidates);
    else
        ring(editor);
    candidates_close(&candidates);
}

/* --- keys ------------------------------------------------------------------------------------ */

static void change_text(struct editor *editor, enum key key)
{
    struct edit_buffer *buffer = &editor->buffer;
    size_t at = buffer->cursor, end = edit_buffer_line_end(buffer, at);
    switch (key) {
    case KEY_TEXT:
        edit_buffer_insert(buffer, editor->keys.text, editor->keys.length);
        break;
    case KEY_NEW_LINE:
        edit_buffer_insert(buffer, "\n", 1);
        break;
    case KEY_BACKSPACE:
        edit_buffer_delete(buffer, edit_buffer_left(buffer, at), at);
        break;
    case KEY_DELETE:
    case KEY_DELETE_OR_END:
        edit_buffer_delete(buffer, at, edit_buffer_right(buffer, at));
        break;
    case KEY_CUT_TO_END:
        edit_buffer_cut(buffer, at, end == at ? edit_buffer_right(buffer, at) : end);
        break;
    case KEY_CUT_TO_START:
        edit_buffer_cut(buffer, edit_buffer_line_start(buffer, at), at);
        break;
    case KEY_CUT_WORD_LEFT:
        edit_buffer_cut(buffer, edit_buffer_word_left(buffer, at), at);
        break;
    case KEY_CUT_WORD_RIGHT:
        edit_buffer_cut(buffer, at, edit_buffer_word_right(buffer, at));
        buffer->cursor = at;
        break;
    case KEY_YANK:
        edit_buffer_yank(buffer);
        break;
    case KEY_TRANSPOSE:
        edit_buffer_transpose(buffer);
        break;
    default:
        break;
    }
}

static void move_cursor(struct editor *editor, enum key key)
{
    struct edit_buffer *buffer = &editor->buffer;
    size_t at = buffer->cursor;
    switch (key) {
    case KEY_LEFT:
        buffer->cursor = edit_buffer_left(buffer, at);
        break;
    case KEY_RIGHT:
        buffer->cursor = edit_buffer_right(buffer, at);
        break;
    case KEY_WORD_LEFT:
        buffer->cursor = edit_buffer_word_left(buffer, at);
        break;
    case KEY_WORD_RIGHT:
        buffer->cursor = edit_buffer_word_right(buffer, at);
        break;
    case KEY_HOME:
        buffer->cursor = edit_buffer_line_start(buffer, at);
        break;
    case KEY_END:
        buffer->cursor = edit_buffer_line_end(buffer, at);
        break;
    default:
        break;
    }
}

/* Whether Enter runs the text. Where it did not before, what is behind that text must end something
 * to change it: pasted lines are not all read again for each of them. */
static bool is_complete(struct editor *editor)
{
    const struct edit_buffer *buffer = &editor->buffer;
    const char *fresh = buffer->bytes + editor->known;
    if (editor->known > 0 && strchr(fresh, ';') == NULL && strstr(fresh, "*/") == NULL)
        return false;
    return editor->questions->is_complete(editor->questions->context, buffer->bytes,
                                          buffer->length);
}

/* Does what a key says. True where that ends the editing. */
static bool do_key(struct editor *editor, enum key key)
{
    struct edit_buffer *buffer = &editor->buffer;
    size_t goal = buffer->goal;
    bool after_tab = editor->after_tab;
    buffer->goal = 0;
    editor->after_tab = false;
    if (key != KEY_ENTER && (key != KEY_TEXT || buffer->cursor < buffer->length))
        editor->known = 0;
    switch (key) {
    case KEY_ENTER:
        if (is_complete(editor))
            return true;
        editor->known = buffer->cursor == buffer->length ? buffer->length : 0;
        change_text(editor, KEY_NEW_LINE);
        break;
    case KEY_TAB:
        editor->after_tab = after_tab;
        complete(editor);
        break;
    case KEY_UP:
    case KEY_DOWN:
        buffer->goal = goal;
        if (!(key == KEY_UP ? edit_buffer_up : edit_buffer_down)(buffer))
            show_neighbour(editor, key == KEY_UP);
        break;
    case KEY_PREVIOUS:
    case KEY_NEXT:
        show_neighbour(editor, key == KEY_PREVIOUS);
        break;
    case KEY_CLEAR_SCREEN:
        edit_screen_clear(&editor->screen);
        break;
    case KEY_SEARCH:
        begin_search(editor);
        break;
    default:
        move_cursor(editor, key);
        change_text(editor, key);
        break;
    }
    return false;
}

static enum prompt_event edit(struct editor *editor)
{
    for (;;) {
        enum key key = key_read(&editor->keys);
        if (key == KEY_STOP)
            return editor->stop;
        if (editor->searching && search_key(editor, key))
            continue;
        if (key == KEY_DELETE_OR_END && editor->buffer.length == 0)
            return PROMPT_END;
        if (do_key(editor, key))
            return PROMPT_LINE;
    }
}

enum prompt_event editor_read(struct editor *editor, const char *prompt, const char *prompt_more,
                              const char **text, size_t *length)
{
    struct edit_buffer *buffer = &editor->buffer;
    editor->prompt = prompt;
    editor->prompt_more = prompt_more;
    editor->entry = editor->entry_count;
    editor->searching = editor->after_tab = false;
    editor->known = 0;
    edit_buffer_delete(buffer, 0, buffer->length);
    edit_screen_measure(&editor->screen);
    interrupt_prompt_begin();
    /* raw before the prompt is there: a cooked terminal would cut a long line that comes at once */
    make_raw(editor);
    enum prompt_event event = edit(editor);
    editor->searching = false;
    if (event != PROMPT_LINE)
        key_reader_clear(&editor->keys);
    draw(editor);
    edit_screen_leave(&editor->screen);
    make_cooked(editor);
    interrupt_prompt_end();
    buffer->cursor = buffer->length;
    if (event == PROMPT_LINE && !edit_buffer_insert(buffer, "\n", 1))
        return PROMPT_END;
    *text = buffer->bytes;
    *length = buffer->length;
    return event;
}

/* --- life ------------------------------------------------------------------------------------ */

struct editor *editor_open(FILE *out, const struct prompt_questions *questions)
{
    struct editor *editor = calloc(1, sizeof *editor);
    if (editor == NULL)
        return NULL;
    editor->out = editor->screen.out = out;
    editor->questions = questions;
    editor->keys.fill = read_bytes;
    editor->keys.context = editor;
    editor->entries = calloc(HISTORY_ENTRIES_MAX, sizeof *editor->entries);
    if (editor->entries == NULL || !edit_buffer_open(&editor->buffer) ||
        tcgetattr(STDIN_FILENO, &editor->before) != 0) {
        editor_close(editor);
        return NULL;
    }
    return editor;
}

void editor_close(struct editor *editor)
{
    if (editor == NULL)
        return;
    for (size_t i = 0; i < editor->entry_count; i++)
        free(editor->entries[i]);
    free(editor->entries);
    free(editor->typed);
    key_reader_close(&editor->keys);
    edit_buffer_close(&editor->buffer);
    edit_screen_close(&editor->screen);
    free(editor);
}
