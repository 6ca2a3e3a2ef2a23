"""Lets pyarrow validate the batches that column storage exports, and imports pyarrow's own.

Usage: check_layouts.py <shared object built from column_export.c>
Exit status 77 (skip) where pyarrow is missing.
"""

import ctypes
import datetime
import decimal
import struct
import sys

try:
    import pyarrow as pa
    from pyarrow.cffi import ffi
except ImportError:
    print("pyarrow is missing")
    sys.exit(77)

ROWS = 10500
EPOCH = datetime.datetime(1970, 1, 1)


def expected(column, name, row):
    if name not in ("bigint", "text_short") and (row + column) % 7 == 0:
        return None
    text = f"row number {row}, long enough" if row % 2 and column != 14 else str(row)
    moment = EPOCH + datetime.timedelta(microseconds=row * 1000003)
    return {
        "bigint": row * 1000003,
        "boolean": row % 3 == 0,
        "smallint": row % 60000 - 30000,
        "integer": row - 100,
        "real": row / 4,
        "double": row / 8,
        "decimal": decimal.Decimal(-row).scaleb(-2),
        "text": text,
        "varchar": text,
        "bytea": text.encode(),
        "date": datetime.date(1970, 1, 1) + datetime.timedelta(days=row - 100),
        "timestamp": moment,
        "timestamptz": moment.replace(tzinfo=datetime.timezone.utc),
        "uuid": struct.pack("<8xq", row),
        "text_short": text,
    }[name]


def address(pointer):
    return int(ffi.cast("uintptr_t", pointer))


def check_rows(batch, rows):
    batch.validate(full=True)
    assert batch.num_rows == len(rows), (batch.num_rows, len(rows))
    for column, name in enumerate(batch.schema.names):
        values = batch.column(column).to_pylist()
        for value, row in zip(values, rows):
            assert value == expected(column, name, row), (name, row, value)


class Storage:
    def __init__(self, path, state):
        self.library = ctypes.CDLL(path)
        for function in ("column_export_close", "column_export_bytes_used"):
            getattr(self.library, function).restype = ctypes.c_size_t
        assert self.library.column_export_open(ROWS, state) == 0

    def schema(self):
        out = ffi.new("struct ArrowSchema*")
        assert self.library.column_export_schema(ctypes.c_void_p(address(out))) == 0
        return pa.Schema._import_from_c(address(out))

    def _batch(self, function, *arguments):
        out = ffi.new("struct ArrowArray*")
        assert function(*arguments, ctypes.c_void_p(address(out))) == 0
        return pa.RecordBatch._import_from_c(address(out), self.schema())

    def batch(self, first, count):
        return self._batch(self.library.column_export_batch, first, count)

    def gathered(self):
        return self._batch(self.library.column_export_gathered, ROWS)

    def import_back(self, batch, first):
        schema, array = ffi.new("struct ArrowSchema*"), ffi.new("struct ArrowArray*")
        batch._export_to_c(address(array), address(schema))
        result = self.library.column_export_import_back(
            ctypes.c_void_p(address(schema)), ctypes.c_void_p(address(array)), first,
            batch.num_rows)
        array.release(array)
        schema.release(schema)
        return result


def variants(batch):
    """The same values in other Arrow types that import accepts."""
    yield batch
    others = {
        "integer": pa.int64(), "smallint": pa.int32(), "date": pa.date64(),
        "timestamp": pa.timestamp("ns"), "timestamptz": pa.timestamp("ns", "Europe/Berlin"),
        "text": pa.large_utf8(), "varchar": pa.utf8(), "bytea": pa.binary(),
        "text_short": pa.utf8(), "real": pa.float32(),
    }
    columns = [
        batch.column(i).cast(others.get(name, batch.schema.field(i).type))
        for i, name in enumerate(batch.schema.names)
    ]
    yield pa.RecordBatch.from_arrays(columns, batch.schema.names)


def main(path):
    for state, state_name in enumerate(("open", "sealed", "frozen")):
        storage = Storage(path, state)
        kept = None
        for first, count in ((0, 8192), (8192, ROWS - 8192), (1024, 3000), (10240, 260), (0, 0)):
            batch = storage.batch(first, count)
            rows = range(first, first + count)
            check_rows(batch, rows)
            if count > 100:
                sliced = batch.slice(37, 50)
                check_rows(sliced, rows[37:87])
                for variant in variants(sliced):
                    assert storage.import_back(variant, first + 37) == 0
                for variant in variants(batch):
                    assert storage.import_back(variant, first) == 0
                kept = batch
            del batch
        check_rows(storage.gathered(), range(0, ROWS, 3))
        assert storage.library.column_export_close() > 0
        kept.validate(full=True)
        del kept, sliced, variant
        left = storage.library.column_export_bytes_used()
        assert left == 0, f"{left} bytes left"
        print(f"{state_name}: ok")


if __name__ == "__main__":
    main(sys.argv[1])
