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
#include "expression_cases.h"
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
    assert_int_equal(database_close(*state, NULL), OMEN_OK);
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
    for (size_t i = 0; i < sizeof tree_cases / sizeof *tree_cases; i++) {
        char sql[256], tree[1024], type[64];
        struct bound bound;
        snprintf(sql, sizeof sql, "SELECT %s FROM t", tree_cases[i].expression);
        if (bind_sql(*state, sql, &bound) != OMEN_OK)
            fail_msg("%s: %s", tree_cases[i].expression, bound.error.message);
        bind_narrow(&bound.query->targets[0].expression, &bound.arena);
        bound_type(bound.query->types[0], type, sizeof type);
        bound_text(bound.query->targets[0].expression, tree, sizeof tree);
        if (strcmp(type, tree_cases[i].type) != 0 || strcmp(tree, tree_cases[i].tree) != 0)
            fail_msg("%s: %s %s", tree_cases[i].expression, type, tree);
        release_bound(&bound);
    }
}

static void test_errors(void **state)
{
    for (size_t i = 0; i < sizeof error_cases / sizeof *error_cases; i++) {
        char sql[256];
        struct bound bound;
        snprintf(sql, sizeof sql, "SELECT %s FROM t", error_cases[i].expression);
        omen_status status = bind_sql(*state, sql, &bound);
        if (status == OMEN_OK || status != bound.error.status ||
            strcmp(bound.error.sqlstate, error_cases[i].sqlstate) != 0 ||
            bound.error.position != error_cases[i].position ||
            strcmp(bound.error.message, error_cases[i].message) != 0)
            fail_msg("%s: %s %d %s", error_cases[i].expression, bound.error.sqlstate,
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
