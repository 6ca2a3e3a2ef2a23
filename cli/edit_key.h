/* edit_key.h - what the terminal sends, as keys. */
#ifndef OMEN_CLI_EDIT_KEY_H
#define OMEN_CLI_EDIT_KEY_H

#include <stdbool.h>
#include <stddef.h>

enum key {
    KEY_NONE, /* unknown sequences: nothing is to be done */
    KEY_STOP, /* no byte could be had */
    KEY_TEXT, /* a character, or pasted text with line feeds as line ends */
    KEY_ENTER,
    KEY_NEW_LINE, /* Alt-Enter */
    KEY_TAB,
    KEY_LEFT,
    KEY_RIGHT,
    KEY_UP,
    KEY_DOWN,
    KEY_WORD_LEFT,
    KEY_WORD_RIGHT,
    KEY_HOME,
    KEY_END,
    KEY_PREVIOUS, /* entry of the history, from any line: page up */
    KEY_NEXT,
    KEY_BACKSPACE,
    KEY_DELETE,
    KEY_DELETE_OR_END, /* Ctrl-D */
    KEY_CUT_TO_END,
    KEY_CUT_TO_START,
    KEY_CUT_WORD_LEFT,
    KEY_CUT_WORD_RIGHT,
    KEY_YANK,
    KEY_TRANSPOSE,
    KEY_CLEAR_SCREEN,
    KEY_SEARCH,
    KEY_ABORT,  /* Ctrl-G */
    KEY_ESCAPE, /* twice, or before a key that has no meaning with it */
};

enum { KEY_BUFFER_BYTES = 4096 };

/* Bytes read ahead, and the text of the last key. Begins as {.fill = ..., .context = ...}. */
struct key_reader {
    /* Gives more bytes, at least one; 0 to stop. Waits. */
    size_t (*fill)(void *context, char *bytes, size_t capacity);
    void *context;
    char bytes[KEY_BUFFER_BYTES];
    size_t start, end;
    char *text; /* of KEY_TEXT, zero-terminated; owned: freed by key_reader_close */
    size_t length, capacity;
};

/* The next key. */
enum key key_read(struct key_reader *reader);

/* Whether text follows that has come together with the last key, as where something is pasted. */
bool key_text_follows(const struct key_reader *reader);

/* Whether there is nothing read ahead. */
bool key_reader_is_empty(const struct key_reader *reader);

/* Forgets what was read ahead. */
void key_reader_clear(struct key_reader *reader);
void key_reader_close(struct key_reader *reader);

#endif
