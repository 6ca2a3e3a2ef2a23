"""Files as tables, as an embedding program sees them.

Needs pyarrow, DuckDB and the engine (OMENDB_ENGINE, or beside the library); exits 77 without them.
"""
import datetime
import decimal
import gc
import os
import random
import resource
import subprocess
import sys
import tempfile
import unittest
import uuid

try:
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    print("skipped: no pyarrow or duckdb here (tools/setup data, tools/setup peers)")
    sys.exit(77)

import omendb
import postgres

ENGINE = os.environ.get("OMENDB_ENGINE", os.path.join(omendb.TOP, "build", "libomendb_engine.so"))


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.database = omendb.Database(file_access=True)
        self.connection = self.database.connect()
        self.query = self.connection.query
        self.query("SELECT count(*) FROM generate_series(1, 2)")  # starts the engine
        self.memory_bytes = self.database.memory_bytes()

    def tearDown(self):
        gc.collect()
        held = self.database.memory_bytes() - self.memory_bytes
        self.connection.close()
        self.database.close()
        self.folder.cleanup()
        self.assertLess(held, 64 << 10)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, content):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def fails(self, sqlstate, sql, *words):
        with self.assertRaises(omendb.Error) as caught:
            with self.connection.prepare(sql) as statement:
                statement.execute()
                statement.texts()
        self.assertEqual(caught.exception.sqlstate, sqlstate, str(caught.exception))
        for word in words:
            self.assertIn(word, str(caught.exception))
        return caught.exception


class Csv(Case):
    def columns(self, content, name="t.csv"):
        """Names and types found, and the rows."""
        path = self.write(name, content)
        with self.connection.query_reader(f"SELECT * FROM '{path}'") as reader:
            types = {field.name: str(field.type) for field in reader.schema}
            return types, [tuple(row.values()) for row in reader.read_all().to_pylist()]

    def test_types(self):
        self.assertEqual(self.columns("b,i,d,e,day,time,t,n\ntrue,1,1,1e5,2020-01-01,2020-01-01 10:00,x,\n"
                                      "FALSE,-7,.5,,2020-02-29,2020-01-01T10:00:00.5Z,1,\n")[0],
                         {"b": "bool", "i": "int64", "d": "double", "e": "double", "day": "date32[day]",
                          "time": "timestamp[us]", "t": "string_view", "n": "string_view"})
        # beyond BIGINT; no day; a zone that would be lost; a number with blanks
        self.assertEqual(self.columns("i,day,zone,blank\n9223372036854775808,2021-02-29,2020-01-01 10:00+02, 1\n")[0],
                         {"i": "double", "day": "string_view", "zone": "string_view", "blank": "string_view"})
        self.assertEqual(self.columns("1,a\n2,b\n")[0], {"column0": "int64", "column1": "string_view"})
        self.assertEqual(self.columns("a,b\nc,d\n")[1], [("c", "d")])
        self.assertEqual(self.columns("7")[1], [(7,)])
        self.assertEqual(self.columns("x|y\n1|2\n")[0], {"x": "int64", "y": "int64"})
        self.assertEqual(self.columns('"x;1";y\n"a;b";2\n')[1], [("a;b", 2)])
        self.assertEqual(self.columns("a,b\n1,2\n", "t.tsv")[0], {"a,b": "string_view"})
        many = ",".join(str(i) for i in range(12))
        self.assertEqual(list(self.columns(many)[0])[0::11], ["column00", "column11"])

    def test_names_may_be_anything(self):
        long = "x" * 62 + "\u00e9"
        names, rows = self.columns(f"{long},{long},,,column3,\"a\"\"b\"\n1,2,3,4,5,6\n")
        self.assertEqual(list(names), ["x" * 62, "x" * 61 + "_1", "column2", "column3", "column3_1", 'a"b'])
        self.assertEqual(rows, [(1, 2, 3, 4, 5, 6)])

    def test_many_names_alike(self):
        """1,600 columns of one name, also where the numbers are names already."""
        for given, wanted in ((["a"] * 1600, ["a"] + [f"a_{i}" for i in range(1, 1600)]),
                              ([f"a_{i}" for i in range(1, 801)] + ["a"] * 800, [f"a_{i}" for i in range(1, 801)] + ["a"] + [f"a_{i}" for i in range(801, 1600)]),
                              ([""] * 3 + ["column1", "column1"], ["column0", "column1", "column2", "column1_1", "column1_2"])):
            path = self.write("names.csv", ",".join(given) + "\n" + ",".join("1" for _ in given) + "\n")
            with self.connection.prepare(f"SELECT * FROM '{path}'") as statement:
                statement.execute()
                self.assertEqual([name for name, _ in statement.columns], wanted)

    def test_a_value_that_does_not_fit_later(self):
        rows = "".join(f"{i},{i}\n" for i in range(30000))
        path = self.write("late.csv", "a,b\n" + rows + '\n"\n\n",oops\n')
        self.fails("22P02", f"SELECT sum(b) FROM '{path}'", 'bigint: "oops"', "late.csv", "line 30003",
                   "column b")
        self.fails("22P02", f"SELECT sum(a) FROM '{path}'", "line 30003", "column a")
        path = self.write("short.csv", "a,b\n" + rows + "1\n")
        self.fails("22P04", f"SELECT count(*) FROM '{path}'", 'missing data for column "b"', "line 30002")
        self.query("CREATE TABLE t (a BIGINT, b BIGINT)")
        unclosed = self.write("open.csv", 'a\n"b\n')
        self.fails("22P04", f"SELECT * FROM '{unclosed}'", "unterminated CSV quoted field")
        self.fails("22P04", f"INSERT INTO t SELECT * FROM '{path}'")
        self.assertEqual(self.query("SELECT count(*) FROM t"), [(0,)])
        self.query("DROP TABLE t")

    def test_many_rows(self):
        path = self.write("many.csv", "id,name,half\n" + "".join(
            f"{i},name {i},{i / 2}\n" for i in range(200000)))
        self.assertEqual(self.query(f"SELECT count(*), sum(id), max(name), sum(half) FROM '{path}'"),
                         [(200000, 19999900000, "name 99999", 9999950000.0)])
        self.assertEqual(self.query(f"SELECT count(*) FROM '{path}' a JOIN '{path}' b USING (id)"), [(200000,)])
        self.assertEqual(self.query(f"SELECT id FROM '{path}' LIMIT 2 OFFSET 100000"), [(100000,), (100001,)])

    def test_wide_text(self):
        """A batch is not as large as its rows are many: memory stays."""
        path = self.write("wide.csv", "".join(f"{i},{'x' * 100000}\n" for i in range(600)))
        self.assertEqual(self.query(f"SELECT count(*), sum(length(column1)) FROM '{path}'"), [(600, 60000000)])
        with self.connection.query_reader(f"SELECT column1 FROM '{path}'") as reader:
            for batch in reader:
                self.assertLess(batch.nbytes, 20 << 20)

    def test_random_files_read_back(self):
        """What Python's csv module writes comes back as it was."""
        import csv
        import io
        choose = random.Random(4)
        for _ in range(60):
            width = choose.randrange(1, 6)
            delimiter = choose.choice(",;\t|")
            rows = [["".join(choose.choice('ab1,;\t|"\n .\u00e9') for _ in range(choose.randrange(1, 9)))
                     for _ in range(width)] for _ in range(choose.randrange(1, 40))]
            text = io.StringIO()
            csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
                [[f"c{i}" for i in range(width)]] + rows)
            names, got = self.columns(text.getvalue())
            self.assertEqual([[str(value) for value in row] for row in got], rows)


class Parquet(Case):
    def parquet(self, name, table, **options):
        pq.write_table(table, self.path(name), **options)
        return self.path(name)

    def arrow(self, sql):
        with self.connection.query_reader(sql) as reader:
            return reader.read_all()

    def test_foreign_types(self):
        zoned = datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, datetime.timezone.utc)
        plain = zoned.replace(tzinfo=None)
        key = uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
        columns = {
            "i8": (pa.array([-128, None], pa.int8()), "smallint", [-128, None]),
            "u8": (pa.array([255, None], pa.uint8()), "smallint", [255, None]),
            "u16": (pa.array([65535, None], pa.uint16()), "integer", [65535, None]),
            "u32": (pa.array([2**32 - 1, None], pa.uint32()), "bigint", [2**32 - 1, None]),
            "u64": (pa.array([2**64 - 1, None], pa.uint64()), "numeric", [decimal.Decimal(2**64 - 1), None]),
            "f16": (pa.array([1.5, None], pa.float16()), "real", [1.5, None]),
            "zero": (pa.array([-0.0, float("nan")], pa.float64()), "double", None),
            "dictionary": (pa.array(["a", None]).dictionary_encode(), "text", ["a", None]),
            "large": (pa.array(["\u00e9" * 50, None], pa.large_string()), "text", ["\u00e9" * 50, None]),
            "bytes": (pa.array([b"\x00\xff", None], pa.large_binary()), "bytea", [b"\x00\xff", None]),
            "fixed": (pa.array([b"abc", None], pa.binary(3)), "bytea", [b"abc", None]),
            "b": (pa.array([True, None]), "boolean", [True, None]),
            "day": (pa.array([datetime.date(1, 1, 1), None]), "date", [datetime.date(1, 1, 1), None]),
            "ms": (pa.array([plain, None], pa.timestamp("ms")), "timestamp", [plain.replace(microsecond=999000), None]),
            "us": (pa.array([plain, None], pa.timestamp("us", "UTC")), "timestamptz", [zoned, None]),
            "zone": (pa.array([plain, None], pa.timestamp("us", "Europe/Paris")), "timestamptz", [zoned, None]),
            "ns": (pa.array([-1, None], pa.timestamp("ns")), "timestamp", [plain, None]),
            "d9": (pa.array([decimal.Decimal("-1.50"), None], pa.decimal128(9, 2)), "numeric", [decimal.Decimal("-1.50"), None]),
            "d38": (pa.array([decimal.Decimal(10**38 - 1), None], pa.decimal128(38, 0)), "numeric", [decimal.Decimal(10**38 - 1), None]),
            "nothing": (pa.nulls(2), "text", [None, None]),
        }
        table = pa.table({name: values for name, (values, _, _) in columns.items()})
        for options in ({"version": "2.6"}, {"version": "2.6", "compression": "zstd", "data_page_version": "2.0"},
                        {"version": "2.6", "compression": "brotli"}, {"version": "2.6", "compression": "gzip"},
                        {"version": "2.6", "compression": "lz4", "use_dictionary": False},
                        {"version": "2.6", "compression": "none"}):
            path = self.parquet("types.parquet", table, **options)
            with self.connection.prepare(f"SELECT * FROM '{path}'") as statement:
                types = {name: kind.name for name, kind in statement.columns}
            rows = self.arrow(f"SELECT * FROM '{path}'").to_pydict()
            for name, (_, kind, wanted) in columns.items():
                self.assertTrue(types[name].startswith(kind), (name, types[name]))
                if wanted is not None:
                    self.assertEqual(rows[name], wanted, (name, options))
            self.assertEqual(self.query(f"SELECT count(*) FROM '{path}' WHERE zero = 0 OR zero = 'nan'"), [(2,)])
        path = self.parquet("old.parquet", pa.table({"t": pa.array([plain, None], pa.timestamp("us"))}),
                            use_deprecated_int96_timestamps=True)
        self.assertEqual(self.query(f"SELECT * FROM '{path}'"), [(plain,), (None,)])
        duckdb.sql(f"COPY (SELECT '{key}'::UUID AS u, 1::UTINYINT AS n, 'x' AS t) TO '{self.path('d.parquet')}'")
        rows = self.query(f"SELECT u::text, n, t FROM '{self.path('d.parquet')}'")
        self.assertEqual(rows, [(str(key), 1, "x")])

    def test_types_that_cannot_be_read(self):
        path = self.parquet("nested.parquet", pa.table({
            "a": [1, 2], "list": [[1], []], "struct": [{"x": 1}, None],
            "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
            "time": pa.array([datetime.time(1, 2), None])}))
        self.assertEqual(self.query(f"SELECT count(*), sum(a) FROM '{path}'"), [(2, 3)])
        for column in "list", "struct", "map", "time":
            self.fails("0A000", f"SELECT {column} FROM '{path}'", f'"{column}"')
        self.fails("0A000", f"SELECT * FROM '{path}'", '"list"')
        path = self.parquet("wide.parquet", pa.table({"d": pa.array([1], pa.decimal256(40, 0))}))
        self.fails("0A000", f"SELECT * FROM '{path}'", '"d"')

    def test_values_out_of_range(self):
        for column, state in ((pa.array([-3000000], pa.int32()).cast(pa.date32()), "22008"),
                              (pa.array([-2**62], pa.timestamp("us")), "22008"),
                              (pa.array([2**60], pa.timestamp("ms")), "22008")):
            path = self.parquet("range.parquet", pa.table({"x": column}), version="2.6")
            self.fails(state, f"SELECT * FROM '{path}'", '"x"', "range.parquet")

    def test_row_groups_and_shares(self):
        rows = 150000
        table = pa.table({"id": pa.array(range(rows), pa.int64()),
                          "s": [f"s{i % 321}" if i % 5 else None for i in range(rows)]})
        for size in (rows, 10000, 999):
            path = self.parquet("g.parquet", table, row_group_size=size)
            self.assertEqual(self.query(f"SELECT count(*) FROM '{path}'"), [(rows,)])
            self.assertEqual(self.query(f"SELECT count(*), sum(id), count(s), count(DISTINCT s), min(id) FROM '{path}'"),
                             [(rows, rows * (rows - 1) // 2, rows - rows // 5, 321, 0)])
            self.assertEqual(self.query(f"SELECT s, id FROM '{path}' WHERE id = 77777"), [("s95", 77777)])
            self.assertEqual(self.query(f"SELECT count(*) FROM '{path}' a JOIN '{path}' b ON a.id = b.id + 1"),
                             [(rows - 1,)])
            self.assertEqual(self.query(f"SELECT sum(one) FROM (SELECT 1 AS one FROM '{path}') x"), [(rows,)])
        path = self.parquet("none.parquet", table.slice(0, 0))
        self.assertEqual(self.query(f"SELECT count(*), max(s) FROM '{path}'"), [(0, None)])

    def test_names(self):
        columns = [pa.array([1]), pa.array([2]), pa.array([3])]
        path = self.parquet("names.parquet", pa.Table.from_arrays(columns, names=["a", "a", ""]))
        self.assertEqual(self.query(f'SELECT a, a_1, column2 FROM \'{path}\''), [(1, 2, 3)])

    def test_what_is_no_parquet_file(self):
        for content in b"", b"PAR1", b"PAR1PAR1", b"x" * 5000, b"PAR1" + b"\0" * 100 + b"PAR1", b"\xff" * 100 + b"PAR1":
            path = self.write("bad.parquet", content)
            self.fails("XX001", f"SELECT * FROM '{path}'", "bad.parquet")
        path = self.write("bad.parquet", b"PAR1" + b"\0" * 100 + b"PARE")
        self.fails("0A000", f"SELECT * FROM '{path}'", "encrypted")
        # counts that ask for terabytes: a list of 2^31 row groups, and of schema elements; a name
        huge = b"\xff\xff\xff\xff\x07"
        for footer in (b"\x15\x02\x39\xfc" + huge, b"\x15\x02\x29\xfc" + huge,
                       b"\x15\x02\x19\xfc" + huge, b"\x15\x02\x19\x1c\x48" + huge,
                       b"\x15\x02\x19\x2c\x48\x01a\x15\x02\x00\x48\x01b\x00\x16\x00\x19\xfc" + huge):
            footer = footer.ljust(200, b"\0")
            path = self.write("bad.parquet", b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
            self.fails("XX001", f"SELECT * FROM '{path}'")
        # a tree of columns a million deep
        deep = b"\x48\x01a\x15\x02\x00"
        footer = b"\x15\x02\x19\xfc\xa0\x8d\x06" + deep * 100000 + b"\x16\x00\x19\x0c\x00"
        path = self.write("bad.parquet", b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
        self.fails("XX001", f"SELECT * FROM '{path}'")

    def test_truncated_files(self):
        path = self.parquet("whole.parquet", pa.table({"a": list(range(1000)), "s": [str(i) for i in range(1000)]}))
        with open(path, "rb") as file:
            content = file.read()
        for length in list(range(0, len(content), 211)) + [len(content) - 1]:
            cut = self.write("cut.parquet", content[:length])
            self.fails("XX001", f"SELECT * FROM '{cut}'")

    def small_files(self):
        table = pa.table({
            "a": pa.array([i if i % 7 else None for i in range(3000)], pa.int64()),
            "s": [f"text {i % 50} that is longer than twelve" for i in range(3000)],
            "d": pa.array([decimal.Decimal(i) for i in range(3000)], pa.decimal128(30, 4)),
            "t": pa.array([i * 10**9 for i in range(3000)], pa.timestamp("ms")), "b": [i % 3 == 0 for i in range(3000)]})
        for number, options in enumerate(({"compression": "snappy", "row_group_size": 1000},
                                          {"compression": "none", "use_dictionary": False},
                                          {"compression": "zstd", "data_page_version": "2.0"},
                                          {"compression": "gzip", "write_page_index": True})):
            yield self.parquet(f"small{number}.parquet", table, **options)
        yield self.write("small.csv", "a,s,d,t\n" + "".join(
            f'{i},"text, {i}",{i / 4},2020-01-{i % 28 + 1:02}\n' for i in range(300)))

    def test_flipped_bytes(self):
        """Whatever is broken: an answer or an error of the file's, and the process goes on."""
        choose = random.Random(7)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        allowed = {"XX001", "0A000", "22P04", "22P02", "22021", "22007", "22008", "22003", "54000", "54011",
                   "42703", "42883", "58030"}
        errors, answers = 0, 0
        for path in self.small_files():
            with open(path, "rb") as file:
                content = file.read()
            for _ in range(80):
                broken = bytearray(content)
                for _ in range(choose.randrange(1, 4)):
                    # the metadata at the end half of the time
                    at = choose.randrange(len(broken)) if choose.random() < 0.5 else \
                        len(broken) - 1 - choose.randrange(min(1500, len(broken)))
                    broken[at] = choose.choice([0, 0xFF, broken[at] ^ (1 << choose.randrange(8)), choose.randrange(256)])
                bad = self.write("flipped" + os.path.splitext(path)[1], bytes(broken))
                try:
                    with self.connection.prepare(f"SELECT * FROM '{bad}'") as statement:
                        statement.execute()
                        statement.texts()
                    answers += 1
                except omendb.Error as error:
                    self.assertIn(error.sqlstate, allowed, str(error))
                    errors += 1
        self.assertGreater(errors, 120)
        self.assertGreater(answers, 40)
        self.assertLess(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 600 << 10)  # KiB

    def make_wide_files(self):
        """Two files that become 600 MB, made by another process, whose memory doesn't count."""
        paths = [os.path.join(self.folder.name, name) for name in ("fixed.parquet", "prefixes.parquet")]
        code = """if True:
            import sys, pyarrow as pa, pyarrow.parquet as pq
            options = dict(compression="zstd", use_dictionary=False)
            fixed = pa.array([b"y" * 300000] + [None] * 1999, pa.binary(300000))
            pq.write_table(pa.table({"s": fixed}), sys.argv[1], **options)
            same = pa.array(["z" * 1000000 + str(i % 10) for i in range(600)])
            pq.write_table(pa.table({"s": same}), sys.argv[2], column_encoding={"s": "DELTA_BYTE_ARRAY"}, **options)
            """
        subprocess.run([sys.executable, "-c", code, *paths], check=True)
        return paths

    def test_bomb(self):
        """A page that becomes 280 MB is not unpacked; a dictionary does not multiply its text."""
        text = pa.py_buffer(b"x" * 280_000_000)
        offsets = pa.py_buffer((0).to_bytes(4, "little") + (280_000_000).to_bytes(4, "little"))
        table = pa.table({"s": pa.Array.from_buffers(pa.string(), 1, [None, offsets, text])})
        path = self.parquet("bomb.parquet", table, compression="zstd", use_dictionary=False)
        self.assertLess(os.path.getsize(path), 1 << 20)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.fails("54000", f"SELECT length(s) FROM '{path}'", "256 MiB")
        same = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), ["x" * 1000000])
        path = self.parquet("rows.parquet", pa.table({"s": same}))
        self.assertLess(os.path.getsize(path), 1 << 20)
        self.assertEqual(self.query(f"SELECT count(*), sum(length(s)) FROM '{path}'"), [(3000, 3000000000)])
        # A NULL of a fixed length takes its room all the same; a value that shares its prefix takes none.
        fixed, prefixes = self.make_wide_files()
        self.assertEqual(self.query(f"SELECT count(*), count(s), sum(octet_length(s)) FROM '{fixed}'"), [(2000, 1, 300000)])
        self.assertEqual(self.query(f"SELECT count(*), sum(length(s)) FROM '{prefixes}'"), [(600, 600000600)])
        self.assertLess(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 400 << 10)  # KiB


ALL_TYPES = ("CREATE TABLE t (id INTEGER PRIMARY KEY, a smallint, b integer, c bigint, d real, e double precision, "
             "f numeric(38,10), g text, h varchar(20), i char(3), j bytea, k date, l timestamp, m timestamptz, "
             "n uuid, o boolean)")
ALL_VALUES = r"""INSERT INTO t VALUES
    (1, -32768, -2147483648, -9223372036854775808, 0.1, 1e300, -1234567890123456789012345678.0123456789,
     'a, "quoted" text', 'line
end', 'x', '\x00ff', '0001-01-01', '1969-12-31 23:59:59.999999', '2024-01-02 03:04:05.6+00',
     'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', true),
    (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (3, 0, 0, 0, 'nan', '-infinity', 0, '', '', '', '', '9999-12-31', '2000-02-29 00:00:00', '1970-01-01 00:00+00',
     '00000000-0000-0000-0000-000000000000', false),
    (4, 1, 1, 1, 1, 1, 1, '\.', 'NULL', '''', '\x', '2020-01-01', '2020-01-01 12:00', '2020-01-01 12:00+00',
     'ffffffff-ffff-ffff-ffff-ffffffffffff', true),
    (5, 2, 2, 2, 3.4e38, 2.2250738585072014e-308, 0.0000000001, E'caf\u00e9 \\ \t;', E'\r', '"', '\x22', '1970-01-01',
     '1970-01-01', '1970-01-01 00:00Z', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', NULL)"""
COPY_OPTIONS = ["FORMAT csv", "FORMAT csv, HEADER", "FORMAT csv, NULL 'NULL', DELIMITER ';'",
                "FORMAT csv, QUOTE '''', HEADER true", r"FORMAT csv, ESCAPE '\'", r"FORMAT csv, DELIMITER E'\t', NULL '\N'"]


class Copy(Case):
    """COPY TO and back."""

    def setUp(self):
        super().setUp()
        os.chmod(self.folder.name, 0o777)

    def rows(self, table="t"):
        with self.connection.prepare(f"SELECT * FROM {table} ORDER BY id") as statement:
            statement.execute()
            return statement.texts()

    def there_and_back(self, options, name="t.csv"):
        path = self.path(name)
        self.query(f"COPY t TO '{path}' ({options})")
        self.query(ALL_TYPES.replace(" t ", " u "))
        self.query(f"COPY u FROM '{path}' ({options})".replace(", FORCE_QUOTE *", "").replace(", FORCE_QUOTE (g, a)", ""))
        self.assertEqual(self.rows("u"), self.rows(), options)
        self.query("DROP TABLE u")
        return path

    def test_every_type_and_back(self):
        self.query(ALL_TYPES)
        self.query(ALL_VALUES)
        for options in COPY_OPTIONS + ["FORMAT csv, FORCE_QUOTE *", "FORMAT csv, FORCE_QUOTE (g, a)"]:
            self.there_and_back(options)
        path = self.there_and_back("FORMAT parquet", "t.parquet")
        rows = pq.read_table(path).to_pylist()
        self.assertEqual(rows[0]["g"], 'a, "quoted" text')
        self.assertEqual(rows[0]["l"], datetime.datetime(1969, 12, 31, 23, 59, 59, 999999))
        self.assertEqual(rows[0]["f"], decimal.Decimal("-1234567890123456789012345678.0123456789"))
        self.assertTrue(all(value is None for name, value in rows[1].items() if name != "id"))
        self.assertEqual(duckdb.sql(f"SELECT n::VARCHAR, o, g FROM '{path}' WHERE id = 3").fetchall(),
                         [("00000000-0000-0000-0000-000000000000", False, "")])
        with self.connection.prepare(f"SELECT * FROM '{path}' ORDER BY id") as statement:
            statement.execute()
            self.assertEqual(statement.texts(), self.rows())
        self.query("DROP TABLE t")

    def test_as_postgresql_writes_it(self):
        if postgres.missing():
            self.skipTest(postgres.missing())
        with postgres.Server() as server, postgres.Session(server.conninfo("postgres")) as session:
            def theirs(sql):
                answer = session.run(sql)
                self.assertIsNone(answer.sqlstate, sql)
            for execute in self.query, theirs:
                execute(ALL_TYPES)
                execute(ALL_VALUES)
            for source, options in [("t", one) for one in COPY_OPTIONS] + [
                    ("t (g, a)", "FORMAT csv, FORCE_QUOTE *"), ("(SELECT id, g FROM t ORDER BY id)", "FORMAT csv, FORCE_QUOTE (g)"),
                    ("(SELECT g FROM t ORDER BY id)", "FORMAT csv, HEADER"), ("(VALUES (1, 'x'), (2, NULL))", "FORMAT csv, HEADER")]:
                self.query(f"COPY {source} TO '{self.path('ours')}' ({options})")
                theirs(f"COPY {source} TO '{self.path('theirs')}' ({options})")
                with open(self.path("ours"), "rb") as one, open(self.path("theirs"), "rb") as other:
                    self.assertEqual(one.read(), other.read(), (source, options))
                if source == "t":
                    self.query(ALL_TYPES.replace(" t ", " u "))
                    self.query(f"COPY u FROM '{self.path('theirs')}' ({options})")
                    self.assertEqual(self.rows("u"), self.rows())
                    self.query("DROP TABLE u")
        self.query("DROP TABLE t")

    def test_columns_by_name(self):
        path = self.path("c.parquet")
        pq.write_table(pa.table({"v": pa.array([1, 2], pa.int64()), "id": pa.array([7, 8], pa.int32())}), path)
        self.query("CREATE TABLE t (id BIGINT PRIMARY KEY, v SMALLINT, w TEXT DEFAULT 'none')")
        self.query(f"COPY t FROM '{path}' (FORMAT parquet)")
        self.assertEqual(self.query("SELECT * FROM t ORDER BY id"), [(7, 1, "none"), (8, 2, "none")])
        self.fails("23505", f"COPY t FROM '{path}' (FORMAT parquet)")
        self.query("DELETE FROM t")
        self.query(f"COPY t (id) FROM '{path}' (FORMAT parquet)")
        self.assertEqual(self.query("SELECT * FROM t ORDER BY id"), [(7, None, "none"), (8, None, "none")])
        self.fails("42703", f"COPY t (id, w) FROM '{path}' (FORMAT parquet)", '"w"')
        pq.write_table(pa.table({"id": [9, 10], "v": [5, 40000]}), path)
        self.fails("22003", f"COPY t FROM '{path}' (FORMAT parquet)")
        self.assertEqual(self.query("SELECT count(*) FROM t"), [(2,)])
        pq.write_table(pa.table({"id": [9], "x": [5]}), path)
        self.fails("42703", f"COPY t FROM '{path}' (FORMAT parquet)", '"x"')
        self.fails("42601", f"COPY t FROM '{path}' (FORMAT parquet, HEADER)")
        os.rename(path, self.path("quo'te"))
        self.query("COPY t (id) FROM '" + self.path("quo''te") + "' (FORMAT parquet)")
        self.assertEqual(self.query("SELECT count(*) FROM t"), [(3,)])

    def test_what_it_replaces(self):
        """A file keeps its mode, a link stays a link, and what may not be written is not replaced."""
        self.query("CREATE TABLE t AS SELECT * FROM generate_series(1, 3) AS s(id)")
        path, link = self.write("out.csv", "as it was\n"), self.path("link.csv")
        os.mkdir(self.path("folder"))
        for target in "out.csv", self.path("new.csv"), "folder/../folder/new.csv":
            os.symlink(target, link)
            for mode in 0o600, 0o664:
                if os.path.exists(link):
                    os.chmod(link, mode)
                self.query(f"COPY t TO '{link}' (FORMAT csv)")
                self.assertEqual(os.readlink(link), target)
                with open(link, encoding="ascii") as file:
                    self.assertEqual(file.read(), "1\n2\n3\n")
            self.assertEqual(os.stat(link).st_mode & 0o7777, 0o664)
            os.remove(link)
        self.assertEqual(sorted(os.listdir(self.folder.name)), ["folder", "new.csv", "out.csv"])
        os.symlink("link.csv", link)
        self.fails("58030", f"COPY t TO '{link}' (FORMAT csv)")
        os.chmod(path, 0o444)
        root = os.geteuid() == 0
        try:
            if root:
                os.seteuid(65534)
            self.fails("42501", f"COPY t TO '{path}' (FORMAT csv)")
        finally:
            if root:
                os.seteuid(0)
        if root:  # another's file, that everybody may write: it becomes this user's
            os.chmod(path, 0o666)
            os.seteuid(65534)
            try:
                self.query(f"COPY t TO '{path}' (FORMAT csv)")
            finally:
                os.seteuid(0)
            self.assertEqual((os.stat(path).st_uid, os.stat(path).st_mode & 0o7777), (65534, 0o666))
            os.chmod(path, 0o600)
            self.query(f"COPY t TO '{path}' (FORMAT csv)")
            self.assertEqual((os.stat(path).st_uid, os.stat(path).st_mode & 0o7777), (65534, 0o600))

    def test_nothing_half_done(self):
        path = self.write("out.csv", "as it was\n")
        self.query("CREATE TABLE t AS SELECT * FROM generate_series(1, 100000) AS s(id)")
        for options in "FORMAT csv", "FORMAT parquet":
            self.fails("22012", f"COPY (SELECT 1 / (id - 99999) FROM t) TO '{path}' ({options})")
            self.fails("58P01", f"COPY t TO '{self.path('none/out.csv')}' ({options})")
            self.fails("42809", f"COPY t TO '{self.folder.name}' ({options})")
            self.fails("42809", f"COPY t TO '/dev/null' ({options})")
            self.fails("42703", f"COPY (SELECT nope FROM t) TO '{path}' ({options})")
            self.fails("42P01", f"COPY nope TO '{path}' ({options})")
        self.fails("0A000", f"COPY t TO '{path}' (FORMAT csv, HEADER match)")
        self.fails("42703", f"COPY t TO '{path}' (FORMAT csv, FORCE_QUOTE (nope))")
        self.fails("0A000", f"COPY t FROM '{path}' (FORMAT csv, FORCE_QUOTE *)")
        self.fails("0A000", "COPY t TO STDOUT (FORMAT csv)")
        self.assertEqual(os.listdir(self.folder.name), ["out.csv"])
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), "as it was\n")
        self.query(f"COPY t TO '{path}' (FORMAT csv)")
        self.assertEqual(os.listdir(self.folder.name), ["out.csv"])
        self.assertEqual(self.query(f"SELECT count(*), sum(column0) FROM '{path}'"), [(100000, 5000050000)])
        self.query("DROP TABLE t")
        with omendb.Database() as database, database.connect() as connection:
            connection.query("CREATE TABLE t AS SELECT 1 AS a")
            for sql in f"COPY t TO '{path}' (FORMAT csv)", f"COPY t FROM '{path}' (FORMAT parquet)":
                with self.assertRaises(omendb.Error) as caught:
                    connection.query(sql)
                self.assertEqual(caught.exception.sqlstate, "42501")


class CreateAs(Case):
    def test_killed(self):
        """Of a process that is killed there is what it was told is there: table and rows."""
        shell = os.path.join(os.path.dirname(os.environ.get(
            "OMENDB_LIBRARY", os.path.join(omendb.TOP, "build", "libomendb.so"))), "omendb")
        path, data = self.write("a.csv", "".join(f"{i},name {i}\n" for i in range(5000))), self.path("db")
        for round_ in range(3):
            with subprocess.Popen([shell, data], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
                lines = [f"CREATE TABLE t{round_} AS SELECT column0 AS id, column1 AS name FROM '{path}';"]
                for line in lines + (["CHECKPOINT;"] if round_ == 1 else []):
                    process.stdin.write(line + "\nSELECT 'done';\n")
                    process.stdin.flush()
                    while "done" not in process.stdout.readline():
                        pass
                process.kill()
        for round_ in range(3):
            result = subprocess.run([shell, data, "-c", f"SELECT count(*), sum(id), max(name) FROM t{round_}"],
                                    capture_output=True, text=True, check=True)
            self.assertIn("5000 | 12497500 | name 999", " ".join(result.stdout.split()))

    def test_no_memory(self):
        """Where the rows find no room, neither table nor memory stays behind."""
        with omendb.Database(memory_bytes_max=48 << 20) as database, database.connect() as connection:
            connection.query("CREATE TABLE small AS SELECT id FROM generate_series(1, 1000) AS s(id)")
            with self.assertRaises(omendb.Error) as caught:
                connection.query("CREATE TABLE large AS SELECT id, id + 1 AS a, id + 2 AS b, id + 3 AS c, id + 4 AS d "
                                 "FROM generate_series(1, 3000000) AS s(id)")
            self.assertEqual(caught.exception.sqlstate, "53200")
            with self.assertRaises(omendb.Error) as caught:
                connection.query("SELECT * FROM large")
            self.assertEqual(caught.exception.sqlstate, "42P01")
            connection.query("CREATE TABLE large AS SELECT id FROM small")
            self.assertEqual(connection.query("SELECT count(*) FROM large"), [(1000,)])


class Changes(Case):
    def test_no_file_access(self):
        path = self.write("a.csv", "1\n")
        with omendb.Database() as database, database.connect() as connection:
            with self.assertRaises(omendb.Error) as caught:
                connection.query(f"SELECT * FROM '{path}'")
            self.assertEqual(caught.exception.sqlstate, "42501")

    def test_what_is_no_file(self):
        os.mkfifo(self.path("pipe.csv"))
        os.mkdir(self.path("folder.csv"))
        os.symlink(self.path("nowhere"), self.path("link.csv"))
        self.fails("42809", f"SELECT * FROM '{self.path('pipe.csv')}'")
        self.fails("42809", f"SELECT * FROM '{self.path('folder.csv')}'")
        self.fails("58P01", f"SELECT * FROM '{self.path('link.csv')}'")
        error = self.fails("58P01", f"SELECT '\u00e9', 1 FROM\n  '{self.path('none.csv')}'")
        self.assertEqual(error.position, 22)

    def test_a_prepared_statement_sees_the_file_as_it_is(self):
        path = self.write("a.csv", "a\n1\n2\n")
        with self.connection.prepare(f"SELECT * FROM '{path}' ORDER BY 1") as statement:
            statement.execute()
            self.assertEqual(statement.texts(), [[b"1"], [b"2"]])
            self.write("a.csv", "b,c\nx,1\n")
            statement.execute()
            self.assertEqual(statement.texts(), [[b"x", b"1"]])
            self.assertEqual([name for name, _ in statement.columns], ["b", "c"])
            os.replace(self.write("b.csv", "z\n7\n"), path)
            statement.execute()
            self.assertEqual(statement.texts(), [[b"7"]])
            os.remove(path)
            with self.assertRaises(omendb.Error) as caught:
                statement.execute()
            self.assertEqual(caught.exception.sqlstate, "58P01")
            self.write("a.csv", "a\n3\n")
            statement.execute()
            self.assertEqual(statement.texts(), [[b"3"]])

    def test_a_file_that_changes_while_it_is_read(self):
        rows = "".join(f"{i},{'x' * 100}\n" for i in range(200000))
        def grow(path):
            with open(path, "a", encoding="ascii") as file:
                file.write("1,2\n")
        for change in grow, lambda path: os.truncate(path, 5000000):
            path = self.write("a.csv", rows)
            with self.connection.query_reader(f"SELECT * FROM '{path}'") as reader:
                reader.read_next_batch()
                change(path)
                with self.assertRaises(Exception) as caught:
                    while True:
                        reader.read_next_batch()
                self.assertIn("was changed while it was being read", str(caught.exception))
        # one that is replaced is another file: what was opened is read to its end
        path = self.write("a.csv", rows)
        with self.connection.query_reader(f"SELECT * FROM '{path}'") as reader:
            count = reader.read_next_batch().num_rows
            os.replace(self.write("b.csv", "1,2\n"), path)
            self.assertEqual(count + sum(batch.num_rows for batch in reader), 200000)


if __name__ == "__main__":
    if not os.path.exists(ENGINE):
        print("skipped: no engine here (make engine)")
        sys.exit(77)
    unittest.main()
