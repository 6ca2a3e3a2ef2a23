/* report.h - error messages: `ERROR: message (SQLSTATE)`, where in the text, and `HINT: ...`; and
 * warnings: `WARNING: message (SQLSTATE)`. */
#ifndef OMEN_CLI_REPORT_H
#define OMEN_CLI_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "omendb.h"

/* Where a text comes from. Borrowed. */
struct place {
    const char *file; /* its name; NULL for an argument, the prompt and standard input */
    bool is_script;   /* a file or standard input: a failed statement's line is always shown */
    uint64_t line;    /* of the text's first byte, from 1 */
};

/* Prints an error to standard error. With a statement, also the line of it that the error points
 * at, cut to the terminal, and a caret under the character, as `LINE 3: ...` or, in a file,
 * `name:3: ...`. `place` is the statement's. A hint comes last. */
void report_error(const omen_error *error, const char *sql, size_t length,
                  const struct place *place);

/* Prints what the connection's last statement warned of, if it did, to standard error. */
void report_warning(omen_connection *connection);

/* Fills an error of the shell's own, with the status's SQLSTATE, and returns the status. */
omen_status report_fill(omen_error *error, omen_status status, const char *format, ...)
    OMEN_PRINTF(3, 4);

#endif
