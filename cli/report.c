/* report.c - error messages. All text in them is shown harmlessly (text.h). */
#define _POSIX_C_SOURCE 200809L
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"
#include "text.h"

enum { LINE_COLUMNS = 72, COLUMNS_BEFORE_CARET = 48 };

#define ELLIPSIS "\xE2\x80\xA6"

/* The byte of the 1-based character `position`; `length` where the text has fewer. */
static size_t byte_of(const char *sql, size_t length, int32_t position)
{
    size_t at = 0;
    uint32_t code;
    for (int32_t i = 1; i < position && at < length; i++)
        at += text_decode(sql + at, length - at, &code);
    return at;
}

/* The first byte that is no UTF-8, or a zero; `length` where all is well. */
static size_t broken_byte(const char *sql, size_t length)
{
    uint32_t code = 1;
    for (size_t at = 0, bytes; at < length; at += bytes) {
        bytes = text_decode(sql + at, length - at, &code);
        if (code == UINT32_MAX || code == 0)
            return at;
    }
    return length;
}

/* As it stands in a message's line: a tab is one blank, so that carets are under their character.
 */
static struct shown show_in_line(const char *text, size_t left)
{
    struct shown shown = show_character(text, left);
    if (text[0] == '\t')
        shown = (struct shown){.text = " ", .length = 1, .columns = 1, .taken = 1};
    return shown;
}

static size_t columns_between(const char *text, size_t from, size_t to)
{
    size_t columns = 0;
    while (from < to) {
        struct shown shown = show_in_line(text + from, to - from);
        columns += shown.columns;
        from += shown.taken;
    }
    return columns;
}

/* Prints a line's label, e.g. "LINE 3: ", and gives its columns. */
static size_t print_label(const struct place *place, uint64_t line)
{
    char number[32];
    size_t columns =
        (size_t)snprintf(number, sizeof number,
                         place->file == NULL ? "%llu: " : ":%llu: ", (unsigned long long)line);
    if (place->file == NULL) {
        fprintf(stderr, "LINE %s", number);
        return columns + strlen("LINE ");
    }
    size_t length = strlen(place->file);
    show(stderr, place->file, length);
    fputs(number, stderr);
    return columns + columns_between(place->file, 0, length);
}

/* Where a line is to begin so that few enough columns are before `at`. Halves the distance while
 * it is long, since a line may be huge. */
static size_t window_start(const char *text, size_t from, size_t at)
{
    uint32_t code;
    while (columns_between(text, from, at) > COLUMNS_BEFORE_CARET) {
        size_t half = (at - from) / 2;
        from += half > COLUMNS_BEFORE_CARET ? half : text_decode(text + from, at - from, &code);
        while (from < at && ((unsigned char)text[from] & 0xC0) == 0x80)
            from++;
    }
    return from;
}

/* Prints the line [start, end) of the text, around the byte `at` where it is long, and gives the
 * columns before that byte. */
static size_t print_line(const char *text, size_t start, size_t end, size_t at)
{
    size_t from = window_start(text, start, at);
    size_t columns = from > start ? 1 : 0;
    size_t before = columns + columns_between(text, from, at);
    fputs(from > start ? ELLIPSIS : "", stderr);
    while (from < end && columns < LINE_COLUMNS) {
        struct shown shown = show_in_line(text + from, end - from);
        fwrite(shown.text, 1, shown.length, stderr);
        columns += shown.columns;
        from += shown.taken;
    }
    fputs(from < end ? ELLIPSIS "\n" : "\n", stderr);
    return before;
}

static void print_place(const char *sql, size_t length, const struct place *place, size_t at,
                        bool caret)
{
    while (at == length && at > 0 && strchr(" \t\r\n", sql[at - 1]) != NULL)
        length = --at; /* an error at the end is behind the last word */
    size_t start = 0, end = at;
    uint64_t line = place->line;
    for (size_t i = 0; i < at; i++) {
        if (sql[i] == '\n') {
            start = i + 1;
            line++;
        }
    }
    while (end < length && sql[end] != '\n')
        end++;
    if (end > at && sql[end - 1] == '\r')
        end--;
    size_t columns = print_label(place, line);
    columns += print_line(sql, start, end, at);
    if (caret)
        fprintf(stderr, "%*s^\n", (int)columns, "");
}

/* A message in one line, behind a label. */
static void print_message(const char *label, const char *message)
{
    fputs(label, stderr);
    size_t length = strlen(message);
    for (size_t i = 0, part; i < length; i += part + 1) {
        const char *end = memchr(message + i, '\n', length - i);
        part = end == NULL ? length - i : (size_t)(end - message) - i;
        show(stderr, message + i, part);
        fputs(end == NULL ? "" : " ", stderr);
    }
}

/* Where in the statement the error is, and, in a script, which statement that is. */
static void print_statement(const omen_error *error, const char *sql, size_t length,
                            const struct place *place)
{
    size_t at = byte_of(sql, length, error->position);
    bool known = error->position > 0;
    if (!known && error->status == OMEN_INVALID_ENCODING) {
        at = broken_byte(sql, length);
        known = at < length;
    }
    if (!known)
        at = scan_comments(sql, length); /* the statement's first word */
    if (at > length)
        at = 0;
    if (known || place->is_script)
        print_place(sql, length, place, at, known);
}

void report_error(const omen_error *error, const char *sql, size_t length,
                  const struct place *place)
{
    const char *hint = omen_error_hint(error);
    fflush(stdout);
    print_message("ERROR: ", error->message);
    fprintf(stderr, " (%s)\n", error->sqlstate);
    if (sql != NULL)
        print_statement(error, sql, length, place);
    if (hint[0] == '\0')
        return;
    print_message("HINT: ", hint);
    putc('\n', stderr);
}

void report_warning(omen_connection *connection)
{
    omen_error warning;
    if (!omen_warning_take(connection, &warning))
        return;
    fflush(stdout);
    print_message("WARNING: ", warning.message);
    fprintf(stderr, " (%s)\n", warning.sqlstate);
}

omen_status report_fill(omen_error *error, omen_status status, const char *format, ...)
{
    va_list arguments;
    *error = (omen_error){.status = status};
    memcpy(error->sqlstate, omen_status_sqlstate(status), sizeof error->sqlstate);
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return status;
}
