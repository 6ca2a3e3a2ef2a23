/* sql_shown.h - SQL that means the same and is harmless to a terminal.
 *
 * Characters that could drive or reorder a terminal (text_is_harmful) are written as escapes of the
 * kind that their place knows: "a<BEL>" as U&"a\0007", 'a<BEL>' as E'a\u0007'; in comments and
 * between words they become blanks.
 */
#ifndef OMEN_CLI_SQL_SHOWN_H
#define OMEN_CLI_SQL_SHOWN_H

#include <stddef.h>

/* Prints SQL that the database takes to standard output. Line feeds and tabs stay as they are, but
 * in names. */
void sql_shown_print(const char *sql, size_t length);

/* Prints text as a literal to standard output: '...', or E'...' where it has characters that need
 * escapes, line feeds among them. Gives the bytes of the text and its quotes. */
size_t sql_shown_print_literal(const char *text, size_t length);

#endif
