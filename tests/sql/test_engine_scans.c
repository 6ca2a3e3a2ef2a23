/* test_engine_scans.c - the DataFusion engine reads the core's tables: through the index, without
 * copies, from statistics, pruned, at one moment, until it is interrupted. The library is the one
 * that OMENDB_ENGINE names; exit status 77 where there is none.
 */
#include "engine_fixture.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static const char *engine_path;

/* --- access --- */

static void expect_scans(omen_connection *c, const char *sql, const char *answer, int by_index,
                         int by_reading)
{
    omen_counters before = counters_of(c);
    expect(c, sql, answer);
    omen_counters after = counters_of(c);
    int index_scans = (int)(after.engine_index_scans - before.engine_index_scans);
    int scans = (int)(after.engine_scans - before.engine_scans);
    if (index_scans != by_index || scans != by_reading)
        fail_msg("%s: %d scans by index and %d by reading", sql, index_scans, scans);
}

/* A whole key fixed by = or IN is looked up in the index, wherever the scan stands. */
static void test_index_inside_plans(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    expect(c, "CREATE TABLE u (a int, b text, v bigint, PRIMARY KEY (a, b))", "");
    insert_rows(c, "t", 0, 100);
    expect(c, "INSERT INTO u VALUES (1, 'x', 5), (1, 'y', 6), (2, 'x', 7)", "3 rows\n");
    expect_scans(c,
                 "SELECT u.v, t.name FROM u JOIN t ON t.id = u.v WHERE t.id IN (5, 7) "
                 "ORDER BY 1",
                 "5|row 5\n7|row 7\n", 1, 1);
    expect_scans(c, "SELECT count(*) FROM u WHERE v > (SELECT g FROM t WHERE id = 5)", "2\n", 1, 1);
    expect_scans(c,
                 "SELECT t.name FROM t JOIN u ON t.id = u.v WHERE t.id = 6 AND u.a = 1 "
                 "AND u.b = 'y'",
                 "row 6\n", 2, 0);
    expect_scans(c, "SELECT sum(v) FROM u WHERE a IN (1, 2) AND b IN ('x', 'z')", "12\n", 1, 0);
    expect_scans(c, "SELECT count(*) FROM t WHERE id = 5 AND id = 6", "0\n", 0, 0);
    expect_scans(c, "WITH w AS (SELECT * FROM t WHERE id = 9) SELECT count(*), max(name) FROM w",
                 "1|row 9\n", 1, 0);
    /* Half of a key, another column, a value that follows from a row: read. */
    expect_scans(c, "SELECT count(*) FROM u WHERE a = 1", "2\n", 0, 1);
    expect_scans(c, "SELECT count(*) FROM t WHERE g = 5", "10\n", 0, 1);
    expect_scans(c, "SELECT count(*) FROM t WHERE id = g", "10\n", 0, 1);
    fixture_close(&fixture);
}

/* The same answers come by reading, once the engine's scans may not use the index. */
static void test_index_switched_off(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    static const char sql[] = "SELECT count(*), sum(g) FROM t WHERE id IN (5, 7, 5, 700, NULL)";
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(c, "t", 0, 100);
    expect_scans(c, sql, "2|12\n", 1, 0);
    expect(c, "SET enable_indexscan = off", "");
    expect_scans(c, sql, "2|12\n", 0, 1);
    expect_scans(c, "SELECT a.name FROM t a JOIN t b ON a.id = b.g WHERE b.id = 42", "row 2\n", 0,
                 2);
    expect(c, "RESET enable_indexscan", "");
    expect_scans(c, sql, "2|12\n", 1, 0);
    fixture_close(&fixture);
}

/* --- threads and memory --- */

/* Two row groups are read by two partitions, each of which gives rows; few rows by one. */
static void test_parallel_parts(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(c, "t", 0, 1000);
    omen_counters start = counters_of(c);
    expect(c, "SELECT count(*) FROM t WHERE g = 3", "100\n");
    assert_int_equal(counters_of(c).engine_scan_parts - start.engine_scan_parts, 1);
    insert_rows(c, "t", 1000, 2 * 65536 - 1000);
    start = counters_of(c);
    expect(c, "SELECT count(*), min(name), max(name) FROM t WHERE g = 3",
           "13107|row 100003|row 99993\n");
    omen_counters now = counters_of(c);
    assert_int_equal(now.engine_scans - start.engine_scans, 1);
    assert_int_equal(now.engine_scan_parts - start.engine_scan_parts, 2);
    fixture_close(&fixture);
}

/* A sort and a grouping beyond the memory they may have go to disk, and answer the same. */
static void test_spilling(void **state)
{
    enum { ROWS = 2000000 };
    omen_options options;
    omen_options_init(&options);
    options.engine_path = engine_path;
    options.engine_thread_count = 1; /* several sorts at once compete for the little there is */
    options.engine_memory_bytes_max = 16 << 20;
    struct fixture fixture = fixture_open_with(&options);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(c, "t", 0, ROWS);
    assert_int_equal(counters_of(c).spilled_bytes, 0);
    expect(c,
           "SELECT v FROM (SELECT id * 7919 % 2000003 AS v FROM t) x ORDER BY v DESC "
           "OFFSET 1999999",
           "0\n");
    uint64_t sorted = counters_of(c).spilled_bytes;
    assert_true(sorted > 0);
    expect(c,
           "SELECT count(*), sum(n) FROM (SELECT name, count(*) AS n FROM t WHERE id < 800000 "
           "GROUP BY name) x",
           "800000|800000\n");
    assert_true(counters_of(c).spilled_bytes > sorted);
    fixture_close(&fixture);
}

/* --- buffers --- */

struct buffers {
    struct ArrowArrayStream stream;
    struct ArrowArray batches[64];
    int count;
};

static void read_all(omen_connection *c, const char *sql, struct buffers *out)
{
    assert_int_equal(omen_query(c, sql, SIZE_MAX, &out->stream, NULL, NULL), OMEN_OK);
    for (out->count = 0; out->count < 64; out->count++) {
        assert_int_equal(out->stream.get_next(&out->stream, &out->batches[out->count]), 0);
        if (out->batches[out->count].release == NULL)
            return;
    }
    fail_msg("more than 64 batches");
}

static void release_all(struct buffers *buffers)
{
    while (buffers->count > 0) {
        struct ArrowArray *batch = &buffers->batches[--buffers->count];
        batch->release(batch);
    }
    buffers->stream.release(&buffers->stream);
}

/* The batches of `right` whose columns lie where one of `left` has them. */
static int shared_batches(const struct buffers *left, const struct buffers *right)
{
    int shared = 0;
    for (int i = 0; i < right->count; i++)
        for (int j = 0; j < left->count; j++) {
            struct ArrowArray *const *a = left->batches[j].children;
            struct ArrowArray *const *b = right->batches[i].children;
            shared += a[0]->buffers[1] == b[0]->buffers[1] && a[0]->offset == b[0]->offset &&
                      a[1]->buffers[1] == b[1]->buffers[1] && a[1]->offset == b[1]->offset;
        }
    return shared;
}

/* Row groups that nobody changed reach the user as they lie in memory, in every query. */
static void test_groups_not_copied(void **state)
{
    enum { GROUP_BATCHES = 65536 / 8192 };
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    static struct buffers first, second, third;
    static const char sql[] = "SELECT id, name FROM t";
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(c, "t", 0, 4 * 65536);
    read_all(c, sql, &first);
    read_all(c, sql, &second);
    assert_int_equal(first.count, 4 * GROUP_BATCHES);
    assert_int_equal(shared_batches(&first, &second), 4 * GROUP_BATCHES);
    omen_value key = value_bigint(65536);
    assert_int_equal(omen_delete(c, "t", &key, 1, NULL), OMEN_OK);
    read_all(c, sql, &third);
    int shared = shared_batches(&first, &third);
    assert_in_range(shared, 3 * GROUP_BATCHES, 4 * GROUP_BATCHES - 1);
    release_all(&first);
    release_all(&second);
    release_all(&third);
    fixture_close(&fixture);
}

/* --- statistics and pruning --- */

static void expect_plan(omen_connection *c, const char *sql, const char *part, bool present)
{
    char text[512];
    snprintf(text, sizeof text, "EXPLAIN %s", sql);
    const char *plan = run(c, text);
    if ((strstr(plan, part) != NULL) != present)
        fail_msg("%s: \"%s\" is%s in the plan\n%s", sql, part, present ? " not" : "", plan);
}

/* Conditions that are computed first, or of another type than the column, reach the scan. */
static void test_pushed_constants(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, d date, n numeric(10,2), r real)", "");
    static const char *const cases[][2] = {
        {"d <= DATE '1998-12-01' - INTERVAL '90 days'", "[d.0 <= 1998-09-02]"},
        {"d < TIMESTAMP '1998-09-02 12:00:00'", "[d.0 <= 1998-09-02]"},
        {"TIMESTAMPTZ '1998-09-02 12:00:00+00' <= d", "[d.0 > 1998-09-02]"},
        {"n BETWEEN 0.06 - 0.01 AND 0.06 + 0.01", "[n.0 >= 0.05 AND n.0 <= 0.07]"},
        {"id > 2 * 3.0", "[id.0 > 6]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[256];
        snprintf(sql, sizeof sql, "SELECT n FROM t WHERE %s", cases[i][0]);
        expect_plan(c, sql, cases[i][1], true);
        snprintf(sql, sizeof sql, "SELECT max(n) FROM t WHERE %s GROUP BY r", cases[i][0]);
        expect_plan(c, sql, cases[i][1], true);
        snprintf(sql, sizeof sql, "SELECT 1 WHERE 1 = (SELECT count(*) FROM t WHERE %s)",
                 cases[i][0]);
        expect_plan(c, sql, cases[i][1], true);
    }
    expect_plan(c, "SELECT n FROM t WHERE id = 2 + 3", "route: index", true);
    fixture_close(&fixture);
}

/* COUNT, MIN and MAX come from what is known without reading, where that is exact: not with a
 * filter, not with dead rows, not with a group that is still open, never of floats. */
static void test_exact_statistics(void **state)
{
    enum { GROUP_ROWS = 65536 };
    static const char scan[] = "DataSourceExec";
    static const char counts[] = "SELECT count(*), count(name) FROM t";
    static const char ranges[] = "SELECT count(*), min(id), max(id), max(name), min(g) FROM t";
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    expect(c, "CREATE TABLE f (id bigint PRIMARY KEY, x double precision)", "");
    expect(c, "SELECT count(*), min(id) FROM t", "0|null\n");
    insert_rows(c, "t", 0, 2 * GROUP_ROWS);
    expect(c, counts, "131072|131072\n");
    expect(c, ranges, "131072|0|131071|row 99999|0\n");
    expect_plan(c, "SELECT count(*) FROM t", scan, false);
    expect_plan(c, ranges, scan, false);
    expect_plan(c, "SELECT count(*) FROM t WHERE id >= 0", scan, true);
    expect(c, "SELECT count(*), max(id) FROM t WHERE id < 70000", "70000|69999\n");
    expect(c, "SELECT count(*) FROM (SELECT id FROM t LIMIT 5) x", "5\n");
    expect(c, "SELECT count(*), max(id) FROM (SELECT id FROM t WHERE g = 3) x", "13107|131063\n");
    omen_value row[] = {value_bigint(1), value_double(2)};
    assert_int_equal(omen_insert(c, "f", row, 1, NULL), OMEN_OK);
    expect_plan(c, "SELECT max(x) FROM f", scan, true);
    expect_plan(c, "SELECT count(*) FROM f", scan, false); /* all of an open group is visible */
    /* More rows: the third group is open, and has no least and largest value yet. */
    insert_rows(c, "t", 2 * GROUP_ROWS, 10);
    expect(c, ranges, "131082|0|131081|row 99999|0\n");
    expect_plan(c, ranges, scan, true);
    expect_plan(c, "SELECT count(*) FROM t", scan, false);
    /* Dead rows: the ends of all ranges. */
    omen_value first = value_bigint(0), last = value_bigint(131081), third = value_bigint(2);
    const char *column = "name";
    omen_value changed = value_text("zzz");
    assert_int_equal(omen_delete(c, "t", &first, 1, NULL), OMEN_OK);
    assert_int_equal(omen_delete(c, "t", &last, 1, NULL), OMEN_OK);
    assert_int_equal(omen_update(c, "t", &third, 1, &column, &changed, 1, NULL), OMEN_OK);
    expect(c, ranges, "131080|1|131080|zzz|0\n");
    expect_plan(c, "SELECT count(*) FROM t", scan, true);
    assert_int_equal(
        omen_update(c, "t", &third, 1, &column, &(omen_value){.is_null = true}, 1, NULL), OMEN_OK);
    expect(c, counts, "131080|131079\n");
    fixture_close(&fixture);
}

/* What a filter, a join's build side or the best rows so far rule out is not read. */
static void test_pruned_groups(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    expect(c, "CREATE TABLE few (k bigint PRIMARY KEY, v bigint)", "");
    for (int i = 0; i < 8; i++)
        insert_rows(c, "t", i * 65536, 65536);
    omen_value rows[] = {value_bigint(1), value_bigint(200001), value_bigint(2),
                         value_bigint(200005)};
    assert_int_equal(omen_insert(c, "few", rows, 2, NULL), OMEN_OK);
    static const struct {
        const char *sql, *answer;
        uint64_t groups_min;
    } cases[] = {
        {"SELECT count(*) FROM t WHERE id > 500000", "24287\n", 7},
        {"SELECT count(*) FROM t WHERE id BETWEEN 65536 AND 65545 AND g = 6", "1\n", 7},
        {"SELECT t.id, name FROM few JOIN t ON t.id = few.v ORDER BY 1",
         "200001|row 200001\n200005|row 200005\n", 7},
        {"SELECT t.id FROM t WHERE t.id IN (SELECT v FROM few WHERE k = 1)", "200001\n", 7},
        {"SELECT id FROM t ORDER BY id LIMIT 3", "0\n1\n2\n", 5},
        {"SELECT id FROM t ORDER BY id + 0 LIMIT 1", "0\n", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        omen_counters before = counters_of(c);
        expect(c, cases[i].sql, cases[i].answer);
        uint64_t pruned = counters_of(c).groups_pruned - before.groups_pruned;
        if (pruned < cases[i].groups_min || pruned > 8)
            fail_msg("%s: %d groups were pruned", cases[i].sql, (int)pruned);
    }
    fixture_close(&fixture);
}

/* --- moments and interrupts --- */

/* A scan that has begun goes on at its moment; the next one sees what was committed. */
static void test_one_stream_one_moment(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection, *other;
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    assert_int_equal(omen_connect(fixture.database, &other, NULL), OMEN_OK);
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(c, "t", 0, 200000);
    expect(c, "SELECT sum(g), count(*) FROM t", "900000|200000\n");
    assert_int_equal(omen_query(c, "SELECT g FROM t", SIZE_MAX, &stream, NULL, NULL), OMEN_OK);
    int64_t sum = 0, rows = 0;
    for (bool first = true;; first = false) {
        assert_int_equal(stream.get_next(&stream, &batch), 0);
        if (batch.release == NULL)
            break;
        for (int64_t i = 0; i < batch.length; i++)
            sum += ((const int32_t *)batch.children[0]->buffers[1])[i];
        rows += batch.length;
        batch.release(&batch);
        if (!first)
            continue;
        const char *column = "g";
        omen_value changed = value_integer(1000000);
        for (int i = 0; i < 20; i++) {
            omen_value key = value_bigint(i * 9999), deleted = value_bigint(i * 9999 + 1);
            assert_int_equal(omen_update(other, "t", &key, 1, &column, &changed, 1, NULL), OMEN_OK);
            assert_int_equal(omen_delete(other, "t", &deleted, 1, NULL), OMEN_OK);
        }
        insert_rows(other, "t", 200000, 100);
    }
    stream.release(&stream);
    assert_int_equal(sum, 900000);
    assert_int_equal(rows, 200000);
    expect(c, "SELECT sum(g) > 20000000, count(*) FROM t", "t|200080\n");
    omen_disconnect(other);
    fixture_close(&fixture);
}

/* An aggregate computes what was there when its statement began, also if it reads later. */
static void test_aggregate_one_moment(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection, *other;
    struct ArrowArrayStream stream;
    struct ArrowArray batch;
    int64_t sums[2] = {0};
    /* The first branch's rows come before the aggregate of the second has read all. */
    static const char sql[] = "SELECT g::bigint AS x FROM t WHERE id < 20000 "
                              "UNION ALL SELECT sum(g) + 1000000000 FROM t";
    assert_int_equal(omen_connect(fixture.database, &other, NULL), OMEN_OK);
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(c, "t", 0, 200000);
    for (int run = 0; run < 2; run++) {
        assert_int_equal(omen_query(c, sql, SIZE_MAX, &stream, NULL, NULL), OMEN_OK);
        for (bool first = true;; first = false) {
            assert_int_equal(stream.get_next(&stream, &batch), 0);
            if (batch.release == NULL)
                break;
            for (int64_t i = 0; i < batch.length; i++) {
                int64_t x = ((const int64_t *)batch.children[0]->buffers[1])[i];
                sums[run] = x >= 1000000000 ? x - 1000000000 : sums[run];
            }
            batch.release(&batch);
            for (int i = 0; run == 0 && first && i < 50; i++) {
                const char *column = "g";
                omen_value key = value_bigint(199999 - i), changed = value_integer(100000);
                assert_int_equal(omen_update(other, "t", &key, 1, &column, &changed, 1, NULL),
                                 OMEN_OK);
            }
        }
        stream.release(&stream);
    }
    assert_int_equal(sums[0], 900000);
    assert_int_equal(sums[1], 900000 + 50 * 100000 - 5 * 45);
    omen_disconnect(other);
    fixture_close(&fixture);
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

struct interrupter {
    omen_connection *connection;
    double fired_ms;
};

static void *interrupt_soon(void *argument)
{
    struct interrupter *interrupter = argument;
    nanosleep(&(struct timespec){.tv_nsec = 150 * 1000 * 1000}, NULL);
    interrupter->fired_ms = now_ms();
    omen_interrupt(interrupter->connection);
    return NULL;
}

/* Runs a statement that does not end, interrupts it, and gives the time until its caller is back.
 */
static double interrupted_after_ms(omen_connection *c, const char *sql)
{
    struct interrupter interrupter = {.connection = c};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, &interrupter), 0);
    expect(c, sql, "ERROR 57014");
    double back_ms = now_ms();
    pthread_join(thread, NULL);
    return back_ms - interrupter.fired_ms;
}

/* Whatever computes, its caller is back within 100 ms of the interrupt. A machine that has other
 * things to do may hold one try up, not all of them. */
static void test_interrupt_latency(void **state)
{
    static const char *const endless[] = {
        "SELECT sum(a.g + b.g) FROM t a, t b, t c",
        "SELECT * FROM t a, t b ORDER BY a.name, b.name",
        "SELECT count(*) FROM t a JOIN t b ON a.g = b.g JOIN t c ON c.g = b.g",
        "SELECT count(*) FROM t a LEFT JOIN t b ON a.g > b.g AND a.name < b.name AND a.g < 0",
        "SELECT count(*) FROM t a, t b, t c WHERE lpad(a.name, 500) = upper(b.name) || c.name",
        "UPDATE t SET g = (SELECT count(*) FROM t a, t b WHERE a.g + b.g = -1)",
        "INSERT INTO t SELECT a.id + b.id * 1000000 + 1000000, 'x', 1 FROM t a, t b",
    };
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(c, "t", 0, 100000);
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        double quickest_ms = INFINITY;
        for (int tries = 0; tries < 5 && quickest_ms > 100; tries++)
            quickest_ms = fmin(quickest_ms, interrupted_after_ms(c, endless[i]));
        print_message("back %d ms after the interrupt\n", (int)quickest_ms);
        if (quickest_ms > 100)
            fail_msg("%s: back only %d ms after the interrupt", endless[i], (int)quickest_ms);
    }
    expect(c, "SELECT count(*), sum(g) FROM t", "100000|450000\n");
    fixture_close(&fixture);
}

static omen_connection *_Atomic interrupted_connection;

static void on_alarm(int number)
{
    omen_interrupt(interrupted_connection);
}

/* omen_interrupt from a signal handler, while a query runs that would take for ever. The timer
 * repeats, because a signal may come before the statement begins, and is then forgotten. */
static void test_interrupt(void **state)
{
    struct fixture fixture = open_with(engine_path);
    omen_connection *c = fixture.connection;
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART}, old;
    const struct itimerval every = {{0, 50000}, {0, 50000}}, never = {{0, 0}, {0, 0}};
    expect(c, "CREATE TABLE t (id bigint PRIMARY KEY, name text, g int)", "");
    insert_rows(c, "t", 0, 100000);
    interrupted_connection = c;
    assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
    expect(c, "SELECT sum(a.g + b.g + c.g) FROM t a, t b, t c", "ERROR 57014");
    expect(c, "SELECT count(*) FROM t a JOIN t b ON a.g + b.g = -1 JOIN t c ON c.g + b.g = -1",
           "ERROR 57014");
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
    expect(c, "SELECT count(*) FROM t", "100000\n");
    omen_interrupt(c); /* where nothing runs, nothing */
    expect(c, "SELECT count(*) FROM t WHERE g = 1", "10000\n");
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_inside_plans),
        cmocka_unit_test(test_groups_not_copied),
        cmocka_unit_test(test_exact_statistics),
        cmocka_unit_test(test_pruned_groups),
        cmocka_unit_test(test_one_stream_one_moment),
        cmocka_unit_test(test_aggregate_one_moment),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_interrupt_latency),
        cmocka_unit_test(test_pushed_constants),
        cmocka_unit_test(test_index_switched_off),
        cmocka_unit_test(test_parallel_parts),
        cmocka_unit_test(test_spilling),
    };
    engine_path = getenv("OMENDB_ENGINE");
    if (engine_path == NULL || engine_path[0] == '\0')
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
