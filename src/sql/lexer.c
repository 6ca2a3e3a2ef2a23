/* lexer.c - a hand-written scanner after the lexical chapter of PostgreSQL's manual (4.1).
 *
 * Every scan_ function gets the position behind the token's start and gives the position behind
 * its end; SIZE_MAX says that the text ends inside it.
 */
#include "sql/lexer.h"

#include <stdint.h>
#include <string.h>

#include "column/utf8.h"

static const size_t UNTERMINATED = SIZE_MAX;

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

static bool is_word(char c)
{
    return is_word_start(c) || is_digit(c) || c == '$';
}

static bool is_operator(char c)
{
    return c != '\0' && strchr("+-*/<>=~!@#%^&|`?", c) != NULL;
}

/* The character at `position`, or zero behind the end. */
static char peek(const struct lexer *lexer, size_t position)
{
    return position < lexer->length ? lexer->text[position] : '\0';
}

static size_t scan_line(const struct lexer *lexer, size_t position)
{
    while (position < lexer->length && lexer->text[position] != '\n' &&
           lexer->text[position] != '\r')
        position++;
    return position;
}

static size_t scan_comment(const struct lexer *lexer, size_t position)
{
    size_t depth = 1;
    while (position < lexer->length) {
        if (lexer->text[position] == '*' && peek(lexer, position + 1) == '/') {
            position += 2;
            if (--depth == 0)
                return position;
        } else if (lexer->text[position] == '/' && peek(lexer, position + 1) == '*') {
            position += 2;
            depth++;
        } else {
            position++;
        }
    }
    return UNTERMINATED;
}

/* Blanks and comments; UNTERMINATED inside a comment. */
static size_t scan_blank(const struct lexer *lexer, size_t position)
{
    while (position < lexer->length) {
        char c = lexer->text[position];
        if (is_space(c)) {
            position++;
        } else if (c == '-' && peek(lexer, position + 1) == '-') {
            position = scan_line(lexer, position + 2);
        } else if (c == '/' && peek(lexer, position + 1) == '*') {
            position = scan_comment(lexer, position + 2);
            if (position == UNTERMINATED)
                return UNTERMINATED;
        } else {
            return position;
        }
    }
    return position;
}

/* Where the next part of a string continued on another line opens, or 0: between the parts are
 * only blanks and line comments, with at least one line break. */
static size_t find_continuation(const struct lexer *lexer, size_t position)
{
    bool line_break = false;
    while (position < lexer->length) {
        char c = lexer->text[position];
        if (c == '-' && peek(lexer, position + 1) == '-')
            position = scan_line(lexer, position + 2);
        else if (is_space(c))
            line_break = line_break || c == '\n' || c == '\r', position++;
        else
            return c == '\'' && line_break ? position + 1 : 0;
    }
    return 0;
}

static size_t scan_string(const struct lexer *lexer, size_t position, bool escapes)
{
    while (position < lexer->length) {
        char c = lexer->text[position++];
        if (c == '\\' && escapes) {
            position++;
        } else if (c == '\'' && peek(lexer, position) == '\'') {
            position++;
        } else if (c == '\'') {
            size_t next = find_continuation(lexer, position);
            if (next == 0)
                return position;
            position = next;
        }
    }
    return UNTERMINATED;
}

static size_t scan_quoted_identifier(const struct lexer *lexer, size_t position)
{
    while (position < lexer->length) {
        if (lexer->text[position++] != '"')
            continue;
        if (peek(lexer, position) != '"')
            return position;
        position++;
    }
    return UNTERMINATED;
}

/* A dollar-quoted string from its first dollar sign; 0 where it is none. */
static size_t scan_dollar_string(const struct lexer *lexer, size_t start)
{
    size_t tag = start + 1;
    if (is_word_start(peek(lexer, tag)))
        while (is_word(peek(lexer, tag)) && lexer->text[tag] != '$')
            tag++;
    if (peek(lexer, tag) != '$')
        return 0;
    size_t tag_length = tag + 1 - start;
    for (size_t position = tag + 1; position + tag_length <= lexer->length; position++) {
        const char *found = memchr(lexer->text + position, '$', lexer->length - position);
        if (found == NULL)
            return UNTERMINATED;
        position = (size_t)(found - lexer->text);
        if (position + tag_length <= lexer->length &&
            memcmp(found, lexer->text + start, tag_length) == 0)
            return position + tag_length;
    }
    return UNTERMINATED;
}

static size_t scan_digits(const struct lexer *lexer, size_t position)
{
    while (is_digit(peek(lexer, position)))
        position++;
    return position;
}

static size_t scan_number(const struct lexer *lexer, size_t position)
{
    position = scan_digits(lexer, position);
    if (peek(lexer, position) == '.' && peek(lexer, position + 1) != '.')
        position = scan_digits(lexer, position + 1);
    char exponent = peek(lexer, position);
    if (exponent != 'e' && exponent != 'E')
        return position;
    char sign = peek(lexer, position + 1);
    size_t digits = position + (sign == '+' || sign == '-' ? 2 : 1);
    return is_digit(peek(lexer, digits)) ? scan_digits(lexer, digits) : position;
}

static size_t scan_operator(const struct lexer *lexer, size_t position)
{
    while (is_operator(peek(lexer, position))) {
        char c = lexer->text[position], next = peek(lexer, position + 1);
        if ((c == '-' && next == '-') || (c == '/' && next == '*'))
            break;
        position++;
    }
    return position;
}

static size_t scan_word(const struct lexer *lexer, size_t position)
{
    while (is_word(peek(lexer, position)))
        position++;
    return position;
}

/* Tokens that open with a letter: E'', B'', X'', N'', U&'', U&"" or a word. */
static size_t scan_lettered(const struct lexer *lexer, size_t start, enum token_kind *kind)
{
    char c = lexer->text[start], next = peek(lexer, start + 1);
    *kind = TOKEN_STRING;
    if (next == '\'' && strchr("eEbBxXnN", c) != NULL)
        return scan_string(lexer, start + 2, c == 'e' || c == 'E');
    if ((c == 'u' || c == 'U') && next == '&') {
        char quote = peek(lexer, start + 2);
        if (quote == '\'')
            return scan_string(lexer, start + 3, false);
        *kind = TOKEN_QUOTED_IDENTIFIER;
        if (quote == '"')
            return scan_quoted_identifier(lexer, start + 3);
    }
    *kind = TOKEN_WORD;
    return scan_word(lexer, start + 1);
}

static size_t scan_dollar(const struct lexer *lexer, size_t start, enum token_kind *kind)
{
    if (is_digit(peek(lexer, start + 1))) {
        *kind = TOKEN_PARAMETER;
        return scan_digits(lexer, start + 1);
    }
    size_t end = scan_dollar_string(lexer, start);
    *kind = end != 0 ? TOKEN_STRING : TOKEN_OTHER;
    return end != 0 ? end : start + 1;
}

static size_t scan_token(const struct lexer *lexer, size_t start, enum token_kind *kind)
{
    char c = lexer->text[start];
    if (is_word_start(c))
        return scan_lettered(lexer, start, kind);
    if (is_digit(c) || (c == '.' && is_digit(peek(lexer, start + 1)))) {
        *kind = TOKEN_NUMBER;
        return scan_number(lexer, start);
    }
    switch (c) {
    case '\'':
        *kind = TOKEN_STRING;
        return scan_string(lexer, start + 1, false);
    case '"':
        *kind = TOKEN_QUOTED_IDENTIFIER;
        return scan_quoted_identifier(lexer, start + 1);
    case '$':
        return scan_dollar(lexer, start, kind);
    }
    *kind = c != '\0' && strchr(",;()[].:", c) != NULL ? TOKEN_PUNCTUATION : TOKEN_OTHER;
    if (!is_operator(c))
        return start + 1;
    *kind = TOKEN_OPERATOR;
    return scan_operator(lexer, start);
}

struct token lexer_next(struct lexer *lexer)
{
    size_t start = scan_blank(lexer, lexer->position);
    struct token token = {.kind = TOKEN_UNTERMINATED, .start = lexer->position};
    size_t end = UNTERMINATED;
    if (start != UNTERMINATED) {
        token.start = start;
        token.kind = TOKEN_END;
        end = start == lexer->length ? start : scan_token(lexer, start, &token.kind);
        if (end == UNTERMINATED || end > lexer->length)
            token.kind = TOKEN_UNTERMINATED;
    }
    if (token.kind == TOKEN_UNTERMINATED)
        end = lexer->length;
    token.length = end - token.start;
    lexer->position = end;
    return token;
}

size_t lexer_split(const char *text, size_t length, size_t *rest, bool *complete)
{
    struct lexer lexer = {.text = text, .length = length};
    size_t depth = 0;
    for (;;) {
        struct token token = lexer_next(&lexer);
        if (token.kind == TOKEN_END || token.kind == TOKEN_UNTERMINATED)
            break;
        if (token.kind != TOKEN_PUNCTUATION)
            continue;
        char c = text[token.start];
        if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (c == ';' && depth == 0) {
            *rest = token.start + 1;
            *complete = true;
            return token.start;
        }
    }
    *rest = length;
    *complete = false;
    return length;
}

int lexer_character(const char *text, size_t length, size_t offset)
{
    if (offset > length)
        offset = length;
    return (int)utf8_character_count((const uint8_t *)text, offset) + 1;
}

/* How deep the parse tree could get. Within one bracket each token may nest one level (`1+1+1`,
 * `NOT NOT`), a comma starts afresh, and brackets add up. Chains are kept per open bracket up to
 * LEVELS deep; deeper ones share the last, which only overestimates. */
struct nesting {
    size_t depth; /* open brackets */
    size_t total; /* tokens of all chains that are open */
    size_t chains[256];
};

static size_t *nesting_chain(struct nesting *nesting)
{
    size_t last = sizeof nesting->chains / sizeof *nesting->chains - 1;
    return &nesting->chains[nesting->depth < last ? nesting->depth : last];
}

static void nesting_add(struct nesting *nesting, const struct lexer *lexer,
                        const struct token *token)
{
    size_t last = sizeof nesting->chains / sizeof *nesting->chains - 1;
    char c = token->kind == TOKEN_PUNCTUATION ? lexer->text[token->start] : '\0';
    if (c == ',' || c == ';') {
        if (nesting->depth < last) {
            nesting->total -= *nesting_chain(nesting);
            *nesting_chain(nesting) = 0;
        }
        return;
    }
    if ((c == ')' || c == ']') && nesting->depth > 0) {
        if (nesting->depth < last) {
            nesting->total -= *nesting_chain(nesting);
            *nesting_chain(nesting) = 0;
        }
        nesting->depth--;
        return;
    }
    ++*nesting_chain(nesting);
    nesting->total++;
    if (c == '(' || c == '[')
        nesting->depth++;
}

static omen_status check_token(const struct lexer *lexer, const struct token *token,
                               omen_error *error)
{
    size_t length = token->length;
    if (token->kind == TOKEN_QUOTED_IDENTIFIER && lexer->text[token->start] == '"') {
        length -= 2;
        for (size_t i = 1; i + 1 < token->length; i++)
            if (lexer->text[token->start + i] == '"')
                length--, i++;
    } else if (token->kind != TOKEN_WORD) {
        return OMEN_OK;
    }
    if (length <= IDENTIFIER_BYTES_MAX)
        return OMEN_OK;
    error_set(error, OMEN_NAME_TOO_LONG, "identifier is longer than %d bytes",
              IDENTIFIER_BYTES_MAX);
    if (error != NULL)
        error->position = lexer_character(lexer->text, lexer->length, token->start);
    return OMEN_NAME_TOO_LONG;
}

omen_status lexer_check(const char *text, size_t length, size_t *nesting_max, omen_error *error)
{
    if (length > STATEMENT_BYTES_MAX)
        return error_set(error, OMEN_LIMIT_EXCEEDED,
                         "the statement has %zu bytes, more than the limit of %d", length,
                         STATEMENT_BYTES_MAX);
    if (memchr(text, '\0', length) != NULL || !utf8_is_valid((const uint8_t *)text, length))
        return error_set(error, OMEN_INVALID_ENCODING,
                         "invalid byte sequence for encoding \"UTF8\" in the statement");
    struct lexer lexer = {.text = text, .length = length};
    struct nesting nesting;
    memset(&nesting, 0, sizeof nesting);
    size_t highest = 0;
    for (;;) {
        struct token token = lexer_next(&lexer);
        if (token.kind == TOKEN_END || token.kind == TOKEN_UNTERMINATED)
            break;
        OMEN_TRY(check_token(&lexer, &token, error));
        nesting_add(&nesting, &lexer, &token);
        if (nesting.total > STATEMENT_NESTING_MAX)
            return error_set(error, OMEN_STATEMENT_TOO_COMPLEX, "the statement nests too deeply");
        highest = nesting.total > highest ? nesting.total : highest;
    }
    if (nesting_max != NULL)
        *nesting_max = highest;
    return OMEN_OK;
}
