/* test_engine_text.c - bound queries as the engine's SQL, word for word.
 *
 *   test_sql_engine_text                   the tests
 *   test_sql_engine_text "SELECT ..." ...  prints the texts of queries over the tables below
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sql/bind.h"
#include "sql/engine_text.h"
#include "sql/simplify.h"
#include "store/catalog.h"
#include "txn/txn.h"

static struct allocator allocator;
static struct txn_manager *manager;
static struct catalog *catalog;

#define COLUMN(name_, id_, ...) {.name = name_, .type = {.id = OMEN_TYPE_##id_, __VA_ARGS__}, .nullable = true}

static const struct column_definition t_columns[] = {
    COLUMN("id", INTEGER, .length_max = 0),
    COLUMN("s", TEXT, .length_max = 0),
    COLUMN("n", BIGINT, .length_max = 0),
    COLUMN("f", DOUBLE, .length_max = 0),
    COLUMN("d", DECIMAL, .precision = 10, .scale = 2),
    COLUMN("c", CHAR, .length_max = 4),
    COLUMN("b", BOOLEAN, .length_max = 0),
    COLUMN("odd \"name\"", SMALLINT, .length_max = 0),
};
static const struct column_definition u_columns[] = {
    COLUMN("id", INTEGER, .length_max = 0),
    COLUMN("t_id", INTEGER, .length_max = 0),
    COLUMN("v", BIGINT, .length_max = 0),
};

static void add_table(const char *name, const struct column_definition *columns, uint32_t count)
{
    static const uint32_t key[] = {0};
    struct schema *schema = NULL;
    omen_error error;
    if (schema_create(&allocator, columns, count, key, 1, &schema, &error) != OMEN_OK ||
        catalog_add(catalog, name, schema, &error) != OMEN_OK)
        abort();
    schema_release(schema);
}

static int set_up(void **state)
{
    (void)state;
    allocator_init(&allocator, 0);
    if (txn_manager_create(&allocator, &manager) != OMEN_OK ||
        catalog_create(&allocator, manager, &catalog) != OMEN_OK)
        return 1;
    add_table("t", t_columns, sizeof t_columns / sizeof *t_columns);
    add_table("u", u_columns, sizeof u_columns / sizeof *u_columns);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    catalog_destroy(catalog);
    txn_manager_destroy(manager);
    return atomic_load(&allocator.bytes_used) == 0 ? 0 : 1;
}

/* The text of a query in `arena`; an error's SQLSTATE and words behind an exclamation mark. */
static const char *text_of(struct arena *arena, const char *sql, struct engine_text *text)
{
    struct parsed parsed;
    struct binder binder;
    struct query *query = NULL;
    omen_error error = {0};
    omen_status status = parse_statement(sql, strlen(sql), arena, &parsed, &error);
    bool bound = false;
    if (status == OMEN_OK)
        status = binder_init(&binder, arena, catalog, &parsed, NULL, 0, &error);
    bound = status == OMEN_OK;
    if (status == OMEN_OK)
        status = bind_query(&binder, NULL, parsed.statement->select_stmt, &query, &error);
    if (status == OMEN_OK) {
        binder_finish(&binder);
        status = simplify_query(query, arena, &error);
    }
    if (status == OMEN_OK) {
        status = engine_text_write(query, binder.parameter_count, binder.parameter_types, arena,
                                   text, &error);
    }
    if (bound)
        binder_release(&binder);
    if (status == OMEN_OK)
        return text->text;
    char *words = arena_alloc(arena, OMEN_ERROR_MESSAGE_BYTES + 16);
    snprintf(words, OMEN_ERROR_MESSAGE_BYTES + 16, "!%s %s", error.sqlstate, error.message);
    return words;
}

struct text_case {
    const char *sql, *text;
};

static const struct text_case cases[] = {
    {"SELECT id, id FROM t WHERE id > 5",
     "SELECT r0.\"id.0\" AS o0$0, r0.\"id.0\" AS o0$1 FROM \"t.0\" AS r0 WHERE (r0.\"id.0\" > "
     "CAST(5 AS INT))"},
    {"SELECT id FROM t WHERE n <> 0 AND 5 / n > 1 AND s = 'x'",
     "SELECT r0.\"id.0\" AS o0$0 FROM \"t.0\" AS r0 WHERE ((r0.\"n.0\" <> 0) AND whole(CASE "
     "WHEN (r0.\"n.0\" <> 0) IS NOT TRUE THEN 0 WHEN ((5 / r0.\"n.0\") > 1) THEN 1 ELSE 0 "
     "END) = 1 AND (r0.\"s.0\" = 'x'))"},
    {"SELECT CASE WHEN n = 0 THEN true ELSE 1/n > 0 END, CASE WHEN n = 0 THEN 0 ELSE "
     "1/n END, n <> 0 AND 1/n > 1 FROM t",
     "SELECT (whole(CASE WHEN (r0.\"n.0\" = 0) THEN CAST(TRUE AS BIGINT) ELSE CAST(((1 / "
     "r0.\"n.0\") > 0) AS BIGINT) END) = 1) AS o0$0, whole(CASE WHEN (r0.\"n.0\" = 0) THEN "
     "0 ELSE (1 / r0.\"n.0\") END) AS o0$1, (whole(CASE WHEN (NOT (r0.\"n.0\" <> 0)) THEN 0 "
     "WHEN (NOT ((1 / r0.\"n.0\") > 1)) THEN 0 WHEN (r0.\"n.0\" <> 0) IS NULL THEN "
     "CAST(NULL AS BIGINT) WHEN ((1 / r0.\"n.0\") > 1) IS NULL THEN CAST(NULL AS BIGINT) "
     "ELSE 1 END) = 1) AS o0$2 FROM \"t.0\" AS r0"},
    {"SELECT id FROM t WHERE id NOT IN (SELECT t_id FROM u)",
     "SELECT r0.\"id.0\" AS o0$0 FROM \"t.0\" AS r0 WHERE (r0.\"id.0\" NOT IN (SELECT "
     "r1.\"t_id.1\" AS s1$0 FROM \"u.1\" AS r1))"},
    {"SELECT id FROM t WHERE id IN (SELECT t_id FROM u) AND EXISTS (SELECT 1 FROM u "
     "WHERE u.v = t.n)",
     "SELECT r0.\"id.0\" AS o0$0 FROM \"t.0\" AS r0 WHERE ((r0.\"id.0\" IN (SELECT "
     "r1.\"t_id.1\" AS s1$0 FROM \"u.1\" AS r1)) AND (EXISTS (SELECT CAST(1 AS INT) AS "
     "s2$0 FROM \"u.2\" AS r2 WHERE (r2.\"v.2\" = r0.\"n.0\"))))"},
    {"SELECT id IN (SELECT t_id FROM u), EXISTS (SELECT 1 FROM u) FROM t",
     "SELECT (CASE WHEN ((SELECT count(*) AS s1$0 FROM \"u.1\" AS r1 WHERE ((r0.\"id.0\" "
     "= r1.\"t_id.1\"))) > 0) THEN TRUE WHEN ((SELECT count(*) AS s2$0 FROM \"u.1\" AS r1 "
     "WHERE (r1.\"t_id.1\" IS NULL)) > 0) OR (r0.\"id.0\" IS NULL AND ((SELECT count(*) AS "
     "s3$0 FROM \"u.1\" AS r1) > 0)) THEN CAST(NULL AS BOOLEAN) ELSE FALSE END) AS "
     "o0$0, ((SELECT count(*) AS s4$0 FROM \"u.2\" AS r2) > 0) AS o0$1 FROM \"t.0\" AS "
     "r0"},
    {"SELECT id FROM t WHERE n > ALL (SELECT v FROM u) OR n = ANY (SELECT v FROM u)",
     "SELECT r0.\"id.0\" AS o0$0 FROM \"t.0\" AS r0 WHERE ((NOT EXISTS (SELECT 1 AS s1$0 "
     "FROM \"u.1\" AS r1 WHERE ((r0.\"n.0\" > r1.\"v.1\") IS NOT TRUE))) OR (r0.\"n.0\" IN "
     "(SELECT r2.\"v.2\" AS s2$0 FROM \"u.2\" AS r2)))"},
    {"SELECT (SELECT max(v) FROM u) FROM t",
     "SELECT whole((SELECT max(r1.\"v.1\") AS s1$0 FROM \"u.1\" AS r1)) AS o0$0 FROM "
     "\"t.0\" AS r0"},
    {"WITH RECURSIVE r(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM r WHERE a < 10) "
     "SELECT a FROM r",
     "WITH RECURSIVE w0 AS (SELECT CAST(1 AS INT) AS w0$0 UNION ALL SELECT (r0.w0$0 + "
     "CAST(1 AS INT)) AS w0$0 FROM w0 AS r0 WHERE (r0.w0$0 < CAST(10 AS INT))) SELECT "
     "r1.w0$0 AS o0$0 FROM w0 AS r1"},
    {"SELECT 1 UNION ALL SELECT 2 UNION SELECT 3 EXCEPT ALL SELECT 3 ORDER BY 1",
     "SELECT s1$0 AS o0$0 FROM (SELECT s2$0 AS s1$0, row_number() OVER (PARTITION BY "
     "s2$0) AS s1$1 FROM (SELECT CAST(1 AS INT) AS s2$0 UNION ALL SELECT CAST(2 AS INT) "
     "AS s2$0 UNION SELECT CAST(3 AS INT) AS s2$0) AS s2 EXCEPT SELECT s3$0 AS s1$0, "
     "row_number() OVER (PARTITION BY s3$0) AS s1$1 FROM (SELECT CAST(3 AS INT) AS "
     "s3$0) AS s3) AS s1 ORDER BY 1 ASC NULLS LAST"},
    {"VALUES (1, 'a'), (2, NULL) ORDER BY 2",
     "SELECT r0.r0$0 AS o0$0, r0.r0$1 AS o0$1 FROM (SELECT column1 AS r0$0, column2 AS "
     "r0$1 FROM (VALUES (CAST(1 AS INT), 'a'), (CAST(2 AS INT), CAST(NULL AS TEXT))) AS "
     "s1) AS r0 ORDER BY 2 ASC NULLS LAST"},
    {"SELECT DISTINCT ON (s) s, id FROM t ORDER BY s, id",
     "SELECT DISTINCT ON (r0.\"s.0\") r0.\"s.0\" AS o0$0, r0.\"id.0\" AS o0$1 FROM \"t.0\" AS "
     "r0 ORDER BY 1 ASC NULLS LAST, 2 ASC NULLS LAST"},
    {"SELECT row_number() OVER (PARTITION BY s ORDER BY id), sum(n) OVER (ORDER BY id "
     "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
     "SELECT CAST(row_number() OVER (PARTITION BY r0.\"s.0\" ORDER BY r0.\"id.0\" ASC NULLS "
     "LAST) AS BIGINT) AS o0$0, CAST(sum(CAST(r0.\"n.0\" AS DECIMAL(19, 0))) OVER (ORDER "
     "BY r0.\"id.0\" ASC NULLS LAST ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS "
     "DECIMAL(38, 0)) AS o0$1 FROM \"t.0\" AS r0"},
    {"SELECT string_agg(s, ',' ORDER BY id DESC), count(DISTINCT s) FILTER (WHERE id > "
     "1) FROM t",
     "SELECT string_agg(r0.\"s.0\", ',' ORDER BY r0.\"id.0\" DESC NULLS FIRST) AS o0$0, "
     "count(DISTINCT r0.\"s.0\") FILTER (WHERE (r0.\"id.0\" > CAST(1 AS INT))) AS o0$1 FROM "
     "\"t.0\" AS r0"},
    {"SELECT s, id, count(*) FROM t GROUP BY GROUPING SETS ((s, id), (s), ())",
     "SELECT r0.\"s.0\" AS o0$0, r0.\"id.0\" AS o0$1, count(*) AS o0$2 FROM \"t.0\" AS r0 "
     "GROUP BY GROUPING SETS ((r0.\"s.0\", r0.\"id.0\"), (r0.\"s.0\"), ())"},
    {"SELECT coalesce(coalesce(n, 1), coalesce(n, coalesce(id, n))) FROM t",
     "SELECT coalesce(r0.\"n.0\", 1, r0.\"n.0\", CAST(r0.\"id.0\" AS BIGINT), r0.\"n.0\") AS "
     "o0$0 FROM \"t.0\" AS r0"},
    {"SELECT coalesce(n, 1), nullif(n, 0), greatest(n, 5), n IS DISTINCT FROM 5 FROM t",
     "SELECT coalesce(r0.\"n.0\", 1) AS o0$0, CASE WHEN (r0.\"n.0\" = 0) THEN NULL ELSE "
     "r0.\"n.0\" END AS o0$1, greatest(r0.\"n.0\", 5) AS o0$2, (r0.\"n.0\" IS DISTINCT FROM "
     "5) AS o0$3 FROM \"t.0\" AS r0"},
    {"SELECT $1 + n, $2 FROM t WHERE s = $3",
     "SELECT ($1 + r0.\"n.0\") AS o0$0, $2 AS o0$1 FROM \"t.0\" AS r0 WHERE (r0.\"s.0\" = "
     "$3)"},
    {"SELECT x FROM generate_series(1, 5) AS g(x)",
     "SELECT r0.r0$0 AS o0$0 FROM (SELECT CAST(value AS INT) AS r0$0 FROM "
     "generate_series(1, 5)) AS r0"},
    {"SELECT * FROM t, LATERAL (SELECT max(v) FROM u WHERE u.t_id = t.id) l",
     "SELECT r0.\"id.0\" AS o0$0, r0.\"s.0\" AS o0$1, r0.\"n.0\" AS o0$2, r0.\"f.0\" AS o0$3, "
     "r0.\"d.0\" AS o0$4, r0.\"c.0\" AS o0$5, r0.\"b.0\" AS o0$6, r0.\"odd \"\"name\"\".0\" AS "
     "o0$7, r2.r2$0 AS o0$8 FROM \"t.0\" AS r0, LATERAL (SELECT max(r1.\"v.1\") AS r2$0 "
     "FROM \"u.1\" AS r1 WHERE (r1.\"t_id.1\" = r0.\"id.0\")) AS r2"},
    {"SELECT id FROM t LIMIT -1",
     "!2201W LIMIT must not be negative"},
    {"SELECT min(c), c = 'x', c <> 'y' FROM t GROUP BY c",
     "SELECT first_value(r0.\"c.0\" ORDER BY rtrim(r0.\"c.0\", ' ') ASC NULLS LAST) AS o0$0, (rtrim(r0.\"c.0\", ' ') = rtrim('x', ' ')) AS "
     "o0$1, (rtrim(r0.\"c.0\", ' ') <> rtrim('y', ' ')) AS o0$2 FROM \"t.0\" AS r0 "
     "GROUP BY r0.\"c.0\""},
    {"SELECT '2020-01-01'::date, '\\x00ff'::bytea, '1960-01-01 00:00:00.5'::timestamp, "
     "'2020-01-01 00:00:00+02'::timestamptz, "
     "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, NULL::int, NULL::numeric(5,2)",
     "SELECT CAST(CAST(18262 AS INT) AS DATE) AS o0$0, CAST(X'00ff' AS BYTEA) AS o0$1, "
     "CAST(-315619199500000 AS TIMESTAMP) AS o0$2, CAST(1577829600000000 AS "
     "TIMESTAMPTZ) AS o0$3, CAST(X'a0eebc999c0b4ef8bb6d6bb9bd380a11' AS UUID) AS o0$4, "
     "CAST(NULL AS INT) AS o0$5, CAST(NULL AS DECIMAL(5, 2)) AS o0$6"},
    {"SELECT n + 1 - 2 * n - (n - 1), -id, \"odd \"\"name\"\"\" + 1 FROM t",
     "SELECT (r0.\"n.0\" + 1 - (2 * r0.\"n.0\") - (r0.\"n.0\" - 1)) AS o0$0, (- r0.\"id.0\") AS "
     "o0$1, (CAST(r0.\"odd \"\"name\"\".0\" AS INT) + CAST(1 AS INT)) AS o0$2 FROM "
     "\"t.0\" AS r0"},
    {"SELECT id FROM t WHERE 1 / n > 0 OR b OR s = 'x'",
     "SELECT r0.\"id.0\" AS o0$0 FROM \"t.0\" AS r0 WHERE (((1 / r0.\"n.0\") > 0) OR "
     "r0.\"b.0\" OR (r0.\"s.0\" = 'x'))"},
    {"SELECT id FROM t WHERE b OR 1 / n > 0",
     "SELECT r0.\"id.0\" AS o0$0 FROM \"t.0\" AS r0 WHERE (whole(CASE WHEN r0.\"b.0\" THEN "
     "1 WHEN ((1 / r0.\"n.0\") > 0) THEN 1 ELSE 0 END) = 1)"},
    {"SELECT id FROM t WHERE NOT (id IN (SELECT t_id FROM u)) OR b",
     "SELECT r0.\"id.0\" AS o0$0 FROM \"t.0\" AS r0 WHERE (((NOT EXISTS (SELECT 1 AS s1$0 "
     "FROM \"u.1\" AS r1 WHERE ((r0.\"id.0\" = r1.\"t_id.1\")))) AND (NOT EXISTS (SELECT 1 "
     "AS s2$0 FROM \"u.1\" AS r1 WHERE (r1.\"t_id.1\" IS NULL))) AND (r0.\"id.0\" IS NOT "
     "NULL OR (NOT EXISTS (SELECT 1 AS s3$0 FROM \"u.1\" AS r1)))) OR r0.\"b.0\")"},
    {"SELECT id FROM t a WHERE id <> ALL (SELECT t_id FROM u WHERE v = a.n)",
     "SELECT r0.\"id.0\" AS o0$0 FROM \"t.0\" AS r0 WHERE ((NOT EXISTS (SELECT 1 AS s1$0 "
     "FROM \"u.1\" AS r1 WHERE (r1.\"v.1\" = r0.\"n.0\") AND ((r0.\"id.0\" = r1.\"t_id.1\")))) "
     "AND (NOT EXISTS (SELECT 1 AS s2$0 FROM \"u.1\" AS r1 WHERE (r1.\"v.1\" = r0.\"n.0\") "
     "AND (r1.\"t_id.1\" IS NULL))) AND (r0.\"id.0\" IS NOT NULL OR (NOT EXISTS (SELECT 1 "
     "AS s3$0 FROM \"u.1\" AS r1 WHERE (r1.\"v.1\" = r0.\"n.0\")))))"},
    {"SELECT t.id FROM t JOIN u ON t.id = u.t_id AND 1 / t.n > 1 WHERE t.n > 0 AND u.v "
     "/ t.n > 5 AND 2 / u.v > 1",
     "SELECT r0.\"id.0\" AS o0$0 FROM \"t.0\" AS r0 JOIN \"u.1\" AS r1 ON ((r0.\"id.0\" = "
     "r1.\"t_id.1\") AND ((1 / r0.\"n.0\") > 1)) WHERE ((r0.\"n.0\" > 0) AND whole(CASE WHEN "
     "(r0.\"n.0\" > 0) IS NOT TRUE THEN 0 WHEN ((r1.\"v.1\" / r0.\"n.0\") > 5) THEN 1 ELSE 0 "
     "END) = 1 AND ((2 / r1.\"v.1\") > 1))"},
    {"SELECT a.id FROM t a LEFT JOIN (u b JOIN u c ON b.id = c.id) ON a.id = b.t_id, u d",
     "SELECT r0.\"id.0\" AS o0$0 FROM \"t.0\" AS r0 LEFT JOIN (\"u.1\" AS r1 JOIN \"u.2\" "
     "AS r2 ON (r1.\"id.1\" = r2.\"id.2\")) ON (r0.\"id.0\" = r1.\"t_id.1\"), \"u.3\" AS r3"},
    {"(SELECT id FROM t ORDER BY id LIMIT 1) UNION ALL SELECT id FROM u INTERSECT "
     "SELECT t_id FROM u",
     "(SELECT r0.\"id.0\" AS o0$0 FROM \"t.0\" AS r0 ORDER BY 1 ASC NULLS LAST LIMIT 1) "
     "UNION ALL (SELECT r1.\"id.1\" AS o0$0 FROM \"u.1\" AS r1 INTERSECT SELECT "
     "r2.\"t_id.2\" AS o0$0 FROM \"u.2\" AS r2)"},
    {"SELECT count(*) FROM t GROUP BY 5::bigint + n",
     "SELECT count(*) AS o0$0 FROM \"t.0\" AS r0 GROUP BY (5 + r0.\"n.0\")"},
    {"SELECT id FROM t WHERE id = 1 OR id = 2 OR id = 3 OR id = 4 OR id = 5 OR id = 6 "
     "OR id = 7 OR id = 8 OR id = 9 OR id = 10 OR id = 11 OR id = 12 OR id = 13 OR id = "
     "14 OR id = 15 OR id = 16 OR id = 17",
     "SELECT r0.\"id.0\" AS o0$0 FROM \"t.0\" AS r0 WHERE (((r0.\"id.0\" = CAST(1 AS INT)) "
     "OR (r0.\"id.0\" = CAST(2 AS INT)) OR (r0.\"id.0\" = CAST(3 AS INT)) OR (r0.\"id.0\" = "
     "CAST(4 AS INT)) OR (r0.\"id.0\" = CAST(5 AS INT)) OR (r0.\"id.0\" = CAST(6 AS INT)) "
     "OR (r0.\"id.0\" = CAST(7 AS INT)) OR (r0.\"id.0\" = CAST(8 AS INT))) OR ((r0.\"id.0\" = "
     "CAST(9 AS INT)) OR (r0.\"id.0\" = CAST(10 AS INT)) OR (r0.\"id.0\" = CAST(11 AS INT)) "
     "OR (r0.\"id.0\" = CAST(12 AS INT)) OR (r0.\"id.0\" = CAST(13 AS INT)) OR (r0.\"id.0\" = "
     "CAST(14 AS INT)) OR (r0.\"id.0\" = CAST(15 AS INT)) OR (r0.\"id.0\" = CAST(16 AS "
     "INT)) OR (r0.\"id.0\" = CAST(17 AS INT))))"},
    {"SELECT x.id FROM t x JOIN t y ON x.n = y.n + 1 WHERE x.n = x.n * x.n AND x.id = x.id",
     "SELECT r0.\"id.0\" AS o0$0 FROM \"t.0\" AS r0 JOIN \"t.1\" AS r1 ON (r0.\"n.0\" = "
     "(r1.\"n.1\" + 1)) WHERE ((whole(r0.\"n.0\") = whole((r0.\"n.0\" * r0.\"n.0\"))) AND "
     "(r0.\"id.0\" = r0.\"id.0\"))"},
    {"SELECT a FROM (SELECT n + 1 AS a, n AS b FROM t) x WHERE NOT a <> b",
     "SELECT r1.r1$0 AS o0$0 FROM (SELECT (r0.\"n.0\" + 1) AS r1$0, r0.\"n.0\" AS r1$1 "
     "FROM \"t.0\" AS r0) AS r1 WHERE (NOT (whole(r1.r1$0) <> whole(r1.r1$1)))"},
    {"SELECT sum(f) OVER (ORDER BY id), sum(f) FROM t GROUP BY f, id",
     "SELECT nanvl(framed_sum(r0.\"f.0\") OVER (ORDER BY r0.\"id.0\" ASC NULLS LAST), "
     "CAST('NaN' AS DOUBLE)) AS o0$0, nanvl(sum(r0.\"f.0\"), CAST('NaN' AS DOUBLE)) AS "
     "o0$1 FROM \"t.0\" AS r0 GROUP BY r0.\"f.0\", r0.\"id.0\""},
    {"SELECT 1 FROM t GROUP BY ()",
     "SELECT CAST(1 AS INT) AS o0$0 FROM \"t.0\" AS r0 HAVING (count(*) >= 0)"},
    {"SELECT 1 FROM t HAVING count(*) > 0",
     "SELECT CAST(1 AS INT) AS o0$0 FROM \"t.0\" AS r0 HAVING (count(*) > 0)"},
    {"SELECT b IS NOT TRUE, (n > 1) IS UNKNOWN, c IN ('a', 'b'), n NOT IN (1, 2) FROM t",
     "SELECT (r0.\"b.0\" IS DISTINCT FROM TRUE) AS o0$0, ((r0.\"n.0\" > 1) IS NULL) AS o0$1, "
     "(((rtrim(r0.\"c.0\", ' ') = rtrim('a   ', ' ')) OR (rtrim(r0.\"c.0\", ' ') = rtrim('b "
     "  ', ' ')))) AS o0$2, (r0.\"n.0\" NOT IN (1, 2)) AS o0$3 FROM \"t.0\" AS r0"},
    {"SELECT s, 'it''s \\ ', 1::smallint, 5::bigint, (-9223372036854775808)::bigint, "
     "1.50, 'NaN'::float4, '-infinity'::float8, '1e300'::float8, NULL, true FROM t",
     "SELECT r0.\"s.0\" AS o0$0, 'it''s \\ ' AS o0$1, CAST(1 AS SMALLINT) AS o0$2, 5 AS "
     "o0$3, -9223372036854775808 AS o0$4, CAST(1.50 AS DECIMAL(3, 2)) AS o0$5, "
     "CAST('NaN' AS REAL) AS o0$6, CAST('-Infinity' AS DOUBLE) AS o0$7, "
     "CAST('1.0000000000000001e+300' AS DOUBLE) AS o0$8, CAST(NULL AS TEXT) AS o0$9, "
     "TRUE AS o0$10 FROM \"t.0\" AS r0"},
    {"SELECT x FROM (SELECT count(*) AS x FROM (SELECT v AS y FROM u) q WHERE q.y > 1) p",
     "SELECT r2.r2$0 AS o0$0 FROM (SELECT count(*) AS r2$0 FROM (SELECT r0.\"v.0\" AS "
     "r1$0 FROM \"u.0\" AS r0) AS r1 WHERE (r1.r1$0 > 1)) AS r2"},
};

static void texts_are_as_written(void **state)
{
    (void)state;
    int failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena;
        struct engine_text text;
        arena_init(&arena, &allocator);
        const char *given = text_of(&arena, cases[i].sql, &text);
        if (strcmp(given, cases[i].text) != 0) {
            print_message("%s\n  gives    %s\n  expected %s\n", cases[i].sql, given, cases[i].text);
            failures++;
        }
        arena_release(&arena);
    }
    assert_int_equal(failures, 0);
}

/* What a call's signature says comes back; what is none of ours is refused. */
static void signatures_are_read_back(void **state)
{
    (void)state;
    struct arena arena;
    struct engine_text text;
    struct engine_call call;
    omen_error error;
    arena_init(&arena, &allocator);
    const char *given = text_of(&arena, "SELECT c::varchar(2) FROM t", &text);
    const char *start = strstr(given, "core('");
    assert_non_null(start);
    start += strlen("core('");
    size_t length = strcspn(start, "'");
    assert_int_equal(engine_call_read(start, length, &call, &error), OMEN_OK);
    assert_int_equal(call.result.id, OMEN_TYPE_VARCHAR);
    assert_int_equal(call.result.length_max, 2);
    assert_true(call.explicit_cast);
    assert_int_equal(call.argument_count, 1);
    assert_int_equal(call.arguments[0].id, OMEN_TYPE_CHAR);
    for (size_t cut = 0; cut < length; cut++)
        if (engine_call_read(start, cut, &call, &error) == OMEN_OK)
            assert_true(start[cut] >= '0' && start[cut] <= '9');
    static const char *const wrong[] = {
        "", " ", "lower", "cast 99999999 c 8.0.0.0", "nosuch 0 c 8.0.0.0 8.0.0.0",
        "cast -1 c 8.0.0.0", "cast 1 c 99.0.0.0 8.0.0.0", "= 0 c 1.0.0.0 1.0.0.0x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(engine_call_read(wrong[i], strlen(wrong[i]), &call, &error),
                         OMEN_INTERNAL);
    arena_release(&arena);
}

/* A table's reference is listed once, by the name that the text has. */
static void relations_are_listed(void **state)
{
    (void)state;
    struct arena arena;
    struct engine_text text;
    arena_init(&arena, &allocator);
    text_of(&arena, "SELECT 1 FROM t, t AS x WHERE x.id NOT IN (SELECT v FROM u) OR t.b", &text);
    assert_int_equal(text.relation_count, 3);
    assert_string_equal(text.relations[0].name, "t.0");
    assert_string_equal(text.relations[1].name, "t.1");
    assert_string_equal(text.relations[2].name, "u.2");
    assert_false(text.relations[0].row_ids);
    assert_int_equal(text.parameter_count, 0);
    arena_release(&arena);
}

int main(int argc, char **argv)
{
    if (argc > 1 && set_up(NULL) == 0) {
        for (int i = 1; i < argc; i++) {
            struct arena arena;
            struct engine_text text;
            arena_init(&arena, &allocator);
            printf("%s\n  %s\n", argv[i], text_of(&arena, argv[i], &text));
            arena_release(&arena);
        }
        return tear_down(NULL);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_as_written),
        cmocka_unit_test(signatures_are_read_back),
        cmocka_unit_test(relations_are_listed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
