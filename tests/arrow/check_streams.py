"""Streams of a table as pyarrow sees them: valid, of the right content, and not copied.

Usage: check_streams.py <shared object built from table_fixture.c>. Exits 77 (skipped) without pyarrow.
"""
import ctypes
import datetime
import decimal
import gc
import sys

try:
    import pyarrow as pa
    from pyarrow.cffi import ffi
except ImportError:
    print("skipped: pyarrow is not installed")
    sys.exit(77)

fixture = ctypes.CDLL(sys.argv[1])
fixture.fixture_open.restype = ctypes.c_void_p
fixture.fixture_close.restype = ctypes.c_size_t
fixture.fixture_close.argtypes = [ctypes.c_void_p]
fixture.fixture_close_table.argtypes = [ctypes.c_void_p]
fixture.fixture_values.restype = ctypes.c_void_p
fixture.fixture_values.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32]
fixture.fixture_stream.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64,
                                   ctypes.c_void_p]
fixture.fixture_insert.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]

NO_LIMIT = 2**64 - 1
GROUP_ROWS = fixture.fixture_rows_per_group()
WINDOW_ROWS = 8192
NOT_NULL = {"id", "always"}

SCHEMA = pa.schema([
    pa.field("id", pa.int64(), False),
    pa.field("boolean", pa.bool_()),
    pa.field("smallint", pa.int16()),
    pa.field("integer", pa.int32()),
    pa.field("bigint", pa.int64()),
    pa.field("real", pa.float32()),
    pa.field("double", pa.float64()),
    pa.field("decimal", pa.decimal128(38, 4)),
    pa.field("text", pa.string_view()),
    pa.field("varchar", pa.string_view()),
    pa.field("char", pa.string_view()),
    pa.field("bytea", pa.binary_view()),
    pa.field("date", pa.date32()),
    pa.field("timestamp", pa.timestamp("us")),
    pa.field("timestamptz", pa.timestamp("us", "UTC")),
    pa.field("uuid", pa.binary(16)),
    pa.field("always", pa.int32(), False),
])


def expected_row(i):
    """What table_fixture.c stores for id i."""
    microseconds = datetime.timedelta(microseconds=1)
    utc = datetime.timezone.utc
    row = {
        "id": i,
        "boolean": i % 3 == 1,
        "smallint": i % 30000 - 15000,
        "integer": i * 1000 - 7000000,
        "bigint": i * 1000000007 - 4000000000000,
        "real": i / 4,
        "double": i / 8 - 1000,
        "decimal": decimal.Decimal(i - 5000).scaleb(-4),
        "text": f"t{i}" if i % 2 else f"a text too long to be inline: {i}",
        "varchar": f"v{i}",
        "char": f"{i:<8}",
        "bytea": f"{i:032}".encode()[:i % 33],
        "date": datetime.date(1970, 1, 1) + datetime.timedelta(days=i - 10000),
        "timestamp": datetime.datetime(1970, 1, 1)
        + ((i - 10000) * 3600000000 + i) * microseconds,
        "timestamptz": datetime.datetime(1970, 1, 1, tzinfo=utc)
        + ((i - 10000) * 7200000000 + i) * microseconds,
        "uuid": i.to_bytes(8, "little") + bytes([i % 256]) * 8,
        "always": i,
    }
    for column, name in enumerate(row):
        if name not in NOT_NULL and (i + column) % 7 == 0:
            row[name] = None
    return row


def stream_of(handle, above=-1, limit=NO_LIMIT):
    stream = ffi.new("struct ArrowArrayStream *")
    address = int(ffi.cast("uintptr_t", stream))
    assert fixture.fixture_stream(handle, above, limit, address) == 0
    return pa.RecordBatchReader._import_from_c(address)


def live(i):
    return i < GROUP_ROWS or i % 10 != 3


def check_contents(batches, ids):
    got = pa.Table.from_batches(batches)
    got.validate(full=True)
    assert got.num_rows == len(ids), (got.num_rows, len(ids))
    rows = got.to_pylist()
    for row, i in zip(rows, ids):
        assert row == expected_row(i), (row, expected_row(i))


def check_batches(batches):
    for batch in batches:
        batch.validate(full=True)
        assert 0 < batch.num_rows <= WINDOW_ROWS
        for column in batch.columns:
            assert column.offset == 0
            for buffer in column.buffers():
                if buffer is not None and buffer.size > 0 and buffer.is_cpu:
                    assert len(column.buffers()) > 2 or buffer.address % 64 == 0


def check_not_copied(handle, batches):
    """Whole windows of the unchanged group are the table's own memory."""
    widths = {"id": 8, "smallint": 2, "integer": 4, "bigint": 8, "real": 4, "double": 8,
              "decimal": 16, "text": 16, "varchar": 16, "char": 16, "bytea": 16, "date": 4,
              "timestamp": 8, "timestamptz": 8, "uuid": 16, "always": 4}
    windows = (GROUP_ROWS + WINDOW_ROWS - 1) // WINDOW_ROWS
    for window, batch in enumerate(batches[:windows]):
        for column, name in enumerate(SCHEMA.names):
            if name not in widths:
                continue
            own = fixture.fixture_values(handle, 0, column)
            address = batch.column(column).buffers()[1].address
            assert address == own + window * WINDOW_ROWS * widths[name], (window, name)


def test_full_scan():
    handle = fixture.fixture_open()
    reader = stream_of(handle)
    assert reader.schema == SCHEMA, reader.schema
    batches = list(reader)
    check_batches(batches)
    check_not_copied(handle, batches)
    check_contents(batches, [i for i in range(3 * GROUP_ROWS) if live(i)])
    # an updated group is gathered, so it is somebody else's memory
    last = batches[-1].column(0).buffers()[1].address
    own = fixture.fixture_values(handle, 2, 0)
    assert not own <= last < own + 65536 * 8
    del batches, reader
    gc.collect()
    assert fixture.fixture_close(handle) == 0


def test_filter_and_limit():
    handle = fixture.fixture_open()
    above = GROUP_ROWS + 12345
    ids = [i for i in range(above + 1, 3 * GROUP_ROWS) if live(i)]
    check_contents(list(stream_of(handle, above)), ids)
    check_contents(list(stream_of(handle, above, 9000)), ids[:9000])
    check_contents(list(stream_of(handle, -1, 8193)), list(range(8193)))
    assert list(stream_of(handle, 3 * GROUP_ROWS)) == []
    gc.collect()
    assert fixture.fixture_close(handle) == 0


def test_batches_outlive_the_table():
    handle = fixture.fixture_open()
    reader = stream_of(handle)
    first = reader.read_next_batch()
    fixture.fixture_close_table(handle)
    second = reader.read_next_batch()
    del reader
    gc.collect()
    check_contents([first, second], list(range(2 * WINDOW_ROWS)))
    del first, second
    gc.collect()
    assert fixture.fixture_close(handle) == 0


def insert(handle, batch):
    schema = ffi.new("struct ArrowSchema *")
    array = ffi.new("struct ArrowArray *")
    addresses = [int(ffi.cast("uintptr_t", pointer)) for pointer in (schema, array)]
    batch._export_to_c(addresses[1], addresses[0])
    return fixture.fixture_insert(handle, addresses[0], addresses[1])


def test_round_trip_of_other_layouts():
    """Batches as other programs make them: 32-bit and 64-bit offsets, slices, other time units."""
    handle = fixture.fixture_open()
    first = 3 * GROUP_ROWS
    rows = [expected_row(i) for i in range(first, first + 300)]
    for text, binary, part in ((pa.string(), pa.binary(), slice(0, 100)),
                               (pa.large_string(), pa.large_binary(), slice(100, 200)),
                               (pa.string_view(), pa.binary_view(), slice(200, 300))):
        fields = [pa.field(f.name,
                           text if f.type == pa.string_view() else
                           binary if f.type == pa.binary_view() else f.type, f.nullable)
                  for f in SCHEMA]
        batch = pa.RecordBatch.from_pylist(rows, pa.schema(fields))
        assert insert(handle, batch[part]) == 0
    check_contents(list(stream_of(handle, first - 1)), list(range(first, first + 300)))
    duplicate = pa.RecordBatch.from_pylist(rows[:1], SCHEMA)
    assert insert(handle, duplicate) == 8  # DUPLICATE_KEY
    gc.collect()
    assert fixture.fixture_close(handle) == 0


if __name__ == "__main__":
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
            print("ok", name)
