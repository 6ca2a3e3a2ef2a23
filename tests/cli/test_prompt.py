"""The prompt on a terminal: editing, history, completion, Ctrl-C, and a dumb terminal. See support.py."""
import os
import signal
import stat
import tempfile
import unittest

from support import SECONDS, Screen, Terminal, environment, main, plain, run

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

    def test_the_prompt_shows_transactions(self):
        for term in ("xterm", "dumb"):
            terminal = self.start(env=environment(TERM=term))
            terminal.type(USERS)
            terminal.type("BEGIN;", prompt="omendb*> ")
            terminal.type("SELECT (", prompt="    ...> ")
            terminal.type("1);", prompt="omendb*> ")
            terminal.type("SAVEPOINT s;", prompt="omendb*> ")
            terminal.type("SELECT nonsense;", prompt="omendb!> ")
            terminal.type("ROLLBACK TO s;", prompt="omendb*> ")
            terminal.type("SELECT nonsense;", prompt="omendb!> ")
            terminal.type("COMMIT;", prompt="omendb> ")

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

    def test_a_terminal_that_goes_away(self):
        for term in ("xterm", "dumb"):
            terminal = Terminal(env=environment(TERM=term))
            terminal.expect("omendb> ")
            terminal.close_line()
            self.assertIn(terminal.process.wait(SECONDS), (0, -signal.SIGHUP))

    def test_terminate_at_the_prompt(self):
        terminal = self.start()
        terminal.process.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.process.wait(SECONDS), -signal.SIGTERM)
        self.assertTrue(terminal.is_as_before())


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

    def test_lines_are_edited_as_a_whole(self):
        terminal = self.start()
        terminal.type("VALUES (1,", prompt="...> ")
        terminal.type("2,", prompt="...> ")
        self.assertIn("(1 row)", terminal.type("3);"))
        # up: the whole statement; twice up within it, to the first line's end; another value there
        self.assertIn("|       4 |", terminal.type("\x1b[A" + "\x1b[A" * 2 + "\x05" + "4,"))
        # Alt-Enter begins a line of a complete statement; Home and End are the line's
        self.assertIn(" 57\n", terminal.type("VALUES (5);\x1b\r-- x\x01\x1b[A\x05\x1b[D\x1b[D7"))
        terminal.send("\x04")
        self.assertEqual(terminal.wait(), 0)

    def test_what_is_typed_is_kept_while_the_history_is_shown(self):
        terminal = self.start()
        terminal.type("VALUES (1);")
        terminal.type("VALUES (2);")
        self.assertIn(" 34\n", terminal.type("VALUES (3" + "\x1b[A" * 5 + "\x1b[B" * 5 + "4);"))
        # page up and down leave a text of several lines at once
        self.assertIn(" 2\n", terminal.type("\x1b[A\x1b[5~\x1b[5~\x1b[6~"))

    def test_keys(self):
        terminal = self.start()
        for keys, expected in (("VALUES (12)\x02\x02\x083\x05;", "32"), ("x\x15VALUES (12);", "12"), ("VALUES (1) 2\x17;", "1"),
                               ("VALUES (1, 2);\x1b[1;5D\x17", "2"), ("VALUES (1);\x15\x19", "1"),
                               ("VALUES (21\x14);", "12"), ("VALUES (21);\x02\x02\x02\x14", "12"), ("1);\x01VALUES (", "1"),
                               ("VALUES (one);\x1bb\x1bd7", "7"), ("ALUES (9);\x1b[H\x1b[F\x1bOHV\x1b[4~", "9"),
                               ("VALUES (1 + 2);\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[3~\x1b[3~\x04", "12"),
                               ("VALUES (3) 4;\x1b[D\x1b[D\x1b[D\x0b;", "3"), ("VALUES (8);\x1b[99;99Z\x1b[15~\x1bz\x1f", "8")):
            self.assertIn(f" {expected}\n", terminal.type(keys), keys)

    def test_search(self):
        for keys, expected in (("\x121", "133"), ("\x121\x12", "111"), ("\x122", "222"), ("\x12\xf6", "\xe4\xf6"),
                               ("\x121x\x7f\x12", "111"), ("VALUES (4);\x12zzz\x07", "4"), ("\x12222\x05\x7f\x7f5);", "2225"),
                               ("VALUES (6);\x121\x1b\x1b\x1b[B\x1b[B\x1b[B\x1b[B", "6"), ("\x121\x12\x12\x12", "111")):
            with tempfile.NamedTemporaryFile("w", suffix="history") as file:
                file.write("VALUES (111);\nVALUES (\\n222);\nVALUES (133);\nVALUES ('\xe4\xf6');\n")
                file.flush()
                terminal = self.start(env=environment(OMENDB_HISTORY=file.name))
                self.assertRegex(terminal.type(keys), f" {expected} *\n", keys)

    def test_paste(self):
        terminal = self.start()
        terminal.send("\x1b[200~VALUES\t(1);\r\nVALUES\n(2\x1b[201~")
        terminal.expect("(2")
        self.assertNotIn("row", terminal.text)
        shown = terminal.type(");")
        self.assertIn(" 1\n", shown)
        self.assertIn(" 2\n", shown)
        # unmarked: statements run as they end, tabs are kept
        terminal.send("VALUES\t('a\tb');VALUES (3);\rVALUES (4);\r")
        terminal.expect("a\\tb")
        terminal.expect(" 4\r\n")

    def test_a_long_line_in_a_narrow_window(self):
        terminal = self.start(columns=30, rows=10)
        screen = Screen(30, 10).feed("omendb> ")
        for keys in ("SELECT 'abcdefghijklmnopqrstuvwxyz'", ", '中文字中文字中文字中文字中文字'", " \x1b\rFROM t",
                     "\x1b[A\x05\x1b[D\x1b[D\x1b[DXY", "\x01\x0b", "\x19", "\x1b[B\x17", "Z" * 22, "\x7f"):
            screen.feed(terminal.drawn(keys))
        at = screen.shown().index("omendb> SELECT 'abcdefghijklmn")
        self.assertEqual(screen.shown()[at:], ["omendb> SELECT 'abcdefghijklmn", "opqrstuvwxyz', '中文字中文字中", "文字中文字中文XY字'",
                                               "   ...> FROM ZZZZZZZZZZZZZZZZZ", "ZZZZ"])
        # once more from nothing
        terminal.send("\x0c")
        self.assertEqual(Screen(30, 10).feed(terminal.drawn()).shown(), screen.shown()[at:])

    def test_text_higher_than_the_window(self):
        terminal = self.start(columns=40, rows=5)
        screen = Screen(40, 5).feed("omendb> ")
        screen.feed(terminal.drawn("VALUES (0" + "".join(f",\x1b\r{i}" for i in range(1, 9))))
        self.assertEqual(screen.shown()[-5:], [f"   ...> {i}," for i in range(4, 8)] + ["   ...> 8"])
        screen.feed(terminal.drawn("\x1b[A" * 8))
        self.assertEqual(screen.shown()[-5:], ["omendb> VALUES (0,"] + [f"   ...> {i}," for i in range(1, 5)])
        screen.feed(terminal.drawn("\x1b[B" * 8 + "\x05"))
        self.assertIn("(1 row; 9 columns", terminal.type(");"))

    def test_windows_that_change(self):
        terminal = self.start(columns=60)
        terminal.drawn("SELECT 'abcdefghijklmnopqrstuvwxyz'")
        terminal.resize(30, 20)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.expect("omendb> ")
        self.assertEqual(Screen(30, 20).feed("omendb> " + terminal.drawn()).shown(),
                         ["omendb> SELECT 'abcdefghijklmn", "opqrstuvwxyz'"])
        terminal.process.send_signal(signal.SIGCONT)
        terminal.expect("omendb> ")
        self.assertEqual(Screen(30, 20).feed("omendb> " + terminal.drawn()).shown(),
                         ["omendb> SELECT 'abcdefghijklmn", "opqrstuvwxyz'"])
        terminal.send("\x03")
        terminal.expect("omendb> ")
        self.assertIn(" 1\n", terminal.type("VALUES (1);"))

    def test_a_hostile_history(self):
        with tempfile.NamedTemporaryFile("w", suffix="history") as file:
            file.write("VALUES ('\x1b]0;title\x07\u202e\x9b31m');\n")
            file.flush()
            terminal = self.start(env=environment(OMENDB_HISTORY=file.name))
            screen = Screen(80, 24).feed("omendb> ")
            terminal.send("\x1b[A")
            screen.feed(terminal.expect("');"))
            self.assertEqual(screen.shown()[-1], "omendb> VALUES ('\\x1B]0;title\\x07\\u202E\\x9B31m")


class Progress(Case):
    ROWS = 500000

    def copy(self, folder):
        path = os.path.join(folder, "rows.csv")
        with open(path, "w") as file:
            file.writelines(f"{i},some text to be copied\n" for i in range(self.ROWS))
        return f"COPY users FROM '{path}' (FORMAT csv);"

    def test_a_bar_that_is_wiped(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = self.copy(folder)
            terminal = self.start(columns=200, env=environment(OMENDB_PROGRESS_MS="1"))
            terminal.type(USERS)
            terminal.send(copy + "\r")
            bar = terminal.expect(" %")
            self.assertRegex(bar, r"\[=*> *\] +\d+$")
            terminal.expect("\r\x1b[K" + f"COPY {self.ROWS}\r\n")
            terminal.expect("omendb> ")
            self.assertRegex(plain(terminal.type("SELECT name FROM users WHERE id = 5;")), "some text to be copied\n")

    def test_a_bar_of_what_is_cancelled(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = self.copy(folder)
            terminal = self.start(columns=200, env=environment(OMENDB_PROGRESS_MS="1"))
            terminal.type(USERS)
            terminal.send(copy + "\r")
            terminal.expect(" %")
            terminal.send("\x03")
            terminal.expect("\r\x1b[KERROR: ")
            terminal.expect("omendb> ")

    def test_no_bar_without_a_terminal_or_before_its_time(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = self.copy(folder)
            done = run("-c", USERS, "-c", copy, env=environment(OMENDB_PROGRESS_MS="0"))
            self.assertEqual((done.stdout, done.stderr), (f"CREATE TABLE\nCOPY {self.ROWS}\n", ""))
            for env in ({"OMENDB_PROGRESS_MS": "0", "TERM": "dumb"}, {"OMENDB_PROGRESS_MS": "1000000"}):
                terminal = self.start(columns=200, env=environment(**env))
                terminal.type(USERS)
                self.assertNotIn("%", terminal.type(copy))


class Completion(Case):
    TABLES = ('CREATE TABLE flights (id INT PRIMARY KEY, origin TEXT, "Carrier" TEXT); CREATE TABLE "No Key" ("order" INT);'
              "CREATE TABLE planes (tailnum TEXT, seats INT);")

    def test_words(self):
        terminal = self.start(columns=200)
        terminal.type(self.TABLES)
        for keys, expected in (("SEL\t", "SELECT"), ("sel\t1", "select 1"), ("SELECT * FROM fl\t", "SELECT * FROM flights"),
                               ("SELECT * FROM FL\tf", "SELECT * FROM flights f"), ("SELECT * FROM n\t", 'SELECT * FROM "No Key"'),
                               ('SELECT * FROM "N\tx', 'SELECT * FROM "No Key" x'), ("SELECT 1 FROM planes, fl\t", "SELECT 1 FROM planes, flights"),
                               ("SELECT f. FROM flights f" + "\x1b[D" * 15 + "c\t", 'SELECT f."Carrier" FROM flights f'),
                               ("SELECT * FROM flights f WHERE f.or\t", "SELECT * FROM flights f WHERE f.origin"),
                               ("SELECT * FROM flights WHERE ori\t", "SELECT * FROM flights WHERE origin"),
                               ('SELECT * FROM "No Key" WHERE ord\t', 'SELECT * FROM "No Key" WHERE ord'),
                               ("SELECT * FROM planes AS p JOIN flights AS x ON p.t\t", "SELECT * FROM planes AS p JOIN flights AS x ON p.tailnum"),
                               ("UPDATE planes SET sea\t", "UPDATE planes SET seats"), ("INSERT INTO planes (tail\t", "INSERT INTO planes (tailnum"),
                               ("SET statement_t\t= 0", "SET statement_timeout = 0"), ("SHOW omen.route_\t", "SHOW omen.route_strict"),
                               ("SHOW CREATE TABLE pl\t", "SHOW CREATE TABLE planes"), ("DESCRIBE pl\t", "DESCRIBE planes"),
                               ("SUMMARIZE pl\t", "SUMMARIZE planes"), (".sch\tpl\t", ".schema planes"), (".timer of\t", ".timer off"),
                               ("VALUES (1); SELECT * FROM pl\t", "VALUES (1); SELECT * FROM planes"), ("SELECT 'fl\t", "SELECT 'fl"),
                               ("-- SEL\t", "-- SEL"), ("SELECT * FROM none WHERE none.\t", "SELECT * FROM none WHERE none."),
                               ("SELECT * FROM public.fl\t", "SELECT * FROM public.flights")):
            shown = Screen(200, 50).feed("omendb> " + terminal.press(keys + "\x05|")).shown()[-1]
            self.assertEqual(shown.replace(" |", "|"), "omendb> " + expected + "|", keys)
            terminal.send("\x03")
            terminal.expect("omendb> ")

    def test_several_are_listed_by_the_second_tab(self):
        terminal = self.start()
        terminal.type(self.TABLES)
        terminal.send("SELECT * FROM \t")
        self.assertNotIn("planes", terminal.expect("\a"))
        terminal.send("\t")
        shown = plain(terminal.expect("omendb> "))
        self.assertEqual(shown.split("\n", 1)[1].split(), ['"No', 'Key"', "flights", "planes"])
        self.assertIn(" 1\n", terminal.type("\x15VALUES (1);"))

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("it's.csv", "data.sql", ".hidden"):
                open(os.path.join(folder, name), "w").close()
            os.mkdir(os.path.join(folder, "folder"))
            terminal = self.start(columns=200)
            for keys, expected in ((f"SELECT * FROM '{folder}/it\t", f"SELECT * FROM '{folder}/it''s.csv'"),
                                   (f"COPY t FROM '{folder}/it\t (", f"COPY t FROM '{folder}/it''s.csv' ("),
                                   (f"COPY t TO '{folder}/fo\tx", f"COPY t TO '{folder}/folder/x"),
                                   (f".read {folder}/da\t", f".read {folder}/data.sql"), (f".read {folder}/.\t", f".read {folder}/.hidden"),
                                   (f".read {folder}/none/\t", f".read {folder}/none/")):
                shown = Screen(200, 50).feed("omendb> " + terminal.press(keys + "\x05|")).shown()[-1]
                self.assertEqual(shown, "omendb> " + expected + "|", keys)
                terminal.send("\x03")
                terminal.expect("omendb> ")


if __name__ == "__main__":
    main()
