#!/usr/bin/env python3
"""The 22 TPC-H queries give DuckDB's answers.

Usage: test_tpch.py [--scale 0.1]; exit status 77 where DuckDB or tpchgen-cli is not installed.
"""
import argparse
import sys

try:
    import duckdb
except ImportError:
    sys.exit(77)

import tpch
import omendb


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="0.1")
    scale = parser.parse_args().scale
    peer = duckdb.connect()
    failures = 0
    with omendb.Database(thread_count=2) as database, database.connect() as ours:
        for table in tpch.KEYS:
            tpch.load_peer(peer, table, scale)
            tpch.load(ours, table, scale)
        database.maintain()
        for name, query in tpch.queries():
            expected = peer.execute(query).fetchall()
            try:
                found = ours.query(query)
            except omendb.Error as error:
                print(f"{name}: {error}")
                failures += 1
                continue
            if not expected or not tpch.equal(found, expected):
                print(f"{name}: {len(found)} rows {found[:3]}, DuckDB has {len(expected)} {expected[:3]}")
                failures += 1
    print(f"{len(tpch.queries()) - failures} of 22 queries answered as DuckDB does")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
