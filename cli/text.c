/* text.c - text for terminals. Column widths are the C library's wcwidth; what it does not know
 * counts as one column. */
#define _XOPEN_SOURCE 700
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define ELLIPSIS "\xE2\x80\xA6"

static bool is_continuation(const char *text, size_t left, size_t at)
{
    return at < left && ((unsigned char)text[at] & 0xC0) == 0x80;
}

size_t text_decode(const char *text, size_t left, uint32_t *code)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)text[0];
    *code = first;
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    uint32_t value = first & (0x7Fu >> length);
    bool valid = first >= 0xC2 && first <= 0xF4;
    for (size_t i = 1; i < length && valid; i++) {
        valid = is_continuation(text, left, i);
        value = value << 6 | (valid ? (unsigned char)text[i] & 0x3Fu : 0);
    }
    if (!valid || value < smallest[length] || value > 0x10FFFF ||
        (value >= 0xD800 && value <= 0xDFFF)) {
        *code = UINT32_MAX;
        return 1;
    }
    *code = value;
    return length;
}

bool text_is_harmful(uint32_t code)
{
    if (code < 0x20 || (code >= 0x7F && code <= 0x9F))
        return true;
    return code == 0x061C || code == 0x200E || code == 0x200F ||
           (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

/* Writes `digits` hexadecimal digits of `value` behind a backslash and a letter. */
static void show_number(struct shown *shown, char letter, uint32_t value, size_t digits)
{
    shown->text[0] = '\\';
    shown->text[1] = letter;
    for (size_t i = 0; i < digits; i++)
        shown->text[2 + i] = "0123456789ABCDEF"[value >> 4 * (digits - 1 - i) & 15];
    shown->length = shown->columns = 2 + digits;
}

struct shown show_character(const char *text, size_t left)
{
    struct shown shown = {.columns = 1};
    uint32_t code;
    shown.taken = shown.length = text_decode(text, left, &code);
    if (code == UINT32_MAX) {
        show_number(&shown, 'x', (unsigned char)text[0], 2);
    } else if (code == '\n' || code == '\t') {
        memcpy(shown.text, code == '\n' ? "\\n" : "\\t", 2);
        shown.length = shown.columns = 2;
    } else if (text_is_harmful(code)) {
        show_number(&shown, code < 0x100 ? 'x' : 'u', code, code < 0x100 ? 2 : 4);
    } else {
        int columns = code < 0x7F ? 1 : wcwidth((wchar_t)code);
        memcpy(shown.text, text, shown.length);
        shown.columns = columns < 0 ? 1 : (size_t)columns;
    }
    return shown;
}

static void show_keeping(FILE *out, const char *text, size_t length, const char *kept)
{
    for (size_t i = 0; i < length;) {
        struct shown shown = show_character(text + i, length - i);
        if (text[i] != '\0' && strchr(kept, text[i]) != NULL)
            putc_unlocked(text[i], out);
        else
            fwrite(shown.text, 1, shown.length, out);
        i += shown.taken;
    }
}

void show(FILE *out, const char *text, size_t length)
{
    show_keeping(out, text, length, "");
}

void show_lines(FILE *out, const char *text, size_t length)
{
    show_keeping(out, text, length, "\n\t");
}

/* Puts an ellipsis behind what fits into columns_max - 1 columns. `copy` has room for it. */
static void cut(char *copy, size_t columns_max, size_t *columns)
{
    size_t end = shown_prefix(copy, columns_max - 1, columns);
    memcpy(copy + end, ELLIPSIS, sizeof ELLIPSIS);
    ++*columns;
}

char *show_copy(const char *text, size_t length, size_t columns_max, size_t *columns)
{
    size_t capacity = 64, end = 0, room = SHOWN_BYTES_MAX + sizeof ELLIPSIS;
    char *copy = malloc(capacity);
    *columns = 0;
    for (size_t i = 0; i < length && copy != NULL;) {
        struct shown shown = show_character(text + i, length - i);
        memcpy(copy + end, shown.text, shown.length);
        end += shown.length;
        *columns += shown.columns;
        i += shown.taken;
        if (columns_max > 0 && *columns > columns_max) {
            copy[end] = '\0';
            cut(copy, columns_max, columns);
            return copy;
        }
        if (capacity - end < room) {
            char *larger = realloc(copy, capacity *= 2);
            if (larger == NULL)
                free(copy);
            copy = larger;
        }
    }
    if (copy != NULL)
        copy[end] = '\0';
    return copy;
}

size_t shown_prefix(const char *shown, size_t columns, size_t *columns_taken)
{
    size_t length = strlen(shown), end = 0;
    *columns_taken = 0;
    while (end < length) {
        struct shown next = show_character(shown + end, length - end);
        if (*columns_taken + next.columns > columns)
            break;
        *columns_taken += next.columns;
        end += next.taken;
    }
    return end;
}
