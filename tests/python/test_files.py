"""Files as tables, as an embedding program sees them.

Needs pyarrow and the engine (OMENDB_ENGINE, or beside the library); exits 77 without them.
"""
import gc
import os
import random
import sys
import tempfile
import unittest

try:
    import pyarrow as pa
except ImportError:
    print("skipped: no pyarrow here (tools/setup data)")
    sys.exit(77)

import omendb

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
