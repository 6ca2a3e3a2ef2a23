"""TPC-H in OmenDB and in DuckDB: the same rows in both, the 22 queries, and comparing their answers.

Rows come from tpchgen-cli (tools/setup tpch) and are kept in the cache; the queries, with the
specification's validation parameters, are beside this file.
"""
import glob
import math
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "python"))

import pyarrow.parquet as pq  # noqa: E402

KEYS = {
    "region": ["r_regionkey"],
    "nation": ["n_nationkey"],
    "supplier": ["s_suppkey"],
    "customer": ["c_custkey"],
    "part": ["p_partkey"],
    "partsupp": ["ps_partkey", "ps_suppkey"],
    "orders": ["o_orderkey"],
    "lineitem": ["l_orderkey", "l_linenumber"],
}

# Of AVG and quotients, which are DOUBLE PRECISION in DuckDB and exact here.
TOLERANCE = 1e-12


def queries():
    """[("q01", its text), ...] without the semicolons."""
    found = []
    for path in sorted(glob.glob(os.path.join(HERE, "queries", "*.sql"))):
        with open(path, encoding="utf-8") as file:
            found.append((os.path.basename(path)[:-4], file.read().strip().rstrip(";")))
    return found


def data_file(table, scale):
    """The path of a table's rows at this scale, generated at first use."""
    cache = os.environ.get("OMENDB_CACHE", os.path.expanduser("~/.cache/omendb"))
    folder = os.path.join(cache, "data", f"tpch-{scale}")
    path = os.path.join(folder, f"{table}.parquet")
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        generator = os.path.join(os.path.dirname(sys.executable), "tpchgen-cli")
        subprocess.run([generator, "parquet", "-s", str(scale), "--tables", table,
                        "--output-dir", folder], check=True, stdout=subprocess.DEVNULL)
    return path


def load_peer(peer, table, scale):
    """Into a DuckDB connection, as a native table."""
    peer.execute(f"CREATE TABLE {table} AS SELECT * FROM '{data_file(table, scale)}'")


def load(connection, table, scale, keyed=True):
    """Into an omendb.Connection through Arrow, with the table's primary key or a hidden one."""
    source = pq.ParquetFile(data_file(table, scale))
    connection.create_table(table, source.schema_arrow, KEYS[table] if keyed else ())
    for batch in source.iter_batches(batch_size=65536):
        connection.insert_arrow(table, batch)


def same(a, b):
    if a == b:
        return True
    try:
        return math.isclose(float(a), float(b), rel_tol=TOLERANCE)
    except (TypeError, ValueError):
        return False


def equal(ours, theirs):
    """Whether two answers are the same multiset of rows; numbers up to the tolerance."""
    def in_order(left, right):
        return all(len(a) == len(b) and all(map(same, a, b)) for a, b in zip(left, right))

    def ordered(rows):
        return sorted(rows, key=lambda row: [(type(v).__name__ == "str", str(v)) for v in row])

    return len(ours) == len(theirs) and (in_order(ours, theirs) or
                                         in_order(ordered(ours), ordered(theirs)))
