"""The prompt on a terminal: editing, history, Ctrl-C, and what it does without libedit. See support.py."""
import os
import signal
import stat
import tempfile
import unittest

from support import SECONDS, Terminal, environment, main, plain, run

HAS_EDITOR = "libedit" in run("--version").stdout
USERS = "CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT);"


class Case(unittest.TestCase):
    def open(self, *arguments, **options):
        terminal = Terminal(*arguments, **options)
        self.addCleanup(terminal.close)
        return terminal

    def start(self, *arguments, **options):
        terminal = self.open(*arguments, **options)
        terminal.expect("omendb> ")
        return terminal


class Prompt(Case):
    def test_statements_and_continuation(self):
        for term in ("xterm", "dumb"):
            terminal = self.open(env=environment(TERM=term))
            self.assertIn("OmenDB", terminal.expect("omendb> "))
            self.assertIn("CREATE TABLE", terminal.type(USERS))
            terminal.type("INSERT INTO users", prompt="...> ")
            terminal.type("-- a comment; here", prompt="...> ")
            self.assertIn("INSERT 0 1", terminal.type("VALUES (1, 'a;b');"))
            self.assertIn("a;b", terminal.type("SELECT name FROM users WHERE id = 1;"))
            terminal.type("-- only a comment")
            terminal.type("/* one", prompt="...> ")
            terminal.type("two */")
            terminal.type("")
            self.assertIn("(42P01)", terminal.type("SELECT * FROM none;"))
            terminal.send(".quit\r")
            self.assertEqual(terminal.wait(), 0)

    def test_ways_out(self):
        for way in (".quit\r", ".exit\r", "quit\r", "exit;\r", "\\q\r", "\x04"):
            terminal = self.start()
            terminal.send(way)
            self.assertEqual(terminal.process.wait(SECONDS), 0, way)
            self.assertTrue(terminal.is_as_before(), way)
        self.assertIn(".tables", self.start().type("help"))

    def test_no_prompt_on_pipes(self):
        done = run(text=USERS)
        self.assertEqual((done.stdout, done.stderr), ("CREATE TABLE\n", ""))

    def test_results_in_a_file_stand_alone(self):
        for term in ("xterm", "dumb"):
            with tempfile.TemporaryFile() as file:
                terminal = self.start("--csv", stdout=file, env=environment(TERM=term))
                terminal.type(USERS)
                terminal.type("SELECT name FROM users WHERE id = 1;")
                terminal.send("\x04")
                self.assertEqual(terminal.wait(), 0)
                file.seek(0)
                self.assertEqual(file.read(), b"name\n")

    def test_tags_in_program_formats_are_for_the_eye(self):
        terminal = self.start("--csv")
        self.assertIn("CREATE TABLE\n", terminal.type(USERS))

    def test_control_c_clears_the_line(self):
        for term in ("xterm", "dumb"):
            terminal = self.start(env=environment(TERM=term))
            terminal.send("SELECT nonsense\x03")
            terminal.expect("omendb> ")
            self.assertIn("CREATE TABLE", terminal.type(USERS))
            terminal.type("SELECT (", prompt="...> ")
            terminal.send("\x03")
            terminal.expect("omendb> ")
            self.assertNotIn("ERROR", terminal.type("SELECT name FROM users WHERE id = 1;"))

    @unittest.skipUnless("OMENDB_ENGINE" in os.environ, "no engine that gives many rows")
    def test_control_c_cancels_the_statement_only(self):
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            rows = ",".join(f"({i}, '{'x' * 100}')" for i in range(20000))
            file.write(USERS + f"INSERT INTO users VALUES {rows};")
            file.flush()
            terminal = self.start("--csv")
            terminal.type(f".read {file.name}")
            terminal.send("SELECT * FROM users; SELECT * FROM none;\r")
            terminal.expect("100,xxxx")
            terminal.send("\x03")
            shown = plain(terminal.expect("omendb> "))
            self.assertIn("(57014)", shown)
            self.assertNotIn("(42P01)", shown)
            self.assertNotIn("19999,", shown)
            self.assertIn("19999,", terminal.type("SELECT * FROM users WHERE id = 19999;"))

    def test_terminate_at_the_prompt(self):
        terminal = self.start()
        terminal.process.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.process.wait(SECONDS), -signal.SIGTERM)
        self.assertTrue(terminal.is_as_before())


@unittest.skipUnless(HAS_EDITOR, "built without libedit")
class Editing(Case):
    def test_arrows_and_wide_characters(self):
        terminal = self.start()
        # to the left over a wide character, then on: 'a中b' becomes 'aX中b'
        terminal.send("SELECT * FRO 'a中b';" + "\x1b[D" * 4 + "X\r")
        self.assertIn("LINE 1: SELECT * FRO 'aX中b'\n", plain(terminal.expect("omendb> ")))

    def test_tab_completes_commands_and_is_kept_in_text(self):
        terminal = self.start()
        self.assertIn("table", terminal.type(".mo\t"))
        self.assertIn("LINE 1: SELECT * FRO x\n", terminal.type("SELECT\t* FRO x;"))

    def test_history_is_kept_and_private(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "history")
            env = environment(OMENDB_HISTORY=path)
            terminal = self.start(env=env)
            terminal.type("SELECT * -- back\\slash", prompt="...> ")
            terminal.type("FROM first;")
            for _ in range(3):
                terminal.type("SELECT * FROM second;")
            terminal.send("\x04")
            self.assertEqual(terminal.wait(), 0)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            with open(path) as file:
                self.assertEqual(file.read(), "SELECT * -- back\\\\slash\\nFROM first;\nSELECT * FROM second;\n")
            terminal = self.start(env=env)
            self.assertIn('"second"', terminal.type("\x1b[A"))
            # two up: the first entry, in two lines as it was typed
            self.assertIn('"first"', terminal.type("\x1b[A\x1b[A"))
            terminal.send("\x04")
            terminal.wait()

    def test_places_of_the_history(self):
        with tempfile.TemporaryDirectory() as folder:
            for env, expected in (({"XDG_STATE_HOME": folder + "/state", "HOME": folder}, "state/omendb/history"),
                                  ({"XDG_STATE_HOME": None, "HOME": folder}, ".omendb_history"),
                                  ({"OMENDB_HISTORY": "", "HOME": folder + "/none"}, None)):
                os.makedirs(folder + "/state", exist_ok=True)
                terminal = self.start(env=environment(**{"OMENDB_HISTORY": None, **env}))
                terminal.type("SELECT * FRO x;")
                terminal.send("\x04")
                self.assertEqual(terminal.wait(), 0)
                if expected is not None:
                    self.assertTrue(os.path.exists(os.path.join(folder, expected)), expected)
            self.assertFalse(os.path.exists(folder + "/none"))
            self.assertEqual(sorted(os.listdir(folder)), [".omendb_history", "state"])

    def test_odd_history_files(self):
        with tempfile.TemporaryDirectory() as folder:
            long = os.path.join(folder, "long")
            with open(long, "wb") as file:
                file.writelines(b"SELECT %d;\n" % i for i in range(5000))
            broken = os.path.join(folder, "broken")
            with open(broken, "wb") as file:
                file.write(b"\xff\xfe\x00\n\\\n" + b"x" * 100000)
            for path in (long, broken, folder, "/dev/null", "/dev/full", folder + "/no/such"):
                terminal = self.start(env=environment(OMENDB_HISTORY=path))
                self.assertIn("CREATE TABLE", terminal.type(USERS))
                terminal.send("\x04")
                self.assertEqual(terminal.wait(), 0, path)
            with open(long) as file:
                lines = file.read().splitlines()
            self.assertEqual((lines[0], lines[-2], lines[-1]), ("SELECT 4000;", "SELECT 4999;", USERS))
            self.assertNotEqual(stat.S_IMODE(os.stat("/dev/null").st_mode), 0o600)

    def test_a_changed_window(self):
        terminal = self.start(columns=80)
        terminal.send("SELECT *")
        terminal.expect("SELECT *")
        terminal.resize(40, 20)
        terminal.process.send_signal(signal.SIGWINCH)
        self.assertIn("(42601)", terminal.type(" FRO x;"))


if __name__ == "__main__":
    main()
