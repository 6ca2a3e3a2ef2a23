/* render.h - prints the result of a statement in one of five formats. */
#ifndef OMEN_CLI_RENDER_H
#define OMEN_CLI_RENDER_H

#include <stdio.h>

#include "omendb.h"

enum render_format { RENDER_TABLE, RENDER_CSV, RENDER_JSON, RENDER_MARKDOWN, RENDER_LINE };

struct render_options {
    enum render_format format;
    size_t columns;    /* of the terminal that tables are fitted to; 0 where it is none */
    uint64_t rows_max; /* of a table: head and tail of a longer one are shown; 0 = all rows */
    bool follows;      /* another result was printed before; some formats need a line between */
};

/* What a result took. `seconds` is the time of omen_step alone, without the printing. */
struct render_totals {
    uint64_t row_count;
    double seconds;
};

/* Steps through the rows of an executed statement and prints them to `out`. Nothing is printed
 * where the first step fails. Memory is bounded whatever the number of rows: a table's columns
 * take their widths from its first rows. Ends early, with CANCELLED, at Ctrl-C.
 * Errors: those of omen_step; OUT_OF_MEMORY; IO_ERROR where `out` failed. */
OMEN_MUST_CHECK omen_status render_result(omen_statement *statement,
                                          const struct render_options *options, FILE *out,
                                          struct render_totals *totals, omen_error *error);

/* A format's name, and the format of a name: false where there is none. Static strings. */
const char *render_format_name(enum render_format format);
bool render_format_find(const char *name, enum render_format *format);

/* "table, csv, json, markdown, line", for messages. */
extern const char render_format_list[];

/* Whether tags and timings may stand between the results on standard output: the other formats
 * are for programs, which want rows only. */
bool render_format_is_for_people(enum render_format format);

/* Seconds of a monotonic clock. */
double render_now_seconds(void);

#endif
