#!/usr/bin/env python3
"""scan.tpch1, scan.tpch6, scan.tpch22: TPC-H queries in OmenDB beside DuckDB, rows in memory in both.

Usage: bench_tpch.py [scan.tpch1|scan.tpch6|scan.tpch22] [--scale 1] [--threads 2]

OmenDB loads the tables through Arrow, freezes them, and answers through its engine; DuckDB holds
native tables. Both use the same number of threads. The answers must be equal. scan.tpch1 and
scan.tpch6 read lineitem with a hidden key, and say what of our time planning took: EXPLAIN plans
and runs nothing. scan.tpch22 prints a line for each query and their geometric mean.
Needs tools/setup peers (duckdb, tpchgen-cli).
"""
import argparse
import math
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../../tests/tpch")]

import duckdb  # noqa: E402

import tpch  # noqa: E402
import omendb  # noqa: E402
from pairs import figure, timed_pairs, verdict_of  # noqa: E402

PEER = f"duckdb-{duckdb.__version__}"
SINGLE = {"scan.tpch1": "q01", "scan.tpch6": "q06"}


def check(name, ours, peer, query):
    expected, found = peer.execute(query).fetchall(), ours.query(query)
    if not tpch.equal(found, expected):
        sys.exit(f"{name}: different answers: {found[:3]} here, {expected[:3]} in DuckDB")


def measure_single(names, ours, peer):
    """Figures of single queries; True where all are met."""
    all_met = True
    for name in names:
        query = dict(tpch.queries())[SINGLE[name]]
        check(name, ours, peer, query)
        all_met &= figure(name, lambda: ours.query(query), lambda: peer.execute(query).fetchall(),
                          PEER, 1.0, pairs=15, planning=lambda: ours.query("EXPLAIN " + query))
    return all_met


def measure_all(ours, peer, mean_max=1.5, one_max=4.0, pairs=11):
    """The figure over all queries: the mean of the ratios, and each of them."""
    all_met = True
    logarithms = []
    for name, query in tpch.queries():
        check(name, ours, peer, query)
        measured = timed_pairs(lambda: ours.query(query), lambda: peer.execute(query).fetchall(), pairs)
        all_met &= measured.show(f"scan.tpch22.{name}", PEER, one_max)
        logarithms.append([math.log(ratio) for ratio in measured.ratios])
    means = sorted(math.exp(sum(one) / len(one)) for one in zip(*logarithms))
    low, mean, high = means[0], means[len(means) // 2], means[-1]
    verdict = verdict_of(low, high, mean_max)
    print(f"scan.tpch22 peer={PEER} ratio={mean:.2f} [{low:.2f},{high:.2f}] "
          f"target<={mean_max:.2f} {verdict}", flush=True)
    return all_met and verdict == "met"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figure", nargs="?", default="scan")
    parser.add_argument("--scale", default="1")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    whole = arguments.figure.startswith("scan.tpch22")
    peer = duckdb.connect()
    peer.execute(f"SET threads = {arguments.threads}")
    with omendb.Database(thread_count=arguments.threads) as database, database.connect() as ours:
        for table in tpch.KEYS if whole else ["lineitem"]:
            tpch.load_peer(peer, table, arguments.scale)
            tpch.load(ours, table, arguments.scale, keyed=whole)
        database.maintain()
        if whole:
            return not measure_all(ours, peer)
        return not measure_single([name for name in SINGLE if arguments.figure in ("scan", name)],
                                  ours, peer)


if __name__ == "__main__":
    sys.exit(main())
