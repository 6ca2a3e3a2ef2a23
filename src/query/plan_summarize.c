/* plan_summarize.c - SUMMARIZE: a row about each column of a table or query, by a query.
 *
 *   SUMMARIZE t         is SUMMARIZE SELECT * FROM t
 *   SUMMARIZE SELECT .. is WITH s(c1, c2, ...) AS (SELECT ..)
 *                          SELECT ... FROM (block UNION ALL block ...) ORDER BY position
 *   a block             is SELECT p.i, p.name, CASE p.i WHEN 1 THEN l1 WHEN 2 THEN l2 ... END, ...
 *                          FROM (SELECT min(c1) AS l1, ... FROM s) a CROSS JOIN (VALUES ...) p
 *   of a table t        s is, in each block, (SELECT "a" AS c1, "b" AS c2, ... FROM t)
 *
 * so that what is summarised is read once for all columns of a block. It is planned once by itself,
 * which tells its columns, and whose errors are the statement's, at their places in it.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "query/plan.h"
#include "query/sql_text.h"
#include "sql/lexer.h"

/* Adds `pattern` with the column's name, c1 for the first, in the place of each $ and its number in
 * that of each #; a letter before $ takes the place of the c. */
static void add_with_column(struct sql_text *text, const char *pattern, uint32_t column)
{
    char number[16];
    size_t length = (size_t)snprintf(number, sizeof number, "%u", (unsigned)column + 1);
    for (const char *at = pattern; *at != '\0'; at++) {
        bool names = *at == '$', letter = at > pattern && at[-1] >= 'a' && at[-1] <= 'z';
        if (names && !letter)
            sql_text_add(text, "c", 1);
        if (names || *at == '#')
            sql_text_add(text, number, length);
        else
            sql_text_add(text, at, 1);
    }
}

/* --- a block of columns --- */

/* The engine's planning takes time by the square of a block's columns; but each block reads a CSV
 * file, or runs a query, once more. */
enum { BLOCK_COLUMNS = 25, BLOCK_COLUMNS_COSTLY = 100 };

/* What is summarised, and how it is read. */
struct summary {
    const struct query_plan *source;
    const char *from; /* what stands behind FROM, where that is one table; NULL: it is read as s */
    size_t from_length;
    uint32_t block_columns;
};

static bool is_number(omen_type type)
{
    return type.id >= OMEN_TYPE_SMALLINT && type.id <= OMEN_TYPE_DECIMAL;
}

/* The smallest and the largest value as text; PostgreSQL orders neither BOOLEAN, UUID nor BYTEA by
 * an aggregate. */
static const char *extremes_of(omen_type type)
{
    switch ((uint32_t)type.id) {
    case OMEN_TYPE_BOOLEAN:
        return ", CAST(bool_and($) AS TEXT) AS l$, CAST(bool_or($) AS TEXT) AS h$";
    case OMEN_TYPE_UUID:
        return ", min(CAST($ AS TEXT)) AS l$, max(CAST($ AS TEXT)) AS h$";
    case OMEN_TYPE_BYTEA:
        return ", '\\x' || min(encode($, 'hex')) AS l$, '\\x' || max(encode($, 'hex')) AS h$";
    default:
        return ", CAST(min($) AS TEXT) AS l$, CAST(max($) AS TEXT) AS h$";
    }
}

/* The rows of columns [first, end): of a table those only, so that nobody has to find out that the
 * others are not needed. */
static void add_source(struct sql_text *text, const struct summary *summary, uint32_t first,
                       uint32_t end)
{
    if (summary->from == NULL) {
        sql_text_add_string(text, "s");
        return;
    }
    for (uint32_t i = first; i < end; i++) {
        sql_text_add_string(text, i == first ? "(SELECT " : ", ");
        sql_text_add_name(text, summary->source->names[i]);
        add_with_column(text, " AS $", i);
    }
    sql_text_add_string(text, " FROM ");
    sql_text_add(text, summary->from, summary->from_length);
    sql_text_add_string(text, "\n) AS s"); /* the line's end is that of a comment */
}

/* What is to be known of columns [first, end), in one row. */
static void add_aggregates(struct sql_text *text, const struct summary *summary, uint32_t first,
                           uint32_t end)
{
    sql_text_add_string(text, "(SELECT count(*) AS n");
    for (uint32_t i = first; i < end; i++) {
        omen_type type = summary->source->query->types[i];
        add_with_column(text, extremes_of(type), i);
        add_with_column(text, ", count(DISTINCT $) AS u$, count($) AS k$", i);
        if (is_number(type))
            add_with_column(text,
                            ", CAST(avg($) AS DOUBLE PRECISION) AS m$, "
                            "stddev(CAST($ AS DOUBLE PRECISION)) AS d$",
                            i);
    }
    sql_text_add_string(text, " FROM ");
    add_source(text, summary, first, end);
    sql_text_add_string(text, ") AS a");
}

/* The aggregate of the column that a row of the block is about. */
static void add_choice(struct sql_text *text, const struct query_plan *source, uint32_t first,
                       uint32_t end, const char *when, bool of_numbers)
{
    bool some = false;
    for (uint32_t i = first; i < end; i++)
        some = some || !of_numbers || is_number(source->query->types[i]);
    if (!some) {
        sql_text_add_string(text, ", CAST(NULL AS DOUBLE PRECISION)");
        return;
    }
    sql_text_add_string(text, ", CASE p.i");
    for (uint32_t i = first; i < end; i++)
        if (!of_numbers || is_number(source->query->types[i]))
            add_with_column(text, when, i);
    sql_text_add_string(text, " END");
}

/* VALUES of position, name and type. */
static void add_columns(struct sql_text *text, const struct query_plan *source, uint32_t first,
                        uint32_t end)
{
    sql_text_add_string(text, "(VALUES ");
    for (uint32_t i = first; i < end; i++) {
        char number[24];
        const char *type = sql_text_of_type(text->arena, source->query->types[i]);
        snprintf(number, sizeof number, "%s(%u, ", i > first ? ", " : "", (unsigned)i + 1);
        sql_text_add_string(text, number);
        sql_text_add_literal(text, source->names[i]);
        sql_text_add_string(text, ", ");
        sql_text_add_literal(text, type == NULL ? "" : type);
        sql_text_add_string(text, ")");
        text->failed = text->failed || type == NULL;
    }
    sql_text_add_string(text, ") AS p(i, name, type)");
}

static void add_block(struct sql_text *text, const struct summary *summary, uint32_t first,
                      uint32_t end)
{
    const struct query_plan *source = summary->source;
    sql_text_add_string(text, "SELECT p.i, p.name, p.type");
    add_choice(text, source, first, end, " WHEN # THEN a.l$", false);
    add_choice(text, source, first, end, " WHEN # THEN a.h$", false);
    add_choice(text, source, first, end, " WHEN # THEN a.u$", false);
    add_choice(text, source, first, end, " WHEN # THEN a.m$", true);
    add_choice(text, source, first, end, " WHEN # THEN a.d$", true);
    sql_text_add_string(text, ", a.n");
    add_choice(text, source, first, end, " WHEN # THEN a.k$", false);
    sql_text_add_string(text, " FROM ");
    add_aggregates(text, summary, first, end);
    sql_text_add_string(text, " CROSS JOIN ");
    add_columns(text, source, first, end);
}

static void add_blocks(struct sql_text *text, const struct summary *summary)
{
    uint32_t count = summary->source->query->target_count, step = summary->block_columns;
    for (uint32_t first = 0; first < count; first += step) {
        uint32_t end = count - first < step ? count : first + step;
        sql_text_add_string(text, first > 0 ? " UNION ALL " : "");
        add_block(text, summary, first, end);
    }
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

/* Finds out whether one table, or a file, stands behind FROM. */
static struct summary summary_of(const struct query_plan *columns, const struct source_text *source)
{
    const struct query *query = columns->query;
    bool one = source->added > 0 && query->kind == QUERY_SELECT && query->from_count == 1 &&
               query->from[0]->relation != NULL && query->from[0]->relation->kind == RELATION_TABLE;
    bool cheap = one && query->from[0]->relation->file == NULL;
    return (struct summary){.source = columns,
                            .from = one ? source->sql + source->added : NULL,
                            .from_length = source->length - (size_t)source->added,
                            .block_columns = cheap ? BLOCK_COLUMNS : BLOCK_COLUMNS_COSTLY};
}

/* Writes the query about the columns of `source_plan`. */
static omen_status write_query(struct plan *plan, const struct plan *source_plan,
                               const struct source_text *source, struct sql_text *text,
                               omen_error *error)
{
    const struct summary summary = summary_of(&source_plan->rows, source);
    uint32_t count = summary.source->query->target_count;
    *text = (struct sql_text){.arena = &plan->arena};
    if (summary.from == NULL) {
        sql_text_add_string(text, "WITH s(");
        for (uint32_t i = 0; i < count; i++)
            add_with_column(text, i == 0 ? "$" : ", $", i);
        sql_text_add_string(text, ") AS (");
        sql_text_add(text, source->sql, source->length);
        sql_text_add_string(text, "\n) "); /* the line's end is that of a comment */
    }
    sql_text_add_string(text, "SELECT column_name, column_type, min, max, \"unique\", avg, std, "
                              "count, CAST(100.0 * (count - known) / nullif(count, 0) AS "
                              "NUMERIC(5, 2)) AS null_percentage FROM (");
    add_blocks(text, &summary);
    sql_text_add_string(text,
                        ") AS d(position, column_name, column_type, min, max, \"unique\", avg, "
                        "std, count, known) ORDER BY position");
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
