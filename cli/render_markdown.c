/* render_markdown.c - a result as a Markdown table, cells as wide as they are.
 *
 * What Markdown or HTML would take for its own is escaped, a line feed becomes <br>, and NULL is
 * an empty cell. Columns of numbers are aligned right. A blank line is between two tables.
 */
#include "render_private.h"

#include <string.h>

#include "text.h"

static void write_cell(FILE *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        struct shown shown = show_character(text + i, length - i);
        char c = text[i];
        if (c == '\n')
            fputs("<br>", out);
        else if (c == '<' || c == '&')
            fputs(c == '<' ? "&lt;" : "&amp;", out);
        else if (c == '|' || c == '\\' || c == '*' || c == '`')
            fprintf(out, "\\%c", c);
        else if (shown.text[0] == '\\') /* a control character */
            fprintf(out, "\\%.*s", (int)shown.length, shown.text);
        else
            fwrite(shown.text, 1, shown.length, out);
        i += shown.taken;
    }
}

static void write_header(const struct rows *rows)
{
    for (size_t column = 0; column < rows->column_count; column++) {
        const char *name = omen_statement_column_name(rows->statement, column);
        fputs("| ", rows->out);
        write_cell(rows->out, name, strlen(name));
        putc_unlocked(' ', rows->out);
    }
    fputs("|\n", rows->out);
    for (size_t column = 0; column < rows->column_count; column++)
        fputs(type_is_number(omen_statement_column_type(rows->statement, column)) ? "| ---: "
                                                                                  : "| --- ",
              rows->out);
    fputs("|\n", rows->out);
}

static omen_status write_row(struct rows *rows, omen_error *error)
{
    for (size_t column = 0; column < rows->column_count; column++) {
        struct value_text value;
        omen_status status = rows_text(rows, column, &value, error);
        if (status != OMEN_OK)
            return status;
        fputs("| ", rows->out);
        write_cell(rows->out, value.text, value.length);
        putc_unlocked(' ', rows->out);
    }
    fputs("|\n", rows->out);
    return OMEN_OK;
}

omen_status render_markdown(struct rows *rows, omen_status first, omen_error *error)
{
    omen_status status = first;
    if (rows->options->follows)
        putc_unlocked('\n', rows->out);
    write_header(rows);
    while (status == OMEN_OK)
        if ((status = write_row(rows, error)) == OMEN_OK)
            status = rows_next(rows, error);
    return status;
}
