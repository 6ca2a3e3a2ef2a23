/* Plans that are kept: the same text again needs no planning, and never answers for another table,
 * another value or another moment. Skipped without a DataFusion engine (OMENDB_ENGINE).
 *
 * With the argument `measure` it prints what planning takes, with and without.
 */
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine_driver.h"
#include "fake_host.h"

static int open_engine(void **state)
{
    driver_open(0, 2);
    return 0;
}

static int close_engine(void **state)
{
    fake_host.rows_missing = 0;
    driver_close();
    return 0;
}

/* Runs `sql`, and says whether a kept plan was used. */
static void expect_cached(const char *sql, const char *answer, bool cached)
{
    uint64_t before = driver_counters().plans_cached;
    expect(sql, answer);
    if (driver_counters().plans_cached - before != (cached ? 1u : 0u))
        fail_msg("%s: %s", sql, cached ? "planned again" : "not planned again");
}

static const char *const texts[][2] = {
    {"SELECT count(*) FROM t", "8"},
    {"SELECT name FROM t WHERE id = 5", "five"},
    {"SELECT id FROM t WHERE id > 1 AND name IS NOT NULL ORDER BY id DESC LIMIT 2",
     "9223372036854775807\n42"},
    {"SELECT a.id FROM t a JOIN t b ON a.id = b.amount", "42"},
    {"SELECT id FROM t WHERE amount = (SELECT max(amount) FROM t)", "5"},
    {"SELECT id FROM t o WHERE amount < (SELECT avg(amount) FROM t i WHERE i.flag = o.flag) AND id "
     "> 0",
     "9223372036854775807"},
    {"SELECT id FROM t WHERE id IN (SELECT amount FROM t)", "42"},
    {"SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM t WHERE id = 6) OR id = 1", "8"},
    {"SELECT (SELECT max(id) FROM t WHERE id < 42), (SELECT count(*) FROM big)", "6|200000"},
    {"WITH w AS (SELECT amount FROM big WHERE amount < 3) SELECT count(*) FROM w", "600"},
    {"SELECT count(*) FROM (SELECT id FROM t UNION ALL SELECT id FROM big) x", "200008"},
    {"SELECT id, row_number() OVER (ORDER BY id) FROM t WHERE id > 6 ORDER BY 1",
     "42|1\n9223372036854775807|2"},
    {"SELECT count(*) FROM t WHERE false", "0"},
};
enum { TEXTS = sizeof texts / sizeof *texts };

static void test_same_text(void **state)
{
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < TEXTS; i++)
            expect_cached(texts[i][0], texts[i][1], round > 0);
    }
    /* Exact text: what looks the same is another. */
    expect_cached("SELECT  count(*) FROM t", "8", false);
    /* The filter is still pushed, and one table resolved once. */
    expect_cached("SELECT name FROM t WHERE id = 5", "five", true);
    assert_int_equal(fake_host.predicate_count, 1);
    assert_int_equal(fake_host.resolve_count, 1);
}

static void expect_with(int64_t id, bool small, const char *answer, bool cached)
{
    omen_value value = {.type = {.id = small ? OMEN_TYPE_INTEGER : OMEN_TYPE_BIGINT}};
    if (small)
        value.as.i32 = (int32_t)id;
    else
        value.as.i64 = id;
    uint64_t before = driver_counters().plans_cached;
    assert_string_equal(driver_run_with("SELECT name FROM t WHERE id = $1", &value, 1), answer);
    assert_int_equal(driver_counters().plans_cached - before, cached);
}

static void test_parameters(void **state)
{
    expect_with(5, false, "five", false);
    expect_with(5, false, "five", true);
    expect_with(1, false, "one", false);
    expect_with(1, true, "one", false);
    expect_with(1, true, "one", true);
    expect_with(5, false, "five", true);
    /* Values that never come again push out their like, not other texts. */
    expect_cached(texts[0][0], texts[0][1], false);
    for (int i = 100; i < 500; i++)
        expect_with(i, false, "", false);
    expect_cached(texts[0][0], texts[0][1], true);
}

static void test_changed_content(void **state)
{
    for (size_t i = 0; i < TEXTS; i++)
        expect(texts[i][0], texts[i][1]);
    fake_host.rows_missing = 2;
    expect_cached("SELECT count(*) FROM t", "6", true);
    expect_cached(texts[2][0], "6\n5", true);
    expect_cached("SELECT id FROM t WHERE id IN (SELECT amount FROM t)", "", true);
    fake_host.rows_missing = 4;
    expect_cached("SELECT name FROM t WHERE id = 5", "", true);
    expect_cached(texts[4][0], "2", true);
    expect_cached(texts[8][0], "2|200000", true);
}

static void test_other_table(void **state)
{
    for (size_t i = 0; i < TEXTS; i++)
        expect(texts[i][0], texts[i][1]);
    fake_host.generation++;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < TEXTS; i++)
            expect_cached(texts[i][0], texts[i][1], round > 0);
    }
    /* A table that the text names and the plan leaves out counts too. */
    fake_host.generation++;
    expect_cached(texts[TEXTS - 1][0], texts[TEXTS - 1][1], false);
}

/* Nothing of the host's is held by a plan that is kept. */
static void test_nothing_held(void **state)
{
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < TEXTS; i++) {
            expect(texts[i][0], texts[i][1]);
            assert_int_equal(fake_host.tables_alive, 0);
            assert_int_equal(fake_host.cursors_alive, 0);
        }
    }
}

/* What depends on the moment, on chance or on no table of the host's. */
static void test_not_kept(void **state)
{
    char first[64];
    for (int i = 0; i < 2; i++)
        expect_cached("SELECT now() < TIMESTAMP '2000-01-01 00:00:00'", "false", false);
    for (int i = 0; i < 2; i++)
        expect_cached("SELECT id FROM t WHERE current_date < DATE '2000-01-01'", "", false);
    for (int i = 0; i < 2; i++)
        expect_cached("SELECT count(*) FROM generate_series(1, 10)", "10", false);
    snprintf(first, sizeof first, "%s", driver_run("SELECT random() + 0.0"));
    assert_string_not_equal(driver_run("SELECT random() + 0.0"), first);
    for (int i = 0; i < 2; i++) {
        expect_error("SELECT missing FROM t", "0A000", "missing");
        expect_error("SELECT * FROM missing", "42P01", "");
        expect_error("SELECT sum(1 / (id - 5)) FROM t WHERE id = 5", "22012", "");
    }
}

/* More texts than are kept: those used last stay. */
static void test_bounded(void **state)
{
    char sql[64];
    for (int i = 0; i < 300; i++) {
        snprintf(sql, sizeof sql, "SELECT count(*) FROM t WHERE id > %d", 1000 + i);
        expect_cached(sql, "1", false);
        expect_cached(texts[1][0], texts[1][1], i > 0);
    }
    expect_cached("SELECT count(*) FROM t WHERE id > 1299", "1", true);
    expect_cached("SELECT count(*) FROM t WHERE id > 1000", "1", false);
}

/* A deep plan is kept, used and dropped without overrunning the stack of a small thread. */
static void *run_deep(void *argument)
{
    static char sql[64 << 10];
    size_t used = (size_t)snprintf(sql, sizeof sql, "SELECT count(*) FROM t WHERE amount = 0");
    for (int i = 0; i < 600; i++)
        used += (size_t)snprintf(sql + used, sizeof sql - used, " OR amount - 1 = %d", 100 + i);
    for (int i = 0; i < 3; i++)
        expect_cached(sql, "0", i > 0);
    driver_close_early();
    return NULL;
}

static void test_deep(void **state)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstacksize(&attributes, 256 << 10), 0);
    assert_int_equal(pthread_create(&thread, &attributes, run_deep, NULL), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}

/* Counts the rows of a few texts over and over, while the tables become others. */
static void *run_queries(void *argument)
{
    int64_t *failures = argument;
    for (int i = 0; i < 100; i++) {
        struct ArrowArrayStream stream;
        struct ArrowArray batch;
        omen_error error;
        int64_t row_count = 0;
        const char *sql = i % 2 == 0 ? "SELECT id FROM t WHERE id > 5 OR name = 'one'"
                                     : "SELECT a.id FROM t a JOIN t b ON a.id = b.id LIMIT 4";
        if (i % 10 == 0)
            fake_host.generation++;
        omen_status status = driver_start(sql, &stream, &error);
        *failures += status != OMEN_OK;
        while (status == OMEN_OK && stream.get_next(&stream, &batch) == 0 && batch.release != NULL) {
            row_count += batch.length;
            batch.release(&batch);
        }
        if (status == OMEN_OK)
            stream.release(&stream);
        *failures += row_count != 4;
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[2];
    int64_t failures[2] = {0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_queries, &failures[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(failures[i], 0);
    }
    assert_true(driver_counters().plans_cached > 50);
}

/* --- what it saves --- */

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Explains a text `count` times; texts that differ are planned each time. */
static double explain_us(const char *sql, int count, bool differ)
{
    char text[2048];
    double begin = now_us();
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%s -- %d", sql, differ ? i : -1);
        driver_explain(text);
    }
    return (now_us() - begin) / count;
}

static void measure(void)
{
    static const char *const measured[][2] = {
        {"filter and two sums",
         "SELECT sum(amount * id), sum(amount) FROM t WHERE id >= 5 AND id < 60 AND "
         "amount BETWEEN 3 AND 7 AND flag"},
        {"join, group, order",
         "SELECT a.name, sum(b.amount), count(*) FROM t a JOIN t b ON a.id = b.amount JOIN t c ON "
         "c.id = b.id WHERE a.id > 1 AND c.flag GROUP BY a.name ORDER BY 2 DESC, 1 LIMIT 10"},
        {"correlated subquery",
         "SELECT id FROM t o WHERE amount < (SELECT avg(amount) FROM t i WHERE i.flag = o.flag)"},
    };
    driver_open(0, 2);
    for (size_t i = 0; i < sizeof measured / sizeof *measured; i++) {
        const char *sql = measured[i][1];
        explain_us(sql, 20, false);
        double planned = explain_us(sql, 200, true), kept = explain_us(sql, 200, false);
        printf("%-20s planned %6.0f us, kept %6.0f us\n", measured[i][0], planned, kept);
    }
    driver_close();
}

#define WITH_ENGINE(test) cmocka_unit_test_setup_teardown(test, open_engine, close_engine)

int main(int argument_count, char **arguments)
{
    if (driver_load(NULL) == NULL) {
        fprintf(stderr, "skipped: OMENDB_ENGINE names no engine\n");
        return 77;
    }
    if (argument_count > 1 && strcmp(arguments[1], "measure") == 0) {
        measure();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        WITH_ENGINE(test_same_text),       WITH_ENGINE(test_parameters),
        WITH_ENGINE(test_changed_content), WITH_ENGINE(test_other_table),
        WITH_ENGINE(test_nothing_held),    WITH_ENGINE(test_not_kept),
        WITH_ENGINE(test_bounded),         WITH_ENGINE(test_deep),
        WITH_ENGINE(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
