"""omendb.h for Python's tests and benchmarks: ctypes for the calls, pyarrow for Arrow data.

The library is taken from the environment variable OMENDB_LIBRARY, else build/libomendb.so.
Every failing call raises Error with status, sqlstate and message. Prepared statements and their
values need no pyarrow, so tests of SQL alone run without it.
"""
import ctypes
import datetime
import decimal
import os
import uuid

try:
    import pyarrow as pa
except ImportError:
    pa = None

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class ErrorRecord(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("sqlstate", ctypes.c_char * 6),
                ("hint_offset", ctypes.c_uint16), ("position", ctypes.c_int32),
                ("message", ctypes.c_char * 512)]


class Options(ctypes.Structure):
    _fields_ = [("struct_bytes", ctypes.c_uint32), ("memory_bytes_max", ctypes.c_uint64),
                ("engine_memory_bytes_max", ctypes.c_uint64),
                ("engine_thread_count", ctypes.c_uint32), ("engine_path", ctypes.c_char_p),
                ("file_access", ctypes.c_bool), ("log_file_bytes", ctypes.c_uint64),
                ("checkpoint_bytes", ctypes.c_uint64), ("checkpoint_ms", ctypes.c_uint64),
                ("no_background", ctypes.c_bool)]


class Counters(ctypes.Structure):
    _fields_ = [("struct_bytes", ctypes.c_uint32), ("route_index", ctypes.c_uint64),
                ("route_engine", ctypes.c_uint64), ("engine_index_scans", ctypes.c_uint64),
                ("engine_scans", ctypes.c_uint64), ("groups_pruned", ctypes.c_uint64),
                ("route_core", ctypes.c_uint64), ("route_fallbacks", ctypes.c_uint64),
                ("engine_scan_parts", ctypes.c_uint64), ("spilled_bytes", ctypes.c_uint64)]


class Type(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int), ("precision", ctypes.c_uint8), ("scale", ctypes.c_int8),
                ("length_max", ctypes.c_uint32)]

    @property
    def name(self):
        return TYPE_NAMES[self.id]


TYPE_NAMES = ("none", "boolean", "smallint", "integer", "bigint", "real", "double precision",
              "numeric", "text", "varchar", "char", "bytea", "date", "timestamp", "timestamptz",
              "uuid")
TYPE_IDS = {name: number for number, name in enumerate(TYPE_NAMES)}
END_OF_DATA = 2  # of omen_status
EPOCH = datetime.datetime(1970, 1, 1)


class Bytes(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Decimal(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_int64)]


class Content(ctypes.Union):
    _fields_ = [("boolean", ctypes.c_bool), ("i16", ctypes.c_int16), ("i32", ctypes.c_int32),
                ("i64", ctypes.c_int64), ("f32", ctypes.c_float), ("f64", ctypes.c_double),
                ("decimal", Decimal), ("bytes", Bytes), ("uuid", ctypes.c_uint8 * 16)]


class Value(ctypes.Structure):
    """One value; `kept` holds the bytes that a text or BYTEA value points at."""
    _fields_ = [("type", Type), ("is_null", ctypes.c_bool), ("content", Content)]

    @staticmethod
    def of(python, type_name=None, precision=0, scale=0):
        """A value of a Python object; `type_name` where the object's own type does not say it.

        int: bigint (or smallint, integer), float: double (or real), Decimal: numeric of its own
        digits, str: text (varchar, char), bytes: bytea, date, datetime: timestamp, or timestamptz
        where it has a zone, UUID, bool, None.
        """
        value = Value()
        value.is_null = python is None
        name = type_name or DEFAULT_TYPES[type(python)]
        if isinstance(python, datetime.datetime) and python.tzinfo:
            name = "timestamptz"
            python = python.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        value.type.id = TYPE_IDS[name]
        value.type.precision, value.type.scale = precision, scale
        if python is None:
            value.type.precision = precision or (38 if name == "numeric" else 0)
            return value
        content = value.content
        if name == "boolean":
            content.boolean = python
        elif name in ("smallint", "integer", "bigint"):
            setattr(content, {"smallint": "i16", "integer": "i32", "bigint": "i64"}[name], python)
        elif name in ("real", "double precision"):
            setattr(content, "f32" if name == "real" else "f64", python)
        elif name == "numeric":
            _, digits, exponent = python.as_tuple()
            if not scale:
                value.type.scale = max(0, -exponent)
                value.type.precision = max(len(digits), value.type.scale, len(digits) + exponent)
            with decimal.localcontext() as context:
                context.prec = 60
                unscaled = int(python.scaleb(value.type.scale))
            content.decimal.low = unscaled & (1 << 64) - 1
            content.decimal.high = unscaled >> 64
        elif name in ("text", "varchar", "char", "bytea"):
            value.kept = python.encode() if isinstance(python, str) else bytes(python)
            content.bytes.data = ctypes.cast(ctypes.c_char_p(value.kept), ctypes.c_void_p)
            content.bytes.length = len(value.kept)
        elif name == "date":
            content.i32 = (python - EPOCH.date()).days
        elif name in ("timestamp", "timestamptz"):
            content.i64 = (python - EPOCH) // datetime.timedelta(microseconds=1)
        else:
            content.uuid[:] = python.bytes
        return value


DEFAULT_TYPES = {bool: "boolean", int: "bigint", float: "double precision",
                 decimal.Decimal: "numeric", str: "text", bytes: "bytea", datetime.date: "date",
                 datetime.datetime: "timestamp", uuid.UUID: "uuid", type(None): "none"}


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
        self.message = record.message.decode(errors="replace")
        self.position = record.position
        super().__init__(f"{self.message} ({self.sqlstate})")


def load():
    path = os.environ.get("OMENDB_LIBRARY", os.path.join(TOP, "build", "libomendb.so"))
    library = ctypes.CDLL(path)
    library.omen_close.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.omen_disconnect.argtypes = [ctypes.c_void_p]
    library.omen_disconnect.restype = None
    library.omen_memory_bytes.argtypes = [ctypes.c_void_p]
    library.omen_memory_bytes.restype = ctypes.c_uint64
    statement = [ctypes.c_void_p]
    for name, result, arguments in [
            ("parameter_count", ctypes.c_size_t, []), ("column_count", ctypes.c_size_t, []),
            ("column_name", ctypes.c_char_p, [ctypes.c_size_t]),
            ("column_type", Type, [ctypes.c_size_t]), ("route", ctypes.c_char_p, []),
            ("tag", ctypes.c_char_p, []), ("rows_affected", ctypes.c_uint64, []),
            ("value", Value, [ctypes.c_size_t]), ("release", None, [])]:
        function = getattr(library, "omen_statement_" + name)
        function.restype, function.argtypes = result, statement + arguments
    library.omen_value_to_text.argtypes = [ctypes.POINTER(Value), ctypes.c_char_p, ctypes.c_size_t,
                                           ctypes.POINTER(ctypes.c_size_t)]
    library.omen_statement_split.restype = ctypes.c_size_t
    library.omen_statement_split.argtypes = [ctypes.c_char_p, ctypes.c_size_t,
                                             ctypes.POINTER(ctypes.c_size_t),
                                             ctypes.POINTER(ctypes.c_bool)]
    return library


class Database:
    """A database, in memory unless a path is given. Use as a context manager."""

    def __init__(self, file_access=False, memory_bytes_max=0, thread_count=0, path=None):
        self.library = load()
        options = Options(struct_bytes=ctypes.sizeof(Options))
        self.library.omen_options_init(ctypes.byref(options))
        options.file_access = file_access
        options.memory_bytes_max = memory_bytes_max
        options.engine_thread_count = thread_count
        self.handle = ctypes.c_void_p()
        self._check(self.library.omen_open, path and path.encode(), ctypes.byref(options),
                    ctypes.byref(self.handle))

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
            assert self.library.omen_close(self.handle, None) == 0
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

    def prepare(self, sql):
        """Prepares one statement. Use as a context manager, or call close()."""
        return Statement(self, sql)

    def run(self, sql, *parameters):
        """Prepares and executes one statement; gives the Statement, its rows not yet read."""
        statement = Statement(self, sql)
        try:
            statement.execute(*parameters)
        except Error:
            statement.close()
            raise
        return statement

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


class Statement:
    """A prepared statement. Use as a context manager."""

    def __init__(self, connection, sql):
        self.library = connection.library
        self.check = connection.database._check
        self.handle = ctypes.c_void_p()
        text = sql.encode() if isinstance(sql, str) else sql
        self.check(self.library.omen_prepare, connection.handle, text, ctypes.c_size_t(len(text)),
                   ctypes.byref(self.handle))
        self.room = ctypes.create_string_buffer(256)

    def execute(self, *parameters):
        """Runs it with Python objects, or Values, as its parameters."""
        self.parameters = [p if isinstance(p, Value) else Value.of(p) for p in parameters]
        array = (Value * max(1, len(parameters)))(*self.parameters)
        self.check(self.library.omen_execute, self.handle, array, ctypes.c_size_t(len(parameters)))
        return self

    @property
    def columns(self):
        """The result's columns as (name, Type)."""
        library, handle = self.library, self.handle
        return [(library.omen_statement_column_name(handle, i).decode(),
                 library.omen_statement_column_type(handle, i))
                for i in range(library.omen_statement_column_count(handle))]

    @property
    def route(self):
        return self.library.omen_statement_route(self.handle).decode()

    @property
    def tag(self):
        return self.library.omen_statement_tag(self.handle).decode()

    @property
    def rows_affected(self):
        return self.library.omen_statement_rows_affected(self.handle)

    @property
    def parameter_count(self):
        return self.library.omen_statement_parameter_count(self.handle)

    def _text(self, value):
        if value.is_null:
            return None
        length = ctypes.c_size_t()
        while self.library.omen_value_to_text(ctypes.byref(value), self.room, len(self.room),
                                              ctypes.byref(length)) != 0:
            self.room = ctypes.create_string_buffer(length.value)
        return self.room[:length.value]

    def texts(self, rows_max=None):
        """The rows, `rows_max` at most, as lists of bytes, as PostgreSQL prints the values; None for
        NULL."""
        library, handle = self.library, self.handle
        indexes = range(library.omen_statement_column_count(handle))
        record = ErrorRecord()
        rows = []
        while (status := library.omen_step(handle, ctypes.byref(record))) == 0:
            rows.append([self._text(library.omen_statement_value(handle, i)) for i in indexes])
            if len(rows) == rows_max:
                return rows
        if status != END_OF_DATA:
            raise Error(record)
        return rows

    def close(self):
        if self.handle:
            self.library.omen_statement_release(self.handle)
            self.handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
