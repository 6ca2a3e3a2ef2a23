#!/usr/bin/env python3
"""scan.churned: a filtered COUNT and SUM over a table with scattered updates and deletes.

Usage: bench_churned.py [ROWS]     rows in millions times 1e6; default 10000000

1 % of the rows were updated and 1 % deleted, evenly spread, and no maintenance ran since. The peer
is DataFusion's MemTable (the Python package) over the rows that are left, dense, with the same
number of threads: what the scan would cost without versions. The answers must be equal.
Needs tools/setup peers (datafusion).
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../../tests/python")]

import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402

try:
    import datafusion
except ImportError:
    datafusion = None

import omendb  # noqa: E402
from pairs import figure  # noqa: E402

QUERY = "SELECT count(*), sum(v) FROM t WHERE w < 500000"
BATCH_ROWS = 65536


def load(database, connection, rows):
    """Fills t(id, v, w) and freezes it."""
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False), ("v", pa.float64()),
                        ("w", pa.int32())])
    connection.create_table("t", schema, ["id"])
    for first in range(0, rows, BATCH_ROWS):
        ids = pa.array(range(first, min(first + BATCH_ROWS, rows)), pa.int64())
        spread = pc.bit_wise_and(pc.multiply(ids, 2654435761), 0xFFFFFFFF)
        spread = pc.subtract(spread, pc.multiply(pc.divide(spread, 1000000), 1000000))
        connection.insert_arrow("t", pa.record_batch(
            [ids, pc.cast(spread, pa.float64()), pc.cast(spread, pa.int32())], schema=schema))
    database.maintain()


def churn(connection, rows):
    """Updates each hundredth row and deletes another hundredth."""
    connection.query("UPDATE t SET v = v + 1 WHERE id % 100 = 17")
    connection.query("DELETE FROM t WHERE id % 100 = 61")


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    threads = os.cpu_count()
    with omendb.Database(thread_count=threads) as database, database.connect() as ours:
        load(database, ours, rows)
        churn(ours, rows)
        found = ours.query(QUERY)
        peer = None
        if datafusion is not None:
            config = datafusion.SessionConfig().with_target_partitions(threads)
            session = datafusion.SessionContext(config)
            table = ours.query_reader("SELECT v, w FROM t").read_all().combine_chunks()
            batches = table.to_batches(max_chunksize=8192)
            share = -(-len(batches) // threads)
            session.register_record_batches(
                "t", [batches[i:i + share] for i in range(0, len(batches), share)])
            peer = lambda: [tuple(row.values()) for batch in session.sql(QUERY).collect()  # noqa: E731
                            for row in batch.to_pylist()]
            if peer() != found:
                sys.exit(f"scan.churned: different answers: {found} here, {peer()} in DataFusion")
        version = "" if datafusion is None else f"-{datafusion.__version__}"
        met = figure("scan.churned", lambda: ours.query(QUERY), peer,
                     f"datafusion-memtable{version}", 1.2, pairs=15,
                     planning=lambda: ours.query("EXPLAIN " + QUERY))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
