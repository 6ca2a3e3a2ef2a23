/* complete_sql.c - completion within a statement.
 *
 * The statement is cut into words; the one before the cursor is completed by what stands before it:
 * tables behind FROM and its kin, settings behind SET, columns behind a table's name and a dot,
 * files within quotes behind FROM and TO; elsewhere keywords, and columns of the tables that the
 * statement names anywhere.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "complete.h"
#include "question.h"
#include "scan.h"

enum { WORDS_MAX = 1024, TABLES_MAX = 16, NAME_BYTES = 256 };

enum word_kind { WORD_NAME, WORD_QUOTED, WORD_STRING, WORD_SIGN };

struct word {
    enum word_kind kind;
    size_t start, end;
    bool open; /* a quote that does not end */
};

/* A statement cut into words. */
struct words {
    const char *sql;
    struct word items[WORDS_MAX];
    size_t count;
    size_t before; /* of them that begin before the cursor */
};

/* Keywords, and which of them cannot be a name without quotes (!). */
static const char keywords[] =
    "!all !and !any !array !as !asc between bigint boolean !both bytea by cascade !case !cast "
    "checkpoint !collate !column constraint copy count create !cross csv current_date "
    "current_timestamp date !default delete !desc describe !distinct double drop !else !end "
    "escape !except exists explain extract !false filter first following format !from !full "
    "!group !having header if !ilike !in !inner insert integer !intersect interval !into !is !join "
    "key last !lateral !leading !left !like !limit !natural nulls !not !null numeric !offset !on "
    "!or !order !outer over parquet partition preceding precision primary !primary real recursive "
    "!references reset restrict !right rollup row rows !select set show smallint !some substring "
    "summarize !table tables text !then timestamp timestamptz !to !trailing !true unbounded !union "
    "!unique unknown update !user !using uuid values varchar !when !where !window !with within ";

/* --- words ----------------------------------------------------------------------------------- */

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (unsigned char)c >= 0x80;
}

/* The end of what a quote at `at` begins; `*open` where there is none. */
static size_t quoted_end(const char *sql, size_t length, size_t at, bool *open)
{
    char quote = sql[at++];
    while (at < length && (sql[at] != quote || (at + 1 < length && sql[at + 1] == quote)))
        at += sql[at] == quote ? 2 : 1;
    *open = at >= length;
    return at < length ? at + 1 : length;
}

/* Cuts [from, to) and adds it to the words. */
static void cut(struct words *words, size_t from, size_t to)
{
    const char *sql = words->sql;
    for (size_t at = from; at < to && words->count < WORDS_MAX;) {
        size_t bare = at + scan_comments(sql + at, to - at);
        if (bare >= to)
            return;
        struct word *word = &words->items[words->count++];
        *word = (struct word){.kind = WORD_SIGN, .start = bare, .end = bare + 1};
        if (sql[bare] == '\'' || sql[bare] == '"') {
            word->kind = sql[bare] == '"' ? WORD_QUOTED : WORD_STRING;
            word->end = quoted_end(sql, to, bare, &word->open);
        } else if (is_name_character(sql[bare])) {
            word->kind = WORD_NAME;
            while (word->end < to && is_name_character(sql[word->end]))
                word->end++;
        }
        at = word->end;
    }
}

static bool is(const struct words *words, size_t index, const char *keyword)
{
    if (index >= words->count)
        return false;
    const struct word *word = &words->items[index];
    size_t length = word->end - word->start;
    return word->kind != WORD_STRING && word->kind != WORD_QUOTED && strlen(keyword) == length &&
           strncasecmp(words->sql + word->start, keyword, length) == 0;
}

static bool is_among(const struct words *words, size_t index, const char *const *keywords_of)
{
    while (*keywords_of != NULL && !is(words, index, *keywords_of))
        keywords_of++;
    return *keywords_of != NULL;
}

/* A word as the name that SQL reads. False: it is none, or too long. */
static bool read_name(const struct words *words, size_t index, char name[NAME_BYTES])
{
    if (index >= words->count)
        return false;
    const struct word *word = &words->items[index];
    const char *text = words->sql + word->start;
    size_t length = word->end - word->start, used = 0;
    bool quoted = word->kind == WORD_QUOTED;
    if ((word->kind != WORD_NAME && !quoted) || length >= NAME_BYTES)
        return false;
    for (size_t i = quoted; i < length - (quoted && !word->open); i++) {
        bool upper = !quoted && text[i] >= 'A' && text[i] <= 'Z';
        name[used++] = upper ? (char)(text[i] - 'A' + 'a') : text[i];
        i += quoted && text[i] == '"'; /* doubled */
    }
    name[used] = '\0';
    return true;
}

/* --- candidates ------------------------------------------------------------------------------ */

/* What is typed of the word. */
struct prefix {
    const char *text;
    size_t length;
    bool quoted; /* it begins with a double quote */
};

/* Whether the word stands in the list of keywords, there as one that needs quotes as a name. */
static bool is_reserved(const char *name)
{
    size_t length = strlen(name);
    for (const char *at = keywords; length > 0 && (at = strstr(at, name)) != NULL; at++)
        if (at > keywords && at[-1] == '!' && at[length] == ' ')
            return true;
    return false;
}

static bool needs_quotes(const char *name)
{
    for (const char *at = name; *at != '\0'; at++)
        if (!is_name_character(*at) || (*at >= 'A' && *at <= 'Z'))
            return true;
    return name[0] == '\0' || (name[0] >= '0' && name[0] <= '9') || name[0] == '$' ||
           is_reserved(name);
}

/* Adds a name of the database that begins as the prefix, in quotes where it needs them. */
static void add_name(const char *name, const struct prefix *prefix, const char *after,
                     struct candidates *out)
{
    bool fits = prefix->quoted ? strncmp(name, prefix->text + 1, prefix->length - 1) == 0
                               : strncasecmp(name, prefix->text, prefix->length) == 0;
    if (!fits)
        return;
    char *quoted =
        prefix->quoted || needs_quotes(name) ? question_identifier(name, NAME_EXACT) : NULL;
    const char *text = quoted == NULL ? name : quoted;
    candidates_add(out, text, strlen(text), after);
    free(quoted);
}

/* Adds the given column of each row that a query gives. */
static void add_answers(omen_connection *connection, const char *sql, size_t column,
                        const struct prefix *prefix, const char *after, struct candidates *out)
{
    struct texts texts = {0};
    omen_error error;
    if (question_ask(connection, sql, column, &texts, &error) == OMEN_OK)
        for (size_t at = 0; at < texts.length; at += strlen(texts.data + at) + 1)
            add_name(texts.data + at, prefix, after, out);
    free(texts.data);
}

static struct prefix prefix_of(const char *text, size_t length)
{
    return (struct prefix){text, length, length > 0 && text[0] == '"'};
}

void complete_tables(omen_connection *connection, const char *prefix, size_t length,
                     struct candidates *out)
{
    struct prefix typed = prefix_of(prefix, length);
    add_answers(connection, "SHOW TABLES", 0, &typed, " ", out);
}

static void add_columns(omen_connection *connection, const char *table, const struct prefix *prefix,
                        struct candidates *out)
{
    char *sql = question_about_name("DESCRIBE ", table, NAME_EXACT);
    if (sql != NULL)
        add_answers(connection, sql, 0, prefix, "", out);
    free(sql);
}

/* Settings do not go in quotes. */
static void add_settings(omen_connection *connection, const struct prefix *prefix,
                         struct candidates *out)
{
    struct texts texts = {0};
    omen_error error;
    if (question_ask(connection, "SHOW ALL", 0, &texts, &error) == OMEN_OK)
        for (size_t at = 0; at < texts.length; at += strlen(texts.data + at) + 1)
            if (strncasecmp(texts.data + at, prefix->text, prefix->length) == 0)
                candidates_add(out, texts.data + at, strlen(texts.data + at), " ");
    free(texts.data);
}

/* In capitals, unless small letters were typed. */
static void add_keywords(const struct prefix *prefix, struct candidates *out)
{
    bool small = false;
    for (size_t i = 0; i < prefix->length; i++)
        small = small || (prefix->text[i] >= 'a' && prefix->text[i] <= 'z');
    for (const char *at = keywords, *end; (end = strchr(at, ' ')) != NULL; at = end + 1) {
        char word[32];
        at += *at == '!';
        size_t length = (size_t)(end - at);
        if (length < prefix->length || strncasecmp(at, prefix->text, prefix->length) != 0)
            continue;
        for (size_t i = 0; i < length; i++)
            word[i] = (char)(small || at[i] < 'a' || at[i] > 'z' ? at[i] : at[i] - 'a' + 'A');
        candidates_add(out, word, length, " ");
    }
}

/* --- tables that the statement names --------------------------------------------------------- */

struct named {
    char table[NAME_BYTES], alias[NAME_BYTES];
};

static const char *const before_tables[] = {"from",     "join", "into",      "update", "table",
                                            "describe", "desc", "summarize", "copy",   NULL};

/* Whether a comma at `index` stands between tables: FROM is the last clause before it. */
static bool is_between_tables(const struct words *words, size_t index)
{
    static const char *const clauses[] = {"select", "where",  "group", "order", "having", "on",
                                          "set",    "values", "(",     ")",     NULL};
    while (index-- > 0) {
        if (is(words, index, "from") || is(words, index, "join"))
            return true;
        if (is_among(words, index, clauses))
            return false;
    }
    return false;
}

static bool begins_table(const struct words *words, size_t index)
{
    return index > 0 && (is_among(words, index - 1, before_tables) ||
                         (is(words, index - 1, ",") && is_between_tables(words, index - 1)));
}

static size_t find_tables(const struct words *words, struct named named[TABLES_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < words->count && count < TABLES_MAX; i++) {
        size_t next = i + 1;
        if (!begins_table(words, i) || !read_name(words, i, named[count].table))
            continue;
        if (is(words, next, ".") && read_name(words, next + 1, named[count].table))
            next += 2; /* behind a schema */
        next += is(words, next, "as");
        if (!read_name(words, next, named[count].alias) || is_reserved(named[count].alias) ||
            strcmp(named[count].alias, "set") == 0 || strcmp(named[count].alias, "values") == 0)
            memcpy(named[count].alias, named[count].table, NAME_BYTES);
        count++;
    }
    return count;
}

/* --- where the cursor is --------------------------------------------------------------------- */

/* Columns of the table that stands, by name or alias, before the dot at `dot`. */
static void add_qualified(omen_connection *connection, const struct words *words, size_t dot,
                          const struct prefix *prefix, struct candidates *out)
{
    struct named named[TABLES_MAX];
    char qualifier[NAME_BYTES];
    size_t count = find_tables(words, named);
    if (!read_name(words, dot - 1, qualifier))
        return;
    for (size_t i = 0; i < count; i++)
        if (strcmp(named[i].alias, qualifier) == 0)
            add_columns(connection, named[i].table, prefix, out);
    if (strcmp(qualifier, "public") == 0)
        complete_tables(connection, prefix->text, prefix->length, out);
}

/* Completes the word `index`, of which `prefix` is typed. */
static void complete_word(omen_connection *connection, const struct words *words, size_t index,
                          const struct prefix *prefix, struct candidates *out)
{
    struct named named[TABLES_MAX];
    size_t last = index - 1; /* the word before */
    bool shows = is(words, 0, "show");
    if (index >= 2 && is(words, last, ".")) {
        add_qualified(connection, words, last, prefix, out);
        return;
    }
    if (begins_table(words, index)) {
        complete_tables(connection, prefix->text, prefix->length, out);
        if (is(words, last, "table") && index == 2 && !is(words, 0, "create"))
            return;
        if (is(words, last, "from") || is(words, last, "join"))
            return;
    }
    if (index == 1 && (shows || is(words, 0, "set") || is(words, 0, "reset"))) {
        add_settings(connection, prefix, out);
        if (!shows)
            return;
    }
    if (!prefix->quoted && !(index > 0 && is_among(words, last, before_tables)))
        add_keywords(prefix, out);
    size_t count = index == 0 ? 0 : find_tables(words, named);
    for (size_t i = 0; i < count && !begins_table(words, index); i++)
        add_columns(connection, named[i].table, prefix, out);
}

/* Whether words [1, index) are "omen" and a dot, of a setting. */
static bool is_in_setting(const struct words *words, size_t index)
{
    static const char *const verbs[] = {"set", "reset", "show", NULL};
    return index == 3 && is_among(words, 0, verbs) && is(words, 2, ".");
}

void complete_sql(omen_connection *connection, const char *sql, size_t length, size_t cursor,
                  struct candidates *out)
{
    struct words *words = calloc(1, sizeof *words);
    if (words == NULL)
        return;
    words->sql = sql;
    cut(words, 0, cursor);
    size_t index = words->count, rest;
    const struct word *word = index > 0 ? &words->items[index - 1] : NULL;
    bool touches = word != NULL && word->end == cursor && (word->kind == WORD_NAME || word->open);
    index -= touches;
    out->start = touches ? word->start : cursor;
    if (is_in_setting(words, index)) {
        index = 1;
        out->start = words->items[1].start;
    }
    struct prefix prefix = prefix_of(sql + out->start, cursor - out->start);
    bool whole;
    omen_statement_split(sql, length, &rest, &whole);
    if (!touches || !word->open)
        cut(words, cursor, rest < length ? rest : length);
    if (touches && word->kind == WORD_STRING) {
        if (is(words, index - 1, "from") || is(words, index - 1, "to") ||
            is(words, index - 1, "join") || is(words, index - 1, "summarize")) {
            out->start++;
            complete_files(prefix.text + 1, prefix.length - 1, true, out);
        }
    } else if (words->count < WORDS_MAX) {
        complete_word(connection, words, index, &prefix, out);
    }
    free(words);
}
