/* output.h - whether standard output still takes what is written. */
#ifndef OMEN_CLI_OUTPUT_H
#define OMEN_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a write to standard output has failed. Call it soon after writing: the first call that
 * finds a failure keeps its errno for output_errno. */
bool output_failed(void);

/* Why: EPIPE where nobody reads any more; 0 where nothing failed. */
int output_errno(void);

/* Columns of the terminal that standard output is; 0 where it is none. */
size_t output_columns(void);

#endif
