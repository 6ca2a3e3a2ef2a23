/* edit_key.c - bytes to keys: control characters as Emacs and readline have them, and the
 * sequences of xterm and its kin.
 *
 *   ESC [ parameters letter      ESC [ number ~      ESC O letter      ESC key (Alt)
 *
 * What is pasted comes between ESC [200~ and ESC [201~ from a terminal that was asked for it.
 */
#include "edit_key.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    ESCAPE = 0x1B,
    TEXT_BYTES_MAX = 32 << 20, /* of a paste; the rest is dropped */
};

#define CONTROL(letter) ((letter) - '@')

static int next_byte(struct key_reader *reader)
{
    if (reader->start == reader->end) {
        reader->start = 0;
        reader->end = reader->fill(reader->context, reader->bytes, sizeof reader->bytes);
        if (reader->end == 0)
            return -1;
    }
    return (unsigned char)reader->bytes[reader->start++];
}

static void add_byte(struct key_reader *reader, char byte)
{
    if (reader->length + 1 >= reader->capacity) {
        size_t capacity = 2 * reader->capacity + 64;
        char *larger = capacity > TEXT_BYTES_MAX ? NULL : realloc(reader->text, capacity);
        if (larger == NULL)
            return;
        reader->text = larger;
        reader->capacity = capacity;
    }
    reader->text[reader->length++] = byte;
    reader->text[reader->length] = '\0';
}

/* A character whose first byte has been read. Broken UTF-8 stays as it is: the text is shown
 * harmlessly, and the database says what is wrong. */
static enum key read_character(struct key_reader *reader, int first)
{
    size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC2 ? 1 : 0;
    add_byte(reader, (char)first);
    for (; more > 0; more--) {
        int byte = next_byte(reader);
        if (byte < 0)
            return KEY_STOP;
        if ((byte & 0xC0) != 0x80) {
            reader->start--;
            break;
        }
        add_byte(reader, (char)byte);
    }
    return reader->length > 0 ? KEY_TEXT : KEY_NONE;
}

/* Reads to the end of what is pasted. */
static enum key read_paste(struct key_reader *reader)
{
    static const char end[] = "\x1b[201~";
    size_t matched = 0;
    bool after_return = false;
    while (matched < sizeof end - 1) {
        int byte = next_byte(reader);
        if (byte < 0)
            return KEY_STOP;
        if (byte == end[matched]) {
            matched++;
            continue;
        }
        for (size_t i = 0; i < matched; i++)
            add_byte(reader, end[i]);
        matched = 0;
        if (byte == end[0])
            matched = 1;
        else if (byte == '\r' || (byte == '\n' && !after_return))
            add_byte(reader, '\n');
        else if (byte != '\n' && byte != 0)
            add_byte(reader, (char)byte);
        after_return = byte == '\r';
    }
    return reader->length > 0 ? KEY_TEXT : KEY_NONE;
}

static enum key key_of_number(int number)
{
    switch (number) {
    case 1:
    case 7:
        return KEY_HOME;
    case 3:
        return KEY_DELETE;
    case 4:
    case 8:
        return KEY_END;
    case 5:
        return KEY_PREVIOUS;
    case 6:
        return KEY_NEXT;
    default:
        return KEY_NONE;
    }
}

/* `by_word`: with Ctrl or Alt. */
static enum key key_of_letter(int letter, bool by_word)
{
    switch (letter) {
    case 'A':
        return by_word ? KEY_PREVIOUS : KEY_UP;
    case 'B':
        return by_word ? KEY_NEXT : KEY_DOWN;
    case 'C':
        return by_word ? KEY_WORD_RIGHT : KEY_RIGHT;
    case 'D':
        return by_word ? KEY_WORD_LEFT : KEY_LEFT;
    case 'H':
        return KEY_HOME;
    case 'F':
        return KEY_END;
    default:
        return KEY_NONE;
    }
}

/* What follows ESC [. */
static enum key read_sequence(struct key_reader *reader)
{
    int numbers[2] = {0, 0}, which = 0, byte;
    for (;;) {
        byte = next_byte(reader);
        if (byte < 0)
            return KEY_STOP;
        if (byte >= '0' && byte <= '9' && numbers[which] < 1000)
            numbers[which] = 10 * numbers[which] + byte - '0';
        else if (byte == ';')
            which = 1;
        else if (byte >= 0x40)
            break;
    }
    if (byte == '~' && numbers[0] == 200)
        return read_paste(reader);
    if (byte == '~')
        return key_of_number(numbers[0]);
    return key_of_letter(byte, numbers[1] > 2);
}

static enum key read_escape(struct key_reader *reader)
{
    int byte = next_byte(reader);
    switch (byte) {
    case -1:
        return KEY_STOP;
    case '[':
        return read_sequence(reader);
    case 'O':
        byte = next_byte(reader);
        return byte < 0 ? KEY_STOP : key_of_letter(byte, false);
    case '\r':
    case '\n':
        return KEY_NEW_LINE;
    case 'b':
        return KEY_WORD_LEFT;
    case 'f':
        return KEY_WORD_RIGHT;
    case 'd':
        return KEY_CUT_WORD_RIGHT;
    case 0x7F:
    case CONTROL('H'):
        return KEY_CUT_WORD_LEFT;
    default:
        return KEY_ESCAPE;
    }
}

static enum key key_of_control(int byte)
{
    static const unsigned char keys[ESCAPE + 1] = {
        [0] = KEY_DELETE_OR_END, /* as Ctrl-D arrives that was typed before the terminal was raw */
        [CONTROL('A')] = KEY_HOME,
        [CONTROL('B')] = KEY_LEFT,
        [CONTROL('D')] = KEY_DELETE_OR_END,
        [CONTROL('E')] = KEY_END,
        [CONTROL('F')] = KEY_RIGHT,
        [CONTROL('G')] = KEY_ABORT,
        [CONTROL('H')] = KEY_BACKSPACE,
        [CONTROL('I')] = KEY_TAB,
        [CONTROL('J')] = KEY_ENTER,
        [CONTROL('K')] = KEY_CUT_TO_END,
        [CONTROL('L')] = KEY_CLEAR_SCREEN,
        [CONTROL('M')] = KEY_ENTER,
        [CONTROL('N')] = KEY_DOWN,
        [CONTROL('P')] = KEY_UP,
        [CONTROL('R')] = KEY_SEARCH,
        [CONTROL('T')] = KEY_TRANSPOSE,
        [CONTROL('U')] = KEY_CUT_TO_START,
        [CONTROL('W')] = KEY_CUT_WORD_LEFT,
        [CONTROL('Y')] = KEY_YANK,
    };
    return byte <= ESCAPE ? (enum key)keys[byte] : KEY_NONE;
}

enum key key_read(struct key_reader *reader)
{
    reader->length = 0;
    int byte = next_byte(reader);
    if (byte < 0)
        return KEY_STOP;
    if (byte == ESCAPE)
        return read_escape(reader);
    if (byte == 0x7F)
        return KEY_BACKSPACE;
    if (byte >= 0x20)
        return read_character(reader, byte);
    if (byte == '\r' && reader->start < reader->end && reader->bytes[reader->start] == '\n')
        reader->start++;
    return key_of_control(byte);
}

bool key_text_follows(const struct key_reader *reader)
{
    return reader->start < reader->end && (unsigned char)reader->bytes[reader->start] >= 0x20;
}

bool key_reader_is_empty(const struct key_reader *reader)
{
    return reader->start == reader->end;
}

void key_reader_clear(struct key_reader *reader)
{
    reader->start = reader->end = 0;
}

void key_reader_close(struct key_reader *reader)
{
    free(reader->text);
    reader->text = NULL;
    reader->capacity = reader->length = 0;
}
