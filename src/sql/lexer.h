/* lexer.h - PostgreSQL's lexical rules: where tokens begin and end in a statement's text.
 *
 * It knows strings ('', E'', dollar quotes, continuation over lines), quoted identifiers, nested
 * comments, numbers, operators and parameters, and nothing of grammar. Any bytes are taken:
 * malformed text gives tokens of kind TOKEN_UNTERMINATED or TOKEN_OTHER.
 */
#ifndef OMEN_SQL_LEXER_H
#define OMEN_SQL_LEXER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum {
    STATEMENT_BYTES_MAX = 16 << 20,
    STATEMENT_NESTING_MAX = 20000, /* tokens that could each nest one level deeper */
    IDENTIFIER_BYTES_MAX = 63,
};

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,              /* an identifier or a keyword */
    TOKEN_QUOTED_IDENTIFIER, /* the quotes included */
    TOKEN_STRING,            /* any string form, quotes and prefix included */
    TOKEN_NUMBER,
    TOKEN_PARAMETER, /* $1 */
    TOKEN_OPERATOR,
    TOKEN_PUNCTUATION, /* one of , ; ( ) [ ] . : */
    TOKEN_OTHER,
    TOKEN_UNTERMINATED, /* a string, quoted identifier or comment that the text ends in */
};

struct token {
    enum token_kind kind;
    size_t start;
    size_t length;
};

struct lexer {
    const char *text;
    size_t length;
    size_t position;
};

/* The next token; TOKEN_END at the end, again and again. */
struct token lexer_next(struct lexer *lexer);

/* Splits the first statement off: see omen_statement_split. */
size_t lexer_split(const char *text, size_t length, size_t *rest, bool *complete);

/* Refuses text that must not reach the parser. Errors: LIMIT_EXCEEDED over 16 MB,
 * INVALID_ENCODING for bad UTF-8 or a zero byte, NAME_TOO_LONG for an identifier over 63 bytes
 * (the parser would cut it), STATEMENT_TOO_COMPLEX where it could nest too deeply (the parser
 * recurses). `*nesting` (may be NULL) gets the depth that it cannot exceed. */
OMEN_MUST_CHECK omen_status lexer_check(const char *text, size_t length, size_t *nesting,
                                        omen_error *error);

/* The 1-based character that byte `offset` of valid UTF-8 text lies in. */
int lexer_character(const char *text, size_t length, size_t offset);

#endif
