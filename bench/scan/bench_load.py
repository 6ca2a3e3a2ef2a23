#!/usr/bin/env python3
"""load.rows: a bulk load from Arrow into a table with a primary key, beside DuckDB.

Usage: bench_load.py [ROWS]     default 2000000

Both load the same Arrow table, in one call, into an empty table in memory with a BIGINT primary key;
keys are unique and in no order. The sums of every column must be equal. load.rows.ascending has the
keys in order, as rows come that are numbered. Needs tools/setup peers (duckdb).
"""
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../../tests/python")]

import duckdb  # noqa: E402
import pyarrow as pa  # noqa: E402

import omendb  # noqa: E402
from pairs import timed_pairs  # noqa: E402

BATCH_ROWS = 65536
CHECKSUM = """SELECT count(*), sum(id), sum(amount), sum(quantity), sum(octet_length(CAST(name AS {bytes}))),
min(name), max(name), sum(CAST(day - DATE '2000-01-01' AS bigint)) FROM t"""


def make_rows(rows, shuffled):
    ids = list(range(1, rows + 1))
    if shuffled:
        random.Random(42).shuffle(ids)
    return pa.table({
        "id": pa.array(ids, pa.int64()),
        "amount": pa.array((i * 7919 % 1000003 for i in ids), pa.float64()),
        "quantity": pa.array((i % 50 for i in ids), pa.int32()),
        "name": pa.array((f"customer {i % 100000}" for i in ids), pa.string()),
        "day": pa.array((11000 + i % 2500 for i in ids), pa.date32()),
    }, schema=pa.schema([pa.field("id", pa.int64(), nullable=False), ("amount", pa.float64()),
                         ("quantity", pa.int32()), ("name", pa.string()), ("day", pa.date32())]))


class Ours:
    """A new database at each load; what the last one held is let go before the clock starts."""

    def __init__(self, table):
        self.schema, self.batches = table.schema, table.to_batches(BATCH_ROWS)
        self.database = None

    def prepare(self):
        if self.database is not None:
            self.connection.close()
            self.database.close()
        self.database = omendb.Database(thread_count=os.cpu_count())
        self.connection = self.database.connect()
        self.connection.create_table("t", self.schema, ["id"])

    def load(self):
        for batch in self.batches:
            self.connection.insert_arrow("t", batch)

    def checksum(self):
        return self.connection.query(CHECKSUM.format(bytes="bytea"))


class Theirs:
    def __init__(self, table):
        self.table, self.connection = table, None

    def prepare(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = duckdb.connect()
        self.connection.execute(f"SET threads = {os.cpu_count()}")
        self.connection.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, amount DOUBLE, "
                                "quantity INTEGER, name VARCHAR, day DATE)")
        self.connection.register("source", self.table)

    def load(self):
        self.connection.execute("INSERT INTO t SELECT * FROM source")

    def checksum(self):
        return self.connection.execute(CHECKSUM.format(bytes="blob")).fetchall()


def measure(name, rows, shuffled):
    table = make_rows(rows, shuffled)
    ours, theirs = Ours(table), Theirs(table)
    measured = timed_pairs(ours.load, theirs.load, prepare=(ours.prepare, theirs.prepare))
    found, expected = ours.checksum(), theirs.checksum()
    if [tuple(map(str, row)) for row in map(normal, found)] != \
            [tuple(map(str, row)) for row in map(normal, expected)]:
        sys.exit(f"{name}: different rows: {found} here, {expected} in DuckDB")
    return measured.show(name, f"duckdb-{duckdb.__version__}", 1.0)


def normal(row):
    return [int(value) if not isinstance(value, str) else value for value in row]


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    met = measure("load.rows", rows, shuffled=True)
    return not (measure("load.rows.ascending", rows, shuffled=False) and met)


if __name__ == "__main__":
    sys.exit(main())
