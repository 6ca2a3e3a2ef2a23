/* SET, RESET and SHOW; DESCRIBE; defaults of columns. */
#include <stdio.h>
#include <string.h>

#include "support.h"

static void test_our_settings(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    expect(c, "SHOW omen.route", "auto\n");
    expect(c, "SET omen.route = engine", "");
    expect(c, "SHOW omen.route", "engine\n");
    expect(c, "SET omen.route TO 'index'", "");
    expect(c, "SET LOCAL omen.route = auto", ""); /* outside a transaction: no effect */
    expect(c, "show OMEN.ROUTE", "index\n");
    expect(c, "SET omen.route TO DEFAULT", "");
    expect(c, "SHOW omen.route", "auto\n");
    expect(c, "SET omen.route = 'somewhere'", "ERROR 22023");
    expect(c, "SHOW enable_indexscan", "on\n");
    expect(c, "SET enable_indexscan = off", "");
    expect(c, "SHOW enable_indexscan", "off\n");
    expect(c, "SET enable_indexscan = perhaps", "ERROR 22023");
    expect(c, "RESET enable_indexscan", "");
    expect(c, "SHOW enable_indexscan", "on\n");
    expect(c, "SET omen.route_strict = on", "");
    expect(c, "SHOW omen.route_strict", "on\n");
    expect(c, "SET omen.route_strict = maybe", "ERROR 22023");
    expect(c, "RESET ALL", "");
    expect(c, "SHOW omen.route_strict", "off\n");
    expect(c, "SHOW synchronous_commit", "on\n");
    expect(c, "SET synchronous_commit = off", "");
    expect(c, "SHOW synchronous_commit", "off\n");
    expect(c, "SET synchronous_commit TO true", "");
    expect(c, "SHOW synchronous_commit", "on\n");
    expect(c, "SET synchronous_commit = remote_apply", "ERROR 0A000");
    expect(c, "SET synchronous_commit = perhaps", "ERROR 22023");
    expect(c, "SET synchronous_commit = off", "");
    expect(c, "RESET synchronous_commit", "");
    expect(c, "SHOW synchronous_commit", "on\n");
    expect(c, "SET omen.nothing = 1", "ERROR 42704");
    assert_string_equal(last_error()->message,
                        "unrecognized configuration parameter \"omen.nothing\"");
    expect(c, "SHOW nothing", "ERROR 42704");
    expect(c, "RESET nothing", "ERROR 42704");
    fixture_close(&fixture);
}

static void test_timeouts(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    static const struct {
        const char *value, *shown;
    } cases[] = {
        {"0", "0\n"},          {"250", "250ms\n"},          {"'5s'", "5s\n"},
        {"'2 min'", "2min\n"}, {"'1.5s'", "1500ms\n"},      {"60000", "1min\n"},
        {"'2h'", "2h\n"},      {"'1d'", "1d\n"},            {"DEFAULT", "0\n"},
        {"-1", NULL},          {"'soon'", NULL},            {"'5 parsecs'", NULL},
        {"3000000000", NULL},  {"9999999999999999", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "SET statement_timeout = %s", cases[i].value);
        expect(c, sql, cases[i].shown != NULL ? "" : "ERROR 22023");
        if (cases[i].shown != NULL)
            expect(c, "SHOW statement_timeout", cases[i].shown);
    }
    fixture_close(&fixture);
}

/* What drivers send when they connect. */
static void test_drivers_settings(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    static const char *const accepted[] = {
        "SET client_encoding TO 'UTF8'", "SET client_encoding = utf8", "SET NAMES 'utf-8'",
        "SET DateStyle = 'ISO'", "SET datestyle TO ISO, MDY", "SET TIME ZONE 'UTC'",
        "SET timezone = 'Etc/UTC'", "SET TIME ZONE LOCAL", "SET TIME ZONE DEFAULT",
        "SET TIME ZONE 0", "SET SESSION TIME ZONE 'utc'", "SET standard_conforming_strings = on",
        "SET search_path TO public", "SET search_path TO \"$user\", public",
        "SET extra_float_digits = 3", "SET client_min_messages TO warning",
        "SET default_transaction_isolation = 'read committed'", "SET TRANSACTION READ ONLY",
        "SET bytea_output = 'hex'",
    };
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
        expect(c, accepted[i], "");
    static const char *const refused[] = {
        "SET client_encoding = 'latin1'", "SET datestyle = 'German'", "SET TIME ZONE 'Europe/Rome'",
        "SET TIME ZONE 2", "SET TIME ZONE INTERVAL '1' HOUR", "SET search_path = other",
        "SET standard_conforming_strings = off",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET default_transaction_isolation = 'serializable'",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        expect(c, refused[i], "ERROR 0A000");
    expect(c, "SHOW client_encoding", "UTF8\n");
    expect(c, "SHOW TIME ZONE", "UTC\n");
    expect(c, "SHOW TRANSACTION ISOLATION LEVEL", "read committed\n");
    expect(c, "SET application_name = 'caf\xC3\xA9 1'", "");
    expect(c, "SHOW application_name", "caf?? 1\n");
    expect(c, "SET server_version = '9'", "ERROR 55000");
    assert_non_null(strstr(run(c, "SHOW ALL"), "omen.route|auto|"));
    assert_true(query_rows(c, "SHOW ALL") > 20);
    fixture_close(&fixture);
}

static void test_describe(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    expect(c, "SHOW TABLES", "");
    expect(c,
           "CREATE TABLE \"Goods\" (id bigint PRIMARY KEY, \"a\"\"b\" varchar(10) DEFAULT 'x, y)' NOT "
           "NULL, price numeric(10,2), c char(3) COLLATE \"C\" DEFAULT ('a'))",
           "");
    expect(c, "CREATE TABLE heap (n int NULL DEFAULT 7)", "");
    expect(c, "SHOW TABLES", "Goods\nheap\n");
    const char *goods = "id|bigint|NO|PRI|null\n"
                        "a\"b|character varying(10)|NO|null|'x, y)'\n"
                        "price|numeric(10,2)|YES|null|null\n"
                        "c|character(3)|YES|null|('a')\n";
    expect(c, "DESCRIBE \"Goods\"", goods);
    expect(c, " ; desc public.\"Goods\" ; ", goods);
    expect(c, "/* heap */ DESCRIBE HEAP", "n|integer|YES|null|7\n");
    expect(c, "DESCRIBE goods", "ERROR 42P01");
    expect(c, "DESCRIBE", "ERROR 42601");
    expect(c, "DESCRIBE heap, heap", "ERROR 42601");
    expect(c, "DESCRIBE 'heap'", "ERROR 42601");
    assert_int_equal(query_rows(c, "DESCRIBE \"Goods\""), 4);
    expect(c, "SHOW CREATE TABLE \"Goods\"",
           "Goods|CREATE TABLE \"Goods\" (\n"
           "  \"id\" bigint,\n"
           "  \"a\"\"b\" character varying(10) DEFAULT 'x, y)' NOT NULL,\n"
           "  \"price\" numeric(10,2),\n"
           "  \"c\" character(3) DEFAULT ('a'),\n"
           "  PRIMARY KEY (\"id\")\n);\n");
    fixture_close(&fixture);
}

static void test_defaults(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    expect(c,
           "CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 5 NOT NULL, b text CONSTRAINT "
           "\"default b\" DEFAULT 'it''s', c numeric(5,2) DEFAULT -1.005, d bool NOT NULL DEFAULT "
           "false, e date DEFAULT date '2024-02-29', f text DEFAULT NULL)",
           "");
    expect(c, "INSERT INTO t (id) VALUES (1)", "1 rows\n");
    expect(c, "INSERT INTO t VALUES (2, DEFAULT, DEFAULT, 3), (3, 4, NULL, DEFAULT)", "2 rows\n");
    expect(c, "INSERT INTO t (id, a) VALUES (4, NULL)", "ERROR 23502");
    expect(c, "SELECT * FROM t WHERE id = 1", "1|5|it's|-1.01|f|2024-02-29|null\n");
    expect(c, "SELECT * FROM t WHERE id = 2", "2|5|it's|3.00|f|2024-02-29|null\n");
    expect(c, "SELECT * FROM t WHERE id = 3", "3|4|null|-1.01|f|2024-02-29|null\n");
    expect(c, "CREATE TABLE x (a int DEFAULT 1 DEFAULT 2)", "ERROR 42601");
    expect(c, "CREATE TABLE x (a int DEFAULT 'abc')", "ERROR 22P02");
    expect(c, "CREATE TABLE x (a int DEFAULT true)", "ERROR 42804");
    expect(c, "CREATE TABLE x (a int, b int DEFAULT a)", "ERROR 0A000");
    expect(c, "CREATE TABLE x (a int DEFAULT nosuch())", "ERROR 42883");
    expect(c, "CREATE TABLE x (a int DEFAULT (SELECT 1))", "ERROR 0A000");
    expect(c, "CREATE TABLE x (a int DEFAULT $1)", "ERROR 42P02");
    expect(c, "SELECT 1 FROM x WHERE a = 1", "ERROR 42P01");
    /* As in PostgreSQL, a constant out of range is found when it is used. */
    expect(c, "CREATE TABLE x (a int PRIMARY KEY, b smallint DEFAULT 70000, c text DEFAULT "
              "upper('x' || 'y'))", "");
    expect(c, "INSERT INTO x VALUES (1)", "ERROR 22003");
    expect(c, "INSERT INTO x VALUES (1, 1)", "1 rows\n");
    expect(c, "SELECT * FROM x WHERE a = 1", "1|1|XY\n");
    fixture_close(&fixture);
}

static void test_drops(void **state)
{
    struct fixture fixture = fixture_open();
    omen_connection *c = fixture.connection;
    for (int i = 0; i < 5; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "CREATE TABLE t%d (a int)", i);
        expect(c, sql, "");
    }
    expect(c, "DROP TABLE t0, nope", "ERROR 42P01");
    expect(c, "SHOW TABLES", "t0\nt1\nt2\nt3\nt4\n");
    expect(c, "DROP TABLE IF EXISTS t0, nope", "");
    expect(c, "DROP TABLE t1, t2 CASCADE", "");
    expect(c, "DROP TABLE public.t3 RESTRICT", "");
    expect(c, "SHOW TABLES", "t4\n");
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_our_settings),     cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_drivers_settings), cmocka_unit_test(test_describe),
        cmocka_unit_test(test_defaults),         cmocka_unit_test(test_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
