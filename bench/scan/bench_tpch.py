#!/usr/bin/env python3
"""scan.tpch1, scan.tpch6: single-table TPC-H queries in OmenDB beside DuckDB, rows in memory in both.

Usage: bench_tpch.py [scan.tpch1|scan.tpch6] [--scale 1] [--threads 2]

OmenDB loads lineitem through Arrow (hidden key), freezes it, and answers through its engine;
DuckDB holds a native table. Both use the same number of threads. The answers must be equal. Each
line says what of our time planning took: EXPLAIN plans and runs nothing.
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

QUERIES = {
    "scan.tpch1": """SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty,
  sum(l_extendedprice) AS sum_base_price,
  sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price,
  sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
  avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price, avg(l_discount) AS avg_disc,
  count(*) AS count_order
FROM lineitem WHERE l_shipdate <= DATE '1998-12-01' - INTERVAL '90 days'
GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus""",
    "scan.tpch6": """SELECT sum(l_extendedprice * l_discount) AS revenue FROM lineitem
WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01'
  AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24""",
}


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


def equal(ours, theirs):
    """Whether two results say the same; DuckDB's averages are doubles, ours exact."""
    def same(a, b):
        return a == b or (not isinstance(a, str) and
                          math.isclose(float(a), float(b), rel_tol=1e-12))
    return len(ours) == len(theirs) and all(
        len(a) == len(b) and all(map(same, a, b)) for a, b in zip(ours, theirs))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figure", nargs="?", default="scan")
    parser.add_argument("--scale", default="1")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    path = data_file(arguments.scale)

    peer = duckdb.connect()
    peer.execute(f"SET threads = {arguments.threads}")
    peer.execute(f"CREATE TABLE lineitem AS SELECT * FROM '{path}'")

    all_met = True
    with omendb.Database(thread_count=arguments.threads) as database, database.connect() as ours:
        source = pq.ParquetFile(path)
        ours.create_table("lineitem", source.schema_arrow)
        for batch in source.iter_batches(batch_size=65536):
            ours.insert_arrow("lineitem", batch)
        database.maintain()
        for name, query in QUERIES.items():
            if arguments.figure not in ("scan", name):
                continue
            expected, found = peer.execute(query).fetchall(), ours.query(query)
            if not equal(found, expected):
                sys.exit(f"{name}: different answers: {found} here, {expected} in DuckDB")
            all_met &= figure(name, lambda: ours.query(query),
                              lambda: peer.execute(query).fetchall(),
                              f"duckdb-{duckdb.__version__}", 1.0, pairs=15,
                              planning=lambda: ours.query("EXPLAIN " + query))
    return 0 if all_met else 1


if __name__ == "__main__":
    sys.exit(main())
