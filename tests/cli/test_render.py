"""Results in each format, on pipes and fitted to terminals. See support.py."""
import csv
import decimal
import io
import json
import os
import unittest

from support import Terminal, main, plain, run

USERS = "CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT, score NUMERIC(5,2));"
ROWS = "INSERT INTO users VALUES (42, 'Ada', 9.50), (43, '', NULL), (44, 'a,\"b\"\nc|<', -1);"
TYPES = """CREATE TABLE t (id INT PRIMARY KEY, b BOOLEAN, s SMALLINT, l BIGINT, r REAL, d DOUBLE PRECISION,
    n NUMERIC(38,10), v VARCHAR(10), c CHAR(3), x BYTEA, dt DATE, ts TIMESTAMP, tz TIMESTAMPTZ, u UUID, z TEXT);
INSERT INTO t VALUES (1, true, -1, 9223372036854775807, 1.5, '1e300', 1234567890123456789012345678.0123456789,
    'v', 'c', '\\x00ff', '2020-02-29', '2020-02-29 12:00:00', '2020-02-29 12:00:00+00',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', E'\\t"\\\\\\001é\u202e'),
    (2, false, 0, 0, 'NaN', '-Infinity', -0.5, '', '', '', NULL, NULL, NULL, NULL, NULL);"""


def one(format_, sql, id_):
    """The text of one row by its key, which the core answers."""
    done = run("--format", format_, "-c", sql, "-c", f"SELECT * FROM {'t' if 'TABLE t ' in sql else 'users'} WHERE id = {id_}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def many(count, width=0):
    rows = ",".join(f"({i}, 'n{i}{'x' * width}')" for i in range(count))
    return f"CREATE TABLE t (id INT PRIMARY KEY, s TEXT); INSERT INTO t VALUES {rows};"


class Formats(unittest.TestCase):
    def test_table(self):
        self.assertEqual(one("table", USERS + ROWS, 42).splitlines(), [
            "CREATE TABLE", "INSERT 0 3",
            "     id | name |        score",
            " bigint | text | numeric(5,2)",
            "--------+------+--------------",
            "     42 | Ada  |         9.50",
            "(1 row)"])
        self.assertIn("     43 |      |         NULL\n", one("table", USERS + ROWS, 43))
        self.assertTrue(one("table", USERS + ROWS, 1).endswith("+--------------\n(0 rows)\n"))

    def test_csv(self):
        self.assertEqual(one("csv", USERS + ROWS, 43), 'id,name,score\n43,"",\n')
        self.assertEqual(one("csv", USERS + ROWS, 1), "id,name,score\n")
        text = one("csv", USERS + ROWS, 44)
        self.assertEqual(list(csv.reader(io.StringIO(text)))[1], ["44", 'a,"b"\nc|<', "-1.00"])
        control = "INSERT INTO users VALUES (1, E'\\033[2J\\r', 0);"
        self.assertEqual(one("csv", USERS + control, 1).split("\n", 1)[1], '1,"\033[2J\r",0.00\n')

    def test_json(self):
        self.assertEqual(one("json", USERS + ROWS, 42), '[{"id":42,"name":"Ada","score":9.50}]\n')
        self.assertEqual(one("json", USERS + ROWS, 1), "[]\n")
        row = json.loads(one("json", TYPES, 1), parse_float=decimal.Decimal)[0]
        self.assertEqual((row["b"], row["s"], row["l"], row["r"]), (True, -1, 9223372036854775807, 1.5))
        self.assertEqual(row["n"], decimal.Decimal("1234567890123456789012345678.0123456789"))
        self.assertEqual(row["d"], decimal.Decimal("1e300"))
        self.assertEqual((row["c"], row["x"], row["dt"]), ("c  ", "\\x00ff", "2020-02-29"))
        self.assertEqual(row["z"], '\t"\\\x01é\u202e')
        text = one("json", TYPES, 2)
        row = json.loads(text)[0]
        self.assertEqual((row["b"], row["r"], row["d"], row["n"], row["v"], row["dt"]),
                         (False, "NaN", "-Infinity", -0.5, "", None))
        self.assertNotIn("\u202e", one("json", TYPES, 1))

    def test_json_keeps_columns_of_one_name_apart(self):
        done = run("--format", "json", "-c", USERS + ROWS + "SELECT id, id, name AS id_2, id FROM users WHERE id = 42")
        self.assertEqual(json.loads(done.stdout), [{"id": 42, "id_3": 42, "id_2": "Ada", "id_4": 42}], done.stderr)

    def test_markdown(self):
        self.assertEqual(one("markdown", USERS + ROWS, 44).splitlines(), [
            "| id | name | score |", "| ---: | --- | ---: |", '| 44 | a,"b"<br>c\\|&lt; | -1.00 |'])
        done = run("--format", "markdown", "-c", USERS + "SELECT id FROM users WHERE id = 1; SELECT name FROM users WHERE id = 1")
        self.assertEqual(done.stdout, "| id |\n| ---: |\n\n| name |\n| --- |\n")

    def test_line(self):
        self.assertTrue(one("line", USERS + ROWS, 43).endswith("   id = 43\n name = \nscore = NULL\n"))

    def test_columns_of_all_types(self):
        header = one("table", TYPES, 1).splitlines()[3]
        self.assertEqual([name.strip() for name in header.split("|")], [
            "integer", "boolean", "smallint", "bigint", "real", "double", "numeric(38,10)", "varchar(10)", "char(3)",
            "bytea", "date", "timestamp", "timestamptz", "uuid", "text"])

    def test_control_characters_do_not_reach_the_terminal(self):
        sql = ("CREATE TABLE t (id INT PRIMARY KEY, s TEXT); INSERT INTO t VALUES (1, E'\\033[2J\u009bJ\u202e\\x7fé');"
               'SELECT s AS "a\033[2J\u2066" FROM t WHERE id = 1')
        for format_ in ("table", "markdown", "line", "json"):
            done = run("--format", format_, "-c", sql)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("é", done.stdout)
            for harmful in "\033\u009b\u202e\u2066\x7f":
                self.assertNotIn(harmful, done.stdout, format_)
        done = run("-c", sql)
        self.assertIn("\\x1B[2J\\x9BJ\\u202E\\x7Fé", done.stdout)

    def test_wide_and_combining_characters_are_measured(self):
        done = run("-c", "CREATE TABLE t (id INT PRIMARY KEY, s TEXT, n INT); INSERT INTO t VALUES (1, '中文e\u0301', 7);"
                         "SELECT s, n FROM t WHERE id = 1")
        self.assertIn("\n s     |       n\n text  | integer\n-------+---------\n 中文e\u0301 |       7\n", done.stdout)


@unittest.skipUnless("OMENDB_ENGINE" in os.environ, "no engine that gives many rows")
class ManyRows(unittest.TestCase):
    def test_every_row_is_printed(self):
        for count in (999, 1000, 1001, 2500):
            done = run("-c", many(count) + "SELECT * FROM t")
            lines = done.stdout.splitlines()
            self.assertEqual((lines[-1], len(lines)), (f"({count} rows)", count + 6), done.stderr)
            self.assertIn(f" {count - 1} | n{count - 1}", lines[-2])
        self.assertEqual(len(run("--csv", "-c", many(2500) + "SELECT * FROM t").stdout.splitlines()), 2501)
        rows = json.loads(run("--format", "json", "-c", many(2500) + "SELECT * FROM t").stdout)
        self.assertEqual((len(rows), rows[7]), (2500, {"id": 7, "s": "n7"}))
        self.assertEqual(run("--format", "line", "-c", many(3) + "SELECT * FROM t").stdout.count("\n\n"), 2)

    def test_large_values_end_the_measuring_early(self):
        rows = ",".join(f"({i}, '{'x' * (150000 if i == 99 else 100000)}')" for i in range(100))
        done = run(text=f"CREATE TABLE t (id INT PRIMARY KEY, s TEXT); INSERT INTO t VALUES {rows}; SELECT * FROM t")
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 106, done.stderr)
        self.assertEqual(len(lines[4]), 100000 + 12)  # the last row came after the widths were chosen
        self.assertEqual(len(lines[-2]), 150000 + 11)

    def test_the_prompt_shows_head_and_tail(self):
        terminal = Terminal()
        self.addCleanup(terminal.close)
        terminal.expect("omendb> ")
        rows = ",".join(f"({i},'n{i}')" for i in range(41))
        terminal.type("CREATE TABLE t (id INT PRIMARY KEY, s TEXT);")
        terminal.type(f"INSERT INTO t VALUES {rows};")
        shown = terminal.type("SELECT * FROM t;")
        self.assertIn("19 | n19\n", shown)
        self.assertIn("21 | n21\n", shown)
        self.assertNotIn("20 | n20\n", shown)
        self.assertIn("(41 rows, 40 shown)", shown)
        self.assertIn("\u2026 | \u2026", shown)
        order = [int(line.split("|")[0]) for line in shown.splitlines() if "| n" in line]
        self.assertEqual(order, [*range(20), *range(21, 41)])
        terminal.type(".rows all")
        self.assertIn("20 | n20\n", terminal.type("SELECT * FROM t;"))
        terminal.type(".rows 5")
        shown = terminal.type("SELECT * FROM t;")
        order = [int(line.split("|")[0]) for line in shown.splitlines() if "| n" in line]
        self.assertEqual(order, [0, 1, 2, 39, 40])
        terminal.type(".rows 1")
        self.assertIn("(41 rows, 1 shown)", terminal.type("SELECT * FROM t;"))


class Fitted(unittest.TestCase):
    def lines(self, columns, sql, *arguments):
        terminal = Terminal(*arguments, "-c", sql, columns=columns)
        self.addCleanup(terminal.close)
        self.assertEqual(terminal.wait(), 0, terminal.text)
        return plain(terminal.text).splitlines()

    def test_long_text_is_cut(self):
        sql = ("CREATE TABLE t (id INT PRIMARY KEY, s TEXT, n BIGINT); INSERT INTO t VALUES (1, '" + "x" * 500 +
               "', 1234567890123456789); SELECT * FROM t WHERE id = 1")
        lines = self.lines(60, sql)
        self.assertEqual(lines[5], "  1 | " + "x" * 30 + "\u2026 | 1234567890123456789")
        self.assertEqual(lines[3], " i\u2026 | text" + " " * 27 + " | " + " " * 13 + "bigint")
        piped = run("-c", sql).stdout
        self.assertIn("x" * 500, piped)

    def test_wide_characters_are_cut_whole(self):
        sql = ("CREATE TABLE t (id INT PRIMARY KEY, s TEXT); INSERT INTO t VALUES (1, '" + "中" * 100 +
               "'); SELECT s FROM t WHERE id = 1")
        for columns in range(20, 30):
            row = self.lines(columns, sql)[5]
            self.assertEqual(row, " " + "中" * ((columns - 3) // 2) + "\u2026")

    def test_columns_in_the_middle_are_left_out(self):
        names = [f"column_{i}" for i in range(40)]
        sql = (f"CREATE TABLE t (id INT PRIMARY KEY, {', '.join(n + ' INT' for n in names)});"
               f"INSERT INTO t VALUES (1, {', '.join(str(1000 + i) for i in range(40))}); SELECT * FROM t WHERE id = 1")
        lines = self.lines(80, sql)
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertIn("1039", lines[5])
        self.assertIn(" \u2026 |", lines[5])
        self.assertRegex(lines[6], r"^\(1 row; 41 columns, \d+ shown\)$")
        self.assertNotIn("\u2026", run("-c", sql).stdout)

    def test_other_formats_are_not_cut(self):
        sql = ("CREATE TABLE t (id INT PRIMARY KEY, s TEXT); INSERT INTO t VALUES (1, E'\\033[2J" + "x" * 200 +
               "'); SELECT s FROM t WHERE id = 1")
        for format_ in ("csv", "json", "line", "markdown"):
            text = "\n".join(self.lines(40, sql, "--format", format_))
            self.assertIn("x" * 200, text)
            self.assertNotIn("\033", text)


if __name__ == "__main__":
    main()
