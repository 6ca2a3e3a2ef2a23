"""The whole path, from SQL text through index or engine to Arrow, as an embedding program sees it.

Needs pyarrow and the engine (OMENDB_ENGINE, or beside the library); exits 77 without them.
"""
import datetime
import decimal
import os
import random
import sys
import unittest

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv
except ImportError:
    print("skipped: no pyarrow here (tools/setup data)")
    sys.exit(77)

import omendb

ENGINE = os.environ.get("OMENDB_ENGINE", os.path.join(omendb.TOP, "build", "libomendb_engine.so"))
FLIGHTS = os.path.join(os.environ.get("OMENDB_CACHE", os.path.expanduser("~/.cache/omendb")),
                       "data", "flights.csv")


class Case(unittest.TestCase):
    def setUp(self):
        self.database = omendb.Database(file_access=True)
        self.connection = self.database.connect()
        self.query = self.connection.query

    def tearDown(self):
        self.connection.close()
        self.database.close()

    def counted(self, sql):
        """The rows of a query, and by how much it raised the counters."""
        before = self.connection.counters()
        rows = self.query(sql)
        after = self.connection.counters()
        names = [name for name, _ in omendb.Counters._fields_[1:]]
        return rows, {name: getattr(after, name) - getattr(before, name) for name in names}

    def fails(self, sqlstate, sql):
        with self.assertRaises(omendb.Error) as caught:
            self.query(sql)
        self.assertEqual(caught.exception.sqlstate, sqlstate, str(caught.exception))


class Views(Case):
    """What a transaction holds, seen from another connection in SQL."""

    def test_locks_and_transactions(self):
        self.query("CREATE TABLE t (id BIGINT PRIMARY KEY, v INT)")
        self.query("INSERT INTO t VALUES (1, 10), (2, 20)")
        other = self.database.connect()
        try:
            other.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
            other.query("UPDATE t SET v = v + 1 WHERE id = 2")
            rows = self.query("SELECT l.relation, l.key, l.mode, l.granted, t.state, t.rows_written, "
                              "t.oldest FROM omen_locks l JOIN omen_transactions t "
                              "ON l.transaction = t.transaction WHERE l.key IS NOT NULL")
            self.assertEqual(rows, [("t", "(id)=(2)", "NO KEY UPDATE", True, "idle", 1, True)])
            self.assertEqual(self.query("SELECT relation, count(*) FROM omen_locks "
                                        "WHERE mode = 'ROW EXCLUSIVE' GROUP BY relation"), [("t", 1)])
            began, now = self.query("SELECT began, now() FROM omen_transactions")[0]
            self.assertLess(abs(now - began), datetime.timedelta(minutes=5))
            self.assertEqual(other.query("SELECT state, snapshot_age FROM omen_transactions"),
                             [("active", 0)])
            for _ in range(2):  # looking locks nothing
                self.assertEqual(other.query("SELECT count(*) FROM omen_locks WHERE relation IS NULL"),
                                 [(0,)])
            self.fails("55000", "DELETE FROM omen_locks")
            other.query("COMMIT")
            self.assertEqual(self.query("SELECT count(*) FROM omen_locks"), [(0,)])
            self.assertEqual(self.query("SELECT * FROM omen_transactions"), [])
        finally:
            other.close()


class Mission(Case):
    """The three checks the project began with."""

    def test_point_query_by_the_index(self):
        self.query("CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT)")
        self.query("INSERT INTO t VALUES " + ", ".join(f"({i}, 'n{i}')" for i in range(100)))
        rows, counts = self.counted("SELECT * FROM t WHERE id = 42")
        self.assertEqual(rows, [(42, "n42")])
        self.assertEqual((counts["route_index"], counts["route_engine"]), (1, 0))
        rows, counts = self.counted("SELECT COUNT(*) FROM t WHERE id > 50")
        self.assertEqual(rows, [(49,)])
        self.assertEqual((counts["route_index"], counts["route_engine"]), (0, 1))

    def test_sum(self):
        self.query("CREATE TABLE t (id BIGINT PRIMARY KEY, amount DOUBLE PRECISION)")
        self.query("INSERT INTO t VALUES " + ", ".join(f"({i}, 100.0)" for i in range(50)))
        self.assertEqual(self.query("SELECT SUM(amount) FROM t"), [(5000.0,)])


class Border(Case):
    """Predicates at the border of index and engine: the same rows on either side."""

    def setUp(self):
        super().setUp()
        self.query("CREATE TABLE t (id BIGINT PRIMARY KEY, other BIGINT, name TEXT)")
        self.query("INSERT INTO t VALUES " + ", ".join(
            f"({i}, {i * 2 if i else 0}, 'n{i}')" for i in range(10)) + ", (42, NULL, NULL)")

    def ids(self, condition):
        """The ids under a condition; the answer must not depend on whether the index is used."""
        direct = sorted(row[0] for row in self.query(f"SELECT id FROM t WHERE {condition}"))
        hidden = sorted(row[0] for row in self.query(
            f"SELECT id FROM (SELECT id + 0 AS id, other, name FROM t) AS s WHERE {condition}"))
        counted = self.query(f"SELECT count(*) FROM t WHERE {condition}")[0][0]
        self.assertEqual(direct, hidden, condition)
        self.assertEqual(len(direct), counted, condition)
        return direct

    def test_conditions(self):
        everything = [*range(10), 42]
        for condition, expected in [
            ("id = 5", [5]), ("5 = id", [5]), ("id = 5 AND id = 6", []), ("id = 5 OR id = 6", [5, 6]),
            ("NOT id = 5", [i for i in everything if i != 5]), ("id IN (5, NULL)", [5]),
            ("id IN (5, 5, 6)", [5, 6]), ("id NOT IN (5, NULL)", []), ("id = NULL", []),
            ("id = 5 AND name = 'x'", []), ("id = 5 AND name = 'n5'", [5]), ("id = other", [0]),
            ("id = 42.0", [42]), ("id = 42.5", []), ("id = 99999999999999999999", []),
            ("id = -1", []), ("id = 9223372036854775807", []), ("id = -9223372036854775808", []),
            ("id BETWEEN 3 AND 5", [3, 4, 5]), ("id > 8 AND other IS NULL", [42]),
            ("name IS NULL", [42]), ("id < 0 OR id >= 42", [42]), ("false", []), ("true", everything),
            ("id IN (SELECT other FROM t)", [0, 2, 4, 6, 8]), ("name LIKE 'n1%'", [1]),
        ]:
            with self.subTest(condition):
                self.assertEqual(self.ids(condition), expected)

    def test_projection(self):
        reader = self.connection.query_reader("SELECT name, id, name AS again FROM t WHERE id = 3")
        self.assertEqual(reader.schema.names, ["name", "id", "again"])
        self.assertEqual(reader.read_all().to_pylist(), [{"name": "n3", "id": 3, "again": "n3"}])
        self.assertEqual(self.query("SELECT id, id FROM t WHERE id = 3"), [(3, 3)])

    def test_key_equality_inside_an_engine_plan(self):
        rows, counts = self.counted(
            "SELECT a.name, b.name FROM t AS a JOIN t AS b ON a.id = b.other WHERE a.id = 8 AND b.id = 4")
        self.assertEqual(rows, [("n8", "n4")])
        self.assertEqual(counts["engine_index_scans"], 2)
        self.assertEqual(counts["engine_scans"], 0)

    def test_errors(self):
        self.fails("42P01", "SELECT * FROM nowhere")
        self.fails("42703", "SELECT nothing FROM t")
        self.fails("42703", "SELECT nothing FROM t WHERE id = 1")
        self.fails("42601", "SELEC 1")
        self.fails("23505", "INSERT INTO t VALUES (100, 1, 'a'), (5, 1, 'b')")
        self.assertEqual(self.ids("id = 100"), [])
        self.fails("22003", "INSERT INTO t VALUES (9223372036854775808, 1, 'a')")
        self.fails("0A000", "CREATE VIEW v AS SELECT 1")
        self.fails("0A000", "CREATE VIEW v AS SELECT 1")
        self.fails("58P01", "COPY t FROM '/no/such/file' (FORMAT csv)")


class Data(Case):
    def test_every_type_there_and_back(self):
        when = datetime.datetime(1969, 7, 20, 20, 17, 40, 123456)
        utc = when.replace(tzinfo=datetime.timezone.utc)
        schema = pa.schema([
            pa.field("id", pa.int64(), nullable=False), ("b", pa.bool_()), ("i2", pa.int16()),
            ("i4", pa.int32()), ("f4", pa.float32()), ("f8", pa.float64()),
            ("d", pa.decimal128(30, 4)), ("s", pa.string_view()), ("y", pa.binary_view()),
            ("day", pa.date32()), ("ts", pa.timestamp("us")), ("tz", pa.timestamp("us", "UTC")),
            ("u", pa.binary(16))])
        full = [1, True, -2, 3, 1.5, -2.5, decimal.Decimal("-12345678901234567890.1234"), "ä" * 20,
                b"\0\xff" * 10, when.date(), when, utc, bytes(range(16))]
        rows = [full, [2] + [None] * 12]
        batch = pa.RecordBatch.from_arrays(
            [pa.array(column, type=field.type) for column, field in zip(zip(*rows), schema)],
            schema=schema)
        self.connection.create_table("t", schema, ["id"])
        self.connection.insert_arrow("t", batch)
        expected = [tuple(row) for row in rows]
        self.assertEqual(self.query("SELECT * FROM t ORDER BY id"), expected)
        self.assertEqual(self.query("SELECT * FROM t WHERE id = 1"), expected[:1])
        scanned = self.connection.scan("t").read_all()
        scanned.validate(full=True)
        self.assertEqual(scanned.schema.types, schema.types)
        self.assertEqual(list(zip(*(c.to_pylist() for c in scanned.columns))), expected)

    def test_the_last_write_counts(self):
        self.query("CREATE TABLE t (id BIGINT PRIMARY KEY, amount BIGINT)")
        for count in range(1, 51):
            self.query(f"INSERT INTO t VALUES ({count}, {count})")
            self.assertEqual(self.query("SELECT count(*), sum(amount) FROM t"),
                             [(count, count * (count + 1) // 2)])

    def load_numbers(self, rows):
        schema = pa.schema([pa.field("id", pa.int64(), nullable=False), ("x", pa.int64())])
        self.connection.create_table("numbers", schema, ["id"])
        ids = pa.array(range(rows), pa.int64())
        for first in range(0, rows, 50_000):
            part = ids.slice(first, 50_000)
            self.connection.insert_arrow("numbers", pa.RecordBatch.from_arrays([part, part], schema=schema))

    def test_one_stream_sees_one_moment_and_outlives_everything(self):
        self.load_numbers(200_000)
        reader = self.connection.scan("numbers")
        first = reader.read_next_batch()
        self.query("INSERT INTO numbers VALUES (1000000, 1)")
        self.connection.close()
        self.database.close()
        rest = reader.read_all()
        self.assertEqual(len(first) + len(rest), 200_000)

    def test_zone_maps_skip_groups(self):
        self.load_numbers(400_000)
        rows, counts = self.counted("SELECT count(*), sum(x) FROM numbers WHERE id BETWEEN 300000 AND 300009")
        self.assertEqual(rows, [(10, 3000045)])
        self.assertGreaterEqual(counts["groups_pruned"], 5)

    def test_random_aggregates_against_pyarrow(self):
        seed = int(os.environ.get("OMEN_SEED", random.randrange(1 << 30)))
        print(f"OMEN_SEED={seed}")
        choose = random.Random(seed)
        rows = 150_000
        table = pa.table({
            "id": pa.array(choose.sample(range(1 << 40), rows), pa.int64()),
            "g": pa.array([choose.choice("abcdefg") for _ in range(rows)], pa.string()),
            "x": pa.array([choose.choice([None, choose.randrange(-1000, 1000)]) for _ in range(rows)], pa.int64()),
        })
        self.connection.create_table("t", table.schema, ["id"])
        for batch in table.to_batches(max_chunksize=30_000):
            self.connection.insert_arrow("t", batch)
        for maintained in (False, True):
            if maintained:
                self.database.maintain()
            for _ in range(10):
                low = choose.randrange(-1000, 1000)
                key = choose.choice(table["id"]).as_py()
                kept = table.filter((pc.field("x") >= low) & (pc.field("id") <= key))
                expected = kept.group_by("g").aggregate([("x", "sum"), ("x", "count")]).sort_by("g")
                self.assertEqual(
                    self.query(f"SELECT g, sum(x), count(x) FROM t WHERE x >= {low} AND id <= {key} "
                               "GROUP BY g ORDER BY g"),
                    list(zip(*(expected[name].to_pylist() for name in ("g", "x_sum", "x_count")))))

    @unittest.skipUnless(os.path.exists(FLIGHTS), "the flights are not here (tools/setup data)")
    def test_flights(self):
        with open(os.path.join(omendb.TOP, "examples", "demo.sql")) as demo:
            create = demo.read().split(";")[0]
        self.query(create)
        self.query(f"COPY flights FROM '{FLIGHTS}' (FORMAT csv, HEADER, NULL 'NA')")
        self.assertEqual(self.connection.rows_affected, 336_776)
        options = pyarrow.csv.ConvertOptions(null_values=["NA"], strings_can_be_null=True)
        flights = pyarrow.csv.read_csv(FLIGHTS, convert_options=options)
        expected = (flights.group_by("carrier").aggregate([("dep_delay", "sum"), ("id", "count")])
                    .sort_by("carrier"))
        found = self.query("SELECT carrier, sum(dep_delay), count(id) FROM flights GROUP BY carrier ORDER BY carrier")
        self.assertEqual(found, list(zip(*(expected[n].to_pylist() for n in ("carrier", "dep_delay_sum", "id_count")))))
        for row in random.Random(1).sample(range(len(flights)), 50):
            wanted = flights.slice(row, 1).to_pylist()[0]
            (got,) = self.connection.query_reader(
                f"SELECT * FROM flights WHERE id = {row + 1}").read_all().to_pylist()
            wanted["time_hour"] = wanted["time_hour"].replace(tzinfo=datetime.timezone.utc)
            self.assertEqual(got, wanted)


if __name__ == "__main__":
    if not os.path.exists(ENGINE):
        print(f"skipped: no engine at {ENGINE}")
        sys.exit(77)
    unittest.main()
