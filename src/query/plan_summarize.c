/* plan_summarize.c - SUMMARIZE: a row about each column of a table or query, by a query.
 *
 *   SUMMARIZE t         is SUMMARIZE SELECT * FROM t
 *   SUMMARIZE SELECT .. is WITH "s" ("c1", "c2", ...) AS (SELECT ..)
 *                          SELECT ... FROM (about c1 UNION ALL about c2 ...) ORDER BY column
 *
 * What is summarised is planned once by itself, which tells its columns, and whose errors are the
 * statement's, at their places in it. Names of columns only come as literals into the query.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "query/plan.h"
#include "query/sql_text.h"
#include "sql/lexer.h"

/* Adds `pattern` with the column's name in the place of each $. */
static void add_with_column(struct sql_text *text, const char *pattern, uint32_t column)
{
    char name[16];
    int length = snprintf(name, sizeof name, "c%u", (unsigned)column + 1);
    for (; *pattern != '\0'; pattern++)
        sql_text_add(text, *pattern == '$' ? name : pattern, *pattern == '$' ? (size_t)length : 1);
}

/* --- a column --- */

/* The smallest and the largest value as text; PostgreSQL orders neither BOOLEAN, UUID nor BYTEA by
 * an aggregate. */
static const char *extremes_of(omen_type type)
{
    switch ((uint32_t)type.id) {
    case OMEN_TYPE_BOOLEAN:
        return "CAST(bool_and($) AS TEXT), CAST(bool_or($) AS TEXT)";
    case OMEN_TYPE_UUID:
        return "min(CAST($ AS TEXT)), max(CAST($ AS TEXT))";
    case OMEN_TYPE_BYTEA:
        return "'\\x' || min(encode($, 'hex')), '\\x' || max(encode($, 'hex'))";
    default:
        return "CAST(min($) AS TEXT), CAST(max($) AS TEXT)";
    }
}

static const char *moments_of(omen_type type)
{
    switch ((uint32_t)type.id) {
    case OMEN_TYPE_SMALLINT:
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_BIGINT:
    case OMEN_TYPE_REAL:
    case OMEN_TYPE_DOUBLE:
    case OMEN_TYPE_DECIMAL:
        return "CAST(avg($) AS DOUBLE PRECISION), stddev(CAST($ AS DOUBLE PRECISION))";
    default:
        return "CAST(NULL AS DOUBLE PRECISION), CAST(NULL AS DOUBLE PRECISION)";
    }
}

/* SELECT position, name, type, min, max, unique, avg, std, rows, percentage of NULLs. */
static void add_branch(struct sql_text *text, const struct query_plan *source, uint32_t column)
{
    char number[24];
    omen_type type = source->query->types[column];
    snprintf(number, sizeof number, "SELECT %u, ", (unsigned)column);
    sql_text_add_string(text, number);
    sql_text_add_literal(text, source->names[column]);
    sql_text_add_string(text, ", ");
    const char *type_text = sql_text_of_type(text->arena, type);
    text->failed = text->failed || type_text == NULL;
    sql_text_add_literal(text, type_text == NULL ? "" : type_text);
    sql_text_add_string(text, ", ");
    add_with_column(text, extremes_of(type), column);
    sql_text_add_string(text, ", ");
    add_with_column(text, "count(DISTINCT $), ", column);
    add_with_column(text, moments_of(type), column);
    add_with_column(text,
                    ", count(*), CAST(100.0 * (count(*) - count($)) / nullif(count(*), 0) AS "
                    "NUMERIC(5, 2)) FROM s",
                    column);
}

/* The branches from `first` on, as a balanced tree of UNION ALL: neither parser nor binder nest
 * deeply then. */
static void add_branches(struct sql_text *text, const struct query_plan *source, uint32_t first,
                         uint32_t count)
{
    uint32_t half = count / 2;
    if (count == 1) {
        add_branch(text, source, first);
        return;
    }
    sql_text_add_string(text, "(");
    add_branches(text, source, first, half);
    sql_text_add_string(text, ") UNION ALL (");
    add_branches(text, source, first + half, count - half);
    sql_text_add_string(text, ")");
}

/* --- the statement --- */

/* A text whose error positions are those of the statement it was made from: its first `added`
 * characters are not in there, and its next is the statement's `position`. */
struct source_text {
    const char *sql;
    size_t length;
    int32_t added, position;
};

static bool is_word(const struct lexer *lexer, const struct token *token, const char *word)
{
    return token->kind == TOKEN_WORD && token->length == strlen(word) &&
           strncasecmp(lexer->text + token->start, word, token->length) == 0;
}

/* Whether a query begins with this token, not the name of a table. */
static bool begins_query(const struct lexer *lexer, const struct token *token)
{
    return is_word(lexer, token, "select") || is_word(lexer, token, "with") ||
           is_word(lexer, token, "values") || is_word(lexer, token, "table") ||
           (token->kind == TOKEN_PUNCTUATION && lexer->text[token->start] == '(');
}

/* Reads SUMMARIZE; `source->sql` is NULL where the statement is another. */
static omen_status read_source(struct plan *plan, const char *sql, size_t length,
                               struct source_text *source, omen_error *error)
{
    static const char everything[] = "SELECT * FROM ";
    struct lexer lexer = {.text = sql, .length = length};
    struct token token = lexer_next(&lexer);
    memset(source, 0, sizeof *source);
    while (token.kind == TOKEN_PUNCTUATION && sql[token.start] == ';')
        token = lexer_next(&lexer);
    if (!is_word(&lexer, &token, "summarize"))
        return OMEN_OK;
    OMEN_TRY(lexer_check(sql, length, NULL, error));
    token = lexer_next(&lexer);
    struct sql_text text = {.arena = &plan->arena};
    if (!begins_query(&lexer, &token))
        sql_text_add_string(&text, everything);
    source->added = (int32_t)text.length;
    source->position = lexer_character(sql, length, token.start);
    size_t rest;
    bool complete;
    size_t kept = lexer_split(sql + token.start, length - token.start, &rest, &complete);
    sql_text_add(&text, sql + token.start, kept);
    struct lexer behind = {.text = sql, .length = length, .position = token.start + rest};
    for (token = lexer_next(&behind); token.kind != TOKEN_END; token = lexer_next(&behind))
        if (token.kind != TOKEN_PUNCTUATION || sql[token.start] != ';')
            return error_set(error, OMEN_SYNTAX_ERROR,
                             "cannot run more than one statement in one call");
    if (text.failed)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    source->sql = text.bytes;
    source->length = text.length;
    return OMEN_OK;
}

static omen_status source_failed(const struct source_text *source, omen_status status,
                                 omen_error *error)
{
    if (error == NULL || error->position == 0)
        return status;
    if (error->position > source->added)
        error->position += source->position - 1 - source->added;
    else
        error->position = source->position;
    return status;
}

/* Writes the query about the columns of `source_plan`. */
static omen_status write_query(struct plan *plan, const struct plan *source_plan,
                               const struct source_text *source, struct sql_text *text,
                               omen_error *error)
{
    const struct query_plan *columns = &source_plan->rows;
    uint32_t count = columns->query->target_count;
    *text = (struct sql_text){.arena = &plan->arena};
    sql_text_add_string(text, "WITH s(");
    for (uint32_t i = 0; i < count; i++)
        add_with_column(text, i == 0 ? "$" : ", $", i);
    sql_text_add_string(text, ") AS (");
    sql_text_add(text, source->sql, source->length);
    sql_text_add_string(
        text, "\n) SELECT column_name, column_type, min, max, \"unique\", avg, std, count, "
              "null_percentage FROM ("); /* the line ends a comment */
    add_branches(text, columns, 0, count);
    sql_text_add_string(
        text, ") AS d(position, column_name, column_type, min, max, \"unique\", avg, std, "
              "count, null_percentage) ORDER BY position");
    return text->failed ? error_set_default(error, OMEN_OUT_OF_MEMORY) : OMEN_OK;
}

omen_status plan_summarize(struct plan *plan, const char **sql, size_t *length,
                           const omen_type *declared, uint32_t declared_count, omen_error *error)
{
    struct source_text source;
    struct plan *source_plan;
    struct sql_text text;
    OMEN_TRY(read_source(plan, *sql, *length, &source, error));
    if (source.sql == NULL)
        return OMEN_OK;
    omen_status status = plan_create(plan->session, source.sql, source.length, declared,
                                     declared_count, &source_plan, error);
    if (status != OMEN_OK)
        return source_failed(&source, status, error);
    if (source_plan->kind != PLAN_QUERY || source_plan->explain)
        status = error_set(error, OMEN_SYNTAX_ERROR, "SUMMARIZE needs a table or a query");
    else if (source_plan->rows.query->target_count == 0)
        status = error_set(error, OMEN_SYNTAX_ERROR, "SUMMARIZE needs a query that has columns");
    else
        status = write_query(plan, source_plan, &source, &text, error);
    plan_destroy(source_plan);
    if (status != OMEN_OK)
        return status;
    *sql = text.bytes;
    *length = text.length;
    return OMEN_OK;
}
