/* test_write.c - CREATE TABLE, DROP TABLE, INSERT and COPY: what is taken, refused, undone. */
#define _POSIX_C_SOURCE 200809L
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_create(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (a int2, b int4, c int8, d smallint, e integer, f bigint, g real, "
              "h float4, i float8, j double precision, k numeric(5,2), l decimal(5), m text, "
              "n varchar(3), o char(2), p bytea, q bool, r date, s timestamp, "
              "t timestamp with time zone, u uuid, v varchar, w char, x float(3), y float(30), "
              "z timestamp(6), PRIMARY KEY (a, m))", "");
    struct ArrowSchema schema;
    assert_int_equal(omen_table_schema(c, "t", &schema, NULL), OMEN_OK);
    static const char *const formats[] = {"s", "i", "l", "s", "i", "l", "f", "f", "g", "g",
        "d:5,2", "d:5,0", "vu", "vu", "vu", "vz", "b", "tdD", "tsu:", "tsu:UTC", "w:16", "vu", "vu",
        "f", "g", "tsu:"};
    assert_int_equal(schema.n_children, 26);
    for (int i = 0; i < 26; i++) {
        assert_string_equal(schema.children[i]->format, formats[i]);
        bool key = i == 0 || i == 12;
        assert_int_equal(schema.children[i]->flags, key ? 0 : ARROW_FLAG_NULLABLE);
    }
    schema.release(&schema);
    expect(c, "CREATE TABLE t (a int)", "ERROR 42P07");
    expect(c, "CREATE TABLE IF NOT EXISTS t (a int)", "");
    static const char *const refused[] = {
        "CREATE TEMP TABLE x (a int)", "CREATE UNLOGGED TABLE x (a int)",
        "CREATE TABLE x (a int, EXCLUDE USING gist (a WITH =))", "CREATE TABLE x (a int CHECK (a > 0))",
        "CREATE TABLE x (a int REFERENCES t)", "CREATE TABLE x (a int, CHECK (a > 0))",
        "CREATE TABLE x (a int UNIQUE DEFERRABLE)", "CREATE TABLE x (a int, UNIQUE (a) DEFERRABLE)",
        "CREATE TABLE x (a int UNIQUE NULLS NOT DISTINCT)",
        "CREATE TABLE x (a int, UNIQUE NULLS NOT DISTINCT (a))",
        "CREATE TABLE x (a int, b int, UNIQUE (a) INCLUDE (b))",
        "CREATE TABLE x (a int UNIQUE WITH (fillfactor = 50))",
        "CREATE TABLE x (a int, UNIQUE (a) USING INDEX TABLESPACE pg_default)",
        "CREATE TABLE x (a int, UNIQUE USING INDEX y)", "CREATE UNIQUE INDEX y ON t (a)",
        "CREATE TABLE x (LIKE t)", "CREATE TABLE x () INHERITS (t)", "CREATE TABLE x ()",
        "CREATE TABLE x (a int) PARTITION BY RANGE (a)", "CREATE TABLE x (a serial)",
        "CREATE TABLE x (a int[])", "CREATE TABLE x (a numeric)", "CREATE TABLE x (a json)",
        "CREATE TABLE x (a numeric(39,1))", "CREATE TABLE x (a numeric(3,-1))",
        "CREATE TABLE x (a timestamp(3))", "CREATE TABLE x (a interval)",
        "CREATE TABLE x (a text COLLATE \"de_DE\")", "CREATE TABLE s.x (a int)",
        "CREATE TABLE x (a int GENERATED ALWAYS AS IDENTITY)", "CREATE TABLE x (a int) WITH (fillfactor=10)",
        "CREATE TABLE x (a int PRIMARY KEY DEFERRABLE)",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        expect(c, refused[i], "ERROR 0A000");
    expect(c, "CREATE TABLE x (a nosuchtype)", "ERROR 42704");
    expect(c, "CREATE TABLE x (a numeric(0))", "ERROR 22023");
    expect(c, "CREATE TABLE x (a varchar(0))", "ERROR 22023");
    expect(c, "CREATE TABLE x (a int(3))", "ERROR 42601");
    expect(c, "CREATE TABLE x (a int, a int)", "ERROR 42701");
    expect(c, "CREATE TABLE x (a int PRIMARY KEY, b int PRIMARY KEY)", "ERROR 42P16");
    expect(c, "CREATE TABLE x (a int PRIMARY KEY, PRIMARY KEY (a))", "ERROR 42P16");
    expect(c, "CREATE TABLE x (a int, PRIMARY KEY (b))", "ERROR 42703");
    expect(c, "CREATE TABLE x (a int, PRIMARY KEY (a, a))", "ERROR 42701");
    expect(c, "CREATE TABLE x (a int NULL PRIMARY KEY)", "ERROR 42601");
    expect(c, "CREATE TABLE x (a int NULL NOT NULL)", "ERROR 42601");
    expect(c, "SELECT * FROM x WHERE a = 1", "ERROR 42P01");
    expect(c, "CREATE TABLE x (PRIMARY KEY (a), a text COLLATE \"C\" NULL, b int)", "ERROR 42601");
    expect(c, "CREATE TABLE x (PRIMARY KEY (a), a text COLLATE \"C\", b int)", "");
    expect(c, "DROP TABLE x, nope", "ERROR 42P01");
    expect(c, "SELECT b FROM x WHERE a = ''", "");
    expect(c, "DROP TABLE IF EXISTS x, nope, x CASCADE", "");
    expect(c, "DROP TABLE x", "ERROR 42P01");
    expect(c, "DROP TABLE public.t", "");
    char name[200];
    snprintf(name, sizeof name, "CREATE TABLE a%070d (a int)", 0);
    expect(c, name, "ERROR 42622");
    fixture_close(&fixture);
}

static void test_insert(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, s smallint, n numeric(6,2), d float8, r real, "
              "x text, v varchar(3), b boolean, w date NOT NULL, z timestamptz)", "");
    expect(c, "INSERT INTO t VALUES (1, 2, 3.456, 4.5, 0.1, 'five', 'abc', true, '2024-01-01', "
              "'2024-01-01 00:00:00+01')", "1 rows\n");
    expect(c, "SELECT * FROM t WHERE id = 1",
           "1|2|3.46|4.5|0.1|five|abc|t|2024-01-01|2023-12-31 23:00:00+00\n");
    expect(c, "INSERT INTO t (w, id, x, v, n, d, b) VALUES (timestamp '2024-05-06 07:08:09', 2.5, 42, "
              "7, 5, 5, 'no'), ('2024-01-01', '3', 4.50, true, -0.005, -1, DEFAULT)", "ERROR 22001");
    expect(c, "INSERT INTO t (w, id, x, v, n, d, b) VALUES (timestamp '2024-05-06 07:08:09', 2.5, 42, "
              "7, 5, 5, 'no'), ('2024-01-01', '4', 4.50, NULL, -0.005, -1, DEFAULT)", "2 rows\n");
    expect(c, "SELECT w, id, x, v, n, d, b, s FROM t WHERE id = 3",
           "2024-05-06|3|42|7|5.00|5|f|null\n");
    expect(c, "SELECT w, id, x, v, n, d, b, s FROM t WHERE id = 4",
           "2024-01-01|4|4.50|null|-0.01|-1|null|null\n");
    static const struct {
        const char *values, *expected;
    } errors[] = {
        {"(id, w) VALUES (1, '2024-01-01')", "ERROR 23505"},
        {"(id, w) VALUES (9, '2024-01-01'), (9, '2024-01-01')", "ERROR 23505"},
        {"(id) VALUES (9)", "ERROR 23502"},
        {"(w) VALUES ('2024-01-01')", "ERROR 23502"},
        {"(id, w) VALUES (2147483648, '2024-01-01')", "ERROR 22003"},
        {"(id, w) VALUES (1e10, '2024-01-01')", "ERROR 22003"},
        {"(id, w) VALUES ('x', '2024-01-01')", "ERROR 22P02"},
        {"(id, w) VALUES (true, '2024-01-01')", "ERROR 42804"},
        {"(id, w) VALUES (9, 20240101)", "ERROR 42804"},
        {"(id, w) VALUES (9, '2024-02-30')", "ERROR 22008"},
        {"(id, w, s) VALUES (9, '2024-01-01', 32768)", "ERROR 22003"},
        {"(id, w, n) VALUES (9, '2024-01-01', 9999.995)", "ERROR 22003"},
        {"(id, w, v) VALUES (9, '2024-01-01', 'abcd')", "ERROR 22001"},
        {"(id, w, b) VALUES (9, '2024-01-01', 1)", "ERROR 42804"},
        {"(id, w, r) VALUES (9, '2024-01-01', 1e39)", "ERROR 22003"},
        {"(id, nope) VALUES (9, 1)", "ERROR 42703"},
        {"(id, id) VALUES (9, 1)", "ERROR 42701"},
        {"(id, w) VALUES (9)", "ERROR 42601"},
        {"(id, w) VALUES (9, '2024-01-01', 1)", "ERROR 42601"},
        {"VALUES (1,2,3,4,5,6,7,8,9,10,11)", "ERROR 42601"},
        {"VALUES (1), (1, 2)", "ERROR 42601"},
    };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        char sql[300];
        snprintf(sql, sizeof sql, "INSERT INTO t %s", errors[i].values);
        expect(c, sql, errors[i].expected);
    }
    expect(c, "SELECT id FROM t WHERE id = 9", "");
    expect(c, "INSERT INTO nope VALUES (1)", "ERROR 42P01");
    expect(c, "CREATE TABLE heap (a int, b text)", "");
    expect(c, "INSERT INTO heap DEFAULT VALUES", "1 rows\n");
    expect(c, "INSERT INTO heap VALUES (1), (2)", "2 rows\n");
    fixture_close(&fixture);
}

static void test_insert_prepared(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    omen_statement *statement;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, n numeric(6,2), x text, w date NOT NULL)", "");
    assert_int_equal(omen_prepare(c, "INSERT INTO t (id, w, x, n) VALUES ($1, '2024-01-01', $2, $3), "
                                     "($1::bigint + 1, '2024-01-01', upper($2), $3 * 2)",
                                  SIZE_MAX, &statement, NULL), OMEN_OK);
    const omen_value computed[] = {value_bigint(1), value_text("text"), value_decimal(125, 5, 2)};
    assert_string_equal(run_prepared(statement, computed, 3), "2 rows\n");
    expect(c, "SELECT w, x, n FROM t WHERE id = 2", "2024-01-01|TEXT|2.50\n");
    omen_statement_release(statement);
    assert_int_equal(omen_prepare(c, "INSERT INTO t (id, w, x, n) VALUES ($1, '2024-01-01', $2, $3), "
                                     "($4, $5, 'y', 1)", SIZE_MAX, &statement, NULL), OMEN_OK);
    for (int i = 0; i < 100; i++) {
        omen_value values[] = {value_bigint(100 + i), value_text("text"), value_double(1.25),
                               value_text("  1000 "), value_text("2024-02-29")};
        char key[16];
        snprintf(key, sizeof key, "%d", 1000 + i);
        values[3] = value_text(key);
        assert_string_equal(run_prepared(statement, values, 5), "2 rows\n");
    }
    expect(c, "SELECT w, x, n FROM t WHERE id = 1042", "2024-02-29|y|1.00\n");
    expect(c, "SELECT w, x, n FROM t WHERE id = 142", "2024-01-01|text|1.25\n");
    omen_value bad[] = {value_bigint(INT64_C(1) << 40), value_null(), value_null(), value_integer(1),
                        value_text("2024-02-29")};
    assert_string_equal(run_prepared(statement, bad, 5), "ERROR 22003");
    omen_statement_release(statement);
    fixture_close(&fixture);
}

/* What a run has left for the next is nothing of its rows, whatever became of them. */
static void test_prepared_writes_run_again(void **state)
{
    static char long_text[100001];
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    omen_statement *insert, *update, *delete;
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, x text)", "");
    assert_int_equal(omen_prepare(c, "INSERT INTO t VALUES ($1, $2)", SIZE_MAX, &insert, NULL),
                     OMEN_OK);
    assert_int_equal(
        omen_prepare(c, "UPDATE t SET x = $2 WHERE id = $1", SIZE_MAX, &update, NULL), OMEN_OK);
    assert_int_equal(omen_prepare(c, "DELETE FROM t WHERE id = $1", SIZE_MAX, &delete, NULL),
                     OMEN_OK);
    memset(long_text, 'l', sizeof long_text - 1);
    const omen_value first[] = {value_integer(1), value_text("a text that is not inline")};
    const omen_value second[] = {value_integer(2), value_text(long_text)};
    const omen_value third[] = {value_integer(3), value_null()};
    assert_string_equal(run_prepared(insert, first, 2), "1 rows\n");
    assert_string_equal(run_prepared(insert, first, 2), "ERROR 23505");
    assert_string_equal(run_prepared(insert, second, 2), "1 rows\n");
    assert_string_equal(run_prepared(insert, third, 2), "1 rows\n");
    expect(c, "BEGIN", "");
    assert_string_equal(run_prepared(update, third, 2), "1 rows\n");
    assert_string_equal(run_prepared(delete, first, 1), "1 rows\n");
    assert_string_equal(run_prepared(insert, first, 2), "1 rows\n");
    expect(c, "ROLLBACK", "");
    expect(c, "SELECT x FROM t WHERE id = 1", "a text that is not inline\n");
    const omen_value changed[] = {value_integer(2), value_text("short")};
    assert_string_equal(run_prepared(update, changed, 2), "1 rows\n");
    assert_string_equal(run_prepared(delete, third, 1), "1 rows\n");
    assert_string_equal(run_prepared(delete, third, 1), "");
    assert_string_equal(run_prepared(update, third, 2), "");
    assert_string_equal(run_prepared(update, changed, 2), "1 rows\n");
    assert_string_equal(run_prepared(insert, third, 2), "1 rows\n");
    expect(c, "SELECT x FROM t WHERE id = 1", "a text that is not inline\n");
    expect(c, "SELECT x FROM t WHERE id = 2", "short\n");
    expect(c, "SELECT x FROM t WHERE id = 3", "null\n");
    expect(c, "DROP TABLE t", "");
    assert_string_equal(run_prepared(insert, first, 2), "ERROR 42P01");
    omen_statement_release(insert);
    omen_statement_release(update);
    omen_statement_release(delete);
    fixture_close(&fixture);
}

/* --- COPY --- */

static char path[] = "/tmp/omendb-copy-XXXXXX";

static void write_file(const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const char *copy(omen_connection *connection, const char *options, const char *text)
{
    char sql[300];
    write_file(text);
    snprintf(sql, sizeof sql, "COPY t FROM '%s' %s", path, options);
    return run(connection, sql);
}

static void test_copy(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    close(mkstemp(path));
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, name text, n numeric(5,1) NOT NULL)", "");
    assert_string_equal(copy(c, "(FORMAT csv, HEADER)", "id,name,n\r\n1,Ada,1.25\r\n2,,3\r\n3,\"\",4"),
                        "3 rows\n");
    expect(c, "SELECT * FROM t WHERE id = 1", "1|Ada|1.3\n");
    expect(c, "SELECT * FROM t WHERE id = 2", "2|null|3.0\n");
    expect(c, "SELECT * FROM t WHERE id = 3", "3||4.0\n");
    assert_string_equal(copy(c, "CSV DELIMITER ';' NULL 'NA' QUOTE ''''", "4;NA;1\n5;'a;\n''b';2\n"),
                        "2 rows\n");
    expect(c, "SELECT * FROM t WHERE id = 4", "4|null|1.0\n");
    expect(c, "SELECT * FROM t WHERE id = 5", "5|a;\n'b|2.0\n");
    assert_string_equal(copy(c, "(FORMAT csv, NULL 'NA')", "6,\"NA\",1\n"), "1 rows\n");
    expect(c, "SELECT name FROM t WHERE id = 6", "NA\n");
    assert_string_equal(copy(c, "(FORMAT csv)", ""), "");

    static const struct {
        const char *text, *sqlstate, *where;
    } errors[] = {
        {"10,a,1\nx,b,2\n", "ERROR 22P02", "line 2, column id"},
        {"10,a,1\n11,b,abc\n", "ERROR 22P02", "line 2, column n"},
        {"10,\"a\nb\",1\n11,b,99999\n", "ERROR 22003", "line 3, column n"},
        {"10,a,1\n11,b\n", "ERROR 22P04", "line 2, column n"},
        {"10,a,1\n11,b,2,3\n", "ERROR 22P04", "line 2)"},
        {"10,a,1\n\n", "ERROR 22P04", "line 2, column name"},
        {"10,a,1\n11,\"b,2\n", "ERROR 22P04", "line 2)"},
        {"10,a,1\n11,b,\n", "ERROR 23502", "line 2, column n"},
        {"10,a,1\n11,\xC3,2\n", "ERROR 22021", "line 2, column name"},
        {"10,a,1\n11,b,2\r12,c,3\n", "ERROR 22P04", "line 2)"},
    };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        assert_string_equal(copy(c, "(FORMAT csv)", errors[i].text), errors[i].sqlstate);
        if (strstr(last_error()->message, errors[i].where) == NULL ||
            strstr(last_error()->message, path) == NULL)
            fail_msg("%s does not name %s", last_error()->message, errors[i].where);
        expect(c, "SELECT * FROM t WHERE id = 10", "");
    }
    assert_string_equal(copy(c, "(FORMAT csv)", "20,a,1\n1,b,2\n"), "ERROR 23505");
    expect(c, "SELECT * FROM t WHERE id = 20", "");
    static const char *const refused[] = {"", "(FORMAT text)", "(FORMAT binary)",
                                          "(FORMAT csv, FORCE_NULL (id))",
                                          "(FORMAT csv, DELIMITER 'ab')", "(FORMAT csv, ENCODING 'latin1')"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_string_equal(copy(c, refused[i], "30,a,1\n"), "ERROR 0A000");
    assert_string_equal(copy(c, "(FORMAT csv, DELIMITER '\"')", "30,a,1\n"), "ERROR 22023");
    assert_string_equal(copy(c, "(FORMAT csv, HEADER, HEADER)", "30,a,1\n"), "ERROR 42601");
    expect(c, "COPY t FROM '/nonexistent/x.csv' (FORMAT csv)", "ERROR 58P01");
    expect(c, "COPY t FROM '/tmp' (FORMAT csv)", "ERROR 42809");
    expect(c, "COPY t (id, nope) FROM '/tmp/x' (FORMAT csv)", "ERROR 42703");
    char sql[200];
    write_file("7.5,70\n8,80\n");
    snprintf(sql, sizeof sql, "COPY t (n, id) FROM '%s' (FORMAT csv)", path);
    expect(c, sql, "2 rows\n");
    expect(c, "SELECT * FROM t WHERE id = 70", "70|null|7.5\n");

    omen_database *closed;
    omen_connection *other;
    assert_int_equal(omen_open(NULL, NULL, &closed, NULL), OMEN_OK);
    assert_int_equal(omen_connect(closed, &other, NULL), OMEN_OK);
    expect(other, "CREATE TABLE t (id int)", "");
    expect(other, sql, "ERROR 42501");
    omen_disconnect(other);
    assert_int_equal(omen_close(closed, NULL), OMEN_OK);
    unlink(path);
    fixture_close(&fixture);
}

static void test_copy_headers_and_defaults(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    char sql[200];
    expect(c, "CREATE TABLE t (id int PRIMARY KEY, name text, n numeric(5,1) NOT NULL)", "");
    assert_string_equal(copy(c, "(FORMAT csv, HEADER match)", "id,name,n\n71,a,1\n"), "1 rows\n");
    assert_string_equal(copy(c, "(FORMAT csv, HEADER match)", "id,y,n\n72,a,1\n"), "ERROR 22P04");
    assert_non_null(strstr(last_error()->message, "expected \"name\""));
    assert_string_equal(copy(c, "(FORMAT csv, HEADER match)", "id,name\n72,a\n"), "ERROR 22P04");
    expect(c, "SELECT * FROM t WHERE id = 71", "71|a|1.0\n");
    expect(c, "CREATE TABLE d (id int PRIMARY KEY, a text DEFAULT 'none', b int DEFAULT 1 + 1)", "");
    write_file("1,\n2,x\n");
    snprintf(sql, sizeof sql, "COPY d (id, a) FROM '%s' (FORMAT csv, NULL 'x')", path);
    expect(c, sql, "2 rows\n");
    expect(c, "SELECT * FROM d WHERE id = 1", "1||2\n");
    expect(c, "SELECT * FROM d WHERE id = 2", "2|null|2\n");
    unlink(path);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_insert),
        cmocka_unit_test(test_insert_prepared),
        cmocka_unit_test(test_prepared_writes_run_again),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_copy_headers_and_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
