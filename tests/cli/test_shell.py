"""The shell as a user types it: arguments, input, output, exit status.

Usage: test_shell.py PATH_TO_OMENDB. Needs no engine.
"""
import os
import subprocess
import sys
import tempfile
import unittest

SHELL = sys.argv.pop(1)
USERS = "CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT, score NUMERIC(5,2));"
ROWS = "INSERT INTO users VALUES (42, 'Ada', 9.50), (43, '', NULL), (44, 'a,\"b\"\nc', -1);"


def run(*arguments, text=""):
    return subprocess.run([SHELL, *arguments], input=text, capture_output=True, text=True, timeout=60)


class Shell(unittest.TestCase):
    def test_table_from_arguments(self):
        done = run("-c", USERS + ROWS, "-c", "SELECT * FROM users WHERE id = 42")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines(), [
            "CREATE TABLE", "INSERT 0 3", " id | name | score", "----+------+-------",
            " 42 | Ada  |  9.50", "(1 row)"])

    def test_csv_tells_null_from_empty(self):
        query = "SELECT name, score, id FROM users WHERE id = 43; SELECT name FROM users WHERE id = 44;"
        done = run("--csv", "-c", USERS + ROWS + query)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, 'name,score,id\n"",,43\nname\n"a,""b""\nc"\n')

    def test_control_characters_do_not_reach_the_terminal(self):
        done = run("-c", "CREATE TABLE t (id INT PRIMARY KEY, s TEXT); INSERT INTO t VALUES (1, E'\\033[2Jx');"
                         "SELECT s FROM t WHERE id = 1")
        self.assertIn("\\x1B[2Jx", done.stdout)
        self.assertNotIn("\033", done.stdout)
        done = run("-c", "CREATE TABLE t (id INT PRIMARY KEY, s TEXT); INSERT INTO t VALUES (1, '\u009bJé');"
                         "SELECT s AS \"a\033[2J\" FROM t WHERE id = 1; SELECT * FROM \"no\033[2J\"")
        self.assertIn("\\x9BJé", done.stdout)
        self.assertIn("a\\x1B[2J", done.stdout)
        self.assertIn("no\\x1B[2J", done.stderr)
        for text in (done.stdout, done.stderr):
            self.assertNotIn("\033", text)
            self.assertNotIn("\u009b", text)

    def test_nothing_to_say(self):
        done = run("-c", "-- only a comment")
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_standard_input_and_file(self):
        text = "-- a comment; with a semicolon\n" + USERS + "\nSELECT 'x' FROM users WHERE id = 1\n"
        script = USERS + ROWS + "SELECT name FROM users WHERE id = 42"
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(script)
            file.flush()
            self.assertIn("Ada", run("-f", file.name).stdout)
        self.assertIn("Ada", run(text=script).stdout)
        self.assertIn("Ada", run("-f", "-", text=script).stdout)
        self.assertIn("CREATE TABLE", run(text=text).stdout)

    def test_first_error_ends_the_run(self):
        done = run("-c", "SELECT * FROM nowhere WHERE id = 1; " + USERS)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")
        self.assertIn("(42P01)", done.stderr)
        self.assertTrue(done.stderr.startswith("ERROR: "), done.stderr)

    def test_duplicate_key_changes_nothing(self):
        done = run("-c", USERS + ROWS, "-c", "INSERT INTO users VALUES (50, 'x', 1), (42, 'y', 2)")
        self.assertEqual(done.returncode, 1)
        self.assertIn("(23505)", done.stderr)

    def test_copy_names_file_line_and_column(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "bad.csv")
            with open(path, "w") as file:
                file.write("id,name,score\n1,a,1.5\n2,b,many\n")
            done = run("-c", USERS, "-c", f"COPY users FROM '{path}' (FORMAT csv, HEADER)")
            self.assertEqual(done.returncode, 1)
            self.assertIn("(22P02)", done.stderr)
            for part in (path, "line 3", "score"):
                self.assertIn(part, done.stderr)

    def test_explain_names_the_route(self):
        done = run("-c", USERS, "-c", "EXPLAIN SELECT * FROM users WHERE id = 42")
        self.assertIn("route: index", done.stdout)

    def test_timer_and_echo(self):
        done = run("--timer", "--echo", "-c", USERS + "SELECT * FROM users WHERE id = 1")
        self.assertIn("route: index", done.stdout)
        self.assertIn("> SELECT * FROM users WHERE id = 1;", done.stdout)

    def test_wrong_arguments(self):
        for arguments in (["--nonsense"], ["-c"], ["-f"]):
            done = run(*arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn("usage:", done.stderr)
        self.assertEqual(run("-f", "/no/such/file.sql").returncode, 1)
        self.assertEqual(run("--help").returncode, 0)
        self.assertRegex(run("--version").stdout, r"^omendb \d+\.\d+\.\d+\n$")

    def test_without_engine_says_so(self):
        environment = dict(os.environ, OMENDB_ENGINE="/no/such/engine.so")
        done = subprocess.run([SHELL, "-c", USERS, "-c", "SELECT count(*) FROM users"],
                              capture_output=True, text=True, env=environment, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("(58000)", done.stderr)
        self.assertIn("/no/such/engine.so", done.stderr)

    def test_long_statement(self):
        rows = ",".join(f"({i}, 'n{i}')" for i in range(3000))
        done = run("--csv", "-c", f"CREATE TABLE t (id INT PRIMARY KEY, s TEXT); INSERT INTO t VALUES {rows};"
                                  f"SELECT s FROM t WHERE id = 2999")
        self.assertEqual(done.stdout, "s\nn2999\n", done.stderr)


if __name__ == "__main__":
    unittest.main()
