/* complete.h - what the word before the cursor may become: commands, keywords, tables, columns,
 * settings, files. */
#ifndef OMEN_CLI_COMPLETE_H
#define OMEN_CLI_COMPLETE_H

#include <stdbool.h>
#include <stddef.h>

#include "candidates.h"
#include "omendb.h"

/* Fills `out`, sorted. Tables, columns and settings are asked from the database; where it cannot
 * say, none are offered. */
void complete(omen_connection *connection, const char *text, size_t length, size_t cursor,
              struct candidates *out);

/* --- between complete.c and complete_sql.c --- */

/* For a statement, the cursor in it. */
void complete_sql(omen_connection *connection, const char *sql, size_t length, size_t cursor,
                  struct candidates *out);

/* Names of tables that begin as `prefix` does, as SQL has them. */
void complete_tables(omen_connection *connection, const char *prefix, size_t length,
                     struct candidates *out);

/* Files whose path begins with `prefix`. With `quote` they stand in an SQL string that the first
 * one found ends: quotes are doubled. */
void complete_files(const char *prefix, size_t length, bool quote, struct candidates *out);

#endif
