/* test_bind_expression.c - what expressions mean: types, casts and errors, as PostgreSQL 15 has them.
 *
 * Types, SQLSTATEs, positions and messages are those that PostgreSQL 15 gives for the same
 * statement over the same table (0A000 is ours); trees are in the form of bound_text.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bound_text.h"
#include "os/os.h"
#include "sql/bind.h"
#include "store/database.h"

/* CREATE TABLE t (i int PRIMARY KEY, s smallint, b bigint, r real, d double precision,
 *   n numeric(10,2), x text, v varchar(10), c char(5), y bytea, da date, ts timestamp,
 *   tz timestamptz, u uuid, f boolean); t2 is like it. */
static const struct column_definition columns[] = {
    {.name = "i", .type.id = OMEN_TYPE_INTEGER},
    {.name = "s", .type.id = OMEN_TYPE_SMALLINT, .nullable = true},
    {.name = "b", .type.id = OMEN_TYPE_BIGINT, .nullable = true},
    {.name = "r", .type.id = OMEN_TYPE_REAL, .nullable = true},
    {.name = "d", .type.id = OMEN_TYPE_DOUBLE, .nullable = true},
    {.name = "n", .type = {.id = OMEN_TYPE_DECIMAL, .precision = 10, .scale = 2}, .nullable = true},
    {.name = "x", .type.id = OMEN_TYPE_TEXT, .nullable = true},
    {.name = "v", .type = {.id = OMEN_TYPE_VARCHAR, .length_max = 10}, .nullable = true},
    {.name = "c", .type = {.id = OMEN_TYPE_CHAR, .length_max = 5}, .nullable = true},
    {.name = "y", .type.id = OMEN_TYPE_BYTEA, .nullable = true},
    {.name = "da", .type.id = OMEN_TYPE_DATE, .nullable = true},
    {.name = "ts", .type.id = OMEN_TYPE_TIMESTAMP, .nullable = true},
    {.name = "tz", .type.id = OMEN_TYPE_TIMESTAMPTZ, .nullable = true},
    {.name = "u", .type.id = OMEN_TYPE_UUID, .nullable = true},
    {.name = "f", .type.id = OMEN_TYPE_BOOLEAN, .nullable = true},
};

static int open_tables(void **state)
{
    const struct database_options options = {0};
    const uint32_t key = 0;
    struct database *database;
    struct schema *schema;
    assert_int_equal(database_open(&os_real, &options, &database, NULL), OMEN_OK);
    assert_int_equal(schema_create(database->allocator, columns, sizeof columns / sizeof *columns,
                                   &key, 1, &schema, NULL),
                     OMEN_OK);
    assert_int_equal(database_create_table(database, "t", schema, NULL), OMEN_OK);
    assert_int_equal(database_create_table(database, "t2", schema, NULL), OMEN_OK);
    schema_release(schema);
    *state = database;
    return 0;
}

static int close_tables(void **state)
{
    assert_int_equal(database_close(*state), OMEN_OK);
    return 0;
}

/* One statement being bound. */
struct bound {
    struct arena arena;
    struct parsed parsed;
    struct binder binder;
    struct query *query;
    omen_error error;
};

static omen_status bind_sql(struct database *database, const char *sql, struct bound *bound)
{
    memset(bound, 0, sizeof *bound);
    arena_init(&bound->arena, database->allocator);
    OMEN_TRY(
        parse_statement(sql, strlen(sql), &bound->arena, &bound->parsed, &bound->error));
    OMEN_TRY(binder_init(&bound->binder, &bound->arena, database->catalog, &bound->parsed, NULL, 0,
                         &bound->error));
    OMEN_TRY(bind_query(&bound->binder, NULL, bound->parsed.statement->select_stmt, &bound->query,
                        &bound->error));
    binder_finish(&bound->binder);
    return OMEN_OK;
}

static void release_bound(struct bound *bound)
{
    binder_release(&bound->binder);
    arena_release(&bound->arena);
}

/* --- what is bound --- */

static void test_trees(void **state)
{
    static const struct {
        const char *expression, *type, *tree;
    } cases[] = {
        {"i", "integer", "i"},
        {"t.i", "integer", "i"},
        {"public.t.i", "integer", "i"},
        {"i + 1", "integer", "(i + 1)"},
        {"s + i", "integer", "(s::~integer + i)"},
        {"s / 2", "integer", "(s::~integer / 2)"},
        {"b + i", "bigint", "(b + i::~bigint)"},
        {"r + i", "double precision", "(r::~double precision + i::~double precision)"},
        {"r + n", "double precision", "(r::~double precision + n::~double precision)"},
        {"d + n", "double precision", "(d + n::~double precision)"},
        {"n + i", "numeric(13,2)", "(n + i::~numeric(10,0))"},
        {"n * 2", "numeric(20,2)", "(n * 2:numeric(10,0))"},
        {"n / 3", "numeric(28,20)", "(n / 3:numeric(10,0))"},
        {"- i", "integer", "(- i)"},
        {"-i::int8", "bigint", "(- i::bigint)"},
        {"1 + 2", "integer", "(1 + 2)"},
        {"1.5 + 2", "numeric(12,1)", "(1.5:numeric(2,1) + 2:numeric(10,0))"},
        {"2147483647", "integer", "2147483647"},
        {"2147483648", "bigint", "2147483648:bigint"},
        {"-2147483648", "integer", "-2147483648"},
        {"9223372036854775807", "bigint", "9223372036854775807:bigint"},
        {"9223372036854775808", "numeric(19,0)", "9223372036854775808:numeric(19,0)"},
        {"1e3", "numeric(4,0)", "1000:numeric(4,0)"},
        {"1.5e-3", "numeric(4,4)", "0.0015:numeric(4,4)"},
        {"0.1", "numeric(1,1)", "0.1:numeric(1,1)"},
        {"00012.50", "numeric(4,2)", "12.50:numeric(4,2)"},
        {"TRUE", "boolean", "t"},
        {"NULL", "text", "NULL:text"},
        {"'a'", "text", "'a':text"},
        {"2 ^ 3", "double precision", "(2:double precision ^ 3:double precision)"},
        {"abs(i)", "integer", "abs(i)"},
        {"abs(s)", "smallint", "abs(s)"},
        {"abs('1')", "double precision", "abs(1:double precision)"},
        {"round(n)", "numeric(38,0)", "round(n)"},
        {"round(n, 1)", "numeric(38,1)", "round(n, 1)"},
        {"round(d)", "double precision", "round(d)"},
        {"pg_catalog.abs(i)", "integer", "abs(i)"},
        {"power(i, 2)", "double precision", "power(i::~double precision, 2:double precision)"},
        {"i = 5", "boolean", "(i = 5)"},
        {"i = 5::int8", "boolean", "(i = 5)"},
        {"5.00 = i", "boolean", "(5 = i)"},
        {"i = 42.5", "boolean", "(i::~numeric(10,0) = 42.5:numeric(3,1))"},
        {"i < 42.5", "boolean", "(i::~numeric(10,0) < 42.5:numeric(3,1))"},
        {"i = '5'", "boolean", "(i = 5)"},
        {"i = 3000000000", "boolean", "(i::~bigint = 3000000000:bigint)"},
        {"i IN (1, 2, 3)", "boolean", "in(i, 1, 2, 3)"},
        {"i IN (1, 2.5, 3.0)", "boolean", "in(i, 1, 3)"},
        {"i IN (2.5, 3.5)", "boolean", "in(i::~numeric(10,0), 2.5:numeric(2,1), 3.5:numeric(2,1))"},
        {"i IN (1, b, 3)", "boolean", "(in(i, 1, 3) or (i::~bigint = b))"},
        {"i IN (1, b)", "boolean", "((i = 1) or (i::~bigint = b))"},
        {"i IN ('1', '2')", "boolean", "in(i, 1, 2)"},
        {"i IN ($1, 5)", "boolean", "in(i, $1:integer, 5)"},
        {"i NOT IN (1, 2, b)", "boolean", "(not_in(i, 1, 2) and (i::~bigint <> b))"},
        {"x IN ('a', 'b')", "boolean", "in(x, 'a':text, 'b':text)"},
        {"x IN ('a', NULL)", "boolean", "in(x, 'a':text, NULL:text)"},
        {"s = 5", "boolean", "(s = 5:smallint)"},
        {"s = 70000", "boolean", "(s::~integer = 70000)"},
        {"b = 5", "boolean", "(b = 5:bigint)"},
        {"b = 5::float8", "boolean", "(b = 5:bigint)"},
        {"b = 9007199254740993::float8", "boolean", "(b::~double precision = 9.007199254740992e+15:double precision)"},
        {"n = 5", "boolean", "(n = 5.00:numeric(10,2))"},
        {"n = 5.005", "boolean", "(n = 5.005:numeric(4,3))"},
        {"n = '5.5'", "boolean", "(n = 5.50:numeric(10,2))"},
        {"n IN (1, 2.5, 99999999999)", "boolean", "in(n, 1.00:numeric(10,2), 2.50:numeric(10,2))"},
        {"r = 5.5", "boolean", "(r = 5.5:real)"},
        {"r = 0.1", "boolean", "(r::~double precision = 0.1:double precision)"},
        {"d = n", "boolean", "(d = n::~double precision)"},
        {"v = 'abc'", "boolean", "(v = 'abc':character varying(10))"},
        {"v = 'abcdefghijklmn'", "boolean", "(v::~text = 'abcdefghijklmn':text)"},
        {"v IN ('a', 'abcdefghijklmn')", "boolean", "in(v, 'a':character varying(10))"},
        {"c = 'abc'", "boolean", "(c = 'abc  ':character(5))"},
        {"c < 'abc'", "boolean", "(c < 'abc':character)"},
        {"c = 'abcdefg'", "boolean", "(c = 'abcdefg':character)"},
        {"c = 'abc'::text", "boolean", "(c::~text = 'abc':text)"},
        {"da = '2024-01-01'", "boolean", "(da = '2024-01-01':date)"},
        {"da = ts", "boolean", "(da::~timestamp = ts)"},
        {"da < tz", "boolean", "(da::~timestamp with time zone < tz)"},
        {"ts < tz", "boolean", "(ts::~timestamp with time zone < tz)"},
        {"u = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "boolean", "(u = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11':uuid)"},
        {"y = '\\x00'", "boolean", "(y = '\\x00':bytea)"},
        {"i = NULL", "boolean", "(i = NULL)"},
        {"i = NULL::bigint", "boolean", "(i = NULL)"},
        {"i BETWEEN 1 AND 5", "boolean", "((i >= 1) and (i <= 5))"},
        {"i BETWEEN 1.0 AND 5.5", "boolean", "((i >= 1) and (i::~numeric(10,0) <= 5.5:numeric(2,1)))"},
        {"i NOT BETWEEN 1 AND 5", "boolean", "((i < 1) or (i > 5))"},
        {"i BETWEEN SYMMETRIC 5 AND 1", "boolean", "(((i >= 5) and (i <= 1)) or ((i >= 1) and (i <= 5)))"},
        {"i NOT BETWEEN SYMMETRIC 5 AND 1", "boolean", "(((i < 5) or (i > 1)) and ((i < 1) or (i > 5)))"},
        {"i IS DISTINCT FROM 5.0", "boolean", "(i is distinct from 5)"},
        {"i IS NOT DISTINCT FROM n", "boolean", "(i::~numeric(10,0) is not distinct from n)"},
        {"i IS DISTINCT FROM NULL", "boolean", "(i is not null)"},
        {"NULLIF(i, 1)", "integer", "nullif(i, 1)"},
        {"NULLIF(i, 1.5)", "numeric(10,0)", "nullif(i::~numeric(10,0), 1.5:numeric(2,1))"},
        {"NULLIF(s, i)", "smallint", "nullif(s::~integer, i)::smallint"},
        {"NULLIF('a', 'b')", "text", "nullif('a':text, 'b':text)"},
        {"f AND i = 1 AND TRUE", "boolean", "(f and (i = 1) and t)"},
        {"f OR i = 1 OR (NOT f OR NULL)", "boolean", "(f or (i = 1) or not(f) or NULL)"},
        {"f AND 'true'", "boolean", "(f and t)"},
        {"(f AND f) OR f", "boolean", "((f and f) or f)"},
        {"i IS NULL", "boolean", "(i is null)"},
        {"'a' IS NOT NULL", "boolean", "('a':text is not null)"},
        {"ROW(i, s) IS NULL", "boolean", "((i is null) and (s is null))"},
        {"f IS TRUE", "boolean", "(f is true)"},
        {"f IS NOT UNKNOWN", "boolean", "(f is not unknown)"},
        {"CASE WHEN f THEN 1 ELSE 2.5 END", "numeric(11,1)", "case(f, 1.0:numeric(11,1), 2.5:numeric(11,1))"},
        {"CASE WHEN f THEN n END", "numeric(10,2)", "case(f, n)"},
        {"CASE i WHEN 1 THEN 'a' WHEN 2.5 THEN 'b' END", "text", "case((i = 1), 'a':text, (i::~numeric(10,0) = 2.5:numeric(2,1)), 'b':text)"},
        {"CASE WHEN f THEN '1' ELSE 2 END", "integer", "case(f, 1, 2)"},
        {"COALESCE(i, 1.5)", "numeric(11,1)", "coalesce(i::~numeric(11,1), 1.5:numeric(11,1))"},
        {"COALESCE(NULL, NULL)", "text", "coalesce(NULL:text, NULL:text)"},
        {"COALESCE(v, v)", "character varying(10)", "coalesce(v, v)"},
        {"COALESCE(v, x)", "character varying", "coalesce(v, x::~character varying)"},
        {"COALESCE(v, 'long text, longer')", "character varying", "coalesce(v, 'long text, longer':character varying)"},
        {"COALESCE(n, '1.2345')", "numeric(12,4)", "coalesce(n::~numeric(12,4), 1.2345:numeric(12,4))"},
        {"GREATEST(i, b, 1)", "bigint", "greatest(i::~bigint, b, 1:bigint)"},
        {"LEAST(da, ts)", "timestamp", "least(da::~timestamp, ts)"},
        {"'1'::int", "integer", "1"},
        {"'12345'::varchar(3)", "character varying(3)", "'123':character varying(3)"},
        {"'abc'::char(5)", "character(5)", "'abc  ':character(5)"},
        {"x::int", "integer", "x::integer"},
        {"i::text", "text", "i::text"},
        {"f::int", "integer", "f::integer"},
        {"1.5::int", "integer", "2"},
        {"99999999999::int", "integer", "99999999999:bigint::integer"},
        {"1::boolean", "boolean", "t"},
        {"1::numeric(10,2)", "numeric(10,2)", "1.00:numeric(10,2)"},
        {"12345.678::numeric(4,2)", "numeric(4,2)", "12345.678:numeric(8,3)::numeric(4,2)"},
        {"'1.50'::numeric", "numeric(3,2)", "1.50:numeric(3,2)"},
        {"1.5::float8::numeric", "numeric(2,1)", "1.5:numeric(2,1)"},
        {"NULL::int", "integer", "NULL"},
        {"i::numeric", "numeric(10,0)", "i::numeric(10,0)"},
        {"d::numeric(10,2)", "numeric(10,2)", "d::numeric(10,2)"},
        {"n::numeric(12,4)", "numeric(12,4)", "n::numeric(12,4)"},
        {"v::varchar(5)", "character varying(5)", "v::character varying(5)"},
        {"CAST(i AS bigint)", "bigint", "i::bigint"},
        {"DATE '2024-02-29'", "date", "'2024-02-29':date"},
        {"TIMESTAMP '2024-01-01 12:00:00'", "timestamp", "'2024-01-01 12:00:00':timestamp"},
        {"date(ts)", "date", "ts::date"},
        {"date('2024-01-01')", "date", "'2024-01-01':date"},
        {"text(5)", "text", "'5':text"},
        {"int4(x)", "integer", "x::integer"},
        {"x COLLATE \"C\"", "text", "x"},
        {"$1", "text", "$1:text"},
        {"$1 + i", "integer", "($1:integer + i)"},
        {"$1 = n", "boolean", "($1:numeric(10,2) = n)"},
        {"$1 = v", "boolean", "($1:text = v::~text)"},
        {"$1 IS NULL OR $1 = i", "boolean", "(($1:integer is null) or ($1:integer = i))"},
        {"$1::int", "integer", "$1:integer"},
        {"$1::varchar(5)", "character varying(5)", "$1:character varying::character varying(5)"},
        {"COALESCE($1, i)", "integer", "coalesce($1:integer, i)"},
        {"(i, s) = (1, 2)", "boolean", "((i = 1) and (s = 2:smallint))"},
        {"(i, s) <> (1, 2)", "boolean", "((i <> 1) or (s <> 2:smallint))"},
        {"(i, s, b) < (1, 2, 3)", "boolean", "((i < 1) or ((i = 1) and ((s < 2:smallint) or ((s = 2:smallint) and (b < 3:bigint)))))"},
        {"(i, s) IN ((1, 2), (3, 4))", "boolean", "(((i = 1) and (s = 2:smallint)) or ((i = 3) and (s = 4:smallint)))"},
        {"(i, s) IS DISTINCT FROM (1, NULL)", "boolean", "((i is distinct from 1) or (s is not null))"},
        {"count(*)", "bigint", "count(*)"},
        {"count(x)", "bigint", "count(x)"},
        {"count(DISTINCT x)", "bigint", "count(distinct x)"},
        {"sum(s)", "bigint", "sum(s)"},
        {"sum(i)", "bigint", "sum(i)"},
        {"sum(b)", "numeric(38,0)", "sum(b)"},
        {"sum(n)", "numeric(38,2)", "sum(n)"},
        {"sum(r)", "real", "sum(r)"},
        {"sum(d)", "double precision", "sum(d)"},
        {"avg(i)", "numeric(30,20)", "avg(i)"},
        {"avg(n)", "numeric(30,20)", "avg(n)"},
        {"min(v)", "text", "min(v::~text)"},
        {"max(c)", "character(5)", "max(c)"},
        {"sum(i) FILTER (WHERE i > 5)", "bigint", "sum(i) filter (i > 5)"},
        {"string_agg(x, 'a' ORDER BY i DESC, s NULLS FIRST)", "text", "string_agg(x, 'a':text order by i desc, s nulls first)"},
        {"row_number() OVER (ORDER BY i)", "bigint", "row_number() over ( order by i)"},
        {"sum(i) OVER (PARTITION BY s ORDER BY i DESC ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)", "bigint", "sum(i) over (partition by s order by i desc rows 1:bigint preceding to  current row)"},
        {"sum(i) OVER (ORDER BY n RANGE BETWEEN 1 PRECEDING AND 2.5 FOLLOWING)", "bigint", "sum(i) over ( order by n range 1.00:numeric(10,2) preceding to 2.50:numeric(10,2) following)"},
        {"sum(sum(i)) OVER ()", "numeric(38,0)", "sum(sum(i)) over ()"},
        {"lag(i, 1, 2.5) OVER (ORDER BY i)", "numeric(11,1)", "lag(i::~numeric(11,1), 1, 2.5:numeric(11,1)) over ( order by i)"},
        {"EXISTS (SELECT 1)", "boolean", "(exists(1))"},
        {"NOT EXISTS (SELECT 1)", "boolean", "(not exists(1))"},
        {"(SELECT 1)", "integer", "(scalar(1))"},
        {"(SELECT t.i FROM t2 LIMIT 1)", "integer", "(scalar(^i))"},
        {"i IN (SELECT i FROM t2)", "boolean", "(i = any(i))"},
        {"i IN (SELECT b FROM t2)", "boolean", "(i::~bigint = any(b))"},
        {"b IN (SELECT i FROM t2)", "boolean", "(b = any(i::~bigint))"},
        {"i NOT IN (SELECT s FROM t2)", "boolean", "(i = not any(s::~integer))"},
        {"i > ALL (SELECT n FROM t2)", "boolean", "(i::~numeric(10,0) > all(n))"},
        {"n = ANY (VALUES (1), (2))", "boolean", "(n = any(column1::~numeric(10,0)))"},
        {"i IN (SELECT i FROM t2 UNION SELECT s FROM t2)", "boolean", "(i = any(integer))"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[256], tree[1024], type[64];
        struct bound bound;
        snprintf(sql, sizeof sql, "SELECT %s FROM t", cases[i].expression);
        if (bind_sql(*state, sql, &bound) != OMEN_OK)
            fail_msg("%s: %s", cases[i].expression, bound.error.message);
        bound_type(bound.query->types[0], type, sizeof type);
        bound_text(bound.query->targets[0].expression, tree, sizeof tree);
        if (strcmp(type, cases[i].type) != 0 || strcmp(tree, cases[i].tree) != 0)
            fail_msg("%s: %s %s", cases[i].expression, type, tree);
        release_bound(&bound);
    }
}

static void test_errors(void **state)
{
    static const struct {
        const char *expression, *sqlstate;
        int position;
        const char *message;
    } cases[] = {
        {"nosuch", "42703", 8, "column \"nosuch\" does not exist"},
        {"t.nosuch", "42703", 8, "column t.nosuch does not exist"},
        {"q.i", "42P01", 8, "missing FROM-clause entry for table \"q\""},
        {"t", "0A000", 8, "using the whole row of \"t\" as a value is not supported"},
        {"count(t.*)", "0A000", 14, "row expansion via \"*\" is not supported here"},
        {"i = 'abc'", "22P02", 12, "invalid input syntax for type integer: \"abc\""},
        {"i + 'x'", "22P02", 12, "invalid input syntax for type integer: \"x\""},
        {"x + 1", "42883", 10, "operator does not exist: text + integer"},
        {"- x", "42883", 8, "operator does not exist: - text"},
        {"f AND i", "42804", 14, "argument of AND must be type boolean, not type integer"},
        {"NOT i", "42804", 12, "argument of NOT must be type boolean, not type integer"},
        {"i AND f", "42804", 8, "argument of AND must be type boolean, not type integer"},
        {"i IS TRUE", "42804", 8, "argument of IS TRUE must be type boolean, not type integer"},
        {"i = x", "42883", 10, "operator does not exist: integer = text"},
        {"i < f", "42883", 10, "operator does not exist: integer < boolean"},
        {"da = 5", "42883", 11, "operator does not exist: date = integer"},
        {"x > 1", "42883", 10, "operator does not exist: text > integer"},
        {"x IN (1, 2)", "42883", 10, "operator does not exist: text = integer"},
        {"u = 'zzz'", "22P02", 12, "invalid input syntax for type uuid: \"zzz\""},
        {"CASE WHEN f THEN i ELSE x END", "42804", 25, "CASE types text and integer cannot be matched"},
        {"CASE WHEN f THEN 1 ELSE 'x' END", "22P02", 32, "invalid input syntax for type integer: \"x\""},
        {"CASE i WHEN 'a' THEN 1 END", "22P02", 20, "invalid input syntax for type integer: \"a\""},
        {"CASE WHEN i THEN 1 END", "42804", 18, "argument of CASE/WHEN must be type boolean, not type integer"},
        {"LEAST(f, 1)", "42804", 17, "LEAST types boolean and integer cannot be matched"},
        {"COALESCE(i, 'x')", "22P02", 20, "invalid input syntax for type integer: \"x\""},
        {"COALESCE(i + 1, x || x, da)", "42883", 26, "operator does not exist: text || text"},
        {"'abc'::int", "22P02", 8, "invalid input syntax for type integer: \"abc\""},
        {"i::date", "42846", 9, "cannot cast type integer to date"},
        {"i::nosuch", "42704", 11, "type \"nosuch\" does not exist"},
        {"i::json", "0A000", 11, "type json is not supported"},
        {"DATE '2024-13-01'", "22008", 13, "date/time field value out of range: \"2024-13-01\""},
        {"x::varchar(0)", "22023", 11, "length for type varchar must be at least 1"},
        {"d::numeric", "0A000", 8, "casting double precision to numeric without precision and scale is not supported"},
        {"foo(i, x, NULL)", "42883", 8, "function foo(integer, text, unknown) does not exist"},
        {"nosuch.abs(i)", "42883", 8, "function nosuch.abs(integer) does not exist"},
        {"abs(x)", "42883", 8, "function abs(text) does not exist"},
        {"abs(i, i)", "42883", 8, "function abs(integer, integer) does not exist"},
        {"abs(*)", "42883", 8, "function abs() does not exist"},
        {"abs(DISTINCT i)", "42809", 8, "DISTINCT specified, but abs is not an aggregate function"},
        {"abs(i ORDER BY i)", "42809", 8, "ORDER BY specified, but abs is not an aggregate function"},
        {"abs(i) FILTER (WHERE f)", "42809", 8, "FILTER specified, but abs is not an aggregate function"},
        {"abs(i) OVER ()", "42809", 8, "OVER specified, but abs is not a window function nor an aggregate function"},
        {"abs(VARIADIC i)", "0A000", 8, "VARIADIC arguments are not supported"},
        {"abs(x => i)", "0A000", 12, "named arguments are not supported"},
        {"round(n, i)", "0A000", 17, "round with a number of digits that is not a constant is not supported"},
        {"round(d, 1)", "42883", 8, "function round(double precision, integer) does not exist"},
        {"sum(x)", "42883", 8, "function sum(text) does not exist"},
        {"sum(*)", "42883", 8, "function sum() does not exist"},
        {"count()", "42809", 8, "count(*) must be used to call a parameterless aggregate function"},
        {"sum(sum(i))", "42803", 12, "aggregate function calls cannot be nested"},
        {"sum(row_number() OVER ())", "42803", 12, "aggregate function calls cannot contain window function calls"},
        {"row_number()", "42809", 8, "window function row_number requires an OVER clause"},
        {"row_number() OVER (ORDER BY rank() OVER ())", "42P20", 36, "window functions are not allowed in window definitions"},
        {"sum(rank() OVER ()) OVER ()", "42P20", 12, "window function calls cannot be nested"},
        {"rank() OVER w", "42704", 20, "window \"w\" does not exist"},
        {"sum(i) OVER (GROUPS 1 PRECEDING)", "42P20", 20, "GROUPS mode requires an ORDER BY clause"},
        {"sum(i) OVER (ORDER BY i, s RANGE 1 PRECEDING)", "42P20", 20, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column"},
        {"sum(i) OVER (ORDER BY x RANGE 1 PRECEDING)", "0A000", 0, "RANGE with offset PRECEDING/FOLLOWING is not supported for column type text"},
        {"sum(i) OVER (ORDER BY i ROWS i PRECEDING)", "42P10", 37, "argument of ROWS must not contain variables"},
        {"sum(i) OVER (ORDER BY i ROWS 'x' PRECEDING)", "22P02", 37, "invalid input syntax for type bigint: \"x\""},
        {"sum(i) OVER (ORDER BY i ROWS TRUE PRECEDING)", "42804", 37, "argument of ROWS must be type bigint, not type boolean"},
        {"count(DISTINCT i) OVER ()", "0A000", 8, "DISTINCT is not implemented for window functions"},
        {"sum(i) FILTER (WHERE sum(i) > 5)", "42803", 29, "aggregate functions are not allowed in FILTER"},
        {"sum(i) FILTER (WHERE i)", "42804", 29, "argument of FILTER must be type boolean, not type integer"},
        {"string_agg(DISTINCT x, 'a' ORDER BY i)", "42P10", 44, "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list"},
        {"percentile_cont(0.5) WITHIN GROUP (ORDER BY i)", "0A000", 8, "WITHIN GROUP is not supported"},
        {"(SELECT 1, 2)", "42601", 8, "subquery must return only one column"},
        {"i IN (SELECT x FROM t2)", "42883", 10, "operator does not exist: integer = text"},
        {"i IN (SELECT i, s FROM t2)", "42601", 10, "subquery has too many columns"},
        {"(i, s) IN (SELECT i FROM t2)", "42601", 15, "subquery has too few columns"},
        {"(i, s) IN (SELECT i, s FROM t2)", "0A000", 15, "comparing rows with a subquery is not supported"},
        {"i + ANY (SELECT i FROM t2)", "42804", 10, "row comparison operator must yield type boolean, not type integer"},
        {"(i, s) = (1, 2, 3)", "42601", 15, "unequal number of entries in row expressions"},
        {"ROW() = ROW()", "0A000", 14, "cannot compare rows of zero length"},
        {"(i, s) + (1, 2)", "0A000", 15, "this comparison of rows is not supported"},
        {"ROW(1, 2)", "0A000", 8, "row values here are not supported"},
        {"ARRAY[1, 2]", "0A000", 8, "arrays are not supported"},
        {"ARRAY(SELECT 1)", "0A000", 8, "this form of subquery is not supported"},
        {"i = ANY ('{1,2}')", "0A000", 10, "ANY and ALL of an array are not supported"},
        {"B'101'", "0A000", 8, "bit string literals are not supported"},
        {"x SIMILAR TO 'a'", "0A000", 10, "SIMILAR TO is not supported"},
        {"x COLLATE \"de_DE\"", "0A000", 10, "collations other than \"C\" are not supported"},
        {"i COLLATE \"C\"", "42804", 10, "collations are not supported by type integer"},
        {"(t).i", "0A000", 0, "subscripts and fields of a value are not supported"},
        {"current_time", "0A000", 8, "type time is not supported"},
        {"current_user", "0A000", 8, "users, catalogs and schemas are not supported"},
        {"GROUPING(i)", "0A000", 8, "GROUPING is not supported"},
        {"DEFAULT", "42601", 8, "DEFAULT is not allowed in this context"},
        {"$0", "42P02", 8, "there is no parameter $0"},
        {"123456789012345678901234567890123456789", "0A000", 8, "numbers of more than 38 digits are not supported"},
        {"1e-39", "0A000", 8, "numbers of more than 38 digits are not supported"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[256];
        struct bound bound;
        snprintf(sql, sizeof sql, "SELECT %s FROM t", cases[i].expression);
        omen_status status = bind_sql(*state, sql, &bound);
        if (status == OMEN_OK || status != bound.error.status ||
            strcmp(bound.error.sqlstate, cases[i].sqlstate) != 0 ||
            bound.error.position != cases[i].position ||
            strcmp(bound.error.message, cases[i].message) != 0)
            fail_msg("%s: %s %d %s", cases[i].expression, bound.error.sqlstate,
                     bound.error.position, bound.error.message);
        release_bound(&bound);
    }
}

/* Whole statements: which clause forbids what, and names of outer queries. */
static void test_statements(void **state)
{
    static const struct {
        const char *sql, *sqlstate;
        int position;
        const char *message; /* "": binds */
    } cases[] = {
        {"SELECT 1 FROM t WHERE i", "42804", 23,
         "argument of WHERE must be type boolean, not type integer"},
        {"SELECT 1 FROM t WHERE sum(i) > 1", "42803", 23,
         "aggregate functions are not allowed in WHERE"},
        {"SELECT 1 FROM t WHERE rank() OVER () > 1", "42P20", 23,
         "window functions are not allowed in WHERE"},
        {"SELECT 1 FROM t JOIN t2 ON t.i", "42804", 28,
         "argument of JOIN/ON must be type boolean, not type integer"},
        {"SELECT 1 FROM t JOIN t2 ON sum(t.i) = 1", "42803", 28,
         "aggregate functions are not allowed in JOIN conditions"},
        {"SELECT 1 FROM t GROUP BY sum(i)", "42803", 26,
         "aggregate functions are not allowed in GROUP BY"},
        {"SELECT 1 FROM t HAVING i + 1", "42804", 24,
         "argument of HAVING must be type boolean, not type integer"},
        {"SELECT i FROM t, t2", "42702", 8, "column reference \"i\" is ambiguous"},
        {"SELECT i FROM t JOIN t2 USING (i)", "", 0, ""},
        {"SELECT t2.i FROM t JOIN t2 USING (i)", "", 0, ""},
        {"SELECT t.i FROM t AS o", "42P01", 8,
         "invalid reference to FROM-clause entry for table \"t\""},
        {"SELECT o.i FROM t AS o", "", 0, ""},
        {"SELECT (SELECT i) FROM t", "", 0, ""},
        {"SELECT (SELECT q.i) FROM t", "42P01", 16, "missing FROM-clause entry for table \"q\""},
        {"SELECT (SELECT t.i FROM t2 AS t WHERE s = 1) FROM t", "", 0, ""},
        {"SELECT (SELECT sum(t.i) FROM t2) FROM t", "0A000", 16,
         "an aggregate of columns of an outer query is not supported"},
        {"SELECT sum(i) OVER w FROM t WINDOW w AS (ORDER BY s)", "", 0, ""},
        {"SELECT sum(i) OVER (w ORDER BY b) FROM t WINDOW w AS (PARTITION BY s)", "", 0, ""},
        {"SELECT sum(i) OVER (w ORDER BY b) FROM t WINDOW w AS (ORDER BY s)", "42P20", 20,
         "cannot override ORDER BY clause of window \"w\""},
        {"SELECT sum(i) OVER (w PARTITION BY b) FROM t WINDOW w AS (ORDER BY s)", "42P20", 20,
         "cannot override PARTITION BY clause of window \"w\""},
        {"SELECT sum(i) OVER (w) FROM t WINDOW w AS (ORDER BY s ROWS 1 PRECEDING)", "42P20", 20,
         "cannot copy window \"w\" because it has a frame clause"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bound bound;
        bind_sql(*state, cases[i].sql, &bound) == OMEN_OK
            ? (void)0
            : assert_string_not_equal(bound.error.message, "");
        if (strcmp(bound.error.message, cases[i].message) != 0 ||
            (cases[i].position > 0 && (bound.error.position != cases[i].position ||
                                       strcmp(bound.error.sqlstate, cases[i].sqlstate) != 0)))
            fail_msg("%s: %s %d %s", cases[i].sql, bound.error.sqlstate, bound.error.position,
                     bound.error.message);
        release_bound(&bound);
    }
}

static void test_output_names(void **state)
{
    static const struct {
        const char *expression, *name;
    } cases[] = {
        {"i", "i"},
        {"t.i", "i"},
        {"i + 1", "?column?"},
        {"1", "?column?"},
        {"NULL", "?column?"},
        {"TRUE", "?column?"},
        {"i::text", "i"},
        {"1::text", "text"},
        {"'1'::int", "int4"},
        {"1::numeric(10,2)", "numeric"},
        {"DATE '2024-01-01'", "date"},
        {"(i + 1)::bigint", "int8"},
        {"abs(i)", "abs"},
        {"abs(i)::text", "abs"},
        {"count(*)", "count"},
        {"CASE WHEN f THEN 1 END", "case"},
        {"CASE WHEN f THEN 1 ELSE i END", "i"},
        {"CASE WHEN f THEN 1 ELSE 2::int8 END", "case"},
        {"COALESCE(i, 1)", "coalesce"},
        {"GREATEST(i, 1)", "greatest"},
        {"LEAST(i, 1)", "least"},
        {"NULLIF(i, 1)", "nullif"},
        {"EXISTS (SELECT 1)", "exists"},
        {"(SELECT i AS q FROM t2)", "q"},
        {"(SELECT s FROM t2)", "s"},
        {"(SELECT 1)", "?column?"},
        {"i IN (SELECT i FROM t2)", "?column?"},
        {"x COLLATE \"C\"", "x"},
        {"i AS z", "z"},
        {"NOT f", "?column?"},
        {"f IS TRUE", "?column?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[256];
        struct bound bound;
        snprintf(sql, sizeof sql, "SELECT %s FROM t", cases[i].expression);
        if (bind_sql(*state, sql, &bound) != OMEN_OK)
            fail_msg("%s: %s", cases[i].expression, bound.error.message);
        if (strcmp(bound.query->targets[0].name, cases[i].name) != 0)
            fail_msg("%s: %s", cases[i].expression, bound.query->targets[0].name);
        release_bound(&bound);
    }
}

/* --- parameters, defaults --- */

static void test_declared_parameters(void **state)
{
    static const char sql[] = "SELECT $1 = i, $2, $3 + 1, $4 IS NULL FROM t";
    const omen_type declared[2] = {{.id = OMEN_TYPE_BIGINT}, {.id = OMEN_TYPE_DATE}};
    struct database *database = *state;
    struct bound bound;
    char tree[256];
    memset(&bound, 0, sizeof bound);
    arena_init(&bound.arena, database->allocator);
    assert_int_equal(
        parse_statement(sql, strlen(sql), &bound.arena, &bound.parsed, &bound.error), OMEN_OK);
    assert_int_equal(binder_init(&bound.binder, &bound.arena, database->catalog, &bound.parsed,
                                 declared, 2, &bound.error),
                     OMEN_OK);
    assert_int_equal(bind_query(&bound.binder, NULL, bound.parsed.statement->select_stmt,
                                &bound.query, &bound.error),
                     OMEN_OK);
    binder_finish(&bound.binder);
    bound_text(bound.query->targets[0].expression, tree, sizeof tree);
    assert_string_equal(tree, "($1:bigint = i::~bigint)");
    assert_int_equal(bound.query->types[1].id, OMEN_TYPE_DATE);
    assert_int_equal(bound.binder.parameter_count, 4);
    assert_int_equal(bound.binder.parameter_types[2].id, OMEN_TYPE_INTEGER);
    assert_int_equal(bound.binder.parameter_types[3].id, OMEN_TYPE_TEXT);
    bound_text(bound.query->targets[3].expression, tree, sizeof tree);
    assert_string_equal(tree, "($4:text is null)");
    release_bound(&bound);
}

static void test_defaults(void **state)
{
    static const struct {
        const char *expression;
        omen_type type;
        const char *result; /* the tree, or the message */
    } cases[] = {
        {"5", {.id = OMEN_TYPE_INTEGER}, "5"},
        {"5", {.id = OMEN_TYPE_SMALLINT}, "5:smallint"},
        {"2.345", {.id = OMEN_TYPE_DECIMAL, .precision = 10, .scale = 2}, "2.35:numeric(10,2)"},
        {"'abc'", {.id = OMEN_TYPE_VARCHAR, .length_max = 5}, "'abc':character varying(5)"},
        {"NULL", {.id = OMEN_TYPE_DATE}, "NULL:date"},
        {"1 + 2", {.id = OMEN_TYPE_BIGINT}, "(1 + 2)::~bigint"},
        {"'abcdef'",
         {.id = OMEN_TYPE_VARCHAR, .length_max = 5},
         "value too long for type character varying(5)"},
        {"TRUE",
         {.id = OMEN_TYPE_INTEGER},
         "column \"q\" is of type integer but default expression is of type boolean"},
        {"i", {.id = OMEN_TYPE_INTEGER}, "cannot use column reference in DEFAULT expression"},
        {"(SELECT 1)", {.id = OMEN_TYPE_INTEGER}, "cannot use subquery in DEFAULT expression"},
        {"$1", {.id = OMEN_TYPE_INTEGER}, "there is no parameter $1"},
        {"sum(1)",
         {.id = OMEN_TYPE_BIGINT},
         "aggregate functions are not allowed in DEFAULT expressions"},
    };
    struct database *database = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[256], tree[256];
        struct bound bound;
        struct expression *expression;
        memset(&bound, 0, sizeof bound);
        arena_init(&bound.arena, database->allocator);
        snprintf(sql, sizeof sql, "SELECT %s", cases[i].expression);
        assert_int_equal(
            parse_statement(sql, strlen(sql), &bound.arena, &bound.parsed, &bound.error), OMEN_OK);
        assert_int_equal(binder_init(&bound.binder, &bound.arena, database->catalog, &bound.parsed,
                                     NULL, 0, &bound.error),
                         OMEN_OK);
        const PgQuery__Node *target = bound.parsed.statement->select_stmt->target_list[0];
        if (bind_default(&bound.binder, target->res_target->val, cases[i].type, "q", &expression,
                         &bound.error) == OMEN_OK)
            bound_text(expression, tree, sizeof tree);
        else
            snprintf(tree, sizeof tree, "%.200s", bound.error.message);
        if (strcmp(tree, cases[i].result) != 0)
            fail_msg("%s: %s", cases[i].expression, tree);
        release_bound(&bound);
    }
}

/* --- narrowing values at run time --- */

static void test_narrow_value(void **state)
{
    struct database *database = *state;
    struct arena arena;
    omen_value out, value = {.type.id = OMEN_TYPE_BIGINT};
    const omen_type integer = {.id = OMEN_TYPE_INTEGER};
    arena_init(&arena, database->allocator);
    value.as.i64 = 7;
    assert_int_equal(bind_narrow_value(&value, integer, false, &arena, &out), NARROW_EXACT);
    assert_int_equal(out.type.id, OMEN_TYPE_INTEGER);
    assert_int_equal(out.as.i32, 7);
    value.as.i64 = INT64_C(1) << 40;
    assert_int_equal(bind_narrow_value(&value, integer, true, &arena, &out), NARROW_NEVER_EQUAL);
    value.is_null = true;
    assert_int_equal(bind_narrow_value(&value, integer, true, &arena, &out), NARROW_EXACT);
    assert_true(out.is_null);
    value = (omen_value){.type.id = OMEN_TYPE_TEXT};
    assert_int_equal(bind_narrow_value(&value, integer, true, &arena, &out), NARROW_NOT);
    /* A DOUBLE beyond 2^53 equals several BIGINTs. */
    value = (omen_value){.type.id = OMEN_TYPE_DOUBLE, .as.f64 = 0x1p53};
    assert_int_equal(bind_narrow_value(&value, (omen_type){.id = OMEN_TYPE_BIGINT}, true, &arena,
                                       &out),
                     NARROW_NOT);
    value.as.f64 = -0x1p52;
    assert_int_equal(bind_narrow_value(&value, (omen_type){.id = OMEN_TYPE_BIGINT}, true, &arena,
                                       &out),
                     NARROW_EXACT);
    assert_true(out.as.i64 == -(INT64_C(1) << 52));
    arena_release(&arena);
}

/* --- hostile input --- */

/* "SELECT " + `open` n times + `middle` + `close` n times. */
static char *nested(const char *open, const char *middle, const char *close, size_t count)
{
    size_t length = count * (strlen(open) + strlen(close)) + strlen(middle) + 16;
    char *sql = malloc(length);
    assert_non_null(sql);
    size_t used = (size_t)snprintf(sql, length, "SELECT ");
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(sql + used, length - used, "%s", open);
    used += (size_t)snprintf(sql + used, length - used, "%s", middle);
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(sql + used, length - used, "%s", close);
    return sql;
}

static void test_depth(void **state)
{
    static const struct {
        const char *open, *middle, *close;
    } forms[] = {
        {"", "1", " + 1"},         {"", "true", " AND true"},     {"", "true", " OR true"},
        {"abs(", "1", ")"},        {"- ", "abs(1)", ""},             {"NOT ", "true", ""},
        {"(SELECT ", "1", ")"},    {"COALESCE(1, ", "2", ")"},    {"", "1", "::int::text"},
        {"CASE WHEN true THEN ", "1", " END"},                    {"", "'a'", " COLLATE \"C\""},
        {"TRUE IN (FALSE, ", "TRUE", ")"},   {"EXISTS (SELECT ", "1", ")"}, {"", "1", " IS NULL"},
        {"", "1", " BETWEEN 1 AND 2"}, {"((1, ", "1", "), 2)"},
    };
    const size_t bindable = sizeof forms / sizeof *forms - 2; /* the last two are refused */
    static const size_t counts[] = {100, 399, 400, 5000, 100000};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        for (size_t j = 0; j < sizeof counts / sizeof *counts; j++) {
            struct bound bound;
            char *sql = nested(forms[i].open, forms[i].middle, forms[i].close, counts[j]);
            omen_status status = bind_sql(*state, sql, &bound);
            bool flat = strstr(forms[i].close, "true") != NULL;
            if ((counts[j] == 100 && i < bindable) || (flat && counts[j] <= 5000))
                assert_int_equal(status, OMEN_OK);
            else if (counts[j] >= 5000 && status != OMEN_STATEMENT_TOO_COMPLEX)
                assert_int_equal(status, OMEN_LIMIT_EXCEEDED);
            release_bound(&bound);
            free(sql);
        }
}

static void test_long_lists(void **state)
{
    struct bound bound;
    char *sql = nested("", "1 IN (1", ", 2", 10000);
    size_t length = strlen(sql);
    char *closed = malloc(length + 2);
    assert_non_null(closed);
    snprintf(closed, length + 2, "%s)", sql);
    assert_int_equal(bind_sql(*state, closed, &bound), OMEN_OK);
    assert_int_equal(bound.query->targets[0].expression->kind, EXPRESSION_IN);
    assert_int_equal(bound.query->targets[0].expression->argument_count, 10002);
    release_bound(&bound);
    free(closed);
    free(sql);
}

/* Out of memory anywhere is said so, and nothing leaks. */
static void test_failing_memory(void **state)
{
    static const char sql[] =
        "SELECT CASE s WHEN 1 THEN i + 1.5 ELSE $1 END, n IN (1, 2.5, b), "
        "sum(i) OVER (PARTITION BY x ORDER BY s ROWS 1 PRECEDING), count(*) FILTER (WHERE f) "
        "OVER (), (i, s) < (1, 2), v = 'a', CAST('5' AS numeric(4,1)), COALESCE(r, 1), "
        "i NOT IN (SELECT b FROM t2), NULLIF(s, 5) IS NULL, lag(i, 1, 2.5) OVER (ORDER BY i) "
        "FROM t";
    struct database *database = *state;
    for (uint64_t nth = 1;; nth++) {
        struct bound bound;
        size_t used = atomic_load(&database->allocator->bytes_used);
        allocator_fail_at(database->allocator, nth, 0);
        omen_status status = bind_sql(database, sql, &bound);
        allocator_fail_at(database->allocator, 0, 0);
        release_bound(&bound);
        assert_int_equal(atomic_load(&database->allocator->bytes_used), used);
        if (status == OMEN_OK)
            break;
        assert_int_equal(status, OMEN_OUT_OF_MEMORY);
        assert_true(nth < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_output_names),
        cmocka_unit_test(test_declared_parameters),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_narrow_value),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_long_lists),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, open_tables, close_tables);
}
