/* render.h - prints the result of a statement as a table or as CSV. */
#ifndef OMEN_CLI_RENDER_H
#define OMEN_CLI_RENDER_H

#include <stdio.h>

#include "omendb.h"

enum render_format { RENDER_TABLE, RENDER_CSV };

/* Steps through the rows of an executed statement and prints them to `out`. Memory is bounded:
 * table columns take their widths from the first rows. `*row_count` gets the rows printed,
 * `*seconds` the time that omen_step took for them, without the printing.
 * Errors: those of omen_step; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status render_result(omen_statement *statement, enum render_format format,
                                          FILE *out, uint64_t *row_count, double *seconds,
                                          omen_error *error);

/* Seconds of a monotonic clock. */
double render_now_seconds(void);

/* Writes a text with its control characters as \xNN, so that it cannot rearrange a terminal. */
void render_text(FILE *out, const char *text);

#endif
