/* scan.c - blanks and comments as SQL has them: -- to the line's end, and nested block comments. */
#include "scan.h"

#include <string.h>

bool scan_is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

size_t scan_blank(const char *text, size_t length)
{
    size_t at = 0;
    while (at < length && scan_is_blank(text[at]))
        at++;
    return at;
}

/* The end of the comment at `at`; `length` + 1 where it does not end. */
static size_t comment_end(const char *text, size_t length, size_t at)
{
    if (text[at] == '-') {
        const char *end = memchr(text + at, '\n', length - at);
        return end == NULL ? length : (size_t)(end - text);
    }
    for (size_t depth = 0; at + 1 < length; at++) {
        bool opens = text[at] == '/' && text[at + 1] == '*';
        bool closes = text[at] == '*' && text[at + 1] == '/';
        if (closes && --depth == 0)
            return at + 2;
        depth += opens;
        at += opens || closes;
    }
    return length + 1;
}

size_t scan_comments(const char *text, size_t length)
{
    size_t at = scan_blank(text, length);
    while (at + 1 < length &&
           ((text[at] == '-' && text[at + 1] == '-') || (text[at] == '/' && text[at + 1] == '*'))) {
        at = comment_end(text, length, at);
        if (at > length)
            return at;
        at += scan_blank(text + at, length - at);
    }
    return at;
}
