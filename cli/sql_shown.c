/* sql_shown.c - see sql_shown.h.
 *
 * The text is taken apart as PostgreSQL's lexer does, into quoted tokens and what stands between
 * them. A token without anything harmful is printed as it is.
 */
#include "sql_shown.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "text.h"

enum token_kind {
    TOKEN_OTHER,
    TOKEN_COMMENT,
    TOKEN_NAME,           /* "..." */
    TOKEN_NAME_ESCAPED,   /* U&"..." */
    TOKEN_STRING,         /* '...' */
    TOKEN_STRING_C,       /* E'...' */
    TOKEN_STRING_ESCAPED, /* U&'...' */
    TOKEN_DOLLAR,         /* $x$...$x$ */
};

/* [start, end) of the SQL; what is quoted is [inside, inside_end). */
struct token {
    enum token_kind kind;
    size_t start, inside, inside_end, end;
};

struct source {
    const char *sql;
    size_t length;
};

static bool has(const struct source *source, size_t at, const char *text)
{
    size_t length = strlen(text);
    return at + length <= source->length && strncasecmp(source->sql + at, text, length) == 0;
}

static bool is_word_character(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* --- taking it apart ------------------------------------------------------------------------- */

/* The end of a comment that begins at `at`; `at` where none does. */
static size_t skip_comment(const struct source *source, size_t at)
{
    size_t depth = 0;
    if (has(source, at, "--")) {
        while (at < source->length && source->sql[at] != '\n' && source->sql[at] != '\r')
            at++;
        return at;
    }
    if (!has(source, at, "/*"))
        return at;
    do {
        int change = has(source, at, "/*") ? 1 : has(source, at, "*/") ? -1 : 0;
        depth = (size_t)((ptrdiff_t)depth + change);
        at += change == 0 ? 1 : 2;
    } while (depth > 0 && at < source->length);
    return at;
}

/* Where a string goes on behind its quote at `at` (a line break and another quote), behind that
 * quote; 0: nowhere. */
static size_t find_continuation(const struct source *source, size_t at)
{
    bool broken = false;
    for (at++; at < source->length &&
               (isspace((unsigned char)source->sql[at]) || (broken && has(source, at, "--")));) {
        broken = broken || source->sql[at] == '\n' || source->sql[at] == '\r';
        size_t comment = skip_comment(source, at);
        at = comment > at ? comment : at + 1;
    }
    return broken && has(source, at, "'") ? at + 1 : 0;
}

/* Finds the end of what the quote before token->inside begins. */
static void read_quoted(const struct source *source, char quote, struct token *token)
{
    size_t at = token->inside, next;
    for (; at < source->length; at++) {
        if (token->kind == TOKEN_STRING_C && source->sql[at] == '\\')
            at++;
        else if (source->sql[at] == quote && at + 1 < source->length &&
                 source->sql[at + 1] == quote)
            at++;
        else if (source->sql[at] == quote && quote == '\'' &&
                 (next = find_continuation(source, at)) > 0)
            at = next - 1;
        else if (source->sql[at] == quote)
            break;
    }
    token->inside_end = at < source->length ? at : source->length;
    token->end = at < source->length ? at + 1 : source->length;
}

/* Reads $x$...$x$ at token->start, if that is one. */
static void read_dollar(const struct source *source, struct token *token)
{
    size_t end = token->start + 1;
    while (end < source->length && source->sql[end] != '$' && is_word_character(source->sql[end]))
        end++;
    if (end == source->length || source->sql[end] != '$' ||
        isdigit((unsigned char)source->sql[token->start + 1]))
        return;
    size_t tag = ++end - token->start;
    for (size_t at = end; at + tag <= source->length; at++)
        if (memcmp(source->sql + at, source->sql + token->start, tag) == 0) {
            *token = (struct token){TOKEN_DOLLAR, token->start, end, at, at + tag};
            return;
        }
}

static struct token next_token(const struct source *source, size_t at)
{
    static const struct {
        const char *opening;
        enum token_kind kind;
    } openings[] = {{"\"", TOKEN_NAME},
                    {"U&\"", TOKEN_NAME_ESCAPED},
                    {"'", TOKEN_STRING},
                    {"U&'", TOKEN_STRING_ESCAPED},
                    {"E'", TOKEN_STRING_C}};
    struct token token = {TOKEN_OTHER, at, at, at + 1, at + 1};
    size_t comment = skip_comment(source, at);
    if (comment > at)
        return (struct token){TOKEN_COMMENT, at, at, comment, comment};
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++)
        if (has(source, at, openings[i].opening)) {
            token.kind = openings[i].kind;
            token.inside = at + strlen(openings[i].opening);
            read_quoted(source, source->sql[token.inside - 1], &token);
            return token;
        }
    if (source->sql[at] == '$')
        read_dollar(source, &token);
    while (token.kind == TOKEN_OTHER && is_word_character(source->sql[token.end - 1]) &&
           token.end < source->length && is_word_character(source->sql[token.end]))
        token.inside_end = ++token.end;
    return token;
}

/* The character that begins an escape in a token of U&: the backslash, or UESCAPE's. */
static char escape_of(const struct source *source, const struct token *token)
{
    size_t at = token->end;
    while (at < source->length && isspace((unsigned char)source->sql[at]))
        at++;
    if (!has(source, at, "uescape"))
        return '\\';
    for (at += strlen("uescape"); at < source->length && source->sql[at] != '\''; at++)
        ;
    return at + 1 < source->length ? source->sql[at + 1] : '\\';
}

/* --- printing -------------------------------------------------------------------------------- */

/* Whether there is something that needs an escape; what is `kept` needs none. */
static bool is_harmful(const char *text, size_t length, const char *kept)
{
    uint32_t code;
    for (size_t at = 0; at < length;) {
        if ((unsigned char)text[at] >= ' ' && (unsigned char)text[at] < 0x7F) {
            at++;
            continue;
        }
        at += text_decode(text + at, length - at, &code);
        if (text_is_harmful(code) && (code == 0 || code > 0x7F || strchr(kept, (char)code) == NULL))
            return true;
    }
    return false;
}

/* Blanks and comments. */
static void print_between(const char *text, size_t length)
{
    uint32_t code;
    for (size_t at = 0, bytes; at < length; at += bytes) {
        bytes = text_decode(text + at, length - at, &code);
        if (code == '\r')
            putchar('\n'); /* it ends a comment too */
        else if (text_is_harmful(code) && code != '\n' && code != '\t')
            putchar(' ');
        else
            fwrite(text + at, 1, bytes, stdout);
    }
}

/* Prints a quote within a string, of which two are one or one ends a line's part; gives its bytes.
 */
static size_t print_quote(const struct source *source, size_t at)
{
    size_t next = find_continuation(source, at);
    fputs(next > 0 ? "'\n'" : "''", stdout);
    return next > 0 ? next - at : 2;
}

/* What is quoted, with escapes. What begins one in there already goes on with the next character,
 * or is doubled, where `doubles`. */
static void print_inside(const struct source *source, const struct token *token, char escape,
                         bool doubles)
{
    bool name = token->kind == TOKEN_NAME || token->kind == TOKEN_NAME_ESCAPED;
    const char *format = name || token->kind == TOKEN_STRING_ESCAPED ? "%c%04X" : "%cu%04X";
    const char *kept = name ? "" : "\n\t";
    for (size_t at = token->inside, bytes; at < token->inside_end; at += bytes) {
        uint32_t code;
        if (source->sql[at] == '\'' && !name && token->kind != TOKEN_DOLLAR) {
            bytes = print_quote(source, at);
            continue;
        }
        bool escaped =
            source->sql[at] == '\\' && token->kind == TOKEN_STRING_C && at + 1 < token->inside_end;
        at += escaped;
        bytes = text_decode(source->sql + at, token->inside_end - at, &code);
        if (is_harmful(source->sql + at, bytes, kept)) {
            printf(format, escape, (unsigned)code); /* a backslash before it means nothing */
            continue;
        }
        if (escaped)
            putchar('\\');
        fwrite(source->sql + at, 1, bytes, stdout);
        if ((doubles && code == '\\') || (token->kind == TOKEN_DOLLAR && code == '\''))
            fwrite(source->sql + at, 1, bytes, stdout);
    }
}

static void print_token(const struct source *source, const struct token *token)
{
    const char *text = source->sql + token->start;
    size_t length = token->end - token->start;
    bool name = token->kind == TOKEN_NAME || token->kind == TOKEN_NAME_ESCAPED;
    if (!is_harmful(text, length, name ? "" : "\n\t")) {
        fwrite(text, 1, length, stdout);
        return;
    }
    switch (token->kind) {
    case TOKEN_OTHER:
    case TOKEN_COMMENT:
        print_between(text, length);
        return;
    case TOKEN_NAME:
        fputs("U&\"", stdout);
        print_inside(source, token, '\\', true);
        putchar('"');
        return;
    case TOKEN_STRING:
    case TOKEN_DOLLAR:
        fputs("E'", stdout);
        print_inside(source, token, '\\', true);
        putchar('\'');
        return;
    case TOKEN_STRING_C:
        fputs("E'", stdout);
        print_inside(source, token, '\\', false);
        putchar('\'');
        return;
    case TOKEN_NAME_ESCAPED:
    case TOKEN_STRING_ESCAPED:
        fputs(name ? "U&\"" : "U&'", stdout);
        print_inside(source, token, escape_of(source, token), false);
        putchar(name ? '"' : '\'');
        return;
    }
}

void sql_shown_print(const char *sql, size_t length)
{
    struct source source = {sql, length};
    for (size_t at = 0; at < length;) {
        struct token token = next_token(&source, at);
        print_token(&source, &token);
        at = token.end;
    }
}

/* --- literals -------------------------------------------------------------------------------- */

/* Text between quotes, its own doubled. */
static void print_plain(const char *text, size_t length)
{
    const char *quote;
    while ((quote = memchr(text, '\'', length)) != NULL) {
        size_t part = (size_t)(quote - text) + 1;
        fwrite(text, 1, part, stdout);
        putchar('\'');
        text += part;
        length -= part;
    }
    fwrite(text, 1, length, stdout);
}

/* One character within E'...'. */
static void print_escaped(const char *character, size_t length, uint32_t code)
{
    if (code == '\n')
        fputs("\\n", stdout);
    else if (code == '\t')
        fputs("\\t", stdout);
    else if (code == '\r')
        fputs("\\r", stdout);
    else if (code == '\\')
        fputs("\\\\", stdout);
    else if (code == '\'')
        fputs("''", stdout);
    else if (!text_is_harmful(code))
        fwrite(character, 1, length, stdout);
    else
        printf("\\u%04X", (unsigned)code);
}

size_t sql_shown_print_literal(const char *text, size_t length)
{
    uint32_t code;
    bool plain = !is_harmful(text, length, "");
    fputs(plain ? "'" : "E'", stdout);
    if (plain)
        print_plain(text, length);
    for (size_t at = 0, bytes; at < length && !plain; at += bytes) {
        bytes = text_decode(text + at, length - at, &code);
        print_escaped(text + at, bytes, code);
    }
    putchar('\'');
    return length + 2;
}
