#!/usr/bin/env python3
"""store.open: from the call that opens a database to a row read by its key, beside DuckDB and SQLite.

Usage: bench_open.py [store.open[.clean|.crash]] [ROWS [FOLDER [OPENINGS]]]

  store.open.clean   closed before
  store.open.crash   killed after its last tenth was inserted and committed: it is in the log only,
                     and so it is with the peers

No targets: lines that say what was measured, medians of as many openings, each in a process of its
own that dies without closing. The files are in the system's cache. Rows of 50 bytes: id BIGINT (the
primary key of all, ascending), amount BIGINT, kind INTEGER, code TEXT of 30 bytes. SQLite has a
write-ahead log too; neither peer makes a checkpoint of the last tenth. Needs tools/setup peers.
"""
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../../tests/python")]

import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402

try:
    import duckdb
except ImportError:
    duckdb = None

import omendb  # noqa: E402

BATCH_ROWS = 65536
SCHEMA = pa.schema([pa.field("id", pa.int64(), nullable=False), ("amount", pa.int64()),
                    ("kind", pa.int32()), ("code", pa.string())])
TABLE = "CREATE TABLE t (id BIGINT PRIMARY KEY, amount BIGINT, kind INTEGER, code VARCHAR)"


def batches(first, end):
    for start in range(first, end, BATCH_ROWS):
        ids = pa.array(range(start, min(start + BATCH_ROWS, end)), pa.int64())
        mixed = pc.multiply(ids, 0x9E3779B97F4A7C15 - (1 << 64))  # wraps
        code = pc.utf8_lpad(pc.cast(mixed, pa.string()), 30, "0")
        small = pc.subtract(mixed, pc.multiply(pc.divide(mixed, 1000003), 1000003))
        kind = pc.subtract(ids, pc.multiply(pc.divide(ids, 100), 100))
        yield pa.record_batch([ids, small, pc.cast(kind, pa.int32()), code], schema=SCHEMA)


class Ours:
    name = "ours"

    def start(self):
        omendb.load()

    def open(self, path):
        self.database = omendb.Database(path=path)
        self.connection = self.database.connect()

    def create(self):
        self.connection.create_table("t", SCHEMA, ["id"])

    def insert(self, first, end):
        for batch in batches(first, end):
            self.connection.insert_arrow("t", batch)

    def row(self, key):
        return self.connection.query(f"SELECT id FROM t WHERE id = {key}")[0][0]

    def close(self):
        self.connection.close()
        self.database.close()


class DuckDB:
    name = "duckdb"

    def start(self):
        duckdb.connect()

    def open(self, path):
        self.connection = duckdb.connect(path, config={"checkpoint_threshold": "1TB"})

    def create(self):
        self.connection.execute(TABLE)

    def insert(self, first, end):
        reader = pa.RecordBatchReader.from_batches(SCHEMA, batches(first, end))
        self.connection.execute("INSERT INTO t SELECT * FROM reader")

    def row(self, key):
        return self.connection.execute(f"SELECT id FROM t WHERE id = {key}").fetchone()[0]

    def close(self):
        self.connection.execute("CHECKPOINT")
        self.connection.close()


class SQLite:
    name = "sqlite"

    def start(self):
        sqlite3.connect(":memory:")

    def open(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None)

    def create(self):
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute(TABLE.replace("BIGINT PRIMARY", "INTEGER PRIMARY"))

    def insert(self, first, end):
        self.connection.execute("PRAGMA wal_autocheckpoint = 0")
        self.connection.execute("BEGIN")
        for batch in batches(first, end):
            self.connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)",
                                        zip(*(column.to_pylist() for column in batch.columns)))
        self.connection.execute("COMMIT")

    def row(self, key):
        return self.connection.execute(f"SELECT id FROM t WHERE id = {key}").fetchone()[0]

    def close(self):
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.connection.close()


PARTIES = {party.name: party for party in (Ours, DuckDB, SQLite)}


def child(*arguments):
    """Runs this file for one step; what it prints."""
    done = subprocess.run([sys.executable, os.path.abspath(__file__), "--step", *map(str, arguments)],
                          stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, -signal.SIGKILL):
        sys.exit(f"store.open: {arguments} failed")
    return done.stdout


def step(what, name, path, first, end):
    """In a process of its own, which ends by dying."""
    party, first, end = PARTIES[name](), int(first), int(end)
    party.start()
    start = time.perf_counter()
    party.open(path)
    if what == "open":
        found = party.row(first)
        print(time.perf_counter() - start, flush=True)
        assert found == first
    else:
        if first == 0:
            party.create()
        party.insert(first, end)
        if what == "load":
            party.close()
    os.kill(os.getpid(), signal.SIGKILL)


def measure(figure, rows, row, paths):
    times = {name: [] for name in paths}
    for _ in range(int(sys.argv[4]) if len(sys.argv) > 4 else 5):
        for name, path in paths.items():
            times[name].append(float(child("open", name, path, row, 0)) * 1e3)
    shown = " ".join(f"{name}={statistics.median(taken):.1f}ms[{min(taken):.1f},{max(taken):.1f}]"
                     for name, taken in times.items())
    print(f"{figure} rows={rows} {shown}", flush=True)


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else "store.open"
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    folder = tempfile.mkdtemp(prefix="bench-open-",
                              dir=os.path.abspath(sys.argv[3] if len(sys.argv) > 3 else "."))
    paths = {name: os.path.join(folder, name) for name in PARTIES if name != "duckdb" or duckdb}
    kept = rows - rows // 10
    try:
        for name, path in paths.items():
            child("load", name, path, 0, kept)
        if ("store.open.clean" + ".").startswith(wanted + "."):
            measure("store.open.clean", kept, kept // 2, paths)
        if ("store.open.crash" + ".").startswith(wanted + "."):
            for name, path in paths.items():
                child("crash", name, path, kept, rows)
            measure("store.open.crash", rows, rows - 1, paths)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        step(*sys.argv[2:])
    main()
