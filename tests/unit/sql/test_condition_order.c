/* test_condition_order.c - the order of AND-ed conditions is that of PostgreSQL 15's plans.
 *
 * Expected: the conditions as EXPLAIN lists them (tables t(id int primary key, s text, n bigint,
 * f float8, d numeric(10,2), c char(4), b bool) and u(id int primary key, t_id int, v bigint)),
 * by their places in the statement, counted from 0.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "os/os.h"
#include "sql/bind.h"
#include "sql/condition_order.h"
#include "store/database.h"

enum { CONDITIONS_MAX = 16 };

static struct database *database;

static uint32_t list_written(struct expression *condition, struct expression **list, uint32_t count)
{
    if (condition == NULL)
        return 0;
    if (condition->kind != EXPRESSION_AND) {
        list[count] = condition;
        return count + 1;
    }
    for (uint32_t i = 0; i < condition->argument_count; i++)
        count = list_written(condition->arguments[i], list, count);
    return count;
}

/* Orders the conditions of the query's WHERE, or else of its HAVING. */
static void order_of(const char *sql, char *out)
{
    struct arena arena;
    struct parsed parsed;
    struct binder binder;
    struct query *query;
    struct expression *before[CONDITIONS_MAX], *after[CONDITIONS_MAX];
    arena_init(&arena, database->allocator);
    assert_int_equal(parse_statement(sql, strlen(sql), &arena, &parsed, NULL), OMEN_OK);
    assert_int_equal(binder_init(&binder, &arena, database->catalog, &parsed, NULL, 0, NULL), OMEN_OK);
    assert_int_equal(bind_query(&binder, NULL, parsed.statement->select_stmt, &query, NULL), OMEN_OK);
    struct expression **where = query->where != NULL ? &query->where : &query->having;
    uint32_t count = list_written(*where, before, 0);
    query_order_conditions(query, &arena);
    assert_int_equal(list_written(*where, after, 0), count);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++)
            if (after[i] == before[j])
                out += sprintf(out, i > 0 ? " %u" : "%u", j);
    binder_release(&binder);
    arena_release(&arena);
}

static const struct {
    const char *sql, *expected;
} cases[] = {
    {"SELECT id FROM t WHERE 1 / n > 0 AND n <> 0", "1 0"},
    {"SELECT id FROM t WHERE 1 / n > 0 AND d + 1 > 3 AND n = 3 AND s IS NULL AND s LIKE 'a%' AND b",
     "3 5 4 2 0 1"},
    {"SELECT id FROM t WHERE 1 / n > 0 AND (n = 3 OR n + id > 3) AND n IN (1, 2, 3, 4) AND n IN "
     "(1, 2, 3, 4, 5) AND n IN (1)",
     "4 0 2 3 1"},
    {"SELECT id FROM t WHERE n + 1 > 3 AND n IN (1, 2, 3, 4, 5, 6, 7, 8) AND n IN (1, 2, 3, 4, 5, 6, "
     "7, 8, 9) AND n NOT IN (1, 2, 3)",
     "3 0 2 1"},
    {"SELECT id FROM t WHERE n::text = 'x' AND n::int = 3 AND n + 1 + 1 > 2 AND n + 1 > 3 AND "
     "n::numeric(5,2) > f AND n::numeric(5,2)::float8 > 2",
     "3 1 2 0 4 5"},
    {"SELECT id FROM t WHERE s::varchar(3) > 'x' AND s::int > 3 AND c < s AND c::text > s AND "
     "n::varchar(5) > 'a' AND d::numeric(6,2) > 1 AND s || s > s AND (s || 'a') || s > s || s",
     "0 2 3 5 6 1 4 7"},
    {"SELECT id FROM t WHERE n BETWEEN 1 / n AND 3 AND n > 2", "1 2 0"},
    {"SELECT id FROM t WHERE greatest(n, id) > 3 AND coalesce(n, id + 1) > 1 AND nullif(n, 1) > 2 "
     "AND n IS DISTINCT FROM 3 AND n > 1",
     "3 4 2 0 1"},
    {"SELECT id FROM t WHERE 1 + 1 + 1 + 1 + n > 3 AND n + 1 + n > 3 AND n > 2 * 3 * 4 AND n > "
     "random() AND extract(year FROM now()) > n",
     "2 0 1 3 4"},
    {"SELECT t.id FROM t, u WHERE t.id / u.v > 1 AND u.v + 1 + 1 + 1 <> 2", "1 0"},
    {"SELECT id FROM t WHERE n > (SELECT v FROM u WHERE u.id = t.id) AND n + 1 + 1 + 1 > 3 AND n + 1 "
     "> (SELECT max(v) FROM u) AND n + 1 > 2",
     "2 3 1 0"},
    {"SELECT n, sum(id) FROM t GROUP BY n HAVING sum(id) / n > 2 AND sum(id) > 2 AND sum(id + 1 + 2) "
     "> 2 AND n + 1 + 1 + 1 + 1 > 3",
     "3 1 2 0"},
    {"SELECT id FROM t WHERE CASE WHEN n > 1 THEN 1 / n > 2 ELSE true END AND n + 1 + 1 > 2 AND "
     "n::numeric > 1",
     "2 0 1"},
    {"SELECT id FROM t WHERE (n > 1 AND 1 / n > 2) AND (n > 3 AND n + 1 > 2)", "0 2 1 3"},
    {"SELECT id FROM t WHERE n + 1 = 3 AND 1 / n > 0", "1 0"},
    {"SELECT n FROM t GROUP BY n HAVING sum(id) + 1 = 3 AND 1 / sum(id) > 0", "0 1"},
    {"SELECT id FROM t WHERE n = id AND id > f AND s = c AND s > 'a' AND c = 'a'", "3 0 4 1 2"},
};

static void test_order(void **state)
{
    int failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char order[4 * CONDITIONS_MAX] = "";
        order_of(cases[i].sql, order);
        if (strcmp(order, cases[i].expected) != 0) {
            print_error("%s\n  expected %s\n  got      %s\n", cases[i].sql, cases[i].expected, order);
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

#define COLUMN(name_, id_, ...) {.name = name_, .type = {.id = OMEN_TYPE_##id_, __VA_ARGS__}, .nullable = true}

static void add_table(const char *name, const struct column_definition *columns, uint32_t count)
{
    static const uint32_t key[] = {0};
    struct schema *schema;
    assert_int_equal(schema_create(database->allocator, columns, count, key, 1, &schema, NULL), OMEN_OK);
    assert_int_equal(catalog_add(database->catalog, name, schema, NULL), OMEN_OK);
    schema_release(schema);
}

static int open_database(void **state)
{
    static const struct column_definition t[] = {
        COLUMN("id", INTEGER, .length_max = 0), COLUMN("s", TEXT, .length_max = 0),
        COLUMN("n", BIGINT, .length_max = 0),   COLUMN("f", DOUBLE, .length_max = 0),
        COLUMN("d", DECIMAL, .precision = 10, .scale = 2), COLUMN("c", CHAR, .length_max = 4),
        COLUMN("b", BOOLEAN, .length_max = 0),
    };
    static const struct column_definition u[] = {
        COLUMN("id", INTEGER, .length_max = 0),
        COLUMN("t_id", INTEGER, .length_max = 0),
        COLUMN("v", BIGINT, .length_max = 0),
    };
    const struct database_options options = {0};
    if (database_open(&os_real, &options, &database, NULL) != OMEN_OK)
        return 1;
    add_table("t", t, sizeof t / sizeof *t);
    add_table("u", u, sizeof u / sizeof *u);
    return 0;
}

static int close_database(void **state)
{
    return database_close(database, NULL) == OMEN_OK ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, open_database, close_database);
}
