/* shell.h - runs statements and commands from a text, a file or a prompt, and prints what they say.
 *
 *   main ---> shell_run_text / shell_run_file / shell_run_prompt
 *                 |  splits (omen_statement_split)
 *                 +---> statement ---> render_result, report_error
 *                 +---> line with a dot ---> command_run
 */
#ifndef OMEN_CLI_SHELL_H
#define OMEN_CLI_SHELL_H

#include "omendb.h"
#include "render.h"
#include "report.h"

struct shell {
    omen_connection *connection;
    enum render_format format;
    uint64_t rows_max; /* of a table at the prompt; 0 = all */
    bool timer, echo, keep_going;
    bool has_printed; /* a result */
    bool interactive; /* at the prompt */
    bool quit;        /* .quit: nothing more is run */
    bool failed;      /* something failed in a run without prompt */
    unsigned depth;   /* files that read each other */
};

/* Runs a text, which is an argument. False where the run must end: after an error, unless
 * keep_going; after .quit; after Ctrl-C; where the output failed. */
bool shell_run_text(struct shell *shell, const char *text, size_t length);

/* Runs a file ("-" is standard input) statement by statement as it is read. As shell_run_text;
 * a file that cannot be read is an error too. */
bool shell_run_file(struct shell *shell, const char *name);

/* Reads from the terminal until .quit or the end of the input. False: out of memory. */
bool shell_run_prompt(struct shell *shell);

/* Runs one statement and prints its result or its error. False where it failed. */
bool shell_run_statement(struct shell *shell, const char *sql, size_t length,
                         const struct place *place);

#endif
