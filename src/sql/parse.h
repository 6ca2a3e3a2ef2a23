/* parse.h - one statement's text to its parse tree, by PostgreSQL's own grammar (libpg_query).
 *
 * Text is checked before the parser sees it and its tree before it is unpacked, because both
 * recurse: nothing a user writes can exhaust the stack.
 */
#ifndef OMEN_SQL_PARSE_H
#define OMEN_SQL_PARSE_H

#include <pg_query/pg_query.pb-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

enum {
    PARSE_DEPTH_MAX = 1500,       /* messages within messages */
    PARSE_PARAMETERS_MAX = 65535, /* PostgreSQL's limit */
    PARSE_FILES_MAX = 64,         /* files that a statement may read */
};

/* A string constant that stands where a table is named: FROM 'file.csv'. */
struct parsed_file {
    const char *path; /* the constant's text, zero-terminated */
    int location;     /* of the constant, and of its RangeVar */
    bool in_from;     /* that RangeVar is there */
};

struct parsed {
    const PgQuery__Node *statement; /* NULL: only blanks and comments */
    const char *text;               /* the statement, without semicolon, zero-terminated */
    size_t length;
    uint32_t parameter_count; /* the largest n of $n */
    /* The statement locks rows (FOR UPDATE), or has INTO or data-modifying parts below its
     * top: never for the engine. */
    bool has_locking, has_into, has_writing;
    struct parsed_file *files; /* file_count of them; in the tree a RangeVar of some other name */
    uint32_t file_count;
};

/* Parses exactly one statement. Everything in `out` lives in `arena`, and is released with it.
 * Errors: SYNTAX_ERROR with the position; as lexer_check; STATEMENT_TOO_COMPLEX; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status parse_statement(const char *sql, size_t length, struct arena *arena,
                                            struct parsed *out, omen_error *error);

/* The file that a RangeVar stands for, or NULL: it names a table. */
const struct parsed_file *parse_file(const struct parsed *parsed, const PgQuery__RangeVar *node);

/* Sets the error's position to that of byte `location` of the statement; -1 does nothing. */
void parse_set_position(const struct parsed *parsed, int location, omen_error *error);

/* The only string of a node that is a String, else NULL. */
const char *parse_string(const PgQuery__Node *node);

#endif
