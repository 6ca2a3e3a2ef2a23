/* test_bind_limits.c - short statements that ask for much: an answer or a clear error, in little
 * time, little memory and a small stack; and memory that runs out anywhere.
 *
 * Each statement goes all the way, on a thread with a stack of 1 MiB: parsed, bound, computed,
 * decorrelated, written for the engine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/os.h"
#include "sql/bind.h"
#include "sql/decorrelate.h"
#include "sql/engine_text.h"
#include "sql/evaluate.h"
#include "txn/txn.h"

enum { STACK_BYTES = 1 << 20, MEMORY_BYTES = 1 << 30 };

static struct allocator shared;
static struct txn_manager *manager;
static struct catalog *catalog;

static int set_up(void **state)
{
    static const struct column_definition columns[] = {
        {.name = "id", .type = {.id = OMEN_TYPE_INTEGER}},
        {.name = "a", .type = {.id = OMEN_TYPE_INTEGER}, .nullable = true},
        {.name = "s", .type = {.id = OMEN_TYPE_TEXT}, .nullable = true},
        {.name = "n", .type = {.id = OMEN_TYPE_DECIMAL, .precision = 10, .scale = 2}, .nullable = true},
        {.name = "c", .type = {.id = OMEN_TYPE_CHAR, .length_max = 4}, .nullable = true},
        {.name = "d", .type = {.id = OMEN_TYPE_DATE}, .nullable = true},
    };
    static const uint32_t key[] = {0};
    struct schema *schema = NULL;
    (void)state;
    allocator_init(&shared, 0);
    if (txn_manager_create(&shared, &manager) != OMEN_OK ||
        catalog_create(&shared, manager, &catalog) != OMEN_OK ||
        schema_create(&shared, columns, sizeof columns / sizeof *columns, key, 1, &schema, NULL) !=
            OMEN_OK ||
        catalog_add(catalog, "t", schema, NULL) != OMEN_OK)
        return 1;
    schema_release(schema);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    catalog_destroy(catalog);
    txn_manager_destroy(manager);
    return atomic_load(&shared.bytes_used) == 0 ? 0 : 1;
}

/* --- one statement, all the way --- */

struct run {
    const char *sql;
    struct allocator *allocator;
    omen_status status;
    omen_error error;
};

struct walk {
    struct arena *arena;
    struct run *run;
};

static bool walk_query(struct query *query, uint32_t levels, void *state);

static bool walk_subqueries(struct expression **part, void *state)
{
    return ((*part)->kind != EXPRESSION_SUBQUERY ||
            walk_query((*part)->subquery.query, 1, state)) &&
           expression_visit_parts(*part, walk_subqueries, state);
}

static bool walk_expression(struct expression **part, void *state)
{
    struct walk *walk = state;
    walk->run->status = evaluate_constants(part, walk->arena, &walk->run->error);
    bind_narrow(part, walk->arena);
    return walk->run->status == OMEN_OK && walk_subqueries(part, state);
}

static bool walk_query(struct query *query, uint32_t levels, void *state)
{
    (void)levels;
    return query_visit_parts(query, walk_expression, walk_query, state);
}

static omen_status bind_any(struct binder *binder, const PgQuery__Node *statement,
                            struct query **query, omen_error *error)
{
    struct bound_insert insert = {0};
    struct bound_change change = {0};
    omen_status status;
    *query = NULL;
    switch (statement->node_case) {
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        status = bind_insert(binder, statement->insert_stmt, &insert, error);
        *query = insert.query;
        return status;
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
        status = bind_update(binder, statement->update_stmt, &change, error);
        *query = change.query;
        return status;
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        status = bind_delete(binder, statement->delete_stmt, &change, error);
        *query = change.query;
        return status;
    default:
        return bind_query(binder, NULL, statement->select_stmt, query, error);
    }
}

static omen_status run_bound(struct run *run, struct binder *binder, const struct parsed *parsed)
{
    struct query *query;
    struct engine_text text;
    struct walk walk = {.arena = binder->arena, .run = run};
    OMEN_TRY(bind_any(binder, parsed->statement, &query, &run->error));
    binder_finish(binder);
    if (query == NULL)
        return OMEN_OK;
    run->status = OMEN_OK;
    walk_query(query, 0, &walk);
    OMEN_TRY(run->status);
    OMEN_TRY(decorrelate_query(binder, query, &run->error));
    return engine_text_write(query, binder->parameter_count, binder->parameter_types, binder->arena,
                             &text, &run->error);
}

static void run_here(void *argument)
{
    struct run *run = argument;
    struct arena arena;
    struct parsed parsed;
    struct binder binder = {0};
    arena_init(&arena, run->allocator);
    run->status = parse_statement(run->sql, strlen(run->sql), &arena, &parsed, &run->error);
    if (run->status == OMEN_OK)
        run->status = binder_init(&binder, &arena, catalog, &parsed, NULL, 0, &run->error);
    if (run->status == OMEN_OK)
        run->status = run_bound(run, &binder, &parsed);
    binder_release(&binder);
    arena_release(&arena);
}

static omen_status run_limited(const char *sql)
{
    struct allocator allocator;
    struct run run = {.sql = sql, .allocator = &allocator};
    allocator_init(&allocator, MEMORY_BYTES);
    assert_int_equal(os_run_with_stack(STACK_BYTES, run_here, &run), OMEN_OK);
    assert_int_equal(atomic_load(&allocator.bytes_used), 0);
    if (run.status != OMEN_OK) {
        assert_int_equal(run.error.status, run.status);
        assert_true(run.error.message[0] != '\0');
    }
    if (getenv("OMEN_VERBOSE") != NULL)
        print_message("%.60s: %s %s\n", sql, run.error.sqlstate, run.error.message);
    return run.status;
}

/* --- bombs --- */

/* `before`, `unit` repeated, `middle`, `after` repeated, `end`; # in a unit is its number, @ the next. */
struct bomb {
    const char *before, *unit, *middle, *after, *end;
    uint32_t count;
};

static void put_unit(FILE *file, const char *unit, uint32_t number)
{
    for (; *unit != '\0'; unit++)
        if (*unit == '#' || *unit == '@')
            fprintf(file, "%u", number + (*unit == '@'));
        else
            putc(*unit, file);
}

static omen_status run_bomb(const struct bomb *bomb)
{
    char *sql = NULL;
    size_t length;
    FILE *file = open_memstream(&sql, &length);
    assert_non_null(file);
    fputs(bomb->before, file);
    for (uint32_t i = 0; i < bomb->count; i++)
        put_unit(file, bomb->unit, i);
    fputs(bomb->middle, file);
    for (uint32_t i = bomb->count; i-- > 0;)
        put_unit(file, bomb->after, i);
    fputs(bomb->end, file);
    fclose(file);
    omen_status status = run_limited(sql);
    free(sql);
    return status;
}

static bool is_limit(omen_status status)
{
    return status == OMEN_STATEMENT_TOO_COMPLEX || status == OMEN_LIMIT_EXCEEDED ||
           status == OMEN_TOO_MANY_COLUMNS || status == OMEN_OUT_OF_MEMORY ||
           status == OMEN_NOT_SUPPORTED;
}

static void check_bomb(const struct bomb *bomb)
{
    omen_status status = run_bomb(bomb);
    bool refused = status == OMEN_UNDEFINED_FUNCTION || status == OMEN_TYPE_MISMATCH ||
                   status == OMEN_UNDEFINED_COLUMN || status == OMEN_AMBIGUOUS_COLUMN;
    if (status != OMEN_OK && !is_limit(status) && !refused)
        fail_msg("%s%s... %u times: status %d", bomb->before, bomb->unit, bomb->count,
                 (int)status);
}

static const struct bomb deep[] = {
    {"select ", "(", "1", ")", "", 0},
    {"select ", "(", "a", ")", " from t", 0},
    {"select ", "not ", "true", "", "", 0},
    {"select ", "not ", "id = 1", "", " from t", 0},
    {"select ", "- ", "id", "", " from t", 0},
    {"select ", "abs(", "id", ")", " from t", 0},
    {"select ", "case when a = 1 then ", "2", " end", " from t", 0},
    {"select ", "case when a = (", "2", ") then 1 end", " from t", 0},
    {"select ", "(select ", "t.id", ")", " from t", 0},
    {"select ", "(select max(a) from t where id > ", "1", ")", " from t", 0},
    {"select 1 from t where ", "exists (select 1 from t x where x.id > t.id and ", "true", ")", "", 0},
    {"select 1 from t where ", "id in (select id from t where ", "true", ")", "", 0},
    {"select * from ", "(select * from ", "t", ") x", "", 0},
    {"select * from ", "lateral (select * from ", "t", ") x", "", 0},
    {"", "with x as (", "select 1", ") select * from x", "", 0},
    {"select * from ", "(", "t", " cross join t x#)", "", 0},
    {"", "(", "select 1", " union select 2)", "", 0},
    {"", "(select 1 except all ", "select 1", ")", "", 0},
    {"select coalesce(", "coalesce(", "id", ", 1)", ", 2) from t", 0},
    {"select ", "", "id", " between 1 and 2 = true and id", " between 3 and 4 from t", 0},
    {"select ", "(", "id", "::text || 'x')", " from t", 0},
    {"select ", "(", "id", " + 1)", " from t", 0},
    {"select ", "(", "'a'", " like 'b')::text", "", 0},
    {"select ", "(row(", "id", ") = row(1))::int", " from t", 0},
    {"select 1 from t group by ", "grouping sets (", "id", ")", "", 0},
    {"select count(*) over w9 from t window w0 as (order by id)", ", w@ as (w#)", "", "", "", 0},
    {"with recursive w0 as (select 1 as x)", ", w@ as (select x from w#)", " select x from w9", "", "", 0},
};

static void test_depth(void **state)
{
    static const uint32_t counts[] = {10, 390, 1400, 19000};
    (void)state;
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++)
        for (size_t j = 0; j < sizeof counts / sizeof *counts; j++) {
            struct bomb bomb = deep[i];
            bomb.count = counts[j];
            omen_status status = run_bomb(&bomb);
            if (status != OMEN_OK && !is_limit(status))
                fail_msg("bomb %zu of %u: status %d", i, bomb.count, (int)status);
        }
}

/* What multiplies: each level says the one below it more than once. */
static const struct bomb growing[] = {
    {"select ", "(", "a", " between 1 and 2)::int", " from t", 60},
    {"select ", "(", "a", " between symmetric 1 and 2)::int", " from t", 60},
    {"select ", "case ", "a", " when 1 then 2 when 3 then 4 when 5 then 6 end", " from t", 60},
    {"select ", "(", "a", " in (id, 2, id + 1, id + 2))::int", " from t", 60},
    {"select ", "(", "a", ", 1) < (2, 3))::int", " from t", 0},
    {"select ", "((", "a", ", 1) < (2, 3))::int", " from t", 60},
    {"select ", "((", "a", ", 1) in ((2, 3), (4, 5)))::int", " from t", 60},
    {"select ", "(select ", "a", " from t group by 1)", "", 60},
    {"select ", "(select ", "a", " from t group by 1 order by 1)", " from t", 60},
    {"select ", "(select sum(1) over w + sum(2) over w + sum(3) over w from t window w as (order by ",
     "a", "))", " from t", 60},
    {"select ", "(select max(x.a) from t x where x.a < ", "t.a", ")", " from t", 30},
    {"select * from ", "(select x.*, (select count(*) from t y where y.a < x.a) as z# from ", "t",
     " x)", " x", 30},
    {"select ", "((select ", "a", " from t limit 1) = any (select a from t))::int", " from t", 30},
    {"select ", "(", "a", " > all (select id from t))::int", " from t", 30},
    {"select ", "nullif(", "a", ", 1) + 1", " from t", 60},
    {"select ", "(", "a", " is distinct from 1)::int", " from t", 60},
    {"select * from t", " full join t x# using (id, a, s)", "", "", "", 200},
    {"select * from t", " natural full join t x#", "", "", "", 200},
    {"with w0 as (select 1 as x)", ", w@ as (select count(*) as x from w# a, w# b)",
     " select x from w60", "", "", 60},
    {"with w0 as (select 1 as x)", ", w@ as (select a.*, b.* from w# a, w# b)",
     " select x from w60", "", "", 60},
};

static void test_growth(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof growing / sizeof *growing; i++)
        check_bomb(&growing[i]);
}

/* What is merely long. */
static const struct bomb wide[] = {
    {"select 1", " union all select 2", "", "", "", 5000},
    {"select 1", " union select 2", "", "", "", 500},
    {"select 1 from t where id = 0", " or id = #", "", "", "", 100000},
    {"select 1 from t where id = 0", " and id <> #", "", "", "", 100000},
    {"select 1 from t where id in (0", ", #", ")", "", "", 100000},
    {"select 1 from t where id in (0", ", id + #", ")", "", "", 100000},
    {"select 1 from t where id in (0", ", #", ", true)", "", "", 100000},
    {"select 1 from t where (id, a) in ((0, 0)", ", (#, 1)", ")", "", "", 50000},
    {"select 1", " + 1", "", "", "", 20000},
    {"select id", " + a", " from t", "", "", 20000},
    {"select 'a'", " || s", " from t", "", "", 300},
    {"values (0, 'a')", ", (#, 'b')", "", "", "", 100000},
    {"values (0)", ", (#)", ", (true)", "", "", 200000},
    {"select * from (values (0)", ", (#.5)", ") v (x)", "", "", 100000},
    {"select 1", ", # as c#", "", "", "", 1600},
    {"select 1", ", # as c#", "", "", "", 3000},
    {"select t.*", ", t.*", " from t", "", "", 200000},
    {"with w as (select 1)", ", w# as (select 1)", " select * from w", "", "", 10000},
    {"with recursive w as (select 1)", ", w# as (select 1)", " select * from w", "", "", 10000},
    {"with recursive w as (select 1)", ", w# as (select * from w)", " select * from w", "", "", 1000},
    {"select 1 from t", ", t t#", "", "", "", 20000},
    {"select t.id from t", ", t t#", "", "", "", 400},
    {"select * from t", " cross join t t#", "", "", "", 350},
    {"select case id when 0 then 0", " when # then a", " end from t", "", "", 50000},
    {"select coalesce(id", ", #", ") from t", "", "", 100000},
    {"select greatest(id", ", id", ") from t", "", "", 100000},
    {"select concat(id", ", #", ") from t", "", "", 100000},
    {"select nosuch(id", ", #", ") from t", "", "", 100000},
    {"select id from t order by id", ", id + #", "", "", "", 50000},
    {"select 1 from t group by id", ", id + #", "", "", "", 50000},
    {"select count(*) from t group by rollup (id", ", id + #", ")", "", "", 900},
    {"select count(*) from t group by cube (id, a), cube (a", ", id + #", ")", "", "", 9},
    {"select count(*) over w from t window w as ()", ", w# as ()", "", "", "", 100000},
    {"select count(*) over w90 from t window w as ()", ", w# as (w)", "", "", "", 3000},
    {"select s like '", "%a", "' from t", "", "", 100000},
    {"select repeat('a', 10000) like '", "%a", "b'", "", "", 1000},
    {"insert into t (id) values (0)", ", (#)", "", "", "", 100000},
    {"update t set a = 0", " + id", "", "", "", 5000},
    {"delete from t where id = 0", " or id = #", "", "", "", 100000},
    {"select $1", ", $1", "", "", "", 1600},
};

static void test_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        check_bomb(&wide[i]);
}

/* What says how much it wants. */
static void test_huge_values(void **state)
{
    static const struct {
        const char *sql;
        omen_status status;
    } cases[] = {
        {"select repeat('x', 2147483647)", OMEN_OK}, /* folding leaves what fails to be computed */
        {"select repeat('x', 1000)", OMEN_OK},
        {"select lpad('x', 2147483647, 'äö')", OMEN_OK},
        {"select rpad(s, 2147483647) from t", OMEN_OK},
        {"select 1e400", OMEN_NOT_SUPPORTED},
        {"select 1e2147483647", OMEN_NOT_SUPPORTED},
        {"select 1e-2147483648", OMEN_NOT_SUPPORTED},
        {"select interval '999999999999999999999 years'", OMEN_INTERVAL_OVERFLOW},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(run_limited(cases[i].sql), cases[i].status);
}

/* --- memory --- */

static const char *const statements[] = {
    "select a, n + 1, s || 'x', case when a between 1 and 3 then c else 'b' end from t "
    "where a in (1, 2, id) and (a, id) < (3, 4) and s like 'a%' or n = 2",
    "select a, sum(n) filter (where id > 1), count(distinct s), grouping_sets.x from t, "
    "(values (1, 'a'), (2.5, null)) as grouping_sets (x, y) group by rollup (a, x) having count(*) > 1",
    "select rank() over w, sum(a) over (w rows between 1 preceding and current row) from t "
    "window w as (partition by s order by id)",
    "with recursive r (n) as (select 1 union all select n + 1 from r where n < 5), q as (select 2 as z) "
    "select r.n, q.z from r join q on r.n = q.z full join t x using (n)",
    "select (select count(*) from t u where u.a < t.a), exists (select 1 from t u where u.a > t.a), "
    "t.a > all (select u.id from t u where u.s < t.s) from t",
    "select 1 union select 2.5 except all select a from t order by 1 limit 1 + 1",
    "select distinct on (a) a, d + interval '1 mon', extract(year from d), date_trunc('month', d) "
    "from t order by a, 2 desc",
    "select * from generate_series(1, 3) g, lateral (select g + t.id as z from t) l",
    "update t set a = u.a + 1, s = default, n = (select max(n) from t) from t u where u.id = t.id",
    "delete from t using t u where u.id = t.id and u.c = 'ab'",
    "insert into t (id, a, n) select id, a, '2.5' from t order by 2 limit 3",
    "insert into t (id, n) values (1, 2), (2, default), ((select 1), 2.5)",
    "select $1 + a, $2::text, coalesce($3, 'x') from t where id = $4",
};

/* Every allocation in turn fails, alone and with all after it: memory is what is said to be
 * missing, and nothing stays behind. */
static void test_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        for (int all_after = 0; all_after < 2; all_after++) {
            struct allocator allocator;
            struct run run = {.sql = statements[i], .allocator = &allocator};
            allocator_init(&allocator, 0);
            run_here(&run);
            omen_status without_failure = run.status;
            assert_true(without_failure == OMEN_OK || without_failure == OMEN_UNDEFINED_COLUMN ||
                        without_failure == OMEN_TYPE_MISMATCH ||
                        without_failure == OMEN_NOT_SUPPORTED);
            for (uint64_t nth = 1;; nth++) {
                allocator_init(&allocator, 0);
                allocator_fail_at(&allocator, nth, all_after);
                run.error = (omen_error){0};
                run_here(&run);
                assert_int_equal(atomic_load(&allocator.bytes_used), 0);
                if (!allocator_has_failed(&allocator)) {
                    assert_int_equal(run.status, without_failure);
                    break;
                }
                assert_true(run.status == OMEN_OUT_OF_MEMORY || run.status == without_failure);
                assert_int_equal(run.status == OMEN_OK ? OMEN_OK : run.error.status, run.status);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depth),       cmocka_unit_test(test_growth),
        cmocka_unit_test(test_length),      cmocka_unit_test(test_huge_values),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
