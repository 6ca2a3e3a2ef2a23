"""Row groups as Parquet files: what the engine writes it reads again, and so does everybody else.

Usage: check_segments.py. OMENDB_ENGINE names the engine. Exits 77 (skipped) without it or pyarrow;
DuckDB is asked too where it is installed. The seed is printed; OMEN_SEED replays it.
"""
import ctypes
import datetime
import decimal
import io
import os
import random
import re
import sys

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow.cffi import ffi
except ImportError:
    print("skipped: pyarrow is not installed")
    sys.exit(77)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
from omendb import ErrorRecord  # noqa: E402

ENGINE = os.environ.get("OMENDB_ENGINE", "")
if not os.path.exists(ENGINE):
    print("skipped: OMENDB_ENGINE names no engine")
    sys.exit(77)

OK, INTERNAL, CORRUPTED, DISK_FULL, IO_ERROR = 0, 39, 38, 4, 37
HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../include/omendb_engine.h")
with open(HEADER) as header:
    ABI_VERSION = int(re.search(r"OMEN_ENGINE_ABI_VERSION (\d+)", header.read()).group(1))
GROUP_ROWS = 65536

WRITE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t,
                         ctypes.POINTER(ErrorRecord))
READ = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p,
                        ctypes.c_size_t, ctypes.POINTER(ErrorRecord))


class Writer(ctypes.Structure):
    _fields_ = [("write", WRITE), ("context", ctypes.c_void_p)]


class Reader(ctypes.Structure):
    _fields_ = [("read", READ), ("context", ctypes.c_void_p), ("length", ctypes.c_uint64)]


class Engine(ctypes.Structure):
    _fields_ = [("abi_version", ctypes.c_uint32), ("struct_bytes", ctypes.c_uint32),
                ("name", ctypes.c_void_p), ("open", ctypes.c_void_p), ("close", ctypes.c_void_p),
                ("query", ctypes.c_void_p), ("explain", ctypes.c_void_p),
                ("counters", ctypes.c_void_p),
                ("segment_write", ctypes.CFUNCTYPE(
                    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32,
                    ctypes.POINTER(Writer), ctypes.POINTER(ErrorRecord))),
                ("segment_read", ctypes.CFUNCTYPE(
                    ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Reader), ctypes.c_uint32,
                    ctypes.POINTER(ctypes.c_uint32), ctypes.c_uint32, ctypes.c_void_p,
                    ctypes.POINTER(ErrorRecord)))]


library = ctypes.CDLL(ENGINE)
library.omen_engine_entry.restype = ctypes.POINTER(Engine)
engine = library.omen_engine_entry(ABI_VERSION).contents


class Failed(Exception):
    def __init__(self, error):
        super().__init__(f"{error.sqlstate.decode()} {error.message.decode()}")
        self.status = error.status


def address(pointer):
    return int(ffi.cast("uintptr_t", pointer))


def refuse(error, status, text):
    """What a callback does that fails."""
    error.contents.status = status
    error.contents.message = text
    return status


def write(schema, groups, fail_after=None):
    """The file's bytes. `groups`: a list of batches for each row group."""
    file = io.BytesIO()

    def take(context, data, length, error):
        if fail_after is not None and file.tell() + length > fail_after:
            return refuse(error, DISK_FULL, b"no room for this")
        file.write(ctypes.string_at(data, length))
        return OK

    c_schema = ffi.new("struct ArrowSchema*")
    schema._export_to_c(address(c_schema))
    streams = ffi.new("struct ArrowArrayStream[]", len(groups))
    for stream, batches in zip(streams, groups):
        pointer = ffi.addressof(stream)
        pa.RecordBatchReader.from_batches(schema, batches)._export_to_c(address(pointer))
    error, writer = ErrorRecord(), Writer(WRITE(take), None)
    status = engine.segment_write(address(c_schema), address(streams), len(groups),
                                  ctypes.byref(writer), ctypes.byref(error))
    ffi.gc(c_schema, lambda schema: schema.release(schema))
    assert all(stream.release == ffi.NULL for stream in streams), "a stream was not released"
    if status != OK:
        raise Failed(error)
    return file.getvalue()


def read(schema, data, group, columns, fail_at=None):
    calls = 0

    def give(context, offset, buffer, length, error):
        nonlocal calls
        calls += 1
        if calls == fail_at:
            return refuse(error, IO_ERROR, b"the disk is on fire")
        if offset + length > len(data):
            return refuse(error, CORRUPTED, b"the file ends before")
        ctypes.memmove(buffer, data[offset:offset + length], length)
        return OK

    c_schema = ffi.new("struct ArrowSchema*")
    schema._export_to_c(address(c_schema))
    stream = ffi.new("struct ArrowArrayStream*")
    error, reader = ErrorRecord(), Reader(READ(give), None, len(data))
    status = engine.segment_read(address(c_schema), ctypes.byref(reader), group,
                                 (ctypes.c_uint32 * len(columns))(*columns), len(columns),
                                 address(stream), ctypes.byref(error))
    ffi.gc(c_schema, lambda schema: schema.release(schema))
    if status != OK:
        assert stream.release == ffi.NULL
        raise Failed(error)
    return pa.RecordBatchReader._import_from_c(address(stream)).read_all()


def status_of(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except Failed as failed:
        return failed.status
    return OK


MAKERS = {
    "boolean": (pa.bool_(), lambda r: r.random() < 0.5),
    "smallint": (pa.int16(), lambda r: r.randint(-2**15, 2**15 - 1)),
    "integer": (pa.int32(), lambda r: r.randint(-2**31, 2**31 - 1)),
    "bigint": (pa.int64(), lambda r: r.choice([r.randint(-2**63, 2**63 - 1), r.randint(0, 9)])),
    "real": (pa.float32(), lambda r: r.choice([0.5, float("inf"), float("nan"), -1.25])),
    "double": (pa.float64(), lambda r: r.choice([r.random(), float("-inf"), float("nan"), 1e300])),
    "decimal9": (pa.decimal128(9, 2), lambda r: decimal.Decimal(r.randint(-10**9 + 1, 10**9 - 1)).scaleb(-2)),
    "decimal18": (pa.decimal128(18, 0), lambda r: decimal.Decimal(r.randint(-10**18 + 1, 10**18 - 1))),
    "decimal38": (pa.decimal128(38, 10), lambda r: decimal.Context(40).scaleb(
        decimal.Decimal(r.randint(-10**38 + 1, 10**38 - 1)), -10)),
    "text": (pa.string_view(), lambda r: r.choice(["", "a", "ä" * 20, "x" * r.randint(0, 3000)])),
    "bytea": (pa.binary_view(), lambda r: r.randbytes(r.choice([0, 1, 12, 13, 100]))),
    "date": (pa.date32(), lambda r: datetime.date(1, 1, 1) + datetime.timedelta(r.randint(0, 3000000))),
    "timestamp": (pa.timestamp("us"), lambda r: r.randint(-2**61, 2**61)),
    "timestamptz": (pa.timestamp("us", "UTC"), lambda r: r.randint(-2**61, 2**61)),
    "uuid": (pa.binary(16), lambda r: r.randbytes(16)),
}


def random_batch(r, schema, rows):
    columns = []
    for field in schema:
        kind = field.name.split(".")[0]
        nulls = r.choice([0, 0.1, 1]) if field.nullable else 0
        values = [None if r.random() < nulls else MAKERS[kind][1](r) for _ in range(rows)]
        columns.append(pa.array(values, field.type))
    return pa.record_batch(columns, schema=schema)


def as_read(table):
    """Timestamps as numbers: Python has no year 50000. NaNs as text, for they equal nothing."""
    return repr([column.cast(pa.int64()).to_pylist() if pa.types.is_timestamp(column.type)
                 else column.to_pylist() for column in table.columns])


def test_there_and_back(seed):
    r = random.Random(seed)
    kinds = r.sample(sorted(MAKERS), r.randint(1, len(MAKERS)))
    schema = pa.schema([pa.field(f"{kind}.{i}", MAKERS[kind][0], r.random() < 0.6)
                        for i, kind in enumerate(kinds)])
    groups = [[random_batch(r, schema, r.choice([1, 7, 1024, 3000])) for _ in range(r.randint(1, 3))]
              for _ in range(r.randint(1, 4))]
    data = write(schema, groups)
    assert data == write(schema, groups), "the same rows gave other bytes"
    for number, batches in enumerate(groups):
        expected = pa.Table.from_batches(batches)
        columns = r.sample(range(len(kinds)), r.randint(1, len(kinds)))
        got = read(schema, data, number, columns)
        assert got.schema.types == [schema.types[c] for c in columns], got.schema
        assert as_read(got) == as_read(expected.select(columns)), f"group {number}"
    check_with_pyarrow(data, schema, groups)


def check_with_pyarrow(data, schema, groups):
    file = pq.ParquetFile(io.BytesIO(data))
    assert file.num_row_groups == len(groups)
    assert file.metadata.metadata is None, "metadata of ours in a file for everybody"
    types = [str(file.schema.column(i).logical_type) for i in range(len(schema))]
    for i, field in enumerate(schema):
        assert (types[i] == "UUID") == (field.type == pa.binary(16)), (field, types[i])
        assert file.schema_arrow.field(i).metadata[b"PARQUET:field_id"] == b"%d" % (i + 1)
    everything = pa.Table.from_batches([batch for group in groups for batch in group])
    got = file.read()
    for i, field in enumerate(schema):
        ours, theirs = everything.column(i), got.column(i)
        if field.type == pa.binary(16):
            theirs = theirs.cast(pa.binary(16))
        theirs = theirs.cast(pa.int64()) if pa.types.is_timestamp(field.type) else theirs
        ours = ours.cast(pa.int64()) if pa.types.is_timestamp(field.type) else ours
        assert repr(theirs.to_pylist()) == repr(ours.to_pylist()), field


def test_duckdb_reads_it(seed):
    try:
        import duckdb
    except ImportError:
        return
    r = random.Random(seed)
    schema = pa.schema([("bigint.0", pa.int64()), ("text.1", pa.string_view()), ("uuid.2", pa.binary(16))])
    batches = [random_batch(r, schema, GROUP_ROWS), random_batch(r, schema, 100)]
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"omendb-segment-{os.getpid()}.parquet")
    try:
        with open(path, "wb") as file:
            file.write(write(schema, [[batch] for batch in batches]))
        rows = duckdb.sql(f"SELECT * FROM '{path}'").fetchall()
    finally:
        os.unlink(path)
    expected = pa.Table.from_batches(batches).to_pydict()
    assert [row[0] for row in rows] == expected["bigint.0"]
    assert [row[1] for row in rows] == expected["text.1"]
    assert [row[2] and row[2].bytes for row in rows] == expected["uuid.2"]


def test_sequences_take_little_room():
    schema = pa.schema([pa.field("id", pa.int64(), False)])
    batch = pa.record_batch([pa.array(range(10**12, 10**12 + GROUP_ROWS))], schema=schema)
    assert len(write(schema, [[batch]])) < 4096


def test_faults(seed):
    r = random.Random(seed)
    schema = pa.schema([("bigint.0", pa.int64()), ("text.1", pa.string_view())])
    batch = random_batch(r, schema, 5000)
    data = write(schema, [[batch], [batch]])
    for fail_after in (0, 10, len(data) // 2, len(data) - 1):
        assert status_of(write, schema, [[batch], [batch]], fail_after=fail_after) == DISK_FULL
    for call in range(1, 4):
        assert status_of(read, schema, data, 1, [1], fail_at=call) == IO_ERROR
    assert status_of(read, schema, data, 2, [0]) == CORRUPTED
    assert status_of(read, schema, data, 0, [2]) == CORRUPTED
    assert status_of(read, schema, b"", 0, [0]) == CORRUPTED
    assert status_of(read, schema, data[:-1], 0, [0]) == CORRUPTED
    other = pa.schema([("bigint.0", pa.int32()), ("text.1", pa.string_view())])
    assert status_of(read, other, data, 0, [0]) == CORRUPTED
    # Damage that the caller's checksums would have found never ends the process.
    for _ in range(300):
        damaged = bytearray(data)
        damaged[r.randrange(len(data))] ^= 1 << r.randrange(8)
        assert status_of(read, schema, bytes(damaged), 0, [0, 1]) in (OK, CORRUPTED)


def main():
    seed = int(os.environ.get("OMEN_SEED", random.randrange(2**32)))
    print(f"seed {seed}")
    for episode in range(30):
        test_there_and_back(seed + episode)
    test_duckdb_reads_it(seed)
    test_sequences_take_little_room()
    test_faults(seed)
    print("segments: all right")


main()
