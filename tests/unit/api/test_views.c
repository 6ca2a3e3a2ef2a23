/* test_views.c - omen_locks and omen_transactions: what sessions hold, wait for and have written,
 * read by another one through omen_scan. No engine.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "os/thread.h"
#include "support.h"

/* A database of t, whose key is (a, b), and u without a key; three connections. */
struct scene {
    struct fixture fixture;
    omen_connection *a, *b, *looker;
};

static struct scene open_scene(void)
{
    struct scene scene = {.fixture = fixture_open_without_engine()};
    scene.a = scene.fixture.connection;
    assert_int_equal(omen_connect(scene.fixture.database, &scene.b, NULL), OMEN_OK);
    assert_int_equal(omen_connect(scene.fixture.database, &scene.looker, NULL), OMEN_OK);
    expect(scene.a, "CREATE TABLE t (a int, b text, v int, PRIMARY KEY (a, b))", "");
    expect(scene.a, "CREATE TABLE u (x int)", "");
    expect(scene.a, "INSERT INTO t VALUES (1, 'x', 10), (2, 'y', 20)", "2 rows\n");
    return scene;
}

static void close_scene(struct scene *scene)
{
    omen_disconnect(scene->b);
    omen_disconnect(scene->looker);
    fixture_close(&scene->fixture);
}

/* --- a view as text --- */

static bool is_valid(const struct ArrowArray *array, int64_t row)
{
    const uint8_t *bits = array->buffers[0];
    return bits == NULL || (bits[row / 8] >> row % 8 & 1) != 0;
}

/* A text lies in its view where it is short, else in a buffer. */
static int print_text(char *out, size_t room, const struct ArrowArray *array, int64_t row)
{
    const uint8_t *view = (const uint8_t *)array->buffers[1] + 16 * row;
    int32_t length, buffer, offset;
    memcpy(&length, view, 4);
    memcpy(&buffer, view + 8, 4);
    memcpy(&offset, view + 12, 4);
    const char *text = length <= 12 ? (const char *)view + 4
                                    : (const char *)array->buffers[2 + buffer] + offset;
    return snprintf(out, room, "%.*s", length, text);
}

static int print_value(char *out, size_t room, char kind, const struct ArrowArray *array,
                       int64_t row)
{
    row += array->offset;
    if (!is_valid(array, row))
        return snprintf(out, room, "null");
    if (kind == 's')
        return print_text(out, room, array, row);
    if (kind == 'b')
        return snprintf(out, room, "%c",
                        "ft"[((const uint8_t *)array->buffers[1])[row / 8] >> row % 8 & 1]);
    return snprintf(out, room, "%lld", (long long)((const int64_t *)array->buffers[1])[row]);
}

/* The rows of a view, values separated by |, rows ended by \n. `columns` are name:kind with kind n
 * (number), b (boolean) or s (text). In a static buffer. */
static const char *look(omen_connection *connection, const char *view, const char *const *columns)
{
    static char out[16384];
    const char *names[16];
    char copies[16][32], kinds[16];
    size_t count = 0, length = 0;
    for (; columns[count] != NULL; count++) {
        size_t name = strlen(columns[count]) - 2;
        snprintf(copies[count], sizeof copies[count], "%.*s", (int)name, columns[count]);
        names[count] = copies[count];
        kinds[count] = columns[count][name + 1];
    }
    const omen_scan_options options = {
        .struct_bytes = sizeof options, .columns = names, .column_count = count};
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    out[0] = '\0';
    assert_int_equal(omen_scan(connection, view, &options, &stream, NULL), OMEN_OK);
    while (stream.get_next(&stream, &array) == 0 && array.release != NULL) {
        for (int64_t row = 0; row < array.length; row++)
            for (size_t i = 0; i < count; i++) {
                length += (size_t)print_value(out + length, sizeof out - length, kinds[i],
                                              array.children[i], row);
                length += (size_t)snprintf(out + length, sizeof out - length, "%c",
                                           i + 1 < count ? '|' : '\n');
                assert_true(length < sizeof out);
            }
        array.release(&array);
    }
    stream.release(&stream);
    return out;
}

static const char *const all_locks[] = {"relation:s", "key:s",       "mode:s",
                                        "granted:b",  "waits_for:s", NULL};

/* What stands in rows of omen_locks; rows come in no order, so each is looked for. */
static void expect_locks(omen_connection *connection, const char *const *rows)
{
    const char *found = look(connection, "omen_locks", all_locks);
    size_t length = 0;
    for (; *rows != NULL; rows++) {
        const char *at = strstr(found, *rows);
        if (at == NULL || (at != found && at[-1] != '\n') || at[strlen(*rows)] != '\n')
            fail_msg("no row %s in\n%s", *rows, found);
        length += strlen(*rows) + 1;
    }
    if (strlen(found) != length)
        fail_msg("more rows than expected:\n%s", found);
}

/* --- tests --- */

static void test_nothing(void **state)
{
    struct scene scene = open_scene();
    assert_string_equal(look(scene.looker, "omen_locks", all_locks), "");
    assert_string_equal(
        look(scene.looker, "omen_transactions", (const char *const[]){"state:s", NULL}), "");
    expect(scene.a, "CREATE TABLE omen_locks (a int)", "ERROR 42P07");
    expect(scene.a, "CREATE TABLE omen_transactions (a int)", "ERROR 42P07");
    expect(scene.a, "INSERT INTO omen_locks (mode) VALUES ('x')", "ERROR 55000");
    close_scene(&scene);
}

static void test_locks_of_a_transaction(void **state)
{
    struct scene scene = open_scene();
    expect(scene.a, "BEGIN", "");
    expect(scene.a, "INSERT INTO t VALUES (-3, 'a, b', 1)", "1 rows\n");
    expect(scene.a, "UPDATE t SET v = 11 WHERE a = 1 AND b = 'x'", "1 rows\n");
    expect(scene.a, "INSERT INTO u VALUES (1)", "1 rows\n");
    expect(scene.a, "CREATE TABLE w (a int)", "");
    expect_locks(scene.looker, (const char *const[]){
                                   "t|null|ACCESS SHARE|t|null",
                                   "t|null|ROW EXCLUSIVE|t|null",
                                   "t|(a, b)=(-3, a, b)|UPDATE|t|null",
                                   "t|(a, b)=(1, x)|NO KEY UPDATE|t|null",
                                   "u|null|ACCESS SHARE|t|null",
                                   "u|null|ROW EXCLUSIVE|t|null",
                                   "w|null|UPDATE|t|null",
                                   NULL,
                               });
    expect(scene.a, "ROLLBACK", "");
    expect_locks(scene.looker, (const char *const[]){NULL});
    close_scene(&scene);
}

/* Unique keys that are given or taken; not those that stay as they are. */
static void test_locks_of_unique_keys(void **state)
{
    static const char *const columns[] = {"key:s", "constraint_name:s", "mode:s", NULL};
    struct scene scene = open_scene();
    expect(scene.a, "CREATE TABLE k (id int PRIMARY KEY, a int UNIQUE, b text, CONSTRAINT \"the b\" UNIQUE (b, a))",
           "");
    expect(scene.a, "INSERT INTO k VALUES (1, 10, 'x'), (2, 20, NULL)", "2 rows\n");
    static const struct {
        const char *sql, *locks;
    } cases[] = {
        {"INSERT INTO k VALUES (3, 30, 'y')",
         "(id)=(3)|k_pkey|UPDATE\n(a)=(30)|k_a_key|UPDATE\n(b, a)=(y, 30)|the b|UPDATE\n"},
        {"INSERT INTO k VALUES (3, 30, NULL)", "(id)=(3)|k_pkey|UPDATE\n(a)=(30)|k_a_key|UPDATE\n"},
        {"DELETE FROM k WHERE id = 1",
         "(id)=(1)|k_pkey|UPDATE\n(a)=(10)|k_a_key|UPDATE\n(b, a)=(x, 10)|the b|UPDATE\n"},
        {"UPDATE k SET b = 'y' WHERE id = 1",
         "(id)=(1)|k_pkey|UPDATE\n(b, a)=(x, 10)|the b|UPDATE\n(b, a)=(y, 10)|the b|UPDATE\n"},
        {"UPDATE k SET b = 'y' WHERE id = 2", "(id)=(2)|k_pkey|UPDATE\n(b, a)=(y, 20)|the b|UPDATE\n"},
        {"UPDATE k SET a = NULL WHERE id = 2", "(id)=(2)|k_pkey|UPDATE\n(a)=(20)|k_a_key|UPDATE\n"},
        {"UPDATE k SET id = 4 WHERE id = 2", "(id)=(2)|k_pkey|UPDATE\n(id)=(4)|k_pkey|UPDATE\n"},
        {"UPDATE k SET a = 10 WHERE id = 1", "(id)=(1)|k_pkey|UPDATE\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect(scene.a, "BEGIN", "");
        expect(scene.a, cases[i].sql, "1 rows\n");
        const char *found = look(scene.looker, "omen_locks", columns);
        size_t rows = 0, wanted = 0;
        for (const char *at = found; *at != '\0'; at = strchr(at, '\n') + 1)
            rows += *at == '(';
        for (const char *at = cases[i].locks; *at != '\0'; at = strchr(at, '\n') + 1, wanted++) {
            char row[64];
            snprintf(row, sizeof row, "%.*s", (int)strcspn(at, "\n") + 1, at);
            if (strstr(found, row) == NULL)
                fail_msg("%s: no %s in\n%s", cases[i].sql, row, found);
        }
        if (rows != wanted)
            fail_msg("%s: more than expected:\n%s", cases[i].sql, found);
        expect(scene.a, "ROLLBACK", "");
    }
    close_scene(&scene);
}

static const char *const shown[] = {"state:s",        "isolation:s", "read_only:b", "rows_written:n",
                                    "snapshot_age:n", "oldest:b",    "locks:n",     "waiting:b",
                                    NULL};

static void expect_transactions(const struct scene *scene, const char *expected)
{
    assert_string_equal(look(scene->looker, "omen_transactions", shown), expected);
}

static void test_states(void **state)
{
    struct scene scene = open_scene();
    expect(scene.a, "BEGIN", "");
    expect_transactions(&scene, "idle|read committed|f|0|null|null|0|f\n");
    expect(scene.a, "UPDATE t SET v = 12 WHERE a = 1 AND b = 'x'", "1 rows\n");
    expect(scene.a, "SAVEPOINT s", "");
    expect(scene.a, "INSERT INTO t VALUES (4, 'z', 1), (5, 'z', 1)", "2 rows\n");
    expect_transactions(&scene, "idle|read committed|f|3|null|null|5|f\n");
    expect(scene.a, "ROLLBACK TO s", "");
    expect_transactions(&scene, "idle|read committed|f|1|null|null|3|f\n");
    expect(scene.a, "INSERT INTO t VALUES (2, 'y', 1)", "ERROR 23505");
    expect_transactions(&scene, "failed|read committed|f|1|null|null|3|f\n");
    expect(scene.a, "SELECT v FROM t WHERE a = 1 AND b = 'x'", "ERROR 25P02");
    expect_transactions(&scene, "failed|read committed|f|1|null|null|3|f\n");
    expect(scene.a, "ROLLBACK", "");
    expect_transactions(&scene, "");
    close_scene(&scene);
}

static void test_snapshots(void **state)
{
    struct scene scene = open_scene();
    expect(scene.a, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "");
    expect_transactions(&scene, "idle|repeatable read|t|0|null|null|0|f\n");
    expect(scene.a, "SELECT v FROM t WHERE a = 1 AND b = 'x'", "10\n");
    expect_transactions(&scene, "idle|repeatable read|t|0|0|t|1|f\n");
    expect(scene.looker, "INSERT INTO u VALUES (1)", "1 rows\n");
    expect(scene.b, "BEGIN ISOLATION LEVEL REPEATABLE READ", "");
    expect(scene.b, "SELECT v FROM t WHERE a = 1 AND b = 'x'", "10\n");
    expect(scene.looker, "INSERT INTO u VALUES (1)", "1 rows\n");
    expect_transactions(&scene, "idle|repeatable read|t|0|2|t|1|f\n"
                                "idle|repeatable read|f|0|1|f|1|f\n");
    expect(scene.a, "COMMIT", "");
    expect_transactions(&scene, "idle|repeatable read|f|0|1|t|1|f\n");
    expect(scene.b, "nonsense", "ERROR 42601");
    expect_transactions(&scene, "failed|repeatable read|f|0|null|null|0|f\n");
    expect(scene.b, "COMMIT", "");
    close_scene(&scene);
}

static int64_t number(omen_connection *connection, const char *view, const char *column)
{
    long long value = -1;
    sscanf(look(connection, view, (const char *const[]){column, NULL}), "%lld", &value);
    return value;
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *update_row(void *context)
{
    expect(context, "UPDATE t SET v = 13 WHERE a = 1 AND b = 'x'", "1 rows\n");
    return NULL;
}

/* Until somebody waits. Gives when, about. */
static int64_t await_waiter(omen_connection *looker)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    while (strstr(look(looker, "omen_locks", all_locks), "|f|") == NULL)
        nanosleep(&pause, NULL);
    return now_us();
}

/* The row of the lock that is waited for. */
static const char *waiting_row(omen_connection *looker)
{
    static char row[256];
    static const char *const columns[] = {"granted:b", "transaction:n",   "relation:s", "key:s",
                                          "mode:s",    "waiting_since:n", "waits_for:s", NULL};
    char *at = strstr(look(looker, "omen_locks", columns), "f|");
    assert_non_null(at);
    snprintf(row, sizeof row, "%.*s", (int)strcspn(at, "\n"), at);
    return row;
}

/* `in_transaction`: or a statement by itself. */
static void check_waiting(bool in_transaction)
{
    struct scene scene = open_scene();
    struct thread thread;
    int64_t before = now_us();
    expect(scene.a, "BEGIN", "");
    int64_t holder = number(scene.looker, "omen_transactions", "transaction:n");
    int64_t began = number(scene.looker, "omen_transactions", "began:n");
    assert_in_range(began, before, now_us());
    expect(scene.a, "UPDATE t SET v = 12 WHERE a = 1 AND b = 'x'", "1 rows\n");
    if (in_transaction)
        expect(scene.b, "BEGIN", "");
    before = now_us();
    assert_true(thread_start(&thread, update_row, scene.b));
    int64_t after = await_waiter(scene.looker);
    long long waiter = 0, since = 0, waits_for = 0;
    assert_int_equal(sscanf(waiting_row(scene.looker),
                            "f|%lld|t|(a, b)=(1, x)|NO KEY UPDATE|%lld|%lld", &waiter, &since,
                            &waits_for),
                     3);
    assert_int_equal(waits_for, holder);
    assert_int_not_equal(waiter, holder);
    assert_in_range(since, before - 1000, after + 1000); /* of two clocks */
    expect_transactions(&scene, in_transaction
                                    ? "idle|read committed|f|1|null|null|3|f\n"
                                      "active|read committed|f|0|null|null|2|t\n"
                                    : "idle|read committed|f|1|null|null|3|f\n"
                                      "active|null|null|null|null|null|1|t\n");
    expect(scene.a, "COMMIT", "");
    thread_join(&thread);
    if (in_transaction) {
        expect_transactions(&scene, "idle|read committed|f|1|null|null|3|f\n");
        expect(scene.b, "COMMIT", "");
    }
    assert_string_equal(look(scene.looker, "omen_locks", all_locks), "");
    expect_transactions(&scene, "");
    close_scene(&scene);
}

static void test_waiting(void **state)
{
    check_waiting(true);
    check_waiting(false);
}

static void test_looking_leaves_no_lock(void **state)
{
    struct scene scene = open_scene();
    expect(scene.a, "BEGIN", "");
    for (int i = 0; i < 3; i++)
        assert_string_equal(look(scene.a, "omen_locks", all_locks), "");
    assert_string_equal(look(scene.a, "omen_transactions", shown),
                        "idle|read committed|f|0|null|null|0|f\n");
    expect(scene.a, "COMMIT", "");
    close_scene(&scene);
}

/* More rows than a row group has. */
static void test_many_locks(void **state)
{
    enum { ROWS = 60000, BATCH = 1000 };
    struct scene scene = open_scene();
    static char sql[BATCH * 24 + 64];
    expect(scene.a, "BEGIN", "");
    for (int first = 0; first < ROWS; first += BATCH) {
        size_t length = (size_t)snprintf(sql, sizeof sql, "INSERT INTO t VALUES ");
        for (int i = first; i < first + BATCH; i++)
            length += (size_t)snprintf(sql + length, sizeof sql - length, "%s(%d, 'k', 0)",
                                       i == first ? "" : ", ", i);
        expect(scene.a, sql, "1000 rows\n");
    }
    const char *column = "key";
    const omen_scan_options options = {
        .struct_bytes = sizeof options, .columns = &column, .column_count = 1};
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    int64_t rows = 0;
    assert_int_equal(omen_scan(scene.looker, "omen_locks", &options, &stream, NULL), OMEN_OK);
    while (stream.get_next(&stream, &array) == 0 && array.release != NULL) {
        rows += array.length;
        array.release(&array);
    }
    stream.release(&stream);
    assert_int_equal(rows, ROWS + 2); /* of the table in two modes */
    expect_transactions(&scene, "idle|read committed|f|60000|null|null|60002|f\n");
    expect(scene.a, "ROLLBACK", "");
    close_scene(&scene);
}

/* Sessions come, work and go while somebody looks. */
struct crowd {
    omen_database *database;
    int key;
};

static void *live(void *context)
{
    const struct crowd *crowd = context;
    char sql[128];
    for (int i = 0; i < 40; i++) {
        omen_connection *connection;
        assert_int_equal(omen_connect(crowd->database, &connection, NULL), OMEN_OK);
        expect(connection, i % 2 == 0 ? "BEGIN" : "BEGIN ISOLATION LEVEL REPEATABLE READ", "");
        snprintf(sql, sizeof sql, "UPDATE t SET v = %d WHERE a = 1 AND b = 'x'", i);
        run(connection, sql);
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, 'w', %d)", crowd->key, i);
        run(connection, sql);
        run(connection, i % 3 == 0 ? "ROLLBACK" : "COMMIT");
        omen_disconnect(connection);
    }
    return NULL;
}

static void test_looking_beside_others(void **state)
{
    enum { OTHERS = 4 };
    struct scene scene = open_scene();
    struct thread threads[OTHERS];
    struct crowd crowds[OTHERS];
    for (int i = 0; i < OTHERS; i++) {
        crowds[i] = (struct crowd){scene.fixture.database, 100 + i};
        assert_true(thread_start(&threads[i], live, &crowds[i]));
    }
    for (int i = 0; i < 100; i++) {
        look(scene.looker, "omen_locks", all_locks);
        look(scene.looker, "omen_transactions", shown);
    }
    for (int i = 0; i < OTHERS; i++)
        thread_join(&threads[i]);
    assert_string_equal(look(scene.looker, "omen_locks", all_locks), "");
    expect_transactions(&scene, "");
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_locks_of_a_transaction),
        cmocka_unit_test(test_locks_of_unique_keys),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_looking_leaves_no_lock),
        cmocka_unit_test(test_many_locks),
        cmocka_unit_test(test_looking_beside_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
