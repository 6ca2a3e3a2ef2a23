/* command.h - the shell's own commands: lines that begin with a dot, or with psql's backslash. */
#ifndef OMEN_CLI_COMMAND_H
#define OMEN_CLI_COMMAND_H

#include "shell.h"

/* Runs a command line (without its end; it begins with '.' or '\'). False where it failed, with
 * the error printed. */
bool command_run(struct shell *shell, const char *line, size_t length, const struct place *place);

/* The commands' names, which complete at the prompt: NULL behind the last. Static. */
const char *command_name(size_t index);

#endif
