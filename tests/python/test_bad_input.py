"""Statements that nobody should send: each is a clear error, changes nothing and crashes nothing.

Needs no engine; what would reach it may also fail as "no engine here" (58000).
"""
import os
import random
import sys
import unittest

import omendb

LIMITS = ("54000", "54001", "54011")
NO_ENGINE = "58000"


class BadInput(unittest.TestCase):
    def setUp(self):
        self.database = omendb.Database()
        self.connection = self.database.connect()
        self.run_ok("CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT)")
        self.run_ok("INSERT INTO t VALUES (1, 'one')")

    def tearDown(self):
        self.assertEqual(self.run_ok("SELECT * FROM t WHERE id = 1"), [[b"1", b"one"]])
        self.connection.close()
        self.database.close()

    def run_ok(self, sql):
        with self.connection.run(sql) as statement:
            return statement.texts()

    def fails(self, sqlstates, sql):
        """The statement fails with one of these SQLSTATEs, and has a message."""
        with self.assertRaises(omendb.Error) as caught:
            self.run_ok(sql)
        self.assertIn(caught.exception.sqlstate, sqlstates, str(caught.exception)[:300])
        self.assertTrue(caught.exception.message.strip())

    def test_bytes_that_are_not_utf8(self):
        for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\xaf", b"\x80"):
            self.fails(["22021"], b"INSERT INTO t VALUES (2, 'x" + bad + b"')")
            self.fails(["22021"], b"SELECT name FROM t WHERE id = 1 AND name = '" + bad + b"'")
            self.fails(["22021"], b"SELECT " + bad + b" FROM t")

    def test_zero_bytes(self):
        for sql in (b"SELECT 1\0", b"INSERT INTO t VALUES (2, 'a\0b')", b"\0"):
            self.fails(["22021", "42601"], sql)
        self.fails(["22021", "22025", "42601"], r"INSERT INTO t VALUES (2, E'a\000b')")
        self.fails(["22021", "22025", "42601"], r"INSERT INTO t VALUES (2, U&'\0000')")

    def test_nothing_at_all(self):
        for sql in ("", ";", "   ", "-- a comment", "/* a comment */", "/* not closed", "'not closed", "$a$not closed",
                    '"not closed', "E'not closed\\'", "U&\"not closed"):
            try:
                self.run_ok(sql)
            except omendb.Error as error:
                self.assertEqual(error.sqlstate, "42601", sql)

    def answers_or_fails(self, sqlstates, sql):
        try:
            self.run_ok(sql)
        except omendb.Error as error:
            self.assertIn(error.sqlstate, sqlstates, f"{sql[:60]}: {error}"[:300])

    def test_deep_nesting(self):
        for depth in (1_000, 5_000, 100_000, 1_000_000):
            for sql in ("SELECT " + "(" * depth + "1" + ")" * depth, "SELECT * FROM t WHERE " + "NOT " * depth + "true",
                        "SELECT " + "- " * depth + "1", "SELECT " + "CASE WHEN true THEN " * depth + "1" + " END" * depth,
                        "SELECT " + "abs(" * depth + "1" + ")" * depth, "SELECT " + "(SELECT " * depth + "1" + ")" * depth,
                        "SELECT * FROM " + "(SELECT * FROM " * depth + "t" + ") AS t" * depth):
                if depth > 5_000:
                    self.fails(LIMITS, sql)
                else:
                    self.answers_or_fails((*LIMITS, NO_ENGINE), sql)

    def test_long_chains(self):
        for sql in ("SELECT " + "1 + " * 100_000 + "1", "SELECT 1" + " UNION ALL SELECT 1" * 50_000,
                    "SELECT * FROM t WHERE " + "id = 1 OR " * 100_000 + "id = 2",
                    "SELECT " + "'a' || " * 100_000 + "'b'", "SELECT * FROM " + "t, " * 20_000 + "t",
                    "SELECT " + ", ".join(f"{i} AS c{i}" for i in range(3000))):
            self.answers_or_fails((*LIMITS, "0A000", "42712", "42702", NO_ENGINE), sql)

    def test_sizes(self):
        self.fails(["54000"], "SELECT '" + "x" * (17 << 20) + "'")
        self.fails(["54000"], "SELECT 1" + " " * (17 << 20))
        columns = ", ".join(f"c{i} INTEGER" for i in range(3000))
        self.fails(["54011"], f"CREATE TABLE wide ({columns})")
        self.run_ok("SELECT name FROM t WHERE id IN (" + ", ".join(map(str, range(50_000))) + ") AND id = 1"
                    if os.path.exists(os.environ.get("OMENDB_ENGINE", "")) else "SELECT name FROM t WHERE id = 1")
        self.fails(["42622"], f"SELECT id AS {'n' * 64} FROM t WHERE id = 1")
        self.fails(["42622"], f"CREATE TABLE {'t' * 64} (a INTEGER)")

    def test_numbers_without_end(self):
        self.fails(["22003", "0A000"], "INSERT INTO t VALUES (" + "9" * 10_000 + ", 'x')")
        self.fails(["22P02", "22003"], "INSERT INTO t VALUES ('" + "9" * 10_000 + "', 'x')")
        self.fails(["22003", "22P02", "0A000"], "INSERT INTO t VALUES (1e99999999, 'x')")
        self.fails(["42601", "42P02", "54000"], "SELECT $99999999999999999999")
        self.fails(["42601", "42P02", "54000", "42P18", NO_ENGINE], "SELECT * FROM t WHERE id = $65536")

    def test_random_statements(self):
        """Words of SQL in any order: an answer or an error with a SQLSTATE."""
        seed = int(os.environ.get("OMEN_SEED", random.randrange(1 << 30)))
        print(f"OMEN_SEED={seed}")
        choose = random.Random(seed)
        words = ("SELECT FROM WHERE GROUP BY ORDER HAVING t id name * ( ) , . ; 1 2.5 'a' NULL = < > + - / % || AND OR NOT IN "
                 "IS LIKE BETWEEN CASE WHEN THEN ELSE END CAST AS INTEGER TEXT INSERT INTO VALUES count sum max JOIN ON LEFT "
                 "UNION ALL DISTINCT LIMIT OFFSET EXISTS ANY WITH $1 :: [ ] ~ @ \" ' $$ -- /* */ E' U&' \\ interval date "
                 "OVER PARTITION ROWS FILTER LATERAL VALUES SET omen.route SHOW EXPLAIN DESCRIBE COPY COLLATE").split()
        for _ in range(4000):
            head = choose.choice(["", "SELECT ", "SELECT id FROM t WHERE ", "INSERT INTO t (id) VALUES (", "EXPLAIN ", "SELECT id FROM t "])
            sql = head + " ".join(choose.choice(words) for _ in range(choose.randrange(1, 14)))
            if head.startswith("INSERT") or "INSERT" in sql:
                sql += " nonsense"
            try:
                self.run_ok(sql)
            except omendb.Error as error:
                self.assertRegex(error.sqlstate, "^[0-9A-Z]{5}$", sql)
                self.assertNotIn(error.sqlstate, ("XX000", "XX001"), f"{sql}: {error}")


if __name__ == "__main__":
    sys.exit(unittest.main())
