/* scan.h - what may stand before a statement or a command. */
#ifndef OMEN_CLI_SCAN_H
#define OMEN_CLI_SCAN_H

#include <stdbool.h>
#include <stddef.h>

bool scan_is_blank(char c);

/* Where the first character is that is not blank; `length` where there is none. */
size_t scan_blank(const char *text, size_t length);

/* Where the first character is that is neither blank nor in a comment; `length` where there is
 * none, `length` + 1 where the text ends within a block comment. */
size_t scan_comments(const char *text, size_t length);

#endif
