/* dump.h - a database as the SQL that makes it again. */
#ifndef OMEN_CLI_DUMP_H
#define OMEN_CLI_DUMP_H

#include <stdbool.h>

#include "omendb.h"

/* Prints CREATE TABLE and INSERTs of a table (a name as typed, or a quoted identifier), or of all
 * (`table` NULL), to standard output. The text is exact, harmless to a terminal, the same for the
 * same rows, and PostgreSQL takes it too. Each table is as of a moment of its own. Errors: those of
 * reading. */
omen_status dump(omen_connection *connection, const char *table, omen_error *error);

#endif
