/* render_csv.c - results as CSV (RFC 4180): a header line, then a line a row.
 *
 * NULL is an empty field, an empty text is "". Fields are exact, except on a terminal, where
 * control characters are shown as \xNN so that data cannot drive it.
 */
#include "render_private.h"

#include <string.h>

#include "text.h"

static void write_exact(FILE *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            putc_unlocked('"', out);
        putc_unlocked(text[i], out);
    }
}

static void write_shown(FILE *out, const char *text, size_t length)
{
    while (length > 0) {
        const char *quote = memchr(text, '"', length);
        size_t part = quote == NULL ? length : (size_t)(quote - text) + 1;
        show_lines(out, text, part);
        if (quote != NULL)
            putc_unlocked('"', out);
        text += part;
        length -= part;
    }
}

static bool needs_quotes(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] == ',' || text[i] == '"' || text[i] == '\r' || text[i] == '\n')
            return true;
    return length == 0;
}

static void write_field(const struct rows *rows, const char *text, size_t length)
{
    bool quotes = needs_quotes(text, length);
    if (quotes)
        putc_unlocked('"', rows->out);
    if (rows->options->columns > 0)
        write_shown(rows->out, text, length);
    else
        write_exact(rows->out, text, length);
    if (quotes)
        putc_unlocked('"', rows->out);
}

static omen_status write_row(struct rows *rows, omen_error *error)
{
    for (size_t column = 0; column < rows->column_count; column++) {
        struct value_text value;
        omen_status status = rows_text(rows, column, &value, error);
        if (status != OMEN_OK)
            return status;
        if (column > 0)
            putc_unlocked(',', rows->out);
        if (value.text != NULL)
            write_field(rows, value.text, value.length);
    }
    putc_unlocked('\n', rows->out);
    return OMEN_OK;
}

omen_status render_csv(struct rows *rows, omen_status first, omen_error *error)
{
    for (size_t column = 0; column < rows->column_count; column++) {
        const char *name = omen_statement_column_name(rows->statement, column);
        if (column > 0)
            putc_unlocked(',', rows->out);
        write_field(rows, name, strlen(name));
    }
    putc_unlocked('\n', rows->out);
    omen_status status = first;
    while (status == OMEN_OK)
        if ((status = write_row(rows, error)) == OMEN_OK)
            status = rows_next(rows, error);
    return status;
}
