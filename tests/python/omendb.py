"""omendb.h for Python's tests and benchmarks: ctypes for the calls, pyarrow for the data.

The library is taken from the environment variable OMENDB_LIBRARY, else build/libomendb.so.
Every failing call raises Error with status, sqlstate and message.
"""
import ctypes
import os

import pyarrow as pa

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class ErrorRecord(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("sqlstate", ctypes.c_char * 6),
                ("position", ctypes.c_int32), ("message", ctypes.c_char * 512)]


class Options(ctypes.Structure):
    _fields_ = [("struct_bytes", ctypes.c_uint32), ("memory_bytes_max", ctypes.c_uint64),
                ("engine_memory_bytes_max", ctypes.c_uint64),
                ("engine_thread_count", ctypes.c_uint32), ("engine_path", ctypes.c_char_p),
                ("file_access", ctypes.c_bool)]


class Counters(ctypes.Structure):
    _fields_ = [("struct_bytes", ctypes.c_uint32), ("route_index", ctypes.c_uint64),
                ("route_engine", ctypes.c_uint64), ("engine_index_scans", ctypes.c_uint64),
                ("engine_scans", ctypes.c_uint64), ("groups_pruned", ctypes.c_uint64),
                ("route_core", ctypes.c_uint64), ("route_fallbacks", ctypes.c_uint64)]


class ArrowStruct(ctypes.Structure):
    """Room for any of the Arrow C structures; the largest is 80 bytes."""
    _fields_ = [("room", ctypes.c_uint64 * 16)]

    @property
    def address(self):
        return ctypes.addressof(self)


class Error(Exception):
    def __init__(self, record):
        self.status = record.status
        self.sqlstate = record.sqlstate.decode()
        super().__init__(f"{record.message.decode()} ({self.sqlstate})")


def load():
    path = os.environ.get("OMENDB_LIBRARY", os.path.join(TOP, "build", "libomendb.so"))
    library = ctypes.CDLL(path)
    library.omen_close.argtypes = [ctypes.c_void_p]
    library.omen_disconnect.argtypes = [ctypes.c_void_p]
    library.omen_disconnect.restype = None
    library.omen_memory_bytes.argtypes = [ctypes.c_void_p]
    library.omen_memory_bytes.restype = ctypes.c_uint64
    return library


class Database:
    """A database in memory. Use as a context manager."""

    def __init__(self, file_access=False, memory_bytes_max=0, thread_count=0):
        self.library = load()
        options = Options(struct_bytes=ctypes.sizeof(Options))
        self.library.omen_options_init(ctypes.byref(options))
        options.file_access = file_access
        options.memory_bytes_max = memory_bytes_max
        options.engine_thread_count = thread_count
        self.handle = ctypes.c_void_p()
        self._check(self.library.omen_open, None, ctypes.byref(options), ctypes.byref(self.handle))

    def _check(self, function, *arguments):
        record = ErrorRecord()
        if function(*arguments, ctypes.byref(record)) != 0:
            raise Error(record)

    def connect(self):
        return Connection(self)

    def maintain(self):
        """Runs maintenance until there is none left to do."""
        more = ctypes.c_bool(True)
        while more.value:
            self._check(self.library.omen_maintain, self.handle, ctypes.c_uint64(0),
                        ctypes.byref(more))

    def memory_bytes(self):
        return self.library.omen_memory_bytes(self.handle)

    def close(self):
        if self.handle:
            assert self.library.omen_close(self.handle) == 0
            self.handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Connection:
    """A session; one thread at a time. Use as a context manager."""

    def __init__(self, database):
        self.database, self.library = database, database.library
        self.handle = ctypes.c_void_p()
        self.rows_affected = 0
        database._check(self.library.omen_connect, database.handle, ctypes.byref(self.handle))

    def create_table(self, name, schema, key=()):
        arrow = ArrowStruct()
        schema._export_to_c(arrow.address)
        names = (ctypes.c_char_p * max(1, len(key)))(*[k.encode() for k in key])
        try:
            self.database._check(self.library.omen_table_create, self.handle, name.encode(),
                                 ctypes.byref(arrow), names, ctypes.c_size_t(len(key)))
        finally:
            pa.Schema._import_from_c(arrow.address)  # the call only read it: release it here

    def insert_arrow(self, table, batch):
        """Inserts a pyarrow RecordBatch."""
        array, schema = ArrowStruct(), ArrowStruct()
        batch._export_to_c(array.address, schema.address)
        try:
            self.database._check(self.library.omen_insert_arrow, self.handle, table.encode(),
                                 ctypes.byref(schema), ctypes.byref(array))
        finally:
            pa.RecordBatch._import_from_c(array.address, schema.address)

    def query_reader(self, sql):
        """Runs one statement; gives a pyarrow RecordBatchReader."""
        stream, affected = ArrowStruct(), ctypes.c_uint64()
        text = sql.encode() if isinstance(sql, str) else sql
        self.database._check(self.library.omen_query, self.handle, text,
                             ctypes.c_size_t(len(text)), ctypes.byref(stream),
                             ctypes.byref(affected))
        self.rows_affected = affected.value
        return pa.RecordBatchReader._import_from_c(stream.address)

    def query(self, sql):
        """Runs one statement; gives its rows as a list of tuples."""
        table = self.query_reader(sql).read_all()
        return list(zip(*(column.to_pylist() for column in table.columns))) if table.columns else []

    def scan(self, table):
        """Streams a whole table; gives a pyarrow RecordBatchReader."""
        stream = ArrowStruct()
        self.database._check(self.library.omen_scan, self.handle, table.encode(), None,
                             ctypes.byref(stream))
        return pa.RecordBatchReader._import_from_c(stream.address)

    def counters(self):
        counters = Counters(struct_bytes=ctypes.sizeof(Counters))
        self.library.omen_counters_of(self.handle, ctypes.byref(counters))
        return counters

    def close(self):
        if self.handle:
            self.library.omen_disconnect(self.handle)
            self.handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
