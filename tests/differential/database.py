"""One OmenDB and one PostgreSQL database that are to stay equal, statement by statement."""
import datetime
import decimal
import os
import re
import shutil
import sys
import tempfile
import uuid
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import omendb
import postgres
from compare import NAMES, ORDER, Ours, ROWS_MAX, SPREAD, TAIL, difference
from statements import Statement
from tree import Node
from values import quote

STATEMENT_TIMEOUT_MS = 5_000


def value_of(raw, oid):
    """A parameter's text as a value of the type that PostgreSQL gave the parameter; where the
    text is none of that type, as text, or as an integer."""
    name = NAMES.get(oid, "text")
    if raw is None:
        return omendb.Value.of(None, name)
    try:
        if name in ("smallint", "integer", "bigint"):
            number = int(raw)
            bits = {"smallint": 15, "integer": 31, "bigint": 63}[name]
            return omendb.Value.of(number, name if -2**bits <= number < 2**bits else "bigint")
        if name in ("real", "double precision"):
            return omendb.Value.of(float(raw), name)
        if name == "numeric":
            return omendb.Value.of(decimal.Decimal(raw))
        if name == "boolean":
            return omendb.Value.of(raw == "true", name)
        if name == "bytea":
            return omendb.Value.of(bytes.fromhex(raw[2:]), name)
        if name == "date":
            return omendb.Value.of(datetime.date.fromisoformat(raw), name)
        if name in ("timestamp", "timestamptz"):
            return omendb.Value.of(datetime.datetime.fromisoformat(raw.removesuffix("+00")), name)
        if name == "uuid":
            return omendb.Value.of(uuid.UUID(raw))
    except (ValueError, decimal.InvalidOperation):
        return omendb.Value.of(raw, "text")
    return omendb.Value.of(raw, name)


def inlined(sql, oids, parameters):
    """A statement with its parameters' values written into it."""
    def literal(match):
        if match[1] is None:
            return match[0]  # a string
        raw, oid = parameters[int(match[1]) - 1], oids[int(match[1]) - 1]
        name = "bpchar" if NAMES.get(oid) == "char" else NAMES.get(oid, "text")
        return f"CAST({'NULL' if raw is None else quote(raw)} AS {name})"
    return re.sub(r"'(?:[^']|'')*'|\$(\d+)", literal, sql)


def masked(sql):
    """The statement with x for every character of its strings."""
    return re.sub(r"'(?:[^']|'')*'", lambda m: "x" * len(m[0]), sql)


def closing(plain, start):
    """Where the parenthesis at `start` of a masked statement is closed."""
    depth = 0
    for end in range(start, len(plain)):
        depth += (plain[end] == "(") - (plain[end] == ")")
        if depth == 0:
            return end
    return len(plain) - 1


def subqueries(sql):
    """The texts of the subqueries in parentheses, each with them."""
    plain = masked(sql)
    for match in re.finditer(r"\(SELECT ", plain):
        yield sql[match.start():closing(plain, match.start()) + 1]


def exact_spreads(sql):
    """The statement with spreads and variances computed as NUMERIC."""
    plain = masked(sql)
    for match in reversed(list(re.finditer(r"\b(?:stddev\w*|variance|var_\w+)(?=\()", plain))):
        inner = closing(plain, match.end())
        end = inner
        if plain.startswith(" FILTER (", inner + 1):
            end = closing(plain, inner + len(" FILTER ("))
        sql = f"{sql[:match.start()]}CAST({match[0]}(CAST({sql[match.end() + 1:inner]} AS numeric)){sql[inner + 1:end + 1]} " \
            f"AS double precision){sql[end + 1:]}"
    return sql


# Ours is kept in a directory, and closed and opened again now and then (fuzz.py --kept).
KEPT = False


class Pair:
    """The two databases. `perform` runs a statement on both."""

    def __init__(self, conninfo, route):
        self.session = postgres.Session(conninfo)
        self.session.run("SET client_min_messages = error")
        self.session.run(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
        self.database, self.route = None, route
        self.folder = tempfile.mkdtemp(prefix="omendb-fuzz-") if KEPT else None
        self.maintained = 0
        self.reset()

    def reset(self):
        """Both empty again."""
        self.session.run("ROLLBACK")
        self.session.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        self.close_ours()
        if KEPT:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.open_ours()

    def open_ours(self):
        self.database = omendb.Database(thread_count=1, path=self.folder)
        self.connection = self.database.connect()
        if KEPT:
            for setting in ("synchronous_commit = off", "omen.checkpoint_bytes = '64kB'"):
                self.connection.run(f"SET {setting}").close()
        if self.route != "auto":
            try:
                self.connection.run(f"SET omen.route = {self.route}").close()
            except omendb.Error:
                pass  # a router that cannot be forced yet: chosen automatically

    def close_ours(self):
        if self.database:
            self.connection.close()
            self.database.close()
            self.database = None

    def close(self):
        self.close_ours()
        self.session.close()
        if KEPT:
            shutil.rmtree(self.folder, ignore_errors=True)

    def maintain(self):
        """Maintenance; of databases that are kept also a checkpoint, or closing and opening."""
        self.maintained += 1
        self.database.maintain()
        if KEPT and self.maintained % 2 == 0:
            self.connection.run("CHECKPOINT").close()
        if KEPT and self.maintained % 3 != 0:
            self.close_ours()
            self.open_ours()

    # ------------------------------------------------------------- ours

    def read(self, statement):
        answer = Ours()
        answer.rows = statement.texts(ROWS_MAX)
        columns = statement.columns
        answer.names, answer.types = [n for n, _ in columns], [t for _, t in columns]
        answer.affected, answer.route = statement.rows_affected, statement.route
        return answer

    @staticmethod
    def failed(error):
        answer = Ours()
        answer.sqlstate, answer.message = error.sqlstate, error.message
        return answer

    def ask_ours(self, sql):
        try:
            with self.connection.run(sql) as statement:
                return self.read(statement)
        except omendb.Error as error:
            return self.failed(error)

    # ------------------------------------------------------------- both

    def perform(self, statement):
        """Runs one statement on both: [(difference or None, ours, theirs)], one for each run.
        What only one of them can do is undone, or not done, in the other."""
        sql = str(statement.tree)
        if statement.kind == "maintain":
            self.maintain()
            return []
        if statement.runs is not None:
            return self.perform_prepared(statement, sql)
        if statement.kind == "select":
            self.session.send(sql)
            ours = self.ask_ours(sql)
            theirs = self.session.receive()
            found = self.excused(statement, sql, difference(statement, ours, theirs), ours)
            if found is None and not ours.sqlstate and len(ours.rows) < ROWS_MAX and zlib.crc32(sql.encode()) % 16 == 0:
                found = self.arrow_difference(sql, ours)
            return [(found, ours, theirs)]
        ours = self.ask_ours(sql)
        self.session.run("BEGIN")
        theirs = self.session.run(sql)
        self.session.run("ROLLBACK" if ours.sqlstate else "COMMIT")
        found = difference(statement, ours, theirs)
        if found is None and statement.kind == "write" and not ours.sqlstate:
            found, ours, theirs = self.check(statement, sql, ours, theirs)
        return [(found, ours, theirs)]

    def excused(self, statement, sql, found, ours):
        """A difference, or "order" where PostgreSQL agrees with us when it is asked another way:

        - it makes no more groups than a LIMIT asks for; an error in one behind them it tells where
          there is no LIMIT;
        - it runs no subquery that no row asks for; its error it tells where it stands alone;
        - it takes a column that a condition makes constant for sorted, also where grouping sets make
          it NULL (mended in PostgreSQL 18); it sorts right what comes from a subquery;
        - its sum of REALs of both signs is what rounding leaves: another one than of the same values as
          DOUBLE PRECISION;
        - it gives large floats that are all alike a spread, of rounding; as NUMERIC they have none."""
        if not isinstance(found, tuple):
            return found
        if found[0] == "error":
            asked = [TAIL.sub("", sql)] if " GROUP BY " in sql and TAIL.search(sql) else []
            for text in subqueries(sql):
                asked += ["SELECT " + text, f"SELECT count(*) FROM {text} AS s"]
            if any(self.session.run(text).sqlstate == ours.sqlstate for text in asked):
                return "order"
        if found[0] == "rows" and SPREAD.search(sql) and difference(statement, ours, self.session.run(exact_spreads(sql))) is None:
            return "order"
        if found[0] == "rows" and "sum(" in sql and self.rounds(sql):
            return "order"
        order = ORDER.search(sql)
        if found[0] == "rows" and order and re.search(r"GROUP BY (?:ROLLUP|CUBE|GROUPING SETS) ", sql):
            again = f"SELECT * FROM ({sql[:order.start()]}) AS s{order[0]}"
            if difference(statement, ours, self.session.run(again)) is None:
                return "order"
        return found

    def rounds(self, sql):
        """Whether PostgreSQL gives other numbers where REALs are DOUBLE PRECISION."""
        wider = sql.replace("AS real)", "AS double precision)")
        one, two = self.session.run(sql), self.session.run(wider)
        if wider == sql or one.sqlstate or two.sqlstate or len(one.rows) != len(two.rows):
            return False
        try:
            numbers = [[sorted(float(value) for row in answer.rows for value in row if value is not None)]
                       for answer in (one, two)]
        except ValueError:
            return False
        return any(abs(a - b) > 1e-4 * max(abs(a), abs(b)) for a, b in zip(numbers[0][0], numbers[1][0]))

    def arrow_difference(self, sql, ours):
        """The same statement as text, answered as an Arrow stream: as many rows, and the same
        NULLs in each column. (The order of rows is free.)"""
        try:
            table = self.connection.query_reader(sql).read_all()
        except (omendb.Error, OSError) as error:
            return "arrow", f"as an Arrow stream: {error}"
        if table.num_rows != len(ours.rows) and table.num_columns:
            return "arrow", f"as an Arrow stream {table.num_rows} rows instead of {len(ours.rows)}"
        nulls = [sum(row[i] is None for row in ours.rows) for i in range(len(ours.names))]
        if [column.null_count for column in table.columns] != nulls:
            return "arrow", "as an Arrow stream other NULLs"
        if table.column_names != ours.names:
            return "arrow", f"as an Arrow stream columns {table.column_names}"
        return None

    def check(self, statement, sql, ours, theirs):
        """After a write: the target's rows must be equal."""
        table = re.search(r"(?:INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)", sql)[1]
        whole = Statement(Node(None, [statement.check or f"SELECT * FROM {table}"]), "select")
        mine, other = self.ask_ours(str(whole.tree)), self.session.run(str(whole.tree))
        found = difference(whole, mine, other)
        if isinstance(found, tuple) and found[0] in ("rows", "error"):
            return ("state", found[1]), mine, other
        return None, ours, theirs

    def perform_prepared(self, statement, sql):
        theirs = self.session.prepare("p", sql)
        try:
            prepared = self.connection.prepare(sql)
        except omendb.Error as error:
            ours = self.failed(error)
            if theirs.sqlstate is None:  # then it must fail when it runs
                self.session.run("BEGIN")
                theirs = self.session.execute("p", [raw if raw is None else raw.encode() for raw in statement.runs[0]])
                self.session.run("ROLLBACK")
            results = [(difference(statement, ours, theirs), ours, theirs)]
        else:
            results = [] if theirs.sqlstate is None else self.run_prepared(statement, sql, prepared, None, theirs)
            if theirs.sqlstate is None:
                oids = self.session.parameter_types("p")
                for parameters in statement.runs:
                    results += self.run_prepared(statement, sql, prepared, (oids, parameters), None)
                    if isinstance(results[-1][0], tuple):
                        break
            prepared.close()
        self.session.run("DEALLOCATE ALL")
        return results

    def run_prepared(self, statement, sql, prepared, bound, theirs):
        """One run of a prepared statement on both; `theirs` is set where PostgreSQL refused to
        prepare: then ours must refuse too, at the latest when it runs."""
        oids, parameters = bound or ([25] * prepared.parameter_count, [None] * prepared.parameter_count)
        try:
            prepared.execute(*[value_of(raw, oid) for raw, oid in zip(parameters, oids)])
            ours = self.read(prepared)
        except omendb.Error as error:
            ours = self.failed(error)
        if theirs is None:
            self.session.run("BEGIN")
            theirs = self.session.execute("p", [raw if raw is None else raw.encode() for raw in parameters])
            self.session.run("ROLLBACK" if ours.sqlstate else "COMMIT")
        found = difference(statement, ours, theirs)
        if bound and statement.kind == "select":
            found = self.excused(statement, inlined(sql, oids, parameters), found, ours)
        if found is None and statement.kind == "write" and not ours.sqlstate:
            found, ours, theirs = self.check(statement, str(statement.tree), ours, theirs)
        return [(found, ours, theirs)]
