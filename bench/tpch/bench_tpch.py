#!/usr/bin/env python3
"""scan.tpch6: TPC-H query 6 in OmenDB beside DuckDB, the same rows in memory in both.

Usage: bench_tpch.py [--scale 1] [--threads 2]

OmenDB loads lineitem through Arrow (hidden key), freezes it, and answers through its engine;
DuckDB holds a native table. Both use the same number of threads. The answers must be equal.
Needs tools/setup peers (duckdb, tpchgen-cli).
"""
import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../../tests/python")]

import duckdb  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

import omendb  # noqa: E402
from pairs import figure  # noqa: E402

QUERY_6 = """SELECT sum(l_extendedprice * l_discount) AS revenue FROM lineitem
WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01'
  AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24"""


def data_file(scale):
    """The path of lineitem at this scale, generated at first use."""
    cache = os.environ.get("OMENDB_CACHE", os.path.expanduser("~/.cache/omendb"))
    folder = os.path.join(cache, "data", f"tpch-{scale}")
    path = os.path.join(folder, "lineitem.parquet")
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        generator = os.path.join(os.path.dirname(sys.executable), "tpchgen-cli")
        subprocess.run([generator, "parquet", "-s", str(scale), "--tables", "lineitem",
                        "--output-dir", folder], check=True, stdout=subprocess.DEVNULL)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="1")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    path = data_file(arguments.scale)

    peer = duckdb.connect()
    peer.execute(f"SET threads = {arguments.threads}")
    peer.execute(f"CREATE TABLE lineitem AS SELECT * FROM '{path}'")

    with omendb.Database(thread_count=arguments.threads) as database, database.connect() as ours:
        source = pq.ParquetFile(path)
        ours.create_table("lineitem", source.schema_arrow)
        for batch in source.iter_batches(batch_size=65536):
            ours.insert_arrow("lineitem", batch)
        database.maintain()
        expected, found = peer.execute(QUERY_6).fetchall(), ours.query(QUERY_6)
        if expected != found:
            sys.exit(f"scan.tpch6: different answers: {found} here, {expected} in DuckDB")
        met = figure("scan.tpch6", lambda: ours.query(QUERY_6),
                     lambda: peer.execute(QUERY_6).fetchall(),
                     f"duckdb-{duckdb.__version__}", 1.0, pairs=15)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
