/* render_private.h - what the formats share: a walk over the rows of a result.
 *
 *   rows_next ---> rows_is_null(column) / rows_text(column) ---> rows_next ---> ... END_OF_DATA
 */
#ifndef OMEN_CLI_RENDER_PRIVATE_H
#define OMEN_CLI_RENDER_PRIVATE_H

#include "render.h"

struct rows {
    omen_statement *statement;
    const struct render_options *options;
    FILE *out;
    size_t column_count;
    struct render_totals *totals;
    char *buffer; /* the text of one value */
    size_t capacity;
};

/* A value as text, in the rows' buffer until the next call. */
struct value_text {
    const char *text; /* not zero-terminated; NULL for an SQL NULL */
    size_t length;
    omen_value value;
};

/* The next row, counted. END_OF_DATA after the last; IO_ERROR where the output has failed;
 * CANCELLED after Ctrl-C; errors of omen_step. */
OMEN_MUST_CHECK omen_status rows_next(struct rows *rows, omen_error *error);

/* The value of a column of the current row. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status rows_text(struct rows *rows, size_t column, struct value_text *out,
                                      omen_error *error);

/* Whether values of the type are aligned right, and are numbers in JSON. */
bool type_is_number(omen_type type);

/* The type as a table's header shows it, e.g. "numeric(5,2)"; at most 32 bytes with the zero. */
enum { TYPE_NAME_BYTES = 32 };
void type_name(omen_type type, char name[TYPE_NAME_BYTES]);

/* Fills `error` and returns OUT_OF_MEMORY. */
omen_status render_out_of_memory(omen_error *error);

/* The formats. `first` is the status of the first rows_next: OK or END_OF_DATA. */
OMEN_MUST_CHECK omen_status render_table(struct rows *rows, omen_status first, omen_error *error);
OMEN_MUST_CHECK omen_status render_csv(struct rows *rows, omen_status first, omen_error *error);
OMEN_MUST_CHECK omen_status render_json(struct rows *rows, omen_status first, omen_error *error);
OMEN_MUST_CHECK omen_status render_markdown(struct rows *rows, omen_status first,
                                            omen_error *error);
OMEN_MUST_CHECK omen_status render_line(struct rows *rows, omen_status first, omen_error *error);

#endif
