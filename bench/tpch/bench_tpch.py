#!/usr/bin/env python3
"""scan.tpch1, scan.tpch6: TPC-H queries in OmenDB beside DuckDB, the same rows in memory in both.

Usage: bench_tpch.py [--scale 1] [--threads 2] [--pairs 15] [scan.tpch1|scan.tpch6]

OmenDB loads lineitem through Arrow (hidden key), freezes it, and answers through its engine;
DuckDB holds a native table. Both use the same number of threads. The answers must be equal (averages as
far as their digits go: DuckDB's are floats).
Needs tools/setup peers (duckdb, tpchgen-cli).
"""
import argparse
import math
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../../tests/python")]

import duckdb  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

import omendb  # noqa: E402
from pairs import figure  # noqa: E402

QUERY_1 = """SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty,
  sum(l_extendedprice) AS sum_base_price, sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price,
  sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
  avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price, avg(l_discount) AS avg_disc,
  count(*) AS count_order
FROM lineitem WHERE l_shipdate <= DATE '1998-09-02'
GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus"""

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


QUERIES = {"scan.tpch1": QUERY_1, "scan.tpch6": QUERY_6}


def same(ours, theirs):
    """Whether two results agree; where one has a float, to what the other's digits say."""
    def cell(a, b):
        return a == b or (isinstance(b, float) and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-6))
    return len(ours) == len(theirs) and all(
        len(a) == len(b) and all(map(cell, a, b)) for a, b in zip(ours, theirs))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="1")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("figure", nargs="?", default="")
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
        met = True
        for name, query in QUERIES.items():
            if not name.startswith(arguments.figure):
                continue
            expected, found = peer.execute(query).fetchall(), ours.query(query)
            if not same(found, expected):
                sys.exit(f"{name}: different answers: {found} here, {expected} in DuckDB")
            met &= figure(name, lambda query=query: ours.query(query),
                          lambda query=query: peer.execute(query).fetchall(),
                          f"duckdb-{duckdb.__version__}", 1.0, pairs=arguments.pairs)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
