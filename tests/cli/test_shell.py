"""The shell on pipes: arguments, scripts, errors, commands, exit status. See support.py."""
import os
import signal
import subprocess
import tempfile
import unittest

from support import SHELL, SECONDS, environment, main, run

USERS = "CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT, score NUMERIC(5,2));"
ROWS = "INSERT INTO users VALUES (42, 'Ada', 9.50), (43, '', NULL), (44, 'a,\"b\"\nc', -1);"
QUERY = "SELECT name FROM users WHERE id = 42;"


def script(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return path


class Arguments(unittest.TestCase):
    def test_tasks_run_in_order(self):
        with tempfile.TemporaryDirectory() as folder:
            path = script(folder, "rows.sql", ROWS)
            done = run("-c", USERS, "-f", path, "--csv", "-c", QUERY)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "name\nAda\n", ""))

    def test_format_is_named_in_three_ways(self):
        for arguments in (["--csv"], ["--format", "csv"], ["--format=csv"]):
            self.assertEqual(run(*arguments, "-c", USERS + ROWS + QUERY).stdout, "name\nAda\n")

    def test_wrong_arguments(self):
        wrong = {("--nonsense",): "--nonsense", ("-c",): "-c", ("-f",): "-f", ("--format",): "--format",
                 ("--format", "xml"): "markdown", ("--csv=1",): "no value", ("a", "b"): "one directory",
                 ("--formt", "csv"): "did you mean --format", ("--json",): "did you mean --format json",
                 ("-x",): "-x", ("--a\033[2J",): "\\x1B[2J"}
        for arguments, hint in wrong.items():
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertIn(hint, done.stderr)
            self.assertIn("--help", done.stderr)

    def test_help_and_version(self):
        done = run("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for option in ("-c", "-f", "--format", "--csv", "--keep-going", "--timer", "--echo", "141"):
            self.assertIn(option, done.stdout)
        self.assertRegex(run("--version").stdout, r"^omendb \d+\.\d+\.\d+\n$")

    def test_directory_is_opened_or_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            database = os.path.join(folder, "my data")
            self.assertEqual(run(database, "-c", USERS + ROWS).returncode, 0)
            self.assertIn("Ada", run(database, "-c", "SELECT * FROM users WHERE id = 42").stdout)
            self.assertEqual(os.stat(database).st_mode & 0o777, 0o700)
            open(os.path.join(folder, "letter"), "w").close()
            done = run(folder, "-c", USERS)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, r"^ERROR: .* is not a database: .* \(42809\)\n$")
            self.assertEqual((run("verify", database).returncode, run("verify", folder).returncode), (0, 1))
            self.assertTrue(run("verify", database).stdout.endswith("\n0 faults\n"))
            with open(os.path.join(database, "manifest"), "r+b") as manifest:
                manifest.seek(70)
                manifest.write(b"x")
            done = run("verify", database)
            self.assertEqual((done.returncode, done.stderr), (1, ""))
            self.assertRegex(done.stdout, r"^fault in manifest: .* \(XX001\)\n1 faults\n$")
        self.assertIn("-c", run("select 1").stderr)
        self.assertFalse(os.path.exists("select 1"))
        self.assertIn("-f", run(__file__).stderr)


class Scripts(unittest.TestCase):
    def test_standard_input_and_file(self):
        text = "-- a comment; with a semicolon\n" + USERS + "\nSELECT 'x' FROM users WHERE id = 1\n"
        whole = USERS + ROWS + QUERY
        with tempfile.TemporaryDirectory() as folder:
            self.assertIn("Ada", run("-f", script(folder, "a.sql", whole)).stdout)
            marked = script(folder, "b.sql", b"\xef\xbb\xbf" + whole.replace(";", ";\r\n").encode())
            self.assertIn("Ada", run("-f", marked).stdout)
        self.assertIn("Ada", run(text=whole).stdout)
        self.assertIn("Ada", run("-f", "-", text=whole).stdout)
        self.assertIn("CREATE TABLE", run(text=text).stdout)

    def test_nothing_to_say(self):
        for text in ("", ";", " ; ;\n", "-- only a comment", "/* a */ ; -- b\n", "/* a /* nested */ */"):
            done = run(text=text)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""), text)

    def test_quotes_and_comments_hide_semicolons(self):
        done = run("--csv", text=USERS + "INSERT INTO users VALUES (1, 'a;b', 1), (2, $x$;'$x$, 2), (3, E'\\';', 3);"
                   "/* ; ' */ SELECT name FROM users WHERE id = 1; -- ; '\n"
                   "SELECT name AS \"x;y\" FROM users WHERE id = 2; SELECT name FROM users WHERE id = 3")
        self.assertEqual(done.stdout, "name\na;b\nx;y\n;'\nname\n';\n", done.stderr)

    def test_warnings(self):
        done = run("-c", "COMMIT; BEGIN; BEGIN; CREATE TABLE a (id int); COMMIT; ROLLBACK; SELECT 1 AS one")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr, "WARNING: there is no transaction in progress (25P01)\n"
                         "WARNING: there is already a transaction in progress (25001)\n"
                         "WARNING: there is no transaction in progress (25P01)\n")

    def test_first_error_ends_the_run(self):
        done = run("-c", "SELECT * FROM nowhere WHERE id = 1; " + USERS, "-c", USERS)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertTrue(done.stderr.startswith("ERROR: "), done.stderr)
        self.assertIn("(42P01)", done.stderr)

    def test_keep_going(self):
        text = "nonsense;" + USERS + ROWS + ".nonsense\nalso nonsense;" + QUERY
        done = run("--keep-going", "--csv", text=text)
        self.assertEqual((done.returncode, done.stdout), (1, "name\nAda\n"))
        self.assertEqual(done.stderr.count("ERROR: "), 3, done.stderr)

    def test_answers_come_while_the_input_is_open(self):
        shell = subprocess.Popen([SHELL, "--csv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 env=environment())
        shell.stdin.write((USERS + ROWS + QUERY).encode())
        shell.stdin.flush()
        self.assertEqual(shell.stdout.readline() + shell.stdout.readline(), b"name\nAda\n")
        shell.stdin.write(b".mode json\n" + QUERY.encode())
        shell.stdin.flush()
        self.assertEqual(shell.stdout.readline(), b'[{"name":"Ada"}]\n')
        shell.communicate(timeout=SECONDS)
        self.assertEqual(shell.returncode, 0)

    def test_long_statement_and_many_statements(self):
        rows = ",".join(f"({i}, 'n;{i}')" for i in range(30000))
        create = "CREATE TABLE t (id INT PRIMARY KEY, s TEXT);"
        done = run("--csv", text=f"{create}INSERT INTO t VALUES {rows}; SELECT s FROM t WHERE id = 29999")
        self.assertEqual((done.stdout, done.stderr), ("s\nn;29999\n", ""))
        inserts = "\n".join(f"INSERT INTO t VALUES ({i}, 'n');" for i in range(5000))
        done = run("--csv", text=f"{create}{inserts}SELECT s FROM t WHERE id = 4999")
        self.assertEqual((done.stdout, done.stderr), ("s\nn\n", ""))

    def test_statement_over_the_limit(self):
        done = run("--keep-going", text="SELECT '" + "x" * (17 << 20) + "';" + USERS)
        self.assertIn("(54000)", done.stderr)
        self.assertEqual((done.returncode, done.stdout), (1, "CREATE TABLE\n"))
        self.assertLess(len(done.stderr), 1000)
        done = run(text="SELECT '" + "x" * (33 << 20))
        self.assertIn("(54000)", done.stderr)
        self.assertEqual((done.returncode, done.stdout), (1, ""))

    def test_broken_utf8(self):
        done = run(text=USERS.encode() + b"\nSELECT '\xff\xfe' FROM users;\nSELECT 1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("(22021)\nLINE 2: SELECT '\\xFF\\xFE' FROM users\n                ^\n", done.stderr)
        self.assertIn("(22021)", run(text=b"SELECT 'a\0b';").stderr)

    def test_files_that_cannot_be_read(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, state in ((folder, "58030"), (folder + "/none.sql", "58P01")):
                for arguments in (["-f", name], ["-c", f".read {name}"]):
                    done = run(*arguments)
                    self.assertEqual((done.returncode, done.stdout), (1, ""))
                    self.assertIn(f"({state})", done.stderr)
                    self.assertIn(name, done.stderr)

    def test_interrupt_ends_a_run(self):
        shell = subprocess.Popen([SHELL, "--keep-going"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, env=environment())
        shell.stdin.write(USERS.encode())
        shell.stdin.flush()
        self.assertEqual(shell.stdout.readline(), b"CREATE TABLE\n")
        shell.send_signal(signal.SIGINT)
        self.assertEqual(shell.wait(SECONDS), 130)
        self.assertIn(b"(57014)", shell.stderr.read())
        for file in (shell.stdin, shell.stdout, shell.stderr):
            file.close()


class Output(unittest.TestCase):
    def test_full_device(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([SHELL, "-c", USERS + ROWS + QUERY], stdout=full, stderr=subprocess.PIPE,
                                  env=environment(), timeout=SECONDS)
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stderr, b"ERROR: could not write to standard output: No space left on device (53100)\n")

    def test_closed_pipe_is_quiet(self):
        reading, writing = os.pipe()
        os.close(reading)
        for arguments in (["--csv", "-c", USERS + ROWS + QUERY], ["--help"]):
            done = subprocess.run([SHELL, *arguments], stdout=writing, stderr=subprocess.PIPE,
                                  env=environment(), timeout=SECONDS)
            self.assertEqual((done.returncode, done.stderr), (141, b""))
        os.close(writing)

    def test_closed_pipe_ends_an_endless_result(self):
        if "OMENDB_ENGINE" not in os.environ:
            self.skipTest("no engine")
        rows = ",".join(f"({i}, '{'x' * 100}')" for i in range(20000))
        shell = subprocess.Popen([SHELL, "--csv", "--keep-going"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, env=environment())
        shell.stdin.write(f"CREATE TABLE t (id INT PRIMARY KEY, s TEXT); INSERT INTO t VALUES {rows};"
                          "SELECT * FROM t;".encode())
        shell.stdin.flush()
        self.assertEqual(shell.stdout.readline(), b"id,s\n")
        shell.stdout.close()
        self.assertEqual(shell.wait(SECONDS), 141)  # its input is still open
        self.assertEqual(shell.stderr.read(), b"")
        shell.stdin.close()
        shell.stderr.close()

    def test_programs_get_rows_only(self):
        for format_, expected in (("csv", "name\nAda\n"), ("json", '[{"name":"Ada"}]\n')):
            done = run("--format", format_, "--timer", "--echo", "-c", USERS + ROWS + QUERY)
            self.assertEqual(done.stdout, expected)
            self.assertIn("route: index", done.stderr)
            self.assertIn("> " + QUERY, done.stderr)

    def test_timer_and_echo(self):
        done = run("--timer", "--echo", "-c", USERS + "SELECT * FROM users WHERE id = 1")
        self.assertRegex(done.stdout, r"-- time: [\d.]+ (us|ms|s) .*route: index")
        self.assertIn("> SELECT * FROM users WHERE id = 1;", done.stdout)
        self.assertEqual(done.stderr, "")


class Errors(unittest.TestCase):
    def caret(self, sql, *arguments):
        """The message, the line that was shown, and the text from the character over the caret on."""
        done = run(*(arguments or ("-c", USERS + ROWS, "-c", sql)))
        self.assertEqual(done.returncode, 1)
        message, line, caret = done.stderr.splitlines()[:3]  # a hint may follow
        self.assertEqual(caret.strip(), "^")
        return message, line, len(caret) - 1

    def test_caret_is_under_the_character(self):
        message, line, columns = self.caret("SELECT * FRO users")
        self.assertEqual(message, 'ERROR: syntax error at or near "FRO" (42601)')
        self.assertEqual((line, line[columns:]), ("LINE 1: SELECT * FRO users", "FRO users"))

    def test_line_of_a_long_statement(self):
        _, line, columns = self.caret("SELECT id,\r\n  name,\r\n\tnone FROM users\r\nWHERE id = 42")
        self.assertEqual((line[:8], line[columns:]), ("LINE 3: ", "none FROM users"))

    def test_tabs_wide_and_combining_characters(self):
        _, line, columns = self.caret("SELECT \t* FROM\t\"中文e\u0301\" WHERE\tWHERE id = 42")
        shown = line[:line.rindex("WHERE")]
        # two columns for each of the two wide characters, none for the accent
        self.assertEqual(columns, len(shown) + 2 - 1)

    def test_end_of_the_text(self):
        _, line, columns = self.caret("SELECT * FROM\n\n ;")
        self.assertEqual((line, columns), ("LINE 1: SELECT * FROM", len(line)))

    def test_long_line_is_cut_around_the_caret(self):
        _, line, columns = self.caret("SELECT id, " + "name, " * 10000 + "none none, " + "name, " * 10000 +
                                      "id FROM users WHERE id = 42")
        self.assertLess(len(line), 90)
        self.assertTrue(line[columns:].startswith("none"), line)
        self.assertTrue(line.startswith("LINE 1: \u2026") and line.endswith("\u2026"), line)

    def test_hints(self):
        tables = 'CREATE TABLE flights (id INT PRIMARY KEY, origin TEXT, "Carrier" TEXT); CREATE TABLE weather (origin TEXT);'
        for sql, hint in (
                ("SELECT orgin FROM flights", 'Perhaps you meant to reference the column "flights.origin".'),
                ("SELECT f.orgin FROM flights f", 'Perhaps you meant to reference the column "f.origin".'),
                ("SELECT origni FROM flights, weather",
                 'Perhaps you meant to reference the column "flights.origin" or the column "weather.origin".'),
                ("SELECT Carrier FROM flights", 'Perhaps you meant to reference the column "flights.Carrier". '
                                                "Names with capital letters stand in double quotes."),
                ("SELECT flights.id FROM flights f", 'Perhaps you meant to reference the table alias "f".'),
                ("SELECT * FROM flihgts", 'Perhaps you meant to reference the table "flights".'),
                ("SELECT * FROM FLIHGTS", 'Perhaps you meant to reference the table "flights".'),
                ("SELECT * FROM public.flihgts", 'Perhaps you meant to reference the table "flights".'),
                ("DROP TABLE fligths", 'Perhaps you meant to reference the table "flights".'),
                ("DESCRIBE wether", 'Perhaps you meant to reference the table "weather".'),
                ("INSERT INTO flights (id, orign) VALUES (1, 'x')", 'Perhaps you meant to reference the column "origin".'),
                ("UPDATE flights SET orign = 'x'", 'Perhaps you meant to reference the column "origin".'),
                ("SELECT lowre('x')", 'Perhaps you meant to reference the function "lower".'),
                ("SELECT avgg(id) FROM flights", 'Perhaps you meant to reference the function "avg".'),
                ("SELECT lower(1, 2)", "No function matches the given name and argument types. "
                                       "You might need to add explicit type casts."),
                ("SELECT 1 + 'x'::text", "No operator matches the given name and argument types. "
                                         "You might need to add explicit type casts."),
                ("SET statment_timeout = 0", 'Perhaps you meant to reference the parameter "statement_timeout".'),
                ("SHOW timezon", 'Perhaps you meant to reference the parameter "timezone".'),
                ("SELECT entirely_else FROM flights", None), ("SELECT * FROM nothing_like_it", None)):
            lines = run("-c", tables, "-c", sql).stderr.splitlines()
            found = [line for line in lines if line.startswith("HINT")]
            self.assertEqual(found, [] if hint is None else ["HINT: " + hint], sql)
            self.assertEqual(lines[-1].startswith("HINT"), hint is not None, sql)

    def test_hostile_names_in_hints(self):
        name = "a\x1b[31m\n\u202eb"
        lines = run("-c", f'CREATE TABLE "{name}" (id INT);', "-c", f'SELECT * FROM "{name}c"').stderr.splitlines()
        self.assertEqual(lines[-1], 'HINT: Perhaps you meant to reference the table "a\\x1B[31m \\u202Eb".')

    def test_file_and_line(self):
        with tempfile.TemporaryDirectory() as folder:
            path = script(folder, "a.sql", USERS + "\n-- comment\n\nSELECT *\nFROM none\nWHERE id = 1;\n" + USERS)
            _, line, columns = self.caret("", "-f", path)
            self.assertEqual((line, line[columns:]), (f"{path}:5: FROM none", "none"))
            outer = script(folder, "b.sql", f"\n.read {path}\n")
            self.assertIn(f"{path}:5: FROM none", run("-f", outer).stderr)
            # a failure without a position names the statement's first line
            twice = script(folder, "c.sql", USERS + ROWS + "\n-- comment\n\n" + ROWS)
            self.assertIn(f"(23505)\n{twice}:5: INSERT INTO users", run("-f", twice).stderr)

    def test_control_characters_do_not_reach_the_terminal(self):
        done = run("-c", "SELECT * FROM \"no\033[2J\" WHERE id = 1")
        self.assertIn("no\\x1B[2J", done.stderr)
        self.assertNotIn("\033", done.stderr)
        done = run("-c", "SELECT '\u202eabc' FRO \u009bJ")
        self.assertIn("\\u202Eabc", done.stderr)
        for harmful in "\u202e\u009b":
            self.assertNotIn(harmful, done.stderr)

    def test_duplicate_key_changes_nothing(self):
        done = run("--keep-going", "--csv", "-c", USERS + ROWS, "-c",
                   "INSERT INTO users VALUES (50, 'x', 1), (42, 'y', 2); SELECT name FROM users WHERE id = 50")
        self.assertEqual((done.returncode, done.stdout), (1, "name\n"))
        self.assertIn("(23505)", done.stderr)

    def test_copy_names_file_line_and_column(self):
        with tempfile.TemporaryDirectory() as folder:
            path = script(folder, "bad.csv", "id,name,score\n1,a,1.5\n2,b,many\n")
            done = run("-c", USERS, "-c", f"COPY users FROM '{path}' (FORMAT csv, HEADER)")
            self.assertEqual(done.returncode, 1)
            self.assertIn("(22P02)", done.stderr)
            for part in (path, "line 3", "score"):
                self.assertIn(part, done.stderr)

    def test_without_engine_says_so(self):
        done = run("-c", USERS, "-c", "SELECT count(*) FROM users",
                   env=environment(OMENDB_ENGINE="/no/such/engine.so"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("(58000)", done.stderr)
        self.assertIn("/no/such/engine.so", done.stderr)


class Commands(unittest.TestCase):
    def test_mode(self):
        done = run(text=USERS + ROWS + f"\n.mode json\n{QUERY}\n.mode csv;\n.mode\n-- before a command\n  \t.mode line\n{QUERY}")
        self.assertEqual(done.stdout, 'CREATE TABLE\nINSERT 0 3\n[{"name":"Ada"}]\ncsv\nname = Ada\n'.replace(
            "csv\nname", "csv\n\nname"))

    def test_dots_within_a_statement_are_not_commands(self):
        done = run("--csv", text=USERS + ROWS + "SELECT users\n.name FROM users WHERE id\n= 42")
        self.assertEqual(done.stdout, "name\nAda\n", done.stderr)

    def test_timer(self):
        done = run(text=USERS + f"\n.timer on\n{QUERY}\n.timer off\n{QUERY}")
        self.assertEqual(done.stdout.count("route: index"), 1)
        self.assertIn("(22023)", run("-c", ".timer maybe").stderr)

    def test_read(self):
        with tempfile.TemporaryDirectory() as folder:
            script(folder, "inner file.sql", ROWS)
            outer = script(folder, "outer.sql", USERS + "\n.read 'inner file.sql'\n.mode csv\n" + QUERY)
            done = run("-c", f".read {outer}", cwd=folder)
            self.assertEqual(done.stdout, "CREATE TABLE\nINSERT 0 3\nname\nAda\n", done.stderr)
            loop = script(folder, "loop.sql", ".read loop.sql")
            done = run("-f", loop, cwd=folder)
            self.assertEqual(done.returncode, 1)
            self.assertIn("(54000)", done.stderr)
            self.assertEqual(run("-c", ".read").returncode, 1)

    def test_quit_ends_everything(self):
        for word in (".quit", ".exit", "\\q", ".quit;"):
            done = run("-c", f"{USERS}{word}\n{ROWS}", "-c", ROWS)
            self.assertEqual((done.returncode, done.stdout), (0, "CREATE TABLE\n"), word)

    def test_help(self):
        for word in (".help", "\\?"):
            done = run("-c", word)
            for name in (".tables", ".schema", ".mode", ".timer", ".read", ".help", ".quit"):
                self.assertIn(name, done.stdout)

    def test_unknown_commands(self):
        for line, hint in ((".tabels", "did you mean .tables"), (".", ".help"), (".mode xml", "markdown"),
                           ("\\copy x", ".help"), (".rows -1", ".rows"), (".x\033[2J", "\\x1B")):
            done = run("-c", line)
            self.assertEqual((done.returncode, done.stdout), (1, ""), line)
            self.assertRegex(done.stderr, r"^ERROR: .*\((42601|22023)\)\n")
            self.assertIn(hint, done.stderr)
            self.assertNotIn("\033", done.stderr)
        self.assertIn("LINE 2: .tabels", run(text="\n.tabels").stderr)

    def test_tables(self):
        for word in (".tables", "\\dt", "\\d"):
            done = run("--csv", "-c", USERS, "-c", word)
            self.assertEqual(done.stdout, "name\nusers\n", done.stderr)

    def test_schema(self):
        odd = 'CREATE TABLE "Odd ""name" (id BIGINT PRIMARY KEY);'
        for name in ("users", "Users", '"users"', ""):
            done = run("-c", USERS, "-c", f".schema {name}")
            self.assertRegex(done.stdout, r"(?is)^CREATE TABLE\nCREATE TABLE \"?users.*score.*;\n$", done.stderr)
        done = run("--csv", "-c", odd + USERS, "-c", ".schema")
        self.assertEqual((done.stdout.count("CREATE TABLE"), done.stderr), (2, ""))
        self.assertIn("(42P01)", run("-c", ".schema nowhere").stderr)
        # what is printed makes the same tables again
        self.assertEqual(run("-c", done.stdout, "-c", ".schema", "--csv").stdout, done.stdout)

    def test_describe(self):
        done = run("--csv", "-c", USERS, "-c", "\\d users")
        self.assertIn("score", done.stdout, done.stderr)


if __name__ == "__main__":
    main()
