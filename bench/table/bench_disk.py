#!/usr/bin/env python3
"""memory.row.disk: bytes on disk a row after a checkpoint, beside the better of DuckDB and SQLite.

Usage: bench_disk.py [memory.row.disk[.narrow|.wide[.ascending|.uniform]]] [ROWS [FOLDER]]

All three keep the same rows with the same primary key, in a file of their own, written in the same
order, closed. narrow: id, amount, kind, code of 8 bytes, as memory.row; wide: twelve columns of
numbers, times and texts. ascending: keys 0, 1, 2, ...; uniform: random over 62 bits, in random
order. SQLite's file is vacuumed, DuckDB's checkpointed; of ours everything counts but the log and
the reserve for a full disk, whose size does not depend on the rows (`fixed` in the JSON line).
Bytes do not vary, so one pair decides. Needs tools/setup peers (duckdb).
"""
import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../../tests/python")]

import pyarrow as pa  # noqa: E402

try:
    import duckdb
except ImportError:
    duckdb = None

import omendb  # noqa: E402

BATCH_ROWS = 65536
NARROW = [("id", pa.int64()), ("amount", pa.int64()), ("kind", pa.int32()), ("code", pa.string())]
WIDE = [*NARROW, ("customer", pa.int64()), ("quantity", pa.int32()), ("price", pa.float64()),
        ("rate", pa.float64()), ("paid", pa.bool_()), ("due", pa.date32()),
        ("changed", pa.timestamp("us")), ("note", pa.string())]
WORDS = ["order", "late", "sent", "paid", "open", "customer", "called", "twice", "north", "depot",
         "fragile", "returned", "checked", "by", "night", "shift", "of", "the", "harbour", "office"]
SQLITE_TYPES = {pa.int64(): "INTEGER", pa.int32(): "INTEGER", pa.string(): "TEXT",
                pa.float64(): "REAL", pa.bool_(): "INTEGER", pa.date32(): "INTEGER",
                pa.timestamp("us"): "INTEGER"}


def schema_of(wide):
    return pa.schema([pa.field(name, kind, nullable=name != "id")
                      for name, kind in (WIDE if wide else NARROW)])


def batches(rows, wide, uniform):
    """The rows, always the same, in record batches."""
    draw = random.Random(7)
    schema = schema_of(wide)
    for first in range(0, rows, BATCH_ROWS):
        numbers = range(first, min(first + BATCH_ROWS, rows))
        columns = [[draw.getrandbits(62) for _ in numbers] if uniform else list(numbers),
                   [i * 7 for i in numbers], [i % 100 for i in numbers],
                   [f"{i * 2654435761 & 0xFFFFFFFF:08x}" for i in numbers]]
        if wide:
            columns += [[draw.randrange(200000) for _ in numbers],
                        [draw.randrange(1, 51) for _ in numbers],
                        [draw.randrange(100000) / 100 for _ in numbers],
                        [draw.random() for _ in numbers], [draw.random() < 0.8 for _ in numbers],
                        [18000 + draw.randrange(2000) for _ in numbers],
                        [1_600_000_000_000_000 + i * 1_000_000 + draw.randrange(1_000_000)
                         for i in numbers],
                        [" ".join(draw.choices(WORDS, k=draw.randrange(1, 6))) for _ in numbers]]
        yield pa.record_batch([pa.array(values, field.type)
                               for values, field in zip(columns, schema)], schema=schema)


def folder_bytes(folder):
    """Bytes of the files that grow with the rows, and of the others."""
    grows = fixed = 0
    for path, _, names in os.walk(folder):
        for name in names:
            length = os.path.getsize(os.path.join(path, name))
            if os.path.basename(path) == "log" or name == "reserve":
                fixed += length
            else:
                grows += length
    return grows, fixed


def ours_bytes(folder, rows, wide, uniform):
    path = os.path.join(folder, "ours")
    with omendb.Database(path=path) as database, database.connect() as connection:
        connection.create_table("t", schema_of(wide), ["id"])
        for batch in batches(rows, wide, uniform):
            connection.insert_arrow("t", batch)
        connection.query("CHECKPOINT")
    return folder_bytes(path)


def duckdb_bytes(folder, rows, wide, uniform):
    if duckdb is None:
        return None
    path = os.path.join(folder, "duckdb")
    with duckdb.connect(path) as connection:
        reader = pa.RecordBatchReader.from_batches(schema_of(wide), batches(rows, wide, uniform))
        connection.execute("CREATE TABLE t AS SELECT * FROM reader LIMIT 0")
        connection.execute("ALTER TABLE t ADD PRIMARY KEY (id)")
        connection.execute("INSERT INTO t SELECT * FROM reader")
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (rows,)
        connection.execute("CHECKPOINT")
    return os.path.getsize(path)


def sqlite_bytes(folder, rows, wide, uniform):
    path = os.path.join(folder, "sqlite")
    connection = sqlite3.connect(path, isolation_level=None)
    columns = ", ".join(f"{field.name} {SQLITE_TYPES[field.type]}"
                        + (" PRIMARY KEY" if field.name == "id" else "")
                        for field in schema_of(wide))
    connection.execute(f"CREATE TABLE t ({columns})")
    connection.execute("BEGIN")
    plain = pa.schema([pa.field(field.name, pa.int64() if SQLITE_TYPES[field.type] == "INTEGER"
                                else field.type) for field in schema_of(wide)])
    for batch in batches(rows, wide, uniform):
        columns = [column.cast(pa.int32()) if field.type == pa.date32() else column
                   for column, field in zip(batch.columns, batch.schema)]
        columns = [column.cast(field.type).to_pylist() for column, field in zip(columns, plain)]
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO t VALUES ({marks})", zip(*columns))
    connection.execute("COMMIT")
    connection.execute("VACUUM")
    connection.close()
    return os.path.getsize(path)


def measure(name, rows, wide, uniform):
    parent = sys.argv[3] if len(sys.argv) > 3 else "."
    folder = tempfile.mkdtemp(prefix="bench-disk-", dir=os.path.abspath(parent))
    try:
        ours, fixed = ours_bytes(folder, rows, wide, uniform)
        peers = {"sqlite-" + sqlite3.sqlite_version: sqlite_bytes(folder, rows, wide, uniform)}
        if duckdb is not None:
            peers["duckdb-" + duckdb.__version__] = duckdb_bytes(folder, rows, wide, uniform)
    finally:
        shutil.rmtree(folder)
    print(json.dumps({"figure": name, "rows": rows, "fixed": fixed, "ours": ours, **peers}))
    peer = min(peers, key=peers.get)
    ratio = ours / peers[peer]
    verdict = "undecided" if duckdb is None else "met" if ratio <= 1 else "missed"
    print(f"{name} ours={ours / rows:.2f}B peer={peers[peer] / rows:.2f}B({peer}) "
          f"ratio={ratio:.2f} target<=1.00 {verdict}", flush=True)
    return verdict == "met"


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else "memory.row.disk"
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    met = True
    for wide in (False, True):
        for uniform in (False, True):
            name = (f"memory.row.disk.{'wide' if wide else 'narrow'}."
                    f"{'uniform' if uniform else 'ascending'}")
            if (name + ".").startswith(wanted + "."):
                met &= measure(name, rows, wide, uniform)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
