"""The shell with the real SQL engine: long statements, Ctrl-C, .dump. See support.py."""
import json
import os
import signal
import subprocess
import sys
import unittest

from support import SECONDS, SHELL, Terminal, environment, main, plain, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import postgres

NUMBERS = "CREATE TABLE t (id INT PRIMARY KEY);INSERT INTO t VALUES " + ",".join(f"({i})" for i in range(3000)) + ";"
ENDLESS = "SELECT count(*) FROM t a, t b, t c, t d WHERE a.id + b.id + c.id <> d.id;"


class Engine(unittest.TestCase):
    def test_results_of_the_engine(self):
        done = run("--format", "json", "-c", NUMBERS + "SELECT count(*) AS n, min(id) AS a, sum(1.5) AS s FROM t")
        self.assertEqual(json.loads(done.stdout), [{"n": 3000, "a": 0, "s": 4500.0}], done.stderr)
        self.assertEqual(len(run("--csv", "-c", NUMBERS + "SELECT a.id FROM t a, t b LIMIT 100000").stdout.splitlines()), 100001)

    def test_summary_of_many_columns(self):
        columns = ", ".join(f"c{i} INT" for i in range(105))
        done = run("--csv", "-c", f"CREATE TABLE w ({columns}); INSERT INTO w (c0, c100, c104) VALUES (1, 2, 3), (4, 5, 6); SUMMARIZE w;")
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "column_name,column_type,min,max,unique,avg,std,count,null_percentage", done.stderr)
        self.assertEqual([line.split(",")[0] for line in lines[1:]], [f"c{i}" for i in range(105)])
        for column, low, high in ((0, 1, 4), (100, 2, 5), (104, 3, 6)):
            self.assertEqual(lines[1 + column], f"c{column},integer,{low},{high},2,{(low + high) / 2},2.1213203435596424,2,0.00")
        self.assertEqual(lines[100], "c99,integer,,,0,,,2,100.00")

    def test_a_statement_that_fails_half_way(self):
        for format_ in ("json", "csv", "table"):
            done = run("--format", format_, "-c", NUMBERS, "-c", "SELECT 1 / (a.id - 2999) AS x FROM t a, t b")
            self.assertEqual(done.returncode, 1)
            self.assertIn("(22012)", done.stderr)
            self.assertFalse(done.stdout.endswith(("]\n", "rows)\n")), done.stdout[-100:])

    def test_control_c_cancels_a_long_statement(self):
        terminal = Terminal(columns=200)
        self.addCleanup(terminal.close)
        terminal.expect("omendb> ")
        terminal.type("CREATE TABLE t (id INT PRIMARY KEY);")
        terminal.type("INSERT INTO t VALUES " + ",".join(f"({i})" for i in range(1000)) + ";")
        for _ in range(3):
            terminal.send(ENDLESS.replace("count(*)", "count(*) AS n") + "\r")
            terminal.expect("<> d.id;")
            terminal.expect("\n")
            terminal.send("\x03")
            self.assertIn("(57014)", terminal.expect("omendb> "))
        self.assertIn("1000", terminal.type("SELECT count(*) AS n FROM t;"))
        terminal.send(".quit\r")
        self.assertEqual(terminal.wait(), 0)

    def test_interrupt_ends_a_run(self):
        shell = subprocess.Popen([SHELL, "--keep-going", "--echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, env=environment())
        shell.stdin.write(NUMBERS.encode())
        shell.stdin.flush()
        while shell.stdout.readline() != b"INSERT 0 3000\n":
            pass
        shell.stdin.write((ENDLESS + "SELECT 1;").encode())
        shell.stdin.flush()
        shell.send_signal(signal.SIGINT)
        out, errors = shell.communicate(timeout=SECONDS)
        self.assertEqual(shell.returncode, 130, errors)
        self.assertNotIn(b"SELECT 1", out)


class Dump(unittest.TestCase):
    """Every type, its ends, and texts that need care."""
    TABLES = r"""
        CREATE TABLE everything (id BIGINT, "a""b'c" TEXT DEFAULT 'x''y', r REAL, d DOUBLE PRECISION NOT NULL DEFAULT 1.5,
            n NUMERIC(38,5), b BOOLEAN DEFAULT true, u UUID, y BYTEA, dt DATE, ts TIMESTAMP, tz TIMESTAMPTZ DEFAULT now(),
            v VARCHAR(10) NOT NULL, c CHAR(3), s SMALLINT, i INT, "select" INT, PRIMARY KEY (s, id));
        INSERT INTO everything VALUES
            (-9223372036854775808, E'a''b\\c\n\t\r\x01\x1b[31m\u202e\u0080\u00e9\U0001F600"', 'NaN', 'Infinity',
             -123456789012345678901234567890123.12345, true, '00000000-0000-0000-0000-0000000000ff', '\x01ff00', '0001-01-01',
             '2020-01-01 12:00:00.000001', '1960-02-29 23:59:59.999999', 'va', 'c', -32768, -2147483648, 1),
            (9223372036854775807, '', '-Infinity', 5e-324, 0, false, NULL, '', '9999-12-31', NULL, NULL, '', '', 0, NULL, 2),
            (0, NULL, 1e-45, -1.7976931348623157e308, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '--', NULL, 1, NULL, 3),
            (1, E'two\nlines; \\', 3.4028235e38, -0.0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '$$', NULL, 1, NULL, NULL);
        CREATE TABLE "No Key; --" (x INT, y BYTEA, z TEXT);
        INSERT INTO "No Key; --" SELECT g % 7, CASE WHEN g % 5 = 0 THEN decode('ff', 'hex') END, 'v' || g FROM generate_series(1, 1200) g;
        CREATE TABLE empty (z INT);
        CREATE TABLE pairs (a INT UNIQUE, b TEXT, c INT, CONSTRAINT "the; pair" UNIQUE (c, b));
        INSERT INTO pairs VALUES (2, 'x', NULL), (NULL, 'y', 1), (NULL, 'x', 1);
        CREATE TABLE long (id INT PRIMARY KEY, t TEXT);
        INSERT INTO long SELECT g, repeat('x', 100000) FROM generate_series(1, 8) g;"""

    def dump(self, text, *arguments):
        done = run("--format", "csv", *arguments, text=text + "\n.dump\n")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_the_dump_makes_the_same_dump(self):
        first = self.dump(self.TABLES)
        self.assertEqual(self.dump(first), first)
        self.assertEqual(first.count("INSERT INTO"), 1 + 3 + 1 + 3)
        for harmful in "\x01\x1b\u202e\u0080\r":
            self.assertNotIn(harmful, first)
        rows = "SELECT * FROM everything ORDER BY id; SELECT * FROM \"No Key; --\" ORDER BY z; SELECT * FROM long ORDER BY id"
        self.assertEqual(run("--csv", text=first + rows).stdout, run("--csv", text=self.TABLES + rows).stdout)

    def test_one_table(self):
        for name in ("EMPTY", "empty", '"empty"'):
            done = run(text=f"CREATE TABLE empty (z INT); CREATE TABLE other (z INT);\n.dump {name}\n")
            self.assertTrue(done.stdout.endswith('CREATE TABLE "empty" (\n  "z" integer\n);\n'), done.stdout)
        done = run(text="CREATE TABLE empty (z INT);\n.dump emty\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn('HINT: Perhaps you meant to reference the table "empty".', done.stderr)

    HOSTILE = ['"', '""', '"quoted"', 'a"b', "a'b", "a\nb", "\n", "\r", "\t", "\x01", "\x1b[31mred", "\u202e", "\x7f", "\x80", "\u2028",
               "back\\slash", "\\0041", 'U&"x"', "select", "SELECT", "Upper", "1digit", "$1", "$$", "--", "/*", "a;b", "a.b", " ", "é", "表",
               "\U0001F600", "x" * 63, "\x01" * 63, "é" * 31, "public", "column0", "?", "%s", "{}"]

    def test_names_that_need_care(self):
        """Each as a table with rows, as a column, and in a key: the dump gives all of it again, here and in PostgreSQL."""
        quoted = ['"' + name.replace('"', '""') + '"' for name in self.HOSTILE]
        pairs = list(zip(quoted, reversed(quoted)))
        text = "".join(f"CREATE TABLE {name} (i INT, {other} TEXT, PRIMARY KEY (i, {other}));\n"
                       f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b');\n" for name, other in pairs)
        first = self.dump(text)
        self.assertEqual(self.dump(first), first)
        for harmful in "\x01\x1b\u202e\x7f\x80\u2028\r\t":
            self.assertNotIn(harmful, first)
        ask = "".join(f"SELECT * FROM {name} ORDER BY i;" for name in ("(VALUES (1)) AS v(i)", *quoted)) + "SHOW TABLES;"
        self.assertEqual(run("--format", "json", text=first + ask).stdout, run("--format", "json", text=text + ask).stdout)
        self.assertEqual(run(text=text + ".schema\n").stdout.replace("CREATE TABLE\n", "").count("CREATE TABLE"), len(quoted))
        if postgres.missing():
            self.skipTest(postgres.missing())
        with postgres.Server() as server, postgres.Session(server.conninfo("postgres")) as session:
            result = session.connection.exec_(first.encode())
            self.assertEqual(result.status, postgres.pq.ExecStatus.COMMAND_OK, session.connection.error_message)
            names = session.run("SELECT relname, attname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_attribute a "
                                "ON attrelid = c.oid WHERE nspname = 'public' AND relkind = 'r' AND attnum = 2").rows
            self.assertEqual(sorted((a.decode(), b.decode()) for a, b in names), sorted(zip(self.HOSTILE, reversed(self.HOSTILE))))

    def test_one_table_whose_name_has_quotes(self):
        tables = 'CREATE TABLE """x""" (a INT); CREATE TABLE x (b INT); CREATE TABLE """" (c INT);\n'
        for typed, column in (('"""x"""', "a"), ("x", "b"), ('"x"', "b"), ("X", "b"), ('""""', "c")):
            for command in (".dump", ".schema"):
                self.assertIn(f'  "{column}" integer\n', run(text=tables + f"{command} {typed}\n").stdout, typed)

    def test_defaults_that_need_care(self):
        """Whatever kind of literal a DEFAULT has, and whatever stands around it."""
        defaults = ["'a\x01\\b''c'", "E'a\x01\\\x02\\\\\\n\\'\u202e\\\u202e''x'", "U&'a\x01\\0041\\\\\u2028b'", "U&'a\x01!0041!!\u2028b' UESCAPE '!'",
                    "$q$a\x01'\\$$b$q$", "$$\x1b$$", "'a\x01'\n  'b\\\x02'", "E'a\x01'\n\r'b\\\\\x02'", "'a''\nb\x01'", "'\x01'''",
                    "/* \x1b /* nested */ \x02 */ 'x'", "'x' -- \x1b'\n || 'y'", "'x' -- \x1b\r || 'y'", "'line\nand\ttab'", "('(\x01' || ')')",
                    "CAST('\x01' AS TEXT)", "'plain'"]
        text = "CREATE TABLE t (i INT, " + ",".join(f"c{i} TEXT DEFAULT {default}" for i, default in enumerate(defaults)) + ");\n"
        values = "INSERT INTO t (i) VALUES (1);\nSELECT * FROM t;\n"
        expected = run("--format", "json", text=text + values)
        self.assertEqual((expected.returncode, expected.stderr), (0, ""))
        for command in (".dump\n", ".schema\n"):
            first = run(text=text + command).stdout.removeprefix("CREATE TABLE\n")
            for harmful in "\x01\x02\x1b\u202e\u2028\r":
                self.assertNotIn(harmful, first)
            self.assertEqual(run("--format", "json", text=first + values).stdout, expected.stdout, first)
            self.assertEqual(run(text=first + command).stdout.removeprefix("CREATE TABLE\n"), first)

    def test_values_that_need_care(self):
        """Compared as the database gives them back, not as the dump has them."""
        columns = {
            "TEXT": ["''", "NULL", r"E'\\'", r"E'\\\\n'", "''''", r"E'\x01'", "'NULL'", r"E'\u202e'", "'$$'", "'--'", r"'\'", r"E'a\nb\r\tc'", "' '"],
            "DOUBLE PRECISION": ["-0.0", "'NaN'", "'Infinity'", "'-Infinity'", "5e-324", "1.7976931348623157e308", "0.1", "1e15", "1e-5", "NULL"],
            "REAL": ["-0.0", "'NaN'", "'Infinity'", "'-Infinity'", "1e-45", "3.4028235e38", "0.1", "16777217", "NULL"],
            "DATE": ["'4713-01-01 BC'", "'0001-12-31 BC'", "'0001-01-01'", "'9999-12-31'", "'12345-01-01'", "NULL"],
            "TIMESTAMP": ["'4713-01-01 00:00:00 BC'", "'0044-03-15 12:00:00.000001 BC'", "'1969-12-31 23:59:59.999999'", "'12345-01-01 00:00:00'", "NULL"],
            "TIMESTAMPTZ": ["'0044-03-15 12:00:00+01 BC'", "'2020-01-01 00:00:00-08'", "NULL"],
            "BYTEA": ["''", r"'\x00'", r"'\x27225c00ff'", "NULL"],
            "BOOLEAN": ["true", "false", "NULL"],
            "NUMERIC(38,0)": ["99999999999999999999999999999999999999", "-1", "NULL"],
            "NUMERIC(5,2)": ["-0.00", "0.10", "-999.99", "NULL"],
            "BIGINT": ["-9223372036854775808", "9223372036854775807", "NULL"],
            "CHAR(5)": ["''", "'a'", "'a    '", "NULL"],
            "VARCHAR(5)": ["''", "'a    '", "NULL"],
            "UUID": ["'ffffffff-ffff-ffff-ffff-ffffffffffff'", "NULL"]}
        text = "".join(f"CREATE TABLE t{i} (i INT PRIMARY KEY, v {type_});\nINSERT INTO t{i} VALUES "
                       + ",".join(f"({j}, {value})" for j, value in enumerate(values)) + ";\n" for i, (type_, values) in enumerate(columns.items()))
        first = self.dump(text)
        self.assertEqual(self.dump(first), first)
        ask = "".join(f"SELECT i, v, v IS NULL AS n FROM t{i} ORDER BY i;" for i in range(len(columns)))
        done = run("--format", "json", text=first + ask)
        self.assertEqual(done.stdout, run("--format", "json", text=text + ask).stdout, done.stderr)
        self.assertEqual(done.stdout.count('"n"'), sum(map(len, columns.values())), done.stderr)

    def test_text_with_zeros_is_refused(self):
        for literal in (r"E'a\x00b'", r"U&'a\0000b'", "chr(0)"):
            done = run(text=f"CREATE TABLE t (x TEXT); INSERT INTO t VALUES ({literal});")
            self.assertEqual((done.returncode, "ERROR" in done.stderr), (1, True), literal)

    def test_no_room(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([SHELL, "-c", self.TABLES, "-c", ".dump"], stdout=full, stderr=subprocess.PIPE,
                                  env=environment())
        self.assertEqual(done.returncode, 3, done.stderr)

    @unittest.skipIf(postgres.missing(), postgres.missing())
    def test_postgresql_takes_it(self):
        dump = self.dump(self.TABLES)
        queries = ("SELECT * FROM everything ORDER BY id", 'SELECT * FROM "No Key; --" ORDER BY z', "SELECT * FROM empty",
                   "SELECT * FROM long ORDER BY id")
        with postgres.Server() as server, postgres.Session(server.conninfo("postgres")) as session:
            result = session.connection.exec_(dump.encode())
            self.assertEqual(result.status, postgres.pq.ExecStatus.COMMAND_OK, session.connection.error_message)
            for sql in queries:
                theirs = [[None if value is None else value.decode() for value in row] for row in session.run(sql).rows]
                done = run("--format", "json", text=dump + sql)
                ours = [[None if value is None else {True: "t", False: "f"}[value] if isinstance(value, bool) else value
                         for value in row.values()] for row in json.loads(done.stdout, parse_int=str, parse_float=str)]
                self.assertEqual(ours, theirs, sql)


if __name__ == "__main__":
    main()
