/* edit_buffer.c - the text that is being typed. */
#define _POSIX_C_SOURCE 200809L
#include "edit_buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { CAPACITY_FIRST = 256 };

bool edit_buffer_open(struct edit_buffer *buffer)
{
    buffer->bytes = malloc(CAPACITY_FIRST);
    if (buffer->bytes == NULL)
        return false;
    buffer->capacity = CAPACITY_FIRST;
    buffer->bytes[0] = '\0';
    return true;
}

void edit_buffer_close(struct edit_buffer *buffer)
{
    free(buffer->bytes);
    free(buffer->killed);
    *buffer = (struct edit_buffer){0};
}

bool edit_buffer_insert(struct edit_buffer *buffer, const char *text, size_t length)
{
    size_t needed = buffer->length + length + 1;
    if (needed > buffer->capacity) {
        char *larger = realloc(buffer->bytes, 2 * needed);
        if (larger == NULL)
            return false;
        buffer->bytes = larger;
        buffer->capacity = 2 * needed;
    }
    char *at = buffer->bytes + buffer->cursor;
    memmove(at + length, at, buffer->length - buffer->cursor + 1);
    memcpy(at, text, length);
    buffer->length += length;
    buffer->cursor += length;
    return true;
}

bool edit_buffer_set(struct edit_buffer *buffer, const char *text, size_t length)
{
    size_t before = buffer->length;
    buffer->cursor = before;
    if (!edit_buffer_insert(buffer, text, length))
        return false;
    edit_buffer_delete(buffer, 0, before);
    buffer->cursor = buffer->length;
    return true;
}

void edit_buffer_delete(struct edit_buffer *buffer, size_t from, size_t to)
{
    memmove(buffer->bytes + from, buffer->bytes + to, buffer->length - to + 1);
    buffer->length -= to - from;
    buffer->cursor = from;
}

void edit_buffer_cut(struct edit_buffer *buffer, size_t from, size_t to)
{
    char *copy = from < to ? strndup(buffer->bytes + from, to - from) : NULL;
    if (copy != NULL) {
        free(buffer->killed);
        buffer->killed = copy;
    }
    edit_buffer_delete(buffer, from, to);
}

bool edit_buffer_yank(struct edit_buffer *buffer)
{
    return buffer->killed == NULL ||
           edit_buffer_insert(buffer, buffer->killed, strlen(buffer->killed));
}

void edit_buffer_transpose(struct edit_buffer *buffer)
{
    size_t second = buffer->cursor, end;
    if (second == edit_buffer_line_end(buffer, second))
        second = edit_buffer_left(buffer, second);
    size_t first = edit_buffer_left(buffer, second);
    if (first == second || buffer->bytes[first] == '\n' || buffer->bytes[second] == '\0')
        return;
    end = edit_buffer_right(buffer, second);
    char *copy = strndup(buffer->bytes + first, second - first);
    if (copy == NULL)
        return;
    memmove(buffer->bytes + first, buffer->bytes + second, end - second);
    memcpy(buffer->bytes + first + (end - second), copy, second - first);
    free(copy);
    buffer->cursor = end;
}

/* --- positions ------------------------------------------------------------------------------- */

static bool is_mark(const struct edit_buffer *buffer, size_t at)
{
    return at < buffer->length && buffer->bytes[at] != '\n' &&
           show_character(buffer->bytes + at, buffer->length - at).columns == 0;
}

/* The start of the character that ends before `at` > 0. */
static size_t before(const struct edit_buffer *buffer, size_t at)
{
    uint32_t code;
    for (size_t bytes = 1; bytes <= 4 && bytes <= at; bytes++)
        if (text_decode(buffer->bytes + at - bytes, bytes, &code) == bytes && code != UINT32_MAX)
            return at - bytes;
    return at - 1;
}

size_t edit_buffer_left(const struct edit_buffer *buffer, size_t at)
{
    if (at == 0)
        return 0;
    do
        at = before(buffer, at);
    while (at > 0 && is_mark(buffer, at));
    return at;
}

size_t edit_buffer_right(const struct edit_buffer *buffer, size_t at)
{
    uint32_t code;
    if (at >= buffer->length)
        return buffer->length;
    do
        at += text_decode(buffer->bytes + at, buffer->length - at, &code);
    while (is_mark(buffer, at));
    return at;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

size_t edit_buffer_word_left(const struct edit_buffer *buffer, size_t at)
{
    while (at > 0 && !is_word(buffer->bytes[at - 1]))
        at--;
    while (at > 0 && is_word(buffer->bytes[at - 1]))
        at--;
    return at;
}

size_t edit_buffer_word_right(const struct edit_buffer *buffer, size_t at)
{
    while (at < buffer->length && !is_word(buffer->bytes[at]))
        at++;
    while (at < buffer->length && is_word(buffer->bytes[at]))
        at++;
    return at;
}

size_t edit_buffer_line_start(const struct edit_buffer *buffer, size_t at)
{
    while (at > 0 && buffer->bytes[at - 1] != '\n')
        at--;
    return at;
}

size_t edit_buffer_line_end(const struct edit_buffer *buffer, size_t at)
{
    while (at < buffer->length && buffer->bytes[at] != '\n')
        at++;
    return at;
}

/* Puts the cursor into the line that starts at `start`, at the goal's column or at its end. */
static void go_to_line(struct edit_buffer *buffer, size_t start)
{
    size_t from = edit_buffer_line_start(buffer, buffer->cursor), column = 0, at = start;
    for (size_t i = from; i < buffer->cursor && buffer->goal == 0; i = edit_buffer_right(buffer, i))
        column += show_character(buffer->bytes + i, buffer->length - i).columns;
    if (buffer->goal == 0)
        buffer->goal = column + 1;
    for (column = 0; at < buffer->length && buffer->bytes[at] != '\n';
         at = edit_buffer_right(buffer, at)) {
        column += show_character(buffer->bytes + at, buffer->length - at).columns;
        if (column >= buffer->goal)
            break;
    }
    buffer->cursor = at;
}

bool edit_buffer_up(struct edit_buffer *buffer)
{
    size_t start = edit_buffer_line_start(buffer, buffer->cursor);
    if (start == 0)
        return false;
    go_to_line(buffer, edit_buffer_line_start(buffer, start - 1));
    return true;
}

bool edit_buffer_down(struct edit_buffer *buffer)
{
    size_t end = edit_buffer_line_end(buffer, buffer->cursor);
    if (end == buffer->length)
        return false;
    go_to_line(buffer, end + 1);
    return true;
}
