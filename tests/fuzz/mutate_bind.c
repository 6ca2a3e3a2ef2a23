/* mutate_bind.c - mutations of statements for libFuzzer: by tokens, and by whole expressions.
 *
 * Bytes changed at random seldom parse. Tokens replaced from a dictionary do, and expressions made
 * from semantics.def, each argument of its type, reach every function with values at the edges.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/lexer.h"
#include "sql/semantics.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *other,
                                 size_t other_size, uint8_t *out, size_t max_size, unsigned seed);

enum { TOKENS_MAX = 2000, TEXT_BYTES_MAX = 1 << 16, DEPTH_MAX = 4 };

static const char *const fragments[] = {
    "select", "from", "where", "group by", "having", "order by", "limit", "offset", "union",
    "union all", "intersect", "except", "except all", "with", "recursive", "as", "join",
    "left join", "full join", "right join", "natural join", "cross join", "on", "using (id)",
    "using (i4)", "lateral", "values (1)", "exists", "in", "not in", "any", "all", "some",
    "between", "between symmetric", "and", "or", "not", "is null", "is not null", "is true",
    "is not false", "is unknown", "is distinct from", "is not distinct from", "like", "ilike",
    "not like", "escape '!'", "similar to", "case when b then", "else", "end", "distinct",
    "distinct on (s)", "over ()", "over (partition by s order by i4)", "over w",
    "window w as (order by id)", "filter (where b)", "rows between 1 preceding and current row",
    "range between unbounded preceding and unbounded following", "groups 1 preceding", "desc",
    "nulls first", "asc nulls last", "t", "w", "x", "t.*", "*", "w.*", "count(*)",
    "(select 1)", "(select max(i4) from w where w.k1 = t.id)", "(values (1), (2))",
    "generate_series(1, 3)", "generate_series(1, 3) g", "rollup (s, i4)", "cube (s, b)",
    "grouping sets ((s), ())", "insert into t", "insert into w", "update t set i4 =",
    "delete from t", "default", "null", "$1", "$2", "::int", "::numeric(5,2)", "::char(3)",
    "::varchar(2)", "::interval", "::timestamptz", "collate \"C\"", "interval '1 mon'",
    "interval '1' day", "date", "timestamp", "row(1, 2)", "(1, 2)", "array[1]", "coalesce(",
    "greatest(", "nullif(", "extract(year from", "extract(epoch from", "substring(s from 2 for 3)",
    "trim(both 'x' from s)", "overlay(s placing 'x' from 2)", "position('a' in s)", "cast(",
    "current_date", "now()", "random()", "at time zone 'utc'", "for update", "with ties", "fetch first 1 rows only",
    "lag(i4) over (order by id)", "sum(distinct i4)", "string_agg(s, ',' order by id)",
};
static const char *const columns[] = {"id", "b", "i2", "i4", "i8", "f4", "f8", "n", "n38",
                                      "s", "v", "c", "y", "d", "ts", "tz", "u", "k1", "k2"};
static const char *const operators[] = {"+", "-", "*", "/", "%", "^", "=", "<>", "<", "<=", ">",
                                        ">=", "||", "~~", "!~~*", "&", "|", "#", "<<", ">>", "@",
                                        "^@", "|/", "~", "!"};
static const char *const numbers[] = {
    "0", "1", "-1", "2", "3", "7", "100", "32767", "32768", "-32768", "2147483647", "2147483648",
    "-2147483648", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "0.5",
    "1.5", "2.5", "-0.0", "1e38", "1e39", "1e308", "1e400", "1e-400",
    "99999999999999999999999999999999999999", "0.00000000000000000000000000000000000001",
    "12345678901234567890.123456789012345678", "1.23456789e5", "400000000", "1073741824", "38", "-39",
};
static const char *const strings[] = {
    "''", "'a'", "' a '", "'abc'", "'%'", "'_%\\'", "'\\'", "'\\%'", "'a%b_c'", "'NaN'",
    "'infinity'", "'-Infinity'", "'1'", "'1.5'", "'-0'", "'1e400'", "'t'", "'f'", "'2020-02-29'",
    "'0001-01-01'", "'4713-01-01 BC'", "'294276-12-31 23:59:59.999999'", "'5874897-12-31'",
    "'1999-12-31 23:59:60'", "'2020-01-31 12:00:00+15:59'", "'1 year 2 mons -3 days 04:05:06.7'",
    "'178000000 years'", "'-2147483648 mons'", "'9223372036854775807 us'", "'P1Y2M3DT4H5M6.7S'",
    "'1-2 3 4:05:06'", "'1.5 months'", "'\\x00ff'", "'\\xzz'", "'a\\000b'", "U&'\\0061'",
    "'äöü€😀'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'day'", "'month'", "'epoch'",
    "'century'", "'hex'", "'base64'", "'escape'", "'YWJj'", "'='", "$$a$$", "E'\\n'", "'  '",
};

/* --- a text being written; what does not fit makes it useless --- */

struct text {
    char bytes[TEXT_BYTES_MAX];
    size_t length;
    uint64_t random;
};

static uint32_t below(struct text *text, uint32_t limit)
{
    text->random ^= text->random << 13;
    text->random ^= text->random >> 7;
    text->random ^= text->random << 17;
    return limit == 0 ? 0 : (uint32_t)((text->random >> 11) % limit);
}

static void put_bytes(struct text *text, const char *bytes, size_t length)
{
    if (length > sizeof text->bytes - text->length)
        length = sizeof text->bytes - text->length;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

static void put(struct text *text, const char *bytes)
{
    put_bytes(text, bytes, strlen(bytes));
}

#define PUT_ONE_OF(text, list) put(text, (list)[below(text, sizeof(list) / sizeof *(list))])

/* --- expressions of a type --- */

static void put_expression(struct text *text, int type, unsigned depth);

static void put_leaf(struct text *text, int type)
{
    static const char *const column_of[] = {
        [OMEN_TYPE_BOOLEAN] = "b", [OMEN_TYPE_SMALLINT] = "i2", [OMEN_TYPE_INTEGER] = "i4",
        [OMEN_TYPE_BIGINT] = "i8", [OMEN_TYPE_REAL] = "f4", [OMEN_TYPE_DOUBLE] = "f8",
        [OMEN_TYPE_DECIMAL] = "n", [OMEN_TYPE_TEXT] = "s", [OMEN_TYPE_VARCHAR] = "v",
        [OMEN_TYPE_CHAR] = "c", [OMEN_TYPE_BYTEA] = "y", [OMEN_TYPE_DATE] = "d",
        [OMEN_TYPE_TIMESTAMP] = "ts", [OMEN_TYPE_TIMESTAMPTZ] = "tz", [OMEN_TYPE_UUID] = "u"};
    bool number = type >= OMEN_TYPE_SMALLINT && type <= OMEN_TYPE_DECIMAL;
    if (type >= OMEN_TYPE_BOOLEAN && type <= OMEN_TYPE_UUID && below(text, 4) == 0) {
        put(text, column_of[type]);
        return;
    }
    switch (below(text, 8)) {
    case 0:
        put(text, "null::");
        put(text, semantics_type_name((omen_type_id)type));
        return;
    case 1:
        PUT_ONE_OF(text, strings);
        return;
    case 2:
        put(text, "$1");
        return;
    default:
        put(text, "(");
        if (number)
            PUT_ONE_OF(text, numbers);
        else
            PUT_ONE_OF(text, strings);
        put(text, ")::");
        put(text, semantics_type_name((omen_type_id)type));
    }
}

static void put_line(struct text *text, const struct semantics_line *line, unsigned depth)
{
    uint32_t count = line->argument_count;
    if (line->flags & SEMANTICS_VARIADIC)
        count += below(text, 3);
    put(text, "(");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t given = i < line->argument_count ? i : line->argument_count - 1u;
        if (line->kind == SEMANTICS_OPERATOR) {
            if (i + 1 == count) {
                put(text, " ");
                put(text, line->name);
                put(text, " ");
            }
        } else {
            put(text, i > 0 ? ", " : line->kind == SEMANTICS_CAST ? "(" : line->name);
            put(text, i > 0 || line->kind == SEMANTICS_CAST ? "" : "(");
        }
        put_expression(text, line->arguments[given], depth);
    }
    if (line->kind == SEMANTICS_CAST) {
        put(text, ")::");
        put(text, semantics_type_name((omen_type_id)line->result));
    } else if (line->kind != SEMANTICS_OPERATOR) {
        if (count == 0) {
            put(text, line->name);
            put(text, "(");
        }
        put(text, ")");
        if (line->kind == SEMANTICS_WINDOW)
            put(text, " over (order by id)");
    }
    put(text, ")");
}

/* A choice between expressions of one type. */
static void put_choice(struct text *text, int type, unsigned depth)
{
    static const char *const choices[] = {"coalesce(", "greatest(", "nullif(", "(case when "};
    uint32_t choice = below(text, 4);
    put(text, choices[choice]);
    if (choice == 3) {
        put_expression(text, OMEN_TYPE_BOOLEAN, depth);
        put(text, " then ");
    }
    put_expression(text, type, depth);
    put(text, choice == 3 ? " else " : ", ");
    put_expression(text, type, depth);
    put(text, choice == 3 ? " end)" : ")");
}

static void put_condition(struct text *text, unsigned depth)
{
    static const char *const between[] = {" and ", " or ", " = ", " is distinct from "};
    int type = OMEN_TYPE_BOOLEAN;
    const char *how = between[below(text, 4)];
    if (how == between[2] || how == between[3])
        type = 1 + (int)below(text, OMEN_TYPE_UUID);
    put(text, "(");
    put_expression(text, type, depth);
    if (below(text, 3) == 0) {
        put(text, below(text, 2) ? " in (" : " not in (");
        for (uint32_t i = 0, count = 1 + below(text, 3); i < count; i++) {
            put(text, i > 0 ? ", " : "");
            put_expression(text, type, depth);
        }
        put(text, "))");
        return;
    }
    put(text, how);
    put_expression(text, type, depth);
    put(text, ")");
}

static void put_expression(struct text *text, int type, unsigned depth)
{
    if (type == SQL_TYPE_ANY)
        type = 1 + (int)below(text, OMEN_TYPE_UUID);
    if (depth == 0 || text->length > TEXT_BYTES_MAX / 2 || below(text, 5) == 0) {
        put_leaf(text, type);
        return;
    }
    if (type == OMEN_TYPE_BOOLEAN && below(text, 2) == 0) {
        put_condition(text, depth - 1);
        return;
    }
    if (below(text, 6) == 0) {
        put_choice(text, type, depth - 1);
        return;
    }
    /* Some line that gives this type, from a place chosen at random. */
    uint32_t first = below(text, semantics_line_count);
    for (uint32_t i = 0; i < semantics_line_count; i++) {
        const struct semantics_line *line = &semantics_lines[(first + i) % semantics_line_count];
        bool whole = line->kind == SEMANTICS_AGGREGATE || line->kind == SEMANTICS_WINDOW;
        if (line->result != type || (whole && below(text, 8) > 0) ||
            (line->kind == SEMANTICS_CAST && below(text, 4) > 0))
            continue;
        put_line(text, line, depth - 1);
        return;
    }
    put_leaf(text, type);
}

/* --- tokens --- */

struct tokens {
    const char *text;
    struct token list[TOKENS_MAX];
    uint32_t count;
};

static void split(struct tokens *tokens, const uint8_t *data, size_t size)
{
    struct lexer lexer = {.text = (const char *)data, .length = size};
    tokens->text = (const char *)data;
    tokens->count = 0;
    while (tokens->count < TOKENS_MAX) {
        struct token token = lexer_next(&lexer);
        if (token.kind == TOKEN_END)
            return;
        tokens->list[tokens->count++] = token;
    }
}

/* Where the part that begins at token `first` ends: behind the matching parenthesis, or the one. */
static uint32_t part_end(const struct tokens *tokens, uint32_t first)
{
    int depth = 0;
    uint32_t i = first;
    if (tokens->list[i].kind == TOKEN_WORD && i + 1 < tokens->count &&
        tokens->text[tokens->list[i + 1].start] == '(')
        i++;
    for (; i < tokens->count; i++) {
        char c = tokens->text[tokens->list[i].start];
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        if (depth <= 0)
            return i + 1;
    }
    return i;
}

static void put_tokens(struct text *text, const struct tokens *tokens, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        const struct token *token = &tokens->list[i];
        put_bytes(text, tokens->text + token->start, token->length);
        put(text, " ");
    }
}

static void put_replacement(struct text *text, const struct tokens *tokens, uint32_t first,
                            uint32_t end)
{
    const struct token *token = &tokens->list[first];
    uint32_t other = below(text, tokens->count);
    switch (below(text, 10)) {
    case 0:
        PUT_ONE_OF(text, fragments);
        break;
    case 1:
        put_tokens(text, tokens, other, part_end(tokens, other));
        break;
    case 2:
        put(text, "(");
        put_tokens(text, tokens, first, end);
        PUT_ONE_OF(text, operators);
        put_expression(text, SQL_TYPE_ANY, 1);
        put(text, ")");
        break;
    case 3:
        PUT_ONE_OF(text, columns);
        break;
    case 4:
    case 5:
        put_expression(text, SQL_TYPE_ANY, 1 + below(text, DEPTH_MAX));
        break;
    default:
        if (token->kind == TOKEN_NUMBER)
            PUT_ONE_OF(text, numbers);
        else if (token->kind == TOKEN_STRING)
            PUT_ONE_OF(text, strings);
        else if (token->kind == TOKEN_OPERATOR)
            PUT_ONE_OF(text, operators);
        else if (below(text, 2) == 0)
            PUT_ONE_OF(text, columns);
        else
            PUT_ONE_OF(text, fragments);
    }
    put(text, " ");
}

static void put_mutated(struct text *text, const struct tokens *tokens)
{
    uint32_t first = below(text, tokens->count), end = part_end(tokens, first);
    uint32_t to = below(text, tokens->count);
    put_tokens(text, tokens, 0, first);
    switch (below(text, 8)) {
    case 0: /* deleted */
        break;
    case 1: /* said twice */
        put_tokens(text, tokens, first, end);
        put_tokens(text, tokens, first, end);
        break;
    case 2: /* an insertion */
        PUT_ONE_OF(text, fragments);
        put(text, " ");
        put_tokens(text, tokens, first, end);
        break;
    case 3: /* another part of the statement */
        put_tokens(text, tokens, to, part_end(tokens, to));
        break;
    default:
        put_replacement(text, tokens, first, end);
    }
    put_tokens(text, tokens, end, tokens->count);
}

static void put_new(struct text *text)
{
    put(text, "select ");
    put_expression(text, SQL_TYPE_ANY, DEPTH_MAX);
    if (below(text, 3) > 0) {
        put(text, " from t");
        if (below(text, 2) == 0) {
            put(text, " where ");
            put_expression(text, OMEN_TYPE_BOOLEAN, DEPTH_MAX);
        }
    }
}

static size_t give(const struct text *text, uint8_t *out, size_t max_size)
{
    size_t size = text->length < max_size ? text->length : max_size;
    memcpy(out, text->bytes, size);
    return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static struct tokens tokens;
    static struct text text;
    text.length = 0;
    text.random = (seed + 1) * 0x9E3779B97F4A7C15u;
    (void)below(&text, 2);
    if (below(&text, 50) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    split(&tokens, data, size);
    if (tokens.count == 0 || below(&text, 20) == 0)
        put_new(&text);
    else
        put_mutated(&text, &tokens);
    return give(&text, data, max_size);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *other,
                                 size_t other_size, uint8_t *out, size_t max_size, unsigned seed)
{
    static struct tokens here, there;
    static struct text text;
    text.length = 0;
    text.random = (seed + 1) * 0x9E3779B97F4A7C15u;
    split(&here, one, one_size);
    split(&there, other, other_size);
    if (here.count == 0 || there.count == 0)
        return give(&text, out, max_size);
    uint32_t at = below(&text, here.count), from = below(&text, there.count);
    put_tokens(&text, &here, 0, at);
    put_tokens(&text, &there, from, part_end(&there, from));
    put_tokens(&text, &here, part_end(&here, at), here.count);
    return give(&text, out, max_size);
}
