/* render_line.c - a result as lines `name = value`, with a blank line between rows. */
#include "render_private.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

/* The columns that the widest name takes. Errors: OUT_OF_MEMORY. */
static omen_status widest_name(const struct rows *rows, size_t *columns, omen_error *error)
{
    *columns = 0;
    for (size_t column = 0; column < rows->column_count; column++) {
        const char *name = omen_statement_column_name(rows->statement, column);
        size_t width;
        char *copy = show_copy(name, strlen(name), 0, &width);
        if (copy == NULL)
            return render_out_of_memory(error);
        free(copy);
        *columns = width > *columns ? width : *columns;
    }
    return OMEN_OK;
}

static omen_status write_value(struct rows *rows, size_t column, size_t name_columns,
                               omen_error *error)
{
    const char *name = omen_statement_column_name(rows->statement, column);
    struct value_text value;
    size_t width;
    char *copy = show_copy(name, strlen(name), 0, &width);
    omen_status status = copy == NULL ? render_out_of_memory(error) : OMEN_OK;
    if (status == OMEN_OK)
        status = rows_text(rows, column, &value, error);
    if (status == OMEN_OK) {
        fprintf(rows->out, "%*s%s = ", (int)(name_columns - width), "", copy);
        if (value.text == NULL)
            fputs("NULL", rows->out);
        else
            show(rows->out, value.text, value.length);
        putc_unlocked('\n', rows->out);
    }
    free(copy);
    return status;
}

omen_status render_line(struct rows *rows, omen_status first, omen_error *error)
{
    size_t name_columns;
    omen_status status = widest_name(rows, &name_columns, error);
    if (status != OMEN_OK)
        return status;
    status = first;
    for (bool more = rows->options->follows; status == OMEN_OK; more = true) {
        if (more)
            putc_unlocked('\n', rows->out);
        for (size_t column = 0; column < rows->column_count && status == OMEN_OK; column++)
            status = write_value(rows, column, name_columns, error);
        if (status == OMEN_OK)
            status = rows_next(rows, error);
    }
    return status;
}
