"""The shell with the real SQL engine: long statements and Ctrl-C. See support.py."""
import json
import os
import signal
import subprocess
import unittest

from support import SECONDS, SHELL, Terminal, environment, main, plain, run

NUMBERS = "CREATE TABLE t (id INT PRIMARY KEY);INSERT INTO t VALUES " + ",".join(f"({i})" for i in range(3000)) + ";"
ENDLESS = "SELECT count(*) FROM t a, t b, t c, t d WHERE a.id + b.id + c.id <> d.id;"


class Engine(unittest.TestCase):
    def test_results_of_the_engine(self):
        done = run("--format", "json", "-c", NUMBERS + "SELECT count(*) AS n, min(id) AS a, sum(1.5) AS s FROM t")
        self.assertEqual(json.loads(done.stdout), [{"n": 3000, "a": 0, "s": 4500.0}], done.stderr)
        self.assertEqual(len(run("--csv", "-c", NUMBERS + "SELECT a.id FROM t a, t b LIMIT 100000").stdout.splitlines()), 100001)

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


if __name__ == "__main__":
    main()
