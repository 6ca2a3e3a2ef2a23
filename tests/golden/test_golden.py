"""Databases that earlier builds wrote are opened, compared row by row, verified, written to and opened again.

Usage: test_golden.py PATH_TO_OMENDB PATH_TO_MAKE_DATABASE [plain]     `plain`: those that need no engine

The databases are format*/*.tar.xz; make_golden.py made them. OMENDB_ENGINE names the engine (for the
plain ones the stub does); without it the test is skipped.
"""
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import unittest

from golden import FORMATS, HERE, dump, path_of, records, shell, tables_of

OMENDB, MAKE_DATABASE = (os.path.abspath(path) for path in sys.argv[1:3])
SUFFIX = "_plain.tar.xz" if "plain" in sys.argv[3:] else ".tar.xz"
ENGINE = os.environ.get("OMENDB_ENGINE", "")
NAMES = sorted(name[:-len(".tar.xz")] for format in set(FORMATS.values())
               for name in os.listdir(os.path.join(HERE, format)) if name.endswith(SUFFIX))

# What unique constraints refuse, with their names, and what they take.
REFUSED = [
    ("INSERT INTO members VALUES (200, 'member 30 at home', 99, NULL)", "members_email_key"),
    ("INSERT INTO members VALUES (200, NULL, 3, '1')", "a place in a team"),
    ("INSERT INTO members VALUES (200, NULL, 13, '3')", "a place in a team"),
    ("INSERT INTO codes VALUES (1, NULL)", "codes_code_key"),
    ("INSERT INTO codes VALUES (3, NULL)", "codes_code_key"),
    ("INSERT INTO late VALUES (9, 1)", "late_b_key"),
]
TAKEN = [
    "INSERT INTO members VALUES (200, 'member 7 at home', 0, '0')",
    "INSERT INTO members VALUES (201, NULL, 0, NULL), (202, NULL, 0, NULL)",
    "INSERT INTO codes VALUES (5, NULL), (NULL, '2001-01-01')",
    "INSERT INTO late VALUES (9, 3), (10, NULL)",
]

# Rows that are added to a table, as SQL and as they are read again.
ADDED = {
    "events": ("VALUES (0, 'once more'), (NULL, NULL)", ["0,once more", ","]),
    "names": ("VALUES ('~ the last name', -1)", ["~ the last name,-1"]),
    "pairs": ("VALUES (777, '~', 0.5)", ["777,~,0.5"]),
    "kinds": ("(id, t) VALUES (32001, 'new')", ["32001,,,7,,,,,,,new,,,,,,,"]),
}


def expected_of(name):
    with open(path_of(name.split("_")[0], ".txt")) as file:
        return file.read()


def checksum(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def fingerprint(folder):
    """Every name, mode, time of change and content below a folder."""
    found = {}
    for path, folders, files in os.walk(folder):
        for name in folders + files:
            full = os.path.join(path, name)
            status = os.stat(full)
            found[full] = status.st_mode, status.st_mtime_ns, "" if os.path.isdir(full) else checksum(full)
    return found


class Golden(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="omendb-golden-")
        self.addCleanup(self.folder.cleanup)

    def copy(self, name):
        with tarfile.open(path_of(name, ".tar.xz")) as packed:
            packed.extractall(self.folder.name)
        return os.path.join(self.folder.name, name)

    def verify(self, database):
        before = fingerprint(database)
        done = shell(OMENDB, "verify", database)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        after = fingerprint(database)
        for found in (before, after):  # who verifies signs the lock
            found.pop(os.path.join(database, "lock"))
        self.assertEqual(before, after)

    def run_sql(self, database, sql):
        done = shell(OMENDB, "-c", sql, database)
        self.assertEqual((done.returncode, done.stderr), (0, ""), sql)

    def write(self, database, want):
        """Adds rows and a table; gives what it must hold then."""
        parts = want.split("-- ")
        for table, (values, lines) in ADDED.items():
            self.run_sql(database, f"INSERT INTO {table} {values}")
            at = next(i for i, part in enumerate(parts) if part.startswith(table + "\n"))
            header, *rows = records(parts[at][len(table) + 1:])
            parts[at] = "\n".join([table, header, *sorted(rows + lines)]) + "\n"
        self.run_sql(database, "CREATE TABLE zones (id INTEGER PRIMARY KEY, t TEXT)")
        self.run_sql(database, "INSERT INTO zones VALUES (1, 'one'), (2, 'two')")
        self.run_sql(database, "DELETE FROM zones WHERE id = 1")
        return "-- ".join(parts) + "-- zones\nid,t\n2,two\n"

    def check_unique(self, name):
        database, want = self.copy(name), expected_of(name)
        self.verify(database)
        self.assertEqual(dump(OMENDB, tables_of(want), database), want)
        for sql, constraint in REFUSED:
            done = shell(OMENDB, "-c", sql, database)
            self.assertEqual(done.returncode, 1, sql)
            self.assertIn("23505", done.stderr)
            self.assertIn(f'"{constraint}"', done.stderr)
        self.assertEqual(dump(OMENDB, tables_of(want), database), want)
        for sql in TAKEN:
            self.run_sql(database, sql)
            self.assertEqual(shell(OMENDB, "-c", sql, database).returncode, 1, sql)
        self.verify(database)

    def check(self, name):
        database, want = self.copy(name), expected_of(name)
        self.verify(database)
        self.assertEqual(dump(OMENDB, tables_of(want), database), want)
        self.verify(database)
        shown = shell(OMENDB, "--csv", "-c", "SHOW TABLES", database)
        self.assertEqual([line.split(",")[0] for line in records(shown.stdout)[1:]], tables_of(want))
        want = self.write(database, want)
        self.verify(database)
        self.assertEqual(dump(OMENDB, tables_of(want), database), want)

    def refuse(self, name, file, newer):
        """With the next format's number in a file it is refused, and nothing changes."""
        database = self.copy(name)
        before = fingerprint(database)
        subprocess.run([MAKE_DATABASE, "newer", os.path.join(database, file)], check=True)
        changed = fingerprint(database)
        self.assertNotEqual(before, changed)
        for arguments in (["-c", "CREATE TABLE t (a INTEGER)", database], ["verify", database]):
            done = shell(OMENDB, *arguments)
            self.assertEqual(done.returncode, 1, done.stdout)
            told = done.stdout + done.stderr
            self.assertIn("0A000", told)
            self.assertIn(f"format {newer}", told)
            self.assertIn(os.path.basename(file), told)
        after = fingerprint(database)
        self.assertEqual(changed, after)

    def test_newer_manifest(self):
        self.refuse("closed_plain", "manifest", 3)

    def test_newer_log(self):
        self.refuse("closed_plain", "log/0000000000000000", 2)


for each in NAMES:
    setattr(Golden, "test_" + each, lambda self, name=each: self.check_unique(name) if name.startswith("unique") else self.check(name))

if __name__ == "__main__":
    if not os.path.exists(ENGINE):
        print("skipped: OMENDB_ENGINE names no engine")
        sys.exit(77)
    if not NAMES:
        sys.exit("there are no golden databases")
    unittest.main(argv=sys.argv[:1])
